r"""Inversion by optimisation: change a picture until the layer says of it what it said of the original.

Minimise over the picture $x$

$$ \frac{\|\Phi(x) - \Phi_0\|^2}{\|\Phi_0\|^2} + R(x) $$

=========  ==================================================================================
phi        $\Phi$, from pictures to codes; see `representation`
phi0       $\Phi_0 = \Phi(x_0)$, the code to invert.  The original $x_0$ is *not* needed
prior      $R$, what a natural picture looks like; see `priors`
=========  ==================================================================================

Dividing by $\|\Phi_0\|^2$ makes the first term 1 for a picture that says nothing and 0 for a perfect one, at every
layer of every network, so that one prior weight means the same everywhere.

The trap: an exactly grey start has no gradient in a robust network (its first ReLUs are all off).  Start from noise.

Source: Mahendran & Vedaldi 2015, arXiv:1412.0035, equation 1; the self-scaling form and the jitter from their
arXiv:1512.02017.
"""

import dataclasses
import functools
import itertools
import math
import numbers
import time

import torch

from lecturekit.errors import InputError, ModelError
from lecturekit.inversion.priors import natural
from lecturekit.inversion.solvers import lbfgs
from lecturekit.measure import feature_error
from lecturekit.parameterise import Pixels
from lecturekit.pixels import check_pixels
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
        phi0: the codes to invert (N, ...); the pictures get their device and floating-point type.
        prior: pictures to one number each (N,); `priors.natural` with weights 1/1000 if None.
        size: height and width of the pictures sought.
        steps: evaluations, i.e. forward and backward passes.
        restarts: how many starts from different noise, all at once in one batch.
        solver: `solvers.lbfgs`, or `solvers.adam` (for jitter, and for `DeepPrior`).
        hold: how the picture is held: `Pixels`, `Fourier` or `DeepPrior`.
        jitter: shift the picture by up to so many pixels, anew at each evaluation; the stride of the layer divided by
            four is usual.  It needs `adam`: L-BFGS would take the shifts for curvature.
        start: pictures to start from, (N, C, H, W) in [0, 1], instead of faint noise on grey; ``size`` is then theirs.
        seed: of noise and jitter.
        watch: see `lecturekit.progress`; its steps carry the best pictures so far.
    Returns: an `Inversion`; on Ctrl-C or `STOP` the best so far.
    Raises: InputError for arguments that cannot work; ModelError if the loss is not finite or ``phi`` has no gradient.
    """
    check(phi0, steps, restarts, jitter, solver)
    prior = natural(alpha=1e-3, tv=1e-3) if prior is None else prior
    generator = torch.Generator().manual_seed(seed)
    first = faint_noise(restarts * len(phi0), size, generator) if start is None else repeated(start, phi0, restarts)
    first = first.to(phi0)
    distance = distance_to(phi0.detach().repeat(restarts, *[1] * (phi0.dim() - 1)))  # (R * N, ...), restart by restart

    def losses(x):
        return distance(phi(colours_last(jittered(x, jitter, generator)))) + prior(x)

    best, lowest, history, began = first, first.new_full((len(first),), torch.inf), [], time.monotonic()
    complete = False
    try:
        for x, loss in itertools.islice(solver(hold(first), losses), steps):
            better = loss < lowest
            if better.all():  # the common case, without copies
                best, lowest = x, loss
            else:
                best = torch.where(better[:, None, None, None], x, best)
                lowest = torch.where(better, loss, lowest)
            history.append(loss.mean().item())
            if not math.isfinite(history[-1]) and len(loss):
                raise ModelError(complaint(loss, len(history)))
            shown = best[: len(phi0)] if len(history) % PICTURE_EVERY == 0 or len(history) in (1, steps) else None
            if stopped(watch, Step(len(history), steps, history[-1], shown)):
                break
        else:
            complete = True
    except KeyboardInterrupt:
        pass  # the best so far is worth having
    return finished(phi, phi0, best, lowest, restarts, history, time.monotonic() - began, complete)


def faint_noise(count, size, generator):
    """Return pictures (count, 3, H, W) of noise, at most 0.3 away from middle grey."""
    return 0.5 + 0.1 * torch.randn(count, 3, *size, generator=generator).clamp(-3, 3)


def repeated(start, phi0, restarts):
    """Return the start pictures once for every restart, (R * N, C, H, W)."""
    if len(check_pixels(start, "start")) != len(phi0):
        raise InputError(f"start holds {len(start)} pictures for {len(phi0)} codes; pass one for each")
    return start.detach().repeat(restarts, 1, 1, 1)


def colours_last(x):
    """Return the same numbers with the colours, or filters, of a place side by side in memory.

    On a processor convolution and pooling are a quarter faster then; what is not a map stays as it is.
    """
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 and x.device.type == "cpu" else x


def distance_to(target):
    """Return the function from codes (N, ...) to their `feature_error`, for a target that stays the same."""
    scale, target = target.flatten(1).pow(2).sum(dim=1), colours_last(target)

    def distance(code):
        if code.shape != target.shape:
            raise InputError(
                f"phi answers with codes of shape {tuple(code.shape[1:])}, but phi0 holds {tuple(target.shape[1:])}; "
                "phi0 must come from the same phi and pictures of the same size"
            )
        if not code.requires_grad:
            raise ModelError("phi has no gradient; use `representation` or plain torch functions, no torch.no_grad()")
        # flatten(1) or torch's mse_loss would send slopes back whose colours are no longer last: a quarter slower
        return (code - target).square().sum(dim=tuple(range(1, code.dim()))) / scale

    return distance


def complaint(loss, evaluation):
    """Say which pictures lost their way."""
    wrong = (~torch.isfinite(loss)).nonzero().flatten().tolist()
    return f"the loss of pictures {wrong} is not finite at evaluation {evaluation}; look for NaN in phi or in the prior"


def finished(phi, phi0, best, lowest, restarts, history, seconds, complete):
    """Choose the best restart of each picture and measure it anew."""
    pictures = best.unflatten(0, (restarts, len(phi0)))  # (R, N, C, H, W)
    winner = lowest.unflatten(0, (restarts, len(phi0))).argmin(dim=0)
    x = pictures[winner, torch.arange(len(phi0), device=best.device)]
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
        kind = phi0.dtype if torch.is_tensor(phi0) else type(phi0).__name__
        raise InputError(f"phi0 must be a float tensor, the code to invert; got {kind}")
    if phi0.dim() < 2:
        raise InputError(f"phi0 must hold one code per picture, (N, ...), but has shape {tuple(phi0.shape)}")
    if not torch.isfinite(phi0).all():
        raise InputError(f"phi0 holds {(~torch.isfinite(phi0)).sum().item()} values that are NaN or infinite")
    silent = (phi0.flatten(1) == 0).all(dim=1).nonzero().flatten().tolist()
    if silent:
        raise InputError(f"phi0{silent} are all zeros: a silent layer cannot be inverted (nothing to divide by)")
    whole = all(isinstance(n, numbers.Integral) for n in (steps, restarts, jitter))
    if not whole or steps < 1 or restarts < 1 or jitter < 0:
        raise InputError(
            f"steps and restarts are whole numbers from 1 on, jitter from 0 on; got {steps}, {restarts}, {jitter}"
        )
    if jitter and (solver is lbfgs or isinstance(solver, functools.partial) and solver.func is lbfgs):
        raise InputError("jitter changes the loss at every evaluation, which L-BFGS cannot follow; pass solver=adam")
    if torch.is_inference_mode_enabled():
        raise InputError("invert needs gradients: call it outside torch.inference_mode()")
