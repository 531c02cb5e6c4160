r"""To which waves does a layer listen?  Fine or coarse, and does their direction matter?

**Dominant frequency**, of a whole layer.  Add a little noise to natural pictures, all of it from one band of
frequencies, of equal energy in each band, and see by how much the layer's code moves:

    S(band) = mean |Phi(x + n) - Phi(x)|^2          log2 f = sum S log2(centre of band) / sum S

Where the code moves most, the layer listens.  This is a property of the layer on pictures as they are, one number for
all its filters.  Two ideas that were tried and rejected: the spectrum of the gradient of a unit with respect to the
picture is dominated by the fine grain of ReLU and pooling switches and stays the same from conv2 on; and the grating
that a deep unit likes best tells little, because gratings are nothing that deep units were made for.

**Orientation selectivity**, of each filter, is what gratings are good for, as in the physiology of vision: show bars of
many directions $\theta$ and frequencies, take the frequency that the filter likes best, and see how one-sided it is:

    |sum r(theta) exp(2 i theta)| / sum r(theta)        0: all directions alike    1: one direction only

The factor 2: bars turned by 180 degrees are the same bars.

Source of the second measure: Ringach, Shapley & Hawken 2002, "Orientation selectivity in macaque V1" (they report one
minus this number as circular variance).
"""

import math

import torch

from lecturekit.capture import activations
from lecturekit.features.stream import as_maps

BANDS = tuple(2.0 ** (-6.25 + 0.5 * i) for i in range(12))  # cycles per pixel: borders, half an octave apart
NOISE = 0.005  # root mean square of the noise, in pixel units: one grey level, so the answer stays linear
FREQUENCIES = (1 / 32, 1 / 16, 1 / 8, 1 / 5.66, 1 / 4, 1 / 2.83)  # cycles per pixel of the gratings
DIRECTIONS = 8
PHASES = 4
CONTRAST = 0.4  # bars from 0.1 to 0.9


def sensitivity(model, layers, x, *, bands=BANDS, seed=0):
    """Return by how much each layer's code moves for noise of each band, {layer: (B,)}.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        layers: names.
        x: natural pictures (N, C, H, W) in [0, 1].
        bands: B + 1 borders in cycles per pixel, rising.
        seed: of the noise.
    Returns: mean squared change of the code per picture, for noise of equal energy in each band.
    """
    x = 0.05 + 0.9 * x  # pixels at black and white must be free to move both ways
    quiet, moved = _heard(model, x, layers), {layer: [] for layer in layers}
    spectrum = torch.fft.rfft2(torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x))
    frequency = frequencies(*x.shape[-2:]).to(x.device)
    for low, high in zip(bands, bands[1:], strict=False):
        noise = torch.fft.irfft2(spectrum * ((frequency >= low) & (frequency < high)), s=x.shape[-2:])
        noise *= NOISE / noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
        for layer, code in _heard(model, (x + noise).clamp(0, 1), layers).items():
            moved[layer].append((code - quiet[layer]).flatten(1).square().sum(dim=1).mean())
    return {layer: torch.stack(values) for layer, values in moved.items()}


def _heard(model, x, layers):
    """Return the answers after a ReLU: below zero, nobody behind the layer hears them."""
    return {layer: code.clamp(min=0) for layer, code in activations(model, x, *layers).items()}


def dominant_frequency(sensitivities, bands=BANDS):
    """Return the centre of a layer's sensitivities (B,) on the scale of octaves, in cycles per pixel."""
    centres = torch.tensor([math.log2(low * high) / 2 for low, high in zip(bands, bands[1:], strict=False)])
    weights = sensitivities.double().cpu()
    return 2 ** ((weights * centres).sum() / weights.sum().clamp(min=1e-30)).item()


def gratings(size=(64, 64)):
    """Return bars of every frequency, direction and phase, (F, D, P, 3, H, W) in [0, 1].

    Direction 0 are upright bars; the others follow clockwise in steps of 180 / D degrees.
    """
    rows, columns = (torch.arange(side) - (side - 1) / 2 for side in size)
    shape = (len(FREQUENCIES), DIRECTIONS, PHASES)
    f = torch.tensor(FREQUENCIES).view(-1, 1, 1, 1, 1)
    theta = torch.arange(DIRECTIONS).view(-1, 1, 1, 1) * math.pi / DIRECTIONS
    phase = torch.arange(PHASES).view(-1, 1, 1) * 2 * math.pi / PHASES
    across = columns * torch.cos(theta) + rows[:, None] * torch.sin(theta)  # pixels across the bars
    bars = 0.5 + CONTRAST * torch.cos(2 * math.pi * f * across + phase)
    return bars[:, :, :, None].expand(*shape, 3, *size)


def orientation_selectivity(model, layers, size=(64, 64), like=None):
    """Return how one-sided each filter is about the direction of bars, {layer: (K,)}; NaN where no bars move it.

    Args:
        model: pixels (N, 3, H, W) in [0, 1] to anything.
        layers: names.
        size: height and width of the bars.
        like: a tensor whose device and type the bars get.
    """
    bars = gratings(size)
    bars = bars.to(bars if like is None else like)
    answers = {layer: [] for layer in layers}
    for batch in bars.flatten(0, 1):  # one frequency and direction at a time, (P, 3, H, W)
        for layer, code in activations(model, batch, *layers).items():
            answers[layer].append(as_maps(code).clamp(min=0).amax(dim=(2, 3)).mean(dim=0))  # (K,)
    shape = bars.shape[:2]
    return {layer: _one_sided(torch.stack(rows).unflatten(0, shape)) for layer, rows in answers.items()}


def _one_sided(answers):
    """(F, D, K), none negative -> (K,)."""
    best = answers.amax(dim=1).argmax(dim=0)  # the frequency that each filter likes best, (K,)
    r = answers.gather(0, best.expand(1, answers.shape[1], -1))[0]  # (D, K)
    angle = 2 * math.pi * torch.arange(len(r), device=r.device, dtype=r.dtype)[:, None] / len(r)  # twice theta
    length = ((r * angle.cos()).sum(dim=0) ** 2 + (r * angle.sin()).sum(dim=0) ** 2).sqrt()
    return length / r.sum(dim=0)  # 0 / 0 is NaN


def frequencies(height, width):
    """Return the frequency of each wave of ``rfft2`` in cycles per pixel, (H, W // 2 + 1)."""
    return (torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.rfftfreq(width)[None, :] ** 2).sqrt()
