"""The notebooks with even numbers, as a student opens them; in two files, because two processes share the work."""

import pytest

from tests.browser.walking import MINUTES, NOTEBOOKS, walk


@pytest.mark.timeout(60 * MINUTES)
@pytest.mark.parametrize("path", NOTEBOOKS[0::2], ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_panels_follow_a_hand(path, open_notebook, tmp_path):
    walk(open_notebook, path.name, tmp_path)
