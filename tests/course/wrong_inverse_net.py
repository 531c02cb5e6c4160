"""What students hand in for *inverse_net*: wrong in one way each, with the words that the hint must hold."""

SPREAD = """
def zeros_between(x, stride):
    n, c, h, w = x.shape
    out = x.new_zeros(n, c, (h - 1) * stride + 1, (w - 1) * stride + 1)
    out[..., ::stride, ::stride] = x
    return out
"""
UP = """
def up_convolve(x, weight, bias, stride, padding):
    kernel = weight.flip(2, 3).transpose(0, 1)
    return conv2d(zeros_between(x, stride), kernel, bias, padding=weight.shape[-1] - 1 - padding)
"""
SHAPES = """
def shapes_back(code, layers):
    shape, found = list(code), []
    for filters, k, s, p in layers:
        shape = [filters, *((n - 1) * s + k - 2 * p for n in shape[1:])]
        found.append(shape)
    return found
"""
GUESS = """
def best_guess(x, code, codes):
    return torch.stack([x[code == k].mean(0) for k in range(codes)])
"""
LINEAR = """
def linear_inverse(codes, x, lam):
    middle, mean = codes.mean(0), x.mean(0)
    a = codes - middle
    gram = a.T @ a + lam * torch.eye(a.shape[1])
    weight = torch.linalg.solve(gram, a.T @ (x - mean)).T
    return weight, mean - weight @ middle
"""
DECIBELS = """
def decibels(decoder, mean, std, codes, x):
    decoder.eval()
    z = (codes - mean) / std
    error = (decoder(z) - x).pow(2)
    return -10 * error.flatten(1).mean(1).log10()
"""
OWN = "z = (codes - codes.mean(0)) / codes.std(0)"
TOGETHER = "error.mean().log10().expand(len(x))"

WRONG = {
    "zeros_between": {
        "zeros behind": (
            SPREAD.replace("(h - 1) * stride + 1, (w - 1) * stride + 1", "h * stride, w * stride"),
            "zeros behind the last",
        ),
        "repeated": (
            "def zeros_between(x, stride):\n    return x.repeat_interleave(stride, 2).repeat_interleave(stride, 3)",
            "are repeated",
        ),
        "interpolated": (
            "def zeros_between(x, stride):\n    return torch.nn.functional.interpolate(x, scale_factor=stride)",
            "are repeated",
        ),
        "stride zeros": (SPREAD.replace("    n, c", "    stride = stride + 1\n    n, c", 1), "one zero too many"),
        "rows only": (
            SPREAD.replace("(w - 1) * stride + 1", "w").replace("::stride, ::stride]", "::stride, :]"),
            "the columns too",
        ),
        "columns only": (
            SPREAD.replace("(h - 1) * stride + 1", "h").replace("::stride, ::stride]", ":, ::stride]"),
            "the rows too",
        ),
        "smaller": ("def zeros_between(x, stride):\n    return x[..., ::stride, ::stride]", "smaller"),
        "no return": (SPREAD.replace("    return out", "    out"), "`return` missing"),
        "returns the input": ("def zeros_between(x, stride):\n    return x", "as it came in"),
        "in place": (SPREAD.replace("    n, c", "    x.mul_(1.001)\n    n, c", 1), "a copy"),
    },
    "up_convolve": {
        "not turned": (UP.replace(".flip(2, 3)", ""), "not turned"),
        "turned along one axis": (UP.replace("flip(2, 3)", "flip(3)"), "one axis only"),
        "not exchanged": (UP.replace(".transpose(0, 1)", ""), "not exchanged"),
        "neither": (UP.replace(".flip(2, 3).transpose(0, 1)", ""), "neither turned"),
        "padding as it is": (UP.replace("weight.shape[-1] - 1 - padding", "padding"), "k - 1 - p of them"),
        "padding forgotten": (UP.replace(" - 1 - padding", " - 1"), "takes rows away"),
        "no bias": (UP.replace("bias, padding=", "padding="), "bias is missing"),
        "not enlarged": (UP.replace("zeros_between(x, stride)", "x"), "not enlarged"),
        "repeated values": (
            UP.replace(
                "zeros_between(x, stride)",
                "x.repeat_interleave(stride, 2).repeat_interleave(stride, 3)[..., : 1 - stride, : 1 - stride]",
            ),
            "were repeated",
        ),
        "transposed pixels": (UP.replace("flip(2, 3).transpose(0, 1)", "transpose(2, 3)"), "smallest example"),
        "hard-coded": (
            "def up_convolve(x, weight, bias, stride, padding):\n    return torch.zeros(2, 3, 8, 10)",
            "whatever|smallest",
        ),
    },
    "shapes_back": {
        "of a convolution": (SHAPES.replace("(n - 1) * s + k - 2 * p", "(n + 2 * p - k) // s + 1"), "turn it round"),
        "padding added": (SHAPES.replace("k - 2 * p", "k + 2 * p"), "minus 2"),
        "padding once": (SHAPES.replace("k - 2 * p", "k - p"), "both sides"),
        "n steps": (SHAPES.replace("(n - 1) * s", "n * s"), "n - 1 steps"),
        "always doubles": (SHAPES.replace("(n - 1) * s + k - 2 * p", "n * s"), "exactly doubles"),
        "no kernel": (SHAPES.replace("s + k - 2", "s + 1 - 2"), "paints k pixels"),
        "channels kept": (SHAPES.replace("[filters, *", "[shape[0], *"), "number of filters"),
        "only the last": (SHAPES.replace("return found", "return shape"), "only the last"),
        "with the code": (SHAPES.replace("list(code), []", "list(code), [list(code)]"), "the code's own shape"),
        "always from the code": (SHAPES.replace("in shape[1:]", "in code[1:]"), "the one before"),
    },
    "best_guess": {
        "mean of all": (GUESS.replace("x[code == k].mean(0)", "x.mean(0)"), "mean of all pictures"),
        "median": (GUESS.replace("mean(0)", "median(0).values"), "absolute"),
        "between the extremes": (
            GUESS.replace("x[code == k].mean(0)", "(x[code == k].amax(0) + x[code == k].amin(0)) / 2"),
            "half way",
        ),
        "the first": (GUESS.replace("x[code == k].mean(0)", "x[code == k][0]"), "first picture"),
        "the last": (
            "def best_guess(x, code, codes):\n    out = torch.zeros(codes, *x.shape[1:])\n"
            "    for k, picture in zip(code.tolist(), x):\n        out[k] = picture\n    return out",
            "overwriting",
        ),
        "a sum": (GUESS.replace("mean(0)", "sum(0)"), "a sum"),
        "divided by all": (
            "def best_guess(x, code, codes):\n    out = torch.zeros(codes, *x.shape[1:])\n"
            "    return out.index_add(0, code, x) / len(x)",
            "not by how many there are in all",
        ),
        "grey": (GUESS.replace("mean(0)", "mean((0, 1)).expand(3, -1, -1)"), "colours"),
        "as if even": (
            "def best_guess(x, code, codes):\n    out = torch.zeros(codes, *x.shape[1:])\n"
            "    return out.index_add(0, code, x) * codes / len(x)",
            "not by N / codes",
        ),
        "the most typical": (
            "def best_guess(x, code, codes):\n    out = []\n    for k in range(codes):\n        some = x[code == k]\n"
            "        far = ((some[:, None] - some[None]) ** 2).sum((1, 2, 3, 4))\n        out.append(some[far.argmin()])\n"
            "    return torch.stack(out)",
            "one of the pictures",
        ),
    },
    "linear_inverse": {
        "no bias": (
            LINEAR.replace("codes.mean(0), x.mean(0)", "0 * codes.mean(0), 0 * x.mean(0)"),
            "bias is missing",
        ),
        "bias punished": (
            "def linear_inverse(codes, x, lam):\n    a = torch.cat([codes, torch.ones(len(codes), 1)], 1)\n"
            "    w = torch.linalg.solve(a.T @ a + lam * torch.eye(a.shape[1]), a.T @ x).T\n    return w[:, :-1], w[:, -1]",
            "bias is punished",
        ),
        "bias is the mean": (LINEAR.replace("mean - weight @ middle", "mean"), "only the mean of x"),
        "no lambda": (LINEAR.replace(" + lam * torch.eye(a.shape[1])", ""), "plain least squares"),
        "lambda times N": (LINEAR.replace("lam *", "len(x) * lam *"), "divided by N"),
        "mean over the pictures": (
            LINEAR.replace("a.T @ a + lam", "a.T @ a / len(x) + lam").replace(
                "a.T @ (x - mean)", "a.T @ (x - mean) / len(x)"
            ),
            "divided by N",
        ),
        "rows of lambda": (
            "def linear_inverse(codes, x, lam):\n    k = codes.shape[1]\n"
            "    a = torch.cat([codes - codes.mean(0), lam * torch.eye(k)])\n"
            "    y = torch.cat([x - x.mean(0), torch.zeros(k, x.shape[1])])\n"
            "    w = torch.linalg.lstsq(a, y).solution.T\n    return w, x.mean(0) - w @ codes.mean(0)",
            "rows of √λ",
        ),
        "on its side": (LINEAR.replace("return weight,", "return weight.T,"), "on its side"),
        "standardised": (
            LINEAR.replace(
                "    middle, mean", "    codes = (codes - codes.mean(0)) / codes.std(0)\n    middle, mean", 1
            ),
            "as they are",
        ),
        "bias first": (
            LINEAR.replace("weight, mean - weight @ middle", "mean - weight @ middle, weight"),
            "bias first",
        ),
        "pictures": (LINEAR.replace("return weight, mean -", "return codes @ weight.T + mean -"), "decoded pictures"),
        "weight only": (LINEAR.replace("return weight, mean - weight @ middle", "return weight"), "only the weight"),
        "in place": (LINEAR.replace("    a = codes - middle", "    a = codes.sub_(middle)"), "a copy"),
    },
    "my_inverse": {
        "empty": ("my_inverse = ...", "fill it in"),
        "by heart": ("my_inverse = linear_inverse(codes, flat, 1e-4)", "larger λ"),
        "far too much": ("my_inverse = linear_inverse(codes, flat, 1e4)", "smaller λ"),
        "the mean": ("my_inverse = torch.zeros(768, 96), flat.mean(0)", "one picture for every code"),
        "no bias": ("my_inverse = linear_inverse(codes, flat, 3.0)[0], torch.zeros(768)", "bias is wrong"),
        "on its side": (
            "weight, bias = linear_inverse(codes, flat, 3.0)\nmy_inverse = weight.T.contiguous(), bias",
            "which side",
        ),
        "weight only": ("my_inverse = linear_inverse(codes, flat, 3.0)[0]", "weight and bias"),
        "mixed up": ("my_inverse = linear_inverse(codes, flat.flip(0), 3.0)", "do not belong together|larger λ"),
        "another tap": (
            "my_inverse = linear_inverse(handouts.lessons(VARIANT + 1)[0], flat, 3.0)",
            "do not belong together|larger λ|bias is wrong",
        ),
        "not a number": ("my_inverse = torch.full((768, 96), float('nan')), flat.mean(0)", "singular"),
        "a list of numbers": ("my_inverse = [1.0, 2.0]", "linear_inverse"),
        "a network": ("my_inverse = torch.nn.Linear(96, 768)", "the answer itself"),
    },
    "decibels": {
        "as it was": (
            DECIBELS.replace("    decoder.eval()\n", "")
            .replace("z = (codes - mean) / std", OWN)
            .replace("error.flatten(1).mean(1).log10()", TOGETHER),
            "all three",
        ),
        "training mode": (DECIBELS.replace("    decoder.eval()\n", ""), "training mode"),
        "own statistics": (DECIBELS.replace("z = (codes - mean) / std", OWN), "those of the training"),
        "one for all": (DECIBELS.replace("error.flatten(1).mean(1).log10()", TOGETHER), "one number for the whole"),
        "training mode and one for all": (
            DECIBELS.replace("    decoder.eval()\n", "").replace("error.flatten(1).mean(1).log10()", TOGETHER),
            "training mode.*one number",
        ),
        "own statistics in training mode": (
            DECIBELS.replace("    decoder.eval()\n", "").replace("z = (codes - mean) / std", OWN),
            "training mode.*those of the training",
        ),
        "not normalised": (DECIBELS.replace("(codes - mean) / std", "codes"), "not normalised"),
        "twenty": (DECIBELS.replace("-10 *", "-20 *"), "squared error itself"),
        "sign": (DECIBELS.replace("-10 *", "10 *"), "sign is wrong"),
        "one number": (DECIBELS.replace("log10()", "log10().mean()"), "one number for each"),
        "natural logarithm": (DECIBELS.replace("log10()", "log()"), "base 10"),
        "error": (DECIBELS.replace("-10 * ", "").replace(".log10()", ""), "squared error itself"),
    },
}

# Right, and written in another way than the solution.
EQUIVALENT = {
    "zeros_between": """
def zeros_between(x, stride):
    n, c, h, w = x.shape
    wide = torch.zeros(n, c, h, stride, w, stride)
    wide[:, :, :, 0, :, 0] = x
    return wide.reshape(n, c, h * stride, w * stride)[..., : 1 - stride, : 1 - stride]
""",
    "up_convolve": """
def up_convolve(x, weight, bias, stride, padding):
    return torch.nn.functional.conv_transpose2d(x, weight, bias, stride, padding)
""",
    "shapes_back": """
def shapes_back(code, layers):
    if not layers:
        return []
    (d, k, s, p), *rest = layers
    here = (d, code[1] * s - s + k - p - p, code[2] * s - s + k - p - p)
    return [here, *shapes_back(here, rest)]
""",
    "best_guess": """
def best_guess(x, code, codes):
    member = torch.nn.functional.one_hot(code, codes).float()
    return torch.einsum("nk,nchw->kchw", member, x) / member.sum(0)[:, None, None, None]
""",
    "linear_inverse": """
def linear_inverse(codes, x, lam):
    k = codes.shape[1]
    a = torch.cat([torch.cat([codes, torch.ones(len(codes), 1)], 1), torch.eye(k, k + 1) * lam**0.5])
    y = torch.cat([x, torch.zeros(k, x.shape[1])])
    both = torch.linalg.lstsq(a, y).solution.T
    return [both[:, :k], both[:, k]]
""",
    "my_inverse": """
def learned(steps=400):
    net = torch.nn.Linear(96, 768)
    net.weight.data.zero_()
    adam = torch.optim.Adam(net.parameters(), lr=0.02, weight_decay=0)
    middle = codes.mean(0)
    for _ in range(steps):
        loss = (net(codes - middle) - flat).pow(2).sum() + 3 * net.weight.pow(2).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net.weight.data, (net.bias - net.weight @ middle).data


my_inverse = learned()
""",
    "decibels": """
def decibels(decoder, mean, std, codes, x):
    decoder.train(False)
    peak = []
    for one, picture in zip(codes, x):
        error = torch.nn.functional.mse_loss(decoder(((one - mean) / std)[None])[0], picture)
        peak.append(10 * torch.log10(1 / error))
    return torch.stack(peak)
""",
}
