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
`Attack`       a change that nobody sees, by any attack on any network, and the verdict measured afresh
`Leakage`      who is it?  a face brought back from its code, before judges, and what a defence costs
`Quiz`         any questions with pictures: choose, be told at once, and see the score beside that of guessing
=============  =======================================================================================
"""

from lecturekit.panels.attack import Attack
from lecturekit.panels.deconvnet import DeconvNet
from lecturekit.panels.depth import Depth
from lecturekit.panels.forward import ForwardPass
from lecturekit.panels.gallery import Gallery
from lecturekit.panels.inverse_net import InverseNet
from lecturekit.panels.invert import Invert
from lecturekit.panels.leakage import Leakage
from lecturekit.panels.quiz import Quiz

__all__ = ["Attack", "DeconvNet", "Depth", "ForwardPass", "Gallery", "InverseNet", "Invert", "Leakage", "Quiz"]
