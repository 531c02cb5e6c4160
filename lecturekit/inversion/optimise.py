r"""Inversion by optimisation: change a picture until the layer says of it what it said of the original.

Minimise over the picture $x$

$$ \frac{\|\Phi(x) - \Phi_0\|^2}{\|\Phi_0\|^2} + R(x) $$

=========  ==================================================================================
phi        $\Phi$, from pictures to codes; see `representation`
phi0       $\Phi_0 = \Phi(x_0)$, the code to invert.  The original $x_0$ is *not* needed
prior      $R$, what a natural picture looks like; see `priors`
=========  ==================================================================================

Dividing by $\|\Phi_0\|^2$ makes the first term 1 for a picture that says nothing and 0 for a perfect one, at every layer
of every network, so that one prior weight means the same everywhere.

The trap: an exactly grey start has no gradient in a robust network (its first ReLUs are all off).  Start from noise.

Source: Mahendran & Vedaldi 2015, arXiv:1412.0035, equation 1; the self-scaling form and the jitter from their
arXiv:1512.02017.
"""

import dataclasses
import itertools
import time

import torch

from lecturekit.errors import InputError, ModelError
from lecturekit.inversion.parameterise import Pixels
from lecturekit.inversion.priors import natural
from lecturekit.inversion.solvers import adam, lbfgs
from lecturekit.measure import feature_error
from lecturekit.progress import Step, stopped

PICTURE_EVERY = 5  # evaluations between two pictures for whoever watches


@dataclasses.dataclass(frozen=True)
class Inversion:
    """What `invert` found.

    Attributes:
        x: the best picture for each code, (N, C, H, W) in [0, 1].
        restarts: the best picture of every restart, (R, N, C, H, W).
        feature_error: of ``x``, re-measured by a fresh forward pass, (N,): squared, by the code's own squared norm.
        losses: mean loss after each evaluation, error and prior together.
        evaluations: how often the network ran forward and backward.
        seconds: how long it took.
        complete: False if it was stopped early; the pictures are then the best so far.
    """

    x: torch.Tensor
    restarts: torch.Tensor
    feature_error: torch.Tensor
    losses: list[float]
    evaluations: int
    seconds: float
    complete: bool

    def spread(self):
        """Return the standard deviation of the restarts in every pixel, (N, H, W): what the code does not determine.

        All restarts have nearly the same code.  Where they differ, the layer does not know.
        """
        if len(self.restarts) < 2:
            raise InputError("spread() compares restarts, but there was only one; pass restarts=4 to invert()")
        return self.restarts.std(dim=0).pow(2).mean(dim=1).sqrt()  # over R, then root mean square over colours


def invert(phi, phi0, *, prior=None, size=(64, 64), steps=100, restarts=1, solver=lbfgs, hold=Pixels, jitter=0,
           start=None, seed=0, watch=None):  # fmt: skip
    """Find pictures whose code under ``phi`` is ``phi0``.

    Args:
        phi: pictures (N, C, H, W) to codes (N, ...); see `representation`.
        phi0: the codes to invert (N, ...).
        prior: pictures to one number each (N,); `priors.natural` with weights 1/1000 if None.
        size: height and width of the pictures sought.
        steps: evaluations, i.e. forward and backward passes.
        restarts: how many starts from different noise, all at once in one batch.
        solver: `solvers.lbfgs`, or `solvers.adam` (for jitter, and for `DeepPrior`).
        hold: how the picture is held: `Pixels`, `Fourier` or `DeepPrior`.
        jitter: shift the picture by up to so many pixels, anew at each evaluation; the stride of the layer divided by
            four is usual.  It needs `adam`: L-BFGS would take the shifts for curvature.
        start: pictures to start from, (N, C, H, W) in [0, 1]; faint noise on grey if None.
        seed: of noise and jitter.
        watch: see `lecturekit.progress`; its steps carry the present pictures.
    Returns: an `Inversion`; on Ctrl-C or `STOP` the best so far.
    Raises: InputError for arguments that cannot work; ModelError if the loss is not finite.
    """
    check(phi0, steps, restarts, jitter, solver)
    prior = natural(alpha=1e-3, tv=1e-3) if prior is None else prior
    generator = torch.Generator().manual_seed(seed)
    count = len(phi0)
    noise = 0.5 + 0.1 * torch.randn(restarts * count, 3, *size, generator=generator).clamp(-3, 3)
    first = noise.to(phi0) if start is None else start.repeat(restarts, 1, 1, 1)
    target = phi0.detach().repeat(restarts, *[1] * (phi0.dim() - 1))  # (R * N, ...)

    def losses(x):
        return feature_error(phi(jittered(x, jitter, generator)), target) + prior(x)

    best, lowest, history, began = first.clone(), None, [], time.monotonic()
    walk = solver(hold(first), losses)
    complete = False
    try:
        for x, loss in itertools.islice(walk, steps):
            lowest = torch.full_like(loss, torch.inf) if lowest is None else lowest
            better = loss < lowest
            best = torch.where(better[:, None, None, None], x, best)
            lowest = torch.where(better, loss, lowest)
            history.append(loss.mean().item())
            if not torch.isfinite(loss).all():
                raise ModelError(f"the loss became {loss.tolist()} at evaluation {len(history)}; is the code finite?")
            shown = best[:count] if len(history) % PICTURE_EVERY == 0 or len(history) in (1, steps) else None
            if stopped(watch, Step(len(history), steps, history[-1], shown)):
                break
        else:
            complete = True
    except KeyboardInterrupt:
        pass  # the best so far is worth having
    return finished(phi, phi0, best, lowest, restarts, history, time.monotonic() - began, complete)


def finished(phi, phi0, best, lowest, restarts, history, seconds, complete):
    """Choose the best restart of each picture and measure it anew."""
    pictures = best.unflatten(0, (restarts, len(phi0)))  # (R, N, C, H, W)
    places = torch.arange(len(phi0), device=best.device)
    winner = torch.zeros_like(places) if lowest is None else lowest.view(restarts, -1).argmin(0)
    x = pictures[winner, places]
    with torch.no_grad():
        error = feature_error(phi(x), phi0)
    return Inversion(x, pictures, error, history, len(history), seconds, complete)


def jittered(x, jitter, generator):
    """Shift all pictures by the same random amount, up to ``jitter`` pixels, round the edge."""
    if not jitter:
        return x
    down, right = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
    return x.roll((down, right), dims=(-2, -1))


def check(phi0, steps, restarts, jitter, solver):
    """Refuse what cannot work, before anything is computed."""
    if not torch.is_tensor(phi0) or not phi0.is_floating_point():
        raise InputError(f"phi0 must be a float tensor, the code to invert; got {type(phi0).__name__}")
    if not torch.isfinite(phi0).all():
        raise InputError(f"phi0 holds {(~torch.isfinite(phi0)).sum().item()} values that are NaN or infinite")
    if (phi0.flatten(1).norm(dim=1) == 0).any():
        raise InputError("phi0 is zero for at least one picture: a silent layer cannot be inverted (nothing to divide by)")
    if steps < 1 or restarts < 1 or jitter < 0:
        raise InputError(f"steps and restarts start at 1 and jitter at 0; got {steps}, {restarts} and {jitter}")
    if jitter and solver is not adam:
        raise InputError("jitter changes the loss at every evaluation, which L-BFGS cannot follow; pass solver=adam")
