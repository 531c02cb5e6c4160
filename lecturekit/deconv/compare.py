"""How much a picture changes when something else changes: switches, weights.

Eyes are easily convinced, so the pictures come with numbers.  There are three, because they can disagree: correlation
is ruled by the few strongest pixels, the rank correlation asks about order only, and SSIM about local pattern.

The trap: outside of the receptive field every picture is zero, and zeros agree perfectly.  So compare the field only.

Source of the choice: Adebayo et al. 2018, arXiv:1810.03292, section 4.1.
"""

import dataclasses
from typing import NamedTuple

import torch

from lecturekit import measure
from lecturekit.deconv.projection import visible
from lecturekit.measure.likeness import WINDOW, check_shapes
from lecturekit.tables import Table


class Likeness(NamedTuple):
    """How alike pictures are to a reference, one number each, (N,); 1 is the same, 0 unrelated.

    Attributes:
        correlation: Pearson's, over all pixels and colours.
        rank_correlation: Spearman's.
        ssim: structural similarity of the pictures as they are shown; NaN where they are smaller than its window.
    """

    correlation: torch.Tensor
    rank_correlation: torch.Tensor
    ssim: torch.Tensor


class Row(NamedTuple):
    """One line of the table of a `Comparison`: means over the pictures, with intervals if there are several."""

    picture: str
    correlation: object
    rank_correlation: object
    ssim: object


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The same question under several conditions.

    Attributes:
        pictures: condition to signed pictures (N, C, h, w), the receptive field only; the first is the reference.
        likeness: condition to its `Likeness` to the reference.
        complete: False if it was stopped early.
    """

    pictures: dict
    likeness: dict
    complete: bool = True

    def table(self):
        """Return one `Row` for each condition."""
        return Table([Row(name, *map(summary, numbers)) for name, numbers in self.likeness.items()], Row._fields)


def compared(pictures, complete=True):
    """Return the `Comparison` of all pictures with the first ones; a dict of condition to pictures (N, C, h, w)."""
    reference = next(iter(pictures.values()))
    return Comparison(pictures, {name: likeness(each, reference) for name, each in pictures.items()}, complete)


def likeness(picture, reference):
    """Return the `Likeness` of signed pictures (N, C, H, W) to others.

    Raises: InputError for different shapes.
    """
    check_shapes(picture, reference, "picture", "reference")
    if min(picture.shape[-2:]) < WINDOW:
        ssim = torch.full((len(picture),), torch.nan)
    else:
        ssim = measure.ssim(visible(picture), visible(reference))
    return Likeness(measure.correlation(picture, reference), measure.rank_correlation(picture, reference), ssim)


def summary(values):
    """Return the mean of one number per picture: an `Interval` of several, rounded of one, None of none."""
    values = values[torch.isfinite(values)]
    if len(values) < 2:
        return round(values.item(), 3) if len(values) else None
    return measure.bootstrap(values)
