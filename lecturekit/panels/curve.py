"""How far can a network be pushed?  Robust accuracy over the radius, with intervals, for a network and its twin.

::

    100 %  o--o--s--s--s       s  robust twin        - - -  noise of the same size, the control
                  o     s
      0 %            o--o      o  standard
           0  2  4  8  16  grey levels

What ships was measured before and is there at once, marked as stored; "measure here" attacks again, and the curve grows
point by point.  The trap: a curve is an upper bound, and the attack belongs to it.  Choose FGSM, and a weak network
looks strong.
"""

from typing import NamedTuple

from lecturekit.errors import InputError
from lecturekit.panels import axes, look, standing
from lecturekit.panels import controls as knobs
from lecturekit.panels.base import Memory, Panel, hidden_unless
from lecturekit.panels.methods import METHODS
from lecturekit.panels.shelf import WORDS, Shelf
from lecturekit.panels.standing import ATTACKS, GREY
from lecturekit.plots import BASELINE, LOOKS
from lecturekit.progress import Step

WIDE = 760  # pixels of the chart
NOBODY, NOISE = "nobody", "noise"
PER_CENT = axes.Axis("share of the drawings that stand", {share / 100: f"{share} %" for share in range(0, 101, 25)})
LEVELS = axes.Axis("ε: how far each value may move, in levels of 255", {level: str(level) for level in GREY})


class Curves(NamedTuple):
    """What the panel shows.

    Attributes:
        found: from (network, attack) to its `standing.Standing`; the control has the attack ``"noise"``.
        complete: False if it was stopped, or is still at work.
    """

    found: dict
    complete: bool = True


class Curve(Panel):
    """Push a network and its twin further and further, and count who stands.

    From code: ``panel.set(network=, beside=, attack=, noise=, eps=, live=, count=, steps=)``; ``panel.result`` is a
    `Curves`.

    ``beside`` is another network or ``"nobody"``, ``eps`` the radius in grey levels that the captions tell about.
    Without ``live`` the numbers are those that were stored; ``count`` drawings and ``steps`` belong to ``live``.

    Args:
        networks: see `shelf.Shelf`, but those that know the picture book if None; nothing is stored for your own.
        settings: where the controls stand at first, e.g. ``attack="fgsm", eps=4``.
    """

    def __init__(self, networks=None, **settings):
        self.shelf, self.memory = Shelf(standing.NETWORKS if networks is None else networks), Memory()
        names = self.shelf.names
        controls = {
            "network": knobs.menu("Network", self.shelf.options()),
            "beside": knobs.menu("Beside it", [*self.shelf.options(), (NOBODY, NOBODY)], [*names, NOBODY][1]),
            "attack": knobs.menu("Attack", [(words, name) for name, words in ATTACKS.items()], "pgd"),
            "eps": knobs.walk("Read at ε", [(f"{level} / 255", level) for level in GREY], 8),
            NOISE: knobs.tick("noise of the same size (control)", True),
            "live": knobs.tick("measure here and now", standing.stored(names[0], "pgd") is None),
            "count": knobs.slider("Drawings", 10, 100, 20, step=10, live=False),
            "steps": knobs.slider("Steps", 1, 50, 10, live=False),
        }
        for name in ("attack", "live"):
            controls[name].observe(lambda _: self._unveil(), names="value")
        self.chart = look.Picture("Who still stands", WIDE, smooth=True)
        super().__init__(controls, [look.Strip([self.chart])], steps="steps", steps_if="live")
        self._unveil()
        self.begin(settings)

    def _unveil(self):
        """Show the knobs of a measurement while one is wanted, and the steps if the attack takes more than one."""
        live, steps = self.controls["live"].value, "steps" in METHODS[self.controls["attack"].value].knobs
        self.controls["count"].layout.display = hidden_unless(live)
        self.controls["steps"].layout.display = hidden_unless(live and steps)

    def compute(self, settings, watch):
        """Return the `Curves` of both networks and of the noise, read or measured.

        Raises: InputError if nothing is stored for them.
        """
        wanted = pairs(settings)
        if not settings["live"]:
            return Curves({pair: read(*pair) for pair in wanted})
        asked, (x, y) = (settings["count"], settings["steps"]), standing.drawings(settings["count"])
        curves, total = Curves({}, False), len(wanted) * len(GREY) * settings["steps"]
        for done, (name, attack) in enumerate(wanted):
            known = self.memory.recall((name, attack, *asked))
            told = Growing(watch, curves, (name, attack), done * total // len(wanted), total)
            if known is None:
                told(Step(0, total))  # the bar is there at once
                model = standing.opened(self.shelf, name)
                known = standing.measured(model, x, y, attack, settings["steps"], watch=told)
            curves = Curves({**curves.found, (name, attack): known}, False)
            if len(known.grey) < len(GREY):
                return curves  # stopped
            self.memory.keep((name, attack, *asked), known)
        watch(Step(total, total))
        return curves._replace(complete=True)

    def show(self, result, settings):
        """Paint the curves, and say what they are at the chosen radius."""
        series = [line(*pair, curve) for pair, curve in result.found.items() if curve.grey]
        words = ATTACKS[settings["attack"]].partition(":")[0]
        drawing = axes.lines(coloured(series), LEVELS, PER_CENT, WIDE, mark=settings["eps"])
        self.chart.paint(drawing, about(result, settings["eps"]), title=f"Who still stands: {words}")

    def live(self, picture):
        """Paint the curves as far as they are there."""
        self.show(picture, self.settings())


class Growing:
    """A `watch` for one curve among several: counts on where the one before ended, and carries all curves so far."""

    def __init__(self, watch, curves, pair, done, total):
        self.watch, self.curves, self.pair, self.done, self.total = watch, curves, pair, done, total

    def __call__(self, step):
        """Pass a step on."""
        found = {**self.curves.found, self.pair: step.picture} if step.picture else self.curves.found
        report = Step(self.done + step.done, self.total, picture=Curves(found, False), note=spoken(*self.pair))
        return self.watch(report)


def pairs(settings):
    """Return the (network, attack) of each curve that the settings ask for."""
    names = dict.fromkeys(name for name in (settings["network"], settings["beside"]) if name != NOBODY)
    wanted = [(name, settings["attack"]) for name in names]
    control = (settings["network"], NOISE)
    return [*wanted, control] if settings[NOISE] and control not in wanted else wanted


def read(name, attack):
    """Return the stored curve of a network.

    Raises: InputError if there is none.
    """
    found = standing.stored(name, attack)
    if found is None:
        raise InputError(
            f"nothing is stored for {spoken(name, attack)}; tick 'measure here and now', or choose an attack of which "
            f"something is: {', '.join(ATTACKS[known].partition(':')[0] for known in standing.KEPT)}"
        )
    return found


def spoken(name, attack):
    """Return a curve's name."""
    return f"{WORDS.get(name, name)}, {ATTACKS[attack].partition(':')[0].removesuffix(' (control)')}"


def line(name, attack, curve):
    """Return one curve as it is drawn, still without its colour; noise, the control, is dashed."""
    points = [
        (level, share.estimate, share.low, share.high) for level, share in zip(curve.grey, curve.shares, strict=True)
    ]
    return axes.Line(spoken(name, attack), BASELINE if attack == NOISE else None, points)


def coloured(series):
    """Return curves with a colour and a marker each, those that have none yet."""
    looks = iter(LOOKS)
    return [line if line.look else line._replace(look=next(looks)) for line in series]


def about(result, eps):
    """Return the caption: where the numbers come from, and what they are at one radius."""
    words = [origin(result)]
    for pair, curve in result.found.items():
        at = dict(zip(curve.grey, curve.shares, strict=True)).get(eps)
        if at:
            low, high = (f"{100 * end:.0f}" for end in (at.low, at.high))
            words.append(f"{spoken(*pair)} at {eps}/255: {100 * at.estimate:.0f} % [{low}, {high}] stand")
        if curve.again:
            words.append(f"{curve.again} times this attack missed what it had found within less: it is not good enough")
    return "\n".join(words)


def origin(result):
    """Return in words where the numbers come from."""
    measured = {attack: curve for (_, attack), curve in reversed(result.found.items()) if curve.grey}
    if not measured:
        return "stopped before the first radius"
    attack, first = next(reversed(measured.items()))  # of the network itself: the control takes no steps
    steps = f", {first.steps} steps" if "steps" in METHODS[attack].knobs else ""
    how = f"{first.pictures} test drawings{steps}; bars: 95 % intervals"
    if first.stored:
        return f"STORED: measured before on {how}\ntick 'measure here and now' to see it measured again"
    return f"measured here on {how}" + ("" if result.complete else "\nas far as it has come")
