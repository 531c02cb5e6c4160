"""The explicit way down: autograd's vector-Jacobian product on every kind of layer, and nothing but zeros left out."""

import itertools

import pytest
import torch
from torch import nn

from lecturekit import deconv
from lecturekit.deconv.chain import Chain
from lecturekit.errors import ModelError
from lecturekit.networks import imagenet, load
from lecturekit.networks.layers import Normalize
from tests.deconv.nets import autograd, chain, pictures, relative, small

LAYERS = {
    "conv": lambda: nn.Conv2d(3, 12, 3),
    "conv with padding": lambda: nn.Conv2d(3, 12, (3, 5), padding=(1, 2)),
    "conv with stride": lambda: nn.Conv2d(3, 12, 3, stride=2, padding=1),
    "conv with a stride beyond its kernel": lambda: nn.Conv2d(3, 12, 2, stride=3),
    "dilated conv": lambda: nn.Conv2d(3, 12, 3, dilation=2, padding=2),
    "grouped conv": lambda: nn.Conv2d(3, 12, 3, groups=3, padding=1),
    "conv, same": lambda: nn.Conv2d(3, 12, 3, padding="same"),
    "conv, same, even kernel": lambda: nn.Conv2d(3, 12, 4, padding="same"),
    "conv, valid": lambda: nn.Conv2d(3, 12, 3, padding="valid"),
    "max pool": lambda: nn.MaxPool2d(2),
    "overlapping max pool": lambda: nn.MaxPool2d(3, 2),
    "max pool with padding": lambda: nn.MaxPool2d(3, 2, padding=1),
    "dilated max pool": lambda: nn.MaxPool2d(2, 2, dilation=2),
    "max pool, ceil": lambda: nn.MaxPool2d((3, 4), (2, 4), ceil_mode=True),
    "adaptive max pool": lambda: nn.AdaptiveMaxPool2d((5, 4)),
    "avg pool": lambda: nn.AvgPool2d(2),
    "avg pool with padding": lambda: nn.AvgPool2d(3, 2, padding=1),
    "avg pool, padding not counted": lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    "avg pool, ceil": lambda: nn.AvgPool2d((3, 4), (2, 4), ceil_mode=True),
    "avg pool with a divisor": lambda: nn.AvgPool2d(2, divisor_override=3),
    "adaptive avg pool": lambda: nn.AdaptiveAvgPool2d((5, 4)),
    "global avg pool": lambda: nn.AdaptiveAvgPool2d(1),
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "relu6": nn.ReLU6,
    "normalize": Normalize,
    "batch norm": lambda: nn.BatchNorm2d(3),
    "batch norm without weights": lambda: nn.BatchNorm2d(3, affine=False),
    "dropout": nn.Dropout,
    "identity": nn.Identity,
}
SAME = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")


def selections(seen):
    """Single places at corners, borders and in the middle, a whole map, and everything."""
    rows, columns = (sorted({0, side // 2, side - 1}) for side in seen.answers.shape[-2:])
    for row, column in itertools.product(rows, columns):
        yield deconv.one(seen, seen.answers.shape[1] - 1, row, column)
    whole = torch.zeros_like(seen.answers)
    whole[:, 0] = seen.answers[:, 0]
    yield whole
    yield seen.answers


@SAME
@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_follows_autograd_wherever_one_asks(kind):
    """Between two other layers, from each corner of the map: signs, windows and channels all take part."""
    model = chain(lambda: nn.Conv2d(3, 3, 3, padding=1), LAYERS[kind], nn.Identity)
    if isinstance(model[1], nn.BatchNorm2d):
        model[1].running_var.uniform_(0.5, 2, generator=torch.Generator().manual_seed(0))
    x = pictures(dtype=torch.float64)
    seen = deconv.climb(model, x, "layer2")
    assert isinstance(seen, Chain)
    torch.testing.assert_close(seen.answers, model(x))
    for selected in selections(seen):
        torch.testing.assert_close(deconv.project(seen, selected, "gradient"), autograd(model, "layer2", x, selected))


@pytest.mark.parametrize("rule", deconv.RULES)
@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "relu2", "pool2", "conv3", "relu3"])
def test_what_is_not_computed_is_zero(layer, rule):
    """The cropped descent against the whole one, at every place of the map."""
    seen = deconv.climb(small(torch.float64), pictures(2, 28, 36, torch.float64), layer)
    for row, column in itertools.product(range(0, seen.answers.shape[2], 2), range(0, seen.answers.shape[3], 3)):
        selected = torch.zeros_like(seen.answers)
        selected[0, 1, row, column], selected[1, 4, -1 - row, -1 - column] = 1, -2  # other places, other filters
        whole = deconv.stages(seen, selected, rule)[-1].signal
        torch.testing.assert_close(deconv.project(seen, selected, rule), whole, atol=1e-12, rtol=0)


def test_nine_selections_of_one_picture_are_nine_pictures():
    model, x = small(), pictures(1, 28, 36)
    seen = deconv.climb(model, x, "relu3")
    nine = deconv.apart(deconv.top(seen, 9))
    for rule in ("deconvnet", "gradient"):
        expected = torch.cat([deconv.project(seen, each, rule) for each in nine.split(1)])
        torch.testing.assert_close(deconv.project(seen, nine, rule), expected, atol=1e-6, rtol=1e-5)
    expected = torch.cat([autograd(model, "relu3", x, each) for each in nine.split(1)])
    torch.testing.assert_close(deconv.project(seen, nine, "gradient"), expected, atol=1e-6, rtol=1e-5)


def test_linear_layers_and_vectors_follow_autograd():
    model, x = small(torch.float64), pictures(2, 28, 36, torch.float64)
    seen = deconv.climb(model, x, "fc4")
    selected = deconv.one(seen, 2)
    torch.testing.assert_close(deconv.project(seen, selected, "gradient"), autograd(model, "fc4", x, selected))
    units = chain(nn.Flatten, lambda: nn.Linear(3 * 14 * 18, 6), lambda: nn.BatchNorm1d(6), nn.ReLU)
    x = pictures(dtype=torch.float64)
    seen = deconv.climb(units, x, "layer3")
    torch.testing.assert_close(
        deconv.project(seen, seen.answers, "gradient"), autograd(units, "layer3", x, seen.answers)
    )


NETWORKS = {"alexnet": ("features.10", "classifier.6"), "picturebook": ("relu5", "fc8"), "vgg11": ("8", "20")}


def network(name):
    if name == "picturebook":
        return load(name), pictures(2, 64, 64)
    if name == "alexnet":
        return imagenet.untrained(name), pictures(2, 80, 96)
    import torchvision

    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = torchvision.models.vgg11(weights=None, init_weights=False).features
    return nn.Sequential(*features, nn.AdaptiveAvgPool2d(1)).eval(), pictures(2, 64, 96)


@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks_follow_autograd(name):
    model, x = network(name)
    for layer in NETWORKS[name]:
        seen = deconv.climb(model, x, layer)
        selected = deconv.top(seen, 5)
        assert relative(deconv.project(seen, selected, "gradient"), autograd(model, layer, x, selected)) < 1e-5


def test_a_deconvnet_on_paper():
    """conv (one 3x3 kernel) - relu - pool - conv (1x1, weight -2): the strongest unit on its way down."""
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(1, 1, 1)).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[0.0, 1, 0], [1, 1, 0], [0, 0, -1]]))
        model[3].weight.fill_(-2)
        model[0].bias.fill_(-0.5)
        model[3].bias.fill_(7)
    x = torch.zeros(2, 1, 4, 4)
    x[0, 0, 1, 2] = 1  # seen by itself, from its right and from below: 1 - 0.5, first of them at row 1, column 2
    seen = deconv.climb(model, x, "3")
    assert seen.answers[0].tolist() == [[[7, 6], [7, 6]]]
    selected = torch.zeros_like(seen.answers)
    selected[0, 0, 0, 1] = 3
    down = deconv.stages(seen, selected)
    assert [stage.action for stage in down] == ["select", "filter", "unpool", "rectify", "filter"]
    assert down[1].signal[0, 0].tolist() == [[0, -6], [0, 0]], "no bias"
    assert down[2].signal[0, 0, 1].tolist() == [0, 0, -6, 0], "at the switch"
    assert not down[3].signal.any(), "rectified"
    assert not deconv.project(seen, selected).any()
    kernel = [[0, 0, 0, 0], [0, 6, 6, 0]]
    found = deconv.project(seen, -selected)
    assert found[0, 0].tolist() == [[0, 0, 6, 0], kernel[1], [0, 0, 0, -6], [0, 0, 0, 0]], "pixels are not rectified"
    assert not found[1].any()


def test_biases_play_no_part():
    model, x = small(), pictures(2, 28, 36)
    seen = deconv.climb(model, x, "conv3")
    selected = deconv.one(seen, 4, 2, 3)
    before = deconv.project(seen, selected)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            layer.bias.data.add_(100)  # the climb stays: only the way down could read it
    torch.testing.assert_close(deconv.project(seen, selected), before, atol=0, rtol=0)


def test_every_stage_has_the_shape_below_its_layer():
    seen = deconv.climb(small(), pictures(2, 28, 36), "fc4")
    stages = deconv.stages(seen, deconv.one(seen, 1))
    below = [(2, 4)] + [(2, *link.shape) for link in reversed(seen.links)]
    assert [tuple(stage.signal.shape) for stage in stages] == below
    assert [stage.layer for stage in stages][:4] == ["fc4", "fc4", "flatten", "relu3"]
    assert all((stage.signal >= 0).all() for stage in stages if stage.action == "rectify")


def test_the_middle_of_windows_under_the_centre_rules():
    model = chain(lambda: nn.MaxPool2d(3), dtype=torch.float32)
    seen = deconv.climb(model, pictures(1, 6, 9), "layer0")
    assert deconv.project(seen, torch.ones_like(seen.answers), "gradient").sum() == 18
    model = nn.Sequential(nn.MaxPool2d(3, 3, padding=1), nn.ReLU()).eval()
    seen = deconv.climb(model, pictures(1, 6, 9), "0")  # windows: rows -1..1, 2..4, 5..; columns -1..1, 2..4, 5..7, 8..
    found = deconv.project(seen, torch.ones_like(seen.answers), "deconvnet_centre")[0, 0]
    rows, columns = found.nonzero(as_tuple=True)
    assert sorted({*rows.tolist()}) == [0, 3] and sorted({*columns.tolist()}) == [0, 3, 6]


def test_a_layer_inside_nested_sequentials_is_reached():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Sequential(nn.MaxPool2d(2))).eval()
    x = pictures()
    for layer, name in (("0.1", "0.1"), ("0", "0"), ("1.0", "1.0"), ("1", "1")):
        seen = deconv.climb(model, x, layer)
        assert isinstance(seen, Chain) and seen.layer == name
        selected = deconv.top(seen, 2)
        torch.testing.assert_close(deconv.project(seen, selected, "gradient"), autograd(model, layer, x, selected))


@pytest.mark.parametrize(
    "layers, why",
    [
        ([nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")], r"'0' pads by 'reflect'"),
        ([nn.LeakyReLU()], r"'0' is a LeakyReLU, which has no step of its own"),
        ([nn.BatchNorm2d(3, track_running_stats=False)], r"'0' normalises by the batch at hand"),
        ([nn.Hardtanh()], r"'0' is a Hardtanh"),
    ],
)
def test_what_cannot_be_turned_round_is_left_to_autograd_and_the_reason_is_told(layers, why):
    model, x = nn.Sequential(*layers, nn.Conv2d(layers[0](pictures()).shape[1], 2, 1), nn.ReLU()).eval(), pictures()
    seen = deconv.climb(model, x, "1")
    selected = seen.answers
    torch.testing.assert_close(deconv.project(seen, selected, "gradient"), autograd(model, "1", x, selected))
    with pytest.raises(ModelError, match=f"step by step goes for a chain of layers only, and {why}"):
        deconv.stages(seen, selected, "gradient")


def test_a_hook_that_changes_an_answer_is_respected():
    model, x = small(), pictures(2, 28, 36)
    handle = model.conv2.register_forward_hook(lambda _m, _i, output: 2 * output)
    seen = deconv.climb(model, x, "conv2")
    torch.testing.assert_close(seen.answers, model[:4](x))
    handle.remove()
    assert "has a hook" in seen.why
