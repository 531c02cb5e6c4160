"""Traits: what the answers mean, checked on drawings whose truth is known."""

import numpy as np

from lecturekit.pictures.faces import EXPRESSIONS, EYES, HAIR
from lecturekit.pictures.picturebook import faces, portraits
from lecturekit.pictures.traits import QUESTIONS, answers


def described(skin=(0.9, 0.8, 0.7), ground=(0.9, 0.9, 0.9), hair="red", eyes="grey", mood="sad"):
    return {"skin": list(skin), "background": list(ground), "hair_name": hair, "eye_name": eyes, "expression": mood}


def named(attributes):
    (row,) = answers([attributes])
    return [names[k] for names, k in zip(QUESTIONS.values(), row, strict=True)]


def test_answers_are_what_was_drawn():
    assert named(described()) == ["fair", "red", "grey", "sad", "warm"]
    assert named(described(skin=(0.6, 0.6, 0.6), ground=(0.6, 0.7, 0.8), hair="pink", mood="calm"))[::4] == [
        "medium", "cool"
    ]  # fmt: skip
    assert named(described(skin=(0.4, 0.3, 0.2), ground=(0.3, 0.3, 0.3)))[::4] == ["dark", "dark"]


def test_every_answer_occurs_and_none_is_most():
    truth = answers(portraits(range(300), 1, "test").attributes)
    for names, column in zip(QUESTIONS.values(), truth.T, strict=True):
        share = np.bincount(column, minlength=len(names)) / len(column)
        assert share.min() > 0.04
        assert share.max() < 0.5


def test_what_belongs_to_the_person_stays_from_moment_to_moment():
    drawn = portraits([3, 4], 20, "test")
    for person in (3, 4):
        truth = answers([each for each, who in zip(drawn.attributes, drawn.people, strict=True) if who == person])
        assert (truth[:, :3] == truth[0, :3]).all()
        assert len(np.unique(truth[:, 3])) > 1


def test_no_answers_for_nobody():
    assert answers([]).shape == (0, 5)


def test_portraits_are_the_faces_with_their_truth():
    x, people = faces([5, 2], 2, "validation")
    drawn = portraits([5, 2], 2, "validation")
    assert drawn.people.tolist() == people.tolist() == [5, 5, 2, 2]
    assert np.array_equal((x.permute(0, 2, 3, 1) * 255).round().byte().numpy(), drawn.images)
    assert [each["identity"] for each in drawn.attributes] == [5, 5, 2, 2]


def test_the_names_are_those_of_the_drawings():
    assert (QUESTIONS["hair"], QUESTIONS["eyes"], QUESTIONS["expression"]) == (HAIR, EYES, EXPRESSIONS)
