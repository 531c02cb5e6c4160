"""How long one waits for the first line of a notebook: imports, each in a Python of its own."""

import os
import subprocess
import sys
from pathlib import Path

from rows import Result, row
from timing import milliseconds, ratio

SECTION = "Import"
ROOT = Path(__file__).resolve().parents[2]
TORCH = "import torch"
LINES = {
    "import-lecturekit": ("import lecturekit", TORCH),
    "import-networks": ("from lecturekit import networks", TORCH),
    "import-subjects": (
        "from lecturekit import attacks, capture, deconv, features, inversion, measure, networks", TORCH,
    ),
}  # fmt: skip
MARK = "import re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"


def started(line):
    """Run one line in a fresh Python; return its seconds of computing and its peak memory in MB."""
    before = os.times()
    words = [sys.executable, "-c", f"{line}\n{MARK}"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return spent, int(done.stdout) / 1e3


def imported(ours, theirs, rounds):
    """Return the row of one import beside another: time and peak memory."""
    if not Path("/proc/self/status").exists():
        from rows import Missing

        raise Missing("this system has no /proc, which tells the peak memory of a process")
    found = {line: [started(line) for _ in ()] for line in (ours, theirs)}
    for _ in range(rounds + 1):  # the first one fills the disk's cache
        for line in (ours, theirs):
            found[line].append(started(line))
    time_, memory = (ratio(*([one[i] for one in found[line][1:] or found[line]] for line in (ours, theirs)))
                     for i in (0, 1))  # fmt: skip
    words = f"peak memory × {memory}; {found[ours][-1][1]:.0f} MB against {found[theirs][-1][1]:.0f} MB"
    holds = round(time_.median, 2) <= 1.1 and round(memory.median, 2) <= 1.1
    return Result("", f"{theirs.removeprefix('import ')} {time_}", words, holds,
                  milliseconds([one[0] for one in found[ours]]))  # fmt: skip


for name, (ours, theirs) in LINES.items():

    @row(name, SECTION, f"`{ours}` beside `{theirs}`", "time and peak memory ≤ 1.10")
    def one_import(quick, ours=ours, theirs=theirs):
        """Each in a fresh Python."""
        return imported(ours, theirs, 0 if quick else 9)
