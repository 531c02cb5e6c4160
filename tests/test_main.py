"""The command: it trains, ships, goes on after a stop, and answers a mistake with one sentence."""

import importlib
import json
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from lecturekit import recipes, shipping
from lecturekit.__main__ import app, main
from lecturekit.errors import SetupError
from lecturekit.networks import residual_net, zoo
from lecturekit.progress import STOP
from lecturekit.training import Recipe

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("cat", "car")


def data():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(6, 3, 64, 64, generator=generator), torch.arange(6) % 2


TINY = Recipe(
    "picturebook_tiny_residual",
    data,
    lambda: residual_net(CLASSES),
    lambda model, x, y, _generator, _progress: nn.functional.cross_entropy(model(x), y),
    epochs=2,
    batch=3,
)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """One tiny recipe, six pictures to measure it on, and a cache of its own."""
    monkeypatch.setattr(recipes, "RECIPES", {TINY.name: TINY})
    monkeypatch.setattr(shipping, "unseen", lambda name, count: data())
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def run_main(monkeypatch, *words):
    """Run the command as a terminal does; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["lecturekit", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


def test_train_writes_weights_and_card(small):
    done = call("train", TINY.name, "--folder", small / "new" / "place")
    assert done.exit_code == 0, done.output
    assert "Wrote" in done.output
    assert "To train it from the beginning again, delete" in done.output
    model = zoo.load(TINY.name, small / "new" / "place")
    assert model.classes == CLASSES
    card = json.loads((small / "new" / "place" / f"{TINY.name}.json").read_text("utf-8"))
    assert len(card["loss_by_epoch"]) == 2
    assert card["measured"]["accuracy"]["n"] == 6


def test_train_goes_on_where_it_was_stopped_and_ends_with_the_same_file(small, monkeypatch):
    whole = call("train", TINY.name, "--folder", small / "whole")
    assert whole.exit_code == 0, whole.output
    monkeypatch.setenv("LECTUREKIT_CACHE", str(small / "second cache"))
    with monkeypatch.context() as patch:
        patch.setattr("lecturekit.progress.bar", lambda _: lambda step: STOP if step.done == 3 else None)
        stopped = call("train", TINY.name, "--folder", small / "parts")
    assert stopped.exit_code == 130
    assert "Stopped after 1 whole epochs; the same command goes on from there." in stopped.output
    assert not (small / "parts").exists(), "nothing unfinished is shipped"
    assert call("train", TINY.name, "--folder", small / "parts").exit_code == 0
    one, other = (small / place / f"{TINY.name}.safetensors" for place in ("whole", "parts"))
    assert one.read_bytes() == other.read_bytes()


def test_the_number_of_threads_can_be_chosen(small, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    assert call("train", TINY.name, "--folder", small, "--threads", 3).exit_code == 0
    assert chosen == [3]
    assert call("train", TINY.name, "--folder", small, "--threads", 0).exit_code == 2
    assert chosen == [3]


def test_an_unknown_name_is_one_sentence_and_exit_code_2(monkeypatch, capsys):
    assert run_main(monkeypatch, "train", "pictrebook") == 2
    told = capsys.readouterr().err
    assert told.startswith("lecturekit: there is no recipe named 'pictrebook'. Did you mean 'picturebook'")
    assert told.count("\n") == 1
    assert "Traceback" not in told


def test_a_damaged_state_is_one_sentence_as_well(small, monkeypatch, capsys):
    state = small / "cache" / "training" / f"{TINY.name}.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"half")
    assert run_main(monkeypatch, "train", TINY.name) == 2
    assert "Delete it to begin again." in capsys.readouterr().err


def test_an_error_that_is_not_the_users_keeps_its_traceback(monkeypatch, small):
    broken = Recipe("broken", data, lambda: 1 / 0, None)
    monkeypatch.setattr(recipes, "RECIPES", {"broken": broken})
    monkeypatch.setattr(sys, "argv", ["lecturekit", "train", "broken"])
    with pytest.raises(ZeroDivisionError):
        main()


def test_networks_lists_the_shipped_ones_with_their_numbers(monkeypatch):
    accuracy = {"accuracy": {"estimate": 0.9955, "low": 0.9915, "high": 0.9976, "n": 2000}}
    cards = {"picturebook": {"weights": 1234567, "measured": accuracy}, "bare": {"weights": 1}}
    monkeypatch.setattr("lecturekit.networks.cards", lambda: cards)
    monkeypatch.setenv("COLUMNS", "120")
    shown = call("networks")
    assert shown.exit_code == 0, shown.output
    for words in ("picturebook", "1,234,567", "accuracy 0.9955 [0.9915, 0.9976] (N=2000)", "bare"):
        assert words in shown.output


def test_networks_lists_every_card_that_ships(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    shown = call("networks")
    assert shown.exit_code == 0, shown.output
    assert all(name in shown.output for name in zoo.cards())


def test_the_notes_of_a_lecture_are_shown(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    shown = call("notes", "4")
    assert shown.exit_code == 0, shown.output
    assert "04 · DeconvNet step by step" in shown.output and "9 Try it: the panel" in shown.output
    assert "**" not in shown.output, "it is set, not quoted"


@pytest.mark.parametrize("words", [("notes", "77"), ("doctor", "--lecture", "77")])
def test_a_lecture_that_does_not_exist_is_one_sentence(monkeypatch, capsys, words):
    assert run_main(monkeypatch, *words) == 2
    told = capsys.readouterr()
    assert told.err.startswith("lecturekit: there is no lecture named '77'.") and "Available: 00, 01" in told.err
    assert told.out == ""


def test_a_lecture_without_notes_says_where_they_would_be(monkeypatch, capsys, tmp_path):
    (tmp_path / "90_try.ipynb").write_text("{}", encoding="utf-8")
    assert run_main(monkeypatch, "notes", str(tmp_path / "90_try.ipynb")) == 2
    assert "90_try.ipynb has no speaker notes; they would be notes/90.md beside it" in capsys.readouterr().err


def test_help_names_the_commands():
    shown = call("--help")
    assert shown.exit_code == 0
    assert all(command in shown.output for command in ("doctor", "notes", "train", "networks"))


def test_the_installed_command_is_the_one_that_answers_in_one_sentence():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    module, function = scripts["lecturekit"].split(":")
    assert getattr(importlib.import_module(module), function) is main


def test_a_claim_without_its_pictures_is_passed_over_unless_it_was_named(monkeypatch):
    from lecturekit import claims as ledger

    def measure(id):
        if id == "real-faces":
            raise SetupError("the faces are not here")
        return ledger.stored()[id]

    monkeypatch.setattr(ledger, "measure", measure)
    monkeypatch.setattr(ledger, "known", lambda: ("real-faces", "who-by-layer"))
    every = CliRunner().invoke(app, ["claims"])
    assert every.exit_code == 0
    assert "real-faces: not measured. the faces are not here" in every.output
    assert "conv2: found" in every.output
    assert CliRunner().invoke(app, ["claims", "real-faces"]).exit_code != 0
