"""How fast a class is graded, and what the walls cost: ``python -m tests.course.throughput [--store FILE]``.

*Submissions a minute* are counted from the first result of every worker to the last one of all: a cluster that starts,
and torch that is imported, are paid once, and shown beside.  *Linear* is the rate of two workers over twice that of
one; ``bare`` is the same for two processes that do nothing but the student's own work, which no grader can surpass.

*Own* is the student's own work: the same cells, and the same questions in the same order, in a process that has
everything imported, without walls, pipes, checks or a second process.  *Overhead* is the rest of a submission's time::

    grade(submission)  =  own  +  overhead (process, walls, pipes, the right answers beside which it is held)
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch

from lecturekit.course import inside, remote
from lecturekit.course.classwork import Course, grade_all
from lecturekit.course.grade import grade
from tests.course.classroom import filled_in
from tests.course.test_wrong_answers import EXERCISES, sheets

ROUNDS = 5


def right(name):
    """A submission with every answer right, as bytes."""
    return filled_in(name, {cell.id: cell.source for cell in sheets(name).of("answer")})


def rate(name, count, workers):
    """Grade ``count`` submissions; return those of a minute, and the seconds until every worker had its first."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            path = Path(folder, "submissions", f"student{number:03d}", name, f"{name}.ipynb")
            path.parent.mkdir(parents=True)
            path.write_bytes(right(name))
        began, moments = time.monotonic(), []
        course = Course({name: sheets(name)}, Path(folder, "grading"), secret="fast")
        rows = grade_all(course, Path(folder, "submissions"), workers=workers,
                         watch=lambda step: moments.append(time.monotonic()))  # fmt: skip
        assert len(rows) == count and all(float(row["points"]) == tests_points(name) for row in rows)
    first = moments[workers - 1]
    return {"a minute": 60 * (count - workers) / (moments[-1] - first), "start": first - began}


def tests_points(name):
    """The points of all tests of an exercise, without those of a person."""
    return sum(cell.points for cell in sheets(name).of("test"))


def asked_of(name):
    """The questions that grading a right submission asks, in order."""
    questions, ask = [], remote.Submission.ask

    def noted(self, request):
        questions.append(request)
        return ask(self, request)

    remote.Submission.ask = noted
    try:
        assert grade(right(name), sheets(name), seed=1).points == tests_points(name)
    finally:
        remote.Submission.ask = ask
    return questions


def own(name, questions):
    """The seconds of a student's own work, in this process."""
    began, space = time.monotonic(), {"__name__": "__main__"}
    for cell in sheets(name).of("given", "answer"):
        if cell.code:
            assert inside.run(cell.source, space, cell.id) is None, cell.id
    for question in questions:
        inside.answer_to(question, space)
    return time.monotonic() - began


def overhead(name, rounds=ROUNDS):
    """Medians over some rounds: the seconds of a whole submission, and of the student's own work in it."""
    questions = asked_of(name)  # imports what there is to import, and starts the template
    own(name, questions)
    whole, mine = [], []
    for _ in range(rounds):
        began = time.monotonic()
        grade(right(name), sheets(name), seed=1)
        whole.append(time.monotonic() - began)
        mine.append(own(name, questions))
    found = {"whole": statistics.median(whole), "own": statistics.median(mine)}
    return found | {"overhead": found["whole"] - found["own"], "questions": len(questions)}


def bare(name, rounds=ROUNDS):
    """How much of twice the speed two processes reach that do nothing but the student's own work."""
    questions = asked_of(name)
    context = multiprocessing.get_context("spawn")
    with context.Pool(2, torch.set_num_threads, (1,)) as pool:
        jobs = [(name, questions, rounds)] * 2
        pool.starmap(several, jobs, chunksize=1)  # imports
        alone = pool.apply(several, jobs[0])
        both = max(pool.starmap(several, jobs, chunksize=1))
    return alone / both


def several(name, questions, rounds):
    """The seconds of some rounds of a student's own work."""
    return sum(own(name, questions) for _ in range(rounds))


def main():
    """Measure, print, and say what holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exercise", choices=EXERCISES, default="attacks")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--all", action="store_true", help="the overhead of every exercise, and nothing else")
    parser.add_argument("--store", type=Path, help="a JSON file for the numbers")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    found = {"load before": os.getloadavg()[0]}
    for name in EXERCISES if asked.all else [asked.exercise]:
        found[name] = overhead(name)
        print(name, *(f"{what} {value:.2f}" for what, value in found[name].items()), flush=True)
    if not asked.all:
        for workers in (1, 2):
            found[workers] = rate(asked.exercise, asked.count, workers)
            print(f"{workers} workers: {found[workers]['a minute']:.1f} a minute, "
                  f"after {found[workers]['start']:.1f} s", flush=True)  # fmt: skip
        found["linear"], found["bare"] = found[2]["a minute"] / found[1]["a minute"] / 2, bare(asked.exercise)
        print(f"linear {found['linear']:.2f} (at least 0.85), bare {found['bare']:.2f}")
    if asked.store:
        asked.store.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
