r"""Where along the layers does an adversarial picture leave its class?

At the first layer it is its own clean twin; at the last it is somewhere else.  In between one can ask at every layer
whose company it keeps: the class of the nearest of many clean codes, and how far it has gone from its clean twin::

    conv3  conv4  conv5  fc6    fc7    fc8
    cat    cat    cat    boat   boat   boat        an adversarial cat
    cat    cat    cat    cat    cat    cat         the same cat with random noise of the same norm

Distances grow with the number of values of a layer and with the scale of its weights; so each is divided by the mean
distance of two clean pictures at that layer: 1 is as far as a picture drawn by lot.

The trap: nearest neighbours among pixels or first-layer codes are often of another class to begin with.  What counts is
the difference between clean and adversarial, not the share alone.  And an attack that stops on the border arrives
nowhere in particular: let it go on (``leave=False``).

Source: the question is that of Sabour et al. 2016, arXiv:1511.05122; the vote of neighbours layer by layer: Papernot &
McDaniel 2018, arXiv:1803.04765.
"""

from typing import NamedTuple

import torch

from lecturekit import measure
from lecturekit.attacks.guard import check_labels
from lecturekit.attacks.nonrobust import noise_like
from lecturekit.capture import cut
from lecturekit.errors import InputError
from lecturekit.measure.likeness import check_pair
from lecturekit.pixels import check_pixels
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table


class Company(NamedTuple):
    """Who is nearest at one layer.

    Attributes:
        layer: its name.
        clean, adversarial, noise: share of pictures whose nearest clean code is of their true class.
        new: share of adversarial pictures whose nearest clean code is of the class that the network names in the end.
        gone, gone_noise: distance from the clean twin, in mean distances of two clean pictures.
    """

    layer: str
    clean: measure.Interval
    adversarial: measure.Interval
    noise: measure.Interval
    new: measure.Interval
    gone: measure.Interval
    gone_noise: measure.Interval


def departure(model, layers, gallery, labels, x0, x, y, *, seed=0, watch=None):
    """Follow clean, adversarial and noisy pictures through the layers and ask whose company they keep.

    Args:
        model: pixels (N, C, H, W) to logits, in evaluation mode.
        layers: names, in the order of the network; see ``capture.layers``.
        gallery, labels: clean pictures with their classes, none of them among x0.
        x0, x, y: clean pictures, the adversarial ones made of them, and their true classes.  Pass misled ones only:
            ``found.x0[found.misled]`` and so on.
        seed: of the noise, which has the L2 norm of each change.
        watch: see `lecturekit.progress`; called after each layer.
    Returns: a `Table` of `Company`, one row for each layer; shorter if it was stopped.
    Raises: InputError for pictures or labels that do not fit, or an empty batch; as `capture.cut` for a layer.
    """
    check_batch(gallery, labels, x0, x, y)
    noisy = noise_like(x0, x, seed)
    with torch.no_grad():
        named = model(x).argmax(1)
    rows = []
    for layer in layers:
        until = cut(model, layer)
        codes, clean, moved, noise = (codes_of(until, pictures) for pictures in (gallery, x0, x, noisy))
        apart = pair_distance(codes, seed)
        company = [labels[measure.nearest_neighbour(code, codes)[0]] for code in (clean, moved, noise)]
        own = [measure.share(one == y) for one in company]
        gone = [measure.bootstrap((code - clean).norm(dim=1) / apart) for code in (moved, noise)]
        rows.append(Company(layer, *own, measure.share(company[1] == named), *gone))
        if stopped(watch, Step(len(rows), len(layers), note=layer)):
            break
    return Table(rows, Company._fields)


def codes_of(until, pictures, batch=100):
    """Return what a layer says to the pictures, flat: (N, D)."""
    with torch.no_grad():
        return torch.cat([until(some).flatten(1) for some in pictures.split(batch)])


def pair_distance(codes, seed=0):
    """Return the mean distance of pairs of different codes, each code once with one drawn by lot, a float."""
    step = torch.randint(1, len(codes), (len(codes),), generator=torch.Generator().manual_seed(seed)).to(codes.device)
    other = (torch.arange(len(codes), device=codes.device) + step) % len(codes)
    apart = sum((one - codes[i]).norm().item() for one, i in zip(codes, other, strict=True)) / len(codes)
    if not apart:
        raise InputError("all codes of the gallery are the same at this layer: there is no distance to measure by")
    return apart


def check_batch(gallery, labels, x0, x, y):
    """Refuse what cannot be compared."""
    check_pixels(gallery, "gallery")
    check_pair(x, x0)
    check_labels(labels, len(gallery), "labels of the gallery")
    check_labels(y, len(x), "labels")
    if len(x) < 2 or len(gallery) < 2:
        raise InputError(
            f"departure needs two pictures or more and a gallery of two or more, got {len(x)} and {len(gallery)}"
        )
