"""Pictures side by side, every pixel a sharp square.

Matplotlib's own layout stretches pictures to whatever room is left, and a 64-pixel picture on 201 screen pixels has some
pixels larger than others.  So the grid is computed here: pictures are enlarged by a whole number, text is measured, and
everything gets the room that it needs.
"""

import io

import numpy as np
import torch
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from PIL import Image

from lecturekit.errors import InputError
from lecturekit.pixels import check_pixels
from lecturekit.plots.maps import array
from lecturekit.plots.style import DPI, PIXELS, POINTS, Sheet

WIDTH = 960  # screen pixels: a notebook
GAP = 12  # screen pixels between pictures
LINE = round(1.35 * POINTS * DPI / 72)  # screen pixels from one line of text to the next


def pictures(rows, titles=None, captions=None, scale=None):
    """Show pictures in rows, with titles above, a name to the left of each row, and captions below.

    Args:
        rows: pictures (N, C, H, W) in [0, 1], or a dict from row names to such.
        titles: N strings above the first row.
        captions: N strings below each picture of the only row, or a dict from row names to N strings.
        scale: screen pixels for each pixel; chosen to fill a notebook if None.
    Returns: a figure; as the last line of a cell it shows itself.
    Raises: InputError for pictures that are none, or for lists of different length.
    """
    rows = rows if isinstance(rows, dict) else {"": rows}
    captions = captions if isinstance(captions, dict) or captions is None else dict.fromkeys(rows, captions)
    for name, batch in rows.items():
        check_pixels(batch, f"the row {name!r}" if name else "rows")
    height, width = next(iter(rows.values())).shape[-2:]
    columns = max(map(len, rows.values()))
    scale = scale or min(6, max(1 if width > 128 else 2, round(WIDTH / (columns * (width + GAP / 2)))))
    cells = {
        name: [dict(values=_image(x), caption=caption) for x, caption in _paired(batch, captions, name)]
        for name, batch in rows.items()
    }
    return _grid(cells, titles, (height * scale, width * scale), PIXELS)


def feature_maps(phi, n=16, columns=8):
    """Show the most active channels of one code, all on one scale.

    Args:
        phi: (C, H, W) or (1, C, H, W): what a layer answers to one picture.
        n: how many channels, by their mean absolute value.
        columns: of the grid.
    Returns: a figure; the numbers above the maps are those of the channels.
    """
    phi = array(phi, 3)
    chosen = np.argsort(-np.abs(phi).mean(axis=(1, 2)), kind="stable")[:n]
    limit = float(np.abs(phi).max()) or 1.0
    negative = phi.min() < 0
    colours = dict(cmap="RdBu_r", vmin=-limit, vmax=limit) if negative else dict(cmap="viridis", vmin=0, vmax=limit)
    cells = [dict(values=phi[channel], title=str(channel)) for channel in chosen]
    scale = max(1, round(WIDTH / columns / (phi.shape[2] + 2)))
    figure = _grid(_wrapped(cells, columns), None, (phi.shape[1] * scale, phi.shape[2] * scale), colours)
    _note(figure, f"±{limit:.3g}: red and blue" if negative else f"dark 0, bright {limit:.3g}")
    return figure


def filters(weight, columns=16):
    """Show the filters of a first layer as colours; grey is zero, and each filter has its own scale.

    Args:
        weight: (K, C, k, k) with C of 1 or 3, e.g. ``model.conv1.weight``.
        columns: of the grid.
    Returns: a figure.
    Raises: InputError for filters of a deeper layer, whose channels are not colours.
    """
    if weight.dim() != 4 or weight.shape[1] not in (1, 3):
        raise InputError(
            f"filters can be shown as colours in the first layer only, with weights (K, 3, k, k); got "
            f"{tuple(weight.shape)}. Use plots.feature_maps(weight[k]) for one filter of a deeper layer"
        )
    weight = weight.detach().cpu()
    limit = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    cells = [dict(values=_image(x)) for x in 0.5 + 0.5 * weight / limit]
    scale = max(1, round(WIDTH / min(columns, len(cells)) / (weight.shape[3] + 2)))
    return _grid(_wrapped(cells, columns), None, (weight.shape[2] * scale, weight.shape[3] * scale), PIXELS)


def png(x, scale=4, gap=2):
    """Return pictures as PNG bytes, side by side; twenty times faster than a figure, for panels.

    Args:
        x: (N, C, H, W) or (C, H, W), in [0, 1].
        scale: screen pixels for each pixel.
        gap: white pixels between pictures, before enlarging.
    """
    x = check_pixels(x[None] if x.dim() == 3 else x, "x").detach().cpu()
    side_by_side = torch.cat([torch.nn.functional.pad(one, (0, gap), value=1) for one in x], dim=-1)[..., : -gap or None]
    levels = (side_by_side * 255).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)  # a panel waits for this; 1 is three times as fast as the default
    return buffer.getvalue()


def _grid(rows, titles, size, colours):
    """Return a figure with every picture at its place.

    Args:
        rows: dict from row names to lists of cells, each a dict with ``values`` and perhaps ``title`` and ``caption``.
        titles: one for each column, or None.
        size: height and width of a picture in screen pixels.
        colours: for ``imshow``.
    """
    height, width = size
    cells = [cell for row in rows.values() for cell in row]
    if not cells:
        raise InputError("there is no picture to show")
    columns = max(map(len, rows.values()))
    if titles is not None and len(titles) != columns:
        raise InputError(f"there are {columns} columns, but {len(titles)} titles")
    words = [*(titles or ()), *(cell.get(kind) or "" for cell in cells for kind in ("title", "caption"))]
    step = max(width, *map(_width, words)) + GAP
    left = max(map(_width, rows)) + (GAP if any(rows) else 0)
    above = _height([cell.get("title") for cell in cells])
    below = _height([cell.get("caption") for cell in cells])
    top = GAP + _height(titles or [])
    line = above + height + below + GAP
    figure = Sheet(figsize=((left + columns * step + GAP) / DPI, (top + len(rows) * line) / DPI), dpi=DPI, layout="none")
    place = _Place(figure)
    for r, (name, row) in enumerate(rows.items()):
        y = top + r * line + above
        place.text(left - GAP, y + height / 2, name, ha="right", va="center")
        for c, cell in enumerate(row):
            x = left + GAP + c * step
            middle = x + width / 2
            place.picture(x, y, size, cell["values"], colours)
            place.text(middle, y - 4, cell.get("title"), ha="center", va="bottom")
            place.text(middle, y + height + 4, cell.get("caption"), ha="center", va="top")
            if titles and r == 0:
                place.text(middle, y - above - 4, titles[c], ha="center", va="bottom")
    return figure


class _Place:
    """Puts things on a figure, counting screen pixels from its top left corner."""

    def __init__(self, figure):
        self.figure = figure
        self.width, self.height = np.round(figure.get_size_inches() * DPI)

    def picture(self, x, y, size, values, colours):
        """Put a picture with its top left corner at x, y."""
        height, width = size
        box = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        ax = self.figure.add_axes(box, xticks=[], yticks=[])
        ax.imshow(values, aspect="auto", **{"interpolation": "nearest", **colours})
        ax.spines[:].set(visible=True, linewidth=0.5, color="#999999")

    def text(self, x, y, words, **how):
        """Put words at x, y, unless there are none."""
        if words:
            self.figure.text(x / self.width, 1 - y / self.height, words, fontsize=POINTS, linespacing=1.2, **how)


def _width(words):
    """Return the width of the longest line in screen pixels."""
    lines = [line for line in (words or "").split("\n") if line.strip()]
    font = FontProperties(size=POINTS)
    return max((round(TextPath((0, 0), line, prop=font).get_extents().width * DPI / 72) for line in lines), default=0)


def _height(texts):
    """Return the room that the tallest of some texts needs, in screen pixels."""
    return LINE * max((text.count("\n") + 1 for text in texts if text), default=0)


def _image(x):
    """(C, H, W) -> (H, W, C) array for ``imshow``; one channel is grey, (H, W)."""
    x = x.detach().cpu().float().clamp(0, 1).permute(1, 2, 0).numpy()
    return x[..., 0] if x.shape[-1] == 1 else x


def _paired(batch, captions, name):
    """Return pairs of a picture and its caption."""
    words = (captions or {}).get(name) or [None] * len(batch)
    if len(words) != len(batch):
        raise InputError(f"the row {name!r} has {len(batch)} pictures, but {len(words)} captions")
    return zip(batch, words, strict=True)


def _wrapped(cells, columns):
    """Break a list of cells into nameless rows."""
    return {" " * row: cells[row * columns : (row + 1) * columns] for row in range(-(-len(cells) // columns))}


def _note(figure, words):
    """Write one line below everything."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height)
    figure.text(0.5, 4 / (height * DPI), words, ha="center", va="bottom", fontsize=POINTS)
