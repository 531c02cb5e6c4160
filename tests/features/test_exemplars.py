"""The exemplar quiz against filters whose wishes are known, and an observer whose choices can be counted on paper."""

import dataclasses
from collections import OrderedDict

import pytest
import torch
from torch import nn

from lecturekit import capture
from lecturekit.errors import InputError
from lecturekit.features import Question, exchanged, observed, questions, seen_by
from lecturekit.features.exemplars import likeness, painted, pixels

SIZE = (12, 10)  # not square


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache for every test."""
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path / "cache"))


def one_colour_each():
    """A network whose filter c answers the mean of colour c in a window of 3 x 3, minus that of the other two."""
    conv = nn.Conv2d(3, 3, 3, padding=1)
    nn.init.constant_(conv.weight, -1 / 18)
    nn.init.zeros_(conv.bias)
    for colour in range(3):
        conv.weight.data[colour, colour] = 1 / 9
    return nn.Sequential(OrderedDict(conv1=conv, relu1=nn.ReLU())).eval().requires_grad_(False)


def dots(n=20):
    """Grey pictures; number n has one window of red, green or blue in turn, the brighter the later it comes."""
    x = torch.full((n, 3, *SIZE), 0.5)
    for i in range(n):
        x[i, :, 4:7, 3:6] = 0.0
        x[i, i % 3, 4:7, 3:6] = 0.5 + i / (2 * n)
    return x


def test_the_right_option_is_the_one_that_the_filter_answers_more():
    model, x = one_colour_each(), dots()
    for ranks in ((0.0, 1.0), (0.1, 0.5)):
        for question in questions(model, "conv1", x, range(3), k=2, ranks=ranks, seed=3):
            answers = [capture.activations(model, patch[None], "conv1")["conv1"][0, question.filter, 1, 1].item()
                       for patch in question.options]  # fmt: skip
            assert answers == pytest.approx(question.values, abs=1e-6), "the patch is all that the unit sees"
            assert question.right == answers.index(max(answers))


def test_references_come_from_the_first_half_and_options_from_the_other():
    x = dots()
    (red,) = questions(one_colour_each(), "conv1", x, [0], k=2)
    assert red.pictures.shape == (2, 3, 3, 3) and red.options.shape == (2, 3, 3, 3)
    assert red.pictures[:, 0, 1, 1].tolist() == pytest.approx([0.725, 0.65]), "numbers 9 and 6, of 0 to 9"
    assert red.options[red.right, 0, 1, 1].item() == pytest.approx(0.95), "number 18, of 10 to 19"


def test_ranks_are_places_in_the_order_of_answers():
    x = torch.full((14, 3, *SIZE), 0.0)
    x[:, 0, 5, 5] = torch.arange(14) / 13
    (easy,) = questions(one_colour_each(), "conv1", x, [0], k=1)
    (hard,) = questions(one_colour_each(), "conv1", x, [0], k=1, ranks=(1 / 6, 0.5))
    assert sorted(v * 9 * 13 for v in easy.values) == pytest.approx([7, 13], abs=1e-4)
    assert sorted(v * 9 * 13 for v in hard.values) == pytest.approx([10, 12], abs=1e-4), "of 7 ... 13"


def test_the_seed_draws_the_side_of_the_right_answer():
    model, x = one_colour_each(), dots()
    sides = {seed: [q.right for q in questions(model, "conv1", x, [0, 1, 2] * 5, k=1, seed=seed)] for seed in (0, 1)}
    assert sides[0] != sides[1] and {*sides[0]} == {0, 1}
    assert sides[0] == [q.right for q in questions(model, "conv1", x, [0, 1, 2] * 5, k=1, seed=0)]


def test_painted_references_are_what_the_unit_sees_and_make_it_answer():
    model = one_colour_each()
    found = painted(model, "conv1", [2, 0], k=3, size=SIZE)
    assert found.shape == (2, 3, 3, 3, 3)
    for pictures, number in zip(found, (2, 0), strict=True):
        own = capture.activations(model, pictures, "conv1")["conv1"][:, number, 1, 1]
        assert (own > 0.3).all(), "grey, which is all around, gives 0; pure colour gives 1"


def test_for_a_unit_that_sees_everything_whole_pictures_are_painted():
    model = nn.Sequential(OrderedDict(flatten=nn.Flatten(), fc6=nn.Linear(360, 3))).eval().requires_grad_(False)
    assert painted(model, "fc6", [2, 0], k=2, size=SIZE).shape == (2, 2, 3, *SIZE)


def test_painted_questions_have_the_same_options_as_natural_ones():
    natural, by_hand = (questions(one_colour_each(), "conv1", dots(), [2, 0], k=2, references=kind)
                        for kind in ("natural", "painted"))  # fmt: skip
    for one, other in zip(natural, by_hand, strict=True):
        assert torch.equal(one.options, other.options) and one.right == other.right
        assert one.pictures.shape == other.pictures.shape and not torch.equal(one.pictures, other.pictures)
    blue = by_hand[0].pictures.mean(dim=(0, 2, 3))
    assert blue[2] > blue[0] + 0.3 and blue[2] > blue[1] + 0.3


# --- the observer ---------------------------------------------------------------------------------------------------


def plain(*colours):
    """One flat picture of each colour, (n, 3, 2, 4)."""
    return torch.tensor(colours)[:, :, None, None].expand(-1, -1, 2, 4)


RED, GREEN, DARK = (1.0, 0.5, 0.5), (0.5, 1.0, 0.5), (0.0, 0.0, 0.0)


def test_the_observer_takes_the_option_that_is_more_like_the_references():
    asked = Question("conv", 0, plain(RED, RED, GREEN), plain(GREEN, RED), 1, (0.0, 1.0))
    torch.testing.assert_close(likeness(asked, pixels), torch.tensor([1 / 3, 2 / 3]))
    assert observed([asked, dataclasses.replace(asked, right=0)]) == [True, False]


def test_one_colour_filters_are_told_by_their_patches_and_not_by_those_of_another():
    asked = questions(one_colour_each(), "conv1", dots(), range(3), k=2)
    assert observed(asked) == [True] * 3
    others = exchanged(asked)
    assert [q.filter for q in others] == [0, 1, 2] and all(
        q.right == p.right for p, q in zip(asked, others, strict=True)
    )
    assert all(torch.equal(others[i].pictures, asked[(i + 1) % 3].pictures) for i in range(3))
    own, strange = ([likeness(q, pixels)[q.right].item() for q in row] for row in (asked, others))
    assert all(a > b for a, b in zip(own, strange, strict=True))


def test_a_network_sees_pictures_of_every_size_and_leaves_no_trace():
    model = one_colour_each().train()
    code = seen_by(model, "conv1", side=16)(plain(RED, DARK))
    assert code.shape == (2, 3) and not code.requires_grad and model.training
    torch.testing.assert_close(code[1], torch.zeros(3))
    inside = capture.activations(model, torch.ones(1, 3, 16, 16) * plain(RED)[:, :, :1, :1], "conv1")["conv1"]
    torch.testing.assert_close(code[0], inside.mean(dim=(0, 2, 3)))


# --- what cannot be asked -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"references": "drawn"}, "there is no kind of references named 'drawn'"),
        (
            {"ranks": (0.5, 0.1)},
            r"ranks are the shares \(strong, weak\) with 0 <= strong < weak <= 1, got \(0.5, 0.1\)",
        ),
        ({"ranks": (0.5,)}, "ranks are the shares"),
        ({"k": 11}, "k must be a whole number from 1 to 10"),
        ({"filters": [3]}, "conv1 has filters 0 to 2, got 3"),
        ({"data": dots(3)}, "half of the pictures are references, half options: at least 4, got 3"),
        ({"layer": "7"}, "there is no layer named '7'"),
    ],
)
def test_what_cannot_be_asked_is_refused(wrong, match):
    how = {"layer": "conv1", "data": dots(), "filters": [0], "k": 2} | wrong
    with pytest.raises(InputError, match=match):
        questions(one_colour_each(), **how)


def test_a_single_question_cannot_exchange_its_references():
    with pytest.raises(InputError, match="between two questions at least, got 1"):
        exchanged(questions(one_colour_each(), "conv1", dots(), [0], k=1))
