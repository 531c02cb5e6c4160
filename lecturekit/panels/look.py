"""How panels look: pictures with title and caption, and the style sheet that makes them readable from the last row.

Everything that changes while a slider moves is PNG bytes in an image widget: no matplotlib, which takes ten times as
long and may not be used from two threads.
"""

import functools
import html
import io

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image
from traitlets import Unicode

from lecturekit import plots

SIDE = 256  # pixels a side of a picture on the screen
GAP = 2  # pixels between two maps
MARK = (213, 94, 0)  # vermilion of Okabe & Ito

# Colours come from JupyterLab's own theme where there is one, so that panels fit its light and its dark look.
STYLE = """<style>
.lk-panel {--jp-widgets-font-size: 15px; --jp-widgets-inline-height: 32px; padding: 4px 0 10px; overflow: visible}
.lk-panel .noUi-handle {background: #0072B2; border-color: #0072B2}
.lk-panel .widget-html {margin: 0}
.lk-panel .widget-dropdown > select {background-image: linear-gradient(45deg, transparent 50%, currentcolor 50%),
  linear-gradient(-45deg, transparent 50%, currentcolor 50%); background-size: 6px 6px; padding-right: 26px;
  background-position: right 14px center, right 8px center; background-repeat: no-repeat}
.lk-panel .widget-label {justify-content: flex-start; text-align: left}
.lk-panel .widget-label, .lk-panel .widget-readout, .lk-panel .widget-label-basic {font-size: 15px;
  color: var(--jp-ui-font-color0, #111)}
.lk-panel .lk-controls {display: grid; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); gap: 6px 24px;
  max-width: 1200px; align-items: center; overflow: visible}
.lk-controls .widget-readout {flex: 0 0 100px; max-width: none; overflow: visible}
.lk-controls > * {width: auto; min-width: 0; margin: 0; overflow: visible}
.lk-row {flex-flow: row wrap; align-items: center; gap: 6px 16px; overflow: visible; margin-top: 12px}
.lk-row > * {margin: 0; overflow: visible}
.lk-pictures {flex-flow: row wrap; align-items: flex-start; gap: 12px 20px; margin-top: 12px; overflow: visible}
.lk-picture {align-items: flex-start; overflow: visible; margin: 0}
.lk-picture img {image-rendering: pixelated; max-width: 100%; margin: 0; border-radius: 3px}
.lk-smooth img {image-rendering: auto}
.lk-title {font-size: 17px; font-weight: 600; line-height: 1.5; color: var(--jp-ui-font-color0, #111)}
.lk-small .lk-title {font-size: 15px}
.lk-small.lk-pictures {gap: 8px 14px; margin-top: 2px}
.lk-caption {font-size: 15px; line-height: 1.4; color: var(--jp-ui-font-color1, #333); white-space: pre-line;
  font-variant-numeric: tabular-nums; padding-top: 3px}
.lk-strip, .lk-strip > * {overflow: visible}
.lk-heading {font-size: 17px; font-weight: 600; line-height: 1.5; margin-top: 10px;
  color: var(--jp-ui-font-color0, #111)}
.lk-status {font-size: 15px; line-height: 32px; color: var(--jp-ui-font-color1, #333);
  font-variant-numeric: tabular-nums}
.lk-says {font-size: 16px; line-height: 1.4; padding: 8px 14px; border-left: 5px solid #D55E00; border-radius: 3px;
  color: #111; background: #FDEFE3; max-width: 860px; margin-top: 12px}
.lk-stale {opacity: 0.35}
.lk-heard {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap}
.lk-panel .noUi-handle:focus-visible, .lk-panel select:focus-visible, .lk-panel button:focus-visible,
.lk-panel input:focus-visible {outline: 3px solid #E69F00 !important; outline-offset: 2px}
</style>"""


class Described(widgets.Image):
    """An image whose ``tooltip`` a screen reader reads out as its name.

    ipywidgets knows no alternative text, but writes the tooltip into ``title`` of whatever has an empty description;
    without a description the whole picture would not appear.
    """

    description = Unicode("").tag(sync=True)


class Picture(widgets.VBox):
    """A picture between its title and its caption.

    Args:
        title: what is shown, in a few words.
        width: pixels on the screen.
        smooth: for drawings and small pictures, which may be scaled; others show their pixels.

    Attributes:
        png: the picture as PNG bytes; empty before the first `paint`.
        title, caption: the words above and below.
        seen: False while it is hidden.
    """

    def __init__(self, title, width=SIDE, smooth=False):
        self.title, self.caption, self.width, self.seen = title, "", width, True
        self._head, self._foot = widgets.HTML(), widgets.HTML()
        self._image = Described(format="png", layout=widgets.Layout(width=f"{width}px", height="auto"))
        super().__init__([self._head, self._image, self._foot], layout=widgets.Layout(width=f"{width}px"))
        self.add_class("lk-picture")
        if smooth:
            self.add_class("lk-smooth")

    @property
    def png(self):
        """The picture as PNG bytes."""
        return bytes(self._image.value)

    def paint(self, png, caption="", title=None):
        """Show PNG bytes, the words below and, if given, another title."""
        self.title, self.caption = title or self.title, caption
        for place, kind, words in ((self._head, "title", self.title), (self._foot, "caption", caption)):
            words = f"<div class='lk-{kind}'>{html.escape(words)}</div>"
            if place.value != words:
                place.value = words
        with self._image.hold_sync():  # pixels and their words in one message
            if self.png != png:
                self._image.value = png
            self._image.tooltip = self.words()

    def words(self):
        """Return title and caption in one line: what a screen reader says of the picture."""
        return ": ".join(filter(None, (self.title, self.caption.replace("\n", ", "))))

    def unveil(self, seen):
        """Show the picture with its words, or hide it; a hidden one is not in the snapshot either."""
        self.seen, self.layout.display = seen, "" if seen else "none"


class Strip(widgets.VBox):
    """Pictures side by side under a heading.

    Args:
        pictures: list of `Picture`.
        heading: words above them, or none.
    """

    def __init__(self, pictures, heading=""):
        self.pictures, self.heading, self.seen = list(pictures), heading, True
        head = [widgets.HTML(f"<div class='lk-heading'>{html.escape(heading)}</div>")] if heading else []
        line = row(*self.pictures, kind="lk-pictures")
        super().__init__([*head, line])
        self.add_class("lk-strip")
        if all(picture.width < SIDE / 2 for picture in self.pictures):
            line.add_class("lk-small")

    def unveil(self, seen):
        """Show the strip, or hide it; a hidden one is not in the snapshot either."""
        self.seen, self.layout.display = seen, "" if seen else "none"


def row(*items, kind="lk-row"):
    """Return widgets side by side; those that do not fit go to the next line."""
    box = widgets.HBox(list(items))
    box.add_class(kind)
    return box


def framed(x, field, side=SIDE):
    """Return a picture (1, 3, H, W) as PNG bytes, with a frame round ``field``: (top, left, bottom, right), or None."""
    scale = max(1, round(side / x.shape[-2]))
    pixels = (x[0].detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    sheet = enlarge(pixels, scale)
    if field is not None:
        sheet = frame(sheet, [scale * edge for edge in field], MARK, thick=4)
    return packed(Image.fromarray(sheet))


def pixels(x):
    """Return a picture (1, 3, H, W) in [0, 1] as PNG bytes, a pixel for a pixel: the browser enlarges it.

    A sixteenth of the pixels is packed, sent and unpacked in a tenth of the time, and a slider waits for all of it.
    """
    return plots.png(x[0].clamp(0, 1), scale=1)


def enlarged(x, side=SIDE):
    """Return a picture (1, 3, H, W) in [0, 1] as PNG bytes, about ``side`` pixels high."""
    return plots.png(x[0].clamp(0, 1), scale=max(1, round(side / x.shape[-2])))


def packed(picture, **options):
    """Return a Pillow picture as PNG bytes, quickly rather than small."""
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1, **options)
    return stream.getvalue()


SHADES, CLEAR, FRAMED = 254, 254, 255  # of an indexed PNG: colours of a map, then two for what lies between maps


@functools.cache
def palette(signed):
    """Return the 256 colours of an indexed PNG: blue-white-red where numbers have signs, else viridis."""
    shades = colormaps["RdBu_r" if signed else "viridis"](np.linspace(0, 1, SHADES))[:, :3]
    return [*(shades * 255).round().astype(int).flatten().tolist(), 255, 255, 255, *MARK]


def shades(values, low, high):
    """Return numbers (N, h, w) as uint8 indices into the palette; ``low`` and ``high`` are numbers or (N, 1, 1)."""
    share = (values - low) / (high - low + 1e-12)
    return (share * (SHADES - 1)).round().clamp(0, SHADES - 1).nan_to_num().to(torch.uint8).cpu().numpy()


def indexed(sheet, signed):
    """Return uint8 indices (H, W) as PNG bytes; an index a pixel packs four times as fast as its colour."""
    picture = Image.fromarray(sheet, "L")
    picture.putpalette(palette(signed))
    return packed(picture, transparency=CLEAR)  # what lies between maps fits a light and a dark theme


def mosaic(tiles, width, chosen=None):
    """Return equal tiles, uint8 indices (N, h, w), as one sheet (H, width) of indices; the chosen one is framed."""
    count, height, across = tiles.shape
    columns = max(1, width // (across + GAP))
    rows = -(-count // columns)
    cells = np.full((rows * columns, height + GAP, across + GAP), CLEAR, np.uint8)
    cells[:count, GAP // 2 : -GAP // 2, GAP // 2 : -GAP // 2] = tiles
    if chosen is not None:
        cells[chosen] = frame(cells[chosen], (0, 0, *cells.shape[1:]), FRAMED, thick=4)
    cells = cells.reshape(rows, columns, height + GAP, across + GAP).swapaxes(1, 2)  # rows of cells, side by side
    sheet = cells.reshape(rows * (height + GAP), columns * (across + GAP))
    return np.pad(sheet, ((0, 0), (0, max(0, width - sheet.shape[1]))), constant_values=CLEAR)


def frame(sheet, box, colour, thick):
    """Return a copy of a sheet (H, W, ...) with a frame inside ``box``, (top, left, bottom, right) in the sheet."""
    top, left, bottom, right = box
    framed = sheet.copy()
    framed[top:bottom, left:right] = colour
    inner = slice(top + thick, max(top + thick, bottom - thick)), slice(left + thick, max(left + thick, right - thick))
    framed[inner] = sheet[inner]
    return framed


def enlarge(sheet, scale):
    """Return a sheet (H, W, ...) with every pixel ``scale`` times as high and as wide."""
    return sheet.repeat(scale, axis=0).repeat(scale, axis=1)


def map_png(values, low, high, signed, place=None):
    """Return a map of numbers (h, w) as PNG bytes, about `SIDE` pixels high, with a frame round ``place``."""
    scale = max(1, round(SIDE / len(values)))
    sheet = enlarge(shades(values[None], low, high)[0], scale)
    if place is not None:
        top, left = (max(0, i * scale - 3) for i in place)
        sheet = frame(sheet, (top, left, top + scale + 6, left + scale + 6), FRAMED, thick=3)
    return indexed(sheet, signed)
