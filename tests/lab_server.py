"""JupyterLab, started as a student starts it, for the tests that need one."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "a-token-for-the-tests"


class Lab:
    """A running JupyterLab: where it is, and a way to ask it."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self.url, self.notebooks = f"http://127.0.0.1:{self.port}", folder / "notebooks"

    def ask(self, path, method="GET"):
        """Return what the server says at ``path``."""
        headers = {"Authorization": f"token {TOKEN}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")


@contextlib.contextmanager
def running_lab(folder, *command, subshells=False):
    """Copy the course into ``folder``, open it there with its own command (``lab`` if none), and stop it at the end.

    A copy, because JupyterLab saves what it shows; and a folder of its own for every setting, so that it opens as for
    somebody who never had JupyterLab before.

    With ``subshells`` widgets are answered on other threads while a cell runs: what JupyterLab does on its own, and the
    course's settings switch off.
    """
    for name in ("config", "notebooks"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "course.py", folder)
    if subshells:
        answer_during_cells(folder / "config" / "labconfig" / "default_setting_overrides.json")
    lab = Lab(folder)
    words = ["--no-browser", "--allow-root", f"--port={lab.port}", "--ServerApp.port_retries=0"]
    words += [f"--IdentityProvider.token={TOKEN}", "--LabApp.expose_app_in_browser=True"]
    own = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"]
    own += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
    settings = {name: str(folder / "settings" / name) for name in own}
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, folder / "course.py", *(command or ("lab",)), *words],
            cwd=folder.parent,
            env={**os.environ, "LECTUREKIT_NO_VENV": "1", **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_it_answers(lab, process, folder / "log.txt")
            yield lab
            lab.ask("/api/shutdown", method="POST")
            assert process.wait(timeout=60) == 0
        finally:
            process.terminate()
            process.wait(timeout=60)


def answer_during_cells(overrides):
    """Leave out the line of the course's settings that makes widgets wait for a running cell."""
    settings = json.loads(overrides.read_text(encoding="utf-8"))
    del settings["@jupyterlab/apputils-extension:kernels-settings"]["commsOverSubshells"]
    overrides.write_text(json.dumps(settings), encoding="utf-8")


def wait_until_it_answers(lab, process, log, patience=90):
    """Return once the server answers; show its log if it ends or takes too long."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            lab.ask("/api/status")
            return
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not come up:\n{log.read_text(encoding='utf-8')}")
