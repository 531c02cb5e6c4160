"""A browser with JupyterLab in it, and how to drive a notebook there."""

import pytest

from tests.browser.driving import (
    CHROMIUM,
    IN_A_CONTAINER,  # noqa: F401  for whoever starts a browser of their own
    NO_BROWSER,
    QUIET,  # noqa: F401
    READY,  # noqa: F401
    opening,
    running_browser,
)
from tests.lab_server import running_lab


@pytest.fixture(scope="package")
def browser(tmp_path_factory):
    """Chromium with an empty profile; the test is skipped where the machine has none."""
    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)
    with running_browser(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture(scope="package")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the course, as `python course.py lab` opens it."""
    with running_lab(tmp_path_factory.mktemp("course")) as server:
        yield server


@pytest.fixture
def open_notebook(browser, lab):
    """A function that opens a notebook in a fresh workspace and returns its `Notebook`; the kernel stops at the end."""
    with opening(browser, lab) as open_it:
        yield open_it
