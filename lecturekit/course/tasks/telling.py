"""Questions that tell mistakes apart: inputs are drawn again until every mistake gives an answer of its own.

A task whose answer is one number, a share, is easily passed by luck: with thirty pictures the wrong denominator may
change nothing.  `telling` throws such inputs away.  Then no mistake passes, and no hint names another one.
"""

import contextlib

import torch

from lecturekit.course.asking import difference
from lecturekit.course.given import built

MOST = 1000  # draws


def whole(low, high, random):
    """Return a random whole number from ``low`` to ``high``."""
    return int(torch.randint(low, high + 1, (), generator=random))


def telling(cases, right, mistakes, least=1e-3):
    """Return ``cases`` without inputs on which two answers agree.

    Args:
        cases: a `torch.Generator` to the arguments of one trial.
        right, mistakes: those of the task; mistakes with the same hint may agree.
        least: by how much answers must differ.
    Returns: a function like ``cases``.
    Raises: RuntimeError if no input is good enough: two mistakes are the same.
    """

    def drawn(random):
        for _ in range(MOST):
            arguments = cases(random)
            if all_differ(arguments, right, mistakes, least):
                return arguments
        raise RuntimeError(f"in {MOST} draws two of {len(mistakes)} mistakes always gave the same answer")

    return drawn


def all_differ(arguments, right, mistakes, least):
    """Return whether the right answer and those of all mistakes differ from each other."""
    answers = [("", right(*built(arguments)))]
    for hint, wrong in mistakes:
        with contextlib.suppress(Exception):  # a mistake may be impossible on these arguments
            value = wrong(*built(arguments))
            if any(hint != other and difference(value, one, least, least) is None for other, one in answers):
                return False
            answers.append((hint, value))
    return True
