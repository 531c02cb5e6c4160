"""Things that are made: car, house, boat, clock, rocket.  Each adds one to a sketch; chance comes from the palette."""

import numpy as np

from lecturekit.pictures import shapes
from lecturekit.pictures.colours import Colour, apart
from lecturekit.pictures.shared_parts import INK, WHITE, glass, pane, pennant, porthole


def car(sketch, palette):
    """Draw a car that drives to the left: body, cabin with windows, door, lamps, two wheels."""
    dice = palette.dice
    paint = palette.main((0.4, 0.85), (0.04, 0.16))
    front, back = dice.number(-0.62, -0.4), dice.number(0.45, 0.95)  # where the cabin meets the bonnet and the boot
    height, slope, belt = dice.number(0.42, 0.62), dice.number(0.12, 0.36), dice.number(-0.14, 0.0)
    floor = 0.42
    roof = belt - height
    cabin = shapes.polygon((front, belt + 0.05), (front + slope, roof), (back - slope * 0.7, roof), (back, belt + 0.05))
    sketch.add("body", cabin, paint)
    sketch.add("body", shapes.box(-1.08, belt, 1.08, floor, dice.number(0.1, 0.26)), paint)
    sketch.add("body", shapes.box(-1.05, floor - 0.14, 1.05, floor, 0.07), paint.darker(0.1), line=False)
    _car_windows(sketch, dice, paint, (front, back, slope, roof, belt))
    _car_door(sketch, dice, paint, front + 0.25, belt, floor)
    lamp = Colour(0.92, 0.08, 95)
    sketch.add("lamp", shapes.ellipse(-0.98, belt + 0.15, 0.1, 0.12), apart(lamp, paint, 0.2), line=False)
    sketch.add(
        "lamp", shapes.box(0.97, belt + 0.07, 1.08, belt + 0.23), apart(Colour(0.58, 0.18, 28), paint, 0.15), line=False
    )
    radius = dice.number(0.24, 0.33)
    for x in (-0.62, 0.62):
        _wheel(sketch, dice, x + dice.number(-0.04, 0.04), floor, radius)


def _car_windows(sketch, dice, paint, cabin):
    front, back, slope, roof, belt = cabin
    pillar, inset, colour = dice.number(-0.05, 0.2), 0.09, apart(glass(dice), paint, 0.2)
    low, high = belt - 0.02, roof + 0.09
    left = shapes.polygon(
        (front + inset + 0.04, low), (front + slope + inset * 0.7, high), (pillar, high), (pillar, low)
    )
    right = shapes.polygon(
        (pillar + 0.09, low),
        (pillar + 0.09, high),
        (back - slope * 0.7 - inset * 0.6, high),
        (back - inset - 0.03, low),
    )
    for window in (left, right):
        sketch.add("window", window, colour)
    shine = shapes.polygon(
        (front + slope * 0.7 + 0.2, low),
        (front + slope * 0.8 + 0.3, high),
        (front + slope * 0.8 + 0.4, high),
        (front + slope * 0.7 + 0.3, low),
    )
    sketch.add("window", shine, colour.lighter(0.1), line=False)


def _car_door(sketch, dice, paint, x, belt, floor):
    sketch.add("door", shapes.box(x - 0.02, belt + 0.03, x + 0.52, floor - 0.1, 0.05), paint.darker(0.05))
    sketch.add(
        "door",
        shapes.box(x + 0.36, belt + 0.1, x + 0.48, belt + 0.15),
        apart(paint.lighter(0.2), paint, 0.15),
        line=False,
    )


def _wheel(sketch, dice, x, y, radius):
    sketch.add("wheel", shapes.ellipse(x, y, radius), Colour(dice.number(0.2, 0.34), 0.01, 270))
    sketch.add("rim", shapes.ellipse(x, y, radius * 0.58), Colour(dice.number(0.65, 0.9), 0.01, 250), line=False)
    sketch.add("rim", shapes.ellipse(x, y, radius * 0.2), Colour(0.4, 0.01, 250), line=False)


def house(sketch, palette):
    """Draw a house from the front: wall, roof (gable or hip), door, windows, often a chimney, rarely a flag."""
    dice = palette.dice
    wall = palette.main((0.5, 0.94), (0.02, 0.11))
    tiles = palette.beside(palette.ground, wall, least=0.17, lightness=(0.35, 0.75), chroma=(0.03, 0.13))
    wide, tall, ridge = dice.number(0.62, 0.95), dice.number(0.75, 1.15), dice.number(0.5, 0.85)
    floor, eaves = 0.95, 0.95 - tall
    if dice.chance(0.75):
        _chimney(sketch, palette, dice.choice((-1, 1)) * wide * dice.number(0.4, 0.62), eaves, ridge)
    sketch.add("wall", shapes.box(-wide, eaves - 0.05, wide, floor), wall)
    _roof(sketch, dice, tiles, wide, eaves, ridge)
    if dice.chance(0.2):
        sketch.add("mast", shapes.box(-0.03, eaves - ridge - 0.4, 0.03, eaves - ridge + 0.05), Colour(0.5, 0.03, 60))
        pennant(sketch, 0.03, eaves - ridge - 0.4, 0.35, 0.24, palette.beside(palette.ground, least=0.2))
    left = dice.choice((-1, 0, 1))
    _front_door(sketch, palette, wall, left * wide * 0.52, floor, min(0.62, tall * 0.68))
    _house_windows(sketch, palette, wall, [x for x in (-1, 0, 1) if x != left], wide, eaves, tall)


def _chimney(sketch, palette, x, eaves, ridge):
    brick = palette.beside(palette.ground, least=0.14, lightness=(0.4, 0.7), chroma=(0.04, 0.1), hue=(20, 60))
    top = eaves - ridge * 0.98
    sketch.add("chimney", shapes.box(x - 0.12, top, x + 0.12, eaves), brick)
    sketch.add("chimney", shapes.box(x - 0.16, top - 0.06, x + 0.16, top + 0.06), brick.darker(0.08))


def _roof(sketch, dice, tiles, wide, eaves, ridge):
    over, top = wide + dice.number(0.1, 0.24), eaves - ridge
    inner = dice.choice((0.0, 0.0, 0.3, 0.55)) * wide  # half of the ridge: gable twice, short and long hip
    sketch.add("roof", shapes.polygon((-over, eaves), (-inner, top), (inner, top), (over, eaves)), tiles)
    for share in (0.3, 0.62):
        y, half = eaves - ridge * share, over - (over - inner) * share
        row = shapes.box(-half + 0.06, y - 0.025, half - 0.06, y + 0.025)
        sketch.add("roof", row, tiles.darker(0.07), line=False)
    sketch.add("roof", shapes.box(-over, eaves - 0.05, over, eaves + 0.05), tiles.darker(0.08), line=False)


def _front_door(sketch, palette, wall, x, floor, height):
    wood = palette.beside(wall, least=0.2, lightness=(0.3, 0.7), chroma=(0.04, 0.14))
    arched = palette.dice.chance(0.35)
    sketch.add("door", shapes.box(x - 0.18, floor - height, x + 0.18, floor), wood)
    if arched:
        sketch.add("door", shapes.ellipse(x, floor - height, 0.18, 0.14), wood, line=False)
    sketch.add(
        "door",
        shapes.ellipse(x + 0.1, floor - height * 0.45, 0.04),
        apart(Colour(0.9, 0.08, 95), wood, 0.25),
        line=False,
    )


def _house_windows(sketch, palette, wall, columns, wide, eaves, tall):
    dice = palette.dice
    colour = apart(glass(dice), wall, 0.2)
    bars = apart(WHITE, colour, 0.15)
    size, y = 0.17, eaves + tall * dice.number(0.28, 0.42)
    for column in columns:
        x = column * wide * 0.56
        pane(sketch, x - size, y - size, x + size, y + size, colour, bars)
    if dice.chance(0.35):
        porthole(sketch, 0, eaves - 0.24, 0.13, bars, colour)


def boat(sketch, palette):
    """Draw a sailing boat: hull, mast, one or two sails, perhaps portholes, a flag and water."""
    dice = palette.dice
    hull = palette.main((0.35, 0.8), (0.03, 0.14))
    cloth = palette.main((0.66, 0.97), (0.0, 0.11))
    wood = palette.beside(palette.ground, cloth, least=0.16, lightness=(0.25, 0.6), chroma=(0.02, 0.06), hue=(40, 80))
    mast, top = dice.number(-0.2, 0.15), dice.number(-1.35, -1.05)
    sketch.add("mast", shapes.box(mast - 0.045, top, mast + 0.045, 0.45), wood)
    _sails(sketch, dice, cloth, mast, top)
    if dice.chance(0.5):
        pennant(sketch, mast, top - 0.06, dice.number(0.25, 0.42), 0.22, palette.beside(palette.ground, least=0.2))
    _hull(sketch, palette, hull)
    if dice.chance(0.55):
        _water(sketch, palette, hull)


def _sails(sketch, dice, cloth, mast, top):
    foot, gap, belly = dice.number(0.12, 0.25), 0.07, dice.number(0.02, 0.16)
    reach = dice.number(0.65, 0.95)
    rear = shapes.curve((mast + gap, top + 0.05), (mast + reach * 0.6 + belly, -0.45), (mast + reach, foot), count=10)
    sketch.add("sail", np.concatenate([rear, [(mast + gap, foot)]]), cloth)
    seam = shapes.stroke(shapes.polygon((mast + gap, -0.35), (mast + gap + reach * 0.45, -0.35)), 0.04)
    sketch.add("sail", seam, cloth.darker(0.08), line=False)
    if dice.chance(0.7):
        reach = dice.number(0.5, 0.8)
        fore = shapes.curve(
            (mast - gap, top + 0.2), (mast - reach * 0.55 - belly, -0.4), (mast - reach, foot), count=10
        )
        sketch.add("sail", np.concatenate([fore, [(mast - gap, foot)]]), cloth.darker(0.05))


def _hull(sketch, palette, paint):
    dice = palette.dice
    bow, deep = dice.number(0.95, 1.15), dice.number(0.38, 0.52)
    side = shapes.curve((-bow, 0.33), (-0.85, 0.4 + deep), (-0.3, 0.4 + deep), count=8)
    stern = shapes.curve((0.5, 0.4 + deep), (0.85, 0.4 + deep), (0.98, 0.38), count=6)
    sketch.add("hull", np.concatenate([side, stern]), paint)
    trim = apart(paint.lighter(0.15), paint, 0.12)
    sketch.add("hull", shapes.polygon((-bow, 0.33), (0.98, 0.38), (0.94, 0.48), (-bow + 0.07, 0.46)), trim, line=False)
    if dice.chance(0.6):
        pane_colour = apart(glass(dice), paint, 0.25)
        for x in (-0.4, 0.05, 0.5):
            porthole(sketch, x, 0.62, 0.11, trim, pane_colour)


def _water(sketch, palette, hull):
    dice = palette.dice
    sea = palette.beside(palette.ground, hull, least=0.12, lightness=(0.45, 0.8), chroma=(0.04, 0.1), hue=(200, 260))
    x = np.linspace(-1.35, 1.35, 33)
    crest = 0.8 + 0.05 * np.sin(x * dice.number(7, 11) + dice.number(0, 6))
    crest = np.stack([x, crest], axis=1)
    sketch.add("wave", np.concatenate([crest, [(1.2, 1.08), (-1.2, 1.08)]]), sea, line=False)
    sketch.add("wave", shapes.stroke(crest + (0, 0.03), 0.05), sea.lighter(0.1), line=False)


def clock(sketch, palette):
    """Draw a clock: rim, dial, marks, two hands; round, square or eight-sided; an alarm clock has bells and feet."""
    dice = palette.dice
    rim = palette.main((0.3, 0.8), (0.03, 0.15))
    dial = palette.beside(rim, least=0.25, lightness=(0.75, 0.97), chroma=(0.0, 0.06))
    kind = dice.choice(("round", "round", "square", "octagon"))
    outline = {
        "round": shapes.ellipse(0, 0, 1, count=40),
        "square": shapes.box(-0.92, -0.92, 0.92, 0.92, 0.2),
        "octagon": shapes.ellipse(0, 0, 1.05, turn=22.5, count=8),
    }[kind]
    if dice.chance(0.45):
        _bells(sketch, dice, rim)
    sketch.add("rim", outline, rim)
    inner = dice.number(0.74, 0.85)
    sketch.add("dial", outline * inner, dial)
    ink = apart(INK._replace(hue=rim.hue), dial, 0.4)
    for hour in range(0, 12, dice.choice((1, 3, 3))):
        angle = hour * 30
        mark = shapes.stroke(shapes.polygon((0, -0.66), (0, -0.55 if hour % 3 else -0.5)), 0.07)
        sketch.add("mark", shapes.rotated(mark, angle), ink.lighter(0.1), line=False)
    _hands(sketch, palette, dial)


def _bells(sketch, dice, rim):
    for side in (-1, 1):
        leg = shapes.stroke(shapes.polygon((side * 0.5, 0.7), (side * 0.72, 1.2)), 0.17, 0.12)
        sketch.add("bell", leg, rim.darker(0.1))
        dome = shapes.rotated(shapes.arc(0, -1.05, 0.38, 0.34, 180, 360, 12), side * 38)
        sketch.add("bell", dome, rim.lighter(0.1))
    sketch.add("bell", shapes.box(-0.06, -1.22, 0.06, -0.9), rim.darker(0.1))


def _hands(sketch, palette, dial):
    dice = palette.dice
    minutes = dice.whole(0, 59)
    turn = dice.whole(0, 11) * 30 + minutes / 2
    ink = palette.beside(dial, least=0.45, lightness=(0.15, 0.5), chroma=(0.0, 0.14))
    for angle, length, width in ((turn, 0.4, 0.13), (minutes * 6, 0.6, 0.09)):
        hand = shapes.stroke(shapes.polygon((0, 0.1), (0, -length)), width, width * 0.5)
        sketch.add("hand", shapes.rotated(hand, angle), ink, line=False)
    sketch.add("center", shapes.ellipse(0, 0, 0.1), ink.lighter(0.2), line=False)


def rocket(sketch, palette):
    """Draw a rocket that flies upwards: body, nose cone, fins, windows, perhaps a band, and the flame."""
    dice = palette.dice
    hull = palette.main((0.55, 0.95), (0.0, 0.1))
    accent = palette.beside(palette.ground, hull, least=0.18, lightness=(0.4, 0.75), chroma=(0.07, 0.17))
    half, nose, foot = dice.number(0.28, 0.42), dice.number(0.45, 0.7), 0.75
    _flame(sketch, palette, half, foot)
    spread, drop = dice.number(0.28, 0.5), dice.number(0.1, 0.35)
    for side in (-1, 1):
        fin = shapes.polygon(
            (side * half * 0.85, dice.number(0.0, 0.25)),
            (side * (half + spread), foot + drop),
            (side * half * 0.6, foot),
        )
        sketch.add("fin", fin, accent)
    bulge = half * dice.number(1.0, 1.25)
    flank = shapes.curve((half * 0.85, -0.65), (bulge * 1.15, 0.1), (half * 0.75, foot), count=10)
    sketch.add("body", np.concatenate([flank, (flank * (-1, 1))[::-1]]), hull)
    cone = shapes.curve((half * 0.85, -0.65), (half * 0.75, -0.65 - nose * 0.6), (0, -0.65 - nose), count=9)
    sketch.add("nose", np.concatenate([cone, (cone * (-1, 1))[::-1]]), accent)
    shine = shapes.stroke(shapes.polygon((-half * 0.55, -0.5), (-half * 0.62, 0.5)), half * 0.25)
    sketch.add("body", shine, hull.lighter(0.06), line=False)
    if dice.chance(0.5):
        sketch.add("body", shapes.box(-half * 0.86, 0.5, half * 0.86, 0.62), accent.darker(0.05), line=False)
    _rocket_windows(sketch, dice, hull, accent, half)
    if dice.chance(0.5):
        sketch.add("fin", shapes.leaf(0, 0.25, 0.75, 0.16, 90), accent.darker(0.06))


def _rocket_windows(sketch, dice, hull, accent, half):
    count, frame = dice.whole(1, 2), apart(accent.lighter(0.05), hull, 0.15)
    colour = apart(glass(dice), hull, 0.2)
    for k in range(count):
        porthole(sketch, 0, -0.35 + 0.47 * k, half * (0.6 if count == 1 else 0.5), frame, colour)


def _flame(sketch, palette, half, foot):
    dice = palette.dice
    length, hue = dice.number(0.4, 0.85), dice.number(35, 75)
    outer = palette.beside(palette.ground, least=0.2, lightness=(0.6, 0.75), chroma=(0.14, 0.18), hue=(hue, hue))
    for share, colour in ((1.0, outer), (0.6, outer.lighter(0.13)._replace(hue=hue + 30)), (0.3, WHITE)):
        tongue = shapes.leaf(0, foot - 0.25, (length + 0.25) * (0.3 + 0.7 * share), half * 1.7 * share, 90, 0.7)
        sketch.add("flame", tongue, colour, line=False)
