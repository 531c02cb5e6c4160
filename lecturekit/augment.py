"""Pictures, slightly changed: what a classifier should not care about is varied while it trains.

All functions take and give float pictures (N, C, H, W) in [0, 1] and draw from the given generator only, which lives on
the processor: the same pictures come out wherever ``x`` lies.
"""

import torch


def pixels(images):
    """Turn stored pictures (N, H, W, C), uint8, into float pictures (N, C, H, W) in [0, 1].

    The result is a view with the channels last in memory: the layout in which convolutions on a processor are a tenth
    to a fifth faster, for free.
    """
    return images.permute(0, 3, 1, 2).float() / 255


def mirror(x, generator):
    """Mirror every second picture, on average, left to right."""
    flip = torch.rand(len(x), generator=generator).to(x.device) < 0.5
    return torch.where(flip[:, None, None, None], x.flip(-1), x)


def shift(x, generator, pad):
    """Move every picture by up to ``pad`` pixels each way; what comes in at the border is mirrored."""
    count, _, height, width = x.shape
    padded = torch.nn.functional.pad(x, (pad, pad, pad, pad), mode="reflect")
    top, left = torch.randint(2 * pad + 1, (2, count), generator=generator)
    rows = (top[:, None] + torch.arange(height))[:, :, None]  # (N, H, 1)
    columns = (left[:, None] + torch.arange(width))[:, None, :]  # (N, 1, W)
    moved = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows, columns]  # (N, H, W, C)
    return moved.permute(0, 3, 1, 2)


def light(x, generator, strength):
    """Multiply each picture by 1 +- ``strength`` at most and shift each of its colours by half of that at most."""
    gain = 1 + strength * (2 * torch.rand(len(x), 1, 1, 1, generator=generator) - 1)
    tint = strength / 2 * (2 * torch.rand(len(x), x.shape[1], 1, 1, generator=generator) - 1)
    return (x * gain.to(x) + tint.to(x)).clamp(0, 1)


def mixed(x, generator, weight):
    """Blend each picture with another of the batch; returns ``weight * x + (1 - weight) * x[order]`` and ``order``.

    Zhang et al. 2018, mixup, arXiv:1710.09412.
    """
    order = torch.randperm(len(x), generator=generator)
    return weight * x + (1 - weight) * x[order], order


def moved(images, generator):
    """Return stored pictures (N, H, W, C) as pixels, each shifted, mirrored and lit a little differently."""
    return light(mirror(shift(pixels(images), generator, pad=3), generator), generator, strength=0.15)


def seen_badly(images, generator):
    """Return them `moved`, and every second batch blurred: a judge of reconstructions must bear that."""
    x = moved(images, generator)
    return coarse(x, generator, smallest=12) if torch.rand(1, generator=generator) < 0.5 else x


def coarse(x, generator, smallest):
    """Shrink all pictures to a side between ``smallest`` and their own, and enlarge them again: what blur leaves."""
    side = int(torch.randint(smallest, x.shape[-1] + 1, (1,), generator=generator))
    small = torch.nn.functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return torch.nn.functional.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)
