"""Square asks as often as it says, proposes what the paper says, and finds what a closed form says can be found."""

import itertools

import pytest
import torch
from torch import nn

from lecturekit.attacks.few_pixels import L0
from lecturekit.attacks.square import HALVED, Dice, bump, bumps, pyramid, side_at, square, squares, stripes, tiles
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError, ModelError
from lecturekit.progress import STOP

HEIGHT, WIDTH = 7, 9


class Asked(nn.Module):
    """A network that counts the pictures it is shown, and refuses to be differentiated."""

    def __init__(self, model):
        super().__init__()
        self.model, self.shown = model, []
        self.eval()

    def forward(self, x):
        assert not torch.is_grad_enabled() and not x.requires_grad, "Square must not ask for gradients"
        self.shown.append(x.clone())
        return self.model(x)


def brightness(limit=0.5):
    """Two classes: dark and bright, parted where the mean of the picture is ``limit``."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * HEIGHT * WIDTH, 2))
    model[1].weight.data = torch.stack([torch.zeros(3 * HEIGHT * WIDTH), torch.full((3 * HEIGHT * WIDTH,), 1 / 189)])
    model[1].bias.data = torch.tensor([0, -limit])
    return model.eval()


def grey(count=4, value=0.45):
    return torch.full((count, 3, HEIGHT, WIDTH), value), torch.zeros(count, dtype=torch.long)


def dice(count=3, seed=0):
    return Dice(torch.Generator().manual_seed(seed), count, torch.arange(count))


# The schedule


def test_the_side_of_the_squares_follows_the_published_schedule():
    """p = 0.8 on 64 x 64 gives 57 at first; after 8,000 of 10,000 queries p is 0.8 / 512, a side of 3."""
    expected = [
        (0, 57),
        (10, 57),
        (11, 40),
        (51, 29),
        (201, 20),
        (501, 14),
        (1001, 10),
        (2001, 7),
        (4001, 5),
        (6001, 4),
    ]
    for step, side in [*expected, (8001, 3), (9999, 3)]:
        assert side_at(step, 10_000, 0.8, (64, 64)) == side, step


def test_a_shorter_run_halves_at_the_same_shares():
    long, short = ([side_at(i * n // 100, n, 0.8, (64, 64)) for i in range(100)] for n in (10_000, 1000))
    assert long == short


def test_the_side_fits_into_flat_pictures_and_never_vanishes():
    assert side_at(0, 100, 1.0, (5, 40)) == 5
    assert side_at(99, 100, 0.01, (7, 9)) == 1
    assert len(HALVED) == 9


# L-infinity


def test_the_start_is_stripes_one_pixel_wide_on_the_border_of_the_ball():
    x0 = torch.rand(3, 3, HEIGHT, WIDTH)
    delta = stripes(x0, 0.1, dice()) - x0
    torch.testing.assert_close(delta.abs(), torch.full_like(delta, 0.1))
    assert torch.equal(delta.sign(), delta[:, :, :1].sign().expand_as(delta)), "one column, one sign"
    assert delta.sign().flatten(1).unique(dim=0).shape[0] == 3, "each picture has its own stripes"


@pytest.mark.parametrize("side", [1, 3, 7])
def test_a_proposal_is_one_square_of_one_colour_and_nothing_else(side):
    x0 = torch.rand(3, 3, HEIGHT, WIDTH) / 2 + 0.25
    best = x0 + 0.01 * torch.rand_like(x0)
    changed = squares(best, x0, 0.1, side, dice()) != best
    assert (changed.any(1).flatten(1).sum(1) == side * side).all()
    delta = squares(best, x0, 0.1, side, dice()) - x0
    for n in range(3):
        rows, columns = changed[n, 0].nonzero().unbind(1)
        assert rows.max() - rows.min() == columns.max() - columns.min() == side - 1
        square_of = delta[n][:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert torch.allclose(square_of.abs(), torch.tensor(0.1)), "on the border of the ball"
        assert (square_of.sign() == square_of.sign()[:, :1, :1]).all(), "one sign for each colour"


def test_squares_reach_every_place():
    """A window of 3 in 7 rows has 5 places; off by one would leave the last row or column alone for ever."""
    x0, rolls, touched = torch.full((1, 3, HEIGHT, WIDTH), 0.5), dice(1), torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    for _ in range(300):
        touched |= (squares(x0, x0, 0.1, 3, rolls) != x0)[0, 0]
    assert touched.all()


# L2


def slow_pyramid(height, width):
    """The rectangles laid on one another one by one: the k-th has sides 2k + 1 and adds 1 / (k + 1)^2."""
    hill = torch.zeros(height, width, dtype=torch.float64)
    row, column = height // 2, width // 2
    for k in range(max(height, width) // 2 + 1):
        top, left = max(row - k, 0), max(column - k, 0)
        hill[top : row + k + 1, left : column + k + 1] += 1 / (k + 1) ** 2
    return hill


@pytest.mark.parametrize(("height", "width"), [(1, 3), (2, 3), (3, 7), (4, 7), (6, 12), (5, 5)])
def test_the_pyramid_is_rectangles_laid_on_one_another(height, width):
    torch.testing.assert_close(pyramid(height, width), slow_pyramid(height, width))


@pytest.mark.parametrize("side", [2, 3, 5, 12])
def test_a_bump_is_a_hill_over_a_valley_of_length_one(side):
    both = bump(side)
    assert both.norm().item() == pytest.approx(1)
    assert (both[: side // 2] > 0).all() and (both[side // 2 :] < 0).all()
    halves = both[: side // 2].norm().item(), both[side // 2 :].norm().item()
    assert halves == pytest.approx((2**-0.5, 2**-0.5))


@pytest.mark.parametrize("size", [(7, 9), (32, 20), (4, 3), (64, 64)])
def test_start_and_proposals_have_exactly_the_length_of_the_ball(size):
    x0, rolls = torch.full((3, 3, *size), 0.5, dtype=torch.float64), dice()
    best = tiles(x0, 1.5, rolls)
    for side in (40, 9, 4, 3, 1):
        torch.testing.assert_close(L2.size(best - x0), torch.full((3,), 1.5, dtype=torch.float64))
        best = bumps(best, x0, 1.5, side, rolls)
    torch.testing.assert_close(L2.size(best - x0), torch.full((3,), 1.5, dtype=torch.float64))


def test_what_the_box_cut_off_is_spent_again():
    x0 = torch.full((3, 3, HEIGHT, WIDTH), 0.5, dtype=torch.float64)
    half = x0 + (tiles(x0, 1.5, dice()) - x0) / 2  # a quarter of the energy is left
    torch.testing.assert_close(L2.size(bumps(half, x0, 1.5, 3, dice(seed=1)) - x0), torch.full((3,), 1.5).double())


def test_the_second_window_is_wiped_and_the_rest_is_left_alone():
    x0 = torch.full((2, 3, 20, 20), 0.5, dtype=torch.float64)
    best = tiles(x0, 1.5, dice(2))
    after = bumps(best, x0, 1.5, 3, dice(2, seed=3))
    for n in range(2):
        same = (after[n] == best[n]).all(0)
        wiped = (after[n] == x0[n]).all(0) & ~same
        assert same.sum() >= 400 - 18
        assert wiped.sum() in range(1, 10), "nine pixels, unless the windows overlap"


# The attack


@pytest.mark.parametrize("ball", [Linf(0.1), L2(1.5)])
def test_every_question_is_counted_and_pictures_leave_when_they_are_misled(ball):
    x = torch.cat([grey(2, 0.2)[0], grey(2, 0.49)[0]])  # the first two lie too deep in the dark
    model = Asked(brightness())
    found = square(model, x, torch.zeros(4, dtype=torch.long), ball=ball, queries=60, seed=3)
    asked = model.shown[:-2]  # the last two calls are those of `judge`
    assert found.queries.sum() == sum(map(len, asked))
    assert found.queries[:2].tolist() == [60, 60] and found.queries[2:].max() < 60
    assert found.misled.tolist() == [False, False, True, True]
    assert not found.gradients.any() and found.complete


def test_square_succeeds_where_a_linear_network_can_be_misled_and_nowhere_else():
    """Within eps the mean can rise by eps, and not more: the border lies at 0.5."""
    x = torch.cat([grey(1, value)[0] for value in (0.39, 0.399, 0.43, 0.46)])
    found = square(brightness(), x, torch.zeros(4, dtype=torch.long), ball=Linf(0.1), queries=600)
    assert found.misled.tolist() == [False, False, True, True]


def test_the_score_of_what_is_kept_never_falls():
    model, kept = brightness(), []
    x, y = grey(2, 0.2)
    square(model, x, y, ball=Linf(0.1), queries=80, watch=lambda step: kept.append(step.picture.mean((1, 2, 3))))
    assert len(kept) == 80
    assert all((after >= before - 1e-7).all() for before, after in itertools.pairwise(kept))
    assert (kept[-1] > kept[0] + 0.02).all()


@pytest.mark.parametrize("ball", [Linf(0.3), L2(3.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_that_is_shown_lies_in_ball_and_box(ball, dtype):
    x = torch.rand(3, 3, HEIGHT, WIDTH, dtype=dtype, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    model = Asked(brightness(2.0).to(dtype))
    found = square(model, x, torch.zeros(3, dtype=torch.long), ball=ball, queries=30)
    for shown in model.shown[:-2]:
        assert ball.size(shown - x).max() <= ball.eps + 1e-5
        assert 0 <= shown.min() and shown.max() <= 1
    assert found.x.dtype == dtype


def test_a_target_is_reached_and_counted_as_such():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()  # the class is the brightest colour
    x = torch.full((2, 3, HEIGHT, WIDTH), 0.5) + torch.tensor([0.02, 0.01, 0])[None, :, None, None]
    target = torch.tensor([1, 2])
    found = square(model, x, torch.zeros(2, dtype=torch.long), ball=Linf(0.05), queries=200, target=target)
    assert torch.equal(found.logits.argmax(1), target) and found.misled.all()


def test_the_seed_decides_and_the_neighbours_do_not():
    x, y = grey(3, 0.41)
    first, again, other = (square(brightness(), x, y, ball=Linf(0.1), queries=40, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.x, again.x) and not torch.equal(first.x, other.x)
    easy = torch.cat([x[:2], grey(1, 0.499)[0]])  # the third leaves at once
    beside = square(brightness(), easy, y, ball=Linf(0.1), queries=40, seed=1)
    assert torch.equal(beside.x[:2], first.x[:2])


def test_stop_hands_back_the_best_so_far():
    x, y = grey(2, 0.2)
    found = square(brightness(), x, y, ball=Linf(0.1), queries=50, watch=lambda step: STOP if step.done == 7 else None)
    assert not found.complete and found.queries.tolist() == [7, 7] and not found.unchanged.any()
    assert "STOPPED" in str(found) and "7 queries a picture" in str(found)


def test_no_pictures_give_no_pictures():
    x, y = grey(0)
    assert len(square(brightness(), x, y, queries=5)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": 0}, "queries must be a whole number from 1 on but is 0"),
        ({"share": 0}, r"share must lie in \(0, 1\] but is 0"),
        ({"share": 1.5}, r"share must lie in \(0, 1\] but is 1.5"),
        ({"ball": L0(3)}, "Square knows the balls Linf and L2 but got L0 ≤ 3 pixels; for a few pixels take few_pixels"),
    ],
)
def test_arguments_of_no_sense_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        square(brightness(), *grey(2), **changes)


def test_pictures_too_small_for_a_bump_are_refused():
    with pytest.raises(InputError, match="a bump needs 3 x 3 pixels and the pictures have 2 x 9; take Linf"):
        square(brightness(), torch.rand(2, 3, 2, 9), torch.zeros(2, dtype=torch.long), ball=L2(1.0))


def test_a_network_that_breaks_on_the_way_is_not_taken_for_misled():
    class Breaks(nn.Module):
        calls = 0

        def forward(self, x):
            Breaks.calls += 1
            return torch.full((len(x), 2), float("nan")) if Breaks.calls > 5 else torch.tensor([[1.0, -3.0]] * len(x))

    with pytest.raises(ModelError, match="NaN or infinite logits for 2 of 2"):
        square(Breaks().eval(), *grey(2), queries=20)
