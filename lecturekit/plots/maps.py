"""Maps over a picture: signed, positive, or the parts of a drawn scene."""

import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke

from lecturekit.errors import InputError
from lecturekit.plots.style import LOOKS, PIXELS, POINTS


def signed(ax, values, title):
    """Show a signed map (H, W): white is zero, red positive, blue negative, limits symmetric.  Returns the artist."""
    values = array(values, 2)
    limit = float(np.abs(values).max()) or 1.0
    ax.set(title=f"{title} (±{limit:.2g})", xticks=[], yticks=[])
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
    ax.set(title=title, xticks=[], yticks=[])
    largest = float(values.max()) or 1.0 if largest is None else largest
    artist = ax.imshow(values, cmap="viridis", vmin=0, vmax=largest, interpolation="nearest")
    ax.figure.colorbar(artist, ax=ax, shrink=0.9).ax.tick_params(labelsize=POINTS)
    return artist


def parts_overlay(ax, image, parts, names):
    """Show a picture with its parts tinted and named.

    Args:
        ax: where.
        image: (C, H, W) in [0, 1].
        parts: (H, W) whole numbers; 0 is background.
        names: what the numbers mean, e.g. ``picturebook.PARTS``.
    Returns: the artist.
    """
    grey, parts = array(image, 3).mean(axis=0), array(parts, 2).astype(int)
    shown = np.repeat((0.35 + 0.5 * grey)[..., None], 3, axis=2)  # pale, so that tints and names stand out
    for order, part in enumerate(number for number in np.unique(parts) if number):
        tint = np.array(to_rgb(LOOKS[order % len(LOOKS)].colour))
        shown[parts == part] = 0.35 * shown[parts == part] + 0.65 * tint
    artist = ax.imshow(shown, **PIXELS)
    for part in (number for number in np.unique(parts) if number):
        row, column = _inside(parts == part)
        ax.text(
            column, row, names[part], ha="center", va="center", fontsize=POINTS, color="white", clip_on=True,
            path_effects=[withStroke(linewidth=3, foreground="black")],
        )  # fmt: skip
    ax.set(xticks=[], yticks=[])
    return artist


def _inside(mask):
    """Return the pixel of a mask that is nearest to its centre: the centre of a ring lies outside of it."""
    places = np.argwhere(mask)
    return places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]


def array(values, axes):
    """Return a tensor or array as an array with that many axes; (1, C, H, W) may stand for (C, H, W)."""
    values = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    while values.ndim > axes and values.shape[0] == 1:
        values = values[0]
    if values.ndim != axes:
        wanted = {2: "(H, W)", 3: "(C, H, W)"}[axes]
        raise InputError(f"expected one map {wanted}, got shape {values.shape}; choose one by its index")
    return values
