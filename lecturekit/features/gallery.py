r"""What makes a filter answer?  The nine patches of a whole data set that made it answer most.

For every filter of a layer, and every picture $n$, take the place where the filter answers most; then keep the $k$
pictures whose places are strongest:

    map (h, w)  ->  its maximum and the place  ->  the k largest over the pictures  ->  the patch that the unit saw

Taking the maximum of each picture first means that no picture appears twice; else one fence would fill all nine.  Only
the $k$ best of each filter are ever held, so memory depends on the batch and not on the data set.

The trap: a filter that never fires has a "strongest" patch too, chosen by nothing but rounding.  `Gallery.silent` names
such filters; do not read meaning into theirs.

Source: Zeiler & Fergus 2014, arXiv:1311.2901, section 4.
"""

import contextlib
import dataclasses
import warnings

import numpy as np
import torch

from lecturekit.errors import InputError
from lecturekit.features.stream import BATCH, answers, as_maps, count, field, fingerprint, pictures, whole
from lecturekit.files import cache_folder, replacing
from lecturekit.progress import Step, stopped

OUTSIDE = 0.5  # the grey of a patch where the receptive field leaves the picture


@dataclasses.dataclass(frozen=True)
class Gallery:
    """The strongest patches of every filter of a layer, strongest first; on the processor.

    Attributes:
        layer: its name.
        values: the answers, (K, k).
        which: number of the picture in the data set, (K, k) int64.
        places: row and column of the unit on its map, (K, k, 2) int64.
        boxes: top, left, bottom, right of its receptive field in pixels of the picture, (K, k, 4) int64, the last two
            exclusive.  Not clipped: units at the border see less than a whole field.
        complete: False if it was stopped early; it then tells about the pictures seen so far.
    """

    layer: str
    values: torch.Tensor
    which: torch.Tensor
    places: torch.Tensor
    boxes: torch.Tensor
    complete: bool = True

    @property
    def silent(self):
        """Return the filters that no picture brought above zero: their patches mean nothing."""
        return (self.values[:, 0] <= 0).nonzero().flatten().tolist()

    def pictures(self, data, channel):
        """Return the whole pictures of one filter, (k, C, H, W) in [0, 1]."""
        return pictures(data, self.which[self._checked(channel)])

    def patches(self, data, channel):
        """Return what the unit saw in each of them, (k, C, side, side) in [0, 1], middle grey outside the picture.

        Args:
            data: the data set that the gallery was made of.
            channel: one filter.
        """
        return crop(self.pictures(data, channel), self.boxes[channel])

    def projections(self, data, channel, project):
        """Return what ``project`` finds in each of them, (k, C, side, side), cut out like the patches.

        Args:
            data: the data set that the gallery was made of.
            channel: one filter.
            project: a function (pictures (k, C, H, W), channels (k,), places (k, 2)) to signed pictures (k, C, H, W),
                e.g. a DeconvNet's projection of that single activation, or a gradient.
        """
        x = self.pictures(data, channel)
        channels = torch.full((len(x),), channel)
        return crop(project(x, channels, self.places[channel]), self.boxes[channel], outside=0.0)

    def _checked(self, channel):
        if not whole(channel, 0, len(self.values) - 1):
            raise InputError(f"{self.layer} has filters 0 to {len(self.values) - 1}, got {channel!r}")
        return channel


def gallery(model, layer, data, *, k=9, batch=BATCH, cache=True, watch=None):
    """Find the ``k`` strongest patches of every filter of a layer.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        layer: a name from ``capture.layers(model)``; a linear layer sees whole pictures.
        data: a book, a tensor or a data set; see `lecturekit.features.stream`.
        k: patches of each filter, at most the number of pictures.
        batch: pictures in one pass; memory grows with it.
        cache: keep the result on disk, under a name made of pictures, weights, layer and ``k``.
        watch: see `lecturekit.progress`.
    Returns: a `Gallery`; on `STOP` or Ctrl-C that of the pictures seen so far (at least one batch), which is not kept.
    Raises: InputError for an unknown layer, a ``k`` that the data set cannot fill, or pictures that do not fit.
    """
    if not whole(k, 1, count(data)):
        raise InputError(f"k must be a whole number from 1 to {len(data):,}, the pictures of the data set, got {k!r}")
    path = cache_folder("galleries") / f"{fingerprint(model, layer, data)}-{k}.npz" if cache else None
    kept = _kept(path, k, len(data)) if cache else None
    boxes = _boxes(model, layer, pictures(data, slice(0, 1)).shape[1:])
    if kept is not None:
        return Gallery(layer, *kept, boxes(kept[2]))
    best, complete = _strongest(model, layer, data, k, batch, watch)
    if cache and complete:
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **dict(zip(("values", "which", "places"), map(torch.Tensor.numpy, best), strict=True)))
    return Gallery(layer, *best, boxes(best[2]), complete)


def _strongest(model, layer, data, k, batch, watch):
    """Return (values (K, k), pictures (K, k), places (K, k, 2)) and whether all pictures were seen."""
    best, done = None, 0
    with contextlib.suppress(KeyboardInterrupt):
        for start, x, code in answers(model, layer, data, batch=max(batch, k)):
            best, done = _merged(best, _maxima(code, start), k), start + len(x)
            if stopped(watch, Step(done, len(data))) and done < len(data):
                break
    if best is None:
        raise KeyboardInterrupt
    values, which, flat, width = best
    places = torch.stack([flat // width, flat % width], dim=-1)
    return (values.float().cpu(), which.cpu(), places.cpu()), done == len(data)


def _maxima(code, start):
    """Return the maximum of each map: values, picture numbers and flat places, each (K, n); and the maps' width."""
    maps = as_maps(code)
    values, flat = maps.flatten(2).max(dim=2)  # (n, K)
    which = torch.arange(start, start + len(maps), device=maps.device)[:, None].expand_as(flat)
    return values.T, which.T, flat.T, maps.shape[-1]


def _merged(best, new, k):
    """Return the ``k`` strongest of what was best so far and what is new."""
    *columns, width = new
    if best is not None:
        columns = [torch.cat([a, b], dim=1) for a, b in zip(best, columns, strict=False)]
    # A stable sort, not topk: of equal answers the earlier picture is kept, on every machine.
    order = columns[0].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return *(column.gather(1, order) for column in columns), width


def _boxes(model, layer, size):
    """Return the function from places (..., 2) to boxes (..., 4); the whole picture where the field is not known."""
    seen = field(model, layer, size)

    def boxes(places):
        if seen is None:
            return torch.tensor([0, 0, *size[1:]]).expand(*places.shape[:-1], 4)
        step = torch.tensor([seen.rows.step, seen.columns.step])
        first = torch.tensor([seen.rows.start, seen.columns.start]) + places * step
        return torch.cat([first, first + torch.tensor([seen.rows.size, seen.columns.size])], dim=-1)

    return boxes


def crop(x, boxes, outside=OUTSIDE):
    """Cut one box out of each picture.

    Args:
        x: (n, C, H, W).
        boxes: (n, 4) top, left, bottom, right, the last two exclusive, all of one size; they may leave the picture.
        outside: what stands where they do.
    Returns: (n, C, height, width).
    """
    (height, width), shape = (boxes[0, 2:] - boxes[0, :2]).tolist(), x.shape[-2:]
    out = x.new_full((*x.shape[:2], height, width), outside)
    for picture, target, (top, left, bottom, right) in zip(x, out, boxes.tolist(), strict=True):
        a, b, c, d = max(top, 0), max(left, 0), min(bottom, shape[0]), min(right, shape[1])
        target[:, a - top : c - top, b - left : d - left] = picture[:, a:c, b:d]
    return out


def _kept(path, k, size):
    """Return (values, which, places) of an earlier run; None if there is none, or a damaged one, which goes."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            values, which, places = (torch.from_numpy(arrays[name]) for name in ("values", "which", "places"))
        if values.shape != which.shape or places.shape != (*values.shape, 2) or values.shape[1] != k:
            raise ValueError(f"values of shape {tuple(values.shape)}")
        if not 0 <= which.min() <= which.max() < size:
            raise ValueError("it names pictures that do not exist")
        return values, which, places
    except FileNotFoundError:
        return None
    except Exception as problem:  # a flipped bit in an archive raises a dozen kinds
        warnings.warn(f"{path} in the cache is damaged ({problem}); the gallery is made again", stacklevel=3)
        path.unlink(missing_ok=True)
        return None
