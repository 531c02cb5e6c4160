"""Gradient masking: questions that a network which is only hard to differentiate cannot answer.

Most networks that were published as robust had a gradient that was zero, or random, or lost in rounding.  The attack
stood still, and its failure was taken for a defence.  Such networks give themselves away::

    honest    one step <= many steps = twice as many     noise < attack     a huge ball: nothing stands
    masked    one step >  many steps                     asking > climbing  a huge ball: some still stand

=============  ==============================  ===================================================================
masking        what gives it away              what to do about it
=============  ==============================  ===================================================================
shattered      zero under every score          forward as it is, backward as if the part were not there (BPDA)
stochastic     two calls, two answers          average the gradient over many calls (EoT), or fix the random numbers
vanishing      zero under cross-entropy only   climb the margin or ``dlr`` instead
=============  ==============================  ===================================================================

The trap: no answer is a pass.  The questions are neither necessary nor sufficient; a network that answers all of them
well may still fall to an attack that was made for it.

Source: Carlini et al. 2019, arXiv:1902.06705, sections 4 and 5; Athalye et al. 2018, arXiv:1802.00420, section 3.
"""

import dataclasses
from typing import NamedTuple

from lecturekit.attacks.evidence import Evidence, gather
from lecturekit.attacks.gradient import EPS, kept
from lecturekit.attacks.guard import check_steps
from lecturekit.attacks.transfer import named
from lecturekit.errors import InputError
from lecturekit.tables import Table

MOVED = 1e-4  # by how much the direction of the logits may differ between two calls (AutoAttack's number)


class Finding(NamedTuple):
    """One question and its answer.

    Attributes:
        question: what an honest network would answer with yes.
        answer: what was measured.
        odd: ``"ODD"`` if it speaks for masking, else nothing.
        why: what that means and what to do, if it is odd.
    """

    question: str
    answer: str
    odd: str
    why: str


@dataclasses.dataclass(frozen=True)
class Battery:
    """What the questions found.

    Attributes:
        findings: a table of `Finding`.
        evidence: what they were asked about; None if it was stopped.
        complete: False if it was stopped: then nothing is said.
    """

    findings: Table
    evidence: Evidence | None
    complete: bool

    @property
    def suspicious(self):
        """The findings that are odd."""
        return [finding for finding in self.findings if finding.odd]

    def __str__(self):
        """Return the answers, and for each odd one in a sentence why."""
        if not self.complete:
            return "STOPPED before its end: nothing can be said"
        answers = Table([finding[:3] for finding in self.findings], columns=("question", "answer", "odd"))
        lines = [f"- {finding.question} {finding.answer}: {finding.why}" for finding in self.suspicious]
        verdict = (
            f"{len(lines)} answers speak for a masked gradient; do not believe an accuracy measured so:"
            if lines else "nothing odd was found; that is no proof, only the least one should ask"
        )  # fmt: skip
        return "\n".join([repr(answers), verdict, *lines])


def battery(model, x, y, *, ball=EPS, steps=20, queries=200, surrogate=None, seed=0, watch=None):
    """Ask a network, or a defence of your own, whether its robustness is one.

    Args:
        model, x, y: see `gradient.fgsm`; only the pictures that are named rightly are used, 20 will do.
        ball: `Linf` or `L2` with a radius above 0.
        steps: of PGD, at least 4; one of its runs has twice as many.
        queries: of the Square attack, for each picture.
        surrogate: another network for the same classes, to attack in its place; without one that question is left out.
        seed: of everything random.
        watch: see `lecturekit.progress`; told the steps of each attack in turn.
    Returns: `Battery`.
    Raises: InputError for a radius of 0, too few steps, or if no picture is named rightly; InputError, ModelError as
        for the attacks.
    """
    check_steps(steps)
    check_steps(queries, "queries")
    if steps < 4 or not ball.eps:
        raise InputError(f"the battery needs a radius above 0 and at least 4 steps, got {ball} and {steps} steps")
    right = named(model, x, y) == y
    if not right.any():
        raise InputError(f"none of {len(x)} pictures is named rightly: there is nothing to mislead")
    evidence = gather(model, kept(x, right), y[right], ball, steps, queries, surrogate, seed, watch)
    if evidence is None:
        return Battery(Table([], columns=Finding._fields), None, False)
    findings = [question(evidence) for question in QUESTIONS]
    return Battery(Table([finding for finding in findings if finding], Finding._fields), evidence, True)


# The questions


def same_answer(evidence):
    """Ask whether the network is a function at all."""
    return finding(
        "Is the same picture answered alike each time?", f"logits move by {evidence.moved:.2g}", evidence.moved > MOVED,
        "the network is random, so a gradient of one call is wrong for the next, and all other answers are blurred. "
        "Average the gradient over many calls (EoT), or fix the random numbers, and attack again",
    )  # fmt: skip


def gradient_there(evidence):
    """Ask whether there is a gradient to follow, and if not, under which score."""
    flat, under_margin = (int((evidence.attacks[name].flat > 0).sum()) for name in ("climbing", "margin"))
    if under_margin:
        why = (
            "it is zero whatever the score, so part of the network cannot be differentiated (rounding, a threshold). "
            "Keep that part in the forward pass and leave it out of the backward pass (BPDA)"
        )
    else:
        why = (
            "under the margin it is not, so the logits are so large that the softmax is exactly 1. "
            "Climb score=margin or score=dlr instead"
        )
    count = len(evidence.attacks["climbing"])
    answer = f"zero for {flat} of {count} under cross-entropy, {under_margin} under the margin"
    return finding("Is there a gradient?", answer, bool(flat or under_margin), why)


def other_score(evidence):
    """Ask whether another score would have found more."""
    return more(
        evidence, "margin", "Does the margin find no more than cross-entropy?",
        "the attack climbed the wrong score; report the margin's number",
    )  # fmt: skip


def many_steps(evidence):
    """Ask whether small steps do at least as well as a large one (item 5 of the list)."""
    return more(
        evidence, "one step", "Do many steps find all that one finds?",
        "looking again where one stands should help; the gradient nearby must be misleading",
    )  # fmt: skip


def doubled(evidence):
    """Ask whether the attack had come to its end (item 16)."""
    return more(
        evidence, "twice", "Do twice as many steps find no more?",
        "the attack had not come to its end; give it more steps until that does not matter",
    )  # fmt: skip


def grows(evidence):
    """Ask whether a larger ball helps the attacker (item 6)."""
    again = sum(evidence.curve.stood_again)
    return finding(
        "Does a larger ball mislead all that a smaller one does?", f"{again} do not", again > evidence.luck,
        "what lies in the small ball lies in the large one, so the attack gets lost on its way",
    )  # fmt: skip


def everything_falls(evidence):
    """Ask whether a ball that holds every picture leaves nothing standing (items 7 and 8)."""
    last = evidence.curve.found[-1]
    stand, chance = int((~last.misled).sum()), len(last) / last.logits.shape[1]
    return finding(
        "Does a ball that holds every picture fell them all?", f"{stand} of {len(last)} stand within {last.ball}",
        stand > max(chance, evidence.luck),
        f"no network can do that, as every picture can be turned grey there; guessing would leave {chance:.3g}. "
        "The attack fails, not the attacker",
    )  # fmt: skip


def asking(evidence):
    """Ask whether an attack without gradients does worse, as it should (item 11)."""
    return more(
        evidence, "asking", "Does climbing find all that asking finds?",
        "Square never saw a gradient; whoever sees one should not do worse, so this gradient is worth nothing",
    )  # fmt: skip


def transferred(evidence):
    """Ask whether an attack made for another network does worse (item 12); None without a surrogate."""
    if "transfer" not in evidence.attacks:
        return None
    return more(
        evidence, "transfer", "Does climbing find all that a surrogate's attack finds?",
        "an attack on this very network should do better than one on another; the way up is hidden, not closed",
    )  # fmt: skip


def above_the_floor(evidence):
    """Ask whether the attack beats noise of the same size (item 13)."""
    return more(
        evidence, "noise", "Does climbing find all that noise finds?",
        "noise needs no skill; an attack that misses what noise hits does not do its work",
    )  # fmt: skip


QUESTIONS = (
    same_answer, gradient_there, other_score, many_steps, doubled, grows, everything_falls, asking, transferred,
    above_the_floor,
)  # fmt: skip


def more(evidence, name, question, why):
    """Return the `Finding` on whether an attack misleads pictures that climbing does not."""
    only = evidence.only(name)
    return finding(question, f"{only} more", only > evidence.luck, why)


def finding(question, answer, odd, why):
    """Return a `Finding`; the reason is only given where there is something to explain."""
    return Finding(question, answer, "ODD" if odd else "", why if odd else "")
