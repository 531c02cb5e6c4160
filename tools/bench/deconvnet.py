"""DeconvNet, guided backpropagation and the plain gradient beside Captum: whole maps, class scores, single activations.

Captum hangs hooks on the ReLUs and lets autograd walk.  For chains of layers ours walks down by itself, for other
networks it also lets autograd walk.  The pictures must be the same; ``difference`` is the largest one between them, as
a share of the largest value.
"""

from collections import OrderedDict

import torch
from peers import captum
from rows import judged, row
from subjects import Subject, fresh, noise, picturebook, squeezenet
from timing import device, paired

from lecturekit import capture, deconv

SECTION = "DeconvNet"
SUBJECTS = {  # what it is; few pictures or all of them
    "picturebook-1": ("picture-book network, 64×64, batch 1", lambda few: picturebook(1)),
    "picturebook-100": ("picture-book network, 64×64, batch 100", lambda few: picturebook(4 if few else 100)),
    "squeezenet": ("SqueezeNet 1.0, 224×224, batch 4", lambda few: squeezenet(4)),
    "resnet18": ("ResNet-18, random weights, 224×224, batch 1", lambda few: fresh("resnet18", 1)),
    "vgg16": ("VGG-16, random weights, 224×224, batch 1", lambda few: fresh("vgg16", 1)),
}
ROUNDS = 21  # or fewer, see `timing.paired`


def difference(found):
    """Return how far our picture and Captum's are apart, as words, and whether that is nothing; none without Captum."""
    if "Captum" not in found:
        return "", True
    apart = ((found["ours"] - found["Captum"]).abs().max() / found["Captum"].abs().max()).item()
    return f"difference {apart:.0e}", apart <= 1e-5


def compared(ours, captums, bare, quick, **most):
    """Return the row of ours beside Captum's, where there is one, and the bare passes."""
    peers = {"Captum": captums} if captum() else {}
    seconds, found = paired(0 if quick else ROUNDS, ours=ours, **peers, **({"bare": bare} if bare else {}))
    words, same = difference(found)
    return judged(seconds, words, good=same, **most)


# A whole map of one filter


def whole_map(subject, layer, quick):
    """Return the row of one whole map: up and down, nothing kept from before."""
    model, x, _ = subject
    part, seen = capture.cut(model, layer), deconv.climb(model, x, layer)
    channel = seen.answers.clamp(min=0).sum(dim=(0, 2, 3)).argmax().item()  # one that is not silent
    kept = deconv.whole_map(seen, channel)

    def ours():
        climbed = deconv.climb(model, x, layer)
        return deconv.project(climbed, deconv.whole_map(climbed, channel))

    def captums():
        peer = captum().NeuronDeconvolution(model, model.get_submodule(layer))
        return peer.attribute(x.clone().requires_grad_(), lambda answers: (answers * kept).flatten(1).sum(1))

    return compared(ours, captums, passes(part, x, kept), quick)


def passes(part, x, upper):
    """Return a function that makes one pass up and one down, from ``upper``, and nothing else."""

    def bare():
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(part(leaf), leaf, upper)[0]

    return bare


MAPS = {
    "picturebook-1": ("conv3", "relu5"),
    "picturebook-100": ("conv3", "relu5"),
    "squeezenet": ("features.7",),
    "resnet18": ("layer3",),
    "vgg16": ("features.12", "features.28"),
}
for subject, layers in MAPS.items():
    for layer in layers:

        @row(f"whole-map-{subject}-{layer}", SECTION, f"one whole map of {layer}; {SUBJECTS[subject][0]}",
             "bare ≤ 1.10; Captum ≤ 1.0, difference ≤ 1e-5")  # fmt: skip
        def one_map(quick, subject=subject, layer=layer):
            """Up and down."""
            return whole_map(SUBJECTS[subject][1](quick), layer, quick)


# The score of a class, by three rules

RULES = {
    "gradient": ("saliency (the gradient)", lambda attr, model: attr.Saliency(model), {"abs": False}),
    "guided": ("guided backpropagation", lambda attr, model: attr.GuidedBackprop(model), {}),
    "deconvnet": ("DeconvNet", lambda attr, model: attr.Deconvolution(model), {}),
}


def class_score(subject, rule, quick):
    """Return the row of the score of each picture's own class."""
    model, x, y = subject
    last = list(dict(model.named_modules()))[-1]
    upper = torch.zeros_like(model(x).detach()).scatter_(1, y[:, None], 1.0)
    _, kind, settings = RULES[rule]

    def ours():
        return deconv.project(deconv.climb(model, x, last), upper, rule)

    def captums():
        return kind(captum(), model).attribute(x.clone().requires_grad_(), target=y, **settings)

    return compared(ours, captums, passes(model, x, upper), quick)


for subject, (what, make) in SUBJECTS.items():
    for rule, (name, _, _) in RULES.items():

        @row(f"{rule}-{subject}", SECTION, f"{name} of the score of a class; {what}",
             "bare ≤ 1.10; Captum ≤ 1.0, difference ≤ 1e-5")  # fmt: skip
        def one_rule(quick, make=make, rule=rule):
            """Up and down."""
            return class_score(make(quick), rule, quick)


# Single activations, the forward pass kept from before


def vgg11(count):
    """Return the convolutions of VGG-11 with random weights, and noise."""
    import torchvision

    torch.manual_seed(0)
    parts = torchvision.models.vgg11(weights=None).features.eval().requires_grad_(False).to(device())
    for part in parts:
        if isinstance(part, torch.nn.ReLU):
            part.inplace = False
    return Subject(torch.nn.Sequential(OrderedDict(features=parts)).eval(), noise(count, 224), None)


def activations(subject, layer, channel, quick, most):
    """Return the row of the strongest activation of one filter in each picture: Captum takes them one by one."""
    model, x, _ = subject
    seen = deconv.climb(model, x, layer)
    chosen = deconv.strongest(seen, channel)  # (N, C, h, w), one value each
    places = [tuple(one.nonzero()[0].tolist()) for one in chosen]

    def ours():
        return deconv.project(seen, chosen)

    def captums():
        peer = captum().NeuronDeconvolution(model, model.get_submodule(layer))
        alone = [peer.attribute(x[i : i + 1].clone().requires_grad_(), place) for i, place in enumerate(places)]
        return torch.cat(alone) * chosen.flatten(1).amax(1)[:, None, None, None]  # ours starts with the activation

    return compared(ours, captums, None, quick, peer=most)


@row("one-activation-picturebook", SECTION, "one activation of conv4, kept forward pass; picture-book network, 64×64",
     "Captum ≤ 0.10, difference ≤ 1e-5")  # fmt: skip
def one_activation_picturebook(quick):
    """A click on one place of one map of a small network."""
    return activations(picturebook(1), "conv4", 12, quick, 0.10)


@row("one-activation", SECTION, "one activation of VGG-11 conv4, kept forward pass, 224×224",
     "Captum ≤ 0.10, difference ≤ 1e-5")  # fmt: skip
def one_activation(quick):
    """A click on one place of one map."""
    return activations(vgg11(1), "features.8", 17, quick, 0.10)


@row("nine-activations", SECTION, "nine at once, one in each of nine pictures; as the row above",
     "Captum ≤ 0.10, difference ≤ 1e-5")  # fmt: skip
def nine_activations(quick):
    """The work of a gallery's row: nine pictures, the strongest place of one filter in each."""
    return activations(vgg11(2 if quick else 9), "features.8", 17, quick, 0.10)
