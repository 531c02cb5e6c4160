"""What a step of the DeconvNet looks like: the signal before and after, what the step uses, and the words below.

=========  ============================================  ========================================================
step       what it uses                                  shown as
=========  ============================================  ========================================================
unpool     the switches of the map                       where a maximum stood, and where a value comes down to it
rectify    the signs of what comes, the ReLU on its way  what stays, what becomes 0, what was 0 already
filter     its weights                                   one of the many that add up; in colours above the pixels
others     a factor, or nothing                          words only
=========  ============================================  ========================================================

The trap: colours are comparable only where they share a scale.  Before and after do so where a step leaves the maps
apart; everywhere else each picture has its own, and the caption says how far it goes.
"""

import io
import math
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw

from lecturekit import deconv
from lecturekit.deconv.backward import RULES
from lecturekit.deconv.steps import Connect, Filter, Rectify, Unpool
from lecturekit.panels import look
from lecturekit.panels.source import Chosen

APART = ("select", "unpool", "rectify")  # steps that leave every map by itself, and in its own colours

HOW = {
    "select": "Every other activation is set to zero.",
    "unpool": "Each value returns to where its maximum stood; all other places become 0.",
    "filter": "Each value writes its weights, times itself, where they had looked; what overlaps adds up: R ← wᵀ R.",
    "spread": "Each value is spread evenly over the places that it was the mean of.",
    "scale": "Each map is multiplied by the factor of the way up: R ← R · factor. The shift is left out.",
    "reshape": "The row of numbers is put back into maps.",
    "pass": "Nothing happens here.",
}
RECTIFIED = {
    "deconvnet": "What is negative becomes 0: R ← max(R, 0).",
    "gradient": "What comes to a place where the ReLU was off becomes 0: R ← R · [z > 0].",
    "guided": "What is negative, and what comes to a place where the ReLU was off, becomes 0: R ← max(R, 0) · [z > 0].",
    "linear": "Nothing is cut: R ← R.",
}


class Way(NamedTuple):
    """The way down of one selection.

    Attributes:
        chosen: the picture and its name.
        answers: of the layer, (1, C, h, w) or (1, K).
        stages: the `deconv.chain.Stage` of every step, the selection first.
        links: the `deconv.chain.Link` that each stage but the first turned round.
        field: (top, left, bottom, right) in pixels: what the selected activations see.
    """

    chosen: Chosen
    answers: torch.Tensor
    stages: list
    links: list
    field: tuple


class Descended(NamedTuple):
    """The result of the panel: a `Way`, the number of the step that is looked at, and all signals in small as PNGs."""

    way: Way
    step: int
    film: list

    @property
    def stage(self):
        """The `deconv.chain.Stage` that the step ends with."""
        return self.way.stages[self.step]

    @property
    def before(self):
        """What the step begins with, (1, C, h, w) or (1, K): the layer's answers for the first."""
        return self.way.stages[self.step - 1].signal if self.step else self.way.answers

    @property
    def after(self):
        """What it ends with, of the same kind."""
        return self.stage.signal

    def maps(self):
        """Return the numbers of the maps, or units, that are shown before and after the step."""
        after = loudest(self.after)
        return (after if self.stage.action in APART else loudest(self.before)), after


def loudest(signal):
    """Return the number of the map of (1, C, h, w), or of the unit of (1, K), with the value furthest from 0."""
    return int(signal[0].flatten(1).abs().amax(1).argmax()) if signal.dim() == 4 else int(signal[0].abs().argmax())


def limit_of(result, signal, channel):
    """Return the largest number of a map; before and after share it where a step leaves the maps apart."""
    both = (result.before, result.after) if result.stage.action in APART[1:] else (signal,)
    return max(each[0, channel].abs().max().item() for each in both)


def drawn(signal, channel, way, zoom, side, limit=None):
    """Return one map of a signal as PNG bytes: red positive, blue negative, white 0; pixels in colours on grey."""
    if signal.dim() == 2:
        return grid(signal[0], side)
    if signal.shape == way.chosen.x.shape:
        return look.enlarged(cut(deconv.visible(signal), way, zoom), side)
    values = cut(signal[:, channel], way, zoom)[0]
    limit = values.abs().max().item() if limit is None else limit
    sheet = look.enlarge(look.shades(values[None], -limit, limit)[0], max(1, round(side / len(values))))
    return look.indexed(sheet, signed=True)


def cut(maps, way, zoom):
    """Return the part (..., h', w') of maps (..., h, w) that the field covers, or all of them."""
    if not zoom:
        return maps
    (height, width), (rows, columns) = way.chosen.x.shape[-2:], maps.shape[-2:]
    top, left, bottom, right = way.field
    return maps[..., top * rows // height : -(-bottom * rows // height),
                left * columns // width : -(-right * columns // width)]  # fmt: skip


def grid(values, side):
    """Return numbers (K,), signed, row by row in a square as PNG bytes; what is left over is clear."""
    columns, limit = math.ceil(math.sqrt(len(values))), values.abs().max().item()
    sheet = torch.full((-(-len(values) // columns) * columns,), look.CLEAR, dtype=torch.uint8).numpy()
    sheet[: len(values)] = look.shades(values, -limit, limit)
    return look.indexed(look.enlarge(sheet.reshape(-1, columns), max(1, round(side / columns))), signed=True)


def tool(result, rule, zoom):
    """Return the picture of what a step uses, its caption and its title; None for a step that needs no picture."""
    if not result.step:
        return None
    step, (before, after) = result.way.links[result.step - 1].step, result.maps()
    if isinstance(step, Unpool):
        return switches_of(step, result, after, zoom)
    if isinstance(step, Rectify):
        return kept(step, result, RULES[rule], after, zoom)
    if isinstance(step, Connect):
        words = f"{len(step.weight[before])} numbers\nred positive, blue negative"
        return grid(step.weight[before], look.SIDE), words, f"Weights of unit {before}"
    return weights_of(step, before, after) if isinstance(step, Filter) else None


def switches_of(step, result, channel, zoom):
    """Return where the maxima of one map stood, those brighter to which something comes down."""
    places, values = step.switches[0, channel].flatten(), result.before[0, channel].flatten()
    sheet = values.new_zeros(step.size[0] * step.size[1])
    sheet[places] = 0.5
    sheet[places[values != 0]] = 1.0
    sheet = cut(sheet.view(1, *step.size), result.way, zoom)[0]
    carried = int((values != 0).sum())
    words = f"dark: no maximum stood there\ngreen: one did\nyellow: and a value comes down to it ({carried})"
    return look.map_png(sheet, 0.0, 1.0, signed=False), words, f"Switches of map {channel}"


def kept(step, result, rule, channel, zoom):
    """Return which places of one map, or which units, a ReLU lets through on the way down."""
    signal, passed = result.before[0], result.after[0] != 0
    sheet = torch.where(passed, 1.0, torch.where(signal != 0, 0.5, 0.0))
    maps = sheet.dim() == 3
    here, on = (each[channel] if maps else each for each in (sheet, step.on()[0]))
    colours = ("dark", "green", "yellow") if maps else ("white", "pale", "red")
    states = zip(colours, ("0 already", "becomes 0", "stays"), (0.0, 0.5, 1.0), strict=True)
    words = "\n".join(f"{colour}: {state} ({int((here == value).sum())})" for colour, state, value in states)
    if rule.forward_mask:
        words += f"\nthe ReLU was on at {per_cent(on.float().mean().item())} of them"
    png = look.map_png(cut(here[None], result.way, zoom)[0], 0.0, 1.0, signed=False) if maps else grid(here, look.SIDE)
    return png, words, "What passes"


def weights_of(step, before, after):
    """Return the filter that leads from one map down to another; in colours if it leads to the pixels."""
    if step.how["groups"] != 1:
        return None
    weight = step.weight[before]  # (C, k, k)
    size = f"{weight.shape[-2]} × {weight.shape[-1]} weights"
    if len(weight) == 3:
        return (
            look.enlarged(deconv.visible(weight[None], clipped=0)),
            f"{size} in three colours, 0 is grey",
            f"Filter {before}",
        )
    limit = weight[after].abs().max().item()
    words = f"{size} up to ±{limit:.2g}, one of\n{len(step.weight)} × {len(weight)} such filters that add up"
    return look.map_png(weight[after], -limit, limit, signed=True), words, f"Filter from {before} to {after}"


def marked(png):
    """Return a picture, PNG bytes, with a frame: here is the slider."""
    shown = Image.open(io.BytesIO(png)).convert("RGBA")
    ImageDraw.Draw(shown).rectangle((0, 0, shown.width - 1, shown.height - 1), outline=look.MARK, width=10)
    return look.packed(shown)


def words_for(stage, rule):
    """Return what a step does, as a sentence and an equation."""
    return RECTIFIED[rule] if stage.action == "rectify" else HOW[stage.action]


def titled(name, signal, channel, way):
    """Return what stands above a signal: before or after, and which map of how many."""
    if signal.shape == way.chosen.x.shape:
        return f"{name}: pixels"
    return f"{name}: {'map' if signal.dim() == 4 else 'unit'} {channel} of {signal.shape[1]}"


def about(signal):
    """Return the caption of a signal: shape, zeros, energy and largest value, of all maps together."""
    shape = " × ".join(map(str, signal.shape[1:]))
    zeros, energy = (signal == 0).float().mean().item(), signal.square().sum().item()
    return f"{shape}, {per_cent(zeros)} zeros\nenergy Σ R² = {energy:.3g}\nlargest ±{signal.abs().max():.3g}"


def about_picture(way, settings):
    """Return the caption of the picture: what it is, what is followed, and from how far it sees."""
    top, left, bottom, right = way.field
    count = int((way.stages[0].signal != 0).sum())
    followed = f"{count} activation{'s' * (count != 1)} of {settings['layer']}, filter {settings['filter']}"
    return f"{way.chosen.words}\n{followed}\nframe: the {bottom - top} × {right - left} pixels seen"


def per_cent(share):
    """Return a share as it is read; the rarer, the more digits, so that one of a thousand is not told as none."""
    percent = 100 * share
    return f"{percent:.1f} %" if percent > 1 or not share else f"{percent:.1g} %"
