"""Numbers as small drawings, made with Pillow in a few milliseconds: bars, and curves over the layers.

They are drawn twice as large as they are shown, so that lines and letters stay crisp on a projector.
"""

import functools

from PIL import Image, ImageDraw, ImageFont

from lecturekit.panels.look import packed
from lecturekit.plots import BASELINE, ORIGINAL

TWICE = 2
INK, RULES = "#222222", "#DDDDDD"
TEXT = 15  # pixels on the screen


@functools.cache
def font(size):
    """Return the font that comes with matplotlib, which has Greek letters and superscripts; ``size`` in pixels."""
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def bars(names, values, width=528, line=28):
    """Return a bar with its per cent for each name as PNG bytes; values in [0, 1]."""
    sheet, pen = canvas(width, line * len(names))
    left, right = TWICE * 190, TWICE * (width - 80)
    pen.line((left - 2, 0, left - 2, sheet.height), fill=BASELINE.colour, width=2)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        middle, end = TWICE * (i * line + line / 2), left + value * (right - left)
        pen.text((left - 20, middle), shortened(name), INK, font(TWICE * TEXT), anchor="rm")
        if end > left + 1:
            pen.rectangle((left, middle - 18, end, middle + 18), fill=ORIGINAL.colour)
        pen.text((end + 16, middle), f"{100 * value:.1f} %", INK, font(TWICE * TEXT), anchor="lm")
    return packed(sheet)


def curves(names, series, level, width=620, height=256):
    """Return curves over the layers as PNG bytes: decibels upwards, a dashed line for what needs no code.

    Args:
        names: of the layers, from left to right.
        series: from the name of a curve to its `plots.Look` and its values by layer.
        level: words and value of the dashed line.
    """
    sheet, pen = canvas(width, height)
    values = [level[1], *(value for _, curve in series.values() for value in curve.values())]
    low, high = 5 * (min(values) // 5), 5 * (max(values) // 5 + 1)
    left, right, top, bottom = 2 * 52, 2 * (width - 40), 2 * 40, 2 * (height - 34)
    place = lambda i, value: (  # noqa: E731  from layer and decibels to pixels
        left + 40 + i * (right - left - 60) / max(1, len(names) - 1),
        bottom - (value - low) / (high - low) * (bottom - top),
    )
    for value in range(int(low), int(high) + 1, 5 if high - low <= 30 else 10):
        y = place(0, value)[1]
        pen.line((left, y, right, y), fill=RULES, width=2)
        pen.text((left - 12, y), f"{value} dB", INK, font(28), anchor="rm")
    for i, name in enumerate(names):
        short = "prob." if name == "probabilities" else name
        pen.text((place(i, low)[0], bottom + 14), short, INK, font(28), anchor="mt")
    dashes(pen, left, right, place(0, level[1])[1])
    pen.text((right, place(0, level[1])[1] - 8), level[0], BASELINE.colour, font(28), anchor="rb")
    for at, (words, ((colour, mark), curve)) in enumerate(series.items()):
        points = [place(names.index(name), value) for name, value in curve.items()]
        pen.line(points, fill=colour, width=5)
        for point in points:
            draw_mark(pen, point, colour, mark)
        draw_mark(pen, (left + 30 + 440 * at, 32), colour, mark)
        pen.text((left + 54 + 440 * at, 32), words, INK, font(TWICE * TEXT), anchor="lm")
    return packed(sheet)


def canvas(width, height):
    """Return a white sheet, twice as large as it is shown, and a pen for it."""
    sheet = Image.new("RGB", (round(TWICE * width), round(TWICE * height)), "white")
    return sheet, ImageDraw.Draw(sheet)


def dashes(pen, left, right, y):
    """Draw a dashed line from left to right."""
    for x in range(round(left), round(right), 24):
        pen.line((x, y, x + 14, y), fill=BASELINE.colour, width=3)


def draw_mark(pen, point, colour, mark, size=11):
    """Draw matplotlib's marker o, s, ^, v, D or P round a point; nothing for a look without one."""
    x, y = point
    if mark == "o":
        pen.ellipse((x - size, y - size, x + size, y + size), fill=colour)
    elif mark == "s":
        pen.rectangle((x - size, y - size, x + size, y + size), fill=colour)
    elif mark == "P":
        pen.rectangle((x - size, y - 4, x + size, y + 4), fill=colour)
        pen.rectangle((x - 4, y - size, x + 4, y + size), fill=colour)
    elif mark:
        big = size + 2
        corners = {
            "^": [(x, y - big), (x - big, y + size), (x + big, y + size)],
            "v": [(x, y + big), (x - big, y - size), (x + big, y - size)],
            "D": [(x, y - big), (x - big, y), (x, y + big), (x + big, y)],
        }
        pen.polygon(corners[mark], fill=colour)


def shortened(words, longest=20):
    """Return words, cut where they would not fit."""
    return words if len(words) <= longest else words[: longest - 1] + "…"
