"""Adversarial examples: pictures changed so little that nobody sees it, and so well that the network does.

::

    found = attacks.pgd(network, x, y, ball=attacks.Linf(8/255))
    print(found)                            # PGD within L∞ ≤ 8/255: 97 of 100 misled, ...
    plots.pictures({"clean": found.x0, "attacked": found.x})

===========================  ==============================================================================
what is allowed              `Linf`, `L2`, `L0`: balls in pixel units; `levels` counts grey levels
what is climbed              `cross_entropy`, `margin`, `dlr`
along the gradient           `fgsm`, `bim`, `pgd`, `mi_fgsm`, `apgd`
as little as possible        `deepfool`, `carlini_wagner`
without the gradient         `square`, `few_pixels`, `transfer_matrix`
one change for many          `universal`, `train_patch`
what comes back              `Adversarial`: pictures, norms, cost, and success measured afresh
how good was the attack?     `robust_accuracy`, `battery`, `ensemble`
why does it work?            the modules `linear`, `dimension`, `slices`, `planted`, `nonrobust`
what does it reveal?         the modules `alignment`, `departure`
===========================  ==============================================================================

The trap: an attack that fails proves nothing.  Whoever says that a network is robust has to show that the attack was
good; the result therefore says of itself what is suspicious.
"""

from lecturekit.attacks import alignment, departure, dimension, linear, nonrobust, planted, slices
from lecturekit.attacks.apgd import apgd
from lecturekit.attacks.carlini import carlini_wagner
from lecturekit.attacks.deepfool import deepfool
from lecturekit.attacks.ensemble import ensemble
from lecturekit.attacks.evaluate import robust_accuracy
from lecturekit.attacks.few_pixels import L0, few_pixels
from lecturekit.attacks.gradient import bim, fgsm, mi_fgsm, pgd
from lecturekit.attacks.masking import battery
from lecturekit.attacks.patch import against_controls, train_patch
from lecturekit.attacks.result import Adversarial
from lecturekit.attacks.scores import cross_entropy, dlr, margin
from lecturekit.attacks.square import square
from lecturekit.attacks.threat import L2, Linf, levels
from lecturekit.attacks.transfer import transfer_matrix
from lecturekit.attacks.universal import fooling_rate, universal

__all__ = [
    "Adversarial", "L0", "L2", "Linf", "against_controls", "alignment", "apgd", "battery", "bim", "carlini_wagner",
    "cross_entropy", "deepfool", "departure", "dimension", "dlr", "ensemble", "few_pixels", "fgsm", "fooling_rate",
    "levels", "linear", "margin", "mi_fgsm", "nonrobust", "pgd", "planted", "robust_accuracy", "slices", "square",
    "train_patch", "transfer_matrix", "universal",
]  # fmt: skip
