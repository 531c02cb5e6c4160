r"""What the attacker makes larger: one number per picture, from its logits.

==================  ======================================  ============================================
score               away from the true class $y$            towards a target class $t$
==================  ======================================  ============================================
`cross_entropy`     $-\log p_y$                             $\log p_t$
`margin`            $\max_{i \ne y} Z_i - Z_y$              $Z_t - \max_{i \ne t} Z_i$
`dlr`               the margin over $Z_{(1)} - Z_{(3)}$     $(Z_t - Z_y) / (Z_{(1)} - (Z_{(3)} + Z_{(4)}) / 2)$
==================  ======================================  ============================================

$Z$ are the logits and $Z_{(k)}$ the k-th largest of them.  A margin above 0 is a network that is misled.

The trap: far from the border, cross-entropy has a gradient of exactly zero in single precision (from a margin of about
104 on), and the attack stands still.  The margin keeps its slope; ``dlr`` also does not care how logits are scaled.

Source: Goodfellow et al. 2015; Carlini & Wagner 2017; Croce & Hein 2020, arXiv:2003.01690, equations 6 and 7.
"""

import torch

from lecturekit.errors import InputError


def cross_entropy(logits, y, target=None):
    """Return how unlikely the true class is, or how likely the target: logits (N, K) to scores (N,)."""
    if target is None:
        return torch.nn.functional.cross_entropy(logits, y, reduction="none")
    return -torch.nn.functional.cross_entropy(logits, target, reduction="none")


def margin(logits, y, target=None):
    """Return by how much the best other class beats the true one, or the target all others: (N, K) to (N,)."""
    if target is None:
        return best_other(logits, y) - value_of(logits, y)
    return value_of(logits, target) - best_other(logits, target)


def dlr(logits, y, target=None):
    """Return the difference of logits ratio, which stays the same when all logits are scaled: (N, K) to (N,).

    Raises: InputError for fewer than three classes, or fewer than four with a target: there is no ratio then.
    """
    needed = 3 if target is None else 4
    if logits.shape[1] < needed:
        raise InputError(f"dlr needs {needed} classes or more and there are {logits.shape[1]}; use margin")
    z = logits.topk(needed, dim=1).values  # largest first
    if target is None:
        return margin(logits, y) / (z[:, 0] - z[:, 2] + 1e-12)
    return (value_of(logits, target) - value_of(logits, y)) / (z[:, 0] - (z[:, 2] + z[:, 3]) / 2 + 1e-12)


def reached(logits, y, target=None):
    """Tell where the attacker has what he wants: another class than ``y``, or exactly the target.  (N,) bool."""
    named = logits.argmax(1)
    return named != y if target is None else named == target


def value_of(logits, classes):
    """Return the logit of one class of each picture: (N,)."""
    return logits.gather(1, classes[:, None])[:, 0]


def best_other(logits, classes):
    """Return the largest logit of all classes but one, also where every logit is negative: (N,)."""
    return logits.scatter(1, classes[:, None], -torch.inf).amax(1)
