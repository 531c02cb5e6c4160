import io
import re

import pytest
import torch
from PIL import Image

from lecturekit.capture import activations
from lecturekit.errors import InputError
from lecturekit.panels import ForwardPass, look
from lecturekit.panels.forward import furthest, named, seen_from


@pytest.fixture
def panel(networks):
    return ForwardPass(networks)


def test_the_code_is_what_the_network_says(panel, networks):
    answer = panel.set(layer="relu2", picture=3).result
    code = activations(networks["one"], answer.chosen.x, "relu2")["relu2"]
    torch.testing.assert_close(answer.code[None], code)
    torch.testing.assert_close(answer.probabilities, networks["one"](answer.chosen.x).softmax(1)[0])


def test_the_loudest_place_is_the_largest_value_of_the_filter(panel):
    answer = panel.set(layer="conv2", filter=7).result
    assert answer.code[7].max() == answer.code[7][answer.place]


def test_the_frame_is_the_receptive_field_within_the_picture(panel):
    answer = panel.set(layer="conv2", filter=7).result
    row, column = answer.place
    top, left, bottom, right = answer.field
    assert top == max(0, 4 * row - 5)  # pool 4x4 after a 3x3 convolution, then 3x3: 14 pixels from 4 * (row - 1) - 1
    assert bottom == min(64, 4 * row - 5 + 14)
    assert left == max(0, 4 * column - 5)
    assert right == min(64, 4 * column - 5 + 14)
    assert f"it sees {bottom - top} × {right - left} pixels" in panel.map.caption


def test_a_network_whose_fields_are_unknown_shows_no_frame():
    assert seen_from(None, (3, 4), (64, 64)) is None


def test_numbers_stand_in_the_caption(panel):
    answer = panel.set(layer="relu2").result
    zeros = 100 * (answer.code == 0).float().mean()
    assert "40 maps of 16 × 16" in panel.maps.caption
    assert f"mean {answer.code.mean():.3g}, {zeros:.0f} % zeros" in panel.maps.caption
    assert "dark 0, yellow" in panel.maps.caption
    panel.set(layer="conv2")
    assert "white 0, red up to" in panel.maps.caption, "before the ReLU there are signs"


def test_the_page_turns_to_the_filter_that_is_looked_at(panel):
    panel.set(layer="conv2", filter=35)
    assert panel.maps.title == "conv2: filters 32 to 39 of 40"
    panel.set(everything=True)
    assert panel.maps.title == "conv2: filters 0 to 39 of 40"


def test_the_map_shown_large_is_the_chosen_filter_in_the_colours_of_the_layer(panel):
    answer = panel.set(layer="relu2", filter=5).result
    row, column = answer.place
    expected = look.indexed(look.shades(answer.code[5][None], 0.0, answer.code.max())[0], signed=False)
    shown = Image.open(io.BytesIO(panel.map.png)).convert("RGB")
    assert shown.size == (256, 256)
    loudest = shown.getpixel((16 * column + 8, 16 * row + 8))
    assert loudest == Image.open(io.BytesIO(expected)).convert("RGB").getpixel((column, row))


def test_on_its_own_scale_a_faint_map_uses_all_colours(panel):
    answer = panel.set(layer="relu2", filter=0).result
    faint = int(answer.code.amax(dim=(1, 2)).where(answer.code.amax(dim=(1, 2)) > 0, torch.inf).argmin())
    dark = panel.set(filter=faint).map.png
    panel.set(own_scale=True)
    assert (253, 231, 37) in Image.open(io.BytesIO(panel.map.png)).convert("RGB").get_flattened_data()
    assert panel.map.png != dark
    assert "each map on its own scale" in panel.maps.caption


def test_a_silent_filter_is_called_silent(panel, networks):
    networks["one"].conv2.weight[3], networks["one"].conv2.bias[3] = 0, -1
    panel.set(layer="relu2", filter=3)
    assert panel.map.caption == "silent: all zeros for this picture"


def test_layers_without_places_show_their_values(panel):
    answer = panel.set(layer="fc3", filter=2).result
    assert answer.code.shape == (3, 1, 1)
    assert answer.field == (0, 0, 64, 64)
    assert f"number 2 has the value {answer.code[2].item():.3g}" in panel.maps.caption
    assert not panel.map.seen


def test_probabilities_are_bars_with_the_names_of_the_classes(panel):
    panel.set(layer="probabilities")
    assert panel.maps.title == "Probabilities"
    assert not panel.map.seen
    assert panel.set(layer="conv1").map.seen


def test_another_network_keeps_the_layer_and_the_numbers_follow(panel, networks):
    panel.set(layer="conv2", filter=9)
    before = panel.maps.png
    panel.controls["network"].value = "other"
    assert panel.wait(20)
    assert panel.settings()["layer"] == "conv2"
    assert panel.settings()["filter"] == 9
    assert panel.maps.png != before


def test_a_layer_with_fewer_filters_brings_the_slider_back_into_its_range(panel):
    panel.set(layer="conv2", filter=39)
    panel.controls["layer"].value = "conv1"
    assert panel.wait(20)
    assert panel.settings()["filter"] == panel.controls["filter"].max == 5
    assert panel.trouble is None


def test_unknown_layers_and_filters_are_refused(panel):
    with pytest.raises(InputError, match="no layer named 'conv9'. Did you mean"):
        panel.set(layer="conv9")
    with pytest.raises(InputError, match="filter goes from 0 to 39, got 40"):
        panel.set(layer="conv2", filter=40)
    assert panel.settings()["layer"] == "conv1"
    assert panel.controls["filter"].max == 5


def test_a_wrong_file_is_told_in_the_panel_and_another_picture_mends_it(panel):
    panel.set(world="upload", upload=b"no picture at all")
    assert "cannot be read as a picture" in panel._says.value
    panel.set(world="photographs", photograph="cat")
    assert panel.trouble is None
    assert panel.picture.caption.startswith("cat\nthe network says ")


def test_a_forward_pass_leaves_the_network_as_it_was(panel, networks):
    panel.set(layer="conv2")
    for module in networks["one"].modules():
        assert not module._forward_hooks
        assert not module.training


def titles(panel):
    return re.findall(r"<i title='([^']*)'></i>", panel.map.cells)


def test_pointing_at_the_map_tells_row_column_and_value(panel):
    code = panel.set(layer="conv2", filter=7).result.code[7]
    told = titles(panel)
    assert len(told) == 16 * 16
    assert told[3 * 16 + 5] == f"row 3, column 5: {code[3, 5]:.3g}"
    assert "grid-template: repeat(16, 1fr) / repeat(16, 1fr)" in panel.map.cells
    code = panel.set(filter=8).result.code[8]
    assert titles(panel)[-1] == f"row 15, column 15: {code[15, 15]:.3g}"


def test_of_a_large_map_each_cell_tells_the_value_furthest_from_zero(panel):
    code = panel.set(layer="conv1", filter=2).result.code[2]
    told = titles(panel)
    assert len(told) == 32 * 32
    block = code[6:8, 10:12].flatten()
    assert told[3 * 32 + 5] == f"rows 6 to 7, columns 10 to 11: up to {block[block.abs().argmax()]:.3g}"


def test_blocks_that_do_not_fit_end_with_the_map():
    assert [named("row", first, 3, 7) for first in range(0, 7, 3)] == ["rows 0 to 2", "rows 3 to 5", "row 6"]
    values = torch.tensor([[1.0, -4, 2, 0, 5], [3, 0, -2, 1, -6], [0, 0, 0, 0, -7]])
    assert furthest(values, 2).tolist() == [[-4, 2, -6], [0, 0, -7]]
    assert torch.equal(furthest(values, 1), values)


def test_the_keyboard_reads_the_same_number_and_the_frame_goes_there(panel):
    assert [panel.controls[name].layout.display for name in ("row", "column")] == ["none", "none"]
    answer = panel.set(layer="conv2", filter=7, at="place", row=3, column=5).result
    assert [panel.controls[name].layout.display for name in ("row", "column")] == ["", ""]
    assert answer.place == (3, 5)
    assert panel.map.caption.startswith(f"value {answer.code[7, 3, 5]:.3g}\nin row 3, column 5\n")
    assert titles(panel)[3 * 16 + 5].endswith(f": {answer.code[7, 3, 5]:.3g}")
    assert answer.field == (4 * 3 - 5, 4 * 5 - 5, 4 * 3 + 9, 4 * 5 + 9), "14 pixels from 4 * (place - 1) - 1"
    assert panel.set(at="loudest").map.caption.startswith("loudest ")


def test_row_and_column_end_where_the_map_ends(panel):
    panel.set(layer="conv1", at="place", row=63, column=63)
    panel.controls["layer"].value = "conv2"
    assert panel.wait(20)
    assert panel.result.place == (15, 15)
    panel.set(layer="fc3")
    assert panel.controls["at"].layout.display == panel.controls["row"].layout.display == "none"
    assert panel.trouble is None
    with pytest.raises(InputError, match="row goes from 0 to 15, got 16"):
        panel.set(layer="conv2", row=16)


def test_the_numbers_to_point_at_weigh_little_even_for_the_largest_maps():
    panel = ForwardPass(["picturebook"], layer="conv1", everything=True)
    assert len(panel.map.cells) < 70_000
    assert len(panel.snapshot()) <= 200_000
