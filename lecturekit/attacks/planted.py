r"""A planted non-robust feature: the truth is known, so one can see the attack find it.

That photographs hold faint patterns which predict the class is a conclusion.  Here the pattern is put there: faint
stripes on every face and on nothing else.  One network learns from such pictures, its twin from the same without.

    perturbation = part in the pattern + rest        |perturbation|^2 = |part|^2 + |rest|^2    (Pythagoras)

`planted_share` is |part|^2 / |perturbation|^2.  An arbitrary direction has 3 / 12,288 of its energy in the pattern,
once for each colour; an attack on the network that lives on the pattern has nearly all.

The trap: a network may see the pattern and not use it.  So `Planted` also says what happens when the pattern is taken
off the faces, and when it is put on the others.

Source: the idea of predictive but brittle features is Ilyas et al. 2019, arXiv:1905.02175; the planted test is ours.
"""

from typing import NamedTuple

import torch
from torch import nn

from lecturekit import measure
from lecturekit.attacks.fit import fit
from lecturekit.attacks.gradient import pgd
from lecturekit.attacks.guard import check_labels
from lecturekit.attacks.scores import margin
from lecturekit.attacks.threat import L2
from lecturekit.errors import InputError, unknown
from lecturekit.networks.layers import Normalize
from lecturekit.pictures.spurious import PATTERNS
from lecturekit.pixels import check_pixels
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table

STRENGTH = 8 / 255  # amplitude of the pattern: hardly seen
NOISE = 0.05  # on the training pictures, see `fit`


class Planted(NamedTuple):
    """One network, asked with and without the pattern, then attacked.

    Attributes:
        learned: ``with`` or ``without`` the pattern.
        plain: share named rightly of all test pictures, none of which has the pattern.
        worn: share of the first class's test pictures that are named rightly with the pattern on them.
        swapped: share of the other class's test pictures that are taken for the first with the pattern on them.
        misled: share of the attacked pictures that are misled.
        share: of the perturbation's energy that lies in the pattern, mean over the attacked pictures.
    """

    learned: str
    plain: measure.Interval
    worn: measure.Interval
    swapped: measure.Interval
    misled: measure.Interval
    share: measure.Interval


def pattern(kind):
    """Return a pattern of the picture book, (64, 64), float; see `pictures.spurious`."""
    if kind not in PATTERNS:
        raise unknown("pattern", kind, PATTERNS)
    return torch.from_numpy(PATTERNS[kind]).float()


def plant(x, kind="wave", strength=STRENGTH):
    """Return pictures (N, C, 64, 64) with the pattern added to every colour, cut off at black and white."""
    return (x + strength * pattern(kind).to(x)).clamp(0, 1)


def planted_share(delta, kind="wave"):
    """Return the share of each perturbation's energy that lies in the pattern: (N, C, 64, 64) to (N,), from 0 to 1.

    The pattern may have another strength in each colour: the subspace has C dimensions.  Zero for no perturbation.

    Raises: InputError for perturbations of another size than the pattern, or an unknown pattern.
    """
    p = pattern(kind).to(delta)
    if delta.dim() != 4 or delta.shape[-2:] != p.shape:
        raise InputError(f"the pattern is 64×64 and lies on perturbations (N, C, 64, 64), got {tuple(delta.shape)}")
    along = (delta * (p / p.norm())).sum(dim=(2, 3)).square().sum(1)
    return along / delta.flatten(1).square().sum(1).clamp(min=torch.finfo(delta.dtype).tiny)


def patch_net(classes=2, *, seed=0):
    """Build a network that looks at patches of 8 x 8, at their 3 x 3 neighbourhoods, and averages over the picture.

    Patches that do not overlap all see the stripes alike, so one filter can hold them and nothing else.

    Returns: pixels (N, 3, 64, 64) in [0, 1] to logits (N, classes), in training mode.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return nn.Sequential(
            Normalize(),
            nn.Conv2d(3, 16, 8, stride=8, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes),
        )  # fmt: skip


def learn_planted(x, y, kind="wave", *, strength=STRENGTH, build=patch_net, epochs=8, noise=NOISE, seed=0):
    """Train a network on pictures of which the first class wears the pattern; strength 0 trains the twin.

    Args:
        x: pictures (N, 3, 64, 64) in [0, 1], without the pattern.
        y: classes 0 and 1, (N,) int64; class 0 wears it.
        kind, strength: of the pattern.
        build: (classes, seed=...) to a fresh network.
        epochs, noise, seed: see `fit`.
    Returns: the network, in evaluation mode.
    Raises: InputError for other classes than 0 and 1.
    """
    check_pixels(x, "x")
    check_labels(y, len(x), "labels")
    if (found := sorted(set(y.tolist()))) != [0, 1]:
        raise InputError(f"labels must be 0 (wears the pattern) and 1, and both must occur, but are {found}")
    worn = torch.where((y == 0)[:, None, None, None], plant(x, kind, strength), x)
    worn = worn.contiguous(memory_format=torch.channels_last)
    return fit(build(2, seed=seed), worn, y, epochs=epochs, peak_lr=1e-2, noise=noise, seed=seed)


def examine(model, x, y, kind="wave", *, strength=STRENGTH, ball=None, steps=20):
    """Attack a network where the pattern should be found, and return how much of the perturbation lies in it.

    The second class is moved to the first (the pattern would have to be painted), and the first, wearing the pattern,
    away from it (it would have to be wiped off).  The ball is as large as the pattern itself, unless another is given.

    Args:
        model: pixels to two logits, in eval mode.
        x, y: test pictures without the pattern, and classes 0 and 1.
        kind, strength: of the pattern.
        ball, steps: of the attack, PGD on the margin.
    Returns: dict with ``plain``, ``worn``, ``swapped``, ``misled``, ``share``: the fields of `Planted`.
    """
    ball = ball or L2((strength * pattern(kind)).norm().item() * 3**0.5)  # in each of three colours
    wearing = plant(x, kind, strength)
    start = torch.where((y == 0)[:, None, None, None], wearing, x).contiguous(memory_format=torch.channels_last)
    found = pgd(model, start, y, ball=ball, steps=steps, score=margin, leave=False)
    with torch.no_grad():
        plain, worn = (model(pictures).argmax(1) for pictures in (x, wearing))
    return {
        "plain": measure.share(plain == y),
        "worn": measure.share((worn == 0)[y == 0]),
        "swapped": measure.share((worn == 0)[y == 1]),
        "misled": measure.share(found.misled),
        "share": measure.bootstrap(planted_share(found.delta, kind)),
    }


def with_and_without(x, y, x_test, y_test, kind="wave", *, strength=STRENGTH, watch=None, **training):
    """Train both networks and examine both: the whole experiment.

    Args:
        x, y, x_test, y_test: pictures without the pattern, classes 0 and 1.
        kind, strength: of the pattern.
        watch: see `lecturekit.progress`; called after each network.
        training: for `learn_planted`: build, epochs, noise, seed.
    Returns: a `Table` of `Planted`, two rows; one if it was stopped.
    """
    rows = []
    for name, amount in (("with", strength), ("without", 0.0)):
        model = learn_planted(x, y, kind, strength=amount, **training)
        rows.append(Planted(name, **examine(model, x_test, y_test, kind, strength=strength)))
        if stopped(watch, Step(len(rows), 2, note=f"{name} the pattern")):
            break
    return Table(rows, Planted._fields)
