"""What a row of the benchmark is, and the list of all of them.

A row is a function that measures one piece of work beside its bare passes and beside peers, and says with which quality
the time was bought.  Each runs in a process of its own: no row inherits the memory or the threads of another.
"""

import dataclasses
from collections.abc import Callable

from timing import milliseconds, ratio

ROWS = {}
BARE = 1.10  # times the bare passes, at most
PEER = 1.0  # times a peer of equal quality, at most


@dataclasses.dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        bare: time over that of the bare forward and backward passes, as text, or "".
        peer: time over that of each peer, as text, or "" where there is none.
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
        assert name not in ROWS, name
        ROWS[name] = Row(section, work, must, measure)
        return measure

    return enter


class Missing(Exception):
    """A peer, a network or a picture that this machine lacks; the message says which."""


def judged(seconds, quality, *, equal=None, good=True, bare=BARE, peer=PEER):
    """Return the row of what `timing.paired` measured: "ours", perhaps "bare", and every other name is a peer.

    Args:
        seconds: lists by name.
        quality: words.
        equal: the peers whose result is as good as ours, so that time alone decides; all if None.
        good: whether our result is as good as it must be.
        bare, peer: the largest ratios that are allowed; they are compared to two digits, as they are shown.
    """
    over = {name: ratio(seconds["ours"], each) for name, each in seconds.items() if name != "ours"}
    floor = over.pop("bare", None)
    kept = floor is None or round(floor.median, 2) <= bare
    kept &= all(round(over[name].median, 2) <= peer for name in (over if equal is None else equal))
    return Result(str(floor or ""), beside(over), quality, bool(kept and good), milliseconds(seconds["ours"]))


def beside(over):
    """Return the ratios over some peers as words; bold where a peer is the quicker one."""
    words = ((name, f"{name} {each}", round(each.median, 2) > 1) for name, each in over.items())
    return "; ".join(f"**{text}**" if slower else text for _, text, slower in words)
