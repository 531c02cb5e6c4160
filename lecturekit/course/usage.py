"""What the processes of a sandbox use: how many they are, and the memory that they have of their own.

Somebody looks twenty times a second, so a look must be cheap.  psutil finds children by reading every process of the
machine, and the exact count of memory walks through every page: 10 ms for a process with torch.  So the kernel's own
list of children is read, and the exact count is taken only if the coarse one is too large.

The trap: a process's resident memory holds the libraries too, those of torch in full for every process; its
"anonymous" memory leaves out what it shares, which can be gigabytes as well.
"""

import contextlib
import os
from pathlib import Path

import psutil


def everybody(roots):
    """Return the numbers of some processes and of all below them."""
    found, waiting = set(), list(roots)
    while waiting:
        found.add(number := waiting.pop())
        with contextlib.suppress(OSError, psutil.Error):  # it has ended
            waiting += set(children(number)) - found
    return found


def children(number):
    """Return the numbers of the processes that a process began."""
    tasks = Path(f"/proc/{number}/task")
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():  # no Linux, or one without this list
        return [one.pid for one in psutil.Process(number).children()]
    return [int(word) for task in tasks.iterdir() for word in (task / "children").read_text().split()]


def threads(numbers):
    """Return how many threads some processes have together."""
    count = 0
    for number in numbers:
        with contextlib.suppress(psutil.Error):
            count += psutil.Process(number).num_threads()
    return count


def memory(numbers, most):
    """Return the bytes that processes have of their own, exactly if that may be more than ``most``."""
    coarse = sum(resident(number) for number in numbers)
    return coarse if coarse <= most else sum(own(number) for number in numbers)


def resident(number):
    """Return the bytes of a process that are in memory, libraries and all; 0 if it has ended."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(number).memory_info().rss
    return 0


def own(number):
    """Return the bytes that a process has for itself; what several share is divided among them."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        rollup = Path(f"/proc/{number}/smaps_rollup").read_text()
        return 1024 * sum(int(rollup.split(kind)[1].split()[0]) for kind in ("Pss_Anon:", "Pss_Shmem:"))
    return resident(number)
