"""What do the layers of a network see?  Four ways to ask, each with a number beside its pictures.

==================  ================================================================================================
`gallery`           the strongest patches of a data set for every filter
`maximise`          the picture that a filter would see if it had a wish
`questions`         a quiz: do its patches, or its painted pictures, foretell what a filter does?  `observed` takes it
`part_scores`       which filter marks which part, where the parts are known; `pointing_game`
`hierarchy`         what changes with depth: fields, frequencies, selectivity, invariance; `settling` over training
`census`            dead, sleepy, stuck, saturated, double, dominant and noisy filters; `plant` breaks one on purpose
`initialised`       good and bad first weights; `signal` shows what becomes of them; `repair` mends a first layer
==================  ================================================================================================

The trap: pictures of filters persuade.  A random network gives pretty ones too, so each way comes with a control:
`networks.random_twin`, a `random_rotation` of the same filters, or the natural patches beside the painted one.
"""

from lecturekit.features.defects import DEFECTS, plant
from lecturekit.features.diagnose import Census, Finding, census
from lecturekit.features.exemplars import Question, exchanged, observed, questions, seen_by
from lecturekit.features.gallery import Gallery, gallery
from lecturekit.features.hierarchy import class_selectivity, effective_field, hierarchy, invariance, trend
from lecturekit.features.initialise import SCHEMES, healthy, initialised, learn, signal, slope
from lecturekit.features.maximise import Maximised, maximise
from lecturekit.features.objectives import Score, channel, direction, logit, neuron
from lecturekit.features.parts import PartScores, Pointing, part_scores, pointing_game, random_rotation
from lecturekit.features.repair import aliasing, renormalise, renormalising, stem_net
from lecturekit.features.settling import Settling, linear_cka, settling
from lecturekit.features.tuned import tuned
from lecturekit.features.views import views
from lecturekit.features.waves import dominant_frequency, orientation_selectivity, sensitivity

__all__ = [
    "Census", "DEFECTS", "Finding", "Gallery", "Maximised", "PartScores", "Pointing", "Question", "SCHEMES", "Score",
    "Settling", "aliasing", "census", "channel", "class_selectivity", "direction", "dominant_frequency",
    "effective_field", "exchanged", "gallery", "healthy", "hierarchy", "initialised", "invariance", "learn",
    "linear_cka", "logit", "maximise", "neuron", "observed", "orientation_selectivity", "part_scores", "plant",
    "pointing_game", "questions", "random_rotation", "renormalise", "renormalising", "seen_by", "sensitivity",
    "settling", "signal", "slope", "stem_net", "trend", "tuned", "views",
]  # fmt: skip
