"""Leakage: originals leak most, a constant picture nothing, and pictures with a low SSIM are asked about separately."""

import pytest
import torch

from lecturekit import measure
from lecturekit.augment import pixels
from lecturekit.errors import InputError
from lecturekit.pictures.picturebook import portraits
from lecturekit.pictures.traits import QUESTIONS, answers
from lecturekit.privacy import judges, leakage
from lecturekit.privacy.reidentify import Gallery
from lecturekit.progress import STOP


@pytest.fixture(scope="module")
def faces():
    """Sixty people, one picture each, their gallery, and the truth."""
    sought, others = portraits(range(60), 1, "test"), portraits(range(60), 1, "validation")
    x, y = (pixels(torch.from_numpy(drawn.images)) for drawn in (sought, others))
    return x, sought.people, Gallery(y, others.people), answers(sought.attributes)


def test_the_judges_know_originals_of_strangers(faces):
    x, people, gallery, truth = faces
    found, read = gallery.find(x, people), judges.traits_read(x, truth)
    assert found.top[1].low > 20 / 60
    assert all(read[question].low > judges.chances(truth)[question] for question in QUESTIONS)


def test_a_constant_picture_gives_nothing_away(faces):
    x, people, gallery, truth = faces
    (_, row) = leakage.leakage({"none": torch.full_like(x, 0.5)}, x, people, gallery, truth)
    assert row.top1.estimate < 4 / 60
    assert all(getattr(row, question).estimate <= judges.chances(truth)[question] for question in QUESTIONS)


def test_one_row_for_each_layer_with_the_originals_first(faces):
    x, people, gallery, truth = faces
    blurred = torch.nn.functional.avg_pool2d(x, 5, 1, 2)
    first, second = leakage.leakage({"conv1": blurred}, x, people, gallery, truth)
    assert (first.layer, second.layer) == ("picture", "conv1")
    assert first.psnr is None
    assert second.psnr.estimate == pytest.approx(measure.psnr(blurred, x).mean().item(), rel=1e-5)
    assert second.ssim.estimate == pytest.approx(measure.ssim(blurred, x).mean().item(), rel=1e-5)
    assert second.top1.estimate <= first.top1.estimate


def test_top1_and_top5_are_those_of_the_gallery(faces):
    x, people, gallery, _ = faces
    x = torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(x, 8), size=x.shape[-2:])
    row, found = leakage.leakage({"conv4": x}, x, people, gallery)[1], gallery.find(x, people)
    assert found.top[1].estimate < found.top[5].estimate, "pictures so coarse that the two differ"
    assert (row.top1, row.top5) == (found.top[1], found.top[5])


def test_without_the_truth_traits_are_left_out(faces):
    x, people, gallery, _ = faces
    assert all(row.skin is None for row in leakage.leakage({"conv1": x}, x, people, gallery))


def test_a_stopped_measurement_keeps_its_layers(faces):
    x, people, gallery, _ = faces
    rows = leakage.leakage(dict.fromkeys("abc", x), x, people, gallery, watch=lambda step: STOP)
    assert [row.layer for row in rows] == ["picture", "a"]


def test_low_ssim_is_asked_about_separately(faces):
    x, people, gallery, _ = faces
    mixed = torch.cat([1 - x[:20], x[20:]])  # negatives have a negative SSIM
    (row,) = leakage.unrecognisable({"mixed": mixed}, x, people, gallery)
    assert row.share.estimate == pytest.approx(20 / 60)
    assert row.found.n == 20
    assert row.chance == 1 / 60
    (few,) = leakage.unrecognisable({"mixed": mixed[:30]}, x[:30], people[:30], gallery)
    assert few.chance == 1 / 60, "sixty people stand in the gallery, whoever is sought"
    (none,) = leakage.unrecognisable({"exact": x}, x, people, gallery)
    assert none.found is None


def test_reconstructions_of_other_pictures_are_refused(faces):
    x, people, gallery, _ = faces
    with pytest.raises(InputError, match=r"conv2: reconstructions \(5, 3, 64, 64\) of originals \(60, 3, 64, 64\)"):
        leakage.leakage({"conv2": x[:5]}, x, people, gallery)


def test_answers_that_do_not_fit_are_refused(faces):
    x, _, _, truth = faces
    with pytest.raises(InputError, match=r"answers must be \(60, 5\).* has shape \(59, 5\)"):
        judges.traits_read(x, truth[:59])


def test_embeddings_have_length_one(faces):
    assert torch.allclose(judges.embedding(faces[0][:7]).norm(dim=1), torch.ones(7))


def test_chance_is_the_commonest_answer():
    truth = torch.tensor([[0, 8, 1, 2, 0], [0, 8, 2, 3, 1], [1, 2, 2, 1, 2], [2, 1, 2, 0, 2]])
    assert list(judges.chances(truth).values()) == [0.5, 0.5, 0.75, 0.25, 0.5]
