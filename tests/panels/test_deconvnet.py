import pytest
import torch

from lecturekit import capture, deconv, measure
from lecturekit.errors import InputError, ModelError
from lecturekit.networks import random_twin, residual_net
from lecturekit.panels import DeconvNet
from lecturekit.panels import controls as knobs


@pytest.fixture
def panel(networks):
    return DeconvNet(networks, layer="conv2", filter=7)


def test_with_the_rule_gradient_it_is_what_autograd_says(panel, networks):
    result = panel.set(rule="gradient").result
    x = result.chosen.x.clone().requires_grad_()
    answers = capture.cut(networks["one"], "conv2")(x)
    row, column = divmod(int(answers[0, 7].argmax()), 16)
    (expected,) = torch.autograd.grad(answers, x, result.selected)
    torch.testing.assert_close(result.picture, expected)
    assert result.selected[0, 7, row, column] == answers[0, 7].max()


def test_each_selection_follows_what_it_says(panel, networks):
    x = panel.result.chosen.x
    answers = capture.activations(networks["one"], x, "conv2")["conv2"]
    selected = {name: panel.set(selection=name, n=4).result.selected for name in ("one", "map", "top", "all")}
    assert (selected["one"] != 0).sum() == 1
    torch.testing.assert_close(selected["map"][0, 7], answers[0, 7].clamp(min=0))
    assert (selected["map"][0, :7] == 0).all()
    strongest = answers[0, 7].flatten().topk(4).values
    torch.testing.assert_close(selected["top"].flatten().topk(5).values, torch.cat([strongest, torch.zeros(1)]))
    torch.testing.assert_close(selected["all"].flatten().topk(4).values, answers.flatten().topk(4).values)
    assert panel.picture.caption.endswith(f"4 activations up to {answers.max():.3g}\nin conv2")


def test_the_frame_holds_all_of_the_projection_and_is_the_receptive_field(panel):
    result = panel.result
    top, left, bottom, right = result.field
    assert (bottom - top, right - left) == (14, 14), "3x3 after a pooling of 4 after 3x3: 2 + 4 * 2 + 4 pixels"
    outside = result.picture.clone()
    outside[..., top:bottom, left:right] = 0
    assert not outside.any()
    assert result.picture.any()
    assert panel.patch.caption == f"14 × 14 pixels\nfrom row {top}, column {left}"


def test_the_likeness_is_that_of_projection_and_picture_inside_the_frame(panel):
    result = panel.result
    top, left, bottom, right = result.field
    mine, theirs = (maps[..., top:bottom, left:right].mean(dim=1) for maps in (result.picture, result.chosen.x))
    assert result.likeness == pytest.approx(measure.correlation(mine, theirs).item())
    assert f"in the frame: {result.likeness:.2f}" in panel.projection.caption


def test_another_rule_is_another_picture_under_its_name(panel):
    before = panel.projection.png
    panel.set(rule="guided")
    assert panel.projection.png != before
    assert panel.projection.caption.startswith("guided backpropagation; 0 is grey")


def test_switches_in_the_middle_are_the_rules_without_switches(panel):
    for rule in ("deconvnet", "gradient", "guided", "linear"):
        result = panel.set(layer="conv2", rule=rule, switches="centre").result
        seen = deconv.climb(panel.shelf.opened("one").model, result.chosen.x, "conv2")
        expected = deconv.project(seen, result.selected, f"{rule}_centre")
        torch.testing.assert_close(result.picture, expected)
        assert "\nswitches: middle of each window\n" in panel.projection.caption


def test_switches_by_lot_change_the_picture_but_not_what_was_asked(panel):
    recorded = panel.result
    random = panel.set(switches="random").result
    seen = deconv.climb(panel.shelf.opened("one").model, recorded.chosen.x, "conv2")
    torch.testing.assert_close(random.picture, deconv.project(deconv.shuffled(seen), recorded.selected))
    assert not torch.allclose(random.picture, recorded.picture)
    assert torch.equal(random.selected, recorded.selected)
    assert random.field == recorded.field
    assert "by lot" in panel.projection.caption
    torch.testing.assert_close(panel.set(switches="recorded").result.picture, recorded.picture)


def test_below_the_first_pooling_there_are_no_switches_to_exchange(panel):
    recorded = panel.set(layer="conv1", filter=0).result.picture
    result = panel.set(switches="random").result
    torch.testing.assert_close(result.picture, recorded)
    assert "\nno pooling, so no switches\n" in panel.projection.caption


def test_random_weights_are_those_of_the_random_twin(panel, networks):
    trained = panel.set(network="other").result.picture
    result = panel.set(random=True).result
    twin = random_twin(networks["other"])
    seen = deconv.climb(twin, result.chosen.x, "conv2")
    torch.testing.assert_close(result.picture, deconv.project(seen, deconv.strongest(seen, 7)))
    assert "\nrandom weights\n" in panel.projection.caption
    torch.testing.assert_close(panel.set(random=False).result.picture, trained)
    assert "random weights" not in panel.projection.caption


def test_units_see_everything_and_nothing_is_cut_out(panel):
    result = panel.set(layer="fc3", filter=2).result
    assert result.field == (0, 0, 64, 64)
    assert not panel.patch.seen
    assert not panel.answer.seen
    assert panel.set(layer="conv1", filter=0).patch.seen


def test_a_class_score_below_zero_is_followed_too(panel, networks):
    logits = networks["one"](panel.result.chosen.x)[0]
    against = int(logits.argmin())
    assert logits[against] < 0, "else choose another picture for this test"
    result = panel.set(layer="fc3", filter=against).result
    assert result.picture.any()
    assert panel.picture.caption.endswith(f"1 activation of {logits[against]:.3g}\nin fc3, filter {against}")


def test_the_probabilities_cannot_be_started_from(panel):
    assert list(panel.controls["layer"].options) == ["conv1", "relu1", "pool1", "conv2", "relu2", "fc3"]


def test_a_patch_at_the_border_is_as_wide_as_the_others(panel):
    panel.set(layer="conv1", filter=0, selection="top", n=50)
    assert panel.patch.width == panel.picture.width


def test_knobs_are_seen_only_where_they_do_something(panel):
    seen = {name: panel.controls[name].layout for name in ("n", "filter")}
    assert [seen["n"].display, seen["filter"].display] == ["none", ""]
    panel.set(selection="top")
    assert [seen["n"].display, seen["filter"].display] == ["", ""]
    panel.set(selection="all")
    assert [seen["n"].display, seen["filter"].display] == ["", "none"]


def test_one_forward_pass_serves_all_filters_and_rules(panel, monkeypatch):
    monkeypatch.setattr(deconv, "climb", lambda *_: pytest.fail("the forward pass is made again"))
    panel.set(filter=3).set(rule="guided").set(selection="map")
    assert panel.trouble is None


def test_a_silent_filter_is_told_in_words_and_another_one_mends_it(panel, networks):
    networks["one"].conv2.weight[3], networks["one"].conv2.bias[3] = 0, -1
    panel.set(layer="relu2", filter=3)
    assert panel._says.value.count("Filter 3 of &#x27;relu2&#x27; is silent in these pictures") == 1
    assert "filters that answer most: " in panel._says.value
    assert panel.set(filter=4).trouble is None


def test_a_network_that_branches_is_followed_and_says_which_rules_it_cannot(networks):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        branched = random_twin(residual_net(("cat", "dog")).eval())
    panel = DeconvNet(networks | {"branched": branched}, network="branched", layer="block2.conv1")
    assert panel.result.picture.any()
    panel.set(layer="block3.conv1", switches="centre")
    with pytest.raises(ModelError, match="switches can be exchanged in a chain of layers only"):
        panel.result  # noqa: B018


def test_a_layer_with_fewer_filters_brings_the_slider_back_into_its_range(panel):
    panel.set(filter=39)
    panel.controls["layer"].value = "conv1"
    assert panel.wait(20)
    assert panel.settings()["filter"] == panel.controls["filter"].max == 5
    assert panel.trouble is None


def test_what_does_not_exist_is_refused(panel):
    with pytest.raises(InputError, match="no layer named 'conv9'. Did you mean"):
        panel.set(layer="conv9")
    with pytest.raises(InputError, match="filter goes from 0 to 39, got 40"):
        panel.set(filter=40)
    with pytest.raises(InputError, match="no rule named 'guidet'. Did you mean 'guided'"):
        panel.set(rule="guidet")
    with pytest.raises(InputError, match="no switches named 'middle'"):
        panel.set(switches="middle")


def test_it_leaves_the_networks_as_they_were_and_can_be_closed(panel, networks):
    panel.set(layer="conv1", filter=0)
    for module in networks["one"].modules():
        assert not module._forward_hooks
        assert not module.training
    panel.close()
    assert knobs.menu("still", ["works"]).value == "works"
