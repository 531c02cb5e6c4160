"""Networks that know faces: who it is, or what the face is like.  They judge what a reconstruction gives away.

Whoever measures a leak needs a judge that had no part in it.  These networks share nothing with those that are
inverted: other pictures, other classes, other widths.  One architecture serves both, small enough to be trained in
minutes::

    pixels 3x64x64
      conv1 5x5  24x64x64   relu1   pool1  24x32x32
      conv2 3x3  48x32x32   relu2   pool2  48x16x16
      conv3 3x3  64x16x16   relu3   pool3  64x8x8
      conv4 3x3  96x8x8     relu4   pool4  96x4x4
      embedding  96         what is compared when two faces are compared
      relu5, answers        one logit for each person, or for each answer

The trap: the logits of the people it was trained on are useless for anybody else.  Strangers are told apart by the
*embedding*, by the angle between two of them.
"""

from collections import OrderedDict

from torch import nn

from lecturekit.networks.layers import Normalize
from lecturekit.networks.lecturenet import named

WIDTHS = (24, 48, 64, 96)
EMBEDDING = 96
SIDE = 64


def face_net(classes, *, batch_norm=False, dropout=0.0):
    """Build a network for faces with fresh weights; arguments and result as for `lecturenet.lecture_net`."""
    layers, channels = OrderedDict(normalize=Normalize()), 3
    for i, width in enumerate(WIDTHS, start=1):
        kernel = 5 if i == 1 else 3
        layers[f"conv{i}"] = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        if batch_norm:
            layers[f"bn{i}"] = nn.BatchNorm2d(width)
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"pool{i}"] = nn.MaxPool2d(2)
        channels = width
    layers["flatten"] = nn.Flatten()
    if dropout:
        layers["dropout"] = nn.Dropout(dropout)
    layers["embedding"] = nn.Linear(channels * (SIDE // 2 ** len(WIDTHS)) ** 2, EMBEDDING)
    layers["relu5"] = nn.ReLU()
    layers["answers"] = nn.Linear(EMBEDDING, len(classes))
    return named(nn.Sequential(layers), classes)
