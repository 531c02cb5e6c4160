"""How long work talks to whoever waits for it: one small report, and one word to stop.

Every long function of the library takes ``watch``, a function that is called now and then with a `Step`.  A notebook
passes a progress bar, a panel passes a function that repaints the picture, a test passes a list's ``append``.  Whoever
watches may return `STOP`; the work then ends early and hands back the best it has, marked ``complete=False``.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

STOP = "stop"


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


def bar(description):
    """Return a watch that draws a progress bar: in a notebook as a widget, in a terminal as text."""
    from tqdm.auto import tqdm  # imported late: a tenth of a second, and only waiting people need it

    shown = tqdm(desc=description, leave=False)

    def watch(step):
        shown.total, shown.n = step.total, step.done
        shown.set_postfix_str(step.note or (f"loss {step.loss:.4g}" if step.loss is not None else ""), refresh=False)
        shown.refresh() if step.done in (0, step.total) else shown.update(0)
        if step.done >= step.total:
            shown.close()

    return watch
