"""The attacks that a panel offers: their names, the knobs that each listens to, and how the knobs become arguments.

=============  ==========================================  ====================================================
name           what it does                                knobs beside the picture and the network
=============  ==========================================  ====================================================
``fgsm``       one step of the whole radius                ball, aim, score
``bim``        small steps from the picture                ball, aim, score, steps, leave
``pgd``        small steps from random points              ball, aim, score, steps, leave, restarts
``mi_fgsm``    small steps along the sum of gradients      ball, aim, score, steps
``apgd``       steps that are halved where they fail       ball, aim, score, steps, leave, restarts
``deepfool``   the smallest change                         steps; it has no radius and no aim
``noise``      a random change, which knows nothing        ball, restarts: the best of so many draws
=============  ==========================================  ====================================================

The trap: steps too short to reach the border of the ball make an attack look weak.  Where few steps are asked for, they
are as long as it takes.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from lecturekit import attacks
from lecturekit.attacks.apgd import apgd
from lecturekit.attacks.deepfool import deepfool
from lecturekit.attacks.gradient import ascend, finish
from lecturekit.attacks.guard import attacking
from lecturekit.attacks.result import judge
from lecturekit.attacks.threat import Ball, inside
from lecturekit.progress import Watch

NORMS = {"Linf": attacks.Linf, "L2": attacks.L2}
SCORES = {"cross-entropy": attacks.cross_entropy, "margin": attacks.margin, "DLR": attacks.dlr}


class Asked(NamedTuple):
    """What is asked of an attack.

    Attributes:
        ball: what it may do; an attack without a radius takes only the norm from it.
        target: the class to be named instead of each picture's, (N,) int64, or None for anything else.
        steps, restarts: at most.
        leave: a picture is left alone as soon as it is misled; otherwise all steps are taken.
        watch: see `lecturekit.progress`.
        score: what is climbed, see `attacks.scores`.
    """

    ball: Ball
    target: torch.Tensor | None
    steps: int
    restarts: int
    leave: bool
    watch: Watch | None
    score: Callable = attacks.cross_entropy


class Method(NamedTuple):
    """An attack as a panel offers it: words for the menu, ``run(model, x, y, asked)``, and the knobs that matter."""

    words: str
    run: Callable
    knobs: tuple


def fgsm(model, x, y, asked):
    """Take one step of the whole radius."""
    return attacks.fgsm(model, x, y, ball=asked.ball, target=asked.target, score=asked.score)


def bim(model, x, y, asked):
    """Take small steps from the picture itself; unlike `attacks.bim`, to the last one if that is wanted."""
    ball, target = asked.ball, asked.target
    alpha = max(attacks.levels(1), ball.eps / asked.steps)  # one grey level, or as long as it takes
    how = {"steps": asked.steps, "score": asked.score, "leave": asked.leave, "watch": asked.watch}
    with attacking(model, x, y, target):
        climbed = ascend(model, x, y, ball, alpha=alpha, target=target, **how)
        return finish("BIM", model, x, climbed, y, target, ball)


def pgd(model, x, y, asked):
    """Take small steps from random points of the ball."""
    alpha = asked.ball.eps / min(4, asked.steps)
    return attacks.pgd(model, x, y, alpha=alpha, **asked._asdict())


def mi_fgsm(model, x, y, asked):
    """Take small steps along the running sum of the gradients."""
    how = {"steps": asked.steps, "score": asked.score, "watch": asked.watch}
    return attacks.mi_fgsm(model, x, y, ball=asked.ball, target=asked.target, **how)


def adaptive(model, x, y, asked):
    """Take steps that are halved where they do not pay: APGD."""
    return apgd(model, x, y, **asked._asdict())


def smallest(model, x, y, asked):
    """Look for the smallest change that makes the network name anything else."""
    return deepfool(model, x, y, norm=type(asked.ball), steps=asked.steps, watch=asked.watch)


def noise(model, x, y, asked):
    """Change each picture at random, as far as the attacks may, and keep the draw that harms most: the control.

    In L∞ every value moves by the whole radius, up or down, as with FGSM; in L2 the direction is uniform.
    """
    draws, generator = asked.restarts, torch.Generator().manual_seed(0)
    x0, truth = x.repeat(draws, 1, 1, 1), y.repeat(draws)
    with attacking(model, x, y), torch.no_grad():
        direction = torch.randn(draws, *x.shape, generator=generator).flatten(0, 1).to(x)
        tried = inside(x0 + asked.ball.eps * asked.ball.steepest(direction), x0, asked.ball)  # (draws * N, C, H, W)
        harm = attacks.margin(model(tried), truth).view(draws, len(x))
    worst = tried.view(draws, *x.shape)[harm.argmax(0), torch.arange(len(x), device=x.device)]
    queries = torch.full_like(y, draws)
    return judge(model, x, worst, y, attack="Noise", ball=asked.ball, queries=queries, seed=0)


METHODS = {
    "fgsm": Method("FGSM: one step", fgsm, ("ball", "aim", "score")),
    "bim": Method("BIM: small steps", bim, ("ball", "aim", "score", "steps", "leave")),
    "pgd": Method("PGD: from random points", pgd, ("ball", "aim", "score", "steps", "leave", "restarts")),
    "mi_fgsm": Method("MI-FGSM: with momentum", mi_fgsm, ("ball", "aim", "score", "steps")),
    "apgd": Method("APGD: steps that adapt", adaptive, ("ball", "aim", "score", "steps", "leave", "restarts")),
    "deepfool": Method("smallest change: DeepFool", smallest, ("steps",)),
    "noise": Method("random noise (control)", noise, ("ball", "restarts")),
}
