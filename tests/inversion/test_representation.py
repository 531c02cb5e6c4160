"""What is inverted: the right part of the right layer, nothing behind it run, and nothing that does not exist."""

import collections

import numpy as np
import pytest
import torch
from torch import nn

from lecturekit import capture
from lecturekit.errors import InputError, ModelError
from lecturekit.inversion import representation
from lecturekit.inversion.representation import only_top, without_top

LOGITS = torch.tensor([[0.1, 0.6, 0.05, 0.25], [0.4, 0.1, 0.3, 0.2]]).log()


def chain():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = collections.OrderedDict(
            conv1=nn.Conv2d(3, 6, 5, padding=2), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 4, 3, padding=1), relu2=nn.ReLU(), flatten=nn.Flatten(), fc3=nn.Linear(4 * 6 * 8, 5),
        )  # fmt: skip
        return nn.Sequential(layers).eval()


def pictures(dtype=torch.float32):
    return torch.rand(2, 3, 12, 16, generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "fc3"])
def test_a_whole_layer_is_what_capture_sees(layer, dtype):
    model, x = chain().to(dtype), pictures(dtype)
    torch.testing.assert_close(representation(model, layer)(x), capture.activations(model, x, layer)[layer])


def test_nothing_behind_the_layer_is_run():
    model = chain()
    model.conv2.forward = None  # would fail if called
    assert representation(model, "pool1")(pictures()).shape == (2, 6, 6, 8)


@pytest.mark.parametrize(
    "channels", [[4, 1], (4, 1), range(4, 0, -3), torch.tensor([4, 1]), np.array([4, 1]), [np.int64(4), np.int64(1)]]
)
def test_channels_are_kept_in_the_order_asked_for(channels):
    model, x = chain(), pictures()
    whole = model.conv1(x)
    torch.testing.assert_close(representation(model, "conv1", channels=channels)(x), whole[:, [4, 1]])


def test_one_channel_may_be_a_plain_number():
    model, x = chain(), pictures()
    for one in (3, np.int64(3), torch.tensor(3)):
        torch.testing.assert_close(representation(model, "conv1", channels=one)(x), model.conv1(x)[:, [3]])


@pytest.mark.parametrize("wrong", [[-1], [6], [True], [1.0], ["1"], [0, 99], 2.5, "01", None.__class__, []])
def test_channels_that_do_not_exist_are_refused(wrong):
    with pytest.raises(InputError, match=r"channels must be whole numbers from 0 to 5, at least one; got \["):
        representation(chain(), "conv1", channels=wrong)(pictures())


@pytest.mark.parametrize("patch, top, left", [(1, 2, 3), (2, 2, 3), (3, 1, 2), (5, 0, 1), (6, 0, 1)])
def test_a_patch_is_the_middle_of_the_map(patch, top, left):
    model, x = chain(), pictures()
    whole = model[:4](x)  # 6 x 8
    expected = whole[..., top : top + patch, left : left + patch]
    torch.testing.assert_close(representation(model, "conv2", patch=patch)(x), expected)


def test_a_patch_of_some_channels():
    model, x = chain(), pictures()
    part = representation(model, "conv2", channels=[2], patch=4)(x)
    torch.testing.assert_close(part, model[:4](x)[:, [2], 1:5, 2:6])


@pytest.mark.parametrize("layer, patch", [("conv2", 7), ("conv2", 0), ("conv2", -1), ("conv2", 2.5), ("fc3", 1)])
def test_a_patch_that_does_not_fit_is_refused(layer, patch):
    with pytest.raises(InputError, match=r"a patch of -?[\d.]+ does not fit a code of shape \("):
        representation(chain(), layer, patch=patch)(pictures())


def test_probabilities_are_the_softmax_of_the_logits():
    model, x = chain(), pictures()
    probabilities = representation(model, "probabilities")(x)
    torch.testing.assert_close(probabilities, model(x).exp() / model(x).exp().sum(1, keepdim=True))
    two = representation(model, "probabilities", channels=[4, 0])(x)
    torch.testing.assert_close(two, probabilities[:, [4, 0]])


@pytest.mark.parametrize("how", [{}, {"channels": [1]}, {"patch": 3}])
def test_gradients_flow_to_the_picture(how):
    x = pictures().requires_grad_()
    (slope,) = torch.autograd.grad(representation(chain(), "conv2", **how)(x).square().sum(), x)
    assert slope.abs().sum() > 0


def test_an_unknown_layer_is_refused_with_its_neighbours():
    with pytest.raises(InputError, match=r"no layer named 'conv9'\. Did you mean 'conv\d'.*Available: conv1, relu1"):
        representation(chain(), "conv9")


@pytest.mark.parametrize("layer", ["conv1", "probabilities"])
def test_a_network_in_training_mode_is_refused(layer):
    model = chain()
    model.relu2.train()
    with pytest.raises(ModelError, match=r"representation needs model.eval\(\)"):
        representation(model, layer)


# --- dark knowledge -------------------------------------------------------------------------------------------------


def test_only_top_keeps_the_largest():
    expected = torch.tensor([[0, 0.6, 0, 0.25], [0.4, 0, 0.3, 0]])
    torch.testing.assert_close(only_top(LOGITS, 2), expected)
    torch.testing.assert_close(only_top(LOGITS, 2, value=0.5), expected.where(expected > 0, torch.tensor(0.5)))


def test_without_top_drops_the_largest():
    expected = torch.tensor([[0.1, 0, 0.05, 0], [0, 0.1, 0, 0.2]])
    torch.testing.assert_close(without_top(LOGITS, 2), expected)
    torch.testing.assert_close(without_top(LOGITS, 2, value=0.5), expected.where(expected > 0, torch.tensor(0.5)))


@pytest.mark.parametrize("k", range(5))
def test_what_is_kept_and_what_is_dropped_are_all(k):
    torch.testing.assert_close(only_top(LOGITS, k) + without_top(LOGITS, k), LOGITS.softmax(1))


@pytest.mark.parametrize("function", [only_top, without_top])
def test_gradients_flow_through_the_probabilities(function):
    assert torch.autograd.gradcheck(lambda logits: function(logits, 2), LOGITS.double().requires_grad_())


@pytest.mark.parametrize("function", [only_top, without_top])
@pytest.mark.parametrize("k", [5, -1, 1.5, True])
def test_more_classes_than_there_are_cannot_be_kept_or_dropped(function, k):
    with pytest.raises(InputError, match=f"k must be a whole number from 0 to 4, the number of classes, got {k}"):
        function(LOGITS, k)
