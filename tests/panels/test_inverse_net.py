import pytest
import torch

from lecturekit import measure
from lecturekit.errors import InputError
from lecturekit.inversion import representation
from lecturekit.panels import InverseNet


@pytest.fixture
def panel(networks, inverses):
    return InverseNet(networks, inverses, layer="conv2")


def test_the_picture_is_what_the_inverse_network_makes_of_the_code(panel, networks, inverses):
    result = panel.result
    expected = inverses["one"]["conv2"](representation(networks["one"], "conv2")(result.chosen.x))
    torch.testing.assert_close(result.x, expected)
    assert result.psnr == pytest.approx(measure.psnr(expected, result.chosen.x).item())
    assert f"PSNR {result.psnr:.1f} dB\nfrom 40 × 16 × 16 numbers of conv2" in panel.decoded.caption


def test_only_networks_with_inverse_networks_and_their_layers_are_offered(panel):
    assert [value for _, value in panel.controls["network"].options] == ["one"]
    assert list(panel.controls["layer"].options) == ["conv1", "conv2", "probabilities"]


def test_networks_without_inverse_networks_are_refused(networks):
    with pytest.raises(InputError, match="none of these networks has an inverse network"):
        InverseNet(networks)


def test_optimisation_beside_it_inverts_the_same_code(panel):
    assert not panel.optimised.seen
    result = panel.set(optimise=True).result
    assert panel.optimised.seen
    assert result.optimised.feature_error.item() < 0.5
    assert f"{result.optimised.evaluations} evaluations" in panel.optimised.caption
    assert panel.set(optimise=False).result.optimised is None
    assert not panel.optimised.seen
    assert panel.set(optimise=True).result.optimised is result.optimised, "from memory"


def test_the_inverse_network_is_painted_before_the_optimisation_has_ended(panel, monkeypatch):
    seen = []
    monkeypatch.setattr(panel, "live", seen.append)
    panel.set(optimise=True, layer="conv1")
    result, layer = seen[0]
    assert (layer, result.optimised) == ("conv1", None)


def test_knobs_for_long_work_are_seen_only_when_there_is_some(panel):
    assert panel.stop_button.layout.display == "none"
    panel.set(optimise=True)
    assert panel.stop_button.layout.display != "none"
