"""Each change of a picture is what a slow loop over its pixels says, and depends on its generator alone."""

import pytest
import torch

from lecturekit.augment import coarse, light, mirror, mixed, moved, pixels, seen_badly, shift


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=6, dtype=torch.float32):
    return torch.rand(count, 3, 4, 7, generator=dice(1), dtype=dtype)


CHANGES = {
    "mirror": mirror,
    "shift": lambda x, generator: shift(x, generator, pad=2),
    "light": lambda x, generator: light(x, generator, strength=0.5),
    "coarse": lambda x, generator: coarse(x, generator, smallest=3),
    "mixed": lambda x, generator: mixed(x, generator, 0.7)[0],
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@every_change
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pixels_stay_pixels(change, dtype):
    x = pictures(dtype=dtype)
    before = x.clone()
    changed = change(x, dice())
    assert changed.shape == x.shape
    assert changed.dtype == dtype
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(x, before), "what came in is left alone"
    assert not torch.equal(changed, x)


@every_change
def test_the_generator_alone_decides(change):
    x, state = pictures(), torch.get_rng_state()
    assert torch.equal(change(x, dice(3)), change(x, dice(3)))
    assert not torch.equal(change(x, dice(3)), change(x, dice(4)))
    assert torch.equal(torch.get_rng_state(), state)


@every_change
def test_no_pictures_stay_no_pictures(change):
    assert change(pictures(0), dice()).shape == (0, 3, 4, 7)


def test_stored_pictures_become_pixels_with_colours_first():
    stored = torch.arange(2 * 4 * 7 * 3, dtype=torch.uint8).view(2, 4, 7, 3)
    x = pixels(stored)
    assert x.shape == (2, 3, 4, 7)
    for n, c, i, j in [(0, 0, 0, 0), (1, 2, 3, 6), (1, 0, 2, 5)]:
        assert x[n, c, i, j].item() == pytest.approx(stored[n, i, j, c].item() / 255)
    assert pixels(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1)).flatten().tolist() == [0, 1]
    assert x.is_contiguous(memory_format=torch.channels_last), "the layout in which convolutions are quick"


def test_mirror_turns_a_picture_or_leaves_it():
    x = pictures(400)
    changed = mirror(x, dice())
    turned = 0
    for before, after in zip(x, changed, strict=True):
        if torch.equal(after, before.flip(-1)):
            turned += 1
        else:
            assert torch.equal(after, before)
    assert 160 < turned < 240, "every second one, on average"


def shift_spec(x, top, left, pad):
    """The definition: walk over the edge and you walk back, as between two mirrors at the outermost pixels."""
    height, width = x.shape[-2:]

    def inside(place, size):
        place = abs(place)
        return 2 * (size - 1) - place if place >= size else place

    moved = torch.empty_like(x)
    for i in range(height):
        for j in range(width):
            moved[:, i, j] = x[:, inside(i + top - pad, height), inside(j + left - pad, width)]
    return moved


def test_shift_moves_every_picture_by_its_own_draw():
    x, pad = pictures(40), 2
    changed = shift(x, dice(), pad)
    seen, moves = set(), [(top, left) for top in range(5) for left in range(5)]
    for before, after in zip(x, changed, strict=True):
        found = [move for move in moves if torch.equal(after, shift_spec(before, *move, pad))]
        assert len(found) == 1
        seen.add(found[0])
    assert {top for top, _ in seen} == {left for _, left in seen} == set(range(5)), "all moves occur, both ways"
    assert len(seen) > 10, "rows and columns are drawn apart"


def test_shift_by_nothing_is_nothing():
    assert torch.equal(shift(pictures(), dice(), 0), pictures())


def test_light_is_one_gain_per_picture_and_one_tint_per_colour():
    x = pictures(300, torch.float64) * 0.1 + 0.4  # nothing is clipped
    changed = light(x, dice(), strength=0.2)
    gains = changed.std((2, 3), keepdim=True) / x.std((2, 3), keepdim=True)  # (N, 3, 1, 1), the slope of a line
    tints = (changed - gains * x).mean((2, 3), keepdim=True)
    torch.testing.assert_close(changed, gains * x + tints)
    torch.testing.assert_close(gains, gains[:, :1].expand_as(gains), msg="one gain for all colours")
    assert (tints.amax(1) - tints.amin(1)).min() > 0, "each colour has its own tint"
    assert [gains.min().item(), gains.max().item()] == pytest.approx([0.8, 1.2], abs=0.01)
    assert [tints.min().item(), tints.max().item()] == pytest.approx([-0.1, 0.1], abs=0.005)


def test_light_of_no_strength_is_the_same_light():
    assert torch.equal(light(pictures(), dice(), 0.0), pictures())


@pytest.mark.parametrize("weight", [1.0, 0.7, 0.5])
def test_mixed_blends_each_picture_with_another_of_the_batch(weight):
    x = pictures()
    blended, order = mixed(x, dice(), weight)
    assert sorted(order.tolist()) == list(range(6))
    assert order.tolist() != list(range(6))
    for n in range(6):
        torch.testing.assert_close(blended[n], weight * x[n] + (1 - weight) * x[order[n]])


def test_shrinking_averages_what_it_drops():
    dots = torch.zeros(1, 1, 64, 64)
    dots[..., ::8, ::8] = 1  # one pixel of 64 is white: without averaging some sides would hit many, others none
    means = torch.stack([coarse(dots, dice(seed), smallest=8).mean() for seed in range(20)])
    assert (means - 1 / 64).abs().max() < 0.1 / 64


def test_coarse_pictures_keep_their_means_and_lose_what_is_fine():
    rows = torch.arange(32) % 2
    stripes = rows.float().view(1, 1, 32, 1).expand(1, 3, 32, 32).clone()
    blurred = coarse(stripes, dice(), smallest=8)  # to a side of 8 to 32
    side = int(torch.randint(8, 33, (1,), generator=dice()))
    assert side < 32
    assert blurred.std() < 0.5 * stripes.std()
    assert blurred.mean().item() == pytest.approx(0.5, abs=0.02)
    smooth = torch.full((2, 3, 32, 32), 0.3)
    assert torch.allclose(coarse(smooth, dice(), smallest=8), smooth)


def stored(count=4):
    return torch.randint(256, (count, 32, 32, 3), generator=dice(2), dtype=torch.uint8)


def test_moved_pictures_are_shifted_mirrored_and_lit_in_this_order():
    generator = dice()
    expected = light(mirror(shift(pixels(stored()), generator, pad=3), generator), generator, strength=0.15)
    assert torch.equal(moved(stored(), dice()), expected)


def test_every_second_batch_is_seen_badly():
    blurred = 0
    for seed in range(40):
        blurred += not torch.equal(seen_badly(stored(), dice(seed)), moved(stored(), dice(seed)))
    assert 12 <= blurred <= 28
