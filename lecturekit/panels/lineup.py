"""Who is it?  A picture before the judges of `privacy`: the line-up of people it could show, and what is read in it.

::

    place 1          place 2         ...      place 5        place 83
    [        ]       [        ]      ...      [        ]     [[      ]]   framed: the right one,
    person 340       person 12       ...      person 3       person 7     behind the five if not among them

The pictures sought are of the split "test", those of the line-up of the split "validation": the same people at other
moments.  The trap: colour alone tells one reader in twelve nothing; the right one has a frame *and* a word.
"""

import functools
from typing import NamedTuple

import torch
from PIL import Image

from lecturekit.augment import pixels
from lecturekit.devices import device
from lecturekit.panels import chart, look
from lecturekit.panels.shelf import load
from lecturekit.pictures import picturebook, traits
from lecturekit.plots import DECODED, OPTIMISED
from lecturekit.privacy import judges
from lecturekit.privacy.reidentify import Gallery
from lecturekit.recipes import JUDGES_KNOW

PEOPLE = JUDGES_KNOW.start  # who is sought, from 0 on; the judges were trained on others
NEAREST = 5
TILE = 128  # pixels a side of a picture in the line-up
RIGHT, WRONG = (DECODED.colour, "✓"), (OPTIMISED.colour, "✗")
COLUMNS = (4, 100, 190, 296)  # of the table, in pixels: question, truth, read in the original, in the reconstruction
LINE = 32


class Portrait(NamedTuple):
    """A picture (1, 3, 64, 64) of a person at a moment, and the true answers to all questions, (5,)."""

    x: torch.Tensor
    truth: torch.Tensor


class Verdict(NamedTuple):
    """What the judges say of a reconstruction and of its original.

    Attributes:
        nearest: the numbers of the five nearest people, the nearest first.
        rank, rank_before: of the right person among `PEOPLE`, from 1; for the reconstruction and for the original.
        read, read_before: an answer to each question, as words.
        truth: the right answers, as words.
    """

    nearest: tuple
    rank: int
    rank_before: int
    read: tuple
    read_before: tuple
    truth: tuple

    def marks(self):
        """Return for each question whether it was read rightly in the reconstruction."""
        return [read == true for read, true in zip(self.read, self.truth, strict=True)]


@functools.lru_cache(PEOPLE)
def portrait(person):
    """Return the picture that is sought of one person."""
    return portraits([person], "test")[0]


def portraits(people, split):
    """Return a `Portrait` of each person."""
    drawn = picturebook.portraits(people, 1, split)
    x = pixels(torch.from_numpy(drawn.images))
    truth = torch.from_numpy(traits.answers(drawn.attributes))
    return [Portrait(one[None].to(device()), right) for one, right in zip(x, truth, strict=True)]


@functools.cache
def gallery():
    """Return the gallery in which people are sought, each embedded once for all panels."""
    x = torch.cat([one.x for one in portraits(range(PEOPLE), "validation")])
    return Gallery(x, torch.arange(PEOPLE), functools.partial(judges.embedding, model=load("people")))


def judged(x, x0, person, truth):
    """Bring a reconstruction and its original (1, 3, H, W) before the judges."""
    both = torch.cat([x, x0])
    distances = gallery().distances(both)  # (2, people)
    after, before = (distances <= distances[:, person, None]).sum(dim=1).tolist()  # equally near ones count against it
    nearest = distances[0].topk(NEAREST, largest=False).indices.tolist()
    read, read_before = judges.read(both, load("traits")).tolist()
    return Verdict(tuple(nearest), after, before, *map(in_words, (read, read_before, truth.tolist())))


def in_words(answers):
    """Return answers to the questions, given as numbers, as words."""
    return tuple(words[i] for words, i in zip(traits.QUESTIONS.values(), answers, strict=True))


def tiles():
    """Return the empty pictures of a line-up: the nearest, and one for the right person if he is not among them."""
    return [look.Picture(str(place), TILE) for place in range(1, NEAREST + 2)]


def line_up(pictures, verdict, person):
    """Paint the nearest people into the pictures of `tiles`, and the right one behind if he is not among them."""
    shown = dict(enumerate(verdict.nearest, start=1))
    pictures[-1].unveil(person not in verdict.nearest)
    if person not in verdict.nearest:
        shown[verdict.rank] = person
    for picture, (place, who) in zip(pictures, shown.items(), strict=False):
        words = f"person {who}\n{'the right one' if who == person else 'someone else'}"
        picture.paint(tile(who, framed=who == person), words, title=f"place {place}")


@functools.lru_cache(2 * PEOPLE)
def tile(person, framed):
    """Return the picture of a person in the gallery as PNG bytes, with a frame if wanted."""
    shades = (gallery().x[person].cpu() * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    sheet = look.enlarge(shades, TILE // len(shades))
    if framed:
        colour = [int(RIGHT[0][i : i + 2], 16) for i in (1, 3, 5)]
        sheet = look.frame(sheet, (0, 0, *sheet.shape[:2]), colour, thick=8)
    return look.packed(Image.fromarray(sheet))


def table(verdict, width):
    """Return the traits as PNG bytes: what is true, what was read, and right or wrong by sign and colour."""
    sheet, pen = chart.canvas(width, LINE * (len(traits.QUESTIONS) + 1))
    lines = zip(traits.QUESTIONS, verdict.truth, verdict.read_before, verdict.read, strict=True)
    rows = [[(words, chart.INK) for words in ("", "true", "original", "reconstruction")]]
    rows += [[(question, chart.INK), (true, chart.INK), *(said(word, true) for word in read)]
             for question, true, *read in lines]  # fmt: skip
    for i, row in enumerate(rows):
        top, bottom = (chart.TWICE * LINE * edge for edge in (i, i + 1))
        for left, (words, colour) in zip(COLUMNS, row, strict=True):
            place = (chart.TWICE * left, (top + bottom) // 2)
            pen.text(place, words, colour, chart.font(chart.TWICE * chart.TEXT), anchor="lm")
        pen.line((0, bottom - 1, sheet.width, bottom - 1), chart.RULES, 2)
    return look.packed(sheet)


def said(word, true):
    """Return an answer with its sign, and its colour."""
    colour, sign = RIGHT if word == true else WRONG
    return f"{sign} {word}", colour


def about_marks(verdict):
    """Return how many traits were read rightly."""
    right = verdict.marks()
    return f"{sum(right)} of {len(right)} read rightly in the reconstruction"


def about_traits(verdict):
    """Return the table in words."""
    lines = zip(traits.QUESTIONS, verdict.read, verdict.truth, strict=True)
    return "; ".join(f"{q}: read {r}, {'right' if r == t else f'wrong, it is {t}'}" for q, r, t in lines)
