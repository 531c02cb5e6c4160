"""Other people's attacks, called as their documentation says: pictures and classes in, pictures out.

What is not installed is left out.  Everything random starts from the same seed at each call, so that a row has the same
success whenever it is measured.
"""

import importlib
import random
import warnings

import numpy as np
import torch
from timing import device


class Peers:
    """torchattacks, Foolbox and ART on one network.

    Args:
        model: pixels in [0, 1] to logits.
        x: some pictures of the size that will be attacked.
    """

    def __init__(self, model, x):
        warnings.simplefilter("ignore")
        self.model, self.shape = model, tuple(x.shape[1:])
        with torch.no_grad():
            self.classes = model(x[:1]).shape[1]

    def torchattacks(self, name, **settings):
        """Return an attack of torchattacks, or None."""
        if (found := installed("torchattacks")) is None:
            return None
        attack = getattr(found, name)(self.model, **settings)
        return seeded(lambda x, y: attack(x, y).detach())

    def foolbox(self, name, eps=None, **settings):
        """Return an attack of Foolbox, or None; without ``eps`` it looks for the smallest change."""
        if (found := installed("foolbox")) is None:
            return None
        attack = getattr(found.attacks, name)(**settings)
        wrapped = found.PyTorchModel(self.model, bounds=(0, 1), device=device())
        return seeded(lambda x, y: attack(wrapped, x, y, epsilons=eps)[1].detach())

    def art(self, name, **settings):
        """Return an attack of ART, which speaks numpy, or None."""
        if (found := installed("art.attacks.evasion")) is None:
            return None
        wrapped = installed("art.estimators.classification").PyTorchClassifier(
            self.model, torch.nn.CrossEntropyLoss(), self.shape, self.classes, clip_values=(0.0, 1.0),
            device_type="cpu" if device().type == "cpu" else "gpu",
        )  # fmt: skip
        kind = getattr(found, name)
        if "verbose" in kind.attack_params:
            settings = {"verbose": False} | settings

        def attack(x, y):
            made = kind(wrapped, **({"batch_size": len(x)} | settings)).generate(x.cpu().numpy(), y.cpu().numpy())
            return torch.from_numpy(np.asarray(made, dtype=np.float32)).to(x)

        return seeded(attack)


def installed(name):
    """Return a module, or None where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def seeded(attack):
    """Return an attack whose random numbers are the same at every call."""

    def call(x, y):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        return attack(x, y)

    return call


def captum():
    """Return captum.attr, or None."""
    warnings.simplefilter("ignore")
    return installed("captum.attr")
