"""Every control of a panel to its ends, alone: how long does the picture take, what fails, what does not stop?

A control that means nothing at first, such as the file in the world of drawings, is turned where a choice unveils it.
The trap: what is slow the first time may be remembered, so a slow move is made twice before anybody is warned of it.
"""

import io
import threading
import time
from typing import NamedTuple

from lecturekit.progress import Step

SOON = 200  # milliseconds from a move to the picture, or to the first report of work in steps
LINGER = 0.3  # seconds that work in steps goes on after its first report


class Move(NamedTuple):
    """One control turned to one value, all others as the panel began.

    Attributes:
        setting: in words, e.g. ``"layer = conv5"``.
        milliseconds: until the picture was there, or until work in steps first told how far it was.
        again: the same a second time, where the first was slow; else None.
        trouble: the error, or None.
        late: seconds that the work went on after it was asked to stop; 0 if it ended by itself.
    """

    setting: str
    milliseconds: float
    again: float | None
    trouble: Exception | None
    late: float


def walk(name, panel, ctrl_c, watch=None):
    """Turn every control of a panel alone to its ends, and return the `Move`s; the panel is left as it was.

    A control that raises when it is turned is the last one: nobody knows where the others stand after that.
    """
    first, moves, names = panel.settings(), [], list(panel.controls)
    total = sum(len(ends(control)) for control in panel.controls.values())
    veiled = [other for other in names if not seen(panel, other)]
    ways = [({}, other) for other in names if other not in veiled]  # what to choose beforehand, and what to turn
    while ways and not ctrl_c.pressed:
        before, turned = ways.pop(0)
        for words, value in ends(panel.controls[turned]):
            if ctrl_c.pressed:
                break
            values = {**before, turned: value}
            tell(watch, min(len(moves), total - 1), total, f"{name}: {turned} = {words}")
            try:
                moves.append(move(panel, f"{turned} = {words}", values))
                unveiled = [other for other in veiled if seen(panel, other)]  # e.g. the file in the world of files
                back(panel, first)
            except Exception as problem:  # the panel itself catches only what its work raises
                return [*moves, Move(f"{turned} = {words}", 0.0, None, problem, 0.0)]
            ways[:0] = [(values, other) for other in unveiled]
            veiled = [other for other in veiled if other not in unveiled]
    tell(watch, total, total, name)
    return moves


def seen(panel, name):
    """Tell whether a control can be seen; panels hide those that mean nothing under the other settings."""
    return panel.controls[name].layout.display != "none"


def ends(control):
    """Return where a control is turned to, as (words, value): a menu to all of its choices, a slider to both ends."""
    import ipywidgets as widgets

    if isinstance(control, widgets.FileUpload):
        return [("a file", picture_file())]
    if hasattr(control, "options"):
        options = [option if isinstance(option, tuple) else (option, option) for option in control.options]
        chosen = options[:: max(1, len(options) - 1)] if isinstance(control, widgets.SelectionSlider) else options
        return [(str(words), value) for words, value in chosen]
    if hasattr(control, "min") and hasattr(control, "max"):
        return [(str(value), value) for value in (control.min, control.max)]
    if isinstance(control.value, bool):
        return [("off", False), ("on", True)]
    if isinstance(control.value, bytes):
        return [("a photograph", picture_file())]  # as from a camera
    return []


def picture_file():
    """Return the bytes of a picture as a student might bring it: neither square nor small."""
    from PIL import Image

    stream = io.BytesIO()
    Image.linear_gradient("L").resize((640, 360)).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def move(panel, setting, values):
    """Turn a control, wait for the picture or for the first report, and return the `Move`."""
    took, late = timed(panel, values)
    trouble, again = panel.trouble, None
    if took > SOON and trouble is None:
        again, _ = timed(panel, values)
    return Move(setting, took, again, trouble, late)


def timed(panel, values):
    """Return the milliseconds until the panel answered, and the seconds that it worked on after *Stop*."""
    watch = Stopwatch(panel) if panel.steps else None
    try:
        panel.set(**values)
    finally:
        if watch:
            watch.end()
    if watch is None or watch.first is None:
        return panel.milliseconds, 0.0
    return 1000 * (watch.first - watch.began), watch.late()


class Stopwatch:
    """Notes when work in steps first told how far it was, and ends it soon after."""

    def __init__(self, panel):
        self.panel, self.began, self.first, self.stopped = panel, time.monotonic(), None, None
        self.timer = threading.Timer(0, lambda: None)
        panel.stop_button.observe(self.told, names="disabled")  # it comes alive with the first report

    def told(self, event):
        """The button was switched on or off."""
        if self.first is None and not event["new"]:
            self.first = time.monotonic()
            self.timer = threading.Timer(LINGER, self.stop)
            self.timer.daemon = True
            self.timer.start()

    def stop(self):
        """Ask the panel to stop."""
        self.stopped = time.monotonic()
        self.panel.stop()

    def end(self):
        """Stop watching."""
        self.timer.cancel()
        self.ended = time.monotonic()
        self.panel.stop_button.unobserve(self.told, names="disabled")

    def late(self):
        """Return the seconds from the wish to stop to the end."""
        return self.ended - self.stopped if self.stopped else 0.0


def back(panel, settings):
    """Put the controls where they were, without computing anything for it."""
    with panel.together():
        for name, value in settings.items():
            panel.controls[name].value = value


def tell(watch, done, total, note):
    """Report how far the rehearsal is."""
    if watch is not None:
        watch(Step(done, total, note=note))
