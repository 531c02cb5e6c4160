"""Climb to a layer once, then project as many of its activations as you like back to the pixels.

::

    seen = deconv.climb(model, x, "conv4")                          # one forward pass; the switches are kept
    picture = deconv.project(seen, deconv.strongest(seen, 17))      # down from filter 17's strongest activation
    deconv.stages(seen, deconv.strongest(seen, 17))                 # every step of it

``climb`` looks at the network: if it is a chain of layers that can be turned round, the way down is explicit (`chain`);
if it branches, autograd walks (`tape`).  Both give the same picture where both are possible.

The trap: such a picture belongs to *one* input picture, whose switches it uses.  It is no portrait of the filter.
"""

import math

import torch
from torch import nn

from lecturekit import capture
from lecturekit.capture.hooks import check_model, run
from lecturekit.deconv import windows
from lecturekit.deconv.backward import is_gradient, rule_named
from lecturekit.deconv.chain import climb_chain, way_to
from lecturekit.deconv.tape import climb_tape
from lecturekit.errors import InputError, ModelError
from lecturekit.pixels import check_pixels


def climb(model, x, layer):
    """Run a network up to a layer and keep what the way down needs: switches, and where the ReLUs were on.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything; in eval mode.
        x: pictures (N, C, H, W), float, in [0, 1], at least one.
        layer: a name from ``capture.layers(model)``.
    Returns: an object with ``answers``, what the layer says, (N, C, h, w) or (N, K); for `project` and the selections.
    Raises: InputError for an unknown layer or pictures that do not fit; ModelError for a network in training mode, one
        that is scripted or compiled, or a layer that never ran.
    """
    if not len(check_pixels(x, "x")):
        raise InputError("x holds no picture; pass at least one")
    check_model(model)
    modules = list(model.modules())
    relus = sum(isinstance(module, nn.ReLU | nn.ReLU6) for module in modules)
    if any(module.training for module in modules):
        raise ModelError("climb needs model.eval(): in training mode dropout and batch norm change the network")
    way, why = way_to(model, layer)
    if why:
        return climb_tape(capture.cut(model, layer), layer, x, relus, why)
    with torch.inference_mode(False), torch.no_grad():
        try:
            return climb_chain(way, layer, x.detach(), relus)
        except RuntimeError:
            run(capture.cut(model, layer), x)  # says in words that help what is wrong with the pictures
            raise


def project(seen, selected, rule="deconvnet"):
    """Send the selected activations back down to the pixels.

    Of one activation only the receptive field is computed, of many activations the smallest window around them.

    Args:
        seen: what `climb` returned.
        selected: activations to start from, all others zero: (N, C, h, w) or (N, K), shaped like ``seen.answers``; see
            `select`.  If one picture was climbed, there may be any number of selections, each of which gives a picture.
        rule: what the layers that are not linear do, by name, or a `backward.Rule`; see `backward.RULES`.
    Returns: pictures (N, C, H, W), signed; zero means that nothing arrived there.  `visible` makes them visible.
    Raises: InputError for a selection or rule that does not fit; ModelError for a network in which the rule would have
        no effect, or that has parts which the rule cannot reach.
    Source: Zeiler & Fergus 2014, arXiv:1311.2901, section 2.1, for the rule ``deconvnet``.
    """
    selected, rule = _checked(seen, selected), _possible(seen, rule)
    with torch.no_grad():
        return seen.project(selected, rule)


def stages(seen, selected, rule="deconvnet"):
    """Return every step of the way down, from the selection to the picture: a list of `chain.Stage`.

    Arguments and errors as for `project`; the network must be a chain.
    """
    selected, rule = _checked(seen, selected), _possible(seen, rule)
    with torch.no_grad():
        return seen.stages(selected, rule)


def field(seen, selected):
    """Return which pixels the selected activations see: one `windows.Window` with a place for each picture.

    At a border the window moves inwards instead of getting smaller, so that all patches have the same size.
    """
    return seen.field(_checked(seen, selected))


def patches(pictures, window):
    """Cut each picture's window out of ``pictures`` (N, C, H, W), or (1, C, H, W) for all.  Returns (N, C, h, w)."""
    return windows.cut_out(pictures, window)


def visible(picture, clipped=0.005):
    """Return signed pictures as pixels in [0, 1]: zero is middle grey, and each picture has its own scale.

    A few values are much larger than all others and would leave a grey picture with two dots; so a small share of them
    ends at black or white.  Zeros do not count: a patch and the whole picture get the same scale.

    Args:
        picture: (N, C, H, W).
        clipped: the share of values, other than zero, that may lie beyond black or white; 0 for none.
    Raises: InputError for a share that is none.
    """
    if not 0 <= clipped < 1:
        raise InputError(f"clipped must be a share from 0 to below 1, got {clipped!r}")
    scales = [_scale(values.abs(), clipped) for values in picture.flatten(1)]
    return (0.5 + 0.5 * picture / torch.stack(scales)[:, None, None, None]).clamp(0, 1)


def _scale(values, clipped):
    """Return the value that becomes white; 1 where all are zero."""
    values = values[values > 0]
    if not len(values):
        return values.new_ones(())
    return values.kthvalue(len(values) - int(clipped * (len(values) - 1))).values


def _checked(seen, selected):
    """Refuse a selection that is none, or of another layer."""
    expected = tuple(seen.answers.shape)
    if not isinstance(selected, torch.Tensor):
        raise InputError(f"selected must be a tensor like seen.answers, got {type(selected).__name__}")
    fits = selected.shape[1:] == expected[1:] and len(selected) and (len(selected) == expected[0] or expected[0] == 1)
    if not fits:
        raise InputError(
            f"selected has shape {tuple(selected.shape)}, but {seen.layer!r} answers with {expected}; "
            "start from torch.zeros_like(seen.answers), or use one of the selections"
        )
    if not all(map(math.isfinite, selected.aminmax())):  # one pass; NaN and infinity show in it
        raise InputError(f"selected holds {(~torch.isfinite(selected)).sum().item()} values that are NaN or infinite")
    return selected.detach().to(seen.answers)


def _possible(seen, rule):
    """Return the rule, after refusing one that would have no effect or that does not reach everything."""
    rule = rule_named(rule)
    if not seen.relus and not is_gradient(rule):
        raise ModelError(
            "the rule has no effect: this network has no nn.ReLU module, so the picture would be the plain gradient; "
            "use rule='gradient'"
        )
    seen.refuse(rule)
    return rule
