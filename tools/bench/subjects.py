"""What everything is measured on: a network, pictures, and the classes that it names them.

===============  ==========  ===========================================================================================
``picturebook``  64 x 64     the network of the course, and drawings that it names rightly
``squeezenet``   224 x 224   SqueezeNet 1.0 as it was trained on ImageNet, and photographs that it names rightly
``fresh``        224 x 224   VGG-16, ResNet-18 ... with random weights, and noise: time does not depend on either
===============  ==========  ===========================================================================================

Pictures lie in memory with their colours last, in which convolutions on a processor are a tenth faster, for everybody.
Weights are frozen, for everybody: Foolbox and ART would otherwise spend a third of their time on slopes of weights.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import torch
from rows import Missing
from timing import device

from lecturekit import networks
from lecturekit.augment import pixels
from lecturekit.networks import imagenet

SHARED = Path(os.environ.get("LECTUREKIT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
SQUEEZENET = SHARED / "weights" / "squeezenet1_0_imagenet" / "squeezenet1_0_deepcomp_imagenet.pt"
SQUEEZENET_SHA256 = "8b0631616445a2e485eecb95eccea249712ad7001fc09f701698396aa6203cee"
PHOTOGRAPHS = SHARED / "data" / "imagenet_sample_100"


class Subject(NamedTuple):
    """A network, pictures (N, 3, H, W) in [0, 1], and their classes (N,)."""

    model: torch.nn.Module
    x: torch.Tensor
    y: torch.Tensor


def picturebook(count, split="test"):
    """Return the network of the course and so many drawings that it names rightly."""
    from lecturekit.pictures.picturebook import PictureBook

    model, book = networks.load("picturebook").to(device()), PictureBook(split, count + count // 4 + 10)
    return right(model, pixels(torch.from_numpy(book.images)), torch.from_numpy(book.labels), count)


def squeezenet(count, size=224):
    """Return SqueezeNet and so many photographs that it names rightly.

    Raises: Missing if this machine has no weights or no photographs.
    """
    from lecturekit.pictures.photographs import read

    for path in (SQUEEZENET, PHOTOGRAPHS):
        if not path.exists():
            raise Missing(f"{path.name} is not at hand; LECTUREKIT_SHARED can name the folder that has it")
    model = imagenet.load("squeezenet1_0", SQUEEZENET, sha256=SQUEEZENET_SHA256).to(device())
    labels = json.loads((PHOTOGRAPHS / "labels.json").read_text("utf-8"))
    names = sorted(labels)[: 4 * count + 8]
    x = torch.cat([read(PHOTOGRAPHS / name, size, say=lambda _: None) for name in names])
    return right(model, x, torch.tensor([labels[name] for name in names]), count)


def fresh(name, count, size=224):
    """Return a network with random weights, and noise that counts as what it calls it."""
    model = imagenet.untrained(name).to(device())
    x = noise(count, size)
    with torch.no_grad():
        return Subject(model, x, model(x).argmax(1))


def right(model, x, y, count):
    """Return the first ``count`` pictures of those that a network names rightly."""
    x, y = x.to(device()), y.to(device())
    with torch.no_grad():
        known = (model(x).argmax(1) == y).nonzero().flatten()[:count]
    return Subject(model, colours_last(x[known]), y[known])


def noise(count, size):
    """Return random pictures."""
    return colours_last(torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device()))


def colours_last(x):
    """Return pictures laid out in memory with their colours last."""
    return x.contiguous(memory_format=torch.channels_last)
