"""The short loop learns, and the seed alone decides."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.fit import fit, small_net
from lecturekit.errors import InputError
from lecturekit.progress import STOP


def red_or_blue(count=64):
    """Pictures (N, 3, 8, 12): the even ones are reddish, the odd ones bluish."""
    x, y = torch.rand(count, 3, 8, 12, generator=torch.Generator().manual_seed(0)), torch.arange(count) % 2
    x[y == 0, 0] = (x[y == 0, 0] + 0.5).clamp(0, 1)
    x[y == 1, 2] = (x[y == 1, 2] + 0.5).clamp(0, 1)
    return x, y


def weights(model):
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


def test_a_small_net_learns_red_from_blue():
    x, y = red_or_blue()
    losses = []
    model = fit(small_net(2, widths=(8, 8)), x, y, epochs=6, batch=16, watch=lambda step: losses.append(step.loss))
    assert not model.training
    assert (model(x).argmax(1) == y).all()
    assert len(losses) == 24
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_seed_decides_and_nothing_else(noise):
    x, y = red_or_blue()

    def trained(seed):
        torch.rand(1)  # somebody else draws from the global generator
        return weights(fit(small_net(2, widths=(4,), seed=seed), x, y, epochs=1, batch=16, noise=noise, seed=seed))

    state = torch.get_rng_state()
    small_net(2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


class Records(nn.Module):
    """Writes down what it is shown and answers with one weight."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.zeros(2)), []

    def forward(self, x):
        self.seen.append(x)
        return self.weight.expand(len(x), 2)


def test_every_picture_is_shown_once_an_epoch_with_as_much_noise_as_was_asked_for():
    x, y = torch.rand(40, 3, 8, 12), torch.arange(40) % 2
    plain, noisy = (fit(Records(), x, y, epochs=2, batch=20, noise=noise).seen for noise in (0.0, 0.1))
    for half in (torch.cat(plain[:2]), torch.cat(plain[2:])):
        assert torch.equal(half.flatten(1).sum(1).sort().values, x.flatten(1).sum(1).sort().values)
    assert not torch.equal(plain[0], plain[2]), "the next epoch has another order"
    own = torch.cdist(torch.cat(noisy[:2]).flatten(1), x.flatten(1)).amin(1) / (3 * 8 * 12) ** 0.5
    assert own.mean().item() == pytest.approx(0.1, rel=0.05)


def test_a_watcher_can_stop_it():
    x, y = red_or_blue()
    seen = []

    def watch(step):
        seen.append(step)
        return STOP if step.done == 3 else None

    model = fit(small_net(2, widths=(4,)), x, y, epochs=6, batch=16, watch=watch)
    assert len(seen) == 3
    assert not model.training


def test_numbers_that_cannot_be_are_refused():
    x, y = red_or_blue(8)
    with pytest.raises(InputError, match=r"batch must lie between 2 .* and the 8 pictures, got 64"):
        fit(small_net(2), x, y)
    with pytest.raises(InputError, match="epochs must be a whole number from 1 on but is 0"):
        fit(small_net(2), x, y, epochs=0)
    with pytest.raises(InputError, match="labels must be 8 whole numbers"):
        fit(small_net(2), x, y.float())
