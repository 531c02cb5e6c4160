"""Ten ways to break a network on purpose, so that one can practise finding them: each breaks one filter and says which.

``plant("copy", model, "conv3", 17, x)`` returns a broken copy of the network; the one given stays whole.  A census that
does not find all ten, or that finds anything in a healthy network, is no census.
"""

import copy

import torch
from torch import nn

from lecturekit.capture import activations
from lecturekit.errors import InputError, unknown
from lecturekit.features.stream import whole


def plant(name, model, layer, k, x):
    """Return a copy of a network with one filter broken.

    Args:
        name: one of `DEFECTS`.
        model: a healthy network, a plain ``nn.Sequential``.
        layer: a convolutional or linear layer in it; the first one for ``"noise"``.
        k: number of the filter, from 1 on (filter 0 is what copies are made of).
        x: pictures (N, C, H, W) in [0, 1] that tell how strongly filters answer.
    Returns: (the broken network, the kind that a census must call it).
    Raises: InputError for an unknown defect or layer, or a filter that the layer does not have.
    """
    if name not in DEFECTS:
        raise unknown("defect", name, DEFECTS)
    broken = copy.deepcopy(model)
    module = dict(broken.named_modules()).get(layer)
    if not isinstance(module, nn.Conv2d | nn.Linear):
        raise InputError(f"{layer!r} is no convolutional or linear layer of the network; name one, e.g. 'conv3'")
    if not whole(k, 1, len(module.weight) - 1):
        raise InputError(f"{layer} has filters 1 to {len(module.weight) - 1} besides filter 0, got {k!r}")
    damage, kind = DEFECTS[name]
    with torch.no_grad():
        damage(broken, layer, module, k, x)
    return broken, kind


def deep_bias(model, layer, module, k, x):
    """Throw the bias so far below zero that the filter never fires."""
    module.bias[k] -= 2 * activations(model, x, layer)[layer][:, k].max().clamp(min=0) + 10


def rare(model, layer, module, k, x):
    """Lower the bias until only one place in 5,000 is left above zero."""
    values = activations(model, x, layer)[layer][:, k].flatten()
    size = max(1, values.numel() // 5000)
    module.bias[k] -= values.topk(size + 1).values[-1]


def high_bias(model, layer, module, k, x):
    """Raise the bias so far that everything else no longer shows."""
    module.bias[k] += 1000 * activations(model, x, layer)[layer][:, k].std() + 1


def no_weights(_model, _layer, module, k, _x):
    """Set the weights to zero."""
    module.weight[k] = 0


def copied(_model, _layer, module, k, _x):
    """Make the filter equal to filter 0."""
    module.weight[k], module.bias[k] = module.weight[0], module.bias[0]


def scaled(_model, _layer, module, k, _x):
    """Make the filter one and a half times filter 0: another size, the same question."""
    module.weight[k], module.bias[k] = 1.5 * module.weight[0], 1.5 * module.bias[0]


def mirrored(_model, _layer, module, k, _x):
    """Make the filter the negative of filter 0."""
    module.weight[k], module.bias[k] = -module.weight[0], -module.bias[0]


def giant(_model, _layer, module, k, _x):
    """Make the filter thirty times as strong."""
    module.weight[k] *= 30
    module.bias[k] *= 30


def noise(_model, _layer, module, k, _x):
    """Replace the filter by a checkerboard, the finest noise there is, of the same size."""
    rows, columns = (torch.arange(side) for side in module.weight.shape[-2:])
    board = (1 - 2 * ((rows[:, None] + columns) % 2)).to(module.weight)
    module.weight[k] = board * module.weight[k].square().mean().sqrt()


def not_a_number(_model, _layer, module, k, _x):
    """Put one NaN into the bias."""
    module.bias[k] = torch.nan


DEFECTS = {  # name: (how it is done, what a census must call it)
    "deep bias": (deep_bias, "dead"),
    "rare": (rare, "sleepy"),
    "high bias": (high_bias, "stuck"),
    "no weights": (no_weights, "weightless"),
    "copy": (copied, "duplicate"),
    "scaled copy": (scaled, "duplicate"),
    "mirror image": (mirrored, "duplicate"),
    "giant": (giant, "dominant"),
    "noise": (noise, "noisy"),
    "not a number": (not_a_number, "broken"),
}
