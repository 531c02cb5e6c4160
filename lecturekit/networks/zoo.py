"""Networks by name: built, filled with weights that were verified, switched to evaluation, and frozen.

Each file of weights has a *card* beside it (JSON): what it is, on which data it was trained, with which command, how
well it does, and the SHA-256 of the file.  A card is read at every load and the file is hashed at every load, because a
flipped bit in a weight file is otherwise loaded without a word.  The files are safetensors: numbers only, no code.
"""

import copy
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lecturekit.errors import FileError, unknown
from lecturekit.files import verify
from lecturekit.networks.facenet import face_net
from lecturekit.networks.lecturenet import lecture_net
from lecturekit.networks.residual import residual_net

WEIGHTS = Path(__file__).parent / "weights"
ARCHITECTURES = {"face_net": face_net, "lecture_net": lecture_net, "residual_net": residual_net}
NEEDED = ("architecture", "bytes", "sha256")  # what a card must say before its weights are trusted
STEP = ".step"  # after the name of a tensor of eight bits: the size of one step in each of its rows
REALS = (torch.float16, torch.bfloat16, torch.float32)


def cards(folder=WEIGHTS):
    """Return the card of every shipped file of weights, by name.

    Raises: FileError for a card that is damaged.
    """
    return {path.stem: read_card(path) for path in sorted(Path(folder).glob("*.json"))}


def card(name, folder=WEIGHTS):
    """Return one card: a dict with what, data, command, environment, accuracy, size and SHA-256.

    Raises: InputError that lists the names, if there is no such network; FileError if the card is damaged.
    """
    known = {path.stem: path for path in sorted(Path(folder).glob("*.json"))}
    if name not in known:
        raise unknown("network", name, known)
    return read_card(known[name])


def read_card(path):
    """Return the card in one file."""
    try:
        about = json.loads(path.read_text("utf-8"))
        missing = [key for key in NEEDED if key not in about]
    except (ValueError, TypeError) as problem:  # ValueError: not JSON, not UTF-8; TypeError: a bare number
        raise FileError(f"{path.name} is not a card ({problem}); install lecturekit again") from None
    if missing:
        raise FileError(f"{path.name} is not a card: it lacks {', '.join(missing)}; install lecturekit again")
    return about


def load(name, folder=WEIGHTS):
    """Return a shipped classifier, ready to be looked into: evaluation mode, no gradients for its weights.

    Args:
        name: ``"picturebook"``, ``"picturebook_robust"``, ``"photographs"`` ...; `cards` lists them all.
    Returns: pixels (N, 3, 64, 64) in [0, 1] to logits (N, K); ``model.classes`` names the classes.
    Raises: InputError for an unknown name; FileError for weights that are damaged.
    """
    about = card(name, folder)
    if about["architecture"] not in ARCHITECTURES:  # an inverse network
        classifiers = [known for known, other in cards(folder).items() if other["architecture"] in ARCHITECTURES]
        raise unknown("classifier", name, classifiers)
    with torch.device("meta"):  # no random numbers are drawn for weights that are replaced at once
        model = ARCHITECTURES[about["architecture"]](about["classes"])
    return restore(model.to_empty(device="cpu"), name, folder)


def random_twin(model, seed=0):
    """Return a copy of a network with fresh random weights: the control that has learned nothing.

    Kaiming's normal initialisation with zero biases keeps the size of activations alike from layer to layer, as in the
    trained network.  He et al. 2015, arXiv:1502.01852, equation 10.
    """
    twin, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    for layer in twin.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            fan_in = layer.weight[0].numel()
            fresh = torch.randn(layer.weight.shape, generator=generator) * (2 / fan_in) ** 0.5
            layer.weight.data.copy_(fresh)
            if layer.bias is not None:
                layer.bias.data.zero_()
        elif isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_parameters()  # its running statistics were learned too
    return twin


def restore(model, name, folder=WEIGHTS):
    """Fill ``model`` with the shipped weights ``name`` and return it in evaluation mode, frozen.

    Raises: FileError if the file is missing or changed, or does not fit the network.
    """
    about, path = card(name, folder), Path(folder) / f"{name}.safetensors"
    verify(path, about["sha256"], about["bytes"])
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError) as problem:
        raise FileError(f"{path.name} is what its card promises, but not a safetensors file ({problem})") from None
    fill(model, unpacked(tensors), path.name)
    return model.eval().requires_grad_(False)


def packed(tensors):
    """Return weights in eight bits: whole numbers -127 ... 127, and for each row the size of one step.

    A row is one filter, or one unit; vectors stay in half precision.  Half the bytes again, for a few tenths of a point
    of accuracy, which the card states.
    """
    small = {}
    for name, value in tensors.items():
        if value.dim() < 2:
            small[name] = value.half().contiguous()
            continue
        step = (value.abs().flatten(1).amax(1) / 127).clamp(min=1e-7)  # (rows,); half precision ends at 6e-8
        step = step.half().float()  # what is stored is what is divided by
        small[name] = (value / step.view(-1, *[1] * (value.dim() - 1))).round().clamp(-127, 127).to(torch.int8)
        small[name + STEP] = step.half()
    return small


def unpacked(tensors):
    """Undo `packed`, as far as rounding lets it; tensors that were not packed stay as they are."""
    whole = {name: value for name, value in tensors.items() if not name.endswith(STEP)}
    for name, value in whole.items():
        if value.dtype == torch.int8 and (step := tensors.get(name + STEP)) is not None and len(step) == len(value):
            whole[name] = value.float() * step.float().view(-1, *[1] * (value.dim() - 1))
    return whole


def fill(model, tensors, where):
    """Copy ``tensors`` into ``model`` after comparing names, shapes, types and finiteness with what it has.

    Raises: FileError with the differences; ``model`` is then unchanged.
    """
    expected, problems = model.state_dict(), []
    counters = {name: torch.zeros_like(own) for name, own in expected.items() if name.endswith("num_batches_tracked")}
    tensors = counters | tensors  # batch norm's counters: older files lack them, and evaluation never reads them
    problems += [f"{name} is missing" for name in expected.keys() - tensors.keys()]
    problems += [f"{name} is not in this network" for name in tensors.keys() - expected.keys()]
    for name in expected.keys() & tensors.keys():
        tensor, target = tensors[name], expected[name]
        if tensor.shape != target.shape:
            problems.append(f"{name} has shape {tuple(tensor.shape)}, expected {tuple(target.shape)}")
        elif tensor.dtype not in REALS and target.is_floating_point():
            problems.append(f"{name} is {tensor.dtype}, expected half or single precision")
        elif tensor.dtype != target.dtype and not target.is_floating_point():
            problems.append(f"{name} is {tensor.dtype}, expected {target.dtype}")
        elif not torch.isfinite(tensor).all():
            problems.append(f"{name} holds NaN or infinite values")
    if problems:
        shown = "; ".join(sorted(problems)[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise FileError(f"{where} does not fit the network: {shown}")
    model.load_state_dict({name: tensors[name].to(expected[name].dtype) for name in expected})
