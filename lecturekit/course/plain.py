"""Plain data across a wall: numbers, words, tensors and lists of them, as one line of JSON; never code.

What a student's process sends is read by the grader.  A pickle could run whatever it likes there; JSON cannot.  Every
value is checked while it is read: kinds that are not listed here, shapes that do not fit their bytes, and anything too
large are refused.

===============  ============================================
value            as JSON
===============  ============================================
None, bool, str  itself
int, float       itself; infinities and NaN as ``{"float": "nan"}``
tensor, array    ``{"tensor": base64, "dtype": "float32", "shape": [2, 3]}``
list, tuple      ``{"list": [...]}``, ``{"tuple": [...]}``
dict             ``{"dict": [[key, value], ...]}``
`Given`          ``{"given": name, "with": {...}}``: rebuilt on the other side, see `given`
===============  ============================================
"""

import base64
import json
import math

import numpy as np
import torch

from lecturekit.course.given import Given
from lecturekit.errors import InputError

DEEP = 20  # lists in lists
DTYPES = {str(kind).removeprefix("torch."): kind for kind in
          (torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool)}  # fmt: skip


def dumps(value):
    """Return a value as one line of JSON, without the newline.

    Raises: InputError for what is not plain data, with the place where it lies.
    """
    return json.dumps(packed(value))


def loads(line):
    """Return the value of one line of JSON.

    Raises: InputError for anything that `dumps` does not write.
    """
    try:
        return unpacked(json.loads(line))
    except (ValueError, TypeError, KeyError, RecursionError) as problem:  # json's own errors are ValueErrors
        raise InputError(f"this is no plain data ({type(problem).__name__}: {str(problem)[:200]})") from None


def packed(value, place="the value", deep=0):
    """Return a value as what JSON knows."""
    if deep > DEEP:
        raise InputError(f"{place} is nested more than {DEEP} deep")
    if value is None or value is Ellipsis:  # what a stub has where the answer belongs
        return None
    if isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, Given):
        return {"given": value.name, "with": packed(value.arguments, place, deep + 1)}
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, torch.Tensor):
        return packed_tensor(value, place)
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [packed(one, f"{place}[{i}]", deep + 1) for i, one in enumerate(value)]}
    if isinstance(value, dict):
        return {"dict": [[packed(key, place, deep + 1), packed(one, f"{place}[{key!r}]", deep + 1)]
                         for key, one in value.items()]}  # fmt: skip
    raise InputError(f"{place} is {article(value)}; only numbers, words, tensors and lists of them can be handed in")


def packed_tensor(tensor, place):
    """Return a tensor as JSON; only dense ones of the usual kinds."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES or tensor.layout != torch.strided:
        raise InputError(f"{place} is a tensor of {name}; allowed are {', '.join(DTYPES)}")
    data = np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes()
    return {"tensor": base64.b64encode(data).decode(), "dtype": name, "shape": list(tensor.shape)}


def unpacked(said):
    """Return what JSON carried as a value."""
    if said is None or isinstance(said, bool | int | float | str):
        return said
    if not isinstance(said, dict):
        raise InputError(f"{type(said).__name__} is no plain data")
    keys = set(said)
    if keys == {"float"}:
        return float(said["float"])
    if keys == {"tensor", "dtype", "shape"}:
        return unpacked_tensor(said)
    if keys == {"list"}:
        return [unpacked(one) for one in said["list"]]
    if keys == {"tuple"}:
        return tuple(unpacked(one) for one in said["tuple"])
    if keys == {"dict"}:
        return {unpacked(key): unpacked(one) for key, one in said["dict"]}
    if keys == {"given", "with"}:
        return Given(said["given"], **unpacked(said["with"]))
    raise InputError(f"an object with {sorted(keys)} is no plain data")


def unpacked_tensor(said):
    """Return a tensor whose bytes fit its shape."""
    dtype, shape = said["dtype"], said["shape"]
    if dtype not in DTYPES or not all(isinstance(side, int) and 0 <= side for side in shape) or len(shape) > 8:
        raise InputError(f"a tensor of {dtype!r} with shape {shape} is no plain data")
    data = base64.b64decode(said["tensor"], validate=True)
    kind = DTYPES[dtype]
    if len(data) != math.prod(shape) * kind.itemsize:
        raise InputError(f"{len(data)} bytes are no tensor of {dtype} with shape {shape}")
    return torch.frombuffer(bytearray(data), dtype=kind).reshape(shape) if data else torch.zeros(shape, dtype=kind)


def article(value):
    """Return the kind of a value with its article: ``a Linear``, ``an Adam``, ``nothing``."""
    if value is None:
        return "nothing"
    name = type(value).__name__
    return f"a{'n' if name[0].lower() in 'aeiou' else ''} {name}"
