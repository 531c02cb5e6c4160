"""Faces: an identity stays what it is, and a thousand of them can be told apart."""

import collections
import dataclasses
import itertools

import numpy as np
import pytest

from lecturekit.pictures import faces
from lecturekit.pictures.dice import Dice
from lecturekit.pictures.picturebook import draw
from lecturekit.pictures.sketch import NUMBER, Place, Sketch, paint

LASTING = ("identity", "skin", "hair_colour", "hair_name", "hair_style", "eye_colour", "eye_name", "glasses", "beard")
POPULATION = [
    0.666416267455,
    0.0702699207152,
    54.7508229885,
    0.583195078872,
    0.0763499038301,
    158.135850403,
    0.551554338891,
    0.0810676126478,
    176.118313186,
    0.836709583095,
    0.159373586209,
    0.195319504305,
    0.357870000735,
    0.180341714429,
    0.932883440785,
    -0.0486108974575,
    0.512154694547,
    0.0183549968721,
    0.0800450926639,
    0.000128992697079,
    0.238477500888,
    0.110062148056,
    0.29947687032,
    0.473430758935,
    0.13,
    20.0,
    0.485194139768,
]  # mean over all identities of each number that makes a face


@pytest.fixture(scope="module")
def portraits():
    """One person in twelve pictures."""
    return [draw(seed, label="face", identity=17) for seed in range(12)]


def test_an_identity_keeps_skin_hair_and_eyes(portraits):
    for lasting in LASTING:
        assert len({str(scene.attributes[lasting]) for scene in portraits}) == 1, lasting
    assert portraits[0].attributes["identity"] == 17


def test_everything_else_changes_from_picture_to_picture(portraits):
    for changing in ("centre", "size", "tilt", "background", "light", "pose", "gaze"):
        assert len({str(scene.attributes[changing]) for scene in portraits}) == 12, changing
    assert len({scene.attributes["expression"] for scene in portraits}) > 1
    for one, other in itertools.combinations(portraits, 2):
        assert abs(one.image.astype(int) - other.image).mean() > 2


def test_every_expression_is_seen_about_as_often():
    dice = Dice(0)
    seen = collections.Counter(faces.moment(dice).expression for _ in range(2000))
    assert set(seen) == set(faces.EXPRESSIONS) and min(seen.values()) > 400


def test_the_same_seed_shows_two_people_in_the_same_moment():
    one, other = (draw(5, label=0, identity=who) for who in (3, 4))
    same = ("centre", "size", "tilt", "mirror", "background", "light", "pose", "gaze", "expression")
    assert all(one.attributes[key] == other.attributes[key] for key in same)
    assert abs(one.image.astype(int) - other.image).mean() > 2


def test_a_chosen_identity_is_drawn_like_one_that_the_seed_chose():
    by_chance = draw(40)
    chosen = draw(40, identity=by_chance.attributes["identity"])
    np.testing.assert_array_equal(by_chance.image, chosen.image)


def test_identities_are_facts_about_numbers():
    assert faces.identity(123) == faces.identity(123) != faces.identity(124)


def test_the_population_is_the_one_it_has_always_been():
    people = [dataclasses.astuple(faces.identity(number)) for number in range(faces.IDENTITIES)]
    numbers = np.array([[x for x in _flat(person) if isinstance(x, float)] for person in people])
    np.testing.assert_allclose(numbers.mean(axis=0), POPULATION, rtol=1e-9, err_msg="other people than networks know")


def _flat(values):
    for value in values:
        if isinstance(value, tuple):
            yield from _flat(value)
        else:
            yield value


def test_no_two_of_all_identities_have_the_same_build_or_colours():
    people = [faces.identity(number) for number in range(faces.IDENTITIES)]
    for field in ("skin", "hair", "iris", "width", "eye_gap", "mouth"):
        assert len({getattr(person, field) for person in people}) == faces.IDENTITIES, field


def test_people_are_told_apart_by_their_portraits():
    shown = np.stack([draw(30, identity=who).image for who in range(60)]).astype(np.float32)  # same moment, 60 people
    shown = shown.reshape(60, -1)
    distances = abs(shown[:, None] - shown[None]).mean(axis=2) + 255 * np.eye(60)
    assert distances.min() > 1.0, "two people whose pictures differ by one grey level are one person"


def test_the_population_has_every_hair_style_and_both_with_and_without_glasses():
    people = [faces.identity(number) for number in range(300)]
    assert {person.hair_style for person in people} == set(faces.HAIR_STYLES)
    assert 0.1 < np.mean([person.glasses for person in people]) < 0.35
    assert 0.02 < np.mean([person.beard for person in people]) < 0.25


@pytest.mark.parametrize("style", faces.HAIR_STYLES)
def test_every_hair_style_is_drawn_as_hair(style):
    person = dataclasses.replace(faces.identity(1), hair_style=style, beard=False)
    sketch = Sketch()
    faces.face(sketch, person, faces.Moment(0.0, 0.0, (0.0, 0.0), "calm"))
    parts = paint(Place((0.5, 0.5), 0.9, 0, False, 1.0).put(sketch.shapes), None)[3]
    assert (parts[:20] == NUMBER["hair"]).mean() > 0.1, "the top of a head is hairy"
    assert (parts == NUMBER["eye"]).sum() > 40 and (parts == NUMBER["skin"]).sum() > 400
