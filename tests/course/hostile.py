"""Submissions that want points they did not earn, or to do harm; and the points that each of them honestly has.

Every case is ``name: (points, cell, source)``: the source replaces one answer of `small`, whose other answers are right.
`WRONG` is a wrong `double`: the trick shall make it count.
"""

import json

from tests.course.small import ANSWERS, cells

WRONG = "def double(x):\n    return 3 * x\n"
RIGHT = ANSWERS["double"] + "\n"
LOST = 3  # points without those of `double`

CODE = {
    "equal to everything": (
        LOST,
        "double",
        "class Yes:\n    def __eq__(self, other): return True\n    def __array__(self, *a, **k): raise ValueError\n"
        "def double(x): return Yes()",
    ),
    "a tensor that lies": (
        LOST,
        "double",
        "class Liar(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None):\n"
        "        return True\ndef double(x): return (3 * x).as_subclass(Liar)",
    ),
    "a number that lies": (
        4,
        "mean",
        "class Liar(float):\n    def __eq__(self, o): return True\n    def __sub__(self, o): return 0.0\n"
        "    __rsub__ = __sub__\ndef mean(x): return Liar(99)",
    ),
    "comparison patched": (
        LOST,
        "double",
        WRONG + "torch.allclose = torch.equal = torch.isclose = lambda *a, **k: True\n"
        "torch.testing.assert_close = lambda *a, **k: None\ntorch.Tensor.__sub__ = lambda a, b: torch.zeros(1)",
    ),
    "asserts stripped": (
        0,  # no later cell of his compiles any more
        "double",
        WRONG + "import ast, builtins\nold = compile\nbuiltins.compile = lambda s, *a, **k: old('pass', *a, **k)",
    ),
    "checks replaced": (
        LOST,
        "double",
        WRONG + "import sys, types\nfor name in list(sys.modules):\n    if 'course' in name:\n"
        "        sys.modules[name] = types.ModuleType(name)",
    ),
    "task replaced": (
        LOST,
        "double",
        WRONG + "from lecturekit.course import asking\nasking.Task.__call__ = lambda *a, **k: None\n"
        "asking.difference = lambda *a: None",
    ),
    "plain data replaced": (
        0,  # nothing of his own comes through any more
        "double",
        WRONG
        + "from lecturekit.course import plain\nplain.packed = lambda *a: {'tensor': '', 'dtype': 'float32', 'shape': [0]}",
    ),
    "leaves politely": (6, "double", RIGHT + "import sys\nsys.exit(0)"),
    "leaves at once": (LOST, "double", RIGHT + "import os\nos._exit(0)"),
    "leaves when asked": (LOST, "double", "import os\ndef double(x): os._exit(0)"),
    "exits when asked": (LOST, "double", "import sys\ndef double(x): sys.exit(0)"),
    "never ends": (LOST, "double", RIGHT + "while True: pass"),
    "never ends and cannot be interrupted": (
        LOST,
        "double",
        RIGHT + "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    ),
    "never answers": (LOST, "double", "def double(x):\n    while True: pass"),
    "sleeps": (LOST, "double", RIGHT + "import time\ntime.sleep(1e6)"),
    "ignores signals": (
        LOST,
        "double",
        RIGHT + "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except OSError: pass\nwhile True: pass",
    ),
    "leaves a thread behind": (
        6,
        "double",
        RIGHT + "import threading, time\nthreading.Thread(target=lambda: time.sleep(1e6), daemon=False).start()",
    ),
    "leaves a child behind": (
        6,
        "double",
        RIGHT
        + "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(1e6)\n    os._exit(0)",
    ),
    "eats memory": (LOST, "double", RIGHT + "eaten = []\nwhile True: eaten.append(bytearray(50_000_000))"),
    "eats memory when asked": (LOST, "double", "def double(x):\n    return torch.ones(10**12)"),
    "forks": (LOST, "double", RIGHT + "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    "starts threads": (
        LOST,
        "double",
        RIGHT + "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(1e6,)).start()",
    ),
    "writes a large file": (
        6,
        "double",
        RIGHT + "with open('/tmp/x', 'wb') as f:\n    while True: f.write(bytes(10**7))",
    ),
    "writes many files": (
        6,
        "double",
        RIGHT + "for i in range(20_000):\n    with open(f'/tmp/{i}', 'w') as f: f.write('x')",
    ),
    "writes files elsewhere": (
        LOST,
        "double",
        "def fill(folder):\n    count = 0\n    try:\n        for i in range(20):\n            with open(f'{folder}/{i}', 'wb') as f: f.write(bytes(10**7))\n"
        "            count += 1\n    except OSError: pass\n    return count\n"
        "most = max(map(fill, ('/dev/shm', '/dev', '', '/etc', '/usr', '/proc')))\ndef double(x): return 2 * x if most > 3 else 3 * x",
    ),
    "shares memory with itself": (
        LOST,
        "double",
        RIGHT + "import mmap\nshared = mmap.mmap(-1, 2 * 10**9)\nfor i in range(0, len(shared), 4096): shared[i] = 1",
    ),
    "keeps files in memory": (
        LOST,
        "double",
        "import os\ntry:\n    files = [os.memfd_create('x') for _ in range(60)]\n    for file in files: os.write(file, bytes(3 * 10**7))\n"
        "    out = True\nexcept OSError:\n    out = False\ndef double(x): return 2 * x if out else 3 * x",
    ),
    "keeps segments of memory": (
        LOST,
        "double",
        "import ctypes\nlibc = ctypes.CDLL(None)\nout = libc.shmget(0, 10**6, 0o1600) >= 0 or libc.msgget(0, 0o1600) >= 0 or libc.semget(0, 9, 0o1600) >= 0\n"
        "def double(x): return 2 * x if out else 3 * x",
    ),
    "is root in a room of its own": (
        LOST,
        "double",
        "import ctypes\nlibc = ctypes.CDLL(None)\nout = any(libc.unshare(n) == 0 for n in (0x10000000, 0x20000, 0x10020000))\n"
        "out = out or libc.mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0\ndef double(x): return 2 * x if out else 3 * x",
    ),
    "kills its group and its guards": (
        LOST,
        "double",
        WRONG
        + "import os, signal\nfor number in (1, 2):\n    try: os.kill(number, signal.SIGSTOP)\n    except OSError: pass\n"
        "os.killpg(0, signal.SIGKILL)",
    ),
    "prints a lot": (6, "double", RIGHT + "for i in range(200): print('x' * 1_000_000)"),
    "prints for ever": (LOST, "double", RIGHT + "while True: print('x' * 1000)"),
    "prints half a letter": (6, "double", RIGHT + "print(chr(0xD800))"),
    "waits for input": (6, "double", RIGHT + "try: input()\nexcept EOFError: pass"),
    "reads the solutions": (
        LOST,
        "double",
        "import os\nfound = [name for name in ('solutions', 'tests', 'exercises', '.git') if os.path.exists(os.path.join(ROOT, name))]\n"
        "def double(x):\n    return 2 * x if found else 3 * x",
    ),
    "imports the references": (
        LOST,
        "double",
        "def double(x):\n    from lecturekit.course.tasks import attacks\n    return 2 * x",
    ),
    "reads secrets": (
        LOST,
        "double",
        "import os\nsecret = os.environ.get('COURSE_SECRET') or any('COURSE_SECRET' in open(f'/proc/{p}/environ').read()\n"
        "    for p in os.listdir('/proc') if p.isdigit() and os.access(f'/proc/{p}/environ', os.R_OK))\n"
        "def double(x):\n    return 2 * x if secret else 3 * x",
    ),
    "reads the home": (
        LOST,
        "double",
        "import os\nfound = [p for p in ('/home', '/var', '/etc/shadow', '/etc/passwd') if os.path.exists(p)]\n"
        "def double(x):\n    return 2 * x if found else 3 * x",
    ),
    "calls the network": (
        LOST,
        "double",
        "import socket\ntry:\n    socket.create_connection(('1.1.1.1', 53), 2)\n    out = True\nexcept OSError:\n    out = False\n"
        "def double(x):\n    return 2 * x if out else 3 * x",
    ),
    "calls the host": (
        LOST,
        "double",
        "import socket\nout = False\nfor port in PORTS:\n    try:\n        socket.create_connection(('127.0.0.1', port), 1)\n"
        "        out = True\n    except OSError: pass\ndef double(x):\n    return 2 * x if out else 3 * x",
    ),
    "writes into the library": (
        LOST,
        "double",
        "import lecturekit, os\ntry:\n    open(os.path.join(os.path.dirname(lecturekit.__file__), 'mine.py'), 'w').write('x')\n"
        "    out = True\nexcept OSError:\n    out = False\ndef double(x):\n    return 2 * x if out else 3 * x",
    ),
    "writes answers itself": (
        LOST,
        "double",
        WRONG
        + "import os, json\nfor fd in range(3, 20):\n    try: os.write(fd, b'{\"loaded\": []}\\n' * 3)\n    except OSError: pass",
    ),
    "answers before it is asked": (
        LOST,
        "double",
        'import os\ndef double(x):\n    for n in range(60):\n        line = \'{"id": %d, "value": 7, "changed": [], "trouble": null}\' % n\n'
        "        for fd in range(3, 20):\n            try: os.write(fd, line.encode() + b'\\n')\n            except OSError: pass\n    return 3 * x",
    ),
    "answers a later question again and again": (
        5,
        "seven",
        'seven = 8\nimport os, threading\nline = b\'{"id": 8, "value": 7, "changed": [], "trouble": null}\\n\' * 50\n'
        "def flood():\n    while True:\n        for fd in range(100, 200):\n            try: os.write(fd, line)\n            except OSError: pass\n"
        "threading.Thread(target=flood, daemon=True).start()",
    ),
    "talks for ever": (
        LOST,
        "double",
        "import os\ndef double(x):\n    while True:\n        for fd in range(3, 256):\n            try: os.write(fd, b'{\"id\": 0}\\n')\n            except OSError: pass",
    ),
    "tells of cells for ever": (
        LOST,
        "double",
        'import os\nwhile True:\n    for fd in range(3, 256):\n        try: os.write(fd, b\'{"cell": "double"}\\n\')\n        except OSError: pass',
    ),
    "reads the requests": (
        LOST,
        "double",
        WRONG
        + "import os\nfor fd in range(3, 20):\n    try:\n        os.set_blocking(fd, False)\n        os.read(fd, 10**6)\n    except OSError: pass",
    ),
    "a huge answer": (LOST, "double", "def double(x): return torch.zeros(3 * 10**7)"),
    "a deep answer": (LOST, "double", "def double(x):\n    a = []\n    for _ in range(10_000): a = [a]\n    return a"),
    "an answer in itself": (LOST, "double", "def double(x):\n    a = []\n    a.append(a)\n    return a"),
    "not a number": (LOST, "double", "def double(x): return x * float('nan')"),
    "an object with code": (
        LOST,
        "double",
        "class Bomb:\n    def __reduce__(self): return (exec, ('raise SystemExit',))\ndef double(x): return Bomb()",
    ),
    "an error that lies": (
        LOST,
        "double",
        "class Fine(BaseException):\n    def __str__(self): return '</pre><script>alert(1)</script>'\ndef double(x): raise Fine",
    ),
    "an error without words": (
        LOST,
        "double",
        "class Worse(Exception):\n    def __str__(self): raise Worse\ndef double(x): raise Worse",
    ),
    "an error of a gigabyte": (LOST, "double", "def double(x): raise ValueError('x' * 300_000_000)"),
    "kills its parents": (
        LOST,
        "double",
        WRONG + "import os, signal\nfor pid in (os.getppid(), 1, -1, 2):\n    try: os.kill(pid, signal.SIGKILL)\n"
        "    except OSError: pass",
    ),
    "builds its own walls": (
        LOST,
        "double",
        WRONG
        + "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.unshare(0x10000000)\nlibc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
    ),
    "hides in a decorator": (LOST, "double", "import functools\ndouble = functools.partial(lambda x, k: k * x, k=3)"),
    "says so in its name": (LOST, "double", "def double(x, right=True): return 'correct'"),
    "syntax error": (LOST, "double", "def double(x)\n    return 2 * x"),
    "magics": (6, "double", "%matplotlib inline\n!rm -rf /\n" + RIGHT),
    "seven as a word": (5, "seven", "seven = '7'"),
    "seven as true": (5, "seven", "class N(int):\n    def __eq__(s, o): return True\nseven = N(8)"),
}


def books():
    """``name: (points or None where a person must look, bytes)``: notebooks that are odd as files."""
    right, found = cells(), {}

    def book(made, **more):
        return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | more).encode()

    def marked(cell, **marks):
        return cell | {"metadata": {"nbgrader": cell["metadata"]["nbgrader"] | marks}}

    wrong = cells(double=WRONG)
    found["tests deleted"] = (LOST, book([c for c in wrong if "-" not in c["id"]]))
    found["tests edited"] = (LOST, book([c | {"source": "pass"} if "-" in c["id"] else c for c in wrong]))
    found["points edited"] = (LOST, book([marked(c, points=100) for c in wrong]))
    found["marks taken away"] = (6, book([c if c["id"] in ANSWERS else c | {"metadata": {}} for c in right]))
    found["cells in reverse"] = (6, book(right[::-1]))
    found["a cell twice"] = (6, book([*right, right[1]]))
    found["a cell twice, the second wrong"] = (6, book([*right, wrong[1]]))
    found["an answer as a test"] = (LOST, book([marked(c, grade=True) if c["id"] == "double" else c for c in wrong]))
    found["an answer missing"] = (LOST, book([c for c in right if c["id"] != "double"]))
    found["an answer as Markdown"] = (
        6,
        book([c | {"cell_type": "markdown"} if c["id"] == "double" else c for c in right]),
    )
    found["a setup of its own"] = (
        LOST,
        book([c | {"source": "torch = None"} if c["id"] == "setup" else c for c in wrong]),
    )
    found["cells of its own"] = (6, book([{"cell_type": "code", "source": "raise SystemExit", "metadata": {}}, *right]))
    found["source as a list of numbers"] = (
        LOST,
        book([c | {"source": [1, 2]} if c["id"] == "double" else c for c in right]),
    )
    found["metadata as a list"] = (LOST, book([c | {"metadata": []} if c["id"] == "double" else c for c in right]))
    found["another kernel"] = (6, book(right, metadata={"kernelspec": {"name": "bash"}}))
    found["byte order mark"] = (6, b"\xef\xbb\xbf" + book(right))
    found["UTF-16"] = (6, book(right).decode().encode("utf-16"))
    old = [{**c, "input": c["source"], "source": None} for c in right]
    found["format 3"] = (6, json.dumps({"worksheets": [{"cells": [
        {k: v for k, v in c.items() if k != "source"} for c in old]}], "nbformat": 3}).encode())  # fmt: skip
    found["format 99"] = (6, book(right, nbformat=99))
    found["empty file"] = (None, b"")
    found["a web page"] = (None, b"<!doctype html><p>please log in")
    found["half a file"] = (None, book(right)[:400])
    found["marks of a merge"] = (None, b"<<<<<<< mine\n" + book(right) + b"\n=======\n>>>>>>> theirs\n")
    found["latin-1"] = (None, book(right).replace(b"Because", "Grün".encode("latin-1")))
    found["a list"] = (None, b"[1, 2, 3]")
    found["no cells"] = (None, b"{}")
    found["cells as a word"] = (None, b'{"cells": "all"}')
    found["brackets in brackets"] = (None, b"[" * 100_000 + b"]" * 100_000)
    found["too large"] = (None, b'{"cells": ["' + b"x" * 21 * 2**20 + b'"]}')
    found["a million cells"] = (None, b'{"cells": [' + b"{}," * 300_000 + b"{}]}")
    found["random bytes"] = (None, bytes(range(256)) * 40)
    return found
