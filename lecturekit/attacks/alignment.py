r"""Feature misalignment: does the gradient point at the thing, or at what nobody can see?

The gradient of the margin with respect to the pixels says which pixel a network would have changed.  On drawings one
knows where the thing is and where its parts meet, so it can be asked how well the two agree:

===========  ======================================================================================
``inside``   share of the gradient's energy on the object, beside ``area``, the object's share of all pixels
``mask``     correlation of the gradient's size with the object's mask
``edges``    correlation of the gradient's size with the borders between parts (and of object and paper)
===========  ======================================================================================

The trap: any gradient has more energy where a picture has contrast, also that of a network that has learned nothing.
A number therefore means little beside the truth and much beside the twin with random weights, on the same pictures.

Source: Tsipras et al. 2019, arXiv:1805.12152, section 3.1; Etmann et al. 2019, arXiv:1905.04172.
"""

from typing import NamedTuple

import torch

from lecturekit import measure
from lecturekit.attacks.gradient import kept, slope
from lecturekit.attacks.guard import attacking
from lecturekit.attacks.scores import margin
from lecturekit.errors import InputError
from lecturekit.tables import Table

WIDTH = 1  # pixels on either side of a border that still count as edge: drawings are smoothed over one


class Aligned(NamedTuple):
    """How well the gradients of one network agree with the truth, means over pictures, each an `Interval`.

    Attributes:
        network: its name.
        inside, area, mask, edges: see the module.
    """

    network: str
    inside: measure.Interval
    area: measure.Interval
    mask: measure.Interval
    edges: measure.Interval


def input_gradient(model, x, y, batch=100):
    """Return the gradient of the margin of the wrong classes with respect to the pixels, (N, C, H, W).

    The margin and not the cross-entropy: that one is flat where the network is sure.

    Raises: InputError, ModelError as for an attack.
    """
    with attacking(model, x, y):
        numbers = torch.arange(len(x), device=x.device).split(batch)
        return torch.cat([slope(model, kept(x, some), margin, y[some], first=True)[1] for some in numbers])


def saliency(grad):
    """Return the size of the gradient at each place: (N, C, H, W) to (N, H, W), the length over the colours."""
    return grad.norm(dim=1)


def part_edges(parts, width=WIDTH):
    """Return where two parts meet, bool (N, H, W): ``width`` pixels on either side of every change of the number.

    Args:
        parts: whole numbers (N, H, W); 0 is background.
        width: pixels on either side.
    """
    edges = torch.zeros(parts.shape, dtype=torch.bool, device=parts.device)
    down, right = parts[..., 1:, :] != parts[..., :-1, :], parts[..., 1:] != parts[..., :-1]
    edges[..., 1:, :] |= down
    edges[..., :-1, :] |= down
    edges[..., 1:] |= right
    edges[..., :-1] |= right
    if width > 1:
        edges = torch.nn.functional.max_pool2d(edges.float()[:, None], 2 * width - 1, 1, width - 1)[:, 0] > 0
    return edges


def agreement(heat, parts, width=WIDTH):
    """Return how well maps agree with the truth: a dict of ``inside``, ``area``, ``mask``, ``edges``, (N,) each.

    Args:
        heat: sizes (N, H, W), none negative, such as `saliency`.
        parts: whole numbers (N, H, W); 0 is background, and every picture must have both.
        width: see `part_edges`.
    Raises: InputError for shapes that differ, a map that is zero everywhere, a picture without object or background.
    """
    check_truth(heat, parts)
    thing = parts > 0
    energy = heat.double().square()
    return {
        "inside": (energy * thing).flatten(1).sum(1) / energy.flatten(1).sum(1),
        "area": thing.flatten(1).double().mean(1),
        "mask": measure.correlation(heat, thing.to(heat)),
        "edges": measure.correlation(heat, part_edges(parts, width).to(heat)),
    }


def compare(networks, x, y, parts, width=WIDTH):
    """Measure several networks on the same pictures.

    Args:
        networks: dict of names to networks; put `networks.random_twin` among them.
        x, y: pictures and their true classes.
        parts: whole numbers (N, H, W).
        width: see `part_edges`.
    Returns: a `Table` of `Aligned`; for differences between two rows ask `measure.paired_difference` of `agreement`.
    """
    rows = []
    for name, model in networks.items():
        values = agreement(saliency(input_gradient(model, x, y)), parts, width)
        rows.append(Aligned(name, *(measure.bootstrap(values[field]) for field in Aligned._fields[1:])))
    return Table(rows, Aligned._fields)


def check_truth(heat, parts):
    """Refuse what cannot be compared."""
    if heat.dim() != 3 or heat.shape != parts.shape:
        raise InputError(
            f"the maps have shape {tuple(heat.shape)} and the masks {tuple(parts.shape)}: both must be (N, H, W), "
            "e.g. saliency(grad) and torch.from_numpy(book.parts)"
        )
    thing = (parts > 0).flatten(1)
    if poor := (thing.all(1) | ~thing.any(1)).nonzero().flatten().tolist():
        raise InputError(f"pictures {poor} have no object or no background: nothing can be inside of it")
    if flat := (heat.flatten(1) == 0).all(1).nonzero().flatten().tolist():
        raise InputError(f"the gradients of pictures {flat} are zero everywhere and point at nothing")
