r"""APGD: projected gradient descent that finds its own step, so that nobody can weaken it by a bad choice.

A fixed step is too short at the beginning and too long at the end.  APGD begins with the whole width of the ball and,
at a few checkpoints, halves the step of each picture that does not profit from it, and sends it back to its best point:

.. math::
    z       &= P(x_k + \eta\, s(\nabla f(x_k))) \\
    x_{k+1} &= P(x_k + a (z - x_k) + (1 - a)(x_k - x_{k-1})), \qquad a = 3/4 \text{ (first step: 1)}

=====================  ==================================================================================
halve where            of the steps since the last checkpoint at most three quarters went up, or
..                     the step was not halved there, and no better point was found since
checkpoints            22, 41, 57, 70, 80, 87, 93, 99 of 100 steps: ever closer together
begins at              a random point on the border of the ball
=====================  ==================================================================================

$f$ is the score, $P$ brings back into ball and box, $s$ is the steepest step of the ball, $\eta$ is ``eta``.

The trap: the published code counts a step as "up" against the point before the jump back.  Here, as in the paper, it is
the best point, at which the next interval begins.

Source: Croce & Hein 2020, arXiv:2003.01690, algorithm 1 and section 3; constants as there.
"""

import dataclasses

import torch

from lecturekit.attacks.gradient import EPS, Climbed, all_kept, chosen, finish, interruptible, kept, restarted, slope
from lecturekit.attacks.guard import attacking, check_steps, checked_logits
from lecturekit.attacks.scores import cross_entropy, dlr, reached
from lecturekit.attacks.threat import inside, over
from lecturekit.progress import Step, stopped

MOMENTUM = 0.75  # the paper's alpha: what the new direction weighs against the last move
RISING = 0.75  # the paper's rho: so large a share of steps must go up for the step to stay as it is


def apgd(
    model, x, y, *, ball=EPS, steps=100, restarts=1, target=None, score=cross_entropy, leave=True, seed=0, watch=None
):  # fmt: skip
    """Climb the score with a step that adapts itself to each picture.

    APGD-CE of the literature is the default, APGD-DLR has ``score=dlr``.

    Args:
        model, x, y, ball, target, score: see `gradient.fgsm`.
        steps: moves in one run, each with one gradient; the last point is only looked at.
        restarts: runs from new random points, each on the pictures that are still not misled.
        leave: misled pictures leave the batch; False climbs on and keeps the highest of the points that mislead.
        seed: of the random starts; restart ``r`` draws from ``seed + r``.
        watch: see `lecturekit.progress`; what it stops is handed back with ``complete=False``.
    Returns: `Adversarial`.
    Raises: InputError, ModelError: see `guard`; InputError from `dlr` if there are too few classes.
    """
    check_steps(steps)
    check_steps(restarts, "restarts")

    def run(rows, restart):
        toward = chosen(target, rows)
        return climb(
            model, kept(x, rows), y[rows], ball, steps=steps, toward=toward, target=toward, score=score, leave=leave,
            seed=seed + restart, watch=watch,
        )  # fmt: skip

    with attacking(model, x, y, target):
        return finish("APGD", model, x, restarted(model, y, target, restarts, run), y, target, ball, seed)


def apgd_targeted(model, x, y, *, ball=EPS, steps=100, targets=9, score=dlr, seed=0, watch=None):
    """Climb towards the likeliest wrong class, then the next, until the network names any wrong class: APGD-T.

    Many ways out are tried on purpose: an untargeted score follows the way that looks best at the start.

    Args:
        targets: how many classes are tried, at most all but the true one; the likeliest first.
        The others: see `apgd`.  The goal is any other class, so the result has no target.
    """
    check_steps(steps)
    check_steps(targets, "targets")
    with attacking(model, x, y), torch.no_grad():
        wrong = checked_logits(model, x, y).scatter(1, y[:, None], -torch.inf)
        likeliest = wrong.argsort(dim=1, descending=True)[:, : min(targets, wrong.shape[1] - 1)]  # (N, targets)

        def run(rows, k):
            toward = likeliest[rows, k]
            return climb(
                model, kept(x, rows), y[rows], ball, steps=steps, toward=toward, score=score, seed=seed + k, watch=watch
            )

        total = restarted(model, y, None, likeliest.shape[1], run)
        return finish("APGD-T", model, x, total, y, None, ball, seed)


@dataclasses.dataclass
class Path:
    """Where the n pictures of the batch are on their way, and what each has seen on it."""

    rows: torch.Tensor  # (n,) which pictures these are
    x0: torch.Tensor  # (n, C, H, W) clean
    x: torch.Tensor  # now
    last: torch.Tensor  # one step ago
    best: torch.Tensor  # the highest point so far,
    best_grad: torch.Tensor  # the gradient there,
    top: torch.Tensor  # (n,) and its score
    value: torch.Tensor  # (n,) the score one step ago
    eta: torch.Tensor  # (n,) step
    rises: torch.Tensor  # (n,) steps upwards since the last checkpoint
    checked: torch.Tensor  # (n,) the best score at the last checkpoint
    halved: torch.Tensor  # (n,) bool: the step was halved there

    @classmethod
    def beginning(cls, x0, ball, seed):
        """Return the path that begins at a random point on the border of the ball."""
        delta = ball.start(x0, torch.Generator().manual_seed(seed)) - x0
        x = inside(x0 + (ball.eps / over(ball.size(delta)))[:, None, None, None] * delta, x0, ball)
        low, none = x.new_full((len(x),), -torch.inf), x.new_zeros(len(x))
        yes = torch.ones(len(x), dtype=torch.bool, device=x.device)
        rows = torch.arange(len(x), device=x.device)
        eta = none + 2 * ball.eps
        return cls(rows, x0, x, x.clone(), x.clone(), torch.zeros_like(x), low, -low, eta, none, low, yes)

    def remember(self, value, grad):
        """Count a step upwards, and keep the point if it is the highest so far."""
        self.rises = self.rises + (value > self.value)
        self.value = value
        higher = value > self.top
        self.best[higher], self.best_grad[higher], self.top[higher] = self.x[higher], grad[higher], value[higher]

    def check(self, grad, interval):
        """Halve the step where it does not pay, and go back to the best point there; return the gradients to follow."""
        stuck = ~self.halved & (self.top <= self.checked)  # condition 2 of section 3.1
        self.halved = (self.rises <= RISING * interval) | stuck  # condition 1
        self.checked, self.rises = self.top.clone(), torch.zeros_like(self.rises)
        self.eta = torch.where(self.halved, self.eta / 2, self.eta)
        back = self.halved[:, None, None, None]
        self.x, self.value = torch.where(back, self.best, self.x), torch.where(self.halved, self.top, self.value)
        return torch.where(back, self.best_grad, grad)

    def move(self, grad, ball, weight):
        """Go one step: ``weight`` of it along the gradient, the rest as one step ago."""
        z = inside(self.x + self.eta[:, None, None, None] * ball.steepest(grad), self.x0, ball)
        on = self.x + weight * (z - self.x) + (1 - weight) * (self.x - self.last)
        self.last, self.x = self.x, inside(on, self.x0, ball)


def climb(model, x0, y, ball, *, steps, toward=None, target=None, score=cross_entropy, leave=True, seed=0, watch=None):
    """Return the `Climbed` of one run of APGD.

    Args:
        toward: the classes that the score is told to climb to, or None.
        target: the classes that end the search, or None for any but ``y``.
        The others: see `apgd`.
    """
    x0 = x0.detach()
    path, found, top = Path.beginning(x0, ball, seed), x0.clone(), x0.new_full((len(x0),), -torch.inf)
    done, gradients, flat = torch.zeros_like(y, dtype=torch.bool), torch.zeros_like(y), torch.zeros_like(y)
    at, before, complete = checkpoints(steps), 0, True
    with interruptible() as interrupted:
        for step in range(steps + 1 if len(x0) else 0):
            rows = path.rows
            aims = y[rows], chosen(toward, rows), chosen(target, rows)
            value, ends, grad = look(model, path, *aims, score, first=step == 0, last=step == steps)
            if step < steps:
                gradients[rows] += 1
                flat[rows] += (grad == 0).flatten(1).all(1).long()
            wins = ends & (value > top[rows])
            found[rows[wins]], top[rows[wins]], done[rows[ends]] = path.x[wins], value[wins], True
            path.remember(value, grad)
            if leave and ends.any():
                path, grad = all_kept(path, ~ends), kept(grad, ~ends)
            if not len(path.rows) or step == steps:
                break
            if step in at:
                grad, before = path.check(grad, step - before), step
            path.move(grad, ball, MOMENTUM if step else 1.0)
            note = f"{int(done.sum())} of {len(done)} misled"
            if stopped(watch, Step(step + 1, steps, picture=path.best, note=note)):
                complete = False
                break
    seen = ~done[path.rows] & path.top.isfinite()
    found[path.rows[seen]] = path.best[seen]
    return Climbed(found, done, gradients, flat, complete and not interrupted)


def look(model, path, y, toward, target, score, *, first, last):
    """Return the score (n,) where the pictures are, who is misled (n,), and the gradient (n, C, H, W)."""
    if last:
        with torch.no_grad():  # nobody will follow a gradient at the last point
            logits, grad = model(path.x), path.best_grad
    else:
        logits, grad = slope(model, path.x, score, y, toward, first=first)
    return score(logits, y, toward).detach(), reached(logits, y, target), grad


def checkpoints(steps):
    """Return after which steps the step size is checked: the first 22 %, then each interval 3 % shorter, 6 % at least.

    ::

        checkpoints(100)  ->  [22, 41, 57, 70, 80, 87, 93, 99]
    """
    interval, shorter, least = max(22 * steps // 100, 1), max(3 * steps // 100, 1), max(6 * steps // 100, 1)
    at, now = [], interval
    while now < steps:
        at.append(now)
        interval = max(interval - shorter, least)
        now += interval
    return at
