"""All filters of a layer, with how often and how strongly they answer; a roll that a panel looks filters up in."""

import functools
import math
from typing import NamedTuple

import torch

from lecturekit import features
from lecturekit.features.diagnose import followers
from lecturekit.features.stream import answers, as_maps, pictures
from lecturekit.panels.gallery import World, world_of
from lecturekit.panels.source import BOOK
from lecturekit.pictures import picturebook
from lecturekit.progress import STOP, Step


class Roll(NamedTuple):
    """What is known about all filters of a layer.

    Attributes:
        layer: its name.
        census: the `features.Census` of the whole network.
        places: the share of all places at which each filter is above zero, (K,).
        seen: the share of all pictures in which it is above zero anywhere, (K,).
        mean, largest: of its answers, (K,).
        gallery: the `features.Gallery` of the layer.
        scores: the `features.PartScores`, or None where parts are not known or were not asked for.
    """

    layer: str
    census: features.Census
    places: torch.Tensor
    seen: torch.Tensor
    mean: torch.Tensor
    largest: torch.Tensor
    gallery: features.Gallery
    scores: features.PartScores | None


class Counted(NamedTuple):
    """What the panel shows: a `Roll`, one filter of it, its weights (C, k, k) or (C,), and its patches (9, 3, h, w).

    ``planted`` is (defect, what a census must call it, layer, filter), or None.
    """

    roll: Roll
    filter: int
    weight: torch.Tensor
    patches: torch.Tensor
    planted: tuple | None

    @property
    def findings(self):
        """What is wrong with the filter, a list of `features.Finding`."""
        here = (self.roll.layer, self.filter)
        return [found for found in self.roll.census.findings if (found.layer, found.filter) == here]

    @property
    def found(self):
        """Whether the census calls the planted defect by its name; None if there is none."""
        return None if self.planted is None else tuple(self.planted[2:]) in self.roll.census.of(self.planted[1])


class Heard:
    """A `watch` that remembers whether it was told to stop."""

    def __init__(self, watch):
        self.watch, self.stopped = watch, False

    def __call__(self, step):
        """Pass a step on."""
        answer = self.watch(step)
        self.stopped |= answer == STOP
        return answer


@functools.lru_cache(16)
def few(name, count):
    """Return the first pictures of a world."""
    world = world_of(name)
    data = picturebook.PictureBook("test", count) if name == BOOK else world.data[:count]
    return World(data, world.names[:count], None if world.masks is None else world.masks[:count])


def fired(model, layer, data, watch):
    """Return how often and how strongly each filter of a layer answers: places, seen, mean, largest, (K,) each.

    What counts is the answer behind the activation that follows, if one does.
    """
    behind = followers(model, tuple(pictures(data, slice(0, 1)).shape[1:])).get(layer, (layer,))[0]
    totals, largest, done = 0, torch.tensor(-math.inf), 0
    for _, x, code in answers(model, behind, data, batch=50):
        maps = as_maps(code).flatten(2).cpu()  # (n, K, places)
        totals = totals + torch.stack([(maps > 0).float().mean(2), (maps > 0).any(2).float(), maps.mean(2)]).sum(1)
        largest = torch.maximum(largest, maps.amax((0, 2)))
        done += len(x)
        if watch(Step(done, len(data))) == STOP:
            break
    return *(totals / done), largest
