"""The census: every definition on a filter made to fit it, ten planted defects, and healthy networks left in peace."""

import numpy as np
import pytest
import torch
from torch import nn

from lecturekit.errors import InputError
from lecturekit.features import DEFECTS, census, plant
from lecturekit.features.diagnose import Tally, duplicates, fine_energy, followers, weight_findings
from lecturekit.networks import load
from lecturekit.pictures.datasets import TinyImageNet
from lecturekit.pictures.picturebook import PictureBook
from lecturekit.progress import STOP

CONVOLUTIONS = [f"conv{i}" for i in range(1, 6)]


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def network(activation=nn.ReLU, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3), activation(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 2), nn.BatchNorm2d(5), activation(),
            nn.Flatten(), nn.Linear(5 * 3 * 4, 4),
        ).eval()  # fmt: skip


def kinds(findings):
    return {k: kind for k, (kind, _) in findings.items()}


# --- answers ----------------------------------------------------------------------------------------------------------


def test_answers_are_called_by_their_definition():
    maps = torch.zeros(2, 5, 30, 50)  # 3,000 places
    maps[0, 1, 0, :2] = 1.0  # fires at 2 of them
    maps[:, 2, 0, 0] = 1.0
    maps[:, 2, 1, :5] = 1.0  # at 12: more than one in a thousand
    maps[:, 3] = 7.0 + 0.01 * random(2, 30, 50)
    maps[:, 4] = random(2, 30, 50)
    tally = Tally("ReLU")
    for batch in maps.split(1):
        tally.add(batch)
    assert kinds(tally.findings()) == {0: "dead", 1: "sleepy", 3: "stuck"}
    assert tally.findings()[0][1] == "silent at 3,000 places: fires at < 0.1 % of all", "the rule of three"
    assert tally.findings()[1][1] == "above 0 at 0.067 % of 3,000 places"


def test_bounded_activations_saturate_and_are_never_called_dead():
    maps = torch.stack([torch.full((1, 10, 10), v) for v in (-0.5, 0.99, -0.99)], dim=1) + 0.005 * random(1, 3, 10, 10)
    maps[:, 2, 0, :6] = 0.0  # 94 % are not enough
    tally = Tally("Tanh")
    tally.add(maps)
    assert kinds(tally.findings())[1] == "saturated" and "dead" not in kinds(tally.findings()).values()
    assert 2 not in tally.findings()


def firing(share, places=20_000):
    """Answers of one filter that fires at this share of its places, (1, 1, 1, places)."""
    return (torch.arange(places) < round(share * places)).float().view(1, 1, 1, -1)


def around(deviation, places=1000):
    """Answers with mean 1 and this standard deviation."""
    return (1 + deviation * (1 - 2 * (torch.arange(places) % 2))).view(1, 1, 1, -1)


@pytest.mark.parametrize(
    "activation, maps, kind",
    [
        ("ReLU", firing(0.0), "dead"),
        ("ReLU", firing(0.0009), "sleepy"),
        ("ReLU", firing(0.0011), None),
        ("ReLU6", firing(0.0009), "sleepy"),
        ("Tanh", firing(0.0), None),
        ("ReLU", around(0.009), "stuck"),
        ("ReLU", around(0.011), None),
        ("Tanh", -0.5 * around(0.009), "stuck"),
        ("Tanh", 0.98 * firing(0.951), "saturated"),
        ("Tanh", -0.98 * firing(0.951), "saturated"),
        ("Tanh", 0.98 * firing(0.949), None),
        ("Tanh", 0.96 * firing(0.951), None),
        ("ReLU", 0.98 * firing(0.951), None),
    ],
)
def test_the_borders_of_the_definitions_are_where_the_table_says(activation, maps, kind):
    tally = Tally(activation)
    tally.add(maps)
    assert kinds(tally.findings()) == ({0: kind} if kind else {})


def test_answers_that_never_vary_are_stuck_however_sums_are_rounded():
    tally = Tally("ReLU")
    tally.add((torch.arange(1, 60) / 7).view(1, -1, 1, 1).expand(1, -1, 7, 111))  # some variances end below zero
    assert kinds(tally.findings()) == dict.fromkeys(range(59), "stuck")


@pytest.mark.parametrize(
    "scale, kind", [(0.0009, "weightless"), (0.0011, None), (4.9, None), (5.1, "dominant"), (0.0, "weightless")]
)
def test_the_borders_for_weights_are_where_the_table_says(scale, kind):
    layer = nn.Linear(50, 9)
    layer.weight.data = 1 - 2 * torch.randint(2, (9, 50), generator=torch.Generator().manual_seed(2)).float()
    layer.weight.data[3] *= scale  # all others have a root mean square of 1
    assert kinds(weight_findings(layer, first=False)) == ({3: kind} if kind else {})


@pytest.mark.parametrize("cosine, double", [(0.985, False), (0.995, True), (-0.985, False), (-0.995, True)])
def test_the_border_between_alike_and_double_is_a_cosine_of_99_hundredths(cosine, double):
    weight = torch.tensor([[1.0, 0, 0], [0, 0, 1], [cosine, (1 - cosine**2) ** 0.5, 0]])
    assert [(k, other) for k, other, _ in duplicates(5 * weight)] == [(2, 0)] * double


def test_the_activation_behind_a_layer_is_found_also_past_batch_normalisation():
    assert followers(network(), (3, 10, 12)) == {"0": ("1", "ReLU"), "3": ("5", "ReLU")}


def test_layers_without_activation_are_judged_by_their_weights_only():
    model = network()
    model[7].bias.data[:] = -100  # logits may all be negative
    assert not census(model, random(8, 3, 10, 12)).of("dead", "7")


# --- weights ----------------------------------------------------------------------------------------------------------


def test_weights_are_called_by_their_definition():
    layer = nn.Linear(40, 7)
    layer.weight.data = torch.randn(7, 40, generator=torch.Generator().manual_seed(0))
    layer.weight.data[1] *= 1e-4
    layer.weight.data[2] *= 8
    layer.weight.data[3] = 2 * layer.weight.data[0]
    layer.weight.data[4] = -layer.weight.data[6]
    layer.bias.data[5] = torch.inf
    found = weight_findings(layer, first=False)
    assert kinds(found) == {1: "weightless", 2: "dominant", 3: "duplicate", 5: "broken", 6: "duplicate"}
    assert found[3][1] == "cosine 1.000 with filter 0" and found[6][1] == "cosine -1.000 with filter 4"


def test_filters_of_noise_are_no_duplicates():
    assert list(duplicates(torch.randn(50, 30, generator=torch.Generator().manual_seed(0)))) == []


def test_a_checkerboard_is_fine_and_a_blob_is_not():
    rows = torch.arange(5)
    board = (1 - 2 * ((rows[:, None] + rows) % 2)).float().expand(1, 3, 5, 5)
    stripes = (1 - 2 * (rows % 2)).float().expand(1, 3, 5, 5)
    share = fine_energy(torch.cat([board, stripes, torch.ones(1, 3, 5, 5)]))
    assert share[0] > 0.85 and share[1] < 0.5 and share[2] < 0.05


def test_the_share_of_fine_waves_is_that_of_a_whole_fourier_transform():
    w = random(2, 3, 5, 5) - 0.5
    spectrum = torch.fft.fft2(w, s=(32, 32)).abs().square().sum(dim=1)
    f = torch.fft.fftfreq(32)
    fine = (f[:, None] ** 2 + f**2).sqrt() > 0.5
    torch.testing.assert_close(fine_energy(w), (spectrum * fine).sum((1, 2)) / spectrum.sum((1, 2)))


# --- the census -------------------------------------------------------------------------------------------------------


def test_a_census_does_not_depend_on_the_batch():
    model, x = network(), random(30, 3, 10, 12)
    model[0].bias.data[2] = -50
    a, b = (census(model, x, batch=n) for n in (7, 30))
    assert a.findings == b.findings and a.of("dead", "0") == [("0", 2)] and a.pictures == 30 and a.complete


@pytest.mark.parametrize("activation, kind", [(nn.ReLU, "stuck"), (nn.Tanh, "saturated")])
def test_a_bias_far_above_zero_is_found(activation, kind):
    model = network(activation)
    model[0].bias.data[4] = 300
    assert ("0", 4) in census(model, random(9, 3, 10, 12)).of(kind)


def test_stopping_early_tells_on_how_many_pictures_it_stands():
    found = census(network(), random(30, 3, 10, 12), batch=10, watch=lambda step: STOP if step.done == 20 else None)
    assert found.pictures == 20 and not found.complete


def test_the_word_to_stop_at_the_last_picture_changes_nothing():
    found = census(network(), random(30, 3, 10, 12), batch=10, watch=lambda step: STOP if step.done == 30 else None)
    assert found.pictures == 30 and found.complete


class Interrupted(list):
    """A data set during whose first batch somebody presses Ctrl-C."""

    def __getitem__(self, number):
        if number:
            raise KeyboardInterrupt
        return super().__getitem__(number)


def test_a_census_that_saw_no_picture_judges_the_weights_only():
    model = network()
    model[0].weight.data[3] = model[0].weight.data[1]
    model[0].bias.data[2] = -50
    found = census(model, Interrupted(random(6, 3, 10, 12)))
    assert found.pictures == 0 and not found.complete
    assert [(f.layer, f.filter, f.kind) for f in found.findings] == [("0", 3, "duplicate")]


@pytest.mark.parametrize("filters, rest", [(12, ""), (13, "and 1 more in .findings")])
def test_twelve_findings_are_listed_and_the_rest_is_counted(filters, rest):
    silent = nn.Sequential(nn.Conv2d(3, filters, 3), nn.ReLU())
    silent[0].weight.data = torch.randn(filters, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    silent[0].bias.data[:] = -500
    found = census(silent, random(10, 3, 10, 12))
    assert len(found.of("dead")) == filters
    assert str(found).endswith(rest) and ("more in" in str(found)) == bool(rest)


def test_the_counts_stand_in_a_table():
    model = network()
    model[0].bias.data[2] = -50
    model[3].weight.data[1] = model[3].weight.data[0]
    found = census(model, random(10, 3, 10, 12))
    assert found.counts()[0] == ("0", 6, 1, 0) and found.counts()[1][3] == 1 and found.counts()[2] == ("7", 4, 0, 0)
    assert found.counts().columns == ("layer", "filters", "dead", "duplicate")
    assert "silent at 800 places" in str(found) and "<td" in found._repr_html_()


def test_a_healthy_network_says_so_and_a_long_list_is_cut():
    whole = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    whole[0].weight.data = torch.tensor([[1.0, 1, 0], [0, 1, 1]]).view(2, 3, 1, 1)
    assert "nothing wrong" in str(census(whole, random(10, 3, 10, 12)))
    silent = nn.Sequential(nn.Conv2d(3, 20, 3), nn.ReLU())
    silent[0].bias.data[:] = -50
    assert "and 8 more in .findings" in str(census(silent, random(10, 3, 10, 12)))


def test_a_network_without_filters_is_refused():
    with pytest.raises(InputError, match="the network has no convolutional or linear layer"):
        census(nn.Sequential(nn.ReLU()), random(2, 3, 4, 4))
    with pytest.raises(InputError, match="the data set is empty"):
        census(network(), random(0, 3, 10, 12))


# --- planted defects --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def book():
    return PictureBook("validation", 50)


@pytest.mark.parametrize("layer", ["conv1", "conv4"])
@pytest.mark.parametrize("name", DEFECTS)
def test_every_planted_defect_is_found(name, layer, book):
    if name == "noise":
        layer = "conv1"
    model, x = load("picturebook"), book.tensors()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    broken, kind = plant(name, model, layer, 17, x)
    found = census(broken, x)
    assert (layer, 17) in found.of(kind), found.findings
    here_and_before = [f for f in found.findings if f.layer <= layer and f.layer.startswith("conv")]
    assert len(here_and_before) == 1, "and nothing else, up to this layer"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "the healthy one is whole"


def test_defects_that_cannot_be_planted_are_refused():
    model, x = network(), random(3, 3, 10, 12)
    with pytest.raises(InputError, match="there is no defect named 'coppy'. Did you mean 'copy'"):
        plant("coppy", model, "0", 1, x)
    with pytest.raises(InputError, match="'1' is no convolutional or linear layer of the network"):
        plant("copy", model, "1", 1, x)
    with pytest.raises(InputError, match="0 has filters 1 to 5 besides filter 0, got 0"):
        plant("copy", model, "0", 0, x)


# --- the shipped networks ---------------------------------------------------------------------------------------------


def confirm(model, data, fresh):
    """No finding in convolutions; the units that are called silent can be cut out without anybody noticing."""
    found = census(model, data)
    assert not [f for f in found.findings if f.layer in CONVOLUTIONS], found.findings
    assert {f.kind for f in found.findings} <= {"dead", "sleepy"}
    with torch.no_grad():
        whole = model(fresh).argmax(dim=1)
        for layer, behind in (("fc6", "fc7"), ("fc7", "fc8")):
            units = [k for _, k in found.of("dead", layer)]
            model.get_submodule(behind).weight[:, units] = 0
        assert (model(fresh).argmax(dim=1) == whole).float().mean() > 0.99


@pytest.mark.parametrize("name", ["picturebook", "picturebook_robust"])
def test_there_is_no_false_alarm_on_drawings(name):
    confirm(load(name), PictureBook("validation", 250), PictureBook("test", 150).tensors())


def test_there_is_no_false_alarm_on_photographs(shared):
    pictures = TinyImageNet(shared / "data" / "tiny_imagenet_20", "val")
    order = np.random.default_rng(0).permutation(1000)
    pictures.images = pictures.images[order]
    x = torch.from_numpy(pictures.images[850:]).permute(0, 3, 1, 2).float() / 255
    pictures.images, pictures.labels = pictures.images[:250], pictures.labels[:250]
    confirm(load("photographs"), pictures, x)
