"""What students hand in for the exercise *privacy*: wrong in one way each, with the words that the hint must hold."""

DISTANCES = """
def distances(codes, gallery):
    euclid = (codes[:, None] - gallery[None]).square().sum(2).sqrt()
    cosine = 1 - normalize(codes, dim=1) @ normalize(gallery, dim=1).T
    return euclid, cosine
"""
IDENTIFIED = """
def identified(distances, own, k):
    right = distances.gather(1, own[:, None])
    before = (distances <= right).sum(1) - 1
    return (before < k).float().mean().item(), k / distances.shape[1]
"""
NOISY = """
def noisy(codes, strength, noise):
    return codes + strength * codes.std() * noise
"""
QUANTISED = """
def quantised(codes, strength):
    step = strength * codes.std()
    return (codes / step).round() * step
"""
LABELS = """
def labels(sent):
    return [int(gradient[-1].argmin()) for gradient in sent]
"""
LEAK = """
def leak(weight, bias, shape):
    k = bias.abs().argmax()
    return (weight[k] / bias[k]).reshape(1, *shape)
"""
TOP1 = """
def top1(codes, people, shot):
    distance = torch.cdist(codes, codes).masked_fill(shot[:, None] == shot, torch.inf)
    return (people[distance.argmin(1)] == people).float().mean().item()
"""
FOUND = "(before < k).float().mean().item()"
BANNED = "shot[:, None] == shot"

WRONG = {
    "distances": {
        "squares": (DISTANCES.replace(".sqrt()", ""), "the root is missing"),
        "mean over the values": (DISTANCES.replace(".square().sum(2)", ".square().mean(2)"), "do not take their mean"),
        "absolute differences": (DISTANCES.replace(".square().sum(2).sqrt()", ".abs().sum(2)"), "sums of absolute"),
        "similarity": (DISTANCES.replace("cosine = 1 - ", "cosine = "), "this is the similarity"),
        "not normalised": (
            DISTANCES.replace("normalize(codes, dim=1) @ normalize(gallery, dim=1).T", "codes @ gallery.T"),
            "as long as 1 first",
        ),
        "columns normalised": (DISTANCES.replace("dim=1", "dim=0"), "not the columns"),
        "all normalised": (
            DISTANCES.replace(
                "    euclid", "    codes, gallery = normalize(codes, dim=1), normalize(gallery, dim=1)\n    euclid"
            ),
            "only the cosine forgets",
        ),
        "transposed": (DISTANCES.replace("return euclid, cosine", "return euclid.T, cosine.T"), "transpose"),
        "order": (DISTANCES.replace("return euclid, cosine", "return cosine, euclid"), "the order is"),
        "in place": (DISTANCES.replace("(codes[:, None] -", "(codes.mul_(2)[:, None] -"), "a copy"),
        "no return": (DISTANCES.replace("return ", ""), "`return` missing"),
    },
    "identified": {
        "ties in favour": (
            IDENTIFIED.replace("(distances <= right).sum(1) - 1", "(distances < right).sum(1)"),
            "ties are counted in favour",
        ),
        "topk": (
            IDENTIFIED.replace(
                FOUND, "(distances.topk(k, largest=False).indices == own[:, None]).any(1).float().mean().item()"
            ),
            "by luck",
        ),
        "chance of one": (IDENTIFIED.replace("k / distances.shape[1]", "1 / distances.shape[1]"), "not 1 / P"),
        "chance over codes": (IDENTIFIED.replace("k / distances.shape[1]", "k / len(distances)"), "not over the codes"),
        "counts himself": (IDENTIFIED.replace(".sum(1) - 1", ".sum(1)"), "subtract 1"),
        "one too many": (IDENTIFIED.replace("before < k", "before <= k"), "one too many"),
        "farthest": (IDENTIFIED.replace("<= right", ">= right"), "these are the farthest"),
        "nearest only": (IDENTIFIED.replace("before < k", "before < 1"), "the nearest only"),
        "percent": (
            IDENTIFIED.replace("return ", "return 100 * ").replace(", k /", ", 100 * k /"),
            "percent",
        ),
        "a count": (IDENTIFIED.replace(".mean().item()", ".sum().item()"), "this is a count"),
        "in place": (IDENTIFIED.replace("right = distances", "right = distances.mul_(2)"), "a copy"),
        "without chance": (IDENTIFIED.replace(", k / distances.shape[1]", ""), "smallest example|whatever comes in"),
    },
    "noisy": {
        "absolute": (NOISY.replace(" * codes.std()", ""), "in deviations of the codes"),
        "variance": (NOISY.replace("std()", "var()"), "this is the variance"),
        "of each value": (NOISY.replace("std()", "std(0)"), "each value has a deviation"),
        "of each code": (NOISY.replace("std()", "std(1, keepdim=True)"), "each code has a deviation"),
        "multiplied": (NOISY.replace("codes.std()", "codes"), "multiplied with the code"),
        "noise alone": (NOISY.replace("codes + ", ""), "only the noise is returned"),
        "one row": (NOISY.replace("* noise", "* noise[0]"), "one row of noise"),
        "the mean": (NOISY.replace("std()", "mean()"), "as large as the mean"),
        "clamped": (
            NOISY.replace("codes + strength * codes.std() * noise", "(codes + strength * codes.std() * noise).relu()"),
            "nothing is clamped",
        ),
        "noise of its own": (NOISY.replace("* noise", "* torch.randn_like(codes)"), "smallest example"),
        "in place": (NOISY.replace("codes + ", "codes.add_(0) if codes.zero_() is None else codes + "), "a copy"),
        "nothing": ("def noisy(codes, strength, noise):\n    return codes", "as it came in"),
    },  # fmt: skip
    "quantised": {
        "down": (QUANTISED.replace("round()", "floor()"), "rounds down"),
        "up": (QUANTISED.replace("round()", "ceil()"), "rounds up"),
        "step numbers": (QUANTISED.replace(".round() * step", ".round()"), "multiply by the step again"),
        "absolute": (QUANTISED.replace(" * codes.std()", ""), "in deviations of the codes"),
        "of each code": (QUANTISED.replace("std()", "std(1, keepdim=True)"), "each code has a step"),
        "of each value": (QUANTISED.replace("std()", "std(0)"), "each value has a step"),
        "variance": (QUANTISED.replace("std()", "var()"), "this is the variance"),
        "the error": (QUANTISED.replace("return (", "return codes - ("), "rounding error is returned"),
        "in place": (QUANTISED.replace("(codes / step)", "codes.div_(step)"), "a copy"),
        "nothing": ("def quantised(codes, strength):\n    return codes", "as it came in"),
    },
    "labels": {
        "largest": (LABELS.replace("argmin", "argmax"), "the only negative entry"),
        "first bias": (LABELS.replace("[-1]", "[1]"), "the bias of the first layer"),
        "last weight": (LABELS.replace("[-1]", "[-2]"), "flattened weights"),
        "nearest to zero": (LABELS.replace(".argmin", ".abs().argmin"), "nearest to zero"),
        "a tensor": (
            LABELS.replace("return [", "return torch.tensor([").replace("sent]", "sent])"),
            "a list of whole numbers",
        ),
        "the value": (
            LABELS.replace("int(gradient[-1].argmin())", "float(gradient[-1].min())"),
            "not where it is smallest",
        ),
        "the first for all": (LABELS.replace("gradient[-1]", "sent[0][-1]"), "the label of the first one"),
        "added up": (LABELS.replace("gradient[-1]", "sum(one[-1] for one in sent)"), "read each alone"),
        "hard-coded": ("def labels(sent):\n    return [0, 1, 2, 3]", "whatever comes in"),
        "in place": (LABELS.replace("gradient[-1].argmin", "gradient[-1].neg_().argmax"), "a copy"),
    },
    "leak": {
        "unit 0": (LEAK.replace("bias.abs().argmax()", "0"), "0 / 0|smallest"),
        "not divided": (LEAK.replace("weight[k] / bias[k]", "weight[k]"), "the division is missing"),
        "multiplied": (LEAK.replace("weight[k] / bias[k]", "weight[k] * bias[k]"), "multiplied"),
        "upside down": (LEAK.replace("weight[k] / bias[k]", "bias[k] / weight[k]"), "upside down"),
        "without the sign": (LEAK.replace("/ bias[k]", "/ bias[k].abs()"), "with its sign"),
        "smallest unit": (LEAK.replace("argmax", "argmin"), "0 / 0|smallest"),
        "mean of all units": (
            "def leak(weight, bias, shape):\n    return (weight / bias[:, None]).mean(0).reshape(1, *shape)",
            "0 / 0|smallest",
        ),
        "stretched": (
            LEAK.replace(
                "return (weight[k] / bias[k])",
                "x = weight[k] / bias[k]\n    x = (x - x.min()) / (x.max() - x.min())\n    return x",
            ),
            "the brightness was stretched",
        ),
        "colour last": (
            LEAK.replace(".reshape(1, *shape)", ".reshape(*shape[1:], 3).permute(2, 0, 1)[None]"),
            "colour before rows",
        ),
        "columns first": (
            LEAK.replace(".reshape(1, *shape)", ".reshape(1, 3, shape[2], shape[1]).transpose(2, 3)"),
            "exchanged",
        ),
        "flat": (LEAK.replace(".reshape(1, *shape)", ""), "smallest example"),
        "in place": (LEAK.replace("weight[k] / bias[k]", "weight[k].div_(bias[k])"), "a copy"),
        "hard-coded": ("def leak(weight, bias, shape):\n    return torch.full((1, *shape), 0.5)", "whatever comes in"),
    },
    "culprit": {
        "empty": ("culprit = ...", "fill it in"),
        "the farthest": ("culprit = int(people[cosine[0].argmax()])", "farthest away"),
        "the place": ("culprit = int(cosine[0].argmin())", "people.place"),
        "another": (
            "culprit = int([p for p in people if p not in (culprit, people[cosine[0].argmax()])][0])",
            "compare codes, not pixels",
        ),
        "a stranger": ("culprit = next(k for k in range(20, 500) if k not in people.tolist())", "one of `people`"),
        "all of them": ("culprit = people", "one whole number"),
        "not a number": ("culprit = cosine.min().item()", "one whole number"),
    },
    "recovered": {
        "empty": ("recovered = ...", "fill it in"),
        "flat": ("recovered = recovered.flatten()", "reshape it"),
        "not divided": (
            "recovered = gradient[0][gradient[1].abs().argmax()].reshape(1, 3, 64, 64)",
            "of the same unit|its sign",
        ),
        "silent unit": (
            "recovered = (gradient[0] / gradient[1][:, None])[gradient[1].abs().argmin()].reshape(1, 3, 64, 64)",
            "a unit that is silent",
        ),
        "negative": ("recovered = -recovered", "with its sign"),
        "wrong order": ("recovered = recovered.reshape(64, 64, 3).permute(2, 0, 1)[None]", "move nothing"),
        "stretched": ("recovered = 0.8 * recovered", "stretch nothing"),
        "grey": ("recovered = torch.full((1, 3, 64, 64), 0.5)", "gradient of the first weight"),
        "small": ("recovered = recovered[..., ::2, ::2]", "12,288 numbers"),
        "a network": ("recovered = client", "the answer itself"),
    },
    "top1": {
        "as it was": (TOP1.replace(f".masked_fill({BANNED}, torch.inf)", ""), "still in the gallery"),
        "only itself": (TOP1.replace(BANNED, "torch.eye(len(codes)).bool()"), "its mirrored copy"),
        "the whole person": (TOP1.replace(BANNED, "people[:, None] == people"), "not the person"),
        "second nearest": (
            "def top1(codes, people, shot):\n    near = torch.cdist(codes, codes).topk(2, largest=False).indices[:, 1]\n"
            "    return (people[near] == people).float().mean().item()",
            "its mirrored copy",
        ),
        "percent": (TOP1.replace("return (", "return 100 * ("), "percent"),
        "failures": (TOP1.replace("] == people)", "] != people)"), "how often it fails"),
        "a count": (TOP1.replace("mean()", "sum()"), "this is a count"),
        "in place": (TOP1.replace("torch.cdist(codes,", "torch.cdist(codes.mul_(2),"), "a copy"),
        "hard-coded": ("def top1(codes, people, shot):\n    return 0.5", "whatever comes in"),
    },
}

# Right, and written in another way than the solution.
EQUIVALENT = {
    "distances": """
def distances(codes, gallery):
    cosine = torch.nn.functional.cosine_similarity(codes[:, None], gallery[None], dim=2)
    return [torch.cdist(codes, gallery), 1 - cosine]
""",
    "identified": """
def identified(distances, own, k):
    hits = 0
    for row, right in zip(distances.tolist(), own.tolist()):
        before = sum(d <= row[right] for p, d in enumerate(row) if p != right)
        hits += before < k
    return torch.tensor(hits / len(own)), k / len(distances[0])
""",
    "noisy": "def noisy(codes, strength, noise):\n    return torch.add(codes, noise, alpha=float(strength * codes.std()))",
    "quantised": """
def quantised(codes, strength):
    step = codes.flatten().std().item() * strength
    return step * torch.round(codes / step)
""",
    "labels": "def labels(sent):\n    return tuple(one[3].abs().argmax().item() for one in sent)",
    "leak": """
def leak(weight, bias, shape):
    return (bias @ weight / (bias @ bias)).view(1, *shape)
""",
    "culprit": "culprit = torch.tensor([culprit])",
    "recovered": "recovered = (gradient[1] @ gradient[0] / gradient[1].square().sum()).view(1, 3, 64, 64).clamp(0, 1).double()",
    "top1": """
def top1(codes, people, shot):
    hits = []
    for code, who, number in zip(codes, people, shot):
        others = shot != number
        nearest = (codes[others] - code).norm(dim=1).argmin()
        hits.append(float(people[others][nearest] == who))
    return sum(hits) / len(hits)
""",
}
