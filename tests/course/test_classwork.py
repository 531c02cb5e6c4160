"""A whole class: one table, whoever is killed on the way; nothing twice, nothing never."""

import csv
import dataclasses
import datetime
import os
import socket
import ssl
import time

import pytest

from lecturekit.course import classwork, sandbox
from lecturekit.course.classwork import Course, grade_all
from lecturekit.course.collect import collect
from lecturekit.course.journal import Journal
from lecturekit.course.sheet import Cell
from lecturekit.errors import InputError
from lecturekit.progress import STOP
from tests.course.hostile import WRONG
from tests.course.small import ALL, SHEET, submission

pytest.importorskip("distributed", reason="Dask is not installed; `pip install 'lecturekit[grade]'` brings it")
pytestmark = [
    pytest.mark.skipif(bool(sandbox.why_not_isolated()), reason=f"no sandbox: {sandbox.why_not_isolated()}"),
    pytest.mark.filterwarnings("ignore"),  # of Dask, about slow starts
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


ALONE = Cell("alone", "given", "import torch\nassert torch.get_num_threads() == 1")  # in workers and in sandboxes


def course(folder, **more):
    due, sheet = {"small": datetime.datetime.now(datetime.UTC)}, SHEET._replace(cells=(ALONE, *SHEET.cells))
    return Course({"small": sheet}, folder / "grading", secret="s", due=due, **more)


def give(gradebook, student, number):
    """Give points to the words of a student through nbgrader's API, as a person does in formgrader."""
    api = pytest.importorskip("nbgrader.api", reason="nbgrader is not installed")
    with api.Gradebook(f"sqlite:///{gradebook}") as book:
        book.find_grade("words", "small", "small", student).manual_score = number
        book.db.commit()


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
    give(tmp_path / "grading" / "gradebook.db", "ada", 1.5)
    rows = grade_all(course(tmp_path), handed_in, workers=1, regrade="a check was wrong")
    assert points(rows) == RIGHT_TABLE | {"ada": "7.5"}, "grading again keeps what a person gave"
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


def test_another_test_or_another_variant_is_another_question(tmp_path):
    it = course(tmp_path)
    other = SHEET._replace(cells=(*SHEET.cells[:-1], SHEET.cells[-1]._replace(points=3)))
    digests = [classwork.exercise_digest(one, "small") for one in (
        it, dataclasses.replace(it, variants=True), dataclasses.replace(it, sheets={"small": other}),
        dataclasses.replace(it, folder=tmp_path / "elsewhere"),
    )]  # fmt: skip
    assert len(set(digests[:3])) == 3
    assert digests[3] == digests[0]


def test_nobody_knows_the_seed_before_handing_in_and_it_is_the_same_again(handed_in, tmp_path, monkeypatch):
    monkeypatch.setattr(classwork, "grade", lambda data, sheet, *, seed, trust: seed)
    it, found = course(tmp_path), collect(handed_in, ["small"]).newest
    ada, bob = found["ada", "small"], found["bob", "small"]
    seeds = [classwork.one_of(it, ada), classwork.one_of(it, bob),
             classwork.one_of(dataclasses.replace(it, secret="another"), ada)]  # fmt: skip
    assert len(set(seeds)) == 3
    assert classwork.one_of(it, ada) == seeds[0]


def test_nobody_without_keys_speaks_to_the_workers():
    with classwork.cluster(1) as local:
        host, port = local.scheduler_address.removeprefix("tls://").split(":")
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((host, int(port))) as plain, anybody.wrap_socket(plain) as stranger:
            with pytest.raises(ssl.SSLError, match="certificate required"):
                stranger.recv(1)


def test_our_own_failure_is_no_zero(handed_in, tmp_path):
    broken = SHEET._replace(cells=tuple(
        cell._replace(source="raise KeyError('ours')") if cell.id == "mean-again" else cell for cell in SHEET.cells
    ))  # fmt: skip
    it = dataclasses.replace(course(tmp_path), sheets={"small": broken})
    rows = grade_all(it, handed_in, workers=1)
    ada = next(row for row in rows if row["student"] == "ada")
    assert ada["state"] == "unreadable"
    assert "the grader failed, not the student: KeyError" in ada["needs_a_person"]
