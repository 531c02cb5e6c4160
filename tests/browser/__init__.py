"""Tests that need a browser; a package, so that browser and server are closed after its last test."""

import shutil

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
