"""Panels for those who use keys instead of a mouse, or hear instead of see."""

import pytest

from tests.browser.driving import handle, notebook_with
from tests.browser.test_panels import PANELS

REACHABLE = """(panel) => {
    const parts = [...panel.querySelectorAll('.noUi-handle, select, button, input:not([type=file])')]
        .filter(part => part.checkVisibility() && !part.disabled);
    parts[0].focus({focusVisible: true});
    return parts.length;
}"""
VISITED = """(panel) => {
    const here = document.activeElement;
    if (!panel.contains(here)) return null;
    (window.lkVisited ??= new Set()).add(here);
    const ring = getComputedStyle(here).outlineWidth;
    return here.matches('.noUi-handle, select, button, input') ? ring : 'a readout';
}"""


@pytest.mark.parametrize("name", ["Attack", "Invert", "Leakage"])  # between them every kind of control
def test_every_control_is_reached_by_the_tab_key_and_shows_that_it_is(name, open_notebook, lab):
    notebook = open_notebook(notebook_with(lab, "keys.ipynb", PANELS[name]))
    notebook.run_all()
    (panel,) = notebook.panels()
    panel.scroll_into_view_if_needed()
    rings, wanted = [], panel.evaluate(REACHABLE)
    while (ring := panel.evaluate(VISITED)) is not None and len(rings) < 100:
        rings.append(ring)
        notebook.page.keyboard.press("Tab")
    visited = "[...window.lkVisited].filter(e => e.matches('.noUi-handle, select, button, input')).length"
    assert notebook.page.evaluate(visited) == wanted
    assert set(rings) <= {"3px", "a readout"}, rings


def test_pictures_and_controls_have_names_that_can_be_heard(open_notebook, lab):
    notebook = open_notebook(notebook_with(lab, "names.ipynb", PANELS["DeconvNet"]))
    notebook.run_all()
    page, (panel,) = notebook.page, notebook.panels()
    shown = page.locator(".lk-panel")
    for name in ("Network", "Follow", "Rule"):
        assert shown.get_by_role("combobox", name=name).count() == 1, "a menu is found by its label"
    assert shown.get_by_role("button", name="Reset").count() == 1
    assert shown.get_by_role("checkbox", name="show milliseconds").count() == 1
    pictures = [img for img in panel.query_selector_all(".lk-picture img") if img.is_visible()]
    assert pictures
    assert all(len(img.get_attribute("title")) > 20 for img in pictures)
    handle(panel, "Picture").press("ArrowRight")
    heard = shown.locator(".lk-heard[role=status]")
    page.wait_for_function("() => document.querySelector('.lk-heard').textContent.startsWith('Picture: 6. ')")
    assert shown.get_by_role("img", name="number 6").count() == 1
    assert heard.bounding_box()["width"] <= 1, "it is heard and not seen"
