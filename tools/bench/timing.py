"""Time that can be compared: paired rounds in one process, shown as ratios.

A machine is never quiet.  What two functions cost is therefore measured turn by turn, and each round gives one ratio:
whatever slows the machine for a minute slows both.  Reported are the median of the ratios and their range.

The clock counts the seconds that this process spent computing, not those that it waited for others.  On a graphics card
the process itself only waits; there it counts the seconds until the card has finished.
"""

import dataclasses
import functools
import math
import statistics
import time

COLD = 30  # seconds: where the first round takes longer it counts too, a cold start is lost in it
ONCE = 30  # seconds: whoever takes longer is asked once
ENOUGH = 60  # seconds: after so many no further round begins, if two have been counted


@functools.cache
def device():
    """Return the device on which everything is measured, see `lecturekit.devices`."""
    from lecturekit import devices

    return devices.device()


def clock():
    """Return seconds that can be subtracted."""
    if device().type == "cpu":
        return time.process_time()
    import torch

    torch.accelerator.synchronize()  # a card goes on computing when Python has long come back
    return time.perf_counter()


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times as long one thing took as another: the median over the rounds, and their range."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self):
        digits = 3 if self.median < 0.1 else 2
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def paired(rounds, **functions):
    """Run all functions in turn, after one round for warming up; without ``rounds``, that one round is all there is.

    Returns: the seconds of each, one number a round, and what each returned last, both by name.
    """
    seconds, answers, spent = {name: [] for name in functions}, {}, 0.0
    for number in range(rounds + 1):
        if number >= 2 and spent > ENOUGH:
            break
        for name, function in functions.items():
            if not seconds[name] or seconds[name][0] < ONCE:
                start = clock()
                answers[name] = function()
                seconds[name].append(clock() - start)
                spent += seconds[name][-1]
    if rounds and sum(each[0] for each in seconds.values()) < COLD:
        seconds = {name: each[1:] for name, each in seconds.items()}
    return seconds, answers


def ratio(above, below):
    """Return the `Ratio` of two lists of seconds from the same rounds; only one of them may have been asked once."""
    each = [a / b for a, b in zip(above, below, strict=False)]
    return Ratio(statistics.median(each), min(each), max(each), len(each))


def exponent(sizes, amounts):
    """Return p of amount ~ size ** p: the slope of the straight line through the points on two logarithmic axes."""
    logarithms = [[math.log(value) for value in values] for values in (sizes, amounts)]
    return statistics.linear_regression(*logarithms).slope


def milliseconds(seconds):
    """Return the median as words."""
    value = 1e3 * statistics.median(seconds)
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1e3:.3g} s"
