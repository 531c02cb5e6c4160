"""Does it fool others?  Every network attacked, every other network asked about the result.

::

                shown to A      shown to B
    made for A  white box       transfer          a share of the pictures that BOTH networks name rightly
    made for B  transfer        white box
    noise       floor           floor             of the pictures that this one names rightly

A picture that network B gets wrong without any attack says nothing about the attack; so a cell counts only pictures
that source and target both know.  The last row is what one gets for nothing: noise of the same norm.

The trap: an attack that stops at the border of its own network hardly transfers.  So the pictures must not leave when
they are misled (``leave=False``), but go on as long as there are steps.

Source: Liu et al. 2017, "Delving into transferable adversarial examples", arXiv:1611.02770, for the pictures counted.
"""

import dataclasses

import torch

from lecturekit import measure
from lecturekit.attacks.gradient import EPS, pgd
from lecturekit.attacks.guard import attacking, checked_logits
from lecturekit.attacks.result import Adversarial
from lecturekit.attacks.threat import Ball, inside
from lecturekit.errors import InputError
from lecturekit.progress import STOP, Step, stopped
from lecturekit.tables import Table


@dataclasses.dataclass(frozen=True)
class Transfer:
    """What each network says of the pictures made for each other one.

    Attributes:
        cells: {(source, target): `measure.Interval`}: the share misled of the pictures that both name rightly; an
            interval knows its N.
        noise: {target: `measure.Interval`}: the same for noise of the attack's size.
        ball: of the attack and of the noise.
        made: {source: `Adversarial`}.
        complete: False if it was stopped; the sources that were not reached are missing.
    """

    cells: dict[tuple[str, str], measure.Interval]
    noise: dict[str, measure.Interval]
    ball: Ball
    made: dict[str, Adversarial]
    complete: bool

    @property
    def table(self):
        """One row for each source and one for noise, one column for each target."""
        rows = [(source, *(self.cells[source, target] for target in self.noise)) for source in self.made]
        return Table([*rows, ("noise", *self.noise.values())], columns=("made for", *self.noise))

    @property
    def above_noise(self):
        """{(source, target): bool} for different networks: the cell is surely above the noise of its column."""
        return {pair: cell.above(self.noise[pair[1]]) for pair, cell in self.cells.items() if pair[0] != pair[1]}

    def __str__(self):
        """Return the table, and in one line under it what was counted."""
        sizes = [cell.n for cell in self.cells.values()]
        counted = f", {min(sizes)} to {max(sizes)} pictures a cell" if sizes else ""
        stop = "" if self.complete else ", STOPPED before its end"
        return f"{self.table!r}\nshare misled within {self.ball}{counted}{stop}"


def transfer_matrix(networks, x, y, *, attack=None, ball=EPS, seed=0, watch=None):
    """Attack each of k networks and show the result to all of them: k x k shares, and a row of noise.

    Args:
        networks: {name: network}, at least two, each from pixels (N, C, H, W) in [0, 1] to logits (N, K).
        x, y: clean pictures and their true classes, (N,) int64.
        attack: takes ``model, x, y, ball=, seed=, watch=`` and returns an `Adversarial`; by default 20 steps of PGD
            that go on with pictures that are misled already.
        ball: of the attack, and of the noise.
        seed: of both.
        watch: see `lecturekit.progress`; told the steps of each attack in turn, as one run.
    Returns: `Transfer`.
    Raises: InputError for fewer than two networks, or if two of them share no picture that both name rightly;
        InputError, ModelError as for the attack.
    """
    if len(networks) < 2:
        raise InputError(f"transfer needs two networks or more, got {len(networks)}: {{name: network, ...}}")
    attack = going_on if attack is None else attack
    right = {name: named(model, x, y) == y for name, model in networks.items()}
    check_common(right)
    grains = noisy(x, ball, seed)
    noise = {name: measure.share((named(model, grains, y) != y)[right[name]]) for name, model in networks.items()}
    cells, made, complete = {}, {}, True
    for number, (source, model) in enumerate(networks.items()):
        found = attack(model, x, y, ball=ball, seed=seed, watch=part_of(watch, number, len(networks), source))
        if not found.complete:
            complete = False
            break
        made[source] = found
        for target, other in networks.items():
            cells[source, target] = measure.share((named(other, found.x, y) != y)[right[source] & right[target]])
    return Transfer(cells, noise, ball, made, complete)


def going_on(model, x, y, *, ball, seed, watch):
    """Run the attack of `transfer_matrix`: 20 steps of PGD for every picture, misled or not."""
    return pgd(model, x, y, ball=ball, steps=20, leave=False, seed=seed, watch=watch)


def noisy(x, ball, seed=0):
    """Return pictures with noise as large as the ball allows: the longest step, in a direction of no meaning."""
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).to(x)
    return inside(x + ball.eps * ball.steepest(direction), x, ball)


def named(model, x, y, batch=250):
    """Return the class that a network names for each picture (N,), after the checks of every attack."""
    with attacking(model, x, y), torch.no_grad():
        return torch.cat([checked_logits(model, part, y[:0]).argmax(1) for part in x.split(batch)])


def check_common(right):
    """Refuse networks that have no picture in common: there would be nothing to count."""
    for one, knows in right.items():
        for other, too in right.items():
            if not (knows & too).any():
                raise InputError(
                    f"{one!r} and {other!r} name no picture rightly in common, of {len(knows)}: nothing can be counted "
                    "(were they trained for these classes?)"
                )


def part_of(watch, number, total, note):
    """Return a watch for one of several equally long runs that tells ``watch`` the progress of all of them."""
    if watch is None:
        return None

    def tell(step):
        done = number * step.total + step.done
        report = Step(done, total * step.total, loss=step.loss, picture=step.picture, note=f"{note}: {step.note}")
        return STOP if stopped(watch, report) else None

    return tell
