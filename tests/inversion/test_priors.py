"""The two priors: values that fit on paper, gradients, and the axes that a well-known repository got wrong."""

import itertools

import pytest
import torch

from lecturekit.inversion import priors
from lecturekit.inversion.priors import alpha_norm, natural, total_variation

DTYPES = [torch.float32, torch.float64]


def pictures(n=2, height=7, width=5, dtype=torch.float64, seed=0):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def slow_total_variation(x, beta):
    """The definition, number by number."""
    rows, columns = (range(side - 1) for side in x.shape[-2:])
    costs = [0.0] * len(x)
    for n, c, i, j in itertools.product(range(len(x)), range(x.shape[1]), rows, columns):
        down, right = x[n, c, i + 1, j] - x[n, c, i, j], x[n, c, i, j + 1] - x[n, c, i, j]
        costs[n] += float(down**2 + right**2) ** (beta / 2)
    return torch.tensor(costs, dtype=x.dtype)


# --- total variation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_total_variation_sees_a_vertical_edge(dtype):
    x = torch.zeros(2, 3, 8, 6, dtype=dtype)
    x[..., 3:] = 1
    assert total_variation(x).tolist() == [21, 21], "7 counted rows x 3 colours, each with one jump of 1"


@pytest.mark.parametrize("dtype", DTYPES)
def test_total_variation_sees_a_horizontal_edge(dtype):
    x = torch.zeros(2, 3, 8, 6, dtype=dtype)
    x[..., 4:, :] = 1
    assert total_variation(x).tolist() == [15, 15], "5 counted columns x 3 colours, each with one jump of 1"


@pytest.mark.parametrize("beta", [1, 1.5, 2, 3])
def test_a_constant_picture_is_not_rough(beta):
    x = torch.full((2, 3, 4, 6), 0.3)
    assert total_variation(x, beta).tolist() == [0, 0]


@pytest.mark.parametrize("beta", [1, 1.5, 2, 3])
@pytest.mark.parametrize("height", [0.25, 0.5, 1])
def test_a_step_edge_costs_its_length_times_its_height_to_the_power_beta(beta, height):
    x = torch.zeros(2, 1, 5, 6, dtype=torch.float64)
    x[..., 2:] = height
    torch.testing.assert_close(total_variation(x, beta), torch.full((2,), 4 * height**beta).double(), rtol=1e-4, atol=0)


def test_one_bright_pixel_costs_what_one_adds_up_on_paper():
    x = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    x[:, 0, 1, 1] = 1
    assert total_variation(x).tolist() == [4, 4], "one jump above it, one left of it, two jumps at the pixel itself"
    torch.testing.assert_close(total_variation(x, beta=1), torch.tensor([2 + 2**0.5] * 2).double(), rtol=1e-4, atol=0)


def test_colours_are_not_taken_for_rows():
    red = torch.zeros(2, 3, 6, 4)
    red[:, 0] = 1
    assert total_variation(red).tolist() == [0, 0], "flat, however red; the wrong axes gave 240"
    stripes = torch.zeros(2, 3, 6, 4)
    stripes[..., ::2] = 1
    assert total_variation(stripes).tolist() == [45, 45], "3 jumps in 5 rows of 3 colours; the wrong axes gave 0"


@pytest.mark.parametrize("beta", [1, 1.5, 2, 3])
def test_total_variation_is_the_slow_definition(beta):
    x = pictures()
    torch.testing.assert_close(total_variation(x, beta), slow_total_variation(x, beta), rtol=1e-4, atol=0)


@pytest.mark.parametrize("beta", [1, 2])
def test_a_flat_region_has_a_finite_slope(beta):
    x = torch.full((2, 3, 4, 6), 0.3, requires_grad=True)
    (slope,) = torch.autograd.grad(total_variation(x, beta).sum(), x)
    assert slope.abs().max() == 0


# --- alpha norm -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha, expected", [(2, 0.75), (4, 0.75**2), (6, 0.75**3)])
def test_alpha_norm_takes_the_power_of_the_length_of_a_pixel(dtype, alpha, expected):
    x = torch.full((2, 3, 4, 6), 0.5, dtype=dtype)
    x[0, :, 1, 2] = 1  # white: three colours, each a half away from grey
    x[1, :, 3, 5] = 0  # black is as far
    assert alpha_norm(x, alpha).tolist() == [expected, expected]


def test_middle_grey_has_alpha_norm_zero():
    assert alpha_norm(torch.full((2, 3, 4, 6), 0.5)).tolist() == [0, 0]


def test_alpha_norm_adds_pixels_after_the_power_and_colours_before():
    x = torch.full((1, 3, 1, 2), 0.5)
    x[0, 0] = 1  # two pixels, one colour a half away: 2 * (1/4)^3
    assert alpha_norm(x).tolist() == [2 * 0.25**3]


# --- both together --------------------------------------------------------------------------------------------------


def test_natural_is_the_formula_of_2016():
    x, typical = pictures(height=4, width=5), 80 / 255
    expected = []
    for picture in x:
        alpha = sum(float(((picture[:, i, j] - 0.5) ** 2).sum()) ** (6 / 2) for i in range(4) for j in range(5))
        rough = slow_total_variation(picture[None], 2).item()
        expected.append(alpha / (4 * 5 * typical**6) + 3 * rough / (4 * 5 * (typical / 6.5) ** 2))
    torch.testing.assert_close(natural(alpha=1, tv=3)(x), torch.tensor(expected).double())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha, tv", [(1, 1), (0, 2), (0.5, 0), (0, 0)])
def test_natural_has_the_value_and_the_slope_of_its_two_terms(dtype, alpha, tv):
    x = pictures(n=3, height=6, width=9, dtype=dtype).requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=dtype)
    a, b = alpha / (54 * priors.B**6), tv / (54 * priors.V**2)
    expected = a * alpha_norm(x) + b * total_variation(x)
    (expected_slope,) = torch.autograd.grad((weights * expected).sum(), x)
    cost = natural(alpha=alpha, tv=tv)(x)
    (slope,) = torch.autograd.grad((weights * cost).sum(), x)
    assert cost.shape == (3,) and cost.dtype == dtype
    torch.testing.assert_close(cost, expected)
    torch.testing.assert_close(slope, expected_slope)


@pytest.mark.parametrize(
    "prior",
    [alpha_norm, lambda x: alpha_norm(x, 3), lambda x: alpha_norm(x, 2), total_variation,
     lambda x: total_variation(x, 1), lambda x: total_variation(x, 1.5), natural(alpha=1e-2, tv=1e-2)],
)  # fmt: skip
def test_slopes_are_those_of_finite_differences(prior):
    assert torch.autograd.gradcheck(prior, pictures(height=4, width=3).requires_grad_())


@pytest.mark.parametrize("prior", [alpha_norm, total_variation, natural()])
def test_priors_leave_the_picture_alone_and_treat_each_by_itself(prior):
    x = pictures(n=3)
    before = x.clone()
    together = prior(x)
    assert torch.equal(x, before)
    torch.testing.assert_close(together, torch.cat([prior(one[None]) for one in x]))


@pytest.mark.parametrize("prior", [alpha_norm, total_variation, natural()])
def test_no_pictures_have_no_cost(prior):
    assert prior(torch.zeros(0, 3, 4, 4)).shape == (0,)


def test_noise_is_less_natural_than_a_photograph():
    data = pytest.importorskip("skimage.data")
    from skimage.transform import resize

    cat = resize(data.chelsea()[:, 75:375], (64, 64), anti_aliasing=True)
    photograph = torch.from_numpy(cat).permute(2, 0, 1)[None]
    alpha, tv = natural(tv=0)(photograph).item(), natural(alpha=0)(photograph).item()
    assert 1 < alpha < 20 and 1 < tv < 20, f"of the order of ten, as the docstring says, not {alpha:.1f} and {tv:.1f}"
    noise = pictures(n=1, height=64, width=64)
    assert natural(alpha=0)(noise).item() > 10 * tv
