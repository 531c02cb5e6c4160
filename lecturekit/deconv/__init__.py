"""DeconvNet: from one activation back to the pixels that caused it.

::

    seen = deconv.climb(model, x, "conv4")                    # one forward pass, the switches are kept
    picture = deconv.project(seen, deconv.strongest(seen, 17))
    plots.pictures({"picture": x, "filter 17": deconv.visible(picture)})

===============================  ==========================================================================
the three steps                  `unpool`, `rectify`, `filter_transposed`; step by step: `stages`
which activations                `one`, `strongest`, `whole_map`, `top`, `top_filters`, `apart`
three rules, and five more       `RULES`, `relu_backward`; ``project(seen, selected, "guided")``
where it comes from              `field`, `patches`: the pixels that an activation sees
can it be trusted?               `switch_ablation`, `cascading`, `independent`, `neuron_blindness`
===============================  ==========================================================================

The trap: such a picture is made from one input picture, with that picture's switches.  It is sharp and convincing, and
much of what it shows is that input.  The last row of the table measures how much.
"""

from lecturekit.deconv.backward import RULES, Rule, relu_backward
from lecturekit.deconv.blindness import neuron_blindness
from lecturekit.deconv.deconvnet import filter_transposed, pool_with_switches, rectify, turned, unpool
from lecturekit.deconv.projection import climb, field, patches, project, stages, visible
from lecturekit.deconv.randomise import cascading, independent
from lecturekit.deconv.select import apart, one, strongest, top, top_filters, whole_map
from lecturekit.deconv.switches import borrowed, centred, shuffled, switch_ablation

__all__ = [
    "RULES", "Rule", "apart", "borrowed", "cascading", "centred", "climb", "field", "filter_transposed", "independent",
    "neuron_blindness", "one", "patches", "pool_with_switches", "project", "rectify",
    "relu_backward", "shuffled", "stages", "strongest", "switch_ablation", "top", "top_filters", "turned", "unpool",
    "visible", "whole_map",
]  # fmt: skip
