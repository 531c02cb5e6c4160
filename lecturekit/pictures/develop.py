"""Put light on a painted scene: shadow behind the object, roundness on it, a light from one side, grain over all."""

import numpy as np
from PIL import Image, ImageFilter

from lecturekit.pictures.sketch import SIDE

_CENTRED = (np.arange(SIDE) + 0.5) / SIDE - 0.5


def develop(behind, painted, light, dice):
    """Return the finished picture (64, 64, 3), float, before rounding; it may leave [0, 1] a little.

    Args:
        behind: a backgrounds.Background.
        painted: colour, coverage and solid of `sketch.paint`.
        light: a backgrounds.Light.
        dice: chance for the grain.
    """
    colour, coverage, solid = painted
    x, y = light.direction
    soft = Image.fromarray(np.round(solid[..., 0] * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(3))
    away, towards = _shifted(soft, -3 * x, -3 * y), _shifted(soft, 3 * x, 3 * y)
    shaded = behind.colour * (1 - light.shadow * away * (1 - solid))  # the shadow falls away from the light
    picture = shaded * (1 - coverage) + colour
    rounded = light.relief * (towards - away)  # positive on the rim that faces the light, negative on the other
    picture = picture * (1 + solid * (rounded + light.texture * behind.paper))
    ramp = 1 + 2 * light.falloff * (x * _CENTRED[None, :] + y * _CENTRED[:, None])
    picture = picture * (ramp[..., None] * light.gain)
    return picture + (dice.field(SIDE, SIDE, 3) - 0.5) * (light.grain * 12**0.5)  # uniform noise of deviation `grain`


def _shifted(image, dx, dy):
    """Move a grey image by (dx, dy) pixels, black where nothing came from.  Returns (64, 64, 1) in [0, 1]."""
    moved = image.transform(image.size, Image.Transform.AFFINE, (1, 0, -dx, 0, 1, -dy), Image.Resampling.BILINEAR)
    return np.asarray(moved, dtype=np.float32)[..., None] / 255
