"""The benchmark runs, compares fairly and writes a table that can be read; no test asks how fast this machine is."""

import json
import os
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


def bench(*words):
    command = [sys.executable, str(BENCH), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)


def test_a_quick_row_of_each_section_says_what_it_cost_and_what_it_was_worth():
    before = (ROOT / "BENCHMARKS.md").read_bytes()
    done = bench(*SOME, "--quick")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    found = {head.partition(":")[0]: line for head, line in zip(lines[::2], lines[1::2], strict=True)}
    assert set(found) == set(SOME)
    for name, words in SOME.items():
        assert words in found[name] or "not measured" in found[name], found[name]
        assert "hold" not in found[name].lower(), "a quick run asks nothing of the time"
    assert (ROOT / "BENCHMARKS.md").read_bytes() == before, "a quick run writes nothing"


@pytest.mark.skipif(os.environ.get("LECTUREKIT_BENCH") != "all", reason="takes minutes: LECTUREKIT_BENCH=all")
@pytest.mark.timeout(600)
def test_every_row_runs():
    done = bench("--quick")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2 * len(every_row())


def every_row():
    """The names of all rows, as the command lists them."""
    done = bench("faster")
    assert done.returncode == 1
    assert "there is no row named faster. Rows: " in done.stderr
    return done.stderr.partition("Rows: ")[2].replace("\n", " ").split(", ")


def test_the_table_holds_rows_that_exist_and_says_what_does_not_hold():
    stored, names = json.loads((BENCH / "measured.json").read_text("utf-8")), every_row()
    text = (ROOT / "BENCHMARKS.md").read_text("utf-8")
    assert set(stored) <= {name.strip() for name in names}
    assert set(SOME) <= set(stored)
    for name, result in stored.items():
        assert set(result) >= {"bare", "peer", "quality", "holds", "ours", "date", "machine", "versions"}, name
        assert not result["ours"] or f"| {result['ours']} |" in text
        assert result["holds"] or "**does not hold**" in text, "what does not hold is said"


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
