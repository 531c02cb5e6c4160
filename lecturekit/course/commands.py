"""The commands round the exercises: ``lecturekit release``, ``lecturekit grade``."""

import datetime
import os
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from lecturekit.errors import FileError, InputError

SETTINGS = "course.toml"
EXAMPLE = """# What grading has to know of your course; beside it lie journal, grades.csv and feedback/.
secret = "{secret}"     # decides the inputs of hidden tests: keep it to yourself
variants = false        # an own drawing and target for each student (lecturekit release --student NAME)

[due]                   # UTC; later ones are graded all the same, and marked with the hours
# attacks = 2027-01-31T22:00:00Z
"""


def release(
    names: Annotated[list[str] | None, typer.Argument(help="Exercises; all if none is named.")] = None,
    solutions: Annotated[Path, typer.Option(help="The folder with the solutions.")] = Path("solutions"),
    out: Annotated[Path, typer.Option(help="Where the exercises go.")] = Path("exercises"),
    student: Annotated[list[str] | None, typer.Option(help="Students with own variants; one folder each.")] = None,
    grading: Annotated[Path, typer.Option(help="The folder with course.toml, for variants.")] = Path("grading"),
):
    """Generate what students get: the exercises, without solutions and hidden tests."""
    from lecturekit.course.release import release as make

    if not student:
        written = make(solutions, out, names)
    else:
        secret = settings(grading)["secret"]
        written = [path for one in student
                   for path in make(solutions, out / one, names, student=one, secret=secret)]  # fmt: skip
    typer.echo(f"Wrote {len(written)} exercises to {out}: {', '.join(path.stem for path in written)}")


def grade(
    submissions: Annotated[Path, typer.Argument(help="Folder with STUDENT/EXERCISE/EXERCISE.ipynb, or zip files.")],
    solutions: Annotated[Path, typer.Option(help="The folder with the solutions.")] = Path("solutions"),
    out: Annotated[Path, typer.Option(help="Where journal, table, gradebook and feedback go.")] = Path("grading"),
    workers: Annotated[int | None, typer.Option(min=1, help="Processes on this machine.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask cluster to use instead.")] = None,
    regrade: Annotated[str | None, typer.Option(help="Grade again what was graded; the reason is kept.")] = None,
    trust: Annotated[bool, typer.Option(help="Grade without a sandbox, where there is none.")] = False,
):
    """Grade every submission that was not graded yet.  Stop with Ctrl-C, or a kill: the same command goes on."""
    from lecturekit.course.classwork import Course, grade_all
    from lecturekit.course.sandbox import why_not_isolated
    from lecturekit.course.sheet import solution
    from lecturekit.progress import bar

    if trust:
        why = why_not_isolated() or "you said --trust"
        typer.secho(f"NOT ISOLATED ({why}): submissions run with your files and your network.", fg="red", bold=True)
    found = settings(out)
    sheets = {
        path.stem: solution(path) for path in sorted(solutions.glob("*/*.ipynb")) if path.stem == path.parent.name
    }
    course = Course(sheets, out, found["secret"], found.get("due", {}), found.get("variants", False), trust)
    how = {"workers": workers, "scheduler": scheduler, "regrade": regrade}
    rows = grade_all(course, submissions, **how, watch=bar("grading"), say=typer.echo)
    waiting = [row for row in rows if row["state"] in ("unreadable", "not graded")]
    typer.echo(f"{len(rows)} submissions: {out / 'grades.csv'}; a page for each in {out / 'feedback'}")
    if to_read := sum(row["state"] == "in part" for row in rows):
        typer.echo(f"{to_read} of them with words to read: run `jupyter lab` in {out}, Nbgrader > Formgrader > Manual "
                   f"Grading; or fill in `points` in {out / 'to_read.csv'}. Then call this again.")  # fmt: skip
    for row in waiting:
        typer.echo(f"  {row['student']}, {row['exercise']}: {row['needs_a_person'] or row['state']}")
    raise typer.Exit(1 if waiting else 0)


def settings(folder):
    """Return what ``course.toml`` says; one with a fresh secret is written if there is none."""
    path = Path(folder) / SETTINGS
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(EXAMPLE.format(secret=os.urandom(16).hex()), encoding="utf-8")
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as problem:
        raise FileError(f"{path}: {problem}") from None
    if not found.get("secret"):
        raise InputError(f'{path} needs a secret, a line such as  secret = "{os.urandom(16).hex()}"')
    for name, due in found.get("due", {}).items():
        if not isinstance(due, datetime.datetime) or due.tzinfo is None:
            raise InputError(f"{path}: due.{name} needs a time with its zone, such as 2027-01-31T22:00:00Z")
    return found
