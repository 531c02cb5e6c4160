"""Every way to be wrong is refused with a sentence, by every attack, and the network is left as it was."""

import math

import pytest
import torch
from torch import nn

from lecturekit.attacks.apgd import apgd, apgd_targeted
from lecturekit.attacks.carlini import carlini_wagner
from lecturekit.attacks.deepfool import deepfool
from lecturekit.attacks.gradient import bim, fgsm, mi_fgsm, pgd
from lecturekit.attacks.guard import attacking, check_steps
from lecturekit.attacks.threat import Linf
from lecturekit.errors import InputError, ModelError
from tests.attacks.known import crooked

ATTACKS = [fgsm, bim, pgd, mi_fgsm, apgd, apgd_targeted, deepfool, carlini_wagner]
each = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)


def few(attack):
    """As many steps as every attack can have at 8/255 without a warning."""
    return {} if attack is fgsm else {"steps": 8}


class Answer(nn.Module):
    """A network that makes something else of the logits."""

    def __init__(self, change):
        super().__init__()
        self.model, self.change = crooked()[0], change

    def forward(self, x):
        return self.change(self.model(x))


@each
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((2, 3, 4, 5), 2.64), r"x must lie in \[0, 1\] but reaches 2\.64; pass pixels"),
        (torch.full((2, 3, 4, 5), -0.5), r"x must lie in \[0, 1\] but"),
        (torch.full((2, 3, 4, 5), math.nan), "x has 120 values that are not finite"),
        (torch.zeros(2, 3, 4, 5, dtype=torch.uint8), r"x must hold floats .* torch\.uint8; pass x\.float\(\) / 255"),
        (torch.zeros(3, 4, 5), "four axes"),
    ],
    ids=["normalised", "negative", "nan", "uint8", "no batch"],
)
def test_what_is_no_picture_is_refused(attack, x, message):
    with pytest.raises(InputError, match=message):
        attack(crooked()[0], x, torch.zeros(2, dtype=torch.long))


@each
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.tensor([0, 1, 2]), r"labels must be 2 whole numbers \(int64\), one per picture, .* of shape \(3,\)"),
        (torch.tensor([0.0, 1.0]), r"got torch\.float32"),
        (torch.eye(4)[:2], r"got torch\.float32 of shape \(2, 4\)"),
        ([0, 1], "got list"),
        (torch.tensor([0, 4]), "labels must lie in 0 to 3, got 0 to 4"),
        (torch.tensor([-1, 0]), "labels must lie in 0 to 3, got -1 to 0"),
    ],
    ids=["too many", "floats", "one-hot", "a list", "too large", "negative"],
)
def test_labels_that_do_not_fit_are_refused(attack, y, message):
    model, x, _ = crooked(2)
    with pytest.raises(InputError, match=message):
        attack(model, x, y)


@pytest.mark.parametrize("attack", [fgsm, bim, pgd, mi_fgsm, apgd, carlini_wagner])
def test_targets_that_do_not_fit_are_refused(attack):
    model, x, y = crooked(2)
    with pytest.raises(InputError, match="1 of 2 targets are the true class; a target must be another one"):
        attack(model, x, y, target=torch.stack([y[0], (y[1] + 1) % 4]))
    with pytest.raises(InputError, match="targets must lie in 0 to 3"):
        attack(model, x, y, target=torch.tensor([9, 9]))
    with pytest.raises(InputError, match="targets must be 2 whole numbers"):
        attack(model, x, y, target=torch.tensor([1]))


@each
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z: z.softmax(1), "seems to return probabilities: take the softmax off its end"),
        (lambda z: (z, z), "returned a tuple; wrap it so that it returns the one tensor that counts"),
        (lambda z: z * math.nan, "returned NaN or infinite logits for 2 of 2 pictures"),
        (lambda z: z[:, :1], r"logits \(N, K\), K >= 2, but returned shape \(2, 1\)"),
        (lambda z: z[:, :, None], r"returned shape \(2, 4, 1\)"),
    ],
    ids=["probabilities", "tuple", "nan", "one class", "three axes"],
)
def test_a_network_that_gives_no_logits_is_refused(attack, change, message):
    _, x, y = crooked(2)
    with pytest.raises(ModelError, match=message):
        attack(Answer(change).eval(), x, y)


@each
def test_a_network_in_training_mode_is_refused_before_it_is_run(attack):
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(60, 4)).eval()
    model[0].train()  # one layer is enough
    _, x, y = crooked(2)
    with pytest.raises(
        ModelError, match=r"needs model\.eval\(\): in training mode dropout and batch norm .* \(0 and 0"
    ):
        attack(model, x, y)
    assert model[0].num_batches_tracked == 0


@each
def test_inference_mode_is_refused(attack):
    model, x, y = crooked()
    with torch.inference_mode(), pytest.raises(InputError, match=r"outside torch\.inference_mode"):
        attack(model, x, y)


@each
def test_picture_network_and_generator_are_left_as_they_were(attack):
    model, x, y = crooked()
    model[0].bias.requires_grad_(False)
    before, state = x.clone(), torch.get_rng_state()
    x.requires_grad_(True)
    found = attack(model, x, y, **few(attack))
    assert torch.equal(x, before)
    assert x.grad is None
    assert not found.x.requires_grad
    assert [weight.requires_grad for weight in model.parameters()] == [True, False, True, True]
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(part._forward_hooks or part._backward_hooks for part in model.modules())
    assert torch.equal(torch.get_rng_state(), state), "each attack draws from a generator of its own"


@each
def test_no_gradient_of_a_weight_is_computed_and_no_grad_is_no_hindrance(attack):
    model, x, y = crooked()
    expected = attack(model, x, y, **few(attack)).x
    free = []
    model.register_forward_hook(lambda part, *_: free.append(any(w.requires_grad for w in part.parameters())))
    with torch.no_grad():
        assert torch.equal(attack(model, x, y, **few(attack)).x, expected)
    assert free and not any(free)


@each
def test_no_pictures_give_no_pictures(attack):
    model, x, y = crooked()
    found = attack(model, x[:0], y[:0])
    assert found.x.shape == (0, 3, 4, 5)
    assert len(found) == 0 and found.complete
    assert str(found)


@each
def test_a_callable_that_is_no_module_can_be_attacked(attack):
    model, x, y = crooked()
    attack(lambda pixels: model(pixels), x, y, **few(attack))


@pytest.mark.parametrize("attack", [bim, pgd, mi_fgsm, apgd, apgd_targeted, deepfool, carlini_wagner])
class TestStopping:
    """Whoever stops an attack keeps what was found, and the network is as before."""

    arguments = {"steps": 8}

    def hard(self, attack):
        model, x, y = crooked()
        with torch.no_grad():
            model[3].bias += 100 * torch.nn.functional.one_hot(y[0], 4)  # nothing leads away from this class
        ball = {} if attack in (deepfool, carlini_wagner) else {"ball": Linf(8 / 255)}
        return model, x, torch.full_like(y, y[0]), ball | self.arguments

    def test_stop_keeps_the_partial_result(self, attack):
        model, x, y, arguments = self.hard(attack)
        seen = []
        found = attack(model, x, y, **arguments, watch=lambda step: seen.append(step) or "stop")
        assert len(seen) == 1 and seen[0].done == 1
        assert not found.complete
        assert "STOPPED before its end" in str(found)
        assert found.gradients.max() <= 3

    def test_an_interrupt_keeps_the_partial_result_and_thaws_the_network(self, attack):
        model, x, y, arguments = self.hard(attack)

        def interrupt(step):
            if step.done == 2:
                raise KeyboardInterrupt

        found = attack(model, x, y, **arguments, watch=interrupt)
        assert not found.complete
        assert 2 <= found.gradients.max() <= 6
        assert all(weight.requires_grad for weight in model.parameters())
        if "ball" in arguments:
            assert not found.unchanged.any(), "two steps were gone, and they are kept"

    def test_an_error_thaws_the_network(self, attack):
        model, x, y, arguments = self.hard(attack)

        def break_down(step):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            attack(model, x, y, **arguments, watch=break_down)
        assert all(weight.requires_grad for weight in model.parameters())


class Root(nn.Module):
    """Its answer is finite on black pictures, and its slope is not."""

    def forward(self, x):
        return torch.stack([x.flatten(1).sum(1) * 0 + 2, x.flatten(1)[:, 0].sqrt()], 1)


@pytest.mark.parametrize("attack", [fgsm, deepfool])
def test_a_gradient_that_is_not_finite_is_refused(attack):
    with pytest.raises(ModelError, match="the gradient holds NaN or infinite values"):
        attack(Root().eval(), torch.zeros(2, 3, 4, 5), torch.tensor([0, 0]))


def test_the_weights_are_thawed_after_an_error_inside_the_block():
    model, x, y = crooked()
    with pytest.raises(RuntimeError), attacking(model, x, y):
        assert not any(weight.requires_grad for weight in model.parameters())
        raise RuntimeError
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "3"])
def test_steps_are_whole_numbers(steps):
    with pytest.raises(InputError, match="restarts must be a whole number from 1 on but is"):
        check_steps(steps, "restarts")
