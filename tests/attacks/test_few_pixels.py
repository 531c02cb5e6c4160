"""The ball that counts pixels, and evolution: it never does what is impossible, and finds what brute force finds."""

import itertools

import pytest
import torch
from torch import nn

from lecturekit.attacks.few_pixels import L0, cross, few_pixels, paint
from lecturekit.attacks.threat import Linf
from lecturekit.errors import InputError
from lecturekit.progress import STOP

HEIGHT, WIDTH = 4, 5


class OnePixel(nn.Module):
    """A network that only looks at the red of one pixel: class 1 if it is above a half."""

    def __init__(self, row=2, column=3):
        super().__init__()
        self.row, self.column, self.shown = row, column, 0
        self.eval()

    def forward(self, x):
        assert not torch.is_grad_enabled()
        self.shown += len(x)
        red = x[:, 0, self.row, self.column]
        return torch.stack([0.5 - red, red - 0.5], dim=1)


def linear(seed=0, bias=0.0):
    """Two classes; how far one pixel can push is a sum a hand can do."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * HEIGHT * WIDTH, 2)).eval()
    w = torch.randn(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))
    model[1].weight.data = torch.stack([torch.zeros(60), w.flatten()])
    model[1].bias.data = torch.tensor([0, bias])
    return model, w


def pictures(count, seed=1):
    return torch.rand(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


# The ball


def test_the_size_counts_pixels_and_not_colours():
    delta = torch.zeros(2, 3, HEIGHT, WIDTH)
    delta[0, :, 1, 1], delta[0, 2, 3, 4], delta[1, 0, 0, 0] = 0.5, -0.1, 1e-7
    assert L0.size(delta).tolist() == [2, 1]


def test_projection_keeps_the_pixels_that_moved_farthest_as_brute_force_does():
    x0, x = pictures(2), pictures(2, seed=2)
    nearest = L0(2).project(x, x0)
    for n in range(2):
        distances = {}
        for two in itertools.combinations(itertools.product(range(HEIGHT), range(WIDTH)), 2):
            candidate = x0[n].clone()
            for row, column in two:
                candidate[:, row, column] = x[n, :, row, column]
            distances[two] = (candidate - x[n]).norm().item()
        assert (nearest[n] - x[n]).norm().item() == pytest.approx(min(distances.values()))
    assert L0.size(nearest - x0).tolist() == [2, 2]


def test_projection_leaves_alone_what_lies_inside():
    x0 = pictures(2)
    x = x0.clone()
    x[:, :, 1, 2] = 0
    assert torch.equal(L0(1).project(x, x0), x)
    assert torch.equal(L0(0).project(x, x0), x0)
    assert torch.equal(L0(99).project(pictures(2, seed=5), x0), pictures(2, seed=5)), "more pixels than there are"


def test_the_ball_counts_in_whole_numbers_and_says_so():
    assert str(L0(1)) == "L0 ≤ 1 pixel" and str(L0(3)) == "L0 ≤ 3 pixels"
    with pytest.raises(InputError, match="L0 counts pixels, so eps must be a whole number but is 0.5"):
        L0(0.5)
    with pytest.raises(InputError, match="eps must be a number >= 0"):
        L0(-1)


# Evolution


def test_guesses_are_painted_where_they_say():
    guesses = torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]], [[0.99, 0.99, 0.0, 1.0, 0.0]], [[1.0, 1.0, 0.0, 0.0, 1.0]]])
    painted = paint(torch.full((1, 3, HEIGHT, WIDTH), 0.5), guesses)
    assert painted.shape == (3, 3, HEIGHT, WIDTH)
    assert (painted != 0.5).any(1).nonzero().tolist() == [[0, 0, 0], [1, 3, 4], [2, 3, 4]], "1.0 is the last row"
    assert painted[0, :, 0, 0].tolist() == [1, 0, 0] and painted[1, :, 3, 4].tolist() == [0, 1, 0]


def test_a_child_has_three_parents_that_are_not_itself():
    """With numbers that stand for one parent each, a child tells who its parents were."""
    population = torch.tensor([0.0, 0.03, 0.09, 0.27, 0.81]).view(5, 1, 1).expand(5, 2, 5)
    children = cross(population, 1.0, torch.Generator().manual_seed(0))
    values = population[:, 0, 0].tolist()
    for n in range(5):
        others = [value for i, value in enumerate(values) if i != n]
        possible = [a + b - c for a, b, c in itertools.permutations(others, 3)]
        inside = [value for value in possible if 0 <= value <= 1]
        value = children[n, 0, 0].item()
        assert any(abs(value - p) < 1e-6 for p in inside) or children[n].unique().numel() == 10, "or drawn anew"
    assert (children >= 0).all() and (children <= 1).all()


def test_a_network_that_looks_at_one_pixel_falls_to_one_pixel():
    x, model = pictures(4), OnePixel()
    x[:, 0, 2, 3] = 0.2
    found = few_pixels(model, x, torch.zeros(4, dtype=torch.long), guesses=40, generations=10)
    assert found.misled.all() and found.norms.tolist() == [1, 1, 1, 1]
    assert torch.equal((found.delta != 0).any(1).nonzero()[:, 1:], torch.tensor([[2, 3]] * 4))


def test_every_question_is_counted_and_a_misled_picture_is_asked_about_no_more():
    x, model = pictures(3), OnePixel()
    x[:, 0, 2, 3] = 0.2
    found = few_pixels(model, x, torch.zeros(3, dtype=torch.long), guesses=30, generations=20)
    assert model.shown == found.queries.sum() + 2 * 3, "twice three are those of `judge`"
    assert found.queries.max() < 30 * 21 and (found.queries % 30 == 0).all()
    hopeless = few_pixels(OnePixel(), x, torch.zeros(3, dtype=torch.long), ball=L0(0), guesses=4, generations=2)
    assert hopeless.queries.tolist() == [12, 12, 12] and hopeless.unchanged.all()


@pytest.mark.parametrize("pixels", [1, 2])
def test_evolution_finds_what_the_closed_form_says_and_nothing_more(pixels):
    """The best change of one pixel is worth sum_c max(w (1 - x), -w x); pixels add up."""
    x, (model, w) = pictures(12), linear()
    logits = (x * w).sum((1, 2, 3))
    gain = torch.maximum(w * (1 - x), -w * x).sum(1).flatten(1).topk(pixels, dim=1).values.sum(1)
    model[1].bias.data[1] = -(logits + gain).median()  # half of the pictures can just be misled
    y = torch.zeros(12, dtype=torch.long)
    needed = -(logits + model[1].bias[1].item())
    found = few_pixels(model, x, y, ball=L0(pixels), guesses=50, generations=40)
    assert not found.misled[(needed > gain)].any(), "nobody does the impossible"
    possible = (needed > 0) & (needed < 0.75 * gain)
    assert possible.sum() >= 3 and found.misled[possible].all()


def test_a_target_is_what_is_searched_for():
    model = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()).eval()  # the class is the brightest colour
    x = 0.5 * pictures(2)
    y = model(x).argmax(1)
    target = (y + 1) % 3
    found = few_pixels(model, x, y, target=target, guesses=20, generations=10)
    assert torch.equal(found.logits.argmax(1), target)


def test_the_best_so_far_only_gets_better():
    (model, _), best = linear(bias=-50.0), []
    few_pixels(
        model, pictures(1), torch.zeros(1, dtype=torch.long), ball=L0(3), generations=15,
        watch=lambda step: best.append(model(step.picture)[0, 1].item()),
    )  # fmt: skip
    assert len(best) == 16 and best == sorted(best) and best[-1] > best[0]


def test_the_seed_decides_and_the_neighbours_do_not():
    (model, _), x, y = linear(bias=-50.0), pictures(3), torch.zeros(3, dtype=torch.long)
    first, again, other = (few_pixels(model, x, y, guesses=6, generations=3, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.x, again.x) and not torch.equal(first.x, other.x)
    assert torch.equal(few_pixels(model, x[:1], y[:1], guesses=6, generations=3, seed=1).x, first.x[:1])
    twins = few_pixels(model, x[:1].expand(2, -1, -1, -1), y[:2], guesses=6, generations=3, seed=1)
    assert not torch.equal(twins.x[0], twins.x[1]), "each picture has its own luck"


def test_stop_leaves_the_other_pictures_as_they_are():
    (model, _), x, y = linear(bias=-50.0), pictures(3), torch.zeros(3, dtype=torch.long)
    watch = lambda step: STOP if step.done == 6 else None  # noqa: E731  the second picture's second generation
    found = few_pixels(model, x, y, guesses=5, generations=3, watch=watch)
    assert not found.complete and found.queries.tolist() == [20, 10, 0]
    assert found.unchanged.tolist() == [False, False, True] and "STOPPED" in str(found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ball": Linf(0.1)}, r"its ball must be L0\(1\), L0\(3\) ... but is L∞ ≤ 25.5/255"),
        ({"guesses": 3}, "guesses must be 4 or more but is 3"),
        ({"generations": 0}, "generations must be a whole number from 1 on but is 0"),
    ],
)
def test_arguments_of_no_sense_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        few_pixels(linear()[0], pictures(2), torch.zeros(2, dtype=torch.long), **changes)
