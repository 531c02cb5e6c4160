"""One unit, seen in every way at once: walk through them with the arrow keys, as in the toolbox of Yosinski et al.

::

    picture, framed  |  its map   |  its wish: maximised        |  nine strongest patches of the drawings
    what it saw      |  gradient  |  guided backpropagation     |  DeconvNet

Upper left is this picture, upper right is the unit itself, and the lower row asks which pixels of this picture it
answers to, by three rules from the same activation: the strongest of this filter.  All are of one unit, and each comes
with the number that says how far to believe it.

The quick views are there at once; patches and wish follow while one looks, and the next unit does not wait for them.

The trap: eight pictures that look alike do not confirm each other.  Three of them are made from the same picture, with
the same switches.

Source: Yosinski et al. 2015, "Understanding neural networks through deep visualization", arXiv:1506.06579.
"""

import dataclasses
import time

import torch
from torch.nn.functional import interpolate

from lecturekit import deconv
from lecturekit.features.tuned import STEPS
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.album import Album, layers_of, times
from lecturekit.panels.base import Memory, Panel, Part
from lecturekit.panels.gallery import DRAWINGS, counted
from lecturekit.panels.shelf import Shelf, names_of_classes
from lecturekit.panels.source import Source
from lecturekit.panels.unit_views import RULES, Nine, looked_at, whole, wished
from lecturekit.progress import STOP, Step

TITLES = {"gradient": "Gradient", "guided": "Guided backprop", "deconvnet": "DeconvNet"}
ASKS = {
    "gradient": "what moves its answer",
    "guided": "only what speaks for it",
    "deconvnet": "the answer, sent down",
}
WIDE = 192  # pixels of a picture: four stand side by side in a notebook, and a pixel of 64 is three of the screen
CLIMBS = 8  # forward passes that are remembered: megabytes each
MOMENT = 0.15  # seconds that somebody looks at a unit before its wish is worth painting
GAP = 2  # pixels between two of the nine patches


class Unit(Panel):
    """Look at one unit of any network in eight ways at once.

    From code: ``panel.set(world=, picture=, photograph=, upload=, camera=, network=, layer=, filter=)``;
    ``panel.result`` is a `Looked`.

    Args:
        networks: see `shelf.Shelf`.
        world, size: see `source.Source`.
        settings: where the controls stand at first, e.g. ``layer="conv4", filter=54``.
    """

    def __init__(self, networks=None, *, world="picturebook", size=64, **settings):
        self.shelf, self.source = Shelf(networks, size=size), Source(world, size)
        self.album, self.climbs, self.wishes, self._seen = Album(self.shelf), Memory(CLIMBS), Memory(), None
        network = knobs.menu("Network", self.shelf.options())
        layers = layers_of(self.shelf, network.value)
        layer = knobs.walk("Layer", list(layers), "conv4" if "conv4" in layers else None)
        channel = knobs.slider("Filter", 0, layers[layer.value][0] - 1, 0)
        network.observe(self._network_changed, names="value")
        layer.observe(self._layer_changed, names="value")
        self.picture, self.map = look.Picture("Picture", WIDE), look.Picture("Its map", WIDE)
        self.wish, self.nine = look.Picture("Its wish", WIDE), look.Picture("Its top nine", WIDE)
        self.patch = look.Picture("What it saw", WIDE)
        self.rules = {rule: look.Picture(TITLES[rule], WIDE) for rule in RULES}
        below = look.Strip([self.patch, *self.rules.values()], "Which pixels of this picture does it answer to?")
        strips = [look.Strip([self.picture, self.map, self.wish, self.nine]), below]
        controls = {**self.source.controls, "network": network, "layer": layer, "filter": channel}
        super().__init__(controls, strips, steps="steps")
        self.begin(settings)

    def _network_changed(self, event):
        """Offer the layers of the new network; stay at the layer of the same name if there is one."""
        with self.together():
            knobs.offer(self.controls["layer"], list(layers_of(self.shelf, event["new"])))
            self._layer_changed()

    def _layer_changed(self, _event=None):
        """Offer the filters of the new layer."""
        layers = layers_of(self.shelf, self.controls["network"].value)
        with self.together():
            self.controls["filter"].max = layers[self.controls["layer"].value][0] - 1  # the value is moved along

    def compute(self, settings, watch):
        """Return the `Looked`: what is quick or known at once, then the patches, then the wish."""
        network, layer, channel = (settings[name] for name in ("network", "layer", "filter"))
        chosen, model = self.source.picture(settings), self.shelf.opened(network).model
        known, wish = self.album.known(network, layer), self.wishes.recall((network, layer, channel))
        looked = looked_at(self._climbed(chosen.x, network, layer), chosen, channel)
        looked = self._with_nine(looked._replace(wish=wish, shows=self._class(network, layer, channel)), known)
        drawings = 0 if known else len(self.album.data)
        total = drawings + (0 if wish else STEPS)
        if not total or not stays(watch, Step(0, total, picture=(looked, None))):
            return looked
        if not known:
            known = self.album.gallery(network, layer, Part(watch, 0, total, "the drawings"))
            looked = self._with_nine(looked, known)
            if not known.complete or watch(Step(drawings, total, picture=(looked, None))) == STOP:
                return looked
        if not wish:
            wish = wished(model, layer, channel, self.shelf.size, Painting(watch, drawings, total, looked))
            if wish.complete:
                self.wishes.keep((network, layer, channel), wish)
        return looked._replace(wish=wish)

    def _climbed(self, x, network, layer):
        """Return the forward pass up to a layer, made once for all its filters."""
        key = (x.cpu().numpy().tobytes(), network, layer)
        known = self.climbs.recall(key)
        return known or self.climbs.keep(key, deconv.climb(self.shelf.opened(network).model, x, layer))

    def _class(self, network, layer, channel):
        """Return the name of the class that a unit of the last layer stands for; no words for any other unit."""
        layers = layers_of(self.shelf, network)
        last = layer == list(layers)[-1] and len(layers[layer]) == 1
        return names_of_classes(self.shelf.opened(network).model, layers[layer][0])[channel] if last else ""

    def _with_nine(self, looked, gallery):
        """Return the `Looked` with the strongest patches, if the layer was gone through."""
        if gallery is None or not gallery.complete:
            return looked
        names = [self.album.names[i] for i in gallery.which[looked.filter].tolist()]
        patches, values = gallery.patches(self.album.data, looked.filter), gallery.values[looked.filter].tolist()
        return looked._replace(nine=Nine(patches, values, names))

    def show(self, result, settings):
        """Paint all views."""
        self._paint(result)
        self._paint_wish(result, None)

    def live(self, picture):
        """Paint what is there already, and the wish as far as it has come."""
        looked, x = picture
        if looked is not self._seen:
            self._paint(looked)
        self._paint_wish(looked, x)

    def _paint(self, looked):
        """Paint everything but the wish."""
        self._seen = looked
        self.picture.paint(look.framed(looked.chosen.x, looked.field, WIDE), about_picture(looked))
        self.map.unveil(looked.map.numel() > 1)
        low, high = ends(looked.map)
        place = looked.place if looked.field else None
        self.map.paint(look.map_png(looked.map, low, high, low < 0, place), about_map(looked))
        self.nine.paint(waiting() if looked.nine is None else nine_png(looked.nine.patches), about_nine(looked))
        self.patch.unveil(looked.field is not None and not whole(looked))
        if looked.patch is not None:
            self.patch.paint(enlarged(looked.patch), about_patch(looked))
        for rule, view in self.rules.items():
            found = looked.projections[rule]
            drawn = waiting() if isinstance(found, str) else enlarged(deconv.visible(found))
            view.paint(drawn, about_rule(looked, rule))

    def _paint_wish(self, looked, x):
        """Paint the wish: as it is, as it is so far, or the promise of it."""
        if x is not None:
            self.wish.paint(enlarged(x), "being painted ...")
        elif looked.wish is None:
            self.wish.paint(waiting(), "not painted yet")
        else:
            self.wish.paint(enlarged(looked.wish.x), about_wish(looked))


class Painting(Part):
    """A `Part` that passes the pictures on, beside what is known of the unit already."""

    def __init__(self, watch, done, total, looked):
        super().__init__(watch, done, total, "the wish")
        self.looked = looked

    def __call__(self, step):
        """Pass a step on."""
        shown = None if step.picture is None else (self.looked, step.picture)
        return self.watch(dataclasses.replace(step, done=self.done + step.done, total=self.total, picture=shown))


def stays(watch, step):
    """Show what is there, wait a moment, and tell whether nobody walks on: long work would only be in the way."""
    end = time.monotonic() + MOMENT
    while time.monotonic() < end:
        if watch(step) == STOP:
            return False
        time.sleep(MOMENT / 10)
    return True


def ends(values):
    """Return the numbers of the first and the last colour: 0 and the largest, or alike to both sides of 0."""
    low, high = (end.item() for end in values.aminmax())
    return (-max(-low, high), max(-low, high)) if low < 0 else (0.0, high)


def enlarged(x):
    """Return a picture (1, 3, h, w) as PNG bytes, its longer side about as wide as the others."""
    return look.enlarged(x, WIDE * x.shape[-2] // max(x.shape[-2:]))


def waiting():
    """Return the grey that stands where a picture is still to come, as PNG bytes."""
    return look.enlarged(torch.full((1, 3, 8, 8), 0.5), WIDE)


def nine_png(patches, side=WIDE):
    """Return nine patches (9, 3, h, w) in three rows, white between them, as PNG bytes of about ``side`` pixels."""
    size = ((side - 2 * GAP) // 3,) * 2
    small = patches.shape[-1] <= size[0]
    how = {"mode": "nearest-exact"} if small else {"mode": "bilinear", "antialias": True}
    tiles = torch.nn.functional.pad(interpolate(patches, size, **how), (0, GAP, 0, GAP), value=1.0)
    rows = torch.cat([torch.cat(list(row), dim=-1) for row in tiles.split(3)], dim=-2)
    return look.enlarged(rows[None, :, :-GAP, :-GAP], side)


def about_picture(looked):
    """Return the caption of the picture: what it is, what the unit answers, and how loud that is in its layer."""
    (above, count), unit = looked.rank, looked.shows or f"filter {looked.filter}"
    loud = "the loudest" if not above else f"{above} answer more"
    return f"{looked.chosen.words}\n{looked.layer}, {unit}: {looked.answer:.3g}\n{loud}, of {count}"


def about_map(looked):
    """Return the caption of the map: where it is strongest, and how much of it speaks at all."""
    if looked.field is None:
        return "silent in this picture"
    (row, column), share = looked.place, 100 * (looked.map > 0).float().mean().item()
    return f"{looked.answer:.3g} in row {row}, column {column}\nabove zero in {share:.0f} %\nof its places"


def about_patch(looked):
    """Return the caption of what is cut out: its size and place."""
    top, left, bottom, right = looked.field
    return f"{bottom - top} × {right - left} pixels\nfrom row {top}, column {left}"


def about_rule(looked, rule):
    """Return the caption of a projection: what it asks, and how much it looks like what the unit saw."""
    if isinstance(looked.projections[rule], str):
        return looked.projections[rule]
    asks = ASKS[rule] if looked.answer > 0 else "what speaks against it"
    return f"{asks}\n0 is grey; correlation\nwith what it saw: {looked.likeness[rule]:.2f}"


def about_nine(looked):
    """Return the caption of the nine: their answers, and what they show."""
    if looked.nine is None:
        return f"follow when {DRAWINGS} drawings\nwere looked at"
    answers = looked.nine.answers
    if answers[0] <= 0:
        return "silent: no drawing brings\nit above zero, and these\nnine mean nothing"
    return f"of {DRAWINGS} drawings\nanswers {answers[0]:.3g} to {answers[-1]:.3g}\n{counted(looked.nine.names)}"


def about_wish(looked):
    """Return the caption of the wish: the answer, and how it stands to life."""
    words = f"answers {looked.wish.answer:.3g}" + ("" if looked.wish.complete else "\nstopped early")
    return words if looked.nine is None else f"{words}\n{times(looked.wish.answer, looked.nine.answers[0])}"
