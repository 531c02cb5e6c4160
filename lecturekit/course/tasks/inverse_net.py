"""The tasks of the exercise *inverse_net*: a layer that enlarges, the mean of what fits, and the best linear way back.

Sources: Dosovitskiy & Brox 2016, arXiv:1506.02753, sections 3 and 4; for the enlarging layer Dumoulin & Visin 2016,
arXiv:1603.07285; for the closed form Hoerl & Kennard 1970, "Ridge regression".
"""

import torch
from torch.nn import functional as F

from lecturekit.course.asking import SEED, Certificate, Mistake, Task
from lecturekit.course.given import trained_decoder
from lecturekit.course.handouts import SMALL, TAPPED, small, tapped
from lecturekit.course.tasks.telling import whole

GAIN = 3.0  # dB over the best constant: λ from 1 to 10 reaches 3.4 whatever is tapped and drawn; without λ it is 1
FRESH = 32  # drawings that the certificate is measured on


# 1 · zeros between the values


def spread(x, stride, rows=True, columns=True, behind=0):
    """Put ``stride - 1`` zeros between neighbours, and ``behind`` of them behind the last ones."""
    down, across = stride if rows else 1, stride if columns else 1
    n, c, h, w = x.shape
    out = x.new_zeros(n, c, (h - 1) * down + 1 + behind, (w - 1) * across + 1 + behind)
    out[..., : (h - 1) * down + 1 : down, : (w - 1) * across + 1 : across] = x
    return out


def zeros(x, stride):
    """The maps with zeros between their values."""
    return spread(x, stride)


def maps(random, channels=3):
    """Return two or three maps that are not square."""
    return torch.randn(whole(2, 3, random), channels, 4, 5, generator=random)


ZEROS_BETWEEN = Task(
    "zeros_between",
    "The maps with `stride - 1` zeros between any two neighbours, and none behind the last.",
    cases=lambda random: (maps(random), whole(2, 3, random)),
    right=zeros,
    mistakes=(
        Mistake("there are zeros behind the last row and column, too: the side is (h - 1) · stride + 1",
                lambda x, stride: spread(x, stride, behind=stride - 1)),
        Mistake("the values are repeated: between them belong zeros",
                lambda x, stride: x.repeat_interleave(stride, 2).repeat_interleave(stride, 3)),
        Mistake("the values are repeated: between them belong zeros",
                lambda x, stride: x.repeat_interleave(stride, 2).repeat_interleave(stride, 3)
                [..., : 1 - stride, : 1 - stride]),
        Mistake("one zero too many: `stride` is the step from value to value, so stride - 1 zeros lie between",
                lambda x, stride: spread(x, stride + 1)),
        Mistake("only the rows were moved apart: the columns too", lambda x, s: spread(x, s, columns=False)),
        Mistake("only the columns were moved apart: the rows too", lambda x, s: spread(x, s, rows=False)),
        Mistake("this makes the maps smaller: every stride-th value was taken", lambda x, s: x[..., ::s, ::s]),
    ),
)  # fmt: skip


# 2 · up-convolution


def enlarged(x, weight, bias, stride, padding, *, flip=(2, 3), swap=True, around=None):
    """Zeros between, zeros around, and a convolution with the kernels turned by 180 degrees."""
    kernel = weight.flip(flip) if flip else weight
    kernel = kernel.transpose(0, 1) if swap else kernel
    around = weight.shape[-1] - 1 - padding if around is None else around
    return F.conv2d(spread(x, stride), kernel, bias, padding=around)


def up(x, weight, bias, stride, padding):
    """An up-convolution, as torch's ConvTranspose2d has it."""
    return enlarged(x, weight, bias, stride, padding)


def layer(random):
    """Return maps, and a layer with as many channels above as below: then every mix-up runs, and gets its hint."""
    stride, kernel = 2, whole(4, 5, random)
    weight = torch.randn(3, 3, kernel, kernel, generator=random)
    return maps(random), weight, torch.randn(3, generator=random), stride, 1


UP_CONVOLVE = Task(
    "up_convolve",
    "Up-convolution: zeros between the values, zeros around, then a convolution with the turned kernels, and the bias.",
    cases=layer,
    right=up,
    mistakes=(
        Mistake("the kernels are not turned: flip both their rows and their columns",
                lambda *a: enlarged(*a, flip=())),
        Mistake("the kernels are turned along one axis only: rows and columns, 180 degrees",
                lambda *a: enlarged(*a, flip=(2,))),
        Mistake("the kernels are turned along one axis only: rows and columns, 180 degrees",
                lambda *a: enlarged(*a, flip=(3,))),
        Mistake("the axes of channels are not exchanged: weight is (C, D, k, k), conv2d wants (D, C, k, k)",
                lambda *a: enlarged(*a, swap=False)),
        Mistake("the kernels are neither turned nor are their channels exchanged",
                lambda *a: enlarged(*a, flip=(), swap=False)),
        Mistake("zeros around: an up-convolution with padding p has k - 1 - p of them on every side, not p",
                lambda x, w, b, s, p: enlarged(x, w, b, s, p, around=p)),
        Mistake("zeros around: `padding` takes rows away, k - 1 - p remain of k - 1",
                lambda x, w, b, s, p: enlarged(x, w, b, s, p, around=w.shape[-1] - 1)),
        Mistake("the bias is missing", lambda x, w, b, s, p: enlarged(x, w, None, s, p)),
        Mistake("the map was not enlarged: put zeros between its values first",
                lambda x, w, b, s, p: enlarged(x, w, b, 1, p)),
        Mistake("the values were repeated, not moved apart: between them belong zeros",
                lambda x, w, b, s, p: enlarged(x.repeat_interleave(s, 2).repeat_interleave(s, 3)
                                               [..., : 1 - s, : 1 - s], w, b, 1, p)),
    ),
    rtol=1e-3, atol=1e-4,
)  # fmt: skip


# 3 · shapes on the way back


def grown(code, layers, side=lambda n, k, s, p: (n - 1) * s + k - 2 * p, keep=False):
    """The shape after each layer; another ``side`` is what somebody computes who has the formula wrong."""
    shape, found = list(code), []
    for channels, kernel, stride, padding in layers:
        sides = [side(n, kernel, stride, padding) for n in shape[1:]]
        shape = [shape[0] if keep else channels, *sides]
        found.append(shape)
    return found


def shapes(code, layers):
    """The shape (D, H, W) after each of some up-convolutions."""
    return grown(code, layers)


def plan(random):
    """Return the shape of a code, and two to four layers: [filters, kernel, stride, padding]."""
    code = [whole(3, 5, random) * 32, 4, 6]
    layers = [[96 // 2**i, whole(3, 6, random), 2, whole(1, 2, random)] for i in range(whole(2, 4, random))]
    return code, [*layers, [3, 5, 3, 0]]


SHAPES_BACK = Task(
    "shapes_back",
    "The shapes [D, H, W] after each layer of a chain of up-convolutions, from the code to the picture.",
    cases=plan,
    right=shapes,
    mistakes=(
        Mistake("this is the formula of a convolution, which makes maps smaller: turn it round",
                lambda c, ls: grown(c, ls, lambda n, k, s, p: (n + 2 * p - k) // s + 1)),
        Mistake("padding makes the map of an up-convolution *smaller*: minus 2 · p",
                lambda c, ls: grown(c, ls, lambda n, k, s, p: (n - 1) * s + k + 2 * p)),
        Mistake("padding counts on both sides: 2 · p",
                lambda c, ls: grown(c, ls, lambda n, k, s, p: (n - 1) * s + k - p)),
        Mistake("between n values there are n - 1 steps, not n",
                lambda c, ls: grown(c, ls, lambda n, k, s, p: n * s + k - 2 * p)),
        Mistake("every layer was taken for one that exactly doubles: that holds for k = 4, stride 2, padding 1 only",
                lambda c, ls: grown(c, ls, lambda n, k, s, p: n * s)),
        Mistake("the kernel is missing: the last value still paints k pixels",
                lambda c, ls: grown(c, ls, lambda n, k, s, p: (n - 1) * s + 1 - 2 * p)),
        Mistake("the number of maps changes, too: it is the number of filters", lambda c, ls: grown(c, ls, keep=True)),
        Mistake("only the last shape is returned: one for each layer", lambda c, ls: grown(c, ls)[-1]),
        Mistake("the code's own shape is in the list: begin with the first layer", lambda c, ls: [c, *grown(c, ls)]),
        Mistake("every layer was computed from the code: it stands on the one before",
                lambda c, ls: [grown(c, [one])[0] for one in ls]),
    ),
)  # fmt: skip


# 4 · the mean of what fits


def pictures(random, n):
    """Return small pictures in [0, 1], not square."""
    return torch.rand(n, 3, 6, 7, generator=random)


def each(x, code, codes, answer=lambda fitting: fitting.mean(0)):
    """One answer for every code, from the pictures that have it."""
    return torch.stack([answer(x[code == k]) for k in range(codes)])


def means(x, code, codes):
    """The mean of the pictures that share a code."""
    return each(x, code, codes)


def crowd(random):
    """Return pictures, and a code for each: three or four of them, no two with as many pictures."""
    codes = whole(3, 4, random)
    code = torch.cat([torch.full((whole(3, 4, random) + 2 * k,), k) for k in range(codes)])
    code = code[torch.randperm(len(code), generator=random)]
    return pictures(random, len(code)) ** 2, code, codes


def extremes(fitting):
    """Half way between the darkest and the brightest."""
    return (fitting.amin(0) + fitting.amax(0)) / 2


def typical(fitting):
    """The one of the pictures that is nearest to the others."""
    return fitting[torch.cdist(fitting.flatten(1), fitting.flatten(1)).pow(2).sum(1).argmin()]


BEST_GUESS = Task(
    "best_guess",
    "For every code the one picture whose mean squared distance to all pictures with this code is smallest.",
    cases=crowd,
    right=means,
    mistakes=(
        Mistake("this is the mean of all pictures: only those that have the code belong to it",
                lambda x, code, codes: x.mean(0).expand(codes, -1, -1, -1)),
        Mistake("the median is the best in *absolute* error; squares want the mean",
                lambda *a: each(*a, lambda fitting: fitting.median(0).values)),
        Mistake("half way between the extremes is the best for the *largest* error; squares want the mean",
                lambda *a: each(*a, extremes)),
        Mistake("one of the pictures is never better than the mean of all that fit: take the mean",
                lambda *a: each(*a, typical)),
        Mistake("this is the first picture of every code, not the mean of them",
                lambda *a: each(*a, lambda fitting: fitting[0])),
        Mistake("this is the last picture of every code: add them up instead of overwriting",
                lambda *a: each(*a, lambda fitting: fitting[-1])),
        Mistake("a sum, not a mean: divide by how many pictures have the code",
                lambda *a: each(*a, lambda fitting: fitting.sum(0))),
        Mistake("divide by how many pictures have *this* code, not by how many there are in all",
                lambda x, code, codes: each(x, code, codes, lambda fitting: fitting.sum(0) / len(x))),
        Mistake("divide by how many pictures have *this* code, not by N / codes",
                lambda x, code, codes: each(x, code, codes, lambda fitting: fitting.sum(0) * codes / len(x))),
        Mistake("the colours were averaged, too: every colour has a mean of its own",
                lambda *a: each(*a, lambda fitting: fitting.mean((0, 1)).expand(3, -1, -1))),
    ),
)  # fmt: skip


# 5 · the best linear inverse


def ridge(codes, x, lam, *, punished=False, centred=True):
    """Least squares with λ; the bias is found through the means, or is punished like a weight, or is missing."""
    if punished:
        ones = codes.new_ones(len(codes), 1)
        both, _ = ridge(torch.cat([codes, ones], 1), x, lam, centred=False)
        return both[:, :-1], both[:, -1]
    middle, mean = (codes.mean(0), x.mean(0)) if centred else (codes.new_zeros(codes.shape[1]), x.new_zeros(x.shape[1]))
    a = codes - middle
    weight = torch.linalg.solve(a.T @ a + lam * torch.eye(a.shape[1], dtype=a.dtype), a.T @ (x - mean)).T
    return weight, mean - weight @ middle


def linear(codes, x, lam):
    """The weight (D, K) and the bias (D,) of the best linear inverse."""
    return tuple(one.float() for one in ridge(codes.double(), x.double(), lam))


def standardised(codes, x, lam):
    """Somebody's weights for codes of deviation 1."""
    z = (codes - codes.mean(0)) / codes.std(0)
    return ridge(z, x, lam)


def lessons(random):
    """Return codes (N, 5) whose mean is not zero, flat pictures (N, 8), and λ."""
    n = whole(12, 20, random)
    codes = torch.randn(n, 5, generator=random) * (0.5 + torch.rand(5, generator=random)) + 1
    x = (codes @ torch.randn(5, 8, generator=random) / 8 + 0.5 + 0.1 * torch.randn(n, 8, generator=random)).clamp(0, 1)
    return codes, x, whole(2, 9, random) / 2 + 0.25


LINEAR_INVERSE = Task(
    "linear_inverse",
    "Weight (D, K) and bias (D,) that make the squared error plus λ · ‖weight‖² smallest; the bias is free.",
    cases=lessons,
    right=linear,
    mistakes=(
        Mistake("the bias is missing: subtract both means first, then bias = mean of x - weight · mean of the codes",
                lambda *a: ridge(*a, centred=False)),
        Mistake("the bias is punished, too: λ belongs to the weights alone", lambda *a: ridge(*a, punished=True)),
        Mistake("the bias is only the mean of x: subtract weight · mean of the codes",
                lambda c, x, lam: (ridge(c, x, lam)[0], x.mean(0))),
        Mistake("λ is missing: these are the plain least squares", lambda c, x, lam: ridge(c, x, 0.0)),
        Mistake("the error is a sum over the pictures: λ is neither multiplied nor divided by N",
                lambda c, x, lam: ridge(c, x, lam * len(c))),
        Mistake("the error is a sum over the pictures: λ is neither multiplied nor divided by N",
                lambda c, x, lam: ridge(c, x, lam / len(c))),
        Mistake("rows of λ were appended: their square is what counts, so append rows of √λ",
                lambda c, x, lam: ridge(c, x, lam**2)),
        Mistake("the weight lies on its side: weight · code must be a picture, so it is (D, K)",
                lambda c, x, lam: (ridge(c, x, lam)[0].T, ridge(c, x, lam)[1])),
        Mistake("these weights want standardised codes: they must take the codes as they are", standardised),
        Mistake("bias first: weight, then bias", lambda *a: ridge(*a)[::-1]),
        Mistake("these are the decoded pictures: return weight and bias",
                lambda c, x, lam: c @ ridge(c, x, lam)[0].T + ridge(c, x, lam)[1]),
        Mistake("only the weight is returned: the bias belongs to it", lambda *a: ridge(*a)[0]),
    ),
    rtol=1e-3, atol=1e-4,
)  # fmt: skip


# 6 · a certificate


def decoded(weight, bias, codes):
    """Pictures (N, D) in [0, 1] of codes (N, K)."""
    return (codes @ weight.T + bias).clamp(0, 1)


def gain(guess, x):
    """How many dB a guess is better than the best constant in hindsight."""
    constant = (x - x.mean(0)).pow(2).mean()
    return float(10 * (constant / (x - guess).pow(2).mean()).log10())


def fresh(variant, seed):
    """Return drawings that nobody has seen: codes (32, K), small pictures (32, D)."""
    from lecturekit.pictures.picturebook import draw, seeds

    random = torch.Generator().manual_seed(seed + 9_000_001)
    chosen = torch.randint(len(seeds("test")), (FRESH,), generator=random).tolist()
    drawn = [torch.from_numpy(draw(seeds("test")[k]).image) for k in chosen]
    x = torch.stack(drawn).permute(0, 3, 1, 2).float() / 255
    return tapped(x, variant), small(x).flatten(1)


def beats_the_mean(variant=0):
    """Return the check of a linear inverse: it is measured on drawings that the grader draws afresh."""

    def judge(pair):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return "no pair", "put weight and bias into it: `my_inverse = weight, bias`"
        weight, bias = pair
        wanted = {"weight": (3 * SMALL**2, TAPPED), "bias": (3 * SMALL**2,)}
        for one, (name, shape) in zip(pair, wanted.items(), strict=True):
            if not isinstance(one, torch.Tensor) or not one.is_floating_point():
                return f"the {name} is no tensor of floats", "hand in what `linear_inverse` returns"
            if tuple(one.shape) != shape:
                words = "flatten the pictures to (N, 768) first, and mind which side of the weight is which"
                return f"the {name} has the shape {tuple(one.shape)}, wanted is {shape}", words
            if not one.isfinite().all():
                return f"the {name} is not finite", "the system was singular: with λ > 0 it never is"
        return measured(weight.float(), bias.float(), *fresh(variant, SEED.get()))

    return Certificate("my_inverse", f"A linear inverse that is {GAIN} dB better than the best constant picture, on "
                       f"{FRESH} drawings that are drawn afresh.", judge)  # fmt: skip


def measured(weight, bias, codes, x):
    """Return None for an inverse that is good enough; otherwise how good it is, and what would help."""
    reached = gain(decoded(weight, bias, codes), x)
    if reached >= GAIN:
        return None
    came = f"{reached:.1f} dB over the best constant picture, on new drawings; wanted are {GAIN}"
    if not weight.any():
        return came, "one picture for every code: that is the mean, and 0 dB is all it can reach"
    helped = {hint: gain(decoded(w, x.mean(0) - w @ codes.mean(0), codes), x) for hint, w in {
        "the bias is wrong: mean of x - weight · mean of the codes, both of the lessons": weight,
        "the weights are too large, it has learned its lessons by heart: a larger λ, chosen on drawings that were "
        "held back": weight / 2,
        "the weights are too small: a smaller λ, chosen on drawings that were held back": 2 * weight,
    }.items()}  # fmt: skip
    right_bias, shrunk, _ = helped.values()
    best = max(helped, key=helped.get)
    if right_bias > reached + 1 and right_bias >= shrunk - 1:
        best = next(iter(helped))
    if helped[best] < reached + 0.1:
        best = "codes and pictures do not belong together: the same drawings, in the same order, codes of your own tap"
    return came, best


# 7 · find the bug


def per_picture(decoder, mean, std, codes, x, *, own=False, training=False, together=False, raw=False, log=10.0):
    """The PSNR of each decoded picture, and what becomes of it when something is measured with the batch's help."""
    decoder.train(training)
    z = codes if raw else (codes - codes.mean(0)) / codes.std(0) if own else (codes - mean) / std
    with torch.no_grad():
        error = (decoder(z) - x).pow(2)
    error = error.mean().expand(len(x)) if together else error.flatten(1).mean(1)
    return -log * error.log10()


def psnr(decoder, mean, std, codes, x):
    """The PSNR in dB of each decoded picture, (N,)."""
    return per_picture(decoder, mean, std, codes, x)


def exam(random):
    """Return a decoder as its training left it, mean and deviation of the training's codes, and what it is asked."""
    n = whole(4, 6, random)
    mean, std = torch.randn(6, generator=random), 0.5 + torch.rand(6, generator=random)
    codes = mean + 0.7 + 0.6 * std * torch.randn(n, 6, generator=random)  # not quite like those of the training
    x = pictures(random, n) * torch.linspace(0.3, 1, n).view(-1, 1, 1, 1)  # dark ones and bright ones
    return trained_decoder(seed=whole(0, 999, random)), mean, std, codes, x


def helped(**how):
    """Return what somebody computes who lets the batch help."""
    return lambda *a: per_picture(*a, **how)


MODE = "the network is still in training mode, so batch norm uses the statistics of the test's batch: decoder.eval()"
OWN = "the codes are normalised by their own mean and deviation: use those of the training, which came as arguments"
ONE = "one number for the whole batch: the PSNR of each picture comes from its own error"

DECIBELS = Task(
    "decibels",
    "The PSNR in dB of each decoded picture, (N,), which does not depend on what else is in the batch.",
    cases=exam,
    right=psnr,
    mistakes=(
        Mistake(f"all three are still there. {MODE}; {OWN}; {ONE}", helped(own=True, training=True, together=True)),
        Mistake(MODE, helped(training=True)),
        Mistake(OWN, helped(own=True)),
        Mistake(ONE, helped(together=True)),
        Mistake(f"{MODE}; and {OWN}", helped(own=True, training=True)),
        Mistake(f"{MODE}; and {ONE}", helped(training=True, together=True)),
        Mistake(f"{OWN}; and {ONE}", helped(own=True, together=True)),
        Mistake("the codes are not normalised: the network was trained on (codes - mean) / std", helped(raw=True)),
        Mistake("20 · log₁₀ belongs to the root of the squared error, 10 · log₁₀ to the squared error itself",
                helped(log=20.0)),
        Mistake("the sign is wrong: a small error is a large PSNR", helped(log=-10.0)),
        Mistake("this is the mean over the pictures: return one number for each",
                lambda *a: per_picture(*a).mean()),
        Mistake("the logarithm has the base 10", lambda *a: per_picture(*a) * 2.302585),
        Mistake("this is the squared error itself: the PSNR is -10 · log₁₀ of it",
                lambda *a: 10 ** (-per_picture(*a) / 10)),
    ),
    rtol=1e-5, atol=1e-4,
)  # fmt: skip
