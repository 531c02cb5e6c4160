import io

import pytest
import torch
from PIL import Image

from lecturekit import deconv
from lecturekit.errors import InputError, ModelError
from lecturekit.networks import random_twin, residual_net
from lecturekit.panels import look
from lecturekit.panels.stage import per_cent
from lecturekit.panels.steps import Descent

STEPS = ["start", "conv2", "pool1", "relu1", "conv1", "normalize"]


@pytest.fixture
def panel(networks):
    return Descent(networks, layer="conv2", filter=7)


def pixel(png, x, y):
    return Image.open(io.BytesIO(png)).convert("RGB").getpixel((x, y))


def test_the_steps_are_those_of_the_library_and_end_with_the_projection(panel, networks):
    way = panel.result.way
    seen = deconv.climb(networks["one"], way.chosen.x, "conv2")
    selected = deconv.strongest(seen, 7)
    for stage, expected in zip(way.stages, deconv.stages(seen, selected), strict=True):
        assert (stage.layer, stage.action) == (expected.layer, expected.action)
        torch.testing.assert_close(stage.signal, expected.signal)
    torch.testing.assert_close(way.stages[-1].signal, deconv.project(seen, selected))
    assert [words for words, _ in panel.controls["step"].options] == [f"{i} · {name}" for i, name in enumerate(STEPS)]


def test_the_slider_walks_from_the_selection_to_the_pixels(panel):
    way = panel.result.way
    for step in range(len(STEPS)):
        result = panel.set(step=step).result
        assert result.way is way, "the way is computed once for all of its steps"
        assert result.after is way.stages[step].signal
        assert torch.equal(result.before, way.stages[step - 1].signal if step else way.answers)
        marked = [view.title for view in panel.film if view.title.startswith("▸") and view.seen]
        assert marked == [f"▸ {STEPS[step]}"]
    assert panel.after.title == "After: pixels"


def test_what_a_step_does_stands_beside_it_as_sentence_and_equation(panel):
    expected = [
        "Every other activation",
        "R ← wᵀ R",
        "where its maximum stood",
        "R ← max(R, 0).",
        "R ← wᵀ R",
        "R · factor",
    ]
    for step, words in enumerate(expected):
        assert words in panel.set(step=step).after.caption
    assert "R ← R · [z > 0]." in panel.set(step=3, rule="gradient").after.caption
    assert "R ← max(R, 0) · [z > 0]." in panel.set(rule="guided").after.caption
    assert "R ← R." in panel.set(rule="linear").after.caption


def test_shape_zeros_energy_and_largest_value_are_those_of_all_maps(panel):
    signal = panel.set(step=3).result.after
    assert signal.shape == (1, 6, 64, 64)
    zeros = 100 * (signal == 0).float().mean()
    assert f"6 × 64 × 64, {zeros:.1f} % zeros\n" in panel.after.caption
    assert f"Σ R² = {signal.square().sum():.3g}\nlargest ±{signal.abs().max():.3g}" in panel.after.caption
    before = panel.result.before
    assert f"Σ R² = {before.square().sum():.3g}" in panel.before.caption


def test_unpooling_keeps_the_energy_and_puts_every_value_on_a_yellow_switch(panel):
    result = panel.set(step=2, zoom=False).result
    assert result.after.square().sum() == pytest.approx(result.before.square().sum().item(), rel=1e-5)
    channel, _ = result.maps()
    assert panel.tool.title == f"Switches of map {channel}"
    carried = result.after[0, channel].nonzero()
    assert f"yellow: and a value comes down to it ({len(carried)})" in panel.tool.caption
    row, column = carried[0].tolist()
    assert pixel(panel.tool.png, 4 * column + 2, 4 * row + 2) == (253, 231, 37), "the last colour of viridis"
    switch = result.way.links[1].step.switches[0, channel].flatten()
    assert set((carried[:, 0] * 64 + carried[:, 1]).tolist()) <= set(switch.tolist())


def test_a_step_that_leaves_the_maps_apart_shows_the_same_map_in_the_same_colours(panel):
    result = panel.set(step=3, zoom=False).result
    before, after = result.maps()
    assert before == after
    assert panel.before.title == panel.after.title.replace("After", "Before") == f"Before: map {after} of 6"
    row, column = divmod(int(result.after[0, after].argmax()), 64)
    assert result.before[0, after, row, column] == result.after[0, after, row, column]
    place = 4 * column + 2, 4 * row + 2
    assert pixel(panel.before.png, *place) == pixel(panel.after.png, *place)


def test_what_a_relu_lets_through_is_counted_and_painted(panel):
    result = panel.set(step=3, zoom=False).result
    _, channel = result.maps()
    before, after = (signal[0, channel] for signal in (result.before, result.after))
    cut = (before != 0) & (after == 0)
    assert f"becomes 0 ({int(cut.sum())})" in panel.tool.caption
    assert f"stays ({int((after != 0).sum())})" in panel.tool.caption
    assert "the ReLU was on" not in panel.tool.caption
    panel.set(rule="guided")
    assert "the ReLU was on at" in panel.tool.caption


def test_a_filter_is_shown_from_the_map_before_to_the_map_after(panel, networks):
    result = panel.set(step=1).result
    before, after = result.maps()
    assert before == 7, "one activation of filter 7"
    weight = networks["one"].conv2.weight[before, after]
    limit = weight.abs().max().item()
    assert panel.tool.png == look.map_png(weight, -limit, limit, signed=True)
    assert panel.tool.title == f"Filter from 7 to {after}"
    assert panel.set(step=4).tool.caption == "3 × 3 weights in three colours, 0 is grey"
    assert not panel.set(step=5).tool.seen, "a factor needs no picture"


def test_only_what_the_activation_sees_is_cut_out_where_the_frame_is(panel):
    result = panel.set(step=5).result
    top, left, bottom, right = result.way.field
    shown = deconv.visible(result.after)[..., top:bottom, left:right]
    assert panel.after.png == look.enlarged(shown)
    assert panel.set(zoom=False).after.png == look.enlarged(deconv.visible(result.after))


def test_units_without_places_are_a_square_of_numbers(panel):
    result = panel.set(layer="fc3", filter=2, step=1).result
    assert result.stage.action == "filter"
    assert panel.before.title == "Before: unit 2 of 3"
    assert panel.tool.title == "Weights of unit 2"
    assert "10240 numbers" in panel.tool.caption
    assert panel.set(step=2).result.stage.action == "reshape"
    assert not panel.tool.seen
    assert panel.after.title.endswith("of 40")


def test_another_layer_has_other_steps_and_a_step_that_is_gone_becomes_the_first(panel):
    panel.set(step=5)
    panel.controls["layer"].value = "conv1"
    assert panel.wait(20)
    assert [words for words, _ in panel.controls["step"].options] == ["0 · start", "1 · conv1", "2 · normalize"]
    assert panel.settings()["step"] == 0
    assert panel.controls["filter"].max == 5
    assert [view.seen for view in panel.film[:4]] == [True, True, True, False]
    assert panel.trouble is None


def test_switches_rule_selection_and_weights_are_those_asked_for(panel, networks):
    way = panel.set(network="other", random=True, switches="centre", rule="guided", selection="map").result.way
    seen = deconv.climb(random_twin(networks["other"]), way.chosen.x, "conv2")
    expected = deconv.project(seen, deconv.whole_map(seen, 7), "guided_centre")
    torch.testing.assert_close(way.stages[-1].signal, expected)


def test_a_way_longer_than_the_room_shows_the_part_around_the_step(panel, monkeypatch):
    panel.film, panel.strips[1].pictures[:] = panel.film[:3], panel.film[:3]
    titles = [view.title for view in panel.set(step=4).film]
    assert titles == ["relu1", "▸ conv1", "normalize"]
    assert [view.title for view in panel.set(step=0).film] == ["▸ start", "conv2", "pool1"]


def test_a_network_that_branches_has_no_steps_and_says_so_in_words(networks):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        branched = random_twin(residual_net(("cat", "dog")).eval())
    panel = Descent(networks | {"branched": branched}, layer="conv1")
    panel.set(network="branched", layer="block3.conv1")
    assert [words for words, _ in panel.controls["step"].options] == ["0 · start"]
    with pytest.raises(ModelError, match="step by step goes for a chain of layers only"):
        panel.result  # noqa: B018
    assert "Step by step goes for a chain" in panel._says.value
    assert panel.set(network="one", layer="conv1").trouble is None


def test_what_does_not_exist_is_refused(panel):
    with pytest.raises(InputError, match="no step named 6"):
        panel.set(step=6)
    with pytest.raises(InputError, match="no layer named 'conv9'. Did you mean"):
        panel.set(layer="conv9")
    with pytest.raises(InputError, match="filter goes from 0 to 39, got 40"):
        panel.set(filter=40)


def test_shares_are_told_with_the_digits_that_say_something():
    assert [per_cent(share) for share in (0, 0.00004, 0.5, 0.99, 1)] == [
        "0.0 %",
        "0.004 %",
        "50.0 %",
        "99.0 %",
        "100.0 %",
    ]


def test_the_panel_ships_ready_to_use_and_its_figure_is_small():
    panel = Descent(["picturebook"], layer="fc8", filter=3, step=5)
    assert panel.trouble is None
    assert len(panel.snapshot()) < 200_000
    assert "▸ fc6" in panel.alternative_text()
