"""The knobs of a panel: plain ipywidgets of one look, each with its name beside it, and how to turn them from code."""

import datetime
import math
from pathlib import Path

import ipywidgets as widgets
from traitlets import TraitError

from lecturekit.errors import InputError, unknown
from lecturekit.files import regular

LABEL = "112px"  # room for the name of a control: all sliders begin below each other
DECADES = [0.0, *(float(f"{digit}e{power}") for power in range(-6, 1) for digit in (1, 3))]  # of a weight


def menu(label, options, value=None):
    """Return a drop-down menu of (words, value) pairs, or of plain values."""
    chosen = {} if value is None else {"value": value}
    return widgets.Dropdown(options=list(options), description=label, **chosen, **look())


def slider(label, low, high, value, *, step=1, live=True):
    """Return a slider over whole numbers; ``live`` sends its events while it is dragged."""
    return widgets.IntSlider(value, low, high, step, description=label, continuous_update=live, **look())


def walk(label, options, value=None, *, live=True):
    """Return a slider from choice to choice, which the arrow keys move: (words, value) pairs, or plain values."""
    chosen = {} if value is None else {"value": value}
    return widgets.SelectionSlider(options=list(options), description=label, continuous_update=live, **chosen, **look())


class Weight(widgets.SelectionSlider):
    """A logarithmic slider for the weight of a prior: off, then 10^-6 to 3, two steps a decade."""

    def __init__(self, label, value):
        choices = [(power_of_ten(number), number) for number in DECADES]
        super().__init__(options=choices, description=label, continuous_update=False, **look())
        self.turn_to(value)

    def turn_to(self, value):
        """Go to any weight; one that is no step of the slider becomes one.

        Raises: InputError unless it is a number from 0.
        """
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise InputError(f"{self.description} is a number from 0, got {value!r}")
        if value not in [number for _, number in self.options]:
            numbers = sorted([*(number for _, number in self.options), float(value)])
            self.options = [(power_of_ten(number), number) for number in numbers]
        self.value = float(value)


def power_of_ten(number):
    """Return a weight as it is read: off, 3 × 10⁻⁴."""
    if not number:
        return "off"
    digits, power = f"{number:.2e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{float(digits):g} × 10{raised}"


def tick(label, value=False):
    """Return a box to tick."""
    return widgets.Checkbox(value, description=label, indent=False, layout=widgets.Layout(width="auto"))


def file_button():
    """Return a button that lets a person choose a picture of their own."""
    button = widgets.FileUpload(accept="image/*", multiple=False, description="Choose a picture")
    button.layout.width = "auto"
    return button


def button(label, tooltip, action):
    """Return a button that calls ``action()``."""
    made = widgets.Button(description=label, tooltip=tooltip, layout=widgets.Layout(width="auto"))
    made.on_click(lambda _: action())
    return made


def offer(control, options):
    """Give a menu or a walk other choices; it stays where it is if that still exists, else goes to the first."""
    before = control.value
    if list(control.options) != list(options):
        control.options = options  # ipywidgets moves the value to the first of them
        if before in [option[1] if isinstance(option, tuple) else option for option in options]:
            control.value = before


def spoken(control):
    """Return the name of a control and where it stands, in words."""
    value = getattr(control, "label", control.value)  # of a menu or a walk: what is read, not what it means
    if isinstance(control, widgets.FileUpload):
        value = ", ".join(file["name"] for file in value)
    if isinstance(value, bool):
        value = "on" if value else "off"
    return f"{control.description}: {value}"


def look():
    """The arguments that give every control the same size; the style sheet puts them into columns."""
    return {"style": {"description_width": LABEL}, "layout": widgets.Layout(width="auto")}


def put(name, control, value):
    """Turn one control from code, or say why that cannot be.

    Raises: InputError with the choices that exist, or the range.
    """
    if isinstance(control, widgets.FileUpload) and isinstance(value, str | Path | bytes):
        value = file_value(value)
    if isinstance(control, Weight):
        return control.turn_to(value)
    if hasattr(control, "options"):
        allowed = [option[1] if isinstance(option, tuple) else option for option in control.options]
        if value not in allowed:
            raise unknown(name, value, allowed)
    low, high = getattr(control, "min", None), getattr(control, "max", None)
    try:
        if low is not None and not low <= value <= high:  # ipywidgets would move it to the nearest end without a word
            raise InputError(f"{name} goes from {low} to {high}, got {value!r}")
        control.value = value
    except (TraitError, TypeError) as problem:
        raise InputError(f"{name} cannot be {value!r}: {problem}") from None


def file_value(file):
    """Return a path or the bytes of a file as an upload button holds what a browser sends."""
    content = file if isinstance(file, bytes) else regular(file).read_bytes()
    name = "picture" if isinstance(file, bytes) else Path(file).name
    now = datetime.datetime.now(datetime.UTC)
    return ({"name": name, "type": "", "size": len(content), "content": memoryview(content), "last_modified": now},)
