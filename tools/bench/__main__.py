"""Measure this library beside what else one would use, on the same work, in one run: ``python course.py bench``.

    python course.py bench                    all rows, written to BENCHMARKS.md
    python course.py bench --quick            a smoke run of few rounds; writes nothing
    python course.py bench one-activation     some rows, by name

Without names and ``--quick`` the table is written to BENCHMARKS.md; rows measured by name replace theirs in it.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]
from rows import ROWS, Missing  # noqa: E402  (this folder is no package: it must be on the path first)

TABLE, STORE = ROOT / "BENCHMARKS.md", HERE / "measured.json"
PEERS = ("captum", "torch-lucent", "torchattacks", "foolbox", "adversarial-robustness-toolbox")


def load():
    """Import every module with rows."""
    import attacks  # noqa: F401
    import deconvnet  # noqa: F401
    import features  # noqa: F401


def child(name, quick):
    """Measure one row in this process and print it as JSON."""
    import torch

    torch.set_num_threads(1)
    try:
        answer = dataclasses.asdict(ROWS[name].measure(quick))
    except Missing as problem:
        answer = {"missing": str(problem)}
    print(json.dumps(answer))


def measured(name, quick):
    """Return one row, measured in a process of its own."""
    words = [sys.executable, str(HERE), name, "--child", *(["--quick"] if quick else [])]
    done = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(
    names: Annotated[list[str] | None, typer.Argument()] = None,
    quick: bool = False,
    child_: Annotated[bool, typer.Option("--child", hidden=True)] = False,
):
    """Measure rows and write the table."""
    load()
    if unknown := set(names or ()) - set(ROWS):
        raise SystemExit(f"there is no row named {', '.join(sorted(unknown))}. Rows: {', '.join(ROWS)}")
    if child_:
        return child(names[0], quick)
    found = {}
    for name in names or ROWS:
        print(f"{ROWS[name].section}: {ROWS[name].work}", flush=True)
        found[name] = measured(name, quick)
        print("   " + (words(found[name]) or "measured"), flush=True)
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
    """Store the rows, and write the table of all that were ever measured here."""
    today = {"date": datetime.date.today().isoformat(), "machine": machine(), "versions": versions()}
    old = json.loads(STORE.read_text("utf-8")) if STORE.exists() else {}
    new = {name: result | today for name, result in found.items() if "missing" not in result}
    rows = {name: entry for name, entry in (old | new).items() if name in ROWS}
    STORE.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    TABLE.write_text(table(rows), "utf-8")


def machine():
    """Return the processor in words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
    return f"{model or platform.machine()}, one thread, {platform.system()}"


def versions():
    """Return the versions that matter."""
    numbers = {"python": platform.python_version()}
    for name in ("torch", *PEERS):
        try:
            numbers[name] = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue
    return numbers


def table(rows):
    """Return BENCHMARKS.md."""
    text = (HERE / "preface.md").read_text("utf-8").rstrip() + "\n"
    for section in dict.fromkeys(row.section for row in ROWS.values()):
        text += f"\n## {section}\n\n| work | must | bare × | peer × | quality | ours | |\n" + "|---" * 7 + "|\n"
        for name, row in ROWS.items():
            if row.section == section and name in rows:
                r = rows[name]
                mark = {True: "holds", False: "**does not hold**", None: ""}[r["holds"]]
                cells = (row.work, row.must, r["bare"], r["peer"], r["quality"], r["ours"], mark)
                text += "| " + " | ".join(cells) + " |\n"
    if rows:
        text += "\n## Measured with\n\n"
        stamps = dict.fromkeys((r["date"], r["machine"], tuple(r["versions"].items())) for r in rows.values())
        for date, processor, numbers in stamps:
            text += f"- {date}: {processor}; " + ", ".join(f"{name} {number}" for name, number in numbers) + "\n"
    return text


if __name__ == "__main__":
    typer.run(main)
