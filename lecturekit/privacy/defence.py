r"""Defences on the code: what the telephone can do before it sends, what that costs, and what it buys.

==============  ===========================================  ==========================================
defence         what it does to a code                       strength
==============  ===========================================  ==========================================
`noise`         adds Gaussian noise                          its deviation, in deviations of the code
`channel_drop`  sets some filters to zero, always the same   the share that is dropped
`quantise`      rounds each value to a multiple of a step    the step, in deviations of the code
a deeper cut    sends the code of a later layer              the layer
robust twin     another network, trained on attacked input   -
==============  ===========================================  ==========================================

Each is weighed on two scales, by the same codes: *utility*, how often the rest of the network still names the picture
rightly, and *privacy*, how often the person is still found.  A defence is worth what it does to the second for what it
takes from the first.

The trap: a defence is often judged by looking at what an attacker who does not know of it gets.  He will know of it.
An inverse network that was trained on undefended codes falls for a little noise; one that was trained on noisy ones, or
an optimisation that asks for the filters that are left, does not.  `curve` takes the attacker as an argument.
"""

import dataclasses
from typing import NamedTuple

import torch

from lecturekit import capture, measure
from lecturekit.errors import InputError
from lecturekit.measure import Interval
from lecturekit.privacy.judges import in_batches
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table


@dataclasses.dataclass(frozen=True)
class Defence:
    """Something done to codes (N, ...) before they are sent.

    Attributes:
        name: in words.
        apply: (codes, strength) -> codes.
        strengths: from none to strong, for a curve.
    """

    name: str
    apply: object
    strengths: tuple

    def __call__(self, codes, strength):
        """Return the codes that are sent, (N, ...)."""
        return self.apply(codes, strength)


def noise(codes, strength, seed=0):
    """Add Gaussian noise with ``strength`` times the deviation of the codes, over all their values.

    Raises: InputError for a negative strength.
    """
    if strength < 0:
        raise InputError(f"the strength of noise is a deviation, 0 or more, got {strength}")
    generator = torch.Generator().manual_seed(seed)  # on the processor: the same noise on every device
    return codes + strength * codes.std() * torch.randn(codes.shape, generator=generator).to(codes)


def channel_drop(codes, strength, seed=0):
    """Set a share ``strength`` of the filters to zero, the same ones for every picture.

    Raises: InputError for a share outside [0, 1).
    """
    if not 0 <= strength < 1:
        raise InputError(f"the share of dropped filters lies in [0, 1), got {strength}")
    order = torch.randperm(codes.shape[1], generator=torch.Generator().manual_seed(seed)).to(codes.device)
    kept = torch.ones(codes.shape[1], device=codes.device)
    kept[order[: round(strength * codes.shape[1])]] = 0
    return codes * kept.view(1, -1, *[1] * (codes.dim() - 2))


def quantise(codes, strength):
    """Round each value to a multiple of ``strength`` deviations of the codes; zero stays zero.

    Raises: InputError for a negative strength.
    """
    if strength < 0:
        raise InputError(f"the strength of rounding is a step in deviations, 0 or more, got {strength}")
    step = strength * codes.std()
    return (codes / step).round() * step if step > 0 else codes


NOISE = Defence("noise on the code", noise, (0, 0.25, 0.5, 1, 2, 4))
CHANNELS = Defence("filters dropped", channel_drop, (0, 0.25, 0.5, 0.75, 0.9, 0.97))
STEPS = Defence("values rounded", quantise, (0, 0.5, 1, 2, 3, 4))
DEFENCES = {"noise": NOISE, "channel drop": CHANNELS, "quantisation": STEPS}


class Point(NamedTuple):
    """One point of a privacy-utility curve.

    Attributes:
        strength: of the defence.
        accuracy: how often the rest of the network names the picture rightly.
        top1: how often the person is found among all of the gallery.
        ssim: of the attacker's pictures: what the eye would say.
    """

    strength: object
    accuracy: Interval
    top1: Interval
    ssim: Interval


def curve(defence, model, layer, attacker, faces, gallery, objects, *, strengths=None, watch=None):
    """Weigh a defence on both scales, at each strength.

    Args:
        defence: a `Defence`, one of `DEFENCES` or your own.
        model: an ``nn.Sequential``; the first half is the telephone's.
        layer: where it is cut.
        attacker: (codes, strength) -> pictures (N, 3, H, W) in [0, 1]; one that does not care ignores the strength.
        faces: pictures (N, 3, H, W) of people, and who they show (N,).
        gallery: a `reidentify.Gallery` of the same people.
        objects: pictures (M, 3, H, W) of all classes, and their classes (M,), for the utility.
        strengths: those of the defence if None.
        watch: see `lecturekit.progress`; told after each strength.
    Returns: a table of `Point`; those so far if ``watch`` stopped it.
    """
    (x, people), (pictures, labels) = faces, objects
    before, behind = capture.cut(model, layer), capture.rest(model, layer)
    codes, useful = in_batches(before, x), in_batches(before, pictures)
    strengths, points = defence.strengths if strengths is None else strengths, []
    for done, strength in enumerate(strengths, start=1):
        answers = in_batches(lambda code: behind(code).argmax(1), defence(useful, strength))
        seen = attacker(defence(codes, strength), strength)
        points.append(
            Point(
                strength,
                measure.share(answers == labels.to(answers.device)),
                gallery.find(seen, people).top[1],
                measure.bootstrap(measure.ssim(seen, x).cpu()),
            )
        )
        if stopped(watch, Step(done, len(strengths), note=f"{defence.name}: {strength}")):
            break
    return Table(points, Point._fields)


def decoding(net):
    """Return the attacker who sends every code through one inverse network, whatever was done to it."""
    return lambda codes, _strength: in_batches(net, codes)
