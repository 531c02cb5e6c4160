"""torchvision's networks, opened: the same logits, every layer in sight, and weights only from trusted places."""

import copy
import json
import pickle
import time

import pytest
import torch
from torch import nn

from lecturekit import download as downloads
from lecturekit.errors import FileError, InputError, SetupError
from lecturekit.files import sha256
from lecturekit.networks import imagenet
from lecturekit.pictures.photographs import bundled, photograph, read
from tests.website import running_website

SHA256 = "8b0631616445a2e485eecb95eccea249712ad7001fc09f701698396aa6203cee"
SMALL = ["squeezenet1_1", "resnet18", "mobilenet_v2"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache for every test."""
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "imagenet"


@pytest.fixture(scope="session")
def weights(shared):
    """The real SqueezeNet, a pickle."""
    return shared / "weights" / "squeezenet1_0_imagenet" / "squeezenet1_0_deepcomp_imagenet.pt"


@pytest.fixture(scope="session")
def squeezenet(weights):
    """The real SqueezeNet, loaded."""
    return imagenet.load("squeezenet1_0", weights, sha256=SHA256)


@pytest.fixture(scope="session")
def state():
    """Plausible tensors for SqueezeNet 1.1, by torchvision's names."""
    return imagenet._build("squeezenet1_1").state_dict()


def pictures(size, count=2):
    """Noise, a little wider than high."""
    return torch.rand(count, 3, size, size + 2, generator=torch.Generator().manual_seed(0))


def meta(name):
    """torchvision's own network without numbers: shapes only."""
    with torch.device("meta"):
        return imagenet._build(name)


def filled(name):
    """torchvision's own network with weights that cost no time: kaiming's 138 million normal numbers take seconds."""
    if name not in ("alexnet", "vgg16"):
        return imagenet._build(name).eval()
    network = meta(name).to_empty(device="cpu").eval()
    noise = torch.randn(997, generator=torch.Generator().manual_seed(0))
    for weight in network.parameters():
        values = noise.repeat(weight.numel() // 997 + 1)[: weight.numel()]
        weight.data = values.view(weight.shape) * (2 / weight[0].numel()) ** 0.5
    return network


# The networks, opened


@pytest.mark.parametrize("name", imagenet.OFFICIAL)
def test_an_opened_network_gives_torchvisions_logits_for_plain_pixels(name):
    from torchvision.transforms.v2.functional import normalize

    x, theirs = pictures(64), filled(name)
    with torch.no_grad():
        expected = theirs(normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        found = imagenet._opened(name, theirs)(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert found.shape == (2, 1000) and found.std(dim=1).min() > 0


@pytest.mark.parametrize("name", imagenet.OFFICIAL)
def test_layers_keep_torchvisions_names_and_shapes(name):
    theirs = meta(name)
    with torch.device("meta"):
        ours = imagenet._opened(name, meta(name))
    expected = {key: value.shape for key, value in theirs.state_dict().items()}
    found = {key: value.shape for key, value in ours.state_dict().items()}
    assert {key: found[key] for key in found if not key.startswith("normalize")} == expected
    shapes = {}
    for key, layer in ours.named_modules():
        layer.register_forward_hook(lambda *args, key=key: shapes.update({key: tuple(args[-1].shape)}))
    ours(torch.empty(2, 3, 224, 224, device="meta"))
    silent = {key for key, layer in ours.named_modules() if not any(layer.children())} - set(shapes)
    assert not silent, f"these layers cannot be looked at: {silent}"
    last, shape = LAST_MAP[name]
    assert shapes[last] == shape


LAST_MAP = {  # the last map before the classifier, from the papers and torchvision's sources
    "alexnet": ("features.12", (2, 256, 6, 6)),
    "vgg16": ("features.30", (2, 512, 7, 7)),
    "squeezenet1_0": ("features.12", (2, 512, 13, 13)),
    "squeezenet1_1": ("features.12", (2, 512, 13, 13)),
    "resnet18": ("layer4", (2, 512, 7, 7)),
    "mobilenet_v2": ("features.18", (2, 1280, 7, 7)),
}


@pytest.mark.parametrize("name", ["alexnet", *SMALL])
def test_every_layer_is_called_once_and_overwrites_nothing(name):
    calls, kept = {}, []

    def look(layer, inputs, output):
        calls[layer] = calls.get(layer, 0) + 1
        kept.append((inputs[0], inputs[0].clone(), output, output.clone()))

    model = imagenet.untrained(name)
    leaves = [layer for layer in model.modules() if not any(layer.children())]
    for layer in leaves:
        layer.register_forward_hook(look)
    model(pictures(64))
    assert set(calls) == set(leaves) and set(calls.values()) == {1}
    assert all(torch.equal(a, b) and torch.equal(c, d) for a, b, c, d in kept), "something was changed in place"


def test_an_opened_network_can_be_sliced_like_any_sequence():
    model = imagenet.untrained("resnet18")
    x = pictures(64)
    assert isinstance(model, nn.Sequential)
    torch.testing.assert_close(model[5:](model[:5](x)), model(x))


def test_a_network_is_frozen_evaluating_and_knows_its_classes():
    model = imagenet.untrained("mobilenet_v2")
    assert not model.training and not any(layer.training for layer in model.modules())
    assert not any(weight.requires_grad for weight in model.parameters())
    assert len(model.classes) == 1000 and model.classes[285] == "Egyptian cat" and model.classes[967] == "espresso"


def test_pictures_still_have_gradients():
    x = pictures(64).requires_grad_(True)
    imagenet.untrained("resnet18")(x)[:, 0].sum().backward()
    assert x.grad.abs().sum() > 0


def test_class_names_are_in_imagenets_order(shared):
    known = json.loads((shared / "data" / "imagenet_sample_100" / "imagenet_class_names.json").read_text())
    ours = imagenet.untrained("squeezenet1_1").classes
    same = sum(a.lower().split(",")[0] == b.lower() for a, b in zip(known, ours, strict=True))
    assert same > 900, "a few names are spelled in two ways, but a shift by one would leave none"


# Random weights


def test_random_weights_follow_the_seed_and_leave_torchs_generator_alone():
    before = torch.random.get_rng_state()
    one, same, other = (imagenet.untrained("squeezenet1_1", seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    x = pictures(64)
    assert torch.equal(one(x), same(x)) and not torch.allclose(one(x), other(x))


# What comes in


def test_pictures_that_would_be_misread_are_refused():
    model = imagenet.untrained("squeezenet1_1")
    for wrong in (torch.zeros(3, 64, 64), torch.zeros(1, 1, 64, 64), torch.zeros(1, 3, 64, 64, dtype=torch.uint8)):
        with pytest.raises(InputError, match=r"squeezenet1_1 needs float pictures \(N, 3, H, W\) in \[0, 1\], got"):
            model(wrong)


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_0", "squeezenet1_1"])
def test_the_smallest_picture_is_told_and_works(name):
    smallest = imagenet.SMALLEST[name]
    model = imagenet.untrained(name)
    assert model(torch.zeros(1, 3, smallest, smallest)).shape == (1, 1000)
    with pytest.raises(InputError, match=f"{name} needs pictures of at least {smallest} x {smallest} .*enlarge"):
        model(torch.zeros(1, 3, smallest + 5, smallest - 1))


def test_smallest_sizes_are_torchvisions():
    for name in imagenet.OFFICIAL:
        assert imagenet.SMALLEST.get(name, 1) == imagenet._official(name).meta["min_size"][0]


def test_the_catalogue_tells_sizes_before_anything_is_asked():
    rows = {row.name: row for row in imagenet.catalogue()}
    assert set(rows) == set(imagenet.OFFICIAL)
    assert rows["vgg16"][1:] == (138_357_544, "553.4 MB", "71.6 %", "no")
    assert rows["alexnet"].weights == sum(weight.numel() for weight in meta("alexnet").parameters())
    assert "squeezenet1_0" in repr(imagenet.catalogue())


def test_an_unknown_network_is_answered_with_the_names():
    for function in (imagenet.load, imagenet.untrained):
        with pytest.raises(InputError, match="no ImageNet network named 'resnet19'. Did you mean 'resnet18'"):
            function("resnet19")


# The real thing


@pytest.mark.parametrize("credit", [credit for credit in bundled() if credit.imagenet], ids=lambda credit: credit.name)
def test_squeezenet_sees_what_the_credits_say(squeezenet, credit):
    probabilities = squeezenet(photograph(credit.name, 224)).softmax(1)[0]
    assert squeezenet.classes[probabilities.argmax()] == credit.imagenet
    assert probabilities.max() > 0.5


def test_squeezenet_recognises_real_photographs(squeezenet, shared):
    """The card states 62.0 % top-1 and 83.8 % top-5 on a thousand such pictures; two dozen allow 20 points less."""
    folder = shared / "data" / "imagenet_sample_100"
    labels = json.loads((folder / "labels.json").read_text())
    names = sorted(labels)[::4][:24]
    x = torch.cat([read(folder / name, 227, say=lambda _: None) for name in names])
    best = squeezenet(x).topk(5).indices
    truth = torch.tensor([labels[name] for name in names])[:, None]
    top_1, top_5 = (best[:, :1] == truth).float().mean(), (best == truth).any(1).float().mean()
    assert top_1 > 0.42 and top_5 > 0.64, f"top-1 {top_1:.2f}, top-5 {top_5:.2f}"


def test_a_named_file_loads_the_tensors_that_are_in_it(squeezenet, weights):
    inside = torch.load(weights, weights_only=True)
    for key, value in squeezenet.state_dict().items():
        if not key.startswith("normalize"):
            assert torch.equal(value, inside[key])


# Files that somebody gives


def saved(tensors, path):
    """Write tensors as .safetensors or as a pickle."""
    from safetensors.torch import save_file

    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_safetensors_need_no_digest_for_they_hold_no_code(state, tmp_path, dtype):
    path = saved({key: value.to(dtype) for key, value in state.items()}, tmp_path / "w.safetensors")
    model = imagenet.load("squeezenet1_1", path)
    assert torch.equal(model.state_dict()["features.0.bias"], state["features.0.bias"].to(dtype).float())
    assert imagenet.load("squeezenet1_1", str(path), sha256=sha256(path)) is not None


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_read_only_if_its_digest_is_known_beforehand(state, tmp_path, zipped):
    path = tmp_path / "w.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)  # torchvision's official files are of the old kind
    with pytest.raises(FileError, match=r"w.pt is a pickle, which can run code.*pass its digest as sha256="):
        imagenet.load("squeezenet1_1", path)
    with pytest.raises(FileError, match="w.pt is damaged or not the file it should be"):
        imagenet.load("squeezenet1_1", path, sha256="0" * 64)
    model = imagenet.load("squeezenet1_1", path, sha256=sha256(path))
    assert torch.equal(model.state_dict()["features.0.weight"], state["features.0.weight"])


class Harmful:
    def __reduce__(self):
        return print, ("the file has run code",)


def test_a_harmful_pickle_does_not_run_even_with_the_right_digest(tmp_path, capsys):
    for name, save in (("zip.pt", torch.save), ("raw.pt", lambda it, path: path.write_bytes(pickle.dumps(it, 2)))):
        path = tmp_path / name
        save({"features.0.weight": Harmful()}, path)
        with pytest.raises(FileError, match=f"{name} holds no plain weights .*; get it again"):
            imagenet.load("squeezenet1_1", path, sha256=sha256(path))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2)])
def test_a_pickle_of_something_else_is_refused(tmp_path, content):
    path = saved(content, tmp_path / "w.pt")
    with pytest.raises(FileError, match="w.pt holds a .*, expected a state_dict: tensors by layer name"):
        imagenet.load("squeezenet1_1", path, sha256=sha256(path))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><title>Log in", r"an HTML page, not weights \(28 bytes\)"),
        (b"", "an empty file, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    ],
)
def test_what_is_no_file_of_weights_is_named(tmp_path, data, words):
    path = tmp_path / "w.pth"
    path.write_bytes(data)
    for digest in (None, "0" * 64):
        with pytest.raises(FileError, match=f"w.pth is {words}"):
            imagenet.load("squeezenet1_1", path, sha256=digest)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(FileError, match="w.pt' cannot be read: No such file"):
        imagenet.load("squeezenet1_1", tmp_path / "w.pt")
    with pytest.raises(FileError, match="is a folder; name a file"):
        imagenet.load("squeezenet1_1", tmp_path)


def test_a_file_cut_off_is_refused(state, tmp_path):
    for suffix in (".safetensors", ".pt"):
        path = saved(state, tmp_path / f"w{suffix}")
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(FileError, match="w.* (is damaged or incomplete|holds no plain weights) .*; get it again"):
            imagenet.load("squeezenet1_1", path, sha256=sha256(path))


def changed(state, change):
    """A copy of the tensors with one thing wrong."""
    state = copy.copy(state)
    key = "features.0.weight"
    state.update(
        {
            "missing": {},
            "extra": {"features.99.weight": torch.zeros(1)},
            "shape": {key: state[key][:, :1].clone()},
            "double": {key: state[key].double()},
            "nan": {key: state[key] * torch.nan},
        }[change]
    )
    if change == "missing":
        del state[key]
    return state


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("missing", "features.0.weight is missing"),
        ("extra", "features.99.weight is not in this network"),
        ("shape", r"features.0.weight has shape \(64, 1, 3, 3\), expected \(64, 3, 3, 3\)"),
        ("double", "features.0.weight is torch.float64"),
        ("nan", "features.0.weight holds NaN"),
    ],
)
def test_tensors_that_do_not_fit_are_listed(state, tmp_path, change, words):
    path = saved(changed(state, change), tmp_path / "w.safetensors")
    with pytest.raises(FileError, match=f"w.safetensors does not fit the network: {words}"):
        imagenet.load("squeezenet1_1", path)


def test_the_weights_of_another_network_are_refused(weights):
    with pytest.raises(FileError, match="does not fit the network: "):
        imagenet.load("squeezenet1_1", weights, sha256=SHA256)


# The official weights


class Official:
    """Stands in for torchvision's description: our own server instead of PyTorch's."""

    def __init__(self, url, path, categories):
        self.url = f"{url}/squeezenet1_1-{sha256(path)[:8]}.pth"
        self.meta = {
            "categories": categories,
            "_file_size": path.stat().st_size / 2**20,
            "num_params": 1,
            "_metrics": {"ImageNet-1K": {"acc@1": 50.0}},
        }


@pytest.fixture
def website(monkeypatch, state, tmp_path):
    """A server of our own with SqueezeNet's "official" weights."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    categories = imagenet._official("squeezenet1_1").meta["categories"]
    path = tmp_path / "official.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    with running_website() as server:
        official = Official(server.url, path, categories)
        server.files[official.url.removeprefix(server.url)] = path.read_bytes()
        monkeypatch.setattr(imagenet, "_official", lambda _name: official)
        server.official = official
        yield server


def test_without_permission_nothing_is_downloaded_and_the_way_is_shown_at_once(cache):
    imagenet.catalogue()  # torchvision's import takes seconds, and is not what is measured
    begun = time.monotonic()
    with pytest.raises(SetupError, match="weights of resnet18 are not on this machine") as caught:
        imagenet.load("resnet18")
    assert time.monotonic() - begun < 1
    for needed in (
        "imagenet.load('resnet18', download=True) downloads 46.8 MB",
        "https://download.pytorch.org/models/resnet18-f37072fd.pth (sha256:f37072fd)",
        str(cache / "resnet18-f37072fd.pth"),
        "imagenet.untrained('resnet18')",
    ):
        assert needed in str(caught.value)


def test_official_weights_are_downloaded_once_and_kept_as_safetensors(website, state, cache, capsys):
    model = imagenet.load("squeezenet1_1", download=True)
    assert "Downloading squeezenet1_1-" in capsys.readouterr().out
    assert torch.equal(model.state_dict()["features.0.weight"], state["features.0.weight"])
    (kept,) = cache.glob("*.safetensors")
    assert kept.name == f"squeezenet1_1-{sha256(kept)}.safetensors"
    assert not list(cache.glob("*.pth")), "the pickle is gone"
    imagenet.load("squeezenet1_1")
    assert len(website.seen) == 1
    assert {row.here for row in imagenet.catalogue()} == {"yes", "no"}


def test_an_official_file_brought_by_hand_needs_no_network(website, cache):
    cache.mkdir(parents=True)
    name = website.official.url.rpartition("/")[2]
    (cache / name).write_bytes(website.files[f"/{name}"])
    imagenet.load("squeezenet1_1")
    assert website.seen == [] and len(list(cache.glob("*.safetensors"))) == 1


def test_an_official_file_can_be_named_where_it_lies(website, tmp_path):
    imagenet.load("squeezenet1_1", tmp_path / "official.pth")
    assert website.seen == []


def test_a_flipped_bit_in_the_cache_is_noticed_and_downloaded_again_only_if_asked(website, cache, capsys):
    imagenet.load("squeezenet1_1", download=True)
    (kept,) = cache.glob("*.safetensors")
    data = bytearray(kept.read_bytes())
    data[-5] ^= 1
    kept.write_bytes(data)
    with pytest.raises(SetupError, match="weights of squeezenet1_1 are not on this machine"):
        imagenet.load("squeezenet1_1")
    assert "was damaged; it is now called" in capsys.readouterr().out
    imagenet.load("squeezenet1_1", download=True)
    assert len(website.seen) == 2 and len(list(cache.glob("*.safetensors"))) == 1


def test_a_damaged_official_file_is_moved_aside(website, cache):
    cache.mkdir(parents=True)
    name = website.official.url.rpartition("/")[2]
    (cache / name).write_bytes(website.files[f"/{name}"][:-10])
    with pytest.raises(SetupError, match="not on this machine"):
        imagenet.load("squeezenet1_1")
    assert [left.name for left in cache.glob("*.corrupt")] == [f"{name}.corrupt"]


def test_official_sizes_and_digests_are_torchvisions():
    assert imagenet._digest("alexnet") == "sha256:7be5be79"
    assert downloads.amount(imagenet._size("squeezenet1_0")) == "5.0 MB"
    for name in imagenet.OFFICIAL:
        assert len(imagenet._digest(name)) == len("sha256:") + 8
