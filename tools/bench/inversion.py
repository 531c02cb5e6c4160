"""Inversion: how long until a picture is there, by four roads of optimisation and by the inverse network.

What counts is the time to a picture that is 1 dB short of the one at the end: most of the work of an optimisation goes
into what nobody sees.  ``bare`` makes as many passes through the network, cut at the layer, and nothing else.
"""

import functools
import statistics

import torch
from rows import judged, row
from subjects import picturebook, squeezenet
from timing import paired

from lecturekit import inversion, measure
from lecturekit.inversion.optimise import colours_last
from lecturekit.parameterise import Fourier, Pixels

SECTION = "Inversion"
STEPS = 200
ROADS = {  # what it is, the solver, how the picture is held
    "adam": ("Adam on pixels", inversion.adam, Pixels),
    "lbfgs": ("L-BFGS on pixels", inversion.lbfgs, Pixels),
    "adam-fourier": ("Adam on waves", inversion.adam, Fourier),
    "lbfgs-fourier": ("L-BFGS on waves", inversion.lbfgs, Fourier),
}
SUBJECTS = {  # what it is; the pictures; layers
    "picturebook": ("picture-book network, 64×64, batch 8", lambda few: picturebook(2 if few else 8),
                    ("pool1", "conv4")),
    "squeezenet": ("SqueezeNet 1.0, 128×128, batch 1", lambda few: squeezenet(1, size=128), ("features.3",)),
}  # fmt: skip


class Task:
    """Pictures to bring back from one layer."""

    def __init__(self, subject, layer, few):
        self.x0, self.steps = subject.x, 10 if few else STEPS
        self.phi = inversion.representation(subject.model, layer)
        self.prior = inversion.natural(alpha=1e-3, tv=1e-3)
        with torch.no_grad():
            self.phi0 = self.phi(self.x0)

    def invert(self, steps, solver, hold, watch=None):
        """Return the pictures after so many evaluations."""
        size = tuple(self.x0.shape[-2:])
        return inversion.invert(
            self.phi, self.phi0, prior=self.prior, size=size, steps=steps, solver=solver, hold=hold, watch=watch
        ).x

    def psnr(self, x):
        """Return how good pictures are, in dB."""
        return measure.psnr(x, self.x0).mean().item()

    def needed(self, solver, hold):
        """Return the number of evaluations after which 1 dB is missing of the final quality, that, and that."""
        curve = []

        def look(step):
            if step.picture is not None:  # every fifth evaluation
                curve.append((step.done, self.psnr(step.picture)))

        self.invert(self.steps, solver, hold, look)
        final = curve[-1][1]
        return *next((done, quality) for done, quality in curve if quality >= final - 1), final

    def bare(self, steps):
        """Make so many passes up and down."""
        leaf = colours_last(self.x0.clone()).requires_grad_()
        for _ in range(steps):
            torch.autograd.grad(self.phi(leaf), leaf, self.phi0)

    def torchs_lbfgs(self, steps):
        """Return the pictures that torch's own L-BFGS finds, from the same start and for the same loss."""
        held = Pixels(inversion.optimise.faint_noise(len(self.x0), self.x0.shape[-2:], torch.Generator().manual_seed(0))
                      .to(self.x0))  # fmt: skip
        distance = inversion.optimise.distance_to(self.phi0)
        solver = torch.optim.LBFGS(held.parameters(), history_size=8, max_iter=steps, max_eval=steps, tolerance_grad=0,
                                   tolerance_change=0, line_search_fn="strong_wolfe")  # fmt: skip

        def loss():
            x = held()
            total = (distance(self.phi(colours_last(x))) + self.prior(x)).sum()
            (held.theta.grad,) = torch.autograd.grad(total, held.theta)
            return total

        solver.step(loss)
        return held().detach()


def road(task, quick, solver, hold):
    """Return the row of one road to a picture 1 dB short of its last one."""
    steps, there, final = task.needed(solver, hold)
    peers = {"torch.optim.LBFGS": functools.partial(task.torchs_lbfgs, steps)} if solver is inversion.lbfgs else {}
    peers = peers if hold is Pixels else {}
    seconds, found = paired(0 if quick else 5, ours=lambda: task.invert(steps, solver, hold), **peers,
                            bare=lambda: task.bare(steps))  # fmt: skip
    words = f"{there:.1f} dB after {steps} evaluations, {final:.1f} dB after {task.steps}"
    others = {name: task.psnr(found[name]) for name in peers}
    words += "".join(f"; {name} {quality:.1f} dB" for name, quality in others.items())
    ours = task.psnr(found["ours"])
    return judged(seconds, words, equal=[n for n, q in others.items() if q >= ours - 0.1],
                  good=all(q <= ours + 0.1 for q in others.values()))  # fmt: skip


for subject, (what, make, layers) in SUBJECTS.items():
    for layer in layers:
        for name, (how, solver, hold) in ROADS.items():

            @row(f"invert-{subject}-{layer}-{name}", SECTION, f"{layer} by {how} to 1 dB of its final PSNR; {what}",
                 "bare ≤ 1.10; torch's own ≤ 1.0")  # fmt: skip
            def one_road(quick, make=make, layer=layer, solver=solver, hold=hold):
                """From noise."""
                return road(Task(make(quick), layer, quick), quick, solver, hold)


# The inverse network


@row("decoder-1", SECTION, "conv4 by the inverse network; picture-book network, 64×64, batch 1", "bare ≤ 1.10")
def decoder_1(quick):
    """One picture: what a panel shows while a slider moves."""
    return decoder(picturebook(1), quick)


@row("decoder-100", SECTION, "conv4 by the inverse network; picture-book network, 64×64, batch 100", "bare ≤ 1.10")
def decoder_100(quick):
    """A hundred at once."""
    return decoder(picturebook(4 if quick else 100), quick)


def decoder(subject, quick):
    """Return the row of one pass up through the network and one down through its inverse, beside optimisation."""
    model, x0, _ = subject
    net = inversion.load_inverse("picturebook", "conv4").to(x0.device)
    phi, up = inversion.representation(model, "conv4"), model[: list(dict(model.named_children())).index("conv4") + 1]

    def ours():
        with torch.no_grad():
            return net(phi(x0))

    def bare():
        with torch.no_grad():
            return net(up(x0))

    seconds, found = paired(0 if quick else 21, ours=ours, bare=bare)
    few = x0[:8]
    slow, made = paired(0, optimised=lambda: inversion.optimised(model, few, ["conv4"])["conv4"].x)
    each = (statistics.median(seconds["ours"]) / len(x0)) / (slow["optimised"][0] / len(few))
    here, there = (measure.psnr(x, few).mean().item() for x in (found["ours"][:8], made["optimised"]))
    return judged(seconds, f"{here:.1f} dB; optimisation {there:.1f} dB in {1 / each:,.0f} times as long")
