r"""A process that has imported torch, and waits: each submission gets a copy of it, inside walls of its own.

Importing torch takes two to three seconds, all the rest of a submission about one.  So each process that grades has one
template, which imports torch once and never meets a line of a student's.  For a submission it copies itself
(`os.fork`), and the copy steps through the walls that bubblewrap has built for it, and gives up every privilege, before
it reads the first request (`template`).  Whatever a student does to the copy is gone with it.

::

    grader  --- the room, three pipes --->  template  --fork-->  doorman: steps in, drops privileges
       |                                    (torch)                 |--fork-->  copy: `inside.main`
       |--bwrap-->  walls, and in them a shell that waits  <--------'  says how the copy ended
                    to hear how the copy ended

The copy lives in the room's own namespaces (users, processes, network, files), as if bubblewrap had started it; when
the room's first process is killed, the kernel kills the copy and everything that it began.

Needs Linux 5.8; elsewhere `entered` raises `NotHere`, and every submission imports torch for itself.
"""

import json
import os
import socket
import subprocess
import sys
import threading

from lecturekit.errors import LectureError

START = 120  # seconds until the template has imported torch, on a machine that does much else
WAIT = 'echo; read status; exit "$status"'  # what the shell in the room does


class NotHere(LectureError):
    """This machine cannot do it."""


class Room:
    """A copy of the template behind its walls; it ends as a process ends.

    Attributes:
        stdin, stdout, stderr: the pipes to the copy.
    """

    def __init__(self, process, pipes):
        self.stdin, self.stdout, self.stderr = map(os.fdopen, pipes, ("wb", "rb", "rb"))
        self.wait, self.kill = process.wait, process.kill


def entered(walls, limits, environment):
    """Let a copy of the template answer as `inside` does, behind walls.

    Args:
        walls: the command of bubblewrap that builds them, up to its ``--``.
        limits: {name: number} as `resource.setrlimit` knows them.
        environment: the variables of the template, and so of every copy.
    Returns: a `Room`, and the numbers of the two processes below which all others are found.
    Raises: NotHere if the system lacks a call, or refuses it.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        raise NotHere("only Linux knows how to step into a namespace")
    (their_in, our_in), (our_out, their_out), (our_err, their_err) = (os.pipe() for _ in range(3))
    room, ours, theirs = None, [our_in, our_out, our_err], [their_in, their_out, their_err]
    try:
        room, first = built(walls, environment)
        theirs.insert(0, os.pidfd_open(first))
        doorman = Template.copied(limits, [*theirs, room.stdin.fileno()], environment)
        return Room(room, ours), room.pid, doorman
    except (OSError, ValueError, NotHere) as problem:
        if room is not None:
            room.kill()
            room.wait()
        for file in ours:
            os.close(file)
        raise NotHere(f"no copy could step in: {problem}") from None
    finally:
        for file in theirs:
            os.close(file)
        if room is not None:
            room.stdin.close()  # now only the doorman holds it: the shell hears him, or that he is gone


def built(walls, environment):
    """Return the process of bubblewrap when its walls stand, and the number of the first process in them."""
    ours, theirs = os.pipe()
    words = [*walls[:-1], "--info-fd", str(theirs), "--", "/bin/sh", "-c", WAIT]
    try:
        room = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                pass_fds=[theirs], env=environment, start_new_session=True)  # fmt: skip
    finally:
        os.close(theirs)
    with os.fdopen(ours) as about, room.stdout as ready:
        said = about.read()
        if ready.readline() != b"\n":
            room.stdin.close()
            room.kill()
            room.wait()
            raise NotHere("bubblewrap built no room with a shell in it")
    return room, json.loads(said)["child-pid"]


class Template:
    """The process that waits, as who grades sees it; each process that grades has one."""

    _here, _lock = None, threading.Lock()

    def __init__(self, environment):
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(START)
        self._owner = os.getpid()
        words = [sys.executable, "-I", "-B", "-m", "lecturekit.course.template"]
        with theirs:
            self._process = subprocess.Popen(words, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                             env=environment, start_new_session=True)  # fmt: skip

    @classmethod
    def copied(cls, limits, files, environment):
        """Let the template of this process copy itself into a room; return the number of the doorman.

        It is started when it is first asked for, and again if it ended.

        Args:
            limits, environment: see `entered`.
            files: of the room's first process, the copy's input, output and errors, and the shell's input.
        """
        with cls._lock:  # one question, one answer
            one = cls._here
            if one is None or one._owner != os.getpid() or one._process.poll() is not None:
                if one is not None:
                    one._socket.close()
                cls._here = one = cls(environment)
            try:
                socket.send_fds(one._socket, [json.dumps(limits).encode()], files)
                said = json.loads(one._socket.recv(4096) or '{"trouble": "the template ended"}')
            except OSError:
                one._process.kill()  # an answer that came later would be taken for the next one's
                raise
        if "trouble" in said:
            raise NotHere(said["trouble"])
        return said["doorman"]
