"""Copies of a process that has imported torch: as well walled in as a fresh one, and strangers to each other."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lecturekit.course import sandbox, sheet, warm
from lecturekit.course.grade import grade
from lecturekit.course.remote import Submission
from lecturekit.course.sandbox import Limits
from tests.course.small import ALL, SHEET, submission
from tests.test_architecture import ROOT

pytestmark = pytest.mark.skipif(bool(sandbox.why_not_isolated()), reason=f"no sandbox: {sandbox.why_not_isolated()}")
LIMITS = Limits(seconds=20, memory=900, processes=48, disk=32)


def raising(*_):
    """Stands for `warm.entered` on a machine where nothing can be copied."""
    raise warm.NotHere("refused")


def seen(look, cells=()):
    """What a student's line sees; it leaves its result in ``found``."""
    with Submission([*cells, ("look", look)], ("attacks",), LIMITS) as work:
        assert work.failed == {}
        return work["found"].fetch().value


STATUS = """
import os, resource
lines = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
names = ("Uid", "Gid", "Groups", "Threads", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd",
         "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")
limits = [resource.getrlimit(getattr(resource, name)) for name in sorted(dir(resource)) if name.startswith("RLIMIT_")]
mounts = [line.split()[1:4] for line in open("/proc/mounts")]
found = [{name: lines[name].split() for name in names}, limits, mounts, sorted(os.listdir("/")), os.getcwd(),
         [sorted(os.listdir(place)) for place in ("/tmp", "/dev", "/dev/shm")],
         {name: value for name, value in os.environ.items() if name != "PWD"}]
"""
NAMESPACES = "import os\nfound = {name: os.readlink(f'/proc/self/ns/{name}') for name in os.listdir('/proc/self/ns')}"
MODULES = "import sys\nfound = sorted(name for name in sys.modules if name.startswith('lecturekit'))"
FILES = """
import os
paths = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
found = [os.readlink(path) for path in paths if os.path.lexists(path)]
"""


def test_a_copy_may_and_sees_what_a_fresh_process_may_and_sees(monkeypatch):
    copy = seen(STATUS)
    assert copy[0]["CapEff"] == copy[0]["CapBnd"] == ["0000000000000000"]
    assert copy[0]["NoNewPrivs"] == ["1"]
    monkeypatch.setattr(warm, "entered", raising)
    assert seen(STATUS) == copy


def test_a_copy_shares_no_namespace_with_the_grader_or_another_copy():
    one, other = seen(NAMESPACES), seen(NAMESPACES)
    for name in ("user", "pid", "net", "mnt", "ipc", "uts", "cgroup"):
        assert len({one[name], other[name], os.readlink(f"/proc/self/ns/{name}")}) == 3, name


def test_a_copy_holds_no_file_but_its_three_pipes_and_no_module_of_the_library_but_those_of_the_inside(monkeypatch):
    files = set(seen(FILES)) - {"/dev/null"}
    assert len(files) == 3 and all(name.startswith("pipe:") for name in files), files
    copy = seen(MODULES)
    monkeypatch.setattr(warm, "entered", raising)
    assert set(copy) - set(seen(MODULES)) <= {"lecturekit.course.inside", "lecturekit.course.refused"}


LEAVE = """
import builtins, json, os, random, sys
import numpy, torch
builtins.mine = torch.mine = os.mine = json.mine = "here"
os.environ["mine"] = "here"
sys.path.append("/mine")
torch.set_num_threads(1)
torch.Tensor.__add__ = lambda a, b: "here"
torch.set_default_dtype(torch.float64)
torch.manual_seed(8)
for place in ("/tmp", "/dev/shm"):
    open(f"{place}/mine", "w").write("here")
found = True
"""
LOOK = """
import builtins, json, os, sys
import torch
found = [hasattr(one, "mine") for one in (builtins, torch, os, json)]
found += ["mine" in os.environ, "/mine" in sys.path, torch.get_default_dtype() == torch.float64,
          torch.initial_seed() == 8, isinstance(torch.ones(1) + torch.ones(1), str)]
found += [os.path.exists(f"{place}/mine") for place in ("/tmp", "/dev/shm")]
"""


def test_what_one_student_leaves_the_next_does_not_find():
    assert all(seen(LOOK, [("leave", LEAVE)])), "the look would see it"
    template = warm.Template._here._process.pid
    assert not any(seen(LOOK))
    assert warm.Template._here._process.pid == template, "it was the same template"


def test_two_at_once_do_not_see_each_other():
    with Submission([("a", LEAVE)], (), LIMITS) as one, Submission([("b", LOOK)], (), LIMITS) as other:
        assert not any(other["found"].fetch().value)
        assert one["found"].fetch().value is True


def test_without_copies_every_submission_imports_for_itself(monkeypatch):
    monkeypatch.setattr(warm, "entered", raising)
    assert grade(submission(), SHEET, seed=3, limits=LIMITS).points == ALL
    asked = grade(submission(double="import os\ndef double(x): os._exit(3)"), SHEET, seed=3, limits=LIMITS)
    assert asked.points == ALL - 3
    assert "with status 3" in asked.marks[0].words


def test_how_a_copy_ended_is_told_as_of_a_fresh_process():
    for line, status in (("os._exit(3)", 3), ("os.kill(os.getpid(), 11)", 139)):
        asked = grade(submission(double=f"import os\ndef double(x): {line}"), SHEET, seed=3, limits=LIMITS)
        assert f"the process ended by itself, with status {status}" in asked.marks[0].words


def test_a_template_that_was_killed_is_replaced():
    seen(MODULES)
    lost = warm.Template._here._process
    lost.kill()
    lost.wait()
    assert grade(submission(), SHEET, seed=3, limits=LIMITS).points == ALL
    assert warm.Template._here._process.pid != lost.pid


def test_a_template_that_does_not_answer_is_given_up_and_its_late_answer_heard_by_nobody():
    seen(MODULES)
    stuck = warm.Template._here
    os.kill(stuck._process.pid, signal.SIGSTOP)
    stuck._socket.settimeout(0.2)
    assert grade(submission(), SHEET, seed=3, limits=LIMITS).points == ALL, "by a process of its own"
    assert stuck._process.wait(10) == -signal.SIGKILL
    assert grade(submission(), SHEET, seed=3, limits=LIMITS).points == ALL
    assert warm.Template._here is not stuck


ALONE = """
from lecturekit.course.remote import Submission
if __name__ == "__main__":
    with Submission([("a", "found = 1")]) as work:
        print(work["found"].fetch().value, flush=True)
        input()
"""


def test_nobody_outlives_a_grader_that_was_killed():
    words = [sys.executable, "-c", ALONE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes) as work:
        assert work.stdout.readline() == b"1\n"
        below = psutil.Process(work.pid).children(recursive=True)
        assert len(below) >= 5, "bubblewrap twice, a shell, the template, the doorman, the copy"
        work.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while left := [one for one in below if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]:
            assert time.monotonic() < deadline, left
            time.sleep(0.1)


def test_no_exercise_hides_what_the_template_has_imported():
    known = set(seen(MODULES))
    for path in sorted((ROOT / "solutions").glob("*/*.ipynb")):
        for folder in (*sheet.solution(path).hidden, *sandbox.SECRET):
            assert not [name for name in known if f"{name}.".startswith(f"lecturekit.{folder.replace('/', '.')}.")]
