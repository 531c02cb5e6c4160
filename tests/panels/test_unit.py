import io
import time

import pytest
import torch
from PIL import Image
from torch import nn

from lecturekit import capture, deconv, features, measure
from lecturekit.errors import InputError
from lecturekit.features.gallery import crop
from lecturekit.networks import random_twin, residual_net
from lecturekit.panels import unit
from lecturekit.panels.album import before_relu
from lecturekit.panels.gallery import world_of
from lecturekit.panels.unit import Unit, nine_png
from lecturekit.panels.unit_views import RULES, seen_from_the_middle


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(unit, "MOMENT", 0.001)
    monkeypatch.setitem(features.tuned.__globals__, "STEPS", 8)


@pytest.fixture
def panel(networks):
    return Unit(networks, layer="conv2", filter=7)


def test_every_view_is_of_the_same_unit_and_the_same_activation(panel, networks):
    looked, model = panel.result, networks["one"]
    answers = capture.activations(model, looked.chosen.x, "conv2")["conv2"][0]
    assert torch.equal(looked.map, answers[7])
    assert looked.answer == answers[7].max()
    assert looked.place == divmod(int(answers[7].argmax()), 16)
    seen = deconv.climb(model, looked.chosen.x, "conv2")
    for rule in ("gradient", "guided", "deconvnet"):
        whole = deconv.project(seen, deconv.strongest(seen, 7), rule)
        top, left, bottom, right = looked.field
        torch.testing.assert_close(looked.projections[rule], whole[..., top:bottom, left:right])
        assert whole.abs().sum() == pytest.approx(looked.projections[rule].abs().sum()), "nothing lies outside"
    expected = features.gallery(model, "conv2", world_of("picturebook").data, cache=False)
    torch.testing.assert_close(looked.nine.patches, expected.patches(world_of("picturebook").data, 7))
    torch.testing.assert_close(torch.tensor(looked.nine.answers), expected.values[7])


def test_the_gradient_is_what_autograd_says(panel, networks):
    looked = panel.result
    x = looked.chosen.x.clone().requires_grad_()
    answer = capture.cut(networks["one"], "conv2")(x)[0, 7].max()
    (expected,) = torch.autograd.grad(answer, x, answer.detach())
    top, left, bottom, right = looked.field
    torch.testing.assert_close(looked.projections["gradient"], expected[..., top:bottom, left:right])


def test_captions_carry_the_numbers(panel):
    looked = panel.result
    row, column = looked.place
    assert (
        panel.picture.caption
        == f"flower, number 5\nconv2, filter 7: {looked.answer:.3g}\n{looked.rank[0]} answer more, of 40"
    )
    assert panel.map.caption.startswith(f"{looked.answer:.3g} in row {row}, column {column}\nabove zero in ")
    assert panel.patch.caption == f"14 × 14 pixels\nfrom row {looked.field[0]}, column {looked.field[1]}"
    for rule in RULES:
        pair = (maps.mean(dim=1) for maps in (looked.projections[rule], looked.patch))
        assert looked.likeness[rule] == pytest.approx(measure.correlation(*pair).item())
        assert panel.rules[rule].caption.endswith(
            f"0 is grey; correlation\nwith what it saw: {looked.likeness[rule]:.2f}"
        )
    answers = looked.nine.answers
    assert f"answers {answers[0]:.3g} to {answers[-1]:.3g}" in panel.nine.caption
    assert (
        panel.wish.caption
        == f"answers {looked.wish.answer:.3g}\n{looked.wish.answer / answers[0]:.2g} × the best drawing"
    )
    words = panel.alternative_text()
    assert all(
        part in words for part in ("Its wish: answers", "DeconvNet: the answer, sent down", "Its top nine: of 300")
    )


def test_the_rank_counts_the_filters_that_answer_more_at_their_strongest_place(panel):
    looked = panel.result
    loud = deconv.climb(panel.shelf.opened("one").model, looked.chosen.x, "conv2").answers[0].flatten(1).amax(dim=1)
    assert looked.rank == (int((loud > loud[7]).sum()), 40)
    assert panel.set(filter=int(loud.argmax())).result.rank[0] == 0
    assert panel.picture.caption.endswith("the loudest, of 40")


def test_the_answer_to_the_wish_is_measured_afresh_and_grows_with_the_steps(networks, monkeypatch):
    few = Unit(networks, layer="conv2", filter=7).result.wish
    monkeypatch.setitem(features.tuned.__globals__, "STEPS", 48)
    many = Unit(networks, layer="conv2", filter=7).result.wish
    assert many.answer > few.answer
    found = features.maximise(
        networks["one"], "conv2", features.neuron(7), size=(30, 30), **features.tuned("conv2")
    )  # 14 pixels that the unit sees and 8 on each side
    answers = capture.cut(networks["one"], "conv2")(found.x)
    assert many.answer == pytest.approx(answers[0, 7].max().item(), rel=1e-4)


def test_of_the_wish_no_more_is_shown_than_the_unit_sees(panel, networks):
    assert panel.result.wish.x.shape == (1, 3, 14, 14)
    x, part = torch.rand(1, 3, 40, 40), capture.cut(networks["one"], "conv2")
    middle = seen_from_the_middle(part, panel.shelf.field("one", "conv2"), x)
    other = torch.rand(1, 3, 40, 40)
    row, column = next(
        (i, j) for i in range(27) for j in range(27) if torch.equal(x[..., i : i + 14, j : j + 14], middle)
    )
    other[..., row : row + 14, column : column + 14] = middle
    torch.testing.assert_close(part(other)[0, 7, 5, 5], part(x)[0, 7, 5, 5])
    assert torch.equal(crop(x, torch.tensor([[row, column, row + 14, column + 14]])), middle)


def test_a_wish_for_a_unit_behind_a_relu_is_painted_in_front_of_it(networks):
    model = networks["one"]
    assert [before_relu(model, layer) for layer in ("conv1", "relu1", "pool1", "relu2", "fc3")] == [
        "conv1", "conv1", "conv1", "conv2", "fc3",
    ]  # fmt: skip
    branched = residual_net(("cat", "dog")).eval()
    assert before_relu(branched, "block2.relu1") == "block2.relu1", "in front of it may stand another unit"


def test_quick_views_come_first_then_patches_then_the_wish(networks, monkeypatch):
    monkeypatch.setattr("lecturekit.panels.base.TICK", 0.0)
    panel, told = Unit(networks, layer="conv1", filter=0), []
    monkeypatch.setattr(panel, "live", told.append)
    panel.set(layer="conv2", filter=9)
    states = [(looked.nine is not None, x is not None) for looked, x in told]
    assert states[0] == (False, False)
    assert states == sorted(states)
    assert set(states) == {(False, False), (True, False), (True, True)}
    assert {(looked.layer, looked.filter) for looked, _ in told} == {("conv2", 9)}


def test_what_belongs_to_the_unit_before_is_never_shown_beside_the_next(panel):
    wish, nine = panel.wish.png, panel.nine.png
    looked = panel.result._replace(nine=None, wish=None)
    panel.live((looked, None))
    assert panel.wish.png != wish
    assert panel.nine.png != nine
    assert panel.wish.caption == "not painted yet"
    assert panel.nine.caption == "follow when 300 drawings\nwere looked at"


def test_a_unit_that_was_seen_before_costs_neither_a_pass_nor_a_wish(panel, monkeypatch):
    first = panel.result
    panel.set(filter=8)
    for module, name in ((deconv, "climb"), (features, "gallery"), (features, "maximise")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("it is made again"))
    again = panel.set(filter=7).result
    assert again.wish is first.wish
    assert panel.trouble is None


def test_another_picture_changes_the_picture_s_views_and_leaves_the_unit_s_own(panel):
    first, wish, nine = panel.result, panel.wish.png, panel.nine.png
    second = panel.set(picture=9).result
    assert not torch.equal(first.map, second.map)
    assert (panel.wish.png, panel.nine.png) == (wish, nine)


def test_the_next_unit_does_not_wait_for_the_wish_of_the_last(networks, monkeypatch):
    panel = Unit(networks, layer="conv2", filter=7)
    monkeypatch.setitem(features.tuned.__globals__, "STEPS", 100_000)
    panel.controls["filter"].value = 8
    while panel.wish.caption != "being painted ...":
        time.sleep(0.001)
    panel.controls["filter"].value = 7
    assert panel.wait(20), "the work of a hundred thousand steps was given up"
    assert panel.result.filter == 7
    assert panel.picture.caption.splitlines()[1].startswith("conv2, filter 7")


def test_stop_keeps_the_wish_so_far_and_paints_it_anew_when_asked(networks, monkeypatch):
    panel = Unit(networks, layer="conv2", filter=7)
    monkeypatch.setitem(features.tuned.__globals__, "STEPS", 100_000)
    panel.controls["filter"].value = 8
    while panel.wish.caption != "being painted ...":
        time.sleep(0.001)
    panel.stop_button.click()
    assert panel.wait(20)
    assert not panel.result.wish.complete
    assert "\nstopped early" in panel.wish.caption
    monkeypatch.setitem(features.tuned.__globals__, "STEPS", 8)
    assert panel.refresh().result.wish.complete


def test_units_without_places_and_class_scores_are_seen_too(panel):
    looked = panel.set(layer="fc3", filter=1).result
    assert looked.map.shape == (1, 1)
    assert looked.field == (0, 0, 64, 64)
    assert not panel.map.seen
    assert not panel.patch.seen
    assert looked.nine.patches.shape == (9, 3, 64, 64)
    assert looked.wish.x.shape == (1, 3, 64, 64)
    assert f"fc3, dog: {looked.answer:.3g}" in panel.picture.caption
    assert panel.set(layer="conv2").map.seen


def test_a_class_score_below_zero_argues_against_the_class(panel, networks):
    logits = networks["one"](panel.result.chosen.x)[0]
    assert logits.min() < 0, "else choose another picture for this test"
    panel.set(layer="fc3", filter=int(logits.argmin()))
    assert panel.rules["gradient"].caption.startswith("what speaks against it\n")
    assert panel.result.projections["gradient"].any()


def test_a_unit_that_is_silent_in_this_picture_has_a_wish_all_the_same(panel, networks):
    networks["one"].conv2.bias[3] = -1000.0
    looked = panel.set(layer="relu2", filter=3).result
    assert panel.trouble is None
    assert looked.field is None
    assert panel.map.caption == "silent in this picture"
    assert panel.rules["deconvnet"].caption == "nothing to follow: it is silent in this picture"
    assert not panel.patch.seen
    assert panel.nine.caption.startswith("silent: no drawing brings")
    assert looked.wish.complete
    assert panel.wish.caption.endswith("no drawing brings it above zero")


def test_rules_that_a_network_cannot_follow_say_so_and_the_other_views_are_there():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        smooth = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.GELU(), nn.Conv2d(4, 6, 3, padding=1)).eval()
    panel = Unit({"smooth": smooth}, layer="2", filter=1)
    assert panel.trouble is None
    assert torch.is_tensor(panel.result.projections["gradient"])
    assert "this network has no nn.ReLU module" in panel.rules["guided"].caption


def test_a_network_that_branches_is_seen_in_every_way(networks):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        branched = random_twin(residual_net(("cat", "dog")).eval())
    looked = Unit({"branched": branched}, layer="block2.conv1", filter=2).result
    assert all(picture.any() for picture in looked.projections.values())
    assert looked.nine.answers[0] > 0
    assert looked.wish.complete


def test_pictures_of_another_size_are_drawn_for_the_network_that_wants_them(networks):
    looked = Unit({"one": nn.Sequential(*list(networks["one"])[:3]).eval()}, size=96, layer="1", filter=2).result
    assert looked.chosen.x.shape[-1] == 96
    assert looked.map.shape == (96, 96)
    assert looked.nine.patches.shape == (9, 3, 3, 3)


def test_filters_follow_the_layer_and_the_photograph_of_a_student_is_welcome(panel):
    panel.set(filter=39)
    panel.controls["layer"].value = "conv1"
    assert panel.wait(20)
    assert panel.settings()["filter"] == panel.controls["filter"].max == 5
    assert {"picture", "photograph", "upload", "camera"} <= set(panel.controls)


def test_nine_patches_stand_in_three_rows_of_equal_size_whatever_they_measure():
    for side in (3, 24, 100):
        x = torch.arange(9.0)[:, None, None, None].expand(9, 3, side, side) / 9
        sheet = Image.open(io.BytesIO(nine_png(x)))
        assert sheet.size == (190, 190), "3 tiles of 62 pixels and 2 gaps of 2"
        assert [sheet.getpixel((column, 10))[0] for column in (10, 63, 100, 170)] == [0, 255, 28, 57]


def test_what_does_not_exist_is_refused(panel):
    with pytest.raises(InputError, match="no layer named 'conv9'. Did you mean"):
        panel.set(layer="conv9")
    with pytest.raises(InputError, match="filter goes from 0 to 39, got 40"):
        panel.set(filter=40)
    assert "probabilities" not in panel.controls["layer"].options


def test_it_leaves_the_networks_as_they_were(panel, networks):
    panel.set(layer="fc3", filter=0)
    for module in networks["one"].modules():
        assert not module._forward_hooks
        assert not module.training
