r"""Is every filter of this network alive and of use?  A census over a data set.

=============  ============================================  =========================================================
finding        definition                                    usual cause
=============  ============================================  =========================================================
broken         a weight or bias is NaN or infinite           a step that was too large
weightless     norm of the weights below 1/1000 of the       never learned, or decayed away
               layer's median
dead           not above zero anywhere, after its ReLU       a bias thrown far below zero by one large step
sleepy         above zero at fewer than 1 in 1,000 places    the same, less far
stuck          varies by less than 1/100 of its mean         a bias far above zero
saturated      beyond 0.97 at more than 95 % of all places   weights too large in front of a tanh or sigmoid
duplicate      cosine with an earlier filter of the layer    equal initial weights, or more filters than the task needs
               above 0.99 (or below -0.99)
dominant       root mean square of its weights above 5       a learning rate that is too large for the first layer
               times the layer's median                      (Zeiler & Fergus 2014, figure 6a)
noisy          first layer only: more than half of the       a checkerboard: nothing in a picture looks like it
               energy in waves shorter than 2 pixels
=============  ============================================  =========================================================

What counts is the answer behind the activation that follows the layer, found by running the network once and looking
what runs next.  A layer that no activation follows, such as the logits, is judged by its weights alone.

The trap: "dead" is a statement about this data set.  A wheel detector is dead on a book without cars.  And a unit that
is silent at 500 places may still fire at one in 200: after n silent places the share is below 3 / n with 95 % certainty
(the rule of three), and that bound stands in the evidence.

Sources: Zeiler & Fergus 2014, arXiv:1311.2901, section 3 and figure 6.  The thresholds are ours; those of the paper
(RMS above 0.1) hold for its pixels from 0 to 255 only.
"""

import contextlib
import dataclasses
from typing import NamedTuple

import torch
from torch import nn

from lecturekit.capture import activations
from lecturekit.capture import layers as table_of_layers
from lecturekit.errors import InputError
from lecturekit.features.stream import BATCH, as_maps, batches, count, filter_layers, pictures
from lecturekit.features.waves import frequencies
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table

WEIGHTLESS, SLEEPY, STUCK = 1e-3, 1e-3, 1e-2
SATURATED, OFTEN = 0.97, 0.95
DUPLICATE, DOMINANT = 0.99, 5.0
FINE, NOISY = 0.5, 0.5  # cycles per pixel: only diagonal waves are finer; white noise has 0.22 of its energy there
BOUNDED = ("Tanh", "Sigmoid", "Hardtanh", "Hardsigmoid", "Softsign")
LISTED = 12  # findings that a census shows of itself
RECTIFIERS = ("ReLU", "ReLU6")
KINDS = ("broken", "weightless", "dead", "sleepy", "stuck", "saturated", "duplicate", "dominant", "noisy")


class Finding(NamedTuple):
    """One filter with something wrong."""

    layer: str
    filter: int
    kind: str
    evidence: str


@dataclasses.dataclass(frozen=True)
class Census:
    """What is wrong with which filter.

    Attributes:
        findings: a `Table` of `Finding`, from the picture to the class.
        filters: {layer: how many filters it has}.
        pictures: on how many pictures this stands.
        complete: False if it was stopped early; answers are then judged on fewer pictures.
    """

    findings: Table
    filters: dict[str, int]
    pictures: int
    complete: bool

    def of(self, kind, layer=None):
        """Return the filters with one kind of finding, as (layer, number) pairs."""
        return [(f.layer, f.filter) for f in self.findings if f.kind == kind and layer in (None, f.layer)]

    def counts(self):
        """Return a table with the number of findings of every kind, layer by layer; kinds without any are left out."""
        kinds = [kind for kind in KINDS if self.of(kind)]
        rows = [(layer, size, *(len(self.of(kind, layer)) for kind in kinds)) for layer, size in self.filters.items()]
        return Table(rows, ("layer", "filters", *kinds))

    def _repr_html_(self):
        """Show the counts, then the first findings."""
        return f"{self.counts()._repr_html_()}{self._listed()._repr_html_()}<p>{self._rest()}</p>"

    def __str__(self):
        """Return the same as text."""
        return f"{self.counts()}\n\n{self._listed()}\n{self._rest()}"

    def _listed(self):
        return Table(self.findings[:LISTED], Finding._fields)

    def _rest(self):
        more = len(self.findings) - LISTED
        return f"and {more} more in .findings" if more > 0 else "" if self.findings else "nothing wrong"


def census(model, data, *, batch=BATCH, watch=None):
    """Look at every filter of a network, its weights and its answers to a whole data set.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        data: a data set; see `lecturekit.features.stream`.
        batch: pictures in one pass; memory grows with it, not with the data set.
        watch: see `lecturekit.progress`.
    Returns: a `Census`; on `STOP` or Ctrl-C that of the pictures seen so far.
    Raises: InputError for an empty data set, pictures that do not fit, or a network without filters.
    """
    size = tuple(pictures(data, slice(0, min(1, count(data)))).shape[1:])
    names = filter_layers(model, size)
    if not names:
        raise InputError("the network has no convolutional or linear layer, so there are no filters to count")
    follow = followers(model, size)
    tallies, done, complete = {name: Tally(follow[name][1]) for name in names if name in follow}, 0, False
    with contextlib.suppress(KeyboardInterrupt):
        for start, x in batches(data, batch):
            x, done = x.to(next(model.parameters())), start + len(x)
            seen = activations(model, x, *(follow[name][0] for name in tallies)) if tallies else {}
            for name, tally in tallies.items():
                tally.add(as_maps(seen[follow[name][0]]))
            if stopped(watch, Step(done, count(data))) and done < count(data):
                break
        else:
            complete = True
    modules, rows = dict(model.named_modules()), []
    for number, name in enumerate(names):
        found = weight_findings(modules[name], first=number == 0)
        answers = tallies[name].findings() if name in tallies and done else {}
        rows += [Finding(name, k, *what) for k, what in one_each(answers, found)]
    return Census(Table(rows, Finding._fields), {n: len(modules[n].weight) for n in names}, done, complete)


def followers(model, size):
    """Return which activation follows each layer with filters, {layer: (name of the activation, its class)}.

    Batch normalisation may stand between; a layer that something else follows has none.
    """
    modules, found, before = dict(model.named_modules()), {}, None
    for row in table_of_layers(model, size):
        module = modules.get(row.name.partition("#")[0])
        kind = type(module).__name__
        if isinstance(module, nn.Conv2d | nn.Linear):
            before = row.name
        elif before and kind in (*RECTIFIERS, *BOUNDED):
            found[before], before = (row.name, kind), None
        elif not isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            before = None
    return found


class Tally:
    """What is kept of a layer's answers: four numbers per filter, however many pictures there are."""

    def __init__(self, kind):
        self.kind, self.places = kind, 0
        self.on = self.far = self.total = self.squares = 0

    def add(self, maps):
        """Count one batch of answers behind the activation, (n, K, h, w)."""
        values = maps.transpose(0, 1).flatten(1)  # (K, n h w)
        self.places += values.shape[1]
        self.on = self.on + (values > 0).sum(dim=1)
        self.far = self.far + (values.abs() > SATURATED).sum(dim=1)
        self.total = self.total + values.double().sum(dim=1)
        self.squares = self.squares + values.double().square().sum(dim=1)

    def findings(self):
        """Return what is wrong, {filter: (kind, evidence)}; at most one finding for each filter."""
        on, far, mean = (value / self.places for value in (self.on.double(), self.far.double(), self.total))
        deviation = (self.squares / self.places - mean**2).clamp(min=0).sqrt()
        found = {}
        for k in torch.isfinite(mean).nonzero().flatten().tolist():  # NaN comes from a broken filter further down
            if self.kind in RECTIFIERS and on[k] == 0:
                found[k] = ("dead", f"silent at {self.places:,} places: fires at < {300 / self.places:.2g} % of all")
            elif self.kind in RECTIFIERS and on[k] < SLEEPY:
                found[k] = ("sleepy", f"above 0 at {100 * on[k]:.3f} % of {self.places:,} places")
            elif self.kind in BOUNDED and far[k] > OFTEN:
                found[k] = ("saturated", f"beyond {SATURATED} at {100 * far[k]:.1f} % of all places")
            elif deviation[k] < STUCK * mean[k].abs():
                found[k] = ("stuck", f"{mean[k]:.4g} everywhere, ± {deviation[k]:.2g}")
        return found


def weight_findings(module, first):
    """Return what is wrong with the weights of a layer, {filter: (kind, evidence)}; at most one for each filter.

    Args:
        module: a convolution or linear layer.
        first: whether pictures are its input.
    """
    weight = module.weight.detach().flatten(1)  # (K, values)
    wrong = ~torch.isfinite(weight).all(dim=1)
    if module.bias is not None:
        wrong |= ~torch.isfinite(module.bias.detach())
    found = {k: ("broken", "NaN or infinite weights") for k in wrong.nonzero().flatten().tolist()}
    sizes = weight.square().mean(dim=1).sqrt()  # root mean square of each filter
    middle = sizes[~wrong].median().item() if not wrong.all() else 0.0
    for k in range(len(weight)):
        if k in found:
            continue
        if sizes[k] <= WEIGHTLESS * middle:
            found[k] = ("weightless", f"RMS {sizes[k]:.2g}, the layer's median is {middle:.2g}")
        elif sizes[k] > DOMINANT * middle:
            found[k] = ("dominant", f"RMS {sizes[k]:.2g}, {sizes[k] / middle:.0f} times the layer's median")
    for k, other, cosine in duplicates(weight, found):
        found.setdefault(k, ("duplicate", f"cosine {cosine:.3f} with filter {other}"))
    if first and module.weight.dim() == 4:
        for k, share in enumerate(fine_energy(module.weight.detach()).tolist()):
            if share > NOISY:
                found.setdefault(k, ("noisy", f"{100 * share:.0f} % of its energy in waves shorter than 2 pixels"))
    return found


def duplicates(weight, skip=()):
    """Yield (filter, earlier filter, cosine) for every filter that repeats an earlier one.

    Args:
        weight: (K, values).
        skip: filters that cannot be compared: broken or without weights.
    """
    unit = torch.nn.functional.normalize(weight.nan_to_num(0, 0, 0), dim=1)
    cosines = (unit @ unit.T).tril(-1)
    for k in range(1, len(weight)):
        other = cosines[k].abs().argmax().item()
        usable = skip.get(k, ("",))[0] not in ("broken", "weightless") if isinstance(skip, dict) else k not in skip
        if usable and abs(cosines[k, other]) > DUPLICATE:
            yield k, other, cosines[k, other].item()


def fine_energy(weight):
    """Return the share of each filter's energy in waves shorter than two pixels, (K,); weights (K, C, k, k).

    Measured on a grid of 32 x 32 waves around the filter, its mean included.
    """
    spectrum = torch.fft.rfft2(weight, s=(32, 32)).abs().square().sum(dim=1)  # (K, 32, 17)
    spectrum[..., 1:16] *= 2  # rfft leaves out the mirror images of these waves
    fine = frequencies(32, 32).to(weight.device) > FINE
    return (spectrum * fine).sum(dim=(1, 2)) / spectrum.sum(dim=(1, 2)).clamp(min=1e-30)


def one_each(answers, weights):
    """Yield (filter, finding), the finding about the weights first: it is the cause, the answers are the effect."""
    for k in sorted(answers.keys() | weights.keys()):
        yield k, weights.get(k) or answers[k]
