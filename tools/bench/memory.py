"""How much memory a piece of work took at most.

The kernel keeps the mark of the highest tide for each process.  ``ru_maxrss`` shows it too, but a process inherits
there what its parent had; the mark in /proc belongs to this one alone, and can be wiped out before the work begins.
"""

import contextlib
import math
import re
from pathlib import Path

from timing import device

STATUS, WIPE = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak():
    """Let `peak_gb` begin anew."""
    if device().type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):  # not everywhere
        WIPE.write_text("5")


def peak_gb():
    """Return the most memory that was held at once, in GB: of the graphics card where one is at work."""
    if device().type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e9
    if not STATUS.exists():
        return math.nan  # other systems keep no such mark
    return int(re.search(r"VmHWM:\s+(\d+)", STATUS.read_text())[1]) / 1e6  # kilobytes
