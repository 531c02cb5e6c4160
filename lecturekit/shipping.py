"""From a trained network to what is shipped: numbers in half precision, and a card that says how good they are.

The card is measured on the network *as loaded back from its file*, so that no accuracy on it belongs to weights that
nobody has.  Half precision costs nothing measurable here, eight bits a few tenths of a point: both figures, as stored
and in single precision, stand on the card.
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from lecturekit import measure
from lecturekit.attacks import Linf, cross_entropy, margin, pgd
from lecturekit.augment import pixels
from lecturekit.errors import InputError
from lecturekit.files import replacing, sha256
from lecturekit.inversion.representation import representation
from lecturekit.inversion.upconv import inverse_net
from lecturekit.networks import load, restore, zoo
from lecturekit.privacy.judges import embedding, traits_read
from lecturekit.privacy.reidentify import Gallery
from lecturekit.recipes import EPS, INVERSES, JUDGES, JUDGES_KNOW, PHOTOGRAPH_EPS, PICTURES, photograph_folder

DEPTH = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8", "probabilities")
TESTED, ATTACKED, INVERTED = 2_000, 1_000, 500  # unseen pictures for accuracy, for PGD, for inverse networks
SOUGHT = JUDGES_KNOW.start  # people whom no judge knows
BATCH = 250
# so that all weights together stay below 15 MB
IN_EIGHT_BITS = ("photographs_robust", "picturebook_residual_robust", "people", "traits")


def ship(recipe, trained, *, folder=zoo.WEIGHTS):
    """Write weights and card of a finished training run.

    Args:
        recipe: the `training.Recipe` that was followed.
        trained: what `training.train` returned, complete.
        folder: where both files go.
    Returns: the card, a dict.
    Raises: InputError for a training that was stopped before its end.
    """
    if not trained.complete:
        raise InputError(f"the training of {recipe.name} was stopped before its end; finish it before it is shipped")
    path = Path(folder) / f"{recipe.name}.safetensors"
    tensors, eight_bits = trained.model.state_dict(), recipe.name in IN_EIGHT_BITS
    with replacing(path) as temporary:
        save_file(zoo.packed(tensors) if eight_bits else halved(tensors), temporary)
    stored_as = "int8, one step a row" if eight_bits else "float16"
    card = describe(recipe, trained) | {"bytes": path.stat().st_size, "sha256": sha256(path), "stored_as": stored_as}
    write_card(card, recipe.name, folder)
    card["measured"] = measured(recipe, trained.model, folder)
    return write_card(card, recipe.name, folder)


def halved(tensors):
    """Return weights in half precision; counters stay whole numbers."""
    return {name: (v.half() if v.is_floating_point() else v).contiguous() for name, v in tensors.items()}


def describe(recipe, trained):
    """Return what a card says before anything is measured: what, from what, how, where."""
    words = {
        "what": kind_of(recipe.name),
        "data": data_words(recipe.name),
        "command": f"lecturekit train {recipe.name} --threads {torch.get_num_threads()}",
        "seed": recipe.seed,
        "schedule": {key: getattr(recipe, key) for key in ("epochs", "batch", "peak_lr", "weight_decay", "average")},
        "loss_by_epoch": [round(loss, 5) for loss in trained.history],
        "weights": sum(p.numel() for p in trained.model.parameters()),
        "environment": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "threads": torch.get_num_threads(),
            "processor": platform.machine(),
        },
    }
    if recipe.name in INVERSES:
        model_name, layer = recipe.name.split("_inverse_")
        shape = list(code_shape(model_name, layer))
        return words | {"architecture": "inverse_net", "code_shape": shape, "of": model_name, "layer": layer,
                        "depth": DEPTH.index(layer)}  # fmt: skip
    kind = "face_net" if recipe.name in JUDGES else "residual_net" if "residual" in recipe.name else "lecture_net"
    return words | {"architecture": kind, "classes": list(trained.model.classes)}


def kind_of(name):
    """Return in words what a network is for."""
    return "an inverse network" if name in INVERSES else "a judge of faces" if name in JUDGES else "a classifier"


def data_words(name):
    """Return one sentence on what a network was trained on."""
    if name.startswith("photographs"):
        return (
            "twenty classes of Tiny ImageNet, 10,000 training photographs of 64x64 (ImageNet's terms: non-commercial "
            "research and education; the photographs are not part of this package)"
        )
    if name in JUDGES:
        return (
            f"faces of the picture book, people {JUDGES_KNOW[0]} to {JUDGES_KNOW[-1]}, split 'train', "
            "20 of each; nothing else"
        )
    return f"the picture book, split 'train', up to {PICTURES:,} drawings from seeds; nothing else"


def code_shape(model_name, layer):
    """Return the shape of one code of a layer."""
    with torch.no_grad():
        return representation(load(model_name), layer)(torch.zeros(1, 3, 64, 64)).shape[1:]


def unseen(name, count):
    """Return pictures (N, 3, 64, 64) and labels that no training saw: ``count`` of them, or all if there are fewer."""
    from lecturekit.pictures.datasets import TinyImageNet
    from lecturekit.pictures.picturebook import PictureBook

    test = TinyImageNet(photograph_folder(), "val") if name.startswith("photographs") else PictureBook("test", count)
    places = np.linspace(0, len(test.labels) - 1, min(count, len(test.labels))).round().astype(int)
    images, labels = test.images[places], test.labels[places]  # spread: the photographs are stored class by class
    return pixels(torch.from_numpy(images)), torch.from_numpy(labels)


def measured(recipe, single, folder):
    """Measure what was shipped, and where it matters the single-precision network beside it."""
    if recipe.name in INVERSES:
        return inverse_quality(recipe.name, folder)
    if recipe.name in JUDGES:
        return judge_quality(recipe.name, folder)
    x, y = unseen(recipe.name, TESTED)
    shipped = load(recipe.name, folder)
    numbers = {"accuracy": accuracy(shipped, x, y), "accuracy_in_single_precision": accuracy(single.eval(), x, y)}
    ball, x, y = Linf(PHOTOGRAPH_EPS if recipe.name.startswith("photographs") else EPS), x[:ATTACKED], y[:ATTACKED]
    if recipe.name.endswith("_robust"):  # most pictures stand, and each takes every step: the cheaper attack
        name, attempts = "robust_accuracy_pgd20_5_restarts", [{"steps": 20}]
    else:
        name = "accuracy_pgd50_5_restarts_both_scores"
        attempts = [{"steps": 50, "score": score} for score in (margin, cross_entropy)]
    stood = standing(shipped, x, y, [{"ball": ball, "restarts": 5, **attempt} for attempt in attempts])
    numbers[f"{name}_{255 * ball.eps:.0f}_255"] = interval(measure.proportion(int(stood.sum()), len(stood)))
    return numbers


def standing(model, x, y, attempts):
    """Tell which pictures stand all attempts, (N,) bool; each, a budget of `pgd`, is tried on what still stands."""
    stood = torch.ones_like(y, dtype=torch.bool)
    for budget in attempts:
        left = stood.nonzero().flatten()
        for rows in left.split(BATCH):
            stood[rows] = pgd(model, x[rows], y[rows], **budget).stood
    return stood


def accuracy(model, x, y):
    """Return the share of pictures that a network names rightly, with its interval."""
    with torch.no_grad():
        right = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True))
    return interval(measure.proportion(right, len(y)))


def inverse_quality(name, folder):
    """Return the mean PSNR of an inverse network on unseen pictures, beside that of their mean picture."""
    model_name, layer = name.split("_inverse_")
    net = restore(inverse_net(tuple(zoo.card(name, folder)["code_shape"])), name, folder)
    x, _ = unseen(model_name, INVERTED)
    phi = representation(load(model_name), layer)
    with torch.no_grad():
        rebuilt = torch.cat([net(phi(batch)) for batch in x.split(BATCH)])
    baseline = measure.mean_image(x).expand_as(x)
    return {
        "psnr": interval(measure.bootstrap(measure.psnr(rebuilt, x))),
        "psnr_of_mean_picture": interval(measure.bootstrap(measure.psnr(baseline, x))),
    }


def judge_quality(name, folder):
    """Return how well a judge does on drawings that nobody saw, of people whom no judge knows."""
    from lecturekit.pictures.picturebook import portraits
    from lecturekit.pictures.traits import answers

    judge, sought = load(name, folder), portraits(range(SOUGHT), 1, "test")
    x = pixels(torch.from_numpy(sought.images))
    if name == "traits":
        read = traits_read(x, answers(sought.attributes), judge)
        return {f"reads_{question}": interval(value) for question, value in read.items()}
    others = portraits(range(SOUGHT), 1, "validation")
    gallery = Gallery(pixels(torch.from_numpy(others.images)), others.people, lambda x: embedding(x, judge))
    found = gallery.find(x, sought.people)
    return {f"finds_a_stranger_among_{SOUGHT}_top{k}": interval(value) for k, value in found.top.items()}


def interval(value):
    """Return an interval as the card stores it."""
    return {key: round(getattr(value, key), 4) for key in ("estimate", "low", "high")} | {"n": value.n}


def write_card(card, name, folder):
    """Write the card and return it."""
    with replacing(Path(folder) / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    return card
