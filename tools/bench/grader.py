"""How grading grows with the class: a class that is graded already is looked through, and a small one is graded.

Each submission of the first row is known to the journal, so that what is left is to find it, to read the journal, and
to write table, pages and findings: everything round the grading that could grow faster than the class.
"""

import functools
import json
import os
import tempfile
import warnings
from pathlib import Path

from growth import everybody, grown
from peers import installed
from rows import Missing, row

SECTION = "How cost grows"
ROOT = Path(__file__).resolve().parents[2]
EXERCISE = "forward"


def handed_in(folder, count):
    """Let so many students hand in the solution itself, each with a name of their own in it; return the folder."""
    book = json.loads((ROOT / "solutions" / EXERCISE / f"{EXERCISE}.ipynb").read_text("utf-8"))
    for number in range(count):
        path = folder / f"student{number:04d}" / EXERCISE / f"{EXERCISE}.ipynb"
        path.parent.mkdir(parents=True)
        book["metadata"]["student"] = number  # no two submissions are the same bytes
        path.write_text(json.dumps(book), encoding="utf-8")
    return folder


def course(folder):
    """Return the course with its one exercise.

    Raises: Missing where nothing can grade.
    """
    from lecturekit.course import classwork, sandbox, sheet

    if installed("distributed") is None:
        raise Missing("Dask is not installed")
    if why := sandbox.why_not_isolated():
        raise Missing(f"there is no sandbox: {why}")
    warnings.simplefilter("ignore")  # Dask's, about ports
    found = sheet.solution(ROOT / "solutions" / EXERCISE / f"{EXERCISE}.ipynb")
    return classwork.Course({EXERCISE: found}, folder, secret="benchmark")


def one_result(folder):
    """Grade one submission and return the result as the journal has it."""
    from lecturekit.course import classwork
    from lecturekit.course.journal import Journal

    it = course(folder)
    classwork.grade_all(it, handed_in(folder / "in", 1), workers=1)
    return Journal(folder / "journal.jsonl").lines()[0]["result"]


def known(folder, count, result):
    """Make a class of which the journal knows every submission, and return how to grade it once more."""
    from lecturekit.course import classwork, collect
    from lecturekit.course.journal import Journal

    it, submissions = course(folder), handed_in(folder / "in", count)
    for key, found in collect.collect(submissions, it.sheets).newest.items():
        digests = classwork.digest(found), classwork.exercise_digest(it, EXERCISE)
        Journal(folder / "journal.jsonl").add((*key, *digests), result=result)
    return functools.partial(looked_through, it, submissions, count)


def looked_through(it, submissions, count):
    """Grade a class in which there is nothing left to grade."""
    from lecturekit.course import classwork

    rows = classwork.grade_all(it, submissions, workers=1)  # starts none: there is nothing to do
    assert len(rows) == count and all(row["state"] != "not graded" for row in rows)


@row("grow-submissions", SECTION, "collecting 10 to 200 submissions, journal, table, pages; every result known",
     "p ≤ 1.05")  # fmt: skip
def submissions(quick):
    """What a second call does."""
    with tempfile.TemporaryDirectory() as place:
        result = one_result(Path(place, "one"))
        return grown((10, 25, 50, 100, 200), lambda n: known(Path(place, str(n)), n, result), quick,
                     what="submissions")  # fmt: skip


@row("grow-submissions-graded", SECTION, f"grading 5 to 40 submissions of `{EXERCISE}` in the sandbox", "p ≤ 1.05")
def graded(quick):
    """Each in a process of its own, which loads torch: that is most of the time.  All processes' time counts."""
    from lecturekit.course import classwork

    with tempfile.TemporaryDirectory() as place:

        def make(count):
            folder = Path(place, str(count))
            it, found = course(folder), handed_in(folder / "in", count)
            return lambda: classwork.grade_all(it, found, workers=os.cpu_count())

        sizes = (1, 2) if quick else (5, 10, 20, 40)
        return grown(sizes, make, quick, rounds=0, what="submissions", now=everybody)
