"""Parts that several classes share: an eye is an eye in a face, a cat and a fish.

If every part belonged to one class, a network could read the class off any scrap.  Shared parts make the *arrangement*
matter, and they give "does this filter look at wheels?" an answer that is not just "does it look at cars?".
"""

from lecturekit.pictures import shapes
from lecturekit.pictures.colours import Colour

WHITE = Colour(0.96, 0.01, 90)
INK = Colour(0.2, 0.02, 280)


def eye(sketch, x, y, rx, ry, iris, gaze=(0.0, 0.0), slit=1.0):
    """Draw an eye: white, iris, pupil (narrow if ``slit`` < 1) and a glint; ``gaze`` shifts the iris, -1 ... 1."""
    r = 0.68 * min(rx, ry)
    cx, cy = x + gaze[0] * (rx - r) * 0.9, y + gaze[1] * (ry - r) * 0.9
    sketch.add("eye", shapes.ellipse(x, y, rx, ry), WHITE)
    sketch.add("eye", shapes.ellipse(cx, cy, r), iris, line=False)
    sketch.add("eye", shapes.ellipse(cx, cy, r * 0.58 * slit, r * 0.58), INK, line=False)
    sketch.add("eye", shapes.ellipse(cx - 0.3 * r, cy - 0.35 * r, r * 0.24), WHITE, line=False)


def bead(sketch, x, y, r):
    """Draw the simple eye of a small animal: a dark bead with a glint."""
    sketch.add("eye", shapes.ellipse(x, y, r), INK)
    sketch.add("eye", shapes.ellipse(x - 0.3 * r, y - 0.35 * r, r * 0.33), WHITE, line=False)


def porthole(sketch, x, y, r, frame, glass):
    """Draw a round window with its frame and a streak of light."""
    sketch.add("window", shapes.ellipse(x, y, r), frame)
    sketch.add("window", shapes.ellipse(x, y, r * 0.72), glass, line=False)
    shine = shapes.stroke(shapes.arc(x, y, r * 0.45, r * 0.45, 190, 280, 6), r * 0.2)
    sketch.add("window", shine, glass.lighter(0.25), line=False)


def pane(sketch, x0, y0, x1, y1, glass, bars=None):
    """Draw a rectangular window, with a cross of glazing bars if ``bars`` is a Colour."""
    sketch.add("window", shapes.box(x0, y0, x1, y1), glass)
    if bars is None:
        return
    thin, x, y = 0.12 * min(x1 - x0, y1 - y0), (x0 + x1) / 2, (y0 + y1) / 2
    sketch.add("window", shapes.box(x - thin / 2, y0, x + thin / 2, y1), bars, line=False)
    sketch.add("window", shapes.box(x0, y - thin / 2, x1, y + thin / 2), bars, line=False)


def pennant(sketch, x, y, length, height, colour):
    """Draw a flag that flies to the right from (x, y), the top of its pole."""
    sketch.add("flag", shapes.polygon((x, y), (x + length, y + height / 2), (x, y + height)), colour)


def glass(dice):
    """Return a colour for window glass: daylight blue, or lamp light from inside."""
    if dice.chance(0.3):
        return Colour(dice.number(0.84, 0.93), dice.number(0.06, 0.12), dice.number(75, 100))
    return Colour(dice.number(0.5, 0.9), dice.number(0.02, 0.07), dice.number(190, 260))


def leaf_colour(palette, *neighbours):
    """Return the colour of something that grows: mostly green, sometimes autumn."""
    hue = (105, 160) if palette.dice.chance(0.75) else (30, 105)
    return palette.beside(palette.ground, *neighbours, least=0.16, lightness=(0.4, 0.78), chroma=(0.05, 0.14), hue=hue)
