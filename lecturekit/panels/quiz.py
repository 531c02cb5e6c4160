"""A quiz: look at some pictures, choose one of the options, and be told at once; the score is counted against chance.

Any question will do that has four attributes, such as a `features.Question` or the `Question` of this module::

    pictures    [  what is given  ]
    options     [ A ] [ B ] ...          right: number of the right one, words: what to say afterwards

The trap: whoever may answer again after having been told is always right.  Only the first answer to a question counts.
"""

from typing import NamedTuple

import ipywidgets as widgets
import torch
from torch.nn.functional import pad

from lecturekit import measure
from lecturekit.errors import InputError
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Panel, status
from lecturekit.pixels import check_pixels

LETTERS = "ABCDEFGH"
GIVEN = 300  # pixels a side of the sheet with what is given
GAP = 3  # white pixels between two pictures of that sheet


class Question(NamedTuple):
    """One question of a quiz.

    Attributes:
        pictures: what is given, (n, 3, H, W) in [0, 1].
        options: what to choose from, (k, 3, h, w) in [0, 1].
        right: number of the right option, 0 to k - 1.
        words: what to say when the question has been answered.
    """

    pictures: torch.Tensor
    options: torch.Tensor
    right: int
    words: str = ""


class Score(NamedTuple):
    """How it stands.

    Attributes:
        right: questions answered rightly.
        answered: questions answered.
        chance: share of right answers that guessing would have.
        share: the share of right ones as `measure.Interval`; None before the first answer.
    """

    right: int
    answered: int
    chance: float
    share: measure.Interval | None


class Quiz(Panel):
    """Ask one question after the other; the first answer to each counts.

    From code: ``panel.answer("A")``, ``panel.next()``, ``panel.set(question=2, answer="B")``; ``panel.result`` is a
    `Score`.

    Args:
        questions: a list of questions, all with the same number of options; see the module.
        title: what is asked, in one sentence.
        given: the words above the pictures that are given.
        seed: of the order of the questions; None leaves them as they are.
        settings: where the controls stand at first, e.g. ``question=3``.
    Raises: InputError for questions that cannot be asked.
    """

    def __init__(self, questions, *, title="Which one is it?", given="Given", seed=None, **settings):
        self.questions, options = checked(questions)
        if seed is not None:
            order = torch.randperm(len(self.questions), generator=torch.Generator().manual_seed(seed))
            self.questions = [self.questions[i] for i in order.tolist()]
        self.letters, self.given = LETTERS[:options], {}
        number = knobs.slider("Question", 1, len(self.questions), 1)
        answer = widgets.ToggleButtons(
            options=list(self.letters), value=None, description="Your answer", **knobs.look()
        )
        answer.style.button_width, answer.layout.width = "96px", f"{130 + 104 * options}px"  # on one line
        number.observe(self._turned, names="value")
        answer.observe(self._answered, names="value")
        self.sheet = look.Picture(given, GIVEN)
        self.options = {letter: look.Picture(letter) for letter in self.letters}
        self.verdict = widgets.HTML()
        strip = look.Strip([self.sheet, *self.options.values()], title)
        super().__init__({"question": number, "answer": answer}, [strip])
        self._answers_below()
        self.begin(settings)

    def answer(self, letter):
        """Answer the present question, and return the panel.  Raises: InputError for a letter that is no option."""
        return self.set(answer=letter)

    def next(self):
        """Go to the next question that has no answer yet, and return the panel; where there is none, stay."""
        here = self.controls["question"].value
        numbers = range(1, len(self.questions) + 1)
        waiting = [number for number in numbers if number not in self.given]
        later = [number for number in waiting if number > here]
        return self.set(question=(later or waiting or [here])[0])

    def reset(self):
        """Forget all answers and go back to the first question."""
        self.given.clear()
        super().reset()

    def compute(self, settings, watch):
        """Return the `Score` so far."""
        marks = [self.letters.index(a) == self.questions[number - 1].right for number, a in self.given.copy().items()]
        share = measure.proportion(sum(marks), len(marks)) if marks else None
        return Score(sum(marks), len(marks), 1 / len(self.letters), share)

    def show(self, result, settings):
        """Paint the question, and what there is to say about the answer if it has one."""
        number = settings["question"]
        question, given = self.questions[number - 1], self.given.get(number)
        self.sheet.paint(look.enlarged(sheet(question.pictures), GIVEN), f"question {number} of {len(self.questions)}")
        for i, (letter, picture) in enumerate(self.options.items()):
            words = [*["the right one"] * (i == question.right), *["your answer"] * (letter == given)] if given else []
            picture.paint(look.enlarged(question.options[i : i + 1]), ", ".join(words))
        self.said = " ".join(filter(None, (self._verdict(question, given), standing(result))))
        self.verdict.value = status(self.said)

    def _verdict(self, question, given):
        """Return whether the answer was right, in words; an invitation before it was given."""
        if given is None:
            return f"Choose {' or '.join(self.letters)}."
        right = self.letters[question.right]
        return f"{'Right' if given == right else 'Wrong'}: it is {right}. {question.words}".strip()

    def alternative_text(self):
        """Return in words what the pictures show and how it stands."""
        return "; ".join(filter(None, (self.strips[0].heading, super().alternative_text(), self.said)))

    def _turned(self, event):
        """Another question is shown: with the answer that it has, or none."""
        with self.together():
            self.controls["answer"].value = self.given.get(event["new"])

    def _answered(self, event):
        """Keep the first answer, and go back to it after a second one."""
        if event["new"] is not None:
            with self.together():
                self.controls["answer"].value = self.given.setdefault(self.controls["question"].value, event["new"])

    def _answers_below(self):
        """Move the answers below the pictures, where the eyes are."""
        style, top, says, pictures, foot = self.children
        top.children = [self.controls["question"]]
        forward = knobs.button("Next question", "Go to the next question without an answer", self.next)
        self.children = [style, top, says, pictures, look.row(self.controls["answer"], forward), self.verdict, foot]


def standing(score):
    """Return a score in words."""
    if not score.answered:
        return f"Guessing is right in {score.chance:.0%} of the questions."
    share = f"{score.share.estimate:.0%} (95 % interval {score.share.low:.0%} to {score.share.high:.0%})"
    return f"So far {score.right} of {score.answered} right, {share}; guessing gives {score.chance:.0%}."


def sheet(x):
    """Return pictures (n, 3, H, W) as one, (1, 3, H', W'), in rows that make it about square."""
    columns = next(c for c in range(1, len(x) + 1) if c * c >= len(x))
    missing = -len(x) % columns
    cells = pad(torch.cat([x, x.new_ones(missing, *x.shape[1:])]), (0, GAP, 0, GAP), value=1)
    cells = cells.unflatten(0, (-1, columns)).permute(2, 0, 3, 1, 4)  # (3, rows, H, columns, W)
    whole = cells.flatten(3).flatten(1, 2)
    return whole[None, :, :-GAP, :-GAP]


def checked(questions):
    """Return the questions as a list and the number of options that all of them have."""
    questions = list(questions)
    if not questions:
        raise InputError("a quiz needs one question at least")
    for number, question in enumerate(questions, start=1):
        for name in ("pictures", "options"):
            check_pixels(getattr(question, name), f"{name} of question {number}")
    counts = sorted({len(question.options) for question in questions})
    if len(counts) > 1 or not 2 <= counts[0] <= len(LETTERS):
        raise InputError(f"all questions need the same number of options, 2 to {len(LETTERS)}, got {counts}")
    wrong = [n for n, question in enumerate(questions, start=1) if question.right not in range(counts[0])]
    if wrong:
        raise InputError(f"right is the number of an option, 0 to {counts[0] - 1}; it is not in questions {wrong}")
    return questions, counts[0]
