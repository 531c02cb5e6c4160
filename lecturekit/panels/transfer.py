"""Does it fool others?  Every network attacked, every other network asked about the result.

::

    made for \\ shown to   A      B          a share of the drawings that both networks name rightly
    A                     68 %    3 %       framed: its own network
    B                    / 1 %/  98 %       hatched: not surely more than noise does
    noise                  0 %    0 %       the control: noise of the same size

What ships was measured for the claim ``transfer`` and is there at once, marked as stored; "measure here" attacks again.
The trap: on few drawings nearly every small share is hatched.  That means "not known", not "nothing".
"""

import json
from pathlib import Path
from typing import NamedTuple

import lecturekit
from lecturekit.attacks import Linf, levels, transfer_matrix
from lecturekit.errors import FileError, InputError
from lecturekit.measure import Interval
from lecturekit.panels import controls as knobs
from lecturekit.panels import look, standing
from lecturekit.panels.base import Memory, Panel, hidden_unless
from lecturekit.panels.matrix import matrix
from lecturekit.panels.methods import METHODS, Asked
from lecturekit.panels.shelf import WORDS, Shelf
from lecturekit.panels.standing import ATTACKS
from lecturekit.progress import Step

LEDGER = Path(lecturekit.__file__).parent / "claims" / "claims.json"  # the file only: claims stand above panels
CLAIM, NOISE, ARROW = "transfer", "noise", " → "
LARGE = {"lecture": "picturebook", "lecture robust": "picturebook_robust"}
LARGE |= {"residual": "picturebook_residual", "residual robust": "picturebook_residual_robust"}
SMALL = ("small", "other seed", "other half")  # trained in half a minute for the claim; they do not ship
OFFERED, TRAINED = "offered", "small"
GROUPS = [("those of the picture book", OFFERED), ("three small ones (stored only)", TRAINED)]
WIDE = 760  # pixels of the matrix


class Matrix(NamedTuple):
    """What the panel shows.

    Attributes:
        cells: from (made for, shown to) to the share misled, an `Interval`; what was made for nobody is ``"noise"``.
        names: of the networks, in order.
        how: in words, where the numbers come from.
        stored: whether they were read and not measured.
        complete: False if it was stopped; networks that were not reached made no pictures.
    """

    cells: dict
    names: tuple
    how: str
    stored: bool
    complete: bool = True

    def above_noise(self, source, target):
        """Tell whether a cell is surely above the noise of its column."""
        return self.cells[source, target].above(self.cells[NOISE, target])


class Transfer(Panel):
    """Show what was made for one network to all others.

    From code: ``panel.set(group=, live=, attack=, eps=, count=, steps=)``; ``panel.result`` is a `Matrix`.

    ``group`` is ``"offered"`` or ``"small"``: three small networks of which only stored numbers exist.  Without
    ``live`` the numbers are those of the ledger; the others belong to ``live``: ``eps`` in levels of 255.

    Args:
        networks: see `shelf.Shelf`, but those that know the picture book if None; nothing is stored for your own.
        settings: where the controls stand at first, e.g. ``live=True, count=40``.
    """

    def __init__(self, networks=None, **settings):
        self.shelf, self.memory = Shelf(standing.NETWORKS if networks is None else networks), Memory()
        there = set(self.shelf.names) <= set(LARGE.values())
        controls = {
            "group": knobs.menu("Networks", GROUPS[: 2 if there else 1]),
            "live": knobs.tick("measure here and now", not there),
            "attack": knobs.menu("Attack", [(words, name) for name, words in ATTACKS.items() if name != NOISE], "pgd"),
            "eps": knobs.slider("ε, of 255", 1, 32, 8, live=False),
            "count": knobs.slider("Drawings", 10, 200, 20, step=10, live=False),
            "steps": knobs.slider("Steps", 1, 50, 10, live=False),
        }
        for name in ("attack", "live"):
            controls[name].observe(lambda _: self._unveil(), names="value")
        self.matrix = look.Picture("Who is fooled by what", WIDE, smooth=True)
        super().__init__(controls, [look.Strip([self.matrix])], steps="steps", steps_if="live")
        self._unveil()
        self.begin(settings)

    def _unveil(self):
        """Show the knobs of a measurement while one is wanted, and the steps if the attack takes more than one."""
        live, steps = self.controls["live"].value, "steps" in METHODS[self.controls["attack"].value].knobs
        for name in ("attack", "eps", "count"):
            self.controls[name].layout.display = hidden_unless(live)
        self.controls["steps"].layout.display = hidden_unless(live and steps)

    def compute(self, settings, watch):
        """Return the `Matrix`, read or measured.

        Raises: InputError for networks that do not ship, if they are to be measured.
        """
        if not settings["live"]:
            words = LARGE if settings["group"] == OFFERED else {name: name for name in SMALL}
            wanted = [name for name in words.values() if settings["group"] == TRAINED or name in self.shelf.names]
            return ledger(words, tuple(wanted))
        if settings["group"] == TRAINED:
            raise InputError(
                "the three small networks do not ship, so they cannot be attacked here: untick 'measure here and now', "
                "or choose those of the picture book"
            )
        asked = [settings[name] for name in ("attack", "eps", "count", "steps")]
        known = self.memory.recall(tuple(asked))
        if known:
            return known
        result = measured({name: standing.opened(self.shelf, name) for name in self.shelf.names}, *asked, watch)
        return self.memory.keep(tuple(asked), result) if result.complete else result

    def show(self, result, settings):
        """Paint the matrix."""
        words = {name: WORDS.get(name, name) for name in result.names} | {NOISE: NOISE}
        sources = [name for name in (*result.names, NOISE) if (name, result.names[0]) in result.cells]
        unsure = {pair for pair in result.cells if NOISE not in pair and not result.above_noise(*pair)}
        drawn = matrix(result.cells, sources, result.names, words, unsure, WIDE)
        self.matrix.paint(drawn, about(result))


def measured(models, attack, eps, count, steps, watch):
    """Attack each of some networks and return the `Matrix` of all of them.

    Args:
        models: {name: network}.
        attack: one of `ATTACKS`.
        eps: in levels of 255.
        count: drawings.
        steps: of the attack.
        watch: see `lecturekit.progress`.
    """
    x, y = standing.drawings(count)

    def run(model, x, y, *, ball, seed, watch):
        """Go on as long as there are steps: what stops at its own border hardly transfers."""
        return METHODS[attack].run(model, x, y, Asked(ball, None, steps, 1, False, watch))

    watch(Step(0, len(models) * steps))  # the bar is there at once
    found = transfer_matrix(models, x, y, attack=run, ball=Linf(levels(eps)), watch=watch)
    name = ATTACKS[attack].partition(":")[0]
    taken = f", {steps} steps" if "steps" in METHODS[attack].knobs else ""
    how = f"measured here on {count} test drawings: {name}{taken}, within {eps}/255"
    cells = found.cells | {(NOISE, target): share for target, share in found.noise.items()}
    return Matrix(cells, tuple(models), how, False, found.complete)


def ledger(words, wanted, path=LEDGER):
    """Return the `Matrix` that the claim ``transfer`` holds for some networks.

    Args:
        words: {what the ledger calls a network: its name}.
        wanted: names, in order.
        path: of the ledger.
    Raises: FileError if it is not there, or does not hold them.
    """
    try:
        claim = next(row for row in json.loads(path.read_text("utf-8")) if row["id"] == CLAIM)
        named, cells = words | {NOISE: NOISE}, {}
        for key, numbers in claim["numbers"].items():
            source, target = key.partition(" (")[0].split(ARROW)  # behind the bracket: a verdict, made again here
            if {named.get(source), named.get(target)} <= {*wanted, NOISE}:
                cells[named[source], named[target]] = Interval(**numbers)
        missing = [pair for pair in ((s, t) for s in (*wanted, NOISE) for t in wanted) if pair not in cells]
        if missing:
            raise KeyError(missing[0])
    except (OSError, ValueError, TypeError, KeyError, StopIteration) as problem:
        raise FileError(f"{path.name} holds no transfer matrix of these networks ({problem})") from None
    largest = max(share.n for share in cells.values())
    how = f"STORED, claim '{CLAIM}', up to {largest} test drawings a cell: {claim['how'][:1].lower()}{claim['how'][1:]}"
    return Matrix(cells, wanted, how, True)


def about(result):
    """Return the caption: where the numbers come from, and how to read them."""
    pairs = [pair for pair in result.cells if NOISE not in pair and pair[0] != pair[1]]
    sure = sum(result.above_noise(*pair) for pair in pairs)
    signs = "framed: its own network; hatched: not surely more than noise does"
    words = [result.how, signs, f"{sure} of {len(pairs)} cells between two networks are surely above noise"]
    words[0] += "\ntick 'measure here and now' to see it measured again" if result.stored else ""
    return "\n".join(words if result.complete else [*words, "stopped: the networks that it came to"])
