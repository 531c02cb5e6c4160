"""DeconvNet: the whole descent beside bare passes; one activation, and nine, beside Captum's NeuronDeconvolution."""

from collections import OrderedDict

import torch
from rows import Missing, Result, row
from timing import milliseconds, paired, ratio

from lecturekit import capture, deconv, networks
from lecturekit.networks import imagenet

SECTION = "DeconvNet"


def whole_map(model, x, layer, channel, rounds):
    """Return the row of one whole-map projection, forward pass included."""
    part = capture.cut(model, layer)
    kept = deconv.whole_map(deconv.climb(model, x, layer), channel)

    def bare():
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(part(leaf), leaf, kept)

    def ours():
        seen = deconv.climb(model, x, layer)
        return deconv.project(seen, deconv.whole_map(seen, channel))

    seconds = paired(rounds, bare=bare, ours=ours)
    cost = ratio(seconds["ours"], seconds["bare"])
    return Result(str(cost), quality="equals the rule-based path to 1e-5 (tests)", holds=cost.median <= 1.10,
                  ours=milliseconds(seconds["ours"]))  # fmt: skip


for layer in ("conv3", "relu5"):
    for count in (1, 16):

        @row(f"whole-map-picturebook-{layer}-{count}", SECTION,
             f"one whole map of {layer}, picture-book network, 64×64, batch {count}", "bare ≤ 1.10")  # fmt: skip
        def picturebook(quick, layer=layer, count=count):
            """Random pictures: the work does not depend on what they show."""
            x = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
            return whole_map(networks.load("picturebook"), x, layer, 17, 5 if quick else 41)


for layer in ("features.12", "features.28"):

    @row(f"whole-map-vgg16-{layer}", SECTION, f"one whole map of {layer}, VGG-16, 224×224, batch 1", "bare ≤ 1.10")
    def vgg16(quick, layer=layer):
        """VGG-16 with fresh weights: time does not depend on them."""
        x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        return whole_map(imagenet.untrained("vgg16"), x, layer, 203, 1 if quick else 9)


def captum_on_vgg11(count):
    """Return Captum's and our way to the strongest activation of one filter of VGG-11's conv4 in ``count`` pictures."""
    try:
        from captum.attr import NeuronDeconvolution
    except ImportError:
        raise Missing("captum is not installed") from None
    import torchvision

    torch.manual_seed(0)
    parts = torchvision.models.vgg11(weights=None).features.eval().requires_grad_(False)
    for part in parts:
        if isinstance(part, torch.nn.ReLU):
            part.inplace = False
    model, layer, channel = torch.nn.Sequential(OrderedDict(features=parts)).eval(), "features.8", 17
    x = torch.rand(count, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    seen = deconv.climb(model, x, layer)
    chosen = deconv.strongest(seen, channel)  # (N, C, h, w), one value each
    places = [tuple(one.nonzero()[0].tolist()) for one in chosen]
    peer = NeuronDeconvolution(model, model.get_submodule(layer))

    def theirs():
        alone = [peer.attribute(x[i : i + 1].clone().requires_grad_(), place) for i, place in enumerate(places)]
        return torch.cat(alone) * chosen.flatten(1).amax(1)[:, None, None, None]  # ours starts with the activation

    def ours():
        return deconv.project(seen, deconv.strongest(seen, channel))

    error = ((theirs() - ours()).abs().max() / theirs().abs().max()).item()
    return theirs, ours, error


def beside_captum(count, rounds, must):
    """Return the row: Captum runs the network forward each time; ours keeps the switches and crops to the field."""
    theirs, ours, error = captum_on_vgg11(count)
    seconds = paired(rounds, theirs=theirs, ours=ours)
    cost = ratio(seconds["ours"], seconds["theirs"])
    return Result("", str(cost), f"largest difference {error:.0e} of the largest value",
                  cost.median <= must and error <= 1e-6, milliseconds(seconds["ours"]))  # fmt: skip


@row("one-activation", SECTION, "one activation of VGG-11 conv4, 224×224, forward pass cached, beside Captum",
     "peer ≤ 0.10, equal to 1e-6")  # fmt: skip
def one_activation(quick):
    """A click on one place of one map."""
    return beside_captum(1, 1 if quick else 11, 0.10)


@row("nine-activations", SECTION, "nine at once, one in each of nine pictures, beside Captum one by one",
     "peer ≤ 0.05, equal to 1e-6")  # fmt: skip
def nine_activations(quick):
    """The work of a gallery's row: nine pictures, the strongest place of one filter in each."""
    return beside_captum(9, 1 if quick else 5, 0.05)
