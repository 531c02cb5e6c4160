"""nbgrader's gradebook: results go in, a person gives points, and no machine takes them away.

::

    results  -->  gradebook.db, autograded/, to_read.csv  -->  a person  -->  results with a person's points

A person gives points in nbgrader's formgrader, or writes them into a table (`to_read`).  Either way they end in the
gradebook, the only place where they are kept.  This module reads what a person wrote there and writes only the rest; so
it can run again and again, and be killed at any moment.

A newer attempt keeps the points of the older one.  If what the person had read is no longer what stands there, the
gradebook says so, in the way that nbgrader has for it (*needs manual grade*), until a person gave points again.

The trap: a table that is written without the gradebook would be one without the points of persons.  So where there is a
gradebook that cannot be read, nothing is written at all.
"""

import contextlib
import dataclasses
import sqlite3
from pathlib import Path

from lecturekit.course import reading, to_read
from lecturekit.errors import FileError, SetupError
from lecturekit.files import replacing

DATABASE = "gradebook.db"
CHANGED = "the answer changed after these points were given"
WAIT = 60  # seconds for somebody who is writing into the gradebook
CONFIG = '''"""How nbgrader's formgrader finds this course: run `jupyter lab` in this folder.

Under Nbgrader > Formgrader > Manual Grading stands what has to be read.  Submissions are graded by `lecturekit grade`,
in a sandbox; so that nbgrader does not run them here, without one, it is told of no submissions and of no steps.
"""

import os

c = get_config()  # noqa: F821
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.db_url = "sqlite:///" + os.path.join(c.CourseDirectory.root, "gradebook.db")
c.CourseDirectory.source_directory = "exercises"  # empty folders: the names
c.CourseDirectory.submitted_directory = "not-for-nbgrader"
c.Autograde.sanitize_preprocessors = []
c.Autograde.autograde_preprocessors = []
'''


def missing(folder):
    """Return the sentence that says that there will be no gradebook, or an empty one.

    Raises: SetupError if there is one already, with points in it, and it cannot be read.
    """
    try:
        import nbgrader.api  # noqa: F401
    except ImportError:
        said = "nbgrader is not installed, so nobody can give points by hand: `pip install 'lecturekit[grade]'`"
        if (path := Path(folder) / DATABASE).exists():
            raise SetupError(f"{said}. The points of persons in {path} would be lost from the table") from None
        return said
    return ""


def settle(course, newest, graded):
    """Bring results into the gradebook, and what persons gave out of it.

    Args:
        course: a `classwork.Course`.
        newest: {(student, exercise): `collect.Found`}.
        graded: {(student, exercise): `grade.Result`}.
    Returns: {(student, exercise): `Result`} with the points and words of persons, and sentences that somebody should
        read.
    Raises: SetupError, FileError if the gradebook cannot be read or written.
    """
    folder = Path(course.folder)
    if said := missing(folder):
        return graded, [said]
    settled, table = {}, folder / to_read.NAME
    with opened(folder / DATABASE) as book:
        there = {name: entries(book, name) for name in course.sheets}
        filled_in = content(table)
        typed, refused = to_read.take_in(table, course.sheets, there)
        book.db.commit()
        for name in sorted({exercise for _, exercise in graded}):
            master = tell_exercise(book, course.sheets[name], course.due.get(name))
            (folder / "exercises" / name).mkdir(parents=True, exist_ok=True)
            for student in sorted(student for student, exercise in graded if exercise == name):
                key = student, name
                entry = there[name].get(student) or new(book, master, student)
                settled[key] = settle_one(book, folder, course.sheets[name], newest[key], graded[key], entry)
    if not (folder / "nbgrader_config.py").exists():  # somebody may have changed it
        (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    if content(table) == filled_in:  # else somebody saved it just now: it is taken in next time
        to_read.write(table, settled, typed, refused)
    said = [f"{table.name}: {row['student']}, {row['exercise']}, {row['task']}: {row['trouble']}" for row in refused]
    said += [f"{student}, {exercise}, {mark.id}: {mark.look}"
             for (student, exercise), result in settled.items() for mark in result.marks if mark.look]  # fmt: skip
    return settled, said


@contextlib.contextmanager
def opened(path):
    """Yield the gradebook at ``path``, an empty one if there is none.

    Raises: FileError if it is no gradebook, SetupError if somebody else does not let go of it.
    """
    import sqlalchemy
    from nbgrader.api import Gradebook

    if not path.exists():
        with replacing(path) as beside:
            begin(beside)
    try:
        where = sqlalchemy.URL.create("sqlite", database=str(path), query={"timeout": str(WAIT)})
        with Gradebook(where) as book:
            book.db().expire_on_commit = False  # else every commit forgets the whole class, to ask for it one by one
            yield book
    except sqlalchemy.exc.OperationalError as problem:
        raise SetupError(f"{path} cannot be used: {problem.orig}. Close formgrader, and try again") from None
    except sqlalchemy.exc.DatabaseError as problem:
        raise FileError(f"{path} is no gradebook: {problem.orig}. Move it away, or bring an older one back") from None


def begin(path):
    """Write an empty gradebook.

    nbgrader would ask a program ``alembic`` for the version of its tables; where lecturekit was called by its full
    name, that program is not on the path.
    """
    import sqlalchemy
    from alembic.script import ScriptDirectory
    from nbgrader.api import Base
    from nbgrader.dbutil import ALEMBIC_DIR

    engine = sqlalchemy.create_engine(sqlalchemy.URL.create("sqlite", database=str(path)))
    Base.metadata.create_all(engine)
    engine.dispose()
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        head = ScriptDirectory(ALEMBIC_DIR).get_current_head()
        file.execute("INSERT INTO alembic_version (version_num) VALUES (?)", (head,))


def tell_exercise(book, sheet, due):
    """Let the gradebook know an exercise, its tasks, and what they are worth; return nbgrader's Notebook."""
    book.update_or_create_assignment(sheet.name, **({"duedate": due} if due else {}))
    master = book.update_or_create_notebook(sheet.name, sheet.name)
    for cell in sheet.of("test", "text"):
        kind = "code" if cell.code else "markdown"
        book.update_or_create_grade_cell(cell.id, sheet.name, sheet.name, max_score=cell.points, cell_type=kind)
    for cell in sheet.of("answer", "text"):
        book.update_or_create_solution_cell(cell.id, sheet.name, sheet.name)
    return master


def entries(book, name):
    """Return {student: nbgrader's SubmittedNotebook} of one exercise, all that belongs to them in a few queries."""
    from nbgrader.api import Assignment, Notebook, SubmittedAssignment, SubmittedNotebook
    from sqlalchemy.orm import selectinload

    query = book.db.query(SubmittedAssignment.student_id, SubmittedNotebook).join(SubmittedNotebook.assignment)
    query = query.join(SubmittedNotebook.notebook).join(Notebook.assignment)
    query = query.filter(Assignment.name == name, Notebook.name == name)
    parts = map(selectinload, (SubmittedNotebook.assignment, SubmittedNotebook.grades, SubmittedNotebook.comments))
    return dict(map(tuple, query.options(*parts)))


def new(book, master, student):
    """Return nbgrader's SubmittedNotebook of a student who had handed in nothing for this exercise."""
    from nbgrader.api import Student, SubmittedAssignment, SubmittedNotebook

    with book.db.no_autoflush:
        person = book.db.get(Student, student) or Student(id=student)
        entry = SubmittedNotebook(notebook=master, assignment=SubmittedAssignment(student=person))
        entry.assignment.assignment = master.assignment
        book.db.add(entry)
    return entry


def settle_one(book, folder, sheet, one, result, entry):
    """Bring one result in, let a person see it, and return it with what a person gave.

    Args:
        entry: what the gradebook has of it, see `entries`.
    """
    entry.assignment.timestamp = one.received.replace(tzinfo=None)  # UTC, as nbgrader has it
    grades, comments = by_cell(entry)
    path = folder / "autograded" / one.student / sheet.name / f"{sheet.name}.ipynb"
    before, now = content(path).decode("utf-8", "replace"), reading.notebook(sheet, result, one.where)
    changed = set() if before == now else differing(sheet, reading.sources(before) or {}, reading.sources(now))
    for mark in result.marks:
        put(mark, grades[mark.id], comments.get(mark.id), mark.id in changed)
    book.db.commit()
    if before != now:
        with replacing(path) as beside:  # after the gradebook: killed in between, the next run sees the change again
            beside.write_text(now, encoding="utf-8")
    return with_person(sheet, result, grades, comments)


def by_cell(entry):
    """Return {cell: nbgrader's Grade} and {cell: nbgrader's Comment} of one submission, made where they are missing."""
    from nbgrader.api import Comment, Grade

    asked = entry.notebook
    kinds = (asked.grade_cells, entry.grades, Grade), (asked.solution_cells, entry.comments, Comment)
    for cells, have, kind in kinds:
        there = {one.cell for one in have}
        for cell in cells:
            if cell not in there:  # a new submission, or a task that is younger than it
                have.append(kind(cell=cell))
    return {one.cell.name: one for one in entry.grades}, {one.cell.name: one for one in entry.comments}


def differing(sheet, before, now):
    """Return the tasks of which a person saw something else: a text by itself, a test by any of the answers."""
    other = {cell.id for cell in sheet.of("answer", "text") if before.get(cell.id) != now[cell.id]}
    code = any(cell.id in other for cell in sheet.of("answer"))
    return {cell.id for cell in sheet.of("test", "text") if (code if cell.kind == "test" else cell.id in other)}


def put(mark, grade, comment, changed):
    """Write into the gradebook what the tests gave, and whether a person must look; never what a person gave."""
    grade.auto_score = mark.points
    if grade.manual_score is None:
        grade.needs_manual_grade = mark.points is None
    elif changed:
        grade.needs_manual_grade = True
        if comment is not None:
            comment.auto_comment = CHANGED  # formgrader shows it in the field for the person's words
    elif not looks_again(grade, comment):
        grade.needs_manual_grade = False  # whoever gives points by nbgrader's API says nothing of it
        if comment is not None:
            comment.auto_comment = None


def looks_again(grade, comment):
    """Return whether a person gave points to what is no longer there, and nobody has looked since."""
    told = comment.auto_comment == CHANGED if comment is not None else grade.auto_score is not None
    return grade.manual_score is not None and grade.needs_manual_grade and told


def with_person(sheet, result, grades, comments):
    """Return a result with the points and words that a person gave."""
    marks = [one_mark(mark, grades[mark.id], comments.get(mark.id)) for mark in result.marks]
    remarks = {cell.id: comments[cell.id].manual_comment for cell in sheet.of("answer")}
    person, findings = result.person, result.findings
    if person and all(mark.points is not None for mark in marks):
        person, findings = "", [*findings, f"a person gave the points: {person}"]
    remarks = {id: words for id, words in remarks.items() if words}
    return dataclasses.replace(result, marks=marks, remarks=remarks, person=person, findings=findings)


def one_mark(mark, grade, comment):
    """Return one mark with what a person gave to it, and what somebody should look at."""
    points = mark.points if grade.manual_score is None else grade.manual_score
    if points is not None and grade.extra_credit:
        points += grade.extra_credit
    look = CHANGED if looks_again(grade, comment) else ""
    if grade.manual_score is not None and not 0 <= grade.manual_score <= mark.most:
        look = f"a person gave {grade.manual_score:g} points, of {mark.most:g}"
    words = mark.words if comment is None else comment.manual_comment or mark.words
    return dataclasses.replace(mark, points=points, words=words, look=look)


def content(path):
    """Return the bytes of a file; none if it is not there."""
    return path.read_bytes() if path.exists() else b""
