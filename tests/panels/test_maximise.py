import time

import pytest
import torch

from lecturekit import capture, features
from lecturekit.errors import InputError
from lecturekit.features.tuned import OTHER, SETTINGS
from lecturekit.panels.gallery import world_of
from lecturekit.panels.maximise import BLURS, RATES, Maximise, score_of
from lecturekit.parameterise import Pixels

QUICK = dict(layer="conv2", filter=7, steps=16)


@pytest.fixture
def panel(networks):
    return Maximise(networks, **QUICK)


def test_the_panel_paints_what_the_library_paints(panel, networks):
    panel.set(jitter=3, scale=10, degrees=5, blur=0.5, rate=0.2, decay=0.01, hold="pixels", seed=4, wish="neuron")
    expected = features.maximise(
        networks["one"],
        "conv2",
        features.neuron(7),
        hold=Pixels,
        steps=16,
        view=features.views(jitter=3, scale=0.1, degrees=5, blur=0.5),
        rate=0.2,
        decay=0.01,
        seed=4,
    )
    torch.testing.assert_close(panel.result.found.x, expected.x)


def test_more_than_life_offers_is_measured_alike_for_both(panel, networks):
    result, part = panel.result, capture.cut(networks["one"], "conv2")
    torch.testing.assert_close(result.answers, part(result.found.x)[:, 7].flatten(1).amax(dim=1))
    book = world_of("picturebook").data
    every = torch.cat([part(book[i][0][None])[0, 7].max()[None] for i in range(len(book))])
    assert result.life == pytest.approx(every.max().item(), rel=1e-5)
    torch.testing.assert_close(result.strongest[0], book[int(every.argmax())][0])
    assert result.score_of_life == pytest.approx(features.channel(7)(part(result.strongest)).item(), rel=1e-5)
    answer, score = result.answers[0].item(), result.found.score[0].item()
    assert panel.painted[0].caption == (
        f"answers {answer:.3g}\nscore {score:.3g}, grey noise {result.found.start[0]:.2g}\n"
        f"{answer / result.life:.2g} × the best drawing"
    )
    assert panel.strongest.caption.startswith(f"answers {result.life:.3g}, {result.shows}\nscore ")


def test_each_wish_is_the_objective_of_the_library(panel, networks):
    code = torch.randn(1, 40, 5, 6)
    settings = panel.settings() | {"other": 3}
    vector = torch.zeros(40)
    vector[[7, 3]] = 1
    for wish, expected in (
        ("channel", features.channel(7)),
        ("neuron", features.neuron(7)),
        ("direction", features.direction(vector)),
    ):
        torch.testing.assert_close(score_of(settings | {"wish": wish}, 40)(code), expected(code))
    torch.testing.assert_close(score_of(settings | {"wish": "logit"}, 40)(code[..., 0, 0]), code[:, 7, 0, 0])


def test_only_wishes_that_a_layer_can_have_are_offered(panel):
    offered = lambda: [value for _, value in panel.controls["wish"].options]  # noqa: E731
    assert offered() == ["channel", "neuron", "direction"]
    panel.set(layer="fc3", filter=2)
    assert offered() == ["logit", "direction"]
    assert panel.settings()["wish"] == "logit"
    assert panel.result.found.score.item() == pytest.approx(panel.result.answers.item(), rel=1e-4)


def test_the_picture_is_better_than_the_noise_it_began_with_and_more_steps_are_better(panel):
    few = panel.result.found
    assert few.score > few.start
    assert panel.set(steps=64).result.found.score > few.score


def test_pictures_are_painted_while_it_runs(networks, monkeypatch):
    monkeypatch.setattr("lecturekit.panels.base.TICK", 0.0)
    panel, told = Maximise(networks, **QUICK), []
    monkeypatch.setattr(panel, "live", told.append)
    panel.set(seed=2)
    assert [tuple(x.shape) for _, x, _ in told] == [(1, 3, 64, 64)] * 5, "after steps 1, 5, 10, 15 and 16"
    assert [score for *_, score in told] == pytest.approx([panel.result.found.scores[i] for i in (0, 4, 9, 14, 15)])


def test_stop_keeps_the_best_so_far_and_says_so(networks):
    panel = Maximise(networks, **QUICK)
    panel.controls["steps"].value = 512
    while "so far" not in panel.painted[0].caption:
        time.sleep(0.001)
    panel.stop_button.click()
    assert panel.wait(20)
    found = panel.result.found
    assert not found.complete
    assert 0 < len(found.scores) < 512
    assert f"stopped after {len(found.scores)} of 512 steps" in panel._status.value
    assert panel.set(steps=16).result.found.complete


def test_another_seed_is_another_start_and_the_best_of_all_is_kept(panel):
    results = [panel.set(seed=seed).result for seed in range(4)]
    scores = [result.found.score.item() for result in results]
    assert len(set(scores)) == 4
    assert panel.result.best.score == max(scores)
    assert panel.result.starts == 4
    best = scores.index(max(scores))
    torch.testing.assert_close(panel.result.best.x, results[best].found.x)
    for seed in range(4):
        panel.set(seed=seed)
        assert panel.best_one.seen == (seed != best)
    worst = scores.index(min(scores))
    panel.set(seed=worst)
    assert panel.best_one.caption.startswith(f"score {max(scores):.3g}, best of 4 starts\nseed {best}, held as waves")


def test_the_best_of_one_filter_is_not_that_of_another(panel):
    assert panel.set(filter=9).result.starts == 1
    assert not panel.best_one.seen


def test_going_back_to_settings_paints_nothing_anew(panel, monkeypatch):
    first = panel.result.found
    panel.set(seed=1)
    monkeypatch.setattr(features, "maximise", lambda *_, **__: pytest.fail("it is painted again"))
    assert panel.set(seed=0).result.found is first
    assert panel.trouble is None


def test_several_pictures_stand_side_by_side_and_may_be_driven_apart(panel):
    alike = panel.set(copies=3, apart=0.0).result
    assert [picture.seen for picture in panel.painted] == [True, True, True, False]
    assert panel.controls["apart"].layout.display == ""
    assert alike.found.x.shape[0] == len(alike.answers) == 3
    apart = panel.set(apart=1.0).result
    assert not torch.equal(alike.found.x, apart.found.x)
    panel.set(copies=1)
    assert [picture.seen for picture in panel.painted] == [True, False, False, False]
    assert panel.controls["apart"].layout.display == "none"


def test_the_views_follow_the_layer_until_somebody_turns_one(panel):
    for layer, near in (("conv1", "conv1"), ("relu2", "conv2")):
        panel.set(layer=layer)
        jitter, scale, degrees, blur, rate = SETTINGS[near]
        now = panel.settings()
        assert (now["jitter"], now["scale"], now["degrees"], now["blur"], now["rate"]) == (
            jitter, round(100 * scale), degrees, blur, rate,
        )  # fmt: skip
        assert now["tuned"]
    panel.controls["jitter"].value = 7
    assert not panel.settings()["tuned"]
    panel.set(layer="conv1")
    assert panel.settings()["jitter"] == 7, "turned by hand, it stays"
    assert panel.set(tuned=True).settings()["jitter"] == SETTINGS["conv1"][0]


def test_whatever_the_library_recommends_can_be_set(panel):
    for jitter, scale, degrees, blur, rate in (*SETTINGS.values(), OTHER):
        panel.controls["jitter"].value, panel.controls["scale"].value = jitter, round(100 * scale)
        assert (blur in BLURS, rate in RATES) == (True, True)
        assert degrees <= panel.controls["degrees"].max
    panel.stop()
    assert panel.wait(20)


def test_knobs_are_seen_only_where_they_do_something(panel):
    assert panel.controls["other"].layout.display == "none"
    panel.set(wish="direction", other=3)
    assert panel.controls["other"].layout.display == ""
    assert panel.trouble is None


def test_behind_a_relu_it_paints_in_front_and_measures_where_it_was_asked(panel, networks):
    result = panel.set(layer="relu2", filter=7).result
    in_front = panel.set(layer="conv2", filter=7).result
    torch.testing.assert_close(result.found.x, in_front.found.x)
    expected = capture.cut(networks["one"], "relu2")(result.found.x)[:, 7].flatten(1).amax(dim=1)
    torch.testing.assert_close(result.answers, expected)


def test_a_filter_that_nothing_moves_says_so(panel, networks):
    networks["one"].conv2.bias[3] = -1000.0
    panel.set(layer="relu2", filter=3)
    assert panel.trouble is None
    assert panel.painted[0].caption.endswith("no drawing brings it above zero")


def test_layers_and_filters_follow_the_network_and_what_does_not_exist_is_refused(panel):
    panel.set(filter=39)
    panel.controls["layer"].value = "conv1"
    assert panel.wait(60)
    assert panel.settings()["filter"] == panel.controls["filter"].max == panel.controls["other"].max == 5
    assert panel.set(network="other").trouble is None
    with pytest.raises(InputError, match="no wish named 'everything'"):
        panel.set(wish="everything")
    with pytest.raises(InputError, match="no hold named 'pixel'. Did you mean 'pixels'"):
        panel.set(hold="pixel")
    with pytest.raises(InputError, match="seed goes from 0 to 19, got 20"):
        panel.set(seed=20)


def test_it_leaves_the_networks_as_they_were(panel, networks):
    for module in networks["one"].modules():
        assert not module._forward_hooks
        assert not module.training
    assert all(weight.grad is None for weight in networks["one"].parameters())
