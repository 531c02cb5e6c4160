"""Tables drawn with Pillow: shares, the darker the more, hatched where they are not sure; and words in columns."""

from PIL import Image, ImageDraw

from lecturekit.panels import chart
from lecturekit.panels.look import packed
from lecturekit.plots import ORIGINAL

LEFT, HEAD, CELL = 176, 84, 66  # pixels on the screen: names of the rows and columns, height of a cell
FULL = tuple(bytes.fromhex(ORIGINAL.colour[1:]))


def matrix(cells, rows, columns, words, unsure=(), width=760):
    """Return a table of shares as PNG bytes.

    Args:
        cells: {(row, column): `measure.Interval`}, shares in [0, 1].
        rows, columns: their keys, from above and from the left.
        words: from keys to names; names break at their commas.
        unsure: pairs that are hatched.
        width: pixels on the screen.
    """
    sheet, pen = chart.canvas(width, HEAD + CELL * max(1, len(rows)) + 4)
    left, top, high = chart.TWICE * LEFT, chart.TWICE * HEAD, chart.TWICE * CELL
    wide = (sheet.width - left - 8) / max(1, len(columns))
    letters = chart.font(chart.TWICE * chart.TEXT)
    pen.text((12, 12), "made for ↓", chart.INK, letters)
    pen.text((12, 56), "shown to →", chart.INK, letters)
    for j, column in enumerate(columns):
        write(pen, (left + (j + 0.5) * wide, top - 12), words[column], letters, "md")
    for i, row in enumerate(rows):
        write(pen, (left - 20, top + (i + 0.5) * high), words[row], letters, "rm")
        for j, column in enumerate(columns):
            box = tuple(map(round, (left + j * wide, top + i * high, left + (j + 1) * wide, top + (i + 1) * high)))
            paint(sheet, box, cells[row, column], own=row == column, sure=(row, column) not in unsure)
    return packed(sheet)


def write(pen, place, name, letters, anchor):
    """Write a name in as many lines as it has parts."""
    pen.multiline_text(
        place, "\n".join(part.strip() for part in name.split(",")), chart.INK, letters, anchor=anchor,
        align="right" if anchor[0] == "r" else "center", spacing=2,
    )  # fmt: skip


def paint(sheet, box, share, own, sure):
    """Paint one cell: its tint, its number and interval in per cent, hatching, and a frame for a network's own."""
    left, top, right, bottom = box
    field = Image.new("RGB", (right - left - 6, bottom - top - 6), tint(share.estimate))
    pen, middle = ImageDraw.Draw(field), (right - left - 6) / 2
    ink = "white" if share.estimate > 0.9 else chart.INK
    for x in range(-field.height, field.width, 22) if not sure else ():
        pen.line((x, field.height, x + field.height, 0), fill="#BBBBBB", width=3)
    large, small = chart.font(chart.TWICE * (chart.TEXT + 3)), chart.font(chart.TWICE * chart.TEXT)
    for y, words, letters in ((0.32, f"{100 * share.estimate:.1f} %", large), (0.74, interval(share), small)):
        about = pen.textbbox((middle, y * field.height), words, letters, anchor="mm")
        if not sure:
            pen.rectangle((about[0] - 8, about[1] - 4, about[2] + 8, about[3] + 4), fill=tint(share.estimate))
        pen.text((middle, y * field.height), words, ink, letters, anchor="mm")
    if own:
        pen.rectangle((0, 0, field.width - 1, field.height - 1), outline=chart.INK, width=6)
    sheet.paste(field, (left + 3, top + 3))


def interval(share):
    """Return the limits of an interval in per cent."""
    return f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"


def tint(value):
    """Return the colour of a share: white for 0, the blue of all drawings for 1."""
    return tuple(round(255 + min(1, max(0, value)) * (part - 255)) for part in FULL)


def table(header, rows, chosen=None, width=620, line=28):
    """Return words and numbers in columns as PNG bytes, the first one to the left; the chosen row is tinted."""
    letters = chart.font(chart.TWICE * chart.TEXT)
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    wide = [max(map(letters.getlength, column)) for column in zip(*cells, strict=True)]
    sheet, pen = chart.canvas(width, line * len(cells) + 4)
    gap = min(64, max(16, (sheet.width - 40 - sum(wide)) / max(1, len(wide) - 1)))
    for i, row in enumerate(cells):
        y, x = chart.TWICE * line * (i + 0.5), 16
        if i - 1 == chosen:
            pen.rectangle((0, y - chart.TWICE * line / 2, sheet.width, y + chart.TWICE * line / 2), fill="#DCEAF3")
        for j, (cell, across) in enumerate(zip(row, wide, strict=True)):
            pen.text((x + (across if j else 0), y), cell, chart.INK, letters, anchor="rm" if j else "lm")
            x += across + gap
        if not i:
            pen.line(
                (0, y + chart.TWICE * line / 2 - 2, sheet.width, y + chart.TWICE * line / 2 - 2),
                fill=chart.INK,
                width=3,
            )
    return packed(sheet)
