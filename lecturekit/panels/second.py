"""A second opinion: the picture that was made to mislead one network, shown to another.

An attack that works on networks it has never seen is a danger of another kind: whoever wants to mislead a network need
not have it.  So the second network sees three pictures: the clean one, the attacked one and, as a control, noise of the
same size in the same norm.  What noise does to it is no transfer.

The trap: "it says something else than the first network" is no transfer either.  It counts only where the second
network was right about the clean picture or, where nobody knows the truth, where it changes what it said before.
"""

from typing import NamedTuple

import torch

from lecturekit.attacks.guard import checked_logits
from lecturekit.panels.methods import METHODS, Asked
from lecturekit.panels.shelf import names_of_classes
from lecturekit.panels.verdicts import said


class Second(NamedTuple):
    """What another network says.

    Attributes:
        names: of its classes.
        clean, logits, noisy: its logits (1, K) for the clean picture, the attacked one, and noise of the same size.
        y: the true class (1,), or what it says of the clean picture where it does not know the truth.
        known: the true class is one of its own.
    """

    names: tuple
    clean: torch.Tensor
    logits: torch.Tensor
    noisy: torch.Tensor
    y: torch.Tensor
    known: bool

    @property
    def right(self):
        """It named the clean picture rightly."""
        return bool(self.clean.argmax(1) == self.y)

    def misled(self, logits):
        """Tell whether it was right, and is not any more."""
        return self.right and bool(logits.argmax(1) != self.y)


def shown_to(model, found, truth, norm):
    """Show the clean picture, the attacked one and noise to a network.

    Args:
        model: pixels (N, 3, H, W) to logits (N, K), in eval mode.
        found: the `attacks.Adversarial` of one picture, made for another network.
        truth: name of the true class, or None.
        norm: `Linf` or `L2`, in which noise is to be of the same size.
    """
    with torch.no_grad():
        pair = checked_logits(model, torch.cat([found.x0, found.x]), found.y[:0])
    clean, logits = pair.split(1)
    names = names_of_classes(model, pair.shape[1])
    known = truth in names
    y = torch.tensor([names.index(truth)], device=pair.device) if known else clean.argmax(1)
    ball = norm(norm.size(found.delta).item())  # as large as the change is, not as it was allowed to be
    noise = METHODS["noise"].run(model, found.x0, y, Asked(ball, None, 1, 1, False, None))
    return Second(names, clean, logits, noise.logits, y, known)


def about_second(second):
    """Return what the second network says of the three pictures, and whether that is a success of the attack."""
    before, after, noisy = (said(logits, second.names) for logits in (second.clean, second.logits, second.noisy))
    return f"before {before}; after {after}: {verdict(second)}\nnoise of the same size: {noisy}"


def verdict(second):
    """Return in words whether the picture misleads the second network, and not only because noise would."""
    if not second.right:
        return "it was wrong already"
    if not second.misled(second.logits):
        return "not misled"
    also = ", but noise misleads it too" if second.misled(second.noisy) else ""
    return f"misled as well{also}" if second.known else f"it changes its mind{also}"
