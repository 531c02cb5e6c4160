import io

import numpy as np
import pytest
import torch
from PIL import Image

from lecturekit.panels import chart, look
from lecturekit.panels.snapshot import snapshot, wrapped
from lecturekit.plots import DECODED, OPTIMISED


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


# Pictures


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_pixel_becomes_a_square_of_its_colour(dtype):
    x = torch.tensor([[[0, 1, 0.2]], [[0, 1, 0.4]], [[0, 1, 0.6]]], dtype=dtype)[None]  # (1, 3, 1, 3)
    shown = pixels(look.enlarged(x, side=2))
    assert shown.shape == (2, 6, 4)
    assert shown[:, ::2, :3].tolist() == [[[0, 0, 0], [255, 255, 255], [51, 102, 153]]] * 2
    assert (shown[:, 1::2] == shown[:, ::2]).all()


def test_a_picture_goes_to_the_browser_pixel_for_pixel():
    x = torch.rand(1, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    shown = pixels(look.pixels(x))
    assert (shown[..., :3] == (255 * x[0]).round().byte().permute(1, 2, 0).numpy()).all()


def test_a_frame_marks_the_edge_of_the_box_and_nothing_else():
    x = torch.zeros(1, 3, 32, 64)
    shown = pixels(look.framed(x, (2, 4, 12, 24), side=32))[..., :3]
    assert shown[2, 4].tolist() == shown[11, 23].tolist() == list(look.MARK)
    assert not shown[7, 14].any(), "inside the picture is seen"
    assert not shown[1, :].any()
    assert not shown[:, 24].any()


def test_a_frame_round_a_small_box_fills_it_and_does_not_fail():
    shown = pixels(look.framed(torch.zeros(1, 3, 8, 8), (3, 3, 4, 4), side=8))[..., :3]
    assert (shown.any(axis=-1).sum()) == 1


def test_painting_the_same_again_sends_nothing_to_the_browser():
    picture, sent = look.Picture("Title"), []
    png = look.enlarged(torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)))
    picture.paint(png, "words")
    picture._image.observe(sent.append, names="value")
    picture.paint(png, "words")
    assert sent == []
    assert picture.png == png


def test_words_are_shown_as_words():
    picture = look.Picture("<b>")
    picture.paint(b"", "a < b & c")
    assert "&lt;b&gt;" in picture._head.value
    assert "a &lt; b &amp; c" in picture._foot.value


def test_a_screen_reader_is_given_the_words_with_the_picture_in_one_message(monkeypatch):
    picture, sent = look.Picture("Title"), []
    monkeypatch.setattr(picture._image, "send_state", lambda names: sent.append(sorted(names)))
    picture.paint(look.enlarged(torch.zeros(1, 3, 4, 4)), "one\ntwo")
    assert picture._image.tooltip == picture.words() == "Title: one, two"
    assert sent == [["tooltip", "value"]]


def test_an_image_is_given_a_description_because_the_browser_asks_every_tooltip_for_one():
    assert look.Picture("Title")._image.get_state()["description"] == ""


# Maps


def test_positive_numbers_go_from_the_dark_to_the_yellow_end_of_viridis():
    shown = pixels(look.map_png(torch.tensor([[0.0, 2.0]]), 0.0, 2.0, signed=False))
    assert shown[0, 0].tolist() == [68, 1, 84, 255]
    assert shown[0, -1].tolist() == [253, 231, 37, 255]


def test_of_signed_numbers_zero_is_white_positive_red_negative_blue():
    blue, white, red = pixels(look.map_png(torch.tensor([[-1.0, 0.0, 1.0]]), -1.0, 1.0, signed=True))[0, [0, 300, -1]]
    assert white[:3].min() > 240
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_numbers_beyond_the_scale_and_broken_ones_take_its_ends():
    values = torch.tensor([[[-5.0, 9.0, float("nan")]]])
    assert look.shades(values, 0.0, 1.0).tolist() == [[[0, look.SHADES - 1, 0]]]
    assert look.shades(torch.zeros(1, 1, 2), 0.0, 0.0).tolist() == [[[0, 0]]], "a silent layer has no scale"


def test_a_mosaic_puts_tiles_in_rows_with_gaps_and_frames_the_chosen_one():
    tiles = np.stack([np.full((8, 6), i, np.uint8) for i in range(5)])
    sheet = look.mosaic(tiles, width=28)  # three tiles of 6 + 2 in a row, four pixels left over
    assert sheet.shape == (20, 28)
    assert sheet[5].tolist() == [254, *[0] * 6, 254, 254, *[1] * 6, 254, 254, *[2] * 6, 254, *[254] * 4]
    assert (sheet[10:, 16:] == look.CLEAR).all(), "there is no sixth tile"
    framed = look.mosaic(tiles, width=28, chosen=4)
    assert (framed == look.FRAMED).any(axis=1).nonzero()[0].tolist() == list(range(10, 20))
    assert (framed == look.FRAMED).any(axis=0).nonzero()[0].tolist() == list(range(8, 16))


def test_a_map_marks_a_place_at_its_very_edge():
    shown = pixels(look.map_png(torch.zeros(8, 8), 0.0, 1.0, signed=False, place=(7, 7)))
    assert shown.shape[:2] == (256, 256)
    assert shown[222, 230, :3].tolist() == list(look.MARK)
    assert shown[240, 240, :3].tolist() == [68, 1, 84], "the value itself is seen"


# Drawings


def test_bars_have_a_length_for_every_value():
    shown = pixels(chart.bars(["cat", "an unreasonably long class name"], [1.0, 0.25], width=400, line=20))
    blue = (shown[..., :3] == [0, 114, 178]).all(axis=-1)
    assert shown.shape[:2] == (80, 800)
    assert blue[20].sum() == 4 * blue[60].sum() - 3, "pixels from left to right, both ends included"


def test_curves_are_drawn_for_all_layers_and_series_that_there_are():
    series = {"inverse network": (DECODED, {"conv1": 30.0, "fc8": 15.0}), "optimisation": (OPTIMISED, {"fc8": 12.0})}
    shown = pixels(chart.curves(["conv1", "fc8"], series, ("one colour", 14.0), width=400, height=200))[..., :3]
    for style, least in ((DECODED, 1000), (OPTIMISED, 500)):
        colour = [int(style.colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (shown == colour).all(axis=-1).sum() > least
    high = (shown == [0, 158, 115]).all(axis=-1)[80:].any(axis=1).argmax()
    low = (shown == [213, 94, 0]).all(axis=-1)[80:].any(axis=1).argmax()
    assert high < low, "more decibels stand higher"


# Snapshot


def test_a_snapshot_of_very_many_colours_keeps_256_of_them_and_looks_the_same(monkeypatch):
    steps = torch.linspace(0, 1, 64)
    x = torch.stack([steps.expand(64, 64), steps[:, None].expand(64, 64), torch.full((64, 64), 0.5)])[None]
    x = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)  # as a drawing has
    picture = look.Picture("many colours")
    picture.paint(look.enlarged(x))
    exact = snapshot([look.Strip([picture])])
    monkeypatch.setattr("lecturekit.panels.snapshot.MOST", len(exact) - 1)
    few = snapshot([look.Strip([picture])])
    assert len(few) < 0.7 * len(exact)
    assert Image.open(io.BytesIO(few)).mode == "P"
    difference = np.abs(pixels(exact).astype(int) - pixels(few).astype(int))
    assert difference.mean() < 6, "of 255 levels"


def test_a_snapshot_has_the_pictures_of_all_strips_with_their_words():
    first, second = look.Picture("First", 64), look.Picture("Second", 128)
    first.paint(look.enlarged(torch.zeros(1, 3, 8, 8), 64), "one")
    second.paint(look.enlarged(torch.ones(1, 3, 8, 8) * 0.5, 64), "two\nlines")
    shown = pixels(snapshot([look.Strip([first, second]), look.Strip([first], "Heading")]))
    assert shown.shape[1] == 10 + 64 + 22 + 128 + 10
    assert (shown[60, 20, :3] == 0).all()
    assert (shown[60, 120, :3] == 128).all(), "shown twice as large, as on the screen"


def test_lines_are_broken_where_they_would_not_fit():
    lines = wrapped("a line of several words\nand another", 120, 15)
    assert lines[-1] == "and another"
    assert " ".join(lines) == "a line of several words and another"
    assert all(chart.font(15).getlength(line) <= 120 for line in lines)
    assert wrapped("", 120, 15) == []
