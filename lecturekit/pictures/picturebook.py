"""The picture book: a small world in which the truth about every picture is known.

Does this filter look at wheels?  Does a reconstruction still show whose face it was?  On photographs one can argue
about such questions; on drawings they have answers, because whoever drew them knows what each pixel is.

    seed ->  what · where · colours  ->  image (64, 64, 3)  +  label  +  part mask (64, 64)  +  attributes

The trap: pictures of the test must not be pictures of the training.  Here every split has its own range of seeds.

    split        seeds                      faces of chosen people
    train        0 ... 999,999              10,000,000 ...
    validation   1,000,000 ... 1,999,999    11,000,000 ...
    test         2,000,000 ... 2,999,999    12,000,000 ...
"""

from typing import NamedTuple

import numpy as np
import torch

from lecturekit.errors import InputError, unknown
from lecturekit.pictures.bookshelf import BLOCK, FEW, collect
from lecturekit.pictures.faces import IDENTITIES
from lecturekit.pictures.scenes import CLASSES, Scene, check_identity, check_label, draw, is_whole
from lecturekit.pictures.sketch import PARTS
from lecturekit.pictures.spurious import PATTERNS, Spurious

__all__ = [
    "CLASSES",
    "IDENTITIES",
    "PARTS",
    "PATTERNS",
    "PictureBook",
    "Scene",
    "Spurious",
    "draw",
    "faces",
    "portraits",
    "seeds",
]

SPLITS = ("train", "validation", "test")
SPLIT_SEEDS = 1_000_000  # seeds of one split
GALLERY_SEEDS = 10_000_000  # where the seeds of galleries begin, far from those of the splits
PER_IDENTITY = SPLIT_SEEDS // IDENTITIES  # gallery seeds of one person in one split


class PictureBook(torch.utils.data.Dataset):
    """Pictures of one split, drawn in parallel on first use and read from the cache afterwards.

    The first pictures of a larger book are those of a smaller one: ``PictureBook("train", 100)`` opens
    ``PictureBook("train", 6000)``.  Classes take turns, so any run of ten pictures is balanced.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``; no seed belongs to two of them.
        size: number of pictures.
        spurious: a Spurious to plant, or None.
        labels: classes to draw, as indices or names; None for all ten.  Labels keep their numbers.
        cache: keep the pictures on disk (16 KB each).
        workers: processes that draw; None for one per core.
    Attributes:
        images: (N, 64, 64, 3) uint8.  labels: (N,) int64.  parts: (N, 64, 64) uint8.  attributes: list of N dicts.
        seeds: (N,) int64; ``draw(seed)`` is the same scene.
    Raises: InputError for an unknown split or label, or a size that the split's seeds cannot fill.
    """

    def __init__(self, split, size, *, spurious=None, labels=None, cache=True, workers=None):
        chosen = range(len(CLASSES)) if labels is None else sorted({check_label(label) for label in labels})
        self.split, self.spurious, start = split, spurious, seeds(split)[0]
        room = SPLIT_SEEDS // len(CLASSES) * len(chosen)
        if not is_whole(size, 0, room):
            raise InputError(
                f"size must be a whole number from 0 to {room:,}, the pictures that {split!r} has for "
                f"{len(chosen)} classes, got {size!r}"
            )
        whole = size if size < FEW else -(-size // BLOCK) * BLOCK  # whole blocks: another size then finds them too
        numbers = [start + k // len(chosen) * len(CLASSES) + chosen[k % len(chosen)] for k in range(min(whole, room))]
        jobs = [(seed, seed % len(CLASSES), None) for seed in numbers]
        pages = collect(jobs, spurious=spurious, cache=cache, workers=workers)
        self.images, self.labels, self.parts, self.attributes = (each[:size] for each in pages)
        self.seeds = np.array(numbers[:size], dtype=np.int64)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        """Return picture ``index`` as a float tensor (3, 64, 64) in [0, 1], and its label as int."""
        return self.tensors([index])[0], int(self.labels[index])

    def tensors(self, which=slice(None)):
        """Return pictures as a float tensor (N, 3, 64, 64) in [0, 1]; ``which`` is a slice, indices, or a mask."""
        return _tensors(self.images[which])


def seeds(split):
    """Return the range of seeds of a split: ``draw(seeds("test")[5])`` is the sixth scene of the test book."""
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return range(SPLITS.index(split) * SPLIT_SEEDS, (SPLITS.index(split) + 1) * SPLIT_SEEDS)


def faces(identities, seeds_per_identity, split):
    """Draw several pictures of each of some people, with pose, mood, light and background different in each.

    A gallery to recognise people in: take ``split="validation"`` for the pictures one has and ``split="test"`` for
    the pictures one is asked about; no picture is in both.

    Args:
        identities: numbers of people, each in 0 ... 999.
        seeds_per_identity: pictures of each, at most 1000.
        split: as for `PictureBook`.
    Returns: images (N, 3, 64, 64) float in [0, 1] and identities (N,) int64, person after person.
    Raises: InputError for an unknown split or identity, or too many pictures.
    """
    drawn = portraits(identities, seeds_per_identity, split)
    return _tensors(drawn.images), torch.from_numpy(drawn.people)


class Portraits(NamedTuple):
    """Pictures of people: images (N, 64, 64, 3) uint8, who each shows (N,) int64, and N attribute dicts."""

    images: np.ndarray
    people: np.ndarray
    attributes: list


def portraits(identities, seeds_per_identity, split):
    """Draw what `faces` draws and return it as it is stored, with the truth about each picture.

    Args, Raises: as for `faces`.
    Returns: `Portraits`.
    """
    if not is_whole(seeds_per_identity, 1, PER_IDENTITY):
        raise InputError(f"seeds_per_identity is a whole number from 1 to {PER_IDENTITY}, got {seeds_per_identity!r}")
    start = GALLERY_SEEDS + seeds(split)[0]
    people = [check_identity(who, "face") for who in identities]
    jobs = [(start + who * PER_IDENTITY + k, 0, who) for who in people for k in range(seeds_per_identity)]
    pages = collect(jobs)
    return Portraits(pages.images, np.repeat(np.array(people, dtype=np.int64), seeds_per_identity), pages.attributes)


def _tensors(images):
    """Turn images (N, 64, 64, 3) uint8 into a float tensor (N, 3, 64, 64) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
