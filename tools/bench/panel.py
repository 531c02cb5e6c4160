"""A panel, driven from code: what one step of a control costs beside the passes that it asks for.

What is on top of the passes is drawing: four pictures are cut, enlarged, framed, and packed as PNG for the browser, and
captions, the alternative text and a correlation are made.  None of that grows with the network, so that it is most of a
step on a small one and little of it on a large one.
"""

import itertools

import torch
from rows import judged, row
from timing import device, paired

from lecturekit import capture, networks
from lecturekit.networks import imagenet

SECTION = "Panels"


def stepped(panel, model, layer, channels, rounds):
    """Return the row of a step from picture to picture: up, and down from the strongest activation of a filter."""
    numbers = itertools.cycle(range(40))
    part = capture.cut(model, layer)
    for number in range(40):
        panel.source.picture(panel.settings() | {"picture": number})  # drawn once, kept by the panel

    def ours():
        panel.set(picture=next(numbers), filter=channels)
        if panel.trouble:
            raise panel.trouble

    def bare():
        leaf = panel.result.chosen.x.clone().requires_grad_()
        return torch.autograd.grad(part(leaf), leaf, panel.result.selected)

    ours()
    seconds, _ = paired(rounds, ours=ours, bare=bare)
    return judged(seconds, f"four pictures of {size_of(panel):.0f} KB", good=True)


def size_of(panel):
    """Return how much a step sends to the browser, in KB."""
    return sum(len(picture.png) for strip in panel.strips for picture in strip.pictures if picture.png) / 1e3


@row("panel-deconvnet", SECTION, "DeconvNet panel, another picture, conv4; picture-book network, 64×64", "bare ≤ 1.10")
def small(quick):
    """The panel as it opens."""
    from lecturekit import panels

    panel = panels.DeconvNet(["picturebook"], layer="conv4", filter=12)
    return stepped(panel, networks.load("picturebook").to(device()), "conv4", 12, 0 if quick else 41)


@row("panel-deconvnet-vgg16", SECTION, "the same, features.21; VGG-16, random weights, 224×224", "bare ≤ 1.10")
def large(quick):
    """The panel with a network of one's own."""
    from lecturekit import panels

    model = imagenet.untrained("vgg16").to(device())
    panel = panels.DeconvNet({"VGG-16": model}, size=224, layer="features.21", filter=3)
    return stepped(panel, model, "features.21", 3, 0 if quick else 5)
