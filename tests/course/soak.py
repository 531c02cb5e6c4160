"""A whole class, graded once without a break and once killed in the middle: ``python -m tests.course.soak``.

First a worker is killed, then the grader with everything that belongs to it: SIGKILL to the whole group of processes,
at a moment that nobody chose.  Started again, it must come to the same table, byte for byte, with every submission in
the journal once, and with the points that were known before anything was graded (`classroom`).

::

    classroom  -->  submissions/  --grade-->  whole/grades.csv                       the same bytes?
         |                |-------grade--X  --again-->  killed/grades.csv            each once?
         '-->  expected.json                                                         the points?

Each stage takes minutes for 200; ``--folder`` keeps what is done, and ``--stage`` does one of them.
"""

import argparse
import collections
import contextlib
import csv
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from lecturekit.course.classwork import Course, grade_all
from lecturekit.course.journal import Journal
from tests.course.classroom import classroom, course_sheets
from tests.test_architecture import ROOT

BEGIN = datetime.datetime(2027, 1, 11, 8, tzinfo=datetime.UTC)  # when the first was handed in
AGAIN = 9  # one in so many handed in a worse attempt first
STAGES = ("make", "whole", "killed", "compare")


def made(folder, count, seed=0, **which):
    """Write the class's notebooks, the older attempts of some, and what each of them honestly earned."""
    expected = {}
    for number, one in enumerate(classroom(count, seed, **which)):
        home, when = Path(folder, "submissions", one.student, one.exercise), BEGIN.timestamp() + 60 * number
        attempts = [(home, one.data, when)]
        if number % AGAIN == 0:
            attempts.append((home / "first", b"<html>", when - 30))
        for place, data, then in attempts:
            place.mkdir(parents=True, exist_ok=True)
            path = place / f"{one.exercise}.ipynb"
            path.write_bytes(data)
            os.utime(path, (then, then))
        expected[one.student] = {"exercise": one.exercise, "points": one.points, "about": one.about}
    Path(folder, "expected.json").write_text(json.dumps(expected, indent=1))


def graded(folder, name, workers):
    """Grade, or go on grading, into ``folder/name``; this runs in a process that may be killed."""
    due = {exercise: BEGIN + datetime.timedelta(hours=1) for exercise in course_sheets()}
    course = Course(course_sheets(), Path(folder, name), secret="soak", due=due)
    grade_all(course, Path(folder, "submissions"), workers=workers)


def begun(folder, name, workers):
    """Start `graded` in a group of processes of its own."""
    words = [sys.executable, "-m", "tests.course.soak", "--folder", folder, "--grade", name, "--workers", str(workers)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(list(map(str, words)), cwd=ROOT, env=environment, start_new_session=True)


def whole(folder, workers):
    """Grade without a break; return the seconds."""
    began = time.monotonic()
    assert begun(folder, "whole", workers).wait() == 0
    return {"seconds": time.monotonic() - began}


def killed(folder, workers, seed=0):
    """Grade, kill a worker, then everything, each at a random moment, and grade again; return what happened."""
    count, dice = len(json.loads(Path(folder, "expected.json").read_text())), random.Random(seed)
    journal, share = Journal(Path(folder, "killed", "journal.jsonl")), dice.uniform(0.2, 0.8)
    began = time.monotonic()
    work = begun(folder, "killed", workers)
    wait_for(journal, 1 + 0.2 * share * count, work)
    next(one for one in below(work) if "spawn_main" in " ".join(one.cmdline())).kill()
    wait_for(journal, share * count, work)
    time.sleep(dice.random())  # somewhere within a submission, or a line
    everybody = below(work)
    os.killpg(work.pid, signal.SIGKILL)
    work.wait()
    done, at = journal.lines(), time.monotonic() - began
    left = still_there(everybody)
    assert not left, f"they outlived the grader: {left}"
    assert begun(folder, "killed", workers).wait() == 0
    assert journal.lines()[: len(done)] == done, "what was graded stays as it was"
    return {"seconds": time.monotonic() - began, "killed at": at, "done then": len(done), "processes": len(everybody)}


def below(work):
    """All processes that a process has begun."""
    return psutil.Process(work.pid).children(recursive=True)


def wait_for(journal, lines, work):
    """Wait until so many submissions are graded."""
    while len(journal.lines()) < lines:
        assert work.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)


def still_there(processes, patience=30):
    """Return those that still live after some seconds."""
    deadline = time.monotonic() + patience
    while left := [one for one in processes if alive(one)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return left


def alive(process):
    """Whether a process runs; one that nobody has buried yet does not."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def compared(folder):
    """Compare both tables, the journal, and what was expected; return what was found, as sentences, and numbers."""
    expected = json.loads(Path(folder, "expected.json").read_text())
    tables = [Path(folder, name, "grades.csv").read_bytes() for name in ("whole", "killed")]
    findings = [] if tables[0] == tables[1] else ["the tables differ"]
    rows = {row["student"]: row for row in csv.DictReader(tables[1].decode().splitlines())}
    findings += [f"{student} is missing in the table" for student in expected.keys() - rows.keys()]
    for student, one in expected.items():
        if (row := rows.get(student)) is None:
            continue
        person = row["state"] == "unreadable"
        if person != (one["points"] is None) or (not person and float(row["points"]) != one["points"]):
            findings.append(f"{student}: {one}, but the table says {row}")
    lines = Journal(Path(folder, "killed", "journal.jsonl")).lines()
    times = collections.Counter(line["key"][0] for line in lines)
    findings += [
        f"{student} stands in the journal {times[student]} times" for student in expected if times[student] != 1
    ]
    findings += [f"{student} was never there" for student in times.keys() - expected.keys()]
    pages = list(Path(folder, "killed", "feedback").glob("*/*.html"))
    findings += [] if len(pages) == len(expected) else [f"{len(pages)} pages for {len(expected)} students"]
    took = {line["key"][0]: line["result"]["seconds"] for line in lines if line["key"][0] in expected}
    slow = sorted(took, key=took.get, reverse=True)[:8]
    return findings, {"slowest": [f"{took[one]:.1f} s: {expected[one]['about']}" for one in slow]}


def main():
    """Do all stages, or one of them, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where everything is kept; a temporary one if none is named")
    parser.add_argument("--stage", choices=STAGES, help="do this one only; the earlier ones are done already")
    parser.add_argument("--store", type=Path, help="a JSON file for the numbers")
    parser.add_argument("--grade", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.grade:
        return graded(asked.folder, asked.grade, asked.workers)
    with contextlib.ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        notes = Path(folder, "numbers.json")
        found = json.loads(notes.read_text()) if notes.exists() else {}
        for stage in [asked.stage] if asked.stage else STAGES:
            began, load = time.monotonic(), os.getloadavg()[0]
            found[stage] = done(stage, folder, asked) | {"load before": load}
            found[stage].setdefault("seconds", time.monotonic() - began)
            print(stage, json.dumps(found[stage]), flush=True)
            notes.write_text(json.dumps(found, indent=1) + "\n")
        if asked.store:
            asked.store.write_text(json.dumps(found, indent=1) + "\n")
        return 1 if found.get("compare", {}).get("findings") else 0


def done(stage, folder, asked):
    """Do one stage; return its numbers."""
    if stage == "make":
        made(folder, asked.count, asked.seed)
        return {"count": asked.count}
    if stage == "compare":
        findings, numbers = compared(folder)
        return {"findings": findings} | numbers
    return whole(folder, asked.workers) if stage == "whole" else killed(folder, asked.workers, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
