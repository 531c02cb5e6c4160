"""Can the picture be trusted?  Other switches, other weights, other neurons, and the numbers that go with them."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from lecturekit import deconv
from lecturekit.deconv.blindness import mean_cosine, strongest_at_one_place
from lecturekit.deconv.compare import compared, likeness, summary
from lecturekit.deconv.randomise import redrawn, weighted
from lecturekit.errors import InputError, ModelError
from lecturekit.measure import Interval
from lecturekit.networks import imagenet, load, random_twin
from lecturekit.networks.layers import Normalize
from lecturekit.pictures.photographs import bundled, photograph
from lecturekit.pictures.picturebook import PictureBook
from lecturekit.progress import STOP
from tests.deconv.nets import pictures, relative, small
from tests.deconv.test_tape import Wrapped


@pytest.fixture(scope="module")
def drawings():
    return PictureBook("test", 8, cache=False).tensors()


# Switches


def pooled(x, *how):
    model = nn.Sequential(nn.MaxPool2d(*how), nn.ReLU()).eval()
    return deconv.climb(model, x, "0")


def places(seen):
    """Row and column of every switch."""
    step = seen.links[0].step
    return step.switches // step.size[1], step.switches % step.size[1]


@pytest.mark.parametrize("how", [(2,), (3, 2), (3, 2, 1), (2, 2, 0, 2), (3, 3, 1, 1, False, True)])
def test_random_switches_stay_in_their_windows_and_reach_all_of_them(how):
    x = pictures(2, 9, 12)
    seen = pooled(x, *how)
    kernel, stride, padding, dilation = (*how, *(2, 0, 1)[len(how) - 1 :])[:4] if len(how) < 4 else how[:4]
    seeds = [places(deconv.shuffled(seen, seed)) for seed in range(40)]
    for axis, side in ((0, 9), (1, 12)):
        found = torch.stack([both[axis] for both in seeds])  # (40, N, C, h, w)
        for window in range(found.shape[3 + axis]):
            start = window * (stride or kernel) - padding
            allowed = {start + dilation * k for k in range(kernel)} & set(range(side))
            assert set(found.select(3 + axis, window).flatten().tolist()) == allowed


def test_shuffled_switches_follow_their_seed():
    seen = pooled(pictures(2, 9, 12), 2)
    one, same, other = (places(deconv.shuffled(seen, seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_adaptive_windows_have_a_middle_too():
    model = nn.Sequential(nn.AdaptiveMaxPool2d((2, 3)), nn.ReLU()).eval()
    rows, columns = places(deconv.centred(deconv.climb(model, pictures(1, 5, 7), "0")))
    assert rows[0, 0, :, 0].tolist() == [1, 3] and columns[0, 0, 0].tolist() == [1, 3, 5]


def test_centred_switches_are_those_of_the_centre_rules():
    seen = deconv.climb(small(), pictures(2, 28, 36), "relu3")
    selected = deconv.top(seen, 3)
    expected = deconv.project(seen, selected, "guided_centre")
    torch.testing.assert_close(deconv.project(deconv.centred(seen), selected, "guided"), expected)


def test_borrowed_switches_are_those_of_the_other_picture():
    model = small()
    mine, other = (deconv.climb(model, pictures(2, 28, 36, seed=seed), "relu3") for seed in (1, 2))
    selected = deconv.top(mine, 3)
    found = deconv.project(deconv.borrowed(mine, other), selected)
    torch.testing.assert_close(found, deconv.project(other, selected), msg="the rule deconvnet knows nothing else")
    assert relative(found, deconv.project(mine, selected)) > 0.1
    single = deconv.climb(model, pictures(1, 28, 36, seed=2), "relu3")
    torch.testing.assert_close(deconv.project(deconv.borrowed(mine, single), selected)[0], found[0])


def test_the_climb_that_lends_or_borrows_stays_as_it_was():
    seen = deconv.climb(small(), pictures(2, 28, 36), "relu3")
    selected = deconv.top(seen, 3)
    before = deconv.project(seen, selected)
    deconv.switch_ablation(seen, selected, deconv.climb(small(), pictures(2, 28, 36, seed=5), "relu3"))
    assert torch.equal(deconv.project(seen, selected), before)


def test_foreign_switches_draw_another_picture(drawings):
    model = load("picturebook")
    seen, other = (deconv.climb(model, x, "relu5") for x in (drawings[:4], drawings[4:]))
    found = deconv.switch_ablation(seen, deconv.top(seen, 1), other)
    assert list(found.pictures) == ["saved", "centre", "random", "another picture"]
    for name in ("centre", "random", "another picture"):
        assert found.likeness[name].correlation.mean() < 0.5
    assert (found.likeness["saved"].correlation - 1).abs().max() < 1e-6
    assert "another picture" in repr(found.table()) and isinstance(found.table()[1].ssim, Interval)


def test_switches_that_do_not_fit_are_refused():
    model = small()
    seen = deconv.climb(model, pictures(2, 28, 36), "relu3")
    for x, layer in ((pictures(2, 30, 36), "relu3"), (pictures(3, 28, 36), "relu3"), (pictures(2, 28, 36), "conv1")):
        with pytest.raises(InputError, match="the other climb has no switches of 'pool1' that fit.*2 of them or one"):
            deconv.borrowed(seen, deconv.climb(model, x, layer))


def test_switches_of_another_network_are_refused():
    seen, other = pooled(pictures(2, 9, 12), 2), pooled(pictures(2, 9, 12), 3)
    with pytest.raises(InputError, match="the other climb has no switches of '0' that fit"):
        deconv.borrowed(seen, other)


def test_a_network_without_switches_is_refused():
    seen = deconv.climb(small(), pictures(2, 28, 36), "conv1")
    with pytest.raises(ModelError, match="there is no max-pooling on the way to 'conv1'"):
        deconv.centred(seen)
    taped = deconv.climb(Wrapped(small()), pictures(2, 28, 36), "model.relu3")
    with pytest.raises(ModelError, match="switches can be exchanged in a chain of layers only, and a Wrapped is no"):
        deconv.shuffled(taped)


# Weights


def test_a_cascade_randomises_one_layer_more_each_time():
    model, x = small(), pictures(2, 28, 36)
    assert weighted(model, x, "relu3") == ["conv3", "conv2", "conv1"]
    assert weighted(Wrapped(model), x, "model.conv2") == ["model.conv2", "model.conv1"]
    one, two = redrawn(model, ["conv3"]), redrawn(model, ["conv3", "conv2"])
    assert torch.equal(one.conv3.weight, two.conv3.weight) and not torch.equal(one.conv3.weight, model.conv3.weight)
    assert torch.equal(one.conv2.weight, model.conv2.weight) and not torch.equal(two.conv2.weight, model.conv2.weight)
    assert not two.conv2.bias.any() and model.conv2.bias.any()
    assert two.conv2.weight.std().item() == pytest.approx((2 / 54) ** 0.5, rel=0.1), "He et al. 2015"


def test_pictures_of_random_networks(drawings):
    model, x = load("picturebook"), drawings[:3]
    watched = []
    found = deconv.cascading(model, x, "conv5", lambda seen: deconv.top(seen, 1), "gradient", watch=watched.append)
    assert list(found.pictures) == ["as learned", "conv5", "conv4", "conv3", "conv2", "conv1"]
    assert [(step.done, step.total, step.note) for step in watched][-1] == (5, 5, "conv1") and found.complete
    assert found.likeness["conv1"].correlation.abs().max() < 0.3, "a gradient has nothing left to go by"
    blind = deconv.cascading(model, x, "conv5", lambda seen: deconv.top(seen, 1), "guided")
    assert (blind.likeness["conv4"].correlation > 0.8).all(), "guided backpropagation does not see the upper layers"
    assert (blind.likeness["conv1"].correlation < blind.likeness["conv4"].correlation).all(), "but it sees the lowest"


def test_the_last_step_of_a_cascade_is_a_random_network():
    model, x = small(), pictures(2, 28, 36)
    found = deconv.cascading(model, x, "conv3", lambda seen: deconv.one(seen, 2, 3, 4))
    seen = deconv.climb(redrawn(model, ["conv1", "conv2", "conv3"]), x, "conv3")
    selected = deconv.one(deconv.climb(model, x, "conv3"), 2, 3, 4)
    expected = deconv.patches(deconv.project(seen, selected), deconv.field(seen, selected))
    torch.testing.assert_close(found.pictures["conv1"], expected)


def test_independent_layers_are_randomised_one_at_a_time():
    model, x = small(), pictures(2, 28, 36)
    found = deconv.independent(model, x, "conv3", lambda seen: deconv.one(seen, 2, 3, 4))
    seen = deconv.climb(redrawn(model, ["conv2"]), x, "conv3")
    selected = deconv.one(deconv.climb(model, x, "conv3"), 2, 3, 4)
    expected = deconv.patches(deconv.project(seen, selected), deconv.field(seen, selected))
    torch.testing.assert_close(found.pictures["conv2"], expected)


def test_a_cascade_can_be_stopped():
    found = deconv.cascading(
        small(), pictures(2, 28, 36), "conv3", lambda seen: deconv.one(seen, 2, 3, 4), watch=lambda step: STOP
    )
    assert list(found.pictures) == ["as learned", "conv3"] and not found.complete


def test_a_way_without_weights_is_refused():
    with pytest.raises(ModelError, match="there are no weights to randomise on the way to 'normalize'"):
        weighted(load("picturebook"), pictures(2, 64, 64), "normalize")
    with pytest.raises(InputError, match="no layer with weights named 'relu1'.*Available: conv1, conv2, conv3, fc4"):
        redrawn(small(), ["relu1"])
    with pytest.raises(InputError, match="no layer named 'conv9'"):
        weighted(small(), pictures(2, 28, 36), "conv9")


# Neurons


def photographs(count, size):
    return torch.cat([photograph(name, size=size) for name, *_ in bundled()[:count]])


def convolutions(name):
    """The convolutions of a torchvision network with random weights; what lies behind them is not even drawn."""
    with torch.device("meta"):
        features = imagenet._build(name).features
    for layer in features:
        layer.inplace = False
    entrance = Normalize(imagenet.IMAGENET_MEAN, imagenet.IMAGENET_STD)
    layers = OrderedDict(normalize=entrance, features=features.to_empty(device="cpu"))
    return random_twin(nn.Sequential(layers)).eval()


@pytest.mark.parametrize("name, layer, size", [("alexnet", "features.10", 112), ("vgg16", "features.28", 96)])
def test_deconvnet_and_guided_backpropagation_are_nearly_blind_for_the_neuron(name, layer, size):
    """papers.md 2.2 re-measured: random weights, four photographs, four filters of the last convolution.

    The bounds hold for the whole 95 % intervals over the photographs, not for their middles alone.
    """
    rows = deconv.neuron_blindness(convolutions(name), photographs(4, size), layer)
    between = {row.rule: row.between_filters for row in rows}
    assert between["gradient"].high < 0.1 and between["deconvnet"].low > 0.5
    assert between["guided"].low > between["deconvnet"].high
    assert all(interval.n == 4 for interval in between.values())


def test_the_filters_are_asked_at_one_place():
    answers = torch.zeros(2, 5, 3, 4)
    answers[0, :, 1, 2] = torch.tensor([3.0, 1, 4, 0, 2])
    answers[1, :, 2, 3] = torch.tensor([0.0, 5, 1, 9, 2])
    answers[1, 0, 0, 0] = 10
    found = strongest_at_one_place(answers, 3)
    assert found.shape == (3, 2, 5, 3, 4)
    assert [found[k, 0].nonzero().tolist() for k in range(3)] == [[[2, 1, 2]], [[0, 1, 2]], [[4, 1, 2]]]
    assert [found[k, 1].nonzero().tolist() for k in range(3)] == [[[3, 2, 3]], [[1, 2, 3]], [[4, 2, 3]]]
    assert found.sum() == 6


def test_the_mean_cosine_on_paper():
    maps = torch.tensor([[[1.0, 0], [0, 5], [2, 0]], [[1, 1], [2, 2], [3, 3]]])
    assert mean_cosine(maps).tolist() == pytest.approx([1 / 3, 1])


def test_blindness_needs_maps_and_two_filters():
    for layer, filters in (("fc4", 2), ("conv1", 1), ("conv1", 7)):
        with pytest.raises(InputError, match="neuron_blindness compares filters at one place of a map"):
            deconv.neuron_blindness(small(), pictures(2, 28, 36), layer, filters=filters)


# Numbers


def test_pictures_smaller_than_the_window_have_no_ssim():
    a, b = pictures(2, 6, 7) - 0.5, pictures(2, 6, 7, seed=2) - 0.5
    assert likeness(a, b).ssim.isnan().all()
    found = compared({"one": a, "other": b})
    assert found.table()[1].ssim is None and found.table()[0].correlation.estimate == pytest.approx(1)
    with pytest.raises(InputError, match="picture has shape"):
        likeness(a, b[:1])


def test_the_summary_of_one_number_is_that_number():
    assert summary(torch.tensor([0.12345])) == 0.123
    assert summary(torch.tensor([0.25, torch.nan])) == 0.25
