"""What surrounds a rehearsal: no network, a Ctrl-C that is remembered, and the folder in which the notebook lies."""

import contextlib
import ipaddress
import os
import signal
import sys
from pathlib import Path


class Attempts:
    """What was tried to be reached while the network was refused."""

    def __init__(self):
        self.on, self.hosts = False, []

    def hook(self, event, arguments):
        """Refuse what leads to another machine; Python calls this for every audited event, also in other threads."""
        if not self.on or event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
            return
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address if event == "socket.getaddrinfo" else None
        if not this_machine(host):
            self.hosts.append(host.decode() if isinstance(host, bytes) else str(host))
            raise OSError(f"the rehearsal refuses the network, and something tried to reach {host!r}")


ATTEMPTS = Attempts()
_hooked = []


def this_machine(host):
    """Tell whether a host is this machine: kernels and JupyterLab talk to each other over 127.0.0.1."""
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:  # a name: asking who it is would already be a use of the network
        return False


@contextlib.contextmanager
def refused():
    """Refuse the network inside this block; yield the list of what was tried to be reached."""
    if not _hooked:  # an audit hook can never be taken away, only switched off
        sys.addaudithook(ATTEMPTS.hook)
        _hooked.append(True)
    ATTEMPTS.on, ATTEMPTS.hosts = True, []
    try:
        yield ATTEMPTS.hosts
    finally:
        ATTEMPTS.on = False


class Keyboard:
    """Whether Ctrl-C was pressed; panels catch it themselves to stop their work, so that nobody else would know."""

    pressed = False

    def press(self, *_):
        """Note it, and pass it on."""
        self.pressed = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def keyboard():
    """Take Ctrl-C inside this block; yield the `Keyboard`."""
    keys, before = Keyboard(), None
    with contextlib.suppress(ValueError):  # only the main thread may
        before = signal.signal(signal.SIGINT, keys.press)
    try:
        yield keys
    except KeyboardInterrupt:
        pass
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def inside(folder):
    """Be in a folder inside this block: notebooks name their files from where they lie."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
