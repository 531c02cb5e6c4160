"""One submission: its answers run in the sandbox, its points are decided outside.

::

    given + answers  -->  sandbox
    given + tests    -->  here, where each name of an answer stands for "ask the sandbox"

The test cells are those that the student saw, hidden ones included; they are run from our own copy, in a process that
no line of the student's ever entered.  Each of them gives all of its points or none.
"""

import dataclasses
import hashlib
import secrets
import time

from lecturekit.course import sheet as sheets
from lecturekit.course.asking import Wrong, seeded
from lecturekit.course.remote import Submission
from lecturekit.course.sandbox import Ended, Limits
from lecturekit.errors import FileError

MOST_SECONDS = 300  # for one submission


@dataclasses.dataclass
class Mark:
    """What one cell was worth.

    Attributes:
        id: of the cell.
        points, most: given and possible; None where a person must say.
        words: why it is not right, with the hint, or what a person wrote; empty if it is right.
        look: why a person should look at it again, see `gradebook`; empty if nobody must.
    """

    id: str
    points: float | None
    most: float
    words: str = ""
    look: str = ""


@dataclasses.dataclass
class Result:
    """What one submission was worth.

    Attributes:
        exercise: its name.
        marks: list of `Mark`.
        findings: what was odd.
        failed: {id: what}, the answer cells that raised.
        printed: what the student's code printed, as far as it was kept.
        person: why a person must look at it; empty if nobody must.
        sha256: of the submission.
        seconds: how long grading took.
        answers: {id: source}, for whoever reads them.
        remarks: {id: words} that a person wrote about an answer.
    """

    exercise: str
    marks: list = dataclasses.field(default_factory=list)
    findings: list = dataclasses.field(default_factory=list)
    failed: dict = dataclasses.field(default_factory=dict)
    printed: str = ""
    person: str = ""
    sha256: str = ""
    seconds: float = 0.0
    answers: dict = dataclasses.field(default_factory=dict)
    remarks: dict = dataclasses.field(default_factory=dict)

    @property
    def points(self):
        """Return the points that are certain: those of the tests."""
        return sum(mark.points or 0 for mark in self.marks)

    @property
    def most(self):
        """Return all points that there are."""
        return sum(mark.most for mark in self.marks)


def for_a_person(sheet, why, sha256=""):
    """Return the result of a submission that could not be graded: a person must say what it is worth, never a zero."""
    marks = [Mark(cell.id, None, cell.points) for cell in sheet.of("test", "text")]
    return Result(sheet.name, marks, person=why, sha256=sha256)


def grade(data, sheet, *, seed=None, limits=None, trust=False):
    """Grade one submission.

    Args:
        data: the bytes of the notebook that was handed in.
        sheet: the exercise, see `sheet.solution`.
        seed: of the inputs of all tests; one that nobody knows if None.
        limits: see `sandbox.Limits`; those of the exercise if None.
        trust: without a sandbox, for code that you trust.
    Returns: a `Result`; a submission that cannot be read has no points and asks for a person.
    Raises: SetupError if nothing isolates the student's code and ``trust`` is False.
    """
    began = time.monotonic()
    result = Result(sheet.name, sha256=hashlib.sha256(data).hexdigest())
    try:
        found = sheets.handed(data, sheet)
    except FileError as problem:
        return for_a_person(sheet, str(problem), result.sha256)
    result.findings, result.answers = found.findings, found.answers
    cells = [(cell.id, found.answers.get(cell.id, "") if cell.kind == "answer" else cell.source)
             for cell in sheet.of("given", "answer") if cell.code]  # fmt: skip
    limits = limits or Limits(seconds=sheet.seconds)
    try:
        with Submission(cells, sheet.hidden, limits, trust, until=began + MOST_SECONDS) as work:
            with seeded(secrets.randbits(31) if seed is None else seed):
                result.marks = list(marks(sheet, work, found.answers))
    except Ended as end:  # ours: it could not even begin
        return for_a_person(sheet, f"the sandbox did not start: {end}", result.sha256)
    result.failed = {id: f"{kind}: {words}" for id, (kind, words) in work.failed.items()}
    result.printed = work.printed.decode(errors="replace")
    result.seconds = time.monotonic() - began
    return result


def marks(sheet, work, answers):
    """Yield the `Mark` of every cell with points, in order."""
    space = {}
    for cell in sheet.of("given"):
        if cell.code:
            exec(compile(cell.source, f"<{cell.id}>", "exec"), space)  # ours
    space |= {name: work[name] for name in sheet.names()}
    for cell in sheet.of("test", "text"):
        if cell.kind == "text":
            written = answers.get(cell.id, "").strip()
            empty = not written or written == sheets.EMPTY_TEXT
            yield Mark(cell.id, 0.0 if empty else None, cell.points, "nothing was written" if empty else "")
        else:
            yield Mark(cell.id, *tried(cell, space))


def tried(cell, space):
    """Run one test cell of ours; return its points, those possible, and the words of what is wrong."""
    try:
        exec(compile(cell.source, f"<{cell.id}>", "exec"), dict(space))
    except Wrong as wrong:
        return 0.0, cell.points, str(wrong)
    return cell.points, cell.points, ""
