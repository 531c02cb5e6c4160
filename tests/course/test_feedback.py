"""The page for a student: it says what came of each task, and shows what a student wrote as text."""

import datetime
import html.parser

from lecturekit.course.collect import Found
from lecturekit.course.feedback import page
from lecturekit.course.grade import Mark, Result
from tests.course.small import SHEET

ADA = Found("ada", "small", b"", datetime.datetime(2027, 1, 31, 22, tzinfo=datetime.UTC), "", "ada/small.ipynb")


class Seen(html.parser.HTMLParser):
    """The tags of a page with their classes, and its words."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.marks, self.words = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.marks += [value for name, value in attributes if name == "class"]

    def handle_data(self, data):
        self.words += data


def seen(*marks, **more):
    return Seen(page(SHEET, ADA, Result("small", list(marks), **more)))


def test_each_task_has_its_sign_and_its_points():
    found = seen(
        Mark("double-seen", 1, 1),
        Mark("double-again", 0, 2, "Hint: twice"),
        Mark("mean-again", 0.5, 2),
        Mark("words", None, 2),
    )
    assert found.marks == ["right", "wrong", "partly", "waits"]
    for words in ("1 of 1", "0 of 2", "0.5 of 2", "to be read", "1.5 of 7 points, and up to 2 more", "Hint: twice"):
        assert words in found.words


def test_tasks_are_named_in_words_and_nothing_is_said_twice():
    found = seen(
        Mark("own-picture-seen", 0, 1, "Hint: twice"),
        Mark("own-picture-again", 0, 2, "Hint: twice"),
        Mark("own-picture-verified", 0, 2, "Hint: once"),
        failed={"double": "NotImplementedError: ", "own-picture": "ValueError: 3"},
    )
    assert "own picture: visible check0 of 1Hint: twice" in found.words
    assert "own picture: other inputs0 of 2the same" in found.words
    assert "own picture: your result0 of 2Hint: once" in found.words
    assert "own picture did not run to its endValueError: 3" in found.words
    assert "NotImplementedError" not in found.words


def test_what_a_person_wrote_stands_there():
    found = seen(Mark("words", 2, 2, "Well said.", look="the answer changed"), remarks={"double": "Try x + x."})
    assert "2 of 2 points" in found.words and "Well said." in found.words
    assert "Somebody will look at this again." in found.words
    assert "About doubleTry x + x." in found.words


def test_nothing_that_came_from_a_submission_is_more_than_text():
    bad = "</pre><script>alert(1)</script><img src=x onerror=alert(1)> \ud800"

    def with_words(x):
        more = {"person": x, "findings": [x], "failed": {"double": x}, "printed": x, "remarks": {"mean": x}}
        return seen(Mark("words", 0, 2, x), **more)

    found = with_words(bad)
    assert found.tags == with_words("words").tags
    assert found.words.count("<script>alert(1)</script>") == 6
    text = page(SHEET, ADA, Result("small", [Mark("words", 0, 2, bad)]))
    assert "default-src 'none'" in text
    assert text.encode("utf-8"), "half of a surrogate pair can be written"
