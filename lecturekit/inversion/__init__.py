"""Network inversion: from what a layer says back to the picture.

Two roads lead back.  *Optimisation* (`invert`) changes a picture until the network says the same of it; it needs
nothing but the network, takes seconds, and answers "which pictures look the same to this layer?".  An *inverse network*
(`inverse_net`, shipped ones by `load_inverse`) is trained once to guess the picture from the code; it answers in a
millisecond, with the average of all pictures that fit.
"""

from lecturekit.inversion.depth import decoded, optimised
from lecturekit.inversion.optimise import Inversion, invert
from lecturekit.inversion.priors import alpha_norm, natural, total_variation
from lecturekit.inversion.representation import representation
from lecturekit.inversion.solvers import adam, lbfgs
from lecturekit.inversion.tuned import LAYERS, tuned
from lecturekit.inversion.upconv import inverse_layers, inverse_net, load_inverse
from lecturekit.parameterise import DeepPrior, Fourier, Pixels

__all__ = [
    "DeepPrior", "Fourier", "Inversion", "LAYERS", "Pixels", "adam", "alpha_norm", "decoded", "inverse_layers",
    "inverse_net", "invert", "lbfgs", "load_inverse", "natural", "optimised", "representation", "total_variation",
    "tuned",
]  # fmt: skip
