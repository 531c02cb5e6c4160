"""Does the picture tell about the network?  Destroy what the network learned and see whether the picture notices.

A projection that looks the same for random weights cannot be explained by what was learned: it shows the input picture,
as an edge detector would.  Two ways to destroy, both from Adebayo et al.:

``cascading``    the top layer first, then the one below as well, and so on down to ``conv1``
``independent``  one layer at a time, all others as learned

The trap: behind its ReLU a unit that the random weights turn off has no gradient at all, and its picture is grey.  Ask
for ``conv5``, not ``relu5``, if the rule has a forward mask.  And in the reading: guided backpropagation hardly notices
random weights in the *upper* layers, but it does notice the lower ones; an erratum of the authors says so.

Source: Adebayo et al. 2018, arXiv:1810.03292, section 3, and the erratum in their repository.
"""

import copy

import torch
from torch import nn

from lecturekit import capture
from lecturekit.deconv.compare import compared
from lecturekit.deconv.projection import climb, field, patches, project
from lecturekit.errors import ModelError, unknown
from lecturekit.progress import Step, stopped

LEARNED = "as learned"


def cascading(model, x, layer, choose, rule="deconvnet", seed=0, watch=None):
    """Randomise from ``layer`` downwards, one layer more each time, and project the same activations.

    Args:
        model, x, layer: as for `climb`.
        choose: from a climb to the selection, e.g. ``lambda seen: strongest(seen, 17)``; asked once, of the network as
            learned: afterwards the same units are asked.
        rule: as for `project`.
        seed: of the random weights.
        watch: see `lecturekit.progress`.
    Returns: a `compare.Comparison`; its conditions are ``as learned`` and the lowest layer that is random.
    Raises: as `climb` and `project`; ModelError if there are no weights on the way.
    """
    names = weighted(model, x, layer)
    plan = {name: names[: number + 1] for number, name in enumerate(names)}
    return _measured(model, x, layer, choose, rule, seed, watch, plan)


def independent(model, x, layer, choose, rule="deconvnet", seed=0, watch=None):
    """Randomise one layer at a time and project the same activations; arguments and result as for `cascading`."""
    plan = {name: [name] for name in weighted(model, x, layer)}
    return _measured(model, x, layer, choose, rule, seed, watch, plan)


def redrawn(model, names, seed=0):
    """Return a copy of a network with fresh random weights and no biases in the named layers.

    Each layer's numbers depend on the seed and its place in the network only, so that a cascade changes one layer more
    each time and nothing else.  They are drawn as in He et al. 2015, arXiv:1502.01852, equation 10.

    Raises: InputError for a name that is no convolution or linear layer.
    """
    twin = copy.deepcopy(model)
    layers = {name: part for name, part in twin.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)}
    for name in names:
        if name not in layers:
            raise unknown("layer with weights", name, layers)
        part, number = layers[name], list(layers).index(name)
        generator = torch.Generator().manual_seed(seed * len(layers) + number)
        fresh = torch.randn(part.weight.shape, generator=generator) * (2 / part.weight[0].numel()) ** 0.5
        part.weight.data.copy_(fresh)
        if part.bias is not None:
            part.bias.data.zero_()
    return twin


def weighted(model, x, layer):
    """Return the names of the convolutions and linear layers on the way to ``layer``, from the top down.

    Raises: InputError for a layer that does not exist; ModelError if there are none.
    """
    capture.cut(model, layer)  # complains about names that do not exist
    parts = dict(model.named_modules())
    ran = [row.name for row in capture.layers(model, tuple(x.shape[1:]))]
    last = max((number for number, name in enumerate(ran) if name == layer or name.startswith(f"{layer}.")), default=-1)
    names = [name for name in ran[: last + 1] if isinstance(parts.get(name), nn.Conv2d | nn.Linear)]
    if not names:
        raise ModelError(f"there are no weights to randomise on the way to {layer!r}")
    return names[::-1]


def _measured(model, x, layer, choose, rule, seed, watch, plan):
    """Project with each set of random layers and compare with the network as learned."""
    seen = climb(model, x, layer)
    selected = choose(seen)
    window, complete = field(seen, selected), True
    pictures = {LEARNED: patches(project(seen, selected, rule), window)}
    for number, (name, random) in enumerate(plan.items(), start=1):
        other = climb(redrawn(model, random, seed), x, layer)
        pictures[name] = patches(project(other, selected, rule), window)
        if stopped(watch, Step(number, len(plan), note=name)) and number < len(plan):
            complete = False
            break
    return compared(pictures, complete)
