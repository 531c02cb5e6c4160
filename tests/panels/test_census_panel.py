import time
from collections import OrderedDict

import pytest
import torch

from lecturekit import features
from lecturekit.capture import activations
from lecturekit.errors import InputError
from lecturekit.panels.base import Memory
from lecturekit.panels.census import Census, about_patches, kernel
from lecturekit.panels.rolls import few, fired
from lecturekit.pictures.picturebook import PictureBook
from tests.panels.conftest import tiny
from tests.panels.test_transfer_panel import opened

PATIENCE = 60


@pytest.fixture(scope="module")
def pair():
    return {"one": tiny(0), "other": tiny(1)}


@pytest.fixture(scope="module")
def panel(pair):
    return Census(pair, layer="conv2", count=20)


@pytest.fixture
def calm(panel):
    """The panel with nothing planted."""
    settings = {"world": "picturebook", "network": "one", "defect": "none", "layer": "conv2", "filter": 0, "count": 20}
    return panel.set(**settings, parts=False)


# What is counted


def test_the_census_is_that_of_the_library(calm, pair):
    expected = features.census(pair["one"], PictureBook("test", 20))
    assert calm.result.roll.census.findings == expected.findings
    assert calm.result.roll.census.pictures == 20
    assert "counted on 20 pictures" in calm.table.caption


def test_how_often_and_how_strongly_is_counted_behind_the_relu(calm, pair):
    roll, x = calm.result.roll, PictureBook("test", 20).tensors()
    maps = activations(pair["one"], x, "relu2")["relu2"].flatten(2)  # (N, K, places)
    torch.testing.assert_close(roll.places, (maps > 0).float().mean((0, 2)))
    torch.testing.assert_close(roll.seen, (maps > 0).any(2).float().mean(0))
    torch.testing.assert_close(roll.mean, maps.mean((0, 2)))
    torch.testing.assert_close(roll.largest, maps.amax((0, 2)))


def test_a_layer_that_no_activation_follows_is_counted_itself(pair):
    x = PictureBook("test", 20).tensors()
    logits = pair["one"](x)
    places, seen, mean, largest = fired(pair["one"], "fc3", x, lambda step: None)
    torch.testing.assert_close(mean, logits.mean(0))
    torch.testing.assert_close(places, (logits > 0).float().mean(0))
    torch.testing.assert_close(seen, places)
    torch.testing.assert_close(largest, logits.amax(0))


def test_a_stop_counts_on_what_was_seen(pair):
    x = PictureBook("test", 120).tensors()
    places, *_ = fired(pair["one"], "conv1", x, lambda step: "stop")
    torch.testing.assert_close(places, fired(pair["one"], "conv1", x[:50], lambda step: None)[0])


def test_the_patches_are_those_of_the_gallery(calm, pair):
    found = features.gallery(pair["one"], "conv2", PictureBook("test", 20), k=9)
    torch.testing.assert_close(calm.set(filter=7).result.patches, found.patches(PictureBook("test", 20), 7))
    torch.testing.assert_close(calm.result.weight, pair["one"].conv2.weight[7])


def test_the_part_is_that_of_the_library(calm, pair):
    scores = features.part_scores(pair["one"], "conv2", PictureBook("test", 20))
    iou, part = scores.iou[3].nan_to_num(-1).max(0)
    assert "marks best" not in calm.patches.caption
    calm.set(parts=True, filter=3)
    assert f"marks best: {scores.parts[part]},\nIoU {iou:.2f}" in calm.patches.caption
    assert "marks best" not in calm.set(layer="fc3", filter=0).patches.caption, "it has no places"
    assert "marks best" not in calm.set(layer="conv2", world="photographs").patches.caption, "nobody knows their parts"


def test_walking_through_filters_goes_through_nothing_again(calm, monkeypatch):
    for name in ("census", "gallery"):
        monkeypatch.setattr(features, name, lambda *_, **__: pytest.fail("it is gone through again"))
    monkeypatch.setattr("lecturekit.panels.census.fired", lambda *_: pytest.fail("it is gone through again"))
    began = time.process_time()  # the clock on the wall would also measure who else is at work
    for channel in (1, 2, 3, 4):
        assert calm.set(filter=channel).trouble is None
    assert (time.process_time() - began) / 4 < 0.1


# Planted defects


@pytest.mark.parametrize("defect", [name for name in features.DEFECTS if name != "rare"])
def test_every_planted_defect_is_found_under_its_name(calm, pair, defect):
    layer = "conv1" if defect == "noise" else "conv2"
    before = {name: weight.clone() for name, weight in pair["one"].state_dict().items()}
    result = calm.set(defect=defect, into=layer, victim=2, layer=layer, filter=2).result
    kind = features.DEFECTS[defect][1]
    assert result.found
    assert (layer, 2) in result.roll.census.of(kind)
    assert f"planted: {defect} into {layer}, filter 2: found, as {kind}" in calm.table.caption
    assert calm.patches.caption.startswith(f"{kind}: ")
    for name, weight in pair["one"].state_dict().items():
        torch.testing.assert_close(weight, before[name])


def test_what_is_not_found_is_said_loudly(calm):
    result = calm.set(defect="copy", into="conv2", victim=5).result
    blind = result.roll.census.__class__([], result.roll.census.filters, 20, True)
    missed = result._replace(roll=result.roll._replace(census=blind))
    assert missed.found is False
    calm.show(missed, calm.settings())
    assert "NOT found as duplicate\n0 other findings" in calm.table.caption


def test_a_checkerboard_belongs_into_the_first_layer(calm):
    calm.set(defect="noise", into="conv2", victim=2)
    assert "A checkerboard can only be told in the first layer" in calm._says.value
    with pytest.raises(InputError, match="plant it into conv1"):
        calm.result  # noqa: B018  asking is what raises
    assert calm.set(into="conv1").trouble is None


def test_a_silent_filter_says_that_its_patches_mean_nothing(calm):
    result = calm.set(defect="deep bias", into="conv2", victim=4, layer="conv2", filter=4).result
    assert "its patches mean nothing" in calm.patches.caption
    assert "above 0 at 0.0 % of places" in calm.patches.caption
    assert "nothing wrong with it" in about_patches(calm.set(defect="none").result._replace(filter=0))
    assert result.roll.places[4] == 0


# What is drawn


def test_a_filter_on_pixels_is_a_picture_with_grey_for_zero_and_others_are_signed_maps():
    weight = torch.zeros(3, 5, 5)
    weight[0, 0, 0] = 2.0
    picture = opened(kernel(weight)).convert("RGB")
    assert picture.getpixel((2, 2)) == (255, 128, 128)
    assert picture.getpixel((picture.width - 3, 3)) == (128, 128, 128)
    deep = torch.zeros(8, 3, 3)
    deep[0, 0, 0], deep[7, 2, 2] = -1.0, 1.0
    maps = opened(kernel(deep)).convert("RGB")
    red, *_, blue = sorted({colour for _, colour in maps.getcolors()}, key=lambda c: c[2] - c[0])
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert opened(kernel(torch.linspace(-1, 1, 10))).width > 100, "one row of 10 weights becomes a square"


def test_all_layers_stand_in_the_table_and_the_bars_mark_what_is_wrong(calm, monkeypatch):
    drawn = []
    monkeypatch.setattr("lecturekit.panels.axes.columns", lambda *given: drawn.append(given) or b"")
    monkeypatch.setattr("lecturekit.panels.census.table", lambda *given: drawn.append(given) or b"")
    calm.set(defect="copy", into="conv2", victim=5, layer="conv2", filter=9)
    tables = [given for given in drawn if given[0][0] == "layer"]
    (bars,) = [given for given in drawn if given[0][0] != "layer"]
    assert [row[0] for row in tables[0][1]] == ["conv1", "conv2", "fc3"]
    assert tables[0][2] == 1
    assert 5 in bars[2]
    assert bars[3] == 9
    assert len(bars[0]) == 40


# Moving about


def test_another_layer_brings_both_sliders_back_into_range(calm):
    calm.set(filter=39, defect="copy", into="conv2", victim=39)
    calm.set(layer="conv1")
    assert calm.settings()["filter"] == 5
    assert calm.settings()["victim"] == 39
    assert calm.set(into="conv1").settings()["victim"] == 5
    assert calm.trouble is None


def test_knobs_are_seen_only_where_they_do_something(calm):
    def seen():
        return [name for name in ("into", "victim", "parts") if calm.controls[name].layout.display != "none"]

    assert seen() == ["parts"]
    calm.set(defect="copy")
    assert seen() == ["into", "victim", "parts"]
    calm.set(world="photographs", defect="none")
    assert seen() == []
    assert calm.trouble is None
    assert few("photographs", 20).masks is None


@pytest.mark.parametrize(
    "changed, told",
    [({"layer": "conv1"}, True), ({"filter": 7}, False), ({"defect": "copy", "into": "conv1", "victim": 3}, True)],
    ids=["layer", "filter", "planted"],
)
def test_it_tells_at_once_that_there_is_work_and_only_where_there_is(calm, changed, told):
    calm.memory = Memory()
    steps, first = [], calm.settings()
    calm.compute(first, steps.append)
    steps.clear()
    calm.compute({**first, **changed}, steps.append)
    assert [step.done for step in steps][:1] == [0 if told else 60]


def test_another_network_may_have_layers_of_other_names():
    other = tiny(1)
    renamed = torch.nn.Sequential(OrderedDict((f"b{name}", layer) for name, layer in other.named_children())).eval()
    renamed.classes = other.classes
    panel = Census({"one": tiny(0), "renamed": renamed}, layer="conv2", into="conv2", filter=39, victim=39, count=20)
    panel.set(network="renamed")
    assert panel.trouble is None
    controls = panel.controls
    assert [controls[name].value for name in ("layer", "into", "filter", "victim")] == ["bconv1", "bconv1", 5, 5]
    panel.set(network="one", layer="conv2", filter=39)
    assert panel.trouble is None


def test_it_leaves_the_networks_as_they_were_and_what_does_not_exist_is_refused(calm, pair):
    with pytest.raises(InputError, match="no defect named 'cracked'"):
        calm.set(defect="cracked")
    with pytest.raises(InputError, match="count goes from 20 to 300, got 10"):
        calm.set(count=10)
    for module in pair["one"].modules():
        assert not module._forward_hooks
        assert not module.training
