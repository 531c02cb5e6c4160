import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lecturekit.panels import gate
from lecturekit.panels.gate import Gate

PATIENCE = 20  # seconds; a busy machine may take long, a waiting test must not


def panel_threads():
    return [thread for thread in threading.enumerate() if thread.name == "lecturekit panel"]


def test_a_wish_is_worked_off_in_a_thread_of_its_own():
    done = []
    at_work = Gate(lambda job: done.append((job.wish, threading.current_thread())))
    at_work.ask("picture")
    assert at_work.wait(PATIENCE)
    assert [wish for wish, _ in done] == ["picture"]
    assert done[0][1] is not threading.current_thread()


def test_a_flood_computes_a_few_and_the_last_one():
    done = []
    at_work = Gate(lambda job: done.append(job.wish))
    for wish in range(50):
        at_work.ask(wish)
    assert at_work.wait(PATIENCE)
    assert done[-1] == 49
    assert len(done) <= 5


def test_a_flood_is_worked_off_when_it_is_quiet_and_else_at_a_steady_pace(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(gate.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)  # only the appointments are looked at
    at_work, due = Gate(None), []
    for _ in range(3):
        at_work.ask("move")
        due.append(round(at_work._waiting.due - now[0], 3))
        at_work._last_start = 100.0  # as if the first one had started at once
        now[0] += 0.02
    assert due == [0, 0.12, 0.12], "at once, then when it has been quiet for 120 ms"
    now[0] = 100.3
    at_work._last_wish = 100.25
    at_work.ask("move")
    assert round(at_work._waiting.due, 3) == 100.35, "but no later than 350 ms after the job before"
    now[0] += 0.15
    at_work.ask("move")
    assert at_work._waiting.due == now[0], "a single move starts at once"
    at_work.ask("set", at_once=True)
    assert at_work._waiting.due == now[0]


@pytest.mark.parametrize("apart", [0.02, 0.045, 0.1], ids=lambda apart: f"{1000 * apart:.0f} ms apart")
def test_a_hand_that_drags_for_a_second_gets_four_or_five_jobs_and_the_last_one_soon(apart, monkeypatch):
    """On a clock of our own, whatever else the machine does; JupyterLab hands fifty events on as far fewer."""
    now, started = [100.0], []
    monkeypatch.setattr(gate.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    at_work = Gate(None)

    def until(moment):
        """Start what is due before ``moment``; the jobs take no time, so nothing but the gate holds them back."""
        while at_work._waiting and at_work._waiting.due <= moment:
            now[0] = max(now[0], at_work._waiting.due)
            started.append((now[0], at_work._next().wish))
            at_work._running = None
        now[0] = moment

    wishes = round(1 / apart)
    for wish in range(wishes):
        until(100 + apart * wish)
        at_work.ask(wish)
    asked = now[0]
    until(102)
    assert 4 <= len(started) <= 5, "the picture follows the hand, and no queue grows behind it"
    when, wish = started[-1]
    assert wish == wishes - 1
    assert started[0] == (100, 0), "the first starts at once"
    assert when - asked <= 0.13, "of the 300 ms more than half is left for picture and browser"


def test_a_wish_that_waits_gives_way_to_a_newer_one():
    release, done = threading.Event(), []

    def work(job):
        release.wait(PATIENCE)
        done.append(job.wish)

    at_work = Gate(work)
    at_work.ask("first", at_once=True)
    while at_work._running is None:
        time.sleep(0.001)
    for wish in ("second", "third", "fourth"):
        at_work.ask(wish, at_once=True)
    release.set()
    assert at_work.wait(PATIENCE)
    assert done == ["first", "fourth"]


def test_a_running_job_is_told_to_stop_when_a_newer_one_waits():
    seen = []

    def work(job):
        while job.wish == "long" and not job.stopped:
            time.sleep(0.001)
        seen.append((job.wish, job.stopped, job.newer))

    at_work = Gate(work)
    at_work.ask("long", at_once=True)
    while at_work._running is None:
        time.sleep(0.001)
    at_work.ask("short", at_once=True)
    assert at_work.wait(PATIENCE)
    assert seen == [("long", True, True), ("short", False, False)]


def test_stop_ends_what_runs_and_forgets_what_waits():
    seen = []

    def work(job):
        while not job.stopped:
            time.sleep(0.001)
        seen.append((job.wish, job.newer))

    at_work = Gate(work)
    at_work.ask("long", at_once=True)
    while at_work._running is None:
        time.sleep(0.001)
    at_work.stop()
    assert at_work.wait(PATIENCE)
    assert seen == [("long", False)]
    at_work.stop()  # nothing runs: nothing happens


def test_stop_forgets_a_wish_whose_time_has_not_come(monkeypatch):
    monkeypatch.setattr(gate, "QUIET", 30.0)
    monkeypatch.setattr(gate, "PACE", 30.0)
    done = []
    at_work = Gate(lambda job: done.append(job.wish))
    at_work.ask("now", at_once=True)
    assert at_work.wait(PATIENCE)
    at_work.ask("in half a minute")
    assert at_work.busy
    at_work.stop()
    assert at_work.wait(PATIENCE)
    assert done == ["now"]


def test_the_worker_ends_with_its_work():
    at_work = Gate(lambda job: None)
    for _ in range(3):
        at_work.ask("move", at_once=True)
        assert at_work.wait(PATIENCE)
        assert not at_work.busy
    deadline = time.monotonic() + PATIENCE
    while panel_threads() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert panel_threads() == []


def test_wishes_from_many_threads_are_never_worked_off_side_by_side():
    inside, most, done = [], [], []

    def work(job):
        inside.append(job)
        most.append(len(inside))
        time.sleep(0.002)
        inside.remove(job)
        done.append(job.wish)

    at_work = Gate(work)
    ask = lambda: [at_work.ask("move", at_once=True) for _ in range(20)]  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    at_work.ask("last", at_once=True)
    assert at_work.wait(PATIENCE)
    assert set(most) == {1}
    assert done[-1] == "last"


def test_waiting_inside_the_job_does_not_wait_for_itself():
    answers = []
    at_work = Gate(lambda job: answers.append(at_work.wait()))
    at_work.ask("move")
    assert at_work.wait(PATIENCE)
    assert answers == [False]


def test_a_job_that_breaks_does_not_block_the_next_one(monkeypatch):
    done = []
    monkeypatch.setattr(threading, "excepthook", lambda problem: done.append(problem.exc_type))

    def work(job):
        if job.wish == "bad":
            raise ValueError("a job should handle its own errors")
        done.append(job.wish)

    at_work = Gate(work)
    at_work.ask("bad")
    assert at_work.wait(PATIENCE)
    at_work.ask("good", at_once=True)
    assert at_work.wait(PATIENCE)
    assert done == [ValueError, "good"]


def test_python_ends_soon_although_a_job_still_runs():
    script = f"""
import importlib.util, time
spec = importlib.util.spec_from_file_location("gate", {str(Path(gate.__file__))!r})
gate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gate)
def work(job):
    while not job.stopped: time.sleep(0.001)
    print("stopped")
at_work = gate.Gate(work)
at_work.ask("for ever")
while at_work._running is None: time.sleep(0.001)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "stopped\n", "")
