"""Is every filter alive and of use?  All filters of a layer with how often they fire, and what is wrong with which.

::

    |  .|||.|     |.||     one bar a filter, a mark     layer   filters  dead
    +-----------^-----     where something is wrong     conv3        96     1
    weights | nine strongest patches | the verdict in words

A defect can be planted on purpose: the census has to call it by its name, and layers above it may fall ill too.

The trap: "dead" is a statement about these pictures.  A wheel detector is dead on a book without cars.
"""

import math

import torch

from lecturekit import features
from lecturekit.errors import InputError
from lecturekit.features.parts import DETECTOR
from lecturekit.features.stream import filter_layers, pictures
from lecturekit.panels import axes, look
from lecturekit.panels import controls as knobs
from lecturekit.panels.base import Memory, Panel, Part, hidden_unless
from lecturekit.panels.gallery import PATCHES, SHEET, sheet
from lecturekit.panels.matrix import table
from lecturekit.panels.rolls import Counted, Heard, Roll, few, fired
from lecturekit.panels.shelf import Shelf
from lecturekit.panels.source import BOOK, PHOTOGRAPHS, WORLDS
from lecturekit.progress import Step

FILTERS = {"layer": "filter", "into": "victim"}  # which control counts the filters of which
NONE, WIDE, NARROW = "none", 520, 400
TRY = 50  # pictures that tell how strongly filters answer, when one is broken
MEANING = {
    "broken": "a weight is no number: a step was too large",
    "weightless": "next to no weights: never learned, or decayed away",
    "dead": "never above zero here: a bias thrown far down by one large step, or nothing here that it looks for",
    "sleepy": "above zero at fewer than 1 in 1,000 places: nearly dead",
    "stuck": "it hardly varies: a bias far above zero",
    "saturated": "nearly always at its end: weights too large",
    "duplicate": "another filter says the same: equal first weights, or more filters than needed",
    "dominant": "far stronger than its layer: a learning rate too large for it",
    "noisy": "a checkerboard: nothing in a picture looks like it",
}


class Census(Panel):
    """Count the filters of a network: which fire, how often, and what is wrong with which.

    From code: ``panel.set(world=, network=, layer=, filter=, count=, parts=, defect=, into=, victim=)``;
    ``panel.result`` is a `Counted`.

    ``defect`` is ``"none"`` or one of `features.DEFECTS`, planted into filter ``victim`` of layer ``into``; ``parts``
    asks which part each filter marks, on the picture book.

    Args:
        networks: see `shelf.Shelf`.
        world: ``"picturebook"`` or ``"photographs"``.
        settings: where the controls stand at first, e.g. ``layer="fc6", defect="copy"``.
    """

    def __init__(self, networks=None, *, world=BOOK, **settings):
        self.shelf, self.memory = Shelf(networks), Memory()
        network = knobs.menu("Network", self.shelf.options())
        layers = self._layers(network.value)
        start = "conv3" if "conv3" in layers else layers[0]
        last = self.shelf.opened(network.value).shapes[start][0] - 1
        controls = {
            "world": knobs.menu("World", [choice for choice in WORLDS if choice[1] in (BOOK, PHOTOGRAPHS)], world),
            "network": network,
            "layer": knobs.walk("Layer", layers, start, live=False),
            "filter": knobs.slider("Filter", 0, last, 0),
            "count": knobs.slider("Pictures", 20, 300, 100, step=20, live=False),
            "parts": knobs.tick("which part does it mark?"),
            "defect": knobs.menu("Planted", [("nothing: as it is", NONE), *((d, d) for d in features.DEFECTS)]),
            "into": knobs.walk("into layer", layers, start, live=False),
            "victim": knobs.slider("into filter", 1, last, min(17, last), live=False),
        }
        network.observe(self._network_changed, names="value")
        for layer in FILTERS:
            controls[layer].observe(lambda _, layer=layer: self._layer_changed(layer), names="value")
        for name in ("world", "defect"):
            controls[name].observe(lambda _: self._unveil(), names="value")
        self.table = look.Picture("All layers", NARROW, smooth=True)
        self.fires, self.kernel = look.Picture("How often", WIDE, smooth=True), look.Picture("Weights", SHEET)
        self.patches = look.Picture("Patches", SHEET)
        strips = [look.Strip([self.fires, self.table]), look.Strip([self.patches, self.kernel])]
        super().__init__(controls, strips, steps="passes")
        self._unveil()
        self.begin(settings)

    def _layers(self, network):
        """Return the names of the layers with filters."""
        return filter_layers(self.shelf.opened(network).model, (3, self.shelf.size, self.shelf.size))

    def _network_changed(self, event):
        """Offer the layers of the new network; stay at the layer of the same name if there is one."""
        with self.together():
            for layer in FILTERS:
                knobs.offer(self.controls[layer], self._layers(event["new"]))
                self._layer_changed(layer)

    def _layer_changed(self, layer):
        """Offer the filters of a new layer; the other one may still be a layer of the network before."""
        shapes = self.shelf.opened(self.controls["network"].value).shapes
        with self.together():
            self.controls[FILTERS[layer]].max = shapes[self.controls[layer].value][0] - 1  # the value moves along

    def _unveil(self):
        """Show the knobs that do something."""
        for name in ("into", "victim"):
            self.controls[name].layout.display = hidden_unless(self.controls["defect"].value != NONE)
        self.controls["parts"].layout.display = hidden_unless(self.controls["world"].value == BOOK)

    def compute(self, settings, watch):
        """Return the `Counted` of the chosen filter; what is new of network and layer is gone through first."""
        data = few(settings["world"], settings["count"])
        names = ("network", "defect", "into", "victim")
        patient = tuple(settings[name] for name in names[: 1 if settings["defect"] == NONE else 4])
        model, planted = self._patient(patient, settings, data, watch)
        has_places = len(self.shelf.opened(settings["network"]).shapes[settings["layer"]]) == 3
        parts = settings["parts"] and data.masks is not None and has_places
        roll = self._roll(
            model, (*patient, settings["world"], settings["count"]), settings["layer"], data, parts, watch
        )
        channel = settings["filter"]
        weight = dict(model.named_modules())[settings["layer"]].weight[channel].detach()
        return Counted(roll, channel, weight, roll.gallery.patches(data.data, channel), planted)

    def _patient(self, patient, settings, data, watch):
        """Return the network, broken if that is wanted, and what was planted."""
        model, defect = self.shelf.opened(settings["network"]).model, settings["defect"]
        if defect == NONE:
            return model, None
        if defect == "noise" and settings["into"] != self._layers(settings["network"])[0]:
            raise InputError("a checkerboard can only be told in the first layer, whose weights are pictures: plant it "
                             f"into {self._layers(settings['network'])[0]}")  # fmt: skip
        where, known = (settings["into"], settings["victim"]), self.memory.recall(patient)
        if known is None:
            watch(Step(0, TRY, note="planting"))
            x = pictures(data.data, slice(0, TRY))
            known = self.memory.keep(patient, features.plant(defect, model, *where, x))
        return known[0], (defect, known[1], *where)

    def _roll(self, model, key, layer, data, parts, watch):
        """Return the `Roll` of a layer; what was gone through before is not gone through again."""
        size, done = len(data.data), 0
        work = {
            "census": (key, lambda told: features.census(model, data.data, watch=told)),
            "answers": ((*key, layer), lambda told: fired(model, layer, data.data, told)),
            "patches": ((*key, layer, "patches"), lambda told: features.gallery(
                model, layer, data.data, k=PATCHES, cache=len(key) == 3, watch=told)),
            "parts": ((*key, layer, "parts"), lambda told: features.part_scores(
                model, layer, data.data, watch=told) if parts else None),
        }  # fmt: skip
        total, found = size * (5 if parts else 3), {}
        for name, (place, measure) in work.items():
            known = self.memory.recall(place)
            if known is None:
                if name != "parts" or parts:
                    watch(Step(0, total, note=name))  # at once: the first pictures take longer than a hand waits
                told = Heard(Part(watch, done, total, name))
                known = measure(told)
                if known is not None and not told.stopped:
                    self.memory.keep(place, known)
            found[name], done = known, done + size
        watch(Step(total, total))
        return Roll(layer, found["census"], *found["answers"], found["patches"], found["parts"])

    def show(self, result, settings):
        """Paint the table of all layers, the bars, the patches and the weights."""
        roll = result.roll
        counts = roll.census.counts()
        row = [line[0] for line in counts].index(roll.layer)
        self.table.paint(table(counts.columns, counts, row, NARROW), about_table(result))
        wrong = {found.filter for found in roll.census.findings if found.layer == roll.layer}
        ticks = {share / 100: f"{share} %" for share in range(0, 101, 25)}
        bars = axes.columns(
            roll.places.tolist(), axes.Axis("above 0 at this share of all places", ticks), wrong, result.filter, WIDE
        )
        title = f"{roll.layer}, filter {result.filter}"
        self.fires.paint(bars, about_fires(result), title=f"How often the filters of {roll.layer} fire")
        self.patches.paint(look.enlarged(sheet(result.patches), SHEET), about_patches(result), title=title)
        self.kernel.paint(kernel(result.weight), about_kernel(result.weight), title="Its weights")


def kernel(weight):
    """Return the weights of one filter as PNG bytes: colours where it looks at pixels, else one map for each input."""
    if weight.dim() < 2:
        side = math.ceil(len(weight) ** 0.5)
        weight = torch.nn.functional.pad(weight, (0, side * side - len(weight))).view(1, side, side)
    weight, largest = weight.nan_to_num(0, 0, 0).cpu(), weight.abs().nan_to_num(0, 0, 0).max().clamp(min=1e-12).cpu()
    if len(weight) == 3:
        return look.enlarged((0.5 + weight / largest / 2)[None], SHEET)
    across = math.ceil(len(weight) ** 0.5)
    factor = max(1, (SHEET // across - look.GAP) // weight.shape[-1])
    tiles = look.shades(weight, -largest, largest).repeat(factor, axis=1).repeat(factor, axis=2)
    return look.indexed(look.mosaic(tiles, across * (tiles.shape[-1] + look.GAP)), signed=True)


def about_table(result):
    """Return the caption of the table: on how many pictures it stands, and whether the planted defect was found."""
    census = result.roll.census
    words = [f"counted on {census.pictures} pictures" + ("" if census.complete else ", stopped early")]
    if result.planted:
        defect, kind, layer, number = result.planted
        verdict = f"found, as {kind}" if result.found else f"NOT found as {kind}"
        words.append(f"planted: {defect} into {layer}, filter {number}: {verdict}")
        words.append(f"{len(census.findings) - bool(result.found)} other findings")
    return "\n".join(words)


def about_fires(result):
    """Return the caption of the bars: the verdict on the layer."""
    number = len({found.filter for found in result.roll.census.findings if found.layer == result.roll.layer})
    signs = f"black: filter {result.filter}; marked below the line: something is wrong"
    return f"{signs}, {number} of {len(result.roll.places)}"


def about_patches(result):
    """Return the caption of the patches: how often the filter fires, how strongly, its part, and the verdict."""
    roll, k = result.roll, result.filter
    words = [
        f"{found.kind}: {found.evidence}\n{MEANING[found.kind]}" for found in result.findings
    ] or ["nothing wrong with it"]  # fmt: skip
    if k in roll.gallery.silent:
        words.append("its patches mean nothing: it is silent in all")
    words.append(f"above 0 at {100 * roll.places[k]:.1f} % of places,")
    words.append(f"in {100 * roll.seen[k]:.0f} % of the pictures")
    words.append(f"mean {roll.mean[k]:.3g}, at most {roll.largest[k]:.3g}")
    if roll.scores is not None:
        iou, part = roll.scores.iou[k].nan_to_num(-1).max(0)
        detector = "a detector" if iou >= DETECTOR else f"no detector: below {DETECTOR:.2f}"
        words.append(f"marks best: {roll.scores.parts[part]},\nIoU {max(0, iou.item()):.2f}, {detector}")
    return "\n".join(words)


def about_kernel(weight):
    """Return the caption of the weights: how many, how large, and what the colours mean."""
    size = " × ".join(map(str, weight.shape))
    colours = "grey is 0" if weight.dim() > 1 and len(weight) == 3 else "white 0, red positive, blue negative"
    return f"{size} weights, RMS {weight.square().mean().sqrt():.2g}\n{colours}"
