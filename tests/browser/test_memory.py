"""An hour with the panels, in a minute or two: the kernel must not swell."""

import pytest

from tests.browser.driving import notebook_with

ACTIONS = 720  # one every five seconds, for an hour
GROWS = 100  # megabytes allowed
SCRIPT = """
import contextlib, ctypes, gc, os, random
import psutil

hand = random.Random(0)
shown = [panels.ForwardPass(), panels.DeconvNet(), panels.InverseNet(), panels.Gallery(), panels.Depth(),
         panels.Attack(attack="pgd", steps=5), panels.Leakage()]

def act(panel):
    "Turn one control to anything that it can be turned to, as a hand would."
    names = [name for name, c in panel.controls.items() if name not in FIXED and c.layout.display != "none"]
    name = hand.choice(names)
    control = panel.controls[name]
    if hasattr(control, "options"):
        value = hand.choice([o[1] if isinstance(o, tuple) else o for o in control.options])
    elif isinstance(control.value, bool):
        value = not control.value
    else:
        value = hand.randint(control.min, control.max)
    panel.set(**{name: value})
    if panel.trouble is not None:
        told[type(panel.trouble).__name__] = told.get(type(panel.trouble).__name__, 0) + 1

def megabytes():
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what is free already, glibc gives back only when it is asked to
    return psutil.Process(os.getpid()).memory_info().rss / 1e6

FIXED = ("world", "upload", "camera", "optimise", "attacker", "curve", "restarts", "steps", "everything")
told, sizes = {}, []
box = __import__("ipywidgets").VBox(shown)
display(box)
"""
HOUR = """
for number in range(WARM + ACTIONS):
    act(hand.choice(shown))
    if number % 60 == 59:               # and every five minutes somebody runs the cell of a panel again
        old = hand.randrange(len(shown))
        shown[old].close()
        shown[old] = type(shown[old])()
        box.children = shown
    if number >= WARM and number % 60 == 0:
        sizes.append(megabytes())
sizes.append(megabytes())
print("sizes", *(round(size) for size in sizes))
print("faults", told)
"""
WARM = 240  # until every network was opened and every cache has what it may have


@pytest.mark.timeout(1500)
def test_an_hour_of_panels_does_not_swell_the_kernel(open_notebook, lab):
    hour = HOUR.replace("WARM", str(WARM)).replace("ACTIONS", str(ACTIONS))
    notebook = open_notebook(notebook_with(lab, "hour.ipynb", SCRIPT, hour))
    notebook.run_all(seconds=1200)
    assert notebook.errors() == []
    printed = notebook.page.locator(".jp-OutputArea-output", has_text="sizes").last.inner_text()
    sizes, faults = printed.splitlines()[:2]
    sizes = [int(size) for size in sizes.split()[1:]]
    print(sizes, faults)
    assert len(sizes) == ACTIONS // 60 + 1
    assert sizes[-1] - sizes[0] <= GROWS, f"megabytes over the hour: {sizes}"
    assert "Error" not in faults.replace("InputError", "")
