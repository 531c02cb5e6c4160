"""Whatever a submission does, it has the points that it honestly has; and the machine is as before."""

import os
import socket
import time
from multiprocessing import resource_tracker

import psutil
import pytest

from lecturekit.course import sandbox, warm
from lecturekit.course.grade import grade
from lecturekit.course.sandbox import PACKAGE, Limits
from tests.course.hostile import CODE, books
from tests.course.small import ALL, SHEET, submission

LIMITS = Limits(seconds=4, memory=900, processes=48, disk=32)
pytestmark = pytest.mark.skipif(bool(sandbox.why_not_isolated()), reason=f"no sandbox: {sandbox.why_not_isolated()}")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A machine with a secret, a file and an open port; at the end all of it is as it was, and nobody is left."""
    monkeypatch.setenv("COURSE_SECRET", "COURSE_SECRET of the grader")
    canary = tmp_path / "canary"
    canary.write_text("alive")
    before = sorted(str(path) for path in PACKAGE.rglob("*") if "__pycache__" not in str(path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
    assert canary.read_text() == "alive"
    assert sorted(str(path) for path in PACKAGE.rglob("*") if "__pycache__" not in str(path)) == before
    deadline = time.monotonic() + 10
    while left := left_behind():
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def left_behind():
    """The processes below this one, without the two that stay: the template, and what Dask's processes leave."""
    stay = {warm.Template._here and warm.Template._here._process.pid, resource_tracker._resource_tracker._pid}
    return [one for one in psutil.Process().children(recursive=True) if one.pid not in stay]


def honest(data):
    return grade(data, SHEET, seed=3, limits=LIMITS)


@pytest.mark.parametrize(("points", "cell", "source"), CODE.values(), ids=CODE)
def test_code_gets_what_it_earned(points, cell, source, host):
    source = source.replace("PORTS", f"[{host}]").replace("ROOT", repr(str(PACKAGE.parent)))
    result = honest(submission(**{cell: source}))
    assert result.points == points, result
    assert len(result.printed) <= LIMITS.output


@pytest.mark.parametrize("name", books())
def test_notebooks_get_what_they_earned(name, host):
    points, data = books()[name]
    result = honest(data)
    if points is None:
        assert result.person, "a person must look at it"
        assert all(mark.points is None for mark in result.marks), "no zero for what could not be read"
    else:
        assert result.points == points, result
        assert not result.person


def test_right_answers_get_all_points_and_words_wait_for_a_person(host):
    result = honest(submission())
    assert result.points == ALL
    assert [mark.id for mark in result.marks if mark.points is None] == ["words"]
    assert result.failed == {}


def test_nothing_of_the_grader_is_inherited(host):
    look = (
        "import os\nprint(sorted(os.environ), os.getuid(), os.listdir('/'))\n"
        "print([os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if n != '3'])"
    )
    printed = honest(submission(seven=f"seven = 7\n{look}")).printed
    assert "SECRET" not in printed
    assert "65534" in printed
    assert "socket" not in printed and str(os.getcwd()) not in printed


def test_without_a_sandbox_it_refuses_and_says_how(monkeypatch):
    monkeypatch.setattr(sandbox, "why_not_isolated", lambda: "there is no bubblewrap on this machine")
    with pytest.raises(sandbox.SetupError, match="no bubblewrap.*without isolation.*--trust"):
        honest(submission())


def test_with_trust_it_grades_without_walls():
    assert grade(submission(), SHEET, seed=3, limits=LIMITS, trust=True).points == ALL
    wrong = grade(submission(double="while True: pass"), SHEET, seed=3, limits=Limits(seconds=2), trust=True)
    assert wrong.points == ALL - 3
