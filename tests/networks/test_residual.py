"""The second architecture: its blocks compute the paper's formula, and folding leaves its answers alone."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, relu

from lecturekit.networks import residual_net
from lecturekit.networks.residual import Block, blocks, folded_residual

CLASSES = ("cat", "car", "tree")


def trained(model):
    """The network as if it had been trained: no batch norm stands at its starting values any more."""
    torch.manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.bias, -1, 1)
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.1, 3)
    return model.eval()


def pictures(count=2, dtype=torch.float32):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_the_layers_have_these_names_and_shapes():
    x, shapes = pictures(), {}
    for name, layer in residual_net(CLASSES).named_children():
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    assert shapes == {
        "normalize": (3, 64, 64),
        "conv1": (32, 32, 32),
        "relu1": (32, 32, 32),
        "block2": (32, 32, 32),
        "block3": (64, 16, 16),
        "block4": (128, 8, 8),
        "average": (128, 1, 1),
        "flatten": (128,),
        "fc": (3,),
    }


@pytest.mark.parametrize(("channels", "width", "stride"), [(4, 4, 1), (4, 6, 2), (4, 4, 2)])
def test_a_block_adds_its_input_to_its_output(channels, width, stride):
    block, x = Block(channels, width, stride, batch_norm=False), torch.rand(2, channels, 8, 6)
    inner = relu(conv2d(x, block.conv1.weight, block.conv1.bias, stride, padding=1))
    outer = conv2d(inner, block.conv2.weight, block.conv2.bias, padding=1)
    straight = x if stride == 1 else conv2d(x, block.shortcut.weight, block.shortcut.bias, stride)
    torch.testing.assert_close(block(x), relu(outer + straight))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_folding_leaves_the_answers_alone(dtype, tolerance):
    model = trained(residual_net(CLASSES, batch_norm=True)).to(dtype)
    x = pictures(3, dtype)
    torch.testing.assert_close(folded_residual(model)(x), model(x), atol=tolerance, rtol=0)


def test_a_folded_network_has_no_batch_norm_and_fits_what_is_built():
    model = folded_residual(trained(residual_net(CLASSES, batch_norm=True)))
    assert not any(isinstance(layer, nn.BatchNorm2d) or layer.training for layer in model.modules())
    assert model.classes == CLASSES
    plain = residual_net(CLASSES)
    assert [name for name, _ in model.named_modules()] == [name for name, _ in plain.named_modules()]
    plain.load_state_dict(model.state_dict())


def test_folding_leaves_the_network_itself_as_it_was():
    model = trained(residual_net(CLASSES, batch_norm=True)).train()
    with torch.no_grad():
        for weight in folded_residual(model).parameters():
            weight.zero_()
    assert all(layer.training for layer in model.modules())
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()) == 7
    assert all(weight.abs().sum() > 0 for weight in model.parameters())


def test_folding_twice_changes_nothing():
    model = folded_residual(trained(residual_net(CLASSES, batch_norm=True)))
    assert torch.equal(folded_residual(model)(pictures()), model(pictures()))


def test_there_are_three_blocks_with_two_relus_each():
    found = blocks(residual_net(CLASSES))
    assert len(found) == 3
    assert all(block.relu1 is not block.relu2 and not block.relu1.inplace for block in found)
