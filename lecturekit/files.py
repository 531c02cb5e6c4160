"""Files that can be trusted: written whole or not at all, and recognised by their fingerprint.

A crash in the middle of ``torch.save`` leaves half a file under the final name, and a flipped bit in a weight file is
loaded without a word.  So everything here is written beside its place first and then renamed, and everything that is
read is hashed first.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from pathlib import Path

from lecturekit.errors import FileError, SetupError

BEGINNINGS = {  # how files begin that are often given in place of the right one
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x80": "a Python pickle",
    b"version https://git-lfs": "a Git LFS pointer, not the file it points to",
}
HTML = (b"<!doctype html", b"<html", b"<head", b"<body")


def sha256(path):
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kind(head):
    """Name in words what a file is whose first bytes are ``head``, for messages that say what came instead."""
    if not head:
        return "an empty file"
    if head.lstrip().lower().startswith(HTML):
        return "an HTML page"
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return "a HEIC photograph"
    for beginning, name in BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    return "binary data of an unknown kind" if b"\0" in head else "text"


def regular(path):
    """Return ``path`` as a Path if it is a file that can be read from beginning to end, without opening it.

    A pipe would be waited on for ever; a folder, a loop of links or a forbidden file each have an error of their own.

    Raises: FileError that says what is there instead.
    """
    path = Path(path)
    try:
        mode = os.stat(path).st_mode  # follows links, and fails where they go round in a circle
    except (OSError, ValueError) as problem:  # ValueError: a zero byte in the name
        reason = getattr(problem, "strerror", None) or problem
        raise FileError(f"{str(path)!r} cannot be read: {reason}. Check the name and the folder.") from None
    if not stat.S_ISREG(mode):
        there = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise FileError(f"{str(path)!r} is {there}; name a file")
    if not os.access(path, os.R_OK):
        raise FileError(f"{str(path)!r} may not be read by you; change its permissions, or copy it")
    return path


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path beside ``path``; rename it into place if the block ends well, else remove it.

    A reader sees the old file or the new one, never half of either.  The folder is made if it is not there.

    Raises: SetupError that says how much room is left, if the disk is full; ``path`` is then what it was before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}-{threading.get_ident()}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:  # "+": Windows flushes only what may be written
            os.fsync(file.fileno())  # else a power cut can leave the new name on empty blocks
        os.replace(temporary, path)
    except Exception as problem:
        free = shutil.disk_usage(path.parent).free
        if free < 2**20:  # torch and safetensors each have a different error for a full disk: ask the disk itself
            raise SetupError(
                f"{path.name} could not be written: {path.parent} has {free:,} bytes left. Make room and try again."
            ) from problem
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path, wait=3600, say=print):
    """Hold the lock of ``path`` while the block runs, so that no two processes make the same file at once.

    The operating system takes the lock back when a process dies, so a lock can never be left behind; the small file
    ``path.lock`` may stay and means nothing.

    Args:
        path: the file that the block makes.
        wait: seconds to wait for another process.
        say: is told in one sentence that there is something to wait for.
    Raises: SetupError if another process still holds the lock after ``wait`` seconds.
    """
    from filelock import FileLock, Timeout

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"Another process is working on {path.name}; waiting for it.")
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            raise SetupError(
                f"another process has held {path}.lock for {wait:g} seconds; end that process, then try again"
            ) from None
    try:
        yield
    finally:
        lock.release()


def verify(path, expected_sha256, expected_size=None):
    """Refuse a file that is not, byte for byte, the one expected.

    Raises: FileError that names the file, both sizes or both digests, and what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path} is missing; install lecturekit again, or name the file that you have")
    size = regular(path).stat().st_size
    if expected_size is not None and size != expected_size:
        raise FileError(
            f"{path.name} is incomplete or changed: {size:,} of {expected_size:,} bytes. Delete it and get it again."
        )
    found = sha256(path)
    if found != expected_sha256:
        raise FileError(
            f"{path.name} is damaged or not the file it should be: its SHA-256 is {found}, expected {expected_sha256}. "
            "Delete it and get it again."
        )


def cache_folder(*parts):
    """Return (and make) a folder for things that can be made again: drawn pictures, downloads, training states.

    ``LECTUREKIT_CACHE`` chooses the place; the default is the user's cache folder, and a temporary folder where that
    one cannot be written (a read-only home in a container).

    Raises: SetupError if no place can be written.
    """
    chosen = os.environ.get("LECTUREKIT_CACHE")
    places = [chosen] if chosen else _usual_places()
    for place in places:
        folder = Path(place, *parts)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    raise SetupError(f"no folder can be written among {', '.join(places)}; set LECTUREKIT_CACHE to one that can")


def _usual_places():
    """Return the user's cache folder and a temporary one of their own, the better first."""
    import platformdirs

    home = platformdirs.user_cache_dir("lecturekit")
    owner = os.getuid() if hasattr(os, "getuid") else "user"  # a shared /tmp: never another user's files
    places = [home, os.path.join(tempfile.gettempdir(), f"lecturekit-{owner}")]
    return [place for place in places if not place.startswith("~")]  # "~" stays when nobody has a home: no such folder
