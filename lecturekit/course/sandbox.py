"""A process for a stranger's code: no network, no home, no neighbours, and limits that are enforced from outside.

Everything is new in it (namespaces of users, processes, network, files): it sees Python, the library without its
reference answers, and an empty folder that is gone afterwards.  The limits are kept by the parent, because whatever a
process is asked to keep about itself it can refuse.  When the first process of a process namespace is killed, the
kernel kills all others in it at once; so there is nothing that can be left behind, however often it forks.  The process
is a copy of one that has imported torch already, where the system can do that (`warm`).

===========  =======================================  =============================================
limit        what is counted                          who enforces it
===========  =======================================  =============================================
time         seconds of the clock for each answer     the parent, by SIGKILL; RLIMIT_CPU
memory       of all its processes, see `usage`        the parent, twenty times a second; RLIMIT_AS
             that belongs to no process               refused by the kernel, see `refused`
processes    and threads                              the parent
files        size of each, of /tmp and of /dev/shm    RLIMIT_FSIZE, tmpfs of that size; all else is read-only
output       bytes that are kept                      the parent; what is more is thrown away
===========  =======================================  =============================================

The trap: `subprocess` with ``timeout=`` kills one process.  Its children live on, and hold the pipe open.

Needs bubblewrap (``bwrap``), which only Linux has; elsewhere `Sandbox` refuses unless it is told to trust the code.
"""

import contextlib
import dataclasses
import functools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import lecturekit
from lecturekit.course import refused, usage, warm
from lecturekit.errors import LectureError, SetupError

PACKAGE = Path(lecturekit.__file__).resolve().parent
SECRET = ("course/tasks", "claims")  # folders of the library that hold answers
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
START = 120  # seconds until Python and torch are there, on a machine that does much else
LOOK = 0.05  # seconds between two looks at memory and processes
LINE = 64 * 2**20  # bytes of one answer
MB = 2**20


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a process may use.

    Attributes:
        seconds: of the clock, for each answer.
        memory: MB that all processes together have of their own; libraries do not count.
        processes: processes and threads.
        disk: MB in the only folder that can be written.
        output: bytes of what is printed that are kept.
    """

    seconds: float = 20.0
    memory: int = 1536
    processes: int = 64
    disk: int = 64
    output: int = 100_000


class Ended(LectureError):
    """The process is gone: why, as ``(kind, words)`` in ``trouble``."""

    def __init__(self, kind, words):
        self.trouble = (kind, words)
        super().__init__(f"{kind}: {words}")


class Sandbox:
    """One process with a stranger's code in it, which answers one line of JSON with another.

    Args:
        hidden: folders of the library, e.g. ``"attacks"``, that the exercise wants to be written anew.
        limits: see `Limits`.
        trust: run without isolation where there is no bubblewrap; only for code that you trust.
    Raises: SetupError where nothing can isolate it and ``trust`` is False.
    """

    def __init__(self, hidden=(), limits=Limits(), trust=False):  # noqa: B008  (frozen)
        self.limits, self.printed, self.isolated = limits, b"", not trust
        if self.isolated and (missing := why_not_isolated()):
            raise SetupError(f"{missing}. Submissions would run without isolation: with your files and your network. "
                             "Grade on Linux with bubblewrap, or say --trust for those that you trust")  # fmt: skip
        self._process, *self._roots = begun(hidden, limits, trust)
        self._answers, self._why, self._over = queue.Queue(8), None, threading.Event()
        self._deadline = time.monotonic() + START
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._keep, self._watch)]
        for thread in self._threads:
            thread.start()
        try:
            self.hear()  # it is ready: from now on the clock is the student's
        except Ended:
            self.close()
            raise

    def tell(self, words):
        """Send one request; its answers come by `hear`."""
        self.more_time()
        try:
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._ended() from None

    def more_time(self):
        """Let the clock begin anew; an answer alone does not, or whoever talks for ever would be heard for ever."""
        self._deadline = time.monotonic() + self.limits.seconds

    def hear(self):
        """Return the next answer.

        Raises: Ended if the process is gone, or was killed for what it used.
        """
        try:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise queue.Empty  # even if there is something to read
            line = self._answers.get(timeout=left)
        except queue.Empty:
            self._kill("TimeoutError", f"no answer within {self.limits.seconds:g} seconds")  # or within START
            raise self._ended() from None
        if line is None:
            raise self._ended()
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            self._kill("OutputError", f"the answer is not what the grader understands, or more than {LINE // MB} MB")
            raise self._ended() from None

    def close(self):
        """End the process and everything that it began."""
        self._kill(None, None)
        self._process.wait()
        for thread in self._threads:
            thread.join(5)  # without walls, a child that was left behind may hold a pipe open

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _ended(self):
        """Return the error that says why there is no more answer."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)  # if it ended by itself, its status is worth a word
        self._kill(None, None)
        code = self._process.wait()
        return Ended(*(self._why or ("ProcessEnded", f"the process ended by itself, with status {code}")))

    def _kill(self, kind, words):
        """Kill all of it at once; the first reason counts."""
        if kind and self._why is None:
            self._why = (kind, words)
        self._over.set()
        self._process.kill()  # of bwrap: the namespace dies with it
        if not self.isolated:
            for number in usage.everybody(self._roots):
                with contextlib.suppress(OSError):
                    os.kill(number, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _listen(self):
        """Hand on one answer after another, and None at the end."""
        with self._process.stdout as answers:
            while line := answers.readline(LINE):
                self._hand_on(line)
        self._hand_on(None)

    def _hand_on(self, line):
        """Wait until there is room: a flood of answers stays in the pipe, and not in the grader's memory."""
        while True:
            with contextlib.suppress(queue.Full):
                return self._answers.put(line, timeout=LOOK)
            if self._over.is_set():
                return None

    def _keep(self):
        """Keep the first of what is printed, and read the rest, so that nobody waits for a full pipe."""
        with self._process.stderr as printed:
            while data := printed.read1(MB):
                self.printed += data[: max(0, self.limits.output - len(self.printed))]

    def _watch(self):
        """Look at memory and processes until the end."""
        while not self._over.wait(LOOK):
            numbers = usage.everybody(self._roots)
            if usage.threads(numbers) > self.limits.processes:
                self._kill("ProcessError", f"more than {self.limits.processes} processes and threads")
            elif usage.memory(numbers, self.limits.memory * MB) > self.limits.memory * MB:
                self._kill("MemoryError", f"more than {self.limits.memory} MB of memory")


def begun(hidden, limits, trust):
    """Return a process that runs `inside`, and the numbers of those below which all of its own are found."""
    if not trust:
        with contextlib.suppress(warm.NotHere):
            return warm.entered(walls(hidden, limits), most(limits), environment())
    words, calls, told = [sys.executable, "-I", "-B", "-m", "lecturekit.course.inside"], *os.pipe()
    if not trust:
        by_kernel = [f"--{name}={number}" for name, number in most(limits).items()]
        filtered = ["--seccomp", str(calls)] if refused.program() else []
        words = ["prlimit", *by_kernel, "--", *walls(hidden, limits)[:-1], *filtered, "--", *words]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with os.fdopen(calls), os.fdopen(told, "wb") as program:
        program.write(refused.program())
        program.close()
        process = subprocess.Popen(words, **pipes, pass_fds=[calls], env=environment(trust), start_new_session=True)
    return process, process.pid


def why_not_isolated():
    """Return what is missing for isolation, or an empty string."""
    if shutil.which("bwrap") is None:
        return "there is no bubblewrap on this machine (Debian: apt install bubblewrap)"
    tried = subprocess.run(["bwrap", *apart(), *system(), "true"], capture_output=True, text=True)
    return f"bubblewrap does not work here ({tried.stderr.strip()[:200]})" if tried.returncode else ""


@functools.cache
def apart():
    """Return how nothing is shared; bubblewrap 0.8 can also refuse rooms within, where a stranger is root again."""
    can = subprocess.run(["bwrap", "--help"], capture_output=True, text=True).stdout
    return ["--unshare-all", *(["--unshare-user", "--disable-userns"] if "--disable-userns" in can else [])]


def walls(hidden, limits):
    """Return the command that builds the walls round what follows it."""
    words = ["bwrap", *apart(), "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--uid", "65534", "--gid", "65534", "--hostname", "sandbox", *system()]
    for folder in ("/tmp", "/dev/shm"):  # /tmp first: Python may itself lie below it
        words += ["--size", str(limits.disk * MB), "--tmpfs", folder]
    for folder in sorted({sys.prefix, sys.base_prefix, str(PACKAGE), sysconfig.get_path("purelib")}):
        words += ["--ro-bind", folder, folder]
    for folder in (*SECRET, *hidden):
        if (PACKAGE / folder).is_dir():
            words += ["--tmpfs", str(PACKAGE / folder), "--remount-ro", str(PACKAGE / folder)]
    for folder in ("/dev", "/"):  # bubblewrap makes them of memory, without a limit
        words += ["--remount-ro", folder]
    return [*words, "--chdir", "/tmp", "--"]


def system():
    """Return how the system's own files are seen: to be read."""
    words = ["--proc", "/proc", "--dev", "/dev"]
    for path in SYSTEM:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            words += ["--ro-bind", path, path]
    return words


def environment(trust=False):
    """Return the variables that a sandbox knows: nothing of the grader's."""
    known = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    if trust:
        return os.environ | known
    return known | {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "LECTUREKIT_CACHE": "/tmp/cache"}


def most(limits):
    """Return the limits that the kernel keeps, by the names of setrlimit(2)."""
    return {
        "fsize": limits.disk * MB,
        "as": (limits.memory + 6144) * MB,  # torch reserves some GB that it never uses
        "cpu": int(30 * limits.seconds),  # of computing: a last resort, the parent's clock comes first
        "core": 0,
        "nofile": 256,
    }
