"""Galleries against an exhaustive search, and against places that can be counted on paper."""

import numpy as np
import pytest
import torch
from torch import nn

from lecturekit import capture
from lecturekit.errors import InputError
from lecturekit.features import gallery
from lecturekit.features.gallery import crop
from lecturekit.features.stream import answers, batches, count, fingerprint, pictures
from lecturekit.progress import STOP

SIZE = (12, 10)  # not square


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache for every test."""
    monkeypatch.setenv("LECTUREKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "galleries"


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(5, 4, 3),
            nn.Flatten(),
            nn.Linear(48, 6),
        ).eval()


class Book:
    """A data set that keeps its pictures as whole numbers, as the picture book does."""

    def __init__(self, n=20):
        self.images = np.random.default_rng(0).integers(0, 256, (n, *SIZE, 3), dtype=np.uint8)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return torch.from_numpy(self.images[index]).permute(2, 0, 1).float() / 255, 0


# --- the strongest patches ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["0", "3"])
@pytest.mark.parametrize("batch", [4, 7, 100])
def test_a_gallery_is_what_an_exhaustive_search_finds(layer, batch):
    model, x = network(), random(23, 3, *SIZE)
    found = gallery(model, layer, x, k=5, batch=batch)
    maps = capture.activations(model, x, layer)[layer]
    values, order = maps.flatten(2).amax(dim=2).sort(dim=0, descending=True)
    torch.testing.assert_close(found.values, values[:5].T)
    assert torch.equal(found.which, order[:5].T)
    for channel in range(maps.shape[1]):
        for value, n, (row, column) in zip(
            found.values[channel], found.which[channel], found.places[channel], strict=True
        ):
            torch.testing.assert_close(maps[n, channel, row, column], value)


def test_no_picture_appears_twice_for_one_filter():
    x = random(9, 3, *SIZE)
    x[4] = 1  # strong at every place
    found = gallery(network(), "0", x, k=9)
    assert all(len(set(row.tolist())) == 9 for row in found.which)


def test_a_bright_pixel_is_found_where_it_is_with_the_window_around_it():
    sees_red = nn.Conv2d(3, 1, 3, padding=1, bias=False)
    nn.init.zeros_(sees_red.weight)
    sees_red.weight.data[0, 0, 1, 1] = 1  # the middle of its window, in red
    x = torch.zeros(3, 3, *SIZE)
    x[1, 0, 7, 2], x[2, 0, 0, 9] = 1.0, 0.5
    found = gallery(nn.Sequential(sees_red), "0", x, k=2)
    assert found.which.tolist() == [[1, 2]] and found.values.tolist() == [[1.0, 0.5]]
    assert found.places.tolist() == [[[7, 2], [0, 9]]]
    assert found.boxes.tolist() == [[[6, 1, 9, 4], [-1, 8, 2, 11]]], "three by three around it, also past the border"
    patches = found.patches(x, 0)
    assert patches.shape == (2, 3, 3, 3) and patches[0, 0, 1, 1] == 1 and patches[1, 0, 1, 1] == 0.5
    assert patches[1, :, 0].eq(0.5).all() and patches[1, :, :, 2].eq(0.5).all(), "grey where the picture ends"
    signed = found.projections(x, 0, lambda pictures_, *_: pictures_ + 1)
    assert signed[1, :, 0].eq(0).all() and signed[1, 0, 1, 1] == 1.5, "a projection is signed: there it is nothing"


def test_the_box_holds_every_pixel_that_matters_to_the_unit():
    model, x = network(), random(4, 3, *SIZE)
    found = gallery(model, "3", x, k=1)
    for channel in range(4):
        n, (row, column) = found.which[channel, 0], found.places[channel, 0]
        seen = x[n : n + 1].clone().requires_grad_(True)
        (grad,) = torch.autograd.grad(capture.cut(model, "3")(seen)[0, channel, row, column], seen)
        rows, columns = grad[0].abs().sum(dim=0).nonzero().T
        top, left, bottom, right = found.boxes[channel, 0].tolist()
        assert top <= rows.min() and rows.max() < bottom and left <= columns.min() and columns.max() < right


def test_a_linear_layer_sees_whole_pictures():
    x = random(5, 3, *SIZE)
    found = gallery(network(), "5", x, k=2)
    assert found.places.eq(0).all() and found.boxes[0, 0].tolist() == [0, 0, 12, 10]
    torch.testing.assert_close(found.patches(x, 3), x[found.which[3]])


class Mirrored(nn.Module):
    """A network that looks at the picture through a mirror: which pixels a unit sees is not known."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        return self.conv(x.flip(-1))


def test_where_the_field_is_not_known_whole_pictures_are_shown():
    x = random(5, 3, *SIZE)
    found = gallery(Mirrored().eval(), "conv", x, k=2)
    assert found.boxes.tolist() == [[[0, 0, 12, 10]] * 2] * 2
    torch.testing.assert_close(found.patches(x, 1), x[found.which[1]])


def test_filters_that_never_fire_are_named():
    model = network()
    model[0].bias.data[2] = -100
    assert gallery(model, "1", random(6, 3, *SIZE), k=3).silent == [2]


def test_a_filter_that_fires_for_one_picture_only_is_not_silent():
    sees_red = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    sees_red[0].weight.data, sees_red[0].bias.data = torch.zeros(2, 3, 1, 1), torch.tensor([-0.5, -0.5])
    sees_red[0].weight.data[0, 0] = 1
    x = torch.zeros(3, 3, *SIZE)
    x[1, 0, 4, 4] = 0.75
    found = gallery(sees_red, "1", x, k=2)
    assert found.silent == [1] and found.values.tolist() == [[0.25, 0.0], [0.0, 0.0]]


def test_nine_patches_are_kept_unless_told_otherwise():
    assert gallery(network(), "0", random(12, 3, *SIZE)).values.shape == (5, 9)


def test_projections_are_asked_for_the_right_units_and_cut_out_like_the_patches():
    x, asked = random(6, 3, *SIZE), []

    def project(pictures_, channels, places):
        asked.append((channels, places))
        return -pictures_

    found = gallery(network(), "0", x, k=3)
    projections, patches = found.projections(x, 2, project), found.patches(x, 2)
    assert asked[0][0].tolist() == [2, 2, 2] and torch.equal(asked[0][1], found.places[2])
    outside = patches == 0.5
    torch.testing.assert_close(torch.where(outside, 0, projections), torch.where(outside, 0, -patches))


def test_cropping_past_all_borders_keeps_the_size():
    x = torch.arange(12.0).view(1, 1, 3, 4)
    out = crop(x, torch.tensor([[-1, -1, 4, 5]]), outside=-1.0)
    assert out.shape == (1, 1, 5, 6) and torch.equal(out[0, 0, 1:4, 1:5], x[0, 0])
    assert out.eq(-1).sum() == 30 - 12


def test_a_filter_that_the_layer_does_not_have_is_refused():
    found, x = gallery(network(), "0", random(3, 3, *SIZE), k=1), random(3, 3, *SIZE)
    for wrong in (-1, 5, True, 1.0):
        with pytest.raises(InputError, match=r"0 has filters 0 to 4, got"):
            found.patches(x, wrong)


@pytest.mark.parametrize("k", [0, 4, 2.0, True])
def test_a_gallery_that_the_data_set_cannot_fill_is_refused(k):
    with pytest.raises(InputError, match=r"k must be a whole number from 1 to 3, the pictures of the data set, got"):
        gallery(network(), "0", random(3, 3, *SIZE), k=k)


def test_an_unknown_layer_is_answered_with_its_neighbours():
    with pytest.raises(InputError, match="there is no layer named 'conv9'"):
        gallery(network(), "conv9", random(3, 3, *SIZE), k=1)


# --- stopping, keeping ----------------------------------------------------------------------------------------------


def test_the_word_to_stop_gives_the_best_of_what_was_seen():
    model, x, steps = network(), random(20, 3, *SIZE), []

    def watch(step):
        steps.append(step)
        return STOP if step.done >= 8 else None

    found = gallery(model, "0", x, k=2, batch=4, watch=watch)
    assert [step.done for step in steps] == [4, 8] and steps[0].total == 20
    assert not found.complete and found.which.max() < 8
    torch.testing.assert_close(found.values, gallery(model, "0", x[:8], k=2).values)
    again = gallery(model, "0", x, k=2)
    assert again.complete and again.which.max() >= 8, "half a gallery was not kept"


def test_the_word_to_stop_at_the_last_picture_changes_nothing():
    found = gallery(network(), "0", random(20, 3, *SIZE), k=2, batch=5, watch=lambda s: STOP if s.done == 20 else None)
    assert found.complete


def test_ctrl_c_before_the_first_batch_is_handed_on():
    class Interrupted(list):
        def __getitem__(self, number):
            if number:
                raise KeyboardInterrupt
            return super().__getitem__(number)

    with pytest.raises(KeyboardInterrupt):
        gallery(network(), "0", Interrupted(random(6, 3, *SIZE)), k=1, cache=False)


def test_ctrl_c_gives_the_best_of_what_was_seen():
    def watch(step):
        if step.done == 8:
            raise KeyboardInterrupt

    found = gallery(network(), "0", random(20, 3, *SIZE), k=2, batch=4, watch=watch)
    assert not found.complete and found.which.max() < 8


def test_the_second_gallery_is_read_from_the_cache(cache):
    model, book = network(), Book()
    first = gallery(model, "3", book, k=3)
    (path,) = cache.glob("*.npz")
    second = gallery(model, "3", book, k=3, watch=lambda _: pytest.fail("nothing should be computed"))
    assert all(
        torch.equal(getattr(first, name), getattr(second, name)) for name in ("values", "which", "places", "boxes")
    )
    assert first.complete and second.complete and path.stat().st_size < 5000


@pytest.mark.parametrize("change", ["weights", "pictures", "layer", "k"])
def test_another_question_is_not_answered_from_the_cache(change, cache):
    model, book, layer, k = network(), Book(), "3", 3
    gallery(model, layer, book, k=k)
    if change == "weights":
        model[0].bias.data[0] += 1e-3
    if change == "pictures":
        book.images[7, 0, 0, 0] ^= 1
    gallery(model, "0" if change == "layer" else layer, book, k=k - (change == "k"))
    assert len(list(cache.glob("*.npz"))) == 2


def test_weights_behind_the_layer_do_not_matter():
    model, book = network(), Book()
    before = fingerprint(model, "3", book)
    model[5].weight.data += 1
    assert fingerprint(model, "3", book) == before


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:]])
def test_a_damaged_file_in_the_cache_is_made_again(damage, cache):
    model, book = network(), Book()
    first = gallery(model, "3", book, k=3)
    (path,) = cache.glob("*.npz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="is damaged .* made again"):
        second = gallery(model, "3", book, k=3)
    assert torch.equal(first.values, second.values)


def test_without_cache_nothing_is_left_behind(cache):
    gallery(network(), "0", Book(), k=1, cache=False)
    assert not cache.exists()


# --- data sets ------------------------------------------------------------------------------------------------------


def test_a_book_a_tensor_and_a_data_set_are_the_same_pictures():
    book = Book(7)
    tensor = pictures(book, slice(0, 7))
    as_items = [book[i] for i in range(7)]
    for data in (tensor, as_items):
        torch.testing.assert_close(pictures(data, [6, 0, 3]), pictures(book, [6, 0, 3]))
        torch.testing.assert_close(torch.cat([x for _, x in batches(data, 3)]), tensor)
    assert [start for start, _ in batches(book, 3)] == [0, 3, 6]


def test_answers_leave_gradients_and_modes_as_they_were():
    model = network().train()
    model[3].eval()
    for _, _, code in answers(model, "3", random(4, 3, *SIZE), batch=2):
        assert torch.is_grad_enabled() and not code.requires_grad
    assert model.training and model[0].training and not model[3].training


@pytest.mark.parametrize("data", [5, None, object()])
def test_what_is_no_data_set_is_refused(data):
    with pytest.raises(InputError, match=r"data must be a data set, e\.g\. PictureBook\('test', 500\)"):
        count(data)


def test_an_empty_data_set_and_a_batch_of_none_are_refused():
    with pytest.raises(InputError, match="the data set is empty"):
        list(batches(torch.zeros(0, 3, 4, 4)))
    with pytest.raises(InputError, match="a batch holds a whole number of pictures from 1 on, got 0"):
        list(batches(torch.zeros(2, 3, 4, 4), 0))


def test_grey_levels_are_refused():
    with pytest.raises(InputError, match="these are grey levels"):
        gallery(network(), "0", 255 * random(3, 3, *SIZE), k=1)
