"""Say of every cell of the notebooks what it is on a slide, for the presenter's mode.

    python tools/slides.py                      all of them
    python tools/slides.py notebooks/01*.ipynb  some

JupyterLab keeps this in the metadata of each cell; only that is changed, never what a student sees::

    slide      a section: its heading and what follows in the same cell; the right arrow goes from one to the next
    subslide   one text, one figure, one panel or one piece of code; the space bar goes through all of them
    fragment   a short answer that appears below its question
    skip       the set-up cell

A figure or a table whose code is long stands alone, without the code; a long text stands in two columns.  Such cells
are tagged, and ``lecturekit/present.py`` holds what the tags look like.

A rule that is wrong for one cell is overruled there, with a reason for whoever comes next:
``"slideshow": {"slide_type": "skip", "because": "shown by hand on the blackboard"}``.
"""

import argparse
import glob
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE, COLUMNS = TAGS = "picture-slide", "columns-slide"
LONG_CODE = 8  # lines; more than these leave too little of the slide to the figure
FEW = 5  # lines; a table leaves even less
LONG_TEXT = 1250  # letters; more than these do not fit below each other
SHORT_TEXT, SHORT_CODE, SHORT_ANSWER = 700, 8, 6  # letters and lines that fit on one slide together


def main():
    """Go through the notebooks that the command line names, and say which were changed."""
    parser = argparse.ArgumentParser(description="Give the notebooks their slides.")
    parser.add_argument("notebooks", nargs="*", default=[str(ROOT / "notebooks" / "*.ipynb")], help="default: all")
    paths = [Path(path) for word in parser.parse_args().notebooks for path in sorted(glob.glob(word))]
    changed = [path.name for path in paths if cut(path)]
    print(f"{len(paths)} notebooks, changed: {', '.join(changed) or 'none'}")


def cut(path):
    """Write into a notebook what its cells are on slides; return whether that changed anything."""
    before = path.read_text(encoding="utf-8")
    notebook = json.loads(before)
    for cell, (kind, tag) in zip(notebook["cells"], slides(notebook["cells"]), strict=True):
        mark(cell["metadata"], kind, tag)
    after = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8", newline="\n")
    return after != before


def slides(cells):
    """Return for each cell its slide type, and its tag or None."""
    found, above = [], None
    for cell in cells:
        show = cell["metadata"].get("slideshow", {})
        kind = show["slide_type"] if "because" in show else slide_type(cell, above)
        found.append((kind, tag_of(cell)))
        above = cell
    return found


def slide_type(cell, above):
    """Return what a cell is on a slide, by the rules; ``above`` is the cell before it, or None."""
    if cell["cell_type"] == "markdown":
        return "slide" if text(cell).startswith(("# ", "## ")) else "subslide"
    if is_set_up(cell):
        return "skip"
    return "fragment" if is_short_answer(cell) and above and is_short_text(above) else "subslide"


def tag_of(cell):
    """Return how a cell that is too much for one slide is made to fit, or None for one that fits."""
    if lines(cell) > (LONG_CODE if has_picture(cell) else FEW) and is_shown(cell) and not is_panel(cell):
        return PICTURE
    if cell["cell_type"] != "markdown":
        return None
    has_timetable = text(cell).startswith("# ")
    return COLUMNS if has_timetable or len(unfolded(cell)) > LONG_TEXT else None


def unfolded(cell):
    """Return what can be read of a text while its answers are folded."""
    return re.sub(r"</summary>.*?</details>", "", text(cell), flags=re.DOTALL)


def is_set_up(cell):
    """Tell whether a cell does nothing but get things ready."""
    return "plots.use()" in text(cell)


def is_panel(cell):
    """Tell whether a cell shows a panel."""
    return bool(re.search(r"\bpanels\.[A-Z]\w+\(", text(cell))) and has_picture(cell)


def has_picture(cell):
    """Tell whether a cell shows a picture."""
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))


def is_shown(cell):
    """Tell whether a cell shows a picture or a table."""
    return has_picture(cell) or any("text/html" in output.get("data", {}) for output in cell.get("outputs", ()))


def is_short_answer(cell):
    """Tell whether code and what it prints are short enough to stand below a question."""
    printed = [output.get("text") for output in cell["outputs"]]
    return lines(cell) <= SHORT_CODE and bool(printed) and all(printed) and sum(map(len, printed)) <= SHORT_ANSWER


def is_short_text(cell):
    """Tell whether a text leaves room for an answer below it."""
    return cell["cell_type"] == "markdown" and len(text(cell)) <= SHORT_TEXT


def lines(cell):
    """Return how many lines of code a cell has."""
    return len(cell["source"]) if cell["cell_type"] == "code" else 0


def text(cell):
    """Return the source of a cell as one string."""
    return "".join(cell["source"])


def mark(metadata, kind, tag):
    """Write the slide type into the metadata of a cell, and its tag if there is one."""
    metadata["slideshow"] = {**metadata.get("slideshow", {}), "slide_type": kind}
    tags = [other for other in metadata.get("tags", ()) if other not in TAGS] + ([tag] if tag else [])
    if tags:
        metadata["tags"] = tags
    else:
        metadata.pop("tags", None)


if __name__ == "__main__":
    sys.exit(main())
