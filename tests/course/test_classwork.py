"""A whole class: one table, whoever is killed on the way; nothing twice, nothing never."""

import csv
import dataclasses
import datetime
import os
import signal
import subprocess
import sys
import time

import pytest

from lecturekit.course import classwork, sandbox
from lecturekit.course.classwork import Course, grade_all
from lecturekit.course.journal import Journal
from lecturekit.errors import InputError
from lecturekit.progress import STOP
from tests.course.hostile import WRONG
from tests.course.small import ALL, SHEET, submission
from tests.test_architecture import ROOT

pytest.importorskip("distributed", reason="Dask is not installed; `pip install 'lecturekit[grade]'` brings it")
pytestmark = [
    pytest.mark.skipif(bool(sandbox.why_not_isolated()), reason=f"no sandbox: {sandbox.why_not_isolated()}"),
    pytest.mark.filterwarnings("ignore"),  # of Dask, about ports and slow starts
    pytest.mark.timeout(600),
]


@pytest.fixture
def handed_in(tmp_path):
    """A folder with five submissions: right, wrong, hostile, unreadable, late."""
    folder, now = tmp_path / "submissions", time.time()
    for student, data, age in (
        ("ada", submission(), 100),
        ("bob", submission(double=WRONG), 90),
        ("eve", submission(double="import os\nos._exit(0)"), 80),
        ("max", b"<html>", 70),
        ("tom", submission(words="YOUR ANSWER HERE"), -7200),
    ):
        path = folder / student / "small" / "small.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        os.utime(path, (now - age,) * 2)
    return folder


def course(folder, **more):
    due = {"small": datetime.datetime.now(datetime.UTC)}
    return Course({"small": SHEET}, folder / "grading", secret="s", due=due, **more)


def points(rows):
    return {row["student"]: row["points"] for row in rows}


RIGHT_TABLE = {"ada": "6", "bob": "3", "eve": "3", "max": "0", "tom": "6"}


def test_a_class_is_graded_into_a_table_and_pages(handed_in, tmp_path):
    rows = grade_all(course(tmp_path), handed_in, workers=2)
    assert points(rows) == RIGHT_TABLE
    states = {row["student"]: row["state"] for row in rows}
    assert states == {"ada": "in part", "bob": "in part", "eve": "in part", "max": "unreadable", "tom": "graded"}
    assert {row["student"]: float(row["late_hours"]) > 0 for row in rows}["tom"]
    with open(tmp_path / "grading" / "grades.csv", newline="") as file:
        assert [row | {} for row in csv.DictReader(file)] == rows
    page = (tmp_path / "grading" / "feedback" / "bob" / "small.html").read_text("utf-8")
    assert "3 of 8 points" in page and "Twice every number" in page and "<script" not in page


def test_what_is_graded_is_not_graded_again_unless_there_is_a_reason(handed_in, tmp_path, monkeypatch):
    grade_all(course(tmp_path), handed_in, workers=1)
    journal = Journal(tmp_path / "grading" / "journal.jsonl")
    before = journal.lines()
    assert points(grade_all(course(tmp_path), handed_in, workers=1)) == RIGHT_TABLE
    assert journal.lines() == before
    with pytest.raises(InputError, match="needs a reason"):
        grade_all(course(tmp_path), handed_in, regrade=" ")
    grade_all(course(tmp_path), handed_in, workers=1, regrade="a check was wrong")
    assert len(journal.lines()) == 2 * len(before)
    assert journal.lines()[: len(before)] == before
    assert journal.lines()[-1]["reason"] == "a check was wrong"


def test_a_stopped_run_goes_on_to_the_same_table(handed_in, tmp_path):
    rows = grade_all(course(tmp_path), handed_in, workers=1, watch=lambda step: STOP if step.done == 2 else None)
    assert sum(row["state"] == "not graded" for row in rows) == 3
    assert points(grade_all(course(tmp_path), handed_in, workers=1)) == RIGHT_TABLE


def test_a_newer_attempt_is_graded_and_the_older_one_kept(handed_in, tmp_path):
    grade_all(course(tmp_path), handed_in, workers=1)
    path = handed_in / "bob" / "small" / "second" / "small.ipynb"
    path.parent.mkdir()
    path.write_bytes(submission())
    rows = grade_all(course(tmp_path), handed_in, workers=1)
    assert points(rows)["bob"] == str(ALL)
    assert len(Journal(tmp_path / "grading" / "journal.jsonl").lines()) == 6
    assert "was replaced by a newer one" in (tmp_path / "grading" / "findings.txt").read_text()


KILLED = """
import sys
from tests.course.test_classwork import course
from lecturekit.course.classwork import grade_all
from pathlib import Path
if __name__ == "__main__":
    grade_all(course(Path(sys.argv[1])), sys.argv[2], workers=1)
"""


def test_killed_in_the_middle_it_goes_on_to_the_same_table(handed_in, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    words = [sys.executable, str(script), str(tmp_path), str(handed_in)]
    work = subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True)
    journal = Journal(tmp_path / "grading" / "journal.jsonl")
    while work.poll() is None and len(journal.lines()) < 2:
        time.sleep(0.05)
    os.killpg(work.pid, signal.SIGKILL)
    work.wait()
    done = journal.lines()
    assert 2 <= len(done) < 5
    rows = grade_all(course(tmp_path), handed_in, workers=1)
    assert points(rows) == RIGHT_TABLE
    assert journal.lines()[: len(done)] == done
    assert sorted(line["key"][0] for line in journal.lines()) == sorted(RIGHT_TABLE), "each of them once"


def test_our_own_failure_is_no_zero(handed_in, tmp_path):
    broken = SHEET._replace(cells=tuple(
        cell._replace(source="raise KeyError('ours')") if cell.id == "mean-again" else cell for cell in SHEET.cells
    ))  # fmt: skip
    it = dataclasses.replace(course(tmp_path), sheets={"small": broken})
    rows = grade_all(it, handed_in, workers=1)
    ada = next(row for row in rows if row["student"] == "ada")
    assert ada["state"] == "unreadable"
    assert "the grader failed, not the student: KeyError" in ada["needs_a_person"]


def test_cells_of_a_spreadsheet_run_nothing():
    assert classwork.harmless("=1+1") == "'=1+1"
    assert classwork.harmless("ada") == "ada"
