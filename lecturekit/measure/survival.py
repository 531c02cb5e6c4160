"""What of a picture survives in a reconstruction when its pixels do not: colours, place, parts, sharpness.

A reconstruction from ``fc8`` is far from its original in every pixel and still shows a red boat on the left.  PSNR
cannot say so; these four can.
"""

import torch

from lecturekit.errors import InputError
from lecturekit.measure.likeness import check_pair, check_shapes
from lecturekit.pixels import check_pixels

GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue in the brightness that the eye sees (ITU-R BT.601)


def colour_distance(x, x0):
    """Return how far colours have moved, wherever they are in the picture, (N,): 0 for the same colours.

    The earth mover's distance between the two histograms of red, and likewise of green and blue, averaged: by how much,
    in units of the range [0, 1], the values must change on average until the histograms agree.  Sorting solves it
    without bins (Vallender 1974).

    Args:
        x, x0: pictures (N, C, H, W) in [0, 1].
    """
    check_pair(x, x0)
    return (x.flatten(2).sort(dim=2).values - x0.flatten(2).sort(dim=2).values).abs().mean(dim=(1, 2))


def centroid(weights):
    """Return the centre of mass of each map, (N, 2): row and column in pixels, counted from 0 at the top left.

    Args:
        weights: (N, H, W), none negative: a mask, a heat map, or how far each pixel is from the background.
    Raises: InputError for negative weights, or if a map is zero everywhere and so has no centre.
    """
    weights = weights.double() if isinstance(weights, torch.Tensor) else torch.as_tensor(weights).double()
    if weights.dim() != 3:
        raise InputError(f"centroid needs maps (N, H, W), got shape {tuple(weights.shape)}")
    if (weights < 0).any():
        raise InputError(f"the weights of a centroid must not be negative, but one is {weights.min().item():.4g}")
    total = weights.sum(dim=(1, 2))
    if not total.all():
        raise InputError(f"maps {(total == 0).nonzero().flatten().tolist()} are zero everywhere: they have no centre")
    rows, columns = (torch.arange(side, dtype=weights.dtype, device=weights.device) for side in weights.shape[1:])
    row, column = (weights.sum(dim=2) * rows).sum(dim=1), (weights.sum(dim=1) * columns).sum(dim=1)
    return (torch.stack([row, column], dim=1) / total[:, None]).float()


def part_iou(mask_a, mask_b):
    """Return the overlap of two masks: pixels in both, divided by pixels in either, (N,).

    NaN where both masks are empty: such a picture says nothing about the part and must be left out, not counted as 0.

    Args:
        mask_a, mask_b: bool (N, H, W).
    Raises: InputError for other dtypes or different shapes.
    """
    for name, mask in (("mask_a", mask_a), ("mask_b", mask_b)):
        if mask.dtype != torch.bool:
            raise InputError(f"{name} must be a bool tensor, got {mask.dtype}; a mask is a comparison, e.g. parts == 7")
    check_shapes(mask_a, mask_b, "mask_a", "mask_b")
    both, either = ((m.sum(dim=(-2, -1))).double() for m in (mask_a & mask_b, mask_a | mask_b))
    return (both / either).float()  # 0 / 0 is NaN


def sharpness(x):
    """Return the variance of the Laplacian of the brightness, (N,): 0 for a constant picture, small for a blurred one.

    Args:
        x: pictures (N, C, H, W) in [0, 1], at least 3 pixels high and wide.
    Source: Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy".
    """
    check_pixels(x, "x")
    if min(x.shape[-2:]) < 3:
        raise InputError(f"sharpness needs pictures of at least 3×3 pixels, got {x.shape[-2]}×{x.shape[-1]}")
    grey = (x * x.new_tensor(GREY).view(1, 3, 1, 1)).sum(dim=1) if x.shape[1] == 3 else x.mean(dim=1)  # (N, H, W)
    middle, neighbours = grey[..., 1:-1, 1:-1], (
        grey[..., :-2, 1:-1], grey[..., 2:, 1:-1], grey[..., 1:-1, :-2], grey[..., 1:-1, 2:]
    )  # fmt: skip
    return (sum(neighbours) - 4 * middle).var(dim=(1, 2), correction=0)
