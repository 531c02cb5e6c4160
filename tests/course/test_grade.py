"""One submission: what is asked, how long, and in whose process."""

import math
import time

import pytest

from lecturekit.course import grade as grading
from lecturekit.course import sandbox
from lecturekit.course.grade import grade
from lecturekit.course.remote import STARTS, Submission
from lecturekit.course.sandbox import Limits
from lecturekit.course.sheet import Cell
from tests.course.small import ALL, SHEET, submission

pytestmark = pytest.mark.skipif(bool(sandbox.why_not_isolated()), reason=f"no sandbox: {sandbox.why_not_isolated()}")
LIMITS = Limits(seconds=4, memory=900, processes=48, disk=32)
TELLS = "def double(x):\n    print(x.tolist())\n    return 2 * x"


def test_without_a_seed_nobody_knows_the_inputs_and_with_one_they_are_the_same_again():
    told = [grade(submission(double=TELLS), SHEET, seed=seed, limits=LIMITS).printed for seed in (None, None, 5, 5)]
    assert all(words.count("[[") == 4 for words in told), "one visible trial and three hidden ones"
    assert told[0] != told[1]
    assert told[2] == told[3]


def test_all_answers_together_have_an_end(monkeypatch):
    monkeypatch.setattr(grading, "MOST_SECONDS", 2)
    slow = submission(double="import time\ndef double(x):\n    time.sleep(1.5)\n    return 2 * x")
    began = time.monotonic()
    result = grade(slow, SHEET, seed=3, limits=LIMITS)
    assert time.monotonic() - began < 8
    assert {mark.id: mark.points for mark in result.marks} == {
        "double-seen": 1, "double-again": 0, "mean-again": 0, "seven-verified": 0, "words": None,
    }  # fmt: skip
    assert "all answers together took too long" in result.marks[1].words


def test_a_process_that_always_dies_is_not_started_for_ever():
    with Submission([("a", "import os\ndef dies(): os._exit(0)\nvalue = 7")], (), LIMITS, until=math.inf) as work:
        for _ in range(STARTS):
            assert "ended by itself" in work["dies"].ask(()).trouble[1]
        assert f"more than {STARTS} times" in work["value"].fetch().trouble[1]


def test_what_a_test_defines_the_next_one_does_not_find():
    tests = (
        Cell("first", "test", "double = lambda x: 2 * x\ntrue = 1", 1),
        Cell("second", "test", "from tests.course.small import DOUBLE\nassert 'true' not in dir()\nDOUBLE(double)", 1),
    )
    sheet = SHEET._replace(cells=(*SHEET.of("given", "answer"), *tests))
    marks = grade(submission(double="def double(x): return x"), sheet, seed=3, limits=LIMITS).marks
    assert [mark.points for mark in marks] == [1, 0]


def test_checks_say_nothing_inside():
    work = "from lecturekit.course import checks\ndef double(x): return 2 * x\nprint(checks.fgsm(double, trials=3))"
    result = grade(submission(double=work), SHEET, seed=3, limits=LIMITS)
    assert result.points == ALL
    assert result.failed == {}
    assert result.printed == "None\n"
