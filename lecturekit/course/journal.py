"""What is done stays done: one line for each submission that was graded, written so that a kill costs at most that one.

A line is complete when its newline is there; half a line at the end, which a kill leaves, is ignored and taken away.
The last line of a submission counts, so grading again adds a line and keeps the old one.
"""

import contextlib
import json
import os
from pathlib import Path

from filelock import FileLock, Timeout

from lecturekit.errors import SetupError


class Journal:
    """Lines of JSON in a file, each under a key.

    Args:
        path: of the file; it is created when the first line is written.
    """

    def __init__(self, path):
        self.path = Path(path)

    def lines(self):
        """Return all whole lines, in order."""
        if not self.path.exists():
            return []
        whole = self.path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is half a line
        return [json.loads(line) for line in whole]

    def latest(self):
        """Return {key: line}, the last of each key."""
        return {tuple(line["key"]): line for line in self.lines()}

    def add(self, key, **words):
        """Write one line, and return when it is on the disk."""
        with open(self.path, "ab") as file:
            file.write(json.dumps({"key": list(key), **words}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def alone(self):
        """Hold the journal, and take half a line at its end away; a second grader is refused at once.

        Raises: SetupError if another process holds it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{self.path}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise SetupError(f"another process is grading into {self.path.parent}; wait for it, or stop it") from None
        try:
            if self.path.exists():
                os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)
            yield
        finally:
            lock.release()
