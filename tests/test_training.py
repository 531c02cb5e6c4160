"""A training run ends with the same weights however often it was cut short, and says what is wrong when it cannot.

Called as a script, this file trains the small network of these tests and kills itself on the way.
"""

import contextlib
import copy
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from lecturekit import training
from lecturekit.errors import FileError, ModelError, SetupError
from lecturekit.progress import STOP
from lecturekit.training import Recipe, State, one_cycle, seeded, train

EPOCHS, EXAMPLES, BATCH = 3, 10, 4  # three batches an epoch, the last one of two
STEPS = 9


def data():
    generator = torch.Generator().manual_seed(5)
    return torch.rand(EXAMPLES, 1, 6, 5, generator=generator), torch.arange(EXAMPLES) % 2


def build():
    """A little of everything that has a state: convolution, batch norm, dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 2)
    )


def noisy_loss(model, x, y, generator, _progress):
    noise = 0.1 * torch.randn(x.shape, generator=generator)
    return nn.functional.cross_entropy(model(x + noise.to(x)), y)


TINY = Recipe("tiny", data, build, noisy_loss, epochs=EPOCHS, batch=BATCH, average=0.8, seed=3)
LINE = Recipe(  # fitted by least squares
    "line",
    lambda: (torch.arange(12.0).view(6, 2), torch.arange(6.0)),
    lambda: nn.Linear(2, 1),
    lambda model, x, y, _generator, _progress: (model(x)[:, 0] - y).square().mean(),
    epochs=2,
    batch=4,
    peak_lr=0.1,
)


def weights(trained):
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    trained = train(TINY, tmp_path_factory.mktemp("uninterrupted"))
    assert trained.complete
    return trained


class Killed(BaseException):
    """What no code may catch: the process is gone."""


def killer(step):
    def watch(report):
        if report.done == step:
            raise Killed

    return watch


# The same weights, come what may


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(tmp_path, uninterrupted):
    again = train(TINY, tmp_path / "again")
    other = train(dataclasses.replace(TINY, seed=4), tmp_path / "other")
    assert same(weights(again), weights(uninterrupted))
    assert again.history == uninterrupted.history
    assert not same(weights(other), weights(uninterrupted))


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_run_that_is_cut_off_and_started_again_ends_with_the_same_weights(tmp_path, uninterrupted, step):
    with pytest.raises(Killed):
        train(TINY, tmp_path, watch=killer(step))
    torch.manual_seed(random.randrange(1000))  # nothing may hang on what the global generator has become
    resumed = train(TINY, tmp_path)
    assert resumed.complete
    assert same(weights(resumed), weights(uninterrupted)), f"cut off after batch {step} of {STEPS}"
    assert resumed.history == uninterrupted.history


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_that_is_killed_goes_on_where_it_was(tmp_path, uninterrupted):
    found = subprocess.run([sys.executable, __file__, tmp_path], cwd=Path(training.__file__).parents[1])
    assert found.returncode == -signal.SIGKILL
    half, whole = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    assert half.read_bytes() == HALF, "it died while it saved its second epoch"
    seen = []
    resumed = train(TINY, tmp_path, watch=seen.append)
    assert seen[0].done == STEPS // EPOCHS + 1, "the first epoch was saved"
    assert same(weights(resumed), weights(uninterrupted))


def test_a_finished_run_is_not_trained_further(tmp_path, uninterrupted):
    train(TINY, tmp_path)
    again = train(TINY, tmp_path, watch=lambda _: pytest.fail("there was nothing left to do"))
    assert again.complete
    assert same(weights(again), weights(uninterrupted))


def test_only_what_is_left_is_done_after_a_cut(tmp_path):
    with pytest.raises(Killed):
        train(TINY, tmp_path, watch=killer(8))
    seen = []
    train(TINY, tmp_path, watch=seen.append)
    assert [step.done for step in seen] == [7, 8, 9], "the third epoch again, from its first batch"


# Stopping


def test_a_watcher_can_stop_and_gets_the_network_so_far(tmp_path, uninterrupted):
    stopped = train(TINY, tmp_path, watch=lambda step: STOP if step.done == 5 else None)
    assert not stopped.complete
    assert len(stopped.history) == 1, "one whole epoch"
    assert not stopped.model.training
    assert same(weights(train(TINY, tmp_path)), weights(uninterrupted))


def test_ctrl_c_gives_the_network_so_far(tmp_path, uninterrupted):
    def interrupt(step):
        if step.done == 5:
            raise KeyboardInterrupt

    stopped = train(TINY, tmp_path, watch=interrupt)
    assert not stopped.complete
    assert stopped.history == uninterrupted.history[:1]
    assert same(weights(train(TINY, tmp_path)), weights(uninterrupted))


def test_ctrl_c_while_the_data_are_made_ends_the_run_as_well(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    stopped = train(dataclasses.replace(TINY, data=interrupted), tmp_path)
    assert not stopped.complete
    assert stopped.history == []


def test_a_running_mean_is_handed_on_after_a_stop_as_well(tmp_path):
    models = []
    recipe = dataclasses.replace(TINY, build=lambda: models.append(build()) or models[0], average=0.999)
    before = []
    stopped = train(recipe, tmp_path, watch=lambda step: before.append(copy.deepcopy(models[0])) or STOP)
    raw, mean = before[0].state_dict()["5.weight"], stopped.model.state_dict()["5.weight"]
    assert not torch.equal(raw, mean)


def end_well(folder):
    train(TINY, folder)


def end_by_stop(folder):
    train(TINY, folder, watch=lambda step: STOP)


def end_by_kill(folder):
    with contextlib.suppress(Killed):
        train(TINY, folder, watch=killer(2))


def end_by_error(folder):
    with contextlib.suppress(ModelError):
        train(dataclasses.replace(TINY, loss=lambda model, x, *_: model(x).sum() * float("nan")), folder)


@pytest.mark.parametrize("end", [end_well, end_by_stop, end_by_kill, end_by_error])
def test_the_global_generator_is_left_as_it_was(tmp_path, end):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    end(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_seeded_block_repeats_itself_and_leaves_no_trace():
    before = torch.get_rng_state()
    with seeded(7):
        first = torch.rand(3)
    with pytest.raises(ZeroDivisionError), seeded(7):
        assert torch.equal(torch.rand(3), first)
        1 / 0  # noqa: B018
    assert torch.equal(torch.get_rng_state(), before)


# What one step does


def test_the_loop_is_this_plain_one(tmp_path):
    """The specification: shuffle, learning rate, gradient, clip, AdamW, in the open."""
    recipe = dataclasses.replace(LINE, weight_decay=0.3)
    with seeded(recipe.seed):
        model = nn.Linear(2, 1)
    x, y = recipe.data()
    optimiser, step, history = torch.optim.AdamW(model.parameters(), weight_decay=0.3), 0, []
    for epoch in range(2):
        order = torch.randperm(6, generator=torch.Generator().manual_seed(epoch))
        losses = []
        for places in (order[:4], order[4:]):
            optimiser.param_groups[0]["lr"] = one_cycle(step / 4, 0.1)
            optimiser.zero_grad()
            loss = (model(x[places])[:, 0] - y[places]).square().mean()
            loss.backward()
            length = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
            for p in model.parameters():
                p.grad *= min(1.0, 5.0 / (length.item() + 1e-6))
            optimiser.step()
            losses += [loss.item()] * len(places)
            step += 1
        history.append(sum(losses) / 6)
    trained = train(recipe, tmp_path)
    torch.testing.assert_close(trained.model.weight, model.weight)
    torch.testing.assert_close(trained.model.bias, model.bias)
    assert trained.history == pytest.approx(history)


def test_the_running_mean_of_the_weights_is_what_a_hand_computes(tmp_path):
    models, steps = [], []
    recipe = dataclasses.replace(LINE, average=0.75, build=lambda: models.append(nn.Linear(2, 1)) or models[-1])
    with seeded(recipe.seed):
        mean = nn.Linear(2, 1).weight.detach().clone()
    trained = train(recipe, tmp_path, watch=lambda _: steps.append(models[0].weight.detach().clone()))
    assert len(steps) == 4
    for weight in steps:
        mean = 0.75 * mean + 0.25 * weight
    torch.testing.assert_close(trained.model.weight.detach(), mean)


def test_batch_norms_statistics_are_averaged_and_its_counter_is_copied():
    state = State(dataclasses.replace(TINY, average=0.5))
    before = state.mean["1.running_mean"].clone()
    state.model.train()(torch.ones(2, 1, 6, 5, device=before.device))
    state.follow(0.5)
    now = state.model.state_dict()
    torch.testing.assert_close(state.mean["1.running_mean"], (before + now["1.running_mean"]) / 2)
    assert state.mean["1.num_batches_tracked"] == now["1.num_batches_tracked"] == 1


def test_every_example_is_shown_once_an_epoch_in_a_new_order(tmp_path):
    seen = []

    def loss(model, x, y, _generator, _progress):
        seen.append(y.tolist())
        return model(x).square().mean()

    train(dataclasses.replace(LINE, loss=loss), tmp_path)
    first, second = seen[0] + seen[1], seen[2] + seen[3]
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != second
    assert [len(batch) for batch in seen] == [4, 2, 4, 2]


def test_the_loss_is_told_how_far_the_training_is(tmp_path):
    told = []

    def loss(model, x, _y, _generator, progress):
        told.append(progress)
        return model(x).square().mean()

    train(dataclasses.replace(LINE, loss=loss), tmp_path)
    assert told == [0, 0.25, 0.5, 0.75]


def test_a_frozen_network_is_trained_all_the_same(tmp_path):
    start = nn.Linear(2, 1).requires_grad_(False)
    trained = train(dataclasses.replace(LINE, build=lambda: copy.deepcopy(start)), tmp_path)
    assert not torch.equal(trained.model.weight, start.weight)


def test_a_watcher_hears_of_every_batch(tmp_path):
    seen = []
    trained = train(TINY, tmp_path, watch=seen.append)
    assert [(step.done, step.total) for step in seen] == [(i, STEPS) for i in range(1, STEPS + 1)]
    sizes = [4, 4, 2]
    first = sum(step.loss * size for step, size in zip(seen[:3], sizes, strict=True)) / EXAMPLES
    assert first == pytest.approx(trained.history[0])
    assert seen[3].note.startswith("epoch 2/3 loss ")


def test_what_ships_is_what_finish_makes_of_the_network(tmp_path):
    assert train(dataclasses.replace(LINE, finish=lambda model: [model]), tmp_path).model[0].weight.shape == (1, 2)


# The learning rate


@pytest.mark.parametrize("steps", [10, 1000])
def test_one_cycle_is_torchs_schedule(steps):
    """torch counts steps so that its peak falls on step 0.3 * steps - 1, and its end on the last one."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.4, total_steps=steps)
    top = 0.3 * steps - 1
    for step in range(steps):
        progress = 0.3 * step / top if step < top else 0.3 + 0.7 * (step - top) / (steps - 1 - top)
        assert one_cycle(progress, 0.4) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        schedule.step()


def test_one_cycle_starts_at_a_25th_peaks_at_three_tenths_and_ends_near_zero():
    assert one_cycle(0, 1.0) == pytest.approx(1 / 25)
    assert one_cycle(0.15, 1.0) == pytest.approx((1 + 1 / 25) / 2)
    assert one_cycle(0.3, 1.0) == pytest.approx(1)
    assert one_cycle(1, 1.0) == pytest.approx(1 / 25e4)
    assert one_cycle(0.65, 2.0) == pytest.approx(1, rel=1e-4)


# What can go wrong


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_last_state(tmp_path, uninterrupted):
    def breaks(model, x, y, generator, progress):
        return noisy_loss(model, x, y, generator, progress) * (float("nan") if progress > 0.5 else 1)

    with pytest.raises(ModelError, match=r"tiny: in epoch 2 the loss became nan .*lower peak_lr"):
        train(dataclasses.replace(TINY, loss=breaks), tmp_path)
    assert same(weights(train(TINY, tmp_path)), weights(uninterrupted))


def test_a_gradient_that_is_no_number_is_not_followed(tmp_path):
    def steep(model, x, _y, _generator, _progress):
        return (model(x) * 0).abs().sqrt().sum()  # the root is 0, its slope 0 * infinity

    with pytest.raises(ModelError, match=r"line: in epoch 1 the loss became 0.0 and the length of its gradient nan"):
        train(dataclasses.replace(LINE, loss=steep), tmp_path)
    assert not (tmp_path / "line.safetensors").exists()


def spoil(path, how):
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    path.unlink()
    if how == "a folder":
        path.mkdir()
    else:
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "flipped": flipped, "text": b"hello" * 9}[how])


@pytest.mark.parametrize("how", ["empty", "cut", "flipped", "text", "a folder"])
def test_a_damaged_state_is_refused(tmp_path, how):
    train(LINE, tmp_path)
    spoil(tmp_path / "line.safetensors", how)
    with pytest.raises(FileError, match=r"line\.safetensors is not a training state of line .* Delete it to begin"):
        train(LINE, tmp_path)


def test_a_flipped_bit_in_a_state_is_found(tmp_path):
    train(LINE, tmp_path)
    spoil(tmp_path / "line.safetensors", "flipped")
    with pytest.raises(FileError, match="its numbers are damaged"):
        train(LINE, tmp_path)


def test_weights_are_not_a_state(tmp_path):
    save_file(nn.Linear(2, 1).state_dict(), tmp_path / "line.safetensors")
    with pytest.raises(FileError, match="it says nothing of history, numbers and checksum"):
        train(LINE, tmp_path)


def test_a_state_of_another_recipe_is_refused(tmp_path):
    train(LINE, tmp_path)
    with pytest.raises(FileError, match=r"it was trained with .*'epochs': 2.*, and the recipe says .*'epochs': 3"):
        train(dataclasses.replace(LINE, epochs=3), tmp_path)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"data": lambda: (torch.arange(12.0).view(6, 2) + 1, torch.arange(6.0))}, "inputs"),
        ({"data": lambda: (torch.arange(12.0).view(6, 2), torch.arange(6.0).flip(0))}, "targets"),
        ({"data": lambda: (torch.arange(10.0).view(5, 2), torch.arange(5.0))}, "inputs"),
        ({"build": lambda: nn.Linear(2, 1, dtype=torch.float64).float()}, "starting weights"),  # another draw
        ({"build": lambda: nn.Linear(3, 1)}, "starting weights"),
    ],
    ids=["other inputs", "other targets", "fewer", "other weights", "another shape"],
)
def test_a_state_that_began_with_something_else_is_refused(tmp_path, changes, what):
    train(LINE, tmp_path)
    with pytest.raises(FileError, match=f"is not a training state of line .its {what} were others"):
        train(dataclasses.replace(LINE, **changes), tmp_path)


def test_codes_that_differ_by_rounding_are_the_same_data(tmp_path):
    x, y = LINE.data()
    train(LINE, tmp_path)
    assert train(dataclasses.replace(LINE, data=lambda: (x * (1 + 1e-6), y)), tmp_path).complete


def test_other_drawings_are_noticed_among_thousands():
    state = State(TINY)
    drawings = torch.randint(256, (12_000, 4, 4, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    state.recognise("inputs", drawings)
    state.recognise("inputs", drawings)
    for others in (255 - drawings, drawings[:6_000], drawings.flip(0)):
        with pytest.raises(ValueError, match="its inputs were others"):
            state.recognise("inputs", others)


def test_a_disk_that_is_full_leaves_the_state_that_was_there(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource", reason="this system cannot limit the size of a file")
    with pytest.raises(Killed):
        train(TINY, tmp_path, watch=killer(4))  # one epoch is saved
    path = tmp_path / "tiny.safetensors"
    before, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises((OSError, SafetensorError, RuntimeError)):
            train(TINY, tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=17))
        with pytest.raises(SetupError, match=r"tiny\.safetensors could not be written: .* has 17 bytes left"):
            train(TINY, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "no half file is left beside it"


def test_a_state_is_about_four_times_the_weights(tmp_path):
    train(dataclasses.replace(LINE, build=lambda: nn.Sequential(nn.Linear(2, 20_000), nn.Linear(20_000, 1)),
                              loss=lambda model, x, *_: model(x).mean(), average=0.5), tmp_path)  # fmt: skip
    one = 4 * (20_000 * 3 + 20_001)
    assert (tmp_path / "line.safetensors").stat().st_size == pytest.approx(4 * one, rel=0.01)  # and two moments


# The process that is killed


HALF = b"half a file"


def die_saving(tensors, path, metadata):
    """Stands in for ``save_file``: the first state is written, and the machine dies while it writes the second."""
    if len(json.loads(metadata["history"])) == 1:
        return save_file(tensors, path, metadata)
    Path(path).write_bytes(HALF)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    training.save_file = die_saving
    train(TINY, sys.argv[1])


# Moments of a run


def test_the_last_moment_is_what_the_training_ends_with(tmp_path):
    plain = dataclasses.replace(TINY, average=0.0)
    taken = training.moments(plain, 2)
    assert len(taken) == 6, "before the first step, after 2, 4, 6 and 8 of 9 steps, and at the end"
    ends = train(plain, tmp_path).model.state_dict()
    late = taken[-1].state_dict()
    moved = [(late[name] - value).abs().max().item() for name, value in ends.items() if value.is_floating_point()]
    assert max(moved) == 0
    assert not any(part.training for part in taken[0].modules())


def test_the_first_moment_is_the_network_before_any_training():
    taken = training.moments(TINY, 100)
    with seeded(TINY.seed):
        fresh = State(TINY).model.state_dict()
    assert same(taken[0].state_dict(), {name: value.cpu() for name, value in fresh.items()})
    assert len(taken) == 2
    assert not torch.equal(taken[0][0].weight, taken[1][0].weight)


def test_moments_end_where_the_watch_stops():
    taken = training.moments(TINY, 2, watch=lambda step: STOP if step.done >= 5 else None)
    assert len(taken) == 3, "before the first step, after 2 and after 4"
