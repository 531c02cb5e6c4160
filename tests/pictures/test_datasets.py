"""Data sets by name: nothing moves without the user's word, and what comes is RGB pixels with the right labels."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lecturekit.errors import FileError, InputError, SetupError
from lecturekit.pictures import datasets
from lecturekit.pictures.datasets import Pictures, TinyImageNet, catalogue, dataset
from lecturekit.pictures.photographs import crop_to
from lecturekit.pictures.sources import SOURCES, Archive
from tests.website import running_website

RNG = np.random.default_rng(0)


def md5(data):
    return "md5:" + hashlib.md5(data).hexdigest()


def packed(files):
    """The bytes of a .tar.gz with these files (path -> bytes)."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def offer(website, monkeypatch, name, files, splits):
    """Let a data set lie on our own server: ``files`` maps the path below the folder to its bytes."""
    archives = []
    for path, data in files.items():
        website.files[f"/{path}"] = data
        digest = "sha256:" + hashlib.sha256(data).hexdigest() if name == "olivetti" else md5(data)
        archives.append(Archive(f"{website.url}/{path}", path, digest, len(data)))
    monkeypatch.setitem(SOURCES, name, SOURCES[name]._replace(archives=tuple(archives), splits=splits))


def quiet(_step):
    """Watch without a progress bar."""


def assert_pixels(pictures, index=0):
    """An item keeps the pixel contract and agrees with the arrays."""
    x, label = pictures[index]
    assert x.dtype == torch.float32 and x.shape[0] == 3 and type(label) is int
    assert np.array_equal((x * 255).round().byte().permute(1, 2, 0).numpy(), pictures.images[index])
    assert label == pictures.labels[index] and 0 <= label < len(pictures.classes)
    assert len(pictures) == len(pictures.images) == len(pictures.labels)


# The catalogue


def test_the_catalogue_tells_what_one_gets_and_what_it_costs():
    rows = {row.name: row for row in catalogue()}
    assert set(rows) == {"cifar10", "stl10", "imagenette", "mnist", "olivetti"} == set(datasets.READERS)
    assert rows["cifar10"][1:5] == (10, "50,000 train, 10,000 test", 32, "170.5 MB")
    assert rows["stl10"].download == "2.6 GB" and rows["olivetti"].classes == 40
    assert "Krizhevsky" in repr(catalogue()) and "AT&amp;T" in catalogue()._repr_html_()


def test_addresses_and_digests_are_those_of_torchvision_and_scikit_learn():
    from sklearn.datasets._olivetti_faces import FACES
    from torchvision import datasets as theirs

    (cifar,), (stl,), (imagenette,) = (SOURCES[name].archives for name in ("cifar10", "stl10", "imagenette"))
    assert cifar[:3] == (theirs.CIFAR10.url, theirs.CIFAR10.filename, f"md5:{theirs.CIFAR10.tgz_md5}")
    assert stl[:3] == (theirs.STL10.url, theirs.STL10.filename, f"md5:{theirs.STL10.tgz_md5}")
    url, digest = theirs.Imagenette._ARCHIVES["160px"]
    assert (imagenette.url, imagenette.digest) == (url, f"md5:{digest}")
    for archive, (name, digest) in zip(SOURCES["mnist"].archives, theirs.MNIST.resources, strict=True):
        assert archive.digest == f"md5:{digest}"
        assert archive.url in [mirror + name for mirror in theirs.MNIST.mirrors]  # their order changed over the years
    (olivetti,) = SOURCES["olivetti"].archives
    assert olivetti[:3] == (FACES.url, FACES.filename, f"sha256:{FACES.checksum}")
    names = [name for name, *_ in theirs.Imagenette._WNID_TO_CLASS.values()]
    assert list(SOURCES["imagenette"].classes) == names


# Nothing without the user's word


@pytest.mark.parametrize("name", SOURCES)
def test_without_permission_nothing_is_downloaded_and_the_way_is_shown_at_once(name, tmp_path):
    from torchvision import datasets as _  # noqa: F401 - its import takes seconds, and is not what is measured

    begun = time.monotonic()
    with pytest.raises(SetupError, match=rf"{name} is not, or not whole, in .*dataset\('{name}', 'train'") as caught:
        dataset(name, "train", folder=tmp_path)
    assert time.monotonic() - begun < 1
    for archive in SOURCES[name].archives:
        for needed in (archive.url, archive.digest, str(tmp_path / archive.path)):
            assert needed in str(caught.value)
    assert {row.name: row.download for row in catalogue()}[name] in str(caught.value)


def test_without_a_folder_the_cache_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path))
    with pytest.raises(SetupError, match=f"in {tmp_path}/datasets"):
        dataset("cifar10", "test")


def test_wrong_names_are_answered_with_the_right_ones(tmp_path):
    with pytest.raises(InputError, match="no data set named 'cifar'. Did you mean 'cifar10'"):
        dataset("cifar", "train")
    with pytest.raises(InputError, match="no split of imagenette named 'test'.*Available: train, val"):
        dataset("imagenette", "test", folder=tmp_path)
    with pytest.raises(InputError, match="size must be a whole number"):
        dataset("cifar10", "train", folder=tmp_path, size=0)


# Each data set, from a server of our own


@pytest.fixture
def website(monkeypatch):
    """A web server of our own; fill its ``files``."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running_website() as server:
        yield server


@pytest.fixture
def cifar(website, monkeypatch):
    """CIFAR-10 with four pictures a batch; returns the training pictures (20, 32, 32, 3) and labels."""
    from torchvision.datasets import CIFAR10

    images, labels = RNG.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8), RNG.integers(0, 10, 24)
    files = {}
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        part = slice(4 * i, 4 * i + 4)
        rows = images[part].transpose(0, 3, 1, 2).reshape(4, -1)
        files[name] = pickle.dumps({"data": rows, "labels": labels[part].tolist()})
    files["batches.meta"] = pickle.dumps({"label_names": list(SOURCES["cifar10"].classes)})
    digests = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    monkeypatch.setattr(CIFAR10, "train_list", [[f"data_batch_{k}", digests[f"data_batch_{k}"]] for k in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", digests["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": digests["batches.meta"]})
    archive = packed({f"cifar-10-batches-py/{name}": data for name, data in files.items()})
    offer(website, monkeypatch, "cifar10", {"cifar-10-python.tar.gz": archive}, {"train": 20, "test": 4})
    return images, labels


def test_cifar10_is_downloaded_once_and_announced(cifar, website, tmp_path, capsys):
    images, labels = cifar
    steps = []
    train = dataset("cifar10", "train", folder=tmp_path, download=True, watch=steps.append)
    assert "Downloading cifar-10-python.tar.gz" in capsys.readouterr().out
    assert steps[-1].done == steps[-1].total
    assert np.array_equal(train.images, images[:20]) and np.array_equal(train.labels, labels[:20])
    assert_pixels(train, 3)
    test = dataset("cifar10", "test", folder=tmp_path, download=True)
    assert np.array_equal(test.images, images[20:]) and test.classes[0] == "airplane"
    assert len(website.seen) == 1, "the second split came out of the same archive"
    assert {left.name for left in tmp_path.iterdir()} - {"cifar-10-python.tar.gz.lock"} == {
        "cifar-10-python.tar.gz",
        "cifar-10-batches-py",
    }


def test_an_archive_brought_by_hand_needs_no_permission(cifar, website, tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(website.files["/cifar-10-python.tar.gz"])
    assert len(dataset("cifar10", "train", folder=tmp_path)) == 20
    assert website.seen == []


def test_a_damaged_batch_is_taken_from_the_archive_again(cifar, tmp_path):
    dataset("cifar10", "train", folder=tmp_path, download=True, watch=quiet)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(batch.read_bytes()[:-9])  # never unpickled: its MD5 is wrong
    assert np.array_equal(dataset("cifar10", "train", folder=tmp_path).images, cifar[0][:20])


def test_a_wrong_number_of_pictures_is_refused(cifar, tmp_path, monkeypatch):
    monkeypatch.setitem(SOURCES, "cifar10", SOURCES["cifar10"]._replace(splits={"train": 25}))
    with pytest.raises(FileError, match="cifar10 in .* has 20 of 25 pictures; remove that folder"):
        dataset("cifar10", "train", folder=tmp_path, download=True, watch=quiet)


def test_a_size_gives_small_squares(cifar, tmp_path):
    small = dataset("cifar10", "test", folder=tmp_path, size=8, download=True, watch=quiet)
    x = torch.from_numpy(cifar[0][20:]).permute(0, 3, 1, 2) / 255
    ours = torch.stack([picture for picture, _ in small])
    torch.testing.assert_close(ours, crop_to(x, 8), atol=0.51 / 255, rtol=0)


def test_stl10_stands_upright(website, tmp_path, monkeypatch):
    from torchvision.datasets import STL10

    images, labels = RNG.integers(0, 256, (3, 96, 96, 3), dtype=np.uint8), np.array([1, 10, 4], dtype=np.uint8)
    files = {
        "train_X.bin": images.transpose(0, 3, 2, 1).tobytes(),  # colour, column, row: as MATLAB writes them
        "train_y.bin": labels.tobytes(),
        "unlabeled_X.bin": b"",
        "test_X.bin": images[:1].transpose(0, 3, 2, 1).tobytes(),
        "test_y.bin": labels[:1].tobytes(),
        "class_names.txt": "\n".join(SOURCES["stl10"].classes).encode(),
    }
    for lists in ("train_list", "test_list"):
        known = [[name, hashlib.md5(files[name]).hexdigest()] for name, _ in getattr(STL10, lists)]
        monkeypatch.setattr(STL10, lists, known)
    archive = packed({f"stl10_binary/{name}": data for name, data in files.items()})
    offer(website, monkeypatch, "stl10", {"stl10_binary.tar.gz": archive}, {"train": 3, "test": 1})
    train = dataset("stl10", "train", folder=tmp_path, download=True, watch=quiet)
    assert np.array_equal(train.images, images)
    assert [train.classes[i] for i in train.labels] == ["airplane", "truck", "cat"], "STL-10 counts from one"
    assert_pixels(train)


def test_imagenette_is_cut_to_centre_squares(website, tmp_path, monkeypatch):
    def jpeg(colour, size):
        file = io.BytesIO()
        picture = Image.new("RGB", size, "white")
        picture.paste(colour, ((size[0] - 160) // 2, (size[1] - 160) // 2, (size[0] + 160) // 2, (size[1] + 160) // 2))
        picture.save(file, "JPEG", quality=95, subsampling=0)  # borders of the square are borders of JPEG blocks
        return file.getvalue()

    wnids = {"n01440764": ("red", (320, 160)), "n03888257": ("blue", (160, 208))}
    files = {f"imagenette2-160/val/{w}/{w}_1.JPEG": jpeg(*about) for w, about in wnids.items()}
    offer(website, monkeypatch, "imagenette", {"imagenette2-160.tgz": packed(files)}, {"val": 2})
    val, steps = dataset("imagenette", "val", folder=tmp_path, download=True, watch=quiet), []
    assert val.images.shape == (2, 160, 160, 3)
    for image, colour in zip(val.images, ([255, 0, 0], [0, 0, 255]), strict=True):
        assert np.abs(image - np.array(colour)).max() <= 3, "nothing but the coloured square, as JPEG keeps it"
    assert dataset("imagenette", "val", folder=tmp_path, size=16, watch=steps.append).images.shape == (2, 16, 16, 3)
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]
    with pytest.raises(SetupError, match="imagenette: stopped after 1 of 2 pictures; call again"):
        dataset("imagenette", "val", folder=tmp_path, watch=lambda _: "stop")


def idx(array):
    """The bytes of an MNIST file."""
    kind = {1: 0x801, 3: 0x803}[array.ndim]
    return struct.pack(f">{1 + array.ndim}I", kind, *array.shape) + array.astype(np.uint8).tobytes()


def test_mnist_comes_in_four_files_and_three_equal_colours(website, tmp_path, monkeypatch):
    images, labels = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8), np.array([5, 0, 4, 1, 9, 2])
    parts = [images[:4], labels[:4], images[4:], labels[4:]]
    paths = [archive.path for archive in SOURCES["mnist"].archives]
    files = {path: gzip.compress(idx(part)) for path, part in zip(paths, parts, strict=True)}
    offer(website, monkeypatch, "mnist", files, {"train": 4, "test": 2})
    test = dataset("mnist", "test", folder=tmp_path, download=True, watch=quiet)
    assert np.array_equal(test.images, np.repeat(images[4:, :, :, None], 3, axis=-1))
    assert [test.classes[i] for i in test.labels] == ["9", "2"]
    assert_pixels(test, 1)
    cut_off = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    cut_off.write_bytes(cut_off.read_bytes()[:-100])
    train = dataset("mnist", "train", folder=tmp_path)
    assert np.array_equal(train.images[..., 1], images[:4]), "a file cut off is unpacked again"


def test_the_real_mnist_digits_are_read(shared, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (raw / name).write_bytes(gzip.decompress((shared / "data" / "mnist_test" / f"{name}.gz").read_bytes()))
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (raw / name).touch()  # torchvision asks that they be there
    digits = dataset("mnist", "test", folder=tmp_path)
    assert np.bincount(digits.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert digits.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]  # as every tutorial prints them
    assert_pixels(digits, -1)


def test_olivetti_faces_are_scikit_learns_and_split_by_picture(website, tmp_path, monkeypatch):
    import scipy.io
    from sklearn.datasets import _olivetti_faces as theirs

    faces = RNG.integers(0, 256, (4096, 400), dtype=np.uint8)
    faces[:2, 0] = 0, 255  # scikit-learn stretches to the full range
    file = io.BytesIO()
    scipy.io.savemat(file, {"faces": faces})
    (tmp_path / "theirs.mat").write_bytes(file.getvalue())
    monkeypatch.setattr(theirs, "_fetch_remote", lambda *_, **__: str(tmp_path / "theirs.mat"))
    bunch = theirs.fetch_olivetti_faces(data_home=tmp_path / "sklearn")
    offer(website, monkeypatch, "olivetti", {"olivettifaces.mat": file.getvalue()}, {"train": 320, "test": 80})
    train = dataset("olivetti", "train", folder=tmp_path / "ours", download=True, watch=quiet)
    test = dataset("olivetti", "test", folder=tmp_path / "ours")
    ours = np.concatenate([train.images.reshape(40, 8, 64, 64, 3), test.images.reshape(40, 2, 64, 64, 3)], axis=1)
    assert np.allclose(ours[..., 0].reshape(400, 64, 64) / 255, bunch.images)
    assert np.array_equal(train.labels, np.repeat(range(40), 8)) and np.bincount(test.labels).tolist() == [2] * 40
    assert not list((tmp_path / "ours").glob("*.pkz")), "no pickle is left behind"
    assert_pixels(test, 79)


def test_what_cannot_be_read_even_when_whole_is_an_error(website, tmp_path, monkeypatch):
    offer(website, monkeypatch, "olivetti", {"olivettifaces.mat": b"not MATLAB"}, {"train": 320, "test": 80})
    with pytest.raises(FileError, match="olivetti in .* cannot be read .*; remove that folder and try again"):
        dataset("olivetti", "train", folder=tmp_path, download=True, watch=quiet)


# Tiny ImageNet


def test_tiny_imagenet_is_decoded_as_its_card_says(shared):
    folder = shared / "data" / "tiny_imagenet_20"
    val = TinyImageNet(folder, "val")
    assert val.images.shape == (1000, 64, 64, 3) and val.images.dtype == np.uint8
    assert np.bincount(val.labels).tolist() == [50] * 20 and val.classes[6] == "espresso"
    with np.load(folder / "val.npz") as archive:
        jpeg, offset = archive["jpeg"], archive["offset"]
    for i in (0, 500, 999):
        picture = Image.open(io.BytesIO(jpeg[offset[i] : offset[i + 1]].tobytes())).convert("RGB")
        assert np.array_equal(val.images[i], np.asarray(picture))
    assert_pixels(val, 999)


def tiny(folder, count=4, **changes):
    """Write a val.npz with a few flat pictures, the second one grey."""
    files = []
    for i in range(count):
        file = io.BytesIO()
        Image.new("L" if i == 1 else "RGB", (64, 64), 60 * i).save(file, "JPEG")
        files.append(file.getvalue())
    arrays = {
        "jpeg": np.frombuffer(b"".join(files), dtype=np.uint8),
        "offset": np.cumsum([0, *map(len, files)]),
        "label": np.arange(count, dtype=np.int16) % 2,
        "classes": np.array(["cat", "dog"]),
    }
    np.savez(folder / "val.npz", **(arrays | changes))
    return folder


def test_grey_photographs_get_three_colours(tmp_path):
    pictures = TinyImageNet(tiny(tmp_path), "val")
    assert pictures.images.shape == (4, 64, 64, 3) and (pictures.images[1] == 60).all()
    assert pictures.classes == ("cat", "dog") and pictures.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"label": np.array([0, 1, 2, 0])},
        {"label": np.array([0, 1])},
        {"label": np.array([0, -1, 0, 1])},
        {"offset": np.array([0, 5, 10, 15, 20])},
        {"classes": np.array(["cat", print], dtype=object)},  # would be unpickled, and could then do anything
    ],
)
def test_an_archive_with_something_else_inside_is_refused(tmp_path, changes):
    with pytest.raises(FileError, match="val.npz is damaged or not a Tiny ImageNet archive .*; get it again"):
        TinyImageNet(tiny(tmp_path, **changes), "val")


def test_a_flipped_bit_a_missing_end_and_another_file_are_noticed(tmp_path):
    path = tiny(tmp_path) / "val.npz"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[500] ^= 4
    for damaged in (flipped, whole[:-50], b"", b"<html>"):
        path.write_bytes(damaged)
        with pytest.raises(FileError, match="val.npz is damaged"):
            TinyImageNet(tmp_path, "val")


def test_a_missing_folder_and_a_wrong_split_are_told(tmp_path):
    with pytest.raises(FileError, match="train.npz is missing; name the folder that holds train.npz and val.npz"):
        TinyImageNet(tmp_path, "train")
    with pytest.raises(InputError, match="no split of Tiny ImageNet named 'test'. .*Available: train, val"):
        TinyImageNet(tmp_path, "test")


def test_pictures_work_with_torchs_loader():
    images = RNG.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    pictures = Pictures(images, [0, 1, 2, 1, 0], "abc")
    (x, labels), _ = torch.utils.data.DataLoader(pictures, batch_size=3)
    assert x.shape == (3, 3, 4, 6) and labels.tolist() == [0, 1, 2]
    assert torch.equal(x, torch.from_numpy(images[:3]).permute(0, 3, 1, 2) / 255)
