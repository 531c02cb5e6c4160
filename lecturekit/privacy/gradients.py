r"""What a gradient tells at once, in closed form: the label, and the input of a linear layer.

In federated learning nobody hands over pictures.  Each client computes the gradient of the loss on its own pictures and
sends only that; the server adds the gradients up and improves the common network.  Two lines of algebra undo it.

Let $z$ be the logits, $p$ their softmax, $y$ the label, and $a = W x + b$ the output of any linear layer:

==================================================  ===========================================================
$\partial L / \partial b_k = p_k - [k = y]$         of the last layer: only the true class is negative (iDLG)
$\partial L / \partial W_k = \delta_k x^\top$       $\delta_k = \partial L / \partial a_k$
$\partial L / \partial b_k = \delta_k$              so their quotient is $x$ itself, for any k that is not silent
==================================================  ===========================================================

::

    sent = shared_gradient(model, x, y)
    label(sent)                              # y
    as_pictures(model, linear_input(model, sent), (32, 32))   # x, if the network begins with a linear layer

Depth does not help: in a convolutional network the same quotient gives the exact input of its first linear layer.

A batch mixes.  The gradient is then a mean over B pictures, and the quotient a weighted mean of their inputs,
$\sum_i \delta_{ik} x_i / \sum_i \delta_{ik}$; the weights have both signs, so it can lie far outside [0, 1].  It is
still one of the pictures, exactly, wherever a unit behind a ReLU is active for that picture only.

The trap: dividing by a $\partial L / \partial b_k$ of nearly zero.  Take the unit whose gradient is largest.

Sources: label: Zhao et al. 2020, "iDLG", arXiv:2001.02610; quotient: Geiping et al. 2020, arXiv:2003.14053, section 3.1
and proposition 3.1.
"""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lecturekit.attacks.guard import check_labels, check_mode, checked_logits
from lecturekit.errors import InputError, ModelError, unknown
from lecturekit.networks.layers import Normalize
from lecturekit.pixels import check_pixels


def linear_net(classes, side, *, units=256, seed=0):
    """Build a fully-connected network with one hidden layer, weights decided by ``seed``: the easiest victim.

    Returns: pixels (N, 3, side, side) in [0, 1] to logits (N, classes), in evaluation mode.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        hidden, last = nn.Linear(3 * side * side, units), nn.Linear(units, classes)
    return nn.Sequential(Normalize(), nn.Flatten(), hidden, nn.ReLU(), last).eval()


def shared_gradient(model, x, y):
    """Return what a client sends: the gradient of its mean cross-entropy, one tensor for each parameter.

    The network is not touched; whether its weights are frozen does not matter.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.
        x: the client's pictures.
        y: their classes, (N,) int64.
    Returns: a list of tensors in the order and of the shapes of ``model.parameters()``.
    Raises: ModelError for a network in training mode; InputError for pictures or labels that cannot be.
    """
    check_mode(model)
    check_pixels(x, "x")
    check_labels(y, len(x), "labels")
    if not len(x):
        raise InputError("no picture, no gradient: x holds none")
    with torch.no_grad():
        checked_logits(model, x, y)
    return [each.detach() for each in loss_gradient(model, weights_of(model), x, y)]


def weights_of(model):
    """Return the weights by name, shared with the network but with gradients of their own."""
    return {name: weight.detach().requires_grad_() for name, weight in model.named_parameters()}


def loss_gradient(model, weights, x, y, *, create_graph=False):
    """Return the gradient for ``weights`` (see `weights_of`); with ``create_graph`` it can be differentiated itself."""
    with torch.enable_grad():
        loss = cross_entropy(functional_call(model, weights, (x,)), y)
        return torch.autograd.grad(loss, list(weights.values()), create_graph=create_graph)


def check_gradient(model, gradient):
    """Refuse what is not a finite gradient of this network."""
    expected = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    if not isinstance(gradient, list | tuple) or len(gradient) != len(expected):
        came = f"{len(gradient)} tensors" if isinstance(gradient, list | tuple) else type(gradient).__name__
        raise InputError(
            f"a gradient of this network is a list of {len(expected)} tensors, one per parameter, but got {came}; "
            "it comes from another network"
        )
    for (name, shape), part in zip(expected.items(), gradient, strict=True):
        if tuple(part.shape) != shape:
            raise InputError(
                f"the gradient of {name} has shape {tuple(part.shape)}, but the weights have {shape}; "
                "it comes from another network"
            )
        if not torch.isfinite(part).all():
            raise InputError(f"the gradient of {name} holds NaN or infinite values")
    if not any(part.any() for part in gradient):
        raise InputError("the gradient is zero everywhere: it says nothing about any picture")


# The label


def label(gradient):
    """Return the class of the only picture behind a gradient.

    Its entry in the last bias is $p_y - 1$, the only one that is not a probability.  It is right with certainty for one
    picture, whatever the network has learned, until rounding makes the whole gradient zero.

    Args:
        gradient: from `shared_gradient` with one picture; the last tensor belongs to the last layer.
    Returns: int.
    Raises: InputError for a gradient whose last layer says nothing.
    """
    return class_signal(gradient).argmin().item()


def labels_present(gradient):
    r"""Return the classes that surely occur in a batch, most surely first, (n,) int64.

    Over B pictures the entry is $\bar p_k - n_k / B$, the mean probability of class k minus its share of the batch.  If
    it is negative, class k occurs.  The converse fails: a class whose probability is high on the *other* pictures hides
    behind them, and how often a class occurs cannot be read off without knowing $\bar p$.
    """
    signal = class_signal(gradient)
    order = signal.argsort()
    return order[signal[order] < 0]


def class_signal(gradient):
    """Return the number of each class (K,) whose sign tells whether it occurs.

    It is the gradient of the last bias.  Without a bias it is the sum over each row of the last weights, for one
    picture (p_k - [k = y]) times the sum of its inputs: the same sign where inputs are non-negative, as behind a ReLU
    or a sigmoid.  Where they are not, the sign may be turned over.  For one picture and three classes or more that
    shows, since exactly one class must be negative, and it is turned back; for a batch it does not show.
    """
    last = gradient[-1]
    if not last.any():
        raise InputError("the gradient of the last layer is zero: the network is so sure that it says nothing")
    if last.dim() == 1:
        return last
    sums = last.flatten(1).sum(dim=1)
    return -sums if len(sums) > 2 and (sums > 0).sum() == 1 and (sums < 0).sum() == len(sums) - 1 else sums


# The input of a linear layer


def linear_inputs(model, gradient, layer=None):
    r"""Return the quotient $(\partial L/\partial W_k) / (\partial L/\partial b_k)$ of every unit that is not silent.

    Args:
        model: the network.
        gradient: from `shared_gradient`, for one picture or a batch.
        layer: the name of a linear layer with a bias, e.g. ``"fc6"``; the network's first layer if None.
    Returns: (units, D), in the order of falling $|\partial L/\partial b_k|$.  For one picture all rows are the input of
        the layer; for a batch, those of units active for one picture only.
    Raises: InputError for a gradient of another network, one that is silent in this layer, or an unknown layer;
        ModelError if the layer has no bias or, with None, if the network does not begin with a linear one.
    """
    check_gradient(model, gradient)
    weight, bias = layer_gradient(model, gradient, layer)
    order = bias.abs().argsort(descending=True, stable=True)
    order = order[bias[order] != 0]
    if not len(order):
        raise InputError("the gradient of the layer's bias is zero: no unit was active, there is nothing to divide by")
    return weight[order] / bias[order, None]


def linear_input(model, gradient, layer=None):
    """Return the input (1, D) of a linear layer, from the unit with the largest gradient; see `linear_inputs`."""
    return linear_inputs(model, gradient, layer)[:1]


def layer_gradient(model, gradient, layer):
    """Return the gradients of weight (units, D) and bias (units,) of a linear layer."""
    parts = dict(zip((name for name, _ in model.named_parameters()), gradient, strict=True))
    known = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    if layer is None:
        layer = next(iter(parts)).rpartition(".")[0]  # whose weights come first
        if layer not in known:
            kind = type(model.get_submodule(layer)).__name__
            raise ModelError(
                f"the network begins with {layer!r}, a {kind}, whose weights are shared by many places; "
                f"name a linear layer: {', '.join(known)}"
            )
    if layer not in known:
        raise unknown("linear layer", layer, known)
    if f"{layer}.bias" not in parts:
        raise ModelError(f"the layer {layer!r} has no bias, and without dL/db there is nothing to divide by")
    return parts[f"{layer}.weight"], parts[f"{layer}.bias"]


def as_pictures(model, values, size):
    """Turn inputs of the first linear layer (N, D) back into pixels (N, C, H, W), unclamped.

    Args:
        model: a network that begins with `Normalize` and a flattening.
        values: from `linear_input` or `linear_inputs`.
        size: height and width.
    Returns: what the client's pictures were; of mixtures also values outside [0, 1].
    Raises: InputError if D is not the number of values of such pictures.
    """
    first = next((part for part in model.modules() if isinstance(part, Normalize)), Normalize((0.0,) * 3, (1.0,) * 3))
    mean, std = first.mean.to(values), first.std.to(values)
    if values.shape[1:] != (mean.numel() * size[0] * size[1],):
        raise InputError(
            f"{values.shape[1]} values are no picture of {size[0]}×{size[1]} pixels in {mean.numel()} colours; "
            "pass the size of the client's pictures"
        )
    return values.unflatten(1, (mean.numel(), *size)) * std + mean


# What a client can do before it sends


def noisy(gradient, ratio, seed=0):
    """Add Gaussian noise to a gradient, as large as ``ratio`` times the root mean square of all its values.

    Raises: InputError for a negative ratio.
    """
    if not ratio >= 0:
        raise InputError(f"ratio must be a number from 0 on, e.g. 0.1, got {ratio!r}")
    values = torch.cat([part.flatten() for part in gradient])
    generator, size = torch.Generator().manual_seed(seed), ratio * values.square().mean().sqrt()
    return [part + size * torch.randn(part.shape, generator=generator).to(part) for part in gradient]


def pruned(gradient, share):
    """Set the smallest values of each tensor to zero, ``share`` of them, as one does to save bandwidth.

    Raises: InputError for a share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise InputError(f"share must lie in [0, 1), the part that is not sent, got {share!r}")
    return [keep_largest(part, share) for part in gradient]


def keep_largest(part, share):
    """Return one tensor without the smallest ``share`` of its values, nor those that tie with the largest of these."""
    dropped = int(share * part.numel())
    if not dropped:
        return part.clone()
    border = part.abs().flatten().kthvalue(dropped).values
    return torch.where(part.abs() > border, part, torch.zeros_like(part))
