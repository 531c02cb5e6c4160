"""Newest wins: many wishes, one worker, and only the last wish counts.

A slider that is dragged sends dozens of events.  Computing each one leaves a queue that the picture crawls through
after the hand has stopped; starting a thread for each lets an old picture overtake a new one.  A `Gate` holds at most
one wish that waits and one job that runs, in one thread of its own:

    wish  -->  [ waits ]  -->  [ runs ]  -->  nothing left: the thread ends
                 ^ a newer one takes its place   ^ is told to stop, if it listens

It does not matter on which thread the wishes arrive: JupyterLab delivers them on the main thread, where they wait for a
running cell, or on others, during it.

The trap: a worker that waits for ever for more to do outlives its panel.  This one ends when nothing is left, and at
the latest when Python does.
"""

import atexit
import threading
import time
import weakref

QUIET = 0.12  # seconds: wishes closer to each other than this are a flood; JupyterLab spreads one to 0.08 s and more
PACE = 0.35  # seconds from one job to the next during a flood: four jobs in a second, the last one included
PATIENCE = 2.0  # seconds that the end of Python waits for a job to stop


class Job:
    """One wish on its way through the gate.

    Attributes:
        wish: whatever was asked for.
        asked: when, on the clock of `time.monotonic`.
        newer: a newer wish came meanwhile.
    """

    def __init__(self, wish, due):
        self.wish, self.due, self.asked = wish, due, time.monotonic()
        self.newer = False
        self._stop = threading.Event()

    def stop(self):
        """Ask the job to end early."""
        self._stop.set()

    @property
    def stopped(self):
        """Whether somebody asked the job to end early; work in steps looks here after each step."""
        return self._stop.is_set()


class Gate:
    """Runs the newest wish in a worker thread.

    Args:
        work: called with a `Job` in the worker thread; handles its own errors.
    """

    def __init__(self, work):
        self._work = work
        self._changed = threading.Condition()
        self._waiting = self._running = self._worker = None
        self._last_wish = self._last_start = -PACE
        GATES.add(self)

    def ask(self, wish, *, at_once=False):
        """Hand in a wish.  It replaces one that waits and asks one that runs to stop.

        A single wish starts at once.  In a flood jobs start every `PACE` seconds, and when it was quiet for `QUIET`.
        """
        with self._changed:
            now = time.monotonic()
            flood = now - self._last_wish < QUIET and not at_once
            self._last_wish = now
            self._waiting = Job(wish, min(now + QUIET, max(now, self._last_start + PACE)) if flood else now)
            if self._running:
                self._running.newer = True
                self._running.stop()
            if self._worker is None:
                self._worker = threading.Thread(target=self._run, name="lecturekit panel", daemon=True)
                self._worker.start()
            self._changed.notify_all()

    def stop(self):
        """Forget the wish that waits and ask the job that runs to stop; returns at once."""
        with self._changed:
            self._waiting = None
            if self._running:
                self._running.stop()
            self._changed.notify_all()

    def wait(self, timeout=None):
        """Wait until nothing waits or runs, and return whether that came about within ``timeout`` seconds."""
        if threading.current_thread() is self._worker:
            return False  # the job itself asks: it would wait for its own end
        with self._changed:
            return self._changed.wait_for(lambda: self._worker is None, timeout)

    @property
    def busy(self):
        """Whether something waits or runs."""
        return self._worker is not None

    def _run(self):
        """Work off wishes until there is none; this is the worker thread."""
        try:
            while job := self._next():
                self._work(job)
        except BaseException:
            with self._changed:  # else the next wish would wait for a worker that is gone
                self._worker = self._running = None
                self._changed.notify_all()
            raise

    def _next(self):
        """Wait until the newest wish is due and return it as a job; None, and no more worker, if there is none."""
        with self._changed:
            while self._waiting and (early := self._waiting.due - time.monotonic()) > 0:
                self._changed.wait(early)
            job, self._waiting = self._waiting, None
            self._running = job
            if job:
                self._last_start = time.monotonic()
            else:
                self._worker = None  # under the lock: a wish that comes now starts a new one
                self._changed.notify_all()
            return job


GATES = weakref.WeakSet()


@atexit.register
def stop_all():
    """Stop every job before Python ends: torch must not be at work in a thread while it is taken down."""
    gates = list(GATES)
    for gate in gates:
        gate.stop()
    deadline = time.monotonic() + PATIENCE
    for gate in gates:
        gate.wait(max(0, deadline - time.monotonic()))
