import pytest

from lecturekit.errors import FileError, InputError
from lecturekit.panels import controls as knobs


def test_a_weight_is_off_or_a_power_of_ten_with_its_exponent_raised():
    assert knobs.power_of_ten(0.0) == "off"
    assert knobs.power_of_ten(3e-4) == "3 × 10⁻⁴"
    assert knobs.power_of_ten(1.0) == "1 × 10⁰"
    assert knobs.power_of_ten(0.0255) == "2.55 × 10⁻²"


def test_a_weight_that_is_no_step_of_the_slider_becomes_one():
    weight = knobs.Weight("TV weight", 1e-3)
    steps = len(weight.options)
    weight.turn_to(0.002)
    assert (weight.value, weight.label) == (0.002, "2 × 10⁻³")
    assert [number for _, number in weight.options] == sorted(number for _, number in weight.options)
    weight.turn_to(0)
    assert (weight.value, len(weight.options)) == (0.0, steps + 1)


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "much", True, None])
def test_a_weight_refuses_what_is_no_weight(wrong):
    with pytest.raises(InputError, match="TV weight is a number from 0, got"):
        knobs.Weight("TV weight", 1e-3).turn_to(wrong)


def test_a_menu_that_is_offered_other_choices_stays_where_it_is_if_it_can():
    menu = knobs.menu("Layer", ["conv1", "conv2", "fc8"], "conv2")
    knobs.offer(menu, ["conv2", "fc7"])
    assert menu.value == "conv2"
    knobs.offer(menu, ["conv9", "fc7"])
    assert menu.value == "conv9"


def test_a_file_is_handed_in_as_a_browser_does(tmp_path):
    path = tmp_path / "me.png"
    path.write_bytes(b"content")
    button = knobs.file_button()
    knobs.put("upload", button, path)
    assert (button.value[-1]["name"], bytes(button.value[-1]["content"])) == ("me.png", b"content")
    knobs.put("upload", button, b"other")
    assert bytes(button.value[-1]["content"]) == b"other"
    with pytest.raises(FileError, match="cannot be read"):
        knobs.put("upload", button, tmp_path / "missing.png")


def test_a_button_calls_its_action():
    pressed = []
    knobs.button("Go", "why", lambda: pressed.append(1)).click()
    assert pressed == [1]


def test_a_control_says_its_name_and_where_it_stands():
    assert knobs.spoken(knobs.slider("Filter", 0, 9, 4)) == "Filter: 4"
    assert knobs.spoken(knobs.menu("Norm", [("L2: all values", "L2")])) == "Norm: L2: all values"
    assert knobs.spoken(knobs.Weight("TV weight", 1e-3)) == "TV weight: 1 × 10⁻³"
    assert knobs.spoken(knobs.tick("all maps at once", True)) == "all maps at once: on"
    button = knobs.file_button()
    knobs.put("upload", button, b"content")
    assert knobs.spoken(button) == "Choose a picture: picture"
