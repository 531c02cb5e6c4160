"""The tasks of the exercise *features*: who is silent, what wakes a filter, what it marks, and what is broken in it.

All references follow the sources that `lecturekit.features` names, written once more in a few plain lines.
"""

import torch
from torch.nn.functional import normalize, pad

from lecturekit.course.asking import Certificate, Mistake, Task
from lecturekit.course.given import maps_net, sick_net
from lecturekit.course.handouts import patient
from lecturekit.course.tasks.telling import telling, whole

SIZE = 6, 7  # of the maps: not square, so that rows and columns cannot be confused unseen
ALIKE = 0.99  # cosine from which a filter repeats another


def answers(random, pictures, filters):
    """Return maps behind a ReLU, (pictures, filters, 6, 7): one filter is dead, and one fires at a single place."""
    level = torch.rand(filters, 1, 1, generator=random) - 0.7
    maps = (torch.randn(pictures, filters, *SIZE, generator=random) + level).relu()
    dead, sleepy = torch.randperm(filters, generator=random)[:2].tolist()
    maps[:, dead] = 0
    maps[:, sleepy] = 0
    maps[whole(0, pictures - 1, random), sleepy, whole(0, 5, random), whole(0, 6, random)] = 0.8
    return maps


# 1 · who is silent


def census(share, dead=None):
    """Return what somebody answers who computes the share of activity like this."""

    def counted(maps):
        found = share(maps)
        return found, (found == 0).nonzero().flatten().tolist() if dead is None else dead(maps)

    return counted


def fires(maps):
    """The share of all places of all pictures at which each filter answers above zero."""
    return (maps > 0).float().mean((0, 2, 3))


def silent(maps):
    """The numbers of the filters that fire nowhere."""
    return (fires(maps) == 0).nonzero().flatten().tolist()


ACTIVITY = Task(
    "activity",
    "The share of all places at which each filter answers above zero, and the numbers of the dead ones.",
    cases=lambda random: (answers(random, whole(2, 4, random), whole(5, 7, random)),),
    right=census(fires),
    mistakes=(
        Mistake("this is the share of pictures in which it fires somewhere: count places",
                census(lambda maps: (maps.amax((2, 3)) > 0).float().mean(0))),
        Mistake("zero is not above zero: behind a ReLU, >= is true everywhere",
                census(lambda maps: (maps >= 0).float().mean((0, 2, 3)))),
        Mistake("this is how strongly it answers on average; how often is asked for",
                census(lambda maps: maps.mean((0, 2, 3)))),
        Mistake("these are counts: divide by the number of places",
                census(lambda maps: (maps > 0).float().sum((0, 2, 3)))),
        Mistake("this is the share of silent places", census(lambda maps: 1 - fires(maps), silent)),
        Mistake("this is one share for each picture: the mean runs over the filters, too",
                census(lambda maps: (maps > 0).float().mean((1, 2, 3)))),
        Mistake("each picture has its own row: the mean must run over the pictures, too",
                census(lambda maps: (maps > 0).float().mean((2, 3)))),
        Mistake("a share lies in [0, 1]: these are percent", census(lambda maps: 100 * fires(maps))),
        Mistake("one of these fires once: that is rare, and not dead",
                census(fires, lambda maps: (fires(maps) < 0.02).nonzero().flatten().tolist())),
        Mistake("the dead filters are numbers in a list: `.nonzero().flatten().tolist()`",
                census(fires, lambda maps: fires(maps) == 0)),
        Mistake("the dead filters are numbers in a list: `.tolist()` makes one of a tensor",
                census(fires, lambda maps: (fires(maps) == 0).nonzero().flatten())),
        Mistake("these are the filters that are alive",
                census(fires, lambda maps: (fires(maps) > 0).nonzero().flatten().tolist())),
    ),
)  # fmt: skip


# 2 · what wakes a filter


def strongest(maps, k, *, score=None, down=True, places=None):
    """The k pictures in which each filter answers most, (K, k), and where in each, (K, k, 2)."""
    values, flat = maps.flatten(2).max(2)  # (N, K)
    values = values if score is None else score(maps)
    which = values.argsort(0, descending=down)[:k].T  # (K, k)
    flat = flat.T.gather(1, which)
    width = maps.shape[-1]
    return which, torch.stack([flat // width, flat % width], -1) if places is None else places(flat, maps)


def over_all(maps, k):
    """The bug: the k largest values of all places, so one picture may come twice."""
    flat = maps.transpose(0, 1).flatten(1).topk(k).indices  # (K, k)
    size, width = maps[0, 0].numel(), maps.shape[-1]
    return flat // size, torch.stack([flat % size // width, flat % width], -1)


def at_first(maps, k):
    """The bug: the place is that of the strongest picture, for all k."""
    which, places = strongest(maps, k)
    return which, places[:, :1].expand(-1, k, -1).clone()


TOP = Task(
    "top_patches",
    "For each filter the k pictures in which it answers most, the strongest first, and the place of the maximum.",
    cases=lambda random: (torch.randn(whole(10, 12, random), whole(5, 7, random), *SIZE, generator=random),
                          whole(3, 9, random)),
    right=strongest,
    mistakes=(
        Mistake("one picture comes twice: take the maximum over places first, then the k best pictures", over_all),
        Mistake("these are the weakest: sort from large to small", lambda *a: strongest(*a, down=False)),
        Mistake("a place is (row, column); these are (column, row)",
                lambda *a: (strongest(*a)[0], strongest(*a)[1].flip(-1))),
        Mistake("a row has W places: divide the flat place by the width, not by the height",
                lambda *a: strongest(*a, places=lambda flat, maps: torch.stack(
                    [flat // maps.shape[2], flat % maps.shape[2]], -1))),
        Mistake("the pictures are ordered by the mean of the map: its maximum counts",
                lambda *a: strongest(*a, score=lambda maps: maps.mean((2, 3)))),
        Mistake("every picture has a place of its own: gather it with the pictures' numbers", at_first),
        Mistake("the places are not in the order of the pictures: gather them with the pictures' numbers",
                lambda maps, k: (strongest(maps, k)[0], strongest(maps, len(maps))[1]
                                 .gather(1, strongest(maps, len(maps))[0].argsort(1)[..., None].expand(-1, -1, 2))
                                 [:, :k])),
        Mistake("one row for each filter: transpose the pictures, (K, k)",
                lambda *a: (strongest(*a)[0].T, strongest(*a)[1])),
        Mistake("the flat place is returned: row = flat // W, column = flat % W",
                lambda *a: strongest(*a, places=lambda flat, maps: flat)),
    ),
)  # fmt: skip


# 3 · what it saw


def cut_out(x, places, start, step, size, *, outside=0.5, move=lambda corner, limit: corner):
    """One square of each picture: its corner is ``start + step · place``; grey where it leaves the picture."""
    large = pad(x, (size,) * 4, value=outside)
    patches = []
    for picture, place in zip(large, places.tolist(), strict=True):
        top, left = (move(start + step * p, side - size) + size for p, side in zip(place, x.shape[-2:], strict=True))
        patches.append(picture[:, top : top + size, left : left + size])
    return torch.stack(patches)


def sights(random):
    """Return pictures, places on maps of half their size, and the receptive field of those maps."""
    n, size = whole(3, 4, random), 2 * whole(3, 5, random) + 1
    x, rows, columns = torch.rand(n, 3, 14, 18, generator=random), (0, 3, 6, 2), (8, 4, 1, 0)
    places = torch.tensor([*zip(rows, columns, strict=True)])[torch.randperm(4, generator=random)[:n]]
    return x, places, -(size // 2), 2, size


CROP = Task(
    "crop",
    "The square of each picture that the unit at its place saw; middle grey, 0.5, outside the picture.",
    cases=sights,
    right=cut_out,
    mistakes=(
        Mistake("outside the picture is middle grey, 0.5, and not black", lambda *a: cut_out(*a, outside=0.0)),
        Mistake("the square was pushed into the picture: a unit at the border sees less than a whole field",
                lambda *a: cut_out(*a, move=lambda corner, limit: min(max(corner, 0), limit))),
        Mistake("`start` is missing: the field of place 0 begins before the picture",
                lambda x, places, start, step, size: cut_out(x, places, 0, step, size)),
        Mistake("the places are on the map: one step there is `step` pixels",
                lambda x, places, start, step, size: cut_out(x, places, start, 1, size)),
        Mistake("row and column are exchanged: the first number is the row",
                lambda x, places, *a: cut_out(x, places.flip(1), *a)),
        Mistake("every picture has a place of its own; this is the first one's for all",
                lambda x, places, *a: cut_out(x, places[:1].expand_as(places), *a)),
        Mistake("start + step · place is the corner, not the middle",
                lambda x, places, start, step, size: cut_out(x, places, start - size // 2, step, size)),
        Mistake("every square comes from the first picture", lambda x, *a: cut_out(x[:1].expand_as(x), *a)),
    ),
)  # fmt: skip


# 4 · what it marks


def agreement(
    maps, thresholds, masks, *, over=(0, 2, 3), score=lambda both, marks, truth: both / (marks + truth - both)
):
    """How far what each filter marks and what is painted agree; ``score`` of the pixels in both, marked, painted."""
    marks, truth = maps > thresholds[:, None, None], masks[:, None].expand(-1, maps.shape[1], -1, -1)
    return score(*(each.float().sum(over) for each in (marks & truth, marks, truth)))


def thresholds_mixed(maps, thresholds, masks):
    """The bug: one threshold for all filters."""
    return agreement(maps, thresholds.mean().expand_as(thresholds), masks)


def with_the_part(maps, thresholds, masks):
    """The bug: pictures without the part are left out."""
    has = masks.flatten(1).any(1)
    return agreement(maps[has], thresholds, masks[has])


def painted(random):
    """Return maps as large as the pictures, thresholds that differ, and masks; the first picture lacks the part."""
    n, k = whole(3, 5, random), whole(4, 6, random)
    masks = torch.rand(n, *SIZE, generator=random) > 0.7
    masks[0] = False
    masks[1:, 2, 3] = True
    maps = torch.randn(n, k, *SIZE, generator=random) + masks[:, None] * torch.rand(k, 1, 1, generator=random)
    return maps, torch.rand(k, generator=random), masks


IOU = Task(
    "part_iou",
    "How far the places that a filter marks agree with the part: intersection over union, over all pictures.",
    cases=painted,
    right=agreement,
    mistakes=(
        Mistake("the union counts the intersection twice: marked + painted - both",
                lambda *a: agreement(*a, score=lambda both, marks, truth: both / (marks + truth))),
        Mistake("this is the mean of one IoU for each picture: sum both counts over all pictures, then divide",
                lambda *a: agreement(*a, over=(2, 3), score=lambda both, marks, truth:
                                     both / (marks + truth - both).clamp(min=1)).mean(0)),
        Mistake("pictures without the part count, too: what a filter marks there is wrong", with_the_part),
        Mistake("this is the share of the part that is marked: a filter that marks everything would be perfect",
                lambda *a: agreement(*a, score=lambda both, marks, truth: both / truth)),
        Mistake("this is the share of the marks that lie on the part: the rest of the part counts, too",
                lambda *a: agreement(*a, score=lambda both, marks, truth: both / marks)),
        Mistake("this is Dice, 2·both / (marked + painted); asked for is intersection over union",
                lambda *a: agreement(*a, score=lambda both, marks, truth: 2 * both / (marks + truth))),
        Mistake("every filter has a threshold of its own: `thresholds[:, None, None]`", thresholds_mixed),
        Mistake("every filter has a threshold of its own; this is the first one's for all",
                lambda maps, thresholds, masks: agreement(maps, thresholds[:1].expand_as(thresholds), masks)),
        Mistake("a filter marks where it is above its threshold, not above zero",
                lambda maps, thresholds, masks: agreement(maps, torch.zeros_like(thresholds), masks)),
        Mistake("a filter marks where it is above its threshold; these places are below",
                lambda maps, thresholds, masks: agreement(-maps, -thresholds, masks)),
        Mistake("each picture has its own row: sum over the pictures before you divide",
                lambda *a: agreement(*a, over=(2, 3))),
    ),
)  # fmt: skip


# 5 · which class wakes it


def by_class(codes, y, classes):
    """The mean answer of each filter to each class, (classes, K)."""
    return torch.stack([codes[y == c].mean(0) for c in range(classes)])


def index(means, others=None):
    """Selectivity from means (classes, K): the best class against the mean of the others; 0 for a dead filter."""
    best = means.max(0).values
    rest = (means.sum(0) - best) / (len(means) - 1) if others is None else others(means)
    return (best - rest) / (best + rest).clamp(min=1e-12)


def weighted(codes, y, classes):
    """The bug: the others are one heap of pictures, in which large classes count more."""
    means = by_class(codes, y, classes)
    best, c = means.max(0)
    rest = torch.stack([codes[y != c[k], k].mean() for k in range(codes.shape[1])])
    return (best - rest) / (best + rest).clamp(min=1e-12)


def unequal(random):
    """Return answers (N, K) of filters of which one is dead, and labels of classes of different size."""
    classes, k = whole(3, 5, random), whole(4, 7, random)
    y = torch.repeat_interleave(torch.arange(classes), torch.arange(2, 2 + classes))
    y = y[torch.randperm(len(y), generator=random)]
    codes = (torch.rand(len(y), k, generator=random) + torch.randn(classes, k, generator=random)[y]).relu()
    codes[:, whole(0, k - 1, random)] = 0
    return codes, y, classes


SELECTIVITY_MISTAKES = (
    Mistake("the dead filter became 0 / 0: put a floor under the denominator, `.clamp(min=1e-12)`",
            lambda *a: index(by_class(*a)).where(by_class(*a).amax(0) > 0, torch.nan)),
    Mistake("the rest is the mean of all other classes, not the second best one",
            lambda *a: index(by_class(*a), lambda means: means.sort(0, descending=True).values[1])),
    Mistake("the best class is in its own rest: leave it out of the mean",
            lambda *a: index(by_class(*a), lambda means: means.mean(0))),
    Mistake("classes differ in size: first the mean of every class, then the mean of these means", weighted),
    Mistake("these are sums over the class: a class with many pictures would always be the best",
            lambda codes, y, classes: index(torch.stack([codes[y == c].sum(0) for c in range(classes)]))),
    Mistake("the difference alone depends on the scale: divide by best + rest",
            lambda *a: (lambda means, best: best - (means.sum(0) - best) / (len(means) - 1))(
                by_class(*a), by_class(*a).amax(0))),
    Mistake("this is the number of the best class; how selective the filter is, is asked for",
            lambda *a: by_class(*a).argmax(0)),
    Mistake("the largest answer of a class says little: take the mean",
            lambda codes, y, classes: index(torch.stack([codes[y == c].amax(0) for c in range(classes)]))),
    Mistake("the rest is the mean of the other classes, not the worst of them",
            lambda *a: index(by_class(*a), lambda means: means.amin(0))),
)  # fmt: skip

SELECTIVITY = Task(
    "selectivity",
    "The class selectivity of each filter: (best - rest) / (best + rest) of its mean answers; 0 for a dead filter.",
    cases=telling(unequal, lambda codes, y, classes: index(by_class(codes, y, classes)), SELECTIVITY_MISTAKES),
    right=lambda codes, y, classes: index(by_class(codes, y, classes)),
    mistakes=SELECTIVITY_MISTAKES,
)  # fmt: skip


# 6 · who repeats whom


def earlier(alike):
    """The number of the first earlier filter that each one repeats, or -1; ``alike`` (K, K) bool."""
    before = alike.tril(-1)
    return torch.where(before.any(1), before.int().argmax(1), -1)


def cosines(weight):
    """The cosine between every two filters, (K, K)."""
    unit = normalize(weight.flatten(1), dim=1)
    return unit @ unit.T


def centred(weight):
    """The bug: the correlation, in which a constant does not count."""
    flat = weight.flatten(1)
    return cosines(flat - flat.mean(1, keepdim=True))


def family(random):
    """Return filters among which are a scaled copy, a negative one, one with a constant added, and one that is near."""
    weight = torch.randn(10, 3, 3, 3, generator=random)
    a, b, c, d = torch.randperm(4, generator=random).tolist()
    e, f, g, h = (5 + torch.randperm(5, generator=random)[:4]).tolist()
    weight[e] = 3 * weight[a]
    weight[f] = -0.5 * weight[b]
    weight[g] = weight[c] + 2  # correlation 1, cosine smaller
    weight[h] = normalize(weight[d], dim=(0, 1, 2)) + 0.1 * torch.randn(3, 3, 3, generator=random)
    return (weight,)


REPEATS_MISTAKES = (
    Mistake("every filter repeats itself: compare it with earlier ones only, `.tril(-1)`",
            lambda weight: (cosines(weight).abs() > ALIKE).int().argmax(1)),
    Mistake("a negative copy carries the same information: take the absolute value of the cosine",
            lambda weight: earlier(cosines(weight) > ALIKE)),
    Mistake("the length is missing: a copy three times as large is a copy; make every filter as long as 1 first",
            lambda weight: earlier((weight.flatten(1) @ weight.flatten(1).T).abs() > ALIKE)),
    Mistake("the distance sees scaled copies as different: compare directions",
            lambda weight: earlier(torch.cdist(weight.flatten(1), weight.flatten(1)) < 1 - ALIKE)),
    Mistake("this is the correlation: the cosine does not subtract the mean, a constant in a filter counts",
            lambda weight: earlier(centred(weight).abs() > ALIKE)),
    Mistake("the later one repeats the earlier one; here it is the other way round",
            lambda weight: torch.where((cosines(weight).abs() > ALIKE).triu(1).any(1),
                                       (cosines(weight).abs() > ALIKE).triu(1).int().argmax(1), -1)),
    Mistake("filters without a partner get -1; argmax says 0 where nothing is true",
            lambda weight: (cosines(weight).abs() > ALIKE).tril(-1).int().argmax(1)),
    Mistake("make every filter as long as 1, that is, every row: here it is every value, over the filters",
            lambda weight: earlier((normalize(weight.flatten(1), dim=0) @ normalize(weight.flatten(1), dim=0).T)
                                   .abs() > ALIKE)),
)  # fmt: skip

REPEATS = Task(
    "repeats",
    "For each filter the number of the first earlier one with |cosine| above 0.99, or -1 if there is none.",
    cases=telling(family, lambda weight: earlier(cosines(weight).abs() > ALIKE), REPEATS_MISTAKES),
    right=lambda weight: earlier(cosines(weight).abs() > ALIKE),
    mistakes=REPEATS_MISTAKES,
)  # fmt: skip


# 7 · the patient


def ill(model, x, *, dead=None, copy=None, loud=None):
    """The planted defects: which filter never fires, which repeats an earlier one, which always says the same."""
    values = model(x).transpose(0, 1).flatten(1)  # (K, places)
    alive = values.amax(1) > 0
    spread = torch.where(alive, values.std(1) / values.mean(1).clamp(min=1e-12), torch.inf)
    first = (~alive).int().argmax() if dead is None else dead(model, values)
    second = (earlier(cosines(model[0].weight).abs() > ALIKE) >= 0).int().argmax() if copy is None else copy(model)
    third = spread.argmin() if loud is None else loud(model, values)
    return [int(first), int(second), int(third)]


def closest(model):
    """The bug: the filter with the smallest distance to an earlier one."""
    flat = model[0].weight.flatten(1)
    later = torch.ones(len(flat), len(flat)).triu().bool()
    return torch.cdist(flat, flat).masked_fill(later, torch.inf).amin(1).argmin()


def admitted(random):
    """Return a network with three planted defects, and pictures to examine it with."""
    return sick_net(seed=whole(0, 999, random)), torch.rand(3, 3, *SIZE, generator=random)


DEFECTS_MISTAKES = (
    Mistake("dead: small weights are not dead, they may still fire; look at the answers",
            lambda *a: ill(*a, dead=lambda model, values: model[0].weight.flatten(1).norm(dim=1).argmin())),
    Mistake("dead: the lowest bias does not decide, the weights may lift it; look at the answers",
            lambda *a: ill(*a, dead=lambda model, values: model[0].bias.argmin())),
    Mistake("copy: the later one of the two is the copy",
            lambda *a: ill(*a, copy=lambda model: (cosines(model[0].weight).abs() > ALIKE).triu(1)
                           .any(1).int().argmax())),
    Mistake("copy: it may be scaled, so compare directions (cosine) and not distances",
            lambda *a: ill(*a, copy=closest)),
    Mistake("stuck: the strongest answer is not stuck if it varies; divide the deviation by the mean",
            lambda *a: ill(*a, loud=lambda model, values: values.mean(1).argmax())),
    Mistake("stuck: the dead filter varies least of all; leave it out",
            lambda *a: ill(*a, loud=lambda model, values: values.std(1).argmin())),
    Mistake("stuck: that varies most; asked for is the one that varies least compared with its mean",
            lambda *a: ill(*a, loud=lambda model, values: (values.std(1) / values.mean(1).clamp(min=1e-12))
                           .argmax())),
    Mistake("the order is dead, copy, stuck", lambda *a: ill(*a)[::-1]),
)  # fmt: skip

DEFECTS = Task(
    "defects",
    "The filters of model[0] that are dead, a copy of an earlier one, and stuck, on these pictures.",
    cases=telling(admitted, ill, DEFECTS_MISTAKES),
    right=ill,
    mistakes=DEFECTS_MISTAKES,
)  # fmt: skip


def number(value, most):
    """Return a value as a whole number from 0 to ``most`` - 1, or None."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < most else None


def buried(variant=0):
    """Return the check of the number of a filter of conv3 that must be silent on every picture of the patient."""

    def judge(value):
        model, x = patient(variant)
        filters = len(model.conv3.weight)
        k = number(value, filters)
        if k is None:
            return "no number of a filter", f"conv3 has filters 0 to {filters - 1}; hand in one whole number"
        before = model[: 1 + list(dict(model.named_children())).index("relu3")]
        share = fires(before(x))
        if share[k] > 0:
            return f"filter {k} fires at {100 * share[k]:.2f} % of all places", (
                "that is the busiest one: the dead one has a share of zero" if share.argmax() == k else
                "a dead filter fires nowhere: look behind relu3 and take the share that is exactly 0")  # fmt: skip
        return None

    return Certificate("dead_filter", "The number of the filter of conv3 that fires nowhere in your patient.", judge)


def doubled(variant=0):
    """Return the check of two filters of conv4 that must point in the same direction."""

    def judge(value):
        weight = patient(variant)[0].conv4.weight
        flat = value.flatten().tolist() if isinstance(value, torch.Tensor) else value
        pair = [number(one, len(weight)) for one in flat] if isinstance(flat, list | tuple) else []
        if len(pair) != 2 or None in pair:
            return "no two numbers of filters", f"conv4 has filters 0 to {len(weight) - 1}; hand in a pair (i, j)"
        if pair[0] == pair[1]:
            return f"filter {pair[0]} twice", "every filter is its own copy: leave the diagonal out"
        if (cosine := cosines(weight)[pair[0], pair[1]].abs().item()) <= ALIKE:
            return f"a cosine of {cosine:.3f} between filters {pair[0]} and {pair[1]}", (
                "the twins have a cosine of 1: normalise the flattened filters first, and look at conv4")  # fmt: skip
        return None

    return Certificate("twins", "Two filters of conv4 in your patient, one of which repeats the other.", judge)


# 8 · find the bug


def uphill(model, x, k, rate, steps, *, sign=1, box=True, late=False, share=False, piled=False, sized=False):
    """Gradient ascent on the mean of map k, each picture its own, and what becomes of it when a line is wrong."""
    x, heap = x.detach().clone(), 0
    for _ in range(steps):
        x.requires_grad_()
        score = model(x)[:, k].mean((1, 2))
        g = torch.autograd.grad(score.mean() if share else score.sum(), x)[0]
        heap = heap + g
        g = g / g.flatten(1).norm(dim=1)[:, None, None, None] if sized else g
        x = (x + sign * rate * (heap if piled else g)).detach()
        x = x.clamp(0, 1) if box and not late else x
    return x.clamp(0, 1) if late else x


def dreams(random):
    """Return a small network of maps, pictures to begin at, a filter, a rate, and a number of steps."""
    net = maps_net(seed=whole(0, 999, random))
    x = torch.rand(whole(2, 3, random), 3, 8, 8, generator=random)
    return net, x, whole(0, 3, random), float(whole(8, 20, random)), whole(3, 5, random)


MAXIMISE = Task(
    "maximise",
    "Gradient ascent: in each step `rate` times the gradient of the mean of map k, then back into [0, 1].",
    cases=dreams,
    right=uphill,
    mistakes=(
        Mistake("as it was: it goes downhill, the gradients pile up, the batch shares one mean, and nothing is clamped",
                lambda *a: uphill(*a, sign=-1, piled=True, share=True, box=False)),
        Mistake("the activation falls: an optimiser goes downhill; add the gradient instead of subtracting it",
                lambda *a: uphill(*a, sign=-1)),
        Mistake("it still descends, and the gradients still pile up", lambda *a: uphill(*a, sign=-1, piled=True)),
        Mistake("the sign is right now, but the gradients pile up: every step adds those of all steps before",
                lambda *a: uphill(*a, piled=True)),
        Mistake("the picture left [0, 1]: clamp it after every step", lambda *a: uphill(*a, box=False)),
        Mistake("clamp after every step, not only at the end: the next gradient must be that of a real picture",
                lambda *a: uphill(*a, late=True)),
        Mistake("the mean over the batch makes every step N times too small: sum over the pictures",
                lambda *a: uphill(*a, share=True)),
        Mistake("the gradient was made as long as 1; take it as it is", lambda *a: uphill(*a, sized=True)),
        Mistake("one step too few: count them", lambda m, x, k, r, n: uphill(m, x, k, r, n - 1)),
        Mistake("it returns after the first step: `return` stands inside the loop",
                lambda m, x, k, r, n: uphill(m, x, k, r, 1)),
        Mistake("this maximises all filters at once: take map k only",
                lambda m, x, k, r, n: uphill(lambda v: m(v).sum(1, keepdim=True), x, 0, r, n)),
    ),
)  # fmt: skip
