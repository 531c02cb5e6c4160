"""The few layers that torch does not have and that every network of the course starts or ends with."""

import torch
from torch import nn

from lecturekit.errors import InputError

# Mean and standard deviation of ImageNet's pixels, per colour: the convention of torchvision's networks.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """Shift and scale pixels in [0, 1] to the range in which a network was trained.

    It stands *inside* the network, as its first layer, so that pictures outside are always plain pixels and an
    epsilon of 8/255 means eight grey levels.  Normalising before the attack is the most repeated mistake of the field.
    """

    def __init__(self, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, x):
        """(N, C, H, W) in [0, 1] -> (N, C, H, W), about zero mean and unit deviation.

        Raises: InputError for what would otherwise pass without a word: whole numbers from 0 to 255, and one grey
            channel, which the subtraction would spread over three.
        """
        if not x.is_floating_point():
            raise InputError(f"pixels must be floats in [0, 1], got {x.dtype}; pass x.float() / 255")
        channels = self.mean.shape[1]
        if x.dim() != 4 or x.shape[1] != channels:
            raise InputError(f"pixels must be (N, {channels}, H, W), got {tuple(x.shape)}; x[None] is a batch of one")
        return (x - self.mean) / self.std

    def extra_repr(self):
        """Show the constants when the network is printed."""
        mean, std = ([round(v, 3) for v in constants.flatten().tolist()] for constants in (self.mean, self.std))
        return f"mean={mean}, std={std}"
