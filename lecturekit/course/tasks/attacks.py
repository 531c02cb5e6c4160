"""The tasks of the exercise *attacks*: one step, projection, many steps, a target, and a picture that misleads.

All references follow the sources that `lecturekit.attacks` names, written once more in a few plain lines.
"""

import torch
from torch.nn.functional import cross_entropy

from lecturekit.course.asking import Certificate, Mistake, Task
from lecturekit.course.given import tiny_net
from lecturekit.course.handouts import quarry
from lecturekit.course.tasks.telling import whole

SIDE = 8  # pixels of the pictures that are asked about: small ones show every mistake
EPS = 8 / 255  # of the certificate


def pictures(random, n):
    """Return ``n`` pictures with some pixels black or white: without the clamp a step leaves [0, 1]."""
    x = torch.rand(n, 3, SIDE, SIDE, generator=random)
    x[:, :, :3] = (x[:, :, :3] > 0.5).float()
    return x


def asked(random, classes=5):
    """Return a small network, two to four pictures, and their labels."""
    n = whole(2, 4, random)
    net = tiny_net(classes=classes, side=SIDE, seed=whole(0, 999, random))
    return net, pictures(random, n), torch.randint(classes, (n,), generator=random)


def radius(random):
    """Return a radius from 2 to 16 grey levels."""
    return whole(2, 16, random) / 255


# 1 · the gradient of the picture


def slope(model, x, y, reduction="sum"):
    """The gradient of the cross-entropy with respect to the pictures, each one's own."""
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(cross_entropy(model(x), y, reduction=reduction), x)[0]


def of_the_answer(model, x, y):
    """The gradient of somebody who differentiates the logit and not the loss."""
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(model(x).gather(1, y[:, None]).sum(), x)[0]


def through_softmax(model, x, y):
    """The gradient of somebody who applies the softmax before a loss that does it, too."""
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(cross_entropy(model(x).softmax(1), y, reduction="sum"), x)[0]


INPUT_GRADIENT = Task(
    "input_gradient",
    "The gradient of the cross-entropy with respect to each picture, as if it were alone in the batch.",
    cases=asked,
    right=slope,
    mistakes=(
        Mistake("the loss is a mean over the batch, so each gradient is N times too small: reduction='sum'",
                lambda model, x, y: slope(model, x, y, "mean")),
        Mistake("cross_entropy takes logits: it does the softmax itself", through_softmax),
        Mistake("this is the gradient of the logit; the loss is the cross-entropy", of_the_answer),
        Mistake("minus too much: the gradient of the loss itself is asked for", lambda *a: -slope(*a)),
        Mistake("return the gradient itself, not its sign", lambda *a: slope(*a).sign()),
    ),
    rtol=1e-3, atol=1e-7,
)  # fmt: skip


# 2 · one step


def step(direction, box=True):
    """Return FGSM along another direction: what somebody computes who makes a mistake in it."""

    def stepped(model, x, y, eps):
        moved = x + eps * direction(slope(model, x, y))
        return moved.clamp(0, 1) if box else moved

    return stepped


FGSM = Task(
    "fgsm",
    "FGSM: one step of ε along the sign of the gradient of the cross-entropy, then back into [0, 1].",
    cases=lambda random: (*asked(random), radius(random)),
    right=step(torch.sign),
    mistakes=(
        Mistake("the picture left [0, 1]: clamp it after the step", step(torch.sign, box=False)),
        Mistake("the step goes downhill: it makes the network surer of the right class", step(lambda g: -g.sign())),
        Mistake("the sign is missing: every pixel moves by ε, however flat it is there", step(lambda g: g)),
        Mistake("ε is in pixel units: do not divide it by a standard deviation", step(lambda g: g.sign() / 0.25)),
        Mistake("the gradient was made as long as 1: that is the step of L2", 
                step(lambda g: g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1))),
        Mistake("only the change is returned: add it to the picture", 
                lambda model, x, y, eps: eps * slope(model, x, y).sign()),
    ),
)  # fmt: skip


# 3 · projection


def projected(x, x0, eps):
    """The nearest picture within ε of ``x0`` and within [0, 1]."""
    return (x0 + (x - x0).clamp(-eps, eps)).clamp(0, 1)


def two_places(random):
    """Return pictures that are too far away, the ones that they come from, and a radius."""
    x0, eps = pictures(random, whole(2, 4, random)), radius(random)
    return x0 + 3 * eps * torch.randn(x0.shape, generator=random), x0, eps


PROJECT = Task(
    "project",
    "The nearest picture to x that is within ε of x0 at every pixel, and within [0, 1].",
    cases=two_places,
    right=projected,
    mistakes=(
        Mistake("the ball is right, the box [0, 1] is missing", lambda x, x0, eps: x0 + (x - x0).clamp(-eps, eps)),
        Mistake("the box is right, the ball round x0 is missing", lambda x, x0, eps: x.clamp(0, 1)),
        Mistake("the picture itself was clamped to ±ε: clamp the change, x - x0", 
                lambda x, x0, eps: x.clamp(-eps, eps)),
        Mistake("only the change is returned: add x0 again", lambda x, x0, eps: (x - x0).clamp(-eps, eps)),
        Mistake("each pixel moves by ε or not at all: the sign of the change is no projection", 
                lambda x, x0, eps: (x0 + eps * (x - x0).sign()).clamp(0, 1)),
        Mistake("the change was shortened as a whole: in L∞ every pixel has its own limit", 
                lambda x, x0, eps: (x0 + (x - x0) * eps / (x - x0).abs().amax((1, 2, 3), keepdim=True)).clamp(0, 1)),
    ),
)  # fmt: skip


# 4 · many steps


def climbing(model, x0, y, eps, alpha, steps, *, back=projected, sign=1, fixed=False):
    """PGD from the picture itself, and what becomes of it when a line is wrong."""
    x, first = x0, None
    for _ in range(steps):
        g = slope(model, x, y).sign()
        first = g if first is None else first
        x = back(x + sign * alpha * (first if fixed else g), x0, eps)
    return x


def walk(random):
    """Return what `pgd` is asked: steps that would leave the ball, were they not projected."""
    eps, steps = radius(random), whole(3, 6, random)
    return (*asked(random), eps, eps / 2, steps)


PGD = Task(
    "pgd",
    "PGD from the picture itself: `steps` times a step of α along the sign of the gradient, each projected.",
    cases=walk,
    right=climbing,
    mistakes=(
        Mistake("the projection is missing: the picture wanders further than ε", 
                lambda *a: climbing(*a, back=lambda x, x0, eps: x.clamp(0, 1))),
        Mistake("the box [0, 1] is missing",
                lambda *a: climbing(*a, back=lambda x, x0, eps: x0 + (x - x0).clamp(-eps, eps))),
        Mistake("each step goes downhill", lambda *a: climbing(*a, sign=-1)),
        Mistake("the gradient is always that of the first picture: compute it anew in every step of the loop", 
                lambda *a: climbing(*a, fixed=True)),
        Mistake("one step too few: count them", lambda m, x, y, e, a, n: climbing(m, x, y, e, a, n - 1)),
        Mistake("it returns after the first step: `return` stands inside the loop",
                lambda m, x, y, e, a, n: climbing(m, x, y, e, a, 1)),
        Mistake("the steps have the length ε and not α", lambda m, x, y, e, a, n: climbing(m, x, y, e, e, n)),
    ),
)  # fmt: skip


# 5 · a target


def towards(model, x0, target, eps, alpha, steps):
    """PGD that goes down the cross-entropy of the class that shall be named."""
    return climbing(model, x0, target, eps, alpha, steps, sign=-1)


TARGETED = Task(
    "towards",
    "PGD towards a class: the same steps, and the network shall name `target`.",
    cases=walk,
    right=towards,
    mistakes=(
        Mistake("this flees from the target: its cross-entropy must go down", climbing),
        Mistake("the projection is missing", 
                lambda *a: climbing(*a, sign=-1, back=lambda x, x0, eps: x.clamp(0, 1))),
        Mistake("the box [0, 1] is missing", 
                lambda *a: climbing(*a, sign=-1, back=lambda x, x0, eps: x0 + (x - x0).clamp(-eps, eps))),
        Mistake("the gradient is always that of the first picture: compute it anew in every step of the loop", 
                lambda *a: climbing(*a, sign=-1, fixed=True)),
    ),
)  # fmt: skip


# 6 · a certificate


def not_allowed(x, x0, eps):
    """Say why ``x`` is no picture within ``eps`` of ``x0`` and within [0, 1], or return None."""
    if not isinstance(x, torch.Tensor) or x.shape != x0.shape or not x.is_floating_point():
        return "no picture of shape (1, 3, 64, 64)", "keep the shape of the drawing"
    if not x.isfinite().all() or x.min() < 0 or x.max() > 1:
        return f"pixels from {x.min():.3g} to {x.max():.3g}", "a picture lies in [0, 1]: clamp last"
    if (far := (x.float() - x0).abs().max().item()) > eps + 1e-6:
        return f"a change of {255 * far:.1f} grey levels; allowed are {255 * eps:.0f}", "project after every step"
    return None


def misled(variant=0):
    """Return the check of a picture that the course's own network must take for the wanted class."""

    def judge(x):
        from lecturekit import networks

        x0, _, wanted = quarry(variant)
        if wrong := not_allowed(x, x0, EPS):
            return wrong
        with torch.no_grad():
            share = networks.load("picturebook")(x.float()).softmax(1)[0]
        if (best := int(share.argmax())) != wanted:
            return (f"the network says class {best}, and {100 * share[wanted]:.1f} % for class {wanted}",
                    "more steps, smaller ones; and go down the cross-entropy of the class wanted")  # fmt: skip
        return None

    return Certificate("x_adv", "A picture within 8 grey levels of the drawing, which the network takes for the class "
                       "that was chosen for you.", judge)  # fmt: skip


# 7 · find the bug


def in_pixels(model, x, y, eps, mean, std):
    """FGSM for a network that wants normalised pictures; ε is in pixel units."""
    g = slope(lambda x: model((x - mean) / std), x, y)
    return (x + eps * g.sign()).clamp(0, 1)


def normalised(model, x, y, eps, mean, std):
    """The bug: the step is made in normalised units, so it is std times as long, and nothing is clamped."""
    z = (x - mean) / std
    return (z + eps * slope(model, z, y).sign()) * std + mean


def colours(random):
    """Return what the task asks, with a mean and a deviation for each colour."""
    mean, std = (low + 0.2 * torch.rand(1, 3, 1, 1, generator=random) for low in (0.4, 0.2))
    return (*asked(random), radius(random), mean, std)


IN_PIXELS = Task(
    "fgsm_in_pixels",
    "FGSM in pixel units for a network that wants normalised pictures: x in [0, 1] comes in, x in [0, 1] goes out.",
    cases=colours,
    right=in_pixels,
    mistakes=(
        Mistake("the step is still made in normalised units: it is std times as long as ε", normalised),
        Mistake("still in normalised units, though clamped", lambda *a: normalised(*a).clamp(0, 1)),
        Mistake("a normalised picture is returned: it must lie in [0, 1]",
                lambda model, x, y, eps, mean, std: ((x + eps * slope(lambda v: model((v - mean) / std), x, y).sign())
                                                     .clamp(0, 1) - mean) / std),
        Mistake("the picture left [0, 1]: clamp it after the step",
                lambda model, x, y, eps, mean, std: x + eps * slope(lambda v: model((v - mean) / std), x, y).sign()),
        Mistake("the network was asked about a picture that was not normalised",
                lambda model, x, y, eps, mean, std: (x + eps * slope(model, x, y).sign()).clamp(0, 1)),
        Mistake("ε was divided by std: that is right for normalised pictures, not for pixels",
                lambda model, x, y, eps, mean, std:
                (x + eps / std * slope(lambda v: model((v - mean) / std), x, y).sign()).clamp(0, 1)),
    ),
)  # fmt: skip
