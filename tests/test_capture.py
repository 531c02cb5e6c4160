"""Looking into networks: what is recorded is right, and the network never notices."""

import collections
import threading

import pytest
import torch
from torch import nn

from lecturekit import capture
from lecturekit.capture.receptive import FieldTracer, Span
from lecturekit.errors import InputError, ModelError


def chain(inplace=False, seed=0):
    """A small network like those of the course: names, pooling, two linear layers."""
    torch.manual_seed(seed)
    layers = collections.OrderedDict(
        conv1=nn.Conv2d(3, 4, 5, padding=2), relu1=nn.ReLU(inplace), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(4, 6, 3, padding=1), relu2=nn.ReLU(inplace), pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(), fc3=nn.Linear(6 * 4 * 3, 5), relu3=nn.ReLU(inplace), fc4=nn.Linear(5, 2),
    )  # fmt: skip
    return nn.Sequential(layers).eval()


class Block(nn.Module):
    """A residual block as torchvision writes it: one ReLU used twice, and an addition in place."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.spare = nn.Linear(7, 7)

    def forward(self, x):
        out = self.conv2(self.relu(self.conv1(x)))
        out += x
        return self.relu(out)


def pictures(n=2, height=16, width=12, dtype=torch.float32):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(1)).to(dtype)


def state(model):
    """All about a network that looking must not change."""
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()]
    modes = [m.training for m in model.modules()]
    frozen = [(p.requires_grad, p.grad is None) for p in model.parameters()]
    values = [v.clone() for v in model.state_dict().values()]
    return hooks, modes, frozen, values, torch.get_rng_state()


def assert_untouched(model, before):
    torch.testing.assert_close(state(model), before, rtol=0, atol=0)


# --- what is recorded ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activations_are_those_of_running_the_layers_by_hand(dtype):
    model, x = chain().to(dtype), pictures(dtype=dtype)
    seen = capture.activations(model, x, "conv2", "relu1")
    relu1 = model.relu1(model.conv1(x))
    assert list(seen) == ["relu1", "conv2"], "in the order of execution, not of asking"
    torch.testing.assert_close(seen["relu1"], relu1)
    torch.testing.assert_close(seen["conv2"], model.conv2(model.pool1(relu1)))
    assert not seen["conv2"].requires_grad


def test_without_names_every_layer_is_recorded():
    assert list(capture.activations(chain(), pictures())) == [name for name, _ in chain().named_children()]


def test_an_in_place_relu_does_not_overwrite_what_was_recorded():
    kept = capture.activations(chain(inplace=False), pictures(), "conv1", "relu1")
    overwritten = capture.activations(chain(inplace=True), pictures(), "conv1", "relu1")
    assert kept["conv1"].min() < 0, "else this test tests nothing"
    torch.testing.assert_close(overwritten, kept)


def test_an_addition_in_place_does_not_overwrite_what_was_recorded():
    block, x = Block().eval(), pictures()
    seen = capture.activations(block, x, "conv2")["conv2"]
    torch.testing.assert_close(seen, block.conv2(block.conv1(x).relu()))


def test_looking_does_not_change_the_answer_of_the_network():
    model, x = Block().eval(), pictures()
    plain = model(x)
    with capture.capture(model):
        torch.testing.assert_close(model(x), plain, rtol=0, atol=0)


def test_a_module_that_runs_twice_is_two_layers():
    block, x = Block().eval(), pictures()
    seen = capture.activations(block, x, "relu")
    assert list(seen) == ["relu", "relu#2"]
    torch.testing.assert_close(seen["relu#2"], block(x))
    assert list(capture.activations(block, x, "relu#2")) == ["relu#2"]


def test_gradients_flow_to_a_recorded_layer():
    model, x = chain(inplace=True), pictures()
    with capture.capture(model, "conv2") as seen:
        logits = model(x)
    (grad,) = torch.autograd.grad(logits[:, 0].sum(), seen["conv2"])
    by_hand = seen["conv2"].detach().requires_grad_()
    logits = model[4:](by_hand.clone())
    (expected,) = torch.autograd.grad(logits[:, 0].sum(), by_hand)
    assert grad.abs().sum() > 0
    torch.testing.assert_close(grad, expected)


def test_the_latest_pass_is_kept_and_nothing_of_the_one_before():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Identity(), nn.Identity()

        def forward(self, x):
            return self.a(x) if x.mean() < 0.5 else self.b(x)

    model = Skips()
    with capture.capture(model, "a", "b") as seen:
        model(torch.zeros(2, 3, 4, 5))
        assert list(seen) == ["a"]
        for _ in range(2):
            model(torch.ones(2, 3, 4, 5))
            assert list(seen) == ["b"], "each pass counts its runs anew"


def test_another_thread_that_uses_the_network_is_not_recorded():
    model, x = chain(), pictures()
    with capture.capture(model, "conv1") as seen:
        model(x)
        thread = threading.Thread(target=model, args=(pictures(n=5),))
        thread.start()
        thread.join()
    assert len(seen["conv1"]) == 2


def test_activations_work_wherever_they_are_asked_for():
    model = chain().requires_grad_(False)
    with torch.inference_mode():
        phi0 = capture.activations(model, pictures(), "conv2")["conv2"]
    x = pictures(n=2).requires_grad_()
    loss = (capture.cut(model, "conv2")(x) * phi0).sum()
    assert torch.autograd.grad(loss, x)[0].shape == x.shape, "an inference tensor would have refused"


def test_an_empty_batch_gives_empty_answers():
    assert capture.activations(chain(), pictures(n=0), "fc3")["fc3"].shape == (0, 5)


# --- what is left untouched ---------------------------------------------------------------------------------------


def mixed_modes():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 3)).train()
    model[1].eval()  # somebody froze the statistics on purpose
    model[0].weight.requires_grad_(False)
    return model


def test_nothing_about_the_network_changes():
    model, x = mixed_modes(), pictures()
    before, untouched = state(model), x.clone()
    capture.activations(model, x, "1")
    capture.layers(model, (3, 16, 12))
    capture.cut(model, "1")
    assert_untouched(model, before)
    torch.testing.assert_close(x, untouched, rtol=0, atol=0)


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_behind_by_an_error(problem):
    class Fails(nn.Module):
        def forward(self, x):
            raise problem("stop")

    model = nn.Sequential(mixed_modes(), Fails())
    before = state(model)
    for work in (
        lambda: capture.activations(model, pictures(), "0.1"),
        lambda: capture.layers(model, (3, 16, 12)),
        lambda: capture.cut(model, "1")(pictures()),
    ):
        with pytest.raises((problem, InputError)):
            work()
        model.load_state_dict(dict(zip(model.state_dict(), before[3], strict=True)))  # cut() runs in train mode
        torch.set_rng_state(before[4])
        assert_untouched(model, before)


def test_the_hooks_go_when_the_with_block_fails():
    model = chain()
    before = state(model)
    with pytest.raises(KeyError), capture.capture(model, "conv1"):
        raise KeyError
    assert_untouched(model, before)


def test_dropout_and_batch_norm_are_quiet_while_we_look():
    model = mixed_modes().train()
    twice = [capture.activations(model, pictures(), "3")["3"] for _ in range(2)]
    torch.testing.assert_close(*twice, rtol=0, atol=0)


# --- cut ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conv1", "pool1", "relu2", "fc3", "fc4"])
def test_a_cut_network_answers_like_the_layer(name):
    model, x = chain(inplace=True), pictures()
    torch.testing.assert_close(capture.cut(model, name)(x), capture.activations(model, x, name)[name])


def test_a_sequential_is_sliced_and_shares_its_weights():
    model = chain()
    part = capture.cut(model, "conv2")
    assert [name for name, _ in part.named_children()] == ["conv1", "relu1", "pool1", "conv2"]
    assert part.conv2 is model.conv2


def test_a_nested_sequential_is_sliced_too():
    model = nn.Sequential(collections.OrderedDict(features=chain()[:6], classifier=chain()[6:]))
    part = capture.cut(model, "features.pool1")
    assert [name for name, _ in part.named_modules()] == [
        "", "features", "features.conv1", "features.relu1", "features.pool1",
    ]  # fmt: skip


def test_a_sequential_with_a_forward_of_its_own_is_not_sliced():
    class Doubled(nn.Sequential):
        def forward(self, x):
            return super().forward(2 * x)

    model, x = Doubled(nn.Conv2d(3, 4, 3), nn.ReLU()), pictures()
    torch.testing.assert_close(capture.cut(model, "0")(x), model[0](2 * x))


def test_a_sequential_with_a_hook_of_its_own_is_not_sliced():
    model, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), pictures()
    model.register_forward_pre_hook(lambda _module, inputs: 2 * inputs[0])
    torch.testing.assert_close(capture.cut(model, "0")(x), model[0](2 * x))


def test_nothing_behind_the_layer_is_run():
    class MustNotRun(nn.Module):
        def forward(self, x):
            raise AssertionError("ran")

    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.block, self.rest = Block(), MustNotRun()

        def forward(self, x):
            return self.rest(self.block(x))

    x = pictures()
    for model in (Branching().eval(), nn.Sequential(collections.OrderedDict(block=Block(), rest=MustNotRun()))):
        torch.testing.assert_close(capture.cut(model, "block.conv2")(x), model.block.conv2(model.block.conv1(x).relu()))


def test_a_later_run_of_a_module_can_be_cut_at():
    block, x = Block().eval(), pictures()
    torch.testing.assert_close(capture.cut(block, "relu")(x), block.conv1(x).relu())
    torch.testing.assert_close(capture.cut(block, "relu#2")(x), block(x))


def test_gradients_of_a_cut_network_are_those_of_the_whole():
    block = nn.Sequential(Block(), Block()).eval()
    x = pictures().requires_grad_()
    (grad,) = torch.autograd.grad(capture.cut(block, "1.relu#2")(x).pow(2).sum(), x)
    (expected,) = torch.autograd.grad(block(x).pow(2).sum(), x)
    torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("training", [True, False])
def test_a_cut_network_is_in_the_mode_of_the_whole(training):
    model = nn.Sequential(chain(), Block()).train(training)
    for name in ("0.conv1", "1.conv1"):
        part = capture.cut(model, name)
        assert {m.training for m in part.modules()} == {training}


def test_a_cut_network_leaves_other_threads_alone():
    class Meanwhile(nn.Module):
        """While the hook of the cut network hangs on the model, another thread runs the same model."""

        def forward(self, x):
            if threading.current_thread() is threading.main_thread():
                thread = threading.Thread(target=lambda: elsewhere.append(model(x)))
                thread.start()
                thread.join()
            return x

    elsewhere, x = [], pictures()
    model = nn.ModuleDict(dict(first=Meanwhile(), block=Block().eval()))
    model.forward = lambda x: model["block"](model["first"](x))
    torch.testing.assert_close(capture.cut(model, "block.conv1")(x), model["block"].conv1(x))
    torch.testing.assert_close(elsewhere[0], model["block"](x))


# --- the table ----------------------------------------------------------------------------------------------------


def test_the_table_of_a_chain_is_what_one_computes_by_hand():
    rows = capture.layers(chain(), (3, 16, 12))
    assert [(r.name, r.shape, r.values, r.receptive_field, r.stride, r.parameters) for r in rows] == [
        ("conv1", (4, 16, 12), 768, 5, 1, 4 * 3 * 25 + 4),
        ("relu1", (4, 16, 12), 768, 5, 1, 0),
        ("pool1", (4, 8, 6), 192, 6, 2, 0),
        ("conv2", (6, 8, 6), 288, 10, 2, 6 * 4 * 9 + 6),
        ("relu2", (6, 8, 6), 288, 10, 2, 0),
        ("pool2", (6, 4, 3), 72, 12, 4, 0),
        ("flatten", (72,), 72, 12, None, 0),
        ("fc3", (5,), 5, (16, 12), None, 72 * 5 + 5),
        ("relu3", (5,), 5, (16, 12), None, 0),
        ("fc4", (2,), 2, (16, 12), None, 5 * 2 + 2),
    ]
    assert rows[0].kind == "Conv2d 5×5" and rows[2].kind == "MaxPool2d 2×2" and rows[6].kind == "Flatten"


def test_the_table_shows_itself_as_text_and_as_html():
    rows = capture.layers(chain(), (3, 16, 12))
    assert "receptive field" in str(rows) and "conv2" in str(rows)
    assert rows._repr_html_().count("<tr>") == 11


@pytest.mark.parametrize(
    ("build", "layer", "field"),
    [("alexnet", "features.12", 195), ("vgg16", "features.30", 212), ("resnet18", "layer4.1.relu#2", 435)],
)
def test_receptive_fields_of_well_known_networks_are_the_published_ones(build, layer, field):
    # alexnet, vgg16: Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks"
    # resnet18: 11 behind maxpool, then two steps for each 3x3 window: 11 + 32 + (8 + 48) + (16 + 96) + (32 + 192) = 435
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):  # shapes without numbers: no time, no memory
        model = getattr(torchvision.models, build)(weights=None)
    rows = {row.name: row for row in capture.layers(model, (3, 224, 224))}
    assert rows[layer].receptive_field == field
    assert sum(row.parameters for row in rows.values()) == sum(p.numel() for p in model.parameters())


def seen_by_centre(model, name, size):
    """The slow specification: make one row of pixels NaN, and see whether the centre unit of the layer notices."""
    part, spans = capture.cut(model, name), []
    for axis in (2, 3):
        probes = torch.full((size[axis - 2], 3, *size), 0.5)
        for i, probe in enumerate(probes.unbind(0)):
            probe.select(axis - 1, i).fill_(torch.nan)
        with torch.no_grad():
            answers = part(probes).isnan().any(dim=1).movedim(axis - 1, 1).any(dim=2)  # (probe, unit)
        centre = answers.shape[1] // 2
        rows, following = (answers[:, unit].nonzero().flatten() for unit in (centre, centre + 1))
        step = int(following[0] - rows[0])
        spans.append(Span(int(rows[0]) - centre * step, int(rows[-1] - rows[0]) + 1, step))
    return tuple(spans)


def test_receptive_fields_of_branching_networks_agree_with_the_slow_way():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.norm = nn.Conv2d(3, 4, (3, 5), stride=2, padding=(1, 2)), nn.BatchNorm2d(4)
            self.wide, self.tall = nn.Conv2d(4, 4, (1, 7), padding=(0, 3)), nn.Conv2d(4, 4, 3, padding=2, dilation=2)
            self.pool, self.mean = nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 2)
            self.last, self.act = nn.Conv2d(12, 4, 1, groups=2), nn.ReLU6(inplace=True)

        def forward(self, x):
            x = self.norm(self.stem(x))
            joined = torch.cat([self.wide(x), self.tall(x) + x, self.pool(x.sigmoid())], dim=1)
            return self.act(self.last(self.mean(joined)))

    model, size = Residual().eval(), (40, 44)
    x = torch.full((1, 3, *size), 0.5)
    with torch.no_grad(), FieldTracer(x) as tracer, capture.capture(model) as seen:
        model(x)
        fields = {name: tracer.field(answer) for name, answer in seen.items()}
    assert fields["act"].rows.size != fields["act"].columns.size
    for name, field in fields.items():
        assert tuple(field) == seen_by_centre(model, name, size), name


def test_fields_that_overlap_by_half_are_united_from_the_first_to_the_last_pixel():
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 3, stride=4, padding=1), nn.Conv2d(3, 4, 3, stride=4)
            self.both = nn.Identity()

        def forward(self, x):
            return self.both(self.left(x) + self.right(x))

    model = Beside().eval()
    assert {row.name: row.receptive_field for row in capture.layers(model, (3, 40, 44))}["both"] == 4
    assert seen_by_centre(model, "both", (40, 44))[0] == Span(-1, 4, 4)


def test_a_receptive_field_that_cannot_be_told_is_none_and_not_a_guess():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.after = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 2, 3)

        def forward(self, x):
            return self.after(self.conv(x).flip(-1))

    rows = {row.name: row for row in capture.layers(Turned(), (3, 16, 16))}
    assert rows["conv"].receptive_field == 3
    assert rows["after"].receptive_field is None and rows["after"].stride is None


def test_attention_to_the_whole_picture_makes_every_unit_see_it_all():
    class Excites(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.squeeze = nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1)
            self.gate, self.out = nn.Conv2d(4, 4, 1), nn.ReLU()

        def forward(self, x):
            x = self.conv(x)
            return self.out(x * self.gate(self.squeeze(x)).sigmoid())

    rows = {row.name: row for row in capture.layers(Excites(), (3, 10, 12))}
    assert [rows[n].receptive_field for n in ("conv", "squeeze", "gate", "out")] == [3, *[(10, 12)] * 3]


def test_a_layer_that_joins_its_parts_has_a_row_and_one_that_hands_on_has_none():
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.squeezenet1_1(weights=None, num_classes=5)
    rows = {row.name: row for row in capture.layers(model)}
    assert rows["features.3"].kind == "Fire" and rows["features.3"].parameters == 0
    assert "features" not in rows and "classifier" not in rows
    assert rows["features.3.squeeze_activation"].receptive_field == 7
    assert rows["features.3"].receptive_field == 15


@pytest.mark.parametrize("build", ["squeezenet1_1", "resnet18", "mobilenet_v2"])
def test_every_listed_layer_can_be_captured_and_cut_at(build):
    torchvision = pytest.importorskip("torchvision")
    model, x = getattr(torchvision.models, build)(weights=None, num_classes=5).eval(), pictures(2, 64, 48)
    rows = capture.layers(model, (3, 64, 48))
    seen = capture.activations(model, x, *(row.name for row in rows))
    assert [(row.name, row.shape) for row in rows] == [(name, tuple(v.shape[1:])) for name, v in seen.items()]
    for row in rows[:: len(rows) // 5]:
        torch.testing.assert_close(capture.cut(model, row.name)(x), seen[row.name])


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "look",
    [
        lambda m, n: capture.activations(m, pictures(), n),
        lambda m, n: capture.cut(m, n),
        lambda m, n: capture.capture(m, n).__enter__(),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_ones(look):
    model = chain()
    before = state(model)
    with pytest.raises(InputError, match=r"no layer named 'conv9'. Did you mean 'conv2' or 'conv1'\?"):
        look(model, "conv9")
    assert_untouched(model, before)


@pytest.mark.parametrize("name", ["", "relu1#0", "relu1#x", "relu1#-2"])
def test_names_that_cannot_be_are_refused(name):
    with pytest.raises(InputError, match="no layer named"):
        capture.cut(chain(), name)


def test_a_layer_that_never_runs_is_said_to_have_never_run():
    block, x = Block().eval(), pictures()
    with pytest.raises(ModelError, match="'spare' was never executed; recorded are: relu"):
        capture.activations(block, x, "spare", "relu")
    with pytest.raises(ModelError, match="'relu#3' was never executed: its module ran 2 times"):
        capture.cut(block, "relu#3")(x)
    with capture.capture(block, "relu") as seen, pytest.raises(ModelError, match=r"never executed; recorded are: none"):
        seen["relu"]


def test_a_second_name_of_the_same_module_is_explained():
    relu = nn.ReLU()
    model = nn.Sequential(collections.OrderedDict(relu1=relu, conv=nn.Conv2d(3, 4, 3), relu2=relu))
    with pytest.raises(
        InputError, match=r"'relu2' is the same module as 'relu1'; its runs are called 'relu1', 'relu1#2'"
    ):
        capture.cut(model, "relu2")
    x = pictures()
    torch.testing.assert_close(capture.cut(model, "relu1#2")(x), model(x))
    torch.testing.assert_close(capture.cut(model, "conv")(x), model[1](relu(x)))
    model.append(nn.Conv2d(4, 2, 3))
    torch.testing.assert_close(capture.cut(model, "3")(x), model(x))


def test_an_answer_that_is_not_one_tensor_is_refused():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return x, self.conv(x)

    class Takes(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair = Pair()

        def forward(self, x):
            return self.pair(x)[1]

    model, x = Takes(), pictures()
    with pytest.raises(ModelError, match="'pair' answers with a tuple, not with one tensor; name a part of it"):
        capture.activations(model, x, "pair")
    with pytest.raises(ModelError, match="'pair' answers with a tuple"):
        capture.cut(model, "pair")(x)
    assert [row.name for row in capture.layers(model, (3, 8, 8))] == ["pair.conv"]


def test_a_picture_that_is_too_small_is_refused_with_the_smallest_that_fits():
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.squeezenet1_1(weights=None, num_classes=5)
    with pytest.raises(InputError, match=r"pictures of 3×1×1 .*smallest square picture that it takes is 3×17×17"):
        capture.layers(model, (3, 1, 1))
    with pytest.raises(InputError, match=r"pictures of 3×16×12 .*takes no square picture of 3 colours up to 256"):
        capture.layers(nn.Sequential(nn.Conv2d(1, 2, 3)), (3, 16, 12))
    model = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3 * 9, 2))
    with pytest.raises(InputError, match=r"smallest square picture that it takes is 3×6×6"):
        capture.activations(model, pictures(), "2")


def test_pictures_of_another_kind_than_the_weights_are_refused():
    with pytest.raises(InputError, match=r"torch.float64 on cpu, but the network's weights are torch.float32"):
        capture.activations(chain(), pictures(dtype=torch.float64), "conv1")


def test_pictures_outside_the_pixel_contract_are_refused():
    with pytest.raises(InputError, match="must lie in"):
        capture.activations(chain(), 255 * pictures(), "conv1")


@pytest.mark.parametrize("size", [(64, 64), (3, 0, 4)])
def test_a_size_that_is_no_picture_is_refused(size):
    with pytest.raises(InputError, match="input_size must be"):
        capture.layers(chain(), size)


def test_models_without_visible_layers_are_refused():
    with pytest.raises(InputError, match="must be a torch.nn.Module, got function"):
        capture.cut(lambda x: x, "conv1")
    compiled = chain()
    compiled._orig_mod = chain()  # as torch.compile does it; calling it here would cost seconds of import
    with pytest.raises(ModelError, match="compiled network"):
        capture.cut(compiled, "conv1")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_scripted_network_is_refused():
    scripted = torch.jit.trace(chain(), pictures())
    for look in (lambda: capture.cut(scripted, "conv1"), lambda: capture.layers(scripted)):
        with pytest.raises(ModelError, match="scripted network"):
            look()


# The other half


@pytest.mark.parametrize("name", ["conv1", "pool2", "fc4"])
def test_both_halves_together_are_the_network(name):
    model, x = chain(), pictures()
    torch.testing.assert_close(capture.rest(model, name)(capture.cut(model, name)(x)), model(x))


def test_the_other_half_shares_its_weights_and_keeps_its_names():
    model = chain()
    half = capture.rest(model, "relu2")
    assert [name for name, _ in half.named_children()] == ["pool2", "flatten", "fc3", "relu3", "fc4"]
    assert half.fc4.weight is model.fc4.weight
    assert not half.training


def test_the_other_half_of_what_is_not_there_is_refused():
    with pytest.raises(InputError, match="there is no layer named 'conv7'"):
        capture.rest(chain(), "conv7")
    with pytest.raises(ModelError, match="only an nn.Sequential can be halved at a layer, and this is a Linear"):
        capture.rest(nn.Linear(2, 3).eval(), "conv1")
