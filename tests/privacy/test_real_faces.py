"""Real faces: the splits share no picture, training stops and repeats, and codes come back as grey pictures.

All but one of the tests do without a face: noise has codes as well.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lecturekit import capture, claims, measure
from lecturekit.errors import InputError, ModelError, SetupError
from lecturekit.pictures.datasets import AttFaces, Pictures
from lecturekit.privacy import real_faces
from lecturekit.privacy.attackers import white_box
from lecturekit.progress import STOP, Step


@pytest.fixture(scope="module")
def noise():
    """Four "people" of two pictures each, so that no test needs a face."""
    random = np.random.default_rng(0)
    return Pictures(random.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8), np.repeat(range(4), 2), "abcd")


def test_nobody_has_seen_a_picture_that_is_sought():
    parts = [set(part) for part in (real_faces.ATTACKED, real_faces.JUDGING, real_faces.PROBES)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10


def test_the_same_seed_gives_the_same_network_and_another_seed_another(noise):
    a, b, c = (real_faces.identity_net(noise, epochs=1, seed=seed).model for seed in (0, 0, 1))
    x, _ = real_faces.tensors(noise)
    assert torch.equal(a(x), b(x)) and not torch.allclose(a(x), c(x))
    assert list(a.classes) == list("abcd")
    assert tuple(dict(a.named_children()))[1:4] == ("conv1", "relu1", "pool1"), "batch normalisation is folded away"


def test_a_stopped_training_hands_back_the_network_as_far_as_it_came(noise):
    trained = real_faces.identity_net(noise, epochs=3, watch=lambda step: STOP if step.done == 2 else None)
    assert not trained.complete and len(trained.history) == 1
    assert trained.model(real_faces.tensors(noise)[0]).shape == (8, 4)


def test_codes_come_back_as_grey_pictures_of_every_layer_and_a_stop_keeps_what_is_there(noise):
    net, (x, _) = real_faces.identity_net(noise, epochs=1).model, real_faces.tensors(noise)
    found = real_faces.brought_back(net, x[:2], steps=3)
    assert tuple(found) == real_faces.LAYERS
    for pictures in found.values():
        assert pictures.shape == (2, 3, 64, 64) and 0 <= pictures.min() <= pictures.max() <= 1
        assert (pictures == pictures[:, :1]).all()
    notes = []

    def watch(step):
        notes.append(step.note)
        return STOP if step.note == "conv2" else None

    assert list(real_faces.brought_back(net, x[:2], watch=watch, steps=3)) == ["conv1", "conv2"]
    assert notes[0] == "conv1"


def test_a_training_that_was_cut_short_goes_on_to_the_same_network(noise, tmp_path):
    once = real_faces.identity_net(noise, epochs=2)

    def cut(step):
        return STOP if step.done == 2 else None

    assert not real_faces.identity_net(noise, epochs=2, folder=tmp_path, watch=cut).complete
    again = real_faces.identity_net(noise, epochs=2, folder=tmp_path)
    x, _ = real_faces.tensors(noise)
    assert again.complete and torch.equal(once.model(x), again.model(x))


def test_who_knows_that_a_photograph_is_grey_gets_nearer_to_it(noise):
    net, (x, _) = real_faces.identity_net(noise, epochs=1).model, real_faces.tensors(noise)
    x = torch.nn.functional.avg_pool2d(real_faces.grey(x), 9, 1, 4)  # smooth, as photographs are
    found = real_faces.brought_back(net, x, ["conv2"], steps=40)["conv2"]
    in_colour = white_box(net, "conv2", capture.cut(net, "conv2")(x), steps=40)
    gain = measure.psnr(found, x) - measure.psnr(real_faces.grey(in_colour), x)
    assert gain.mean() > 2


def test_grey_is_the_mean_of_the_colours_in_each_of_them():
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(real_faces.grey(x)[:, 2], (x[:, 0] + x[:, 1] + x[:, 2]) / 3)
    assert real_faces.grey(x).shape == x.shape


def test_a_latch_stays_shut():
    asked, latch = [], real_faces.Latch(lambda step: asked.append(step.note) or (STOP if len(asked) == 2 else None))
    latch.note = "here"
    assert [latch(Step(done, 9)) for done in range(4)] == [None, STOP, STOP, STOP]
    assert asked == ["here", "here"] and latch.halted


def test_strangers_never_learn_from_the_person_whom_they_bring_back(noise, monkeypatch):
    """Two inverse networks: each is trained on one half of the people, and used for the other half only."""
    net, (x, people) = real_faces.identity_net(noise, epochs=1).model, real_faces.tensors(noise)
    learned = []

    def spy(ask, images, **_):
        learned.append(images)
        mark = torch.full((3, 64, 64), len(learned) / 4)

        class Constant(torch.nn.Module):
            def forward(self, codes):
                return mark.expand(len(codes), -1, -1, -1)

        return type("Trained", (), {"model": Constant()})

    monkeypatch.setattr(real_faces, "black_box", spy)
    seen = real_faces.by_strangers(net, noise, x, people, "embedding")
    assert seen[people % 2 == 0].unique().tolist() == [0.25] and seen[people % 2 == 1].unique().tolist() == [0.5]
    for images, parity in zip(learned, (1, 0), strict=True):
        own = torch.from_numpy(noise.images)[torch.from_numpy(noise.labels) % 2 == parity]
        assert len(images) == 4 * (1 + real_faces.VARIANTS) and torch.equal(images[:4], own)


def test_strangers_bring_back_grey_pictures_and_a_stop_ends_both_trainings(noise):
    net, (x, people) = real_faces.identity_net(noise, epochs=1).model, real_faces.tensors(noise)
    steps = []

    def watch(step):
        steps.append(step.note)
        return STOP

    seen = real_faces.by_strangers(net, noise, x, people, "embedding", epochs=1, watch=watch)
    assert seen.shape == x.shape and 0 <= seen.min() <= seen.max() <= 1 and (seen == seen[:, :1]).all()
    assert steps == ["odd people"]


def test_variants_are_near_the_picture_and_not_the_same(noise):
    images = torch.nn.functional.avg_pool2d(torch.from_numpy(noise.images).permute(0, 3, 1, 2).float(), 9, 1, 4)
    images = real_faces.grey(images).round().byte().permute(0, 2, 3, 1)
    some = real_faces.varied(images)
    assert some.dtype == torch.uint8 and len(some) == (1 + real_faces.VARIANTS) * len(images)
    assert torch.equal(some, real_faces.varied(images)) and not torch.equal(some, real_faces.varied(images, seed=1))
    assert (some[8:16].float() - images.float()).abs().mean() < 40
    assert not torch.equal(some[8:16], some[16:24])


def test_an_attacker_without_strangers_and_wrong_layers_are_refused(noise):
    net, (x, people) = real_faces.identity_net(noise, epochs=1).model, real_faces.tensors(noise)
    even = Pictures(noise.images[:2], [0, 0], "a")
    with pytest.raises(InputError, match="needs people with even and with odd numbers"):
        real_faces.by_strangers(net, even, x, people, "embedding")
    with pytest.raises(InputError, match="no layer named 'conv7'"):
        real_faces.by_strangers(net, noise, x, people, "conv7")
    with pytest.raises(InputError, match="no layer named 'conv7'"):
        real_faces.brought_back(net, x, ["conv7"])
    with pytest.raises(ModelError, match=r"model.eval\(\)"):
        real_faces.brought_back(net.train(), x)


def test_everybody_is_found_in_a_gallery_of_the_same_pictures(noise):
    judge, (x, people) = real_faces.identity_net(noise, epochs=1, blurred=True).model, real_faces.tensors(noise)
    for gallery in real_faces.galleries(judge, noise).values():
        assert gallery.find(x, people).top[1].estimate == 1


def test_without_faces_the_claim_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("ATT_FACES", raising=False)
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path))
    with pytest.raises(SetupError, match="the AT&T faces are not on this machine"):
        claims.measure("real-faces")


def test_real_people_are_found_again_from_conv2(shared, monkeypatch):
    """A short training, and every fourth probe; the claim `real-faces` measures the whole."""
    folder = shared / "data" / "att_faces"
    if not (folder / AttFaces.NAME).is_file():
        pytest.skip(f"{folder} has no AT&T faces")
    monkeypatch.setenv("ATT_FACES", str(folder))
    others = AttFaces(real_faces.JUDGING)
    net = real_faces.identity_net(AttFaces(real_faces.ATTACKED), epochs=5).model
    x, people = (each[::4] for each in real_faces.tensors(AttFaces(real_faces.PROBES)))
    found = real_faces.brought_back(net, x, ["conv2"], steps=20)["conv2"]
    gallery = real_faces.galleries(net, others)["pixels"]
    assert measure.psnr(found, x).mean() > 25
    assert gallery.find(found, people).top[1].low > 10 / 40


def test_no_notebook_keeps_the_face_of_somebody():
    for path in (Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        for cell in (cell for cell in cells if "AttFaces(" in "".join(cell["source"])):
            off = cell["source"][0].startswith("LIVE = False")
            assert off and not cell["outputs"], f"{path.name}: set LIVE = False and clear the output, then store it"
