"""A browser with JupyterLab in it, and how to drive a notebook there."""

import contextlib
import secrets
import shutil
from pathlib import Path

import pytest

from tests.lab_server import TOKEN, running_lab

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
IN_A_CONTAINER = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

# The idle light of the toolbar is on before the kernel is connected; "run all" would then clear everything and run
# nothing.  So ask the session itself.
READY = """() => {
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
    const kernel = context?.session?.kernel;
    return context?.isReady && kernel?.connectionStatus === 'connected' && kernel?.status === 'idle';
}"""


@pytest.fixture(scope="package")
def browser(tmp_path_factory):
    """Chromium with an empty profile; the test is skipped where the machine has none."""
    if CHROMIUM is None:
        pytest.skip("this machine has no Chromium or Chrome; install one to test the course in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=CHROMIUM,
            headless=True,
            args=QUIET + IN_A_CONTAINER,
            viewport={"width": 1280, "height": 900},
        )
        yield context
        context.close()


@pytest.fixture(scope="package")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the course, as `python course.py lab` opens it."""
    with running_lab(tmp_path_factory.mktemp("course")) as server:
        yield server


@pytest.fixture
def open_notebook(browser, lab):
    """A function that opens a notebook in a fresh workspace and returns its `Notebook`; the kernel stops at the end."""
    with contextlib.ExitStack() as at_the_end:

        def open_it(path):
            page = browser.new_page()
            at_the_end.callback(stop_kernels, lab)
            at_the_end.callback(page.close)
            page.goto(f"{lab.url}/lab/workspaces/{secrets.token_hex(4)}/tree/{path}?token={TOKEN}&reset")
            page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
            return Notebook(page)

        yield open_it


def stop_kernels(lab):
    for kernel in lab.ask("/api/kernels"):
        lab.ask(f"/api/kernels/{kernel['id']}", method="DELETE")


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, page):
        self.page = page

    def run_all(self, seconds=180):
        """Run every cell and wait until the kernel has nothing to do any more."""
        self.page.wait_for_function(READY, timeout=60_000)
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.wait_for_function(READY, timeout=1000 * seconds)

    def errors(self):
        """The errors that stand under the cells."""
        return self.page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()

    def cells_not_run(self):
        """The code cells that hold something and have no number."""
        return self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
                .filter(cell => cell.cell_type === 'code' && cell.source.trim() && !cell.execution_count)
                .map(cell => cell.source)"""
        )

    def screenshot(self, path: Path):
        """Store what the window shows, for a person to look at."""
        self.page.screenshot(path=path)
