"""What the attack panel says below its pictures: verdict, confidence, size of the change, and its price.

==================  =============================================================================
picture             what it is, what the network says, and what counts as true where nobody knows
perturbation        its factor, its largest value in grey levels, its L2 norm, gradients used
attacked picture    what the network says now, whether that is a success, the same after rounding
==================  =============================================================================

The trap: "misled" sounds as if the network had been right.  Where it was wrong before, or where its own answer counts
as true because there is no label, the words are others.
"""

from lecturekit import attacks


def title(found):
    """Return what stands above the attacked picture: who did it, and what was allowed, if anything was."""
    return f"{found.attack}, {found.ball}" if found.ball else found.attack


def said(logits, names):
    """Return what the network says, and how sure it is: logits (1, K) to words."""
    share, best = logits.softmax(1).max(1)
    return f"{names[best]}, {per_cent(share.item())}"


def about_picture(result):
    """Return the caption of the clean picture: what it is, what the network says, and what counts as true."""
    found, names = result.found, result.names
    words = f"{result.chosen.words}\nthe network says\n{said(found.clean, names)}"
    if not result.known:
        return f"{words}\nno label is known: this\ncounts as the true class"
    return words if found.right else f"{words}\nwrong: it is {names[found.y]}"


def about_change(found, factor):
    """Return the caption of the perturbation: how large it is, and what it cost."""
    if found.unchanged:
        words = "nothing was changed"
    else:
        largest, length = (norm.size(found.delta).item() for norm in (attacks.Linf, attacks.L2))
        words = f"magnified × {factor}, 0 is grey\n"
        words += f"at most {255 * largest:.3g} of 255 grey levels\nL2 norm {length:.3g}"
    if found.ball is None:
        words += "\nthe smallest it found; no ε"
    words += f"\n{price(found)}"
    return f"{words}\nthe gradient was zero: nothing to follow" if found.flat.any() else words


def price(found):
    """Return how often the network was differentiated, and how often it was only asked."""
    gradients, queries = found.gradients.item(), found.queries.item()
    counted = [f"{gradients} gradient{'s' * (gradients != 1)}"] * bool(gradients)
    return ", ".join(counted + [f"{queries} {'query' if queries == 1 else 'queries'}"] * bool(queries))


def about_attacked(result):
    """Return the caption of the attacked picture: the verdict, measured afresh, also after rounding to 8 bits."""
    found, rounded, names = result.found, result.rounded, result.names
    words = f"the network says\n{said(found.logits, names)}\n{verdict(result)}\n"
    words += f"rounded to 8 bits it says\n{said(rounded.logits, names)}"
    return words if found.complete else f"{words}\nstopped early: the best so far"


def verdict(result):
    """Return in words whether the attacker has what he wanted; what was wrong before is no success."""
    found, names = result.found, result.names
    if found.target is not None:
        return f"{'reached' if found.misled else 'not reached'}: {names[found.target]}"
    if not found.right:
        return "wrong already before the attack"
    truth = f"it is {names[found.y]}" if result.known else f"it said {names[found.y]} before"
    return f"misled: {truth}" if found.misled else "not misled"


def per_cent(value):
    """Return a probability as it is read."""
    return f"{100 * value:.1f} %"


def signed(value):
    """Return a logit as it is read, with a minus and not a hyphen."""
    return f"{value:.1f}".replace("-", "−")
