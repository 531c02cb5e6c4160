r"""The first weights decide whether anything can be learned: a laboratory of good and bad ones.

A ReLU layer multiplies the mean square of what runs through it by $n \sigma^2 / 2$, with $n$ inputs per unit and
weights of variance $\sigma^2$; and the squared length of the gradient, on its way back, likewise.  Over many layers
that is a power:

==================  =======================================  =====================================================
scheme              weights                                  what happens
==================  =======================================  =====================================================
``he``              $\sigma^2 = 2 / n$                       factor 1: the signal keeps its size
``xavier``          $\sigma^2 = 2 / (n + m)$, m outputs      factor 1/2 for n = m: halved at every ReLU layer
``too small``       a tenth of He's $\sigma$                 factor 1/100: gone after three layers
``too large``       ten times He's $\sigma$                  factor 100: infinite after twenty
``constant``        all equal, $1 / n$                       each layer averages; its filters are one, for ever
``negative bias``   He's, and all biases at -2               most units start, and stay, silent
==================  =======================================  =====================================================

`signal` measures both directions layer by layer, and `slope` turns each into one number: decades per layer, 0 for He,
-0.15 for Xavier in layers of equal width.  Beyond 0.1 in either direction, deep networks do not train.

The trap: `healthy` looks at sizes only, and constant weights keep them; that they say the same thing a hundred times is
what a `census` finds.  Another: shallow networks forgive.  Eight layers with Xavier's weights train; thirty do not.

Sources: He et al. 2015, arXiv:1502.01852, equations 10 and 14; Glorot & Bengio 2010, equation 16.
"""

import copy
import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lecturekit.capture import capture
from lecturekit.errors import InputError, ModelError, unknown
from lecturekit.features.diagnose import followers
from lecturekit.features.stream import filter_layers, whole
from lecturekit.pixels import check_pixels
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table

ALARM = 0.1  # decades per layer
BIAS = -2.0


def he(inputs, _outputs):
    """Return the standard deviation of He et al. 2015, equation 10."""
    return math.sqrt(2 / inputs)


def xavier(inputs, outputs):
    """Return the standard deviation of Glorot & Bengio 2010, equation 16."""
    return math.sqrt(2 / (inputs + outputs))


SCHEMES = {  # name: (standard deviation from inputs and outputs, bias, all weights equal?)
    "too small": (lambda n, m: 0.1 * he(n, m), 0.0, False),
    "too large": (lambda n, m: 10 * he(n, m), 0.0, False),
    "constant": (lambda n, m: 1 / n, 0.0, True),
    "xavier": (xavier, 0.0, False),
    "he": (he, 0.0, False),
    "negative bias": (he, BIAS, False),
}


class Signal(NamedTuple):
    """How large what runs through a layer is, forwards and back.

    Attributes:
        layer: its name.
        activation: root mean square of its answer, behind the ReLU if one follows.
        gradient: length of the loss's gradient with respect to that, per picture.  The length and not the mean square:
            pooling hands a gradient on to fewer places, which changes the one and not the other.
        silent: share of its filters that are zero for every picture.
    """

    layer: str
    activation: float
    gradient: float
    silent: float


def initialised(model, scheme, seed=0):
    """Return a copy of a network with first weights of a scheme.

    Args:
        model: any network of convolutional and linear layers.
        scheme: one of `SCHEMES`.
        seed: of the weights.
    Returns: the copy, in the mode of ``model``, its weights ready to be trained.
    Raises: InputError for an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise unknown("scheme", scheme, SCHEMES)
    (deviation, bias, constant), fresh = SCHEMES[scheme], copy.deepcopy(model).requires_grad_(True)
    generator = torch.Generator().manual_seed(seed)
    for layer in fresh.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            places = math.prod(layer.weight.shape[2:])
            sigma = deviation(layer.weight[0].numel(), len(layer.weight) * places)
            noise = torch.randn(layer.weight.shape, generator=generator)  # also when constant: same stream of numbers
            layer.weight.data.copy_(torch.full_like(noise, sigma) if constant else sigma * noise)
            if layer.bias is not None:
                layer.bias.data.fill_(bias)
    return fresh


def signal(model, x, y):
    """Measure how large activations and gradients are at every layer.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K).
        x: pictures (N, C, H, W) in [0, 1].
        y: their classes, whole numbers (N,).
    Returns: a `Table` of `Signal`, from the picture to the class.
    """
    check_pixels(x, "x")
    follow = followers(model, tuple(x.shape[1:]))
    names = {name: follow.get(name, (name,))[0] for name in filter_layers(model, tuple(x.shape[1:]))}
    with torch.enable_grad(), capture(model, *names.values()) as seen:
        # The picture needs a slope so that there is one everywhere, also in a network whose weights are frozen.
        loss = cross_entropy(model(x.detach().clone().requires_grad_(True)), y)
        answers = [seen[name] for name in names.values()]
        slopes = torch.autograd.grad(loss, answers)
    rows = zip(names, answers, slopes, strict=True)
    return Table([Signal(name, _rms(a), _length(g), _silent(a)) for name, a, g in rows], Signal._fields)


def _rms(values):
    norm = torch.linalg.vector_norm(values.detach(), dtype=torch.float64)  # the square of 1e20 is no float32
    return float(f"{norm.item() / values.numel() ** 0.5:.3g}")


def _length(values):
    norms = torch.linalg.vector_norm(values.detach().flatten(1), dim=1, dtype=torch.float64)
    return float(f"{len(norms) * norms.square().mean().sqrt().item():.3g}")  # the loss is a mean over pictures


def _silent(values):
    return round((values.detach().transpose(0, 1).flatten(1).amax(dim=1) <= 0).float().mean().item(), 3)


def slope(values):
    """Return by how many decades a row of positive numbers rises per step, on average: the least-squares slope.

    Args:
        values: one for each layer, at least two, from the picture to the class.
    Returns: minus infinity if the signal dies out: if one of them is zero.
    """
    values = torch.as_tensor(values, dtype=torch.float64)
    if len(values) < 2:
        raise InputError(f"a slope needs at least two layers, got {len(values)}")
    if (values <= 0).any():
        return -math.inf
    place = torch.arange(len(values), dtype=torch.float64) - (len(values) - 1) / 2
    return ((place * values.log10()).sum() / place.square().sum()).item()


def healthy(signals):
    """Tell whether neither activations nor gradients grow or shrink by more than `ALARM` decades per layer.

    The last layer, which no ReLU follows, is left out.
    """
    return all(abs(slope([getattr(row, name) for row in signals[:-1]])) <= ALARM for name in ("activation", "gradient"))


def learn(model, x, y, *, steps=60, batch=64, rate=0.02, momentum=0.9, seed=0, watch=None):
    """Train a network for a little while, by plain gradient descent with momentum, and return the loss of each step.

    Plain on purpose: Adam divides every gradient by its own size and so hides half of what a bad start does.

    Args:
        model: pixels to logits (N, K), changed in place; its weights must need gradients.
        x: pictures (N, C, H, W) in [0, 1], at least ``batch`` of them.
        y: their classes, whole numbers (N,).
        steps, batch, rate, momentum, seed: of the descent.
        watch: see `lecturekit.progress`: the loss of every step, for a live curve.
    Returns: the losses, a list of floats; it ends early on `STOP`, or where the loss is no longer finite.
    Raises: ModelError for frozen weights; InputError for steps or a batch that cannot be.
    """
    if not any(p.requires_grad for p in model.parameters()):
        raise ModelError("the weights are frozen; `initialised` returns a copy that can be trained")
    if not whole(steps, 1) or not whole(batch, 1, len(x)):
        raise InputError(f"steps from 1 on and a batch from 1 to {len(x)}, got {steps!r} and {batch!r}")
    generator, losses = torch.Generator().manual_seed(seed), []
    descent = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=rate, momentum=momentum)
    for done in range(1, steps + 1):
        chosen = torch.randint(len(x), (batch,), generator=generator).to(x.device)
        loss = cross_entropy(model(x[chosen]), y[chosen])
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
        descent.zero_grad()
        loss.backward()
        descent.step()
        if stopped(watch, Step(done, steps, losses[-1])):
            break
    return losses
