"""What students hand in for *deconvnet*: wrong in one way each, with the words that the hint must hold."""

UNPOOL = """
def unpool(signal, switches, size):
    flat = signal.new_zeros(*signal.shape[:2], size[0] * size[1])
    return flat.scatter_add(2, switches.flatten(2), signal.flatten(2)).reshape(*signal.shape[:2], *size)
"""
FILTER = """
def filter_transposed(signal, weight, padding):
    turned = weight.flip(2, 3).transpose(0, 1)
    return conv2d(signal, turned, padding=weight.shape[-1] - 1 - padding)
"""
TOP = """
def keep_top(answers, filter, n):
    map = answers[:, filter].flatten(1)
    best = map.topk(n, dim=1)
    kept = torch.zeros_like(answers)
    kept[:, filter] = torch.zeros_like(map).scatter(1, best.indices, best.values).view_as(answers[:, filter])
    return kept
"""
RULES = """
def three_rules(signal, before):
    on = before > 0
    return signal * on, signal.relu(), signal.relu() * on
"""
DESCEND = """
def descend(net, x, filter):
    first, relu, pool, second, _ = net
    z1 = first(x)
    maxima, switches = pool_with_switches(relu(z1), 2, 2)
    z2 = second(maxima)
    signal = keep_top(relu(z2), filter, 1)
    signal = rectified(signal, z2)
    signal = filter_transposed(signal, second.weight, 1)
    signal = unpool(signal, switches, z1.shape[2:])
    signal = rectified(signal, z1)
    return filter_transposed(signal, first.weight, 1)


def rectified(signal, before):
    return signal.relu()
"""
DOWN = """
def project_down(net, signal, switches):
    remembered = list(switches)
    for i in reversed(range(len(net))):
        layer = net[i]
        if isinstance(layer, nn.Conv2d):
            up = nn.ConvTranspose2d(layer.out_channels, layer.in_channels, 3, padding=1, bias=False)
            up.weight = layer.weight
            signal = up(signal)
        elif isinstance(layer, nn.ReLU):
            signal = signal.relu()
        elif isinstance(layer, nn.MaxPool2d):
            signal = nn.functional.max_unpool2d(signal, remembered.pop(), layer.kernel_size)
    return signal
"""
FORWARD_BIAS = """
            below = [one for one in net[:i] if isinstance(one, nn.Conv2d)]
            signal = signal + (below[-1].bias.view(1, -1, 1, 1) if below else 0)"""
NO_RELU = ("        elif isinstance(layer, nn.ReLU):\n            signal = signal.relu()\n", "")

WRONG = {
    "pool_with_switches": {
        "place in the window": (
            "def pool_with_switches(x, size, stride):\n"
            "    best = x.unfold(2, size, stride).unfold(3, size, stride).flatten(4).max(-1)\n"
            "    return best.values, best.indices",
            "place in the window",
        ),
        "by columns": (
            "def pool_with_switches(x, size, stride):\n"
            "    y, s = max_pool2d(x, size, stride, return_indices=True)\n"
            "    return y, s % x.shape[3] * x.shape[2] + s // x.shape[3]",
            "along the rows",
        ),
        "through the batch": (
            "def pool_with_switches(x, size, stride):\n"
            "    y, s = max_pool2d(x, size, stride, return_indices=True)\n    n, c, h, w = x.shape\n"
            "    return y, s + torch.arange(n * c).view(n, c, 1, 1) * h * w",
            "begins again at 0",
        ),
        "the smallest": (
            "def pool_with_switches(x, size, stride):\n"
            "    s = max_pool2d(-x, size, stride, return_indices=True)[1]\n    return max_pool2d(x, size, stride), s",
            "smallest values",
        ),
        "by size": (
            "def pool_with_switches(x, size, stride):\n"
            "    s = max_pool2d(x.abs(), size, stride, return_indices=True)[1]\n"
            "    return x.flatten(2).gather(2, s.flatten(2)).view(s.shape), s",
            "not the largest size",
        ),
        "last among equals": (
            "def pool_with_switches(x, size, stride):\n"
            "    y, s = max_pool2d(x.flip(2, 3), size, stride, return_indices=True)\n"
            "    return y.flip(2, 3), x.shape[2] * x.shape[3] - 1 - s.flip(2, 3)",
            "among equals",
        ),
        "only maxima": (
            "def pool_with_switches(x, size, stride):\n    return max_pool2d(x, size, stride)",
            "only the max",
        ),
        "switches first": (
            "def pool_with_switches(x, size, stride):\n"
            "    return max_pool2d(x, size, stride, return_indices=True)[::-1]",
            "come second",
        ),
        "mean": (
            "def pool_with_switches(x, size, stride):\n"
            "    return (torch.nn.functional.avg_pool2d(x, size, stride),\n"
            "            max_pool2d(x, size, stride, return_indices=True)[1])",
            "mean of every window",
        ),
        "stride forgotten": (
            "def pool_with_switches(x, size, stride):\n    return max_pool2d(x, size, return_indices=True)",
            "apart",
        ),
    },
    "unpool": {
        "overwrites": (UNPOOL.replace("scatter_add", "scatter"), "must be added"),
        "torch's own": (
            "def unpool(signal, switches, size):\n"
            "    return nn.functional.max_unpool2d(signal, switches, 3, 2, output_size=list(size))",
            "must be added",
        ),
        "smeared": (
            "def unpool(signal, switches, size):\n    return torch.nn.functional.interpolate(signal, size=tuple(size))",
            "smeared",
        ),
        "corners": (
            "def unpool(signal, switches, size):\n    out = signal.new_zeros(*signal.shape[:2], *size)\n"
            "    out[..., : 2 * signal.shape[2] : 2, : 2 * signal.shape[3] : 2] = signal\n    return out",
            "corner of its window",
        ),
        "rectified": (UNPOOL.replace("signal.flatten(2)", "signal.relu().flatten(2)"), "negative ones too"),
        "ones": (UNPOOL.replace("signal.flatten(2)", "torch.ones_like(signal).flatten(2)"), "ones were put back"),
        "switches of one map": (
            UNPOOL.replace("switches.flatten(2)", "switches[:, :1].expand_as(signal).flatten(2)"),
            "those of the first map",
        ),
        "switches of one picture": (
            UNPOOL.replace("switches.flatten(2)", "switches[:1].expand_as(signal).flatten(2)"),
            "those of the first one",
        ),
        "flat": (UNPOOL.replace(".reshape(*signal.shape[:2], *size)", ""), "flat"),
        "height and width": (UNPOOL.replace("*size)", "*size[::-1])"), "height and width"),
        "in place": (UNPOOL.replace("    flat =", "    signal.mul_(1.01)\n    flat =", 1), "a copy"),
    },
    "filter_transposed": {
        "not turned": (FILTER.replace(".flip(2, 3)", ""), "not turned"),
        "turned along one axis": (FILTER.replace("flip(2, 3)", "flip(2)"), "one axis only"),
        "not exchanged": (FILTER.replace(".transpose(0, 1)", ""), "not exchanged"),
        "neither": (FILTER.replace(".flip(2, 3).transpose(0, 1)", ""), "neither turned"),
        "the convolution itself": (
            "def filter_transposed(signal, weight, padding):\n    return conv2d(signal, weight, padding=padding)",
            "up and not down",
        ),
        "padding as it is": (FILTER.replace("weight.shape[-1] - 1 - padding", "padding"), "took away"),
        "padding forgotten": (FILTER.replace(" - 1 - padding", " - 1"), "its old size"),
        "half the kernel": (FILTER.replace("weight.shape[-1] - 1 - padding", "weight.shape[-1] // 2"), "k // 2"),
        "rectified": (FILTER.replace("conv2d(signal,", "conv2d(signal.relu(),"), "a step of its own"),
        "rectified after": (FILTER.replace("- padding)", "- padding).relu()"), "a step of its own"),
        "rows and columns": (FILTER.replace("flip(2, 3).transpose(0, 1)", "transpose(2, 3)"), "smallest example"),
    },
    "keep_top": {
        "whole map": (
            "def keep_top(answers, filter, n):\n    kept = torch.zeros_like(answers)\n"
            "    kept[:, filter] = answers[:, filter]\n    return kept",
            "the whole map",
        ),
        "all filters": (
            "def keep_top(answers, filter, n):\n    flat = answers.flatten(1)\n    best = flat.topk(n)\n"
            "    return torch.zeros_like(flat).scatter(1, best.indices, best.values).view_as(answers)",
            "all filters compete",
        ),
        "all pictures": (
            "def keep_top(answers, filter, n):\n    kept = torch.zeros_like(answers)\n    map = answers[:, filter]\n"
            "    limit = map.flatten().topk(n).values[-1]\n    kept[:, filter] = map * (map >= limit)\n    return kept",
            "all pictures compete",
        ),
        "ones": (TOP.replace("return kept", "return (kept > 0).float()"), "ones are returned"),
        "others left": (TOP.replace("zeros_like(answers)", "clone(answers)"), "other filters are still there"),
        "smallest": (TOP.replace("topk(n, dim=1)", "topk(n, dim=1, largest=False)"), "smallest values"),
        "one only": (TOP.replace("topk(n,", "topk(1,"), "only the strongest one"),
        "values": (
            "def keep_top(answers, filter, n):\n    return answers[:, filter].flatten(1).topk(n).values",
            "the values themselves",
        ),
        "one map": (TOP.replace("return kept", "return kept[:, filter]"), "zeros for the others"),
        "filter is the picture": (
            "def keep_top(answers, filter, n):\n    map = answers[filter].flatten(1)\n    best = map.topk(n, dim=1)\n"
            "    kept = torch.zeros_like(answers)\n"
            "    kept[filter] = torch.zeros_like(map).scatter(1, best.indices, best.values).view_as(answers[filter])\n"
            "    return kept",
            "the batch comes first",
        ),
        "in place": (
            "def keep_top(answers, filter, n):\n    map = answers[:, filter]\n"
            "    limit = map.flatten(1).topk(n).values[:, -1, None, None]\n    map[map < limit] = 0\n"
            "    answers[:, [c for c in range(answers.shape[1]) if c != filter]] = 0\n    return answers",
            "a copy",
        ),
    },
    "three_rules": {
        "exchanged": (RULES.replace("signal * on, signal.relu(), ", "signal.relu(), signal * on, "), "are exchanged"),
        "mask in the DeconvNet": (RULES.replace(" signal.relu(), ", " signal.relu() * on, "), "no forward mask"),
        "DeconvNet is the gradient": (RULES.replace(" signal.relu(), ", " signal * on, "), "plain backpropagation"),
        "guided without the picture": (RULES.replace("signal.relu() * on", "signal.relu()"), "both gates"),
        "guided without the signal": (RULES.replace("signal.relu() * on", "signal * on"), "both gates"),
        "at zero": (RULES.replace("before > 0", "before >= 0"), "exactly 0"),
        "answers for masks": (RULES.replace("before > 0", "before.relu()"), "a mask is 0 or 1"),
        "nothing rectified": (RULES.replace("signal.relu()", "signal"), "nothing is rectified"),
        "masks": (
            "def three_rules(signal, before):\n    a, b = before > 0, signal > 0\n"
            "    return a.float(), b.float(), (a & b).float()",
            "these are the masks",
        ),
        "one rule": (
            "def three_rules(signal, before):\n    return signal.relu()",
            "only one rule",
        ),
        "in place": (RULES.replace("signal.relu(), signal.relu() * on", "signal.relu_(), signal * on"), "a copy"),
    },
    "descend": {
        "no rectification": (DESCEND.replace("return signal.relu()", "return signal"), "rectification is missing"),
        "picture rectified": (
            DESCEND.replace(
                "return filter_transposed(signal, first.weight, 1)",
                "return filter_transposed(signal, first.weight, 1).relu()",
            ),
            "picture was rectified",
        ),
        "forward bias": (
            DESCEND.replace("second.weight, 1)", "second.weight, 1) + first.bias.view(1, -1, 1, 1)"),
            "biases of the way up were added",
        ),
        "bias taken away": (
            DESCEND.replace("(signal, second.weight", "(signal - second.bias.view(1, -1, 1, 1), second.weight").replace(
                "(signal, first.weight", "(signal - first.bias.view(1, -1, 1, 1), first.weight"
            ),
            "taken away",
        ),
        "gradient rule": (DESCEND.replace("return signal.relu()", "return signal * (before > 0)"), "plain gradient"),
        "guided": (DESCEND.replace("return signal.relu()", "return signal.relu() * (before > 0)"), "guided"),
        "autograd": (
            "def descend(net, x, filter):\n    x = x.clone().requires_grad_()\n"
            "    best = net(x)[:, filter].flatten(1).amax(1).sum()\n    return torch.autograd.grad(best, x)[0]",
            "true gradient",
        ),
        "whole map": (
            DESCEND.replace("keep_top(relu(z2), filter, 1)", "keep_top(relu(z2), filter, z2[0, 0].numel())"),
            "only its strongest answer",
        ),
        "all filters": (DESCEND.replace("keep_top(relu(z2), filter, 1)", "relu(z2)"), "all filters"),
        "strongest of the batch": (
            DESCEND.replace(
                "    signal = rectified(signal, z2)",
                "    signal = rectified(signal, z2)\n    signal = signal * (signal == signal.max())",
            ),
            "not of the batch",
        ),
        "a one": (DESCEND.replace("filter, 1)\n", "filter, 1).sign()\n", 1), "a one was sent"),
        "not turned": (
            DESCEND.replace("second.weight", "second.weight.flip(2, 3)").replace(
                "first.weight", "first.weight.flip(2, 3)"
            ),
            "not turned",
        ),
        "no switches": (
            DESCEND.replace(
                "unpool(signal, switches, z1.shape[2:])", "torch.nn.functional.interpolate(signal, scale_factor=2)"
            ),
            "switches were not used",
        ),
        "answers": (
            "def descend(net, x, filter):\n    return keep_top(net(x), filter, 1)",
            "down to the pixels",
        ),
        "returns the picture": ("def descend(net, x, filter):\n    return x", "as it came in"),
    },
    "project_down": {
        "as it was": (DOWN.replace(", bias=False", "").replace(*NO_RELU), "a random one"),
        "random bias": (DOWN.replace(", bias=False", ""), "a random one"),
        "no ReLU": (DOWN.replace(*NO_RELU), "rectification is missing"),
        "forward bias": (
            DOWN.replace("            signal = up(signal)", "            signal = up(signal)" + FORWARD_BIAS),
            "biases of the way up were added",
        ),
        "forward bias and no ReLU": (
            DOWN.replace("            signal = up(signal)", "            signal = up(signal)" + FORWARD_BIAS).replace(
                *NO_RELU
            ),
            "were added.*rectification is missing",
        ),
        "bias taken away": (
            DOWN.replace("up(signal)", "up(signal - layer.bias.view(1, -1, 1, 1))"),
            "taken away",
        ),
        "picture rectified": (DOWN.replace("    return signal", "    return signal.relu()"), "picture was rectified"),
        "not turned": (
            DOWN.replace("up.weight = layer.weight", "up.weight = nn.Parameter(layer.weight.flip(2, 3))"),
            "not turned",
        ),
        "no switches": (
            DOWN.replace("nn.functional.max_unpool2d(signal, remembered.pop(), layer.kernel_size)", "corners(signal)")
            + "\n\ndef corners(signal):\n"
            "    out = signal.new_zeros(*signal.shape[:2], *(2 * side for side in signal.shape[2:]))\n"
            "    out[..., ::2, ::2] = signal\n    return out",
            "switches were not used",
        ),
        "switches from below": (DOWN.replace("remembered.pop()", "remembered.pop(0)"), "print the shapes"),
        "from below": (DOWN.replace("reversed(range(len(net)))", "range(len(net))"), "print the shapes"),
        "no return": (DOWN.replace("    return signal", "    signal"), "`return` missing"),
        "returns the signal": (
            "def project_down(net, signal, switches):\n    return signal",
            "as it came in",
        ),
        "empties the list": (DOWN.replace("list(switches)", "switches"), "read the last line"),
    },
    "projection": {
        "empty": ("projection = ...", "fill it in"),
        "nothing": ("projection = torch.zeros(1, 3, 64, 64)", "anything sent down"),
        "the drawing": ("projection = drawing", "go down with your"),
        "whole map": (
            "projection = project_down(part, keep_top(answers, filter, 256), switches)",
            "only its strongest answer",
        ),
        "all filters": ("projection = project_down(part, answers, switches)", "set the others to zero"),
        "a one": (
            "projection = project_down(part, keep_top(answers, filter, 1).sign(), switches)",
            "a one was sent down|its scale is not",
        ),
        "gradient": (
            "pixels = drawing.clone().requires_grad_()\n"
            "best = part(pixels)[:, filter].amax()\n"
            "projection = torch.autograd.grad(best * best / 2, pixels)[0]",
            "gradient",
        ),
        "rectified": ("projection = projection.relu()", "both signs"),
        "for the screen": (
            "projection = (projection - projection.min()) / (projection.max() - projection.min())",
            "not stretched",
        ),
        "another scale": ("projection = projection * 3", "its scale is not"),
        "another filter": (
            "projection = project_down(part, keep_top(answers, int(answers.amax((0, 2, 3)).argmax()), 1), switches)",
            "ask for filter",
        ),
        "without the batch": ("projection = projection[0]", r"\(1, 3, 64, 64\)"),
    },
}

# Right, and written in another way than the solution.
EQUIVALENT = {
    "pool_with_switches": """
def pool_with_switches(x, size, stride):
    n, c, h, w = x.shape
    rows, columns = (h - size) // stride + 1, (w - size) // stride + 1
    best, switches = torch.zeros(n, c, rows, columns), torch.zeros(n, c, rows, columns, dtype=torch.int64)
    for i, j in itertools.product(range(rows), range(columns)):
        window = x[..., i * stride : i * stride + size, j * stride : j * stride + size].flatten(2)
        best[..., i, j] = window.amax(2)
        place = window.argmax(2)
        switches[..., i, j] = (i * stride + place // size) * w + j * stride + place % size
    return [best, switches]
""",
    "unpool": """
def unpool(signal, switches, size):
    n, c = signal.shape[:2]
    out = torch.zeros(n * c * size[0] * size[1])
    start = torch.arange(n * c).view(n, c, 1, 1) * size[0] * size[1]
    out.index_add_(0, (switches + start).flatten(), signal.flatten())
    return out.view(n, c, *size)
""",
    "filter_transposed": """
def filter_transposed(signal, weight, padding):
    return torch.nn.functional.conv_transpose2d(signal, weight, padding=padding)
""",
    "keep_top": """
def keep_top(answers, filter, n):
    limit = answers[:, filter].flatten(1).sort(dim=1, descending=True).values[:, n - 1]
    kept = answers * (answers >= limit[:, None, None, None])
    chosen = torch.zeros(answers.shape[1])
    chosen[filter] = 1
    return kept * chosen[:, None, None]
""",
    "three_rules": """
def three_rules(signal, before):
    zero = torch.zeros(())
    gradient = torch.where(before > 0, signal, zero)
    return [gradient, torch.maximum(signal, zero), gradient.clamp(min=0)]
""",
    "descend": """
def descend(net, x, filter):
    maps = [x]
    for layer in net:
        if isinstance(layer, nn.MaxPool2d):
            y, switches = max_pool2d(maps[-1], 2, return_indices=True)
        else:
            y = layer(maps[-1])
        maps.append(y)
    n, c = y.shape[:2]
    flat = y[:, filter].reshape(n, -1)
    signal = torch.zeros(n, c, flat.shape[1])
    best = flat.argmax(1)
    signal[torch.arange(n), filter, best] = flat[torch.arange(n), best]
    up = torch.nn.functional.conv_transpose2d
    signal = up(signal.view_as(y), net[3].weight, padding=1)
    return up(nn.functional.max_unpool2d(signal, switches, 2).clamp(min=0), net[0].weight, padding=1)
""",
    "project_down": DOWN,
    "projection": """
signal, remembered = drawing, []
for layer in part:
    if isinstance(layer, nn.MaxPool2d):
        signal, places = max_pool2d(signal, 2, return_indices=True)
        remembered.append((places, layer))
    else:
        signal = layer(signal)
only = torch.zeros_like(signal)
row, column = divmod(int(signal[0, filter].argmax()), signal.shape[3])
only[0, filter, row, column] = signal[0, filter, row, column]
for layer in reversed(part):
    if isinstance(layer, nn.Conv2d):
        only = torch.nn.functional.conv_transpose2d(only, layer.weight, padding=layer.padding)
    elif isinstance(layer, nn.ReLU):
        only = only.clamp(min=0)
    else:
        only = nn.functional.max_unpool2d(only, remembered.pop()[0], 2)
projection = only
""",
}
