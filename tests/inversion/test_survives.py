"""What survives is measured on pictures whose waves, colours and places are known."""

import pytest
import torch

from lecturekit.inversion import survives


def wave(period, size=(32, 48)):
    row = torch.sin(2 * torch.pi * torch.arange(size[1]) / period)
    return 0.5 + 0.25 * row.expand(2, 3, *size)


def test_a_wave_of_sixteen_pixels_is_layout_and_one_of_four_is_detail():
    long, short = wave(16), wave(4)
    both = long + short - 0.5
    torch.testing.assert_close(survives.band(both, low=survives.FINE), short - 0.5, atol=1e-5, rtol=0)
    torch.testing.assert_close(survives.band(both, high=survives.FINE), long, atol=1e-5, rtol=0)


def test_the_two_bands_add_up_to_the_picture():
    x = torch.rand(2, 3, 31, 45)
    parts = survives.band(x, low=survives.FINE) + survives.band(x, high=survives.FINE)
    torch.testing.assert_close(parts, x, atol=1e-5, rtol=0)


def test_losing_the_detail_leaves_the_layout_agreement_at_one():
    x0 = torch.rand(2, 3, 32, 32)
    x = survives.band(x0, high=survives.FINE).clamp(0, 1)
    assert survives.layout(x, x0).min() > 0.99
    assert survives.detail(x, x0).abs().max() < 0.1


def test_colour_error_is_the_distance_between_the_mean_colours_under_the_mask():
    x0, mask = torch.zeros(2, 3, 4, 6), torch.zeros(2, 4, 6, dtype=torch.bool)
    mask[:, 1:3, 2:4] = True
    x = x0.clone()
    x[:, 0, 1:3, 2:4], x[:, 1, 1:3, 2:4] = 0.3, 0.4
    x[:, 2, 0] = 1.0  # outside of the mask: must not count
    torch.testing.assert_close(survives.colour_error(x, x0, mask), torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize(("down", "right"), [(0, 5), (4, 0), (3, 4)])
def test_place_error_is_how_far_the_object_was_moved(down, right):
    x0 = torch.full((2, 3, 40, 48), 0.2)
    x0[..., 15:20, 15:22] = 0.9
    moved = x0.roll((down, right), dims=(-2, -1))
    expected = torch.full((2,), float(down**2 + right**2) ** 0.5)
    torch.testing.assert_close(survives.place_error(moved, x0).float(), expected, atol=1e-2, rtol=0)
