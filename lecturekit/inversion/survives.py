"""What of a picture is still in its reconstruction: detail, colour, place.

Each function compares reconstructions with originals, (N, 3, H, W) in [0, 1], and returns one number per picture.
"""

import torch

from lecturekit.measure import centroid
from lecturekit.measure.likeness import check_pair

FINE = 1 / 8  # cycles per pixel: waves shorter than eight pixels are detail, longer ones are layout


def band(x, *, low=0.0, high=1.0):
    """Keep the waves with ``low <= frequency < high``, in cycles per pixel.  (N, C, H, W) -> (N, C, H, W)."""
    rows = torch.fft.fftfreq(x.shape[-2], device=x.device)[:, None]
    columns = torch.fft.rfftfreq(x.shape[-1], device=x.device)[None, :]
    frequency = (rows**2 + columns**2).sqrt()
    kept = torch.fft.rfft2(x) * ((frequency >= low) & (frequency < high))
    return torch.fft.irfft2(kept, s=x.shape[-2:])


def band_correlation(x, x0, *, low=0.0, high=1.0):
    """Return how well a band of waves agrees with the original's, (N,): 1 for the same, 0 for unrelated ones."""
    check_pair(x, x0)
    a, b = (band(each, low=low, high=high).flatten(1) for each in (x, x0))
    a, b = (each - each.mean(dim=1, keepdim=True) for each in (a, b))
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-12)


def detail(x, x0):
    """Return the agreement of waves shorter than eight pixels, (N,): edges and texture."""
    return band_correlation(x, x0, low=FINE)


def layout(x, x0):
    """Return the agreement of waves longer than eight pixels, (N,): where what is, roughly."""
    return band_correlation(x, x0, high=FINE)


def colour_error(x, x0, mask):
    """Return how far the object's mean colour has moved, (N,), as a distance between colours in [0, 1].

    Args:
        mask: (N, H, W) bool, where the object is in the original; at least one pixel each.
    """
    check_pair(x, x0)
    weights = mask[:, None].to(x.dtype)
    moved = ((x - x0) * weights).sum(dim=(-2, -1)) / weights.sum(dim=(-2, -1))  # (N, C)
    return moved.norm(dim=1)


def place_error(x, x0):
    """Return how many pixels the middle of what stands out has moved, (N,).

    What stands out is what differs from the colour of the frame: it needs no mask, so it can be asked of any picture.
    """
    check_pair(x, x0)
    return (centroid(standing_out(x)) - centroid(standing_out(x0))).norm(dim=1)


def standing_out(x, border=3):
    """Return each pixel's squared distance from the mean colour of the frame, (N, H, W)."""
    frame = torch.ones(x.shape[-2:], dtype=torch.bool, device=x.device)
    frame[border:-border, border:-border] = False
    return ((x - x[..., frame].mean(dim=-1)[..., None, None]) ** 2).sum(dim=1) + 1e-12  # never zero everywhere
