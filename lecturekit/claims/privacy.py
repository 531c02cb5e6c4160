"""The claims of *privacy*: what a picture that was brought back from a code says about the person in it.

All people are drawn, and none of those that are sought is known to a judge.  What is sought is a test drawing, where it
is sought a gallery of validation drawings: the same people at another moment, before another background.  The
rules of `traits-by-layer` and `robust-leaks` were written before anything was measured.  Those of `who-by-layer` and
`who-attacks` are older than this module too, but shorter trials on the same people had shown how they would end; those
of the other claims were written after such trials.
"""

import functools

import torch

from lecturekit import capture, measure
from lecturekit.augment import pixels
from lecturekit.claims.ledger import claim
from lecturekit.inversion import decoded, load_inverse, representation
from lecturekit.measure import Interval, bootstrap, paired_difference, share
from lecturekit.networks import card, load
from lecturekit.pictures.picturebook import PictureBook, faces, portraits
from lecturekit.pictures.traits import QUESTIONS, answers
from lecturekit.privacy import attackers, defence, judges
from lecturekit.privacy.leakage import leakage
from lecturekit.privacy.reidentify import Gallery
from lecturekit.privacy.reidentify import pixels as in_pixels
from lecturekit.recipes import JUDGES_KNOW

LESSON = "12_privacy"
PEOPLE = JUDGES_KNOW.start  # whom no judge knows
CHANCE = 1 / PEOPLE
OPTIMISED = 100  # people whose pictures are sought by optimisation together, up to half a second each
ASKED, EPOCHS = 2_000, 4  # questions of a black box, and how often it looks at the answers
CUTS = ("conv1", "conv2", "conv3", "conv4", "conv5")  # where the robust twin is compared with the standard network
LAYER = "conv3"  # where attackers and defences are compared


@functools.cache
def sought(count=PEOPLE):
    """Return test drawings of the first people (N, 3, 64, 64), who they are, and the truth about each, (N, 5)."""
    drawn = portraits(range(count), 1, "test")
    return pixels(torch.from_numpy(drawn.images)), torch.from_numpy(drawn.people), answers(drawn.attributes)


@functools.cache
def gallery(see=judges.embedding):
    """Return the gallery of all 500 people at another moment."""
    return Gallery(*faces(range(PEOPLE), 1, "validation"), see=see)


@functools.cache
def rebuilt(count=PEOPLE):
    """Return what the shipped inverse networks make of the codes of all layers, {layer: (N, 3, 64, 64)}."""
    return decoded("picturebook", sought(count)[0])


def found(x, see=judges.embedding, k=1):
    """Return how often the right person is among the k nearest, an `Interval`."""
    return gallery(see).find(x, sought(PEOPLE)[1][: len(x)]).top[k]


@functools.cache
def by_white_box(name, layer, count):
    """Return what optimisation finds for the codes of the first people."""
    model = load(name)
    codes = judges.in_batches(representation(model, layer), sought(PEOPLE)[0][:count])
    return torch.cat([attackers.white_box(model, layer, some) for some in codes.split(OPTIMISED)])


@claim(
    "who-by-layer",
    "Who is in a picture can be told from early codes nearly as well as from the picture, and less with depth; by the "
    "fully-connected layers the person is gone, though the very picture can still be picked out.",
    notebook=LESSON,
    threshold="conv2, by optimisation: lower bound of the judge's top-1 at least 20 times chance (1/500); by inverse "
    "networks: conv1 surely above conv4, conv4 surely above fc6",
    holds=lambda m: (
        m["conv2, optimised: found"].low >= 20 * CHANCE
        and m["conv1: found"].above(m["conv4: found"])
        and m["conv4: found"].above(m["fc6: found"])
    ),
)
def who_by_layer(count=PEOPLE):
    """Top-1 and top-5 of the judge among 500 people; the very picture among 500 in pixels; codes compared directly."""
    x, people, _ = sought(count)
    here = Gallery(x, people, see=in_pixels)
    numbers = {"picture: found": found(x), "picture: among five": found(x, k=5)}
    for layer, each in rebuilt(count).items():
        numbers[f"{layer}: found"], numbers[f"{layer}: among five"] = found(each), found(each, k=5)
        numbers[f"{layer}: other moment, in pixels"] = found(each, in_pixels)
        numbers[f"{layer}: the very picture, in pixels"] = here.find(each, people).top[1]
    few = min(count, OPTIMISED)
    numbers["conv2, optimised: found"] = found(by_white_box("picturebook", "conv2", few))
    for layer in ("conv5", "fc6", "fc7"):
        see = functools.partial(judges.embedding, model=load("picturebook"), layer=layer)
        numbers[f"{layer}: codes compared directly"] = found(x, see)
    return numbers


@claim(
    "optimised-by-layer",
    "Optimisation, which needs no pictures to learn from, gives as much away as an inverse network where the code "
    "determines the picture, and less behind it.",
    notebook=LESSON,
    threshold="difference to the inverse network on the same people: conv1 and conv2 not surely below 0, "
    "conv3 and conv4 surely below 0",
    holds=lambda m: (
        not any(m[f"{layer}: found, minus inverse network"].below(0) for layer in ("conv1", "conv2"))
        and all(m[f"{layer}: found, minus inverse network"].below(0) for layer in ("conv3", "conv4"))
    ),
)
def optimised_by_layer(count=OPTIMISED):
    """White box with the settings tuned for each layer; judge's top-1 and top-5 among 500, traits, SSIM.

    The shares of conv2, conv3 and conv5 were known, from other claims, before the rule was written.
    """
    x, people, truth = (each[:count] for each in sought(PEOPLE))
    found_by = {layer: by_white_box("picturebook", layer, count) for layer in rebuilt(PEOPLE)}
    numbers = {}
    for row in leakage(found_by, x, people, gallery(), truth)[1:]:
        numbers[f"{row.layer}: found"], numbers[f"{row.layer}: among five"] = row.top1, row.top5
        numbers |= {f"{row.layer}: {question}": getattr(row, question) for question in QUESTIONS}
        numbers[f"{row.layer}: SSIM"] = row.ssim
        one, other = (
            gallery().find(each[row.layer][:count], people).ranks == 0 for each in (found_by, rebuilt(PEOPLE))
        )
        numbers[f"{row.layer}: found, minus inverse network"] = paired_difference(one.double(), other.double())
    return numbers


@claim(
    "traits-by-layer",
    "What a person is like leaks from layers that no longer tell who she is.",
    notebook=LESSON,
    threshold="fc6, by its inverse network: skin and background are read surely more often than by always giving the "
    "commonest answer",
    holds=lambda m: all(m[f"fc6: {q}"].above(m[f"commonest answer: {q}"]) for q in ("skin", "background")),
)
def traits_by_layer(count=PEOPLE):
    """Share read rightly by the judge of traits; the commonest answer is the control, on the same drawings."""
    x, _, truth = sought(count)
    truth = torch.as_tensor(truth)
    numbers = {
        f"commonest answer: {q}": share(column == column.mode().values)
        for q, column in zip(QUESTIONS, truth.T, strict=True)
    }
    for layer, each in {"picture": x, **rebuilt(count)}.items():
        numbers |= {f"{layer}: {q}": value for q, value in judges.traits_read(each, truth).items()}
    return numbers


@claim(
    "ssim-is-no-measure",
    "Likeness is no measure of privacy: pictures that the limit of 0.3 calls recognisable give nobody away.",
    notebook=LESSON,
    threshold="fc6, by its inverse network: more than half have an SSIM of 0.3 or more, and among these the person is "
    "found surely less than 20 times as often as by guessing",
    holds=lambda m: m["fc6: SSIM of 0.3 or more"].low > 0.5 and m["fc6: found among those"].high < 20 * CHANCE,
)
def ssim_is_no_measure(count=PEOPLE):
    """Share of reconstructions on either side of an SSIM of 0.3, and how often the person is found on each side."""
    x, people, _ = sought(count)
    numbers = {}
    for layer in ("conv5", "fc6", "fc7", "fc8"):
        each = rebuilt(count)[layer]
        alike = measure.ssim(each, x) >= 0.3
        numbers[f"{layer}: SSIM of 0.3 or more"] = share(alike)
        for words, which in (("those", alike), ("the others", ~alike)):
            if which.any():
                numbers[f"{layer}: found among {words}"] = gallery().find(each[which], people[which]).top[1]
    return numbers


@claim(
    "who-attacks",
    "An attacker who has the network finds more people than one who may only ask, and it matters what he asks about.",
    notebook=LESSON,
    threshold="conv3, top-1: white box not surely below the black box that asks about drawings, that one not surely "
    "below the one that asks about photographs, and that one not surely below noise",
    holds=lambda m: not any(a.below(b) for a, b in zip(list(m.values())[:3], list(m.values())[1:4], strict=True)),
)
def who_attacks(count=OPTIMISED):
    """Judge's top-1 among 500; each black box asks about 2,000 pictures, query-free trains on 2,000 drawings."""
    model, x = load("picturebook"), sought(PEOPLE)[0][:count]
    ask = capture.cut(model, LAYER)
    codes = judges.in_batches(ask, x)
    numbers = {"white box": found(by_white_box("picturebook", LAYER, count))}
    for world in ("drawings", "photographs", "noise", "drawings without faces"):
        net = attackers.black_box(ask, attackers.questions(world, ASKED), epochs=EPOCHS).model
        numbers[f"black box, asks about {world}"] = found(judges.in_batches(net, codes))
    own = PictureBook("train", ASKED)
    stand_in = attackers.query_free(model, LAYER, torch.from_numpy(own.images), torch.from_numpy(own.labels)).model
    numbers["query-free"] = found(attackers.white_box(stand_in, LAYER, codes))
    shipped = judges.in_batches(load_inverse("picturebook", LAYER), codes)
    return numbers | {"black box, 12,000 drawings (shipped)": found(shipped)}


@claim(
    "defences-cost",
    "Every defence on the code costs accuracy and buys privacy; a little noise buys much.",
    notebook=LESSON,
    threshold="conv3, an attacker who does not know of the defence: found surely less often at the strongest setting "
    "than without, for all three; with noise of 1 deviation also, at an accuracy of at least 0.95",
    holds=lambda m: (
        all(m[f"{d}, {v.strengths[-1]}: found"].below(m[f"{d}, 0: found"]) for d, v in defence.DEFENCES.items())
        and m["noise, 1: found"].below(m["noise, 0: found"])
        and m["noise, 1: accuracy"].low >= 0.95
    ),
)
def defences_cost(count=PEOPLE):
    """Accuracy on 500 test drawings of all classes, judge's top-1 among 500 people and SSIM, at each strength."""
    x, people, _ = sought(count)
    book, net, numbers = PictureBook("test", count), load_inverse("picturebook", LAYER), {}
    objects = book.tensors(), torch.from_numpy(book.labels)
    for name, each in defence.DEFENCES.items():
        points = defence.curve(each, load("picturebook"), LAYER, defence.decoding(net), (x, people), gallery(), objects)
        for point in points:
            start = f"{name}, {point.strength}: "
            numbers[f"{start}accuracy"], numbers[f"{start}found"] = point.accuracy, point.top1
            numbers[f"{start}SSIM"] = point.ssim
    return numbers


@claim(
    "drop-fools-the-eye",
    "A defence that spoils the picture for one attacker need not spoil it for the next: who knows that half of the "
    "filters are dropped finds people all the same.",
    notebook=LESSON,
    threshold="conv3, half of the filters dropped: an inverse network that learned from such codes finds surely more "
    "people than the one that did not, and surely more than 20 times chance",
    holds=lambda m: (
        m["dropped, attacker knows: found"].above(m["dropped, attacker does not know: found"])
        and m["dropped, attacker knows: found"].low > 20 * CHANCE
    ),
)
def drop_fools_the_eye(count=PEOPLE):
    """Judge's top-1 among 500 and SSIM; who knows went on from the shipped inverse network on 2,000 drawings, twice."""
    x = sought(count)[0]
    phi, start, numbers = capture.cut(load("picturebook"), LAYER), load_inverse("picturebook", LAYER), {}
    codes = judges.in_batches(phi, x)
    for name, spoil in {
        "dropped": lambda code: defence.channel_drop(code, 0.5),
        "noise of 2": lambda code: defence.noise(code, 2),
    }.items():
        images = attackers.questions("drawings", ASKED)
        knows = attackers.black_box(lambda v, spoil=spoil: spoil(phi(v)), images, start=start, epochs=2).model
        for who, net in (("does not know", start), ("knows", knows)):
            seen = judges.in_batches(net, spoil(codes))
            numbers[f"{name}, attacker {who}: found"] = found(seen)
            numbers[f"{name}, attacker {who}: SSIM"] = bootstrap(measure.ssim(seen, x))
    return numbers


@claim(
    "robust-leaks",
    "A robust network is no private one: its codes give as much away, or more.",
    notebook=LESSON,
    threshold="conv5, by optimisation: found not surely less often from the robust twin than from the standard network",
    holds=lambda m: not m["conv5, robust: found"].below(m["conv5, standard: found"]),
)
def robust_leaks(count=PEOPLE):
    """Judge's top-1 among 500 people and SSIM, white box, the same settings for both networks, at five cuts.

    Accuracy as the networks' cards state it: what the defence costs, which is the same at every cut.
    """
    numbers, x = {}, sought(count)[0]
    for words, name in (("standard", "picturebook"), ("robust", "picturebook_robust")):
        numbers[f"{words}: accuracy"] = Interval(**card(name)["measured"]["accuracy"])
        for layer in CUTS:
            seen = by_white_box(name, layer, count)
            numbers[f"{layer}, {words}: found"] = found(seen)
            numbers[f"{layer}, {words}: SSIM"] = bootstrap(measure.ssim(seen, x))
    return numbers
