r"""Attacks that follow the gradient of a score, inside a ball of pixels around the clean picture.

==========  =======================================================
eps         $\epsilon$, radius of the L-infinity ball, in pixel units
alpha       $\alpha$, step size, in pixel units
score       what the attacker makes larger; one number per picture
==========  =======================================================

The trap: a gradient of NaN becomes ``sign(nan) = 0`` in torch, the attack does nothing, and the network looks robust.
"""

import math

import torch

from lecturekit.errors import InputError, ModelError
from lecturekit.pixels import check_pixels


def untargeted(y):
    """Return the score "anything but the true class": cross-entropy of the labels ``y``.

    Args:
        y: the true classes, whole numbers (N,).
    Returns: logits (N, K) to scores (N,); raises InputError if the labels do not fit them.
    """

    def score(logits):
        classes = logits.shape[-1]
        if y.dtype != torch.long or y.shape != logits.shape[:1] or (len(y) and not 0 <= y.min() <= y.max() < classes):
            raise InputError(
                f"labels must be {len(logits)} whole numbers (int64) from 0 to {classes - 1}, one per picture, "
                f"got {y.dtype} of shape {tuple(y.shape)}"
                + (f" from {y.min().item():g} to {y.max().item():g}" if y.numel() else "")
            )
        return torch.nn.functional.cross_entropy(logits, y, reduction="none")

    return score


def project_linf(x, x0, eps):
    """Return the point nearest to ``x`` with ``|x - x0| <= eps`` in every pixel and inside [0, 1]."""
    return torch.clamp(torch.maximum(torch.minimum(x, x0 + eps), x0 - eps), 0, 1)


def pgd(model, x0, score, *, eps, alpha, steps, generator=None):
    """Climb ``score`` from a random point near ``x0`` without leaving the L-infinity epsilon-ball.

    FGSM trusts the gradient at ``x0`` across the whole ball.  PGD takes small steps and measures the gradient again
    where the image now is.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K); in eval mode.
        x0: clean images (N, C, H, W), float, in [0, 1].
        score: logits (N, K) to scores (N,), e.g. ``untargeted(y)``; larger is better for the attacker.
        eps, alpha: ball radius and step size in pixel units, e.g. 8/255 and 2/255.
        steps: how often the gradient is measured.
        generator: source of the random start, on the processor; None for a fresh one with seed 0.
    Returns: images (N, C, H, W) in [0, 1] with ``|x - x0| <= eps``; some may still be classified correctly.
    Raises: ModelError if the model is in training mode or its gradient is not finite; InputError if eps, alpha or steps
        make no sense, or x0 does not hold pixels.
    Source: Madry et al. 2018, arXiv:1706.06083, section 2.1.
    """
    check_attack(model, eps, alpha, steps)
    x0 = check_pixels(x0, "x0").detach()
    generator = generator or torch.Generator().manual_seed(0)
    start = eps * (2 * torch.rand(x0.shape, generator=generator) - 1)
    x = project_linf(x0 + start.to(x0), x0, eps)  # x0 itself can sit where the gradient is flat
    for _ in range(steps):
        x.requires_grad_(True)
        with torch.enable_grad():
            total = score(model(x)).sum()  # images are independent: one sum, N separate gradients
        (grad,) = torch.autograd.grad(total, x)  # (N, C, H, W)
        if not torch.isfinite(grad).all():
            raise ModelError("the gradient holds NaN or infinite values; its sign would silently be zero")
        x = project_linf(x.detach() + alpha * grad.sign(), x0, eps)  # + climbs; the sign lives in `score`
    return x.detach()


def check_attack(model, eps, alpha, steps):
    """Refuse what would make an attack weak, and the network look robust, without a word."""
    if any(part.training for part in model.modules()):
        raise ModelError("pgd needs model.eval(): in training mode dropout and batch norm change the model every step")
    if torch.is_inference_mode_enabled():
        raise InputError("pgd needs gradients: call it outside torch.inference_mode()")
    if not 0 <= eps <= 1:
        raise InputError(f"eps must lie in [0, 1] pixel units but is {eps}; for eight grey levels pass 8/255")
    if not (alpha >= 0 and math.isfinite(alpha)):
        raise InputError(f"alpha must be a step size in pixel units, e.g. eps / 4, but is {alpha}")
    if not (isinstance(steps, int) and steps >= 1):
        raise InputError(f"steps must be a whole number from 1 on but is {steps}")


def survivors(model, x, y, *, eps, alpha, steps, restarts, seed=0):
    """Tell which pictures stay right under PGD with several restarts: (N,) bool, clean mistakes counted as fallen.

    A picture that fell once is out: the next restart works on what is still right.  Arguments and errors as for `pgd`.
    """
    check_attack(model, eps, alpha, steps)  # before the first forward pass: in training mode it would move batch norm
    with torch.no_grad():
        right = model(x).argmax(1) == y
    for restart in range(restarts):
        left = right.nonzero().flatten()
        if not len(left):
            break
        generator = torch.Generator().manual_seed(seed + restart)
        found = pgd(model, x[left], untargeted(y[left]), eps=eps, alpha=alpha, steps=steps, generator=generator)
        with torch.no_grad():
            right[left] = model(found).argmax(1) == y[left]  # re-measured after projection, by a fresh forward pass
    return right
