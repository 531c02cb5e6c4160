"""FGSM, BIM, PGD and MI-FGSM find what a closed form says they must find, and never leave their ball."""

import math

import pytest
import torch
from torch import nn

from lecturekit.attacks.gradient import EPS, all_kept, ascend, bim, fgsm, kept, mi_fgsm, pgd
from lecturekit.attacks.scores import cross_entropy, dlr, margin
from lecturekit.attacks.threat import L2, Linf, inside
from lecturekit.errors import InputError
from lecturekit.networks import lecture_net
from tests.attacks.known import Needle, crooked, greyish, linear

ATTACKS = [fgsm, bim, pgd, mi_fgsm]


# The closed form


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_a_linear_network_the_best_corner_of_the_ball_is_found(attack, dtype):
    model, w = linear(dtype)
    x0, y = greyish(4, dtype), torch.tensor([0, 1, 0, 1])
    budget = {"steps": 20, "leave": False} if attack is pgd else {}
    found = attack(model, x0, y, ball=Linf(0.02), **budget)
    standing = found.right | (attack is not bim)  # BIM leaves alone what is wrong already
    away = torch.tensor([1, -1, 1, -1], dtype=dtype)[:, None, None, None] * w.sign()
    if attack is bim:
        standing = found.gradients > 6  # the others were misled on the way, and left
    torch.testing.assert_close(found.delta[standing], 0.02 * away[standing], atol=1e-6, rtol=0)


@pytest.mark.parametrize("attack", [fgsm, pgd, mi_fgsm])
def test_on_a_linear_network_the_longest_way_in_the_euclidean_ball_is_found(attack):
    model, w = linear(torch.float64)
    x0, y = greyish(4, torch.float64), torch.tensor([0, 1, 0, 1])
    found = attack(model, x0, y, ball=L2(0.3), **({"steps": 300, "leave": False} if attack is pgd else {}))
    away = torch.tensor([1, -1, 1, -1])[:, None, None, None] * w / w.norm()
    torch.testing.assert_close(found.delta, 0.3 * away, atol=1e-3, rtol=0)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_on_a_linear_network_success_comes_exactly_where_eps_times_the_one_norm_exceeds_the_margin(attack):
    model, w = linear()
    x0 = greyish(200)
    logits = model(x0)
    y, lead = logits.argmax(1), (logits[:, 1] - logits[:, 0]).abs()
    eps = lead.median().item() / w.abs().sum().item()  # half of the pictures can be misled
    stood = attack(model, x0, y, ball=Linf(eps)).stood
    clear = (lead - eps * w.abs().sum()).abs() > 1e-4
    assert 180 < clear.sum()
    assert torch.equal(stood[clear], (lead > eps * w.abs().sum())[clear])
    assert 60 < stood.sum() < 140


def test_one_step_too_small_for_the_ball_goes_one_step_from_the_random_start():
    model, w = linear()
    x0, y = greyish(2), torch.tensor([0, 0])
    start = EPS.start(x0, torch.Generator().manual_seed(9))
    with pytest.warns(UserWarning, match=r"1 steps of 0\.001 cannot reach the border of the ball \(0\.0313725\)"):
        found = pgd(model, x0, y, alpha=0.001, steps=1, seed=9, leave=False)
    torch.testing.assert_close(found.x, inside(start + 0.001 * w.sign(), x0, EPS))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_target_is_climbed_to_and_not_away_from(attack):
    model, x0, y = crooked(8)
    target = (y + 1) % 4
    found = attack(model, x0, y, ball=Linf(0.2), target=target)
    assert (cross_entropy(found.logits, y, target) > cross_entropy(found.clean, y, target)).all()
    assert found.misled.any()
    assert torch.equal(found.misled, found.logits.argmax(1) == target)


@pytest.mark.parametrize("score", [cross_entropy, margin, dlr])
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_score_rises(attack, score):
    model, x0, y = crooked(8)
    found = attack(model, x0, y, score=score)
    assert (score(found.logits, y) > score(found.clean, y)).all()


def test_momentum_is_the_sum_of_gradients_of_length_one_by_hand():
    model, x0, y = crooked(8, torch.float64)
    x, velocity = x0, 0
    for _ in range(6):
        x = x.detach().requires_grad_(True)
        (grad,) = torch.autograd.grad(nn.functional.cross_entropy(model(x), y, reduction="sum"), x)
        velocity = 0.5 * velocity + grad / grad.abs().sum((1, 2, 3), keepdim=True)
        x = (x.detach() + 0.05 * velocity.sign()).clamp(x0 - 0.3, x0 + 0.3).clamp(0, 1)
    found = mi_fgsm(model, x0, y, ball=Linf(0.3), steps=6, momentum=0.5)
    torch.testing.assert_close(found.x, x)


def test_bim_takes_kurakins_number_of_steps():
    model, x0, y = crooked(2)
    with torch.no_grad():
        model[3].bias += 100 * nn.functional.one_hot(y[0], 4)  # nothing leads away from this class, nobody leaves
    for grey, steps in ((1, 1), (2, 2), (8, 10), (16, 20), (32, 36)):
        assert bim(model, x0, torch.full_like(y, y[0]), ball=Linf(grey / 255)).gradients.tolist() == [steps] * 2


# Inside the ball, inside the box


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ball", [Linf(1 / 255), Linf(8 / 255), Linf(1), L2(0.1), L2(2.0)], ids=str)
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_result_lies_in_the_ball_and_in_the_box(attack, ball, dtype):
    model, x0, y = crooked(dtype=dtype)
    x = attack(model, x0, y, ball=ball, **({"alpha": ball.eps, "steps": 3} if attack is bim else {})).x
    assert x.dtype == dtype
    assert ball.size(x - x0).max() <= ball.eps + 1e-6
    assert 0 <= x.min() <= x.max() <= 1
    assert not torch.equal(x, x0)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_ball_without_size_gives_the_picture_back(attack):
    model, x0, y = crooked()
    for ball in (Linf(0), L2(0)):
        assert attack(model, x0, y, ball=ball).unchanged.all()


def test_eps_is_in_pixels_whatever_the_network_does_inside():
    torch.manual_seed(0)
    model, x0, y = lecture_net("abc").eval(), torch.rand(2, 3, 64, 64), torch.tensor([0, 2])
    found = pgd(model, x0, y, steps=4, leave=False)
    assert (cross_entropy(found.logits, y) > cross_entropy(found.clean, y)).all()
    assert Linf.size(found.delta).tolist() == pytest.approx([8 / 255] * 2, abs=1e-6)


def test_more_steps_climb_higher():
    model, x0, y = crooked(8)
    heights = [
        cross_entropy(pgd(model, x0, y, ball=Linf(0.2), alpha=0.2, steps=steps, leave=False).logits, y).sum()
        for steps in (1, 3, 20)
    ]
    assert cross_entropy(model(x0), y).sum() < heights[0] < heights[1] < heights[2]


def test_pgd_is_no_worse_than_fgsm_and_fgsm_no_worse_than_nothing():
    model, x0, y = crooked(40)
    one = fgsm(model, x0, y, ball=Linf(0.05))
    many = pgd(model, x0, y, ball=Linf(0.05), steps=20, restarts=3)
    assert not (one.misled & ~many.misled).any()
    assert many.misled.sum() >= one.misled.sum() > 0


# Seeds, restarts, leaving


def test_the_seed_decides_the_start():
    model, x0, y = crooked()

    def attack(seed):
        return pgd(model, x0, y, steps=4, seed=seed, leave=False).x

    assert torch.equal(attack(1), attack(1))
    assert not torch.equal(attack(1), attack(2))


def test_each_restart_begins_elsewhere():
    model, x0, y = crooked()
    with torch.no_grad():
        model[3].bias += 1000 * nn.functional.one_hot(y[0], 4)  # flat: a run ends where it began
    y = torch.full_like(y, y[0])
    again = pgd(model, x0, y, steps=4, seed=5, restarts=2).x
    assert torch.equal(again, pgd(model, x0, y, steps=4, seed=6).x)
    assert not torch.equal(again, pgd(model, x0, y, steps=4, seed=5).x)


def test_a_picture_does_not_depend_on_its_neighbours():
    model, x0, y = crooked(3, torch.float64)
    together, alone = pgd(model, x0, y), pgd(model, x0[:1], y[:1])
    torch.testing.assert_close(together.x[:1], alone.x)  # the first of a batch has the start that it has alone


def test_who_is_misled_leaves_and_is_not_touched_again():
    model, x0, y = crooked(30)
    sizes, judged = [], []
    model.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    found = pgd(model, x0, y, ball=Linf(0.1), steps=12)
    sizes, judged = sizes[:-2], sizes[-2:]
    assert judged == [30, 30], "clean and attacked, measured afresh"
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 30
    assert sum(sizes) == found.gradients.sum()
    assert found.misled.sum() >= 30 - sizes[-1]
    assert found.misled.sum() == pgd(model, x0, y, ball=Linf(0.1), steps=12, leave=False).misled.sum()


@pytest.mark.parametrize("leave", [True, False])
def test_each_restart_can_only_mislead_more_pictures(leave):
    x, y = torch.full((60, 3, 4, 5), 0.5), torch.zeros(60, dtype=torch.long)
    budget = {"ball": Linf(0.1), "alpha": 0.005, "steps": 20, "leave": leave}
    misled = [pgd(Needle().eval(), x, y, restarts=restarts, **budget).misled for restarts in (1, 3, 12)]
    assert 0 < misled[0].sum() < misled[1].sum() < misled[2].sum()
    assert not (misled[0] & ~misled[1]).any(), "who fell stays fallen, also in the last step of a run"
    assert not (misled[1] & ~misled[2]).any()


def test_zero_gradients_are_counted_and_named():
    x, y = torch.full((4, 3, 4, 5), 0.2), torch.zeros(4, dtype=torch.long)
    found = fgsm(Needle().eval(), x, y, ball=Linf(0.1))
    assert found.flat.tolist() == [1] * 4
    assert "4 right and UNCHANGED" in str(found) and "4 met a gradient of ZERO (try score=margin)" in str(found)


def test_the_margin_still_climbs_where_cross_entropy_is_flat():
    model, w = linear()
    x0 = greyish(2)
    with torch.no_grad():
        model[1].weight *= 1e5
        model[1].bias *= 1e5
    y = model(x0).argmax(1)
    assert fgsm(model, x0, y).unchanged.all()
    steep = fgsm(model, x0, y, score=margin)
    assert not steep.unchanged.any() and not steep.flat.any()


@pytest.mark.parametrize(("attack", "passes"), [(fgsm, [True, False]), (pgd, [True, True, False, False])])
def test_the_clean_pictures_are_asked_once_where_the_way_begins_with_them(attack, passes):
    model, x0, y = crooked(6, torch.float64)
    asked = []
    model.register_forward_pre_hook(lambda _module, _inputs: asked.append(torch.is_grad_enabled()))
    found = attack(model, x0, y, **({"steps": 2, "alpha": EPS.eps, "leave": False} if attack is pgd else {}))
    assert asked == passes, "the slopes, then what is left to look at"
    torch.testing.assert_close(found.clean, model(x0).detach())
    assert not found.clean.requires_grad


# Memory, and what the training loop calls


def test_rows_keep_their_layout_in_memory():
    x = torch.rand(4, 3, 5, 6).contiguous(memory_format=torch.channels_last)
    rows = torch.tensor([True, False, True, True])
    assert kept(x, rows).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(kept(x, rows), x[rows])
    climbed = ascend(crooked()[0], *crooked()[1:], EPS, steps=1, alpha=0.01)
    numbered = climbed.__class__(*(torch.arange(3.0) for _ in range(4)), *2 * [torch.arange(3)])
    some = all_kept(numbered, torch.tensor([2, 0]))
    assert some.x.tolist() == [2, 0] and some.complete.tolist() == [2, 0]


def test_pictures_with_colours_last_in_memory_stay_so_on_their_way_through_the_network():
    model, x0, y = crooked(6)
    x0, seen = x0.contiguous(memory_format=torch.channels_last), []
    model.register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    pgd(model, x0, y, restarts=2)
    assert all(seen)


def test_ascend_begins_where_it_is_told_inside_ball_and_box():
    model, x0, y = crooked()
    start = x0 + 1
    climbed = ascend(model, x0, y, Linf(0.1), steps=1, alpha=0.0, start=start.requires_grad_(True))
    torch.testing.assert_close(climbed.x, (x0 + 0.1).clamp(0, 1))
    assert not climbed.x.requires_grad


# What is refused


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"alpha": -0.1}, r"alpha must be a step size in pixel units, e\.g\. eps / 4, but is -0\.1"),
        ({"alpha": math.nan}, "alpha must be a step size .* is nan"),
        ({"alpha": 0.1}, r"alpha is 0\.1: a step longer than the ball is wide \(0\.0627451\) only jumps about"),
        ({"steps": 0}, "steps must be a whole number from 1 on but is 0"),
        ({"steps": 2.5}, "steps must be a whole number from 1 on but is 2.5"),
        ({"restarts": 0}, "restarts must be a whole number from 1 on but is 0"),
    ],
)
def test_a_budget_that_would_make_a_weak_attack_is_refused(budget, message):
    model, x0, y = crooked(2)
    with pytest.raises(InputError, match=message):
        pgd(model, x0, y, **budget)
