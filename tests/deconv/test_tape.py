"""The way down by autograd: the same picture where both ways exist, and no network that the rule would not reach."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lecturekit import deconv
from lecturekit.deconv import tape
from lecturekit.deconv.chain import Chain
from lecturekit.deconv.tape import Tape
from lecturekit.errors import ModelError
from lecturekit.networks import imagenet, residual_net
from tests.deconv.nets import autograd, chain, pictures, relative, small

RULES = ("gradient", "deconvnet", "guided", "linear")
SHA256 = "8b0631616445a2e485eecb95eccea249712ad7001fc09f701698396aa6203cee"


class Written(nn.Module):
    """Two convolutions; what stands between them is a function of the test's choice."""

    def __init__(self, between, relu=None):
        super().__init__()
        self.conv1, self.conv2, self.relu = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 4, 3), relu or nn.ReLU()
        self.between = between

    def forward(self, x):
        return self.relu(self.conv2(self.between(self, self.conv1(x))))


def written(between, relu=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Written(between, relu).eval()


class Wrapped(nn.Module):
    """A chain that does not look like one."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, x):
        return self.model(x)


def hooks_of(model):
    return [
        hook
        for part in model.modules()
        for hook in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks)
        if hook
    ]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layer", ["conv2", "relu2", "pool2", "relu3", "fc4"])
def test_both_ways_down_give_the_same_picture(layer, rule):
    model, x = small(), pictures(2, 28, 36)
    explicit, taped = deconv.climb(model, x, layer), deconv.climb(Wrapped(model), x, f"model.{layer}")
    assert isinstance(explicit, Chain) and isinstance(taped, Tape)
    torch.testing.assert_close(taped.answers, explicit.answers)
    selected = deconv.top(explicit, 3)
    assert relative(deconv.project(taped, selected, rule), deconv.project(explicit, selected, rule)) < 1e-5
    assert deconv.field(taped, selected) == deconv.field(explicit, selected)


@pytest.mark.parametrize("name, layer", [("squeezenet1_1", "features.7"), ("squeezenet1_1", "classifier.1"),
                                         ("resnet18", "layer2.0.relu1"), ("mobilenet_v2", "features.4")])  # fmt: skip
def test_networks_that_branch_follow_autograd_and_change_under_the_other_rules(name, layer):
    model, x = imagenet.untrained(name), pictures(2, 64, 80)
    seen = deconv.climb(model, x, layer)
    selected = deconv.top(seen, 3)
    found = {rule: deconv.project(seen, selected, rule) for rule in RULES}
    assert relative(found["gradient"], autograd(model, layer, x, selected)) < 1e-5
    for one, other in (("gradient", "deconvnet"), ("deconvnet", "guided"), ("linear", "deconvnet")):
        assert relative(found[one], found[other]) > 0.1
    assert not hooks_of(model)


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")  # Captum's own remark
@pytest.mark.parametrize("name, layer", [("alexnet", "features.8"), ("squeezenet1_0", "features.5"),
                                         ("resnet18", "layer2.1.conv2"), ("residual_net", "block3")])  # fmt: skip
def test_captum_draws_the_same_picture(name, layer):
    attr = pytest.importorskip("captum.attr")
    model = residual_net(["a", "b"]).eval() if name == "residual_net" else imagenet.untrained(name)
    x = pictures(2, 64, 80)
    seen = deconv.climb(model, x, layer)
    row, column = seen.answers.shape[2] // 2, 1
    filter = seen.answers[..., row, column].amin(0).argmax().item()  # on in both pictures, else all of it is empty
    selected = torch.zeros_like(seen.answers)
    selected[:, filter, row, column] = 1
    for rule, kind in (("deconvnet", attr.NeuronDeconvolution), ("guided", attr.NeuronGuidedBackprop)):
        theirs = kind(model, model.get_submodule(layer)).attribute(x.clone().requires_grad_(), (filter, row, column))
        assert relative(deconv.project(seen, selected, rule), theirs) < 1e-5


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")
def test_captum_draws_the_same_picture_of_a_logit():
    attr = pytest.importorskip("captum.attr")
    model, x = small(), pictures(2, 28, 36)
    seen = deconv.climb(model, x, "fc4")
    selected = torch.zeros_like(seen.answers)
    selected[:, 3] = 1
    for rule, kind in (("deconvnet", attr.Deconvolution), ("guided", attr.GuidedBackprop)):
        theirs = kind(model).attribute(x.clone().requires_grad_(), target=3)
        assert relative(deconv.project(seen, selected, rule), theirs) < 1e-5


def test_a_module_that_runs_twice_gets_the_rule_twice():
    relu = nn.ReLU()
    twice, apart = written(lambda net, z: net.relu(z), relu), written(lambda net, z: net.extra(z))
    apart.extra = nn.ReLU().eval()
    x = pictures()
    seen, expected = (deconv.climb(model, x, "conv2") for model in (twice, apart))
    selected = deconv.top(expected, 2)
    for rule in RULES:
        torch.testing.assert_close(deconv.project(seen, selected, rule), deconv.project(expected, selected, rule))
    again = deconv.climb(twice, x, "relu#2")
    torch.testing.assert_close(again.answers, twice(x))


def test_colours_stay_last_in_memory_on_the_way_up():
    """Of a single picture a view may lose that, and the layers behind would compute with other roundings."""
    layouts = []

    def between(net, z):
        a = net.relu(z)
        layouts.append(a.stride())
        return a + z

    x = pictures(1).contiguous(memory_format=torch.channels_last)
    net = written(between)
    deconv.climb(net, x, "conv2")
    net(x)
    assert layouts[0] == layouts[1]
    assert layouts[0][1] == 1


def test_relus_in_place_do_no_harm():
    x = pictures()
    plain, hasty = (written(lambda net, z: net.first(z), nn.ReLU(inplace)) for inplace in (False, True))
    plain.first, hasty.first = nn.ReLU().eval(), nn.ReLU(inplace=True).eval()
    before = hasty(x)
    for layer in ("conv1", "conv2", "relu"):
        seen, expected = (deconv.climb(model, x, layer) for model in (hasty, plain))
        torch.testing.assert_close(seen.answers, expected.answers)
        for rule in RULES:
            selected = deconv.top(expected, 2)
            torch.testing.assert_close(deconv.project(seen, selected, rule), deconv.project(expected, selected, rule))
    torch.testing.assert_close(hasty(x), before)


FUNCTIONS = {
    "relu": lambda net, z: F.relu(z),
    "clamp_min": lambda net, z: z.clamp_min(0),
    "clamp": lambda net, z: z.clamp(min=0),
    "gelu": lambda net, z: F.gelu(z),
    "leaky_relu": lambda net, z: F.leaky_relu(z),
    "silu": lambda net, z: F.silu(z),
    "sigmoid": lambda net, z: z * z.sigmoid(),
    "softmax": lambda net, z: z.softmax(1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_no_rule_reaches_is_refused_by_name(name):
    model, x = written(FUNCTIONS[name]), pictures()
    seen = deconv.climb(model, x, "conv2")
    selected = deconv.top(seen, 1)
    for rule in ("deconvnet", "guided", "linear"):
        with pytest.raises(ModelError, match=rf"this network computes {name} \(1×\) outside of ReLU modules.*gradient"):
            deconv.project(seen, selected, rule)
    torch.testing.assert_close(deconv.project(seen, selected, "gradient"), autograd(model, "conv2", x, selected))


def test_a_module_that_is_no_relu_is_refused_too():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.GELU(), nn.Conv2d(5, 4, 3), nn.ReLU()).eval()
    seen = deconv.climb(model, pictures(), "3")
    with pytest.raises(ModelError, match=r"computes gelu \(1×\)"):
        deconv.project(seen, deconv.top(seen, 1))


def test_what_lies_behind_the_layer_does_not_matter():
    model, x = written(FUNCTIONS["gelu"]), pictures()
    seen = deconv.climb(model, x, "conv1")
    assert deconv.project(seen, deconv.top(seen, 1)).any()


def test_a_network_without_relus_is_refused():
    for model in (nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), Wrapped(nn.Conv2d(3, 4, 3)).eval()):
        seen = deconv.climb(model, pictures(), "0" if isinstance(model, nn.Sequential) else "model")
        with pytest.raises(ModelError, match="the rule has no effect: this network has no nn.ReLU module"):
            deconv.project(seen, seen.answers)
        assert deconv.project(seen, seen.answers, "gradient").any()


def test_centre_rules_need_a_chain():
    seen = deconv.climb(Wrapped(small()), pictures(2, 28, 36), "model.relu2")
    with pytest.raises(ModelError, match="where to put values in a chain only, and a Wrapped is no nn.Sequential"):
        deconv.project(seen, deconv.top(seen, 1), "deconvnet_centre")


def test_one_picture_and_many_selections():
    seen = deconv.climb(Wrapped(small()), pictures(1, 28, 36), "model.relu3")
    nine = deconv.apart(deconv.top(seen, 9))
    expected = torch.cat([deconv.project(seen, each) for each in nine.split(1)])
    torch.testing.assert_close(deconv.project(seen, nine), expected)


def test_frozen_weights_and_no_gradient_mode_do_not_matter():
    model, x = Wrapped(small()), pictures(2, 28, 36)
    seen = deconv.climb(model, x, "model.relu3")
    selected = deconv.top(seen, 2)
    expected = deconv.project(seen, selected)
    model.requires_grad_(False)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            seen = deconv.climb(model, pictures(2, 28, 36), "model.relu3")
            torch.testing.assert_close(deconv.project(seen, deconv.top(seen, 2)), expected)


def test_no_hook_is_left_also_after_an_error():
    def fail(net, z):
        net.first(z)
        raise KeyboardInterrupt

    model = written(fail)
    model.first = nn.ReLU().eval()
    with pytest.raises(KeyboardInterrupt):
        deconv.climb(model, pictures(), "conv2")
    assert not hooks_of(model)


def test_a_layer_that_never_runs_is_named():
    model = written(lambda net, z: net.relu(z))
    model.spare = nn.Conv2d(5, 5, 1)
    model.eval()
    with pytest.raises(ModelError, match="layer 'spare' was never executed"):
        deconv.climb(model, pictures(), "spare")


def test_a_layer_without_gradient_is_refused():
    model = written(lambda net, z: z.detach())
    with pytest.raises(ModelError, match="'conv1' does not depend on the pixels through anything that has a gradient"):
        model.conv1.forward = lambda x: x.detach()[:, :, :3].repeat(1, 2, 1, 1)[:, :5]
        deconv.climb(model.requires_grad_(False), pictures(), "conv1")


def test_every_name_of_the_watch_list_is_an_operation_of_torch():
    strangers = [name for name in tape.CURVED if not hasattr(torch.ops.aten, name)]
    assert not strangers, f"torch has no operation called {', '.join(strangers)}"


def test_relu6_has_no_gradient_above_six_either():
    """Under the forward mask; both ways down, with answers on both sides of six."""
    model = chain(lambda: nn.Conv2d(3, 8, 3), nn.ReLU6, lambda: nn.Conv2d(8, 4, 3))
    model.layer0.weight.data *= 20
    x = pictures(dtype=torch.float64)
    z = model.layer0(x)
    assert (z > 6).any() and ((z > 0) & (z < 6)).any() and (z < 0).any()
    explicit, taped = deconv.climb(model, x, "layer2"), deconv.climb(Wrapped(model), x, "model.layer2")
    for selected in (deconv.strongest(explicit, 1), explicit.answers):
        expected = autograd(model, "layer2", x, selected)
        for seen in (explicit, taped):
            torch.testing.assert_close(deconv.project(seen, selected, "gradient"), expected)


def test_a_function_behind_a_relu_module_is_seen_as_well():
    model, x = written(lambda net, z: F.relu(net.relu(z) - 0.1)), pictures()
    seen = deconv.climb(model, x, "conv2")
    with pytest.raises(ModelError, match=r"computes relu \(1×\) outside of ReLU modules"):
        deconv.project(seen, deconv.top(seen, 1))


def test_a_real_network_and_a_real_photograph(shared):
    attr = pytest.importorskip("captum.attr")
    from lecturekit.pictures.photographs import photograph

    path = shared / "weights" / "squeezenet1_0_imagenet" / "squeezenet1_0_deepcomp_imagenet.pt"
    model = imagenet.load("squeezenet1_0", path, sha256=SHA256)
    x = photograph("cat", size=224)
    seen = deconv.climb(model, x, "classifier.1")
    selected = deconv.strongest(seen, model.classes.index("Egyptian cat"))
    filter, row, column = selected[0].nonzero()[0].tolist()
    with pytest.warns(UserWarning, match="Setting backward hooks"):
        theirs = attr.NeuronDeconvolution(model, model.classifier[1]).attribute(
            x.clone().requires_grad_(), (filter, row, column)
        )
    assert relative(deconv.project(seen, selected), theirs * selected.max()) < 1e-5
