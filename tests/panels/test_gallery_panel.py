import pytest
import torch

from lecturekit import deconv, features
from lecturekit.errors import InputError
from lecturekit.panels import Gallery
from lecturekit.panels.gallery import SHEET, Seen, World, clipped, marked, sheet, tiles, world_of
from lecturekit.pictures.picturebook import PARTS


@pytest.fixture
def panel(networks):
    return Gallery(networks, layer="conv2", filter=7)


def test_the_nine_patches_are_those_of_the_library(panel, networks):
    seen, book = panel.result, world_of("picturebook").data
    expected = features.gallery(networks["one"], "conv2", book, cache=False)
    assert torch.equal(seen.gallery.which[7], expected.which[7])
    torch.testing.assert_close(seen.patches, expected.patches(book, 7))
    assert f"answers {expected.values[7, 0]:.2f} to {expected.values[7, -1]:.2f}" in panel.patches.caption


def test_each_projection_comes_from_the_strongest_activation_of_its_own_picture(panel, networks):
    seen = panel.result
    climbed = deconv.climb(networks["one"], seen.strongest, "conv2")
    whole = deconv.project(climbed, deconv.strongest(climbed, 7))
    top, left, bottom, right = clipped(seen.gallery.boxes[7, 0], whole.shape[-2:])
    found = seen.projections[0][seen.projections[0] != 0]
    inside = whole[0, :, top:bottom, left:right]
    torch.testing.assert_close(found, inside[inside != 0])


def test_part_and_iou_are_those_of_the_library(panel, networks):
    seen, book = panel.result, world_of("picturebook").data
    iou = features.part_scores(networks["one"], "conv2", book).iou[7].nan_to_num(-1)
    assert (seen.part, seen.iou) == (PARTS[1:][iou.argmax()], iou.max().item())
    assert f"marks best: {seen.part}, IoU {seen.iou:.2f}, no detector: below 0.10" in panel.projections.caption


def test_pointing_is_counted_among_the_patches_that_have_the_part():
    """Two pictures of 12x12 with the part at (1, 1), a third without it; the second projection points elsewhere."""
    masks, heat = torch.zeros(3, 12, 12, dtype=torch.uint8), torch.zeros(3, 3, 12, 12)
    masks[:2, 1, 1], heat[0, :, 1, 2], heat[1, :, 9, 9], heat[2, :, 0, 0] = 2, -5.0, 3.0, 1.0
    box = torch.tensor([0, 0, 12, 12]).expand(1, 3, 4)
    found = features.Gallery("a", torch.ones(1, 3), torch.arange(3)[None], torch.zeros(1, 3, 2).long(), box)
    scores = features.PartScores("a", torch.tensor([[0.1, 0.4]]), torch.ones(1), ("eye", "ear"))
    seen = marked(Seen(found, 0, heat, heat, heat[:1], []), scores, World(None, (), masks))
    assert (seen.part, seen.points) == ("ear", (1, 2))


def test_another_filter_of_the_same_layer_does_not_go_through_the_data_again(panel, monkeypatch):
    before = panel.result
    monkeypatch.setattr(features, "gallery", None)  # whoever calls it fails
    monkeypatch.setattr(features, "part_scores", None)
    after = panel.set(filter=8).result
    assert after.gallery is before.gallery
    assert panel.patches.title == "conv2, filter 8: patches"


def test_a_filter_that_was_looked_at_before_is_there_at_once(panel, monkeypatch):
    before = panel.result
    panel.set(filter=8)
    monkeypatch.setattr(deconv, "climb", lambda *_: pytest.fail("it is projected again"))
    after = panel.set(filter=7).result
    assert torch.equal(after.projections, before.projections)
    assert (after.part, after.points) == (before.part, before.points)


def test_a_silent_filter_is_called_silent_and_has_no_projection(networks):
    networks["one"].conv2.weight[3], networks["one"].conv2.bias[3] = 0, -1
    panel = Gallery(networks, layer="conv2", filter=3)
    assert panel.result.projections is None
    assert not panel.projections.seen
    assert panel.patches.caption.startswith("silent: no picture brings it above zero")
    assert panel.set(filter=4).projections.seen


def test_layers_without_places_show_whole_pictures_and_no_part(panel):
    seen = panel.set(layer="fc3", filter=1).result
    assert seen.patches.shape == (9, 3, 64, 64)
    assert seen.part is None


def test_only_layers_with_filters_are_offered_and_filters_follow_the_layer(panel):
    assert list(panel.controls["layer"].options) == ["conv1", "conv2", "fc3"]
    panel.set(filter=39)
    panel.controls["layer"].value = "conv1"
    assert panel.wait(20)
    assert panel.settings()["filter"] == panel.controls["filter"].max == 5


def test_photographs_have_patches_but_no_parts(panel):
    seen = panel.set(world="photographs").result
    assert seen.part is None
    assert len(seen.names) == 9
    assert panel.trouble is None


def test_a_photograph_is_cut_into_tiles_that_do_not_overlap():
    x = torch.arange(6 * 4).float().view(1, 1, 6, 4)
    assert torch.equal(tiles(x, 2)[1], x[0, :, 0:2, 2:4])
    assert tiles(x, 2).flatten().sort().values.tolist() == list(range(24))


def test_nine_pictures_stand_in_three_rows_strongest_first():
    x = torch.arange(9.0)[:, None, None, None].expand(9, 3, 5, 5) / 9
    rows = sheet(x, gap=2)
    side = SHEET // 3 // 5 * 5
    assert rows.shape == (1, 3, 3 * side + 4, 3 * side + 4)
    assert rows[0, 0, 0, side + 2] == x[1, 0, 0, 0]
    assert rows[0, 0, side + 2, 0] == x[3, 0, 0, 0]
    assert rows[0, 0, side, 0] == 1, "white between the rows"


def test_unknown_layers_worlds_and_filters_are_refused(panel):
    with pytest.raises(InputError, match="no layer named 'conv9'. Did you mean"):
        panel.set(layer="conv9")
    with pytest.raises(InputError, match="filter goes from 0 to 39, got 40"):
        panel.set(filter=40)
    with pytest.raises(InputError, match="no world named 'upload'"):
        panel.set(world="upload")


def test_looking_leaves_the_network_as_it_was(panel, networks):
    panel.set(filter=2)
    for module in networks["one"].modules():
        assert not module._forward_hooks
        assert not module.training


def test_the_figure_beside_the_panel_is_small_enough_for_a_notebook():
    assert len(Gallery(["picturebook"], layer="conv4", filter=54).snapshot()) <= 200_000
