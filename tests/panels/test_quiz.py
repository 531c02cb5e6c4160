"""The quiz: what counts, what is given away and when, and what cannot be asked."""

import io

import pytest
import torch
from PIL import Image

from lecturekit import measure
from lecturekit.errors import InputError
from lecturekit.features import Question as FilterQuestion
from lecturekit.panels import Quiz
from lecturekit.panels.base import walk_through
from lecturekit.panels.quiz import Question, sheet


def grey(*levels):
    """Flat pictures, (n, 3, 8, 6), not square."""
    return torch.tensor(levels)[:, None, None, None].expand(-1, 3, 8, 6).clone()


def three(options=(0.2, 0.8)):
    """Three questions; right is A, B, B."""
    return [Question(grey(0.1, 0.5, 0.9), grey(*options), right, f"Words {right}.") for right in (0, 1, 1)]


@pytest.fixture
def panel():
    return Quiz(three(), title="Which is it?")


def test_it_is_ready_without_a_click_and_nothing_is_given_away(panel):
    assert panel.result == (0, 0, 0.5, None) and panel.trouble is None
    assert panel.settings() == {"question": 1, "answer": None}
    assert [picture.caption for picture in panel.options.values()] == ["", ""]
    words = panel.alternative_text()
    assert words.startswith("Which is it?; Given: question 1 of 3; A; B; Choose A or B. Guessing is right in 50%")
    assert "Words" not in words and "right one" not in words


def test_an_answer_is_told_at_once_in_words(panel):
    assert panel.answer("A") is panel
    assert panel.said.startswith("Right: it is A. Words 0. So far 1 of 1 right, 100%")
    assert [picture.caption for picture in panel.options.values()] == ["the right one, your answer", ""]
    panel.next().answer("A")
    assert panel.said.startswith("Wrong: it is B. Words 1. So far 1 of 2 right, 50%")
    assert [picture.caption for picture in panel.options.values()] == ["your answer", "the right one"]
    assert "role='status'" in panel.verdict.value and "Wrong: it is B" in panel.alternative_text()


def test_the_score_is_the_share_of_right_answers_with_its_interval(panel):
    for letter in "ABA":
        panel.answer(letter).next()
    assert panel.result == (2, 3, 0.5, measure.proportion(2, 3))
    assert "67% (95 % interval 21% to 94%); guessing gives 50%" in panel.said


def test_only_the_first_answer_to_a_question_counts(panel):
    panel.answer("B")
    assert panel.answer("A").result.right == 0
    assert panel.controls["answer"].value == "B" and "Wrong" in panel.said
    panel.controls["answer"].value = "A"  # by hand
    panel.wait()
    assert panel.controls["answer"].value == "B" and panel.result.right == 0


def test_a_question_that_was_answered_comes_back_with_its_answer(panel):
    panel.answer("A").next()
    assert panel.controls["answer"].value is None
    panel.set(question=1)
    assert panel.controls["answer"].value == "A" and panel.said.startswith("Right")
    assert panel.result.answered == 1


def test_next_goes_to_what_has_no_answer_and_stays_where_all_is_answered(panel):
    panel.set(question=3, answer="B").next()
    assert panel.controls["question"].value == 1
    panel.answer("A").next()
    assert panel.controls["question"].value == 2
    panel.answer("A").next()
    assert panel.controls["question"].value == 2


def test_reset_forgets_the_answers(panel):
    panel.answer("A").next().answer("B")
    panel.reset()
    panel.wait()
    assert panel.settings() == {"question": 1, "answer": None} and panel.result.answered == 0
    assert [picture.caption for picture in panel.options.values()] == ["", ""]


def test_the_answer_is_a_row_of_buttons_and_every_control_has_a_name(panel):
    described = [w.description for w in walk_through(panel) if hasattr(w, "description") and hasattr(w, "tooltip")]
    assert {"Question", "Your answer", "Next question", "Reset"} <= set(described)
    assert list(panel.controls["answer"].options) == ["A", "B"]


def test_what_does_not_exist_is_refused_and_not_counted(panel):
    with pytest.raises(InputError, match="there is no answer named 'C'"):
        panel.answer("C")
    with pytest.raises(InputError, match="question goes from 1 to 3, got 4"):
        panel.set(question=4, answer="A")
    with pytest.raises(InputError, match="there is no answer named 'c'"):
        panel.set(question=2, answer="c")
    assert panel.settings() == {"question": 1, "answer": None} and panel.result.answered == 0


def test_guessing_among_four_is_right_a_quarter_of_the_time():
    panel = Quiz([Question(grey(0.5), grey(0.1, 0.2, 0.3, 0.4), 3)])
    assert panel.result.chance == 0.25 and "Choose A or B or C or D." in panel.said
    assert "Right: it is D. So far 1 of 1" in panel.answer("D").said, "words may be missing"


def test_a_seed_changes_the_order_and_nothing_else():
    asked = [Question(grey(n / 20), grey(0.0, 1.0), n % 2, str(n)) for n in range(12)]
    orders = [[q.words for q in Quiz(asked, seed=seed).questions] for seed in (None, 1, 1, 2)]
    assert orders[0] == [str(n) for n in range(12)]
    assert orders[1] == orders[2] != orders[3] and sorted(orders[1]) == sorted(orders[0])
    assert orders[1] != orders[0]


def test_questions_about_filters_can_be_asked_as_they_are():
    asked = FilterQuestion("conv4", 7, grey(0.3, 0.4), grey(0.1, 0.9), 1, (0.25, 4.0))
    panel = Quiz([asked]).answer("B")
    assert "Right: it is B. Filter 7 of conv4 answers 4.0 to it, and 0.2 to the other." in panel.said


def test_the_sheet_lays_pictures_out_row_by_row():
    x = sheet(grey(0.1, 0.2, 0.3, 0.4, 0.5))
    assert x.shape == (1, 3, 2 * 8 + 3, 3 * 6 + 2 * 3), "two rows of three, white gaps of three pixels"
    levels = [round(x[0, 0, row, column].item(), 1) for row in (4, 15) for column in (2, 11, 20)]
    assert levels == [0.1, 0.2, 0.3, 0.4, 0.5, 1.0], "the place that is left is white"
    assert x[0, :, 8:11].eq(1).all() and x[0, :, :, 6:9].eq(1).all()
    assert sheet(grey(0.5)).shape == (1, 3, 8, 6), "one picture is itself"


def test_the_snapshot_holds_the_sheet_and_all_options(panel):
    shown = Image.open(io.BytesIO(panel.snapshot()))
    assert shown.width >= 300 + 2 * 256 and shown.height > 300


@pytest.mark.parametrize(
    ("questions", "match"),
    [
        ([], "a quiz needs one question at least"),
        (three()[:1] + three((0.1, 0.2, 0.3)), r"the same number of options, 2 to 8, got \[2, 3\]"),
        (three((0.5,)), r"the same number of options, 2 to 8, got \[1\]"),
        ([three()[0], three()[1]._replace(right=2)], r"0 to 1; it is not in questions \[2\]"),
        ([three()[0], three()[1]._replace(options=255 * grey(0.2, 0.8))], "options of question 2"),
        ([three()[0]._replace(pictures=grey(0.5)[0])], "pictures of question 1 must have four axes"),
    ],
)
def test_what_cannot_be_asked_is_refused(questions, match):
    with pytest.raises(InputError, match=match):
        Quiz(questions)
