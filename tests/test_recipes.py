"""The recipes are what the cards promise: their losses, their order, and nothing random from outside."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lecturekit import augment, recipes
from lecturekit.errors import SetupError
from lecturekit.networks import lecture_net
from lecturekit.recipes import CLASSIFIERS, EPS, INVERSES, JUDGES, RECIPES
from lecturekit.training import train


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def stored(count=4, seed=0):
    """Pictures as they are stored: (N, H, W, C), uint8."""
    return torch.randint(256, (count, 64, 64, 3), generator=dice(seed), dtype=torch.uint8)


class Recorder(nn.Module):
    """A network of one layer that remembers what it was shown, and in which mode."""

    def __init__(self):
        super().__init__()
        self.last, self.seen, self.modes = nn.Linear(3, 2), [], []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        self.modes.append((self.training, self.last.weight.requires_grad))
        return self.last(x.mean((2, 3)))


# The table


def test_every_recipe_is_found_under_its_own_name():
    assert all(name == recipe.name for name, recipe in RECIPES.items())
    assert len(RECIPES) == len(CLASSIFIERS) + len(JUDGES) + len(INVERSES)


def test_the_shipped_networks_are_there():
    assert {"picturebook", "picturebook_robust", "picturebook_residual", "photographs"} <= set(CLASSIFIERS)
    layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8", "probabilities")
    assert {f"picturebook_inverse_{layer}" for layer in layers} <= set(INVERSES)
    assert {f"photographs_inverse_{layer}" for layer in ("conv3", "conv5", "fc6", "fc8")} <= set(INVERSES)


def test_what_needs_a_network_comes_after_it():
    order = list(RECIPES)
    assert order.index("picturebook") < order.index("picturebook_robust")
    for name in INVERSES:
        assert order.index(name.split("_inverse_")[0]) < order.index(name)


def test_the_second_network_is_the_first_with_another_seed():
    first, second = CLASSIFIERS["picturebook"], CLASSIFIERS["picturebook_second"]
    assert (first.loss, first.finish) == (second.loss, second.finish)
    assert first.seed != second.seed
    one, other = (CLASSIFIERS[name].build().state_dict() for name in ("picturebook", "picturebook_second"))
    assert one.keys() == other.keys()
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("name", ["picturebook", "picturebook_residual"])
def test_a_network_is_trained_with_batch_norm_and_ships_without(name):
    recipe = CLASSIFIERS[name]
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in recipe.build().modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in recipe.finish(recipe.build()).modules())
    assert len(recipe.build().classes) == 10


def test_fresh_weights_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    first, same, other = (recipes.fresh(lecture_net, lambda: "ab", seed)().fc8.weight for seed in (5, 5, 6))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


# The losses


def test_the_standard_loss_is_cross_entropy_on_mirrored_pictures():
    model, images, y = Recorder(), stored(), torch.tensor([0, 1, 1, 0])
    loss = recipes.standard_loss(model, images, y, dice(2), 0.3)
    x = augment.mirror(augment.pixels(images), dice(2))
    assert torch.equal(model.seen[0], x)
    torch.testing.assert_close(loss, cross_entropy(model(x), y))


@pytest.mark.parametrize(("progress", "share"), [(0, 0), (0.1, 0.25), (0.4, 1), (1, 1)])
def test_the_robust_loss_attacks_inside_a_ball_that_grows(monkeypatch, progress, share):
    asked = []
    real = recipes.ascend

    def ascend(model, x, y, ball, **budget):
        asked.append({"ball": ball, **budget})
        return real(model, x, y, ball, **budget)

    monkeypatch.setattr(recipes, "ascend", ascend)
    model, images, y = Recorder().train(), stored(), torch.tensor([0, 1, 1, 0])
    loss = recipes.robust_loss(model, images, y, dice(2), progress)
    eps = share * EPS
    assert asked[0]["ball"].eps == pytest.approx(eps)
    assert asked[0]["alpha"] == pytest.approx(eps / 2)
    assert asked[0]["steps"] == 3
    assert not asked[0].get("leave", False), "a picture that is misled early must be made as hard as the others"
    clean, shown = augment.mirror(augment.pixels(images), dice(2)), model.seen[-1]
    assert (shown - clean).abs().max().item() == pytest.approx(eps, abs=1e-6), "it is trained on what the attack found"
    torch.testing.assert_close(loss, cross_entropy(model(shown), y))
    assert cross_entropy(model(shown), y) >= cross_entropy(model(clean), y)


def test_the_robust_loss_attacks_a_frozen_network_and_trains_a_free_one():
    model = Recorder().train()
    recipes.robust_loss(model, stored(), torch.tensor([0, 1, 1, 0]), dice(), 1).backward()
    assert model.modes == [(False, False)] * 3 + [(True, True)], "three steps of the attack, one of the training"
    assert model.last.weight.grad.abs().sum() > 0


def test_the_robust_photograph_loss_attacks_shifted_photographs_in_half_the_ball():
    model, twin = Recorder().train(), dice(2)
    recipes.robust_photograph_loss(model, stored(), torch.tensor([0, 1, 1, 0]), dice(2), 1)
    clean = augment.mirror(augment.shift(augment.pixels(stored()), twin, pad=6), twin)
    assert (model.seen[-1] - clean).abs().max().item() == pytest.approx(4 / 255, abs=1e-6)


def test_the_photograph_loss_ends_with_whole_photographs():
    for seed in range(8):
        model = Recorder()
        recipes.photograph_loss(model, stored(), torch.tensor([0, 1, 1, 0]), dice(seed), 0.81)
        twin = dice(seed)
        x = augment.mirror(augment.shift(augment.pixels(stored()), twin, 6), twin)
        assert torch.equal(model.seen[0], augment.light(x, twin, 0.2))


def test_the_photograph_loss_blends_pictures_and_labels_alike():
    """The specification, draw by draw.  Some seeds blend, the others do not."""
    weights, images, y = [], stored(), torch.tensor([0, 1, 1, 0])
    for seed in range(8):
        model, twin = Recorder(), dice(seed)
        loss = recipes.photograph_loss(model, images, y, dice(seed), 0.5)
        x = augment.shift(augment.pixels(images), twin, 6)
        x = augment.light(augment.mirror(x, twin), twin, 0.2)
        u = torch.rand(2, generator=twin)
        weight = 1.0 if u[0] < 0.5 else max(0.5, u[1].item())
        order = torch.randperm(4, generator=twin)
        torch.testing.assert_close(model.seen[0], weight * x + (1 - weight) * x[order])
        smoothed = torch.full((4, 2), 0.025) + 0.95 * nn.functional.one_hot(y, 2)
        target = weight * smoothed + (1 - weight) * smoothed[order]
        torch.testing.assert_close(loss, -(target * model(model.seen[0]).log_softmax(1)).sum(1).mean())
        weights.append(weight)
    assert 1.0 in weights
    assert min(weights) >= 0.5
    assert any(weight < 1 for weight in weights)


def test_the_reconstruction_loss_is_the_mean_over_pixels_and_colours():
    images = stored(2)
    loss = recipes.reconstruction_loss(lambda codes: codes, torch.zeros(2, 3, 64, 64), images, None, 0)
    assert loss.item() == pytest.approx((images.double() / 255).square().mean().item(), rel=1e-5)


# The data


def test_the_picture_books_pictures_come_with_their_labels():
    images, labels = recipes.picture_book(20)
    assert images.shape == (20, 64, 64, 3)
    assert images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert sorted(labels.unique().tolist()) == list(range(10))


def test_without_photographs_one_is_told_what_to_set(monkeypatch):
    monkeypatch.delenv("TINY_IMAGENET_20", raising=False)
    with pytest.raises(SetupError, match="Set TINY_IMAGENET_20 to a folder with train.npz and val.npz"):
        CLASSIFIERS["photographs"].data()
    with pytest.raises(SetupError, match="TINY_IMAGENET_20"):
        CLASSIFIERS["photographs"].build()


def test_the_photographs_are_read_from_the_folder_that_was_named(monkeypatch, shared):
    monkeypatch.setenv("TINY_IMAGENET_20", str(shared / "data" / "tiny_imagenet_20"))
    model = CLASSIFIERS["photographs"].build()
    assert len(set(model.classes)) == 20
    assert [name for name, _ in model.named_children() if name.startswith("dropout")] == ["dropout6", "dropout7"]
    assert len(recipes.tiny_imagenet()[1]) == 10_000


# Inverse networks


@pytest.fixture
def small_world(monkeypatch):
    """A network to invert and forty pictures, in place of the shipped one and thousands."""
    torch.manual_seed(0)
    model, images = lecture_net("abc").eval().requires_grad_(False), stored(40)
    monkeypatch.setattr(recipes, "load", lambda name: model)
    monkeypatch.setattr(recipes, "inverse_pictures", lambda name, layer: images)
    return model, images


def test_an_inverse_network_learns_pictures_from_codes(small_world):
    model, images = small_world
    codes, targets = INVERSES["picturebook_inverse_conv4"].data()
    x = augment.pixels(images)
    for layer in model[:10]:  # normalize ... conv4
        x = layer(x)
    torch.testing.assert_close(codes, x)
    assert not codes.requires_grad
    assert targets is images
    codes, _ = INVERSES["picturebook_inverse_probabilities"].data()
    torch.testing.assert_close(codes.sum(1), torch.ones(40))


def test_an_inverse_network_starts_with_standardised_codes(small_world):
    recipe = INVERSES["picturebook_inverse_fc6"]
    codes, _ = recipe.data()
    standard = recipe.build().normalise(codes)
    torch.testing.assert_close(standard.mean(0), torch.zeros(192), atol=1e-4, rtol=0)
    torch.testing.assert_close(standard.std(0), torch.ones(192), atol=1e-3, rtol=0)
    assert torch.equal(recipe.build().fc1.weight, recipe.build().fc1.weight), "the same every time"


def test_the_sample_that_standardises_is_spread_over_all_pictures(small_world, monkeypatch):
    images = torch.zeros(2000, 64, 64, 3, dtype=torch.uint8)
    images[1000:] = 255  # stored class by class
    monkeypatch.setattr(recipes, "inverse_pictures", lambda name, layer: images)
    model, _ = small_world
    black, white = model[:18](augment.pixels(images[[0, -1]]))  # normalize ... fc7
    mean = INVERSES["picturebook_inverse_fc7"].build().normalise.mean
    torch.testing.assert_close(mean, (black + white) / 2)


def test_photographs_are_mirrored_for_their_inverse_networks(monkeypatch):
    images = stored(2)
    monkeypatch.setattr(recipes, "tiny_imagenet", lambda: (images, None))
    both = recipes.inverse_pictures("photographs", "conv3")
    assert torch.equal(both[:2], images)
    assert torch.equal(both[2:, :, 0], images[:, :, -1]), "left is right"


def test_large_codes_are_learned_from_fewer_pictures(monkeypatch):
    monkeypatch.setattr(recipes, "picture_book", lambda size: (size, None))
    sizes = [recipes.inverse_pictures("picturebook", layer) for layer in ("conv1", "conv2", "conv3", "fc8")]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] == sizes[3]


def test_an_inverse_network_can_be_trained(small_world, tmp_path):
    recipe = dataclasses.replace(INVERSES["picturebook_inverse_fc8"], epochs=2)
    trained = train(recipe, tmp_path)
    assert trained.complete
    assert len(trained.history) == 2
    assert all(math.isfinite(loss) and loss < 0.2 for loss in trained.history)


# The judges of faces


class Answers(nn.Module):
    """Answers with the same logits whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def test_the_loss_of_traits_adds_up_the_questions():
    sizes, right = (3, 9, 4, 4, 3), torch.tensor([[0, 8, 1, 3, 2], [2, 0, 3, 1, 0]])
    logits = torch.randn(sum(sizes), generator=dice())
    by_hand = sum(
        cross_entropy(part.expand(2, -1), column) for part, column in zip(logits.split(sizes), right.T, strict=True)
    )
    assert recipes.traits_loss(Answers(logits), stored(2), right, dice(), 0.0).item() == pytest.approx(by_hand.item())


def test_the_loss_of_people_is_smoothed():
    logits, who = torch.tensor([4.0, 0.0, 0.0]), torch.tensor([0, 0])
    plain = -logits.log_softmax(0)
    by_hand = 0.9 * plain[0] + 0.1 * plain.mean()
    assert recipes.people_loss(Answers(logits), stored(2), who, dice(), 0.0).item() == pytest.approx(by_hand.item())


def test_no_judge_knows_anybody_who_is_sought():
    images, who = recipes.people()
    assert len(images) == 20 * len(recipes.JUDGES_KNOW) == len(who)
    assert (who.min(), who.max()) == (0, len(recipes.people_names()) - 1)
    assert recipes.people_names()[0] == "person 500"
    assert recipes.trait_names()[:4] == ["skin: fair", "skin: medium", "skin: dark", "hair: black"]
    assert torch.equal(recipes.traits_of_people()[0], images)
