"""Cut the network off in the process that imports this.

Patching ``socket.socket`` would miss code that uses ``_socket`` or made a copy earlier.  An audit hook sits below both,
and nothing can take it away again.  This machine itself stays in reach: kernels and JupyterLab talk over 127.0.0.1.
"""

import ipaddress
import sys

attempts = []  # what this process tried to reach

_WATCHED = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


class NetworkIsCut(OSError):
    """The error that a program sees here, of the kind it would see on a machine without a network."""


def _is_this_machine(host):
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:  # a name: asking who it is would already be a use of the network
        return False


def _refuse(event, arguments):
    if event not in _WATCHED:
        return
    # connect and sendto pass (socket, address); the other three pass the name of the host first
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments
    if not isinstance(address, tuple):  # a Unix socket is named by a path
        return
    host = address[0]
    if not _is_this_machine(host):
        attempts.append(host)
        raise NetworkIsCut(f"the network is cut off here, and something tried to reach {host!r}")


sys.addaudithook(_refuse)
