"""See inside convolutional networks: invert them, visualise them, fool them, and measure every claim.

``import lecturekit`` is quick on purpose: it loads nothing but this line of text.  Import the room you need,
``from lecturekit import inversion``, and that room loads what it needs.
"""

__version__ = "0.1.0"
