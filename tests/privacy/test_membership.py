"""Membership: the curve counted by brute force, ties, an interval that covers, planted leaks, and what is refused."""

import math

import pytest
import torch

from lecturekit.attacks.fit import fit, small_net
from lecturekit.errors import InputError, ModelError
from lecturekit.privacy.membership import losses, membership, told_apart


def row(n, seed, shift=0.0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def noise_pictures(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, 8, 10, generator=generator), torch.randint(0, 4, (n,), generator=generator)


def test_a_curve_drawn_by_hand():
    # losses 1 2 | 2 3: thresholds -inf, 1, 2, 3
    found = told_apart([1, 2], [2, 3])
    assert found.thresholds.tolist() == [-math.inf, 1, 2, 3]
    assert found.tpr.tolist() == [0, 0.5, 1, 1]
    assert found.fpr.tolist() == [0, 0, 0.5, 1]
    assert found.auc.estimate == (1 + 1 + 0.5 + 1) / 4  # 1<2, 1<3, 2=2, 2<3
    assert found.advantage == 0.5
    assert (found.tpr_at_1.estimate, found.tpr_at_1.n, found.auc.n) == (0.5, 2, 4)


@pytest.mark.parametrize("digits", [0, 1, 9])  # many ties, some, none
def test_the_area_is_the_share_of_pairs_in_the_right_order(digits):
    inside, outside = row(40, 0, -0.4).round(decimals=digits), row(57, 1).round(decimals=digits)
    pairs = (inside[:, None] < outside).double() + 0.5 * (inside[:, None] == outside)
    found = told_apart(inside, outside)
    assert found.auc.estimate == pytest.approx(pairs.mean().item(), abs=1e-6)
    assert found.auc.low < found.auc.estimate < found.auc.high
    brute = [((inside <= t).double().mean() - (outside <= t).double().mean()).item() for t in inside]
    assert found.advantage == pytest.approx(max(brute), abs=1e-6)


def test_the_area_agrees_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    inside, outside = row(40, 0, -0.4).round(decimals=1), row(57, 1).round(decimals=1)
    labels = [1] * 40 + [0] * 57
    area = metrics.roc_auc_score(labels, -torch.cat([inside, outside]).numpy())
    assert told_apart(inside, outside).auc.estimate == pytest.approx(area, abs=1e-6)


def test_equal_losses_say_nothing():
    found = told_apart(torch.zeros(30), torch.zeros(20))
    assert (found.auc.estimate, found.advantage, found.tpr_at_1.estimate) == (0.5, 0, 0)


def test_members_with_the_larger_losses_are_found_by_nobody():
    found = told_apart([3.0, 4.0], [1.0, 2.0])
    assert (found.auc.estimate, found.advantage) == (0, 0)


def test_changing_sides_turns_the_area_over():
    inside, outside = row(30, 0, -1), row(50, 1)
    one, other = told_apart(inside, outside).auc, told_apart(outside, inside).auc
    assert (1 - other.estimate, 1 - other.high, 1 - other.low) == pytest.approx((one.estimate, one.low, one.high), 1e-6)


def test_one_per_cent_of_the_strangers_may_be_accused_and_no_more():
    outside = torch.arange(200.0)  # 1 % of 200: the losses 0 and 1
    assert told_apart([0.5, 1.5, 1.7, 2.5], outside).tpr_at_1.estimate == 0.75


def test_all_told_apart_is_no_certainty():
    auc = told_apart(torch.zeros(10), torch.ones(10)).auc
    assert auc.estimate == auc.high == 1
    assert 0.6 < auc.low < 0.9


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(shift):
    truth = 0.5 * (1 + math.erf(shift / 2))  # P(a - shift < b) for two unit normals
    covered = 0
    for seed in range(400):
        auc = told_apart(row(30, seed, -shift), row(40, 10_000 + seed)).auc
        covered += auc.low <= truth <= auc.high
    assert 0.92 <= covered / 400 <= 0.985


def test_losses_are_the_cross_entropy_written_out():
    x, y = noise_pictures(6, 0)
    model = small_net(4).eval()
    with torch.no_grad():
        p = model(x).double().softmax(1)
    assert torch.allclose(losses(model, x, y), -p[torch.arange(6), y].log())


def test_labels_learned_by_heart_give_their_pictures_away_and_an_untrained_network_knows_nothing():
    """The labels are random, so nothing but memory can tell the two apart."""
    inside, outside = noise_pictures(64, 0), noise_pictures(64, 1)
    fresh = small_net(4, seed=3).eval()
    assert 0.35 < membership(fresh, inside, outside).auc.estimate < 0.65
    learned = fit(small_net(4, seed=3), *inside, epochs=60, batch=32)
    found = membership(learned, inside, outside)
    assert found.auc.low > 0.9
    assert found.tpr_at_1.low > 0.3


def test_the_network_comes_back_as_it_was_and_answers_the_same_twice():
    inside, outside = noise_pictures(5, 0), noise_pictures(7, 1)
    model = small_net(4).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    one, two = membership(model, inside, outside), membership(model, inside, outside)
    assert torch.equal(one.inside, two.inside)
    assert one.auc == two.auc
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


def test_it_shows_its_numbers_and_not_its_losses():
    assert repr(told_apart([1, 2], [2, 3])).startswith("Membership(auc=0.9 [")


X, Y = noise_pictures(3, 0)


@pytest.mark.parametrize(
    ("inside", "outside", "message"),
    [
        (X, (X, Y), r"inside must be a pair \(x, y\), pictures and their classes, got Tensor"),
        ((X, Y), (X, Y, Y), r"outside must be a pair"),
        ((X, Y[:2]), (X, Y), r"labels of inside must be 3 whole numbers \(int64\), one per picture"),
        ((X, Y), (X[:0], Y[:0]), "outside holds 0 pictures; an attack is judged on at least two members and two"),
        ((X[:1], Y[:1]), (X, Y), "inside holds 1 pictures"),
        ((X, Y), (255 * X, Y), "x of outside"),
        ((X, Y + 9), (X, Y), "labels must lie in 0 to 3"),
    ],
)
def test_pictures_that_cannot_be_are_refused(inside, outside, message):
    with pytest.raises(InputError, match=message):
        membership(small_net(4).eval(), inside, outside)


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ModelError, match=r"needs model.eval\(\)"):
        membership(small_net(4), (X, Y), (X, Y))


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ([], r"inside must be one number for each of at least two pictures, got shape \(0,\)"),
        ([1.0], r"inside must be one number for each of at least two pictures, got shape \(1,\)"),
        ([[1.0]], r"inside must be one number for each .*, got shape \(1, 1\)"),
        ([1.0, math.nan], "1 of 2 numbers of inside are NaN or infinite; no threshold can sort them"),
    ],
)
def test_numbers_that_cannot_be_sorted_are_refused(inside, message):
    with pytest.raises(InputError, match=message):
        told_apart(inside, [1.0])
