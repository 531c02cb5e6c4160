"""The same pictures, brought back from every layer: the experiment of which the lecture speaks.

Two functions, one for each road back, with the same result: layer by layer, pictures that can be laid beside the
originals and measured.
"""

import torch

from lecturekit.inversion.optimise import invert
from lecturekit.inversion.representation import representation
from lecturekit.inversion.tuned import LAYERS, tuned
from lecturekit.inversion.upconv import inverse_layers, load_inverse
from lecturekit.networks import load


def optimised(model, x0, layers=LAYERS, *, watch=None, **changes):
    """Invert the codes of ``x0`` at each layer by optimisation, with the settings tuned for that layer.

    Args:
        model: the network.
        x0: pictures (N, 3, H, W) in [0, 1].
        layers: names, from the picture to the class.
        watch: see `lecturekit.progress`; told about each layer's evaluations in turn.
        changes: arguments of `invert` that replace the tuned ones, e.g. ``steps=20``.
    Returns: {layer: Inversion}.
    """
    found = {}
    for layer in layers:
        phi = representation(model, layer)
        with torch.no_grad():
            phi0 = phi(x0)
        settings = {"size": tuple(x0.shape[-2:])} | tuned(layer) | changes
        found[layer] = invert(phi, phi0, watch=watch, **settings)
    return found


def decoded(model_name, x0, layers=None):
    """Send the codes of ``x0`` at each layer through that layer's inverse network.

    Args:
        model_name: ``"picturebook"`` or ``"photographs"``.
        x0: pictures (N, 3, 64, 64) in [0, 1].
        layers: names; all that have a shipped inverse network if None.
    Returns: {layer: pictures (N, 3, 64, 64) in [0, 1]}.
    """
    model = load(model_name).to(x0.device)
    rebuilt = {}
    with torch.no_grad():
        for layer in layers or inverse_layers(model_name):
            rebuilt[layer] = load_inverse(model_name, layer).to(x0.device)(representation(model, layer)(x0))
    return rebuilt
