"""Plain data across a wall: it comes back as it was, and nothing else comes through."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from lecturekit.course import plain
from lecturekit.course.given import Given, tiny_net
from lecturekit.errors import InputError


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -2.5, "word", [], [1, [2.0, "x"]], (1, (2, 3)), {"a": [1], 2: None}, {},
    ],
)  # fmt: skip
def test_values_come_back_as_they_were(value):
    back = plain.loads(plain.dumps(value))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("dtype", plain.DTYPES.values())
@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (2, 0, 3)])
def test_tensors_come_back_bit_for_bit(dtype, shape):
    x = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 100).to(dtype)
    back = plain.loads(plain.dumps(x.t() if x.dim() == 2 else x))  # not contiguous
    assert back.dtype == dtype
    assert torch.equal(back, x.t() if x.dim() == 2 else x)


def test_infinities_survive():
    back = plain.loads(plain.dumps([float("inf"), -float("inf"), float("nan")]))
    assert back[:2] == [float("inf"), -float("inf")]
    assert back[2] != back[2]


def test_numbers_of_numpy_are_numbers():
    assert plain.loads(plain.dumps([np.float32(0.5), np.int64(3), np.bool_(True)])) == [0.5, 3, True]
    assert torch.equal(plain.loads(plain.dumps(np.arange(6.0).reshape(2, 3))), torch.arange(6.0).double().view(2, 3))


def test_what_is_given_is_rebuilt_on_the_other_side():
    handed = plain.loads(plain.dumps(tiny_net(classes=3, side=4, seed=7)))
    assert isinstance(handed, Given)
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(handed.build()(x), tiny_net(classes=3, side=4, seed=7).build()(x))
    assert not torch.equal(handed.build()(x), tiny_net(classes=3, side=4, seed=8).build()(x))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nn.Linear(2, 2), "the value is a Linear; only numbers, words, tensors and lists"),
        ([1, {"a": object()}], r"the value\[1\]\['a'\] is an object"),
        (lambda: 1, "is a function"),
        (torch.ones(2, dtype=torch.complex64), "a tensor of complex64; allowed are float32"),
        (torch.ones(3).to_sparse(), "a tensor of float32"),
    ],
)
def test_what_is_no_plain_data_is_refused(value, message):
    with pytest.raises(InputError, match=message):
        plain.dumps(value)


def test_lists_in_lists_have_an_end():
    deep = []
    deep.append(deep)
    with pytest.raises(InputError, match="nested more than 20 deep"):
        plain.dumps(deep)


@pytest.mark.parametrize(
    "said",
    [
        "[1]", '{"tensor": "AAAA", "dtype": "float32", "shape": [2]}',
        '{"tensor": "!", "dtype": "float32", "shape": [1]}',
        '{"tensor": "", "dtype": "uint8", "shape": [100000, 100000]}',
        '{"tensor": "AAAAAAAAAAA=", "dtype": "float32", "shape": [3]}',
        '{"tensor": "AAAA", "dtype": "object", "shape": [1]}', '{"tensor": "", "dtype": "uint8", "shape": [-1]}',
        '{"given": "os.system", "with": {"dict": []}}', '{"what": 1}', "{", "[" * 100_000, '{"dict": [[1]]}',
        '{"dict": [[{"list": []}, 1]]}', '{"tensor": "AAAA", "dtype": "uint8", "shape": ["3"]}', '{"float": "much"}',
    ],
)  # fmt: skip
def test_lines_that_it_does_not_write_are_refused(said):
    with pytest.raises(InputError):
        plain.loads(said)


def test_random_bytes_raise_nothing_else():
    random = np.random.default_rng(0)
    pieces = ['{"tensor":', '"dtype":', "[", "]", "{", "}", '"float32"', ",", "1", '"list":', ":", "null", '"given":']
    for _ in range(3000):
        line = "".join(random.choice(pieces, size=random.integers(1, 12)))
        try:
            json.dumps(plain.packed(plain.loads(line)))
        except InputError:
            pass
