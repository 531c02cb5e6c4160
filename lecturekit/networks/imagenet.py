"""ImageNet networks of torchvision by name, in the library's own manner: pixels in, every layer open to the eye.

torchvision's networks expect pictures that somebody else has normalised, overwrite the input of their ReLUs in place,
and use one ReLU module for two places in a residual block: three ways to look at the wrong numbers.  Here each of them
becomes a plain ``nn.Sequential`` that starts with `Normalize`, keeps torchvision's names, and gives the same logits::

    alexnet, vgg16   normalize  features.0 ...  avgpool  flatten  classifier.0 ...
    squeezenet1_*    normalize  features.0 ...  classifier.0 ...  flatten
    mobilenet_v2     normalize  features.0.0 ...  avgpool  flatten  classifier.0 ...
    resnet18         normalize  conv1  bn1  relu  maxpool  layer1 ... layer4  avgpool  flatten  fc
                     (a block:  conv1  bn1  relu1  conv2  bn2  relu2  downsample)

Weights are megabytes, so none ship with the library.  They come from a file that you name, from our own cache, or, only
with ``download=True``, from torchvision's official address.  What arrives there is a pickle: its digest is compared
with the digits in its official name, it is read with ``weights_only=True``, and saved at once as safetensors under a
name that holds its whole SHA-256, which every later load compares.
"""

from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from lecturekit import download as downloads
from lecturekit.errors import FileError, InputError, SetupError, unknown
from lecturekit.files import cache_folder, kind, locked, regular, replacing, sha256, verify
from lecturekit.networks.layers import IMAGENET_MEAN, IMAGENET_STD, Normalize
from lecturekit.networks.lecturenet import named
from lecturekit.networks.zoo import fill
from lecturekit.progress import bar
from lecturekit.tables import Table

OFFICIAL = {  # the members of torchvision's enumerations of weights
    "alexnet": "AlexNet_Weights",
    "vgg16": "VGG16_Weights",
    "squeezenet1_0": "SqueezeNet1_0_Weights",
    "squeezenet1_1": "SqueezeNet1_1_Weights",
    "resnet18": "ResNet18_Weights",
    "mobilenet_v2": "MobileNet_V2_Weights",
}
SMALLEST = {"alexnet": 63, "vgg16": 32, "squeezenet1_0": 21, "squeezenet1_1": 17}  # pixels a side that pooling leaves


class Row(NamedTuple):
    """One network of the catalogue; ``top_1`` is torchvision's own measurement on ImageNet's validation pictures."""

    name: str
    weights: int
    download: str
    top_1: str
    here: str


def catalogue():
    """Return the networks as a table: number of weights, size of the download, accuracy, and whether they are here."""
    rows = []
    for name in OFFICIAL:
        meta = _official(name).meta
        accuracy = meta["_metrics"]["ImageNet-1K"]["acc@1"]
        here = "yes" if list(_cache().glob(f"{name}-*.safetensors")) else "no"
        rows.append(Row(name, meta["num_params"], downloads.amount(_size(name)), f"{accuracy:.1f} %", here))
    return Table(rows, Row._fields)


def load(name, weights=None, *, sha256=None, download=False):
    """Return a trained network: pixels (N, 3, H, W) in [0, 1] to logits (N, 1000), for pictures of about 224 x 224.

    Args:
        name: one of `catalogue`.
        weights: a file to take the weights from, ``.safetensors`` or ``.pt``; None for the cache.
        sha256: what the file's SHA-256 must be.  A ``.pt`` file is a pickle and is only read if this is given, or if it
            is torchvision's official file.
        download: fetch the official weights if they are not in the cache; says how large they are first.
    Returns: an ``nn.Sequential`` in evaluation mode, its weights frozen, with ``classes``, the 1000 names.
    Raises: InputError for an unknown name; FileError for a file that is damaged or does not fit; SetupError if there
        are no weights yet, with their size and how to get them.
    """
    if name not in OFFICIAL:
        raise unknown("ImageNet network", name, OFFICIAL)
    if weights is not None:
        path, tensors = Path(weights), _read(weights, name, sha256)
    else:
        path = _cached(name) or _get(name, download)
        tensors = _safetensors(path)
    with torch.device("meta"):  # no random numbers are drawn for weights that are replaced at once
        network = _build(name)
    network = network.to_empty(device="cpu")
    fill(network, tensors, path.name)
    return _opened(name, network)


def untrained(name, seed=0):
    """Return the same network with random weights: a control that has learned nothing, and needs no download.

    Raises: InputError for an unknown name.
    """
    if name not in OFFICIAL:
        raise unknown("ImageNet network", name, OFFICIAL)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator: give it back as it was
        torch.manual_seed(seed)
        return _opened(name, _build(name))


class Entrance(Normalize):
    """`Normalize` that also refuses what the network behind it would misread or choke on."""

    def __init__(self, name):
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        self.name, self.smallest = name, SMALLEST.get(name, 1)

    def forward(self, x):
        """(N, 3, H, W) in [0, 1] -> (N, 3, H, W), normalised with ImageNet's mean and deviation."""
        if x.dim() != 4 or x.shape[1] != 3 or not x.is_floating_point():  # one grey channel would be spread over three
            raise InputError(f"{self.name} needs float pictures (N, 3, H, W) in [0, 1], got {x.dtype} {tuple(x.shape)}")
        if min(x.shape[2:]) < self.smallest:
            raise InputError(
                f"{self.name} needs pictures of at least {self.smallest} x {self.smallest} pixels, "
                f"got {x.shape[2]} x {x.shape[3]}; enlarge them to 224"
            )
        return super().forward(x)


class Block(nn.Module):
    """torchvision's residual block with its one ReLU, which it calls twice, made into two."""

    def __init__(self, block):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = block.conv1, block.bn1, nn.ReLU()
        self.conv2, self.bn2, self.relu2 = block.conv2, block.bn2, nn.ReLU()
        self.downsample = nn.Identity() if block.downsample is None else block.downsample

    def forward(self, x):
        """relu(bn(conv(relu(bn(conv(x))))) + x), where ``downsample`` makes x fit if the shape changes."""
        inner = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(inner)) + self.downsample(x))


def _opened(name, network):
    """Return torchvision's network as a sequence of its own layers, in the order in which its forward calls them."""
    parts = OrderedDict(network.named_children())
    if name == "resnet18":
        for i in range(1, 5):
            parts[f"layer{i}"] = nn.Sequential(*map(Block, parts[f"layer{i}"]))
        parts["flatten"] = nn.Flatten()
        parts.move_to_end("fc")
    elif name.startswith("squeezenet"):
        parts["flatten"] = nn.Flatten()  # its classifier is a convolution and an average
    else:
        parts.setdefault("avgpool", nn.AdaptiveAvgPool2d(1))  # MobileNet calls a function for it
        parts["flatten"] = nn.Flatten()
        parts.move_to_end("classifier")
    model = nn.Sequential(OrderedDict(normalize=Entrance(name), **parts))
    for layer in model.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False  # else a hook on the layer before sees values that are rectified already
    return named(model.eval().requires_grad_(False), _official(name).meta["categories"])


def _build(name):
    """Return torchvision's own network, with random weights."""
    import torchvision

    return getattr(torchvision.models, name)(weights=None)


def _official(name):
    """Return torchvision's description of the official weights: address, class names, size, accuracy."""
    import torchvision

    return getattr(torchvision.models, OFFICIAL[name]).IMAGENET1K_V1


def _size(name):
    """Return the size of the official file in bytes; torchvision states it in units of 2^20."""
    return round(_official(name).meta["_file_size"] * 2**20)


def _digest(name):
    """Return the first digits of the official SHA-256, which stand in the file's name: resnet18-f37072fd.pth."""
    return "sha256:" + Path(_official(name).url).stem.rpartition("-")[2]


def _cache():
    """Return the folder of converted weights."""
    return cache_folder("imagenet")


def _cached(name):
    """Return the converted weights if they are whole, else None; a damaged file is moved out of the way."""
    for path in sorted(_cache().glob(f"{name}-*.safetensors")):
        if downloads.have(path, "sha256:" + path.stem.rpartition("-")[2]):
            return path
    return None


def _get(name, download):
    """Return the official weights, converted; downloads them if that was asked for or the file lies there already."""
    url, digest = _official(name).url, _digest(name)
    original = _cache() / Path(url).name
    if not downloads.have(original, digest):
        if not download:
            raise SetupError(
                f"the weights of {name} are not on this machine. imagenet.load({name!r}, download=True) downloads "
                f"{downloads.amount(_size(name))}. {downloads.by_hand((url, original, digest))} "
                f"Without them: imagenet.untrained({name!r}) is the same network with random weights."
            )
        downloads.fetch(url, original, digest=digest, size=_size(name), watch=bar(original.name))
    with locked(_cache() / name):
        converted = _cached(name) or _converted(name, original)  # another process may have been quicker
    original.unlink(missing_ok=True)
    return converted


def _converted(name, original):
    """Save an official pickle as safetensors, named after its own SHA-256, and return the new path."""
    from safetensors.torch import save_file

    whole = _cache() / f"{name}.safetensors"
    tensors = _read(original, name, None)
    with replacing(whole) as temporary:
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, temporary)
    return whole.replace(_cache() / f"{name}-{sha256(whole)}.safetensors")


def _read(path, name, expected):
    """Return the tensors of a file of weights by name; a pickle only if its SHA-256 is known beforehand."""
    path = regular(path)
    with open(path, "rb") as file:
        head = file.read(512)
    numbers_only = head[8:9] == b"{"  # safetensors: eight bytes of length, then JSON
    if not numbers_only and not head.startswith((b"PK", b"\x80")):
        raise FileError(f"{path.name} is {kind(head)}, not weights ({path.stat().st_size:,} bytes); get it again")
    if expected is not None:
        verify(path, expected)
    if numbers_only:
        return _safetensors(path)
    if expected is None and not downloads.matches(path, _digest(name)):
        raise FileError(
            f"{path.name} is a pickle, which can run code, and not torchvision's official file ({_digest(name)}...). "
            "If you trust where it comes from, pass its digest as sha256=..., or save it as safetensors"
        )
    return _pickled(path)


def _safetensors(path):
    """Return the tensors of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError) as problem:
        raise FileError(f"{path.name} is damaged or incomplete ({problem}); get it again") from None


def _pickled(path):
    """Return the tensors of a verified pickle; weights_only builds nothing but tensors from it."""
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # UnpicklingError, RuntimeError, EOFError, KeyError: as the bytes fall
        raise FileError(f"{path.name} holds no plain weights ({str(problem).splitlines()[0]}); get it again") from None
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise FileError(f"{path.name} holds a {type(tensors).__name__}, expected a state_dict: tensors by layer name")
    return dict(tensors)
