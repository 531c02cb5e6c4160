"""What all panels share: controls on top, pictures below, one worker, and words for everything that can go wrong.

A panel is written as three functions and inherits the rest::

    compute(settings, watch) -> result     in the worker thread; may report steps to ``watch``
    show(result, settings)                 paints the pictures
    live(picture)                          paints what a step carries, while the work goes on

    control moved -> settings -> `gate.Gate`: newest wins -> compute -> show
                                                      error -> a sentence in the panel; the controls stay alive

Panels are driven by hand or from code, with the same effect::

    panel = panels.Invert(layer="conv3")
    panel.set(layer="fc6", restarts=4)         # waits until the picture is there
    panel.result.feature_error

The trap: callbacks come on any thread, and pyplot belongs to one.  Nothing here draws with it; pictures are PNG bytes.
"""

import base64
import collections
import contextlib
import html
import threading
import time
import types

import ipywidgets as widgets
import torch

from lecturekit.errors import LectureError, unknown
from lecturekit.panels import controls as knobs
from lecturekit.panels.gate import Gate
from lecturekit.panels.look import STYLE, row
from lecturekit.panels.snapshot import snapshot
from lecturekit.progress import STOP, Step

TICK = 0.1  # seconds between two repaints of work in progress: more often only slows the work down


class Panel(widgets.VBox):
    """The base of all panels; it shows itself when it is the last line of a notebook cell.

    Args:
        controls: the controls by the name that `set` knows them under, those that others depend on first.
        strips: the pictures, each a `look.Strip`.
        steps: what the work counts, e.g. ``"evaluations"``, if it takes longer than a blink and can be stopped.
        steps_if: the name of the box to tick for such work; without it the knobs for it are hidden.

    Attributes:
        trouble: the error of the latest computation, or None.
        milliseconds: from the latest event until the picture was handed to the browser.
    """

    def __init__(self, controls, strips, steps=None, steps_if=None):
        self.controls, self.strips, self.steps, self.steps_if = dict(controls), strips, steps, steps_if
        self.trouble, self.milliseconds = None, 0.0
        self._result, self._muted, self._lock = None, 0, threading.RLock()
        self._gate = Gate(self._work)
        self._says, self._heard = widgets.HTML(layout=widgets.Layout(display="none")), widgets.HTML()
        self._turned = None
        self._pictures = widgets.VBox(list(strips))
        self._pictures.add_class("lk-strip")
        top = row(*self.controls.values(), kind="lk-controls")
        super().__init__([widgets.HTML(STYLE), top, self._says, self._pictures, self._foot()])
        self.layout.overflow = "visible"
        self.add_class("lk-panel")
        for control in self.controls.values():
            control.observe(self._moved, names="value")

    def begin(self, settings):
        """Put the controls where the panel starts, and compute for the first time; the last line of every panel."""
        self.set(**settings)
        self._first = self.settings()

    # What a panel has to say for itself

    def compute(self, settings, watch):
        """Return what ``settings`` ask for; called in the worker thread, must not touch widgets."""
        raise NotImplementedError

    def show(self, result, settings):
        """Paint the pictures that the settings asked for."""
        raise NotImplementedError

    def live(self, picture):
        """Paint what a step of the work carries; a panel whose work has no steps needs none."""

    # For whoever drives it

    def set(self, **values):
        """Turn controls from code, wait until the pictures are there, and return the panel.

        Raises: InputError for a control or a value that does not exist; everything else stands in `trouble`.
        """
        for name in values:
            if name not in self.controls:
                raise unknown("control", name, self.controls)
        with self.together():
            before = self.settings()
            try:
                for name in self.controls:
                    if name in values:
                        knobs.put(name, self.controls[name], values[name])
            except BaseException:
                for name, control in self.controls.items():
                    control.value = before[name]
                raise
        return self.refresh()

    def refresh(self):
        """Compute again with the present settings, wait for it, and return the panel; Ctrl-C stops the work."""
        self._gate.ask(self.settings(), at_once=True)
        try:
            self.wait()
        except KeyboardInterrupt:
            self.stop()
            self.wait()
        return self

    def reset(self):
        """Put every control back to where it was when the panel appeared."""
        with self.together():
            for name, value in self._first.items():
                self.controls[name].value = value
        self._ask()

    def settings(self):
        """Return what all controls say, by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def result(self):
        """What was computed last; waits for work in progress.

        Raises: the error that the panel shows, if there is one.
        """
        self.wait()
        if self.trouble is not None:
            raise self.trouble
        return self._result

    def stop(self):
        """End the work as soon as it looks up; the best so far is shown."""
        self._gate.stop()

    def wait(self, timeout=None):
        """Wait until the panel has nothing to do; return whether that came about within ``timeout`` seconds."""
        return self._gate.wait(timeout)

    def close(self):
        """Stop the work and take the panel and everything in it away."""
        if hasattr(self, "_gate"):  # a panel that could not be built has none, and is closed by Python all the same
            self._gate.stop()
        for widget in walk_through(self):
            if widget is not self:
                widget.close()
        super().close()

    @contextlib.contextmanager
    def together(self):
        """Let several controls change as one event: nothing is computed inside this block."""
        with self._lock:
            self._muted += 1
            try:
                yield
            finally:
                self._muted -= 1

    # What a reader without a kernel sees

    def alternative_text(self):
        """Return in words what the pictures show, for screen readers and plain text."""
        words = [self._trouble_in_words()] if self.trouble else []
        for strip in self._shown():
            words += [picture.words() for picture in strip.pictures if picture.seen]
        return "; ".join(words)

    def snapshot(self):
        """Return the pictures with titles and captions as PNG bytes."""
        return snapshot(self._shown(), self._trouble_in_words())

    def _repr_mimebundle_(self, **kwargs):
        self.wait()
        data, words = super()._repr_mimebundle_(**kwargs) or {}, self.alternative_text()
        data["text/plain"], data["image/png"] = words, base64.b64encode(self.snapshot()).decode()
        return data, {"image/png": {"alt": words}}

    # How it works

    def _moved(self, event):
        """A control has a new value: by hand, or by `set`, which asks for all of its changes at once."""
        if not self._muted:
            self._turned = event["owner"]
            self._ask()

    def _ask(self):
        with self._lock:
            self._gate.ask(self.settings())

    def _work(self, job):
        """Compute and paint one job; this runs in the worker thread."""
        began, told = time.monotonic(), Telling(self, job)
        try:
            result = self.compute(job.wish, told)
            if told.cut_short and job.newer:
                return  # half a picture of settings that nobody wants any more
            self.show(result, job.wish)
            self._result, trouble = result, None
        except Exception as problem:  # lost in a log otherwise, and the panel would look alive and be wrong
            trouble = problem
        self._say(trouble)
        self._read_out()
        self.milliseconds = 1000 * (time.monotonic() - job.asked)
        if self.steps:
            told.end(time.monotonic() - began)
        if self._clock.value:
            self._time.value = f"<div class='lk-status'>{self.milliseconds:.0f} ms</div>"

    def _say(self, trouble):
        """Show an error in words, or take the words away; pictures that do not belong to the settings turn pale."""
        if trouble is None and self.trouble is None:
            return
        self.trouble = trouble
        if trouble is None:
            self._pictures.remove_class("lk-stale")
        else:
            self._pictures.add_class("lk-stale")
            self._says.value = f"<div class='lk-says' role='alert'>{html.escape(self._trouble_in_words())}</div>"
        self._says.layout.display = hidden_unless(trouble)
        self._pictures.layout.display = hidden_unless(self._shown())

    def _read_out(self):
        """Tell a screen reader which control was turned and what is seen now: a slider cannot say its own name."""
        turned = knobs.spoken(self._turned) if self._turned else ""
        seen = "" if self.trouble else self.alternative_text()  # what went wrong is an alert already
        words = html.escape(". ".join(filter(None, (turned, seen))))
        self._heard.value = f"<div class='lk-heard' role='status'>{words}</div>"

    def _trouble_in_words(self):
        """Return what went wrong as a sentence; nothing if nothing did."""
        if self.trouble is None:
            return ""
        if not isinstance(self.trouble, LectureError):
            return f"A fault of this panel, please report it: {type(self.trouble).__name__}: {self.trouble}"
        words = str(self.trouble)
        return words[:1].upper() + words[1:]

    def _shown(self):
        """Return the strips that can be seen; none before the first picture is there."""
        return [strip for strip in self.strips if strip.seen and any(p.png for p in strip.pictures)]

    def _foot(self):
        """Return the line below the pictures: run, stop, progress, reset, milliseconds."""
        self._clock, self._time = knobs.tick("show milliseconds"), widgets.HTML()
        self._clock.observe(self._switch_clock, names="value")
        line = [knobs.button("Reset", "Put every control back to where it was", self.reset), self._clock, self._time]
        line.append(self._heard)
        if not self.steps:
            return row(*line)
        self.stop_button = knobs.button("■ Stop", "End the work; the best so far stays", self.stop)
        self.start_button = knobs.button("▶ Start", "Compute with these settings", self._ask)
        self.stop_button.disabled = True
        self._bar, self._status = widgets.IntProgress(layout=widgets.Layout(width="220px")), widgets.HTML()
        working = [self.start_button, self.stop_button, self._bar, self._status]
        if self.steps_if:
            for widget in working:
                widgets.dlink((self.controls[self.steps_if], "value"), (widget.layout, "display"), hidden_unless)
        return row(*working, *line)

    def _switch_clock(self, event):
        self._time.value = f"<div class='lk-status'>{self.milliseconds:.0f} ms</div>" if event["new"] else ""


class Telling:
    """The `watch` of one job: moves the progress bar, paints what a step carries, and passes on the wish to stop."""

    def __init__(self, panel, job):
        self.panel, self.job = panel, job
        self.cut_short, self.step = False, None
        self._began, self._picture = time.monotonic(), None
        self._due = self._began + TICK  # what is over by then needs no bar; whoever knows better reports a step 0

    def __call__(self, step):
        """Take one report; return `STOP` if the job is to end."""
        self.step = step
        if self.job.stopped:
            self.cut_short = True
            return STOP
        if step.picture is not None:
            self._picture = step.picture
        now = time.monotonic()
        if self.panel.steps and (now >= self._due or not step.done):
            self._due = now + TICK
            self._tell(step, now - self._began)
        return None

    def _tell(self, step, seconds):
        panel = self.panel
        panel.stop_button.disabled = False
        panel._bar.max, panel._bar.value = step.total, step.done
        panel._status.value = status(f"{step.done} of {step.total} {panel.steps}, {seconds:.1f} s", step.note)
        if self._picture is not None:
            panel.live(self._picture)
            self._picture = None

    def end(self, seconds):
        """Leave bar, button and words as they are to stay until the next job."""
        panel, step = self.panel, self.step
        panel.stop_button.disabled = True
        if step is None:
            panel._bar.value, panel._status.value = 0, status("")
        elif self.cut_short:
            words = f"stopped after {step.done} of {step.total} {panel.steps}, {seconds:.1f} s: the best so far"
            panel._bar.value, panel._status.value = step.done, status(words)
        else:
            panel._bar.max = panel._bar.value = step.total
            panel._status.value = status(f"{step.total} {panel.steps} in {seconds:.1f} s")


class Part:
    """A `watch` for one piece of work among several: counts on where the one before ended."""

    def __init__(self, watch, done, total, note):
        self.watch, self.done, self.total, self.note = watch, done, total, note

    def __call__(self, step):
        """Pass a step on, counted over all pieces, without its picture."""
        return self.watch(Step(self.done + step.done, self.total, step.loss, note=self.note))


class Memory:
    """The latest results by what they depend on, so that going back to a setting costs nothing.

    Args:
        most: how many are kept.
        megabytes: how large they may be together; the newest is kept in any case.
    """

    def __init__(self, most=100, megabytes=64):
        self.most, self.room, self._lock = most, 1e6 * megabytes, threading.Lock()
        self._kept, self._sizes = collections.OrderedDict(), {}

    def recall(self, key):
        """Return what is kept under ``key``, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key, result):
        """Keep a result, forget those that were not asked for the longest, and return the result."""
        size = weight((key, result), set())
        with self._lock:
            self._kept[key], self._sizes[key] = result, size
            self._kept.move_to_end(key)
            while len(self._kept) > self.most or (len(self._kept) > 1 and sum(self._sizes.values()) > self.room):
                oldest, _ = self._kept.popitem(last=False)
                del self._sizes[oldest]
        return result


def weight(thing, met):
    """Return how many bytes of tensors hang on a result; what was ``met`` does not count again, and networks never."""
    name = thing.untyped_storage().data_ptr() if isinstance(thing, torch.Tensor) else id(thing)
    if name in met or isinstance(thing, torch.nn.Module | type | types.ModuleType | types.FunctionType):
        return 0
    met.add(name)
    if isinstance(thing, torch.Tensor):
        return thing.untyped_storage().nbytes()
    if isinstance(thing, bytes):
        return len(thing)
    parts = thing if isinstance(thing, dict) else getattr(thing, "__dict__", {})
    return sum(weight(part, met) for part in (thing if isinstance(thing, list | tuple) else parts.values()))


def status(words, note=""):
    """Return words for the line below the pictures as HTML that a screen reader reads out."""
    return f"<div class='lk-status' role='status'>{html.escape(' · '.join(filter(None, (words, note))))}</div>"


def hidden_unless(wanted):
    """Return how a widget is displayed that is wanted or not."""
    return "" if wanted else "none"


def walk_through(widget):
    """Yield a widget and everything in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk_through(child)
