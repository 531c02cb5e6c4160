"""Settings that work, layer by layer, so that nobody has to guess: ``invert(phi, phi0, **tuned("conv3"))``.

Found by trying weights of the prior from 1e-6 to 1e-1, both ways to hold a picture, on 8 validation drawings of the
picture book (never on the test drawings that the claims are measured on).  Shallow codes determine the picture, and a
prior only gets in the way; deep ones leave nearly everything to it.
"""

from lecturekit.inversion.priors import natural
from lecturekit.inversion.representation import PROBABILITIES
from lecturekit.parameterise import Fourier, Pixels

# layer: how the picture is held, weight of alpha-norm and total variation, evaluations
SETTINGS = {
    "conv1": (Pixels, 1e-5, 40),
    "conv2": (Pixels, 3e-4, 60),
    "conv3": (Pixels, 1e-3, 60),
    "conv4": (Pixels, 3e-3, 80),
    "conv5": (Fourier, 1e-3, 80),
    "fc6": (Fourier, 5e-2, 80),
    "fc7": (Fourier, 5e-2, 80),
    "fc8": (Fourier, 5e-2, 80),
    PROBABILITIES: (Fourier, 5e-2, 80),
}
LAYERS = tuple(SETTINGS)  # from the picture to the class


def tuned(layer):
    """Return the arguments of `invert` that suit a layer.

    Args:
        layer: a layer of the course's network.  ``relu`` and ``pool`` layers take what suits the layer before them; any
            other name, e.g. of a torchvision network, takes what suits conv4.
    Returns: a dict with ``hold``, ``prior`` and ``steps``.
    """
    hold, weight, steps = settings_for(layer)
    return {"hold": hold, "prior": natural(alpha=weight, tv=weight), "steps": steps}


def settings_for(layer):
    """Return what suits a layer as numbers: how the picture is held, the weight of both priors, evaluations."""
    number = layer.removeprefix("relu").removeprefix("pool")
    near = layer if layer in SETTINGS else f"fc{number}" if number in "678" else f"conv{number}"
    return SETTINGS.get(near, SETTINGS["conv4"])
