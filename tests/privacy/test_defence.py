"""Defences change codes as they say, and the curve weighs them by the network's own second half."""

import pytest
import torch

from lecturekit import capture, networks
from lecturekit.errors import InputError
from lecturekit.privacy import defence
from lecturekit.privacy.reidentify import Gallery, pixels
from lecturekit.progress import STOP


def codes(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_noise_has_the_strength_that_was_asked_for():
    clean = 3 * codes(20, 8, 6, 5)
    added = defence.noise(clean, 0.5) - clean
    assert added.std().item() == pytest.approx(0.5 * clean.std().item(), rel=0.02)
    assert abs(added.mean()) < 0.05


def test_noise_of_strength_zero_is_none_and_a_seed_decides():
    clean = codes(4, 8, 6, 5)
    assert torch.equal(defence.noise(clean, 0), clean)
    assert torch.equal(defence.noise(clean, 1, seed=3), defence.noise(clean, 1, seed=3))
    assert not torch.equal(defence.noise(clean, 1, seed=3), defence.noise(clean, 1, seed=4))


def test_the_same_filters_are_dropped_for_every_picture():
    dropped = defence.channel_drop(codes(4, 8, 6, 5), 0.75)
    silent = (dropped == 0).all(-1).all(-1)
    assert silent.sum(1).tolist() == [6, 6, 6, 6]
    assert (silent == silent[0]).all()
    kept = ~silent[0]
    assert torch.equal(dropped[:, kept], codes(4, 8, 6, 5)[:, kept])


def test_vectors_lose_values():
    assert (defence.channel_drop(codes(3, 10), 0.3) == 0).sum().item() == 9


def test_values_are_rounded_to_multiples_of_the_step():
    clean = codes(6, 4, 3, 2)
    step = 0.5 * clean.std()
    rounded = defence.quantise(clean, 0.5)
    assert torch.allclose(rounded / step, (rounded / step).round(), atol=1e-5)
    assert ((rounded - clean).abs() <= step / 2 + 1e-6).all()
    assert defence.quantise(clean, 0) is clean
    assert (defence.quantise(clean.relu(), 2)[clean <= 0] == 0).all(), "what was silent stays silent"


def test_a_constant_code_stays_when_it_is_rounded():
    assert torch.equal(defence.quantise(torch.ones(2, 3), 4), torch.ones(2, 3))


@pytest.mark.parametrize(
    ("function", "strength", "message"),
    [
        (defence.noise, -1, "a deviation, 0 or more, got -1"),
        (defence.channel_drop, 1, r"lies in \[0, 1\), got 1"),
        (defence.channel_drop, -0.1, r"lies in \[0, 1\), got -0.1"),
        (defence.quantise, -2, "a step in deviations, 0 or more, got -2"),
    ],
)
def test_strengths_that_make_no_sense_are_refused(function, strength, message):
    with pytest.raises(InputError, match=message):
        function(codes(2, 4), strength)


@pytest.mark.parametrize("each", defence.DEFENCES.values(), ids=lambda each: each.name)
def test_every_defence_begins_with_none_and_has_five_points_or_more(each):
    clean = codes(4, 12, 6, 5)
    assert torch.equal(each(clean, each.strengths[0]), clean)
    assert len(each.strengths) >= 5
    changes = [(each(clean, strength) - clean).pow(2).mean() for strength in each.strengths]
    assert all(a < b for a, b in zip(changes, changes[1:], strict=False)), "the strengths go from weak to strong"


class World:
    """A small network, an attacker who knows everything, and noise for pictures: the curve alone is tested."""

    def __init__(self):
        dice = torch.Generator().manual_seed(0)
        self.model = networks.random_twin(networks.lecture_net([f"class {i}" for i in range(10)])).eval()
        self.faces = torch.rand(12, 3, 64, 64, generator=dice), torch.arange(12)
        self.objects = self.faces[0], self.model(self.faces[0]).argmax(1).detach()
        self.gallery = Gallery(*self.faces, see=pixels)
        self.asked = []

    def attacker(self, sent, strength):
        """Give the originals back as long as the codes are those of the network."""
        self.asked.append(strength)
        own = capture.cut(self.model, "conv2")(self.faces[0])
        return self.faces[0] if torch.allclose(own, sent, atol=1e-5) else torch.zeros_like(self.faces[0])

    def curve(self, **how):
        return defence.curve(defence.NOISE, self.model, "conv2", self.attacker, self.faces, self.gallery, self.objects,
                             **how)  # fmt: skip


def test_the_curve_weighs_utility_and_privacy_at_every_strength():
    world = World()
    points = world.curve(strengths=(0, 3))
    assert world.asked == [0, 3]
    assert [point.strength for point in points] == [0, 3]
    assert points[0].accuracy.estimate == points[0].top1.estimate == 1
    assert points[0].ssim.estimate == pytest.approx(1)
    assert points[1].accuracy.estimate < 0.9
    assert points[1].top1.estimate < 0.2


def test_a_stopped_curve_keeps_its_points():
    assert len(World().curve(watch=lambda step: STOP if step.done == 2 else None)) == 2


def test_the_two_halves_of_a_network_are_the_network():
    world = World()
    for layer in ("normalize", "conv3", "fc7"):
        whole = capture.rest(world.model, layer)(capture.cut(world.model, layer)(world.faces[0]))
        assert torch.equal(whole, world.model(world.faces[0]))
