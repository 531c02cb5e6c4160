"""A card says what its file holds, and its numbers were measured on the file and not on what was in memory."""

import dataclasses
import hashlib
import json
import types

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lecturekit import recipes, shipping
from lecturekit.attacks import Linf, cross_entropy, margin
from lecturekit.errors import InputError
from lecturekit.inversion.representation import representation
from lecturekit.inversion.upconv import inverse_net
from lecturekit.networks import face_net, lecture_net, load, residual_net, zoo
from lecturekit.recipes import JUDGES
from lecturekit.training import Recipe, Trained, seeded

CLASSES = ("cat", "car")
TINY = Recipe("picturebook_tiny_residual", None, None, None, epochs=3, batch=4, seed=2)


def network():
    torch.manual_seed(0)
    return residual_net(CLASSES).eval()


def pictures(count):
    """Pictures and the names that the network itself gives them, every fifth one wrong."""
    x = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    y = network()(x).argmax(1)
    y[::5] = 1 - y[::5]
    return x, y


@pytest.fixture
def small(monkeypatch):
    """Twenty pictures in place of two thousand, in batches of eight."""
    monkeypatch.setattr(shipping, "unseen", lambda name, count: pictures(20))
    monkeypatch.setattr(shipping, "BATCH", 8)


def ship(folder, recipe=TINY, model=None):
    return shipping.ship(recipe, Trained(model or network(), [0.51234567, 0.4], True), folder=folder)


def test_what_is_shipped_can_be_loaded_and_answers_alike(small, tmp_path):
    ship(tmp_path)
    x, _ = pictures(4)
    loaded = zoo.load(TINY.name, tmp_path)
    assert loaded.classes == CLASSES
    torch.testing.assert_close(loaded(x), network()(x), atol=1e-3, rtol=0)


def test_weights_are_stored_in_half_precision(small, tmp_path):
    ship(tmp_path)
    stored = load_file(tmp_path / f"{TINY.name}.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    torch.testing.assert_close(stored["fc.weight"].float(), network().fc.weight.detach(), atol=1e-3, rtol=1e-3)


def test_the_card_fits_the_file_and_says_how_it_came_about(small, tmp_path):
    returned = ship(tmp_path)
    card = json.loads((tmp_path / f"{TINY.name}.json").read_text("utf-8"))
    data = (tmp_path / f"{TINY.name}.safetensors").read_bytes()
    assert card == json.loads(json.dumps(returned))
    assert card["bytes"] == len(data)
    assert card["sha256"] == hashlib.sha256(data).hexdigest()
    assert card["stored_as"] == "float16"
    assert card["architecture"] == "residual_net"
    assert card["classes"] == list(CLASSES)
    assert card["seed"] == 2
    assert card["command"] == f"lecturekit train {TINY.name} --threads {torch.get_num_threads()}"
    assert card["schedule"] == {"epochs": 3, "batch": 4, "peak_lr": 4e-3, "weight_decay": 0.01, "average": 0.0}
    assert card["loss_by_epoch"] == [0.51235, 0.4]
    assert card["weights"] == sum(p.numel() for p in network().parameters())
    assert card["environment"].keys() == {"python", "torch", "threads", "processor"}
    assert "picture book" in card["data"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{TINY.name}.json", f"{TINY.name}.safetensors"]


def test_accuracy_is_counted_over_all_batches_with_its_interval(small, tmp_path):
    measured = ship(tmp_path)["measured"]
    attacked = "accuracy_pgd50_5_restarts_both_scores_8_255"
    assert measured.keys() == {"accuracy", "accuracy_in_single_precision", attacked}
    assert measured[attacked]["n"] == 20 and measured[attacked]["estimate"] <= measured["accuracy"]["estimate"]
    assert measured["accuracy"]["estimate"] == 0.8, "every fifth of twenty labels is wrong"
    assert measured["accuracy"]["n"] == 20
    assert measured["accuracy"]["low"] < 0.8 < measured["accuracy"]["high"]


def test_accuracy_is_measured_on_the_file(small, tmp_path, monkeypatch):
    wrong = network()
    wrong.fc.weight.data.neg_()
    wrong.fc.bias.data.neg_()
    monkeypatch.setattr(shipping, "load", lambda name, folder: wrong)
    measured = ship(tmp_path)["measured"]
    assert measured["accuracy"]["estimate"] == 0.2
    assert measured["accuracy_in_single_precision"]["estimate"] == 0.8


@pytest.mark.parametrize("name", ["picturebook_robust", "picturebook"])
def test_a_robust_network_is_attacked_as_in_training_and_a_standard_one_with_both_scores(
    name, small, tmp_path, monkeypatch
):
    asked = []

    def attack(model, x, y, **budget):
        asked.append((len(x), budget))
        return types.SimpleNamespace(stood=torch.arange(len(x)) % 2 == 0)

    monkeypatch.setattr(shipping, "pgd", attack)
    monkeypatch.setattr(shipping, "ATTACKED", 10)
    torch.manual_seed(0)
    model = lecture_net(CLASSES).eval()
    measured = ship(tmp_path, dataclasses.replace(TINY, name=name), model)["measured"]
    ball = {"ball": Linf(8 / 255), "restarts": 5}
    if name == "picturebook_robust":
        assert asked == [(8, {**ball, "steps": 20}), (2, {**ball, "steps": 20})]
        found = measured["robust_accuracy_pgd20_5_restarts_8_255"]
        assert (found["estimate"], found["n"]) == (0.5, 10)
        return
    assert [count for count, _ in asked] == [8, 2, 5], "the second score is tried on what stands the first"
    assert asked[0][1] == {**ball, "steps": 50, "score": margin}
    assert asked[2][1] == {**ball, "steps": 50, "score": cross_entropy}
    assert measured["accuracy_pgd50_5_restarts_both_scores_8_255"]["estimate"] == 0.3, "3 of 10 stand both"


def test_a_training_that_was_stopped_is_not_shipped(tmp_path):
    with pytest.raises(InputError, match="the training of picturebook_tiny_residual was stopped before its end"):
        shipping.ship(TINY, Trained(network(), [0.5], complete=False), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_weights_too_large_for_half_precision_do_not_pass(small, tmp_path):
    model = network()
    model.fc.weight.data[0, 0] = 1e5
    with pytest.raises(OSError, match=r"fc\.weight holds NaN or infinite values"):
        ship(tmp_path, model=model)


# Inverse networks


def test_the_card_of_an_inverse_network_tells_how_good_it_is_beside_the_mean_picture(small, tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = lecture_net(CLASSES).eval().requires_grad_(False)
    monkeypatch.setattr(shipping, "load", lambda name: model)
    recipe = recipes.INVERSES["picturebook_inverse_fc7"]
    card = ship(tmp_path, recipe, inverse_net((128,)).eval())
    assert card["architecture"] == "inverse_net"
    assert card["code_shape"] == [128]
    assert (card["of"], card["layer"], card["depth"]) == ("picturebook", "fc7", 6)
    x, _ = pictures(20)
    baseline = 10 * torch.log10(1 / (x - x.mean(0)).square().mean((1, 2, 3))).mean()
    assert card["measured"]["psnr_of_mean_picture"]["estimate"] == pytest.approx(baseline.item(), abs=1e-3)
    net = zoo.restore(inverse_net((128,)), recipe.name, tmp_path)
    rebuilt = net(representation(model, "fc7")(x))
    psnr = 10 * torch.log10(1 / (x - rebuilt).square().mean((1, 2, 3))).mean()
    assert card["measured"]["psnr"]["estimate"] == pytest.approx(psnr.item(), abs=1e-3)
    assert card["measured"]["psnr"]["low"] <= card["measured"]["psnr"]["estimate"] <= card["measured"]["psnr"]["high"]
    assert card["measured"]["psnr"]["n"] == 20


def test_layers_are_deeper_the_later_they_come():
    shipped = [recipe.name.split("_inverse_")[1] for recipe in recipes.INVERSES.values()]
    assert set(shipped) <= set(shipping.DEPTH)


def test_the_shape_of_a_code_is_found_without_dice(monkeypatch):
    model = lecture_net(CLASSES).eval()
    monkeypatch.setattr(shipping, "load", lambda name: model)
    state = torch.get_rng_state()
    assert shipping.code_shape("picturebook", "conv3") == (96, 16, 16)
    assert torch.equal(torch.get_rng_state(), state)


# The pictures


def test_photographs_are_tested_on_pictures_of_every_class(shared, monkeypatch):
    monkeypatch.setenv("TINY_IMAGENET_20", str(shared / "data" / "tiny_imagenet_20"))
    x, y = shipping.unseen("photographs", 500)
    assert x.shape == (500, 3, 64, 64)
    assert y.bincount().tolist() == [25] * 20, "they are stored class by class: the first 500 would be ten classes"
    assert len(shipping.unseen("photographs", 2000)[1]) == 1000, "all there are"


def test_drawings_are_tested_on_the_split_that_no_training_sees():
    from lecturekit.pictures.picturebook import PictureBook

    x, y = shipping.unseen("picturebook_inverse_conv3", 20)
    book = PictureBook("test", 20)
    assert torch.equal(y, torch.from_numpy(book.labels))
    torch.testing.assert_close(x[3], book[3][0])


def test_an_interval_is_stored_with_four_digits():
    value = types.SimpleNamespace(estimate=0.123456, low=0.1, high=0.2, n=7)
    assert shipping.interval(value) == {"estimate": 0.1235, "low": 0.1, "high": 0.2, "n": 7}


def test_what_a_network_was_trained_on_is_said_in_words():
    assert "not part of this package" in shipping.data_words("photographs_inverse_conv3")
    assert "split 'train'" in shipping.data_words("picturebook_robust")


def test_accuracy_needs_no_gradients():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    value = shipping.accuracy(model, torch.rand(3, 3, 2, 2), torch.zeros(3, dtype=torch.long))
    assert value["n"] == 3


@pytest.mark.parametrize(("name", "figures"), [("people", 2), ("traits", 5)])
def test_a_judge_is_measured_on_people_whom_it_does_not_know(name, figures, tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "SOUGHT", 40)
    recipe = JUDGES[name]
    with seeded(0):
        fresh = face_net(load(name).classes).eval()
    card = shipping.ship(recipe, Trained(fresh, [1.0], True), folder=tmp_path)
    assert (card["what"], card["architecture"], card["stored_as"]) == (
        "a judge of faces", "face_net", "int8, one step a row"
    )  # fmt: skip
    assert "people 500 to 999" in card["data"]
    assert len(card["measured"]) == figures
    assert {value["n"] for value in card["measured"].values()} == {40}
    shipped = shipping.judge_quality(name, zoo.WEIGHTS)  # the same question to the one that ships
    assert sum(v["estimate"] for v in shipped.values()) > sum(v["estimate"] for v in card["measured"].values()) + 0.5
