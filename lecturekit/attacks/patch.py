r"""A patch: something one could print, put beside anything, and be taken for a toaster.

All other attacks hide.  This one is seen by everybody, but it knows neither the picture nor the place where it will
lie.  So it is trained over pictures *and* placements, and shown where it has never been::

    p   a square canvas of colours                          A(p, x, where)   x with p pasted in
    max over p of the mean of log p_target( A(p, x, where) ),   x and where drawn anew in every step

Pasting is done backwards: each pixel of the picture asks where on the canvas it lies (shift, turn by $-\theta$, divide
by the scale) and takes the colour from there, so gradients flow from the network through the pasting into the canvas.

The trap: any large patch covers something.  What counts is the distance to a patch of noise and to a piece of a real
picture of the target class, of the same size and at the same places.

Source: Brown et al. 2017, "Adversarial patch", arXiv:1712.09665, section 2.
"""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch.nn import functional

from lecturekit import measure
from lecturekit.attacks.few_pixels import L0
from lecturekit.attacks.gradient import interruptible
from lecturekit.attacks.guard import attacking, check_steps, checked_logits
from lecturekit.attacks.result import judge
from lecturekit.attacks.scores import cross_entropy
from lecturekit.attacks.threat import into_box
from lecturekit.errors import InputError, ModelError
from lecturekit.pixels import check_pixels
from lecturekit.progress import Step, stopped
from lecturekit.tables import Table


@dataclasses.dataclass(frozen=True, repr=False)
class Patch:
    """A canvas and the placements that it was made for.

    Attributes:
        canvas: (1, C, s, s) in [0, 1].
        target: the class that it is to be taken for.
        scale: least and largest side, as a share of the shorter side of the picture.
        turn: largest turn to either side, in degrees.
        shape: ``"square"`` or ``"disc"``.
        losses: one for each step of training, ``-log p_target``.
        complete: False if training was stopped.
    """

    canvas: torch.Tensor
    target: int
    scale: tuple[float, float]
    turn: float
    shape: str
    losses: tuple[float, ...] = ()
    complete: bool = True

    def __repr__(self):
        """Return one line; the canvas is looked at, not read."""
        least, largest = self.scale
        sizes = f"{least:.0%} to {largest:.0%} of the picture's side, turned by up to {self.turn:g} degrees"
        trained = f", trained for {len(self.losses)} steps" if self.losses else ""
        return f"{self.shape} for class {self.target}: {sizes}{trained}{'' if self.complete else ', STOPPED'}"

    def place(self, x, generator):
        """Return pictures (N, C, H, W) with the patch at a random place, size and turn in each."""
        where = placements(len(x), x.shape[-2:], self.scale, self.turn, generator)
        return into_box(paste(self.canvas.to(x), x, where.to(x), self.shape))  # bilinear weights add up to 1.0000001

    def on(self, model, x, y, *, seed=1):
        """Return the `Adversarial` of pictures with the patch at fresh places; its norms count the pixels covered.

        Pictures of the target class are left out: nothing needs to be done to them.
        """
        other = y != self.target
        x, y = x[other], y[other]
        check_some(y, self.target)
        placed = self.place(x, torch.Generator().manual_seed(seed))
        target = torch.full_like(y, self.target)
        with attacking(model, x, y, target):
            return judge(model, x, placed, y, target, attack="patch", size=L0.size, seed=seed)

    def noise(self, seed=0):
        """Return a patch of random colours that is placed alike: the control that was not trained."""
        canvas = torch.rand(self.canvas.shape, generator=torch.Generator().manual_seed(seed)).to(self.canvas)
        return dataclasses.replace(self, canvas=canvas, losses=())

    def showing(self, picture):
        """Return a patch that shows a real picture (1, C, h, w), shrunk to the canvas: the control that is honest."""
        check_pixels(picture, "picture")
        if picture.shape[:2] != self.canvas.shape[:2]:
            expected = (1, self.canvas.shape[1], "h", "w")
            raise InputError(f"a patch shows one picture {expected}, got shape {tuple(picture.shape)}")
        small = functional.interpolate(picture, self.canvas.shape[-2:], mode="bilinear", antialias=True)
        return dataclasses.replace(self, canvas=into_box(small), losses=())


def train_patch(
    model, x, y, target, *, size=32, scale=(0.3, 0.5), turn=20.0, shape="square", steps=200, batch=20, rate=0.05,
    seed=0, watch=None,
):  # fmt: skip
    """Train a patch that is taken for ``target`` wherever it lies.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.
        x, y: training pictures and their classes; those of the target class are left out.
        target: a class, one whole number.
        size: side of the canvas in pixels; how large it is in a picture says ``scale``.
        scale, turn, shape: see `Patch`.
        steps: of Adam, each on ``batch`` pictures at new places.
        rate: of Adam, in pixel units.
        seed: of the first canvas, the pictures and the places.
        watch: see `lecturekit.progress`; its picture is the canvas.
    Returns: `Patch`.
    Raises: InputError, ModelError: see `guard`; InputError for settings that make no sense.
    """
    check_patch(size, scale, turn, shape)
    for value, name in ((steps, "steps"), (batch, "batch")):
        check_steps(value, name)
    generator, losses = torch.Generator().manual_seed(seed), []
    with attacking(model, x, y), interruptible() as interrupted:
        x, y = x[y != target], y[y != target]
        check_some(y, target)
        canvas = (0.5 + 0.1 * torch.randn(1, x.shape[1], size, size, generator=generator)).to(x).clamp(0, 1)
        canvas.requires_grad_(True)
        optimiser = torch.optim.Adam([canvas], lr=rate)
        for step in range(steps):
            rows = torch.randint(len(x), (batch,), generator=generator).to(x.device)
            where = placements(batch, x.shape[-2:], scale, turn, generator).to(x)
            loss, canvas.grad = canvas_slope(model, x[rows], canvas, where, shape, target)
            optimiser.step()
            canvas.data.clamp_(0, 1)  # a printer has no colours beyond
            losses.append(loss)
            if stopped(watch, Step(step + 1, steps, loss=loss, picture=canvas.detach())):
                break
    complete = len(losses) == steps and not interrupted
    return Patch(canvas.detach(), target, scale, turn, shape, tuple(losses), complete)


def canvas_slope(model, x, canvas, where, shape, target):
    """Return the mean of ``-log p_target`` and its gradient with respect to the canvas (1, C, s, s)."""
    wanted = torch.full((len(x),), target, device=x.device)
    with torch.enable_grad():
        logits = checked_logits(model, paste(canvas, x, where, shape), wanted)
        loss = -cross_entropy(logits, wanted, wanted).mean()  # `cross_entropy` is a score; Adam makes losses smaller
    (grad,) = torch.autograd.grad(loss, canvas)
    if not torch.isfinite(grad).all():
        raise ModelError("the gradient holds NaN or infinite values; Adam would never recover from them")
    return loss.item(), grad


def placements(count, size, scale, turn, generator):
    """Return where patches lie, (count, 4): row and column of the middle and the side in pixels, the angle in radians.

    The whole patch lies in the picture, corners too; where it is too large for that, it lies in the middle.
    """
    u = torch.rand(count, 4, generator=generator, dtype=torch.float64)
    side = min(size) * (scale[0] + (scale[1] - scale[0]) * u[:, 0])
    angle = math.radians(turn) * (2 * u[:, 1] - 1)
    reach = side / 2 * (angle.cos().abs() + angle.sin().abs())  # of a turned square, each way
    middle = [reach + (length - 2 * reach).clamp_min(0) * share for length, share in zip(size, u[:, 2:].T, strict=True)]
    middle = [torch.where(2 * reach > length, length / 2, at) for at, length in zip(middle, size, strict=True)]
    return torch.stack([*middle, side, angle], dim=1)


def paste(canvas, x, where, shape="square"):
    r"""Return pictures with the canvas pasted in: each pixel asks where on the canvas it lies.

    $$(u, v)^T = \frac{2}{\mathrm{side}} R(-\theta) \, (\mathrm{column} - c, \mathrm{row} - r)^T$$  is in [-1, 1] there.

    Args:
        canvas: (1, C, s, s).
        x: (N, C, H, W).
        where: (N, 4), see `placements`.
        shape: ``"square"`` or ``"disc"``.
    """
    row, column, side, angle = (value[:, None, None] for value in where.unbind(1))
    down = torch.arange(x.shape[2]).to(x)[None, :, None] + 0.5 - row  # pixel middles lie at .5
    right = torch.arange(x.shape[3]).to(x)[None, None, :] + 0.5 - column
    u = 2 / side * (angle.cos() * right + angle.sin() * down)  # (N, H, W)
    v = 2 / side * (angle.cos() * down - angle.sin() * right)
    colours = functional.grid_sample(
        canvas.expand(len(x), -1, -1, -1), torch.stack([u, v], dim=-1), padding_mode="border", align_corners=False
    )
    covered = u**2 + v**2 <= 1 if shape == "disc" else (u.abs() <= 1) & (v.abs() <= 1)
    return torch.where(covered[:, None], colours, x)


class Trial(NamedTuple):
    """One row of `against_controls`.

    Attributes:
        patch: which one.
        success: the share taken for the target, of the pictures named rightly before.
        n: how many those are.
    """

    patch: str
    success: measure.Interval
    n: int


def against_controls(model, patch, x, y, picture, *, seed=1):
    """Return the table of the patch, noise of the same size, and a real picture of the target, at the same places.

    Args:
        model, x, y: as in `train_patch`; pictures that were not trained on.
        patch: the `Patch`.
        picture: a picture of the target class, or a piece of one, (1, C, h, w).
        seed: of the places, which are the same for all three.
    """
    patches = {"trained": patch, "noise": patch.noise(), "real picture": patch.showing(picture)}
    found = {name: one.on(model, x, y, seed=seed) for name, one in patches.items()}
    return Table([Trial(name, one.success, int(one.right.sum())) for name, one in found.items()])


def check_some(y, target):
    """Refuse to go on where no picture is of another class than the target."""
    if not len(y):
        raise InputError(f"all pictures are of the target class {target}; a patch needs pictures of other classes")


def check_patch(size, scale, turn, shape):
    """Refuse a patch that cannot be."""
    check_steps(size, "size")
    if not (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1):
        raise InputError(f"scale must be two shares of the picture's side, 0 < least <= largest <= 1, but is {scale}")
    if not 0 <= turn <= 180:
        raise InputError(f"turn must lie in 0 to 180 degrees but is {turn}")
    if shape not in ("square", "disc"):
        raise InputError(f"shape must be 'square' or 'disc' but is {shape!r}")
