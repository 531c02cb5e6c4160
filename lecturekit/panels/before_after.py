"""Two numbers for each name, drawn below each other: what the network said before, and what it says afterwards.

::

    school bus  |========= 98.1 %          upper bar: before
                |== 14.0 %                 lower bar: after

Which bar is which shows by place and by colour.

The sheet is drawn in shades of ink, one byte a pixel, with the three other colours behind white: a slider waits for it,
and an index packs several times as fast as a colour.
"""

import functools

from PIL import Image, ImageColor, ImageDraw

from lecturekit.panels import chart
from lecturekit.panels.look import packed
from lecturekit.plots import BASELINE, OPTIMISED, ORIGINAL

HEAD, LINE = 28, 32  # pixels on the screen: the legend, and a name with its two bars
LETTERS = 13
NUMBER = 66  # room for a number at the end of a bar
SERIES = ((ORIGINAL.colour, "before: upper bar"), (OPTIMISED.colour, "after: lower bar"))
INK, PAPER = 0, 200  # letters are shades between these two
BEFORE, AFTER, RULE = 201, 202, 203


def paired_bars(names, before, after, words, reach=0.0, width=620):
    """Return two bars with their numbers for each name as PNG bytes.

    Args:
        names: of the classes, from top to bottom.
        before, after: finite numbers, one for each name; negative ones go to the left of zero.
        words: a number to what is written beside its bar.
        reach: the scale goes at least this far, e.g. to 1 for probabilities, so that two drawings can be compared.
        width: pixels on the screen.
    """
    sheet = Image.new("L", (chart.TWICE * width, chart.TWICE * (HEAD + LINE * len(names))), PAPER)
    pen = ImageDraw.Draw(sheet)
    place = scale(min([0.0, *before, *after]), max([reach, *before, *after]), width)
    zero = place(0.0)
    for i, (colour, (_, name)) in enumerate(zip((BEFORE, AFTER), SERIES, strict=True)):
        left = chart.TWICE * (200 + 170 * i)
        pen.rectangle((left, 14, left + 24, 38), fill=colour)
        pen.text((left + 36, 26), name, INK, chart.font(chart.TWICE * LETTERS), anchor="lm")
    pen.line((zero, chart.TWICE * HEAD, zero, sheet.height), fill=RULE, width=2)
    for i, name in enumerate(names):
        middle = chart.TWICE * (HEAD + LINE * i + LINE // 2)
        letters = chart.font(chart.TWICE * chart.TEXT)
        pen.text((chart.TWICE * 184, middle), chart.shortened(name), INK, letters, anchor="rm")
        bars = (before[i], BEFORE, middle - 14), (after[i], AFTER, middle + 14)
        for value, colour, y in bars:
            draw_bar(pen, zero, place(value), y, colour, words(value))
    sheet.putpalette(palette())
    return packed(sheet)


@functools.cache
def palette():
    """Return what the numbers of the sheet look like: shades from ink to paper, then the colours in their order."""
    ink = ImageColor.getrgb(chart.INK)
    ramp = [round(value + (255 - value) * shade / PAPER) for shade in range(PAPER + 1) for value in ink]
    return ramp + [
        value for colour in (*(c for c, _ in SERIES), BASELINE.colour) for value in ImageColor.getrgb(colour)
    ]


def scale(low, high, width):
    """Return a function from numbers to pixels of the sheet that leaves room for names and for numbers at both ends."""
    left, right = chart.TWICE * (196 + (NUMBER if low < 0 else 0)), chart.TWICE * (width - NUMBER)
    span = (high - low) or 1.0
    return lambda value: left + (value - low) / span * (right - left)


def draw_bar(pen, zero, end, y, colour, words):
    """Draw one bar from zero to its end, and its number beyond the end."""
    if abs(end - zero) > 1:
        pen.rectangle((min(zero, end), y - 11, max(zero, end), y + 11), fill=colour)
    beyond, anchor = (end - 12, "rm") if end < zero else (end + 12, "lm")
    pen.text((beyond, y), words, INK, chart.font(chart.TWICE * LETTERS), anchor=anchor)
