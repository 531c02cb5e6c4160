"""Run notebooks from top to bottom and store them as a reader without a kernel should see them.

    python course.py render                      all of them
    python course.py render notebooks/01*.ipynb  some

The stored file depends on nothing but the notebook and the library: cells have fixed names, and times, versions and
random widget numbers are left out, so that git shows a change only where something changed.  A panel leaves the
picture that it offers beside its live self (``_repr_mimebundle_``); one without a picture would leave an empty place,
and is refused.

The notebooks run with the network cut, as they do for a student in a train.
"""

import argparse
import asyncio
import base64
import glob
import io
import json
import math
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image, ImageChops, ImageStat

ROOT = Path(__file__).resolve().parents[1]
CELL_SECONDS, NOTEBOOK_SECONDS, MOST_KB = 60, 240, 500  # tests/test_notebooks.py holds the stored files to the last
COLOURS, PALETTE_DB = (256, 128, 64), 31  # so few then pass for 16 million, also beside the original, at 40 % of size
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")


def main():
    """Render the notebooks that the command line names; return 1 if one of them has a fault, else 0."""
    parser = argparse.ArgumentParser(prog="course.py render", description="Run notebooks and store what they show.")
    parser.add_argument("notebooks", nargs="*", default=[str(ROOT / "notebooks" / "*.ipynb")], help="default: all")
    words = parser.parse_args().notebooks
    chosen = [Path(path) for word in words for path in sorted(glob.glob(word))]  # Windows leaves * to us
    if not chosen:
        parser.error(f"there is no notebook {' '.join(words)}; paths count from the course's folder")
    cut_the_network_off()
    if sys.platform == "win32":  # the sockets of the kernel need the older of the two event loops
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    faults = [fault for path in chosen for fault in render(path)]
    print("\n".join(faults) if faults else f"{len(chosen)} notebooks rendered.")
    return bool(faults)


def cut_the_network_off():
    """Let every kernel that is started from here run without a network."""
    folders = [str(ROOT / "tools" / "offline"), os.environ.get("PYTHONPATH")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, folders))


def render(path):
    """Run one notebook, write it back, and return the sentences that tell what is wrong with it.

    A notebook with an error is not written: the stored one stays as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    seconds = {}
    try:
        execute(notebook, path, seconds)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return [f"{path.name}: cell {max(seconds, default=0) + 1} fails and nothing was stored.\n{error}"]
    faults = [f"{path.name}: {fault}" for fault in [*hidden_errors(notebook), *clean(notebook)]]
    if not faults:
        nbformat.validate(notebook)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
    return faults + [f"{path.name}: {fault}" for fault in too_much(notebook, seconds)]


def execute(notebook, path, seconds):
    """Run all cells in the notebook's own folder; fill ``seconds`` with the time each code cell took, by its place."""

    def starts(cell, cell_index):
        seconds[cell_index] = -time.perf_counter()

    def ends(cell, cell_index, execute_reply):
        seconds[cell_index] += time.perf_counter()
        first_line = cell.source.strip().splitlines()[0] if cell.source.strip() else ""
        print(f"{path.name}  cell {cell_index + 1:3}  {seconds[cell_index]:6.1f} s  {first_line[:70]}", flush=True)

    client = NotebookClient(
        notebook,
        timeout=5 * CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=40"],  # else the kernel warns that it talks to us without encryption
        resources={"metadata": {"path": str(path.resolve().parent)}},
        on_cell_execute=starts,
        on_cell_executed=ends,
    )
    client.execute()


def hidden_errors(notebook):
    """Yield the errors that happened inside a widget, which the cell itself does not show."""
    states = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for state in states.values():
        for output in state["state"].get("outputs", ()):
            if output["output_type"] == "error":
                yield f"an error inside a widget: {output['ename']}: {output['evalue']}"


def clean(notebook):
    """Leave only what every run stores alike; yield what cannot be stored."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [clean_output(output) for output in cell.outputs if not is_finished_bar(output)]
            yield from (f"cell {number} {fault}" for output in cell.outputs for fault in unfit(output))


def is_finished_bar(output):
    """Tell whether an output is a progress bar: it told how far the work was, and the work is done."""
    text = output.get("data", {}).get("text/plain", "")
    return WIDGET in output.get("data", {}) and bool(re.search(r"\d%\||it/s\]|s/it\]", text))


def clean_output(output):
    """Return an output without the live widget, whose number is random, and with its picture made small."""
    data = output.get("data", {})
    if "image/png" in data:
        data["image/png"] = smaller_png(data["image/png"])
        data.pop(WIDGET, None)
    return output


def unfit(output):
    """Yield why an output cannot be stored."""
    if output.output_type == "error":
        yield f"shows an error: {output.ename}: {output.evalue}"
    if output.output_type == "stream" and output.name == "stderr":
        yield f"writes to stderr, mend what it warns of: {output.text.strip()[:300]}"
    if WIDGET in output.get("data", {}):
        yield "shows a widget without a picture beside it: a reader without a kernel would see nothing"
    texts = [output.get("text", ""), *output.get("data", {}).values()]
    if any(isinstance(text, str) and ADDRESS.search(text) for text in texts):
        yield "prints where an object lies in memory; end the line with a semicolon or print something about the object"


def smaller_png(encoded):
    """Return a base64 PNG in fewer bytes: no unused alpha, and a palette where nobody can see the difference."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    dpi = picture.info.get("dpi")
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    candidates = [picture]
    for colours in COLOURS if picture.mode == "RGB" else ():
        palette = picture.quantize(colours, kmeans=2, dither=Image.Dither.NONE)
        if psnr(picture, palette.convert("RGB")) >= PALETTE_DB:
            candidates.append(palette)
    packed = [png_bytes(candidate, dpi) for candidate in candidates]
    best = min(packed, key=len)
    return base64.b64encode(min(best, tighter(best), key=len)).decode()


def tighter(png):
    """Return PNG bytes packed once more, as tightly as anybody can: 8 % less, the same pixels."""
    import zopfli.png

    return zopfli.png.optimize(png, num_iterations=5, keepchunks=["pHYs"])


def psnr(one, other):
    """Return how alike two RGB pictures of one size are, in decibels; larger is more alike."""
    error = ImageStat.Stat(ImageChops.difference(one, other)).sum2
    pixels = 3 * one.width * one.height
    return 10 * math.log10(255**2 * pixels / max(sum(error), 1e-9))


def png_bytes(picture, dpi):
    """Return a picture as PNG bytes, packed as tightly as Pillow can."""
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True, **({"dpi": dpi} if dpi else {}))
    return stream.getvalue()


def too_much(notebook, seconds):
    """Yield which limits a notebook breaks: the time of a cell, the time of all, the size of the file."""
    for index, took in seconds.items():
        if took > CELL_SECONDS:
            yield f"cell {index + 1} took {took:.0f} s; the limit is {CELL_SECONDS} s"
    if sum(seconds.values()) > NOTEBOOK_SECONDS:
        yield f"all cells took {sum(seconds.values()):.0f} s; the limit is {NOTEBOOK_SECONDS} s"
    kilobytes = len(nbformat.writes(notebook).encode()) / 1000
    if kilobytes > MOST_KB:
        yield f"the file has {kilobytes:.0f} kB, the limit is {MOST_KB}; {largest_outputs(notebook)}"


def largest_outputs(notebook):
    """Return which cells store the most, as words."""
    sizes = [(len(json.dumps(cell)) / 1000, number) for number, cell in enumerate(notebook.cells, start=1)]
    return "the largest: " + ", ".join(f"cell {number} {size:.0f} kB" for size, number in sorted(sizes)[:-4:-1])


if __name__ == "__main__":
    sys.exit(main())
