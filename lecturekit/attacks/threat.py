r"""What the attacker may do: a ball around the clean picture, and the box of all pictures.

================  ==================================================================  ==============================
ball              what it allows                                                      steepest step of length 1
================  ==================================================================  ==============================
``Linf(eps)``     every colour value of every pixel moves by at most ``eps``          $\mathrm{sign}(g)$
``L2(eps)``       $\lVert x - x_0\rVert_2 \le \epsilon$ over all values of a picture  $g / \lVert g\rVert_2$
================  ==================================================================  ==============================

The ball and the box are two sets and two functions.  First into the ball, then into the box: with a clean picture in
the box the clamp only shrinks each change, so the result lies in both.

The trap: ``eps`` is in pixel units.  Given to a picture that was normalised first, 8/255 is only 2/255 of what is seen.

Source: Madry et al. 2018, arXiv:1706.06083, section 2.1.
"""

import dataclasses
import math

import torch

from lecturekit.errors import InputError

ROUNDING = 1e-6  # float32 leaves the ball by 2e-9 at 8/255; nobody sees it, and a strict comparison would


def levels(count):
    """Return so many of the 255 steps between black and white as pixel units: ``levels(8)`` is 8/255."""
    return count / 255


@dataclasses.dataclass(frozen=True)
class Ball:
    """All pictures near a clean one; `Linf` and `L2` say what near means.

    Attributes:
        eps: the radius in pixel units, finite and >= 0; what may be too large depends on the norm.
    """

    eps: float

    def __post_init__(self):
        if not (isinstance(self.eps, int | float) and math.isfinite(self.eps) and self.eps >= 0):
            raise InputError(f"eps must be a number >= 0 in pixel units but is {self.eps!r}, e.g. 8/255")


class Linf(Ball):
    """The cube around a picture: each value may move by ``eps`` at most."""

    name = "L∞"

    def __post_init__(self):
        super().__post_init__()
        if self.eps > 1:
            raise InputError(f"eps is in pixel units, from 0 to 1, but is {self.eps:g}; did you mean {self.eps:g}/255?")

    def __str__(self):
        return f"L∞ ≤ {255 * self.eps:.3g}/255"

    def project(self, x, x0):
        """Return the point of the ball around ``x0`` that is nearest to ``x``."""
        return torch.maximum(torch.minimum(x, x0 + self.eps), x0 - self.eps)

    @staticmethod
    def steepest(grad):
        """Return the step of length 1 along which a linear function grows most."""
        return grad.sign()

    def start(self, x0, generator):
        """Return random points, uniform in the ball around each picture of ``x0`` (the box is not heeded)."""
        return x0 + self.eps * (2 * torch.rand(x0.shape, generator=generator) - 1).to(x0)

    @staticmethod
    def size(delta):
        """Return the norm of each of N changes."""
        return delta.flatten(1).abs().amax(1)


class L2(Ball):
    """The Euclidean ball around a picture, over all its values together."""

    name = "L2"

    def __str__(self):
        return f"L2 ≤ {self.eps:.3g}"

    def project(self, x, x0):
        """Return the point of the ball around ``x0`` that is nearest to ``x``."""
        delta = x - x0
        shrink = (self.eps / over(self.size(delta))).clamp_max(1)  # only ever shorter: what is inside stays
        return x0 + shrink[:, None, None, None] * delta

    @staticmethod
    def steepest(grad):
        """Return the step of length 1 along which a linear function grows most; nowhere if the gradient is zero."""
        return grad / over(L2.size(grad))[:, None, None, None]

    def start(self, x0, generator):
        """Return random points, uniform in the ball: a Gaussian direction, a radius of ``eps * u ** (1 / values)``.

        Other libraries draw the radius evenly, or always take the border: other attacks under the same name.
        """
        direction = self.steepest(torch.randn(x0.shape, generator=generator))
        u = torch.rand(len(x0), 1, 1, 1, generator=generator)
        return x0 + (self.eps * u ** (1 / max(1, x0[:1].numel())) * direction).to(x0)

    @staticmethod
    def size(delta):
        """Return the norm of each of N changes."""
        return delta.flatten(1).norm(dim=1)


def over(lengths):
    """Return lengths one may divide by: what is shorter than any float would tell apart from zero becomes 1."""
    return torch.where(lengths > torch.finfo(lengths.dtype).tiny, lengths, torch.ones_like(lengths))


def into_box(x):
    """Return the nearest picture: every value in [0, 1]."""
    return x.clamp(0, 1)


def inside(x, x0, ball):
    """Return ``x`` brought back into the ball around ``x0``, then into the box."""
    return into_box(ball.project(x, x0))
