"""Figures: what stands on them, that it is readable, and that nothing is cut off."""

import io

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from lecturekit import plots
from lecturekit.errors import InputError
from lecturekit.measure import Interval
from lecturekit.plots.grids import GAP


def pictures(n=3, height=16, width=12, channels=3):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0))


def words(figure):
    return [text.get_text() for text in figure.texts]


def drawn(figure):
    """The figure as it appears: (H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("RGB"))


def assert_all_inside(figure):
    """Nothing is cut off by the border of the figure, and no word is smaller than 12 points."""
    figure.draw_without_rendering()
    (left, bottom), (right, top) = figure.get_tightbbox().get_points() * figure.dpi
    width, height = figure.bbox.size
    assert min(left, bottom) >= -1 and right <= width + 1 and top <= height + 1, "a screen pixel is no loss"
    assert min(text.get_fontsize() for text in figure.findobj(matplotlib.text.Text) if text.get_text()) >= 12


# --- grids --------------------------------------------------------------------------------------------------------


def test_every_pixel_of_a_picture_is_a_sharp_square_of_its_colour():
    x = pictures(2)
    screen = drawn(plots.pictures(x, scale=5))
    for n in range(2):
        left = GAP + n * (12 * 5 + GAP)
        square = screen[GAP : GAP + 16 * 5, left : left + 12 * 5].reshape(16, 5, 12, 5, 3)
        inner = square[1:-1, 1:4, 1:-1, 1:4]  # the outermost pixels touch the thin frame
        expected = (x[n, :, 1:-1, 1:-1] * 255).permute(1, 2, 0).numpy()[:, None, :, None]
        assert np.abs(inner - expected).max() <= 1


def test_rows_titles_and_captions_stand_where_they_belong():
    rows = {"original": pictures(3), "by optimisation": pictures(3)}
    figure = plots.pictures(rows, titles=["cat", "car", "boat"], captions={"by optimisation": ["24.1 dB", "b", "c\nd"]})
    assert len(figure.axes) == 6
    assert sorted(words(figure)) == sorted(
        ["original", "by optimisation", "cat", "car", "boat", "24.1 dB", "b", "c", "d"],
    )
    assert all(ax.images[0].norm.vmin == 0 and ax.images[0].norm.vmax == 1 for ax in figure.axes), "one scale for all"
    place = {text.get_text(): text.get_position() for text in figure.texts}
    assert place["cat"][0] < place["car"][0] < place["boat"][0] and place["cat"][1] == place["boat"][1]
    assert place["original"][1] > place["by optimisation"][1] > place["24.1 dB"][1] == place["b"][1] > place["d"][1]
    assert_all_inside(figure)


def test_long_words_get_room_and_do_not_run_into_each_other():
    figure = plots.pictures({"an unusually long name": pictures(3)}, titles=["probabilities, all ten"] * 3, scale=2)
    assert_all_inside(figure)
    boxes = [text.get_window_extent() for text in figure.texts if text.get_text().startswith("prob")]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))


def test_words_stay_clear_of_pictures():
    captions = ["first\nsecond"] * 3
    figure = plots.pictures({"a": pictures(3), "b": pictures(3)}, titles=["gj"] * 3, captions=captions)
    figure.draw_without_rendering()
    frames = [ax.get_window_extent() for ax in figure.axes]
    for text in figure.texts:
        assert not any(text.get_window_extent().overlaps(frame) for frame in frames), text.get_text()


@pytest.mark.parametrize(("n", "side"), [(1, 64), (4, 64), (8, 64), (12, 64), (3, 224), (6, 32)])
def test_a_row_fills_a_notebook_and_pictures_are_large_enough_to_see(n, side):
    figure = plots.pictures(pictures(n, side, side))
    screen = figure.axes[0].get_window_extent()
    assert screen.width >= 120 and screen.width % side == 0
    assert figure.get_size_inches()[0] <= 15


def test_grey_pictures_rows_of_different_length_and_gradients_are_drawn_too():
    x = pictures(2, channels=1).requires_grad_()
    figure = plots.pictures({"grey": x, "colour": pictures(1)})
    assert len(figure.axes) == 3 and x.requires_grad
    assert np.ptp(drawn(figure).astype(int)[GAP + 20, GAP + 60], axis=-1) == 0


def test_feature_maps_are_the_most_active_on_one_scale():
    phi = torch.zeros(5, 4, 6)
    phi[3], phi[1] = 2, torch.linspace(0, 3, 24).view(4, 6)
    figure = plots.feature_maps(phi[None], n=2)
    *maps, bar = figure.axes
    assert words(figure) == ["3", "1", "0", "3"], "two channels, then the ends of the colour bar"
    assert [ax.images[0].get_clim() for ax in maps] == [(0, 3), (0, 3)]
    assert maps[0].images[0].get_cmap().name == "viridis"
    assert_all_inside(figure)


def test_feature_maps_with_signs_are_red_and_blue_round_zero():
    figure = plots.feature_maps(torch.linspace(-1, 2, 48).view(2, 4, 6))
    image = figure.axes[0].images[0]
    assert image.get_cmap().name == "RdBu_r" and image.get_clim() == (-2, 2)
    assert {"-2", "2"} <= set(words(figure))
    assert_all_inside(figure)


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_are_grey_where_they_are_zero_and_use_their_full_range(channels):
    weight = torch.zeros(9, channels, 5, 3)
    weight[4, 0, 1, 2], weight[4, 0, 0, 0] = -0.01, 0.005
    figure = plots.filters(weight)
    assert len(figure.axes) == 9
    shown = np.asarray(figure.axes[4].images[0].get_array()).reshape(5, 3, -1)[..., 0]
    assert shown[1, 2] == 0 and shown[0, 0] == 0.75 and shown[3, 1] == 0.5
    assert_all_inside(figure)


def test_png_is_exactly_the_pictures():
    x = pictures(2)
    image = Image.open(io.BytesIO(plots.png(x, scale=3, gap=2)))
    assert image.size == ((12 + 2 + 12) * 3, 16 * 3) and image.mode == "RGB"
    small = np.asarray(image)[1::3, 1::3]
    expected = (x * 255).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(small[:, :12], expected[0])
    np.testing.assert_array_equal(small[:, 14:], expected[1])
    assert (small[:, 12:14] == 255).all()
    one = Image.open(io.BytesIO(plots.png(pictures(1, channels=1)[0], scale=1, gap=0)))
    assert one.size == (12, 16) and one.mode == "L"


# --- maps ---------------------------------------------------------------------------------------------------------


def test_a_signed_map_is_white_at_zero():
    figure, ax = plots.axes()
    artist = plots.signed(ax, torch.tensor([[0.0, 0.5], [-2.0, 1.0]]), "gradient")
    assert artist.get_clim() == (-2, 2) and ax.get_title() == "gradient (±2)"
    np.testing.assert_allclose(artist.to_rgba(0.0)[:3], 1, atol=0.04)
    red, blue = artist.to_rgba(2.0), artist.to_rgba(-2.0)
    assert red[0] > red[2] and blue[2] > blue[0]
    assert_all_inside(figure)
    assert plots.signed(ax, np.zeros((2, 2)), "nothing").get_clim() == (-1, 1)


def test_a_heat_map_begins_at_zero_and_tells_its_scale():
    figure, (left, right) = plots.axes(1, 2)
    artist = plots.heat(left, torch.tensor([[0.5, 1.0], [2.0, 0.6]]), "spread")
    assert artist.get_clim() == (0, 2) and left.get_title() == "spread" and artist.get_cmap().name == "viridis"
    assert plots.heat(right, np.ones((2, 3)), "other", largest=4).get_clim() == (0, 4)
    assert artist.colorbar is not None
    assert_all_inside(figure)


def test_parts_are_named_with_a_line_into_the_part():
    parts = np.zeros((16, 12), dtype=np.uint8)
    parts[2:5, 2:10], parts[8:15, 3:9], parts[10:13, 5:7] = 1, 2, 0  # a bar, and a ring round a hole
    figure, ax = plots.axes()
    plots.parts_overlay(ax, pictures(1)[0], parts, ("background", "roof", "wheel"))
    names = {note.get_text(): note.xy for note in ax.texts}
    assert list(names) == ["roof", "wheel"], "from top to bottom"
    for number, name in ((1, "roof"), (2, "wheel")):
        column, row = names[name]
        assert parts[row, column] == number, "also of a ring, whose centre is not part of it"
    assert_all_inside(figure)


# --- regions ------------------------------------------------------------------------------------------------------


class Plane:
    """What `slice_map` needs: two planes of 5 x 9 points, split at a = 0 and, in the second, into eight classes."""

    a, b = torch.linspace(-8, 8, 9) / 255, torch.linspace(-2, 2, 5) / 255
    margin = (0.5 - torch.arange(-4.0, 5)).expand(2, 5, 9)  # falls along a; 0 between the fifth and the sixth point
    classes = torch.stack([torch.where(margin[0] > 0, 3, 1), torch.arange(9).clamp(max=7).expand(5, 9)])
    inside = torch.ones(2, 5, 9).index_fill(2, torch.tensor([8]), 0.5)


NAMES = [f"kind {k}" for k in range(8)]


def tints(artist):
    """The colour of every cell of a map, (B, A, 4)."""
    return artist.to_rgba(artist.get_array())


def test_a_slice_map_names_its_regions_on_them_and_in_a_legend():
    figure, ax = plots.axes()
    artist = plots.slice_map(ax, Plane, NAMES)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["kind 3", "kind 1"], "largest first"
    place = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert place["kind 3"] < 0 < place["kind 1"]
    cells = tints(artist)
    assert (cells[:, :5] == cells[0, 0]).all() and (cells[:, 5:] == cells[0, 8]).all()
    assert (cells[0, 0] != cells[0, 8]).any()
    assert_all_inside(figure)


def test_no_word_of_a_slice_map_stands_on_the_dot():
    _, ax = plots.axes()
    plane = Plane()
    plane.a, plane.classes = torch.linspace(-4, 4, 9) / 255, torch.zeros(1, 5, 9)
    plots.slice_map(ax, plane, {0: "everywhere"}, units=1)
    dot = next(line for line in ax.lines if line.get_marker() == "o")
    assert dot.get_xydata().tolist() == [[0, 0]]
    assert ax.texts[0].get_position() != pytest.approx((0, 0)), "though the dot is in the middle of the region"


def test_the_border_of_a_slice_map_runs_where_the_margin_is_zero_in_grey_levels():
    _, ax = plots.axes()
    artist = plots.slice_map(ax, Plane, NAMES)
    border, outside = (found for found in ax.collections)
    (path,) = border.get_paths()
    np.testing.assert_allclose(path.vertices[:, 0], 1, atol=1e-5)  # half way between 0 and 2 levels
    np.testing.assert_allclose(artist.get_extent(), [-9, 9, -2.5, 2.5], rtol=1e-5)
    assert outside.hatches == ["//"] and min(outside.get_paths()[0].vertices[:, 0]) > 6, "only the last column is off"


def test_rows_of_a_slice_map_go_up_as_b_does():
    _, ax = plots.axes()
    plane = Plane()
    plane.classes = torch.arange(5)[:, None].expand(1, 5, 9)
    artist = plots.slice_map(ax, plane, NAMES, units=1)
    assert artist.origin == "lower"
    heights = [text.get_position()[1] for text in ax.texts]
    assert heights == sorted(heights) and heights[-1] == pytest.approx(2 / 255)
    assert [text.get_text() for text in ax.texts] == NAMES[:5]


def test_two_slice_maps_agree_on_the_colours_of_the_first_classes():
    _, (left, right) = plots.axes(1, 2)
    one = plots.slice_map(left, Plane, NAMES, first=(1, 3))
    two = plots.slice_map(right, Plane, NAMES, number=1, first=(1, 3))
    assert (tints(one)[0, 8] == tints(two)[0, 1]).all(), "kind 1"
    assert (tints(one)[0, 0] == tints(two)[0, 3]).all(), "kind 3"


def test_classes_beyond_the_colours_share_one_grey():
    figure, ax = plots.axes()
    artist = plots.slice_map(ax, Plane, NAMES, number=1)
    *named, last = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(named) == 6 and named[0] == "kind 7" and last == "other classes"
    cells = tints(artist)
    assert (cells[0, 5] == cells[0, 6]).all() and np.ptp(cells[0, 6, :3]) < 1e-6
    assert_all_inside(figure)


def test_a_plane_without_a_border_and_inside_the_box_is_drawn_plain():
    _, ax = plots.axes()
    plane = Plane()
    plane.margin, plane.inside = torch.ones(1, 5, 9), torch.ones(1, 5, 9)
    plots.slice_map(ax, plane, NAMES)
    assert not ax.collections


# --- curves -------------------------------------------------------------------------------------------------------


def test_curves_show_estimates_intervals_and_layers():
    figure, ax = plots.axes()
    layers = ["conv1", "conv2", "fc8"]
    intervals = [Interval(30, 29, 32, 64), Interval(20, 19.5, 20.5, 64), Interval(13, 12, 14, 64)]
    artist = plots.curve_with_intervals(ax, layers, intervals, "by optimisation", plots.OPTIMISED)
    plots.curve_with_intervals(ax, layers[1:], intervals[1:], "inverse network", plots.DECODED)
    plots.baseline(ax, Interval(10, 9, 11, 64), "mean image")
    line, _, (bars,) = artist
    np.testing.assert_allclose(line.get_ydata(), [30, 20, 13])
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[29, 32], [19.5, 20.5], [12, 14]])
    figure.draw_without_rendering()
    assert [label.get_text() for label in ax.get_xticklabels()] == layers
    assert (line.get_color(), line.get_marker()) == plots.OPTIMISED
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["by optimisation", "inverse network", "mean image"], "what one gets for nothing comes last"
    assert_all_inside(figure)


def test_many_layers_stand_slanted_so_that_they_stay_apart():
    figure, ax = plots.axes()
    layers = [*(f"conv{i}" for i in range(1, 6)), "fc6", "fc7", "fc8", "probabilities"]
    plots.curve_with_intervals(ax, layers, [Interval(1, 0, 2, 9)] * 9, "curve")
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {35}
    assert_all_inside(figure)


def test_a_baseline_may_be_a_plain_number():
    _, ax = plots.axes()
    line = plots.baseline(ax, 0.01, "chance")
    assert line.get_ydata() == [0.01, 0.01] and not ax.patches


def test_losses_fall_on_a_logarithmic_scale():
    figure, ax = plots.axes()
    lines = plots.losses(ax, {"Adam": [1, 0.5, 0.25], "L-BFGS": torch.tensor([1, 0.01])}, xlabel="steps")
    assert ax.get_yscale() == "log" and (ax.get_xlabel(), ax.get_ylabel()) == ("steps", "loss")
    np.testing.assert_allclose(lines[0].get_xydata(), [[1, 1], [2, 0.5], [3, 0.25]])
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines}) == 2
    assert_all_inside(figure)


# --- style --------------------------------------------------------------------------------------------------------


def test_looks_differ_by_colour_and_by_marker_and_stand_out_from_white():
    assert len({look.colour for look in plots.LOOKS}) == len({look.marker for look in plots.LOOKS}) == len(plots.LOOKS)
    grey = [np.dot(matplotlib.colors.to_rgb(look.colour), [0.2126, 0.7152, 0.0722]) for look in plots.LOOKS]
    assert max(grey) < 0.7


def test_the_style_is_large_enough_for_a_hall():
    with matplotlib.rc_context():
        plots.use()
        sizes = [value for name, value in matplotlib.rcParams.items() if name.endswith(("labelsize", "font.size"))]
        assert matplotlib.rcParams["figure.dpi"] == 120 and min(s for s in sizes if isinstance(s, float)) >= 12


def test_pyplot_is_left_alone_and_a_figure_shows_itself():
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    figure = plots.pictures(pictures())
    plots.axes()
    assert plt.get_fignums() == [] and dict(matplotlib.rcParams) == before
    assert drawn(figure).shape[:2] == tuple(np.round(figure.get_size_inches() * 120).astype(int))[::-1]


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda ax: plots.pictures(2 * pictures()), "rows must lie in"),
        (lambda ax: plots.pictures({"decoder": pictures()[0]}), "the row 'decoder' must have four axes"),
        (lambda ax: plots.pictures(pictures(3), titles=["a"]), "3 columns, but 1 titles"),
        (lambda ax: plots.pictures(pictures(3), captions=["a"]), "has 3 pictures, but 1 captions"),
        (lambda ax: plots.pictures(pictures(0)), "no picture to show"),
        (lambda ax: plots.pictures({}), "no picture to show"),
        (lambda ax: plots.png(3 * pictures()), "x must lie in"),
        (lambda ax: plots.feature_maps(torch.rand(2, 3, 4, 4)), r"\(C, H, W\), got shape \(2, 3, 4, 4\)"),
        (lambda ax: plots.filters(torch.rand(8, 4, 3, 3)), r"first layer only.*got \(8, 4, 3, 3\)"),
        (lambda ax: plots.heat(ax, -torch.ones(2, 2), "gradient"), "'gradient' falls to -1; use plots.signed"),
        (lambda ax: plots.signed(ax, torch.rand(3, 4, 4), "x"), r"\(H, W\), got shape \(3, 4, 4\)"),
        (lambda ax: plots.slice_map(ax, Plane, NAMES, number=2), "there are 2 planes, counted from 0, got number 2"),
        (lambda ax: plots.losses(ax, {"Adam": [1, 0]}), "losses of 'Adam' must be positive"),
        (lambda ax: plots.curve_with_intervals(ax, ["conv1"], [], "x"), "got 1 layers and 0 intervals"),
    ],
)
def test_what_cannot_be_drawn_is_refused(work, message):
    with pytest.raises(InputError, match=message):
        work(plots.axes()[1])
