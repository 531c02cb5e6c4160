r"""What is inverted: all that a layer says, or a part of it.  In the papers this is $\Phi$.

A representation is a function from pictures to codes, nothing more; compose your own freely::

    phi = representation(model, "conv3")                      # a whole layer
    phi = representation(model, "conv3", channels=[4, 17])    # two of its filters
    phi = representation(model, "conv5", patch=5)             # a 5x5 neighbourhood in the middle
    phi = representation(model, "probabilities")              # softmax of the last layer
    phi = lambda x: model(x).topk(5).values                   # or anything else
"""

import numbers

import torch

from lecturekit import capture
from lecturekit.errors import InputError, ModelError

PROBABILITIES = "probabilities"


def representation(model, layer, *, channels=None, patch=None):
    """Return the function from pictures to the code at ``layer``; the network behind that layer is never run.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits; in eval mode.
        layer: a name from ``capture.layers(model)``, or ``"probabilities"``.
        channels: keep these filters only, in this order; a list, or one number.
        patch: keep the ``patch`` x ``patch`` places in the middle of the map only.
    Returns: a function from (N, C, H, W) to the code (N, ...).
    Raises: InputError for an unknown layer, and, when first called, for channels or a patch that do not exist;
        ModelError for a network in training mode.
    """
    if any(part.training for part in model.modules()):
        raise ModelError("representation needs model.eval(): in training mode dropout and batch norm change the code")
    if layer == PROBABILITIES:
        return lambda x: part(model(x).softmax(1), channels, patch)
    cut = capture.cut(model, layer)
    if channels is None and patch is None:
        return cut
    return lambda x: part(cut(x), channels, patch)


def part(code, channels, patch):
    """Return some channels of a code (N, C, ...) and the middle of its maps."""
    if channels is not None:
        code = code[:, checked(channels, code.shape[1])]
    if patch is not None:
        if code.dim() != 4 or not whole(patch, 1, min(code.shape[-2:])):
            raise InputError(f"a patch of {patch!r} does not fit a code of shape {tuple(code.shape[1:])}")
        top, left = ((side - patch) // 2 for side in code.shape[-2:])
        code = code[..., top : top + patch, left : left + patch]
    return code


def checked(channels, count):
    """Return the channels as a list, after refusing those that a layer of ``count`` filters does not have.

    Minus one is refused as well: it would silently be the last filter.
    """
    channels = channels.tolist() if hasattr(channels, "tolist") else channels  # of a tensor or an array
    channels = list(channels) if isinstance(channels, list | tuple | range) else [channels]
    wrong = [channel for channel in channels if not whole(channel, 0, count - 1)]
    if wrong or not channels:
        raise InputError(f"channels must be whole numbers from 0 to {count - 1}, at least one; got {wrong}")
    return channels


def whole(value, low, high):
    """Tell whether ``value`` is a whole number in these limits; True and False are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and low <= value <= high


def without_top(logits, k, value=0.0):
    """Set the ``k`` largest probabilities of each row to ``value`` and return all (N, K).

    What is left is the "dark knowledge": what the picture is *not*, and how much so.  Dosovitskiy & Brox 2016.

    Raises: InputError if there are fewer than ``k`` classes.
    """
    probabilities, top = ranked(logits, k)
    return probabilities.scatter(1, top.indices, value)


def only_top(logits, k, value=0.0):
    """Keep the ``k`` largest probabilities of each row and set all others to ``value``; returns (N, K).

    Raises: InputError if there are fewer than ``k`` classes.
    """
    probabilities, top = ranked(logits, k)
    return torch.full_like(probabilities, value).scatter(1, top.indices, top.values)


def ranked(logits, k):
    """Return the probabilities (N, K) and the ``k`` largest of each row, with their places."""
    if not whole(k, 0, logits.shape[1]):
        raise InputError(f"k must be a whole number from 0 to {logits.shape[1]}, the number of classes, got {k!r}")
    probabilities = logits.softmax(1)
    return probabilities, probabilities.topk(k)
