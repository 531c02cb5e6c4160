import io
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lecturekit.attacks import Linf, slices
from lecturekit.errors import InputError
from lecturekit.panels import regions
from lecturekit.panels.planes import SIZES, ball
from lecturekit.panels.regions import TINTS, placed, slice_map, tinted
from lecturekit.panels.slice import Slice
from tests.panels.conftest import tiny

PATIENCE = 30


@pytest.fixture(scope="module")
def pair():
    return {"one": tiny(0), "other": tiny(1)}


@pytest.fixture(scope="module")
def panel(pair):
    return Slice(pair, points=9)


# What is computed


@pytest.mark.parametrize("points", SIZES[:3])
def test_the_plane_is_that_of_the_library_however_fine(panel, pair, points):
    result = panel.set(network="one", plane="gradient", points=points, extent=24, seed=2).result
    y = torch.tensor([result.y])
    expected = slices.through_gradient(pair["one"], result.chosen.x, y, ball=Linf(24 / 255), steps=points, seed=2)
    torch.testing.assert_close(result.plane.a, expected.a)
    torch.testing.assert_close(result.plane.margin, expected.margin, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(result.plane.inside, expected.inside)
    assert (result.plane.classes == expected.classes).float().mean() > 0.99, "a point on the border may fall either way"
    assert result.complete


def test_no_point_is_asked_for_twice(panel, monkeypatch):
    asked, plane = [], slices.plane

    def counted(*of, **how):
        found = plane(*of, **how)
        asked.append(found.margin.numel())
        return found

    monkeypatch.setattr(slices, "plane", counted)
    panel.set(plane="gradient", points=33, seed=5)
    assert sum(asked) == 33**2 + 4, "and four to find the two directions"
    assert "1089 points in" in panel._status.value


def test_towards_another_picture_the_ends_of_the_way_lie_on_the_grid(panel, pair):
    result = panel.set(plane="picture", other=7, points=9).result
    assert result.other.words.endswith("number 7")
    u = result.other.x - result.chosen.x
    torch.testing.assert_close(result.plane.u, u)
    a, b = result.plane.a.tolist(), result.plane.b.tolist()
    assert any(abs(place) < 1e-6 for place in a)
    assert any(abs(place - 1) < 1e-6 for place in a)
    middle = int(np.argmin(np.abs(b)))
    assert abs(b[middle]) < 1e-6
    said = pair["one"](result.other.x).argmax(1)
    assert result.plane.classes[0, middle, int(np.argmin(np.abs(np.array(a) - 1)))] == said


def test_the_picture_beyond_the_border_is_shown_to_the_network_once_more(panel, pair):
    result = panel.set(plane="gradient", extent=64, points=33, seed=0).result
    there = result.beyond
    assert there.place == result.plane.border().item() > 0
    torch.testing.assert_close(there.x, (result.chosen.x + there.place * result.plane.u).clamp(0, 1))
    share, said = pair["one"](there.x).softmax(1)[0].max(0)
    assert there.said == said
    assert there.share == pytest.approx(share.item())
    assert f"{result.names[said]}, {100 * share:.1f} %" in panel.beyond.caption
    assert f"border: after {255 * there.place:.3g} levels along the gradient" in panel.map.caption


def test_where_the_border_is_out_of_reach_nothing_is_shown_beyond_it():
    sure = tiny(0)
    sure.fc3.weight *= 1e-3
    sure.fc3.bias += torch.tensor([1.0, 0.0, 0.0])
    panel = Slice({"sure": sure}, points=9)
    assert panel.result.beyond is None
    assert not panel.beyond.seen
    assert "as far as the axis goes it says cat" in panel.map.caption


def test_the_outline_is_where_the_largest_change_is_eps(panel):
    for how in ({"plane": "gradient"}, {"plane": "picture", "other": 3}):
        plane = panel.set(points=9, **how).result.plane
        corners = ball(plane, 8 / 255)
        for a, b in corners:
            assert (a * plane.u + b * plane.v).abs().max().item() == pytest.approx(8 / 255, rel=1e-4)
        assert len(corners) == 73
    a, b = ball(panel.set(plane="gradient").result.plane, 8 / 255)[9]  # 45 degrees
    assert (a, b) == pytest.approx((4 / 255, 4 / 255)), "of two signs: a diamond"


def test_another_radius_is_drawn_and_not_computed(panel, monkeypatch):
    first, before = panel.set(plane="gradient", eps=8, points=9).result, panel.map.png
    monkeypatch.setattr("lecturekit.panels.slice.refined", lambda *_: pytest.fail("it is computed again"))
    assert panel.set(eps=20).result.plane is first.plane
    assert panel.map.png != before
    assert "frame: all within ε = 20/255" in panel.map.caption
    panel.set(eps=0)
    assert "no frame: ε is 0" in panel.map.caption


def test_the_label_counts_where_it_is_known(pair):
    panel = Slice({"one": tiny(0, ("cat", "espresso", "fish"))}, world="photographs", photograph="coffee", points=9)
    assert panel.result.known
    assert panel.result.y == 1
    result = panel.set(photograph="retina").result
    assert not result.known
    assert "no label is known" in panel.picture.caption


# What is drawn


def test_every_region_has_its_tint_and_off_the_box_it_is_hatched():
    places = np.array([[0, 1], [2, 1]])
    pixels = tinted(places, np.array([[1.0, 1.0], [0.5, 1.0]]), 200)
    assert tuple(pixels[150, 50]) == TINTS[0], "the first row is the lowest"
    assert tuple(pixels[150, 150]) == TINTS[1]
    upper = {tuple(colour) for colour in pixels[5:90, 5:90].reshape(-1, 3).tolist()}
    assert upper == {TINTS[2], tuple(int(0.62 * part) for part in TINTS[2])}
    assert tuple(pixels[100, 50]) == regions.LINE
    assert tuple(pixels[50, 150]) == TINTS[1], "no line inside a region"
    assert tuple(pixels[100, 150]) == TINTS[1]


def test_a_point_lies_where_its_numbers_say():
    assert placed(0, 0, [(-2, 2), (-1, 1)], 100) == (50, 50)
    assert placed(2, 1, [(-2, 2), (-1, 1)], 100) == (100, 0)


def test_a_name_is_written_where_it_fits_and_never_on_a_mark(panel, monkeypatch):
    written = []
    real = regions.ImageDraw.ImageDraw.text

    def text(self, place, words, *rest, **how):
        written.append((words, place))
        return real(self, place, words, *rest, **how)

    monkeypatch.setattr(regions.ImageDraw.ImageDraw, "text", text)
    plane = panel.set(plane="gradient", extent=4, points=9).result.plane
    names = ("cat", "dog", "fish")
    slice_map(plane, names, ("a", "b"), ([0], [0]), units=255)
    inside = [place for words, place in written if words == names[plane.classes[0, 0, 0]]][:1]
    assert inside, "one class fills the plane: its name stands in it and in the key"
    assert max(abs(end - regions.SIDE) for end in inside[0]) > 60
    written.clear()
    slice_map(plane, ("a class with a very long name" * 3, "dog", "fish"), ("a", "b"), ([0], [0]), units=255)
    assert sum(words.startswith("a class") for words, _ in written) <= 1, "in the key only, cut short"


def test_the_map_names_every_class_and_its_share(panel, monkeypatch):
    drawn = []
    monkeypatch.setattr(regions, "write_key", lambda pen, words, places: drawn.append((words, places)))
    result = panel.set(network="one", plane="picture", other=9, points=17).result
    panel.show(result, panel.settings())
    words, places = drawn[-1]
    classes = result.plane.classes[0]
    assert set(words.values()) == {result.names[k] for k in classes.unique().tolist()}
    for place, word in words.items():
        assert (places == place).sum() == (classes == result.names.index(word)).sum()
    assert Image.open(io.BytesIO(panel.map.png)).width == 2 * 560


# Long runs, and what can go wrong


def test_stop_keeps_the_coarser_map_and_says_so(pair):
    panel = Slice(pair, network="other", points=9, plane="picture", other=3)
    slow = pair["other"].register_forward_pre_hook(lambda *_: time.sleep(0.01))
    panel.controls["points"].value = 65
    while "so far" not in panel.map.caption:
        time.sleep(0.005)
    panel.stop_button.click()
    assert panel.wait(PATIENCE)
    slow.remove()
    result = panel.result
    assert not result.complete
    assert len(result.plane.a) in SIZES[:3]
    assert panel.map.caption.endswith("points so far")
    assert "of 4225 points" in panel._status.value
    assert len(panel.set(points=17).result.plane.a) == 17


def test_knobs_are_seen_only_where_they_do_something(pair):
    panel = Slice(pair, points=9)

    def seen():
        names = ("extent", "other", "other_photograph")
        return [name for name in names if panel.controls[name].layout.display != "none"]

    assert seen() == ["extent"]
    panel.set(plane="picture")
    assert seen() == ["other"]
    panel.set(world="photographs")
    assert seen() == ["other_photograph"]
    assert panel.result.other.words == panel.settings()["other_photograph"]


def test_what_goes_wrong_is_told_in_words(panel):
    panel.set(world="picturebook", plane="picture", picture=5, other=5)
    with pytest.raises(InputError, match="other is the same picture as x"):
        panel.result  # noqa: B018  asking is what raises
    assert "Other is the same picture as x" in panel._says.value
    assert panel.set(other=6).trouble is None
    with pytest.raises(InputError, match="no points named 16"):
        panel.set(points=16)
    panel.set(world="upload")
    assert "No picture was uploaded yet" in panel._says.value
    panel.set(world="picturebook")


def test_the_panel_ships_ready_to_use():
    panel = Slice(["picturebook_residual"], points=9)
    assert panel.result.known
    assert panel.alternative_text().startswith("What the network says: frame: all within ε = 8/255")
    began = time.process_time()  # the clock on the wall would also measure who else is at work
    for eps in (1, 2, 4, 6, 12):
        panel.set(eps=eps)
    assert (time.process_time() - began) / 5 < 0.1
