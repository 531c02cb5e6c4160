"""The answers of a layer to a whole data set, a batch at a time, so that memory does not grow with the data.

The answers of ``conv1`` to 5,000 pictures are 2.6 GB; what anybody wants of them is a handful of numbers per filter.
So nothing here keeps answers: each batch is looked at and forgotten.

A *data set* is, everywhere in these rooms, one of

==========================  ==================================================================
a book                      anything with ``images``, uint8 (N, H, W, 3): `PictureBook`, `TinyImageNet` ...
a tensor                    pictures (N, C, H, W) in [0, 1]
a torch data set            its items are pictures (C, H, W) in [0, 1], or tuples that begin with one
==========================  ==================================================================

The trap: a generator that holds ``torch.no_grad()`` while it waits switches gradients off for whoever loops.  Here they
are switched off for each pass and on again before the answers are handed out.
"""

import contextlib
import hashlib
import numbers

import numpy as np
import torch
from torch import nn

from lecturekit.capture import cut, evaluating, layers
from lecturekit.capture.hooks import run
from lecturekit.capture.receptive import FieldTracer
from lecturekit.errors import InputError
from lecturekit.pixels import check_pixels

BATCH = 100  # pictures in one pass; conv1 of the course's network then answers with 52 MB


def pictures(data, which):
    """Return some pictures of a data set as pixels, (n, C, H, W) in [0, 1].

    Args:
        data: see the module.
        which: a slice, or whole numbers (a list, array or tensor) from 0 to N - 1.
    Raises: InputError for something that is no data set, or pictures that are none.
    """
    if isinstance(data, torch.Tensor):
        return check_pixels(data[_index(which)], "data")
    if isinstance(getattr(data, "images", None), np.ndarray):
        chosen = np.ascontiguousarray(data.images[_index(which)])
        return torch.from_numpy(chosen).permute(0, 3, 1, 2).float() / 255
    chosen = range(count(data))[which] if isinstance(which, slice) else _index(which)
    items = [data[int(i)] for i in chosen]
    return check_pixels(torch.stack([item[0] if isinstance(item, tuple | list) else item for item in items]), "data")


def _index(which):
    """Return what numpy and torch both take for an index."""
    return which if isinstance(which, slice) else np.asarray(which, dtype=np.int64)


def count(data):
    """Return the number of pictures of a data set.  Raises: InputError for something that is no data set."""
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        raise InputError(
            "data must be a data set, e.g. PictureBook('test', 500), or a tensor (N, C, H, W), "
            f"got {type(data).__name__}"
        )
    return len(data)


def batches(data, size=BATCH):
    """Yield (start, pictures (n, C, H, W) in [0, 1]) until the data set is through.

    Raises: InputError for an empty data set, or a size below 1.
    """
    if not whole(size, 1):
        raise InputError(f"a batch holds a whole number of pictures from 1 on, got {size!r}")
    if not count(data):
        raise InputError("the data set is empty: there is nothing to look at")
    for start in range(0, len(data), size):
        yield start, pictures(data, slice(start, start + size))


def answers(model, layer, data, *, batch=BATCH):
    """Yield (start, pictures, answers (n, K, ...)) of a layer, batch by batch, in evaluation mode without gradients.

    The network behind the layer is never run.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        layer: a name from ``capture.layers(model)``.
        data: a data set; see the module.  Its pictures go to the device of the network.
        batch: pictures in one pass.
    Raises: InputError for an unknown layer, or pictures that the network cannot take.
    """
    part = cut(model, layer)
    for start, x in batches(data, batch):
        x = x.to(next(model.parameters(), x))
        yield start, x, answer(part, x)


def answer(part, x):
    """Run a network, or a part of one, without gradients; every module gets its mode back."""
    with evaluating(part), torch.inference_mode(False), torch.no_grad():
        return run(part, x)


def as_maps(code):
    """Return an answer as maps (n, K, h, w); that of a linear layer (n, K) becomes maps of one place."""
    if code.dim() not in (2, 4):
        raise InputError(f"a layer with filters answers with (N, K) or (N, K, h, w), this one with {tuple(code.shape)}")
    return code if code.dim() == 4 else code[:, :, None, None]


def filter_layers(model, size):
    """Return the names of the layers with filters, convolutional or linear, in the order in which they run.

    Args:
        model: any network that `capture.layers` can list.
        size: (C, H, W) of one picture.
    """
    modules = dict(model.named_modules())
    names = [row.name for row in layers(model, size)]
    return [name for name in names if isinstance(modules.get(name), nn.Conv2d | nn.Linear)]


def field(model, layer, size):
    """Return the `Field` that the units of a layer see in pictures of ``size`` (C, H, W); None where it is unknown."""
    part = cut(model, layer)
    with evaluating(part), torch.inference_mode(False), torch.no_grad():
        x = next(model.parameters(), torch.zeros(())).new_full((1, *size), 0.5)
        with FieldTracer(x) as tracer:
            return tracer.field(run(part, x))


def whole(value, low, high=None):
    """Tell whether ``value`` is a whole number in these limits; True and False are not."""
    is_number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return is_number and value >= low and (high is None or value <= high)


def fingerprint(model, layer, data):
    """Return 32 hexadecimal digits that change with the pictures, the weights in front of ``layer``, or its name."""
    digest = hashlib.sha256(repr((layer, _plan(cut(model, layer)))).encode())
    for name, tensor in cut(model, layer).state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    if isinstance(getattr(data, "images", None), np.ndarray):
        _add(digest, data.images)
    else:
        for _, x in batches(data):
            _add(digest, x.cpu().numpy())
    return digest.hexdigest()[:32]


def _plan(part):
    """Return how a network is built, without its numbers: two networks may share weights and differ in a stride."""
    with contextlib.suppress(RecursionError):
        return str(part)


def _add(digest, array):
    """Feed an array into a digest, shape and kind included."""
    digest.update(repr((array.shape, str(array.dtype))).encode())
    digest.update(np.ascontiguousarray(array))
