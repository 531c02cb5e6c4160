"""What there is to say about one unit: its map, what it saw, three ways down from there, its wish, and its patches.

The picture's part, `looked_at`, takes milliseconds; the unit's own part, `wished`, takes seconds and is the same for
every picture.
"""

import dataclasses
from typing import NamedTuple

import torch

from lecturekit import deconv, features, measure
from lecturekit.capture import cut
from lecturekit.errors import ModelError
from lecturekit.features.exemplars import ROOM
from lecturekit.features.gallery import crop
from lecturekit.features.stream import answer, as_maps, field
from lecturekit.panels.album import before_relu, loudest
from lecturekit.panels.source import Chosen

RULES = ("gradient", "guided", "deconvnet")


class Wish(NamedTuple):
    """The picture that a unit wishes for.

    Attributes:
        x: what the unit sees of it, (1, 3, side, side) in [0, 1].
        answer: what the unit answers to it, by a fresh forward pass.
        complete: False if it was stopped early.
    """

    x: torch.Tensor
    answer: float
    complete: bool


class Nine(NamedTuple):
    """The nine strongest patches, (9, 3, side, side) in [0, 1], strongest first; the answers, and what they show."""

    patches: torch.Tensor
    answers: list
    names: list


class Looked(NamedTuple):
    """What the panel shows of one unit.

    Attributes:
        chosen: the picture and its name.
        layer, filter: which unit.
        map: its answers (h, w); (1, 1) in a layer without places.
        place: (row, column) of the strongest.
        rank: how many filters of the layer answer more, each at its strongest place; and how many filters there are.
        field: (top, left, bottom, right) in pixels: what is seen from there.  None if it is silent in this picture.
        projections: by rule, what arrives in the field, signed, (1, 3, h, w); or the words why there is nothing.
        likeness: by rule, correlation of that with the patch, colours averaged; NaN where one of them is flat.
        nine: the `Nine`; None until the drawings were gone through.
        wish: the `Wish`; None until it was painted.
        shows: the class, if the unit is the score of one.
    """

    chosen: Chosen
    layer: str
    filter: int
    map: torch.Tensor
    place: tuple
    rank: tuple
    field: tuple | None
    projections: dict
    likeness: dict
    nine: Nine | None = None
    wish: Wish | None = None
    shows: str = ""

    @property
    def answer(self):
        """What the unit answers to the picture where it answers most."""
        return self.map[self.place].item()

    @property
    def patch(self):
        """What it sees from there, (1, 3, h, w) in [0, 1]; None if it is silent."""
        return None if self.field is None else inside(self.chosen.x, self.field)


def looked_at(seen, chosen, channel):
    """Return the quick part of a `Looked`: map, place, field and projections of one filter of a climb."""
    maps = as_maps(seen.answers)[0]  # (K, h, w)
    loud = maps.flatten(1).amax(dim=1)
    place, rank = divmod(int(maps[channel].argmax()), maps.shape[-1]), (int((loud > loud[channel]).sum()), len(maps))
    looked = Looked(chosen, seen.layer, channel, maps[channel], place, rank, None, {}, {})
    units = seen.answers.dim() == 2
    if not looked.answer > 0 and not (units and looked.answer < 0):  # a class score has a sign, an activation has none
        return looked._replace(projections=dict.fromkeys(RULES, "nothing to follow: it is silent in this picture"))
    selected = deconv.one(seen, channel, *(() if units else place))
    window = deconv.field(seen, selected)
    top, left = window.tops[0], window.lefts[0]
    box = top, left, top + window.height, left + window.width
    found = {rule: followed(seen, selected, rule, box) for rule in RULES}
    return looked._replace(field=box, projections=found, likeness=likenesses(found, inside(chosen.x, box)))


def followed(seen, selected, rule, box):
    """Return what arrives in the field by one rule, signed, (1, 3, h, w); or why the network cannot be followed so."""
    try:
        return inside(deconv.project(seen, selected, rule), box)
    except ModelError as problem:  # the other views of the unit are as good as ever
        return str(problem)


def likenesses(found, patch):
    """Return the correlation of each projection with the patch, colours averaged, by rule."""
    pictures = {rule: picture for rule, picture in found.items() if not isinstance(picture, str)}
    grey = patch.mean(dim=1)
    return {rule: measure.correlation(picture.mean(dim=1), grey).item() for rule, picture in pictures.items()}


def wished(model, layer, channel, size, watch):
    """Paint what the unit in the middle of the map wishes for, no larger than it sees, and return the `Wish`."""
    at = before_relu(model, layer)
    part, seen = cut(model, at), field(model, at, (3, size, size))
    sides = (size, size) if seen is None else tuple(min(size, span.size + 2 * ROOM) for span in seen)

    def shown(step):
        picture = None if step.picture is None else seen_from_the_middle(part, seen, step.picture)
        return watch(dataclasses.replace(step, picture=picture))

    found = features.maximise(model, at, features.neuron(channel), **features.tuned(at), size=sides, watch=shown)
    middle = seen_from_the_middle(part, seen, found.x)
    return Wish(middle, loudest(model, layer, channel, found.x).item(), found.complete)


def seen_from_the_middle(part, seen, x):
    """Return what the unit in the middle of the map sees of pictures, (N, 3, side, side), grey outside of them."""
    if seen is None:
        return x
    sides = as_maps(answer(part, x[:1])).shape[-2:]
    first = [span.start + side // 2 * span.step for span, side in zip(seen, sides, strict=True)]
    box = torch.tensor([*first, *(at + span.size for at, span in zip(first, seen, strict=True))])
    return crop(x, box.expand(len(x), 4))


def inside(x, box):
    """Return what lies in a box of pictures (N, C, H, W)."""
    top, left, bottom, right = box
    return x[..., top:bottom, left:right]


def whole(looked):
    """Tell whether the unit sees all of the picture."""
    return tuple(looked.field) == (0, 0, *looked.chosen.x.shape[-2:])
