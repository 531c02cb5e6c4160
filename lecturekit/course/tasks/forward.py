"""The tasks of the exercise *forward*: convolution, pooling with switches, receptive fields, hooks, and who answered.

The references are torch's own operations; what a receptive field is stands in Dumoulin & Visin 2016, arXiv:1603.07285.
"""

import itertools

import torch
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad, relu

from lecturekit.course.asking import Certificate, Mistake, Task, Wrong
from lecturekit.course.given import nosy_net, overwriting_net
from lecturekit.course.handouts import listener
from lecturekit.course.tasks.attacks import whole

ENOUGH = 0.99  # of the strongest answer that any picture can get
VISITS = itertools.count()  # every question about hooks has a network of its own


# 1 · one place


def one_place(x, weight, bias, row, column):
    """What all filters answer where the corner of their window lies at (row, column)."""
    k = weight.shape[-1]
    return (weight * x[:, row : row + k, column : column + k]).sum((1, 2, 3)) + bias


def placed(random):
    """Return a picture, filters, and a place from which every neighbouring place can be reached as well."""
    x, weight = torch.rand(3, 7, 8, generator=random), torch.randn(4, 3, 3, 3, generator=random)
    row = whole(1, 3, random)
    return x, weight, torch.randn(4, generator=random), row, whole(row + 1, 4, random)


ONE_PLACE = Task(
    "one_place",
    "What every filter answers at one place: weights times the pixels under the window, summed, plus the bias.",
    cases=placed,
    right=one_place,
    mistakes=(
        Mistake("the bias is missing", lambda x, w, b, r, c: one_place(x, w, 0 * b, r, c)),
        Mistake("the filters were turned round: what networks call a convolution does not flip them",
                lambda x, w, b, r, c: one_place(x, w.flip(-2, -1), b, r, c)),
        Mistake("(row, column) is the upper left corner of the window, not its centre",
                lambda x, w, b, r, c: one_place(x, w, b, r - 1, c - 1)),
        Mistake("row and column are swapped: a tensor has the row first",
                lambda x, w, b, r, c: one_place(x, w, b, c, r)),
        Mistake("the colours are still apart: the sum runs over them, too",
                lambda x, w, b, r, c: (w * x[:, r : r + 3, c : c + 3]).sum((2, 3)) + b[:, None]),
        Mistake("only the first colour was asked", lambda x, w, b, r, c: one_place(x[:1], w[:, :1], b, r, c)),
        Mistake("a sum is asked for, and this is the mean", 
                lambda x, w, b, r, c: (w * x[:, r : r + 3, c : c + 3]).mean((1, 2, 3)) + b),
        Mistake("all filters are added up: each has an answer of its own",
                lambda x, w, b, r, c: (w * x[:, r : r + 3, c : c + 3]).sum() + b),
    ),
)  # fmt: skip


# 2 · all places


def laid_out(random):
    """Return pictures that are not square, three filters (so that the maps can be shown), a stride and a padding."""
    n, side = whole(2, 3, random), whole(12, 14, random)
    x, weight = torch.rand(n, 3, side, side + 3, generator=random), torch.randn(3, 3, 3, 3, generator=random)
    return x, weight, torch.randn(3, generator=random), 2, whole(1, 2, random)


def unfolded(x, weight, stride, padding):
    """Filters times windows, (N, F, places), without the bias."""
    return weight.flatten(1) @ torch.nn.functional.unfold(x, weight.shape[-1], stride=stride, padding=padding)


def reshaped(x, weight, bias, stride, padding):
    """The bug of somebody who takes the width for the height when the places become a map again."""
    h, w = conv2d(x, weight, bias, stride, padding).shape[-2:]
    return (unfolded(x, weight, stride, padding) + bias[:, None]).reshape(len(x), -1, w, h)


def mixed(x, weight, bias, stride, padding):
    """The bug of somebody who puts all windows of a batch into one row and cuts the result in the wrong order."""
    right = conv2d(x, weight, bias, stride, padding)
    return right.transpose(0, 1).reshape(right.shape)


CONVOLVE = Task(
    "convolve",
    "A convolution at all places at once, with zeros round the pictures and a stride.",
    cases=laid_out,
    right=lambda x, weight, bias, stride, padding: conv2d(x, weight, bias, stride, padding),
    mistakes=(
        Mistake("the bias is missing", lambda x, w, b, s, p: conv2d(x, w, None, s, p)),
        Mistake("the padding is missing: put zeros round the pictures first", 
                lambda x, w, b, s, p: conv2d(x, w, b, s)),
        Mistake("the stride is missing: the window moves by `stride` pixels", 
                lambda x, w, b, s, p: conv2d(x, w, b, 1, p)),
        Mistake("the filters were turned round: what networks call a convolution does not flip them",
                lambda x, w, b, s, p: conv2d(x, w.flip(-2, -1), b, s, p)),
        Mistake("height and width are swapped where the places become a map", reshaped),
        Mistake("the pictures of the batch are mixed up: (F, N) was read as (N, F)", mixed),
        Mistake("the padding repeats the edge; a convolution sees zeros there",
                lambda x, w, b, s, p: conv2d(pad(x, [p] * 4, mode="replicate"), w, b, s)),
        Mistake("the weights are in another order than the windows: unfold has the colour first, then row and column",
                lambda x, w, b, s, p: conv2d(x, w.permute(0, 2, 3, 1).reshape(w.shape), b, s, p)),
        Mistake("only the first picture was computed", lambda x, w, b, s, p: conv2d(x[:1], w, b, s, p)),
    ),
    rtol=1e-3, atol=1e-4,
)  # fmt: skip


# 3 · ReLU, pooling, switches


def pool(x):
    """ReLU, then the largest of each 2x2, with its place in the plane."""
    return max_pool2d(relu(x), 2, return_indices=True)


def half_dark(random):
    """Return maps in which one window at least is negative throughout, its first place most of all."""
    x = torch.randn(whole(2, 3, random), 3, 6, 8, generator=random)
    x[:, :2, :2, 2:4] = -torch.rand(len(x), 2, 2, 2, generator=random) - 0.1
    x[:, :2, 0, 2] = -3
    return (x,)


def switched(change):
    """Return what somebody computes whose maxima are right and whose switches are not."""
    return lambda x: (pool(x)[0], change(x, pool(x)[1]))


def own(x, switches):
    """Number the places through the whole tensor instead of each plane for itself."""
    return switches + torch.arange(x[:, :, 0, 0].numel()).view(*x.shape[:2], 1, 1) * x[0, 0].numel()


POOL = Task(
    "pool",
    "ReLU, then the largest of each 2×2 and its place, row · W + column; of equal ones the first.",
    cases=half_dark,
    right=pool,
    mistakes=(
        Mistake("the switches are those of before the ReLU: in a window that is zero throughout the first place wins",
                switched(lambda x, s: max_pool2d(x, 2, return_indices=True)[1])),
        Mistake("the ReLU is missing", lambda x: max_pool2d(x, 2, return_indices=True)),
        Mistake("the switch is the place in the plane, not one of 0 to 3 in its window",
                switched(lambda x, s: s // x.shape[-1] % 2 * 2 + s % 2)),
        Mistake("rows and columns are swapped: the place is row · W + column",
                switched(lambda x, s: s % x.shape[-1] * x.shape[-2] + s // x.shape[-1])),
        Mistake("W is the width of the map before pooling, not after",
                switched(lambda x, s: s // x.shape[-1] * (x.shape[-1] // 2) + s % x.shape[-1])),
        Mistake("the places are counted through the whole batch: each plane begins at 0", switched(own)),
        Mistake("of equal values the last won, the first should",
                switched(lambda x, s: x[0, 0].numel() - 1 - pool(x.flip(-2, -1))[1].flip(-2, -1))),
        Mistake("only the maxima are returned: two things are asked for", lambda x: pool(x)[0]),
        Mistake("the maxima come first, then the switches", lambda x: pool(x)[::-1]),
        Mistake("this is the mean of each window", lambda x: (avg_pool2d(relu(x), 2), pool(x)[1])),
    ),
)  # fmt: skip


# 4 · receptive fields


def receptive_field(layers, *, grow=lambda k: k - 1, late=True, scaled=True):
    """Size, step and start of the field, and what becomes of them when a line is wrong."""
    size, step, start = 1, 1, 0
    for kernel, stride, padding in layers:
        step = step if late else step * stride
        size, start = size + grow(kernel) * step, start - padding * (step if scaled else 1)
        step = step * stride if late else step
    return size, step, start


def chain(random):
    """Return four or five layers as (kernel, stride, padding): from the last to the first they say something else."""
    first, last = (2 * whole(1, 3, random) + 1 for _ in range(2))
    return (((first, 2, first // 2), *[(3, 1, 1)] * whole(1, 2, random), (2, 2, 0), (last, 1, last // 2)),)


RECEPTIVE_FIELD = Task(
    "receptive_field",
    "How many pixels a unit sees along one axis, how far apart the fields of two neighbours begin, and where the "
    "field of unit 0 begins.",
    cases=chain,
    right=lambda layers: receptive_field(layers),
    mistakes=(
        Mistake("the step grew too early: a window moves in the steps of the layer before it",
                lambda layers: receptive_field(layers, late=False)),
        Mistake("a window of k adds k - 1, not k: one pixel was there already",
                lambda layers: receptive_field(layers, grow=lambda k: k)),
        Mistake("the padding counts in steps of the layer before it: start - padding · step",
                lambda layers: receptive_field(layers, scaled=False)),
        Mistake("the strides are missing: later windows reach further",
                lambda layers: receptive_field([(k, 1, p) for k, _, p in layers])),
        Mistake("the layers were taken from the last to the first", lambda layers: receptive_field(layers[::-1])),
        Mistake("the padding moves the start to the left, out of the picture: minus",
                lambda layers: (*receptive_field(layers)[:2], -receptive_field(layers)[2])),
        Mistake("the padding is missing", lambda layers: (*receptive_field(layers)[:2], 0)),
        Mistake("this is the field of the first layer: `return` stands inside the loop",
                lambda layers: receptive_field(layers[:1])),
        Mistake("only the size is returned: size, step and start are asked for",
                lambda layers: receptive_field(layers)[0]),
    ),
)  # fmt: skip


# 5 · a hook


def through(model, x, last, before=False):
    """Go through the layers one by one, no hook involved, up to the one called ``last`` or to what comes before it."""
    for name, layer in model.named_children():
        if before and name == last:
            return x
        x = layer.forward(x.clone())  # some layers write into what they get
        if name == last:
            return x
    raise ValueError(f"no layer is called {last}")


class Visited(Task):
    """A question that is asked three times of one network, the second time with pictures that it cannot take."""

    def try_one(self, function, arguments, first):
        """Ask; let the network fail; ask again: a hook that was left behind has changed its answers by then."""
        net, x, layer = arguments
        super().try_one(function, arguments, first)
        if function.ask((net, x[:, :1], layer)).trouble is None:
            raise Wrong(self.question, "no error for pictures of one colour, which this network cannot take",
                        "the error of the network must not be hidden: `try` with `finally`, no `except`")  # fmt: skip
        super().try_one(function, arguments, first=False)


def visit(random):
    """Return a network that notices hooks which stay, pictures, and the name of a layer in its middle."""
    net = nosy_net(seed=whole(0, 999, random), visit=next(VISITS))
    x = torch.rand(whole(2, 3, random), 3, 6, 7, generator=random)
    return net, x, ("conv2", "relu2")[whole(0, 1, random)]


ACTIVATION = Visited(
    "activation",
    "What a layer answers to some pictures, by a hook that is gone afterwards, also when the network fails.",
    cases=visit,
    right=through,
    mistakes=(
        Mistake("the hook is never removed: the network, asked again, still had those of the calls before",
                lambda model, x, layer: through(model, x + 2, layer)),
        Mistake("the network failed once, and the hook of that call is still there: remove it in `finally`",
                lambda model, x, layer: through(model, x + 1, layer)),
        Mistake("this is what the whole network answers, not the layer", 
                lambda model, x, layer: through(model, x, "relu3")),
        Mistake("this is what goes into the layer; a hook gets (module, inputs, output)",
                lambda model, x, layer: through(model, x, layer, before=True)),
        Mistake("this is always conv1: look the layer up by its name", 
                lambda model, x, layer: through(model, x, "conv1")),
        Mistake("only the first picture is here", lambda model, x, layer: through(model, x[:1], layer)),
        Mistake("this is the mean over the batch", 
                lambda model, x, layer: through(model, x, layer).mean(0, keepdim=True)),
    ),
)  # fmt: skip


# 6 · who answered loudest


def strongest(a, channel_first=True):
    """Filter, row and column of the largest answer to each picture."""
    c, place = a.flatten(2).max(2).values.argmax(1), a.flatten(1).argmax(1) % a[0, 0].numel()
    row, column = place // a.shape[-1], place % a.shape[-1]
    return torch.stack([c, row, column] if channel_first else [c, column, row], 1)


def loud(random):
    """Return maps whose lowest value is further from zero than the highest, and not those of one filter throughout."""
    a = torch.randn(whole(2, 4, random), 5, 6, 8, generator=random)
    a[:, 4, 5, 1] = -9
    a[:, 2, 4, 7] += 6
    a[:, 3] += 0.5  # the filter that is loudest on average has not the loudest place
    a[0, 1, 3, 5] += 12
    return (a,)


def on_average(a):
    """The loudest filter by its mean, and the largest answer of that one."""
    c = a.mean((2, 3)).argmax(1)
    place = a[torch.arange(len(a)), c].flatten(1).argmax(1)
    return torch.stack([c, place // a.shape[-1], place % a.shape[-1]], 1)


STRONGEST = Task(
    "strongest",
    "Filter, row and column of the largest answer, for each picture by itself.",
    cases=loud,
    right=lambda a: strongest(a),
    mistakes=(
        Mistake("row and column are swapped", lambda a: strongest(a, channel_first=False)),
        Mistake("the largest of the whole batch: every picture has its own",
                lambda a: torch.tensor(torch.unravel_index(a.argmax(), a.shape)[1:]).expand(len(a), -1)),
        Mistake("this is one index into C · H · W: take it apart into filter, row and column", 
                lambda a: a.flatten(1).argmax(1)),
        Mistake("-9 is no loud answer: the largest value, not the largest size", lambda a: strongest(a.abs())),
        Mistake("the smallest answer", lambda a: strongest(-a)),
        Mistake("the filter that is loudest on average need not have the largest answer", on_average),
        Mistake("rows are W numbers long, not H: place // W and place % W",
                lambda a: torch.stack([strongest(a)[:, 0], a.flatten(1).argmax(1) % 48 // 6,
                                       a.flatten(1).argmax(1) % 48 % 6], 1)),
        Mistake("the order is filter, row, column", lambda a: strongest(a)[:, [1, 2, 0]]),
        Mistake("the values are returned; where they stand was the question", lambda a: a.flatten(1).max(1).values),
    ),
)  # fmt: skip


# 7 · find the bug


def record(model, batches, layer, *, overwritten=False, refused=lambda before: None):
    """What a layer answers to one batch after another, and the bugs of a well-known recipe."""
    answers = []
    for x in batches:
        taken = x.shape[1] == 3
        found = through(model, x, layer) if taken else refused(answers[-1] if answers else None)
        answers.append(relu(found) if taken and overwritten else found)
    return answers


def some_refused(random):
    """Return a network with ReLUs in place, batches of which it cannot take the second, and a layer before a ReLU."""
    batches = [torch.rand(2, channels, 6, 7, generator=random) for channels in (3, 1, 3, 3)]
    net = overwriting_net(seed=whole(0, 999, random))
    return net, batches[: whole(3, 4, random)], f"conv{whole(1, 2, random)}"


RECORD = Task(
    "record",
    "What a layer answers to each batch, before anything else happens to it; None where the network failed.",
    cases=some_refused,
    right=lambda model, batches, layer: record(model, batches, layer),
    mistakes=(
        Mistake("twice wrong still: the ReLU behind the layer wrote into the tensor, and a batch that the network "
                "refused shows the answer to the batch before", 
                lambda *a: record(*a, overwritten=True, refused=lambda before: before)),
        Mistake("a batch that the network refused shows the answer to the batch before: forget it first",
                lambda *a: record(*a, refused=lambda before: before)),
        Mistake("no answer is below zero: the ReLU behind the layer works in place, and `detach` is no copy",
                lambda *a: record(*a, overwritten=True)),
        Mistake("a batch that was refused is left out: its place holds None",
                lambda *a: [one for one in record(*a) if one is not None]),
        Mistake("a batch that was refused has no answer, not one of zeros",
                lambda *a: record(*a, refused=lambda before: torch.zeros_like(before))),
        Mistake("every place holds the answer to the last batch: one tensor, many names",
                lambda *a: [record(*a)[-1]] * len(a[1])),
        Mistake("only the last answer is returned", lambda *a: record(*a)[-1]),
    ),
)  # fmt: skip


# 8 · a certificate


def answers_of_conv1(x):
    """The largest answer of every filter of the course's first layer, (32,), and the largest possible one."""
    from lecturekit import networks

    net = networks.load("picturebook")
    low, high = (net.normalize(torch.full((1, 3, 1, 1), value)) for value in (0.0, 1.0))
    w = net.conv1.weight
    most = torch.where(w > 0, w * high, w * low).sum((1, 2, 3)) + net.conv1.bias  # linear: every pixel for itself
    return net.conv1(net.normalize(x))[0].amax((1, 2)), most


def excites(variant=0):
    """Return the check of a picture to which the chosen filter of the first layer must answer as loudly as it can."""

    def reached(x):
        loudest, most = answers_of_conv1(x)
        return loudest >= ENOUGH * most

    def judge(x):
        k = listener(variant)
        if not isinstance(x, torch.Tensor) or tuple(x.shape) != (1, 3, 64, 64) or not x.is_floating_point():
            return "no picture of shape (1, 3, 64, 64)", "keep the shape: a batch of one picture of 64×64 pixels"
        if not x.isfinite().all() or x.min() < 0 or x.max() > 1:
            return (f"pixels from {x.min():.3g} to {x.max():.3g}", "a picture lies in [0, 1]: black or white is as far "
                    "as a pixel can go")  # fmt: skip
        x = x.float()
        if reached(x)[k]:
            return None
        loudest, most = answers_of_conv1(x)
        came = f"filter {k} answers with {loudest[k]:.3g}; {ENOUGH * most[k]:.3g} is asked for"
        if reached(1 - x)[k]:
            return came, "the sign is turned round: white where the weight is positive, black where it is negative"
        if reached(x.flip(-2, -1))[k]:
            return came, "the filter was turned round: a convolution lays it on the picture as it is"
        if reached(x.transpose(-2, -1))[k]:
            return came, "rows and columns are swapped"
        if others := reached(x).nonzero().flatten().tolist():
            return came, f"this is a picture for filter {others[0]}; filters are counted from 0"
        if x.std() < 1e-3:
            return came, "a plain picture says little to it: look at the signs of its weights"
        return came, "the answer is linear in every pixel: grey is never best, go as far as [0, 1] lets you"

    return Certificate(
        "stimulus", "A picture in [0, 1] to which one filter of conv1 answers as loudly as it can.", judge
    )
