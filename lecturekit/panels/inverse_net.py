"""Inversion by an inverse network: one forward pass from the code back to a picture, as quick as a slider."""

from typing import NamedTuple

import torch

from lecturekit import inversion, measure
from lecturekit.errors import InputError
from lecturekit.inversion import representation
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Memory, Panel
from lecturekit.panels.shelf import Shelf
from lecturekit.panels.source import Chosen, Source
from lecturekit.progress import Step


class Decoded(NamedTuple):
    """The result of the panel.

    Attributes:
        chosen: the original and its name.
        x: what the inverse network paints, (1, 3, H, W).
        psnr: of ``x`` against the original, in decibels.
        code_shape: of the code that it had.
        optimised: the `inversion.Inversion` of the same code, or None.
    """

    chosen: Chosen
    x: torch.Tensor
    psnr: float
    code_shape: tuple
    optimised: inversion.Inversion | None = None


class InverseNet(Panel):
    """Walk through the layers: what does a trained inverse network paint from each code?

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, layer=, optimise=)``; ``panel.result`` is a
    `Decoded`.

    Args:
        networks, inverses: see `shelf.Shelf`; offered are those with inverse networks.
        world: see `source.Source`.
        settings: where the controls stand at first, e.g. ``layer="conv3"``.
    """

    def __init__(self, networks=None, inverses=None, *, world="picturebook", **settings):
        self.shelf, self.source = Shelf(networks, inverses), Source(world)
        self.memory = Memory()
        self.shelf.names = [name for name in self.shelf.names if self.shelf.inverse_layers(name)]
        if not self.shelf.names:
            raise InputError("none of these networks has an inverse network; train one, and pass it as inverses=")
        network = knobs.menu("Network", self.shelf.options())
        layer = knobs.walk("Layer", self.shelf.inverse_layers(network.value))
        optimise = knobs.tick("also by optimisation")
        network.observe(self._network_changed, names="value")
        self.original, self.decoded = look.Picture("Original"), look.Picture("Inverse network")
        self.optimised = look.Picture("Optimisation")
        controls = {**self.source.controls, "network": network, "layer": layer, "optimise": optimise}
        strip = look.Strip([self.original, self.decoded, self.optimised])
        super().__init__(controls, [strip], steps="evaluations", steps_if="optimise")
        self.begin(settings)

    def _network_changed(self, event):
        with self.together():
            knobs.offer(self.controls["layer"], self.shelf.inverse_layers(event["new"]))

    def compute(self, settings, watch):
        """Return what the inverse network paints, at once, and if wanted what optimisation finds, in steps."""
        chosen, layer = self.source.picture(settings), settings["layer"]
        phi = representation(self.shelf.opened(settings["network"]).model, layer)
        with torch.no_grad():
            phi0 = phi(chosen.x)
            x = self.shelf.inverse(settings["network"], layer)(phi0)
        result = Decoded(chosen, x, measure.psnr(x, chosen.x).item(), tuple(phi0.shape[1:]))
        if not settings["optimise"]:
            return result
        watch(Step(0, inversion.tuned(layer)["steps"], picture=(result, layer)))
        return result._replace(optimised=self._optimised(phi, phi0, result, settings, watch))

    def _optimised(self, phi, phi0, result, settings, watch):
        """Return the inversion of the same code by optimisation, from memory if it is there."""
        key = (result.chosen.x.cpu().numpy().tobytes(), settings["network"], settings["layer"])
        settings = inversion.tuned(settings["layer"])
        found = self.memory.recall(key) or inversion.invert(phi, phi0, watch=watch, **settings)
        return self.memory.keep(key, found) if found.complete else found

    def show(self, result, settings):
        """Paint original and reconstruction, with the optimisation's beside it if there is one."""
        self._paint(result, settings["layer"])
        self.optimised.unveil(result.optimised is not None)
        if result.optimised is not None:
            found = result.optimised
            words = f"PSNR {measure.psnr(found.x, result.chosen.x).item():.1f} dB\n"
            words += f"{found.evaluations} evaluations, {found.seconds:.1f} s"
            self.optimised.paint(look.pixels(found.x), words)

    def live(self, picture):
        """Paint what the inverse network has already, or the optimisation as it is now."""
        if isinstance(picture, tuple):
            self._paint(*picture)
            self.optimised.unveil(True)
        else:
            self.optimised.paint(look.pixels(picture), "so far")

    def _paint(self, result, layer):
        shape = " × ".join(map(str, result.code_shape))
        self.original.paint(look.pixels(result.chosen.x), result.chosen.words)
        words = f"PSNR {result.psnr:.1f} dB\nfrom {shape} numbers of {layer}, one forward pass"
        self.decoded.paint(look.pixels(result.x), words)
