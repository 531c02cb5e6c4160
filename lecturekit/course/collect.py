"""Which submissions are there?  Folders as nbgrader and JupyterHub leave them, and zip files, none of them trusted.

::

    SUBMISSIONS/STUDENT/EXERCISE/EXERCISE.ipynb            nbgrader's layout
    SUBMISSIONS/STUDENT/EXERCISE/ATTEMPT/EXERCISE.ipynb    several attempts
    SUBMISSIONS/STUDENT.zip                                with EXERCISE/EXERCISE.ipynb or EXERCISE.ipynb in it

The newest attempt counts, by the time at which the *server* received it: that of the file, which the collecting script
sets; never a time that stands in a file of the student's.  All others are kept and listed.

The trap: a path in an archive that leads out of it, a link to the solutions, an archive of a million files, a file that
unpacks to a terabyte.  Only regular files are read, members are never unpacked to disk, and sizes are limited.
"""

import datetime
import os
import re
import stat
import zipfile
from pathlib import Path
from typing import NamedTuple

from lecturekit.course.release import NAME
from lecturekit.course.sheet import MOST_BYTES
from lecturekit.errors import FileError

MOST_FILES = 200  # of one student
MOST_MEMBERS = 1000  # of an archive
MOST_PACKED = 100 * 2**20  # bytes of an archive


class Found(NamedTuple):
    """One submission.

    Attributes:
        student, exercise: names.
        data: bytes of the notebook, or None if it could not be read.
        received: when the server got it, UTC.
        trouble: why it could not be read, else empty.
        where: the path, for a person.
    """

    student: str
    exercise: str
    data: bytes | None
    received: datetime.datetime
    trouble: str
    where: str


class Collected(NamedTuple):
    """What was found.

    Attributes:
        newest: {(student, exercise): `Found`}.
        older: list of `Found`, earlier attempts.
        findings: sentences about what was left alone.
    """

    newest: dict
    older: list
    findings: list


def collect(folder, exercises):
    """Return all submissions below a folder.

    Args:
        folder: see above.
        exercises: the names of the exercises; what has another name is left alone, and said so.
    Raises: FileError if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileError(f"there is no folder {folder}")
    found, findings = [], []
    for entry in sorted(folder.iterdir()):
        name = entry.name.removesuffix(".zip")
        if entry.name.startswith("."):
            continue
        if not NAME.fullmatch(name):
            findings.append(f"{entry.name!r} is no name of a student")
        elif entry.is_symlink():
            findings.append(f"{entry.name} is a link, and links are not followed")
        elif entry.is_dir():
            found += in_folder(entry, name, exercises, findings)
        elif entry.suffix == ".zip":
            found += in_zip(entry, name, exercises, findings)
        else:
            findings.append(f"{entry.name} is neither a folder nor a zip file")
    newest, older = {}, []
    for one in sorted(found, key=lambda one: (one.received, one.where)):
        key = (one.student, one.exercise)
        if key in newest:
            older.append(newest[key])
        newest[key] = one
    return Collected(newest, older, findings)


def in_folder(folder, student, exercises, findings):
    """Yield the submissions of one student's folder."""
    count = 0
    for top, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(one for one in folders if not one.startswith(".") and not (Path(top) / one).is_symlink())
        for file in sorted(files):
            path, count = Path(top) / file, count + 1
            if count > MOST_FILES:
                findings.append(f"{student}: more than {MOST_FILES} files; the rest was left alone")
                return
            if path.suffix != ".ipynb":
                continue
            exercise = path.relative_to(folder).parts[0].removesuffix(".ipynb")
            if exercise not in exercises or path.stem not in (exercise, *exercises):
                findings.append(f"{student}: {path.relative_to(folder)} belongs to no exercise")
                continue
            yield read(path, student, exercise)


def read(path, student, exercise):
    """Read one file: a regular one, of a size that a notebook can have."""
    about = path.lstat()
    received = datetime.datetime.fromtimestamp(about.st_mtime, datetime.UTC)
    data, trouble = None, ""
    if not stat.S_ISREG(about.st_mode):
        trouble = "it is no regular file (a link, a pipe or a device)"
    elif about.st_size > MOST_BYTES:
        trouble = f"{about.st_size / 1e6:.0f} MB are no notebook"
    else:
        try:
            data = path.read_bytes()
        except OSError as problem:
            trouble = f"it cannot be read: {problem.strerror}"
    return Found(student, exercise, data, received, trouble, str(path))


def in_zip(path, student, exercises, findings):
    """Yield the submissions of one student's archive; nothing is unpacked to disk."""
    received = datetime.datetime.fromtimestamp(path.lstat().st_mtime, datetime.UTC)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS or path.stat().st_size > MOST_PACKED:
                findings.append(f"{path.name}: {len(members)} members are no submission")
                return
            for member in members:
                parts = re.split(r"[/\\]", member.filename)
                exercise = parts[-1].removesuffix(".ipynb")
                if member.is_dir() or not parts[-1].endswith(".ipynb"):
                    continue
                if ".." in parts or parts[0] == "" or exercise not in exercises:
                    findings.append(f"{path.name}: {member.filename!r} was left alone")
                    continue
                data, trouble = None, ""
                if member.file_size > MOST_BYTES:
                    trouble = f"{member.file_size / 1e6:.0f} MB are no notebook"
                else:
                    with archive.open(member) as file:
                        data = file.read(MOST_BYTES + 1)  # the size that is announced may be a lie
                    if len(data) > MOST_BYTES:
                        data, trouble = None, "it is larger than it says"
                yield Found(student, exercise, data, received, trouble, f"{path}:{member.filename}")
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as problem:
        findings.append(f"{path.name} cannot be read as a zip file: {problem}")
