"""Asking and comparing: no input twice, nothing equal that is not, and a hint only where it is certain."""

import math

import pytest
import torch

from lecturekit.course.asking import Task, Wrong, difference, seeded

TWICE = Task("twice", "Twice.", cases=lambda random: (torch.rand(4, generator=random),), right=lambda x: 2 * x)


def asked(seed, trials, function=lambda x: 2 * x):
    """The inputs that a function was asked with."""
    inputs = []
    with seeded(seed):
        TWICE(lambda x: (inputs.append(x.tolist()), function(x))[1], trials)
    return inputs


def test_each_trial_has_another_input_and_each_seed_has_others():
    one, other = asked(1, 20), asked(2, 20)
    assert one == asked(1, 20), "grading again asks the same"
    assert len({tuple(x) for x in one + other}) == 40


def test_an_answer_that_does_not_depend_on_the_input_is_called_so_and_another_is_not():
    with pytest.raises(Wrong, match="the same whatever comes in"):
        TWICE(lambda x: torch.tensor([0.1, 0.2, 0.3, 0.4]))
    with pytest.raises(Wrong, match="take the smallest example"):
        TWICE(lambda x: 3 * x)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ([1.0, NAN], [1.0, 2.0]),
        ([NAN, 1.0], [1.0, NAN]),
        ([1.0, 2.0], [1.0, NAN]),
        ([INF, 1.0], [-INF, 1.0]),
        ([1.0, 2.0], [1.0, INF]),
        ([1.0, 2.0, 3.0], [1.0, 2.0]),
        ([1.0, 2.1], [1.0, 2.0]),
    ],
)
def test_what_is_no_number_or_another_one_is_not_equal(value, target):
    assert difference(torch.tensor(value), torch.tensor(target), 1e-4, 1e-5) is not None
    assert difference(value, target, 1e-4, 1e-5) is not None, "lists of numbers as well"


@pytest.mark.parametrize("target", [[1.0, NAN], [INF, -INF], [1.0, 2.0], []])
def test_what_is_alike_is_equal(target):
    near = torch.tensor(target) * (1 + 1e-6)
    assert difference(near, torch.tensor(target), 1e-4, 1e-5) is None


@pytest.mark.parametrize(
    ("value", "target"),
    [(True, 1), (1, True), (None, 0.0), ("1", 1), (0, ""), (torch.tensor(True), False), (math.nan, 1.0), ([], [1])],
)
def test_kinds_are_not_confused(value, target):
    assert difference(value, target, 1e-4, 1e-5) is not None
