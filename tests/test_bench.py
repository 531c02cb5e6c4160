"""The benchmark runs, compares fairly and writes a table that can be read; no test asks how fast this machine is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "tools" / "bench"


@pytest.fixture
def parts(monkeypatch):
    """The modules of the benchmark, which live in a folder of their own."""
    monkeypatch.syspath_prepend(str(BENCH))
    import rows
    import timing

    return rows, timing


def bench(*words):
    command = [sys.executable, str(BENCH), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT)


def test_a_quick_row_says_what_it_cost_and_what_it_was_worth():
    before = (ROOT / "BENCHMARKS.md").read_bytes()
    done = bench("whole-map-picturebook-conv3-1", "one-activation", "--quick")
    assert done.returncode == 0, done.stderr
    assert "bare × " in done.stdout
    assert "peer × " in done.stdout or "captum is not installed" in done.stdout
    assert (ROOT / "BENCHMARKS.md").read_bytes() == before, "a quick run writes nothing"


def test_an_unknown_row_is_named_beside_those_that_exist():
    done = bench("faster")
    assert done.returncode == 1
    assert "there is no row named faster. Rows: " in done.stderr
    assert "one-activation" in done.stderr


def test_ratios_are_taken_round_by_round(parts):
    _, timing = parts
    found = timing.ratio([2.0, 30.0, 5.0], [1.0, 10.0, 5.0])  # the second round was ten times slower for both
    assert (found.median, found.low, found.high, found.rounds) == (2, 1, 3, 3)
    assert str(found) == "2.00 (1.00 to 3.00)"


def test_functions_take_turns(parts):
    _, timing = parts
    order = []
    seconds = timing.paired(2, one=lambda: order.append(1), two=lambda: order.append(2))
    assert order == [1, 2] * 3, "one round for warming up, two that count"
    assert {name: len(each) for name, each in seconds.items()} == {"one": 2, "two": 2}


def test_every_row_of_the_table_was_measured():
    stored = json.loads((BENCH / "measured.json").read_text("utf-8"))
    text = (ROOT / "BENCHMARKS.md").read_text("utf-8")
    assert len(stored) >= 8
    for name, result in stored.items():
        assert set(result) >= {"bare", "peer", "quality", "holds", "ours", "date", "machine", "versions"}, name
        assert not result["ours"] or f"| {result['ours']} |" in text
        assert result["holds"] or "**does not hold**" in text, "what does not hold is said"
