"""What a network does under seven attacks and within four radii: the evidence that `masking` asks its questions about.

Measuring and judging are kept apart.  Here nothing is judged; so whoever doubts a verdict can look at the pictures
behind it, and a question can be tested on evidence that was made up.

The trap: pictures that the network names wrongly already would count as misled by every attack, noise included.  They
have to be left out before anything is measured; `masking.battery` does that.

Source: the measurements that Carlini et al. 2019, arXiv:1902.06705, sections 4 and 5, ask for.
"""

import dataclasses

import torch

from lecturekit.attacks.evaluate import Curve, robust_accuracy
from lecturekit.attacks.gradient import fgsm, pgd
from lecturekit.attacks.guard import attacking, checked_logits
from lecturekit.attacks.result import Adversarial, judge
from lecturekit.attacks.scores import margin
from lecturekit.attacks.square import square
from lecturekit.attacks.threat import Ball, Linf
from lecturekit.attacks.transfer import noisy, part_of

CALLS = 5  # with the same pictures; a network that is a function answers them alike
SLACK = 0.02  # of the pictures may differ by luck; one always may


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the questions are asked about, all of the same n pictures that the network names rightly.

    Attributes:
        ball: the ball of most attacks.
        moved: how far the logits moved between calls.
        curve: PGD within half the radius, the radius, twice it, and a ball that holds every picture.
        attacks: {name: `Adversarial`}: ``one step``, ``climbing`` (PGD), ``twice``, ``margin``, ``asking`` (Square),
            ``noise``, and ``transfer`` if there is a surrogate.
    """

    ball: Ball
    moved: float
    curve: Curve
    attacks: dict[str, Adversarial]

    def only(self, name, other="climbing"):
        """Return how many pictures one attack misleads and the other does not."""
        return int((self.attacks[name].misled & ~self.attacks[other].misled).sum())

    @property
    def luck(self):
        """How many pictures may differ without a reason."""
        return max(1, int(SLACK * len(self.attacks["climbing"])))


def gather(model, x, y, ball, steps, queries, surrogate, seed, watch):
    """Return the `Evidence`, or None if ``watch`` stopped it."""
    parts = 4 if surrogate is None else 5
    huge = 0.5 if isinstance(ball, Linf) else 0.5 * x[0].numel() ** 0.5  # from any picture to grey
    radii = sorted({ball.eps / 2, ball.eps, min(2 * ball.eps, huge), huge})

    def climb(model, x, y, *, ball, seed, watch):
        return pgd(model, x, y, ball=ball, steps=steps, seed=seed, watch=watch)

    curve = robust_accuracy(
        model, x, y, attack=climb, ball=type(ball), radii=radii, seed=seed, watch=part_of(watch, 0, parts, "radii")
    )
    if not curve.complete:
        return None
    attacks = {
        "climbing": curve.found[radii.index(ball.eps)],
        "one step": fgsm(model, x, y, ball=ball),
        "noise": judge(model, x, noisy(x, ball, seed), y, attack="noise", ball=ball, seed=seed),
    }
    how = {"ball": ball, "seed": seed}
    long = {
        "twice": lambda watch: pgd(model, x, y, steps=2 * steps, watch=watch, **how),
        "margin": lambda watch: pgd(model, x, y, steps=steps, score=margin, watch=watch, **how),
        "asking": lambda watch: square(model, x, y, queries=queries, watch=watch, **how),
    }
    if surrogate is not None:
        long["transfer"] = lambda watch: transfer(surrogate, model, x, y, steps, watch, **how)
    for number, (name, attack) in enumerate(long.items(), 1):
        attacks[name] = attack(part_of(watch, number, parts, name))
        if not attacks[name].complete:
            return None
    return Evidence(ball, moved_between_calls(model, x, y), curve, attacks)


def transfer(surrogate, model, x, y, steps, watch, *, ball, seed):
    """Return what the network says of pictures made for another one, which go on after that one is misled."""
    made = pgd(surrogate, x, y, ball=ball, steps=steps, leave=False, seed=seed, watch=watch)
    return judge(model, x, made.x, y, attack="transfer", ball=ball, seed=seed, complete=made.complete)


def moved_between_calls(model, x, y):
    """Return the largest distance between two answers to the same picture; each answer is scaled to length 1."""
    with attacking(model, x, y), torch.no_grad():
        answers = [checked_logits(model, x, y) for _ in range(CALLS)]
    if not len(x):
        return 0.0
    scaled = torch.stack([answer / answer.norm(dim=1, keepdim=True).clamp_min(1e-10) for answer in answers])
    return (scaled[:, None] - scaled[None, :]).norm(dim=-1).max().item()
