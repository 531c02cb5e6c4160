"""The claims of *DeconvNet*: that the way down is exact, and what its pictures can be trusted for.

All but the first are measured on test drawings that no network saw.
"""

import functools

import torch

from lecturekit import capture, deconv
from lecturekit.claims.ledger import claim
from lecturekit.measure import bootstrap, correlation
from lecturekit.networks import load, random_twin
from lecturekit.pictures.picturebook import PictureBook

PICTURES = 128
CHAINS = ("picturebook", "picturebook_robust", "photographs")  # the shipped networks that do not branch
CONVOLUTIONS = ("conv2", "conv3", "conv4", "conv5")  # conv1 sees 5 x 5 pixels: too few for a likeness
MARKED = 0.2  # of the pixels in a receptive field
ANOTHER = 3  # pictures further: labels take turns, so it is of another class


@functools.cache
def originals(count):
    """Return the first test drawings as pixels."""
    return PictureBook("test", count).tensors()


@functools.cache
def strongest_patches(layer, count):
    """Return a climb, the strongest activation of each picture, and the window that it sees."""
    seen = deconv.climb(load("picturebook"), originals(count), layer)
    selected = deconv.top(seen, 1)
    return seen, selected, deconv.field(seen, selected)


@claim(
    "deconv-exact",
    "Walked down layer by layer, with masks and switches of the way up, unpool and transposed filter are the gradient, "
    "up to rounding; from there it is one line to the DeconvNet.",
    notebook="04_deconvnet",
    threshold="largest relative difference to autograd at most 10 millionths, over all layers of the shipped chains",
    holds=lambda m: all(v.estimate <= 10 for v in m.values()),
)
def deconv_exact(count=8):
    """Largest difference between explicit steps and autograd, by the largest value, in millionths; over all layers.

    From every layer random numbers are sent down, so that no activation is left out.
    """
    return {f"millionths {name}": bootstrap(differences(load(name), count), max_of_draws) for name in CHAINS}


def differences(model, count):
    """Return the largest relative difference of each picture over all layers, in millionths, (N,)."""
    worst, generator = torch.zeros(count), torch.Generator().manual_seed(0)
    for layer, _ in model.named_children():
        x = originals(count).clone().requires_grad_()
        answers = capture.cut(model, layer)(x)
        selected = torch.randn(answers.shape, generator=generator)
        (expected,) = torch.autograd.grad(answers, x, selected)
        found = deconv.project(deconv.climb(model, x.detach(), layer), selected, "gradient")
        off = (found - expected).flatten(1).abs().amax(1) / expected.flatten(1).abs().amax(1)
        worst = worst.maximum(1e6 * off)
    return worst


def max_of_draws(values, axis):
    """Return the maximum, as a statistic for `bootstrap`."""
    return values.max(axis=axis)


@claim(
    "deconv-shows-patch",
    "The picture of an activation looks like the patch that caused it, and not like the same place of another picture.",
    notebook="04_deconvnet",
    threshold="at conv2 ... conv5, likeness to the own patch at least 0.2, and at most 0.1 to another picture's patch",
    holds=lambda m: all(m[f"own {layer}"].low >= 0.2 and m[f"another's {layer}"].high <= 0.1 for layer in CONVOLUTIONS),
)
def deconv_shows_patch(count=PICTURES):
    """Correlation of the projection of each picture's strongest activation with patches of pixels, colours averaged."""
    numbers = {}
    for layer in CONVOLUTIONS:
        seen, selected, window = strongest_patches(layer, count)
        picture = deconv.patches(deconv.project(seen, selected), window).mean(dim=1)
        patch = deconv.patches(originals(count), window).mean(dim=1)
        other = deconv.patches(originals(count).roll(ANOTHER, 0), window).mean(dim=1)
        numbers[f"own {layer}"] = bootstrap(correlation(picture, patch))
        numbers[f"another's {layer}"] = bootstrap(correlation(picture, other))
    return numbers


@claim(
    "deconv-finds-cause",
    "What the picture marks is what the activation lives on: paint over the marked fifth of its field, and it falls.",
    notebook="04_deconvnet",
    threshold="at conv2 ... conv5, at most a quarter is left, and surely less than after painting over as many pixels "
    "that were marked for another picture, or that stand out most by their colour",
    holds=lambda m: all(
        m[f"marked {layer}"].high <= 0.25
        and m[f"marked {layer}"].below(m[f"another's marks {layer}"])
        and m[f"marked {layer}"].below(m[f"stands out {layer}"])
        for layer in CONVOLUTIONS
    ),
)
def deconv_finds_cause(count=PICTURES):
    """Share of each picture's strongest activation that is left when a fifth of its field gets the field's mean colour.

    The middle of the field is measured too: it is where a network looks anyway.
    """
    numbers = {}
    for layer in CONVOLUTIONS:
        seen, selected, window = strongest_patches(layer, count)
        marks = deconv.patches(deconv.project(seen, selected), window).abs().sum(dim=1)  # (N, h, w)
        patch = deconv.patches(originals(count), window)
        ways = {
            "marked": marks,
            "another's marks": marks.roll(ANOTHER, 0),
            "stands out": (patch - patch.mean(dim=(2, 3), keepdim=True)).abs().sum(dim=1),
            "middle": middle(window.height, window.width).expand_as(marks),
        }
        for name, score in ways.items():
            numbers[f"{name} {layer}"] = bootstrap(left_without(most(score), layer, count))
    return numbers


def most(score):
    """Return which pixels have the highest scores, `MARKED` of each picture: (N, h, w) -> bool (N, 1, h, w)."""
    count = round(MARKED * score[0].numel())
    chosen = score.flatten(1).topk(count, dim=1).indices
    return torch.zeros_like(score.flatten(1), dtype=torch.bool).scatter(1, chosen, True).view_as(score)[:, None]


def middle(height, width):
    """Return scores (height, width) that are higher the nearer a pixel is to the middle."""
    rows, columns = ((torch.arange(side) - (side - 1) / 2) ** 2 for side in (height, width))
    return -(rows[:, None] + columns)


def left_without(mask, layer, count):
    """Return which share of the strongest activation is left when the masked pixels of its field are painted over."""
    seen, selected, window = strongest_patches(layer, count)
    painted, patch = originals(count).clone(), deconv.patches(originals(count), window)
    patch = torch.where(mask, patch.mean(dim=(2, 3), keepdim=True), patch)
    for x, new, top, left in zip(painted, patch, window.tops, window.lefts, strict=True):
        x[:, top : top + window.height, left : left + window.width] = new
    answers = capture.activations(load("picturebook"), painted, layer)[layer]
    return (answers * (selected != 0)).flatten(1).sum(1) / selected.flatten(1).sum(1)


@claim(
    "switches-carry",
    "The switches carry the picture down: with any other switches the same activation, through the same filters, no "
    "longer looks like the patch.",
    notebook="06_trust",
    threshold="at conv3, conv4, conv5: likeness to the patch with the saved switches surely above that with any "
    "others, which keep at most a third of it",
    holds=lambda m: all(
        m[f"saved {layer}"].above(m[f"{kind} {layer}"])
        and 3 * m[f"{kind} {layer}"].estimate <= m[f"saved {layer}"].estimate
        for layer in ("conv3", "conv4", "conv5")
        for kind in ("centre", "random", "another picture")
    ),
)
def switches_carry(count=PICTURES):
    """Correlation of the DeconvNet picture of each picture's strongest activation with its patch, colours averaged."""
    numbers = {}
    for layer in ("conv3", "conv4", "conv5"):
        seen, selected, window = strongest_patches(layer, count)
        other = deconv.climb(load("picturebook"), originals(count).roll(ANOTHER, 0), layer)
        patch = deconv.patches(originals(count), window).mean(dim=1)
        for kind, picture in deconv.switch_ablation(seen, selected, other).pictures.items():
            numbers[f"{kind} {layer}"] = bootstrap(correlation(picture.mean(dim=1), patch))
    return numbers


@claim(
    "neuron-blind",
    "Asked for four different filters at one place, the gradient gives four different pictures; DeconvNet and guided "
    "backpropagation give nearly the same one four times.",
    notebook="06_trust",
    threshold="random weights, conv5: cosine between filters below 0.1 for the gradient, above 0.5 for DeconvNet, and "
    "surely higher still for guided backpropagation",
    holds=lambda m: (
        m["gradient, random"].below(0.1)
        and m["deconvnet, random"].above(0.5)
        and m["guided, random"].above(m["deconvnet, random"])
    ),
)
def neuron_blind(count=64):
    """Mean cosine between projections of the four strongest filters at one place, of a random and the trained network.

    The rule is about random weights: filters that have learned may well share what they look for.
    """
    model, numbers = load("picturebook"), {}
    for weights, network in (("random", random_twin(model)), ("as learned", model)):
        for row in deconv.neuron_blindness(network, originals(count), "conv5"):
            numbers[f"{row.rule}, {weights}"] = row.between_filters
    return numbers


@claim(
    "weights-unnoticed",
    "Draw a layer's weights by lot: the gradient is another picture at once, and guided backpropagation hardly "
    "notices.",
    notebook="06_trust",
    threshold="correlation with the picture as learned, conv5 random: gradient at most 0.2, DeconvNet at least 0.5, "
    "guided at least 0.9; with all layers random, surely lower for both",
    holds=lambda m: (
        m["gradient, conv5 random"].high <= 0.2
        and m["deconvnet, conv5 random"].low >= 0.5
        and m["guided, conv5 random"].low >= 0.9
        and all(m[f"{rule}, all random"].below(m[f"{rule}, conv5 random"]) for rule in ("deconvnet", "guided"))
    ),
)
def weights_unnoticed(count=64):
    """Correlation, inside the field, with the picture of the trained network; the strongest activation of each drawing.

    The weights are drawn anew from the top down; "all" is when conv1 is random too.
    """
    numbers, model = {}, load("picturebook")
    for rule in ("gradient", "deconvnet", "guided"):
        found = deconv.cascading(model, originals(count), "conv5", lambda seen: deconv.top(seen, 1), rule)
        for words, condition in (("conv5", "conv5"), ("all", "conv1")):
            numbers[f"{rule}, {words} random"] = bootstrap(found.likeness[condition].correlation)
    return numbers
