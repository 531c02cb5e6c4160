"""The DeconvNet step by step: one activation on its way down to the pixels, and what every operation does to it.

::

    picture      before        what the step uses        after         a slider from step to step
    [ frame ]    [ map ]       [ its switches ]          [ map ]
    start -> conv4 -> relu3 -> conv3 -> pool2 -> ... -> normalize      the whole way, in small

Of all maps of a signal the one with the largest value is shown.  Where a step leaves the maps apart, as unpooling and
rectifying do, it is the same map before and after, in the same colours.

The trap: the largest map need not be the one that matters most for the next step; a transposed filter adds up all maps.
The numbers below the pictures are those of all of them.
"""

from lecturekit import deconv
from lecturekit.deconv.chain import way_to
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Memory, Panel
from lecturekit.panels.deconvnet import METHODS, SELECTIONS, SWITCHES, selection_of, switched, without_softmax
from lecturekit.panels.shelf import Shelf
from lecturekit.panels.source import Source
from lecturekit.panels.stage import (
    Descended,
    Way,
    about,
    about_picture,
    drawn,
    limit_of,
    loudest,
    marked,
    per_cent,
    titled,
    tool,
    words_for,
)  # fmt: skip

TILE, ROW, ROWS = 100, 8, 3  # pixels a side of the whole way in small, steps in a row, rows
WIDE = 224  # pixels a side of the step: all four pictures have room side by side
WAYS = 8  # that are remembered: megabytes each


class Descent(Panel):
    """Follow activations down to the pixels one operation at a time; the arrow keys walk the slider *Step*.

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, random=, layer=, filter=, selection=,
    rule=, switches=, step=, zoom=)``; ``panel.result`` is a `Descended`.

    Args:
        networks: see `shelf.Shelf`; those that branch have no steps, and the panel says so.
        world, size: see `source.Source`.
        settings: where the controls stand at first, e.g. ``layer="conv4", filter=28, step=3``.
    """

    def __init__(self, networks=None, *, world="picturebook", size=64, **settings):
        self.shelf, self.source, self.memory = Shelf(networks, size=size), Source(world, size), Memory(WAYS)
        self.films = Memory(2 * WAYS)
        network = knobs.menu("Network", self.shelf.options())
        layers = self._layers(network.value)
        layer = knobs.walk("Layer", layers, "conv3" if "conv3" in layers else None)
        controls = {
            "network": network,
            "random": knobs.tick("random weights (control)"),
            "layer": layer,
            "filter": knobs.slider("Filter", 0, self._filters(network.value, layer.value) - 1, 0),
            "selection": knobs.menu("Follow", SELECTIONS[:2]),
            "rule": knobs.menu("Rule", [(words, name) for name, words in METHODS.items()], "deconvnet"),
            "switches": knobs.menu("Switches", [(words, name) for name, words in SWITCHES.items()]),
            "step": knobs.walk("Step", self._steps(network.value, layer.value)),
            "zoom": knobs.tick("only what the activation sees", True),
        }
        network.observe(self._network_changed, names="value")
        layer.observe(self._layer_changed, names="value")
        titles = ("Picture", "Before", "What the step uses", "After")
        self.picture, self.before, self.tool, self.after = (look.Picture(title, WIDE) for title in titles)
        self.film = [look.Picture("", TILE, smooth=True) for _ in range(ROW * ROWS)]
        rows = [self.film[i : i + ROW] for i in range(0, len(self.film), ROW)]
        film = [
            look.Strip(row, "" if i else "The whole way: of each signal the largest map") for i, row in enumerate(rows)
        ]
        strips = [look.Strip([self.picture, self.before, self.tool, self.after]), *film]
        super().__init__({**self.source.controls, **controls}, strips)
        self.begin(settings)

    # Which knobs can stand where

    def _layers(self, network):
        return list(without_softmax(self.shelf.opened(network).shapes))

    def _filters(self, network, layer):
        return self.shelf.opened(network).shapes[layer][0]

    def _steps(self, network, layer):
        """Return the steps from a layer to the pixels for a slider; a network that branches has only the first."""
        way, why = way_to(self.shelf.opened(network).model, layer)
        names = ["start", *(name for name, _ in reversed(way))]
        return [(f"{number} · {name}", number) for number, name in enumerate(names[:1] if why else names)]

    def _network_changed(self, event):
        """Offer the layers of the new network; stay at the layer of the same name if there is one."""
        with self.together():
            knobs.offer(self.controls["layer"], self._layers(event["new"]))
            self._layer_changed()

    def _layer_changed(self, _event=None):
        """Offer the filters and the steps of the new layer."""
        at = self.controls["network"].value, self.controls["layer"].value
        with self.together():
            self.controls["filter"].max = self._filters(*at) - 1  # ipywidgets moves the value along
            knobs.offer(self.controls["step"], self._steps(*at))

    # Work

    def compute(self, settings, watch):
        """Return the `Descended`; the whole way is computed once for all of its steps."""
        chosen = self.source.picture(settings)
        asked = ("network", "random", "layer", "filter", "selection", "rule", "switches")
        key = (chosen.x.cpu().numpy().tobytes(), *(settings[name] for name in asked))
        way = self.memory.recall(key) or self.memory.keep(key, self._way(chosen, settings))
        visible = (*key, settings["zoom"])
        film = self.films.recall(visible) or self.films.keep(visible, in_small(way, settings["zoom"]))
        return Descended(way, min(settings["step"], len(way.stages) - 1), film)

    def _way(self, chosen, settings):
        network = settings["network"]
        model = self.shelf.twin(network) if settings["random"] else self.shelf.opened(network).model
        seen = deconv.climb(model, chosen.x, settings["layer"])
        selected = selection_of(seen, settings | {"n": 1})
        down = switched(seen, settings["switches"])
        stages, window = deconv.stages(down, selected, settings["rule"]), deconv.field(seen, selected)
        top, left = window.tops[0], window.lefts[0]
        field = top, left, top + window.height, left + window.width
        return Way(chosen, seen.answers, stages, list(reversed(down.links)), field)

    # Pictures

    def show(self, result, settings):
        """Paint the step, and the whole way with the step marked in it."""
        way, rule, zoom = result.way, settings["rule"], settings["zoom"]
        self.picture.paint(look.framed(way.chosen.x, way.field), about_picture(way, settings))
        for view, signal, channel, name in zip(
            (self.before, self.after), (result.before, result.after), result.maps(), ("Before", "After"), strict=True
        ):
            png = drawn(signal, channel, way, zoom, look.SIDE, limit_of(result, signal, channel))
            how = words_for(result.stage, rule) if view is self.after else ""
            view.paint(png, "\n".join(filter(None, (how, about(signal)))), title=titled(name, signal, channel, way))
        self.tool.unveil(tool(result, rule, zoom) is not None)
        if self.tool.seen:
            self.tool.paint(*tool(result, rule, zoom))
        self._paint_film(result)

    def _paint_film(self, result):
        """Paint the whole way; of one that is longer than the room the part around the step."""
        stages, room = result.way.stages, len(self.film)
        first = max(0, min(result.step - room // 2, len(stages) - room))
        shown = dict(enumerate(stages[first : first + room]))
        for number, view in enumerate(self.film):
            view.unveil(number in shown)
            if number in shown:
                stage, here = shown[number], first + number == result.step
                png = result.film[first + number]
                name = stage.layer if first + number else "start"
                words = f"{stage.action}\n{per_cent((stage.signal != 0).float().mean().item())} ≠ 0"
                view.paint(marked(png) if here else png, words, title=f"▸ {name}" if here else name)
        for strip in self.strips[1:]:
            strip.unveil(any(view.seen for view in strip.pictures))


def in_small(way, zoom):
    """Return the largest map of every signal on the way as PNG bytes."""
    return [drawn(stage.signal, loudest(stage.signal), way, zoom, 2 * TILE) for stage in way.stages]
