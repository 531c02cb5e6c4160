"""The house keeps its order: what may import what, what loads at once, and what must not lie in the repository."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "lecturekit"

# From the ground up.  A room imports from its own floor and from those below it.
FLOORS = [
    ["errors", "devices", "files", "progress", "download", "pixels", "tables"],
    ["pictures", "networks", "measure", "plots", "parameterise"],
    ["capture"],
    ["inversion", "deconv", "features", "attacks"],
    ["augment", "training", "recipes", "shipping", "privacy", "panels"],
    ["claims", "course", "doctor", "rehearsal", "present"],
    ["__main__"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
SUBJECTS = FLOORS[3]  # each can be taught alone
STRANGERS = {(one, other) for one in SUBJECTS for other in SUBJECTS if one != other} | {
    ("networks", "pictures"),  # a network does not know which world it looks at
    ("measure", "pictures"),
    ("measure", "networks"),
}
SLOW = {"torchvision", "matplotlib", "ipywidgets", "skimage", "sklearn", "IPython"}
MAY_LOAD_SLOW = ("plots", "panels")  # these packages are their subject


def modules():
    """Every module of the library as (path, room, tree)."""
    for path in sorted(LIBRARY.rglob("*.py")):
        inside = path.relative_to(LIBRARY)
        if inside.name != "__init__.py" or len(inside.parts) > 1:
            yield path, inside.parts[0].removesuffix(".py"), ast.parse(path.read_text(encoding="utf-8"))


def imported(node):
    """The dotted names that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, f"line {node.lineno}: write `from lecturekit... import`, not `from .`"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def arrows():
    """Every import of one room by another as (from, to, where)."""
    for path, room, tree in modules():
        for node in ast.walk(tree):
            for name in imported(node):
                parts = name.split(".")
                if parts[0] == "lecturekit" and len(parts) > 1 and parts[1] not in (room, "__version__"):
                    yield room, parts[1], f"{path.relative_to(ROOT)}, line {node.lineno}"


def run_python(*words):
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)


def test_every_room_has_a_floor():
    homeless = sorted({room for _, room, _ in modules()} - set(FLOOR_OF))
    assert not homeless, f"{', '.join(homeless)}: new in lecturekit/; give it a floor in tests/test_architecture.py"


def test_no_import_leads_upstairs():
    top = len(FLOORS)  # a room without a floor has a test of its own
    upstairs = [arrow for arrow in arrows() if FLOOR_OF.get(arrow[0], top) < FLOOR_OF.get(arrow[1], top)]
    wrong = [f"{where}: {room} imports {above}, which stands above it" for room, above, where in upstairs]
    assert not wrong, "\n".join(wrong)


def test_the_subjects_do_not_know_one_another():
    wrong = [f"{where}: {a} must not know {b}" for a, b, where in arrows() if (a, b) in STRANGERS]
    assert not wrong, "\n".join(wrong)


def test_no_two_rooms_need_each_other():
    needs = {}
    for a, b, _ in arrows():
        needs.setdefault(a, set()).add(b)
    for room in FLOOR_OF:  # what is above a room, by way of any others
        reached, todo = set(), [room]
        while todo:
            new = needs.get(todo.pop(), set()) - reached
            reached |= new
            todo.extend(new)
        assert room not in reached, f"{room} needs itself by way of {', '.join(sorted(reached - {room}))}"


def test_slow_packages_are_imported_where_they_are_used():
    wrong = []
    for path, _, tree in modules():
        if path.relative_to(LIBRARY).as_posix().startswith(MAY_LOAD_SLOW):
            continue
        inside_functions = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            slow = SLOW & {name.split(".")[0] for name in imported(node)}
            if slow and id(node) not in inside_functions:
                wrong.append(f"{path.relative_to(ROOT)}, line {node.lineno}: import {slow.pop()} inside the function")
    assert not wrong, "\n".join(wrong)


LOAD_ONE_BY_ONE = """
import importlib, sys
before = set()
for room in sys.argv[1:]:
    importlib.import_module(f"lecturekit.{room}".rstrip("."))
    now = {name.split(".")[0] for name in sys.modules}
    print(room or "lecturekit", *(now - before))
    before = now
"""


def test_what_a_room_loads_is_quick_to_load():
    """A notebook's first cell imports torch anyway, but nobody should wait for torchvision to invert a network."""
    lower = [room for room in FLOOR_OF if FLOOR_OF[room] <= FLOOR_OF["inversion"] and room != "plots"]
    present = ["", *(room for room in lower if (LIBRARY / room).is_dir() or (LIBRARY / f"{room}.py").exists())]
    found = run_python("-c", LOAD_ONE_BY_ONE, *present)
    assert found.returncode == 0, found.stderr
    loads = {room: set(names) for room, *names in map(str.split, found.stdout.splitlines())}
    slow = [
        f"import lecturekit.{room} loads {', '.join(names & SLOW)}" for room, names in loads.items() if names & SLOW
    ]
    assert not slow, "\n".join(slow)
    assert "torch" not in loads["lecturekit"], "import lecturekit alone is to be quick, but it loads torch"


def test_ruff_is_content():
    found = run_python("-m", "ruff", "check", "--output-format=concise", ".")
    assert found.returncode == 0, found.stdout + found.stderr


# What lies in the repository


def files():
    """The files that git has or would take; a copy without git's folder has none."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("this copy of the course is not a git repository, so nothing tells what belongs to it")
    return sorted(path for name in found.stdout.split("\0") if name and (path := ROOT / name).is_file())


def text_lines():
    """Every line of every text file as (where, line)."""
    for path in files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            yield f"{path.relative_to(ROOT).as_posix()}, line {number}", line


def test_no_file_names_a_folder_of_somebodys_machine():
    somebodys = re.compile(r"(?<![\w.:/\]])(?:/(?:home|root|work|Users)/|[A-Z]:\\+Users)[\w.]")
    wrong = [f"{where}: {line.strip()[:100]}" for where, line in text_lines() if somebodys.search(line)]
    assert not wrong, "\n".join(wrong)


def test_no_file_names_a_package_index():
    hosts = re.compile(r"p[y]pi\.org|pythonh[o]sted|registry\.n[p]mjs|d[e]b\.debian|conda\.anac[o]nda", re.IGNORECASE)
    wrong = [f"{where}: {line.strip()[:100]}" for where, line in text_lines() if hosts.search(line)]
    assert not wrong, "\n".join(wrong)


def test_the_repository_is_small():
    sizes = {path: path.stat().st_size / 1e6 for path in files()}
    by_size = sorted(sizes, key=sizes.get, reverse=True)
    largest = "the largest: " + ", ".join(f"{path.relative_to(ROOT)} {sizes[path]:.1f} MB" for path in by_size[:5])
    total = sum(sizes.values())
    weights = sum(size for path, size in sizes.items() if path.is_relative_to(LIBRARY / "networks" / "weights"))
    assert total <= 24, f"{total:.1f} MB in the repository, at most 24; {largest}"
    assert weights <= 15, f"{weights:.1f} MB of weights, at most 15; {largest}"
