"""The claims of *network inversion*, one function each.

All are measured on test drawings that no network saw.  ``optimised_pictures`` is the expensive part (minutes); it is
computed once and shared by every entry of a run.
"""

import functools
import itertools
import time

import numpy as np
import torch

from lecturekit import measure
from lecturekit.claims.ledger import claim
from lecturekit.inversion import (
    LAYERS,
    decoded,
    invert,
    natural,
    optimised,
    representation,
    survives,
    total_variation,
    tuned,
)
from lecturekit.measure import bootstrap, paired_difference, psnr
from lecturekit.networks import load, random_twin
from lecturekit.pictures.picturebook import PictureBook, faces

PICTURES = 64  # for everything that optimises
DECODED = 500  # for everything that only decodes
GALLERY = 500  # people among whom one is sought
ABOVE_CONV3 = ("conv4", "conv5", "fc6", "fc7", "fc8")
DEEP = "conv5"
THREADS = {"1 thread": 1, "2 threads": 2}
PART_SIZES = {"small": (4, 40), "large": (200, 4000)}  # pixels


@functools.cache
def originals(count):
    """Return the first test drawings as pixels."""
    return PictureBook("test", count).tensors()


@functools.cache
def optimised_pictures(count):
    """Return {layer: Inversion} of the first test drawings."""
    return optimised(load("picturebook"), originals(count))


@functools.cache
def decoded_pictures(count):
    """Return {layer: pictures} of the first test drawings, from the inverse networks."""
    return decoded("picturebook", originals(count))


def squared_error(x, x0):
    """Return the mean squared error of each picture, (N,)."""
    return ((x - x0) ** 2).flatten(1).mean(dim=1)


@claim(
    "inversion-possible",
    "A picture can be found again from what a layer says of it, by nothing but changing a picture until the layer "
    "says the same.",
    notebook="01_network_inversion",
    threshold="PSNR from conv1 at least 32 dB; mean feature error at most 0.05 at every layer",
    holds=lambda m: m["psnr conv1"].estimate >= 32 and all(
        v.estimate <= 0.05 for name, v in m.items() if name.startswith("feature error")),
)  # fmt: skip
def inversion_possible(count=PICTURES):
    """PSNR from conv1, and at every layer how far the code of the found picture is from the code given."""
    found, x0 = optimised_pictures(count), originals(count)
    numbers = {"psnr conv1": bootstrap(psnr(found["conv1"].x, x0))}
    return numbers | {f"feature error {layer}": bootstrap(result.feature_error) for layer, result in found.items()}


@claim(
    "inversion-depth",
    "The deeper the layer, the less of the picture comes back.",
    notebook="03_lost_with_depth",
    threshold="PSNR falls from each of conv1 ... conv5, fc6 to the next",
    holds=lambda m: falling([m[f"psnr {layer}"].estimate for layer in LAYERS[:6]]),
)
def inversion_depth(count=PICTURES):
    """PSNR of the optimised pictures at every layer, beside the mean picture."""
    found, x0 = optimised_pictures(count), originals(count)
    numbers = {f"psnr {layer}": bootstrap(psnr(result.x, x0)) for layer, result in found.items()}
    return numbers | {"psnr of the mean picture": bootstrap(psnr(mean_picture().expand_as(x0), x0))}


def falling(values):
    """Tell whether every value is smaller than the one before."""
    return all(after < before for before, after in zip(values, values[1:], strict=False))


@functools.cache
def mean_picture():
    """Return the mean of 1,000 training drawings: the best guess without any code."""
    return measure.mean_image(PictureBook("train", 1000).tensors())


@claim(
    "inverse-network",
    "A network that was trained to invert guesses deep codes better in pixels than optimisation does, and a hundred "
    "times faster.",
    notebook="02_inverse_network",
    threshold="smaller squared error at conv4 ... fc8, intervals of the paired difference above 0; speed ratio >= 100",
    holds=lambda m: all(m[f"error saved {layer}"].low > 0 for layer in ABOVE_CONV3) and m["times faster"].low >= 100,
)
def inverse_network(count=PICTURES):
    """Squared error of optimisation minus that of the inverse network, picture by picture; and the ratio of times."""
    found, guessed, x0 = optimised_pictures(count), decoded_pictures(count), originals(count)
    numbers = {
        f"error saved {layer}": paired_difference(squared_error(found[layer].x, x0), squared_error(guessed[layer], x0))
        for layer in ABOVE_CONV3
    }
    return numbers | {"times faster": bootstrap(speed_ratios())}


def speed_ratios(rounds=5):
    """Return, for one picture at conv5, seconds of optimisation per second of the inverse network, round by round."""
    from lecturekit.inversion import load_inverse

    model, net, x0 = load("picturebook"), load_inverse("picturebook", DEEP), originals(PICTURES)[:1]
    phi = representation(model, DEEP)
    phi0, ratios = phi(x0), []
    for _ in range(rounds):
        slow = seconds(lambda: invert(phi, phi0, **tuned(DEEP)))
        quick = min(seconds(lambda: net(phi0)) for _ in range(5))
        ratios.append(slow / quick)
    return ratios


def seconds(work):
    """Return how long ``work()`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@claim(
    "better-than-nothing",
    "Every layer, down to the ten class scores, tells more about the picture than that it is a picture of this world.",
    notebook="03_lost_with_depth",
    threshold="inverse networks at least 3 dB above the mean picture at conv1 ... fc6, and surely above it everywhere",
    holds=lambda m: (
        all(m[f"gain {layer}"].estimate >= 3 for layer in LAYERS[:6]) and all(v.low > 0 for v in m.values())
    ),
)
def better_than_nothing(count=DECODED):
    """PSNR of the inverse networks minus that of the mean training picture, in dB, picture by picture."""
    x0 = originals(count)
    nothing = psnr(mean_picture().expand_as(x0), x0)
    return {f"gain {layer}": paired_difference(psnr(x, x0), nothing) for layer, x in decoded_pictures(count).items()}


@claim(
    "code-not-prior",
    "What comes back was in the code: the same prior paints something else when the code's values are shuffled, or "
    "when a network that has learned nothing is asked.",
    notebook="01_network_inversion",
    threshold="PSNR of the real code apart from that of both controls, intervals disjoint",
    holds=lambda m: m["psnr real code"].above(m["psnr shuffled code"])
    and apart(m["psnr real code"], m["psnr random weights"]),
)  # fmt: skip
def code_not_prior(count=PICTURES):
    """PSNR at conv5 for the real code, for its values shuffled, and through a twin with random weights."""
    x0, model = originals(count), load("picturebook")
    phi, untrained = representation(model, DEEP), representation(random_twin(model), DEEP)
    shuffled = invert(phi, measure.shuffle_code(phi(x0)), **tuned(DEEP))
    random = invert(untrained, untrained(x0), **tuned(DEEP))
    return {
        "psnr real code": bootstrap(psnr(optimised_pictures(count)[DEEP].x, x0)),
        "psnr shuffled code": bootstrap(psnr(shuffled.x, x0)),
        "psnr random weights": bootstrap(psnr(random.x, x0)),
    }


def apart(a, b):
    """Tell whether two intervals do not overlap."""
    return a.above(b) or a.below(b)


@claim(
    "prior-needed",
    "Without an idea of what pictures look like, a deep code is answered with noise.",
    notebook="01_network_inversion",
    threshold="at conv5, PSNR with the prior and waves surely above that of bare pixels without a prior, and those "
    "surely rougher than the original and than the picture with the prior",
    holds=lambda m: (
        m["gain"].low > 0 and m["roughness without"].low > 1 and m["roughness without"].above(m["roughness with"])
    ),
)
def prior_needed(count=PICTURES):
    """PSNR at conv5 with the tuned prior, without any, and the paired difference; total variation by the original's."""
    x0 = originals(count)
    phi = representation(load("picturebook"), DEEP)
    found = {
        "with": invert(phi, phi(x0), **tuned(DEEP)).x,
        "without": invert(phi, phi(x0), prior=natural(alpha=0, tv=0), steps=tuned(DEEP)["steps"]).x,
    }
    numbers = {name: bootstrap(psnr(x, x0)) for name, x in found.items()}
    numbers["gain"] = paired_difference(*(psnr(x, x0) for x in found.values()))
    rough = {name: total_variation(x) / total_variation(x0) for name, x in found.items()}
    return numbers | {f"roughness {name}": bootstrap(values) for name, values in rough.items()}


@claim(
    "undetermined-grows",
    "The deeper the code, the more of the picture it leaves open: several starts end in pictures that differ more.",
    notebook="01_network_inversion",
    threshold="spread of four restarts grows from conv1 to conv3 to conv5, intervals disjoint",
    holds=lambda m: m["spread conv3"].above(m["spread conv1"]) and m["spread conv5"].above(m["spread conv3"]),
)
def undetermined_grows(count=16):
    """Standard deviation of four restarts, averaged over the pixels of each picture, in units of the range [0, 1]."""
    x0, model, numbers = originals(count), load("picturebook"), {}
    for layer in ("conv1", "conv3", DEEP):
        phi = representation(model, layer)
        spread = invert(phi, phi(x0), restarts=4, **tuned(layer)).spread()
        numbers[f"spread {layer}"] = bootstrap(spread.mean(dim=(1, 2)))
    return numbers


@claim(
    "mse-blur",
    "An inverse network answers with the average of what fits, and averages are blurred.",
    notebook="02_inverse_network",
    threshold="sharpness relative to the original falls from conv1 to conv3 to conv5 to fc7, intervals disjoint",
    holds=lambda m: all(m[f"sharpness {a}"].above(m[f"sharpness {b}"])
                        for a, b in (("conv1", "conv3"), ("conv3", "conv5"), ("conv5", "fc7"))),
)  # fmt: skip
def mse_blur(count=DECODED):
    """Variance of the Laplacian of the decoded picture, divided by that of the original."""
    x0 = originals(count)
    sharp = measure.sharpness(x0)
    return {f"sharpness {layer}": bootstrap(measure.sharpness(x) / sharp)
            for layer, x in decoded_pictures(count).items()}  # fmt: skip


@claim(
    "deep-category",
    "What is left at the top is the category: the deeper the layer, the more surely do pictures that are rebuilt alike "
    "show the same kind of thing, though nobody would call them pictures of it.",
    notebook="03_lost_with_depth",
    threshold="class shared with the most similar reconstruction: fc8 surely above fc6, and fc6 surely above conv1",
    holds=lambda m: m["shared fc8"].above(m["shared fc6"]) and m["shared fc6"].above(m["shared conv1"]),
)
def deep_category(count=DECODED):
    """Share of decoded pictures whose nearest other decoded picture, in pixels, is of the same class (chance: 10 %).

    Beside it, the share that the residual network, trained apart, names rightly: it knows pictures, not averages.
    """
    labels, judge, numbers = torch.from_numpy(PictureBook("test", count).labels), load("picturebook_residual"), {}
    for layer, x in decoded_pictures(count).items():
        with torch.no_grad():
            named = int((judge(x).argmax(1) == labels).sum())
        numbers[f"shared {layer}"] = measure.proportion(int(survives.neighbour_agrees(x, labels).sum()), count)
        numbers[f"named {layer}"] = measure.proportion(named, count)
    return numbers


@claim(
    "detail-first",
    "Edges and texture are lost first; where things are is known much longer.",
    notebook="03_lost_with_depth",
    threshold="at every layer from conv3 on, layout agrees surely better than detail; detail falls from conv1 to fc6",
    holds=lambda m: all(m[f"layout {layer}"].above(m[f"detail {layer}"]) for layer in LAYERS[2:])
    and m["detail conv1"].above(m["detail conv5"]) and m["detail conv5"].above(m["detail fc6"]),
)  # fmt: skip
def detail_first(count=DECODED):
    """Correlation with the original of waves shorter (detail) and longer (layout) than eight pixels."""
    x0, numbers = originals(count), {}
    for layer, x in decoded_pictures(count).items():
        numbers[f"detail {layer}"] = bootstrap(survives.detail(x, x0))
        numbers[f"layout {layer}"] = bootstrap(survives.layout(x, x0))
    return numbers


@claim(
    "colour-and-place",
    "Colour and place outlive detail by far; traces of both are still in the ten class scores.",
    notebook="03_lost_with_depth",
    threshold="at fc8, both errors surely smaller than for the reconstruction of another drawing of the same class",
    holds=lambda m: m["colour saved fc8"].low > 0 and m["place saved fc8"].low > 0,
)
def colour_and_place(count=DECODED):
    """Error of the object's colour (0 to 1.7) and place (pixels); saved: against a classmate's reconstruction."""
    book, x0, numbers = PictureBook("test", count), originals(count), {}
    mask = torch.from_numpy(book.parts > 0)
    seen = mask.flatten(1).any(1)
    for layer, x in decoded_pictures(count).items():
        other = x.roll(10, dims=0)  # labels take turns, so the tenth picture before shows the same class
        for name, right, wrong in (
            ("colour", survives.colour_error(x, x0, mask)[seen], survives.colour_error(other, x0, mask)[seen]),
            ("place", survives.place_error(x, x0), survives.place_error(other, x0)),
        ):
            numbers[f"{name} error {layer}"] = bootstrap(right)
            numbers[f"{name} saved {layer}"] = paired_difference(wrong, right)
    return numbers


@claim(
    "parts-by-size",
    "Parts fade with depth, small ones first: an eye is gone while the roof is still there.",
    notebook="03_lost_with_depth",
    threshold="contrast left falls from conv1 to conv5 to fc6, and from conv4 on is surely larger for large parts",
    holds=lambda m: all(
        m[f"{size} conv1"].above(m[f"{size} conv5"]) and m[f"{size} conv5"].above(m[f"{size} fc6"])
        for size in PART_SIZES
    )
    and all(m[f"large {layer}"].above(m[f"small {layer}"]) for layer in ("conv4", "conv5", "fc6")),
)  # fmt: skip
def parts_by_size(count=DECODED):
    """Contrast of each part with its surroundings in the decoded picture, as a share of that in the original.

    Small parts have 4 to 40 pixels (eyes, windows, rims), large ones at least 200 (skin, roof, hull, crown).
    """
    book, x0, numbers = PictureBook("test", count), originals(count), {}
    parts = torch.from_numpy(book.parts)
    for layer, x in decoded_pictures(count).items():
        for size, (smallest, largest) in PART_SIZES.items():
            left = survives.parts_left(x, x0, parts, smallest=smallest, largest=largest)
            numbers[f"{size} {layer}"] = bootstrap(left[~left.isnan()])
    return numbers


@claim(
    "leak-by-layer",
    "A code can give away who is in the picture: among 500 people, the picture nearest to the reconstruction is the "
    "right one far more often than chance, and less so with depth.",
    notebook="03_lost_with_depth",
    threshold="from conv2, top-1 at least 20 times chance (1/500)",
    holds=lambda m: m["top-1 conv2"].low >= 20 / GALLERY,
)
def leak_by_layer(count=GALLERY):
    """Share of 500 faces whose decoded picture has the original as its nearest picture of the gallery, in pixels."""
    gallery, _ = faces(range(count), 1, "test")
    decoded_faces = decoded("picturebook", gallery)
    return {f"top-1 {layer}": measure.retrieval(x, gallery).top[1] for layer, x in decoded_faces.items()}


@claim(
    "inversion-speed",
    "One picture comes back from conv3 in a fraction of a second, most of which is the network itself.",
    notebook="01_network_inversion",
    threshold="within 1 dB of the final PSNR after at most 2 s; at most 1.15 times the bare passes, on one thread and "
    "on two",
    holds=lambda m: m["seconds to within 1 dB"].estimate <= 2
    and all(m[f"times the bare passes, {threads}"].estimate <= 1.15 for threads in THREADS),
)  # fmt: skip
def inversion_speed(rounds=15):
    """Medians over rounds: seconds until the picture is within 1 dB of the last; time over that of bare passes.

    The bare passes are those that the run needs, one forward and one backward on every picture that it visits: pooling
    is slower on rough pictures than on smooth ones.  They are as one would write them; beside them stand passes with
    colours last in memory, which is what the run does.  On two threads convolutions take less time, and everything
    between them as much as before.
    """
    x0, before = originals(PICTURES)[:1], torch.get_num_threads()
    phi = representation(load("picturebook"), "conv3")
    phi0, visited = phi(x0), []

    def noted(x):
        visited.append(x.detach().contiguous().clone())
        return phi(x)

    steps = invert(noted, phi0, **tuned("conv3")).evaluations
    bare = {"bare passes": visited[:steps]}
    bare["passes with colours last"] = [x.contiguous(memory_format=torch.channels_last) for x in visited[:steps]]
    reached = [seconds_within(phi, phi0, x0) for _ in range(rounds)]
    numbers = {"seconds to within 1 dB": bootstrap(reached, statistic=np.median)}
    try:
        for (threads, count), (name, pictures) in itertools.product(THREADS.items(), bare.items()):
            torch.set_num_threads(count)
            ratios = [seconds(lambda: invert(phi, phi0, **tuned("conv3"))) / seconds_of_passes(phi, pictures)
                      for _ in range(rounds)]  # fmt: skip
            numbers[f"times the {name}, {threads}"] = bootstrap(ratios, statistic=np.median)
    finally:
        torch.set_num_threads(before)
    return numbers


def seconds_of_passes(phi, pictures):
    """Return how long a bare pass on each of some pictures takes."""
    return seconds(lambda: [bare_pass(phi, x) for x in pictures])


def bare_pass(phi, x):
    """One forward and one backward pass to the pixels, and nothing else."""
    x = x.clone().requires_grad_(True)
    torch.autograd.grad(phi(x).sum(), x)


def seconds_within(phi, phi0, x0, decibel=1.0):
    """Return how long an inversion takes until its best picture is within a decibel of the one it ends with."""
    trace, began = [], time.perf_counter()

    def watch(step):
        if step.picture is not None:
            trace.append((time.perf_counter() - began, psnr(step.picture, x0).item()))

    last = psnr(invert(phi, phi0, watch=watch, **tuned("conv3")).x, x0).item()
    return next(at for at, value in trace if value >= last - decibel)
