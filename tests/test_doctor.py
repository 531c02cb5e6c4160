"""The doctor: each illness is planted, and must be named together with its cure."""

import importlib.metadata
import json
import subprocess
import sys
from collections import namedtuple

import pytest
from typer.testing import CliRunner

from lecturekit import doctor
from lecturekit.files import sha256
from lecturekit.networks import zoo

Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of shipped weights in which every needed network is whole."""
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    for name in doctor.NETWORKS:
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(name.encode() * 100)
        card = {"architecture": "lecture_net", "bytes": path.stat().st_size, "sha256": sha256(path)}
        (tmp_path / f"{name}.json").write_text(json.dumps(card))
    return tmp_path


@pytest.fixture
def healthy(shelf, monkeypatch):
    """A machine on which everything is good, whatever this one is like."""
    monkeypatch.setattr(doctor, "free_memory", lambda: 8.0)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Disk(9e9, 0, 9e9))
    monkeypatch.setattr(doctor, "NEWEST", sys.version_info[:2])


def test_a_healthy_machine_is_ready(healthy):
    report = doctor.check()
    assert [finding.state for finding in report] == ["good"] * len(doctor.CHECKS), str(report)
    assert not any(finding.remedy for finding in report)
    assert report.verdict() == f"Ready: all {len(doctor.CHECKS)} checks are good."


def test_the_short_table_is_the_same_on_every_healthy_machine(healthy):
    short = str(doctor.check().short())
    assert "good" in short and ".cache" not in short and "8.0 GB" not in short


def test_every_finding_that_is_not_good_says_how_to_mend_it(monkeypatch, shelf):
    monkeypatch.setattr(doctor, "free_memory", lambda: 1.5)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Disk(9e9, 9e9, 1e7))
    monkeypatch.setenv("LECTUREKIT_DEVICE", "abacus")
    (shelf / "photographs.json").unlink()
    report = doctor.check()
    problems = report.problems()
    assert {f.check for f in problems} >= {"memory", "cache", "device", "shipped networks"}
    assert all(finding.remedy for finding in problems)
    assert problems[0].state == "wrong" and problems[-1].state == "warning", "the worst comes first"
    assert report.verdict().startswith(f"Not ready: 3 of {len(report)} checks failed.")
    assert all(finding.remedy in report.verdict() for finding in problems)


def test_a_warning_alone_does_not_stop_the_course(healthy, monkeypatch):
    monkeypatch.setattr(doctor, "free_memory", lambda: 1.5)
    assert doctor.check().verdict().startswith("Ready, with a warning.\n- memory: 1.5 GB free. To mend it: close other")


def test_a_python_that_is_too_old_is_refused_and_one_too_new_is_noted(monkeypatch):
    monkeypatch.setattr(doctor, "OLDEST", (4, 0))
    assert doctor.python().state == "wrong" and "python.org" in doctor.python().remedy
    monkeypatch.setattr(doctor, "OLDEST", (3, 0))
    monkeypatch.setattr(doctor, "NEWEST", (3, 10))
    assert doctor.python().state == "warning" and "3.10" in doctor.python().remedy


def test_missing_and_old_packages_are_named(monkeypatch):
    wanted = {"torch": ((99,), None), "no-such-package": ((1,), None), "numpy": ((0,), (1,)), "pillow": ((0,), None)}
    monkeypatch.setattr(doctor, "requirements", lambda: wanted)
    finding = doctor.packages()
    assert finding.state == "wrong" and "course.py lab" in finding.remedy
    assert "torch is 2." in finding.found and "no-such-package is missing" in finding.found
    assert "numpy is" in finding.found, "too new is wrong too"
    assert "pillow" not in finding.found


def test_the_requirements_are_those_of_the_project():
    wanted = doctor.requirements()
    assert wanted["torch"] == ((2, 6), None)
    assert wanted["jupyterlab"] == ((4, 2), (5,)), "a lower and an upper limit"
    assert wanted["ipywidgets"] == ((8, 1, 2), None)
    assert "pytest" not in wanted, "what only tests need is no illness"


def test_the_requirements_of_an_installed_wheel_are_read_from_its_own_list(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "site" / "doctor.py"))
    lines = ["torch>=2.6", "jupyterlab<5,>=4.2", 'pytest>=8.3; extra == "test"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: lines)
    assert doctor.requirements() == {"torch": ((2, 6), None), "jupyterlab": ((4, 2), (5,))}


@pytest.mark.parametrize(("error", "words"), [(ImportError("no DLL\nlong trace"), "no DLL"), (OSError(), "OSError")])
def test_a_torch_that_does_not_load_is_told_in_one_line(monkeypatch, error, words):
    import torch

    def broken(*_args, **_how):
        raise error

    monkeypatch.setattr(torch, "ones", broken)
    finding = doctor.pytorch()
    assert finding.state == "wrong" and finding.found == f"does not work ({words})"
    assert ".venv" in finding.remedy


def test_a_torch_that_computes_wrongly_is_noticed(monkeypatch):
    import torch

    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda x, _w: x)
    assert doctor.pytorch().state == "wrong"


def test_a_device_that_is_not_there_is_told_with_its_remedy(monkeypatch):
    monkeypatch.setenv("LECTUREKIT_DEVICE", "abacus")
    finding = doctor.device()
    assert finding.state == "wrong" and "'abacus'" in finding.found and finding.remedy == "unset LECTUREKIT_DEVICE"


@pytest.mark.parametrize(("free", "state"), [(8, "good"), (2, "good"), (1.9, "warning"), (0.9, "wrong")])
def test_memory_has_two_thresholds(monkeypatch, free, state):
    monkeypatch.setattr(doctor, "free_memory", lambda: free)
    assert doctor.memory().state == state


def test_memory_that_cannot_be_told_is_no_illness(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)  # import psutil then fails
    assert doctor.free_memory() is None
    assert doctor.memory().state == "good" and "cannot be told" in doctor.memory().found


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    files = {"/sys/fs/cgroup/memory.max": "1500000000", "/sys/fs/cgroup/memory.current": "500000000"}

    class Fake(type(tmp_path)):
        def read_text(self, *_):
            return files[str(self)]

    monkeypatch.setattr(doctor, "Path", Fake)
    assert doctor.free_memory() == pytest.approx(1.0)
    files["/sys/fs/cgroup/memory.max"] = "max"
    assert doctor.free_memory() > 0, "no limit: the machine's own memory"


def test_a_full_disk_is_noticed_where_the_pictures_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: Disk(9e9, 9e9, 1e7 if folder == tmp_path else 9e9))
    finding = doctor.cache()
    assert finding.state == "wrong" and "0.0 GB free" in finding.found and "LECTUREKIT_CACHE" in finding.remedy


def test_a_cache_that_cannot_be_written_is_noticed(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path / "file"))
    finding = doctor.cache()
    assert finding.state == "wrong" and "no folder can be written" in finding.found


def test_a_flipped_bit_in_a_shipped_network_is_noticed(shelf):
    path = shelf / "picturebook.safetensors"
    data = bytearray(path.read_bytes())
    data[17] ^= 1
    path.write_bytes(data)
    finding = doctor.weights()
    assert finding.state == "wrong"
    assert finding.found == "picturebook.safetensors is damaged or not the file it should be"
    assert "git checkout" in finding.remedy


def test_a_shipped_network_that_lies_nowhere_is_noticed(shelf):
    (shelf / "picturebook.safetensors").unlink()
    assert "is missing" in doctor.weights().found
    (shelf / "photographs.json").unlink()
    assert "photographs is missing" in doctor.weights().found


def test_a_photograph_that_is_not_there_is_noticed(monkeypatch):
    from lecturekit.pictures import photographs

    monkeypatch.setattr(photographs, "bundled", lambda: [1, 2, 3])
    finding = doctor.offline()
    assert finding.state == "wrong" and finding.found.startswith("3 of ") and "scikit-image" in finding.remedy


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        ({"ipywidgets": "8.1.9", "jupyterlab_widgets": "3.0.17"}, "good"),
        ({"ipywidgets": "7.8.1", "jupyterlab_widgets": "3.0.17"}, "wrong"),
        ({"ipywidgets": "8.1.9", "jupyterlab_widgets": "1.1.0"}, "wrong"),
        ({"ipywidgets": "8.1.9"}, "wrong"),
        ({}, "wrong"),
    ],
)
def test_the_two_halves_of_the_panels_must_fit(monkeypatch, versions, state):
    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    assert doctor.widgets().state == state
    assert ("reload" in doctor.widgets().remedy) == (state == "wrong")


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(healthy, monkeypatch):
    def torn():
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr(doctor, "CHECKS", (torn, doctor.python))
    report = doctor.check()
    assert report[0].state == "wrong"
    assert report[0].found == "could not be checked (ZeroDivisionError: division by zero)"
    assert report[1].state == "good"


def test_the_command_prints_the_table_and_fails_if_something_is_wrong(healthy, monkeypatch):
    from lecturekit.__main__ import app

    good = CliRunner().invoke(app, ["doctor"])
    assert good.exit_code == 0 and "Ready: all" in good.output and "Python" in good.output
    monkeypatch.setattr(doctor, "free_memory", lambda: 0.1)
    ill = CliRunner().invoke(app, ["doctor"])
    assert ill.exit_code == 1 and "To mend it" in ill.output


def test_the_doctor_itself_needs_none_of_the_packages_it_asks_for():
    code = "import sys, lecturekit.doctor; print(*{'torch', 'numpy', 'PIL', 'ipywidgets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
