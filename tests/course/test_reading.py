"""What a teacher opens in formgrader: all of the student's words are there, and none of them does anything."""

import html.parser
import json

import pytest

from lecturekit.course import reading
from lecturekit.course.grade import Result, for_a_person
from tests.course.small import ANSWERS, SHEET

pytest.importorskip("nbgrader", reason="nbgrader is not installed; `pip install 'lecturekit[grade]'` brings it")
pytestmark = pytest.mark.filterwarnings("ignore")  # of nbgrader, about the versions of others

HOSTILE = {
    "script": "<script>document.title = 'mine'</script>",
    "picture": '<img src="x" onerror="document.title = \'mine\'">',
    "link": "[click](javascript:document.title='mine') <javascript:alert(1)>",
    "picture of Markdown": "![x](https://example.org/seen.png)",
    "frame": "<iframe src='https://example.org'></iframe><svg onload=alert(1)><style>*{display:none}</style>",
    "formula": r"$\href{javascript:document.title='mine'}{x}$ $$\require{html}$$ \begin{x}<b>\end{x}",
    "end of the fence": "~~~\n<script>1</script>\n~~~~\n<b>bold</b>\n~~~~~~~~~~\n<i>",
    "end of another fence": "```\n<script>1</script>\n```",
    "end of the cell": "</pre></div></div><script>1</script><div><pre>",
    "entities": "&lt;script&gt; &#60;b&#62; &amp;",
    "indented": "    <b>\n\t<b>\n  ~~~\n <b>",
    "carriage return": "words\r~~~~\r<b>bold</b>\r\n~~~~\r\n<b>",
    "templates": "{{ resources }} {% raw %} <b>{{ cell.metadata }}</b>",
    "diagram": "~~~mermaid\ngraph LR; A[<b>]\n~~~",
    "files": "<b src='files/x'> <a href='/files/x'>",
    "controls": "\x00 \x07 \x1b[31m \x0c \x85 \u2028 \u202e",
    "half a letter": "\ud800 <b>",
    "empty": "",
}


class Page(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its words."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, attributes))

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def formgrader():
    """What nbgrader's formgrader makes of a notebook: the same exporter, template and resources."""
    import nbformat
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import formgrader, handlers

    config = formgrader.FormgradeExtension().build_extra_config()
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    exporter = HTMLExporter(config=config)
    about = dict.fromkeys(
        ("assignment_id", "notebook_id", "submission_id", "base_url", "student", "notebook_path"), "x"
    )

    def convert(words):
        book = nbformat.reads(words, as_version=4)
        nbformat.validate(book)
        return Page(exporter.from_notebook_node(book, resources={**about, "index": 0, "total": 1})[0])

    return convert


def result(**answers):
    return Result("small", answers=ANSWERS | answers)


@pytest.fixture(scope="module")
def harmless(formgrader):
    """The tags of a page on which students wrote nothing but letters."""
    return [tag for tag, _ in formgrader(reading.notebook(SHEET, result(words="letters", double="letters"))).tags]


def without_files(words):
    """Words without what nbconvert takes out of all paths, and out of what only looks like one."""
    return words.replace("/files/", "").replace("files/", "")


@pytest.mark.parametrize("cell", ["words", "double"])
@pytest.mark.parametrize("name", HOSTILE)
def test_words_are_shown_letter_by_letter_and_make_nothing(name, cell, formgrader, harmless):
    words = HOSTILE[name]
    page = formgrader(reading.notebook(SHEET, result(**{"words": "letters", "double": "letters", cell: words})))
    made = [tag for tag, attributes in page.tags if tag != "span"]  # colours of the code
    assert made == [tag for tag in harmless if tag != "span"]
    for _, attributes in page.tags:
        assert not [value for _, value in attributes if value and ("mine" in value or "example.org" in value)]
    assert reading.whole(words).encode("utf-8") is not None, "no half letters, which no browser takes"
    shown = "".join(page.words.split())
    assert without_files("".join(reading.whole(words).split())) in without_files(shown)


def test_code_of_a_student_is_no_code_cell(formgrader):
    cells = json.loads(reading.notebook(SHEET, result(double="import os; os.system('x')")))["cells"]
    code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    assert code == [cell.source for cell in SHEET.of("test")]


def test_a_person_finds_the_question_the_answer_and_a_right_one(formgrader):
    asked = SHEET.cells[-1]._replace(question="## Why\nWhy is that?", source="For example: so.")
    page = formgrader(reading.notebook(SHEET._replace(cells=(*SHEET.cells[:-1], asked)), result(words="It just is.")))
    places = [
        page.words.index(words) for words in ("Why is that?", "It just is.", "A right answer", "For example: so.")
    ]
    assert places == sorted(places)
    fields = [dict(attributes).get("id") for tag, attributes in page.tags if tag in ("input", "textarea")]
    assert {"words", "words-comment", "double-seen", "double-comment"} <= set(fields), "where points and words go"


def test_a_submission_that_cannot_be_read_says_why_and_where(formgrader):
    page = formgrader(reading.notebook(SHEET, for_a_person(SHEET, "byte 7 is no <b>utf-8"), "ada/small.ipynb"))
    assert "byte 7 is no <b>utf-8" in page.words and "ada/small.ipynb" in page.words
    assert page.words.count("missing") == 4


def test_what_nobody_would_read_is_cut():
    shown = reading.whole("x" * 10**6)
    assert len(shown) < 1.01 * reading.LONGEST and shown.endswith("[970,000 more letters]")


def test_what_was_shown_can_be_compared_and_what_was_edited_cannot():
    seen = reading.sources(reading.notebook(SHEET, result(words="a")))
    assert seen["words"] == "~~~~text\na\n~~~~"
    assert reading.sources("") is reading.sources("[1]") is reading.sources('{"cells": [{}]}') is None
