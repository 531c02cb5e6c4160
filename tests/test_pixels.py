"""The pixel contract: what keeps it passes untouched, and everything else is told how to."""

import numpy as np
import pytest
import torch

from lecturekit.errors import InputError
from lecturekit.pixels import check_pixels


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (2, 1, 4, 6), (0, 3, 4, 6), (2, 3, 1, 1)])
def test_pictures_that_keep_the_contract_pass_untouched(shape, dtype):
    x = torch.rand(shape).to(dtype)
    assert check_pixels(x) is x


def test_layout_gradients_and_rounding_do_not_matter():
    x = torch.rand(2, 4, 6, 3).permute(0, 3, 1, 2)
    assert check_pixels(x) is x
    x = torch.ones(2, 3, 4, 6, requires_grad=True)
    assert check_pixels(x) is x
    assert check_pixels(torch.full((1, 3, 2, 2), 1 + 1e-7, dtype=torch.float64)) is not None


def with_value(value):
    x = torch.full((2, 3, 4, 6), 0.5)
    x[1, 2, 3, 4] = value
    return x


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3, 4, 6)), r"x0 must be a tensor .* got ndarray; torch.from_numpy"),
        ([torch.zeros(3, 4, 6)], "got list; stack single pictures with torch.stack"),
        (torch.zeros(2, 3, 4, 6, dtype=torch.uint8), r"got torch.uint8; pass x0.float\(\) / 255"),
        (torch.zeros(3, 4, 6), r"got shape \(3, 4, 6\); pass x0\[None\] for a batch of one"),
        (torch.zeros(4, 6), "four axes"),
        (torch.zeros(2, 4, 6, 3), r"colours come last; pass x0.permute\(0, 3, 1, 2\)"),
        (torch.zeros(2, 3, 0, 6), "without a single value"),
        (with_value(255.0), r"must lie in \[0, 1\] but reaches 255; these are grey levels, pass x0 / 255"),
        (with_value(2.64), "reaches 2.64; pass pixels, the network normalises them itself"),
        (with_value(-2.1), "falls to -2.1; pass pixels, the network normalises them itself"),
        (with_value(1.01), r"reaches 1.01; pass x0.clamp\(0, 1\)"),
        (with_value(torch.nan), r"has 1 values that are not finite, the first one at \(1, 2, 3, 4\)"),
        (with_value(-torch.inf), r"has 1 values that are not finite, the first one at \(1, 2, 3, 4\)"),
    ],
)
def test_everything_else_is_refused_with_the_line_that_mends_it(x, message):
    with pytest.raises(InputError, match=message):
        check_pixels(x, "x0")


def test_a_pillow_picture_is_refused_with_the_line_that_mends_it():
    image = pytest.importorskip("PIL.Image").new("RGB", (6, 4))
    with pytest.raises(InputError, match=r"got Image; torchvision.transforms.functional.to_tensor"):
        check_pixels(image)
