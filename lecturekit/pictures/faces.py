"""Faces with an identity: what a person keeps (skin, hair, eyes, build) apart from what a moment changes (pose, mood).

Privacy is measured on these: a reconstruction that keeps the class "face" but not the person gives nothing away.  So
who it is must be a fact, not an opinion: an identity is a number, and all that belongs to it follows from that number.
"""

import dataclasses

import numpy as np

from lecturekit.pictures import shapes
from lecturekit.pictures.colours import Colour, apart, to_rgb
from lecturekit.pictures.dice import Dice
from lecturekit.pictures.shared_parts import INK, eye

IDENTITIES = 1000
HAIR_STYLES = ("short", "parted", "fringe", "spiky", "curly", "bob", "long", "bun", "pigtails", "wreath")
EXPRESSIONS = ("happy", "calm", "sad", "surprised")
_HAIR = {  # lightness, chroma, hue
    "black": (0.22, 0.015, 280),
    "brown": (0.36, 0.06, 55),
    "chestnut": (0.46, 0.09, 45),
    "blond": (0.83, 0.10, 88),
    "red": (0.60, 0.15, 45),
    "grey": (0.70, 0.01, 260),
    "white": (0.93, 0.01, 90),
    "blue": (0.55, 0.12, 250),
    "pink": (0.72, 0.13, 355),
}
_EYES = {"brown": (0.40, 0.08, 55), "blue": (0.62, 0.11, 245), "green": (0.60, 0.11, 150), "grey": (0.58, 0.02, 250)}
HAIR, EYES = tuple(_HAIR), tuple(_EYES)
_PURPOSE = 7001  # keeps the streams of identities apart from those of scenes


@dataclasses.dataclass(frozen=True)
class Identity:
    """A person: lengths are fractions of the head's half height, colours are OKLCH."""

    number: int
    skin: Colour
    hair: Colour
    hair_name: str
    hair_style: str
    iris: Colour
    eye_name: str
    width: float
    jaw: float
    ear: float
    eye_gap: float
    eye_size: float
    eye_shape: float
    eye_line: float
    hairline: float
    parting: float
    brow: float
    brow_tilt: float
    nose: float
    nose_width: float
    mouth: float
    lips: Colour
    blush: float
    freckles: bool
    glasses: bool
    beard: bool


def identity(number):
    """Return the person with this number, the same one at every call."""
    dice = Dice(_PURPOSE, number)
    depth = dice.number()  # from fair to dark skin along one path, with a little freedom around it
    skin = Colour(0.9 - 0.46 * depth, dice.number(0.045, 0.075) + 0.02 * depth, 62 - 12 * depth + dice.number(-10, 8))
    hair_name, eye_name = dice.choice(tuple(_HAIR)), dice.choice(tuple(_EYES))
    hair = apart(_near(dice, _HAIR[hair_name]), skin, 0.15)
    style, woman = dice.choice(HAIR_STYLES), dice.chance(0.5)
    return Identity(
        number=number,
        skin=skin,
        hair=hair,
        hair_name=hair_name,
        hair_style=style,
        iris=_near(dice, _EYES[eye_name]),
        eye_name=eye_name,
        width=dice.number(0.72, 0.95),
        jaw=dice.number(0.02, 0.3),
        ear=dice.number(0.14, 0.25),
        eye_gap=dice.number(0.3, 0.42),
        eye_size=dice.number(0.145, 0.215),
        eye_shape=dice.number(0.72, 1.15),
        eye_line=dice.number(-0.14, 0.04),
        hairline=dice.number(0.4, 0.62),
        parting=dice.number(-0.6, 0.6),
        brow=dice.number(0.05, 0.11),
        brow_tilt=dice.number(-0.07, 0.07),
        nose=dice.number(0.16, 0.32),
        nose_width=dice.number(0.07, 0.15),
        mouth=dice.number(0.22, 0.38),
        lips=skin._replace(lightness=max(0.3, skin.lightness - dice.number(0.14, 0.26)), chroma=0.13, hue=20.0),
        blush=dice.number(0, 1),
        freckles=dice.chance(0.15),
        glasses=dice.chance(0.22),
        beard=not woman
        and hair_name not in ("blue", "pink")
        and style not in ("bob", "long", "bun", "pigtails")
        and dice.chance(0.4),
    )


def _near(dice, colour):
    """Return a Colour close to the named one, so that no two people share it exactly."""
    lightness, chroma, hue = colour
    return Colour(lightness + dice.number(-0.05, 0.05), chroma * dice.number(0.8, 1.2), hue + dice.number(-8, 8))


@dataclasses.dataclass(frozen=True)
class Moment:
    """What changes from picture to picture: head turn and nod in -1 ... 1, gaze, mood."""

    turn: float
    nod: float
    gaze: tuple
    expression: str


def moment(dice):
    """Roll a moment."""
    gaze = (dice.number(-0.8, 0.8), dice.number(-0.5, 0.5))
    return Moment(dice.number(-1, 1), dice.number(-1, 1), gaze, dice.choice(EXPRESSIONS))


def face(sketch, person, now):
    """Draw a person at a moment."""
    _hair_behind(sketch, person)
    for side in (-1, 1):
        ear = shapes.ellipse(side * person.width * 1.0 - 0.05 * now.turn, 0.08, person.ear * 0.75, person.ear)
        sketch.add("ear", ear, person.skin.darker(0.05))
    sketch.add("skin", _head(person), person.skin)
    x, y = 0.12 * now.turn, 0.06 * now.nod  # features slide over the head as it turns: depth without a third dimension
    _cheeks(sketch, person, x, y)
    if person.beard:
        _beard(sketch, person, x)
    _mouth(sketch, person, now.expression, x, y + 0.5)
    _nose(sketch, person, x * 1.4, y)
    for side in (-1, 1):
        _eye_and_brow(sketch, person, now, side, x, y)
    _hair_in_front(sketch, person)
    if person.glasses:
        _glasses(sketch, person, x, y)


def _head(person, grow=1.0, start=0, end=360, count=36):
    """The outline of the head (narrower below by ``jaw``), or the piece of it between two angles."""
    rim = shapes.arc(0, 0, 1, 1, start, end, count)
    narrow = 1 - person.jaw * np.maximum(0, rim[:, 1:]) ** 2
    return rim * (person.width * grow, grow) * np.concatenate([narrow, np.ones_like(narrow)], axis=1)


def _cheeks(sketch, person, x, y):
    rosy = person.skin._replace(
        lightness=person.skin.lightness - 0.02, chroma=person.skin.chroma + 0.02 + 0.03 * person.blush, hue=32.0
    )
    for side in (-1, 1):
        cx = x + side * person.width * 0.58
        sketch.add("skin", shapes.ellipse(cx, y + 0.33, 0.16, 0.11), rosy, line=False)
        if person.freckles:
            for dx, dy in ((-0.09, -0.07), (0.02, -0.02), (0.1, -0.08)):
                dot = shapes.ellipse(cx + side * dx, y + 0.25 + dy, 0.03, count=8)
                sketch.add("skin", dot, person.skin.darker(0.2), line=False)


def _eye_and_brow(sketch, person, now, side, x, y):
    cx, cy, size = x + side * person.eye_gap, y + person.eye_line, person.eye_size
    wide = 1.18 if now.expression == "surprised" else 1.0
    eye(sketch, cx, cy, size, size * person.eye_shape * wide, person.iris, now.gaze)
    lift = {"surprised": 0.12, "sad": 0.05}.get(now.expression, 0.03)
    slope = person.brow_tilt + {"sad": -0.09, "calm": 0.02}.get(now.expression, 0.0)  # inner end above the outer: sad
    top = cy - size * person.eye_shape * wide - 0.06 - lift
    line = shapes.curve(
        (cx - side * size, top + slope), (cx, top - 0.07), (cx + side * size * 1.1, top - slope + 0.02), count=7
    )
    brow = person.hair.darker(0.12) if person.hair.lightness > 0.4 else person.hair
    sketch.add("brow", shapes.stroke(line, person.brow), apart(brow, person.skin, 0.14), line=False)


def _nose(sketch, person, x, y):
    tip = y + person.eye_line + 0.08 + person.nose
    shade, width = person.skin.darker(0.1), person.nose_width
    sketch.add(
        "nose", shapes.polygon((x - 0.02, tip - person.nose), (x + width, tip), (x - width, tip)), shade, line=False
    )
    sketch.add("nose", shapes.ellipse(x, tip, width * 1.1, width * 0.75), shade, line=False)
    shine = shapes.ellipse(x - width * 0.2, tip - width * 0.1, width * 0.6, width * 0.4)
    sketch.add("nose", shine, person.skin.lighter(0.03), line=False)


def _mouth(sketch, person, expression, x, y):
    wide = person.mouth
    if expression == "surprised":
        sketch.add("mouth", shapes.ellipse(x, y + 0.04, wide * 0.45, 0.17), person.lips)
        sketch.add("mouth", shapes.ellipse(x, y + 0.05, wide * 0.3, 0.11), Colour(0.28, 0.06, 20), line=False)
        return
    if expression == "happy":
        bow = shapes.arc(x, y - 0.06, wide, 0.26, 0, 180, 14)
        sketch.add("mouth", bow, Colour(0.35, 0.1, 20))
        sketch.add(
            "mouth",
            shapes.box(x - wide * 0.75, y - 0.06, x + wide * 0.75, y + 0.03, 0.03),
            INK.lighter(0.75),
            line=False,
        )
        sketch.add("mouth", shapes.ellipse(x, y + 0.14, wide * 0.45, 0.055), Colour(0.65, 0.14, 20), line=False)
        return
    bend = {"calm": 0.07, "sad": -0.12}[expression]
    y += {"calm": 0.0, "sad": 0.12}[expression]
    line = shapes.curve((x - wide * 0.8, y), (x, y + 2 * bend), (x + wide * 0.8, y), count=10)
    sketch.add("mouth", shapes.stroke(line, 0.1), person.lips, line=False)


def _beard(sketch, person, x):
    below = _head(person, 1.05, 12, 168, 24)
    above = shapes.curve((-person.width * 0.93, 0.22), (x - 0.3, 0.72), (x + 0.3, 0.72), (person.width * 0.93, 0.22))
    sketch.add("hair", np.concatenate([below, above]), person.hair.darker(0.03))


def _glasses(sketch, person, x, y):
    frame, ring = Colour(0.25, 0.03, person.hair.hue + 180), person.eye_size * 1.32
    cy = y + person.eye_line
    for side in (-1, 1):
        cx = x + side * person.eye_gap
        sketch.add("glasses", shapes.stroke(shapes.arc(cx, cy, ring, ring, 0, 360, 25), 0.055), frame, line=False)
    inner = person.eye_gap - ring
    sketch.add("glasses", shapes.box(x - inner, cy - 0.035, x + inner, cy + 0.02), frame, line=False)


def _hair_behind(sketch, person):
    """The hair that hangs or stands behind the head."""
    style, w, back = person.hair_style, person.width, person.hair.darker(0.05)
    if style == "long":
        sketch.add("hair", shapes.box(-w * 1.28, -1.14, w * 1.28, 1.2, 0.75), back)
    if style == "bob":
        sketch.add("hair", shapes.box(-w * 1.3, -1.14, w * 1.3, 0.55, 0.7), back)
    if style == "curly":
        sketch.add("hair", shapes.cloud(0, -0.3, w * 1.42, 1.05, 11, 0.09), back)
    if style == "wreath":
        sketch.add("hair", shapes.cloud(0, 0.0, w * 1.3, 1.12, 15, 0.06), back)
    if style == "bun":
        sketch.add("hair", shapes.ellipse(0, -1.18, 0.36, 0.32), back)
    if style == "pigtails":
        for side in (-1, 1):
            sketch.add("hair", shapes.ellipse(side * w * 1.38, 0.0, 0.24, 0.52, side * -18), back)


def _hair_in_front(sketch, person):
    """The hair over the forehead: the head's upper rim, closed by a hairline that belongs to the style."""
    style, w = person.hair_style, person.width
    reach = {"short": 12, "spiky": 8, "curly": 12, "wreath": -8}.get(style, 16)  # degrees below the ears
    top = _head(person, 1.08, 180 - reach, 360 + reach, 24)
    if style == "spiky":
        spikes = np.where(np.arange(24) % 3 == 1, 1.2, 0.98)[:, None]
        top = top * spikes
    if style == "curly":
        top = top * (1 + 0.05 * np.abs(np.sin(np.arange(24) * 0.9)))[:, None]
    line = shapes.arc(0, 0, 1, 1, 0, -180, 15)[:, :1] * w * 0.98  # x from right to left
    height = -person.hairline + _hairline(style, line / w, person.parting)
    sketch.add("hair", np.concatenate([top, np.concatenate([line, height], axis=1)]), person.hair)
    shine = shapes.stroke(shapes.arc(0, 0, w * 0.8, 0.87, 215, 265, 8), 0.09, 0.02)
    sketch.add("hair", shine, person.hair.lighter(0.1), line=False)


def _hairline(style, x, parting):
    """How far the hair comes down (positive) at x in -1 ... 1, relative to the person's hairline."""
    sides = 0.42 * x**2
    if style == "fringe":
        return 0.16 + 0.3 * x**4
    if style in ("parted", "bob", "long"):
        return sides - 0.3 * np.exp(-(((x - parting) / 0.3) ** 2)) + 0.06
    if style == "spiky":
        return sides + 0.09 * np.where(np.arange(len(x))[:, None] % 2 == 0, 1, -1) - 0.05
    if style == "wreath":
        return sides * 0.8 - 0.28
    return sides - 0.08


def describe(person, now):
    """Return the truth about a face as plain values for `Scene.attributes`; colours are RGB in [0, 1]."""
    skin, hair, iris = to_rgb([person.skin, person.hair, person.iris]).round(3).tolist()
    return {
        "identity": person.number,
        "skin": skin,
        "hair_colour": hair,
        "hair_name": person.hair_name,
        "hair_style": person.hair_style,
        "eye_colour": iris,
        "eye_name": person.eye_name,
        "glasses": person.glasses,
        "beard": person.beard,
        "freckles": person.freckles,
        "expression": now.expression,
        "pose": [round(now.turn, 3), round(now.nod, 3)],
        "gaze": [round(g, 3) for g in now.gaze],
    }
