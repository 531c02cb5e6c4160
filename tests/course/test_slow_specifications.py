"""What an exercise hands out as the slow specification says the same as what its checks compare with."""

import pytest
import torch

from lecturekit.course.tasks import forward
from tests.course.test_wrong_answers import answers


@pytest.mark.parametrize(("name", "task"), [("slow_convolution", forward.CONVOLVE), ("slow_pool", forward.POOL)])
def test_the_slow_specification_of_forward_is_right(name, task):
    specification = answers("forward", solved=False)[name]
    for seed in range(3):
        arguments = task.cases(torch.Generator().manual_seed(seed))
        torch.testing.assert_close(specification(*arguments), task.right(*arguments))
