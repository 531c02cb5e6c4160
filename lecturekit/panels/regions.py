"""Decision regions drawn with Pillow: a tint and a word for each class, lines between, hatched where no picture is.

The same drawing as `plots.slice_map`, fast enough to follow a slider.
"""

import numpy as np
from PIL import Image, ImageDraw

from lecturekit.panels import chart
from lecturekit.panels.look import packed
from lecturekit.plots import BASELINE, LOOKS
from lecturekit.plots.maps import deepest
from lecturekit.plots.regions import OUTSIDE, edges, pale, ranked

SIDE = 376  # pixels a side of the map on the screen
LEFT, TOP, FOOT = 66, 34, 58  # pixels beside, above and below it
TINTS = [tuple(round(255 * part) for part in pale(look.colour)) for look in (*LOOKS, BASELINE)]
LINE, HATCHED = (34, 34, 34), 0.62  # the border between classes; how dark a stroke makes its tint


def slice_map(found, names, axes, ticks, *, units=1, first=(), outline=(), marks=((0, 0),), width=560):
    """Return the classes on a plane as PNG bytes.

    Args:
        found: an `attacks.slices.Slice` of one plane.
        names: what the class numbers mean.
        axes: what stands at the axis across and at the one upwards.
        ticks: places on both axes, in the units that are written there.
        units: the axes of the plane are multiplied by it.
        first: classes that get the first colours, so that maps agree.
        outline: corners (a, b) of a frame, in units of the plane.
        marks: places (a, b) of pictures, in units of the plane; the first is a dot, the others are squares.
        width: pixels on the screen.
    """
    classes, inside = found.classes[0].cpu().numpy(), found.inside[0].cpu().numpy()
    spans = [edges(units * axis.cpu().numpy()) for axis in (found.a, found.b)]
    shown, places = ranked(classes, first)
    words = {place: names[shown[place]] if place < len(shown) else "others" for place in np.unique(places).tolist()}
    side = chart.TWICE * SIDE
    sheet, pen = chart.canvas(width, TOP + SIDE + FOOT)
    field = Image.fromarray(tinted(places, inside, side))
    drawn = ImageDraw.Draw(field)
    at = lambda a, b: placed(units * a, units * b, spans, side)  # noqa: E731
    write_names(drawn, places, words, [at(*mark) for mark in marks], side)
    if len(outline):
        corners = [at(*corner) for corner in outline]
        drawn.line(corners, fill="white", width=11, joint="curve")
        drawn.line(corners, fill=chart.INK, width=5, joint="curve")
    for number, mark in enumerate(marks):
        (x, y), shape = at(*mark), "s" if number else "o"
        chart.draw_mark(drawn, (x, y), "white", shape, 14)
        chart.draw_mark(drawn, (x, y), chart.INK, shape, 10)
    sheet.paste(field, (chart.TWICE * LEFT, chart.TWICE * TOP))
    write_axes(pen, axes, ticks, spans, side)
    write_key(pen, words, places)
    return packed(sheet)


def tinted(places, inside, side):
    """Return classes (B, A) as pixels (side, side, 3), the last row first: tints, lines between them, hatching."""
    steps = np.arange(side) * len(places) // side
    large = places[::-1][np.ix_(steps, steps)]
    pixels = np.array(TINTS, dtype=np.uint8)[large]
    off = (inside[::-1] < 1 - OUTSIDE)[np.ix_(steps, steps)]
    strokes = np.add.outer(np.arange(side), np.arange(side)) % 22 < 4
    pixels[off & strokes] = (HATCHED * pixels[off & strokes]).astype(np.uint8)
    border = np.zeros(large.shape, bool)
    border[:-1] |= large[:-1] != large[1:]
    border[:, :-1] |= large[:, :-1] != large[:, 1:]
    wide = border.copy()
    wide[1:] |= border[:-1]
    wide[:, 1:] |= border[:, :-1]
    wide[:-1] |= border[1:]
    wide[:, :-1] |= border[:, 1:]
    pixels[wide] = LINE
    return pixels


def placed(a, b, spans, side):
    """Return where a point lies on the map, in pixels from its upper left corner."""
    (left, right), (low, high) = spans
    return (a - left) / (right - left) * side, (high - b) / (high - low) * side


def write_names(pen, places, words, marks, side):
    """Write the name of each class where its region is deepest, if it fits; the marks, (x, y) in pixels, stay free."""
    cell, letters = side / len(places), chart.font(chart.TWICE * (chart.TEXT + 1))
    for place, word in words.items():
        free, half = places == place, letters.getlength(word) / 2
        for x, y in marks:
            row, column = int((side - y) / cell), int(x / cell)
            free[max(0, row), min(column, len(free) - 1)] = False
        row, column, depth = deepest(free)
        if (depth - 0.5) * cell >= half:  # depth counts to the middle of the cell outside
            pen.text(((column + 0.5) * cell, side - (row + 0.5) * cell), word, chart.INK, letters, anchor="mm")


def write_axes(pen, axes, ticks, spans, side):
    """Write what stands at both axes."""
    left, top, letters = chart.TWICE * LEFT, chart.TWICE * TOP, chart.font(chart.TWICE * chart.TEXT)
    pen.text((12, top - 18), axes[1], chart.INK, letters, anchor="ls")
    pen.text((left + side / 2, top + side + 58), axes[0], chart.INK, letters, anchor="mt")
    for across, up in zip(*ticks, strict=True):
        x, y = placed(across, up, spans, side)
        pen.text((left + x, top + side + 12), f"{across:g}".replace("-", "−"), chart.INK, letters, anchor="mt")
        pen.text((left - 12, top + y), f"{up:g}".replace("-", "−"), chart.INK, letters, anchor="rm")


def write_key(pen, words, places):
    """Write beside the map which tint is which class, and on how much of the plane it is named."""
    left, letters = chart.TWICE * (LEFT + SIDE + 16), chart.font(chart.TWICE * chart.TEXT)
    for row, (place, word) in enumerate(words.items()):
        y = chart.TWICE * (TOP + 4 + 48 * row)
        pen.rectangle((left, y, left + 32, y + 32), fill=TINTS[place], outline=chart.INK, width=3)
        pen.text((left + 44, y + 16), chart.shortened(word, 9), chart.INK, letters, anchor="lm")
        pen.text((left + 44, y + 54), f"{100 * (places == place).mean():.0f} %", chart.INK, letters, anchor="lm")
