r"""How alike two pictures are, or two codes.  Every function gives one number for each picture, (N,).

=========================  ===================================  ===============================================
`psnr`                     $10 \log_{10}(1 / \mathrm{MSE})$     20 dB: a tenth of the range off; 40: a hundredth
`ssim`                     Wang et al. 2004                     1: the same structure; below 0.3: unrecognisable
`feature_error`            $\|\Phi-\Phi_0\|^2 / \|\Phi_0\|^2$   Mahendran & Vedaldi: squared, by its own norm
`feature_error_unsquared`  $\|\Phi-\Phi_0\| / \|\Phi_0\|$       Engstrom et al.: the square root of that
`pixel_error`              $\|x-x_0\| / \bar d$                 Dosovitskiy & Brox: by the mean distance of pairs
=========================  ===================================  ===============================================

An error of 0.1 is excellent in the first normalisation, 0.32 in the second for the very same picture, and means nothing
comparable in the third.  So no function here is called just "error".

Sources: PSNR and SSIM as in Wang et al. 2004, "Image quality assessment"; the limit of 0.3 is that of He et al. 2019,
"Model inversion attacks against collaborative inference"; arXiv:1412.0035, arXiv:1906.00945, arXiv:1506.02753.
"""

import torch

from lecturekit.errors import InputError
from lecturekit.pixels import check_pixels

WINDOW, SIGMA = 11, 1.5  # pixels: the Gaussian window of Wang et al. 2004, section III-C
C1, C2 = 0.01**2, 0.03**2  # their constants (K L)^2 for pictures in [0, 1]


def psnr(x, x0):
    """Return the peak signal-to-noise ratio in dB, (N,); infinite where the pictures are equal.

    Args:
        x, x0: pictures (N, C, H, W) in [0, 1].
    Raises: InputError for pictures that are none, or of different shape.
    """
    check_pair(x, x0)
    return -10 * (x - x0).flatten(1).pow(2).mean(dim=1).log10()  # the peak is 1


def ssim(x, x0):
    """Return the structural similarity, (N,), at most 1: the mean over all windows and colours.

    It compares the mean, the contrast and the pattern in a small Gaussian window around every pixel, and so forgives a
    change of light that PSNR punishes.  Windows that reach beyond the border are left out.

    Args:
        x, x0: pictures (N, C, H, W) in [0, 1], at least 11 pixels high and wide.
    Raises: InputError for pictures that are none, too small, or of different shape.
    """
    check_pair(x, x0)
    if min(x.shape[-2:]) < WINDOW:
        raise InputError(f"ssim needs pictures of at least {WINDOW}×{WINDOW} pixels, got {x.shape[-2]}×{x.shape[-1]}")
    x, x0 = x.double(), x0.double()  # variances are differences of nearly equal numbers
    mean, mean0 = _blur(x), _blur(x0)
    variance, variance0 = _blur(x * x) - mean**2, _blur(x0 * x0) - mean0**2
    covariance = _blur(x * x0) - mean * mean0
    alike = (2 * mean * mean0 + C1) * (2 * covariance + C2)  # Wang et al. 2004, equation 13
    return (alike / ((mean**2 + mean0**2 + C1) * (variance + variance0 + C2))).mean(dim=(1, 2, 3)).float()


def correlation(x, x0):
    """Return Pearson's correlation over all pixels and colours, (N,); 0 where one of the pictures is constant.

    Args:
        x, x0: pictures or codes (N, ...) of the same shape, any range.
    """
    check_shapes(x, x0)
    x, x0 = (rows - rows.mean(dim=1, keepdim=True) for rows in (x.double().flatten(1), x0.double().flatten(1)))
    return torch.nn.functional.cosine_similarity(x, x0, dim=1, eps=1e-12).float()


def rank_correlation(x, x0):
    """Return Spearman's correlation, (N,): Pearson's correlation of the ranks; equal values share their mean rank.

    Args:
        x, x0: pictures or codes (N, ...) of the same shape, any range.
    Raises: InputError for different shapes.
    """
    check_shapes(x, x0)
    return correlation(ranks(x), ranks(x0))


def ranks(x):
    """Return the rank of each value within its picture, 1 for the smallest; (N, ...) -> (N, D), double precision."""
    found = x.new_empty(len(x), x[0].numel(), dtype=torch.float64)
    for row, values in zip(found, x.flatten(1), strict=True):
        _, group, size = values.unique(return_inverse=True, return_counts=True)
        last = size.cumsum(0)  # rank of the last of each group of equals
        row.copy_((last - (size - 1) / 2)[group])
    return found


def feature_error(phi, phi0):
    r"""Return $\|\Phi - \Phi_0\|^2 / \|\Phi_0\|^2$, (N,): 0 for the same code, 1 for a code of zeros.

    Divided by the code's *own squared norm*, so that one number means the same at every layer.  Differentiable; it is
    what inversion makes smaller.

    Args:
        phi, phi0: codes (N, ...) of the same shape.
    Raises: InputError for different shapes, or if a code of ``phi0`` is zero and so has no scale.
    Source: Mahendran & Vedaldi 2015, arXiv:1412.0035, equation 1.
    """
    check_shapes(phi, phi0, "phi", "phi0")
    scale = phi0.flatten(1).pow(2).sum(dim=1)
    if not scale.all():
        silent = (scale == 0).nonzero().flatten().tolist()
        raise InputError(f"the codes phi0{silent} are all zeros: nothing in the picture made this layer answer")
    return (phi - phi0).flatten(1).pow(2).sum(dim=1) / scale


def feature_error_unsquared(phi, phi0):
    r"""Return $\|\Phi - \Phi_0\| / \|\Phi_0\|$, (N,): the square root of `feature_error`.

    Source: Engstrom et al. 2019, arXiv:1906.00945.
    """
    return feature_error(phi, phi0).sqrt()


def pixel_error(x, x0, mean_distance):
    r"""Return $\|x - x_0\| / \bar d$, (N,): 0 is exact, 1 as bad as another picture drawn by lot.

    Args:
        x, x0: pictures (N, C, H, W) in [0, 1].
        mean_distance: $\bar d$, the mean distance of two pictures of the data set; see `random_pair_distance`.
    Raises: InputError for pictures that are none, or of different shape.
    Source: Dosovitskiy & Brox 2016, arXiv:1506.02753; not squared.
    """
    check_pair(x, x0)
    return (x - x0).flatten(1).norm(dim=1) / mean_distance


def random_pair_distance(images, pairs=1000, seed=0):
    """Return the mean Euclidean distance of two different pictures drawn by lot, a float.

    Args:
        images: (N, C, H, W) in [0, 1], at least two.
        pairs: how many pairs are drawn.
        seed: of the draw.
    """
    check_pixels(images, "images")
    if len(images) < 2:
        raise InputError(f"a pair needs at least two pictures, got {len(images)}")
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(images), (pairs,), generator=generator)
    step = torch.randint(1, len(images), (pairs,), generator=generator)  # at least 1: never a picture and itself
    distances = [(images[i] - images[j]).norm() for i, j in zip(first, (first + step) % len(images), strict=True)]
    return torch.stack(distances).mean().item()


def check_pair(x, x0):
    """Refuse what are not two batches of pictures of the same shape."""
    check_shapes(check_pixels(x, "x"), check_pixels(x0, "x0"))


def check_shapes(x, x0, name="x", name0="x0"):
    """Refuse two tensors of different shape: broadcasting would compare every picture with every other."""
    if x.shape != x0.shape:
        raise InputError(
            f"{name} has shape {tuple(x.shape)} but {name0} has {tuple(x0.shape)}; to compare all with one, "
            f"pass {name}.expand_as({name0})"
        )


def _blur(x):
    """Return the weighted mean in the window around every pixel that has a whole one, (N, C, H - 10, W - 10)."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    weights = (weights / weights.sum()).repeat(x.shape[1], 1, 1, 1)  # (C, 1, 1, 11): each colour by itself
    x = torch.nn.functional.conv2d(x, weights, groups=x.shape[1])
    return torch.nn.functional.conv2d(x, weights.transpose(2, 3), groups=x.shape[1])
