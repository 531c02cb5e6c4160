"""The rehearsal: faults are planted for real, in copies, and must be found before the hall is full.

The eight of the doctor: missing weights, wrong hash, no network, missing package, slow panel, broken notebook, old
JupyterLab, no write permission.  Each is planted here, and named with its mend.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from lecturekit import doctor, rehearsal
from lecturekit.__main__ import app
from lecturekit.errors import FileError, InputError
from lecturekit.networks import zoo
from lecturekit.rehearsal import surroundings, walking

ROOT = Path(__file__).resolve().parents[1]

PANEL = """
import signal, socket, time
from PIL import Image
import ipywidgets
from lecturekit.errors import FileError, InputError
from lecturekit.panels import controls as knobs, look
from lecturekit.panels.base import Panel
from lecturekit.progress import STOP, Step

class Level(Panel):
    def __init__(self, work=lambda settings, watch: 0, steps=None):
        self.work, self.seen = work, []
        self.picture = look.Picture("Level", 40)
        chosen = {"world": knobs.menu("World", ["book", "upload"]), "upload": knobs.file_button(),
                  "level": knobs.slider("Level", 0, 100, 10), "layer": knobs.walk("Layer", ["a", "b", "c"], "b"),
                  "off": knobs.tick("off")}
        chosen["upload"].layout.display = "none"
        def unveil(event):
            chosen["upload"].layout.display = "" if event["new"] == "upload" else "none"
        chosen["world"].observe(unveil, "value")
        super().__init__(chosen, [look.Strip([self.picture])], steps)
        self.begin({})

    def compute(self, settings, watch):
        self.seen.append(settings)
        return self.work(settings, watch)

    def show(self, result, settings):
        colour = (settings["level"], 100 * settings["off"], 0)
        self.picture.paint(look.packed(Image.new("RGB", (1, 1), colour)), f"level {settings['level']}")
"""


def notebook(folder, *cells, name="90_try.ipynb"):
    """Write a notebook with the panel of this test and some cells; return its path."""
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in (PANEL, *cells)]
    path = folder / name
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def found(report, check):
    """The one finding whose check ends like this."""
    (finding,) = [finding for finding in report if finding.check.endswith(check)]
    return finding


@pytest.fixture
def healthy(monkeypatch):
    """A machine on which the other checks are good, whatever this one is like."""
    monkeypatch.setattr(doctor, "free_memory", lambda: 8.0)
    monkeypatch.setattr(doctor, "NEWEST", sys.version_info[:2])
    monkeypatch.setattr(walking, "SOON", 2000)  # a machine that does something else meanwhile is not ill


def call(*words):
    return CliRunner().invoke(app, list(map(str, words)))


# What a good lecture looks like


def test_a_good_lecture_is_ready_and_every_control_was_moved(healthy, tmp_path):
    path = notebook(tmp_path, "panel = Level()\npanel", "seen = panel.seen")
    before = path.read_bytes()
    said = call("doctor", "--lecture", path)
    assert said.exit_code == 0, said.output
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path], "it leaves nothing behind"
    assert "Ready: all" in said.output and "cell 2, Level" in said.output and "3 cells in" in said.output


def test_every_control_goes_alone_to_its_ends_and_a_menu_to_all_of_its_choices(tmp_path):
    path = notebook(tmp_path, "panel = Level()")
    with surroundings.keyboard() as ctrl_c:
        _, [(name, panel)] = rehearsal.run(path, ctrl_c)
        first = panel.settings()
        panel.seen.clear()
        steps = []
        moves = walking.walk(name, panel, ctrl_c, steps.append)
    changed = [{k: v for k, v in settings.items() if v != first[k]} for settings in panel.seen]
    assert [list(c) for c in changed] == [
        [],
        ["world"],
        ["world", "upload"],
        *[["level"]] * 2,
        *[["layer"]] * 2,
        [],
        ["off"],
    ]
    assert [c["level"] for c in changed if "level" in c] == [0, 100]
    assert [c["layer"] for c in changed if "layer" in c] == ["a", "c"]
    assert panel.settings() == first, "the panel is left as it was"
    assert [m.setting for m in moves][:3] == ["world = book", "world = upload", "upload = a file"]
    assert steps[0].done == 0 and steps[-1].done == steps[-1].total == len(moves) == 9
    assert "level = 100" in "".join(step.note for step in steps)


def test_work_in_steps_is_stopped_soon_after_its_first_report(tmp_path):
    work = """
    def work(settings, watch):
        for done in range(1, 10_000):
            time.sleep(0.01)
            if watch(Step(done, 10_000)) == STOP:
                break
    panel = Level(lambda settings, watch: None, steps="steps")
    panel.work = work
    """
    began = time.monotonic()
    report = rehearsal.rehearse(notebook(tmp_path, work))
    assert time.monotonic() - began < 30, "nine moves of a hundred seconds each"
    finding = found(report, "Level")
    assert finding.state == "good" and finding.needed.startswith("first report within"), finding
    assert "9 moves" in finding.found


def test_work_that_does_not_heed_stop_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(rehearsal, "HEEDS", 0.2)
    work = """
    def work(settings, watch):
        if settings["off"]:
            watch(Step(0, 2))
            time.sleep(1)
    panel = Level(work, steps="steps")
    """
    finding = found(rehearsal.rehearse(notebook(tmp_path, work)), "Level")
    assert finding.state == "warning" and "after Stop (off = on)" in finding.found


def test_an_answer_in_words_is_no_fault_and_an_error_is(tmp_path):
    words = """
    def work(settings, watch):
        if settings["level"] == 100:
            raise InputError("the level is too high")
    panel = Level(work)
    """
    assert found(rehearsal.rehearse(notebook(tmp_path, words)), "Level").state != "wrong"
    torn = """
    def work(settings, watch):
        if settings["layer"] == "c":
            raise ZeroDivisionError("oh")
    panel = Level(work)
    """
    finding = found(rehearsal.rehearse(notebook(tmp_path, torn)), "Level")
    assert finding.state == "wrong" and "1 of 9 moves fail (layer = c: ZeroDivisionError: oh)" in finding.found
    assert "leave these choices alone" in finding.remedy


def test_a_control_that_raises_when_it_is_turned_is_a_fault_and_no_traceback(healthy, tmp_path):
    stuck = """
    panel = Level()
    def filters(event):
        {"a": 6, "b": 40}[event["new"]]
    panel.controls["layer"].observe(filters, "value")
    panel
    """
    said = call("doctor", "--lecture", notebook(tmp_path, stuck))
    assert said.exit_code == 1 and said.exception.__class__ is SystemExit, said.output
    words = " ".join(said.output.split())
    assert "Traceback" not in words and "1 of 7 moves fail" in words and "KeyError: 'c'" in words


def test_a_panel_that_misses_a_file_is_a_fault(tmp_path):
    work = """
    def work(settings, watch):
        if settings["world"] == "upload":
            raise FileError("conv5.safetensors is missing")
    panel = Level(work)
    """
    finding = found(rehearsal.rehearse(notebook(tmp_path, work)), "Level")
    assert finding.state == "wrong" and "conv5.safetensors is missing" in finding.found


def test_a_picture_that_does_not_come_back_by_reset_is_named(tmp_path):
    forgets = """
    class Forgetful(Level):
        def show(self, result, settings):
            super().show(result, {**settings, "level": len(self.seen)})
    panel = Forgetful()
    """
    finding = found(rehearsal.rehearse(notebook(tmp_path, forgets)), "Forgetful")
    assert finding.state == "warning" and "Reset does not bring the first picture back" in finding.found


# The eight planted faults


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A copy of the shipped weights that a test may damage."""
    folder = tmp_path / "weights"
    shutil.copytree(zoo.WEIGHTS, folder)
    monkeypatch.setattr(zoo, "WEIGHTS", folder)
    return folder


def test_planted_1_missing_weights(healthy, weights, tmp_path):
    (weights / "picturebook.safetensors").unlink()
    cell = f"from lecturekit import networks\nnetworks.load('picturebook', {str(weights)!r})"
    said = call("doctor", "--lecture", notebook(tmp_path, cell))
    assert said.exit_code == 1
    assert "- shipped networks: " in said.output and "picturebook.safetensors is missing" in said.output
    assert "To mend it: get the course again (git checkout -- lecturekit/networks/weights" in said.output
    assert "- notebook: cell 2 fails: FileError: " in said.output, "and the notebook says so too"


def test_planted_2_wrong_hash(healthy, weights, tmp_path):
    path = weights / "photographs.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    said = call("doctor", "--lecture", notebook(tmp_path))
    assert said.exit_code == 1
    assert "photographs.safetensors is damaged or not the file it should be. To mend it: get the course" in said.output


def test_planted_3_no_network(tmp_path):
    """In a process of its own: here every test is cut off already, and an attempt would fail it."""
    fetch = """
    def work(settings, watch):
        if settings["off"]:
            try:
                socket.create_connection(("192.0.2.1", 80), timeout=1)  # an address that belongs to nobody
            except OSError as problem:  # swallowed, as many libraries do
                assert "refuses the network" in str(problem)
    panel = Level(work)
    """
    code = "import sys; from lecturekit.rehearsal import rehearse; print(rehearse(sys.argv[1]).verdict())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, notebook(tmp_path, fetch)]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT).stdout
    assert "moves fail" not in said, "it was refused, not only noted"
    assert "- offline: 192.0.2.1 was tried to be reached, and refused. To mend it: download it before" in said


def test_planted_4_missing_package(healthy, tmp_path, monkeypatch):
    said = call("doctor", "--lecture", notebook(tmp_path, "import no_such_package_of_ours"))
    assert said.exit_code == 1
    assert "cell 2 fails: ModuleNotFoundError: No module named 'no_such_package_of_ours'" in said.output
    assert "To mend it: pip install no_such_package_of_ours." in said.output


def test_planted_4_missing_package_of_the_course_itself(healthy, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "requirements", lambda: {"jupyterlab": ((4, 2), (5,)), "no-such-package": ((1,), None)})
    said = call("doctor", "--lecture", notebook(tmp_path))
    assert "- packages: no-such-package is missing. To mend it: call python course.py lab again" in said.output


def test_planted_5_slow_panel(tmp_path):
    slow = """
    def work(settings, watch):
        time.sleep(0.5 * (settings["level"] == 100))
    panel = Level(work)
    """
    report = rehearsal.rehearse(notebook(tmp_path, slow))
    finding = found(report, "Level")
    assert finding.state == "warning" and "slow (" in finding.found and "level = 100: 5" in finding.found
    assert f"- cell 2, Level: {finding.found}. To mend it: leave these out, say beforehand" in report.verdict()


def test_planted_5_slow_only_the_first_time(tmp_path):
    once = """
    known = set()
    def work(settings, watch):
        if settings["level"] == 100 and not known:
            time.sleep(0.5)
            known.add(100)
    panel = Level(work)
    """
    finding = found(rehearsal.rehearse(notebook(tmp_path, once)), "Level")
    assert finding.state == "warning" and finding.remedy == "go there once before the lecture, it is remembered"


def test_planted_5_slow_work_in_steps_whose_first_report_is_late(tmp_path):
    late = """
    def work(settings, watch):
        time.sleep(0.5)
        watch(Step(1, 2))
        time.sleep(0.4)
    panel = Level(lambda settings, watch: None, steps="steps")
    panel.work = work
    """
    finding = found(rehearsal.rehearse(notebook(tmp_path, late)), "Level")
    assert finding.state == "warning" and "9 slow" in finding.found


def test_planted_6_broken_notebook(healthy, tmp_path):
    said = call("doctor", "--lecture", notebook(tmp_path, "panel = Level()", "x = 1 / 0", "never = 1"))
    assert said.exit_code == 1
    assert "cell 3 fails: ZeroDivisionError: division by zero. To mend it: mend cell 3, or get" in said.output
    assert "cell 2, Level" in said.output, "the panels above it are walked all the same"


@pytest.mark.parametrize("content", ["", "{}", '{"cells": 3}', "[]"])
def test_planted_6_a_file_that_is_no_notebook(tmp_path, content):
    path = tmp_path / "90_try.ipynb"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match=r"90_try\.ipynb is no notebook; get it again \(git checkout"):
        rehearsal.rehearse(path)


@pytest.mark.parametrize(
    ("version", "state"), [("3.6.7", "wrong"), ("4.1.8", "wrong"), ("4.2.0", "good"), ("5.0.0", "wrong")]
)
def test_planted_7_old_jupyterlab(monkeypatch, tmp_path, version, state):
    """Its metadata are laid in front of the installed ones, as an old installation would leave them."""
    folder = tmp_path / f"jupyterlab-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: jupyterlab\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    finding = rehearsal.jupyterlab()
    assert finding.state == state and version in finding.found
    if state == "wrong":
        assert finding.remedy == 'pip install "jupyterlab>=4.2,<5", then reload the page in the browser'
        assert f"jupyterlab is {version}" in doctor.packages().found, "the machine's own check says it too"


def test_planted_7_no_jupyterlab_and_no_slides(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert rehearsal.jupyterlab()[2:] == ("wrong", "is missing", doctor.AGAIN)
    assert rehearsal.slides().state == "warning" and "pip install jupyterlab-slideshow" in rehearsal.slides().remedy


def test_planted_8_no_write_permission_for_the_cache(healthy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path / "file"))
    said = call("doctor", "--lecture", notebook(tmp_path))
    assert said.exit_code == 1
    assert "- cache: no folder can be written among" in said.output
    assert "To mend it: set LECTUREKIT_CACHE to a folder of yours." in said.output


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="only Linux has a folder that even root cannot write")
def test_planted_8_no_write_permission_for_the_notebook():
    finding = rehearsal.saved(Path("/proc/self/90_try.ipynb"))
    assert finding.state == "wrong" and finding.found.startswith("90_try.ipynb cannot be saved where it is (")
    assert finding.remedy == "copy the course to a folder of your own"


# How it ends, and where it begins


@pytest.mark.parametrize("where", ["cell", "panel"])
def test_ctrl_c_leaves_a_partial_report(healthy, tmp_path, where):
    press = "signal.raise_signal(signal.SIGINT)"
    work = f"""
    def work(settings, watch):
        if settings["layer"] == "c":
            {press}
            time.sleep(0.3)
    panel = Level(work)
    """
    cells = [work, "x = 1", press, "y = 2"] if where == "cell" else [work]
    said = call("doctor", "--lecture", notebook(tmp_path, *cells))
    assert "- rehearsal: stopped by Ctrl-C: what stands here was found until then" in said.output
    assert "offline" in said.output
    if where == "cell":
        assert "- notebook: stopped in cell 4." in said.output
    else:
        assert "cell 2, Level" in said.output and "2 cells in" in said.output


def test_the_network_and_the_keyboard_are_given_back(tmp_path):
    import signal

    before = signal.getsignal(signal.SIGINT), Path.cwd()
    rehearsal.rehearse(notebook(tmp_path))
    assert (signal.getsignal(signal.SIGINT), Path.cwd()) == before
    assert not surroundings.ATTEMPTS.on


def test_a_lecture_is_found_by_its_number_or_its_path(tmp_path):
    assert rehearsal.find("04").name == rehearsal.find("4").name == "04_deconvnet.ipynb"
    path = notebook(tmp_path)
    assert rehearsal.find(str(path)) == path.resolve()
    with pytest.raises(InputError, match="there is no lecture named '77'.*Available: 00, 01"):
        rehearsal.find("77")
    with pytest.raises(InputError, match="there is no lecture named 'nowhere.ipynb'"):
        rehearsal.find("nowhere.ipynb")


def test_this_machine_is_no_network():
    assert all(map(surroundings.this_machine, ("127.0.0.1", "::1", "localhost", b"localhost", None, "")))
    assert not any(map(surroundings.this_machine, ("192.0.2.1", "example.org", b"example.org", "2001:db8::1")))


def test_what_a_student_brings_is_a_picture():
    import io

    from PIL import Image

    assert Image.open(io.BytesIO(walking.picture_file())).size == (640, 360)


def test_the_cells_of_a_notebook_keep_their_numbers(tmp_path):
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("x = 1\ny = 2")]
    path = tmp_path / "90_try.ipynb"
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    assert rehearsal.code(path) == ["", "x = 1\ny = 2"]
