r"""Which pixels does a unit see?  Receptive fields of any network, followed through its arithmetic.

For a chain of layers the rule stands in every textbook: a window of $k$ pixels that moves by $s$ turns

    size -> size + (k - 1) step        step -> step * s        start -> start - padding * step

But real networks branch: a residual block adds a short path to a long one, a Fire module puts two side by side.
The list of modules does not tell how.  So we do not read the network, we run it once and watch the operations that
torch really performs: windows widen the field, sums and concatenations unite the fields of their inputs, linear layers
see everything.  An operation whose reach is not known gives None, never a guess.

The trap: this is the *theoretical* field, the pixels that can matter.  Those that do matter are fewer, and most of them
lie in the middle (Luo et al. 2016, arXiv:1701.04128).

The slow way to the same numbers, used in the tests: make one row of pixels NaN and see which units notice.
"""

from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operations by the names that torch gives them underneath (its "aten" operations).
WINDOWS = {"convolution", "max_pool2d_with_indices", "avg_pool2d"}
LINEAR = {"addmm", "mm", "linear"}
RESHAPES = {"view", "_unsafe_view", "slice", "split", "split_with_sizes"}
BY_PIXEL = {  # each pixel depends on itself only, although torch does not tag these operations as pointwise
    "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training", "_batch_norm_no_update",
    "detach", "alias", "_to_copy", "hardtanh", "hardtanh_",
}  # fmt: skip


class Span(NamedTuple):
    """What the units along one axis see: unit u sees the ``size`` pixels from ``start + u * step`` on.

    A step of 0 means that every unit sees the same pixels: all of them.
    """

    start: int
    size: int
    step: int


class Field(NamedTuple):
    """The receptive fields of all units of one layer; one `Span` for the rows and one for the columns."""

    rows: Span
    columns: Span


class _Follower:
    """What `FieldTracer` does, apart from it: see there."""

    def __init__(self, picture):
        super().__init__()
        self.whole = Field(*(Span(0, side, 0) for side in picture.shape[-2:]))
        self._fields = {}
        self._set(picture, Field(Span(0, 1, 1), Span(0, 1, 1)))

    def field(self, tensor):
        """Return the `Field` of a tensor, or None if it is not known."""
        return self._fields.get(id(tensor), (None, None))[1]

    def _set(self, tensor, field):
        self._fields[id(tensor)] = (tensor, field)  # holding the tensor keeps its id from being given to another

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Run the operation, then note what its results see."""
        result = operation(*args, **(kwargs or {}))
        inputs = [t for t in _tensors([args, kwargs]) if id(t) in self._fields]
        for tensor in _tensors(result) if inputs else ():
            self._set(tensor, self._rule(operation, args, inputs, tensor))
        return result

    def _rule(self, operation, args, inputs, result):
        kind, fields = operation.overloadpacket.__name__, [self.field(t) for t in inputs]
        if None in fields:
            return None
        if kind in WINDOWS:
            return _window(kind, args, fields[0])
        if kind in LINEAR or (kind == "mean" and _means_over_places(args)):
            return self.whole
        if kind == "_adaptive_avg_pool2d":
            return self._adaptive(inputs[0], result, fields[0])
        if kind in RESHAPES or (kind == "transpose" and _keeps_places(args)):
            return fields[0] if _same_places(inputs[0], result) or result.dim() == 2 and len(result) == 1 else None
        pointwise = torch.Tag.pointwise in operation.tags or kind in BY_PIXEL or _over_channels(kind, args)
        return self._union(fields, [_same_places(t, result) for t in inputs]) if pointwise else None

    def _union(self, fields, aligned):
        """Return the smallest field that contains all; they must lie on one grid, or one must see everything."""
        if self.whole in fields:
            return self.whole
        return Field(*map(_unite, zip(*fields, strict=True))) if all(aligned) and _same_steps(fields) else None

    def _adaptive(self, before, after, field):
        """Return the field of an adaptive pooling, where its windows are equal and do not overlap."""
        if tuple(after.shape[-2:]) == (1, 1):
            return self.whole
        sides = zip(before.shape[-2:], after.shape[-2:], strict=True)
        kernel, rest = zip(*(divmod(side, pooled) for side, pooled in sides), strict=True)
        return None if any(rest) else _widened(field, kernel, kernel, (0, 0), (1, 1))


class FieldTracer(_Follower, TorchDispatchMode):
    """While active, follows the receptive field of everything that is computed from ``picture`` (1, C, H, W).

    Use it under ``torch.no_grad()`` and ask for the `field` of any tensor that came out.
    """

    # Empty, with the work in a base class: a method __torch_dispatch__ that stands here is wrapped by torch in a guard
    # of its compiler, and the import of that compiler keeps the first table of layers waiting for three seconds.


def _window(kind, args, field):
    """Return the field behind a convolution or pooling; ``args`` as torch passes them, trailing defaults left out."""
    if kind == "convolution":
        kernel, (stride, padding, dilation, transposed) = args[1].shape[2:], args[3:7]
        return _widened(field, kernel, stride, padding, dilation) if len(kernel) == 2 and not transposed else None
    kernel, stride, padding = args[1], (args[2:3] or [[]])[0], (args[3:4] or [[0]])[0]
    dilation = (args[4:5] or [[1]])[0] if kind == "max_pool2d_with_indices" else [1]
    return _widened(field, kernel, stride or kernel, padding, dilation)


def _widened(field, *window):
    """Apply the textbook rule to both axes; ``window`` is kernel, stride, padding, dilation."""
    by_axis = zip(*((value[0], value[-1]) for value in window), strict=True)  # torch writes [3] for [3, 3]
    return Field(*(
        Span(span.start - padding * span.step, span.size + (kernel - 1) * dilation * span.step, span.step * stride)
        for span, (kernel, stride, padding, dilation) in zip(field, by_axis, strict=True)
    ))  # fmt: skip


def _unite(spans):
    """Return the smallest span that contains all of ``spans``, which have the same step."""
    start = min(span.start for span in spans)
    return Span(start, max(span.start + span.size for span in spans) - start, spans[0].step)


def _same_steps(fields):
    return len({(f.rows.step, f.columns.step) for f in fields}) == 1


def _same_places(before, after):
    return before.dim() >= 2 and before.shape[-2:] == after.shape[-2:]


def _keeps_places(args):
    """Tell whether transpose(x, a, b) leaves the last two axes alone."""
    x, *axes = args
    return all(axis % x.dim() < x.dim() - 2 for axis in axes)


def _means_over_places(args):
    return len(args) > 1 and {axis % args[0].dim() for axis in args[1] or ()} >= {2, 3}


def _over_channels(kind, args):
    """Tell whether this is a concatenation or a softmax along the channels, which mixes no places."""
    if kind == "cat":
        return (args[1] if len(args) > 1 else 0) in (1, -3)
    return kind == "_softmax" and args[1] in (1, -3) and args[0].dim() == 4


def _tensors(nested):
    """Yield all tensors in nested lists, tuples and dicts."""
    if isinstance(nested, torch.Tensor):
        yield nested
    elif isinstance(nested, dict):
        yield from _tensors(list(nested.values()))
    elif isinstance(nested, list | tuple):
        for item in nested:
            yield from _tensors(item)
