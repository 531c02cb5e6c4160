"""Reading exercises: what is ours, what is the student's, and files that are no notebooks."""

import json

import pytest

from lecturekit.course import sheet
from lecturekit.course.sheet import Cell
from lecturekit.errors import FileError
from tests.course.small import ANSWERS, SHEET, cells, submission
from tests.test_architecture import ROOT

EXERCISES = sorted((ROOT / "solutions").glob("*/*.ipynb"))


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_every_exercise_can_be_read_and_worked_in_ninety_minutes(path):
    read = sheet.solution(path)
    assert read.name == path.stem == path.parent.name
    assert read.points >= 20
    assert read.of("given") and read.of("answer") and read.of("test") and read.of("text")
    assert all("HIDDEN TESTS" in cell.source for cell in read.of("test") if cell.id.endswith("-again"))
    assert all(cell.question.startswith("## ") and not cell.code for cell in read.of("text")), "a person needs it"
    rows = [row.split("|") for row in text(path).splitlines() if row.startswith("| ") and row[2].isdigit()]
    assert 60 <= sum(int(row[3]) for row in rows) <= 90, "minutes"
    assert sum(float(row[2]) for row in rows) == read.points, "the table in the first cell tells all points"


def text(path):
    return "\n".join("".join(c["source"]) for c in json.loads(path.read_text("utf-8"))["cells"])


def test_names_are_those_that_answers_leave_behind():
    loose = SHEET._replace(cells=(
        Cell("a", "answer", "def f(x):\n    inner = x\n    return inner\nfor i in range(3): total = i\nclass C: pass"),
        Cell("b", "answer", "x, (y, z) = 1, (2, 3)\nf = f"),
        Cell("g", "given", "secret = 1"),
    ))  # fmt: skip
    assert sorted(loose.names()) == ["C", "f", "i", "total", "x", "y", "z"]


def test_a_stub_has_no_solution():
    cell = Cell("a", "answer", "def f():\n    '''x'''\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION")
    assert sheet.stub(cell) == "def f():\n    '''x'''\n    raise NotImplementedError"
    assert sheet.stub(Cell("w", "text", "long", 1, code=False)) == "YOUR ANSWER HERE"


def test_answers_are_taken_by_their_id_alone():
    found = sheet.handed(submission(double="def double(x): return x + x"), SHEET)
    assert found.answers == ANSWERS | {"double": "def double(x): return x + x"}
    assert found.findings == []


def test_what_is_odd_is_said():
    made = [c for c in cells() if c["id"] != "mean"]
    made = [*made, made[1], made[5] | {"cell_type": "markdown"}]
    found = sheet.handed(submission(made), SHEET)
    assert "double stands there 2 times; the first that was filled in counts" in found.findings
    assert "mean is missing" in found.findings
    assert any("became a cell of the kind 'markdown'" in line for line in found.findings)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"<html>", "no JSON: .*; it looks like a web page"),
        (b"<<<<<<< a\n{}\n>>>>>>> b", "marks of a merge"),
        (b'{"cells": [', "no JSON"),
        (b"[]", "no notebook: a list"),
        (b"{}", "no notebook: it has no cells"),
        (b'{"cells": [' + b"{}," * 3000 + b"{}]}", "3001 cells are no exercise"),
        (b"[" * 100 + b"]" * 100, "nested more than 60 deep"),
        (b"\xff\xfe\x00", "is no utf-16"),
        (b'{"a": "\xe9"}', "byte 7 is no utf-8"),
        (b"x" * (21 * 2**20), "22 MB is no notebook; at most 20 MB"),
    ],
)
def test_files_that_are_no_notebooks_become_a_sentence(data, message):
    with pytest.raises(FileError, match=message):
        sheet.handed(data, SHEET)


def test_brackets_in_words_do_not_count():
    made = cells(double='x = "' + "[" * 500 + '"')
    assert sheet.handed(submission(made), SHEET).answers["double"].count("[") == 500


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "needs cells with ids of nbgrader"),
        ([cells()[1], cells()[1]], "each once; got .*'double', 'double'"),
        (cells(), "a title, a line that begins with #"),
    ],
)
def test_a_solution_that_is_no_exercise_is_refused(made, message, tmp_path):
    path = tmp_path / "bad.ipynb"
    path.write_bytes(json.dumps({"cells": made, "nbformat": 4}).encode())
    with pytest.raises(FileError, match=message):
        sheet.solution(path)
