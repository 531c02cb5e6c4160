"""What must be true before an attack's answer means anything, and what is put back afterwards.

Most networks that were published as robust were attacked wrongly.  Each line here refuses one way to be wrong: a
network that changes from call to call, answers in probabilities, or answers NaN; labels that do not fit.
"""

import contextlib

import torch

from lecturekit.errors import InputError, ModelError
from lecturekit.pixels import check_pixels


@contextlib.contextmanager
def attacking(model, x, y, target=None):
    """Check the whole situation, freeze the weights for the block, and thaw them after it, also after an error.

    A frozen network is attacked a third faster: no gradient of a weight is ever computed.  Results are the same.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K); every part of it in eval mode.
        x: clean pictures.
        y: true classes (N,), int64.
        target: classes (N,) to be named instead, or None.
    Raises: ModelError for a network in training mode; InputError for anything wrong with pictures or labels.
    """
    check_mode(model)
    check_pixels(x, "x")
    check_labels(y, len(x), "labels")
    if target is not None:
        check_labels(target, len(x), "targets")
        if same := int((target == y).sum()):
            raise InputError(f"{same} of {len(y)} targets are the true class; a target must be another one")
    free = [weight for weight in getattr(model, "parameters", list)() if weight.requires_grad]
    for weight in free:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in free:
            weight.requires_grad_(True)


def check_mode(model):
    """Refuse a network in training mode, and a place where no gradient can be had."""
    training = [name for name, part in getattr(model, "named_modules", list)() if part.training]
    if training:
        where = f" ({training[0]} and {len(training) - 1} more)" if training[0] else ""
        raise ModelError(
            f"an attack needs model.eval(): in training mode dropout and batch norm change the model every step{where}"
        )
    if torch.is_inference_mode_enabled():
        raise InputError("an attack needs gradients: call it outside torch.inference_mode()")


def check_labels(y, count, what):
    """Refuse labels that are not N whole numbers; whether they fit the classes shows with the first logits."""
    if not isinstance(y, torch.Tensor) or y.dtype != torch.long or y.shape != (count,):
        came = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, torch.Tensor) else type(y).__name__
        raise InputError(f"{what} must be {count} whole numbers (int64), one per picture, got {came}")


def checked_logits(model, x, y, target=None):
    """Return ``model(x)`` after looking at it once: logits (N, K), finite, not probabilities, labels among the K.

    Raises: ModelError or InputError that says what the network gave instead.
    """
    logits = model(x)
    if not isinstance(logits, torch.Tensor):
        raise ModelError(
            f"the network must return logits (N, K) but returned a {type(logits).__name__}; wrap it so that it returns "
            "the one tensor that counts"
        )
    if logits.shape[:1] != x.shape[:1] or logits.dim() != 2 or logits.shape[1] < 2:
        raise ModelError(f"the network must return logits (N, K), K >= 2, but returned shape {tuple(logits.shape)}")
    z = logits.detach()
    if not torch.isfinite(z).all():
        raise ModelError(
            f"the network returned NaN or infinite logits for {int((~torch.isfinite(z)).any(1).sum())} of {len(z)} "
            "pictures; argmax would take them for an answer"
        )
    if len(z) and z.min() >= -1e-5 and z.max() <= 1 + 1e-5 and (z.sum(1) - 1).abs().max() < 1e-5:
        raise ModelError(
            "the network seems to return probabilities: take the softmax off its end. Their cross-entropy is flat "
            "where the network is sure, and the attack would stand still"
        )
    for what, classes in (("labels", y), ("targets", target)):
        if classes is not None and len(classes) and not 0 <= classes.min() <= classes.max() < z.shape[1]:
            raise InputError(
                f"{what} must lie in 0 to {z.shape[1] - 1}, got {classes.min().item()} to {classes.max().item()}"
            )
    return logits


def check_steps(steps, name="steps"):
    """Refuse anything but a whole number from 1 on."""
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise InputError(f"{name} must be a whole number from 1 on but is {steps!r}")
