"""An exercise that fits on a page, for tests of the grader: double every number, take the mean, and name seven."""

import json

import torch

from lecturekit.course.asking import Certificate, Task
from lecturekit.course.sheet import Cell, Sheet

DOUBLE = Task(
    "double",
    "Twice every number.",
    cases=lambda random: (torch.rand(3, 4, generator=random),),
    right=lambda x: 2 * x,
)
MEAN = Task(
    "mean", "The mean.", cases=lambda random: (torch.rand(5, generator=random),), right=lambda x: x.mean().item()
)
SEVEN = Certificate("seven", "Seven.", lambda n: None if isinstance(n, int) and n == 7 else (f"{n!r}", "count"))

ANSWERS = {
    "double": "def double(x):\n    return 2 * x",
    "mean": "def mean(x):\n    return float(x.sum()) / len(x)",
    "seven": "seven = 7",
    "words": "Because of the sum.",
}


def solved(name):
    return f"### BEGIN SOLUTION\n{ANSWERS[name]}\n### END SOLUTION"


SHEET = Sheet(
    "small",
    "A small exercise",
    (
        Cell("setup", "given", "import torch"),
        Cell("double", "answer", solved("double")),
        Cell("double-seen", "test", "from tests.course.small import DOUBLE\nDOUBLE(double)", 1),
        Cell("double-again", "test", "from tests.course.small import DOUBLE\nDOUBLE(double, trials=3)", 2),
        Cell("mean", "answer", solved("mean")),
        Cell("mean-again", "test", "from tests.course.small import MEAN\nMEAN(mean, trials=3)", 2),
        Cell("seven", "answer", solved("seven")),
        Cell("seven-verified", "test", "from tests.course.small import SEVEN\nSEVEN(seven)", 1),
        Cell("words", "text", "YOUR ANSWER HERE", 2, code=False),
    ),
)
ALL = 6  # points of the tests


def cells(**answers):
    """The cells of a submission as JSON has them; ``answers`` replace those that are right."""
    made = []
    for cell in SHEET.cells:
        source = (ANSWERS | answers).get(cell.id, cell.source)
        marks = {"grade_id": cell.id, "grade": cell.points > 0, "solution": cell.kind in ("answer", "text")}
        kind = "code" if cell.code else "markdown"
        one = {
            "cell_type": kind,
            "id": cell.id,
            "metadata": {"nbgrader": marks | {"points": cell.points}},
            "source": source,
        }
        made.append(one | ({"execution_count": None, "outputs": []} if cell.code else {}))
    return made


def submission(made=None, **answers):
    """A submission as bytes."""
    book = {"cells": made or cells(**answers), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book).encode()
