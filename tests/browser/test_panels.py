"""The panels where they are used: a hand on a slider in JupyterLab, and the picture that follows."""

import nbformat

PANELS = {
    "ForwardPass": "panels.ForwardPass(layer='relu3')",
    "Invert": "panels.Invert(layer='conv1', evaluations=20)",
    "InverseNet": "panels.InverseNet()",
    "Depth": "panels.Depth()",
    "DeconvNet": "panels.DeconvNet()",
    "Gallery": "panels.Gallery()",
    "Attack": "panels.Attack()",
    "Leakage": "panels.Leakage()",
}
PIXELS = """(panel) => [...panel.querySelectorAll('.lk-picture img')].filter(img => img.offsetParent).map(img => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
    canvas.getContext('2d').drawImage(img, 0, 0);
    return canvas.toDataURL();
})"""
CLIPPED = """(panel) => [...panel.querySelectorAll('.widget-label, .widget-readout, .lk-caption, .lk-title, button')]
    .filter(part => part.offsetParent && part.scrollWidth > part.clientWidth + 1).map(part => part.innerText)"""


def notebook_with(lab, name, *cells):
    """Write a notebook and return its name."""
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_code_cell(code) for code in ("from lecturekit import panels", *cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=python), lab.notebooks / name)
    return name


def changed(page, panel, before):
    """Wait until a panel shows other pictures than ``before``; return them."""
    page.wait_for_function(f"([panel, before]) => ({PIXELS})(panel).join() !== before", arg=[panel, ",".join(before)])
    return panel.evaluate(PIXELS)


def test_every_panel_is_ready_without_a_click_and_follows_its_slider(open_notebook, lab, tmp_path):
    notebook = open_notebook(notebook_with(lab, "panels.ipynb", *PANELS.values()))
    notebook.run_all()
    page = notebook.page
    assert notebook.errors() == []
    shown = page.locator(".lk-panel")
    assert shown.count() == len(PANELS)
    for name, panel in zip(PANELS, shown.element_handles(), strict=True):
        panel.scroll_into_view_if_needed()
        before = panel.evaluate(PIXELS)
        assert len(before) >= 2, name
        assert panel.evaluate(CLIPPED) == [], name
        panel.query_selector(".noUi-handle").press("ArrowRight")  # the number of the picture
        assert changed(page, panel, before)[0] != before[0], name
        panel.screenshot(path=tmp_path / f"{name}.png")
    assert notebook.errors() == []


def test_a_long_run_can_be_stopped_and_what_is_wrong_is_told_in_the_panel(open_notebook, lab):
    code = "panel = panels.Invert(layer='conv1', evaluations=20)\npanel"
    notebook = open_notebook(notebook_with(lab, "stop.ipynb", code))
    notebook.run_all()
    page, panel = notebook.page, notebook.page.locator(".lk-panel")
    labelled = panel.locator(".widget-hslider", has=page.get_by_text("Evaluations", exact=True))
    labelled.locator(".noUi-handle").press("End")  # 400 evaluations
    stop = panel.get_by_role("button", name="Stop")
    page.wait_for_function("stop => !stop.disabled", arg=stop.element_handle())
    stop.click()
    panel.get_by_text("the best so far", exact=False).wait_for()
    panel.locator("select").first.select_option("my own file")
    panel.get_by_text("No picture was uploaded yet", exact=False).wait_for()
    with page.expect_file_chooser() as opened:  # the input element is never part of the page
        panel.get_by_role("button", name="Choose a picture").click()
    opened.value.set_files({"name": "notes.txt", "mimeType": "image/png", "buffer": b"only words"})
    panel.get_by_text("cannot be read as a picture", exact=False).wait_for()
    panel.locator("select").first.select_option("photographs")
    panel.get_by_text("cannot be read as a picture", exact=False).wait_for(state="hidden")
    assert notebook.errors() == []


QUIZ = """import torch
from lecturekit.panels.quiz import Question
x = torch.rand(6, 3, 16, 16)
panel = panels.Quiz([Question(x[:4], x[4:], 1, "It is brighter."), Question(x[:4], x[4:], 0)])
panel"""


def test_a_quiz_is_answered_with_the_keyboard(open_notebook, lab):
    notebook = open_notebook(notebook_with(lab, "quiz.ipynb", QUIZ))
    notebook.run_all()
    panel = notebook.page.locator(".lk-panel")
    panel.get_by_text("Choose A or B.", exact=False).wait_for()
    panel.get_by_role("button", name="B", exact=True).press("Enter")
    panel.get_by_text("Right: it is B. It is brighter.", exact=False).wait_for()
    panel.get_by_role("button", name="A", exact=True).press("Enter")  # the first answer counts
    panel.get_by_role("button", name="Next question").press("Enter")
    panel.get_by_text("question 2 of 2", exact=False).wait_for()
    panel.get_by_role("button", name="B", exact=True).press("Enter")
    panel.get_by_text("Wrong: it is A.", exact=False).wait_for()
    assert panel.evaluate(CLIPPED) == []
    assert notebook.errors() == []
