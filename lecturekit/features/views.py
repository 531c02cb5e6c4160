r"""Look at the picture a little differently at every step, so that only what survives a second look is painted.

A picture that is optimised from one fixed position fills with a noise that means something to this network at this very
pixel grid.  Moved by a pixel, turned by a degree, the noise says nothing any more; an eye stays an eye.

    views(jitter=4, scale=0.1, degrees=10, blur=0.5)         a function (pictures, generator) -> pictures

All of it is one resampling (see `warp`), with other random numbers for every picture of the batch; the blur is drawn
between 0 and ``blur``.

Source: Olah, Mordvintsev & Schubert 2017, "Transformation robustness"; blur as in Yosinski et al. 2015,
arXiv:1506.06579, section 3.
"""

import math

import torch
from torch.nn.functional import conv2d, pad

from lecturekit.errors import InputError
from lecturekit.features.warp import warped


def views(*, jitter=0, scale=0.0, degrees=0.0, blur=0.0):
    """Return a function that looks at pictures a little differently each time.

    Args:
        jitter: shift by up to so many pixels, along each axis.
        scale: enlarge or shrink by up to this share, in [0, 0.9].
        degrees: turn by up to so many degrees.
        blur: standard deviation of a Gaussian, up to so many pixels.
    Returns: (pictures (N, C, H, W), generator) to pictures of the same shape; differentiable.
    Raises: InputError for negative numbers, or a scale that could lose the picture.
    """
    if not all(value >= 0 and math.isfinite(value) for value in (jitter, scale, degrees, blur)) or scale > 0.9:
        raise InputError(
            f"views take numbers from 0 on, and a scale up to 0.9; got jitter={jitter}, scale={scale}, "
            f"degrees={degrees}, blur={blur}"
        )

    def look(x, generator):
        down, right, size, turn, width = 2 * torch.rand(5, len(x), generator=generator) - 1  # always as many numbers
        if blur:
            x = blurred(x, blur * (width.abs().mean().item()))
        if not (jitter or scale or degrees):
            return x
        if not (scale or degrees):  # whole pixels: a shift round the edge, without resampling
            return x.roll((round(jitter * down[0].item()), round(jitter * right[0].item())), dims=(-2, -1))
        return warped(x, down=jitter * down, right=jitter * right, scale=(1 + scale) ** size, degrees=degrees * turn)

    return look


def blurred(x, sigma):
    """Return the pictures convolved with a Gaussian of ``sigma`` pixels, reflected at the border.  (N, C, H, W)."""
    reach = min(math.ceil(3 * sigma), *(side - 1 for side in x.shape[-2:]))
    if sigma <= 0 or not reach:
        return x
    offsets = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).repeat(x.shape[1], 1, 1, 1)  # (C, 1, 1, 2 reach + 1): each colour by itself
    x = pad(x, (reach,) * 4, mode="reflect")
    return conv2d(conv2d(x, weights, groups=x.shape[1]), weights.transpose(2, 3), groups=x.shape[1])
