r"""Attacks that follow the gradient of a score inside a ball: FGSM, BIM, PGD and MI-FGSM are one loop.

==========  ==================  ============  =====  ========================================================
attack      start               step          times  source
==========  ==================  ============  =====  ========================================================
`fgsm`      the picture         $\epsilon$    1      Goodfellow et al. 2015, arXiv:1412.6572, section 4
`bim`       the picture         1/255         few    Kurakin et al. 2016, arXiv:1607.02533, section 2.2
`pgd`       random in the ball  $\epsilon/4$  many   Madry et al. 2018, arXiv:1706.06083, section 2.1
`mi_fgsm`   the picture         $\epsilon/T$  10     Dong et al. 2018, arXiv:1710.06081, algorithm 1
==========  ==================  ============  =====  ========================================================

::

    found = attacks.pgd(network, x, y, ball=Linf(8/255))
    print(found)                      # PGD within L∞ ≤ 8/255: 97 of 100 misled, ...

Pictures that are misled already leave the batch: they cost nothing more, and the result is the same.

The trap: a gradient of NaN becomes ``sign(nan) = 0`` in torch, the attack does nothing, and the network looks robust.
"""

import contextlib
import dataclasses
import math
import warnings

import torch

from lecturekit.attacks.guard import attacking, check_steps, checked_logits
from lecturekit.attacks.result import judge
from lecturekit.attacks.scores import cross_entropy, reached
from lecturekit.attacks.threat import Linf, inside, over
from lecturekit.errors import InputError, ModelError
from lecturekit.progress import Step, stopped

EPS = Linf(8 / 255)  # the ball of most published numbers


def fgsm(model, x, y, *, ball=EPS, target=None, score=cross_entropy):
    """Take one step of the whole radius along the gradient: the fast gradient sign method, or its L2 form.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.
        x: clean pictures, (N, C, H, W) in [0, 1].
        y: true classes, (N,) int64.
        ball: `Linf` or `L2` with the radius in pixel units.
        target: classes (N,) to be named instead, or None for "anything but the truth".
        score: `cross_entropy`, `margin` or `dlr`.
    Returns: `Adversarial`.
    Raises: InputError, ModelError: see `guard`.
    """
    with attacking(model, x, y, target):
        climbed = ascend(model, x, y, ball, steps=1, alpha=ball.eps, target=target, score=score)
        return finish("FGSM", model, x, climbed, y, target, ball)


def bim(model, x, y, *, ball=EPS, steps=None, alpha=1 / 255, target=None, score=cross_entropy, watch=None):
    """Take small steps from the picture itself: the basic iterative method.  Arguments as for `pgd`.

    Without ``steps`` it takes Kurakin's number for the radius: the smaller of 255 eps + 4 and 1.25 * 255 eps.
    """
    grey = 255 * ball.eps
    steps = max(1, int(min(grey + 4, 1.25 * grey) + 1e-9)) if steps is None else steps
    check_step(alpha, steps, ball)
    with attacking(model, x, y, target):
        climbed = ascend(
            model, x, y, ball, steps=steps, alpha=alpha, target=target, score=score, leave=True, watch=watch
        )
        return finish("BIM", model, x, climbed, y, target, ball)


def pgd(
    model, x, y, *, ball=EPS, steps=40, alpha=None, restarts=1, target=None, score=cross_entropy, leave=True, seed=0,
    watch=None,
):  # fmt: skip
    """Climb the score in small steps from a random point of the ball: projected gradient descent.

    FGSM trusts the gradient at the clean picture across the whole ball.  PGD measures it again where the picture is
    now.

    Args:
        model, x, y, ball, target, score: see `fgsm`.
        steps: gradients in one run.
        alpha: step in pixel units; a quarter of the radius by default.
        restarts: runs from new random points, each on the pictures that are still not misled.
        leave: misled pictures leave the batch; False takes all steps with all pictures and keeps the last.
        seed: of the random starts; restart ``r`` draws from ``seed + r``.
        watch: see `lecturekit.progress`; what it stops is handed back with ``complete=False``.
    Returns: `Adversarial`.
    Raises: InputError, ModelError: see `guard`; InputError if steps, alpha or restarts make no sense.
    """
    alpha = ball.eps / 4 if alpha is None else alpha
    check_step(alpha, steps, ball)
    check_steps(restarts, "restarts")

    def run(rows, restart):
        x0 = kept(x, rows)
        start = ball.start(x0, torch.Generator().manual_seed(seed + restart))
        how = {"steps": steps, "alpha": alpha, "score": score, "leave": leave, "watch": watch}
        return ascend(model, x0, y[rows], ball, start=start, target=chosen(target, rows), **how)

    with attacking(model, x, y, target):
        return finish("PGD", model, x, restarted(model, y, target, restarts, run), y, target, ball, seed)


def mi_fgsm(model, x, y, *, ball=EPS, steps=10, alpha=None, momentum=1.0, target=None, score=cross_entropy, watch=None):
    """Follow the running sum of gradients, each of length 1 (L1): smoother, and it transfers better.

    Args:
        momentum: share of the sum that is kept at each step, the paper's mu; the other arguments as for `pgd`.
    """
    alpha = ball.eps / steps if alpha is None else alpha
    check_step(alpha, steps, ball)
    with attacking(model, x, y, target):
        climbed = ascend(
            model, x, y, ball, steps=steps, alpha=alpha, target=target, score=score, momentum=momentum, watch=watch
        )
        return finish("MI-FGSM", model, x, climbed, y, target, ball)


@dataclasses.dataclass(frozen=True)
class Climbed:
    """Where `ascend` ended: pictures, who was seen to be misled, what it cost, and whether it came to its end."""

    x: torch.Tensor  # (N, C, H, W)
    done: torch.Tensor  # (N,) bool, as seen on the way; `judge` measures it again
    gradients: torch.Tensor  # (N,)
    flat: torch.Tensor  # (N,)
    complete: bool
    clean: torch.Tensor | None = None  # (N, K) what the network says of the clean pictures, where the climb began there

    def updated(self, rows, other):
        """Return this with ``other``, a further run of the pictures ``rows``: its pictures, and the sum of the cost."""
        x, done, gradients, flat = self.x.clone(), self.done.clone(), self.gradients.clone(), self.flat.clone()
        x[rows], done[rows] = other.x, other.done
        gradients[rows] += other.gradients
        flat[rows] += other.flat
        return Climbed(x, done, gradients, flat, other.complete)


def restarted(model, y, target, restarts, run):
    """Return the `Climbed` of several runs, each on the pictures that no run before it has misled.

    Who is misled is asked afresh between two runs: the last step of a run ends on pictures that it never looked at, and
    a second run from elsewhere would lose them again.

    Args:
        model, y, target, restarts: see `pgd`.
        run: which pictures (n,) and the number of the restart to their `Climbed`.
    """
    total = run(torch.arange(len(y), device=y.device), 0)
    with interruptible() as interrupted, torch.no_grad():
        for restart in range(1, restarts):
            left = (~total.done).nonzero().flatten()
            if total.complete and len(left):
                total.done[left] = reached(model(kept(total.x, left)), y[left], chosen(target, left))
                left = left[~total.done[left]]
            if not total.complete or not len(left):
                break
            total = total.updated(left, run(left, restart))
    return dataclasses.replace(total, complete=total.complete and not interrupted)


def ascend(
    model, x0, y, ball, *, steps, alpha, start=None, target=None, score=cross_entropy, momentum=0.0, leave=False,
    watch=None,
):  # fmt: skip
    """Climb ``score`` with steps of length ``alpha``, back into ball and box after each: the loop of all four attacks.

    Adversarial training calls it as it stands; nothing is checked that a training loop would check ten thousand times.

    Args:
        start: points to begin at, anywhere; the clean pictures by default.
        momentum: see `mi_fgsm`; 0 follows the gradient of the moment.
        leave: a picture whose logits show that it is misled is not touched any more.
        The others: see `pgd`.
    Returns: `Climbed`.
    Raises: ModelError for a gradient that is not finite.
    """
    x0 = x0.detach()
    found = x0.clone() if start is None else inside(start.detach(), x0, ball)
    done = torch.zeros(len(x0), dtype=torch.bool, device=x0.device)
    gradients, flat = torch.zeros_like(y), torch.zeros_like(y)
    rows, complete = torch.arange(len(x0), device=x0.device), True  # of the pictures that are still in the batch
    clean = None
    x, velocity = found.clone(), torch.zeros_like(found)
    with interruptible() as interrupted:
        for step in range(steps if len(x0) else 0):
            logits, grad = slope(model, x, score, y[rows], chosen(target, rows), first=step == 0)
            clean = logits if step == 0 and start is None else clean
            gradients[rows] += 1
            flat[rows] += (grad == 0).flatten(1).all(1).long()
            if leave and (ends := reached(logits, y[rows], chosen(target, rows))).any():
                done[rows[ends]] = True
                found[rows] = x
                if ends.all():
                    break
                rows, x, x0, grad, velocity = (kept(old, ~ends) for old in (rows, x, x0, grad, velocity))
            if momentum:
                mean = over(grad.abs().flatten(1).sum(1))[:, None, None, None]
                velocity = grad = momentum * velocity + grad / mean
            x = inside(x + alpha * ball.steepest(grad), x0, ball)  # + climbs; `score` has the sign
            note = f"{int(done.sum())} of {len(done)} misled" if leave else ""
            if stopped(watch, Step(step + 1, steps, picture=x, note=note)):
                complete = False
                break
    found[rows] = x
    return Climbed(found, done, gradients, flat, complete and not interrupted, clean)


def kept(values, rows):
    """Return some rows, laid out in memory as before: plain indexing loses channels-last, a fifth of the speed."""
    some = values[rows]
    last = values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last)
    return some.contiguous(memory_format=torch.channels_last) if last else some


def all_kept(state, rows):
    """Return a dataclass of tensors, one row per picture in each, with some of the pictures only."""
    some = {field.name: kept(getattr(state, field.name), rows) for field in dataclasses.fields(state)}
    return dataclasses.replace(state, **some)


def slope(model, x, score, y, target=None, *, first=False):
    """Return logits (N, K) and the gradient of the score with respect to the pixels (N, C, H, W).

    Raises: ModelError if the gradient is not finite; with ``first`` also for whatever `guard.checked_logits` refuses.
    """
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = checked_logits(model, x, y, target) if first else model(x)
        total = score(logits, y, target).sum()  # pictures are independent: one sum, N separate gradients
    (grad,) = torch.autograd.grad(total, x)
    if not torch.isfinite(grad).all():
        raise ModelError("the gradient holds NaN or infinite values; its sign would silently be zero")
    return logits.detach(), grad


def finish(name, model, x0, climbed, y, target, ball, seed=None):
    """Return the `Adversarial` of pictures that `ascend` found, measured afresh."""
    counts = {"gradients": climbed.gradients, "flat": climbed.flat, "seed": seed, "complete": climbed.complete}
    return judge(model, x0, climbed.x, y, target, attack=name, ball=ball, clean=climbed.clean, **counts)


def chosen(target, rows):
    """Return the targets of some pictures, or None if there are no targets."""
    return None if target is None else target[rows]


@contextlib.contextmanager
def interruptible():
    """Let Ctrl-C end the block quietly; the list it gives is then no longer empty."""
    interrupted = []
    try:
        yield interrupted
    except KeyboardInterrupt:
        interrupted.append(True)


def check_step(alpha, steps, ball):
    """Refuse steps that make no sense, and warn of an attack that cannot even reach the border of its ball."""
    check_steps(steps)
    if not (isinstance(alpha, int | float) and math.isfinite(alpha) and alpha >= 0):
        raise InputError(f"alpha must be a step size in pixel units, e.g. eps / 4, but is {alpha!r}")
    if alpha > 2 * ball.eps > 0:  # a ball without size gives the pictures back, whatever the step
        raise InputError(f"alpha is {alpha:g}: a step longer than the ball is wide ({2 * ball.eps:g}) only jumps about")
    if alpha * steps < ball.eps * (1 - 1e-6):
        warnings.warn(
            f"{steps} steps of {alpha:g} cannot reach the border of the ball ({ball.eps:g}): the attack is weaker than "
            "its eps says",
            stacklevel=3,
        )
