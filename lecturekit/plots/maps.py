"""Maps over a picture: signed, positive, or the parts of a drawn scene."""

import numpy as np
import torch
from matplotlib.colors import to_rgb

from lecturekit.errors import InputError
from lecturekit.plots.style import LOOKS, PIXELS, POINTS

FINE = 8  # the borders of parts are an eighth of a pixel wide


def signed(ax, values, title):
    """Show a signed map (H, W): white is zero, red positive, blue negative, limits symmetric.  Returns the artist."""
    values = array(values, 2)
    limit = float(np.abs(values).max()) or 1.0
    ax.set(title=f"{title} (±{limit:.2g})")
    _bare(ax)
    return ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")


def heat(ax, values, title, largest=None):
    """Show a positive map (H, W) from dark, zero, to bright, with a colour bar.

    Args:
        ax: where.
        values: (H, W), none negative.
        title: what it shows.
        largest: the value of the brightest colour, to compare several maps; that of this map if None.
    Returns: the artist.
    Raises: InputError for negative values; they belong into `signed`.
    """
    values = array(values, 2)
    if values.min() < 0:
        raise InputError(f"heat shows positive maps, but {title!r} falls to {values.min():.4g}; use plots.signed")
    ax.set(title=title)
    _bare(ax)
    largest = float(values.max()) or 1.0 if largest is None else largest
    artist = ax.imshow(values, cmap="viridis", vmin=0, vmax=largest, interpolation="nearest")
    bar = ax.figure.colorbar(artist, cax=ax.inset_axes([1.04, 0, 0.06, 1]))  # exactly as high as the map
    bar.ax.tick_params(labelsize=POINTS)
    return artist


def parts_overlay(ax, image, parts, names):
    """Show a picture with its parts tinted, bordered and named, like a plate in a book of anatomy.

    Args:
        ax: where.
        image: (C, H, W) in [0, 1].
        parts: (H, W) whole numbers; 0 is background.
        names: what the numbers mean, e.g. ``picturebook.PARTS``.
    Returns: the artist.
    """
    grey, parts = array(image, 3).mean(axis=0), array(parts, 2).astype(int)
    points = {number: deepest(parts == number)[:2] for number in np.unique(parts) if number}
    numbers = sorted(points, key=points.get)  # from top to bottom, as the names will stand
    shown = np.repeat((0.3 + 0.6 * grey)[..., None], 3, axis=2)  # pale, so that the tints stand out
    for order, number in enumerate(numbers):
        tint = np.array(to_rgb(LOOKS[order % len(LOOKS)].colour))
        shown[parts == number] = 0.4 * shown[parts == number] + 0.6 * tint
    fine, height, width = np.kron(parts, np.ones((FINE, FINE), int)), *parts.shape
    shown = shown.repeat(FINE, axis=0).repeat(FINE, axis=1)
    shown[1:, 1:][(np.diff(fine, axis=0)[:, 1:] != 0) | (np.diff(fine, axis=1)[1:] != 0)] = 1  # white borders
    artist = ax.imshow(shown, extent=(-0.5, width - 0.5, height - 0.5, -0.5), **PIXELS)
    for order, number in enumerate(numbers):
        row, column = points[number]
        ax.annotate(
            names[number], (column, row), (1.05 * width, (order + 0.5) * height / len(numbers)), fontsize=POINTS,
            va="center", annotation_clip=False, arrowprops=dict(arrowstyle="-", color="black", shrinkA=2, shrinkB=0),
        )  # fmt: skip
        ax.plot(column, row, "o", color="black", markersize=4)
    _bare(ax)
    return artist


def _bare(ax):
    """Take away ticks and frame: a picture needs neither."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def deepest(mask):
    """Return row, column and depth of the pixel that lies deepest inside a mask; the centre of a ring is outside it."""
    from scipy.ndimage import distance_transform_edt  # slow to load, and few figures name parts

    depths = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depths.argmax(), mask.shape)
    return row, column, depths[row, column]


def array(values, axes):
    """Return a tensor or array as an array with that many axes; (1, C, H, W) may stand for (C, H, W)."""
    values = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    while values.ndim > axes and values.shape[0] == 1:
        values = values[0]
    if values.ndim != axes:
        wanted = {1: "(H,)", 2: "(H, W)", 3: "(C, H, W)"}[axes]
        raise InputError(f"expected one map {wanted}, got shape {values.shape}; choose one by its index")
    return values
