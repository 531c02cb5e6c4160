"""The square root of d, on a task whose truth is known."""

import math

import pytest
import torch

from lecturekit.attacks.dimension import best_classifier, exponent, faint_task, least_by_size, random_eps, resized
from lecturekit.attacks.linear import linear_classifier
from lecturekit.errors import InputError

SIDES = (4, 8, 16, 32)


def best(side, count=150, seed=0):
    return best_classifier(side), *faint_task(side, count, seed=seed)


def test_with_the_best_classifier_the_least_eps_falls_with_the_root_of_d_and_the_random_one_does_not():
    found = least_by_size([best(side, seed=side) for side in SIDES])
    assert found.d.tolist() == [48, 192, 768, 3072]
    assert found.slope.low <= -0.5 <= found.slope.high
    assert found.slope.high - found.slope.low < 0.1
    assert found.random_slope.low <= 0 <= found.random_slope.high
    assert found.random_slope.above(found.slope)


def test_the_least_eps_is_the_distance_over_the_root_of_d():
    """Without noise every picture lies delta from the border: delta / sqrt(d) in every pixel."""
    tasks = [(best_classifier(side), *faint_task(side, 4, sigma=0.0)) for side in SIDES]
    found = least_by_size(tasks)
    expected = torch.tensor([0.15 / math.sqrt(3 * side * side) for side in SIDES], dtype=torch.float64)
    torch.testing.assert_close(found.least, expected[:, None].expand(4, 4), rtol=1e-3, atol=0)


def test_the_task_stays_equally_hard():
    found = least_by_size([best(side, 400, seed=side) for side in SIDES])
    assert all(accuracy.high > 0.9987 for accuracy in found.accuracy), "Phi(3) at every size"
    hard = [(best_classifier(side), *faint_task(side, 400, seed=side, delta=0.05)) for side in SIDES]
    for accuracy in least_by_size(hard).accuracy:
        assert accuracy.low < 0.8413 < accuracy.high, "Phi(1)"


def test_noisy_weights_that_were_learned_from_few_pictures_fall_faster_than_the_root():
    tasks = []
    for side in SIDES:
        model = linear_classifier(*faint_task(side, 100), ridge=0.1 * side * side)
        tasks.append((model, *faint_task(side, 150, seed=1)))
    found = least_by_size(tasks)
    assert -0.9 < found.slope.estimate < -0.45
    assert found.random_slope.above(found.slope)


def test_random_eps_goes_to_the_border_and_no_further():
    model, x, y = best(4, 10)
    eps = random_eps(model, x, y, seed=3)
    way = 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) - 1
    way = way / way.abs().amax((1, 2, 3), keepdim=True)
    there = [model(x + sign * eps.float()[:, None, None, None] * way) for sign in (1, -1)]
    nearest = torch.stack([(z[:, 1] - z[:, 0]).abs() for z in there]).amin(0)
    assert (nearest < 1e-3 * (model(x)[:, 1] - model(x)[:, 0]).abs() + 1e-4).all()


def test_the_exponent_of_a_power_is_its_exponent():
    d = torch.tensor([10, 100, 1000])
    eps = torch.tensor([1.0, 2.0, 5.0]) * d[:, None].double() ** -0.7
    found = exponent(d, eps)
    assert (found.estimate, found.low, found.high) == pytest.approx((-0.7, -0.7, -0.7))


def test_resized_pictures_have_the_means_of_their_pixels():
    x = torch.arange(2 * 3 * 4 * 8).view(2, 3, 4, 8).float() / 192
    small = resized(x, 2)
    assert small.shape == (2, 3, 2, 2)
    torch.testing.assert_close(small[1, 2, 1, 0], x[1, 2, 2:, :4].mean())


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match=r"two sizes or more with equally many pictures, got \[150\]"):
        least_by_size([best(4)])
    with pytest.raises(InputError, match=r"equally many pictures, got \[150, 20\]"):
        least_by_size([best(4), best(8, 20)])
    model, x, y = best(4, 6)
    with pytest.raises(InputError, match="only 0 pictures are read rightly at every size"):
        least_by_size([(model, x, y), (model, x, 1 - y)])
    with pytest.raises(InputError, match=r"leave the box"):
        faint_task(4, 2, sigma=0.2)
    with pytest.raises(InputError, match="side must be a whole number from 1 on but is 0"):
        faint_task(0, 2)
    with pytest.raises(InputError, match="4×8 pixels cannot be averaged to a side of 3"):
        resized(torch.zeros(2, 3, 4, 8), 3)
