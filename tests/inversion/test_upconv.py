"""Inverse networks: from a code of any layer to a picture, and the shipped ones by name."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lecturekit.errors import FileError, InputError
from lecturekit.files import sha256
from lecturekit.inversion.upconv import Standardise, inverse_layers, inverse_name, inverse_net, load_inverse

SHAPES = {
    "conv1": (32, 64, 64), "conv2": (64, 32, 32), "conv3": (96, 16, 16), "conv4": (96, 16, 16), "conv5": (64, 16, 16),
    "pool5": (64, 8, 8), "fc6": (192,), "fc7": (128,), "fc8": (10,), "probabilities": (20,), "one place": (8, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_code_of_the_course_becomes_a_picture(shape):
    net = inverse_net(shape)
    code = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    x = net(code)
    assert x.shape == (2, 3, 64, 64)
    assert 0 <= x.min() < x.max() <= 1
    assert sum(weight.numel() for weight in net.parameters()) <= 500_000, "half a million weights at most"


@pytest.mark.parametrize("shape", [(8, 16, 16), (12,)])
def test_every_weight_can_learn(shape):
    net = inverse_net(shape)
    net(torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in net.parameters())


def test_a_place_of_the_map_is_seen_where_it_lies():
    """Up-convolution keeps places: what changes in the corner of the code changes the corner of the picture only."""
    net, code = inverse_net((8, 16, 16)), torch.zeros(1, 8, 16, 16)
    changed = code.clone()
    changed[..., 0, 15] = 5
    with torch.no_grad():
        difference = (net(changed) - net(code)).abs().sum((0, 1))
    assert difference[:4, -4:].min() > 0
    assert difference[32:].max() == 0 and difference[:, :32].max() == 0


def test_up_convolution_reaches_every_pixel_equally_often():
    """Kernel 4 and stride 2: no chequerboard, away from the border."""
    up = next(layer for layer in inverse_net((8, 16, 16)) if isinstance(layer, nn.ConvTranspose2d))
    nn.init.ones_(up.weight)
    nn.init.zeros_(up.bias)
    with torch.no_grad():
        reached = up(torch.ones(1, up.in_channels, 6, 5))
    assert reached.shape[-2:] == (12, 10)
    assert reached[..., 1:-1, 1:-1].unique().numel() == 1


@pytest.mark.parametrize("height, width", [(5, 7), (6, 6), (128, 128), (16, 8), (0, 0)])
def test_a_map_that_cannot_be_doubled_is_refused(height, width):
    with pytest.raises(InputError, match=f"a map of {height}x{width} cannot be doubled up to 64x64; its side is"):
        inverse_net((8, height, width))


@pytest.mark.parametrize("shape", [(), (8, 16), (2, 8, 16, 16)])
def test_a_code_that_is_neither_vector_nor_map_is_refused(shape):
    with pytest.raises(InputError, match=r"a code is a vector \(K,\) or a map \(C, h, w\), got the shape \("):
        inverse_net(shape)


# --- standardising --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape, stored", [((5,), (5,)), ((5, 4, 6), (5, 1, 1))])
def test_standardised_codes_have_mean_zero_and_deviation_one(shape, stored, dtype):
    scale = torch.logspace(-2, 3, 5).view(-1, *[1] * (len(shape) - 1)).to(dtype)
    codes = scale * (torch.randn(40, *shape, generator=torch.Generator().manual_seed(0)).to(dtype) + 3)
    standardise = Standardise(stored).to(dtype)
    assert torch.equal(standardise(codes), codes), "nothing measured yet, nothing changed"
    flat = standardise.measure(codes)(codes).transpose(0, 1).flatten(1)
    torch.testing.assert_close(flat.mean(1), torch.zeros(5, dtype=dtype), rtol=0, atol=1e-4)
    torch.testing.assert_close(flat.std(1), torch.ones(5, dtype=dtype), rtol=0, atol=1e-4)


def test_a_channel_that_was_silent_while_measured_is_not_blown_up_later():
    codes = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    codes[:, 1] = 7
    standardise = Standardise((3,)).measure(codes)
    assert standardise(torch.full((2, 3), 8.0))[:, 1].tolist() == [1, 1]


# --- shipped inverse networks ---------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path):
    """A folder with three inverse networks of one model and one of another, which differ in their biases."""
    entries = [("small", "fc2", (6,), 7), ("small", "conv1", (4, 32, 32), 1), ("small", "conv2", (5, 16, 16), 2),
               ("small_robust", "conv2", (5, 16, 16), 2)]  # fmt: skip
    for number, (model, layer, shape, depth) in enumerate(entries):
        net, name = inverse_net(shape), inverse_name(model, layer)
        nn.init.constant_(net.pixels.bias, number)
        path = tmp_path / f"{name}.safetensors"
        save_file({key: value.half().contiguous() for key, value in net.state_dict().items()}, path)
        card = {"architecture": "inverse_net", "code_shape": shape, "of": model, "layer": layer, "depth": depth,
                "bytes": path.stat().st_size, "sha256": sha256(path)}  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps(card))
    return tmp_path


def test_inverse_networks_are_listed_from_the_picture_to_the_class(shipped):
    assert inverse_layers("small", shipped) == ["conv1", "conv2", "fc2"]
    assert inverse_layers("small_robust", shipped) == ["conv2"]
    assert inverse_layers("other", shipped) == []


@pytest.mark.parametrize("layer, shape, bias", [("fc2", (6,), 0), ("conv1", (4, 32, 32), 1), ("conv2", (5, 16, 16), 2)])
def test_a_shipped_inverse_network_is_loaded_ready_to_use(shipped, layer, shape, bias):
    net = load_inverse("small", layer, shipped)
    assert net(torch.zeros(2, *shape)).shape == (2, 3, 64, 64)
    assert net.pixels.bias.unique().item() == bias
    assert not net.training and not any(weight.requires_grad for weight in net.parameters())


def test_a_layer_without_an_inverse_network_is_refused(shipped):
    with pytest.raises(InputError, match="no inverse network of small named 'conv3'. Did you mean .*'conv2'.*: conv1"):
        load_inverse("small", "conv3", shipped)


def test_a_model_without_inverse_networks_is_refused(shipped):
    with pytest.raises(InputError, match="no network with inverse networks named 'smal'. Did you mean 'small'"):
        load_inverse("smal", "conv1", shipped)


def test_damaged_weights_are_refused(shipped):
    path = shipped / "small_inverse_conv1.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FileError, match="small_inverse_conv1"):
        load_inverse("small", "conv1", shipped)


def test_what_ships_with_the_course_can_be_loaded():
    for model in ("picturebook", "photographs"):
        for layer in inverse_layers(model):
            net = load_inverse(model, layer)
            shape = SHAPES[layer] if len(SHAPES[layer]) == 3 else (net.fc1.in_features,)
            x = net(torch.zeros(2, *shape))
            assert x.shape == (2, 3, 64, 64) and torch.isfinite(x).all()
