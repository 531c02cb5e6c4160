"""The same rules for any network: torch walks back, and only the ReLUs are told to do it differently.

SqueezeNet's Fire modules put two paths side by side, residual blocks add two.  Walking down layer by layer would need
the plan of the network, which its modules do not tell.  Autograd has it: it recorded every operation on the way up.  So
the network runs once, each ReLU module hands on its answer with our own backward function, and the walk down is
``torch.autograd.grad``.  For a chain it gives the very same picture as the explicit steps; only the steps themselves
cannot be watched.

The trap: hooks see modules.  ``torch.relu(x)`` in somebody's ``forward``, or a GELU, goes unseen, and its part of the
"DeconvNet" is silently a plain gradient.  So every operation of the forward pass is watched, and what is not linear and
not under our control is counted and refused by name.
"""

import collections
import contextlib
import dataclasses
import threading

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lecturekit.capture.hooks import hooked, run
from lecturekit.capture.receptive import FieldTracer
from lecturekit.deconv import windows
from lecturekit.deconv.backward import RULES, is_gradient, through_relu
from lecturekit.errors import ModelError

CURVED = {  # operations, by the names that torch gives them underneath, through which a rule for ReLUs is undefined
    "relu", "relu_", "threshold", "clamp", "clamp_", "clamp_min", "clamp_min_", "maximum", "hardtanh", "hardtanh_",
    "leaky_relu", "leaky_relu_", "elu", "elu_", "gelu", "silu", "silu_", "mish", "mish_", "softplus", "sigmoid",
    "sigmoid_", "hardsigmoid", "hardsigmoid_", "hardswish", "hardswish_", "tanh", "tanh_", "prelu", "_prelu_kernel",
    "rrelu_with_noise", "_softmax", "_log_softmax", "log_sigmoid_forward", "_scaled_dot_product_attention_math",
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention", "native_layer_norm", "native_group_norm",
}  # fmt: skip
LOCK = threading.RLock()  # a rule is set, the walk made: two panels must not come between


@dataclasses.dataclass(frozen=True)
class Tape:
    """A forward pass recorded by autograd; see `projection.climb`.

    Attributes:
        layer: the layer that was climbed to.
        answers: what it answers, (N, C, h, w) or (N, K).
        shape: of one picture, (C, H, W).
        relus: how many ReLU modules the whole network has.
        why: why it is no chain.
    """

    layer: str
    answers: torch.Tensor
    shape: tuple
    relus: int
    why: str
    _part: nn.Module = dataclasses.field(repr=False)
    _ends: tuple = dataclasses.field(repr=False)  # the answers and the pictures, on autograd's tape
    _slot: "_Slot" = dataclasses.field(repr=False)
    _curved: collections.Counter = dataclasses.field(repr=False)

    def refuse(self, rule):
        """Complain if the rule cannot be followed."""
        if self._curved and not is_gradient(rule):
            found = ", ".join(f"{name.strip('_')} ({count}×)" for name, count in self._curved.items())
            raise ModelError(
                f"between the pixels and {self.layer!r} this network computes {found} outside of ReLU modules. The "
                "rule would not reach them, and the picture would silently be a plain gradient there. Use "
                "rule='gradient', or write the network with nn.ReLU modules"
            )
        if not rule.switches:
            raise ModelError(f"poolings can be told where to put values in a chain only, and {self.why}")

    def project(self, selected, rule):
        """Return the picture (M, C, H, W)."""
        top, x = self._ends
        rows = selected.split(1) if len(x) == 1 else [selected]  # one picture, many selections: one walk each
        with LOCK, torch.inference_mode(False):
            self._slot.rule = rule
            return torch.cat([torch.autograd.grad(top, x, row.clone(), retain_graph=True)[0] for row in rows])

    def stages(self, selected, rule):
        """Complain: autograd's steps cannot be watched."""
        raise ModelError(f"step by step goes for a chain of layers only, and {self.why}; use project()")

    def field(self, selected):
        """Return the `Window` of pixels that the selected activations see."""
        like = self._ends[1]
        with torch.inference_mode(False), torch.no_grad():
            x = like.new_full((1, *self.shape), 0.5)
            with FieldTracer(x) as tracer:
                field = tracer.field(self._part(x))
        if field is None or selected.dim() != 4 or not (field.rows.step and field.columns.step):
            return windows.Window((0,) * len(selected), (0,) * len(selected), *self.shape[1:])
        window, (rows, columns) = windows.around(selected), field
        steps, starts = (rows.step, columns.step), (-rows.start, -columns.start)
        seen = windows.below(window, (rows.size, columns.size), steps, starts, (1, 1))
        return windows.inside(seen, self.shape[1:])


def climb_tape(part, layer, x, relus, why):
    """Run the network ``part`` under autograd, its ReLUs ruled by us, and return the `Tape`."""
    slot, watcher = _Slot(), _Watcher()
    with torch.inference_mode(False), torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        with _ruled(part, slot, watcher), watcher:
            answers = run(part, x)
    if not answers.requires_grad:
        raise ModelError(f"{layer!r} does not depend on the pixels through anything that has a gradient")
    curved = collections.Counter(watcher.curved)
    return Tape(layer, answers.detach(), tuple(x.shape[1:]), relus, why, part, (answers, x), slot, curved)


class _Slot:
    """Where the backward functions of one tape look up the rule."""

    def __init__(self):
        self.rule = RULES["gradient"]


class _RuledReLU(torch.autograd.Function):
    """The identity on the answer of a ReLU; back it goes to the ReLU's input, by the rule of the day."""

    @staticmethod
    def forward(ctx, _z, answer, ceiling, slot):
        ctx.save_for_backward(answer)  # which autograd keeps anyway; where it was on is asked when a rule wants to know
        ctx.ceiling, ctx.slot = ceiling, slot
        return answer.detach()  # its very strides, and no copy, which takes 3 % of SqueezeNet's time

    @staticmethod
    def backward(ctx, signal):
        (answer,) = ctx.saved_tensors
        return through_relu(signal, answer, ctx.ceiling, ctx.slot.rule), None, None, None


@contextlib.contextmanager
def _ruled(part, slot, watcher):
    """Give all ReLU modules our backward function while the block runs; a module that runs twice gets it twice."""
    relus = {name: module for name, module in part.named_modules() if isinstance(module, nn.ReLU | nn.ReLU6)}
    owner, inputs, handles = threading.get_ident(), {}, []

    def before(module, args):
        if threading.get_ident() != owner:
            return None
        inputs[module], watcher.paused = args[0], True
        return (args[0].clone(),) if module.inplace else None  # else the layer before would lose its answer

    def after(_name, module, answer):
        watcher.paused = False
        ceiling = 6.0 if isinstance(module, nn.ReLU6) else torch.inf
        return _RuledReLU.apply(inputs.pop(module), answer.detach(), ceiling, slot)

    try:
        handles += [module.register_forward_pre_hook(before) for module in relus.values()]
        with hooked(part, relus, after):
            yield
    finally:
        for handle in handles:
            handle.remove()


class _Counting:
    """What `_Watcher` does, apart from it: see `capture.receptive` for why."""

    def __init__(self):
        super().__init__()
        self.curved, self.paused = collections.Counter(), False

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Run the operation and count it if no rule reaches it."""
        name = operation.overloadpacket.__name__
        if name in CURVED and not self.paused:
            self.curved[name] += 1
        return operation(*args, **(kwargs or {}))


class _Watcher(_Counting, TorchDispatchMode):
    """While active, counts the operations that are neither linear nor a ReLU module."""
