"""Inversion by optimisation, live: noise becomes a picture that the layer cannot tell from the original."""

import dataclasses
from typing import NamedTuple

import torch

from lecturekit import inversion, measure
from lecturekit.inversion import representation
from lecturekit.inversion.tuned import settings_for
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Memory, Panel
from lecturekit.panels.shelf import Shelf, names_of_classes
from lecturekit.panels.source import Chosen, Source
from lecturekit.panels.tuning import Tuning

SOLVERS = {"lbfgs": inversion.lbfgs, "adam": inversion.adam}
HOLDS = {"pixels": inversion.Pixels, "fourier": inversion.Fourier, "deep prior": inversion.DeepPrior}
WIDEST = 0.2  # of the range of a pixel; one scale for all layers, so that their spreads can be compared
TUNED = ("hold", "alpha", "tv", "evaluations")  # what `inversion.tuned` says for each layer


class Inverted(NamedTuple):
    """The result of the panel.

    Attributes:
        chosen: the original and its name.
        found: the `inversion.Inversion`.
        psnr: of the reconstruction against the original, in decibels.
        said: (class, probability) that the network gives to the original, and to the reconstruction.
    """

    chosen: Chosen
    found: inversion.Inversion
    psnr: float
    said: tuple


class Invert(Panel):
    """Invert any layer of any network by optimisation and watch.

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, tuned=, layer=, solver=, hold=, alpha=,
    tv=, restarts=, evaluations=, shuffled=)``; ``panel.result`` is an `Inverted`.

    A run begins whenever a control was moved; *Start* repeats one that was stopped.  Going back to settings that were
    computed before shows them at once.  While *tuned for the layer* is ticked, the knobs follow the layer; turning one
    of them takes the tick away.

    Args:
        networks: see `shelf.Shelf`.
        world, size: see `source.Source`.
        settings: where the controls stand at first, e.g. ``layer="conv3"``.
    """

    def __init__(self, networks=None, *, world="picturebook", size=64, **settings):
        self.shelf, self.source = Shelf(networks, size=size), Source(world, size, live=False)
        self.memory = Memory()
        network = knobs.menu("Network", self.shelf.options())
        layers = list(self.shelf.opened(network.value).shapes)
        chosen = {
            "network": network,
            "tuned": knobs.tick("tuned for the layer", True),
            "layer": knobs.walk("Layer", layers, "conv3" if "conv3" in layers else None, live=False),
            "solver": knobs.menu("Solver", [("L-BFGS", "lbfgs"), ("Adam", "adam")]),
            "hold": knobs.menu("Held as", list(HOLDS)),
            "alpha": knobs.Weight("α-norm weight", 1e-3),
            "tv": knobs.Weight("TV weight", 1e-3),
            "evaluations": knobs.slider("Evaluations", 20, 400, 60, step=20, live=False),
            "restarts": knobs.slider("Restarts", 1, 8, 1, live=False),
            "shuffled": knobs.tick("shuffled code (control)"),
        }
        network.observe(self._network_changed, names="value")
        tuning = Tuning(self, chosen, TUNED, self._tuned)
        self.original, self.rebuilt = look.Picture("Original"), look.Picture("Reconstruction")
        self.spread = look.Picture("Spread of the restarts")
        strip = look.Strip([self.original, self.rebuilt, self.spread])
        super().__init__({**self.source.controls, **chosen}, [strip], steps="evaluations")
        tuning.follow()
        self.begin(settings)

    def _network_changed(self, event):
        with self.together():
            knobs.offer(self.controls["layer"], list(self.shelf.opened(event["new"]).shapes))

    def _tuned(self):
        """Return where the knobs belong for the layer."""
        hold, weight, evaluations = settings_for(self.controls["layer"].value)
        return {kind: name for name, kind in HOLDS.items()}[hold], weight, weight, evaluations

    def compute(self, settings, watch):
        """Return the `Inverted` for the settings, from memory if it is there."""
        chosen = self.source.picture(settings)
        asked = [settings[name] for name in self.controls if name not in self.source.controls and name != "tuned"]
        key = (chosen.x.cpu().numpy().tobytes(), *asked)
        known = self.memory.recall(key)
        if known:
            return known
        result = inverted(self.shelf.opened(settings["network"]).model, chosen, settings, watch)
        return self.memory.keep(key, result) if result.found.complete else result

    def show(self, result, settings):
        """Paint original, reconstruction and, with several restarts, where they differ."""
        (name, share), (name_after, share_after) = result.said
        x, found = result.chosen.x, result.found
        self.original.paint(look.pixels(x), f"{result.chosen.words}\nthe network says {name}, {100 * share:.1f} %")
        words = f"PSNR {result.psnr:.1f} dB\nfeature error {found.feature_error.item():.2g}\n"
        words += f"the network says {name_after}, {100 * share_after:.1f} %"
        self.rebuilt.paint(look.pixels(found.x), words, title=title(settings))
        self.spread.unveil(len(found.restarts) > 1)
        if len(found.restarts) > 1:
            self.spread.paint(*spread(found.spread()[0]))

    def live(self, picture):
        """Paint the original, and the reconstruction as it is now."""
        chosen, settings, x = picture
        self.original.paint(look.pixels(chosen.x), chosen.words)
        self.rebuilt.paint(look.pixels(x), f"PSNR {measure.psnr(x, chosen.x).item():.1f} dB so far", title(settings))
        self.spread.unveil(False)


def title(settings):
    """Return what stands above the reconstruction."""
    return f"From {'shuffled ' if settings['shuffled'] else ''}{settings['layer']}"


def inverted(model, chosen, settings, watch):
    """Invert one layer as the settings say, and measure what came out."""
    phi = representation(model, settings["layer"])

    def passing_on(step):
        shown = None if step.picture is None else (chosen, settings, step.picture)
        return watch(dataclasses.replace(step, picture=shown))

    with torch.no_grad():
        phi0 = phi(chosen.x)
    found = inversion.invert(
        phi,
        measure.shuffle_code(phi0) if settings["shuffled"] else phi0,
        prior=inversion.natural(alpha=settings["alpha"], tv=settings["tv"]),
        size=tuple(chosen.x.shape[-2:]),
        steps=settings["evaluations"],
        restarts=settings["restarts"],
        solver=SOLVERS[settings["solver"]],
        hold=HOLDS[settings["hold"]],
        watch=passing_on,
    )
    said = tuple(zip(*said_of(model, torch.cat([chosen.x, found.x])), strict=True))
    return Inverted(chosen, found, measure.psnr(found.x, chosen.x).item(), said)


def said_of(model, x):
    """Return the likeliest class of each picture and its probability, as two lists."""
    with torch.no_grad():
        probabilities = model(x).softmax(1)
    names = names_of_classes(model, probabilities.shape[1])
    share, best = probabilities.max(1)
    return [names[i] for i in best.tolist()], share.tolist()


def spread(values):
    """Return the picture and the caption of a map of standard deviations (H, W)."""
    words = f"±{values.mean():.2g} on average\ndark 0, yellow ±{WIDEST} and more:\nwhat the code leaves open"
    return look.map_png(values, 0.0, WIDEST, signed=False), words
