"""Three ways to hold a picture: each gives back what it was given, stays in the box, and keeps pictures apart."""

import numpy as np
import pytest
import torch

from lecturekit.errors import InputError
from lecturekit.parameterise import DeepPrior, Fourier, Pixels

SIZES = [(8, 6), (7, 9), (5, 8), (6, 5)]


def pictures(n=2, height=16, width=24, dtype=torch.float32, colours=3):
    noise = torch.rand(n, colours, height, width, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return 0.05 + 0.9 * noise  # away from where black and white are moved in


@pytest.mark.parametrize("hold", [Pixels, Fourier])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype, within", [(torch.float32, 2e-5), (torch.float64, 1e-12)])
def test_the_start_picture_comes_back(hold, size, dtype, within):
    x = pictures(3, *size, dtype=dtype)
    again = hold(x)()
    assert again.dtype == dtype
    torch.testing.assert_close(again, x, rtol=0, atol=within)


def test_pixels_hold_grey_pictures_too():
    x = pictures(colours=1)
    torch.testing.assert_close(Pixels(x)(), x)


@pytest.mark.parametrize("hold", [Pixels, Fourier])
def test_black_and_white_start_a_hundredth_inside_where_they_can_move(hold):
    x = torch.zeros(2, 3, 4, 6)
    x[1] = 1
    picture = hold(x)
    again = picture()
    torch.testing.assert_close(again[0], torch.full((3, 4, 6), 0.01), rtol=0, atol=1e-5)
    torch.testing.assert_close(again[1], torch.full((3, 4, 6), 0.99), rtol=0, atol=1e-5)
    again.sum().backward()
    assert torch.isfinite(picture.theta.grad).all() and picture.theta.grad.abs().sum() > 0
    assert x.unique().tolist() == [0, 1], "the caller's pictures are not touched"


@pytest.mark.parametrize("hold", [Pixels, Fourier])
def test_no_step_however_wild_leaves_the_box(hold):
    picture = hold(pictures())
    with torch.no_grad():
        picture.theta += 1000 * torch.randn(picture.theta.shape, generator=torch.Generator().manual_seed(1))
    x = picture()
    assert x.min() >= 0 and x.max() <= 1


@pytest.mark.parametrize("hold", [Pixels, Fourier])
def test_each_row_of_theta_is_one_picture(hold):
    picture = hold(pictures(3, 7, 5))
    (slope,) = torch.autograd.grad(picture()[1].square().sum(), picture.theta)
    assert [row.abs().sum() > 0 for row in slope] == [False, True, False]


# --- waves ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_fourier_says_what_numpy_says(size):
    picture = Fourier(pictures(2, *size, dtype=torch.float64))
    with torch.no_grad():
        picture.theta += 0.1 * torch.randn(picture.theta.shape, generator=torch.Generator().manual_seed(1)).double()
    scaled = (picture.theta * picture.scale).detach().numpy()
    values = np.fft.irfft2(scaled[..., 0] + 1j * scaled[..., 1], s=size, norm="ortho")
    values = np.einsum("cd,ndhw->nchw", picture.colours.numpy(), values)
    torch.testing.assert_close(picture(), torch.from_numpy(1 / (1 + np.exp(-values))))


def test_waves_are_as_strong_as_in_a_photograph():
    scale = Fourier(pictures(1, 16, 24)).scale[..., 0]
    assert scale.shape == (16, 13)
    torch.testing.assert_close(scale[2, 0] / scale[4, 0], torch.tensor(2.0))  # half the frequency, twice the strength
    torch.testing.assert_close(scale[0, 3] / scale[0, 9], torch.tensor(3.0))
    torch.testing.assert_close(scale[3, 0] / scale[-3, 0], torch.tensor(1.0))  # to the left as to the right
    torch.testing.assert_close(scale[4, 0] / scale[0, 6], torch.tensor(1.0))  # a quarter of a cycle per pixel, both
    torch.testing.assert_close(scale[0, 0] / scale[0, 1], torch.tensor(1.0))  # the mean as the longest wave
    torch.testing.assert_close(scale.square().mean(), torch.tensor(1.0))


def test_one_number_of_fourier_moves_one_wave_of_one_direction_of_colour():
    picture = Fourier(torch.full((1, 3, 8, 6), 0.5, dtype=torch.float64))
    with torch.no_grad():
        picture.theta[0, 0, 2, 0, 0] += 1  # first direction of colour, two cycles along the height, cosine
    moved = torch.logit(picture())[0]  # (3, 8, 6)
    wave = torch.cos(2 * torch.pi * 2 * torch.arange(8) / 8).double()
    direction = moved[:, 0, 0]
    torch.testing.assert_close(moved, direction[:, None, None] * wave[None, :, None].expand(3, 8, 6))
    expected = torch.tensor([0.26, 0.27, 0.27]).double()  # nearly grey: red, green and blue together
    torch.testing.assert_close(direction / direction.norm(), expected / expected.norm())


def test_fourier_refuses_grey_pictures():
    with pytest.raises(InputError, match=r"three colours, but start has 1; use Pixels"):
        Fourier(pictures(colours=1))


# --- an untrained network -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2, 3, 16, 24), (3, 1, 24, 16)])
def test_deep_prior_makes_pictures_of_the_shape_of_its_start(dtype, shape):
    x = DeepPrior(torch.zeros(shape, dtype=dtype), width=4)()
    assert x.shape == shape and x.dtype == dtype
    assert x.min() > 0 and x.max() < 1


def test_deep_prior_depends_on_its_seed_and_on_nothing_else():
    start = pictures()
    one, again, other = (DeepPrior(start, seed, width=4)() for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(one, DeepPrior(torch.zeros_like(start), 3, width=4)()), "what the start shows is not used"
    assert not torch.allclose(one[0], one[1]), "every picture has a network of its own"


def test_deep_prior_leaves_the_dice_of_others_alone():
    before = torch.get_rng_state()
    DeepPrior(pictures(), width=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_weight_of_a_deep_prior_can_learn_and_only_for_its_own_picture():
    picture = DeepPrior(pictures(), width=4)
    picture()[0].square().sum().backward()
    first, second = picture.hourglasses
    assert all(weight.grad.abs().sum() > 0 for name, weight in first.named_parameters() if name.endswith("weight"))
    assert all(weight.grad is None or weight.grad.abs().sum() == 0 for weight in second.parameters())
    assert "noise" not in dict(picture.named_parameters()), "the noise is fixed"


@pytest.mark.parametrize("size", [(16, 20), (12, 16), (8, 16)])
def test_deep_prior_refuses_a_size_that_cannot_be_halved_three_times(size):
    with pytest.raises(InputError, match=rf"sides are 16, 24, 32 ..., got {size[0]}x{size[1]}"):
        DeepPrior(torch.zeros(2, 3, *size))
