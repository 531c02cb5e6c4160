"""Features on networks that others trained, on real photographs, against recounts that share no code with the library.

What the filters show was looked at by eye first; the tests then ask for it in numbers.
"""

import copy
import math

import numpy as np
import pytest
import torch

from lecturekit.features import (
    census,
    class_selectivity,
    effective_field,
    gallery,
    hierarchy,
    learn,
    settling,
    stem_net,
    trend,
)  # fmt: skip
from lecturekit.networks import imagenet, random_twin
from lecturekit.networks.layers import IMAGENET_MEAN, IMAGENET_STD
from lecturekit.pictures.picturebook import CLASSES, PictureBook
from tests.deconv.real import hundred, squeezenet, tiny_pictures, tiny_vgg

DOGS = range(151, 269)  # ImageNet's numbers
BLOCKS = [f"conv_{block}_{number}" for block in (1, 2) for number in (1, 2)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No gallery of an earlier run."""
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path / "cache"))


def torchvisions(model):
    """torchvision's own SqueezeNet with the same weights, as its authors would run it."""
    theirs = imagenet._build("squeezenet1_0")
    theirs.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("normalize")})
    return theirs.eval()


@torch.no_grad()
def heard(model, x, *layers):
    """What layers of torchvision's own network answer, picture by picture: {layer: [(K, h, w), ...]}."""
    theirs, answers = torchvisions(model), {layer: [] for layer in layers}
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    for layer, kept in answers.items():
        theirs.get_submodule(layer).register_forward_hook(
            lambda _module, _input, out, kept=kept: kept.append(out[0].clone())  # its ReLUs work in place
        )
    for picture in x.split(1):
        theirs((picture - mean) / std)
    return answers


# --- galleries --------------------------------------------------------------------------------------------------------


def test_the_gallery_of_a_real_network_is_what_looking_at_every_picture_finds(shared):
    model, (x, _) = squeezenet(shared), hundred(shared)
    layers = ("features.0", "features.12.expand3x3")
    for layer, maps in heard(model, x, *layers).items():
        found = gallery(model, layer, x, k=6, batch=33)
        peaks = np.stack([answer.flatten(1).amax(dim=1).numpy() for answer in maps], axis=1)  # (K, 100)
        order = np.argsort(-peaks, axis=1, kind="stable")[:, :6]
        np.testing.assert_allclose(found.values, np.take_along_axis(peaks, order, axis=1), rtol=1e-4, atol=1e-2)
        assert (found.which.numpy() == order).mean() > 0.995, "other kernels round otherwise: near equals may swap"
        for k in range(0, len(peaks), 7):
            for value, n, (row, column) in zip(found.values[k], found.which[k], found.places[k], strict=True):
                assert maps[n][k, row, column].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-2)


def test_the_first_layer_of_squeezenet_has_a_filter_for_blue_and_one_for_an_upright_edge(shared):
    model, (x, _) = squeezenet(shared), hundred(shared)
    found = gallery(model, "features.0", x, k=6)
    red, _, blue = found.patches(x, 70).mean(dim=(2, 3)).T
    assert (blue > red + 0.2).all()
    edges = found.patches(x, 0).mean(dim=1)  # (6, 7, 7): bright on the left, dark on the right
    assert (edges[:, :, :3].mean(dim=(1, 2)) > edges[:, :, 4:].mean(dim=(1, 2)) + 0.3).all()


@pytest.mark.parametrize("filter", [47, 106])
def test_a_late_layer_of_squeezenet_has_filters_for_dogs(filter, shared):
    model, (x, labels) = squeezenet(shared), hundred(shared)
    found = gallery(model, "features.12.expand3x3", x, k=5)
    dogs = [int(label) in DOGS for label in labels[found.which[filter]]]
    assert sum(dogs) == 5 and sum(int(label) in DOGS for label in labels) < 20, "a fifth of all pictures at most"


# --- the census -------------------------------------------------------------------------------------------------------


def test_a_census_has_nothing_to_say_about_tiny_vgg(shared):
    found = census(tiny_vgg(shared), tiny_pictures(shared))
    assert found.findings == [] and found.pictures == 500
    assert found.filters == {**dict.fromkeys(BLOCKS, 10), "output": 10}


def test_a_census_of_squeezenet_finds_what_pruning_left_behind_and_nothing_else(shared):
    """Its weights were pruned: the dead, empty and double filters are real, as a recount shows."""
    model, (x, _) = squeezenet(shared), hundred(shared)
    found = census(model, x, batch=25)
    answers = heard(model, x, *found.filters)
    dead, empty, double = [], [], []
    for layer in found.filters:
        peaks = torch.stack([answer.flatten(1).amax(dim=1) for answer in answers[layer]]).amax(dim=0)
        weight = model.get_submodule(layer).weight.flatten(1).double().numpy()
        sizes = np.linalg.norm(weight, axis=1)
        unit = weight / np.maximum(sizes, 1e-12)[:, None]
        empty += [(layer, k) for k in np.flatnonzero(sizes == 0).tolist()]
        alike = np.abs(np.tril(unit @ unit.T, -1)).max(axis=1)
        double += [(layer, k) for k in np.flatnonzero(alike > 0.99).tolist()]
        dead += [(layer, k) for k in (peaks <= 0).nonzero().flatten().tolist()]
    assert found.of("weightless") == empty and len(empty) == 1
    assert set(found.of("dead")) == set(dead) - set(empty) - set(double) and len(dead) >= 2
    assert found.of("duplicate") == double and len(double) == 6
    assert {f.kind for f in found.findings} == {"weightless", "dead", "duplicate"}
    cut = copy.deepcopy(model)
    for layer, k in found.of("dead"):
        cut.get_submodule(layer).weight[k] = 0
        cut.get_submodule(layer).bias[k] = 0
    with torch.no_grad():
        assert torch.equal(cut(x[:10]), model(x[:10])), "nobody misses them"


# --- the hierarchy ----------------------------------------------------------------------------------------------------


def test_the_hierarchy_of_tiny_vgg_rises_from_edges_to_classes(shared):
    pictures = tiny_pictures(shared)
    rows = hierarchy(tiny_vgg(shared), pictures, pictures.labels, BLOCKS, sample=32)
    assert [row.receptive_field for row in rows] == [3, 5, 10, 14]  # 2 more for a 3 x 3 window, twice that behind pool
    for name in ("receptive_field", "effective_field", "class_selectivity", "orientation"):
        assert trend([getattr(row, name) for row in rows]) == 1, name
    assert trend([row.frequency for row in rows]) == -1
    twin = hierarchy(random_twin(tiny_vgg(shared)), pictures, pictures.labels, BLOCKS, sample=32)
    assert rows[-1].frequency < 0.8 * twin[-1].frequency, "training, not the plan alone, prefers coarse waves"


def test_fields_and_selectivity_rise_in_squeezenet_too(shared):
    model, (x, labels) = squeezenet(shared), hundred(shared)
    layers = [f"features.{n}.expand3x3" for n in (3, 5, 8, 10, 12)]
    prefer = class_selectivity(model, layers, x, labels)
    listens = [effective_field(model, layer, x[:6]) for layer in layers]
    assert trend(listens) == 1 and trend([prefer[layer].nanmean() for layer in layers]) >= 0.9
    assert all(side < most for side, most in zip(listens, (19, 35, 75, 107, 155), strict=True))


# --- settling ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run():
    """Six moments of a real training run on the picture book, and the layers with weights."""
    book = PictureBook("train", 600)
    model, moments = stem_net(CLASSES, kernel=7, stride=2, filters=12), []
    moments.append(copy.deepcopy(model))

    def keep(step):
        if step.done in (5, 15, 40, 80, 120):
            moments.append(copy.deepcopy(model).eval())

    labels = torch.as_tensor(book.labels).long()
    losses = learn(model, book.tensors(), labels, steps=120, batch=32, rate=0.01, watch=keep)
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5]), "it learned something"
    return moments, ["conv1", "conv2", "conv3", "fc4"]


def textbook_cka(a, b):
    """Kornblith et al. 2019, with the N x N centring matrix written out: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))."""
    centring = np.eye(len(a)) - 1 / len(a)
    k, l = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (a, b))  # noqa: E741
    k, l = centring @ (k @ k.T) @ centring, centring @ (l @ l.T) @ centring  # noqa: E741
    return np.trace(k @ l) / math.sqrt(np.trace(k @ k) * np.trace(l @ l))


def test_settling_of_a_real_run_is_what_a_direct_computation_finds(run):
    moments, layers = run
    x = PictureBook("validation", 40).tensors()
    found = settling(moments, x, layers)
    for number, moment in enumerate(moments):
        for column, layer in enumerate(layers):
            stop = [name for name, _ in moment.named_children()].index(layer) + 1
            code, last = (network[:stop](x).detach().numpy() for network in (moment, moments[-1]))
            assert found.codes[number, column].item() == pytest.approx(textbook_cka(code, last), abs=1e-4)
            v, w = (network.get_submodule(layer).weight.detach().numpy().ravel() for network in (moment, moments[-1]))
            cosine = v @ w / np.linalg.norm(v) / np.linalg.norm(w)
            assert found.weights[number, column].item() == pytest.approx(cosine, abs=1e-4)


@pytest.mark.parametrize("by", ["codes", "weights"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_order_of_settling_is_that_of_a_slow_search(run, by, share):
    moments, layers = run
    found = settling(moments, PictureBook("validation", 40).tensors(), layers)
    likeness, expected = getattr(found, by).tolist(), {}
    for column, layer in enumerate(layers):
        start = likeness[0][column]
        gone = [(row[column] - start) / (1 - start) for row in likeness]
        expected[layer] = next(n for n in range(len(gone)) if all(later >= share for later in gone[n:]))
    assert found.settled(share, by) == expected
    assert set(expected.values()) - {0} and all(0 < moment < len(moments) for moment in expected.values())


def test_a_real_first_layer_is_near_its_end_from_the_start(run):
    """The trap that the module names: a random first layer keeps edges apart already, so CKA starts high there."""
    moments, layers = run
    found = settling(moments, PictureBook("validation", 40).tensors(), layers)
    assert found.codes[0, 0] == found.codes[0].max() > 0.5
