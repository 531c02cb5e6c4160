"""The tasks of the exercise *inversion*: the error of a code, two priors, the objective, and the way downhill.

All references follow Mahendran & Vedaldi 2015, arXiv:1412.0035, written once more in a few plain lines.
"""

import torch

from lecturekit.course.asking import Certificate, Mistake, Task
from lecturekit.course.given import coder
from lecturekit.course.handouts import code_to_invert, lost
from lecturekit.course.tasks.attacks import whole

ENOUGH = 0.01  # the error of a code that counts as found
ROWS, COLUMNS = 6, 8  # of the pictures that are asked about


def between(random, low, high):
    """Return a random number."""
    return low + (high - low) * torch.rand((), generator=random).item()


# 1 · how far is a code from another


def squared(x):
    """The sum of all squares of each row of a batch, (N,)."""
    return x.flatten(1).pow(2).sum(1)


def feature_error(code, code0):
    """The squared distance, by the squared length of the code that is wanted."""
    return squared(code - code0) / squared(code0)


def two_codes(random):
    """Return two codes for each picture, those of one picture larger than those of another."""
    n = whole(2, 4, random)
    loud = torch.arange(1, n + 1).view(-1, 1, 1, 1)
    code0 = loud * torch.randn(n, 6, 3, 4, generator=random)
    return code0 + (0.2 + torch.rand(n, 1, 1, 1, generator=random)) * torch.randn(n, 6, 3, 4, generator=random), code0


FEATURE_ERROR = Task(
    "feature_error",
    "The squared distance of two codes, divided by the squared length of code0, for each picture.",
    cases=two_codes,
    right=feature_error,
    mistakes=(
        Mistake("the squares are missing: this is the root of what is asked for", 
                lambda c, c0: feature_error(c, c0).sqrt()),
        Mistake("it is not normalised: divide by the squared length of code0", lambda c, c0: squared(c - c0)),
        Mistake("the mean of the squares depends on the layer: divide by the squared length of code0",
                lambda c, c0: squared(c - c0) / c0[0].numel()),
        Mistake("it was divided by the code that came out; the one that is wanted does not move",
                lambda c, c0: squared(c - c0) / squared(c)),
        Mistake("below the line the square is missing", lambda c, c0: squared(c - c0) / squared(c0).sqrt()),
        Mistake("the batch was taken as one long code: each picture has its own error",
                lambda c, c0: (c - c0).pow(2).sum() / c0.pow(2).sum()),
        Mistake("this is the mean over the batch: each picture has its own error", 
                lambda c, c0: feature_error(c, c0).mean()),
        Mistake("every filter has an error of its own here: sum over all of a picture's code",
                lambda c, c0: (c - c0).flatten(2).pow(2).sum(2) / c0.flatten(2).pow(2).sum(2)),
        Mistake("the batch was summed over, too: keep the first axis", 
                lambda c, c0: ((c - c0).pow(2) / squared(c0).view(-1, 1, 1, 1)).sum(0)),
    ),
)  # fmt: skip


# 2 · stay near grey


def pictures(random):
    """Return two to four pictures, some of their pixels black or white."""
    x = torch.rand(whole(2, 4, random), 3, ROWS, COLUMNS, generator=random)
    x[:, :, :2] = (x[:, :, :2] > 0.5).float()
    return x


def alpha_norm(x, alpha):
    """The distance of each pixel's colour from grey, to the power alpha, summed."""
    return (x - 0.5).pow(2).sum(1).pow(alpha / 2).sum((1, 2))


ALPHA_NORM = Task(
    "alpha_norm",
    "The distance of each pixel's colour from middle grey to the power α, summed over the pixels of each picture.",
    cases=lambda random: (pictures(random), 2 * whole(2, 4, random)),
    right=alpha_norm,
    mistakes=(
        Mistake("each colour was taken by itself: the distance of a pixel is that of its three colours together",
                lambda x, alpha: (x - 0.5).abs().pow(alpha).sum((1, 2, 3))),
        Mistake("the distance is from middle grey: subtract 1/2", lambda x, alpha: alpha_norm(x + 0.5, alpha)),
        Mistake("the square is there already: its power is α/2, not α", lambda x, alpha: alpha_norm(x, 2 * alpha)),
        Mistake("no root at the end: the sum itself", lambda x, alpha: alpha_norm(x, alpha).pow(1 / alpha)),
        Mistake("a sum over the pixels, not the mean", lambda x, alpha: alpha_norm(x, alpha) / (ROWS * COLUMNS)),
        Mistake("the colours were averaged: the squares of the three are added",
                lambda x, alpha: (x - 0.5).pow(2).mean(1).pow(alpha / 2).sum((1, 2))),
        Mistake("the colours were added before the square: opposite ones cancel",
                lambda x, alpha: (x - 0.5).sum(1).abs().pow(alpha).sum((1, 2))),
        Mistake("one number for the whole batch: each picture has its own", 
                lambda x, alpha: alpha_norm(x, alpha).sum()),
        Mistake("this is the mean over the batch: each picture has its own", 
                lambda x, alpha: alpha_norm(x, alpha).mean()),
    ),
)  # fmt: skip


# 3 · be smooth, and find the bug


def steps(x):
    """The differences to the pixel below and to the right, where there are both, (N, C, H - 1, W - 1) each."""
    here = x[..., :-1, :-1]
    return x[..., 1:, :-1] - here, x[..., :-1, 1:] - here


def total_variation(x, beta):
    """The length of the gradient at each place to the power beta, summed."""
    down, right = steps(x)
    return (down**2 + right**2).pow(beta / 2).sum((1, 2, 3))


def over_colours(x, beta):
    """The bug: slices for one picture on a batch, so that colours are compared with each other."""
    here = x[:, :-1, :-1]
    return ((x[:, 1:, :-1] - here) ** 2 + (x[:, :-1, 1:] - here) ** 2).pow(beta / 2).flatten(1).sum(1)


def to_the_edge(x, beta):
    """Count the last row and the last column, too, with the one neighbour that they have."""
    down, right = x.diff(dim=2, append=x[:, :, -1:]), x.diff(dim=3, append=x[..., -1:])
    return (down**2 + right**2).pow(beta / 2).sum((1, 2, 3))


def round_the_edge(x, beta):
    """Compare the last row with the first."""
    return ((x.roll(-1, 2) - x) ** 2 + (x.roll(-1, 3) - x) ** 2).pow(beta / 2).sum((1, 2, 3))


TOTAL_VARIATION = Task(
    "total_variation",
    "The total variation of each picture: the gradient's length at each place to the power β, summed.",
    cases=lambda random: (pictures(random), (1.2, 1.5, 3.0)[whole(0, 2, random)]),
    right=total_variation,
    mistakes=(
        Mistake("still over the colours: on a batch the first slice is for N, the second for the colours; "
                "put `...` in front", over_colours),
        Mistake("still over the colours, and one number for the whole batch", 
                lambda x, beta: over_colours(x, beta).sum()),
        Mistake("each axis by itself: the two squares are added before the power β/2",
                lambda x, beta: sum(d.abs().pow(beta).sum((1, 2, 3)) for d in steps(x))),
        Mistake("each axis by itself: the two squares are added before the power β/2",
                lambda x, beta: sum(x.diff(dim=i).abs().pow(beta).sum((1, 2, 3)) for i in (2, 3))),
        Mistake("the squares are there already: the power is β/2, not β", 
                lambda x, beta: total_variation(x, 2 * beta)),
        Mistake("β is missing: this is the sum of the squares", lambda x, beta: total_variation(x, 2)),
        Mistake("only steps downwards: those to the right are missing",
                lambda x, beta: steps(x)[0].abs().pow(beta).sum((1, 2, 3))),
        Mistake("only steps to the right: those downwards are missing",
                lambda x, beta: steps(x)[1].abs().pow(beta).sum((1, 2, 3))),
        Mistake("`roll` goes round the edge: the last row is no neighbour of the first", round_the_edge),
        Mistake("the last row and the last column are left out of the sum", to_the_edge),
        Mistake("the colours are added after the power, not before",
                lambda x, beta: sum(d.pow(2).sum(1) for d in steps(x)).pow(beta / 2).sum((1, 2))),
        Mistake("one number for the whole batch: each picture has its own", 
                lambda x, beta: total_variation(x, beta).sum()),
        Mistake("a sum over the places, not the mean", 
                lambda x, beta: total_variation(x, beta) / steps(x)[0][0].numel()),
    ),
)  # fmt: skip


# 4 · the objective


def objective(model, x, code0, weights, *, error=feature_error, rough=total_variation):
    """The error of the code and both priors, for each picture."""
    alpha, tv = weights
    return error(model(x), code0) + alpha * alpha_norm(x, 6) + tv * rough(x, 2)


def whole_batch(x, beta):
    """The bug of task 3 as it was found: over the colours, and one number for all pictures."""
    return over_colours(x, beta).sum()


STILL = "the total variation in it is still the one that was found: mend task 3 first"


def question(random):
    """Return a small network, pictures, the codes that are wanted, and the weights of both priors."""
    net, x = coder(seed=whole(0, 999, random)), pictures(random)
    code0 = net.build()((torch.rand(x.shape, generator=random) > 0.5).float())  # bold ones: the way there leaves [0, 1]
    return net, x, code0, (between(random, 0.005, 0.01), between(random, 0.003, 0.006))


OBJECTIVE = Task(
    "objective",
    "Error of the code plus weighted α-norm (α = 6) plus weighted total variation (β = 2), for each picture.",
    cases=question,
    right=lambda model, x, code0, weights: objective(model, x, code0, weights),
    mistakes=(
        Mistake("the total variation is missing", lambda m, x, c, w: objective(m, x, c, (w[0], 0))),
        Mistake(STILL, lambda m, x, c, w: objective(m, x, c, w, rough=over_colours)),
        Mistake(STILL, lambda m, x, c, w: objective(m, x, c, w, rough=whole_batch)),
        Mistake("the α-norm is missing", lambda m, x, c, w: objective(m, x, c, (0, w[1]))),
        Mistake("both priors are missing", lambda m, x, c, w: objective(m, x, c, (0, 0))),
        Mistake("the weights are swapped: α-norm first", lambda m, x, c, w: objective(m, x, c, w[::-1])),
        Mistake("the priors have no weights", lambda m, x, c, w: objective(m, x, c, (1, 1))),
        Mistake("the error is not normalised: the weights would mean something else at every layer",
                lambda m, x, c, w: objective(m, x, c, w, error=lambda a, b: squared(a - b))),
        Mistake("the priors make the picture better, not worse: they are added", 
                lambda m, x, c, w: objective(m, x, c, (-w[0], -w[1]))),
        Mistake("α is 6 here", lambda m, x, c, w: objective(m, x, c, w) + w[0] * (alpha_norm(x, 2) - alpha_norm(x, 6))),
        Mistake("β is 2 here",
                lambda m, x, c, w: objective(m, x, c, w) + w[1] * (total_variation(x, 1) - total_variation(x, 2))),
        Mistake("one number for the whole batch: each picture has its own", 
                lambda m, x, c, w: objective(m, x, c, w).sum()),
        Mistake("this is the mean over the batch: each picture has its own", 
                lambda m, x, c, w: objective(m, x, c, w).mean()),
        Mistake("the error of the code is missing", lambda m, x, c, w: objective(m, x, m(x), w)),
    ),
)  # fmt: skip


# 5 · one step


def slope(model, x, code0, weights, **changes):
    """The gradient of each picture's objective."""
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(objective(model, x, code0, weights, **changes).sum(), x)[0]


def stepped(change, box=True, **changes):
    """Return one step along another direction: what somebody computes who makes a mistake in it."""

    def downhill(model, x, code0, weights, rate):
        moved = x + change(slope(model, x, code0, weights, **changes), rate)
        return moved.clamp(0, 1) if box else moved

    return downhill


def first_step(random):
    """Return what `downhill` is asked: steps that leave [0, 1] at some pixels."""
    return *question(random), between(random, 8, 12)


DOWNHILL = Task(
    "downhill",
    "One step down the gradient of the objective, each picture as if it were alone, then back into [0, 1].",
    cases=first_step,
    right=stepped(lambda g, rate: -rate * g),
    mistakes=(
        Mistake("the picture left [0, 1]: clamp it after the step", stepped(lambda g, rate: -rate * g, box=False)),
        Mistake("the step goes uphill: minus", stepped(lambda g, rate: rate * g)),
        Mistake("the objective is a mean over the batch, so each step is N times too short: sum it",
                stepped(lambda g, rate: -rate * g / len(g))),
        Mistake("the gradient itself, not its sign", stepped(lambda g, rate: -rate * g.sign())),
        Mistake("the rate is missing", stepped(lambda g, rate: -g)),
        Mistake("the gradient was made as long as 1: take it as it is",
                stepped(lambda g, rate: -rate * g / squared(g).sqrt().view(-1, 1, 1, 1))),
        Mistake("the priors have no part in the step: differentiate the whole objective",
                lambda m, x, c, w, rate: stepped(lambda g, r: -r * g)(m, x, c, (0, 0), rate)),
        Mistake(STILL, stepped(lambda g, rate: -rate * g, rough=over_colours)),
        Mistake(STILL, stepped(lambda g, rate: -rate * g, rough=whole_batch)),
        Mistake("only the change is returned: add it to the picture", 
                lambda m, x, c, w, rate: -rate * slope(m, x, c, w)),
        Mistake("this is the gradient: make the step", lambda m, x, c, w, rate: slope(m, x, c, w)),
    ),
)  # fmt: skip


# 6 · many steps


def invert(model, x, code0, weights, rate, momentum, steps, *,
           box=True, last_box=True, fixed=False, fresh=1.0, **changes):  # fmt: skip
    """Gradient descent with momentum, and what becomes of it when a line is wrong."""
    v, first = torch.zeros_like(x), None
    for _ in range(steps):
        g = slope(model, x, code0, weights, **changes)
        first = g if first is None else first
        v = momentum * v - fresh * rate * (first if fixed else g)
        x = (x + v).clamp(0, 1) if box else x + v
    return x.clamp(0, 1) if last_box else x


def descent(random):
    """Return what `invert` is asked."""
    return *question(random), between(random, 3, 4), between(random, 0.5, 0.9), whole(4, 5, random)


INVERT = Task(
    "invert",
    "Gradient descent with momentum: `steps` times v ← momentum · v - rate · gradient, x ← x + v, back into [0, 1].",
    cases=descent,
    right=lambda model, x, code0, weights, rate, momentum, steps: invert(
        model, x, code0, weights, rate, momentum, steps),
    mistakes=(
        Mistake("the momentum is missing: every step goes on with the velocity of the one before",
                lambda m, x, c, w, r, mo, n: invert(m, x, c, w, r, 0, n)),
        Mistake("[0, 1] is missing", lambda *a: invert(*a, box=False, last_box=False)),
        Mistake("back into [0, 1] after every step, not once at the end", lambda *a: invert(*a, box=False)),
        Mistake("the gradient is always that of the start: compute it anew in every step",
                lambda *a: invert(*a, fixed=True)),
        Mistake("one step too few: count them", lambda m, x, c, w, r, mo, n: invert(m, x, c, w, r, mo, n - 1)),
        Mistake("one step too many: count them", lambda m, x, c, w, r, mo, n: invert(m, x, c, w, r, mo, n + 1)),
        Mistake("it returns after the first step: `return` stands inside the loop",
                lambda m, x, c, w, r, mo, n: invert(m, x, c, w, r, mo, 1)),
        Mistake("it goes uphill: v ← momentum · v - rate · gradient",
                lambda m, x, c, w, r, mo, n: invert(m, x, c, w, -r, mo, n)),
        Mistake("the gradient comes in whole, not times 1 - momentum",
                lambda m, x, c, w, r, mo, n: invert(m, x, c, w, r, mo, n, fresh=1 - mo)),
        Mistake("the velocity never fades: momentum · v", lambda m, x, c, w, r, mo, n: invert(m, x, c, w, r, 1, n)),
        Mistake(STILL, lambda *a: invert(*a, rough=over_colours)),
        Mistake(STILL, lambda *a: invert(*a, rough=whole_batch)),
        Mistake("it begins at grey: begin at the pictures that came in",
                lambda m, x, c, w, r, mo, n: invert(m, torch.full_like(x, 0.5), c, w, r, mo, n)),
        Mistake("the priors have no part in the steps: differentiate the whole objective",
                lambda m, x, c, w, r, mo, n: invert(m, x, c, (0, 0), r, mo, n)),
    ),
    rtol=1e-3, atol=1e-4,
)  # fmt: skip


# 7 · how alike


def psnr(x, x0):
    """The mean squared difference in decibels below the range."""
    return -10 * (squared(x - x0) / x[0].numel()).log10()


def nearly(random):
    """Return pictures and others that are near them, each at a distance of its own."""
    x0 = pictures(random)
    far = torch.linspace(0.02, 0.3, len(x0)).view(-1, 1, 1, 1)
    return (x0 + far * torch.randn(x0.shape, generator=random)).clamp(0, 1), x0


PSNR = Task(
    "psnr",
    "The peak signal-to-noise ratio in dB, for each picture; the peak is 1.",
    cases=nearly,
    right=psnr,
    mistakes=(
        Mistake("this is the natural logarithm: log10", lambda x, x0: 2.302585 * psnr(x, x0)),
        Mistake("the sign is turned round: nearer pictures have more decibels", lambda x, x0: -psnr(x, x0)),
        Mistake("10 times the logarithm of the *squared* error: no root", lambda x, x0: psnr(x, x0) / 2),
        Mistake("20 belongs to the root: 10 times the logarithm of the squared error", lambda x, x0: 2 * psnr(x, x0)),
        Mistake("the peak is 1, not 255", lambda x, x0: psnr(x, x0) + 48.1308036),
        Mistake("the mean of the squares, not their sum", lambda x, x0: -10 * squared(x - x0).log10()),
        Mistake("the factor 10 is missing: deci-bel", lambda x, x0: psnr(x, x0) / 10),
        Mistake("the batch was taken as one picture: each has its own", 
                lambda x, x0: -10 * (x - x0).pow(2).mean().log10()),
        Mistake("this is the mean over the batch: each picture has its own", lambda x, x0: psnr(x, x0).mean()),
        Mistake("this is the mean squared error itself, without the logarithm", 
                lambda x, x0: squared(x - x0) / x[0].numel()),
    ),
)  # fmt: skip


# 8 · a certificate


def same_code(variant=0):
    """Return the check of a picture that must have the code which was handed out, and is not the drawing itself."""

    def judge(x):
        from lecturekit import networks

        code0, x0 = code_to_invert(variant), lost(variant)
        if not isinstance(x, torch.Tensor) or x.shape != x0.shape or not x.is_floating_point():
            return "no picture of shape (1, 3, 64, 64)", "keep the shape: a batch of one picture of 64×64 pixels"
        if not x.isfinite().all():
            return "numbers that are infinite or not a number", "the steps are too long: try a smaller rate"
        if x.min() < 0 or x.max() > 1:
            return f"pixels from {x.min():.3g} to {x.max():.3g}", "a picture lies in [0, 1]: clamp after every step"
        x, phi = x.float(), networks.load("picturebook")[:5]
        if (x - x0).abs().max() < 1e-3:
            return ("the drawing itself, to a quarter of a grey level",
                    "no optimisation comes so near: look for the picture with nothing but its code")  # fmt: skip

        def error(x):
            return feature_error(phi(x), code0).item()

        if (found := error(x)) <= ENOUGH:
            return None
        came = f"a normalised error of {found:.3g}; {ENOUGH} is allowed"
        turned = {
            "the picture is mirrored": x.flip(3),
            "rows and columns are swapped": x.transpose(2, 3),
            "the colours are in the wrong order": x.flip(1),
            "this is the negative": 1 - x,
        }
        for hint, other in turned.items():
            if error(other) < min(5 * ENOUGH, found / 3):
                return came, hint
        if ((x == 0) | (x == 1)).float().mean() > 0.3 and found > 1:
            return came, "the steps are too long, pixels jump between black and white: try a smaller rate"
        if found > 0.8:
            return came, "grey comes as near: nothing was found yet, begin with faint noise and let the error print"
        return came, "on the way there: more steps, or more momentum, and not too much of the priors"

    return Certificate("x_inv", "A picture of which conv2 says the same as of a drawing that you have not seen.", judge)
