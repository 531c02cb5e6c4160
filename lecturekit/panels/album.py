"""What life offers a unit: its strongest places in the drawings of the picture book, whatever size the network wants.

A layer is gone through once, which takes seconds; after that its hundred filters cost nothing.  The beginnings of the
way to a unit that several panels share stand here as well.
"""

import torch
from torch import nn

from lecturekit import features
from lecturekit.capture import cut
from lecturekit.deconv.chain import way_to
from lecturekit.features.stream import answer, as_maps
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.panels.base import Memory
from lecturekit.panels.gallery import PATCHES, world_of
from lecturekit.panels.source import BOOK
from lecturekit.pictures import photographs

BATCH = 10  # drawings between two looks at whether somebody wants another unit: a tenth of a second
PASS_ON = nn.ReLU | nn.MaxPool2d | nn.Dropout  # what a unit may lie behind and still be the same unit


class Album:
    """The drawings, and the strongest of them for every filter of every layer that was asked for.

    Args:
        shelf: the `shelf.Shelf` of the panel, which says how large pictures are.

    Attributes:
        data: the drawings, as `features.gallery` takes them; no network was trained on them.
        names: of their classes, one for each drawing.
    """

    def __init__(self, shelf):
        book, self.names, _ = world_of(BOOK)
        self.data = book if shelf.size == book.images.shape[1] else Resized(book, shelf.size)
        self.shelf, self.memory = shelf, Memory()

    def known(self, network, layer):
        """Return the `features.Gallery` of a layer that was gone through before, or None."""
        return self.memory.recall((network, layer))

    def gallery(self, network, layer, watch):
        """Return the `features.Gallery` of a layer; one that was stopped early is not kept."""
        known = self.known(network, layer)
        if known:
            return known
        found = features.gallery(
            self.shelf.opened(network).model, layer, self.data, k=PATCHES, batch=BATCH, watch=watch
        )
        return self.memory.keep((network, layer), found) if found.complete else found


class Resized:
    """The drawings of a book at another size, one at a time: three hundred of them at once would fill the memory.

    Args:
        book: a data set of pictures and labels.
        size: pixels a side.
    """

    def __init__(self, book, size):
        self.book, self.size = book, size

    def __len__(self):
        return len(self.book)

    def __getitem__(self, i):
        return photographs.crop_to(self.book[i][0][None], self.size)[0]


def layers_of(shelf, network):
    """Return the layers that one can walk back from, and their shapes; a softmax has no way down."""
    return {name: shape for name, shape in shelf.opened(network).shapes.items() if name != PROBABILITIES}


def before_relu(model, layer):
    """Return the layer where a unit's wish is painted: in front of the ReLU and the pooling that it lies behind.

    A unit that is off has no slope behind its ReLU, and would never begin.  Where the network branches, the layer in
    front may be another unit's; there it is painted where it stands.
    """
    way, why = way_to(model, layer)
    while not why and len(way) > 1 and isinstance(way[-1][1], PASS_ON):
        way = way[:-1]
    return layer if why else way[-1][0]


def loudest(model, layer, channel, x):
    """Return what a filter answers to each picture where it answers most, (N, C, H, W) -> (N,)."""
    return as_maps(answer(cut(model, layer), x))[:, channel].flatten(1).amax(dim=1)


def times(value, life):
    """Return in words how an answer stands to the largest that a drawing brings about."""
    return f"{value / life:.2g} × the best drawing" if life > 0 else "no drawing brings it above zero"


def on_device(x, model):
    """Return pictures where the network is."""
    return x.to(next(model.parameters(), torch.zeros(())))
