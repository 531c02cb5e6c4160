"""A signal on its way down that carries no zeros with it.

A selection is mostly zeros: one map of 256, one place of 3,136.  Where it is zero the signal below is zero too, as long
as it has not got there.  So it starts with the channels and the window that are selected; the first transposed filters
spread it over all channels, each layer widens the window, and where that fills most of the map the bookkeeping ends.

The trap: what is skipped must be zero for certain.  Layers that need their whole map (linear and average ones) get it.
"""

import dataclasses
import math

import torch

from lecturekit.deconv import windows

MOSTLY = 1 / 2  # of a map, or of its channels: from here on, bookkeeping costs more than it saves


@dataclasses.dataclass(frozen=True)
class Beam:
    """A signal, and which part of the maps it fills.

    Attributes:
        signal: (M, c, h, w), or (M, K).
        shape: of one picture's maps, (C, H, W) or (K,).
        channels: a list with the numbers of the c channels, or None for all.
        window: the `windows.Window` of h x w, or None for all.
    """

    signal: torch.Tensor
    shape: tuple
    channels: list | None = None
    window: windows.Window | None = None

    def through(self, link, rule):
        """Return the beam one layer down, below a `chain.Link`."""
        step, channels, signal, window = link.step, self.channels, self.signal, self.window
        if not step.local or window is not None and _mostly(window.height * window.width, *self.shape[1:]):
            signal, window = self._all_places(), None
        if channels is not None:
            narrow = step.only(channels) if step.local else None
            signal, step = (signal, narrow) if narrow else (self._all_channels(signal), step)
            channels = channels if narrow and not step.mixes else None
        signal, window = step.descend(signal, window, rule)
        return Beam(signal, link.shape, channels, window)

    def widened(self):
        """Return the same beam with all its zeros."""
        signal = self._all_places()
        return Beam(signal if self.channels is None else self._all_channels(signal), self.shape)

    def _all_places(self):
        return self.signal if self.window is None else windows.paste(self.signal, self.window, self.shape[1:])

    def _all_channels(self, signal):
        maps = signal.new_zeros(len(signal), self.shape[0], *signal.shape[2:])
        maps[:, self.channels] = signal
        return maps


def beam_of(selected):
    """Return the `Beam` of a selection, (M, C, h, w) or (M, K)."""
    shape = tuple(selected.shape[1:])
    if len(shape) != 3:
        return Beam(selected, shape)
    channels, signal = windows.active_channels(selected) or [0], selected
    if _mostly(len(channels), shape[0]):
        channels = None
    else:
        signal = selected[:, channels]
    window = windows.around(signal)
    if _mostly(window.height * window.width, *shape[1:]):
        return Beam(signal, shape, channels)
    return Beam(windows.cut_out(signal, window), shape, channels, window)


def _mostly(part, *sides):
    """Tell whether a part is most of a whole."""
    return part >= MOSTLY * math.prod(sides)
