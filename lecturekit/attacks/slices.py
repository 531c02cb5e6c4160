r"""Decision regions: two directions out of twelve thousand, and the class that the network names at every point.

::

      b                                  margin > 0: right
      |  . . . . . # # #                 the border runs where it is 0
      |  . . . . # # # #
      +--x0. . # # # # #---- a           a: along the gradient   b: in a random direction
         . . . . # # # #

`through_gradient` shows how near the border is on the one axis and how far on the other; `through_pictures` goes from
one picture to another and shows what lies between.  Both return plain arrays, ready to be drawn.

The trap: a plane is flat and the box is not.  Points outside [0, 1] are no pictures; the network answers all the same.
``inside`` tells how much of each point is a picture, and a claim should rest on points where it is 1 or nearly so.

Source: Goodfellow et al. 2015, arXiv:1412.6572, figure 4 ("church window plots", Warde-Farley & Goodfellow 2016).
"""

import dataclasses

import torch

from lecturekit.attacks.gradient import slope
from lecturekit.attacks.guard import attacking, check_labels, check_steps
from lecturekit.attacks.scores import margin
from lecturekit.attacks.threat import Linf, over
from lecturekit.errors import InputError
from lecturekit.pixels import check_pixels

REACH = Linf(16 / 255)


@dataclasses.dataclass(frozen=True)
class Slice:
    """What a network says on a plane through each of N pictures: x0 + a u + b v.

    Attributes:
        a, b: the places on the two axes, (S,) each, in units of u and v.
        u, v: what one step means, (N, C, H, W) each.
        classes: the class at (b, a), (N, S, S): rows are b, columns a, as pictures are drawn.
        margin: of the true class over the best other, (N, S, S); 0 at the border, positive where it is right.
        inside: share of a point's values that lie in [0, 1], (N, S, S).
    """

    a: torch.Tensor
    b: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor
    classes: torch.Tensor
    margin: torch.Tensor
    inside: torch.Tensor

    def border(self):
        """Return the smallest step along +a at which the picture on the axis b = 0 is misread: (N,), inf for none."""
        row = self.margin[:, (self.b.abs()).argmin()]  # (N, S)
        crossed = (row <= 0) & (self.a >= 0)
        return torch.where(crossed, self.a, torch.inf).amin(1)


def through_gradient(model, x, y, *, ball=REACH, steps=41, seed=0, batch=250):
    """Look at the plane of the gradient and a random direction of the same length.

    Args:
        model, x, y: as for an attack.
        ball: how far the axes reach: from -eps to eps, in signs for `Linf`, in lengths for `L2`.
        steps: points on each axis; an odd number has the picture itself in the middle.
        seed: of the random direction.
        batch: points in one forward pass.
    Returns: `Slice` with a and b in pixel units.
    Raises: InputError, ModelError as for an attack.
    """
    check_steps(steps)
    with attacking(model, x, y):
        _, grad = slope(model, x, margin, y, first=True)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
        noise = noise - projection(noise, grad)  # in twelve thousand dimensions nearly nothing
        axis = torch.linspace(-ball.eps, ball.eps, steps, device=x.device)
        return plane(model, x, y, ball.steepest(grad), ball.steepest(noise), axis, axis, batch)


def through_pictures(model, x, y, other, *, third=None, steps=41, margin_around=0.25, seed=0, batch=250):
    """Look at the plane through two pictures and a third, or a random direction that is as far away.

    Args:
        model, x, y: as for an attack.
        other: the picture at a = 1, for each one of x, (N, C, H, W).
        third: the picture at b = 1; if None, a random direction as long as the way to ``other`` and across it.
        steps: points on each axis.
        margin_around: how far the axes go beyond 0 and 1.
        seed, batch: see `through_gradient`.
    Returns: `Slice` with a = 0 at x and a = 1 at ``other``.
    Raises: InputError for pictures of other shapes, or where the two pictures are the same.
    """
    check_steps(steps)
    for name, pictures in (("other", other), ("third", third)):
        if pictures is not None and check_pixels(pictures, name).shape != x.shape:
            raise InputError(f"{name} must have the shape of x, {tuple(x.shape)}, but has {tuple(pictures.shape)}")
    u = other - x
    if not u.flatten(1).any(1).all():
        raise InputError("other is the same picture as x: there is no way from one to the other")
    if third is None:
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
        noise = noise - projection(noise, u)
        v = noise * (lengths(u) / over(lengths(noise)))
    else:
        v = third - x
    with attacking(model, x, y):
        axis = torch.linspace(-margin_around, 1 + margin_around, steps, device=x.device)
        return plane(model, x, y, u, v, axis, axis, batch)


def plane(model, x, y, u, v, a, b, batch=250):
    """Ask the network at every point x + a u + b v, all pictures and points in common batches.

    Args:
        model: pixels to logits (N, K).
        x, u, v: (N, C, H, W).
        y: (N,).
        a, b: places on the axes, (A,) and (B,).
        batch: points in one forward pass; no more of them are held at a time.
    Returns: `Slice` with maps (N, B, A).
    """
    check_labels(y, len(x), "labels")
    count, shape = len(a) * len(b), (len(x), len(b), len(a))
    classes, margins, inside = [], [], []
    for points in torch.arange(len(x) * count, device=x.device).split(batch):
        n, at_b, at_a = points // count, points % count // len(a), points % len(a)
        there = x[n] + column(a[at_a]) * u[n] + column(b[at_b]) * v[n]
        with torch.no_grad():
            z = model(there)
        classes.append(z.argmax(1))
        margins.append(-margin(z, y[n]))
        inside.append(((there >= 0) & (there <= 1)).flatten(1).float().mean(1))
    maps = (torch.cat(values).view(shape) for values in (classes, margins, inside))
    return Slice(a, b, u, v, *maps)


def projection(noise, direction):
    """Return the part of each noise that points along a direction (N, C, H, W)."""
    unit = direction / over(lengths(direction))
    return (noise * unit).sum(dim=(1, 2, 3), keepdim=True) * unit


def lengths(vectors):
    """Return Euclidean lengths, shaped (N, 1, 1, 1)."""
    return vectors.flatten(1).norm(dim=1)[:, None, None, None]


def column(values):
    """Return N numbers shaped (N, 1, 1, 1)."""
    return values[:, None, None, None]
