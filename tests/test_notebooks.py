"""How the notebooks are stored and built.  That they run is nbval's part, which `pytest` does beside this file."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if not path.name.startswith("00")]  # 00 shows round, it does not teach
FIRST_FOUR = ["00_start_here", "01_network_inversion", "02_inverse_network", "03_lost_with_depth"]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def code_cells(path):
    """The code cells of a notebook that hold anything, as (number, cell)."""
    cells = enumerate(nbformat.read(path, as_version=4).cells, start=1)
    return [(number, cell) for number, cell in cells if cell.cell_type == "code" and cell.source.strip()]


def outputs(path):
    """Every stored output of a notebook, as (number of the cell, output)."""
    return [(number, output) for number, cell in code_cells(path) for output in cell.outputs]


def prose(path):
    """All the text between the code, as one string."""
    return "\n\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")


def test_the_notebooks_follow_the_order_of_the_lecture():
    assert [path.stem for path in NOTEBOOKS][:4] == FIRST_FOUR


def test_every_notebook_has_a_number_of_its_own():
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert numbers == sorted(set(numbers)) and all(map(str.isdigit, numbers))


# How it is stored: by `python course.py render`


@every_notebook
def test_a_stored_notebook_is_valid_and_small(path):
    nbformat.validate(json.loads(path.read_text(encoding="utf-8")))
    assert path.stat().st_size <= 500_000, (
        f"{path.stat().st_size / 1000:.0f} kB; render it with fewer or smaller figures"
    )


@every_notebook
def test_a_stored_notebook_was_run_once_from_top_to_bottom(path):
    counts = [cell.execution_count for _, cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "render it: python course.py render"


@every_notebook
def test_a_stored_notebook_shows_no_error_and_no_warning(path):
    bad = [
        f"cell {number} shows {output.get('ename', 'text on stderr')}"
        for number, output in outputs(path)
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert not bad, ", ".join(bad)


@every_notebook
def test_a_stored_notebook_shows_a_picture_to_a_reader_without_a_kernel(path):
    assert any("image/png" in output.get("data", {}) for _, output in outputs(path)), (
        "render it: python course.py render"
    )


@every_notebook
def test_a_stored_notebook_is_the_same_whoever_renders_it(path):
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}, "render it: python course.py render"
    assert [cell.id for cell in notebook.cells] == [f"cell-{n:02}" for n in range(1, len(notebook.cells) + 1)]
    for number, output in outputs(path):
        stored = json.dumps({**output, "data": {k: v for k, v in output.get("data", {}).items() if k != "image/png"}})
        assert "widget-view" not in stored, f"cell {number} stores a live widget, whose number is random"
        assert not re.search(r" at 0x[0-9a-f]{6,}", stored), f"cell {number} prints where an object lies in memory"
        assert not re.search(r"/(?:home|root|Users|tmp)/", stored), f"cell {number} prints a folder of this machine"


# How it is built


def magics(source):
    """The IPython commands in a cell, as IPython itself reads them: ('matplotlib', 'inline'), ('system', 'ls')."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    for node in ast.walk(tree):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_call and ast.unparse(node.func.value) == "get_ipython()":
            words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            yield tuple(words) if node.func.attr == "run_line_magic" else (node.func.attr, *words)


def test_a_magic_is_recognised_however_it_is_written():
    assert list(magics("%matplotlib inline")) == [("matplotlib", "inline")]
    assert list(magics("x = !ls")) == [("getoutput", "ls")]
    assert list(magics("if 1:\n    !ls")) == [("system", "ls")]
    assert [found[0] for found in magics("%%time\nx = 1")] == ["run_cell_magic"]
    assert [found[0] for found in magics("print??")] == ["pinfo2"]
    assert list(magics("x = 7 % 2\ny = 'is it !? %time'")) == []


@every_notebook
def test_a_notebook_is_python_without_magic(path):
    # An unknown magic or a failing `!command` prints its error and goes on: no test runner sees it.
    allowed = {("matplotlib", "inline")}
    found = [(n, m) for n, cell in code_cells(path) for m in magics(cell.source) if m not in allowed]
    wrong = [f"cell {number}: {' '.join(magic)}" for number, magic in found if magic[0] not in ("pinfo", "pinfo2")]
    assert not wrong, "; ".join(wrong)


@every_notebook
def test_a_cell_is_short_enough_to_read_in_a_hall(path):
    long = [f"cell {n} has {len(cell.source.splitlines())} lines" for n, cell in code_cells(path)]
    long = [words for words in long if int(words.split()[-2]) > 25]
    assert not long, f"{', '.join(long)}; at most 25, better move the code to lecturekit"


@every_notebook
def test_no_cell_hides_from_the_tests(path):
    hidden = [
        n
        for n, cell in code_cells(path)
        if re.search(r"(?i)nbval[-_](skip|ignore|raises)", f"{cell.source}{cell.metadata}")
    ]
    assert not hidden, f"cells {hidden} are skipped by nbval"


@every_notebook
def test_a_notebook_opens_with_its_title_and_how_long_it_takes(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# "), "the first cell is the title"
    titles = re.findall(r"^# ", prose(path), flags=re.MULTILINE)
    assert len(titles) == 1, f"one title, then sections (##); found {len(titles)}"
    assert re.search(r"\d+ minutes", prose(path)), "says how many minutes it takes"


@every_notebook
def test_every_link_in_a_notebook_leads_somewhere(path):
    targets = re.findall(r"\]\(([^)#\s]+)", prose(path)) + re.findall(r'(?:src|href)="([^"#]+)"', prose(path))
    lost = [t for t in targets if not re.match(r"[a-z]+:", t) and not (path.parent / t).exists()]
    assert not lost, f"nothing lies at {', '.join(lost)}"


@every_lesson
def test_a_lesson_says_what_one_can_do_afterwards(path):
    assert "After this lesson you can" in prose(path)


@every_lesson
def test_a_lesson_lets_the_student_predict_and_read(path):
    for word in ("Predict", "Read", "Change one thing"):
        assert f"**{word}" in prose(path), f"no **{word}** in it"


@every_lesson
def test_a_lesson_closes_with_a_checkpoint_and_its_folded_answer(path):
    last = prose(path)[-len(prose(path)) // 3 :]
    assert "heckpoint" in last and "<details>" in last, (
        "a checkpoint question with a folded answer (<details>) at the end"
    )


@every_lesson
def test_a_lesson_has_a_live_panel(path):
    code = "\n".join(cell.source for _, cell in code_cells(path))
    assert re.search(r"lecturekit(\.| import )panels|from lecturekit import .*\bpanels\b", code)
