r"""Square attack: misled without a gradient, by trying random squares and keeping what helps.

Whoever can only ask a network, and not differentiate it, can still climb: propose a change, keep it if the margin
grows, forget it if not.  What makes it work is the shape of the proposal.  A convolution answers to whole regions, so a
square of one colour says more than as many scattered pixels; and the best point of a ball lies on its border, so every
proposal does.

====================  ====================================  ================================================
ball                  start                                 proposal, on a window of side $s$
====================  ====================================  ================================================
$L_\infty$            vertical stripes of $\pm\epsilon$     $\pm\epsilon$ for each colour, all over the window
$L_2$                 a grid of 5 x 5 bumps                 a bump, paid for by a second window that is wiped
====================  ====================================  ================================================

$s^2 = p \cdot HW$, and $p$ is halved at 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000 queries; a shorter
run halves it at the same shares of its length.

The trap: an attack that needs no gradient should do *worse* than one that follows it.  If it does better, the gradient
of that network is good for nothing, and what looked like robustness is a broken gradient.

Source: Andriushchenko et al. 2020, arXiv:1912.00049, algorithms 1 to 3; p = 0.8 and the shorter schedule as in
AutoAttack (Croce & Hein 2020, arXiv:2003.01690).
"""

import dataclasses
import math

import torch

from lecturekit.attacks.gradient import EPS, chosen, interruptible, kept
from lecturekit.attacks.guard import attacking, check_steps, checked_logits
from lecturekit.attacks.result import judge
from lecturekit.attacks.scores import margin, reached
from lecturekit.attacks.threat import L2, Linf, into_box, over
from lecturekit.errors import InputError
from lecturekit.progress import Step, stopped

HALVED = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries


def square(model, x, y, *, ball=EPS, queries=1000, share=0.8, target=None, score=margin, seed=0, watch=None):
    """Mislead a network by asking it: random search over squares.

    Pictures that are misled leave at once, and are asked about no more.

    Args:
        model, x, y, target, score: see `gradient.fgsm`; no gradient is ever asked for.
        ball: `Linf` or `L2`.
        queries: how often the network is asked about one picture, at most; the first asks about the start.
        share: of the picture that the first windows cover, the paper's p.
        seed: of everything random.
        watch: see `lecturekit.progress`; what it stops is handed back with ``complete=False``.
    Returns: `Adversarial`, with ``queries`` counted for each picture.
    Raises: InputError, ModelError: see `guard`; InputError for another ball, a share outside (0, 1], or pictures that
        are too small for a bump.
    """
    check_search(x, ball, queries, share)
    with attacking(model, x, y, target), torch.no_grad():
        found, asked, complete = search(model, x, y, ball, queries, share, target, score, seed, watch)
        counts = {"queries": asked, "seed": seed, "complete": complete}
        return judge(model, x, found, y, target, attack="Square", ball=ball, **counts)


def search(model, x, y, ball, queries, share, target, score, seed, watch):
    """Return pictures (N, C, H, W), how often each was asked about (N,), and whether the search came to its end."""
    start, propose = (stripes, squares) if isinstance(ball, Linf) else (tiles, bumps)
    dice = Dice(torch.Generator().manual_seed(seed), len(x), torch.arange(len(x), device=x.device))
    found, asked, complete = x.clone(), torch.zeros_like(y), True
    x0, best, top = x, x, torch.full((len(x),), -torch.inf).to(x)
    with interruptible() as interrupted:
        for query in range(queries if len(x) else 0):
            side = side_at(query - 1, queries, share, x.shape[-2:])
            tried = into_box(propose(best, x0, ball.eps, side, dice) if query else start(x0, ball.eps, dice))
            true, wanted = y[dice.rows], chosen(target, dice.rows)
            logits = checked_logits(model, tried, true, wanted)
            asked[dice.rows] += 1
            value, ends = score(logits, true, wanted), reached(logits, true, wanted)
            better = (value > top) | ends
            best, top = torch.where(better[:, None, None, None], tried, best), torch.where(better, value, top)
            if ends.any():
                found[dice.rows] = best
                dice.rows, x0, best, top = (kept(old, ~ends) for old in (dice.rows, x0, best, top))
            note = f"{len(x) - len(dice.rows)} of {len(x)} misled"
            if stopped(watch, Step(query + 1, queries, picture=best, note=note)) and len(dice.rows):
                complete = False
                break
            if not len(dice.rows):
                break
    found[dice.rows] = best
    return found, asked, complete and not interrupted


def side_at(step, queries, share, size):
    """Return the side of the windows at a step: piecewise constant, at least 1, at most the shorter side."""
    halvings = sum(int(step / queries * 10_000) > at for at in HALVED)
    return min(max(round(math.sqrt(share / 2**halvings * size[0] * size[1])), 1), *size)


@dataclasses.dataclass
class Dice:
    """Random numbers for every picture at every step, also for those that left: nobody's luck hangs on the others."""

    generator: torch.Generator
    count: int  # pictures at the beginning
    rows: torch.Tensor  # (n,) of the pictures that are still searched

    def uniform(self, *shape):
        """Return numbers in [0, 1), (n, *shape)."""
        return torch.rand(self.count, *shape, generator=self.generator).to(self.rows.device)[self.rows]

    def signs(self, *shape):
        """Return -1 or 1, (n, *shape)."""
        return torch.where(self.uniform(*shape) < 0.5, -1.0, 1.0)

    def window(self, side, size):
        """Return where a random window lies in each picture: rows (n, side, 1) and columns (n, 1, side)."""
        top, left = ((self.uniform() * (length - side + 1)).long() for length in size)
        reach = torch.arange(side, device=self.rows.device)
        return (top[:, None] + reach)[:, :, None], (left[:, None] + reach)[:, None, :]


# L-infinity: every value of a proposal lies on the border of the ball


def stripes(x0, eps, dice):
    """Return the start: vertical stripes one pixel wide, each colour of each stripe up or down by ``eps``."""
    return x0 + eps * dice.signs(x0.shape[1], 1, x0.shape[3]).to(x0)


def squares(best, x0, eps, side, dice):
    """Return the proposal: one square with one new sign for each colour, the rest as it was.

    The paper adds +- 2 eps and projects.  From anywhere in the ball that ends at x0 +- eps, which is written here.
    """
    rows, columns = dice.window(side, x0.shape[-2:])
    n = torch.arange(len(x0), device=x0.device)[:, None, None]
    within = torch.zeros(len(x0), 1, *x0.shape[-2:], dtype=torch.bool, device=x0.device)
    within[n, 0, rows, columns] = True
    return torch.where(within, x0 + eps * dice.signs(x0.shape[1], 1, 1).to(x0), best)


# L2: the length of a proposal is exactly eps, and what one window gains another one pays


def tiles(x0, eps, dice):
    """Return the start: a grid of 5 x 5 bumps, each with its own sign in each colour, of length ``eps`` in all."""
    size, side = x0.shape[-2:], max(2, min(x0.shape[-2:]) // 5)
    down, across = size[0] // side, size[1] // side
    lying = bump(side).to(x0).repeat(down, across)
    standing = bump(side).T.to(x0).repeat(down, across)
    turned = dice.uniform(1, down, across) < 0.5
    spread = {"repeats": side, "dim": -1}
    turned = turned.repeat_interleave(**spread).mT.repeat_interleave(**spread).mT
    signs = dice.signs(x0.shape[1], down, across).to(x0)
    signs = signs.repeat_interleave(**spread).mT.repeat_interleave(**spread).mT
    delta = torch.zeros_like(x0)
    top, left = (size[0] - down * side) // 2, (size[1] - across * side) // 2
    delta[..., top : top + down * side, left : left + across * side] = signs * torch.where(turned, standing, lying)
    return x0 + eps * delta / L2.size(delta)[:, None, None, None]


def bumps(best, x0, eps, side, dice):
    r"""Return the proposal: window 1 gets a bump on top of what it had, window 2 is wiped and pays for it.

    Colour by colour, $\nu = \pm\eta / \lVert\eta\rVert + \delta_1 / \lVert\delta_1\rVert$ is given the length
    $\sqrt{\lVert\delta_{1 \cup 2}\rVert^2 + (\epsilon^2 - \lVert\delta\rVert^2) / C}$, so that all of it has length
    $\epsilon$ again, whatever the box cut off before.
    """
    side = min(max(side, 3) | 1, (min(x0.shape[-2:]) - 1) | 1)  # odd
    n = torch.arange(len(x0), device=x0.device)[:, None, None]
    delta = (best - x0).permute(0, 2, 3, 1).clone()  # (n, H, W, C): one index for a window of all colours
    unused = (eps**2 - delta.square().sum((1, 2, 3))).clamp_min(0)
    to, paying = dice.window(side, x0.shape[-2:]), dice.window(side, x0.shape[-2:])
    old = delta[n, *to]  # (n, s, s, C)
    energy = delta.square().sum((1, 2))
    delta[n, *to] = 0
    delta[n, *paying] = 0
    available = energy - delta.square().sum((1, 2)) + unused[:, None] / x0.shape[1]  # (n, C), of both windows together
    shape = bump(side).to(x0)
    shape = torch.where((dice.uniform(1, 1) < 0.5), shape, shape.T)[..., None]  # (n, s, s, 1)
    fresh = dice.signs(1, 1, x0.shape[1]).to(x0) * shape + old / over(old.norm(dim=(1, 2), keepdim=True))
    length = (available.clamp_min(0).sqrt() / over(fresh.norm(dim=(1, 2))))[:, None, None, :]
    delta[n, *to] = length * fresh
    return x0 + delta.permute(0, 3, 1, 2)


def bump(side):
    """Return the bump of length 1, (side, side): a hill in the upper half, the same as a valley in the lower."""
    hill, valley = pyramid(side // 2, side), pyramid(side - side // 2, side)
    both = torch.cat([hill / hill.norm(), -valley / valley.norm()])
    return both / both.norm()


def pyramid(height, width):
    """Return rectangles laid on one another: at distance d from the middle, the sum of 1 / (k + 1)**2 over k >= d."""
    down = (torch.arange(height) - height // 2).abs()
    across = (torch.arange(width) - width // 2).abs()
    layers = torch.arange(1, max(height, width) // 2 + 2, dtype=torch.float64).pow(-2)
    return layers.flip(0).cumsum(0).flip(0)[torch.maximum(down[:, None], across)]


def check_search(x, ball, queries, share):
    """Refuse what the search cannot work with."""
    check_steps(queries, "queries")
    if not isinstance(ball, Linf | L2):
        raise InputError(f"Square knows the balls Linf and L2 but got {ball}; for a few pixels take few_pixels")
    if not (isinstance(share, int | float) and 0 < share <= 1):
        raise InputError(f"share must lie in (0, 1] but is {share!r}: the part of the picture that a window covers")
    if isinstance(ball, L2) and isinstance(x, torch.Tensor) and x.dim() == 4 and min(x.shape[-2:]) < 3:
        raise InputError(f"a bump needs 3 x 3 pixels and the pictures have {x.shape[-2]} x {x.shape[-1]}; take Linf")
