"""One change for all pictures: in its ball, the best corner on a linear network, and counted by changed predictions."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.threat import L2, Linf
from lecturekit.attacks.universal import fooling_rate, shared_slope, universal
from lecturekit.errors import InputError
from lecturekit.progress import STOP

HEIGHT, WIDTH = 4, 5


def linear(seed=0):
    """Two classes parted through grey, so that w . (x - 1/2) tells them apart."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(60, 2)).eval()
    w = torch.randn(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))
    model[1].weight.data = torch.stack([torch.zeros(60), w.flatten()])
    model[1].bias.data = torch.tensor([0, -0.5 * w.sum().item()])
    return model, w


def pictures(count=20, side=-1, reach=0.02):
    """Pictures that all lie on one side of the border, some near it and some far."""
    _, w = linear()
    far = torch.linspace(0.1, 1, count)[:, None, None, None]
    return 0.5 + side * reach * far * w.sign()


@pytest.mark.parametrize("ball", [Linf(0.05), L2(0.5)])
def test_on_a_linear_network_the_change_is_the_steepest_one_of_full_length(ball):
    model, w = linear()
    found = universal(model, pictures(), ball=ball, passes=10, batch=7, enough=2.0)
    torch.testing.assert_close(found.delta, ball.eps * ball.steepest(w[None]), atol=1e-6, rtol=0)
    assert found.delta.shape == (1, 3, HEIGHT, WIDTH) and found.complete


def test_the_rate_is_what_the_closed_form_says():
    """A picture at -r sign(w) is fooled by eps sign(w) exactly if eps > r: half of them for the median r."""
    model, _ = linear()
    x = pictures(20)
    found = universal(model, x, ball=Linf(0.0109), passes=10)
    assert fooling_rate(model, x, found.delta).estimate == 0.5
    assert fooling_rate(model, x, torch.zeros_like(found.delta)).estimate == 0


def test_the_rate_counts_changed_predictions_and_not_errors():
    """Labels are never asked for, and a prediction that was wrong and changes counts."""
    model, _ = linear()
    x = pictures(10)
    delta = universal(model, x, ball=Linf(0.05)).delta
    wrong = torch.ones(10, dtype=torch.long)  # the network says 0
    assert fooling_rate(model, x, delta).estimate == 1
    on = universal(model, x, ball=Linf(0.05)).on(model, x, wrong)
    assert not on.right.any() and (on.logits.argmax(1) == 1).all(), "wrong before, right now, fooled all the same"


def test_a_change_inside_an_l2_ball_is_not_stretched_onto_its_border():
    """The published program always scales to the full length; after one short step this would show."""
    model, _ = linear()
    with pytest.warns(UserWarning, match="cannot reach the border"):
        found = universal(model, pictures(), ball=L2(0.5), alpha=0.01, passes=1, batch=20)
    assert L2.size(found.delta).item() == pytest.approx(0.01, rel=1e-4)


def test_the_gradient_is_that_of_the_mean_clipped_cross_entropy():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, 4)).double().eval()
    x = torch.rand(5, 3, HEIGHT, WIDTH, dtype=torch.float64)
    delta = (0.2 * torch.randn(1, 3, HEIGHT, WIDTH, dtype=torch.float64)).requires_grad_(True)
    y = torch.arange(5) % 4
    losses = nn.functional.cross_entropy(model((x + delta).clamp(0, 1)), y, reduction="none")
    ceiling = losses.median().item() + 1e-9
    (expected,) = torch.autograd.grad(losses.clamp_max(ceiling).mean(), delta)
    _, grad = shared_slope(model, x, delta.detach(), y, ceiling)
    torch.testing.assert_close(grad, expected)
    assert (losses > ceiling).any(), "or nothing was clipped"


def test_it_stops_when_enough_are_fooled():
    model, _ = linear()
    eager = universal(model, pictures(), ball=Linf(0.05), passes=10, enough=0.8)
    assert eager.complete and len(eager.rates) < 10 and eager.rates[-1] >= 0.8 and max(eager.rates[:-1]) < 0.8
    assert eager.gradients == 20 * len(eager.rates)


def test_all_pictures_are_seen_in_every_pass():
    model, _ = linear()
    steps = []
    found = universal(model, pictures(), batch=8, passes=4, enough=2.0, watch=steps.append)
    assert found.gradients == 4 * 20 and len(found.rates) == 4
    assert [step.done for step in steps] == list(range(1, 13)) and steps[0].total == 12, "three batches a pass"


def test_the_result_on_other_pictures_is_measured_afresh_and_in_the_box():
    model, _ = linear()
    x = pictures(8).clamp(0, 1)
    x[:, :, 0] = 1.0
    found = universal(model, x, ball=Linf(0.3)).on(model, x, model(x).argmax(1))
    assert found.x.max() <= 1 and found.ball == Linf(0.3) and found.norms.max() <= 0.3 + 1e-6
    assert str(found).startswith("universal within L∞ ≤ 76.5/255: ")


def test_the_seed_decides():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 4)).eval()
    x = torch.rand(9, 3, HEIGHT, WIDTH)
    first, again, other = (universal(model, x, batch=2, passes=5, seed=seed).delta for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_stop_hands_back_the_change_so_far():
    model, _ = linear()
    found = universal(model, pictures(), batch=5, watch=lambda step: STOP if step.done == 6 else None)
    assert not found.complete and found.gradients == 30 and len(found.rates) == 1 and found.delta.any()
    assert "STOPPED" in str(found) and "30 gradients" in str(found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"passes": 0}, "passes must be a whole number from 1 on but is 0"),
        ({"batch": 0}, "batch must be a whole number from 1 on but is 0"),
        ({"ceiling": 0}, "ceiling bounds a cross-entropy, so it must be above 0 but is 0"),
        ({"x": torch.zeros(0, 3, HEIGHT, WIDTH)}, "a change for all pictures needs pictures; x holds none"),
        ({"alpha": 1.0}, "a step longer than the ball is wide"),
    ],
)
def test_arguments_of_no_sense_are_refused(changes, message):
    x = changes.pop("x", pictures())
    with pytest.raises(InputError, match=message):
        universal(linear()[0], x, **changes)
