"""Numbers against depth or time, with their intervals and what one gets for nothing."""

import numpy as np

from lecturekit.errors import InputError
from lecturekit.plots.style import BASELINE, LOOKS, POINTS

LONG = 6  # names on the axis, beyond which they stand slanted


def curve_with_intervals(ax, layers, intervals, label, look=LOOKS[0]):
    """Draw one number for each layer, with the interval in which it lies.

    Call it once for each method; layers that a method lacks may be left out, as long as the first call has them all.

    Args:
        ax: where.
        layers: their names, from the picture inwards.
        intervals: one `measure.Interval` for each.
        label: what the legend says.
        look: colour and marker, from `plots.LOOKS`.
    Returns: the artist.
    Raises: InputError for lists of different length.
    """
    layers, intervals = list(layers), list(intervals)
    if len(layers) != len(intervals) or not layers:
        raise InputError(f"each layer needs one interval, got {len(layers)} layers and {len(intervals)} intervals")
    estimates, low, high = np.array([(i.estimate, i.low, i.high) for i in intervals]).T
    artist = ax.errorbar(  # names on the axis: matplotlib gives every new one the next place
        layers, estimates, yerr=[estimates - low, high - estimates], label=label, color=look.colour,
        marker=look.marker, markersize=9, linewidth=2.5, capsize=5, capthick=2, elinewidth=2, clip_on=False,
    )  # fmt: skip
    names = ax.get_xticklabels()
    for name in names if len(names) > LONG else ():
        name.set(rotation=35, ha="right", rotation_mode="anchor")
    ax.margins(x=0.04)
    _finish(ax)
    return artist


def baseline(ax, interval, label):
    """Draw what one gets without the code, as a dashed line with the band in which it lies.

    Args:
        ax: where.
        interval: a `measure.Interval`, or a number such as the chance 1/N.
        label: what stands above the line.
    Returns: the line.
    """
    value = getattr(interval, "estimate", interval)
    if hasattr(interval, "low"):
        ax.axhspan(interval.low, interval.high, color=BASELINE.colour, alpha=0.15, linewidth=0)
    line = ax.axhline(value, color=BASELINE.colour, linestyle="--", linewidth=2, marker="", label=label)
    _finish(ax)
    return line


def losses(ax, histories, *, xlabel="evaluations", ylabel="loss"):
    """Draw how losses fall, on a logarithmic scale.

    Args:
        ax: where.
        histories: dict of labels to lists of positive numbers, one for each step.
        xlabel, ylabel: what is counted, and what falls.
    Returns: the lines.
    Raises: InputError for a loss that is not positive: a logarithmic scale would leave it out without a word.
    """
    lines = []
    for (label, history), look in zip(histories.items(), LOOKS, strict=False):
        history = np.asarray(history, dtype=float)
        if not (history > 0).all():
            raise InputError(f"the losses of {label!r} must be positive for a logarithmic scale, got {history.min()}")
        steps, every = np.arange(1, len(history) + 1), max(1, len(history) // 8)
        lines += ax.plot(steps, history, label=label, color=look.colour, marker=look.marker, markevery=every)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log")
    _finish(ax)
    return lines


def _finish(ax):
    """Draw faint lines to read heights by, and a legend with the baselines last."""
    ax.grid(axis="y", color="#DDDDDD")
    handles = zip(*ax.get_legend_handles_labels(), strict=True)
    ordered = sorted(handles, key=lambda pair: hasattr(pair[0], "get_linestyle") and pair[0].get_linestyle() == "--")
    ax.legend(*zip(*ordered, strict=True), fontsize=POINTS, frameon=False)
