"""The curve never rises and counts why it would have; the closed form of a linear network gives its every point."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.evaluate import robust_accuracy
from lecturekit.attacks.gradient import fgsm
from lecturekit.attacks.result import judge
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError
from lecturekit.progress import STOP

HEIGHT, WIDTH = 4, 5


def mean_net():
    """Two classes, dark and bright, parted where the mean is a half: the margin is the distance of the mean."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(60, 2)).eval()
    model[1].weight.data = torch.stack([torch.zeros(60), torch.full((60,), 1 / 60)])
    model[1].bias.data = torch.tensor([0, -0.5])
    return model


def dark(*distances):
    """Pictures that lie so far below the border, all of class 0."""
    x = torch.stack([torch.full((3, HEIGHT, WIDTH), 0.5 - distance) for distance in distances])
    return x, torch.zeros(len(x), dtype=torch.long)


def one_step(model, x, y, *, ball, seed, watch):
    return fgsm(model, x, y, ball=ball)


@pytest.mark.parametrize(("ball", "factor"), [(Linf, 1.0), (L2, 60**0.5)])
def test_on_a_linear_network_every_point_of_the_curve_is_known(ball, factor):
    """The mean rises by eps in the cube and by eps / sqrt(60) in the Euclidean ball."""
    x, y = dark(0.01, 0.02, 0.03, 0.04, -0.1)  # the last one is wrong to begin with
    radii = [factor * radius for radius in (0.035, 0, 0.015, 0.2)]
    curve = robust_accuracy(mean_net(), x, y, ball=ball, radii=radii)
    assert [round(5 * point.estimate) for point in curve.accuracy] == [4, 3, 1, 0]
    assert [here.eps for here in curve.balls] == sorted(radii) and isinstance(curve.balls[0], ball)
    assert curve.accuracy[0].n == 5 and curve.accuracy[0].low < 0.8 < curve.accuracy[0].high, "Wilson, of all five"
    assert curve.stood_again == [0, 0, 0, 0] and curve.complete


def test_who_fell_once_has_fallen_and_the_misses_are_counted():
    """An attack that only works within 0.05 finds all there and nothing farther out."""

    def short(model, x, y, *, ball, seed, watch):
        moved = (x + 0.05).clamp(0, 1) if ball.eps == 0.05 else x
        return judge(model, x, moved, y, attack="short", ball=ball)

    curve = robust_accuracy(mean_net(), *dark(0.01, 0.02, 0.2), attack=short, radii=[0, 0.05, 0.1, 0.3])
    assert [round(3 * point.estimate) for point in curve.accuracy] == [3, 1, 1, 1]
    assert curve.stood_again == [0, 0, 2, 2]
    assert curve.raw.sum(1).tolist() == [3, 1, 3, 3]
    assert "4 times a picture stood that a smaller radius had misled: the attack is not good enough" in str(curve)


def test_the_table_has_one_row_for_each_radius():
    curve = robust_accuracy(mean_net(), *dark(0.01, 0.02), attack=one_step, radii=[0, 4 / 255, 8 / 255])
    assert curve.table.columns == ("ball", "accuracy", "stood_again")
    lines = str(curve).splitlines()
    assert len(lines) == 4 and lines[2].startswith("L∞ ≤ 4/255  0.5") and lines[0].split() == [
        "ball", "accuracy", "stood", "again"
    ]  # fmt: skip


def test_pictures_that_are_wrong_are_not_attacked():
    sizes = []

    def counting(model, x, y, *, ball, seed, watch):
        sizes.append(len(x))
        return one_step(model, x, y, ball=ball, seed=seed, watch=watch)

    robust_accuracy(mean_net(), *dark(0.1, -0.1, -0.2), attack=counting, radii=[0, 0.01, 0.02])
    assert sizes == [1, 1], "and a radius of 0 needs no attack"


def test_the_seed_reaches_the_attack():
    seeds = []

    def noting(model, x, y, *, ball, seed, watch):
        seeds.append(seed)
        return one_step(model, x, y, ball=ball, seed=seed, watch=watch)

    robust_accuracy(mean_net(), *dark(0.1), attack=noting, radii=[0.01, 0.02], seed=5)
    assert seeds == [5, 5]


def test_stop_keeps_the_radii_that_are_finished():
    seen = []

    def watch(step):
        seen.append(step)
        return STOP if "8/255" in step.note else None

    curve = robust_accuracy(mean_net(), *dark(0.3, 0.4), radii=[0, 4 / 255, 8 / 255, 16 / 255], watch=watch)
    assert not curve.complete and len(curve.balls) == len(curve.found) == 2 and curve.stood.shape == (2, 2)
    assert "STOPPED" in str(curve) and [step.done for step in seen] == sorted(step.done for step in seen)
    nothing = robust_accuracy(mean_net(), *dark(0.3, 0.4), radii=[0.1], watch=lambda step: STOP)
    assert nothing.accuracy == [] and not nothing.complete


@pytest.mark.parametrize(("radii", "pictures"), [([], 2), ([0.1], 0)])
def test_a_curve_of_nothing_is_refused(radii, pictures):
    x, y = dark(0.1, 0.2)
    with pytest.raises(InputError, match=f"got {len(radii)} radii and {pictures} pictures"):
        robust_accuracy(mean_net(), x[:pictures], y[:pictures], radii=radii)
