"""What runs in the sandbox: the student's cells, and then their functions on whatever the grader asks.

::

                                          <--  {"ready": true}
    {"id": n, "cells": [[id, source], ...]}    -->
                                          <--  {"cell": id}            before each one, so that a dead one has a name
                                          <--  {"loaded": [[id, kind, words], ...]}     the cells that failed
    {"call": name, "with": arguments}     -->
                                          <--  {"value": ..., "changed": [...], "trouble": ...}
    {"fetch": name}                       -->
                                          <--  the same

Requests come on standard input, answers leave on standard output; what the student prints goes to standard error.
Nothing here has to be trusted: a student who rewrites all of it can still send nothing but plain data, which the grader
judges.
"""

import ast
import contextlib
import json
import os
import random
import sys
import types

from lecturekit.course import plain
from lecturekit.course.asking import Answer, asked

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FIRST_LINE = ("%", "!", "?")  # of a line that only a notebook understands


class Silent(types.ModuleType):
    """The checks, inside: whatever is asked of them says nothing; only the grader's own count."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **named: None


def main():
    """Serve requests from standard input until it ends."""
    requests, out = os.fdopen(aside(0), encoding="utf-8"), os.fdopen(aside(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # input() finds nothing, and cannot swallow a request
    os.dup2(2, 1)
    sys.stdout.reconfigure(
        errors="backslashreplace", line_buffering=True
    )  # half of a surrogate pair is no reason to fall
    sys.modules["lecturekit.course.checks"] = Silent("lecturekit.course.checks")
    sys.modules["lecturekit.course"].checks = sys.modules["lecturekit.course.checks"]
    space = {"__name__": "__main__"}

    def say(words):
        out.write(json.dumps(words) + "\n")
        out.flush()

    say({"ready": True})
    for line in requests:
        request = json.loads(line)
        if "cells" in request:
            failed = []
            for id, source in request["cells"]:
                say({"cell": id})
                if trouble := run(source, space, id):
                    failed.append([id, *trouble])
            say({"id": request["id"], "loaded": failed})
        else:
            answer = answer_to(request, space)
            say({"id": request["id"], "value": plain.packed(answer.value), "changed": list(answer.changed),
                 "trouble": answer.trouble})  # fmt: skip


def aside(number):
    """Return another number for an open file, where a student who closes or reads "all of them" hardly looks."""
    if fcntl is None:
        return os.dup(number)
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, random.SystemRandom().randrange(100, 200))


def run(source, space, id):
    """Run one cell; return ``(kind, words)`` of what it raised, or None."""
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(FIRST_LINE)]
    try:
        exec(compile(ast.parse("\n".join(lines)), f"<{id}>", "exec"), space)
    except BaseException as problem:  # SystemExit too: the other cells still count
        return type(problem).__name__, str(problem)[:2000]
    return None


def answer_to(request, space):
    """Return the `Answer` to one request."""
    name = request.get("call") or request["fetch"]
    if name not in space:
        return Answer(None, trouble=("NameError", f"`{name}` is not defined"))
    if "call" in request:
        try:
            return asked(space[name], plain.unpacked(request["with"]))
        except BaseException as problem:  # SystemExit, KeyboardInterrupt
            return Answer(None, trouble=(type(problem).__name__, str(problem)[:2000]))
    try:
        return Answer(plain.loads(plain.dumps(space[name])))
    except Exception as problem:
        return Answer(None, trouble=(type(problem).__name__, str(problem)[:2000]))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
