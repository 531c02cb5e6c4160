"""From an activation back to the pixels that caused it: the projection beside the patch, live.

The trap: a beautiful projection can come from the switches, which hold the layout of this very picture, and owe nothing
to what the network learned.  Two controls take the one or the other away: other switches, and random weights.
"""

from typing import NamedTuple

import torch

from lecturekit import deconv, measure
from lecturekit.deconv.chain import Chain
from lecturekit.deconv.steps import Unpool
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
METHODS = {"deconvnet": "DeconvNet", "gradient": "gradient", "guided": "guided backpropagation", "linear": "linear"}
RECORDED, CENTRE, RANDOM = "recorded", "centre", "random"
SWITCHES = {RECORDED: "recorded", CENTRE: "middle of each window", RANDOM: "anywhere in the window, by lot"}
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
        exchanged: the switches on the way down are not those of the picture.
    """

    chosen: Chosen
    selected: torch.Tensor
    picture: torch.Tensor
    field: tuple
    likeness: float
    exchanged: bool = False

    def inside(self, x):
        """Return what lies in the field of ``x`` (1, C, H, W)."""
        top, left, bottom, right = self.field
        return x[..., top:bottom, left:right]


class DeconvNet(Panel):
    """Follow activations of one layer down to the pixels.

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, random=, layer=, filter=, selection=, n=,
    rule=, switches=)``; ``panel.result`` is a `Projected`.

    ``random`` gives the network random weights, ``switches`` is ``"recorded"``, ``"centre"`` or ``"random"``.

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
        rule = knobs.menu("Rule", [(words, name) for name, words in METHODS.items()], "deconvnet")
        switches = knobs.menu("Switches", [(words, name) for name, words in SWITCHES.items()])
        random = knobs.tick("random weights (control)")
        network.observe(self._network_changed, names="value")
        layer.observe(self._layer_changed, names="value")
        selection.observe(self._selection_changed, names="value")
        self.picture, self.projection = look.Picture("Picture"), look.Picture("Projection")
        self.patch, self.answer = look.Picture("The patch"), look.Picture("Its projection")
        controls = {**self.source.controls, "network": network, "random": random, "layer": layer, "filter": channel}
        controls |= {"selection": selection, "n": n, "rule": rule, "switches": switches}
        super().__init__(controls, [look.Strip([self.picture, self.projection, self.patch, self.answer])])
        self._selection_changed()
        self.begin(settings)

    def shapes(self, network):
        """Return the layers that one can start from, and their shapes."""
        return without_softmax(self.shelf.opened(network).shapes)

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
        chosen = self.source.picture(settings)
        seen = self._climbed(chosen.x, *(settings[name] for name in ("network", "random", "layer")))
        selected, down = selection_of(seen, settings), switched(seen, settings["switches"])
        picture, window = deconv.project(down, selected, settings["rule"]), deconv.field(seen, selected)
        top, left = window.tops[0], window.lefts[0]
        field = top, left, top + window.height, left + window.width
        result = Projected(chosen, selected, picture, field, 0.0, down is not seen)
        pair = (result.inside(maps).mean(dim=1) for maps in (picture, chosen.x))
        return result._replace(likeness=measure.correlation(*pair).item())

    def _climbed(self, x, network, random, layer):
        """Return the forward pass up to a layer, from memory if it is there."""
        key = (x.cpu().numpy().tobytes(), network, random, layer)
        model = self.shelf.twin(network) if random else self.shelf.opened(network).model
        return self.memory.recall(key) or self.memory.keep(key, deconv.climb(model, x, layer))

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


def without_softmax(shapes):
    """Return the layers that one can start from; the softmax, which makes the probabilities, has no way down."""
    return {name: shape for name, shape in shapes.items() if name != PROBABILITIES}


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


def switched(seen, kind):
    """Return a climb with other switches for the way down; itself if they are wanted as recorded, or if it has none.

    Raises: ModelError for a network that branches.
    """
    without = isinstance(seen, Chain) and not any(isinstance(link.step, Unpool) for link in seen.links)
    if kind == RECORDED or without:
        return seen
    return deconv.centred(seen) if kind == CENTRE else deconv.shuffled(seen)


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
    """Return the caption of the projection: the rule, what was taken away, and how much it looks like the picture."""
    words = f"{METHODS[settings['rule']]}; 0 is grey\n" + "random weights\n" * settings["random"]
    if settings["switches"] != RECORDED:
        words += f"switches: {SWITCHES[settings['switches']]}\n" if result.exchanged else "no pooling, so no switches\n"
    return f"{words}correlation with the picture\nin the frame: {result.likeness:.2f}"


def about_patch(result):
    """Return the caption of what is cut out: its size and place."""
    top, left, bottom, right = result.field
    return f"{bottom - top} × {right - left} pixels\nfrom row {top}, column {left}"
