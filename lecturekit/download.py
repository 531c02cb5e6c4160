"""Downloads that a lecture hall survives: announced, resumable, verified, one at a time, and never on their own.

``torch.hub`` checks eight digits of a hash once, when the file arrives, and loads a file that rots afterwards without a
word; a broken connection starts again from nothing; a hotel's login page is unpickled as if it were weights.  Here::

    what is there already?   right digest: use it, touch no network.   wrong digest: moved to NAME.corrupt
    say how large it is      and refuse if the disk has no room for it
    NAME.part                grows; the next call goes on where this one ended (HTTP Range)
    digest                   right: renamed to NAME.   wrong: removed, both digests shown

A digest is written ``"sha256:..."`` or ``"md5:..."``, with as many leading digits as the publisher states (PyTorch
states eight, torchvision's data sets a whole MD5).  MD5 finds accidents; it does not stop a forger.
"""

import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

from lecturekit.errors import FileError, LectureError, SetupError
from lecturekit.files import kind, locked, regular
from lecturekit.progress import Step, stopped

CHUNK = 2**18  # bytes between two reports
PATIENCE = 10  # seconds without a single byte


def fetch(url, path, *, digest, size, watch=None, say=print):
    """Make sure that ``path`` is the file with ``digest``, downloading it from ``url`` if it is not there yet.

    Args:
        url, path: from where, and to where.
        digest: ``"sha256:..."`` or ``"md5:..."``; the leading digits are enough.
        size: bytes to announce, about.
        watch: is called with a `Step` in bytes; may return ``STOP``.
        say: is told in one sentence what will happen, before it happens.
    Returns: ``path``.
    Raises: SetupError if it cannot be had (offline, refused, cut off, no room), with how to get it by hand; FileError
        if something else came.  What has arrived is kept and the next call goes on from there.
    """
    path = Path(path)
    with locked(path, say=say):
        if have(path, digest, say):
            return path
        part = path.with_name(f"{path.name}.part")
        _make_sure_of_room(path, max(0, size - _arrived(part)))
        say(f"Downloading {path.name}, {amount(size)}, from {urlparse(url).hostname} to {path.parent}")
        try:
            _receive(url, part, size, watch)
        except LectureError:  # our own sentences are complete; FileError is an OSError too
            raise
        except (OSError, http.client.HTTPException) as problem:  # URLError, HTTPError and timeouts are OSErrors
            reason = getattr(problem, "reason", None) or problem
            raise SetupError(f"{path.name} cannot be downloaded ({reason}). {by_hand((url, path, digest))}") from None
        _accept(part, path, digest)
    return path


def have(path, digest, say=print):
    """Tell whether ``path`` is there and has the digest; a damaged file is moved to ``NAME.corrupt``."""
    path = Path(path)
    if not path.exists():
        return False
    if matches(regular(path), digest):
        return True
    aside = path.with_name(f"{path.name}.corrupt")
    path.replace(aside)
    say(f"{path.name} was damaged; it is now called {aside.name}.")
    return False


def matches(path, digest):
    """Tell whether the digest of a file begins with the digits of ``digest``."""
    return _digest(path, digest).startswith(digest)


def by_hand(*files):
    """Return the sentence that tells how to bring files to a machine without a network.

    Args:
        files: one triple (url, path, digest) for each.
    """
    places = "; ".join(f"{url} ({digest}) to {path}" for url, path, digest in files)
    return f"By hand, from a machine with a network: copy {places}."


def amount(size):
    """Return a number of bytes as a person says it: ``5.0 MB``, ``2.6 GB``."""
    for unit, value in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= value:
            return f"{size / value:.1f} {unit}"
    return f"{size:,} bytes"


def _make_sure_of_room(path, missing):
    """Refuse a download that cannot fit on the disk, before it fills it."""
    free = shutil.disk_usage(path.parent).free
    if free < missing:
        raise SetupError(f"{path.name} needs {amount(missing)}, but {path.parent} has {amount(free)} left; make room")


def _arrived(part):
    """Return how many bytes an earlier call has left."""
    return part.stat().st_size if part.exists() else 0


def _receive(url, part, size, watch):
    """Add to ``part`` what is missing of ``url``."""
    done = _arrived(part)
    request = urllib.request.Request(url, headers={"User-Agent": "lecturekit"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        response = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as problem:
        problem.close()
        if problem.code == 416:  # "range not satisfiable": there is nothing after what we have
            return
        raise
    with response:
        if response.headers.get_content_type() == "text/html":  # before the good half of a file is overwritten
            raise FileError(f"{url} gave an HTML page, not {part.stem}; log in to the network in a browser, try again")
        resumed = response.status == 206
        done = done if resumed else 0  # 200: this server sends everything again
        total = done + response.length if response.length else size
        with open(part, "ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if stopped(watch, Step(done, total, note=f"{amount(done)} of {amount(total)}")):
                    raise SetupError(f"{part.stem}: stopped at {amount(done)} of {amount(total)}; call again to go on")
        if response.length:  # bytes that were promised and did not come
            raise SetupError(f"{part.stem}: the connection ended at {done:,} of {total:,} bytes; call again to go on")


def _accept(part, path, digest):
    """Rename ``part`` to ``path`` if it is the right file; remove it and say what it was if it is not."""
    found = _digest(part, digest)
    if found.startswith(digest):
        part.replace(path)
        return
    with open(part, "rb") as file:
        what = kind(file.read(512))
    part.unlink()
    raise FileError(f"{path.name} arrived as {what} with {found}, expected {digest}; nothing was kept, try again")


def _digest(path, like):
    """Return the whole digest of a file in the manner of ``like``: ``"sha256:..."`` or ``"md5:..."``."""
    algorithm = like.partition(":")[0]
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return f"{algorithm}:{found.hexdigest()}"
