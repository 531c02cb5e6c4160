"""Wrong labels, moved pictures: the training sets are what they say, and a small world shows the effect."""

import pytest
import torch
from torch import nn

from lecturekit.attacks.fit import small_net
from lecturekit.attacks.nonrobust import SETS, learn_from_moved, moved_towards, noise_like, targets
from lecturekit.attacks.threat import L2
from lecturekit.errors import InputError
from lecturekit.progress import STOP


def linear(classes=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, classes)).eval()


def greyish(count=6):
    return 0.4 + 0.2 * torch.rand(count, 3, 4, 5, generator=torch.Generator().manual_seed(1))


def signs_of_class(count, seed):
    """Pictures (N, 3, 8, 8) of four classes: a loud square whose place tells the class, and a faint pattern that too.

    The square is large and hard to move by a small change; the pattern is the non-robust feature.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 4
    patterns = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(99)).sign()
    x = 0.5 + 0.04 * torch.randn(count, 3, 8, 8, generator=generator) + 0.05 * patterns[y]
    for k, (row, column) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        x[y == k, :, row : row + 4, column : column + 4] += 0.15
    return x.clamp(0, 1), y


def flat_net(classes, *, seed=0):
    """A network of two linear layers."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, classes))


def test_targets_are_drawn_evenly_or_are_the_next_class():
    y = torch.arange(4000) % 10
    drawn = targets(y, "D_rand", 10)
    assert drawn.bincount(minlength=10).min() > 320
    assert 320 < (drawn == y).sum() < 480, "its own class is as likely as any other"
    assert torch.equal(drawn, targets(y, "D_rand", 10))
    assert not torch.equal(drawn, targets(y, "D_rand", 10, seed=1))
    assert targets(torch.tensor([0, 8, 9]), "D_det", 10).tolist() == [1, 9, 0]


def test_on_a_linear_network_of_two_classes_pictures_move_along_the_weights():
    model, x = linear(2), greyish()
    y, t = torch.zeros(6, dtype=torch.long), torch.tensor([1, 0, 1, 0, 1, 1])
    moved = moved_towards(model, x, y, t, ball=L2(0.1), steps=6, batch=4)
    w = (model[1].weight[1] - model[1].weight[0]).detach().view(3, 4, 5)
    expected = 0.1 * (2.0 * t - 1)[:, None, None, None] * w / w.norm()
    torch.testing.assert_close(moved - x, expected, atol=1e-5, rtol=0)


def test_noise_is_as_long_as_the_movement_and_independent_of_it():
    x = greyish()
    moved = x + 0.02 * torch.arange(6)[:, None, None, None]
    noisy = noise_like(x, moved)
    torch.testing.assert_close((noisy - x).flatten(1).norm(dim=1), (moved - x).flatten(1).norm(dim=1))
    cosine = torch.nn.functional.cosine_similarity((noisy - x)[1:].flatten(1), (moved - x)[1:].flatten(1))
    assert cosine.abs().max() < 0.5
    assert noise_like(x, torch.ones_like(x)).max() <= 1


def test_in_a_small_world_wrong_labels_teach_the_right_class_through_the_faint_pattern():
    x, y = signs_of_class(600, seed=0)
    x_test, y_test = signs_of_class(400, seed=1)
    table = learn_from_moved(x, y, x_test, y_test, ball=L2(0.8), epochs=6, build=flat_net)
    found = {(row.labels, row.pictures): row.accuracy for row in table}
    assert found["true", "unchanged"].low > 0.95
    assert found["D_rand", "moved"].above(found["D_rand", "unchanged"])
    assert found["D_rand", "moved"].above(found["D_rand", "noise"])
    assert found["D_rand", "moved"].low > 0.5
    assert found["D_rand", "unchanged"].high < 0.45, "labels by lot teach nothing"
    assert {(row.labels, row.pictures): row.fitted for row in table}["D_det", "unchanged"] > 0.95
    assert found["D_det", "unchanged"].high < 0.1, "the next class, learned as it was taught"
    assert [row.labels for row in table] == ["true", *["D_rand"] * 3, *["D_det"] * 3]


def test_without_movement_nothing_is_learned():
    """The damage test: a ball of no size leaves labels by lot on pictures as they were."""
    x, y = signs_of_class(200, seed=0)
    table = learn_from_moved(
        x, y, *signs_of_class(200, seed=1), sets=["D_rand"], changes=["moved"], ball=L2(0.0), build=flat_net
    )
    assert table[1].accuracy.high < 0.5


def test_a_watcher_sees_every_network_and_can_stop():
    x, y = signs_of_class(128, seed=0)
    seen = []

    def watch(step):
        seen.append((step.done, step.total, step.note))
        return STOP if step.done == 2 else None

    table = learn_from_moved(x, y, x, y, epochs=1, build=flat_net, watch=watch)
    assert seen == [(1, 7, "D_rand, moved"), (2, 7, "D_rand, unchanged")]
    assert len(table) == 2


def test_fresh_networks_have_other_weights_than_the_standard_one():
    seeds = []

    def build(classes, *, seed):
        seeds.append(seed)
        return small_net(classes, widths=(4,), seed=seed)

    x, y = signs_of_class(64, seed=0)
    learn_from_moved(x, y, x, y, sets=["D_det"], changes=["moved", "noise"], epochs=1, build=build, seed=5)
    assert seeds == [5, 6, 6]


def test_bad_input_is_refused_in_words():
    x, y = greyish(), torch.tensor([0, 1, 2, 3, 0, 1])
    with pytest.raises(InputError, match=r"no training set named 'D_ran'. Did you mean 'D_rand'"):
        targets(y, "D_ran", 4)
    with pytest.raises(InputError, match="no change named 'move'"):
        learn_from_moved(x, y, x, y, changes=["move"])
    with pytest.raises(InputError, match=r"0 to K - 1 and all occur, but are \[0, 2\]"):
        learn_from_moved(x, 2 * (y % 2), x, y)
    with pytest.raises(InputError, match="targets must be 6 whole numbers"):
        moved_towards(linear(), x, y, y.float())
    assert SETS == ("D_rand", "D_det")
