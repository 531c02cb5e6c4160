"""The three steps of the DeconvNet, on numbers small enough for paper and against what they are the transpose of."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from lecturekit.deconv import filter_transposed, pool_with_switches, rectify, turned, unpool

X = torch.tensor([[1.0, 2, 0, 1], [5, 3, 4, 2], [0, 0, 7, 1], [6, 1, 2, 8]])[None, None]


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_switches_of_a_4x4_map_on_paper():
    maxima, switches = pool_with_switches(X, 2)
    assert maxima.tolist() == [[[[5, 4], [6, 8]]]]
    assert switches.tolist() == [[[[4, 6], [12, 15]]]], "row * 4 + column"


def test_unpooling_on_paper():
    _, switches = pool_with_switches(X, 2)
    signal = torch.tensor([[1.0, 2], [3, 4]])[None, None]
    expected = [[0, 0, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 0, 4]]
    assert unpool(signal, switches, (4, 4)).tolist() == [[expected]]


def test_unpooling_adds_where_windows_overlap():
    _, switches = pool_with_switches(X, 3, stride=1)  # 7 is the maximum of the upper two windows, 8 of the lower right
    found = unpool(torch.ones(1, 1, 2, 2), switches, (4, 4))
    assert found.tolist() == [[[[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]]]
    assert F.max_unpool2d(torch.ones(1, 1, 2, 2), switches, 3, 1, output_size=(4, 4)).sum() == 2, "torch's loses half"


@pytest.mark.parametrize("how", [(2,), (3, 2), (3, 2, 1), (2, 2, 0, 2), (3, 2, 0, 1, True), (2, 3, 0, 1, True)])
def test_unpooling_is_the_adjoint_of_selecting(how):
    x, batch = random(2, 3, 9, 12), random(2, 3, 9, 12, seed=1)
    maxima, switches = pool_with_switches(x, *how)
    y = random(*maxima.shape, seed=2)
    selected = batch.flatten(2).gather(2, switches.flatten(2)).view_as(y)
    torch.testing.assert_close((unpool(y, switches, (9, 12)) * batch).sum(), (y * selected).sum())


def test_one_set_of_switches_may_serve_all_pictures():
    _, switches = pool_with_switches(random(1, 3, 4, 6), 2)
    signal = random(5, 3, 2, 3)
    expected = torch.cat([unpool(each, switches, (4, 6)) for each in signal.split(1)])
    torch.testing.assert_close(unpool(signal, switches, (4, 6)), expected)


def test_unpooling_keeps_the_layout_in_memory_and_the_values():
    _, switches = pool_with_switches(random(2, 3, 8, 12), 2)
    signal = random(2, 3, 4, 6, seed=1)
    last = signal.contiguous(memory_format=torch.channels_last)
    expected = unpool(signal, switches, (8, 12))
    for layout, these in ((torch.contiguous_format, signal), (torch.channels_last, last)):
        found = unpool(these, switches.contiguous(memory_format=layout), (8, 12))
        assert found.is_contiguous(memory_format=layout)
        assert torch.equal(found, expected)


def test_rectifying_keeps_what_is_positive():
    assert rectify(torch.tensor([-2.0, 0, 3])).tolist() == [0, 0, 3]


def test_filtering_writes_the_kernel_where_the_map_is_active():
    kernel = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, None]
    signal = torch.zeros(1, 1, 4, 5)
    signal[..., 1, 2] = 10
    found = filter_transposed(signal, kernel, (4, 5), padding=(1, 1))
    assert found[0, 0, :3, 1:4].tolist() == (10 * kernel[0, 0]).tolist(), "as it stands, not turned"
    assert found.sum() == 450


@pytest.mark.parametrize("maps", [4, 20])
def test_filtering_is_a_convolution_with_the_turned_kernel(maps):
    weight, signal = random(maps, 3, 5, 3), random(2, maps, 7, 9)
    expected = F.conv2d(signal, torch.rot90(weight, 2, (-2, -1)).transpose(0, 1), padding=(2, 1))
    torch.testing.assert_close(filter_transposed(signal, weight, (7, 9), padding=(2, 1)), expected)
    torch.testing.assert_close(turned(weight), torch.rot90(weight, 2, (-2, -1)).transpose(0, 1))


SHAPES = [
    dict(kernel=k, stride=s, padding=p, dilation=d, groups=g)
    for k, s, p, d, g in itertools.product([(1, 1), (3, 2), (5, 5)], [1, 2, 7], [0, 1, 2], [1, 2], [1, 2])
]


@pytest.mark.parametrize(
    "how", SHAPES, ids=lambda how: "k{kernel[0]}{kernel[1]}s{stride}p{padding}d{dilation}g{groups}".format(**how)
)
@pytest.mark.parametrize("filters", [4, 12])
def test_filtering_is_the_adjoint_of_a_convolution(how, filters):
    kernel, groups = how["kernel"], how["groups"]
    pairs = {name: (how[name], how[name]) for name in ("stride", "padding", "dilation")}
    x, weight = random(2, 4, 11, 14), random(filters, 4 // groups, *kernel, seed=1)
    answers = F.conv2d(x, weight, None, groups=groups, **pairs)
    y = random(*answers.shape, seed=2)
    down = filter_transposed(y, weight, (11, 14), groups=groups, **pairs)
    assert down.shape == x.shape
    torch.testing.assert_close((answers * y).sum(), (x * down).sum())
