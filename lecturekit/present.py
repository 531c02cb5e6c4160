"""Large enough for the last row: figures, tables, panels and code, in a notebook or as slides, by one switch.

::

    python course.py present 04     in a terminal: JupyterLab on the slides of lesson 4, everything large
    present.large()                 in a cell of any notebook that is open already
    present.reset(globals())        the blackboard is wiped: every panel stands where it stood at first

Slides have 16 parts in width and 9 in height, a notebook has no height at all.  So on a slide a panel puts its controls
beside its pictures instead of above them, a figure grows until it fills what is left, and long code gives its room to
the figure that it makes; the notebook itself is the same file.

The look is one table of CSS, `STYLES`.  ``config/present`` hands it to JupyterLab, `large` to the page.
The trap: sizes of an axes or a font inside a figure are pixels by the time they reach the browser.  They are scaled as
pictures; no number in a figure changes, and none is computed again.
"""

TYPE = {  # JupyterLab's own sizes, which everything in it is measured by
    "--jp-content-font-size1": "18px",
    "--jp-code-font-size": "16px",
    "--jp-ui-font-size1": "15px",
}
DECK = "body[data-jp-deck-mode='presenting']"  # JupyterLab while it shows slides
LETTERS = ".widget-label, .widget-readout, .widget-label-basic, .lk-caption, .lk-status, select, button"

# Selectors and what holds for them; "&" stands for what is around it, as in nested CSS.
STYLES = {
    ":root": TYPE,
    ".lk-panel": {"--jp-widgets-font-size": "18px !important", "--jp-widgets-inline-height": "36px !important"},
    ", ".join(f".lk-panel {part.strip()}" for part in LETTERS.split(",")): {"font-size": "18px !important"},
    ".lk-panel .lk-title, .lk-panel .lk-heading": {"font-size": "20px !important"},
    ".jp-RenderedHTMLCommon table": {"font-size": "18px !important"},
    ".jp-OutputArea-output.jp-RenderedImage img": {"zoom": "1.25", "max-width": "100%"},
    # a slide: figures as large as they can be
    f"{DECK} .jp-Deck .jp-Notebook": {"padding": "0 !important"},
    f"{DECK} .jp-Deck .jp-OutputArea-output.jp-RenderedImage img": {
        "zoom": "1",
        "width": "100%",
        "max-height": "calc(100vh - 330px)",
        "object-fit": "contain",
        "object-position": "left",
    },
    f"{DECK} .jp-Deck .jp-OutputArea:has(.jp-RenderedText) .jp-RenderedImage img": {
        "max-height": "calc(100vh - 390px)"
    },
    f"{DECK} .jp-Deck .jp-Cell[data-jpf-cell-tags*=',picture-slide,'] .jp-Cell-inputWrapper": {"display": "none"},
    f"{DECK} .jp-Deck .jp-Cell[data-jpf-cell-tags*=',picture-slide,'] .jp-RenderedImage img": {
        "max-height": "calc(100vh - 40px)"
    },
    f"{DECK} .jp-Deck .jp-Cell[data-jpf-cell-tags*=',picture-slide,'] .jp-OutputArea:has(.jp-RenderedText) img": {
        "max-height": "calc(100vh - 170px)"  # it prints something, too
    },
    f"{DECK} .jp-Deck .jp-Cell:has(.lk-panel) .jp-Cell-inputWrapper": {"display": "none"},
    f"{DECK} .jp-Deck .jp-Cell[data-jpf-cell-tags*=',columns-slide,'] .jp-RenderedMarkdown": {
        "columns": "2",
        "column-gap": "48px",
        "font-size": "16px",
    },
    # a table on a slide: small rows, and what is too long goes on in a second column
    f"{DECK} .jp-Deck .jp-RenderedHTMLCommon table": {"font-size": "15px !important", "margin": "0"},
    f"{DECK} .jp-Deck .jp-RenderedHTMLCommon :is(td, th)": {"padding": "2px 10px", "line-height": "1.35"},
    f"{DECK} .jp-Deck .jp-OutputArea .jp-RenderedHTML > div": {
        "columns": "2",
        "column-fill": "auto",
        "column-gap": "40px",
        "height": "calc(100vh - 190px)",
    },
    f"{DECK} .jp-Deck .jp-Cell[data-jpf-cell-tags*=',picture-slide,'] .jp-RenderedHTML > div": {
        "height": "calc(100vh - 60px)"
    },
    f"{DECK} .jp-Deck .jp-OutputArea:has(.jp-RenderedText) .jp-RenderedHTML > div": {"height": "calc(100vh - 290px)"},
    # a panel on a slide: controls on the left, pictures on the right
    f"{DECK} .lk-panel": {
        "display": "grid !important",
        "grid-template-columns": "300px minmax(0, 1fr)",
        "grid-template-rows": "auto 1fr",
        "gap": "0 20px",
        "--jp-widgets-inline-height": "33px !important",  # fifteen controls fit one below the other
    },
    f"{DECK} .lk-panel > *": {"grid-column": "2"},
    f"{DECK} .lk-panel > .lk-controls": {
        "grid-area": "1 / 1",
        "grid-template-columns": "1fr !important",
        "gap": "1px 24px !important",
    },
    f"{DECK} .lk-panel > .lk-row": {
        "grid-area": "2 / 1",
        "align-content": "flex-start",
        "gap": "4px 16px",
        "margin-top": "6px",
    },
    # three pictures and a row below them, with their captions; a drawing can be smaller than a picture
    f"{DECK} .lk-panel .lk-pictures": {"margin-top": "0", "gap": "4px 12px"},
    f"{DECK} .lk-panel > .lk-strip": {"grid-area": "1 / 2 / 3 / 3", "zoom": "0.88"},
    f"{DECK} .lk-panel .lk-small.lk-pictures": {"zoom": "0.9", "gap": "4px 14px"},
    f"{DECK} .lk-small .lk-caption": {"white-space": "pre !important"},  # two rows of eight steps: no third line
    f"{DECK} .lk-picture.lk-smooth": {"zoom": "0.9"},
    f"{DECK} .lk-panel > .lk-strip:has(> :nth-child(3))": {"zoom": "0.85"},
    f"{DECK} .lk-controls :is(.widget-label, .widget-readout, select)": {"font-size": "16px !important"},
}


def css(styles=None):
    """Return `STYLES` as the text of a style sheet."""
    rules = (STYLES if styles is None else styles).items()
    return "\n".join(f"{where} {{{'; '.join(f'{k}: {v}' for k, v in what.items())}}}" for where, what in rules)


def large():
    """Return what makes the notebook that shows it large: the last line of a cell, or ``display(large())``."""
    from IPython.display import HTML

    return HTML(f"<style>{css()}</style><small>Large type is on. Clear this output to switch it off.</small>")


def reset(names):
    """Put every panel back to where it was when it appeared, and wait until all pictures are there.

    Args:
        names: where the panels are, e.g. ``globals()`` of a notebook, or a list of panels.
    Returns: how many panels there were.
    """
    from lecturekit.panels.base import Panel

    things = names.values() if hasattr(names, "values") else names
    panels = list({id(thing): thing for thing in things if isinstance(thing, Panel)}.values())
    for panel in panels:
        panel.reset()
    for panel in panels:
        panel.wait()
    return len(panels)
