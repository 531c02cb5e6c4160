"""Small networks and pictures that the tests of this folder share, and the oracle: autograd."""

from collections import OrderedDict

import torch
from torch import nn

from lecturekit import capture


def pictures(count=2, height=14, width=18, dtype=torch.float32, seed=1):
    """Noise, wider than high."""
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)).to(dtype)


def chain(*layers, dtype=torch.float64):
    """A Sequential with the same weights each time; biases are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [layer() if callable(layer) and not isinstance(layer, nn.Module) else layer for layer in layers]
        model = nn.Sequential(OrderedDict((f"layer{k}", layer) for k, layer in enumerate(layers)))
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3)
    return model.to(dtype).eval()


def small(dtype=torch.float32):
    """conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 flatten fc4, with an overlapping second pooling."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = OrderedDict(
            conv1=nn.Conv2d(3, 6, 3, padding=1), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 20, 3, padding=1), relu2=nn.ReLU(), pool2=nn.MaxPool2d(3, 2),
            conv3=nn.Conv2d(20, 9, 3, padding=1), relu3=nn.ReLU(), flatten=nn.Flatten(), fc4=nn.LazyLinear(4),
        )  # fmt: skip
        model = nn.Sequential(layers)
        model(torch.zeros(1, 3, 28, 36))
    return model.to(dtype).eval()


def autograd(model, layer, x, selected):
    """What torch's own backward pass makes of a selection."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(capture.cut(model, layer)(x), x, selected)
    return gradient


def relative(found, expected):
    """The largest difference, measured by the largest value."""
    return ((found - expected).abs().max() / expected.abs().max()).item()
