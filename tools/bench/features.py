"""Feature visualisation: a gallery of a whole layer, and activation maximisation beside Lucent."""

import contextlib
import io
import statistics
import time
import warnings
from functools import partial
from pathlib import Path

import torch
from rows import Missing, Result, row
from timing import milliseconds, paired, ratio

from lecturekit import capture, deconv, features, networks
from lecturekit.networks import imagenet

SECTION = "Feature visualisation"
SHARED = Path(__file__).resolve().parents[3] / "shared"
SQUEEZENET = SHARED / "weights" / "squeezenet1_0_imagenet" / "squeezenet1_0_deepcomp_imagenet.pt"
SQUEEZENET_SHA256 = "8b0631616445a2e485eecb95eccea249712ad7001fc09f701698396aa6203cee"


def peak_gb():
    """Return the most memory that this process ever held, in GB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # kilobytes on Linux


def strongest(model, x, channel):
    """Return the projection of the strongest activation of one filter in each picture: the one a gallery lists."""
    seen = deconv.climb(model, x, "conv5")
    return deconv.project(seen, deconv.strongest(seen, channel))


@row("gallery", SECTION, "all 64 filters of conv5 over 5,000 drawings, top 9 with DeconvNet projections", "≤ 60 s")
def gallery(quick):
    """Find the nine strongest patches of each filter, then project each of the 576 activations by itself."""
    from lecturekit.pictures.picturebook import PictureBook

    model, book = networks.load("picturebook"), PictureBook("train", 200 if quick else 5_000)
    before, start = peak_gb(), time.process_time()
    found = features.gallery(model, "conv5", book, cache=False)

    for channel in set(range(len(found.values))) - set(found.silent):
        found.projections(book, channel, lambda x, channels, _: strongest(model, x, int(channels[0])))
    seconds = time.process_time() - start
    return Result(quality=f"peak memory {peak_gb():.2f} GB, of which {before:.2f} GB before it began",
                  holds=quick or seconds <= 60, ours=f"{seconds:.1f} s")  # fmt: skip


def lucent():
    """Return Lucent, which was written for an older kornia: two functions have moved since."""
    try:
        import kornia
        import kornia.geometry.transform as moved

        kornia.get_rotation_matrix2d, kornia.warp_affine = moved.get_rotation_matrix2d, moved.warp_affine
        from lucent.optvis import objectives, param, render
    except ImportError:
        raise Missing("torch-lucent is not installed") from None
    return objectives, param, render


def beside_lucent(model, layer, size, channels, quick):
    """Return the row: the same steps, size and layer, and the same score, the plain mean of one filter's map.

    A second figure answers the user's question: after how many of our steps is a picture as good as theirs?
    """
    objectives, param, render = lucent()
    warnings.simplefilter("ignore")
    steps, part = 16 if quick else 128, capture.cut(model, layer)

    def theirs(channel):
        with contextlib.redirect_stdout(io.StringIO()):
            images = render.render_vis(
                model, objectives.channel(layer.replace(".", "_"), channel), lambda: param.image(size),
                thresholds=(steps,), preprocess=False, show_image=False, progress=False, show_inline=False,
                fixed_image_size=size,
            )  # fmt: skip
        return torch.from_numpy(images[0]).permute(0, 3, 1, 2).float()

    def ours(channel, steps=steps):
        settings = features.tuned(layer) | {"steps": steps}
        return features.maximise(model, layer, features.channel(channel, leak=1), size=(size, size), **settings).x

    def bare():
        x = torch.rand(1, 3, size, size).requires_grad_()
        for _ in range(steps):
            torch.autograd.grad(part(x)[:, 0].mean(), x)

    def mean(x, channel):
        with torch.no_grad():
            return part(x)[0, channel].mean().item()

    over_bare, over_peer, won, share, seconds = [], [], 0, [], None
    for channel in channels[: 1 if quick else None]:
        made = {}
        makers = {"theirs": partial(theirs, channel), "ours": partial(ours, channel)}
        seconds = paired(1, **{name: partial(keep, made, name, make) for name, make in makers.items()}, bare=bare)
        over_peer += [a / b for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)]
        over_bare += [a / b for a, b in zip(seconds["ours"], seconds["bare"], strict=True)]
        goal = mean(made["theirs"], channel)
        won += mean(made["ours"], channel) >= goal
        fewer = (n for n in range(steps // 8, steps + 1, steps // 8) if mean(ours(channel, n), channel) >= goal)
        share.append(next(fewer, steps) / steps)
    one = [1.0] * len(over_peer)
    return Result(str(ratio(over_bare, one)), str(ratio(over_peer, one)),
                  f"our mean activation is the larger in {won} of {len(share)} filters; as large as theirs after "
                  f"{100 * statistics.median(share):.0f} % of the steps (median)",
                  statistics.median(over_peer) <= 0.5 and won == len(share), milliseconds(seconds["ours"]))  # fmt: skip


def keep(made, name, make):
    """Put what ``make()`` returns into ``made``."""
    made[name] = make()


@row("maximise-picturebook", SECTION, "activation maximisation, picture-book conv4, 64×64, 128 steps, beside Lucent",
     "peer ≤ 0.5 at ≥ the activation")  # fmt: skip
def maximise_picturebook(quick):
    """Four filters."""
    return beside_lucent(networks.load("picturebook"), "conv4", 64, [0, 12, 30, 54], quick)


@row("maximise-squeezenet", SECTION, "activation maximisation, SqueezeNet fire6, 128×128, 128 steps, beside Lucent",
     "peer ≤ 0.5 at ≥ the activation")  # fmt: skip
def maximise_squeezenet(quick):
    """Three filters of a real ImageNet network."""
    if not SQUEEZENET.exists():
        raise Missing(f"{SQUEEZENET.name} is not at hand")
    model = imagenet.load("squeezenet1_0", SQUEEZENET, sha256=SQUEEZENET_SHA256)
    return beside_lucent(model, "features.7.expand3x3", 128, [3, 17, 40], quick)
