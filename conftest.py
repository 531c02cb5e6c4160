"""What holds for every test and every notebook, also for one that is run alone: no network, one thread, own cache.

It stands at the root because it serves ``tests/`` and ``notebooks/`` alike.  The kernels of the notebooks are processes
of their own; they inherit what is set here through the environment.
"""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
OFFLINE = ROOT / "tools" / "offline"
LONG = "tests/browser/test_notebooks", "tests/test_bench", "tests/course/test_soak", "notebooks/", "tests/browser/"

# Threads that wait for work spin, and beside another busy process they stand in its way: 2 ms become 500.  So a test
# process has one thread, and the cores are filled with processes.  This must come before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), str(ROOT), os.environ.get("PYTHONPATH")]))
os.environ.setdefault("LECTUREKIT_CACHE", str(ROOT / ".cache"))  # drawn pictures, kept from one run to the next
os.environ["MPLBACKEND"] = "agg"  # a window would wait for somebody to close it
sys.path.insert(0, str(OFFLINE))

import cut_off  # noqa: E402  it cuts this process off from the network

from tests.browser import CHROMIUM  # noqa: E402


def pytest_ignore_collect(collection_path, config):
    """Leave a notebook out that `tests/browser` opens and runs in the same session: it sees the same errors and more.

    Notebooks that must print the same as before are run by nbval all the same, which compares it.
    """
    asked = {Path(arg.partition("::")[0]).resolve() for arg in config.args}
    lesson = collection_path.parent == ROOT / "notebooks" and collection_path.suffix == ".ipynb"
    if not (lesson and CHROMIUM and ROOT / "tests" in asked):
        return None
    return True if "NBVAL_CHECK_OUTPUT" not in collection_path.read_text(encoding="utf-8") else None


def pytest_collection_modifyitems(items):
    """Begin with the files that take minutes: what came last of them would run beside a core without work."""
    items.sort(key=lambda item: next((i for i, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG)))


@pytest.fixture(autouse=True)
def nothing_reaches_out(request):
    """Fail a test that tried the network, even if the code under test swallowed the refusal."""
    before = len(cut_off.attempts)
    yield
    tried = cut_off.attempts[before:]
    if tried and not request.node.get_closest_marker("reaches_out"):
        pytest.fail(f"something tried to reach {', '.join(map(str, tried))}; every default must work offline")
