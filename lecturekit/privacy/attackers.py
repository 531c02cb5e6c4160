r"""Who attacks: three attackers who see the same code and know less and less about the network that made it.

=============  ==================================  =====================================================
attacker       has                                 does
=============  ==================================  =====================================================
white box      the network up to the layer         looks for the picture with this code: `white_box`
black box      may ask for codes of own pictures   trains an inverse network on the answers: `black_box`
query-free     only what follows after the layer   trains a stand-in for the part that he lacks, and
                                                   inverts that: `query_free`
=============  ==================================  =====================================================

The scene is *split inference*: a telephone computes the first layers and sends the code, a server does the rest.  The
server has the code, the layers that follow, and all the time it wants.

What the black box asks about matters more than how often: `questions` draws its pictures from the same world, from
another one, or from none at all.

Source: He, Zhang & Lee 2019, "Model inversion attacks against collaborative inference", ACSAC, sections 3.2 to 3.4.
"""

import contextlib
import copy
import tempfile
from collections import OrderedDict

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from lecturekit import capture, inversion, networks, training
from lecturekit.augment import mirror, pixels
from lecturekit.errors import InputError, unknown
from lecturekit.inversion.representation import representation
from lecturekit.networks.lecturenet import folded, named
from lecturekit.privacy.judges import in_batches
from lecturekit.recipes import reconstruction_loss

WORLDS = ("drawings", "drawings without faces", "photographs", "noise")
STRANGER = 1000  # added to the seed of stand-ins: the shipped networks began with seeds 0 and 1, a stand-in must not


def white_box(model, layer, codes, *, size=(64, 64), watch=None, **changes):
    """Look for pictures with these codes; see `inversion.invert`, whose settings for this layer are used.

    Args:
        model: the network.
        layer: where the codes come from.
        codes: (N, ...).
        size: height and width of the pictures sought.
        watch: see `lecturekit.progress`.
        changes: arguments of `invert` that replace the tuned ones.
    Returns: pictures (N, 3, H, W) in [0, 1]; on `STOP` the best so far.
    """
    settings = {"size": size} | inversion.tuned(layer) | changes
    return inversion.invert(representation(model, layer), codes, watch=watch, **settings).x


def questions(world, count, seed=0):
    """Return ``count`` pictures for an attacker who may ask what their codes are, uint8 (N, 64, 64, 3).

    Args:
        world: ``"drawings"`` (the picture book, the split on which its network was trained), ``"drawings without
            faces"``, ``"photographs"`` (random windows of the photographs that come with the course) or ``"noise"``
            (every pixel by itself).
        count: how many.
        seed: of windows and noise.
    Raises: InputError for another world.
    """
    from lecturekit.pictures.picturebook import CLASSES, PictureBook

    random = np.random.default_rng(seed)
    if world == "noise":
        return torch.from_numpy(random.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8))
    if world == "photographs":
        return windows(count, random)
    if world not in WORLDS:
        raise unknown("world", world, WORLDS)
    labels = None if world == "drawings" else CLASSES[1:]
    return torch.from_numpy(PictureBook("train", count, labels=labels).images)


def windows(count, random):
    """Return random windows of the photographs that come with scikit-image, uint8 (N, 64, 64, 3), some mirrored."""
    from lecturekit.pictures.photographs import bundled, photograph

    wholes = [(photograph(credit.name)[0].permute(1, 2, 0) * 255).round().byte() for credit in bundled()]
    found = []
    for k in range(count):
        whole = wholes[k % len(wholes)]
        stride = int(random.integers(1, min(whole.shape[:2]) // 64 + 1))  # every so-manieth pixel: near and far
        top, left = (int(random.integers(0, side - 64 * stride + 1)) for side in whole.shape[:2])
        window = whole[top : top + 64 * stride : stride, left : left + 64 * stride : stride]
        found.append(window.flip(1) if random.random() < 0.5 else window)
    return torch.stack(found)


def black_box(ask, images, *, start=None, epochs=4, seed=0, folder=None, watch=None):
    """Train an inverse network on the codes of one's own pictures: all that an API is needed for.

    Args:
        ask: pictures (N, 3, 64, 64) to codes (N, ...); what the attacker cannot look into.
        images: the pictures asked about, uint8 (N, 64, 64, 3); see `questions`.
        start: an inverse network to go on from, e.g. one of the same codes before a defence; fresh weights if None.
        epochs: how often each is shown.
        seed: of the fresh weights and of the order.
        folder: where the training state lies, so that it can be resumed; nothing is kept if None.
        watch: see `lecturekit.progress`; told after every batch.
    Returns: `training.Trained`; its ``model`` turns codes into pictures (N, 3, 64, 64) in [0, 1].  ``complete`` is
        False if it was stopped; the network is then as far as it came.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or tuple(images.shape[1:]) != (64, 64, 3):
        raise InputError(f"images must be uint8 (N, 64, 64, 3), as `questions` returns, got {tuple(images.shape)}")
    codes = in_batches(lambda batch: ask(pixels(batch)), images)

    def build():
        if start is not None:
            return copy.deepcopy(start)
        with training.seeded(seed):
            net = inversion.inverse_net(tuple(codes.shape[1:]))
        net.normalise.measure(codes[:: max(1, len(codes) // 500)])
        return net

    return trained("inverse", lambda: (codes, images), build, reconstruction_loss, epochs, seed, folder, watch)


def query_free(model, layer, images, labels, *, epochs=3, seed=0, folder=None, watch=None):
    """Train a stand-in for the layers that the attacker lacks: what follows must classify rightly on its codes.

    The stand-in has the architecture of the layers it replaces, and no weight of theirs; the layers that follow, which
    the attacker has, stay as they are.

    Args:
        model: a `lecture_net`; only what follows after ``layer``, and the architecture, is used.
        layer: where the codes come from, e.g. ``"conv3"``.
        images, labels: the attacker's own pictures, uint8 (N, 64, 64, 3), and their classes, (N,).
        epochs, seed, folder, watch: see `black_box`.
    Returns: `training.Trained`; its ``model`` computes codes like those of ``layer``, and can be inverted by
        `white_box` (as a network whose last layer is asked) in place of the true one.
    """
    behind = capture.rest(model, layer)

    def build():
        with training.seeded(seed + STRANGER):
            twin = networks.lecture_net(model.classes, batch_norm=True)
        return up_to(twin, layer)

    def loss(stand_in, batch, classes, generator, _progress):
        return cross_entropy(behind(stand_in(mirror(pixels(batch), generator))), classes)

    return trained("stand_in", lambda: (images, labels), build, loss, epochs, seed, folder, watch, finish=folded)


def up_to(net, layer):
    """Return the first layers of a fresh network, up to ``layer`` and the batch normalisation that belongs to it."""
    children = list(net.named_children())
    last = [name for name, _ in children].index(layer)
    if isinstance(children[last + 1][1], torch.nn.BatchNorm2d):
        last += 1
    return named(torch.nn.Sequential(OrderedDict(children[: last + 1])), net.classes)


def trained(name, data, build, loss, epochs, seed, folder, watch, finish=training.Recipe.finish):
    """Train by `training.train`, in a folder that is thrown away if none is given."""
    recipe = training.Recipe(name, data, build, loss, finish, epochs=epochs, seed=seed)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory()) if folder is None else folder
        return training.train(recipe, folder, watch=watch)
