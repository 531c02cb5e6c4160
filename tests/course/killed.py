"""Bring results into the gradebook and die on the way: at the first commit, at the second, at the first file, ...

Called by `test_gradebook`, in a process of its own: it forks, and a process with many threads should not.
"""

import os
import signal
import sys
from pathlib import Path

import alembic.script  # noqa: F401  like all that is slow, before the forks
import sqlalchemy.engine
import sqlalchemy.event
import sqlalchemy.orm

from lecturekit.course import gradebook, spreadsheet
from lecturekit.course.classwork import Course, grade_all
from lecturekit.files import replacing
from tests.course.small import SHEET

gradebook.missing(".")  # this loads nbgrader


def run(grading, submissions, alive):
    """Grade, and be killed after ``alive`` moments at which something was about to be stored."""
    left = [alive]

    def moment(*_):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(path):
        moment()
        return replacing(path)

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "commit", moment)  # about to be done
    sqlalchemy.event.listen(sqlalchemy.orm.Session, "after_commit", moment)
    gradebook.replacing = spreadsheet.replacing = watched
    grade_all(Course({"small": SHEET}, grading, secret="s"), submissions)


def survived(grading, submissions, alive):
    """Let a child do it; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            run(grading, submissions, alive)
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0, status
    return status == 0


if __name__ == "__main__":
    alive = 0
    while not survived(Path(sys.argv[1]), sys.argv[2], alive):
        alive += int(sys.argv[3])
    print(alive)
