"""The panels where they are used: a hand on a slider in JupyterLab, and the picture that follows."""

import pytest

from lecturekit import panels
from tests.browser.driving import CLIPPED, PALE, PIXELS, notebook_with, turn_something

QUESTIONS = """
import torch
from lecturekit.panels.quiz import Question
x = torch.rand(6, 3, 16, 16)
questions = [Question(x[:4], x[4:], 1, "It is brighter."), Question(x[:4], x[4:], 0)]
"""
# One cell for each panel that there is: quick to compute, and with a slider or a menu that changes its pictures.
PANELS = {
    "Attack": "panels.Attack()",
    "Census": "panels.Census(count=50)",
    "Curve": "panels.Curve()",
    "DeconvNet": "panels.DeconvNet()",
    "Depth": "panels.Depth()",
    "Descent": "panels.Descent()",
    "ForwardPass": "panels.ForwardPass(layer='relu3')",
    "Gallery": "panels.Gallery()",
    "Initialise": "panels.Initialise()",
    "InverseNet": "panels.InverseNet()",
    "Invert": "panels.Invert(layer='conv1', evaluations=20)",
    "Leakage": "panels.Leakage()",
    "Maximise": "panels.Maximise(steps=16)",
    "Quiz": f"{QUESTIONS}panels.Quiz(questions)",
    "Slice": "panels.Slice(points=9)",
    "Transfer": "panels.Transfer()",
    "Unit": "panels.Unit()",
}


def test_no_panel_is_left_out():
    assert sorted(PANELS) == sorted(panels.__all__), "a panel is tried in the browser when it stands in PANELS"


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_is_ready_without_a_click_and_follows_its_controls(name, open_notebook, lab, tmp_path):
    notebook = open_notebook(notebook_with(lab, f"{name}.ipynb", PANELS[name]))
    notebook.tall()
    notebook.run_all()
    assert notebook.errors() == []
    (panel,) = notebook.panels()
    before = panel.evaluate(PIXELS)
    assert before, "there is something to see"
    for theme in ("Dark", "Light"):
        notebook.theme(theme)
        panel.screenshot(path=tmp_path / f"{name} {theme}.png")
        assert panel.evaluate(CLIPPED) == []
        assert panel.evaluate(PALE) == []
    if name == "Quiz":
        return  # it has buttons only, and a test of its own
    turn_something(notebook, panel)
    assert panel.evaluate(PIXELS) != before
    assert panel.evaluate(CLIPPED) == []
    panel.screenshot(path=tmp_path / f"{name} turned.png")
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


def test_a_quiz_is_answered_with_the_keyboard(open_notebook, lab):
    notebook = open_notebook(notebook_with(lab, "quiz.ipynb", PANELS["Quiz"]))
    notebook.run_all()
    panel = notebook.page.locator(".lk-panel")
    says = panel.locator(".lk-status")  # the hidden line for screen readers says the same
    says.get_by_text("Choose A or B.", exact=False).wait_for()
    panel.get_by_role("button", name="B", exact=True).press("Enter")
    says.get_by_text("Right: it is B. It is brighter.", exact=False).wait_for()
    panel.get_by_role("button", name="A", exact=True).press("Enter")  # the first answer counts
    panel.get_by_role("button", name="Next question").press("Enter")
    panel.locator(".lk-caption").get_by_text("question 2 of 2", exact=False).wait_for()
    panel.get_by_role("button", name="B", exact=True).press("Enter")
    says.get_by_text("Wrong: it is A.", exact=False).wait_for()
    assert panel.evaluate(CLIPPED) == []
    assert notebook.errors() == []
