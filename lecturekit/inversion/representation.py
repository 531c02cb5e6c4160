r"""What is inverted: all that a layer says, or a part of it.  In the papers this is $\Phi$.

A representation is a function from pictures to codes, nothing more; compose your own freely::

    phi = representation(model, "conv3")                      # a whole layer
    phi = representation(model, "conv3", channels=[4, 17])    # two of its filters
    phi = representation(model, "conv5", patch=5)             # a 5x5 neighbourhood in the middle
    phi = representation(model, "probabilities")              # softmax of the last layer
    phi = lambda x: model(x).topk(5).values                   # or anything else
"""

import torch

from lecturekit import capture
from lecturekit.errors import InputError

PROBABILITIES = "probabilities"


def representation(model, layer, *, channels=None, patch=None):
    """Return the function from pictures to the code at ``layer``; the network behind that layer is never run.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits.
        layer: a name from ``capture.layers(model)``, or ``"probabilities"``.
        channels: keep these filters only, in this order.
        patch: keep the ``patch`` x ``patch`` places in the middle of the map only.
    Returns: a function from (N, C, H, W) to the code (N, ...).
    Raises: InputError for an unknown layer, and, when first called, for channels or a patch that do not exist.
    """
    if layer == PROBABILITIES:
        return lambda x: part(model(x).softmax(1), channels, patch)
    cut = capture.cut(model, layer)
    if channels is None and patch is None:
        return cut
    return lambda x: part(cut(x), channels, patch)


def part(code, channels, patch):
    """Return some channels of a code (N, C, ...) and the middle of its maps."""
    if channels is not None:
        wrong = [c for c in channels if not (isinstance(c, int) and not isinstance(c, bool) and 0 <= c < code.shape[1])]
        if wrong:
            raise InputError(f"channels must be whole numbers from 0 to {code.shape[1] - 1}, got {wrong}")
        code = code[:, list(channels)]
    if patch is not None:
        if code.dim() != 4 or not 1 <= patch <= min(code.shape[-2:]):
            raise InputError(f"a patch of {patch} does not fit a code of shape {tuple(code.shape[1:])}")
        top, left = ((side - patch) // 2 for side in code.shape[-2:])
        code = code[..., top : top + patch, left : left + patch]
    return code


def without_top(logits, k, value=0.0):
    """Set the ``k`` largest probabilities of each row to ``value`` and return all (N, K).

    What is left is the "dark knowledge": what the picture is *not*, and how much so.  Dosovitskiy & Brox 2016, section 5.
    """
    probabilities = logits.softmax(1)
    return probabilities.scatter(1, probabilities.topk(k).indices, value)


def only_top(logits, k, value=0.0):
    """Keep the ``k`` largest probabilities of each row and set all others to ``value``; returns (N, K)."""
    probabilities = logits.softmax(1)
    top = probabilities.topk(k)
    return torch.full_like(probabilities, value).scatter(1, top.indices, top.values)
