"""What can be asked about a drawn face, with the answers: the attributes that a reconstruction may give away.

==========  ==========================================================  ==============================
question    answers                                                     belongs to
==========  ==========================================================  ==============================
skin        fair, medium, dark                                          the person
hair        black, brown, chestnut, blond, red, grey, white, blue, pink  the person
eyes        brown, blue, green, grey                                    the person; a few pixels wide
expression  happy, calm, sad, surprised                                 the moment
background  dark, warm, cool                                            the place
==========  ==========================================================  ==============================

Skin and background are colours in the drawing; they are cut into answers here, at fixed limits.
"""

import numpy as np

from lecturekit.measure.survival import GREY
from lecturekit.pictures.faces import EXPRESSIONS, EYES, HAIR

QUESTIONS = {
    "skin": ("fair", "medium", "dark"),
    "hair": HAIR,
    "eyes": EYES,
    "expression": EXPRESSIONS,
    "background": ("dark", "warm", "cool"),
}
# brightness in [0, 1]: skin is fair or medium from these on, a background dark below that
FAIR, MEDIUM, DARK = 0.68, 0.52, 0.45


def answers(attributes):
    """Return the right answers to all `QUESTIONS` for drawn faces, int64 (N, 5): an index into each list of answers.

    Args:
        attributes: the dicts of N faces, e.g. ``picturebook.portraits(...).attributes``.
    """
    return np.array([[ask(each) for ask in _ASK.values()] for each in attributes], dtype=np.int64).reshape(-1, 5)


def _skin(attributes):
    brightness = np.dot(GREY, attributes["skin"])
    return 0 if brightness >= FAIR else 1 if brightness >= MEDIUM else 2


def _background(attributes):
    red, _, blue = ground = attributes["background"]
    return 0 if np.dot(GREY, ground) < DARK else 1 if red >= blue else 2


_ASK = {
    "skin": _skin,
    "hair": lambda attributes: HAIR.index(attributes["hair_name"]),
    "eyes": lambda attributes: EYES.index(attributes["eye_name"]),
    "expression": lambda attributes: EXPRESSIONS.index(attributes["expression"]),
    "background": _background,
}
