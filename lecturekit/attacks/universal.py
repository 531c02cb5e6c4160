r"""One change for all pictures: a perturbation that knows nothing of the picture it is added to.

Moosavi-Dezfooli et al. go from picture to picture, and where the change does not fool yet they add the smallest one
that would.  That is one long chain of small searches.  The idea here is simpler, and a batch at a time: all pictures
share one $\delta$, so their gradients add up, and $\delta$ climbs the sum inside its ball.

    mini-batch x  ->  network of x + delta  ->  mean of min(cross-entropy, ceiling)  ->  one step of delta

The ceiling keeps a few pictures that are fooled already from pulling all the others along.

The trap: the fooling rate counts *predictions that change*, not errors.  A picture that was wrong and is now wrong in
another way counts.  And the official projection onto the L2 ball stretches a change that lies inside; `L2.project`
never does.

Source: Moosavi-Dezfooli et al. 2017, arXiv:1610.08401, for the question and the rate; Shafahi et al. 2020, "Universal
adversarial training", arXiv:1811.11304, for batches and the clipped loss.
"""

import dataclasses

import torch

from lecturekit import measure
from lecturekit.attacks.gradient import check_step, interruptible, slope
from lecturekit.attacks.guard import attacking, check_steps, checked_logits
from lecturekit.attacks.result import judge
from lecturekit.attacks.scores import cross_entropy
from lecturekit.attacks.threat import Ball, Linf, into_box
from lecturekit.errors import InputError
from lecturekit.progress import Step, stopped

TEN = Linf(10 / 255)  # the radius of the paper


@dataclasses.dataclass(frozen=True)
class Universal:
    """One change for all pictures.

    Attributes:
        delta: (1, C, H, W), inside its ball.
        ball: what it was allowed.
        rates: the share of the training pictures that were fooled, one number for each pass, measured on the way.
        gradients: how often the network was differentiated for a picture, in all.
        seed: of the order of the pictures.
        complete: False if it was stopped.
    """

    delta: torch.Tensor
    ball: Ball
    rates: tuple[float, ...]
    gradients: int
    seed: int
    complete: bool

    def on(self, model, x, y):
        """Return the `Adversarial` of these pictures with the change added, measured afresh."""
        with attacking(model, x, y):
            return judge(model, x, added(x, self.delta), y, attack="universal", ball=self.ball, seed=self.seed)

    def __str__(self):
        """Return one line: the ball, the rate on the way, and the cost."""
        last = f"{self.rates[-1]:.0%} of the training pictures fooled" if self.rates else "no full pass"
        stop = "" if self.complete else ", STOPPED before its end"
        return f"universal within {self.ball}: {last} in pass {len(self.rates)}, {self.gradients:,} gradients{stop}"


def universal(model, x, *, ball=TEN, passes=10, alpha=None, batch=50, ceiling=9.0, enough=1.0, seed=0, watch=None):
    """Climb one change for all pictures, a batch at a time.

    No labels are needed: what is to change is what the network itself says of the clean pictures.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.
        x: training pictures (N, C, H, W) in [0, 1]; measure on others.
        ball: `Linf` or `L2`.
        passes: over all pictures, in a new order each time.
        alpha: step in pixel units; a tenth of the radius by default.
        batch: pictures in one step.
        ceiling: of the cross-entropy of one picture; beyond it, it pulls no more.
        enough: stop after a pass in which this share was fooled; the paper stops at 0.8.
        seed: of the order.
        watch: see `lecturekit.progress`; told after each step, with the change around grey as its picture.
    Returns: `Universal`.
    Raises: InputError, ModelError: see `guard`; InputError for no pictures, or a ceiling or batch of no sense.
    """
    alpha = ball.eps / 10 if alpha is None else alpha
    check_passes(x, passes, batch, ceiling)
    steps = passes * -(-len(x) // batch)
    check_step(alpha, steps, ball)
    generator, delta = torch.Generator().manual_seed(seed), torch.zeros_like(x[:1])
    rates, gradients, done = [], 0, 0
    none = torch.zeros(len(x), dtype=torch.long, device=x.device)
    with attacking(model, x, none), interruptible() as interrupted:
        said = predictions(model, x)
        for number in range(passes):
            fooled = 0
            for rows in torch.randperm(len(x), generator=generator).to(x.device).split(batch):
                logits, grad = shared_slope(model, x[rows], delta, said[rows], ceiling)
                fooled += int((logits.argmax(1) != said[rows]).sum())
                delta = ball.project(delta + alpha * ball.steepest(grad), torch.zeros_like(delta))
                gradients, done = gradients + len(rows), done + 1
                if stopped(watch, Step(done, steps, picture=into_box(0.5 + delta), note=f"pass {number + 1}")):
                    return Universal(delta, ball, tuple(rates), gradients, seed, done == steps)
            rates.append(fooled / len(x))
            if rates[-1] >= enough:
                break
    return Universal(delta, ball, tuple(rates), gradients, seed, not interrupted)


def shared_slope(model, x, delta, y, ceiling):
    """Return logits (n, K) and the gradient of the mean clipped cross-entropy along the change, (1, C, H, W)."""

    def score(logits, y, target):
        return cross_entropy(logits, y, target).clamp_max(ceiling) / len(logits)

    moved = x + delta
    logits, grad = slope(model, into_box(moved), score, y)
    free = (moved >= 0) & (moved <= 1)  # where the box holds a value, the change has no say
    return logits, (grad * free).sum(0, keepdim=True)


def added(x, delta):
    """Return pictures (N, C, H, W) with one change (1, C, H, W) added, in the box."""
    return into_box(x + delta)


def fooling_rate(model, x, delta):
    """Return the share of pictures of which the network says something else with the change, a `measure.Interval`.

    Args:
        model, x: see `universal`.
        delta: one change (1, C, H, W) for all, or one for each (N, C, H, W).
    Raises: InputError, ModelError: see `guard`.
    """
    none = torch.zeros(len(x), dtype=torch.long, device=x.device)
    with attacking(model, x, none):
        changed = predictions(model, x) != predictions(model, added(x, delta))
    return measure.proportion(int(changed.sum()), len(x))


def predictions(model, x, batch=250):
    """Return what the network says of each picture, (N,)."""
    with torch.no_grad():
        none = torch.zeros(0, dtype=torch.long)
        return torch.cat([checked_logits(model, part, none).argmax(1) for part in x.split(batch)])


def check_passes(x, passes, batch, ceiling):
    """Refuse what one change for all cannot be climbed with."""
    check_steps(passes, "passes")
    check_steps(batch, "batch")
    if isinstance(x, torch.Tensor) and not len(x):
        raise InputError("a change for all pictures needs pictures; x holds none")
    if not (isinstance(ceiling, int | float) and ceiling > 0):
        raise InputError(f"ceiling bounds a cross-entropy, so it must be above 0 but is {ceiling!r}")
