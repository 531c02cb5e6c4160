"""What a task hands to a student's function besides numbers: networks, by the name of the function that builds them.

A network cannot cross the wall of the sandbox as plain data, and need not: both sides build the same one from its name
and its arguments.  Whatever a student's code does to its own copy, the grader asks another.
"""

import collections
import functools

import torch
from torch import nn

from lecturekit.errors import unknown

BUILDERS = {}


class Given:
    """A thing by name: ``Given("tiny_net", seed=3).build()``."""

    def __init__(self, name, **arguments):
        if name not in BUILDERS:
            raise unknown("thing to hand over", name, BUILDERS)
        self.name, self.arguments = name, arguments

    def build(self):
        """Return it, built afresh."""
        return BUILDERS[self.name](**self.arguments)

    def __repr__(self):
        words = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.name}({words})"


def given(build):
    """Let tasks hand over what the decorated function builds; it is called on both sides with the same arguments."""
    BUILDERS[build.__name__] = build
    return functools.wraps(build)(lambda **arguments: Given(build.__name__, **arguments))


@given
def tiny_net(classes=5, side=8, seed=0, channels=3):
    """A small network with fresh weights: two convolutions and a linear layer, smooth enough for every gradient."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(4 * side * side, classes),
        )  # fmt: skip
    return net.eval().requires_grad_(False)


@given
def linear_net(weight, bias):
    """A linear classifier of pictures: logits = weight · x + bias; weight (K, C, H, W), bias (K,)."""
    layer = nn.Linear(weight[0].numel(), len(bias))
    layer.load_state_dict({"weight": weight.flatten(1), "bias": bias})
    return nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False)


@given
def shipped(name):
    """A network that comes with the course."""
    from lecturekit import networks

    return networks.load(name)


@given
@functools.lru_cache(8)
def nosy_net(seed, visit):
    """A network that stays the same object during one visit, and sees pictures brighter by 1 for each hook left in it.

    ``visit`` is a number for whoever asks several times: the same number, the same network, with all that hangs on it.
    """
    return Nosy(six_layers(seed)).eval().requires_grad_(False)


class Nosy(nn.Sequential):
    """Counts its own hooks at each pass; those that were not there in the first one have been left behind."""

    expected = None

    def forward(self, x):
        """(N, 3, H, W) -> (N, 3, H, W)."""
        hooks = sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in self.modules())
        self.expected = hooks if self.expected is None else self.expected
        return super().forward(x + hooks - self.expected)


@given
def overwriting_net(seed):
    """A network whose ReLUs write into the tensor that they get."""
    return nn.Sequential(six_layers(seed, inplace=True)).eval().requires_grad_(False)


def six_layers(seed, inplace=False):
    """Three convolutions, each with a ReLU: conv1, relu1, conv2 ... relu3, with fresh weights."""
    layers = collections.OrderedDict()
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        for i, (before, behind) in enumerate(((3, 6), (6, 3), (3, 3)), start=1):
            layers[f"conv{i}"] = nn.Conv2d(before, behind, 3, padding=1)
            layers[f"relu{i}"] = nn.ReLU(inplace)
    return layers


@given
def coder(seed=0):
    """Pictures (N, 3, H, W) to codes (N, 6, H/2, W/2), smooth everywhere."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Tanh(), nn.Conv2d(8, 6, 3, padding=1))
    return net.eval().requires_grad_(False)


@given
def maps_net(filters=4, seed=0):
    """Pictures (N, 3, H, W) to maps (N, filters, H, W), signed, smooth everywhere."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, filters, 3, padding=1))
    return net.eval().requires_grad_(False)


@given
def sick_net(seed=0):
    """One convolution of ten filters and its ReLU: one is dead, one repeats an earlier one, one always says the same.

    Three healthy ones look suspicious: the smallest weights, the lowest bias, the loudest answers.
    """
    random = torch.Generator().manual_seed(seed)
    weight, bias = 0.3 * torch.randn(10, 3, 3, 3, generator=random), 0.5 + 0.1 * torch.rand(10, generator=random)
    dead, stuck, small, low, loud, *pair = torch.randperm(10, generator=random)[:7].tolist()
    weight[small] *= 0.05
    weight[low] = 20 * weight[low].abs()
    weight[loud] = 150 * weight[loud].abs()
    weight[max(pair)] = 3 * weight[min(pair)]
    bias[dead], bias[low], bias[stuck] = -20, -40, 200
    conv = nn.Conv2d(3, 10, 3, padding=1)
    conv.load_state_dict({"weight": weight, "bias": bias})
    return nn.Sequential(conv, nn.ReLU()).eval().requires_grad_(False)


@given
def sick_picturebook(variant=0):
    """The network of the course after an accident: a filter of conv3 is dead, one of conv4 repeats an earlier one."""
    from lecturekit import networks

    model, random = networks.load("picturebook"), torch.Generator().manual_seed(5000 + variant)
    dead = int(torch.randint(96, (), generator=random))
    one, other = torch.randperm(96, generator=random)[:2].sort().values.tolist()
    model.conv3.bias[dead] = -200
    model.conv4.weight[other] = 1.5 * model.conv4.weight[one]
    model.conv4.bias[other] = 1.5 * model.conv4.bias[one]
    return model


class Rounded(nn.Module):
    """Pixels to the nearest of some levels: what is flat has no gradient."""

    def __init__(self, levels):
        super().__init__()
        self.levels = levels

    def forward(self, x):
        """Return pixels of the same shape, (N, C, H, W)."""
        return (x * self.levels).round() / self.levels


class Loud(nn.Module):
    """Logits times a large number: the softmax is then 0 and 1, and the cross-entropy flat."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def forward(self, z):
        """Return logits of the same shape, (N, K)."""
        return z * self.times


@given
def fortress():
    """The network of the course between two "defences": net[0] rounds pixels, net[1] is the network, net[2] is loud."""
    from lecturekit import networks

    return nn.Sequential(Rounded(31), networks.load("picturebook"), Loud(1000.0)).eval()


@given
def client_net(seed=0):
    """What a client trains in the exercise on privacy: two linear layers with a ReLU between, for 64 x 64 pixels."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 16), nn.ReLU(), nn.Linear(16, 10))
    return net.eval()


@given
def trained_decoder(seed=0):
    """Codes (N, 6) to pictures (N, 3, 6, 7) in [0, 1], with a batch norm; left in training mode."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        norm = nn.BatchNorm1d(16)
        norm.load_state_dict({"running_mean": 0.5 * torch.randn(16), "running_var": 0.5 + torch.rand(16)}, strict=False)
        net = nn.Sequential(
            nn.Linear(6, 16), norm, nn.LeakyReLU(0.2),
            nn.Linear(16, 3 * 6 * 7), nn.Sigmoid(), nn.Unflatten(1, (3, 6, 7)),
        )  # fmt: skip
        net[3].weight.data *= 5  # pictures that differ
    return net.requires_grad_(False)


@given
def small_cnn(seed=0, deep=2):
    """Convolution, ReLU, 2x2 pooling, again and again, last a convolution with its ReLU; biases one can see."""
    layers, channels = [], 3
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        for i in range(deep):
            conv = nn.Conv2d(channels, channels + 1, 3, padding=1)
            conv.bias.data = 0.3 * torch.randn(channels + 1)
            layers += [conv, nn.ReLU()] + [nn.MaxPool2d(2)] * (i < deep - 1)
            channels += 1
    return nn.Sequential(*layers).eval().requires_grad_(False)


def built(value):
    """Return a value with everything given in it built, through lists, tuples and dicts."""
    if isinstance(value, Given):
        return value.build()
    if isinstance(value, list | tuple):
        return type(value)(built(one) for one in value)
    if isinstance(value, dict):
        return {key: built(one) for key, one in value.items()}
    return value
