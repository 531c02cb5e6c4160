"""Other people's attacks, which share no line with ours: where they are right, ours agree; not, ours go on."""

import copy
import importlib
import warnings

import pytest
import torch

from lecturekit.attacks.carlini import carlini_wagner
from lecturekit.attacks.deepfool import deepfool
from lecturekit.attacks.gradient import ascend, fgsm
from lecturekit.attacks.threat import L2, Linf
from tests.attacks.known import certified, cifar, digits, resnet20

EPS = 8 / 255


def peer(name):
    """Import somebody else's library, or skip; some of them still call what others have deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as missing:
            pytest.skip(f"{name} cannot be imported ({missing}); pip install -e .[test] -c constraints.txt")


@pytest.fixture(scope="module")
def foolbox():
    return peer("foolbox")


@pytest.fixture(scope="module")
def torchattacks():
    return peer("torchattacks")


@pytest.fixture(scope="module")
def art():
    """The one of ART's modules that is needed, and its wrapper around a network."""
    evasion, estimators = peer("art.attacks.evasion"), peer("art.estimators.classification")

    def wrap(model):
        shape = tuple(model.shape)
        return estimators.PyTorchClassifier(
            model, torch.nn.CrossEntropyLoss(), shape, 10, clip_values=(0.0, 1.0), device_type="cpu"
        )

    return evasion, wrap


@pytest.fixture(scope="module")
def situation(shared):
    """A real network of CIFAR-10, and pictures that it names rightly; some of their pixels are black or white."""
    model, (x, y) = resnet20(shared), cifar(shared, 50)
    model.shape = x.shape[1:]
    right = model(x).argmax(1) == y
    assert right.sum() >= 48
    return model, x[right].contiguous(), y[right]


@pytest.fixture(scope="module")
def sturdy(shared):
    """The certified network: inside its radius few pictures fall, and farther out more and more."""
    model, (x, y) = certified(shared), digits(shared, 200)
    right = model(x).argmax(1) == y
    return model, x[right], y[right]


def quietly(attack, *arguments, **others):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return attack(*arguments, **others)


def test_fgsm_equals_foolbox_and_torchattacks_to_the_last_bit(situation, foolbox, torchattacks):
    model, x, y = situation
    ours = fgsm(model, x, y, ball=Linf(EPS)).x
    theirs = foolbox.attacks.FGSM()(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=EPS)[1]
    assert torch.equal(ours, theirs)
    assert torch.equal(ours, torchattacks.FGSM(model, eps=EPS)(x, y))


def test_the_euclidean_fgsm_equals_foolboxs(situation, foolbox):
    model, x, y = situation
    theirs = foolbox.attacks.FGM()(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=0.5)[1]
    torch.testing.assert_close(fgsm(model, x, y, ball=L2(0.5)).x, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("ball", "alpha", "dtype"), [(Linf(EPS), 2 / 255, torch.float32), (L2(0.5), 0.1, torch.float64)], ids=str
)
def test_pgd_without_a_random_start_equals_foolbox_and_torchattacks(
    situation, foolbox, torchattacks, ball, alpha, dtype
):
    """Lengths need double precision: in single, the last bit of a quotient decides a ReLU, and from there ways part."""
    model, x, y = copy.deepcopy(situation[0]).to(dtype), situation[1][:10].to(dtype), situation[2][:10]
    ours = ascend(model, x, y, ball, steps=8, alpha=alpha).x
    kind = foolbox.attacks.LinfPGD if isinstance(ball, Linf) else foolbox.attacks.L2PGD
    attack = kind(abs_stepsize=alpha, steps=8, random_start=False)
    theirs = attack(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=ball.eps)[1]
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    kind = torchattacks.PGD if isinstance(ball, Linf) else torchattacks.PGDL2
    # It adds 1e-10 to lengths; a sure network's gradient, divided by the batch, is 3e-9 long: 3 % of the step is lost.
    exact = {} if isinstance(ball, Linf) else {"eps_for_division": 0}
    theirs = quietly(kind(model, eps=ball.eps, alpha=alpha, steps=8, random_start=False, **exact), x, y)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("eps", "least"), [(0.1, 0.02), (0.16, 0.3), (0.2, 0.8)])
def test_whoever_a_peer_misleads_ours_misleads_too(sturdy, foolbox, torchattacks, eps, least):
    """All begin at the same random point: from two of them, even one and the same attack misleads 3 % otherwise."""
    model, x, y = sturdy
    torch.manual_seed(0)
    start = x + torch.empty_like(x).uniform_(-eps, eps)  # as torchattacks draws it
    climbed = ascend(model, x, y, Linf(eps), steps=40, alpha=eps / 10, start=start, leave=True)
    ours = model(climbed.x).argmax(1) != y
    attack = foolbox.attacks.LinfPGD(abs_stepsize=eps / 10, steps=40)
    attack.get_random_start = lambda x0, _: x0 + (start - x0.raw)
    by_foolbox = attack(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=eps)[2]
    torch.manual_seed(0)
    by_torchattacks = model(quietly(torchattacks.PGD(model, eps=eps, alpha=eps / 10, steps=40), x, y)).argmax(1) != y
    for theirs in (by_foolbox, by_torchattacks):
        assert theirs.float().mean() >= least, "else there is nothing to compare"
        assert (ours | ~theirs).float().mean() >= 0.99


def median(model, x0, x, y):
    """The median Euclidean change of pictures that are misled; all of them must be."""
    misled = model(x).argmax(1) != y
    return torch.where(misled, L2.size(x - x0), torch.inf).median().item()


def test_deepfool_goes_no_longer_ways_than_the_best_of_three(situation, foolbox, torchattacks, art):
    model, x, y = situation
    x, y = x[:4], y[:4]
    found = deepfool(model, x, y)
    assert found.misled.all()
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    theirs = {
        "foolbox": foolbox.attacks.L2DeepFoolAttack(steps=50)(wrapped, x, y, epsilons=None)[1],
        "torchattacks": quietly(torchattacks.DeepFool(model), x, y),
        "art": torch.from_numpy(
            quietly(
                art[0].DeepFool(art[1](model), max_iter=50, epsilon=0.02, batch_size=4, verbose=False).generate,
                x.numpy(),
            )
        ),
    }
    best = min(median(model, x, pictures.detach(), y) for pictures in theirs.values())
    assert found.norms.median().item() <= 1.02 * best


@pytest.mark.parametrize(("price", "lr"), [(1.0, 0.01), (0.1, 0.01), (0.1, 0.003)])
def test_carlini_and_wagners_attack_goes_no_longer_ways_than_others_at_one_price(
    situation, foolbox, torchattacks, price, lr
):
    """At equal budget, 100 steps at one price: torchattacks knows no search over prices."""
    model, x, y = situation
    x, y = x[:8], y[:8]
    found = carlini_wagner(model, x, y, steps=100, searches=1, price=price, lr=lr)
    assert found.misled.all()
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.L2CarliniWagnerAttack(1, 100, stepsize=lr, initial_const=price)
    theirs = [
        attack(wrapped, x, y, epsilons=None)[1],
        quietly(torchattacks.CW(model, c=price, steps=100, lr=lr), x, y),
    ]
    best = min(median(model, x, pictures.detach(), y) for pictures in theirs)
    assert found.norms.median().item() <= 1.02 * best


def test_carlini_and_wagners_attack_goes_no_longer_ways_than_others_with_a_search(situation, foolbox, art):
    """Three prices; ART's ten steps cost as much as our hundred, because it searches for the length of each."""
    model, x, y = situation
    x, y = x[:4], y[:4]
    found = carlini_wagner(model, x, y, steps=100, searches=3, price=0.1)
    assert found.misled.all()
    attack = foolbox.attacks.L2CarliniWagnerAttack(3, 100, stepsize=0.01, initial_const=0.1)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    carlini = art[0].CarliniL2Method(
        art[1](model), binary_search_steps=3, max_iter=10, learning_rate=0.01, initial_const=0.1, batch_size=4,
        verbose=False,
    )  # fmt: skip
    theirs = [
        attack(wrapped, x, y, epsilons=None)[1],
        torch.from_numpy(quietly(carlini.generate, x.numpy(), torch.nn.functional.one_hot(y, 10).numpy())),
    ]
    best = min(median(model, x, pictures.detach(), y) for pictures in theirs)
    assert found.norms.median().item() <= 1.02 * best
