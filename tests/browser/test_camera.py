"""A student's own photograph: a browser whose camera films a test card, and a panel that looks at what it sends."""

import concurrent.futures
import contextlib
import functools
import importlib.util

import nbformat
import pytest

from tests.browser.driving import (
    CHROMIUM,
    CLIPPED,
    IN_A_CONTAINER,
    NO_BROWSER,
    PIXELS,
    QUIET,
    changed,
    notebook_with,
    opening,
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=NO_BROWSER),
    pytest.mark.skipif(importlib.util.find_spec("ipywebrtc") is None, reason="no camera: pip install ipywebrtc"),
]
TEST_CARD = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")  # and yes to every question
FILMING = """() => [...document.querySelectorAll('.lk-camera video')]
    .filter(video => video.videoWidth && video.srcObject?.active).length"""


def by_itself(test):
    """Run a test in a thread of its own: one thread has one Playwright, and the other browser tests use this one's."""

    @functools.wraps(test)
    def run(lab, tmp_path):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(test, lab, tmp_path).result()

    return run


@contextlib.contextmanager
def opened(lab, folder, name, switches=()):
    """Show one panel in a browser with these switches; yield the `Notebook` and the panel."""
    from playwright.sync_api import sync_playwright

    path = notebook_with(lab, f"{name}.ipynb", "panel = panels.DeconvNet(layer='fc8', filter=3)\npanel")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=CHROMIUM,
            headless=True,
            args=[*QUIET, *IN_A_CONTAINER, *switches],
            viewport={"width": 1280, "height": 900},
        )
        with opening(browser, lab) as open_notebook:
            notebook = open_notebook(path)
            notebook.run_all()
            yield notebook, notebook.page.locator(".lk-panel")
        browser.close()


def painted(page, panel, before):
    """Wait until all pictures of a panel are others than ``before``, and no more come; return them."""
    now, latest = [], changed(page, panel, before)
    while now != latest:  # one picture after the other arrives, on a busy machine slowly
        page.wait_for_timeout(1000)
        now, latest = latest, panel.evaluate(PIXELS)
    return latest


@by_itself
def test_a_photograph_is_taken_and_looked_at_and_nothing_of_it_is_stored(lab, tmp_path):
    with opened(lab, tmp_path, "camera", TEST_CARD) as (notebook, panel):
        page, shown = notebook.page, panel.element_handle()
        panel.locator("select").first.select_option("my camera")
        panel.get_by_text("No picture was taken yet", exact=False).wait_for()
        assert page.evaluate(FILMING) == 0, "nobody opened the camera yet"
        panel.get_by_role("button", name="Open the camera").press("Enter")
        page.wait_for_function(f"({FILMING})() === 1")
        before = shown.evaluate(PIXELS)
        panel.get_by_role("button", name="Take the picture").press("Enter")
        panel.locator(".lk-caption", has_text="taken with the camera").wait_for()
        first = painted(page, shown, before)
        page.screenshot(path=tmp_path / "camera.png")
        panel.get_by_role("button", name="Take the picture").press("Enter")  # the clock on the test card went on
        second = painted(page, shown, first)
        assert first[0] != second[0], "another picture, not only another caption"
        assert shown.evaluate(CLIPPED) == []
        panel.get_by_role("button", name="Close the camera").press("Enter")
        page.wait_for_function(f"({FILMING})() === 0")
        assert shown.evaluate(PIXELS) == second, "what was taken stays"
        page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
        assert notebook.errors() == []
    stored = nbformat.read(lab.notebooks / "camera.ipynb", as_version=4)
    (output,) = stored.cells[1].outputs
    assert "widgets" not in stored.metadata
    assert "taken with" not in output.data["text/plain"]
    assert "number 5" in output.data["text/plain"], "the static picture is that of the cell, before the camera"


@by_itself
def test_another_world_turns_the_light_of_the_camera_off(lab, tmp_path):
    with opened(lab, tmp_path, "world", TEST_CARD) as (notebook, panel):
        panel.locator("select").first.select_option("my camera")
        panel.get_by_role("button", name="Open the camera").click()
        notebook.page.wait_for_function(f"({FILMING})() === 1")
        track = notebook.page.evaluate_handle(
            "document.querySelector('.lk-camera video').srcObject.getVideoTracks()[0]"
        )
        assert track.evaluate("track => track.readyState") == "live"
        panel.locator("select").first.select_option("photographs")
        notebook.page.wait_for_function("track => track.readyState === 'ended'", arg=track)
        assert notebook.errors() == []


@by_itself
def test_a_browser_without_a_camera_is_told_in_words_and_the_panel_works_on(lab, tmp_path):
    with opened(lab, tmp_path, "none") as (notebook, panel):
        shown = panel.element_handle()
        before = shown.evaluate(PIXELS)
        panel.locator("select").first.select_option("my camera")
        panel.get_by_role("button", name="Open the camera").click()
        panel.get_by_text("Then the browser has no camera, or refused it", exact=False).wait_for()
        assert notebook.page.evaluate(FILMING) == 0
        panel.locator("select").first.select_option("photographs")
        changed(notebook.page, shown, before)
        assert notebook.errors() == []
