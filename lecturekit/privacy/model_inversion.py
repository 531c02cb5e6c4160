r"""Model inversion: a network names people.  Can whoever may ask it get a face back from a name?

Nobody hands over a code here.  The attacker has only the network's *answers*: pictures in, one confidence for each
person out.  He looks for the picture that makes it surest of one name, and hopes that it resembles the person:

.. code-block:: text

    grey --> network --> 0.02 Ada
      ^                    |
      '--- a little more --'        until the network is sure: 0.99 Ada.  Is it Ada?

==================  ==========================================================================================
`mi_face`           with the network in hand: descends the gradient of $c(x) = 1 - f_{label}(x)$ from grey
`look_alike`        may only ask: shows it many public faces, and keeps the one that it takes for the person
`ask_only`          may only ask: searches among smooth mixtures of public faces (`Eigenfaces`), from a look-alike on
`rounded`           a defence: confidences with one or two digits
`label_only`        a defence: only the name
==================  ==========================================================================================

The trap: taking confidence for likeness.  A convolutional network can be surest of all about a picture that shows
nobody (a *fooling* image); that is a property of networks and no leak.  Whether anybody was found is not for the
attacked network to say: ask a judge, with a `reidentify.Gallery` of pictures that the network never saw.

Sources: Fredrikson, Jha & Ristenpart 2015, CCS, algorithm 1, and its section 6 for rounding; faces as mixtures: Turk &
Pentland 1991; a gradient from pairs of questions: Wierstra et al. 2014, JMLR 15; from labels alone: Kahla et al. 2022,
arXiv:2203.06580.
"""

import dataclasses

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lecturekit.attacks.gradient import interruptible
from lecturekit.attacks.guard import attacking, check_labels, check_steps, checked_logits
from lecturekit.errors import InputError, ModelError
from lecturekit.pixels import check_pixels
from lecturekit.privacy.judges import in_batches
from lecturekit.progress import Step, stopped

GREY = 0.5
PAIRS = 10  # random directions for one step; each is asked forwards and backwards
SMALLEST = 1e-6  # a confidence below it counts as this: log 0 would outweigh all other answers


@dataclasses.dataclass(frozen=True)
class Inverted:
    """Pictures that a network takes for the people asked for.

    Attributes:
        x: (N, C, H, W) in [0, 1].
        confidence: what the network says about each, measured anew on ``x``, (N,).
        queries: how many pictures the network was shown for all of them together.
        complete: False if `STOP` or Ctrl-C ended it early; the pictures are then the best so far.
    """

    x: torch.Tensor
    confidence: torch.Tensor
    queries: int
    complete: bool


# What the attacker may ask


def confidences(model):
    """Return the network as a service: pictures (N, C, H, W) to confidences (N, K), without gradients."""

    def api(x):
        return in_batches(model, check_pixels(x)).softmax(dim=1)

    return api


def rounded(api, digits):
    """Return a service that answers with so many decimal digits.

    Raises: InputError for anything but a whole number of digits from 1 on.
    """
    check_steps(digits, "digits")
    return lambda x: api(x).round(decimals=digits)


def label_only(api):
    """Return a service that says only the name: 1 for the surest, 0 for all others."""

    def answer(x):
        said = api(x)
        return torch.zeros_like(said).scatter_(1, said.argmax(dim=1, keepdim=True), 1.0)

    return answer


def regression(x, people, *, decay=1e-2, steps=40):
    """Train softmax regression on the pixels, the network that model inversion was first shown on.

    Args:
        x: pictures (N, C, H, W) in [0, 1].
        people: whom they show, (N,) int64, numbered from 0.
        decay: weight of the squared weights.
        steps: of L-BFGS.
    Returns: pixels (N, C, H, W) to logits (N, K), in eval mode; always the same for the same pictures.
    """
    check_labels(people, len(check_pixels(x)), "people")
    linear = nn.Linear(x[0].numel(), int(people.max()) + 1).to(x)
    for weight in linear.parameters():
        nn.init.zeros_(weight)  # the loss is convex: no need for luck
    optimiser = torch.optim.LBFGS(linear.parameters(), max_iter=steps)

    def loss():
        optimiser.zero_grad()
        value = cross_entropy(linear(x.flatten(1)), people) + decay * linear.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return nn.Sequential(nn.Flatten(), linear).eval()


# With the network in hand


def mi_face(
    model, label, *, size=(3, 64, 64), steps=300, length=3.0, patience=50, enough=0.99, process=None, watch=None
):
    r"""Descend $c(x) = 1 - f_{label}(x)$ from a grey picture, for all labels at once.

    One thing differs from the paper: every step has the same ``length``.  Where the network is sure that it is *not*
    the person, c is flat, and a step of $\lambda$ times its gradient would leave the picture grey.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to logits (N, K), in eval mode.
        label: whom to look for, (N,) int64.
        size: (C, H, W) of the picture.
        steps: at most so many (the paper's alpha).
        length: of a step, Euclidean over all pixel values; 3 changes a picture of 3x64x64 by 0.03 per value.
        patience: ends a picture whose cost has not fallen for so many steps (beta).
        enough: ends a picture of which the network is so sure (gamma).
        process: pictures -> pictures after each step, e.g. a filter that smoothes; None for none.
        watch: see `lecturekit.progress`.
    Returns: an `Inverted` with the surest picture of each label.
    Raises: ModelError for a network in training mode; InputError for labels or numbers that cannot be.
    Source: Fredrikson et al. 2015, algorithm 1.
    """
    check_steps(steps)
    check_steps(patience, "patience")
    if not (isinstance(length, int | float) and length > 0):
        raise InputError(f"length must be above 0, e.g. 3.0, got {length!r}")
    _check_people(label)
    x = torch.full((len(label), *size), GREY, device=label.device)
    best, cost = x.clone(), torch.full_like(x[:, 0, 0, 0], torch.inf)
    waited, queries, complete = torch.zeros_like(cost), 0, False
    with attacking(model, x, label), interruptible():
        checked_logits(model, x, label)
        for step in range(steps + 1):  # the last round only looks
            c, gradient = _cost(model, x, label)
            queries += len(x)
            better = c < cost
            best[better], cost = x[better], torch.where(better, c, cost)
            waited = torch.where(better, 0, waited + 1)
            active = (cost > 1 - enough) & (waited < patience)
            complete = step == steps or not active.any()
            done = steps if complete else step
            if stopped(watch, Step(done, steps, cost.mean().item(), best)) or complete:
                break
            moved = x - length * gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None, None]
            moved = moved.clamp(0, 1)
            x = torch.where(active[:, None, None, None], process(moved).clamp(0, 1) if process else moved, x)
    return Inverted(best, 1 - cost, queries, complete)


def _cost(model, x, label):
    """Return 1 - confidence of each picture, and its gradient."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        c = 1 - model(x).softmax(dim=1).gather(1, label[:, None])[:, 0]
        (gradient,) = torch.autograd.grad(c.sum(), x)
    return c.detach(), gradient


# Without it


@dataclasses.dataclass(frozen=True)
class Eigenfaces:
    """Smooth faces: the mean of public pictures, and the directions in which they differ most.

    Attributes:
        mean: (1, C, H, W).
        directions: (K, C, H, W), each as long as the public pictures vary along it.
    """

    mean: torch.Tensor
    directions: torch.Tensor

    @classmethod
    def of(cls, x, count=60):
        """Return the ``count`` principal directions of pictures (N, C, H, W) in [0, 1], N above count.

        Raises: InputError for too few pictures.
        """
        check_steps(count, "count")
        if len(check_pixels(x)) <= count:
            raise InputError(f"{len(x)} pictures differ in at most {len(x) - 1} directions; {count} were asked for")
        mean = x.mean(dim=0, keepdim=True)
        _, lengths, directions = torch.linalg.svd((x - mean).flatten(1), full_matrices=False)
        scaled = directions[:count] * lengths[:count, None] / len(x) ** 0.5
        return cls(mean, scaled.view(count, *x.shape[1:]))

    def __len__(self):
        """Return K."""
        return len(self.directions)

    def code(self, x):
        """Return the coordinates of pictures, (N, K): about 1 in size for public ones."""
        flat = self.directions.flatten(1)
        return (x - self.mean).flatten(1) @ flat.T / flat.square().sum(dim=1)

    def face(self, code):
        """Return the faces (N, C, H, W) in [0, 1] of coordinates (N, K)."""
        return (self.mean + (code @ self.directions.flatten(1)).view(-1, *self.mean.shape[1:])).clamp(0, 1)


def look_alike(api, label, public):
    """Show the network public faces, and return for each label the one that it takes most for that person.

    One question about a picture is answered for all labels at once.  Among equal answers the first face wins.

    Args:
        api: pictures (N, C, H, W) to confidences (N, K), see `confidences`.
        label: whom to look for, (N,) int64.
        public: faces of other people (M, C, H, W) in [0, 1].
    Returns: an `Inverted`.
    Raises: InputError for labels or pictures that cannot be; ModelError if the service gives no confidences.
    """
    _check_people(label)
    if not len(check_pixels(public, "public")):
        raise InputError("public holds no picture to ask about; pass at least one face")
    said, best = _asked(api, public, label).max(dim=0)
    return Inverted(public[best], said, len(public), True)


def ask_only(api, label, faces, start, *, steps=25, pairs=PAIRS, reach=0.3, rate=0.3, seed=0, watch=None):
    r"""Search among smooth faces by questions alone.

    Without a gradient one asks around: at $c + \sigma d$ and at $c - \sigma d$ for random directions d.  The mean of d,
    each weighted by how much surer the network is forwards than backwards, points uphill.  It does so for any answer
    that is not always the same: with a name alone it leads away from where the name is lost, to the middle of its
    region.

    Args:
        api: pictures (N, C, H, W) to confidences (N, K), see `confidences`.
        label: whom to look for, (N,) int64.
        faces: `Eigenfaces` of public people.
        start: one face for each label to begin with (N, C, H, W), e.g. ``look_alike(...).x``.
        steps, pairs: each step costs 2 ``pairs`` questions for each label.
        reach: $\sigma$, how far around to ask, in the coordinates of ``faces``.
        rate: length of a step, per coordinate.
        seed: of the directions.
        watch: see `lecturekit.progress`.
    Returns: an `Inverted`; the face around which the network was surest, of all those visited.
    Raises: InputError for labels, pictures or numbers that cannot be.
    """
    check_steps(steps)
    check_steps(pairs, "pairs")
    _check_people(label)
    if len(check_pixels(start, "start")) != len(label):
        raise InputError(f"start must hold one face for each of {len(label)} labels, got {len(start)}")
    generator = torch.Generator().manual_seed(seed)
    code, queries, complete = faces.code(start), 0, False
    best, score = code.clone(), torch.full_like(code[:, 0], -torch.inf)
    with interruptible():
        for step in range(steps):
            d = torch.randn(len(label), pairs, len(faces), generator=generator).to(code)
            said = _said_around(api, label, faces, code, reach * d)  # (N, 2 pairs)
            queries += said.numel()
            here = said.mean(dim=1)
            better = here > score
            best[better], score = code[better], torch.where(better, here, score)
            uphill = ((said[:, :pairs] - said[:, pairs:])[..., None] * d).mean(dim=1)
            code = code + rate * len(faces) ** 0.5 * uphill / uphill.norm(dim=1, keepdim=True).clamp_min(1e-30)
            complete = step + 1 == steps
            if stopped(watch, Step(step + 1, steps, -score.mean().item(), faces.face(best))):
                break
    x = faces.face(best)
    return Inverted(x, _asked(api, x, label).diagonal(), queries + len(label), complete)


def _said_around(api, label, faces, code, d):
    """Return the logarithm of what is said about each name's own faces at code + d, then at code - d, (N, 2 pairs)."""
    around = code[:, None] + torch.cat([d, -d], dim=1)  # (N, 2 pairs, K)
    said = _asked(api, faces.face(around.flatten(0, 1)), label).unflatten(0, around.shape[:2])  # (N, 2 pairs, N)
    return said.diagonal(dim1=0, dim2=2).T.clamp_min(SMALLEST).log()


def _asked(api, x, label):
    """Return how sure the service is of each label for each picture, (N, labels)."""
    said = api(x)
    if said.shape[:1] != x.shape[:1] or said.dim() != 2 or said.min() < 0 or said.max() > 1:
        raise ModelError(
            "the service must answer with confidences (N, K) between 0 and 1; confidences(model) makes one of a network"
        )
    if label.min() < 0 or label.max() >= said.shape[1]:
        raise InputError(f"labels must lie in 0 to {said.shape[1] - 1}, got {label.min()} to {label.max()}")
    return said[:, label]


def _check_people(label):
    """Refuse what does not name people."""
    if not isinstance(label, torch.Tensor) or label.dim() != 1:
        raise InputError(
            f"label must name the people to look for, (N,) int64, e.g. torch.tensor([3, 7]), got {type(label).__name__}"
        )
    check_labels(label, len(label), "label")
