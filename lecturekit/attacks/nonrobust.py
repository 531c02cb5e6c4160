r"""Non-robust features: a network that learned from wrong labels alone names clean pictures rightly.

Move every training picture a little towards a class t on a trained network, and *label* it t.  To the eye the labels
are now wrong.  A fresh network is trained on nothing else, and asked about clean pictures it has never seen:

=================  ===========================  =================  ===========================================
training set       pictures                     labels             what a person would learn from it
=================  ===========================  =================  ===========================================
``D_rand``         moved towards t              t drawn by lot     nothing
``D_det``          moved towards t              t = next class     that every class has the name of the next
control            as they were                 the same t         the same
control            as much noise as was moved   the same t         the same
=================  ===========================  =================  ===========================================

Whatever the fresh network knows of the right classes, it has from changes nobody sees.  So these are no accidents of
one network: they are *features*, which predict the class in clean pictures too, and which an attack can write.

The trap: accuracy above one in ten is no proof by itself.  The controls must fail on the same labels, and the pictures
that are asked about must be new to both networks.

Source: Ilyas et al. 2019, arXiv:1905.02175, section 3.2 and appendix C: uniform t for D_rand, t = y + 1 for D_det.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from lecturekit import measure
from lecturekit.attacks.fit import fit, small_net
from lecturekit.attacks.gradient import ascend, check_step, kept
from lecturekit.attacks.guard import attacking, check_labels
from lecturekit.attacks.threat import L2, into_box, over
from lecturekit.errors import InputError, unknown
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table

BALL = L2(2.0)  # on 32 x 32 pixels nine grey levels a value; chosen on validation drawings among 0.5, 1 and 2
SETS = ("D_rand", "D_det")
CHANGES = ("moved", "unchanged", "noise")


class Learned(NamedTuple):
    """One fresh network.

    Attributes:
        labels: ``D_rand`` or ``D_det``; ``true`` for the standard network.
        pictures: ``moved``, ``unchanged`` or ``noise``.
        fitted: share of its own training labels that it names, whatever they are worth.
        accuracy: on clean test pictures, with their true classes.
    """

    labels: str
    pictures: str
    fitted: float
    accuracy: measure.Interval


def targets(y, name, classes, seed=0):
    """Return the labels of a training set: drawn by lot for ``D_rand`` (its own class too), the next for ``D_det``.

    Args:
        y: true classes (N,) int64.
        name: ``"D_rand"`` or ``"D_det"``.
        classes: how many there are.
        seed: of the lot.
    Raises: InputError for another name.
    """
    if name not in SETS:
        raise unknown("training set", name, SETS)
    if name == "D_det":
        return (y + 1) % classes
    return torch.randint(classes, y.shape, generator=torch.Generator().manual_seed(seed)).to(y.device)


def moved_towards(model, x, y, t, *, ball=BALL, steps=10, batch=100, watch=None):
    """Return the pictures moved towards classes t, (N, C, H, W): plain PGD from the picture itself, all steps taken.

    t may be the true class, so this is no attack, and nothing is counted as a success.

    Args:
        model: the standard network, in eval mode.
        x, y, t: pictures, true classes, and the classes to move to.
        ball: the radius; each step is a quarter of it.
        steps, batch: of the climb.
        watch: see `lecturekit.progress`.
    Raises: InputError, ModelError as for an attack.
    """
    check_labels(t, len(x), "targets")
    check_step(ball.eps / 4, steps, ball)
    moved = x.clone()
    with attacking(model, x, y):
        for start in range(0, len(x), batch):
            part = slice(start, start + batch)
            here = kept(x, torch.arange(len(x))[part])
            moved[part] = ascend(model, here, y[part], ball, steps=steps, alpha=ball.eps / 4, target=t[part]).x
            if stopped(watch, Step(min(start + batch, len(x)), len(x), picture=moved[part])):
                break
    return moved


def noise_like(x, moved, seed=0):
    """Return ``x`` plus Gaussian noise, each picture as far away (L2) as it was moved; the box may cut some off."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
    scale = (moved - x).flatten(1).norm(dim=1) / over(noise.flatten(1).norm(dim=1))
    return into_box(x + scale[:, None, None, None] * noise)


def learn_from_moved(
    x, y, x_test, y_test, *, sets=SETS, changes=CHANGES, ball=BALL, steps=10, epochs=8,
    build: Callable = small_net, seed=0, watch=None,
):  # fmt: skip
    """Train the standard network, make the training sets, train a fresh network on each, and ask all of them.

    Args:
        x, y: training pictures and true classes 0 to K - 1.
        x_test, y_test: clean pictures that no network has seen.
        sets: of `SETS`, those to make.
        changes: of `CHANGES`, how the pictures of each set are changed.
        ball, steps: see `moved_towards`.
        epochs: of every training.
        build: (K, seed=...) to a fresh network; the fresh ones have another seed than the standard one.
        seed: of everything.
        watch: see `lecturekit.progress`; called after each network.
    Returns: a `Table` of `Learned`, the standard network first; shorter if it was stopped.
    Raises: InputError for names that do not exist, or labels that do not start at 0.
    """
    for change in changes:
        if change not in CHANGES:
            raise unknown("change", change, CHANGES)
    classes, total = int(y.max()) + 1, 1 + len(sets) * len(changes)
    if len(set(y.tolist())) != classes:
        raise InputError(f"labels must be 0 to K - 1 and all occur, but are {sorted(set(y.tolist()))}")
    all_t = {name: targets(y, name, classes, seed) for name in sets}
    standard = fit(build(classes, seed=seed), x, y, epochs=epochs, seed=seed)
    rows = [Learned("true", "unchanged", right(standard, x, y).estimate, right(standard, x_test, y_test))]
    for name, t in all_t.items():
        moved = moved_towards(standard, x, y, t, ball=ball, steps=steps)
        for change in changes:
            if stopped(watch, Step(len(rows), total, note=f"{name}, {change}")):
                return Table(rows, Learned._fields)
            shown = {"moved": moved, "unchanged": x, "noise": noise_like(x, moved, seed)}[change]
            model = fit(build(classes, seed=seed + 1), shown, t, epochs=epochs, seed=seed + 1)
            rows.append(Learned(name, change, right(model, shown, t).estimate, right(model, x_test, y_test)))
    stopped(watch, Step(total, total))
    return Table(rows, Learned._fields)


def right(model, x, y, batch=250):
    """Return the share of pictures whose class the network names, a `measure.Interval`."""
    with torch.no_grad():
        named = torch.cat([model(some).argmax(1) for some in x.split(batch)])
    return measure.proportion(int((named == y).sum()), len(y))
