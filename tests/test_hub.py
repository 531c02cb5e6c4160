"""A class on this machine: three people sign in to one hub, and each opens the same exercise on a server of their own.

The hub is the one of `config/jupyterhub`, its servers are real, and what is asked goes over HTTP through its proxy.
"""

import json
import os
import re
import runpy
import shutil
import subprocess
import urllib.error
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import yaml
import zmq
from traitlets.config.loader import PyFileConfigLoader

from lecturekit.course.collect import collect
from tests.hub_server import CONFIGURATION, PASSWORD, ROOT, SECRETS, Browser, running_hub, wait_until, why_no_hub
from tests.lab_server import running_lab

pytestmark = pytest.mark.skipif(bool(why_no_hub()), reason=why_no_hub())

NAMES = ("ada", "grace", "katherine")
EXERCISE = "exercises/attacks/attacks.ipynb"
LINK = "hub/user-redirect/git-pull"
PASSED_ON = {"LECTUREKIT_DEVICE"}  # of our own variables
COLLECTING = runpy.run_path(str(CONFIGURATION.parent / "collect.py"))


@pytest.fixture(scope="module")
def handout(tmp_path_factory):
    """A git repository with the exercises, as an instructor publishes it."""
    folder = tmp_path_factory.mktemp("handout") / "exercises"
    shutil.copytree(ROOT / "exercises", folder)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=folder, check=True)
    publish(folder)
    return folder


def publish(folder):
    """Commit what is in the instructor's folder."""
    who = ["-c", "user.name=course", "-c", "user.email=course@localhost"]
    for words in (["add", "."], [*who, "commit", "--quiet", "--message", "exercises"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


@pytest.fixture(scope="module")
def browsers(tmp_path_factory):
    """Everybody's browser, signed in at a running hub, with JupyterLab open."""
    folder = tmp_path_factory.mktemp("hub")
    own = folder / "homes" / NAMES[0] / ".jupyter"  # she would like to set her server in another way
    own.mkdir(parents=True)
    (own / "jupyter_server_config.json").write_text('{"ContentsManager": {"allow_hidden": true}}')
    with running_hub(folder, NAMES) as hub:
        people = [Browser(hub, name) for name in NAMES]
        with ThreadPoolExecutor() as class_:
            list(class_.map(Browser.sign_in, people))
            list(class_.map(Browser.reach_lab, people))
        yield people


@pytest.fixture(scope="module")
def opened(browsers, handout):
    """The same, once everybody has followed the link to the exercises."""
    for browser in browsers:
        status, url, page = browser.open(f"{browser.hub.url}/{LINK}?{link(handout)}")
        assert status == 200 and url.startswith(f"{browser.home()}git-pull?{link(handout)}"), page
    with ThreadPoolExecutor() as class_:
        list(class_.map(pull, browsers, [handout] * len(browsers)))
    return browsers


def link(repository):
    return urllib.parse.urlencode({"repo": str(repository), "branch": "main", "urlpath": f"lab/tree/{EXERCISE}"})


def pull(browser, repository):
    """Do what the page does that the link leads to; it has a script for it."""
    status, answer = browser.ask(f"git-pull/api?{link(repository)}")
    assert status == 200 and '"phase": "finished"' in answer, answer


def variables(browser):
    """The environment that a student's code sees."""
    return json.loads(browser.run("import json, os; print(json.dumps(dict(os.environ)))"))


def home(browser):
    return browser.hub.folder / "homes" / browser.name


def test_the_link_in_the_readme_is_the_one_that_they_followed():
    readme = (ROOT / "README.md").read_text("utf-8")
    path, query = re.search(r"https://hub\.example\.edu/(hub/\S+)\?(\S+)", readme).groups()
    said = {name: value for name, (value,) in urllib.parse.parse_qs(query).items()}
    repository = "https://git.example.edu/course/exercises"
    assert (path, said) == (LINK, {"repo": repository, "branch": "main", "urlpath": f"lab/tree/{EXERCISE}"})


def test_everybody_opens_the_same_exercise_in_a_folder_of_their_own(opened):
    given = json.loads((ROOT / EXERCISE).read_text(encoding="utf-8"))
    for browser in opened:
        status, answer = browser.ask(f"api/contents/{EXERCISE}")
        assert status == 200, answer
        cells = json.loads(answer)["content"]["cells"]
        assert [cell["source"] for cell in cells] == ["".join(cell["source"]) for cell in given["cells"]]
        assert (home(browser) / EXERCISE).is_file()


def test_everybody_runs_its_first_cell(opened):
    cells = json.loads((ROOT / EXERCISE).read_text(encoding="utf-8"))["cells"]
    first = "".join(next(cell["source"] for cell in cells if cell["cell_type"] == "code"))
    with ThreadPoolExecutor() as class_:
        said = list(class_.map(lambda browser: browser.run(f"{first}\nprint('ran to its end')"), opened))
    assert [words.strip().splitlines()[-1] for words in said] == ["ran to its end"] * len(NAMES)


def test_what_changes_later_comes_too_and_spares_what_a_student_wrote(opened, handout):
    ada = opened[0]
    mine = home(ada) / EXERCISE
    written = mine.read_bytes() + b"\n"
    mine.write_bytes(written)
    (handout / "README.md").write_text("It is due a week later.\n", encoding="utf-8")
    publish(handout)
    pull(ada, handout)
    assert (home(ada) / "exercises" / "README.md").read_text("utf-8") == "It is due a week later.\n"
    assert mine.read_bytes() == written


@pytest.mark.parametrize(
    "path", ["api/contents", f"api/contents/{EXERCISE}", "lab", "api/kernels", "git-pull/api?repo=x"]
)
def test_nobody_reaches_the_server_of_another(opened, path):
    ada, grace, _ = opened
    assert ada.ask(path, whose="grace")[0] == 403, "with the cookies of her browser"
    assert grace.ask("api/contents", token=token(grace))[0] == 200, "the token itself is good"
    assert ada.ask(path, whose="grace", token=token(ada))[0] == 403, "with the token that her own code can read"


def test_nobody_writes_into_the_folder_of_another_or_starts_code_there(opened):
    ada, grace, _ = opened
    for path, method, data in (("api/contents/x.txt", "PUT", b"{}"), ("api/kernels", "POST", b"{}")):
        for headers in ({"X-XSRFToken": ada.cookie("_xsrf")}, {"Authorization": f"token {token(ada)}"}):
            assert ada.open(grace.home() + path, data, headers, method)[0] == 403
    assert not (home(grace) / "x.txt").exists()


def test_a_student_learns_nothing_about_the_class(opened):
    ada = opened[0]
    hub = f"{ada.hub.url}/hub/"
    signed_in, by_token = {"X-XSRFToken": ada.cookie("_xsrf", hub)}, {"Authorization": f"token {token(ada)}"}
    for headers in (signed_in, by_token):
        assert ada.open(f"{hub}api/user", headers=headers)[0] == 200, "about herself she does"
        for path in ("users", "users/grace", "users/grace/tokens", "services", "proxy"):
            assert ada.open(f"{hub}api/{path}", headers=headers)[0] in (403, 404), path


def token(browser):
    """What somebody's own code can read, and hand to others."""
    if not hasattr(browser, "token"):
        browser.token = variables(browser)["JUPYTERHUB_API_TOKEN"]
    return browser.token


def test_nothing_that_is_secret_is_in_the_variables_of_a_server(opened):
    hub = opened[0].hub
    secret = {*SECRETS.values(), PASSWORD, (hub.folder / "jupyterhub_cookie_secret").read_text().strip()}
    for browser in opened:
        found = variables(browser)
        others = {token(other) for other in opened if other is not browser}
        known = " ".join([*found, *found.values()])
        assert not [one for one in secret | others if one in known]
        assert not [name for name in found if "solution" in f"{name} {found[name]}".lower()]
        assert {name for name in found if name.startswith("LECTUREKIT_")} <= PASSED_ON
        assert found["OMP_NUM_THREADS"] == "1"


def test_no_solution_is_in_a_home(opened):
    for browser in opened:
        files = [path for path in home(browser).rglob("*") if path.is_file()]
        assert len(files) > 8 and not [path for path in files if b"BEGIN SOLUTION" in path.read_bytes()]


def test_who_shares_the_machine_does_not_hear_a_kernel(opened):
    """A kernel talks to its server by a port of the machine, which everybody may open."""
    ada = opened[0]
    port = json.loads(ada.run("from ipykernel import get_connection_info as info\nprint(info())"))["iopub_port"]
    with zmq.Context() as context, context.socket(zmq.SUB) as ear:
        ear.subscribe(b"")
        ear.connect(f"tcp://127.0.0.1:{port}")
        assert ada.run("import time\ntime.sleep(1)\nprint('my answer')") == "my answer\n"
        assert not ear.poll(500), f"heard: {ear.recv_multipart()}"


def test_jupyterlab_is_set_as_the_course_wants_it(opened):
    _, _, page = opened[0].open(opened[0].home() + "lab")
    settings = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL).group(1))
    assert "@jupyter/nbgrader" in settings["disabledExtensions"]
    _, answer = opened[0].ask("lab/api/settings/@jupyterlab/notebook-extension:tracker")
    assert json.loads(answer)["schema"]["properties"]["windowingMode"]["default"] == "none"


def test_nothing_in_a_home_changes_how_the_server_is_set(opened):
    assert opened[0].ask("api/contents/.jupyter")[0] == 404, "hidden, although her own file would show it"


@pytest.mark.parametrize("name, password", [("eve", PASSWORD), ("ada", "a-guess-that-is-wrong")])
def test_who_is_not_of_the_class_or_does_not_know_the_password_stays_outside(browsers, name, password):
    stranger = Browser(browsers[0].hub, name)
    assert stranger.sign_in(password)[0] == 403
    assert stranger.open(f"{stranger.hub.url}/hub/home")[1].startswith(f"{stranger.hub.url}/hub/login")
    assert not (browsers[0].hub.folder / "homes" / "eve").exists()


def test_on_a_machine_of_ones_own_no_link_brings_a_repository(tmp_path):
    with running_lab(tmp_path) as lab, pytest.raises(urllib.error.HTTPError, match="404"):
        lab.ask("/git-pull")


def configuration():
    """The settings as the file has them, without what the tests say on the command line."""
    return PyFileConfigLoader(CONFIGURATION.name, str(CONFIGURATION.parent)).load_config()


@pytest.fixture
def class_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "class.txt").write_text("ada\ngrace\n")
    return tmp_path / "class.txt"


def test_without_a_list_of_the_class_there_is_no_hub(class_list):
    class_list.unlink()
    with pytest.raises(SystemExit, match=f"There is no {class_list}: write one name a line"):
        configuration()


def test_what_the_tests_say_on_the_command_line_is_safe_in_the_file(class_list, monkeypatch):
    monkeypatch.setenv("LECTUREKIT_HUB", "https://hub.example.edu")
    c = configuration()
    assert c.JupyterHub.bind_url.startswith("http://127.0.0.1:"), "in plain text, so on this machine alone"
    assert c.JupyterHub.authenticator_class == "pam" and c.JupyterHub.spawner_class == "localprocess"
    assert c.Authenticator.allowed_users == {"ada", "grace"} and c.Authenticator.allow_all is False
    assert c.JupyterHub.cookie_host_prefix_enabled is True
    assert "args" not in c.Spawner


def test_kubernetes_gets_the_same(class_list):
    c, values = configuration(), yaml.safe_load((CONFIGURATION.parent / "values.yaml").read_text("utf-8"))
    user, hub = values["singleuser"], values["hub"]["config"]
    assert (user["memory"]["limit"], user["cpu"]["limit"]) == (c.Spawner.mem_limit, c.Spawner.cpu_limit)
    assert f"--timeout={values['cull']['timeout']}" in c.JupyterHub.services[0]["command"]
    assert user["extraEnv"]["OMP_NUM_THREADS"] == c.Spawner.environment["OMP_NUM_THREADS"]
    assert hub["Authenticator"]["allow_all"] is False and hub["JupyterHub"]["cookie_host_prefix_enabled"] is True
    assert values["proxy"]["https"]["enabled"] is True and user["networkPolicy"]["enabled"] is True


def test_what_they_wrote_is_collected_as_the_grader_wants_it(opened, tmp_path):
    ada, grace, katherine = opened
    mine, stolen = home(ada) / EXERCISE, home(katherine) / EXERCISE
    mine.write_bytes(mine.read_bytes() + b"\n")
    stolen.unlink()
    stolen.symlink_to(home(grace) / EXERCISE)
    homes = home(ada).parent
    assert COLLECTING["collect"](homes, tmp_path, "attacks")[0] == 2
    found = collect(tmp_path, {"attacks"})
    assert set(found.newest) == {("ada", "attacks"), ("grace", "attacks")} and not found.findings
    assert found.newest["ada", "attacks"].data == mine.read_bytes()
    when = os.stat(found.newest["ada", "attacks"].where).st_mtime_ns
    COLLECTING["collect"](homes, tmp_path, "attacks")
    assert os.stat(found.newest["ada", "attacks"].where).st_mtime_ns == when, "what did not change keeps its time"


def test_only_an_ordinary_file_of_the_students_own_is_collected(tmp_path, capsys):
    def notebook(name):
        path = tmp_path / "homes" / name / EXERCISE
        path.parent.mkdir(parents=True)
        return path

    notebook("ada").write_text("{}")
    (tmp_path / "homes" / "eve").mkdir()
    (tmp_path / "homes" / "eve" / "exercises").symlink_to(tmp_path / "homes" / "ada" / "exercises")
    os.mkfifo(notebook("max"))
    with open(notebook("tim"), "wb") as large:
        large.truncate(2**25)
    notebook("a b").write_text("{}")
    (tmp_path / "homes" / "new").mkdir()
    if os.getuid() == 0:  # nobody else can give a file away
        notebook("una").write_text("{}")
        os.chown(tmp_path / "homes" / "una" / EXERCISE, 12345, 12345)
    COLLECTING["main"]([str(tmp_path / "homes"), str(tmp_path / "submissions"), "attacks"])
    said = capsys.readouterr().out
    assert said.startswith("attacks: 1 collected\n") and "new" not in said
    for line in ("eve: left alone, Not a directory", "tim: left alone, more than 20 MB", "a b: left alone, no name"):
        assert line in said
    assert said.count("it is no ordinary file of the student's own") == (2 if os.getuid() == 0 else 1)
    assert [path.name for path in (tmp_path / "submissions").iterdir()] == ["ada"]


def test_servers_that_nobody_uses_are_stopped(opened):
    """The service that the configuration starts, once more with its own rights, and with less patience."""
    hub = opened[0].hub
    culler = next(one for one in hub.family() if "jupyterhub_idle_culler" in one.cmdline())
    words = [*culler.cmdline()[:-1], "--timeout=1", "--cull-every=2"]
    with subprocess.Popen(words, env=culler.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as again:
        try:
            wait_until(lambda: not [one for one in hub.family() if "jupyterhub.singleuser" in words_of(one)])
        finally:
            again.terminate()
    assert (hub.folder / "homes" / "ada" / EXERCISE).is_file(), "files stay"


def words_of(process):
    try:
        return process.cmdline()
    except psutil.Error:  # it is just ending
        return []
