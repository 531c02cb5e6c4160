"""The claims of *robust networks*: what adversarial training buys, what it costs, and how not to be fooled by less.

All are measured on test drawings that no network saw.  A network is only as robust as the best attack that was tried;
so the first claim is an upper bound, and the second is about networks that only look robust.
"""

import functools

import torch

from lecturekit import attacks
from lecturekit.attacks.gradient import kept
from lecturekit.claims.ledger import claim
from lecturekit.measure import Interval, paired_difference, proportion
from lecturekit.networks import card, load
from lecturekit.pictures.picturebook import PictureBook

LESSON = "11_robust_networks"
STRONG = {"steps": 50, "restarts": 5, "ball": attacks.Linf(8 / 255)}
BLOCK = 100  # pictures attacked together
TWINS = {"lecture network": "picturebook", "residual network": "picturebook_residual"}
LOUD = 600  # what multiplies the logits of the first broken defence
LEVELS = 16  # grey levels that the second one leaves


@functools.cache
def drawings(count):
    """Return the first test drawings as pixels, laid out as networks like them, and their classes."""
    book = PictureBook("test", count)
    return book.tensors().contiguous(memory_format=torch.channels_last), torch.from_numpy(book.labels)


class Louder(torch.nn.Module):
    """A broken defence: the same answers, with logits so large that the softmax is exactly 1 and its slope 0."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        """Return the logits, `LOUD` times as large."""
        return LOUD * self.model(x)


class Rounded(torch.nn.Module):
    """A broken defence: the picture is rounded to `LEVELS` grey levels first, and a staircase has no slope."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        """Return the logits of the rounded picture."""
        return self.model((x * (LEVELS - 1)).round() / (LEVELS - 1))


@claim(
    "robust-network",
    "A network that was trained on the worst pictures an attacker could find names nearly all drawings rightly, and "
    "nearly nine of ten under the very attack that fells its standard twin.",
    notebook=LESSON,
    threshold="accuracy at least 97 % without an attack, and at least 85 % under 50 steps of PGD from five starts "
    "within 8/255, first climbing the cross-entropy, then the margin",
    holds=lambda m: m["clean"].estimate >= 0.97 and m["both scores"].estimate >= 0.85,
)
def robust_network(count=1000):
    """Accuracy of the robust network of the picture book; five restarts of PGD-50 for each score, 8/255.

    The longest claim of the ledger: an hour of one core.
    """
    model, (x, y) = load("picturebook_robust"), drawings(count)
    stood = {name: torch.zeros(count, dtype=torch.bool) for name in ("clean", "cross-entropy", "both scores")}
    for rows in torch.arange(count).split(BLOCK):
        first = attacks.pgd(model, kept(x, rows), y[rows], **STRONG)
        stood["clean"][rows], stood["cross-entropy"][rows] = first.right, first.stood
        rows = rows[first.stood]  # who fell once has fallen
        stood["both scores"][rows] = attacks.pgd(model, kept(x, rows), y[rows], score=attacks.margin, **STRONG).stood
    return {name: proportion(int(hits.sum()), count) for name, hits in stood.items()}


@claim(
    "masking-named",
    "Two defences that only hide the gradient look robust under a standard attack; a battery of questions tells them "
    "from a network that is robust, and says what is hidden.",
    notebook=LESSON,
    threshold="both defences keep at least 80 % under PGD with cross-entropy; at least one answer of each is odd: for "
    "loud logits the gradient is zero under cross-entropy only, for rounding under the margin too; no answer of the "
    "robust network is odd",
    holds=lambda m: (
        all(m[f"{name}: stands"].estimate >= 0.8 and m[f"{name}: odd answers"].estimate > 0 for name in BROKEN)
        and m["loud logits: zero gradient"].above(m["loud logits: zero gradient, margin"])
        and m["rounding: zero gradient, margin"].estimate == 1
        and m["robust: odd answers"].estimate == 0
    ),
)
def masking_named(count=20):
    """Share standing under PGD-20 of those named rightly; odd answers (N: questions); pictures without a gradient."""
    standard, (x, y) = load("picturebook"), drawings(count)
    networks = {name: broken(standard).eval() for name, broken in BROKEN.items()}
    numbers = {}
    for name, model in {**networks, "standard": standard, "robust": load("picturebook_robust")}.items():
        found = attacks.battery(model, x, y)
        made = found.evidence.attacks
        climbing, n = made["climbing"], len(made["climbing"])
        numbers[f"{name}: stands"] = proportion(int(climbing.stood.sum()), n)
        numbers[f"{name}: odd answers"] = proportion(len(found.suspicious), len(found.findings))
        numbers[f"{name}: zero gradient"] = proportion(int((climbing.flat > 0).sum()), n)
        numbers[f"{name}: zero gradient, margin"] = proportion(int((made["margin"].flat > 0).sum()), n)
    return numbers


BROKEN = {"loud logits": Louder, "rounding": Rounded}


@claim(
    "accuracy-price",
    "Holding still has a price in accuracy, and the task sets it: next to nothing on drawings, some points on "
    "photographs.",
    notebook=LESSON,
    threshold="drawings, both architectures: the robust twin loses surely less than 1.5 points; photographs: its "
    "accuracy lies surely below that of the standard network",
    holds=lambda m: (
        all(m[f"price, {name}"].below(0.015) for name in TWINS)
        and m["photographs, robust"].below(m["photographs, standard"])
    ),
)
def accuracy_price(count=2000):
    """Accuracy without an attack, on the same test drawings; price: standard minus robust, in pairs.

    Photographs as the networks' cards state it, measured on the 1,000 validation photographs of twenty classes.
    """
    numbers, (x, y) = {}, drawings(count)
    for words, name in TWINS.items():
        right = [right_for(load(full), x, y) for full in (name, f"{name}_robust")]
        for kind, hits in zip(("standard", "robust"), right, strict=True):
            numbers[f"{words}, {kind}"] = proportion(int(hits.sum()), count)
        numbers[f"price, {words}"] = paired_difference(right[0].double(), right[1].double())
    for kind, name in (("standard", "photographs"), ("robust", "photographs_robust")):
        numbers[f"photographs, {kind}"] = Interval(**card(name)["measured"]["accuracy"])
    return numbers


def right_for(model, x, y, batch=200):
    """Return which pictures a network names rightly, (N,) bool."""
    with torch.no_grad():
        return torch.cat([model(some).argmax(1) for some in x.split(batch)]) == y
