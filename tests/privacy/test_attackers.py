"""Attackers: what each may touch, that they learn, that they stop and go on, and what is refused."""

import pytest
import torch
from torch import nn

from lecturekit import capture, measure, networks, training
from lecturekit.augment import pixels
from lecturekit.errors import InputError
from lecturekit.pictures.picturebook import PictureBook
from lecturekit.privacy import attackers
from lecturekit.progress import STOP


def drawings(count):
    book = PictureBook("validation", count)
    return torch.from_numpy(book.images), torch.from_numpy(book.labels)


def test_the_white_box_finds_a_picture_with_the_code():
    model, x0 = networks.load("picturebook"), pixels(drawings(3)[0])
    phi = capture.cut(model, "conv1")
    x = attackers.white_box(model, "conv1", phi(x0).detach())
    assert (measure.feature_error(phi(x), phi(x0)) < 0.01).all()
    assert (measure.psnr(x, x0) > 25).all()


def test_the_white_box_keeps_its_best_when_it_is_stopped():
    model, x0 = networks.load("picturebook"), pixels(drawings(2)[0])
    codes = capture.cut(model, "conv2")(x0).detach()
    x = attackers.white_box(model, "conv2", codes, watch=lambda step: STOP if step.done == 3 else None)
    assert x.shape == x0.shape
    assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("world", attackers.WORLDS)
def test_questions_are_stored_pictures(world):
    images = attackers.questions(world, 12)
    assert images.shape == (12, 64, 64, 3)
    assert images.dtype == torch.uint8
    assert torch.equal(images, attackers.questions(world, 12))
    assert len(images.flatten(1).unique(dim=0)) == 12


def test_drawings_without_faces_show_none():
    images = attackers.questions("drawings without faces", 27)
    faces = torch.from_numpy(PictureBook("train", 100, labels=["face"]).images)
    assert not (images[:, None] == faces[None]).flatten(2).all(2).any()


def test_some_windows_are_mirrored_and_some_are_not(monkeypatch):
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 128, 256)  # brighter to the right
    monkeypatch.setattr("lecturekit.pictures.photographs.photograph", lambda name: ramp)
    across = attackers.questions("photographs", 40).int().diff(dim=2).flatten(1)
    rises, falls = (across >= 0).all(1), (across <= 0).all(1)
    assert (rises ^ falls).all()
    assert 10 < rises.sum() < 30


def test_an_unknown_world_is_refused():
    with pytest.raises(InputError, match="there is no world named 'maps'"):
        attackers.questions("maps", 3)


class Door:
    """A network that can be asked and not looked into."""

    def __init__(self):
        self.asked = 0
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.ReLU())

    def __call__(self, x):
        assert not torch.is_grad_enabled(), "an API has no gradients"
        self.asked += len(x)
        return self.net(x)


def test_the_black_box_learns_from_answers_alone():
    door, (images, _) = Door(), drawings(200)
    found = attackers.black_box(door, images, epochs=6)
    assert found.complete
    assert door.asked == 200
    assert found.history[-1] < 0.8 * found.history[0]
    with torch.no_grad():
        x0 = pixels(images[:20])
        x = found.model(door(x0))
    assert measure.psnr(x, x0).mean() > measure.psnr(measure.mean_image(x0).expand_as(x0), x0).mean()


def test_a_stopped_training_goes_on_from_the_last_epoch(tmp_path):
    images, _ = drawings(40)
    whole = attackers.black_box(Door(), images, epochs=3, folder=tmp_path / "whole")
    part = attackers.black_box(
        Door(), images, epochs=3, folder=tmp_path / "part", watch=lambda step: STOP if step.done == 2 else None
    )
    assert not part.complete
    assert part.model(torch.zeros(1, 6, 16, 16)).shape == (1, 3, 64, 64)
    rest = attackers.black_box(Door(), images, epochs=3, folder=tmp_path / "part")
    assert rest.complete
    assert rest.history == pytest.approx(whole.history, rel=1e-4)


def test_the_network_to_go_on_from_stays_as_it_is():
    images, _ = drawings(20)
    start = attackers.black_box(Door(), images, epochs=1).model
    before = {name: value.clone() for name, value in start.state_dict().items()}
    further = attackers.black_box(Door(), images, start=start, epochs=1).model
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    assert not all(torch.equal(value, before[name]) for name, value in further.state_dict().items())


def test_a_seed_decides():
    images, _ = drawings(20)
    code = torch.rand(1, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    one, same, other = (attackers.black_box(Door(), images, epochs=1, seed=seed).model(code) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_pictures_that_are_not_stored_ones_are_refused():
    with pytest.raises(InputError, match=r"uint8 \(N, 64, 64, 3\), as `questions` returns, got \(4, 3, 64, 64\)"):
        attackers.black_box(Door(), torch.rand(4, 3, 64, 64))


def test_the_stand_in_shares_no_weight_and_leaves_the_rest_alone():
    model, (images, labels) = networks.load("picturebook"), drawings(200)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = attackers.query_free(model, "conv2", images, labels, epochs=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(p.requires_grad for p in model.parameters())
    assert [name for name, _ in found.model.named_children()][-1] == "conv2"
    codes, own = found.model(pixels(images)), capture.cut(model, "conv2")(pixels(images))
    assert codes.shape == own.shape
    assert (codes - own).norm() > 0.3 * own.norm()
    assert found.history[-1] < found.history[0], "what follows learns to read the stand-in"


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_stand_in_begins_with_weights_of_its_own(seed, monkeypatch):
    fresh = {}
    monkeypatch.setattr(attackers, "trained", lambda name, data, build, *rest, **how: fresh.update(net=build()))
    attackers.query_free(networks.load("picturebook"), "conv2", *drawings(4), seed=seed)
    with training.seeded(seed):  # what the shipped network of this seed began with
        shipped = networks.lecture_net(networks.load("picturebook").classes, batch_norm=True)
    assert not torch.equal(fresh["net"].conv1.weight, shipped.conv1.weight)
    assert isinstance(list(fresh["net"].children())[-1], nn.BatchNorm2d), "it belongs to the layer, and is folded in"


def test_the_stand_in_can_be_inverted_like_the_network():
    model, (images, labels) = networks.load("picturebook"), drawings(20)
    stand_in = attackers.query_free(model, "conv2", images, labels, epochs=1).model
    codes = capture.cut(model, "conv2")(pixels(images[:2])).detach()
    assert attackers.white_box(stand_in, "conv2", codes, steps=4).shape == (2, 3, 64, 64)


def test_a_layer_that_the_network_lacks_is_refused():
    model, (images, labels) = networks.load("picturebook"), drawings(4)
    with pytest.raises(InputError, match="conv9"):
        attackers.query_free(model, "conv9", images, labels)
    with pytest.raises(InputError, match="conv9"):
        attackers.white_box(model, "conv9", torch.ones(1, 3))
