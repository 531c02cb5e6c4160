"""Part scores against masks drawn by hand, the slow definition, and the shipped network on drawings."""

import numpy as np
import pytest
import torch
from torch import nn

from lecturekit.errors import InputError
from lecturekit.features import part_scores, pointing_game, random_rotation
from lecturekit.features.parts import mixed, upper_quantile
from lecturekit.networks import load, random_twin
from lecturekit.pictures.picturebook import PARTS, PictureBook
from lecturekit.progress import STOP

NAMES = ("background", "red", "green", "never")


class Painted:
    """Four pictures of 8 x 6 pixels: a red square on black in all, a green one in two of them."""

    def __init__(self):
        self.images = np.zeros((4, 8, 6, 3), dtype=np.uint8)
        self.parts = np.zeros((4, 8, 6), dtype=np.uint8)
        self.paint(range(4), slice(1, 3), slice(1, 3), 0)
        self.paint((0, 1), slice(5, 7), slice(2, 4), 1)

    def paint(self, which, rows, columns, colour):
        for n in which:
            self.images[n, rows, columns, colour] = 255
            self.parts[n, rows, columns] = colour + 1

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        raise AssertionError("the images are taken in batches")


def colours():
    """Filters that are the colours red, green and blue themselves, and one that is red or green."""
    layer = nn.Conv2d(3, 4, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]]).view(4, 3, 1, 1)
    return nn.Sequential(layer, nn.ReLU())


def test_a_filter_that_is_the_part_scores_one_and_others_what_one_counts_on_paper():
    scores = part_scores(colours(), "1", Painted(), names=NAMES, quantile=0.92)
    assert scores.parts == ("red", "green", "never")
    assert scores.iou[0].tolist()[:2] == [1, 0], "16 red pixels of 192: the red filter marks these and no others"
    assert scores.iou[1].tolist()[:2] == [0, 0], "green: 8 of 192 pixels are fewer than 8 %, so it has no threshold"
    assert scores.thresholds[1] == torch.inf
    assert scores.iou[2].tolist()[:2] == [0, 0] and scores.thresholds[2] == torch.inf, "blue never fires"
    torch.testing.assert_close(scores.iou[3, :2], torch.tensor([16 / 24, 8 / 24])), "red or green: 24 pixels marked"
    assert scores.iou[:, 2].isnan().all(), "no picture has this part"


def test_pictures_without_the_part_count_too():
    """The filter for green is one where a part of that name is; counting the two pictures that have it alone."""
    scores = part_scores(colours(), "1", Painted(), names=NAMES, quantile=0.97)
    assert scores.iou[1, 1] == 1
    assert scores.iou[3, 1] == pytest.approx(8 / 24), "red is marked in all four pictures, also in those without green"


def test_the_detector_of_a_part_is_its_best_filter():
    found = part_scores(colours(), "1", Painted(), names=NAMES, quantile=0.97).detectors()
    assert found == [("red", 0, 1.0), ("green", 1, 1.0)]
    assert part_scores(colours(), "1", Painted(), names=NAMES, quantile=0.92).detectors(0.5) == [("red", 0, 1.0)]


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_the_streamed_quantile_is_exact(batch):
    maps = (
        torch.rand(10, 3, 5, 4, generator=torch.Generator().manual_seed(0)) - torch.tensor([0, 0, 2.0])[:, None, None]
    )
    found = upper_quantile(maps.split(batch), 0.05, 10)
    expected = maps.transpose(0, 1).flatten(1).sort(dim=1, descending=True).values[:, 9]  # 5 % of 200 are ten
    torch.testing.assert_close(found[:2], expected[:2])
    assert found[2] == torch.inf, "below zero everywhere"


def test_scores_do_not_depend_on_the_batch():
    a, b = (part_scores(colours(), "1", Painted(), names=NAMES, batch=n).iou for n in (1, 4))
    torch.testing.assert_close(a, b, equal_nan=True)


def test_maps_are_enlarged_to_the_picture():
    """A square of 4 x 4 is 2 x 2 places of a map of half the size; the enlarged map is 1 between their middles only."""
    book = Painted()
    book.images[:], book.parts[:] = 0, 0
    book.paint(range(4), slice(2, 6), slice(0, 4), 0)
    model = nn.Sequential(*colours(), nn.AvgPool2d(2))
    scores = part_scores(model, "2", book, names=NAMES, quantile=0.7)
    assert scores.thresholds[0] == 1
    assert scores.iou[0, 0] == pytest.approx(6 / 16), "rows 3 and 4, columns 0 to 2: the edge is repeated"


def test_a_basis_mixes_filters():
    swap = torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    plain = part_scores(colours(), "1", Painted(), names=NAMES, quantile=0.97)
    swapped = part_scores(colours(), "1", Painted(), names=NAMES, quantile=0.97, basis=swap)
    torch.testing.assert_close(swapped.iou[[1, 0, 2, 3]], plain.iou, equal_nan=True)
    with pytest.raises(InputError, match=r"basis must be \(M, 4\), a mixture in each row; got \(2, 3\)"):
        mixed(torch.zeros(1, 4, 2, 2), torch.zeros(2, 3))


@pytest.mark.parametrize("size", [2, 5, 64])
def test_a_random_rotation_keeps_lengths_and_handedness(size):
    q = random_rotation(size, seed=3).double()
    torch.testing.assert_close(q @ q.T, torch.eye(size).double(), rtol=0, atol=1e-5)
    assert torch.linalg.det(q).item() == pytest.approx(1, abs=1e-4)
    assert not torch.equal(random_rotation(size, seed=3), random_rotation(size, seed=4))
    assert torch.equal(random_rotation(size, seed=3), random_rotation(size, seed=3))


def test_the_word_to_stop_ends_the_search_for_parts():
    steps = []
    assert part_scores(colours(), "1", Painted(), names=NAMES, batch=2, watch=lambda s: steps.append(s) or STOP) is None
    assert [(step.done, step.total) for step in steps] == [(2, 8)]
    part_scores(colours(), "1", Painted(), names=NAMES, batch=2, watch=steps.append)
    assert [step.done for step in steps[1:]] == [2, 4, 6, 8]


def test_a_book_without_parts_is_refused():
    with pytest.raises(InputError, match="list has no part masks; the picture book has"):
        part_scores(colours(), "1", [torch.zeros(3, 4, 4)])
    with pytest.raises(InputError, match=r"masks \(4, 8, 6\) up to 2 need as many names, got 2"):
        part_scores(colours(), "1", Painted(), names=NAMES[:2])
    with pytest.raises(InputError, match="quantile is a share of all places between 0 and 1, e.g. 0.995; got 1"):
        part_scores(colours(), "1", Painted(), names=NAMES, quantile=1)


# --- the pointing game ----------------------------------------------------------------------------------------------


def masks_and_map(row, column):
    masks, heat = torch.zeros(2, 9, 12, dtype=torch.bool), torch.zeros(2, 9, 12)
    masks[:, 3, 3:5] = True
    heat[:, 3, 3] = 0.5
    heat[1, row, column] = -0.9  # signed: its size counts
    return heat, masks


@pytest.mark.parametrize(
    "row, column, tolerance, hit", [(3, 6, 2, True), (3, 7, 2, False), (5, 2, 2, True), (3, 6, 1, False)]
)
def test_pointing_hits_the_part_or_close_beside_it(row, column, tolerance, hit):
    found = pointing_game(*masks_and_map(row, column), tolerance=tolerance)
    assert found.hits.tolist() == [True, hit] and found.rate.estimate == (1 + hit) / 2 and found.rate.n == 2


def test_chance_is_the_area_that_would_hit():
    found = pointing_game(*masks_and_map(3, 3), tolerance=1)
    assert found.chance == pytest.approx(3 * 4 / (9 * 12)), "one by two pixels, one more on every side"


def test_pictures_point_with_their_strongest_colour():
    heat, masks = masks_and_map(8, 11)
    coloured = torch.stack([torch.zeros_like(heat), heat, torch.zeros_like(heat)], dim=1)
    assert pointing_game(coloured, masks).hits.tolist() == [True, False]


def test_pictures_that_cannot_play_are_refused():
    heat, masks = masks_and_map(3, 3)
    with pytest.raises(InputError, match=r"masks\[1\] are empty; leave these pictures out"):
        pointing_game(heat, masks & torch.tensor([True, False])[:, None, None])
    with pytest.raises(InputError, match=r"maps\[0\] are empty"):
        pointing_game(heat * torch.tensor([0.0, 1])[:, None, None], masks)
    with pytest.raises(InputError, match=r"maps \(2, 9, 12\) and masks torch.float32 \(2, 9, 12\) do not fit"):
        pointing_game(heat, masks.float())
    with pytest.raises(InputError, match="tolerance is a whole number of pixels from 0 on, got -1"):
        pointing_game(heat, masks, tolerance=-1)


# --- the lecture's claim, on fewer pictures than the ledger takes ---------------------------------------------------


def test_training_makes_part_detectors_and_chance_does_not():
    book, model = PictureBook("validation", 150), load("picturebook")
    found = {row.part for layer in ("conv4", "conv5") for row in part_scores(model, layer, book).detectors()}
    assert len(found) >= 8 and {"eye", "wheel"} <= found <= set(PARTS)
    by_chance = part_scores(random_twin(model), "conv5", book).detectors()
    assert len(by_chance) <= 2
