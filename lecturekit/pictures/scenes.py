"""One scene from one seed: what is drawn, where it stands, what is behind it, how it is lit.

Everything here is NumPy and Pillow; nothing loads torch, so that the processes that fill the cache start quickly.
"""

import dataclasses

import numpy as np

from lecturekit.errors import InputError, unknown
from lecturekit.pictures import faces, living, made
from lecturekit.pictures.backgrounds import background, light
from lecturekit.pictures.colours import Palette, to_rgb
from lecturekit.pictures.develop import develop
from lecturekit.pictures.dice import Dice
from lecturekit.pictures.sketch import Place, Sketch, paint

CLASSES = ("face", "cat", "car", "house", "tree", "flower", "boat", "fish", "clock", "rocket")
_DRAW = {
    **{"cat": living.cat, "tree": living.tree, "flower": living.flower, "fish": living.fish},
    **{"car": made.car, "house": made.house, "boat": made.boat, "clock": made.clock, "rocket": made.rocket},
}
_TILT = dict(zip(CLASSES, (18, 15, 14, 9, 10, 22, 16, 28, 22, 42), strict=True))  # degrees at most
_OBJECT, _BEHIND, _LIGHT, _GRAIN = range(4)  # purposes of the four streams of dice


@dataclasses.dataclass(frozen=True)
class Scene:
    """A picture and the truth about it.

    Attributes:
        image: (64, 64, 3) uint8.
        label: index into CLASSES.
        parts: (64, 64) uint8, index into PARTS of the topmost part at each pixel, 0 is background.
        attributes: what was drawn, as plain numbers, strings and lists that JSON can hold.
        seed: the number it all follows from.
    """

    image: np.ndarray
    label: int
    parts: np.ndarray
    attributes: dict
    seed: int


def draw(seed, *, label=None, identity=None, spurious=None):
    """Draw the scene of a seed; the same arguments give the same pixels in every process and on every day.

    Args:
        seed: whole number in 0 ... 2**63 - 1.
        label: class index or name; by default ``seed % 10``, so that consecutive seeds are balanced.
        identity: whose face, 0 ... 999; by default the seed chooses.  Only for faces.
        spurious: a `spurious.Spurious` that may plant its pattern, or None.
    Returns: Scene.
    Raises: InputError for a seed, label or identity that does not exist, or an identity for something without a face.
    """
    seed = check_seed(seed)
    label = check_label(seed % len(CLASSES) if label is None else label)
    name, dice = CLASSES[label], Dice(_OBJECT, seed)
    behind, lit = background(Dice(_BEHIND, seed)), light(Dice(_LIGHT, seed))
    place, ink = _place(dice, name), _ink(dice)
    palette = Palette(dice, behind.ground, dice.number(0.2, 0.36), dice.number(0, 0.65) if dice.chance(0.35) else 0.0)
    sketch, extra = _sketch(name, palette, check_identity(identity, name))
    colour, coverage, solid, parts = paint(behind.clutter + place.put(sketch.shapes), ink)
    picture = develop(behind, (colour, coverage, solid), lit, Dice(_GRAIN, seed))
    attributes = {"label": name, **_describe(place, lit, behind, sketch), **extra}
    if spurious is not None:
        picture, attributes["spurious"] = spurious.plant(picture, seed, label)
    image = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return Scene(image, label, parts, attributes, seed)


def _sketch(name, palette, identity):
    """Draw the object; return the Sketch and the attributes that only its class has."""
    sketch = Sketch()
    if name != "face":
        _DRAW[name](sketch, palette)
        return sketch, {}
    dice = palette.dice
    chosen = dice.whole(0, faces.IDENTITIES - 1)  # rolled even where it is given: the moment must not depend on that
    person, now = faces.identity(chosen if identity is None else identity), faces.moment(dice)
    faces.face(sketch, person, now)
    return sketch, faces.describe(person, now)


def _place(dice, name):
    """Roll where the object stands: it fills 64 to 94 % of the frame and hardly leaves it."""
    size = dice.number(0.64, 0.94)
    room = (1 - size) / 2 + 0.02
    centre = (0.5 + dice.number(-room, room), 0.5 + dice.number(-room, room))
    tilt = _TILT[name] * (dice.number(-1, 1) + dice.number(-1, 1)) / 2  # small tilts more often than large ones
    return Place(centre, size, tilt, dice.chance(0.5), dice.number(0.93, 1.07))


def _ink(dice):
    """Roll the outline: none, a darker shade of each colour, or one dark pen for all."""
    style = dice.number()
    if style < 0.4:
        return None
    if style < 0.75:
        step = dice.number(0.1, 0.25)
        return lambda colour: colour.darker(step)
    pen = (dice.number(0.22, 0.4), dice.number(0, 0.06), dice.number(0, 360))
    return lambda colour: pen


def _describe(place, lit, behind, sketch):
    """The attributes that every scene has; colours are RGB in [0, 1], before the light falls on them."""
    first = sketch.first_colours()
    ground, *rgb = to_rgb([behind.ground, *first.values()]).round(3).tolist()
    return {
        "centre": [round(float(c), 4) for c in place.centre],
        "size": round(place.size, 4),
        "tilt": round(place.tilt, 2),
        "mirror": place.mirror,
        "stretch": round(place.stretch, 4),
        "colours": dict(zip(first, rgb, strict=True)),
        "background": ground,
        "light": [round(float(g), 4) for g in lit.gain],
        "light_direction": [round(d, 4) for d in lit.direction],
    }


def is_whole(value, low, high):
    """Tell whether ``value`` is a whole number, Python's or NumPy's, in low ... high; True and 3.0 are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and low <= value <= high


def check_seed(seed):
    """Return the seed as int. Raises: InputError unless it is a whole number in 0 ... 2**63 - 1."""
    if not is_whole(seed, 0, 2**63 - 1):
        raise InputError(f"a seed is a whole number from 0 to 2**63 - 1, got {seed!r}; for example draw(7)")
    return int(seed)


def check_label(label):
    """Return the class index of a name or an index. Raises: InputError for anything else."""
    if isinstance(label, str) and label in CLASSES:
        return CLASSES.index(label)
    if not is_whole(label, 0, len(CLASSES) - 1):
        raise unknown("class", label, [f"{index} {name}" for index, name in enumerate(CLASSES)])
    return int(label)


def check_identity(identity, name):
    """Return the identity as int or None. Raises: InputError if it does not exist, or ``name`` has no face."""
    if identity is None:
        return None
    if name != "face":
        raise InputError(f"identity={identity!r} belongs to a face, but a {name} is to be drawn; add label='face'")
    if not is_whole(identity, 0, faces.IDENTITIES - 1):
        raise InputError(f"an identity is a whole number from 0 to {faces.IDENTITIES - 1}, got {identity!r}")
    return int(identity)
