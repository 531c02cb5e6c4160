"""What of a picture is still in its reconstruction: detail, colour, place, parts, class.

Each function compares reconstructions with originals, (N, 3, H, W) in [0, 1], and returns one number per picture.
"""

import torch
from torch.nn.functional import max_pool2d

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
    return (mean_colour(x, mask) - mean_colour(x0, mask)).norm(dim=1)


def mean_colour(x, mask):
    """Return the mean colour (N, C) of the pixels in ``mask`` (N, H, W), at least one in each picture."""
    weights = mask[:, None].to(x.dtype)
    return (x * weights).sum(dim=(-2, -1)) / weights.sum(dim=(-2, -1))


def part_contrast(x, x0, mask):
    """Return how much is left of the contrast between a part and what surrounds it, (N,).

    1: as different as in the original; 0: the part has faded into its surroundings; below 0: its colours have changed
    sides.  Only the direction counts in which part and surroundings differed in the original.

    Args:
        mask: (N, H, W) bool, where the part is in the original; at least one pixel in each picture, and not all.
    """
    check_pair(x, x0)
    now, before = step(x, mask), step(x0, mask)
    return (now * before).sum(dim=1) / (before * before).sum(dim=1).clamp(min=1e-12)


def step(x, mask):
    """Return the mean colour of a part minus that of the two pixels round it, (N, C)."""
    grown = max_pool2d(mask[:, None].to(x.dtype), kernel_size=5, stride=1, padding=2)[:, 0] > 0
    return mean_colour(x, mask) - mean_colour(x, grown & ~mask)


def parts_left(x, x0, parts, *, smallest=4, largest=4000, contrast=0.1):
    """Return the mean `part_contrast` over the parts of each picture, (N,); NaN where a picture has none to count.

    Args:
        parts: (N, H, W), the number of the part in each pixel; 0 is the background.
        smallest, largest: pixels of the parts that count.
        contrast: least `step` of a part in the original; what does not stand out cannot fade.
    """
    total, count = x.new_zeros(len(x)), x.new_zeros(len(x))
    for part in parts[parts > 0].unique():
        mask = parts == part
        pixels = mask.sum(dim=(1, 2))
        chosen = (pixels >= smallest) & (pixels <= largest)
        chosen[chosen.clone()] = step(x0[chosen], mask[chosen]).norm(dim=1) >= contrast
        total[chosen] += part_contrast(x[chosen], x0[chosen], mask[chosen])
        count[chosen] += 1
    return total / count


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


def neighbour_agrees(x, labels):
    """Tell of each picture whether the one most similar to it, in pixels, has the same label, (N,) bool.

    Nobody has to recognise anything: it is enough that one class is rebuilt differently from another.
    """
    distances = torch.cdist(x.flatten(1), x.flatten(1)).fill_diagonal_(torch.inf)
    return labels[distances.argmin(dim=1)] == labels
