"""Which activations are kept, and what is said about those that do not exist."""

import numpy as np
import pytest
import torch

from lecturekit import deconv
from lecturekit.errors import InputError
from tests.deconv.nets import pictures, small


class Seen:
    """A climb whose answers can be read here: two pictures, three filters, 2 x 3 places; filter 2 is silent."""

    layer = "conv7"
    answers = torch.tensor([
        [[[1.0, 5, 2], [-3, 4, 0]], [[9, -1, 3], [0, 0, 1]], [[-1, -2, 0], [-9, 0, -3]]],
        [[[0.0, 0, 2], [8, 4, 8]], [[1, 1, 1], [1, 1, 1]], [[-1, -2, 0], [-9, 0, -3]]],
    ])  # fmt: skip


class Units:
    layer = "fc7"
    answers = torch.tensor([[1.0, -2, 3], [4, 5, -6]])


def kept(selected):
    """The places that are not zero, with their values."""
    return {tuple(place.tolist()): selected[tuple(place)].item() for place in selected.nonzero()}


def test_one_activation_is_kept_whatever_its_sign():
    assert kept(deconv.one(Seen, 0, 1, 0)) == {(0, 0, 1, 0): -3, (1, 0, 1, 0): 8}
    assert kept(deconv.one(Units, 1)) == {(0, 1): -2, (1, 1): 5}
    assert kept(deconv.one(Units, np.int64(1))) == {(0, 1): -2, (1, 1): 5}


def test_the_strongest_activation_stands_in_each_picture_elsewhere():
    assert kept(deconv.strongest(Seen, 0)) == {(0, 0, 0, 1): 5, (1, 0, 1, 0): 8}, "the first among equals"
    assert kept(deconv.strongest(Units, 0)) == {(0, 0): 1, (1, 0): 4}


def test_a_whole_map_has_no_negative_values():
    assert kept(deconv.whole_map(Seen, 1)) == {
        (0, 1, 0, 0): 9, (0, 1, 0, 2): 3, (0, 1, 1, 2): 1,
        **{(1, 1, row, column): 1 for row in range(2) for column in range(3)},
    }  # fmt: skip


def test_the_top_activations_of_all_filters_and_of_one():
    assert kept(deconv.top(Seen, 2)) == {(0, 1, 0, 0): 9, (0, 0, 0, 1): 5, (1, 0, 1, 0): 8, (1, 0, 1, 2): 8}
    assert kept(deconv.top(Seen, 2, 1)[:1]) == {(0, 1, 0, 0): 9, (0, 1, 0, 2): 3}
    assert deconv.top(Seen, 2, 1)[1, 1].sum() == 2, "two of six equal ones"
    assert torch.equal(deconv.top(Seen, 99), Seen.answers.clamp(min=0)), "more than there are: all that are positive"
    assert kept(deconv.top(Units, 1)) == {(0, 2): 3, (1, 1): 5}


def test_the_top_filters_keep_their_whole_maps():
    found = deconv.top_filters(Seen, 1)
    assert torch.equal(found[0, 1], Seen.answers[0, 1].clamp(min=0)) and not found[0, [0, 2]].any()
    assert torch.equal(found[1, 0], Seen.answers[1, 0].clamp(min=0)) and not found[1, 1:].any()
    assert torch.equal(deconv.top_filters(Seen, 9), Seen.answers.clamp(min=0))
    assert kept(deconv.top_filters(Units, 1)) == {(0, 2): 3, (1, 1): 5}


def test_activations_taken_apart_add_up_again():
    selected = deconv.top(Seen, 4)[:1]
    alone = deconv.apart(selected)
    assert [each.max().item() for each in alone] == [9, 5, 4, 3]
    torch.testing.assert_close(alone.sum(0, keepdim=True), selected)


def test_all_selections_fit_what_climb_returns():
    seen = deconv.climb(small(), pictures(2, 28, 36), "relu2")
    for selected in (
        deconv.one(seen, 0, 0, 0), deconv.strongest(seen, 1), deconv.whole_map(seen, 1), deconv.top(seen, 3),
        deconv.top_filters(seen, 2),
    ):  # fmt: skip
        assert deconv.project(seen, selected).shape == (2, 3, 28, 36)


@pytest.mark.parametrize("wrong", [-1, 3, True, 1.0, "1", None])
def test_filters_that_do_not_exist_are_refused(wrong):
    for choose in (deconv.strongest, deconv.whole_map, deconv.one):
        with pytest.raises(InputError, match=f"filter must be a whole number from 0 to 2, got {wrong!r}"):
            choose(Seen, wrong)


@pytest.mark.parametrize("row, column, message", [
    (2, 0, "row must be a whole number from 0 to 1, got 2"),
    (0, -1, "column must be a whole number from 0 to 2, got -1"),
    (0, None, "column must be a whole number from 0 to 2, got None"),
])  # fmt: skip
def test_places_that_do_not_exist_are_refused(row, column, message):
    with pytest.raises(InputError, match=message):
        deconv.one(Seen, 0, row, column)


def test_units_have_no_place():
    with pytest.raises(InputError, match="'fc7' has units, not maps: leave row and column out"):
        deconv.one(Units, 0, 0, 0)


@pytest.mark.parametrize("n", [0, -1, 1.5, True])
def test_less_than_one_activation_is_refused(n):
    for choose in (deconv.top, deconv.top_filters):
        with pytest.raises(InputError, match=f"n must be a whole number, at least 1, got {n}"):
            choose(Seen, n)


def test_a_silent_filter_is_refused_and_louder_ones_are_named():
    for choose in (deconv.strongest, deconv.whole_map):
        with pytest.raises(InputError, match="filter 2 of 'conv7' is silent in these pictures.*answer most: 1, 0$"):
            choose(Seen, 2)


def test_a_silent_layer_is_refused():
    silent = type("Silent", (), {"layer": "relu9", "answers": torch.zeros(2, 3, 4, 5)})
    for choose in (deconv.top, deconv.top_filters):
        with pytest.raises(InputError, match="every filter of 'relu9' is silent.*no filter of this layer answers"):
            choose(silent, 2)


def test_only_one_picture_can_be_taken_apart():
    with pytest.raises(InputError, match=r"apart takes the selection of one picture, got 2; pass selected\[:1\]"):
        deconv.apart(Seen.answers)
    with pytest.raises(InputError, match="nothing is selected"):
        deconv.apart(torch.zeros(1, 3, 2, 3))
