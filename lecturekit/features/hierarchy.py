r"""From edges to objects, in numbers: what changes from layer to layer.

=====================  =============================================================================================
receptive_field        side of the square of pixels that a unit can see
effective_field        side of the square of pixels that it does listen to; see `effective_field`
frequency              cycles per pixel that move the code most; see `waves`
orientation            0 ... 1, mean over filters: how much the direction of bars matters; see `waves`
class_selectivity      0 ... 1, mean over filters: how much they prefer one class; see `class_selectivity`
shift, scale, rotation how far the code moves when the picture does; 1: as far as to another picture
=====================  =============================================================================================

The lecture's sentence is that the first two rise with depth, the frequency falls, and selectivity rises.  `trend` turns
each into one number, Spearman's rank correlation with depth, so that the sentence can be false.

The trap: much of this is architecture.  A random network's receptive fields grow exactly as a trained one's, and
pooling alone lowers the frequency.  Ask the random twin as well; what training adds is the difference.
"""

from typing import NamedTuple

import torch

from lecturekit.capture import activations, cut, evaluating
from lecturekit.capture import layers as table_of_layers
from lecturekit.errors import InputError
from lecturekit.features.stream import BATCH, as_maps, batches, count, filter_layers, pictures
from lecturekit.features.warp import warped
from lecturekit.features.waves import dominant_frequency, orientation_selectivity, sensitivity
from lecturekit.measure import rank_correlation
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table

SAMPLE = 64  # pictures for what needs several passes each
MOVES = {"shift": {"down": 3.0, "right": 3.0}, "scale": {"scale": 1.15}, "rotation": {"degrees": 15.0}}


class Level(NamedTuple):
    """One layer of the hierarchy; see the module for what the numbers mean."""

    layer: str
    receptive_field: int | tuple | None
    effective_field: float
    frequency: float
    orientation: float
    class_selectivity: float
    shift: float
    scale: float
    rotation: float


def hierarchy(model, data, labels, layers=None, *, sample=SAMPLE, seed=0, watch=None):
    """Measure every layer.

    Args:
        model: pixels (N, 3, H, W) in [0, 1] to anything.
        data: a data set; see `stream`.
        labels: the class of each picture, whole numbers (N,).
        layers: names; all convolutional and linear layers if None.
        sample: pictures for fields, frequencies and moves, the first ones of ``data``; classes are asked of all.
        seed: of noise and signs.
        watch: see `lecturekit.progress`.
    Returns: a `Table` of `Level`, from the picture to the class; an empty one if it was stopped.
    Raises: InputError for unknown layers, or labels that do not fit the data.
    """
    x = pictures(data, slice(0, min(sample, count(data))))
    x = x.to(next(model.parameters(), x))
    names = list(layers or filter_layers(model, tuple(x.shape[1:])))
    fields = {row.name: row.receptive_field for row in table_of_layers(model, tuple(x.shape[1:]))}
    work = {
        "class_selectivity": lambda: class_selectivity(model, names, data, labels),
        "effective_field": lambda: {name: effective_field(model, name, x, seed=seed) for name in names},
        "frequency": lambda: {n: dominant_frequency(s) for n, s in sensitivity(model, names, x, seed=seed).items()},
        "orientation": lambda: orientation_selectivity(model, names, tuple(x.shape[2:]), like=x),
        "moves": lambda: invariance(model, names, x),
    }
    found = {}
    for done, (name, measure) in enumerate(work.items(), start=1):
        found[name] = measure()
        if stopped(watch, Step(done, len(work), note=name.replace("_", " "))) and done < len(work):
            return Table([], Level._fields)
    return Table([_level(name, fields.get(name), found) for name in names], Level._fields)


def _level(name, receptive_field, found):
    """Return one row, rounded to what is stable."""
    means = (found["orientation"][name].nanmean().item(), found["class_selectivity"][name].nanmean().item())
    moves = (round(value, 2) for value in found["moves"][name].values())
    effective, frequency = round(found["effective_field"][name], 1), round(found["frequency"][name], 4)
    return Level(name, receptive_field, effective, frequency, *(round(value, 3) for value in means), *moves)


def trend(values):
    """Return Spearman's rank correlation of a row of numbers with their position: 1 if they rise at every step.

    Args:
        values: one number for each layer, at least three, from the picture to the class.
    Raises: InputError for fewer.
    """
    values = torch.as_tensor(values, dtype=torch.float64)
    if len(values) < 3:
        raise InputError(f"a trend needs at least three layers, got {len(values)}")
    correlation = rank_correlation(values[None], torch.arange(len(values), dtype=torch.float64)[None]).item()
    return round(correlation, 6)  # 0.9 for one neighbouring swap among five, not 0.8999999762


def effective_field(model, layer, x, *, seed=0):
    r"""Return the side of the square that a unit in the middle listens to, in pixels.

    The pixels that *can* matter form a square; those that do matter fade towards its border.  Take the energy of the
    unit's gradient, $E(p) = \sum (\partial a / \partial x_p)^2$ over pictures and filters, and give the square in which
    evenly spread energy would have the same variance: for a variance $v$ along an axis, $\sqrt{12 v + 1}$.

    One backward pass serves all filters: with a random sign for each filter the gradients of the sum have, on average
    over pictures, the summed energy of the filters.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        layer: a name.
        x: natural pictures (N, C, H, W) in [0, 1].
        seed: of the signs.
    Source: Luo et al. 2016, arXiv:1701.04128, section 2; the measure of size is ours.
    """
    part = cut(model, layer)
    with evaluating(part), torch.inference_mode(False), torch.enable_grad():
        x = x.detach().clone().requires_grad_(True)
        code = as_maps(part(x))
        middle = code[:, :, code.shape[2] // 2, code.shape[3] // 2]  # (N, K)
        signs = torch.randint(2, middle.shape, generator=torch.Generator().manual_seed(seed)).to(middle) * 2 - 1
        (grad,) = torch.autograd.grad((middle * signs).sum(), x)
    energy = grad.double().square().sum(dim=(0, 1))  # (H, W)
    sides = [(12 * _variance(energy.sum(dim=axis)) + 1) ** 0.5 for axis in (0, 1)]
    return sum(sides) / 2


def _variance(weights):
    """Return the variance of the position, in squared pixels, under weights (n,)."""
    share = weights / weights.sum().clamp(min=1e-300)
    place = torch.arange(len(share), dtype=share.dtype, device=share.device)
    return (share * (place - (share * place).sum()) ** 2).sum().item()


def class_selectivity(model, layers, data, labels, *, batch=BATCH):
    r"""Return how much each filter prefers one class, {layer: (K,)}; NaN for a filter that never fires.

    $(\mu_{\max} - \mu_{-\max}) / (\mu_{\max} + \mu_{-\max})$, where $\mu_{\max}$ is the filter's mean answer to its
    best class and $\mu_{-\max}$ to all others: 0 for no preference, 1 for a filter that answers one class only.  The
    answer to a picture is the largest on the map, after a ReLU.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        layers: names.
        data: a data set; see `stream`.
        labels: whole numbers (N,), at least two classes.
        batch: pictures in one pass.
    Source: Morcos et al. 2018, arXiv:1803.06959, section 2.2, who average the map instead.
    """
    labels = torch.as_tensor(labels)
    if labels.shape != (count(data),) or labels.is_floating_point() or len(labels.unique()) < 2:
        raise InputError(
            f"labels must be {count(data)} whole numbers, one per picture, of at least two classes; got {labels.dtype} "
            f"of shape {tuple(labels.shape)} with {len(labels.unique())} classes"
        )
    classes, membership = labels.unique(return_inverse=True)
    sums = {}
    for start, x in batches(data, batch):
        x = x.to(next(model.parameters(), x))
        own = torch.nn.functional.one_hot(membership[start : start + len(x)], len(classes)).to(x)  # (n, classes)
        for layer, code in activations(model, x, *layers).items():
            sums[layer] = sums.get(layer, 0) + own.T @ as_maps(code).clamp(min=0).amax(dim=(2, 3))  # (classes, K)
    sizes = torch.bincount(membership, minlength=len(classes))[:, None]
    return {layer: _preference(total.cpu() / sizes) for layer, total in sums.items()}


def _preference(means):
    """Mean answers (classes, K) -> selectivity (K,)."""
    best = means.amax(dim=0)
    others = (means.sum(dim=0) - best) / (len(means) - 1)
    return (best - others) / (best + others)  # 0 / 0 is NaN


def invariance(model, layers, x, moves=MOVES):
    """Return how far a layer's code moves when the picture does, {layer: {move: distance}}.

    In units of the distance between two *different* pictures: 0 means that the layer does not notice, 1 that the moved
    picture is as strange as another one.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        layers: names.
        x: pictures (N, C, H, W) in [0, 1], at least two.
        moves: names to arguments of `warp.warped`.
    Source: the experiment of Zeiler & Fergus 2014, arXiv:1311.2901, figure 5; the unit of distance is ours.
    """
    if len(x) < 2:
        raise InputError(f"the unit is the distance between two pictures, got {len(x)}")
    still = activations(model, x, *layers)
    unit = {layer: _distance(code, code.roll(1, dims=0)) for layer, code in still.items()}
    found = {layer: {} for layer in layers}
    for name, move in moves.items():
        for layer, code in activations(model, warped(x, **move).clamp(0, 1), *layers).items():
            found[layer][name] = _distance(code, still[layer]) / max(unit[layer], 1e-12)
    return found


def _distance(a, b):
    """Return the root mean square distance of two rows of codes (N, ...)."""
    return (a - b).flatten(1).square().sum(dim=1).mean().sqrt().item()
