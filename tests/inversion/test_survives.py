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


def two_parts():
    """A grey picture with a white square of 4 pixels, part 1, and a red one of 36, part 2; not square, twice."""
    x0, parts = torch.full((2, 3, 16, 24), 0.5), torch.zeros(2, 16, 24, dtype=torch.uint8)
    x0[..., 2:4, 2:4], parts[:, 2:4, 2:4] = 1.0, 1
    x0[:, 0, 6:12, 12:18], parts[:, 6:12, 12:18] = 1.0, 2
    return x0, parts


def test_the_contrast_of_a_part_is_measured_in_the_direction_it_had():
    x0, parts = two_parts()
    grey = torch.full_like(x0, 0.5)
    for share in (1.0, 0.4, 0.0, -0.5):
        x = grey + share * (x0 - grey)
        torch.testing.assert_close(survives.part_contrast(x, x0, parts == 1), torch.full((2,), share))
    only_green = x0.clone()
    only_green[:, 0, 6:12, 12:18], only_green[:, 1, 6:12, 12:18] = 0.5, 1.0  # stands out as much, in another colour
    assert survives.part_contrast(only_green, x0, parts == 2).tolist() == [0, 0]


def test_parts_are_counted_by_size_and_only_where_they_stood_out():
    x0, parts = two_parts()
    x = x0.clone()
    x[..., 2:4, 2:4] = 0.5  # the small part is gone
    x0[1, :, 2:4, 2:4] = 0.51  # and in the second picture it never stood out
    assert survives.parts_left(x, x0, parts, largest=10)[0] == 0
    assert survives.parts_left(x, x0, parts, largest=10)[1].isnan()
    torch.testing.assert_close(survives.parts_left(x, x0, parts, smallest=11), torch.ones(2))
    torch.testing.assert_close(survives.parts_left(x, x0, parts), torch.tensor([0.5, 1.0]))


def test_a_neighbour_is_the_nearest_other_picture():
    x = torch.tensor([0.1, 0.2, 0.8, 0.9, 0.45])[:, None, None, None].expand(5, 3, 4, 6)
    assert survives.neighbour_agrees(x, torch.tensor([1, 1, 2, 2, 2])).tolist() == [True, True, True, True, False]


def test_a_step_is_measured_against_the_ring_alone():
    x0, parts = two_parts()
    torch.testing.assert_close(survives.step(x0, parts == 1), torch.full((2, 3), 0.5))
    torch.testing.assert_close(survives.step(x0, parts == 2), torch.tensor([[0.5, 0.0, 0.0]]).expand(2, 3))
