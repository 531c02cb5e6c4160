"""Weights are loaded as they were shipped, or not at all; the message names what is wrong with them."""

import ast
import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lecturekit.errors import FileError, InputError
from lecturekit.networks import lecture_net, residual_net, zoo

LIBRARY = Path(zoo.__file__).parents[1]
CLASSES = ("cat", "car")


def ship(folder, tensors, *, name="tiny", **changes):
    """Write weights and a card that fits them."""
    path = folder / f"{name}.safetensors"
    save_file(tensors, path)
    card = {"architecture": "residual_net", "classes": CLASSES, "bytes": path.stat().st_size}
    card |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} | changes
    (folder / f"{name}.json").write_text(json.dumps(card), encoding="utf-8")
    return path


def weights(dtype=torch.float16):
    torch.manual_seed(0)
    state = residual_net(CLASSES).state_dict()
    return {name: value.to(dtype) for name, value in state.items()}


def pictures():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_network_comes_back_as_it_was_stored_in_evaluation_and_frozen(tmp_path, dtype):
    stored = weights(dtype)
    ship(tmp_path, stored)
    model = zoo.load("tiny", tmp_path)
    assert not any(layer.training for layer in model.modules())
    assert not any(weight.requires_grad for weight in model.parameters())
    assert model.classes == CLASSES
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, stored[name].float()), name


def test_each_load_gives_a_network_of_its_own(tmp_path):
    ship(tmp_path, weights())
    first, second = zoo.load("tiny", tmp_path), zoo.load("tiny", tmp_path)
    first.fc.bias.data.fill_(7)
    assert not (second.fc.bias == 7).any()


def test_loading_leaves_the_global_generator_alone(tmp_path):
    ship(tmp_path, weights())
    before = torch.get_rng_state()
    zoo.load("tiny", tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


# The file


def test_a_missing_file_is_named(tmp_path):
    ship(tmp_path, weights()).unlink()
    with pytest.raises(FileError, match=r"tiny\.safetensors is missing; install lecturekit again"):
        zoo.load("tiny", tmp_path)


def test_a_truncated_file_is_refused_with_both_sizes(tmp_path):
    path = ship(tmp_path, weights())
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(FileError, match=rf"tiny\.safetensors is incomplete.* 1,000 of {len(whole):,} bytes"):
        zoo.load("tiny", tmp_path)


@pytest.mark.parametrize("place", [9, -1], ids=["header", "last weight"])
def test_a_flipped_bit_is_refused_with_both_fingerprints(tmp_path, place):
    path = ship(tmp_path, weights())
    data = bytearray(path.read_bytes())
    expected = hashlib.sha256(data).hexdigest()
    data[place] ^= 1
    path.write_bytes(data)
    found = hashlib.sha256(data).hexdigest()
    with pytest.raises(FileError, match=rf"tiny\.safetensors is damaged.*{found}, expected {expected}"):
        zoo.load("tiny", tmp_path)


def test_a_file_is_hashed_at_every_load(tmp_path):
    path = ship(tmp_path, weights())
    zoo.load("tiny", tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match="damaged"):
        zoo.load("tiny", tmp_path)


def test_a_card_for_something_else_than_weights_is_refused(tmp_path):
    path = ship(tmp_path, weights())
    path.write_bytes(b"<html>log in first</html>")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "tiny.json").write_text(
        json.dumps({"architecture": "residual_net", "classes": CLASSES, "bytes": 25, "sha256": digest}), "utf-8"
    )
    with pytest.raises(FileError, match=r"tiny\.safetensors is what its card promises, but not a safetensors file"):
        zoo.load("tiny", tmp_path)


# What stands in it


def test_weights_that_are_not_finite_are_refused(tmp_path):
    for value in (float("nan"), float("inf")):
        tensors = weights()
        tensors["fc.bias"][1] = value
        ship(tmp_path, tensors)
        with pytest.raises(FileError, match=r"tiny\.safetensors does not fit .*: fc\.bias holds NaN or infinite"):
            zoo.load("tiny", tmp_path)


def test_double_precision_is_refused(tmp_path):
    ship(tmp_path, weights() | {"fc.bias": torch.zeros(2, dtype=torch.float64)})
    with pytest.raises(FileError, match=r"fc\.bias is torch\.float64, expected half or single precision"):
        zoo.load("tiny", tmp_path)


def test_whole_numbers_are_refused_in_place_of_weights(tmp_path):
    ship(tmp_path, weights() | {"fc.bias": torch.zeros(2, dtype=torch.int64)})
    with pytest.raises(FileError, match=r"fc\.bias is torch\.int64, expected half or single precision"):
        zoo.load("tiny", tmp_path)


def test_missing_extra_and_misshapen_weights_are_all_named(tmp_path):
    tensors = weights() | {"fc9.bias": torch.zeros(2), "fc.bias": torch.zeros(3)}
    del tensors["conv1.weight"]
    ship(tmp_path, tensors)
    message = r"conv1\.weight is missing; fc\.bias has shape \(3,\), expected \(2,\); fc9\.bias is not in this network"
    with pytest.raises(FileError, match=message):
        zoo.load("tiny", tmp_path)


def test_of_many_differences_five_are_named_and_the_others_counted(tmp_path):
    ship(tmp_path, weights(), architecture="lecture_net")
    with pytest.raises(FileError, match=r"(?s)does not fit the network: ([^;]+; ){5}and \d+ more"):
        zoo.load("tiny", tmp_path)


def test_a_network_that_was_refused_its_weights_keeps_its_own():
    model = residual_net(CLASSES)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = weights(torch.float32)
    tensors["fc.bias"][0] = float("nan")
    with pytest.raises(FileError, match="download does not fit"):
        zoo.fill(model, tensors, "download")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_batch_norms_counter_may_be_missing_and_must_be_whole():
    model = residual_net(CLASSES, batch_norm=True)
    tensors = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
    zoo.fill(model, tensors, "an old file")
    assert model.bn1.num_batches_tracked == 0
    with pytest.raises(FileError, match=r"bn1\.num_batches_tracked is torch\.float32, expected torch\.int64"):
        zoo.fill(model, tensors | {"bn1.num_batches_tracked": torch.tensor(0.0)}, "a file")


# Cards and names


def test_an_unknown_name_lists_the_nearest(tmp_path):
    ship(tmp_path, weights(), name="picturebook")
    ship(tmp_path, weights(), name="photographs")
    with pytest.raises(InputError, match=r"no network named 'pictrebook'\. Did you mean 'picturebook'\?"):
        zoo.load("pictrebook", tmp_path)
    with pytest.raises(InputError, match=r"Available: photographs, picturebook$"):
        zoo.card("?", tmp_path)


def test_an_inverse_network_is_not_a_classifier(tmp_path):
    ship(tmp_path, weights())
    ship(tmp_path, weights(), name="tiny_inverse_conv3", architecture="inverse_net")
    with pytest.raises(InputError, match=r"no classifier named 'tiny_inverse_conv3'.*Available: tiny$"):
        zoo.load("tiny_inverse_conv3", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"architecture": "resi', r"tiny\.json is not a card \("),
        (b"\xff\xfe", r"tiny\.json is not a card \("),
        (b"7", r"tiny\.json is not a card \("),
        (b"{}", r"tiny\.json is not a card: it lacks architecture, bytes, sha256"),
    ],
    ids=["half of it", "not text", "a number", "empty"],
)
def test_a_damaged_card_is_named(tmp_path, content, message):
    ship(tmp_path, weights())
    (tmp_path / "tiny.json").write_bytes(content)
    with pytest.raises(FileError, match=message):
        zoo.load("tiny", tmp_path)
    with pytest.raises(FileError, match=message):
        zoo.cards(tmp_path)


def test_one_damaged_card_does_not_stand_in_the_way_of_another_network(tmp_path):
    ship(tmp_path, weights())
    (tmp_path / "other.json").write_text("?", encoding="utf-8")
    assert zoo.load("tiny", tmp_path).classes == CLASSES


def test_cards_are_listed_by_name(tmp_path):
    ship(tmp_path, weights(), name="b")
    ship(tmp_path, weights(), name="a")
    assert list(zoo.cards(tmp_path)) == ["a", "b"]
    assert zoo.cards(tmp_path)["b"] == zoo.card("b", tmp_path)


def test_every_shipped_classifier_loads():
    classifiers = [name for name, card in zoo.cards().items() if card["architecture"] in zoo.ARCHITECTURES]
    for name in classifiers:
        model = zoo.load(name)
        logits = model(pictures())
        assert logits.shape == (2, len(model.classes)), name
        assert logits.isfinite().all(), name


# The control that has learned nothing


def test_a_random_twin_keeps_the_size_of_activations_and_nothing_else():
    model = lecture_net(CLASSES).eval().requires_grad_(False)
    twin = zoo.random_twin(model, seed=3)
    for name in ("conv2", "fc6"):
        old, new = getattr(model, name), getattr(twin, name)
        fan_in = new.weight[0].numel()
        assert not torch.equal(old.weight, new.weight)
        assert new.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert not new.bias.any()
    assert twin.classes == CLASSES
    assert not twin.training
    assert not twin.fc6.weight.requires_grad
    spread = (twin[:-1](pictures()).pow(2).mean() / twin[:2](pictures()).pow(2).mean()).item()
    assert 0.1 < spread < 10, "from conv1 to relu7"


def test_random_twins_depend_on_their_seed_alone():
    model, state = lecture_net(CLASSES), torch.get_rng_state()
    one, same, other = (zoo.random_twin(model, seed).conv1.weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_random_twin_forgets_what_batch_norm_learned():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4)).eval()
    model[1].running_mean.fill_(5)
    twin = zoo.random_twin(model)
    assert not twin[1].running_mean.any()
    assert (model[1].running_mean == 5).all()


# No code is read from any file


def test_no_pickle_is_read_where_it_could_run_code():
    found = []
    for path in LIBRARY.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in call.names] + [getattr(call, "module", None)]
                assert not {"pickle", "joblib", "dill", "shelve"} & set(names), f"{path.name} line {call.lineno}"
            if isinstance(call, ast.Call):
                called, keys = ast.unparse(call.func), {k.arg: ast.unparse(k.value) for k in call.keywords}
                assert keys.get("allow_pickle", "False") == "False", f"{path.name} line {call.lineno}"
                if called.endswith("torch.load"):
                    found.append(path.name)
                    assert keys.get("weights_only") == "True", f"{path.name} line {call.lineno}"
    assert set(found) <= {"imagenet.py"}, "shipped weights are safetensors; only official ones come as a pickle"


# Eight bits


def test_weights_of_eight_bits_come_back_within_half_a_step(tmp_path):
    single = weights(torch.float32)
    ship(tmp_path, zoo.packed(single))
    for name, value in zoo.load("tiny", tmp_path).state_dict().items():
        if value.dim() < 2:
            assert torch.equal(value, single[name].half().float()), "vectors stay in half precision"
            continue
        rows = single[name].flatten(1)
        off = (value.flatten(1) - rows).abs().amax(1)
        assert (off <= rows.abs().amax(1) / 127 * 0.5 + 2e-4 * rows.abs().amax(1)).all(), name  # steps are half floats
        assert off.max() > 0, "something was rounded"


def test_the_steps_are_those_of_each_row(tmp_path):
    rows = torch.tensor([[127.0, -127, 1], [1.27, 0.01, -1.27], [0, 0, 0]])
    small = zoo.packed({"w": rows, "b": torch.ones(3)})
    assert small["w"].tolist() == [[127, -127, 1], [127, 1, -127], [0, 0, 0]]
    assert {name: value.dtype for name, value in small.items()} == {
        "w": torch.int8, "w.step": torch.float16, "b": torch.float16
    }  # fmt: skip
    torch.testing.assert_close(zoo.unpacked(small)["w"], rows, rtol=1e-3, atol=0)


def test_eight_bits_take_half_of_half_precision(tmp_path):
    half, eight = (ship(tmp_path, tensors, name=name).stat().st_size
                   for name, tensors in (("half", weights()), ("eight", zoo.packed(weights()))))  # fmt: skip
    assert eight < 0.55 * half


def test_eight_bits_without_their_steps_do_not_pass(tmp_path):
    small = zoo.packed(weights())
    del small["fc.weight.step"]
    ship(tmp_path, small)
    with pytest.raises(FileError, match=r"fc\.weight is torch\.int8, expected half or single precision"):
        zoo.load("tiny", tmp_path)
