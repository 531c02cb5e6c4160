"""How long from a key on a slider to the new picture, panel by panel: ``python -m tests.browser.speed [--store FILE]``.

Beside each panel a bare slider is moved that paints one small PNG: what the browser, JupyterLab, the kernel and this
machine take in any case.  A machine at work is slow with both, so the limits grow with the bare slider where it is
slower than on a quiet machine; on a quiet machine they hold as they stand.

    name                 median ms   95 % ms   (limit)    bare slider: median, 95 %
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.browser.driving import handle, notebook_with, opening, running_browser
from tests.lab_server import running_lab

MOVES, WARM = 30, 4
QUIET_BARE = 55.0  # ms: the bare slider's median on two cores that do nothing else (design notes say 41 to 53)

BARE = """
import io
import ipywidgets
from PIL import Image

slider, picture = ipywidgets.IntSlider(max=10_000), ipywidgets.Image(width=64)

def draw(change):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (change["new"] % 256, 0, 0)).save(stream, "PNG")
    picture.value = stream.getvalue()

slider.observe(draw, "value")
draw({"new": 0})
bare = ipywidgets.VBox([slider, picture]).add_class("lk-bare")
bare
"""


class Timed(NamedTuple):
    """What is measured of one panel: the cell that shows it, the sliders that are moved in turn, and what is allowed.

    Attributes:
        code: of the cell.
        sliders: their names; each key press is an arrow on one of them.
        median, late: milliseconds allowed for the median and for the 95th percentile, on a quiet machine.
    """

    code: str
    sliders: tuple
    median: float = 100.0
    late: float | None = 200.0


TIMED = {
    "DeconvNet": Timed("panels.DeconvNet(layer='conv4', filter=3)", ("Picture", "Filter")),
    "Gallery": Timed("panels.Gallery(layer='conv4')", ("Filter",)),
    "InverseNet": Timed("panels.InverseNet(layer='conv3')", ("Picture",)),
    "Attack, one step": Timed("panels.Attack(attack='fgsm')", ("Picture", "ε")),
    "Attack, ten steps": Timed("panels.Attack(attack='pgd', steps=10)", ("Picture", "ε")),
    "ForwardPass": Timed("panels.ForwardPass(layer='relu3')", ("Picture", "Filter")),
}
SQUEEZENET = """
from pathlib import Path
from lecturekit.networks import imagenet
model = imagenet.load("squeezenet1_0", Path({path!r}), sha256={sha256!r})
panels.DeconvNet({{"SqueezeNet": model}}, world="photographs", size=224, layer="features.5.expand3x3", filter=3)
"""


def squeezenet(path, sha256):
    """Return what is measured of SqueezeNet at 224 x 224 pixels; only a median is promised for it."""
    return Timed(SQUEEZENET.format(path=str(path), sha256=sha256), ("Photograph", "Filter"), 400.0, None)


def moved(notebook, box, sliders, count, patience=5000):
    """Press arrow keys on sliders in turn; return the milliseconds of ``count`` moves that changed the picture."""
    notebook.look_at(box)
    found, key, still = [], {name: "ArrowRight" for name in sliders}, 0
    for number in range(4 * count):
        name = sliders[number % len(sliders)]
        grip = handle(box, name) if name else box.query_selector(".noUi-handle")
        if grip.get_attribute("aria-valuenow") == grip.get_attribute("aria-valuemax"):
            key[name] = "ArrowLeft"
        grip.press(key[name])
        milliseconds = notebook.settled(patience=patience)
        still += milliseconds is None
        found += [milliseconds] * (milliseconds is not None)
        if len(found) == count:
            return found
    raise AssertionError(f"{still} of {number + 1} moves changed no picture")


def spread(found):
    """Return the median and the 95th percentile of a list of milliseconds."""
    return {"median": statistics.median(found), "late": statistics.quantiles(found, n=20)[-1]}


def measured(browser, lab, name, timed, moves=MOVES):
    """Measure one panel and, half before and half after it, the bare slider."""
    with opening(browser, lab) as open_notebook:
        file = f"{name.replace(',', '').replace(' ', '_')}.ipynb"
        notebook = open_notebook(notebook_with(lab, file, BARE, timed.code))
        notebook.run_all()
        assert notebook.errors() == [], name
        bare, (panel,) = notebook.page.query_selector(".lk-bare"), notebook.panels()
        moved(notebook, bare, (None,), WARM)
        moved(notebook, panel, timed.sliders, WARM)
        before = moved(notebook, bare, (None,), moves // 2)
        found = moved(notebook, panel, timed.sliders, moves)
        beside = before + moved(notebook, bare, (None,), moves - moves // 2)
    return verdict(found, beside, timed) | {"each": [round(ms) for ms in found]}


def verdict(found, bare, timed):
    """Return what was measured, what is allowed on this machine at this hour, and whether it holds."""
    ours, reference = spread(found), spread(bare)
    slower = max(1.0, reference["median"] / QUIET_BARE)
    slower_late = max(slower, reference["late"] / (2 * QUIET_BARE))
    allowed = {"median": timed.median * slower, "late": timed.late and timed.late * slower_late}
    holds = ours["median"] <= allowed["median"] and (not timed.late or ours["late"] <= allowed["late"])
    result = {"ours": ours, "bare": reference, "allowed": allowed, "quiet": slower == 1.0, "holds": holds}
    return result | {"load": os.getloadavg()[0]}


def words(name, result):
    """Return a result as one line."""
    cells = [f"{name:20}"]
    for kind in ("ours", "allowed", "bare"):
        cells.append(f"{kind} " + ", ".join(f"{value:.0f}" for value in result[kind].values() if value))
    cells.append("quiet" if result["quiet"] else f"busy, load {result['load']:.1f}")
    return "   ".join([*cells, "holds" if result["holds"] else "DOES NOT HOLD"])


def main():
    """Measure all panels, or those that are named, and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(TIMED)}; all if none is given")
    parser.add_argument("--store", type=Path, help="a JSON file for the numbers")
    parser.add_argument("--moves", type=int, default=MOVES)
    parser.add_argument("--squeezenet", type=Path, help="the file of its weights: measures it too")
    asked = parser.parse_args()
    wanted = {name: timed for name, timed in TIMED.items() if name in (asked.names or TIMED)}
    if asked.squeezenet:
        from tests.deconv.real import SHA256

        wanted["SqueezeNet"] = squeezenet(asked.squeezenet, SHA256)
    found = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with running_lab(Path(folder, "course")) as lab, running_browser(Path(folder, "profile")) as browser:
            for name, timed in wanted.items():
                found[name] = measured(browser, lab, name, timed, asked.moves)
                print(words(name, found[name]), flush=True)
    if asked.store:
        asked.store.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
