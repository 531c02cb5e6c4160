"""How sure a number is: the interval in which it would lie for other pictures of the same kind.

"24.1 dB" measured on 64 pictures is a fact about those 64.  The bootstrap asks what another 64 would have given, by
drawing 64 from the 64 again and again, with replacement: the spread of the results is the answer.  What is drawn is a
picture, never a pixel; the pixels of one picture are not independent.

Two numbers differ if their intervals do not overlap.  Measured on the *same* pictures they can differ much more surely
than that: then ask `paired_difference`.

Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3 (percentiles); Wilson 1927 for
proportions, because the bootstrap of 0 hits in 20 would be sure of 0.
"""

import dataclasses
import math
import statistics

import numpy as np
import torch

from lecturekit.errors import InputError

BLOCK = 2**22  # numbers drawn at once: 32 MB


@dataclasses.dataclass(frozen=True)
class Interval:
    """A measured number and how sure it is.

    Attributes:
        estimate: the number.
        low, high: the limits of the interval.
        n: pictures (or trials) that it was measured on.
        level: how often such an interval contains the truth.
    """

    estimate: float
    low: float
    high: float
    n: int
    level: float = 0.95

    def above(self, other):
        """Tell whether this is surely larger than a number or than another interval: no overlap."""
        return self.low > (other.high if isinstance(other, Interval) else other)

    def below(self, other):
        """Tell whether this is surely smaller than a number or than another interval: no overlap."""
        return self.high < (other.low if isinstance(other, Interval) else other)

    def __str__(self):
        """Return ``24.1 [23.6, 24.7]``, with as many digits as the width of the interval is worth."""
        reach = (self.high - self.low) / 2  # shown as 0.02 ... 0.09, 0.10 ... 0.19, 0.2: one digit, two after a 1
        digits = min(max(math.ceil(math.log10(2 / reach)), 0), 6) if reach else 2
        return f"{self.estimate:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def bootstrap(values, statistic=np.mean, *, resamples=2000, level=0.95, seed=0):
    """Return the `Interval` of a statistic of ``values``, one value for each picture.

    Args:
        values: (n,) tensor, array or list, finite, at least two.
        statistic: takes an array and ``axis``, like `numpy.mean` or `numpy.median`.
        resamples: how often to draw anew.
        level: how often the interval shall contain the truth.
        seed: of the draws; the same seed gives the same interval.
    Raises: InputError for fewer than two values, or for values that are not finite.
    """
    values = _one_row(values, "values")
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, e.g. 0.95, got {level}")
    random, n = np.random.default_rng(seed), len(values)
    rows = max(1, BLOCK // n)
    blocks = [min(rows, resamples - done) for done in range(0, resamples, rows)]  # bounded memory for large n
    drawn = np.concatenate([statistic(values[random.integers(n, size=(block, n))], axis=1) for block in blocks])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(values, axis=0)), float(low), float(high), n, level)


def share(hits):
    """Return the `Interval` of the share of True among (N,) bool; see `proportion`."""
    return proportion(int(hits.sum()), len(hits))


def paired_difference(a, b, **how):
    """Return the `Interval` of the mean of ``a - b``, both measured on the same pictures in the same order.

    Args:
        a, b: (n,) each.
        how: as for `bootstrap`.
    Raises: InputError as for `bootstrap`, and for different lengths.
    """
    a, b = _one_row(a, "a"), _one_row(b, "b")
    if len(a) != len(b):
        raise InputError(f"a pair needs two values of every picture, got {len(a)} and {len(b)} values")
    return bootstrap(a - b, **how)


def proportion(successes, n, level=0.95):
    """Return Wilson's `Interval` for a share, such as an accuracy; it is honest also for 0 or all of n.

    Args:
        successes: how many of the n succeeded.
        n: how many were tried, at least one.
        level: how often the interval shall contain the truth.
    Raises: InputError for counts that cannot be.
    """
    successes, n = int(successes), int(n)
    if not 0 <= successes <= n or n < 1:
        raise InputError(f"there cannot be {successes} successes among {n}")
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    share, shrink = successes / n, 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / shrink
    reach = z / shrink * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = 0.0 if successes == 0 else centre - reach  # exact, where rounding would leave 1e-18
    return Interval(share, low, 1.0 if successes == n else centre + reach, n, level)


def _one_row(values, name):
    """Return the values as an array of float64, (n,)."""
    values = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"{name} must be one number for each of at least two pictures, got shape {values.shape}")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise InputError(
            f"{len(wrong)} of {len(values)} {name} are not finite, the first is number {wrong[0]} "
            f"({values[wrong[0]]}); PSNR is infinite for equal pictures, part_iou NaN where there is no part"
        )
    return values
