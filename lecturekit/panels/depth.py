"""What is lost with depth: one picture, rebuilt from every layer, in a row like a strip of film."""

from typing import NamedTuple

import torch

from lecturekit import inversion, measure
from lecturekit.capture import capture
from lecturekit.inversion import representation
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.panels import chart, look
from lecturekit.panels import controls as knobs
from lecturekit.panels.base import Memory, Panel, Part
from lecturekit.panels.shelf import Shelf
from lecturekit.panels.source import Chosen, Source
from lecturekit.plots import DECODED, OPTIMISED
from lecturekit.progress import STOP, Step

SMALL = 108  # pixels a side of one picture of the strip
CHART = 620  # pixels


class Frame(NamedTuple):
    """One layer of the strip: a reconstruction (1, 3, H, W) and its PSNR in decibels."""

    x: torch.Tensor
    psnr: float


class Film(NamedTuple):
    """The result of the panel.

    Attributes:
        chosen: the original and its name.
        decoded: from layers to the `Frame` of the inverse network, where there is one.
        optimised: from layers to the `Frame` that optimisation found, as far as it got.
    """

    chosen: Chosen
    decoded: dict
    optimised: dict


class Depth(Panel):
    """Rebuild one picture from every layer of a network, by inverse networks and, if wanted, by optimisation.

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, optimise=)``; ``panel.result`` is a `Film`.

    Args:
        networks, inverses: see `shelf.Shelf`.
        layers: which ones, in order; those that a network does not have are left out.
        world: see `source.Source`.
        settings: where the controls stand at first, e.g. ``picture=7``.
    """

    def __init__(self, networks=None, inverses=None, *, layers=inversion.LAYERS, world="picturebook", **settings):
        self.shelf, self.source, self.layers = Shelf(networks, inverses), Source(world), layers
        self.memory = Memory(500)
        network = knobs.menu("Network", self.shelf.options())
        optimise = knobs.tick("also by optimisation")
        self.original = look.Picture("Original")
        self.decoded = {layer: look.Picture(layer, SMALL, smooth=True) for layer in layers}
        self.optimised = {layer: look.Picture(layer, SMALL, smooth=True) for layer in layers}
        self.chart = look.Picture("How much comes back", CHART, smooth=True)
        self.films = {
            "decoded": look.Strip(self.decoded.values(), "By inverse networks: one forward pass each"),
            "optimised": look.Strip(self.optimised.values(), "By optimisation: settings tuned for each layer"),
        }
        controls = {**self.source.controls, "network": network, "optimise": optimise}
        strips = [look.Strip([self.original, self.chart]), *self.films.values()]
        super().__init__(controls, strips, steps="evaluations", steps_if="optimise")
        self.begin(settings)

    def compute(self, settings, watch):
        """Return the `Film`: inverse networks at once, optimisation layer by layer in steps."""
        chosen, name = self.source.picture(settings), settings["network"]
        model, shapes = self.shelf.opened(name)
        layers = [layer for layer in self.layers if layer in shapes]
        codes = codes_of(model, chosen.x, layers)
        trained = [layer for layer in layers if layer in self.shelf.inverse_layers(name)]
        decoded = {layer: framed(self.shelf.inverse(name, layer)(codes[layer]), chosen.x) for layer in trained}
        film = Film(chosen, decoded, {})
        if not settings["optimise"]:
            return film
        evaluations = [inversion.tuned(layer)["steps"] for layer in layers]
        for i, layer in enumerate(layers):
            done, total = sum(evaluations[:i]), sum(evaluations)
            if watch(Step(done, total, picture=film, note=layer)) == STOP:
                break
            found = self._optimised(name, layer, codes[layer], chosen.x, Part(watch, done, total, layer))
            film = film._replace(optimised={**film.optimised, layer: framed(found.x, chosen.x)})
        return film

    def _optimised(self, name, layer, code, x, watch):
        """Return the inversion of one layer by optimisation, from memory if it is there."""
        key = (x.cpu().numpy().tobytes(), name, layer)
        phi = representation(self.shelf.opened(name).model, layer)
        settings = {"size": tuple(x.shape[-2:])} | inversion.tuned(layer)
        found = self.memory.recall(key) or inversion.invert(phi, code, watch=watch, **settings)
        return self.memory.keep(key, found) if found.complete else found

    def show(self, result, settings):
        """Paint both strips and the curve."""
        self.live(result)

    def live(self, picture):
        """Paint the film as far as it is there."""
        film, x = picture, picture.chosen.x
        plain = measure.psnr(x.mean(dim=(2, 3), keepdim=True).expand_as(x), x).item()
        words = f"{film.chosen.words}\none colour alone: {plain:.1f} dB"
        if not film.decoded:
            words += "\nThis network has no inverse networks; optimisation needs none."
        self.original.paint(look.enlarged(x), words)
        for kind, tiles in (("decoded", self.decoded), ("optimised", self.optimised)):
            frames = getattr(film, kind)
            self.films[kind].unveil(bool(frames))
            for layer, tile in tiles.items():
                tile.unveil(layer in frames)
                if layer in frames:
                    tile.paint(look.enlarged(frames[layer].x, 2 * x.shape[-1]), f"{frames[layer].psnr:.1f} dB")
        self.chart.unveil(bool(film.decoded or film.optimised))
        if self.chart.seen:
            self.chart.paint(self._curves(film, plain))

    def _curves(self, film, plain):
        """Return decibels over the layers as PNG bytes."""
        kinds = {"inverse network": (DECODED, film.decoded), "optimisation": (OPTIMISED, film.optimised)}
        series = {
            words: (style, {layer: frame.psnr for layer, frame in frames.items()})
            for words, (style, frames) in kinds.items()
            if frames
        }
        layers = [layer for layer in self.layers if layer in film.decoded or layer in film.optimised]
        return chart.curves(layers, series, ("one colour", plain), CHART)


def codes_of(model, x, layers):
    """Return the codes of one picture at some layers, all from one forward pass."""
    with torch.no_grad(), capture(model, *(layer for layer in layers if layer != PROBABILITIES)) as seen:
        probabilities = model(x).softmax(1)
    return {layer: probabilities if layer == PROBABILITIES else seen[layer] for layer in layers}


def framed(x, original):
    """Return a reconstruction with its PSNR."""
    return Frame(x.detach(), measure.psnr(x.detach(), original).item())
