r"""The inverse network: trained once to turn a code back into its picture, then as quick as one forward pass.

For a layer $\Phi$ and pictures $x$ it minimises over its weights $w$

$$ \mathbb{E}_x \, \| x - f_w(\Phi(x)) \|^2 . $$

Many pictures share a code, and the number that is nearest to all of them in the square is their mean.  So $f$ gives the
*average* of what could have been there: what is sharp in it, the code knows; what is blurred, the code leaves open.

A map is enlarged by *up-convolution*: put zeros between its values, then convolve.  torch calls the two steps together
``ConvTranspose2d``; with kernel 4 and stride 2 every output pixel is reached by the same number of weights, so that no
chequerboard appears::

    code of conv3, 96x16x16  -> 3x3 -> 3x3 64x16x16 -> up 32x32x32 -> 3x3 -> up 16x64x64 -> 3x3 -> 3x64x64
    code of fc6, 192         -> linear -> linear 64x4x4 -> up -> up -> up -> up 16x64x64 -> 3x3 -> 3x64x64

Source: Dosovitskiy & Brox 2016, arXiv:1506.02753, sections 3 and 4.  Theirs invert AlexNet and are larger; leaky ReLUs
of slope 0.2 and Adam are theirs.  Ours end in a sigmoid, since pixels lie in [0, 1].
"""

import math
from collections import OrderedDict

import torch
from torch import nn

from lecturekit.errors import InputError, unknown
from lecturekit.networks import zoo

SIDE = 64  # pixels a side of the pictures
SEED_SIDE = 4  # a vector is first turned into maps of 4x4
NARROWEST = 16


def inverse_net(code_shape):
    """Build an inverse network, with fresh weights, for codes of this shape.

    Args:
        code_shape: (C, h, w) of a map whose side divides 64 by a power of two, or (K,) of a vector.
    Returns: an ``nn.Sequential`` from codes (N, *code_shape) to pictures (N, 3, 64, 64) in [0, 1].
    Raises: InputError for a shape that cannot grow to 64 by doubling.
    """
    if len(code_shape) not in (1, 3):
        raise InputError(f"a code is a vector (K,) or a map (C, h, w), got the shape {tuple(code_shape)}")
    layers, channels, side = from_map(*code_shape) if len(code_shape) == 3 else from_vector(*code_shape)
    doublings = round(math.log2(SIDE / side))
    for i in range(1, doublings + 1):
        narrower = max(NARROWEST, channels // 2 if len(code_shape) == 3 else int(channels / 1.5) // 8 * 8)
        layers[f"up{i}"] = nn.ConvTranspose2d(channels, narrower, kernel_size=4, stride=2, padding=1)
        layers[f"act_up{i}"] = nn.LeakyReLU(0.2)
        if len(code_shape) == 3 and i < doublings:
            layers[f"smooth{i}"] = nn.Conv2d(narrower, narrower, 3, padding=1)
            layers[f"act_smooth{i}"] = nn.LeakyReLU(0.2)
        channels = narrower
    layers["pixels"] = nn.Conv2d(channels, 3, 3, padding=1)
    layers["sigmoid"] = nn.Sigmoid()
    return nn.Sequential(layers).to(memory_format=torch.channels_last)  # a third faster on a processor


def from_vector(values):
    """Two linear layers that turn a vector into 64 maps of 4x4."""
    hidden, channels = 256, 64
    layers = OrderedDict(normalise=Standardise((values,)), fc1=nn.Linear(values, hidden), act1=nn.LeakyReLU(0.2))
    layers["fc2"] = nn.Linear(hidden, channels * SEED_SIDE**2)
    layers["act2"] = nn.LeakyReLU(0.2)
    layers["maps"] = nn.Unflatten(1, (channels, SEED_SIDE, SEED_SIDE))
    return layers, channels, SEED_SIDE


def from_map(channels, height, width):
    """Two convolutions that look at the map before it grows."""
    if height != width or height < 1 or SIDE % height:  # 64 is a power of two, and so are all that divide it
        raise InputError(f"a map of {height}x{width} cannot be doubled up to {SIDE}x{SIDE}; its side is 1, 2, 4 ... 64")
    layers, wide = OrderedDict(normalise=Standardise((channels, 1, 1))), min(channels, 64)
    for i in (1, 2):
        layers[f"conv{i}"] = nn.Conv2d(channels, wide, 3, padding=1)
        layers[f"act{i}"] = nn.LeakyReLU(0.2)
        channels = wide
    return layers, channels, height


class Standardise(nn.Module):
    """Shift and scale codes to mean 0 and deviation 1 per channel, so that one learning rate suits every layer.

    A channel that is constant in what was measured is only shifted: no scale would make it informative, and a tiny one
    would blow up the first picture in which it does answer.
    """

    def __init__(self, shape):
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def measure(self, codes):
        """Take mean and deviation from ``codes`` (N, ...) and return self."""
        axes = [0, *range(2, codes.dim())]
        self.mean.copy_(codes.float().mean(axes).view_as(self.mean))
        deviation = codes.float().std(axes).view_as(self.scale)
        self.scale.copy_(torch.where(deviation > 1e-6, deviation, 1.0))
        return self

    def forward(self, code):
        """(N, ...) -> (N, ...)."""
        return (code - self.mean) / self.scale


def inverse_name(model_name, layer):
    """Return the name under which the inverse network of one layer is shipped."""
    return f"{model_name}_inverse_{layer}"


def inverse_layers(model_name, folder=zoo.WEIGHTS):
    """Return the layers of a shipped network that have an inverse network, from the picture to the class."""
    start = inverse_name(model_name, "")
    found = {name.removeprefix(start): card for name, card in zoo.cards(folder).items() if name.startswith(start)}
    return sorted(found, key=lambda layer: found[layer]["depth"])


def load_inverse(model_name, layer, folder=zoo.WEIGHTS):
    """Return the shipped inverse network of one layer, in evaluation mode and frozen.

    Args:
        model_name: ``"picturebook"`` or ``"photographs"``.
        layer: one of ``inverse_layers(model_name)``, e.g. ``"conv3"`` or ``"probabilities"``.
    Returns: codes (N, ...) of that layer to pictures (N, 3, 64, 64) in [0, 1].
    Raises: InputError for a pair that is not shipped; FileError for damaged weights.
    """
    name = inverse_name(model_name, layer)
    known = inverse_layers(model_name, folder)
    if not known:
        others = {card["of"] for card in zoo.cards(folder).values() if "of" in card}
        raise unknown("network with inverse networks", model_name, sorted(others))
    if layer not in known:
        raise unknown(f"inverse network of {model_name}", layer, known)
    shape = tuple(zoo.card(name, folder)["code_shape"])
    return zoo.restore(inverse_net(shape), name, folder)
