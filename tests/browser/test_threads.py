"""A panel that is moved while a cell runs: its events wait for the cell, or come on another thread during it."""

import pytest

from tests.browser.driving import PIXELS, changed, handle, notebook_with, opening
from tests.lab_server import running_lab

CELLS = (
    "panel = panels.DeconvNet(layer='conv4')\npanel",
    # What runs on the main thread the while is torch too: nothing of it may get into the panel's pictures.
    "import time, torch\nfrom ipywidgets import HTML\nbusy = HTML('at work').add_class('lk-busy')\ndisplay(busy)\n"
    "end = time.monotonic() + SECONDS\nwhile time.monotonic() < end:\n    torch.rand(50, 50) @ torch.rand(50, 50)\n"
    "busy.value = 'done'",
    # Once more without a hand: the picture in the browser has to be the one of these settings.
    "again = panels.DeconvNet(layer='conv4', **{k: v for k, v in panel.settings().items() if k in ('picture',)})\n"
    "assert [p.png for s in panel.strips for p in s.pictures] == [p.png for s in again.strips for p in s.pictures]\n"
    "display(HTML('same').add_class('lk-same'))",
)


def moved_during_a_cell(open_notebook, lab, name, seconds):
    """Move a panel while a cell runs; return whether the picture changed before the cell had ended."""
    cells = [cell.replace("SECONDS", str(seconds)) for cell in CELLS]
    notebook = open_notebook(notebook_with(lab, name, *cells))
    notebook.start()
    page = notebook.page
    page.get_by_text("at work", exact=True).wait_for(timeout=120_000)
    (panel,) = notebook.panels()
    before = panel.evaluate(PIXELS)
    for _ in range(5):
        handle(panel, "Picture").press("ArrowRight")
    changed(page, panel, before)
    during = page.locator(".lk-busy").inner_text() == "at work"
    panel.wait_for_selector(r"text=/number 10\b/")
    page.locator(".lk-same").wait_for(timeout=120_000)
    assert notebook.errors() == []
    return during


def test_events_that_wait_for_a_running_cell_are_answered_after_it(open_notebook, lab):
    assert not moved_during_a_cell(open_notebook, lab, "waits.ipynb", 10)


@pytest.mark.timeout(600)
def test_events_that_come_on_another_thread_are_answered_during_the_cell(browser, tmp_path):
    with running_lab(tmp_path / "course", subshells=True) as lab, opening(browser, lab) as open_notebook:
        assert moved_during_a_cell(open_notebook, lab, "during.ipynb", 30)
