"""The two roads back, over all layers at once, and the settings that suit each layer."""

import pytest
import torch

from lecturekit import inversion, networks
from lecturekit.inversion.tuned import SETTINGS
from lecturekit.measure import psnr
from lecturekit.pictures.picturebook import PictureBook

x0 = PictureBook("test", 4).tensors()


def test_optimisation_gets_nearer_at_a_shallow_layer_than_at_a_deep_one():
    found = inversion.optimised(networks.load("picturebook"), x0[:2], ("conv1", "fc6"), steps=15)
    assert (psnr(found["conv1"].x, x0[:2]) > psnr(found["fc6"].x, x0[:2]) + 10).all()


def test_inverse_networks_answer_for_every_layer_in_order_of_depth():
    rebuilt = inversion.decoded("picturebook", x0)
    assert tuple(rebuilt) == inversion.LAYERS
    assert all(x.shape == x0.shape and 0 <= x.min() and x.max() <= 1 for x in rebuilt.values())
    assert (psnr(rebuilt["conv1"], x0) > psnr(rebuilt["fc8"], x0) + 5).all()


BORROWED = [("relu3", "conv3"), ("pool5", "conv5"), ("relu7", "fc7"), ("features.3", "conv4")]


@pytest.mark.parametrize(("name", "same"), BORROWED)
def test_layers_without_settings_borrow_those_of_their_neighbour(name, same):
    assert inversion.tuned(name)["steps"] == SETTINGS[same][2]
    assert inversion.tuned(name)["hold"] is SETTINGS[same][0]


def test_changes_replace_what_was_tuned():
    found = inversion.optimised(networks.load("picturebook"), x0[:1], ("conv2",), steps=3, restarts=2)
    assert found["conv2"].evaluations == 3
    assert found["conv2"].restarts.shape == (2, 1, 3, 64, 64)
    assert torch.isfinite(found["conv2"].x).all()
