r"""Zeiler & Fergus look at the first layer of AlexNet, see what is wrong, and mend it.  Their repair at our scale.

What they saw: a few filters dominate, others are dead; and the second layer is full of aliasing, because the first one
takes large steps.  What they did:

    1. renormalise       a filter whose RMS exceeds a radius is set back to that radius, after every step
    2. look closer       filters of 7 x 7 instead of 11 x 11
    3. look more often   every 2 pixels instead of every 4

`aliasing` makes the second complaint a number.  A filter that is asked only every $s$ pixels can tell waves up to
$1 / 2s$ cycles per pixel; what it lets through beyond appears as another, coarser wave that is not in the picture.  The
share of its energy there is the share of its answer that cannot be trusted.

Source: Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2 and figure 6.
"""

from collections import OrderedDict

import torch
from torch import nn

from lecturekit.errors import InputError
from lecturekit.features.initialise import initialised
from lecturekit.networks.layers import Normalize
from lecturekit.networks.lecturenet import named

GRID = 64  # waves along each axis, on which filters are taken apart


def stem_net(classes, *, kernel, stride, filters=32, seed=0):
    """Return a small network whose first layer is the question: ``kernel`` 11 and ``stride`` 4, or 7 and 2.

    Everything behind is alike; a pooling to 4 x 4 places makes the linear layer fit either.

    Args:
        classes: the names of the classes.
        kernel, stride: of the first convolution.
        filters: of the first layer.
        seed: of the weights (He's).
    Returns: an ``nn.Sequential`` from pixels (N, 3, H, W) in [0, 1] to logits (N, K).
    """
    layers = OrderedDict(
        normalize=Normalize(),
        conv1=nn.Conv2d(3, filters, kernel, stride, padding=kernel // 2),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(filters, 48, 3, padding=1),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        conv3=nn.Conv2d(48, 48, 3, padding=1),
        relu3=nn.ReLU(),
        pool3=nn.AdaptiveAvgPool2d(4),
        flatten=nn.Flatten(),
        fc4=nn.Linear(48 * 16, len(classes)),
    )
    return named(initialised(nn.Sequential(layers), "he", seed), classes)


def aliasing(layer):
    """Return, for each filter, the share of its energy in waves too fine for its stride, (K,); 0 for a stride of 1.

    Args:
        layer: a convolution.
    Raises: InputError for something else.
    """
    if not isinstance(layer, nn.Conv2d):
        raise InputError(f"aliasing is a matter of convolutions that stride, got {type(layer).__name__}")
    spectrum = torch.fft.rfft2(layer.weight.detach(), s=(GRID, GRID)).abs().square().sum(dim=1)  # (K, G, G / 2 + 1)
    spectrum[..., 1 : GRID // 2] *= 2  # rfft leaves out the mirror images of these waves
    down, right = torch.fft.fftfreq(GRID)[:, None].abs(), torch.fft.rfftfreq(GRID)[None, :]
    rows, columns = (1 / (2 * step) for step in layer.stride)  # the finest waves that the steps can carry
    lost = ((down > rows) | (right > columns)).to(spectrum.device)
    return (spectrum * lost).sum(dim=(1, 2)) / spectrum.sum(dim=(1, 2)).clamp(min=1e-30)


@torch.no_grad()
def renormalise(layer, radius):
    """Set every filter whose root mean square exceeds ``radius`` back to it, in place; return how many that were.

    Args:
        layer: a convolution or linear layer.
        radius: the largest RMS allowed.  Zeiler & Fergus take 0.1 for pixels up to 255; for a network that normalises
            its pixels, twice the median at the start is a good choice.
    """
    if not radius > 0:
        raise InputError(f"radius must be above 0, got {radius!r}")
    sizes = layer.weight.flatten(1).square().mean(dim=1).sqrt()
    shrink = (radius / sizes).clamp(max=1)  # a filter of zeros: infinity, and so 1
    layer.weight.mul_(shrink.view(-1, *[1] * (layer.weight.dim() - 1)))
    return int((sizes > radius).sum())


def renormalising(layer, radius, watch=None):
    """Return a watch for `learn` that renormalises ``layer`` after every report."""

    def renormalise_then_tell(step):
        renormalise(layer, radius)
        return watch(step) if watch else None

    return renormalise_then_tell
