"""The gradebook: what a person gave stays, whatever is graded, killed or handed in afterwards; what is odd is said."""

import contextlib
import csv
import dataclasses
import os
import sqlite3
import subprocess
import sys
import time

import pytest

from lecturekit.course import classwork, collect, gradebook
from lecturekit.course.classwork import Course, grade_all
from lecturekit.course.grade import Mark, Result, for_a_person
from lecturekit.course.journal import Journal
from lecturekit.errors import FileError, InputError, SetupError
from tests.course.small import ANSWERS, SHEET, submission
from tests.test_architecture import ROOT

pytest.importorskip("nbgrader", reason="nbgrader is not installed; `pip install 'lecturekit[grade]'` brings it")
pytestmark = pytest.mark.filterwarnings("ignore")  # of nbgrader, about the versions of others

FIRST = "Because of the sum."


class Class:
    """A course whose submissions are graded already: the results stand in the journal, so no sandbox is needed."""

    def __init__(self, folder):
        self.submissions, self.grading = folder / "submissions", folder / "grading"
        self.course = Course({"small": SHEET}, self.grading, secret="s")

    def hand_in(self, student, *, attempt=1, marks=None, person="", **answers):
        """Store a newer attempt of a student, and the result that grading it had."""
        path = self.submissions / student / "small" / str(attempt) / "small.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(submission(**answers))
        os.utime(path, (time.time() + 60 * attempt,) * 2)
        one = collect.collect(self.submissions, self.course.sheets).newest[student, "small"]
        result = for_a_person(SHEET, person) if person else graded(answers, marks or {})
        key = student, "small", classwork.digest(one), classwork.exercise_digest(self.course, "small")
        Journal(self.grading / "journal.jsonl").add(key, result=dataclasses.asdict(result))

    def grade(self):
        """Call what `lecturekit grade` calls; return {student: row}."""
        return {row["student"]: row for row in grade_all(self.course, self.submissions)}

    def page(self, student):
        return (self.grading / "feedback" / student / "small.html").read_text("utf-8")

    def to_read(self):
        with open(self.grading / "to_read.csv", newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def fill_in(self, *rows):
        """Store the table as a person saves it, with (student, exercise, task, points, words)."""
        with open(self.grading / "to_read.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("student", "exercise", "task", "points", "words"), *rows])

    @contextlib.contextmanager
    def book(self):
        """Open the gradebook with nbgrader's own class, and store at the end."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.grading / 'gradebook.db'}") as book:
            yield book
            book.db.commit()

    def give(self, student, points, task="words", words=None, **more):
        """Give points through nbgrader's API."""
        with self.book() as book:
            grade = book.find_grade(task, "small", "small", student)
            for name, value in {"manual_score": points, **more}.items():
                setattr(grade, name, value)
            if words:
                book.find_comment(task, "small", "small", student).manual_comment = words

    def dump(self):
        """All that stands in the gradebook."""
        with contextlib.closing(sqlite3.connect(self.grading / "gradebook.db")) as file:
            return list(file.iterdump())


def graded(answers, points):
    """The result of a submission: all tests passed, except for ``points``; words wait."""
    answers = ANSWERS | answers
    marks = [Mark(cell.id, points.get(cell.id, None if cell.kind == "text" else cell.points), cell.points)
             for cell in SHEET.of("test", "text")]  # fmt: skip
    return Result("small", marks, answers=answers)


@pytest.fixture
def it(tmp_path):
    made = Class(tmp_path)
    made.grading.mkdir()
    made.hand_in("ada")
    made.hand_in("bob", marks={"double-seen": 0.0, "words": 0.0}, words="YOUR ANSWER HERE")
    return made


def test_nbgrader_reads_what_was_graded(it):
    it.grade()
    with it.book() as book:
        ada, bob = (book.find_submission("small", student) for student in ("ada", "bob"))
        assert (ada.score, ada.max_score, ada.needs_manual_grade) == (6, 8, True)
        assert (bob.score, bob.max_score, bob.needs_manual_grade) == (5, 8, False)
        assert book.find_grade("words", "small", "small", "ada").auto_score is None
        assert {grade.name for grade in ada.notebooks[0].grades} == {cell.id for cell in SHEET.of("test", "text")}
        assert {comment.name for comment in ada.notebooks[0].comments} == {"double", "mean", "seven", "words"}


def test_the_tables_have_the_version_that_nbgrader_writes(it, monkeypatch):
    from nbgrader.api import get_alembic_version

    it.grade()
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    assert f"INSERT INTO \"alembic_version\" VALUES('{get_alembic_version()}');" in it.dump()


def test_twice_is_once(it):
    it.grade()
    it.give("ada", 1.5)
    it.grade()
    before, files = it.dump(), {path: path.read_bytes() for path in it.grading.rglob("*") if path.is_file()}
    it.grade()
    assert it.dump() == before
    assert {path: path.read_bytes() for path in it.grading.rglob("*") if path.is_file()} == files


def test_points_of_a_person_come_into_table_and_page(it):
    row = it.grade()["ada"]
    assert (row["points"], row["state"], row["needs_a_person"]) == ("6", "in part", "text to read")
    it.give("ada", 1.5, words="Name the <i>layer</i>.")
    row = it.grade()["ada"]
    assert (row["points"], row["state"], row["needs_a_person"]) == ("7.5", "graded", "")
    page = it.page("ada")
    assert "7.5 of 8 points" in page and "1.5 of 2" in page and "Name the &lt;i&gt;layer" in page
    assert "to be read" not in page and "more when somebody" not in page
    assert [one["student"] for one in it.to_read()] == []
    with it.book() as book:
        assert not book.find_submission("small", "ada").needs_manual_grade, "formgrader lists it no longer"


def test_what_a_person_gave_to_a_test_counts_and_so_does_extra_credit(it):
    it.grade()
    it.give("bob", 0.5, "double-seen")
    it.give("bob", None, "words", extra_credit=1.0)
    row = it.grade()["bob"]
    assert (row["points"], row["state"]) == ("6.5", "graded")
    assert "0.5 of 1" in it.page("bob")


def test_grading_again_keeps_the_points_of_a_person(it):
    it.grade()
    it.give("ada", 2)
    (one,) = (one for one in Journal(it.grading / "journal.jsonl").lines() if one["key"][0] == "ada")
    again = dataclasses.asdict(graded({}, {"mean-again": 0.0}))  # the check was wrong
    Journal(it.grading / "journal.jsonl").add(one["key"], result=again, reason="the check was wrong")
    row = it.grade()["ada"]
    assert (row["points"], row["state"], row["needs_a_person"]) == ("6", "graded", "")
    with it.book() as book:
        assert book.find_grade("mean-again", "small", "small", "ada").auto_score == 0
        assert book.find_grade("words", "small", "small", "ada").manual_score == 2


def test_a_newer_attempt_with_the_same_words_keeps_their_points(it):
    it.grade()
    it.give("ada", 2)
    it.grade()
    it.hand_in("ada", attempt=2, double="def double(x): return x + x")
    row = it.grade()["ada"]
    assert (row["points"], row["state"], row["needs_a_person"]) == ("8", "graded", "")


def test_a_newer_attempt_with_other_words_keeps_the_points_and_a_person_must_look(it):
    it.grade()
    it.give("ada", 2, needs_manual_grade=False)  # as formgrader does
    it.hand_in("ada", attempt=2, words="I do not know.")
    for _ in range(2):
        row = it.grade()["ada"]
        assert (row["points"], row["state"]) == ("8", "graded")
        assert row["needs_a_person"] == f"words: {gradebook.CHANGED}"
    assert "Somebody will look at this again" in it.page("ada")
    assert f"ada, small, words: {gradebook.CHANGED}" in (it.grading / "findings.txt").read_text()
    assert [(one["task"], one["given"], one["text"]) for one in it.to_read()] == [("words", "2", "I do not know.")]
    with it.book() as book:
        assert book.find_submission("small", "ada").needs_manual_grade
        assert book.find_comment("words", "small", "small", "ada").comment == gradebook.CHANGED
    it.give("ada", 0.5, needs_manual_grade=False)
    row = it.grade()["ada"]
    assert (row["points"], row["needs_a_person"]) == ("6.5", "")
    assert "look at this again" not in it.page("ada")


def test_points_that_a_person_gave_to_a_test_are_looked_at_again_when_the_code_changed(it):
    it.grade()
    it.give("bob", 0.5, "double-seen")
    it.hand_in("bob", attempt=2, words="YOUR ANSWER HERE", double="def double(x): return x + x", marks={"words": 0.0})
    row = it.grade()["bob"]
    assert row["points"] == "5.5", "the person's half point, until he looks"
    assert row["needs_a_person"] == f"double-seen: {gradebook.CHANGED}"


def test_who_deletes_what_was_read_is_told_to_look_again(it):
    it.grade()
    it.give("ada", 2)
    (it.grading / "autograded" / "ada" / "small" / "small.ipynb").unlink()
    assert it.grade()["ada"]["needs_a_person"] == f"words: {gradebook.CHANGED}"


def test_a_submission_that_could_not_be_read_has_the_points_of_a_person(it):
    it.hand_in("max", person="the file is empty")
    assert it.grade()["max"]["state"] == "unreadable"
    assert {one["trouble"] for one in it.to_read() if one["student"] == "max"} == {"the file is empty"}
    for cell in SHEET.of("test", "text"):
        it.give("max", 1, cell.id)
    row = it.grade()["max"]
    assert (row["points"], row["state"], row["needs_a_person"]) == ("5", "graded", "")
    assert "a person gave the points: the file is empty" in it.page("max")


@pytest.mark.parametrize("points", [-1.0, 2.5])
def test_points_that_cannot_be_are_kept_and_told(it, points):
    it.grade()
    it.give("ada", points)
    row = it.grade()["ada"]
    assert row["points"] == f"{6 + points:g}"
    assert row["needs_a_person"] == f"words: a person gave {points:g} points, of 2"


def test_points_and_words_can_be_written_into_the_table(it):
    it.grade()
    (one,) = it.to_read()
    assert one == {"student": "ada", "exercise": "small", "task": "words", "points": "", "of": "2", "words": "",
                   "given": "", "trouble": "", "text": FIRST}  # fmt: skip
    it.fill_in(("ada", "small", "words", "1.5", "Which sum?"))
    row = it.grade()["ada"]
    assert (row["points"], row["state"]) == ("7.5", "graded")
    assert "Which sum?" in it.page("ada")
    assert it.to_read() == [], "it is taken in once"
    it.give("ada", 2, needs_manual_grade=False)
    assert it.grade()["ada"]["points"] == "8", "and does not come back"
    with it.book() as book:
        assert book.find_comment("words", "small", "small", "ada").manual_comment == "Which sum?"


def test_a_table_that_was_in_a_german_spreadsheet_is_read(it):
    it.grade()
    words = "student;exercise;task;points;words\r\nada;small;words;1,5;Größe?\r\n"
    (it.grading / "to_read.csv").write_bytes(words.encode("cp1252"))
    assert it.grade()["ada"]["points"] == "7.5"
    assert "Größe?" in it.page("ada")


@pytest.mark.parametrize(
    ("row", "trouble"),
    [
        (("ada", "small", "words", "3", ""), "the task has 0 to 2 points, not 3"),
        (("ada", "small", "words", "-1", ""), "the task has 0 to 2 points, not -1"),
        (("ada", "small", "words", "nan", ""), "the task has 0 to 2 points, not nan"),
        (("ada", "small", "words", "good", ""), "'good' is no number of points"),
        (("eda", "small", "words", "1", ""), "there is no student with this exercise named 'eda'. Did you mean 'ada'"),
        (("ada", "smal", "words", "1", ""), "there is no exercise named 'smal'. Did you mean 'small'"),
        (("ada", "small", "word", "1", ""), "there is no task named 'word'. Did you mean 'words'"),
        (("ada", "small", "double", "1", ""), "there is no task named 'double'. Did you mean 'double-seen'"),
        (("ada", "small", "double-seen", "0", "nearly"), "nbgrader keeps no words about a test: leave them out"),
    ],
)
def test_what_cannot_be_taken_in_is_told_and_stays_in_the_table(it, row, trouble):
    it.grade()
    it.fill_in(row)
    assert it.grade()["ada"]["points"] == "6"
    assert f"to_read.csv: {', '.join(row[:3])}: {trouble}" in (it.grading / "findings.txt").read_text()
    refused = it.to_read()[0]
    assert (refused["student"], refused["task"], refused["points"].lstrip("'")) == (row[0], row[2], row[3])
    assert refused["trouble"].startswith(trouble)
    assert it.to_read()[1]["student"] == "ada", "what has to be read still stands there"


def test_words_without_points_wait_in_the_table(it):
    it.grade()
    it.fill_in(("ada", "small", "words", "", "-> to be discussed"))
    assert it.grade()["ada"]["state"] == "in part"
    assert it.to_read()[0]["words"].lstrip("'") == "-> to be discussed"


def test_a_table_without_its_columns_is_told_and_left_alone(it):
    it.grade()
    (it.grading / "to_read.csv").write_text("name,points\nada,2\n")
    with pytest.raises(InputError, match="to_read.csv has no column student, exercise, task, words; its first line"):
        it.grade()
    assert (it.grading / "to_read.csv").read_text() == "name,points\nada,2\n"


def test_a_text_that_is_a_formula_is_none_in_the_table(it):
    it.hand_in("eve", words='=HYPERLINK("http://example.org","mark")')
    it.grade()
    assert it.to_read()[1]["text"].startswith("'=HYPERLINK")


def test_without_nbgrader_it_grades_and_says_so(it, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    monkeypatch.setitem(sys.modules, "nbgrader.api", None)
    assert it.grade()["ada"]["points"] == "6"
    assert "nbgrader is not installed, so nobody can give points by hand" in (it.grading / "findings.txt").read_text()
    assert not (it.grading / "gradebook.db").exists()


def test_without_nbgrader_the_points_of_persons_are_not_lost(it, monkeypatch):
    it.grade()
    it.give("ada", 2)
    it.grade()
    before = (it.grading / "grades.csv").read_text()
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    monkeypatch.setitem(sys.modules, "nbgrader.api", None)
    with pytest.raises(SetupError, match="nbgrader is not installed.*The points of persons in .* would be lost"):
        it.grade()
    assert (it.grading / "grades.csv").read_text() == before


def test_a_file_that_is_no_gradebook_and_one_that_is_in_use_are_told(it, monkeypatch):
    it.grade()
    monkeypatch.setattr(gradebook, "WAIT", 0.1)
    with contextlib.closing(sqlite3.connect(it.grading / "gradebook.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SetupError, match="gradebook.db cannot be used: database is locked. Close formgrader"):
            it.grade()
    (it.grading / "gradebook.db").write_bytes(b"no database" * 1000)
    before = (it.grading / "grades.csv").read_text()
    with pytest.raises(FileError, match="is no gradebook: file is not a database. Move it away"):
        it.grade()
    assert (it.grading / "grades.csv").read_text() == before


def test_a_task_that_is_younger_than_the_submission_gets_its_place(it):
    it.grade()
    cells = (*SHEET.cells, SHEET.cells[-1]._replace(id="more-words", points=3))
    it.course = dataclasses.replace(it.course, sheets={"small": SHEET._replace(cells=cells)})
    for one in Journal(it.grading / "journal.jsonl").lines():
        result = graded({}, {})
        result.marks.append(Mark("more-words", None, 3))
        key = [*one["key"][:3], classwork.exercise_digest(it.course, "small")]
        Journal(it.grading / "journal.jsonl").add(key, result=dataclasses.asdict(result))
    it.fill_in(("ada", "small", "more-words", "2.5", ""))
    assert it.grade()["ada"]["points"] == "6", "the gradebook learns of the task after the table was read"
    assert it.to_read()[0]["trouble"].startswith("there is no task named 'more-words'")
    assert it.grade()["ada"]["points"] == "8.5", "and what waited in the table is taken in"


def test_the_wording_of_a_question_can_be_mended_and_a_test_cannot(it):
    def digest(**more):
        cells = (*SHEET.cells[:-1], SHEET.cells[-1]._replace(**more))
        course = dataclasses.replace(it.course, sheets={"small": SHEET._replace(cells=cells)})
        return classwork.exercise_digest(course, "small")

    assert digest(question="Why?") == digest() != digest(source="Because.")


def killed(it, step=1):
    """Grade, and be killed at one moment, then at a later one, until it comes to its end; return how many there are."""
    script = ROOT / "tests" / "course" / "killed.py"
    words = [sys.executable, *map(str, (script, it.grading, it.submissions, step))]
    found = subprocess.run(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return int(found.stdout)


def test_killed_while_it_makes_the_gradebook_it_makes_a_whole_one(it):
    assert killed(it, step=5) >= 20
    assert it.grade()["bob"]["state"] == "graded"
    assert sum('INTO "alembic_version"' in line for line in it.dump()) == 1


def test_killed_at_any_moment_it_goes_on_to_the_same_gradebook(it):
    for number in range(4):
        it.hand_in(f"student{number}")
    it.grade()
    it.give("ada", 1.5, needs_manual_grade=False)
    it.hand_in("ada", attempt=2, words="I do not know.")
    it.fill_in(("student0", "small", "words", "2", "good"))
    it.hand_in("tom")
    assert killed(it) >= 20, "at each commit and at each file"
    rows = it.grade()
    assert (rows["ada"]["points"], rows["ada"]["needs_a_person"]) == ("7.5", f"words: {gradebook.CHANGED}")
    assert rows["student0"]["points"] == "8"
    assert rows["tom"]["points"] == "6"
    before = it.dump()
    it.grade()
    assert it.dump() == before


def test_formgrader_finds_the_course_and_runs_no_submission(it, monkeypatch):
    from nbgrader.apps import NbGraderAPI
    from nbgrader.apps.baseapp import NbGrader

    it.grade()
    monkeypatch.chdir(it.grading)
    app = NbGrader()
    app.load_config_file()
    api = NbGraderAPI(config=app.config)
    assert [one["name"] for one in api.get_assignments()] == ["small"]
    found = {one["student"]: one for one in api.get_notebook_submissions("small", "small")}
    assert {name: (one["score"], one["needs_manual_grade"]) for name, one in found.items()} == {
        "ada": (6, True), "bob": (5, False),
    }  # fmt: skip
    read = (it.grading / "autograded" / "ada" / "small" / "small.ipynb").read_bytes()
    told = api.autograde("small", "ada")
    assert not told["success"] and "No notebooks were matched" in told["log"]
    assert (it.grading / "autograded" / "ada" / "small" / "small.ipynb").read_bytes() == read
