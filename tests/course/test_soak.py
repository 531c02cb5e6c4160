"""A small class, graded without a break and killed in the middle: one table.  LECTUREKIT_SOAK=200 makes it large."""

import json
import os
import re

import pytest

from lecturekit.course import sandbox
from lecturekit.course.journal import Journal
from tests.course import classroom, soak

pytest.importorskip("distributed", reason="Dask is not installed; `pip install 'lecturekit[grade]'` brings it")
COUNT = int(os.environ.get("LECTUREKIT_SOAK", "0"))
pytestmark = [
    pytest.mark.skipif(bool(sandbox.why_not_isolated()), reason=f"no sandbox: {sandbox.why_not_isolated()}"),
    pytest.mark.timeout(300 + 15 * COUNT),
]


def test_killed_at_any_moment_it_comes_to_the_same_table(tmp_path):
    which = {} if COUNT else {"exercises": ("attacks", "privacy", "small")}
    soak.made(tmp_path, COUNT or 12, **which)
    soak.whole(tmp_path, workers=2)
    happened = soak.killed(tmp_path, workers=2)
    assert 0 < happened["done then"] < (COUNT or 12)
    findings, _ = soak.compared(tmp_path)
    assert findings == []


def test_the_same_seed_makes_the_same_class_and_it_has_all_kinds_of_students():
    one, other = (list(classroom.classroom(400, seed=4, exercises=())) for _ in range(2))
    assert one == other
    assert one != list(classroom.classroom(400, seed=5, exercises=()))
    honest = [each for number, each in enumerate(one) if number % 10 != 9]
    assert {each.points for each in honest} >= {0, 6, 3}
    assert sum(each.points is None for each in one) >= 1, "somebody whom a person must look at"


def test_what_goes_wrong_is_found(tmp_path):
    (tmp_path / "expected.json").write_text(json.dumps({
        name: {"exercise": "small", "points": points, "about": ""}
        for name, points in (("ada", 6), ("bob", 3), ("eve", None), ("max", 1), ("tom", 2))
    }))  # fmt: skip
    heads = "student,points,state\n"
    for name, rows in (("whole", ""), ("killed", "ada,6,graded\nbob,2,graded\neve,0,graded\nmax,0,unreadable\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "grades.csv").write_text(heads + rows)
    journal = Journal(tmp_path / "killed" / "journal.jsonl")
    for name in ("ada", "bob", "eve", "eve", "zoe"):
        journal.add((name,), result={"seconds": 1})
    findings, _ = soak.compared(tmp_path)
    assert not any(line.startswith("ada") for line in findings)
    for words in ("the tables differ", "tom is missing in the table", "bob: .*'2'", "eve: .*'0'", "max: .*unreadable",
                  "eve stands in the journal 2 times", "max stands in the journal 0 times", "zoe was never there",
                  "0 pages for 5 students"):  # fmt: skip
        assert any(re.match(words, line) for line in findings), (words, findings)
