"""The claims of gradient inversion: what a client that sends gradients instead of pictures gives away.

All pictures are test drawings, which no network saw.  The control of every reconstruction is the mean of the training
drawings: the best guess of somebody who has not seen the gradient.
"""

import functools

import numpy as np
import torch

from lecturekit import measure
from lecturekit.attacks.dimension import resized
from lecturekit.attacks.fit import fit
from lecturekit.capture import cut
from lecturekit.claims.ledger import claim
from lecturekit.inversion import load_inverse
from lecturekit.measure import bootstrap, paired_difference, proportion, share
from lecturekit.networks import load, random_twin
from lecturekit.pictures.picturebook import PictureBook
from lecturekit.privacy import federated, gradients

LESSON = "13_without_a_code"
SMALL = 32  # pixels a side, for the small networks
EXACT = 1e-4  # pixel units: a fortieth of a grey level
MILLIONTHS = 1e6  # errors are told in these, or all digits would be zero
LEAKED = 1e-3  # pixel units: a quarter of a grey level
BATCHES = (2, 4, 8, 16, 32)
TOGETHER = 4  # pictures of the batch that is searched for
TRIED = 20  # the first drawings: on them steps and prior of the search were chosen, so no search is measured on them


@functools.cache
def drawings(count, split="test", side=64):
    """Return the first drawings as pixels (N, 3, side, side), with their classes."""
    book = PictureBook(split, count)
    return resized(book.tensors(), side), torch.from_numpy(book.labels)


def untried(count, side):
    """Return drawings on which no setting of the search was tried, with their classes."""
    x, y = drawings(TRIED + count, side=side)
    return x[TRIED:], y[TRIED:]


@functools.cache
def mean_picture(side):
    """Return the mean training drawing (1, 3, side, side)."""
    return measure.mean_image(drawings(1000, "train", side)[0])


def above_mean(x, x0):
    """Return by how many dB reconstructions are nearer to their originals than the mean picture, an `Interval`."""
    return paired_difference(measure.psnr(x, x0), measure.psnr(mean_picture(x0.shape[-1]).expand_as(x0), x0))


def sent(model, x, y, batch=1):
    """Yield the gradient of each batch of pictures, with the places of these pictures."""
    for rows in torch.arange(len(x)).split(batch):
        yield rows, gradients.shared_gradient(model, x[rows], y[rows])


@claim(
    "gradient-label",
    "The gradient of one picture says its class, whatever the network has learned; that of a batch says of some "
    "classes that they occur, never wrongly.",
    notebook=LESSON,
    threshold="the class of every single picture, from the last bias and from the last weights, in a trained network "
    "and in its untrained twin; and no class said to occur in a batch of 10 that does not",
    holds=lambda m: all(value.estimate == 1 for name, value in m.items() if "occur" not in name),
)
def gradient_label(count=500):
    """Share of single drawings whose class is read rightly; of the classes in random batches of 10, the share named."""
    x, y = drawings(count)
    numbers, trained = {}, load("picturebook")
    for name, model in {"trained": trained, "untrained": random_twin(trained)}.items():
        read = [(gradients.label(g), gradients.label(g[:-1])) for _, g in sent(model, x, y)]
        for kind, found in zip(("bias", "weights"), torch.tensor(read).T, strict=True):
            numbers[f"{name}, {kind}: right"] = share(found == y)
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
        numbers |= {f"{name}, {kind}": value for kind, value in batches_read(model, x[order], y[order]).items()}
    return numbers


def batches_read(model, x, y, batch=10):
    """Return which share of the classes named in batches is there, and which share of those that occur is named."""
    named, there, both = 0, 0, 0
    for rows, gradient in sent(model, x, y, batch):
        found, truth = set(gradients.labels_present(gradient).tolist()), set(y[rows].tolist())
        named, there, both = named + len(found), there + len(truth), both + len(found & truth)
    return {"batch: named and there": proportion(both, named), "batch: of those that occur": proportion(both, there)}


@claim(
    "gradient-leak",
    "A network that begins with a linear layer sends its picture along with the gradient, exactly; in a batch some "
    "pictures still leak, the fewer the larger it is.",
    notebook=LESSON,
    threshold="largest error of a pixel below 1e-4 for every single picture, before and after training; share that "
    "leaks from batches of 2 surely above that of batches of 16",
    holds=lambda m: (
        all(value.estimate < EXACT * MILLIONTHS for name, value in m.items() if "error" in name)
        and m["untrained, batch of 2: leaked"].above(m["untrained, batch of 16: leaked"])
    ),
)
def gradient_leak(count=500):
    """Largest error of a pixel over all drawings of 32 x 32, one by one; share within 1e-3 of a unit's quotient."""
    x, y = drawings(count, side=SMALL)
    model, numbers = gradients.linear_net(10, SMALL), {}
    for name in ("untrained", "trained"):
        errors = [leak_error(model, x[rows], gradients.linear_input(model, g)) for rows, g in sent(model, x, y)]
        numbers[f"{name}, single: largest error, millionths"] = bootstrap(MILLIONTHS * torch.cat(errors), np.max)
        for batch in BATCHES:
            some = slice(0, min(count, max(64, 4 * batch)))
            errors = [leak_error(model, x[rows], gradients.linear_inputs(model, g))
                      for rows, g in sent(model, x[some], y[some], batch)]  # fmt: skip
            numbers[f"{name}, batch of {batch}: leaked"] = share(torch.cat(errors) < LEAKED)
        model = fit(model.requires_grad_(True), *drawings(2000, "train", SMALL), peak_lr=1e-3)
    return numbers


def leak_error(model, x, values):
    """Return for each picture its largest error in the best of the pictures that leaked, (N,)."""
    found = gradients.as_pictures(model, values, x.shape[-2:])
    return torch.cdist(x.flatten(1), found.flatten(1), p=float("inf")).amin(dim=1)


@claim(
    "gradient-deep",
    "Depth does not help: from the gradient of the convolutional network comes the exact code that enters fc6, and a "
    "decoder makes a picture of it.",
    notebook=LESSON,
    threshold="largest error, by the largest value of the code, below 1e-4 for every picture; the decoded picture "
    "surely nearer to the original than the mean picture",
    holds=lambda m: (
        m["fc6: largest error, millionths"].estimate < EXACT * MILLIONTHS
        and m["decoded: dB above the mean picture"].above(0)
    ),
)
def gradient_deep(count=500):
    """Trained network, single test drawings: error of the leaked code; PSNR after fc6 and its inverse network."""
    x, y = drawings(count)
    model = load("picturebook")
    leaked = leaked_codes(model, x, y)
    with torch.no_grad():
        codes = cut(model, "flatten")(x)
    errors = (leaked - codes).abs().amax(dim=1) / codes.abs().amax(dim=1)
    return {
        "fc6: largest error, millionths": bootstrap(MILLIONTHS * errors, np.max),
        "decoded: dB above the mean picture": above_mean(decoded(model, leaked), x),
    }


def leaked_codes(model, x, y):
    """Return what enters fc6, (N, D), as the gradient of each single picture gives it away."""
    return torch.cat([gradients.linear_input(model, g, "fc6") for _, g in sent(model, x, y)])


@torch.no_grad()
def decoded(model, codes):
    """Return the pictures that the inverse network of fc6 makes of codes that enter fc6."""
    return load_inverse("picturebook", "fc6")(model.fc6(codes))


@claim(
    "gradient-search",
    "Where algebra ends, a search goes on: pictures whose gradient is the same show what the client saw, less so the "
    "more of them share one gradient.",
    notebook=LESSON,
    threshold="untrained sigmoid network, 200 evaluations of L-BFGS: PSNR surely above the mean picture, and that of "
    "batches of 4 surely below that of single pictures",
    holds=lambda m: m["single: dB above the mean picture"].above(0) and m["single minus batch of 4, dB"].above(0),
)
def gradient_search(count=24):
    """PSNR of drawings of 32 x 32, cosine distance and total variation; paired differences on the same drawings."""
    x, y = untried(count, SMALL)
    model = federated.sigmoid_net(10, side=SMALL)
    single, batch = (searched(model, x, y, batch=n) for n in (1, TOGETHER))
    adam = searched(model, x, y, solver=federated.signed_adam)
    dlg = searched(model, x, y, distance=federated.euclidean_distance, tv=0.0)
    return {
        "single: PSNR": bootstrap(measure.psnr(single, x)),
        "single: dB above the mean picture": above_mean(single, x),
        "batch of 4: dB above the mean picture": above_mean(batch, x),
        "single minus batch of 4, dB": paired_difference(measure.psnr(single, x), measure.psnr(batch, x)),
        "single, signed Adam: dB above the mean picture": above_mean(adam, x),
        "single, Euclidean without prior: dB above the mean picture": above_mean(dlg, x),
    }


@claim(
    "gradient-limits",
    "Against the trained network of the course the same search finds nothing, while division still gives the code from "
    "which a decoder makes a picture: that a search fails is no proof of safety.",
    notebook=LESSON,
    threshold="200 evaluations of L-BFGS, pictures of 64 x 64: not surely above the mean picture; the decoded code, "
    "from the same gradients, surely above the search",
    holds=lambda m: (
        not m["search: dB above the mean picture"].above(0) and m["division and decoder minus search, dB"].above(0)
    ),
)
def gradient_limits(count=10):
    """Test drawings, one gradient each; search with cosine distance; decoder of fc6 as in gradient-deep."""
    x, y = untried(count, 64)
    model = load("picturebook")
    search, divided = searched(model, x, y), decoded(model, leaked_codes(model, x, y))
    return {
        "search: dB above the mean picture": above_mean(search, x),
        "division and decoder: dB above the mean picture": above_mean(divided, x),
        "division and decoder minus search, dB": paired_difference(measure.psnr(divided, x), measure.psnr(search, x)),
    }


def searched(model, x, y, *, batch=1, defence=None, **how):
    """Return the pictures (N, C, H, W) that the search finds for the gradients of all batches."""
    how = {"solver": federated.joint_lbfgs, "steps": 200} | how
    found = []
    for rows, gradient in sent(model, x, y, batch):
        gradient = defence(gradient, rows[0].item()) if defence else gradient
        found.append(federated.reconstruct(model, gradient, y[rows], size=x.shape[-2:], **how).x)
    return torch.cat(found)


DEFENCES = {
    "noise 0.1": lambda g, seed: gradients.noisy(g, 0.1, seed),
    "noise 1": lambda g, seed: gradients.noisy(g, 1.0, seed),
    "pruned 0.9": lambda g, seed: gradients.pruned(g, 0.9),
    "pruned 0.99": lambda g, seed: gradients.pruned(g, 0.99),
}  # what the client does to its gradient; the seed is another one for each picture


@claim(
    "gradient-defence",
    "Noise on the gradient spoils the exact leak at once, and the search only when it is about as large as the "
    "gradient itself; pruning looks better than it is until the search compares only what was sent.",
    notebook=LESSON,
    threshold="noise of a tenth of the gradient's size: no picture leaks exactly, yet the search stays surely above "
    "the mean picture; noise of its whole size: surely fewer dB than with a tenth; 90 % pruned: surely more dB for a "
    "search that compares only what was sent",
    holds=lambda m: (
        m["noise 0.1: leaked"].estimate == 0
        and m["noise 0.1: dB above the mean picture"].above(0)
        and m["noise 0.1 minus noise 1, dB"].above(0)
        and m["pruned 0.9, knowing minus not knowing, dB"].above(0)
    ),
)
def gradient_defence(count=12):
    """Search as in gradient-search; exact leak as in gradient-leak; cosine between what is sent and the truth."""
    x, y = untried(count, SMALL)
    smooth, linear = federated.sigmoid_net(10, side=SMALL), gradients.linear_net(10, SMALL)
    numbers, found = {}, {}
    for name, defence in DEFENCES.items():
        errors = [leak_error(linear, x[rows], gradients.linear_inputs(linear, defence(g, rows.item())))
                  for rows, g in sent(linear, x, y)]  # fmt: skip
        kept = [1 - federated.cosine_distance(defence(g, rows.item()), g).item() for rows, g in sent(smooth, x, y)]
        found[name] = searched(smooth, x, y, defence=defence)
        numbers[f"{name}: leaked"] = share(torch.cat(errors) < LEAKED)
        numbers[f"{name}: cosine to the true gradient"] = bootstrap(kept)
        numbers[f"{name}: dB above the mean picture"] = above_mean(found[name], x)
    for name in ("pruned 0.9", "pruned 0.99"):
        knows = federated.where_sent(federated.cosine_distance)
        found[f"{name}, knowing"] = searched(smooth, x, y, defence=DEFENCES[name], distance=knows)
        numbers[f"{name}, knowing: dB above the mean picture"] = above_mean(found[f"{name}, knowing"], x)
    quality = {name: measure.psnr(pictures, x) for name, pictures in found.items()}
    knowing = paired_difference(quality["pruned 0.9, knowing"], quality["pruned 0.9"])
    numbers["pruned 0.9, knowing minus not knowing, dB"] = knowing
    numbers["noise 0.1 minus noise 1, dB"] = paired_difference(quality["noise 0.1"], quality["noise 1"])
    return numbers
