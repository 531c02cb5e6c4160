"""Which activations to ask about.  Everything else is set to zero: that is the first step of the DeconvNet.

=============================  ==========================================================================
``one(seen, 17, 3, 5)``        filter 17 at row 3, column 5
``strongest(seen, 17)``        filter 17 where it answers most, in each picture another place
``whole_map(seen, 17)``        filter 17 everywhere
``top(seen, 10)``              the ten strongest activations of all; ``top(seen, 10, 17)`` of filter 17
``top_filters(seen, 3)``       the whole maps of the three filters that answer most
``apart(selected)``            many activations of one picture, each by itself: many pictures
=============================  ==========================================================================

A selection is a tensor like ``seen.answers``, nothing more; fill your own if none of these suits.

The trap: before its ReLU a layer also answers with negative numbers, which the network never hears of.  All selections
but `one` leave them out, so that ``conv4`` and ``relu4`` give the same picture.

Source: Zeiler & Fergus 2014, arXiv:1311.2901, section 2: "we set all other activations in the layer to zero".
"""

import numbers

import torch

from lecturekit.errors import InputError


def one(seen, filter, row=None, column=None):
    """Keep a single activation, the same in every picture, whatever its sign.

    Args:
        seen: what `climb` returned.
        filter: its number; the unit's number in a layer without maps.
        row, column: its place in the map; left out in a layer without maps.
    Returns: (N, C, h, w) or (N, K).
    Raises: InputError for a filter or place that does not exist.
    """
    place = (_whole("filter", filter, seen.answers.shape[1]),)
    if seen.answers.dim() == 4:
        place += tuple(_whole(*axis) for axis in zip(("row", "column"), (row, column), _size(seen), strict=True))
    elif (row, column) != (None, None):
        raise InputError(f"{seen.layer!r} has units, not maps: leave row and column out")
    return _among_zeros(seen, place, seen.answers[(slice(None), *place)])


def strongest(seen, filter):
    """Keep the largest activation of one filter, in each picture where it stands there; the first among equals.

    Raises: InputError for a filter that does not exist, or that is silent in all pictures.
    """
    number = _whole("filter", filter, seen.answers.shape[1])
    answers = seen.answers[:, number]
    best = answers.reshape(len(answers), -1).max(dim=1, keepdim=True)
    return _only(seen, (number,), answers, best, f"filter {number}")


def whole_map(seen, filter):
    """Keep all positive activations of one filter.

    Raises: InputError for a filter that does not exist, or that is silent in all pictures.
    """
    number = _whole("filter", filter, seen.answers.shape[1])
    kept = _speaking(seen, seen.answers[:, number].clamp(min=0), f"filter {number}")
    return _among_zeros(seen, (number,), kept)


def top(seen, n, filter=None):
    """Keep the ``n`` largest positive activations of each picture: of one filter, or of all; any among equals.

    Returns: (N, C, h, w) or (N, K); a picture with fewer than ``n`` positive activations keeps those.
    Raises: InputError for a filter that does not exist, an ``n`` that is not positive, or where all is silent.
    """
    every = filter is None
    number = slice(None) if every else _whole("filter", filter, seen.answers.shape[1])
    answers = seen.answers[:, number]
    values = answers.reshape(len(answers), -1)
    best = values.topk(min(_positive(n), values.shape[1]), dim=1)
    return _only(seen, (number,), answers, best, "every filter" if every else f"filter {number}")


def top_filters(seen, n):
    """Keep the whole maps of the ``n`` filters that answer most in each picture, by the sum of their activations.

    Raises: InputError for an ``n`` that is not positive, or where all is silent.
    """
    positive = seen.answers.clamp(min=0)
    strength = positive.flatten(2).sum(dim=2) if positive.dim() == 4 else positive  # (N, C)
    best = strength.topk(min(_positive(n), strength.shape[1]), dim=1).indices
    kept = torch.zeros_like(strength).scatter(1, best, 1)
    _speaking(seen, strength, "every filter")
    return positive * kept.view(*kept.shape, *[1] * (positive.dim() - 2))


def apart(selected):
    """Return every activation of one picture's selection as a selection of its own, the strongest first.

    Args:
        selected: (1, C, h, w) or (1, K).
    Returns: (M, C, h, w) or (M, K), one activation in each; `project` makes M pictures of them in one batch.
    Raises: InputError for more than one picture, or nothing selected.
    """
    if len(selected) != 1:
        raise InputError(f"apart takes the selection of one picture, got {len(selected)}; pass selected[:1]")
    places = selected.flatten().nonzero().flatten()
    if not len(places):
        raise InputError("nothing is selected, so there is nothing to take apart")
    values = selected.flatten()[places]
    order = values.abs().argsort(descending=True, stable=True)
    alone = selected.new_zeros(len(places), selected.numel())
    alone.scatter_(1, places[order, None], values[order, None])
    return alone.view(len(places), *selected.shape[1:])


def _size(seen):
    return seen.answers.shape[-2:]


def _whole(what, value, count):
    """Return a number below ``count``; minus one is refused as well, it would silently be the last."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or not 0 <= value < count:
        raise InputError(f"{what} must be a whole number from 0 to {count - 1}, got {value!r}")
    return int(value)


def _positive(n):
    if not isinstance(n, numbers.Integral) or isinstance(n, bool) or n < 1:
        raise InputError(f"n must be a whole number, at least 1, got {n!r}")
    return int(n)


def _only(seen, place, answers, best, what):
    """Return a selection of the ``best`` (values and indices) of some answers (N, ...), as far as they are positive."""
    kept = answers.new_zeros(len(answers), answers[0].numel())
    kept.scatter_(1, best.indices, _speaking(seen, best.values.clamp(min=0), what))
    return _among_zeros(seen, place, kept.view_as(answers))


def _among_zeros(seen, place, values):
    """Return a tensor like the answers, with these values at one place of every picture and zeros everywhere else."""
    selected = torch.zeros_like(seen.answers)
    selected[(slice(None), *place)] = values
    return selected


def _speaking(seen, values, what):
    """Return values of which some are positive; say which filters have such if none is."""
    if (values > 0).any():
        return values
    loudest = seen.answers.flatten(2).amax(dim=(0, 2)) if seen.answers.dim() > 2 else seen.answers.amax(dim=0)
    heard = [str(k) for k in loudest.argsort(descending=True)[:3].tolist() if loudest[k] > 0]
    advice = f"filters that answer most: {', '.join(heard)}" if heard else "no filter of this layer answers at all"
    raise InputError(f"{what} of {seen.layer!r} is silent in these pictures, there is nothing to project; {advice}")
