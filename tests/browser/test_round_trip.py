"""A student in the browser: a wrong answer and its hint, the right one and its picture; saved, graded, read."""

import os

import nbformat
import pytest

from lecturekit.course import sandbox, sheet
from lecturekit.course.classwork import Course, grade_all
from lecturekit.course.release import released
from tests.browser.driving import READY
from tests.course.wrong_attacks import WRONG
from tests.test_architecture import ROOT

for package in ("nbgrader", "distributed"):
    pytest.importorskip(package, reason=f"{package} is not installed; `pip install 'lecturekit[grade]'` brings it")
pytestmark = [
    pytest.mark.skipif(bool(sandbox.why_not_isolated()), reason=f"no sandbox: {sandbox.why_not_isolated()}"),
    pytest.mark.filterwarnings("ignore"),  # of nbgrader and Dask, about the versions of others
]
SOLUTION = ROOT / "solutions" / "attacks" / "attacks.ipynb"
WRONG_FGSM, _ = WRONG["fgsm"]["no sign"]
RIGHT_FGSM = (
    "def fgsm(model, x, y, eps):\n    return (x + eps * input_gradient(model, x, y).sign()).clamp(0, 1)\n"
    "print('<script>document.title = \"mine\"</script><img src=x onerror=alert(1)>')"
)
ACTIVATE = """(id) => {
    const {content} = window.jupyterapp.shell.currentWidget;
    content.activeCellIndex = content.widgets.findIndex(cell => cell.model.getMetadata('nbgrader')?.grade_id === id);
    content.mode = 'command';
    content.activate();
    return content.activeCellIndex;
}"""
SAVED = "() => !window.jupyterapp.shell.currentWidget.context.model.dirty"


def handed_out(folder):
    """Store the exercise in ``folder`` as a student left it yesterday: the first task is solved."""
    sources = {cell.id: cell.source for cell in sheet.solution(SOLUTION).cells}
    book = nbformat.reads(released(SOLUTION), as_version=4)
    for cell in book.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "input-gradient":
            cell.source = sources["input-gradient"]
    nbformat.write(book, folder / "attacks.ipynb")
    return "attacks.ipynb"


class Student:
    """Hands on the keyboard of a notebook."""

    def __init__(self, notebook):
        self.page = notebook.page
        self.page.wait_for_function(READY, timeout=60_000)

    def cell(self, id):
        """Make a cell the active one, and return it."""
        return self.page.locator(".jp-Notebook-cell").nth(self.page.evaluate(ACTIVATE, id))

    def run(self, id):
        """Run a cell; return it."""
        cell = self.cell(id)
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(READY, timeout=60_000)
        return cell

    def write(self, id, words):
        """Write into a cell in place of what stands there, run it, and the check below; return what that shows."""
        self.cell(id).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(words)
        self.page.keyboard.press("Control+Enter")
        return self.run(f"{id}-seen").locator(".jp-OutputArea-output")

    def save(self):
        """Save, and wait until it is on the disk."""
        self.page.keyboard.press("ControlOrMeta+S")
        self.page.wait_for_function(SAVED)


def test_a_student_solves_a_task_in_the_browser_and_reads_the_points(open_notebook, browser, lab, tmp_path):
    notebook = open_notebook(handed_out(lab.notebooks))
    student = Student(notebook)
    for id in ("setup", "input-gradient"):
        student.run(id)
    shown = student.write("fgsm", WRONG_FGSM)
    shown.get_by_text("Not yet right.").wait_for()
    assert "the sign is missing" in " ".join(shown.all_inner_texts())
    assert shown.locator("img").count() == 1, "yours beside the target"
    look(notebook.page, shown, "hint")

    shown = student.write("fgsm", RIGHT_FGSM)
    shown.get_by_text("✓ fgsm: right for one input").wait_for()
    assert shown.locator("img").count() == 1
    assert shown.get_by_text("First row yours, second the target").is_visible()
    look(notebook.page, shown, "right")
    student.save()

    handed_in = tmp_path / "submissions" / "ada" / "attacks" / "attacks.ipynb"
    handed_in.parent.mkdir(parents=True)
    handed_in.write_bytes((lab.notebooks / "attacks.ipynb").read_bytes())
    course = Course({"attacks": sheet.solution(SOLUTION)}, tmp_path / "grading", secret="s")
    (row,) = grade_all(course, tmp_path / "submissions", workers=1)
    assert (row["points"], row["of"], row["state"]) == ("6", "28", "graded"), "two tasks of three points; no words"

    page = browser.new_page()
    page.goto((tmp_path / "grading" / "feedback" / "ada" / "attacks.html").as_uri())
    assert page.get_by_text("6 of 28 points").is_visible()
    assert page.get_by_text("the stub is still empty").count() >= 4
    assert page.get_by_text('<script>document.title = "mine"</script>').is_visible(), "shown, and not run"
    assert page.title() == "Exercise 7 · Attacks"
    assert page.evaluate("() => document.scripts.length + document.images.length") == 0
    look(page, page.locator("h1"), "feedback")
    page.close()


def look(page, part, name):
    """Store what the window shows, if somebody asked for it."""
    if folder := os.environ.get("LECTUREKIT_PICTURES"):
        part.first.scroll_into_view_if_needed()
        page.screenshot(path=f"{folder}/{name}.png", full_page=name == "feedback")
