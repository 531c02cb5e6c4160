r"""Two ways downhill, both as generators: each `yield` is one evaluation of the loss, and whoever loops may stop.

`adam` looks at one slope at a time and works with any picture and any loss, also one that changes from step to step.
`lbfgs` remembers the last few slopes, guesses from them how the landscape bends, and needs an eighth to a quarter of the
evaluations where the loss stays the same (measured on conv and pool layers).

==========  ===============================================
theta       $\theta$, the numbers that hold the picture
s, y        $s = \theta_{k+1} - \theta_k$,  $y = \nabla_{k+1} - \nabla_k$
rho         $\rho = 1 / s^\top y$
==========  ===============================================

The trap in a batch: torch's own L-BFGS sees N pictures as one long vector, so that one hard picture shortens the step of
all others.  Here every picture has its own memory and its own step length; only the forward and backward passes are
shared.

Sources: Kingma & Ba 2015, arXiv:1412.6980; Nocedal & Wright 2006, "Numerical Optimization", algorithms 3.1 and 7.4.
"""

import torch

from lecturekit.errors import InputError

MEMORY = 8  # pairs of L-BFGS
ARMIJO = 1e-4  # share of the promised descent that a step must deliver


def adam(picture, losses, *, rate=0.05):
    """Walk down with Adam.

    Args:
        picture: a module that gives pictures (N, C, H, W) when called, e.g. `parameterise.Pixels`.
        losses: pictures to one loss each (N,).
        rate: step size, in the units of the picture's parameters.
    Yields: (pictures (N, C, H, W), losses (N,)) of each evaluation, detached; without end.
    """
    optimiser = torch.optim.Adam(picture.parameters(), lr=rate)
    while True:
        x = picture()
        loss = losses(x)  # (N,)
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()  # the pictures are independent: their gradients do not mix
        yield x.detach(), loss.detach()
        optimiser.step()


def lbfgs(picture, losses, *, memory=MEMORY):
    """Walk down with limited-memory BFGS, one memory and one step length for each picture.

    Every evaluation is a trial for all pictures at once.  A picture whose loss fell enough accepts its trial, learns
    from it and turns; another halves its step and tries again from where it stood.

    Args, Yields: as for `adam`; ``picture`` must hold its parameters in one tensor ``theta`` (N, ...).
    Raises: InputError for a picture that mixes its parameters (`DeepPrior`).
    """
    theta = getattr(picture, "theta", None)
    if theta is None:
        raise InputError(f"lbfgs needs one row of parameters per picture; {type(picture).__name__} has none. Use adam.")
    count = len(theta)
    at, slope, loss = None, None, None  # where each picture stands: (N, D), (N, D), (N,)
    s, y, rho = (theta.new_zeros(memory, count, n) for n in (theta[0].numel(), theta[0].numel(), 1))
    step, direction = theta.new_ones(count, 1), None
    while True:
        x, trial_loss, trial_slope = evaluate(picture, losses)
        yield x, trial_loss
        trial = theta.detach().flatten(1).clone()
        if at is None:
            accepted = torch.ones(count, dtype=torch.bool, device=theta.device)
            at, slope, loss = trial, trial_slope, trial_loss
        else:
            promised = (slope * direction).sum(1) * step[:, 0]  # negative: the descent that the slope foretells
            accepted = trial_loss <= loss + ARMIJO * promised
            remember(s, y, rho, trial - at, trial_slope - slope, accepted)
            at, slope = (torch.where(accepted[:, None], new, old) for new, old in ((trial, at), (trial_slope, slope)))
            loss = torch.where(accepted, trial_loss, loss)
        turned = downhill(slope, s, y, rho)
        direction = turned if direction is None else torch.where(accepted[:, None], turned, direction)
        first = 1 / slope.abs().mean(1, keepdim=True).clamp(min=1e-12) * 0.1  # nothing known yet: move about 0.1
        fresh = torch.where((rho == 0).all(0), first, torch.ones_like(step))
        step = torch.where(accepted[:, None], fresh, step / 2)
        theta.data.copy_((at + step * direction).view_as(theta))


def evaluate(picture, losses):
    """Return pictures, losses (N,) and slopes (N, D) at the picture's present parameters."""
    x = picture()
    loss = losses(x)
    (slope,) = torch.autograd.grad(loss.sum(), picture.theta)
    return x.detach(), loss.detach(), slope.flatten(1)


def remember(s, y, rho, moved, bent, accepted):
    """Put the newest pair in front of the memory of each picture that accepted, in place.

    A pair with s'y <= 0 would make the curvature negative and the next direction an ascent: it is left out.
    """
    curvature = (moved * bent).sum(1, keepdim=True)  # (N, 1)
    keep = accepted & (curvature[:, 0] > 1e-10 * (bent * bent).sum(1))
    if keep.all():  # the common case, without copying by index
        for memory, newest in ((s, moved), (y, bent), (rho, 1 / curvature)):
            memory.copy_(memory.roll(1, dims=0))
            memory[0] = newest
    elif keep.any():
        for memory, newest in ((s, moved), (y, bent), (rho, 1 / curvature)):
            memory[1:, keep] = memory[:-1, keep].clone()
            memory[0, keep] = newest[keep]


def downhill(slope, s, y, rho):
    """Return ``-H slope`` for each picture: Nocedal & Wright, algorithm 7.4, the two-loop recursion.

    Empty places of the memory have rho = 0 and change nothing.  All tensors start with (memory, N, ...) or (N, ...).
    """
    q, alphas = slope.clone(), []
    used = int((rho != 0).any(dim=1).sum())
    for i in range(used):  # newest first
        alphas.append(rho[i] * (s[i] * q).sum(1, keepdim=True))
        q -= alphas[i] * y[i]
    if used:  # H_0 = s'y / y'y of the newest pair: how far the last step went per change of slope
        newest = (y[0] * y[0]).sum(1, keepdim=True) * rho[0]
        q *= torch.where(newest > 0, 1 / newest.clamp(min=1e-20), 1.0)
    for i in reversed(range(used)):
        q += s[i] * (alphas[i] - rho[i] * (y[i] * q).sum(1, keepdim=True))
    return -q
