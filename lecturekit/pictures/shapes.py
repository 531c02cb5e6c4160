"""Outlines: every shape of the picture book is a polygon, an array (N, 2) of points (x, y).

Ellipses, curves and pen strokes are polygons too, with points close enough to look round.  That costs nothing, and one
matrix then tilts, mirrors, stretches and places a whole drawing.  Units are the artist's: about -1 ... 1, **y down**.
"""

import functools

import numpy as np


@functools.cache
def _circle(count):
    angles = np.arange(count) * (2 * np.pi / count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@functools.cache
def _steps(count):
    """0 ... 1 as a column (count, 1)."""
    return np.linspace(0, 1, count)[:, None]


def rotated(points, degrees, about=(0.0, 0.0)):
    """Turn points clockwise (y points down) by ``degrees`` around ``about``."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (points - np.array(about)) @ np.array([[c, s], [-s, c]]) + np.array(about)


def ellipse(x, y, rx, ry=None, turn=0.0, count=28):
    """Return an ellipse around (x, y) with radii ``rx``, ``ry`` (a circle if ``ry`` is None), turned by degrees."""
    points = _circle(count) * (rx, rx if ry is None else ry) + (x, y)
    return rotated(points, turn, (x, y)) if turn else points


def box(x0, y0, x1, y1, corner=0.0):
    """Return a rectangle; ``corner`` is the radius of its rounded corners."""
    if not corner:
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=float)
    r = min(corner, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    quarter = _circle(20)[:6] * r  # right-down quarter of a circle, six points
    points = [(x1 - r, y1 - r) + quarter, (x0 + r, y1 - r) + quarter[::-1] * (-1, 1)]
    points += [(x0 + r, y0 + r) - quarter, (x1 - r, y0 + r) + quarter[::-1] * (1, -1)]
    return np.concatenate(points)


def polygon(*points):
    """Return the polygon through the given (x, y) pairs."""
    return np.array(points, dtype=float)


def arc(x, y, rx, ry, start, end, count=12):
    """Return points on an ellipse from ``start`` to ``end`` degrees (0 is right, 90 is down): a line, not an area."""
    angles = np.radians(start + (end - start) * _steps(count))
    return np.concatenate([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def curve(*points, count=12):
    """Return ``count`` points of the Bezier curve with these control points (de Casteljau, all t at once)."""
    t = _steps(count)
    level = [np.array(point, dtype=float) for point in points]
    while len(level) > 1:
        level = [a + t * (b - a) for a, b in zip(level, level[1:], strict=False)]
    return level[0]


def stroke(line, width, tip=None):
    """Return the area that a pen of this width covers along ``line``; ``tip`` is the width at the far end."""
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    along /= np.maximum(np.sqrt((along**2).sum(axis=1, keepdims=True)), 1e-9)
    half = (width + ((width if tip is None else tip) - width) * _steps(len(line))) / 2
    across = along[:, ::-1] * np.concatenate([-half, half], axis=1)
    return np.concatenate([line + across, (line - across)[::-1]])


def cloud(x, y, rx, ry, bumps, depth=0.12, phase=0.0):
    """Return an ellipse with round bumps along its rim: foliage, curls, smoke."""
    angles = np.arange(8 * bumps) * (2 * np.pi / (8 * bumps))
    radius = 1 - depth + 2 * depth * np.abs(np.sin(bumps * angles / 2 + phase))
    return np.stack([x + rx * radius * np.cos(angles), y + ry * radius * np.sin(angles)], axis=1)


def star(x, y, outer, inner, points, turn=0.0):
    """Return a star with this many points; its rays reach ``outer``, its notches ``inner``."""
    ring = _circle(2 * points).copy()
    ring[0::2] *= outer
    ring[1::2] *= inner
    return rotated(ring, turn) + (x, y)


def leaf(x, y, length, width, turn, point=1.0):
    """Return a leaf or petal that starts at (x, y) and grows in direction ``turn`` (degrees, 0 is right).

    ``point``: 1 pointed at both ends, towards 0 rounder and widest near its tip.
    """
    t = np.linspace(0, 1, 11)
    half = width / 2 * np.sin(np.pi * t ** (0.55 + 0.6 * (1 - point))) ** (0.5 + 0.5 * point)
    outline = np.concatenate([np.stack([length * t, half], 1), np.stack([length * t, -half], 1)[::-1]])
    return rotated(outline, turn) + (x, y)
