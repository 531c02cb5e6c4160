"""What is done with every notebook in the browser: run it, move a control of each panel in it, and look."""

from pathlib import Path

from tests.browser.driving import CLIPPED, PALE, PIXELS, turn_something

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
MINUTES = 12  # for one notebook; most take one, on two cores that have other tests to run


def walk(open_notebook, name, folder):
    """Run a notebook from top to bottom, move a control of every panel, and store a screenshot of each."""
    notebook = open_notebook(name)
    notebook.tall(1200)
    notebook.run_all(seconds=60 * (MINUTES - 2))
    assert notebook.errors() == []
    assert notebook.cells_not_run() == []
    panels = notebook.panels()
    assert panels, "a lesson without a panel"
    for number, panel in enumerate(panels):
        before = panel.evaluate(PIXELS)
        assert before, "an empty panel"
        turn_something(notebook, panel)
        assert panel.evaluate(PIXELS) != before
        assert panel.evaluate(CLIPPED) == []
        assert panel.evaluate(PALE) == []
        notebook.screenshot(folder / f"{Path(name).stem} {number}.png")
    assert notebook.errors() == []
