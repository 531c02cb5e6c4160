import time

import pytest
import torch

from lecturekit import inversion
from lecturekit.inversion import representation
from lecturekit.panels import Depth

LAYERS = ("conv1", "conv2", "fc3", "probabilities", "conv9")


@pytest.fixture
def panel(networks, inverses):
    return Depth(networks, inverses, layers=LAYERS)


@pytest.fixture
def quick(monkeypatch):
    """Optimisation of four evaluations a layer."""
    settings = {"hold": inversion.Pixels, "prior": inversion.natural(alpha=1e-3, tv=1e-3), "steps": 4}
    monkeypatch.setattr(inversion, "tuned", lambda layer: settings)


def test_every_layer_with_an_inverse_network_has_its_picture_and_its_decibels(panel, networks, inverses):
    film = panel.result
    assert list(film.decoded) == ["conv1", "conv2", "probabilities"]
    for layer, frame in film.decoded.items():
        expected = inverses["one"][layer](representation(networks["one"], layer)(film.chosen.x))
        torch.testing.assert_close(frame.x, expected)
        assert panel.decoded[layer].caption == f"{frame.psnr:.1f} dB"
    assert [layer for layer in LAYERS if panel.decoded[layer].seen] == list(film.decoded)
    assert not panel.films["optimised"].seen


def test_optimisation_fills_the_second_strip_layer_by_layer(panel, quick):
    film = panel.set(optimise=True).result
    assert list(film.optimised) == ["conv1", "conv2", "fc3", "probabilities"]
    assert panel.films["optimised"].seen
    assert "16 evaluations in" in panel._status.value
    assert film.optimised["conv1"].psnr > film.optimised["probabilities"].psnr


def test_stop_leaves_the_layers_that_are_done(panel, monkeypatch):
    settings = {"hold": inversion.Pixels, "prior": inversion.natural(alpha=1e-3, tv=1e-3), "steps": 300}
    monkeypatch.setattr(inversion, "tuned", lambda layer: settings)
    panel.controls["optimise"].value = True
    while not panel._status.value or panel._bar.value == 0:
        time.sleep(0.001)
    panel.stop_button.click()
    assert panel.wait(20)
    assert len(panel.result.optimised) < 4
    assert "stopped after" in panel._status.value


def test_a_network_without_inverse_networks_has_only_the_second_strip(panel, quick):
    panel.set(network="other", optimise=True)
    assert not panel.films["decoded"].seen
    assert panel.films["optimised"].seen
    assert panel.chart.seen
    panel.set(optimise=False)
    assert not panel.chart.seen


def test_what_one_colour_reaches_stands_below_the_original(panel):
    x = panel.result.chosen.x
    error = (x - x.mean(dim=(2, 3), keepdim=True)).pow(2).mean()
    assert f"one colour alone: {-10 * error.log10():.1f} dB" in panel.original.caption


def test_layers_that_were_optimised_before_come_from_memory(panel, quick, monkeypatch):
    first = panel.set(optimise=True).result
    monkeypatch.setattr(inversion, "invert", None)
    panel.set(picture=5)
    again = panel.set(optimise=False).set(optimise=True).result
    assert panel.trouble is None
    assert all(torch.equal(again.optimised[layer].x, first.optimised[layer].x) for layer in first.optimised)


def test_the_alternative_text_tells_every_layer_with_its_decibels(panel):
    words = panel.alternative_text()
    for layer, frame in panel.result.decoded.items():
        assert f"{layer}: {frame.psnr:.1f} dB" in words
