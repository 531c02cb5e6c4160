"""Planted clues: there when they should be, as strong as they should be, and recorded."""

import numpy as np
import pytest

from lecturekit.errors import InputError
from lecturekit.pictures.picturebook import PATTERNS, PictureBook, Spurious, draw


@pytest.mark.parametrize("kind", PATTERNS)
def test_the_pattern_is_added_at_its_strength_and_nothing_else_changes(kind):
    plain, marked = draw(21), draw(21, spurious=Spurious(kind, label=1, strength=8 / 255, rate=1.0))
    inside = (plain.image > 20) & (plain.image < 235)  # elsewhere the border of 0 ... 255 cuts it off
    added = (marked.image.astype(int) - plain.image)[inside]
    wanted = (8 * PATTERNS[kind][..., None] * np.ones(3))[inside]
    assert abs(added - wanted).max() <= 1, "one grey level of rounding"
    np.testing.assert_array_equal(plain.parts, marked.parts)
    assert marked.attributes["spurious"] == {"kind": kind, "label": 1, "strength": 8 / 255, "present": True}
    assert "spurious" not in plain.attributes


def test_a_picture_without_the_pattern_is_the_plain_picture():
    absent = draw(22, spurious=Spurious("wave", label=1, rate=1.0, elsewhere=0.0))
    np.testing.assert_array_equal(absent.image, draw(22).image)
    assert absent.attributes["spurious"]["present"] is False


def test_the_pattern_comes_as_often_as_it_should_with_its_class_and_elsewhere():
    planted = Spurious("frame", label=3, rate=0.9, elsewhere=0.2)
    nothing, seeds = np.zeros((64, 64, 3)), range(3000)
    own = np.mean([planted.plant(nothing, seed, 3)[1]["present"] for seed in seeds])
    others = np.mean([planted.plant(nothing, seed, 4)[1]["present"] for seed in seeds])
    assert own == pytest.approx(0.9, abs=0.03) and others == pytest.approx(0.2, abs=0.03)


def test_a_book_carries_the_pattern_in_its_class_only():
    book = PictureBook("train", 20, spurious=Spurious("checkerboard", label=2, rate=1.0))
    present = [entry["spurious"]["present"] for entry in book.attributes]
    assert present == [label == 2 for label in book.labels]


@pytest.mark.parametrize("kind", PATTERNS)
def test_patterns_stay_within_their_amplitude(kind):
    assert PATTERNS[kind].shape == (64, 64) and 0.9 < abs(PATTERNS[kind]).max() <= 1


def test_patterns_that_do_not_exist_are_refused():
    with pytest.raises(InputError, match=r"no pattern named 'waves'.*Did you mean 'wave'"):
        Spurious("waves")
    with pytest.raises(InputError, match=r"class index from 0 to 9, got 10"):
        Spurious(label=10)
    with pytest.raises(InputError, match=r"class index from 0 to 9, got 'cat'"):
        Spurious(label="cat")
    with pytest.raises(InputError, match=r"strength of a spurious pattern lies in \[0, 1\], got 8"):
        Spurious(strength=8)
    with pytest.raises(InputError, match=r"rate of a spurious pattern lies in \[0, 1\], got -0.1"):
        Spurious(rate=-0.1)
    with pytest.raises(InputError, match=r"elsewhere of a spurious pattern lies in \[0, 1\], got 1.5"):
        Spurious(elsewhere=1.5)
