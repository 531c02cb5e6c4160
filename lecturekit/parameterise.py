r"""Three ways to hold a picture while it is changed, which is to say three priors that are not written as a loss.

=============  ====================================  ==========================================================
`Pixels`       one number per pixel and colour       every step may move one pixel alone: noise is easy
`Fourier`      one number per wave and colour        every step moves whole waves, long ones first: shape is easy
`DeepPrior`    the weights of an untrained network   noise is hard to say for a convolutional network at all
=============  ====================================  ==========================================================

In each, a sigmoid at the end keeps pixels inside [0, 1] by construction: the box of Mahendran & Vedaldi without a
projection, so that second-order methods see a smooth function.

The trap: what stands at the sigmoid's end does not move.  Black and white are therefore held a hundredth inside at the
start.

Sources: Olah, Mordvintsev & Schubert 2017, "Feature Visualization", section "Preconditioning"; Ulyanov, Vedaldi &
Lempitsky 2018, "Deep Image Prior", arXiv:1711.10925.
"""

import torch
from torch import nn

from lecturekit.errors import InputError

# Colours of photographs vary together.  The columns are the directions in which they do, each as long as it is strong:
# the square root of the covariance of ImageNet's colours (Olah et al. 2017).
COLOUR_ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


def logit(x):
    """Undo the sigmoid: pixels in [0, 1] to the real line, those nearer than a hundredth to black or white moved in."""
    return torch.logit(x.clamp(0.01, 0.99))


class Pixels(nn.Module):
    """Pictures held as pixels.

    Args:
        start: pictures (N, C, H, W) in [0, 1].
    """

    def __init__(self, start):
        super().__init__()
        self.theta = nn.Parameter(logit(start))  # (N, C, H, W)

    def forward(self):
        """Return the pictures (N, C, H, W) in [0, 1]."""
        return torch.sigmoid(self.theta)


class Fourier(nn.Module):
    """Colour pictures held as waves, with the strength that each wave has in a photograph: 1 / frequency.

    A step of equal size on every number then changes the picture as photographs differ from each other.

    Args:
        start: pictures (N, 3, H, W) in [0, 1].
    Raises: InputError for pictures without three colours.
    """

    def __init__(self, start):
        super().__init__()
        if start.shape[1] != 3:
            raise InputError(f"Fourier holds three colours, but start has {start.shape[1]}; use Pixels")
        self.height, self.width = start.shape[-2:]
        rows = torch.fft.fftfreq(self.height)[:, None]  # cycles per pixel
        columns = torch.fft.rfftfreq(self.width)[None, :]
        frequency = (rows**2 + columns**2).sqrt().clamp(min=1 / max(self.height, self.width))
        colours = torch.tensor(COLOUR_ROOT)
        scale = 1 / frequency  # its mean square is made 1 below, so that learning rates mean what they mean for pixels
        self.register_buffer("scale", (scale / scale.pow(2).mean().sqrt())[..., None].to(start))  # (H, W/2 + 1, 1)
        self.register_buffer("colours", (colours / colours.norm(dim=0).max()).to(start))  # (3, 3), longest column 1
        values = torch.einsum("dc,nchw->ndhw", torch.linalg.inv(self.colours), logit(start))
        spectrum = torch.view_as_real(torch.fft.rfft2(values, norm="ortho"))  # (N, 3, H, W/2 + 1, 2)
        self.theta = nn.Parameter(spectrum / self.scale)

    def forward(self):
        """Return the pictures (N, 3, H, W) in [0, 1]."""
        spectrum = torch.view_as_complex((self.theta * self.scale).contiguous())
        values = torch.fft.irfft2(spectrum, s=(self.height, self.width), norm="ortho")
        return torch.sigmoid(torch.einsum("cd,ndhw->nchw", self.colours, values))


class DeepPrior(nn.Module):
    """Pictures held as the weights of an untrained hourglass network that is fed with fixed noise.

    There is no other prior: convolutions say smooth, self-similar pictures long before they can say noise.  One network
    per picture.  The start picture gives shape and count only: what it shows is not used.

    Args:
        start: pictures (N, C, H, W) with H and W divisible by 8, at least 16.
        seed: of weights and noise; for `invert` pass ``hold=functools.partial(DeepPrior, seed=1)``.
        width: channels in every layer.
    Raises: InputError for a size that cannot be halved three times.
    """

    def __init__(self, start, seed=0, width=32):
        super().__init__()
        count, colours, height, across = start.shape
        if height % 8 or across % 8 or min(height, across) < 16:
            raise InputError(f"DeepPrior halves its maps three times: sides are 16, 24, 32 ..., got {height}x{across}")
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would also reach the graphics cards
            self.register_buffer("noise", 0.1 * torch.rand(1, width, height, across))
            self.hourglasses = nn.ModuleList(hourglass(width, colours) for _ in range(count))
        self.to(start)

    def forward(self):
        """Return the pictures (N, C, H, W) in [0, 1]."""
        return torch.cat([hourglass(self.noise) for hourglass in self.hourglasses])


def hourglass(width, colours, depth=3):
    """Build a network that halves its map ``depth`` times and doubles it again: noise (1, width, H, W) to a picture."""

    def block(stride=1):
        conv = nn.Conv2d(width, width, 3, stride, padding=1, padding_mode="reflect")
        return [conv, nn.InstanceNorm2d(width, affine=True), nn.LeakyReLU(0.2)]

    down = [layer for _ in range(depth) for layer in block(stride=2)]
    up = [layer for _ in range(depth) for layer in [nn.Upsample(scale_factor=2, mode="nearest"), *block()]]
    return nn.Sequential(*down, *up, nn.Conv2d(width, colours, 1), nn.Sigmoid())
