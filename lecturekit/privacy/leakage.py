"""Leakage by layer: what a picture that was brought back from a code still says about the person in it.

    picture --> network, up to a layer --> code --> an attacker --> reconstruction --> judges
                                                                                       who?  what is she like?

Five numbers for each layer, none of which needs an opinion: how often the person is found among all people of a gallery
(top-1 and top-5), how often each trait is read rightly, PSNR and SSIM.

The trap: PSNR and SSIM are about pixels, and pixels are not the person.  He et al. call a picture with an SSIM below
0.3 unrecognisable; `unrecognisable` asks the judges about just those pictures.

Source: He, Zhang & Lee 2019, "Model inversion attacks against collaborative inference", ACSAC, section 4.
"""

from typing import NamedTuple

import torch

from lecturekit import measure
from lecturekit.errors import InputError
from lecturekit.measure import Interval
from lecturekit.pictures.traits import QUESTIONS
from lecturekit.privacy.judges import traits_read
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table

UNRECOGNISABLE = 0.3  # SSIM; He et al. 2019


class Leak(NamedTuple):
    """What leaks from one layer.

    Attributes:
        layer: its name; "picture" for the originals themselves, the most that a judge can see.
        top1, top5: how often the right person is the nearest of the gallery, or among the five nearest.
        skin, hair, eyes, expression, background: how often each is read rightly; None where nobody knows the truth.
        psnr, ssim: of the reconstructions, mean with interval; None for the originals.
    """

    layer: str
    top1: Interval
    top5: Interval | None
    skin: Interval | None = None
    hair: Interval | None = None
    eyes: Interval | None = None
    expression: Interval | None = None
    background: Interval | None = None
    psnr: Interval | None = None
    ssim: Interval | None = None


def leakage(reconstructions, x0, people, gallery, answers=None, *, watch=None):
    """Ask the judges about reconstructions from several layers, and about the originals.

    Args:
        reconstructions: {layer: pictures (N, C, H, W) in [0, 1]}; see `attackers`.
        x0: the originals, (N, C, H, W).
        people: who they show, (N,).
        gallery: a `reidentify.Gallery` with other pictures of the same people.
        answers: the truth about each original, (N, 5), see `pictures.traits.answers`; None where it is not known.
        watch: see `lecturekit.progress`; told after each layer.
    Returns: a table of `Leak`, the originals first; the layers so far if ``watch`` stopped it.
    Raises: InputError for reconstructions that do not belong to ``x0``, and as `Gallery.find`.
    """
    for layer, x in reconstructions.items():
        if x.shape != x0.shape:
            raise InputError(f"{layer}: reconstructions {tuple(x.shape)} of originals {tuple(x0.shape)}")
    rows = [judged("picture", x0, people, gallery, answers)]
    for done, (layer, x) in enumerate(reconstructions.items(), start=1):
        likeness = {"psnr": mean(measure.psnr(x, x0)), "ssim": mean(measure.ssim(x, x0))}
        rows.append(judged(layer, x, people, gallery, answers)._replace(**likeness))
        if stopped(watch, Step(done, len(reconstructions), note=layer)):
            break
    return Table(rows, Leak._fields)


def judged(layer, x, people, gallery, answers):
    """Return a `Leak` without likeness."""
    found = gallery.find(x, people)
    traits = {} if answers is None else traits_read(x, answers)
    return Leak(layer, found.top[1], found.top.get(5), *(traits.get(question) for question in QUESTIONS))


def mean(values):
    """Return the mean with its interval; an exact reconstruction has an infinite PSNR, which has no mean."""
    return measure.bootstrap(values.clamp(max=100).cpu())


class Below(NamedTuple):
    """What the judges say of reconstructions that He et al. would call unrecognisable.

    Attributes:
        layer: where they come from.
        share: how many of all have an SSIM below 0.3.
        found: how often the right person is nearest among those; None if there are none.
        chance: how often guessing finds the right person.
    """

    layer: str
    share: Interval
    found: Interval | None
    chance: float


def unrecognisable(reconstructions, x0, people, gallery, limit=UNRECOGNISABLE):
    """Ask whether pictures with a low SSIM are safe: a table of `Below`.

    Args: see `leakage`; ``limit`` is the SSIM below which a picture counts as unrecognisable.
    """
    rows = []
    for layer, x in reconstructions.items():
        below = measure.ssim(x, x0) < limit
        found = gallery.find(x[below], torch.as_tensor(people)[below.cpu()]) if below.any() else None
        rows.append(Below(layer, measure.share(below), found and found.top[1], 1 / len(gallery)))
    return Table(rows, Below._fields)
