"""The forward pass, layer by layer: what every filter answers to a picture, and where it was answered loudest.

Point at the large map and read the number under the mouse, or choose a row and a column: the keyboard reads the same.
"""

from typing import NamedTuple

import ipywidgets as widgets
import torch
from torch.nn.functional import avg_pool2d, max_pool2d

from lecturekit.capture import capture
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.panels import chart, look
from lecturekit.panels import controls as knobs
from lecturekit.panels.base import Panel, hidden_unless
from lecturekit.panels.shelf import Shelf, names_of_classes
from lecturekit.panels.source import Chosen, Source

PAGE = 32  # maps at once, unless all are wanted
SHEET = 528  # pixels that the maps take together
BARS = 10  # classes at once
LOUDEST, PLACE = "loudest", "place"
PLACES = [("where it is loudest", LOUDEST), ("at a row and a column", PLACE)]
CELLS = 32  # a side that can be pointed at; of larger maps several values share a cell

POINTED = """<style>
.lk-over {position: relative; overflow: visible}
.lk-over .lk-grid {position: absolute; inset: 0; width: auto; height: auto; margin: 0}
.lk-grid .widget-html-content, .lk-cells {height: 100%}
.lk-cells {display: grid}
.lk-cells i:hover {outline: 2px solid #D55E00}
</style>"""


class Answer(NamedTuple):
    """What a layer answers to a picture.

    Attributes:
        chosen: the picture and its name.
        layer: name of the layer.
        code: its answer, (C, h, w), or (K, 1, 1) where the layer has no places.
        probabilities: of the classes, (K,).
        filter: the number of the filter looked at.
        place: (row, column) that is looked at; unless one was chosen, where the filter answers loudest: its largest
            value, which is what a ReLU lets pass.
        field: (top, left, bottom, right) in pixels, what is seen from there; None if unknown.
    """

    chosen: Chosen
    layer: str
    code: torch.Tensor
    probabilities: torch.Tensor
    filter: int
    place: tuple
    field: tuple | None


class ForwardPass(Panel):
    """Walk through the layers and filters of a network.

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, layer=, filter=, at=, row=, column=,
    everything=, own_scale=)``; ``panel.result`` is an `Answer`.

    ``at`` is ``"loudest"`` or ``"place"``: the frames then go where ``row`` and ``column`` say.

    Args:
        networks: see `shelf.Shelf`.
        world, size: see `source.Source`.
        settings: where the controls stand at first, e.g. ``layer="conv3"``.
    """

    def __init__(self, networks=None, *, world="picturebook", size=64, **settings):
        self.shelf, self.source = Shelf(networks, size=size), Source(world, size)
        network = knobs.menu("Network", self.shelf.options())
        layer = knobs.walk("Layer", list(self.shelf.opened(network.value).shapes))
        channel = knobs.slider("Filter", 0, self.shelf.opened(network.value).shapes[layer.value][0] - 1, 0)
        everything, own_scale = knobs.tick("all maps at once"), knobs.tick("each map on its own scale")
        network.observe(self._network_changed, names="value")
        layer.observe(self._layer_changed, names="value")
        self.picture, self.maps = look.Picture("Picture"), look.Picture("Maps", SHEET)
        self.map = Readable("Filter")
        at, row, column = (
            knobs.menu("Look at it", PLACES),
            knobs.slider("Row", 0, 0, 0),
            knobs.slider("Column", 0, 0, 0),
        )
        at.observe(self._place_changed, names="value")
        controls = {**self.source.controls, "network": network, "layer": layer, "filter": channel}
        controls |= {"at": at, "row": row, "column": column, "everything": everything, "own_scale": own_scale}
        super().__init__(controls, [look.Strip([self.picture, self.maps, self.map])])
        self._layer_changed()
        self.begin(settings)

    def _network_changed(self, event):
        """Offer the layers of the new network; stay at the layer of the same name if there is one."""
        with self.together():
            knobs.offer(self.controls["layer"], list(self.shelf.opened(event["new"]).shapes))
            self._layer_changed()

    def _layer_changed(self, _event=None):
        """Offer the filters and the places of the new layer."""
        shape = self.shelf.opened(self.controls["network"].value).shapes[self.controls["layer"].value]
        with self.together():
            for name, count in zip(("filter", "row", "column"), (*shape, 1, 1), strict=False):
                self.controls[name].max = count - 1  # ipywidgets moves the value along
            self._place_changed()

    def _place_changed(self, _event=None):
        """Show row and column where they are asked for and the layer has such."""
        places = len(self.shelf.opened(self.controls["network"].value).shapes[self.controls["layer"].value]) == 3
        self.controls["at"].layout.display = hidden_unless(places)
        for name in ("row", "column"):
            self.controls[name].layout.display = hidden_unless(places and self.controls["at"].value == PLACE)

    def compute(self, settings, watch):
        """Return the `Answer` of the chosen layer."""
        chosen, layer, channel = self.source.picture(settings), settings["layer"], settings["filter"]
        model = self.shelf.opened(settings["network"]).model
        with torch.no_grad(), capture(model, *[layer] * (layer != PROBABILITIES)) as seen:
            probabilities = model(chosen.x).softmax(1)
        code = (probabilities if layer == PROBABILITIES else seen[layer])[0]
        code = code if code.dim() == 3 else code.flatten()[:, None, None]  # (C, h, w)
        place = divmod(int(code[channel].argmax()), code.shape[-1])
        if settings["at"] == PLACE:
            place = settings["row"], settings["column"]
        field = seen_from(self.shelf.field(settings["network"], layer), place, chosen.x.shape[-2:])
        return Answer(chosen, layer, code, probabilities[0], channel, place, field)

    def show(self, result, settings):
        """Paint the picture with the receptive field, all maps, and one map."""
        names = names_of_classes(self.shelf.opened(settings["network"]).model, len(result.probabilities))
        own_scale, everything = settings["own_scale"], settings["everything"]
        self.picture.paint(look.framed(result.chosen.x, result.field), about_picture(result, names))
        if result.layer == PROBABILITIES:
            best = sorted(result.probabilities.topk(min(BARS, len(names))).indices.tolist())
            bars = chart.bars([names[i] for i in best], result.probabilities[best].tolist())
            self.maps.paint(bars, about_maps(result, own_scale), title="Probabilities")
        else:
            first = 0 if everything else result.filter // PAGE * PAGE
            shown = range(len(result.code))[first : None if everything else first + PAGE]
            title = f"{result.layer}: filters {shown[0]} to {shown[-1]} of {len(result.code)}"
            self.maps.paint(sheet(result, shown, own_scale), about_maps(result, own_scale), title=title)
        self.map.unveil(result.code[0].numel() > 1)
        about = about_map(result, settings["at"] == PLACE)
        self.map.paint(large(result, own_scale), about, title=f"{result.layer}, filter {result.filter}")
        self.map.label(result.code[result.filter])  # last: the pictures are on their way by now


class Readable(look.Picture):
    """A picture of a map whose numbers can be read by pointing at them.

    Over the picture lies a grid of empty cells with a title each, which every browser shows under the mouse; that needs
    no JavaScript of ours.
    """

    def __init__(self, title):
        super().__init__(title)
        self._grid = widgets.HTML()
        self._grid.add_class("lk-grid")
        over, (head, _, foot) = widgets.Box([self._image, self._grid]), self.children
        over.add_class("lk-over")
        hint = widgets.HTML(f"{POINTED}<div class='lk-caption'>Point at the map to read its numbers.</div>")
        self.children = [head, over, foot, hint]  # the hint is no caption: on paper there is nothing to point at

    @property
    def cells(self):
        """The grid as HTML."""
        return self._grid.value

    def label(self, values):
        """Write the numbers of a map (h, w) into the cells; of a large map the one furthest from 0 of each block."""
        block = -(-max(values.shape) // CELLS)
        sides = zip(("row", "column"), values.shape, strict=True)
        rows, columns = ([named(axis, i, block, side) for i in range(0, side, block)] for axis, side in sides)
        told = "up to " if block > 1 else ""
        cells = (
            f"<i title='{row}, {column}: {told}{value:.3g}'></i>"
            for row, line in zip(rows, furthest(values, block).tolist(), strict=True)
            for column, value in zip(columns, line, strict=True)
        )
        style = f"grid-template: repeat({len(rows)}, 1fr) / repeat({len(columns)}, 1fr)"
        self._grid.value = f"<div class='lk-cells' style='{style}'>{''.join(cells)}</div>"


def named(axis, first, block, count):
    """Return the name of a row or column, or of a block of them, which ends where the map of ``count`` ends."""
    last = min(first + block, count) - 1
    return f"{axis} {first}" if first == last else f"{axis}s {first} to {last}"


def furthest(values, block):
    """Return the value furthest from 0 of each block of a map (h, w); the map itself for blocks of one."""
    high, low = (sign * max_pool2d(sign * values[None], block, ceil_mode=True)[0] for sign in (1, -1))
    return torch.where(high >= -low, high, low)


def seen_from(field, place, size):
    """Return the part of the picture that one unit sees as (top, left, bottom, right), or None if unknown."""
    if field is None:
        return None
    spans = zip(field, place, size, strict=True)
    edges = [(max(0, s.start + i * s.step), min(side, s.start + i * s.step + s.size)) for s, i, side in spans]
    (top, bottom), (left, right) = edges
    return top, left, bottom, right


def sheet(result, shown, own_scale):
    """Return the maps ``shown`` as PNG bytes of one picture."""
    code, (low, high) = result.code[list(shown)], ends(result.code)
    if own_scale:
        high = code.abs().amax(dim=(1, 2), keepdim=True)  # (N, 1, 1)
        low = -high if low else 0.0
    side = 20 if code.shape[-2:] == (1, 1) else 64 if len(code) <= PAGE else 32
    shrink = -(-max(code.shape[-2:]) // side)
    if shrink > 1:
        code = avg_pool2d(code, shrink, ceil_mode=True)
    factor = max(1, side // max(code.shape[-2:]))
    tiles = look.shades(code, low, high).repeat(factor, axis=1).repeat(factor, axis=2)
    return look.indexed(look.mosaic(tiles, SHEET, chosen=result.filter - shown[0]), signed=bool(ends(result.code)[0]))


def large(result, own_scale):
    """Return the chosen map, enlarged, as PNG bytes."""
    one, (low, high) = result.code[result.filter], ends(result.code)
    if own_scale:
        high = one.abs().max()
        low = -high if low else 0.0
    return look.map_png(one, low, high, signed=bool(ends(result.code)[0]), place=result.place if one.any() else None)


def ends(code):
    """Return the numbers of the first and the last colour: 0 and the largest, or alike to both sides of 0."""
    low, high = (end.item() for end in code.aminmax())
    return (-max(-low, high), max(-low, high)) if low < 0 else (0.0, high)


def about_picture(result, names):
    """Return the caption of the picture: what it is, and what the network takes it for."""
    share, best = result.probabilities.max(0)
    return f"{result.chosen.words}\nthe network says {names[best]}, {100 * share:.1f} %"


def about_maps(result, own_scale):
    """Return the caption of all maps: shape, mean, share of zeros, and the colours; without places, one value too."""
    code = result.code
    channels, height, width = code.shape
    shape = f"{channels} maps of {height} × {width}"
    if height == width == 1:
        shape = f"number {result.filter} has the value {code[result.filter].item():.3g}\n{channels} values"
    low, high = ends(code)
    colours = f"white 0, red up to {high:.2g}, blue down to {low:.2g}" if low else f"dark 0, yellow {high:.2g}"
    colours = "colours: each map on its own scale" if own_scale else f"colours: {colours}"
    words = f"{shape}, mean {code.mean():.3g}, {100 * (code == 0).float().mean():.0f} % zeros"
    return words if result.layer == PROBABILITIES else f"{words}\n{colours}"


def about_map(result, chosen=False):
    """Return the caption of one map: its value where one looks, loudest or chosen, and what is seen from there."""
    one, (row, column) = result.code[result.filter], result.place
    if not one.any():
        return "silent: all zeros for this picture"
    words = f"{'value' if chosen else 'loudest'} {one[row, column]:.3g}\nin row {row}, column {column}"
    if result.field is not None:
        top, left, bottom, right = result.field
        words += f"\nit sees {bottom - top} × {right - left} pixels (frame)"
    return words
