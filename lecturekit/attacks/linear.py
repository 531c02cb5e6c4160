r"""Linearity: a linear network is misled by an eps that one can compute, and deep networks are nearly linear nearby.

For two logits that are linear in the pixels the margin $f = Z_y - Z_{other}$ falls fastest where every pixel goes
against its weight $w_i$, and the smallest ball with an adversarial picture in it has the radius

==========  ===================================  ====================================================================
ball        far from black and white             in the box
==========  ===================================  ====================================================================
``Linf``    $\epsilon = f / \lVert w \rVert_1$   $c$, where $\sum_i |w_i| \min(c, r_i) = f$
``L2``      $\epsilon = f / \lVert w \rVert_2$   $\lVert \min(c|w|, r) \rVert$; $\sum_i |w_i| \min(c|w_i|, r_i) = f$
==========  ===================================  ====================================================================

where $r_i$ is the room that pixel $i$ has before it is black or white.  Both entries on the right are one idea: all
pixels set out together, with speed 1 or $|w_i|$, and whoever meets the border of the box stays there.  `least_eps`
computes them; `search_eps` finds them again with an attack, which knows nothing of the formula.

Then the same question to any network: `along_gradient` follows the gradient and compares what the network says with
what the slope at the picture promised, and `effects` asks what other directions of the same length do.

The trap: $f / \lVert w \rVert_1$ alone is too small for drawings, by a percent or two: white paper has no room upwards.
Searched to 1e-4, the difference shows.

Source: Goodfellow et al. 2015, arXiv:1412.6572, sections 3 and 4, figure 4.
"""

import dataclasses
from typing import NamedTuple

import torch
from torch import nn

from lecturekit import measure
from lecturekit.attacks.gradient import EPS, pgd, slope
from lecturekit.attacks.guard import attacking, check_labels
from lecturekit.attacks.scores import margin, value_of
from lecturekit.attacks.threat import L2, Linf, into_box
from lecturekit.errors import InputError, ModelError
from lecturekit.pixels import check_pixels
from lecturekit.tables import Table

BENT = 0.2  # off by a fifth of what was promised: no longer linear


def linear_classifier(x, y, ridge=1.0):
    r"""Return the linear network that tells two classes apart, in closed form: regularised least squares.

    It makes $\sum (w \cdot x + b \mp 1)^2 + \lambda \lVert w \rVert^2$ smallest.  With N pictures of d values and N < d
    the system of N equations is solved, not that of d.

    Args:
        x: pictures (N, C, H, W) in [0, 1].
        y: their classes 0 and 1, (N,) int64; both must occur.
        ridge: lambda; larger is smoother.
    Returns: pixels (N, C, H, W) to logits (N, 2), in evaluation mode.
    Raises: InputError for other classes than 0 and 1, or a ridge that is not positive.
    """
    check_pixels(x, "x")
    check_labels(y, len(x), "labels")
    if (found := sorted(set(y.tolist()))) != [0, 1]:
        raise InputError(f"labels must be 0 and 1, and both must occur, but are {found}; pass e.g. (y == 3).long()")
    if not ridge > 0:
        raise InputError(f"ridge must be larger than 0 but is {ridge!r}; without it the equations may have no answer")
    rows, sides = x.flatten(1).double(), 2 * y.double() - 1
    centred = rows - rows.mean(0)
    gram = centred @ centred.T + ridge * torch.eye(len(x), dtype=torch.float64, device=x.device)
    w = centred.T @ torch.linalg.solve(gram, sides - sides.mean())  # (d,)
    b = sides.mean() - w @ rows.mean(0)
    layer = nn.Linear(len(w), 2).to(x)
    layer.weight.data = torch.stack([-w, w]).to(x) / 2  # Z_1 - Z_0 = w x + b
    layer.bias.data = torch.stack([-b, b]).to(x) / 2
    return nn.Sequential(nn.Flatten(), layer).eval()


def least_eps(model, x, y, norm=Linf, box=True):
    """Return the radius of the smallest ball in which a linear network of two classes is misled, in closed form.

    Args:
        model: pixels to logits (N, 2), linear in the pixels.
        x, y: pictures (N, C, H, W) in [0, 1] and their classes (N,).
        norm: `Linf` or `L2`, the class and not a ball.
        box: pictures must stay in [0, 1]; False allows what is blacker than black.
    Returns: (N,) float64; zero where the picture is misread as it is, infinite where no picture at all misleads.
    Raises: ModelError for a network that is not linear, or has more classes; InputError as for an attack.
    """
    check_norm(norm)
    with attacking(model, x, y):
        logits, grad = slope(model, x, margin, y, first=True)  # the attacker's margin: it rises along w
        check_linear(model, x, y, logits, grad)
    w, f = grad.flatten(1).double(), -margin(logits, y).double()  # f > 0: the picture is read rightly
    room = torch.where(w > 0, 1 - x.flatten(1), x.flatten(1)).double() if box else torch.full_like(w, torch.inf)
    speed = torch.ones_like(w) if norm is Linf else w.abs()
    time = arrival(w.abs() * speed, room / speed, f)
    ways = torch.minimum(time[:, None] * speed, room).nan_to_num(0)  # 0 * inf: a pixel without weight stays
    eps = torch.where(time.isinf() | (norm is Linf), time, ways.norm(dim=1))
    return torch.where(f <= 0, 0.0, eps)


def arrival(rates, ends, f):
    """Return when ``sum(rates * min(time, ends))`` reaches ``f``: rates and ends (N, d), f (N,) -> (N,).

    The sum is a curve of straight pieces that bend where a pixel arrives; the piece that crosses ``f`` is looked up.
    """
    ends, order = torch.where(rates > 0, ends, 0).sort(dim=1)  # a pixel without rate is there at once
    rates = rates.gather(1, order)
    still = rates.flip(1).cumsum(1).flip(1)  # (N, d): the rate until end i, of those that have not arrived before
    steps = torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1])).nan_to_num(torch.inf)  # inf - inf
    heights = (still * steps).cumsum(1)  # of the curve at each end
    piece = torch.searchsorted(heights, f[:, None].contiguous()).clamp(max=rates.shape[1] - 1)
    start = torch.where(piece > 0, heights.gather(1, (piece - 1).clamp(min=0)), 0)
    begun = torch.where(piece > 0, ends.gather(1, (piece - 1).clamp(min=0)), 0)
    time = (begun + (f[:, None] - start) / still.gather(1, piece))[:, 0]
    return torch.where(f > heights[:, -1] * (1 + 1e-12), torch.inf, time)


def search_eps(model, x, y, norm=Linf, *, attack=pgd, high=1.0, tolerance=1e-5):
    """Return the smallest radius at which an attack succeeds, found by halving, one picture after the other.

    What it finds can only be too large: an attack that fails proves nothing.  On a linear network it is exact.

    Args:
        model, x, y, norm: see `least_eps`; any network will do.
        attack: called as ``attack(model, x, y, ball=norm(eps))``.
        high: the radius to begin at.
        tolerance: of the radius.
    Returns: (N,) float64; infinite where even ``high`` does not suffice, zero where the picture is misread as it is.
    Raises: InputError for a tolerance or a radius that makes no sense, and as the attack does.
    """
    check_norm(norm)
    if not 0 < tolerance < high:
        raise InputError(f"tolerance must lie between 0 and high = {high!r} but is {tolerance!r}")
    singles = [(x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    return torch.tensor([halved(model, *one, norm, attack, high, tolerance) for one in singles], dtype=torch.float64)


def halved(model, x, y, norm, attack, high, tolerance):
    """Return the smallest successful radius for one picture (1, C, H, W), a float."""
    if bool(attack(model, x, y, ball=norm(0.0)).misled):
        return 0.0
    if not attack(model, x, y, ball=norm(high)).misled:
        return torch.inf
    low = 0.0
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (low, middle) if attack(model, x, y, ball=norm(middle)).misled else (middle, high)
    return high


@dataclasses.dataclass(frozen=True)
class Along:
    """What a network says along the gradient, and what its slope promised.

    Attributes:
        eps: the E radii, (E,).
        measured, predicted: the logit of the class over that of its rival, (N, E).
        start: the same at the picture, (N,).
    """

    eps: torch.Tensor
    measured: torch.Tensor
    predicted: torch.Tensor
    start: torch.Tensor

    def r2(self, upto=torch.inf):
        """Return the share of the margin's variation over eps that the slope at the picture predicts: (N,), at most 1.

        Nothing is fitted; a prediction worse than "always the mean" is below zero.  Only radii up to ``upto`` count.
        """
        near = self.eps <= upto * (1 + 1e-6)
        if near.sum() < 2:
            raise InputError(f"R2 needs two radii or more up to {upto:g}; the smallest is {self.eps[0].item():g}")
        measured, predicted = self.measured[:, near], self.predicted[:, near]
        spread = (measured - measured.mean(1, keepdim=True)).square().sum(1)
        return 1 - (measured - predicted).square().sum(1) / spread

    def linear_until(self, tolerance=BENT):
        """Return the largest eps up to which the change is the promised one within ``tolerance`` of it: (N,)."""
        promised = self.predicted - self.start[:, None]
        good = ((self.measured - self.predicted).abs() <= tolerance * promised.abs()).cummin(1).values
        return torch.where(good, self.eps, 0).amax(1)


def along_gradient(model, x, y, norm=Linf, *, reach=16 / 255, points=16):
    """Follow the gradient at each picture and compare the network with its own slope.

    What is followed is $Z_y - Z_c$ with the rival c fixed: the best other class at the picture.  A maximum over the
    classes would bend by itself.

    Args:
        model, x, y: pictures and classes, as for an attack.
        norm: `Linf` or `L2`.
        reach: the largest radius, in pixel units.
        points: radii, evenly from ``reach / points`` to ``reach``.
    Returns: `Along`.
    Raises: InputError, ModelError as for an attack; InputError for a reach or number of points that makes no sense.
    """
    check_norm(norm)
    if not (isinstance(points, int) and points >= 2):
        raise InputError(f"a line needs 2 points or more, got {points!r}")
    direction = norm(reach)  # the ball refuses a reach that makes no sense
    with attacking(model, x, y):
        logits, _ = slope(model, x, margin, y, first=True)
        rival = logits.scatter(1, y[:, None], -torch.inf).argmax(1)
        start, grad = slope(model, x, lambda z, y, c: value_of(z, y) - value_of(z, c), y, rival)
        start = value_of(start, y) - value_of(start, rival)
        measured, predicted = [], []
        for eps in (radii := torch.arange(1, points + 1, device=x.device) / points * reach):
            moved = into_box(x - eps * direction.steepest(grad))
            with torch.no_grad():
                z = model(moved)
            measured.append(value_of(z, y) - value_of(z, rival))
            predicted.append(start + ((moved - x) * grad).flatten(1).sum(1))  # the box is heeded in both
    return Along(radii, torch.stack(measured, 1), torch.stack(predicted, 1), start)


class Effect(NamedTuple):
    """What one kind of direction does.

    Attributes:
        direction: its name.
        change: of the margin Z_y - max of the others, mean over the pictures; negative hurts.
        misled: share of the pictures read rightly that no longer are.
    """

    direction: str
    change: measure.Interval
    misled: measure.Interval


def effects(model, x, y, ball=EPS, seed=0):
    """Compare directions of the same length: the gradient, that of another picture, towards another picture, random.

    Each is the steepest step of the ball: signs for `Linf`, a vector of length eps for `L2`.  "Another" is the next
    picture of the batch, so the batch must be mixed.

    Args:
        model, x, y: pictures, at least two, and their classes.
        ball: `Linf` or `L2`.
        seed: of the random directions.
    Returns: a `Table` of `Effect`, four rows.
    Raises: InputError, ModelError as for an attack; InputError for fewer than two pictures.
    """
    if len(x) < 2:
        raise InputError(f"another picture is needed to compare with, got {len(x)}; pass two or more")
    with attacking(model, x, y):
        logits, grad = slope(model, x, margin, y, first=True)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
        ways = {
            "the gradient": grad,
            "another picture's gradient": grad.roll(1, 0),
            "towards another picture": x.roll(1, 0) - x,
            "random": noise,
        }
        right, rows = logits.argmax(1) == y, []
        for name, way in ways.items():
            with torch.no_grad():
                after = model(into_box(x + ball.eps * ball.steepest(way)))
            change = measure.bootstrap(margin(logits, y) - margin(after, y))
            lost = int((right & (after.argmax(1) != y)).sum())
            rows.append(Effect(name, change, measure.proportion(lost, int(right.sum()))))
    return Table(rows, Effect._fields)


def check_linear(model, x, y, logits, grad):
    """Refuse a network that has more than two classes, or that the slope at one point does not describe at another."""
    if logits.shape[1] != 2:
        raise ModelError(f"the closed form is one for two classes and the network has {logits.shape[1]}")
    there = x.flip(-1) * 0.9  # any other picture
    with torch.no_grad():
        said = margin(model(there), y)
    promised = margin(logits, y) + ((there - x) * grad).flatten(1).sum(1)
    scale = (grad.abs() * (there - x).abs()).flatten(1).sum(1) + margin(logits, y).abs()
    if ((said - promised).abs() > 1e-4 * scale).any():
        raise ModelError("the network is not linear in its pixels, so there is no closed form; ask search_eps")


def check_norm(norm):
    """Refuse anything but the two classes of balls."""
    if norm not in (Linf, L2):
        raise InputError(f"norm must be Linf or L2, the class itself without a radius, got {norm!r}")
