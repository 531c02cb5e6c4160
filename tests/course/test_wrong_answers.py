"""Graders are tested by wrong answers: each loses its points and gets its hint, and right ones get all."""

import contextlib
import functools
import importlib
import re

import pytest

from lecturekit.course import grade, sheet
from tests.test_architecture import ROOT

EXERCISES = {
    "attacks": "tests.course.wrong_attacks",
    "forward": "tests.course.wrong_forward",
    "inversion": "tests.course.wrong_inversion",
    "inverse_net": "tests.course.wrong_inverse_net",
    "deconvnet": "tests.course.wrong_deconvnet",
    "features": "tests.course.wrong_features",
    "privacy": "tests.course.wrong_privacy",
    "why": "tests.course.wrong_why",
}


@functools.cache
def sheets(exercise):
    return sheet.solution(ROOT / "solutions" / exercise / f"{exercise}.ipynb")


@functools.cache
def run(exercise, solved):
    """The names that an exercise leaves behind when its solution, or its stub, is run."""
    space = {}
    for cell in sheets(exercise).of("given", "answer"):
        with contextlib.suppress(NotImplementedError):
            exec(compile(cell.source if solved or cell.kind == "given" else sheet.stub(cell), cell.id, "exec"), space)
    return space


def answers(exercise, solved=True):
    return dict(run(exercise, solved))


def cases():
    for exercise, module in EXERCISES.items():
        for task, wrongs in importlib.import_module(module).WRONG.items():
            for name, (source, hint) in wrongs.items():
                yield pytest.param(exercise, task, source, hint, id=f"{exercise}-{task}-{name}")


def marks(exercise, task, space):
    """The points, and the words, of the test cells that ask for ``task``."""
    asking = [cell for cell in sheets(exercise).of("test") if re.search(rf"\({task}\b", cell.source)]
    assert asking, f"no test asks for {task}"
    return [grade.tried(cell, space) for cell in asking]


@pytest.mark.parametrize(("exercise", "task", "source", "hint"), list(cases()))
def test_a_wrong_answer_loses_its_points_and_gets_its_hint(exercise, task, source, hint):
    space = answers(exercise)
    exec(source, space)
    found = marks(exercise, task, space)
    assert [points for points, _, _ in found] == [0] * len(found)
    for _, _, words in found:
        assert re.search(hint, words.split("Hint:")[1]), words


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_solution_gets_all_points(exercise):
    space = answers(exercise)
    assert all(points == most for points, most, _ in (grade.tried(cell, space) for cell in sheets(exercise).of("test")))


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_empty_stub_gets_none(exercise):
    space = answers(exercise, solved=False)
    for cell in sheets(exercise).of("test"):
        points, _, words = grade.tried(cell, space)
        assert points == 0, cell.id
        assert "stub is still empty" in words or "still empty" in words, words


@pytest.mark.parametrize("exercise", EXERCISES)
def test_another_way_to_be_right_gets_all_points(exercise):
    for task, source in importlib.import_module(EXERCISES[exercise]).EQUIVALENT.items():
        space = answers(exercise)
        exec(source, space)
        assert all(points == most for points, most, _ in marks(exercise, task, space)), task


def test_there_are_enough_of_them():
    count = {}
    for case in cases():
        count[case.values[:2]] = count.get(case.values[:2], 0) + 1
    assert min(count.values()) >= 5, "at least five wrong answers to every task"
