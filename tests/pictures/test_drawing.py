"""The tools of the picture book: dice, colours, outlines, sketches, backgrounds, light."""

import dataclasses
import math

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from lecturekit.pictures import backgrounds, shapes
from lecturekit.pictures.backgrounds import background, light, noise
from lecturekit.pictures.colours import Colour, Palette, apart, difference, to_rgb
from lecturekit.pictures.develop import develop
from lecturekit.pictures.dice import Dice
from lecturekit.pictures.sketch import FINE, NUMBER, PARTS, SIDE, Place, Shape, paint

RED = Colour(0.62796, 0.25768, 29.234)  # the corners of sRGB in OKLCH, as colour tools print them
GREEN = Colour(0.86644, 0.29483, 142.495)
BLUE = Colour(0.45201, 0.31321, 264.052)
FIRST_ROLLS = [0.03886106209751605, 3.55425495432016, 799, "d", False]


def area(points):
    """The shoelace formula."""
    x, y = points.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def square(part="body", colour=RED, line=True, at=32.0, half=10.0):
    return Shape(shapes.box(at - half, at - half, at + half, at + half), part, colour, line)


# --- dice -------------------------------------------------------------------------------------------------------------


def test_dice_roll_the_numbers_they_have_always_rolled():
    dice = Dice(0, 7)
    rolled = [dice.number(), dice.number(2, 4), dice.whole(0, 999), dice.choice("abcdefgh"), dice.chance(0.5)]
    assert rolled == FIRST_ROLLS, (
        "the stream of random numbers changed: every picture changes, networks must be retrained"
    )


def test_dice_of_another_purpose_roll_other_numbers():
    assert Dice(0, 7).number() != Dice(1, 7).number() != Dice(0, 8).number()


def test_dice_keep_to_their_ranges():
    dice = Dice(3)
    assert {dice.whole(-1, 2) for _ in range(200)} == {-1, 0, 1, 2}
    assert {dice.choice(("a", "b")) for _ in range(50)} == {"a", "b"}
    numbers = [dice.number(-3, 5) for _ in range(1000)]
    assert -3 <= min(numbers) < -2.9 and 4.9 < max(numbers) < 5
    assert 0.25 < np.mean([dice.chance(0.3) for _ in range(2000)]) < 0.35
    assert dice.field(2, 3).shape == (2, 3)


# --- colours ----------------------------------------------------------------------------------------------------------


def test_colours_turn_into_the_rgb_that_colour_tools_print():
    rgb = to_rgb([RED, GREEN, BLUE, Colour(1, 0, 0), Colour(0, 0, 123)])
    np.testing.assert_allclose(rgb, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]], atol=2e-3)


def test_the_difference_of_two_greys_is_their_step_of_lightness():
    assert difference(Colour(0.3, 0, 0), Colour(0.8, 0, 200)) == pytest.approx(0.5)


def test_the_difference_of_opposite_hues_is_the_sum_of_their_chromas():
    assert difference(Colour(0.5, 0.1, 20), Colour(0.5, 0.06, 200)) == pytest.approx(0.16)


def test_colours_set_apart_are_at_least_so_far_apart_and_keep_their_hue():
    dice = Dice(11)
    for _ in range(300):
        one, other = (Colour(dice.number(0.1, 0.98), dice.number(0, 0.2), dice.number(0, 360)) for _ in range(2))
        least = dice.number(0.1, 0.4)
        moved = apart(one, other, least)
        assert difference(moved, other) >= least - 1e-9 and (moved.chroma, moved.hue) == (one.chroma, one.hue)
        assert 0.1 <= moved.lightness <= 0.98, "what no screen can show would be clipped, and the distance lost"


def test_colours_that_differ_enough_stay_as_they_are():
    assert apart(RED, BLUE, 0.2) == RED


def test_lighter_and_darker_stop_before_white_and_black():
    assert RED.lighter(0.1).lightness == pytest.approx(RED.lightness + 0.1)
    assert (RED.lighter(2).lightness, RED.darker(2).lightness) == (0.985, 0.1)


@pytest.mark.parametrize("closeness", [0.0, 0.65])
def test_large_parts_stand_out_from_the_ground_as_far_as_the_palette_says(closeness):
    ground = Colour(0.6, 0.05, 200)
    palette = Palette(Dice(5), ground, 0.25, closeness)
    assert min(difference(palette.main(), ground) for _ in range(200)) >= 0.25 - 1e-9


def test_a_palette_that_stays_close_paints_closer_to_the_ground():
    ground = Colour(0.9, 0.05, 200)
    palettes = [Palette(Dice(5), ground, 0.2, closeness) for closeness in (0.0, 0.65)]
    far, near = (np.mean([difference(palette.main(), ground) for _ in range(200)]) for palette in palettes)
    assert near < far - 0.05


def test_a_part_on_another_part_is_seen():
    palette, body = Palette(Dice(6), Colour(0.6, 0.05, 200), 0.2, 0), Colour(0.5, 0.1, 20)
    assert min(difference(palette.beside(body, least=0.3), body) for _ in range(100)) >= 0.3 - 1e-9


# --- outlines ---------------------------------------------------------------------------------------------------------


def test_outlines_have_the_areas_of_geometry():
    assert area(shapes.box(0, 0, 3, 2)) == 6
    assert area(shapes.ellipse(5, 5, 3, 2, turn=30, count=200)) == pytest.approx(6 * math.pi, rel=1e-3)
    assert area(shapes.box(0, 0, 3, 2, corner=0.5)) == pytest.approx(6 - (4 - math.pi) * 0.25, rel=5e-3)
    assert area(shapes.stroke(shapes.polygon((0, 0), (3, 4)), 0.5)) == pytest.approx(2.5)
    assert area(shapes.stroke(shapes.polygon((0, 0), (3, 4)), 0.5, tip=0.1)) == pytest.approx(1.5)
    assert area(shapes.star(1, 2, 2, 2, 50)) == pytest.approx(4 * math.pi, rel=1e-2), "a star without notches is a disc"
    assert area(shapes.cloud(0, 0, 2, 1, 9, depth=0.0)) == pytest.approx(2 * math.pi, rel=1e-2)


def test_a_quarter_turn_is_clockwise_where_y_points_down():
    np.testing.assert_allclose(shapes.rotated(shapes.polygon((1, 0)), 90), [(0, 1)], atol=1e-12)
    np.testing.assert_allclose(shapes.rotated(shapes.polygon((3, 2)), 180, about=(2, 2)), [(1, 2)], atol=1e-12)


def test_a_curve_starts_and_ends_at_its_outer_points_and_passes_halfway_as_bezier_says():
    line = shapes.curve((0, 0), (2, 4), (4, 0), count=5)
    np.testing.assert_allclose(line[[0, 2, 4]], [(0, 0), (2, 2), (4, 0)], atol=1e-12)


def test_an_arc_runs_downwards_from_the_right():
    np.testing.assert_allclose(shapes.arc(1, 1, 2, 3, 0, 90, 2), [(3, 1), (1, 4)], atol=1e-12)


def test_a_leaf_grows_from_its_foot_in_the_direction_of_its_turn():
    leaf = shapes.leaf(2, 3, 4, 1, 90)
    np.testing.assert_allclose([leaf[:, 1].min(), leaf[:, 1].max()], [3, 7], atol=1e-9)
    assert np.ptp(leaf[:, 0]) == pytest.approx(1, abs=0.05)


# --- placing and painting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tilt, mirror", [(0, False), (37, False), (-20, True)])
def test_a_sketch_fills_the_promised_share_of_the_frame_around_the_promised_centre(tilt, mirror):
    drawn = [square(), Shape(shapes.ellipse(1, 5, 40, 3), "wheel", BLUE)]
    points = np.concatenate([s.points for s in Place((0.4, 0.6), 0.75, tilt, mirror, 1.05).put(drawn)])
    low, high = points.min(axis=0), points.max(axis=0)
    assert (high - low).max() == pytest.approx(0.75 * SIDE)
    np.testing.assert_allclose((low + high) / 2, (0.4 * SIDE, 0.6 * SIDE))


def test_tilt_is_clockwise_and_a_mirror_turns_left_into_right():
    arrow = [Shape(shapes.polygon((0, 1), (0, -1), (0.4, 0)), "mast", RED)]  # from foot to tip, its barb on the right
    foot, tip, _ = Place((0.5, 0.5), 0.5, 90, False, 1.0).put(arrow)[0].points
    assert tip[0] > foot[0] and tip[1] == pytest.approx(foot[1])
    foot, tip, barb = Place((0.5, 0.5), 0.5, 0, True, 1.0).put(arrow)[0].points
    assert barb[0] < foot[0] and tip[1] < foot[1]


def test_stretch_makes_wider_what_it_makes_lower():
    (wide,) = Place((0.5, 0.5), 0.5, 0, False, 1.1).put([square()])
    assert np.ptp(wide.points[:, 0]) / np.ptp(wide.points[:, 1]) == pytest.approx(1.21)


def test_the_mask_is_the_polygon_seen_at_the_middle_of_each_pixel():
    corners = shapes.star(31.3, 30.2, 28, 13, 5, 17)
    _, coverage, solid, parts = paint([Shape(corners, "wheel", RED, False)], None)
    middles = np.stack(np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5), axis=-1).reshape(-1, 2)
    truth = Outline(corners).contains_points(middles).reshape(SIDE, SIDE)  # matplotlib is the second opinion
    assert set(np.unique(parts)) == {0, NUMBER["wheel"]}
    assert ((parts > 0) != truth).mean() < 0.01, "only pixels on the outline may disagree"
    assert coverage.sum() == pytest.approx(area(corners), rel=0.03)
    np.testing.assert_array_equal(coverage, solid)


def test_the_topmost_shape_gives_colour_and_part():
    colour, coverage, _, parts = paint([square("body", RED), square("window", BLUE, half=4)], None)
    assert PARTS[parts[32, 32]] == "window" and PARTS[parts[24, 24]] == "body" and parts[2, 2] == 0
    np.testing.assert_allclose(colour[[32, 24, 2], [32, 24, 2]], [[0, 0, 1], [1, 0, 0], [0, 0, 0]], atol=0.01)
    assert coverage[32, 32, 0] == 1 and coverage[2, 2, 0] == 0


def test_smooth_edges_show_a_part_of_a_pixel():
    _, coverage, _, _ = paint([Shape(shapes.box(10.5, 10, 20, 20), "body", RED, False)], None)
    assert 0.25 <= coverage[15, 10, 0] <= 0.75, "half of this pixel is covered"
    assert len(np.unique(coverage)) <= FINE**2 + 1


def test_what_belongs_to_the_background_is_painted_but_is_no_part():
    _, coverage, solid, parts = paint([square("background")], None)
    assert coverage.sum() > 300 and solid.sum() == 0 and parts.max() == 0


def test_an_outline_follows_its_shape_and_counts_to_its_part():
    plain, *_ = paint([square("body", RED)], None)
    inked, _, _, parts = paint([square("body", RED)], lambda colour: Colour(0, 0, 0))
    bare, *_ = paint([square("body", RED, line=False)], lambda colour: Colour(0, 0, 0))
    assert inked[32, 32, 0] == plain[32, 32, 0] and inked[32, 22, 0] < plain[32, 22, 0], "dark at the rim only"
    assert set(np.unique(parts)) == {0, NUMBER["body"]}
    np.testing.assert_array_equal(bare, plain)


def test_parts_are_many_and_have_names_of_their_own():
    assert PARTS[0] == "background" and len(set(PARTS)) == len(PARTS) >= 21
    asked = (
        "eye ear mouth nose hair skin wheel window body roof door crown trunk petal center hull sail mast fin rim hand"
    )
    assert set(asked.split()) | {"flame"} <= set(PARTS)


# --- backgrounds and light --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("falloff", [1.0, 1.7])
def test_noise_has_the_spectrum_it_promises(falloff):
    fields = noise(Dice(9), 400, falloff)
    assert abs(fields.mean(axis=(1, 2))).max() < 1e-9
    np.testing.assert_allclose(fields.std(axis=(1, 2)), 1)
    power = (abs(np.fft.rfft2(fields)) ** 2).mean(axis=0)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    middle = (frequency > 1.5 / SIDE) & (frequency < 0.4)
    slope, _ = np.polyfit(np.log(frequency[middle]), np.log(power[middle]), 1)
    assert slope == pytest.approx(-2 * falloff, abs=0.1), "power is amplitude squared"


def test_backgrounds_are_pictures_of_their_mean_colour():
    for seed in range(20):
        behind = background(Dice(1, seed))
        assert behind.colour.shape == (SIDE, SIDE, 3) and -0.4 < behind.colour.min() <= behind.colour.max() < 1.5
        assert abs(behind.colour.mean(axis=(0, 1)) - to_rgb([behind.ground])[0]).max() < 0.12
        assert all(shape.part == "background" for shape in behind.clutter)


def test_every_kind_of_clutter_is_a_small_outline():
    kinds = (backgrounds._disc, backgrounds._pebble, backgrounds._triangle, backgrounds._tile)
    kinds += (backgrounds._twig, backgrounds._star, backgrounds._cloud, backgrounds._crescent)
    for kind in kinds:
        points = kind(Dice(2), 30.0, 20.0, 4.0)
        assert points.ndim == 2 and abs(points.mean(axis=0) - (30, 20)).max() < 4 and np.ptp(points, axis=0).max() <= 20


def test_light_from_above_brightens_the_upper_rim_and_throws_the_shadow_down():
    grey, parts = Colour(0.7, 0, 0), paint([square(colour=Colour(0.7, 0, 0))], None)[:3]
    flat = dataclasses.replace(
        background(Dice(1, 3)), colour=np.full((SIDE, SIDE, 3), 0.8), paper=np.zeros((SIDE, SIDE, 1))
    )
    lit = dataclasses.replace(
        light(Dice(2, 3)), direction=(0.0, -1.0), gain=np.ones(3), falloff=0.0, relief=0.3, shadow=0.4, grain=0.0
    )
    column = develop(flat, parts, lit, Dice(3, 3))[:, 32, 0]
    middle = to_rgb([grey])[0, 0]
    assert column[24] > middle + 0.02 and column[40] < middle - 0.02 and column[32] == pytest.approx(middle, abs=0.01)
    assert column[44] < column[20] - 0.05, "below the object lies its shadow"


def test_light_is_never_so_dim_that_nothing_is_seen():
    gains = np.array([light(Dice(2, seed)).gain for seed in range(300)])
    assert 0.75 < gains.min() and gains.max() < 1.15
