"""JupyterHub, started from the course's own configuration, and a browser without a screen for each who signs in.

Only what a machine decides is said on the command line: free ports, who may sign in with which password, and that
the servers run as processes of this user.  All else is `config/jupyterhub/jupyterhub_config.py`, as a class has it.

The trap: a hub that is killed leaves its servers behind, which hold kernels; so it is asked to end, and what is still
there afterwards is an error.
"""

import contextlib
import http.client
import http.cookiejar
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import psutil
import websocket

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "config" / "jupyterhub" / "jupyterhub_config.py"
PASSWORD = "what-the-class-was-told"
SECRETS = {"CONFIGPROXY_AUTH_TOKEN": uuid.uuid4().hex, "LECTUREKIT_GRADING": uuid.uuid4().hex}  # the hub's, not theirs
PATIENCE = 120  # seconds, on a machine that does much else


def why_no_hub():
    """Return what is missing here for a hub, or an empty string."""
    packages = ("jupyterhub", "nbgitpuller", "jupyterhub_idle_culler")
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    missing += [name for name in ("configurable-http-proxy", "git") if shutil.which(name) is None]
    return f"there is no {', '.join(missing)} here; pip install lecturekit[hub], and npm or apt" if missing else ""


class Hub:
    """A running hub: its process, its folder, and its address."""

    def __init__(self, folder):
        self.folder, (self.port, self.api, self.inside) = folder, free_ports(3)
        self.url, self.process = f"http://hub.localhost:{self.port}", None

    def log(self):
        """Return what the hub said."""
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    def family(self):
        """Return every process that the hub began, its servers and their kernels too."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def command(self):
        """Return the command that starts it."""
        words = [sys.executable, "-m", "jupyterhub", "--config", CONFIGURATION, "--Spawner.args=--allow-root"]
        words += [f"--JupyterHub.bind_url=http://127.0.0.1:{self.port}", f"--JupyterHub.hub_port={self.inside}"]
        words += [f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{self.api}"]
        words += ["--JupyterHub.authenticator_class=shared-password", "--JupyterHub.spawner_class=simple"]
        words += [f"--SharedPasswordAuthenticator.user_password={PASSWORD}"]
        return [*words, f"--SimpleLocalProcessSpawner.home_dir_template={self.folder}/homes/{{username}}"]

    def environment(self):
        """Return the variables with which it starts."""
        debian = "/usr/share/nodejs"  # where Debian's proxy keeps its libraries; a node from elsewhere looks elsewhere
        return {**os.environ, **SECRETS, "LECTUREKIT_HUB": self.url, "NODE_PATH": debian}


@contextlib.contextmanager
def running_hub(folder, names):
    """Start the hub in ``folder`` for the people of that name, and end it with all that it began."""
    (folder / "class.txt").write_text("\n".join(names), encoding="utf-8")
    hub = Hub(folder)
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        hub.process = subprocess.Popen(
            hub.command(), cwd=folder, env=hub.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: "is now running" in hub.log() or hub.process.poll() is not None)
        assert hub.process.poll() is None, f"the hub did not come up:\n{hub.log()}"
        yield hub
        family = hub.family()
        hub.process.terminate()
        assert hub.process.wait(60) == 0
        assert not psutil.wait_procs(family, 5)[1], f"the hub left something behind:\n{hub.log()}"
    finally:
        if hub.process.poll() is None:
            for process in [*hub.family(), hub.process]:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            hub.process.wait()


class Browser:
    """What a browser does for one person: it keeps cookies by host, follows, and answers the hub's check of forms."""

    def __init__(self, hub, name):
        self.hub, self.name, self.kernel, self.cookies = hub, name, None, http.cookiejar.CookieJar()
        handlers = Here(), urllib.request.HTTPCookieProcessor(self.cookies), urllib.request.ProxyHandler({})
        self.opener = urllib.request.build_opener(*handlers)

    def home(self, whose=None):
        """Return the address of somebody's server, of one's own if nobody is named."""
        whose = whose or self.name
        return self.hub.url.replace("hub.", f"{whose}.hub.") + f"/user/{whose}/"

    def open(self, url, data=None, headers=(), method=None):
        """Return the status, where it led, and the text of the answer."""
        request = urllib.request.Request(url, data, dict(headers), method=method)
        try:
            with self.opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.url, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.url, refusal.read().decode()

    def sign_in(self, password=PASSWORD):
        """Sign in by the form; return what `open` returns.  The server starts."""
        _, _, page = self.open(f"{self.hub.url}/hub/login")
        form = {"username": self.name, "password": password}
        form["_xsrf"] = re.search(r'name="_xsrf" value="([^"]+)"', page).group(1)
        return self.open(f"{self.hub.url}/hub/login", urllib.parse.urlencode(form).encode())

    def reach_lab(self):
        """Wait until one's own JupyterLab is there."""
        wait_until(lambda: self.open(self.home() + "lab")[:2] == (200, self.home() + "lab"), pause=0.5)

    def ask(self, path, data=None, whose=None, token=None):
        """Return the status and the answer of a server's API, asked with the cookies, or else with a token."""
        url, data = self.home(whose) + path, None if data is None else json.dumps(data).encode()
        if token:
            return Browser(self.hub, self.name).open(url, data, {"Authorization": f"token {token}"})[::2]
        return self.open(url, data, {"X-XSRFToken": self.cookie("_xsrf"), "Referer": self.home(whose)})[::2]

    def all_cookies(self, url=None):
        """Return the header with the cookies for an address, for that of one's own server if there is none."""
        request = urllib.request.Request((url or self.home()) + "x")
        self.cookies.add_cookie_header(request)
        return request.get_header("Cookie") or ""

    def cookie(self, name, url=None):
        """Return the value of one of these cookies, or an empty string."""
        pairs = [pair.partition("=") for pair in self.all_cookies(url).split("; ")]
        return next((value for key, _, value in pairs if key == name), "")

    def run(self, code):
        """Run code in one's own kernel, which starts with the first; return what it printed, and its error if any."""
        if self.kernel is None:
            status, answer = self.ask("api/kernels", data={})
            assert status == 201, answer
            self.kernel = json.loads(answer)["id"]
        url = self.home().replace("http:", "ws:") + f"api/kernels/{self.kernel}/channels"
        line = socket.create_connection(("127.0.0.1", self.hub.port), timeout=PATIENCE)
        origin = self.home().partition("/user/")[0]
        channel = websocket.create_connection(url, socket=line, cookie=self.all_cookies(), origin=origin)
        with contextlib.closing(channel):
            return heard(channel, said(channel, code))


class Here(urllib.request.HTTPHandler):
    """Names below localhost are this machine, as in every browser."""

    def http_open(self, request):
        return self.do_open(Line, request)


class Line(http.client.HTTPConnection):
    """A connection to this machine, whatever the name says."""

    def connect(self):
        self.sock = socket.create_connection(("127.0.0.1", self.port), self.timeout)


def said(channel, code):
    """Ask a kernel to run code; return the id of the question."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": uuid.uuid4().hex, "username": ""}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    question = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channel.send(json.dumps(question))
    return header["msg_id"]


def heard(channel, question):
    """Return what a kernel printed until it was idle again."""
    words = ""
    while True:
        answer = json.loads(channel.recv())
        if answer["parent_header"].get("msg_id") != question:
            continue
        content = answer["content"]
        words += content.get("text", "") + content.get("evalue", "") if answer["channel"] == "iopub" else ""
        if content.get("execution_state") == "idle":
            return words


def free_ports(count):
    """Return ports that nobody uses now."""
    with contextlib.ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


def wait_until(true, pause=0.1):
    """Return once it is true.

    Raises: AssertionError after `PATIENCE` seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(pause)
