"""What students hand in for the exercise *features*: wrong in one way each, with the words that the hint must hold."""

ACTIVITY = """
def activity(maps):
    share = (maps > 0).float().mean((0, 2, 3))
    return share, (share == 0).nonzero().flatten().tolist()
"""
TOP = """
def top_patches(maps, k):
    values, flat = maps.flatten(2).max(2)
    which = values.argsort(0, descending=True)[:k].T
    flat = flat.T.gather(1, which)
    return which, torch.stack([flat // maps.shape[3], flat % maps.shape[3]], -1)
"""
CROP = """
def crop(x, places, start, step, size):
    large = pad(x, (size,) * 4, value=0.5)
    corners = (start + step * places + size).tolist()
    return torch.stack([one[:, i : i + size, j : j + size] for one, (i, j) in zip(large, corners)])
"""
IOU = """
def part_iou(maps, thresholds, masks):
    marks, truth = maps > thresholds[:, None, None], masks[:, None]
    return (marks & truth).sum((0, 2, 3)) / (marks | truth).sum((0, 2, 3))
"""
SELECTIVITY = """
def selectivity(codes, y, classes):
    means = torch.stack([codes[y == c].mean(0) for c in range(classes)])
    best = means.max(0).values
    rest = (means.sum(0) - best) / (classes - 1)
    return (best - rest) / (best + rest).clamp(min=1e-12)
"""
REPEATS = """
def repeats(weight):
    unit = normalize(weight.flatten(1), dim=1)
    alike = ((unit @ unit.T).abs() > 0.99).tril(-1)
    return torch.where(alike.any(1), alike.int().argmax(1), -1)
"""
DEFECTS = """
def defects(model, x):
    values = model(x).transpose(0, 1).flatten(1)
    dead = values.amax(1).argmin()
    copy = (repeats(model[0].weight) >= 0).int().argmax()
    stuck = (values.std(1) / values.mean(1)).nan_to_num(torch.inf).argmin()
    return [int(dead), int(copy), int(stuck)]
"""
MAXIMISE = """
def maximise(model, x, k, rate, steps):
    for _ in range(steps):
        x = x.detach().clone().requires_grad_()
        activation = model(x)[:, k].mean((1, 2)).sum()
        x = (x + rate * torch.autograd.grad(activation, x)[0]).clamp(0, 1)
    return x.detach()
"""
AS_IT_WAS = """
def maximise(model, x, k, rate, steps):
    x = x.clone().requires_grad_()
    optimiser = torch.optim.SGD([x], lr=rate)
    for _ in range(steps):
        activation = model(x)[:, k].mean((1, 2)).mean()
        activation.backward()
        optimiser.step()
    return x.detach()
"""
ONE_MISTAKE = AS_IT_WAS.replace("mean((1, 2)).mean()", "mean((1, 2)).sum()").replace(
    "optimiser.step()", "optimiser.step()\n        x.data.clamp_(0, 1)"
)

WRONG = {
    "activity": {
        "pictures counted": (
            ACTIVITY.replace("(maps > 0).float().mean((0, 2, 3))", "(maps.amax((2, 3)) > 0).float().mean(0)"),
            "count places",
        ),
        "at least zero": (ACTIVITY.replace("maps > 0", "maps >= 0"), "zero is not above zero"),
        "mean of the answers": (ACTIVITY.replace("(maps > 0).float()", "maps"), "how often is asked for"),
        "a count": (ACTIVITY.replace(".mean(", ".sum("), "divide by the number of places"),
        "per picture": (
            ACTIVITY.replace(".mean((0, 2, 3))", ".mean((2, 3))"),
            "each picture has its own row",
        ),
        "wrong axis": (
            ACTIVITY.replace("(0, 2, 3)", "(1, 2, 3)"),
            "over the filters",
        ),
        "silent share": (
            "def activity(maps):\n    share = (maps > 0).float().mean((0, 2, 3))\n"
            "    return 1 - share, (share == 0).nonzero().flatten().tolist()",
            "silent places",
        ),
        "percent": (ACTIVITY.replace("share = ", "share = 100 * "), "percent"),
        "rare is dead": (ACTIVITY.replace("share == 0", "share < 0.02"), "rare, and not dead"),
        "a mask": (ACTIVITY.replace("(share == 0).nonzero().flatten().tolist()", "share == 0"), "numbers in a list"),
        "the living": (ACTIVITY.replace("share == 0", "share > 0"), "that are alive"),
        "in place": (ACTIVITY.replace("share = (maps > 0)", "share = (maps.sub_(0.1) > 0)"), "a copy"),
        "only one of two": (ACTIVITY.replace("return share, (share", "return share  # (share"), "smallest example"),
    },
    "top_patches": {
        "one picture twice": (
            "def top_patches(maps, k):\n    flat = maps.transpose(0, 1).flatten(1).topk(k).indices\n"
            "    h, w = maps.shape[2:]\n"
            "    return flat // (h * w), torch.stack([flat % (h * w) // w, flat % w], -1)",
            "one picture comes twice",
        ),
        "weakest": (TOP.replace("descending=True", "descending=False"), "from large to small"),
        "column and row": (
            TOP.replace(
                "[flat // maps.shape[3], flat % maps.shape[3]]", "[flat % maps.shape[3], flat // maps.shape[3]]"
            ),
            "a place is .row, column",
        ),
        "height for width": (TOP.replace("maps.shape[3]", "maps.shape[2]"), "not by the height"),
        "by the mean": (TOP.replace("values.argsort", "maps.mean((2, 3)).argsort"), "its maximum counts"),
        "place of the first": (
            TOP.replace("flat.T.gather(1, which)", "flat.T.gather(1, which)[:, :1].expand(-1, k)"),
            "a place of its own",
        ),
        "not gathered": (TOP.replace("flat.T.gather(1, which)", "flat[:k].T"), "gather them"),
        "not transposed": (
            "def top_patches(maps, k):\n    values, flat = maps.flatten(2).max(2)\n"
            "    which = values.argsort(0, descending=True)[:k]\n    flat = flat.gather(0, which).T\n"
            "    return which, torch.stack([flat // maps.shape[3], flat % maps.shape[3]], -1)",
            "one row for each filter",
        ),
        "flat places": (
            TOP.replace("torch.stack([flat // maps.shape[3], flat % maps.shape[3]], -1)", "flat"),
            "row = flat // W",
        ),
        "in place": (TOP.replace("maps.flatten(2)", "maps.relu_().flatten(2)"), "a copy"),
    },
    "crop": {
        "black outside": (CROP.replace("value=0.5", "value=0"), "middle grey"),
        "pushed inside": (
            CROP.replace(
                "corners = (start + step * places + size).tolist()",
                "corners = (start + step * places)\n"
                "    most = torch.tensor(x.shape[2:]) - size\n"
                "    corners = (torch.minimum(corners.clamp(min=0), most) + size).tolist()",
            ),
            "pushed into the picture",
        ),
        "no start": (CROP.replace("start + step", "0 * start + step"), "`start` is missing"),
        "no step": (CROP.replace("step * places", "places"), "places are on the map"),
        "column and row": (CROP.replace("(i, j) in", "(j, i) in"), "exchanged"),
        "first place for all": (CROP.replace("corners)", "corners[:1] * len(x))"), "a place of its own"),
        "centre": (
            CROP.replace("(start + step * places + size)", "(start + step * places + size - size // 2)"),
            "not the middle",
        ),
        "first picture for all": (CROP.replace("zip(large,", "zip(large[:1].expand_as(large),"), "the first picture"),
        "in place": (CROP.replace("pad(x,", "pad(x.mul_(0.9),"), "a copy"),
        "a list": (CROP.replace("torch.stack([", "([").replace("corners)])", "corners)])[:1]"), "take it out|smallest"),
    },
    "part_iou": {
        "intersection twice": (
            IOU.replace("(marks | truth).sum((0, 2, 3))", "(marks.sum((0, 2, 3)) + truth.sum((0, 2, 3)))"),
            "counts the intersection twice",
        ),
        "mean over pictures": (
            "def part_iou(maps, thresholds, masks):\n"
            "    marks, truth = maps > thresholds[:, None, None], masks[:, None]\n"
            "    return ((marks & truth).sum((2, 3)) / (marks | truth).sum((2, 3)).clamp(min=1)).mean(0)",
            "sum both counts over all pictures",
        ),
        "only with the part": (
            IOU.replace(
                "    marks,", "    has = masks.flatten(1).any(1)\n    maps, masks = maps[has], masks[has]\n    marks,"
            ),
            "pictures without the part count",
        ),
        "recall": (
            IOU.replace("(marks | truth).sum", "truth.expand_as(marks).sum"),
            "marks everything would be perfect",
        ),
        "precision": (IOU.replace("(marks | truth).sum", "marks.sum"), "the rest of the part"),
        "Dice": (
            IOU.replace("return (marks", "return 2 * (marks").replace(
                "(marks | truth).sum((0, 2, 3))", "(marks.sum((0, 2, 3)) + truth.sum((0, 2, 3)))"
            ),
            "this is Dice",
        ),
        "one threshold": (IOU.replace("thresholds[:, None, None]", "thresholds.mean()"), "a threshold of its own"),
        "the first threshold": (IOU.replace("thresholds[:, None, None]", "thresholds[0]"), "the first one's"),
        "above zero": (IOU.replace("thresholds[:, None, None]", "0"), "not above zero"),
        "below": (IOU.replace("maps >", "maps <"), "these places are below"),
        "per picture": (IOU.replace("(0, 2, 3)", "(2, 3)"), "own row"),
        "in place": (IOU.replace("maps >", "maps.sub_(0.1) >"), "a copy"),
    },
    "selectivity": {
        "no floor": (SELECTIVITY.replace(".clamp(min=1e-12)", ""), "0 / 0|smallest"),
        "second best": (
            SELECTIVITY.replace(
                "rest = (means.sum(0) - best) / (classes - 1)", "rest = means.sort(0, descending=True).values[1]"
            ),
            "not the second best",
        ),
        "best in the rest": (
            SELECTIVITY.replace("(means.sum(0) - best) / (classes - 1)", "means.mean(0)"),
            "leave it out",
        ),
        "one heap": (
            SELECTIVITY.replace(
                "rest = (means.sum(0) - best) / (classes - 1)",
                "c = means.argmax(0)\n    rest = torch.stack([codes[y != c[k], k].mean() for k in range(codes.shape[1])])",
            ),
            "classes differ in size",
        ),
        "sums": (SELECTIVITY.replace(".mean(0) for", ".sum(0) for"), "these are sums"),
        "difference": (SELECTIVITY.replace(" / (best + rest).clamp(min=1e-12)", ""), "divide by best"),
        "which class": (
            SELECTIVITY.replace("best = means.max(0).values", "return means.argmax(0)"),
            "number of the best class",
        ),
        "largest answer": (SELECTIVITY.replace(".mean(0) for", ".amax(0) for"), "take the mean"),
        "worst class": (SELECTIVITY.replace("(means.sum(0) - best) / (classes - 1)", "means.amin(0)"), "not the worst"),
        "in place": (SELECTIVITY.replace("codes[y == c].mean", "codes.add_(0.1)[y == c].mean"), "a copy"),
    },
    "repeats": {
        "itself": (REPEATS.replace(".tril(-1)", "").replace("> 0.99)", "> 0.99)"), "every filter repeats itself"),
        "no absolute value": (REPEATS.replace(".abs()", ""), "a negative copy"),
        "no length": (
            REPEATS.replace("normalize(weight.flatten(1), dim=1)", "weight.flatten(1)"),
            "the length is missing",
        ),
        "distance": (
            REPEATS.replace("normalize(weight.flatten(1), dim=1)", "weight.flatten(1)").replace(
                "(unit @ unit.T).abs() > 0.99", "torch.cdist(unit, unit) < 0.01"
            ),
            "compare directions",
        ),
        "correlation": (
            REPEATS.replace(
                "(weight.flatten(1), dim=1)", "(weight.flatten(1) - weight.flatten(1).mean(1, keepdim=True), dim=1)"
            ),
            "this is the correlation",
        ),
        "the other way": (REPEATS.replace(".tril(-1)", ".triu(1)"), "the other way round"),
        "zero for none": (
            REPEATS.replace("torch.where(alike.any(1), alike.int().argmax(1), -1)", "alike.int().argmax(1)"),
            "get -1",
        ),
        "wrong axis": (REPEATS.replace("dim=1)", "dim=0)"), "every row"),
        "in place": (REPEATS.replace("weight.flatten(1)", "weight.mul_(2).flatten(1)"), "a copy"),
        "a mask": (REPEATS.replace("torch.where(alike.any(1), alike.int().argmax(1), -1)", "alike.any(1)"), "smallest"),
    },
    "defects": {
        "smallest weights": (
            DEFECTS.replace("dead = values.amax(1)", "dead = model[0].weight.flatten(1).norm(dim=1)"),
            "small weights are not dead",
        ),
        "lowest bias": (DEFECTS.replace("dead = values.amax(1)", "dead = model[0].bias"), "the lowest bias"),
        "the earlier twin": (
            DEFECTS.replace(
                "copy = (repeats(model[0].weight) >= 0).int().argmax()", "copy = repeats(model[0].weight).max()"
            ),
            "the later one of the two",
        ),
        "loudest": (
            DEFECTS.replace(
                "(values.std(1) / values.mean(1)).nan_to_num(torch.inf).argmin()", "values.mean(1).argmax()"
            ),
            "not stuck if it varies",
        ),
        "least deviation": (
            DEFECTS.replace(
                "(values.std(1) / values.mean(1)).nan_to_num(torch.inf).argmin()", "values.std(1).argmin()"
            ),
            "the dead filter varies least",
        ),
        "varies most": (DEFECTS.replace("nan_to_num(torch.inf).argmin()", "nan_to_num(0).argmax()"), "varies most"),
        "order": (
            DEFECTS.replace("[int(dead), int(copy), int(stuck)]", "[int(stuck), int(copy), int(dead)]"),
            "the order is",
        ),
        "distance of copies": (
            DEFECTS.replace(
                "copy = (repeats(model[0].weight) >= 0).int().argmax()",
                "w = model[0].weight.flatten(1)\n    d = torch.cdist(w, w)\n    d[torch.ones_like(d).triu() > 0] = torch.inf\n"
                "    copy = d.amin(1).argmin()",
            ),
            "compare directions",
        ),
        "hard-coded": ("def defects(model, x):\n    return [3, 1, 4]", "whatever comes in"),
    },  # fmt: skip
    "dead_filter": {
        "empty": ("dead_filter = ...", "fill it in"),
        "a living one": ("dead_filter = (dead_filter + 1) % 96", "fires nowhere|busiest"),
        "the busiest": (
            "dead_filter = int(activity(patient[: names.index('relu3') + 1](pictures))[0].argmax())",
            "busiest",
        ),
        "of another layer": (
            "dead_filter = int(activity(patient[: names.index('relu1') + 1](pictures))[0].argmin())",
            "behind relu3|busiest",
        ),
        "a list": ("dead_filter = activity(patient[: names.index('relu3') + 1](pictures))[1]", "one whole number"),
        "too large": ("dead_filter = 96", "0 to 95"),
        "a word": ("dead_filter = 'conv3'", "one whole number"),
        "the network": ("dead_filter = patient", "the answer itself"),
    },
    "twins": {
        "empty": ("twins = ...", "fill it in"),
        "itself": ("twins = (5, 5)", "leave the diagonal out"),
        "strangers": ("twins = (0, 1)", "have a cosine of 1"),
        "one number": ("twins = 7", "a pair"),
        "of another layer": (
            "w = patient.conv3.weight.flatten(1)\ntwins = divmod(int((w @ w.T).abs().triu(1).argmax()), 96)",
            "look at conv4",
        ),
        "no length": (
            "w = patient.conv4.weight.flatten(1)\ntwins = divmod(int((w @ w.T).triu(1).argmin()), 96)",
            "normalise",
        ),
        "too large": ("twins = (3, 200)", "0 to 95"),
    },  # fmt: skip
    "maximise": {
        "as it was": (AS_IT_WAS, "as it was"),
        "only the sign is left": (MAXIMISE.replace("x + rate", "x - rate"), "goes downhill"),
        "downhill and piled up": (ONE_MISTAKE, "still descends"),
        "only piled up": (ONE_MISTAKE.replace("activation.backward()", "(-activation).backward()"), "pile up"),
        "not clamped": (MAXIMISE.replace(".clamp(0, 1)", ""), "clamp it after every step"),
        "clamped at the end": (
            MAXIMISE.replace(".clamp(0, 1)", "")
            .replace("x.detach()\n", "x.detach()")
            .replace("return x.detach()", "return x.detach().clamp(0, 1)"),
            "not only at the end",
        ),
        "mean over the batch": (MAXIMISE.replace("mean((1, 2)).sum()", "mean()"), "N times too small"),
        "normalised": (
            MAXIMISE.replace(
                "x = (x + rate * torch.autograd.grad(activation, x)[0]).clamp(0, 1)",
                "g = torch.autograd.grad(activation, x)[0]\n"
                "        x = (x + rate * g / g.flatten(1).norm(dim=1)[:, None, None, None]).clamp(0, 1)",
            ),
            "take it as it is",
        ),
        "one step too few": (MAXIMISE.replace("range(steps)", "range(1, steps)"), "one step too few"),
        "returns in the loop": (MAXIMISE.replace("\n    return", "\n        return"), "inside the loop"),
        "all filters": (MAXIMISE.replace("[:, k].mean((1, 2))", ".sum(1).mean((1, 2))"), "take map k only"),
        "in place": (MAXIMISE.replace("    for _", "    x.mul_(0.999)\n    for _"), "a copy"),
        "the picture itself": (MAXIMISE.replace("x + rate", "x + 0 * rate"), "as it came in"),
    },
}

# Right, and written in another way than the solution.
EQUIVALENT = {
    "activity": """
def activity(maps):
    flat = maps.permute(1, 0, 2, 3).reshape(maps.shape[1], -1)
    share = torch.count_nonzero(flat.clamp(min=0), dim=1) / flat.shape[1]
    return share, [k for k in range(len(flat)) if not share[k]]
""",
    "top_patches": """
def top_patches(maps, k):
    n, filters, h, w = maps.shape
    which, places = torch.zeros(filters, k, dtype=torch.int64), torch.zeros(filters, k, 2, dtype=torch.int64)
    for f in range(filters):
        best = [(maps[p, f].max().item(), p, *divmod(int(maps[p, f].argmax()), w)) for p in range(n)]
        for rank, (value, p, i, j) in enumerate(sorted(best, reverse=True)[:k]):
            which[f, rank], places[f, rank] = p, torch.tensor([i, j])
    return which, places
""",
    "crop": """
def crop(x, places, start, step, size):
    out = torch.full((len(x), 3, size, size), 0.5)
    for n, (i, j) in enumerate(places.tolist()):
        for a in range(size):
            for b in range(size):
                r, c = start + step * i + a, start + step * j + b
                if 0 <= r < x.shape[2] and 0 <= c < x.shape[3]:
                    out[n, :, a, b] = x[n, :, r, c]
    return out
""",
    "part_iou": """
def part_iou(maps, thresholds, masks):
    marks = (maps > thresholds.view(1, -1, 1, 1)).double()
    both = torch.einsum("nkhw,nhw->k", marks, masks.double())
    return both / (marks.sum((0, 2, 3)) + masks.sum() - both)
""",
    "selectivity": """
def selectivity(codes, y, classes):
    one = torch.nn.functional.one_hot(y, classes).float()
    means = (one / one.sum(0)).T @ codes
    best, c = means.max(0)
    rest = means.scatter(0, c[None], 0).sum(0) / (classes - 1)
    return ((best - rest) / (best + rest)).nan_to_num(0)
""",
    "repeats": """
def repeats(weight):
    found = []
    for i, one in enumerate(weight):
        found.append(-1)
        for j, other in enumerate(weight[:i]):
            if abs((one * other).sum() / one.norm() / other.norm()) > 0.99:
                found[-1] = j
                break
    return torch.tensor(found)
""",
    "defects": DEFECTS,
    "dead_filter": "dead_filter = torch.tensor(dead_filter)",
    "twins": "twins = [twins[1], twins[0]]",
    "maximise": """
def maximise(model, x, k, rate, steps):
    x = x.clone().requires_grad_()
    optimiser = torch.optim.SGD([x], lr=rate, maximize=True)
    for _ in range(steps):
        optimiser.zero_grad()
        model(x)[:, k].mean((1, 2)).sum().backward()
        optimiser.step()
        x.data.clamp_(0, 1)
    return x
""",
}
