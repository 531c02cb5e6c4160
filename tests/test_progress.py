"""Progress: whoever watches is told, may stop the work, and sees a bar that neither floods nor lingers."""

import contextlib
import dataclasses
import gc

import pytest

from lecturekit import progress
from lecturekit.progress import STOP, Step, bar, stopped


def test_work_without_a_watch_is_never_stopped():
    assert not stopped(None, Step(1, 2))


def test_a_watch_gets_the_step_and_stops_by_one_word():
    seen = []
    assert not stopped(seen.append, Step(1, 2, loss=0.5))
    assert seen == [Step(1, 2, loss=0.5)]
    assert stopped(lambda step: STOP, Step(1, 2))
    assert not stopped(lambda step: True, Step(1, 2)), "a watch that returns something else by chance stops nothing"


def test_a_step_cannot_be_changed_by_a_watch():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Step(1, 2).done = 2


class FakeBar:
    """Stands in for tqdm and remembers what it was asked to draw."""

    bars = []

    def __init__(self, desc, total, leave):
        self.desc, self.total, self.leave, self.n, self.drawn, self.open = desc, total, leave, 0, [], True
        FakeBar.bars.append(self)

    def set_postfix_str(self, note, refresh):
        assert self.open and refresh
        self.drawn.append((self.n, self.total, note))

    def close(self):
        self.open = False


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves, and a bar that it can read."""
    now = [100.0]
    FakeBar.bars = []
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("tqdm.auto.tqdm", FakeBar)
    return now


def test_a_bar_is_drawn_ten_times_a_second_at_most(clock):
    watch = bar("inverting")
    for done in range(1, 1001):
        watch(Step(done, 1000, loss=1 / done))
        clock[0] += 0.001
    (shown,) = FakeBar.bars
    assert 10 <= len(shown.drawn) <= 12, "one second of work"
    assert shown.drawn[0] == (1, 1000, "loss 1"), "the first step at once"
    assert shown.drawn[-1] == (1000, 1000, "loss 0.001"), "and the last one, whatever the clock says"
    assert not shown.open and shown.desc == "inverting" and shown.leave is False


def test_slow_work_is_drawn_at_every_step(clock):
    watch = bar("training")
    for done in range(1, 4):
        clock[0] += 5
        watch(Step(done, 4, note=f"epoch {done}"))
    assert [note for _, _, note in FakeBar.bars[0].drawn] == ["epoch 1", "epoch 2", "epoch 3"]


def test_a_bar_goes_away_when_somebody_says_stop(clock):
    watch = bar("inverting", watch=lambda step: STOP if step.done == 2 else None)
    assert watch(Step(1, 10)) is None and FakeBar.bars[0].open
    assert watch(Step(2, 10)) == STOP and not FakeBar.bars[0].open


def test_a_bar_that_is_never_used_is_never_drawn_and_one_that_is_used_again_begins_anew(clock):
    watch = bar("twice")
    assert FakeBar.bars == []
    for _ in range(2):
        watch(Step(1, 2))
        watch(Step(2, 2))
    assert len(FakeBar.bars) == 2 and not any(shown.open for shown in FakeBar.bars)


def test_a_real_bar_shows_the_loss_and_leaves_nothing_behind(capsys):
    watch = bar("inverting")
    watch(Step(1, 2, loss=0.25))
    assert "inverting" in (text := capsys.readouterr().err) and "1/2" in text and "loss 0.25" in text
    watch(Step(2, 2, loss=0.125))
    last = capsys.readouterr().err.split("\r")
    assert any("2/2" in line for line in last) and not last[-1].strip()


def test_a_bar_goes_away_when_the_work_fails(capsys):
    from tqdm.auto import tqdm

    def work(watch):
        watch(Step(1, 2))
        assert len(tqdm._instances) == 1
        raise KeyError

    with contextlib.suppress(KeyError):
        work(watch=bar("fails"))
    gc.collect()
    assert len(tqdm._instances) == 0
