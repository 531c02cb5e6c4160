"""Attacks beside torchattacks, Foolbox and ART: the same network, pictures, ball and number of steps.

``bare`` replays the very passes that our attack made, forward and backward, and nothing else; the two with which it
ends, the clean and the final answers, are among them.  Peers do not look at their result, so that "with its check"
adds these two passes to theirs: only then do both hand back a success that was measured.
"""

import dataclasses
import functools
from collections.abc import Callable

import torch
from peers import Peers, installed
from rows import Missing, Result, beside, judged, row
from subjects import fresh, picturebook, squeezenet
from timing import device, milliseconds, paired, ratio

from lecturekit import attacks, networks
from lecturekit.attacks import L2
from lecturekit.attacks.gradient import kept
from lecturekit.augment import pixels
from lecturekit.pictures.picturebook import PictureBook

SECTION = "Attacks"
EPS, RADIUS = 8 / 255, 2.0


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attack and who else offers it.

    Attributes:
        what: its name and settings.
        ours: (model, x, y, steps) to pictures.
        theirs: (`Peers`, steps) to attacks by name, None for those that are not installed.
        judge: (model, x, y, pictures by name) to words, the peers that are as good as ours, whether ours is good.
        steps: in a measurement; a twentieth of them in a quick one.
        most: times a peer, at most.
        colours_first: a peer wants pictures whose colours lie one after the other in memory; then all get such.
    """

    what: str
    ours: Callable
    theirs: Callable
    judge: Callable
    steps: int = 1
    most: float = 1.0
    colours_first: bool = False


def misled(model, x, y, found):
    """Judge attacks inside a ball by the share of pictures that they mislead."""
    share = {name: (answers(model, pictures) != y).float().mean().item() for name, pictures in found.items()}
    words = "misled " + ", ".join(f"{name} {100 * part:.0f} %" for name, part in share.items())
    same = [name for name, pictures in found.items() if name != "ours" and torch.equal(pictures, found["ours"])]
    words += f"; pictures equal to the last bit: {', '.join(same)}" if same else ""
    others = {name: part for name, part in share.items() if name != "ours"}
    equal = [name for name, part in others.items() if part >= share["ours"]]
    return words, equal, all(part <= share["ours"] for part in others.values())


def nearest(model, x, y, found):
    """Judge attacks that look for the smallest change by its median L2, and the share misled."""
    share, norm = {}, {}
    for name, pictures in found.items():
        fell = answers(model, pictures) != y
        share[name] = fell.float().mean().item()
        norm[name] = torch.where(fell, (pictures - x).flatten(1).norm(dim=1), torch.inf).median().item()
    words = "median L2 " + ", ".join(f"{name} {norm[name]:.3f} ({100 * share[name]:.0f} %)" for name in found)
    equal = [name for name in found if name != "ours" and norm[name] <= 1.02 * norm["ours"]]
    good = norm["ours"] <= 1.02 * min(norm.values()) and share["ours"] >= max(share.values())
    return words, equal, good


def answers(model, x):
    """Return what a network says of pictures, (N,)."""
    with torch.no_grad():
        return model(x).argmax(1)


def one_price(model, x, y, steps):
    """Return what Carlini and Wagner find at the price 1: torchattacks searches for none."""
    return attacks.carlini_wagner(model, x, y, steps=steps, searches=1, price=1.0).x


def changed(model, x, y, steps):
    """Return pictures with one change for all."""
    return (x + attacks.universal(model, x, passes=steps).delta).clamp(0, 1)


ATTACKS = {
    "fgsm": Attack(
        "FGSM",
        lambda model, x, y, steps: attacks.fgsm(model, x, y).x,
        lambda peers, steps: {
            "torchattacks": peers.torchattacks("FGSM", eps=EPS),
            "Foolbox": peers.foolbox("FGSM", EPS),
            "ART": peers.art("FastGradientMethod", eps=EPS),
        },
        misled,
    ),
    "pgd-all": Attack(
        "PGD-40 L∞, every picture to the end",
        lambda model, x, y, steps: attacks.pgd(model, x, y, steps=steps, leave=False).x,
        lambda peers, steps: pgd(peers, steps),
        misled,
        40,
    ),
    "pgd": Attack(
        "PGD-40 L∞, misled pictures leave",
        lambda model, x, y, steps: attacks.pgd(model, x, y, steps=steps).x,
        lambda peers, steps: pgd(peers, steps),
        misled,
        40,
        0.6,
    ),
    "pgd-l2": Attack(
        "PGD-40 L2, misled pictures leave",
        lambda model, x, y, steps: attacks.pgd(model, x, y, ball=L2(RADIUS), steps=steps).x,
        lambda peers, steps: {
            "torchattacks": peers.torchattacks("PGDL2", eps=RADIUS, alpha=RADIUS / 4, steps=steps),
            "Foolbox": peers.foolbox("L2PGD", RADIUS, abs_stepsize=RADIUS / 4, steps=steps),
            "ART": peers.art("ProjectedGradientDescent", norm=2, eps=RADIUS, eps_step=RADIUS / 4, max_iter=steps,
                             num_random_init=1),
        },
        misled,
        40,
        0.6,
        colours_first=True,
    ),
    "mi-fgsm": Attack(
        "MI-FGSM, 10 steps",
        lambda model, x, y, steps: attacks.mi_fgsm(model, x, y, steps=steps).x,
        lambda peers, steps: {
            "torchattacks": peers.torchattacks("MIFGSM", eps=EPS, alpha=EPS / steps, steps=steps),
            "Foolbox": peers.foolbox("MIFGSM", EPS, abs_stepsize=EPS / steps, steps=steps),
            "ART": peers.art("MomentumIterativeMethod", eps=EPS, eps_step=EPS / steps, max_iter=steps),
        },
        misled,
        10,
    ),
    "apgd": Attack(
        "APGD-CE, 100 steps, misled pictures leave",
        lambda model, x, y, steps: attacks.apgd(model, x, y, steps=steps).x,
        lambda peers, steps: {
            "torchattacks": peers.torchattacks("APGD", eps=EPS, steps=steps),
            "ART": peers.art("AutoProjectedGradientDescent", eps=EPS, eps_step=2 * EPS, max_iter=steps,
                             nb_random_init=1),
        },
        misled,
        100,
        0.6,
    ),
    "deepfool": Attack(
        "DeepFool L2, at most 50 steps",
        lambda model, x, y, steps: attacks.deepfool(model, x, y, steps=steps).x,
        lambda peers, steps: {
            "Foolbox": peers.foolbox("L2DeepFoolAttack", steps=steps, candidates=10),
        } | ({} if peers.classes > 100 else {  # of a thousand classes these two take a quarter of an hour
            "torchattacks": peers.torchattacks("DeepFool", steps=steps),
            "ART": peers.art("DeepFool", max_iter=steps, epsilon=0.02, nb_grads=10),
        }),
        nearest,
        50,
        0.35,
    ),
    "carlini-wagner": Attack(
        "C&W L2, 100 steps at one price (c = 1)",
        one_price,
        lambda peers, steps: {
            "torchattacks": peers.torchattacks("CW", c=1, steps=steps, lr=0.01),
            "Foolbox": peers.foolbox("L2CarliniWagnerAttack", binary_search_steps=1, steps=steps, stepsize=0.01,
                                     initial_const=1.0),
            "ART": peers.art("CarliniL2Method", binary_search_steps=1, max_iter=max(steps // 10, 1),
                             learning_rate=0.01, initial_const=1.0),
        },
        nearest,
        100,
        0.75,
    ),
    "universal": Attack(
        "one change for all pictures, L∞ 10/255, 10 passes",
        changed,
        lambda peers, steps: {
            "ART": peers.art("UniversalPerturbation", attacker="deepfool", eps=10 / 255, max_iter=1, delta=0.05,
                             attacker_params={"max_iter": 5, "verbose": False}),
        },
        misled,
        10,
    ),
}  # fmt: skip


def pgd(peers, steps):
    """Return PGD within L∞, a quarter of the radius a step, from a random start."""
    return {
        "torchattacks": peers.torchattacks("PGD", eps=EPS, alpha=EPS / 4, steps=steps),
        "Foolbox": peers.foolbox("LinfPGD", EPS, abs_stepsize=EPS / 4, steps=steps),
        "ART": peers.art("ProjectedGradientDescent", eps=EPS, eps_step=EPS / 4, max_iter=steps, num_random_init=1),
    }


class Recorded(torch.nn.Module):
    """A network that notes every pass: how many pictures went up, and how often a gradient came down for them."""

    def __init__(self, model):
        super().__init__()
        self.model, self.calls = model, []

    def forward(self, x):
        """Return the network's answers."""
        answers, call = self.model(x), [len(x), 0]
        self.calls.append(call)
        if answers.requires_grad:
            answers.register_hook(lambda _: call.__setitem__(1, call[1] + 1))
        return answers


def replay(model, x, calls):
    """Make the passes that were noted, and nothing else."""
    for count, gradients in calls:
        leaf = kept(x, torch.arange(count, device=x.device) % len(x)).requires_grad_(gradients > 0)
        with torch.set_grad_enabled(gradients > 0):
            answers = model(leaf).sum()
            for k in range(gradients):
                torch.autograd.grad(answers, leaf, retain_graph=k + 1 < gradients)


def compared(attack, subject, rounds, few, apart):
    """Return the row of one attack on one subject."""
    model, x, y = subject
    x = x.contiguous() if attack.colours_first else x
    steps, turn = max(attack.steps // 20, 1) if few else attack.steps, alone if apart else together
    noted = Recorded(model).eval()
    turn(lambda x, y: attack.ours(noted, x, y, steps))(x, y)
    peers = {name: turn(call) for name, call in attack.theirs(Peers(model, x), steps).items() if call}
    ours, check = turn(lambda x, y: attack.ours(model, x, y, steps)), turn(lambda x, y: twice(model, x))
    work = {name: functools.partial(call, x, y) for name, call in {"ours": ours, **peers, "check": check}.items()}
    seconds, found = paired(rounds, **work, bare=lambda: replay(model, x, noted.calls))
    words, equal, good = attack.judge(model, x, y, {name: found[name] for name in ("ours", *peers)})
    return with_check(seconds, peers, words, equal, good, attack.most)


def with_check(seconds, peers, words, equal, good, most):
    """Return the row in which peers are judged together with the check of their result, and shown without it."""
    check = seconds.pop("check")
    whole = seconds | {name: [sum(pair) for pair in zip(seconds[name], check, strict=False)] for name in peers}
    plain, over = ({name: ratio(each["ours"], each[name]) for name in peers} for each in (seconds, whole))
    if any(round(plain[name].median, 2) != round(over[name].median, 2) for name in peers):
        words += "; with the check × " + ", ".join(f"{name} {each.median:.2f}" for name, each in over.items())
    return dataclasses.replace(judged(whole, words, equal=equal, good=good, peer=most), peer=beside(plain))


def alone(attack):
    """Return an attack that takes its pictures one after the other."""
    return lambda x, y: torch.cat([attack(x[i : i + 1], y[i : i + 1]) for i in range(len(x))])


def together(attack):
    """Return the attack."""
    return attack


def twice(model, x):
    """Ask a network for the clean and the final answers."""
    answers(model, x)
    return answers(model, x)


# Which attack on which subject

SUBJECTS = {  # what it is, few pictures or all of them, whether one after the other
    "1": ("picture-book network, 64×64, ten pictures one by one", lambda few: picturebook(2 if few else 10), True),
    "100": ("picture-book network, 64×64, batch 100", lambda few: picturebook(8 if few else 100), False),
    "squeezenet": ("SqueezeNet 1.0, 224×224, batch 8", lambda few: squeezenet(1 if few else 8), False),
    "resnet18": ("ResNet-18, random weights, 224×224, batch 4", lambda few: fresh("resnet18", 1 if few else 4), False),
    "vgg16": ("VGG-16, random weights, 224×224, batch 1", lambda few: fresh("vgg16", 1), False),
}
ON_ALL = ("fgsm", "pgd-all")  # on random weights the others would measure where luck leads, not time
NOT_ONE = ("universal",)


def enter(name, attack, subject):
    """Enter one attack on one subject in the table."""
    where, make, apart = SUBJECTS[subject]
    must = f"bare ≤ 1.10; each peer of equal quality, with the check, ≤ {attack.most:.3g}"

    @row(f"{name}-{subject}", SECTION, f"{attack.what}; {where}", must)
    def measure(quick):
        return compared(attack, make(quick), 0 if quick else 9, quick, apart)


for name, attack in ATTACKS.items():
    for subject in SUBJECTS:
        trained = subject in ("1", "100", "squeezenet")
        if (trained or name in ON_ALL) and not (subject == "1" and name in NOT_ONE):
            enter(name, attack, subject)


# Attacks that no peer offers, and the whole ensemble

OWN = {  # name: what it is, and the attack
    "bim": ("BIM, 10 steps", lambda m, x, y, few: attacks.bim(m, x, y, steps=10)),
    "square": ("Square, 300 queries", lambda m, x, y, few: attacks.square(m, x, y, queries=30 if few else 300)),
    "few-pixels": ("one pixel, 20 guesses of 10 generations",
                   lambda m, x, y, few: attacks.few_pixels(m, x, y, guesses=20, generations=1 if few else 10)),
}  # fmt: skip


def beside_its_passes(attack):
    """Return the measurement of an attack beside the very passes that it makes, replayed without it."""

    def measure(quick):
        model, x, y = picturebook(8 if quick else 50)
        noted = Recorded(model).eval()
        attack(noted, x, y, quick)
        seconds, _ = paired(
            0 if quick else 5, ours=lambda: attack(model, x, y, quick), bare=lambda: replay(model, x, noted.calls)
        )
        ups, downs = sum(n for n, _ in noted.calls), sum(n * back for n, back in noted.calls)
        return judged(seconds, f"{ups:,} pictures up, {downs:,} gradients down")

    return measure


for name, (what, attack) in OWN.items():
    row(f"{name}-bare", SECTION, f"{what}; picture-book network, 64×64, batch 50", "bare ≤ 1.10")(
        beside_its_passes(attack)
    )


@row("ensemble", SECTION, "our ensemble of four, 500 test drawings (2 when quick), beside torchattacks' AutoAttack",
     "robust accuracy ≤ that of AutoAttack + 0.5 points, time ≤ 1.0 ×")  # fmt: skip
def ensemble(quick):
    """Each once: half an hour on one core.  The first drawings of the test split, wrongly named ones included."""
    if installed("torchattacks") is None:
        raise Missing("torchattacks is not installed")
    theirs = installed("torchattacks").AutoAttack
    model, book = networks.load("picturebook").to(device()), PictureBook("test", 2 if quick else 500)
    x, y = (each.to(device()) for each in (pixels(torch.from_numpy(book.images)), torch.from_numpy(book.labels)))
    attack = theirs(model, norm="Linf", eps=EPS, n_classes=len(model.classes), seed=0)
    seconds, found = paired(0, ours=lambda: attacks.ensemble(model, x, y, ball=attacks.Linf(EPS)).found.x,
                            theirs=lambda: attack(x.contiguous(), y))  # fmt: skip
    left, stayed = (100 * (answers(model, found[name]) == y).float().mean().item() for name in ("ours", "theirs"))
    cost = ratio(seconds["ours"], seconds["theirs"])
    words = f"of {len(x)} drawings ours leaves {left:.1f} %, AutoAttack {stayed:.1f} %"
    return Result("", str(cost), words, left <= stayed + 0.5 and cost.median <= 1.0, milliseconds(seconds["ours"]))
