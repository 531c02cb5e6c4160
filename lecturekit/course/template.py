"""What runs in the template: import torch, then copy itself behind one submission's walls after the other; see `warm`.

The trap: what lies in the template's memory lies in every copy's.  So it starts with an empty environment, holds no
file but the socket, and imports nothing of the library but what `inside` needs: an exercise that hides ``attacks``
would find the module in memory, however well its file is hidden.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import traceback

from lecturekit.course import inside, refused

# Outside of the library only.  The second one is what `Module.to_empty` imports when it is first called, in 1.8 s.
IMPORTED = ("torch", "torch.fx.experimental.symbolic_shapes", "safetensors.torch", "numpy.random", "PIL.Image")
# NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of setns(2)
NAMESPACES = 0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000
SET_DUMPABLE, BOUNDED, LEAVE_BOUNDS, NO_NEW_PRIVILEGES = 4, 23, 24, 38  # of prctl(2)
CAPABILITIES = 0x2008_0522  # version 3, of capset(2)


def main():
    """Import, then make one copy for each request, until nobody asks any more."""
    server = socket.socket(fileno=0)
    for name in IMPORTED:
        with contextlib.suppress(ImportError):  # another version of it may have none
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # doormen that went home are forgotten by the system
    gc.freeze()  # else the first collection of each copy would write to every page, and so copy it
    while True:
        request, files, *_ = socket.recv_fds(server, 4096, 5)
        if not request:
            return
        if os.fork() == 0:
            keep_door(server, json.loads(request), *files)
        for file in files:
            os.close(file)


def keep_door(server, limits, room, *files):
    """Step in, copy again, wait for the copy and tell how it ended; never return.

    Two copies, because only children of who steps into a namespace of processes are in it.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    try:
        step_in(room)
        server.send(json.dumps({"doorman": os.getpid()}).encode())
    except OSError as problem:
        server.send(json.dumps({"trouble": str(problem)}).encode())
        os._exit(1)
    for number, file in enumerate(files):  # 0 was the socket, 3 the room: none of them is left
        os.dup2(file, number)
    os.closerange(len(files), 1024)
    if (copy := os.fork()) == 0:
        serve(limits)
    os.closerange(0, 3)
    status = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    os.write(3, b"%d\n" % (status if status >= 0 else 128 - status))
    os._exit(0)


def step_in(room):
    """Enter all namespaces of the process ``room`` and give every privilege up, those over the namespaces too.

    Raises: OSError if the system refuses any of it.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function, *numbers):
        result = function(*map(ctypes.c_ulong, numbers))
        if result < 0:
            raise OSError(ctypes.get_errno(), f"{function.__name__}{numbers}: {os.strerror(ctypes.get_errno())}")
        return result

    call(libc.setns, room, NAMESPACES)
    for capability in range(64):
        if libc.prctl(BOUNDED, capability) < 0:  # the last one was before it
            break
        call(libc.prctl, LEAVE_BOUNDS, capability, 0, 0, 0)
    call(libc.prctl, NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, none) < 0:
        raise OSError(ctypes.get_errno(), "capset")
    if refused.program():
        refused.refuse(refused.program())
    call(libc.prctl, SET_DUMPABLE, 1, 0, 0, 0)  # the grader may look at its memory, as at any process of its own


def serve(limits):
    """Be the copy: answer requests under limits, as `inside` does; never return."""
    status = 1
    try:
        os.closerange(3, 1024)
        os.setsid()  # else signals to "all of my group" would reach the doorman
        os.chdir("/tmp")
        for name, most in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (most, most))
        sys.stdin, sys.stdout = (
            open(0, closefd=False),
            open(1, "w", closefd=False),
        )  # the old ones can seek, pipes cannot
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        inside.main()
        status = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
    os._exit(status)


if __name__ == "__main__":
    main()
