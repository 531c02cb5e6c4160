"""The network of the course has the papers' layers, and folding leaves its answers alone."""

import copy

import pytest
import torch
from torch import nn

from lecturekit.errors import InputError
from lecturekit.networks import lecture_net
from lecturekit.networks.layers import Normalize
from lecturekit.networks.lecturenet import folded

CLASSES = ("cat", "car", "tree")
SHAPES = {  # of one picture, behind each layer
    "normalize": (3, 64, 64),
    "conv1": (32, 64, 64), "relu1": (32, 64, 64), "pool1": (32, 32, 32),
    "conv2": (64, 32, 32), "relu2": (64, 32, 32), "pool2": (64, 16, 16),
    "conv3": (96, 16, 16), "relu3": (96, 16, 16),
    "conv4": (96, 16, 16), "relu4": (96, 16, 16),
    "conv5": (64, 16, 16), "relu5": (64, 16, 16), "pool5": (64, 8, 8),
    "flatten": (4096,),
    "fc6": (192,), "relu6": (192,),
    "fc7": (128,), "relu7": (128,),
    "fc8": (3,),
}  # fmt: skip


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


def test_every_layer_has_the_papers_name_and_the_documented_shape():
    x, shapes = pictures(), {}
    for name, layer in lecture_net(CLASSES).named_children():
        x = layer(x)
        shapes[name] = tuple(x.shape[1:])
    assert shapes == SHAPES
    assert list(shapes) == list(SHAPES), "in this order"


def test_two_convolutions_look_at_5x5_pixels_and_three_at_3x3():
    model = lecture_net(CLASSES)
    assert [getattr(model, f"conv{i}").kernel_size for i in range(1, 6)] == [(5, 5)] * 2 + [(3, 3)] * 3


def test_the_names_of_the_classes_are_written_on_it():
    assert lecture_net(list(CLASSES)).classes == CLASSES
    assert folded(lecture_net(CLASSES, batch_norm=True)).classes == CLASSES


def test_no_relu_is_in_place_and_none_serves_twice():
    relus = [layer for layer in lecture_net(CLASSES).modules() if isinstance(layer, nn.ReLU)]
    assert len(relus) == 7
    assert not any(relu.inplace for relu in relus), "a hook on conv1 would see relu1's values"


def test_dropout_stands_before_fc6_and_fc7_and_is_silent_in_evaluation():
    model = lecture_net(CLASSES, dropout=0.5)
    names = list(dict(model.named_children()))
    for layer in ("fc6", "fc7"):
        assert names[names.index(layer) - 1] == f"dropout{layer[-1]}"
    x = pictures()
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_folding_leaves_the_answers_alone(dtype, tolerance):
    model = trained(lecture_net(CLASSES, batch_norm=True, dropout=0.4)).to(dtype)
    x = pictures(3, dtype)
    torch.testing.assert_close(folded(model)(x), model(x), atol=tolerance, rtol=0)


def test_folding_is_one_multiplication_and_one_addition_per_channel():
    model = trained(lecture_net(CLASSES, batch_norm=True))
    conv, bn, both = model.conv3, model.bn3, folded(model).conv3
    gain = bn.weight / (bn.running_var + bn.eps).sqrt()
    torch.testing.assert_close(both.weight, conv.weight * gain[:, None, None, None])
    torch.testing.assert_close(both.bias, (conv.bias - bn.running_mean) * gain + bn.bias)


def test_a_folded_network_is_made_of_five_kinds_of_layers_only():
    model = folded(trained(lecture_net(CLASSES, batch_norm=True, dropout=0.4)))
    kinds = {type(layer) for layer in model}
    assert kinds == {Normalize, nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Linear, nn.Flatten}
    assert list(dict(model.named_children())) == list(SHAPES)
    assert not any(layer.training for layer in model.modules())
    lecture_net(CLASSES).load_state_dict(model.state_dict())  # what is shipped fits what is built


def test_folding_leaves_the_network_itself_as_it_was():
    model = trained(lecture_net(CLASSES, batch_norm=True, dropout=0.4)).train()
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        for weight in folded(model).parameters():
            weight.zero_()
    assert all(layer.training for layer in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} was changed through the folded network"


# Normalize


def test_normalize_maps_grey_to_zero_and_white_to_two():
    x = torch.stack([torch.full((3, 2, 5), 0.5), torch.ones(3, 2, 5)])
    assert Normalize()(x).flatten(1).unique(dim=1).tolist() == [[0], [2]]


def test_normalize_has_constants_for_each_colour():
    layer = Normalize(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    assert layer(torch.ones(2, 3, 1, 1, dtype=torch.float64)).flatten(1).tolist() == [[1, 1, 0]] * 2
    assert "mean=[0.0, 0.5, 1.0], std=[1.0, 0.5, 0.25]" in repr(layer)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 3, 64, 64, dtype=torch.uint8), r"floats in \[0, 1\], got torch.uint8; pass x.float\(\) / 255"),
        (torch.zeros(2, 1, 64, 64), r"must be \(N, 3, H, W\), got \(2, 1, 64, 64\)"),
        (torch.zeros(3, 64, 64), r"got \(3, 64, 64\); x\[None\] is a batch of one"),
    ],
)
def test_what_broadcasting_would_hide_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        lecture_net(CLASSES)(x)
