"""Activation maximisation against answers known in closed form, and everything that must stay as it was."""

import itertools
import math

import pytest
import scipy.ndimage
import torch
from torch import nn

from lecturekit import capture
from lecturekit.errors import InputError, ModelError
from lecturekit.features import channel, direction, logit, maximise, neuron, tuned, views
from lecturekit.features.maximise import apart
from lecturekit.features.objectives import Score
from lecturekit.features.tuned import SETTINGS
from lecturekit.features.views import blurred
from lecturekit.networks import load
from lecturekit.parameterise import Fourier, Pixels
from lecturekit.progress import STOP

SIZE = (6, 8)  # not square


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 3, padding=1), nn.Flatten(), nn.Linear(192, 7)
        ).eval()


def up(model=None, layer="2", score=None, **changes):
    settings = {"hold": Pixels, "size": SIZE, "margin": 0, "steps": 30, "rate": 0.5} | changes
    return maximise(model or network(), layer, score or channel(1), **settings)


SCORES = [channel(1), neuron(1), direction(torch.tensor([1.0, -1, 0, 0])), lambda code: code[:, 2].amax((1, 2))]


class Trail(list):
    """A watch that keeps all steps, and stops or is interrupted after some of them."""

    def __init__(self, stop=None, interrupt=None):
        super().__init__()
        self.stop, self.interrupt = stop, interrupt

    def __call__(self, step):
        self.append(step)
        if step.done == self.interrupt:
            raise KeyboardInterrupt
        return STOP if step.done == self.stop else None


# --- answers known beforehand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", [Pixels, Fourier])
def test_a_linear_unit_is_brought_to_its_bound(hold):
    """The largest answer of sum w x over pixels in [0, 1] takes 1 where w > 0 and 0 elsewhere."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 2, bias=False)).eval()
    w = model[1].weight[1].detach().view(3, *SIZE)
    w[:] = torch.where(w > 0, 1.0, -1.0)  # Pixels reach this; waves come near
    found = up(model, "1", logit(1), hold=hold, steps=200, rate=1.0)
    bound = w.clamp(min=0).sum()
    assert found.score.item() > (0.98 if hold is Pixels else 0.7) * bound
    assert found.score.item() <= bound and (found.x[0] > 0.5).eq(w > 0).float().mean() > 0.7


def test_a_neuron_paints_its_filter_where_it_looks_and_leaves_the_rest_grey():
    model = network()
    found = up(model, "0", neuron(2, row=1, column=5), steps=200, rate=1.0)
    window = model[0].weight[2]
    torch.testing.assert_close((found.x[0, :, 0:3, 4:7] > 0.5), window > 0)
    outside = torch.ones(SIZE, dtype=torch.bool)
    outside[0:3, 4:7] = False
    assert (found.x[0][:, outside] - 0.5).abs().max() < 0.05, "the faint noise of the start"


def test_each_picture_gets_the_filter_that_it_asked_for():
    model = network()
    found = up(model, score=channel([3, 0, 3, 2]))
    maps = capture.activations(model, found.x, "2")["2"].mean(dim=(2, 3))
    assert maps[[0, 1, 2, 3], [3, 0, 3, 2]].gt(maps.mean(dim=0)[[3, 0, 3, 2]] - 1e-6).all()
    alone = up(model, score=channel([3]))
    assert found.score[0].item() == pytest.approx(alone.score.item(), rel=0.05), "pictures do not disturb each other"


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("hold", [Pixels, Fourier])
def test_every_score_rises(score, hold):
    found = up(score=score, hold=hold, view=views(jitter=1))
    assert found.score > found.start and found.complete and len(found.scores) == 30
    assert found.x.shape == (1, 3, *SIZE) and 0 <= found.x.min() and found.x.max() <= 1


def test_the_score_is_that_of_a_fresh_forward_pass():
    model = network()
    found = up(model, score=channel(1, leak=1), view=views(jitter=2, degrees=10))
    torch.testing.assert_close(found.score, capture.activations(model, found.x, "2")["2"][:, 1].mean(dim=(1, 2)))


def test_the_same_seed_paints_the_same_picture():
    a, b, c = (up(view=views(jitter=1), seed=seed).x for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_decay_keeps_the_picture_near_grey():
    free, held = (up(decay=decay).x for decay in (0.0, 0.2))
    assert (held - 0.5).abs().mean() < 0.5 * (free - 0.5).abs().mean()


def test_the_margin_is_painted_but_not_shown():
    sizes = []

    def hold(start):
        sizes.append(tuple(start.shape[-2:]))
        return Pixels(start)

    assert up(hold=hold, margin=3).x.shape[-2:] == SIZE and sizes == [(12, 14)]


def test_without_other_wishes_pictures_are_waves_of_64_pixels_with_a_margin_of_8_painted_in_128_steps():
    held = []

    def hold(start):
        held.append(Fourier(start))
        return held[0]

    one = maximise(network(), "0", channel(1), hold=hold)
    assert one.x.shape == (1, 3, 64, 64) and held[0]().shape == (1, 3, 80, 80) and len(one.scores) == 128
    assert torch.equal(maximise(network(), "0", channel(1)).x, one.x)


def test_the_first_steps_are_those_of_torchs_adam_along_half_a_cosine():
    model, rate, steps = network(), 0.3, 4
    start = Pixels((0.5 + 0.01 * torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))).clamp(0, 1))
    adam = torch.optim.Adam(start.parameters(), lr=rate, maximize=True)
    half = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
    for _ in range(steps):
        score = nn.functional.leaky_relu(capture.cut(model, "2")(start())[:, 1], 0.5).mean()
        adam.zero_grad()
        (score / max(abs(score.item()), 1e-2)).backward()
        adam.step()
        half.step()
    found = up(model, steps=steps, rate=rate)
    torch.testing.assert_close(found.x, start().detach(), rtol=0, atol=1e-4)


# --- scores ---------------------------------------------------------------------------------------------------------


def test_scores_are_what_one_counts_on_paper():
    code = torch.tensor([[[[1.0, -2.0]], [[3.0, 5.0]]], [[[0.0, 4.0]], [[-1.0, -1.0]]]])  # (2, 2, 1, 2)
    assert channel([0, 1], leak=0.5)(code).tolist() == [0.0, -0.5]
    assert channel([0, 0], leak=0)(code).tolist() == [0.5, 2.0] and channel([0, 0], leak=1)(code).tolist() == [
        -0.5,
        2.0,
    ]
    assert neuron([1, 0], row=0, column=0)(code).tolist() == [3.0, 0.0] and neuron([1, 0])(code).tolist() == [5.0, 4.0]
    along = direction(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))(code)
    assert along.tolist() == [4.0, 2.0], "the length of the direction does not count"
    assert logit([1, 0])(torch.tensor([[5.0, 6.0], [7.0, 8.0]])).tolist() == [6.0, 7.0]
    assert (channel([0, 1], 1) + 2 * neuron([1, 1]))(code).tolist() == [-0.5 + 10, -1 - 2]


def test_copies_of_a_score_come_all_once_then_all_again():
    wish = channel([0, 2], leak=1).times(3)
    code = random(6, 4, 2, 3)
    assert wish.count == 6
    torch.testing.assert_close(wish(code), code.mean(dim=(2, 3))[range(6), [0, 2, 0, 2, 0, 2]])


def test_two_copies_of_a_score_are_two_pictures_of_each_wish():
    code = random(4, 4, 2, 3)
    assert channel([0, 2]).times(2).count == 4 and channel(1).times(1).count == 1
    torch.testing.assert_close(channel([0, 2], 1).times(2)(code), code.mean(dim=(2, 3))[range(4), [0, 2, 0, 2]])


def test_below_zero_half_of_the_slope_is_left_unless_told_otherwise():
    code = -torch.ones(1, 2, 3, 4)
    assert channel(1)(code).item() == -0.5 and direction(torch.tensor([0.0, 3.0]))(code).item() == -0.5


def test_a_direction_may_be_short_and_takes_the_type_of_the_answers():
    code = random(1, 2, 3, 4)
    short, long = (direction(scale * torch.tensor([3.0, 4.0], dtype=torch.float64))(code) for scale in (0.01, 100))
    torch.testing.assert_close(short, long)
    assert short.dtype == torch.float32


@pytest.mark.parametrize("wrong", [-1, 1.5, True, [0, -2], []])
def test_numbers_that_count_nothing_are_refused(wrong):
    with pytest.raises(InputError, match="channel takes whole numbers from 0 on, at least one; got"):
        channel(wrong)


def test_scores_that_do_not_fit_the_layer_are_refused():
    with pytest.raises(InputError, match="this layer has filters 0 to 3, got 4"):
        up(score=channel([1, 4]))
    with pytest.raises(InputError, match=r"the map has rows and columns 0 to \[5, 7\], got \[6, 4\]"):
        up(score=neuron(1, row=6))
    with pytest.raises(InputError, match=r"logits are \(N, K\), but this layer answers with \(1, 4, 6, 8\)"):
        up(score=logit(1))
    with pytest.raises(InputError, match=r"this layer has 4 filters, but the direction is \(1, 3\)"):
        up(score=direction(torch.ones(3)))
    with pytest.raises(InputError, match="none of length zero"):
        direction(torch.zeros(3))
    with pytest.raises(InputError, match="one is for 1, one for 2"):
        channel(1) + channel([1, 2])


# --- copies that differ ---------------------------------------------------------------------------------------------


def test_apart_is_zero_for_unrelated_copies_and_minus_one_for_equal_ones():
    code = torch.zeros(4, 2, 1, 3)  # two copies of two wishes
    code[0, 0], code[2, 1] = 1, 1  # the first wish: one copy fires filter 0, the other filter 1
    assert apart(code, 2).item() == pytest.approx(0, abs=1e-6)
    code[1, 0], code[3, 0] = 1, 2  # the second wish: the same filter, however strong
    assert apart(code, 2).item() == pytest.approx(-2, abs=1e-6), "minus one for each of its copies"


def test_diversity_drives_copies_apart():
    near, far = (up(copies=3, diversity=d, hold=Fourier, steps=40) for d in (0.0, 5.0))
    assert near.x.shape == far.x.shape == (3, 3, *SIZE)
    one, other = (apart(capture.activations(network(), found.x, "2")["2"], 3).item() for found in (near, far))
    assert other > one + 0.1


# --- views ----------------------------------------------------------------------------------------------------------


def test_without_numbers_a_view_is_the_picture_itself():
    x = random(2, 3, *SIZE)
    assert views()(x, torch.Generator()) is x


def test_jitter_shifts_by_whole_pixels_up_to_its_size():
    x, generator, seen = random(1, 1, *SIZE), torch.Generator().manual_seed(0), set()
    shifts = {(d, r): x.roll((d, r), dims=(2, 3)) for d, r in itertools.product(range(-2, 3), repeat=2)}
    for _ in range(200):
        looked = views(jitter=2)(x, generator)
        seen.add(next(shift for shift, moved in shifts.items() if torch.equal(moved, looked)))
    assert seen == set(shifts)


def looked_at(view, draws=150, side=61):
    """Shift, scale and angle of a view, read off a picture whose colours are rows and columns, each (draws,)."""
    place = torch.arange(float(side)) - side // 2
    x = torch.stack([place[:, None].expand(side, side), place.expand(side, side)]).expand(draws, 2, side, side)
    seen, middle = view(x, torch.Generator().manual_seed(0)), side // 2
    here, next_ = seen[..., middle, middle], seen[..., middle, middle + 1]
    step = next_ - here  # one column further in the view is (sin, cos) / scale further in the picture
    scale = 1 / step.norm(dim=1)
    angle = torch.atan2(step[:, 0], step[:, 1])
    across = torch.stack([torch.cos(angle), -torch.sin(angle)], dim=1)  # the same step, turned by a quarter
    down = -scale * (here[:, 0] * across[:, 0] + here[:, 1] * across[:, 1])
    right = -scale * (here * step).sum(dim=1) * scale
    return {"down": down, "right": right, "scale": scale, "angle": torch.rad2deg(angle)}


@pytest.mark.parametrize("jitter, scale, degrees", [(4, 0.3, 20), (4, 0.0, 20), (4, 0.3, 0.0), (0, 0.5, 0.0)])
def test_views_reach_all_of_their_limits_and_nothing_beyond(jitter, scale, degrees):
    found = looked_at(views(jitter=jitter, scale=scale, degrees=degrees))
    limits = {"down": jitter, "right": jitter, "scale": math.log(1 + scale), "angle": degrees}
    for name, limit in limits.items():
        drawn = found[name].log() if name == "scale" else found[name]
        assert drawn.abs().max() <= limit + 1e-3, name
        assert drawn.max() >= 0.9 * limit - 1e-3 and drawn.min() <= 1e-3 - 0.9 * limit, f"{name}: both ways"


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_a_blur_is_scipys(sigma):
    x = random(2, 3, 5, 17)  # lower than the Gaussian is wide
    expected, reach = x.double().numpy(), min(math.ceil(3 * sigma), 4)
    for axis in (2, 3):
        expected = scipy.ndimage.gaussian_filter1d(expected, sigma, axis=axis, mode="mirror", radius=reach)
    torch.testing.assert_close(blurred(x, sigma).double(), torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_pictures_of_a_batch_are_seen_differently():
    x = random(1, 3, 20, 20).expand(2, 3, 20, 20)
    a, b = views(scale=0.2, degrees=20)(x, torch.Generator().manual_seed(1))
    assert (a - b).abs().mean() > 0.01


def test_a_blur_keeps_the_mean_and_spreads_a_point():
    x = torch.zeros(1, 2, 15, 15)
    x[0, 0, 7, 7] = 1
    out = blurred(x, 1.0)
    assert out[0, 0].sum().item() == pytest.approx(1, abs=1e-5) and out[0, 1].eq(0).all()
    assert out[0, 0, 7, 8] / out[0, 0, 7, 7] == pytest.approx(torch.exp(torch.tensor(-0.5)).item(), rel=1e-4)
    assert blurred(x, 0.0) is x


def test_a_view_is_blurred_by_something_between_nothing_and_its_limit():
    x, generator = torch.zeros(1, 1, 21, 21), torch.Generator().manual_seed(0)
    x[..., 10, 10] = 1
    peaks = torch.stack([views(blur=2)(x, generator).max() for _ in range(60)])
    faintest, half = blurred(x, 2.0).max(), blurred(x, 1.0).max()
    assert peaks.min() >= faintest and peaks.max() <= 1, "a stronger blur has a lower peak"
    assert (peaks < half).float().mean() == pytest.approx(0.5, abs=0.2), "as often above half of the limit as below"
    assert (peaks == 1).float().mean() < 0.2, "a blur of less than a tenth of a pixel leaves the point as it is"


def test_a_scale_of_nine_tenths_is_the_largest_allowed():
    assert views(scale=0.9)(random(1, 3, *SIZE), torch.Generator()).shape == (1, 3, *SIZE)


@pytest.mark.parametrize("wrong", [{"jitter": -1}, {"scale": 0.95}, {"degrees": float("nan")}, {"blur": -0.1}])
def test_views_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError, match="views take numbers from 0 on, and a scale up to 0.9; got"):
        views(**wrong)


# --- what must stay as it was -----------------------------------------------------------------------------------------


def test_weights_get_no_gradient_and_nothing_is_left_behind():
    model = network()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    state = torch.get_rng_state()
    up(model)
    assert all(
        p.grad is None and p.requires_grad and torch.equal(p, before[name]) for name, p in model.named_parameters()
    )
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state) and torch.is_grad_enabled()


def test_the_network_behind_the_layer_is_never_run():
    model = network()
    model[4].register_forward_hook(lambda *_: pytest.fail("the linear layer ran"))
    up(model)


def test_it_works_under_no_grad():
    with torch.no_grad():
        assert up().score > up().start


@pytest.mark.parametrize("trail", [Trail(stop=7), Trail(interrupt=7)])
def test_stopping_early_gives_the_picture_so_far(trail):
    found = up(watch=trail, steps=30)
    assert len(found.scores) == 7 and not found.complete and found.score > found.start
    assert [step.done for step in trail] == list(range(1, 8)) and trail[0].total == 30
    assert trail[4].picture.shape == trail[0].picture.shape == (1, 3, *SIZE), "the first, and every fifth"
    assert [step.picture is None for step in trail[:7]] == [False, True, True, True, False, True, True]
    assert trail[0].loss == -found.scores[0]


def test_the_word_to_stop_at_the_last_step_changes_nothing_and_the_last_picture_is_shown():
    trail = Trail(stop=7)
    found = up(watch=trail, steps=7)
    assert found.complete and len(found.scores) == 7 and trail[-1].picture is not None
    assert torch.equal(found.x, up(steps=7).x)


def test_one_copy_has_nobody_to_differ_from():
    assert torch.equal(up(diversity=5.0).x, up().x)


def test_what_cannot_work_is_refused():
    with pytest.raises(ModelError, match=r"maximise needs model.eval\(\)"):
        up(network().train())
    with pytest.raises(InputError, match="there is no layer named 'conv9'"):
        up(layer="conv9")
    with pytest.raises(InputError, match="score must be a function of a layer's answer, e.g. channel"):
        maximise(network(), "2", 3, hold=Pixels)
    with pytest.raises(InputError, match="steps and copies are whole numbers from 1 on, margin from 0 on; got 0, 1, 0"):
        up(steps=0)
    with pytest.raises(
        InputError, match=r"rate must be above 0, decay in \[0, 1\), diversity from 0 on; got 0.5, 1, 0.0"
    ):
        up(decay=1)
    with pytest.raises(InputError, match=r"a score must be one number for each of 1 pictures, \(1,\); got \(1, 4\)"):
        up(score=lambda a: a.mean(dim=(2, 3)))
    with pytest.raises(ModelError, match="the score has no gradient"):
        up(score=Score(lambda a: a.detach().mean(dim=(1, 2, 3)), 1))
    broken = network()
    broken[0].bias.data[0] = torch.nan
    with pytest.raises(ModelError, match=r"the score of pictures \[0\] is not finite at step 1"):
        up(broken)


# --- the course's own networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["relu4", "pool5", "fc7", "layer3.0.conv1"])
def test_every_layer_has_settings(layer):
    assert set(tuned(layer)) == {"view", "steps", "rate"}


@pytest.mark.parametrize("layer", SETTINGS)
def test_tuned_pictures_are_not_grey_and_beat_noise_by_far(layer):
    model = load("picturebook")
    wish = {"fc6": logit([1, 4, 5]), "fc7": logit([0, 1, 3]), "fc8": logit(range(3))}.get(layer, channel(range(3)))
    found = maximise(model, layer, wish, **(tuned(layer) | {"steps": 24}))
    assert found.x.std(dim=(1, 2, 3)).min() > 0.04, "half of the steps, a third of the contrast"
    assert (found.score > found.start + 0.05).all()
