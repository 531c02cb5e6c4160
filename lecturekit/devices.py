"""Where the arithmetic happens: on the processor, or on the graphics card that the user asked for.

Functions of the library follow their input: a picture on the GPU is worked on there.  Only notebooks, tests and
commands need to *choose*, and they ask here, so that ``LECTUREKIT_DEVICE=cuda`` moves all of them at once.
"""

import os

import torch

from lecturekit.errors import SetupError


def device():
    """Return the device named by ``LECTUREKIT_DEVICE`` (``cpu``, ``cuda``, ``cuda:1``, ``mps``), else the processor.

    The default is the processor even where a GPU exists: every number of the course is stated for it.

    Raises: SetupError if the variable names a device that this machine does not have.
    """
    name = os.environ.get("LECTUREKIT_DEVICE") or "cpu"  # set but empty counts as unset
    try:
        chosen = torch.device(name)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as problem:
        raise SetupError(
            f"LECTUREKIT_DEVICE={name!r} cannot be used here ({str(problem).splitlines()[0]}). "
            "Unset the variable to run on the processor, or name a device that torch can see."
        ) from None
    return chosen
