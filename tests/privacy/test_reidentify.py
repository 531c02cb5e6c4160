"""Finding people: a hand-computed gallery, ties, several pictures of a person, and what is refused."""

import pytest
import torch

from lecturekit import measure
from lecturekit.errors import InputError
from lecturekit.privacy.reidentify import Gallery, pixels


def pictures(*values):
    """One picture of 2x3 pixels for each value, constant."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 2, 3).clone()


def test_ranks_are_those_counted_by_hand():
    gallery = Gallery(pictures(0.0, 0.4, 1.0), [7, 3, 5], see=pixels)  # names in order: 3, 5, 7
    found = gallery.find(pictures(0.1, 0.1, 0.6), [7, 5, 3])
    assert found.ranks.tolist() == [0, 2, 0]  # 0.1: 7 (0.1), 3 (0.3), 5 (0.9); 0.6: 3 (0.2), 5 (0.4), 7 (0.6)
    assert found.top[1].estimate == 2 / 3
    assert found.chance[1] == 1 / 3


def test_distances_are_euclidean():
    gallery = Gallery(pictures(0.0, 1.0), [0, 1], see=pixels)
    assert torch.allclose(gallery.distances(pictures(0.5)), torch.tensor([[0.5, 0.5]]).double() * 18**0.5)


def test_a_person_is_as_near_as_the_nearest_of_her_pictures():
    gallery = Gallery(pictures(0.0, 0.9, 0.5), [1, 1, 2], see=pixels)
    assert len(gallery) == 2
    assert gallery.find(pictures(0.8), [1]).ranks.tolist() == [0]
    assert gallery.nearest(pictures(0.8, 0.55)).tolist() == [[0, 1], [1, 0]]


def test_people_who_are_equally_near_count_against_the_right_one():
    gallery = Gallery(pictures(0.5, 0.5, 0.5), [0, 1, 2], see=pixels)
    assert gallery.find(pictures(0.1, 0.2, 0.3), [0, 1, 2]).ranks.tolist() == [2, 2, 2]


def test_with_one_picture_of_each_it_is_the_retrieval_of_measure():
    x, y = torch.rand(2, 30, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = Gallery(y, torch.arange(30), see=pixels).find(x, torch.arange(30))
    assert torch.equal(found.ranks, measure.retrieval(x, y).ranks)


def test_the_order_of_the_gallery_does_not_matter():
    x, y = torch.rand(2, 20, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    straight = Gallery(y, torch.arange(20), see=pixels).find(x, torch.arange(20))
    turned = Gallery(y[order], order, see=pixels).find(x, torch.arange(20))
    assert torch.equal(straight.ranks, turned.ranks)


@pytest.mark.parametrize(("people", "lists"), [(4, {1}), (5, {1}), (6, {1, 5})])
def test_a_short_list_as_long_as_the_gallery_is_left_out(people, lists):
    gallery = Gallery(torch.rand(people, 3, 2, 3), range(people), see=pixels)
    assert set(gallery.find(pictures(0.1), [0]).top) == lists


@pytest.mark.parametrize(
    ("x", "people", "message"),
    [
        (pictures(0.5), [3], "a gallery of 1 picture of 1 person finds that person always; .* at least two people"),
        (pictures(0.5, 0.6), [3, 3], "a gallery of 2 pictures of 1 person"),
        (pictures(0.5, 0.6), [3], r"one person for each of 2 pictures, got \(1,\)"),
    ],
)
def test_a_gallery_without_choice_is_refused(x, people, message):
    with pytest.raises(InputError, match=message):
        Gallery(x, people, see=pixels)


def test_people_without_a_second_picture_are_refused():
    gallery = Gallery(pictures(0.0, 1.0), [4, 9], see=pixels)
    with pytest.raises(InputError, match=r"people \[5\] have no picture in the gallery.* each needs a second"):
        gallery.find(pictures(0.0, 0.1), [4, 5])


def test_one_name_for_each_picture():
    gallery = Gallery(pictures(0.0, 1.0), [4, 9], see=pixels)
    with pytest.raises(InputError, match=r"one person for each of 2 pictures, got \(1,\)"):
        gallery.find(pictures(0.0, 0.1), [4])
