"""What students hand in for the exercise *forward*: wrong in one way each, with the words that the hint must hold."""

PLACE = """
def one_place(x, weight, bias, row, column):
    k = weight.shape[-1]
    window = x[:, row : row + k, column : column + k]
    return (weight * window).sum(dim=(1, 2, 3)) + bias
"""
CONVOLVE = """
def convolve(x, weight, bias, stride, padding):
    k = weight.shape[-1]
    answers = weight.flatten(1) @ unfold(x, k, stride=stride, padding=padding) + bias[:, None]
    return answers.unflatten(2, ((x.shape[2] + 2 * padding - k) // stride + 1, -1))
"""
POOL = """
def pool(x):
    N, C, H, W = x.shape
    windows = x.relu().reshape(N, C, H // 2, 2, W // 2, 2).transpose(3, 4).flatten(4)
    pooled, inside = windows.max(dim=4)
    row, column = 2 * torch.arange(H // 2)[:, None] + inside // 2, 2 * torch.arange(W // 2) + inside % 2
    return pooled, row * W + column
"""
FIELD = """
def receptive_field(layers):
    size, step, start = 1, 1, 0
    for kernel, stride, padding in layers:
        size += (kernel - 1) * step
        start -= padding * step
        step *= stride
    return size, step, start
"""
HOOK = """
def activation(model, x, layer):
    found = []
    handle = model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: found.append(output))
    try:
        model(x)
    finally:
        handle.remove()
    return found[0]
"""
STRONGEST = """
def strongest(a):
    best = a.flatten(1).argmax(dim=1)
    return torch.stack(torch.unravel_index(best, a.shape[1:]), dim=1)
"""
RECORD = """
def record(model, batches, layer):
    seen, answers = {}, []
    def hook(module, inputs, output):
        seen[layer] = output.clone()
    handle = model.get_submodule(layer).register_forward_hook(hook)
    for x in batches:
        seen[layer] = None
        try:
            model(x)
        except RuntimeError as problem:
            pass
        answers.append(seen[layer])
    handle.remove()
    return answers
"""
STIMULUS = "stimulus = torch.full((1, 3, 64, 64), 0.5)\nstimulus[0, :, 30:35, 30:35] = "


def instead(source, old, new):
    """Return a right answer with one thing changed."""
    assert old in source, old
    return source.replace(old, new)


WRONG = {
    "one_place": {
        "no bias": (instead(PLACE, " + bias", ""), "bias is missing"),
        "flipped": (instead(PLACE, "(weight *", "(weight.flip(-2, -1) *"), "turned round"),
        "centred": (
            instead(
                PLACE,
                "x[:, row : row + k, column : column + k]",
                "x[:, row - k // 2 : row + k // 2 + 1, column - k // 2 : column + k // 2 + 1]",
            ),
            "not its centre",
        ),
        "swapped": (
            instead(PLACE, "row : row + k, column : column + k", "column : column + k, row : row + k"),
            "swapped",
        ),
        "colours apart": (
            instead(PLACE, "dim=(1, 2, 3)) + bias", "dim=(2, 3)) + bias[:, None]"),
            "colours are still apart",
        ),
        "one colour": (instead(PLACE, "(weight * window)", "(weight[:, :1] * window[:1])"), "first colour"),
        "mean": (instead(PLACE, ".sum(", ".mean("), "this is the mean"),
        "all filters": (instead(PLACE, "sum(dim=(1, 2, 3))", "sum()"), "an answer of its own"),
        "weights changed": (instead(PLACE, "(weight * window)", "weight.mul_(window)"), "a copy"),
        "no return": (instead(PLACE, "return ", ""), "`return` missing"),
        "hard-coded": ("def one_place(x, weight, bias, row, column):\n    return torch.ones(4)", "whatever comes in"),
    },
    "convolve": {
        "no bias": (instead(CONVOLVE, " + bias[:, None]", ""), "bias is missing"),
        "no padding": (
            instead(instead(CONVOLVE, ", padding=padding", ""), " + 2 * padding", ""),
            "padding is missing",
        ),
        "no stride": (
            instead(instead(CONVOLVE, "stride=stride, ", ""), "// stride", "// 1"),
            "stride is missing",
        ),
        "flipped": (instead(CONVOLVE, "weight.flatten", "weight.flip(-2, -1).flatten"), "turned round"),
        "height for width": (
            instead(CONVOLVE, "unflatten(2, ((x.shape[2]", "unflatten(2, ((x.shape[3]"),
            "swapped where the places become a map",
        ),
        "batch mixed up": (
            instead(
                CONVOLVE,
                "return answers.unflatten(2, ((x.shape[2] + 2 * padding - k) // stride + 1, -1))",
                "h = (x.shape[2] + 2 * padding - k) // stride + 1\n"
                "    return answers.transpose(0, 1).reshape(len(x), len(weight), h, -1)",
            ),
            "mixed up",
        ),
        "edges repeated": (
            instead(
                CONVOLVE, "unfold(x, k, stride=stride, padding=padding)", "unfold(edged, k, stride=stride)"
            ).replace("    answers", "    edged = pad(x, [padding] * 4, mode='replicate')\n    answers"),
            "repeats the edge",
        ),
        "colours last": (
            instead(CONVOLVE, "weight.flatten(1)", "weight.permute(0, 2, 3, 1).flatten(1)"),
            "another order than the windows",
        ),
        "first picture": (instead(CONVOLVE, "unfold(x,", "unfold(x[:1],"), "only the first picture"),
        "in place": (
            CONVOLVE.replace("    k =", "    x -= 0.5\n    x += 0.499\n    k ="),
            "a copy",
        ),
        "the bias changed": (CONVOLVE.replace("    k =", "    bias *= 2\n    k ="), "a copy"),
        "no return": (instead(CONVOLVE, "return ", ""), "`return` missing"),
    },
    "pool": {
        "switches before the ReLU": (
            instead(POOL, "x.relu().reshape", "x.reshape").replace("return pooled,", "return pooled.relu(),"),
            "before the ReLU",
        ),
        "no ReLU": (instead(POOL, "x.relu()", "x"), "ReLU is missing"),
        "place in the window": (instead(POOL, "row * W + column", "inside"), "not one of 0 to 3"),
        "columns first": (instead(POOL, "row * W + column", "column * H + row"), "swapped"),
        "width after pooling": (
            instead(POOL, "row * W + column", "row * (W // 2) + column"),
            "before pooling, not after",
        ),
        "counted through the batch": (
            instead(
                POOL,
                "row * W + column",
                "row * W + column + H * W * torch.arange(N * C).reshape(N, C, 1, 1)",
            ),
            "each plane begins at 0",
        ),
        "the last of equal ones": (
            instead(
                POOL, "inside = windows.max(dim=4)", "inside = windows.flip(4).max(dim=4)\n    inside = 3 - inside"
            ),
            "the first should",
        ),
        "only the maxima": (instead(POOL, "return pooled, row * W + column", "return pooled"), "two things"),
        "the other way round": (
            instead(POOL, "return pooled, row * W + column", "return row * W + column, pooled"),
            "the maxima come first",
        ),
        "mean": (instead(POOL, "return pooled,", "return windows.mean(4),"), "the mean of each window"),
        "in place": (instead(POOL, "x.relu()", "x.relu_()"), "a copy"),
    },
    "receptive_field": {
        "step first": (
            instead(FIELD, "        step *= stride\n", "").replace(
                "in layers:\n", "in layers:\n        step *= stride\n"
            ),
            "grew too early",
        ),
        "k and not k - 1": (instead(FIELD, "(kernel - 1)", "kernel"), "adds k - 1"),
        "padding in pixels": (instead(FIELD, "padding * step", "padding"), "start - padding"),
        "no strides": (instead(FIELD, "        step *= stride\n", ""), "strides are missing"),
        "from the end": (instead(FIELD, "in layers", "in layers[::-1]"), "from the last to the first"),
        "to the right": (instead(FIELD, "start -=", "start +="), "minus"),
        "no padding": (instead(FIELD, "        start -= padding * step\n", ""), "padding is missing"),
        "only the size": (instead(FIELD, "return size, step, start", "return size"), "only the size"),
        "returns in the loop": (
            instead(FIELD, "    return size", "        return size"),
            "inside the loop",
        ),
        "hard-coded": ("def receptive_field(layers):\n    return 24, 4, -10", "whatever comes in"),
    },
    "activation": {
        "never removed": (instead(HOOK, "        handle.remove()", "        pass"), "never removed"),
        "left after an error": (
            "def activation(model, x, layer):\n    found = []\n"
            "    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: found.append(o))\n"
            "    model(x)\n    handle.remove()\n    return found[0]",
            "in `finally`",
        ),
        "error hidden": (
            instead(HOOK, "    finally:", "    except RuntimeError:\n        return None\n    finally:"),
            "must not be hidden",
        ),
        "the whole network": ("def activation(model, x, layer):\n    return model(x)", "not the layer"),
        "the input of the layer": (
            instead(HOOK, "found.append(output)", "found.append(inputs[0])"),
            "goes into the layer",
        ),
        "always conv1": (instead(HOOK, "get_submodule(layer)", "get_submodule('conv1')"), "always conv1"),
        "first picture": (instead(HOOK, "found[0]", "found[0][:1]"), "only the first picture"),
        "a list": (instead(HOOK, "found[0]", "found"), "take it out"),
        "mean over the batch": (instead(HOOK, "found[0]", "found[0].mean(0, keepdim=True)"), "mean over the batch"),
        "no return": (instead(HOOK, "return found", "found"), "`return` missing"),
        "in place": (instead(HOOK, "model(x)", "model(x.mul_(0.9))"), "a copy"),
        "a module": (instead(HOOK, "return found[0]", "return handle"), "return numbers or tensors"),
    },
    "strongest": {
        "row and column swapped": (
            instead(STRONGEST, "a.shape[1:]), dim=1)", "a.shape[1:]), dim=1)[:, [0, 2, 1]]"),
            "row and column are swapped",
        ),
        "of the whole batch": (
            "def strongest(a):\n    place = torch.unravel_index(a.argmax(), a.shape)[1:]\n"
            "    return torch.stack(place).expand(len(a), 3)",
            "every picture has its own",
        ),
        "one index": ("def strongest(a):\n    return a.flatten(1).argmax(1)", "take it apart"),
        "largest size": (instead(STRONGEST, "a.flatten", "a.abs().flatten"), "-9 is no loud answer"),
        "smallest": (instead(STRONGEST, "argmax", "argmin"), "the smallest answer"),
        "loudest on average": (
            "def strongest(a):\n    c = a.mean((2, 3)).argmax(1)\n"
            "    place = a[torch.arange(len(a)), c].flatten(1).argmax(1)\n"
            "    return torch.stack([c, place // a.shape[3], place % a.shape[3]], 1)",
            "loudest on average",
        ),
        "H for W": (
            "def strongest(a):\n    H, W = a.shape[2:]\n    best = a.flatten(1).argmax(1)\n"
            "    return torch.stack([best // (H * W), best % (H * W) // H, best % (H * W) % H], 1)",
            "W numbers long",
        ),
        "filter last": (
            instead(STRONGEST, "a.shape[1:]), dim=1)", "a.shape[1:]), dim=1)[:, [1, 2, 0]]"),
            "the order is",
        ),
        "values": ("def strongest(a):\n    return a.amax((1, 2, 3))", "values are returned"),
        "in place": (instead(STRONGEST, "a.flatten", "a.relu_().flatten"), "a copy"),
        "hard-coded": (
            "def strongest(a):\n    return torch.tensor([[2, 4, 7]]).expand(len(a), -1)",
            "smallest|whatever",
        ),
    },
    "record": {
        "as it was": (
            instead(instead(RECORD, "output.clone()", "output.detach()"), "        seen[layer] = None\n", ""),
            "twice wrong still",
        ),
        "only copied": (instead(RECORD, "        seen[layer] = None\n", ""), "forget it first"),
        "only forgotten": (instead(RECORD, "output.clone()", "output.detach()"), "`detach` is no copy"),
        "copied too late": (
            instead(
                instead(RECORD, "output.clone()", "output"),
                "append(seen[layer])",
                "append(None if seen[layer] is None else seen[layer].clone())",
            ),
            "works in place",
        ),
        "left out": (
            instead(RECORD, "    handle.remove()\n", "    answers = [a for a in answers if a is not None]\n"),
            "left out",
        ),
        "zeros": (
            instead(
                RECORD,
                "append(seen[layer])",
                "append(torch.zeros_like(answers[0]) if seen[layer] is None else seen[layer])",
            ),
            "not one of zeros",
        ),
        "the last one everywhere": (
            instead(RECORD, "    return answers", "    return [answers[-1]] * len(batches)"),
            "one tensor, many names",
        ),
        "only the last": (instead(RECORD, "    return answers", "    return answers[-1]"), "only the last"),
        "lets the error through": (
            instead(
                RECORD,
                "        except RuntimeError as problem:\n            pass",
                "        finally:\n            pass",
            ),
            "shapes",
        ),
    },
    "stimulus": {
        "empty": ("stimulus = ...", "fill it in"),
        "grey": ("stimulus = torch.full((1, 3, 64, 64), 0.5)", "plain picture"),
        "turned round sign": (STIMULUS + "(weights < 0).float()", "sign is turned round"),
        "flipped": (STIMULUS + "(weights > 0).float().flip(-2, -1)", "filter was turned round"),
        "transposed": (STIMULUS + "(weights > 0).float().transpose(1, 2)", "rows and columns"),
        "another filter": (STIMULUS + "(network.conv1.weight[number - 1] > 0).float()", "counted from 0"),
        "the filter itself": (
            STIMULUS + "(weights - weights.min()) / (weights.max() - weights.min())",
            "grey is never best",
        ),
        "too bright": (STIMULUS + "10 * weights", "lies in"),
        "without the batch": ("stimulus = torch.rand(3, 64, 64)", "keep the shape"),
        "the window alone": ("stimulus = (weights > 0).float()[None]", "keep the shape"),
        "a drawing": ("stimulus = handouts.quarry(0)[0]", "grey is never best"),
        "a network": ("stimulus = network", "the answer itself"),
    },
}

# Right, and written in another way than the solution.
EQUIVALENT = {
    "one_place": """
def one_place(x, weight, bias, row, column):
    k = weight.shape[-1]
    return weight.flatten(1) @ x[:, row : row + k, column : column + k].flatten() + bias
""",
    "convolve": """
def convolve(x, weight, bias, stride, padding):
    k = weight.shape[-1]
    windows = pad(x, [padding] * 4).unfold(2, k, stride).unfold(3, k, stride)
    return torch.einsum("nchwij,fcij->nfhw", windows, weight) + bias.view(1, -1, 1, 1)
""",
    "pool": """
def pool(x):
    return torch.nn.functional.max_pool2d(x.clamp(min=0), 2, return_indices=True)
""",
    "receptive_field": """
def receptive_field(layers):
    steps = [1]
    for _, stride, _ in layers:
        steps.append(steps[-1] * stride)
    size = 1 + sum((k - 1) * step for (k, _, _), step in zip(layers, steps))
    return [size, steps[-1], -sum(p * step for (_, _, p), step in zip(layers, steps))]
""",
    "activation": """
def activation(model, x, layer):
    seen, handles = {}, []
    try:
        for name, part in model.named_modules():
            def hook(module, inputs, output, name=name):
                seen[name] = output.detach().clone()
            handles.append(part.register_forward_hook(hook))
        with torch.no_grad():
            model(x)
    finally:
        while handles:
            handles.pop().remove()
    return seen[layer]
""",
    "strongest": """
def strongest(a):
    rows = []
    for one in a:
        c, row, column = (one == one.max()).nonzero()[0].tolist()
        rows.append([c, row, column])
    return torch.tensor(rows)
""",
    "record": """
def record(model, batches, layer):
    answers = []
    for x in batches:
        answers.append(None)
        handle = model.get_submodule(layer).register_forward_hook(
            lambda module, inputs, output: answers.__setitem__(-1, output + 0))
        try:
            model(x)
        except RuntimeError:
            answers[-1] = None
        finally:
            handle.remove()
    return answers
""",
    "stimulus": """
import numpy as np
picture = np.zeros((1, 3, 64, 64))
for c in range(3):
    for i in range(5):
        for j in range(5):
            picture[0, c, 10 + i, 50 + j] = 1.0 if weights[c, i, j] > 0 else 0.0
stimulus = torch.from_numpy(picture)
""",
}
