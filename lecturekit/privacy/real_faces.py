"""Real faces: does what holds for drawn people hold for forty whom one could meet?

A small network learns to name the forty people of `AttFaces` on this machine, in about a minute.  Its codes are
inverted, and another network says whom the reconstructions show.  Nobody has seen a picture that is sought:

===========================  ==============  =========================================
who                          its pictures    of each person
===========================  ==============  =========================================
the network under attack     1 to 4          learns from them
the judge, and the gallery   5 to 8          learns from them, and finds people there
the probes                   9 and 10        are what is brought back from codes
===========================  ==============  =========================================

Network and judge share the people and nothing else: no picture, no seed, no starting weight.

Two attackers try.  The white box (`brought_back`) has the network and no photograph.  The black box (`by_strangers`)
may only ask for codes, and has photographs of twenty *other* people; the other twenty are then attacked in turn.

The trap: these are photographs of people.  They are read from a folder that the user has named, and neither a
picture, nor a network trained on them, nor a reconstruction is stored with the course.
"""

import dataclasses

import torch
from torch.nn.functional import cross_entropy

from lecturekit import capture, inversion, networks
from lecturekit.augment import moved, pixels, seen_badly
from lecturekit.errors import InputError
from lecturekit.inversion.representation import representation
from lecturekit.networks.lecturenet import folded
from lecturekit.privacy import judges, reidentify
from lecturekit.privacy.attackers import black_box, trained
from lecturekit.privacy.reidentify import Gallery
from lecturekit.progress import STOP, stopped

ATTACKED, JUDGING, PROBES = range(1, 5), range(5, 9), range(9, 11)  # which of each person's ten pictures
LAYERS = ("conv1", "conv2", "conv3", "conv4", "embedding", "answers")
EPOCHS = 60
NEAREST = {"embedding": "fc6", "answers": "fc8"}  # the layer of the lecture network whose settings suit; else its own
VARIANTS = 3  # of each photograph that the black box has, beside the photograph itself


def identity_net(faces, *, blurred=False, epochs=EPOCHS, seed=0, folder=None, watch=None):
    """Train a network that names people, from a few pictures of each.

    Args:
        faces: an `AttFaces`, or anything else with its ``images``, ``labels`` and ``classes``.
        blurred: also show it blurred pictures; a judge of reconstructions needs that.
        epochs: how often each picture is shown, every time shifted, mirrored and lit in another way.
        seed: of the fresh weights and of the order.
        folder: where the training state lies, so that it can be resumed; nothing is kept if None.
        watch: see `lecturekit.progress`; told after every batch.
    Returns: `training.Trained`; ``complete`` is False if it was stopped, and the network as far as it came.
    """

    def data():
        return torch.from_numpy(faces.images), torch.from_numpy(faces.labels)

    def build():
        return networks.face_net(list(faces.classes), batch_norm=True, dropout=0.2)  # `train` builds it from its seed

    def loss(model, images, people, generator, _progress):
        x = seen_badly(images, generator) if blurred else moved(images, generator)
        return cross_entropy(model(x), people, label_smoothing=0.1)

    name = "people_judge" if blurred else "people_named"
    return trained(name, data, build, loss, epochs, seed, folder, watch, folded)


def seen_by(judge):
    """Return what a `Gallery` compares when ``judge``, a trained identity network, looks: its embedding."""
    return lambda x: judges.embedding(x, judge)


def tensors(faces):
    """Return all pictures, (N, 3, 64, 64) in [0, 1], and who they show, (N,)."""
    return pixels(torch.from_numpy(faces.images)).contiguous(), torch.from_numpy(faces.labels)


def galleries(judge, faces):
    """Return the two ways to look for a person among ``faces``: {"judge": ..., "pixels": ...}.

    The pixels know nothing, so that what they find was lying open; the judge was trained on these pictures.
    """
    x, people = tensors(faces)
    return {"judge": Gallery(x, people, seen_by(judge)), "pixels": Gallery(x, people, reidentify.pixels)}


def grey(x):
    """Return pictures with the mean of their colours in each of them, the same shape (N, C, H, W)."""
    return x.mean(1, keepdim=True).expand_as(x)


class Latch:
    """A watch that passes steps on, and once it was told to stop, stops whatever comes later as well.

    Attributes:
        halted: whether it was told to stop.
        note: replaces the note of each step.
    """

    def __init__(self, watch):
        self.watch, self.halted, self.note = watch, False, ""

    def __call__(self, step):
        """Report the step; return `STOP` from the first refusal on."""
        self.halted = self.halted or stopped(self.watch, dataclasses.replace(step, note=self.note))
        return STOP if self.halted else None


def brought_back(model, x, layers=LAYERS, *, watch=None, **changes):
    """Invert the codes of grey photographs at several layers: the white-box attacker, who knows that they are grey.

    He asks for the code of the *grey* part of his picture: one unknown a pixel in place of three.  At conv2 that is
    10 dB better than to search in colour and take the mean afterwards (photographs 5, none of which is sought).

    Args:
        model: the network under attack, in eval mode.
        x: the originals, (N, 3, H, W) in [0, 1]; only their codes are used.
        layers: where to invert.
        watch: see `lecturekit.progress`; told after every evaluation, with the layer as its note.
        changes: arguments of `inversion.invert` that replace the settings of each layer, e.g. ``steps=5``.
    Returns: {layer: pictures (N, 3, H, W) in [0, 1]}; if ``watch`` stopped it, the last layer is as far as it came and
        those behind it are missing.
    Raises: InputError for an unknown layer; ModelError for a network in training mode.
    """
    found, latch = {}, Latch(watch)
    for latch.note in layers:
        phi = representation(model, latch.note)
        settings = {"size": tuple(x.shape[-2:])} | inversion.tuned(NEAREST.get(latch.note, latch.note)) | changes
        codes = judges.in_batches(phi, x)
        seen = inversion.invert(lambda z, phi=phi: phi(grey(z)), codes, watch=latch, **settings).x
        found[latch.note] = grey(seen).contiguous()
        if latch.halted:
            break
    return found


def by_strangers(model, faces, x, people, layer, *, epochs=30, seed=0, watch=None):
    """Bring photographs back by inverse networks that learned from other people: the black-box attacker.

    People with even numbers are brought back by a network that learned from those with odd ones, and the other way
    round, so that everybody is a stranger to the network that shows her.

    Args:
        model: the network under attack; only asked for codes.
        faces: the attacker's photographs, an `AttFaces`; of each half of the people all are used.
        x: the originals, (N, 3, 64, 64) in [0, 1]; only their codes are used.
        people: who they show, (N,).
        layer: where the codes come from.
        epochs, seed: see `attackers.black_box`.
        watch: see `lecturekit.progress`; told after every batch.
    Returns: pictures (N, 3, 64, 64) in [0, 1]; if ``watch`` stopped it, those of networks as far as they came.
    Raises: InputError if ``faces`` has nobody with an even, or nobody with an odd number; and for an unknown layer.
    """
    ask, latch, seen = capture.cut(model, layer), Latch(watch), torch.empty_like(x)
    images, odd = torch.from_numpy(faces.images), torch.from_numpy(faces.labels) % 2 == 1
    if odd.all() or not odd.any():
        raise InputError("by_strangers needs people with even and with odd numbers, each half learns from the other")
    sought = people.to(x.device) % 2 == 1
    for latch.note, his, hers in (("odd people", odd, ~sought), ("even people", ~odd, sought)):
        net = black_box(ask, varied(images[his], seed), epochs=epochs, seed=seed, watch=latch).model.to(x.device)
        if hers.any():
            seen[hers] = grey(judges.in_batches(net, judges.in_batches(ask, x[hers])))
    return seen


def varied(images, seed=0):
    """Return pictures and `VARIANTS` of each, shifted, mirrored and lit in another way; uint8 (N, H, W, 3)."""
    generator = torch.Generator().manual_seed(seed)
    x = grey(moved(images.repeat(VARIANTS, 1, 1, 1), generator))
    return torch.cat([images, (x * 255).round().byte().permute(0, 2, 3, 1)])
