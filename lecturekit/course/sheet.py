"""An exercise notebook: its cells, its points, and what a student wrote into it.

nbgrader marks each cell of an exercise in its metadata.  There are four kinds, and of a submission only one counts:

=========  ======================================  ============================================================
kind       nbgrader's marks                        what the grader does with it
=========  ======================================  ============================================================
given      locked                                  taken from our own copy
answer     solution, no points                     taken from the submission, by its id; run in the sandbox
text       solution and points                     taken from the submission; a person gives the points
test       points, locked                          taken from our own copy; run outside, see `grade`
=========  ======================================  ============================================================

So it does not matter what a student did to the other cells: deleted, moved, edited or doubled, they are ours.

The trap: a notebook from a stranger is a file from a stranger.  It is read as JSON under limits of size and depth, and
whatever it is instead of a notebook becomes a sentence.
"""

import ast
import json
import re
from pathlib import Path
from typing import NamedTuple

from lecturekit.errors import FileError

MOST_BYTES = 20 * 2**20
MOST_DEEP = 60  # brackets in brackets; a notebook needs ten
MOST_CELLS = 2000
KINDS = ("given", "answer", "text", "test")
EMPTY_TEXT = "YOUR ANSWER HERE"  # as nbgrader writes it
SOLUTION = re.compile(r"^(?P<indent>[ \t]*)### BEGIN SOLUTION.*?### END SOLUTION[ \t]*$", re.MULTILINE | re.DOTALL)


class Cell(NamedTuple):
    """One cell of an exercise.

    Attributes:
        id: nbgrader's ``grade_id``.
        kind: one of `KINDS`.
        source: its text.
        points: what it is worth; 0 for given and answer cells.
        code: whether it is code; otherwise Markdown.
        question: of a text cell, the Markdown above it.
    """

    id: str
    kind: str
    source: str
    points: float = 0.0
    code: bool = True
    question: str = ""


class Sheet(NamedTuple):
    """An exercise as the instructor has it.

    Attributes:
        name: e.g. ``"attacks"``.
        title: its first heading.
        cells: those that nbgrader knows, in order.
        hidden: folders of the library that students shall write anew, so the sandbox has none of them.
        seconds: the time limit of one answer.
    """

    name: str
    title: str
    cells: tuple
    hidden: tuple = ()
    seconds: float = 20.0

    def of(self, *kinds):
        """Return the cells of some kinds."""
        return [cell for cell in self.cells if cell.kind in kinds]

    @property
    def points(self):
        """Return all points, those of a person included."""
        return sum(cell.points for cell in self.cells)

    def names(self):
        """Return the names that the answers define: what the tests ask for, and must ask the sandbox for."""
        found = []
        for cell in self.of("answer"):
            for line in ast.parse(cell.source).body:
                if isinstance(line, ast.FunctionDef | ast.ClassDef):
                    found.append(line.name)
                else:
                    stored = (node for node in ast.walk(line) if isinstance(node, ast.Name))
                    found += [node.id for node in stored if isinstance(node.ctx, ast.Store)]
        return list(dict.fromkeys(found))


def solution(path):
    """Read an exercise from ``solutions/``.

    Raises: FileError if it is no exercise: no title, ids that are missing or double, a test without points.
    """
    path = Path(path)
    book, _ = parsed(path.read_bytes())
    pairs = zip([None, *book["cells"]], book["cells"], strict=False)
    cells = [cell for above, raw in pairs if (cell := marked(raw, above)) is not None]
    ids = [cell.id for cell in cells]
    if not cells or len(set(ids)) != len(ids):
        raise FileError(f"{path.name}: an exercise needs cells with ids of nbgrader, each once; got {ids}")
    if free := [cell.id for cell in cells if cell.kind == "test" and not cell.points]:
        raise FileError(f"{path.name}: {', '.join(free)} tests without points")
    about = book.get("metadata", {}).get("lecturekit", {})
    title = re.search(r"^# (.+)$", "\n".join(text(c) for c in book["cells"] if c["cell_type"] == "markdown"), re.M)
    if title is None:
        raise FileError(f"{path.name}: an exercise needs a title, a line that begins with #")
    return Sheet(path.stem, title.group(1), tuple(cells), tuple(about.get("hides", ())), about.get("seconds", 20.0))


def stub(cell):
    """Return the source of an answer or a text cell as a student gets it."""
    if cell.kind == "text":
        return EMPTY_TEXT
    return SOLUTION.sub(lambda found: f"{found['indent']}raise NotImplementedError", cell.source)


class Handed(NamedTuple):
    """What a student handed in.

    Attributes:
        answers: {id: source} of the answer and text cells that were found.
        findings: sentences about what was odd: cells missing, double, of another kind.
    """

    answers: dict
    findings: list


def handed(data, sheet):
    """Read a submission.

    Args:
        data: its bytes.
        sheet: the exercise.
    Returns: `Handed`.
    Raises: FileError if nothing can be read; a person must look at it.
    """
    book, findings = parsed(data)
    wanted = {cell.id: cell for cell in sheet.of("answer", "text")}
    answers, seen = {}, []
    for raw in book["cells"]:
        id = grade_id(raw)
        if id not in wanted:
            continue
        kind = "code" if wanted[id].code else "markdown"
        if raw.get("cell_type") != kind:
            findings.append(f"{id} became a cell of the kind {raw.get('cell_type')!r}")
        seen.append(id)
        if id not in answers or answers[id].strip() == stub(wanted[id]).strip():
            answers[id] = text(raw)  # of two, the first that is no longer the stub
    findings += [f"{id} stands there {seen.count(id)} times; the first that was filled in counts"
                 for id in dict.fromkeys(seen) if seen.count(id) > 1]  # fmt: skip
    findings += [f"{id} is missing" for id in wanted if id not in answers]
    return Handed(answers, findings)


def parsed(data):
    """Return a notebook of format 4 as a dict with well-formed cells, and what was odd about it."""
    if len(data) > MOST_BYTES:
        raise FileError(f"{len(data) / 1e6:.0f} MB is no notebook; at most {MOST_BYTES // 2**20} MB are read")
    words, findings = decoded(data)
    if deepest(words) > MOST_DEEP:
        raise FileError(f"brackets are nested more than {MOST_DEEP} deep")
    try:
        book = json.loads(words)
    except ValueError as problem:
        raise FileError(f"this is no JSON: {problem}{looks_like(words)}") from None
    if not isinstance(book, dict):
        raise FileError(f"this is JSON, and no notebook: a {type(book).__name__}")
    if isinstance(book.get("worksheets"), list):
        findings.append("a notebook of format 3; its cells were read as they are")
        sheets = [one for one in book["worksheets"] if isinstance(one, dict)]
        book = {"cells": [c for one in sheets for c in one.get("cells", ())], "metadata": book.get("metadata", {})}
    cells = book.get("cells")
    if not isinstance(cells, list):
        raise FileError("this is JSON, and no notebook: it has no cells")
    if len(cells) > MOST_CELLS:
        raise FileError(f"{len(cells)} cells are no exercise")
    book["cells"] = [cell for cell in cells if isinstance(cell, dict)]
    return book, findings


def decoded(data):
    """Return bytes as text, and what was odd about them."""
    if not data:
        raise FileError("the file is empty")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return attempt(data, "utf-16"), ["the file is in UTF-16"]
    return attempt(data, "utf-8-sig"), ["the file begins with a byte order mark"] if data[:3] == b"\xef\xbb\xbf" else []


def attempt(data, encoding):
    """Return bytes decoded, or say at which one it fails."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as problem:
        raise FileError(f"byte {problem.start} is no {encoding.removesuffix('-sig')}") from None


def deepest(words):
    """Return how deep brackets are nested, those in words not counted."""
    deep = most = 0
    for sign in re.sub(r'"(?:[^"\\]|\\.)*"', "", words):
        if sign in "[{":
            deep += 1
            most = max(most, deep)
        elif sign in "]}":
            deep -= 1
    return most


def looks_like(words):
    """Return what a file looks like that is no JSON."""
    if "<<<<<<<" in words and ">>>>>>>" in words:
        return "; there are marks of a merge that was not finished"
    return "; it looks like a web page" if words.lstrip()[:1] == "<" else ""


def grade_id(raw):
    """Return the id that nbgrader gave a cell, or None."""
    mark = raw.get("metadata", {}) if isinstance(raw.get("metadata"), dict) else {}
    mark = mark.get("nbgrader", {}) if isinstance(mark.get("nbgrader"), dict) else {}
    return mark.get("grade_id") if isinstance(mark.get("grade_id"), str) else None


def text(raw):
    """Return the text of a cell, also of format 3, and whatever it is made of."""
    source = raw.get("source", raw.get("input", ""))
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def marked(raw, above=None):
    """Return a cell of our own as a `Cell`, or None if nbgrader does not know it."""
    mark = raw.get("metadata", {}).get("nbgrader")
    if not mark:
        return None
    graded, answered = mark.get("grade", False), mark.get("solution", False)
    kind = {(False, False): "given", (False, True): "answer", (True, True): "text", (True, False): "test"}
    points = float(mark.get("points", 0)) if graded else 0.0
    asked = text(above) if kind[graded, answered] == "text" and above and above["cell_type"] == "markdown" else ""
    return Cell(mark["grade_id"], kind[graded, answered], text(raw), points, raw["cell_type"] == "code", asked)
