"""Closed forms of gradients: the label, the exact input of a linear layer, what a batch mixes, what a defence does."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from lecturekit.errors import InputError, ModelError
from lecturekit.networks.layers import Normalize
from lecturekit.privacy import gradients

SIZE = (4, 6)  # not square
CLASSES = 5


def pictures(count, seed=0):
    """Return noise (count, 3, 4, 6), with labels."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 3, *SIZE, generator=generator)
    return x, torch.randint(CLASSES, (count,), generator=generator)


def dense(*, units=32, bias=True, last=True, seed=0):
    """Return a fully-connected network for these pictures."""
    torch.manual_seed(seed)
    hidden = nn.Linear(3 * SIZE[0] * SIZE[1], units, bias=bias)
    return nn.Sequential(Normalize(), nn.Flatten(), hidden, nn.ReLU(), nn.Linear(units, CLASSES, bias=last)).eval()


def by_hand(w, b):
    """Return a linear network of three pixels and two classes, with these weights and biases."""
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(w))
        layer.bias.copy_(torch.tensor(b))
    return nn.Sequential(nn.Flatten(), layer).eval()


def test_a_gradient_computed_by_hand():
    model = by_hand([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [0.0, 1.0986123])  # logits 0 and ln 3: p = (1/4, 3/4)
    x = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1)
    weight, bias = gradients.shared_gradient(model, x, torch.tensor([0]))
    assert_close(bias, torch.tensor([0.25 - 1, 0.75]))  # p - onehot
    assert_close(weight, torch.tensor([[-0.15, -0.3, -0.45], [0.15, 0.3, 0.45]]))  # its outer product with x


def test_it_is_the_gradient_that_autograd_leaves_in_the_weights():
    model, (x, y) = dense(), pictures(3)
    sent = gradients.shared_gradient(model, x, y)
    cross_entropy(model(x), y).backward()
    assert_close(sent, [weight.grad for weight in model.parameters()])


@pytest.mark.parametrize("frozen", [True, False])
def test_the_network_is_untouched(frozen):
    model, (x, y) = dense().requires_grad_(not frozen), pictures(2)
    before = [weight.clone() for weight in model.parameters()]
    sent = gradients.shared_gradient(model, x, y)
    assert all(part.any() and not part.requires_grad for part in sent)
    assert all(weight.requires_grad != frozen and weight.grad is None for weight in model.parameters())
    assert_close(list(model.parameters()), before, rtol=0, atol=0)


# The label


def labels_read(model, x, y):
    """Return the class read from each picture's gradient."""
    single = zip(x.split(1), y.split(1), strict=True)
    return [gradients.label(gradients.shared_gradient(model, picture, own)) for picture, own in single]


@pytest.mark.parametrize("last", [True, False])
def test_the_label_of_every_single_picture_is_read(last):
    model, (x, y) = dense(last=last), pictures(20)
    assert labels_read(model, x, y) == y.tolist()


def test_a_negative_sum_of_inputs_turns_the_signs_over_and_they_are_turned_back():
    torch.manual_seed(0)
    darker = Normalize((2.0,) * 3, (1.0,) * 3)  # all inputs become negative
    model = nn.Sequential(darker, nn.Flatten(), nn.Linear(72, CLASSES, bias=False)).eval()
    x, y = pictures(4)
    assert labels_read(model, x, y) == y.tolist()


def test_in_a_batch_negative_entries_are_classes_that_occur_most_surely_first():
    sent = [torch.tensor([0.1, -0.2, 0.3, -0.5, 0.3])]
    assert gradients.labels_present(sent).tolist() == [3, 1]


def test_no_class_is_named_that_is_not_in_the_batch():
    model, (x, y) = dense(), pictures(4)
    named = set(gradients.labels_present(gradients.shared_gradient(model, x, y)).tolist())
    assert named and named <= set(y.tolist())


def test_a_last_layer_of_zeros_says_nothing():
    with pytest.raises(InputError, match="the network is so sure that it says nothing"):
        gradients.label([torch.ones(2, 3), torch.zeros(2)])


# The input of a linear layer


def test_a_single_picture_leaks_exactly():
    model, (x, y) = dense(), pictures(3)
    for i in range(3):
        sent = gradients.shared_gradient(model, x[i : i + 1], y[i : i + 1])
        leaked = gradients.as_pictures(model, gradients.linear_input(model, sent), SIZE)
        assert leaked.shape == (1, 3, *SIZE)
        assert (leaked - x[i]).abs().max() < 1e-4


def test_the_unit_with_the_largest_gradient_comes_first_and_silent_ones_are_left_out():
    model = by_hand([[0.0] * 3] * 2, [0.0, 0.0])
    weight, bias = torch.tensor([[2.0, 4.0, 6.0], [9.0, 9.0, 9.0]]), torch.tensor([2.0, -3.0])
    assert_close(gradients.linear_inputs(model, [weight, bias]), torch.tensor([[-3.0] * 3, [1.0, 2.0, 3.0]]))
    assert_close(gradients.linear_inputs(model, [weight, torch.tensor([2.0, 0.0])]), torch.tensor([[1.0, 2.0, 3.0]]))


def test_a_batch_gives_the_weighted_mean_of_its_pictures():
    model, (x, y) = dense(), pictures(2)
    a = model[2](model[1](model[0](x)))
    a.retain_grad()
    (delta,) = torch.autograd.grad(cross_entropy(model[4](model[3](a)), y), a)  # (2, units)
    mixed = gradients.as_pictures(model, gradients.linear_input(model, gradients.shared_gradient(model, x, y)), SIZE)
    unit = delta.sum(0).abs().argmax()
    expected = torch.einsum("n,nchw->chw", delta[:, unit] / delta[:, unit].sum(), x)
    assert_close(mixed[0], expected, rtol=1e-3, atol=1e-4)


def test_a_unit_active_for_one_picture_only_gives_that_picture():
    model, (x, y) = dense(units=2), pictures(2)
    inputs = model[1](model[0](x))
    apart, middle = inputs[0] - inputs[1], (inputs[0] + inputs[1]) / 2
    with torch.no_grad():  # unit 0 is active for the first picture, unit 1 for the second
        model[2].weight.copy_(torch.stack([apart, -apart]) / apart.norm())
        model[2].bias.copy_(-model[2].weight @ middle)
    sent = gradients.shared_gradient(model, x, y)
    leaked = gradients.as_pictures(model, gradients.linear_inputs(model, sent), SIZE)
    distance = torch.cdist(x.flatten(1), leaked.flatten(1), p=float("inf"))
    assert (distance.amin(dim=1) < 1e-4).all()


def test_behind_convolutions_the_input_of_the_first_linear_layer_leaks():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, CLASSES)).eval()
    x, y = pictures(1)
    leaked = gradients.linear_input(model, gradients.shared_gradient(model, x, y), "3")
    assert_close(leaked, model[:3](x).detach(), rtol=0, atol=1e-4)


def test_pixels_come_back_through_the_normalisation_of_the_network():
    model, (x, _) = dense(), pictures(2)
    assert_close(gradients.as_pictures(model, model[:2](x), SIZE), x)
    assert_close(gradients.as_pictures(model[1:], model[1](x), SIZE), x)  # a network without one


# What cannot be


def test_a_layer_without_bias_cannot_be_divided():
    model, (x, y) = dense(bias=False), pictures(1)
    with pytest.raises(ModelError, match="'2' has no bias, and without dL/db there is nothing to divide by"):
        gradients.linear_input(model, gradients.shared_gradient(model, x, y))


def test_a_network_that_begins_with_a_convolution_asks_for_a_name():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, CLASSES)).eval()
    sent = gradients.shared_gradient(model, *pictures(1))
    with pytest.raises(ModelError, match="begins with '0', a Conv2d.*name a linear layer: 3"):
        gradients.linear_input(model, sent)
    with pytest.raises(InputError, match="linear layer"):
        gradients.linear_input(model, sent, "fc9")


def test_a_silent_layer_says_so():
    model, (x, y) = dense(), pictures(1)
    with torch.no_grad():
        model[2].bias.fill_(-100)
    with pytest.raises(InputError, match="no unit was active"):
        gradients.linear_input(model, gradients.shared_gradient(model, x, y))


def test_gradients_that_cannot_be_are_refused():
    model, (x, y) = dense(), pictures(1)
    sent = gradients.shared_gradient(model, x, y)
    wrong = {
        "is a list of 4 tensors, one per parameter, but got 3 tensors": sent[:3],
        "but got Tensor; it comes from another network": sent[0],
        r"the gradient of 2.weight has shape \(32, 71\), but the weights have \(32, 72\)": [sent[0][:, 1:], *sent[1:]],
        "the gradient of 4.bias holds NaN or infinite values": [*sent[:3], sent[3] * torch.nan],
        "zero everywhere": [torch.zeros_like(part) for part in sent],
    }
    for message, gradient in wrong.items():
        with pytest.raises(InputError, match=message):
            gradients.linear_input(model, gradient)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(InputError, match="71 values are no picture of 4×6 pixels"):
        gradients.as_pictures(dense(), torch.zeros(1, 71), SIZE)


def test_clients_that_cannot_be_are_refused():
    model, (x, y) = dense(), pictures(2)
    with pytest.raises(ModelError, match="training mode"):
        gradients.shared_gradient(dense().train(), x, y)
    with pytest.raises(InputError, match="x"):
        gradients.shared_gradient(model, x * torch.nan, y)
    with pytest.raises(InputError, match="labels must be 2 whole numbers"):
        gradients.shared_gradient(model, x, y[:1])
    with pytest.raises(InputError, match="no picture, no gradient"):
        gradients.shared_gradient(model, x[:0], y[:0])
    with torch.no_grad():
        model[2].weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="NaN"):
        gradients.shared_gradient(model, x, y)


# What a client can do


def test_noise_has_the_size_it_was_asked_for_and_is_decided_by_its_seed():
    sent = [torch.full((200, 100), 3.0), torch.zeros(100)]
    sent[0][::2] *= -1  # its mean is zero, its root mean square is not
    spoiled = gradients.noisy(sent, 0.5, seed=1)
    size = 3.0 * (20000 / 20100) ** 0.5  # root mean square of all values
    assert (spoiled[0] - sent[0]).std().item() == pytest.approx(0.5 * size, rel=0.02)
    assert spoiled[1].std().item() == pytest.approx(0.5 * size, rel=0.2)
    assert_close(spoiled, gradients.noisy(sent, 0.5, seed=1), rtol=0, atol=0)
    assert not torch.equal(spoiled[0], gradients.noisy(sent, 0.5, seed=2)[0])
    assert_close(gradients.noisy(sent, 0), sent)
    with pytest.raises(InputError, match="ratio must be a number from 0 on, e.g. 0.1, got -1"):
        gradients.noisy(sent, -1)


def test_pruning_keeps_the_largest_values_of_each_tensor():
    sent = [torch.tensor([[1.0, -4.0], [3.0, -2.0]]), torch.tensor([0.1, -0.2])]
    assert_close(gradients.pruned(sent, 0.5), [torch.tensor([[0.0, -4.0], [3.0, 0.0]]), torch.tensor([0.0, -0.2])])
    assert_close(gradients.pruned(sent, 0.0), sent)
    assert sent[0][0, 0] == 1  # the gradient itself is untouched
    with pytest.raises(InputError, match="share must lie in"):
        gradients.pruned(sent, 1.0)


# Answers known beforehand


def test_a_class_hides_behind_the_probability_that_the_others_give_it():
    """Two pictures with p = (0.7, 0.2, 0.1) each and the classes 0 and 1: 0.7 - 1/2 hides, 0.2 - 1/2 shows."""
    assert gradients.labels_present([torch.tensor([0.7 - 0.5, 0.2 - 0.5, 0.1])]).tolist() == [1]


@pytest.mark.parametrize("sign", [1, -1])
def test_one_row_of_the_last_weights_differs_in_sign_whatever_the_inputs(sign):
    """dL/dW = (p - onehot) h with p = (0.2, 0.3, 0.5), class 1, and h = (1, 3) or its opposite."""
    rows = torch.tensor([0.2, 0.3 - 1, 0.5])[:, None] * sign * torch.tensor([1.0, 3.0])
    assert gradients.label([rows]) == 1


def test_of_two_classes_without_a_bias_nobody_can_tell_which():
    rows = torch.tensor([0.4 - 1, 0.6])[:, None] * torch.tensor([1.0, 3.0])
    assert gradients.label([rows]) == 0
    assert gradients.label([-rows]) == 1, "the same class, with inputs below zero: documented, and wrong"


def test_the_last_bias_of_a_batch_is_the_mean_of_probabilities_minus_the_truth():
    model, (x, y) = dense().double(), pictures(3)
    x = x.double()
    with torch.no_grad():
        expected = (model(x).softmax(1) - torch.eye(CLASSES).double()[y]).mean(0)
    assert_close(gradients.shared_gradient(model, x, y)[-1], expected)


def test_in_double_precision_the_leak_is_exact_to_thirteen_digits():
    model, (x, y) = dense().double(), pictures(1)
    leaked = gradients.linear_input(model, gradients.shared_gradient(model, x.double(), y))
    assert leaked.dtype == torch.float64
    assert_close(gradients.as_pictures(model, leaked, SIZE), x.double(), rtol=0, atol=1e-13)


def test_a_quotient_of_small_numbers_is_not_taken_where_a_larger_one_is():
    """The first unit's numbers are rounding only; it would give nonsense."""
    model = by_hand([[0.0] * 3] * 2, [0.0, 0.0])
    weight, bias = torch.tensor([[5e-9, -3e-9, 7e-9], [0.2, 0.4, 0.6]]), torch.tensor([1e-9, 2.0])
    assert_close(gradients.linear_input(model, [weight, bias]), torch.tensor([[0.1, 0.2, 0.3]]))


def test_clients_may_send_where_gradients_are_switched_off_and_nothing_is_drawn_from_the_global_dice():
    model, (x, y) = dense(), pictures(2)
    dice = torch.get_rng_state()
    with torch.no_grad():
        sent = gradients.shared_gradient(model, x, y)
        assert not torch.is_grad_enabled()
    gradients.noisy(sent, 1.0)
    gradients.linear_net(4, 8)
    assert any(part.any() for part in sent) and torch.equal(dice, torch.get_rng_state())


def test_networks_are_decided_by_their_seed():
    one, again, other = (
        torch.cat([w.flatten() for w in gradients.linear_net(4, 8, seed=seed).parameters()]) for seed in (0, 0, 1)
    )
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert gradients.linear_net(4, 8)(torch.rand(2, 3, 8, 8)).shape == (2, 4)
