"""Errors: one family, each also the built-in that a Python programmer expects, and names that are nearly right."""

import pytest

from lecturekit import errors

FAMILY = [
    (errors.InputError, ValueError), (errors.ModelError, ValueError), (errors.FileError, OSError),
    (errors.SetupError, RuntimeError),
]  # fmt: skip


@pytest.mark.parametrize(("error", "builtin"), FAMILY)
def test_every_error_is_of_the_family_and_a_builtin_too(error, builtin):
    problem = error("what came, what was expected, what to do")
    assert isinstance(problem, errors.LectureError) and isinstance(problem, builtin)
    assert str(problem) == "what came, what was expected, what to do"


def test_an_unknown_name_is_answered_with_the_three_nearest():
    problem = errors.unknown("layer", "conv9", ["conv1", "conv2", "conv3", "conv4", "fc8"])
    assert isinstance(problem, errors.InputError)
    assert str(problem).startswith("there is no layer named 'conv9'. Did you mean ")
    suggested = str(problem).split("?")[0]
    assert suggested.count("'conv") == 4, "the wrong one and three others"
    assert str(problem).endswith("Available: conv1, conv2, conv3, conv4, fc8")


def test_capital_letters_do_not_hide_the_name():
    assert "Did you mean 'conv3'?" in str(errors.unknown("layer", "CONV3", ["conv3", "fc8"]))


@pytest.mark.parametrize("name", ["zzz", 3, None, ""])
def test_without_a_near_name_there_is_no_guess(name):
    problem = errors.unknown("layer", name, ["conv1"])
    assert str(problem) == f"there is no layer named {name!r}. Available: conv1"


def test_a_long_list_is_cut_and_counted():
    problem = str(errors.unknown("layer", "layer7", (f"layer{i}" for i in range(60)), errors.ModelError))
    assert problem.endswith("layer23 and 36 more") and "Did you mean 'layer7' or " in problem


def test_the_error_has_the_class_that_was_asked_for():
    assert type(errors.unknown("file", "a", ["b"], errors.FileError)) is errors.FileError
