"""What makes a filter answer?  Its nine strongest patches, and what the DeconvNet says of each.

::

    patches 3 x 3   |   projections 3 x 3   |   the strongest picture, with the field that the filter saw

The data set is gone through once for each layer; from then on walking through its filters costs nine projections.  On
the picture book the masks tell which part the filter marks, and how often its projections point at that part.

The trap: nine patches are an answer even of a filter that means nothing.  Choose "random weights" as the network.
"""

import functools
from collections import Counter
from typing import NamedTuple

import torch

from lecturekit import deconv, features
from lecturekit.devices import device
from lecturekit.features.gallery import crop
from lecturekit.features.parts import DETECTOR
from lecturekit.features.stream import filter_layers
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Memory, Panel, Part
from lecturekit.panels.shelf import Shelf
from lecturekit.panels.source import BOOK, PHOTOGRAPHS, WORLDS
from lecturekit.pictures import photographs, picturebook
from lecturekit.progress import STOP, Step

DRAWINGS = 300  # of the test book; no network was trained on these
PATCHES = 9
VISITED = 200  # filters that are remembered, a megabyte each at most
SHEET = 288  # pixels a side of nine patches on the screen
LARGE, TILE = 320, 64  # a photograph of 320 pixels a side is cut into 25 tiles; none overlap, or one spot came twice


class World(NamedTuple):
    """A data set and what is known about it.

    Attributes:
        data: as `features.gallery` takes it.
        names: of each picture, its class or photograph.
        masks: the part of every pixel, (N, H, W), or None where nobody knows.
    """

    data: object
    names: tuple
    masks: torch.Tensor | None


class Seen(NamedTuple):
    """What the panel found out about one filter.

    Attributes:
        gallery: the `features.Gallery` of the whole layer.
        filter: its number.
        patches: the nine strongest, (9, 3, side, side) in [0, 1].
        projections: what the DeconvNet makes of each, signed, of the same shape; None for a filter that is silent.
        strongest: the picture of the strongest, (1, 3, H, W).
        names: of the nine pictures.
        part: the part that the filter marks best, or None where that is not known.
        iou: how well it does, in [0, 1], over all pictures.
        points: in how many of those of the nine that have the part the projection points at it, and how many have it.
    """

    gallery: features.Gallery
    filter: int
    patches: torch.Tensor
    projections: torch.Tensor | None
    strongest: torch.Tensor
    names: list
    part: str | None = None
    iou: float | None = None
    points: tuple | None = None


class Gallery(Panel):
    """Walk through the filters of a network: their strongest patches, projections and parts.

    From code: ``panel.set(world=, network=, layer=, filter=)``; ``panel.result`` is a `Seen`.

    Args:
        networks: see `shelf.Shelf`.
        world: ``"picturebook"`` or ``"photographs"``, the ones that are on this machine, cut into tiles.
        settings: where the controls stand at first, e.g. ``layer="conv4", filter=54``.
    """

    def __init__(self, networks=None, *, world=BOOK, **settings):
        self.shelf, self.memory, self.looked = Shelf(networks), Memory(), Memory(VISITED)
        network = knobs.menu("Network", self.shelf.options())
        layers = self._layers(network.value)
        layer = knobs.walk("Layer", layers, "conv4" if "conv4" in layers else None, live=False)
        controls = {
            "world": knobs.menu("World", [choice for choice in WORLDS if choice[1] in (BOOK, PHOTOGRAPHS)], world),
            "network": network,
            "layer": layer,
            "filter": knobs.slider("Filter", 0, self._filters(network.value, layer.value) - 1, 0),
        }
        network.observe(self._network_changed, names="value")
        layer.observe(self._layer_changed, names="value")
        self.patches, self.projections = look.Picture("Patches", SHEET), look.Picture("DeconvNet pictures", SHEET)
        self.strongest = look.Picture("The strongest")
        super().__init__(controls, [look.Strip([self.patches, self.projections, self.strongest])], steps="passes")
        self.begin(settings)

    def _layers(self, network):
        """Return the names of the layers with filters."""
        return filter_layers(self.shelf.opened(network).model, (3, self.shelf.size, self.shelf.size))

    def _filters(self, network, layer):
        """Return how many filters a layer has."""
        return self.shelf.opened(network).shapes[layer][0]

    def _has_places(self, settings):
        """Tell whether the layer answers with maps; only these can mark a part."""
        return len(self.shelf.opened(settings["network"]).shapes[settings["layer"]]) == 3

    def _network_changed(self, event):
        """Offer the layers of the new network; stay at the layer of the same name if there is one."""
        with self.together():
            knobs.offer(self.controls["layer"], self._layers(event["new"]))
            self._layer_changed()

    def _layer_changed(self, _event=None):
        """Offer the filters of the new layer."""
        filters = self._filters(self.controls["network"].value, self.controls["layer"].value)
        with self.together():
            self.controls["filter"].max = filters - 1  # ipywidgets moves the value along

    def compute(self, settings, watch):
        """Return the `Seen` of the chosen filter; a layer that is new is gone through, pictures first, then parts."""
        world, model = world_of(settings["world"]), self.shelf.opened(settings["network"]).model
        layer, key = settings["layer"], tuple(settings[name] for name in ("world", "network", "layer"))
        known, scores = self.memory.recall(key) or (None, None)
        total = len(world.data) * (3 if world.masks is not None else 1)
        found = known or features.gallery(model, layer, world.data, k=PATCHES, watch=Part(watch, 0, total, layer))
        visit = (*key, settings["filter"])
        seen = self.looked.recall(visit) or look_at(model, found, settings["filter"], world)
        if not found.complete:
            return seen
        self.looked.keep(visit, seen)
        if scores is None and world.masks is not None and self._has_places(settings):
            if watch(Step(len(world.data), total, picture=(seen, settings), note="parts")) == STOP:
                return seen
            told = Part(watch, len(world.data), total, "parts")
            scores = features.part_scores(model, layer, world.data, watch=told)
        self.memory.keep(key, (found, scores))
        return seen if scores is None else marked(seen, scores, world)

    def show(self, result, settings):
        """Paint patches, projections and the strongest picture."""
        found, values = result.gallery, result.gallery.values[result.filter]
        title, silent = f"{found.layer}, filter {result.filter}", result.projections is None
        words = "silent: no picture brings it above zero" if silent else f"answers {values[0]:.2f} to {values[-1]:.2f}"
        words += f"\n{counted(result.names)}" + ("" if found.complete else "\nstopped early: of the pictures so far")
        self.patches.paint(look.enlarged(sheet(result.patches), SHEET), words, title=f"{title}: patches")
        self.projections.unveil(not silent)
        if not silent:
            self.projections.paint(look.enlarged(sheet(deconv.visible(result.projections)), SHEET), about_part(result))
        self.strongest.paint(
            look.framed(result.strongest, clipped(found.boxes[result.filter, 0], result.strongest.shape[-2:])),
            f"{result.names[0]}\nframe: what the filter can see",
        )

    def live(self, picture):
        """Paint the pictures while the parts are still being scored."""
        self.show(*picture)


@functools.cache
def world_of(name):
    """Return a `World` by its name."""
    if name == BOOK:
        book = picturebook.PictureBook("test", DRAWINGS)
        names = tuple(picturebook.CLASSES[label] for label in book.labels)
        return World(book, names, torch.from_numpy(book.parts))
    names = [credit.name for credit in photographs.bundled()]
    pieces = [tiles(photographs.photograph(name, LARGE)) for name in names]
    return World(torch.cat(pieces), tuple(name for name, piece in zip(names, pieces, strict=True) for _ in piece), None)


def tiles(x, side=TILE):
    """Cut a picture (1, C, H, W) into squares side by side, (N, C, side, side)."""
    return x[0].unfold(1, side, side).unfold(2, side, side).flatten(1, 2).transpose(0, 1).contiguous()


def look_at(model, found, channel, world):
    """Return the `Seen` of one filter, without its part."""

    def project(x, channels, _places):
        seen = deconv.climb(model, x.to(device()), found.layer)
        return deconv.project(seen, deconv.strongest(seen, int(channels[0]))).cpu()

    silent = channel in found.silent
    projections = None if silent else found.projections(world.data, channel, project)
    names = [world.names[i] for i in found.which[channel].tolist()]
    strongest = found.pictures(world.data, channel)[:1]
    return Seen(found, channel, found.patches(world.data, channel), projections, strongest, names)


def marked(seen, scores, world):
    """Return the `Seen` with the part that the filter marks best, and how often its projections point at it."""
    iou = scores.iou[seen.filter].nan_to_num(-1)
    number = int(iou.argmax())
    if seen.projections is None or iou[number] <= 0:
        return seen
    masks = world.masks[seen.gallery.which[seen.filter]] == number + 1  # 0 is background
    masks = crop(masks[:, None].float(), seen.gallery.boxes[seen.filter], outside=0)[:, 0] > 0
    there = masks.flatten(1).any(dim=1) & seen.projections.flatten(1).any(dim=1)
    hits = int(features.pointing_game(seen.projections[there], masks[there]).hits.sum()) if there.any() else 0
    return seen._replace(part=scores.parts[number], iou=iou[number].item(), points=(hits, int(there.sum())))


def about_part(seen):
    """Return the caption of the projections: the part, the IoU, and where they point."""
    if seen.part is None:
        return "grey: nothing arrived there"
    hits, there = seen.points
    kind = "a detector" if seen.iou >= DETECTOR else f"no detector: below {DETECTOR:.2f}"
    words = f"marks best: {seen.part}, IoU {seen.iou:.2f}, {kind}"
    return f"{words}\n" + (
        f"points at it in {hits} of the {there} patches that have it" if there else "none of the nine shows it"
    )


def counted(names):
    """Return how often which kind of picture is among the nine."""
    return ", ".join(f"{count} {name}" for name, count in Counter(names).most_common())


def sheet(x, gap=2):
    """Return nine pictures (9, 3, side, side), enlarged, in three rows, (1, 3, H, W), with white between them."""
    factor = max(1, SHEET // 3 // x.shape[-1])
    large = x.cpu().repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    with_gaps = torch.nn.functional.pad(large, (0, gap, 0, gap), value=1.0)
    rows = [torch.cat(list(row), dim=-1) for row in with_gaps.split(3)]
    return torch.cat(rows, dim=-2)[None, :, :-gap, :-gap]


def clipped(box, size):
    """Return a receptive field, (top, left, bottom, right), as far as it lies in the picture."""
    top, left, bottom, right = box.tolist()
    return max(0, top), max(0, left), min(size[0], bottom), min(size[1], right)
