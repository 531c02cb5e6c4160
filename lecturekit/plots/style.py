"""How figures look: large letters, few lines, colours that everybody can tell apart."""

from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure

DPI = 120
POINTS = 13  # size of letters; 12 is the smallest that the last row can read
PIXELS = dict(vmin=0, vmax=1, cmap="gray", interpolation="nearest")  # one scale for all pictures


class Look(NamedTuple):
    """How a curve looks: never by colour alone."""

    colour: str
    marker: str


# Okabe & Ito 2008, "Color universal design"; black is left for text, yellow is too pale for a projector
LOOKS = (
    Look("#0072B2", "o"), Look("#D55E00", "s"), Look("#009E73", "^"), Look("#CC79A7", "D"), Look("#E69F00", "v"),
    Look("#56B4E9", "P"),
)  # fmt: skip
ORIGINAL, OPTIMISED, DECODED, CONTROL = LOOKS[:4]
BASELINE = Look("#555555", "")

STYLE = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.constrained_layout.use": True,
    "font.size": POINTS,
    "axes.titlesize": POINTS + 1,
    "axes.labelsize": POINTS,
    "xtick.labelsize": POINTS,
    "ytick.labelsize": POINTS,
    "legend.fontsize": POINTS,
    "legend.frameon": False,
    "lines.linewidth": 2.5,
    "lines.markersize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "image.interpolation": "nearest",  # a pixel is a square
    "axes.prop_cycle": matplotlib.cycler(color=[look.colour for look in LOOKS], marker=[look.marker for look in LOOKS]),
}


class Sheet(Figure):
    """A figure that shows itself as the last line of a cell, once, with or without pyplot."""

    def _repr_png_(self):
        """Return the figure as PNG bytes, for IPython."""
        import io

        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()


def use():
    """Set the style of all figures of this session; the set-up cell of every notebook calls it."""
    matplotlib.rcParams.update(STYLE)


def axes(rows=1, columns=1, size=(8, 4.5)):
    """Return a figure and its axes in the style of the course.

    Args:
        rows, columns: of axes.
        size: width and height of the figure in inches; 8 is the width of a notebook.
    Returns: the figure, and one axes or an array of them, as from ``pyplot.subplots``.
    """
    with matplotlib.rc_context(STYLE):
        figure = Sheet(figsize=size, dpi=DPI, layout="constrained")
        return figure, figure.subplots(rows, columns)
