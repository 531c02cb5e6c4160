"""Panels: the lecture's methods with knobs on, live in a notebook, plain ipywidgets.

Each shows itself as the last line of a cell, is ready without a click, and can be driven from code as by hand::

    from lecturekit import panels

    panel = panels.Invert(layer="conv3")
    panel.set(layer="fc6").result.psnr

=============  =======================================================================================
`ForwardPass`  what every filter of every layer answers to a picture, and what it looked at
`Invert`       from a code back to a picture by optimisation, watched while it runs
`InverseNet`   the same by a trained inverse network, in one forward pass
`Depth`        one picture rebuilt from every layer: what is lost on the way
`Gallery`      the nine strongest patches of each filter, their DeconvNet pictures, and the part that it marks
`DeconvNet`    one activation, a map or the strongest few, followed back to the pixels that caused them
`Descent`      one activation on its way down, operation by operation: what stands before and after each step
`Unit`         one unit in eight views at once: map, gradient, guided, DeconvNet, wish and the nine strongest
`Maximise`     the picture that a unit wishes for, painted live, and how far beyond life it goes
`Attack`       a change that nobody sees, by any attack on any network, and the verdict measured afresh
`Curve`        how far a network can be pushed: who still stands at each radius, stored or measured here
`Slice`        a plane through a picture, and the class that the network names at every point of it
`Transfer`     what was made for one network, shown to all others, beside noise
`Census`       all filters of a layer: which fire, what is wrong with them, and planted defects found
`Initialise`   good and bad first weights: the signal through the layers, and whether it learns
`Leakage`      who is it?  a face brought back from its code, before judges, and what a defence costs
`Quiz`         any questions with pictures: choose, be told at once, and see the score beside that of guessing
=============  =======================================================================================
"""

from lecturekit.panels.attack import Attack
from lecturekit.panels.census import Census
from lecturekit.panels.curve import Curve
from lecturekit.panels.deconvnet import DeconvNet
from lecturekit.panels.depth import Depth
from lecturekit.panels.forward import ForwardPass
from lecturekit.panels.gallery import Gallery
from lecturekit.panels.initialise import Initialise
from lecturekit.panels.inverse_net import InverseNet
from lecturekit.panels.invert import Invert
from lecturekit.panels.leakage import Leakage
from lecturekit.panels.maximise import Maximise
from lecturekit.panels.quiz import Quiz
from lecturekit.panels.slice import Slice
from lecturekit.panels.steps import Descent
from lecturekit.panels.transfer import Transfer
from lecturekit.panels.unit import Unit

__all__ = [
    "Attack",
    "Census",
    "Curve",
    "DeconvNet",
    "Depth",
    "Descent",
    "ForwardPass",
    "Gallery",
    "Initialise",
    "InverseNet",
    "Invert",
    "Leakage",
    "Maximise",
    "Quiz",
    "Slice",
    "Transfer",
    "Unit",
]
