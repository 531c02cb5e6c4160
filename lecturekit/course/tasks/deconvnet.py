"""The tasks of the exercise *deconvnet*: each step down, the whole way down, and a famous implementation mended.

Source: Zeiler & Fergus 2014, arXiv:1311.2901, section 2.1; the three rules as in Springenberg et al. 2015,
arXiv:1412.6806, figure 1.  All references are written once more in a few plain lines; `lecturekit.deconv` is not asked.
"""

import torch
from torch import nn
from torch.nn import functional as F

from lecturekit.course import handouts
from lecturekit.course.asking import Certificate, Mistake, Task, difference
from lecturekit.course.given import small_cnn
from lecturekit.course.tasks.telling import whole


def maps(random, channels=3, size=(6, 8)):
    """Return two or three signed maps that are not square."""
    return torch.randn(whole(2, 3, random), channels, *size, generator=random)


# 1 · switches


def windows(x, size, stride):
    """All windows: values and places, (N, C, h, w, size * size)."""
    places = torch.arange(x.shape[2] * x.shape[3]).view(1, 1, *x.shape[2:]).expand_as(x)
    return tuple(one.unfold(2, size, stride).unfold(3, size, stride).flatten(4) for one in (x, places))


def pooled(x, size, stride):
    """The maximum of every window, and where in the map it stood; among equals the first."""
    return F.max_pool2d(x, size, stride, return_indices=True)


def the_last(x, size, stride):
    """Somebody takes the last among equals."""
    values, places = windows(x, size, stride)
    return values.amax(-1), places.where(values == values.amax(-1, keepdim=True), -1).amax(-1)


def places_as(rename):
    """Return pooling whose switches are numbered in another way."""

    def wrong(x, size, stride):
        best, switches = pooled(x, size, stride)
        return best, rename(x, switches)

    return wrong


def by_columns(x, switches):
    """Somebody counts down the columns."""
    h, w = x.shape[2:]
    return switches % w * h + switches // w


def through_the_batch(x, switches):
    """Somebody counts through all maps of the batch."""
    n, c, h, w = x.shape
    return switches + torch.arange(n * c).view(n, c, 1, 1) * h * w


def in_the_window(x, size, stride):
    """Somebody says which place of the window it was."""
    values, _ = windows(x, size, stride)
    return values.max(-1).values, values.argmax(-1)


def of_the_smallest(x, size, stride):
    """Somebody notes where the minimum stood."""
    values, places = windows(x, size, stride)
    return values.amax(-1), places.gather(-1, values.argmin(-1, keepdim=True))[..., 0]


def by_size(x, size, stride):
    """Somebody compares sizes and not values."""
    values, places = windows(x, size, stride)
    best = values.abs().argmax(-1, keepdim=True)
    return values.gather(-1, best)[..., 0], places.gather(-1, best)[..., 0]


def pooling(random):
    """Return maps whose sides the windows of 3x3 fill, with equals in many of them, as behind a ReLU."""
    x = maps(random, size=(7, 9))
    return x.where(torch.rand(x.shape, generator=random) < 0.15, -0.2), 3, 2


POOL_WITH_SWITCHES = Task(
    "pool_with_switches",
    "The maximum of every window, and its switch: the place row · W + column of that maximum in the map.",
    cases=pooling,
    right=pooled,
    mistakes=(
        Mistake("the switch is the place in the window: unpooling needs the place in the whole map, row · W + column",
                in_the_window),
        Mistake("places are counted along the rows: row · W + column, not column · H + row", places_as(by_columns)),
        Mistake("every map begins again at 0: neither batch nor channel belongs to the switch",
                places_as(through_the_batch)),
        Mistake("among equals the first one counts: behind a ReLU many windows are all zeros", the_last),
        Mistake("these are the places of the smallest values", of_the_smallest),
        Mistake("the largest *value* is wanted, not the largest size: -3 is less than 1", by_size),
        Mistake("only the maxima are returned: the switches belong to them", lambda *a: pooled(*a)[0]),
        Mistake("the switches come second: maxima, then switches", lambda *a: pooled(*a)[::-1]),
        Mistake("this is the mean of every window, not its maximum",
                lambda x, size, stride: (F.avg_pool2d(x, size, stride), pooled(x, size, stride)[1])),
        Mistake("the windows are `stride` apart: theirs are side by side",
                lambda x, size, stride: pooled(x, size, size)),
    ),
)  # fmt: skip


def put_back(signal, switches, size, *, add=True):
    """Every value at its place; what meets another one there is added, or overwrites it."""
    out = signal.new_zeros(*signal.shape[:2], size[0] * size[1])
    if add:
        out.scatter_add_(2, switches.flatten(2), signal.flatten(2))
    else:
        out.scatter_(2, switches.flatten(2), signal.flatten(2))
    return out.unflatten(2, tuple(size))


def back(signal, switches, size):
    """Every value where its maximum stood, zeros elsewhere; in overlapping windows the values add up."""
    return put_back(signal, switches, size)


def overlapping(random):
    """Return a signed signal for windows of 3x3, two apart: at least two of them share a maximum."""
    while True:
        x = maps(random, size=(7, 9))
        _, switches = pooled(x, 3, 2)
        if all(one.unique().numel() < one.numel() for one in switches.flatten(2).flatten(0, 1)):
            return torch.randn(switches.shape, generator=random), switches, (7, 9)


def enlarged(signal, switches, size):
    """Somebody copies each value into its whole window."""
    return F.interpolate(signal, size=tuple(size))


def in_corners(signal, switches, size):
    """Somebody writes each value into the first corner of its window."""
    out = signal.new_zeros(*signal.shape[:2], *size)
    out[..., : 2 * signal.shape[2] : 2, : 2 * signal.shape[3] : 2] = signal
    return out


UNPOOL = Task(
    "unpool",
    "Every value of the signal back where its maximum stood, added up where windows overlap, zeros everywhere else.",
    cases=overlapping,
    right=back,
    mistakes=(
        Mistake("where two windows share a maximum, one value overwrites the other: they must be added (scatter_add)",
                lambda *a: put_back(*a, add=False)),
        Mistake("where two windows share a maximum, one value overwrites the other: they must be added (scatter_add)",
                lambda signal, switches, size: F.max_unpool2d(signal, switches, 3, 2, output_size=list(size))),
        Mistake("the signal is smeared over its windows: each value belongs to one place, its switch", enlarged),
        Mistake("each value went to the corner of its window: the switch says where it belongs", in_corners),
        Mistake("the signal was rectified: unpooling only moves values, negative ones too",
                lambda signal, switches, size: put_back(signal.relu(), switches, size)),
        Mistake("ones were put back, not the values of the signal",
                lambda signal, switches, size: put_back(torch.ones_like(signal), switches, size)),
        Mistake("every map has switches of its own; here all of them use those of the first map",
                lambda signal, switches, size: put_back(signal, switches[:, :1].expand_as(signal), size)),
        Mistake("every picture has switches of its own; here all of them use those of the first one",
                lambda signal, switches, size: put_back(signal, switches[:1].expand_as(signal), size)),
        Mistake("the map is flat: view it as (N, C, H, W) at the end",
                lambda signal, switches, size: put_back(signal, switches, size).flatten(2)),
        Mistake("height and width are exchanged: the row is switch // W",
                lambda signal, switches, size: put_back(signal, switches, size[::-1])),
    ),
)  # fmt: skip


# 2 · the filter, transposed


def turned_back(signal, weight, padding, *, flip=(2, 3), swap=True, around=None):
    """A convolution with kernels turned by 180 degrees, their channels exchanged."""
    kernel = weight.flip(flip) if flip else weight
    kernel = kernel.transpose(0, 1) if swap else kernel
    return F.conv2d(signal, kernel, None, padding=weight.shape[-1] - 1 - padding if around is None else around)


def transposed(signal, weight, padding):
    """The transpose of a convolution of stride 1."""
    return turned_back(signal, weight, padding)


def filters(random):
    """Return a signal, kernels with as many channels above as below, and a padding: then every mix-up runs."""
    size = whole(2, 3, random) * 2 + 1
    return maps(random), torch.randn(3, 3, size, size, generator=random), whole(1, size // 2 - 1, random)


FILTER_TRANSPOSED = Task(
    "filter_transposed",
    "The transpose of a convolution: a convolution with the kernels turned by 180°, channels exchanged, without bias.",
    cases=filters,
    right=transposed,
    mistakes=(
        Mistake("the kernels are not turned: flip both their rows and their columns",
                lambda *a: turned_back(*a, flip=())),
        Mistake("the kernels are turned along one axis only: rows and columns, 180 degrees",
                lambda *a: turned_back(*a, flip=(2,))),
        Mistake("the kernels are turned along one axis only: rows and columns, 180 degrees",
                lambda *a: turned_back(*a, flip=(3,))),
        Mistake("the axes of channels are not exchanged: what was put out comes in now",
                lambda *a: turned_back(*a, swap=False)),
        Mistake("this is the convolution itself, up and not down: turn the kernels and exchange their channels",
                lambda s, w, p: F.conv2d(s, w, None, padding=p)),
        Mistake("the kernels are neither turned nor are their channels exchanged",
                lambda *a: turned_back(*a, flip=(), swap=False)),
        Mistake("zeros around: what padding p took away on the way up comes back, k - 1 - p on every side, not p",
                lambda s, w, p: turned_back(s, w, p, around=p)),
        Mistake("zeros around: k - 1 - p on every side, so that the map has its old size again",
                lambda s, w, p: turned_back(s, w, p, around=w.shape[-1] - 1)),
        Mistake("zeros around: k - 1 - p on every side; k // 2 is right for one padding only",
                lambda s, w, p: turned_back(s, w, p, around=w.shape[-1] // 2)),
        Mistake("the signal was rectified: that is a step of its own", 
                lambda s, w, p: turned_back(s.relu(), w, p)),
        Mistake("the picture was rectified: that is a step of its own", lambda *a: turned_back(*a).relu()),
    ),
    rtol=1e-3, atol=1e-4,
)  # fmt: skip


# 3 · whom to ask


def kept(answers, filter, n, score=lambda each: each):
    """The ``n`` largest answers of one filter in each picture, zeros elsewhere; another ``score`` is a mistake."""
    flat = answers[:, filter].flatten(1)
    best = score(flat).topk(n, dim=1).indices
    out = torch.zeros_like(answers)
    out[:, filter] = torch.zeros_like(flat).scatter(1, best, flat.gather(1, best)).view_as(out[:, filter])
    return out


def top(answers, filter, n):
    """Only the ``n`` largest answers of one filter, in every picture."""
    return kept(answers, filter, n)


def of_all_filters(answers, filter, n):
    """Somebody lets all filters compete."""
    flat = answers.flatten(1)
    best = flat.topk(n, dim=1)
    return torch.zeros_like(flat).scatter(1, best.indices, best.values).view_as(answers)


def of_the_batch(answers, filter, n):
    """Somebody lets all pictures compete."""
    flat = answers[:, filter].flatten()
    best, out = flat.topk(n), torch.zeros_like(answers)
    out[:, filter] = torch.zeros_like(flat).scatter(0, best.indices, best.values).view_as(out[:, filter])
    return out


def whole_map(answers, filter, n):
    """Somebody keeps all of the filter."""
    out = torch.zeros_like(answers)
    out[:, filter] = answers[:, filter]
    return out


def answered(random):
    """Return the answers of four filters, none of them quite silent; one filter and a number."""
    answers = torch.rand(whole(4, 5, random), 4, 4, 5, generator=random)
    answers[:, 1] *= 3  # a loud one
    return answers, [0, 2, 3][whole(0, 2, random)], whole(2, 4, random)


KEEP_TOP = Task(
    "keep_top",
    "The n largest answers of one filter in each picture, each at its place, and zeros everywhere else.",
    cases=answered,
    right=top,
    mistakes=(
        Mistake("the whole map is kept: only its n largest values are asked for", whole_map),
        Mistake("all filters compete here: only the one that is asked about", of_all_filters),
        Mistake("all pictures compete here: every picture has n largest values of its own", of_the_batch),
        Mistake("ones are returned where the values belong", lambda *a: (top(*a) > 0).float()),
        Mistake("the other filters are still there: set them to zero",
                lambda answers, filter, n: answers.clone().index_copy(1, torch.tensor([filter]),
                                                                      top(answers, filter, n)[:, [filter]])),
        Mistake("these are the smallest values", lambda a, f, n: kept(a, f, n, score=torch.neg)),
        Mistake("only the strongest one is kept: n of them", lambda a, f, n: top(a, f, 1)),
        Mistake("the values themselves are returned: put each at its place among zeros",
                lambda a, f, n: a[:, f].flatten(1).topk(n, dim=1).values),
        Mistake("a map of one filter is returned: (N, C, h, w), with zeros for the others",
                lambda a, f, n: top(a, f, n)[:, f]),
        Mistake("`filter` chooses the picture here: the batch comes first, answers[:, filter]",
                lambda a, f, n: top(a.transpose(0, 1), f, n).transpose(0, 1)),
    ),
)  # fmt: skip


# 4 · three rules


def passed(signal, before):
    """The signal below a ReLU: gradient, DeconvNet, guided."""
    on = before > 0
    return signal * on, signal.relu(), signal.relu() * on


def rules(random):
    """Return a signal from above, and what came into the ReLU on the way up, some of it exactly zero."""
    signal = maps(random)
    before = torch.randn(signal.shape, generator=random)
    return signal, before * (torch.rand(before.shape, generator=random) > 0.2)


THREE_RULES = Task(
    "three_rules",
    "The signal below a ReLU under three rules: gradient, DeconvNet and guided, in this order.",
    cases=rules,
    right=passed,
    mistakes=(
        Mistake("gradient and DeconvNet are exchanged: the gradient asks the picture (before > 0), "
                "the DeconvNet asks the signal (signal > 0)", lambda s, b: (s.relu(), s * (b > 0), s.relu() * (b > 0))),
        Mistake("the DeconvNet has no forward mask: it rectifies the signal and does not look at the picture",
                lambda s, b: (s * (b > 0), s.relu() * (b > 0), s.relu() * (b > 0))),
        Mistake("the DeconvNet is plain backpropagation here: it rectifies the signal",
                lambda s, b: (s * (b > 0), s * (b > 0), s.relu() * (b > 0))),
        Mistake("guided has both gates: signal > 0 and before > 0",
                lambda s, b: (s * (b > 0), s.relu(), s.relu())),
        Mistake("guided has both gates: signal > 0 and before > 0",
                lambda s, b: (s * (b > 0), s.relu(), s * (b > 0))),
        Mistake("a ReLU that got exactly 0 was off: before > 0, not >= 0",
                lambda s, b: (s * (b >= 0), s.relu(), s.relu() * (b >= 0))),
        Mistake("a mask is 0 or 1: multiply by (before > 0), not by what the ReLU answered",
                lambda s, b: (s * b.relu(), s.relu(), s.relu() * b.relu())),
        Mistake("nothing is rectified: DeconvNet and guided drop what is negative in the signal",
                lambda s, b: (s * (b > 0), s, s * (b > 0))),
        Mistake("these are the masks: multiply the signal by them",
                lambda s, b: ((b > 0).float(), (s > 0).float(), ((s > 0) & (b > 0)).float())),
        Mistake("only one rule is returned: three signals, in the order of the question",
                lambda s, b: s.relu()),
    ),
)  # fmt: skip


# 5 · the whole way down


def climbed(net, x):
    """Return the answers, and what each layer must remember: the ReLUs their input, the poolings their switches."""
    memory = []
    for layer in net:
        if isinstance(layer, nn.MaxPool2d):
            y, switches = pooled(x, layer.kernel_size, layer.stride)
            memory.append((switches, x.shape[2:]))
        else:
            y = layer(x)
            memory.append(x)
        x = y
    return x, memory


def way_down(net, signal, memory, *, rule=1, bias="", last=False, flip=(2, 3), corners=False):
    """From a signal behind the last layer to the picture.

    Args:
        rule: which of `passed`; None for no rectification at all.
        bias: ``"added"`` behind the filters, as one that has as many maps, or ``"taken"`` away before them.
        last: rectify the picture, too.
        corners: unpool without switches.
    """
    for i in range(len(net) - 1, -1, -1):
        layer, seen = net[i], memory[i]
        if isinstance(layer, nn.MaxPool2d):
            signal = in_corners(signal, *seen) if corners else put_back(signal, *seen)
        elif isinstance(layer, nn.Conv2d):
            if bias == "taken":
                signal = signal - layer.bias.view(1, -1, 1, 1)
            signal = turned_back(signal, layer.weight, layer.padding[0], flip=flip)
            if bias == "added" and i:
                below = [one for one in net[:i] if isinstance(one, nn.Conv2d)][-1]
                signal = signal + below.bias.view(1, -1, 1, 1)
        elif rule is not None:
            signal = passed(signal, seen)[rule]
    return signal.relu() if last else signal


def descent(select=lambda a, f: kept(a, f, 1), **how):
    """Return a DeconvNet with something in it changed."""

    def projected(net, x, filter):
        with torch.no_grad():
            answers, memory = climbed(net, x)
            return way_down(net, select(answers, filter), memory, **how)

    return projected


def project(net, x, filter):
    """The DeconvNet: what in each picture made the filter answer most."""
    return descent()(net, x, filter)


def small_task(random):
    """Return a small network, pictures, and a filter that answers each of them."""
    while True:
        net = small_cnn(seed=whole(0, 9999, random))
        x = maps(random, size=(8, 10))
        with torch.no_grad():
            answers = net.build()(x).amax((2, 3))  # (N, filters)
        alive = (answers.amin(0) > 0.3).nonzero().flatten().tolist()
        if alive and difference(*(make(net.build(), x, alive[0]) for make in (project, descent(rule=2))), 1e-2, 1e-3):
            return net, x, alive[0]  # guided differs only below windows of zeros: here are some


def upsampled(net, x, filter):
    """Somebody unpools by copying."""
    with torch.no_grad():
        answers, _ = climbed(net, x)
        signal = turned_back(kept(answers, filter, 1), net[3].weight, 1)
        return turned_back(F.interpolate(signal, scale_factor=2).relu(), net[0].weight, 1)


STEP = "every rectification is missing: a signal that comes down is rectified at each ReLU"
DESCEND = Task(
    "descend",
    "The DeconvNet for conv-relu-pool-conv-relu: one filter's strongest answer in each picture, down to the pixels.",
    cases=small_task,
    right=project,
    mistakes=(
        Mistake(STEP, descent(rule=None)),
        Mistake("the picture was rectified: pixels have both signs, and there is no ReLU below the first convolution",
                descent(last=True)),
        Mistake("the biases of the way up were added on the way down: a picture of a bias is the same for every input",
                descent(bias="added")),
        Mistake("the biases were taken away on the way down: they play no part there", descent(bias="taken")),
        Mistake("this is the plain gradient: the DeconvNet rectifies the signal and ignores where the ReLU was on",
                descent(rule=0)),
        Mistake("this is guided backpropagation: the DeconvNet has no forward mask", descent(rule=2)),
        Mistake("all of the filter's map was sent down: only its strongest answer in each picture",
                descent(select=lambda a, f: whole_map(a, f, 1))),
        Mistake("all filters were sent down: set the others to zero", descent(select=lambda a, f: a)),
        Mistake("the strongest answer of *each* picture is asked for, not of the batch",
                descent(select=lambda a, f: of_the_batch(a, f, 1))),
        Mistake("a one was sent down: the answer itself belongs there",
                descent(select=lambda a, f: (kept(a, f, 1) > 0).float())),
        Mistake("the kernels are not turned on the way down", descent(flip=())),
        Mistake("the switches were not used: values went to the corners of their windows", descent(corners=True)),
        Mistake("the switches were not used: values were copied into the whole window", upsampled),
        Mistake("this is the true gradient of the strongest answer: the DeconvNet rectifies the signal, and begins "
                "with the answer and not with a one", descent(select=lambda a, f: (kept(a, f, 1) > 0).float(), rule=0)),
        Mistake("this is what goes up, the answers: it must come down to the pixels",
                lambda net, x, filter: kept(climbed(net, x)[0], filter, 1)),
    ),
    rtol=1e-3, atol=1e-5,
)  # fmt: skip


# 6 · find the bug


def all_the_way(net, signal, switches, **how):
    """The way down from a signal, with switches in the order of the way up."""
    places = iter(switches)
    found = [next(places) if isinstance(layer, nn.MaxPool2d) else None for layer in net]
    memory = [torch.ones(1) if one is None else (one, [2 * side for side in one.shape[2:]]) for one in found]
    with torch.no_grad():
        return way_down(net, signal, memory, **how)


def tall(random):
    """Return a network of three convolutions, the strongest answers of one filter, and the switches.

    Nothing is sent down in the first picture: it must stay grey.
    """
    while True:
        net = small_cnn(seed=whole(0, 9999, random), deep=3)
        x = maps(random, size=(8, 12))
        with torch.no_grad():
            answers, memory = climbed(net.build(), x)
        loud = answers[1:].amax((2, 3)).amin(0)  # (filters,)
        if loud.max() > 0.3:
            signal = kept(answers, int(loud.argmax()), 1)
            signal[0] = 0
            return net, signal, tuple(one[0] for one in memory if isinstance(one, tuple))


def mended(value, net, signal, switches):
    """Compare, and say what a picture to which nothing was sent down shows."""
    target = all_the_way(net, signal, switches)
    if not (different := difference(value, target, 1e-3, 1e-5)):
        return None
    if value is None:
        return different, "the function returns nothing: is `return` missing?"
    if difference(value, signal, 0, 0) is None:
        return different, "this is the signal as it came in: lead it down, layer by layer"
    if isinstance(value, torch.Tensor) and value.shape == target.shape and value[0].abs().max() > 1e-6:
        came = f"{different}; and the first picture is not grey, though nothing was sent down"
        return came, "something is added on the way down, a bias; a fresh ConvTranspose2d has a random one: bias=False"
    return different, "compare with your `descend`, layer by layer: two things differ"


def rectified_below(net, signal, switches):
    """Somebody rectifies behind every convolution, the first one included."""
    return all_the_way(net, signal, switches, last=True)


PROJECT_DOWN = Task(
    "project_down",
    "The DeconvNet for any chain of convolutions, ReLUs and 2x2 poolings: from signal and switches to the picture.",
    cases=tall,
    judge=mended,
    mistakes=(
        Mistake(f"no bias any more, but {STEP}", lambda *a: all_the_way(*a, rule=None)),
        Mistake("the biases of the way up were added on the way down: a picture of a bias is the same for every input",
                lambda *a: all_the_way(*a, bias="added")),
        Mistake("the biases were taken away on the way down: they play no part there",
                lambda *a: all_the_way(*a, bias="taken")),
        Mistake(f"the biases of the way up were added on the way down; and {STEP}",
                lambda *a: all_the_way(*a, bias="added", rule=None)),
        Mistake("the picture was rectified: there is no ReLU below the first convolution", rectified_below),
        Mistake("the kernels are not turned on the way down", lambda *a: all_the_way(*a, flip=())),
        Mistake("the switches were not used: values went to the corners of their windows",
                lambda *a: all_the_way(*a, corners=True)),
    ),
)  # fmt: skip


# 7 · a certificate


def stretched(x):
    """Somebody's picture for the screen: from 0 to 1."""
    return (x - x.min()) / (x.max() - x.min())


CLASSIC = {
    "the picture was rectified: it has both signs": descent(last=True),
    "the ReLUs on the way down are missing": descent(rule=None),
    "this is the plain gradient rule: the DeconvNet rectifies the signal": descent(rule=0),
    "this is guided backpropagation: the DeconvNet has no forward mask": descent(rule=2),
    "the biases of the way up were added on the way down": descent(bias="added"),
    "all of the filter's map was sent down: only its strongest answer": descent(select=lambda a, f: whole_map(a, f, 1)),
    "all filters were sent down: set the others to zero": descent(select=lambda a, f: a),
    "a one was sent down: the answer itself belongs there": descent(select=lambda a, f: (kept(a, f, 1) > 0).float()),
    "the kernels are not turned on the way down": descent(flip=()),
    "hand in the picture itself, not stretched to [0, 1] for the screen": lambda *a: stretched(project(*a)),
}


def projected_from(variant=0):
    """Return the check of a projection: the grader makes it once more, with a network of its own."""

    def judge(value):
        part, x, filter = handouts.unit(variant)
        target = project(part, x, filter)
        size = float(target.abs().max())
        if not (different := difference(value, target, 1e-3, 1e-3 * size)):
            return None
        if not isinstance(value, torch.Tensor) or value.shape != target.shape:
            return different, "a picture as conv1 sees it is wanted, (1, 3, 64, 64)"
        for hint, wrong in CLASSIC.items():
            if difference(value, wrong(part, x, filter), 1e-3, 1e-3 * size) is None:
                return different, hint
        if not value.any():
            return different, "the picture is empty: was anything sent down?"
        alike = float(F.cosine_similarity(value.double().flatten(), target.double().flatten(), 0))
        if alike > 0.999:
            return different, "the pattern is right and its scale is not: begin with the answer itself"
        return different, f"ask for filter {filter}, where it answers most, and go down with your `project_down`"

    return Certificate("projection", "What a DeconvNet paints for the strongest answer of your filter of relu3 in your "
                       "drawing, as conv1 sees it: (1, 3, 64, 64).", judge)  # fmt: skip
