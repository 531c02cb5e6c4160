"""A browser with JupyterLab in it, and how to drive a notebook there."""

import os

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

LONG = {"test_memory.py", "test_speed.py", "test_threads.py"}


def pytest_collection_modifyitems(items):
    """Leave out what takes long, or a machine that does nothing else, unless it is asked for."""
    if os.environ.get("LECTUREKIT_BROWSER") != "all":
        reason = "takes long, or needs a quiet machine: LECTUREKIT_BROWSER=all python course.py test tests/browser"
        for item in items:
            if item.path.name in LONG:
                item.add_marker(pytest.mark.skip(reason=reason))


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
