"""The network of the course: five convolutions, three poolings, three linear layers, and nothing else.

Its layers have the names of AlexNet in the papers (Krizhevsky et al. 2012; Mahendran & Vedaldi 2015), so that a student
who reads "inverting relu5 of AlexNet" finds the same word here.  One configuration serves both worlds::

    pixels 3x64x64
      conv1 5x5   32x64x64   relu1   pool1  32x32x32
      conv2 5x5   64x32x32   relu2   pool2  64x16x16
      conv3 3x3   96x16x16   relu3
      conv4 3x3   96x16x16   relu4
      conv5 3x3   64x16x16   relu5   pool5  64x8x8
      fc6 192     relu6
      fc7 128     relu7
      fc8         one logit per class

Batch normalisation and dropout make training quick and are folded away or dropped afterwards: what a student looks into
is convolution, ReLU, max-pooling and linear layers only, in a plain ``nn.Sequential`` that can be sliced by hand.
"""

import copy
from collections import OrderedDict

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lecturekit.networks.layers import Normalize

WIDTHS = (32, 64, 96, 96, 64)  # filters of conv1 ... conv5
UNITS = (192, 128)  # of fc6 and fc7
POOLED = (1, 2, 5)  # the convolutions that a 2x2 max-pooling follows
SIZE = 64  # pixels a side


def lecture_net(classes, *, batch_norm=False, dropout=0.0):
    """Build the network of the course with fresh weights (torch's default initialisation).

    Args:
        classes: the names of the classes, in the order of the logits.
        batch_norm: put ``bn1`` ... ``bn5`` behind the convolutions, for training; see `folded`.
        dropout: share of values that are dropped before fc6 and fc7 during training.
    Returns: an ``nn.Sequential`` from pixels (N, 3, 64, 64) in [0, 1] to logits (N, K), with the attribute ``classes``.
    """
    layers, channels = OrderedDict(normalize=Normalize()), 3
    for i, width in enumerate(WIDTHS, start=1):
        kernel = 5 if i <= 2 else 3
        layers[f"conv{i}"] = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        if batch_norm:
            layers[f"bn{i}"] = nn.BatchNorm2d(width)
        layers[f"relu{i}"] = nn.ReLU()  # one module each, never in place: hooks must see what conv put out
        if i in POOLED:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        channels = width
    layers["flatten"] = nn.Flatten()
    values = channels * (SIZE // 2 ** len(POOLED)) ** 2
    for i, width in enumerate(UNITS, start=6):
        if dropout:
            layers[f"dropout{i}"] = nn.Dropout(dropout)
        layers[f"fc{i}"] = nn.Linear(values, width)
        layers[f"relu{i}"] = nn.ReLU()
        values = width
    layers["fc8"] = nn.Linear(values, len(classes))
    return named(nn.Sequential(layers), classes)


def named(model, classes):
    """Write the class names onto a network and return it."""
    model.classes = tuple(classes)
    return model


def folded(model):
    """Return the same function without batch normalisation and dropout, for looking into.

    In evaluation mode batch normalisation is one multiplication and one addition per channel, which the convolution
    before it can do itself: W' = W * gamma / sigma,  b' = (b - mu) * gamma / sigma + beta.  Outputs differ by rounding
    only, about 3e-6.  ``model`` itself stays as it was.
    """
    layers, previous = OrderedDict(), None
    model = copy.deepcopy(model).eval()
    for name, layer in model.named_children():
        if isinstance(layer, nn.BatchNorm2d):
            layers[previous] = fuse_conv_bn_eval(layers[previous], layer)
        elif not isinstance(layer, nn.Dropout):
            layers[name] = layer
            previous = name
    return named(nn.Sequential(layers).eval(), model.classes)
