"""From an activation back to the pixels that caused it: the projection beside the patch, live."""

from typing import NamedTuple

import torch

from lecturekit import deconv, measure
from lecturekit.deconv import RULES
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Memory, Panel
from lecturekit.panels.shelf import Shelf
from lecturekit.panels.source import Chosen, Source

SELECTIONS = [
    ("one: its strongest activation", "one"),
    ("its whole map", "map"),
    ("its N strongest activations", "top"),
    ("the N strongest of all filters", "all"),
]
WORDS = {"deconvnet": "DeconvNet", "gradient": "gradient", "guided": "guided backpropagation", "linear": "linear"}
CLIMBS = 8  # forward passes that are remembered: megabytes each


class Projected(NamedTuple):
    """What the panel shows.

    Attributes:
        chosen: the picture and its name.
        selected: the activations that were followed down, all others zero: (1, C, h, w) or (1, K).
        picture: the projection, (1, 3, H, W), signed.
        field: (top, left, bottom, right) in pixels: what the selected activations see.
        likeness: correlation of the projection with the picture inside the field, colours averaged; NaN where one of
            them is flat.
    """

    chosen: Chosen
    selected: torch.Tensor
    picture: torch.Tensor
    field: tuple
    likeness: float

    def inside(self, x):
        """Return what lies in the field of ``x`` (1, C, H, W)."""
        top, left, bottom, right = self.field
        return x[..., top:bottom, left:right]


class DeconvNet(Panel):
    """Follow activations of one layer down to the pixels.

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, layer=, filter=, selection=, n=, rule=)``;
    ``panel.result`` is a `Projected`.

    Args:
        networks: see `shelf.Shelf`.
        world, size: see `source.Source`.
        settings: where the controls stand at first, e.g. ``layer="conv4"``.
    """

    def __init__(self, networks=None, *, world="picturebook", size=64, **settings):
        self.shelf, self.source, self.memory = Shelf(networks, size=size), Source(world, size), Memory(CLIMBS)
        network = knobs.menu("Network", self.shelf.options())
        layer = knobs.walk("Layer", list(self.shapes(network.value)))
        channel = knobs.slider("Filter", 0, self.shapes(network.value)[layer.value][0] - 1, 0)
        selection, n = knobs.menu("Follow", SELECTIONS), knobs.slider("N", 1, 50, 9)
        rule = knobs.menu("Rule", [(WORDS.get(name, name.replace("_", ", ")), name) for name in RULES], "deconvnet")
        network.observe(self._network_changed, names="value")
        layer.observe(self._layer_changed, names="value")
        selection.observe(self._selection_changed, names="value")
        self.picture, self.projection = look.Picture("Picture"), look.Picture("Projection")
        self.patch, self.answer = look.Picture("The patch"), look.Picture("Its projection")
        controls = {**self.source.controls, "network": network, "layer": layer, "filter": channel}
        controls |= {"selection": selection, "n": n, "rule": rule}
        super().__init__(controls, [look.Strip([self.picture, self.projection, self.patch, self.answer])])
        self._selection_changed()
        self.begin(settings)

    def shapes(self, network):
        """Return the layers that one can start from; a softmax, which makes the probabilities, has no way down."""
        return {name: s for name, s in self.shelf.opened(network).shapes.items() if name != PROBABILITIES}

    def _network_changed(self, event):
        """Offer the layers of the new network; stay at the layer of the same name if there is one."""
        with self.together():
            knobs.offer(self.controls["layer"], list(self.shapes(event["new"])))
            self._layer_changed()

    def _layer_changed(self, _event=None):
        """Offer the filters of the new layer."""
        shape = self.shapes(self.controls["network"].value)[self.controls["layer"].value]
        with self.together():
            self.controls["filter"].max = shape[0] - 1  # ipywidgets moves the value along

    def _selection_changed(self, _event=None):
        """Show N where it counts something, and the filter unless all are asked."""
        selection = self.controls["selection"].value
        self.controls["n"].layout.display = "" if selection in ("top", "all") else "none"
        self.controls["filter"].layout.display = "none" if selection == "all" else ""

    def compute(self, settings, watch):
        """Return the `Projected` of the chosen activations; the forward pass is made once for all filters."""
        chosen, asked = self.source.picture(settings), (settings["network"], settings["layer"])
        key = (chosen.x.cpu().numpy().tobytes(), *asked)
        seen = self.memory.recall(key) or self.memory.keep(key, self._climbed(chosen.x, *asked))
        selected = selection_of(seen, settings)
        picture, window = deconv.project(seen, selected, settings["rule"]), deconv.field(seen, selected)
        top, left = window.tops[0], window.lefts[0]
        result = Projected(chosen, selected, picture, (top, left, top + window.height, left + window.width), 0.0)
        pair = (result.inside(maps).mean(dim=1) for maps in (picture, chosen.x))
        return result._replace(likeness=measure.correlation(*pair).item())

    def _climbed(self, x, network, layer):
        return deconv.climb(self.shelf.opened(network).model, x, layer)

    def show(self, result, settings):
        """Paint the picture with the receptive field, the projection, and both cut out."""
        shown = deconv.visible(result.picture)  # one scale for the whole and for the part
        self.picture.paint(look.framed(result.chosen.x, result.field), about_picture(result, settings))
        self.projection.paint(look.framed(shown, result.field), about_projection(result, settings))
        whole = tuple(result.field) == (0, 0, *shown.shape[-2:])
        for view, x in ((self.patch, result.chosen.x), (self.answer, shown)):
            view.unveil(not whole)
            patch = result.inside(x)
            side = look.SIDE * patch.shape[-2] // max(patch.shape[-2:])  # a wide one is as wide as the others
            view.paint(look.enlarged(patch, side), about_patch(result))


def selection_of(seen, settings):
    """Return the activations that the settings ask for, all others zero; see `deconv.select`."""
    channel, selection, n = settings["filter"], settings["selection"], settings["n"]
    if selection == "one" and seen.answers.dim() == 2:
        return deconv.one(seen, channel)  # a class score has a sign: below zero, what follows argues against the class
    if selection == "map":
        return deconv.whole_map(seen, channel)
    if selection == "top":
        return deconv.top(seen, n, channel)
    return deconv.top(seen, n) if selection == "all" else deconv.strongest(seen, channel)


def about_picture(result, settings):
    """Return the caption of the picture: what it is, and which activations are followed."""
    count = int((result.selected != 0).sum())
    who = settings["layer"] if settings["selection"] == "all" else f"{settings['layer']}, filter {settings['filter']}"
    followed = (
        f"1 activation of {result.selected.sum():.3g}"
        if count == 1
        else f"{count} activations up to {result.selected.max():.3g}"
    )
    return f"{result.chosen.words}\n{followed}\nin {who}"


def about_projection(result, settings):
    """Return the caption of the projection: the rule, and how much it looks like the picture."""
    rule = WORDS.get(settings["rule"], settings["rule"].replace("_", ", "))
    return f"{rule}; 0 is grey\ncorrelation with the picture\nin the frame: {result.likeness:.2f}"


def about_patch(result):
    """Return the caption of what is cut out: its size and place."""
    top, left, bottom, right = result.field
    return f"{bottom - top} × {right - left} pixels\nfrom row {top}, column {left}"
