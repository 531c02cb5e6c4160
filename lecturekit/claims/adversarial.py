"""The claims of *adversarial examples*: how small a change is enough, and what does not count as an attack.

Everything is measured on test drawings and on the standard network.  Each claim stands beside what one gets for
nothing: noise of the same size, a step of one gradient only, a patch that shows a real picture.
"""

import functools

import numpy as np
import torch

from lecturekit import attacks
from lecturekit.attacks import Linf, levels
from lecturekit.claims.ledger import claim
from lecturekit.measure import bootstrap, proportion, psnr
from lecturekit.networks import load
from lecturekit.pictures.picturebook import CLASSES, PictureBook

EIGHT = Linf(levels(8))
LESSON = "08_adversarial_examples"
STRONG = {"steps": 50, "restarts": 5}
QUICK = {"steps": 20, "score": attacks.margin}
LENGTHS = [0.5 * 1.2**k for k in range(30)]  # L2: from hardly anything to 99, longer than any drawing is
PLENTY = 100  # drawings for each target of a patch


@functools.cache
def drawings(count, split="test"):
    """Return drawings (count, 3, 64, 64) and their classes (count,)."""
    book = PictureBook(split, count)
    return book.tensors(), torch.from_numpy(book.labels)


@functools.cache
def climbed(name, count):
    """Return the `Adversarial` of a short PGD with the margin on test drawings."""
    return attacks.pgd(load(name), *drawings(count), ball=EIGHT, **QUICK)


def spread_noise(x, ball, seed=0):
    """Return pictures with every value moved by the whole radius, up or down by lot: as long as a change can be."""
    coin = torch.randint(0, 2, x.shape, generator=torch.Generator().manual_seed(seed))
    return (x + ball.eps * (2 * coin - 1)).clamp(0, 1)


@claim(
    "attack-standard",
    "A network that names 99 of 100 drawings rightly names hardly any of them when each colour value may move by eight "
    "of 255 levels.",
    notebook=LESSON,
    threshold="accuracy under PGD-50, five restarts, with both scores at 8/255: at most 5 %",
    holds=lambda m: m["accuracy under both"].estimate <= 0.05,
)
def attack_standard(count=500):
    """Accuracy on clean test drawings, under PGD-50 x 5 with the margin, and with cross-entropy on what still stands.

    A drawing counts as right only if no run of either score misled it.
    """
    model, (x, y) = load("picturebook"), drawings(count)
    first = attacks.pgd(model, x, y, ball=EIGHT, score=attacks.margin, **STRONG)
    left = first.stood
    second = attacks.pgd(model, x[left], y[left], ball=EIGHT, score=attacks.cross_entropy, **STRONG)
    return {
        "accuracy clean": proportion(int(first.right.sum()), count),
        "accuracy under the margin": first.accuracy,
        "accuracy under both": proportion(int(second.stood.sum()), count),
    }


@claim(
    "noise-is-harmless",
    "It is not the size of the change that misleads: noise of the same size leaves nearly every answer as it was.",
    notebook=LESSON,
    threshold="of the drawings named rightly, noise of 8/255 misleads at most 2 %, the attack at least half; noise "
    "surely less",
    holds=lambda m: (
        m["misled by noise"].estimate <= 0.02
        and m["misled by the attack"].estimate >= 0.5
        and m["misled by noise"].below(m["misled by the attack"])
    ),
)
def noise_is_harmless(count=300):
    """Share of rightly named test drawings misled by PGD-20 (margin), and by noise that moves every value as far.

    Each value of the noise goes up or down by the whole radius, so no change within 8/255 is longer.
    """
    found, model = climbed("picturebook", count), load("picturebook")
    numbers = {"misled by the attack": found.success}
    for level in (8, 16, 32):
        noisy = spread_noise(found.x0, Linf(levels(level)))
        judged = attacks.fooling_rate(model, found.x0[found.right], (noisy - found.x0)[found.right])
        numbers["misled by noise" + f" of {level}/255" * (level > 8)] = judged
    return numbers


@claim(
    "wrong-and-sure",
    "The network is not in doubt about it: an attack that goes on climbing ends in a wrong answer given with nearly "
    "full confidence.",
    notebook=LESSON,
    threshold="of the drawings misled within 8/255, the median confidence in the wrong answer is at least 90 %",
    holds=lambda m: m["confidence of wrong answers"].estimate >= 0.9,
)
def wrong_and_sure(count=100):
    """Median probability of the answer: clean, and after 20 steps of PGD that do not stop at the first success."""
    model, (x, y) = load("picturebook"), drawings(count)
    found = attacks.pgd(model, x, y, ball=EIGHT, steps=20, score=attacks.margin, leave=False)
    sure = {name: logits.softmax(1).amax(1) for name, logits in (("clean", found.clean), ("attacked", found.logits))}
    return {
        "misled": found.success,
        "confidence of clean answers": bootstrap(sure["clean"], np.median),
        "confidence of wrong answers": bootstrap(sure["attacked"][found.misled & found.right], np.median),
    }


@claim(
    "least-change",
    "The nearest picture that misleads lies very near, and only in certain directions: noise has to be more than ten "
    "times as long.",
    notebook=LESSON,
    threshold="median PSNR of the smallest change found at least 35 dB; noise needs surely more than 10 times its "
    "length, in the median",
    holds=lambda m: m["PSNR of the smaller"].estimate >= 35 and m["noise by the smaller"].low > 10,
)
def least_change(count=20):
    """Medians over test drawings of the L2 length that misleads: DeepFool, Carlini-Wagner, and noise made ever longer.

    Noise that never misleads counts with the last length tried, so its length is rather too small than too large.
    """
    model, (x, y) = load("picturebook"), drawings(count)
    quick = attacks.deepfool(model, x, y)
    careful = attacks.carlini_wagner(model, x, y, steps=150, searches=4, price=0.1)
    usable = quick.right & quick.misled & careful.misled
    nearer = (careful.norms < quick.norms)[:, None, None, None]
    smaller = torch.where(nearer, careful.x, quick.x)[usable]
    x, length = x[usable], torch.minimum(careful.norms, quick.norms)[usable]
    noise = least_noise(model, x, y[usable])
    return {
        "L2 DeepFool": bootstrap(quick.norms[usable], np.median),
        "L2 Carlini-Wagner": bootstrap(careful.norms[usable], np.median),
        "PSNR of the smaller": bootstrap(psnr(smaller, x), np.median),
        "L2 noise": bootstrap(noise, np.median),
        "noise by the smaller": bootstrap(noise / length, np.median),
    }


def least_noise(model, x, y, seed=0):
    """Return the L2 length of the first noise that misleads, (N,): one direction for each picture, made ever longer."""
    direction = attacks.L2.steepest(torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)))
    least, waiting = torch.zeros(len(x)), torch.ones(len(x), dtype=torch.bool)
    for length in LENGTHS:
        noisy = (x + length * direction).clamp(0, 1)
        least[waiting] = attacks.L2.size(noisy - x)[waiting]  # the box makes it shorter: what counts is what is left
        with torch.no_grad():
            waiting &= model(noisy).argmax(1) == y
    return least


@claim(
    "patch-any",
    "A patch that was trained for a class is mostly taken for it, wherever it lies and whatever lies beside it; a real "
    "picture of the class, pasted in alike, is not.",
    notebook=LESSON,
    threshold="mean over ten targets: the trained patch reaches its target in at least half of new drawings, surely "
    "more often than noise and than a real picture of the target",
    holds=lambda m: (
        m["trained"].estimate >= 0.5 and all(m["trained"].above(m[name]) for name in ("noise", "real picture"))
    ),
)
def patch_any(count=PLENTY, steps=60):
    """Share of new drawings taken for the target (N: ten targets), patch and controls of one size at the same places.

    Each patch is trained on as many training drawings, covers 30 to 50 % of the side, and turns by up to 20 degrees.
    """
    model, (x, y), new = load("picturebook"), drawings(count, "train"), drawings(count)
    shares, each = {}, []
    for target in range(len(CLASSES)):
        patch = attacks.train_patch(model, x, y, target, steps=steps)
        picture = new[0][new[1] == target][:1]
        table = attacks.against_controls(model, patch, *new, picture)
        each.append(table[0].success)
        for row in table:
            shares.setdefault(row.patch, []).append(row.success.estimate)
    numbers = {name: bootstrap(values) for name, values in shares.items()}
    return numbers | {f"trained, target {name}": reached for name, reached in zip(CLASSES, each, strict=True)}


@claim(
    "fgsm-overstates",
    "Whoever attacks with one step only takes a weak network for a strong one.",
    notebook=LESSON,
    threshold="standard network at 8/255: accuracy under FGSM surely above that under PGD-20",
    holds=lambda m: m["standard, FGSM"].above(m["standard, PGD"]),
)
def fgsm_overstates(count=300):
    """Accuracy on test drawings under FGSM and PGD-20 (margin) at 8/255: the standard network and the robust one."""
    numbers, (x, y) = {}, drawings(count)
    for who, name in (("standard", "picturebook"), ("robust", "picturebook_robust")):
        numbers[f"{who}, FGSM"] = attacks.fgsm(load(name), x, y, ball=EIGHT).accuracy
        numbers[f"{who}, PGD"] = climbed(name, count).accuracy
    return numbers
