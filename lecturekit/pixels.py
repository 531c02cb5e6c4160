"""The pixel contract, in one function: pictures are float tensors (N, C, H, W) in [0, 1].

A picture in grey levels 0-255, or one that is normalised already, goes through most networks without a word and gives
nonsense.  So it is refused here, at the border, with the line that mends it.
"""

import torch

from lecturekit.errors import InputError

TOLERANCE = 1e-6  # float32 rounds 1 - 0.3 * 0.1 - ... a little past the border; nobody sees it


def check_pixels(x, name="x"):
    """Return ``x`` unchanged if it keeps the pixel contract, and say what is wrong with it if not.

    Args:
        x: what should be pictures: float tensor (N, C, H, W) in [0, 1]; N may be 0.
        name: what the caller calls it; the message uses it.
    Raises: InputError for another type, dtype, number of axes or range, or for values that are not finite.
    """
    if not isinstance(x, torch.Tensor):
        raise InputError(f"{name} must be a tensor (N, C, H, W) in [0, 1], got {type(x).__name__}; {_remedy(x)}")
    if not x.is_floating_point():
        raise InputError(f"{name} must hold floats in [0, 1], got {x.dtype}; pass {name}.float() / 255")
    if x.dim() != 4:
        remedy = f"pass {name}[None] for a batch of one" if x.dim() == 3 else "see pictures for ready batches"
        raise InputError(f"{name} must have four axes (N, C, H, W), got shape {tuple(x.shape)}; {remedy}")
    if x.shape[1] not in (1, 3) and x.shape[-1] in (1, 3):
        raise InputError(f"{name} has shape {tuple(x.shape)}: colours come last; pass {name}.permute(0, 3, 1, 2)")
    if 0 in x.shape[1:]:
        raise InputError(f"{name} has shape {tuple(x.shape)}: pictures without a single value")
    if len(x):
        _check_values(x.detach(), name)
    return x


def _check_values(x, name):
    """Refuse values that are not finite or not in [0, 1]."""
    low, high = (bound.item() for bound in x.aminmax())  # one pass; NaN and infinity show in them
    if not low >= -TOLERANCE or not high <= 1 + TOLERANCE:
        wrong = (~torch.isfinite(x)).nonzero()
        if len(wrong):
            first = tuple(wrong[0].tolist())
            raise InputError(f"{name} has {len(wrong)} values that are not finite, the first one at {first}")
        reach = f"reaches {high:.4g}" if high > 1 else f"falls to {low:.4g}"
        raise InputError(f"{name} must lie in [0, 1] but {reach}; {_range_remedy(low, high, name)}")


def _range_remedy(low, high, name):
    """Guess from the range what happened to the pictures."""
    if high > 10 and low >= 0:
        return f"these are grey levels, pass {name} / 255"
    if low < -0.1 or high > 1.1:
        return "pass pixels, the network normalises them itself"
    return f"pass {name}.clamp(0, 1)"


def _remedy(x):
    """Guess from the type what should have been done."""
    if type(x).__module__.split(".")[0] == "numpy":
        return "torch.from_numpy(...) makes a tensor of an array"
    if type(x).__module__.split(".")[0] == "PIL":
        return "torchvision.transforms.functional.to_tensor(...)[None] makes a tensor of a picture"
    return "stack single pictures with torch.stack(...)"
