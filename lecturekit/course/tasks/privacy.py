"""The tasks of the exercise *privacy*: find a person by a code, defend the code, and read pictures out of a gradient.

All references follow the sources that `lecturekit.privacy` names, written once more in a few plain lines.
"""

import torch
from torch.nn.functional import cross_entropy, normalize

from lecturekit.course.asking import Certificate, Mistake, Task
from lecturekit.course.handouts import lineup, private_picture, suspects
from lecturekit.course.tasks.features import number
from lecturekit.course.tasks.telling import telling, whole

RECOVERED = 1 / 255  # how far each pixel of the recovered picture may be off: one grey level

# 1 · two distances


def spread(a, b, power=2):
    """The differences of all codes a (N, D) and b (M, D), to a power and summed: (N, M)."""
    return (a[:, None] - b[None]).abs().pow(power).sum(2)


def angle(a, b, dim=1):
    """One minus the cosine between all codes a (N, D) and b (M, D): (N, M)."""
    return 1 - normalize(a, dim=dim) @ normalize(b, dim=dim).T


def both(euclid=lambda a, b: spread(a, b).sqrt(), cosine=angle):
    """Return what somebody answers who computes the two distances like this."""
    return lambda a, b: [euclid(a, b), cosine(a, b)]


DISTANCES = Task(
    "distances",
    "The Euclidean distance and the cosine distance, 1 - cos, from every code to every code of the gallery.",
    cases=lambda random: ((1 + torch.randn(whole(2, 4, random), 6, generator=random)) * 1.5,
                          1 + torch.randn(whole(5, 8, random), 6, generator=random)),
    right=both(),
    mistakes=(
        Mistake("Euclid: the root is missing, these are squares", both(spread)),
        Mistake("Euclid: sum over the values of a code, do not take their mean",
                both(lambda a, b: (spread(a, b) / a.shape[1]).sqrt())),
        Mistake("Euclid: these are sums of absolute differences; square them, sum, take the root",
                both(lambda a, b: spread(a, b, 1))),
        Mistake("cosine: this is the similarity, large for what is near; the distance is 1 - cos",
                both(cosine=lambda a, b: 1 - angle(a, b))),
        Mistake("cosine: the codes must be made as long as 1 first", both(cosine=lambda a, b: 1 - a @ b.T)),
        Mistake("cosine: each code is a row; make the rows as long as 1, not the columns",
                both(cosine=lambda a, b: angle(a, b, dim=0))),
        Mistake("Euclid compares the codes as they are; only the cosine forgets their length",
                both(lambda a, b: spread(normalize(a, dim=1), normalize(b, dim=1)).sqrt())),
        Mistake("rows are the codes that are sought, columns the gallery: transpose",
                lambda a, b: [each.T for each in both()(a, b)]),
        Mistake("the order is Euclid first, then the cosine", lambda a, b: both()(a, b)[::-1]),
    ),
)  # fmt: skip


# 2 · found, and chance


def identified(distances, own, k, *, ahead=None, within=None, chance=None):
    """The share of codes whose person is among the k nearest, ties counting against, and what guessing gives."""
    right = distances.gather(1, own[:, None])
    rank = (distances <= right).sum(1) - 1 if ahead is None else ahead(distances, right)
    found = rank < k if within is None else within(rank)
    return [found.float().mean().item(), k / distances.shape[1] if chance is None else chance]


def by_luck(distances, own, k):
    """The bug: topk breaks ties in whatever order they stand."""
    return (distances.topk(k, largest=False).indices == own[:, None]).any(1).float().mean().item()


def queue(random):
    """Return distances in coarse steps, so that there are ties, to some people; who is right; and the length k."""
    n, people, k = whole(18, 24, random), whole(13, 17, random), whole(2, 4, random)
    own = torch.randint(people, (n,), generator=random)
    distances = torch.randint(4, 14, (n, people), generator=random).float() / 4
    distances[torch.arange(n), own] -= torch.randint(0, 7, (n,), generator=random) / 4
    distances[0] = 1.5  # a constant code: everybody is equally near
    return distances, own, k


IDENTIFIED_MISTAKES = (
    Mistake("ties are counted in favour: a constant code would find everybody; who is equally near stands before",
            lambda *a: identified(*a, ahead=lambda d, right: (d < right).sum(1))),
    Mistake("topk breaks ties by luck; count how many are at least as near instead",
            lambda d, own, k: [by_luck(d, own, k), k / d.shape[1]]),
    Mistake("chance for a list of k is k / P, not 1 / P: guessing may name k people",
            lambda d, own, k: identified(d, own, k, chance=1 / d.shape[1])),
    Mistake("chance is counted over the people of the gallery, not over the codes",
            lambda d, own, k: identified(d, own, k, chance=k / len(d))),
    Mistake("the right person is counted as somebody who stands before: subtract 1",
            lambda d, own, k: identified(d, own, k, within=lambda rank: rank + 1 < k)),
    Mistake("one too many: ranks begin at 0, so the first k are `rank < k`",
            lambda d, own, k: identified(d, own, k, within=lambda rank: rank <= k)),
    Mistake("these are the farthest: a small distance is near",
            lambda d, own, k: identified(-d, own, k)),
    Mistake("this asks for the nearest only: the first k count",
            lambda d, own, k: identified(d, own, k, within=lambda rank: rank < 1)),
    Mistake("a share lies in [0, 1]: these are percent",
            lambda *a: [100 * each for each in identified(*a)]),
    Mistake("divide by the number of codes: this is a count",
            lambda d, own, k: [identified(d, own, k)[0] * len(d), k / d.shape[1]]),
)  # fmt: skip

IDENTIFIED = Task(
    "identified",
    "The share of codes whose right person is among the k nearest, and chance; who is equally near counts against.",
    cases=telling(queue, identified, IDENTIFIED_MISTAKES),
    right=identified,
    mistakes=IDENTIFIED_MISTAKES,
)  # fmt: skip


# 3 · two defences


def hushed(codes, strength, noise, *, scale=None):
    """Codes with noise of ``strength`` times their deviation; ``noise`` is drawn with deviation 1."""
    return codes + strength * (codes.std() if scale is None else scale(codes)) * noise


def coded(random):
    """Return codes whose values differ in size, a strength, and noise of deviation 1."""
    n = whole(3, 5, random)
    sizes = torch.tensor([0.3, 1.0, 2.0, 4.0, 8.0])
    codes = (torch.randn(n, 5, generator=random) * sizes + sizes).relu()
    return codes, 0.25 * whole(2, 6, random), torch.randn(n, 5, generator=random)


NOISY = Task(
    "noisy",
    "Codes with noise added, as large as `strength` times the standard deviation of all values of all codes.",
    cases=coded,
    right=hushed,
    mistakes=(
        Mistake("the strength is in deviations of the codes: multiply by `codes.std()`",
                lambda *a: hushed(*a, scale=lambda codes: 1.0)),
        Mistake("this is the variance: the noise is measured by the deviation, its root",
                lambda *a: hushed(*a, scale=lambda codes: codes.var())),
        Mistake("each value has a deviation of its own here; one for all values of all codes is asked for",
                lambda *a: hushed(*a, scale=lambda codes: codes.std(0))),
        Mistake("each code has a deviation of its own here; one for all values of all codes is asked for",
                lambda *a: hushed(*a, scale=lambda codes: codes.std(1, keepdim=True))),
        Mistake("the noise is multiplied with the code: zeros stay zero and tell who it is",
                lambda *a: hushed(*a, scale=lambda codes: codes)),
        Mistake("only the noise is returned: add it to the codes",
                lambda codes, *a: hushed(codes, *a) - codes),
        Mistake("one row of noise for all codes: the difference of two codes would not change at all",
                lambda codes, strength, noise: hushed(codes, strength, noise[:1])),
        Mistake("the noise is made as large as the mean; its measure is the deviation",
                lambda *a: hushed(*a, scale=lambda codes: codes.mean())),
        Mistake("nothing is clamped: noise may make a code negative, and must",
                lambda *a: hushed(*a).clamp(min=0)),
    ),
)  # fmt: skip


def stepped(codes, strength, *, to=torch.round, scale=None, back=True):
    """Codes rounded to multiples of ``strength`` deviations."""
    step = strength * (codes.std() if scale is None else scale(codes))
    return to(codes / step) * (step if back else 1)


QUANTISED = Task(
    "quantised",
    "Codes rounded to the nearest multiple of a step, `strength` times the deviation of all values of all codes.",
    cases=lambda random: coded(random)[:2],
    right=stepped,
    mistakes=(
        Mistake("this rounds down: the nearest multiple may be above", lambda *a: stepped(*a, to=torch.floor)),
        Mistake("this rounds up: the nearest multiple may be below", lambda *a: stepped(*a, to=torch.ceil)),
        Mistake("these are the numbers of the steps: multiply by the step again", lambda *a: stepped(*a, back=False)),
        Mistake("the step is in deviations of the codes: multiply by `codes.std()`",
                lambda *a: stepped(*a, scale=lambda codes: 1.0)),
        Mistake("each code has a step of its own: who rounds must use one for all",
                lambda *a: stepped(*a, scale=lambda codes: codes.std(1, keepdim=True))),
        Mistake("each value has a step of its own: who rounds must use one for all",
                lambda *a: stepped(*a, scale=lambda codes: codes.std(0))),
        Mistake("this is the variance: the step is measured by the deviation, its root",
                lambda *a: stepped(*a, scale=lambda codes: codes.var())),
        Mistake("the rounding error is returned: codes minus this is what is sent",
                lambda *a: a[0] - stepped(*a)),
    ),
)  # fmt: skip


# 4 · the label


def client(random, label=None):
    """Return what a client sends: the gradient of the cross-entropy on one picture, weight and bias of two layers."""
    x = torch.rand(1, 12, generator=random)
    parts = [torch.randn(*shape, generator=random) for shape in ((8, 12), (8,), (7, 8), (7,))]
    if label is None:
        label = whole(0, 6, random)
    for part in parts:
        part.requires_grad_()
    w1, b1, w2, b2 = parts
    loss = cross_entropy((x @ w1.T + b1).relu() @ w2.T + b2, torch.tensor([label]))
    return [each.detach() for each in torch.autograd.grad(loss, parts)]


def four_clients(random):
    """Return what four clients send, whose labels differ."""
    return ([client(random, label) for label in torch.randperm(7, generator=random)[:4].tolist()],)


def read(by):
    """Return what somebody answers who reads a label ``by`` the four tensors of each client."""
    return lambda sent: [int(by(*each)) for each in sent]


LABELS_MISTAKES = (
    Mistake("the true class is the only negative entry, p - 1; this is the largest: the class taken for it",
            read(lambda w1, b1, w2, b2: b2.argmax())),
    Mistake("this is the bias of the first layer; the last tensor belongs to the last layer",
            read(lambda w1, b1, w2, b2: b1.argmin())),
    Mistake("this is a place in the flattened weights; the bias has one number for each class",
            read(lambda w1, b1, w2, b2: w2.argmin())),
    Mistake("this is the entry nearest to zero: the least likely class",
            read(lambda w1, b1, w2, b2: b2.abs().argmin())),
    Mistake("return a list of whole numbers: `int(...)` or `.item()` for each client",
            lambda sent: torch.stack([each[-1].argmin() for each in sent])),
    Mistake("this is the gradient itself, not where it is smallest: `argmin`",
            lambda sent: [each[-1].min().item() for each in sent]),
    Mistake("all clients got the label of the first one",
            lambda sent: [int(sent[0][-1].argmin())] * len(sent)),
    Mistake("the clients' gradients were added up: read each alone",
            lambda sent: [int(sum(each[-1] for each in sent).argmin())] * len(sent)),
)  # fmt: skip

LABELS = Task(
    "labels",
    "The class of the one picture behind each gradient, read from the bias of the last layer: a list of numbers.",
    cases=telling(four_clients, read(lambda w1, b1, w2, b2: b2.argmin()), LABELS_MISTAKES),
    right=read(lambda w1, b1, w2, b2: b2.argmin()),
    mistakes=LABELS_MISTAKES,
)  # fmt: skip


# 5 · the picture


def picked(weight, bias, shape, *, unit=None, quotient=lambda w, b: w / b, arrange=None):
    """The input of a linear layer: the gradient of its weight over that of its bias, where the latter is largest."""
    k = bias.abs().argmax() if unit is None else unit(weight, bias)
    x = quotient(weight[k], bias[k])
    return x.reshape(1, *shape) if arrange is None else arrange(x)


def stretched(weight, bias, shape):
    """The bug: the darkest pixel is made black, the brightest white."""
    x = picked(weight, bias, shape)
    return (x - x.min()) / (x.max() - x.min())


def silent_first(random):
    """Return the gradient of a linear layer behind which unit 0 is silent, and the shape of the picture."""
    shape, x = (3, 8, 9), 0.2 + 0.6 * torch.rand(216, generator=random)
    bias = 0.3 * torch.randn(6, generator=random)
    bias[0], bias[3] = 0, -1.2 - torch.rand((), generator=random)
    return bias[:, None] * x, bias, shape


LEAK = Task(
    "leak",
    "The picture behind the gradient of a linear layer: weight's over bias's, at the unit whose bias's is largest.",
    cases=silent_first,
    right=picked,
    mistakes=(
        Mistake("unit 0 is silent, so this is 0 / 0: take the unit whose gradient of the bias is largest in size",
                lambda *a: picked(*a, unit=lambda weight, bias: 0)),
        Mistake("the division is missing: the gradient of the weight is the picture times that of the bias",
                lambda *a: picked(*a, quotient=lambda w, b: w)),
        Mistake("it is multiplied with the gradient of the bias: divide",
                lambda *a: picked(*a, quotient=lambda w, b: w * b)),
        Mistake("the fraction stands upside down", lambda *a: picked(*a, quotient=lambda w, b: b / w)),
        Mistake("divide by the gradient of the bias with its sign: this picture is negative",
                lambda *a: picked(*a, quotient=lambda w, b: w / b.abs())),
        Mistake("this is the unit whose gradient is smallest in size, that is, zero: 0 / 0",
                lambda *a: picked(*a, unit=lambda weight, bias: bias.abs().argmin())),
        Mistake("the mean over all units has a 0 / 0 in it: take one unit",
                lambda weight, bias, shape: (weight / bias[:, None]).mean(0).reshape(1, *shape)),
        Mistake("the brightness was stretched: the quotient is the picture itself, in pixels", stretched),
        Mistake("nn.Flatten puts colour before rows and columns: reshape to (1, C, H, W) as it is",
                lambda weight, bias, shape: picked(weight, bias, shape, arrange=lambda x: x.reshape(
                    *shape[1:], shape[0]).permute(2, 0, 1)[None])),
        Mistake("rows and columns are exchanged: reshape to (1, C, H, W)",
                lambda weight, bias, shape: picked(weight, bias, shape, arrange=lambda x: x.reshape(
                    1, shape[0], shape[2], shape[1]).transpose(2, 3))),
    ),
)  # fmt: skip


# 6 and 7 · certificates


def recognised(variant=0):
    """Return the check of the number of the person whose code was stolen."""

    def judge(value):
        who, wanted = suspects(variant)
        k = number(value, 500)
        if k is None:
            return "no number of a person", "one whole number from `people`: `int(people[...])`"
        if k in range(20) and k not in who:
            return f"{k}, and nobody of that number is in the gallery", (
                "this looks like a place in the gallery: the person is `people[place]`")  # fmt: skip
        if k not in who:
            return f"{k}, and nobody of that number is in the gallery", "one of `people` is meant"
        if k == farthest(variant):
            return f"person {k}", "that is the person whose code is farthest away: a small distance is near"
        if k != wanted:
            hint = "compare codes, not pixels: send the gallery through the same layer, take the cosine distance"
            return f"person {k}, whose code is not nearest", hint
        return None

    return Certificate(
        "culprit", "The number of the person, among the 20 of the gallery, whose code was stolen.", judge
    )


def farthest(variant):
    """The person of the gallery whose code is farthest from the stolen one: what argmax of the distance finds."""
    from lecturekit import capture, networks

    gallery, people, code = lineup(variant)
    with torch.no_grad():
        codes = capture.cut(networks.load("people"), "embedding")(gallery)
    return int(people[angle(code, codes)[0].argmax()])


def developed(variant=0):
    """Return the check of a picture that must be the client's own, which is drawn here and nowhere else."""

    def judge(x):
        truth = private_picture(variant)[0]
        if not isinstance(x, torch.Tensor) or x.numel() != truth.numel() or not x.is_floating_point():
            return "no picture of shape (1, 3, 64, 64)", "12,288 numbers, in the order in which nn.Flatten reads them"
        if x.shape != truth.shape:
            return f"a tensor of shape {tuple(x.shape)}", "reshape it to (1, 3, 64, 64)"
        if not x.isfinite().all():
            return "infinite numbers", "you divided by a unit that is silent: take the one whose gradient is largest"
        off = (x.float() - truth).abs().max().item()
        if off <= RECOVERED:
            return None
        if (x.float() + truth).abs().max() <= RECOVERED:
            return "the negative of the picture", "divide by the gradient of the bias with its sign"
        if (x.float().flatten().sort().values - truth.flatten().sort().values).abs().max() <= RECOVERED:
            return "the right numbers in the wrong order", "reshape to (1, 3, 64, 64) and move nothing"
        shape = (x.float() - x.float().mean()) / x.float().std().clamp(min=1e-12)
        if (shape - (truth - truth.mean()) / truth.std()).abs().max() < 0.05:
            return (f"the right picture with the wrong brightness: a pixel is off by {255 * off:.0f} grey levels",
                    "divide by the gradient of the bias of the same unit, and stretch nothing")  # fmt: skip
        return f"a picture that is off by {255 * off:.0f} grey levels at one pixel", (
            "gradient of the first weight over gradient of the first bias, at one unit that is not silent")  # fmt: skip

    return Certificate("recovered", "The picture behind the gradient that a client sent, to one grey level.", judge)


# 8 · find the bug


def nearest(codes, people, shot, *, banned=None):
    """Top-1 without the very photograph: whose code is nearest to each, among the codes of other photographs?"""
    distance = torch.cdist(codes, codes)
    out = shot[:, None] == shot if banned is None else banned(codes, people, shot)
    return (people[distance.masked_fill(out, torch.inf).argmin(1)] == people).float().mean().item()


def album(random):
    """Return codes of three photographs of each of some people, some of them twice, mirrored: near copies."""
    people, codes, shot = [], [], []
    centres = torch.randn(5, 8, generator=random)
    for taken in range(15):
        code = centres[taken // 3] + (0.9 + 0.4 * (taken % 3)) * torch.randn(8, generator=random)
        copies = 1 + taken % 2
        codes += [code + 0.01 * torch.randn(8, generator=random) for _ in range(copies)]
        people += [taken // 3] * copies
        shot += [taken] * copies
    order = torch.randperm(len(codes), generator=random)
    return torch.stack(codes)[order], torch.tensor(people)[order], torch.tensor(shot)[order]


TOP1_MISTAKES = (
    Mistake("the very picture is still in the gallery: every code finds itself, at distance 0",
            lambda *a: nearest(*a, banned=lambda codes, people, shot: torch.zeros(len(codes), len(codes)).bool())),
    Mistake("only the code itself was left out; its mirrored copy has the same `shot` and is found instead",
            lambda *a: nearest(*a, banned=lambda codes, people, shot: torch.eye(len(codes)).bool())),
    Mistake("the person's other photographs must stay in the gallery: leave out the photograph, not the person",
            lambda *a: nearest(*a, banned=lambda codes, people, shot: people[:, None] == people)),
    Mistake("a share lies in [0, 1]: this is percent", lambda *a: 100 * nearest(*a)),
    Mistake("this is how often it fails", lambda *a: 1 - nearest(*a)),
    Mistake("this is a count: divide by the number of codes", lambda *a: len(a[0]) * nearest(*a)),
)  # fmt: skip

TOP1 = Task(
    "top1",
    "How often the nearest code of another photograph is one of the same person.",
    cases=telling(album, nearest, TOP1_MISTAKES),
    right=nearest,
    mistakes=TOP1_MISTAKES,
)  # fmt: skip
