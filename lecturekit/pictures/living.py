"""Things that live: cat, tree, flower, fish.  Each adds one to a sketch; chance comes from the palette."""

import numpy as np

from lecturekit.pictures import shapes
from lecturekit.pictures.colours import Colour, apart
from lecturekit.pictures.shared_parts import INK, WHITE, bead, eye, leaf_colour

_FUR = (
    (0.03, 260),
    (0.02, 80),
    (0.11, 60),
    (0.06, 55),
    (0.05, 75),
    (0.02, 250),
)  # chroma, hue: grey, ginger, brown, sand


def cat(sketch, palette):
    """Draw a cat from the front: only its head, or sitting with body, paws and tail."""
    dice = palette.dice
    chroma, hue = dice.choice(_FUR)
    fur = palette.main((0.3, 0.93), (chroma * 0.7, chroma * 1.2), (hue - 10, hue + 10))
    marks = apart(fur.darker(dice.number(0.1, 0.2)), fur, 0.1)
    tabby, head_y = dice.chance(0.5), 0.0
    if dice.chance(0.65):
        head_y = -0.62
        _sitting_body(sketch, dice, fur, marks, tabby)
    _cat_head(sketch, dice, fur, marks, tabby, head_y)


def _sitting_body(sketch, dice, fur, marks, tabby):
    side = dice.choice((-1, 1))
    tail = shapes.curve(
        (side * 0.4, 1.0), (side * 1.25, 1.05), (side * 0.85, 0.2), (side * dice.number(0.8, 1.3), -0.1)
    )
    sketch.add("tail", shapes.stroke(tail, 0.24, 0.17), fur.darker(0.04))
    wide = dice.number(0.52, 0.68)
    pear = shapes.curve((0.25, -0.5), (wide * 0.9, 0.0), (wide * 1.35, 1.15), (0.15, 1.12), count=14)
    sketch.add("body", np.concatenate([pear, (pear * (-1, 1))[::-1]]), fur)
    if tabby:
        for y in (0.1, 0.38, 0.66):
            edge = wide * (0.62 + 0.35 * y)
            for flank in (-1, 1):
                stripe = shapes.stroke(
                    shapes.polygon((flank * edge * 1.0, y), (flank * edge * 0.55, y + 0.05)), 0.12, 0.03
                )
                sketch.add("body", stripe, marks, line=False)
    else:
        sketch.add("body", shapes.ellipse(0, 0.25, wide * 0.5, 0.45), fur.lighter(0.1), line=False)
    for flank in (-1, 1):
        sketch.add("body", shapes.ellipse(flank * 0.22, 1.0, 0.2, 0.13), fur.lighter(0.05))


def _cat_head(sketch, dice, fur, marks, tabby, y):
    w, h, lean = dice.number(0.68, 0.8), dice.number(0.55, 0.63), dice.number(-0.06, 0.06)
    for side in (-1, 1):
        _cat_ear(sketch, fur, side, w, h, y, dice.number(0.4, 0.55))
    sketch.add("body", shapes.ellipse(0, y, w, h), fur)
    if tabby:
        for x, length in ((-0.16, 0.18), (0.0, 0.24), (0.16, 0.18)):
            stripe = shapes.stroke(shapes.polygon((x, y - h * 0.97), (x * 0.8, y - h * 0.97 + length)), 0.09, 0.02)
            sketch.add("body", stripe, marks, line=False)
    for side in (-1, 1):
        sketch.add("body", shapes.ellipse(side * 0.12 + lean, y + 0.26, 0.18, 0.14), fur.lighter(0.1), line=False)
    iris = Colour(dice.number(0.65, 0.85), 0.13, dice.number(80, 160))
    gaze, size = (dice.number(-0.6, 0.6), dice.number(-0.3, 0.3)), dice.number(0.135, 0.18)
    for side in (-1, 1):
        eye(sketch, side * 0.3 + lean, y - 0.08, size, size * 1.05, iris, gaze, slit=dice.number(0.35, 0.8))
    _muzzle(sketch, dice, fur, lean, y)


def _cat_ear(sketch, fur, side, w, h, y, height):
    base_out, base_in = (side * w * 0.93, y - h * 0.3), (side * w * 0.22, y - h * 0.85)
    tip = (side * w * 0.88, y - h * 0.75 - height)
    sketch.add("ear", shapes.polygon(base_out, tip, base_in), fur)
    middle = np.mean([base_out, tip, base_in], axis=0)
    inner = middle + 0.55 * (np.array([base_out, tip, base_in]) - middle)
    sketch.add("ear", inner, Colour(min(0.85, fur.lightness + 0.12), 0.07, 15), line=False)


def _muzzle(sketch, dice, fur, x, y):
    pink = apart(Colour(0.62, 0.1, 15), fur, 0.15)
    sketch.add("nose", shapes.polygon((x - 0.09, y + 0.09), (x + 0.09, y + 0.09), (x, y + 0.2)), pink, line=False)
    line = apart(INK, fur, 0.3)
    for side in (-1, 1):
        smile = shapes.curve((x, y + 0.19), (x + side * 0.04, y + 0.33), (x + side * 0.2, y + 0.28), count=7)
        sketch.add("mouth", shapes.stroke(smile, 0.055), line, line=False)
        for rise in (-0.1, 0.05):
            hair = shapes.curve(
                (x + side * 0.25, y + 0.22), (x + side * 0.6, y + 0.2 + rise), (x + side * 0.95, y + 0.2 + 2 * rise)
            )
            sketch.add(
                "whisker",
                shapes.stroke(hair, 0.05, 0.03),
                apart(WHITE if fur.lightness < 0.6 else INK, fur, 0.25),
                line=False,
            )


def tree(sketch, palette):
    """Draw a tree: a trunk and a crown (round, a cloud, a cone of layers, or a tall flame), perhaps with fruit."""
    dice = palette.dice
    bark = palette.beside(palette.ground, least=0.14, lightness=(0.3, 0.55), chroma=(0.02, 0.07), hue=(40, 80))
    hue = dice.choice(((105, 160), (105, 160), (40, 105), (350, 380)))  # summer twice, autumn, blossom
    crown = apart(palette.main((0.4, 0.82), (0.06, 0.14), hue), bark, 0.15)
    thick, foot = dice.number(0.2, 0.36), dice.number(1.1, 1.35)
    trunk = shapes.curve((thick * 0.45, 0.0), (thick * 0.4, 0.7), (thick * 0.9, foot), count=8)
    sketch.add("trunk", np.concatenate([trunk, (trunk * (-1, 1))[::-1]]), bark)
    kind = dice.choice((_round_crown, _cloud_crown, _conifer, _poplar))
    if kind is not _conifer:
        for side in (-1, 1):
            bough = shapes.stroke(shapes.polygon((0, 0.55), (side * 0.4, 0.1)), thick * 0.5, thick * 0.3)
            sketch.add("trunk", bough, bark)
    kind(sketch, dice, crown)
    if dice.chance(0.4):
        _fruit(sketch, palette, crown)


def _round_crown(sketch, dice, colour):
    rx, ry = dice.number(0.75, 0.98), dice.number(0.7, 0.85)
    sketch.add("crown", shapes.cloud(0, -0.35, rx, ry, dice.whole(9, 14), 0.04), colour)
    sketch.add("crown", shapes.ellipse(-0.25 * rx, -0.55, 0.5 * rx, 0.45 * ry), colour.lighter(0.05), line=False)
    sketch.add("crown", shapes.cloud(-0.3 * rx, -0.65, 0.3 * rx, 0.25 * ry, 7, 0.08), colour.lighter(0.1), line=False)


def _cloud_crown(sketch, dice, colour):
    puffs = [(-0.52, -0.08), (0.55, -0.05), (0.0, 0.02), (-0.36, -0.58), (0.36, -0.6), (0.0, -0.85)]
    for number, (x, y) in enumerate(puffs):
        r = dice.number(0.38, 0.5)
        spot = (x + dice.number(-0.06, 0.06), y + dice.number(-0.06, 0.06))
        sketch.add("crown", shapes.cloud(*spot, r, r * 0.92, 8, 0.05), colour.lighter(0.015 * number))
        sketch.add(
            "crown", shapes.ellipse(spot[0] - 0.1, spot[1] - 0.14, r * 0.4, r * 0.3), colour.lighter(0.06), line=False
        )


def _conifer(sketch, dice, colour):
    layers, wide = dice.whole(2, 4), dice.number(0.72, 0.95)
    for layer in range(layers):
        share = layer / layers
        low, high = 0.55 - 1.5 * share, 0.55 - 1.5 * share - 1.5 / layers - 0.3
        half = wide * (1 - 0.75 * share)
        hem = shapes.curve((half, low), (0, low + 0.22), (-half, low), count=9)
        sketch.add("crown", np.concatenate([hem, [(0.0, high)]]), colour.lighter(0.035 * layer))
        shine = shapes.polygon((-half * 0.75, low + 0.02), (-half * 0.35, low + 0.06), (-0.02, high + 0.15))
        sketch.add("crown", shine, colour.lighter(0.06 + 0.035 * layer), line=False)


def _poplar(sketch, dice, colour):
    wide = dice.number(0.42, 0.62)
    sketch.add("crown", shapes.leaf(0, 0.62, 1.9, 2.3 * wide, -90, 0.6), colour)
    sketch.add("crown", shapes.leaf(-0.1, 0.4, 1.4, 1.1 * wide, -93, 0.6), colour.lighter(0.06), line=False)


def _fruit(sketch, palette, crown):
    dice = palette.dice
    colour = palette.beside(crown, least=0.2, lightness=(0.55, 0.8), chroma=(0.12, 0.18), hue=(-15, 95))
    for x, y in ((-0.45, -0.2), (0.05, -0.05), (0.45, -0.25), (-0.2, -0.6), (0.25, -0.62)):
        place = (x * 0.8 + dice.number(-0.08, 0.08), y + dice.number(-0.08, 0.08))
        sketch.add("fruit", shapes.ellipse(*place, 0.1), colour, line=False)
        sketch.add("fruit", shapes.ellipse(place[0] - 0.03, place[1] - 0.03, 0.035), colour.lighter(0.15), line=False)


def flower(sketch, palette):
    """Draw a flower: petals around a center, a bent stem with leaves, sometimes a pot."""
    dice = palette.dice
    bend, foot = dice.number(-0.25, 0.25), dice.number(1.35, 1.6)
    green = leaf_colour(palette)
    stem = shapes.curve((0, 0), (bend, 0.6), (bend * 0.4, foot))
    sketch.add("stem", shapes.stroke(stem, 0.12, 0.15), green)
    for side, where in ((-1, dice.number(0.62, 0.75)), (1, dice.number(0.5, 0.75))):
        x, y = stem[int(where * 11)]
        length, turn = dice.number(0.5, 0.75), -90 + side * dice.number(35, 65)
        sketch.add("leaf", shapes.leaf(x, y, length, dice.number(0.24, 0.36), turn), green)
        sketch.add("leaf", shapes.leaf(x, y, length * 0.8, 0.06, turn), green.lighter(0.09), line=False)
    if dice.chance(0.3):
        _pot(sketch, palette, bend * 0.4)
    _blossom(sketch, palette)


def _blossom(sketch, palette):
    dice = palette.dice
    count, length = dice.whole(5, 11), dice.number(0.72, 0.88)
    hue = dice.choice(((-30, 40), (60, 100), (250, 330), (0, 360)))
    colour = palette.main((0.5, 0.94), (0.05, 0.16), hue)
    width, point, turn = 2 * np.pi / count * length * dice.number(0.75, 1.0), dice.number(0, 1), dice.number(0, 360)
    for ring, step in ((0, 0.03), (1, 0.0)) if count > 7 else ((1, 0.0),):  # many petals: a darker ring behind
        for k in range(count):
            angle = turn + 360 * (k + 0.5 * ring) / count
            petal = shapes.leaf(0, 0, length * (1 - 0.06 * (1 - ring)), width, angle, point)
            sketch.add("petal", petal, colour.darker(step + 0.03 * (k % 2)))
    heart = palette.beside(colour, least=0.3, lightness=(0.3, 0.88), chroma=(0.07, 0.14), hue=(45, 105))
    r = dice.number(0.24, 0.36)
    sketch.add("center", shapes.ellipse(0, 0, r), heart)
    for x, y in ((-0.35, -0.3), (0.3, -0.35), (0.0, 0.1), (-0.3, 0.4), (0.4, 0.3)):
        sketch.add("center", shapes.ellipse(x * r, y * r, r * 0.16, count=8), heart.darker(0.12), line=False)


def _pot(sketch, palette, x):
    clay = palette.main((0.45, 0.7), (0.07, 0.12), (35, 60))
    sketch.add("pot", shapes.polygon((x - 0.4, 1.3), (x + 0.4, 1.3), (x + 0.28, 1.95), (x - 0.28, 1.95)), clay)
    sketch.add("pot", shapes.box(x - 0.46, 1.22, x + 0.46, 1.4, 0.05), clay.lighter(0.06))


def fish(sketch, palette):
    """Draw a fish that swims to the left: body, tail, fins, eye, mouth; stripes, scales or a pale belly."""
    dice = palette.dice
    skin = palette.main((0.4, 0.88), (0.06, 0.16))
    fins = palette.beside(palette.ground, skin, least=0.14, lightness=(0.4, 0.88), chroma=(0.06, 0.16))
    tall, blunt = dice.number(0.4, 0.72), dice.number(0.4, 1.0)
    fork, reach = dice.number(0.35, 0.65), dice.number(0.45, 0.7)
    tail = shapes.polygon(
        (0.75, 0), (0.95 + reach, -fork), (0.9 + reach * dice.number(0.25, 0.7), 0), (0.95 + reach, fork)
    )
    sketch.add("tail", tail, fins)
    high, back = tall + dice.number(0.22, 0.4), dice.number(0.3, 0.65)
    sketch.add("fin", shapes.polygon((-0.35, -tall * 0.75), (back, -high), (back + 0.15, -tall * 0.3)), fins)
    sketch.add(
        "fin", shapes.polygon((0.0, tall * 0.75), (back, high * 0.9), (back + 0.05, tall * 0.35)), fins.darker(0.04)
    )
    upper = shapes.curve((-1, 0), (-blunt - 0.2, -tall * 1.35), (0.3, -tall * 1.35), (1.0, -0.1), count=16)
    sketch.add("body", np.concatenate([upper, (upper * (1, -1))[::-1]]), skin)
    dice.choice((_stripes, _scales, _belly))(sketch, dice, skin, tall)
    sketch.add("fin", shapes.leaf(-0.05, tall * 0.15, 0.48, 0.3, dice.number(5, 45), 0.4), fins.lighter(0.05))
    gill = shapes.stroke(shapes.arc(-0.55, 0, 0.2, tall * 0.6, -65, 65, 8), 0.055)
    sketch.add("body", gill, skin.darker(0.13), line=False)
    size = dice.number(0.13, 0.19)
    if dice.chance(0.6):
        eye(sketch, -0.6, -tall * 0.25, size, size, Colour(0.5, 0.08, dice.number(0, 360)), (dice.number(-0.7, 0.3), 0))
    else:
        bead(sketch, -0.6, -tall * 0.25, size * 0.75)
    lip = shapes.curve((-0.93, tall * 0.28), (-0.8, tall * 0.4), (-0.64, tall * dice.number(0.2, 0.4)), count=6)
    sketch.add("mouth", shapes.stroke(lip, 0.09), apart(skin.darker(0.25), skin, 0.2), line=False)


def _stripes(sketch, dice, skin, tall):
    colour = apart(skin._replace(hue=skin.hue + dice.number(60, 180)), skin.darker(0.12), 0.1)
    for x, height in ((-0.15, 0.93), (0.2, 0.86), (0.52, 0.58)):
        band = shapes.stroke(shapes.curve((x, -tall * height), (x + 0.12, 0), (x, tall * height), count=7), 0.15)
        sketch.add("body", band, colour, line=False)


def _scales(sketch, dice, skin, tall):
    for x in (-0.2, 0.08, 0.36):
        for y in (-0.45, 0.0, 0.45):
            scale = shapes.stroke(shapes.arc(x, y * tall, 0.13, 0.13, -80, 80, 6), 0.045)
            sketch.add("body", scale, skin.darker(0.1), line=False)


def _belly(sketch, dice, skin, tall):
    line = shapes.curve((-0.9, tall * 0.15), (-0.1, tall * 0.35), (0.9, 0.08), count=9)
    lower = shapes.curve((0.9, 0.09), (0.3, tall * 1.3), (-0.75, tall * 1.25), (-0.92, tall * 0.16), count=12)
    sketch.add("body", np.concatenate([line, lower]), skin.lighter(0.12), line=False)
