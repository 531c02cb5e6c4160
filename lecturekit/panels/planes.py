"""A plane through a picture, asked point by point: coarse first, then what lies between, and the first point beyond.

::

    o . o . o      o  the coarse grid is known: nothing is asked twice
    . . . . .      .  asked next
    o . o . o
"""

from typing import NamedTuple

import torch

from lecturekit.attacks import Linf, levels, slices
from lecturekit.panels.source import Chosen
from lecturekit.progress import Step, stopped

SIZES = (9, 17, 33, 65)  # points a side; each grid is every other line of the next
AROUND = 1 / 6  # how far the way to another picture goes on beyond its ends: both ends lie on the coarsest grid
TURNS = 72  # directions of an outline; every fifth degree, so that the corners of a diamond are among them


class Beyond(NamedTuple):
    """The first picture beyond the border, brought back into the box and shown to the network once more.

    Attributes:
        place: how far along the first axis it lies.
        x: pixels (1, 3, H, W) in [0, 1].
        said, share: the class that the network names, and how sure it is, in [0, 1].
    """

    place: float
    x: torch.Tensor
    said: int
    share: float


class Sliced(NamedTuple):
    """What the panel shows.

    Attributes:
        chosen, other: the picture, and the one that the plane goes through as well, or None.
        plane: an `attacks.slices.Slice` of this one picture; its axes are in pixel units, or in ways to the other one.
        y: the class that counts as the true one.
        names: of the classes.
        known: the true class is known; otherwise it is what the network says of the picture.
        beyond: the first point of the axis at which the picture is misread, or None.
        complete: False if it was stopped; the plane is then coarser than was asked for.
    """

    chosen: Chosen
    other: Chosen | None
    plane: slices.Slice
    y: int
    names: tuple
    known: bool
    beyond: Beyond | None
    complete: bool


def ways(model, x, y, other, settings):
    """Return the two ways (1, C, H, W) that span the plane, and where each axis begins and ends.

    Raises: InputError if the other picture is the same one.
    """
    if other is not None:
        found = slices.through_pictures(model, x, y, other.x, steps=2, seed=settings["seed"])
        return found.u, found.v, (-AROUND, 1 + AROUND), (-4 * AROUND, 4 * AROUND)
    span = Linf(levels(settings["extent"]))
    found = slices.through_gradient(model, x, y, ball=span, steps=2, seed=settings["seed"])
    return found.u, found.v, (-span.eps, span.eps), (-span.eps, span.eps)


def refined(model, x, y, spanned, points, watch, cut):
    """Return what ``cut`` makes of the finest plane that there is time for.

    No point is asked for twice: each grid takes over what the coarser one knows.

    Args:
        model, x, y: see `slices.plane`.
        spanned: what `ways` returns.
        points: a side, one of `SIZES`.
        watch: see `lecturekit.progress`; what was cut is the picture of its steps.
        cut: a plane, and whether it is as fine as was asked for, to what is shown.
    """
    (u, v, across, up), known, result, done = spanned, None, None, 0
    for size in (size for size in SIZES if size <= points):
        a, b = (torch.linspace(*ends, size, device=x.device) for ends in (across, up))
        maps = {name: x.new_zeros(1, size, size) for name in ("classes", "margin", "inside")}
        for name, values in maps.items() if known else ():
            values[:, ::2, ::2] = getattr(known, name)
        for row in range(size):
            new = slice(1, None, 2) if known and row % 2 == 0 else slice(None)  # every other one is known already
            found = slices.plane(model, x, y, u, v, a[new], b[row : row + 1])
            for name, values in maps.items():
                values[:, row, new] = getattr(found, name)[:, 0].to(values)
            done += found.margin.numel()
            shown = result if row == 0 else None  # painted once, not at every tick
            if stopped(watch, Step(done, points**2, picture=shown)) and result and done < points**2:
                return result
        known = slices.Slice(a, b, u, v, maps["classes"].long(), maps["margin"], maps["inside"])
        result = cut(known, size == points)
    return result


def beyond(model, x, plane):
    """Return the first picture beyond the border along the first axis, as `Beyond`; None if there is no border."""
    place = plane.border().item()
    if place == float("inf"):
        return None
    there = (x + place * plane.u).clamp(0, 1)
    with torch.no_grad():
        share, said = model(there).softmax(1)[0].max(0)
    return Beyond(place, there, said.item(), share.item())


def ball(plane, eps):
    """Return the outline of all points of a plane within ``eps`` of the picture (pixel units, L∞): (a, b) pairs.

    On the way into one direction of the plane the value that changes most is the first to reach eps.
    """
    turns = torch.linspace(0, 2 * torch.pi, TURNS + 1)
    u, v = (way[0].flatten().cpu() for way in (plane.u, plane.v))
    largest = torch.stack([(a * u + b * v).abs().max() for a, b in zip(turns.cos(), turns.sin(), strict=True)])
    reach = eps / largest.clamp(min=1e-9)
    return list(zip((reach * turns.cos()).tolist(), (reach * turns.sin()).tolist(), strict=True))
