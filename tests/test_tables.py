"""Lists of named tuples that show themselves as tables."""

from typing import NamedTuple

from lecturekit.tables import Table


class Row(NamedTuple):
    name: str
    top_1: float | None
    weights: int


ROWS = Table([Row("a<b", None, 1_234_567), Row("longer", 56.5, 7)])


def test_a_table_is_still_a_list_of_its_rows():
    assert ROWS[1].weights == 7 and [row.name for row in ROWS] == ["a<b", "longer"]


def test_text_stands_left_and_numbers_stand_right():
    assert repr(ROWS).splitlines() == [
        "name    top 1    weights",
        "a<b            1,234,567",
        "longer  56.5           7",
    ]


def test_html_is_escaped():
    assert "<td style='text-align:left'>a&lt;b</td>" in ROWS._repr_html_()
    assert ROWS._repr_html_().count("<tr>") == 3 and "<th style='text-align:left'>top 1</th>" in ROWS._repr_html_()


def test_an_empty_table_shows_its_head_or_nothing():
    assert repr(Table([], ("name", "top_1"))) == "name  top 1"
    assert repr(Table([])) == "" and Table([]).columns == ()
