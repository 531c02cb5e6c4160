"""Downloads, against a web server on this machine that can be told to misbehave."""

import hashlib
import socket
import threading
import time

import pytest

from lecturekit import download
from lecturekit.download import amount, by_hand, fetch, have, matches
from lecturekit.errors import FileError, SetupError
from lecturekit.progress import STOP
from tests.website import running_website

DATA = bytes(range(256)) * 4096  # a megabyte, so that it comes in several pieces
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def website(monkeypatch):
    """A web server of our own; fill its ``files``."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running_website() as server:
        yield server


@pytest.fixture
def get(website, tmp_path):
    """Call `fetch` for the file of the test; returns its path."""
    website.files["/weights.pth"] = DATA

    def get(**changes):
        arguments = {"digest": DIGEST, "size": len(DATA), "say": lambda _: None} | changes
        return fetch(f"{website.url}/weights.pth", tmp_path / "weights.pth", **arguments)

    return get


def test_a_file_arrives_whole_and_its_size_is_said_before_anything_is_asked(get, website):
    said = []
    path = get(say=lambda sentence: said.append((sentence, len(website.seen))))
    assert path.read_bytes() == DATA
    assert len(said) == 1 and "1.0 MB" in said[0][0] and "127.0.0.1" in said[0][0] and str(path.parent) in said[0][0]
    assert said[0][1] == 0, "the sentence came after the first request"
    assert {left.name for left in path.parent.iterdir()} <= {"weights.pth", "weights.pth.lock"}


def test_progress_is_reported_in_bytes_and_ends_at_the_whole(get):
    steps = []
    get(watch=steps.append, size=1)  # an announced size that is wrong does no harm: the server knows better
    assert [s.done for s in steps] == sorted({s.done for s in steps}) and len(steps) > 1
    assert steps[-1].done == steps[-1].total == len(DATA)
    assert steps[-1].note == "1.0 MB of 1.0 MB"


def test_what_is_there_already_needs_no_network(get, website, tmp_path):
    (tmp_path / "weights.pth").write_bytes(DATA)
    assert get().read_bytes() == DATA
    assert website.seen == []


@pytest.mark.parametrize("digest", [DIGEST, DIGEST[:15], "md5:" + hashlib.md5(DATA).hexdigest()])
def test_a_digest_may_be_a_beginning_and_may_be_an_md5(get, digest):
    assert get(digest=digest).read_bytes() == DATA


def test_a_broken_connection_is_resumed_where_it_ended(get, website, tmp_path):
    website.cut = 300_000
    with pytest.raises(SetupError, match=r"connection ended at 300,000 of 1,048,576 bytes; call again to go on"):
        get()
    assert not (tmp_path / "weights.pth").exists()
    website.cut = None
    assert get().read_bytes() == DATA
    assert [wanted for _, wanted in website.seen] == [None, "bytes=300000-"]


def test_a_server_that_cannot_resume_is_asked_for_the_whole(get, website, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(DATA[:1000])
    website.resumes = False
    assert get().read_bytes() == DATA


def test_a_part_that_is_complete_already_is_accepted(get, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(DATA)  # killed between the last byte and the renaming
    assert get().read_bytes() == DATA


def test_a_wrong_part_is_refused_and_does_not_come_back(get, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(b"x" * 1000)
    with pytest.raises(FileError, match="expected sha256:"):
        get()
    assert get().read_bytes() == DATA


def test_a_wrong_hash_is_refused_with_both_digests_and_nothing_is_kept(get, website, tmp_path):
    website.files["/weights.pth"] = b"\x80other"
    with pytest.raises(FileError, match="arrived as a Python pickle") as caught:
        get()
    assert DIGEST in str(caught.value) and hashlib.sha256(b"\x80other").hexdigest() in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"weights.pth.lock"}


def test_a_login_page_is_called_one_and_does_not_overwrite_what_has_arrived(get, website, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(DATA[:1000])
    website.files["/weights.pth"], website.resumes = b"<!DOCTYPE html><title>Log in</title>", False
    website.content_type = "text/html; charset=utf-8"
    with pytest.raises(FileError, match="gave an HTML page, not weights.pth; log in"):
        get()
    assert (tmp_path / "weights.pth.part").read_bytes() == DATA[:1000]


def test_a_login_page_that_claims_to_be_a_file_is_recognised_too(get, website):
    website.files["/weights.pth"] = b"\n <HTML><body>Log in</body>"
    with pytest.raises(FileError, match="arrived as an HTML page"):
        get()


def test_a_damaged_file_is_moved_aside_and_fetched_again(get, tmp_path):
    damaged, said = bytearray(DATA), []
    damaged[500] ^= 1
    (tmp_path / "weights.pth").write_bytes(damaged)
    assert get(say=said.append).read_bytes() == DATA
    assert (tmp_path / "weights.pth.corrupt").read_bytes() == damaged
    assert said[0] == "weights.pth was damaged; it is now called weights.pth.corrupt."


def test_offline_is_said_at_once_with_the_way_out(tmp_path, monkeypatch):
    def no_such_host(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    url, begun = "https://nowhere.invalid/weights.pth", time.monotonic()
    with pytest.raises(SetupError, match=r"weights.pth cannot be downloaded .*Name or service not known") as caught:
        fetch(url, tmp_path / "weights.pth", digest=DIGEST, size=len(DATA), say=lambda _: None)
    assert time.monotonic() - begun < 1
    for needed in (url, DIGEST, str(tmp_path / "weights.pth"), "By hand"):
        assert needed in str(caught.value)


def test_a_closed_door_and_a_missing_page_are_said_too(get, website, tmp_path):
    del website.files["/weights.pth"]
    with pytest.raises(SetupError, match="cannot be downloaded .Not Found"):
        get()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
        with pytest.raises(SetupError, match="cannot be downloaded .*refused"):
            fetch(url, tmp_path / "weights.pth", digest=DIGEST, size=1, say=lambda _: None)


def test_a_disk_without_room_is_noticed_before_anything_is_asked(get, website, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(SetupError, match="weights.pth needs 1.0 MB, but .* has 1.0 kB left; make room"):
        get()
    assert website.seen == []


def test_whoever_watches_can_stop_and_go_on_later(get, website, tmp_path):
    with pytest.raises(SetupError, match="stopped at .* of 1.0 MB; call again to go on"):
        get(watch=lambda step: STOP)
    kept = (tmp_path / "weights.pth.part").stat().st_size
    assert 0 < kept < len(DATA)
    assert get().read_bytes() == DATA
    assert website.seen[-1][1] == f"bytes={kept}-"


def test_an_interrupt_keeps_what_has_arrived_and_gives_the_lock_back(get, website):
    def interrupt(_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(watch=interrupt)
    assert get().read_bytes() == DATA
    assert website.seen[-1][1] is not None, "the second call began again from nothing"


def test_two_at_once_download_once(get, website):
    results = []
    threads = [threading.Thread(target=lambda: results.append(get(watch=lambda _: time.sleep(0.02)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3 and len(website.seen) == 1


def test_have_tells_and_matches_compares(tmp_path):
    path = tmp_path / "a"
    assert not have(path, DIGEST)
    path.write_bytes(DATA)
    assert have(path, DIGEST) and matches(path, DIGEST[:12]) and not matches(path, "sha256:0")


def test_have_refuses_a_folder(tmp_path):
    with pytest.raises(FileError, match="is a folder; name a file"):
        have(tmp_path, DIGEST)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (5_014_583, "5.0 MB"), (2_640_397_119, "2.6 GB")],
)
def test_amounts_are_said_as_people_say_them(size, words):
    assert amount(size) == words


def test_by_hand_names_every_file():
    assert by_hand(("u1", "p1", "md5:1"), ("u2", "p2", "md5:2")) == (
        "By hand, from a machine with a network: copy u1 (md5:1) to p1; u2 (md5:2) to p2."
    )
