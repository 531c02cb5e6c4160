"""Carlini and Wagner's attack finds the distance that a formula gives, also where a popular port of it cannot."""

import math

import pytest
import torch
from torch import nn

from lecturekit.attacks.carlini import BETA1, BETA2, Deal, Walk, carlini_wagner
from lecturekit.attacks.deepfool import deepfool
from lecturekit.attacks.scores import margin
from lecturekit.attacks.threat import L2
from lecturekit.errors import InputError
from tests.attacks.known import crooked, greyish, linear


def test_on_a_linear_network_it_finds_the_distance_to_the_border():
    model, w = linear()
    x0 = greyish(4)
    logits = model(x0)
    y, lead = logits.argmax(1), (logits[:, 1] - logits[:, 0]).abs()
    found = carlini_wagner(model, x0, y, steps=300)
    assert found.misled.all()
    torch.testing.assert_close(found.norms, lead / w.norm(), rtol=0.04, atol=1e-4)
    assert (found.norms >= lead / w.norm() - 1e-4).all(), "nothing is shorter than the shortest way"


def test_it_finds_shorter_ways_than_deepfool_to_the_same_class():
    """Without a target it may end beyond another border, a few per cent farther: it follows the class that leads."""
    model, x0, _ = crooked(10)
    x0 = 0.2 + 0.6 * x0  # black and white pixels move too, but w has far to go
    y = model(x0).argmax(1)
    straight = deepfool(model, x0, y)
    how = {"steps": 200, "searches": 7, "price": 0.1, "lr": 0.005}
    bargained = carlini_wagner(model, x0, y, target=straight.logits.argmax(1), **how)
    assert bargained.misled.all()
    assert (bargained.norms < straight.norms).all()
    free = carlini_wagner(model, x0, y, **how)
    assert (free.norms <= 1.1 * straight.norms).all()


# The two defects of a popular port, each with the way in which it shows


def test_black_and_white_pixels_can_move():
    """arctanh(1) is infinite: an attack that does not shrink the picture first changes none of these pixels."""
    generator = torch.Generator().manual_seed(0)
    model, _ = linear()
    x0 = (torch.rand(6, 3, 4, 5, generator=generator) > 0.5).float()
    y = model(x0).argmax(1)
    found = carlini_wagner(model, x0, y, steps=400, searches=4, price=1.0, lr=0.1)
    assert found.misled.all()
    assert ((found.x - x0).abs() > 1e-3).flatten(1).float().mean(1).min() > 0.1
    grey = 0.01 + 0.98 * x0
    easier = carlini_wagner(model, grey, model(grey).argmax(1), steps=400, searches=4, price=1.0, lr=0.1)
    assert easier.misled.all()


class Negative(nn.Module):
    """Another network minus 100: the same classes, and every logit negative."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x) - 100


def test_logits_that_are_all_negative_change_nothing():
    """An attack that multiplies the true logit by zero takes 0 for the best other class, and stands still."""
    model, x0, y = crooked(6, torch.float64)
    assert (Negative(model)(x0) < 0).all()
    found = carlini_wagner(Negative(model).eval(), x0, y, steps=100, searches=3, price=1.0)
    assert found.misled.all()
    positive = carlini_wagner(model, x0, y, steps=100, searches=3, price=1.0)
    torch.testing.assert_close(found.norms, positive.norms, rtol=0.15, atol=1e-3)


def test_kappa_asks_for_a_clear_margin():
    model, x0, y = crooked(6)
    just, clearly = (
        carlini_wagner(model, x0, y, steps=100, searches=3, price=1.0, kappa=kappa) for kappa in (0.0, 0.5)
    )
    assert just.misled.all() and clearly.misled.all()
    assert margin(clearly.logits, y).min() >= 0.5
    assert (clearly.norms > just.norms).all()


def test_a_target_is_what_it_names():
    model, x0, y = crooked(8)
    target = (y + 2) % 4
    found = carlini_wagner(model, x0, y, steps=100, searches=4, price=1.0, target=target)
    assert found.logits.argmax(1).tolist() == target.tolist()


def test_what_is_misled_already_comes_back_as_it_is():
    model, x0, y = crooked(6)
    y[:2] = (y[:2] + 1) % 4
    found = carlini_wagner(model, x0, y, steps=20, searches=2, price=1.0)
    assert found.unchanged[:2].all() and found.gradients[:2].tolist() == [0, 0]


def test_what_cannot_be_misled_comes_back_as_it_was_and_is_named():
    model, x0, y = crooked(3)
    with torch.no_grad():
        model[3].bias += 1000 * nn.functional.one_hot(y[0], 4)
    found = carlini_wagner(model, x0, torch.full_like(y, y[0]), steps=5, searches=2)
    assert found.unchanged.all() and "3 right and UNCHANGED" in str(found)


def test_prices_go_up_tenfold_until_the_picture_falls_and_halve_the_rest_after_that():
    deal = Deal.beginning(torch.zeros(2, 1, 1, 1), 0.001)
    prices = [deal.price.tolist()]
    for fell in ([False, False], [False, True], [True, False], [False, True]):
        deal.fell = torch.tensor(fell)
        deal.next_price()
        prices.append(deal.price.tolist())
    first, second = zip(*prices, strict=True)
    assert first == pytest.approx([0.001, 0.01, 0.1, 0.055, 0.0775])
    assert second == pytest.approx([0.001, 0.01, 0.0055, 0.00775, 0.006625])


def test_the_steps_are_those_of_torchs_adam():
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    walk = Walk.beginning(torch.arange(2), x)
    w = nn.Parameter(walk.w.clone())
    adam = torch.optim.Adam([w], lr=0.03, betas=(BETA1, BETA2))
    for step in range(1, 6):
        grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(step)) * 10.0 ** (-step)
        w.grad = grad.clone()
        adam.step()
        walk.move(grad, 0.03, step)
        torch.testing.assert_close(walk.w, w.detach(), rtol=1e-5, atol=1e-6)


def test_a_picture_leaves_the_search_when_neither_its_loss_nor_its_lowest_loss_falls():
    walk = Walk.beginning(torch.arange(4), torch.rand(4, 1, 2, 2))
    walk.loss, walk.lowest = torch.tensor([2.0, 3.0, 4.0, 9.0]), torch.tensor([2.0, 3.0, 4.0, 5.0])
    walk = walk.falling()
    assert walk.rows.tolist() == [0, 1, 2, 3], "the first look has nothing to compare with"
    walk.loss, walk.lowest = torch.tensor([6.0, 2.99999, 4.0, 8.0]), torch.tensor([1.0, 2.99999, 4.0, 5.0])
    walk = walk.falling()
    assert walk.rows.tolist() == [0, 3], "one goes up and down at the border, one comes back from too far"
    assert walk.before.tolist() == [[6, 1], [8, 5]]


def test_only_what_is_not_misled_is_differentiated():
    model, x0, y = crooked(10)
    passes = {True: 0, False: 0}

    def count(_module, inputs):
        passes[torch.is_grad_enabled()] += len(inputs[0])

    model.register_forward_pre_hook(count)
    found = carlini_wagner(model, x0, y, steps=100, searches=1, price=10.0)
    assert passes == {True: found.gradients.sum(), False: found.queries.sum() + 30}, "30: before, and two to judge"
    assert passes[False] > 0.3 * passes[True]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_pictures_lie_in_the_box_and_keep_their_type(dtype):
    model, x0, y = crooked(4, dtype)
    found = carlini_wagner(model, x0, y, steps=30, searches=2, price=1.0)
    assert found.x.dtype == dtype
    assert 0 <= found.x.min() <= found.x.max() <= 1
    torch.testing.assert_close(found.norms, L2.size(found.delta))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 on but is 0"),
        ({"searches": 2.5}, "searches must be a whole number from 1 on but is 2.5"),
        ({"price": 0}, "price must be a number > 0 but is 0"),
        ({"lr": -1}, "lr must be a number > 0 but is -1"),
        ({"kappa": -0.5}, r"kappa must be a number >= 0 but is -0\.5"),
        ({"price": math.nan}, "price must be a number > 0 but is nan"),
    ],
)
def test_numbers_with_which_nothing_can_be_found_are_refused(arguments, message):
    model, x0, y = crooked(2)
    with pytest.raises(InputError, match=message):
        carlini_wagner(model, x0, y, **arguments)
