"""Untrained networks and what becomes of them: their signal, layer by layer, and their first steps of training."""

import math
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import nn

from lecturekit import features, networks
from lecturekit.devices import device
from lecturekit.networks.layers import Normalize
from lecturekit.pictures.picturebook import CLASSES, PictureBook
from lecturekit.progress import STOP, Step

LESSON, BATCH = 500, 32  # drawings that are learned, and at once
WIDTH = 16  # filters of each layer of the chain
GUESSING = math.log(len(CLASSES))  # the loss of who knows nothing
COURSE, SMALL, CHAIN = "course", "small", "chain"


class Started(NamedTuple):
    """One way to draw the first weights.

    Attributes:
        scheme: its name, one of `features.SCHEMES`.
        signals: a `features.Signal` of each layer, from the picture to the class.
        losses: of each step of training; empty if none was wanted.
    """

    scheme: str
    signals: list
    losses: tuple = ()

    @property
    def slopes(self):
        """By how many decades a layer activations rise, and gradients on their way back; the last layer left out."""
        up, down = ([getattr(row, what) for row in self.signals[:-1]] for what in ("activation", "gradient"))
        return features.slope(up), -features.slope(down) if all(down) else -math.inf


class Learning:
    """A `watch` for the training of one network among several: keeps its losses, and carries all that is known."""

    def __init__(self, watch, started, number, steps):
        self.watch, self.started, self.number, self.steps = watch, started, number, steps
        self.losses, self.ended = [], False

    def __call__(self, step):
        """Pass a step on, with the losses so far."""
        self.losses.append(step.loss)
        return self.report(step.done)

    def report(self, done):
        """Tell how far all networks are."""
        one = self.started[self.number]._replace(losses=tuple(self.losses))
        seen = [*self.started[: self.number], one, *self.started[self.number + 1 :]]
        total, done = len(seen) * self.steps, self.number * self.steps + done
        answer = self.watch(Step(done, total, picture=seen, note=one.scheme))
        self.ended |= answer == STOP
        return answer


def trained(model, steps, watch):
    """Train a network on drawings for a few steps and return its losses, a tuple."""
    book = PictureBook("train", LESSON)
    x, y = book.tensors().to(device()), torch.from_numpy(book.labels).to(device())
    return tuple(features.learn(model, x, y, steps=steps, batch=BATCH, watch=watch))


def blank(name, depth):
    """Return an untrained network by its name; ``depth`` layers for the chain."""
    if name == COURSE:
        return networks.lecture_net(CLASSES)
    return features.stem_net(CLASSES, kernel=7, stride=4) if name == SMALL else chain(depth)


def chain(depth):
    """Return ``depth`` layers, all alike but the first and the last, from pixels (N, 3, H, W) to ten logits."""
    layers = OrderedDict(normalize=Normalize(), conv1=nn.Conv2d(3, WIDTH, 4, stride=4), relu1=nn.ReLU())
    for i in range(2, depth):
        layers[f"conv{i}"] = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        layers[f"relu{i}"] = nn.ReLU()
    layers |= {"average": nn.AdaptiveAvgPool2d(4), "flatten": nn.Flatten()}
    layers[f"fc{depth}"] = nn.Linear(16 * WIDTH, len(CLASSES))
    return nn.Sequential(layers)
