"""The forward pass, layer by layer: what every filter answers to a picture, and where it was answered loudest."""

from typing import NamedTuple

import torch

from lecturekit.capture import capture
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.panels import chart, look
from lecturekit.panels import controls as knobs
from lecturekit.panels.base import Panel
from lecturekit.panels.shelf import Shelf, names_of_classes
from lecturekit.panels.source import Chosen, Source

PAGE = 32  # maps at once, unless all are wanted
SHEET = 528  # pixels that the maps take together
BARS = 10  # classes at once


class Answer(NamedTuple):
    """What a layer answers to a picture.

    Attributes:
        chosen: the picture and its name.
        layer: name of the layer.
        code: its answer, (C, h, w), or (K, 1, 1) where the layer has no places.
        probabilities: of the classes, (K,).
        filter: the number of the filter looked at.
        place: (row, column) where that filter answers loudest: its largest value, which is what a ReLU lets pass.
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

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, layer=, filter=, everything=,
    own_scale=)``; ``panel.result`` is an `Answer`.

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
        self.map = look.Picture("Filter")
        controls = {**self.source.controls, "network": network, "layer": layer, "filter": channel}
        controls |= {"everything": everything, "own_scale": own_scale}
        super().__init__(controls, [look.Strip([self.picture, self.maps, self.map])])
        self.begin(settings)

    def _network_changed(self, event):
        """Offer the layers of the new network; stay at the layer of the same name if there is one."""
        with self.together():
            knobs.offer(self.controls["layer"], list(self.shelf.opened(event["new"]).shapes))
            self._layer_changed()

    def _layer_changed(self, _event=None):
        """Offer the filters of the new layer."""
        shape = self.shelf.opened(self.controls["network"].value).shapes[self.controls["layer"].value]
        with self.together():
            self.controls["filter"].max = shape[0] - 1  # ipywidgets moves the value along

    def compute(self, settings, watch):
        """Return the `Answer` of the chosen layer."""
        chosen, layer, channel = self.source.picture(settings), settings["layer"], settings["filter"]
        model = self.shelf.opened(settings["network"]).model
        with torch.no_grad(), capture(model, *[layer] * (layer != PROBABILITIES)) as seen:
            probabilities = model(chosen.x).softmax(1)
        code = (probabilities if layer == PROBABILITIES else seen[layer])[0]
        code = code if code.dim() == 3 else code.flatten()[:, None, None]  # (C, h, w)
        place = divmod(int(code[channel].argmax()), code.shape[-1])
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
        self.map.paint(large(result, own_scale), about_map(result), title=f"{result.layer}, filter {result.filter}")


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
        code = torch.nn.functional.avg_pool2d(code, shrink, ceil_mode=True)
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


def about_map(result):
    """Return the caption of one map: where it is loudest, and what is seen from there."""
    one, (row, column) = result.code[result.filter], result.place
    if not one.any():
        return "silent: all zeros for this picture"
    words = f"loudest {one[row, column]:.3g}\nin row {row}, column {column}"
    if result.field is None:
        return words
    top, left, bottom, right = result.field
    return f"{words}\nit sees {bottom - top} × {right - left} pixels (frame)"
