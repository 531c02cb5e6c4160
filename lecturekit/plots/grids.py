"""Pictures side by side, every pixel a sharp square.

Matplotlib's own layout stretches pictures to whatever room is left, and of a 64-pixel picture on 201 screen pixels some
pixels are larger than others.  So the grid is computed here: pictures are enlarged by a whole number, words are
measured, and everything gets the room that it needs.
"""

import io
import math

import numpy as np
import torch
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from PIL import Image

from lecturekit.errors import InputError
from lecturekit.pixels import check_pixels
from lecturekit.plots.maps import array
from lecturekit.plots.style import DPI, PIXELS, POINTS, Sheet

WIDTH = 960  # screen pixels: a notebook
GAP = 12  # screen pixels between pictures
BAR = 240  # screen pixels: a scale of colours
TEXTS = ("title", "caption")  # above and below a picture
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
    columns = max(map(len, rows.values()), default=0)
    if not columns:
        raise InputError("there is no picture to show")
    height, width = next(iter(rows.values())).shape[-2:]
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
    signed = phi.min() < 0
    colours = dict(cmap="RdBu_r" if signed else "viridis", vmin=-limit if signed else 0, vmax=limit)
    cells = [dict(values=phi[channel], title=str(channel)) for channel in chosen]
    scale = max(1, round(WIDTH / columns / (phi.shape[2] + 2)))
    return _grid(_wrapped(cells, columns), None, (phi.shape[1] * scale, phi.shape[2] * scale), colours, bar=True)


def filters(weight, columns=8):
    """Show the filters of a first layer as colours; grey is zero, and each filter has its own scale.

    Args:
        weight: (K, C, k, k) with C of 1 or 3, e.g. ``model.conv1.weight``.
        columns: of the grid.
    Returns: a figure; the numbers above the filters are those of the channels.
    Raises: InputError for filters of a deeper layer, whose channels are not colours.
    """
    if weight.dim() != 4 or weight.shape[1] not in (1, 3):
        raise InputError(
            f"filters can be shown as colours in the first layer only, with weights (K, 3, k, k); got "
            f"{tuple(weight.shape)}. Use plots.feature_maps(weight[k]) for one filter of a deeper layer"
        )
    weight = weight.detach().cpu()
    limit = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    shown = 0.5 + 0.5 * weight / limit
    cells = [dict(values=_image(x), title=str(channel)) for channel, x in enumerate(shown)]
    scale = max(1, round(0.8 * WIDTH / columns / weight.shape[3]))
    return _grid(_wrapped(cells, columns), None, (weight.shape[2] * scale, weight.shape[3] * scale), PIXELS)


def png(x, scale=4, gap=2):
    """Return pictures as PNG bytes, side by side; twenty times faster than a figure, for panels.

    Args:
        x: (N, C, H, W) or (C, H, W), in [0, 1].
        scale: screen pixels for each pixel.
        gap: white pixels between pictures, before enlarging.
    """
    x = check_pixels(x[None] if x.dim() == 3 else x, "x").detach().cpu()
    with_gaps = torch.nn.functional.pad(x, (0, gap), value=1)  # white to the right of each
    side_by_side = torch.cat(list(with_gaps), dim=-1)[..., : -gap or None]
    levels = (side_by_side * 255).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "png", compress_level=1)  # a panel waits for this; 1 is three times as fast as the default
    return buffer.getvalue()


def _grid(rows, titles, size, colours, bar=False):
    """Return a figure with every picture at its place.

    Args:
        rows: dict from row names to lists of cells, each a dict with ``values`` and perhaps ``title`` and ``caption``.
        titles: one for each column, or None.
        size: height and width of a picture in screen pixels.
        colours: for ``imshow``.
        bar: whether to show below which colour is which number.
    """
    columns = max(map(len, rows.values()))
    if titles is not None and len(titles) != columns:
        raise InputError(f"there are {columns} columns, but {len(titles)} titles")
    if titles is not None:
        first = next(iter(rows))
        rows = {**rows, first: [{**cell, "title": title} for cell, title in zip(rows[first], titles, strict=False)]}
    step = max(size[1], *(_width(cell.get(kind)) for row in rows.values() for cell in row for kind in TEXTS)) + GAP
    left = max(map(_width, rows)) + (2 * GAP if any(name.strip() for name in rows) else GAP)
    bands = [[_height(cell.get(kind) for cell in row) for kind in TEXTS] for row in rows.values()]
    height = GAP + sum(above + size[0] + below + GAP for above, below in bands) + bar * 2 * LINE
    sheet = _Sheet(max(left + columns * step, bar * 2 * BAR), height)
    y = GAP
    for (name, row), (above, below) in zip(rows.items(), bands, strict=True):
        sheet.row(left, y + above, step, size, row, colours)
        sheet.text(left - GAP, y + above + size[0] / 2, name.strip(), ha="right", va="center")
        y += above + size[0] + below + GAP
    if bar:
        sheet.bar(left, y, colours)
    return sheet.figure


class _Sheet:
    """A figure on which things are placed in screen pixels, counted from its top left corner."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.figure = Sheet(figsize=(width / DPI, height / DPI), dpi=DPI, layout="none")

    def row(self, x, y, step, size, cells, colours):
        """Put pictures side by side, with the words that belong to them."""
        for column, cell in enumerate(cells):
            middle = x + column * step + (step - GAP) / 2
            self.picture(middle - size[1] / 2, y, size, cell["values"], colours)
            self.text(middle, y - LINE / 4, cell.get("title"), ha="center", va="baseline")
            for i, line in enumerate((cell.get("caption") or "").split("\n")):  # by its baseline, level with neighbours
                self.text(middle, y + size[0] + 2 + (i + 0.8) * LINE, line, ha="center", va="baseline")

    def picture(self, x, y, size, values, colours):
        """Put a picture with its top left corner at x, y."""
        height, width = size
        box = (round(x) / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        ax = self.figure.add_axes(box, xticks=[], yticks=[])
        ax.imshow(values, aspect="auto", **{"interpolation": "nearest", **colours})
        ax.spines[:].set(visible=True, linewidth=0.5, color="#999999")

    def bar(self, x, y, colours):
        """Put a scale of colours, with the numbers that its ends stand for."""
        low, high, width = f"{colours['vmin']:.3g}", f"{colours['vmax']:.3g}", BAR
        ramp = np.linspace(colours["vmin"], colours["vmax"], 256)[None]
        start = x + _width(low) + GAP
        self.picture(start, y + GAP, (LINE // 2, width), ramp, colours)
        self.text(start - GAP, y + GAP + LINE / 4, low, ha="right", va="center")
        self.text(start + width + GAP, y + GAP + LINE / 4, high, ha="left", va="center")

    def text(self, x, y, words, **how):
        """Put words at x, y, unless there are none."""
        if words:
            self.figure.text(x / self.width, 1 - y / self.height, words, fontsize=POINTS, linespacing=1.2, **how)


def _width(words):
    """Return the width of the longest line in screen pixels, as it will be drawn."""
    pen, font = RendererAgg(1, 1, DPI), FontProperties(size=POINTS)
    lines = [line for line in (words or "").split("\n") if line.strip()]
    return max((math.ceil(pen.get_text_width_height_descent(line, font, False)[0]) for line in lines), default=0)


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
