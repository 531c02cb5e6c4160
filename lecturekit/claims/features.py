"""The claims of *what each layer sees*, one function each.

Filters are chosen on validation drawings and judged on test drawings: a filter picked for its luck does not stay lucky.
Each claim has a control, mostly the twin of the network with random weights, which paints pretty pictures too.
"""

import functools
from dataclasses import replace
from functools import partial

import torch

from lecturekit import deconv, features
from lecturekit.claims.ledger import claim
from lecturekit.features.objectives import LEAK
from lecturekit.features.parts import DETECTOR
from lecturekit.features.stream import answers
from lecturekit.measure import bootstrap, paired_difference, proportion
from lecturekit.networks import load, random_twin
from lecturekit.parameterise import Fourier
from lecturekit.pictures.picturebook import PARTS, PictureBook
from lecturekit.recipes import CLASSIFIERS, picture_book
from lecturekit.training import moments

CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")
DEEP = ("conv4", "conv5")  # where parts are looked for
DRAWINGS = 500
BLOCK = 100  # drawings of one measurement of the hierarchy
POINTS = 0.6  # share of pictures in which a detector's projection must point at its part
WISHES = 16  # filters of each layer that get a painted picture
QUIZZED, REFERENCES = 48, 4  # filters of conv4 in the quiz, and pictures that stand for each
PATIENTS = (5, 11, 17, 29)  # filters that defects are planted in; conv1 has them too
LESSON = "05_what_layers_see"


@functools.cache
def network(trained=True):
    """Return the picture book's network, or its twin with random weights."""
    return load("picturebook") if trained else random_twin(load("picturebook"))


def blocks_of(book):
    """Return a book as blocks of at most 200 drawings."""
    return [Block(book.images[i : i + 200], book.parts[i : i + 200]) for i in range(0, len(book), 200)]


class Block:
    """Some drawings of a book with their masks; a data set as `features.part_scores` wants it."""

    def __init__(self, images, parts):
        self.images, self.parts = images, parts

    def __len__(self):
        """Return the number of drawings."""
        return len(self.images)

    def __getitem__(self, index):
        """Return one drawing, (3, H, W) in [0, 1]."""
        return torch.from_numpy(self.images[index]).permute(2, 0, 1).float() / 255


@claim(
    "layers-hierarchy",
    "From layer to layer filters see more of the picture, care more about what kind of thing it shows, and less about "
    "fine detail.",
    notebook=LESSON,
    threshold="conv1 ... conv5: rank correlation with depth at least 0.9 for receptive field and class selectivity, at "
    "most -0.9 for dominant frequency; at most 0.5 for the class selectivity of the random twin",
    holds=lambda m: (
        m["trend receptive field"].estimate >= 0.9
        and m["trend class selectivity"].estimate >= 0.9
        and m["trend frequency"].estimate <= -0.9
        and m["random twin: trend class selectivity"].estimate <= 0.5
    ),
)
def layers_hierarchy(count=DRAWINGS):
    """Spearman's rank correlation with depth, means over blocks of 100 test drawings (N); selectivity by layer."""
    book = PictureBook("test", count)
    starts = range(0, count, BLOCK)
    blocks = [(book.tensors(slice(i, i + BLOCK)), torch.from_numpy(book.labels[i : i + BLOCK])) for i in starts]
    tables = [features.hierarchy(network(), *block, list(CONVOLUTIONS)) for block in blocks]
    columns = {name: torch.tensor([[getattr(row, name) for row in table] for table in tables]).double()
               for name in ("receptive_field", "class_selectivity", "frequency")}  # fmt: skip
    columns["random twin: class_selectivity"] = torch.stack([selectivity(network(False), *block) for block in blocks])
    numbers = {}
    for name, values in columns.items():  # (blocks, layers)
        *who, what = name.replace("_", " ").rpartition(": ")
        numbers[f"{''.join(who)}trend {what}"] = bootstrap([features.trend(row) for row in values])
    for name in ("class_selectivity", "random twin: class_selectivity"):
        for layer, values in zip(CONVOLUTIONS, columns[name].T, strict=True):
            numbers[f"{name.replace('_', ' ')} {layer}"] = bootstrap(values)
    return numbers


def selectivity(model, x, labels):
    """Return the mean class selectivity of each convolution, (layers,)."""
    by_layer = features.class_selectivity(model, CONVOLUTIONS, x, labels)
    return torch.stack([by_layer[layer].nanmean() for layer in CONVOLUTIONS])


@claim(
    "part-detectors",
    "Nobody told the network what a wheel is, and yet single filters have become detectors of single parts: they "
    "answer where the part is, and their DeconvNet pictures point at it.",
    notebook=LESSON,
    threshold="at least 8 parts have a filter in conv4 or conv5 with IoU of at least 0.10 and pointing of at least 60 "
    "%; of a random network at most 2",
    holds=lambda m: len(covered(m)) >= 8 and len(covered(m, "random twin: ")) <= 2,
)
def part_detectors(count=600):
    """For each part with a detector: IoU (mean over blocks of 200 test drawings), and how often its projection hits.

    The filter of each part is the one with the largest IoU on as many validation drawings.  Its projection has to point
    at the part in all test drawings that have the part; a drawing to which the filter is silent is a miss.
    """
    numbers = {}
    for trained, who in ((True, ""), (False, "random twin: ")):
        found = detectors(network(trained), PictureBook("validation", count))
        book, model = PictureBook("test", count), network(trained)
        scored = {layer: [features.part_scores(model, layer, block).iou for block in blocks_of(book)]
                  for layer in {layer for layer, _ in found.values()}}  # fmt: skip
        for part, (layer, channel) in found.items():
            iou = torch.stack([block[channel, PARTS.index(part) - 1] for block in scored[layer]])
            numbers[f"{who}IoU {part} ({layer}, {channel})"] = bootstrap(iou[~iou.isnan()])
            numbers[f"{who}pointing {part} ({layer}, {channel})"] = pointing(model, layer, channel, part, book)
        numbers[f"{who}share of parts covered"] = proportion(len(covered(numbers, who)), len(PARTS) - 1)
    return numbers


def detectors(model, book):
    """Return {part: (layer, channel)} of the best filter for each part that has a detector, the best part first."""
    rows = [(row, layer) for layer in DEEP for row in features.part_scores(model, layer, book).detectors()]
    best = {}
    for row, layer in sorted(rows, key=lambda found: -found[0].iou):
        best.setdefault(row.part, (layer, row.channel))
    return best


def pointing(model, layer, channel, part, book):
    """Return how often the projection of a filter's strongest activation points at a part, as a share."""
    masks = torch.from_numpy(book.parts == PARTS.index(part))
    there = masks.flatten(1).any(dim=1).nonzero().flatten()
    seen = deconv.climb(model, book.tensors(there.tolist()), layer)
    pictures = deconv.project(seen, deconv.strongest(seen, channel))
    speaks = pictures.flatten(1).any(dim=1)
    hits = features.pointing_game(pictures[speaks], masks[there][speaks]).hits
    return proportion(int(hits.sum()), len(there))


def covered(numbers, who=""):
    """Return the parts whose detector passes both tests."""
    found = [name.removeprefix(f"{who}IoU ") for name in numbers if name.startswith(f"{who}IoU ")]
    return [
        name
        for name in found
        if numbers[f"{who}IoU {name}"].estimate >= DETECTOR and numbers[f"{who}pointing {name}"].estimate >= POINTS
    ]


@claim(
    "gallery-class",
    "The deeper the filter, the more its nine strongest patches come from one kind of picture.",
    notebook=LESSON,
    threshold="share of the commonest class among the nine: conv5 surely above conv1, and above conv5 of the random "
    "twin",
    holds=lambda m: m["conv5"].above(m["conv1"]) and m["conv5"].above(m["random twin: conv5"]),
)
def gallery_class(count=1000):
    """Share of the commonest of ten classes among a filter's nine strongest patches; mean over the filters (N).

    Nine drawings taken by chance share their commonest class to about 0.3.
    """
    book = PictureBook("test", count)
    numbers = {layer: bootstrap(purity(network(), layer, book)) for layer in CONVOLUTIONS}
    return numbers | {f"random twin: {layer}": bootstrap(purity(network(False), layer, book)) for layer in DEEP}


def purity(model, layer, book):
    """Return, for each filter that is not silent, the share of the commonest class among its strongest patches."""
    found = features.gallery(model, layer, book)
    classes = torch.from_numpy(book.labels)[found.which]  # (K, 9)
    share = (classes == classes.mode(dim=1, keepdim=True).values).float().mean(dim=1)
    return share[[k for k in range(len(share)) if k not in found.silent]]


@claim(
    "wish-above-life",
    "What is painted for a filter brings its whole map higher than any drawing does: it is the edge of what is "
    "possible, not a sample of what the filter meets.",
    notebook=LESSON,
    threshold="in each of conv2 ... conv5, at least 90 % of the filters answer more to the picture painted for them "
    "than to any test drawing",
    holds=lambda m: all(m[f"painted is stronger {layer}"].estimate >= 0.9 for layer in CONVOLUTIONS[1:]),
)
def wish_above_life(count=DRAWINGS, wishes=WISHES):
    """Mean answer of a filter over its map: to its painted picture, and the largest among test drawings (N: filters).

    Above: by how much the painted picture is stronger, in units of the best drawing's answer.
    """
    book, model, numbers = PictureBook("test", count), network(), {}
    for layer in CONVOLUTIONS[1:]:
        wish = features.channel(range(wishes))
        painted = features.maximise(model, layer, wish, hold=Fourier, **features.tuned(layer)).score
        best = strongest_drawing(model, layer, book)[:wishes]
        numbers[f"painted is stronger {layer}"] = proportion(int((painted > best).sum()), wishes)
        numbers[f"painted minus best drawing {layer}"] = paired_difference(painted, best)
    return numbers


def strongest_drawing(model, layer, book):
    """Return, for each filter, the largest score of any drawing, (K,); the score is that of `features.channel`."""
    codes = (code for _, _, code in answers(model, layer, book))
    scores = [torch.nn.functional.leaky_relu(code, LEAK).mean(dim=(2, 3)) for code in codes]
    return torch.cat(scores).amax(dim=0)


@claim(
    "exemplars-tell",
    "A filter's strongest patches tell which of two new patches it answers more; pictures painted for it tell a simple "
    "observer hardly more than those of another filter.",
    notebook="06_trust",
    threshold="natural references: surely above one half, and surely above the same questions with another filter's "
    "references; that gain is surely larger than the gain of painted references",
    holds=lambda m: (
        m["natural"].above(0.5)
        and m["natural: gain over another's"].above(0)
        and m["natural: gain minus painted gain"].above(0)
    ),
)
def exemplars_tell(count=1000, filters=QUIZZED):
    """Share of questions that a simulated observer, no person, gets right (N: filters of conv4); guessing is 0.5.  It
    compares pictures through a second network, trained apart, and takes the option more like the four references.

    The observer (picturebook_residual, block3), the layer and the ranks were fixed on validation drawings.  References
    come from one half of the test drawings, options from the other.
    """
    eyes = features.seen_by(load("picturebook_residual"), "block3.relu2")
    book, numbers, gains = PictureBook("test", count), {}, {}
    for name, trained, references, ranks in (
        ("natural", True, "natural", (0.0, 1.0)),
        ("painted", True, "painted", (0.0, 1.0)),
        ("natural, hard", True, "natural", (0.1, 0.5)),
        ("random twin: natural", False, "natural", (0.0, 1.0)),
    ):
        how = {"references": references, "k": REFERENCES, "ranks": ranks}
        asked = features.questions(network(trained), "conv4", book, range(filters), **how)
        own, others = (torch.tensor(features.observed(q, eyes)) for q in (asked, features.exchanged(asked)))
        numbers[name] = proportion(int(own.sum()), filters)
        numbers[f"{name}: another's references"] = proportion(int(others.sum()), filters)
        gains[name] = own.double() - others.double()
        numbers[f"{name}: gain over another's"] = bootstrap(gains[name])
        pixels = features.observed(asked)
        numbers[f"{name}: by pixels alone"] = proportion(sum(pixels), filters)
    numbers["natural: gain minus painted gain"] = paired_difference(gains["natural"], gains["painted"])
    return numbers


@claim(
    "census",
    "The census finds every defect that was planted, and in the convolutions of healthy networks it finds nothing.",
    notebook="07_diagnosis",
    threshold="all planted defects are found under their own name, and no filter in a convolution of the two networks "
    "of the picture book is reported",
    holds=lambda m: (
        m["planted and found"].estimate == 1
        and all(m[f"false alarms {name}"].estimate == 0 for name in ("picturebook", "picturebook_robust"))
    ),
)
def census(count=250):
    """Share of planted defects found (N: ten kinds in four filters), and of healthy filters reported (N: filters).

    The defects are planted in conv3, the checkerboard in conv1, because only a first layer is asked for it; the census
    then runs on 50 validation drawings, and that of the healthy networks on 250.
    """
    x = PictureBook("validation", 50).tensors()
    found = [planted_and_found(name, k, x) for name in features.DEFECTS for k in PATIENTS]
    numbers = {"planted and found": proportion(sum(found), len(found))}
    for name in ("picturebook", "picturebook_robust"):
        seen = features.census(load(name), PictureBook("validation", count))
        wrong = {(f.layer, f.filter) for f in seen.findings if f.layer in CONVOLUTIONS}
        numbers[f"false alarms {name}"] = proportion(len(wrong), sum(seen.filters[layer] for layer in CONVOLUTIONS))
    return numbers


def planted_and_found(name, k, x):
    """Plant one defect in a filter of the picture book's network; tell whether the census calls it by its name."""
    layer = "conv1" if name == "noise" else "conv3"
    broken, kind = features.plant(name, network(), layer, k, x)
    return (layer, k) in features.census(broken, x).of(kind)


@claim(
    "lower-first",
    "While a network learns, its lower layers are the first to be what they will be at last.",
    notebook="07_diagnosis",
    threshold="the moment from which a layer's codes stay like its last ones (linear CKA at least 0.9) comes later the "
    "higher the layer: rank correlation with depth over conv1 ... conv5 at least 0.9",
    holds=lambda m: m["trend of the moment"].estimate >= 0.9,
)
def lower_first(drawings=1_500, epochs=5, every=8, count=300):
    """Steps of training until a layer is near its end, means over blocks of 60 test drawings (N).

    One run of the second network's recipe, with fewer drawings.  Below: the same by the share of its own way, and how
    near each layer was before any training.
    """
    recipe = replace(CLASSIFIERS["picturebook_second"], data=partial(picture_book, drawings), epochs=epochs)
    snapshots, book = moments(recipe, every), PictureBook("test", count)
    runs = [features.settling(snapshots, book.tensors(slice(i, i + 60)), CONVOLUTIONS) for i in range(0, count, 60)]
    steps = torch.tensor([[every * nearly_there(codes) for codes in run.codes.T] for run in runs]).double()
    own = torch.tensor([list(run.settled(0.8).values()) for run in runs]).double()
    numbers = {"trend of the moment": bootstrap([features.trend(row) for row in steps])}
    numbers["trend by the share of its own way"] = bootstrap([features.trend(row) for row in own])
    for i, layer in enumerate(CONVOLUTIONS):
        numbers[f"steps until near its end {layer}"] = bootstrap(steps[:, i])
        numbers[f"likeness before training {layer}"] = bootstrap([run.codes[0, i].item() for run in runs])
    return numbers


def nearly_there(likeness, least=0.9):
    """Return the first moment from which on a layer stays like its end; ``likeness`` has one value a moment."""
    early = (likeness < least).nonzero()
    return int(early.max()) + 1 if len(early) else 0
