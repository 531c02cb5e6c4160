"""One training loop for every network of the course: classifiers, their robust twins, and inverse networks.

What differs from network to network is a *recipe*: the data, the fresh network, and the loss of a batch.  What they
share stands here once: shuffling, the learning-rate schedule, AdamW, saving after every epoch, and resuming.

The loop can be killed at any moment and started again, and ends with the same weights.  Two habits make that simple:

* everything random in an epoch comes from one seed made of (recipe seed, epoch): there is no generator state to save;
* the state (weights, AdamW's two moments, history) is written after every epoch, beside its place, then renamed.

The trap: in training mode dropout draws from torch's global generators, which are therefore seeded inside a fork and
put back afterwards.
"""

import contextlib
import copy
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from lecturekit.devices import device
from lecturekit.errors import FileError, ModelError
from lecturekit.files import replacing
from lecturekit.progress import Step, stopped


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run ends with.

    Attributes:
        name: under which state and weights are stored.
        data: () -> (inputs, targets): tensors with one example per place of the first axis.
        build: () -> the network to train, with its starting weights.
        loss: (model, inputs, targets, generator, progress in [0, 1]) -> a number to make smaller.
        finish: the trained network -> the network that ships, e.g. with batch norm folded away.
        epochs, batch, peak_lr, weight_decay: of AdamW under the one-cycle schedule.
        average: share of the past kept at each step in the running mean of the weights; 0 ships the last weights.
        seed: of everything random.
    """

    name: str
    data: Callable[[], tuple[Any, Any]]
    build: Callable[[], torch.nn.Module]
    loss: Callable[..., torch.Tensor]
    finish: Callable[[torch.nn.Module], torch.nn.Module] = torch.nn.Module.eval
    epochs: int = 8
    batch: int = 64
    peak_lr: float = 4e-3
    weight_decay: float = 0.01
    average: float = 0.0
    seed: int = 0

    def numbers(self):
        """Return the numbers of the recipe: a state that was trained with others must not be continued."""
        return {key: value for key, value in vars(self).items() if isinstance(value, int | float)}


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training run gives back: the network, the mean loss of each epoch, and whether it ran to the end."""

    model: torch.nn.Module
    history: list[float]
    complete: bool


def one_cycle(progress, peak_lr):
    """Return the learning rate at ``progress`` in [0, 1]: up for 30 % of the way, then down to almost nothing.

    Both branches are half cosines (Smith & Topin 2017, arXiv:1708.07120; the form of torch's ``OneCycleLR``).
    A pure function of progress: nothing to save, nothing to restore.
    """
    start, end, rise = peak_lr / 25, peak_lr / 25e4, 0.3
    a, b, t = (start, peak_lr, progress / rise) if progress < rise else (peak_lr, end, (progress - rise) / (1 - rise))
    return b + (a - b) * (1 + math.cos(math.pi * min(t, 1.0))) / 2


@contextlib.contextmanager
def seeded(seed):
    """Let torch's global generators start from ``seed`` inside the block, and be after it what they were before.

    Fresh layers draw their weights from them, and dropout its zeros; neither takes a generator of its own.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # by number: else two GPUs are a warning
        torch.manual_seed(seed)
        yield


def train(recipe, folder, *, watch=None):
    """Train what ``recipe`` describes, continuing from ``folder`` if an earlier run was cut short there.

    It works on the device that ``LECTUREKIT_DEVICE`` names.  Same device, same number of threads: same weights.

    Args:
        recipe: a `Recipe`.
        folder: where the state lives, ``NAME.safetensors``, three or four times as large as the weights.  It is left
            there at the end; delete it to train from the beginning.
        watch: see `lecturekit.progress`; called after every batch.
    Returns: `Trained`, on the processor; ``complete`` is False when ``watch`` or Ctrl-C stopped it.  The network then
        has the weights of that moment, and the state of the last whole epoch waits in ``folder``.
    Raises: ModelError when loss or gradient stop being finite; FileError if the state in ``folder`` is damaged, or was
        trained with other numbers, on other data or from other weights; SetupError if the disk is full.
    """
    path, complete = Path(folder) / f"{recipe.name}.safetensors", False
    with seeded(recipe.seed):
        state = resume(path, recipe)
        with contextlib.suppress(KeyboardInterrupt):
            complete = run(recipe, state, path, watch)
    return Trained(recipe.finish(state.shipped()), state.history, complete)


def moments(recipe, every, *, watch=None):
    """Train what ``recipe`` describes and return the network as it was on the way, first and last moment included.

    Nothing is stored and nothing resumed: this is for looking at a training run, not for shipping what it ends with.

    Args:
        recipe: a `Recipe`.
        every: steps between two snapshots.
        watch: see `train`.
    Returns: copies of the network in eval mode, on the processor; fewer if ``watch`` stopped the run.
    """
    with seeded(recipe.seed):
        state = State(recipe)
        taken = [snapshot(state.model)]

        def look(step):
            if step.done % every == 0 or step.done == step.total:
                taken.append(snapshot(state.model))
            return watch(step) if watch else None

        inputs, targets = recipe.data()
        while len(state.history) < recipe.epochs:
            mean_loss = epoch(recipe, state, inputs, targets, look)
            if mean_loss is None:
                break
            state.history.append(mean_loss)
    return taken


def snapshot(model):
    """Return a copy of a network as it is now, in eval mode, on the processor."""
    return copy.deepcopy(model).cpu().eval().requires_grad_(False)


def run(recipe, state, path, watch):
    """Train the epochs that are left and save the state after each; False if the watcher asked to stop."""
    inputs, targets = recipe.data()
    with refusing(path, recipe):
        state.recognise("inputs", inputs)
        state.recognise("targets", targets)
    while len(state.history) < recipe.epochs:
        mean_loss = epoch(recipe, state, inputs, targets, watch)
        if mean_loss is None:
            return False
        state.history.append(mean_loss)
        save(path, state, recipe)
    return True


def epoch(recipe, state, inputs, targets, watch):
    """Show every example once; return the mean loss, or None if the watcher asked to stop."""
    number, count, where = len(state.history), len(targets), device()
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + number)
    torch.manual_seed(recipe.seed * 1_000_003 + number)  # dropout; train() puts the global generators back
    order = torch.randperm(count, generator=generator)
    batches = order.split(recipe.batch)
    total = 0.0
    state.model.train()
    for i, places in enumerate(batches):
        done, all_steps = number * len(batches) + i, recipe.epochs * len(batches)
        state.optimiser.param_groups[0]["lr"] = one_cycle(done / all_steps, recipe.peak_lr)
        x, y = inputs[places].to(where), targets[places].to(where)
        loss = recipe.loss(state.model, x, y, generator, done / all_steps)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), 5.0)  # one odd batch must not undo an epoch
        if not torch.isfinite(loss + norm):
            raise ModelError(
                f"{recipe.name}: in epoch {number + 1} the loss became {loss.item()} and the length of its gradient "
                f"{norm.item()}; lower peak_lr, and look for inputs that are not finite"
            )
        state.optimiser.step()
        state.follow(recipe.average)
        total += loss.item() * len(places)
        note = f"epoch {number + 1}/{recipe.epochs} loss {loss.item():.3f}"
        if stopped(watch, Step(done + 1, all_steps, loss.item(), note=note)):
            return None
    return total / count


class State:
    """What must survive a power cut: the network, the running mean of its weights, the optimiser, the history."""

    def __init__(self, recipe):
        self.model = recipe.build().to(device()).requires_grad_(True)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=recipe.weight_decay)
        self.mean = {name: value.clone() for name, value in self.model.state_dict().items()} if recipe.average else {}
        self.history, self.known = [], {}
        self.recognise("starting weights", torch.cat([value.flatten() for value in self.model.state_dict().values()]))

    def recognise(self, what, tensor):
        """Remember some values of ``tensor``, or compare them with what the run that is continued remembered.

        Drawings change, and so do the networks from which others start or learn.  Codes differ by rounding from one
        number of threads to another, therefore the tolerance.

        Raises: ValueError if they differ.
        """
        some = tensor[:: max(1, len(tensor) // 100)].flatten()
        some = some[:: max(1, len(some) // 1000)].float().cpu().clone()
        known = self.known.setdefault(what, some)
        if known.shape != some.shape or not torch.allclose(known, some, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise ValueError(f"its {what} were others")

    def follow(self, average):
        """Move the running mean of the weights a little towards the present ones."""
        for name, value in self.model.state_dict().items() if average else ():
            if value.is_floating_point():
                self.mean[name].lerp_(value, 1 - average)
            else:
                self.mean[name].copy_(value)  # batch norm's counter of batches

    def shipped(self):
        """Return the network with the weights that are handed on: the running mean where there is one."""
        if self.mean:
            self.model.load_state_dict(self.mean)
        return self.model.cpu()

    def tensors(self):
        """Return everything as named tensors, as safetensors stores them."""
        moments = self.optimiser.state_dict()["state"]
        return (
            {f"model.{name}": value.contiguous() for name, value in self.model.state_dict().items()}
            | {f"mean.{name}": value.contiguous() for name, value in self.mean.items()}
            | {f"known.{name}": value for name, value in self.known.items()}
            | {f"adam.{i}.{name}": v.contiguous() for i, entry in moments.items() for name, v in entry.items()}
        )

    def restore(self, tensors, history):
        """Take over what `tensors` once returned.

        Raises: ValueError if that run started from another network.
        """
        parts = {"model": {}, "mean": {}, "adam": {}, "known": {}}
        for name, value in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = value
        start, self.known = self.known["starting weights"], parts["known"]
        self.recognise("starting weights", start)
        self.model.load_state_dict(parts["model"])
        self.mean, self.history = {name: value.to(device()) for name, value in parts["mean"].items()}, history
        moments = {}
        for name, value in parts["adam"].items():
            i, entry = name.split(".")
            moments.setdefault(int(i), {})[entry] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})


def save(path, state, recipe):
    """Write the state so that a kill at any moment leaves the old file or the new one."""
    tensors = state.tensors()
    about = {"history": state.history, "numbers": recipe.numbers(), "sha256": fingerprint(tensors)}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={key: json.dumps(value) for key, value in about.items()})


def resume(path, recipe):
    """Return the state stored at ``path``, or a fresh one.

    Raises: FileError if the file is there but is damaged, or is not a state of this recipe.
    """
    state = State(recipe)
    if path.exists():
        with refusing(path, recipe):
            with safe_open(path, "pt") as file:
                about = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
            check(tensors := load_file(path), about, recipe)
            state.restore(tensors, about["history"])
    return state


@contextlib.contextmanager
def refusing(path, recipe):
    """Say of whatever goes wrong in the block that the state cannot be continued, and why."""
    try:
        yield
    except (SafetensorError, KeyError, ValueError, RuntimeError, OSError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise FileError(
            f"{path} is not a training state of {recipe.name} ({reason}). Delete it to begin again."
        ) from None


def check(tensors, about, recipe):
    """Refuse a state with a flipped bit, or one that another version of the recipe left behind."""
    if about.keys() != {"history", "numbers", "sha256"}:
        raise ValueError("it says nothing of history, numbers and checksum")
    if about["sha256"] != fingerprint(tensors):
        raise ValueError("its numbers are damaged")
    if about["numbers"] != recipe.numbers():
        raise ValueError(f"it was trained with {about['numbers']}, and the recipe says {recipe.numbers()}")


def fingerprint(tensors):
    """Return the SHA-256 over all names and values; safetensors itself has no checksum."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].cpu().numpy().tobytes())
    return digest.hexdigest()
