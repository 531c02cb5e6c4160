r"""What a natural picture looks like, as two numbers to make smaller.

Many pictures have the same code.  Without a prior, optimisation finds one of the noisy ones; these two terms ask for
one that could be a photograph.

=================  ==========================================================================================
alpha_norm         $R_\alpha(x) = \sum_{ij} (\sum_c (x_{cij} - \frac12)^2)^{\alpha/2}$: stay near the middle grey
total_variation    $R_V(x) = \sum_{cij} ((x_{i+1,j} - x_{ij})^2 + (x_{i,j+1} - x_{ij})^2)^{\beta/2}$: be smooth
=================  ==========================================================================================

The scale of both depends on the number of pixels and on their range, so the weights of one paper mean nothing in
another program.  `natural` therefore divides each by what it is for a typical picture, as Mahendran & Vedaldi did in
2016; its weights are plain numbers.

The trap: slicing ``x[:, 1:, :-1]`` on a batch compares colours with each other, not rows.  A well-known teaching
repository does it; a picture of vertical stripes then has a total variation of zero.

Source: Mahendran & Vedaldi 2016, arXiv:1512.02017, sections 3.2 and 4; constants from the authors' code.
"""

import torch
from torch.autograd.function import once_differentiable

ALPHA, BETA = 6, 2
B = 80 / 255  # typical distance of a pixel's colour from the mean, in [0, 1] units
V = B / 6.5  # typical length of the gradient in one pixel
SMOOTH = 1e-10  # squared differences far below a grey level: 1e-5 of the range


def alpha_norm(x, alpha=ALPHA):
    """Sum of each pixel's distance from middle grey to the power alpha: it bounds the range.  (N, C, H, W) -> (N,)

    ``alpha`` is at least 2; below, middle grey itself has no slope.
    """
    return ((x - 0.5) ** 2).sum(dim=1).pow(alpha / 2).sum(dim=(-2, -1))


def total_variation(x, beta=BETA):
    """Roughness of each picture.  (N, C, H, W) -> (N,)

    The last row and the last column have no neighbour below or to the right and are left out of the sum.
    For ``beta`` below 2 edges cost less than slopes of the same height, and the result shows isolated spikes.
    """
    here = x[..., :-1, :-1]  # '...' protects N and C: x[:, 1:, :-1] on a batch
    down = x[..., 1:, :-1] - here  # would compare colours instead of rows
    right = x[..., :-1, 1:] - here
    squared = down**2 + right**2
    if beta != 2:  # the root of zero has no finite slope: move the corner a little, and the value back
        squared = (squared + SMOOTH).pow(beta / 2) - SMOOTH ** (beta / 2)
    return squared.sum(dim=(-3, -2, -1))


def natural(*, alpha=1.0, tv=1.0):
    """Return the prior ``alpha * R_alpha + tv * R_V``, each divided by its size for a typical picture.

    Args:
        alpha, tv: weights; 0 leaves a term out.
    Returns: pictures (N, C, H, W) to one number each (N,); about ``alpha + tv`` for a photograph.
    """

    def prior(x):
        pixels = x.shape[-2] * x.shape[-1]
        return WeightedSum.apply(x, alpha / (pixels * B**ALPHA), tv / (pixels * V**BETA))

    return prior


class WeightedSum(torch.autograd.Function):
    """``a * alpha_norm(x) + b * total_variation(x)`` for alpha 6 and beta 2, with the gradient written out.

    Optimisation asks for it at every step, and autograd would take about a tenth of the time that a small network takes
    for its own passes; by hand it is little more than half.  The values come for free: a term of degree d in
    z = x - 1/2 is its own slope times z, divided by d (Euler's theorem).
    """

    @staticmethod
    def forward(ctx, x, a, b):
        """(N, C, H, W) -> (N,); the gradient is made on the way, since both need the same differences."""
        z = x.detach() - 0.5
        down, right = z[..., 1:, :-1] - z[..., :-1, :-1], z[..., :-1, 1:] - z[..., :-1, :-1]
        far = (z * z).sum(dim=1, keepdim=True)  # (N, 1, H, W): squared distance from grey, d^2
        loud = z * far.square_().mul_(a)  # a sixth of the slope of a R_alpha: the sum of d^6 has 6 d^4 z
        rough = torch.zeros_like(z)  # half the slope of b R_V: each difference draws its two pixels together
        rough[..., 1:, :-1] = down
        rough[..., :-1, 1:] += right
        rough[..., :-1, :-1] -= down.add_(right)
        rough *= b
        cost = (z * (rough + loud)).sum(dim=(1, 2, 3))
        grad = rough.mul_(2).add_(loud, alpha=6)
        ctx.save_for_backward(grad)
        return cost

    @staticmethod
    @once_differentiable
    def backward(ctx, weight):
        """(N,) -> (N, C, H, W)."""
        (grad,) = ctx.saved_tensors
        return weight.view(-1, 1, 1, 1) * grad, None, None
