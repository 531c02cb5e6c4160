r"""Move, turn and enlarge pictures: one resampling for all three at once.

Shifting, then turning, then enlarging blurs a picture three times and costs three passes.  The three together are one
affine map of the plane, so one resampling does.

    where to look for pixel (row, column):   R(degrees) / scale  (position - shift - centre)  +  centre

What a picture lacks at its border is filled by reflection: a grey rim would be a new edge, which layers would see.
"""

import torch
from torch.nn.functional import affine_grid, grid_sample


def warped(x, *, down=0.0, right=0.0, scale=1.0, degrees=0.0):
    """Return the pictures enlarged about their centre, turned clockwise, and then moved.

    Args:
        x: (N, C, H, W).
        down, right: pixels; a number, or one for each picture (N,).
        scale: 1.1 makes what is shown a tenth larger; a number or (N,).
        degrees: a number or (N,).
    Returns: (N, C, H, W), differentiable.
    """
    height, width = x.shape[-2:]
    numbers = (torch.as_tensor(value, dtype=x.dtype, device=x.device) for value in (down, right, scale, degrees))
    down, right, scale, degrees = (value.expand(len(x)) for value in numbers)
    c, s = torch.cos(torch.deg2rad(degrees)) / scale, torch.sin(torch.deg2rad(degrees)) / scale
    # affine_grid counts from -1 to 1 along each side: a turn by one angle is squeezed where sides differ.
    first = torch.stack([c, s * height / width, -2 * (c * right + s * down) / width], dim=1)
    second = torch.stack([-s * width / height, c, -2 * (c * down - s * right) / height], dim=1)
    grid = affine_grid(torch.stack([first, second], dim=1), list(x.shape), align_corners=False)
    return grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
