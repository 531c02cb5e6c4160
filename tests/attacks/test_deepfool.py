"""DeepFool finds the distance that a formula gives, and shorter ways than a search along the gradient."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.deepfool import asked, deepfool, nearest
from lecturekit.attacks.gradient import fgsm
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError
from tests.attacks.known import crooked, greyish, linear


@pytest.mark.parametrize("norm", [L2, Linf])
def test_on_a_linear_network_one_step_of_the_known_length_is_enough(norm):
    model, w = linear(torch.float64)
    x0 = greyish(5, torch.float64)
    logits = model(x0).detach()
    y, lead = logits.argmax(1), (logits[:, 1] - logits[:, 0])[:, None, None, None]
    found = deepfool(model, x0, y, norm=norm)
    dual = w.norm() if norm is L2 else w.abs().sum()
    torch.testing.assert_close(found.delta, -1.02 * lead / dual * norm.steepest(w[None]))
    torch.testing.assert_close(found.norms, 1.02 * lead.abs().flatten() / dual)
    assert found.misled.all()
    assert found.gradients.tolist() == [1] * 5, "one rival, one step"
    assert found.queries.tolist() == [2] * 5, "looked at before and after"


def test_the_nearest_of_several_borders_is_gone_to():
    """Three classes; the border to class 2 is the one with the smaller f / |w|, though not with the smaller f."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3)).double().eval()
    model[1].weight.data = torch.zeros(3, 6).double()
    model[1].weight.data[1, 0], model[1].weight.data[2, 5] = 0.5, 4.0
    model[1].bias.data = torch.tensor([0.0, -0.35, -2.6]).double()
    x0 = torch.full((2, 1, 2, 3), 0.5).double()  # f = (-0.1, -0.6), distances 0.2 and 0.15
    found = deepfool(model, x0, torch.tensor([0, 0]))
    assert found.logits.argmax(1).tolist() == [2, 2]
    torch.testing.assert_close(found.norms, torch.full((2,), 0.153).double())
    y = torch.tensor([0, 0])
    far = nearest(*asked(model, x0, y), y, torch.tensor([[1, 2], [2, 1]]), L2)[1]
    torch.testing.assert_close(far, torch.tensor([[0.2, 0.15], [0.15, 0.2]]).double())


def test_a_white_pixel_that_should_get_whiter_is_left_out_of_the_way():
    """The steep pixel stands at its wall.  The other has to go the whole way, and the formula knows it at once."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2)).double().eval()
    model[1].weight.data = torch.tensor([[0.0, 0.0], [5.0, 1.0]]).double()
    model[1].bias.data = torch.tensor([0.0, -5.6]).double()
    x0 = torch.tensor([[[[1.0, 0.5]]], [[[1.0, 0.4]]]]).double()
    found = deepfool(model, x0, torch.tensor([0, 0]))
    torch.testing.assert_close(found.norms, torch.tensor([0.102, 0.204]).double())
    assert found.gradients.tolist() == [1, 1]


def test_what_is_named_wrongly_already_comes_back_as_it_is():
    model, x0, y = crooked(8)
    y[:3] = (y[:3] + 1) % 4
    found = deepfool(model, x0, y)
    assert found.unchanged.tolist() == [True] * 3 + [False] * 5
    assert found.gradients[:3].tolist() == [0] * 3
    assert found.norms[:3].abs().max() == 0


@pytest.mark.parametrize("norm", [L2, Linf])
def test_a_curved_network_is_misled_inside_the_box_by_less_than_fgsm_needs(norm):
    model, x0, y = crooked(40)
    found = deepfool(model, x0, y, norm=norm)
    assert found.misled.all() and found.complete
    assert 0 <= found.x.min() <= found.x.max() <= 1
    torch.testing.assert_close(found.norms, norm.size(found.x - x0))
    needed = torch.full((40,), torch.inf)
    for eps in torch.linspace(0.02, 1, 50).tolist():
        needed = torch.minimum(needed, torch.where(fgsm(model, x0, y, ball=norm(eps)).misled, eps, torch.inf))
    assert (found.norms < needed + 1e-3).float().mean() > 0.9


def test_batch_and_single_picture_agree():
    model, x0, y = crooked(6, torch.float64)
    together = deepfool(model, x0, y)
    for n in range(6):
        torch.testing.assert_close(together.x[n : n + 1], deepfool(model, x0[n : n + 1], y[n : n + 1]).x)


def test_pictures_beyond_the_border_leave_the_batch():
    model, x0, y = crooked(40)
    sizes = []
    model.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    deepfool(model, x0, y)
    assert sizes[-1] == 40 and sizes[:-1] == sorted(sizes[:-1], reverse=True) and sizes[-2] < 40


def test_no_overshoot_ends_on_the_border_and_more_ends_beyond():
    model, w = linear(torch.float64)
    x0 = greyish(3, torch.float64)
    y = model(x0).argmax(1)
    on = deepfool(model, x0, y, overshoot=0, steps=1)
    assert (on.logits[:, 1] - on.logits[:, 0]).abs().max() < 1e-12
    assert (deepfool(model, x0, y, overshoot=0.5).norms > 1.4 * on.norms).all()


class Deaf(nn.Module):
    """It says the same of every picture."""

    def forward(self, x):
        return x.flatten(1)[:, :1] * 0 + torch.tensor([2.0, 1.0, 0.0])


def test_a_network_without_any_gradient_is_given_up_and_named():
    found = deepfool(Deaf().eval(), torch.full((2, 3, 4, 5), 0.5), torch.tensor([0, 0]), steps=3)
    assert found.unchanged.all() and not found.misled.any()
    assert found.flat.tolist() == [3, 3]
    assert "2 met a gradient of ZERO" in str(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"norm": L2(0.5)}, r"norm must be the class L2 or Linf, without a radius, but is L2\(eps=0\.5\)"),
        ({"norm": "l2"}, "norm must be the class L2 or Linf, without a radius, but is 'l2'"),
        ({"classes": 1}, "classes must be 2 or more: the true one, and another to go to"),
        ({"overshoot": -0.1}, r"overshoot must be a share, 0 <= overshoot < 1, e\.g\. 0\.02, but is -0\.1"),
        ({"steps": 0}, "steps must be a whole number from 1 on but is 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    model, x0, y = crooked(2)
    with pytest.raises(InputError, match=message):
        deepfool(model, x0, y, **arguments)
