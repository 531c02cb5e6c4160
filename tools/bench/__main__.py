"""Measure this library beside what else one would use, on the same work, in one run: ``python course.py bench``.

    python course.py bench                    all rows, written to BENCHMARKS.md
    python course.py bench --quick            a smoke run: few steps, small batches, one round; writes nothing
    python course.py bench one-activation     some rows, by name

Without ``--quick`` the table is written to BENCHMARKS.md; rows measured by name replace theirs in it.  On another
device, which LECTUREKIT_DEVICE names, the table goes into a file of its own, e.g. BENCHMARKS-cuda.md.

Measured is in a process for each row, one after the other, on one thread.  A quick run asks only whether everything
works: its rows share as many processes as there are cores.
"""

import contextlib
import dataclasses
import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]
import timing  # noqa: E402  (this folder is no package: it must be on the path first)
from rows import ROWS, Missing  # noqa: E402

MODULES = ("attacks", "deconvnet", "features", "inversion", "panel", "imports", "growth", "grader")
PEERS = ("captum", "torch-lucent", "torchattacks", "foolbox", "adversarial-robustness-toolbox")


def child(names, quick):
    """Measure rows in this process and print each as a line of JSON."""
    import torch

    torch.set_num_threads(1)
    for name in names:
        try:
            answer = dataclasses.asdict(ROWS[name].measure(quick))
        except Missing as problem:
            answer = {"missing": str(problem)}
        if quick and "missing" not in answer:
            answer["holds"] = None  # one cold round says nothing about time
        print(json.dumps({"name": name} | answer), flush=True)


def measured(names, quick):
    """Return some rows by name, measured in one process of their own."""
    command = [sys.executable, str(HERE), *names, "--child", *(["--quick"] if quick else [])]
    surroundings = dict(os.environ, OMP_NUM_THREADS="1")
    if timing.device().type == "cpu":
        surroundings["CUDA_VISIBLE_DEVICES"] = ""  # Lucent takes any card that it sees
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    if done.returncode:
        failed = names[len(answers)] if len(answers) < len(names) else names[-1]
        raise SystemExit(f"{failed} failed:\n{done.stderr[-3000:]}")
    return {answer.pop("name"): answer for answer in answers}


def main(
    names: Annotated[list[str] | None, typer.Argument()] = None,
    quick: bool = False,
    child_: Annotated[bool, typer.Option("--child", hidden=True)] = False,
):
    """Measure rows and write the table."""
    for module in MODULES:
        importlib.import_module(module)
    if unknown := set(names or ()) - set(ROWS):
        raise SystemExit(f"there is no row named {', '.join(sorted(unknown))}. Rows: {', '.join(ROWS)}")
    names = list(names or ROWS)
    if child_:
        return child(names, quick)
    processes = min(len(names), os.cpu_count() or 1) if quick else 1
    shares = [names[i::processes] for i in range(processes)] if quick else [[name] for name in names]
    with ThreadPoolExecutor(processes) as pool:
        for found in pool.map(lambda share: measured(share, quick), shares):
            for name, result in found.items():
                print(f"{name}: {ROWS[name].work}\n   {words(result) or 'measured'}", flush=True)
            if not quick:
                write(found)


def words(result):
    """Return a result as one line."""
    if "missing" in result:
        return f"not measured: {result['missing']}"
    parts = {"bare": "bare × ", "peer": "peer × ", "quality": "", "ours": "ours "}
    verdict = {True: "holds", False: "DOES NOT HOLD", None: ""}[result["holds"]]
    return ", ".join([before + result[key] for key, before in parts.items() if result[key]] + [verdict])


def write(found):
    """Store the rows, and write the table of all that were ever measured on this device."""
    kind = timing.device().type
    store, page = HERE / named("measured.json", kind), ROOT / named("BENCHMARKS.md", kind)
    today = f"{datetime.date.today().isoformat()}: {machine()}; {versions()}"
    old = json.loads(store.read_text("utf-8")) if store.exists() else {}
    new = {name: result for name, result in found.items() if "missing" not in result}
    kept = merged(old, new, today)
    store.write_text(json.dumps(kept, indent=0, ensure_ascii=False) + "\n", "utf-8")
    page.write_text(table(kept), "utf-8")


def merged(old, new, stamp):
    """Return all rows by when and with what they were measured; new ones take the place of those of the same name."""
    rows = {when: {name: row for name, row in each.items() if name not in new} for when, each in old.items()}
    rows[stamp] = rows.get(stamp, {}) | new
    rows = {when: {name: each[name] for name in ROWS if name in each} for when, each in rows.items()}
    return {when: each for when, each in rows.items() if each}


def named(name, kind):
    """Return the name of a file for a kind of device; the processor has the plain one."""
    stem, _, end = name.rpartition(".")
    return name if kind == "cpu" else f"{stem}-{kind}.{end}"


def machine():
    """Return the device in words."""
    if timing.device().type == "cuda":
        import torch

        return f"{torch.cuda.get_device_name(timing.device())}, {platform.system()}"
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
    return f"{model or platform.machine()}, one thread, {platform.system()}"


def versions():
    """Return the versions that matter, in words."""
    numbers = [f"python {platform.python_version()}"]
    for name in ("torch", *PEERS):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            numbers.append(f"{name} {importlib.metadata.version(name).split('+')[0]}")
    return ", ".join(numbers)


def table(measured):
    """Return BENCHMARKS.md from the rows by name, sorted by when and with what they were measured."""
    rows = {name: result for rows in measured.values() for name, result in rows.items()}
    text = (HERE / "preface.md").read_text("utf-8").rstrip() + "\n"
    for section in dict.fromkeys(row.section for row in ROWS.values()):
        text += f"\n## {section}\n\n| work | must | bare × | peer × | quality | ours | |\n" + "|---" * 7 + "|\n"
        for name, row in ROWS.items():
            if row.section == section and name in rows:
                r = rows[name]
                mark = {True: "holds", False: "**does not hold**", None: ""}[r["holds"]]
                cells = (f"`{name}` {row.work}", row.must, r["bare"], r["peer"], r["quality"], r["ours"], mark)
                text += "| " + " | ".join(cells) + " |\n"
    text += "\n" + (HERE / "reasons.md").read_text("utf-8")
    if measured:
        most = max(measured, key=lambda stamp: len(measured[stamp]))
        text += f"\n## Measured with\n\n- {most}\n"
        for stamp in measured:
            if stamp != most:
                text += f"- {', '.join(f'`{name}`' for name in measured[stamp])}: {stamp}\n"
    return text


if __name__ == "__main__":
    typer.run(main)
