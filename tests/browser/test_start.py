"""The first minute of a student: the course is open, notebook 00 runs from top to bottom, a slider moves a picture."""

import nbformat

FIRST = "00_start_here.ipynb"

SLIDER_AND_PICTURE = """
import io
import ipywidgets
from PIL import Image

slider, picture = ipywidgets.IntSlider(max=255), ipywidgets.Image(width=64)

def draw(change):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (change["new"], 0, 0)).save(stream, "PNG")
    picture.value = stream.getvalue()

slider.observe(draw, "value")
draw({"new": 0})
box = ipywidgets.VBox([slider, picture])
box.add_class("lk-lab")
box
"""
RED = """() => {
    const picture = document.querySelector('.lk-lab img');
    const canvas = document.createElement('canvas');
    const brush = canvas.getContext('2d');
    brush.drawImage(picture, 0, 0, 1, 1);
    return brush.getImageData(0, 0, 1, 1).data[0];
}"""


def write(path, code):
    """Write a notebook of one cell, and return its name."""
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}  # else Lab asks
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)], metadata=python), path)
    return path.name


def test_the_first_notebook_runs_from_top_to_bottom(open_notebook, lab):
    notebook = open_notebook(FIRST)
    notebook.run_all()
    assert notebook.errors() == []
    assert notebook.cells_not_run() == []


def test_a_slider_moves_a_picture(open_notebook, lab):
    notebook = open_notebook(write(lab.notebooks / "slider.ipynb", SLIDER_AND_PICTURE))
    notebook.run_all()
    assert notebook.errors() == []
    assert notebook.page.evaluate(RED) == 0
    notebook.page.locator(".lk-lab .noUi-handle").press("End")
    notebook.page.wait_for_function(f"({RED})() === 255")


def test_no_pop_up_asks_for_news_and_nothing_is_fetched_from_elsewhere(open_notebook, lab):
    notebook = open_notebook(write(lab.notebooks / "quiet.ipynb", "1 + 1"))
    notebook.run_all()
    assert notebook.page.locator(".Toastify__toast").count() == 0
    fetched = notebook.page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in fetched if not address.startswith((lab.url, "data:", "blob:"))] == []
