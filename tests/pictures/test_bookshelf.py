"""Many pictures: drawn by other processes as by this one, kept, found again, and never believed when damaged."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lecturekit.errors import SetupError
from lecturekit.pictures import bookshelf, picturebook
from lecturekit.pictures.bookshelf import collect
from lecturekit.pictures.spurious import Spurious

JOBS = [(seed, seed % 10, None) for seed in range(7)]


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty cache, and blocks of four pictures, so that a few make several."""
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(bookshelf, "FEW", 0)
    monkeypatch.setattr(bookshelf, "BLOCK", 4)
    return tmp_path / "picturebook"


@pytest.fixture
def drawn_here(monkeypatch):
    """Do in this process what another one would do, and count how often: starting Python takes a second."""
    calls = []

    def run(order, input, **_):
        calls.append(order)
        bookshelf._work(order[-1], input)
        return subprocess.CompletedProcess(order, 0)

    monkeypatch.setattr(bookshelf.subprocess, "run", run)
    return calls


def assert_same(one, other):
    for a, b in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert one.attributes == other.attributes


def test_pictures_drawn_by_other_processes_are_those_drawn_here(shelf):
    apart = collect(JOBS, workers=2)
    bookshelf.FEW = 300
    assert_same(apart, collect(JOBS))
    assert len(list(shelf.glob("*.npz"))) == 2, "seven pictures in blocks of four"


def test_the_second_time_pictures_are_read(shelf, drawn_here):
    first, second = collect(JOBS), collect(JOBS)
    assert len(drawn_here) == 2, "one process for each of two blocks, none the second time"
    assert_same(first, second)


def test_without_cache_nothing_is_left_behind(shelf, drawn_here):
    assert_same(collect(JOBS, cache=False), collect(JOBS, cache=False))
    assert len(drawn_here) == 4 and not shelf.exists()


def test_other_pictures_other_patterns_and_other_sources_get_files_of_their_own(shelf, drawn_here, monkeypatch):
    collect(JOBS[:4])
    collect([*JOBS[:3], (3, 0, 9)])
    collect(JOBS[:4], spurious=Spurious(label=1))
    monkeypatch.setattr(bookshelf, "_fingerprint", lambda: "a shape was changed")
    collect(JOBS[:4])
    assert len(list(shelf.glob("*.npz"))) == 4


def test_a_planted_pattern_reaches_the_other_process(shelf, drawn_here):
    pages = collect(JOBS, spurious=Spurious("wave", label=2, rate=1.0))
    assert [entry["spurious"]["present"] for entry in pages.attributes] == [False, False, True] + [False] * 4


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_bits_all_over(path):
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 97):
        content[place] ^= 4
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def scribble(path):
    path.write_bytes(b"not an archive at all")


def swap(path):
    np.savez(path, images=np.zeros((9, 64, 64, 3)), labels=[0], parts=[0], attributes=np.frombuffer(b"[]", np.uint8))


def rename_arrays(path):
    np.savez(path, pictures=np.zeros(3))


@pytest.mark.parametrize("damage", [flip_a_bit, flip_bits_all_over, cut, empty, scribble, swap, rename_arrays])
def test_a_damaged_file_is_noticed_and_drawn_again(shelf, drawn_here, damage):
    good = collect(JOBS[:4])
    (path,) = shelf.glob("*.npz")
    damage(path)
    with pytest.warns(UserWarning, match=r"in the picture cache is damaged .*; its pictures are drawn again"):
        assert_same(collect(JOBS[:4]), good)
    assert_same(collect(JOBS[:4]), good)
    assert len(drawn_here) == 2, "drawn, damaged, drawn again, read"


def test_a_process_that_waited_for_another_one_does_not_draw_again(shelf, drawn_here, monkeypatch):
    pages = collect(JOBS[:4])
    (path,) = shelf.glob("*.npz")
    monkeypatch.setattr(bookshelf, "draw", None)  # drawing would fail
    bookshelf._work(path, bookshelf._task(JOBS[:4], None))
    assert_same(collect(JOBS[:4]), pages)


def test_a_drawing_process_that_fails_says_why(shelf, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, stderr="OSError: no space left on device\n")
    monkeypatch.setattr(bookshelf.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SetupError, match=r"ended with code 1: OSError: no space left on device\. Free memory or disk"):
        collect(JOBS)


def test_no_pictures_are_empty_arrays():
    pages = collect([])
    assert pages.images.shape == (0, 64, 64, 3) and pages.parts.shape == (0, 64, 64) and pages.labels.shape == (0,)


def test_a_small_book_opens_a_large_one_in_the_cache_too(shelf, drawn_here, monkeypatch):
    monkeypatch.setattr(picturebook, "FEW", 0)
    monkeypatch.setattr(picturebook, "BLOCK", 4)
    small, large = picturebook.PictureBook("validation", 3), picturebook.PictureBook("validation", 6)
    np.testing.assert_array_equal(small.images, large.images[:3])
    assert len(drawn_here) == 2, "the block of the small book served the large one"
    assert len(small) == len(small.labels) == len(small.parts) == len(small.attributes) == len(small.seeds) == 3


def test_every_source_that_decides_about_a_pixel_is_part_of_the_name():
    folder = Path(bookshelf.__file__).parent
    needed, waiting = set(), ["scenes"]
    while waiting:
        name = waiting.pop()
        if name not in needed and (folder / f"{name}.py").exists():
            needed.add(name)
            text = (folder / f"{name}.py").read_text(encoding="utf-8")
            waiting += re.findall(r"from lecturekit\.pictures\.(\w+) import", text)
            for names in re.findall(r"from lecturekit\.pictures import (.+)", text):
                waiting += names.split(", ")
    assert needed | {"spurious"} == set(bookshelf._SOURCES)


def test_the_processes_that_draw_do_not_load_torch():
    code = "import sys, lecturekit.pictures.bookshelf; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, "it would cost seconds and memory"
