"""The tasks of the exercise *why*: how far the boundary is, whether slopes keep their promise, and honest evaluation.

All references follow the sources that `lecturekit.attacks` names, written once more in a few plain lines.
"""

import torch

from lecturekit.course.asking import Certificate, Mistake, Task
from lecturekit.course.given import linear_net, tiny_net
from lecturekit.course.handouts import stronghold
from lecturekit.course.tasks.attacks import SIDE, not_allowed, pictures, slope
from lecturekit.course.tasks.telling import telling, whole

EPS = 12 / 255  # of the certificate

# 1 · the shortest way


def decision(weight, bias, x):
    """The value of a linear classifier of two classes for each picture, (N, 1, 1, 1)."""
    return ((weight * x).sum((1, 2, 3)) + bias)[:, None, None, None]


def ways(l2=None, linf=None, f=decision):
    """Return what somebody answers who computes the two changes like this, from f, the weight, and the picture."""
    l2 = l2 or (lambda f, w: -f * w / w.square().sum())
    linf = linf or (lambda f, w: -f * w.sign() / w.abs().sum())
    return lambda weight, bias, x: [each(f(weight, bias, x), weight) for each in (l2, linf)]


def plane(random):
    """Return the weight (C, H, W) and the bias of a linear classifier, and pictures on both sides of its boundary."""
    weight, x = torch.randn(3, 6, 7, generator=random), torch.rand(whole(3, 4, random), 3, 6, 7, generator=random)
    bias = 1.5 - (weight * x[0]).sum()
    x[1] -= 5 * weight / weight.square().sum() + (decision(weight, bias, x[1:2])[0] * weight / weight.square().sum())
    return weight, bias, x


SHORTEST = Task(
    "shortest",
    "The smallest change in L2, and the smallest in L∞, that brings each picture onto the boundary f = 0.",
    cases=plane,
    right=ways(),
    mistakes=(
        Mistake("this goes away from the boundary: the change is minus f times something",
                ways(lambda f, w: f * w / w.square().sum(), lambda f, w: f * w.sign() / w.abs().sum())),
        Mistake("L2: divide by the square of the norm: one norm makes w as long as 1, one turns f into a distance",
                ways(lambda f, w: -f * w / w.norm())),
        Mistake("L∞: divide by the sum of |w|, the L1 norm: every pixel contributes its own |w|",
                ways(linf=lambda f, w: -f * w.sign() / w.abs().amax())),
        Mistake("L∞: divide by the L1 norm of w, not by the L2 norm", ways(linf=lambda f, w: -f * w.sign() / w.norm())),
        Mistake("L∞: every pixel changes by the same amount: take the sign of w",
                ways(linf=lambda f, w: -f * w / w.abs().sum())),
        Mistake("the size of f is right, its sign is lost: pictures on the other side move the other way",
                ways(f=lambda *a: decision(*a).abs())),
        Mistake("the bias is missing in f", ways(f=lambda weight, bias, x: decision(weight, 0, x))),
        Mistake("f of all pictures was added up: each picture has its own",
                ways(f=lambda *a: decision(*a).sum().expand(len(a[2]), 1, 1, 1))),
        Mistake("this is the picture on the boundary: return the change alone",
                lambda weight, bias, x: [x + each for each in ways()(weight, bias, x)]),
        Mistake("the order is L2 first, then L∞", lambda *a: ways()(*a)[::-1]),
    ),
)  # fmt: skip


# 2 · the distance to the boundary


def reach(weight, bias, x, *, gap=None, size=None, choose=None, logits=None):
    """The L2 distance of each picture to the boundary of its class: the nearest of the K - 1 planes."""
    z = x.flatten(1) @ weight.flatten(1).T + bias if logits is None else logits(weight, bias, x)
    named = z.argmax(1)
    w = weight.flatten(1)
    gaps = (z.gather(1, named[:, None]) - z).abs() if gap is None else gap(z)
    sizes = (w[named][:, None] - w).norm(dim=2) if size is None else size(w, named)
    ways = (gaps / sizes).scatter(1, named[:, None], torch.inf)
    return ways.amin(1) if choose is None else choose(ways, z)


def crowd(random):
    """Return a linear classifier of several classes whose weights differ in size, and pictures."""
    classes = whole(4, 6, random)
    weight = torch.randn(classes, 3, 6, 7, generator=random)
    weight = weight * (0.4 + 1.6 * torch.rand(classes, 1, 1, 1, generator=random))
    x = torch.rand(whole(5, 7, random), 3, 6, 7, generator=random)
    bias = torch.randn(classes, generator=random) - (weight * 0.5).sum((1, 2, 3))
    return weight, bias, x


DISTANCE_MISTAKES = (
    Mistake("the runner-up is not always the nearest class: take the smallest distance over all other classes",
            lambda *a: reach(*a, choose=lambda ways, z: ways.gather(1, z.topk(2).indices[:, 1:])[:, 0])),
    Mistake("the boundary between two classes is where their logits agree: its normal is the difference of weights",
            lambda *a: reach(*a, size=lambda w, named: w.norm(dim=1)[named][:, None])),
    Mistake("divide by the norm of the difference of both weights, not by that of the other class alone",
            lambda *a: reach(*a, size=lambda w, named: w.norm(dim=1).expand(len(named), -1))),
    Mistake("this is the gap of the logits: divide it by the norm of the difference of weights",
            lambda *a: reach(*a, size=lambda w, named: torch.ones(len(named), len(w)))),
    Mistake("divide by the L2 norm: the L1 norm belongs to L∞",
            lambda *a: reach(*a, size=lambda w, named: (w[named][:, None] - w).abs().sum(2))),
    Mistake("divide by the norm, not by its square: that is the change's formula",
            lambda *a: reach(*a, size=lambda w, named: (w[named][:, None] - w).square().sum(2))),
    Mistake("this is the farthest of the planes: take the nearest",
            lambda *a: reach(*a, choose=lambda ways, z: ways.where(ways.isfinite(), -1).amax(1))),
    Mistake("the picture's own class is among the others, 0 / 0: leave it out",
            lambda *a: reach(*a, choose=lambda ways, z: ways.where(ways.isfinite(), torch.nan).amin(1))),
    Mistake("the picture's own class is among the others, at distance 0: leave it out",
            lambda *a: reach(*a, choose=lambda ways, z: torch.zeros(len(z)))),
    Mistake("the bias is missing in the logits",
            lambda *a: reach(*a, logits=lambda weight, bias, x: x.flatten(1) @ weight.flatten(1).T)),
    Mistake("a distance is not negative", lambda *a: -reach(*a)),
)  # fmt: skip

DISTANCE = Task(
    "distance",
    "The L2 distance from each picture to the nearest picture to which a linear classifier gives another class.",
    cases=telling(crowd, reach, DISTANCE_MISTAKES),
    right=reach,
    mistakes=DISTANCE_MISTAKES,
)  # fmt: skip


# 3 · does the slope keep its promise?


def promise(model, x, y, eps, *, sign=-1, norm=lambda g: g.abs().sum(1), way=torch.sign, promised=None, start=True,
            box=False, whole=True):  # fmt: skip
    """What the slope promises the logit of the class becomes after a step against it, and what it does become."""

    def logit(x):
        return model(x).gather(1, y[:, None])[:, 0]

    x = x.detach().clone().requires_grad_()
    z = logit(x)
    g = torch.autograd.grad(z.sum() if whole else z.mean(), x)[0]
    moved = x + sign * eps * way(g)
    moved = moved.clamp(0, 1) if box else moved
    truth = logit(moved).detach()
    told = (z + sign * eps * norm(g.flatten(1)) if promised is None else promised(z, g, moved)).detach()
    return [told, truth] if start else [told - z.detach(), truth - z.detach()]


def loss_slope(model, x, y, eps):
    """The bug: the step follows the gradient of the cross-entropy."""
    x = x.detach().clone().requires_grad_()
    z = model(x)
    g = torch.autograd.grad(torch.nn.functional.cross_entropy(z, y, reduction="sum"), x)[0]
    moved = model(x + eps * g.sign()).gather(1, y[:, None])[:, 0]
    return [(z.gather(1, y[:, None])[:, 0] - eps * g.abs().flatten(1).sum(1)).detach(), moved.detach()]


def steep(random):
    """Return a small network, pictures, a class for each, and a radius at which the slope's promise is not kept."""
    n = whole(2, 4, random)
    net = tiny_net(seed=whole(0, 999, random))
    return net, pictures(random, n), torch.randint(5, (n,), generator=random), whole(16, 40, random) / 255


PROMISED = Task(
    "promised",
    "After a step of ε against the sign of the gradient of logit y: the logit that was promised, and the true one.",
    cases=steep,
    right=promise,
    mistakes=(
        Mistake("the step goes up: against the gradient the logit falls, so both signs are minus",
                lambda *a: promise(*a, sign=1)),
        Mistake("promised: a step of ε along the signs changes the logit by ε times the sum of |g|, the L1 norm",
                lambda *a: promise(*a, norm=lambda g: g.norm(dim=1))),
        Mistake("promised: a step of ε along the signs changes the logit by ε times the sum of |g|, not its mean",
                lambda *a: promise(*a, norm=lambda g: g.abs().mean(1))),
        Mistake("promised: with g · sign(g) = |g|, and not g, in the sum",
                lambda *a: promise(*a, norm=lambda g: g.sum(1))),
        Mistake("true: the sign is missing in the step: every pixel moves by ε",
                lambda *a: promise(*a, way=lambda g: g)),
        Mistake("the logits themselves are asked for: add the one before the step",
                lambda *a: promise(*a, start=False)),
        Mistake("promised is the logit before the step plus the change; the change alone is returned",
                lambda *a: [promise(*a, start=False)[0], promise(*a)[1]]),
        Mistake("true: nothing is clamped here, else the slope promised something else",
                lambda *a: promise(*a, box=True)),
        Mistake("the mean over the batch makes every gradient N times too small: sum", 
                lambda *a: promise(*a, whole=False)),
        Mistake("this is the gradient of the cross-entropy; the slope of the logit is asked for", loss_slope),
        Mistake("the promise is kept without error: compute it from the gradient before the step, not from the network "
                "after it", lambda *a: promise(*a)[1:] * 2),
        Mistake("the order is promised, true", lambda *a: promise(*a)[::-1]),
    ),
    rtol=1e-3,
)  # fmt: skip


# 4 · does it fool others?


def fooled(clean, attacked, y, *, counted=None, missed=None, turn=False):
    """The transfer matrix: row source, column target, over the pictures that both name rightly."""
    right = clean == y  # (k, N)
    both = right[:, None] & right[None] if counted is None else counted(right)  # (k, k, N)
    wrong = attacked != y if missed is None else missed(attacked, clean)
    shares = (wrong & both).sum(2) / both.sum(2)
    return shares.T if turn else shares


def reports(random):
    """Return what k networks name: clean pictures (k, N), pictures made for each (k, k, N), and the truth (N,)."""
    k, n = whole(3, 4, random), whole(24, 30, random)
    y = torch.randint(6, (n,), generator=random)
    clean, attacked = (
        torch.where(torch.rand(*size, n, generator=random) < share, (y + 1) % 6, y)
        for size, share in (((k,), 0.3), ((k, k), 0.5))
    )
    return clean, attacked, y


MATRIX = Task(
    "transfer",
    "Row: made for; column: shown to. The share misled of the pictures that both networks name rightly when clean.",
    cases=reports,
    right=fooled,
    mistakes=(
        Mistake("pictures that a network got wrong from the start count here: divide by those that both name rightly",
                lambda *a: fooled(*a, counted=lambda right: torch.ones(len(right), *right.shape).bool())),
        Mistake("the source must name the picture rightly, too: both", 
                lambda *a: fooled(*a, counted=lambda right: right[None].expand(len(right), -1, -1))),
        Mistake("the target must name the picture rightly, too: both",
                lambda *a: fooled(*a, counted=lambda right: right[:, None].expand(-1, len(right), -1))),
        Mistake("one of the two is enough here: both must name the picture rightly",
                lambda *a: fooled(*a, counted=lambda right: right[:, None] | right[None])),
        Mistake("only pictures that all networks name rightly are counted: two of them matter for one cell",
                lambda *a: fooled(*a, counted=lambda right: right.all(0).expand(len(right), len(right), -1))),
        Mistake("rows are the networks that it was made for: transpose", lambda *a: fooled(*a, turn=True)),
        Mistake("this is the share that is still named rightly; misled is asked for",
                lambda *a: 1 - fooled(*a)),
        Mistake("the numerator counts only pictures that both name rightly, the denominator all of them",
                lambda clean, attacked, y: fooled(clean, attacked, y)
                * ((clean == y)[:, None] & (clean == y)[None]).float().mean(2)),
        Mistake("divide by the pictures that both name rightly: these are counts",
                lambda clean, attacked, y: fooled(clean, attacked, y)
                * ((clean == y)[:, None] & (clean == y)[None]).sum(2)),
        Mistake("the denominator counts pictures that both name rightly, the numerator all that are misled",
                lambda clean, attacked, y:
                (attacked != y).sum(2) / ((clean == y)[:, None] & (clean == y)[None]).sum(2)),
    ),
)  # fmt: skip


# 5 · the worst of several starts


def standing(clean, attacked, y, *, over=lambda stood: stood.all(0), start=True, among=False):
    """Robust accuracy: the share of all pictures that are right when clean, and after every restart."""
    right = clean == y
    stood = over(attacked == y).float() * (right if start else 1)
    return (stood.sum() / (right.sum() if among else len(y))).item()


def restarts(random):
    """Return what a network names: clean pictures (N,), the pictures of R restarts (R, N), and the truth."""
    r, n = whole(3, 5, random), whole(40, 60, random)
    y = torch.randint(6, (n,), generator=random)
    clean = torch.where(torch.rand(n, generator=random) < 0.25, (y + 1) % 6, y)
    weak = torch.rand(n, generator=random).square()  # some pictures fall nearly always
    attacked = torch.where(torch.rand(r, n, generator=random) < weak, (y + 2) % 6, y)
    attacked[:, (clean != y).nonzero()[0, 0]] = y[clean != y][0]  # wrong when clean, right in every restart: by luck
    return clean, attacked, y


ROBUST_MISTAKES = (
    Mistake("this is the mean over the restarts: one success is enough for the attacker, picture by picture",
            lambda *a: standing(*a, over=lambda stood: stood.float().mean(0))),
    Mistake("a picture counts as standing here if one restart failed: it must stand in all of them",
            lambda *a: standing(*a, over=lambda stood: stood.any(0))),
    Mistake("the worst restart as a whole is not the worst case: take the worst of every picture",
            lambda *a: standing(*a, over=lambda stood: stood[stood.float().mean(1).argmin()])),
    Mistake("the worst restart as a whole is not the worst case: take the worst of every picture",
            lambda *a: standing(*a, start=False, over=lambda stood: stood[stood.float().mean(1).argmin()])),
    Mistake("pictures that are wrong when clean do not stand, even if a restart turns them right by luck",
            lambda *a: standing(*a, start=False)),
    Mistake("the denominator is all pictures, not those that are right when clean",
            lambda *a: standing(*a, among=True)),
    Mistake("only the first restart is looked at", lambda *a: standing(*a, over=lambda stood: stood[0])),
    Mistake("only the last restart is looked at", lambda *a: standing(*a, over=lambda stood: stood[-1])),
    Mistake("this is the share that fell; the share that stands is asked for", lambda *a: 1 - standing(*a)),
    Mistake("this is the accuracy on clean pictures", lambda clean, attacked, y: (clean == y).float().mean().item()),
    Mistake("divide by the number of pictures: this is a count", lambda *a: standing(*a) * len(a[0])),
    Mistake("a share lies in [0, 1]: this is percent", lambda *a: 100 * standing(*a)),
)  # fmt: skip

ROBUST = Task(
    "robust_accuracy",
    "The share of all pictures that a network names rightly when clean and after each of the R restarts of an attack.",
    cases=telling(restarts, standing, ROBUST_MISTAKES),
    right=standing,
    mistakes=ROBUST_MISTAKES,
)  # fmt: skip


# 6 · after saving


def eight_bits(x):
    """The pictures as a file keeps them: whole grey levels from 0 to 255."""
    return (x.clamp(0, 1) * 255).round() / 255


def survived(model, x, x_adv, y, *, save=eight_bits, denominator=None, start=True):
    """The share misled of the pictures named rightly, before and after both are kept in eight bits."""
    right = model(x).argmax(1) == y
    counted = right if start else torch.ones_like(right)
    misled = [(model(each).argmax(1) != y) & counted for each in (x_adv, save(x_adv))]
    return [(each.sum() / (counted.sum() if denominator is None else len(y))).item() for each in misled]


def narrow(random):
    """Return a linear network of two classes, drawings, pictures just beyond its boundary, and labels.

    A picture is moved across by less than a rounding may take back; some are wrong from the start, some leave [0, 1].
    """
    n = 40
    weight = torch.randn(3, SIDE, SIDE, generator=random)
    x = eight_bits(0.1 + 0.8 * torch.rand(n, 3, SIDE, SIDE, generator=random))
    f = (weight * (x - 0.5)).sum((1, 2, 3))  # the bias puts grey on the boundary
    y = (f > 0).long()
    y[:5] = 1 - y[:5]
    beyond = 0.06 * torch.rand(n, generator=random) * torch.where(f > 0, -1.0, 1.0)
    x_adv = x + ((beyond - f) / weight.square().sum())[:, None, None, None] * weight
    x_adv[-3:] = x_adv[-3:] + 3 * (x_adv[-3:] - x[-3:])
    net = linear_net(weight=torch.stack([-weight, weight]), bias=0.5 * torch.stack([weight.sum(), -weight.sum()]))
    return net, x, x_adv, y


SAVED_MISTAKES = (
    Mistake("this cuts the fraction off, as `.byte()` does; round to the nearest grey level",
            lambda *a: survived(*a, save=lambda x: (x.clamp(0, 1) * 255).floor() / 255)),
    Mistake("white is 255 and not 256: a picture has 255 steps", 
            lambda *a: survived(*a, save=lambda x: (x.clamp(0, 1) * 256).round() / 256)),
    Mistake("divide by 255 again: the network wants [0, 1]",
            lambda *a: survived(*a, save=lambda x: (x.clamp(0, 1) * 255).round())),
    Mistake("both shares are those before saving: ask the network again", 
            lambda *a: survived(*a, save=lambda x: x)),
    Mistake("both shares are those after saving", lambda *a: survived(*a)[1:] * 2),
    Mistake("pictures that were wrong from the start are no successes", lambda *a: survived(*a, start=False)),
    Mistake("divide by the pictures named rightly, not by all", lambda *a: survived(*a, denominator="all")),
    Mistake("round does nothing to numbers in [0, 1] but make them 0 or 1: multiply by 255 first",
            lambda *a: survived(*a, save=lambda x: x.clamp(0, 1).round())),
    Mistake("the clean pictures were saved, not the attacked ones",
            lambda model, x, x_adv, y: [survived(model, x, x_adv, y)[0], survived(model, x, x, y)[1]]),
    Mistake("these are the shares that the network still names rightly", 
            lambda *a: [1 - each for each in survived(*a)]),
    Mistake("the order is as computed, then as saved", lambda *a: survived(*a)[::-1]),
    Mistake("a share lies in [0, 1]: these are percent", lambda *a: [100 * each for each in survived(*a)]),
)  # fmt: skip

SAVED = Task(
    "success_when_saved",
    "The share misled of the pictures named rightly: as computed, and after rounding to whole grey levels.",
    cases=telling(narrow, survived, SAVED_MISTAKES),
    right=survived,
    mistakes=SAVED_MISTAKES,
)  # fmt: skip


# 7 · a certificate


def breached(variant=0):
    """Return the check of a picture that must mislead the network which is said to be safe."""

    def judge(x):
        net, x0, y = stronghold(variant)
        if wrong := not_allowed(x, x0, EPS):
            return wrong
        with torch.no_grad():
            named = int(net(x.float()).argmax())
        if named != y:
            return None
        if (x - x0).abs().max() < 1e-6:
            return "the drawing as it was", (
                "the gradient is zero, and its sign, too: leave out net[0] and net[2] when you compute it")  # fmt: skip
        return f"the network still says class {y}", (
            "step along the gradient of net[1] at net[0](x), many times, and project after every step")  # fmt: skip

    return Certificate("x_adv", "A picture within 12 grey levels of the drawing that the network which is said to be "
                       "safe takes for another class.", judge)  # fmt: skip


# 8 · find the bug


def honest(model, x, x_adv, y, eps, *, start=True, ball=True, box=True, among="right", changed=False, counted=False):
    """The success rate: of the pictures named rightly, the share misled by a picture within ε and within [0, 1]."""
    right = model(x).argmax(1) == y
    said = model(x_adv).argmax(1)
    misled = said != (model(x).argmax(1) if changed else y)
    allowed = torch.ones_like(right)
    if ball:
        allowed &= (x_adv - x).abs().amax((1, 2, 3)) <= eps + 1e-6
    if box:
        allowed &= (x_adv.amin((1, 2, 3)) >= 0) & (x_adv.amax((1, 2, 3)) <= 1)
    found = misled & allowed & (right if start else True)
    below = {"right": right.sum(), "all": len(y), "allowed": (right & allowed).sum()}[among]
    return (found.sum() if counted else found.sum() / below).item()


def claimed(random):
    """Return a network, pictures and labels of which some are wrong, and attacks of which some break the rules."""
    n, eps = 30, whole(4, 8, random) / 255
    weight = torch.randn(5, 3, SIDE, SIDE, generator=random)
    net = linear_net(weight=weight, bias=-0.5 * weight.sum((1, 2, 3)))
    x = 0.1 + 0.8 * torch.rand(n, 3, SIDE, SIDE, generator=random)
    said = net.build()(x).argmax(1)
    y = torch.where(torch.arange(n) % 4 == 0, (said + 1) % 5, said)
    x_adv = x + eps * torch.rand(n, 1, 1, 1, generator=random) * slope(net.build(), x, said).sign()
    x[1::4, 0, 0, :2] = x_adv[1::4, 0, 0, :2] = torch.tensor([0.0, 1.0])
    x_adv[1::8, 0, 0, 0] -= eps / 2
    x_adv[5::8, 0, 0, 1] += eps / 2
    x_adv[2::4, 1, 1, 1] = x[2::4, 1, 1, 1] + 1.5 * eps * torch.where(x[2::4, 1, 1, 1] > 0.5, -1, 1)
    order = torch.randperm(n, generator=random)
    return net, x[order], x_adv[order], y[order], eps


HONEST_MISTAKES = (
    Mistake("as it was: pictures that are wrong from the start, too far or outside [0, 1] are counted as successes",
            lambda *a: honest(*a, start=False, ball=False, box=False, among="all")),
    Mistake("pictures that are wrong from the start are no successes, and the network's share of them is no merit",
            lambda *a: honest(*a, start=False, among="all")),
    Mistake("pictures that are wrong from the start are no successes: they stand in the numerator",
            lambda *a: honest(*a, start=False)),
    Mistake("divide by the pictures that were named rightly, not by all", lambda *a: honest(*a, among="all")),
    Mistake("a picture farther than ε is no success: look at the largest change of a pixel",
            lambda *a: honest(*a, ball=False)),
    Mistake("a picture with pixels outside [0, 1] is no picture: that is no success",
            lambda *a: honest(*a, box=False)),
    Mistake("the attacks that broke the rules failed: they stay in the denominator",
            lambda *a: honest(*a, among="allowed")),
    Mistake("neither ε nor [0, 1] is looked at: an attack that breaks the rules failed",
            lambda *a: honest(*a, ball=False, box=False)),
    Mistake("this is the share that stands; the attack's successes are asked for",
            lambda *a: 1 - honest(*a)),
    Mistake("a share lies in [0, 1]: this is percent", lambda *a: 100 * honest(*a)),
    Mistake("divide by the pictures that were named rightly: this is a count", lambda *a: honest(*a, counted=True)),
)  # fmt: skip

HONEST = Task(
    "success_rate",
    "Of the pictures named rightly, the share misled by a picture that is within ε at every pixel, and within [0, 1].",
    cases=telling(claimed, honest, HONEST_MISTAKES),
    right=honest,
    mistakes=HONEST_MISTAKES,
)  # fmt: skip
