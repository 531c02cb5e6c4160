"""Hooks that do no harm: the answers of layers, recorded while the network runs.

Torch lets one hang a hook on a layer, and three mistakes come with it: the hook that stays behind after an error and
fires in every later cell; the stored tensor that an in-place ReLU overwrites a moment later; the layer that runs twice
and keeps only its second answer.  This file makes all three impossible.
"""

import collections
import contextlib
import threading

import torch
from torch import nn

from lecturekit.errors import InputError, ModelError, unknown
from lecturekit.pixels import check_pixels


@contextlib.contextmanager
def capture(model, *names):
    """Yield a dict that fills with the answers of the named layers whenever ``model`` runs.

    The dict holds the latest pass, in the order of execution.  Gradients flow through it: the tensors are those with
    which the network itself goes on.  Runs of the model in other threads are not recorded.

    Args:
        model: any ``nn.Module`` that is neither scripted nor compiled.
        names: layers as in `layers`; none means every module without parts.  A plain name records all runs of the
            module in one pass (``relu``, ``relu#2`` ...), a numbered name that run only.
    Raises: InputError for a name that does not exist; ModelError for a layer that answers with something else than one
        tensor, and on asking the dict for a layer that did not run.
    """
    wanted = wanted_runs(model, names or parts(model))
    seen, runs, owner = Activations(), collections.Counter(), threading.get_ident()

    def begin(_module, _inputs):
        if threading.get_ident() == owner:
            runs.clear()
            seen.clear()  # else a layer that this pass skips would show the pass before

    def store(name, _module, output):
        runs[name] += 1
        if wanted[name].isdisjoint({1, runs[name]}):
            return None
        seen[numbered(name, runs[name])] = one_tensor(output, name)
        return output.clone()  # the network goes on with a copy, which the next layer may overwrite in place

    start = model.register_forward_pre_hook(begin)
    try:
        with hooked(model, wanted, store):
            yield seen
    finally:
        start.remove()


class Activations(dict):
    """What `capture` fills: names of layers to their answers (N, ...).  It explains why an answer is missing."""

    def __missing__(self, name):
        raise ModelError(
            f"layer {name!r} was never executed; recorded are: {', '.join(self) or 'none'}. "
            "Run model(x) inside the with block, and name layers that run for this input"
        )


def activations(model, x, *names):
    """Return what the named layers answer to the pictures ``x``, in evaluation mode and without gradients.

    Args:
        model: pixels (N, C, H, W) in [0, 1] to anything.
        x: pictures (N, C, H, W), float, in [0, 1].
        names: as for `capture`.
    Returns: dict of layer names to tensors (N, ...), in the order of execution.
    Raises: InputError for an unknown name or pictures that do not fit; ModelError for a layer that never ran.
    """
    check_pixels(x, "x")
    with evaluating(model), torch.inference_mode(False), torch.no_grad(), capture(model, *names) as seen:
        run(model, x)
    for name in names:
        seen[name]  # complains if it never ran
    return dict(seen)


@contextlib.contextmanager
def evaluating(model):
    """Put a network into evaluation mode for a while; every module then gets its own mode back.

    ``model.train()`` afterwards would be wrong: it also wakes the batch normalisation that somebody froze on purpose.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextlib.contextmanager
def hooked(model, names, answer):
    """Call ``answer(name, module, output)`` whenever one of the named modules has run in this thread.

    If it returns a tensor, the network goes on with that tensor.  However the block ends, no hook is left.
    """
    owner, handles = threading.get_ident(), []

    def hook_of(name):
        def hook(module, _inputs, output):
            same = threading.get_ident() == owner  # a panel may use the same network in its own thread
            return answer(name, module, output) if same else None

        return hook

    try:
        for name in names:
            handles.append(model.get_submodule(name).register_forward_hook(hook_of(name)))
        yield
    finally:  # a hook left behind would fire in every later cell of the notebook
        for handle in handles:
            handle.remove()


def parts(model):
    """Return the names of all modules that have no parts of their own."""
    return [name for name, module in model.named_modules() if name and next(module.children(), None) is None]


def wanted_runs(model, names):
    """Return a dict from module names to the set of runs that ``names`` ask for; 1 stands for all."""
    check_model(model)
    wanted = collections.defaultdict(set)
    for name in names:
        module_name, number = _split(model, name)
        wanted[module_name].add(number)
    return wanted


def numbered(name, number):
    """Return the name of the ``number``-th run of a module: ``relu``, ``relu#2``, ``relu#3``."""
    return name if number == 1 else f"{name}#{number}"


def _split(model, name):
    """Return the module's name and the number of the run; refuse names that do not exist."""
    module_name, _, number = str(name).partition("#")
    modules = dict(model.named_modules(remove_duplicate=False))
    if not module_name or module_name not in modules or (number and not (number.isdecimal() and int(number) > 0)):
        raise unknown("layer", name, filter(None, modules))
    first = next(n for n, m in modules.items() if m is modules[module_name])
    if first != module_name:
        raise InputError(
            f"{module_name!r} is the same module as {first!r}; its runs are called "
            f"{first!r}, {numbered(first, 2)!r} and so on"
        )
    return module_name, int(number or 1)


def check_model(model):
    """Refuse what has no layers to look into."""
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError("a scripted network runs as one piece and hides its layers; pass the one it was made from")
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if hasattr(model, "_orig_mod"):
        raise ModelError("a compiled network runs as one piece and hides its layers; pass model._orig_mod")


def one_tensor(output, name):
    """Return the answer of a layer; refuse one that is not a single tensor."""
    if not isinstance(output, torch.Tensor):
        kind = type(output).__name__
        raise ModelError(f"layer {name!r} answers with a {kind}, not with one tensor; name a part of it")
    return output


def run(model, x):
    """Run the network; turn torch's complaint about pictures that do not fit into one that helps."""
    weight = next(model.parameters(), x)
    if (weight.device, weight.dtype) != (x.device, x.dtype):
        raise InputError(
            f"the pictures are {x.dtype} on {x.device}, but the network's weights are {weight.dtype} on "
            f"{weight.device}; pass x.to(next(model.parameters()))"
        )
    try:
        return model(x)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as problem:
        complaint, size = str(problem).splitlines()[0], "×".join(map(str, x.shape[1:]))
        message = f"the network cannot take pictures of {size} ({complaint}); {_smallest(model, x)}"
        raise InputError(message) from problem


def _smallest(model, x, largest=256):
    """Say which is the smallest square picture that the network takes, by trying."""
    for side in range(1, largest + 1):
        with contextlib.suppress(RuntimeError, ValueError):
            model(x.new_zeros(1, x.shape[1], side, side))
            return f"the smallest square picture that it takes is {x.shape[1]}×{side}×{side}"
    return f"it takes no square picture of {x.shape[1]} colours up to {largest}×{largest}"
