"""See what any layer of any network says, without changing the network.

=====================================  ================================================================
``layers(model)``                      the table of all layers: shape, receptive field, size
``activations(model, x, "conv3")``     what some layers answer to some pictures
``with capture(model, "conv3") as s``  the same while you run the network yourself, gradients included
``cut(model, "conv3")``                the network up to a layer, and no further
``rest(model, "conv3")``               the other half, from the answer of that layer to the logits
=====================================  ================================================================

**Names.**  A layer has the name that the network gives it, ``conv3`` or ``features.4.squeeze``.  A module that runs
several times in one pass is several layers: ``relu``, ``relu#2``, ``relu#3``.

The trap: training mode.  There dropout draws lots, and batch normalisation learns from what you only wanted to look at.
`activations` and `layers` switch to evaluation mode and back; with `capture` and `cut` it is up to you.
"""

from lecturekit.capture.hooks import activations, capture, evaluating
from lecturekit.capture.slices import cut, rest
from lecturekit.capture.table import Layer, layers

__all__ = ["Layer", "activations", "capture", "cut", "evaluating", "layers", "rest"]
