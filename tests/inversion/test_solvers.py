"""Both ways downhill against textbooks and other libraries, and every picture of a batch as if it were alone."""

import itertools

import pytest
import scipy.optimize
import torch
from torch import nn

from lecturekit.errors import InputError
from lecturekit.inversion.solvers import adam, downhill, lbfgs, remember
from lecturekit.parameterise import DeepPrior, Fourier, Pixels


class Plain(nn.Module):
    """Numbers held as they are: a "picture" (N, 1, 1, D) whose landscape can be written down."""

    def __init__(self, start):
        super().__init__()
        self.theta = nn.Parameter(start.clone())

    def forward(self):
        return self.theta[:, None, None, :]


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def walk(solver, picture, losses, steps, **how):
    """Return the points (steps, N, D) and losses (steps, N) of all evaluations."""
    found = [(picture.theta.detach().flatten(1).clone(), loss) for _, loss in
             itertools.islice(solver(picture, losses, **how), steps)]  # fmt: skip
    return torch.stack([at for at, _ in found]), torch.stack([loss for _, loss in found])


def bowls(*conditions, size=12):
    """Quadratic losses, one for each condition number, and where their minima lie."""
    axes = torch.linalg.qr(random(len(conditions), size, size))[0]
    lengths = torch.stack([torch.logspace(0, torch.tensor(float(c)).log10(), size).double() for c in conditions])
    a, b = axes @ torch.diag_embed(lengths) @ axes.mT, random(len(conditions), size, seed=1)

    def losses(x, rows=slice(None)):
        x = x[:, 0, 0]
        return 0.5 * torch.einsum("nd,nde,ne->n", x, a[rows], x) - (b[rows] * x).sum(1)

    return losses, torch.linalg.solve(a, b)


def rosenbrock(x):
    a, b = x[:, 0, 0].unbind(1)
    return (1 - a) ** 2 + 100 * (b - a**2) ** 2


# --- Adam -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_adam_walks_as_torch_does(rate):
    losses, _ = bowls(1, 100)
    start = random(2, 12, seed=2)
    points, values = walk(adam, Plain(start), losses, 30, rate=rate)
    reference = nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([reference], lr=rate)
    for at, value in zip(points, values, strict=True):
        torch.testing.assert_close(at, reference.detach(), rtol=0, atol=0)
        optimiser.zero_grad()
        loss = losses(reference[:, None, None, :])
        torch.testing.assert_close(value, loss.detach())
        loss.sum().backward()
        optimiser.step()


def test_adam_trains_a_deep_prior():
    target = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    steps = adam(DeepPrior(target, width=4), lambda x: (x - target).square().mean((1, 2, 3)), rate=0.01)
    losses = [loss for _, loss in itertools.islice(steps, 30)]
    assert (losses[-1] < 0.9 * losses[0]).all()


# --- L-BFGS ---------------------------------------------------------------------------------------------------------


def inverse_hessian(pairs, size):
    """Nocedal & Wright, equations 7.16 and 7.20, as written: the whole matrix, one update a pair, oldest first."""
    h = torch.eye(size).double()
    if pairs:
        s, y = pairs[-1]
        h *= (s @ y) / (y @ y)
    for s, y in pairs:
        rho = 1 / (y @ s)
        v = torch.eye(size).double() - rho * torch.outer(y, s)
        h = v.T @ h @ v + rho * torch.outer(s, s)
    return h


@pytest.mark.parametrize("memory", [1, 3, 8])
def test_the_direction_is_that_of_the_matrix_in_the_textbook(memory):
    """Three pictures with no, four and six pairs: the memories differ in length, and the longest overflows."""
    size, slope = 5, random(3, 5, seed=9)
    s, y, kept = [], [], [[], [], []]
    for step in range(6):
        moved = random(3, size, seed=10 + step)
        bent = moved @ torch.diag(torch.arange(1, size + 1)).double() + 0.1 * random(3, size, seed=20 + step)
        accepted = torch.tensor([[False], [step % 3 != 1], [True]])
        remember(s, y, moved, bent, accepted, memory)
        for n in accepted[:, 0].nonzero().flatten():
            kept[n].append((moved[n], bent[n]))
    first = 0.1 / slope[0].abs().mean()  # who knows nothing moves by about a tenth
    expected = torch.stack([-inverse_hessian(pairs[-memory:], size) @ g for pairs, g in zip(kept, slope, strict=True)])
    torch.testing.assert_close(downhill(slope, s, y), expected * torch.tensor([[first], [1], [1]]))
    assert len(s) == len(y) == min(memory, 6)


def test_a_pair_that_bends_upwards_is_not_remembered():
    s, y = [], []
    moved = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    bent = torch.tensor([[4.0, 2.0], [-4.0, 2.0], [0.0, 2.0]])
    remember(s, y, moved, bent, torch.ones(3, 1, dtype=torch.bool), 8)
    assert s[0].tolist() == [[0.5, 0], [0, 0], [0, 0]], "scaled by the root of s'y = 4; the others left out"
    assert y[0].tolist() == [[2, 1], [0, 0], [0, 0]]
    slope = torch.ones(3, 2)
    torch.testing.assert_close(downhill(slope, s, y)[1:], -0.1 * slope[1:]), "who remembers nothing goes straight down"
    remember(s, y, moved, -bent, torch.tensor([[True], [False], [False]]), 8)
    assert len(s) == len(y) == 1, "nobody learned anything"


def test_lbfgs_finds_the_bottom_of_every_bowl():
    losses, bottom = bowls(1, 30, 1000)
    points, _ = walk(lbfgs, Plain(random(3, 12, seed=2)), losses, 250)
    torch.testing.assert_close(points[-1], bottom, rtol=0, atol=1e-6)


def test_lbfgs_finds_the_bottom_of_the_bent_valley_where_scipy_finds_it():
    starts = torch.tensor([[-1.2, 1.0], [2.0, 2.0], [0.0, -1.0]]).double()
    points, values = walk(lbfgs, Plain(starts), rosenbrock, 150)
    for n, start in enumerate(starts):
        found = scipy.optimize.minimize(scipy.optimize.rosen, start, jac=scipy.optimize.rosen_der, method="L-BFGS-B")
        torch.testing.assert_close(points[-1][n], torch.from_numpy(found.x), rtol=0, atol=1e-4)
    assert values[-1].max() < 1e-10


@pytest.mark.parametrize("hold", [Pixels, Fourier])
def test_lbfgs_and_the_lbfgs_of_torch_agree_on_a_picture(hold):
    x0 = 0.2 + 0.6 * torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def losses(x):  # strictly convex in x: one minimum
        return (x - x0).square().sum((1, 2, 3)) + 0.1 * (x - 0.5).square().sum((1, 2, 3))

    start, picture = torch.full_like(x0, 0.4), hold(torch.full_like(x0, 0.4))
    x = [x for x, _ in itertools.islice(lbfgs(picture, losses), 300)][-1]
    reference = hold(start)
    limits = {"max_iter": 300, "tolerance_grad": 1e-12, "tolerance_change": 0}
    optimiser = torch.optim.LBFGS(reference.parameters(), line_search_fn="strong_wolfe", **limits)

    def closure():
        optimiser.zero_grad()
        loss = losses(reference()).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    torch.testing.assert_close(x, reference().detach(), rtol=0, atol=1e-5)
    torch.testing.assert_close(x, (x0 + 0.05) / 1.1, rtol=0, atol=1e-5)


def test_lbfgs_needs_a_fraction_of_the_evaluations_of_adam():
    losses, bottom = bowls(300, 1000)
    lowest = losses(bottom[:, None, None])
    start = random(2, 12, seed=2)
    (_, quick), (_, slow) = (walk(solver, Plain(start), losses, steps) for solver, steps in ((lbfgs, 50), (adam, 200)))
    assert (quick.amin(0) - lowest < slow.amin(0) - lowest).all()


def test_a_picture_in_a_batch_walks_as_if_it_were_alone():
    losses, _ = bowls(1, 50, 1000)
    start = random(3, 12, seed=2) * torch.tensor([[0.01], [1.0], [100.0]])
    together, values = walk(lbfgs, Plain(start), losses, 25)
    assert not (values[1:] <= values[:-1]).all(), "some trials fail, else this test tests nothing"
    for n in range(3):
        alone, _ = walk(lbfgs, Plain(start[n : n + 1]), lambda x, n=n: losses(x, slice(n, n + 1)), 25)
        torch.testing.assert_close(together[:, n], alone[:, 0], rtol=1e-6, atol=1e-8)


def test_the_loss_of_a_place_where_lbfgs_stands_never_rises():
    """A trial that does not help is followed by one half as far from the place before; any other is a new place."""
    points, values = walk(lbfgs, Plain(torch.tensor([[-1.2, 1.0], [2.0, 2.0]]).double()), rosenbrock, 60)
    for n in range(2):
        at, stands, refused = points[0, n], values[0, n], 0
        for trial, value, following in zip(points[1:-1, n], values[1:-1, n], points[2:, n], strict=True):
            if value >= stands:
                torch.testing.assert_close(following, at + (trial - at) / 2)
                refused += 1
            else:
                at, stands = trial, value
        assert refused > 0, "else this test tests nothing"


def test_a_step_that_falls_less_than_promised_is_refused():
    """On |x| the slope promises more than a jump across the kink delivers: 1e-4 of it must come."""
    picture = Plain(torch.tensor([[1.0], [1.0]]).double())
    points, _ = walk(lbfgs, picture, lambda x: x[:, 0, 0, 0].abs() + 1e-9 * x[:, 0, 0, 0], 4)
    torch.testing.assert_close(points[1], torch.full((2, 1), 0.9).double()), "the first step moves about 0.1"


def test_the_first_step_moves_the_numbers_by_about_a_tenth():
    for scale in (1e-4, 1.0, 1e4):
        points, _ = walk(lbfgs, Plain(random(2, 12)), lambda x, scale=scale: scale * x.square().sum((1, 2, 3)), 2)
        torch.testing.assert_close((points[1] - points[0]).abs().mean(1), torch.full((2,), 0.1).double())


def test_where_there_is_no_slope_nothing_moves():
    points, _ = walk(lbfgs, Plain(torch.zeros(2, 3)), lambda x: x.square().sum((1, 2, 3)), 5)
    assert points.abs().max() == 0


def test_lbfgs_refuses_a_picture_without_rows():
    with pytest.raises(InputError, match="one row of parameters per picture; DeepPrior has none. Use adam"):
        next(lbfgs(DeepPrior(torch.zeros(2, 3, 16, 16), width=4), lambda x: x.sum((1, 2, 3))))


# --- both -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [adam, lbfgs])
def test_what_is_yielded_belongs_together_and_is_detached(solver):
    losses, _ = bowls(1, 10)
    for x, loss in itertools.islice(solver(Plain(random(2, 12)), losses), 5):
        assert x.shape == (2, 1, 1, 12) and loss.shape == (2,)
        assert not x.requires_grad and not loss.requires_grad
        torch.testing.assert_close(losses(x), loss)


@pytest.mark.parametrize("solver", [adam, lbfgs])
def test_the_network_gets_no_gradients_and_the_caller_keeps_his_grad_mode(solver):
    conv = nn.Conv2d(3, 2, 3)
    with torch.no_grad():
        for _ in itertools.islice(solver(Pixels(torch.full((2, 3, 4, 5), 0.4)), lambda x: conv(x).sum((1, 2, 3))), 3):
            assert not torch.is_grad_enabled()
    assert conv.weight.grad is None and conv.bias.grad is None
