r"""What a natural picture looks like, as two numbers to make smaller.

Many pictures have the same code.  Without a prior, optimisation finds one of the noisy ones; these two terms ask for
one that could be a photograph.

=================  ============================================================================================
alpha_norm         $R_\alpha(x) = \sum_{ij} (\sum_c (x_{cij} - \frac12)^2)^{\alpha/2}$: stay near the middle grey
total_variation    $R_V(x) = \sum_{cij} ((x_{i+1,j} - x_{ij})^2 + (x_{i,j+1} - x_{ij})^2)^{\beta/2}$: be piecewise smooth
=================  ============================================================================================

The scale of both depends on the number of pixels and on their range, so the weights of one paper mean nothing in another
program.  `natural` therefore divides each by what it is for a typical picture, as Mahendran & Vedaldi did in 2016; its
weights are plain numbers near one.

The trap: slicing ``x[:, 1:, :-1]`` on a batch compares colours with each other, not rows.  A well-known teaching
repository does it; a picture of vertical stripes then has a total variation of zero.

Source: Mahendran & Vedaldi 2016, arXiv:1512.02017, sections 3.2 and 4; constants from the authors' code.
"""

ALPHA, BETA = 6, 2
B = 80 / 255  # typical distance of a pixel's colour from the mean, in [0, 1] units
V = B / 6.5  # typical length of the gradient in one pixel


def alpha_norm(x, alpha=ALPHA):
    """Sum of each pixel's distance from middle grey to the power alpha: it bounds the range.  (N, C, H, W) -> (N,)."""
    return ((x - 0.5) ** 2).sum(dim=1).pow(alpha / 2).sum(dim=(-2, -1))


def total_variation(x, beta=BETA):
    """Roughness of each picture.  (N, C, H, W) -> (N,)

    The last row and the last column have no neighbour below or to the right and are left out of the sum.
    For ``beta`` below 2 edges cost less than slopes of the same height, and the result shows isolated spikes.
    """
    down = x[..., 1:, :-1] - x[..., :-1, :-1]  # '...' protects N and C: x[:, 1:, :-1] on a batch
    right = x[..., :-1, 1:] - x[..., :-1, :-1]  # would compare colours instead of rows
    squared = down**2 + right**2
    if beta != 2:  # the root of zero has no finite slope
        squared = squared.clamp(min=1e-10).pow(beta / 2)
    return squared.sum(dim=(-3, -2, -1))


def natural(*, alpha=1.0, tv=1.0):
    """Return the prior ``alpha * R_alpha + tv * R_V``, each divided by its size for a typical picture.

    Args:
        alpha, tv: weights; 0 leaves a term out.
    Returns: pictures (N, C, H, W) to one number each (N,); about ``alpha + tv`` for a photograph.
    """

    def prior(x):
        pixels = x.shape[-2] * x.shape[-1]
        cost = 0 * x[:, 0, 0, 0]  # keeps shape (N,), device and type when both weights are zero
        if alpha:
            cost = cost + alpha / (pixels * B**ALPHA) * alpha_norm(x)
        if tv:
            cost = cost + tv / (pixels * V**BETA) * total_variation(x)
        return cost

    return prior
