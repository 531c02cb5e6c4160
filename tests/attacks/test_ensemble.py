"""Four attacks in a row: each on what is left, together at least as good as each, and doubtful where they should be."""

import sys

import pytest
import torch
from torch import nn

from lecturekit.attacks.apgd import apgd
from lecturekit.attacks.ensemble import Board, Stage, differentiates, ensemble, last_doubts
from lecturekit.attacks.few_pixels import L0
from lecturekit.attacks.result import judge
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError, ModelError
from lecturekit.progress import STOP
from tests.attacks.known import Wrapped

HEIGHT, WIDTH = 6, 8
FAST = {"steps": 10, "targets": 3, "queries": 30}


def crooked(classes=5, seed=0):
    """A small network with curves."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 4 * 6, classes)).eval()
    model[3].weight.data *= 5
    return model


def shown(model, count=12, seed=1):
    """Pictures and what the network says of them, except that the last one is named wrongly."""
    x = torch.rand(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        logits = model(x)
    y = logits.argmax(1)
    y[-1] = logits[-1].argmin()
    return x, y


def linear():
    """Three classes; the border of class 0 lies where the mean of red reaches that of green or blue."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


# The number


def test_on_a_linear_network_exactly_those_stand_that_lie_farther_from_the_border_than_the_ball_reaches():
    """Red falls by eps and green rises by eps: a lead of 2 eps is lost."""
    x = torch.full((6, 3, HEIGHT, WIDTH), 0.4)
    x[:, 0] += torch.tensor([0.01, 0.05, 0.09, 0.11, 0.15, 0.3])[:, None, None]
    found = ensemble(linear(), x, torch.zeros(6, dtype=torch.long), ball=Linf(0.05), **FAST)
    assert found.found.stood.tolist() == [False, False, False, True, True, True]
    assert found.accuracy.estimate == 0.5 and found.accuracy.n == 6


@pytest.mark.parametrize("ball", [Linf(0.03), L2(0.3)])
def test_each_attack_gets_what_the_others_left_and_the_numbers_add_up(ball):
    model = crooked()
    x, y = shown(model)
    found = ensemble(model, x, y, ball=ball, **FAST)
    rows = {row.attack: row for row in found.stages}
    assert list(rows) == ["APGD-CE", "APGD-T", "DeepFool", "Square"][: len(rows)]
    assert found.stages[0].tried == 11, "the picture that is wrong already is not attacked"
    for before, after in zip(found.stages, found.stages[1:], strict=False):
        assert after.tried == before.left
    assert all(row.tried - row.misled == row.left for row in found.stages)
    assert found.stages[-1].left == found.found.stood.sum() and 0 < found.stages[-1].left < 11
    assert found.found.norms.max() <= ball.eps + 1e-6 and found.found.unchanged[-1]
    assert found.found.gradients.sum() == sum(row.gradients for row in found.stages)
    assert found.found.queries.sum() == sum(row.queries for row in found.stages)


def test_together_they_mislead_all_that_the_first_one_does():
    model = crooked()
    x, y = shown(model)
    alone = apgd(model, x, y, ball=Linf(0.02), steps=10)
    together = ensemble(model, x, y, ball=Linf(0.02), **FAST).found
    assert not (together.stood & ~alone.stood).any()
    assert together.stood.sum() <= alone.stood.sum()


def test_when_nothing_is_left_the_rest_is_not_run():
    model = crooked()
    found = ensemble(model, *shown(model), ball=Linf(0.5), **FAST)
    assert [row.attack for row in found.stages] == ["APGD-CE"] and found.accuracy.estimate == 0 and not found.flags


def test_a_picture_outside_the_ball_is_not_accepted():
    """DeepFool looks for the smallest change, and that may be larger than what is allowed."""
    model = linear()
    x = torch.full((2, 3, HEIGHT, WIDTH), 0.4)
    x[:, 0] += 0.02
    y = torch.zeros(2, dtype=torch.long)
    moved = x.clone()
    moved[0, 1] += 0.03
    moved[1, 1] += 0.06
    board = Board(x, y, Linf(0.05), torch.tensor([True, True]))
    board.enter("DeepFool", torch.tensor([0, 1]), judge(model, x, moved, y, attack="DeepFool", size=Linf.size))
    assert board.left.tolist() == [False, True] and torch.equal(board.x[1], x[1]) and torch.equal(board.x[0], moved[0])
    assert board.stages == [Stage("DeepFool", 2, 1, 1, 0, 0)]


def test_the_report_holds_table_number_and_doubts():
    model = crooked(3)
    lines = str(ensemble(model, *shown(model), ball=Linf(0.01), **FAST)).splitlines()
    assert lines[0].split() == ["attack", "tried", "misled", "left", "gradients", "queries"]
    assert any(line.startswith("robust accuracy within L∞ ≤ 2.55/255: 0.") and "12 pictures" in line for line in lines)
    assert lines[-1].startswith("! with 3 classes there is no targeted dlr")


def test_the_seed_decides():
    model = crooked()
    first, again = (ensemble(model, *shown(model), ball=Linf(0.02), seed=4, **FAST) for _ in range(2))
    assert torch.equal(first.found.x, again.found.x) and first.stages == again.stages and first.found.seed == 4


def test_stop_hands_back_what_was_found_so_far():
    model, seen = crooked(), []

    def watch(step):
        seen.append(step)
        return STOP if step.note.startswith("APGD-T") else None

    found = ensemble(model, *shown(model), ball=Linf(0.02), watch=watch, **FAST)
    assert not found.found.complete and [row.attack for row in found.stages] == ["APGD-CE", "APGD-T"]
    assert "STOPPED before its end" in str(found) and found.stages[0].misled > 0


# The doubts


def flagged(model, x, y, **changes):
    return " ".join(ensemble(model, x, y, **({"ball": Linf(0.01)} | FAST | changes)).flags)


def test_an_honest_network_raises_no_doubt():
    model = crooked()
    assert flagged(model, *shown(model)) == ""


def test_doubt_1_the_network_is_random():
    model = crooked()
    x, y = shown(model)
    noisy = Wrapped(model, before=lambda x: x + 1e-3 * torch.randn_like(x))
    assert "the network is random" in flagged(noisy, x, y)


def test_doubt_2_the_gradient_is_zero_at_the_start():
    model = crooked()
    x, y = shown(model)
    rounds = Wrapped(model, before=lambda x: (100 * x).round() / 100)
    assert "the gradient is exactly zero for 12 of 12 clean pictures" in flagged(rounds, x, y)


def test_doubt_3_square_found_more_than_gradients_did():
    assert last_doubts([Stage("Square", 5, 1, 4, 0, 9)], 500) == [], "one of 500 is 0.2 points and not more"
    (doubt,) = last_doubts([Stage("APGD-CE", 9, 7, 2, 0, 0), Stage("Square", 2, 2, 0, 0, 9)], 500)
    assert doubt.startswith("Square misled 2 that three attacks with gradients had left")
    x = torch.full((4, 3, HEIGHT, WIDTH), 0.4)
    x[:, 0] += 0.06
    rounds = Wrapped(linear(), before=lambda x: (50 * x).round() / 50)
    assert "Square misled" in flagged(rounds, x, torch.zeros(4, dtype=torch.long), ball=Linf(0.1), queries=300)


def test_doubt_4_the_network_differentiates_while_it_answers():
    def cleaned(x):
        with torch.enable_grad():
            free = x.detach().requires_grad_(True)
            (grad,) = torch.autograd.grad(free.square().sum(), free)
        return x - 0.01 * grad

    model = crooked()
    x, y = shown(model)
    assert "the network differentiates while it answers" in flagged(Wrapped(model, before=cleaned), x, y)


def test_doubt_5_there_are_too_few_classes():
    for classes, doubtful in ((2, True), (3, True), (4, False)):
        model = crooked(classes)
        assert ("there is no targeted dlr" in flagged(model, *shown(model))) == doubtful


def test_probabilities_are_refused():
    model = crooked()
    x, y = shown(model)
    with pytest.raises(ModelError, match="take the softmax off its end"):
        flagged(Wrapped(model, after=lambda z: z.softmax(1)), x, y)


def test_backward_is_seen_too_and_the_profiler_is_put_back_also_after_an_error():
    def backward(x):
        with torch.enable_grad():
            x.detach().requires_grad_(True).sum().backward()
        return x

    before = sys.getprofile()
    x = torch.rand(2, 3, HEIGHT, WIDTH)
    assert differentiates(backward, x) and not differentiates(lambda x: x + 1, x)
    with pytest.raises(ZeroDivisionError):
        differentiates(lambda x: 1 / 0, x)
    assert sys.getprofile() is before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 on but is 0"),
        ({"targets": 0}, "targets must be a whole number from 1 on but is 0"),
        ({"queries": 0}, "queries must be a whole number from 1 on but is 0"),
        ({"ball": L0(3)}, "the ensemble knows the balls Linf and L2 but got L0 ≤ 3 pixels"),
    ],
)
def test_arguments_of_no_sense_are_refused(changes, message):
    model = crooked()
    with pytest.raises(InputError, match=message):
        ensemble(model, *shown(model), **changes)
