"""What a reader sees who has no kernel: the pictures of a panel, with titles and captions, as one PNG.

A notebook that is read on the web, or reopened and not run, has lost the widgets' state.  The picture stays.
"""

import io

from PIL import Image, ImageDraw

from lecturekit.panels.chart import font

MARGIN, SPACE = 10, 22
TITLE, CAPTION = 17, 15  # pixels
LEADING = 1.35


def snapshot(strips):
    """Return the visible pictures of some `look.Strip` as PNG bytes, laid out as in the panel, on white."""
    lines = []
    for strip in strips:
        pictures = [picture for picture in strip.pictures if picture.seen]
        if strip.seen and pictures:
            lines += [[heading(strip.heading)]] if strip.heading else []
            lines.append([tile(picture) for picture in pictures])
    width = max((sum(t.width + SPACE for t in tiles) for tiles in lines), default=SPACE) - SPACE + 2 * MARGIN
    heights = [max(t.height for t in tiles) + MARGIN for tiles in lines]
    sheet, top = Image.new("RGB", (width, sum(heights) + MARGIN), "white"), MARGIN
    for tiles, height in zip(lines, heights, strict=True):
        left = MARGIN
        for t in tiles:
            sheet.paste(t, (left, top))
            left += t.width + SPACE
        top += height
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def heading(words):
    """Return the words above a strip as a picture."""
    sheet = Image.new("RGB", (round(font(TITLE).getlength(words)) + 1, round(TITLE * LEADING)), "white")
    write(sheet, [words], TITLE, 0)
    return sheet


def tile(picture):
    """Return one picture with its words, as wide as on the screen."""
    title, caption = wrapped(picture.title, picture.width, TITLE), wrapped(picture.caption, picture.width, CAPTION)
    shown = Image.open(io.BytesIO(picture.png)).convert("RGBA") if picture.png else Image.new("RGBA", (1, 1))
    if shown.width > 1:
        height = round(shown.height * picture.width / shown.width)
        smaller = shown.width > picture.width
        how = Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST
        shown = shown.resize((picture.width, height), how)
    head, foot = (round(len(lines) * size * LEADING) + 4 for lines, size in ((title, TITLE), (caption, CAPTION)))
    sheet = Image.new("RGB", (picture.width, head + shown.height + 6 + foot), "white")
    write(sheet, title, TITLE, 0)
    sheet.paste(shown, (0, head), shown)
    write(sheet, caption, CAPTION, head + shown.height + 6)
    return sheet


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
