"""Releasing: students get no solutions and no hidden tests, always the same, and variants if wanted."""

import json

import pytest

from lecturekit.course import sheet
from lecturekit.course.release import release, released, variant
from lecturekit.errors import FileError, InputError
from tests.test_architecture import ROOT

pytest.importorskip("nbgrader", reason="nbgrader is not installed; `pip install 'lecturekit[grade]'` brings it")
SOLUTIONS = sorted((ROOT / "solutions").glob("*/*.ipynb"))
pytestmark = pytest.mark.filterwarnings("ignore")  # of nbgrader, about the versions of others


def source(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_the_stored_exercise_is_the_one_that_is_generated(path):
    stored = ROOT / "exercises" / path.parent.name / path.name
    assert stored.read_text("utf-8") == released(path), "call `lecturekit release`"


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_nothing_that_is_secret_is_handed_out(path):
    words, ours = released(path), sheet.solution(path)
    assert "SOLUTION" not in words and "HIDDEN TESTS" not in words
    cells = {c["metadata"].get("nbgrader", {}).get("grade_id"): c for c in json.loads(words)["cells"]}
    for cell in ours.of("answer"):
        assert source(cells[cell.id]).strip() == sheet.stub(cell).strip()
    for cell in ours.of("text"):
        assert source(cells[cell.id]) == sheet.EMPTY_TEXT
    for cell in ours.of("test"):
        assert not cells[cell.id]["metadata"]["editable"]
        assert cells[cell.id]["metadata"]["nbgrader"]["points"] == cell.points


def test_a_student_has_always_the_same_variant_and_nobody_else_can_tell_it():
    assert variant("ada", "secret") == variant("ada", "secret") != variant("bob", "secret")
    assert variant("ada", "other") != variant("ada", "secret")
    assert variant(None, "secret") == 0
    numbers = {variant(f"student{i}", "s") for i in range(200)}
    assert 0 not in numbers and len(numbers) > 190


def test_variants_go_into_folders_of_their_own(tmp_path):
    (path,) = release(ROOT / "solutions", tmp_path, ["attacks"], student="ada", secret="s")
    assert f"VARIANT = {variant('ada', 's')} " in path.read_text("utf-8")


def test_names_that_are_not_there_and_names_that_are_paths_are_refused(tmp_path):
    with pytest.raises(FileError, match="no solution holiday in .*; there are attacks"):
        release(ROOT / "solutions", tmp_path, ["holiday"])
    with pytest.raises(InputError, match="letters, digits"):
        release(ROOT / "solutions", tmp_path, student="../eve")
