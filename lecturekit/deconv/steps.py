"""Every layer that the DeconvNet can turn round, with what it must remember from the way up.

==============================  ===========  ====================================  ==================================
layer                           step         remembers                             on the way down
==============================  ===========  ====================================  ==================================
Conv2d                          `Filter`     size below                            transposed filters, no bias
ReLU, ReLU6                     `Rectify`    where it was on                       `relu_backward`, by the rule
MaxPool2d, AdaptiveMaxPool2d    `Unpool`     switches, size below                  values back to where they stood
AvgPool2d, AdaptiveAvgPool2d    `Average`    how much each pixel counted           each value spread evenly
BatchNorm in eval, Normalize    `Scale`      its factor per channel                the same factor; the shift is a bias
Linear                          `Connect`    --                                    transposed matrix, no bias
Flatten                         `Reshape`    shape below                           the shape below
Dropout in eval, Identity       `Pass`       --                                    nothing
==============================  ===========  ====================================  ==================================

Each step is made by ``climb(module, x)``, which returns it together with the layer's answer, and has

``descend(signal, window, rule)``  the signal one layer down, and the window that it fills; None is the whole map
``local``                          False for layers that need the whole map
``reach(window)``                  what a window sees one layer down
``mixes``, ``only(channels)``      whether a layer mixes channels, and the same step for some of them; see `beam`

The last three are for signals that fill a part of the maps only, and layers that are not local lack them.

The trap: `Normalize` is a layer like the others.  Its factor 1 / std is kept, so that a picture says how the activation
changes with *pixels*; the colours, whose deviations are nearly alike, look the same with and without.
"""

import dataclasses
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from lecturekit.deconv.backward import through_relu
from lecturekit.deconv.deconvnet import filter_transposed, unpool
from lecturekit.deconv.lines import adaptive, matrix, pair, regular, shares_of
from lecturekit.deconv.windows import below, cut_out, inside, moved
from lecturekit.networks.layers import Normalize


@dataclasses.dataclass(frozen=True)
class Filter:
    """A convolution; down: its transposed filters, without bias."""

    action: ClassVar = "filter"
    mixes: ClassVar = True
    local: ClassVar = True
    weight: torch.Tensor  # (D, C / groups, k, k)
    size: tuple  # (H, W) below
    how: dict  # stride, padding, dilation, groups

    @classmethod
    def climb(cls, conv, x):
        """Filter ``x`` (N, C, H, W)."""
        how = dict(stride=conv.stride, padding=_padding(conv), dilation=conv.dilation, groups=conv.groups)
        return cls(conv.weight.detach(), tuple(x.shape[-2:]), how), conv(x)

    def descend(self, signal, window, rule):
        """(N, D, h, w) -> (N, C, H, W)."""
        if window is None:
            return filter_transposed(signal, self.weight, self.size, **self.how), None
        seen = self.reach(window)
        whole = dict(self.how, padding=(0, 0))  # also what reaches into the padding: `moved` drops it
        return moved(filter_transposed(signal, self.weight, seen[2:], **whole), seen, self.size)

    def only(self, channels):
        """Return this step for some of the maps above, the others being zero; None where filters go in groups."""
        return dataclasses.replace(self, weight=self.weight[channels]) if self.how["groups"] == 1 else None

    def reach(self, window):
        """Return the window one layer down."""
        how = self.how
        return below(window, self.weight.shape[2:], how["stride"], how["padding"], how["dilation"])


@dataclasses.dataclass(frozen=True)
class Rectify:
    """A ReLU; down: what the rule says."""

    action: ClassVar = "rectify"
    mixes: ClassVar = False
    local: ClassVar = True
    answers: torch.Tensor  # (N, C, H, W) or (N, K); the mask costs time and is made only for rules that ask for it
    ceiling: float  # 6 for ReLU6, whose slope is zero there too

    @classmethod
    def climb(cls, relu, x):
        """Rectify ``x``, never in place."""
        ceiling = 6.0 if isinstance(relu, nn.ReLU6) else torch.inf
        answers = F.relu(x) if ceiling == torch.inf else F.relu6(x)
        return cls(answers, ceiling), answers

    def descend(self, signal, window, rule):
        """The shape stays."""
        answers = self.answers if window is None or not rule.forward_mask else cut_out(self.answers, window)
        return through_relu(signal, answers, self.ceiling, rule), window

    def on(self):
        """Return where the ReLU let its input through, bool."""
        return (self.answers > 0) & (self.answers < self.ceiling)

    def only(self, channels):
        """Return this step for some of the maps."""
        return dataclasses.replace(self, answers=self.answers[:, channels])

    def reach(self, window):
        """Return the window itself."""
        return window


@dataclasses.dataclass(frozen=True)
class Unpool:
    """A max-pooling; down: each value goes back to where its maximum stood."""

    action: ClassVar = "unpool"
    mixes: ClassVar = False
    switches: torch.Tensor  # (N, C, h, w), row * W + column
    size: tuple  # (H, W) below
    how: tuple | None  # kernel, stride, padding, dilation as pairs; None for adaptive pooling, whose windows differ

    @classmethod
    def climb(cls, pool, x):
        """Pool ``x`` (N, C, H, W) and keep the switches."""
        if isinstance(pool, nn.AdaptiveMaxPool2d):
            how = None
            answers, switches = F.adaptive_max_pool2d(x, pool.output_size, return_indices=True)
        else:
            how = tuple(map(pair, (pool.kernel_size, pool.stride, pool.padding, pool.dilation)))
            answers, switches = F.max_pool2d(x, *how, pool.ceil_mode, return_indices=True)
        return cls(switches, tuple(x.shape[-2:]), how), answers

    @property
    def local(self):
        """Whether the windows are all alike."""
        return self.how is not None

    def descend(self, signal, window, rule):
        """(N, C, h, w) -> (N, C, H, W)."""
        switches = self.switches if rule.switches else self.centre()
        if window is None:
            return unpool(signal, switches, self.size), None
        seen, width = inside(self.reach(window), self.size), self.size[1]
        places = cut_out(switches, window)
        tops, lefts = (places.new_tensor(firsts).view(-1, 1, 1, 1) for firsts in seen[:2])
        places = (places // width - tops) * seen.width + places % width - lefts  # counted in the new window
        return unpool(signal, places, seen[2:]), seen

    def only(self, channels):
        """Return this step for some of the maps."""
        return dataclasses.replace(self, switches=self.switches[:, channels])

    def reach(self, window):
        """Return the window one layer down."""
        return below(window, *self.how)

    def lines(self):
        """Return which rows and which columns every window looks at: two `Lines`."""
        counts = self.switches.shape[-2:]
        if self.how is None:
            return [adaptive(*axis) for axis in zip(counts, self.size, strict=True)]
        return [regular(*axis) for axis in zip(counts, self.size, *self.how, strict=True)]

    def centre(self):
        """Return switches (1, C, h, w) that point at the middle of every window, whatever stood there."""
        rows, columns = self.lines()
        middle = rows.middle()[:, None] * self.size[1] + columns.middle()
        return middle.to(self.switches.device).expand(1, *self.switches.shape[1:])


@dataclasses.dataclass(frozen=True)
class Average:
    """An average pooling, which is linear: A x B^T with two matrices of weights; down: A^T R B."""

    action: ClassVar = "spread"
    local: ClassVar = False
    rows: torch.Tensor  # A (h, H)
    columns: torch.Tensor  # B (w, W)

    @classmethod
    def climb(cls, pool, x):
        """Average ``x`` (N, C, H, W)."""
        answers, size = pool(x), x.shape[-2:]
        if isinstance(pool, nn.AdaptiveAvgPool2d):
            lines = [adaptive(n, side) for n, side in zip(answers.shape[-2:], size, strict=True)]
            shares = [1 / axis.number for axis in lines]
        else:
            how = tuple(map(pair, (pool.kernel_size, pool.stride, pool.padding)))
            lines = [regular(*axis, 1) for axis in zip(answers.shape[-2:], size, *how, strict=True)]
            shares = shares_of(pool, lines, size, how)
        weights = [matrix(*axis).to(x) for axis in zip(lines, shares, size, strict=True)]
        return cls(*weights), answers

    def descend(self, signal, window, rule):
        """(N, C, h, w) -> (N, C, H, W)."""
        return self.rows.T @ signal @ self.columns, None


@dataclasses.dataclass(frozen=True)
class Scale:
    """A factor per channel: batch normalisation in evaluation mode, or `Normalize`; down: the same factor."""

    action: ClassVar = "scale"
    mixes: ClassVar = False
    local: ClassVar = True
    factor: torch.Tensor  # (C, 1, 1) for maps, (K,) for vectors

    @classmethod
    def climb(cls, layer, x):
        """Normalise ``x``."""
        if isinstance(layer, Normalize):
            return cls(1 / layer.std[0]), layer(x)
        factor = (layer.running_var + layer.eps).rsqrt() * (1 if layer.weight is None else layer.weight.detach())
        return cls(factor.view(-1, *[1] * (x.dim() - 2))), layer(x)

    def descend(self, signal, window, rule):
        """The shape stays."""
        return signal * self.factor, window

    def only(self, channels):
        """Return this step for some of the maps."""
        return dataclasses.replace(self, factor=self.factor[channels])

    def reach(self, window):
        """Return the window itself."""
        return window


@dataclasses.dataclass(frozen=True)
class Connect:
    """A linear layer; down: the transposed matrix, without bias."""

    action: ClassVar = "filter"
    local: ClassVar = False
    weight: torch.Tensor  # (D, K)

    @classmethod
    def climb(cls, linear, x):
        """Multiply ``x`` (N, K)."""
        return cls(linear.weight.detach()), linear(x)

    def descend(self, signal, window, rule):
        """(N, D) -> (N, K)."""
        return signal @ self.weight, None


@dataclasses.dataclass(frozen=True)
class Reshape:
    """Maps into one row of numbers; down: into maps again."""

    action: ClassVar = "reshape"
    local: ClassVar = False
    shape: tuple  # (C, H, W)

    @classmethod
    def climb(cls, flatten, x):
        """Flatten ``x``."""
        return cls(tuple(x.shape[1:])), flatten(x)

    def descend(self, signal, window, rule):
        """(N, C * H * W) -> (N, C, H, W)."""
        return signal.reshape(-1, *self.shape), None


@dataclasses.dataclass(frozen=True)
class Pass:
    """A layer that does nothing in evaluation mode."""

    action: ClassVar = "pass"
    mixes: ClassVar = False
    local: ClassVar = True

    @classmethod
    def climb(cls, layer, x):
        """Hand ``x`` on."""
        return cls(), x

    def descend(self, signal, window, rule):
        """The shape stays."""
        return signal, window

    def only(self, channels):
        """Return this step for some of the maps: itself."""
        return self

    def reach(self, window):
        """Return the window itself."""
        return window


def _padding(conv):
    """Return the zeros above and to the left of the picture; "same" may put one more below and to the right."""
    if conv.padding == "valid":
        return (0, 0)
    if conv.padding == "same":
        return tuple(d * (k - 1) // 2 for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
    return conv.padding
