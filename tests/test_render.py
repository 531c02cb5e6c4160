"""What `python course.py render` stores, and what it refuses to store."""

import base64
import importlib.util
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
v4 = nbformat.v4


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("render", ROOT / "tools" / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def png(pixels):
    """Pixels (H, W, 3) or (H, W, 4), uint8, as the base64 PNG that a notebook stores."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", dpi=(120, 120))
    return base64.b64encode(stream.getvalue()).decode()


def picture(encoded):
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def notebook(*outputs, source="1"):
    return v4.new_notebook(
        cells=[v4.new_code_cell(source, outputs=list(outputs), metadata={"execution": {"iopub.status.busy": "2026"}})]
    )


def shown(**data):
    """An output with data, its types written with _ for /."""
    return v4.new_output("display_data", data={name.replace("_", "/", 1): value for name, value in data.items()})


RED = np.full((8, 6, 3), (200, 10, 10), np.uint8)
LIVE = {"application/vnd.jupyter.widget-view+json": {"model_id": "8f3a", "version_major": 2}}


def test_a_rendered_notebook_runs_shows_and_is_stored_the_same_every_time(tool, tmp_path, capsys):
    path = tmp_path / "01_try.ipynb"
    cells = [v4.new_markdown_cell("# Try"), v4.new_code_cell("print(6 * 7)"), v4.new_code_cell("[1, 2]")]
    path.write_text(nbformat.writes(v4.new_notebook(cells=cells)), encoding="utf-8")
    assert tool.render(path) == []
    stored = nbformat.read(path, as_version=4)
    assert [cell.id for cell in stored.cells] == ["cell-01", "cell-02", "cell-03"]
    assert [cell.get("execution_count") for cell in stored.cells] == [None, 1, 2]
    assert stored.cells[1].outputs[0].text == "42\n" and stored.cells[2].outputs[0].data["text/plain"] == "[1, 2]"
    assert "cell   2" in capsys.readouterr().out, "the time of each cell is told"
    before = path.read_bytes()
    assert tool.render(path) == [] and path.read_bytes() == before


def test_a_notebook_that_fails_keeps_its_stored_form(tool, tmp_path):
    path = tmp_path / "01_try.ipynb"
    before = nbformat.writes(v4.new_notebook(cells=[v4.new_code_cell("1 / 0")]))
    path.write_text(before, encoding="utf-8")
    (fault,) = tool.render(path)
    assert "01_try.ipynb: cell 1 fails and nothing was stored" in fault and "ZeroDivisionError" in fault
    assert path.read_text(encoding="utf-8") == before


def test_times_versions_and_random_names_are_left_out(tool):
    one = notebook(shown(image_png=png(RED)))
    one.metadata = {"widgets": {"a": 1}, "language_info": {"name": "python", "version": "3.11.7"}, "kernelspec": {}}
    assert list(tool.clean(one)) == []
    assert set(one.metadata) == {"kernelspec", "language_info"} and one.metadata.language_info == {"name": "python"}
    assert one.cells[0].metadata == {} and one.cells[0].id == "cell-01"


def test_a_panel_leaves_its_picture_and_not_its_live_self(tool):
    panel = v4.new_output("execute_result", data={**LIVE, "image/png": png(RED), "text/plain": "Panel()"})
    one = notebook(panel)
    assert list(tool.clean(one)) == []
    assert set(one.cells[0].outputs[0].data) == {"image/png", "text/plain"}


def test_a_finished_progress_bar_leaves_nothing(tool):
    texts = ["  0%|          | 0/10 [00:00<?, ?it/s]", "training: 0it [00:00, ?it/s]"]
    one = notebook(*(v4.new_output("display_data", data={**LIVE, "text/plain": text}) for text in texts))
    assert list(tool.clean(one)) == [] and one.cells[0].outputs == []


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (v4.new_output("stream", name="stderr", text="UserWarning: old"), "cell 1 writes to stderr.*UserWarning: old"),
        (v4.new_output("display_data", data={**LIVE, "text/plain": "VBox()"}), "a widget without a picture beside it"),
        (v4.new_output("error", ename="KeyError", evalue="'conv9'", traceback=[]), "shows an error: KeyError: 'conv9'"),
        (
            v4.new_output("stream", name="stdout", text="<Line2D at 0x7f2b11aa>"),
            "prints where an object lies in memory",
        ),
    ],
)
def test_what_no_reader_should_see_is_refused(tool, output, says):
    (fault,) = tool.clean(notebook(output))
    assert re.search(says, fault)


def test_an_error_inside_a_widget_is_found(tool):
    one = notebook()
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no such layer"}
    state = {"1": {"state": {"outputs": [error]}}, "2": {"state": {"value": 3}}}
    one.metadata = nbformat.from_dict({"widgets": {tool.WIDGET_STATE: {"state": state}}})
    assert list(tool.hidden_errors(one)) == ["an error inside a widget: ValueError: no such layer"]


def test_a_picture_of_few_colours_gets_smaller_and_stays_exactly_itself(tool):
    stripes = np.zeros((64, 96, 4), np.uint8)
    stripes[..., 3], stripes[::2, :, 0], stripes[:, ::3, 1] = 255, 200, 90
    before = png(stripes)
    after = tool.smaller_png(before)
    assert len(after) < len(before) and picture(after).mode == "P"
    assert np.array_equal(np.asarray(picture(after).convert("RGBA")), stripes)
    assert round(picture(after).info["dpi"][0]) == 120


def test_a_picture_that_a_palette_would_visibly_change_stays_exactly_itself(tool):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert np.array_equal(np.asarray(picture(tool.smaller_png(png(noise)))), noise)


def test_a_photograph_keeps_what_an_eye_can_see(tool):
    from skimage import data
    from skimage.metrics import peak_signal_noise_ratio

    cat = data.chelsea()[::4, ::4].copy()
    after = tool.smaller_png(png(cat))
    assert len(after) < 0.6 * len(png(cat))
    assert peak_signal_noise_ratio(cat, np.asarray(picture(after).convert("RGB"))) >= tool.PALETTE_DB


def test_a_transparent_picture_stays_transparent(tool):
    glass = np.zeros((8, 6, 4), np.uint8)
    glass[:4, :, 3] = 255
    assert np.array_equal(np.asarray(picture(tool.smaller_png(png(glass))).convert("RGBA")), glass)


def test_what_takes_too_long_or_too_much_room_is_told(tool):
    assert list(tool.too_much(notebook(), {0: 59.0, 1: 59.0})) == []
    assert list(tool.too_much(notebook(), {0: 61.0})) == ["cell 1 took 61 s; the limit is 60 s"]
    slow = list(tool.too_much(notebook(), dict.fromkeys(range(5), 50.0)))
    assert slow == ["all cells took 250 s; the limit is 240 s"]
    (large,) = tool.too_much(notebook(shown(text_plain="x" * 600_000)), {})
    assert "the file has 60" in large and "the largest: cell 1 60" in large
