"""A task: ask a student's function, compare what came with what is right, and name the likely mistake.

::

    FGSM = Task("fgsm", "One step of ε along the sign of the gradient, inside [0, 1].",
                right=fgsm, cases=pictures_and_labels,
                mistakes=[Mistake("the sign is missing: ...", without_sign), ...])

    FGSM(students_fgsm)               # visible check: one case, yours beside the target
    FGSM(students_fgsm, trials=20)    # hidden check: the same question, twenty other inputs

A mistake is written down as *what a student who makes it computes*.  If the answer equals that, the hint is not a
guess.  The checks only need something that can be asked, so the same task judges a function in the notebook and one
behind the wall of the sandbox (`remote`).

The trap: comparing with ``==`` or ``assert`` where a student's objects take part.  Everything is turned into plain
tensors and numbers first.
"""

import contextlib
import contextvars
import dataclasses
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from lecturekit.course import plain
from lecturekit.course.beside import beside
from lecturekit.course.given import built
from lecturekit.errors import InputError, LectureError

SEED = contextvars.ContextVar("seed", default=0)  # of the inputs; the grader chooses one that nobody knows
SAME_PLACES = 3  # digits of the numbers in a message


class Mistake(NamedTuple):
    """What goes wrong often: the hint, and what somebody who makes the mistake computes."""

    hint: str
    wrong: Callable


class Wrong(LectureError, AssertionError):
    """An answer that is not right: the question, what came, and a hint."""

    def __init__(self, question, came, hint):
        self.question, self.came, self.hint = question, came, hint
        super().__init__(f"{question}\n  What came: {came}\n  Hint: {hint}")

    def _render_traceback_(self):
        """Tell IPython to print the words alone: where in the check it was noticed helps nobody."""
        return ["Not yet right.", str(self)]


class Answer(NamedTuple):
    """What a function said when it was asked.

    Attributes:
        value: plain data.
        changed: which of its arguments it changed in place, counted from 0.
        trouble: what it raised, as ``(kind, words)``, or None.
    """

    value: Any
    changed: tuple = ()
    trouble: tuple | None = None


class Passed:
    """A check that was passed; it says so as the last line of a cell."""

    def __init__(self, task, trials):
        self.task, self.trials = task, trials

    def __repr__(self):
        inputs = "one input" if self.trials == 1 else f"{self.trials} inputs"
        return f"✓ {self.task.name}: right for {inputs}"


@dataclasses.dataclass(frozen=True)
class Task:
    """A question to a function.

    Attributes:
        name: of the function.
        question: what is asked, one sentence.
        right: the reference, called with the arguments; None if there is more than one right answer.
        cases: a `torch.Generator` to the arguments of one trial, fresh ones each time.
        mistakes: list of `Mistake`, the commonest first.
        judge: ``judge(value, *arguments)`` for questions with many right answers: returns None, or (what came, hint).
        rtol, atol: how far numbers may be off.
    """

    name: str
    question: str
    cases: Callable
    right: Callable | None = None
    mistakes: tuple = ()
    judge: Callable | None = None
    rtol: float = 1e-4
    atol: float = 1e-5

    def __call__(self, function, trials=1):
        """Ask ``function`` as often as ``trials`` says, and return `Passed`.

        Raises: Wrong with the question, what came, the largest difference, and one hint.
        """
        if not hasattr(function, "ask"):
            function = Local(function, self.name)
        for k in range(trials):
            arguments = self.cases(torch.Generator().manual_seed(1_000_003 * SEED.get() + k))
            self.try_one(function, arguments, first=k == 0)
        return Passed(self, trials)

    def try_one(self, function, arguments, first):
        """Ask once."""
        answer = function.ask(arguments)
        if answer.trouble:
            raise Wrong(self.question, *in_words(answer.trouble))
        if answer.changed:
            which = ", ".join(self.names()[i] for i in answer.changed)
            raise Wrong(self.question, f"the function changed {which} in place",
                        "work on a copy: `x.clone()`, or `x + step` instead of `x += step`")  # fmt: skip
        if self.judge is not None:
            found = judged(self.judge, answer.value, *built(arguments))
            if found:
                came, hint = found
                raise Wrong(self.question, came, self.likely(answer.value, arguments) or hint)
            return
        target = self.right(*built(arguments))
        if first:
            beside(answer.value, target)
        different = difference(answer.value, target, self.rtol, self.atol)
        if different:
            raise Wrong(
                self.question,
                different,
                self.likely(answer.value, arguments) or self.guess(function, answer, arguments),
            )

    def likely(self, value, arguments):
        """Return the hint of the mistake that computes just this value, or None."""
        for mistake in self.mistakes:
            with contextlib.suppress(Exception):  # a mistake may be impossible on these arguments
                if difference(value, mistake.wrong(*built(arguments)), self.rtol, self.atol) is None:
                    return mistake.hint
        return None

    def guess(self, function, answer, arguments):
        """Return a hint for a mistake that nobody thought of: ask once more, something else."""
        if answer.value is None:
            return "the function returns nothing: is `return` missing?"
        if isinstance(answer.value, list | tuple) and len(answer.value) == 1:
            return "the answer stands in a list or a tuple: take it out with `[0]`"
        for name, argument in zip(self.names(), arguments, strict=False):
            if isinstance(argument, torch.Tensor) and difference(answer.value, argument, 0, 0) is None:
                return f"this is `{name}` as it came in, unchanged"
        other = self.cases(torch.Generator().manual_seed(1_000_003 * SEED.get() + 999))
        again = function.ask(other)
        if again.trouble is None and difference(again.value, answer.value, 0, 0) is None:
            return "the answer is the same whatever comes in: it must be computed from the arguments"
        return "take the smallest example that you can compute by hand, and print every intermediate result"

    def names(self):
        """Return the names of the arguments, as the reference has them."""
        return list(inspect.signature(self.right or self.judge).parameters)[0 if self.right else 1 :]


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A question whose answer is a thing that can be verified: an adversarial picture, the index of a dead filter.

    Attributes:
        name: of the variable.
        question: what is asked.
        judge: the value to None if it is right, or to (what came, hint).
    """

    name: str
    question: str
    judge: Callable

    def __call__(self, value):
        """Verify a value and return `Passed`.

        Raises: Wrong.
        """
        if hasattr(value, "fetch"):
            answer = value.fetch()
            if answer.trouble:
                raise Wrong(self.question, *in_words(answer.trouble))
            value = answer.value
        elif value is not Ellipsis:
            try:
                value = plain.loads(plain.dumps(value))
            except InputError as problem:
                raise Wrong(self.question, str(problem), f"put the answer itself into `{self.name}`") from None
        if value is None or value is Ellipsis:
            raise Wrong(self.question, f"`{self.name}` is still empty", "fill it in, and run its cell before this one")
        if found := judged(self.judge, value):
            raise Wrong(self.question, *found)
        return Passed(self, 1)


def judged(judge, value, *arguments):
    """Return what a judge says of a value; one that is so odd that it cannot be judged is wrong."""
    try:
        return judge(value, *arguments)
    except Exception as problem:
        came = f"{plain.article(value)} that cannot be judged ({type(problem).__name__}: {str(problem)[:200]})"
        return came, "compare its kind and its shape with what is asked"


class Local:
    """A student's function in the notebook's own kernel."""

    def __init__(self, function, name):
        self.function, self.name = function, name

    def ask(self, arguments):
        """Call it with arguments of its own, and return an `Answer`."""
        return asked(self.function, arguments)


def asked(function, arguments):
    """Call a function with freshly built arguments and return an `Answer` of plain data; nothing is raised.

    This runs on the student's side of the wall.
    """
    if not callable(function):
        return Answer(None, trouble=("TypeError", f"{plain.article(function)} cannot be called"))
    mine = built(copied(arguments))
    before = [copied(one) for one in mine]
    try:
        with torch.enable_grad():
            value = plain.loads(plain.dumps(function(*mine)))
    except Exception as problem:
        return Answer(None, trouble=(type(problem).__name__, str(problem)[:2000]))
    changed = tuple(i for i, pair in enumerate(zip(mine, before, strict=True)) if moved(*pair))
    return Answer(value, changed)


def copied(value):
    """Return a copy of tensors, in lists too; other things are the same."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    return type(value)(copied(one) for one in value) if isinstance(value, list | tuple) else value


def moved(now, before):
    """Return whether a tensor, or one in a list, is no longer what it was."""
    if isinstance(now, torch.Tensor):
        return not torch.equal(now.detach(), before)
    if not isinstance(now, list | tuple):
        return False
    return len(now) != len(before) or any(moved(*pair) for pair in zip(now, before, strict=True))


HINTS = {
    "NotImplementedError": "the stub is still empty: replace `raise NotImplementedError` by your solution",
    "NameError": "the name is not defined: run the cells from the top, and mind the spelling",
    "InputError": "return numbers or tensors",
    "TypeError": "compare the arguments with those of the stub: their order and number must stay",
    "RuntimeError": "print the shapes just before this line",
    "TimeoutError": "there is a loop that does not end, or one over pixels where a tensor operation would do",
    "MemoryError": "something grows with every step: keep numbers, not graphs (`loss.item()`, `.detach()`)",
}


def in_words(trouble):
    """Return (what came, hint) for what a function raised."""
    kind, words = trouble
    if kind == "NotImplementedError":
        return "nothing yet", HINTS[kind]
    return f"{kind}: {words}" if words else kind, HINTS.get(kind, "read the last line of the message first")


def difference(value, target, rtol, atol):
    """Return in words how a value differs from the right one, or None if it does not.

    Both are plain data; numbers may be off by ``atol + rtol · |target|``.
    """
    if isinstance(target, torch.Tensor):
        return tensors_differ(value, target.detach(), rtol, atol)
    if isinstance(target, bool | str) or target is None:
        return None if type(value) is type(target) and value == target else f"{shown(value)} instead of {shown(target)}"
    if isinstance(target, int | float):
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{plain.article(value)} instead of a number"
        right = math.isclose(value, target, rel_tol=rtol, abs_tol=atol)
        return None if right else f"{value:.6g} instead of {target:.6g}"
    if isinstance(target, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(target):
            return f"{plain.article(value)} instead of {len(target)} values"
        for i, pair in enumerate(zip(value, target, strict=True)):
            if found := difference(*pair, rtol, atol):
                return f"value {i + 1} of {len(target)}: {found}"
        return None
    raise TypeError(f"a task cannot compare {type(target).__name__}")


def tensors_differ(value, target, rtol, atol):
    """Return in words how a tensor differs from the right one, or None."""
    if not isinstance(value, torch.Tensor):
        return f"{plain.article(value)} instead of a tensor of shape {tuple(target.shape)}"
    if value.shape != target.shape:
        return f"shape {tuple(value.shape)} instead of {tuple(target.shape)}"
    value, target = value.double(), target.double()
    if not value.isfinite().all() and target.isfinite().all():
        return f"{int((~value.isfinite()).sum())} of {value.numel()} numbers are infinite or not a number"
    if not torch.equal(value.isnan(), target.isnan()):
        return "numbers that are not a number stand in other places"
    off = (value - target).abs().nan_to_num(0)  # infinite alike: nothing
    if (off <= atol + rtol * target.abs().nan_to_num(0, posinf=0)).all():
        return None
    place = [int(i) for i in torch.unravel_index(off.argmax(), off.shape)]
    at = f" at {place}" if place else ""
    return (
        f"the largest difference is {off.max():.{SAME_PLACES}g}{at}: {value[tuple(place)]:.{SAME_PLACES}g} "
        f"instead of {target[tuple(place)]:.{SAME_PLACES}g}"
    )


def shown(value):
    """Return a short value as it is, and the kind of a long one."""
    words = repr(value)
    return words if len(words) < 60 else plain.article(value)


@contextlib.contextmanager
def seeded(seed):
    """Let all checks in this block draw their inputs from ``seed``."""
    token = SEED.set(seed)
    try:
        yield
    finally:
        SEED.reset(token)
