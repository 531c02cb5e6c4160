"""Three broken defences, each named for what it is, and honest networks that are left in peace."""

import dataclasses

import pytest
import torch
from torch import nn

from lecturekit.attacks import masking
from lecturekit.attacks.masking import battery
from lecturekit.attacks.threat import L2, Linf
from lecturekit.errors import InputError
from lecturekit.networks import load
from lecturekit.pictures.picturebook import PictureBook
from lecturekit.progress import STOP
from tests.attacks.known import Wrapped

HEIGHT, WIDTH = 8, 10
FUNCTION, GRADIENT = "Is the same picture answered alike each time?", "Is there a gradient?"
SCORE = "Does the margin find no more than cross-entropy?"
HUGE = "Does a ball that holds every picture fell them all?"
ASKING = "Does climbing find all that asking finds?"
SURROGATE = "Does climbing find all that a surrogate's attack finds?"


def quarters():
    """Four classes: which quarter of the picture is brightest.  Smooth, and honest about it."""
    return nn.Sequential(nn.AvgPool2d((HEIGHT // 2, WIDTH // 2)), nn.Conv2d(3, 1, 1), nn.Flatten()).eval()


@pytest.fixture
def honest():
    model = quarters()
    model[1].weight.data.fill_(10.0)
    model[1].bias.data.zero_()
    return model


@pytest.fixture
def pictures():
    """Twelve pictures, each with one brighter quarter; from 3 to 14 grey levels brighter than the others."""
    y = torch.arange(12) % 4
    x = 0.45 + 0.001 * torch.rand(12, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    for n, corner in enumerate(y.tolist()):
        rows, columns = corner // 2 * HEIGHT // 2, corner % 2 * WIDTH // 2
        x[n, :, rows : rows + HEIGHT // 2, columns : columns + WIDTH // 2] += (n + 3) / 255
    return x, y


def odd(found):
    return {finding.question: finding.why for finding in found.suspicious}


@pytest.mark.parametrize(("ball", "true"), [(Linf(4 / 255), set()), (L2(0.2), {SCORE})])
def test_an_honest_network_is_left_in_peace(honest, pictures, ball, true):
    """In L2 the cross-entropy spends its length on three rivals at once: there the margin really finds more."""
    found = battery(honest, *pictures, ball=ball, steps=10, queries=30, surrogate=Wrapped(honest))
    assert set(odd(found)) == true and found.complete and len(found.findings) == 10
    assert ("nothing odd was found; that is no proof" in str(found)) == (not true)
    assert 0 < found.evidence.attacks["climbing"].misled.sum() < 12, "or the questions were too easy"


def test_logits_times_600_are_seen_through(honest, pictures):
    found = battery(Wrapped(honest, after=lambda z: 600 * z), *pictures, ball=Linf(8 / 255), steps=10, queries=30)
    assert "so large that the softmax is exactly 1. Climb score=margin" in odd(found)[GRADIENT]
    assert "climbed the wrong score" in odd(found)[SCORE] and HUGE in odd(found) and FUNCTION not in odd(found)


def test_rounding_is_seen_through(honest, pictures):
    rounds = Wrapped(honest, before=lambda x: (64 * x).round() / 64)
    found = battery(rounds, *pictures, ball=Linf(16 / 255), steps=10, queries=100)
    assert "zero whatever the score" in odd(found)[GRADIENT] and "BPDA" in odd(found)[GRADIENT]
    assert "Square never saw a gradient" in odd(found)[ASKING]
    assert FUNCTION not in odd(found) and SCORE not in odd(found)


def test_noise_is_seen_through(honest, pictures):
    torch.manual_seed(0)
    noisy = Wrapped(honest, before=lambda x: x + 0.01 * torch.randn_like(x))
    found = battery(noisy, *pictures, ball=Linf(4 / 255), steps=10, queries=30)
    assert "the network is random" in odd(found)[FUNCTION] and "EoT" in odd(found)[FUNCTION]
    assert GRADIENT not in odd(found)


class Steep(torch.autograd.Function):
    """Forward the identity, backward the wrong way: many steps walk away from what one random start would find."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -grad


def test_a_gradient_that_points_the_wrong_way_is_seen_by_everything_that_does_not_follow_it(honest, pictures):
    backward = Wrapped(honest, before=Steep.apply)
    found = battery(backward, *pictures, ball=Linf(8 / 255), steps=10, queries=100, surrogate=honest)
    assert {HUGE, ASKING, SURROGATE} <= set(odd(found))
    assert "the way up is hidden, not closed" in odd(found)[SURROGATE]


def test_the_questions_read_the_evidence_as_they_say(honest, pictures):
    """Every answer of the kind "more" comes from two masks; here they are set by hand."""
    evidence = battery(honest, *pictures, ball=Linf(1 / 255), steps=5, queries=5, surrogate=Wrapped(honest)).evidence
    fell = dataclasses.replace(evidence.attacks["climbing"], logits=-evidence.attacks["climbing"].clean)
    questions = {
        "margin": masking.other_score, "one step": masking.many_steps, "twice": masking.doubled,
        "asking": masking.asking, "transfer": masking.transferred, "noise": masking.above_the_floor,
    }  # fmt: skip
    for name, question in questions.items():
        assert not question(evidence).odd
        assert question(dataclasses.replace(evidence, attacks=evidence.attacks | {name: fell})).odd, name
    lost = dataclasses.replace(evidence.curve, raw=torch.ones(4, 12).bool(), stood=torch.zeros(4, 12).bool())
    assert masking.grows(dataclasses.replace(evidence, curve=lost)).odd and not masking.grows(evidence).odd


def test_the_shipped_robust_network_is_left_in_peace():
    book = PictureBook("test", 6)
    x, y = torch.from_numpy(book.images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(book.labels)
    found = battery(load("picturebook_robust"), x, y, steps=5, queries=10)
    assert odd(found) == {}, str(found)


def test_without_a_surrogate_its_question_is_left_out(honest, pictures):
    found = battery(honest, *pictures, ball=Linf(4 / 255), steps=5, queries=5)
    assert SURROGATE not in {finding.question for finding in found.findings} and len(found.findings) == 9


@pytest.mark.parametrize("at", [1, 60])
def test_stop_says_nothing(honest, pictures, at):
    seen = []

    def watch(step):
        seen.append(step)
        return STOP if len(seen) >= at else None

    found = battery(honest, *pictures, ball=Linf(4 / 255), steps=10, queries=30, watch=watch)
    assert not found.complete and found.evidence is None and not found.suspicious and len(seen) == at
    assert str(found) == "STOPPED before its end: nothing can be said"


def test_pictures_that_are_wrong_already_are_left_out(honest, pictures):
    x, y = pictures
    y[3] = (y[3] + 1) % 4
    evidence = battery(honest, x, y, ball=Linf(4 / 255), steps=5, queries=5).evidence
    assert all(len(attack) == 11 and attack.right.all() for attack in evidence.attacks.values())


def test_the_seed_decides(honest, pictures):
    first, again = (battery(honest, *pictures, ball=Linf(4 / 255), steps=5, queries=5, seed=3) for _ in range(2))
    assert first.findings == again.findings
    assert torch.equal(first.evidence.attacks["asking"].x, again.evidence.attacks["asking"].x)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ball": Linf(0.0)}, "a radius above 0 and at least 4 steps, got L∞ ≤ 0/255 and 20 steps"),
        ({"steps": 3}, "a radius above 0 and at least 4 steps, got L∞ ≤ 8/255 and 3 steps"),
        ({"queries": 0}, "queries must be a whole number"),
    ],
)
def test_arguments_of_no_sense_are_refused(honest, pictures, changes, message):
    with pytest.raises(InputError, match=message):
        battery(honest, *pictures, **changes)


def test_a_network_that_knows_nothing_is_refused(honest, pictures):
    x, y = pictures
    with pytest.raises(InputError, match="none of 12 pictures is named rightly: there is nothing to mislead"):
        battery(honest, x, (y + 1) % 4)
