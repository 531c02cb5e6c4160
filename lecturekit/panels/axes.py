"""Numbers against an axis, drawn with Pillow in a few milliseconds: curves with their intervals, and upright bars."""

from typing import NamedTuple

from lecturekit.panels.chart import INK, RULES, TEXT, TWICE, canvas, draw_mark, font
from lecturekit.panels.look import packed
from lecturekit.plots import OPTIMISED, ORIGINAL

MARKS = 16  # on one curve; more would hide it
HEAD = 38  # pixels above the axes: the name of the upright one


class Axis(NamedTuple):
    """What one axis of a drawing says: its name, and from numbers to what is written there; it ends at the last two."""

    words: str
    ticks: dict


class Line(NamedTuple):
    """A curve: its name, its `plots.Look`, and points (x, y) or, with an interval, (x, y, low, high).

    A look without a marker is drawn dashed: a control, or what one gets for nothing.  Where y is None there is a gap.
    """

    words: str
    look: tuple
    points: list


def lines(series, across, up, width=620, height=330, mark=None):
    """Return curves with their intervals as PNG bytes; what lies beyond an axis is drawn at its end.

    Args:
        series: a list of `Line`.
        across, up: the two `Axis`.
        width, height: pixels on the screen, without the names of the curves.
        mark: where on the axis across an upright line stands, or None.
    """
    letters, key = font(TWICE * TEXT), legend([line.words for line in series], TWICE * width)
    head = TWICE * (28 * (key[-1][1] + 1 if key else 0) + HEAD)
    sheet, pen = canvas(width, height + head / TWICE - HEAD)
    left = 28 + max(letters.getlength(words) for words in up.ticks.values())
    box = (left, head, sheet.width - 44, sheet.height - TWICE * 54)
    draw_axes(pen, box, across, up)
    if mark is not None:
        x = within(mark, across.ticks, box[0] + 24, box[2] - 24)
        pen.line((x, box[1], x, box[3]), fill="#999999", width=3)
    for line in sorted(series, key=lambda line: bool(line.look[1])):  # the dashed ones lie below
        draw_line(pen, box, line, across, up)
    for line, (column, row) in zip(series, key, strict=True):
        middle = TWICE * (28 * row + 14)
        sample(pen, column, middle, line.look)
        pen.text((column + 84, middle), line.words, INK, letters, anchor="lm")
    return packed(sheet)


def legend(names, width, left=16):
    """Return where each name begins, as (pixels of the sheet, row): what does not fit goes one row down."""
    places, column, row = [], left, 0
    for name in names:
        long = 84 + font(TWICE * TEXT).getlength(name) + 44
        if column > left and column + long > width:
            column, row = left, row + 1
        places.append((column, row))
        column += long
    return places


def within(value, ticks, start, end):
    """Return the place of a number between the two ends of an axis, never beyond them."""
    low, high = min(ticks), max(ticks)
    return start + (min(max(value, low), high) - low) / ((high - low) or 1) * (end - start)


def draw_axes(pen, box, across, up):
    """Draw faint lines to read heights by, and what stands on both axes."""
    (left, top, right, bottom), letters = box, font(TWICE * TEXT)
    pen.text((10, top - 28), up.words, INK, letters, anchor="ls")
    pen.text(((left + right) / 2, bottom + 56), across.words, INK, letters, anchor="mt")
    for value, words in up.ticks.items():
        y = within(value, up.ticks, bottom, top)
        pen.line((left, y, right, y), fill=RULES, width=2)
        pen.text((left - 14, y), words, INK, letters, anchor="rm")
    for value, words in across.ticks.items():
        pen.text((within(value, across.ticks, left + 24, right - 24), bottom + 14), words, INK, letters, anchor="mt")


def draw_line(pen, box, line, across, up):
    """Draw one curve: its intervals as upright bars with caps, its points on top, at most `MARKS` of them marked."""
    left, top, right, bottom = box
    points = [
        None if values[0] is None else
        (within(x, across.ticks, left + 24, right - 24), *(within(y, up.ticks, bottom, top) for y in values))
        for x, *values in line.points
    ]  # fmt: skip
    for x, _, *ends in filter(None, points):
        for y in ends:
            pen.line((x - 10, y, x + 10, y), fill=line.look[0], width=4)
        if ends:
            pen.line((x, ends[0], x, ends[1]), fill=line.look[0], width=4)
    for start, end in zip(points, points[1:], strict=False):
        if start and end:
            stroke(pen, start[:2], end[:2], line.look)
    for point in filter(None, points[:: -(-len(points) // MARKS) or 1]):
        draw_mark(pen, point[:2], *line.look)


def stroke(pen, start, end, look):
    """Draw the way from one point to the next; dashed for a look without a marker."""
    if look[1]:
        pen.line((*start, *end), fill=look[0], width=5)
        return
    pieces = max(1, round(((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5 / 24))
    at = lambda share: tuple(a + share * (b - a) for a, b in zip(start, end, strict=True))  # noqa: E731
    for i in range(pieces):
        pen.line((*at(i / pieces), *at((i + 0.6) / pieces)), fill=look[0], width=5)


def sample(pen, left, y, look):
    """Draw a short piece of a curve beside its name."""
    stroke(pen, (left, y), (left + 68, y), look)
    draw_mark(pen, (left + 34, y), *look)


def columns(values, up, marked=(), chosen=None, width=620, height=230):
    """Return one upright bar for each number as PNG bytes; marked ones in another colour, with a mark below the line.

    Args:
        values: numbers, from left to right; what lies beyond the axis is drawn at its end.
        up: the `Axis` of their heights.
        marked: numbers of the bars with a mark.
        chosen: number of the bar that is black, with a line above it, or None.
        width, height: pixels on the screen.
    """
    sheet, pen = canvas(width, height)
    letters = font(TWICE * TEXT)
    left = 28 + max(letters.getlength(words) for words in up.ticks.values())
    box = (left, TWICE * HEAD, sheet.width - 44, sheet.height - TWICE * 54)
    draw_axes(pen, box, Axis("number of the filter", {}), up)
    wide = (box[2] - box[0]) / max(1, len(values))
    for i, value in enumerate(values):
        x, y = box[0] + i * wide, within(value, up.ticks, box[3], box[1])
        end = x + max(1, wide - 2)
        if i == chosen:
            pen.line(((x + end) / 2, box[1] - 10, (x + end) / 2, box[3]), fill=INK, width=3)
        if i in marked:
            pen.rectangle((x, box[3] + 4, end, box[3] + 14), fill=OPTIMISED.colour)
        colour = INK if i == chosen else OPTIMISED.colour if i in marked else ORIGINAL.colour
        pen.rectangle((x, y, end, box[3]), fill=colour)
    for i in range(0, len(values), max(1, len(values) // 8)):
        pen.text((box[0] + (i + 0.5) * wide, box[3] + 20), str(i), INK, letters, anchor="mt")
    return packed(sheet)
