"""Files that are whole or not there, and that are recognised."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import platformdirs
import pytest

from lecturekit import files
from lecturekit.errors import FileError, SetupError
from lecturekit.files import cache_folder, kind, locked, regular, replacing, sha256, verify

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-4, appendix B.1


@pytest.fixture
def abc(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    return path


def python(code, *words):
    """Start another Python that runs ``code``."""
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, text=True)


# Recognising


def test_sha256_is_the_published_one(abc):
    assert sha256(abc) == ABC


def test_verify_is_silent_about_the_right_file(abc):
    assert verify(abc, ABC, 3) is None and verify(abc, ABC) is None


def test_verify_tells_missing_from_incomplete_from_damaged(abc, tmp_path):
    with pytest.raises(FileError, match="none.pt is missing; install lecturekit again"):
        verify(tmp_path / "none.pt", ABC)
    with pytest.raises(FileError, match="abc is incomplete or changed: 3 of 1,000 bytes"):
        verify(abc, ABC, 1000)
    abc.write_bytes(b"abd")
    with pytest.raises(FileError, match=f"abc is damaged or .* is a52d159f.*, expected {ABC}"):
        verify(abc, ABC, 3)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "an empty file"),
        (b"  <!DOCTYPE HTML><html>", "an HTML page"),
        (b"<html lang=en>", "an HTML page"),
        (b"\x89PNG\r\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"\0\0\0\x18ftypheic\0\0", "a HEIC photograph"),
        (b"PK\x03\x04\0\0", "a zip archive"),
        (b"\x80\x02}q\0", "a Python pickle"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer, not the file it points to"),
        (b"\x01\0\x02\0", "binary data of an unknown kind"),
        ("Grüße".encode(), "text"),
    ],
)
def test_kind_says_what_came(head, words):
    assert kind(head) == words


def test_regular_lets_files_and_links_to_files_through(abc, tmp_path):
    (tmp_path / "ein Bild für Ås.png").symlink_to(abc)
    assert regular(str(abc)) == abc
    assert regular(tmp_path / "ein Bild für Ås.png").read_bytes() == b"abc"


def test_regular_refuses_everything_else_without_opening_it(tmp_path, abc, monkeypatch):
    (tmp_path / "round").symlink_to(tmp_path / "about")
    (tmp_path / "about").symlink_to(tmp_path / "round")
    with pytest.raises(FileError, match="round' cannot be read: Too many levels"):
        regular(tmp_path / "round")
    with pytest.raises(FileError, match="none' cannot be read: No such file"):
        regular(tmp_path / "none")
    with pytest.raises(FileError, match="cannot be read: .*null"):
        regular("a\0b")
    with pytest.raises(FileError, match="is a folder; name a file"):
        regular(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="pipe' is a pipe or a device"):  # opening it would wait for ever
        regular(tmp_path / "pipe")
    monkeypatch.setattr(os, "access", lambda *_: False)  # a real chmod 000 does not stop root, as which tests may run
    with pytest.raises(FileError, match="abc' may not be read by you"):
        regular(abc)


# Writing


def test_replacing_puts_the_new_file_in_place_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == path.parent and not path.exists()
    assert path.read_bytes() == b"new" and list(path.parent.iterdir()) == [path]


def test_who_reads_the_old_file_meanwhile_reads_it_to_its_end(abc):
    with open(abc, "rb") as reader:
        with replacing(abc) as temporary:
            temporary.write_bytes(b"new and longer")
        assert reader.read() == b"abc", "the old file was written over instead of being replaced"


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(abc, problem):
    with pytest.raises(problem), replacing(abc) as temporary:
        temporary.write_bytes(b"half")
        raise problem
    assert abc.read_bytes() == b"abc" and list(abc.parent.iterdir()) == [abc]


def test_a_full_disk_leaves_the_old_file_and_says_how_much_room_there_is(abc, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 4096}))
    with (
        pytest.raises(SetupError, match="abc could not be written: .* has 4,096 bytes left"),
        replacing(abc) as temporary,
    ):
        temporary.write_bytes(b"half")
        raise RuntimeError("unexpected pos 64 vs 0")  # what torch.save makes of a full disk
    assert abc.read_bytes() == b"abc" and list(abc.parent.iterdir()) == [abc]


def test_another_error_of_the_disk_is_not_called_a_full_one(abc):
    with pytest.raises(OSError, match="Input/output"), replacing(abc):
        raise OSError(errno.EIO, "Input/output error")


def test_a_kill_in_the_middle_leaves_the_old_file(abc):
    other = python(
        "import sys, time; from lecturekit.files import replacing\n"
        "with replacing(sys.argv[1]) as t: t.write_bytes(b'half'); print('written', flush=True); time.sleep(60)",
        abc,
    )
    with other:
        assert other.stdout.readline() == "written\n"
        other.send_signal(signal.SIGKILL)
    assert abc.read_bytes() == b"abc"


def test_two_threads_do_not_write_into_each_others_file(tmp_path):
    path, barrier = tmp_path / "file", threading.Barrier(2)

    def write(letter):
        with replacing(path) as temporary:
            temporary.write_bytes(letter * 1000)
            barrier.wait(timeout=10)  # both have written before either is renamed
            assert temporary.read_bytes() == letter * 1000

    threads = [threading.Thread(target=write, args=[letter]) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in (b"a" * 1000, b"b" * 1000) and list(tmp_path.iterdir()) == [path]


# Locks

HOLD = """
import sys, time
from lecturekit.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_second_process_waits_and_says_so(tmp_path):
    said = []
    with python(HOLD, tmp_path / "file", 0.5) as other:
        assert other.stdout.readline() == "held\n"
        with locked(tmp_path / "file", say=said.append):
            assert said == ["Another process is working on file; waiting for it."]


def test_waiting_has_an_end(tmp_path):
    with python(HOLD, tmp_path / "file", 60) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(SetupError, match=r"another process has held .*file.lock for 0.1 seconds; end that process"),
            locked(tmp_path / "file", wait=0.1, say=lambda _: None),
        ):
            pass
        other.kill()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    with python(HOLD, tmp_path / "file", 60) as other:
        assert other.stdout.readline() == "held\n"
        other.send_signal(signal.SIGKILL)
    said = []
    with locked(tmp_path / "file", wait=1, say=said.append):
        pass
    assert said == [] or said == ["Another process is working on file; waiting for it."]


def test_an_error_gives_the_lock_back(tmp_path):
    with contextlib.suppress(RuntimeError), locked(tmp_path / "file"):
        raise RuntimeError
    with locked(tmp_path / "file", wait=0, say=pytest.fail):
        pass


# The cache


def test_the_cache_is_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path / "here"))
    assert cache_folder("a", "b") == tmp_path / "here" / "a" / "b"
    assert (tmp_path / "here" / "a" / "b").is_dir()
    assert list((tmp_path / "here" / "a" / "b").iterdir()) == [], "the try at writing left something behind"


def test_a_chosen_place_that_cannot_be_written_is_an_error_not_a_surprise(abc, monkeypatch):
    monkeypatch.setenv("LECTUREKIT_CACHE", str(abc))  # a file: nobody, not even root, can make a folder in it
    with pytest.raises(SetupError, match=r"no folder can be written among .*abc; set LECTUREKIT_CACHE"):
        cache_folder("a")


def test_without_a_home_that_can_be_written_the_cache_is_temporary_and_ones_own(abc, tmp_path, monkeypatch):
    monkeypatch.delenv("LECTUREKIT_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(abc))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = cache_folder("a")
    assert folder.parent.parent == tmp_path and folder.parent.name.startswith("lecturekit-")


def test_a_user_without_a_home_gets_no_folder_called_tilde(tmp_path, monkeypatch):
    monkeypatch.delenv("LECTUREKIT_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: "~/.cache/lecturekit")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert not str(cache_folder("a")).startswith("~")
    assert not Path("~").exists()


def test_the_usual_cache_is_the_systems(tmp_path, monkeypatch):
    monkeypatch.delenv("LECTUREKIT_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(tmp_path / "cache"))
    assert files.cache_folder("a") == tmp_path / "cache" / "a"
