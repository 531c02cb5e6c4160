"""The first weights: what runs through an untrained network, layer by layer, forwards and back, and whether it learns.

::

    10^4 |        o o        o  too large: ten times as much in every layer
     1   |s s s s s s        s  He's weights: the signal keeps its size
    10^-4|

Two ways to draw the weights are compared, on the same drawings.  The chain of equal layers may be as deep as one likes:
what four layers forgive, thirty do not.

The trap: maps that are each drawn on their own scale show a healthy network where the signal is gone.  Hence numbers.
"""

import math

from lecturekit import features
from lecturekit.devices import device
from lecturekit.features.initialise import ALARM
from lecturekit.panels import axes, look, standing
from lecturekit.panels import controls as knobs
from lecturekit.panels.base import Memory, Panel, hidden_unless
from lecturekit.panels.starts import CHAIN, COURSE, GUESSING, SMALL, Learning, Started, blank, trained
from lecturekit.plots import BASELINE, LOOKS
from lecturekit.progress import Step

DRAWINGS = 20  # that the signal is measured on
WIDE, HIGH = 464, 290  # pixels of a drawing
BUILT = [("that of the course: 8 layers", COURSE), ("a small one: 4 layers", SMALL), ("a chain of equal layers", CHAIN)]
DECADES = 45  # tenfold steps to either side of 1 that are drawn: all that single precision has


class Initialise(Panel):
    """Draw first weights in good and bad ways and see what becomes of the signal.

    From code: ``panel.set(network=, depth=, scheme=, beside=, seed=, train=, steps=)``; ``panel.result`` is a list of
    one or two `Started`.

    ``depth`` counts the layers of the chain, ``steps`` those of the training that ``train`` asks for.

    Args:
        networks: {name: module} of your own, from pixels (N, 3, 64, 64) to ten logits; copies get new weights.
        settings: where the controls stand at first, e.g. ``scheme="too large"``.
    """

    def __init__(self, networks=None, **settings):
        self.own, self.memory = dict(networks or {}), Memory()
        schemes = list(features.SCHEMES)
        controls = {
            "network": knobs.menu("Network", [*((name, name) for name in self.own), *BUILT]),
            "depth": knobs.slider("Layers", 3, 40, 20),
            "scheme": knobs.walk("First weights", schemes, "too large"),
            "beside": knobs.walk("Beside them", schemes, "he"),
            "seed": knobs.slider("Random no.", 0, 20, 0),
            "train": knobs.tick("train them, and see"),
            "steps": knobs.slider("Steps", 5, 200, 40, step=5, live=False),
        }
        for name in ("network", "train"):
            controls[name].observe(lambda _: self._unveil(), names="value")
        self.up, self.down = (look.Picture(title, WIDE, smooth=True) for title in ("Forwards", "Backwards"))
        self.silent, self.loss = (look.Picture(title, WIDE, smooth=True) for title in ("Silent", "Learning"))
        strips = [look.Strip([self.up, self.down]), look.Strip([self.silent, self.loss])]
        super().__init__(controls, strips, steps="steps", steps_if="train")
        self._unveil()
        self.begin(settings)

    def _unveil(self):
        """Show the knobs that do something."""
        self.controls["depth"].layout.display = hidden_unless(self.controls["network"].value == CHAIN)
        self.controls["steps"].layout.display = hidden_unless(self.controls["train"].value)

    def compute(self, settings, watch):
        """Return a `Started` for each scheme; training comes last, and is what takes time."""
        schemes = list(dict.fromkeys([settings["scheme"], settings["beside"]]))
        asked = (settings["network"], settings["depth"] if settings["network"] == CHAIN else 0, settings["seed"])
        started = [self.memory.recall((*asked, s)) or self._measured(asked, s) for s in schemes]
        if not settings["train"]:
            return started
        for number, scheme in enumerate(schemes):
            key = (*asked, scheme, settings["steps"])
            losses = self.memory.recall(key)
            if losses is None:
                told = Learning(watch, started, number, settings["steps"])
                told.report(0)
                losses = trained(self._blank(*asked, scheme), settings["steps"], told)
                if told.ended:
                    return [*started[:number], started[number]._replace(losses=losses), *started[number + 1 :]]
                self.memory.keep(key, losses)
            started[number] = started[number]._replace(losses=losses)
        watch(Step(len(schemes) * settings["steps"], len(schemes) * settings["steps"]))
        return started

    def _blank(self, name, depth, seed, scheme):
        """Return a network with first weights of a scheme."""
        model = self.own[name] if name in self.own else blank(name, depth)
        return features.initialised(model, scheme, seed).to(device())

    def _measured(self, asked, scheme):
        x, y = standing.drawings(DRAWINGS)
        return self.memory.keep((*asked, scheme), Started(scheme, features.signal(self._blank(*asked, scheme), x, y)))

    def show(self, result, settings):
        """Paint activations, gradients and silent filters over the layers, and the loss over the steps."""
        self.up.paint(sizes(result, "activation"), about(result, 0), title="Forwards: activations, root mean square")
        self.down.paint(sizes(result, "gradient"), about(result, 1), title="Backwards: gradients, length")
        self.silent.paint(shares(result), about_silent(result), title="Filters that are silent for every drawing")
        self.loss.unveil(bool(settings["train"]))
        if settings["train"]:
            self.loss.paint(losses(result, settings["steps"]), about_loss(result), title="Does it learn?")

    def live(self, picture):
        """Paint the losses as far as they are there."""
        self.show(picture, self.settings())


def sizes(result, what):
    """Return activations or gradients over the layers as PNG bytes; a curve ends where the value is exactly zero."""
    curves = {one.scheme: [getattr(row, what) for row in one.signals] for one in result}
    points = {
        name: [(i, math.log10(v) if 0 < v < math.inf else None) for i, v in enumerate(values, 1)]
        for name, values in curves.items()
    }
    heights = [y for some in points.values() for _, y in some if y is not None] or [0]
    low, high = max(-DECADES, min(-1, math.floor(min(heights)))), min(DECADES, max(1, math.ceil(max(heights))))
    every = max(1, math.ceil((high - low) / 7))
    ticks = {power: ten(power) for power in range(low // every * every, high + every, every)}
    return drawn(result, points, axes.Axis(what, ticks))


def shares(result):
    """Return the share of silent filters over the layers as PNG bytes; not of the class scores, which have a sign."""
    points = {one.scheme: [(i, row.silent) for i, row in enumerate(one.signals[:-1], 1)] for one in result}
    ticks = {share / 100: f"{share} %" for share in range(0, 101, 25)}
    return drawn(result, points, axes.Axis("share of a layer's filters", ticks))


def drawn(result, points, up):
    """Return curves over the layers as PNG bytes."""
    names = [row.layer for row in result[0].signals]
    every = 1 if len(names) <= 8 else math.ceil(len(names) / 6)  # names need 60 pixels each
    layers = {i: name if (i - 1) % every == 0 else "" for i, name in enumerate(names, 1)}
    series = [axes.Line(name, style, points[name]) for name, style in zip(points, LOOKS, strict=False)]
    return axes.lines(series, axes.Axis("layer, from the picture to the class", layers), up, WIDE, HIGH)


def losses(result, steps):
    """Return the loss over the steps as PNG bytes, up to twice that of guessing."""
    ticks = {value: str(value) for value in range(6)}
    guessing = axes.Line("guessing", BASELINE, [(1, GUESSING), (steps, GUESSING)])
    curves = [
        axes.Line(one.scheme, style, [(i, loss) for i, loss in enumerate(one.losses, 1) if math.isfinite(loss)])
        for one, style in zip(result, LOOKS, strict=False)
    ]
    across = {1: "1", **{step: str(step) for step in range(steps // 4, steps, max(1, steps // 4))}, steps: str(steps)}
    up = axes.Axis("cross entropy; what is above 5 is drawn at 5", ticks)
    return axes.lines([*curves, guessing], axes.Axis("step of training", across), up, WIDE, HIGH)


def ten(power):
    """Return 10 to a power as it is written."""
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return "1" if power == 0 else f"10{raised}"


def about(result, which):
    """Return the caption of one direction: decades a layer, and what that means."""
    return "\n".join(f"{one.scheme}: {told(one.slopes[which])}" for one in result)


def told(slope):
    """Return in words by how much a signal grows or shrinks from layer to layer."""
    if not math.isfinite(slope):
        return "dies out: exactly zero on the way"
    words = f"times {10**slope:.2g} a layer ({slope:+.2f} decades)".replace("-", "−")
    return f"{words}: " + ("healthy" if abs(slope) <= ALARM else "beyond the alarm of ±0.1")


def about_silent(result):
    """Return the caption of the silent filters."""
    worst = {one.scheme: max(one.signals[:-1], key=lambda row: row.silent) for one in result}
    return "\n".join(f"{name}: at most {100 * row.silent:.0f} %, in {row.layer}" for name, row in worst.items())


def about_loss(result):
    """Return the caption of the training: where it began and where it has come to."""
    words = []
    for one in result:
        finite = [loss for loss in one.losses if math.isfinite(loss)]
        if finite:
            lost = "" if len(finite) == len(one.losses) else ", then no longer a number"
            words.append(f"{one.scheme}: {finite[0]:.3g} at first, {finite[-1]:.3g} after {len(finite)} steps{lost}")
    return "\n".join([*words, f"guessing: {GUESSING:.2f}"])
