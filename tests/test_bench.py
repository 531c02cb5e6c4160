"""The benchmark runs, compares fairly and writes a table that can be read; no test asks how fast this machine is."""

import fnmatch
import functools
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "tools" / "bench"
SOME = {  # a row of each section, and the words that must stand in its line
    "fgsm-1": "bare × ",
    "deconvnet-picturebook-1": "bare × ",
    "gallery": "peak memory ",
    "invert-picturebook-conv4-lbfgs": " dB after ",
    "panel-deconvnet": "four pictures of ",
    "import-lecturekit": "peak memory × ",
    "grow-batch-deconvnet": "p = ",
}


@pytest.fixture
def parts(monkeypatch):
    """The modules of the benchmark, which live in a folder of their own."""
    monkeypatch.syspath_prepend(str(BENCH))
    import rows
    import timing

    return rows, timing


@pytest.fixture
def command(parts):
    """The command itself, with two rows."""
    spec = importlib.util.spec_from_file_location("bench_command", BENCH / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROWS = {"fgsm-1": None, "pgd-1": None}
    return module


def bench(*words):
    command = [sys.executable, str(BENCH), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=ROOT)


@pytest.mark.timeout(900)
def test_every_row_runs_quickly_and_says_what_it_cost_and_what_it_was_worth():
    before = (ROOT / "BENCHMARKS.md").read_bytes()
    done = bench("--quick")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    found = {head.partition(":")[0]: line for head, line in zip(lines[::2], lines[1::2], strict=True)}
    assert set(found) == set(every_row())
    for name, line in found.items():
        assert SOME.get(name, "") in line or "not measured" in line, f"{name}: {line}"
        assert "hold" not in line.lower(), "a quick run asks nothing of the time"
    assert (ROOT / "BENCHMARKS.md").read_bytes() == before, "a quick run writes nothing"


@functools.cache
def every_row():
    """The names of all rows, as the command lists them."""
    done = bench("faster")
    assert done.returncode == 1
    assert "there is no row named faster. Rows: " in done.stderr
    return [name.strip() for name in done.stderr.partition("Rows: ")[2].split(",")]


def test_the_table_holds_every_row_and_says_why_if_it_does_not_hold_or_a_peer_is_quicker():
    stored = json.loads((BENCH / "measured.json").read_text("utf-8"))
    rows = {name: result for rows in stored.values() for name, result in rows.items()}
    assert sorted(rows) == sorted(every_row()), "each is measured, and once"
    text = (ROOT / "BENCHMARKS.md").read_text("utf-8")
    reasons = re.findall(r"`(\S+?)`", (BENCH / "reasons.md").read_text("utf-8"))
    for name, result in rows.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` ")]
        assert all(result[part] in line for part in ("bare", "peer", "quality", "ours"))
        assert line.endswith({True: "| holds |", False: "| **does not hold** |", None: "|  |"}[result["holds"]])
        if not result["holds"] or "**" in result["peer"]:
            assert any(fnmatch.fnmatch(name, reason) for reason in reasons), f"why is {name} as it is?"
    assert all(stamp in text for stamp in stored), "when and with what it was measured"


def test_a_row_that_is_measured_again_takes_the_place_of_the_old_one(command):
    old = {"long ago": {"fgsm-1": {"ours": "1 s"}, "pgd-1": {"ours": "2 s"}}}
    again = command.merged(old, {"pgd-1": {"ours": "3 s"}}, "today")
    assert again == {"long ago": {"fgsm-1": {"ours": "1 s"}}, "today": {"pgd-1": {"ours": "3 s"}}}
    assert command.merged(again, {"fgsm-1": {"ours": "4 s"}, "no row any more": {}}, "today") == {
        "today": {"fgsm-1": {"ours": "4 s"}, "pgd-1": {"ours": "3 s"}}
    }


def test_ratios_are_taken_round_by_round(parts):
    _, timing = parts
    found = timing.ratio([2.0, 30.0, 5.0], [1.0, 10.0, 5.0])  # the second round was ten times slower for both
    assert (found.median, found.low, found.high, found.rounds) == (2, 1, 3, 3)
    assert str(found) == "2.00 (1.00 to 3.00)"


def test_functions_take_turns(parts):
    _, timing = parts
    order = []
    seconds, answers = timing.paired(2, one=lambda: order.append(1), two=lambda: order.append(2) or "two")
    assert order == [1, 2] * 3, "one round for warming up, two that count"
    assert {name: len(each) for name, each in seconds.items()} == {"one": 2, "two": 2}
    assert answers == {"one": None, "two": "two"}
    seconds, _ = timing.paired(0, one=lambda: None)
    assert len(seconds["one"]) == 1, "a quick run has no other round"


def test_who_takes_half_a_minute_is_asked_once_and_whoever_is_quick_until_it_is_enough(parts, monkeypatch):
    _, timing = parts
    now = [0.0]
    monkeypatch.setattr(timing, "clock", lambda: now[0])

    def busy(seconds):
        now[0] += seconds

    seconds, _ = timing.paired(9, slow=lambda: busy(31), quick=lambda: busy(20))
    assert seconds == {"slow": [31], "quick": [20, 20]}, "a first round of half a minute counts; one more, and enough"
    assert timing.ratio(seconds["quick"], seconds["slow"]).rounds == 1


def test_the_exponent_of_growth(parts):
    _, timing = parts
    assert timing.exponent([1, 10, 100], [3, 30, 300]) == pytest.approx(1)
    assert timing.exponent([2, 4, 8], [5, 20, 80]) == pytest.approx(2)


def test_a_row_holds_if_time_and_quality_do_and_shows_who_is_quicker(parts):
    rows, _ = parts
    seconds = {"ours": [1.0], "bare": [0.95], "slow": [2.0], "fast": [0.5]}
    found = rows.judged(seconds, "misled 9 of 9")
    assert (found.bare, found.holds) == ("1.05 (1.05 to 1.05)", False)
    assert found.peer == "slow 0.50 (0.50 to 0.50); **fast 2.00 (2.00 to 2.00)**"
    assert rows.judged(seconds, "", equal=["slow"]).holds, "the fast one found less"
    assert not rows.judged(seconds, "", equal=["slow"], good=False).holds
    assert not rows.judged(seconds, "", equal=["slow"], bare=1.0).holds
    assert not rows.judged(seconds, "", equal=["slow"], peer=0.4).holds
