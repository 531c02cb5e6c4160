r"""What does this filter want to see?  Ask it: change a picture until it answers as much as it can.

    start at faint noise;  again and again:  x <- a step up the slope of  score(a(view(x)))

=========  ========================================================================================
a          the answer of the layer; the network behind it is never run, weights get no gradient
score      what is made larger; see `objectives`
view       the picture seen a little differently each time; see `views`
hold       how the picture is held while it changes: waves (`Fourier`), or pixels
decay      share by which the picture falls back towards grey at each step
=========  ========================================================================================

The step is Adam's, shrinking to zero along half a cosine so that the end is calm, and the score it climbs is measured
relative to its own size, so that one rate serves all layers.

Several pictures of the same wish show that a filter may have several faces.  ``copies`` makes them, and ``diversity``
drives them apart: it punishes alike Gram matrices, i.e. the same textures anywhere in the picture.

The trap: the picture is not a sample of what the filter fires for in life.  It is the edge of what is possible, and
people guess a filter's real preference better from natural patches (Borowski et al. 2021, arXiv:2010.12606): look at
its `gallery` as well.

Sources: Erhan et al. 2009, "Visualizing higher-layer features of a deep network"; Olah, Mordvintsev & Schubert 2017.
"""

import contextlib
import dataclasses
import math
import time

import torch

from lecturekit.capture import cut
from lecturekit.capture.hooks import run
from lecturekit.errors import InputError, ModelError
from lecturekit.features.objectives import Score
from lecturekit.features.stream import whole
from lecturekit.features.views import views
from lecturekit.parameterise import Fourier
from lecturekit.progress import Step, stopped

PICTURE_EVERY = 5  # steps between two pictures for whoever watches
RATE = 0.05  # of Adam; Olah et al. 2017
MARGIN = 8  # pixels
BETA_1, BETA_2 = 0.9, 0.999  # of Adam


@dataclasses.dataclass(frozen=True)
class Maximised:
    """What `maximise` found.

    Attributes:
        x: the pictures, (N, C, H, W) in [0, 1]; with copies, all wishes once, then all a second time ...
        score: of each, by a fresh forward pass of the whole picture without any view, (N,).
        start: the same for the noise it began with, (N,).
        scores: mean score of each step, through the view of that step.
        seconds: how long it took.
        complete: False if it was stopped early; the pictures are those of that moment.
    """

    x: torch.Tensor
    score: torch.Tensor
    start: torch.Tensor
    scores: list[float]
    seconds: float
    complete: bool


def maximise(model, layer, score, *, hold=Fourier, steps=128, size=(64, 64), margin=MARGIN, view=None, rate=RATE,
             decay=0.0, copies=1, diversity=0.0, seed=0, watch=None):  # fmt: skip
    """Paint the pictures that bring a score of a layer's answer as high as they can.

    Args:
        model: pixels (N, 3, H, W) in [0, 1] to anything, in eval mode.
        layer: a name from ``capture.layers(model)``.  Take ``conv3`` rather than ``relu3``: a unit that is off has no
            slope behind its ReLU.
        score: from `objectives`, or any function from answers (1, ...) to scores (1,).
        hold: a module that is built from start pictures, has the parameter ``theta``, zero for grey, and returns
            pictures in [0, 1] when called; see `lecturekit.parameterise`.
        steps: forward and backward passes.
        size: height and width of the pictures.
        margin: pixels painted beyond each border.  The view moves over this larger canvas, so that no pattern can lean
            on the edge of the picture, which the network sees too; the middle is what comes out.
        view: from `views`; none if None.
        rate: step size of Adam at the beginning.
        decay: share by which ``theta`` falls back to zero, that is to grey, at each step, in [0, 1).
        copies: pictures of each wish.
        diversity: weight of the drive apart, between copies; 1 is as strong as the score itself.
        seed: of noise and views.
        watch: see `lecturekit.progress`; its steps carry the pictures so far, and minus the score as loss.
    Returns: a `Maximised`; on Ctrl-C or `STOP` the pictures of that moment.
    Raises: InputError for arguments that cannot work or an unknown layer; ModelError for a network in training mode, a
        score without gradient, or one that is not finite.
    """
    wish = check(model, score, steps, margin, rate, decay, copies, diversity).times(copies)
    view, part = view or views(), cut(model, layer)
    generator, like = torch.Generator().manual_seed(seed), next(model.parameters(), torch.zeros(()))
    canvas = (side + 2 * margin for side in size)
    noise = 0.01 * torch.randn(wish.count, 3, *canvas, generator=generator)
    picture = Canvas(hold((0.5 + noise).clamp(0, 1).to(like)), margin)
    start, began, complete, history = measured(part, wish, picture), time.monotonic(), False, []
    with contextlib.suppress(KeyboardInterrupt):
        for x, value in climb(picture, part, wish, view, generator, steps, rate, decay, diversity, copies):
            history.append(value.mean().item())
            done = len(history)
            shown = x if done % PICTURE_EVERY == 0 or done in (1, steps) else None
            if stopped(watch, Step(done, steps, -history[-1], shown, f"score {history[-1]:.3g}")) and done < steps:
                break
        else:
            complete = True
    seconds = time.monotonic() - began
    with torch.no_grad():
        x = picture()
    return Maximised(x, measured(part, wish, picture), start, history, seconds, complete)


class Canvas:
    """A picture with a margin: ``canvas()`` is its middle, ``canvas.whole()`` all of it."""

    def __init__(self, whole_, margin):
        self.whole, self.margin = whole_, margin

    def __call__(self):
        """Return the pictures without the margin, (N, C, H, W)."""
        return self.middle(self.whole())

    def middle(self, x):
        """Cut the margin off (N, C, H + 2 margin, W + 2 margin)."""
        return x[..., self.margin : x.shape[-2] - self.margin, self.margin : x.shape[-1] - self.margin]


def climb(picture, part, wish, view, generator, steps, rate, decay, diversity, copies):
    """Take ``steps`` steps up; yield the pictures and scores (N,) before each of them.

    Adam is written out (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1): torch's own loads a compiler at its first
    step, for which one would wait two seconds.
    """
    theta = picture.whole.theta
    first, second = torch.zeros_like(theta), torch.zeros_like(theta)  # running means of the slope and of its square
    for step in range(1, steps + 1):
        with torch.inference_mode(False), torch.enable_grad():
            x = picture.whole()
            seen = picture.middle(view(x, generator))
            code = run(part, seen.contiguous(memory_format=torch.channels_last))  # a fifth faster on processors
            values = checked(wish(code), wish.count, step)
            total = (values / unit(values)).sum()
            if diversity and copies > 1:
                total = total + diversity * apart(code, copies)
            (slope,) = torch.autograd.grad(total, theta)  # asked for by name: weights get none
        yield picture.middle(x.detach()), values.detach()
        first.lerp_(slope, 1 - BETA_1)
        second.lerp_(slope.square(), 1 - BETA_2)
        size = rate * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
        move = (first / (1 - BETA_1**step)) / ((second / (1 - BETA_2**step)).sqrt() + 1e-8)
        with torch.no_grad():
            theta.add_(move, alpha=size).mul_(1 - decay)


def unit(values):
    """Return each score's own size, (N,), without gradient: the slope is then that of its logarithm."""
    return values.detach().abs().clamp(min=1e-2)


def apart(code, copies):
    """Return how unlike the copies of each wish are, one number: minus the mean cosine of their Gram matrices, summed.

    Args:
        code: answers (copies * N, K, h, w), all wishes once, then all a second time.
        copies: at least two.
    Source: Olah et al. 2017, appendix "Diversity", with the cosine over all pairs.
    """
    rows = code.flatten(2) if code.dim() == 4 else code[:, :, None]
    gram = (rows @ rows.transpose(1, 2)).flatten(1)  # (copies * N, K K): which filters answer together
    gram = torch.nn.functional.normalize(gram, dim=1).unflatten(0, (copies, -1)).transpose(0, 1)  # (N, copies, K K)
    own = gram.square().sum(dim=(1, 2))  # each copy's likeness to itself: 1, or 0 where it answers nothing
    alike = (gram @ gram.transpose(1, 2)).sum(dim=(1, 2)) - own
    return -(alike / (copies * (copies - 1))).sum() * copies


def measured(part, wish, picture):
    """Return the scores (N,) of the pictures as they are, by a fresh forward pass."""
    with torch.inference_mode(False), torch.no_grad():
        return wish(run(part, picture()))


def checked(values, count, step):
    """Return the scores; refuse those that are none, or that nothing can be learned from."""
    if not isinstance(values, torch.Tensor) or values.shape != (count,):
        shape = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        raise InputError(f"a score must be one number for each of {count} pictures, ({count},); got {shape}")
    if not values.requires_grad:
        raise ModelError("the score has no gradient; use plain torch functions and no torch.no_grad()")
    if not torch.isfinite(values).all():
        wrong = (~torch.isfinite(values)).nonzero().flatten().tolist()
        raise ModelError(f"the score of pictures {wrong} is not finite at step {step}; look for NaN in the weights")
    return values


def check(model, score, steps, margin, rate, decay, copies, diversity):
    """Refuse what cannot work, before anything is computed; return the score as a `Score`."""
    if any(part.training for part in model.modules()):
        raise ModelError("maximise needs model.eval(): in training mode dropout and batch norm change every step")
    if not callable(score):
        raise InputError(f"score must be a function of a layer's answer, e.g. channel(3), got {score!r}")
    if not whole(steps, 1) or not whole(copies, 1) or not whole(margin, 0):
        raise InputError(
            f"steps and copies are whole numbers from 1 on, margin from 0 on; got {steps!r}, {copies!r}, {margin!r}"
        )
    if not (rate > 0 and math.isfinite(rate)) or not 0 <= decay < 1 or not diversity >= 0:
        raise InputError(
            f"rate must be above 0, decay in [0, 1), diversity from 0 on; got {rate}, {decay}, {diversity}"
        )
    return score if isinstance(score, Score) else Score(score, 1)
