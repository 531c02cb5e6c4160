"""Initialisation against the powers that the theory promises, and Zeiler & Fergus' repair against sums on paper."""

import math

import pytest
import torch
from torch import nn

from lecturekit import capture
from lecturekit.errors import InputError, ModelError
from lecturekit.features import (
    SCHEMES,
    aliasing,
    census,
    healthy,
    initialised,
    learn,
    renormalise,
    renormalising,
    signal,
    slope,
    stem_net,
)
from lecturekit.networks import lecture_net, load
from lecturekit.pictures.picturebook import CLASSES
from lecturekit.progress import STOP

WIDTH = 300


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def deep(layers=8):
    """Layers of equal width, so that the theory's powers show."""
    parts = [nn.Flatten()]
    for _ in range(layers):
        parts += [nn.Linear(WIDTH, WIDTH), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(WIDTH, 10))


def measured(scheme):
    return signal(initialised(deep(), scheme), random(40, 3, 10, 10), torch.arange(40) % 10)


@pytest.mark.parametrize(
    "scheme, decades", [("he", 0.0), ("xavier", math.log10(0.5) / 2), ("too small", -1), ("too large", 1)]
)
def test_the_signal_grows_by_the_power_that_theory_promises(scheme, decades):
    rows = measured(scheme)[:-1]
    assert slope([row.activation for row in rows]) == pytest.approx(decades, abs=0.03)
    if scheme != "too large":  # there the softmax is certain from the start, and its gradient underflows
        assert -slope([row.gradient for row in rows]) == pytest.approx(decades, abs=0.03), (
            "the same factor on the way back"
        )


def test_only_he_and_constant_weights_keep_the_size_and_constant_ones_say_nothing_new():
    assert [scheme for scheme in SCHEMES if healthy(measured(scheme))] == ["constant", "he"]
    found = census(initialised(lecture_net(CLASSES), "constant"), random(2, 3, 64, 64))
    assert len(found.of("duplicate", "conv3")) == 95 and not found.of("duplicate", "conv9")


def test_a_negative_bias_silences_the_network():
    assert measured("negative bias")[3].silent > 0.9 and measured("he")[3].silent < 0.2


def test_constant_weights_make_all_filters_one():
    fresh = initialised(deep(2), "constant")
    assert fresh[1].weight.unique().tolist() == [pytest.approx(1 / WIDTH)]
    learn(fresh, random(20, 3, 10, 10), torch.arange(20) % 10, steps=3, batch=10)
    assert (fresh[1].weight - fresh[1].weight[0]).abs().max() < 1e-7, "and training keeps them so"


def test_the_first_weights_have_the_promised_size():
    fresh = initialised(lecture_net(CLASSES), "he", seed=3)
    assert fresh.conv3.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.03)
    assert fresh.conv3.bias.eq(0).all() and fresh.conv3.weight.requires_grad
    assert torch.equal(fresh.conv1.weight, initialised(lecture_net(CLASSES), "he", seed=3).conv1.weight)
    xavier = initialised(lecture_net(CLASSES), "xavier").conv3.weight.std().item()
    assert xavier == pytest.approx(math.sqrt(2 / (64 * 9 + 96 * 9)), rel=0.03)


def test_a_convolutional_network_with_hes_weights_keeps_its_signal_past_pooling():
    rows = signal(initialised(lecture_net(CLASSES), "he"), random(8, 3, 64, 64), torch.arange(8))
    assert [row.layer for row in rows] == [*(f"conv{i}" for i in range(1, 6)), "fc6", "fc7", "fc8"] and healthy(rows)


def test_the_gradient_is_that_of_autograd():
    model, x, y = deep(1), random(6, 3, 10, 10), torch.arange(6)
    rows = signal(model, x, y)
    hidden = model[:3](x).detach().requires_grad_(True)
    (grad,) = torch.autograd.grad(nn.functional.cross_entropy(model[3:](hidden), y, reduction="sum"), hidden)
    assert rows[0].gradient == pytest.approx(grad.square().sum(dim=1).mean().sqrt().item(), rel=5e-3)
    assert rows[0].activation == pytest.approx(hidden.square().mean().sqrt().item(), rel=5e-3)


def test_a_signal_can_be_measured_in_a_frozen_network():
    rows = signal(load("picturebook"), random(3, 3, 64, 64), torch.arange(3))
    assert all(row.gradient > 0 for row in rows)


def test_a_slope_is_the_line_through_the_decades():
    assert slope([1, 10, 100]) == pytest.approx(1) and slope([8, 4, 2, 1]) == pytest.approx(math.log10(0.5))
    assert slope([1, 0, 1]) == -math.inf
    with pytest.raises(InputError, match="a slope needs at least two layers, got 1"):
        slope([1])


def test_an_unknown_scheme_is_answered_with_its_neighbours():
    with pytest.raises(InputError, match="there is no scheme named 'hee'. Did you mean 'he'"):
        initialised(deep(1), "hee")


# --- learning ---------------------------------------------------------------------------------------------------------


def test_learning_lowers_the_loss_and_repeats_itself():
    x, y = random(64, 3, 10, 10), torch.arange(64) % 10
    first, second = (learn(initialised(deep(2), "he"), x, y, steps=30, batch=32) for _ in range(2))
    assert first == second and first[-1] < 0.8 * first[0]


def test_learning_can_be_stopped_and_ends_where_the_loss_is_lost():
    x, y = random(64, 3, 10, 10), torch.arange(64) % 10
    assert len(learn(initialised(deep(2), "he"), x, y, watch=lambda s: STOP if s.done == 4 else None)) == 4
    assert len(learn(initialised(deep(8), "too large"), x, y, steps=60)) < 10


def test_learning_refuses_what_cannot_learn():
    with pytest.raises(ModelError, match="the weights are frozen"):
        learn(load("picturebook"), random(64, 3, 64, 64), torch.zeros(64).long())
    with pytest.raises(InputError, match="steps from 1 on and a batch from 1 to 5, got 60 and 64"):
        learn(initialised(deep(1), "he"), random(5, 3, 10, 10), torch.zeros(5).long())


# --- the repair -------------------------------------------------------------------------------------------------------


def test_renormalising_shrinks_large_filters_only():
    layer = nn.Conv2d(1, 3, 2, bias=False)
    layer.weight.data = torch.tensor([3.0, 1.0, 0.1])[:, None, None, None].expand(3, 1, 2, 2).clone()
    assert renormalise(layer, 1.5) == 1
    assert layer.weight[:, 0, 0, 0].tolist() == pytest.approx([1.5, 1.0, 0.1])
    with pytest.raises(InputError, match="radius must be above 0, got 0"):
        renormalise(layer, 0)


def test_renormalising_happens_after_every_step():
    model, told = stem_net(CLASSES, kernel=7, stride=2), []
    watch = renormalising(model.conv1, 0.05, told.append)
    learn(model, random(16, 3, 64, 64), torch.arange(16) % 10, steps=2, batch=8, watch=watch)
    assert model.conv1.weight.flatten(1).square().mean(dim=1).sqrt().max() <= 0.05 + 1e-6 and len(told) == 2


def test_a_stride_of_one_loses_nothing_and_a_delta_loses_what_lies_beyond_its_steps():
    one, four = nn.Conv2d(3, 2, 5), nn.Conv2d(3, 2, 5, stride=4)
    assert aliasing(one).eq(0).all()
    four.weight.data.zero_()
    four.weight.data[:, :, 2, 2] = 1  # all waves alike: 17 of 64 rows and columns are within 1/8 cycle per pixel
    torch.testing.assert_close(aliasing(four), torch.full((2,), 1 - (17 / 64) ** 2))
    four.weight.data[:] = 1  # a flat filter lets coarse waves through
    assert aliasing(four).max() < 0.35
    with pytest.raises(InputError, match="aliasing is a matter of convolutions that stride, got Linear"):
        aliasing(nn.Linear(2, 2))


def test_smaller_and_denser_filters_alias_less_and_fit_the_same_network():
    before, after = (stem_net(CLASSES, kernel=k, stride=s) for k, s in ((11, 4), (7, 2)))
    assert before(random(2, 3, 64, 64)).shape == after(random(2, 3, 64, 64)).shape == (2, 10)
    assert aliasing(after.conv1).mean() < aliasing(before.conv1).mean() - 0.1


def test_only_the_first_layer_differs_and_what_is_behind_keeps_its_size():
    sizes = {}
    for kernel, stride in ((11, 4), (7, 2)):
        model = stem_net(CLASSES, kernel=kernel, stride=stride)
        sizes[stride] = {row.name: row.shape for row in capture.layers(model, (3, 64, 64))}
        assert model.conv1.weight.shape == (32, 3, kernel, kernel)
    assert [sizes[4][name] for name in ("conv1", "conv2", "pool2")] == [(32, 16, 16), (48, 16, 16), (48, 8, 8)]
    assert [sizes[2][name] for name in ("conv1", "conv2", "pool2")] == [(32, 32, 32), (48, 32, 32), (48, 16, 16)]
    assert [sizes[2][name] for name in ("conv3", "pool3", "fc4")] == [(48, 16, 16), (48, 4, 4), (10,)]


def test_a_stem_follows_its_seed():
    one, same, other = (stem_net(CLASSES, kernel=7, stride=2, **seed) for seed in ({}, {"seed": 0}, {"seed": 1}))
    assert torch.equal(one.conv1.weight, same.conv1.weight) and not torch.equal(one.fc4.weight, other.fc4.weight)


def test_filters_of_zeros_lose_nothing_and_stay_as_they_are():
    layer = nn.Conv2d(3, 2, 5, stride=4)
    nn.init.zeros_(layer.weight)
    assert aliasing(layer).eq(0).all() and renormalise(layer, 0.1) == 0 and layer.weight.eq(0).all()
