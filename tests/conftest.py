"""What many tests share."""

import os
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).resolve().parents[1]

matplotlib.use("agg")  # on a desktop, figures would open windows


@pytest.fixture(scope="session")
def shared():
    """The folder with real weights and pictures that lies beside the repository, where there is one."""
    folder = Path(os.environ.get("LECTUREKIT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder} with real weights and pictures; LECTUREKIT_SHARED can name another")
    return folder


@pytest.fixture(scope="session")
def device():
    """The device that LECTUREKIT_DEVICE names; the processor if unset."""
    from lecturekit import devices

    return devices.device()
