r"""Two ways downhill, both as generators: each `yield` is one evaluation of the loss, and whoever loops may stop.

`adam` looks at one slope at a time and works with any picture and any loss, also one that changes from step to step.
`lbfgs` remembers the last few slopes and guesses from them how the landscape bends.  The loss must stay the same then;
on conv and pool layers it arrives where Adam does in an eighth to a quarter of the evaluations.

==========  ===============================================
theta       $\theta$, the numbers that hold the picture
s, y        $s = \theta_{k+1} - \theta_k$,  $y = \nabla_{k+1} - \nabla_k$, both scaled so that $s^\top y = 1$
==========  ===============================================

The trap in a batch: torch's own L-BFGS sees N pictures as one long vector, so that one hard picture shortens the step
of all others.  Here every picture has its own memory and its own step length; only the forward and backward passes are
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
    parameters = list(picture.parameters())
    optimiser = torch.optim.Adam(parameters, lr=rate)
    while True:
        x, loss, slopes = evaluate(picture, losses, parameters)
        yield x, loss
        for parameter, slope in zip(parameters, slopes, strict=True):
            parameter.grad = slope
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
    at = theta.detach().flatten(1).clone()  # where each picture stands, (N, D)
    x, loss, slope = evaluate_rows(picture, losses)  # its loss (N, 1) and slope (N, D) there
    yield x, loss[:, 0]
    s, y = [], []  # the memory, newest first, each (N, D)
    move = downhill(slope, s, y)  # where it goes from there, (N, D)
    while True:
        trial = at + move
        with torch.no_grad():
            theta.copy_(trial.view_as(theta))
        x, trial_loss, trial_slope = evaluate_rows(picture, losses)
        yield x, trial_loss[:, 0]
        promised = dot(slope, move)  # negative: the descent that the slope foretells
        accepted = trial_loss <= loss + ARMIJO * promised  # (N, 1)
        remember(s, y, move, trial_slope - slope, accepted, memory)
        at, loss, slope = update(accepted, (trial, trial_loss, trial_slope), (at, loss, slope))
        (move,) = update(accepted, (downhill(slope, s, y),), (move / 2,))


def evaluate(picture, losses, parameters):
    """Return pictures, losses (N,) and the slope for each parameter, where the picture stands now.

    The slopes are asked for by name: `backward` would also leave some in the weights of the network.
    """
    with torch.enable_grad():
        x = picture()
        loss = losses(x)
        slopes = torch.autograd.grad(loss.sum(), parameters)  # the pictures are independent: slopes do not mix
    return x.detach(), loss.detach(), slopes


def evaluate_rows(picture, losses):
    """Return the same for a picture with one tensor ``theta``, as rows: pictures, losses (N, 1) and slopes (N, D)."""
    x, loss, (slope,) = evaluate(picture, losses, [picture.theta])
    return x, loss[:, None], slope.flatten(1)


def dot(a, b):
    """Return the scalar product of each picture's row, (N, D) and (N, D) to (N, 1)."""
    return (a * b).sum(dim=1, keepdim=True)


def update(accepted, new, old):
    """Return the new tensors for the pictures that accepted, (N, 1), and the old ones for the others."""
    if accepted.all():  # the common case, without copies
        return new
    return [torch.where(accepted, a, b) for a, b in zip(new, old, strict=True)]


def remember(s, y, moved, bent, accepted, memory):
    """Put the newest pair in front of the memory of each picture that accepted, in place; the oldest falls out.

    A pair with s'y <= 0 would make the curvature negative and the next direction an ascent: it is left out.
    """
    curvature = dot(moved, bent)
    keep = accepted & (curvature > 1e-10 * dot(bent, bent))  # (N, 1)
    if not keep.any():
        return
    root = curvature.rsqrt()
    for memories, newest in ((s, moved * root), (y, bent * root)):
        shifted = [newest, *memories][:memory]
        unshifted = [*memories, torch.zeros_like(newest)]  # zeros mark an empty place
        memories[:] = update(keep, shifted, unshifted[: len(shifted)])


def downhill(slope, s, y):
    """Return ``-H slope`` for each picture (N, D): Nocedal & Wright, algorithm 7.4, the two-loop recursion.

    With pairs scaled to s'y = 1, the rho of the book is 1.  Empty places of the memory are zero and change nothing.
    """
    q, alphas = -slope, []
    for s_i, y_i in zip(s, y, strict=True):  # newest first
        alphas.append(dot(s_i, q))
        q.addcmul_(alphas[-1], y_i, value=-1)
    q *= first_guess(slope, y)
    for s_i, y_i, alpha in reversed(list(zip(s, y, alphas, strict=True))):
        q.addcmul_(alpha - dot(y_i, q), s_i)
    return q


def first_guess(slope, y):
    """Return the number (N, 1) that stands for ``H`` before the pairs refine it.

    It is s'y / y'y of the newest pair, how far the last step went per change of slope (their equation 7.20); while
    nothing is known, what moves the numbers of theta by about 0.1.
    """
    known = dot(y[0], y[0]) if y else torch.zeros_like(slope[:, :1])  # s'y = 1
    if known.all():
        return 1 / known
    return torch.where(known > 0, 1 / known, 0.1 / slope.abs().mean(dim=1, keepdim=True).clamp(min=1e-12))
