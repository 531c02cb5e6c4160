"""How cost grows: the same work at several sizes, and the exponent p of time ~ size ** p between them.

A job that looks at every pixel, picture, filter or submission once has p = 1, or less where a fixed part is shared.
What is above 1.05 has a loop in a loop somewhere.  Each size is measured several times and the fastest counts, because
whatever disturbs only makes slower.

Where a batch is worked on, memory must grow with it; where pictures stream by, it must not: ``bounded`` rows hold only
if the largest size takes the process no more than a fifth above what the smallest takes.
"""

import functools
import os
from collections import OrderedDict

import torch
from memory import forget_peak, peak_gb
from rows import Result, row
from subjects import noise, picturebook
from timing import clock, device, exponent

from lecturekit import attacks, deconv, features, inversion, networks
from lecturekit.networks import imagenet
from lecturekit.networks.layers import Normalize

SECTION = "How cost grows"
MOST = 1.05
BOUND = 1.2


def grown(sizes, make, quick, *, rounds=3, counts=lambda size: size, bounded=False, what="", now=clock):
    """Return the row of a job at several sizes.

    Args:
        sizes: rising; two of them when quick.
        make: a size to the function that is measured.
        rounds: at each size, after one for warming up; one in all for what takes longer than ten seconds.
        counts: a size to the amount of work, e.g. pixels.
        bounded: whether memory may not grow.
        what: the unit of a size, as words.
        now: the clock.
    """
    sizes = sizes[:2] if quick else sizes
    seconds, peaks = [], []
    for size in sizes:
        job = make(size)
        forget_peak()
        tried = []
        while len(tried) < (1 if quick or (tried and tried[0] > 10) else rounds + 1):
            start = now()
            job()
            tried.append(now() - start)
        seconds.append(min(tried))
        peaks.append(peak_gb())
        del job
    power = exponent([counts(size) for size in sizes], seconds)
    words = f"p = {power:.2f} from {sizes[0]:,} to {sizes[-1]:,} {what}".rstrip()
    words += f"; {seconds[0]:.3g} s to {seconds[-1]:.3g} s; peak memory {peaks[0]:.2f} to {peaks[-1]:.2f} GB"
    enough = not (bounded and peaks[-1] > BOUND * peaks[0])
    return Result("", "", words, quick or (round(power, 2) <= MOST and enough), f"{seconds[-1]:.3g} s")


def everybody():
    """Return the seconds that this process and those that it started and saw end have spent computing."""
    return sum(os.times()[:4])


# Larger pictures

SIDES = (32, 64, 128, 256)


def square(side):
    """Return the pixels of a picture."""
    return side * side


@row("grow-pixels-pgd", SECTION, "PGD, 5 steps, 4 pictures of 32 to 256 pixels a side; ResNet-18, random weights",
     "p of pixels ≤ 1.05")  # fmt: skip
def pixels_pgd(quick):
    """A network that takes any size."""
    model = imagenet.untrained("resnet18").to(device())

    def make(side):
        x = noise(4, side)
        y = model(x).argmax(1)
        return lambda: attacks.pgd(model, x, y, steps=5, leave=False)

    return grown(SIDES, make, quick, counts=square, what="pixels a side")


@row("grow-pixels-deconvnet", SECTION, "one whole map of conv5, 4 pictures of 32 to 256 pixels a side",
     "p of pixels ≤ 1.05")  # fmt: skip
def pixels_deconvnet(quick):
    """Convolutions and poolings only, so any size will do."""
    model = networks.load("picturebook").to(device())

    def make(side):
        x = noise(4, side)

        def job():
            seen = deconv.climb(model, x, "conv5")
            return deconv.project(seen, deconv.top_filters(seen, 1))

        return job

    return grown(SIDES, make, quick, counts=square, what="pixels a side")


@row("grow-pixels-inversion", SECTION, "inversion of conv3, 20 evaluations of L-BFGS, 32 to 256 pixels a side",
     "p of pixels ≤ 1.05")  # fmt: skip
def pixels_inversion(quick):
    """One picture."""
    model = networks.load("picturebook").to(device())
    phi = inversion.representation(model, "conv3")

    def make(side):
        phi0 = phi(noise(1, side)).detach()
        return lambda: inversion.invert(phi, phi0, size=(side, side), steps=20)

    return grown(SIDES, make, quick, counts=square, what="pixels a side")


@row("grow-pixels-maximise", SECTION, "activation maximisation, conv4, 20 steps, 32 to 256 pixels a side",
     "p of pixels ≤ 1.05")  # fmt: skip
def pixels_maximise(quick):
    """One filter."""
    model = networks.load("picturebook").to(device())
    settings = features.tuned("conv4") | {"steps": 20}

    def make(side):
        return lambda: features.maximise(model, "conv4", features.channel(12), size=(side, side), **settings)

    return grown(SIDES, make, quick, counts=square, what="pixels a side")


# Larger batches

BATCHES = (1, 8, 64, 512)


@row("grow-batch-pgd", SECTION, "PGD, 5 steps, batches of 1 to 512; picture-book network, 64×64", "p ≤ 1.05")
def batch_pgd(quick):
    """Every picture to the end."""
    model, x, y = picturebook(8 if quick else 512)
    return grown(BATCHES, lambda n: lambda: attacks.pgd(model, x[:n], y[:n], steps=5, leave=False), quick,
                 what="pictures")  # fmt: skip


@row("grow-batch-deconvnet", SECTION, "one whole map of conv5, batches of 1 to 512; picture-book network, 64×64",
     "p ≤ 1.05")  # fmt: skip
def batch_deconvnet(quick):
    """Up and down."""
    model, x, _ = picturebook(8 if quick else 512)

    def make(n):
        def job():
            seen = deconv.climb(model, x[:n], "conv5")
            return deconv.project(seen, deconv.top_filters(seen, 1))

        return job

    return grown(BATCHES, make, quick, what="pictures")


@row("grow-batch-inversion", SECTION, "inversion of conv3, 10 evaluations of L-BFGS, batches of 1 to 512", "p ≤ 1.05")
def batch_inversion(quick):
    """All pictures side by side."""
    model, x, _ = picturebook(8 if quick else 512)
    phi = inversion.representation(model, "conv3")

    def make(n):
        phi0 = phi(x[:n]).detach()
        return lambda: inversion.invert(phi, phi0, steps=10)

    return grown(BATCHES, make, quick, what="pictures")


# More pictures


class Repeated:
    """So many drawings, which are a thousand over and over: a stream looks at each of them anew."""

    def __init__(self, drawings, count):
        self.x, self.count = drawings, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        """Return one picture, (3, 64, 64)."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.x[index % len(self.x)]


DATA = (1_000, 10_000, 100_000)
AGAIN, BOUNDED = "the same thousand again and again", "p ≤ 1.05; memory bounded"


def streamed(job, quick, sizes=DATA):
    """Return the row of a job that looks at a data set of many pictures."""
    model, x, _ = picturebook(100 if quick else 1000, split="train")
    x = x.cpu()
    sizes = (100, 200) if quick else sizes
    return grown(sizes, lambda n: functools.partial(job, model, Repeated(x, n)), quick, rounds=1, bounded=True,
                 what="pictures")  # fmt: skip


@row("grow-data-gallery", SECTION, f"gallery of conv5 over 1,000 to 100,000 drawings, {AGAIN}", BOUNDED)
def data_gallery(quick):
    """Nine of each filter are kept, whatever streams by."""
    return streamed(lambda model, data: features.gallery(model, "conv5", data, cache=False), quick)


@row("grow-data-census", SECTION, f"census of all filters over 1,000 to 25,000 drawings, {AGAIN}", BOUNDED)
def data_census(quick):
    """All layers look at every drawing, at ten milliseconds each."""
    return streamed(features.census, quick, (1_000, 5_000, 25_000))


@row("grow-data-drawing", SECTION, "drawing 1,000 to 100,000 pictures of the book and reading them from the disk",
     "p ≤ 1.05")  # fmt: skip
def data_drawing(quick):
    """The book itself is held in memory: 16 KB a picture.  Other processes draw, so it is their time that counts."""
    from lecturekit.pictures.picturebook import PictureBook

    sizes = (500, 1_000) if quick else DATA
    return grown(sizes, lambda n: lambda: PictureBook("train", n, cache=False), quick, rounds=0, what="pictures",
                 now=everybody)  # fmt: skip


# More filters

FILTERS = (64, 128, 256, 512)


def wide(filters):
    """Return a small network whose second convolution has so many filters."""
    torch.manual_seed(0)
    layers = OrderedDict(
        normalize=Normalize(), conv1=torch.nn.Conv2d(3, 32, 5, padding=2), relu1=torch.nn.ReLU(),
        pool1=torch.nn.MaxPool2d(2), conv2=torch.nn.Conv2d(32, filters, 3, padding=1), relu2=torch.nn.ReLU(),
    )  # fmt: skip
    return torch.nn.Sequential(layers).eval().requires_grad_(False).to(device())


@row("grow-filters-gallery", SECTION, "gallery of a layer of 64 to 512 filters, 200 pictures", "p ≤ 1.05")
def filters_gallery(quick):
    """The nine strongest patches of each."""
    data = noise(40 if quick else 200, 64).cpu()

    def make(filters):
        model = wide(filters)
        return lambda: features.gallery(model, "conv2", data, cache=False)

    return grown(FILTERS, make, quick, what="filters")


@row("grow-filters-deconvnet", SECTION, "projections of the nine strongest patches of 64 to 512 of 512 filters",
     "p ≤ 1.05")  # fmt: skip
def filters_deconvnet(quick):
    """One filter after the other, nine pictures each."""
    model, data = wide(512), noise(20, 64).cpu()
    found = features.gallery(model, "conv2", data, cache=False)

    def project(x, channels, _):
        seen = deconv.climb(model, x.to(device()), "conv2")
        return deconv.project(seen, deconv.strongest(seen, int(channels[0]))).cpu()

    def make(filters):
        return lambda: [found.projections(data, k, project) for k in range(filters) if k not in found.silent]

    return grown((4, 8) if quick else FILTERS, make, quick, rounds=1, what="filters")


@row(
    "grow-filters-maximise", SECTION, "activation maximisation of 64 to 512 of 512 filters, 5 steps, 32×32", "p ≤ 1.05"
)
def filters_maximise(quick):
    """In batches of 32; each filter has a picture of its own."""
    model, settings = wide(512), features.tuned("conv2") | {"steps": 5}

    def make(filters):
        def job():
            for k in range(0, filters, 32):
                wish = features.channel(list(range(k, min(k + 32, filters))))
                features.maximise(model, "conv2", wish, size=(32, 32), **settings)

        return job

    return grown((4, 8) if quick else FILTERS, make, quick, rounds=1, what="filters")
