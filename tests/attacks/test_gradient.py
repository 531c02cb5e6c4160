"""PGD finds what a closed form says it must find, and never leaves its ball."""

import math
import struct
import zlib

import numpy as np
import pytest
import torch
from torch import nn

from lecturekit.attacks.gradient import pgd, project_linf, survivors, untargeted
from lecturekit.errors import InputError, ModelError
from lecturekit.networks import lecture_net

EPS = 8 / 255


def linear(dtype=torch.float32, seed=0):
    """A network of two classes whose every answer a hand can compute: logits (0, w.x + b), w of any sign."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 2)).to(dtype)
    w = torch.randn(60, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    model[1].weight.data = torch.stack([torch.zeros_like(w), w])
    model[1].bias.data = torch.tensor([0, -0.5 * w.sum().item()], dtype=dtype)  # grey lies on the border
    return model.eval(), w.view(3, 4, 5)


def greyish(count, dtype=torch.float32):
    """Pictures far enough from black and white that only the ball limits the attack."""
    generator = torch.Generator().manual_seed(1)
    return 0.4 + 0.2 * torch.rand(count, 3, 4, 5, generator=generator, dtype=dtype)


def crooked(count=3, dtype=torch.float32):
    """A small network with curves, in evaluation mode, and pictures that touch black and white."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 2 * 3, 4)).to(dtype).eval()
    x = torch.rand(count, 3, 4, 5, dtype=dtype).mul(1.4).sub(0.2).clamp(0, 1)
    return model, x, torch.arange(count) % 4


# The closed form


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_a_linear_network_pgd_finds_the_best_corner_of_the_ball(dtype):
    model, w = linear(dtype)
    x0, y = greyish(4, dtype), torch.tensor([0, 1, 0, 1])
    x = pgd(model, x0, untargeted(y), eps=0.02, alpha=0.01, steps=6)
    towards_the_other = torch.tensor([1, -1, 1, -1], dtype=dtype)[:, None, None, None] * w.sign()
    torch.testing.assert_close(x - x0, 0.02 * towards_the_other, atol=1e-6, rtol=0)


def test_on_a_linear_network_pgd_succeeds_exactly_where_eps_times_the_one_norm_exceeds_the_margin():
    model, w = linear()
    x0 = greyish(200)
    logits = model(x0)
    y, margin = logits.argmax(1), (logits[:, 1] - logits[:, 0]).abs()
    eps = margin.median().item() / w.abs().sum().item()  # half of the pictures can be misled
    stood = survivors(model, x0, y, eps=eps, alpha=eps / 2, steps=6, restarts=1)
    clear = (margin - eps * w.abs().sum()).abs() > 1e-4
    assert 90 < clear.sum()
    assert torch.equal(stood[clear], (margin > eps * w.abs().sum())[clear])
    assert 60 < stood.sum() < 140


def test_one_step_too_small_for_the_ball_goes_one_step_from_the_random_start():
    model, w = linear()
    x0, y = greyish(2), torch.tensor([0, 0])
    start = x0 + EPS * (2 * torch.rand(x0.shape, generator=torch.Generator().manual_seed(9)) - 1)
    x = pgd(model, x0, untargeted(y), eps=EPS, alpha=0.001, steps=1, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(x, project_linf(start + 0.001 * w.sign(), x0, EPS))


def test_the_score_decides_what_is_climbed():
    model, w = linear()
    x0 = greyish(2)
    x = pgd(model, x0, lambda logits: -logits[:, 1], eps=0.02, alpha=0.01, steps=6)
    torch.testing.assert_close(x - x0, -0.02 * w.sign().expand_as(x0), atol=1e-6, rtol=0)


# Inside the ball, inside the box


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("eps", [1 / 255, 8 / 255, 0.3, 1])
def test_the_result_lies_in_the_ball_and_in_the_box(eps, dtype):
    model, x0, y = crooked(dtype=dtype)
    x = pgd(model, x0, untargeted(y), eps=eps, alpha=eps / 2, steps=4)
    assert x.dtype == dtype
    assert (x - x0).abs().max() <= eps + 1e-6
    assert x.min() >= 0
    assert x.max() <= 1
    assert not torch.equal(x, x0)


def test_project_linf_finds_the_nearest_point_of_ball_and_box():
    x0 = torch.tensor([[0.5, 0.5, 0.05, 0.95]])
    x = torch.tensor([[0.55, 0.9, -0.3, 1.3]])
    assert project_linf(x, x0, 0.1).flatten().tolist() == pytest.approx([0.55, 0.6, 0, 1])
    again = project_linf(project_linf(x, x0, 0.1), x0, 0.1)
    assert torch.equal(again, project_linf(x, x0, 0.1))


def test_a_ball_without_size_gives_the_picture_back():
    model, x0, y = crooked()
    assert torch.equal(pgd(model, x0, untargeted(y), eps=0, alpha=0.01, steps=3), x0)


def test_more_steps_climb_higher():
    model, x0, y = crooked(8)
    score = untargeted(y)
    heights = [score(model(pgd(model, x0, score, eps=0.2, alpha=0.05, steps=steps))).sum() for steps in (1, 3, 20)]
    assert score(model(x0)).sum() < heights[0] < heights[1] < heights[2]


# What comes in is left as it was


def test_picture_network_and_generator_are_left_as_they_were():
    model, x0, y = crooked()
    before, state = x0.clone(), torch.get_rng_state()
    x0.requires_grad_(True)
    x = pgd(model, x0, untargeted(y), eps=EPS, alpha=EPS / 4, steps=2)
    assert torch.equal(x0, before)
    assert x0.grad is None
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), state), "without a generator of its own it uses a fresh one"


def test_the_generator_decides_the_start():
    model, x0, y = crooked()

    def attack(seed):
        generator = torch.Generator().manual_seed(seed)
        return pgd(model, x0, untargeted(y), eps=EPS, alpha=0, steps=1, generator=generator)

    assert torch.equal(attack(1), attack(1))
    assert not torch.equal(attack(1), attack(2))


def test_a_frozen_network_is_attacked_inside_no_grad():
    model, x0, y = crooked()
    expected = pgd(model, x0, untargeted(y), eps=EPS, alpha=EPS / 4, steps=2)
    model.requires_grad_(False)
    with torch.no_grad():
        assert torch.equal(pgd(model, x0, untargeted(y), eps=EPS, alpha=EPS / 4, steps=2), expected)


def test_no_pictures_give_no_pictures():
    model, x0, y = crooked()
    assert pgd(model, x0[:0], untargeted(y[:0]), eps=EPS, alpha=EPS / 4, steps=2).shape == (0, 3, 4, 5)
    assert survivors(model, x0[:0], y[:0], eps=EPS, alpha=EPS / 4, steps=2, restarts=2).shape == (0,)


def test_a_picture_does_not_depend_on_its_neighbours():
    model, x0, y = crooked(3, torch.float64)
    together = pgd(model, x0, untargeted(y), eps=0.1, alpha=0.03, steps=5)
    alone = pgd(model, x0[:1], untargeted(y[:1]), eps=0.1, alpha=0.03, steps=5)
    torch.testing.assert_close(together[:1], alone)  # the first of a batch has the start that it has alone


# What is refused


@pytest.mark.parametrize("attack", ["pgd", "survivors"])
def test_a_network_in_training_mode_is_refused_before_it_is_run(attack):
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(60, 4)).eval()
    model[0].train()  # one layer is enough
    x0, y = greyish(2), torch.tensor([0, 1])
    with pytest.raises(ModelError, match=r"pgd needs model\.eval\(\): in training mode dropout and batch norm"):
        if attack == "pgd":
            pgd(model, x0, untargeted(y), eps=EPS, alpha=EPS, steps=1)
        else:
            survivors(model, x0, y, eps=EPS, alpha=EPS, steps=1, restarts=1)
    assert model[0].num_batches_tracked == 0


class Root(nn.Module):
    """Its answer is finite on black pictures, and its slope is not."""

    def forward(self, x):
        return x.flatten(1).sqrt()[:, :2]


def test_a_gradient_that_is_not_finite_is_refused():
    x0 = torch.zeros(2, 3, 4, 5)
    with pytest.raises(ModelError, match="the gradient holds NaN or infinite values"):
        pgd(Root().eval(), x0, untargeted(torch.tensor([0, 1])), eps=0, alpha=0, steps=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eps": 8}, r"eps must lie in \[0, 1\] pixel units but is 8; for eight grey levels pass 8/255"),
        ({"eps": -0.1}, r"eps must lie in \[0, 1\]"),
        ({"eps": math.nan}, r"eps must lie in \[0, 1\] pixel units but is nan"),
        ({"eps": math.inf}, r"eps must lie in \[0, 1\] pixel units but is inf"),
        ({"alpha": -0.1}, r"alpha must be a step size in pixel units, e\.g\. eps / 4, but is -0\.1"),
        ({"alpha": math.nan}, "alpha must be a step size .* is nan"),
        ({"steps": 0}, "steps must be a whole number from 1 on but is 0"),
        ({"steps": 2.5}, "steps must be a whole number from 1 on but is 2.5"),
        ({"x0": torch.full((2, 3, 4, 5), 2.64)}, r"x0 must lie in \[0, 1\] but reaches 2\.64; pass pixels"),
        ({"x0": torch.full((2, 3, 4, 5), math.nan)}, "x0 has 120 values that are not finite"),
        ({"x0": torch.zeros(2, 3, 4, 5, dtype=torch.uint8)}, "x0 must hold floats .* torch.uint8"),
    ],
)
def test_arguments_that_would_make_a_weak_attack_are_refused(changes, message):
    model, x0, y = crooked(2)
    arguments = {"x0": x0, "score": untargeted(y), "eps": EPS, "alpha": EPS / 4, "steps": 2} | changes
    with pytest.raises(InputError, match=message):
        pgd(model, **arguments)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.tensor([0, 1, 2]), r"labels must be 2 whole numbers \(int64\) from 0 to 3, .* shape \(3,\) from 0 to 2"),
        (torch.tensor([0, 4]), "from 0 to 4$"),
        (torch.tensor([-1, 0]), "from -1 to 0$"),
        (torch.tensor([0.0, 1.0]), r"got torch\.float32"),
        (torch.eye(4)[:2], r"got torch\.float32 of shape \(2, 4\)"),
    ],
    ids=["too many", "too large", "negative", "floats", "one-hot"],
)
def test_labels_that_do_not_fit_are_refused(y, message):
    model, x0, _ = crooked(2)
    with pytest.raises(InputError, match=message):
        pgd(model, x0, untargeted(y), eps=EPS, alpha=EPS, steps=1)


def test_inference_mode_is_refused():
    model, x0, y = crooked()
    with torch.inference_mode(), pytest.raises(InputError, match="outside torch.inference_mode"):
        pgd(model, x0, untargeted(y), eps=EPS, alpha=EPS, steps=1)


def test_the_untargeted_score_is_the_cross_entropy_of_each_picture():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    assert untargeted(torch.tensor([0, 1]))(logits).tolist() == pytest.approx([math.log(4), math.log(2)])


# Survivors


def test_clean_mistakes_count_as_fallen():
    model, _ = linear()
    x0 = greyish(40)
    y = model(x0).argmax(1)
    y[:10] = 1 - y[:10]
    assert survivors(model, x0, y, eps=0, alpha=0, steps=1, restarts=1).tolist() == [False] * 10 + [True] * 30
    assert survivors(model, x0, y, eps=0, alpha=0, steps=1, restarts=0).tolist() == [False] * 10 + [True] * 30


class Needle(nn.Module):
    """Flat but for one narrow dent: only a lucky start finds it."""

    def forward(self, x):
        first = x[:, 0, 0, 0]
        dent = torch.relu(0.02 - (first - 0.55).abs())
        return torch.stack([torch.full_like(first, 0.01), dent], 1)


def test_each_restart_can_only_fell_more_pictures():
    x, y = torch.full((60, 3, 4, 5), 0.5), torch.zeros(60, dtype=torch.long)
    stood = [
        survivors(Needle().eval(), x, y, eps=0.1, alpha=0.005, steps=4, restarts=restarts) for restarts in (1, 3, 12)
    ]
    counts = [int(s.sum()) for s in stood]
    assert 60 > counts[0] > counts[1] > counts[2]
    assert not (stood[1] & ~stood[0]).any(), "who fell stays fallen"
    assert not (stood[2] & ~stood[1]).any()


def test_a_picture_that_fell_is_not_attacked_again():
    x, y = torch.full((60, 3, 4, 5), 0.5), torch.zeros(60, dtype=torch.long)
    model, sizes = Needle().eval(), []
    model.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    survivors(model, x, y, eps=0.1, alpha=0.005, steps=1, restarts=3)
    assert sizes[0] == sizes[1] == 60, "the clean pass and the first restart"
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 60


def test_the_course_network_can_be_attacked():
    torch.manual_seed(0)
    model, x0, score = lecture_net("abc").eval(), torch.rand(2, 3, 64, 64), untargeted(torch.tensor([0, 2]))
    x = pgd(model, x0, score, eps=EPS, alpha=EPS / 4, steps=3)
    assert (score(model(x)) > score(model(x0))).all()
    assert (x - x0).abs().max() <= EPS + 1e-6, "in pixel units, whatever the network does inside"


# A network with a certificate: no attack can be better than the proof


def certified(shared):
    """The network of Wong & Kolter 2018, proven to err on at most 5.8 % of MNIST's test pictures at eps 0.1."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    path = shared / "weights" / "mnist_robust_wong_kolter" / "mnist_robust_eps0.1.pt"
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval().requires_grad_(False)


def digits(shared, kind, header):
    """Read one of MNIST's idx files: ``header`` big-endian integers, then bytes."""
    packed = (shared / "data" / "mnist_test" / kind).read_bytes()
    raw = zlib.decompress(packed, wbits=31)
    shape = struct.unpack(f">{header}i", raw[: 4 * header])[1:]
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 * header).reshape(shape).copy())


def test_no_attack_breaks_a_proof_and_ours_comes_close_to_it(shared):
    x = digits(shared, "t10k-images-idx3-ubyte.gz", 4)[:500, None].float() / 255
    y = digits(shared, "t10k-labels-idx1-ubyte.gz", 2)[:500].long()
    model = certified(shared)
    clean = (model(x).argmax(1) != y).float().mean().item()
    assert clean == pytest.approx(0.018), "as published for all ten thousand, and so it is for the first five hundred"
    error = 1 - survivors(model, x, y, eps=0.1, alpha=0.03, steps=8, restarts=1).float().mean().item()
    assert error <= 0.058
    assert error == pytest.approx(0.04, abs=0.006), "known: PGD-40 errs on 4.01 % of all"
    stood = survivors(model, x[:200], y[:200], eps=0.3, alpha=0.06, steps=15, restarts=1)
    assert stood.float().mean() < 0.02, "known: PGD-40 leaves 0.35 % at eps 0.3, far outside the proof"
