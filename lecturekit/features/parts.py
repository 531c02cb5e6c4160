r"""Which filter is the wheel detector?  Where the truth is known, this question has an answer.

A filter $k$ is said to *mark* the places where it answers most; a part $c$ is painted where its mask says.  The score
is how far the two agree over the whole data set:

    threshold T_k:  a_k > T_k at 0.5 % of all places
    marked   M_k:   the map, enlarged to the picture, at least T_k
    IoU:            sum |M_k and L_c|  /  sum |M_k or L_c|        over all pictures

A number alone proves nothing: some filter of any network agrees a little with some part.  Two controls belong to it.
`networks.random_twin` has learned nothing; and `random_rotation` asks the *same* layer for mixtures of its filters,
which carry exactly the same information.  If filters beat mixtures, the axes of the network mean something.

The sum runs over *all* pictures, with the part or without it: a filter that marks eyes and wheels alike is no eye
detector.  Counting only pictures that have the part would forgive it, and raise every score.

The trap: a filter that hardly ever fires has $T_k = 0$ after a ReLU and marks everything.  Such filters get no marks.

Sources: Bau et al. 2017, "Network Dissection", arXiv:1704.05796; the pointing game: Zhang et al. 2016,
arXiv:1608.00507, section 4.2.
"""

import dataclasses
import math
from typing import NamedTuple

import torch

from lecturekit.errors import InputError
from lecturekit.features.stream import BATCH, answers, as_maps, whole
from lecturekit.measure import Interval, proportion
from lecturekit.pictures.picturebook import PARTS
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table

QUANTILE = 0.995  # of a filter's answers; Bau et al. 2017, section 2
DETECTOR = 0.10  # IoU from which we call a filter the detector of a part
TOLERANCE = 2  # pixels beside the part that still hit; 15 pixels on pictures of 500 in Zhang et al.


class Detector(NamedTuple):
    """The best filter for one part."""

    part: str
    channel: int
    iou: float


@dataclasses.dataclass(frozen=True)
class PartScores:
    """How well each filter of a layer marks each part.

    Attributes:
        layer: its name.
        iou: (K, P), in [0, 1]; NaN for a part that no picture has.
        thresholds: (K,); infinite for a filter that fires at too few places to have one.
        parts: the P names.
    """

    layer: str
    iou: torch.Tensor
    thresholds: torch.Tensor
    parts: tuple[str, ...]

    def detectors(self, least=DETECTOR):
        """Return the best filter for every part that has one with IoU of at least ``least``, the best first."""
        values, channels = self.iou.nan_to_num(-1).max(dim=0)
        rows = zip(self.parts, channels.tolist(), values.tolist(), strict=True)
        found = [Detector(part, channel, round(iou, 3)) for part, channel, iou in rows if iou >= least]
        return Table(sorted(found, key=lambda row: -row.iou), Detector._fields)


def part_scores(model, layer, book, *, names=PARTS, basis=None, quantile=QUANTILE, batch=BATCH, watch=None):
    """Score every filter of a layer against every part.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        layer: a name from ``capture.layers(model)`` with maps (K, h, w).
        book: a data set with ``parts``, (N, H, W) whole numbers; 0 is background, and scored for no filter.
        names: what the numbers mean.
        basis: (M, K), a mixture of filters in each row, to be scored instead of the filters; see `random_rotation`.
        quantile: share of places at which a filter does not mark.
        batch: pictures in one pass.
        watch: see `lecturekit.progress`; the pictures are gone through twice.
    Returns: a `PartScores`; None if it was stopped, because half of the thresholds mean nothing.
    Raises: InputError for a layer without maps, a data set without parts, or a quantile outside (0, 1).
    """
    masks = _masks(book, names)
    if not 0 < quantile < 1:
        raise InputError(f"quantile is a share of all places between 0 and 1, e.g. {QUANTILE}; got {quantile!r}")
    total = 2 * len(masks)

    def maps(done):
        for start, _, code in answers(model, layer, book, batch=batch):
            yield start, as_maps(code) if basis is None else mixed(as_maps(code), basis)
            if stopped(watch, Step(done + min(start + batch, len(masks)), total)):
                raise _Stopped

    try:
        thresholds = upper_quantile((code for _, code in maps(0)), 1 - quantile, len(masks))
        both, marked, painted = _overlaps(maps(len(masks)), masks, thresholds, len(names))
    except _Stopped:
        return None
    union = marked[:, None] + painted - both
    iou = torch.where(painted > 0, both / union.clamp(min=1), torch.nan)[:, 1:]  # without background
    return PartScores(layer, iou.float(), thresholds.float(), tuple(names[1:]))


class _Stopped(Exception):
    """Whoever watched asked to stop."""


def upper_quantile(maps, share, count):
    """Return the value of each filter that ``share`` of all its places exceed, (K,), on the processor.

    Exact and in bounded memory: only the largest ``share`` of the values are held, 0.5 % of them by default.

    Args:
        maps: an iterable of batches (n, K, h, w), ``count`` pictures in all.
        share: in (0, 1).
        count: pictures.
    Returns: (K,); infinite where it is not above zero: such a filter fires at fewer places than that.
    """
    top = None
    for batch in maps:
        values = batch.transpose(0, 1).flatten(1)  # (K, n h w)
        size = max(1, math.ceil(share * count * batch[0, 0].numel()))
        values = values if top is None else torch.cat([top, values], dim=1)
        top = values.topk(min(size, values.shape[1]), dim=1).values
    lowest = top[:, -1].cpu()
    return torch.where(lowest > 0, lowest, torch.inf)


def _overlaps(maps, masks, thresholds, parts):
    """Return pixels in both (K, P), pixels marked (K,) and pixels painted (P,), summed over all pictures."""
    both, marked, painted = torch.zeros(len(thresholds), parts), torch.zeros(len(thresholds)), torch.zeros(parts)
    both, marked, painted = both.double(), marked.double(), painted.double()
    for start, code in maps:
        truth = masks[start : start + len(code)].to(code.device)
        large = torch.nn.functional.interpolate(code, size=truth.shape[1:], mode="bilinear", align_corners=False)
        marks = (large >= thresholds.to(code)[:, None, None]).flatten(2).to(code.dtype)  # (n, K, H W)
        labels = torch.nn.functional.one_hot(truth.flatten(1).long(), parts).to(code.dtype)  # (n, H W, P)
        both += (marks @ labels).sum(dim=0).double().cpu()
        marked += marks.sum(dim=(0, 2)).double().cpu()
        painted += labels.sum(dim=(0, 1)).double().cpu()
    return both, marked, painted


def mixed(maps, basis):
    """Return mixtures of the filters of maps (n, K, h, w), one for each row of ``basis`` (M, K): (n, M, h, w)."""
    if basis.dim() != 2 or basis.shape[1] != maps.shape[1]:
        raise InputError(f"basis must be (M, {maps.shape[1]}), a mixture in each row; got {tuple(basis.shape)}")
    return torch.einsum("mk,nkhw->nmhw", basis.to(maps), maps)


def random_rotation(size, seed=0):
    """Return a random rotation (size, size): each row mixes all filters, and nothing of the layer is lost.

    The same filters turned in their own space span the same codes, and a linear layer behind could undo the turn.

    Source: Bau et al. 2017, section 3.2; uniform over rotations: Mezzadri 2007, arXiv:math-ph/0609050.
    """
    noise = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    q, r = torch.linalg.qr(noise)
    q *= r.diagonal().sign()  # else the signs that LAPACK chooses would favour some rotations
    q[0] *= torch.linalg.det(q).sign()
    return q.float()


@dataclasses.dataclass(frozen=True)
class Pointing:
    """The outcome of a pointing game.

    Attributes:
        hits: (N,) bool, whether the strongest pixel lies on the part.
        rate: the share that hit.
        chance: the share that a random pixel would hit.
    """

    hits: torch.Tensor
    rate: Interval
    chance: float


def pointing_game(maps, masks, tolerance=TOLERANCE):
    """Ask of each map whether its strongest pixel lies on the part.

    Args:
        maps: (N, H, W), or pictures (N, C, H, W) whose largest colour counts; signed values by their size.
        masks: (N, H, W) bool, where the part is; pictures without the part do not belong into the game.
        tolerance: how many pixels beside the part still hit.
    Returns: a `Pointing`.
    Raises: InputError for shapes that do not fit, a mask without the part, or a map that is zero everywhere.
    """
    heat = maps.abs().amax(dim=1) if maps.dim() == 4 else maps.abs()
    if masks.dtype != torch.bool or heat.shape != masks.shape or heat.dim() != 3 or not len(heat):
        raise InputError(
            f"maps {tuple(maps.shape)} and masks {masks.dtype} {tuple(masks.shape)} do not fit: expected maps "
            "(N, H, W) or (N, C, H, W), and bool masks (N, H, W)"
        )
    if not whole(tolerance, 0):
        raise InputError(f"tolerance is a whole number of pixels from 0 on, got {tolerance!r}")
    for name, values in (("masks", masks), ("maps", heat)):
        empty = (~values.flatten(1).any(dim=1)).nonzero().flatten().tolist()
        if empty:
            raise InputError(f"{name}{empty} are empty; leave these pictures out of the game")
    side = 2 * tolerance + 1
    near = torch.nn.functional.max_pool2d(masks[:, None].float(), side, 1, tolerance)[:, 0].flatten(1)  # (N, H W)
    hits = near.gather(1, heat.flatten(1).argmax(dim=1, keepdim=True))[:, 0] > 0
    return Pointing(hits, proportion(hits.sum(), len(hits)), near.mean().item())


def _masks(book, names):
    """Return the part masks of a book as a tensor (N, H, W)."""
    if not hasattr(book, "parts"):
        raise InputError(f"{type(book).__name__} has no part masks; the picture book has: PictureBook('test', 1000)")
    masks = torch.as_tensor(book.parts)
    if masks.dim() != 3 or int(masks.max()) >= len(names):
        raise InputError(f"masks {tuple(masks.shape)} up to {int(masks.max())} need as many names, got {len(names)}")
    return masks
