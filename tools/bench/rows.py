"""What a row of the benchmark is, and the list of all of them.

A row is a function that measures one piece of work beside its bare passes and beside a peer, and says with which
quality the time was bought.  Each runs in a process of its own: no row inherits the memory or the threads of another.
"""

import dataclasses
from collections.abc import Callable

ROWS = {}


@dataclasses.dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        bare: time over that of the bare forward and backward passes, as text, or "".
        peer: time over that of the peer, as text, or "" where there is none.
        quality: what makes the ratio fair: equal pictures, larger activation ...
        holds: whether the row keeps what it promises; None where nothing is promised.
        ours: the absolute time, as text.
    """

    bare: str = ""
    peer: str = ""
    quality: str = ""
    holds: bool | None = None
    ours: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """Where a row stands in the table, and the function that measures it."""

    section: str
    work: str
    must: str
    measure: Callable[[bool], Result]


def row(name, section, work, must):
    """Enter a function ``measure(quick) -> Result`` in the table under ``name``."""

    def enter(measure):
        ROWS[name] = Row(section, work, must, measure)
        return measure

    return enter


class Missing(Exception):
    """A peer, a network or a picture that this machine lacks; the message says which."""
