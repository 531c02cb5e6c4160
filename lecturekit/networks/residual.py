"""A second architecture, so that "does it hold for another network?" can be asked: a small residual network.

Three blocks in the manner of He et al. 2016 (arXiv:1512.03385, Figure 2): two 3x3 convolutions whose output is added to
the block's input.  The path branches, so nothing here can be turned round layer by layer like `lecturenet`.
"""

import copy
from collections import OrderedDict

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lecturekit.networks.layers import Normalize
from lecturekit.networks.lecturenet import named

WIDTHS = (32, 64, 128)


class Block(nn.Module):
    """relu(conv2(relu(conv1(x))) + shortcut(x)); the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, channels, width, stride, batch_norm):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(width) if batch_norm else nn.Identity()
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(width) if batch_norm else nn.Identity()
        same = channels == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x):
        """(N, C, H, W) -> (N, width, H / stride, W / stride)."""
        inner = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(inner)) + self.shortcut(x))


def residual_net(classes, *, batch_norm=False):
    """Build the small residual network; arguments and result as for `lecturenet.lecture_net`."""
    layers = OrderedDict(normalize=Normalize(), conv1=nn.Conv2d(3, WIDTHS[0], 5, stride=2, padding=2))
    if batch_norm:
        layers["bn1"] = nn.BatchNorm2d(WIDTHS[0])
    layers["relu1"] = nn.ReLU()
    channels = WIDTHS[0]
    for i, width in enumerate(WIDTHS, start=2):
        layers[f"block{i}"] = Block(channels, width, 1 if i == 2 else 2, batch_norm)
        channels = width
    layers.update(average=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(channels, len(classes)))
    return named(nn.Sequential(layers), classes)


def folded_residual(model):
    """Return the same function without batch normalisation; see `lecturenet.folded`."""
    plain = copy.deepcopy(model).eval()
    for part in (plain, *blocks(plain)):
        for conv, bn in (("conv1", "bn1"), ("conv2", "bn2")):
            if isinstance(getattr(part, bn, None), nn.BatchNorm2d):
                setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, bn)))
                setattr(part, bn, nn.Identity().eval())
    layers = OrderedDict((name, layer) for name, layer in plain.named_children() if name != "bn1")
    return named(nn.Sequential(layers).eval(), model.classes)


def blocks(model):
    """Return the residual blocks of a network, in order."""
    return [layer for layer in model if isinstance(layer, Block)]
