"""Decision regions on planes where the region is known."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.slices import plane, projection, through_gradient, through_pictures
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError


class Quadrants(nn.Module):
    """Three classes by the first two pixels p, q: logits (0, 10 p - 5, 10 q - 7)."""

    def forward(self, x):
        p, q = x.flatten(1)[:, 0], x.flatten(1)[:, 1]
        return torch.stack([0 * p, 10 * p - 5, 10 * q - 7], 1)


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 2)).double().eval()


def greyish(count=3):
    return 0.4 + 0.2 * torch.rand(count, 3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_every_point_of_a_plane_says_what_the_network_says_there():
    x = torch.zeros(2, 1, 2, 3)
    x[1, 0, 0, 0] = 0.6
    u, v = torch.zeros_like(x), torch.zeros_like(x)
    u[:, 0, 0, 0], v[:, 0, 0, 1] = 1, 1
    a, b = torch.tensor([0.0, 0.3, 1.2]), torch.tensor([0.0, 1.0])
    found = plane(Quadrants().eval(), x, torch.tensor([0, 1]), u, v, a, b, batch=5)
    assert found.classes.tolist() == [[[0, 0, 1], [2, 2, 1]], [[1, 1, 1], [2, 1, 1]]]
    assert found.margin.shape == (2, 2, 3)
    torch.testing.assert_close(found.margin[0], torch.tensor([[5.0, 2, -7], [-3, -3, -7]]))
    assert found.inside[0, 0].tolist() == pytest.approx([1, 1, 5 / 6]), "1.2 is no colour"
    assert found.inside[1, 0].tolist() == pytest.approx([1, 1, 5 / 6])


def test_the_middle_is_the_picture_itself_and_the_batch_does_not_matter():
    model, x = linear(), greyish()
    y = model(x).argmax(1)
    found = through_gradient(model, x, y, ball=Linf(0.1), steps=5)
    logits = model(x)
    torch.testing.assert_close(found.margin[:, 2, 2], (logits[:, 0] - logits[:, 1]).abs())
    again = through_gradient(model, x, y, ball=Linf(0.1), steps=5, batch=7)
    torch.testing.assert_close(again.margin, found.margin)


@pytest.mark.parametrize("ball", [Linf(0.1), L2(0.5)])
def test_on_a_linear_network_the_border_lies_where_the_closed_form_says(ball):
    model, x = linear(), greyish()
    y, logits = model(x).argmax(1), model(x)
    w = (model[1].weight[1] - model[1].weight[0]).detach()
    slope = w.abs().sum() if isinstance(ball, Linf) else w.norm()
    found = through_gradient(model, x, y, ball=ball, steps=41)
    expected = (logits[:, 1] - logits[:, 0]).abs() / slope
    step = 2 * ball.eps / 40
    assert ((found.border() - expected >= -1e-9) & (found.border() - expected <= step + 1e-9)).all()
    if isinstance(ball, L2):  # across the gradient nothing changes
        torch.testing.assert_close(found.margin[:, 0], found.margin[:, -1])


def test_a_plane_through_two_pictures_starts_at_one_and_ends_at_the_other():
    model, x = linear(), greyish(4)
    y = model(x).argmax(1)
    found = through_pictures(model, x, y, x.flip(0), steps=7, margin_around=0.25)
    assert found.a.tolist() == pytest.approx([-0.25, 0, 0.25, 0.5, 0.75, 1, 1.25])
    logits = model(x.flip(0)).detach()
    right = logits.gather(1, y[:, None])[:, 0] - logits.gather(1, 1 - y[:, None])[:, 0]
    torch.testing.assert_close(found.margin[:, 1, 5], right)
    torch.testing.assert_close(found.u.flatten(1).norm(dim=1), found.v.flatten(1).norm(dim=1))
    assert (found.u * found.v).flatten(1).sum(1).abs().max() < 1e-9


def test_the_third_picture_lies_at_the_end_of_the_other_axis():
    model, x = linear(), greyish(3)
    y = model(x).argmax(1)
    found = through_pictures(model, x, y, x.roll(1, 0), third=x.roll(2, 0), steps=2, margin_around=0)
    assert torch.equal(found.classes[:, 1, 0], model(x.roll(2, 0)).argmax(1))


def test_a_border_that_is_not_reached_is_infinitely_far():
    model, x = linear(), greyish()
    found = through_gradient(model, x, model(x).argmax(1), ball=Linf(1e-6), steps=3)
    assert found.border().isinf().all()


def test_a_border_behind_the_picture_is_no_border_of_the_way_forward():
    x, u = torch.zeros(2, 1, 2, 3), torch.zeros(2, 1, 2, 3)
    x[:, 0, 0, 0], u[:, 0, 0, 0] = 0.6, torch.tensor([1.0, -1.0])
    axis = torch.tensor([-0.3, 0.0, 0.3])
    found = plane(Quadrants().eval(), x, torch.tensor([1, 1]), u, 0 * u, axis, axis)
    assert found.border().tolist() == pytest.approx([torch.inf, 0.3])


def test_projection_leaves_nothing_along_the_direction():
    noise, way = torch.randn(2, 3, 4, 5, dtype=torch.float64), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    assert ((noise - projection(noise, way)) * way).flatten(1).sum(1).abs().max() < 1e-12


def test_bad_input_is_refused_in_words():
    model, x = linear(), greyish(2)
    y = torch.tensor([0, 1])
    with pytest.raises(InputError, match="other is the same picture as x"):
        through_pictures(model, x, y, x)
    with pytest.raises(InputError, match=r"other must have the shape of x, \(2, 3, 4, 5\), but has \(1, 3, 4, 5\)"):
        through_pictures(model, x, y, x[:1])
    with pytest.raises(InputError, match="steps must be a whole number from 1 on but is 2.5"):
        through_gradient(model, x, y, steps=2.5)
