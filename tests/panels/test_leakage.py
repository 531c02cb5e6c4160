import functools
import io
import statistics
import time

import numpy as np
import pytest
import torch
from PIL import Image

from lecturekit import inversion, measure
from lecturekit.errors import InputError
from lecturekit.inversion import representation
from lecturekit.measure import Interval
from lecturekit.panels import Leakage, leakage, lineup, price
from lecturekit.panels.price import Case, asked, sent
from lecturekit.panels.shelf import Shelf
from lecturekit.pictures import picturebook
from lecturekit.plots import DECODED, OPTIMISED, ORIGINAL
from lecturekit.privacy import judges
from lecturekit.privacy.defence import channel_drop, noise, quantise
from tests.panels.conftest import tiny

PATIENCE = 20
FRAME, BLUE, ORANGE, BAND = (
    tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    for colour in (DECODED.colour, ORIGINAL.colour, OPTIMISED.colour, price.NOW)
)


@pytest.fixture
def panel(networks, inverses):
    return Leakage(networks, inverses, layer="conv2")


@pytest.fixture(scope="module")
def shipped():
    return Leakage(["picturebook", "picturebook_robust"])


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("lecturekit.inversion.tuned", lambda _layer: {"steps": 20})


def corner(picture):
    return Image.open(io.BytesIO(picture.png)).convert("RGB").getpixel((2, 2))


def wait_until(happens):
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, "it never happens"
        time.sleep(0.001)


def seen(suspects):
    return [picture for picture in suspects if picture.seen]


# What is computed


def test_it_is_ready_without_a_click(panel):
    assert panel.result.complete
    assert all(picture.png for strip in panel.strips for picture in strip.pictures if picture.seen)


def test_the_picture_is_what_the_inverse_network_makes_of_the_code(panel, networks, inverses):
    result = panel.result
    code = representation(networks["one"], "conv2")(result.x0)
    torch.testing.assert_close(result.code, code)
    torch.testing.assert_close(result.x, inverses["one"]["conv2"](code))
    assert result.psnr == pytest.approx(measure.psnr(result.x, result.x0).item())
    assert result.ssim == pytest.approx(measure.ssim(result.x, result.x0).item())
    assert f"PSNR {result.psnr:.1f} dB, SSIM {result.ssim:.2f}" in panel.rebuilt.caption


@pytest.mark.parametrize(
    ("defence", "strength", "apply"),
    [("noise", 2, lambda code: noise(code, 2, 7)), ("channel drop", 0.9, lambda code: channel_drop(code, 0.9)),
     ("quantisation", 1.5, lambda code: quantise(code, 1.5))],
)  # fmt: skip
def test_the_code_is_defended_as_by_the_library_before_it_is_sent(panel, inverses, defence, strength, apply):
    plain = panel.set(person=7).result
    result = panel.set(defence=defence, strength=strength).result
    torch.testing.assert_close(result.code, apply(plain.code))
    torch.testing.assert_close(result.x, inverses["one"]["conv2"](result.code))
    assert "no defence" not in panel.code.caption


def test_every_code_is_defended_by_itself():
    codes = torch.stack([torch.randn(4, 3, 5), 100 * torch.randn(4, 3, 5)])
    for defence, strength in (("noise", 1), ("quantisation", 1), ("channel drop", 0.5)):
        case = Case("one", "inverse network", "conv2", defence, strength)
        both = sent(case, codes, [3, 4])
        alone = torch.cat([sent(case, codes[:1], [3]), sent(case, codes[1:], [4])])
        torch.testing.assert_close(both, alone, rtol=0, atol=0)


@pytest.mark.parametrize("defence", ["noise", "channel drop", "quantisation"])
def test_a_defence_of_no_strength_changes_nothing(panel, defence):
    plain = panel.result
    result = panel.set(defence=defence, strength=0).result
    torch.testing.assert_close(result.x, plain.x, rtol=0, atol=0)
    assert "no defence" in panel.code.caption


@pytest.mark.parametrize(
    "change",
    [dict(person=8), dict(network="other", attacker="optimisation"), dict(layer="conv1"), dict(defence="noise")],
)
@pytest.mark.usefixtures("quick")
def test_each_control_moves_the_picture(panel, change):
    before = panel.rebuilt.png
    assert panel.set(**change).rebuilt.png != before
    assert panel.trouble is None


def test_the_strength_moves_the_picture(panel):
    before = panel.set(defence="noise", strength=1).rebuilt.png
    assert panel.set(strength=2).rebuilt.png != before


@pytest.mark.usefixtures("quick")
def test_optimisation_inverts_the_same_code(panel, networks):
    result = panel.set(attacker="optimisation", layer="conv2", defence="noise", strength=1).result
    found = inversion.invert(representation(networks["one"], "conv2"), result.code, steps=20)
    torch.testing.assert_close(result.x, found.x)
    assert f"{found.evaluations} evaluations" in panel.rebuilt.caption


def test_who_optimises_asks_only_for_the_filters_that_were_sent(networks):
    phi, x = representation(networks["one"], "conv2"), lineup.portrait(7).x
    case = Case("one", "optimisation", "conv2", "channel drop", 0.5)
    torch.testing.assert_close(asked(case, phi)(x), sent(case, phi(x), [7]))
    assert asked(case._replace(defence="noise"), phi) is phi
    assert asked(case._replace(strength=0), phi) is phi


# Who is it?


@pytest.mark.parametrize("strength", [0, 4])
def test_the_right_one_alone_has_a_frame_and_is_named(shipped, strength):
    result = shipped.set(person=23, layer="conv3", defence="noise", strength=strength).result
    framed = [picture for picture in seen(shipped.suspects) if corner(picture) == FRAME]
    named = [picture for picture in seen(shipped.suspects) if picture.caption == "person 23\nthe right one"]
    assert framed == named
    assert [picture.title for picture in named] == [f"place {result.verdict.rank}"]
    assert len(seen(shipped.suspects)) == (5 if 23 in result.verdict.nearest else 6)
    found = "is found" if result.verdict.rank == 1 else "is not found"
    assert f"person 23 {found}\nplace {result.verdict.rank} of 500" in shipped.rebuilt.caption


def test_the_place_is_that_which_the_gallery_of_the_library_finds(shipped):
    for person in (3, 20, 250):
        result = shipped.set(person=person, layer="conv4", defence="none").result
        for x, rank in ((result.x, result.verdict.rank), (result.x0, result.verdict.rank_before)):
            assert rank == lineup.gallery().find(x, [person]).ranks.item() + 1
        assert list(result.verdict.nearest) == lineup.gallery().nearest(result.x)[0].tolist()


def test_the_line_up_shows_other_moments_than_the_one_that_is_sought():
    sought, shown = lineup.portrait(7).x, lineup.gallery().x[7:8]
    assert (sought - shown).abs().mean() > 0.02


def test_the_traits_are_those_of_the_judge_and_of_the_drawing(shipped):
    result = shipped.set(person=20, layer="conv3", defence="none").result
    verdict = result.verdict
    drawn = picturebook.portraits([20], 1, "test")
    torch.testing.assert_close(result.x0[0], torch.from_numpy(drawn.images[0]).permute(2, 0, 1) / 255)
    assert verdict.read == lineup.in_words(judges.read(result.x)[0].tolist())
    assert shipped.table.caption == f"{sum(verdict.marks())} of 5 read rightly in the reconstruction"


def test_the_words_for_those_who_do_not_see_tell_person_place_traits_and_price(shipped):
    result = shipped.set(person=20, layer="conv3", defence="none").result
    words = shipped.alternative_text()
    for part in ("person 20", f"place {result.verdict.rank} of 500", "the right one", "skin: read ", "guessing: 0.2 %"):
        assert part in words
    assert words in shipped._repr_mimebundle_()[0]["text/plain"]


def test_the_robust_twin_is_one_choice_away(shipped):
    plain = shipped.set(network="picturebook", layer="conv3", person=20).result
    robust = shipped.set(network="picturebook_robust").result
    assert robust.case.network == "picturebook_robust"
    assert robust.case.attacker == "optimisation", "no inverse network was trained for it"
    assert robust.evaluations > 0
    assert "no inverse network was trained for this network, so optimisation attacks" in shipped.rebuilt.caption
    assert robust.case.layer == "conv3"
    assert not torch.equal(robust.x, plain.x)
    shipped.set(network="picturebook")


# What it costs


@pytest.fixture
def book(inverses, monkeypatch):
    """A panel whose network names the drawings; six people are counted instead of a hundred, two by optimisation."""
    sought = range(0, 12, 2)
    monkeypatch.setattr(price, "SOUGHT", sought)
    monkeypatch.setattr(price, "EVERY", 3)
    monkeypatch.setattr(price, "people", lambda: torch.cat([lineup.portrait(person).x for person in sought]))
    return Leakage({"one": tiny(3, picturebook.CLASSES)}, inverses, layer="conv2")


def test_the_price_is_the_accuracy_on_drawings_and_the_people_that_the_panel_itself_finds(book, monkeypatch):
    images = picturebook.PictureBook("test", 500)
    right = book.shelf.opened("one").model(images.tensors(slice(200))).argmax(1).numpy() == images.labels[:200]
    assert book.result.price.accuracy.estimate == pytest.approx(right.mean())
    assert book.result.price.accuracy.n == 200
    model = book.shelf.opened("one").model
    model.conv1.weight.zero_()[:3, :, 1, 1] = torch.eye(3)  # its first three filters copy the picture, so
    model.conv1.bias.zero_()
    monkeypatch.setattr(book.shelf, "inverse", lambda *_: lambda code: (code[:, :3] / 4 + 0.5).clamp(0, 1))
    book.set(layer="conv1", defence="noise", strength=0.5)  # people are found until there is too much noise
    hits = [book.set(person=person).result.verdict.rank == 1 for person in price.SOUGHT]
    assert 0 < sum(hits) < 6, "else choose another strength"
    found = book.result.price.found
    assert (found.estimate, found.n) == (pytest.approx(sum(hits) / 6), 6)


def test_against_the_shipped_network_a_hundred_people_are_counted_and_the_caption_tells_both_shares(shipped):
    shipped.set(person=20, network="picturebook", attacker="inverse network", layer="conv3", defence="none")
    accuracy, found = shipped.result.price
    assert (accuracy.n, found.n) == (200, 100)
    assert accuracy.low > 0.9
    assert found.low > 20 / 500, "twenty times what guessing reaches"
    assert shipped.cost.caption == (
        f"the network is right in {price.per_cent(accuracy)} of 200 drawings\n"
        f"the person is found for {price.per_cent(found)} of 100; guessing: 0.2 %"
    )


def test_without_a_defence_the_drawing_goes_over_the_layers_and_with_one_over_its_strengths(book, monkeypatch):
    drawn = []
    monkeypatch.setattr(price, "drawing", lambda *given: drawn.append(given) or b"")
    book.set(layer="conv1")
    names, prices, now = drawn[-1]
    assert (names, now) == (["conv1", "conv2", "prob."], 0)
    assert [known is not None for known in prices] == [True, True, False], "conv2 was looked at before"
    book.set(defence="quantisation", strength=1.5)
    names, prices, now = drawn[-1]
    assert (names[now], book.cost.title) == ("1.5", "What quantisation costs (step in σ)")
    assert [known is not None for known in prices] == [i in (0, now) for i in range(len(names))]


def test_every_strength_is_weighed_if_that_is_wanted_each_once(book, monkeypatch):
    book.set(defence="channel drop", strength=0.5, curve=True)
    cases = book._row(book.result.case)[1]
    assert all(book.scales.known(case) for case in cases)
    assert f"{8 * (8 + 1)} steps in" in book._status.value, "new strengths x (batches of drawings + of faces)"
    monkeypatch.setattr(book.scales, "_weighed", lambda *_: pytest.fail("it is weighed again"))
    book.set(strength=0.9, person=3)
    assert book.trouble is None


@pytest.mark.usefixtures("quick")
def test_optimisation_is_counted_over_people_only_when_that_is_wanted(book, monkeypatch):
    monkeypatch.setitem(leakage.STRENGTHS, "channel drop", [("0 %", 0), ("50 %", 0.5)])
    plain = book.set(attacker="optimisation", defence="channel drop", strength=0.5).result.price
    assert plain.found is None
    assert book.cost.caption.endswith("to count 2 people: some seconds each time")
    counted = book.set(curve=True).result.price
    assert counted.accuracy == plain.accuracy
    assert counted.found.n == 2
    assert f"{2 * (8 + 20)} steps in" in book._status.value


def test_a_network_of_other_things_has_no_price_and_says_why(panel):
    assert panel.result.price is None
    assert panel.cost.caption == "not measured: this network names other things than drawings"


def test_a_network_that_cannot_be_halved_has_no_price_and_says_why():
    whole = torch.nn.ModuleDict({"net": tiny(3, picturebook.CLASSES)}).eval()
    whole.forward, whole.classes = whole["net"].forward, picturebook.CLASSES
    assert price.Scales(Shelf({"whole": whole})).refusal("whole").endswith("cannot be halved at a layer")


def test_stop_while_it_weighs_leaves_the_picture_and_says_that_the_price_is_missing(book, monkeypatch):
    slowly = price.in_steps
    monkeypatch.setattr(price, "in_steps", lambda f, *rest: slowly(lambda *x: time.sleep(0.05) or f(*x), *rest))
    with book.together():
        book.controls["layer"].value = "conv1"
    book.controls["person"].value = 3
    wait_until(lambda: book.cost.caption == "being measured" and not book.stop_button.disabled)
    book.stop_button.click()
    assert book.wait(PATIENCE)
    assert book.result.price is None
    assert book.result.person == 3
    assert book.cost.caption == "not measured: stopped before"
    assert book.refresh().result.price is not None


def test_the_drawing_has_marks_for_what_is_known_and_a_band_where_the_slider_stands():
    sure, unsure = Interval(1.0, 0.9, 1.0, 9), Interval(0.25, 0.1, 0.5, 9)
    drawing = price.drawing(["0", "1", "2"], [price.Price(sure, unsure), None, price.Price(sure, None)], now=1)
    shown = np.asarray(Image.open(io.BytesIO(drawing)).convert("RGB"))[2 * 50 :]  # without the legend
    band, blue, orange = ((shown == colour).all(axis=-1).any(axis=0).nonzero()[0] for colour in (BAND, BLUE, ORANGE))
    left, right = 2 * 56, 2 * (price.WIDE - 4)
    assert band.min() == pytest.approx(left + (right - left) / 3, abs=2)
    assert band.max() == pytest.approx(left + 2 * (right - left) / 3, abs=2)
    assert orange.max() < band.min(), "of the third nobody knows how many are found"
    assert blue.max() > band.max()


# Long work, memory, errors


def test_what_was_finished_is_not_computed_again(panel, monkeypatch):
    first = panel.set(person=7).result
    panel.set(person=9)
    monkeypatch.setattr(panel, "_attacked", lambda *_: pytest.fail("it is computed again"))
    assert panel.set(person=7).result.x is first.x


def test_the_first_picture_does_not_wait_for_the_gallery(inverses, monkeypatch):
    painted, kept = [], lineup.gallery()
    monkeypatch.setattr(Leakage, "_paint", lambda _panel, result, _no_price: painted.append(result.verdict))
    monkeypatch.setattr(lineup, "gallery", functools.cache(lambda: kept))  # as if nobody had asked for it yet
    Leakage({"one": tiny(3, picturebook.CLASSES)}, inverses, layer="conv2")
    assert painted[0] is None
    assert painted[-1].rank >= 1


def test_the_optimisation_is_painted_and_judged_while_it_runs(panel, monkeypatch):
    monkeypatch.setattr("lecturekit.panels.base.TICK", 0.0)
    monkeypatch.setattr("lecturekit.inversion.tuned", lambda _layer: {"steps": 20})
    painted = []
    monkeypatch.setattr(panel, "_paint", lambda result, _no_price: painted.append(result))
    panel.set(attacker="optimisation")
    assert [result.complete for result in painted[:5]] == [False] * 5, "after evaluations 1, 5, 10, 15 and 20"
    assert painted[-1].complete
    assert all(result.verdict.rank >= 1 for result in painted)


def test_the_same_settings_give_the_same_picture_in_another_panel(networks, inverses):
    how = dict(layer="conv2", defence="noise", strength=2)
    one, other = (Leakage(networks, inverses, **how).result for _ in range(2))
    torch.testing.assert_close(one.x, other.x, rtol=0, atol=0)
    assert one.verdict == other.verdict


def test_it_leaves_the_networks_as_they_were_and_can_be_closed(panel, networks):
    panel.set(layer="conv1", defence="noise")
    for module in networks["one"].modules():
        assert not module._forward_hooks
        assert not module.training
    panel.close()


def test_reset_goes_back_to_the_start_whatever_the_strength_was(panel):
    first = panel.settings()
    panel.set(defence="quantisation", strength=4, person=3)
    panel.reset()
    assert panel.wait(PATIENCE)
    assert panel.settings() == first


def test_stop_ends_the_optimisation_and_keeps_the_best_so_far(networks, inverses, monkeypatch):
    monkeypatch.setattr("lecturekit.inversion.tuned", lambda _layer: {"steps": 500})
    panel = Leakage(networks, inverses, layer="conv2")
    slow = networks["one"].conv1.register_forward_pre_hook(lambda *_: time.sleep(0.02))
    panel.controls["attacker"].value = "optimisation"
    wait_until(lambda: not panel.stop_button.disabled)
    panel.stop_button.click()
    assert panel.wait(PATIENCE)
    slow.remove()
    result = panel.result
    assert not result.complete
    assert result.x.isfinite().all()
    assert panel.rebuilt.caption.endswith("the best so far")
    monkeypatch.setattr("lecturekit.inversion.tuned", lambda _layer: {"steps": 5})
    assert panel.refresh().result.complete, "what was stopped is computed again"


def test_knobs_are_seen_only_where_they_do_something(panel):
    assert panel.controls["strength"].layout.display == "none"
    panel.set(defence="noise")
    assert panel.controls["strength"].layout.display != "none"
    assert panel.controls["curve"].description == "weigh every strength"
    panel.set(network="other")
    assert list(panel.controls["attacker"].options) == ["optimisation"]
    assert list(panel.controls["layer"].options) == ["conv1", "conv2", "probabilities"]


def test_what_does_not_exist_is_refused_in_words(panel):
    with pytest.raises(InputError, match="person goes from 0 to 499, got 500"):
        panel.set(person=500)
    with pytest.raises(InputError, match="no defence named 'noize'. Did you mean 'noise'"):
        panel.set(defence="noize")
    with pytest.raises(InputError, match="no strength named 7"):
        panel.set(defence="noise", strength=7)


def test_a_silent_code_is_told_in_words(panel, networks):
    networks["one"].conv2.weight *= 0
    networks["one"].conv2.bias *= 0
    panel.set(attacker="optimisation", person=3)
    assert "are all zeros: a silent layer cannot be inverted" in panel._says.value
    with pytest.raises(InputError, match="are all zeros"):
        panel.result  # noqa: B018  asking is what raises
    assert panel.set(attacker="inverse network").trouble is None


def test_an_error_of_the_network_is_shown_in_words(panel, networks):
    networks["one"].conv1.weight = torch.nn.Parameter(torch.zeros(6, 4, 3, 3), requires_grad=False)
    panel.set(person=11)
    assert "A fault of this panel" in panel._says.value
    assert panel.alternative_text().startswith("A fault of this panel")


def test_another_person_is_there_at_once_and_the_figure_is_small(shipped):
    shipped.set(network="picturebook")
    shipped.set(layer="conv3", attacker="inverse network", defence="none")
    times = []
    for person in range(100, 130):
        began = time.process_time()  # the clock on the wall would also measure who else is at work
        shipped.set(person=person)
        times.append(time.process_time() - began)
    assert statistics.median(times) <= 0.1
    assert len(shipped.snapshot()) <= 200_000
