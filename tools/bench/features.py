"""Feature visualisation: a gallery of a whole layer, and activation maximisation beside Lucent."""

import contextlib
import functools
import io
import statistics
import warnings

import torch
from memory import forget_peak, peak_gb
from peers import installed
from rows import Missing, Result, judged, row
from subjects import fresh, picturebook, squeezenet
from timing import device, milliseconds, paired

from lecturekit import capture, deconv, features, networks
from lecturekit.augment import pixels

SECTION = "Feature visualisation"
STEPS = 256


# The strongest patches of every filter


def book(quick):
    """Return the network and its drawings."""
    from lecturekit.pictures.picturebook import PictureBook

    return networks.load("picturebook").to(device()), PictureBook("train", 200 if quick else 5_000)


@row("gallery", SECTION, "the nine strongest patches of all 64 filters of conv5 over 5,000 drawings", "bare ≤ 1.10")
def gallery(quick):
    """One forward pass of all drawings, cut at the layer, is what it cannot do without."""
    model, drawings = book(quick)
    part = capture.cut(model, "conv5")

    def bare():
        with torch.no_grad():
            for start in range(0, len(drawings), features.stream.BATCH):
                part(pixels(torch.from_numpy(drawings.images[start : start + features.stream.BATCH])).to(device()))

    forget_peak()
    before = peak_gb()
    seconds, _ = paired(0 if quick else 2, ours=lambda: features.gallery(model, "conv5", drawings, cache=False),
                        bare=bare)  # fmt: skip
    return judged(seconds, f"peak memory {peak_gb():.2f} GB, of which {before:.2f} GB before it began")


def strongest(model, x, channel):
    """Return the projection of the strongest activation of one filter in each picture: the one a gallery lists."""
    seen = deconv.climb(model, x.to(device()), "conv5")
    return deconv.project(seen, deconv.strongest(seen, channel)).cpu()


@row("gallery-projected", SECTION, "the same with the DeconvNet projection of each of the 576 patches", "≤ 60 s")
def gallery_projected(quick):
    """Each of the nine strongest activations of each filter by itself."""
    model, drawings = book(quick)

    def ours():
        found = features.gallery(model, "conv5", drawings, cache=False)
        for channel in set(range(len(found.values))) - set(found.silent):
            found.projections(drawings, channel, lambda x, channels, _: strongest(model, x, int(channels[0])))

    seconds, _ = paired(0, ours=ours)
    return Result(holds=quick or seconds["ours"][0] <= 60, ours=milliseconds(seconds["ours"]))


# What a filter wants to see


def lucent():
    """Return Lucent, which was written for an older kornia: two functions have moved since."""
    warnings.simplefilter("ignore")
    if installed("kornia") is None:
        raise Missing("torch-lucent is not installed")
    kornia, moved = installed("kornia"), installed("kornia.geometry.transform")
    kornia.get_rotation_matrix2d, kornia.warp_affine = moved.get_rotation_matrix2d, moved.warp_affine
    if installed("lucent.optvis.render") is None:
        raise Missing("torch-lucent is not installed")
    return (installed(f"lucent.optvis.{name}") for name in ("objectives", "param", "render"))


class Race:
    """Lucent and ours on one layer of one network: the same size, and the same score, the plain mean of a map."""

    def __init__(self, model, layer, size, steps):
        self.objectives, self.param, self.render = lucent()
        self.model, self.layer, self.size, self.steps = model, layer, size, steps
        self.part = capture.cut(model, layer)

    def theirs(self, channel):
        """Return Lucent's picture."""
        with contextlib.redirect_stdout(io.StringIO()):
            images = self.render.render_vis(
                self.model, self.objectives.channel(self.layer.replace(".", "_"), channel),
                lambda: self.param.image(self.size), thresholds=(self.steps,), preprocess=False, show_image=False,
                progress=False, show_inline=False, fixed_image_size=self.size,
            )  # fmt: skip
        return torch.from_numpy(images[0]).permute(0, 3, 1, 2).float().to(device())

    def ours(self, channel, steps):
        """Return our picture.  The blur that we use for large pictures is left out: Lucent has none, and it costs."""
        settings = features.tuned(self.layer) | {"steps": steps}
        if self.size > 64:
            settings["view"] = features.views(jitter=8, scale=0.1, degrees=8.0)
        score = features.channel(channel, leak=1)
        return features.maximise(self.model, self.layer, score, size=(self.size, self.size), **settings).x

    def bare(self):
        """Make the passes of all steps through the network, cut at the layer."""
        x = torch.rand(1, 3, self.size, self.size).to(device()).requires_grad_()
        for _ in range(self.steps):
            torch.autograd.grad(self.part(x)[:, 0].mean(), x)

    def mean(self, x, channel):
        """Return what both make larger."""
        with torch.no_grad():
            return self.part(x)[0, channel].mean().item()

    def needed(self, channel, goal):
        """Return after how many of our steps, in eighths of theirs, our picture reaches what theirs has."""
        tried = range(self.steps // 8, self.steps + 1, self.steps // 8)
        return next((n for n in tried if self.mean(self.ours(channel, n), channel) >= goal), self.steps)


def equal_steps(race, channels):
    """Return the row of as many steps for both; its range is that over the filters."""
    seconds, won = {"ours": [], "Lucent": [], "bare": []}, 0
    for channel in channels:
        found, made = paired(1, ours=functools.partial(race.ours, channel, race.steps),
                             Lucent=functools.partial(race.theirs, channel), bare=race.bare)  # fmt: skip
        seconds = {name: [*each, found[name][-1]] for name, each in seconds.items()}
        won += race.mean(made["ours"], channel) >= race.mean(made["Lucent"], channel)
    words = f"our mean activation is the larger in {won} of {len(channels)} filters"
    return judged(seconds, words, good=won == len(channels), peer=0.5)


def equal_result(race, channels):
    """Return the row of a picture as good as theirs, from as few of our steps as that takes."""
    seconds, shares, won = {"ours": [], "Lucent": []}, [], 0
    for channel in channels:
        goal = race.mean(race.theirs(channel), channel)
        steps = race.needed(channel, goal)
        found, made = paired(1, ours=functools.partial(race.ours, channel, steps),
                             Lucent=functools.partial(race.theirs, channel))  # fmt: skip
        seconds = {name: [*each, found[name][-1]] for name, each in seconds.items()}
        shares.append(steps / race.steps)
        won += race.mean(made["ours"], channel) >= goal  # theirs begins with other noise each time
    words = (
        f"our mean activation is at least theirs in {won} of {len(channels)} filters, after "
        f"{100 * statistics.median(shares):.0f} % of the steps (median)"
    )
    return judged(seconds, words, good=won == len(channels), peer=0.5)


SUBJECTS = {  # name: what it is, the network, layer, size, filters
    "picturebook": ("picture-book network conv4, 64×64", lambda: picturebook(1), "conv4", 64, (0, 12, 30, 54)),
    "squeezenet": ("SqueezeNet 1.0 fire6, 128×128", lambda: squeezenet(1), "features.7.expand3x3", 128, (3, 17, 40)),
    "resnet18": ("ResNet-18, random weights, layer2, 128×128", lambda: fresh("resnet18", 1), "layer2", 128, (3, 17)),
}
KINDS = {
    "maximise": (f"{STEPS} steps of both", "bare ≤ 1.10; Lucent ≤ 0.5 at ≥ the activation", equal_steps),
    "maximise-equal": (f"until the activation is that of Lucent after {STEPS} steps", "Lucent ≤ 0.5", equal_result),
}
for name, (what, make, layer, size, channels) in SUBJECTS.items():
    for kind, (how, must, compare) in KINDS.items():

        @row(f"{kind}-{name}", SECTION, f"activation maximisation, {how}; {what}", must)
        def maximise(quick, make=make, layer=layer, size=size, channels=channels, compare=compare):
            """One filter after the other."""
            race = Race(make().model, layer, size, 8 if quick else STEPS)
            return compare(race, channels[:1] if quick else channels)
