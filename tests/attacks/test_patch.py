"""A patch is pasted where its placement says, learns through the pasting, and is measured beside its controls."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from lecturekit.attacks.patch import Patch, against_controls, canvas_slope, paste, placements, train_patch
from lecturekit.errors import InputError, ModelError
from lecturekit.progress import STOP

HEIGHT, WIDTH = 20, 30


def upright(row, column, side, angle=0.0):
    return torch.tensor([[row, column, side, angle]], dtype=torch.float64)


def numbered(size=4):
    """A canvas on which every pixel is another grey, and every colour another tenth."""
    grey = torch.arange(size * size, dtype=torch.float64).view(1, 1, size, size) / (size * size)
    return torch.cat([grey / 4, grey / 4 + 0.25, grey / 4 + 0.5], dim=1)


def colours():
    """The class is the colour of which there is most: a patch of pure colour moves it."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def reddish(count=12):
    """Pictures of which red is a little the most: class 0."""
    x = 0.4 + 0.1 * torch.rand(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    x[:, 0] += 0.03
    return x, torch.zeros(count, dtype=torch.long)


# Pasting


def test_a_patch_of_its_own_size_is_copied_pixel_by_pixel():
    x = torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.float64)
    pasted = paste(numbered(), x, upright(row=5, column=12, side=4))
    torch.testing.assert_close(pasted[..., 3:7, 10:14], numbered())
    pasted[..., 3:7, 10:14] = 0
    assert not pasted.any(), "and nothing beside it is touched"


def test_a_quarter_turn_is_that_of_rot90():
    x = torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.float64)
    pasted = paste(numbered(), x, upright(5, 12, 4, math.pi / 2))
    torch.testing.assert_close(pasted[..., 3:7, 10:14], numbered().rot90(-1, dims=(2, 3)))


def test_twice_the_side_covers_four_times_the_pixels():
    x = torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.float64)
    for side in (4, 8, 12):
        assert paste(torch.ones(1, 3, 4, 4).double(), x, upright(10, 15, side))[0, 0].sum() == side**2


def test_a_disc_covers_what_a_circle_covers():
    x = torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.float64)
    covered = paste(torch.ones(1, 3, 4, 4).double(), x, upright(10, 15, 16, 0.3), "disc")[0, 0]
    assert covered.sum().item() == pytest.approx(math.pi * 8**2, rel=0.05)
    assert covered[10, 15 + 7] == 1 and covered[10 + 7, 15 + 7] == 0, "no corners"


def test_each_picture_has_its_own_place():
    x = torch.zeros(2, 3, HEIGHT, WIDTH, dtype=torch.float64)
    pasted = paste(torch.ones(1, 3, 4, 4).double(), x, torch.cat([upright(2, 2, 4), upright(18, 28, 4)]))
    assert pasted[0, :, :4, :4].all() and pasted[1, :, 16:, 26:].all() and pasted.sum() == 2 * 3 * 16


def test_the_gradient_flows_through_the_pasting_into_the_canvas():
    canvas = numbered().requires_grad_(True)
    x, where = torch.rand(2, 3, HEIGHT, WIDTH, dtype=torch.float64), upright(10, 15, 9, 0.4).expand(2, 4)
    assert torch.autograd.gradcheck(lambda canvas: paste(canvas, x, where), canvas)


def test_the_slope_is_that_of_minus_log_p_of_the_target():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * HEIGHT * WIDTH, 4)).double().eval()
    x, where = torch.rand(2, 3, HEIGHT, WIDTH, dtype=torch.float64), upright(10, 15, 9, 0.4).expand(2, 4)
    canvas = numbered().requires_grad_(True)
    expected = -model(paste(canvas, x, where)).log_softmax(1)[:, 2].mean()
    loss, grad = canvas_slope(model, x, canvas, where, "square", 2)
    assert loss == pytest.approx(expected.item())
    torch.testing.assert_close(grad, torch.autograd.grad(expected, canvas)[0])


def test_the_whole_patch_lies_in_the_picture_and_comes_everywhere():
    where = placements(2000, (HEIGHT, WIDTH), (0.3, 0.6), 45.0, torch.Generator().manual_seed(0))
    row, column, side, angle = where.unbind(1)
    for corner in range(4):
        direction = angle + math.pi / 4 + corner * math.pi / 2
        down, right = row + side / 2**0.5 * direction.sin(), column + side / 2**0.5 * direction.cos()
        assert -1e-9 <= down.min() and down.max() <= HEIGHT + 1e-9
        assert -1e-9 <= right.min() and right.max() <= WIDTH + 1e-9
    assert 0.3 * HEIGHT <= side.min() < 0.31 * HEIGHT and 0.59 * HEIGHT < side.max() <= 0.6 * HEIGHT
    assert angle.min() < math.radians(-44) and angle.max() > math.radians(44)
    assert row.std() > 2 and column.std() > 4


def test_a_patch_that_is_too_large_lies_in_the_middle():
    where = placements(5, (HEIGHT, WIDTH), (1.0, 1.0), 45.0, torch.Generator().manual_seed(0))
    too_tall = where[:, 2] * (where[:, 3].cos() + where[:, 3].sin().abs()) > HEIGHT
    assert too_tall.all() and (where[:, 0] == HEIGHT / 2).all()


# Training and controls


@pytest.mark.parametrize("shape", ["square", "disc"])
def test_a_patch_learns_the_colour_that_the_network_looks_for(shape):
    model, (x, y) = colours(), reddish()
    patch = train_patch(model, x[:8], y[:8], 2, size=6, steps=30, batch=4, shape=shape, rate=0.1)
    assert patch.canvas[:, 2].mean() > 0.9 and patch.canvas[:, :2].mean() < 0.1, "blue"
    assert patch.losses[-1] < patch.losses[0] and len(patch.losses) == 30 and patch.complete
    blue = torch.zeros(1, 3, 8, 8)
    blue[:, 1] = 0.6
    table = against_controls(model, patch, x[8:], y[8:], blue)
    assert {row.patch: row.success.estimate for row in table} == {"trained": 1, "noise": 0, "real picture": 0}
    assert {row.n for row in table} == {4} and table.columns == ("patch", "success", "n")


def test_the_controls_have_the_same_places_and_shape():
    model, (x, y) = colours(), reddish(4)
    patch = Patch(torch.zeros(1, 3, 6, 6), 2, (0.3, 0.5), 30.0, "disc")
    places = [
        (one.on(model, x, y, seed=9).delta != 0).any(1) for one in (patch, patch.noise(), patch.showing(1 - x[:1]))
    ]
    assert torch.equal(places[0], places[1]) and torch.equal(places[0], places[2])
    assert not torch.equal(places[0], (patch.on(model, x, y, seed=10).delta != 0).any(1))


def test_a_shown_picture_is_the_picture_shrunk():
    left_white = torch.zeros(1, 3, 32, 32)
    left_white[..., :16] = 1
    canvas = Patch(torch.zeros(1, 3, 8, 8), 2, (0.3, 0.5), 0.0, "square").showing(left_white).canvas
    assert canvas.shape == (1, 3, 8, 8) and canvas[..., :3].min() > 0.99 and canvas[..., 5:].max() < 0.01
    stripes = torch.zeros(1, 3, 32, 32)
    stripes[..., ::4] = 1  # too fine for the canvas: a quarter grey, and not black because all samples fell between
    fine = Patch(torch.zeros(1, 3, 8, 8), 2, (0.3, 0.5), 0.0, "square").showing(stripes).canvas
    assert (fine - 0.25).abs().max() < 0.1


def test_the_result_counts_covered_pixels_and_leaves_out_the_target_class():
    x, y = reddish(4)
    x[3, 2] += 0.3
    y[3] = 2
    patch = Patch(torch.ones(1, 3, 6, 6), 2, (0.5, 0.5), 0.0, "square")
    found = patch.on(colours(), x, y)
    assert len(found) == 3 and (found.target == 2).all() and found.ball is None
    assert found.norms.min() >= 81 and found.norms.max() <= 121, "10 x 10 pixels, one more or less each way"


def test_training_heeds_the_box_and_the_seed():
    model, (x, y) = colours(), reddish(6)
    settings = {"size": 4, "steps": 6, "batch": 3}
    first, again, other = (train_patch(model, x, y, 1, seed=s, **settings) for s in (1, 1, 2))
    hasty = train_patch(model, x, y, 1, rate=3.0, **settings)
    assert torch.equal(first.canvas, again.canvas) and not torch.equal(first.canvas, other.canvas)
    assert hasty.canvas.min() == 0 and hasty.canvas.max() == 1 and not hasty.canvas.requires_grad


def test_stop_hands_back_the_patch_so_far():
    model, (x, y) = colours(), reddish(6)
    watch = lambda step: STOP if step.done == 3 else None  # noqa: E731
    patch = train_patch(model, x, y, 1, size=4, steps=9, batch=3, watch=watch)
    assert not patch.complete and len(patch.losses) == 3
    assert str(patch) == (
        "square for class 1: 30% to 50% of the picture's side, turned by up to 20 degrees, trained for 3 steps, STOPPED"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": (0.5, 0.3)}, r"0 < least <= largest <= 1, but is \(0.5, 0.3\)"),
        ({"scale": (0.5, 1.3)}, r"0 < least <= largest <= 1, but is \(0.5, 1.3\)"),
        ({"turn": 270}, "turn must lie in 0 to 180 degrees but is 270"),
        ({"shape": "star"}, "shape must be 'square' or 'disc' but is 'star'"),
        ({"size": 0}, "size must be a whole number from 1 on but is 0"),
        ({"steps": 0}, "steps must be a whole number from 1 on but is 0"),
        ({"target": 0}, "all pictures are of the target class 0"),
        ({"target": 7}, "labels must lie in 0 to 2, got 7 to 7"),
    ],
)
def test_arguments_of_no_sense_are_refused(changes, message):
    arguments = {"target": 1} | changes
    with pytest.raises(InputError, match=message):
        train_patch(colours(), *reddish(4), arguments.pop("target"), **arguments)


def test_a_picture_of_other_colours_is_not_shown():
    patch = Patch(torch.zeros(1, 3, 6, 6), 2, (0.3, 0.5), 30.0, "square")
    with pytest.raises(InputError, match=r"a patch shows one picture .* got shape \(2, 3, 8, 8\)"):
        patch.showing(torch.rand(2, 3, 8, 8))


def test_a_gradient_that_is_not_finite_is_refused():
    class Root(nn.Module):
        def forward(self, x):
            mean = x.mean((2, 3))
            return mean + (mean - mean).sqrt() * 0

    x, y = reddish(4)
    with pytest.raises(ModelError, match="the gradient holds NaN or infinite values; Adam"):
        train_patch(Root().eval(), x, y, 1, size=4, steps=3, batch=2)


def test_a_patch_can_be_shown_at_other_placements_than_it_was_trained_for():
    patch = Patch(torch.ones(1, 3, 6, 6), 2, (0.3, 0.5), 30.0, "square")
    x, y = reddish(3)
    wide = dataclasses.replace(patch, scale=(0.9, 0.9), turn=0.0).on(colours(), x, y)
    assert (wide.norms > patch.on(colours(), x, y).norms).all()
