"""The two commands: what they say, what they make, and that they recover.

The set-up itself takes minutes and gigabytes, so here its steps are recorded instead of done; a fresh machine walks
the whole way each time that the tests run on one.  JupyterLab and pytest are started for real.
"""

import ast
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest

from tests.lab_server import running_lab

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """course.py in an empty folder of its own; it records the steps of the set-up, and those in `fails` fail."""
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("LECTUREKIT_NO_VENV", raising=False)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "lecturekit-stamp.txt")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(f"the {name} of today", encoding="utf-8")
    module.steps, module.fails = [], ()

    def record(command):
        words = " ".join(map(str, command))
        module.steps.append(words)
        if "-m venv" in words:
            python = module.VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
            python.parent.mkdir(parents=True)
            python.touch()
        return not any(part in words for part in module.fails)

    monkeypatch.setattr(module, "succeeds", record)
    return module


STEPS = {
    "make": "-m venv",
    "ensure pip": "-m ensurepip",
    "get uv": "install --quiet uv",
    "install by uv": "-m uv pip install",
    "install by pip": "-m pip install --editable",
}


def steps(course):
    """The names of the steps since the last look."""
    found = [next(name for name, words in STEPS.items() if words in step) for step in course.steps]
    course.steps.clear()
    return found


def test_the_first_call_makes_the_environment_and_the_second_finds_it(course, capsys):
    python = course.ready_python()
    assert python.exists() and steps(course) == ["make", "get uv", "install by uv"]
    assert "once, needs the internet, takes minutes" in capsys.readouterr().out
    assert course.ready_python() == python and course.steps == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("list_of_packages", ["pyproject.toml", "constraints.txt"])
def test_a_changed_list_of_packages_is_installed_into_the_same_environment(course, capsys, list_of_packages):
    course.ready_python()
    steps(course)
    (course.ROOT / list_of_packages).write_text("another one", encoding="utf-8")
    course.ready_python()
    assert steps(course) == ["get uv", "install by uv"]
    assert "up to date" in capsys.readouterr().out


def test_a_folder_that_was_moved_is_installed_anew(course, monkeypatch, tmp_path):
    course.ready_python()
    steps(course)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        (moved / name).write_text(f"the {name} of today", encoding="utf-8")
    monkeypatch.setattr(course, "ROOT", moved)
    course.ready_python()
    assert steps(course) == ["get uv", "install by uv"], "an editable installation remembers where the course lay"


def test_another_python_gets_another_environment(course, monkeypatch):
    course.ready_python()
    steps(course)
    monkeypatch.setattr(course.sys, "version_info", (3, 99, 0))
    course.ready_python()
    assert steps(course) == ["make", "get uv", "install by uv"]


@pytest.mark.parametrize("killed_in", ["-m venv", "-m uv"])
def test_an_interrupted_set_up_starts_again(course, capsys, monkeypatch, killed_in):
    calm = course.succeeds

    def killed(command):
        calm(command)
        if killed_in in " ".join(map(str, command)):
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(course, "succeeds", killed)
    assert course.main(["lab"]) == 1
    assert "The same command starts it again" in capsys.readouterr().out
    (course.VENV / "half a package").mkdir()
    monkeypatch.setattr(course, "succeeds", calm)
    steps(course)
    course.ready_python()
    assert steps(course) == ["make", "get uv", "install by uv"] and not (course.VENV / "half a package").exists()
    assert "An earlier set-up was interrupted" in capsys.readouterr().out


def test_an_environment_of_the_readers_own_is_added_to_and_never_emptied(course, capsys):
    course.succeeds([sys.executable, "-m", "venv"])
    (course.VENV / "theirs").touch()
    steps(course)
    course.fails = ("install",)
    for _ in range(2):  # also after an attempt that failed
        with pytest.raises(course.SetupFailed):
            course.ready_python()
        assert steps(course) == ["ensure pip", "get uv", "install by pip"]
    course.fails = ()
    course.ready_python()
    assert (course.VENV / "theirs").exists()
    assert "that you have in .venv" in capsys.readouterr().out


@pytest.mark.parametrize(("fails", "tried"), [("--quiet uv", []), ("-m uv", ["install by uv"])])
def test_pip_does_it_where_uv_fails(course, capsys, fails, tried):
    course.fails = (fails,)
    course.ready_python()
    assert steps(course) == ["make", "get uv", *tried, "install by pip"]
    assert "trying again with pip" in capsys.readouterr().out


def test_without_the_internet_the_set_up_says_what_to_do(course, capsys):
    course.fails = ("install",)
    assert course.main(["test"]) == 1
    assert (
        "the internet is out of reach or the disk is full. Then call the same command again" in capsys.readouterr().out
    )


def test_without_the_venv_module_the_set_up_says_what_to_do(course, capsys):
    course.fails = ("-m venv",)
    assert course.main(["test"]) == 1
    assert "could not make a virtual environment" in capsys.readouterr().out


def test_a_second_set_up_waits_for_the_first(course, tmp_path):
    code = (
        "import sys, course, time; file = open(sys.argv[1], 'w'); print(course.try_to_lock(file), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / ".venv.lock"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout.readline() == "True\n"
        with open(tmp_path / ".venv.lock", "w") as file:
            assert not course.try_to_lock(file)
            first.communicate("\n")
            assert course.try_to_lock(file)


def test_a_nearly_full_disk_is_told_before_the_download(course, capsys, monkeypatch):
    full = type("Usage", (), {"free": 1.5e9})
    monkeypatch.setattr(course.shutil, "disk_usage", lambda _: full)
    course.ready_python()
    assert "Only 1.5 GB are free here" in capsys.readouterr().out


def test_the_present_python_is_taken_when_asked_for(course, capsys, monkeypatch):
    monkeypatch.setenv("LECTUREKIT_NO_VENV", "1")
    assert course.ready_python() == sys.executable and course.steps == []
    monkeypatch.setattr(course.importlib.util, "find_spec", lambda name: None if name == "torch" else True)
    assert course.main(["lab"]) == 1
    assert "which has no torch. Unset the variable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        (((3, 10, 4), "Linux", "x86_64", True), "needs Python 3.11 or newer; this is 3.10.4"),
        (((3, 12, 1), "Windows", "AMD64", False), "32-bit"),
        (((3, 12, 1), "Darwin", "x86_64", True), "Intel processor"),
    ],
)
def test_a_machine_that_cannot_run_the_course_is_told_why(course, machine, says):
    assert says in course.why_not_here(*machine)


@pytest.mark.parametrize("system", ["Linux", "Windows", "Darwin"])
def test_a_usual_machine_can_run_the_course(course, system):
    assert course.why_not_here((3, 11, 0), system, "arm64", True) is None


def test_an_old_python_can_read_course_py_far_enough_to_say_so():
    source = (ROOT / "course.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 7))
    imports = {a.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imports |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imports <= set(sys.stdlib_module_names), "course.py runs before anything is installed"


@pytest.mark.parametrize(("words", "status"), [([], 2), (["--help"], 0), (["open"], 2)])
def test_without_a_command_it_tells_which_there_are(course, capsys, words, status):
    assert course.main(words) == status
    said = capsys.readouterr().out
    assert all(f"python course.py {command}" in said for command in ("lab", "present", "test"))
    assert ("There is no command 'open'" in said) == (words == ["open"])


@pytest.fixture
def lessons(course, monkeypatch):
    """Two lessons, and the command that would open them, recorded."""
    folder = course.ROOT / "notebooks"
    folder.mkdir()
    for name in ("00_start_here.ipynb", "04_deconvnet.ipynb"):
        (folder / name).touch()
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    monkeypatch.setenv("LECTUREKIT_NO_VENV", "1")
    course.ran = []
    monkeypatch.setattr(course, "run", lambda command, **variables: course.ran.append((command, variables)) or 0)
    return course


@pytest.mark.parametrize(
    ("words", "lesson", "passed_on"),
    [
        (["04"], "04_deconvnet.ipynb", []),
        (["4", "--no-browser"], "04_deconvnet.ipynb", ["--no-browser"]),
        ([], "00_start_here.ipynb", []),
        (["--no-browser"], "00_start_here.ipynb", ["--no-browser"]),
    ],
)
def test_a_lecture_is_opened_on_its_lesson_and_in_large_type(lessons, capsys, words, lesson, passed_on):
    assert lessons.main(["present", *words]) == 0
    ((command, variables),) = lessons.ran
    assert (
        f"--LabApp.default_url=/lab/tree/{lesson}" in command and command[len(command) - len(passed_on) :] == passed_on
    )
    first, second = variables["JUPYTER_CONFIG_PATH"].split(os.pathsep)[:2]
    assert (first, second) == (str(lessons.ROOT / "config" / "present"), str(lessons.ROOT / "config"))
    said = capsys.readouterr().out
    assert "Start Deck" in said and f"lecturekit notes {lesson[:2]}" in said


def test_a_lesson_that_does_not_exist_is_told_with_those_that_do(lessons, capsys):
    assert lessons.main(["present", "77"]) == 2
    assert "There is no lesson '77'. The lessons are: 00, 04" in capsys.readouterr().out
    assert lessons.ran == []


def test_a_student_s_jupyterlab_is_not_the_large_one(lessons):
    assert lessons.main(["lab"]) == 0
    ((_, variables),) = lessons.ran
    assert "present" not in Path(variables["JUPYTER_CONFIG_PATH"]).parts


# For real, with the Python of these tests


def course_py(*words, **variables):
    """Start course.py from a folder that is not its own."""
    environment = {**os.environ, "LECTUREKIT_NO_VENV": "1", **variables}
    command = [sys.executable, ROOT / "course.py", *words]
    return subprocess.Popen(command, cwd=ROOT.parent, env=environment, stdout=subprocess.PIPE, text=True)


def test_the_test_command_passes_its_words_on_to_pytest():
    with course_py("test", "--collect-only", "-q", "tests/test_course.py", "-k", "usual_machine") as process:
        said = process.communicate()[0]
    assert process.returncode == 0
    assert "3/" in said.splitlines()[-1] and "collected" in said.splitlines()[-1]


def test_the_lab_command_serves_the_notebooks_with_the_settings_of_the_course(tmp_path):
    (tmp_path / "course").mkdir()
    with running_lab(tmp_path / "course") as lab:
        names = {entry["name"] for entry in lab.ask("/api/contents")["content"]}
        assert names >= {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
        comms = lab.ask("/lab/api/settings/@jupyterlab/apputils-extension:kernels-settings")
        assert comms["schema"]["properties"]["commsOverSubshells"]["default"] == "disabled"
        fonts = lab.ask("/lab/api/settings/@deathbeds/jupyterlab-fonts:fonts")
        assert fonts["schema"]["properties"]["styles"]["default"] == {}, "large type is for lectures"
    with pytest.raises(OSError, match="refused"):
        lab.ask("/api/status")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that one process can send to another")
@pytest.mark.parametrize(
    ("signal_name", "to_all", "status"), [("SIGINT", True, 7), ("SIGTERM", False, -signal.SIGTERM)]
)
def test_ctrl_c_and_kill_reach_the_program_that_runs(signal_name, to_all, status):
    child = "import sys, time\ntry: print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: sys.exit(7)"
    parent = f"import sys, course; sys.exit(course.run([sys.executable, '-c', {child!r}]))"
    command = [sys.executable, "-c", parent]
    default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background is born deaf to Ctrl-C
    how = dict(cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=default)
    with subprocess.Popen(command, **how) as process:
        assert process.stdout.readline() == "up\n"
        (os.killpg if to_all else os.kill)(process.pid, getattr(signal, signal_name))
        assert process.wait(timeout=30) == status % 256 or process.returncode == status


@pytest.mark.parametrize("folder", ["config", "config/present"])
def test_every_setting_of_the_course_exists_in_this_jupyterlab(folder):
    overrides = ROOT / folder / "labconfig" / "default_setting_overrides.json"
    share = Path(sys.prefix, "share", "jupyter")
    for plugin, values in json.loads(overrides.read_text(encoding="utf-8")).items():
        extension, name = plugin.split(":")
        places = share / "lab" / "schemas" / extension, share / "labextensions" / extension / "schemas" / extension
        path = next(place / f"{name}.json" for place in places if (place / f"{name}.json").exists())
        schema = json.loads(path.read_text(encoding="utf-8"))["properties"]
        assert set(values) <= set(schema), f"{plugin} has no {', '.join(set(values) - set(schema))} any more"


# The lists of packages


def dependencies():
    """The packages of pyproject.toml as (name, list that they are in)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    named = [(re.match(r"[\w-]+", line).group(), group) for group, lines in lists.items() for line in lines]
    return [(name, group) for name, group in named if name != "lecturekit"]


def test_every_package_is_pinned_and_no_line_names_a_place():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {re.match(r"[\w.-]+", line).group() for line in lines if not line.startswith("#")}
    assert {name for name, _ in dependencies()} <= pinned
    assert not [line for line in lines if "://" in line or " @ " in line]


def test_conda_gets_the_same_packages():
    other_names = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    listed = re.findall(r"^  - ([\w-]+)", (ROOT / "environment.yml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    wanted = {other_names.get(name, name) for name, group in dependencies() if group == "dependencies"}
    assert wanted <= set(listed)


def test_every_package_is_used_and_every_used_one_is_listed():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "lecturekit").rglob("*.py")]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    used = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    used |= {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    used -= {*sys.stdlib_module_names, "lecturekit", "IPython"}  # IPython is what ipykernel runs
    import_names = {"scikit-image": "skimage", "scikit-learn": "sklearn", "pillow": "PIL"}
    listed = {import_names.get(name, name) for name, group in dependencies() if group == "dependencies"}
    extra = {name for name, group in dependencies() if group in ("camera", "grade")}  # not everybody has these
    assert used <= listed | extra, f"import without a line in pyproject.toml: {', '.join(used - listed - extra)}"
    named = {name for name in listed if any(f'"{name}' in source for source in sources)}  # found or loaded by name
    programs, kept_files = {"jupyterlab", "ipykernel"}, {"sklearn"}  # its copy of the Olivetti faces is read as a file
    idle = (listed | extra) - used - named - programs - kept_files
    assert not idle, f"in pyproject.toml, but nothing imports it: {', '.join(idle)}"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash reads the script, and this machine has none")
def test_the_script_of_ci_is_sound():
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0
