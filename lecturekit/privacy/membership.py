r"""Membership: was this very picture among those that the network was trained on?

No picture is reconstructed here; the attacker has it already.  He wants to know whether *this* network learned from
it, and that alone can be a secret: whose scans are in the study?  A network that learned its pictures by heart has a
smaller loss on them than on others, so the simplest attack is one comparison:

======================  ==================================================================================
says "member"           if $L(x, y) \le \tau$; each threshold $\tau$ gives one point of the ROC
``tpr``                 the share of members that are called so (true positives)
``fpr``                 the share of strangers that are called members as well (false positives)
``auc``                 area below the curve: how often a member has a smaller loss than a stranger; 0.5 is guessing
``advantage``           max (tpr - fpr), at the best threshold there is
``tpr_at_1``            tpr where fpr is at most 1 %: may the attacker *accuse*, or only guess a little better?
======================  ==================================================================================

::

    membership(model, (x_train, y_train), (x_test, y_test)).auc

The first trap: strangers who differ in more than membership.  If the members are photographs and the strangers
drawings, any network "leaks".  Ask an untrained twin as well; its AUC must be 0.5.

The second: ``advantage`` is the best of all thresholds, chosen on the pictures that it is measured on.  Without any
leak it is therefore above 0, about 0.05 for 500 pictures each.  The AUC has no such bias.

Sources: threshold on the loss: Yeom et al. 2018, arXiv:1709.01604, section 3; 1 %: Carlini et al. 2022,
arXiv:2112.03570, section 3; the interval: Newcombe 2006, Statistics in Medicine 25, 559, method 5.
"""

import dataclasses
import math
import statistics

import torch
from torch.nn.functional import cross_entropy

from lecturekit.attacks.guard import check_labels, check_mode, checked_logits
from lecturekit.errors import InputError
from lecturekit.measure import Interval, proportion
from lecturekit.pixels import check_pixels
from lecturekit.privacy.judges import in_batches

FEW_ALARMS = 0.01
HALVINGS = 60  # of an interval of length 1: to the last bit of a float64


@dataclasses.dataclass(frozen=True)
class Membership:
    """How well members are told from strangers by their loss.

    Attributes:
        inside, outside: the losses of the members (M,) and of the strangers (N,), float64.
        thresholds: (T,), rising; the first is -inf, where nobody is called a member, then every loss that occurs.
        fpr, tpr: shares at each threshold, (T,), from 0 to 1.
        auc: `measure.Interval` over M + N pictures; two pictures of equal loss count as half.
        advantage: max (tpr - fpr); see the module for its bias.
        tpr_at_1: `measure.Interval` of the members found where at most 1 % of the strangers are accused.
    """

    inside: torch.Tensor
    outside: torch.Tensor
    thresholds: torch.Tensor
    fpr: torch.Tensor
    tpr: torch.Tensor
    auc: Interval
    advantage: float
    tpr_at_1: Interval

    def __repr__(self):
        """Return the three numbers, not the losses."""
        return f"Membership(auc={self.auc}, advantage={self.advantage:.2f}, tpr_at_1={self.tpr_at_1})"


def membership(model, inside, outside):
    """Attack a network with a threshold on its loss.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.
        inside: (x, y), pictures and classes that it was trained on.
        outside: (x, y), others *of the same kind*; as many or not.
    Returns: a `Membership`.
    Raises: ModelError for a network in training mode; InputError for fewer than two pictures on a side, or for pictures
        or labels that cannot be.
    Source: Yeom et al. 2018, arXiv:1709.01604, section 3.
    """
    check_mode(model)
    return told_apart(*(losses(model, *_pair(each, name)) for name, each in _named(inside, outside)))


def losses(model, x, y):
    """Return the cross-entropy of each picture, (N,) float64: float32 would call many certain answers equal."""
    logits = in_batches(model, x)
    checked_logits(lambda _: logits, x, y)
    return cross_entropy(logits.double(), y, reduction="none")


def told_apart(inside, outside):
    """Judge an attack by its numbers, e.g. the losses: members should have the smaller ones.

    Args:
        inside: one number for each member, (M,), finite.
        outside: one for each stranger, (N,).
    Returns: a `Membership`.
    Raises: InputError for fewer than two numbers in a row, or for some that are not finite.
    """
    inside, outside = (_row(each, name) for name, each in _named(inside, outside))
    values = torch.cat([inside, outside]).unique()  # equal losses make one threshold: all of them or none
    thresholds = torch.cat([values.new_tensor([-math.inf]), values])
    hits, alarms = (torch.searchsorted(each.sort().values, thresholds, right=True) for each in (inside, outside))
    tpr, fpr = hits / len(inside), alarms / len(outside)
    few = fpr <= FEW_ALARMS
    return Membership(
        inside, outside, thresholds, fpr, tpr,
        auc=_auc(torch.trapezoid(tpr, fpr).item(), len(inside), len(outside)),
        advantage=(tpr - fpr).max().item(),
        tpr_at_1=proportion(hits[few].max(), len(inside)),
    )  # fmt: skip


def _auc(area, m, n, level=0.95):
    r"""Return the `Interval` of an area from m members and n strangers: all $\theta$ that the area does not refute.

    The variance of the area is that of Hanley & McNeil at $\theta$, not at the area itself: there it would be 0 for an
    area of 1, as if ten pictures told apart were proof for all.
    """
    z, half = statistics.NormalDist().inv_cdf((1 + level) / 2), (m + n) / 2 - 1

    def refuted(theta):
        spread = 1 + half * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (area - theta) ** 2 > z**2 * theta * (1 - theta) * spread / (m * n)

    return Interval(area, _edge(refuted, 0.0, area), _edge(refuted, 1.0, area), m + n, level)


def _edge(refuted, outer, inner):
    """Return where ``refuted`` becomes true on the way from ``inner``, where it is false, to ``outer``."""
    if not refuted(outer):
        return outer
    for _ in range(HALVINGS):
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if refuted(middle) else (outer, middle)
    return inner


def _named(inside, outside):
    return {"inside": inside, "outside": outside}.items()


def _pair(pair, name):
    """Return pictures and labels, both looked at."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise InputError(f"{name} must be a pair (x, y), pictures and their classes, got {type(pair).__name__}")
    x, y = pair
    check_pixels(x, f"x of {name}")
    check_labels(y, len(x), f"labels of {name}")
    if len(x) < 2:
        raise InputError(
            f"{name} holds {len(x)} pictures; an attack is judged on at least two members and two strangers"
        )
    return x, y


def _row(values, name):
    """Return one finite number for each picture, (n,) float64."""
    values = torch.as_tensor(values, dtype=torch.float64).detach()
    if values.dim() != 1 or len(values) < 2:
        raise InputError(
            f"{name} must be one number for each of at least two pictures, got shape {tuple(values.shape)}"
        )
    if wrong := int((~torch.isfinite(values)).sum()):
        raise InputError(f"{wrong} of {len(values)} numbers of {name} are NaN or infinite; no threshold can sort them")
    return values
