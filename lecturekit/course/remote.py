"""A student's work behind the wall: load the cells, ask the functions, fetch the values, and survive all of it.

A cell that never ends, or that takes the process with it, costs its own points and no others: the process is started
again without that cell.

::

    with Submission(cells) as work:
        checks.fgsm(work["fgsm"], trials=20)      # as if it were a function
        work["x_adv"].fetch().value
"""

import math
import secrets
import time

from lecturekit.course import plain
from lecturekit.course.asking import Answer
from lecturekit.course.sandbox import Ended, Limits, Sandbox
from lecturekit.errors import InputError

STARTS = 12  # of the process, for one submission: every cell may kill it once


class Submission:
    """One student's cells in a sandbox.

    Args:
        cells: list of (id, source), in order; those of the exercise that are given, and the student's answers.
        hidden, limits, trust: see `Sandbox`.
        until: moment of `time.monotonic` after which nothing is asked any more.

    Attributes:
        failed: {id: (kind, words)}, the cells that raised, or that killed the process.
        printed: what the process printed, as far as it was kept.
    """

    def __init__(self, cells, hidden=(), limits=Limits(), trust=False, until=math.inf):  # noqa: B008  (frozen)
        self.cells, self.failed, self.printed, self.until = list(cells), {}, b"", until
        self._how = {"hidden": hidden, "limits": limits, "trust": trust}
        self._box, self._starts = None, 0

    def __getitem__(self, name):
        return Name(self, name)

    def __enter__(self):
        self._ready()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End the process."""
        if self._box is not None:
            self._box.close()
            self.printed += self._box.printed
            self._box = None

    def ask(self, request):
        """Return the `Answer` to one request; a process that dies of it is a trouble, too."""
        if time.monotonic() > self.until:
            return Answer(None, trouble=("TimeoutError", "all answers together took too long"))
        try:
            self._ready()
            number = secrets.token_hex(8)  # whoever writes answers before he is asked cannot know it
            self._box.tell({"id": number, **request})
            while (said := heard(self._box)).get("id") != number:
                pass
            return answer(said)
        except Ended as end:
            self.close()
            return Answer(None, trouble=end.trouble)

    def _ready(self):
        """Start the process and load the cells, without those that kill it."""
        while self._box is None:
            if self._starts >= STARTS:
                raise Ended("ProcessEnded", f"the process had to be started more than {STARTS} times")
            self._starts += 1
            running = None
            try:
                self._box = Sandbox(**self._how)
                cells = [(id, source) for id, source in self.cells if id not in self.failed]
                number = secrets.token_hex(8)
                self._box.tell({"id": number, "cells": cells})
                waiting = [id for id, _ in cells]
                while (said := heard(self._box)).get("id") != number:
                    if said.get("cell") in waiting:  # each of them has its own time, once
                        running = said["cell"]
                        waiting.remove(running)
                        self._box.more_time()
                for id, kind, words in said["loaded"]:
                    self.failed.setdefault(str(id), (str(kind), str(words)))
            except (Ended, ValueError, TypeError, KeyError) as end:
                self.close()
                if running is None or running in self.failed or not isinstance(end, Ended):
                    raise Ended("ProcessEnded", f"the cells could not be loaded ({end})") from None
                self.failed[running] = end.trouble


class Name:
    """One name of a submission: a function that can be asked, or a value that can be fetched."""

    def __init__(self, submission, name):
        self.submission, self.name = submission, name

    def ask(self, arguments):
        """Call it, on the other side, and return the `Answer`."""
        return self.submission.ask({"call": self.name, "with": plain.packed(tuple(arguments))})

    def fetch(self):
        """Return its value as an `Answer`."""
        return self.submission.ask({"fetch": self.name})


def heard(box):
    """Return the next answer, which must be a dict."""
    said = box.hear()
    if not isinstance(said, dict):
        raise Ended("OutputError", "the answer is not what the grader understands")
    return said


def answer(said):
    """Return what came through the wall as an `Answer`; what is no plain data is a trouble."""
    try:
        trouble = said["trouble"]
        changed = tuple(int(i) for i in said["changed"])
        value = plain.unpacked(said["value"])
        return Answer(value, changed, None if trouble is None else (str(trouble[0]), str(trouble[1])[:2000]))
    except (InputError, KeyError, TypeError, ValueError, IndexError, RecursionError) as problem:
        return Answer(None, trouble=("InputError", f"the answer is no plain data: {problem}"))
