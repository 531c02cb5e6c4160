"""A class that was never taught: some know everything, some a part, some nothing, and one in ten means harm.

The same number and seed give the same notebooks, byte for byte.  What each of them honestly earned is known before it
is graded: for the small exercise from the answers themselves; for a real one, the same tests are asked of the same
answers here, in the open, on other inputs.  Nothing of that has seen the sandbox, the workers or the journal.
"""

import functools
import importlib
import json
import random
from typing import NamedTuple

from lecturekit.course import grade, inside, sheet
from lecturekit.course.asking import Answer
from tests.course import hostile, small
from tests.course.test_wrong_answers import EXERCISES, sheets
from tests.test_architecture import ROOT

HARMFUL = 10  # one in so many
SMALL = small.SHEET._replace(seconds=4)  # harm that has to be waited for is waited for 4 seconds
ABLE = (1.0, 1.0, 1.0, 0.8, 0.8, 0.8, 0.8, 0.5, 0.5, 0.0)  # what share of the tasks a student can solve
WAYS = {"otherwise": 1, "wrong": 6, "empty": 3}  # what becomes of the others, in ten
PLACES = {"PORTS": "[9]", "ROOT": repr(str(ROOT))}  # what hostile code asks its test for


class Handed(NamedTuple):
    """What one student handed in.

    Attributes:
        student, exercise: names.
        data: the notebook's bytes.
        points: what it honestly earned; None if a person must look at it.
        about: what it is, for a person.
    """

    student: str
    exercise: str
    data: bytes
    points: float | None
    about: str


def course_sheets(exercises=EXERCISES):
    """{name: `Sheet`} of the exercises that the class works on."""
    return {"small": SMALL} | {name: sheets(name) for name in exercises}


def classroom(count, seed=0, exercises=EXERCISES):
    """Yield ``count`` submissions, one for each student; without ``exercises`` all are of the small one."""
    dice, names = random.Random(seed), list(exercises) or ["small"]
    harm = list(harmful())
    dice.shuffle(harm)
    for number in range(count):
        student = f"student{number:03d}"
        if number % HARMFUL == HARMFUL - 1:
            about, points, data = harm[number // HARMFUL % len(harm)]
            yield Handed(student, "small", data, points, about)
        else:
            name = names[number % len(names)]
            yield Handed(student, name, *(small_work(dice) if name == "small" else real_work(name, dice)))


def harmful():
    """Yield (name, points, data) of everything that means harm or is odd."""
    for name, (points, cell, source) in hostile.CODE.items():
        for word, value in PLACES.items():
            source = source.replace(word, value)
        yield name, points, small.submission(**{cell: source})
    for name, (points, data) in hostile.books().items():
        yield name, points, data


def small_work(dice):
    """(data, points, about) for the small exercise."""
    wrong = {"double": ("def double(x): return x", 3), "mean": ("def mean(x): return 0", 2), "seven": ("seven = 8", 1)}
    able = dice.choice(ABLE)
    failed = [name for name in wrong if dice.random() >= able]
    data = small.submission(**{name: wrong[name][0] for name in failed})
    return data, small.ALL - sum(wrong[name][1] for name in failed), ", ".join(failed) + " wrong"


def real_work(name, dice):
    """(data, points, about) for a real exercise."""
    module, chosen, about, able = importlib.import_module(EXERCISES[name]), {}, [], dice.choice(ABLE)
    for cell in sheets(name).of("answer"):
        if dice.random() < able:
            continue
        how = dice.choices(list(WAYS), WAYS.values())[0]
        mine = sheets(name)._replace(cells=(cell,)).names()
        task = next((one for one in module.WRONG if one in mine), None)
        options = {"wrong": [*(source for source, _ in module.WRONG.get(task, {}).values())],
                   "otherwise": [module.EQUIVALENT[task]] if task in module.EQUIVALENT else [],
                   "empty": [sheet.stub(cell)]}[how]  # fmt: skip
        options = [source for source in options if "rand" not in source]  # luck would decide their points
        if options:
            source = dice.choice(options)
            chosen[cell.id] = source if how == "empty" or len(mine) == 1 else f"{cell.source}\n{source}"
            about.append(f"{cell.id} {how}")
    answers = {cell.id: chosen.get(cell.id, cell.source) for cell in sheets(name).of("answer")}
    return filled_in(name, answers), earned(name, answers), ", ".join(about) or "all right"


@functools.cache
def exercise(name):
    """An exercise as it was handed out."""
    return (ROOT / "exercises" / name / f"{name}.ipynb").read_text("utf-8")


def filled_in(name, answers):
    """An exercise with answers in it, as bytes."""
    book = json.loads(exercise(name))
    for cell in book["cells"]:
        if (id := sheet.grade_id(cell)) in answers:
            cell["source"] = answers[id].splitlines(keepends=True)
    return json.dumps(book).encode()


@functools.cache
def given(name):
    """The names that the given cells of an exercise leave behind."""
    space = {}
    for cell in sheets(name).of("given"):
        assert inside.run(cell.source, space, cell.id) is None, cell.id
    return space


def earned(name, answers):
    """The points of the tests, asked in the open."""
    space = dict(given(name))
    for id, source in answers.items():
        inside.run(source, space, id)
    missing = {one: Missing(one) for one in sheets(name).names() if one not in space}
    return sum(grade.tried(cell, space | missing)[0] for cell in sheets(name).of("test"))


class Missing:
    """A name that an answer should have defined and did not, because it failed first."""

    def __init__(self, name):
        self.answer = Answer(None, trouble=("NameError", f"`{name}` is not defined"))

    def ask(self, arguments):
        return self.answer

    def fetch(self):
        return self.answer
