"""Is this machine ready for the course?  If not: what is wrong, and what to do about it.

A lecture hall has thirty laptops and one instructor.  A student whose notebook fails in its third cell with
``OSError: [Errno 28]`` needs the instructor; one who is told "0.2 GB are free where pictures are kept, make room or set
LECTUREKIT_CACHE" does not.

    doctor.check()              in a notebook; in a terminal: lecturekit doctor
    doctor.check().verdict()    one sentence, and what to do

Each check is a function that returns a `Finding`.  The trap: a doctor that needs the patient's organs.  Nothing here
imports torch or any other package before the check that asks for it.
"""

import contextlib
import importlib
import importlib.metadata
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

from lecturekit.errors import LectureError
from lecturekit.files import cache_folder, verify
from lecturekit.tables import Table

GOOD, WARNING, WRONG = "good", "warning", "wrong"
OLDEST, NEWEST = (3, 11), (3, 13)  # Pythons on which the course is tested
MEMORY, LEAST_MEMORY = 2.0, 1.0  # GB free: what the largest notebook wants, and what torch alone takes
DISK, LEAST_DISK = 1.0, 0.2  # GB free: all drawn pictures of the course, and those of the first lessons
NETWORKS = ("picturebook", "picturebook_robust", "photographs")  # without these the first notebooks stop
AGAIN = "call python course.py lab again: it completes the environment"


class Finding(NamedTuple):
    """What one check found.

    Attributes:
        check: what was looked at.
        needed: what the course needs.
        state: ``"good"``, ``"warning"`` (the course runs, but not all of it or not well) or ``"wrong"``.
        found: what is there.
        remedy: what to do; empty if good.
    """

    check: str
    needed: str
    state: str
    found: str
    remedy: str = ""


class Short(NamedTuple):
    """A finding without what differs from machine to machine."""

    check: str
    needed: str
    state: str


class Report(Table):
    """All findings, which show themselves as a table."""

    def problems(self):
        """Return the findings that are not good, the worst first."""
        return Report(sorted((f for f in self if f.state != GOOD), key=lambda f: f.state != WRONG), Finding._fields)

    def short(self):
        """Return the table with neither versions nor sizes: the same on every machine that is ready."""
        return Table([Short(f.check, f.needed, f.state) for f in self])

    def verdict(self):
        """Return in words whether the course can begin, and for each problem what is wrong and what to do."""
        problems = self.problems()
        if not problems:
            return f"Ready: all {len(self)} checks are good."
        wrong = sum(f.state == WRONG for f in problems)
        first = f"Not ready: {wrong} of {len(self)} checks failed." if wrong else "Ready, with a warning."
        return "\n".join([first, *(f"- {f.check}: {f.found}. To mend it: {f.remedy}." for f in problems)])


def check():
    """Look at everything the course needs and return a `Report`; takes a second, changes nothing, needs no network."""
    return Report([_looked(one) for one in CHECKS], Finding._fields)


def _looked(one):
    """Run one check; a check that fails itself is a finding too."""
    try:
        return one()
    except Exception as problem:  # whatever is broken here, the other checks go on
        words = f"{type(problem).__name__}: {problem}".splitlines()[0]
        return Finding(one.__name__.replace("_", " "), "", WRONG, f"could not be checked ({words})", AGAIN)


# The checks, in the order in which one mends


def python():
    """The Python that runs this: new enough, tested, 64 bits."""
    version, needed = sys.version_info[:3], f"{_dotted(OLDEST)} or newer, 64 bits"
    found = _dotted(version) + ("" if sys.maxsize > 2**32 else ", 32 bits")
    if version[:2] < OLDEST or sys.maxsize <= 2**32:
        return Finding("Python", needed, WRONG, found, "install one from python.org, then call course.py with it")
    if version[:2] > NEWEST:
        remedy = f"if something fails, take Python {_dotted(NEWEST)}, the newest that the course is tested on"
        return Finding("Python", needed, WARNING, found, remedy)
    return Finding("Python", needed, GOOD, found)


def packages():
    """Every package that the course asks for, in a version that it was written for."""
    wanted, missing = requirements(), []
    for name, (low, high) in wanted.items():
        try:
            version = numbers(importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{name} is missing")
            continue
        if version < low or (high and version >= high):
            missing.append(f"{name} is {_dotted(version)}")
    needed = f"{len(wanted)} packages"
    if missing:
        return Finding("packages", needed, WRONG, ", ".join(missing), AGAIN)
    return Finding("packages", needed, GOOD, f"all {len(wanted)}")


def pytorch():
    """Whether torch loads and computes: a wrong build for this machine fails only here."""
    needed = "loads, and computes a gradient"
    try:
        import torch

        x = torch.ones(1, 1, 4, 4, requires_grad=True)
        torch.nn.functional.conv2d(x, torch.ones(1, 1, 2, 2)).sum().backward()
        right = x.grad.sum().item() == 36  # 9 windows of 4 pixels
    except Exception as problem:  # ImportError, OSError for a missing library, RuntimeError: as the build goes
        found = f"does not work ({str(problem).splitlines()[0] if str(problem) else type(problem).__name__})"
        remedy = "delete the folder .venv, then call python course.py lab again"
        if sys.platform == "win32":
            remedy += "; torch also needs the Microsoft Visual C++ Redistributable"
        return Finding("PyTorch", needed, WRONG, found, remedy)
    state = GOOD if right else WRONG
    return Finding("PyTorch", needed, state, torch.__version__, "" if right else "delete .venv and set up again")


def device():
    """The device that LECTUREKIT_DEVICE names, else the processor."""
    from lecturekit.devices import device as chosen

    needed = "the processor, or what you chose"
    try:
        return Finding("device", needed, GOOD, str(chosen()))
    except LectureError as problem:
        return Finding("device", needed, WRONG, str(problem).split(". ")[0], "unset LECTUREKIT_DEVICE")


def memory():
    """How much memory is free, also inside a container that has less than its machine."""
    needed = f"{MEMORY:g} GB free"
    free = free_memory()
    if free is None:
        return Finding("memory", needed, GOOD, "cannot be told on this system")
    state = _state(free, MEMORY, LEAST_MEMORY)
    remedy = "" if state == GOOD else "close other programs, and notebooks by Kernel > Shut Down All Kernels"
    return Finding("memory", needed, state, f"{free:.1f} GB free", remedy)


def cache():
    """Whether drawn pictures can be kept, and how much room there is for them."""
    needed = f"a folder that can be written, {DISK:g} GB free"
    try:
        folder = cache_folder()
    except LectureError as problem:
        return Finding("cache", needed, WRONG, str(problem).split(";")[0], "set LECTUREKIT_CACHE to a folder of yours")
    free = shutil.disk_usage(folder).free / 1e9
    state = _state(free, DISK, LEAST_DISK)
    remedy = "" if state == GOOD else "make room there, or set LECTUREKIT_CACHE to a folder on another disk"
    return Finding("cache", needed, state, f"{folder}, {free:.1f} GB free", remedy)


def weights():
    """Every shipped network: is it there, and is it byte for byte the one that was measured?"""
    from lecturekit.networks import zoo

    cards, problems = zoo.cards(zoo.WEIGHTS), []
    problems += [f"{name} is missing" for name in NETWORKS if name not in cards]
    for name, card in cards.items():
        try:
            verify(zoo.WEIGHTS / f"{name}.safetensors", card["sha256"], card["bytes"])
        except LectureError as problem:
            problems.append(str(problem).split(":")[0])
    needed = "every file has the SHA-256 on its card"
    if problems:
        remedy = "get the course again (git checkout -- lecturekit/networks/weights, or download it once more)"
        return Finding("shipped networks", needed, WRONG, "; ".join(problems[:3]), remedy)
    return Finding("shipped networks", needed, GOOD, f"{len(cards)} files")


def offline():
    """Whether the notebooks find all their pictures here: nothing is downloaded by itself."""
    from lecturekit.pictures.photographs import CREDITS, bundled

    there, needed = len(bundled()), "all photographs are on this machine"
    if there < len(CREDITS):
        found = f"{there} of {len(CREDITS)} photographs of scikit-image"
        return Finding("offline", needed, WRONG, found, "install it again: pip install --force-reinstall scikit-image")
    return Finding("offline", needed, GOOD, f"{there} photographs")


def widgets():
    """Whether the two halves of the panels fit: ipywidgets in Python, jupyterlab-widgets in the browser."""
    needed = "ipywidgets 8 and jupyterlab-widgets 3"
    versions = {}
    for name in ("ipywidgets", "jupyterlab_widgets"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    found = ", ".join(f"{name} {version}" for name, version in versions.items()) or "neither"
    majors = {name: numbers(version)[0] for name, version in versions.items()}
    if majors == {"ipywidgets": 8, "jupyterlab_widgets": 3}:
        return Finding("widgets", needed, GOOD, found)
    remedy = "pip install --upgrade ipywidgets jupyterlab_widgets, then reload the page in the browser"
    return Finding("widgets", needed, WRONG, found, remedy)


CHECKS = (python, packages, pytorch, device, memory, cache, weights, offline, widgets)


# What they stand on


def requirements():
    """Return the packages of pyproject.toml as {name: (lowest version, first version too high or None)}."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if project.is_file():
        lines = tomllib.loads(project.read_text("utf-8"))["project"]["dependencies"]
    else:  # installed from a wheel, which carries the same list
        lines = [line for line in importlib.metadata.requires("lecturekit") if "extra ==" not in line]
    found = {}
    for line in lines:
        name = re.match(r"[\w.-]+", line).group()
        low, high = (re.search(rf"{sign}\s*([\d.]+)", line) for sign in (">=", "<(?!=)"))
        found[name] = (numbers(low.group(1)) if low else (), numbers(high.group(1)) if high else None)
    return found


def free_memory():
    """Return the free memory in GB, or None where it cannot be told; a container's own limit counts."""
    try:
        import psutil
    except ImportError:
        return None
    free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, limit - used)
    return free / 1e9


def _state(there, enough, least):
    """Return the state for an amount: good from ``enough`` on, wrong below ``least``."""
    return GOOD if there >= enough else WARNING if there >= least else WRONG


def numbers(version):
    """Return ``"2.6.0+cpu"`` as (2, 6, 0)."""
    return tuple(map(int, re.match(r"[\d.]*\d", version).group().split(".")))


def _dotted(numbers):
    """Return (2, 6, 0) as ``"2.6.0"``."""
    return ".".join(map(str, numbers))
