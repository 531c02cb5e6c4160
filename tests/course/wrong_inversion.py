"""What students hand in for the exercise *inversion*: wrong in one way each, with the words that the hint must hold."""

ERROR = """
def feature_error(code, code0):
    return (code - code0).flatten(1).pow(2).sum(dim=1) / code0.flatten(1).pow(2).sum(dim=1)
"""
NORM = """
def alpha_norm(x, alpha):
    return ((x - 0.5) ** 2).sum(dim=1).pow(alpha / 2).sum(dim=(1, 2))
"""
SMOOTH = """
def total_variation(x, beta):
    here = x[..., :-1, :-1]
    down = x[..., 1:, :-1] - here
    right = x[..., :-1, 1:] - here
    return (down**2 + right**2).pow(beta / 2).sum(dim=(1, 2, 3))
"""
OBJECTIVE = """
def objective(model, x, code0, weights):
    a, v = weights
    return feature_error(model(x), code0) + a * alpha_norm(x, 6) + v * total_variation(x, 2)
"""
DOWNHILL = """
def downhill(model, x, code0, weights, rate):
    x = x.clone().requires_grad_()
    loss = objective(model, x, code0, weights).sum()
    gradient = torch.autograd.grad(loss, x)[0]
    return (x - rate * gradient).clamp(0, 1)
"""
INVERT = """
def invert(model, x, code0, weights, rate, momentum, steps):
    v = torch.zeros_like(x)
    for _ in range(steps):
        x = x.detach().clone().requires_grad_()
        gradient = torch.autograd.grad(objective(model, x, code0, weights).sum(), x)[0]
        v = momentum * v - rate * gradient
        x = (x + v).clamp(0, 1)
    return x
"""
PSNR = """
def psnr(x, x0):
    return -10 * (x - x0).pow(2).mean(dim=(1, 2, 3)).log10()
"""
START = """
noise = 0.5 + 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)).clamp(-3, 3)
"""


FOUND = """
def total_variation(x, beta):
    here = x[:, :-1, :-1]
    return ((x[:, 1:, :-1] - here) ** 2 + (x[:, :-1, 1:] - here) ** 2).pow(beta / 2).sum()
"""


def instead(source, old, new):
    """Return a right answer with one thing changed."""
    assert old in source, old
    return source.replace(old, new)


WRONG = {
    "feature_error": {
        "root": (
            "def feature_error(code, code0):\n    return (code - code0).flatten(1).norm(dim=1) / "
            "code0.flatten(1).norm(dim=1)",
            "the root",
        ),
        "not normalised": (instead(ERROR, " / code0.flatten(1).pow(2).sum(dim=1)", ""), "it is not normalised"),
        "mean of squares": (
            instead(ERROR, "sum(dim=1) / code0.flatten(1).pow(2).sum(dim=1)", "mean(dim=1)"),
            "depends on the layer",
        ),
        "by the code found": (instead(ERROR, "/ code0", "/ code"), "does not move"),
        "not squared below": (
            instead(ERROR, "/ code0.flatten(1).pow(2).sum(dim=1)", "/ code0.flatten(1).norm(dim=1)"),
            "below",
        ),
        "one long code": (
            "def feature_error(code, code0):\n    return (code - code0).pow(2).sum() / code0.pow(2).sum()",
            "one long code",
        ),
        "mean over the batch": (
            instead(ERROR, "return (code", "return torch.mean((code").rstrip() + ")",
            "mean over the batch",
        ),
        "filter by filter": (
            instead(ERROR, "flatten(1)", "flatten(2)").replace("dim=1", "dim=2"),
            "sum over all of a picture's code",
        ),
        "in place": (instead(ERROR, "(code - code0)", "code.sub_(code0)"), "a copy"),
        "no return": (instead(ERROR, "return ", ""), "`return` missing"),
        "summed over the batch": (
            "def feature_error(code, code0):\n"
            "    return ((code - code0) ** 2 / code0.flatten(1).pow(2).sum(1).view(-1, 1, 1, 1)).sum(0)",
            "keep the first axis",
        ),
        "the code itself": ("def feature_error(code, code0):\n    return code0", "as it came in"),
        "hard-coded": ("def feature_error(code, code0):\n    return torch.tensor([0.5, 0.1])", "smallest|whatever"),
    },
    "alpha_norm": {
        "each colour by itself": (
            "def alpha_norm(x, alpha):\n    return (x - 0.5).abs().pow(alpha).sum(dim=(1, 2, 3))",
            "each colour was taken by itself",
        ),
        "from black": (instead(NORM, "x - 0.5", "x"), "subtract 1/2"),
        "alpha and not alpha / 2": (instead(NORM, "alpha / 2", "alpha"), "not α"),
        "root at the end": (instead(NORM, "dim=(1, 2))", "dim=(1, 2)).pow(1 / alpha)"), "no root at the end"),
        "mean": (instead(NORM, ".sum(dim=(1, 2))", ".mean(dim=(1, 2))"), "not the mean"),
        "mean of the colours": (instead(NORM, "sum(dim=1)", "mean(dim=1)"), "colours were averaged"),
        "colours added first": (
            "def alpha_norm(x, alpha):\n    return (x - 0.5).sum(dim=1).pow(alpha).sum(dim=(1, 2))",
            "opposite ones cancel",
        ),
        "one number": (instead(NORM, ".sum(dim=(1, 2))", ".sum()"), "one number for the whole batch"),
        "mean over the batch": (instead(NORM, "dim=(1, 2))", "dim=(1, 2)).mean()"), "mean over the batch"),
        "in place": (
            "def alpha_norm(x, alpha):\n    x -= 0.5\n    return (x**2).sum(1).pow(alpha / 2).sum((1, 2))",
            "a copy",
        ),
        "no return": (instead(NORM, "return ", ""), "`return` missing"),
    },
    "total_variation": {
        "as it was": (
            instead(SMOOTH, "...,", ":,").replace(".sum(dim=(1, 2, 3))", ".sum()"),
            "still over the colours, and one number",
        ),
        "as it was, for each picture": (instead(SMOOTH, "...,", ":,"), "put `...` in front"),
        "axis by axis": (
            instead(SMOOTH, "(down**2 + right**2).pow(beta / 2)", "(down.abs() ** beta + right.abs() ** beta)"),
            "added before the power",
        ),
        "axis by axis to the edge": (
            "def total_variation(x, beta):\n    down, right = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]\n"
            "    return down.abs().pow(beta).sum((1, 2, 3)) + right.abs().pow(beta).sum((1, 2, 3))",
            "added before the power",
        ),
        "beta and not beta / 2": (instead(SMOOTH, "beta / 2", "beta"), "the power is β/2"),
        "no beta": (instead(SMOOTH, ".pow(beta / 2)", ""), "β is missing"),
        "only down": (instead(SMOOTH, " + right**2", ""), "only steps downwards"),
        "only right": (instead(SMOOTH, "down**2 + ", ""), "only steps to the right"),
        "round the edge": (
            "def total_variation(x, beta):\n    down, right = x.roll(-1, 2) - x, x.roll(-1, 3) - x\n"
            "    return (down**2 + right**2).pow(beta / 2).sum((1, 2, 3))",
            "goes round the edge",
        ),
        "to the edge": (
            "def total_variation(x, beta):\n    down, right = torch.zeros_like(x), torch.zeros_like(x)\n"
            "    down[:, :, :-1], right[..., :-1] = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]\n"
            "    return (down**2 + right**2).pow(beta / 2).sum((1, 2, 3))",
            "left out of the sum",
        ),
        "colours together": (
            instead(SMOOTH, ".pow(beta / 2).sum(dim=(1, 2, 3))", ".sum(1).pow(beta / 2).sum(dim=(1, 2))"),
            "after the power",
        ),
        "one number": (instead(SMOOTH, "dim=(1, 2, 3)", ""), "one number for the whole batch"),
        "mean": (instead(SMOOTH, ".sum(dim", ".mean(dim"), "not the mean"),
        "in place": (SMOOTH.replace("    here", "    x *= 2\n    here", 1), "a copy"),
    },
    "objective": {
        "no total variation": (instead(OBJECTIVE, " + v * total_variation(x, 2)", ""), "total variation is missing"),
        "task 3 not mended": (FOUND + OBJECTIVE, "mend task 3"),
        "task 3 for each picture": (FOUND.replace(".sum()", ".sum((1, 2, 3))") + OBJECTIVE, "mend task 3"),
        "no alpha-norm": (instead(OBJECTIVE, " + a * alpha_norm(x, 6)", ""), "α-norm is missing"),
        "no priors": (
            "def objective(model, x, code0, weights):\n    return feature_error(model(x), code0)",
            "both priors are missing",
        ),
        "no error": (instead(OBJECTIVE, "feature_error(model(x), code0) + ", ""), "error of the code is missing"),
        "swapped weights": (instead(OBJECTIVE, "a, v = weights", "v, a = weights"), "weights are swapped"),
        "no weights": (instead(OBJECTIVE, "a, v = weights", "a, v = 1, 1"), "no weights"),
        "not normalised": (
            instead(OBJECTIVE, "feature_error(model(x), code0)", "(model(x) - code0).flatten(1).pow(2).sum(1)"),
            "not normalised",
        ),
        "subtracted": (instead(OBJECTIVE, "+ ", "- "), "they are added"),
        "alpha 2": (instead(OBJECTIVE, "x, 6", "x, 2"), "α is 6"),
        "beta 1": (instead(OBJECTIVE, "x, 2)", "x, 1)"), "β is 2"),
        "one number": (OBJECTIVE.replace("return ", "return (").rstrip() + ").sum()", "one number for the whole batch"),
        "mean over the batch": (OBJECTIVE.replace("return ", "return (").rstrip() + ").mean()", "mean over the batch"),
        "in place": (instead(OBJECTIVE, "    a, v", "    x.clamp_(0.1, 0.9)\n    a, v"), "a copy"),
    },
    "downhill": {
        "no clamp": (instead(DOWNHILL, ".clamp(0, 1)", ""), "clamp it after"),
        "task 3 not mended": (FOUND + OBJECTIVE + DOWNHILL, "mend task 3"),
        "task 3 for each picture": (FOUND.replace(".sum()", ".sum((1, 2, 3))") + OBJECTIVE + DOWNHILL, "mend task 3"),
        "uphill": (instead(DOWNHILL, "x - rate", "x + rate"), "uphill"),
        "mean over the batch": (instead(DOWNHILL, "weights).sum()", "weights).mean()"), "N times too short"),
        "sign": (instead(DOWNHILL, "rate * gradient", "rate * gradient.sign()"), "not its sign"),
        "no rate": (instead(DOWNHILL, "rate * gradient", "gradient"), "rate is missing"),
        "length one": (
            instead(DOWNHILL, "rate * gradient", "rate * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)"),
            "as long as 1",
        ),
        "without priors": (
            instead(DOWNHILL, "objective(model, x, code0, weights)", "objective(model, x, code0, (0, 0))"),
            "no part in the step",
        ),
        "only the change": (instead(DOWNHILL, "(x - rate * gradient).clamp(0, 1)", "-rate * gradient"), "add it to"),
        "the gradient": (instead(DOWNHILL, "(x - rate * gradient).clamp(0, 1)", "gradient"), "make the step"),
        "in place": (
            "def downhill(model, x, code0, weights, rate):\n    x.requires_grad_()\n"
            "    objective(model, x, code0, weights).sum().backward()\n    with torch.no_grad():\n"
            "        x -= rate * x.grad\n    return x.clamp(0, 1)",
            "a copy",
        ),
        "not moved": (instead(DOWNHILL, "(x - rate * gradient).clamp(0, 1)", "x"), "as it came in"),
    },
    "invert": {
        "no momentum": (instead(INVERT, "momentum * v - rate", "-rate"), "momentum is missing"),
        "task 3 not mended": (FOUND + OBJECTIVE + INVERT, "mend task 3"),
        "no clamp": (instead(INVERT, ".clamp(0, 1)", ""), r"\[0, 1\] is missing"),
        "clamp at the end": (
            instead(INVERT, ".clamp(0, 1)", "").replace("return x", "return x.clamp(0, 1)"),
            "not once at the end",
        ),
        "gradient of the start": (
            "def invert(model, x, code0, weights, rate, momentum, steps):\n    v = torch.zeros_like(x)\n"
            "    x = x.clone().requires_grad_()\n"
            "    g = torch.autograd.grad(objective(model, x, code0, weights).sum(), x)[0]\n"
            "    for _ in range(steps):\n        v = momentum * v - rate * g\n"
            "        x = (x + v).clamp(0, 1)\n    return x",
            "anew in every step",
        ),
        "one too few": (instead(INVERT, "range(steps)", "range(1, steps)"), "one step too few"),
        "one too many": (instead(INVERT, "range(steps)", "range(steps + 1)"), "one step too many"),
        "returns in the loop": (instead(INVERT, "    return x", "        return x"), "inside the loop"),
        "uphill": (instead(INVERT, "- rate", "+ rate"), "uphill"),
        "faded gradient": (instead(INVERT, "- rate", "- (1 - momentum) * rate"), "comes in whole"),
        "never fades": (instead(INVERT, "momentum * v", "v"), "never fades"),
        "without priors": (
            instead(INVERT, "objective(model, x, code0, weights)", "objective(model, x, code0, (0, 0))"),
            "no part in the steps",
        ),
        "begins at grey": (
            instead(INVERT, "    for", "    x = torch.full_like(x, 0.5)\n    for"),
            "begins at grey",
        ),
    },
    "psnr": {
        "natural logarithm": (instead(PSNR, "log10", "log"), "natural logarithm"),
        "no minus": (instead(PSNR, "-10", "10"), "sign is turned round"),
        "of the root": (instead(PSNR, ".log10", ".sqrt().log10"), "no root"),
        "twenty": (instead(PSNR, "-10", "-20"), "20 belongs to the root"),
        "255": (PSNR.replace("return ", "return 20 * torch.tensor(255.0).log10() + "), "not 255"),
        "sum": (instead(PSNR, "mean", "sum"), "not their sum"),
        "no ten": (instead(PSNR, "-10 * ", "-"), "factor 10"),
        "whole batch": (instead(PSNR, "dim=(1, 2, 3)", ""), "taken as one picture"),
        "mean over the batch": (PSNR.rstrip() + ".mean()", "mean over the batch"),
        "no logarithm": ("def psnr(x, x0):\n    return (x - x0).pow(2).mean(dim=(1, 2, 3))", "without the logarithm"),
        "in place": (instead(PSNR, "(x - x0)", "x.sub_(x0)"), "a copy"),
    },
    "x_inv": {
        "empty": ("x_inv = ...", "fill it in"),
        "the start": (START + "x_inv = noise", "nothing was found yet"),
        "the drawing": ("x_inv = handouts.lost(VARIANT)", "nothing but its code"),
        "another drawing": ("x_inv = handouts.quarry(VARIANT)[0]", "nothing was found yet"),
        "too few steps": (START + "x_inv = invert(phi, noise, code0, (1e-5, 2e-6), 30, 0.9, 12)", "more steps"),
        "too much prior": (
            START + "x_inv = invert(phi, noise, code0, (1e-5, 0.003), 5, 0.9, 30)",
            "not too much of the priors",
        ),
        "too long steps": (START + "x_inv = invert(phi, noise, code0, (0, 0), 1000, 0.9, 10)", "smaller rate"),
        "mirrored": (
            "x_inv = (handouts.lost(VARIANT) + 0.01 * torch.randn(1, 3, 64, 64)).clamp(0, 1).flip(3)",
            "mirrored",
        ),
        "colours turned round": (
            "x_inv = (handouts.lost(VARIANT) + 0.01 * torch.randn(1, 3, 64, 64)).clamp(0, 1).flip(1)",
            "wrong order",
        ),
        "not clamped": (
            "x_inv = handouts.lost(VARIANT) + 0.01 + (handouts.lost(VARIANT) > 0.5)",
            "clamp after every step",
        ),
        "not a number": ("x_inv = torch.full((1, 3, 64, 64), float('nan'))", "smaller rate"),
        "without the batch": ("x_inv = handouts.lost(VARIANT)[0]", "keep the shape"),
        "the code": ("x_inv = code0", "keep the shape"),
    },
}

# Right, and written in another way than the solution.
EQUIVALENT = {
    "feature_error": """
def feature_error(code, code0):
    return torch.stack([(a - b).norm() ** 2 / b.norm() ** 2 for a, b in zip(code, code0)])
""",
    "alpha_norm": """
def alpha_norm(x, alpha):
    return torch.linalg.vector_norm(x - 0.5, dim=1).pow(alpha).flatten(1).sum(1)
""",
    "total_variation": """
def total_variation(x, beta):
    down, right = x.diff(dim=2)[:, :, :, :-1], x.diff(dim=3)[:, :, :-1]
    return torch.stack([down, right]).norm(dim=0).pow(beta).sum((1, 2, 3))
""",
    "objective": """
def objective(model, x, code0, weights):
    code, middle = model(x), x - 0.5
    error = (code - code0).square().sum((1, 2, 3)) / code0.square().sum((1, 2, 3))
    smooth = x[:, :, 1:, :-1].sub(x[:, :, :-1, :-1]).square() + x[:, :, :-1, 1:].sub(x[:, :, :-1, :-1]).square()
    return error + weights[0] * middle.square().sum(1).pow(3).sum((1, 2)) + weights[1] * smooth.flatten(1).sum(1)
""",
    "downhill": """
def downhill(model, x, code0, weights, rate):
    moved = []
    for picture, code in zip(x.split(1), code0.split(1)):
        picture = picture.clone().requires_grad_()
        objective(model, picture, code, weights).backward()
        moved.append(picture.data - rate * picture.grad)
    return torch.cat(moved).clip(0, 1)
""",
    "invert": """
def invert(model, x, code0, weights, rate, momentum, steps):
    picture = x.clone().requires_grad_()
    optimizer = torch.optim.SGD([picture], lr=rate, momentum=momentum)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(model, picture, code0, weights).sum().backward()
        optimizer.step()
        picture.data.clamp_(0, 1)
    return picture
""",
    "psnr": """
def psnr(x, x0):
    return 20 * torch.log10(1 / torch.sqrt(((x - x0) ** 2).flatten(1).mean(1)))
""",
    "x_inv": """
picture = torch.full((1, 3, 64, 64), 0.5).requires_grad_()
optimizer = torch.optim.Adam([picture], lr=0.03)
for _ in range(80):
    optimizer.zero_grad()
    feature_error(phi(picture), code0).sum().backward()
    optimizer.step()
    picture.data.clamp_(0, 1)
x_inv = picture.detach().numpy()
""",
}
