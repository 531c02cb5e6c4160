import io
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lecturekit import attacks
from lecturekit.attacks.apgd import apgd
from lecturekit.attacks.deepfool import deepfool
from lecturekit.attacks.threat import ROUNDING
from lecturekit.errors import InputError, ModelError
from lecturekit.panels import Attack
from lecturekit.panels.attack import GREY, RADII, magnified
from lecturekit.panels.before_after import paired_bars, scale
from lecturekit.panels.methods import METHODS, SCORES, Asked
from lecturekit.panels.second import Second, about_second, verdict
from lecturekit.panels.source import drawn_class
from lecturekit.pictures import picturebook
from tests.panels.conftest import tiny

PATIENCE = 20


@pytest.fixture
def panel(networks):
    return Attack(networks)


@pytest.fixture
def book():
    return tiny(3, picturebook.CLASSES)


# The attacks are those of the library


def test_it_is_ready_without_a_click_and_shows_what_fgsm_finds(panel, networks):
    result = panel.result
    expected = attacks.fgsm(networks["one"], result.chosen.x, result.found.y, ball=attacks.Linf(8 / 255))
    torch.testing.assert_close(result.found.x, expected.x, rtol=0, atol=0)
    assert result.found.attack == "FGSM"
    assert all(picture.png for strip in panel.strips for picture in strip.pictures if picture.seen)
    assert panel.attacked.title == "FGSM, L∞ ≤ 8/255"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("fgsm", lambda *of, ball: attacks.fgsm(*of, ball=ball)),
        ("pgd", lambda *of, ball: attacks.pgd(*of, ball=ball, steps=7, leave=False)),
        ("mi_fgsm", lambda *of, ball: attacks.mi_fgsm(*of, ball=ball, steps=7)),
        ("apgd", lambda *of, ball: apgd(*of, ball=ball, steps=7, leave=False)),
        ("deepfool", lambda *of, ball: deepfool(*of, norm=type(ball), steps=7)),
    ],
)
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_every_attack_finds_what_the_library_finds(panel, networks, name, call, norm):
    result = panel.set(attack=name, norm=norm, eps=2, radius=0.5, steps=7).result
    ball = attacks.Linf(2 / 255) if norm == "Linf" else attacks.L2(0.5)
    expected = call(networks["one"], result.chosen.x, result.found.y, ball=ball)
    torch.testing.assert_close(result.found.x, expected.x, rtol=0, atol=0)
    torch.testing.assert_close(result.found.logits, expected.logits)


def test_bim_is_that_of_the_library_if_it_stops_once_misled(panel, networks):
    result = panel.set(attack="bim", eps=4, steps=6, leave=True).result
    expected = attacks.bim(networks["one"], result.chosen.x, result.found.y, ball=attacks.Linf(4 / 255), steps=6)
    torch.testing.assert_close(result.found.x, expected.x, rtol=0, atol=0)
    assert result.found.gradients <= panel.set(leave=False).result.found.gradients == 6


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd", "mi_fgsm", "apgd"])
def test_the_score_is_what_the_attack_climbs(panel, networks, monkeypatch, name):
    climbed = []

    def noted(logits, y, target=None):
        climbed.append(len(logits))
        return attacks.margin(logits, y, target)

    monkeypatch.setitem(SCORES, "margin", noted)
    panel.set(attack=name, eps=2, steps=3)
    assert not climbed, "cross-entropy at first"
    found = panel.set(score="margin").result.found
    assert found.complete and climbed


def test_with_the_margin_it_finds_what_the_library_finds_with_the_margin(panel, networks):
    result = panel.set(attack="pgd", eps=2, steps=7, score="margin").result
    how = {"ball": attacks.Linf(2 / 255), "steps": 7, "leave": False, "score": attacks.margin}
    expected = attacks.pgd(networks["one"], result.chosen.x, result.found.y, **how)
    torch.testing.assert_close(result.found.x, expected.x, rtol=0, atol=0)
    other = panel.set(score="cross-entropy").result
    assert not torch.equal(other.found.x, expected.x)


@pytest.mark.parametrize("name", ["bim", "pgd", "mi_fgsm", "apgd"])
def test_however_few_the_steps_they_reach_the_border_of_the_ball(panel, name):
    found = panel.set(attack=name, eps=32, steps=2).result.found
    assert found.norms.item() == pytest.approx(32 / 255)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "ball" in method.knobs])
@pytest.mark.parametrize("change", [dict(norm="Linf", eps=level) for level in (0, 0.25, 32)]
                         + [dict(norm="L2", radius=radius) for radius in (0, 0.05, 5)])  # fmt: skip
@pytest.mark.parametrize("steps", [1, 9])
def test_no_radius_and_no_number_of_steps_makes_trouble_or_a_weak_attack(panel, name, change, steps):
    result = panel.set(attack=name, steps=steps, **change).result
    eps = result.found.ball.eps
    assert eps == pytest.approx(change.get("radius", change.get("eps", 0) / 255))
    assert result.found.norms <= eps + ROUNDING
    assert bool(result.found.unchanged) == (eps == 0)


def test_noise_goes_as_far_as_the_attack_and_more_draws_never_harm_less(panel, networks):
    for norm in ("Linf", "L2"):
        one, ten = (panel.set(attack="noise", norm=norm, eps=4, radius=1, restarts=n).result.found for n in (1, 10))
        assert one.norms.item() == pytest.approx(4 / 255 if norm == "Linf" else 1, rel=0.02), "but for the box"
        harm = [attacks.margin(networks["one"](found.x), found.y).item() for found in (one, ten)]
        assert harm[1] >= harm[0]
        assert (ten.gradients.item(), ten.queries.item()) == (0, 10)
    assert panel.attacked.title == "Noise, L2 ≤ 1"


# What is wanted


def test_the_aim_is_what_the_attack_is_told_to_reach(panel, networks):
    result = panel.set(attack="pgd", eps=32, steps=20).result
    clean = result.found.clean[0]
    assert panel.set(aim="least likely").result.found.target == clean.argmin()
    second = result.names[int(clean.argsort()[1])]
    found = panel.set(aim=second).result.found
    assert result.names[found.target] == second
    assert found.misled
    assert f"reached: {second}" in panel.attacked.caption
    panel.set(eps=0)
    assert f"not reached: {second}" in panel.attacked.caption


def test_the_true_class_is_no_aim_and_that_is_told_in_words(panel):
    truth = panel.result.names[panel.result.found.y]
    panel.set(aim=truth)
    assert f"The aim is {truth}, and {truth} is what the picture shows already" in panel._says.value
    with pytest.raises(InputError, match="aim at another class"):
        panel.result  # noqa: B018  asking is what raises
    assert panel.set(aim="anything else").trouble is None


def test_an_attack_without_an_aim_forgets_the_aim(panel):
    truth = panel.result.names[panel.result.found.y]
    panel.set(aim=truth, attack="deepfool")
    assert panel.result.found.target is None
    assert "the smallest it found; no ε" in panel.change.caption
    assert panel.attacked.title == "DeepFool"
    assert panel.change.caption.endswith(
        f"{panel.result.found.gradients.item()} gradients, {panel.result.found.queries.item()} queries"
    )


def test_the_smallest_change_is_the_same_whatever_the_radius(panel):
    first = panel.set(attack="deepfool", eps=1).result.found.x
    torch.testing.assert_close(panel.set(eps=32).result.found.x, first, rtol=0, atol=0)


def test_another_network_offers_its_own_classes_as_aims(networks, book):
    panel = Attack(networks | {"book": book}, aim="dog")
    assert list(panel.controls["aim"].options) == ["anything else", "least likely", "cat", "dog", "fish"]
    panel.set(network="book")
    assert list(panel.controls["aim"].options[2:]) == list(picturebook.CLASSES)
    assert panel.settings()["aim"] == "anything else", "it has no dogs"


# What is true


def test_the_label_of_a_drawing_counts_if_the_network_knows_the_class(book):
    panel = Attack({"book": book}, attack="noise", eps=0)
    for number in range(6):
        result = panel.set(picture=number).result
        drawn = result.chosen.words.split(",")[0]
        assert result.known
        assert result.names[result.found.y] == drawn
        if result.found.right:
            assert "wrong" not in panel.original.caption
        else:
            assert panel.original.caption.endswith(f"wrong: it is {drawn}")
            assert "wrong already before the attack" in panel.attacked.caption


def test_a_photograph_counts_as_what_imagenet_calls_it_if_the_network_knows_that():
    panel = Attack({"tiny": tiny(0, ("espresso", "lemon"))}, world="photographs", photograph="coffee")
    assert panel.result.known
    assert panel.result.found.y == 0
    assert not panel.set(photograph="retina").result.known


@pytest.mark.parametrize("change", [dict(), dict(world="photographs")])
def test_without_a_label_the_answer_to_the_clean_picture_counts_and_the_caption_says_so(panel, networks, change):
    result = panel.set(**change).result
    assert not result.known
    assert result.found.y == networks["one"](result.chosen.x).argmax()
    assert panel.original.caption.endswith("no label is known: this\ncounts as the true class")


# What is shown


def test_the_verdict_is_measured_again_on_the_finished_picture_and_after_rounding(panel, networks):
    result = panel.set(attack="pgd", norm="L2", radius=1).result
    for found in (result.found, result.rounded):
        probabilities = networks["one"](found.x).softmax(1)[0]
        share, best = probabilities.max(0)
        assert f"says\n{result.names[best]}, {100 * share:.1f} %" in panel.attacked.caption
    assert ((255 * result.rounded.x) - (255 * result.rounded.x).round()).abs().max() < 1e-4


def test_misled_is_told_against_the_label_or_else_against_the_answer_before(panel, book):
    result = panel.set(attack="pgd", eps=32).result
    assert result.found.misled
    assert f"misled: it said {result.names[result.found.y]} before" in panel.attacked.caption
    assert "\nnot misled\n" in panel.set(eps=0).attacked.caption
    known = Attack({"book": book}, attack="pgd", eps=32)
    number = next(n for n in range(200) if known.set(picture=n).result.found.right)
    assert known.settings()["picture"] == number
    assert known.result.found.misled
    assert f"misled: it is {drawn_class(number)}" in known.attacked.caption


def test_the_captions_tell_the_size_of_the_change_and_its_price(panel):
    result = panel.set(attack="pgd", eps=4, steps=10).result
    delta = result.found.delta
    assert panel.change.caption == (
        f"magnified × 31, 0 is grey\nat most {255 * delta.abs().max():.3g} of 255 grey levels\n"
        f"L2 norm {delta.norm():.3g}\n10 gradients"
    )


def test_the_perturbation_is_magnified_until_it_just_fits_and_zero_is_grey():
    delta = torch.tensor([[[[0.0, 8 / 255, -8 / 255]]] * 3]).reshape(1, 3, 1, 3)
    shown, factor = magnified(delta)
    assert factor == 15, "15 x 8 = 120 of the 127.5 levels from grey to white; 16 x 8 = 128 would be cut off"
    torch.testing.assert_close(shown, 0.5 + 15 * delta)
    assert magnified(torch.zeros(1, 3, 4, 6))[0].eq(0.5).all()
    assert magnified(0.9 * torch.ones(1, 3, 4, 6))[1] == 1


def test_at_a_radius_of_zero_nothing_is_changed(panel):
    panel.set(eps=0)
    assert panel.attacked.png == panel.original.png
    assert panel.change.caption == "nothing was changed\n1 gradient"
    assert "not misled" in panel.attacked.caption


def test_zero_gradients_are_named(panel, networks):
    networks["one"].fc3.weight *= 0
    panel.set(eps=4)
    assert panel.change.caption.endswith("the gradient was zero: nothing to follow")


def test_bars_show_probabilities_or_logits_of_both_pictures(panel, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "lecturekit.panels.attack.paired_bars", lambda *given: drawn.append(given) or paired_bars(*given)
    )
    result = panel.set(eps=16).result
    both = torch.cat([result.found.clean, result.found.logits])
    panel.set(bars="logits")
    for values, given in zip((both.softmax(1), both), drawn, strict=True):
        assert given[0] == ["cat", "dog", "fish"]
        torch.testing.assert_close(torch.tensor(given[1:3]), values)
    assert [given[4] for given in drawn] == [1.0, 0.0], "probabilities are shown on one scale"
    assert drawn[0][3](0.5) == "50.0 %"
    assert drawn[1][3](-1.26) == "−1.3"
    assert panel.bars.title == "Logits before and after"


def test_of_many_classes_the_likeliest_are_shown_and_always_truth_and_target(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "lecturekit.panels.attack.paired_bars", lambda *given: drawn.append(given[0]) or paired_bars(*given)
    )
    names = tuple(f"class {i}" for i in range(30))
    result = Attack({"many": tiny(0, names)}, aim="least likely", eps=1).result
    assert len(drawn[-1]) == 10
    assert {names[result.found.y], names[result.found.target]} <= set(drawn[-1])


def test_bars_end_where_their_numbers_are_and_negative_ones_go_left():
    place = scale(-2.0, 6.0, 620)
    assert place(6.0) == 2 * (620 - 66)
    assert place(-2.0) == 2 * (196 + 66)
    assert place(2.0) == (place(-2.0) + place(6.0)) / 2
    assert scale(0.0, 0.0, 620)(0.0) == 2 * 196, "nothing to show is no reason to fail"
    sheet = np.asarray(Image.open(io.BytesIO(paired_bars(["a", "b"], [1, -1], [0.5, 0], str))).convert("RGB"))
    assert sheet.shape == (2 * (28 + 64), 2 * 620, 3)


def test_half_a_probability_is_half_the_way_whatever_else_is_shown():
    sheet = np.asarray(Image.open(io.BytesIO(paired_bars(["a"], [0.5], [0.25], str, reach=1.0))).convert("RGB"))
    row = sheet[2 * (28 + 16) - 14]  # through the upper bar
    blue = (row == (0, 114, 178)).all(axis=-1).nonzero()[0]
    left, right = 2 * 196, 2 * (620 - 66)
    assert blue.max() == pytest.approx((left + right) / 2, abs=1)


def test_bars_have_ink_on_white_paper_and_the_colours_of_before_and_after():
    sheet = np.asarray(Image.open(io.BytesIO(paired_bars(["a"], [0.5], [0.25], str, reach=1.0))).convert("RGB"))
    found = {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}
    assert {(255, 255, 255), (0x22, 0x22, 0x22), (0, 114, 178), (213, 94, 0)} <= found


def test_knobs_are_seen_only_where_they_do_something(panel):
    def seen():
        names = ("eps", "radius", "aim", "score", "steps", "restarts", "leave")
        return [name for name in names if panel.controls[name].layout.display != "none"]

    assert seen() == ["eps", "aim", "score"]
    panel.set(norm="L2")
    assert seen() == ["radius", "aim", "score"]
    panel.set(attack="pgd")
    assert seen() == ["radius", "aim", "score", "steps", "restarts", "leave"]
    panel.set(attack="deepfool")
    assert seen() == ["steps"]
    panel.set(attack="noise", norm="Linf")
    assert seen() == ["eps", "restarts"]


def test_the_sliders_go_from_nothing_to_the_far_too_much_in_steps_that_can_be_read(panel):
    assert (GREY[0], GREY[-1], RADII[0], RADII[-1]) == (0, 32, 0, 5)
    words = [word for word, _ in panel.controls["eps"].options]
    assert {"0 / 255", "0.5 / 255", "8 / 255", "32 / 255"} <= set(words)


# A second network


def test_another_network_is_shown_the_same_pictures_and_noise_of_the_same_size(panel, networks):
    assert not panel.others.seen
    assert panel.result.second is None
    result = panel.set(attack="pgd", eps=16, second="other").result
    found, second = result.found, result.second
    torch.testing.assert_close(second.clean, networks["other"](found.x0))
    torch.testing.assert_close(second.logits, networks["other"](found.x))
    ball = attacks.Linf(found.delta.abs().max().item())
    noise = METHODS["noise"].run(networks["other"], found.x0, second.y, Asked(ball, None, 1, 1, False, None))
    torch.testing.assert_close(second.noisy, networks["other"](noise.x))
    assert noise.norms == pytest.approx(found.norms.item(), abs=1e-6)
    assert panel.others.seen
    assert panel.others.title == "The same pictures, shown to: other"
    assert not panel.set(second="nobody").others.seen


def test_asking_another_network_does_not_attack_again(panel, monkeypatch):
    first = panel.set(attack="pgd", eps=4).result.found
    monkeypatch.setattr("lecturekit.panels.attack.attacked", lambda *_: pytest.fail("it is attacked again"))
    assert panel.set(second="other").result.found is first
    assert panel.set(second="one").result.found is first


def test_the_network_itself_as_the_second_says_what_it_said(panel):
    result = panel.set(attack="pgd", eps=32, second="one").result
    torch.testing.assert_close(result.second.logits, result.found.logits)
    assert result.second.misled(result.second.logits) == bool(result.found.misled)


def test_the_smallest_change_is_compared_with_noise_in_the_norm_of_the_panel(panel, networks):
    result = panel.set(attack="deepfool", norm="L2", second="other").result
    ball = attacks.L2(result.found.delta.norm().item())
    asked = Asked(ball, None, 1, 1, False, None)
    noise = METHODS["noise"].run(networks["other"], result.found.x0, result.second.y, asked)
    torch.testing.assert_close(result.second.noisy, networks["other"](noise.x))


def opinion(clean, attacked, noisy, y=0, known=True):
    logits = [torch.nn.functional.one_hot(torch.tensor([k]), 3).float() for k in (clean, attacked, noisy)]
    return Second(("cat", "dog", "fish"), *logits, torch.tensor([y]), known)


def test_what_the_second_network_got_wrong_before_or_says_to_noise_too_is_no_transfer():
    assert verdict(opinion(1, 1, 1)) == verdict(opinion(1, 2, 1)) == "it was wrong already"
    assert not opinion(1, 2, 1).misled(opinion(1, 2, 1).logits), "it was not right before"
    assert verdict(opinion(0, 0, 0)) == verdict(opinion(0, 0, 1)) == "not misled"
    assert verdict(opinion(0, 2, 0)) == "misled as well"
    assert verdict(opinion(0, 2, 2)) == "misled as well, but noise misleads it too"
    assert verdict(opinion(0, 2, 0, known=False)) == "it changes its mind"
    words = about_second(opinion(0, 2, 0))
    assert words.startswith(
        "before cat, 57.6 %; after fish, 57.6 %: misled as well\nnoise of the same size: cat, 57.6 %"
    )


def test_the_second_network_judges_by_the_label_if_it_knows_the_class(book, networks):
    panel = Attack(networks | {"book": book}, network="one", eps=4, second="book")
    second = panel.result.second
    assert second.known
    assert second.names[second.y] == drawn_class(panel.settings()["picture"])
    own = panel.set(second="other").result.second
    assert not own.known
    assert own.y == own.clean.argmax()


def test_a_second_network_that_cannot_judge_is_told_in_words(networks):
    sure = torch.nn.Sequential(networks["one"], torch.nn.Softmax(1)).eval()
    panel = Attack(networks | {"sure": sure}, second="sure")
    assert "take the softmax off its end" in panel._says.value
    assert panel.set(second="nobody").trouble is None
    with pytest.raises(InputError, match="no second named 'anybody'"):
        panel.set(second="anybody")


def test_the_figure_beside_the_panel_is_small_enough_for_a_notebook():
    panel = Attack(["picturebook", "picturebook_residual"], world="photographs", photograph="coffee", eps=32)
    assert len(panel.set(second="picturebook_residual").snapshot()) <= 200_000


# Long runs


def test_pictures_are_painted_while_it_runs_once_it_takes_a_while(panel, monkeypatch):
    monkeypatch.setattr("lecturekit.panels.base.TICK", 0.0)
    monkeypatch.setattr("lecturekit.panels.attack.WATCHED", 0.0)
    seen = []
    monkeypatch.setattr(panel, "live", lambda picture: seen.append(picture[1]))
    panel.set(attack="pgd", steps=5)
    assert [tuple(x.shape) for x in seen] == [(1, 3, 64, 64)] * 5
    torch.testing.assert_close(seen[-1], panel.result.found.x)


def test_what_is_painted_meanwhile_says_that_it_is_not_the_end(panel):
    chosen = panel.result.chosen
    panel.live((chosen, (chosen.x + 0.01).clamp(0, 1)))
    assert panel.attacked.caption == "so far"
    assert panel.change.caption.startswith("magnified × 50")


def test_steps_are_counted_over_all_restarts_and_end_where_the_work_ended(panel):
    panel.set(attack="pgd", eps=0, steps=4, restarts=3)
    assert "12 steps in" in panel._status.value
    result = panel.set(eps=32, leave=True).result
    assert result.found.misled
    assert f"{result.found.gradients.item() - 1} steps in" in panel._status.value, "the last gradient saw it misled"


def test_stop_keeps_the_best_so_far_and_says_so(networks, monkeypatch):
    panel = Attack(networks, attack="pgd", eps=0.25, steps=1)
    slow = networks["one"].register_forward_pre_hook(lambda *_: time.sleep(0.02))
    with panel.together():
        panel.controls["steps"].value = 100
    panel.controls["restarts"].value = 2
    while panel.stop_button.disabled:
        time.sleep(0.001)
    panel.stop_button.click()
    assert panel.wait(PATIENCE)
    slow.remove()
    found = panel.result.found
    assert not found.complete
    assert 0 < found.gradients < 200
    assert "of 200 steps" in panel._status.value
    assert panel.attacked.caption.endswith("stopped early: the best so far")
    assert panel.refresh().result.found.complete, "what was stopped is computed again"


def test_what_was_finished_is_not_computed_again(panel, monkeypatch):
    first = panel.result
    panel.set(eps=2)
    monkeypatch.setattr("lecturekit.panels.attack.attacked", lambda *_: pytest.fail("it is computed again"))
    assert panel.set(eps=8).result.found is first.found
    assert panel.set(bars="logits").result.found is first.found


def test_two_pictures_that_nobody_has_named_are_not_taken_for_each_other(panel):
    results = [panel.set(world="photographs", photograph=name).result for name in ("retina", "brick")]
    for result in results:
        torch.testing.assert_close(result.found.x0, result.chosen.x)


# What can go wrong


def test_what_does_not_exist_is_refused(panel):
    with pytest.raises(InputError, match="no attack named 'pgt'. Did you mean 'pgd'"):
        panel.set(attack="pgt")
    with pytest.raises(InputError, match="no eps named 7.3"):
        panel.set(eps=7.3)
    with pytest.raises(InputError, match="no aim named 'horse'"):
        panel.set(aim="horse")


def test_no_upload_yet_is_told_in_words(panel):
    panel.set(world="upload")
    assert "No picture was uploaded yet" in panel._says.value
    assert panel.set(world="picturebook").trouble is None


def test_a_network_that_gives_probabilities_is_told_in_words(networks):
    model = torch.nn.Sequential(networks["one"], torch.nn.Softmax(1)).eval()
    panel = Attack({"sure": model})
    with pytest.raises(ModelError, match="take the softmax off its end"):
        panel.result  # noqa: B018
    assert "take the softmax off its end" in panel._says.value


def test_it_leaves_the_networks_as_they_were_and_can_be_closed(networks, book):
    book.requires_grad_(True)
    panel = Attack(networks | {"book": book}, network="book", attack="pgd", steps=3)
    panel.set(attack="deepfool")
    for module in book.modules():
        assert not module._forward_hooks
        assert not module.training
    assert all(weight.requires_grad and weight.grad is None for weight in book.parameters())
    panel.close()


def test_the_panel_ships_ready_to_use_and_a_new_radius_is_there_at_once():
    panel = Attack(["picturebook"])
    assert panel.result.known
    assert panel.result.found.right
    began = time.process_time()  # the clock on the wall would also measure who else is at work
    for eps in (4, 2, 6, 10, 3):
        panel.set(eps=eps)
    assert (time.process_time() - began) / 5 < 0.15
    assert panel.set(attack="pgd", eps=8).result.found.misled
