"""What students hand in for the exercise *attacks*: wrong in one way each, with the words that the hint must hold."""

GRADIENT = """
def input_gradient(model, x, y):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(cross_entropy(model(x), y, reduction="sum"), x)[0]
"""
PROJECTION = """
def project(x, x0, eps):
    return (x0 + (x - x0).clamp(-eps, eps)).clamp(0, 1)
"""


WRONG = {
    "input_gradient": {
        "mean over the batch": (GRADIENT.replace(', reduction="sum"', ""), "N times too small"),
        "softmax before the loss": (GRADIENT.replace("model(x), y", "model(x).softmax(1), y"), "takes logits"),
        "gradient of the logit": (
            GRADIENT.replace('cross_entropy(model(x), y, reduction="sum")', "model(x).gather(1, y[:, None]).sum()"),
            "gradient of the logit",
        ),
        "sign returned": (GRADIENT.replace("x)[0]", "x)[0].sign()"), "not its sign"),
        "minus": (GRADIENT.replace("return torch", "return -torch"), "minus too much"),
        "in place": (GRADIENT.replace("x = x.clone().requires_grad_()", "x.mul_(0.999).requires_grad_()"), "a copy"),
        "a tuple": (GRADIENT.replace("x)[0]", "x)"), "take it out"),
        "no return": (GRADIENT.replace("return torch", "torch"), "`return` missing"),
        "of one picture": (
            GRADIENT.replace("x = x.clone()", "x = x[:1].clone()").replace("), y,", "), y[:1],"),
            "smallest",
        ),
        "hard-coded": ("def input_gradient(model, x, y):\n    return torch.zeros(3, 3, 8, 8)", "smallest|whatever"),
        "detached": (GRADIENT.replace("model(x)", "model(x.detach())"), "print the shapes|smallest"),
    },
    "fgsm": {
        "no clamp": (
            "def fgsm(model, x, y, eps):\n    return x + eps * input_gradient(model, x, y).sign()",
            "clamp it after",
        ),
        "downhill": (
            "def fgsm(model, x, y, eps):\n    return (x - eps * input_gradient(model, x, y).sign()).clamp(0, 1)",
            "goes downhill",
        ),
        "no sign": (
            "def fgsm(model, x, y, eps):\n    return (x + eps * input_gradient(model, x, y)).clamp(0, 1)",
            "sign is missing",
        ),
        "normalised units": (
            "def fgsm(model, x, y, eps):\n    return (x + eps / 0.25 * input_gradient(model, x, y).sign()).clamp(0, 1)",
            "standard deviation",
        ),
        "L2 step": (
            "def fgsm(model, x, y, eps):\n    g = input_gradient(model, x, y)\n"
            "    return (x + eps * g / g.flatten(1).norm(dim=1)[:, None, None, None]).clamp(0, 1)",
            "step of L2",
        ),
        "only the change": (
            "def fgsm(model, x, y, eps):\n    return eps * input_gradient(model, x, y).sign()",
            "add it to the picture",
        ),
        "in place": (
            "def fgsm(model, x, y, eps):\n    x += eps * input_gradient(model, x, y).sign()\n    return x.clamp(0, 1)",
            "a copy",
        ),
        "returns the input": ("def fgsm(model, x, y, eps):\n    return x", "as it came in"),
        "hard-coded": ("def fgsm(model, x, y, eps):\n    return torch.full((2, 3, 8, 8), 0.5)", "smallest|whatever"),
        "two arguments": ("def fgsm(x, y):\n    return x", "order and number"),
        "numpy in a list": ("def fgsm(model, x, y, eps):\n    return [x]", "take it out"),
    },
    "project": {
        "no box": ("def project(x, x0, eps):\n    return x0 + (x - x0).clamp(-eps, eps)", "the box"),
        "no ball": ("def project(x, x0, eps):\n    return x.clamp(0, 1)", "the ball round x0 is missing"),
        "clamps the picture": ("def project(x, x0, eps):\n    return x.clamp(-eps, eps)", "clamp the change"),
        "only the change": ("def project(x, x0, eps):\n    return (x - x0).clamp(-eps, eps)", "add x0 again"),
        "sign": ("def project(x, x0, eps):\n    return (x0 + eps * (x - x0).sign()).clamp(0, 1)", "no projection"),
        "shortened": (
            "def project(x, x0, eps):\n    d = x - x0\n"
            "    return (x0 + d * eps / d.abs().amax((1, 2, 3), keepdim=True)).clamp(0, 1)",
            "its own limit",
        ),
        "in place": (
            "def project(x, x0, eps):\n    x.sub_(x0).clamp_(-eps, eps).add_(x0)\n    return x.clamp(0, 1)",
            "a copy",
        ),
        "box first": ("def project(x, x0, eps):\n    return x0", "as it came in"),
    },
    "pgd": {
        "no projection": (
            "def pgd(model, x0, y, eps, alpha, steps):\n    x = x0\n    for _ in range(steps):\n"
            "        x = (x + alpha * input_gradient(model, x, y).sign()).clamp(0, 1)\n    return x",
            "wanders further",
        ),
        "no box": (
            "def pgd(model, x0, y, eps, alpha, steps):\n    x = x0\n    for _ in range(steps):\n"
            "        x = x + alpha * input_gradient(model, x, y).sign()\n        x = x0 + (x - x0).clamp(-eps, eps)\n"
            "    return x",
            "the box",
        ),
        "downhill": (
            "def pgd(model, x0, y, eps, alpha, steps):\n    x = x0\n    for _ in range(steps):\n"
            "        x = project(x - alpha * input_gradient(model, x, y).sign(), x0, eps)\n    return x",
            "downhill",
        ),
        "gradient of the first": (
            "def pgd(model, x0, y, eps, alpha, steps):\n    x, g = x0, input_gradient(model, x0, y).sign()\n"
            "    for _ in range(steps):\n        x = project(x + alpha * g, x0, eps)\n    return x",
            "anew in every step",
        ),
        "one step too few": (
            "def pgd(model, x0, y, eps, alpha, steps):\n    x = x0\n    for _ in range(1, steps):\n"
            "        x = project(x + alpha * input_gradient(model, x, y).sign(), x0, eps)\n    return x",
            "one step too few",
        ),
        "no loop": (
            "def pgd(model, x0, y, eps, alpha, steps):\n"
            "    return project(x0 + eps * input_gradient(model, x0, y).sign(), x0, eps)",
            "anew in every step",
        ),
        "steps of eps": (
            "def pgd(model, x0, y, eps, alpha, steps):\n    x = x0\n    for _ in range(steps):\n"
            "        x = project(x + eps * input_gradient(model, x, y).sign(), x0, eps)\n    return x",
            "length ε",
        ),
        "random start": (
            "def pgd(model, x0, y, eps, alpha, steps):\n    x = project(x0 + eps * (2 * torch.rand_like(x0) - 1), x0, eps)\n"
            "    for _ in range(steps):\n        x = project(x + alpha * input_gradient(model, x, y).sign(), x0, eps)\n"
            "    return x",
            "smallest example",
        ),
        "returns in the loop": (
            "def pgd(model, x0, y, eps, alpha, steps):\n    x = x0\n    for _ in range(steps):\n"
            "        x = project(x + alpha * input_gradient(model, x, y).sign(), x0, eps)\n        return x",
            "after the first step",
        ),
    },
    "towards": {
        "flees": (
            "def towards(model, x0, target, eps, alpha, steps):\n    return pgd(model, x0, target, eps, alpha, steps)",
            "must go down",
        ),
        "no projection": (
            "def towards(model, x0, target, eps, alpha, steps):\n    x = x0\n    for _ in range(steps):\n"
            "        x = (x - alpha * input_gradient(model, x, target).sign()).clamp(0, 1)\n    return x",
            "the projection is missing",
        ),
        "no box": (
            "def towards(model, x0, target, eps, alpha, steps):\n    x = x0\n    for _ in range(steps):\n"
            "        x = x - alpha * input_gradient(model, x, target).sign()\n        x = x0 + (x - x0).clamp(-eps, eps)\n"
            "    return x",
            "the box",
        ),
        "no loop": (
            "def towards(model, x0, target, eps, alpha, steps):\n"
            "    return project(x0 - eps * input_gradient(model, x0, target).sign(), x0, eps)",
            "anew in every step",
        ),
        "gradient of the first": (
            "def towards(model, x0, target, eps, alpha, steps):\n    x, g = x0, input_gradient(model, x0, target).sign()\n"
            "    for _ in range(steps):\n        x = project(x - alpha * g, x0, eps)\n    return x",
            "anew in every step",
        ),
    },
    "x_adv": {
        "empty": ("x_adv = ...", "fill it in"),
        "the drawing itself": ("x_adv = drawing", "more steps"),
        "too far": ("x_adv = (drawing + 0.2 * torch.randn(1, 3, 64, 64)).clamp(0, 1)", "project after every step"),
        "outside": (
            "x_adv = drawing + 8 / 255 * torch.ones(1, 3, 64, 64) + (drawing > 2)",
            "clamp last|more steps|project",
        ),
        "without the batch": ("x_adv = drawing[0]", "keep the shape"),
        "not a number": ("x_adv = drawing * float('nan')", "clamp last"),
        "away and not towards": (
            "x_adv = pgd(network, drawing, torch.tensor([shown]), 8 / 255, 1 / 255, 10)",
            "class wanted",
        ),
        "a network": ("x_adv = network", "the answer itself"),
    },
    "fgsm_in_pixels": {
        "as it was": (
            "def fgsm_in_pixels(model, x, y, eps, mean, std):\n    z = (x - mean) / std\n"
            "    return (z + eps * input_gradient(model, z, y).sign()) * std + mean",
            "std times as long",
        ),
        "only clamped": (
            "def fgsm_in_pixels(model, x, y, eps, mean, std):\n    z = (x - mean) / std\n"
            "    return ((z + eps * input_gradient(model, z, y).sign()) * std + mean).clamp(0, 1)",
            "though clamped",
        ),
        "not clamped": (
            "def fgsm_in_pixels(model, x, y, eps, mean, std):\n    z = (x - mean) / std\n"
            "    return x + eps * input_gradient(model, z, y).sign()",
            "clamp it after",
        ),
        "not normalised": (
            "def fgsm_in_pixels(model, x, y, eps, mean, std):\n"
            "    return (x + eps * input_gradient(model, x, y).sign()).clamp(0, 1)",
            "not normalised",
        ),
        "returns a normalised one": (
            "def fgsm_in_pixels(model, x, y, eps, mean, std):\n    z = (x - mean) / std\n"
            "    return ((x + eps * input_gradient(model, z, y).sign()).clamp(0, 1) - mean) / std",
            "must lie in",
        ),
        "divides by std": (
            "def fgsm_in_pixels(model, x, y, eps, mean, std):\n    z = (x - mean) / std\n"
            "    return (x + eps / std * input_gradient(model, z, y).sign()).clamp(0, 1)",
            "divided by std",
        ),
    },
}

# Right, and written in another way than the solution.
EQUIVALENT = {
    "input_gradient": """
def input_gradient(model, x, y):
    pictures = x.detach().clone()
    pictures.requires_grad = True
    logits = model(pictures)
    loss = (logits.logsumexp(1) - logits[torch.arange(len(y)), y]).sum()
    loss.backward()
    return pictures.grad
""",
    "fgsm": """
def fgsm(model, x, y, eps):
    up = torch.minimum(x + eps, torch.ones_like(x))
    down = torch.maximum(x - eps, torch.zeros_like(x))
    g = input_gradient(model, x, y)
    return torch.where(g > 0, up, torch.where(g < 0, down, x))
""",
    "project": """
def project(x, x0, eps):
    return torch.minimum(torch.maximum(x, (x0 - eps).clamp(min=0)), (x0 + eps).clamp(max=1))
""",
    "pgd": """
def pgd(model, x0, y, eps, alpha, steps):
    change = torch.zeros_like(x0)
    while steps:
        change = change + alpha * torch.sign(input_gradient(model, x0 + change, y))
        change = project(x0 + change, x0, eps) - x0
        steps -= 1
    return x0 + change
""",
    "towards": """
def towards(model, x0, target, eps, alpha, steps):
    x = x0.clone()
    for step in range(steps):
        x = x + alpha * -input_gradient(model, x, target).sign()
        x = torch.max(torch.min(x, x0 + eps), x0 - eps).clamp(0, 1)
    return x
""",
    "fgsm_in_pixels": """
def fgsm_in_pixels(model, x, y, eps, mean, std):
    z = (x - mean) / std
    g = input_gradient(model, z, y) / std
    return torch.clip(x + eps * torch.sign(g), 0, 1)
""",
}
