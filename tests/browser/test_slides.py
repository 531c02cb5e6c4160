"""The presenter's mode in JupyterLab: slides, with the panel alive on its own, everything large."""

import nbformat
import pytest

from tests.browser.driving import CLIPPED, PIXELS, changed, handle, opening
from tests.lab_server import running_lab

WIDTH, HEIGHT = 1280, 720  # of a projector that has seen better days
SHOWN = """() => [...document.querySelectorAll('.jp-Deck .jp-Cell.jp-deck-mod-visible')].map(cell =>
    window.jupyterapp.shell.currentWidget.content.widgets.findIndex(widget => widget.node === cell))"""
LEFT_OVER = """() => {
    const sheet = document.querySelector('.jp-Deck .jp-WindowedPanel-outer');
    return sheet.scrollHeight - sheet.clientHeight;
}"""
PANEL = "panel = panels.DeconvNet(layer='conv4', picture=20)\npanel"
ACTIVE = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"


@pytest.fixture(scope="module")
def lecture(tmp_path_factory):
    """JupyterLab as `python course.py present 04` opens it, on a copy of the course."""
    with running_lab(tmp_path_factory.mktemp("lecture"), "present", "04") as server:
        yield server


@pytest.fixture
def present(browser, lecture):
    """A function that opens a notebook in a window of the size of a projector."""
    with opening(browser, lecture) as open_it:

        def open_large(path):
            notebook = open_it(path)
            notebook.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            notebook.command("deck:stop")  # JupyterLab remembers that it showed slides, also from a test that failed
            return notebook

        yield open_large


def small_lecture(lab, *panels):
    """Write a lecture of a few cells with slides, and return its name."""
    cells = [
        (nbformat.v4.new_markdown_cell("# A small lecture\n\nAbout 5 minutes."), "slide"),
        (nbformat.v4.new_code_cell("from lecturekit import panels"), "skip"),
        (nbformat.v4.new_markdown_cell("## 1 Where does it look?\n\nMove the filter."), "slide"),
        *((nbformat.v4.new_code_cell(panel), "subslide") for panel in panels or [PANEL]),
        (nbformat.v4.new_markdown_cell("## 2 The end"), "slide"),
    ]
    for cell, kind in cells:
        cell.metadata["slideshow"] = {"slide_type": kind}
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[cell for cell, _ in cells], metadata=python)
    nbformat.write(notebook, lab.notebooks / "90_small.ipynb")
    return "90_small.ipynb"


def heights(notebook, screenshot=lambda cell: None):
    """Walk through all slides; return the last cell, and by how many pixels which cells are too high."""
    page, too_high, last = notebook.page, {}, None
    while (here := page.evaluate(ACTIVE)) != last:
        last = here
        page.wait_for_timeout(100)
        if (over := page.evaluate(LEFT_OVER)) > 0:
            too_high[here + 1] = over
        screenshot(here + 1)
        notebook.command("deck:go", direction="down", alternate="forward")
    return last + 1, too_high


def start_slides(notebook):
    """Show the notebook as slides, from the first on."""
    notebook.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    notebook.command("deck:start")
    notebook.page.wait_for_selector("body[data-jp-deck-mode='presenting']", state="attached")
    notebook.page.wait_for_function(f"({SHOWN})().length > 0")


def go_to(notebook, cells):
    """Press the space bar and wait until exactly these cells can be seen."""
    notebook.page.keyboard.press("Space")
    notebook.page.wait_for_function(f"cells => ({SHOWN})().join() === cells.join()", arg=cells)


def test_a_panel_lives_on_its_slide_and_its_slider_does_not_turn_the_page(present, lecture, tmp_path):
    notebook = present(small_lecture(lecture))
    notebook.run_all()
    page = notebook.page
    start_slides(notebook)
    assert page.evaluate(SHOWN) == [0], "the title, and nothing else"
    go_to(notebook, [2])
    go_to(notebook, [3])
    page.wait_for_timeout(1500)  # the side bars fold away
    (panel,) = notebook.panels()
    before = panel.evaluate(PIXELS)
    notebook.screenshot(tmp_path / "panel on a slide.png")
    assert len(before) == 4 and page.evaluate(LEFT_OVER) <= 0, "all of it can be seen without scrolling"
    handle(panel, "Filter").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert changed(page, panel, before) != before
    assert (page.evaluate(SHOWN), page.evaluate(ACTIVE)) == ([3], 3), "the keys belong to the slider"
    assert panel.evaluate(CLIPPED) == []
    assert notebook.errors() == []
    notebook.screenshot(tmp_path / "its filter moved.png")
    notebook.command("deck:forward")
    page.wait_for_function(f"({SHOWN})().join() === '4'")
    notebook.command("deck:stop")
    page.wait_for_selector("body[data-jp-deck-mode='presenting']", state="detached")


def test_on_a_slide_the_controls_stand_beside_the_pictures_and_the_code_is_away(present, lecture):
    notebook = present(small_lecture(lecture))
    notebook.run_all()
    page = notebook.page
    (panel,) = notebook.panels()
    size = "part => parseFloat(getComputedStyle(part).fontSize)"
    assert panel.query_selector(".lk-caption").evaluate(size) >= 18, "large in the notebook as well"
    assert page.locator(".jp-RenderedMarkdown p").first.evaluate(size) >= 18
    controls, pictures = (panel.query_selector(part) for part in (".lk-controls", ".lk-pictures"))
    assert controls.bounding_box()["y"] < pictures.bounding_box()["y"] - 50, "in a notebook they stand above"
    start_slides(notebook)
    go_to(notebook, [2])
    go_to(notebook, [3])
    page.wait_for_timeout(1500)
    left, right = controls.bounding_box(), pictures.bounding_box()
    assert left["x"] + left["width"] <= right["x"] and abs(left["y"] - right["y"]) < 90
    assert right["x"] + right["width"] <= WIDTH
    assert not page.locator(".jp-Cell:has(.lk-panel) .jp-Cell-inputWrapper").is_visible()


def test_the_command_opens_the_lesson_that_it_was_asked_for(browser, lecture):
    from tests.lab_server import TOKEN

    page = browser.new_page()
    try:
        page.goto(f"{lecture.url}/?token={TOKEN}")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
        assert "04_deconvnet.ipynb" in page.url or page.get_by_text("4 · DeconvNet step by step").count()
    finally:
        page.close()


def test_the_slides_of_a_lesson_fit_into_the_window(present, lecture, tmp_path):
    """Lesson 3, as it is stored: it has every kind of slide, the longest table and a closing text."""
    notebook = present("03_lost_with_depth.ipynb")
    page = notebook.page
    page.wait_for_function("() => document.querySelectorAll('.jp-Cell img').length > 5")
    start_slides(notebook)
    page.wait_for_timeout(1500)
    last, too_high = heights(
        notebook, lambda cell: cell in (17, 38) and notebook.screenshot(tmp_path / f"lesson 3, cell {cell}.png")
    )
    assert last == 38, "the last cell was reached"
    assert too_high == {}


def test_the_panels_with_the_most_controls_and_the_most_pictures_fit_into_the_window(present, lecture, tmp_path):
    code = "panels.Maximise(layer='conv4', filter=54)", "panels.Descent(layer='conv4', filter=3, picture=20, step=4)"
    notebook = present(small_lecture(lecture, *code))
    notebook.run_all()
    start_slides(notebook)
    notebook.page.wait_for_timeout(500)
    last, too_high = heights(notebook, lambda cell: notebook.screenshot(tmp_path / f"cell {cell}.png"))
    assert (last, too_high) == (6, {})
