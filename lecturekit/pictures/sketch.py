"""From outlines to pixels: a sketch collects shapes, finds its place in the frame, and is painted once.

Painting colours and part mask separately would let them drift apart.  So only one canvas is painted, with the *number*
of the shape on top at each point; two tables then turn numbers into colours and into parts.  The picture is that canvas
averaged over 4x4 points (smooth edges), the mask is its nearest sample (a part is a part, never half of two).
"""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from lecturekit.pictures.colours import Colour, to_rgb

SIDE = 64  # pixels of a picture
FINE = 4  # points per pixel, along each side

PARTS = (
    *("background", "eye", "ear", "mouth", "nose", "hair", "skin", "brow", "glasses", "whisker", "body", "tail", "fin"),
    *("wheel", "rim", "window", "door", "lamp", "wall", "roof", "chimney", "crown", "trunk", "leaf", "fruit", "stem"),
    *("petal", "center", "pot", "hull", "sail", "mast", "flag", "wave", "dial", "mark", "hand", "bell", "flame"),
)  # the index is the value in the mask
NUMBER = {name: index for index, name in enumerate(PARTS)}


class Shape(NamedTuple):
    """One painted area: points (N, 2), the part it belongs to, its Colour, and whether it gets an outline."""

    points: np.ndarray
    part: str
    colour: Colour
    line: bool = True


class Sketch:
    """Shapes in the order of painting; a later shape covers an earlier one."""

    def __init__(self):
        self.shapes = []

    def add(self, part, points, colour, line=True):
        """Paint an area; ``line=False`` for small details, which an outline would swallow."""
        self.shapes.append(Shape(points, part, colour, line))

    def first_colours(self):
        """Return the Colour each part was first painted in, as {part: Colour}: the rest are shades and details."""
        return {shape.part: shape.colour for shape in reversed(self.shapes)}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a sketch stands: centre (x, y) as fractions of the frame, size as the fraction that its longer side fills,
    tilt in degrees clockwise, mirror left to right, stretch of width against height."""

    centre: tuple
    size: float
    tilt: float
    mirror: bool
    stretch: float

    def put(self, shapes):
        """Return the shapes in pixels of the frame; their common box gets the promised size and centre."""
        ends = itertools.accumulate(len(shape.points) for shape in shapes)
        c, s = np.cos(np.radians(self.tilt)), np.sin(np.radians(self.tilt))
        widen = np.diag([(-1 if self.mirror else 1) * self.stretch, 1 / self.stretch])
        points = np.concatenate([shape.points for shape in shapes]) @ widen @ np.array([[c, s], [-s, c]])
        low, high = points.min(axis=0), points.max(axis=0)
        scale = self.size * SIDE / (high - low).max()
        points = (points - (low + high) / 2) * scale + np.array(self.centre) * SIDE
        return [
            Shape(points[end - len(shape.points) : end], *shape[1:]) for shape, end in zip(shapes, ends, strict=True)
        ]


def paint(shapes, ink):
    """Paint shapes that stand in pixels of the frame.

    Args:
        shapes: at most 127 of them.
        ink: a function from a shape's Colour to the Colour of its outline, or None for no outlines.
    Returns: colour (64, 64, 3) in [0, 1], already multiplied by coverage; coverage (64, 64, 1) of all shapes and
        solid (64, 64, 1) of those that are parts, in [0, 1]; parts (64, 64) uint8.
    """
    canvas = Image.new("L", (SIDE * FINE, SIDE * FINE))
    pen = ImageDraw.Draw(canvas)
    colours, parts = [(0.0, 0.0, 0.0)], [0]
    for shape in shapes:
        colours += [shape.colour, ink(shape.colour) if ink else shape.colour]
        parts += [NUMBER[shape.part]] * 2
        outline = (shape.points * FINE).ravel().tolist()
        pen.polygon(outline, fill=len(parts) - 2)
        if ink and shape.line:
            pen.line(outline + outline[:4], fill=len(parts) - 1, width=FINE - 1)
    return _develop(canvas, colours, np.array(parts, dtype=np.uint8))


def _develop(canvas, colours, parts):
    """Turn the canvas of shape numbers (256, 256) into the four arrays of `paint`."""
    coverage, solid = (_share(canvas, table) for table in (np.arange(len(parts)) > 0, parts > 0))
    middle = FINE // 2
    mask = parts[np.asarray(canvas)[middle::FINE, middle::FINE]]
    rgb = np.round(to_rgb(colours) * 255).astype(np.uint8)
    canvas.putpalette(rgb.tobytes())  # number -> colour, in C
    colour = np.asarray(canvas.convert("RGB").reduce(FINE), dtype=np.float32) / 255
    return colour, coverage, solid, mask


def _share(canvas, table):
    """Return the share of each pixel (64, 64, 1) whose shape number is True in ``table``."""
    white = [255 * bool(entry) for entry in table] + [0] * (256 - len(table))
    return np.asarray(canvas.point(white).reduce(FINE), dtype=np.float32)[..., None] / 255
