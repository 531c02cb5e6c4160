"""Which rows and columns of a map the windows of a pooling look at, padding and ragged ends included.

Torch has five ways to lay windows: with stride, padding and dilation, with a last one that hangs over (``ceil_mode``),
and adaptive ones of unequal size.  All of them are rectangles, so rows and columns can be treated apart::

    kernel 3, stride 2, padding 1 on 6 rows         window 0   (-1) 0  1
                                                    window 1         1  2  3
                                                    window 2               3  4  5

Here each window gets the first of its rows that exists and how many exist.  The maximum is never looked for in the
padding, and the middle of a window is the middle of what exists.
"""

import dataclasses

import torch


@dataclasses.dataclass(frozen=True)
class Lines:
    """Which rows (or columns) of a map the windows of a pooling look at, the padding left out.

    Attributes:
        first: the first one of each window, (h,).
        number: how many each window has, (h,).
        step: from one to the next within a window.
    """

    first: torch.Tensor
    number: torch.Tensor
    step: int = 1

    def middle(self):
        """Return the middle one of each window, (h,); the first of two."""
        return self.first + self.step * ((self.number - 1) // 2)


def pair(value):
    """Return (2, 2) for 2."""
    return (value, value) if isinstance(value, int) else tuple(value)


def regular(count, side, kernel, stride, padding, dilation):
    """Return the `Lines` of ``count`` windows on ``side`` rows."""
    start = torch.arange(count) * stride - padding
    skipped = (-start).clamp(min=0).add(dilation - 1).div(dilation, rounding_mode="floor")  # in the padding above
    last = (side - 1 - start).div(dilation, rounding_mode="floor").clamp(max=kernel - 1)
    return Lines(start + dilation * skipped, last - skipped + 1, dilation)


def adaptive(count, side):
    """Return the `Lines` of an adaptive pooling: from floor(i H / h) to ceil((i + 1) H / h)."""
    i = torch.arange(count)
    first, end = i * side // count, -(-(i + 1) * side // count)
    return Lines(first, end - first)


def shares_of(pool, lines, size, how):
    """Return for both axes what one pixel counts in each window; torch has three ways to divide."""
    if pool.divisor_override:
        return [torch.full((len(lines[0].first),), 1 / pool.divisor_override), torch.ones(len(lines[1].first))]
    if not pool.count_include_pad:
        return [1 / axis.number for axis in lines]
    shares = []
    for axis, side, kernel, stride, padding in zip(lines, size, *how, strict=True):
        start = torch.arange(len(axis.first)) * stride - padding
        shares.append(1 / ((start + kernel).clamp(max=side + padding) - start))  # ceil_mode cuts the last window
    return shares


def matrix(lines, share, side):
    """Return the weights (h, H) of all pixels along one axis in all windows."""
    place = torch.arange(side)
    within = (place >= lines.first[:, None]) & (place < (lines.first + lines.number)[:, None])
    return within * share[:, None]
