"""Inputs that tell mistakes apart, so that no mistake passes by luck."""

import pytest
import torch

from lecturekit.course.asking import Mistake
from lecturekit.course.tasks.telling import all_differ, telling, whole

HALVES = (Mistake("divide by all", lambda a, b: a / (a + b)), Mistake("the other way round", lambda a, b: b / a))


def numbers(random):
    return whole(1, 3, random), whole(1, 3, random)


def test_whole_draws_both_ends():
    random = torch.Generator().manual_seed(0)
    assert {whole(2, 4, random) for _ in range(60)} == {2, 3, 4}


def test_inputs_on_which_a_mistake_is_right_are_drawn_again():
    def right(a, b):
        return a / b

    drawn = telling(numbers, right, HALVES)
    random = torch.Generator().manual_seed(3)
    for _ in range(30):
        a, b = drawn(random)
        assert a != b, "1/1 is its own inverse"


def test_two_mistakes_that_agree_are_told_apart_unless_they_have_one_hint():
    same = (Mistake("one", lambda a: a + 1), Mistake("two", lambda a: 1 + a))
    assert not all_differ((5,), lambda a: a, same, 1e-3)
    assert all_differ((5,), lambda a: a, (same[0], same[0]), 1e-3)


def test_a_mistake_that_cannot_be_made_on_these_inputs_does_not_matter():
    assert all_differ((5,), lambda a: a, (Mistake("divides", lambda a: a / 0),), 1e-3)


def test_mistakes_that_always_agree_are_an_error_of_ours():
    with pytest.raises(RuntimeError, match="two of 1 mistakes always gave the same answer"):
        telling(numbers, lambda a, b: a, (Mistake("no mistake", lambda a, b: a),))(torch.Generator())
