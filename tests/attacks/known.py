"""Networks and pictures about which something is known: closed forms, a certificate, a published accuracy."""

import struct
import zlib

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import avg_pool2d, pad, relu

from lecturekit.networks.layers import Normalize

# Closed forms


def linear(dtype=torch.float32, seed=0):
    """A network of two classes whose every answer a hand can compute: logits (0, w.x + b), 0 for grey; and its w."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 2)).to(dtype)
    w = torch.randn(60, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    model[1].weight.data = torch.stack([torch.zeros_like(w), w])
    model[1].bias.data = torch.tensor([0, -0.5 * w.sum().item()], dtype=dtype)
    return model.eval(), w.view(3, 4, 5)


def greyish(count, dtype=torch.float32):
    """Pictures far enough from black and white that only the ball limits the attack."""
    generator = torch.Generator().manual_seed(1)
    return 0.4 + 0.2 * torch.rand(count, 3, 4, 5, generator=generator, dtype=dtype)


def crooked(count=3, dtype=torch.float32):
    """A small network with curves and four classes, pictures that touch black and white, and what it says of them."""
    generator = torch.Generator().manual_seed(2)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 2 * 3, 4)).to(dtype).eval()
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=generator, dtype=dtype) / weight[0].numel() ** 0.5
    many = torch.rand(200, 3, 4, 5, generator=generator, dtype=dtype)
    model[3].bias.data -= model(many).mean(0).detach()  # so that every class has its share
    x = torch.rand(count, 3, 4, 5, generator=generator, dtype=dtype).mul(1.4).sub(0.2).clamp(0, 1)
    return model, x, model(x).argmax(1)


class Needle(nn.Module):
    """Flat but for one narrow dent: only a lucky start finds it."""

    def forward(self, x):
        first = x[:, 0, 0, 0]
        dent = torch.relu(0.02 - (first - 0.55).abs())
        return torch.stack([torch.full_like(first, 0.01), dent], 1)


class Wrapped(nn.Module):
    """A defence: what is done to the pictures before, and to the logits after."""

    def __init__(self, model, before=lambda x: x, after=lambda z: z):
        super().__init__()
        self.model, self.before, self.after = model, before, after
        self.eval()

    def forward(self, x):
        return self.after(self.model(self.before(x)))


# A network with a certificate: no attack can be better than the proof


def certified(shared):
    """The network of Wong & Kolter 2018, proven to err on at most 5.8 % of MNIST's test pictures at eps 0.1."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    path = shared / "weights" / "mnist_robust_wong_kolter" / "mnist_robust_eps0.1.pt"
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()


def digits(shared, count=10_000):
    """The first test pictures of MNIST (N, 1, 28, 28) in [0, 1] and their labels (N,)."""

    def read(kind, header):
        packed = (shared / "data" / "mnist_test" / f"t10k-{kind}-ubyte.gz").read_bytes()
        raw = zlib.decompress(packed, wbits=31)  # idx: big-endian integers, then bytes
        shape = struct.unpack(f">{header}i", raw[: 4 * header])[1:]
        return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 * header).reshape(shape).copy())

    return read("images-idx3", 4)[:count, None].float() / 255, read("labels-idx1", 2)[:count].long()


# A network with a published accuracy


class Block(nn.Module):
    """Two convolutions and a shortcut without weights: every second pixel, and black maps for the new channels."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.stride, self.new = stride, (after - before) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new, self.new)))


class ResNet20(nn.Module):
    """The residual network for CIFAR-10 of He et al. 2015, section 4.2; pixels in [0, 1] to logits."""

    def __init__(self):
        super().__init__()
        self.normalize = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(3)))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = relu(self.bn1(self.conv1(self.normalize(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(avg_pool2d(x, x.shape[3]).flatten(1))


def resnet20(shared):
    """ResNet-20 with weights that name 91.7 % of CIFAR-10's test pictures rightly."""
    model = ResNet20()
    path = shared / "weights" / "cifar_resnet20" / "resnet20_cifar10.pt"
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=False)
    return model.eval()


def cifar(shared, count=1000):
    """The first training pictures of CIFAR-10 (N, 3, 32, 32) in [0, 1] and their labels (N,)."""
    folder = shared / "data" / "cifar10_lossless_1000"
    with Image.open(folder / "cifar10_batch_0.png") as sheet:
        rows = np.asarray(sheet.convert("RGB")).reshape(1000, 32, 32, 3)[:count]
    x = torch.from_numpy(rows.copy()).permute(0, 3, 1, 2).float() / 255
    return x, torch.from_numpy(np.load(folder / "labels.npy", allow_pickle=False))[:count].long()
