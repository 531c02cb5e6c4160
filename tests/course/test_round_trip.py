"""One exercise, from the teacher to the student and back: release, solve, check, hand in, grade, read, give points."""

import csv
import re
import subprocess
import sys

import pytest

from lecturekit.course import sandbox, sheet
from tests.course.wrong_forward import EQUIVALENT
from tests.test_architecture import ROOT

for package in ("nbgrader", "nbclient", "distributed"):
    pytest.importorskip(package, reason=f"{package} is not installed; `pip install 'lecturekit[grade,test]'` brings it")
pytestmark = [
    pytest.mark.skipif(bool(sandbox.why_not_isolated()), reason=f"no sandbox: {sandbox.why_not_isolated()}"),
    pytest.mark.filterwarnings("ignore"),  # of nbclient's kernel, about the versions of others
]
NAME = "forward"
SHEET = sheet.solution(ROOT / "solutions" / NAME / f"{NAME}.ipynb")
TESTS = sum(cell.points for cell in SHEET.of("test"))


def lecturekit(*words):
    """Call the command as a teacher does; return what it printed."""
    found = subprocess.run(
        [sys.executable, "-m", "lecturekit", *map(str, words)], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def solved(book):
    """What a student writes: other functions than the reference where there are some, and two sentences."""
    for cell in book.cells:
        id = cell.metadata.get("nbgrader", {}).get("grade_id")
        for ours in SHEET.of("answer"):
            if id == ours.id:
                function = re.match(r"def (\w+)", ours.source)
                cell.source = EQUIVALENT.get(function and function[1], ours.source).strip()
        if id == "in-words":
            cell.source = "He is not right.\nReLU and pooling throw something away."


def test_from_the_solution_to_the_points_of_a_person(tmp_path):
    import nbclient
    import nbformat

    exercises, submissions, grading = (tmp_path / name for name in ("exercises", "submissions", "grading"))
    lecturekit("release", NAME, "--out", exercises)
    book = nbformat.read(exercises / NAME / f"{NAME}.ipynb", as_version=4)
    assert f"saved under its own name, `{NAME}.ipynb`" in book.cells[0].source

    solved(book)
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()  # all checks are passed, or it raises
    seen = [cell for cell in book.cells if cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith("-seen")]
    said = [
        output.data["text/plain"] for cell in seen for output in cell.outputs if output.output_type == "execute_result"
    ]
    assert len(said) == len(seen) and all(words.startswith("✓") for words in said), said

    handed_in = submissions / "ada" / NAME / f"{NAME}.ipynb"
    handed_in.parent.mkdir(parents=True)
    nbformat.write(book, handed_in)
    told = lecturekit("grade", submissions, "--out", grading, "--workers", 1)
    assert "1 of them with words to read" in told
    row, page = table(grading), feedback(grading)
    assert (row["student"], row["points"], row["state"]) == ("ada", f"{TESTS:g}", "in part")
    assert f"{TESTS:g} of {SHEET.points:g} points" in page and "when somebody has read your words" in page

    lines = (grading / "to_read.csv").read_text("utf-8").replace("in-words,,", "in-words,3.5,")
    assert "ReLU and pooling throw something away." in lines
    (grading / "to_read.csv").write_text(lines, encoding="utf-8")
    lecturekit("grade", submissions, "--out", grading)
    row, page = table(grading), feedback(grading)
    assert (row["points"], row["state"], row["needs_a_person"]) == (f"{TESTS + 3.5:g}", "graded", "")
    assert f"{TESTS + 3.5:g} of {SHEET.points:g} points" in page and "3.5 of 4" in page


def table(grading):
    """The only row of the table."""
    with open(grading / "grades.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return row


def feedback(grading):
    """The student's page."""
    return (grading / "feedback" / "ada" / f"{NAME}.html").read_text("utf-8")


def test_without_a_sandbox_nothing_runs_unless_it_is_trusted(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from lecturekit.__main__ import app

    (tmp_path / "submissions").mkdir()
    words = [
        "grade",
        str(tmp_path / "submissions"),
        "--out",
        str(tmp_path / "grading"),
        "--solutions",
        str(ROOT / "solutions"),
    ]
    monkeypatch.setattr(sandbox, "why_not_isolated", lambda: "there is no bubblewrap on this machine")
    trusting = CliRunner().invoke(app, [*words, "--trust"])
    assert trusting.exit_code == 0
    assert "NOT ISOLATED (there is no bubblewrap on this machine): submissions run with your files" in trusting.output
    monkeypatch.undo()
    assert "NOT ISOLATED (you said --trust)" in CliRunner().invoke(app, [*words, "--trust"]).output
    assert "NOT ISOLATED" not in CliRunner().invoke(app, words).output
