"""What is climbed: hand-computed numbers, and what each score does where another one fails."""

import math

import pytest
import torch

from lecturekit.attacks.scores import best_other, cross_entropy, dlr, margin, reached, value_of
from lecturekit.errors import InputError

Z = torch.tensor([[5.0, 2.0, 1.0, 0.0], [1.0, 4.0, 3.0, 2.0]])
Y, T = torch.tensor([0, 0]), torch.tensor([2, 3])


def test_cross_entropy_is_the_surprise_at_the_truth_or_less_of_it_at_the_target():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    assert cross_entropy(logits, torch.tensor([0, 1])).tolist() == pytest.approx([math.log(4), math.log(2)])
    towards = cross_entropy(logits, torch.tensor([0, 0]), torch.tensor([1, 1]))
    assert towards.tolist() == pytest.approx([-math.log(4 / 3), -math.log(2)])


def test_the_margin_is_the_lead_of_the_best_other_class():
    assert margin(Z, Y).tolist() == [-3, 3]
    assert margin(Z, Y, T).tolist() == [-4, -2]


def test_the_best_other_class_is_found_also_where_every_logit_is_negative():
    z = torch.tensor([[-1.0, -5.0, -3.0], [-2.0, -1.0, -9.0]])
    assert best_other(z, torch.tensor([0, 1])).tolist() == [-3, -2], "not 0, as a product with one-hot labels has it"
    assert value_of(z, torch.tensor([0, 1])).tolist() == [-1, -1]


def test_dlr_is_the_margin_over_the_spread_of_the_largest_logits():
    assert dlr(Z, Y).tolist() == pytest.approx([-3 / 4, 3 / 2])
    assert dlr(Z, Y, T).tolist() == pytest.approx([(1 - 5) / (5 - 0.5), (2 - 1) / (4 - 1.5)])


@pytest.mark.parametrize("target", [None, T])
def test_dlr_does_not_care_how_logits_are_scaled_or_shifted(target):
    torch.testing.assert_close(dlr(600 * Z - 40, Y, target), dlr(Z, Y, target))


def test_far_from_the_border_cross_entropy_is_flat_and_the_margin_is_not():
    z = torch.tensor([[200.0, 0.0, 0.0], [0.0, 300.0, 0.0]], requires_grad=True)
    y = torch.tensor([0, 1])
    assert torch.autograd.grad(cross_entropy(z, y).sum(), z)[0].abs().max() == 0
    assert (torch.autograd.grad(margin(z, y).sum(), z)[0].abs().sum(1) == 2).all()


def test_a_margin_above_zero_is_a_network_that_is_misled():
    z = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    y, t = torch.arange(50) % 5, (torch.arange(50) + 1) % 5
    assert torch.equal(margin(z, y) > 0, reached(z, y))
    assert torch.equal(margin(z, y, t) > 0, reached(z, y, t))
    assert 0 < reached(z, y, t).sum() < reached(z, y).sum() < 50


def test_dlr_refuses_too_few_classes():
    with pytest.raises(InputError, match="dlr needs 3 classes or more and there are 2; use margin"):
        dlr(Z[:, :2], Y)
    with pytest.raises(InputError, match="dlr needs 4 classes or more and there are 3; use margin"):
        dlr(Z[:, :3], Y, T)
