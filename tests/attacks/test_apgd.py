"""APGD halves its step where it does not pay, goes back to the best point, and never forgets one."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.apgd import Path, apgd, apgd_targeted, checkpoints
from lecturekit.attacks.gradient import pgd
from lecturekit.attacks.scores import cross_entropy, dlr, margin
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError
from tests.attacks.known import Needle, crooked, greyish, linear


def test_the_checkpoints_are_the_published_ones():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_few_steps_still_have_intervals_of_at_least_one():
    assert checkpoints(5) == [1, 2, 3, 4]
    assert checkpoints(1) == []
    assert checkpoints(50) == [11, 21, 30, 38, 45]


@pytest.mark.parametrize("ball", [Linf(0.02), L2(0.3)], ids=str)
def test_on_a_linear_network_the_best_point_of_the_ball_is_found(ball):
    model, w = linear(torch.float64)
    x0, y = greyish(4, torch.float64), torch.tensor([0, 1, 0, 1])
    found = apgd(model, x0, y, ball=ball, steps=60, leave=False)
    away = torch.tensor([1, -1, 1, -1])[:, None, None, None] * ball.steepest(w[None])
    torch.testing.assert_close(found.delta, ball.eps * away, atol=1e-4, rtol=0)


@pytest.mark.parametrize("score", [cross_entropy, margin, dlr])
@pytest.mark.parametrize("ball", [Linf(0.06), L2(0.5)], ids=str)
def test_the_result_lies_in_ball_and_box_and_the_score_has_risen(ball, score):
    model, x0, y = crooked(12)
    found = apgd(model, x0, y, ball=ball, steps=20, score=score, leave=False)
    assert ball.size(found.delta).max() <= ball.eps + 1e-6
    assert 0 <= found.x.min() <= found.x.max() <= 1
    assert (score(found.logits, y) > score(found.clean, y)).all()


class Hill(nn.Module):
    """A score with its top a little above grey, narrow: a fixed long step only jumps about."""

    def forward(self, x):
        first = x.flatten(1).mean(1)
        return torch.stack([torch.zeros_like(first), -40 * (first - 0.537).square() - 0.1], 1)


def test_the_best_point_of_all_that_were_visited_is_kept():
    x0, y = torch.full((6, 1, 2, 3), 0.5).double(), torch.zeros(6, dtype=torch.long)
    model, visited = Hill().eval(), []
    model.register_forward_hook(lambda _model, _inputs, z: visited.append(margin(z.detach(), y)))
    found = apgd(model, x0, y, ball=Linf(0.1), steps=20, score=margin, leave=False)
    visited = torch.stack(visited[:-2])  # the last two measure the clean and the finished pictures
    assert len(visited) == 21
    torch.testing.assert_close(margin(found.logits, y), visited.max(0).values)
    assert (visited[-1] < visited.max(0).values - 1e-9).any(), "else the last point were as good"


def test_who_is_misled_leaves_and_costs_no_more():
    model, x0, y = crooked(40)
    sizes = []
    model.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    found = apgd(model, x0, y, ball=Linf(0.1), steps=20)
    assert sizes[-2:] == [40, 40]
    assert sizes[:-2] == sorted(sizes[:-2], reverse=True)
    assert found.gradients.sum() <= sum(sizes[:-2]) < 21 * 40
    assert torch.equal(found.misled, apgd(model, x0, y, ball=Linf(0.1), steps=20, leave=False).misled)


def test_it_begins_on_the_border_of_the_ball():
    x0 = torch.full((5, 3, 4, 6), 0.5)
    for ball in (Linf(0.1), L2(0.4)):
        start = Path.beginning(x0, ball, seed=0)
        torch.testing.assert_close(ball.size(start.x - x0), torch.full((5,), ball.eps))
        assert (start.eta == 2 * ball.eps).all()
    assert not torch.equal(Path.beginning(x0, ball, 1).x, start.x)


def two_on_their_way():
    """A path of two pictures; the best point of each is 0.3, and they are at 0.7."""
    path = Path.beginning(torch.full((2, 1, 1, 2), 0.5), Linf(0.4), seed=0)
    path.best, path.x = torch.full_like(path.x, 0.3), torch.full_like(path.x, 0.7)
    path.top, path.checked = torch.tensor([5.0, 5.0]), torch.tensor([1.0, 1.0])
    return path


def test_the_step_of_each_picture_is_halved_where_three_quarters_of_the_steps_did_not_rise():
    path = two_on_their_way()
    path.rises = torch.tensor([15.0, 16.0])  # of 20
    grad = path.check(torch.ones_like(path.x), 20)
    assert path.eta.tolist() == pytest.approx([0.4, 0.8])
    assert path.halved.tolist() == [True, False]
    assert path.x[:, 0, 0, 0].tolist() == pytest.approx([0.3, 0.7]), "back to the best point, or on from here"
    assert grad[:, 0, 0, 0].tolist() == [0, 1], "with the gradient that was measured there"
    assert path.rises.tolist() == [0, 0] and path.checked.tolist() == [5, 5]


def test_the_step_is_halved_where_nothing_better_was_found_since_an_interval_without_halving():
    path = two_on_their_way()
    path.rises, path.checked = torch.tensor([20.0, 20.0]), torch.tensor([5.0, 5.0])
    path.halved = torch.tensor([False, True])
    path.check(torch.ones_like(path.x), 20)
    assert path.eta.tolist() == pytest.approx([0.4, 0.8]), "halved one interval ago: then it has another chance"


def test_three_quarters_of_a_move_follow_the_gradient_and_one_quarter_the_last_move():
    path = two_on_their_way()
    path.last, path.eta = path.x - 0.08, torch.tensor([0.1, 0.02])
    path.move(torch.ones_like(path.x), Linf(0.4), 0.75)
    assert path.x[:, 0, 0, 0].tolist() == pytest.approx([0.7 + 0.075 + 0.02, 0.7 + 0.015 + 0.02])
    assert path.last[:, 0, 0, 0].tolist() == pytest.approx([0.7, 0.7])


def test_it_finds_the_top_of_a_hill_that_a_fixed_step_jumps_across():
    x, y = torch.full((6, 1, 2, 3), 0.5), torch.zeros(6, dtype=torch.long)
    model, ball = Hill().eval(), Linf(0.1)
    own = margin(apgd(model, x, y, ball=ball, steps=40, score=margin).logits, y)
    fixed = margin(pgd(model, x, y, ball=ball, steps=40, alpha=0.1, score=margin).logits, y)
    assert (own > -0.1001).all()
    assert (own > fixed + 0.001).all()


def test_a_target_is_reached_by_either_score():
    model, x0, y = crooked(30)
    target = (y + 1) % 4
    for score in (cross_entropy, dlr):
        found = apgd(model, x0, y, ball=Linf(0.3), steps=20, target=target, score=score)
        assert torch.equal(found.misled, found.logits.argmax(1) == target)
        assert found.misled.sum() > 10


def test_towards_every_class_in_turn_misleads_whoever_one_direction_does_not():
    model, x0, y = crooked(60)
    ball = Linf(0.05)
    by_one = apgd_targeted(model, x0, y, ball=ball, steps=10, targets=1)
    by_all = apgd_targeted(model, x0, y, ball=ball, steps=10, targets=9)
    assert by_all.target is None
    assert not (by_one.misled & ~by_all.misled).any()
    assert by_all.misled.sum() > by_one.misled.sum() > 0
    assert by_all.gradients.max() > 10 and by_all.gradients.max() <= 30, "three wrong classes, ten steps each"


def test_each_restart_can_only_mislead_more():
    x, y = torch.full((60, 3, 4, 5), 0.5), torch.zeros(60, dtype=torch.long)
    one, many = (apgd(Needle().eval(), x, y, ball=Linf(0.1), steps=3, restarts=restarts) for restarts in (1, 8))
    assert not (one.misled & ~many.misled).any()
    assert many.misled.sum() > one.misled.sum() > 0
    assert one.gradients.max() == 3 and many.gradients.max() == 24


def test_dlr_needs_enough_classes():
    model, _ = linear()
    with pytest.raises(InputError, match="dlr needs 3 classes or more and there are 2; use margin"):
        apgd(model, greyish(2), torch.tensor([0, 1]), score=dlr)
    with pytest.raises(InputError, match="dlr needs 4 classes or more and there are 2; use margin"):
        apgd_targeted(model, greyish(2), torch.tensor([0, 1]))
