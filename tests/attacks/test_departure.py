"""Whose company a picture keeps, on a network whose codes can be read with the naked eye."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.departure import codes_of, departure, pair_distance
from lecturekit.attacks.gradient import pgd
from lecturekit.attacks.nonrobust import noise_like
from lecturekit.attacks.threat import Linf
from lecturekit.errors import InputError
from lecturekit.networks import load
from lecturekit.pictures.picturebook import PictureBook
from lecturekit.progress import STOP


class Second(nn.Module):
    """Keeps the first pixel only."""

    def forward(self, x):
        return x.flatten(1)[:, :1]


class Sevenfold(nn.Module):
    """Says the same, louder."""

    def forward(self, z):
        return 7 * z


class Logits(nn.Module):
    """Class 1 from 0.5 on."""

    def forward(self, z):
        return torch.cat([0 * z, 10 * z - 5], 1)


def net():
    """`pixels` hands on all 12 values, `first` the first of them, `logits` decides by it."""
    layers = {"pixels": nn.Identity(), "first": Second(), "logits": Logits()}
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model.eval()


def picture(first, rest):
    x = torch.full((1, 1, 3, 4), rest)
    x[0, 0, 0, 0] = first
    return x


def world():
    """Two classes that differ in every pixel; the adversarial picture changes the first one alone."""
    gallery = torch.cat([picture(0.2, 0.2), picture(0.25, 0.2), picture(0.8, 0.8), picture(0.75, 0.8)])
    x0 = torch.cat([picture(0.22, 0.22), picture(0.78, 0.78)])
    x = torch.cat([picture(0.75, 0.22), picture(0.25, 0.78)])
    return gallery, torch.tensor([0, 0, 1, 1]), x0, x, torch.tensor([0, 1])


def test_a_change_of_one_pixel_stays_in_its_class_until_the_layer_that_sees_only_that_pixel():
    pixels, first, logits = departure(net(), ["pixels", "first", "logits"], *world())
    assert (pixels.clean.estimate, pixels.adversarial.estimate, pixels.new.estimate) == (1, 1, 0)
    assert (first.clean.estimate, first.adversarial.estimate, first.new.estimate) == (1, 0, 1)
    assert (logits.adversarial.estimate, logits.new.estimate) == (0, 1)
    assert [row.layer for row in (pixels, first, logits)] == ["pixels", "first", "logits"]


def test_noise_of_the_same_norm_stays_where_it_was():
    gallery, labels, x0, x, y = world()
    rows = departure(net(), ["pixels", "first"], gallery, labels, x0, x, y, seed=1)
    assert rows[0].noise.estimate == 1
    noisy = noise_like(x0, x, seed=1)
    torch.testing.assert_close((noisy - x0).flatten(1).norm(dim=1), (x - x0).flatten(1).norm(dim=1), atol=0.1, rtol=0)
    assert noisy.min() >= 0 and noisy.max() <= 1


def test_distances_are_counted_in_distances_of_two_clean_pictures():
    codes = torch.tensor([[0.0], [2.0], [4.0]])  # pairs are 2 or 4 apart
    assert 2 <= pair_distance(codes) <= 4
    gallery, labels, x0, x, y = world()
    (row,) = departure(net(), ["first"], gallery, labels, x0, x, y)
    assert row.gone.estimate == pytest.approx(0.53 / pair_distance(gallery[:, :, 0, 0]), rel=1e-4)
    (louder,) = departure(nn.Sequential(Second(), Sevenfold(), Logits()).eval(), ["1"], gallery, labels, x0, x, y)
    assert louder.gone.estimate == pytest.approx(row.gone.estimate, rel=1e-5), "seven times as far, and so are others"


def test_codes_are_the_same_in_any_batch():
    x = torch.rand(5, 1, 3, 4)
    assert torch.equal(codes_of(net(), x, batch=2), net()(x))


def test_a_watcher_can_stop_it_after_a_layer():
    rows = departure(net(), ["pixels", "first"], *world(), watch=lambda step: STOP)
    assert [row.layer for row in rows] == ["pixels"]


def test_the_shipped_network_loses_an_adversarial_picture_late_and_noise_never():
    book, gallery = PictureBook("test", 20), PictureBook("validation", 100)
    model, x, y = load("picturebook"), book.tensors(), torch.from_numpy(book.labels)
    found = pgd(model, x, y, ball=Linf(12 / 255), steps=20, leave=False)
    kept = found.misled & found.right
    assert kept.sum() >= 5
    layers, labels = ["conv2", "fc7", "fc8"], torch.from_numpy(gallery.labels)
    rows = departure(model, layers, gallery.tensors(), labels, found.x0[kept], found.x[kept], y[kept])
    assert rows[-1].adversarial.estimate < rows[-1].noise.estimate
    assert rows[-1].gone.above(rows[-1].gone_noise)
    assert rows[-1].gone.above(rows[0].gone)


def test_bad_input_is_refused_in_words():
    gallery, labels, x0, x, y = world()
    with pytest.raises(InputError, match="two pictures or more and a gallery of two or more, got 1 and 4"):
        departure(net(), ["first"], gallery, labels, x0[:1], x[:1], y[:1])
    with pytest.raises(InputError, match="labels of the gallery must be 4 whole numbers"):
        departure(net(), ["first"], gallery, labels[:3], x0, x, y)
    with pytest.raises(InputError, match="no layer named 'frist'. Did you mean 'first'"):
        departure(net(), ["frist"], gallery, labels, x0, x, y)
    with pytest.raises(InputError, match="all codes of the gallery are the same"):
        departure(net(), ["first"], gallery[:1].repeat(4, 1, 1, 1), labels, x0, x, y)
