"""What becomes of a panel that is closed, loses its kernel, or is opened again by somebody who runs nothing."""

import json

from tests.browser.driving import READY, notebook_with, stop_kernels

CODE = "panel = panels.DeconvNet(layer='conv4')\npanel"
ALIVE = "() => document.querySelectorAll('.lk-panel .noUi-handle').length > 0"


def test_a_closed_panel_goes_away_and_the_notebook_goes_on(open_notebook, lab):
    notebook = open_notebook(notebook_with(lab, "closed.ipynb", CODE, "panel.close()", CODE))
    notebook.run_all()
    assert notebook.errors() == []
    assert len(notebook.panels()) == 1, "the closed one has gone, the new one is there"


def test_after_a_restart_of_the_kernel_running_again_brings_the_panel_back(open_notebook, lab):
    notebook = open_notebook(notebook_with(lab, "restart.ipynb", CODE))
    notebook.run_all()
    page = notebook.page
    page.wait_for_function(ALIVE)
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    page.wait_for_function(READY, timeout=60_000)
    notebook.run_all()
    page.wait_for_function(ALIVE)
    assert notebook.errors() == []
    (panel,) = notebook.panels()
    assert panel.query_selector(".lk-picture img").is_visible()


def test_whoever_opens_it_again_and_runs_nothing_sees_the_picture_with_its_words(open_notebook, lab):
    name = notebook_with(lab, "kept.ipynb", CODE)
    notebook = open_notebook(name)
    notebook.run_all()
    notebook.command("docmanager:save")
    notebook.page.close()
    stop_kernels(lab)  # a kernel that lives would bring the panel back
    file = lab.notebooks / name
    kept = json.loads(file.read_text(encoding="utf-8"))
    signed = list((lab.notebooks.parent / "settings").rglob("nbsignatures.db"))
    assert signed == [], "trust ends with the server: trusted panels without a kernel say 'model not found'"
    kept["metadata"]["touched"] = "by another hand"  # so it is not trusted any more, as when the server began anew
    file.write_text(json.dumps(kept), encoding="utf-8")
    again = open_notebook(name)
    assert again.page.locator(".lk-panel").count() == 0, "no kernel, no panel"
    picture = again.page.locator(".jp-OutputArea-output img").first
    picture.wait_for()
    (output,) = kept["cells"][1]["outputs"]
    assert "number 5" in output["metadata"]["image/png"]["alt"], "JupyterLab leaves it out, nbconvert does not"
    assert picture.evaluate("img => img.naturalWidth") > 500
    assert again.page.get_by_text("not found", exact=False).count() == 0
    again.page.wait_for_function(READY, timeout=60_000)  # a kernel that is stopped while it starts holds the server up
