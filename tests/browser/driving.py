"""A hand and an eye in the browser: JupyterLab in Chromium, keys on a slider, and the pixels that follow.

Time is taken inside the page, from the event of the key to the frame in which the last of the new pictures has its
pixels: what runs between the two is the whole way, and nothing of the test's own.  Whether pixels are new is looked at
when all is over: reading a wide picture back takes as long as three frames.
"""

import contextlib
import secrets
from pathlib import Path

import nbformat

from tests.browser import CHROMIUM
from tests.lab_server import TOKEN

NO_BROWSER = "this machine has no Chromium or Chrome; install one to test the course in a browser"
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
IN_A_CONTAINER = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

# The idle light of the toolbar is on before the kernel is connected; "run all" would then clear everything and run
# nothing.  So ask the session itself.
READY = """() => {
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
    const kernel = context?.session?.kernel;
    return context?.isReady && kernel?.connectionStatus === 'connected' && kernel?.status === 'idle';
}"""
PIXELS = """(panel) => [...panel.querySelectorAll('.lk-picture img')].filter(img => img.offsetParent).map(img => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
    canvas.getContext('2d').drawImage(img, 0, 0);
    return canvas.toDataURL();
})"""
CLIPPED = """(panel) => [...panel.querySelectorAll('.widget-label, .widget-readout, .lk-caption, .lk-title, button')]
    .filter(part => part.offsetParent && part.scrollWidth > part.clientWidth + 1).map(part => part.innerText)"""

# `lkEye.watch(box)` looks at a box; `lkEye.settled(quiet, patience)` resolves to the milliseconds from the latest key
# to the latest new pixels, once nothing has changed for `quiet` ms, or to null if nothing changed at all.
EYE = """() => {
    if (window.lkEye) return;
    const brush = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const print = (img) => {                                   // one number for all pixels of a picture
        [brush.canvas.width, brush.canvas.height] = [img.naturalWidth, img.naturalHeight];
        brush.drawImage(img, 0, 0);
        const {data} = brush.getImageData(0, 0, img.naturalWidth, img.naturalHeight);
        return new Uint32Array(data.buffer).reduce((sum, pixel) => Math.imul(sum ^ pixel, 16777619), img.naturalWidth);
    };
    const eye = window.lkEye = {box: null, key: 0, seen: new Map(), told: null, prints: new WeakMap()};
    const look = (img) => {                                    // note only when: a print takes longer than the picture
        if (eye.box?.contains(img) && img.offsetParent && img.naturalWidth)
            requestAnimationFrame(() => eye.seen.set(img, performance.now()));
    };
    document.addEventListener('load', (event) => event.target.tagName === 'IMG' && look(event.target), true);
    document.addEventListener('keydown', (event) => {
        [eye.key, eye.told] = [event.timeStamp, null];
        eye.seen.clear();
    }, true);
    new MutationObserver(() => {                               // words and bar of work in progress
        const bar = eye.box?.querySelector('.lk-status[role=status]')?.innerText;
        if (bar !== eye.words) [eye.words, eye.told] = [bar, eye.told ?? performance.now()];
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
    eye.watch = (box) => {
        eye.box = box;
        eye.words = box.querySelector('.lk-status[role=status]')?.innerText;
        for (const img of box.querySelectorAll('img')) if (img.naturalWidth) eye.prints.set(img, print(img));
    };
    eye.changed = () => [...eye.seen].filter(([img]) => {      // those that look another way than before
        const [before, now] = [eye.prints.get(img), print(img)];
        eye.prints.set(img, now);
        return now !== before;
    }).map(([, at]) => at);
    eye.settled = async (quiet, patience) => {
        const asked = performance.now();
        for (;;) {
            await new Promise(done => setTimeout(done, 10));
            const now = performance.now(), last = Math.max(...eye.seen.values());    // none: minus infinity
            if (eye.seen.size && now - last > quiet) {
                const shown = eye.changed();
                if (shown.length) return Math.max(...shown) - eye.key;
                eye.seen.clear();
            }
            if (!eye.seen.size && now - asked > patience) return null;
        }
    };
}"""

# Words whose contrast with what lies behind them is below 4.5 : 1 (WCAG 2, AA), as ["4.1: words"].  What is switched
# off is exempt, as it is there; pictures are not words.
PALE = """(panel) => {
    const rgba = (colour) => {
        const parts = colour.match(/[\\d.]+/g).map(Number);
        return parts.length === 3 ? [...parts, 1] : parts;
    };
    const over = ([r, g, b, a], [R, G, B]) => [a * r + (1 - a) * R, a * g + (1 - a) * G, a * b + (1 - a) * B, 1];
    const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = (element) => {
        if (!element) return [255, 255, 255, 1];
        const colour = rgba(getComputedStyle(element).backgroundColor);
        return colour[3] === 1 ? colour : over(colour, behind(element.parentElement));
    };
    const paleness = (element) => element?.closest('.lk-panel')
        ? Number(getComputedStyle(element).opacity) * paleness(element.parentElement) : 1;
    const says = (element) => element.tagName === 'SELECT' ? element.selectedOptions[0]?.innerText
        : [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.textContent).join('').trim();
    const found = [];
    for (const element of panel.querySelectorAll('*')) {
        const words = ['STYLE', 'OPTION', 'SCRIPT'].includes(element.tagName) ? '' : says(element);
        if (!words || element.disabled || !element.checkVisibility() || element.closest('.lk-heard')) continue;
        const [r, g, b, a] = rgba(getComputedStyle(element).color);
        const back = behind(element), front = over([r, g, b, a * paleness(element)], back);
        const [dark, bright] = [light(front), light(back)].sort((x, y) => x - y);
        const contrast = (bright + 0.05) / (dark + 0.05);
        if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${words}`);
    }
    return found;
}"""


@contextlib.contextmanager
def running_browser(folder, **options):
    """Chromium with an empty profile in ``folder``."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=CHROMIUM,
            headless=True,
            args=QUIET + IN_A_CONTAINER,
            **{"viewport": {"width": 1280, "height": 900}, **options},
        )
        context.set_default_timeout(120_000)  # milliseconds; a machine with other work is slow, not broken
        yield context
        context.close()


@contextlib.contextmanager
def opening(browser, lab):
    """A function that opens a notebook in a fresh workspace and returns its `Notebook`; the kernels stop at the end."""
    with contextlib.ExitStack() as at_the_end:

        def open_it(path):
            page = browser.new_page()
            at_the_end.callback(stop_kernels, lab)
            at_the_end.callback(page.close)
            page.goto(f"{lab.url}/lab/workspaces/{secrets.token_hex(4)}/tree/{path}?token={TOKEN}&reset")
            page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
            return Notebook(page)

        yield open_it


def stop_kernels(lab):
    """Stop every kernel of a server."""
    for kernel in lab.ask("/api/kernels"):
        lab.ask(f"/api/kernels/{kernel['id']}", method="DELETE")


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, page):
        self.page = page

    def command(self, name, **arguments):
        """Run a command of JupyterLab and wait for it."""
        script = "([name, arguments]) => window.jupyterapp.commands.execute(name, arguments).then(() => null)"
        return self.page.evaluate(script, [name, arguments])

    def run_all(self, seconds=180):
        """Run every cell and wait until the kernel has nothing to do any more."""
        self.page.wait_for_function(READY, timeout=60_000)
        self.command("notebook:run-all-cells")
        self.page.wait_for_function(READY, timeout=1000 * seconds)

    def start(self):
        """Begin to run every cell, and do not wait."""
        self.page.wait_for_function(READY, timeout=60_000)
        self.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def errors(self):
        """The errors that stand under the cells."""
        return self.page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()

    def cells_not_run(self):
        """The code cells that hold something and have no number."""
        return self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
                .filter(cell => cell.cell_type === 'code' && cell.source.trim() && !cell.execution_count)
                .map(cell => cell.source)"""
        )

    def screenshot(self, path: Path):
        """Store what the window shows, for a person to look at."""
        self.page.screenshot(path=path)

    def theme(self, name):
        """Change to JupyterLab's light or dark theme, ``"Light"`` or ``"Dark"``, and wait until it is there."""
        self.command("apputils:change-theme", theme=f"JupyterLab {name}")
        self.page.wait_for_selector(f"body[data-jp-theme-light='{str(name == 'Light').lower()}']", state="attached")
        self.page.wait_for_timeout(300)  # its colours fade in

    def tall(self, pixels=1600):
        """Make the window so high that a whole panel fits into a screenshot."""
        self.page.set_viewport_size({"width": 1400, "height": pixels})

    def panels(self):
        """The panels in the notebook, from top to bottom."""
        return self.page.locator(".lk-panel").element_handles()

    def look_at(self, box):
        """Let the eye rest on an element."""
        self.page.evaluate(EYE)
        box.scroll_into_view_if_needed()
        self.page.evaluate("box => window.lkEye.watch(box)", box)

    def settled(self, quiet=150, patience=5000):
        """Milliseconds from the latest key to the latest new pixels; None if no pixel changed."""
        return self.page.evaluate("([q, p]) => window.lkEye.settled(q, p)", [quiet, patience])


def notebook_with(lab, name, *cells):
    """Write a notebook that has ``panels`` and these cells, and return its name."""
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}  # else Lab asks
    cells = [nbformat.v4.new_code_cell(code) for code in ("from lecturekit import panels", *cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=python), lab.notebooks / name)
    return name


def handle(panel, label):
    """Return the handle of the slider of this name, which takes the arrow keys."""
    for slider in panel.query_selector_all(".widget-hslider"):
        if slider.query_selector(".widget-label").inner_text() == label and slider.is_visible():
            return slider.query_selector(".noUi-handle")
    raise AssertionError(f"no slider named {label!r} can be seen")


def changed(page, panel, before):
    """Wait until a panel shows other pictures than ``before``; return them."""
    page.wait_for_function(f"([panel, before]) => ({PIXELS})(panel).join() !== before", arg=[panel, ",".join(before)])
    return panel.evaluate(PIXELS)


def turn_something(notebook, panel, patience=20_000):
    """Move sliders and menus until the pictures change; return the name of the control that did it."""
    notebook.look_at(panel)
    for knob in panel.query_selector_all(".lk-controls > .widget-hslider, .lk-controls > .widget-dropdown"):
        if not knob.is_visible():
            continue
        if menu := knob.query_selector("select"):
            menu.press("Shift")  # the eye counts from a key; an arrow would open the menu and choose nothing yet
            names, now = menu.evaluate("menu => [[...menu.options].map(option => option.text), menu.selectedIndex]")
            others = [*range(now + 1, len(names)), *range(now)]  # "my own file" is not there
            menu.select_option(index=next((i for i in others if names[i].split()[0] != "my"), now))
        else:
            grip = knob.query_selector(".noUi-handle")
            at_the_end = grip.get_attribute("aria-valuenow") == grip.get_attribute("aria-valuemax")
            grip.press("ArrowLeft" if at_the_end else "ArrowRight")
        if notebook.settled(patience=patience) is not None:
            return knob.query_selector(".widget-label").inner_text()
    raise AssertionError("no slider and no menu changes the pictures")
