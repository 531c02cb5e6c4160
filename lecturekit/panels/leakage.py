"""Leakage, live: a face goes through a network up to a layer, a defence is put on its code, and an attacker looks.

::

    original  ->  code, defended  ->  the attacker's picture      PSNR, SSIM
                                            |
                     who is it?  [1] [2] [3] [4] [5] of 500       what is the person like?   what does the defence cost?

Two judges that know neither the network nor the people answer: `privacy.judges`.  The trap: what the eye says of the
reconstruction is no measure.  A picture that looks spoilt can still be nearest to the right person.
"""

import contextlib
import dataclasses
from typing import NamedTuple

import torch

from lecturekit import inversion, measure
from lecturekit.inversion import representation
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.inversion.tuned import LAYERS
from lecturekit.panels import controls as knobs
from lecturekit.panels import lineup, look, price
from lecturekit.panels.base import Memory, Panel, hidden_unless
from lecturekit.panels.forward import ends
from lecturekit.panels.price import INVERSE, NONE, OPTIMISATION, Case, CutShort, Price
from lecturekit.panels.shelf import Shelf
from lecturekit.progress import STOP, Step

NETWORKS = ("picturebook", "picturebook_robust")
STRENGTHS = {  # words and values, the first of each being no defence at all
    NONE: [("none", 0)],
    "noise": [("0", 0), *((f"{deviation:g} σ", deviation) for deviation in (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4))],
    "channel drop": [(f"{per_cent} %", per_cent / 100) for per_cent in (0, 10, 25, 50, 75, 85, 90, 95, 97)],
    "quantisation": [("0", 0), *((f"{step:g} σ", step) for step in (0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4))],
}
COSTS = {NONE: "What the depth of the cut costs", "noise": "What noise costs (deviation in σ)",
         "channel drop": "What channel drop costs (share dropped)",
         "quantisation": "What quantisation costs (step in σ)"}  # fmt: skip
MILD = {NONE: 0, "noise": 1, "channel drop": 0.5, "quantisation": 1}  # where the slider stands when a defence is chosen
DONE = {NONE: "no defence", "noise": "noise of {} added", "channel drop": "{} of the filters set to zero",
        "quantisation": "each number rounded to multiples of {}"}  # fmt: skip
MAPS, MAP = 16, 64  # maps of the code that are shown, in four rows, and pixels a side of each
CODE = 4 * (MAP + look.GAP)  # pixels of the code on the screen: none of it is scaled
TABLE = 410  # pixels of the table of traits


class Leaked(NamedTuple):
    """The result of the panel.

    Attributes:
        case: who attacked what; see `price.Case`.
        person: whose picture it was.
        x0: the original, (1, 3, 64, 64).
        code: what was sent, (1, ...).
        x: what the attacker makes of it, (1, 3, 64, 64).
        psnr, ssim: of ``x`` against ``x0``.
        verdict: what the judges say of it, a `lineup.Verdict`; None as long as nobody has asked them.
        complete: False if the attacker was stopped; the picture is the best so far.
        price: what the defence costs at this strength, a `price.Price`, or None if that was not measured.
        evaluations: of the network, by an attacker who optimises.
    """

    case: Case
    person: int
    x0: torch.Tensor
    code: torch.Tensor
    x: torch.Tensor
    psnr: float
    ssim: float
    verdict: lineup.Verdict | None
    complete: bool = True
    price: Price | None = None
    evaluations: int = 0


class Leakage(Panel):
    """Who is it?  Bring a face back from its code, and ask the judges.

    From code: ``panel.set(person=, network=, attacker=, layer=, defence=, strength=, curve=)``; ``panel.result`` is a
    `Leaked`.

    ``strength`` is the deviation of the noise or the step of the rounding, in deviations of the code, or the share of
    the filters that is dropped; 0 of each means no defence.  ``curve`` weighs every strength of the defence, and
    without a defence every layer; only then is optimisation counted over several people, which takes seconds for each.

    Args:
        networks, inverses: see `shelf.Shelf`; the network of the picture book and its robust twin if None.
        settings: where the controls stand at first, e.g. ``layer="conv3", defence="noise", strength=1``.
    """

    def __init__(self, networks=None, inverses=None, **settings):
        self.shelf, self.memory = Shelf(NETWORKS if networks is None else networks, inverses), Memory()
        self.scales = price.Scales(self.shelf)
        network = knobs.menu("Network", self.shelf.options())
        attacker = knobs.menu("Attacker", self._attackers(network.value))
        layers = self._layers(network.value, attacker.value)
        controls = {
            "person": knobs.slider("Person", 0, lineup.PEOPLE - 1, 14),
            "network": network,
            "attacker": attacker,
            "layer": knobs.walk("Layer", layers, "conv3" if "conv3" in layers else None),
            "defence": knobs.menu("Defence", list(STRENGTHS)),
            "strength": knobs.walk("Strength", STRENGTHS[NONE]),
            "curve": knobs.tick("weigh every layer"),
        }
        network.observe(self._network_changed, names="value")
        attacker.observe(self._attacker_changed, names="value")
        controls["defence"].observe(self._defence_changed, names="value")
        self.original, self.code = look.Picture("Original"), look.Picture("Code", CODE)
        self.rebuilt = look.Picture("Reconstruction")
        self.suspects, self.table = lineup.tiles(), look.Picture("What is the person like?", TABLE, smooth=True)
        self.cost = look.Picture("What the defence costs", price.WIDE, smooth=True)
        strips = [
            look.Strip([self.original, self.code, self.rebuilt]),
            look.Strip(self.suspects, f"Who is it? The nearest of {lineup.PEOPLE} people, at another moment"),
            look.Strip([self.table, self.cost]),
        ]
        super().__init__(controls, strips, steps="steps")
        controls["strength"].layout.display = "none"
        self.begin(settings)

    # Which knobs can stand where

    def _attackers(self, network):
        """Return who can attack a network; an inverse network has to have been trained for it."""
        return [INVERSE, OPTIMISATION] if self.shelf.inverse_layers(network) else [OPTIMISATION]

    def _layers(self, network, attacker):
        """Return the layers from which an attacker can start."""
        if attacker == INVERSE:
            return self.shelf.inverse_layers(network)
        return [layer for layer in self.shelf.opened(network).shapes if layer in LAYERS]

    def _network_changed(self, event):
        with self.together():
            knobs.offer(self.controls["attacker"], self._attackers(event["new"]))
            self._attacker_changed()

    def _attacker_changed(self, _event=None):
        with self.together():
            layers = self._layers(self.controls["network"].value, self.controls["attacker"].value)
            knobs.offer(self.controls["layer"], layers)

    def _defence_changed(self, event):
        with self.together():
            strength = self.controls["strength"]
            strength.options = STRENGTHS[event["new"]]
            strength.value = MILD[event["new"]]
            strength.layout.display = hidden_unless(event["new"] != NONE)
            self.controls["curve"].description = f"weigh every {'layer' if event['new'] == NONE else 'strength'}"

    # Work

    def compute(self, settings, watch):
        """Return the `Leaked` for the settings: the picture first, then the price, each from memory if it is there."""
        case, person = Case(*(settings[name] for name in Case._fields)), settings["person"]
        cases = [case, *self._row(case)[1]] if settings["curve"] else [case]
        known = self.memory.recall((case.plain(), person))
        attack = 0 if known or case.attacker == INVERSE else inversion.tuned(case.layer)["steps"]
        count = Count(watch, attack + self.scales.steps(cases, settings["curve"]))
        result = known._replace(case=case) if known else self._attacked(case, person, count)
        if not result.complete:
            return result
        self.memory.keep((case.plain(), person), result)
        return result._replace(price=self._weigh(cases, result, count, settings["curve"]))

    def _attacked(self, case, person, count):
        """Let the attacker make a picture of the code of one person."""
        portrait, phi = lineup.portrait(person), self._phi(case)
        with torch.no_grad():
            code = price.sent(case, phi(portrait.x), [person])
        if case.attacker == INVERSE:
            with torch.no_grad():
                x = self.shelf.inverse(case.network, case.layer)(code)
            if not lineup.gallery.cache_info().currsize:  # the first picture is not to wait for five hundred others
                count.tell(self._measured(case, person, code, x, ask=False))
            return self._measured(case, person, code, x)
        found = inversion.invert(
            price.asked(case, phi),
            code,
            watch=lambda step: count.pass_on(step, lambda x: self._measured(case, person, code, x, complete=False)),
            **inversion.tuned(case.layer),
        )
        return self._measured(case, person, code, found.x, complete=found.complete, evaluations=found.evaluations)

    def _phi(self, case):
        return representation(self.shelf.opened(case.network).model, case.layer)

    def _measured(self, case, person, code, x, ask=True, **about):
        """Return a picture with its likeness to the original and what the judges say."""
        x0, truth = lineup.portrait(person)
        likeness = measure.psnr(x, x0).item(), measure.ssim(x, x0).item()
        verdict = lineup.judged(x, x0, person, truth) if ask else None
        return Leaked(case, person, x0, code, x, *likeness, verdict, **about)

    def _weigh(self, cases, result, count, thorough):
        """Weigh cases one after the other; return the price of the first, or None if it could not be had."""
        count.tell(result)
        if not self.scales.refusal(cases[0].network):
            with contextlib.suppress(CutShort):
                for case in cases:
                    self.scales.weigh(case, count.tick, thorough)
                    count.tell(result)
        return self.scales.known(cases[0])

    def _row(self, case):
        """Return the names and the cases of what the drawing of the costs has from left to right."""
        if case.defence == NONE:
            layers = self._layers(case.network, case.attacker)
            short = ["prob." if layer == PROBABILITIES else layer for layer in layers]
            return short, [case._replace(layer=layer) for layer in layers]
        names, strengths = zip(*STRENGTHS[case.defence], strict=True)
        return [name.removesuffix(" σ") for name in names], [case._replace(strength=s) for s in strengths]

    # Pictures

    def show(self, result, settings):
        """Paint everything."""
        self._paint(result, "not measured: stopped before")

    def live(self, picture):
        """Paint what is known so far."""
        self._paint(picture() if callable(picture) else picture, "being measured")

    def _paint(self, result, no_price):
        self.original.paint(look.pixels(result.x0), about_original(result))
        self.code.paint(sheet(result.code), about_code(result), title=f"Code sent: {result.case.layer}")
        alone = len(self._attackers(result.case.network)) == 1
        self.rebuilt.paint(look.pixels(result.x), about_picture(result, alone), title=title(result.case))
        for strip in self.strips[1:]:
            strip.unveil(result.verdict is not None)
        if result.verdict is not None:
            lineup.line_up(self.suspects, result.verdict, result.person)
            self.table.paint(lineup.table(result.verdict, TABLE), lineup.about_marks(result.verdict))
            self._paint_cost(result.case, no_price)

    def _paint_cost(self, case, no_price):
        """Paint the row of strengths, as far as it is known; ``no_price`` says why there is none for this case."""
        (names, cases), known = self._row(case), self.scales.known(case)
        drawn = price.drawing(names, [self.scales.known(each) for each in cases], cases.index(case))
        words = price.about(known) if known else self.scales.refusal(case.network) or no_price
        self.cost.paint(drawn, words, title=COSTS[case.defence])

    def alternative_text(self):
        """Return in words what the pictures show, the table of traits included."""
        words = super().alternative_text()
        verdict = self._result.verdict if self._result else None
        return f"{words}; {lineup.about_traits(verdict)}" if verdict else words


class Count:
    """Counts the steps of everything that one event asks for, and tells them to a ``watch``.

    Args:
        watch: of the panel.
        total: steps in all; nothing is told if there are none.
    """

    def __init__(self, watch, total):
        self.watch, self.total, self.done = watch, total, 0

    def pass_on(self, step, see):
        """Pass on a step of the optimisation; its picture is looked at with ``see`` only when it is painted."""
        self.done, x = step.done, step.picture
        return self.watch(dataclasses.replace(step, total=self.total, picture=None if x is None else lambda: see(x)))

    def tick(self):
        """Count a step.  Raises: CutShort if the watch asks to stop."""
        self.done += 1
        if self.watch(Step(self.done, self.total)) == STOP:
            raise CutShort

    def tell(self, picture):
        """Show a picture between two steps."""
        if self.total:
            self.watch(Step(self.done, self.total, picture=picture))


def sheet(code):
    """Return the first maps of a code (1, C, h, w), or all numbers of one without places (1, D), as PNG bytes."""
    low, high = ends(code)
    if code.dim() == 4:
        maps, side = code[0, :MAPS], MAP
        shrink = max(1, max(maps.shape[-2:]) // MAP)
        maps = torch.nn.functional.avg_pool2d(maps, shrink) if shrink > 1 else maps
    else:
        maps = code[0, :, None, None]
        side = CODE // (12 if len(maps) <= 12 * 12 else 24) - look.GAP
    tiles = look.shades(maps, low, high)
    factor = max(1, side // max(maps.shape[-2:]))
    tiles = tiles.repeat(factor, axis=1).repeat(factor, axis=2)
    return look.indexed(look.mosaic(tiles, CODE), signed=low < 0)


def title(case):
    """Return what stands above the reconstruction."""
    return "From the inverse network" if case.attacker == INVERSE else "From optimisation"


def about_original(result):
    """Return the caption of the original: who it is, and the most that can be found."""
    words = f"person {result.person}"
    return words if result.verdict is None else f"{words}\nfrom the original: {place(result.verdict.rank_before)}"


def about_code(result):
    """Return the caption of the code: how much of it there is and what was done to it."""
    case, shape = result.case, " × ".join(map(str, result.code.shape[1:]))
    words = f"{shape} numbers"
    if case.plain().defence == NONE:
        return f"{words}\n{DONE[NONE]}"
    strength = {value: name for name, value in STRENGTHS[case.defence]}[case.strength]
    note = "\n(σ: deviation of its numbers)" * (case.defence != "channel drop")
    return f"{words}\n{DONE[case.defence].format(strength)}{note}"


def about_picture(result, alone=False):
    """Return the caption of the reconstruction: how like the original it is, and whether the person is found.

    ``alone``: optimisation is the only attacker there is, so whoever chose another one reads why it is not at work.
    """
    words = f"PSNR {result.psnr:.1f} dB, SSIM {result.ssim:.2f}"
    if result.verdict is not None:
        rank = result.verdict.rank
        words += f"\nperson {result.person} {'is' if rank == 1 else 'is not'} found\n{place(rank)}"
    if result.evaluations:
        words += f"\n{result.evaluations} evaluations"
    words += "\nno inverse network was trained for this network, so optimisation attacks" * alone
    return words if result.complete else f"{words}\nthe best so far"


def place(rank):
    """Return a rank in words."""
    return f"place {rank} of {lineup.PEOPLE}"
