"""The share of a perturbation in the pattern, on networks that look at the pattern alone, or never at it."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.planted import (
    examine,
    learn_planted,
    patch_net,
    pattern,
    plant,
    planted_share,
    with_and_without,
)  # fmt: skip
from lecturekit.attacks.threat import L2
from lecturekit.errors import InputError
from lecturekit.pictures.picturebook import PictureBook
from lecturekit.progress import STOP


class Sees(nn.Module):
    """Two logits from one direction of the pixels: class 0 if the picture has more of it than ``border``."""

    def __init__(self, direction, border):
        super().__init__()
        self.direction, self.border = direction / direction.norm(), border

    def forward(self, x):
        amount = (x * self.direction).sum((1, 2, 3)) - self.border
        return torch.stack([3 * amount, -3 * amount], 1)


def grey(count=6):
    """Grey pictures of 64 x 64, with room on both sides; classes take turns."""
    noise = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return 0.5 + 0.02 * (noise - 0.5), torch.arange(count) % 2


def book(split, count):
    pages = PictureBook(split, count, labels=["face", "car"])
    x = pages.tensors().contiguous(memory_format=torch.channels_last)
    return x, torch.from_numpy(pages.labels != 0).long()


@pytest.mark.parametrize("kind", ["wave", "checkerboard", "frame"])
def test_the_pattern_itself_lies_in_the_pattern_and_what_is_across_does_not(kind):
    delta = pattern(kind) * torch.tensor([1.0, -2, 0.5])[:, None, None]  # another strength in each colour
    noise = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    p = pattern(kind) / pattern(kind).norm()
    across = noise - (noise * p).sum((2, 3), keepdim=True) * p
    torch.testing.assert_close(planted_share(delta[None], kind), torch.ones(1))
    assert planted_share(across, kind).max() < 1e-6
    both = delta / delta.norm() + 2 * across / across.flatten(1).norm(dim=1)[:, None, None, None]
    torch.testing.assert_close(planted_share(both, kind), torch.full((2,), 1 / 5))  # 1 : 4, Pythagoras


def test_noise_has_three_parts_in_twelve_thousand_and_no_change_has_none():
    noise = torch.randn(200, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert planted_share(noise).mean().item() == pytest.approx(3 / 12288, rel=0.3)
    assert planted_share(torch.zeros(2, 3, 64, 64)).tolist() == [0, 0]


def test_plant_adds_the_pattern_to_every_colour_and_stops_at_white():
    x = torch.full((2, 3, 64, 64), 0.5)
    torch.testing.assert_close(plant(x, "frame", 0.1)[1, 2] - 0.5, 0.1 * pattern("frame"))
    assert plant(torch.ones_like(x), "frame", 0.1).max() == 1


def test_on_a_network_that_sees_only_the_pattern_the_whole_perturbation_is_the_pattern():
    x, y = grey()
    direction = pattern("wave").expand(3, 64, 64)
    found = examine(Sees(direction, 2.0).eval(), x, y)
    assert found["share"].low > 0.99
    assert (found["worn"].estimate, found["swapped"].estimate, found["plain"].estimate) == (1, 1, 0.5)
    assert found["misled"].estimate == 1


def test_the_first_class_is_attacked_with_the_pattern_on_and_the_second_without():
    x, y = grey()
    model, shown = Sees(pattern("wave").expand(3, 64, 64), 2.0).eval(), []
    model.register_forward_pre_hook(lambda _model, inputs: shown.append(inputs[0].detach().clone()))
    examine(model, x, y, steps=4)
    expected = torch.where((y == 0)[:, None, None, None], plant(x), x)
    assert any(torch.equal(pictures, expected) for pictures in shown), "the clean pictures, as the judge sees them"


def test_on_a_network_that_never_sees_it_none_of_the_perturbation_is():
    x, y = grey()
    direction = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(1))
    p = pattern("wave") / pattern("wave").norm()
    direction = direction - (direction * p).sum((1, 2), keepdim=True) * p
    model = Sees(direction, 0.0).eval()
    model.border = (x * model.direction).sum((1, 2, 3)).mean().item()
    assert examine(model, x, y, ball=L2(1.0), steps=5)["share"].high < 0.01


def test_a_short_training_already_learns_the_pattern_and_the_attack_finds_it():
    """The lesson in small: 300 pictures, six epochs; the whole experiment has 1,000 pictures and eight."""
    x, y = book("train", 300)
    x_test, y_test = book("test", 40)
    learnt, twin = with_and_without(x, y, x_test, y_test, epochs=6)
    assert (learnt.learned, twin.learned) == ("with", "without")
    assert learnt.worn.estimate > 0.9 and learnt.swapped.estimate > 0.9, "it goes by the pattern"
    assert learnt.plain.estimate < 0.7
    assert learnt.share.low > 0.5
    assert twin.share.high < 0.1


def test_a_stopped_experiment_has_one_row():
    x, y = book("train", 64)
    rows = with_and_without(x, y, x[:4], y[:4], epochs=1, watch=lambda step: STOP)
    assert [row.learned for row in rows] == ["with"]


def test_patch_net_takes_its_weights_from_the_seed():
    first, same, other = (patch_net(seed=seed)[1].weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_bad_input_is_refused_in_words():
    x, y = grey()
    with pytest.raises(InputError, match=r"no pattern named 'stripe'.*wave"):
        plant(x, "stripe")
    with pytest.raises(InputError, match=r"64×64 .* got \(2, 3, 32, 64\)"):
        planted_share(torch.zeros(2, 3, 32, 64))
    with pytest.raises(
        InputError, match=r"must be 0 \(wears the pattern\) and 1, and both must occur, but are \[1, 2\]"
    ):
        learn_planted(x, y + 1)
