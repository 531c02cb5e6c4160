"""Adversarial examples, live: a change that nobody sees, what the network says of it, and how sure it is.

::

    picture  +  perturbation (magnified)  =  attacked picture
    boat, 99 %        x 15, 0 is grey        tree, 97 %        and the logits of both as bars

The verdict is measured afresh on the finished picture, and once more after it was rounded to the 256 grey levels of a
file.  A second network, of which the attack knew nothing, can be shown the same picture, and noise of the same size.
The trap: a picture that a network named wrongly from the start is no success; the captions keep that apart.
"""

import dataclasses
import time
from typing import NamedTuple

import torch

from lecturekit import attacks
from lecturekit.attacks.guard import checked_logits
from lecturekit.errors import InputError
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Memory, Panel, hidden_unless
from lecturekit.panels.before_after import paired_bars
from lecturekit.panels.methods import METHODS, NORMS, SCORES, Asked
from lecturekit.panels.second import Second, about_second, shown_to
from lecturekit.panels.shelf import WORDS, Shelf, names_of_classes
from lecturekit.panels.source import BOOK, PHOTOGRAPHS, Chosen, Source, drawn_class
from lecturekit.panels.verdicts import about_attacked, about_change, about_picture, per_cent, signed, title
from lecturekit.pictures import photographs
from lecturekit.progress import Step

ANYTHING, LEAST, NOBODY = "anything else", "least likely", "nobody"
GREY = [0, 0.25, 0.5, 0.75, 1, 1.5, *range(2, 9), *range(10, 17, 2), 20, 24, 28, 32]  # L∞, of 255
RADII = [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5]  # L2, in pixel units
BARS = 10  # classes at once
WIDE = 620  # pixels of the bars
WATCHED = 0.3  # seconds from which on work is shown as it goes: sooner it would only flicker


class Attacked(NamedTuple):
    """What the panel shows.

    Attributes:
        chosen: the picture and its name.
        found: the `attacks.Adversarial` of this one picture.
        rounded: the same after rounding to 8 bits, measured again.
        names: of the classes.
        known: the true class is known; otherwise it is what the network says of the clean picture.
        second: what another network says of the same pictures, a `second.Second`, or None if none was asked.
    """

    chosen: Chosen
    found: attacks.Adversarial
    rounded: attacks.Adversarial
    names: tuple
    known: bool
    second: Second | None = None


class Attack(Panel):
    """Mislead any network with any attack, and move the radius.

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, attack=, norm=, eps=, radius=, aim=,
    score=, steps=, restarts=, leave=, bars=, second=)``; ``panel.result`` is an `Attacked`.

    ``eps`` counts grey levels of 255 and belongs to L∞, ``radius`` is in pixel units and belongs to L2.  ``aim`` is
    ``"anything else"``, ``"least likely"`` or the name of a class, ``score`` one of `methods.SCORES`.  ``second`` is
    the name of a network that is shown the finished picture, or ``"nobody"``.  Knobs that an attack does not listen to
    are hidden.

    Args:
        networks: see `shelf.Shelf`.
        world, size: see `source.Source`.
        settings: where the controls stand at first, e.g. ``attack="pgd", eps=8``.
    """

    def __init__(self, networks=None, *, world=BOOK, size=64, **settings):
        self.shelf, self.source, self.memory = Shelf(networks, size=size), Source(world, size), Memory()
        network = knobs.menu("Network", self.shelf.options())
        chosen = {
            "network": network,
            "attack": knobs.menu("Attack", [(method.words, name) for name, method in METHODS.items()]),
            "norm": knobs.menu("Norm", [("L∞: every value a little", "Linf"), ("L2: all values together", "L2")]),
            "eps": knobs.walk("ε", [(f"{level:g} / 255", level) for level in GREY], 8),
            "radius": knobs.walk("ε", [(f"{radius:g}", radius) for radius in RADII], 2),
            "aim": knobs.menu("Aim", self._aims(network.value)),
            "score": knobs.menu("Score", list(SCORES)),
            "steps": knobs.slider("Steps", 1, 100, 40, live=False),
            "restarts": knobs.slider("Restarts", 1, 10, 1, live=False),
            "leave": knobs.tick("stop once misled"),
            "bars": knobs.menu("Bars", ["probabilities", "logits"]),
            "second": knobs.menu("Also shown to", [(NOBODY, NOBODY), *self.shelf.options()]),
        }
        network.observe(self._network_changed, names="value")
        for name in ("attack", "norm"):
            chosen[name].observe(lambda _: self._unveil(), names="value")
        self.original, self.change = look.Picture("Picture"), look.Picture("Perturbation")
        self.attacked, self.bars = look.Picture("Attacked"), look.Picture("Probabilities", WIDE, smooth=True)
        self.others = look.Picture("Also shown to", WIDE, smooth=True)
        self.others.unveil(False)
        pictures = [self.original, self.change, self.attacked]
        strips = [look.Strip(pictures), look.Strip([self.bars]), look.Strip([self.others])]
        super().__init__({**self.source.controls, **chosen}, strips, steps="steps")
        self._unveil()
        self.begin(settings)

    def _aims(self, network):
        """Return what an attack on a network can aim at."""
        opened = self.shelf.opened(network)
        return [ANYTHING, LEAST, *names_of_classes(opened.model, next(reversed(opened.shapes.values()))[0])]

    def _network_changed(self, event):
        """Offer the classes of the new network; keep the aim if it has a class of the same name."""
        with self.together():
            knobs.offer(self.controls["aim"], self._aims(event["new"]))

    def _unveil(self):
        """Show the knobs that the attack listens to."""
        heeded, norm = METHODS[self.controls["attack"].value].knobs, self.controls["norm"].value
        for name in ("aim", "score", "steps", "restarts", "leave"):
            self.controls[name].layout.display = hidden_unless(name in heeded)
        for name, belongs in (("eps", "Linf"), ("radius", "L2")):
            self.controls[name].layout.display = hidden_unless("ball" in heeded and norm == belongs)

    def compute(self, settings, watch):
        """Return the `Attacked` for the settings, from memory if it is there."""
        chosen = self.source.picture(settings)
        chosen = chosen._replace(x=chosen.x.contiguous(memory_format=torch.channels_last))  # a fifth faster
        result = self._attacked(chosen, settings, watch)
        if settings["second"] == NOBODY:
            return result
        other, norm = self.shelf.opened(settings["second"]).model, NORMS[settings["norm"]]
        return result._replace(second=shown_to(other, result.found, true_name(settings), norm))

    def _attacked(self, chosen, settings, watch):
        """Return the `Attacked` without anybody else's opinion."""
        asked = [v for name, v in settings.items() if name not in (*self.source.controls, "bars", "second")]
        truth = true_name(settings)
        key = (chosen.x.cpu().numpy().tobytes(), truth, *asked)
        known = self.memory.recall(key)
        if known:
            return known._replace(chosen=chosen)
        result = attacked(self.shelf.opened(settings["network"]).model, chosen, truth, settings, watch)
        return self.memory.keep(key, result) if result.found.complete else result

    def show(self, result, settings):
        """Paint the picture, what was added, the sum, and what the network says of both."""
        found, (shown, factor) = result.found, magnified(result.found.delta)
        self.original.paint(look.pixels(result.chosen.x), about_picture(result))
        self.change.paint(look.pixels(shown), about_change(found, factor))
        self.attacked.paint(look.pixels(found.x), about_attacked(result), title=title(found))
        kind, second = settings["bars"], result.second
        classes = (found.y, found.target)
        png = bars(result.names, found.clean, found.logits, classes, kind)
        self.bars.paint(png, title=f"{kind.capitalize()} before and after")
        self.others.unveil(second is not None)
        if second is not None:
            name = WORDS.get(settings["second"], settings["second"])
            png = bars(second.names, second.clean, second.logits, (second.y,), kind)
            self.others.paint(png, about_second(second), title=f"The same pictures, shown to: {name}")

    def live(self, picture):
        """Paint what the attack has come to."""
        chosen, x = picture
        shown, factor = magnified(x - chosen.x)
        self.original.paint(look.pixels(chosen.x), chosen.words)
        self.change.paint(look.pixels(shown), f"magnified × {factor}, 0 is grey")
        self.attacked.paint(look.pixels(x), "so far", title="Under attack")


def true_name(settings):
    """Return the name of what the picture truly shows, or None if nobody has said."""
    if settings["world"] == BOOK:
        return drawn_class(settings["picture"])
    if settings["world"] == PHOTOGRAPHS:
        return {credit.name: credit.imagenet for credit in photographs.bundled()}.get(settings["photograph"])
    return None


def attacked(model, chosen, truth, settings, watch):
    """Attack one picture as the settings say, and measure what came out.

    Raises: InputError if the aim is the true class.
    """
    x, began = chosen.x, time.monotonic()
    with torch.no_grad():
        logits = checked_logits(model, x, x.new_zeros(0, dtype=torch.long))  # (1, K)
    names = names_of_classes(model, logits.shape[1])
    y = torch.tensor([names.index(truth)], device=x.device) if truth in names else logits.argmax(1)
    model = Remembering(model, x, logits)
    norm, method = settings["norm"], METHODS[settings["attack"]]
    ball = NORMS[norm](attacks.levels(settings["eps"]) if norm == "Linf" else settings["radius"])
    target = aimed(settings["aim"], logits, y, names) if "aim" in method.knobs else None
    restarts = settings["restarts"] if "restarts" in method.knobs else 1

    def told(step):
        late = step.picture is not None and time.monotonic() - began > WATCHED
        return watch(dataclasses.replace(step, picture=(chosen, step.picture[:1].clone()) if late else None))

    runs = Runs(told, restarts)
    found = method.run(
        model,
        x,
        y,
        Asked(ball, target, settings["steps"], restarts, settings["leave"], runs, SCORES[settings["score"]]),
    )
    if found.complete and runs.done:
        watch(Step(runs.done, runs.done))  # fewer than were allowed, if it ended early
    return Attacked(chosen, found, found.rounded(model), names, truth in names)


class Remembering(torch.nn.Module):
    """A network that keeps its answer to the clean picture: it is asked for it up to three times."""

    def __init__(self, model, x, logits):
        super().__init__()
        self.model, self.x, self.logits = model, x, logits
        self.eval()

    def forward(self, x):
        """Return the logits; what is known is not computed again, unless somebody wants its gradient."""
        known = not torch.is_grad_enabled() and torch.equal(x, self.x)
        return self.logits if known else self.model(x)


def aimed(aim, logits, y, names):
    """Return the target (1,) that an aim means, or None for anything else.

    Raises: InputError if it is the true class.
    """
    if aim == ANYTHING:
        return None
    if aim == LEAST:
        return logits.scatter(1, y[:, None], torch.inf).argmin(1)
    if names.index(aim) == y.item():
        raise InputError(f"the aim is {aim}, and {aim} is what the picture shows already; aim at another class")
    return torch.full_like(y, names.index(aim))


class Runs:
    """A `watch` for several runs from new starts, each of which counts from one: counts on over all of them."""

    def __init__(self, watch, restarts):
        self.watch, self.restarts, self.run, self.last, self.done = watch, restarts, 0, 0, 0

    def __call__(self, step):
        """Pass a step on."""
        self.run += step.done <= self.last  # it began again
        self.last, self.done = step.done, self.run * step.total + step.done
        return self.watch(dataclasses.replace(step, done=self.done, total=self.restarts * step.total))


def magnified(delta):
    """Return a change (1, C, H, W) as a picture round grey, and the whole number that it was multiplied with."""
    largest = delta.abs().max().item()
    factor = max(1, int(0.5 / largest + 1e-3)) if largest else 1
    return (0.5 + factor * delta).clamp(0, 1), factor


def bars(names, clean, logits, classes, kind):
    """Return the likeliest classes before and after as PNG bytes.

    Args:
        names: of all classes.
        clean, logits: what a network says before and after, (1, K).
        classes: those that are shown in any case, each (1,) or None: the true one and the target.
        kind: ``"probabilities"`` or ``"logits"``.
    """
    both = torch.cat([clean, logits])  # (2, K)
    wanted = both.softmax(1).amax(0)
    for of_interest in classes:
        if of_interest is not None:
            wanted[of_interest] = 2.0  # above any probability
    best = sorted(wanted.topk(min(BARS, len(wanted))).indices.tolist())
    values = both.softmax(1) if kind == "probabilities" else both
    words, reach = (per_cent, 1.0) if kind == "probabilities" else (signed, 0.0)
    return paired_bars([names[i] for i in best], *values[:, best].tolist(), words, reach, WIDE)
