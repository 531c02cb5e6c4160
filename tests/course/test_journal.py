"""The journal: whole lines count, half lines do not, and only one grader writes."""

import os

import pytest

from lecturekit.course.journal import Journal
from lecturekit.errors import SetupError


def test_the_last_line_of_a_key_counts_and_all_are_kept(tmp_path):
    journal = Journal(tmp_path / "new" / "journal.jsonl")
    assert journal.lines() == []
    with journal.alone():
        journal.add(("ada", "small"), points=1)
        journal.add(("bob", "small"), points=2)
        journal.add(("ada", "small"), points=3, reason="the check was wrong")
    assert journal.latest()["ada", "small"]["points"] == 3
    assert [line["points"] for line in journal.lines()] == [1, 2, 3]


@pytest.mark.parametrize("cut", range(1, 20, 3))
def test_half_a_line_is_ignored_and_taken_away(tmp_path, cut):
    journal = Journal(tmp_path / "journal.jsonl")
    with journal.alone():
        journal.add(("ada", "small"), points=1)
        journal.add(("bob", "small"), points=2)
    journal.path.write_bytes(journal.path.read_bytes()[:-cut])
    assert list(journal.latest()) == [("ada", "small")]
    with journal.alone():
        journal.add(("eve", "small"), points=5)
    assert list(journal.latest()) == [("ada", "small"), ("eve", "small")]


def test_a_line_is_on_the_disk_before_anybody_goes_on(tmp_path, monkeypatch):
    journal, stored = Journal(tmp_path / "journal.jsonl"), []
    monkeypatch.setattr(os, "fsync", lambda number: stored.append(journal.lines()))
    journal.add(("ada", "small"), points=1)
    assert stored == [journal.lines()], "the whole line, once"


def test_a_second_grader_is_refused(tmp_path):
    journal, other = Journal(tmp_path / "journal.jsonl"), Journal(tmp_path / "journal.jsonl")
    with journal.alone(), pytest.raises(SetupError, match="another process is grading"):
        with other.alone():
            pass
    with other.alone():
        pass
