"""Fetch what a class has written: from the homes on the hub into the folder that `lecturekit grade` reads.

    python config/jupyterhub/collect.py HOMES SUBMISSIONS attacks       when it is due, as root, where the homes are

::

    HOMES/STUDENT/exercises/attacks/attacks.ipynb  -->  SUBMISSIONS/STUDENT/attacks/attacks.ipynb

The time of a copy is that of the server, at which it first saw these very bytes; whoever collects again later gets what
has changed since with its later time, and `grade` marks it as late.

The trap: root may read everything, and a student may put a link anywhere.  `cp` would follow it and hand in the answer
of somebody else, or a file of the system.  So no part of the path may be a link, and the file must be an ordinary one
that belongs to whom the home belongs to.
"""

import argparse
import os
import stat
from pathlib import Path

from lecturekit.course.release import NAME
from lecturekit.course.sheet import MOST_BYTES
from lecturekit.errors import FileError
from lecturekit.files import replacing

FOLDER = "exercises"  # in a home: what nbgitpuller calls the repository


def main(words=None):
    """Collect the exercises that are named, and print how many there are and what was left alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("homes", type=Path)
    parser.add_argument("submissions", type=Path)
    parser.add_argument("exercises", nargs="+")
    parser.add_argument("--folder", default=FOLDER, help="of the exercises, in a home")
    asked = parser.parse_args(words)
    for exercise in asked.exercises:
        fetched, problems = collect(asked.homes, asked.submissions, exercise, asked.folder)
        print(f"{exercise}: {fetched} collected", *problems, sep="\n  ")


def collect(homes, submissions, exercise, folder=FOLDER):
    """Copy one exercise of everybody.

    Args:
        homes: the folder with a folder for each student.
        submissions: where the copies go; what is there and has not changed keeps its time.
        exercise: e.g. ``"attacks"``.
        folder: of the exercises in each home.
    Returns: how many there are, and a sentence for each that could not be taken.
    """
    fetched, problems = 0, []
    for home in sorted(path for path in homes.iterdir() if path.is_dir() and not path.is_symlink()):
        try:
            if not NAME.fullmatch(home.name):
                raise FileError("no name of a student")
            data = read(home, [*Path(folder).parts, exercise, f"{exercise}.ipynb"])
        except FileNotFoundError:
            continue  # not begun
        except OSError as problem:
            problems.append(f"{home.name}: left alone, {problem.strerror or problem}")
            continue
        fetched, copy = fetched + 1, submissions / home.name / exercise / f"{exercise}.ipynb"
        if not copy.exists() or copy.read_bytes() != data:
            with replacing(copy) as beside:
                beside.write_bytes(data)
    return fetched, problems


def read(home, parts):
    """Return the bytes of an ordinary file below ``home`` that no link leads to.

    Raises: OSError, and FileError if it is not such a file.
    """
    folder = os.open(home, os.O_DIRECTORY | os.O_NOFOLLOW)
    owner = os.fstat(folder).st_uid
    for part in parts:
        kind = os.O_NONBLOCK if part == parts[-1] else os.O_DIRECTORY  # a pipe would let us wait for ever
        try:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    with open(folder, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_uid != owner:
            raise FileError("it is no ordinary file of the student's own")
        if len(data := file.read(MOST_BYTES + 1)) > MOST_BYTES:
            raise FileError(f"more than {MOST_BYTES // 2**20} MB are no notebook")
        return data


if __name__ == "__main__":
    main()
