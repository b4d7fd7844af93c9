"""Predictions: asked, answered by a click or a line, and shown beside the result."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from paralab_profiling.lessons.predict import (
    NO_ANSWER,
    Prediction,
    Predictions,
    _choice,
    _widget_class,
)
from paralab_profiling.live.widgets import new_widget

EVIL = "</p><script>alert(1)</script>\x1b[2J\x00&\"'"


def test_who_does_not_answer_goes_on() -> None:
    guess = Prediction("Is it faster?", ["faster", "slower"])
    assert guess.choice is None
    outcome = guess.outcome("slower", "0.31 × as fast")
    assert outcome.text.splitlines() == [
        "Is it faster?",
        f"  you predicted  {NO_ANSWER}",
        "  measured       slower (0.31 × as fast)",
    ]
    assert f">{NO_ANSWER}</td>" in outcome.html


def test_an_answer_in_a_cell_of_its_own_goes_to_the_last_question() -> None:
    predict = Predictions()
    first = predict("One?", ["a", "b"])
    second = predict("Two?", ["faster", "slower", "slower at first"])
    assert predict("FASTER") is second
    assert (first.choice, second.choice) == (None, "faster")
    assert predict("slower").choice == "slower", "an option before what begins with it"
    assert predict("slower at").choice == "slower at first"
    assert predict(1).choice == "faster"


def test_asked_again_a_question_still_has_its_answer() -> None:
    predict = Predictions()
    predict("One?", ["a", "b"])
    predict("b")
    predict("Two?", ["c", "d"])
    again = predict("One?", ["a", "b"])
    assert again.choice == "b"
    assert predict("a") is again, "it is the last one now"
    assert predict("One?", ["c", "d"]).choice is None, "no option any more"


@pytest.mark.parametrize("answer", ["", "x", "s", 0, 3, -1])
def test_what_is_no_option_is_refused_with_the_options(answer: str | int) -> None:
    guess = Prediction("Is it?", ["slow", "same"])
    with pytest.raises(ValueError, match=r"of the options\. They are 1: slow, 2: same\."):
        guess.choose(answer)
    assert guess.choice is None


def test_what_cannot_be_asked_or_answered() -> None:
    with pytest.raises(ValueError, match="No question was asked yet"):
        Predictions()("slower")
    with pytest.raises(ValueError, match="two different options"):
        Predictions()("Is it?", ["yes", "yes"])


def test_the_reply_is_for_who_chose_that_option_and_was_wrong() -> None:
    replies = {"3": "The tasks counted, each in its own process.", "0": ""}
    guess = Prediction("How many?", replies)
    assert replies["3"] not in guess.outcome("0").text
    guess.choose("3")
    assert guess.outcome("0").text.endswith(replies["3"])
    assert replies["3"] not in guess.outcome("3").text


def test_text_of_the_question() -> None:
    guess = Prediction("Is it?", ["yes", "no"])
    assert repr(guess).splitlines() == [
        "Predict: Is it?",
        "  1 yes",
        "  2 no",
        'Or, in a cell of its own: predict("yes")',
    ]
    guess.choose("no")
    assert repr(guess).endswith("Your prediction: no.")
    assert list(guess._repr_mimebundle_()) == ["text/plain", "text/html"]


def test_questions_and_answers_are_text_and_never_markup() -> None:
    guess = Prediction(EVIL, [EVIL, f"{EVIL}2"])
    guess.choose(1)
    outcome = guess.outcome(EVIL, EVIL)
    for note in (guess._note(), outcome):
        assert "<script>" not in note.html
        assert "&lt;script&gt;" in note.html
        assert not {"\x00", "\x1b"} & {*note.html, *note.text}


def test_the_widget_and_the_line_of_code_keep_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("anywidget")
    shell = SimpleNamespace(kernel=object())
    known = SimpleNamespace(get_ipython=lambda: shell)
    guess = Prediction(EVIL, ["yes", "no"])
    guess.choose("no")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "IPython", known)
        widget = _choice(guess)
    assert (widget.options, widget.choice, widget.is_closed) == (["yes", "no"], "no", False)
    widget.choice = "yes"
    assert guess.choice == "yes"
    widget.choice = "neither"
    assert guess.choice == "yes"
    guess.choose("no")
    assert widget.choice == "no"
    guess.outcome("no")
    assert widget.is_closed
    assert repr(widget) == "  1 yes\n  2 no", "a saved page has this in the widget's place"
    widget.close()
    assert _choice(guess) is None, "no notebook, no widget"


def test_what_a_saved_page_has_in_place_of_the_choice_is_text_that_acts_on_nothing() -> None:
    pytest.importorskip("anywidget")
    widget = _widget_class()(question="?", options=["\x1b[2Ja", "b"], choice="")
    assert repr(widget) == "  1 \ufffd[2Ja\n  2 b"
    widget.close()
    live = new_widget("export default {}", {"title": "1 task"})
    assert repr(live) == "A live view: it is seen while its kernel runs."
    live.close()
