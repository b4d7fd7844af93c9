"""For checkers that are no ``Check``: calling an answer, and saying at once what is wrong.

::

    @decides
    def check(answer):
        result, run = called(answer, 7)       # an error of the answer's is a verdict
        if too_many(run):
            raise Decided(not_yet("tasks", ...))
        return passed("...", rows)
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import paralab
from paralab.shown_text import shown_name
from paralab.sources import keep_definitions
from paralab_profiling.exercises.ladders import not_yet
from paralab_profiling.lessons.checking import PASSED, Verdict, call_text, raised, seen
from paralab_profiling.recording import Recording


class Decided(Exception):
    """Ends a check with a verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.title)
        self.verdict = verdict


def decides(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Makes the verdict of a :class:`Decided` that comes out of ``check`` its result."""

    @functools.wraps(check)
    def checked(answer: Callable[..., Any]) -> Verdict:
        try:
            return check(answer)
        except Decided as decided:
            return decided.verdict

    return checked


def call(answer: Callable[..., Any], *arguments: Any) -> Any:
    """What the answer returns.

    Raises:
        Decided: it raised an error, or returned a reference.
    """
    said = call_text(name_of(answer), arguments)
    try:
        result = answer(*arguments)
    except Decided:
        raise
    except Exception as error:
        raise Decided(raised(said, error, answer)) from error
    first = next(iter(result), None) if isinstance(result, (list, tuple)) else result
    if isinstance(first, paralab.ObjectRef):
        raise Decided(
            not_yet(
                "reference",
                f"{said} gave a reference, and no value.",
                type(first).__name__,
                "a value",
                "a reference stands for a value that may not exist yet",
                "give paralab.get(...) of it back",
            )
        )
    return result


def called(answer: Callable[..., Any], *arguments: Any) -> tuple[Any, Recording]:
    """What the answer returns, and what ran meanwhile.

    Raises:
        Decided: it raised an error, or returned a reference.
    """
    start = time.monotonic_ns()
    with keep_definitions():
        result = call(answer, *arguments)
        return result, seen(start, time.monotonic_ns())[1]


def name_of(answer: Callable[..., Any]) -> str:
    """What messages call it."""
    return shown_name(getattr(answer, "__name__", type(answer).__name__))


def passed(title: str, rows: Sequence[tuple[str, str]], then: str) -> Verdict:
    """The verdict of an answer that has passed.

    Args:
        title: what was found.
        rows: what was measured, by what it is called.
        then: one thing to try.
    """
    return Verdict(PASSED, f"Passed: {title}", rows, f"One thing to try: {then}")
