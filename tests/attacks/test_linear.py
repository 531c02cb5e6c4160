"""Linear networks against formulas a hand can work out, and against the library's own attacks."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.gradient import pgd
from lecturekit.attacks.linear import Along, along_gradient, arrival, effects, least_eps, linear_classifier, search_eps
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError, ModelError
from lecturekit.networks import load
from lecturekit.pictures.picturebook import PictureBook


def two_logits(w, b):
    """A linear network with Z_1 - Z_0 = w x + b, in double precision."""
    layer = nn.Linear(w.numel(), 2).double()
    layer.weight.data, layer.bias.data = torch.stack([0 * w.flatten(), w.flatten()]).double(), torch.tensor([0.0, b])
    layer.bias.data = layer.bias.data.double()
    return nn.Sequential(nn.Flatten(), layer).eval()


def random_net(seed=0, shape=(3, 4, 5)):
    w = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return two_logits(w, -0.5 * w.sum().item()), w  # grey lies on the border


def pictures(count, low=0.0, high=1.0, seed=1):
    return low + (high - low) * torch.rand(
        count, 3, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def cats_and_cars(split, count):
    book = PictureBook(split, count, labels=["cat", "car"])
    return book.tensors(), torch.from_numpy(book.labels == 2).long()


# Closed forms


def test_far_from_black_and_white_the_least_eps_is_the_margin_over_the_dual_norm():
    model, w = random_net()
    x = pictures(6, 0.4, 0.6)
    logits = model(x)
    y, f = logits.argmax(1), (logits[:, 1] - logits[:, 0]).abs()
    for box in (True, False):
        torch.testing.assert_close(least_eps(model, x, y, Linf, box), f / w.abs().sum())
        torch.testing.assert_close(least_eps(model, x, y, L2, box), f / w.norm())


def test_in_the_box_two_pixels_of_which_one_has_no_room_are_worked_out_by_hand():
    model = two_logits(torch.tensor([3.0, 4.0]).view(1, 1, 2), -5.0)
    x, y = torch.tensor([0.5, 1.0]).double().view(1, 1, 1, 2).repeat(2, 1, 1, 1), torch.tensor([1, 0])
    # f = 0.5: both pixels fall at once, 3 c + 4 c = 0.5; and L2: 0.5 / 5
    assert least_eps(model, x, y).tolist() == pytest.approx([0.5 / 7, 0])
    assert least_eps(model, x, y, L2).tolist() == pytest.approx([0.1, 0]), "the second is misread as it is"
    model = two_logits(torch.tensor([3.0, 4.0]).view(1, 1, 2), -6.4)
    x = torch.tensor([0.5, 0.9]).double().view(1, 1, 1, 2).repeat(2, 1, 1, 1)
    # f = 1.3 for class 0: b has room 0.1 and gives 0.4, a must give 0.9 by itself: 0.3
    y = torch.tensor([0, 0])
    assert least_eps(model, x, y).tolist() == pytest.approx([0.3, 0.3])
    assert least_eps(model, x, y, L2).tolist() == pytest.approx([0.1**0.5, 0.1**0.5]), "0.3 and 0.1 at right angles"
    assert least_eps(model, x, y, L2, box=False).tolist() == pytest.approx([1.3 / 5] * 2)


def test_where_no_picture_at_all_misleads_the_least_eps_is_infinite():
    model = two_logits(torch.tensor([1.0, -1.0]).view(1, 1, 2), 9.0)
    x, y = torch.full((2, 1, 1, 2), 0.5).double(), torch.tensor([1, 1])
    assert least_eps(model, x, y).tolist() == [torch.inf] * 2
    assert least_eps(model, x, y, box=False).tolist() == pytest.approx([4.5] * 2)
    assert search_eps(model, x, y).tolist() == [torch.inf] * 2


def test_a_pixel_without_weight_neither_helps_nor_harms():
    model = two_logits(torch.tensor([4.0, 0.0]).view(1, 1, 2), -1.0)
    x, y = torch.tensor([[0.75, 0.0], [0.75, 1.0]]).double().view(2, 1, 1, 2), torch.tensor([1, 1])
    for norm in (Linf, L2):
        assert least_eps(model, x, y, norm).tolist() == pytest.approx([0.5] * 2)
        assert least_eps(model, x, y, norm, box=False).tolist() == pytest.approx([0.5] * 2)


def test_arrival_solves_the_sum_of_capped_lines():
    generator = torch.Generator().manual_seed(3)
    rates, ends = torch.rand(2, 5, 7, generator=generator, dtype=torch.float64)
    f = (rates * ends).sum(1) * torch.linspace(0.05, 0.99, 5)
    time = arrival(rates, ends, f)
    torch.testing.assert_close((rates * torch.minimum(time[:, None], ends)).sum(1), f)
    assert arrival(rates, ends, 1.01 * (rates * ends).sum(1)).isinf().all()


@pytest.mark.parametrize(("norm", "low", "high"), [(Linf, 0, 1), (L2, 0.35, 0.65)])
def test_pgd_and_halving_find_what_the_closed_form_says(norm, low, high):
    model, _ = random_net(seed=4)
    x = pictures(8, low, high)
    y = model(x).argmax(1)
    y[-1] = 1 - y[-1]
    found, truth = search_eps(model, x, y, norm, high=1.0), least_eps(model, x, y, norm)
    assert (found - truth).abs().max() < 1e-4
    assert found[-1] == truth[-1] == 0


def test_on_drawings_too_the_search_agrees_with_the_closed_form_to_a_ten_thousandth():
    x, y = cats_and_cars("train", 200)
    model = linear_classifier(x, y, ridge=10.0)
    test, labels = cats_and_cars("test", 8)
    plain, boxed = (least_eps(model, test, labels, box=box) for box in (False, True))
    assert (boxed >= plain).all() and (boxed > plain)[plain > 0].all(), "white paper has no room upwards"
    assert (search_eps(model, test, labels, high=0.1) - boxed).abs().max() < 1e-4


# The classifier


def test_least_squares_with_many_pictures_and_few_pixels_equals_the_normal_equations():
    x, y = pictures(300).float(), torch.arange(300) % 2
    x[y == 1] = (x[y == 1] + 0.3).clamp(0, 1)
    model = linear_classifier(x, y, ridge=2.0)
    rows, t = x.flatten(1).double(), 2.0 * y.double() - 1
    centred = rows - rows.mean(0)
    w = torch.linalg.solve(centred.T @ centred + 2 * torch.eye(60).double(), centred.T @ (t - t.mean()))
    said = model(x)
    torch.testing.assert_close((said[:, 1] - said[:, 0]).double(), centred @ w + t.mean(), atol=1e-4, rtol=1e-4)
    assert (said.argmax(1) == y).float().mean() > 0.9


def test_the_classifier_refuses_other_labels_and_ridges():
    x = pictures(4).float()
    with pytest.raises(InputError, match=r"must be 0 and 1, and both must occur, but are \[0, 3\]"):
        linear_classifier(x, torch.tensor([0, 3, 0, 3]))
    with pytest.raises(InputError, match="ridge must be larger than 0 but is 0"):
        linear_classifier(x, torch.tensor([0, 1, 0, 1]), ridge=0)


def test_the_closed_form_refuses_networks_that_it_does_not_hold_for():
    x, y = pictures(2).float(), torch.tensor([0, 1])
    three = nn.Sequential(nn.Flatten(), nn.Linear(60, 3)).eval()
    with pytest.raises(ModelError, match="two classes and the network has 3"):
        least_eps(three, x, y)
    torch.manual_seed(0)
    bent = nn.Sequential(nn.Flatten(), nn.Linear(60, 9), nn.Tanh(), nn.Linear(9, 2)).eval()
    with pytest.raises(ModelError, match="not linear in its pixels"):
        least_eps(bent, x, y)


def test_norms_and_tolerances_that_make_no_sense_are_refused():
    model, _ = random_net()
    x, y = pictures(2), torch.tensor([0, 1])
    with pytest.raises(InputError, match="norm must be Linf or L2, the class itself"):
        least_eps(model, x, y, Linf(0.1))
    with pytest.raises(InputError, match="tolerance must lie between 0 and high = 1.0 but is 2"):
        search_eps(model, x, y, tolerance=2)


# Along the gradient


def test_a_linear_network_is_predicted_perfectly_and_for_ever():
    model, w = random_net()
    x = pictures(4, 0.4, 0.6)
    y = model(x).argmax(1)
    line = along_gradient(model, x, y, reach=0.2, points=5)
    assert line.eps.tolist() == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.2])
    torch.testing.assert_close(
        line.measured, line.start[:, None] - line.eps.double() * w.abs().sum(), atol=1e-5, rtol=0
    )
    assert (line.r2() > 1 - 1e-6).all()
    assert line.linear_until().tolist() == pytest.approx([0.2] * 4)


class Kinked(nn.Module):
    """Z_1 - Z_0 = 10 * max(mean - 0.4, 0): its slope ends where the mean falls below 0.4."""

    def forward(self, x):
        z = 10 * (x.mean((1, 2, 3)) - 0.4).clamp(min=0)
        return torch.stack([torch.zeros_like(z), z], 1) - 5


def test_where_the_slope_ends_the_line_ends():
    x, y = torch.full((2, 3, 4, 5), 0.5), torch.tensor([1, 1])
    line = along_gradient(Kinked().eval(), x, y, reach=0.2, points=20)
    # up to 0.1 it falls by 10 eps, then by nothing: off by a fifth from (eps - 0.1) / eps = 0.2 on, eps = 0.125
    assert line.linear_until().tolist() == pytest.approx([0.12, 0.12])
    assert (line.r2(upto=0.1) > 0.9999).all()
    assert (line.r2() < 0.5).all()
    with pytest.raises(InputError, match=r"two radii or more up to 0.001"):
        line.r2(upto=0.001)
    with pytest.raises(InputError, match="2 points or more, got 1"):
        along_gradient(Kinked().eval(), x, y, points=1)


def test_a_network_that_comes_back_to_its_slope_was_linear_until_it_left():
    predicted = -torch.tensor([[1.0, 2, 3]]).repeat(2, 1)
    line = Along(
        torch.tensor([1.0, 2, 3]), predicted - torch.tensor([[0, 1.0, 0], [0, 0, 1.0]]), predicted, torch.zeros(2)
    )
    assert line.linear_until().tolist() == [1, 2]


# Directions


def test_on_a_linear_network_the_gradient_takes_the_dual_norm_and_the_others_less():
    model, w = random_net()
    x = pictures(40, 0.4, 0.6)
    y = model(x).argmax(1)
    table = {row.direction: row for row in effects(model, x, y, Linf(0.05))}
    assert table["the gradient"].change.estimate == pytest.approx(-0.05 * w.abs().sum().item(), rel=1e-5)
    assert abs(table["random"].change.estimate) < 0.1 * 0.05 * w.abs().sum().item()
    # the next picture has the same gradient, or the opposite one where its class is the other
    same = (y == y.roll(1, 0)).double().mean().item()
    expected = -0.05 * w.abs().sum().item() * (2 * same - 1)
    assert table["another picture's gradient"].change.estimate == pytest.approx(expected, rel=1e-5)
    assert table["the gradient"].misled.above(table["random"].misled)


def test_effects_need_another_picture():
    model, _ = random_net()
    with pytest.raises(InputError, match="another picture is needed to compare with, got 1"):
        effects(model, pictures(1), torch.tensor([0]))


def test_on_the_shipped_network_the_gradient_does_more_than_any_other_direction():
    book = PictureBook("test", 20)
    table = effects(load("picturebook"), book.tensors(), torch.from_numpy(book.labels), L2(1.0))
    first, *others = table
    assert first.direction == "the gradient"
    assert all(first.change.below(other.change) for other in others)
    assert "the gradient" in repr(table)


def test_the_search_takes_any_attack():
    model, _ = random_net()
    x = pictures(2, 0.4, 0.6)
    y = model(x).argmax(1)
    seen = []

    def counted(*args, **how):
        seen.append(how["ball"].eps)
        return pgd(*args, **how, steps=5)

    search_eps(model, x, y, attack=counted, high=0.5, tolerance=0.1)
    assert seen[:3] == [0, 0.5, 0.25], "is it misread, can it be misled at all, and then halving"
