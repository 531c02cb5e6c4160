"""Which layers can be turned round, and why the others cannot.

A layer is taken for what it is only if it runs the very ``forward`` that torch wrote.  A class that inherits from
``Conv2d`` and standardises its weights first would otherwise be turned round wrongly, without a word.
"""

from torch import nn

from lecturekit.deconv.steps import Average, Connect, Filter, Pass, Rectify, Reshape, Scale, Unpool
from lecturekit.networks.layers import Normalize

STEPS = {
    nn.Conv2d: Filter, nn.ReLU: Rectify, nn.ReLU6: Rectify, nn.MaxPool2d: Unpool, nn.AdaptiveMaxPool2d: Unpool,
    nn.AvgPool2d: Average, nn.AdaptiveAvgPool2d: Average, nn.BatchNorm1d: Scale, nn.BatchNorm2d: Scale,
    nn.Linear: Connect, nn.Flatten: Reshape, nn.Dropout: Pass, nn.Dropout1d: Pass, nn.Dropout2d: Pass,
    nn.Identity: Pass,
}  # fmt: skip


def step_for(module):
    """Return the class of step that turns a module round, or None; `trouble` says why."""
    if isinstance(module, Normalize):
        return Scale
    kinds = (kind for kind in STEPS if isinstance(module, kind) and type(module).forward is kind.forward)
    return STEPS.get(next(kinds, None))


def trouble(module):
    """Return why a module cannot be turned round, in words that follow its name, or None if it can."""
    step, name = step_for(module), type(module).__name__
    if step is None:
        return f"is a {name}, which has no step of its own"
    if module._forward_hooks or module._forward_pre_hooks:
        return "has a hook, which may change what it answers"
    if step is Filter and module.padding_mode != "zeros":
        return f"pads by {module.padding_mode!r}, which no transposed convolution undoes"
    if step is Unpool and module.return_indices:
        return "answers with two tensors (return_indices=True)"
    if step is Scale and getattr(module, "running_var", module) is None:
        return "normalises by the batch at hand (track_running_stats=False)"
    if step is Reshape and (module.start_dim, module.end_dim) != (1, -1):
        return "flattens other axes than those of one picture"
    return None
