"""A whole class: many submissions, many workers, one table; killed at any moment and started again, the same table.

::

    collect  -->  not in the journal yet?  -->  workers (Dask)  -->  journal  -->  table, feedback, gradebook

A worker gets one submission and the exercise, grades it (`grade.grade`), and returns plain data.  Only this process
writes.  The journal gets one line for each submission, under the digests of submission and exercise; whoever starts
again skips what has one.  A worker that is lost is no submission lost: Dask gives the work to another.

The seed of the tests comes from the course's secret and the submission's digest: nobody can know it before handing in,
and grading again asks the same questions.
"""

import dataclasses
import datetime
import hashlib
import hmac
import json
from pathlib import Path

import torch

from lecturekit.course import collect as collecting
from lecturekit.course import gradebook, spreadsheet
from lecturekit.course.feedback import page
from lecturekit.course.grade import Mark, Result, for_a_person, grade
from lecturekit.course.journal import Journal
from lecturekit.course.release import variant, varied
from lecturekit.errors import InputError, SetupError
from lecturekit.files import replacing
from lecturekit.progress import Step, stopped

RETRIES = 3  # of a submission on which our own grader failed; one whose worker was lost Dask begins again by itself
COLUMNS = ("student", "exercise", "points", "of", "late_hours", "state", "needs_a_person", "received", "sha256")


@dataclasses.dataclass(frozen=True)
class Course:
    """What grading has to know of a course.

    Attributes:
        sheets: {name: `sheet.Sheet`}.
        folder: where journal, table and feedback go.
        secret: decides the inputs of hidden tests, and who has which variant.
        due: {exercise: datetime, UTC}; later ones are marked with the hours.
        variants: whether each student has an own one.
        trust: grade without a sandbox.
    """

    sheets: dict
    folder: Path
    secret: str = ""
    due: dict = dataclasses.field(default_factory=dict)
    variants: bool = False
    trust: bool = False


def grade_all(course, submissions, *, workers=None, scheduler=None, regrade=None, watch=None, say=None):
    """Grade every submission that was not graded yet, and write the table and a page for each.

    Args:
        course: a `Course`.
        submissions: a folder, see `collect`.
        workers: processes on this machine; one for each core if None.
        scheduler: address of a Dask cluster to use instead.
        regrade: the reason for grading again what was graded; it is kept in the journal.
        watch: see `lecturekit.progress`.
        say: is told each sentence that a person should read at once; they stand in ``findings.txt``, too.
    Returns: the rows of the table, dicts with `COLUMNS`.
    Raises: SetupError if somebody else is grading here, or nothing isolates the submissions.
    """
    if regrade is not None and not regrade.strip():
        raise InputError("grading again needs a reason; it is kept in the journal")
    gradebook.missing(course.folder)  # said before anything is graded
    journal = Journal(Path(course.folder) / "journal.jsonl")
    with journal.alone():
        found = collecting.collect(submissions, course.sheets)
        keys = {key: (*key, digest(one), exercise_digest(course, key[1])) for key, one in found.newest.items()}
        done = journal.latest()
        todo = [found.newest[key] for key, full in keys.items() if regrade is not None or full not in done]
        total = len(found.newest)
        for number, (one, result) in enumerate(results(course, todo, workers, scheduler), total - len(todo) + 1):
            more = {} if regrade is None else {"reason": regrade}
            journal.add(keys[one.student, one.exercise], result=dataclasses.asdict(result), **more)
            if stopped(watch, Step(number, total, note=f"{one.student}, {one.exercise}")):
                break
        done = journal.latest()
        graded = {key: made(done[full]["result"]) for key, full in keys.items() if full in done}
        graded, said = gradebook.settle(course, found.newest, graded)
        for sentence in said:
            say and say(sentence)
        rows = [row(course, found.newest[key], graded.get(key)) for key in sorted(keys)]
        spreadsheet.write(Path(course.folder) / "grades.csv", COLUMNS, rows)
        for key, result in graded.items():
            with replacing(Path(course.folder) / "feedback" / key[0] / f"{key[1]}.html") as beside:
                beside.write_text(page(course.sheets[key[1]], found.newest[key], result), encoding="utf-8")
        with replacing(Path(course.folder) / "findings.txt") as beside:
            lines = [*said, *found.findings, *map(replaced, found.older)]
            words = "".join(f"{line}\n" for line in lines)
            beside.write_text(words, encoding="utf-8", errors="backslashreplace")  # names of files that are no text
    return rows


def results(course, todo, workers, scheduler):
    """Yield (submission, result) as they are finished, by a cluster of Dask."""
    if not todo:
        return
    from distributed import Client, as_completed

    local = None if scheduler else cluster(workers)
    try:
        with Client(scheduler or local) as client:
            futures = {client.submit(one_of, course, one, retries=RETRIES, pure=False): one for one in todo}
            for future in as_completed(futures):
                one = futures.pop(future)
                problem = future.exception()
                yield one, future.result() if problem is None else unfinished(course, one, problem)
                future.release()
    finally:
        if local is not None:
            local.close()


def cluster(workers):
    """Return Dask's processes on this machine, which speak to each other by keys that only they have.

    The trap: without keys, whoever has an account on this machine, perhaps a student, finds the port and lets the
    workers run what he likes.
    """
    from distributed import LocalCluster
    from distributed.security import Security

    try:
        keys = Security.temporary()
    except ImportError:
        raise SetupError("the workers need keys to speak to each other; `pip install cryptography`") from None
    page = "127.0.0.1:0"  # Dask's own; at any free port, for at 8787 two graders would meet
    return LocalCluster(n_workers=workers, threads_per_worker=1, security=keys, dashboard_address=page)


def one_of(course, one):
    """Grade one submission; this runs in a worker."""
    torch.set_num_threads(1)  # there are as many workers as cores
    sheet = sheet_for(course, one.student, one.exercise)
    if one.data is None:
        return for_a_person(sheet, one.trouble)
    seed = hmac.digest(course.secret.encode(), f"{one.exercise} {digest(one)}".encode(), hashlib.sha256)
    return grade(one.data, sheet, seed=int.from_bytes(seed[:4]), trust=course.trust)


def sheet_for(course, student, exercise):
    """Return the exercise as this student has it."""
    sheet = course.sheets[exercise]
    if not course.variants:
        return sheet
    number = variant(student, course.secret)
    return sheet._replace(cells=tuple(
        cell._replace(source=varied(cell.source, number)) if cell.kind == "given" else cell for cell in sheet.cells
    ))  # fmt: skip


def unfinished(course, one, problem):
    """Return the result of a submission that our own grader failed on."""
    words = f"the grader failed, not the student: {type(problem).__name__}: {problem}"
    return for_a_person(course.sheets[one.exercise], words, digest(one))


def row(course, one, result):
    """Return one line of the table."""
    due = course.due.get(one.exercise)
    late = max(0.0, (one.received - due).total_seconds() / 3600) if due else 0.0
    waits = result is not None and any(mark.points is None for mark in result.marks)
    again = [] if result is None else [f"{mark.id}: {mark.look}" for mark in result.marks if mark.look]
    state = "not graded" if result is None else "unreadable" if result.person else "in part" if waits else "graded"
    return {
        "student": one.student,
        "exercise": one.exercise,
        "points": "" if result is None else f"{result.points:g}",
        "of": f"{course.sheets[one.exercise].points:g}",
        "late_hours": f"{late:.1f}",
        "state": state,
        "needs_a_person": "" if result is None else result.person or "; ".join([*["text to read"] * waits, *again]),
        "received": one.received.strftime("%Y-%m-%d %H:%M:%S"),
        "sha256": digest(one),
    }


def digest(one):
    """Return the SHA-256 of a submission; that of its trouble if it could not be read."""
    return hashlib.sha256(one.data if one.data is not None else one.trouble.encode()).hexdigest()


def exercise_digest(course, name):
    """Return the SHA-256 of an exercise with its tests: another one is another question."""
    sheet = course.sheets[name]
    graded = tuple(cell[:-1] for cell in sheet.cells)  # without `question`: its wording may be mended
    words = json.dumps([sheet._replace(cells=graded), course.variants], default=str)
    return hashlib.sha256(words.encode()).hexdigest()


def made(plain):
    """Return a `Result` from the journal's plain data."""
    return Result(**{**plain, "marks": [Mark(**mark) for mark in plain["marks"]]})


def replaced(one):
    """Return a sentence about an attempt that a newer one replaced."""
    when = one.received.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{one.student}, {one.exercise}: the attempt of {when} was replaced by a newer one ({one.where})"
