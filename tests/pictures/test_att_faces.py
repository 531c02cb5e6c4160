"""The AT&T faces: read whole from a folder, or refused in words."""

import numpy as np
import pytest

from lecturekit.errors import FileError, InputError, SetupError
from lecturekit.pictures import datasets
from lecturekit.pictures.datasets import AttFaces


@pytest.fixture
def folder(shared):
    """The folder with the faces, where there is one."""
    folder = shared / "data" / "att_faces"
    if not (folder / AttFaces.NAME).is_file():
        pytest.skip(f"{folder} has no AT&T faces")
    return folder


def test_two_pictures_of_each_of_forty_people_in_order(folder):
    faces = AttFaces((2, 9), folder=folder)
    assert faces.images.shape == (80, 64, 64, 3) and faces.images.dtype == np.uint8
    assert np.array_equal(faces.labels, np.repeat(range(40), 2)) and len(faces.classes) == 40
    assert faces.numbers.tolist() == [2, 9] * 40
    assert np.ptp(faces.images, axis=-1).max() == 0, "grey"
    whole = AttFaces(folder=folder)
    assert np.array_equal(whole.images.reshape(40, 10, 64, 64, 3)[:, 8], faces.images[1::2])


def test_the_centre_square_is_what_an_independent_library_makes_of_it(folder):
    from PIL import Image

    with np.load(folder / AttFaces.NAME, allow_pickle=False) as archive:
        raw = archive["x"][13, 10:102]
    theirs = np.asarray(Image.fromarray(raw).resize((64, 64), Image.Resampling.BILINEAR), dtype=float)
    ours = AttFaces((4,), folder=folder).images[1, ..., 0].astype(float)
    assert np.abs(ours - theirs).mean() < 3


def test_the_variable_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("ATT_FACES", str(folder))
    assert len(AttFaces((1,))) == 40


@pytest.mark.parametrize("numbers", [(), (0,), (11,)])
def test_other_numbers_are_refused(numbers):
    with pytest.raises(InputError, match="each person has pictures 1 to 10, got the numbers"):
        AttFaces(numbers)


def test_without_faces_the_ways_to_get_them_are_told(tmp_path, monkeypatch):
    monkeypatch.delenv("ATT_FACES", raising=False)
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path))
    with pytest.raises(SetupError, match="not on this machine. Set ATT_FACES to a folder with .*download=True"):
        AttFaces()


def test_a_missing_a_damaged_and_another_file_are_told_apart(tmp_path):
    with pytest.raises(FileError, match="is missing; name the folder that holds"):
        AttFaces(folder=tmp_path)
    path = tmp_path / AttFaces.NAME
    path.write_bytes(b"<html>")
    with pytest.raises(FileError, match="is damaged or not the AT&T faces"):
        AttFaces(folder=tmp_path)
    np.savez(path, x=np.zeros((400, 112, 92), np.uint8), subject=np.repeat(range(1, 41), 10))
    with pytest.raises(FileError, match="its pixels or subjects are others"):
        AttFaces(folder=tmp_path)


class Shown:
    """What `dataset` would return: the splits of the Olivetti faces, whose pixels tell which picture it is."""

    def __init__(self, numbers):
        levels = np.array([[6 * person + number for number in numbers] for person in range(40)], dtype=np.uint8)
        self.images = np.broadcast_to(levels.reshape(-1, 1, 1, 1), (levels.size, 64, 64, 3))


def test_the_olivetti_faces_stand_in_where_they_have_been_downloaded(monkeypatch):
    asked = []

    def dataset(name, split, *, download):
        asked.append((name, split, download))
        return Shown(range(1, 9) if split == "train" else (9, 10))

    monkeypatch.delenv("ATT_FACES", raising=False)
    monkeypatch.setattr(datasets, "dataset", dataset)
    faces = AttFaces((1, 8, 9))
    assert faces.images[:, 0, 0, 0].tolist() == [6 * person + n for person in range(40) for n in (1, 8, 9)]
    AttFaces(download=True)
    assert asked == [("olivetti", split, word) for word in (False, True) for split in ("train", "test")]


def test_nothing_is_unpickled_and_a_flipped_bit_is_noticed(folder, tmp_path):
    with np.load(folder / AttFaces.NAME, allow_pickle=False) as archive:
        x, subject = archive["x"].copy(), archive["subject"]
    np.savez(tmp_path / AttFaces.NAME, x=x, subject=subject)
    assert len(AttFaces((1,), folder=tmp_path)) == 40, "packed in another way, the same faces"
    x[399, 0, 0] ^= 1
    for damaged in (x, x[..., None], x.astype(int), np.array([print], dtype=object)):
        np.savez(tmp_path / AttFaces.NAME, x=damaged, subject=subject)
        with pytest.raises(FileError, match="is damaged or not the AT&T faces"):
            AttFaces(folder=tmp_path)
    x[399, 0, 0] ^= 1
    np.savez(tmp_path / AttFaces.NAME, x=x, subject=subject[::-1])
    with pytest.raises(FileError, match="its pixels or subjects are others"):
        AttFaces(folder=tmp_path)
