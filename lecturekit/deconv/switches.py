"""What the switches contribute: project with other ones and see what is left.

The switches say where every maximum stood, and so they carry the layout of this very picture down to the pixels, past
the filter that one asked about.  How much of a beautiful projection is the filter's, and how much the switches'?

===================  ==================================================================
``saved``            those of the picture itself: Zeiler & Fergus' DeconvNet
``centre``           the middle of every window; nothing of the picture
``random``           any place of the window, by lot
``another picture``  those that another picture left behind
===================  ==================================================================

The trap: ReLU masks carry the picture down as well.  Under the rules ``gradient`` and ``guided`` much of the layout
survives any switches.

Source: Mahendran & Vedaldi 2016, "Salient deconvolutional networks", ECCV; Nie et al. 2018, arXiv:1805.07039.
"""

import dataclasses

import torch

from lecturekit.deconv.chain import Chain
from lecturekit.deconv.compare import compared
from lecturekit.deconv.projection import field, patches, project
from lecturekit.deconv.steps import Unpool
from lecturekit.errors import InputError, ModelError


def switch_ablation(seen, selected, other, rule="deconvnet", seed=0):
    """Project the same activations with four kinds of switches.

    Args:
        seen, selected, rule: as for `project`; the network must be a chain with a max-pooling on the way.
        other: `climb` of another picture, or of as many, to the same layer; same size.
        seed: of the random switches.
    Returns: a `compare.Comparison` with the reference ``saved``.
    Raises: InputError for another layer or size; ModelError for a network that branches or has no max-pooling.
    """
    window = field(seen, selected)
    kinds = {
        "saved": seen,
        "centre": centred(seen),
        "random": shuffled(seen, seed),
        "another picture": borrowed(seen, other),
    }
    return compared({name: patches(project(each, selected, rule), window) for name, each in kinds.items()})


def centred(seen):
    """Return the same climb with every switch in the middle of its window."""
    return _switched(seen, lambda step, _: step.centre())


def shuffled(seen, seed=0):
    """Return the same climb with every switch somewhere in its window, by lot."""
    generator = torch.Generator().manual_seed(seed)  # on the processor: the same places on every device

    def drawn(step, _):
        axes = enumerate(step.lines())
        rows, columns = (_by_lot(lines, step.switches.shape, axis, generator) for axis, lines in axes)
        return (rows * step.size[1] + columns).to(step.switches.device)

    return _switched(seen, drawn)


def borrowed(seen, other):
    """Return the same climb with the switches of another one, whose pictures are as many, or one for all."""
    theirs = {link.layer: link for link in other.links} if isinstance(other, Chain) else {}

    def borrow(step, layer):
        link = theirs.get(layer)
        fits = link and link.step.switches.shape[1:] == step.switches.shape[1:] and link.step.size == step.size
        if not fits or len(link.step.switches) not in (1, len(step.switches)):
            raise InputError(
                f"the other climb has no switches of {layer!r} that fit; climb to the same layer of the same network "
                f"with pictures of the same size, {len(step.switches)} of them or one"
            )
        return link.step.switches

    return _switched(seen, borrow)


def _switched(seen, choose):
    """Return a chain in which every max-pooling has the switches ``choose(step, layer)``."""
    if not isinstance(seen, Chain):
        raise ModelError(f"switches can be exchanged in a chain of layers only, and {seen.why}")
    if not any(isinstance(link.step, Unpool) for link in seen.links):
        raise ModelError(f"there is no max-pooling on the way to {seen.layer!r}, so there are no switches")
    return dataclasses.replace(seen, links=tuple(_relinked(link, choose) for link in seen.links))


def _relinked(link, choose):
    if not isinstance(link.step, Unpool):
        return link
    step = dataclasses.replace(link.step, switches=choose(link.step, link.layer))
    return dataclasses.replace(link, step=step)


def _by_lot(lines, shape, axis, generator):
    """Return for every window (N, C, h, w) one of its rows, or columns for ``axis`` 1."""
    along = (-1, 1) if axis == 0 else (1, -1)
    first, number = lines.first.view(along), lines.number.view(along)
    chosen = (torch.rand(shape, generator=generator) * number).long().minimum(number - 1)
    return first + lines.step * chosen
