"""Four attacks in a row, each on what the others left: the number to report, in the spirit of AutoAttack.

One attack measures itself as much as the network.  Four that fail for different reasons are hard to fool all at once::

    all pictures --> APGD-CE --> APGD-T --> DeepFool --> Square --> what still stands is robust, so far
                     gradient    scale-free  smallest     no
                     of CE       targeted    change       gradient

=========  =======================================================================================================
APGD-CE    climbs the cross-entropy, the strongest single attack on most networks
APGD-T     climbs the targeted ``dlr`` toward each of the likeliest other classes: blind to the scale of the logits
DeepFool   looks for the smallest change; what it finds counts if it lies in the ball.  AutoAttack uses FAB here
Square     never asks for a gradient; it should find next to nothing that the others missed
=========  =======================================================================================================

No settings are tuned for a network; that is what makes the number comparable.  It also means that a network which does
something unusual is measured badly, and so the result raises five flags of doubt about itself.

The trap: the number is an upper bound.  Robust accuracy can only fall when somebody attacks better.

Source: Croce & Hein 2020, arXiv:2003.01690, section 5; the flags are those of its code (``fra31/auto-attack``).  A
network that answers in probabilities, the sixth of theirs, is refused by every attack here.
"""

import dataclasses
import sys
from typing import NamedTuple

import torch

from lecturekit.attacks.apgd import apgd, apgd_targeted
from lecturekit.attacks.deepfool import deepfool
from lecturekit.attacks.evidence import moved_between_calls
from lecturekit.attacks.gradient import EPS, kept, slope
from lecturekit.attacks.guard import attacking, check_steps
from lecturekit.attacks.masking import MOVED
from lecturekit.attacks.result import Adversarial, judge
from lecturekit.attacks.scores import cross_entropy, dlr, margin
from lecturekit.attacks.square import square
from lecturekit.attacks.threat import L2, ROUNDING, Linf
from lecturekit.attacks.transfer import part_of
from lecturekit.errors import InputError
from lecturekit.tables import Table

SUSPICIOUS = 0.002  # of all pictures; if Square adds more, the gradients were misleading


class Stage(NamedTuple):
    """One attack of the ensemble.

    Attributes:
        attack: its name.
        tried: pictures that still stood when it began.
        misled: how many of them it misled.
        left: how many stand after it.
        gradients, queries: of all these pictures together.
    """

    attack: str
    tried: int
    misled: int
    left: int
    gradients: int
    queries: int


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """What four attacks together found.

    Attributes:
        found: the `Adversarial` of all pictures; ``found.accuracy`` is the robust accuracy, with its interval.
        stages: a table of `Stage`.
        flags: sentences that say why the number should be doubted; empty if nothing is known against it.
    """

    found: Adversarial
    stages: Table
    flags: tuple[str, ...]

    @property
    def accuracy(self):
        """The share of all pictures that stand against all four, a `measure.Interval`."""
        return self.found.accuracy

    def __str__(self):
        """Return the table, the robust accuracy, and every doubt."""
        stop = "" if self.found.complete else ", STOPPED before its end"
        result = f"robust accuracy within {self.found.ball}: {self.accuracy}, {len(self.found)} pictures{stop}"
        return "\n".join([repr(self.stages), result, *(f"! {flag}" for flag in self.flags)])


def ensemble(model, x, y, *, ball=EPS, steps=100, targets=9, queries=5000, seed=0, watch=None):
    """Attack with APGD-CE, APGD-T, DeepFool and Square, each only on the pictures that still stand.

    Args:
        model, x, y: see `gradient.fgsm`.
        ball: `Linf` or `L2`.
        steps: of each run of APGD.
        targets: runs of APGD-T, one for each of the likeliest wrong classes; never more than there are.
        queries: of Square, for each picture.
        seed: of all of them.
        watch: see `lecturekit.progress`; told the steps of each run in turn.  Ctrl-C works as well.
    Returns: `Ensemble`.
    Raises: InputError for another ball or counts that make no sense; InputError, ModelError: see `guard`.
    """
    for count, name in ((steps, "steps"), (targets, "targets"), (queries, "queries")):
        check_steps(count, name)
    if not isinstance(ball, Linf | L2):
        raise InputError(f"the ensemble knows the balls Linf and L2 but got {ball}")
    logits, flags = first_doubts(model, x, y)
    board = Board(x, y, ball, left=logits.argmax(1) == y)
    runs = plan(model, logits.shape[1], ball, steps, targets, queries, seed)
    for number, (name, attack) in enumerate(runs.items()):
        rows = board.left.nonzero().flatten()
        if not len(rows):
            break
        found = attack(kept(x, rows), y[rows], part_of(watch, number, len(runs), name))
        board.enter(name, rows, found)
        if not found.complete:
            break
    total = judge(
        model, x, board.x, y, attack="ensemble", ball=ball, gradients=board.gradients, queries=board.queries, seed=seed,
        complete=board.complete,
    )  # fmt: skip
    return Ensemble(total, Table(board.stages, Stage._fields), (*flags, *last_doubts(board.stages, len(x))))


def plan(model, classes, ball, steps, targets, queries, seed):
    """Return what is run, in order: {name: function of pictures, their classes and a watch}."""
    how = {"ball": ball, "seed": seed}
    score = dlr if classes >= 4 else margin  # with fewer there is no targeted dlr
    return {
        "APGD-CE": lambda x, y, watch: apgd(model, x, y, steps=steps, watch=watch, **how),
        "APGD-T": lambda x, y, watch: apgd_targeted(
            model, x, y, steps=steps, targets=targets, score=score, watch=watch, **how
        ),
        "DeepFool": lambda x, y, watch: deepfool(model, x, y, norm=type(ball), classes=min(10, classes), watch=watch),
        "Square": lambda x, y, watch: square(model, x, y, queries=queries, watch=watch, **how),
    }


class Board:
    """Who still stands, and what each attack did.

    Attributes:
        x: (N, C, H, W), misled pictures where there are some, the clean ones elsewhere.
        left: (N,) bool, who still stands.
        gradients, queries: (N,), over all attacks.
        stages: a list of `Stage`.
        complete: False if an attack was stopped.
    """

    def __init__(self, x, y, ball, left):
        self.x, self.y, self.ball, self.left = x.clone(), y, ball, left.clone()
        self.gradients, self.queries = torch.zeros_like(y), torch.zeros_like(y)
        self.stages, self.complete = [], True

    def enter(self, name, rows, found):
        """Enter what an attack did to the pictures ``rows``; a picture outside the ball is none."""
        limit = self.ball.eps + ROUNDING * max(1, self.ball.eps)
        fell = (found.logits.argmax(1) != self.y[rows]) & (self.ball.size(found.delta) <= limit)
        self.x[rows[fell]] = found.x[fell]
        self.left[rows[fell]] = False
        self.gradients[rows] += found.gradients.to(rows.device)
        self.queries[rows] += found.queries.to(rows.device)
        self.complete = self.complete and found.complete
        spent = int(found.gradients.sum()), int(found.queries.sum())
        self.stages.append(Stage(name, len(rows), int(fell.sum()), int(self.left.sum()), *spent))


# Doubts


def first_doubts(model, x, y):
    """Return the logits (N, K) of the clean pictures, and what speaks against the number before it is measured."""
    with attacking(model, x, y):
        logits, grad = slope(model, x, cross_entropy, y, first=True)
        flat = int((grad == 0).flatten(1).all(1).sum())
        classes = logits.shape[1]
        doubts = {
            "the network is random: two calls, two answers.  The attacks climb a hill that moves": (
                moved_between_calls(model, x, y) > MOVED
            ),
            f"the gradient is exactly zero for {flat} of {len(x)} clean pictures: APGD-CE has nothing to climb": flat,
            f"with {classes} classes there is no targeted dlr; APGD-T climbed the margin": classes < 4,
            "the network differentiates while it answers: it may adapt to an attack that does not know of it": (
                differentiates(model, x[:2])
            ),
        }
    return logits, [doubt for doubt, holds in doubts.items() if holds]


def last_doubts(stages, count):
    """Return what speaks against the number after it was measured: an attack without gradients that did better."""
    gained = sum(stage.misled for stage in stages if stage.attack == "Square")
    if gained <= SUSPICIOUS * count:
        return []
    return [f"Square misled {gained} that three attacks with gradients had left: those gradients are not to be trusted"]


def differentiates(model, x):
    """Tell whether a network calls autograd while it answers.

    Python is asked to report every function that is called; whoever differentiates passes through one file of torch.
    """
    called = []

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename == torch.autograd.__file__ and code.co_name in ("grad", "backward"):
            called.append(code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        with torch.no_grad():
            model(x)
    finally:
        sys.setprofile(before)  # also after an error, or every later line of the notebook would be slow
    return bool(called)
