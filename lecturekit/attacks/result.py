"""What an attack gives back: pictures, and everything needed to doubt them.

Success is measured again at the very end, by a fresh forward pass over the finished pictures: not on the last picture
that an attack happened to look at, and not before it was brought back into the ball.

The trap: a share of "pictures misled" counts those that the network got wrong to begin with.  Here they are kept apart:
``accuracy`` counts them as wrong, ``success`` leaves them out.
"""

import dataclasses
from typing import Any

import torch

from lecturekit import measure
from lecturekit.attacks.guard import checked_logits
from lecturekit.attacks.scores import reached
from lecturekit.attacks.threat import L2, ROUNDING, Ball
from lecturekit.errors import InputError


@dataclasses.dataclass(frozen=True)
class Adversarial:
    """The result of one attack on N pictures.

    Attributes:
        attack: its name.
        ball: what it was allowed to do; None for an attack that looks for the smallest change.
        x0, x: clean and attacked pictures (N, C, H, W) in [0, 1].
        y, target: true classes, and the classes to be named instead, or None.
        clean, logits: what the network says of both, (N, K); of the attacked ones measured afresh.
        norms: the size of each change, in the norm of the attack: (N,).
        gradients, queries: how often the network was differentiated and how often only asked, for each picture: (N,).
        flat: for each picture, how often its gradient was exactly zero: (N,).
        seed: of everything random in it.
        complete: False if it was stopped; the pictures are then the best so far.
    """

    attack: str
    ball: Ball | None
    x0: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    target: torch.Tensor | None
    clean: torch.Tensor
    logits: torch.Tensor
    norms: torch.Tensor
    gradients: torch.Tensor
    queries: torch.Tensor
    flat: torch.Tensor
    seed: int | None
    complete: bool

    def __len__(self):
        return len(self.x)

    @property
    def right(self):
        """The network names the clean picture rightly: (N,) bool."""
        return self.clean.argmax(1) == self.y

    @property
    def misled(self):
        """The network says of the attacked picture what the attacker wanted: (N,) bool."""
        return reached(self.logits, self.y, self.target)

    @property
    def stood(self):
        """The picture was named rightly and still is: (N,) bool.  Their share is the robust accuracy."""
        return self.right & (self.logits.argmax(1) == self.y)

    @property
    def accuracy(self):
        """The share of all pictures that stood, a `measure.Interval`."""
        return measure.share(self.stood)

    @property
    def success(self):
        """The share misled of the pictures that were right to begin with, a `measure.Interval`."""
        return measure.share(self.misled[self.right])

    @property
    def delta(self):
        """The change of each picture (N, C, H, W)."""
        return self.x - self.x0

    @property
    def unchanged(self):
        """The picture is the clean one, to the last bit: (N,) bool."""
        return (self.x == self.x0).flatten(1).all(1)

    def __str__(self):
        """Return the self-check: one line that names what is suspicious."""
        within = f" within {self.ball}" if self.ball else ""
        words = [f"{self.attack}{within}: {int((self.misled & self.right).sum())} of {int(self.right.sum())} misled"]
        if already := int((~self.right).sum()):
            words.append(f"{already} were wrong before")
        if still := int((self.unchanged & ~self.misled).sum()):
            words.append(f"{still} right and UNCHANGED")
        if flat := int((self.flat > 0).sum()):
            words.append(f"{flat} met a gradient of ZERO (try score=margin)")
        if len(self):
            words.append(f"median norm {self.norms.median().item():.3g}")
            words.append(f"{self.gradients.float().mean().item():.3g} gradients a picture")
            if self.queries.any():
                words.append(f"{self.queries.float().mean().item():.3g} queries a picture")
        if not self.complete:
            words.append("STOPPED before its end")
        return ", ".join(words)

    def rounded(self, model):
        """Return the same result for pictures of 256 grey levels, as a file would hold them, measured again.

        The clean picture is put on the grid first.  Where rounding would leave the ball, the change is cut down to
        whole levels instead: never longer than it was, wherever between two levels the clean picture lay.
        """
        x0, x = (255 * self.x0).round() / 255, (255 * self.x).round() / 255
        if self.ball is not None:
            outside = self.ball.size(x - x0) > self.ball.eps + ROUNDING
            whole = self.delta.sign() * (255 * self.delta.abs() + 1e-3).floor()  # what float32 calls 7.9999 is 8
            x = torch.where(outside[:, None, None, None], x0 + whole / 255, x).clamp(0, 1)
        counts = {name: getattr(self, name) for name in ("gradients", "queries", "flat", "seed", "complete")}
        return judge(model, x0, x, self.y, self.target, attack=f"{self.attack}, 8 bits", ball=self.ball, **counts)


def judge(model, x0, x, y, target=None, *, attack, ball=None, size=None, clean=None, batch=250, **counts):
    """Measure finished pictures afresh and return the `Adversarial` that says what they are worth.

    Args:
        model, x0, x, y, target: as in `Adversarial`.
        attack, ball: its name, and what it was allowed to do.
        size: changes (N, C, H, W) to norms (N,); the ball's own norm if there is one, else L2.
        clean: what the network said of the clean pictures, (N, K), if the attack asked; a pass less.
        batch: pictures in one forward pass.
        counts: ``gradients``, ``queries``, ``flat`` (N,), ``seed``, ``complete``; else they are zero, None and True.
    Raises: InputError if a picture left the ball or the box: then the attack is wrong, not the network weak.
    """
    x0, x = x0.detach(), x.detach()
    norms = (ball.size if ball else size or L2.size)(x - x0)
    if len(x) and ball is not None and norms.max() > ball.eps + ROUNDING * max(1, ball.eps):
        raise InputError(f"{attack} left its ball: a change of {norms.max().item():.6g}, allowed {ball.eps:.6g}")
    if len(x) and not (x.min() >= 0 and x.max() <= 1):
        raise InputError(f"{attack} left the box: values from {x.min().item():.6g} to {x.max().item():.6g}")
    none = torch.zeros(len(x), dtype=torch.long, device=x.device)
    known: dict[str, Any] = {"gradients": none, "queries": none, "flat": none, "seed": None, "complete": True}

    def said(pictures):
        parts = [checked_logits(model, part, y[:0], None) for part in pictures.split(batch)]
        return torch.cat(parts) if len(pictures) else model(pictures)

    with torch.no_grad():
        clean, logits = said(x0) if clean is None else clean, said(x)
    return Adversarial(attack, ball, x0, x, y, target, clean, logits, norms, **(known | counts))
