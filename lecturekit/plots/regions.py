"""Decision regions on a plane: which class, where the border runs, and where the plane leaves the pictures.

::

    . . . . | # # #        tint and word: the class       line: the true class wins and loses by nothing
    . . x0. | # # #        / / /: more than a fifth of the values would be blacker than black or whiter than white
    . . . . | / / /

The trap: a colour map over class *numbers* makes neighbours of class 3 and class 4.  Classes have no order; here each
has a tint of its own, its name on it, and a place in the legend.
"""

import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch

from lecturekit.errors import InputError
from lecturekit.plots.maps import array, deepest
from lecturekit.plots.style import BASELINE, LOOKS, POINTS

OUTSIDE = 0.2  # share of a point's values beyond the box from which on it is hatched
ROOM = 0.12  # share of the plane's side that a region must reach around its name
HATCH = "//"


def slice_map(ax, found, names, number=0, *, first=(), units=255):
    """Draw the classes on one plane: tinted regions with names, the border at margin 0, hatched off the box.

    Args:
        ax: where.
        found: an `attacks.slices.Slice` of N planes.
        names: what the class numbers mean, e.g. ``model.classes``.
        number: which of the planes.
        first: classes that get the first colours, so that two maps agree; others follow by area, the seventh and all
            after it share one grey.
        units: the axes are multiplied by it: 255 counts grey levels, 1 leaves them as they are.
    Returns: the image of the classes.
    Raises: InputError for a number that is not there.
    """
    if number not in range(len(found.classes)):
        raise InputError(f"there are {len(found.classes)} planes, counted from 0, got number {number!r}")
    classes, margin, inside = (array(getattr(found, name)[number], 2) for name in ("classes", "margin", "inside"))
    a, b = units * array(found.a, 1), units * array(found.b, 1)
    shown, places = ranked(classes, first)
    tints = [pale(look.colour) for look in LOOKS] + [pale(BASELINE.colour)]
    corners = (*edges(a), *edges(b))
    artist = ax.imshow(
        places, cmap=ListedColormap(tints), vmin=-0.5, vmax=len(tints) - 0.5, extent=corners, origin="lower",
        aspect="auto", interpolation="nearest",
    )  # fmt: skip
    if margin.min() < 0 < margin.max():
        ax.contour(a, b, margin, levels=[0], colors="black", linewidths=2.5)
    if (inside < 1 - OUTSIDE).any():
        ax.contourf(a, b, inside, levels=[-1, 1 - OUTSIDE], colors="none", hatches=[HATCH])
    ax.plot(0, 0, "o", color="black", markersize=8, markeredgecolor="white")
    present = [place for place in range(len(tints)) if (places == place).any()]
    words = {place: names[shown[place]] if place < len(shown) else "other classes" for place in present}
    for place in present:
        write_inside(ax, places == place, words[place], a, b)
    handles = [Patch(facecolor=tints[place], edgecolor="black", label=words[place]) for place in present]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=POINTS, frameon=False)
    return artist


def ranked(classes, first=()):
    """Return the classes that get a colour, and the place of each point's class among them, (B, A).

    Places beyond the last colour are all the same: "other classes".
    """
    found, counts = np.unique(classes, return_counts=True)
    by_area = [int(k) for k in found[np.argsort(-counts, kind="stable")]]
    shown = list(dict.fromkeys([*map(int, first), *by_area]))[: len(LOOKS)]
    places = np.full(classes.shape, len(LOOKS))
    for place, k in enumerate(shown):
        places[classes == k] = place
    return shown, places


def write_inside(ax, region, word, a, b):
    """Write a word where its region is deepest and the picture's dot is not, if there is room for it."""
    free = region.copy()
    free[np.abs(b).argmin(), np.abs(a).argmin()] = False
    row, column, depth = deepest(free)
    if depth >= ROOM * min(region.shape):
        ax.text(a[column], b[row], word, ha="center", va="center", fontsize=POINTS, clip_on=True)


def edges(axis):
    """Return where the outermost cells of an axis end: half a step beyond its first and last point."""
    half = (axis[-1] - axis[0]) / (len(axis) - 1) / 2
    return axis[0] - half, axis[-1] + half


def pale(colour):
    """Return a tint on which black words can be read."""
    return tuple(0.5 + 0.5 * np.array(to_rgb(colour)))
