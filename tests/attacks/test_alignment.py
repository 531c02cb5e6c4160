"""Gradients against masks, on networks that look at a known place and nowhere else."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.alignment import agreement, compare, input_gradient, part_edges, saliency
from lecturekit.errors import InputError
from lecturekit.networks import load, random_twin
from lecturekit.pictures.picturebook import PictureBook


class Looks(nn.Module):
    """Two logits from the mean over the pixels where ``where`` (H, W) is not zero, weighted by it."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def forward(self, x):
        z = 5 + (x * self.where).sum((1, 2, 3))
        return torch.stack([z, -z], 1)


def square(count=2):
    """Masks (N, 6, 8): part 3 in rows 2-4, columns 2-5, with part 7 in its last column."""
    parts = torch.zeros(count, 6, 8, dtype=torch.long)
    parts[:, 2:5, 2:6] = 3
    parts[:, 2:5, 5] = 7
    return parts


def pictures(count=2):
    return torch.rand(count, 3, 6, 8, generator=torch.Generator().manual_seed(0)), torch.arange(count) % 2


def test_a_network_that_looks_at_the_object_alone_is_aligned_perfectly():
    x, y = pictures()
    thing = (square()[0] > 0).float()
    (row,) = compare({"looks": Looks(thing).eval()}, x, y, square())
    assert (row.network, row.inside.estimate, row.mask.estimate) == ("looks", pytest.approx(1), pytest.approx(1))
    assert row.area.estimate == pytest.approx(12 / 48)


def test_a_network_that_looks_everywhere_has_the_share_of_the_area_and_no_correlation():
    x, y = pictures()
    (row,) = compare({"looks": Looks(torch.ones(6, 8)).eval()}, x, y, square())
    assert row.inside.estimate == pytest.approx(row.area.estimate)
    assert (row.mask.estimate, row.edges.estimate) == (0, 0)


def test_a_network_that_looks_beside_the_object_is_worse_than_nothing():
    x, y = pictures()
    (row,) = compare({"looks": Looks((square()[0] == 0).float()).eval()}, x, y, square())
    assert (row.inside.estimate, row.mask.estimate) == (0, pytest.approx(-1))


def test_energy_counts_as_the_square():
    heat = torch.ones(2, 6, 8)
    heat[:, 2:5, 2:6] = 3
    inside = agreement(heat, square())["inside"]
    assert inside.tolist() == pytest.approx([12 * 9 / (12 * 9 + 36)] * 2)


def test_edges_are_both_sides_of_every_change():
    parts = torch.tensor([[[0, 0, 0, 0, 0], [0, 0, 3, 3, 7], [0, 0, 0, 0, 0]]]).repeat(2, 1, 1)
    expected = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [0, 0, 1, 1, 1]], dtype=torch.bool)
    assert torch.equal(part_edges(parts)[1], expected)
    line = torch.tensor([[[0, 0, 0, 0, 3, 3, 3, 3]]])
    assert part_edges(line, width=2).int().tolist() == [[[0, 0, 1, 1, 1, 1, 0, 0]]]


def test_a_network_that_looks_at_the_edges_says_so():
    x, y = pictures()
    edges = part_edges(square())[0].float()
    (row,) = compare({"looks": Looks(edges).eval()}, x, y, square())
    assert row.edges.estimate == pytest.approx(1)


def test_the_gradient_is_that_of_the_margin_in_any_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 4 * 6, 3)).eval()
    x, y = pictures(5)
    x.requires_grad_(True)
    z = model(x)
    best = torch.stack([row[[k for k in range(3) if k != c]].max() for row, c in zip(z, y.tolist(), strict=True)])
    (expected,) = torch.autograd.grad((best - z.gather(1, y[:, None])[:, 0]).sum(), x)
    for batch in (2, 100):
        torch.testing.assert_close(input_gradient(model, x.detach(), y, batch), expected)
    torch.testing.assert_close(saliency(expected)[1], expected[1].square().sum(0).sqrt())


def test_trained_networks_look_at_the_object_more_than_their_random_twin():
    book = PictureBook("test", 24)
    networks = {"standard": load("picturebook"), "robust": load("picturebook_robust")}
    networks["random"] = random_twin(networks["standard"])
    table = compare(networks, book.tensors(), torch.from_numpy(book.labels), torch.from_numpy(book.parts))
    standard, robust, random = table
    assert standard.inside.above(random.inside) and robust.inside.above(random.inside)
    assert standard.mask.above(random.mask) and robust.mask.above(random.mask)


def test_bad_input_is_refused_in_words():
    heat = torch.ones(2, 6, 8)
    with pytest.raises(InputError, match=r"maps have shape \(2, 6, 8\) and the masks \(2, 8, 6\)"):
        agreement(heat, square().transpose(1, 2))
    empty = square()
    empty[1] = 0
    with pytest.raises(InputError, match=r"pictures \[1\] have no object or no background"):
        agreement(heat, empty)
    heat[0] = 0
    with pytest.raises(InputError, match=r"gradients of pictures \[0\] are zero everywhere"):
        agreement(heat, square())
