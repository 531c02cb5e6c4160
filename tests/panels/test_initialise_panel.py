import math
import time

import pytest
import torch
from torch import nn

from lecturekit import features, networks
from lecturekit.errors import InputError
from lecturekit.panels import axes, standing
from lecturekit.panels.axes import Axis, Line, legend, within
from lecturekit.panels.initialise import Initialise, sizes, told
from lecturekit.panels.starts import GUESSING, Learning, Started, chain
from lecturekit.pictures.picturebook import CLASSES
from lecturekit.plots import BASELINE, LOOKS
from lecturekit.progress import STOP, Step
from tests.panels.conftest import tiny
from tests.panels.test_transfer_panel import opened

PATIENCE = 60


@pytest.fixture(scope="module")
def own():
    return {"mine": tiny(0, CLASSES)}


@pytest.fixture(scope="module")
def panel(own):
    return Initialise(own)


# What is measured


@pytest.mark.parametrize("scheme", features.SCHEMES)
def test_the_signal_is_that_of_the_library(panel, own, scheme):
    panel.set(network="mine", scheme=scheme, beside="he", seed=3, train=False)
    expected = features.signal(features.initialised(own["mine"], scheme, 3), *standing.drawings(20))
    assert panel.result[0].signals == expected
    assert panel.result[0].scheme == scheme
    assert len(panel.result) == (1 if scheme == "he" else 2)


def test_slopes_count_upwards_and_on_the_way_back_without_the_last_layer():
    rows = [features.initialise.Signal(f"conv{i}", 10.0**i, 100.0**-i, 0.0) for i in range(4)]
    one = Started("he", [*rows, features.initialise.Signal("fc", 1e9, 1e9, 1.0)])
    assert one.slopes == pytest.approx((1.0, 2.0))
    silent = Started("he", [*rows[:2], rows[2]._replace(gradient=0.0, activation=0.0), rows[3]])
    assert silent.slopes == (-math.inf, -math.inf)


def test_the_verdicts_are_those_of_the_library(panel):
    for scheme in features.SCHEMES:
        (first, *_) = panel.set(network="small", scheme=scheme, beside="he", train=False).result
        healthy = panel.up.caption.startswith(f"{scheme}: times") and "healthy" in panel.up.caption.split("\n")[0]
        healthy &= "healthy" in panel.down.caption.split("\n")[0]
        assert healthy == features.healthy(first.signals), scheme
    assert told(0.1).endswith("(+0.10 decades): healthy")
    assert told(-0.11).endswith("(−0.11 decades): beyond the alarm of ±0.1")
    assert told(-math.inf) == "dies out: exactly zero on the way"


def test_the_chain_has_as_many_layers_as_was_asked_for_and_forgives_less_the_deeper_it_is(panel):
    for depth in (3, 12, 40):
        layers = [part for part in chain(depth) if isinstance(part, nn.Conv2d | nn.Linear)]
        assert len(layers) == depth
    shallow, deep = (
        panel.set(network="chain", depth=depth, scheme="xavier", train=False).result[0].signals for depth in (4, 40)
    )
    assert len(deep) == 40
    assert deep[-2].activation < 1e-3 * shallow[-2].activation


def test_the_network_of_the_course_is_one_of_them(panel):
    (first, _) = panel.set(network="course", scheme="too small", beside="he", seed=0, train=False).result
    model = networks.lecture_net(CLASSES)
    assert [row.layer for row in first.signals] == [f"conv{i}" for i in range(1, 6)] + ["fc6", "fc7", "fc8"]
    assert first.signals == features.signal(features.initialised(model, "too small"), *standing.drawings(20))


def test_what_is_known_is_not_measured_again(panel, monkeypatch):
    first = panel.set(network="mine", scheme="he", beside="xavier", seed=0, train=False).result
    panel.set(seed=1)
    monkeypatch.setattr(features, "signal", lambda *_: pytest.fail("it is measured again"))
    assert panel.set(seed=0).result[0] is first[0]


# Training


def test_it_learns_as_the_library_does(panel, own, monkeypatch):
    monkeypatch.setattr("lecturekit.panels.starts.LESSON", 40)
    panel.set(network="mine", scheme="too large", beside="he", seed=0, train=True, steps=10)
    monkeypatch.setattr("lecturekit.panels.starts.features.learn", lambda *_, **__: pytest.fail("it learns again"))
    bad, good = panel.result
    assert good.losses[0] > 0
    assert len(good.losses) == 10
    assert bad.losses[0] > 10 * good.losses[0]
    assert panel.loss.seen
    assert panel.refresh().result[1].losses is good.losses
    assert f"guessing: {GUESSING:.2f}" in panel.loss.caption
    assert f"he: {good.losses[0]:.3g} at first, {good.losses[-1]:.3g} after 10 steps" in panel.loss.caption
    assert not panel.set(train=False).loss.seen


def test_losses_are_carried_while_it_learns_and_the_stop_is_noticed():
    seen, answers = [], iter([None, None, STOP])
    started = [Started("a", [], (1.0,)), Started("b", [])]
    told = Learning(lambda step: seen.append(step) or next(answers), started, 1, 3)
    for done, loss in enumerate((2.0, 1.5, 1.0), 1):
        last = told(Step(done, 3, loss))
    assert [step.done for step in seen] == [4, 5, 6]
    assert seen[-1].total == 6
    assert seen[1].picture[1].losses == (2.0, 1.5)
    assert seen[1].picture[0] is started[0]
    assert last == STOP
    assert told.ended


def test_stop_keeps_the_losses_so_far(own, monkeypatch):
    monkeypatch.setattr("lecturekit.panels.starts.LESSON", 40)
    panel = Initialise(own, network="mine", beside="he", scheme="xavier", steps=200)
    with panel.together():
        panel.controls["train"].value = True
    panel._ask()
    while panel._bar.value < 2:
        time.sleep(0.002)
    panel.stop_button.click()
    assert panel.wait(PATIENCE)
    first, second = panel.result
    assert 0 < len(first.losses) < 200
    assert second.losses == ()
    assert "stopped after" in panel._status.value
    assert "xavier: " in panel.loss.caption


# What is drawn


def test_curves_have_gaps_where_the_value_is_exactly_zero(monkeypatch):
    drawn = []
    monkeypatch.setattr(axes, "lines", lambda series, *rest, **how: drawn.append((series, *rest)) or b"")
    rows = [features.initialise.Signal(f"conv{i}", value, 1.0, 0.0) for i, value in enumerate((100.0, 0.0, 0.01))]
    sizes([Started("he", rows)], "activation")
    (series, across, up, *_) = drawn[0]
    assert series[0].points == [(1, pytest.approx(2)), (2, None), (3, pytest.approx(-2))]
    assert min(up.ticks) <= -2
    assert max(up.ticks) >= 2
    assert up.ticks[0] == "1"
    assert across.ticks == {1: "conv0", 2: "conv1", 3: "conv2"}


def test_a_curve_goes_through_its_points_with_its_interval_and_its_gap():
    up, across = Axis("y", {0: "0", 1: "1"}), Axis("x", {0: "0", 4: "4"})
    look = LOOKS[0]
    with_gap = opened(axes.lines([Line("a", look, [(0, 1), (1, None), (2, 1), (4, 1)])], across, up)).convert("RGB")
    whole = opened(axes.lines([Line("a", look, [(0, 1), (1, 1), (2, 1), (4, 1)])], across, up)).convert("RGB")
    blue = tuple(bytes.fromhex(look.colour[1:]))

    def touched(sheet, y):
        return {x for x in range(sheet.width) if sheet.getpixel((x, y)) == blue}

    top = next(y for y in range(60, whole.height) if len(touched(whole, y)) > 500)
    assert len(touched(whole, top)) > 1.8 * len(touched(with_gap, top)) > 0
    bars = opened(axes.lines([Line("a", look, [(2, 0.5, 0.25, 0.75)])], across, up)).convert("RGB")
    upright = [y for y in range(80, bars.height) for x in (bars.width // 2 + 28,) if (bars.getpixel((x, y)) == blue)]
    assert not upright or max(upright) - min(upright) < bars.height


def test_what_lies_beyond_an_axis_is_drawn_at_its_end():
    assert within(5, {0: "", 10: ""}, 100, 300) == 200
    assert within(50, {0: "", 10: ""}, 100, 300) == 300
    assert within(-1, {0: "", 10: ""}, 300, 100) == 300


def test_names_that_do_not_fit_go_one_row_down():
    places = legend(["a rather long name of a curve"] * 3, 1240)
    assert [row for _, row in places] == [0, 0, 1]
    assert places[0][0] == places[2][0]
    assert legend(["x" * 300, "y"], 1240)[1][1] == 1


def test_a_control_is_dashed_and_lies_below():
    up, across = Axis("y", {0: "0", 1: "1"}), Axis("x", {0: "0", 4: "4"})
    flat = [(0, 1), (4, 1)]
    around = (300, 100, 1100, 160)  # where the curves are, and no words
    grey = tuple(bytes.fromhex(BASELINE.colour[1:]))
    for series in ([("control", BASELINE), ("curve", LOOKS[0])], [("curve", LOOKS[0]), ("control", BASELINE)]):
        both = opened(axes.lines([Line(*one, flat) for one in series], across, up)).convert("RGB")
        below = both.crop(around).getcolors(1 << 20)
        assert grey not in {colour for _, colour in below}, "covered by the curve, in whatever order they come"
    alone = opened(axes.lines([Line("control", BASELINE, flat)], across, up)).convert("RGB")
    counted = dict((colour, count) for count, colour in alone.crop(around).getcolors(1 << 20))
    assert 0.3 < counted[grey] / (5 * 800) < 0.8, "dashes: more than nothing, less than a line"


def test_bars_have_heights_and_marks_stand_below_the_line():
    up = Axis("share", {0: "0", 1: "1"})
    sheet = opened(axes.columns([1.0, 0.5, 0.0], up, marked=[2], chosen=1)).convert("RGB")
    counted = {colour: count for count, colour in sheet.getcolors(1 << 20)}
    assert counted[(213, 94, 0)] > 500, "a mark, though the bar has no height"
    blue = (0, 114, 178)
    heights = [y for y in range(sheet.height) if sheet.getpixel((200, y)) == blue]
    black = [y for y in range(sheet.height) if sheet.getpixel((500, y)) == (34, 34, 34)]
    assert len(heights) == pytest.approx(2 * len(black), rel=0.2)


# What can go wrong


def test_knobs_are_seen_only_where_they_do_something(panel):
    panel.set(network="mine", train=False)
    assert [panel.controls[name].layout.display for name in ("depth", "steps")] == ["none", "none"]
    panel.set(network="chain", depth=3)
    assert [panel.controls[name].layout.display for name in ("depth", "steps")] == ["", "none"]


def test_what_does_not_exist_is_refused_and_what_does_not_fit_is_told(panel):
    with pytest.raises(InputError, match="no scheme named 'kaiming'"):
        panel.set(scheme="kaiming")
    with pytest.raises(InputError, match="depth goes from 3 to 40, got 41"):
        panel.set(depth=41)
    wrong = Initialise({"flat": nn.Sequential(nn.Flatten(), nn.Linear(7, 10))})
    assert wrong.trouble is not None
    assert wrong.set(network="small").trouble is None


def test_a_network_of_ones_own_keeps_its_weights(panel, own):
    before = own["mine"].conv1.weight.clone()
    panel.set(network="mine", scheme="constant", train=False)
    torch.testing.assert_close(own["mine"].conv1.weight, before)


def test_a_setting_that_was_seen_is_there_at_once(panel):
    for seed in (0, 1, 0):
        panel.set(network="small", scheme="too large", beside="he", seed=seed, train=False)
    began = time.process_time()  # the clock on the wall would also measure who else is at work
    for seed in (1, 0, 1, 0):
        panel.set(seed=seed)
    assert (time.process_time() - began) / 4 < 0.1
