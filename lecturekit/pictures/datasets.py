"""Data sets by name, all of them in the library's own pixels and with the same four attributes as the picture book.

torchvision knows where they lie and reads them; what it does not do is say how large they are, go on after a broken
connection, or wait for the user's word.  So the archives are fetched by `lecturekit.download`, and only with
``download=True``; they are unpacked here, whole or not at all; and torchvision reads what is then on the disk.

=============  ==========  ================================================
name           a side      what one sees
=============  ==========  ================================================
``cifar10``    32          ten kinds of animals and vehicles
``stl10``      96          the same, larger and fewer
``imagenette`` 160         ten easy classes of ImageNet
``mnist``      28          handwritten digits
``olivetti``   64          forty people, ten photographs each
=============  ==========  ================================================

`TinyImageNet` and `AttFaces` stand apart: they have no public address that can be trusted, so their folder has to be
named.  `AttFaces` are the Olivetti faces, cut by ourselves from the photographs as they were taken.
"""

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lecturekit import download as downloads
from lecturekit.errors import FileError, InputError, LectureError, SetupError, unknown
from lecturekit.files import cache_folder, locked, replacing
from lecturekit.pictures.photographs import centre_square, crop_to, side
from lecturekit.pictures.sources import SOURCES
from lecturekit.progress import Step, bar, stopped
from lecturekit.tables import Table


class Pictures(torch.utils.data.Dataset):
    """Pictures in memory with their labels: one interface for every data set, the same as the picture book's.

    Attributes:
        images: uint8 (N, H, W, 3).
        labels: int64 (N,).
        classes: the names, label by label.

    Each item is a float picture (3, H, W) in [0, 1] and its label.
    """

    def __init__(self, images, labels, classes):
        self.images = images
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = tuple(classes)

    def __len__(self):
        """Return the number of pictures."""
        return len(self.labels)

    def __getitem__(self, index):
        """Return picture ``index``, float (3, H, W) in [0, 1], and its label."""
        pixels = torch.from_numpy(self.images[index]).permute(2, 0, 1)  # (H, W, 3) -> (3, H, W)
        return pixels.float() / 255, int(self.labels[index])


class TinyImageNet(Pictures):
    """Twenty classes of Tiny ImageNet, real photographs of 64x64, from a folder with ``train.npz`` and ``val.npz``.

    The photograph network is trained on them.  They are ImageNet's pictures (non-commercial research and education),
    so they are never shipped with the library.

    Args:
        folder: where ``train.npz`` and ``val.npz`` lie.  Each holds ``jpeg`` (uint8, all JPEG files one after the
            other), ``offset`` (int64, where each begins, and the end), ``label`` and ``classes``.
        split: ``"train"`` (500 pictures of each class) or ``"val"`` (50 of each).

    Raises: InputError for another split; FileError if the file is missing, damaged or something else.
    """

    SPLITS = ("train", "val")

    def __init__(self, folder, split):
        if split not in self.SPLITS:
            raise unknown("split of Tiny ImageNet", split, self.SPLITS)
        path = Path(folder, f"{split}.npz")
        if not path.is_file():
            raise FileError(f"{path} is missing; name the folder that holds train.npz and val.npz of Tiny ImageNet")
        try:
            # A pickle inside could run code, so none is allowed; the CRC of each array is checked by numpy.
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                jpeg, offset = archive["jpeg"], archive["offset"]
                labels, classes = archive["label"], archive["classes"]
            images = np.stack([_jpeg(jpeg[a:b]) for a, b in zip(offset[:-1], offset[1:], strict=True)])
            if images.shape != (len(labels), 64, 64, 3) or not 0 <= labels.min() <= labels.max() < len(classes):
                raise ValueError(f"{images.shape} pictures, {len(labels)} labels, {len(classes)} classes")
        except Exception as problem:  # BadZipFile, KeyError, ValueError, EOFError, OSError: as the bytes fall
            raise FileError(f"{path} is damaged or not a Tiny ImageNet archive ({problem}); get it again") from problem
        super().__init__(images, labels, map(str, classes))


class AttFaces(Pictures):
    """Forty real people, ten grey photographs of each, 64x64, in three equal colours.

    The faces of AT&T Laboratories Cambridge (1992 to 1994), free with acknowledgement.  They are people one could meet,
    so no picture of them is shipped.  Looked for, in this order:

    1. ``att_faces_400x112x92.npz`` in ``folder``, or in the folder that the variable ``ATT_FACES`` names: ``x`` (uint8,
       400 x 112 x 92) and ``subject`` (1 to 40, ten times each).  The centre square is made 64 pixels a side.
    2. the Olivetti faces of `dataset`, the same photographs cut by somebody else, where they have been downloaded.

    Args:
        numbers: which of each person's ten pictures, counted from 1; e.g. ``range(1, 5)``.
        folder: see above.
        download: fetch the Olivetti faces if neither is there.

    Attributes:
        numbers: for each picture which of the ten it is, (N,).

    Raises: InputError for numbers outside 1 to 10; SetupError if the faces are not on this machine, with the ways to
        get them; FileError if the file is damaged or something else.
    """

    NAME = "att_faces_400x112x92.npz"
    DIGEST = "33d1dc2788b4783c43d12b87a77b8193b51c9306e6e4f17f7849353375982940"  # of what is in it, however packed
    SIZE, PEOPLE, EACH = 64, 40, 10

    def __init__(self, numbers=range(1, 11), *, folder=None, download=False):
        numbers = list(numbers)
        if not numbers or not set(numbers) <= set(range(1, self.EACH + 1)):
            raise InputError(f"each person has pictures 1 to {self.EACH}, got the numbers {numbers}")
        folder = folder or os.environ.get("ATT_FACES")
        faces = self._archive(Path(folder, self.NAME)) if folder else self._olivetti(download)  # (40, 10, 64, 64, 3)
        chosen = faces[:, [number - 1 for number in numbers]]
        images = chosen.reshape(-1, *faces.shape[2:])
        super().__init__(images, np.repeat(range(self.PEOPLE), len(numbers)), SOURCES["olivetti"].classes)
        self.numbers = np.tile(numbers, self.PEOPLE)

    def _archive(self, path):
        """Return all faces of the file, (40, 10, 64, 64, 3)."""
        if not path.is_file():
            raise FileError(f"{path} is missing; name the folder that holds {self.NAME}, by ATT_FACES or as folder=")
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:  # no pickle: it could run code
                x, subject = archive["x"], archive["subject"]
            if x.shape != (400, 112, 92) or x.dtype != np.uint8:
                raise ValueError(f"{x.dtype} {x.shape} pictures")
            if hashlib.sha256(x.tobytes() + subject.astype(np.uint8).tobytes()).hexdigest() != self.DIGEST:
                raise ValueError("its pixels or subjects are others")
        except Exception as problem:  # BadZipFile, KeyError, ValueError, EOFError, OSError: as the bytes fall
            raise FileError(f"{path} is damaged or not the AT&T faces ({problem}); get it again") from problem
        grey = _resized(x[..., None], self.SIZE)  # the centre square: 92 of 112 rows
        return np.repeat(grey, 3, axis=-1).reshape(self.PEOPLE, self.EACH, self.SIZE, self.SIZE, 3)

    def _olivetti(self, download):
        """Return the same faces as scikit-learn knows them, put together from the two splits of `dataset`."""
        try:
            parts = [dataset("olivetti", split, download=download).images for split in ("train", "test")]
        except SetupError as problem:
            raise SetupError(
                f"the AT&T faces are not on this machine. Set ATT_FACES to a folder with {self.NAME}, or pass "
                f"download=True for the Olivetti faces, which are the same people: {problem}"
            ) from None
        return np.concatenate([part.reshape(self.PEOPLE, -1, *part.shape[1:]) for part in parts], axis=1)


class Row(NamedTuple):
    """One data set of the catalogue."""

    name: str
    classes: int
    pictures: str
    side: int
    download: str
    credit: str
    licence: str


def catalogue():
    """Return the data sets that `dataset` knows as a table: how many pictures, how large a download, whose they are."""
    rows = []
    for name, source in SOURCES.items():
        pictures = ", ".join(f"{count:,} {split}" for split, count in source.splits.items())
        size = downloads.amount(source.size)
        rows.append(Row(name, len(source.classes), pictures, source.side, size, source.credit, source.licence))
    return Table(rows)


def dataset(name, split, *, folder=None, size=None, download=False, watch=None):
    """Return a data set by name; it is downloaded only with ``download=True``, and kept.

    Args:
        name: one of `catalogue`.
        split: ``"train"`` or ``"test"``; Imagenette calls the second one ``"val"``, and of the Olivetti faces, which
            nobody has split, the last two pictures of each person are the test.
        folder: where it lies or shall lie; None for the cache.
        size: pixels a side; None for its own.  Imagenette's 9,469 pictures take 0.7 GB at 160 and 0.1 GB at 64.
        download: fetch what is missing; says how large it is first.
        watch: is called with a `Step` during a download and while many files are decoded; a progress bar if None.
    Returns: `Pictures`, always with three colours.
    Raises: InputError for an unknown name or split; SetupError if it is not there, with its size and how to get it;
        FileError if it is damaged.
    """
    if name not in SOURCES:
        raise unknown("data set", name, SOURCES)
    source = SOURCES[name]
    if split not in source.splits:
        raise unknown(f"split of {name}", split, source.splits)
    size = size if size is None else side(size)
    folder = Path(folder) if folder is not None else cache_folder("datasets")
    images, labels = _present(name, folder, split, size, watch) or _fetched(name, folder, split, size, download, watch)
    if len(images) != source.splits[split]:
        raise FileError(
            f"{name} in {folder} has {len(images):,} of {source.splits[split]:,} pictures; "
            "remove that folder and call with download=True"
        )
    return Pictures(_resized(images, size), labels, source.classes)


def _present(name, folder, split, size, watch):
    """Return images and labels of a data set that is there and whole, else None."""
    try:
        return READERS[name](folder, split, size, watch)
    except LectureError:
        raise
    except Exception:  # torchvision has RuntimeError for "not found or corrupted", and anything for half a file
        return None


def _fetched(name, folder, split, size, download, watch):
    """Return images and labels after unpacking the archives, downloading only those that are not there.

    An archive that somebody has put there by hand needs no network and no permission to use it.
    """
    for archive in SOURCES[name].archives:
        path = folder / archive.path
        if not downloads.have(path, archive.digest):
            if not download:
                files = [(a.url, folder / a.path, a.digest) for a in SOURCES[name].archives]
                raise SetupError(
                    f"{name} is not, or not whole, in {folder}. dataset({name!r}, {split!r}, download=True) downloads "
                    f"{downloads.amount(SOURCES[name].size)}. {downloads.by_hand(*files)}"
                )
            report = watch or bar(path.name)
            downloads.fetch(archive.url, path, digest=archive.digest, size=archive.size, watch=report)
        _unpack(path)
    try:
        return READERS[name](folder, split, size, watch)
    except LectureError:
        raise
    except Exception as problem:
        raise FileError(f"{name} in {folder} cannot be read ({problem}); remove that folder and try again") from problem


def _unpack(path):
    """Unpack an archive beside itself, so that each thing in it appears whole or not at all."""
    if path.suffix == ".gz" and not path.name.endswith(".tar.gz"):
        with replacing(path.with_suffix("")) as temporary, gzip.open(path) as packed, open(temporary, "wb") as plain:
            shutil.copyfileobj(packed, plain)
    elif path.suffix in (".gz", ".tgz"):
        with locked(path), tempfile.TemporaryDirectory(dir=path.parent) as fresh:
            with tarfile.open(path) as packed:
                packed.extractall(fresh, filter="data")  # nothing may land outside
            for thing in os.listdir(fresh):
                shutil.rmtree(path.parent / thing, ignore_errors=True)
                os.replace(Path(fresh, thing), path.parent / thing)


def _resized(images, size):
    """Return uint8 (N, H, W, 3) as uint8 (N, size, size, 3), a thousand at a time to spare memory."""
    if size is None or images.shape[1:3] == (size, size):
        return images
    parts = []
    for start in range(0, len(images), 1000):
        x = torch.from_numpy(images[start : start + 1000]).permute(0, 3, 1, 2).float() / 255
        parts.append((crop_to(x, size) * 255).round().byte().permute(0, 2, 3, 1).numpy())
    return np.concatenate(parts)


def _cifar10(folder, split, _size, _watch):
    from torchvision.datasets import CIFAR10

    source = CIFAR10(folder, train=split == "train")  # a pickle, but torchvision compares its MD5 before reading it
    return source.data, source.targets


def _stl10(folder, split, _size, _watch):
    from torchvision.datasets import STL10

    source = STL10(folder, split=split)
    return np.ascontiguousarray(source.data.transpose(0, 2, 3, 1)), source.labels


def _mnist(folder, split, _size, _watch):
    from torchvision.datasets import MNIST

    source = MNIST(folder, train=split == "train")
    return source.data.unsqueeze(-1).repeat(1, 1, 1, 3).numpy(), source.targets.numpy()


def _imagenette(folder, split, size, watch):
    from PIL.Image import Resampling
    from torchvision.datasets import Imagenette

    source = Imagenette(folder, split=split, size="160px")
    pixels, images, labels = size or SOURCES["imagenette"].side, [], []
    report = watch or bar("decoding Imagenette")
    for i in range(len(source)):
        picture, label = source[i]
        square = picture.crop(centre_square(*picture.size))
        images.append(np.asarray(square.resize((pixels, pixels), Resampling.BILINEAR)))
        labels.append(label)
        if stopped(report, Step(i + 1, len(source))):
            raise SetupError(f"imagenette: stopped after {i + 1:,} of {len(source):,} pictures; call again")
    return np.stack(images), labels


def _olivetti(folder, split, _size, _watch):
    """Read the file that scikit-learn's ``fetch_olivetti_faces`` reads, without the pickle it would make of it."""
    from scipy.io import loadmat

    path = folder / SOURCES["olivetti"].archives[0].path
    if not downloads.have(path, SOURCES["olivetti"].archives[0].digest):
        raise FileNotFoundError(path)
    faces = loadmat(path)["faces"].T.astype(np.uint8)  # (400, 4096)
    faces = faces.reshape(400, 64, 64).transpose(0, 2, 1)  # MATLAB counts down the columns first
    person, number = np.divmod(np.arange(400), 10)
    chosen = number < 8 if split == "train" else number >= 8
    return np.repeat(faces[chosen][..., None], 3, axis=-1), person[chosen]


READERS = {"cifar10": _cifar10, "stl10": _stl10, "mnist": _mnist, "imagenette": _imagenette, "olivetti": _olivetti}


def _jpeg(data):
    """Return the bytes of one JPEG file as uint8 (H, W, 3); some of the photographs are grey."""
    from PIL import Image

    with Image.open(io.BytesIO(data.tobytes())) as picture:
        return np.asarray(picture.convert("RGB"))
