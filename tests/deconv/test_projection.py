"""Climbing and projecting: what is refused, what is left untouched, and how the pictures are shown."""

import pytest
import torch
from torch import nn

from lecturekit import capture, deconv
from lecturekit.errors import InputError, ModelError
from lecturekit.networks import load
from tests.deconv.nets import pictures, small


def test_the_network_and_the_pictures_stay_as_they_were():
    model, x = small(), pictures(2, 28, 36)
    before, pixels = {name: value.clone() for name, value in model.state_dict().items()}, x.clone()
    flags = [weight.requires_grad for weight in model.parameters()]
    state = torch.random.get_rng_state()
    seen = deconv.climb(model, x, "relu3")
    selected = deconv.top(seen, 4)
    kept = selected.clone()
    for rule in deconv.RULES:
        assert not deconv.project(seen, selected, rule).requires_grad
    assert torch.equal(selected, kept) and torch.equal(x, pixels) and torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [weight.requires_grad for weight in model.parameters()] == flags
    assert all(weight.grad is None for weight in model.parameters()) and not model.training


def test_one_climb_serves_many_projections():
    model, x = small(), pictures(2, 28, 36)
    seen = deconv.climb(model, x, "relu3")
    model.conv1.forward = None  # would fail if the network ran again
    first = deconv.project(seen, deconv.strongest(seen, 2))
    deconv.project(seen, deconv.strongest(seen, 3))
    assert torch.equal(deconv.project(seen, deconv.strongest(seen, 2)), first)


def test_a_selection_may_also_be_a_whole_numbers_tensor():
    seen = deconv.climb(small(), pictures(2, 28, 36), "conv2")
    selected = torch.zeros(seen.answers.shape, dtype=torch.long)
    selected[:, 1, 3, 4] = 1
    torch.testing.assert_close(deconv.project(seen, selected), deconv.project(seen, selected.float()))


def test_nothing_selected_gives_nothing():
    for layer in ("conv1", "relu3", "fc4"):
        seen = deconv.climb(small(), pictures(2, 28, 36), layer)
        assert not deconv.project(seen, torch.zeros_like(seen.answers)).any()


def test_half_and_double_precision_stay_what_they_are():
    for dtype in (torch.float64, torch.bfloat16):
        seen = deconv.climb(small(dtype), pictures(2, 28, 36, dtype), "relu2")
        assert deconv.project(seen, deconv.top(seen, 2)).dtype == dtype


def test_it_runs_where_the_pictures_are(device):
    seen = deconv.climb(small().to(device), pictures(2, 28, 36).to(device), "relu3")
    for rule in deconv.RULES:
        picture = deconv.project(seen, deconv.top(seen, 2), rule)
        assert picture.device.type == device.type
    assert deconv.visible(picture).device.type == device.type


def test_the_field_is_what_the_table_of_layers_says():
    model, x = load("picturebook"), pictures(2, 64, 64)
    table = {row.name: row.receptive_field for row in capture.layers(model)}
    for layer in ("conv1", "pool1", "conv2", "conv3", "conv4"):
        seen = deconv.climb(model, x, layer)
        middle = seen.answers.shape[-1] // 2
        window = deconv.field(seen, deconv.one(seen, 0, middle, middle))
        assert (window.height, window.width) == (table[layer], table[layer])


def test_the_picture_is_zero_outside_of_its_field_and_patches_cut_it_out():
    x = pictures(2, 28, 36)
    seen = deconv.climb(small(), x, "conv2")
    selected = deconv.strongest(seen, 3)
    window, picture = deconv.field(seen, selected), deconv.project(seen, selected, "linear")
    cut = deconv.patches(picture, window)
    assert cut.shape == (2, 3, window.height, window.width)
    assert cut.any()
    torch.testing.assert_close(cut.abs().sum(), picture.abs().sum())
    top, left = window.tops[1], window.lefts[1]
    assert torch.equal(deconv.patches(x, window)[1], x[1, :, top : top + window.height, left : left + window.width])


def test_a_field_at_the_border_keeps_its_size():
    seen = deconv.climb(small(), pictures(1, 28, 36), "conv2")
    places = [(0, 0), (0, 17), (13, 0), (13, 17), (6, 9)]
    windows = [deconv.field(seen, deconv.one(seen, 0, *place)) for place in places]
    assert {window[2:] for window in windows} == {(8, 8)}
    assert [(w.tops[0], w.lefts[0]) for w in windows] == [(0, 0), (0, 28), (20, 0), (20, 28), (9, 15)]


def test_signed_pictures_are_made_visible():
    picture = torch.zeros(3, 3, 4, 5)
    picture[0, 0, 0, 0], picture[0, 1, 2, 2], picture[1, 2, 3, 3] = -4, 2, 0.001
    shown = deconv.visible(picture)
    assert shown[0, 0, 0, 0] == 0 and shown[0, 1, 2, 2] == 0.75 and shown[1, 2, 3, 3] == 1
    assert (shown[2] == 0.5).all() and (shown == 0.5).sum() == 3 * 60 - 3


def test_a_few_large_values_do_not_make_the_rest_grey():
    picture = torch.ones(1, 3, 20, 20)
    picture[0, 0, :2, :2] = 1000
    assert deconv.visible(picture, clipped=0).median() < 0.51
    assert deconv.visible(picture).median() == 1
    framed = torch.nn.functional.pad(picture, (30, 30, 30, 30))
    assert torch.equal(deconv.visible(framed)[..., 30:-30, 30:-30], deconv.visible(picture)), "zeros do not count"


@pytest.mark.parametrize("clipped", [-0.1, 1, 2])
def test_a_share_that_is_none_is_refused(clipped):
    with pytest.raises(InputError, match=f"clipped must be a share from 0 to below 1, got {clipped}"):
        deconv.visible(torch.zeros(1, 3, 4, 4), clipped)


# What is refused


def test_an_unknown_layer_is_refused_with_its_neighbours():
    with pytest.raises(InputError, match=r"no layer named 'conv9'\. Did you mean 'conv\d'"):
        deconv.climb(small(), pictures(2, 28, 36), "conv9")


def test_a_network_in_training_mode_is_refused():
    model = small()
    model.pool1.train()
    with pytest.raises(ModelError, match=r"climb needs model.eval\(\): in training mode"):
        deconv.climb(model, pictures(2, 28, 36), "conv2")


def test_what_is_no_network_is_refused():
    with pytest.raises(InputError, match="model must be a torch.nn.Module, got function"):
        deconv.climb(small, pictures(), "conv1")


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_network_is_refused():
    scripted = torch.jit.trace(small(), pictures(1, 28, 36)).eval()
    with pytest.raises(ModelError, match="a scripted network runs as one piece"):
        deconv.climb(scripted, pictures(2, 28, 36), "conv1")


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: nn.Sequential(nn.Sequential(model)).eval()])
def test_a_picture_that_is_too_small_is_refused_with_the_smallest_one(wrap):
    model = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3)).eval()
    with pytest.raises(
        InputError, match="cannot take pictures of 3×4×9.*smallest square picture that it takes is 3×10×10"
    ):
        deconv.climb(wrap(model), pictures(2, 4, 9), [name for name, _ in wrap(model).named_modules()][-1])


def test_pictures_beyond_the_unit_range_are_refused():
    with pytest.raises(InputError, match="these are grey levels, pass x / 255"):
        deconv.climb(small(), 255 * pictures(2, 28, 36), "conv1")
    with pytest.raises(InputError, match="x holds no picture"):
        deconv.climb(small(), pictures(2, 28, 36)[:0], "conv1")


def test_pictures_of_another_type_than_the_weights_are_refused():
    with pytest.raises(InputError, match="the pictures are torch.float64 on cpu, but the network's weights are"):
        deconv.climb(small(), pictures(2, 28, 36).double(), "conv1")


def test_a_selection_of_another_layer_is_refused():
    seen = deconv.climb(small(), pictures(2, 28, 36), "conv2")
    with pytest.raises(
        InputError, match=r"selected has shape \(2, 6, 28, 36\), but 'conv2' answers with \(2, 20, 14, 18\)"
    ):
        deconv.project(seen, torch.zeros(2, 6, 28, 36))
    with pytest.raises(InputError, match=r"selected has shape \(3, 20, 14, 18\)"):
        deconv.project(seen, torch.zeros(3, 20, 14, 18))
    with pytest.raises(InputError, match="selected must be a tensor like seen.answers, got int"):
        deconv.project(seen, 17)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_selection_that_is_not_finite_is_refused(value):
    seen = deconv.climb(small(), pictures(2, 28, 36), "conv2")
    selected = torch.zeros_like(seen.answers)
    selected[1, 2, 3, 4] = value
    with pytest.raises(InputError, match="selected holds 1 values that are NaN or infinite"):
        deconv.project(seen, selected)


def test_an_unknown_rule_is_refused():
    seen = deconv.climb(small(), pictures(2, 28, 36), "conv2")
    for look in (deconv.project, deconv.stages):
        with pytest.raises(InputError, match="no rule named 'guidde'. Did you mean 'guided'"):
            look(seen, seen.answers, "guidde")
