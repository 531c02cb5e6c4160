r"""DeepFool: the shortest way out, if the network were straight between here and the border.

PGD asks whether a ball of a given radius is enough.  DeepFool asks how large the ball must be.  If the logits were
linear, the border towards class $k$ would lie at the distance $|f_k| / \lVert w_k\rVert$, and the nearest one would be
reached in one step.  They are not, so the step is repeated:

=======================  ==========================================  ================================================
symbol                   `L2`                                        `Linf`
=======================  ==========================================  ================================================
$f_k$ and $w_k$          $Z_k - Z_y$ and its gradient                the same
distance to class $k$    $|f_k| / \lVert w_k\rVert_2$                $|f_k| / \lVert w_k\rVert_1$
step to the nearest      $|f_l|\, w_l / \lVert w_l\rVert_2^2$        $|f_l|\, \mathrm{sign}(w_l) / \lVert w_l\rVert_1$
=======================  ==========================================  ================================================

::

    x0 ---r1---> . ---r2---> | border    tested, followed on and returned: x0 + 1.02 (r1 + r2), clipped to [0, 1]

Three choices are ours, because the paper knows no box and no batch.  The sum of the steps is clipped, so that
a step which ran into the box is not carried on; a pixel at its end of the box has no gradient that leads further out,
else half of the pictures with black backgrounds never arrive; and after the first step only the three nearest classes
are asked again, at half of the price.  (The authors' program never clips; torchattacks stretches every single step.)

Each gradient is that of a whole batch, and pictures beyond the border leave it; a peer that takes the pictures one by
one needs many times as long.

The trap: a picture that is named wrongly already has the distance 0.  It comes back as it is.

Source: Moosavi-Dezfooli et al. 2016, arXiv:1511.04599, algorithm 2 and equations 10 to 12.
"""

import torch

from lecturekit.attacks.gradient import interruptible, kept
from lecturekit.attacks.guard import attacking, check_steps, checked_logits
from lecturekit.attacks.result import judge
from lecturekit.attacks.scores import reached, value_of
from lecturekit.attacks.threat import L2, Linf, into_box
from lecturekit.errors import InputError, ModelError
from lecturekit.progress import Step, stopped

AGAIN = (
    3  # rivals that are asked again after the first step: the nearest ones then; asking all nine found no shorter way
)


def deepfool(model, x, y, *, norm=L2, steps=50, classes=10, overshoot=0.02, watch=None):
    """Look for the smallest change that makes the network name any other class.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.
        x: clean pictures, (N, C, H, W) in [0, 1].
        y: true classes, (N,) int64; the pictures that the network names otherwise come back unchanged.
        norm: what is to be small: the class `L2` or `Linf` itself, without a radius.
        steps: at most.
        classes: how many of the classes that are likeliest for the clean picture take part, the true one among them.
        overshoot: by how much the change is stretched, so that it ends beyond the border and not on it.
        watch: see `lecturekit.progress`; what it stops is handed back with ``complete=False``.
    Returns: `Adversarial` without a ball; ``gradients`` counts one per class and step, ``queries`` the tests between.
    Raises: InputError, ModelError: see `guard`; InputError for another norm, one class, a negative stretch.
    """
    check_shortest(norm, steps, classes, overshoot)
    with attacking(model, x, y):
        found, counts = shortest(model, x.detach(), y, norm, steps, classes, overshoot, watch)
        return judge(model, x, found, y, attack="DeepFool", size=norm.size, **counts)


def shortest(model, x0, y, norm, steps, classes, overshoot, watch):
    """Return pictures (N, C, H, W), what `Adversarial` counts, and what the network says of the clean pictures."""
    found, gradients, queries, flat = x0.clone(), torch.zeros_like(y), torch.zeros_like(y), torch.zeros_like(y)
    said = None
    rows, complete, rivals = torch.arange(len(x0), device=x0.device), True, None
    clean, r = x0, torch.zeros_like(x0)
    with interruptible() as interrupted:
        for step in range(steps + 1 if len(x0) else 0):
            x, logits = asked(model, found if step == 0 else kept(found, rows), y[rows])
            queries[rows] += 1
            said = logits.detach() if said is None else said
            if rivals is None:  # likeliest of the clean picture, the true class apart: (N, classes - 1)
                rivals = said.scatter(1, y[:, None], -torch.inf).topk(min(classes, logits.shape[1]) - 1).indices
            stays = ~reached(logits, y[rows])
            if not stays.all():
                rows, clean, r, rivals = (kept(old, stays) for old in (rows, clean, r, rivals))
            if step == steps or not len(rows):
                break
            if not stays.all():  # the way back through those that left would cost more than another way up
                x, logits = asked(model, kept(found, rows), y[rows])
            way, distances = nearest(x, logits, y[rows], rivals, norm)
            gradients[rows] += rivals.shape[1]
            flat[rows] += distances.isinf().all(1).long()
            r = into_box(clean + r + way) - clean
            found[rows] = into_box(clean + (1 + overshoot) * r)
            if step == 0:
                rivals = rivals.gather(1, distances.argsort(1)[:, :AGAIN])
            note = f"{len(x0) - len(rows)} of {len(x0)} beyond the border"
            if stopped(watch, Step(step + 1, steps, picture=found, note=note)):
                complete = False
                break
    ends = complete and not interrupted
    return found, {"gradients": gradients, "queries": queries, "flat": flat, "complete": ends, "clean": said}


def asked(model, x, y):
    """Return pictures and what the network says of them, both on autograd's tape."""
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        return x, checked_logits(model, x, y)


def nearest(x, logits, y, rivals, norm):
    """Return the step to the nearest border (n, C, H, W), and how far each rival is (n, k), were the network linear.

    Where the gradient towards a rival is zero it is infinitely far; where all are, the step is zero.
    """
    with torch.enable_grad():
        f = logits.gather(1, rivals) - value_of(logits, y)[:, None]  # (n, k)
        totals = f.sum(0).unbind()  # pictures are independent: one sum per class, n separate gradients
    far = f.detach().abs()
    distances, least, way = torch.empty_like(far), torch.full_like(far[:, 0], torch.inf), torch.zeros_like(x.detach())
    for k in range(len(totals)):  # one pass back per class for all pictures; torch's batched form is no faster
        (w,) = torch.autograd.grad(totals[k], x, retain_graph=k + 1 < len(totals))
        if not torch.isfinite(w).all():
            raise ModelError("the gradient holds NaN or infinite values; the way to the border would be anywhere")
        w = w * torch.where(w > 0, x < 1, x > 0)  # a white pixel gets no whiter: what cannot move is no way to go
        direction = norm.steepest(w)
        slope = (direction * w).flatten(1).sum(1)  # the dual norm: of L2 it is L2, of L-infinity it is L1
        distances[:, k] = torch.where(slope > 0, far[:, k] / slope, torch.inf)
        nearer = distances[:, k] < least
        least = torch.where(nearer, distances[:, k], least)
        way[nearer] = least[nearer][:, None, None, None] * direction[nearer]
    return way.detach(), distances


def check_shortest(norm, steps, classes, overshoot):
    """Refuse what the search cannot work with."""
    check_steps(steps)
    check_steps(classes, "classes")
    if norm not in (L2, Linf):
        raise InputError(f"norm must be the class L2 or Linf, without a radius, but is {norm!r}")
    if classes < 2:
        raise InputError("classes must be 2 or more: the true one, and another to go to")
    if not (isinstance(overshoot, int | float) and 0 <= overshoot < 1):
        raise InputError(f"overshoot must be a share, 0 <= overshoot < 1, e.g. 0.02, but is {overshoot!r}")
