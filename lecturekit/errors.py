"""The errors a user can cause, each of which says what came, what was expected, and what to do.

One base class, so that a panel or a script can catch everything a user may do wrong and nothing else.  Each class is
also the built-in error that a Python programmer would expect, so ``except ValueError`` keeps working.
"""

import difflib

LISTED = 24  # names that a message lists; every layer of the course's own networks, not the 60 of a ResNet


class LectureError(Exception):
    """Base class of every error that lecturekit raises on purpose."""


class InputError(LectureError, ValueError):
    """An argument, a picture or a label is not what the function can work with."""


class ModelError(LectureError, ValueError):
    """A network is not one that the method can look into."""


class FileError(LectureError, OSError):
    """A file is missing, damaged, or not what its name promises."""


class SetupError(LectureError, RuntimeError):
    """The machine lacks something: a package, a download, disk space, the network."""


def unknown(kind, name, allowed, error=InputError):
    """Return the error for a name that does not exist, with the nearest ones that do.

    Args:
        kind: what the name stands for, e.g. ``"layer"``.
        name: what the user wrote.
        allowed: the names that exist.
        error: the class to build.
    """
    allowed = [str(a) for a in allowed]
    spelling = {a.lower(): a for a in reversed(allowed)}  # CONV3 is near conv3
    near = [spelling[n] for n in difflib.get_close_matches(str(name).lower(), spelling, n=3, cutoff=0.5)]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    more = f" and {len(allowed) - LISTED} more" if len(allowed) > LISTED else ""
    return error(f"there is no {kind} named {name!r}.{hint} Available: {', '.join(allowed[:LISTED])}{more}")
