r"""Gradient inversion by search: find pictures that would have sent the same gradient.

`gradients` has the cases that algebra solves.  For all others there is a search, like that of `inversion.invert`, with
the gradient of the weights in place of the code:

$$ \min_{x \in [0,1]^n} \; 1 - \frac{\langle g(x), g \rangle}{\|g(x)\| \, \|g\|} + \lambda \, \mathrm{TV}(x),
   \qquad g(x) = \nabla_\theta L(f_\theta(x), y) $$

=========  =======================================================================================================
g          $g$, the gradient that was sent, all layers as one long vector
distance   `cosine_distance` (Geiping et al. 2020): the direction alone; `euclidean_distance` (DLG, Zhu et al. 2019)
tv         $\lambda$, the weight of the roughness
solver     `signed_adam` (Geiping et al.): Adam on the sign of the slope, projected on the box, slower and slower;
           `joint_lbfgs`: a second-order method, as in DLG
=========  =======================================================================================================

Each step differentiates a gradient.  A ReLU has no second derivative, so that only the weights around it speak; DLG's
own network, `sigmoid_net`, is smooth throughout.

The trap: it is a *whole batch* that has one gradient.  All pictures share one cost and must be searched together, and
with every picture more there are more unknowns for the same number of equations.  Which of two pictures of one class
comes first is not in the gradient at all.

The network is in evaluation mode.  A client that trains in training mode has batch statistics of its own; that is
another, harder problem.  Sources: arXiv:2003.14053, section 4; arXiv:1906.08935, algorithm 1.
"""

import dataclasses
import math
import time

import torch
from torch import nn

from lecturekit.attacks.guard import check_labels, check_mode, check_steps, checked_logits
from lecturekit.errors import InputError, ModelError
from lecturekit.inversion import lbfgs
from lecturekit.networks.layers import Normalize
from lecturekit.parameterise import Pixels
from lecturekit.pixels import check_pixels
from lecturekit.privacy.gradients import check_gradient, label, loss_gradient, shared_gradient, weights_of
from lecturekit.progress import Step, stopped

PICTURE_EVERY = 10  # evaluations between two pictures for whoever watches
TINY = 1e-30  # a gradient without any larger value is rounding: its direction means nothing
DECAYS = (3 / 8, 5 / 8, 7 / 8)  # of all steps: where `signed_adam` becomes ten times slower


def sigmoid_net(classes, *, side=32, seed=0):
    """Build the untrained network of DLG for pictures of 32 x 32 pixels: strides for pooling, sigmoids for ReLUs.

    Three 5 x 5 convolutions of 12 filters and one linear layer; all weights are uniform in (-0.5, 0.5).

    Returns: pixels (N, 3, side, side) in [0, 1] to logits (N, classes), in evaluation mode.
    Raises: InputError for a side that two halvings cannot divide.
    """
    if side % 4:
        raise InputError(f"two strides of 2 need a side that 4 divides, got {side}")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        convolutions = [nn.Conv2d(3, 12, 5, stride=2, padding=2), nn.Conv2d(12, 12, 5, stride=2, padding=2)]
        convolutions += [nn.Conv2d(12, 12, 5, padding=2)]
        hidden = [part for layer in convolutions for part in (layer, nn.Sigmoid())]
        model = nn.Sequential(Normalize(), *hidden, nn.Flatten(), nn.Linear(12 * (side // 4) ** 2, classes))
        for weight in model.parameters():
            nn.init.uniform_(weight, -0.5, 0.5)
    return model.eval()


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """What `reconstruct` found.

    Attributes:
        x: the pictures of the best restart, (N, C, H, W) in [0, 1].
        y: the classes they were sought with, (N,).
        distance: between their gradient and the one that was sent, measured afresh, without the prior.
        costs: distance and prior after each evaluation, restart after restart.
        best: the lowest cost of each restart.
        seconds: how long it took.
        complete: False if it was stopped early; the pictures are then the best so far.
    """

    x: torch.Tensor
    y: torch.Tensor
    distance: float
    costs: list[float]
    best: list[float]
    seconds: float
    complete: bool


def cosine_distance(found, sent):
    """Return one minus the cosine between two gradients, over all layers together: 0 for the same direction, at most 2.

    The length of a gradient says mostly how wrong the network was, and the direction on what.  Where the network is
    sure the length is so tiny that its square is zero in single precision; it is divided out before.  A gradient of
    zeros has no direction: its distance is 1, and whatever is smaller than `TINY` comes near to that.
    """
    found, sent = to_unit_size(found), to_unit_size(sent)
    lengths = (product(found, found) * product(sent, sent)).clamp(min=1).sqrt()  # each is 1 or more, but for a tiny one
    return 1 - product(found, sent) / lengths


def to_unit_size(gradient):
    """Return a gradient by its largest value, a constant for whoever differentiates; the direction is the same."""
    largest = torch.stack([part.detach().abs().amax() for part in gradient]).amax()
    return [part / largest.clamp(min=TINY) for part in gradient]  # 1 / 1e-41 would be infinite, and the slope NaN


def euclidean_distance(found, sent):
    """Return the squared distance between two gradients, by the squared length of the one that was sent."""
    difference = [a - b for a, b in zip(found, sent, strict=True)]
    return product(difference, difference) / product(sent, sent)


def where_sent(distance):
    """Return a distance that compares only the values that were sent: the answer to `gradients.pruned`."""

    def compared(found, sent):
        return distance([a * (b != 0) for a, b in zip(found, sent, strict=True)], sent)

    return compared


def product(a, b):
    """Return the inner product of two gradients, as one number."""
    return sum((one * other).sum() for one, other in zip(a, b, strict=True))


def mean_variation(x):
    """Return the roughness that Geiping et al. add: the mean absolute difference of neighbours, down plus right."""
    return (x[..., 1:, :] - x[..., :-1, :]).abs().mean() + (x[..., 1:] - x[..., :-1]).abs().mean()


def reconstruct(model, gradient, y=None, *, size=(32, 32), distance=cosine_distance, tv=3e-2, solver=None, steps=400,
                restarts=1, start=None, seed=0, watch=None):  # fmt: skip
    """Search for the pictures behind a gradient.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K), in eval mode; with the weights that the client had.
        gradient: what it sent, from `shared_gradient`; the pictures get its device and floating-point type.
        y: the classes of the pictures sought, (N,) int64, in any order; read off the gradient (`label`) for one
            picture if None.
        size: height and width of the pictures.
        distance: `cosine_distance`, `euclidean_distance`, either `where_sent`, or another of two gradients.
        tv: weight of `mean_variation`.
        solver: `signed_adam` (if None) or `joint_lbfgs`.
        steps: evaluations of each restart.
        restarts: how many starts from different noise, one after the other; the lowest cost wins.
        start: pictures to start from, (N, C, H, W) in [0, 1], instead of noise.
        seed: of the noise; restart r draws from ``seed + r``.
        watch: see `lecturekit.progress`; its steps carry the best pictures so far.
    Returns: a `Reconstruction`; on Ctrl-C or `STOP` the best so far.
    Raises: InputError for a gradient of another network, labels or numbers that cannot be; ModelError for a network in
        training mode, or a cost that is not finite.
    """
    check_mode(model)
    check_gradient(model, gradient)
    y = torch.tensor([label(gradient)], device=gradient[-1].device) if y is None else checked_classes(y)
    first = check(model, gradient, y, noise(len(y), size, seed) if start is None else start, tv, steps, restarts)
    sent, weights, solver = [part.detach() for part in gradient], weights_of(model), solver or signed_adam

    def cost_of(x):
        return distance(loss_gradient(model, weights, x, y, create_graph=True), sent) + tv * mean_variation(x)

    search = Search(first, steps, restarts, watch)
    try:
        for restart in range(restarts):
            x = noise(len(y), size, seed + restart).to(first) if start is None else first
            if not search.run(solver(x, cost_of, steps)):
                break
    except KeyboardInterrupt:
        search.complete = False  # the best so far is worth having
    return search.finished(y, distance(shared_gradient(model, search.x, y), sent).item())


class Search:
    """The best so far over all restarts, and what whoever watches is told."""

    def __init__(self, first, steps, restarts, watch):
        self.steps, self.total, self.watch = steps, steps * restarts, watch
        self.x, self.lowest, self.costs, self.best = first, math.inf, [], []
        self.complete, self.began = True, time.monotonic()

    def run(self, evaluations):
        """Go through the evaluations of one restart, and return False if the watch asked to stop."""
        self.best.append(math.inf)
        for _, (x, cost) in zip(range(self.steps), evaluations, strict=False):
            if not math.isfinite(cost):
                raise ModelError(f"the cost is {cost} at evaluation {len(self.costs) + 1}; look for NaN in the network")
            self.costs.append(cost)
            self.best[-1] = min(self.best[-1], cost)
            if cost < self.lowest:
                self.x, self.lowest = x, cost
            done = len(self.costs)
            shown = self.x if done % PICTURE_EVERY == 0 or done in (1, self.total) else None
            if stopped(self.watch, Step(done, self.total, cost, shown)):
                self.complete = False
                return False
        return True

    def finished(self, y, distance):
        """Return the `Reconstruction`."""
        best = [cost for cost in self.best if math.isfinite(cost)]
        return Reconstruction(self.x, y, distance, self.costs, best, time.monotonic() - self.began, self.complete)


def signed_adam(x, cost_of, steps, *, rate=0.05):
    """Walk down with Adam on the sign of the slope, inside the box, ten times slower at 3/8, 5/8 and 7/8 of the way.

    The sign makes all pixels move alike: where the network hardly looks the slope is tiny, not meaningless.

    Args:
        x: the pictures to start from (N, C, H, W).
        cost_of: pictures to one number.
        steps: evaluations in all; it decides when the rate falls.
        rate: step size in pixel units.
    Yields: (pictures (N, C, H, W), cost) of each evaluation.
    """
    x = x.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=rate)
    milestones = [math.ceil(steps * part) for part in DECAYS]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones, gamma=0.1)
    while True:
        with torch.enable_grad():
            cost = cost_of(x)
            (slope,) = torch.autograd.grad(cost, x)
        yield x.detach().clone(), cost.item()
        x.grad = slope.sign()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            x.clamp_(0, 1)  # the projection on the box


def joint_lbfgs(x, cost_of, steps):
    """Walk down with L-BFGS, all pictures as one; arguments and yields as for `signed_adam`.

    It arrives far sooner on a smooth network.
    """
    for pictures, cost in lbfgs(Joint(x), lambda pictures: cost_of(pictures)[None]):
        yield pictures, cost.item()


class Joint(Pixels):
    """Pictures (N, C, H, W) held as one row of numbers, for a solver that gives every row its own step length."""

    def __init__(self, start):
        super().__init__(start[None])

    def forward(self):
        """Return the pictures (N, C, H, W) in [0, 1]."""
        return super().forward()[0]


def noise(count, size, seed):
    """Return faint noise on grey (count, 3, H, W): deviation 0.1."""
    generator = torch.Generator().manual_seed(seed)
    return (0.5 + 0.1 * torch.randn(count, 3, *size, generator=generator)).clamp(0, 1)


def checked_classes(y):
    """Return the classes sought, after refusing what is none."""
    if not isinstance(y, torch.Tensor) or y.dim() != 1 or not len(y):
        raise InputError("y must hold the classes of the pictures sought, (N,) whole numbers (int64), at least one")
    check_labels(y, len(y), "labels")
    return y


def check(model, gradient, y, start, tv, steps, restarts):
    """Refuse what cannot work, and return the pictures to start from, where and as precise as the gradient is."""
    check_steps(steps)
    check_steps(restarts, "restarts")
    if not (isinstance(tv, int | float) and math.isfinite(tv) and tv >= 0):
        raise InputError(f"tv must be a weight from 0 on, e.g. 0.01, got {tv!r}")
    if len(check_pixels(start, "start")) != len(y):
        raise InputError(f"start holds {len(start)} pictures for {len(y)} labels; pass one for each")
    first = start.detach().to(gradient[-1])
    with torch.no_grad():
        checked_logits(model, first, y)
    return first
