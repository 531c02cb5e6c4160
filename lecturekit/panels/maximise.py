"""What does a unit wish for?  A picture is painted until it answers as much as it can, before the eyes of the hall.

::

    painted: 1 to 4 of them, live  |  the strongest drawing  |  the best of all starts so far
       what the unit wishes for         what life offers

"More than life offers" is a number here: every picture is shown to the network afresh, and what the unit answers where
it answers most stands beside the same of the strongest of 300 drawings.

The trap: a painted picture is the edge of what is possible, no sample of what the unit fires for.  Choose "random
weights" as the network: its units have wishes, too.
"""

import dataclasses
from typing import NamedTuple

import torch

from lecturekit import features
from lecturekit.capture import cut
from lecturekit.features.stream import answer
from lecturekit.features.tuned import OTHER, SETTINGS, STEPS
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.album import Album, before_relu, layers_of, loudest, on_device, times
from lecturekit.panels.base import Memory, Panel, Part, hidden_unless
from lecturekit.panels.gallery import clipped
from lecturekit.panels.shelf import Shelf
from lecturekit.panels.tuning import Tuning
from lecturekit.parameterise import Fourier, Pixels

HOLDS = {"waves": Fourier, "pixels": Pixels}
EVERYWHERE, HERE, MIXTURE, CLASS = "channel", "neuron", "direction", "logit"
WISHES = {
    EVERYWHERE: "everywhere on its map",
    HERE: "once, in the middle",
    CLASS: "its class score",
    MIXTURE: "with another filter",
}
PAINTED = 4  # pictures at once, at most
BLURS = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]
RATES = [0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0]
DECAYS = [(f"{share:g}", share) for share in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)]
APART = [("off", 0.0), ("a little", 0.1), ("some", 0.3), ("as much as the score", 1.0)]
TUNED = ("jitter", "scale", "degrees", "blur", "rate")  # what `features.tuned` says for each layer


class Best(NamedTuple):
    """The best picture of all starts for one wish: (1, 3, H, W), its score, and how it was made."""

    x: torch.Tensor
    score: float
    words: str


class Wished(NamedTuple):
    """What the panel shows.

    Attributes:
        found: the `features.Maximised`.
        answers: what the unit answers to each picture where it answers most, by a fresh forward pass, (N,).
        life: the same for the strongest drawing; None if the work was stopped before that was known.
        score_of_life: the score of that drawing, or None.
        strongest: that drawing, (1, 3, H, W), or None.
        field: (top, left, bottom, right): what the unit sees of it, or None.
        shows: the class of that drawing.
        best: the `Best` of all starts since the panel was opened.
        starts: how many there were.
    """

    found: features.Maximised
    answers: torch.Tensor
    life: float | None = None
    score_of_life: float | None = None
    strongest: torch.Tensor | None = None
    field: tuple | None = None
    shows: str = ""
    best: Best | None = None
    starts: int = 1


class Maximise(Panel):
    """Paint the picture that a unit wishes for, and compare it with what life offers.

    From code: ``panel.set(network=, layer=, filter=, wish=, other=, seed=, copies=, apart=, steps=, hold=, tuned=,
    jitter=, scale=, degrees=, blur=, rate=, decay=)``; ``panel.result`` is a `Wished`.

    ``wish`` is ``"channel"``, ``"neuron"``, ``"direction"`` or, for the last layer, ``"logit"``; see
    `features.objectives`.  ``hold`` is ``"waves"`` or ``"pixels"``.  A run begins whenever a control was moved; *Start*
    repeats one that was stopped, another *Seed* begins from other noise.  While *tuned for the layer* is ticked, the
    views follow the layer; turning one of them takes the tick away.

    Args:
        networks: see `shelf.Shelf`.
        size: pixels a side of the pictures.
        settings: where the controls stand at first, e.g. ``layer="conv4", filter=54``.
    """

    def __init__(self, networks=None, *, size=64, **settings):
        self.shelf = Shelf(networks, size=size)
        self.album, self.memory, self.best = Album(self.shelf), Memory(), Memory()
        network = knobs.menu("Network", self.shelf.options())
        layers = layers_of(self.shelf, network.value)
        layer = knobs.walk("Layer", list(layers), "conv4" if "conv4" in layers else None, live=False)
        controls = {
            "network": network,
            "layer": layer,
            "filter": knobs.slider("Filter", 0, layers[layer.value][0] - 1, 0, live=False),
            "wish": knobs.menu("Wish", [(WISHES[name], name) for name in self._wishes(network.value, layer.value)]),
            "other": knobs.slider("Other filter", 0, layers[layer.value][0] - 1, 0, live=False),
            "seed": knobs.slider("Seed", 0, 19, 0, live=False),
            "copies": knobs.slider("Pictures", 1, PAINTED, 1, live=False),
            "apart": knobs.menu("Drive apart", APART, 0.3),
            "steps": knobs.slider("Steps", 16, 512, STEPS, step=16, live=False),
            "hold": knobs.menu("Held as", list(HOLDS)),
            "tuned": knobs.tick("tuned for the layer", True),
            "jitter": knobs.slider("Shift ± pixels", 0, 16, 0, live=False),
            "scale": knobs.slider("Resize ± %", 0, 30, 0, live=False),
            "degrees": knobs.slider("Turn ± °", 0, 20, 0, live=False),
            "blur": knobs.walk("Blur to pixels", BLURS, live=False),
            "rate": knobs.walk("Step size", RATES, live=False),
            "decay": knobs.walk("Back to grey", DECAYS, live=False),
        }
        network.observe(self._network_changed, names="value")
        layer.observe(self._layer_changed, names="value")
        for name in ("wish", "copies"):
            controls[name].observe(lambda _: self._unveil(), names="value")
        tuning = Tuning(self, controls, TUNED, self._tuned)
        self.strongest, self.best_one = look.Picture("The strongest drawing"), look.Picture("Best so far")
        self.painted = [look.Picture("Painted" if not i else f"Painted, {i + 1}") for i in range(PAINTED)]
        strip = look.Strip([*self.painted, self.strongest, self.best_one])
        super().__init__(controls, [strip], steps="steps")
        for picture in strip.pictures[1:]:  # they come when there is something to show
            picture.unveil(False)
        tuning.follow()
        self._unveil()
        self.begin(settings)

    def _wishes(self, network, layer):
        """Return the kinds of wishes that a layer can have."""
        layers = layers_of(self.shelf, network)
        if len(layers[layer]) == 3:
            return [EVERYWHERE, HERE, MIXTURE]
        return [CLASS if layer == list(layers)[-1] else HERE, MIXTURE]

    def _network_changed(self, event):
        """Offer the layers of the new network; stay at the layer of the same name if there is one."""
        with self.together():
            knobs.offer(self.controls["layer"], list(layers_of(self.shelf, event["new"])))
            self._layer_changed()

    def _layer_changed(self, _event=None):
        """Offer the filters and the wishes of the new layer."""
        network, layer = self.controls["network"].value, self.controls["layer"].value
        with self.together():
            for name in ("filter", "other"):
                self.controls[name].max = layers_of(self.shelf, network)[layer][0] - 1  # the value is moved along
            knobs.offer(self.controls["wish"], [(WISHES[name], name) for name in self._wishes(network, layer)])

    def _unveil(self):
        """Show the other filter where there is one, and the drive apart where there are several pictures."""
        wish, copies = self.controls["wish"].value, self.controls["copies"].value
        self.controls["other"].layout.display = hidden_unless(wish == MIXTURE)
        self.controls["apart"].layout.display = hidden_unless(copies > 1)

    def _tuned(self):
        """Return where the views belong for the layer."""
        model = self.shelf.opened(self.controls["network"].value).model
        jitter, scale, degrees, blur, rate = SETTINGS.get(before_relu(model, self.controls["layer"].value), OTHER)
        return jitter, round(100 * scale), round(degrees), blur, rate

    def compute(self, settings, watch):
        """Return the `Wished`, from memory if it is there: the picture first, then what life offers."""
        key = tuple(value for name, value in settings.items() if name != "tuned")
        result = self.memory.recall(key)
        if result is None:
            result = self._painted(settings, watch)
            if result.found.complete and result.life is not None:
                self.memory.keep(key, result)
        return self._with_best(result, settings)

    def _painted(self, settings, watch):
        """Paint, measure, and look the strongest drawing up; a layer that is new is gone through for it."""
        network, layer, channel = settings["network"], settings["layer"], settings["filter"]
        model, known = self.shelf.opened(network).model, self.album.known(network, layer)
        total = settings["steps"] + (0 if known else len(self.album.data))

        def passing_on(step):
            shown = None if step.picture is None else (settings, step.picture, -step.loss)
            return watch(dataclasses.replace(step, total=total, picture=shown))

        at, score = before_relu(model, layer), score_of(settings, self.shelf.opened(network).shapes[layer][0])
        found = painted(model, at, score, settings, (self.shelf.size,) * 2, passing_on)
        result = Wished(found, loudest(model, layer, channel, found.x))
        if not found.complete and not known:
            return result  # whoever stops does not want to wait for the drawings
        gallery = self.album.gallery(network, layer, Part(watch, settings["steps"], total, "drawings"))
        if not gallery.complete:
            return result
        strongest = on_device(gallery.pictures(self.album.data, channel)[:1], model)
        return result._replace(
            life=gallery.values[channel, 0].item(),
            score_of_life=score(answer(cut(model, at), strongest)).item(),
            strongest=strongest,
            field=clipped(gallery.boxes[channel, 0], strongest.shape[-2:]),
            shows=self.album.names[int(gallery.which[channel, 0])],
        )

    def _with_best(self, result, settings):
        """Return the result with the best of all starts for the same wish, itself among them."""
        key = tuple(settings[name] for name in ("network", "layer", "filter", "wish", "other"))
        starts, before = self.best.recall(key) or ({}, None)
        score, i = result.found.score.max(dim=0)
        starts[tuple(settings.items())] = True
        words = f"seed {settings['seed']}, held as {settings['hold']}, {len(result.found.scores)} steps"
        best = Best(result.found.x[i : i + 1], score.item(), words)
        best = before if before and before.score >= best.score else best
        self.best.keep(key, (starts, best))
        return result._replace(best=best, starts=len(starts))

    def show(self, result, settings):
        """Paint what was painted, the strongest drawing, and the best so far."""
        self._paint_life(result)
        for i, picture in enumerate(self.painted):
            picture.unveil(i < len(result.found.x))
            if i < len(result.found.x):
                x = result.found.x[i : i + 1]
                picture.paint(look.pixels(x), about_painted(result, i), title(settings, i, len(result.found.x)))
        score = result.found.score.max().item()
        self.best_one.unveil(result.best.score > score)
        if result.best.score > score:
            words = f"score {result.best.score:.3g}, best of {result.starts} starts\n{result.best.words}"
            self.best_one.paint(look.pixels(result.best.x), words)

    def _paint_life(self, result):
        self.strongest.unveil(result.strongest is not None)
        if result.strongest is not None:
            words = f"answers {result.life:.3g}, {result.shows}\nscore {result.score_of_life:.3g}\n"
            self.strongest.paint(look.framed(result.strongest, result.field), f"{words}frame: what the unit sees")

    def live(self, picture):
        """Paint the pictures as they are now."""
        settings, x, score = picture
        self.strongest.unveil(False)  # it belongs to the unit before
        self.best_one.unveil(False)
        for i, shown in enumerate(self.painted):
            shown.unveil(i < len(x))
            if i < len(x):
                shown.paint(look.pixels(x[i : i + 1]), f"score {score:.3g} so far", title(settings, i, len(x)))


def score_of(settings, count):
    """Return the `features.Score` of a wish; ``count`` is the number of filters."""
    channel, other = settings["filter"], settings["other"]
    if settings["wish"] == MIXTURE:
        vector = torch.zeros(count)
        vector[[channel, other]] = 1.0
        return features.direction(vector)
    return {EVERYWHERE: features.channel, HERE: features.neuron, CLASS: features.logit}[settings["wish"]](channel)


def painted(model, layer, score, settings, size, watch):
    """Paint as the settings say; return the `features.Maximised`."""
    looked = {name: settings[name] for name in ("jitter", "degrees", "blur")}
    return features.maximise(
        model,
        layer,
        score,
        hold=HOLDS[settings["hold"]],
        steps=settings["steps"],
        size=size,
        view=features.views(scale=settings["scale"] / 100, **looked),
        rate=settings["rate"],
        decay=settings["decay"],
        copies=settings["copies"],
        diversity=settings["apart"] if settings["copies"] > 1 else 0.0,
        seed=settings["seed"],
        watch=watch,
    )


def title(settings, i, count):
    """Return what stands above a painted picture."""
    who = f"{settings['layer']}, filter {settings['filter']}"
    return f"{who}: painted" + f" {i + 1}" * (count > 1)


def about_painted(result, i):
    """Return the caption of a painted picture: what it brings about, and how that stands to life."""
    answers, score = result.answers[i].item(), result.found.score[i].item()
    words = f"answers {answers:.3g}\nscore {score:.3g}, grey noise {result.found.start[i]:.2g}"
    return words if result.life is None else f"{words}\n{times(answers, result.life)}"
