import json
import time

import pytest
import torch

from lecturekit import attacks, networks
from lecturekit.errors import FileError, InputError, ModelError
from lecturekit.measure import proportion
from lecturekit.panels import standing
from lecturekit.panels.curve import Curve, pairs
from lecturekit.panels.methods import METHODS, Asked
from lecturekit.panels.standing import GREY, NETWORKS, Standing
from lecturekit.pictures.picturebook import CLASSES
from tests.panels.conftest import tiny

PATIENCE = 60
FAST = {"live": True, "count": 20, "steps": 2}


@pytest.fixture(scope="module")
def books():
    """Two networks that know the classes of the book by name only; of 20 drawings one names three rightly."""
    return {"one": tiny(3, CLASSES), "other": tiny(4, CLASSES)}


@pytest.fixture(scope="module")
def panel(books):
    return Curve(books, **FAST)


@pytest.fixture
def kept(tmp_path):
    """A file of curves in which the first network's FGSM has other numbers than were measured."""
    path = tmp_path / "curves.json"
    row = {"grey": list(GREY), "counts": [50, 40, 30, 20, 10, 5, 2, 0], "pictures": 50, "steps": 3, "again": 1}
    table = {"picturebook": {"sha256": networks.card("picturebook")["sha256"], "fgsm": row}}
    path.write_text(json.dumps(table), "utf-8")
    return path


# What is measured


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "noise"])
def test_it_counts_whom_the_library_counts(panel, books, attack):
    result = panel.set(network="one", beside="nobody", attack=attack, noise=False, **FAST).result
    (found,) = result.found.values()
    x, y = standing.drawings(20)

    def run(model, x, y, *, ball, seed, watch):
        return METHODS[attack].run(model, x, y, Asked(ball, None, 2, 1, True, watch))

    expected = attacks.robust_accuracy(books["one"], x, y, attack=run, radii=[level / 255 for level in GREY])
    assert found.counts == tuple(expected.stood.sum(1).tolist())
    assert found.counts[0] == int((books["one"](x).argmax(1) == y).sum()) > 0
    assert found.grey == GREY
    assert result.complete


def test_the_curve_never_rises_and_intervals_know_their_n(panel):
    for curve in panel.set(network="one", beside="other", attack="pgd", **FAST).result.found.values():
        assert all(a >= b for a, b in zip(curve.counts, curve.counts[1:], strict=False))
        assert curve.shares[1] == proportion(curve.counts[1], 20)


def test_who_fell_once_has_fallen_also_while_the_curve_grows(books):
    x, y = standing.drawings(20)
    seen = []
    full = standing.measured(books["one"], x, y, "pgd", 2, watch=lambda step: seen.append(step.picture))
    grown = [one for one in seen if one.grey]
    for one in grown:
        assert one.counts == full.counts[: len(one.counts)]
    assert [len(one.grey) for one in grown] == sorted(len(one.grey) for one in grown)
    assert grown[-1].grey == GREY


def test_noise_of_many_pictures_is_for_each_what_it_is_of_that_one_alone(books):
    x, y = standing.drawings(20)
    ball = attacks.Linf(8 / 255)
    several = METHODS["noise"].run(books["one"], x, y, Asked(ball, None, 1, 3, True, None))
    assert several.x.shape == x.shape
    torch.testing.assert_close(several.norms, torch.full((20,), 8 / 255))
    assert several.queries.tolist() == [3] * 20
    draws = torch.randn(3, *x.shape, generator=torch.Generator().manual_seed(0))
    tried = (x + 8 / 255 * draws.sign()).clamp(0, 1)
    worst = torch.stack([attacks.margin(books["one"](one), y) for one in tried]).argmax(0)
    torch.testing.assert_close(several.x, tried[worst, torch.arange(20)])
    assert len(worst.unique()) > 1, "else choose another seed: each picture keeps the draw that harms it most"


def test_both_networks_and_the_control_are_asked_for_once_each():
    settings = {"network": "a", "beside": "b", "attack": "pgd", "noise": True}
    assert pairs(settings) == [("a", "pgd"), ("b", "pgd"), ("a", "noise")]
    assert pairs(settings | {"beside": "nobody", "noise": False}) == [("a", "pgd")]
    assert pairs(settings | {"beside": "a", "attack": "noise"}) == [("a", "noise")]


def test_what_was_measured_is_not_measured_again(panel, monkeypatch):
    first = panel.set(network="one", beside="other", attack="fgsm", noise=True, **FAST).result
    monkeypatch.setattr(standing, "measured", lambda *_: pytest.fail("it is measured again"))
    assert panel.set(beside="nobody").result.found["one", "fgsm"] is first.found["one", "fgsm"]
    assert panel.set(eps=4).trouble is None


def test_the_caption_tells_where_it_comes_from_and_what_it_is_at_the_radius(panel):
    result = panel.set(network="one", beside="nobody", attack="pgd", noise=False, eps=2, **FAST).result
    share = result.found["one", "pgd"].shares[GREY.index(2)]
    assert panel.chart.caption.startswith("measured here on 20 test drawings, 2 steps; bars: 95 % intervals\n")
    assert f"one, PGD at 2/255: {100 * share.estimate:.0f} % [" in panel.chart.caption
    assert "steps;" not in panel.set(attack="fgsm").chart.caption, "one step is no number of steps"
    before = panel.chart.png
    assert panel.set(eps=12).chart.png != before, "the line stands elsewhere"


def test_stop_keeps_the_radii_that_were_reached(books):
    panel = Curve(books, live=True, count=10, steps=1, noise=False)
    slow = books["one"].register_forward_pre_hook(lambda *_: time.sleep(0.02))
    with panel.together():
        panel.controls["beside"].value = "nobody"
    panel.controls["steps"].value = 50
    while "as far as" not in panel.chart.caption:
        time.sleep(0.005)
    panel.stop_button.click()
    assert panel.wait(PATIENCE)
    slow.remove()
    result = panel.result
    assert not result.complete
    assert 0 < len(result.found["one", "pgd"].grey) < len(GREY)
    assert "as far as it has come" in panel.chart.caption
    assert "stopped after" in panel._status.value
    assert panel.refresh().result.complete, "what was stopped is measured again"


# What is stored


def test_stored_numbers_are_read_as_they_were_written(kept):
    found = standing.stored("picturebook", "fgsm", kept)
    assert found == Standing(GREY, (50, 40, 30, 20, 10, 5, 2, 0), 50, 3, 1, True)
    assert standing.stored("picturebook", "pgd", kept) is None
    assert standing.stored("of my own", "fgsm", kept) is None


def test_numbers_of_other_weights_count_as_none(kept):
    kept.write_text(kept.read_text("utf-8").replace(networks.card("picturebook")["sha256"], "0" * 64), "utf-8")
    assert standing.stored("picturebook", "fgsm", kept) is None


def test_a_damaged_file_is_told_in_words(tmp_path):
    path = tmp_path / "damaged.json"
    path.write_text("{", "utf-8")
    with pytest.raises(FileError, match=r"holds no curves .*`panels.standing.store\(\)` measures them again"):
        standing.stored("picturebook", "pgd", path)


def test_what_store_writes_is_what_is_measured_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(standing, "BLOCK", 4)
    path = tmp_path / "curves.json"
    standing.store(path, names=["picturebook_residual"], count=6, steps=1)
    x, y = standing.drawings(6)
    model = networks.load("picturebook_residual")
    for attack in standing.KEPT:
        found = standing.stored("picturebook_residual", attack, path)
        parts = [standing.measured(model, x[rows], y[rows], attack, 1) for rows in (slice(0, 4), slice(4, 6))]
        assert found.counts == tuple(a + b for a, b in zip(*(part.counts for part in parts), strict=True))
        assert (found.pictures, found.steps, found.stored) == (6, 1, True)
    before = path.read_bytes()
    standing.store(path, names=["picturebook"], count=6, steps=1, watch=lambda _: "stop")
    assert path.read_bytes() == before, "who stops writes nothing"


def test_all_that_ships_is_stored_for_the_weights_that_ship():
    assert standing.STORED.stat().st_size < 20_000
    for name in NETWORKS:
        for attack in standing.KEPT:
            found = standing.stored(name, attack)
            assert found.grey == GREY
            assert found.pictures >= 100
            assert found.counts[0] >= 0.98 * found.pictures
    plain, robust = (standing.stored(name, "pgd").shares[GREY.index(8)] for name in NETWORKS[:2])
    assert robust.above(plain)
    assert standing.stored("picturebook", "noise").shares[GREY.index(8)].above(plain)


def test_the_panel_ships_ready_to_use_marked_as_stored_and_follows_the_radius_at_once():
    panel = Curve()
    assert all(curve.stored for curve in panel.result.found.values())
    assert list(panel.result.found) == [
        ("picturebook", "pgd"), ("picturebook_robust", "pgd"), ("picturebook", "noise")
    ]  # fmt: skip
    assert panel.chart.caption.startswith("STORED: measured before on 200 test drawings, 20 steps")
    began = time.process_time()  # the clock on the wall would also measure who else is at work
    for eps in (1, 2, 4, 6, 12):
        panel.set(eps=eps)
    assert (time.process_time() - began) / 5 < 0.1


def test_an_attack_of_which_nothing_is_stored_says_so_and_what_is():
    shipped = Curve(attack="pgd")
    shipped.set(attack="bim")
    assert "Nothing is stored for picture book, BIM; tick &#x27;measure here and now&#x27;" in shipped._says.value
    with pytest.raises(InputError, match="something is: FGSM, PGD, random noise"):
        shipped.result  # noqa: B018  asking is what raises
    assert shipped.set(attack="noise").trouble is None


# What can go wrong


def test_knobs_are_seen_only_where_they_do_something(panel):
    def seen():
        return [name for name in ("count", "steps") if panel.controls[name].layout.display != "none"]

    panel.set(attack="pgd", live=True)
    assert seen() == ["count", "steps"]
    panel.set(attack="fgsm")
    assert seen() == ["count"]
    panel.set(live=False)
    assert seen() == []


def test_a_network_that_cannot_be_asked_is_told_in_words(networks):
    panel = Curve(networks, **FAST)
    with pytest.raises(InputError, match="network 'one' names 3 classes, but the drawings show 10: face, cat"):
        panel.result  # noqa: B018
    sure = torch.nn.Sequential(tiny(3, CLASSES), torch.nn.Softmax(1)).eval()
    with pytest.raises(ModelError, match="take the softmax off its end"):
        Curve({"sure": sure}, **FAST).result  # noqa: B018


def test_what_does_not_exist_is_refused(panel):
    with pytest.raises(InputError, match="no attack named 'deepfool'"):
        panel.set(attack="deepfool")
    with pytest.raises(InputError, match="no eps named 3"):
        panel.set(eps=3)
