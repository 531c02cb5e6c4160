"""How many drawings still stand at each radius: measured here and now, or read from what was measured before.

A curve takes minutes that a hall does not have.  So the curves of the networks that ship were measured once, by
`store`, and lie beside this file; they are shown as *stored*, with their N, until somebody measures again.

The trap: stored numbers outlive what they were measured on.  Each belongs to weights with a certain SHA-256; when a
network is trained anew its curve is gone, not wrong.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import NamedTuple

import torch

from lecturekit import measure
from lecturekit import networks as zoo
from lecturekit.attacks import levels, robust_accuracy
from lecturekit.devices import device
from lecturekit.errors import FileError, InputError
from lecturekit.files import replacing
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.panels.methods import METHODS, Asked
from lecturekit.pictures.picturebook import CLASSES, PictureBook
from lecturekit.progress import Step, stopped

STORED = Path(__file__).parent / "stored" / "curves.json"
NETWORKS = ("picturebook", "picturebook_robust", "picturebook_residual", "picturebook_residual_robust")
ATTACKS = {name: method.words for name, method in METHODS.items() if "ball" in method.knobs}
KEPT = ("fgsm", "pgd", "noise")  # whose curves are stored
GREY = (0, 1, 2, 4, 6, 8, 12, 16)  # radii in levels of 255
BLOCK = 50  # drawings attacked together


class Standing(NamedTuple):
    """A curve.

    Attributes:
        grey: the radii that were reached, in levels of 255.
        counts: how many drawings stand at each; who fell once has fallen.
        pictures: how many there were.
        steps: of the attack.
        again: how often the attack missed a drawing that it had misled within a smaller radius.
        stored: whether it was read and not measured.
    """

    grey: tuple
    counts: tuple
    pictures: int
    steps: int
    again: int = 0
    stored: bool = False

    @property
    def shares(self):
        """The share that stands at each radius, a tuple of `measure.Interval`."""
        return tuple(measure.proportion(count, self.pictures) for count in self.counts)


def measured(model, x, y, attack, steps, *, grey=GREY, watch=None):
    """Attack drawings at every radius; ``watch`` gets the `Standing` so far as the picture of its steps.

    Args:
        model, x, y: see `attacks.robust_accuracy`.
        attack: one of `ATTACKS`.
        steps: of the attack at each radius.
        grey: radii in levels of 255, rising.
        watch: see `lecturekit.progress`; told ``len(grey) * steps`` steps at most.
    """
    counts = []

    def run(model, x0, y0, *, ball, seed, watch):
        if not counts:
            counts.append(torch.ones_like(y0, dtype=torch.bool))  # radius 0: all that are named rightly
        found = METHODS[attack].run(model, x0, y0, Asked(ball, None, steps, 1, True, watch))
        if found.complete:
            counts.append(counts[-1] & found.stood)
            ended = stopped(watch, Step(steps, steps))  # also for an attack of one step, which tells nothing
            found = dataclasses.replace(found, complete=not ended or ball.eps == levels(grey[-1]))
        return found

    def told(step):
        return watch(dataclasses.replace(step, picture=standing([int(row.sum()) for row in counts])))

    def standing(numbers, again=0):
        return Standing(tuple(grey[: len(numbers)]), tuple(numbers), len(x), steps, again)

    radii = [levels(level) for level in grey]
    curve = robust_accuracy(model, x, y, attack=run, radii=radii, watch=told if watch else None)
    return standing(curve.stood.sum(1).tolist(), sum(curve.stood_again))


def opened(shelf, name):
    """Return a network from a `shelf.Shelf`, if it can be asked about drawings.

    Raises: InputError for another number of classes than the book has: all other drawings would count as fallen.
    """
    model, shapes = shelf.opened(name)
    if shapes[PROBABILITIES] != (len(CLASSES),):
        raise InputError(
            f"network {name!r} names {shapes[PROBABILITIES][0]} classes, but the drawings show {len(CLASSES)}: "
            f"{', '.join(CLASSES)}; pass networks that were trained for these"
        )
    return model


@functools.cache
def drawings(count):
    """Return the first drawings of the test book, (N, 3, 64, 64), and their classes; no network was trained on them."""
    book = PictureBook("test", count)
    x = book.tensors().contiguous(memory_format=torch.channels_last)
    return x.to(device()), torch.from_numpy(book.labels).to(device())


def stored(network, attack, path=STORED):
    """Return the `Standing` of a network that ships, or None if there is none for the weights it has now.

    Raises: FileError for a file that is damaged.
    """
    try:
        kept = table(Path(path)).get(network, {})
        if network not in zoo.cards() or kept.get("sha256") != zoo.card(network)["sha256"] or attack not in kept:
            return None
        row = kept[attack]
        return Standing(tuple(row["grey"]), tuple(row["counts"]), row["pictures"], row["steps"], row["again"], True)
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise FileError(f"{path} holds no curves ({problem}); `panels.standing.store()` measures them again") from None


@functools.cache
def table(path):
    """Return what a file of curves holds, {network: {attack: row}}; nothing if it was never written."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def store(path=STORED, *, names=NETWORKS, count=200, steps=20, watch=None):
    """Measure the curves of networks that ship and write them; ten minutes of one core for all four.

    Args:
        path: the file; what it says of other networks stays.
        names: of shipped networks that know the picture book.
        count: drawings, attacked `BLOCK` at a time.
        steps: of PGD.
        watch: see `lecturekit.progress`; on `STOP` nothing is written.
    """
    known, (x, y) = json.loads(Path(path).read_text("utf-8")) if Path(path).exists() else {}, drawings(count)
    for done, (name, attack) in enumerate((name, attack) for name in names for attack in KEPT):
        if stopped(watch, Step(done, len(names) * len(KEPT), note=f"{name}, {attack}")):
            return
        model = zoo.load(name).to(device())
        parts = [measured(model, x[rows], y[rows], attack, steps) for rows in torch.arange(count).split(BLOCK)]
        row = {
            "grey": parts[0].grey,
            "counts": [sum(counts) for counts in zip(*(part.counts for part in parts), strict=True)],
            "pictures": count,
            "steps": steps,
            "again": sum(part.again for part in parts),
        }
        known.setdefault(name, {}).update({"sha256": zoo.card(name)["sha256"], attack: row})
    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(known) + "\n", "utf-8")
    table.cache_clear()
