"""What the exercises on features, privacy and why hand out: it has the defect, the person, the picture it promises."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from lecturekit import capture, networks
from lecturekit.course import checks, handouts
from lecturekit.course.asking import Wrong
from lecturekit.course.given import built, client_net, fortress, maps_net, sick_net

VARIANTS = 0, 8, 61


@pytest.mark.parametrize("seed", range(5))
def test_a_sick_network_has_one_dead_one_copied_and_one_stuck_filter_and_they_differ(seed):
    model, x = sick_net(seed=seed).build(), torch.rand(4, 3, 6, 7)
    values = model(x).transpose(0, 1).flatten(1)
    assert (values.amax(1) == 0).sum() == 1
    assert (values.std(1) < 0.01 * values.mean(1)).sum() == 1
    unit = normalize(model[0].weight.flatten(1), dim=1)
    assert ((unit @ unit.T).tril(-1).abs() > 0.99).sum() == 1
    loudest, lowest = values.mean(1).argmax(), model[0].bias.argmin()
    assert min(values[loudest].max(), values[lowest].max()) > 0, "healthy filters that look suspicious"


def test_networks_are_the_same_on_both_sides():
    x = torch.rand(2, 3, 64, 64)
    for one in (client_net(seed=3), fortress()):
        assert torch.equal(*(built(one)(x) for _ in range(2)))
    assert maps_net(seed=1).build()(x).shape == (2, 4, 64, 64)
    assert not torch.equal(client_net(seed=3).build()(x), client_net(seed=4).build()(x))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_patient_has_one_dead_filter_and_one_pair_of_twins(variant):
    model, x = handouts.patient(variant)
    share = (capture.activations(model, x, "relu3")["relu3"] > 0).float().mean((0, 2, 3))
    assert (share == 0).sum() == 1
    unit = normalize(model.conv4.weight.flatten(1), dim=1)
    pairs = ((unit @ unit.T).triu(1) > 0.99).nonzero().tolist()
    assert len(pairs) == 1
    assert checks.buried(variant)(share.argmin()), "a tensor with one number is a number"
    assert checks.doubled(variant)(pairs[0])


def test_another_variant_has_another_patient():
    dead = {int(handouts.patient(v)[0].conv3.bias.argmin()) for v in range(5)}
    assert len(dead) > 3


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_stolen_code_is_nearest_to_another_picture_of_the_same_person(variant):
    gallery, people, code = handouts.lineup(variant)
    assert len(set(people.tolist())) == len(gallery) == 20
    assert code.shape == (1, 96)
    codes = capture.cut(networks.load("people"), "embedding")(gallery)
    found = int(people[(normalize(code) @ normalize(codes).T).argmax()])
    assert found == handouts.suspects(variant)[1]
    assert not torch.isclose(codes, code).all(1).any(), "the very picture is not in the gallery"
    assert checks.recognised(variant)(found)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_sent_gradient_is_that_of_the_private_picture(variant):
    model, gradient = handouts.sent_gradient(variant)
    assert [tuple(each.shape) for each in gradient] == [(16, 12288), (16,), (10, 16), (10,)]
    x, y = handouts.private_picture(variant)
    p = model(x).softmax(1)[0]
    assert torch.allclose(gradient[3], p - torch.nn.functional.one_hot(torch.tensor(y), 10), atol=1e-6)
    assert checks.developed(variant)(x)
    with pytest.raises(Wrong, match="off by 2 grey levels"):
        checks.developed(variant)(x + 2 / 255)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_stronghold_is_right_and_has_no_gradient_but_its_core_has_one(variant):
    net, x, y = handouts.stronghold(variant)
    y = torch.tensor([y])
    assert net(x).argmax(1) == y
    x = x.clone().requires_grad_()
    assert not torch.autograd.grad(cross_entropy(net(x), y), x)[0].any()
    assert not torch.autograd.grad(cross_entropy(net[2](net[1](x)), y), x)[0].any(), "loud alone is flat"
    assert not torch.autograd.grad(cross_entropy(net[1](net[0](x)), y), x)[0].any(), "rounding alone is flat"
    assert torch.autograd.grad(cross_entropy(net[1](x), y), x)[0].any()


def test_a_picture_just_outside_the_ball_of_the_stronghold_is_refused():
    _, x, _ = handouts.stronghold(0)
    with pytest.raises(Wrong, match=r"13\.0 grey levels; allowed are 12"):
        checks.breached(0)(x + torch.where(x == x.min(), 13 / 255, 0.0))  # a few pixels only
