"""What a reader sees who has no kernel: the pictures of a panel, with titles and captions, as one PNG.

A notebook that is read on the web, or reopened and not run, has lost the widgets' state.  The picture stays.
"""

import io

from PIL import Image, ImageDraw

from lecturekit.panels.chart import font

MARGIN, SPACE = 10, 22
TITLE, CAPTION = 17, 15  # pixels
WIDEST = 800  # pixels of a line of text
LEADING = 1.35
MOST = 200_000  # bytes with all colours; what would be more has 256 colours, which halve it and are hardly seen


def snapshot(strips, words=""):
    """Return the visible pictures of some `look.Strip` as PNG bytes, laid out as in the panel, on white.

    Args:
        strips: those that are seen, from top to bottom.
        words: what the panel has to say above them, if anything.
    """
    lines = [[heading(line)] for line in wrapped(words, WIDEST, TITLE)]
    for strip in filter(any_seen, strips):
        lines += [[heading(strip.heading)]] if strip.heading else []
        lines.append([tile(picture) for picture in strip.pictures if picture.seen])
    width = max((sum(t.width + SPACE for t in tiles) for tiles in lines), default=SPACE) - SPACE + 2 * MARGIN
    heights = [max(t.height for t in tiles) + MARGIN for tiles in lines]
    sheet, top = Image.new("RGB", (width, sum(heights) + MARGIN), "white"), MARGIN
    for tiles, height in zip(lines, heights, strict=True):
        left = MARGIN
        for t in tiles:
            sheet.paste(t, (left, top))
            left += t.width + SPACE
        top += height
    png = packed(sheet)
    return png if len(png) <= MOST else packed(sheet.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))


def packed(sheet):
    """Return a Pillow picture as PNG bytes, small rather than quickly: they stay in notebooks."""
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def any_seen(strip):
    """Tell whether there is anything to see in a strip."""
    return any(picture.seen for picture in strip.pictures)


def heading(words):
    """Return the words above a strip as a picture."""
    sheet = Image.new("RGB", (round(font(TITLE).getlength(words)) + 1, round(TITLE * LEADING)), "white")
    write(sheet, [words], TITLE, 0)
    return sheet


def tile(picture):
    """Return one picture with its words, as wide as on the screen."""
    title, caption = wrapped(picture.title, picture.width, TITLE), wrapped(picture.caption, picture.width, CAPTION)
    shown = scaled(picture.png, picture.width)
    head, foot = (round(len(lines) * size * LEADING) + 4 for lines, size in ((title, TITLE), (caption, CAPTION)))
    sheet = Image.new("RGB", (picture.width, head + shown.height + 6 + foot), "white")
    write(sheet, title, TITLE, 0)
    sheet.paste(shown, (0, head), shown)
    write(sheet, caption, CAPTION, head + shown.height + 6)
    return sheet


def scaled(png, width):
    """Return PNG bytes as a picture of this width; nothing at all becomes a line of nothing."""
    if not png:
        return Image.new("RGBA", (width, 1))
    shown = Image.open(io.BytesIO(png)).convert("RGBA")
    how = Image.Resampling.LANCZOS if shown.width > width else Image.Resampling.NEAREST
    return shown.resize((width, max(1, round(shown.height * width / shown.width))), how)


def write(sheet, lines, size, top):
    """Write lines of text onto a sheet."""
    pen = ImageDraw.Draw(sheet)
    for i, line in enumerate(lines):
        pen.text((0, top + round(i * size * LEADING)), line, "#222222", font(size))


def wrapped(words, width, size):
    """Return text as lines that are at most ``width`` pixels wide; a line break in it stays one."""
    lines = []
    for paragraph in words.split("\n") if words else ():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font(size).getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines
