"""Open the course, or test it.

    python course.py lab       open the course in JupyterLab
    python course.py present   the same in large type, for a lecture:  present 04  opens lesson 4
    python course.py test      run every test: the library, the notebooks, the browser
    python course.py render    run the notebooks and store them with their pictures (for authors)
    python course.py bench     time the library beside what else one would use (for authors)

The first call makes an environment of the course's own in the folder .venv beside this file; later calls find it ready.
Words after the command are passed on:  lab --no-browser --port 9000,  test -k inversion,  render notebooks/00*.ipynb

LECTUREKIT_NO_VENV=1 uses the Python that runs this file, as it is (conda, Binder, a computer room).
UV_TORCH_BACKEND=cpu saves 5 GB on a Linux machine without an NVIDIA card.
"""

# Only the standard library here: this file runs before anything is installed.  It must also *parse* on an old Python,
# so that an old Python gets a sentence to read and not a syntax error.

import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "lecturekit-stamp.txt"
UNFINISHED = "unfinished"
NOTEBOOKS = ROOT / "notebooks"
FIRST_NOTEBOOK = "00_start_here.ipynb"
DISK_GB = {"Linux": 8, "Darwin": 3, "Windows": 3}  # torch for Linux brings its CUDA libraries along
MOST_WORKERS = 4  # each test process holds a torch of its own: about 1 GB


def main(arguments):
    """Run one command; return its exit status."""
    commands = {"lab": lab, "present": present, "test": test, "render": render, "bench": bench}
    if not arguments or arguments[0] not in commands:
        asked_for_help = bool(arguments) and arguments[0] in ("-h", "--help", "help")
        if arguments and not asked_for_help:
            say(f"There is no command {arguments[0]!r}. The commands are:\n")
        print(__doc__.strip())
        return 0 if asked_for_help else 2
    problem = why_not_here(sys.version_info, platform.system(), platform.machine(), sys.maxsize > 2**32)
    if problem:
        say(problem)
        return 2
    try:
        return commands[arguments[0]](ready_python(), arguments[1:])
    except SetupFailed as failure:
        say(f"\nThe set-up did not finish. {failure}")
    except KeyboardInterrupt:
        say("\nThe set-up was interrupted. The same command starts it again.")
    return 1


# The commands


def lab(python, extra):
    """Open JupyterLab on the notebooks."""
    say("Opening the course in JupyterLab. It runs until you press Ctrl-C here.")
    return jupyterlab(python, extra, FIRST_NOTEBOOK, [ROOT / "config"])


def present(python, extra):
    """Open JupyterLab for a lecture: one lesson, everything large, and how to show it as slides."""
    words = list(extra)
    number = words.pop(0).zfill(2) if words and not words[0].startswith("-") else FIRST_NOTEBOOK[:2]
    lesson = next((path.name for path in sorted(NOTEBOOKS.glob(number + "_*.ipynb"))), None)
    if lesson is None:
        there = ", ".join(sorted(path.name[:2] for path in NOTEBOOKS.glob("[0-9]*_*.ipynb")))
        say(f"There is no lesson {number!r}. The lessons are: {there}")
        return 2
    say(
        f"Opening {lesson} in large type. In JupyterLab: Run > Run All Cells, then View > Activate Command Palette > "
        "Start Deck.\n  space  next        →  next section        Esc  leave the slides\n"
        f"  Speaker notes, on a screen of your own:  {Path(python).parent / 'lecturekit'} notes {number}\n"
        "It runs until you press Ctrl-C here."
    )
    config = [ROOT / "config" / "present", ROOT / "config"]  # what stands first wins
    return jupyterlab(python, words, lesson, config)


def jupyterlab(python, extra, first, folders):
    """Run JupyterLab on the notebooks, opened at one of them, with the settings of some folders."""
    config = os.pathsep.join(filter(None, [*map(str, folders), os.environ.get("JUPYTER_CONFIG_PATH")]))
    first = f"/lab/tree/{first}" if (NOTEBOOKS / first).exists() else "/lab"
    settings = [f"--ServerApp.root_dir={NOTEBOOKS}", f"--LabApp.default_url={first}"]
    return run([python, "-m", "jupyterlab", *settings, *extra], JUPYTER_CONFIG_PATH=config)


def test(python, extra):
    """Run pytest: all of it on several cores, or what ``extra`` asks for in one process."""
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    if not extra:
        say(f"Running every test in {workers} processes; this takes some minutes.")
        extra = [f"--numprocesses={workers}", "--dist=loadfile"]  # the cells of a notebook need one another
        extra += ["--no-loadscope-reorder"]  # else files of few tests come last, and those are the longest
    return run([python, "-m", "pytest", "--durations=15", *extra])


def render(python, extra):
    """Run the notebooks and store what they show."""
    return run([python, str(ROOT / "tools" / "render.py"), *extra])


def bench(python, extra):
    """Measure the rows of BENCHMARKS.md, or those that ``extra`` names."""
    return run([python, str(ROOT / "tools" / "bench"), *extra])


def run(command, **variables):
    """Run ``command`` in the course's folder until it ends, also through Ctrl-C; return its exit status."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))  # where nothing is installed
    environment = dict(os.environ, PYTHONPATH=path, **variables)
    with subprocess.Popen([str(word) for word in command], cwd=str(ROOT), env=environment) as child:
        with contextlib.suppress(ValueError):  # only the main thread may
            signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:  # the child got Ctrl-C too and asks or ends in its own way
                continue


# The environment


class SetupFailed(Exception):
    """The environment could not be made; the message says what to do."""


def why_not_here(version, system, machine, is_64_bit):
    """Return the sentence that tells why the course cannot run on this Python, or None if it can."""
    found = ".".join(map(str, version[:3]))
    if version < (3, 11):
        return (
            f"The course needs Python 3.11 or newer; this is {found} ({sys.executable}). "
            "Install a newer one from python.org and call it by its name, for example: python3.12 course.py lab"
        )
    if not is_64_bit:
        return f"This Python {found} is a 32-bit one, for which there is no PyTorch. Install the 64-bit one."
    if (system, machine) == ("Darwin", "x86_64"):
        return (
            "There is no current PyTorch for Macs with an Intel processor. On a Mac with an Apple processor, "
            "this Python is an Intel one: install the universal one from python.org. "
            "Else use conda: conda env create -f environment.yml"
        )
    return None


def ready_python():
    """Return a Python that has everything the course needs, after making it where that is needed."""
    if os.environ.get("LECTUREKIT_NO_VENV") == "1":
        return this_python()
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = fingerprint()
    if python.exists() and stamp() == wanted:
        return python
    with only_one_at_a_time(ROOT / ".venv.lock"):
        if not (python.exists() and stamp() == wanted):  # another call may have made it while this one waited
            make_environment(python, wanted)
    return python


def this_python():
    """Return the Python that runs this file, or refuse it if it lacks what every command needs."""
    missing = [name for name in ("torch", "jupyterlab", "pytest") if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupFailed(
            f"LECTUREKIT_NO_VENV=1 asks for the Python {sys.executable}, which has no {', '.join(missing)}. "
            "Unset the variable, or install the course there: pip install -e .[all] -c constraints.txt"
        )
    return sys.executable


def fingerprint():
    """Return a text that changes when the environment must: the two lists, the Python, and the course's own place."""
    lists = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    python = ".".join(map(str, sys.version_info[:2]))
    return f"python {python} {hashlib.sha256(lists + os.fsencode(ROOT)).hexdigest()}"


def stamp():
    """Return what the last set-up wrote: its fingerprint, or that it did not finish; "" if there was none."""
    return STAMP.read_text(encoding="utf-8").strip() if STAMP.exists() else ""


def make_environment(python, wanted):
    """Make or refresh .venv.  The stamp is written last, so that an interrupted set-up is known as one."""
    start = time.monotonic()
    before = stamp()
    if python.exists() and not before:
        say("Adding the course to the environment that you have in .venv.")
        succeeds([python, "-m", "ensurepip"])  # one that uv made has no pip
    elif python.exists() and before.split()[:2] == wanted.split()[:2]:
        say("Bringing the environment in .venv up to date.")
        STAMP.write_text(UNFINISHED, encoding="utf-8")
    else:
        if before == UNFINISHED:
            say("An earlier set-up was interrupted; starting it again.")
        say("Making the environment of the course in .venv. This is done once, needs the internet, takes minutes.")
        warn_of_a_full_disk()
        create_venv()
    install(python)
    STAMP.write_text(wanted, encoding="utf-8")
    say(f"The environment is ready, after {time.monotonic() - start:.0f} seconds.\n")


def create_venv():
    """Make an empty .venv in place of what is there; the stamp stays throughout, also if we are killed here."""
    VENV.mkdir(exist_ok=True)
    STAMP.write_text(UNFINISHED, encoding="utf-8")
    try:
        for entry in VENV.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(str(entry))
            elif entry != STAMP:
                entry.unlink()
    except OSError as problem:
        raise SetupFailed(f"The old .venv could not be removed ({problem}). Close JupyterLab, and try again.") from None
    if not succeeds([sys.executable, "-m", "venv", VENV]):
        hint = " On Debian and Ubuntu: sudo apt install python3-venv" if platform.system() == "Linux" else ""
        raise SetupFailed(f"This Python could not make a virtual environment; its own message stands above.{hint}")


def install(python):
    """Install the course and what it needs: by uv, which takes half a minute, else by pip, which takes some."""
    what = ["--editable", ".[all]", "--constraint", "constraints.txt"]
    say("Installing JupyterLab, PyTorch and the other packages.")
    if succeeds([python, "-m", "pip", "install", "--quiet", "uv"]) and succeeds(
        [python, "-m", "uv", "pip", "install", "--python", python, *what]
    ):
        return
    say("The fast installer (uv) failed, with the message above; trying again with pip, which takes longer.")
    if not succeeds([python, "-m", "pip", "install", *what]):
        raise SetupFailed(
            "The packages could not be installed; the installer's message stands above. Most often the internet is "
            "out of reach or the disk is full. Then call the same command again: it goes on where it can."
        )


def succeeds(command):
    """Run a step of the set-up in the course's folder, its output shown; tell whether it went well."""
    patient = {"UV_HTTP_TIMEOUT": "300", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # a hotel's network is slow
    environment = {**patient, **os.environ}
    return subprocess.run([str(word) for word in command], cwd=str(ROOT), env=environment).returncode == 0


def warn_of_a_full_disk():
    """Say so before the download if the disk looks too full for it."""
    free, needed = shutil.disk_usage(str(ROOT)).free / 1e9, DISK_GB.get(platform.system(), 8)
    if free < needed:
        say(f"Only {free:.1f} GB are free here and up to {needed} GB are needed: the set-up may fail.")


@contextlib.contextmanager
def only_one_at_a_time(path):
    """Hold a lock on ``path``: two set-ups at once would break each other.  The system frees it if we are killed."""
    with open(str(path), "w") as file:
        if not try_to_lock(file):
            say("Another course.py is setting up the environment; waiting for it.")
            while not try_to_lock(file):
                time.sleep(0.5)
        yield


def try_to_lock(file):
    """Lock an open file if nobody else has; tell whether it worked."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def say(sentence):
    """Print at once, so that it stands above what the next program prints."""
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
