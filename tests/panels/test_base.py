import base64
import io
import threading
import time
from pathlib import Path

import ipywidgets
import nbclient
import nbformat
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from lecturekit.errors import InputError
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Memory, Panel, walk_through, weight
from lecturekit.progress import STOP, Step

PATIENCE = 20
ROOT = Path(__file__).resolve().parents[2]


class Counting(Panel):
    """Paints the level of its slider; ``work`` can be exchanged."""

    def __init__(self, work=None, steps=None, **settings):
        self.work = work or (lambda settings, watch: settings["level"])
        self.computed, self.shown, self.lived = [], [], []
        self.picture = look.Picture("Level", 40)
        chosen = {"level": knobs.slider("Level", 0, 100, 10), "colour": knobs.menu("Colour", ["grey", "red"])}
        super().__init__(chosen, [look.Strip([self.picture])], steps)
        self.begin(settings)

    def compute(self, settings, watch):
        self.computed.append(settings)
        return self.work(settings, watch)

    def show(self, result, settings):
        self.shown.append(result)
        colour = (result, 0, 0) if settings["colour"] == "red" else (result, result, result)
        self.picture.paint(look.packed(Image.new("RGB", (1, 1), colour)), f"level {result}\nof 100")

    def live(self, picture):
        self.lived.append(picture)


def pixel(panel):
    return Image.open(io.BytesIO(panel.picture.png)).convert("RGB").getpixel((0, 0))


def says(panel):
    return panel._says.value if panel._says.layout.display != "none" else ""


def in_steps(total=10_000, pause=0.001):
    """Work of many small steps that counts them and stops when it is asked to."""

    def work(settings, watch):
        for done in range(1, total + 1):
            time.sleep(pause)
            if watch(Step(done, total, picture=done)) == STOP:
                break
        return done

    return work


def started(panel):
    """Move a control without waiting, as a hand does, and return when the work has begun."""
    before = len(panel.computed)
    panel.controls["level"].value += 1
    while len(panel.computed) == before:
        time.sleep(0.001)


# Driven from code


def test_a_panel_is_ready_without_a_click():
    panel = Counting()
    assert panel.result == 10
    assert pixel(panel) == (10, 10, 10)


def test_set_turns_controls_computes_once_and_waits():
    panel = Counting()
    assert panel.set(level=77, colour="red") is panel
    assert len(panel.computed) == 2
    assert pixel(panel) == (77, 0, 0)
    assert panel.settings() == {"level": 77, "colour": "red"}


def test_a_hand_on_the_slider_does_the_same_as_set():
    by_hand, by_code = Counting(), Counting()
    by_hand.controls["level"].value = 42
    by_hand.wait()
    by_code.set(level=42)
    assert by_hand.result == by_code.result == 42
    assert by_hand.picture.png == by_code.picture.png


def test_set_refuses_what_does_not_exist_and_leaves_everything_as_it_was():
    panel = Counting()
    with pytest.raises(InputError, match="no control named 'lever'. Did you mean 'level'"):
        panel.set(lever=3)
    with pytest.raises(InputError, match="no colour named 'blue'. Available: grey, red"):
        panel.set(level=50, colour="blue")
    with pytest.raises(InputError, match="level goes from 0 to 100, got 101"):
        panel.set(level=101)
    with pytest.raises(InputError, match="level cannot be 'high'"):
        panel.set(level="high")
    assert panel.settings() == {"level": 10, "colour": "grey"}
    assert len(panel.computed) == 1


def test_reset_puts_every_control_back_to_where_the_panel_started():
    panel = Counting(level=30)
    panel.set(level=99, colour="red").reset()
    panel.wait()
    assert panel.settings() == {"level": 30, "colour": "grey"}
    assert pixel(panel) == (30, 30, 30)


# Newest wins


def test_a_flood_of_fifty_events_computes_a_few_and_shows_the_last():
    panel = Counting()
    for level in range(50, 100):
        panel.controls["level"].value = level
    assert panel.wait(PATIENCE)
    assert panel.result == 99
    assert pixel(panel) == (99, 99, 99)
    assert len(panel.computed) - 1 <= 5


def test_events_from_several_threads_leave_picture_and_controls_in_agreement():
    panel = Counting()

    def drag(levels):
        for level in levels:
            panel.controls["level"].value = level

    threads = [threading.Thread(target=drag, args=(range(low, low + 20),)) for low in (20, 40, 60, 80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert panel.wait(PATIENCE)
    assert panel.result == panel.settings()["level"]
    assert pixel(panel) == (panel.result,) * 3


def test_a_control_that_is_moved_during_long_work_ends_it_and_its_picture_is_never_shown():
    panel = Counting(steps="steps")
    panel.work = in_steps()
    started(panel)
    panel.work = lambda settings, watch: settings["level"]
    panel.set(level=60)
    assert panel.shown == [10, 60]


# Long work


def test_stop_ends_the_work_within_a_step_and_shows_the_best_so_far():
    panel = Counting(steps="evaluations")
    panel.work = in_steps()
    started(panel)
    while not panel.lived:
        time.sleep(0.001)
    panel.stop_button.click()
    assert panel.wait(PATIENCE)
    assert 0 < panel.result < 10_000
    assert "stopped after" in panel._status.value
    assert "evaluations" in panel._status.value
    assert panel.stop_button.disabled


def test_stop_reaches_the_work_at_its_very_next_step():
    panel, steps = Counting(steps="steps"), []

    def work(settings, watch):
        for done in range(1, 6):
            steps.append(done)
            if done == 3:
                panel.stop()
            if watch(Step(done, 5)) == STOP:
                break
        return done

    panel.work = work
    panel.set(level=20)
    assert steps == [1, 2, 3]


def test_start_computes_again_what_was_stopped():
    panel = Counting(steps="steps")
    before = len(panel.computed)
    panel.start_button.click()
    assert panel.wait(PATIENCE)
    assert len(panel.computed) == before + 1


def test_progress_tells_steps_and_seconds_and_ends_full():
    panel = Counting(work=in_steps(total=30, pause=0.01), steps="evaluations")
    assert panel._bar.value == panel._bar.max == 30
    assert "30 evaluations in 0." in panel._status.value
    assert panel.lived, "pictures are painted while the work goes on"
    assert len(panel.lived) < 30, "but not at every step"


def test_work_that_is_over_at_once_paints_nothing_on_the_way_unless_it_says_that_it_begins():
    panel = Counting(work=in_steps(total=5), steps="evaluations")
    assert panel.lived == []
    assert panel._bar.value == panel._bar.max == 5

    def announced(settings, watch):
        watch(Step(0, 5, picture="begun"))
        return in_steps(total=5)(settings, watch)

    panel.work = announced
    panel.refresh()
    assert panel.lived == ["begun"]


def test_ctrl_c_while_code_waits_stops_the_work_and_keeps_the_best(monkeypatch):
    panel = Counting(steps="steps")
    panel.work, wait = in_steps(), panel.wait

    def interrupted(timeout=None):
        monkeypatch.setattr(panel, "wait", wait)
        while not panel.lived:
            time.sleep(0.001)
        raise KeyboardInterrupt

    monkeypatch.setattr(panel, "wait", interrupted)
    panel.set(level=11)
    assert 0 < panel.result < 10_000


def test_a_closed_panel_stops_its_work_and_takes_its_widgets_along():
    panel = Counting(steps="steps")
    panel.work = in_steps()
    started(panel)
    inside = list(walk_through(panel))
    panel.close()
    assert panel.wait(PATIENCE)
    assert all(widget.comm is None for widget in inside)


# What can go wrong


def test_a_wrong_input_is_told_in_words_and_the_controls_stay_alive():
    def work(settings, watch):
        if settings["level"] > 50:
            raise InputError("level <b>51</b> is too much; stay below 50")
        return settings["level"]

    panel = Counting(work)
    panel.controls["level"].value = 51
    assert panel.wait(PATIENCE)
    assert "Level &lt;b&gt;51&lt;/b&gt; is too much" in says(panel), "words, not markup"
    assert "role='alert'" in says(panel)
    assert "lk-stale" in panel._pictures._dom_classes, "the old picture does not belong to these settings"
    with pytest.raises(InputError, match="is too much"):
        panel.result  # noqa: B018  asking is what raises
    panel.controls["level"].value = 40
    assert panel.wait(PATIENCE)
    assert says(panel) == ""
    assert panel.trouble is None
    assert "lk-stale" not in panel._pictures._dom_classes
    assert panel.result == 40


def test_an_error_of_ours_is_told_as_one_and_the_panel_goes_on():
    panel = Counting(lambda settings, watch: 1 // (settings["level"] - 20))
    panel.controls["level"].value = 20
    assert panel.wait(PATIENCE)
    assert "A fault of this panel, please report it: ZeroDivisionError" in says(panel)
    panel.set(level=21)
    assert panel.result == 1


def test_an_error_while_painting_is_told_too():
    panel = Counting(lambda settings, watch: "no colour" if settings["level"] == 20 else settings["level"])
    panel.set(level=20)
    assert "A fault of this panel" in says(panel)


def test_an_error_in_the_first_picture_leaves_a_panel_that_can_be_used():
    panel = Counting(lambda settings, watch: 10 // (settings["level"] - 10))
    assert isinstance(panel.trouble, ZeroDivisionError)
    assert panel.set(level=11).result == 10


# What a reader without a kernel sees


def test_a_picture_and_words_stand_beside_the_widget():
    panel = Counting()
    data, metadata = DisplayFormatter().format(panel)
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == metadata["image/png"]["alt"] == "Level: level 10, of 100"
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.convert("RGB").getpixel((30, 50)) == (10, 10, 10)


def test_hidden_pictures_are_neither_in_the_words_nor_in_the_snapshot():
    panel = Counting()
    panel.picture.unveil(False)
    assert panel.alternative_text() == ""
    assert Image.open(io.BytesIO(panel.snapshot())).height < 40


def test_a_reader_without_a_kernel_is_told_what_went_wrong():
    panel = Counting(lambda settings, watch: 1 // 0)
    assert "A fault of this panel" in panel.alternative_text()
    assert Image.open(io.BytesIO(panel.snapshot())).width > 300, "the words are in the picture"


def test_where_there_is_no_browser_the_notebook_keeps_picture_and_words(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("from lecturekit import panels\npanel = panels.DeconvNet(picture=7)\npanel")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    (shown,) = [out for out in notebook.cells[0].outputs if out.output_type != "stream"]
    assert "number 7" in shown.data["text/plain"]
    assert shown.metadata["image/png"]["alt"] == shown.data["text/plain"]
    assert Image.open(io.BytesIO(base64.b64decode(shown.data["image/png"]))).width > 500


def heard(panel):
    return panel._heard.value


def test_a_screen_reader_hears_which_control_was_turned_and_what_is_seen_now():
    panel = Counting()
    assert ">Level: level 10, of 100<" in heard(panel)
    panel.controls["colour"].value = "red"
    panel.wait()
    assert "role='status'>Colour: red. Level: level 10, of 100<" in heard(panel)


def test_what_went_wrong_is_heard_once():
    panel = Counting(lambda settings, watch: 10 // (settings["level"] - 20))
    panel.controls["level"].value = 20
    panel.wait()
    assert "role='alert'" in says(panel)
    assert ">Level: 20<" in heard(panel)


# During a running cell, on another thread


def test_a_control_that_is_moved_on_another_thread_during_a_cell_leaves_the_last_picture():
    """As JupyterLab does with subshells: the event comes on a thread, while this one is in the middle of `set`."""
    panel = Counting(lambda settings, watch: time.sleep(0.005) or settings["level"])

    def hand():
        for level in range(20, 60):
            panel.controls["level"].value = level
            time.sleep(0.002)

    thread = threading.Thread(target=hand)
    thread.start()
    for level in range(60, 80):
        panel.set(level=level)
    thread.join()
    assert panel.wait(PATIENCE)
    assert panel.result == panel.settings()["level"]
    assert pixel(panel) == (panel.result,) * 3


# Milliseconds


def test_milliseconds_are_shown_when_they_are_switched_on():
    panel = Counting()
    assert "ms" not in panel._time.value
    panel._clock.value = True
    panel.set(level=33)
    assert f"{panel.milliseconds:.0f} ms" in panel._time.value
    panel._clock.value = False
    assert panel._time.value == ""


def test_every_control_has_a_name_that_is_seen():
    for widget in walk_through(Counting(steps="steps")):
        if isinstance(widget, ipywidgets.IntSlider | ipywidgets.Dropdown | ipywidgets.Checkbox | ipywidgets.Button):
            assert widget.description


# Memory


def test_memory_forgets_what_was_not_asked_for_the_longest():
    memory = Memory(most=2)
    memory.keep("a", 1)
    memory.keep("b", 2)
    assert memory.recall("a") == 1
    memory.keep("c", 3)
    assert [memory.recall(key) for key in "abc"] == [1, None, 3]


def test_memory_forgets_by_size_too_but_never_the_newest():
    memory, picture = Memory(megabytes=1), torch.zeros(100_000)  # 0.4 megabytes
    for key in "abc":
        memory.keep(key, {"x": [picture.clone()], "same": None})
    assert [memory.recall(key) is None for key in "abc"] == [True, False, False]
    memory.keep("large", torch.zeros(1_000_000))
    assert memory.recall("large") is not None
    assert memory.recall("c") is None


class Holder:
    def __init__(self, x):
        self.x, self.again, self.model, self.me = x, x[:2], torch.nn.Linear(1000, 1000), self


def test_a_result_weighs_what_its_tensors_and_its_key_weigh_each_once():
    x = torch.zeros(10, 10)
    assert weight((b"12345", Holder(x)), set()) == 5 + 400
    assert weight(Step(1, 2, picture=x), set()) == 400
    assert weight("words" * 100, set()) == 0
