r"""What a ReLU does to a signal that comes back down: one function, eight methods, five papers.

On the way up a ReLU lets $z$ through where $z > 0$.  On the way down a signal $R$ arrives at the same place, and one
may ask two questions of it, in any combination.  A third question is for the poolings: does $R$ return to where the
maximum was found, or to the middle of the window?

====================  ============  ========  =======  ============================================================
rule                  forward mask  switches  rectify  source
====================  ============  ========  =======  ============================================================
``gradient``          yes           yes       no       backpropagation; Simonyan et al. 2013, arXiv:1312.6034
``deconvnet``         no            yes       yes      Zeiler & Fergus 2014, arXiv:1311.2901
``guided``            yes           yes       yes      Springenberg et al. 2015, arXiv:1412.6806; "DeSaliNet"
``linear``            no            yes       no       nothing but switches: what the poolings alone remember
``gradient_centre``   yes           no        no       \
``deconvnet_centre``  no            no        yes       \  the same four without switches
``guided_centre``     yes           no        yes       /
``linear_centre``     no            no        no       /
====================  ============  ========  =======  ============================================================

``forward mask``: keep $R$ where $z > 0$.  ``rectify``: keep $R$ where $R > 0$.

The trap: people compare the three names and forget what they share.  Mask and switches both come from *this* picture,
so a method that leans on them shows the picture, whatever neuron one asks about; see `blindness`.

Source of the table: Mahendran & Vedaldi 2016, "Salient deconvolutional networks", ECCV, section 3.
"""

from typing import NamedTuple

import torch

from lecturekit.errors import InputError, unknown


class Rule(NamedTuple):
    """How a signal passes the layers that are not linear; a row of the table above.

    Attributes:
        forward_mask: keep the signal only where the ReLU was on in the forward pass.
        switches: unpool to the place of the maximum; else to the middle of its window.
        rectify: keep only what is positive in the signal.
    """

    forward_mask: bool
    switches: bool
    rectify: bool


RULES = {
    "gradient": Rule(True, True, False),
    "deconvnet": Rule(False, True, True),
    "guided": Rule(True, True, True),
    "linear": Rule(False, True, False),
    "gradient_centre": Rule(True, False, False),
    "deconvnet_centre": Rule(False, False, True),
    "guided_centre": Rule(True, False, True),
    "linear_centre": Rule(False, False, False),
}


def relu_backward(signal, on_forward, rule):
    """Send a signal back through a ReLU.  All tensors (N, C, H, W), or (N, K).

    Args:
        signal: what arrives from above, R.
        on_forward: bool; where the ReLU let its input through on the way up.
        rule: a name from `RULES`, or a `Rule`.
    Returns: the signal below the ReLU, of the same shape.
    Raises: InputError for a rule that does not exist.
    """
    rule = rule_named(rule)
    if rule.forward_mask:
        signal = signal * on_forward  # the picture decides: a true derivative
    if rule.rectify:
        signal = signal.relu()  # the signal decides: keep what argues *for* the activation
    return signal


def through_relu(signal, answers, ceiling, rule):
    """Do the same for a ReLU of which the answers are known, in fewer walks through memory.

    Args:
        signal, rule: as above.
        answers: what the ReLU answered on the way up.
        ceiling: 6 for ReLU6, whose slope is zero there too; else infinite.
    """
    if not rule.forward_mask or ceiling < torch.inf:
        on = (answers > 0) & (answers < ceiling) if rule.forward_mask else None
        return relu_backward(signal, on, rule)
    signal = torch.ops.aten.threshold_backward(signal, answers, 0)  # signal * (answers > 0) at once: torch's own slope
    return relu_backward(signal, None, rule._replace(forward_mask=False))


def rule_named(rule):
    """Return the `Rule` for a name; a `Rule` is returned as it is.

    Raises: InputError that lists the names.
    """
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str):
        raise InputError(f"rule must be a name such as 'deconvnet', or a Rule; got {type(rule).__name__}")
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    return RULES[rule]


def is_gradient(rule):
    """Tell whether a rule is plain backpropagation, which needs no help from us and works for any layer."""
    return rule == RULES["gradient"]
