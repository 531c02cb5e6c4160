"""Two tiny networks, their inverse networks, and a panel that counts what it computes."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from lecturekit.inversion import inverse_net
from lecturekit.networks import random_twin
from lecturekit.networks.layers import Normalize


def tiny(seed, classes=("cat", "dog", "fish")):
    """A network for 64x64 pictures that takes a millisecond; its codes differ in every property that panels look at."""
    layers = OrderedDict(
        normalize=Normalize(),
        conv1=nn.Conv2d(3, 6, 3, padding=1),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(4),
        conv2=nn.Conv2d(6, 40, 3, padding=1),
        relu2=nn.ReLU(),
        flatten=nn.Flatten(),
        fc3=nn.Linear(40 * 16 * 16, len(classes)),
    )
    model = random_twin(nn.Sequential(layers), seed).eval().requires_grad_(False)
    model.fc3.weight *= 0.1  # probabilities that are not all 0 and 1
    model.classes = classes
    return model


@pytest.fixture
def networks():
    return {"one": tiny(0), "other": tiny(1)}


@pytest.fixture
def inverses():
    shapes = {"conv1": (6, 64, 64), "conv2": (40, 16, 16), "probabilities": (3,)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {"one": {layer: inverse_net(shape).requires_grad_(False) for layer, shape in shapes.items()}}
