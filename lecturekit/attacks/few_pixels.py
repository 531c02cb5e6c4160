r"""Few pixels, changed at will: an attack that everybody sees and that the network cannot bear.

Here the ball counts pixels: `L0` allows ``k`` of them any colour and forbids all others anything.  Which pixels is a
question with no gradient, so a population of guesses evolves.  One guess is ``k`` lines of five numbers in [0, 1]::

    (row, column, red, green, blue)        child = a + F (b - c)       a, b, c three others of the population

and a child takes the place of its parent if it makes the margin larger.  What leaves [0, 1] is drawn anew.

The trap: with thousands of guesses for each picture this is the dearest attack of all.  A failure with few guesses says
how little was tried, not how robust the network is.

Source: Su et al. 2019, "One pixel attack for fooling deep neural networks", arXiv:1710.08864, section 3; differential
evolution is Storn & Price 1997.  They take 400 guesses and 100 generations; the defaults here are for a lecture.
"""

import torch

from lecturekit.attacks.gradient import interruptible
from lecturekit.attacks.guard import attacking, check_steps, checked_logits
from lecturekit.attacks.result import judge
from lecturekit.attacks.scores import margin, reached
from lecturekit.attacks.threat import Ball
from lecturekit.errors import InputError
from lecturekit.progress import Step, stopped


class L0(Ball):
    """All pictures that differ in at most ``eps`` pixels; a pixel counts once, whatever happens to its colours."""

    name = "L0"

    def __post_init__(self):
        super().__post_init__()
        if self.eps != int(self.eps):
            raise InputError(f"L0 counts pixels, so eps must be a whole number but is {self.eps!r}")

    def __str__(self):
        return f"L0 ≤ {int(self.eps)} pixel{'s' * (self.eps != 1)}"

    def project(self, x, x0):
        """Return the point of the ball that is nearest to ``x``: what moved farthest stays, the rest goes back."""
        moved = (x - x0).norm(dim=1).flatten(1)  # (N, H * W)
        most = moved.topk(min(int(self.eps), moved.shape[1]), dim=1).indices
        stays = torch.zeros_like(moved, dtype=torch.bool).scatter(1, most, True)
        return torch.where(stays.view(len(x), 1, *x.shape[-2:]), x, x0)

    @staticmethod
    def size(delta):
        """Return how many pixels each of N changes touches, as floats (N,)."""
        return (delta != 0).any(1).flatten(1).sum(1).to(delta.dtype)


ONE = L0(1)  # the attack that made this known


def few_pixels(
    model, x, y, *, ball=ONE, guesses=50, generations=20, scale=0.5, target=None, score=margin, seed=0, watch=None
):  # fmt: skip
    """Change at most ``ball.eps`` pixels, found by differential evolution.

    Args:
        model, x, y, target, score: see `gradient.fgsm`; no gradient is ever asked for.
        ball: `L0`, the number of pixels.
        guesses: in the population of one picture, at least 4.
        generations: after the first; a picture costs ``guesses * (generations + 1)`` queries unless it leaves earlier.
        scale: of the difference of two guesses that is added to a third, the F of the method.
        seed: of everything random.
        watch: see `lecturekit.progress`; told after each generation.
    Returns: `Adversarial`, with ``queries`` counted for each picture.
    Raises: InputError, ModelError: see `guard`; InputError for another ball or a population too small to breed.
    """
    check_population(ball, guesses, generations)
    with attacking(model, x, y, target), torch.no_grad():
        found, asked, complete = search(
            model, x, y, ball, target, score, watch, seed, guesses=guesses, generations=generations, scale=scale
        )
        counts = {"queries": asked, "seed": seed, "complete": complete}
        return judge(model, x, found, y, target, attack="few pixels", ball=ball, **counts)


def search(model, x, y, ball, target, score, watch, seed, **evolution):
    """Return pictures (N, C, H, W), how often each was asked about (N,), and whether the search came to its end."""
    found, asked, each = x.clone(), torch.zeros_like(y), evolution["generations"] + 1
    with interruptible() as interrupted:
        for n in range(len(x)):
            here = slice(n, n + 1)
            classes = y[here], None if target is None else target[here]
            generator = torch.Generator().manual_seed(seed + n)  # its luck does not hang on the other pictures
            for born, best in enumerate(evolve(model, x[here], classes, ball, score, generator, **evolution), 1):
                found[here] = best
                asked[n] += evolution["guesses"]
                if stopped(watch, Step(n * each + born, len(x) * each, picture=best, note=f"picture {n + 1}")):
                    return found, asked, n * each + born == len(x) * each
    return found, asked, not interrupted


def evolve(model, x0, classes, ball, score, generator, *, guesses, generations, scale):
    """Yield the best picture so far (1, C, H, W) after each generation, until it is misled.

    Args:
        x0: one picture (1, C, H, W).
        classes: its true class (1,), and the target (1,) or None.
    """
    y, target = (None if some is None else some.expand(guesses) for some in classes)
    shape = guesses, int(ball.eps), 2 + x0.shape[1]
    population, fitness = None, torch.full((guesses,), -torch.inf).to(x0)
    for generation in range(generations + 1):
        tried = cross(population, scale, generator) if generation else torch.rand(shape, generator=generator)
        pictures = paint(x0, tried)
        logits = checked_logits(model, pictures, y, target)
        ends = reached(logits, y, target)
        value = torch.where(ends, torch.inf, score(logits, y, target))
        better = (value > fitness).cpu()
        population = torch.where(better[:, None, None], tried, population) if generation else tried
        fitness = torch.maximum(value, fitness)
        yield paint(x0, population[fitness.argmax().item()][None])
        if ends.any():
            return


def cross(population, scale, generator):
    """Return a child of each of P guesses: a + scale * (b - c) of three others; values outside [0, 1] drawn anew."""
    count = len(population)
    order = torch.rand(count, count, generator=generator).fill_diagonal_(2).argsort(1)  # itself comes last
    a, b, c = (population[order[:, i]] for i in range(3))
    child = a + scale * (b - c)
    return torch.where((child >= 0) & (child <= 1), child, torch.rand(child.shape, generator=generator))


def paint(x0, guesses):
    """Return one picture (1, C, H, W) with the pixels of each guess painted over: (P, k, 2 + C) to (P, C, H, W)."""
    height, width = x0.shape[-2:]
    rows = (guesses[..., 0] * height).long().clamp_max(height - 1).to(x0.device)  # (P, k)
    columns = (guesses[..., 1] * width).long().clamp_max(width - 1).to(x0.device)
    pictures = x0.permute(0, 2, 3, 1).repeat(len(guesses), 1, 1, 1)  # (P, H, W, C)
    pictures[torch.arange(len(guesses), device=x0.device)[:, None], rows, columns] = guesses[..., 2:].to(x0)
    return pictures.permute(0, 3, 1, 2)


def check_population(ball, guesses, generations):
    """Refuse what evolution cannot work with."""
    if not isinstance(ball, L0):
        raise InputError(f"few_pixels counts pixels, so its ball must be L0(1), L0(3) ... but is {ball}")
    check_steps(generations, "generations")
    check_steps(guesses, "guesses")
    if guesses < 4:
        raise InputError(f"a child has three parents beside its own, so guesses must be 4 or more but is {guesses}")
