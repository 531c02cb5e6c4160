import time

import pytest
import torch

from lecturekit import inversion, measure
from lecturekit.errors import InputError
from lecturekit.inversion.tuned import settings_for
from lecturekit.panels import Invert

QUICK = dict(layer="conv1", evaluations=20)


@pytest.fixture
def panel(networks):
    return Invert(networks, **QUICK)


def test_the_panel_finds_what_invert_finds(panel, networks):
    result, settings = panel.set(alpha=1e-3, tv=3e-3).result, panel.settings()
    phi = inversion.representation(networks["one"], "conv1")
    prior = inversion.natural(alpha=1e-3, tv=3e-3)
    expected = inversion.invert(phi, phi(result.chosen.x), prior=prior, steps=settings["evaluations"])
    torch.testing.assert_close(result.found.x, expected.x)
    assert result.psnr == pytest.approx(measure.psnr(result.found.x, result.chosen.x).item())
    assert f"PSNR {result.psnr:.1f} dB\nfeature error {result.found.feature_error.item():.2g}" in panel.rebuilt.caption


def test_pictures_are_painted_while_it_runs(networks, monkeypatch):
    monkeypatch.setattr("lecturekit.panels.base.TICK", 0.0)
    panel, seen = Invert(networks, **QUICK), []
    monkeypatch.setattr(panel, "live", lambda picture: seen.append(picture[2]))
    panel.set(picture=8)
    assert [tuple(x.shape) for x in seen] == [(1, 3, 64, 64)] * 5, "after evaluations 1, 5, 10, 15 and 20"


def test_stop_keeps_the_best_so_far_and_says_so(networks):
    panel = Invert(networks, **QUICK)
    panel.controls["evaluations"].value = 400
    while not panel.rebuilt.caption.endswith("so far"):
        time.sleep(0.001)
    panel.stop_button.click()
    assert panel.wait(20)
    found = panel.result.found
    assert not found.complete
    assert 0 < found.evaluations < 400
    assert f"stopped after {found.evaluations} of 400 evaluations" in panel._status.value


def test_what_was_stopped_is_computed_again_and_what_was_finished_is_not(panel):
    first = panel.result
    panel.set(picture=9)
    assert panel.set(picture=5).result is first
    panel.set(tuned=True)
    panel.set(tuned=False, **QUICK)
    assert panel.result is first, "whether the knobs were tuned does not matter, only where they stand"
    panel.memory.keep("other", None)
    assert len(panel.memory._kept) >= 3


def test_several_restarts_show_where_they_differ(panel):
    assert not panel.spread.seen
    result = panel.set(restarts=2).result
    assert panel.spread.seen
    assert f"±{result.found.spread().mean():.2g} on average" in panel.spread.caption
    panel.set(restarts=1)
    assert not panel.spread.seen


def test_the_knobs_follow_the_layer_until_somebody_turns_one(networks):
    panel = Invert(networks)
    for layer in ("conv2", "probabilities"):
        panel.controls["layer"].value = layer
        hold, weight, evaluations = settings_for(layer)
        now = panel.settings()
        assert (now["alpha"], now["tv"], now["evaluations"]) == (weight, weight, evaluations)
        assert now["hold"] == {inversion.Pixels: "pixels", inversion.Fourier: "fourier"}[hold]
        assert now["tuned"]
    panel.controls["tv"].value = 1e-2
    assert not panel.settings()["tuned"]
    panel.controls["layer"].value = "conv1"
    assert panel.settings()["tv"] == 1e-2, "turned by hand, it stays"
    panel.controls["tuned"].value = True
    assert panel.settings()["tv"] == settings_for("conv1")[1]
    panel.stop()
    assert panel.wait(20)


def test_weights_set_together_with_the_layer_are_kept(panel):
    panel.set(tuned=True)
    panel.set(layer="conv2", alpha=0.0, tv=0.0, evaluations=20)
    assert panel.settings()["alpha"] == 0.0
    assert not panel.settings()["tuned"]


@pytest.mark.parametrize("change", [dict(solver="adam"), dict(hold="fourier"), dict(solver="adam", hold="deep prior")])
def test_other_solvers_and_other_ways_to_hold_a_picture_give_other_pictures(panel, change):
    first = panel.result
    other = panel.set(**change).result
    assert panel.trouble is None
    assert not torch.equal(other.found.x, first.found.x)


def test_what_does_not_go_together_is_told_in_words(panel):
    panel.set(hold="deep prior", solver="lbfgs")
    assert "Use adam" in panel._says.value
    with pytest.raises(InputError, match="Use adam"):
        panel.result  # noqa: B018  asking is what raises
    assert panel.set(solver="adam").trouble is None


def test_a_shuffled_code_shows_what_the_prior_paints_alone(panel):
    own = panel.set(layer="conv1").result
    shuffled = panel.set(shuffled=True).result
    assert shuffled.psnr < own.psnr - 5
    assert panel.rebuilt.title == "From shuffled conv1"


def test_the_network_says_what_it_sees_in_both_pictures(panel, networks):
    result = panel.result
    for x, (name, share) in zip((result.chosen.x, result.found.x), result.said, strict=True):
        probabilities = networks["one"](x).softmax(1)[0]
        assert name == networks["one"].classes[int(probabilities.argmax())]
        assert share == pytest.approx(probabilities.max().item())


def test_a_new_picture_during_a_run_ends_it_and_is_the_one_that_is_shown(networks):
    panel = Invert(networks, **QUICK)
    panel.controls["evaluations"].value = 400
    while not panel.rebuilt.caption.endswith("so far"):
        time.sleep(0.001)
    panel.set(picture=6, evaluations=20)
    assert panel.result.found.complete
    assert panel.original.caption.startswith("boat, number 6")
    assert panel.rebuilt.caption.startswith("PSNR")
    assert "so far" not in panel.rebuilt.caption


def test_the_panel_ships_ready_to_use():
    panel = Invert(["picturebook"], layer="conv1", evaluations=20)
    assert panel.result.psnr > 25
