"""Fields, waves, selectivity, invariance and settling against filters whose properties are known beforehand."""

import copy
import math

import pytest
import torch
from torch import nn

from lecturekit.errors import InputError
from lecturekit.features import (
    class_selectivity,
    dominant_frequency,
    effective_field,
    hierarchy,
    invariance,
    linear_cka,
    orientation_selectivity,
    sensitivity,
    settling,
    trend,
)
from lecturekit.features.settling import Settling
from lecturekit.features.warp import warped
from lecturekit.features.waves import BANDS, _one_sided, gratings
from lecturekit.networks import load, random_twin
from lecturekit.pictures.picturebook import PictureBook
from lecturekit.progress import STOP


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def filters(weight):
    """A network of one layer with these filters (K, 3, k, k)."""
    layer = nn.Conv2d(3, len(weight), weight.shape[-1], padding=weight.shape[-1] // 2, bias=False)
    layer.weight.data = weight
    return nn.Sequential(layer).eval()


def bars(frequency, degrees, size=11, width=6.0):
    """One filter of upright bars turned by ``degrees``, grey all over: (1, 3, size, size)."""
    place, theta = torch.arange(size) - size // 2, math.radians(degrees)
    across = place * math.cos(theta) + place[:, None] * math.sin(theta)
    around = torch.exp(-(place[:, None] ** 2 + place**2) / (2 * width))
    kernel = torch.cos(2 * math.pi * frequency * across) * around
    return (kernel - around * kernel.sum() / around.sum()).expand(1, 3, size, size)  # blind to the mean


# --- fields ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_unit_that_weighs_all_its_pixels_alike_listens_to_the_whole_window(size):
    found = effective_field(filters(torch.ones(2, 3, size, size)), "0", random(3, 3, 20, 18))
    assert found == pytest.approx(size, abs=1e-6)


def test_a_unit_that_weighs_one_pixel_only_listens_to_one():
    weight = torch.zeros(1, 3, 7, 7)
    weight[..., 3, 3] = 1
    assert effective_field(filters(weight), "0", random(2, 3, 16, 20)) == pytest.approx(1, abs=1e-6)


def test_stacked_layers_listen_to_less_than_they_can_see():
    model = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(6)]).eval()
    for layer in model:
        nn.init.constant_(layer.weight, 0.1)
    found = effective_field(model, "5", random(2, 3, 24, 24))
    # Six uniform windows of 3 convolved, then squared: much narrower than the 13 pixels that can matter.
    row = torch.ones(1)
    for _ in range(6):
        row = torch.nn.functional.conv1d(row.view(1, 1, -1), torch.ones(1, 1, 3), padding=2).flatten()
    energy, place = row**2 / (row**2).sum(), torch.arange(13) - 6.0
    assert found == pytest.approx(math.sqrt(12 * (energy * place**2).sum() + 1), abs=1e-4)
    assert found < 8


# --- waves ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [0.1, 0.2, 0.35])
def test_a_filter_of_bars_listens_to_its_own_frequency(frequency):
    model = filters(bars(frequency, 30, size=21, width=25.0))
    found = sensitivity(nn.Sequential(model[0]), ["0"], 0.5 + 0.1 * random(8, 3, 64, 64))["0"]
    low, high = BANDS[found.argmax()], BANDS[found.argmax() + 1]
    assert low <= frequency * 1.1 and frequency * 0.9 < high
    assert dominant_frequency(found) == pytest.approx(frequency, rel=0.35)


def test_the_dominant_frequency_is_the_middle_on_the_scale_of_octaves():
    weights = torch.zeros(3)
    weights[0] = weights[2] = 1.0
    assert dominant_frequency(weights, bands=(0.01, 0.02, 0.04, 0.08)) == pytest.approx(math.sqrt(0.02 * 0.04))


def test_gratings_have_the_direction_that_they_say():
    shown = gratings((32, 48))
    assert shown.shape[:3] == (6, 8, 4) and shown.min() >= 0.1 - 1e-6 and shown.max() <= 0.9 + 1e-6
    upright, lying = shown[2, 0, 0, 0], shown[2, 4, 0, 0]
    assert upright.std(dim=0).max() < 1e-5 < upright.std(dim=1).min(), "nothing changes from row to row"
    assert lying.std(dim=1).max() < 1e-5 < lying.std(dim=0).min()


def test_bars_are_selective_for_direction_and_a_spot_is_not():
    place = torch.arange(21) - 10
    square = place[:, None] ** 2 + place**2
    spot = (torch.exp(-square / 4.0) - torch.exp(-square / 16.0) / 4).expand(1, 3, 21, 21)
    model = filters(torch.cat([bars(0.18, 45, size=21, width=25.0), spot, spot * 0]))
    one_way, no_way, off = orientation_selectivity(model, ["0"])["0"]
    assert one_way > 0.6 and no_way < 0.1 and off.isnan()


def test_orientation_selectivity_is_zero_for_all_alike_and_one_for_a_single_direction():
    answers = torch.zeros(2, 8, 3)  # frequencies, directions, filters
    answers[1, :, 0] = 1.0  # all directions alike
    answers[0, 3, 1] = 2.0  # one only
    answers[1, [0, 4], 2] = 1.0  # two that stand at right angles cancel
    torch.testing.assert_close(_one_sided(answers), torch.tensor([0.0, 1.0, 0.0]), rtol=0, atol=1e-6)


# --- classes --------------------------------------------------------------------------------------------------------


def test_class_selectivity_is_what_one_counts_on_paper():
    x = torch.zeros(4, 3, 2, 3)
    x[0, 0, 0, 1], x[1, 0, 1, 2] = 1.0, 0.5  # red: class 5 only, on average 0.75
    x[:, 1, 0, 0] = torch.tensor([0.2, 0.2, 0.6, 0.6])  # green: 0.2 and 0.6
    model = filters(torch.eye(3).view(3, 3, 1, 1))
    found = class_selectivity(model, ["0"], x, torch.tensor([5, 5, 9, 9]), batch=3)["0"]
    torch.testing.assert_close(found[:2], torch.tensor([1.0, 0.4 / 0.8]))
    assert found[2].isnan(), "blue never fires"


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="labels must be 4 whole numbers, one per picture, of at least two classes"):
        class_selectivity(filters(torch.ones(1, 3, 1, 1)), ["0"], torch.zeros(4, 3, 2, 2), torch.zeros(4).long())


# --- moving pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("down, right", [(2, 0), (0, 3), (1, -2)])
def test_whole_shifts_move_every_pixel(down, right):
    x = random(2, 3, 9, 12)
    moved = warped(x, down=down, right=right)
    inner = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(moved[inner], x.roll((down, right), dims=(2, 3))[inner], rtol=0, atol=1e-5)


def test_a_quarter_turn_is_clockwise():
    x = random(2, 3, 8, 8)
    torch.testing.assert_close(warped(x, degrees=90), x.rot90(-1, dims=(2, 3)), rtol=0, atol=1e-5)


def test_a_turn_does_not_squeeze_pictures_that_are_not_square():
    """A disc stays a disc on a picture twice as wide as high."""
    rows, columns = torch.arange(40) - 19.5, torch.arange(80) - 39.5
    disc = torch.sigmoid(12 - (rows[:, None] ** 2 + columns**2).sqrt()).expand(1, 1, 40, 80)
    middle = (..., slice(4, -4), slice(24, -24))  # further out the mirrored border comes into sight
    torch.testing.assert_close(warped(disc, degrees=37)[middle], disc[middle], rtol=0, atol=0.05)


def test_a_picture_is_enlarged_and_turned_first_and_moved_then():
    """A point 4 to the right of the middle: doubled, turned by a quarter to below, then moved by whole pixels."""
    x = torch.zeros(1, 1, 31, 41)
    x[..., 15, 24] = 1
    assert divmod(warped(x, scale=2, degrees=90, down=3, right=-5)[0, 0].argmax().item(), 41) == (15 + 8 + 3, 20 - 5)


def test_each_picture_moves_by_its_own_number():
    x = random(1, 1, 10, 10).expand(2, 1, 10, 10)
    both = warped(x, down=torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(both[0], x[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(both[1:], warped(x[1:], down=2.0))


def test_enlarging_pushes_things_outwards():
    x = torch.zeros(1, 1, 21, 21)
    x[..., 10, 14] = 1
    assert divmod(warped(x, scale=1.5)[0, 0].argmax().item(), 21) == (10, 16), "four pixels from the middle become six"


def test_invariance_is_zero_for_a_layer_that_sees_means_only_and_large_for_pixels():
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1)).eval()
    flat = random(6, 3, 1, 1).expand(6, 3, 16, 20)
    noisy = (flat + 0.2 * (random(6, 3, 16, 20, seed=1) - 0.5)).clamp(0, 1)
    found = invariance(model, ["0", "1"], noisy, {"shift": {"down": 2.0}, "nothing": {}})
    assert found["1"]["shift"] < 0.01 and found["0"]["shift"] > 0.1
    assert found["0"]["nothing"] == pytest.approx(0, abs=1e-5)
    model[0].weight.data *= 10
    louder = invariance(model, ["0"], noisy, {"shift": {"down": 2.0}})
    assert louder["0"]["shift"] == pytest.approx(found["0"]["shift"], rel=1e-4), "the unit grows with the layer"
    with pytest.raises(InputError, match="the unit is the distance between two pictures, got 1"):
        invariance(model, ["0"], noisy[:1])


# --- settling -------------------------------------------------------------------------------------------------------


def test_cka_is_one_for_a_turned_code_and_small_for_an_unrelated_one():
    a = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))[0]
    assert linear_cka(a, 3 * a @ turn + 5) == pytest.approx(1, abs=1e-5)
    assert linear_cka(a, torch.randn(30, 8, generator=torch.Generator().manual_seed(2))) < 0.5


def test_cka_is_the_textbook_formula():
    a, b = random(12, 4), random(12, 7, seed=1)
    x, y = (each - each.mean(dim=0) for each in (a.double(), b.double()))
    expected = (y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    assert linear_cka(a, b) == pytest.approx(expected.item(), rel=1e-6)


def test_cka_does_not_lose_small_differences_beside_a_large_mean():
    a, b = (torch.randint(64, (12, 5), generator=torch.Generator().manual_seed(n)) / 64 for n in (0, 1))
    assert linear_cka(a + 2**14, b) == pytest.approx(linear_cka(a, b), abs=1e-9), "all of it exact in single precision"


def test_a_code_that_is_the_same_for_all_pictures_is_like_no_other():
    assert linear_cka(torch.ones(5, 3), random(5, 3)) == 0


def snapshots():
    """Four moments of a run in which the first layer is done at moment 1 and the second at moment 3."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start, end = (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval() for _ in range(2))
    moments = []
    for first, second in ((0, 0), (1, 0.2), (1, 0.6), (1, 1)):
        network = copy.deepcopy(start)
        for layer, share in ((0, first), (2, second)):
            for p, a, b in zip(
                network[layer].parameters(), start[layer].parameters(), end[layer].parameters(), strict=True
            ):
                p.data = (1 - share) * a + share * b
        moments.append(network)
    return moments


def test_the_layer_that_is_done_first_settles_first():
    found = settling(snapshots(), random(20, 3, 10, 12), ["0", "2"])
    assert found.codes.shape == found.weights.shape == (4, 2)
    torch.testing.assert_close(found.weights[-1], torch.ones(2))
    torch.testing.assert_close(found.codes[-1], torch.ones(2), rtol=0, atol=1e-5)
    assert found.settled(by="weights") == {"0": 1, "2": 3} and found.settled()["0"] == 1


def test_a_layer_that_never_moves_is_settled_from_the_start():
    moments = snapshots()
    for moment in moments:
        moment[0] = moments[0][0]
    found = settling(moments, random(20, 3, 10, 12), ["0", "2"])
    assert found.settled()["0"] == found.settled(by="weights")["0"] == 0
    assert found.settled()["2"] > 0


def test_a_layer_that_has_gone_exactly_its_share_is_settled_unless_it_goes_back():
    codes = torch.tensor([[0.0, 0.5, 0.0], [0.5, 0.75, 1.0], [0.75, 0.875, 0.25], [1.0, 1.0, 1.0]])
    found = Settling(("one", "half way at the start", "back"), codes.flip(1), codes)
    assert found.settled(0.5) == {"one": 1, "half way at the start": 1, "back": 3}
    assert found.settled(0.75) == {"one": 2, "half way at the start": 2, "back": 3}
    assert found.settled(0.5, "weights") == {"one": 3, "half way at the start": 1, "back": 1}, "the mirror image"


def test_two_snapshots_and_ten_pictures_are_enough():
    assert settling(snapshots()[::3], random(10, 3, 8, 8), ["0"]).codes.shape == (2, 1)


def test_settling_refuses_what_it_cannot_compare():
    with pytest.raises(InputError, match="at least two snapshots on at least ten pictures, got 1 and 20"):
        settling(snapshots()[:1], random(20, 3, 8, 8), ["0"])
    with pytest.raises(InputError, match="1 has no weights that could settle"):
        settling(snapshots(), random(20, 3, 8, 8), ["0", "1"])


# --- all together ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values, expected", [([1, 2, 5], 1), ([3, 2, 1, 0], -1), ([1, 3, 2, 4, 5], 0.9), ([1, 1, 1, 2], 0.775)]
)
def test_a_trend_is_spearmans_correlation_with_depth(values, expected):
    assert trend(values) == pytest.approx(expected, abs=1e-3)


def test_a_trend_of_two_is_refused():
    with pytest.raises(InputError, match="a trend needs at least three layers, got 2"):
        trend([1, 2])


def test_the_word_to_stop_gives_an_empty_table():
    book = PictureBook("validation", 20)
    assert hierarchy(load("picturebook"), book, book.labels, ["conv1"], watch=lambda _: STOP) == []


def test_the_word_to_stop_at_the_end_changes_nothing_and_a_row_is_what_its_parts_measure():
    book, model = PictureBook("validation", 20), load("picturebook")
    (row,) = hierarchy(model, book, book.labels, ["conv2"], sample=6, watch=lambda s: STOP if s.done == 5 else None)
    x = book.tensors()[:6]
    moves = invariance(model, ["conv2"], x)["conv2"]
    prefer = class_selectivity(model, ["conv2"], book, book.labels)["conv2"].nanmean().item()
    assert row[:4] == (
        "conv2", 14, round(effective_field(model, "conv2", x), 1),
        round(dominant_frequency(sensitivity(model, ["conv2"], x)["conv2"]), 4),
    )  # fmt: skip
    assert row.orientation == round(orientation_selectivity(model, ["conv2"])["conv2"].nanmean().item(), 3)
    assert row.class_selectivity == round(prefer, 3)
    assert row[6:] == tuple(round(moves[name], 2) for name in ("shift", "scale", "rotation"))


def test_edges_become_objects_with_depth_in_a_trained_network_only():
    book, layers, steps = PictureBook("validation", 100), [f"conv{i}" for i in range(1, 6)], []
    found = hierarchy(load("picturebook"), book, book.labels, layers, sample=24, watch=steps.append)
    assert [row.layer for row in found] == layers and [row.receptive_field for row in found] == [5, 14, 24, 32, 40]
    for name in ("receptive_field", "effective_field", "class_selectivity"):
        assert trend([getattr(row, name) for row in found]) >= 0.9, name
    assert trend([row.frequency for row in found]) <= -0.9
    assert all(row.effective_field < row.receptive_field for row in found)
    assert [step.done for step in steps] == [1, 2, 3, 4, 5]
    twin = hierarchy(random_twin(load("picturebook")), book, book.labels, layers, sample=24)
    assert trend([row.class_selectivity for row in twin]) < 0.9
