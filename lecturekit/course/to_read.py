"""The table of what a person has to read: points written into it are taken in, and what is left is written anew.

It is for whoever prefers a spreadsheet to nbgrader's formgrader.  Both lead into the gradebook, and a row that was
taken in is gone from the table; so points that were changed in formgrader afterwards are not changed back.

The trap: somebody fills the table in while the grader writes it.  What cannot be taken in stays there with its reason;
words without points stay; and `gradebook` leaves a table alone that was saved in the meantime.
"""

from lecturekit.course import reading, spreadsheet
from lecturekit.errors import InputError, unknown

NAME = "to_read.csv"
COLUMNS = ("student", "exercise", "task", "points", "of", "words", "given", "trouble", "text")
ASKED = ("student", "exercise", "task", "points", "words")  # the columns that it must have


def take_in(path, sheets, there):
    """Give the points that stand in the table.

    Args:
        path: of the table.
        sheets: {name: `sheet.Sheet`}.
        there: {exercise: {student: nbgrader's SubmittedNotebook}}; their grades and comments are changed.
    Returns: {(student, exercise, task): words} of those who wrote only words as yet, and the rows that cannot be taken
        in, each with its trouble.
    Raises: InputError if it is no such table.
    """
    typed, refused = {}, []
    for row in spreadsheet.read(path, ASKED):
        row = {name: row.get(name, "").strip() for name in COLUMNS}
        key = row["student"], row["exercise"], row["task"]
        if not row["points"]:
            typed[key] = row["words"]
            continue
        try:
            give(*found(sheets, there, *key), row["points"], row["words"])
        except InputError as problem:
            refused.append(row | {"trouble": str(problem)})
    return typed, refused


def found(sheets, there, student, exercise, task):
    """Return the cell of a task, and nbgrader's Grade and Comment of what a student handed in for it.

    Raises: InputError for what is not there, with the nearest names.
    """
    if exercise not in sheets:
        raise unknown("exercise", exercise, sheets)
    if student not in there[exercise]:
        raise unknown("student with this exercise", student, there[exercise])
    grades = {one.cell.name: one for one in there[exercise][student].grades}
    cells = {cell.id: cell for cell in sheets[exercise].of("test", "text") if cell.id in grades}
    if task not in cells:
        raise unknown("task", task, cells)
    comments = {one.cell.name: one for one in there[exercise][student].comments}
    return cells[task], grades[task], comments.get(task)


def give(cell, grade, comment, points, words):
    """Write what a person gave into the gradebook; a decimal comma is a point.

    Raises: InputError for what is no number between zero and what the task is worth, and for words about a test.
    """
    try:
        number = float(points.replace(",", "."))
    except ValueError:
        raise InputError(f"{points!r} is no number of points") from None
    if not 0 <= number <= cell.points:
        raise InputError(f"the task has 0 to {cell.points:g} points, not {points}")
    if words and comment is None:
        raise InputError("nbgrader keeps no words about a test: leave them out, or write them to an answer")
    grade.manual_score, grade.needs_manual_grade = number, False
    if words:
        comment.manual_comment = words


def write(path, settled, typed, refused):
    """Write what a person has to read; what could not be taken in stands there again, on top.

    Args:
        path: of the table.
        settled: {(student, exercise): `grade.Result`}.
        typed, refused: see `take_in`.
    """
    rows = list(refused)
    for (student, exercise), result in sorted(settled.items()):
        for mark in result.marks:
            if mark.points is None or mark.look:
                words, given = typed.get((student, exercise, mark.id), ""), f"{mark.points:g}" if mark.look else ""
                row = {"student": student, "exercise": exercise, "task": mark.id, "points": "", "of": f"{mark.most:g}"}
                row |= {"words": words, "given": given, "trouble": mark.look or result.person}
                rows.append(row | {"text": reading.whole(result.answers.get(mark.id, ""))})
    spreadsheet.write(path, COLUMNS, rows)
