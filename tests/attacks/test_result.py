"""What comes back says of itself what it is worth, and nothing is believed that was not measured afresh."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.gradient import fgsm, pgd
from lecturekit.attacks.result import judge
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError


class Bright(nn.Module):
    """Two classes: dark (0) and brighter than grey (1)."""

    def forward(self, x):
        brightness = x.mean((1, 2, 3))
        return torch.stack([0.5 - brightness, brightness - 0.5], 1)


def flat(*values):
    """Pictures of one grey value each, 2 x 3 pixels."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 2, 3).clone()


X0, X = flat(0.4, 0.45, 0.6, 0.3), flat(0.45, 0.55, 0.6, 0.4)
Y = torch.tensor([0, 0, 0, 0])


def test_success_leaves_out_what_was_wrong_before_and_accuracy_counts_it_as_wrong():
    found = judge(Bright(), X0, X, Y, attack="by hand", ball=Linf(0.1))
    assert found.right.tolist() == [True, True, False, True]
    assert found.misled.tolist() == [False, True, True, False]
    assert found.stood.tolist() == [True, False, False, True]
    assert (found.accuracy.estimate, found.accuracy.n) == (0.5, 4)
    assert (found.success.estimate, found.success.n) == (pytest.approx(1 / 3), 3)
    assert found.unchanged.tolist() == [False, False, True, False]
    torch.testing.assert_close(found.norms, torch.tensor([0.05, 0.1, 0.0, 0.1]))
    torch.testing.assert_close(found.delta, X - X0)


def test_with_a_target_only_the_target_is_success():
    found = judge(Bright(), X0, X, Y, torch.tensor([1, 1, 1, 1]), attack="by hand", ball=Linf(0.1))
    assert found.misled.tolist() == [False, True, True, False]
    back = judge(Bright(), X0, X, Y + 1, Y, attack="by hand", ball=Linf(0.1))
    assert back.misled.tolist() == [True, False, False, True]
    assert back.stood.tolist() == [False, False, True, False], "who was wrong before did not stand"


def test_the_result_says_what_is_suspicious():
    found = judge(
        Bright(), X0, X0, Y, attack="Nothing", ball=Linf(0.1), flat=torch.tensor([1, 0, 0, 0]), complete=False,
        queries=torch.tensor([2, 2, 2, 2]),
    )  # fmt: skip
    assert str(found) == (
        "Nothing within L∞ ≤ 25.5/255: 0 of 3 misled, 1 were wrong before, 3 right and UNCHANGED, 1 met a gradient of "
        "ZERO (try score=margin), median norm 0, 0 gradients a picture, 2 queries a picture, STOPPED before its end"
    )


def test_nothing_the_attack_says_is_believed():
    """The verdict is a fresh forward pass over the finished pictures, in batches."""
    model, sizes = Bright(), []
    model.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    found = judge(model, X0, X, Y, attack="by hand", ball=Linf(0.1), batch=3)
    assert sizes == [3, 1, 3, 1]
    torch.testing.assert_close(found.logits, Bright()(X))
    torch.testing.assert_close(found.clean, Bright()(X0))


def test_a_picture_outside_its_ball_is_the_attacks_fault():
    with pytest.raises(InputError, match=r"by hand left its ball: a change of 0\.1, allowed 0\.09"):
        judge(Bright(), X0, X, Y, attack="by hand", ball=Linf(0.09))
    with pytest.raises(InputError, match="left its ball: a change of 0.424264, allowed 0.4"):
        judge(Bright(), X0, X, Y, attack="by hand", ball=L2(0.4))


def test_a_picture_outside_the_box_is_the_attacks_fault():
    for x in (X0 - 0.5, X0 + 0.5, X0 * torch.nan):
        with pytest.raises(InputError, match="by hand left the box: values from"):
            judge(Bright(), X0, x, Y, attack="by hand", ball=Linf(1))


def test_without_a_ball_the_norm_is_euclidean_unless_told_otherwise():
    assert judge(Bright(), X0, X, Y, attack="by hand").norms.tolist() == pytest.approx(
        [0.05 * 18**0.5, 0.1 * 18**0.5, 0, 0.1 * 18**0.5], abs=1e-6
    )
    assert judge(Bright(), X0, X, Y, attack="by hand", size=Linf.size).norms.max().item() == pytest.approx(0.1)


@pytest.mark.parametrize("eps", [8 / 255, 7.7 / 255, 4.5 / 255, 0.3 / 255])
def test_rounded_pictures_lie_on_the_grid_and_in_the_ball_and_are_measured_again(eps):
    x0 = torch.rand(20, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    model = Bright().eval()
    y = model(x0).argmax(1)
    found = pgd(model, x0, y, ball=Linf(eps))
    rounded = found.rounded(model)
    levels = 255 * rounded.x
    assert (levels - levels.round()).abs().max() < 1e-3
    assert rounded.norms.max() <= eps + 1e-6
    torch.testing.assert_close(rounded.logits, model(rounded.x))
    torch.testing.assert_close(rounded.x0, (255 * x0).round() / 255)
    assert rounded.attack == "PGD, 8 bits"
    assert torch.equal(rounded.gradients, found.gradients)


def test_rounding_keeps_whole_levels_whole():
    x0 = (255 * torch.rand(4, 3, 4, 5)).round() / 255
    found = fgsm(Bright().eval(), x0, torch.zeros(4, dtype=torch.long), ball=Linf(8 / 255))
    torch.testing.assert_close(found.rounded(Bright()).x, found.x)


def test_a_euclidean_ball_is_kept_also_after_rounding():
    x0 = torch.rand(6, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    found = fgsm(Bright().eval(), x0, Bright()(x0).argmax(1), ball=L2(0.02))
    assert L2.size(found.rounded(Bright()).delta).max() <= 0.02 + 1e-6
