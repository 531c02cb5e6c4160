"""Chance that can be repeated: the same seed rolls the same numbers, on every machine and in every year.

NumPy promises a fixed stream for its bit generators but not for every distribution built on them.  A world that
networks were trained on must not change with the next NumPy, so all of it comes from one method, ``Generator.random``.
"""

import numpy as np


class Dice:
    """A stream of random numbers that belongs to one seed and one purpose.

    Each purpose (object, background, light) has its own stream: a scene with another label keeps its background.

    Args:
        entropy: whole numbers >= 0, e.g. the purpose and the seed.
    """

    def __init__(self, *entropy):
        self._generator = np.random.default_rng(entropy)

    def number(self, low=0.0, high=1.0):
        """Return a float, uniform in [low, high)."""
        return low + (high - low) * self._generator.random()

    def whole(self, low, high):
        """Return an int, uniform among low, low + 1, ... high."""
        return low + int((high - low + 1) * self._generator.random())

    def chance(self, probability):
        """Return True with this probability."""
        return self._generator.random() < probability

    def choice(self, options):
        """Return one of the options, each equally likely."""
        return options[int(len(options) * self._generator.random())]

    def field(self, *shape):
        """Return an array of this shape, uniform in [0, 1)."""
        return self._generator.random(shape)
