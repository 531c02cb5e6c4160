"""Will the lecture go well?  The notebook is run and every panel in it is walked to its ends, before the hall is full.

A panel that is never touched beyond its first picture breaks in front of the students: at the last layer, with the
other network, with a file of one's own.  So this turns every control of every panel alone to both of its ends, and
every menu to each of its choices, and notes how long the picture took::

    notebook -> cells run, network refused -> panels -> every control to its ends -> `doctor.Finding`s with the mend

    rehearse("04")                       in a notebook or a program
    lecturekit doctor --lecture 04       in a terminal, together with the checks of the machine

Work in steps is stopped soon after its first report: the hall waits for that one, and watches the rest.  Ctrl-C ends
the rehearsal early and keeps what was found.

The trap: what went well here because the network was there.  Every attempt to reach another machine is refused and
named.
"""

import contextlib
import importlib.metadata
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

from lecturekit.doctor import AGAIN, GOOD, WARNING, WRONG, Finding, Report, numbers, requirements
from lecturekit.errors import FileError, InputError, ModelError, unknown
from lecturekit.rehearsal import walking
from lecturekit.rehearsal.surroundings import inside, keyboard, refused
from lecturekit.rehearsal.walking import tell, walk

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
HEEDS = 2.0  # seconds within which work in steps ends once it is asked to stop
LISTED = 3  # settings that a finding names


def rehearse(lecture, watch=None):
    """Run a notebook with the network refused, walk its panels, and return a `doctor.Report`.

    Args:
        lecture: its number, e.g. ``"04"``, or the path of a notebook.
        watch: told of every cell and every move as a `Step` that counts from one in each panel.
    Raises: InputError for a lecture that does not exist.
    """
    path = find(lecture)
    findings = [jupyterlab(), slides(), saved(path)]
    with refused() as attempts, keyboard() as ctrl_c, inside(path.parent):
        finding, panels = run(path, ctrl_c, watch)
        findings.append(finding)
        for name, panel in panels:
            if ctrl_c.pressed:
                break
            before = panel.snapshot()
            moves = walk(name, panel, ctrl_c, watch)
            findings.append(judge(name, panel, moves, ctrl_c.pressed or panel.steps or wiped(panel, before)))
    findings.append(offline(attempts))
    if ctrl_c.pressed:
        found = "stopped by Ctrl-C: what stands here was found until then"
        findings.append(Finding("rehearsal", "comes to its end", WARNING, found, "call it again when there is time"))
    return Report(findings, Finding._fields)


def find(lecture):
    """Return the path of a notebook by its number or its path."""
    there = {path.name.split("_")[0]: path for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))}
    if Path(lecture).suffix == ".ipynb" and Path(lecture).is_file():
        return Path(lecture).resolve()
    if str(lecture).zfill(2) not in there:
        raise unknown("lecture", lecture, there or ["the path of a notebook"])
    return there[str(lecture).zfill(2)]


def notes_of(lecture):
    """Return the path of the speaker notes of a lecture.

    Raises: InputError for a lecture that does not exist; FileError if it has no notes.
    """
    path = find(lecture)
    notes = path.parent / "notes" / f"{path.name.split('_')[0]}.md"
    if not notes.is_file():
        raise FileError(f"{path.name} has no speaker notes; they would be {notes.parent.name}/{notes.name} beside it")
    return notes


# What has to be there


def jupyterlab():
    """Whether JupyterLab is one that the panels and the settings of the course were made for."""
    low, high = requirements()["jupyterlab"]
    needed = f"{'.'.join(map(str, low))} or newer, below {high[0]}"
    try:
        version = importlib.metadata.version("jupyterlab")
    except importlib.metadata.PackageNotFoundError:
        return Finding("JupyterLab", needed, WRONG, "is missing", AGAIN)
    if low <= numbers(version) < high:
        return Finding("JupyterLab", needed, GOOD, version)
    remedy = f'pip install "jupyterlab>={".".join(map(str, low))},<{high[0]}", then reload the page in the browser'
    return Finding("JupyterLab", needed, WRONG, f"is {version}", remedy)


def slides():
    """Whether the extension that shows a notebook as slides is there."""
    needed = "jupyterlab-slideshow"
    try:
        return Finding("slides", needed, GOOD, importlib.metadata.version("jupyterlab-slideshow"))
    except importlib.metadata.PackageNotFoundError:
        remedy = "pip install jupyterlab-slideshow, or present from the notebook itself"
        return Finding("slides", needed, WARNING, "is missing", remedy)


def saved(path):
    """Whether the notebook can be saved where it lies; JupyterLab interrupts with a pop-up otherwise."""
    needed = "its folder can be written"
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        with open(path, "r+b"):
            pass
    except OSError as problem:
        found = f"{path.name} cannot be saved where it is ({problem.strerror})"
        return Finding("notebook file", needed, WRONG, found, "copy the course to a folder of your own")
    return Finding("notebook file", needed, GOOD, path.name)


# The notebook


def run(path, ctrl_c, watch=None):
    """Run every cell; return the finding, and the panels as (name, panel) in the order of their cells."""
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    from lecturekit.panels.base import Panel

    sources = [(i, s) for i, s in enumerate(code(path), start=1) if s.strip()]
    HistoryManager.enabled = False  # else the lecturer's own history would hold the cells of the course
    shell, panels, began = InteractiveShell(), {}, time.monotonic()
    needed = "every cell runs"
    for done, (number, source) in enumerate(sources):
        tell(watch, done, len(sources), f"cell {number}")
        ran = quietly(shell.run_cell, source)
        if ctrl_c.pressed:
            return Finding("notebook", needed, WARNING, f"stopped in cell {number}", "let it end next time"), []
        if not ran.success:
            return Finding("notebook", needed, WRONG, *broken(number, ran)), list(panels.values())
        for thing in (ran.result, *shell.user_ns.values()):
            if isinstance(thing, Panel) and id(thing) not in panels:
                panels[id(thing)] = f"cell {number}, {type(thing).__name__}", thing
    tell(watch, len(sources), len(sources), "cells")
    found = f"{len(sources)} cells in {time.monotonic() - began:.0f} s"
    return Finding("notebook", needed, GOOD, found), list(panels.values())


def code(path):
    """Return the sources of all cells of a notebook, empty where a cell is not code.

    Raises: FileError for a file that is no notebook.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return ["".join(cell["source"]) if cell["cell_type"] == "code" else "" for cell in cells]
    except (ValueError, KeyError, TypeError):
        raise FileError(f"{path.name} is no notebook; get it again (git checkout -- {path.name})") from None


def broken(number, ran):
    """Return in words what a failed cell said, and what to do about it."""
    problem = ran.error_before_exec or ran.error_in_exec
    words = f"cell {number} fails: {type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"
    if isinstance(problem, ModuleNotFoundError):
        return words, f"pip install {problem.name}" if problem.name else AGAIN
    return words, f"mend cell {number}, or get the notebook again (git checkout -- notebooks)"


def quietly(function, *arguments):
    """Call a function without what it prints: the report is all that is read here."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return function(*arguments)


# What is made of it


def wiped(panel, before):
    """Tell whether *Reset* brings the first picture back, as PNG bytes."""
    with contextlib.suppress(Exception):  # a control raised before, and does so again; that is told already
        panel.reset()
    panel.wait()
    return panel.snapshot() == before


def judge(name, panel, moves, comes_back=True):
    """Return the finding about a panel: what raises, what does not stop, what is slow."""
    needed = f"{'first report' if panel.steps else 'picture'} within {walking.SOON} ms, everywhere"
    answers = (InputError, ModelError)  # a sentence in the panel, which is meant for whoever chose that
    raised = [m for m in moves if m.trouble is not None and not isinstance(m.trouble, answers)]
    if raised:
        errors = "; ".join(f"{m.setting}: {type(m.trouble).__name__}: {m.trouble}" for m in raised[:LISTED])
        remedy = "leave these choices alone in the lecture, and mend what the message says"
        return Finding(name, needed, WRONG, f"{len(raised)} of {len(moves)} moves fail ({errors})", remedy)
    endless = [m for m in moves if m.late > HEEDS]
    if endless:
        found = f"goes on for {max(m.late for m in endless):.0f} s after Stop ({endless[0].setting})"
        return Finding(name, needed, WARNING, found, "do not start this in the lecture")
    if not comes_back:
        found = "Reset does not bring the first picture back"
        return Finding(name, needed, WARNING, found, "run its cell again instead of Reset")
    if not moves:
        return Finding(name, needed, GOOD, "has no controls to move")
    times = f"{len(moves)} moves, median {statistics.median(m.milliseconds for m in moves):.0f} ms"
    slow = sorted((m for m in moves if m.milliseconds > walking.SOON), key=lambda m: -m.milliseconds)
    if not slow:
        return Finding(name, needed, GOOD, f"{times}, slowest {max(m.milliseconds for m in moves):.0f} ms")
    listed = ", ".join(f"{m.setting}: {m.milliseconds:.0f} ms" for m in slow[:LISTED])
    once = all(m.again is not None and m.again <= walking.SOON for m in slow)
    remedy = (
        "go there once before the lecture, it is remembered"
        if once
        else "leave these out, say beforehand that they take a moment, or take a faster machine"
    )
    return Finding(name, needed, WARNING, f"{times}, {len(slow)} slow ({listed})", remedy)


def offline(attempts):
    """Return the finding about the network."""
    needed = "nothing needs the network"
    if not attempts:
        return Finding("offline", needed, GOOD, "nothing was tried to be reached")
    hosts = ", ".join(dict.fromkeys(attempts))
    remedy = "download it before the lecture, and read it from the file; a hall's network is no plan"
    return Finding("offline", needed, WRONG, f"{hosts} was tried to be reached, and refused", remedy)
