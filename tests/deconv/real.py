"""Real trained networks and real photographs, for the tests that need more than random numbers."""

import functools
import json
from collections import OrderedDict

import torch
from torch import nn

from lecturekit.networks import imagenet
from lecturekit.networks.lecturenet import named
from lecturekit.networks.zoo import fill
from lecturekit.pictures.datasets import TinyImageNet
from lecturekit.pictures.photographs import read

SHA256 = "8b0631616445a2e485eecb95eccea249712ad7001fc09f701698396aa6203cee"
TEN = ("lifeboat", "ladybug", "pizza", "bell pepper", "school bus", "koala", "espresso", "lesser panda", "orange",
       "sports car")  # fmt: skip


@functools.cache
def squeezenet(shared):
    """SqueezeNet 1.0, trained on ImageNet: fire modules, two paths side by side."""
    path = shared / "weights" / "squeezenet1_0_imagenet" / "squeezenet1_0_deepcomp_imagenet.pt"
    return imagenet.load("squeezenet1_0", path, sha256=SHA256)


@functools.cache
def tiny_vgg(shared):
    """The network of CNN Explainer, trained on ten classes of Tiny ImageNet: a plain chain without padding."""
    layers, inputs = OrderedDict(), 3
    for block in (1, 2):
        for number in (1, 2):
            layers[f"conv_{block}_{number}"] = nn.Conv2d(inputs, 10, 3)
            layers[f"relu_{block}_{number}"] = nn.ReLU()
            inputs = 10
        layers[f"max_pool_{block}"] = nn.MaxPool2d(2)
    model = nn.Sequential(layers | {"flatten": nn.Flatten(), "output": nn.Linear(1690, 10)})
    file = shared / "weights" / "tiny_vgg_10class" / "tiny_vgg_10class.pt"
    fill(model, torch.load(file, weights_only=True), file.name)
    return named(model.eval().requires_grad_(False), TEN)


@functools.cache
def tiny_pictures(shared):
    """The 500 validation photographs of Tiny VGG's ten classes, whole numbers (500, 64, 64, 3) with labels."""
    pictures = TinyImageNet(shared / "data" / "tiny_imagenet_20", "val")
    known = pictures.labels < len(TEN)
    pictures.images, pictures.labels = pictures.images[known], pictures.labels[known]
    return pictures


@functools.cache
def hundred(shared, size=112):
    """One photograph of each of a hundred ImageNet classes, (100, 3, size, size), and their classes (100,)."""
    folder = shared / "data" / "imagenet_sample_100"
    labels = json.loads((folder / "labels.json").read_text())
    x = torch.cat([read(folder / name, size, say=lambda _: None) for name in sorted(labels)])
    return x, torch.tensor([labels[name] for name in sorted(labels)])
