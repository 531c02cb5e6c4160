"""What a defence costs and what it buys: two shares, measured anew at each strength and kept.

==========  =======================================================================  ======================
share       of what                                                                  a defence wants it
==========  =======================================================================  ======================
accuracy    200 drawings of all classes, named rightly from the codes that are sent  high
found       100 people, each the nearest of 500 to the attacker's picture            low: guessing has 1/500
==========  =======================================================================  ======================

Every code is defended by itself, as by a telephone that knows one picture: noise and steps are measured by the code's
own spread, and every picture has its own noise.  So the picture that the panel shows is one of those that are counted.

The trap: an inverse network knows nothing of the defence, and what hides a face from it need not hide it from others.
Optimisation that asks for what is left may find the person all the same.  It takes a third of a second for each
picture, so it is counted over 20 people, and only when somebody asks for it.
"""

import functools
from typing import NamedTuple

import torch

from lecturekit import capture, inversion
from lecturekit.devices import device
from lecturekit.inversion.representation import PROBABILITIES, representation
from lecturekit.measure import Interval, proportion, share
from lecturekit.panels import chart
from lecturekit.panels.base import Memory
from lecturekit.panels.lineup import PEOPLE, gallery, portraits
from lecturekit.panels.look import packed
from lecturekit.pictures.picturebook import CLASSES, PictureBook
from lecturekit.plots import BASELINE, OPTIMISED, ORIGINAL
from lecturekit.privacy.defence import DEFENCES, channel_drop, noise

NONE, INVERSE, OPTIMISATION = "none", "inverse network", "optimisation"
SOUGHT = range(0, PEOPLE, 5)  # one hundred people
EVERY = 5  # so-manieth of them is sought by optimisation
DRAWINGS = 200
BATCH = 25  # pictures between two looks at the watch
NOW = "#DCE6F0"  # behind the strength where the slider stands
WIDE, HIGH = 520, 264  # pixels of the drawing
SERIES = (("accuracy", ORIGINAL), ("found", OPTIMISED))


class Case(NamedTuple):
    """Who attacks what: everything that a reconstruction follows from, but for the picture."""

    network: str
    attacker: str
    layer: str
    defence: str
    strength: object

    def plain(self):
        """Return the same case under one name for all defences that do nothing."""
        return self if self.strength else self._replace(defence=NONE, strength=0)


class Price(NamedTuple):
    """The two shares of a case, each a `measure.Interval`; ``found`` is None where it was not measured."""

    accuracy: Interval
    found: Interval | None


class CutShort(Exception):
    """Whoever watches has asked to stop."""


def sent(case, codes, numbers):
    """Return what is sent of codes (N, ...): each defended by itself; ``numbers`` (N,) are the seeds of the noise."""
    if case.plain().defence == NONE:
        return codes
    if case.defence == "noise":
        return torch.cat([noise(code, case.strength, seed) for code, seed in zip(codes.split(1), numbers, strict=True)])
    return torch.cat([DEFENCES[case.defence](code, case.strength) for code in codes.split(1)])


def asked(case, phi):
    """Return what the code is compared with by an attacker who optimises: he knows which filters are never sent."""
    return (lambda x: channel_drop(phi(x), case.strength)) if case.plain().defence == "channel drop" else phi


class Scales:
    """Weighs cases, in small steps, and keeps what came out.

    Args:
        shelf: a `shelf.Shelf`.
    """

    def __init__(self, shelf):
        self.shelf = shelf
        self._prices, self._codes = Memory(1000), Memory(1)  # the codes of one layer can be 150 MB

    def known(self, case):
        """Return the `Price` of a case that was weighed before, or None."""
        return self._prices.recall(case.plain())

    def refusal(self, network):
        """Return why nothing can be weighed with a network; nothing if it can."""
        model = self.shelf.opened(network).model
        if tuple(getattr(model, "classes", ())) != CLASSES:
            return "not measured: this network names other things than drawings"
        halves = isinstance(model, torch.nn.Sequential)
        return "" if halves else "not measured: this network cannot be halved at a layer"

    def steps(self, cases, thorough):
        """Return how many steps it takes to weigh these cases, which share network and attacker; see `weigh`."""
        if self.refusal(cases[0].network):
            return 0
        new = {case.plain() for case in cases if not self._enough(case, thorough)}
        layers = {case.layer for case in new if not self._codes.recall((case.network, case.layer))}
        objects, people = -(-DRAWINGS // BATCH), -(-len(SOUGHT) // BATCH)
        total = len(layers) * (objects + people) + len(new) * objects
        if cases[0].attacker == INVERSE:
            return total + len(new) * people
        return total + sum(inversion.tuned(case.layer)["steps"] for case in new) * thorough

    def weigh(self, case, tick, thorough=False):
        """Return the `Price` of a case.

        Args:
            case: a `Case`.
            tick: called after each step; whatever it raises ends the work.
            thorough: count people also if the attacker takes seconds for that.
        """
        known = self._enough(case, thorough)
        return known or self._prices.keep(case.plain(), self._weighed(case, tick, thorough))

    def _enough(self, case, thorough):
        """Return what is known of a case if nothing is missing in it, else None."""
        known = self.known(case)
        return None if known and thorough and known.found is None else known

    def _weighed(self, case, tick, thorough):
        model = self.shelf.opened(case.network).model
        faces, drawings = self._layer(model, case, tick)
        behind = torch.nn.Identity() if case.layer == PROBABILITIES else capture.rest(model, case.layer)
        answers = in_steps(lambda code: behind(code).argmax(1), tick, sent(case, drawings, range(DRAWINGS)))
        accuracy, found = share(answers == objects()[1]), None
        if case.attacker == INVERSE:
            inverse = self.shelf.inverse(case.network, case.layer)
            who, codes = torch.tensor(SOUGHT), sent(case, faces, SOUGHT)
            ranks = in_steps(lambda code, who: gallery().find(inverse(code), who).ranks, tick, codes, who)
            found = proportion((ranks == 0).sum(), len(ranks))
        elif thorough:
            phi, who = asked(case, representation(model, case.layer)), SOUGHT[::EVERY]
            how = inversion.tuned(case.layer) | {"watch": lambda _step: tick()}
            x = inversion.invert(phi, sent(case, faces[::EVERY], who), **how).x
            found = gallery().find(x, torch.tensor(who)).top[1]
        return Price(accuracy, found)

    def _layer(self, model, case, tick):
        """Return the codes of the faces and of the drawings at one layer."""
        key = (case.network, case.layer)
        phi = representation(model, case.layer)
        known = self._codes.recall(key)
        return known or self._codes.keep(key, [in_steps(phi, tick, x) for x in (people(), objects()[0])])


def in_steps(function, tick, *tensors):
    """Apply a function to some pictures at a time, without gradients, and put the answers together."""
    found = []
    with torch.no_grad():
        for parts in zip(*(tensor.split(BATCH) for tensor in tensors), strict=True):
            found.append(function(*parts))
            tick()
    return torch.cat(found)


@functools.cache
def people():
    """Return the pictures of the people that are counted, (100, 3, 64, 64)."""
    drawn = portraits(range(PEOPLE), "test")  # all of them: as many as that are kept on disk
    return torch.cat([drawn[person].x for person in SOUGHT])


@functools.cache
def objects():
    """Return drawings of all classes (200, 3, 64, 64) and their classes (200,)."""
    book = PictureBook("test", PEOPLE)  # as many as that are kept on disk
    return book.tensors(slice(DRAWINGS)).to(device()), torch.from_numpy(book.labels[:DRAWINGS]).to(device())


def about(price):
    """Return a price in words."""
    words = f"the network is right in {per_cent(price.accuracy)} of {price.accuracy.n} drawings\n"
    if price.found is None:
        return f"{words}tick “weigh every …” to count {len(SOUGHT[::EVERY])} people: some seconds each time"
    return f"{words}the person is found for {per_cent(price.found)} of {price.found.n}; guessing: {100 / PEOPLE:.1f} %"


def per_cent(part):
    """Return a share with its interval."""
    return f"{100 * part.estimate:.0f} % [{100 * part.low:.0f}, {100 * part.high:.0f}]"


def drawing(names, prices, now):
    """Return both shares against the strength as PNG bytes, with their intervals.

    Args:
        names: of the strengths, from left to right.
        prices: a `Price` for each, or None where nobody has measured yet.
        now: where the slider stands, a place in ``names``.
    """
    sheet, pen = chart.canvas(WIDE, HIGH)
    left, right, top, bottom = (chart.TWICE * edge for edge in (56, WIDE - 4, 40, HIGH - 30))
    across = (right - left) / len(names)
    place = lambda i, value: (left + across * (i + 0.5), bottom - value * (bottom - top))  # noqa: E731  to pixels
    letters, small = (chart.font(chart.TWICE * size) for size in (chart.TEXT, chart.TEXT - 2))
    pen.rectangle((left + across * now, top - 8, left + across * (now + 1), bottom), NOW)
    for value in (0, 0.25, 0.5, 0.75, 1):
        y = place(0, value)[1]
        pen.line((left, y, right, y), chart.RULES if value else BASELINE.colour, 2)
        pen.text((left - 12, y), f"{100 * value:.0f} %", chart.INK, small, anchor="rm")
    for i, name in enumerate(names):
        pen.text((place(i, 0)[0], bottom + 18), name, chart.INK, small, anchor="mt")
    for at, (series, style) in enumerate(SERIES):
        shares = {i: getattr(price, series) for i, price in enumerate(prices) if price and getattr(price, series)}
        curve(pen, place, shares, style)
        chart.draw_mark(pen, (left + 24 + 400 * at, 26), style.colour, style.marker)
        words = "the network is right" if series == "accuracy" else "the person is found"
        pen.text((left + 48 + 400 * at, 26), words, chart.INK, letters, anchor="lm")
    return packed(sheet)


def curve(pen, place, shares, style):
    """Draw shares {position: interval} with a line through them and a whisker for each."""
    pen.line([place(i, each.estimate) for i, each in shares.items()], style.colour, 5)
    for i, each in shares.items():
        (x, high), (_, low) = place(i, each.high), place(i, each.low)
        pen.line((x, high, x, low), style.colour, 3)
        for y in (high, low):
            pen.line((x - 8, y, x + 8, y), style.colour, 3)
        chart.draw_mark(pen, place(i, each.estimate), style.colour, style.marker)
