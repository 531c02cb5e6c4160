"""Robust accuracy over the radius: a curve that never rises, because who fell once has fallen.

One number at one radius hides most of what there is to see: where a network begins to give way, and whether it is ever
beaten at all.  An attack that is any good beats every network if only the ball is large enough.

The trap: attacks at larger radii sometimes fail where smaller ones succeeded.  A curve of raw numbers then rises a
little, and nobody can say whether the network or the attack did it.  It is the attack: what lies in a small ball lies
in the large one too.  So a picture counts as fallen from the first radius on that felled it, and the curve tells how
often an attack had missed that.

Source: Carlini et al. 2019, "On evaluating adversarial robustness", arXiv:1902.06705, section 5.
"""

import dataclasses
from typing import NamedTuple

import torch

from lecturekit import measure
from lecturekit.attacks.gradient import kept, pgd
from lecturekit.attacks.result import Adversarial, judge
from lecturekit.attacks.threat import Ball, Linf
from lecturekit.attacks.transfer import named, part_of
from lecturekit.errors import InputError
from lecturekit.tables import Table

RADII = tuple(level / 255 for level in (0, 1, 2, 4, 8, 16))


class Point(NamedTuple):
    """One radius of a `Curve`.

    Attributes:
        ball: how far the attack might go.
        accuracy: the share of all pictures that still stand.
        stood_again: pictures that this attack did not mislead although a smaller radius had; they count as misled.
    """

    ball: Ball
    accuracy: measure.Interval
    stood_again: int


@dataclasses.dataclass(frozen=True)
class Curve:
    """Robust accuracy over the radius.

    Attributes:
        balls: one for each radius, from small to large.
        stood: (radii, N) bool, per picture and monotone: who fell once has fallen.
        raw: (radii, N) bool, what each attack found for itself.
        found: one `Adversarial` for each radius, of the pictures that were named rightly.
        complete: False if it was stopped; the radii that were not reached are missing.
    """

    balls: tuple[Ball, ...]
    stood: torch.Tensor
    raw: torch.Tensor
    found: tuple[Adversarial, ...]
    complete: bool

    @property
    def accuracy(self):
        """The share of all pictures that stand at each radius, a list of `measure.Interval`."""
        return [measure.proportion(int(row.sum()), row.numel()) for row in self.stood]

    @property
    def stood_again(self):
        """How many pictures each attack failed to mislead that fall at a smaller radius: 0 where the attack is good."""
        return (self.raw & ~self.stood).sum(1).tolist()

    @property
    def table(self):
        """One `Point` for each radius."""
        rows = zip(self.balls, self.accuracy, self.stood_again, strict=True)
        return Table([Point(*row) for row in rows], Point._fields)

    def __str__(self):
        """Return the table, and a line for what is odd."""
        lines = [repr(self.table)]
        if odd := sum(self.stood_again):
            lines.append(f"{odd} times a picture stood that a smaller radius had misled: the attack is not good enough")
        return "\n".join(lines if self.complete else [*lines, "STOPPED before its end"])


def robust_accuracy(model, x, y, *, attack=pgd, ball=Linf, radii=RADII, seed=0, watch=None):
    """Attack at every radius and return the share of pictures that stand, as a curve that never rises.

    A picture that is misled within 4/255 *is* within 8/255 of a picture that misleads.  If the attack at 8/255 does not
    find one, the attack is to blame, so the picture counts as fallen, and the curve counts how often that was so.

    Args:
        model, x, y: see `gradient.fgsm`; pictures that are wrong to begin with stand at no radius.
        attack: takes ``model, x, y, ball=, seed=, watch=`` and returns an `Adversarial`.
        ball: `Linf` or `L2`, the class; a ball is made for each radius.
        radii: in pixel units.
        seed: of each attack.
        watch: see `lecturekit.progress`; told the steps of each attack in turn.
    Returns: `Curve`.
    Raises: InputError for no radii or no pictures; InputError, ModelError as for the attack.
    """
    if not len(radii) or not len(x):
        raise InputError(f"a curve needs radii and pictures, got {len(radii)} radii and {len(x)} pictures")
    balls = tuple(ball(radius) for radius in sorted(radii))
    right = named(model, x, y) == y
    x, y, raw, found = kept(x, right), y[right], [], []
    for number, here in enumerate(balls):
        part = part_of(watch, number, len(balls), f"{here}")
        result = one_radius(attack, model, x, y, here, seed, part)
        if not result.complete:
            break
        stood = torch.zeros_like(right)
        stood[right] = result.stood
        raw.append(stood)
        found.append(result)
    raw = torch.stack(raw) if raw else right.new_zeros(0, len(right))
    stood = raw.long().cumprod(0).bool()
    return Curve(balls[: len(found)], stood, raw, tuple(found), len(found) == len(balls))


def one_radius(attack, model, x, y, ball, seed, watch):
    """Return the `Adversarial` of one radius; within a radius of 0 there is nothing to search."""
    if not ball.eps:
        return judge(model, x, x, y, attack="nothing", ball=ball, seed=seed)
    return attack(model, x, y, ball=ball, seed=seed, watch=watch)
