"""The part of the maps in which a signal lives, so that nothing outside of it is computed.

One activation of ``conv4`` depends on 50 x 50 pixels.  Its projection is zero everywhere else, and a descent that
computes the whole picture computes zeros.  So the signal travels in a window that grows from layer to layer as the
receptive field does::

    conv3    . . . .        conv2   . . . . . .        pixels   # # # # # # .
             . # . .                . # # # . .                 # # # # # # .
             . . . .                . # # # . .                 # # # # # # .
                                    . # # # . .                 . . . . . . .

All pictures of a batch share the size of their windows and each has its own place, so that nine activations at nine
places are one batch.  A window never leaves the map: at a border it moves inwards.  Then masks and switches can be cut
out by plain slicing.

The trap: a mistake of one pixel in this bookkeeping still gives a plausible picture.  The tests compare with the whole
descent at every place of every kind of layer.
"""

from typing import NamedTuple

import torch


class Window(NamedTuple):
    """One window for each picture, all of the same size.

    Attributes:
        tops, lefts: its first row and column in each picture.
        height, width: in rows and columns.
    """

    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    height: int
    width: int


def active_channels(selected):
    """Return the numbers of the channels in which anything but zeros is selected, of (N, C, h, w)."""
    highest, lowest = selected.amax(dim=(0, 2, 3)), selected.amin(dim=(0, 2, 3))  # .any() takes four times as long
    return [k for k, ends in enumerate(zip(highest.tolist(), lowest.tolist(), strict=True)) if any(ends)]


def around(selected):
    """Return the smallest `Window` that holds all values but zeros of a selection (N, C, h, w)."""
    active = (selected.amax(dim=1) != 0) | (selected.amin(dim=1) != 0)  # (N, h, w)
    tops, bottoms = _ends(active.any(dim=2))
    lefts, rights = _ends(active.any(dim=1))
    height = max(bottom - top for top, bottom in zip(tops, bottoms, strict=True))
    width = max(right - left for left, right in zip(lefts, rights, strict=True))
    return inside(Window(tops, lefts, height, width), selected.shape[-2:])


def whole(size, count):
    """Return the `Window` of ``count`` pictures that is all of them."""
    return Window((0,) * count, (0,) * count, *size)


def _ends(lines):
    """Return the first and one past the last active line of each picture, of (N, lines) bool; 0 and 1 if none is."""
    rows = [row if any(row) else [True] for row in lines.tolist()]
    return tuple(row.index(True) for row in rows), tuple(len(row) - row[::-1].index(True) for row in rows)


def below(window, kernel, stride, padding, dilation):
    """Return what a window sees one layer down, through a convolution or pooling; it may leave the map.

    Args:
        window: a `Window`.
        kernel, stride, padding, dilation: pairs (rows, columns).
    """
    tops = tuple(top * stride[0] - padding[0] for top in window.tops)
    lefts = tuple(left * stride[1] - padding[1] for left in window.lefts)
    sides = zip((window.height, window.width), kernel, stride, dilation, strict=True)
    return Window(tops, lefts, *((side - 1) * s + d * (k - 1) + 1 for side, k, s, d in sides))


def inside(window, size):
    """Return the nearest window that lies inside maps of ``size``; it holds all that the old one holds of the map."""
    height, width = min(window.height, size[0]), min(window.width, size[1])
    tops = tuple(min(max(top, 0), size[0] - height) for top in window.tops)
    lefts = tuple(min(max(left, 0), size[1] - width) for left in window.lefts)
    return Window(tops, lefts, height, width)


def cut_out(maps, window):
    """Return each picture's window of ``maps`` (N, C, H, W), or (1, C, H, W) for all, as (N, C, h, w)."""
    images = range(len(window.tops)) if len(maps) > 1 else [0] * len(window.tops)
    places = zip(images, window.tops, window.lefts, strict=True)
    height, width = window.height, window.width
    return torch.stack([maps[n, :, top : top + height, left : left + width] for n, top, left in places])


def paste(signal, window, size):
    """Return maps (N, C, H, W) of zeros with the signal (N, C, h, w) in its window, which lies inside."""
    maps = signal.new_zeros(*signal.shape[:2], *size)
    for picture, values, top, left in zip(maps, signal, window.tops, window.lefts, strict=True):
        picture[:, top : top + window.height, left : left + window.width] = values
    return maps


def moved(signal, old, size):
    """Move a signal from a window that may leave the map into the nearest one inside: ``(signal, window)``.

    What lay outside of the map was padding; it is dropped.
    """
    new = inside(old, size)
    if new == old:
        return signal, new
    kept = signal.new_zeros(*signal.shape[:2], new.height, new.width)
    for picture, values, *places in zip(kept, signal, old.tops, new.tops, old.lefts, new.lefts, strict=True):
        rows, their_rows = _overlap(*places[:2], old.height, new.height)
        columns, their_columns = _overlap(*places[2:], old.width, new.width)
        picture[:, rows, columns] = values[:, their_rows, their_columns]
    return kept, new


def _overlap(old, new, old_side, new_side):
    """Return where the common lines of two windows stand, as a slice of the new one and one of the old one."""
    first, last = max(old, new), min(old + old_side, new + new_side)
    return slice(first - new, last - new), slice(first - old, last - old)
