r"""The attack of Carlini and Wagner: pay for distance and for being right, and find the price at which one just falls.

DeepFool follows straight lines to a border that is bent.  This attack minimises, for each picture,

.. math::
    \lVert x' - x\rVert_2^2 + c \, \max(\kappa - \mathrm{margin}(x'), 0), \qquad x' = \tfrac{1}{2} (\tanh w + 1)

=========  =====================================================================================================
$w$        any number is a pixel in (0, 1): no clamp, so no wall at which the gradient ends
margin     of the wrong class over the true one, or of the target over all others, see `scores.margin`
$\kappa$   ``kappa``: how clearly the picture must be misled
$c$        the price of being right; nine times anew: success halves the way down, failure goes up tenfold
=========  =====================================================================================================

::

    c = 0.001 -> fails     0.01 -> fails     0.1 -> misled     0.055 -> misled     0.0325 -> fails     0.04375 ...

Two traps, both found in a library in wide use.  A black or white pixel has $w = \pm\infty$ and no gradient: it could
never move, so pixels are drawn 1e-6 of the way towards grey first.  And the best other class must be found by masking
the true one with minus infinity: multiplied by zero instead, it wins whenever all logits are negative.

Source: Carlini & Wagner 2017, arXiv:1608.04644, sections V and VI; constants as in their program.
"""

import dataclasses
import math

import torch

from lecturekit.attacks.gradient import all_kept, chosen, interruptible, kept, slope
from lecturekit.attacks.guard import attacking, check_steps, checked_logits
from lecturekit.attacks.result import judge
from lecturekit.attacks.scores import margin, reached
from lecturekit.errors import InputError
from lecturekit.progress import Step, stopped

TOWARDS_GREY = 0.999999  # arctanh(1) is infinite
BETA1, BETA2, TINY = 0.9, 0.999, 1e-8  # of Adam, Kingma & Ba 2015, arXiv:1412.6980
ENOUGH = 0.9999  # a loss that is larger than this share of what it was a tenth of the steps ago stands still
CLEAR = 1e-5  # of the largest logit: so much of a margin may be rounding


def carlini_wagner(
    model, x, y, *, steps=1000, searches=9, price=1e-3, kappa=0.0, lr=0.01, target=None, watch=None
):  # fmt: skip
    """Look for the smallest Euclidean change that misleads the network, by a search over the price of being right.

    Args:
        model, x, y, target: see `gradient.fgsm`; pictures that are misled already come back as they are.
        steps: of Adam in one search, at most; the paper takes 10,000.  A picture whose loss stops falling leaves it.
        searches: prices that are tried for each picture.
        price: the first of them, the paper's c.
        kappa: the margin that the misled picture must have.
        lr: of Adam, in units of w.
        watch: see `lecturekit.progress`; told after each step.
    Returns: `Adversarial` without a ball; a picture for which nothing was found comes back unchanged.  A step counts as
        a query where the picture was misled and only looked at, as a gradient elsewhere.
    Raises: InputError, ModelError: see `guard`; InputError for numbers that make no sense.
    """
    check_prices(steps, searches, price, kappa, lr)
    with attacking(model, x, y, target):
        found, counts = bargain(model, x.detach(), y, target, steps, searches, price, kappa, lr, watch)
        return judge(model, x, found, y, target, attack="Carlini-Wagner", **counts)


@dataclasses.dataclass
class Deal:
    """The search over prices for all N pictures: what is known of each, and the best picture so far."""

    price: torch.Tensor  # (N,)
    low: torch.Tensor  # (N,) the largest price known to be too low
    high: torch.Tensor  # (N,) the smallest price known to be enough; infinite at first
    least: torch.Tensor  # (N,) the smallest squared distance of a misled picture
    best: torch.Tensor  # (N, C, H, W) and that picture
    fell: torch.Tensor  # (N,) bool: was misled at the price of now
    gradients: torch.Tensor  # (N,) what it cost, see `Adversarial`
    queries: torch.Tensor
    flat: torch.Tensor

    @classmethod
    def beginning(cls, x, price):
        """Return what is known before the first search: nothing."""
        none = x.new_zeros(len(x))
        counts = (torch.zeros(len(x), dtype=torch.long, device=x.device) for _ in range(3))
        return cls(none + price, none, none + torch.inf, none + torch.inf, x.clone(), none.bool(), *counts)

    def meet(self, model, walk, y, target, kappa):
        """Look at the pictures of a walk, keep the best, mark those that fell; return the slope of the loss in w."""
        rows, x = walk.rows, (torch.tanh(walk.w) + 1) / 2
        value, up, due = asked(model, x, y[rows], chosen(target, rows), kappa, walk.owes)
        self.queries[rows[~walk.owes]] += 1
        self.gradients[rows[due]] += 1
        self.flat[rows[due]] += (up[due] == 0).flatten(1).all(1).long()
        walk.owes, distance = value < kappa, (x - walk.x).flatten(1).square().sum(1)
        self.fell[rows[~walk.owes]] = True
        wins = ~walk.owes & (distance < self.least[rows])
        self.least[rows[wins]], self.best[rows[wins]] = distance[wins], x[wins]
        walk.loss = distance + self.price[rows] * (kappa - value).clamp_min(0)
        walk.lowest = torch.minimum(walk.lowest, walk.loss)
        price = torch.where(walk.owes, self.price[rows], 0)[:, None, None, None]
        return 2 * x * (1 - x) * (2 * (x - walk.x) - price * up)  # dx / dw = (1 - tanh^2) / 2 = 2 x (1 - x)

    def next_price(self):
        """Set the next price of each picture, cheaper for those that fell, dearer for the others."""
        fell, self.fell = self.fell, torch.zeros_like(self.fell)
        self.high = torch.where(fell, torch.minimum(self.high, self.price), self.high)
        self.low = torch.where(fell, self.low, torch.maximum(self.low, self.price))
        between = (self.low + self.high) / 2
        self.price = torch.where(self.high.isinf(), 10 * self.price, between)


@dataclasses.dataclass
class Walk:
    """The n pictures that still move in one search, with the memory of Adam."""

    rows: torch.Tensor  # (n,) which pictures these are
    x: torch.Tensor  # (n, C, H, W) clean
    w: torch.Tensor  # (n, C, H, W) the pixels without walls
    m: torch.Tensor  # running mean of gradients
    v: torch.Tensor  # and of their squares
    loss: torch.Tensor  # (n,) where the picture is now
    lowest: torch.Tensor  # (n,) the smallest loss so far
    before: torch.Tensor  # (n, 2) both of them a tenth of the steps ago
    owes: torch.Tensor  # (n,) bool: was not misled clearly enough, one step ago

    @classmethod
    def beginning(cls, rows, x):
        """Return a walk that begins at the clean pictures, drawn a millionth towards grey."""
        w = torch.atanh(TOWARDS_GREY * (2 * x - 1))
        far, all_of_them = x.new_full((len(x), 2), torch.inf), torch.ones_like(rows, dtype=torch.bool)
        return cls(rows, x, w, torch.zeros_like(w), torch.zeros_like(w), *far.unbind(1), far, all_of_them)

    def move(self, grad, lr, step):
        """Go one step of Adam; ``step`` counts from 1."""
        self.m = self.m.lerp(grad, 1 - BETA1)
        self.v = torch.addcmul(BETA2 * self.v, grad, grad, value=1 - BETA2)
        length = lr / (1 - BETA1**step) * (1 - BETA2**step) ** 0.5  # both means are too small at the beginning
        self.w = torch.addcdiv(self.w, self.m, self.v.sqrt() + TINY * (1 - BETA2**step) ** 0.5, value=-length)

    def falling(self):
        """Return the walk without the pictures that stand still: since the last call, neither number has fallen.

        Two numbers, because at the border the loss goes up and down from step to step while the lowest falls, and a
        picture that went too far at first comes back with a loss that falls for long before it is the lowest again.
        """
        now = torch.stack([self.loss, self.lowest], 1)
        on = (now <= ENOUGH * self.before).any(1)
        self.before = now
        return self if on.all() else all_kept(self, on)


def bargain(model, x, y, target, steps, searches, price, kappa, lr, watch):
    """Return pictures (N, C, H, W) and what `Adversarial` counts."""
    deal, complete, standing = Deal.beginning(x, price), True, still_to_fall(model, x, y, target, kappa)
    with interruptible() as interrupted:
        for step in range(steps * searches if len(standing) else 0):
            search, now = divmod(step, steps)
            if now == 0:
                walk = Walk.beginning(standing, kept(x, standing))
            if len(walk.rows):
                walk.move(deal.meet(model, walk, y, target, kappa), lr, now + 1)
                if now % max(steps // 10, 1) == 0:
                    walk = walk.falling()
                note = f"price {search + 1} of {searches}, {int(deal.least.isfinite().sum())} of {len(x)} misled"
                if stopped(watch, Step(step + 1, searches * steps, picture=deal.best, note=note)):
                    complete = False
                    break
            if now == steps - 1:
                deal.next_price()
    counts = {"gradients": deal.gradients, "queries": deal.queries, "flat": deal.flat}
    return deal.best, counts | {"complete": complete and not interrupted}


def asked(model, x, y, target, kappa, owes):
    """Return the margins (n,), their gradients where a margin is below ``kappa``, and who was differentiated (n,) bool.

    A picture that is misled follows distance alone, and most stay on their side of the border from step to step.  So
    those that were misled one step ago are only looked at, and differentiated if they turn out to have come back.
    """
    value, up = x.new_full((len(x),), -torch.inf), torch.zeros_like(x)
    if not owes.all():
        with torch.no_grad():
            value[~owes] = clear_margin(model(kept(x, ~owes)), y[~owes], chosen(target, ~owes))
    due = value < kappa
    if due.any():
        logits, up[due] = slope(model, kept(x, due), margin, y[due], chosen(target, due))
        value[due] = clear_margin(logits, y[due], chosen(target, due))
    return value, up, due


def clear_margin(logits, y, target):
    """Return the margin less what other neighbours in the batch could change of it by rounding: (N, K) to (N,)."""
    return margin(logits, y, target) - CLEAR * logits.abs().amax(1)


def still_to_fall(model, x, y, target, kappa):
    """Return which pictures (n,) are not misled as they are, or not by ``kappa``."""
    if not len(x):
        return torch.zeros_like(y)
    with torch.no_grad():
        logits = checked_logits(model, x, y, target)
    return (~(reached(logits, y, target) & (margin(logits, y, target) >= kappa))).nonzero().flatten()


def check_prices(steps, searches, price, kappa, lr):
    """Refuse numbers with which nothing can be found."""
    check_steps(steps)
    check_steps(searches, "searches")
    for name, value, least in (("price", price, "> 0"), ("lr", lr, "> 0"), ("kappa", kappa, ">= 0")):
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < 0 or (value == 0 and least == "> 0"):
            raise InputError(f"{name} must be a number {least} but is {value!r}")
