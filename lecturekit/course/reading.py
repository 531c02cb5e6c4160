r"""What a person reads in nbgrader's formgrader: the question, what the student wrote, a right answer.

The trap: formgrader turns Markdown into HTML, raw HTML included, in the session of a teacher, where a script could run
code on the teacher's server; and formulas can hold links to scripts.  So whatever a student wrote stands in a fence, as
text, and a student's code stands in Markdown too: no "run all" runs it.

    ~~~~text
    <img src=x onerror=alert(1)>  ~~~      <- the fence is longer than any in the text
    ~~~~
"""

import json
import re

from lecturekit.course.sheet import EMPTY_TEXT

LONGEST = 30_000  # letters that are shown: what a spreadsheet takes in one field


def notebook(sheet, result, where=""):
    """Return one submission as formgrader reads it: the text of a notebook without outputs.

    Args:
        sheet: the exercise.
        result: a `grade.Result`.
        where: the path of what was handed in, for whom has to look there.
    """
    cells = []
    if result.person:
        why = as_text(f"{result.person}\n{where}")
        cells.append(markdown("for-a-person", f"**A person must look at this submission**\n\n{why}"))
    for cell in sheet.of("answer", "text", "test"):
        if cell.question:
            cells.append(markdown(f"{cell.id}-question", cell.question))
        cells.append(shown(cell, result.answers))
        if cell.kind == "text" and cell.source != EMPTY_TEXT:
            cells.append(markdown(f"{cell.id}-right", f"**A right answer, for comparison**\n\n{cell.source}"))
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    book = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1) + "\n"


def shown(cell, answers):
    """Return one cell with nbgrader's marks: ours as it is, a student's as text."""
    if cell.kind == "test":
        made = {"cell_type": "code", "id": cell.id, "source": cell.source, "execution_count": None, "outputs": []}
    else:
        words = answers.get(cell.id)
        language = "python" if cell.kind == "answer" else "text"
        made = markdown(cell.id, "*missing*" if words is None else as_text(words, language))
    graded = cell.kind != "answer"
    marks = {"grade_id": cell.id, "grade": graded, "solution": cell.kind != "test", "locked": cell.kind == "test"}
    marks |= {"task": False, "schema_version": 3, "cell_type": made["cell_type"]}
    return made | {"metadata": {"nbgrader": marks | ({"points": cell.points} if graded else {})}}


def markdown(id, words):
    """Return a Markdown cell."""
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": words}


def as_text(words, language="text"):
    """Return a stranger's words as Markdown that shows them letter by letter, whatever they are."""
    words = whole(words)
    fence = "~" * (1 + max([3, *map(len, re.findall("~+", words))]))
    return f"{fence}{language}\n{words}\n{fence}"


def whole(words):
    """Return words that every file and every browser takes: not too long, no half letters, no control characters."""
    words = words if len(words) <= LONGEST else f"{words[:LONGEST]}\n[{len(words) - LONGEST:,} more letters]"
    words = words.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair
    return re.sub(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", words)


def sources(words):
    """Return {cell: source} of a notebook that `notebook` made: what a person saw; None of what is none any more."""
    try:
        return {cell["id"]: cell["source"] for cell in json.loads(words)["cells"]}
    except (ValueError, KeyError, TypeError):  # somebody worked in it
        return None
