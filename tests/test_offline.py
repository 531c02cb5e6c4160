"""The network is cut, in the tests and in the kernels of the notebooks; so what they prove, they prove offline."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import urllib.request

import cut_off
import pytest
from jupyter_client.manager import run_kernel

SOMEWHERE = "192.0.2.1"  # an address that is reserved for documents: nobody is there
REFUSED = "the network is cut off here"
reaches_out = pytest.mark.reaches_out


def by_socket():
    socket.create_connection((SOMEWHERE, 80), timeout=1)


def by_datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", (SOMEWHERE, 53))


def by_name():
    socket.gethostbyname("example.org")


def by_the_plainest_socket():
    import _socket

    with socket.socket() as one:
        _socket.socket.connect(one, (SOMEWHERE, 80))


def by_asyncio():
    asyncio.run(asyncio.open_connection("example.org", 80))


def by_torch_hub():
    import torch

    torch.hub.load_state_dict_from_url("https://example.org/weights.pth", progress=False)


@reaches_out
@pytest.mark.parametrize("road", [by_socket, by_datagram, by_name, by_the_plainest_socket, by_asyncio])
def test_every_road_out_is_closed(road):
    with pytest.raises(cut_off.NetworkIsCut, match=REFUSED):
        road()


@reaches_out
@pytest.mark.parametrize("url", ["https://example.org/", f"http://{SOMEWHERE}/"])
def test_a_download_fails_as_on_a_machine_without_a_network(url):
    with pytest.raises(urllib.error.URLError, match=REFUSED):
        urllib.request.urlopen(url, timeout=1)


@reaches_out
def test_weights_of_torch_hub_cannot_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(urllib.error.URLError, match=REFUSED):
        by_torch_hub()


def test_this_machine_stays_in_reach():
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = threading.Thread(target=lambda: server.accept()[0].close())
        answer.start()
        with socket.create_connection(server.getsockname()) as client:
            assert client.recv(1) == b""
        answer.join()
    assert socket.getaddrinfo("localhost", 80)
    one, other = socket.socketpair()
    one.close(), other.close()


def test_a_swallowed_attempt_is_remembered_and_fails_the_test(run_as_test):
    found = run_as_test(
        "import socket",
        "def test_that_calls_home():",
        "    try: socket.gethostbyname('example.org')",
        "    except OSError: pass",
    )
    assert "something tried to reach example.org; every default must work offline" in found.stdout
    assert found.returncode == 1


@pytest.fixture
def run_as_test(tmp_path):
    """Run a few lines as a test file under the conftest of the course."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

    def run(*lines):
        file = tmp_path / "test_it.py"
        file.write_text("\n".join(lines), encoding="utf-8")
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", f"{root}/pyproject.toml", f"--confcutdir={root}"]
        words += ["-p", "conftest", str(file)]
        return subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True)

    return run


def test_a_program_that_a_test_starts_is_cut_off_too():
    code = f"import socket; socket.create_connection(({SOMEWHERE!r}, 80))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 1 and REFUSED in found.stderr


@pytest.fixture(scope="module")
def kernel():
    """A kernel as nbval starts one, and a function that runs code in it and returns what it said."""
    with run_kernel(kernel_name="python3") as client:

        def ask(code):
            said = []
            client.execute_interactive(code, output_hook=said.append, timeout=60)
            contents = [message["content"] for message in said]
            return "".join(content.get("text", "") + content.get("evalue", "") for content in contents)

        yield ask


def test_the_kernel_of_a_notebook_is_cut_off(kernel):
    assert REFUSED in kernel(f"import urllib.request; urllib.request.urlopen('http://{SOMEWHERE}/')")
    assert REFUSED in kernel("import socket; socket.getaddrinfo('example.org', 443)")


def test_the_kernel_of_a_notebook_has_one_thread(kernel):
    assert kernel("import torch; print(torch.get_num_threads())").strip() == "1"


def test_the_cut_off_kernel_still_computes(kernel):
    assert kernel("print(6 * 7)").strip() == "42"
