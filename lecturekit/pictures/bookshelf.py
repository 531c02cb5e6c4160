"""Many scenes at once: drawn by several processes, kept on disk, read back only if undamaged.

Ten thousand pictures take half a minute to draw, and every notebook wants the same ones.  So they are drawn in blocks,
each by a process of its own, and kept under a name that is a hash of everything they follow from: the jobs *and* the
source text that draws them.  Whoever changes a shape gets new pictures, never old ones under a new name.

The trap: ``multiprocessing`` starts its workers by running the caller's script again, which goes wrong in a script
without ``if __name__ == "__main__"``.  A plain ``python -m lecturekit.pictures.bookshelf`` does not look at its caller.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import filelock
import numpy as np

from lecturekit.errors import SetupError
from lecturekit.files import cache_folder, replacing
from lecturekit.pictures.scenes import draw
from lecturekit.pictures.sketch import SIDE
from lecturekit.pictures.spurious import Spurious

BLOCK = 500  # pictures that one process draws: about two seconds of work, 8 MB on disk
FEW = 300  # fewer than this are drawn on the spot: under a second of work, not worth a process and a file
_SOURCES = "dice colours shapes sketch backgrounds shared_parts faces living made develop spurious scenes".split()


class Pages(NamedTuple):
    """Scenes in a row: images (N, 64, 64, 3) uint8, labels (N,) int64, parts (N, 64, 64) uint8, N attribute dicts."""

    images: np.ndarray
    labels: np.ndarray
    parts: np.ndarray
    attributes: list


def collect(jobs, *, spurious=None, cache=True, workers=None):
    """Draw the scenes of ``jobs``, or read them where they were drawn before.

    Args:
        jobs: list of (seed, label, identity or None); the result has the same order.
        spurious: a Spurious for all of them, or None.
        cache: keep the blocks in the cache folder; False draws everything again and leaves nothing behind.
        workers: processes at a time; None for one per core.
    Returns: Pages.
    Raises: SetupError if a drawing process fails, with the end of what it said.
    """
    if len(jobs) < FEW:
        return _pages([draw(seed, label=label, identity=who, spurious=spurious) for seed, label, who in jobs])
    tasks = [_task(jobs[start : start + BLOCK], spurious) for start in range(0, len(jobs), BLOCK)]
    place = contextlib.nullcontext(cache_folder("picturebook")) if cache else tempfile.TemporaryDirectory()
    with place as folder:
        files = {Path(folder, _name(task)): task for task in tasks}
        kept = {path: _kept(path, task) for path, task in files.items()}
        _draw_all({path: task for path, task in files.items() if kept[path] is None}, workers)
        blocks = [kept[path] or _read(path, task) for path, task in files.items()]
    images, labels, parts = (np.concatenate(arrays) for arrays in list(zip(*blocks, strict=True))[:3])
    return Pages(images, labels, parts, [entry for block in blocks for entry in block.attributes])


def _task(jobs, spurious):
    """Write down what to draw as text: the order for a process and, hashed with the sources, the name of its file."""
    pattern = dataclasses.asdict(spurious) if spurious else None
    return json.dumps({"jobs": [[*job] for job in jobs], "spurious": pattern}, default=int)


def _name(task):
    """Return the file name of a task."""
    return hashlib.sha256((_fingerprint() + task).encode()).hexdigest()[:32] + ".npz"


@functools.cache
def _fingerprint():
    """The hash of every line that decides about a pixel."""
    here = Path(__file__).parent
    texts = ((here / f"{name}.py").read_text(encoding="utf-8") for name in _SOURCES)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _kept(path, task):
    """Return the Pages that a file holds; None if there is no file, or a damaged one, which goes with a notice."""
    try:
        return _read(path, task)
    except FileNotFoundError:
        return None
    except Exception as problem:  # a flipped bit in an archive raises a dozen kinds; what it held can be drawn again
        warnings.warn(f"{path} in the picture cache is damaged ({problem}); its pictures are drawn again", stacklevel=3)
        path.unlink(missing_ok=True)
        return None


def _read(path, task):
    """Read Pages; zip's own checksum covers every array.  Raises: ValueError if they do not fit the task."""
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:  # np.load alone leaks a cut file
        text = arrays["attributes"].tobytes()
        pages = Pages(arrays["images"], arrays["labels"], arrays["parts"], json.loads(text))
    count = len(json.loads(task)["jobs"])
    if pages.images.shape != (count, SIDE, SIDE, 3) or len(pages.attributes) != count:
        raise ValueError(f"{len(pages.images)} pictures instead of {count}")
    return pages


def _draw_all(tasks, workers):
    """Draw the tasks {path: task}, several processes at a time."""
    with concurrent.futures.ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        waiting = [pool.submit(_send_out, path, task) for path, task in tasks.items()]
        try:
            for each in waiting:
                each.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # after an error or Ctrl-C: do not start the rest


def _send_out(path, task):
    """Let a process of its own draw a task into ``path``."""
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    order = [sys.executable, "-m", "lecturekit.pictures.bookshelf", str(path)]
    done = subprocess.run(order, input=task, text=True, capture_output=True, env=surroundings, check=False)
    if done.returncode:
        raise SetupError(
            f"a process that draws pictures ended with code {done.returncode}: {done.stderr.strip()[-400:]}. "
            "Free memory or disk space, or pass workers=1 to draw in one process at a time."
        )


def _pages(scenes):
    """Stack scenes into Pages; no scenes give empty arrays of the right shape."""
    images = np.array([scene.image for scene in scenes], dtype=np.uint8).reshape(-1, SIDE, SIDE, 3)
    parts = np.array([scene.parts for scene in scenes], dtype=np.uint8).reshape(-1, SIDE, SIDE)
    labels = np.array([scene.label for scene in scenes], dtype=np.int64)
    return Pages(images, labels, parts, [scene.attributes for scene in scenes])


def _work(path, task):
    """Draw a task into a file, unless another process has just done it.  What ``python -m`` of this module does."""
    path, order = Path(path), json.loads(task)
    spurious = Spurious(**order["spurious"]) if order["spurious"] else None
    with filelock.FileLock(f"{path}.lock"):
        if path.exists():
            return
        scenes = [draw(seed, label=label, identity=who, spurious=spurious) for seed, label, who in order["jobs"]]
        images, labels, parts, attributes = _pages(scenes)
        text = np.frombuffer(json.dumps(attributes).encode(), dtype=np.uint8)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, images=images, labels=labels, parts=parts, attributes=text)


if __name__ == "__main__":
    _work(sys.argv[1], sys.stdin.read())
