"""Tables that go through a spreadsheet: nothing in them is run, and they come back as they were."""

import pytest

from lecturekit.course import spreadsheet
from lecturekit.errors import InputError

COLUMNS = ("student", "points")


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_a_formula_becomes_words_and_comes_back(words, tmp_path):
    assert spreadsheet.harmless(words) == f"'{words}"
    spreadsheet.write(tmp_path / "table.csv", COLUMNS, [{"student": "ada", "points": words}])
    assert spreadsheet.read(tmp_path / "table.csv", COLUMNS) == [{"student": "ada", "points": words}]


def test_other_words_stay_as_they_are(tmp_path):
    rows = [{"student": "ada", "points": words} for words in ("", "1.5", "'quoted'", 'say "so"; or\nnot, Größe')]
    spreadsheet.write(tmp_path / "table.csv", COLUMNS, rows)
    assert spreadsheet.read(tmp_path / "table.csv", COLUMNS) == rows


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_tables_of_every_spreadsheet_are_read(sign, encoding, tmp_path):
    (tmp_path / "table.csv").write_bytes(f"student{sign}points{sign}\r\nJürgen{sign}2{sign}\r\n".encode(encoding))
    assert spreadsheet.read(tmp_path / "table.csv", COLUMNS) == [{"student": "Jürgen", "points": "2"}]


def test_no_file_no_rows(tmp_path):
    assert spreadsheet.read(tmp_path / "table.csv", COLUMNS) == []


def test_what_is_no_such_table_is_told(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("name,points\nada,1\n")
    with pytest.raises(InputError, match="table.csv has no column student; its first line is 'name,points'"):
        spreadsheet.read(path, COLUMNS)
    path.write_text("student,points\nada," + "x" * 200_000)
    with pytest.raises(InputError, match="table.csv is no table: field larger than"):
        spreadsheet.read(path, COLUMNS)
