r"""What a picture shall bring out: a *score* of a layer's answer, made larger.

=========================  ===========================================================  =========================
``channel(12)``            mean answer of a filter over its whole map, after a ReLU     a texture everywhere
``neuron(12)``             its answer at one place                                      one copy of the pattern
``logit(3)``               one class                                                    what the class "looks like"
``direction(v)``           mean of $\langle v, a \rangle$ over places                   a mixture of filters
=========================  ===========================================================  =========================

Each takes one number or several: ``channel([3, 7])`` asks for two pictures, one for filter 3 and one for filter 7, made
side by side in one batch.  Any function from answers (N, ...) to scores (N,) does as well.

Why after a ReLU: the mean of a filter that is not rectified sees nothing but the mean of the picture, because all that
its waves gain at one place they lose at another; conv1 then paints a border round a grey field.  A ReLU alone has no
slope where the filter is off, and most places stay off for ever; so half of the slope is left there.

Another trap: softmax.  A probability grows fastest by making all other classes small, so one optimises what the class
is *not*.  Use the logit.

Source: Olah, Mordvintsev & Schubert 2017, "Feature Visualization", Distill, doi:10.23915/distill.00007.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch.nn.functional import leaky_relu

from lecturekit.errors import InputError
from lecturekit.features.stream import as_maps, whole

LEAK = 0.5  # slope below zero.  Of 0.05, 0.3, 0.5 and 1 it gave the strongest answers after a ReLU on two networks


@dataclasses.dataclass(frozen=True)
class Score:
    """A score and the number of pictures that it asks for.

    Attributes:
        of: answers (N, ...) to scores (N,).
        count: N.
    """

    of: Callable[[torch.Tensor], torch.Tensor]
    count: int

    def __call__(self, code):
        """(N, ...) -> (N,)."""
        return self.of(code)

    def __add__(self, other):
        """Want both: the sum of two scores for the same number of pictures."""
        self._check(other)
        return Score(lambda code: self(code) + other(code), self.count)

    def __mul__(self, weight):
        """Want it more or less; a negative weight asks for the opposite."""
        return Score(lambda code: weight * self(code), self.count)

    __rmul__ = __mul__

    def _check(self, other):
        if self.count != other.count:
            raise InputError(f"scores add up picture by picture, but one is for {self.count}, one for {other.count}")

    def times(self, copies):
        """Return the same score for ``copies`` pictures of each wish: the first of all, then the second of all ..."""
        if copies == 1:
            return self
        return Score(lambda code: torch.cat([self(part) for part in code.split(self.count)]), self.count * copies)


def channel(which, leak=LEAK):
    """Return the score "this filter answers everywhere": the mean of its map, after a ReLU.

    Args:
        which: number of a filter, or several; one picture each.
        leak: the slope below zero; 1 for the plain mean, 0 for a plain ReLU.
    """
    which = _numbers(which, "channel")
    return Score(lambda code: leaky_relu(_chosen(as_maps(code), which), leak).mean(dim=(1, 2)), len(which))


def neuron(which, row=None, column=None):
    """Return the score "this filter answers here".

    Args:
        which: number of a filter, or several; one picture each.
        row, column: the place on the map; the middle if None.
    """
    which = _numbers(which, "neuron")

    def score(code):
        maps = _chosen(as_maps(code), which)  # (N, h, w)
        place = [side // 2 if at is None else at for at, side in zip((row, column), maps.shape[1:], strict=True)]
        if not all(whole(at, 0, side - 1) for at, side in zip(place, maps.shape[1:], strict=True)):
            raise InputError(f"the map has rows and columns 0 to {[side - 1 for side in maps.shape[1:]]}, got {place}")
        return maps[:, place[0], place[1]]

    return Score(score, len(which))


def logit(which):
    """Return the score "this class"; for the last layer.

    Args:
        which: number of a class, or several; one picture each.
    """
    which = _numbers(which, "logit")

    def score(code):
        if code.dim() != 2:
            raise InputError(f"logits are (N, K), but this layer answers with {tuple(code.shape)}; name the last layer")
        return _chosen(as_maps(code), which)[:, 0, 0]

    return Score(score, len(which))


def direction(vector, leak=LEAK):
    """Return the score "this mixture of filters": the mean over places of the scalar product, by the vector's length.

    Args:
        vector: (K,), or several (N, K); one picture each.
        leak: as for `channel`.
    Raises: InputError for a vector of another shape, or of length zero.
    """
    rows = torch.as_tensor(vector).detach()
    rows = rows[None] if rows.dim() == 1 else rows
    if rows.dim() != 2 or not rows.is_floating_point() or not (rows.norm(dim=1) > 0).all():
        raise InputError(f"a direction is (K,) or (N, K) floats, none of length zero; got {tuple(rows.shape)}")
    rows = rows / rows.norm(dim=1, keepdim=True)

    def score(code):
        maps = as_maps(code)
        if maps.shape[:2] != rows.shape:
            raise InputError(f"this layer has {maps.shape[1]} filters, but the direction is {tuple(rows.shape)}")
        return leaky_relu((maps * rows.to(maps)[:, :, None, None]).sum(dim=1), leak).mean(dim=(1, 2))

    return Score(score, len(rows))


def _numbers(which, kind):
    """Return the wished numbers as a tuple; refuse what counts nothing: -1, 2.0, True."""
    which = which.tolist() if hasattr(which, "tolist") else which
    which = tuple(which) if isinstance(which, list | tuple | range) else (which,)
    wrong = [number for number in which if not whole(number, 0)]
    if wrong or not which:
        raise InputError(f"{kind} takes whole numbers from 0 on, at least one; got {wrong or which}")
    return which


def _chosen(maps, which):
    """Return the map of each picture's own filter, (N, K, h, w) -> (N, h, w)."""
    if max(which) >= maps.shape[1]:
        raise InputError(f"this layer has filters 0 to {maps.shape[1] - 1}, got {max(which)}")
    return maps[torch.arange(len(maps), device=maps.device), torch.tensor(which, device=maps.device)]
