"""Only as much network as is needed: everything up to a layer, nothing behind it.

Inverting ``conv2`` with the whole network in the loop pays for eleven layers that nobody asks.  A slice of an
``nn.Sequential`` is the real saving.  A network with branches cannot be sliced; there a hook on the layer ends the
run, by an exception, as soon as the layer has answered.
"""

import collections

from torch import nn

from lecturekit.capture.hooks import hooked, numbered, one_tensor, wanted_runs
from lecturekit.errors import ModelError, unknown


def cut(model, name):
    """Return the smallest network that computes the named layer: nothing behind the layer is ever run.

    Weights are shared with ``model``, not copied; gradients flow as in the whole network.

    Args:
        model: any ``nn.Module`` that is neither scripted nor compiled.
        name: a layer as in `layers`, such as ``conv3``, ``features.4.squeeze`` or ``relu#2``.
    Returns: a module from what ``model`` takes to what the layer answers (N, ...), in the mode of ``model``.
    Raises: InputError for a name that does not exist; when run, ModelError if the layer is never executed or answers
        with something else than one tensor.
    """
    ((module_name, (number,)),) = wanted_runs(model, [name]).items()
    return _cut(model, module_name, number)


def rest(model, name):
    """Return the other half: everything behind the named layer, from what it answers (N, ...) to the end.

    Weights are shared with ``model``, not copied.

    Args:
        model: an ``nn.Sequential``; a path that branches has no half behind a layer.
        name: one of its own children, such as ``conv3``.
    Raises: InputError for a name that does not exist; ModelError for a network that is no ``nn.Sequential``.
    """
    if not _can_be_sliced(model):
        raise ModelError(f"only an nn.Sequential can be halved at a layer, and this is a {type(model).__name__}")
    names = list(model._modules)
    if name not in names:
        raise unknown("layer", name, names)
    kept = collections.OrderedDict((child, model._modules[child]) for child in names[names.index(name) + 1 :])
    return _in_mode_of(model, nn.Sequential(kept))


def _cut(model, name, number):
    """Slice as long as the path leads through plain Sequentials, then leave by exception."""
    if number > 1 or not _can_be_sliced(model):
        return Until(model, name, number)
    head, _, rest = name.partition(".")
    kept = collections.OrderedDict()
    for child, module in model._modules.items():  # named_children() would skip a module that stands there twice
        if child == head:
            kept[child] = _cut(module, rest, number) if rest else module
            break
        kept[child] = module
    return _in_mode_of(model, nn.Sequential(kept))


def _can_be_sliced(model):
    """Tell whether running the model means running its children one after the other, and nothing else."""
    return type(model).forward is nn.Sequential.forward and not (model._forward_hooks or model._forward_pre_hooks)


def _in_mode_of(model, part):
    part.training = model.training  # part.train(...) would switch the shared layers too
    return part


class Until(nn.Module):
    """Runs ``model`` and leaves it as soon as the module called ``name`` has answered for the ``number``-th time."""

    def __init__(self, model, name, number=1):
        super().__init__()
        self.model, self.name, self.number = model, name, number
        _in_mode_of(model, self)

    def forward(self, *inputs):
        """Return what the layer answers, (N, ...)."""
        runs = 0

        def leave(_name, _module, output):
            nonlocal runs
            runs += 1
            if runs == self.number:
                raise _Reached(output)

        try:
            with hooked(self.model, [self.name], leave):
                self.model(*inputs)
        except _Reached as reached:
            return one_tensor(reached.output, self.name)
        raise ModelError(f"layer {numbered(self.name, self.number)!r} was never executed: its module ran {runs} times")


class _Reached(BaseException):
    """Carries the answer of a layer out of a running network.  No `Exception`, so that no network can swallow it."""

    def __init__(self, output):
        super().__init__()
        self.output = output
