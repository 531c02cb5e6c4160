"""How long work talks to whoever waits for it: one small report, and one word to stop.

Every long function of the library takes ``watch``, a function that is called now and then with a `Step`.  A notebook
passes a progress bar, a panel passes a function that repaints the picture, a test passes a list's ``append``.  Whoever
watches may return `STOP`; the work then ends early and hands back the best it has, marked ``complete=False``.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

STOP = "stop"
SECONDS_BETWEEN = 0.1  # two drawings of a progress bar; in a notebook each one costs a sixth of a millisecond


@dataclasses.dataclass(frozen=True)
class Step:
    """One report from work in progress.

    Attributes:
        done, total: units finished, and units in all.
        loss: what the work makes smaller, or None where there is no such number.
        picture: what can be looked at already, (N, C, H, W) in [0, 1], or None.
        note: a few words for the end of a progress bar.
    """

    done: int
    total: int
    loss: float | None = None
    picture: Any = None
    note: str = ""


Watch = Callable[[Step], Any]


def stopped(watch, step):
    """Report ``step`` to ``watch`` (which may be None) and tell whether it asked to stop."""
    return watch is not None and watch(step) == STOP


def bar(description, watch=None):
    """Return a watch that draws a progress bar: in a notebook as a widget, in a terminal as text.

    It is drawn ten times a second at most, however often it is called, and goes away with the last step or a `STOP`.

    Args:
        description: a few words in front of the bar.
        watch: another watch that gets every step as well, and whose answer is passed on.
    """
    from tqdm.auto import tqdm  # imported late: a tenth of a second, and only waiting people need it

    shown, drawn = None, 0.0

    def draw(step):
        nonlocal shown, drawn
        if shown is None:  # not before the first step: a bar that is never used is never drawn
            shown, drawn = tqdm(desc=description, total=step.total, leave=False), 0.0
        answer = watch(step) if watch else None
        ends = step.done >= step.total or answer == STOP
        if ends or time.monotonic() - drawn >= SECONDS_BETWEEN:
            drawn = time.monotonic()
            shown.n, shown.total = step.done, step.total
            note = step.note or ("" if step.loss is None else f"loss {step.loss:.4g}")
            shown.set_postfix_str(note, refresh=True)
        if ends:
            shown.close()
            shown = None  # the next step begins a new bar
        return answer

    return draw
