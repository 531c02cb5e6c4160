import io
import json
import time

import pytest
import torch
from PIL import Image

from lecturekit import attacks
from lecturekit.errors import FileError, InputError
from lecturekit.measure import Interval, proportion
from lecturekit.panels import standing
from lecturekit.panels.matrix import matrix, table, tint
from lecturekit.panels.methods import METHODS, Asked
from lecturekit.panels.transfer import LARGE, LEDGER, NOISE, SMALL, Matrix, Transfer, about, ledger
from lecturekit.pictures.picturebook import CLASSES
from tests.panels.conftest import tiny

FAST = {"count": 30, "steps": 2, "eps": 16}
PATIENCE = 60


def opened(png):
    return Image.open(io.BytesIO(png))


@pytest.fixture(scope="module")
def twins():
    """A network and a copy that differs a little: they know the same drawings, and what fools one fools both."""
    one, other = tiny(3, CLASSES), tiny(3, CLASSES)
    other.fc3.weight += 1e-3 * torch.randn(other.fc3.weight.shape, generator=torch.Generator().manual_seed(1))
    return {"one": one, "other": other}


@pytest.fixture(scope="module")
def panel(twins):
    return Transfer(twins, **FAST)


def test_its_cells_are_those_of_the_library(panel, twins):
    result = panel.set(attack="pgd", **FAST).result

    def run(model, x, y, *, ball, seed, watch):
        return METHODS["pgd"].run(model, x, y, Asked(ball, None, 2, 1, False, watch))

    expected = attacks.transfer_matrix(twins, *standing.drawings(30), attack=run, ball=attacks.Linf(16 / 255))
    for pair, share in expected.cells.items():
        assert result.cells[pair] == share
    for target, share in expected.noise.items():
        assert result.cells[NOISE, target] == share
    assert result.cells["one", "other"].estimate > 0, "they are twins"
    assert result.above_noise("one", "other") == expected.above_noise["one", "other"]


def test_stored_numbers_are_those_of_the_ledger():
    panel = Transfer()
    assert panel.result.stored
    assert "STORED, claim 'transfer'" in panel.matrix.caption
    claim = next(row for row in json.loads(LEDGER.read_text("utf-8")) if row["id"] == "transfer")
    expected = claim["numbers"]["residual robust → residual"]
    assert panel.result.cells["picturebook_residual_robust", "picturebook_residual"] == Interval(**expected)
    assert panel.result.names == tuple(LARGE.values())
    written = [name for name in claim["numbers"] if "(not surely above noise)" in name]
    names = panel.result.names
    mine = [(s, t) for s in names for t in names if s != t and not panel.result.above_noise(s, t)]
    assert len(mine) == len(written), "the verdicts of the ledger are made again from its numbers"
    assert panel.set(group="small").result.names == SMALL
    assert len(panel.result.cells) == 12


def test_two_of_the_four_are_read_without_the_others():
    result = Transfer(["picturebook", "picturebook_residual"]).result
    assert set(result.cells) == {
        (s, t) for s in ("picturebook", "picturebook_residual", NOISE) for t in ("picturebook", "picturebook_residual")
    }


@pytest.mark.parametrize("damage", [lambda rows: [], lambda rows: rows[0]["numbers"].popitem() and rows])
def test_a_ledger_without_these_numbers_is_told_in_words(tmp_path, damage):
    rows = [row for row in json.loads(LEDGER.read_text("utf-8")) if row["id"] == "transfer"]
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(damage(rows)), "utf-8")
    with pytest.raises(FileError, match="claims.json holds no transfer matrix of these networks"):
        ledger({name: name for name in SMALL}, SMALL, path)


def test_the_caption_counts_what_is_surely_above_noise():
    cells = {("a", "a"): proportion(9, 10), ("a", "b"): proportion(90, 100), ("b", "a"): proportion(2, 100)}
    cells |= {("b", "b"): proportion(5, 10), (NOISE, "a"): proportion(1, 100), (NOISE, "b"): proportion(1, 100)}
    result = Matrix(cells, ("a", "b"), "how", False)
    assert result.above_noise("a", "b")
    assert not result.above_noise("b", "a")
    assert about(result).endswith("1 of 2 cells between two networks are surely above noise")
    assert "tick" not in about(result)
    assert "stopped" in about(result._replace(complete=False))


def test_cells_are_as_dark_as_they_are_large_and_hatched_where_they_are_not_sure():
    assert tint(0) == (255, 255, 255)
    assert tint(1) == (0, 114, 178)
    cells = {("a", "b"): proportion(0, 10), ("a", "c"): proportion(0, 10)}
    sheet = opened(matrix(cells, ["a"], ["b", "c"], {"a": "A", "b": "B", "c": "C, D"}, {("a", "c")})).convert("RGB")
    middle = sheet.width * (176 + (760 - 176) // 2) // 760
    halves = ((360, 168, middle, sheet.height), (middle, 168, *sheet.size))
    found = [sheet.crop(box).getcolors(1 << 20) for box in halves]
    greys = [sum(count for count, colour in colours if colour == (187, 187, 187)) for colours in found]
    assert greys[0] < 100, "no more than at the edges of letters"
    assert greys[1] > 1000


def test_a_table_has_a_line_for_each_row_and_tints_the_chosen_one():
    sheet = opened(table(("layer", "dead"), [("conv1", 3), ("conv2", 0)], chosen=1)).convert("RGB")
    assert sheet.size == (1240, 2 * (3 * 28 + 4))
    assert sheet.getpixel((1200, 2 * 28 * 2 + 20)) == (220, 234, 243)
    assert sheet.getpixel((1200, 2 * 28 + 20)) == (255, 255, 255)


def test_stop_keeps_the_networks_that_were_attacked(twins):
    panel = Transfer(twins, count=30, steps=1, eps=16)
    slow = twins["other"].register_forward_pre_hook(lambda *_: time.sleep(0.05))
    panel.controls["steps"].value = 40
    while "other" not in panel._status.value:
        time.sleep(0.005)
    panel.stop_button.click()
    assert panel.wait(PATIENCE)
    slow.remove()
    result = panel.result
    assert not result.complete
    assert {source for source, _ in result.cells} == {"one", NOISE}
    assert panel.matrix.caption.endswith("stopped: the networks that it came to")


def test_what_was_measured_is_not_measured_again(panel, monkeypatch):
    first = panel.set(attack="fgsm", **FAST).result
    panel.set(eps=8)
    monkeypatch.setattr("lecturekit.panels.transfer.measured", lambda *_: pytest.fail("it is measured again"))
    assert panel.set(eps=16).result is first


def test_what_cannot_be_measured_is_told_in_words(networks, twins):
    shipped = Transfer(group="small")
    shipped.set(live=True)
    assert "The three small networks do not ship" in shipped._says.value
    with pytest.raises(InputError, match="transfer needs two networks or more, got 1"):
        Transfer({"one": twins["one"]}, **FAST).result  # noqa: B018  asking is what raises
    with pytest.raises(InputError, match="names 3 classes"):
        Transfer(networks, **FAST).result  # noqa: B018
    with pytest.raises(InputError, match="no group named 'small'"):
        Transfer(twins, **FAST).set(group="small")


def test_knobs_are_seen_only_where_they_do_something():
    panel = Transfer()
    knobs = ("attack", "eps", "count", "steps")
    assert [panel.controls[name].layout.display for name in knobs] == ["none"] * 4
    with panel.together():
        panel.controls["live"].value = True
        assert [panel.controls[name].layout.display for name in knobs] == [""] * 4
        panel.controls["attack"].value = "fgsm"
        assert panel.controls["steps"].layout.display == "none"
