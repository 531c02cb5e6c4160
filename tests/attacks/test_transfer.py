"""The matrix counts the pictures that both networks know, and its noise is as large as the attack."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.gradient import pgd
from lecturekit.attacks.threat import L2, Linf
from lecturekit.attacks.transfer import noisy, transfer_matrix
from lecturekit.errors import InputError
from lecturekit.progress import STOP

COUNT, HEIGHT, WIDTH = 30, 4, 5
BALL = Linf(0.1)


def linear(w, bias=0.0):
    """Two classes, parted by w . (x - 1/2) = bias."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(w.numel(), 2)).eval()
    model[1].weight.data = torch.stack([torch.zeros_like(w.flatten()), w.flatten()])
    model[1].bias.data = torch.tensor([0, -0.5 * w.sum().item() - bias])
    return model


def halves():
    """One network that looks at the upper half of a picture and one that looks at the lower half."""
    upper = torch.zeros(3, HEIGHT, WIDTH)
    upper[:, :2] = 1
    return {"upper": linear(upper), "lower": linear(1 - upper)}


def pictures():
    """Bright and dark pictures by turns, all near the border of both networks."""
    y = torch.arange(COUNT) % 2
    x = 0.5 + 0.04 * (2 * y[:, None, None, None] - 1) + torch.zeros(COUNT, 3, HEIGHT, WIDTH)
    return x, y


def test_an_attack_does_not_transfer_to_a_network_that_looks_elsewhere():
    found = transfer_matrix(halves(), *pictures(), ball=BALL)
    rates = {pair: cell.estimate for pair, cell in found.cells.items()}
    assert rates["upper", "upper"] == rates["lower", "lower"] == 1
    assert rates["upper", "lower"] < 0.2 and rates["lower", "upper"] < 0.2
    assert found.above_noise == {("upper", "lower"): False, ("lower", "upper"): False}


def test_an_attack_transfers_to_a_network_that_looks_at_the_same():
    w = torch.ones(3, HEIGHT, WIDTH)
    found = transfer_matrix({"one": linear(w), "other": linear(3 * w)}, *pictures(), ball=BALL)
    assert all(cell.estimate == 1 and cell.n == COUNT for cell in found.cells.values())
    assert all(found.above_noise.values())
    assert found.noise["one"].estimate < 0.2, "noise of either sign cancels out"


def test_only_pictures_that_both_networks_know_are_counted():
    """One network calls everything bright: it knows the 15 bright pictures, the other one all 30."""
    w = torch.ones(3, HEIGHT, WIDTH)
    found = transfer_matrix({"good": linear(w), "blind": linear(w, bias=-4.0)}, *pictures(), ball=BALL)
    sizes = {pair: cell.n for pair, cell in found.cells.items()}
    assert sizes == {("good", "good"): 30, ("good", "blind"): 15, ("blind", "good"): 15, ("blind", "blind"): 15}
    assert found.noise["good"].n == 30 and found.noise["blind"].n == 15
    assert found.cells["blind", "good"].estimate == 1, "15 of 15, and not 15 of 30"


@pytest.mark.parametrize("ball", [Linf(0.1), L2(0.7)])
def test_noise_has_the_norm_of_the_attack(ball):
    x, _ = pictures()
    noise = noisy(x, ball, seed=3) - x
    torch.testing.assert_close(ball.size(noise), torch.full((COUNT,), ball.eps), atol=1e-6, rtol=0)
    assert torch.equal(noise, noisy(x, ball, seed=3) - x) and not torch.equal(noise, noisy(x, ball, seed=4) - x)
    if isinstance(ball, Linf):
        torch.testing.assert_close(noise.abs(), torch.full_like(noise, 0.1), msg="every value goes as far as it may")
    white = noisy(torch.ones_like(x), ball)
    assert white.max() <= 1


def test_the_table_has_one_row_for_each_source_and_one_for_noise():
    found = transfer_matrix(halves(), *pictures(), ball=BALL)
    assert [row[0] for row in found.table] == ["upper", "lower", "noise"]
    assert found.table.columns == ("made for", "upper", "lower")
    assert found.table[0][2] == found.cells["upper", "lower"]
    assert "share misled within L∞ ≤ 25.5/255, 30 to 30 pictures a cell" in str(found)


def test_the_attack_can_be_chosen_and_gets_ball_and_seed():
    seen = []

    def attack(model, x, y, *, ball, seed, watch):
        seen.append((ball, seed))
        return pgd(model, x, y, ball=ball, steps=5, seed=seed, watch=watch)

    transfer_matrix(halves(), *pictures(), attack=attack, ball=L2(0.5), seed=7)
    assert seen == [(L2(0.5), 7)] * 2


def test_progress_counts_all_attacks_as_one_run():
    steps = []
    transfer_matrix(halves(), *pictures(), ball=BALL, watch=steps.append)
    assert [step.done for step in steps] == list(range(1, 41)) and {step.total for step in steps} == {40}
    assert steps[0].note.startswith("upper") and steps[-1].note.startswith("lower")


def test_stop_keeps_the_rows_that_are_finished():
    found = transfer_matrix(halves(), *pictures(), ball=BALL, watch=lambda step: STOP if step.done == 25 else None)
    assert not found.complete and list(found.made) == ["upper"] and len(found.cells) == 2
    assert "STOPPED" in str(found)


def test_the_seed_decides():
    models, (x, y) = halves(), pictures()
    first, again = (transfer_matrix(models, x, y, ball=BALL, seed=5) for _ in range(2))
    assert torch.equal(first.made["upper"].x, again.made["upper"].x) and first.cells == again.cells


def test_one_network_is_not_enough():
    with pytest.raises(InputError, match="transfer needs two networks or more, got 1"):
        transfer_matrix({"one": linear(torch.ones(3, HEIGHT, WIDTH))}, *pictures())


def test_networks_for_different_worlds_are_refused():
    w = torch.ones(3, HEIGHT, WIDTH)
    with pytest.raises(InputError, match="'good' and 'wrong' name no picture rightly in common, of 30"):
        transfer_matrix({"good": linear(w), "wrong": linear(-w)}, *pictures())
