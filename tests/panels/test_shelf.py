import pytest
import torch

from lecturekit import networks as zoo
from lecturekit.errors import InputError, ModelError, SetupError
from lecturekit.panels import shelf
from lecturekit.panels.shelf import Shelf


def test_all_networks_that_ship_are_offered_and_a_random_twin_last():
    names = [name for _, name in Shelf().options()]
    assert names[0] == "picturebook"
    assert names[-1] == "random"
    assert not any("inverse" in name for name in names)


def test_a_shipped_network_is_opened_with_the_shapes_of_its_layers():
    opened = Shelf(["picturebook"]).opened("picturebook")
    assert opened.shapes["conv3"] == (96, 16, 16)
    assert opened.shapes["probabilities"] == (10,)
    assert not {"normalize", "flatten"} & set(opened.shapes)
    assert Shelf(["picturebook"]).opened("picturebook").model is opened.model, "loaded once for all panels"


def test_the_random_twin_is_no_copy_of_the_trained_network():
    offered = Shelf(["picturebook", "random"])
    trained, random = offered.opened("picturebook").model, offered.opened("random").model
    assert not torch.allclose(trained.conv1.weight, random.conv1.weight)


def test_every_network_has_one_random_twin_with_its_classes(networks):
    offered = Shelf(networks)
    twin = offered.twin("other")
    torch.testing.assert_close(twin.conv2.weight, zoo.random_twin(networks["other"]).conv2.weight)
    assert not torch.allclose(twin.conv2.weight, networks["other"].conv2.weight)
    assert twin.classes == networks["other"].classes
    assert offered.twin("other") is twin
    assert offered.opened("other").model is networks["other"]


def test_networks_of_ones_own_are_offered_under_their_names(networks):
    offered = Shelf(networks)
    assert offered.options() == [("one", "one"), ("other", "other")]
    assert offered.opened("other").model is networks["other"]


def test_a_network_that_does_not_ship_is_refused_by_name():
    with pytest.raises(InputError, match="no network named 'picturbook'. Did you mean 'picturebook'"):
        Shelf(["picturbook"])


def test_a_network_in_training_mode_is_refused_and_left_as_it_was(networks):
    with pytest.raises(ModelError, match="network 'one' is in training mode.*pass model.eval"):
        Shelf({"one": networks["one"].train()}).opened("one")
    assert networks["one"].training


def test_without_any_network_the_panel_says_so(monkeypatch):
    monkeypatch.setattr(shelf, "shipped", lambda: [])
    with pytest.raises(SetupError, match="no network is offered"):
        Shelf()


def test_inverse_networks_are_offered_in_the_order_of_the_layers(networks, inverses):
    offered = Shelf(networks, inverses)
    assert offered.inverse_layers("one") == ["conv1", "conv2", "probabilities"]
    assert offered.inverse_layers("other") == []
    assert offered.inverse("one", "conv2") is inverses["one"]["conv2"]


def test_shipped_inverse_networks_are_found():
    layers = Shelf(["picturebook"]).inverse_layers("picturebook")
    code = torch.zeros(1, *zoo.card(f"picturebook_inverse_{layers[0]}")["code_shape"])
    assert Shelf(["picturebook"]).inverse("picturebook", layers[0])(code).shape == (1, 3, 64, 64)


def test_a_unit_sees_exactly_the_pixels_that_move_it(networks):
    field = Shelf(networks).field("one", "conv2")
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model = networks["one"]
    mean = torch.nn.functional.avg_pool2d  # a maximum moves with one pixel, a mean with all
    code = model.conv2(mean(model.conv1(model.normalize(x)), 4))
    (slope,) = torch.autograd.grad(code[0, :, 5, 7].abs().sum(), x)
    rows, columns = (slope[0].abs().sum(dim=(0, axis)).nonzero().flatten() for axis in (2, 1))
    for span, place, moved in ((field.rows, 5, rows), (field.columns, 7, columns)):
        assert (span.start + place * span.step, span.size) == (int(moved[0]), len(moved))
