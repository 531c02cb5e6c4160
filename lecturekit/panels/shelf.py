"""The networks that a panel offers: shipped ones by name, or your own, each opened once with its table of layers."""

import functools
import threading
from typing import NamedTuple

import torch

from lecturekit import networks as zoo
from lecturekit.capture import cut, layers
from lecturekit.capture.receptive import FieldTracer
from lecturekit.devices import device
from lecturekit.errors import ModelError, SetupError, unknown
from lecturekit.inversion import upconv
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.networks.zoo import ARCHITECTURES

RANDOM = "random"
WORDS = {
    "picturebook": "picture book",
    "picturebook_robust": "picture book, robust",
    "picturebook_residual": "picture book, residual",
    "picturebook_residual_robust": "picture book, residual, robust",
    "photographs": "photographs",
    "photographs_robust": "photographs, robust",
    RANDOM: "random weights (control)",
}
NOT_INVERTED = ("normalize", "flatten")  # the same numbers as the layer before, and nothing to learn from them


class Opened(NamedTuple):
    """A network and what it is made of: shapes of the answers to one picture, by layer, in order."""

    model: torch.nn.Module
    shapes: dict


class Shelf:
    """Networks by name.

    Args:
        networks: names of shipped networks and ``"random"``, or a dict from names to modules of your own; None for all
            that ship.
        inverses: for networks of your own, a dict from names to dicts from layers to inverse networks.
        size: pixels a side of the pictures they are shown.
    Raises: SetupError if there is no network at all; InputError for a name that does not ship.
    """

    def __init__(self, networks=None, inverses=None, size=64):
        self.size, self.inverses = size, {name: dict(of_layers) for name, of_layers in (inverses or {}).items()}
        self._own = networks if isinstance(networks, dict) else {}
        self._opened, self._lock = {}, threading.Lock()
        for method in (
            "twin",
            "inverse_layers",
            "inverse",
            "field",
        ):  # cached here, not in the class: gone with the shelf
            setattr(self, method, functools.cache(getattr(self, method)))
        self.names = list(shipped() if networks is None else networks)
        if not self.names:
            raise SetupError("no network is offered: none ships with this copy of the library, and none was passed")
        for name in self.names:
            if name not in self._own and name not in shipped():
                raise unknown("network", name, shipped())

    def options(self):
        """Return the networks for a menu, as (words, name)."""
        return [(WORDS.get(name, name), name) for name in self.names]

    def opened(self, name):
        """Return one network with its shapes; the table is made once, before anybody else runs the network.

        Raises: ModelError for a network in training mode.
        """
        with self._lock:
            if name not in self._opened:
                model = evaluated(self._own[name], name).to(device()) if name in self._own else load(name)
                shapes = {layer.name: layer.shape for layer in layers(model, (3, self.size, self.size))}
                shapes = {layer: shape for layer, shape in shapes.items() if layer not in NOT_INVERTED}
                shapes[PROBABILITIES] = (len(names_of_classes(model, next(reversed(shapes.values()))[0])),)
                self._opened[name] = Opened(model, shapes)
            return self._opened[name]

    def twin(self, name):
        """Return a network's random twin: the same plan, nothing learned; the control of every picture made from it."""
        return zoo.random_twin(self.opened(name).model)

    def inverse_layers(self, name):
        """Return the layers for which there is an inverse network, in order."""
        there = self.inverses.get(name) or ({} if name in self._own else upconv.inverse_layers(name))
        return [layer for layer in self.opened(name).shapes if layer in there]

    def inverse(self, name, layer):
        """Return the inverse network of one layer."""
        own = self.inverses.get(name, {}).get(layer)
        return own.to(device()) if own else load_inverse(name, layer)

    def field(self, name, layer):
        """Return the receptive field of the units of a layer, or None; see `capture.receptive`."""
        model, x = self.opened(name).model, torch.zeros(1, 3, self.size, self.size, device=device())
        with torch.no_grad(), FieldTracer(x) as tracer:
            return tracer.field((model if layer == PROBABILITIES else cut(model, layer))(x))


def shipped():
    """Return the names of the networks that ship, and of the random twin of the first one."""
    kinds = set(ARCHITECTURES) - {"face_net"}  # those judge what others leak
    names = [name for name, card in zoo.cards().items() if card["architecture"] in kinds]
    names.sort(key=lambda name: list(WORDS).index(name) if name in WORDS else len(WORDS))
    return [*names, RANDOM] if names else []


@functools.cache
def load(name):
    """Return a shipped network, or its random twin, loaded once for all panels."""
    return (zoo.random_twin(load(shipped()[0])) if name == RANDOM else zoo.load(name)).to(device())


@functools.cache
def load_inverse(name, layer):
    """Return a shipped inverse network, loaded once for all panels."""
    return upconv.load_inverse(name, layer).to(device())


def evaluated(model, name):
    """Return a network of somebody's own, which has to be in evaluation mode: a panel only looks."""
    if any(part.training for part in model.modules()):
        raise ModelError(f"network {name!r} is in training mode, in which looking changes it; pass model.eval()")
    return model


def names_of_classes(model, count):
    """Return the names of the classes of a network, or numbers where it does not know them."""
    return tuple(getattr(model, "classes", ())) or tuple(map(str, range(count)))
