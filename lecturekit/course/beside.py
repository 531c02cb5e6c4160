"""Yours beside the target: the first pictures of both and, magnified, the difference, where a check is run by hand."""

import sys

import torch

MOST = 4  # pictures of a batch that are shown
LEAST = 6  # pixels a side: what is smaller is read as numbers
SIDE = 64  # pixels of the screen that a small picture has: the hint below stays in sight
ROWS = "First row yours, second the target, third the difference, magnified: grey is none."


def beside(value, target):
    """Show both in the notebook that asks; elsewhere, and for what is no picture, nothing happens."""
    if "IPython" not in sys.modules or not (is_picture(value) and is_picture(target) and value.shape == target.shape):
        return
    from IPython import display, get_ipython

    if get_ipython() is None:
        return
    print(ROWS)  # JupyterLab shows no alternative text
    display.display(display.Image(sheet(value, target), alt=ROWS))


def is_picture(x):
    """Return whether this is a batch of pictures: (N, 1 or 3, H, W)."""
    return isinstance(x, torch.Tensor) and x.dim() == 4 and x.shape[1] in (1, 3) and min(x.shape[-2:]) >= LEAST


def sheet(value, target):
    """Return three rows as PNG bytes: yours, the target, and the difference on its own scale (grey: none)."""
    from lecturekit import plots

    value, target = value[:MOST].detach().float(), target[:MOST].detach().float()
    between = value - target
    scale = between.abs().max().clamp(min=1e-12)
    low, high = target.min(), target.max()
    if not 0 <= low <= high <= 1:  # signed pictures: zero is grey, one scale for both
        limit = target.abs().max()
        value, target = ((x / limit + 1) / 2 for x in (value, target))
    rows = [*value.clamp(0, 1), *target.clamp(0, 1), *(between / scale + 1) / 2]
    rows = torch.stack([x.expand(3, -1, -1) for x in rows]).nan_to_num(0.5)  # (3N, 3, H, W)
    across = torch.nn.functional.pad(rows, (1, 1, 1, 1), value=1).unflatten(0, (3, -1))  # (3, N, 3, H, W)
    whole = across.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)  # (3, 3H, NW)
    return plots.png(whole, scale=max(2, round(SIDE / value.shape[-1])))
