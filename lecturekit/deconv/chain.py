"""The way up and the way down through a network that is a chain: one layer after the other, nothing beside.

AlexNet, VGG and the networks of the course are chains, and for them the whole DeconvNet is explicit: one `steps` object
for each layer, made on the way up and walked through in the opposite order.  One way up serves many ways down, which is
what makes it quick to ask about one activation after the other.
"""

import dataclasses

import torch
from torch import nn

from lecturekit import capture
from lecturekit.deconv import windows
from lecturekit.deconv.beam import beam_of
from lecturekit.deconv.kinds import step_for, trouble


@dataclasses.dataclass(frozen=True)
class Link:
    """One layer of a chain: its name, its step, and the shape (C, H, W) below it."""

    layer: str
    step: object
    shape: tuple


@dataclasses.dataclass(frozen=True)
class Stage:
    """The signal after one step down.

    Attributes:
        layer: the layer that was turned round.
        action: ``select``, ``unpool``, ``rectify``, ``filter``, ``spread``, ``scale``, ``reshape`` or ``pass``.
        signal: (N, C, H, W), or (N, K), below that layer.
    """

    layer: str
    action: str
    signal: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Chain:
    """A forward pass through a chain that remembers the switches; see `projection.climb`.

    Attributes:
        layer: the layer that was climbed to.
        answers: what it answers, (N, C, h, w) or (N, K).
        shape: of one picture, (C, H, W).
        relus: how many ReLU modules the whole network has.
        links: the layers from the picture on.
    """

    layer: str
    answers: torch.Tensor
    shape: tuple
    relus: int
    links: tuple

    def refuse(self, rule):
        """Complain if the rule cannot be followed; a chain follows all."""

    def descend(self, selected, rule):
        """Yield (link, signal) after each step down; the signal fills the maps.

        Args:
            selected: (M, C, h, w) or (M, K); M is N, or any number if one picture was climbed.
            rule: a `backward.Rule`.
        """
        signal = selected
        for link in reversed(self.links):
            signal, _ = link.step.descend(signal, None, rule)
            yield link, signal

    def project(self, selected, rule):
        """Return the picture (M, C, H, W); what must be zero is not computed."""
        beam = beam_of(selected)
        for link in reversed(self.links):
            beam = beam.through(link, rule)
        return beam.widened().signal

    def stages(self, selected, rule):
        """Return the `Stage` after every step, from the selection to the picture."""
        down = self.descend(selected, rule)
        first = Stage(self.layer, "select", selected)
        return [first, *(Stage(link.layer, link.step.action, signal) for link, signal in down)]

    def field(self, selected):
        """Return the `Window` of pixels that the selected activations see."""
        window = windows.around(selected) if selected.dim() == 4 else None
        for link in reversed(self.links):
            if window is None or not link.step.local:
                return windows.whole(self.shape[1:], len(selected))
            window = windows.inside(link.step.reach(window), link.shape[1:])
        return window


def climb_chain(way, layer, x, relus):
    """Run the layers of `way_to` one after the other and return the `Chain`."""
    links, answers = [], x
    for name, module in way:
        shape = tuple(answers.shape[1:])
        step, answers = step_for(module).climb(module, answers)
        links.append(Link(name, step, shape))
    return Chain(layer, answers, tuple(x.shape[1:]), relus, tuple(links))


def way_to(model, layer):
    """Return the layers from the pixels to ``layer`` as a list of (name, module), and why they are no chain, or None.

    Raises: InputError for a layer that does not exist.
    """
    if not _is_plain(model):
        capture.cut(model, layer)  # complains about names that do not exist
        return [], f"a {type(model).__name__} is no nn.Sequential, whose layers follow one another"
    way = []
    for name, module in leaves(model):
        way.append((name, module))
        if name == layer:
            break
    else:
        way = list(leaves(capture.cut(model, layer)))  # "features", or a layer inside a block
    problems = ((name, trouble(module)) for name, module in way)
    return way, next((f"{name!r} {problem}" for name, problem in problems if problem), None)


def leaves(model, prefix=""):
    """Yield (name, module) for every layer of nested Sequentials, in order; any other module is one layer."""
    for name, module in model._modules.items():  # named_children() would skip a module that stands there twice
        if _is_plain(module):
            yield from leaves(module, f"{prefix}{name}.")
        else:
            yield prefix + name, module


def _is_plain(module):
    """Tell whether running it means running its parts one after the other, and nothing else."""
    plain = type(module).forward is nn.Sequential.forward
    return plain and not (module._forward_hooks or module._forward_pre_hooks)
