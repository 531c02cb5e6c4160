"""The table of layers: what runs, in which order, how large its answer is, and how much of the picture it sees."""

import collections
from typing import NamedTuple

import torch

from lecturekit.capture.hooks import check_model, evaluating, hooked, numbered, run
from lecturekit.capture.receptive import FieldTracer
from lecturekit.errors import InputError
from lecturekit.tables import Table


class Layer(NamedTuple):
    """One row of the table of layers.

    Attributes:
        name: for `capture`, `activations` and `cut`.
        kind: the class of the module, and its window.
        shape: of the answer to one picture, (C, H, W) or (K,).
        values: how many numbers that is.
        receptive_field: side, in pixels, of the square that one unit sees; (height, width) if it is no square; None
            where it cannot be told.  It may be larger than the picture.
        stride: pixels from one unit's square to the next one's; None where the units do not lie on a grid.
        parameters: how many numbers the layer has learnt.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    values: int
    receptive_field: int | tuple[int, int] | None
    stride: int | tuple[int, int] | None
    parameters: int


def layers(model, input_size=(3, 64, 64)):
    """Return the table of all layers that run, in the order of execution.

    Listed is every module without parts, and a module with parts where its answer is not simply that of its last part
    (a Fire module of SqueezeNet, which joins two).

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything; neither scripted nor compiled.
        input_size: (C, H, W) of one picture.
    Returns: a list of `Layer`, which shows itself as a table.
    Raises: InputError if the network cannot take such a picture; it says which is the smallest one that it can.
    """
    check_model(model)
    if len(input_size) != 3 or min(input_size) < 1:
        raise InputError(f"input_size must be (C, H, W) of one picture, got {tuple(input_size)}")
    like = next(model.parameters(), torch.zeros(()))
    names = [name for name, _ in model.named_modules() if name]
    listing = _Listing()
    with evaluating(model), torch.inference_mode(False), torch.no_grad():
        x = like.new_full((1, *input_size), 0.5)
        with FieldTracer(x) as listing.tracer, hooked(model, names, listing.add):
            run(model, x)
    return Table(listing.rows, columns=Layer._fields)


class _Listing:
    """Rows that grow while the network runs."""

    def __init__(self):
        self.rows, self.runs, self.answers, self.tracer = [], collections.Counter(), [], None

    def add(self, name, module, output):
        """Note one run of a module, unless it only hands on the answer of its last part."""
        has_parts = next(module.children(), None) is not None
        if not isinstance(output, torch.Tensor) or (has_parts and any(output is known for known in self.answers)):
            return
        self.answers.append(output)
        self.runs[name] += 1
        counted = 0 if self.runs[name] > 1 else sum(p.numel() for p in module.parameters(recurse=False))
        field, spatial = self.tracer.field(output), output.dim() == 4
        self.rows.append(Layer(
            name=numbered(name, self.runs[name]),
            kind=_kind(module),
            shape=tuple(output.shape[1:]),
            values=output[0].numel(),
            receptive_field=_square(field and (field.rows.size, field.columns.size)),
            stride=_square((field.rows.step, field.columns.step) if field and spatial and field.rows.step else None),
            parameters=counted,
        ))  # fmt: skip


def _kind(module):
    """Return ``Conv2d 5×5`` for a convolution, and the name of the class for a module without window."""
    window = getattr(module, "kernel_size", None)
    height, width = window if isinstance(window, tuple) and len(window) == 2 else (window, window)
    return type(module).__name__ + (f" {height}×{width}" if isinstance(height, int) else "")


def _square(pair):
    """Return 5 for (5, 5), and any other pair as it is."""
    return pair[0] if pair and pair[0] == pair[1] else pair
