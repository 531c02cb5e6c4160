"""The way down through networks that others trained, on real photographs: equal to autograd's and to Captum's."""

import pytest
import torch

from lecturekit import deconv
from lecturekit.deconv.chain import Chain
from lecturekit.deconv.tape import Tape
from tests.deconv.nets import autograd, relative
from tests.deconv.real import hundred, squeezenet, tiny_pictures, tiny_vgg

CHAIN = ["conv_1_1", "relu_1_2", "max_pool_1", "conv_2_1", "conv_2_2", "max_pool_2", "output"]
BRANCHING = ["features.0", "features.3.squeeze", "features.5.expand3x3", "features.9.expand1x1", "classifier.1"]
REMARK = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")  # Captum's own


@pytest.fixture(scope="module")
def pictures(shared):
    """Two sets of photographs, for Tiny VGG and for SqueezeNet."""
    book = tiny_pictures(shared)
    return {"tiny_vgg": torch.stack([book[n][0] for n in (3, 120, 333)]), "squeezenet": hundred(shared)[0][[2, 60]]}


def opened(name, shared):
    return {"tiny_vgg": tiny_vgg, "squeezenet": squeezenet}[name](shared)


NETWORKS = [*(("tiny_vgg", layer) for layer in CHAIN), *(("squeezenet", layer) for layer in BRANCHING)]


@pytest.mark.parametrize("name, layer", NETWORKS)
def test_the_gradient_of_a_real_network_is_autograds(name, layer, pictures, shared):
    model, x = opened(name, shared), pictures[name]
    seen = deconv.climb(model, x, layer)
    assert isinstance(seen, Tape if name == "squeezenet" and layer != "features.0" else Chain), "both ways are tried"
    for selected in (deconv.top(seen, 1), deconv.top(seen, 50), seen.answers):
        assert relative(deconv.project(seen, selected, "gradient"), autograd(model, layer, x, selected)) < 1e-5


@REMARK
@pytest.mark.parametrize("name, layer", NETWORKS)
@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_captum_draws_the_same_picture_of_a_real_network(rule, name, layer, pictures, shared):
    attr = pytest.importorskip("captum.attr")
    model, x = opened(name, shared), pictures[name]
    seen = deconv.climb(model, x, layer)
    (unit, *place) = (seen.answers[0] == seen.answers[0].max()).nonzero()[0].tolist()
    selected = torch.zeros_like(seen.answers)
    selected[(slice(None), unit, *place)] = 1
    kind = {"deconvnet": attr.NeuronDeconvolution, "guided": attr.NeuronGuidedBackprop}[rule]
    theirs = kind(model, model.get_submodule(layer)).attribute(x.clone().requires_grad_(), (unit, *place))
    assert theirs.abs().amax(dim=(1, 2, 3)).gt(0).any()
    assert relative(deconv.project(seen, selected, rule), theirs) < 1e-5


def test_the_three_rules_differ_on_a_real_network(pictures, shared):
    """Else the agreement above could be that of three names for one thing."""
    for name, layer in (("tiny_vgg", "conv_2_2"), ("squeezenet", "features.9.expand1x1")):
        seen = deconv.climb(opened(name, shared), pictures[name], layer)
        found = [deconv.project(seen, deconv.top(seen, 1), rule) for rule in ("gradient", "deconvnet", "guided")]
        assert min(relative(a, b) for a, b in ((found[0], found[1]), (found[1], found[2]), (found[2], found[0]))) > 0.1
