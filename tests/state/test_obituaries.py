"""Texts about deaths: facts come before the last lines of error output."""

from __future__ import annotations

from paralab.state.obituaries import (
    ended,
    last_attempt,
    not_again,
    told,
    under_way,
    without_words,
)


def test_facts_stand_before_the_last_words() -> None:
    how = ended("The worker process 7", "exited with code 1", ["one", "two"])
    assert told(how, "A fact.", "", "Another.") == (
        "The worker process 7 exited with code 1. A fact. Another. "
        "The last lines of its error output:\none\ntwo"
    )


def test_without_last_words() -> None:
    how = ended("The node process 8", "was killed by signal 9 (SIGKILL)")
    assert how == "The node process 8 was killed by signal 9 (SIGKILL)."
    assert told(how, "A fact.") == f"{how} A fact."
    assert without_words(how) == ("The node process 8 was killed by signal 9 (SIGKILL)", "")


def test_as_a_part_of_another_sentence() -> None:
    what, words = without_words(ended("It", "ended", ["why"]))
    assert (what, words) == ("It ended", "The last lines of its error output:\nwhy")


def test_attempts_are_counted_from_one() -> None:
    assert last_attempt(0, 0, "max_retries") == (
        "This was attempt 1 of 1; max_retries=0 allows no more."
    )
    assert "attempt 3 of 3 (max_retries=2" in not_again(2, 2, "max_retries")
    assert "it was attempt 5 (max_task_retries=-1)" in under_way("A.f", 4, -1)
    assert "it was attempt 2 of 3 (max_task_retries=2)" in under_way("A.f", 1, 2)
