r"""The three steps of a DeconvNet, each of which turns one layer round.

Why did this filter answer?  Follow its answer back to the pixels.  A layer of a convolutional network filters,
rectifies and pools.  None of the three can be inverted, but each has a partner that leads down::

     up (the network)                        down (the DeconvNet)

     pool       keep each window's maximum   unpool             put it back to where it was found
       ^        and note where: *switches*     v                and zeros everywhere else
     rectify    negative -> 0                rectify            negative -> 0, in the signal this time
       ^                                       v
     filter     correlate with each kernel   filter_transposed  write each kernel where its map is active
       ^                                       v
     pixels                                  picture            not rectified: pixels have both signs

Biases play no part on the way down: a picture of a bias would be the same for every input.

The trap: windows of pooling may overlap (AlexNet's are 3x3, two apart).  One place can then be the maximum of several
windows, and their values must be *added* there.  ``torch.nn.functional.max_unpool2d`` overwrites instead, and loses a
third of the signal.

Source: Zeiler & Fergus 2014, arXiv:1311.2901, section 2.1.
"""

import torch
from torch.nn import functional as F

NARROW = 8  # maps; torch's transposed convolution is slow where few maps spread over many


def pool_with_switches(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Take the maximum of every window and note where it stood.

    Args:
        x: maps (N, C, H, W).
        kernel_size, stride, padding, dilation, ceil_mode: as for ``torch.nn.MaxPool2d``.
    Returns: maxima (N, C, h, w), and switches (N, C, h, w): place of each maximum, row * W + column.  Among equals the
        first one wins, so the switches of a window of zeros say nothing.
    """
    return F.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def unpool(signal, switches, size):
    """Put every value back to where its maximum stood; zeros everywhere else.

    Args:
        signal: (N, C, h, w).
        switches: (N, C, h, w) as `pool_with_switches` gives them, or (1, C, h, w) for all.
        size: height and width of the maps before pooling.
    Returns: maps (N, C, H, W).
    """
    count, channels, places = *signal.shape[:2], size[0] * size[1]
    if signal.is_contiguous(memory_format=torch.channels_last):  # stay so: the next layer down is a quarter quicker
        flat = signal.new_zeros(count, places, channels).transpose(1, 2)
    else:
        flat = signal.new_zeros(count, channels, places)
    places = switches.expand_as(signal).flatten(2)
    return flat.scatter_add_(2, places, signal.flatten(2)).unflatten(2, size)  # add: windows may overlap


def rectify(signal):
    """Keep what argues for the activation, drop what argues against it; shapes stay."""
    return signal.relu()


def filter_transposed(signal, weight, size, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """Write every filter, weighted with its map, where its map is active: the transpose of a convolution.

    It is itself a convolution, with the kernels turned by 180 degrees and the two axes of channels exchanged.

    Args:
        signal: (N, D, h, w), one map for each filter.
        weight: the filters (D, C / groups, k, k), as they stand in ``torch.nn.Conv2d``.
        size: height and width of the maps below; strides do not tell it, since 7 and 8 pixels give 4 windows alike.
        stride, padding, dilation, groups: of the convolution; pairs (rows, columns).
    Returns: maps (N, C, H, W).
    """
    grown = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    around = [g - p for g, p in zip(grown, padding, strict=True)]
    if signal.shape[1] <= NARROW and tuple(stride) == (1, 1) and groups == 1 and min(around) >= 0:
        maps = F.conv2d(signal, turned(weight), None, 1, around, dilation)  # the same numbers, ten times as fast
        return maps[..., : size[0], : size[1]]
    windows = zip(signal.shape[2:], stride, padding, grown, strict=True)
    reached = [(h - 1) * s - 2 * p + g + 1 for h, s, p, g in windows]  # rows and columns that were seen
    missing = [max(0, side - reach) for side, reach in zip(size, reached, strict=True)]
    maps = F.conv_transpose2d(signal, weight, None, stride, padding, missing, groups, dilation)
    return maps[..., : size[0], : size[1]]  # shorter only where "same" padding put more on one side


def turned(weight):
    """Return a kernel rotated by 180 degrees with its channels exchanged: (D, C, k, k) -> (C, D, k, k).

    For stride 1, convolving with it is the same as `filter_transposed`.
    """
    return weight.flip(-2, -1).transpose(0, 1)
