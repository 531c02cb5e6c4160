"""System calls that a stranger's process is refused: those for memory that belongs to no process.

The grader adds up the memory of processes.  A file in memory (`memfd_create`) or a segment (`shmget`) is counted to
nobody while nobody maps it, and would fill the machine unseen; so would a file system in memory, to which older
bubblewraps leave a way.  Everything else that could do harm the walls refuse.

The kernel asks a small program before each call (seccomp), which is built here::

    another machine's call?  -->  refused          (each machine has numbers of its own)
    a number of the list?    -->  refused
    else                     -->  allowed
"""

import ctypes
import errno
import platform
import struct

CALLS = {  # {machine: (its name in linux/audit.h, {call: number})}
    "x86_64": (
        0xC000_003E,
        {
            "shmget": 29,
            "semget": 64,
            "msgget": 68,
            "memfd_create": 319,
            "memfd_secret": 447,
            "mount": 165,
            "fsopen": 430,
            "unshare": 272,
        },
    ),
    "aarch64": (
        0xC000_00B7,
        {
            "shmget": 194,
            "semget": 190,
            "msgget": 186,
            "memfd_create": 279,
            "memfd_secret": 447,
            "mount": 40,
            "fsopen": 430,
            "unshare": 97,
        },
    ),
}
X32 = 0x4000_0000  # from here on lie the numbers of x86_64's second set of calls
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # of linux/bpf_common.h
ALLOW, REFUSE = 0x7FFF_0000, 0x0005_0000 | errno.EPERM  # of linux/seccomp.h
NUMBER, MACHINE = 0, 4  # where they lie in what the program is given


def program(machine=None):
    """Return the program for a machine, as bytes; empty for one whose numbers we do not know."""
    if (machine or platform.machine()) not in CALLS:
        return b""
    name, calls = CALLS[machine or platform.machine()]
    left = len(calls) + 2  # instructions from here to the last one, which refuses
    steps = [(LOAD, 0, 0, MACHINE), (EQUAL, 0, left + 1, name), (LOAD, 0, 0, NUMBER), (AT_LEAST, left - 1, 0, X32)]
    steps += [(EQUAL, left - 2 - i, 0, number) for i, number in enumerate(calls.values())]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def refuse(words):
    """Let the kernel ask the program ``words`` from now on, for this process and all that it begins.

    Raises: OSError if the kernel does not take it.
    """

    class Program(ctypes.Structure):
        _fields_ = [("count", ctypes.c_ushort), ("steps", ctypes.c_char_p)]

    libc, set_seccomp, by_program = ctypes.CDLL(None, use_errno=True), 22, 2
    about = Program(len(words) // 8, words)
    if libc.prctl(set_seccomp, by_program, ctypes.byref(about), 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses to refuse calls")
