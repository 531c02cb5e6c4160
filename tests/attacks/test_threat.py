"""The ball and the box are two sets and two functions, and a hand can compute both."""

import math

import pytest
import torch

from lecturekit.attacks.threat import L2, Linf, inside, into_box, levels, over
from lecturekit.errors import InputError


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_eight_levels_are_eight_of_the_255_steps_between_black_and_white():
    assert levels(8) == 8 / 255
    assert str(Linf(levels(8))) == "L∞ ≤ 8/255"
    assert str(L2(0.5)) == "L2 ≤ 0.5"


def test_the_cube_cuts_off_each_value_by_itself():
    x0, x = torch.full((1, 1, 2, 2), 0.5), torch.tensor([[[[0.55, 0.9], [-0.3, 0.41]]]])
    assert Linf(0.1).project(x, x0).flatten().tolist() == pytest.approx([0.55, 0.6, 0.4, 0.41])


def test_the_sphere_shortens_the_whole_change_and_never_lengthens_it():
    x0, x = torch.zeros(2, 1, 1, 2), torch.tensor([[[[3.0, 4.0]]], [[[0.3, 0.4]]]])
    assert L2(1.0).project(x, x0).flatten().tolist() == pytest.approx([0.6, 0.8, 0.3, 0.4])
    assert torch.equal(L2(1.0).project(x, x0)[1], x[1]), "what is inside stays, to the last bit"


@pytest.mark.parametrize("ball", [Linf(0.2), L2(0.7)])
def test_a_projection_is_the_nearest_point_of_the_ball(ball):
    x0, x = random(3, 2, 3, 4), random(3, 2, 3, 4, seed=1)
    nearest = ball.project(x, x0)
    assert (ball.size(nearest - x0) <= ball.eps + 1e-12).all()
    torch.testing.assert_close(ball.project(nearest, x0), nearest)
    for seed in range(50):
        other = ball.project(nearest + 0.3 * random(3, 2, 3, 4, seed=seed), x0)
        assert (L2.size(x - other) >= L2.size(x - nearest) - 1e-12).all()


def test_the_box_cuts_and_the_ball_comes_first():
    x0, x = torch.tensor([[[[0.05, 0.95, 0.5]]]]), torch.tensor([[[[-0.3, 1.3, 0.9]]]])
    assert into_box(x).flatten().tolist() == pytest.approx([0, 1, 0.9])
    assert inside(x, x0, Linf(0.1)).flatten().tolist() == pytest.approx([0, 1, 0.6])


@pytest.mark.parametrize("ball", [Linf(0.2), L2(0.7)])
def test_ball_then_box_lies_in_both(ball):
    x0 = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x = inside(x0 + random(4, 3, 5, 6), x0, ball)
    assert 0 <= x.min() <= x.max() <= 1
    assert (ball.size(x - x0) <= ball.eps + 1e-12).all()


@pytest.mark.parametrize("ball", [Linf(1.0), L2(1.0)])
def test_no_step_of_length_one_climbs_a_linear_function_higher_than_the_steepest(ball):
    grad = random(3, 2, 3, 4)
    best = ball.steepest(grad)
    torch.testing.assert_close(ball.size(best), torch.ones(3).double())
    climbed = (grad * best).flatten(1).sum(1)
    dual = grad.flatten(1).abs().sum(1) if isinstance(ball, Linf) else grad.flatten(1).norm(dim=1)
    torch.testing.assert_close(climbed, dual)
    for seed in range(1, 50):
        other = random(3, 2, 3, 4, seed=seed)
        other = other / ball.size(other)[:, None, None, None]
        assert ((grad * other).flatten(1).sum(1) <= climbed + 1e-12).all()


def test_without_a_gradient_there_is_no_step():
    assert L2.steepest(torch.zeros(2, 3, 4, 5)).abs().max() == 0
    assert Linf.steepest(torch.zeros(2, 3, 4, 5)).abs().max() == 0
    assert over(torch.tensor([0.0, 1e-45, 2.0])).tolist() == [1, 1, 2]


def test_random_starts_are_uniform_in_the_ball():
    x0 = torch.zeros(4000, 1, 1, 3)
    cube = Linf(0.5).start(x0, torch.Generator().manual_seed(0))
    assert cube.abs().max() <= 0.5
    assert cube.mean((0, 1, 2)).abs().max() < 0.02
    assert cube.var(0).flatten().tolist() == pytest.approx([1 / 12] * 3, rel=0.05), "of a uniform number of width 1"
    sphere = L2.size(L2(2.0).start(x0, torch.Generator().manual_seed(0)))
    assert sphere.max() <= 2 + 1e-6
    assert (sphere < 1).float().mean().item() == pytest.approx(1 / 8, abs=0.02), (
        "half the radius, an eighth of the room"
    )


def test_the_norms_of_a_batch_are_one_number_per_picture():
    delta = torch.tensor([[[[3.0, -4.0]]], [[[0.0, 1.0]]]])
    assert L2.size(delta).tolist() == [5, 1]
    assert Linf.size(delta).tolist() == [4, 1]


@pytest.mark.parametrize(
    ("ball", "eps", "message"),
    [
        (Linf, 8, r"eps is in pixel units, from 0 to 1, but is 8; did you mean 8/255\?"),
        (Linf, -0.1, "eps must be a number >= 0 in pixel units but is -0.1"),
        (L2, math.nan, "eps must be a number >= 0 in pixel units but is nan"),
        (L2, math.inf, "but is inf, e.g. 8/255"),
        (Linf, "8/255", "but is '8/255'"),
    ],
)
def test_a_radius_that_makes_no_sense_is_refused(ball, eps, message):
    with pytest.raises(InputError, match=message):
        ball(eps)
