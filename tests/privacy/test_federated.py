"""Gradient inversion by search: distances by hand, the solvers, what is kept, and what is refused."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lecturekit import measure
from lecturekit.errors import InputError, ModelError
from lecturekit.privacy import federated, gradients
from lecturekit.progress import STOP

SIZE = (8, 12)  # not square


def smooth(seed=0):
    """Return a small smooth network for pictures of 8 x 12."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Sigmoid(), nn.Flatten(), nn.Linear(8 * 96, 4)).eval()
    for weight in model.parameters():
        nn.init.uniform_(weight, -0.5, 0.5)
    return model


@pytest.fixture
def client():
    """A network, two pictures of shapes, their labels, and the gradient of the first."""
    model, x, y = smooth(), torch.full((2, 3, *SIZE), 0.3), torch.tensor([1, 3])
    x[0, 0, 2:6, 3:7] = 0.9
    x[1, 2, :, 6:] = 0.8
    return model, x, y, gradients.shared_gradient(model, x[:1], y[:1])


def test_distances_computed_by_hand():
    a, b = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])], [torch.tensor([0.0, 0.0]), torch.tensor([[2.0]])]
    assert federated.cosine_distance(a, b).item() == pytest.approx(1 - 4 / 5)
    assert federated.euclidean_distance(a, b).item() == pytest.approx((9 + 4) / 4)
    assert federated.cosine_distance(b, [-part for part in b]).item() == pytest.approx(2)
    assert federated.cosine_distance(b, [part * 1e-30 for part in b]).item() == pytest.approx(0, abs=1e-6)
    assert federated.cosine_distance(b, [part * 0 for part in b]).item() == 1


def test_what_was_not_sent_is_not_compared():
    found, sent = [torch.tensor([3.0, 4.0])], [torch.tensor([0.0, 2.0])]
    assert federated.where_sent(federated.cosine_distance)(found, sent).item() == pytest.approx(0, abs=1e-6)
    assert federated.where_sent(federated.euclidean_distance)(found, sent).item() == pytest.approx(1)


def test_the_roughness_computed_by_hand():
    x = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.5, 0.0]]).view(1, 1, 2, 3)
    assert federated.mean_variation(x).item() == pytest.approx(1 / 3 + (0.5 + 0.5 + 0.5 + 0.5) / 4)


def test_the_cost_has_the_slope_that_finite_differences_have(client):
    model, x, y, sent = client
    model, x, sent = model.double(), (x[:1] + 0.05).double(), [part.double() for part in sent]
    weights = gradients.weights_of(model)

    def cost(x):
        return federated.cosine_distance(gradients.loss_gradient(model, weights, x, y[:1], create_graph=True), sent)

    x = x.requires_grad_()
    (slope,) = torch.autograd.grad(cost(x), x)
    way = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    numeric = (cost(x + 1e-5 * way) - cost(x - 1e-5 * way)).item() / 2e-5
    assert (slope * way).sum().item() == pytest.approx(numeric, rel=1e-5)


@pytest.mark.parametrize("solver", [federated.joint_lbfgs, federated.signed_adam])
def test_the_search_finds_the_picture(client, solver):
    model, x, _, sent = client
    found = federated.reconstruct(model, sent, size=SIZE, solver=solver, steps=150, tv=1e-3)
    start = federated.noise(1, SIZE, 0)
    assert found.y.tolist() == [1]  # read off the gradient
    assert found.x.shape == (1, 3, *SIZE) and found.x.min() >= 0 and found.x.max() <= 1
    assert measure.psnr(found.x, x[:1]) > measure.psnr(start, x[:1]) + 6
    assert found.complete and len(found.costs) == 150 and found.best == [min(found.costs)]


def test_a_batch_is_searched_together(client):
    model, x, y, _ = client
    sent = gradients.shared_gradient(model, x, y)
    found = federated.reconstruct(model, sent, y, size=SIZE, solver=federated.joint_lbfgs, steps=150, tv=1e-3)
    assert (measure.psnr(found.x, x) > measure.psnr(federated.noise(2, SIZE, 0), x) + 3).all()


def test_the_distance_is_that_of_the_pictures_it_comes_with(client):
    model, _, y, sent = client
    found = federated.reconstruct(model, sent, size=SIZE, steps=5, distance=federated.euclidean_distance, tv=0.5)
    afresh = federated.euclidean_distance(gradients.shared_gradient(model, found.x, y[:1]), sent).item()
    assert found.distance == pytest.approx(afresh)
    assert found.distance + 0.5 * federated.mean_variation(found.x).item() == pytest.approx(min(found.costs), rel=1e-4)


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others(client):
    model, _, _, sent = client
    one, same, other = (federated.reconstruct(model, sent, size=SIZE, steps=4, seed=seed).x for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_restart_with_the_lowest_cost_wins(client):
    model, _, _, sent = client
    both = federated.reconstruct(model, sent, size=SIZE, steps=4, restarts=3, seed=2)
    single = [federated.reconstruct(model, sent, size=SIZE, steps=4, seed=seed) for seed in (2, 3, 4)]
    assert both.best == pytest.approx([min(found.costs) for found in single])
    assert len(both.costs) == 12
    assert torch.equal(both.x, min(single, key=lambda found: min(found.costs)).x)


def test_a_stopped_search_keeps_the_best_so_far(client):
    model, _, _, sent = client
    steps = []

    def watch(step):
        steps.append(step)
        return STOP if step.done == 7 else None

    found = federated.reconstruct(model, sent, size=SIZE, steps=50, restarts=2, watch=watch)
    assert not found.complete and len(found.costs) == 7 and steps[-1].total == 100
    assert steps[0].picture.shape == (1, 3, *SIZE) and steps[1].picture is None
    whole = federated.reconstruct(model, sent, size=SIZE, steps=50)
    assert found.costs == whole.costs[:7]
    assert found.distance + 3e-2 * federated.mean_variation(found.x).item() == pytest.approx(min(found.costs), rel=1e-4)


def test_an_interrupted_search_keeps_the_best_so_far(client):
    model, _, _, sent = client

    def interrupt(step):
        if step.done == 3:
            raise KeyboardInterrupt

    found = federated.reconstruct(model, sent, size=SIZE, steps=50, watch=interrupt)
    assert not found.complete and len(found.costs) == 3


def test_it_starts_where_it_is_told(client):
    model, x, _, sent = client
    found = federated.reconstruct(model, sent, size=SIZE, steps=1, start=x[:1], tv=0.0)
    assert torch.equal(found.x, x[:1])
    assert found.costs[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("frozen", [True, False])
def test_the_network_is_untouched(client, frozen):
    model, _, _, sent = client
    model.requires_grad_(not frozen)
    before = [weight.clone() for weight in model.parameters()]
    federated.reconstruct(model, sent, size=SIZE, steps=3)
    assert all(weight.requires_grad != frozen and weight.grad is None for weight in model.parameters())
    assert_close(list(model.parameters()), before, rtol=0, atol=0)


def test_the_network_of_dlg_is_smooth_and_decided_by_its_seed():
    model = federated.sigmoid_net(7, side=16)
    assert model(torch.rand(2, 3, 16, 16)).shape == (2, 7) and not model.training
    assert all(weight.abs().max() <= 0.5 for weight in model.parameters())
    assert_close(list(model.parameters()), list(federated.sigmoid_net(7, side=16).parameters()), rtol=0, atol=0)
    with pytest.raises(InputError, match="a side that 4 divides, got 18"):
        federated.sigmoid_net(7, side=18)


def test_what_cannot_be_sought_is_refused(client):
    model, x, y, sent = client
    wrong = {
        "got 3 tensors; it comes from another network": dict(gradient=sent[:3]),
        "holds NaN or infinite values": dict(gradient=[part * math.inf for part in sent]),
        "y must hold the classes": dict(y=torch.tensor([], dtype=torch.long)),
        "whole numbers": dict(y=torch.tensor([1.0])),
        "labels": dict(y=torch.tensor([4])),
        "start holds 2 pictures for 1 labels": dict(start=x),
        "tv must be a weight from 0 on, e.g. 0.01, got -1": dict(tv=-1),
        "steps": dict(steps=0),
        "restarts": dict(restarts=0),
    }
    for message, change in wrong.items():
        with pytest.raises(InputError, match=message):
            federated.reconstruct(model, **{"gradient": sent, "size": SIZE} | change)
    with pytest.raises(ModelError, match="training mode"):
        federated.reconstruct(smooth().train(), sent, size=SIZE)


def test_a_cost_that_is_no_number_is_named(client):
    model, _, _, sent = client
    with pytest.raises(ModelError, match="the cost is nan at evaluation 1"):
        federated.reconstruct(model, sent, size=SIZE, distance=lambda found, sent: found[0].sum() * math.nan)


# Answers known beforehand


@pytest.mark.parametrize("scale", [1e-24, 1.0, 1e24])
def test_the_cosine_does_not_see_the_length_not_even_one_whose_square_is_no_number(scale):
    one, other = (torch.rand(6, generator=torch.Generator().manual_seed(seed)) - 0.5 for seed in (0, 1))
    expected = 1 - torch.nn.functional.cosine_similarity(one, other, dim=0)
    assert_close(federated.cosine_distance([scale * one], [other]), expected)


@pytest.mark.parametrize("size", [0.0, 1e-41])
def test_a_gradient_of_rounding_only_is_far_away_and_has_a_finite_slope(size):
    tiny = torch.full((3,), size, requires_grad=True)
    distance = federated.cosine_distance([tiny], [torch.ones(3)])
    assert distance.item() == pytest.approx(1)
    assert torch.isfinite(torch.autograd.grad(distance, tiny)[0]).all(), "1 / 1e-41 is infinite in single precision"


def test_signed_adam_moves_all_pixels_alike_and_slows_down_three_times():
    """Adam on a constant sign moves by its rate, which falls after 3, 5 and 7 eighths of the way.

    The slope differs from colour to colour and from step to step by a factor of a million; only its sign counts.
    """
    start, sizes = torch.full((1, 3, 2, 4), 0.9), itertools.cycle([1000, 0.001, 1])
    cost = lambda x: next(sizes) * (1000 * x[:, :1].sum() + 0.001 * x[:, 1:].sum())  # noqa: E731
    walk = federated.signed_adam(start, cost, 8, rate=0.1)
    moves = torch.stack([next(walk)[0] for _ in range(9)]).diff(dim=0)  # (8, 1, 3, 2, 4)
    assert_close(moves, moves[:, :, :1, :1, :1].expand_as(moves))
    expected = torch.tensor([-0.1] * 3 + [-0.01] * 2 + [-0.001] * 2 + [-0.0001])
    assert_close(moves[:, 0, 0, 0, 0], expected, rtol=0.02, atol=0)


def test_signed_adam_stops_at_the_border_of_the_box():
    walk = federated.signed_adam(torch.full((1, 3, 2, 4), 0.05), lambda x: x.sum(), 8, rate=0.1)
    assert [next(walk)[0].max().item() for _ in range(2)] == [pytest.approx(0.05), 0]


@pytest.mark.parametrize("distance", [federated.cosine_distance, federated.euclidean_distance])
def test_in_double_precision_a_smooth_network_gives_its_picture_back(client, distance):
    model, x, y, _ = client
    model, x = model.double(), x.double()
    sent = gradients.shared_gradient(model, x[:1], y[:1])
    how = {"size": SIZE, "distance": distance, "tv": 0.0, "solver": federated.joint_lbfgs, "steps": 400}
    found = federated.reconstruct(model, sent, **how)
    assert found.x.dtype == torch.float64
    assert measure.psnr(found.x, x[:1]).item() > 35 and found.distance < 1e-5


def test_the_best_evaluation_is_kept_not_the_last(client):
    model, _, y, sent = client

    def scripted(x, cost_of, steps):
        for value, cost in ((0.3, 2.0), (0.4, 1.0), (0.5, 3.0)):
            yield torch.full_like(x, value), cost

    found = federated.reconstruct(model, sent, y[:1], size=SIZE, steps=3, solver=scripted)
    assert found.x.unique().tolist() == [pytest.approx(0.4)]
    assert found.best == [1.0] and found.costs == [2.0, 1.0, 3.0]


def test_an_interrupt_before_the_first_evaluation_gives_the_start(client):
    model, x, y, sent = client

    def interrupted(found, sent):
        if found[0].requires_grad:
            raise KeyboardInterrupt
        return torch.tensor(0.5)

    found = federated.reconstruct(model, sent, y[:1], start=x[1:], distance=interrupted)
    assert not found.complete and found.costs == [] and found.best == [] and torch.equal(found.x, x[1:])
    found = federated.reconstruct(model, sent, y[:1], size=SIZE, seed=3, distance=interrupted)
    assert torch.equal(found.x, federated.noise(1, SIZE, 3))


def test_everyone_can_watch(client):
    model, _, y, sent = client
    steps = []
    found = federated.reconstruct(model, sent, y[:1], size=SIZE, steps=11, restarts=2, watch=steps.append)
    assert [(s.done, s.total, s.loss) for s in steps] == [(n + 1, 22, cost) for n, cost in enumerate(found.costs)]
    assert [s.done for s in steps if s.picture is not None] == [1, 10, 20, 22]
    assert torch.equal(steps[-1].picture, found.x) and found.seconds > 0


@pytest.mark.parametrize("interrupt", [None, 2])
def test_dice_gradient_and_mode_are_as_before(client, interrupt):
    model, _, y, sent = client
    before = [value.clone() for value in (*sent, torch.get_rng_state())]

    def watch(step):
        if step.done == interrupt:
            raise KeyboardInterrupt

    with torch.no_grad():
        found = federated.reconstruct(model, sent, y[:1], size=SIZE, steps=4, watch=watch)
        assert not torch.is_grad_enabled()
    assert all(torch.equal(a, b) for a, b in zip(before, (*sent, torch.get_rng_state()), strict=True))
    assert not found.x.requires_grad and not model.training
