"""How blind is a picture to the neuron it is about?  A number for the course's most uncomfortable fact.

Ask for four different filters at the same place of the same picture.  If the method shows what each *filter* looks for,
the four projections differ.  Measured on networks with random weights they do for the gradient, and hardly do for
DeconvNet and guided backpropagation: those show which pixels could matter, whatever was asked.

==============================  =================  ===============
mean cosine of two filters      VGG-16, random     AlexNet, random
==============================  =================  ===============
``gradient``                    0.01               0.01
``deconvnet``                   0.91               0.82
``guided``                      1.00               0.95
==============================  =================  ===============

(The last convolution, photographs of 224 x 224 pixels, weights drawn as by He et al. 2015.)

The trap: blindness on *random* weights does not say that a trained network's pictures are worthless.  It says how much
of a picture the method draws by itself; measure the trained network too and compare.

Source: Mahendran & Vedaldi 2016, "Salient deconvolutional networks", ECCV, section 4; Nie et al. 2018,
arXiv:1805.07039.
"""

from typing import NamedTuple

import torch

from lecturekit import measure
from lecturekit.deconv.compare import summary
from lecturekit.deconv.projection import climb, project
from lecturekit.errors import InputError
from lecturekit.tables import Table


class Blindness(NamedTuple):
    """One rule measured on one network.

    Attributes:
        rule: its name.
        between_filters: cosine between the projections of different filters at one place, mean over the pairs; 0: the
            method sees the filter, 1: it is blind to it.  An `Interval` over the pictures, a number for one picture.
        image: correlation between the projection of the whole layer and the picture itself, colours averaged.
    """

    rule: str
    between_filters: object
    image: object


def neuron_blindness(model, x, layer, rules=("gradient", "deconvnet", "guided"), filters=4):
    """Measure how alike the projections of different filters are, under each rule.

    In each picture the place is where the layer answers most, and the filters are the strongest ones there.

    Args:
        model, x, layer: as for `climb`; the layer's answers must be maps.
        rules: names from `backward.RULES`.
        filters: how many, at least two.
    Returns: a table with one `Blindness` for each rule.
    Raises: InputError for a layer without maps or too few filters; as `climb` and `project`.
    """
    seen = climb(model, x, layer)
    if seen.answers.dim() != 4 or not 2 <= filters <= seen.answers.shape[1]:
        raise InputError(
            f"neuron_blindness compares filters at one place of a map: it needs a layer with maps, from 2 to as many "
            f"filters as it has; {layer!r} answers with {tuple(seen.answers.shape[1:])}, and filters is {filters}"
        )
    chosen = strongest_at_one_place(seen.answers, filters)
    everything = seen.answers.clamp(min=0)
    rows = []
    for rule in rules:
        alone = torch.stack([project(seen, selected, rule) for selected in chosen], dim=1)  # (N, filters, C, H, W)
        image = measure.correlation(project(seen, everything, rule).mean(dim=1), x.mean(dim=1))
        rows.append(Blindness(rule, summary(mean_cosine(alone.flatten(2))), summary(image)))
    return Table(rows, Blindness._fields)


def strongest_at_one_place(answers, filters):
    """Return one selection (N, C, h, w) for each of the strongest filters at the place that answers most.

    Each selection holds a single 1 in each picture: no filter shall look alike only because it is strong.
    """
    values = answers.flatten(2)  # (N, C, h * w)
    place = values.clamp(min=0).sum(dim=1).argmax(dim=1)  # (N,)
    pictures = torch.arange(len(values), device=values.device)
    best = values[pictures, :, place].topk(filters, dim=1).indices  # (N, filters)
    selections = values.new_zeros(filters, *values.shape)
    for selected, channel in zip(selections, best.T, strict=True):
        selected[pictures, channel, place] = 1
    return selections.view(filters, *answers.shape)


def mean_cosine(maps):
    """Return the mean cosine over all pairs of different maps, (N, K, D) -> (N,)."""
    unit = torch.nn.functional.normalize(maps.double(), dim=2)
    cosines = unit @ unit.transpose(1, 2)  # (N, K, K), ones on the diagonal
    count = maps.shape[1]
    return ((cosines.sum(dim=(1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(dim=1)) / (count * (count - 1))).float()
