"""How each shipped network was trained, to the last constant: ``lecturekit train NAME`` follows what stands here.

Read it as a table.  A recipe names data, network, loss and the few numbers of the schedule; `lecturekit.training` does
the rest.  The order is the order in which they must be trained: the robust twin starts from the standard network, and
an inverse network needs the network that it inverts.
"""

import os
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, mse_loss

from lecturekit.attacks.gradient import ascend
from lecturekit.attacks.threat import Linf
from lecturekit.augment import light, mirror, mixed, pixels, seen_badly, shift
from lecturekit.errors import SetupError
from lecturekit.inversion.representation import representation
from lecturekit.inversion.upconv import inverse_name, inverse_net
from lecturekit.networks import face_net, lecture_net, load, residual_net
from lecturekit.networks.lecturenet import folded
from lecturekit.networks.residual import folded_residual
from lecturekit.training import Recipe, seeded

PICTURES = 12_000  # of the picture book, at most
EPS = 8 / 255  # the ball inside which the robust twins of the picture book are trained to hold still
JUDGES_KNOW = range(500, 1000)  # the people on whom the judges of leaks are trained; the others are sought
PHOTOGRAPH_EPS = 4 / 255  # half of that: photographs are told apart by fainter things than drawings


def picture_book(size=PICTURES):
    """Return the picture book's training pictures and labels."""
    from lecturekit.pictures.picturebook import PictureBook

    book = PictureBook("train", size)
    return torch.from_numpy(book.images), torch.from_numpy(book.labels)


def tiny_imagenet():
    """Return the photographs' training pictures and labels, from the folder that ``TINY_IMAGENET_20`` names."""
    from lecturekit.pictures.datasets import TinyImageNet

    pictures = TinyImageNet(photograph_folder(), "train")
    return torch.from_numpy(pictures.images), torch.from_numpy(pictures.labels)


def photograph_folder():
    """Return the folder with the twenty classes of Tiny ImageNet, which cannot be shipped."""
    folder = os.environ.get("TINY_IMAGENET_20")
    if not folder:
        raise SetupError(
            "the photograph network is trained on twenty classes of Tiny ImageNet, which may not be shipped. Set "
            "TINY_IMAGENET_20 to a folder with train.npz and val.npz; lecturekit.pictures.datasets tells their form."
        )
    return Path(folder)


def standard_loss(model, images, labels, generator, _progress):
    """Cross-entropy on mirrored pictures."""
    return cross_entropy(model(mirror(pixels(images), generator)), labels)


def robust_loss(model, images, labels, generator, progress):
    """Cross-entropy on mirrored pictures that PGD made as hard as the ball allows."""
    return adversarial_loss(model, mirror(pixels(images), generator), labels, generator, progress, EPS)


def robust_photograph_loss(model, images, labels, generator, progress):
    """Cross-entropy on shifted and mirrored photographs that PGD made as hard as the ball allows."""
    x = mirror(shift(pixels(images), generator, pad=6), generator)
    return adversarial_loss(model, x, labels, generator, progress, PHOTOGRAPH_EPS)


def adversarial_loss(model, x, labels, generator, progress, eps):
    """Cross-entropy on the worst pictures that PGD finds around ``x``.  Madry et al. 2018, equation 2.1.

    The ball grows over the first 40 % of the training: at full size from the start the network learns to say one class.
    """
    ball = Linf(eps * min(1.0, progress / 0.4))
    model.eval().requires_grad_(False)  # the attacker needs no gradient of the weights: a third less work
    x = ascend(model, x, labels, ball, steps=3, alpha=ball.eps / 2, start=ball.start(x, generator)).x
    model.train().requires_grad_(True)
    return cross_entropy(model(x), labels)


def photograph_loss(model, images, labels, generator, progress):
    """Cross-entropy with smoothed labels on shifted, mirrored, re-lit and, half of the time, blended photographs.

    The last fifth of the training shows whole photographs only: those are what it will be asked about.
    """
    x = light(mirror(shift(pixels(images), generator, pad=6), generator), generator, strength=0.2)
    u = torch.rand(2, generator=generator)
    weight = 1.0 if u[0] < 0.5 or progress > 0.8 else float(u[1].clamp(0.5, 1))
    x, order = mixed(x, generator, weight)
    logits = model(x)
    first, second = (cross_entropy(logits, target, label_smoothing=0.05) for target in (labels, labels[order]))
    return weight * first + (1 - weight) * second


def fresh(architecture, classes, seed):
    """Return a builder of a network with fresh weights that depend on ``seed`` alone.

    Data and class names are asked for only when it builds: reading this table opens no file.
    """

    def build():
        with seeded(seed):
            return architecture(classes())

    return build


def picture_book_classes():
    """Return the ten names of the picture book."""
    from lecturekit.pictures.picturebook import CLASSES

    return CLASSES


def photograph_classes():
    """Return the twenty names of the photographs."""
    from lecturekit.pictures.datasets import TinyImageNet

    return TinyImageNet(photograph_folder(), "val").classes


def portraits(people, seeds_per_identity):
    """Return pictures, who they show, counted from 0, and the answers to all questions about them."""
    from lecturekit.pictures import picturebook, traits

    drawn = picturebook.portraits(people, seeds_per_identity, "train")
    who = torch.from_numpy(drawn.people) - people[0]
    return torch.from_numpy(drawn.images), who, torch.from_numpy(traits.answers(drawn.attributes))


def people():
    """Return the training pictures of the people that nobody seeks, and who they are."""
    return portraits(JUDGES_KNOW, 20)[:2]


def traits_of_people():
    """Return the same pictures with the answers to all questions, (N, 5)."""
    images, _, answers = portraits(JUDGES_KNOW, 20)
    return images, answers


def people_names():
    """Return the names of the people whom the network of faces knows."""
    return [f"person {number}" for number in JUDGES_KNOW]


def trait_names():
    """Return all answers to all questions, in the order of the logits."""
    from lecturekit.pictures.traits import QUESTIONS

    return [f"{question}: {answer}" for question, answers in QUESTIONS.items() for answer in answers]


def people_loss(model, images, people, generator, _progress):
    """Cross-entropy with smoothed labels over the people."""
    return cross_entropy(model(seen_badly(images, generator)), people, label_smoothing=0.1)


def traits_loss(model, images, answers, generator, _progress):
    """Cross-entropy of each question by itself, added up."""
    from lecturekit.pictures.traits import QUESTIONS

    asked = model(seen_badly(images, generator)).split([len(names) for names in QUESTIONS.values()], dim=1)
    return sum(cross_entropy(logits, right) for logits, right in zip(asked, answers.T, strict=True))


CLASSIFIERS = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "picturebook",
            picture_book,
            fresh(partial(lecture_net, batch_norm=True), picture_book_classes, seed=0),
            standard_loss,
            folded,
            epochs=6,
        ),
        Recipe(
            "picturebook_second",
            partial(picture_book, 6_000),
            fresh(partial(lecture_net, batch_norm=True), picture_book_classes, seed=1),
            standard_loss,
            folded,
            epochs=5,
            seed=1,
        ),
        Recipe(
            "picturebook_residual",
            partial(picture_book, 6_000),
            fresh(partial(residual_net, batch_norm=True), picture_book_classes, seed=0),
            standard_loss,
            folded_residual,
            epochs=6,
        ),
        Recipe(
            "picturebook_robust",
            partial(picture_book, 6_000),
            lambda: load("picturebook"),
            robust_loss,
            epochs=4,
            peak_lr=1.5e-3,
        ),
        Recipe(
            "photographs",
            tiny_imagenet,
            fresh(partial(lecture_net, batch_norm=True, dropout=0.4), photograph_classes, seed=0),
            photograph_loss,
            folded,
            epochs=26,
            peak_lr=3e-3,
            weight_decay=0.05,
            average=0.995,
        ),
        Recipe(
            "picturebook_residual_robust",
            partial(picture_book, 6_000),
            lambda: load("picturebook_residual"),
            robust_loss,
            epochs=4,
            peak_lr=3e-3,
        ),
        Recipe(
            "photographs_robust",
            tiny_imagenet,
            lambda: load("photographs"),
            robust_photograph_loss,
            epochs=6,
            peak_lr=1.5e-3,
            average=0.99,
        ),
    )
}

JUDGES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "people",
            people,
            fresh(partial(face_net, batch_norm=True, dropout=0.2), people_names, seed=0),
            people_loss,
            folded,
            epochs=14,
            weight_decay=0.05,
        ),
        Recipe(
            "traits",
            traits_of_people,
            fresh(partial(face_net, batch_norm=True, dropout=0.2), trait_names, seed=1),
            traits_loss,
            folded,
            epochs=8,
            weight_decay=0.05,
            seed=1,
        ),
    )
}


def inverse_recipe(model_name, layer, *, epochs, peak_lr):
    """Return the recipe of the inverse network of one layer: mean squared error between picture and reconstruction.

    The codes are computed once: the network that is inverted does not change, so its forward pass need not be repeated.
    """

    def codes(images):
        phi = representation(load(model_name), layer)
        with torch.no_grad():
            return torch.cat([phi(pixels(batch)) for batch in images.split(250)])

    def data():
        images = inverse_pictures(model_name, layer)
        return codes(images), images

    def build():
        images = inverse_pictures(model_name, layer)
        sample = codes(images[:: max(1, len(images) // 500)])  # spread: photographs are stored class by class
        net = fresh(inverse_net, lambda: tuple(sample.shape[1:]), seed=0)()
        net.normalise.measure(sample)
        return net

    return Recipe(inverse_name(model_name, layer), data, build, reconstruction_loss, epochs=epochs, peak_lr=peak_lr)


def inverse_pictures(model_name, layer):
    """Return the pictures from which an inverse network learns, fewer where codes are large (conv1: 0.5 MB each)."""
    if model_name == "photographs":
        images, _ = tiny_imagenet()
        return torch.cat([images, images.flip(2)])  # (N, H, W, C): mirrored along W, ten thousand are not many
    return picture_book({"conv1": 4_000, "conv2": 6_000}.get(layer, PICTURES))[0]


def reconstruction_loss(model, codes, images, _generator, _progress):
    """Mean squared error per pixel and colour.  Dosovitskiy & Brox 2016, equation 1."""
    return mse_loss(model(codes), pixels(images))


INVERSES = {
    recipe.name: recipe
    for recipe in (
        inverse_recipe("picturebook", "conv1", epochs=6, peak_lr=4e-3),
        inverse_recipe("picturebook", "conv2", epochs=6, peak_lr=4e-3),
        inverse_recipe("picturebook", "conv3", epochs=4, peak_lr=4e-3),
        inverse_recipe("picturebook", "conv4", epochs=4, peak_lr=4e-3),
        inverse_recipe("picturebook", "conv5", epochs=4, peak_lr=4e-3),
        inverse_recipe("picturebook", "fc6", epochs=12, peak_lr=4e-3),
        inverse_recipe("picturebook", "fc7", epochs=12, peak_lr=4e-3),
        inverse_recipe("picturebook", "fc8", epochs=8, peak_lr=4e-3),
        inverse_recipe("picturebook", "probabilities", epochs=6, peak_lr=4e-3),
        inverse_recipe("photographs", "conv3", epochs=1, peak_lr=4e-3),
        inverse_recipe("photographs", "conv5", epochs=1, peak_lr=4e-3),
        inverse_recipe("photographs", "fc6", epochs=4, peak_lr=4e-3),
        inverse_recipe("photographs", "fc8", epochs=3, peak_lr=4e-3),
    )
}

RECIPES = CLASSIFIERS | JUDGES | INVERSES
