"""Checks of exercises: a function of the learner's is called, and its events are counted.

The arguments are new in each check.  Rules are held against the recording of this call alone:
counts, the shape of the graph and bytes, never seconds.  The first thing that is wrong is told:
known mistakes that explain a wrong result, then the result, then the other rules.  What is said
has one order: what failed, measured, expected, why it matters, one next step, the picture.
A check that could not see all of the call gives no verdict.
"""

from __future__ import annotations

import inspect
import math
import random
import re
import reprlib
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from paralab import ObjectRef
from paralab.shown_text import shown_name, shown_text
from paralab.sources import keep_definitions
from paralab_profiling.note import facts
from paralab_profiling.recording import Recording
from paralab_profiling.taking import take

PASSED, NOT_YET, CANNOT_JUDGE = "passed", "not yet", "cannot judge"
LONGEST_ARGUMENT = 60
"""Characters of an argument that is quoted."""
_ADDRESS = re.compile(r"[0-9a-f]{6,}>")
BEHIND_SECONDS = 2.0
"""For how long tasks that nobody waited for may still end, and be judged."""


def _count(number: float) -> str:
    return f"{number:,.10g}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a check counts.

    Attributes:
        what: is counted, such as "tasks at the same time".
        measure: counts it in the recording of one call.
        failed: a sentence that says what it means if the rule does not hold.
        why: it matters.
        then: what to do next, one step.
        least, most: what the count may be.
        shown: makes text of a count, with its unit.
    """

    what: str
    measure: Callable[[Recording], float]
    failed: str
    why: str
    then: str
    least: float = 0
    most: float = math.inf
    shown: Callable[[float], str] = _count

    @property
    def expected(self) -> str:
        """What the count may be, as text."""
        if self.least == self.most:
            return self.shown(self.least)
        if self.most == math.inf:
            return f"{self.shown(self.least)} or more"
        if self.least == 0:
            return f"{self.shown(self.most)} or less"
        return f"{self.shown(self.least)} to {self.shown(self.most)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Attributes:
        state: "passed", "not yet" or "cannot judge".
        title: what failed or what was found, one sentence.
        rows: the facts in their order, by what they are called.
        last: one thing to do next, "" for none.
        recording: of the call; None if there was none.
        picture: something that shows the recording; None for nothing.
        kind: of the mistake, the same for the same mistake; "" if there is none.  It is what a
            rule counts, "result", "reference" or "error".
    """

    state: str
    title: str
    rows: Sequence[tuple[str, str]]
    last: str = ""
    recording: Recording | None = None
    picture: Any = None
    kind: str = ""

    @property
    def passed(self) -> bool:
        """Whether all rules hold."""
        return self.state == PASSED

    def __repr__(self) -> str:
        text = facts(self.title, self.rows, self.last).text
        return text if self.picture is None else f"{text}\n\n{self.picture!r}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        html = facts(self.title, self.rows, self.last).html
        if self.picture is not None:
            html += self.picture._repr_mimebundle_()["text/html"]
        return {"text/plain": repr(self), "text/html": html}


@dataclass(frozen=True)
class Check:
    """A check of one exercise, called with the learner's function.

    Attributes:
        arguments: gives arguments for one call, made from the random numbers that it is given.
        answer: the right result for these arguments.
        rules: held against the recording of the call, in this order.
        mistakes: rules that are held before the result is compared, because they tell why it is
            wrong.
        then: a thing to try after it has passed.
        same: whether two results are the same.
        draw: makes a picture of a recording; None for no picture.
    """

    arguments: Callable[[random.Random], tuple[Any, ...]]
    answer: Callable[..., Any]
    rules: Sequence[Rule]
    mistakes: Sequence[Rule] = ()
    then: str = ""
    same: Callable[[Any, Any], bool] = lambda one, other: bool(one == other)
    draw: Callable[[Recording], Any] | None = None
    seed: int | None = None
    """For tests; None gives new arguments each time."""

    def __call__(self, attempt: Callable[..., Any]) -> Verdict:
        """Calls ``attempt`` once and says what was found.

        Raises:
            SystemFailure: paralab is not running, see ``paralab.init``.
        """
        name = shown_name(getattr(attempt, "__name__", type(attempt).__name__))
        arguments = self.arguments(random.Random(self.seed))  # noqa: S311  # no secret
        call = call_text(name, arguments)
        expected = self.answer(*arguments)
        result, problem = None, None
        start = time.monotonic_ns()
        with keep_definitions():
            try:
                result = attempt(*arguments)
            except Exception as error:
                problem = error
            whole, recording = seen(start, time.monotonic_ns())
        wrong = self._broken(name, recording, self.mistakes)
        if wrong is None:
            wrong = (
                raised(call, problem, attempt) if problem else self._wrong(call, result, expected)
            )
        if wrong is not None:
            return wrong
        if whole.silent or any(task.state != "done" for task in recording):
            rows = [("processes that did not answer", f"{whole.silent}")]
            rows += [("tasks not ended or failed", f"{_unfinished(recording)}")]
            title = f"Cannot judge {name}: not all of the call could be seen."
            then = "Next: wait for every result with get inside the function, and check again."
            return Verdict(CANNOT_JUDGE, title, rows, then, recording)
        return self.judge(name, recording)

    def judge(self, name: str, recording: Recording) -> Verdict:
        """Holds the rules against a recording of one call of the function ``name``."""
        broken = self._broken(name, recording, (*self.mistakes, *self.rules))
        if broken is not None:
            return broken
        counts = [(rule, rule.measure(recording)) for rule in self.rules]
        rows = [
            (rule.what, f"{rule.shown(count)} (expected {rule.expected})") for rule, count in counts
        ]
        title = f"Passed, {name}: the result is right, and so is the way."
        return Verdict(PASSED, title, rows, self.then, recording, self._picture(recording))

    def _picture(self, recording: Recording) -> Any:
        return self.draw(recording) if self.draw is not None and len(recording) else None

    def _broken(self, name: str, recording: Recording, rules: Iterable[Rule]) -> Verdict | None:
        """What is said of the first rule that does not hold; None if all do."""
        for rule in rules:
            count = rule.measure(recording)
            if not rule.least <= count <= rule.most:
                rows = [
                    ("measured", f"{rule.what}: {rule.shown(count)}"),
                    ("expected", rule.expected),
                    ("why it matters", rule.why),
                    ("next", rule.then),
                ]
                title = f"Not yet, {name}: {rule.failed}"
                picture = self._picture(recording)
                return Verdict(NOT_YET, title, rows, "", recording, picture, rule.what)
        return None

    def _wrong(self, call: str, result: Any, expected: Any) -> Verdict | None:
        first = next(iter(result), None) if isinstance(result, (list, tuple)) else result
        if isinstance(first, ObjectRef):
            kind = "reference"
            title = f"Not yet: {call} gave a reference, and no value."
            why = "a reference stands for a value that may not exist yet"
            then = "give paralab.get(...) of it back"
        else:
            try:
                is_same = self.same(result, expected)
            except Exception:  # they cannot even be compared
                is_same = False
            if is_same:
                return None
            kind = "result"
            title = f"Not yet: {call} gave another result."
            why = "a fast wrong answer is no answer"
            then = "call it with a small input whose answer you know"
        rows = [
            ("measured", _short(result)),
            ("expected", _short(expected)),
            ("why it matters", why),
            ("next", then),
        ]
        return Verdict(NOT_YET, title, rows, kind=kind)


def raised(call: str, error: Exception, attempt: Callable[..., Any]) -> Verdict:
    """What is said of a call of ``attempt`` that raised an error."""
    said = shown_text(str(error)).strip().splitlines() or [""]
    rows = [
        ("measured", f"{type(error).__name__}: {said[-1]}{_line(error, attempt)}"),
        ("expected", "a result"),
        ("why it matters", "what comes after the error was not run"),
        ("next", "call it in a cell of its own and read the traceback from the end"),
    ]
    return Verdict(NOT_YET, f"Not yet: {call} raised an error.", rows, kind="error")


def _line(error: Exception, attempt: Callable[..., Any]) -> str:
    """At which line of the learner's function, or of what stands beside it; "" if at none."""
    code = getattr(inspect.unwrap(attempt), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    of_theirs = [frame for frame in frames if code and frame.filename == code.co_filename]
    if not of_theirs:
        return ""
    return f", at line {of_theirs[-1].lineno} in {shown_name(of_theirs[-1].name)}"


def call_text(name: str, arguments: Iterable[Any]) -> str:
    """A call as it is quoted: arguments that are long, or no literals, by what they are."""
    return f"{name}({', '.join(map(_argument, arguments))})"


def _argument(value: Any) -> str:
    text = _short(value)
    if not callable(value) and len(text) <= LONGEST_ARGUMENT and not _ADDRESS.search(text):
        return text
    kind = shown_name(type(value).__name__)
    if isinstance(value, (list, tuple, dict, set, str, bytes)):
        return f"<{kind} of {len(value):,}>"
    return f"<{shown_name(getattr(value, '__name__', kind))}>"


def _short(value: Any) -> str:
    return " ".join(reprlib.repr(value).split())


def seen(start: int, end: int) -> tuple[Recording, Recording]:
    """All that was recorded, and what was submitted between two stamps.

    What a pool sends behind a result, such as to forget a function, may end a moment later.
    """
    limit = time.monotonic() + BEHIND_SECONDS
    while True:
        whole = take()
        recording = whole.between(start, end)
        ended = all(task.state in ("done", "failed") for task in recording)
        if ended or time.monotonic() > limit:
            return whole, recording
        time.sleep(0.01)


def _unfinished(recording: Recording) -> int:
    return sum(task.state != "done" for task in recording)
