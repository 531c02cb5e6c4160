"""Finding submissions: the newest counts, nothing leads out of the folder, and what is odd is said."""

import os
import time
import zipfile

import pytest

from lecturekit.course.collect import collect
from lecturekit.errors import FileError
from tests.course.small import submission

RIGHT = submission()


def put(folder, *parts, data=RIGHT, age=0):
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path


def found(folder):
    return collect(folder, {"small", "other"})


def test_folders_of_nbgrader_are_read(tmp_path):
    put(tmp_path, "ada", "small", "small.ipynb")
    put(tmp_path, "ada", "other", "other.ipynb", data=b"2")
    put(tmp_path, "bob.b-1@x", "small", "small.ipynb", data=b"3")
    got = found(tmp_path)
    assert {key: one.data for key, one in got.newest.items()} == {
        ("ada", "small"): RIGHT, ("ada", "other"): b"2", ("bob.b-1@x", "small"): b"3",
    }  # fmt: skip
    assert (got.older, got.findings) == ([], [])


def test_the_newest_attempt_counts_and_the_others_are_kept(tmp_path):
    put(tmp_path, "ada", "small", "2", "small.ipynb", data=b"new", age=10)
    put(tmp_path, "ada", "small", "1", "small.ipynb", data=b"old", age=100)
    put(tmp_path, "ada", "small", "small.ipynb", data=b"oldest", age=1000)
    put(tmp_path, "ada", "small", "timestamp.txt", data=b"2099-01-01 00:00:00 UTC")  # the student's word is none
    got = found(tmp_path)
    assert got.newest["ada", "small"].data == b"new"
    assert [one.data for one in got.older] == [b"oldest", b"old"]


def test_the_time_is_that_of_the_server(tmp_path):
    put(tmp_path, "ada", "small", "small.ipynb", age=3600)
    assert time.time() - found(tmp_path).newest["ada", "small"].received.timestamp() == pytest.approx(3600, abs=60)


def test_links_pipes_and_other_things_are_not_followed(tmp_path):
    outside = put(tmp_path, "secret", "small.ipynb")
    folder = tmp_path / "in"
    put(folder, "eve", "small", "note.txt")
    (folder / "eve" / "small" / "small.ipynb").symlink_to(outside)
    (folder / "eve" / "other").symlink_to(outside.parent)
    (folder / "max").symlink_to(tmp_path / "secret")
    (folder / "tom" / "small").mkdir(parents=True)
    os.mkfifo(folder / "tom" / "small" / "small.ipynb")
    got = found(folder)
    assert [one.data for one in got.newest.values()] == [None, None]
    assert all("no regular file" in one.trouble for one in got.newest.values())
    assert "max is a link, and links are not followed" in got.findings


def test_names_that_are_no_names_and_notebooks_of_no_exercise_are_told(tmp_path):
    put(tmp_path, "a b;rm", "small", "small.ipynb")
    put(tmp_path, "ada", "holiday", "holiday.ipynb")
    put(tmp_path, "notes.txt")
    got = found(tmp_path)
    assert got.newest == {}
    assert "'a b;rm' is no name of a student" in got.findings
    assert any("holiday.ipynb belongs to no exercise" in line for line in got.findings)
    assert "notes.txt is neither a folder nor a zip file" in got.findings


def test_a_million_files_are_left_alone(tmp_path):
    for i in range(300):
        put(tmp_path, "eve", "small", f"{i}.txt", data=b"")
    assert any("more than 200 files" in line for line in found(tmp_path).findings)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = put(tmp_path, "ada", "small", "small.ipynb")
    os.truncate(path, 3 * 10**9)  # a hole: nothing on the disk
    assert "3000 MB are no notebook" in found(tmp_path).newest["ada", "small"].trouble


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)


def test_archives_are_read_and_never_unpacked(tmp_path):
    archive(tmp_path / "ada.zip", {"small/small.ipynb": RIGHT, "other.ipynb": b"2", "picture.png": b"x"})
    got = found(tmp_path)
    assert {key: one.data for key, one in got.newest.items()} == {("ada", "small"): RIGHT, ("ada", "other"): b"2"}
    assert os.listdir(tmp_path) == ["ada.zip"]


def test_archives_that_lead_elsewhere_or_are_none_are_told(tmp_path):
    archive(tmp_path / "eve.zip", {"../../small.ipynb": b"1", "/small.ipynb": b"2", "..\\small.ipynb": b"3"})
    archive(tmp_path / "max.zip", {f"{i}.txt": b"" for i in range(1500)})
    archive(tmp_path / "tom.zip", {"inner.zip": b"PK", "small.ipynb.zip": b"PK"})
    (tmp_path / "joe.zip").write_bytes(b"PK\x03\x04 broken")
    got = found(tmp_path)
    assert got.newest == {}
    assert sum("was left alone" in line for line in got.findings) == 3
    assert any("1500 members are no submission" in line for line in got.findings)
    assert any(line.startswith("joe.zip cannot be read as a zip file") for line in got.findings)


def test_a_bomb_does_not_go_off(tmp_path):
    archive(tmp_path / "eve.zip", {"small.ipynb": bytes(60 * 2**20)})  # 60 KB in the archive
    one = found(tmp_path).newest["eve", "small"]
    assert one.data is None
    assert "63 MB are no notebook" in one.trouble


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        found(tmp_path / "nowhere")
