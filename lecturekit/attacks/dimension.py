r"""Dimension: the same task in more pixels is easier to attack, and a random change of the same size never notices.

A linear score adds up d pixels.  Against every weight's sign a change of $\epsilon$ per pixel adds up to
$\epsilon \lVert w \rVert_1 \approx \epsilon \sqrt{d}\,\lVert w \rVert_2$; with random signs it cancels to about
$\epsilon \lVert w \rVert_2$.  So, of a task that stays equally hard:

==================================  =======================  ============
least eps (L-infinity)              grows with d like        slope in log
==================================  =======================  ============
against the weights' signs          $1 / \sqrt{d}$           -1/2
in a random direction               1                        0
==================================  =======================  ============

`faint_task` is such a task with known truth: two classes whose mean pictures differ by $2\Delta$ in all, spread evenly
over d pixels, in noise of known size.  The best possible accuracy is the same at every size.

The trap: enlarging a picture is not this experiment.  It adds pixels and distance alike, the slope is near 0, and one
learns nothing about dimension; what counts is how many *independent* pixels carry a little of the evidence each.

Source: Goodfellow et al. 2015, arXiv:1412.6572, section 3; for enlarged pictures Shafahi et al. 2019, arXiv:1809.02104.
"""

import dataclasses
import math

import torch
from torch import nn

from lecturekit import measure
from lecturekit.attacks.guard import check_steps
from lecturekit.attacks.linear import least_eps
from lecturekit.attacks.scores import margin
from lecturekit.attacks.threat import Linf
from lecturekit.errors import InputError
from lecturekit.pixels import check_pixels

SIDES = (8, 16, 32, 64)
DELTA, SIGMA = 0.15, 0.05  # distance of a mean from grey over all pixels together, and noise of one pixel: 3 sigma


def faint_task(side, count, *, seed=0, truth=0, delta=DELTA, sigma=SIGMA):
    r"""Draw pictures of two classes of which every pixel knows next to nothing.

    $x = 1/2 \pm \Delta s / \sqrt{d} + \sigma n$ with fixed signs s and Gaussian noise n.  The best classifier is w = s;
    its accuracy is $\Phi(\Delta / \sigma)$, whatever d is: 99.87 % as it stands.

    Args:
        side: pixels a side; d = 3 * side * side.
        count: pictures; classes take turns.
        seed: of the noise.
        truth: of the signs; training and test must share it.
        delta, sigma: the symbols above, in pixel units.
    Returns: pictures (N, 3, side, side) in [0, 1] and classes (N,).
    Raises: InputError for a side or count below 1, or pictures that would leave [0, 1] more than once in a million.
    """
    check_steps(side, "side")
    check_steps(count, "count")
    d = 3 * side * side
    if delta / math.sqrt(d) + 5 * sigma > 0.5:
        raise InputError(f"delta {delta:g} and sigma {sigma:g} leave the box: the clamp would spoil the known truth")
    s = signs(side, truth)
    y = torch.arange(count) % 2
    noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
    x = 0.5 + (2 * y[:, None, None, None] - 1) * s * delta / math.sqrt(d) + sigma * noise
    return x.clamp(0, 1), y


@dataclasses.dataclass(frozen=True)
class Dimensions:
    """Least eps of the same N pictures (or of N pictures each) at S sizes.

    Attributes:
        d: values of a picture, (S,).
        least: eps against the signs of the weights, (S, N), from the closed form.
        random: eps in a random direction or back, (S, N); above 1 no picture is left.
        accuracy: at each size, S intervals: the task must not become easier or harder.
    """

    d: torch.Tensor
    least: torch.Tensor
    random: torch.Tensor
    accuracy: list[measure.Interval]

    @property
    def slope(self):
        """The exponent of d in the least eps, an `Interval`; -1/2 if nothing but the dimension changes."""
        return exponent(self.d, self.least)

    @property
    def random_slope(self):
        """The same for random directions: 0."""
        return exponent(self.d, self.random)


def best_classifier(side, *, truth=0):
    """Return the best classifier of `faint_task`, which weighs every pixel with its sign.

    Nothing is learned, so nothing is blamed on learning: from 600 pictures of 12,288 values the weights come out noisy,
    and the eps of the largest size too small.
    """
    s = signs(side, truth).flatten()
    layer = nn.Linear(len(s), 2)
    layer.weight.data, layer.bias.data = torch.stack([-s, s]), torch.stack([s.sum(), -s.sum()]) / 2  # grey: 0
    return nn.Sequential(nn.Flatten(), layer).eval()


def least_by_size(tasks, *, seed=0):
    """Ask at each size how large the least eps of a linear classifier is, against its weights and at random.

    Args:
        tasks: for each size, (model, x, y) with classes 0 and 1 and equally many pictures: `best_classifier`, or
            `linear_classifier` and pictures that it has not seen.
        seed: of the random directions.
    Returns: `Dimensions`, of the pictures that are read rightly at every size.
    Raises: InputError if the sizes cannot be compared: fewer than two, other numbers of pictures, none right at all.
    """
    counts = [len(y) for _, _, y in tasks]
    if len(tasks) < 2 or len(set(counts)) != 1:
        raise InputError(f"a slope needs two sizes or more with equally many pictures, got {counts} pictures")
    least = torch.stack([least_eps(*task, box=False).cpu() for task in tasks])
    random = torch.stack([random_eps(*task, seed).cpu() for task in tasks])
    right = (least > 0).all(0)  # least is 0 where a picture is misread as it is
    if right.sum() < 2:
        raise InputError(
            f"only {int(right.sum())} pictures are read rightly at every size; there is nothing to compare"
        )
    accuracy = [measure.proportion(int((row > 0).sum()), len(row)) for row in least]
    return Dimensions(torch.tensor([x[0].numel() for _, x, _ in tasks]), least[:, right], random[:, right], accuracy)


def random_eps(model, x, y, seed=0):
    """Return how far to go in a random direction, or back, until a linear network is misled: (N,), L-infinity.

    The direction is even in the ball and not of signs: of those, some cancel to exactly nothing and lead nowhere.
    """
    way = 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)).to(x) - 1
    way = way / Linf.size(way)[:, None, None, None]
    with torch.no_grad():
        f, after = margin(model(x), y).double(), margin(model(x + way), y).double()
    return (f / (after - f)).abs()


def signs(side, truth):
    """Return the fixed signs of `faint_task`, (3, side, side)."""
    return 2.0 * torch.randint(2, (3, side, side), generator=torch.Generator().manual_seed(truth)) - 1


def resized(x, side):
    """Return pictures (N, C, side, side) whose pixels are means over those of larger ones."""
    check_pixels(x, "x")
    if not (isinstance(side, int) and side >= 1 and all(length % side == 0 for length in x.shape[-2:])):
        raise InputError(
            f"{x.shape[-2]}×{x.shape[-1]} pixels cannot be averaged to a side of {side!r}, which must divide both"
        )
    return torch.nn.functional.adaptive_avg_pool2d(x, side)


def exponent(d, eps):
    """Return the least-squares slope of log eps over log d, sizes (S,) and radii (S, N), as an `Interval` over N.

    The slope is linear in the logs, so each picture has a slope of its own and the mean of these is drawn anew.
    """
    place = d.double().log()
    place = place - place.mean()
    return measure.bootstrap((place[:, None] * eps.double().log()).sum(0) / place.square().sum())
