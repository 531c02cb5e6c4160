"""The device: named by one variable, the processor by default, and refused in a sentence where it does not exist."""

import pytest
import torch

from lecturekit.devices import device
from lecturekit.errors import SetupError


@pytest.mark.parametrize("value", [None, "", "cpu"])
def test_the_processor_is_the_default_even_where_there_is_a_gpu(monkeypatch, value):
    monkeypatch.delenv("LECTUREKIT_DEVICE", raising=False)
    if value is not None:
        monkeypatch.setenv("LECTUREKIT_DEVICE", value)
    assert device() == torch.device("cpu")


@pytest.mark.parametrize("value", ["banana", "cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_refused_with_what_to_do(monkeypatch, value):
    monkeypatch.setenv("LECTUREKIT_DEVICE", value)
    with pytest.raises(SetupError, match=f"LECTUREKIT_DEVICE='{value}' cannot be used here .*Unset the variable"):
        device()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_used_when_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("LECTUREKIT_DEVICE", "cuda")
    assert device().type == "cuda"
