"""What students hand in for the exercise *why*: wrong in one way each, with the words that the hint must hold."""

SHORTEST = """
def shortest(weight, bias, x):
    f = ((weight * x).sum((1, 2, 3)) + bias)[:, None, None, None]
    return -f * weight / weight.square().sum(), -f * weight.sign() / weight.abs().sum()
"""
DISTANCE = """
def distance(weight, bias, x):
    w = weight.flatten(1)
    z = x.flatten(1) @ w.T + bias
    best, c = z.max(1, keepdim=True)
    planes = (best - z) / (w[c] - w).norm(dim=2)
    return planes.scatter(1, c, torch.inf).amin(1)
"""
PROMISED = """
def promised(model, x, y, eps):
    x = x.clone().requires_grad_()
    z = model(x).gather(1, y[:, None])[:, 0]
    g = torch.autograd.grad(z.sum(), x)[0]
    moved = x - eps * g.sign()
    return z - eps * g.abs().sum((1, 2, 3)), model(moved).gather(1, y[:, None])[:, 0]
"""
TRANSFER = """
def transfer(clean, attacked, y):
    right = clean == y
    both = right[:, None] & right[None]
    return ((attacked != y) & both).sum(2) / both.sum(2)
"""
BOTH = "right[:, None] & right[None]"
ROBUST = """
def robust_accuracy(clean, attacked, y):
    stands = (clean == y) & (attacked == y).all(0)
    return stands.float().mean().item()
"""
SAVED = """
def success_when_saved(model, x, x_adv, y):
    right = model(x).argmax(1) == y
    saved = (x_adv.clamp(0, 1) * 255).round() / 255
    shares = [(model(each)[right].argmax(1) != y[right]).float().mean().item() for each in (x_adv, saved)]
    return shares[0], shares[1]
"""
SUCCESS = """
def success_rate(model, x, x_adv, y, eps):
    right = model(x).argmax(1) == y
    near = (x_adv - x).abs().amax((1, 2, 3)) <= eps + 1e-6
    real = (x_adv.amin((1, 2, 3)) >= 0) & (x_adv.amax((1, 2, 3)) <= 1)
    success = right & near & real & (model(x_adv).argmax(1) != y)
    return (success.sum() / right.sum()).item()
"""
WALK = """
x_adv = drawing
for _ in range({steps}):
    seen = x_adv.clone().requires_grad_()
    loss = cross_entropy({network}, torch.tensor([shown]))
    step = {alpha} * torch.autograd.grad(loss, seen)[0].sign()
    x_adv = {project}
"""

WRONG = {
    "shortest": {
        "away": (SHORTEST.replace("-f", "f"), "goes away from the boundary"),
        "L2 not squared": (SHORTEST.replace("weight.square().sum()", "weight.norm()"), "the square of the norm"),
        "largest weight": (SHORTEST.replace("weight.abs().sum()", "weight.abs().max()"), "the sum of .w"),
        "L∞ with L2": (SHORTEST.replace("weight.abs().sum()", "weight.norm()"), "not by the L2 norm"),
        "no sign": (SHORTEST.replace("weight.sign()", "weight"), "take the sign of w"),
        "size of f": (SHORTEST.replace("-f", "-f.abs()"), "its sign is lost"),
        "no bias": (SHORTEST.replace(" + bias", ""), "the bias is missing"),
        "batch mixed": (
            SHORTEST.replace(
                "(weight * x).sum((1, 2, 3)) + bias)[:, None, None, None]",
                "(weight * x).sum((1, 2, 3)) + bias).sum() + 0 * x",
            ),
            "each picture has its own",
        ),
        "the picture itself": (
            SHORTEST.replace("return -f", "return x - f").replace(", -f", ", x - f"),
            "return the change alone",
        ),
        "order": (
            SHORTEST.replace("return -f * weight / weight.square().sum(), -f", "return -f").replace(
                "weight.abs().sum()", "weight.abs().sum(), -f * weight / weight.square().sum()"
            ),
            "the order is",
        ),
        "in place": (SHORTEST.replace("(weight * x)", "(x.mul_(weight))"), "a copy"),
        "two lines": (SHORTEST.replace("return -f", "-f"), "`return` missing"),
    },
    "distance": {
        "runner-up": (
            DISTANCE.replace(
                "planes.scatter(1, c, torch.inf).amin(1)", "planes.gather(1, z.topk(2).indices[:, 1:])[:, 0]"
            ),
            "the runner-up",
        ),
        "own weight": (DISTANCE.replace("(w[c] - w).norm(dim=2)", "w.norm(dim=1)[c]"), "its normal is the difference"),
        "other weight": (DISTANCE.replace("(w[c] - w).norm(dim=2)", "w.norm(dim=1)"), "not by that of the other class"),
        "gap of logits": (DISTANCE.replace(" / (w[c] - w).norm(dim=2)", ""), "this is the gap"),
        "L1": (DISTANCE.replace(".norm(dim=2)", ".abs().sum(2)"), "the L1 norm belongs"),
        "squared": (DISTANCE.replace(".norm(dim=2)", ".square().sum(2)"), "not by its square"),
        "farthest": (DISTANCE.replace("torch.inf).amin", "-1).amax"), "the farthest"),
        "with itself": (
            DISTANCE.replace("planes.scatter(1, c, torch.inf).amin(1)", "planes.amin(1)"),
            "leave it out|smallest",
        ),
        "zero for itself": (DISTANCE.replace("torch.inf", "0"), "at distance 0"),
        "no bias": (DISTANCE.replace(" + bias", ""), "the bias is missing"),
        "negative": (DISTANCE.replace("return ", "return -"), "not negative"),
        "in place": (DISTANCE.replace("x.flatten(1) @", "x.mul_(2).flatten(1) @"), "a copy"),
    },
    "promised": {
        "uphill": (PROMISED.replace("x - eps", "x + eps").replace("z - eps", "z + eps"), "the step goes up"),
        "L2 norm": (PROMISED.replace("g.abs().sum((1, 2, 3))", "g.flatten(1).norm(dim=1)"), "the L1 norm"),
        "mean": (PROMISED.replace("g.abs().sum(", "g.abs().mean("), "not its mean"),
        "no absolute value": (PROMISED.replace("g.abs().sum(", "g.sum("), "and not g, in the sum"),
        "no sign": (PROMISED.replace("g.sign()", "g"), "the sign is missing"),
        "changes": (
            PROMISED.replace("return z - eps", "return -eps")
            .replace("y[:, None])[:, 0]\n", "y[:, None])[:, 0]\n", 1)
            .replace("model(moved).gather(1, y[:, None])[:, 0]", "model(moved).gather(1, y[:, None])[:, 0] - z"),
            "add the one before",
        ),
        "only one change": (PROMISED.replace("return z - eps", "return -eps"), "the change alone"),
        "clamped": (PROMISED.replace("x - eps * g.sign()", "(x - eps * g.sign()).clamp(0, 1)"), "nothing is clamped"),
        "mean over the batch": (PROMISED.replace("z.sum()", "z.mean()"), "N times too small"),
        "of the loss": (
            PROMISED.replace("z.sum()", "-cross_entropy(model(x), y, reduction='sum')"),
            "the slope of the logit is asked for",
        ),
        "measured twice": (
            PROMISED.replace(
                "return z - eps * g.abs().sum((1, 2, 3)),", "return model(moved).gather(1, y[:, None])[:, 0],"
            ),
            "kept without error",
        ),
        "order": (
            PROMISED.replace("return z", "a = z")
            .replace(", model(moved)", "\n    return model(moved)")
            .replace("y[:, None])[:, 0]\n", "y[:, None])[:, 0], a\n")
            .replace("z = model(x).gather(1, y[:, None])[:, 0], a", "z = model(x).gather(1, y[:, None])[:, 0]"),
            "the order is",
        ),
        "in place": (PROMISED.replace("x.clone()", "x.mul_(0.999).clone()"), "a copy"),
    },
    "transfer": {
        "all pictures": (TRANSFER.replace(BOTH, "torch.ones_like(attacked).bool()"), "got wrong from the start"),
        "only the target": (TRANSFER.replace(BOTH, "right[None].expand(len(right), -1, -1)"), "the source must"),
        "only the source": (TRANSFER.replace(BOTH, "right[:, None].expand(-1, len(right), -1)"), "the target must"),
        "one of the two": (TRANSFER.replace(" & right[None]", " | right[None]"), "one of the two is enough"),
        "all networks": (
            TRANSFER.replace(BOTH, "right.all(0).expand(len(right), len(right), -1)"),
            "all networks name rightly",
        ),
        "transposed": (TRANSFER.replace("both.sum(2)", "both.sum(2)).T").replace("return (", "return (("), "transpose"),
        "still right": (TRANSFER.replace("attacked != y", "attacked == y"), "misled is asked for"),
        "divided by all": (TRANSFER.replace("/ both.sum(2)", "/ len(y)"), "the denominator all of them"),
        "counts": (TRANSFER.replace("/ both.sum(2)", "* 1.0"), "these are counts"),
        "numerator of all": (
            TRANSFER.replace("((attacked != y) & both)", "(attacked != y)"),
            "the numerator all that are",
        ),
        "in place": (TRANSFER.replace("right = clean", "right = clean.sub_(1)"), "a copy"),
    },
    "robust_accuracy": {
        "mean over restarts": (
            "def robust_accuracy(clean, attacked, y):\n"
            "    return ((clean == y) * (attacked == y).float().mean(0)).mean().item()",
            "one success is enough",
        ),
        "any restart": (ROBUST.replace(".all(0)", ".any(0)"), "if one restart failed"),
        "worst restart": (
            "def robust_accuracy(clean, attacked, y):\n    return (attacked == y).float().mean(1).min().item()",
            "the worst of every picture",
        ),
        "worst restart of the right": (
            "def robust_accuracy(clean, attacked, y):\n    stood = attacked == y\n"
            "    worst = stood[stood.float().mean(1).argmin()]\n    return ((clean == y) & worst).float().mean().item()",
            "the worst of every picture",
        ),
        "wrong when clean": (ROBUST.replace("(clean == y) & ", ""), "right by luck"),
        "among the right": (
            ROBUST.replace("stands.float().mean()", "(stands.sum() / (clean == y).sum())"),
            "all pictures, not",
        ),
        "first restart": (ROBUST.replace("(attacked == y).all(0)", "(attacked[0] == y)"), "only the first"),
        "last restart": (ROBUST.replace("(attacked == y).all(0)", "(attacked[-1] == y)"), "only the last"),
        "the fallen": (ROBUST.replace("return ", "return 1 - "), "the share that fell"),
        "clean accuracy": (ROBUST.replace(" & (attacked == y).all(0)", ""), "the accuracy on clean"),
        "a count": (ROBUST.replace(".mean()", ".sum()"), "this is a count"),
        "percent": (ROBUST.replace("return ", "return 100 * "), "percent"),
        "in place": (ROBUST.replace("(clean == y)", "(clean.sub_(1) == y)"), "a copy"),
    },
    "success_when_saved": {
        "cut off": (SAVED.replace(".round()", ".floor()"), "cuts the fraction off"),
        "256": (SAVED.replace("255", "256"), "255 and not 256"),
        "grey levels": (SAVED.replace(".round() / 255", ".round()"), "divide by 255 again"),
        "not saved": (SAVED.replace("in (x_adv, saved)", "in (x_adv, x_adv)"), "those before saving"),
        "saved twice": (SAVED.replace("in (x_adv, saved)", "in (saved, saved)"), "those after saving"),
        "wrong from the start": (SAVED.replace("[right]", ""), "are no successes"),
        "divided by all": (
            SAVED.replace("(model(each)[right].argmax(1) != y[right])", "((model(each).argmax(1) != y) & right)"),
            "not by all",
        ),
        "black and white": (
            SAVED.replace("(x_adv.clamp(0, 1) * 255).round() / 255", "x_adv.clamp(0, 1).round()"),
            "multiply by 255 first",
        ),
        "clean saved": (SAVED.replace("(x_adv.clamp", "(x.clamp"), "the clean pictures were saved"),
        "still right": (SAVED.replace("!= y[right]", "== y[right]"), "still names rightly"),
        "order": (SAVED.replace("shares[0], shares[1]", "shares[1], shares[0]"), "the order is"),
        "percent": (SAVED.replace("shares[0], shares[1]", "100 * shares[0], 100 * shares[1]"), "percent"),
        "in place": (SAVED.replace("x_adv.clamp(", "x_adv.clamp_("), "a copy"),
    },
    "x_adv": {
        "empty": ("x_adv = ...", "fill it in"),
        "FGSM against the wall": (
            WALK.format(steps=1, network="stronghold(seen)", alpha="12 / 255", project="(x_adv + step).clamp(0, 1)"),
            "the gradient is zero",
        ),
        "PGD, only the rounding left out": (
            WALK.format(
                steps=10,
                network="stronghold[2](stronghold[1](seen))",
                alpha="2 / 255",
                project="(drawing + (x_adv + step - drawing).clamp(-12 / 255, 12 / 255)).clamp(0, 1)",
            ),
            "the gradient is zero",
        ),
        "noise": ("x_adv = (drawing + 12 / 255 * torch.randn_like(drawing).sign()).clamp(0, 1)", "along the gradient"),
        "too far": ("x_adv = 1 - drawing", "project after every step"),
        "no projection": (
            WALK.format(steps=40, network="stronghold[1](seen)", alpha="2 / 255", project="(x_adv + step).clamp(0, 1)"),
            "project after every step",
        ),
        "outside": ("x_adv = drawing * 2 - 0.5", "clamp last"),
        "without the batch": ("x_adv = x_adv[0]", "keep the shape"),
        "not a number": ("x_adv = drawing * float('nan')", "clamp last"),
        "a network": ("x_adv = stronghold", "the answer itself"),
    },
    "success_rate": {
        "as it was": (
            "def success_rate(model, x, x_adv, y, eps):\n    return (model(x_adv).argmax(1) != y).float().mean().item()",
            "as it was",
        ),
        "wrong from the start, of all": (
            SUCCESS.replace("right & near", "near").replace("success.sum() / right.sum()", "success.float().mean()"),
            "no merit",
        ),
        "wrong from the start": (SUCCESS.replace("right & near", "near"), "stand in the numerator"),
        "divided by all": (SUCCESS.replace("success.sum() / right.sum()", "success.float().mean()"), "not by all"),
        "too far": (SUCCESS.replace("& near ", ""), "farther than ε"),
        "outside": (SUCCESS.replace("& real ", ""), "is no picture"),
        "rules in the denominator": (
            SUCCESS.replace("/ right.sum()", "/ (right & near & real).sum()"),
            "stay in the denominator",
        ),
        "no rules": (SUCCESS.replace("& near & real ", ""), "an attack that breaks the rules failed"),
        "the standing": (SUCCESS.replace("return (", "return 1 - ("), "the share that stands"),
        "percent": (SUCCESS.replace("return (", "return 100 * ("), "percent"),
        "a count": (SUCCESS.replace(" / right.sum()", ""), "this is a count"),
        "in place": (SUCCESS.replace("(x_adv - x).abs", "x_adv.clamp_(0, 1).sub(x).abs"), "a copy"),
    },
}

# Right, and written in another way than the solution.
EQUIVALENT = {
    "shortest": """
def shortest(weight, bias, x):
    w = weight.flatten()
    f = x.flatten(1) @ w + bias
    l2 = -torch.outer(f / w.norm(), w / w.norm())
    linf = -torch.outer(f / w.norm(p=1), torch.where(w > 0, 1.0, -1.0))
    return [each.reshape(x.shape) for each in (l2, linf)]
""",
    "distance": """
def distance(weight, bias, x):
    found = []
    for one in x:
        z = (weight * one).sum((1, 2, 3)) + bias
        c = int(z.argmax())
        found.append(min(float((z[c] - z[k]) / (weight[c] - weight[k]).norm()) for k in range(len(z)) if k != c))
    return torch.tensor(found)
""",
    "promised": """
def promised(model, x, y, eps):
    rows = torch.arange(len(x))
    x = x.detach().clone().requires_grad_()
    model(x)[rows, y].sum().backward()
    step = -eps * torch.sign(x.grad)
    with torch.no_grad():
        return model(x)[rows, y] + (x.grad * step).flatten(1).sum(1), model(x + step)[rows, y]
""",
    "transfer": """
def transfer(clean, attacked, y):
    k = len(clean)
    out = torch.zeros(k, k)
    for i in range(k):
        for j in range(k):
            both = (clean[i] == y) & (clean[j] == y)
            out[i, j] = (attacked[i, j][both] != y[both]).float().mean()
    return out
""",
    "robust_accuracy": """
def robust_accuracy(clean, attacked, y):
    wrong = (torch.cat([clean[None], attacked]) != y).sum(0)
    return (wrong == 0).sum() / len(y)
""",
    "success_when_saved": """
def success_when_saved(model, x, x_adv, y):
    right = model(x).argmax(1) == y
    x_adv, y = x_adv[right], y[right]
    saved = torch.floor(x_adv.clamp(0, 1) * 255 + 0.5).byte()
    return [1 - (model(each).argmax(1) == y).float().mean() for each in (x_adv, saved.float() / 255)]
""",
    "x_adv": "x_adv = (x_adv * 10**6).round() / 10**6",
    "success_rate": """
def success_rate(model, x, x_adv, y, eps):
    hits, counted = 0, 0
    for one, other, label in zip(x, x_adv, y):
        if model(one[None]).argmax() == label:
            counted += 1
            allowed = (other - one).abs().max() <= eps + 1e-6 and other.min() >= 0 and other.max() <= 1
            hits += bool(allowed and model(other[None]).argmax() != label)
    return hits / counted
""",
}
