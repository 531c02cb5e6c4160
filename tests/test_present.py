"""The presenter's mode: what is large, what is a slide, what the speaker says, and a blackboard that can be wiped."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from lecturekit import panels, present
from lecturekit.networks import random_twin
from lecturekit.networks.layers import Normalize
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.base import Memory, Panel

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("slides", ROOT / "tools" / "slides.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code(source, *outputs, **metadata):
    """A code cell as a notebook stores it; an output is a text, or "png" for a picture."""
    shown = [{"data": {"image/png": ""}} if output == "png" else {"text": [output]} for output in outputs]
    return {"cell_type": "code", "source": source.splitlines(True), "outputs": shown, "metadata": metadata}


def words(source, **metadata):
    return {"cell_type": "markdown", "source": source.splitlines(True), "metadata": metadata}


# Slides


@every_notebook
def test_every_notebook_has_the_slides_that_the_rules_give_it(tool, path):
    wrong = [
        f"cell {number} is {cell['metadata'].get('slideshow')}, the rules say {kind}"
        for number, (cell, (kind, _)) in enumerate(zip(cells(path), tool.slides(cells(path)), strict=True), start=1)
        if cell["metadata"].get("slideshow", {}).get("slide_type") != kind
    ]
    assert not wrong, "; ".join(wrong) + ". Run python tools/slides.py"


@every_notebook
def test_every_section_is_a_slide_and_every_panel_stands_alone(tool, path):
    kinds = [cell["metadata"]["slideshow"]["slide_type"] for cell in cells(path)]
    assert kinds[0] == "slide"
    for cell, kind, following in zip(cells(path), kinds, [*kinds[1:], "slide"], strict=True):
        assert kind in ("slide", "subslide", "fragment", "skip")
        if tool.text(cell).startswith("## "):
            assert kind == "slide"
        if cell["cell_type"] == "code" and tool.is_panel(cell):
            assert kind == "subslide" and following != "fragment", "nothing else shares its slide"


def test_the_tool_changes_metadata_alone_and_only_once(tool, tmp_path):
    source = NOTEBOOKS[0]
    plain = json.loads(source.read_text(encoding="utf-8"))
    for cell in plain["cells"]:
        cell["metadata"] = {"mine": 1}
    path = tmp_path / "00_try.ipynb"
    path.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert tool.cut(path) and not tool.cut(path)
    after = json.loads(path.read_text(encoding="utf-8"))
    assert [cell["metadata"].pop("mine") for cell in after["cells"]] == [1] * len(after["cells"])
    for cell in [*after["cells"], *plain["cells"]]:
        cell["metadata"] = {}
    assert after == plain
    assert b"\r" not in path.read_bytes() and path.read_text(encoding="utf-8").endswith("}\n")


def test_the_rules(tool):
    notebook = [
        words("# Title"),
        code("import torch\nplots.use()"),
        words("## Section"),
        words("A question?"),
        code("print(1)", "1\n"),
        words("A question? " * 80),
        code("print(1)", "1\n"),
        code("x = 1\n" * 9 + "plots.pictures(x)", "png"),
        code("panels.Depth()", "png"),
        code("panels.Depth()\n" * 12, "png"),
        words("long " * 400),
        words("long\n<details><summary>Answer</summary>" + "long " * 400 + "</details>"),
        code("print(1)", *["line\n"] * 9),
    ]
    kinds = [("slide", "columns-slide"), ("skip", None), ("slide", None), ("subslide", None), ("fragment", None)]
    kinds += [("subslide", None), ("subslide", None), ("subslide", "picture-slide"), *[("subslide", None)] * 2]
    kinds += [("subslide", "columns-slide"), ("subslide", None), ("subslide", None)]
    assert tool.slides(notebook) == kinds


def test_an_exception_with_its_reason_overrules_the_rules(tool):
    by_hand = words("## Section", slideshow={"slide_type": "skip", "because": "on the blackboard"})
    by_accident = words("## Section", slideshow={"slide_type": "skip"})
    assert tool.slides([by_hand, by_accident]) == [("skip", None), ("slide", None)]
    tool.mark(by_hand["metadata"], "skip", None)
    assert by_hand["metadata"] == {"slideshow": {"slide_type": "skip", "because": "on the blackboard"}}


def test_a_tag_of_somebody_else_stays_and_ours_goes_when_it_is_no_longer_needed(tool):
    metadata = {"tags": ["theirs", "picture-slide"]}
    tool.mark(metadata, "subslide", None)
    assert metadata["tags"] == ["theirs"]
    tool.mark(metadata, "subslide", "columns-slide")
    assert metadata["tags"] == ["theirs", "columns-slide"]


def test_the_command_line_names_what_it_changed(tmp_path):
    path = tmp_path / "00_try.ipynb"
    path.write_text(json.dumps({"cells": [words("# T")]}, indent=1), encoding="utf-8")
    call = [sys.executable, ROOT / "tools" / "slides.py", path]
    said = [subprocess.run(call, capture_output=True, text=True).stdout for _ in range(2)]
    assert said == ["1 notebooks, changed: 00_try.ipynb\n", "1 notebooks, changed: none\n"]


# Speaker notes


def sections(text):
    """The headings of a notebook that the lecture walks through, in order."""
    found = [title.strip() for title in re.findall(r"^## (.+)$", text, flags=re.MULTILINE)]
    return [title for title in found if title not in ("Summary", "Questions", "One step beyond")]


@every_notebook
def test_the_speaker_has_a_note_for_every_section(path):
    prose = "\n".join("".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown")
    notes = (path.parent / "notes" / f"{path.name[:2]}.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+) · (\d+) min$", notes, flags=re.MULTILINE)
    assert [title for title, _ in headings] == sections(prose)
    for block in re.split(r"^## .+\n", notes, flags=re.MULTILINE)[1:]:
        assert 8 <= len(block.split()) <= 130, f"a note is read at a glance: {block.strip()[:60]}"


@every_notebook
def test_the_minutes_of_the_notes_are_those_of_the_timetable(path):
    table = dict(re.findall(r"^\| (.+?) \| (\d+) \|$", "".join(cells(path)[0]["source"]), flags=re.MULTILINE))
    notes = (path.parent / "notes" / f"{path.name[:2]}.md").read_text(encoding="utf-8")
    assert table, "the title holds a timetable"
    for title, minutes in re.findall(r"^## (.+) · (\d+) min$", notes, flags=re.MULTILINE):
        row = "checkpoint and questions" if title == "Checkpoint" else title
        told = [m for name, m in table.items() if name.startswith(row)] or [minutes] * (title == "Checkpoint")
        assert told == [minutes], f"{title}: {minutes} minutes in the notes, {told} in the notebook"


# Everything large


def test_jupyterlab_gets_the_same_look_as_the_page():
    folder = ROOT / "config" / "present" / "labconfig"
    settings = json.loads((folder / "default_setting_overrides.json").read_text(encoding="utf-8"))
    assert settings == {"@deathbeds/jupyterlab-fonts:fonts": {"styles": present.STYLES}}


def test_large_is_a_style_sheet_that_shows_itself():
    shown = present.large()._repr_html_()
    assert shown.startswith("<style>") and "--jp-content-font-size1: 18px" in shown and shown.count("</style>") == 1
    assert shown.count("{") == shown.count("}") == len(present.STYLES)
    assert "Clear this output to switch it off" in shown


def test_letters_are_larger_than_those_of_a_notebook():
    sizes = re.findall(r"\.lk-[a-z-]+[^{]* \{font-size: (\d+)px", look.STYLE)
    large = re.findall(r"\.lk-[^{]*\{font-size: (\d+)px", present.css())
    assert large and min(map(int, large)) > min(map(int, sizes or ["15"]))


def test_the_tags_of_the_tool_are_those_of_the_style_sheet(tool):
    assert all(f"*=',{tag},'" in present.css() for tag in tool.TAGS)


# The blackboard


def tiny():
    """A network for 64x64 pictures that takes a millisecond."""
    chain = nn.Sequential(
        Normalize(), nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64 * 64, 3)
    )
    return random_twin(chain, 0).eval().requires_grad_(False)


class Level(Panel):
    """Paints the level of its slider, and remembers."""

    def __init__(self):
        self.picture, self.memory = look.Picture("Level", 40), Memory(2)
        super().__init__({"level": knobs.slider("Level", 0, 100, 10)}, [look.Strip([self.picture])])
        self.begin({})

    def compute(self, settings, watch):
        return self.memory.recall(settings["level"]) or self.memory.keep(settings["level"], [settings["level"]])

    def show(self, result, settings):
        self.picture.paint(look.packed(look.Image.new("RGB", (1, 1), (result[0], 0, 0))), f"level {result[0]}")


def test_all_panels_go_back_at_once():
    one, other = Level(), Level()
    first = one.snapshot()
    one.set(level=77)
    other.set(level=3)
    assert one.snapshot() != first
    names = {"a": one, "b": other, "again": one, "x": 3}
    assert present.reset(names) == 2
    assert one.snapshot() == other.snapshot() == first
    assert one.settings() == other.settings() == {"level": 10}
    one.set(level=5)
    assert present.reset([one]) == 1 and one.settings() == {"level": 10}
    assert present.reset({}) == 0


def test_reset_brings_the_first_picture_back_after_a_file_another_layer_and_a_full_memory(tmp_path):
    path = tmp_path / "mine.png"
    path.write_bytes(look.packed(look.Image.new("RGB", (90, 70), (250, 10, 10))))
    panel = panels.DeconvNet({"tiny": tiny()}, layer="1", filter=3)
    first, settings = panel.snapshot(), panel.settings()
    panel.set(world="upload", upload=path, rule="gradient", selection="map")
    assert panel.trouble is None and panel.snapshot() != first
    for number in range(10):  # more pictures than the panel remembers
        panel.set(world="picturebook", picture=number)
    panel.set(world="upload")
    assert panel.trouble is None, "the file is still there"
    assert present.reset([panel]) == 1
    assert panel.snapshot() == first and panel.settings() == settings
    panel.set(world="upload")
    assert panel.trouble is not None, "no picture of a person is left in it"
    panel.reset()
    panel.wait()
    assert panel.trouble is None and panel.snapshot() == first


def test_torch_is_not_needed_to_make_things_large():
    code = "import sys, lecturekit.present; print(*{'torch', 'matplotlib', 'ipywidgets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("", "")
