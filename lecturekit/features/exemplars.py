r"""Does a picture of a filter help to foretell what the filter does?  A quiz with a right answer.

Whether nine patches are *beautiful* is a matter of taste; whether they *tell* something can be counted.  Show somebody
the pictures that stand for a filter, then two patches that are new, and ask which of the two it answers more:

    references: its strongest patches in one half of the data, or pictures painted for it
    options:    one patch that it answers strongly and one that it answers weakly, both from the other half

             [ references ]      [ A ]   [ B ]       guessing is right half of the time

Patches are what one unit sees, no more: what is outside of them cannot have mattered.  ``ranks`` says how far apart the
options are: the strongest and the weakest of the half (0, 1) are the easy quiz, a patch from the upper tenth and one
from the middle (0.1, 0.5) a hard one.

The trap: every filter answers little to an empty patch, so "the one with more in it" wins the easy quiz without any
reference.  Hence a control: `exchanged` gives each question the references of another filter.  What is right then, the
references have not told.  (A random filter is no such control: its strongest patches tell what it does as well.)

`observed` lets a measure of likeness take the quiz, so that the course can count without people.  It is a stand-in: it
chooses the option that is more like the references, and knows nothing else.

Sources: Borowski et al. 2021, arXiv:2010.12606 (people: 92 % right with natural references, 82 % with painted ones);
Zimmermann et al. 2021, arXiv:2106.12447.
"""

import dataclasses

import torch
from torch.nn.functional import interpolate, normalize

from lecturekit.capture import cut
from lecturekit.errors import InputError, unknown
from lecturekit.features.gallery import crop, gallery
from lecturekit.features.maximise import maximise
from lecturekit.features.objectives import neuron
from lecturekit.features.stream import answer, as_maps, count, field, pictures
from lecturekit.features.tuned import tuned

ROOM = 8  # pixels painted on each side of what the unit sees, where its view may move
STEPS = 64  # half of what one looks at with care; there are k pictures of each filter
DIVERSITY = 0.3  # of the painted references; without it all of them are nearly the same picture


@dataclasses.dataclass(frozen=True)
class Question:
    """Two patches, and which of them a filter answers more; what `panels.Quiz` asks.

    Attributes:
        layer, filter: who answers.
        pictures: the references, (k, C, side, side) in [0, 1].
        options: the two patches, (2, C, side, side) in [0, 1]; grey where the unit looks past the picture's border.
        right: 0 or 1, the option with the larger answer.
        values: both answers.
    """

    layer: str
    filter: int
    pictures: torch.Tensor
    options: torch.Tensor
    right: int
    values: tuple[float, float]

    @property
    def words(self):
        """What to say when the question has been answered."""
        low, high = sorted(self.values)
        return f"Filter {self.filter} of {self.layer} answers {high:.1f} to it, and {low:.1f} to the other."


def questions(model, layer, data, filters, *, references="natural", k=9, ranks=(0.0, 1.0), seed=0):
    """Ask one question about each filter.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything, in eval mode.
        layer: a name from ``capture.layers(model)``; take ``conv3`` rather than ``relu3``, where zeros are all alike.
        data: a data set, see `lecturekit.features.stream`; references come from its first half, options from the other.
        filters: numbers of filters.
        references: "natural" for the strongest patches, "painted" for pictures by `maximise`.
        k: how many references.
        ranks: how many of the patches answer more than the strong one and the weak one, as shares: 0 is the strongest,
            1 the weakest.
        seed: of the side of the right answer, and of the painting.
    Returns: a list of `Question`, in the order of ``filters``.
    Raises: InputError for an unknown layer or filter, another kind of references, or ranks that are no order.
    """
    check(data, references, ranks)
    half, filters = len(data) // 2, list(filters)
    known, new = pictures(data, slice(0, half)), pictures(data, slice(half, None))
    ranked = gallery(model, layer, new, k=len(new))  # every new picture at its strongest place, in order
    chosen = [round(rank * (len(new) - 1)) for rank in ranks]
    if references == "natural":
        strongest = gallery(model, layer, known, k=k)
        shown = [strongest.patches(known, number) for number in filters]
    else:
        shown = painted(model, layer, filters, k=k, size=tuple(new.shape[-2:]), seed=seed)
    sides = torch.randint(2, (len(filters),), generator=torch.Generator().manual_seed(seed)).tolist()
    orders = [chosen[:: 1 - 2 * side] for side in sides]  # 1 is B: the weak one comes first
    return [question(ranked, new, *row) for row in zip(filters, orders, sides, shown, strict=True)]


def question(ranked, new, number, order, right, references):
    """Return the question about one filter; ``order`` are the places of A and B among the answers to new pictures."""
    options = crop(ranked.pictures(new, number)[order], ranked.boxes[number, order])
    return Question(ranked.layer, number, references, options, right, tuple(ranked.values[number, order].tolist()))


def painted(model, layer, filters, *, k, size, seed=0):
    """Paint pictures for the middle unit of each filter, and return what that unit sees of them.

    A unit sees only its receptive field, so no more is painted than that and room in which the view may move.

    Args:
        model, layer, filters: as for `questions`.
        k: pictures of each filter, driven apart from each other.
        size: height and width of the pictures of the data set; painted where the field is as large.
        seed: of the noise at the start.
    Returns: (F, k, 3, side, side) in [0, 1].
    """
    seen = field(model, layer, (3, *size))
    if seen is not None:
        size = tuple(min(side, span.size + 2 * ROOM) for side, span in zip(size, seen, strict=True))
    settings = {"margin": 0, "size": size, "copies": k, "diversity": DIVERSITY, "steps": STEPS, "seed": seed}
    x = maximise(model, layer, neuron(filters), **(tuned(layer) | settings)).x.cpu()
    if seen is not None:
        sides = as_maps(answer(cut(model, layer), x[:1].to(next(model.parameters())))).shape[-2:]
        first = [span.start + side // 2 * span.step for span, side in zip(seen, sides, strict=True)]
        box = torch.tensor([*first, *(at + span.size for at, span in zip(first, seen, strict=True))])
        x = crop(x, box.expand(len(x), 4))
    return x.unflatten(0, (k, len(filters))).transpose(0, 1)


def exchanged(asked):
    """Return the same questions, each with the references of the next filter: what is right now was told by none.

    Raises: InputError for a single question.
    """
    if len(asked) < 2:
        raise InputError(f"references can be exchanged between two questions at least, got {len(asked)}")
    others = [*asked[1:], asked[0]]
    return [dataclasses.replace(own, pictures=o.pictures) for own, o in zip(asked, others, strict=True)]


def pixels(x):
    """See nothing but colours at their places: (n, C, h, w) -> (n, C h w), grey is 0."""
    return (x - 0.5).flatten(1)


def observed(asked, see=pixels):
    """Let a measure of likeness take the quiz: it chooses the option that is more like the references, on average.

    A stand-in for people, and a poor one: it compares, it does not understand.  What it finds, a person can find too;
    what it misses, a person may still see.

    Args:
        asked: a list of `Question`.
        see: pictures (n, C, h, w) to numbers (n, D): `pixels`, or `seen_by` another network than the one in question.
    Returns: for each question whether it was right, a list of bool.
    """
    return [int(likeness(question, see).argmax()) == question.right for question in asked]


def likeness(question, see):
    """Return the mean cosine of each option with the references, (2,)."""
    codes = normalize(see(torch.cat([question.options, question.pictures])), dim=1)
    options = len(question.options)
    return (codes[:options] @ codes[options:].T).mean(dim=1)


def seen_by(model, layer, side=64):
    """Return how a network sees pictures, whatever their size: enlarged, its answers averaged over places.

    Args:
        model: pixels (N, C, side, side) in [0, 1] to anything.
        layer: a name from ``capture.layers(model)``.
        side: what it is used to.
    """
    part = cut(model, layer)

    def see(x):
        x = interpolate(x.to(next(model.parameters())), (side, side), mode="bilinear", align_corners=False)
        return as_maps(answer(part, x)).mean(dim=(2, 3))

    return see


def check(data, references, ranks):
    """Refuse what cannot be asked, before anything is computed."""
    if references not in ("natural", "painted"):
        raise unknown("kind of references", references, ("natural", "painted"))
    if len(ranks) != 2 or not 0 <= ranks[0] < ranks[1] <= 1:
        raise InputError(f"ranks are the shares (strong, weak) with 0 <= strong < weak <= 1, got {ranks!r}")
    if count(data) < 4:
        raise InputError(f"half of the pictures are references, half options: at least 4, got {len(data)}")
