"""The claims of *what they reveal*: what the pictures that mislead a network say about it.

All are measured on test drawings that no network saw.  Each has a control: the standard twin, noise of the same size,
or the same question asked of a clean picture.
"""

import functools

import torch

from lecturekit import attacks
from lecturekit.attacks import alignment
from lecturekit.attacks.dimension import resized
from lecturekit.attacks.fit import fit, small_net
from lecturekit.attacks.gradient import kept
from lecturekit.attacks.result import judge
from lecturekit.claims.ledger import claim
from lecturekit.measure import paired_difference
from lecturekit.networks import load
from lecturekit.pictures.picturebook import PictureBook

LESSON = "10_what_they_reveal"
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
TWINS = {"lecture": "picturebook", "residual": "picturebook_residual"}
SMALL = 32  # pixels a side of the drawings for the networks that are trained here
HALF = 2000  # training drawings of each of them
NOT_ABOVE = " (not surely above noise)"  # after the name of a cell of the transfer matrix


@functools.cache
def drawings(count, split="test"):
    """Return the first drawings as pixels, laid out as networks like them, with their classes and parts."""
    book = PictureBook(split, count)
    x = book.tensors().contiguous(memory_format=torch.channels_last)
    return x, torch.from_numpy(book.labels), torch.from_numpy(book.parts)


@claim(
    "robust-aligned",
    "The gradient of a robust network lies more on the thing itself, and more on the borders of its parts, than that "
    "of its standard twin.",
    notebook=LESSON,
    threshold="robust minus standard, on the same drawings: surely above 0 for the energy on the object, for the "
    "correlation with its mask and with the borders of its parts, for the lecture network; the first two for the "
    "residual network as well",
    holds=lambda m: (
        all(m[f"lecture: {what}"].above(0) for what in ("inside", "mask", "edges"))
        and all(m[f"residual: {what}"].above(0) for what in ("inside", "mask"))
    ),
)
def robust_aligned(count=200):
    """Paired difference of three agreements between the gradient of the margin and the truth, robust minus standard."""
    numbers = {}
    for words, name in TWINS.items():
        standard, robust = (agreements(load(full), count) for full in (name, f"{name}_robust"))
        for what in ("inside", "mask", "edges"):
            numbers[f"{words}: {what}"] = paired_difference(robust[what], standard[what])
    return numbers


def agreements(model, count):
    """Return `alignment.agreement` of a network's gradient with the drawings' parts."""
    x, y, parts = drawings(count)
    return alignment.agreement(alignment.saliency(alignment.input_gradient(model, x, y)), parts)


@claim(
    "leaves-late",
    "In the first layers a misleading picture keeps the same company as with noise of the same size; in the last ones "
    "it has left its class, which noise never does.",
    notebook=LESSON,
    threshold="share whose nearest clean code is of their own class: in conv1 and conv2 not surely below that of "
    "noise, in fc6 and fc7 surely below it",
    holds=lambda m: (
        not any(m[f"misled, {layer}"].below(m[f"noise, {layer}"]) for layer in ("conv1", "conv2"))
        and all(m[f"misled, {layer}"].below(m[f"noise, {layer}"]) for layer in ("fc6", "fc7"))
    ),
)
def leaves_late(count=150):
    """Share with the nearest of 500 validation drawings in their own class, at each layer; PGD-40 within 8/255.

    N: the drawings that the attack misled; noise has the norm of each of their changes.
    """
    model, (x, y, _), (gallery, labels, _) = load("picturebook"), drawings(count), drawings(500, "validation")
    found = attacks.pgd(model, x, y, leave=False)
    ours = found.misled & found.right
    followed = attacks.departure.departure(model, LAYERS, gallery, labels, found.x0[ours], found.x[ours], y[ours])
    rows = {row.layer: row for row in followed}
    return {
        f"{who}, {layer}": getattr(rows[layer], field)
        for who, field in (("misled", "adversarial"), ("noise", "noise"), ("clean", "clean"))
        for layer in LAYERS
    }


@claim(
    "transfer",
    "What misleads one network misleads another one as well, more often than noise does.",
    notebook=LESSON,
    threshold="all shares for two different networks surely above noise of the same size: standard and robust networks "
    "of two architectures, and three small networks that differ in seed or in their half of the training drawings",
    holds=lambda m: not any(name.endswith(NOT_ABOVE) for name in m),
)
def transfer(count=560):
    """Share misled of the drawings that both networks name rightly (N); ten steps of PGD, 8/255, none leaves.

    So many drawings that at least 500 are left for every pair.  The three small networks are trained in half a minute,
    on drawings of 32 x 32 pixels, and attacked on such.
    """
    x, y, _ = drawings(count)
    large = {words: load(name) for words, name in TWINS.items()}
    large |= {f"{words} robust": load(f"{name}_robust") for words, name in TWINS.items()}
    numbers = cells(attacks.transfer_matrix(large, x, y, attack=ten_steps))
    return numbers | cells(attacks.transfer_matrix(small_networks(), small(x), y, attack=ten_steps))


def cells(matrix):
    """Return the shares of a `Transfer` by ``"source → target"``, noise last; a name says where noise does as well."""
    numbers = {}
    for (source, target), value in matrix.cells.items():
        equal = source != target and not matrix.above_noise[source, target]
        numbers[f"{source} → {target}{NOT_ABOVE if equal else ''}"] = value
    return numbers | {f"noise → {target}": value for target, value in matrix.noise.items()}


def ten_steps(model, x, y, *, ball, seed, watch, block=100):
    """Attack with ten steps of PGD that go on when a picture is misled, in blocks that fit into the cache."""
    found = [attacks.pgd(model, kept(x, rows), y[rows], ball=ball, steps=10, leave=False, seed=seed, watch=watch)
             for rows in torch.arange(len(x)).split(block)]  # fmt: skip
    return judge(model, x, torch.cat([one.x for one in found]), y, attack="PGD", ball=ball, seed=seed)


def small_networks():
    """Return three small networks: one, the same with another seed, the same with the other half of the drawings."""
    x, y, _ = drawings(2 * HALF, "train")
    x = small(x)
    half, other = slice(0, HALF), slice(HALF, 2 * HALF)
    plans = {"small": (half, 0), "other seed": (half, 1), "other half": (other, 0)}
    return {name: fit(small_net(10, seed=seed), x[rows], y[rows], seed=seed) for name, (rows, seed) in plans.items()}


def small(x):
    """Return drawings of `SMALL` pixels a side."""
    return resized(x, SMALL).contiguous(memory_format=torch.channels_last)
