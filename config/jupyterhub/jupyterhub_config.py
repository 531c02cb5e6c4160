"""JupyterHub for a class: everybody signs in at one address and gets a JupyterLab of their own, with the course in it.

    cd /srv/hub && jupyterhub --config /srv/lecturekit/config/jupyterhub/jupyterhub_config.py

::

    browser -- TLS --> your web server --> proxy --> hub                  who may sign in; starts and stops servers
    hub.example.edu    nginx, Caddy          |
    ada.hub.example.edu                      +-----> JupyterLab of ada     as ada's own user of the machine
    grace.hub.example.edu                    +-----> JupyterLab of grace

The folder in which the hub starts (`/srv/hub`) holds its database, its cookie secret and `class.txt`, one name a line.
Only root may read it.  For JupyterHub 5 and 6; `tests/test_hub.py` starts this very file, with three users.

The trap: a student's server is the student's.  Whatever it can read, its owner can read, so nothing is secret there:
no token of the grader, no key of the hub, no folder with solutions, and no home of somebody else (mode 0700).
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ADDRESS = os.environ.get("LECTUREKIT_HUB", "http://hub.localhost:8000")  # what people type: https://hub.example.edu
CLASS = Path("class.txt")
IDLE = 3600  # seconds without a key or a running cell until a server is stopped; files stay
PASSED_ON = ["PATH", "PYTHONPATH", "LANG", "LC_ALL", "LECTUREKIT_DEVICE"]

c = get_config()  # noqa: F821  (JupyterHub puts it here)

# Who may sign in: the class, and nobody else.  How is one line to choose: "pam" asks for the accounts and passwords of
# the machine, "generic-oauth" (pip install oauthenticator) for those of a university.
c.JupyterHub.authenticator_class = "pam"
if not CLASS.exists():
    sys.exit(f"There is no {CLASS.resolve()}: write one name a line, of those who may sign in.")
c.Authenticator.allowed_users = set(CLASS.read_text(encoding="utf-8").split())
c.Authenticator.allow_all = False

# Where: passwords must never cross a network in plain text.  So the hub answers on this machine alone, and a web server
# in front of it holds the certificate, for the address and for *.address, and passes the Host and Upgrade headers on.
# Each server has a name of its own below the address: else a page that ada writes could use grace's cookies.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.subdomain_host = ADDRESS
c.JupyterHub.cookie_host_prefix_enabled = ADDRESS.startswith("https:")  # ada's name cannot set cookies for the others

# What runs.  "localprocess" needs a user of the machine for each student, and keeps no limits.  Two that keep them:
# "systemd" (pip install jupyterhub-systemdspawner) on one machine, and Kubernetes on many (values.yaml beside this).
c.JupyterHub.spawner_class = "localprocess"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]  # the course's Python
c.Spawner.default_url = "/lab"
c.Spawner.mem_limit = "3G"  # a server has 0.1 GB of its own, an exercise 0.4 and more: some open notebooks
c.Spawner.cpu_limit = 2.0
c.Spawner.start_timeout = 180  # a class begins all at once, and those who come later wait for the processor
c.JupyterHub.concurrent_spawn_limit = 20

# What it sees: these variables and no others, and the course's settings, which nothing in a home can change.
c.Spawner.env_keep = PASSED_ON
c.Spawner.environment = {
    "JUPYTER_CONFIG_PATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
    "OMP_NUM_THREADS": "1",  # threads that wait spin: thirty students with eight each leave no core for the work
}
c.Spawner.disable_user_config = True

# What stops: servers that nobody used for a while.  The service may see who is idle and stop servers, and no more.
c.JupyterHub.services = [
    {
        "name": "cull-idle",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE}"],
    }
]
c.JupyterHub.load_roles = [
    {
        "name": "cull-idle",
        "services": ["cull-idle"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]
