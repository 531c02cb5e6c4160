"""A network that is trained while one waits: the smallest loop that still deserves the name.

The experiments of *why they occur* need fresh networks by the dozen, on pictures that were changed a moment ago.
`lecturekit.training` trains what ships: it saves, resumes and checks.  This trains what is thrown away afterwards.

::

    model = fit(small_net(10, seed=0), x, y)          # 2,000 pictures of 32 x 32: about 8 seconds on one core

The trap: weights from torch's global generator.  Two networks "of different seed" are then different only until
somebody runs the cells in another order; here the seed alone decides.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lecturekit.attacks.gradient import kept
from lecturekit.attacks.guard import check_labels, check_steps
from lecturekit.errors import InputError
from lecturekit.networks.layers import Normalize
from lecturekit.pixels import check_pixels
from lecturekit.progress import Step, stopped

WIDTHS = (16, 32, 64)


def small_net(classes, *, widths=WIDTHS, seed=0):
    """Build a small convolutional network for pictures of any size from 8 x 8 on, with weights that ``seed`` decides.

    Each width is one 3 x 3 convolution, batch normalisation, ReLU and a halving of the map; the mean over what is left
    goes into one linear layer.  24,000 weights, a fortieth of the course's own network.

    Args:
        classes: how many logits.
        widths: filters of the convolutions.
        seed: of the weights.
    Returns: pixels (N, 3, H, W) in [0, 1] to logits (N, classes), in training mode.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        layers, channels = [Normalize()], 3
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
            channels = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def fit(model, x, y, *, epochs=8, batch=64, peak_lr=1e-2, noise=0.0, seed=0, watch=None):
    """Train a network in place with AdamW and the one-cycle schedule, and return it in evaluation mode.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K).
        x: pictures (N, C, H, W) in [0, 1].
        y: the labels to be learned, (N,) int64; they may be wrong on purpose.
        epochs, batch, peak_lr: of the schedule.
        noise: standard deviation of Gaussian noise that is added to every batch, in pixel units.  A network gives
            weight to directions in which the training pictures hardly vary; noise is what makes it stop.
        seed: of the order of the pictures, and of the noise.
        watch: see `lecturekit.progress`; a stopped network comes back as it is.
    Returns: ``model``.
    Raises: InputError for pictures, labels or numbers that cannot be.
    """
    check_pixels(x, "x")
    check_labels(y, len(x), "labels")
    check_steps(epochs, "epochs")
    if not 2 <= batch <= len(x):
        raise InputError(f"batch must lie between 2 (batch normalisation) and the {len(x)} pictures, got {batch!r}")
    generator = torch.Generator().manual_seed(seed)
    per_epoch = len(x) // batch  # the rest that fills no batch waits for the next order
    total = epochs * per_epoch
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak_lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_lr, total_steps=total)
    model.train()
    for step in range(total):
        if step % per_epoch == 0:
            order = torch.randperm(len(x), generator=generator).to(x.device)
        rows = order[step % per_epoch * batch :][:batch]
        shown = kept(x, rows)
        if noise:
            shown = shown + noise * torch.randn(shown.shape, generator=generator).to(shown)
        loss = cross_entropy(model(shown), y[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if stopped(watch, Step(step + 1, total, loss.item())):
            break
    return model.eval()
