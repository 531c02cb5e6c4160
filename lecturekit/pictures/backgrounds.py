"""What stands behind and around the object: coloured noise, a horizon, small shapes, and the light on all of it.

A flat background would be a gift: a network need only ask "where is it not flat?".  The amplitudes of photographs fall
like 1/f, f the spatial frequency, so noise with that spectrum looks like nature out of focus and has edges at every
scale, and its colours are different in every picture.

Source: Field 1987, "Relations between the statistics of natural images and the response properties of cortical cells".
"""

import dataclasses

import numpy as np

from lecturekit.pictures import shapes
from lecturekit.pictures.colours import Colour, apart, to_rgb
from lecturekit.pictures.sketch import SIDE, Shape

_FREQUENCY = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]) * SIDE  # cycles per picture
_FREQUENCY[0, 0] = np.inf  # no mean: the colour decides it
_WARM, _COOL = np.array([0.6, 0.1, -0.7]), np.array([-0.4, 0.8, -0.4])  # two directions of colour without lightness
_ACROSS = (np.arange(SIDE) + 0.5) / SIDE  # pixel centres as fractions of the frame


def noise(dice, fields, falloff):
    """Return (fields, 64, 64) noise with mean 0, deviation 1 and amplitudes like 1 / frequency ** falloff."""
    real, imaginary = dice.field(2, fields, *_FREQUENCY.shape) - 0.5
    spectrum = (real + 1j * imaginary) * _FREQUENCY**-falloff
    pictures = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return pictures / pictures.std(axis=(1, 2), keepdims=True)


@dataclasses.dataclass(frozen=True)
class Background:
    """A painted background: colour (64, 64, 3), roughly in [0, 1]; its mean Colour; small shapes that stand on it; the
    paper (64, 64) it is painted on, noise that also shows through the object."""

    colour: np.ndarray
    ground: Colour
    paper: np.ndarray
    clutter: list


def background(dice):
    """Paint a background: two colours from top to bottom, perhaps a horizon, noise over both, perhaps clutter."""
    dark = dice.chance(0.28)
    lightness = dice.number(0.27, 0.46) if dark else dice.number(0.58, 0.93)
    top = Colour(lightness, dice.number(0.01, 0.085), dice.number(0, 360))
    shift = dice.number(-0.09, 0.09)
    bottom = Colour(lightness + shift, dice.number(0.01, 0.085), top.hue + dice.number(-70, 70))
    middle = Colour(lightness + shift / 2, (top.chroma + bottom.chroma) / 2, (top.hue + bottom.hue) / 2)
    upper, lower = to_rgb([top, bottom])
    colour = upper + _blend(dice)[..., None] * (lower - upper)  # (64, 64, 3)
    light, warm, cool, paper = noise(dice, 4, dice.number(1.0, 1.7))[..., None]
    colour = colour + light * dice.number(0.012, 0.06)
    colour = colour + warm * (dice.number(0.005, 0.045) * _WARM) + cool * (dice.number(0.005, 0.035) * _COOL)
    return Background(colour, middle, paper, _clutter(dice, middle))


def _blend(dice):
    """From top (0) to bottom (1): a slow change, or the fast one of a wavy horizon.  (64, 64)"""
    if not dice.chance(0.4):
        return np.broadcast_to(_ACROSS[:, None], (SIDE, SIDE))
    waves, phase = dice.whole(1, 3), dice.number(0, 2 * np.pi)
    height = dice.number(0.55, 0.85) + dice.number(0, 0.03) * np.sin(2 * np.pi * waves * _ACROSS + phase)
    return np.clip(0.5 + (_ACROSS[:, None] - height) * dice.number(8, 40), 0, 1)


def _clutter(dice, ground):
    """Return 0 to 4 small shapes of the background part, in pixels and close to the background in colour."""
    count = dice.whole(1, 4) if dice.chance(0.55) else 0
    kind = dice.choice((_disc, _pebble, _triangle, _tile, _twig, _star, _cloud, _crescent))
    colour = Colour(ground.lightness + dice.number(-0.1, 0.1), dice.number(0.0, 0.1), dice.number(0, 360))
    return [
        Shape(
            kind(dice, *(dice.field(2) * SIDE), dice.number(1.8, 5.5)), "background", apart(colour, ground, 0.07), False
        )
        for _ in range(count)
    ]


def _disc(dice, x, y, r):
    return shapes.ellipse(x, y, r)


def _pebble(dice, x, y, r):
    return shapes.ellipse(x, y, r, r * dice.number(0.4, 0.7), dice.number(0, 180))


def _triangle(dice, x, y, r):
    return shapes.rotated(shapes.polygon((x, y - r), (x + r, y + r), (x - r, y + r)), dice.number(0, 360), (x, y))


def _tile(dice, x, y, r):
    return shapes.rotated(shapes.box(x - r, y - r * 0.7, x + r, y + r * 0.7), dice.number(0, 180), (x, y))


def _twig(dice, x, y, r):
    bend = shapes.curve((x - 2 * r, y), (x, y + dice.number(-r, r)), (x + 2 * r, y))
    return shapes.rotated(shapes.stroke(bend, r * 0.45), dice.number(0, 180), (x, y))


def _star(dice, x, y, r):
    return shapes.star(x, y, r * 1.2, r * 0.5, dice.whole(4, 6), dice.number(0, 90))


def _cloud(dice, x, y, r):
    return shapes.cloud(x, y, r * 2, r, dice.whole(5, 7), 0.15)


def _crescent(dice, x, y, r):
    outer, inner = shapes.arc(x, y, r, r, 60, 300, 16), shapes.arc(x + r * 0.5, y, r, r, 300, 60, 16)
    return np.concatenate([outer, inner])


@dataclasses.dataclass(frozen=True)
class Light:
    """The light of one scene: gain of each colour (3,), direction it comes from (x, y, length 1), fall-off across the
    frame, how round the object looks, how dark its shadow is, strength of paper texture and of camera noise."""

    gain: np.ndarray
    direction: tuple
    falloff: float
    relief: float
    shadow: float
    texture: float
    grain: float


def light(dice):
    """Roll the light: usually from above, a little warm or cool, sometimes dim."""
    angle = np.radians(dice.number(-160, -20))
    return Light(
        gain=dice.number(0.82, 1.08) * (1 + (dice.field(3) - 0.5) * 0.12),
        direction=(float(np.cos(angle)), float(np.sin(angle))),
        falloff=dice.number(0.0, 0.16),
        relief=dice.number(0.12, 0.42),
        shadow=dice.number(0.0, 0.45),
        texture=dice.number(0.0, 0.04),
        grain=dice.number(0.003, 0.018),
    )
