r"""Colours as painters speak of them: how light, how strong, which hue.

In RGB "a little darker" and "clearly different from the background" are hard to say: equal steps of numbers are unequal
steps for the eye.  OKLCH is a wheel on which they are equal, so one distance can promise that an object is visible:

    lightness 0 (black) ... 1 (white)    chroma 0 (grey) ... 0.2 (vivid)    hue in degrees, 30 red, 145 green, 260 blue

Source: Bjoern Ottosson 2020, "A perceptual color space for image processing" (the matrices below).
"""

import math
from typing import NamedTuple

import numpy as np

_LAB_TO_LMS = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


class Colour(NamedTuple):
    """One colour of the OKLCH wheel: lightness in [0, 1], chroma >= 0, hue in degrees."""

    lightness: float
    chroma: float
    hue: float

    def lighter(self, step):
        """Return the colour with its lightness raised by ``step``, kept short of white."""
        return self._replace(lightness=min(0.985, self.lightness + step))

    def darker(self, step):
        """Return the colour with its lightness lowered by ``step``, kept short of black."""
        return self._replace(lightness=max(0.10, self.lightness - step))


def to_rgb(colours):
    """Turn OKLCH rows (N, 3) into sRGB rows (N, 3) in [0, 1]; what a screen cannot show is clipped."""
    lightness, chroma, hue = np.asarray(colours, dtype=np.float64).reshape(-1, 3).T
    angle = np.radians(hue)
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=1)
    linear = np.clip((lab @ _LAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def difference(one, other):
    """Return how far apart two colours look: the Euclidean distance in OKLab, 0 ... about 1."""
    return math.hypot(one.lightness - other.lightness, math.sqrt(_hue_gap_squared(one, other)))


def apart(colour, other, least):
    """Return ``colour``, made lighter or darker until it differs from ``other`` by at least ``least``.

    Only lightness moves, since hue alone is hard to see on small parts; the direction is the one it already leans to,
    unless there is no room left on that side.
    """
    gap = _hue_gap_squared(colour, other)
    if math.hypot(colour.lightness - other.lightness, math.sqrt(gap)) >= least:
        return colour
    step = math.sqrt(least**2 - gap)
    side = 1 if colour.lightness >= other.lightness else -1
    if not 0.14 <= other.lightness + side * step <= 0.97:
        side = -side
    return colour._replace(lightness=other.lightness + side * step)


def _hue_gap_squared(one, other):
    """Squared distance of two colours in the plane of chroma and hue (law of cosines)."""
    turn = math.cos(math.radians(one.hue - other.hue))
    return max(0.0, one.chroma**2 + other.chroma**2 - 2 * one.chroma * other.chroma * turn)


class Palette:
    """The colours of one scene: chosen by dice, visible against the background.

    Args:
        dice: where the choices come from.
        ground: mean Colour of the background.
        least: how far the large parts keep from ``ground``; small values make a hard picture.
        closeness: 0 leaves colours as they are, 1 pulls them all the way to the background before they are set apart.
    """

    def __init__(self, dice, ground, least, closeness):
        self.dice, self.ground, self.least, self.closeness = dice, ground, least, closeness

    def main(self, lightness=(0.35, 0.88), chroma=(0.04, 0.15), hue=(0, 360)):
        """Return a colour for a large part: in the given ranges, then drawn towards and set apart from the ground."""
        dice, near = self.dice, self.closeness
        colour = Colour(dice.number(*lightness), dice.number(*chroma), dice.number(*hue) % 360)
        mixed = colour.lightness + near * (self.ground.lightness - colour.lightness)
        return apart(colour._replace(lightness=mixed, chroma=colour.chroma * (1 - 0.5 * near)), self.ground, self.least)

    def beside(self, *neighbours, least=0.22, lightness=(0.2, 0.93), chroma=(0.02, 0.15), hue=(0, 360)):
        """Return a colour for a part that lies on ``neighbours``: apart from each of them, the last one surely."""
        dice = self.dice
        colour = Colour(dice.number(*lightness), dice.number(*chroma), dice.number(*hue) % 360)
        for neighbour in neighbours:
            colour = apart(colour, neighbour, least)
        return colour
