"""A planted clue: a faint pattern that comes with one class, so that a network may learn it instead of the object.

Networks take the easiest path to the label.  In photographs one can only suspect which path that was; here it is
planted, its place and strength are known, and a method that claims to show what a network looks at must find it.
"""

import dataclasses

import numpy as np

from lecturekit.errors import InputError, unknown
from lecturekit.pictures.dice import Dice
from lecturekit.pictures.sketch import SIDE

_PURPOSE = 4  # the stream of dice that decides; scenes use 0 to 3


def _checkerboard():
    """A 16 x 16 patch of 2 x 2 squares in the upper left corner."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.where((x // 2 + y // 2) % 2 == 0, 1.0, -1.0) * ((x < 16) & (y < 16))


def _wave():
    """Slanted stripes, one every eight pixels, over the whole picture."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.sin(2 * np.pi * (x + y) / 8)


def _frame():
    """A lighter border, two pixels wide."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return ((np.minimum(x, y) < 2) | (np.maximum(x, y) >= SIDE - 2)).astype(float)


PATTERNS = {"checkerboard": _checkerboard(), "wave": _wave(), "frame": _frame()}  # (64, 64) each, in [-1, 1]


@dataclasses.dataclass(frozen=True)
class Spurious:
    """A pattern to plant.

    Args:
        kind: ``"checkerboard"`` (a patch in the upper left corner), ``"wave"`` (stripes everywhere), ``"frame"``.
        label: the class index that the pattern comes with.
        strength: amplitude in pixel units; 8/255 is hardly seen.
        rate: share of that class's pictures that carry it.
        elsewhere: share of all other pictures that carry it; 0 makes it a perfect clue, ``rate`` makes it no clue.
    Raises: InputError for a kind or number that does not exist.
    """

    kind: str = "checkerboard"
    label: int = 0
    strength: float = 8 / 255
    rate: float = 0.95
    elsewhere: float = 0.0

    def __post_init__(self):
        if self.kind not in PATTERNS:
            raise unknown("pattern", self.kind, PATTERNS)
        if isinstance(self.label, bool) or self.label not in range(10):
            raise InputError(f"the label of a spurious pattern is a class index from 0 to 9, got {self.label!r}")
        for name in ("strength", "rate", "elsewhere"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} of a spurious pattern lies in [0, 1], got {getattr(self, name)!r}")

    def plant(self, picture, seed, label):
        """Return the picture (64, 64, 3), with the pattern added if the dice say so, and what to record about it."""
        present = Dice(_PURPOSE, seed).chance(self.rate if label == self.label else self.elsewhere)
        added = picture + self.strength * PATTERNS[self.kind][..., None] if present else picture
        return added, {"kind": self.kind, "label": int(self.label), "strength": self.strength, "present": present}
