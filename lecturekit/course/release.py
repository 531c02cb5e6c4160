"""From solutions to exercises: what students get is generated, never edited.

::

    solutions/attacks/attacks.ipynb  -->  exercises/attacks/attacks.ipynb

nbgrader takes the solutions and the hidden tests away, locks what is given, and notes a checksum of every cell.  Its
database is not needed for that; the same notebook comes out wherever and whenever this runs.

A *variant* gives each student another drawing and another target: the line ``VARIANT = 0`` of a given cell gets a
number that the student's name and the course's secret decide.
"""

import hashlib
import hmac
import re
from pathlib import Path

from lecturekit.errors import FileError, InputError, SetupError
from lecturekit.files import replacing

VARIANT = re.compile(r"^VARIANT = 0\b", re.MULTILINE)
VARIANTS = 10_000
NAME = re.compile(r"[\w.@-]{1,80}")  # of a student: a folder, and nothing else


def release(solutions, exercises, names=None, *, student=None, secret=""):
    """Generate exercises.

    Args:
        solutions: the folder with ``NAME/NAME.ipynb``.
        exercises: where the same tree goes.
        names: which; all if None.
        student: for whom, if the exercise has variants.
        secret: of the course; without it a student could compute the variant of another one.
    Returns: the paths written.
    Raises: FileError for a name without a solution, and what nbgrader finds wrong with one.
    """
    there = sorted(path.parent.name for path in Path(solutions).glob("*/*.ipynb") if path.stem == path.parent.name)
    if missing := set(names or ()) - set(there):
        raise FileError(
            f"there is no solution {', '.join(sorted(missing))} in {solutions}; there are {', '.join(there)}"
        )
    written = []
    for name in names or there:
        words = released(Path(solutions) / name / f"{name}.ipynb", variant(student, secret))
        path = Path(exercises) / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_text(words, encoding="utf-8")
        written.append(path)
    return written


def released(path, variant=0):
    """Return a solution as what a student gets: the notebook as text."""
    import nbformat

    book = nbformat.read(path, as_version=4)
    for step in steps():
        try:
            book, _ = step.preprocess(book, {"unique_key": path.stem})
        except Exception as problem:  # nbgrader raises RuntimeError, ValidationError and its own
            raise FileError(f"{path.name}: nbgrader says {problem}") from None
    for cell in book.cells:
        if variant and cell.cell_type == "code":
            cell.source = varied(cell.source, variant)
    book.metadata.pop("lecturekit", None)  # how it is graded is none of a student's business
    return nbformat.writes(book) + "\n"


def steps():
    """Return the preprocessors of nbgrader that make an exercise of a solution, in order."""
    try:
        from nbgrader import preprocessors
    except ImportError:
        raise SetupError("nbgrader is not installed; `pip install 'lecturekit[grade]'` brings it") from None
    names = ("CheckCellMetadata", "ClearOutput", "LockCells", "ClearSolutions", "ClearHiddenTests", "ComputeChecksums")
    made = [getattr(preprocessors, name)() for name in names]
    made[3].code_stub = {"python": "raise NotImplementedError"}
    return made


def variant(student, secret):
    """Return the number of a student's variant; 0 without a student."""
    if student is None:
        return 0
    if not isinstance(student, str) or not NAME.fullmatch(student):
        raise InputError(f"a student's name is made of letters, digits and . _ - @, got {student!r}")
    number = hmac.digest(secret.encode(), student.encode(), hashlib.sha256)
    return 1 + int.from_bytes(number[:8]) % (VARIANTS - 1)


def varied(source, variant):
    """Return a cell with the line ``VARIANT = 0`` changed."""
    return VARIANT.sub(f"VARIANT = {variant}", source)
