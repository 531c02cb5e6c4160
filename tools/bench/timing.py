"""Time that can be compared: paired rounds in one process, shown as ratios.

A machine is never quiet.  What two functions cost is therefore measured turn by turn, and each round gives one ratio:
whatever slows the machine for a minute slows both.  Reported are the median of the ratios and their range.

The clock counts the seconds that this process spent computing, not those that it waited for others.
"""

import dataclasses
import statistics
import time


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
    """Run all functions in turn, after one round for warming up; return the seconds of each, one number a round."""
    seconds = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.process_time()
            function()
            seconds[name].append(time.process_time() - start)
    return seconds


def ratio(above, below):
    """Return the `Ratio` of two lists of seconds from the same rounds."""
    each = [a / b for a, b in zip(above, below, strict=True)]
    return Ratio(statistics.median(each), min(each), max(each), len(each))


def milliseconds(seconds):
    """Return the median as words."""
    value = 1e3 * statistics.median(seconds)
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1e3:.3g} s"
