"""One exercise, as a notebook and the command line use it: start, check, hint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paralab import cloudpickle
from paralab.shown_text import shown_name, shown_text
from paralab_profiling.exercises import shelf
from paralab_profiling.exercises.answers import read
from paralab_profiling.exercises.judging import SECONDS, judge
from paralab_profiling.exercises.ladders import COMMON, STEPS, Ladder, next_step
from paralab_profiling.exercises.progress import Progress, Tried
from paralab_profiling.lessons.checking import NOT_YET, Verdict
from paralab_profiling.note import Note, facts
from paralab_profiling.svg import escape

QUESTION = (
    "Before you check again: which number will your change move, and to what? Say it with the "
    "check, as guess= or --guess, and it stands beside what is measured."
)
LONGEST_GUESS = 80
NO_NUMBER = {*COMMON, "missing", "ended"}
"""Kinds of mistakes that no figure tells of."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict, the hint that belongs to it, and what went wrong besides.

    Attributes:
        verdict: of the check.
        hint: "" at the first failure of its kind, and when it has passed.
        remark: that the progress could not be written, or "".
        guess: what the learner expected to be measured, or "".
        before: what was measured the time before, if the mistake was the same; or "".
    """

    verdict: Verdict
    hint: str = ""
    remark: str = ""
    guess: str = ""
    before: str = ""

    @property
    def passed(self) -> bool:
        """Whether all rules hold."""
        return self.verdict.passed

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The facts in their order; what was expected stands below what was measured."""
        own = [("your guess", shown_name(self.guess)), ("measured before", self.before)]
        found = list(self.verdict.rows)
        at = 1 if found and found[0][0] == "measured" else len(found)
        found[at:at] = [row for row in own if row[1]]
        return found

    @property
    def question(self) -> str:
        """What to think about before the next check; "" where there is no number to think of."""
        verdict = self.verdict
        return QUESTION if verdict.state == NOT_YET and verdict.kind not in NO_NUMBER else ""

    @property
    def text(self) -> str:
        """All in words, without the picture."""
        hint, remark = shown_text(self.hint), shown_text(self.remark)
        parts = [self._words().text, hint, self.question, remark]
        return "\n\n".join(part for part in parts if part)

    def __repr__(self) -> str:
        picture = self.verdict.picture
        return self.text if picture is None else f"{self.text}\n\n{picture!r}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        html = self._words().html
        html += _as_code(self.hint) if self.hint else ""
        html += f"<p>{escape(self.question)}</p>" if self.question else ""
        html += f"<p>{escape(self.remark)}</p>" if self.remark else ""
        if self.verdict.picture is not None:
            html += self.verdict.picture._repr_mimebundle_()["text/html"]
        return {"text/plain": repr(self), "text/html": html}

    def _words(self) -> Note:
        return facts(self.verdict.title, self.rows, self.verdict.last)


class Exercise:
    """One exercise.

    Args:
        number: of it, as ``paralab exercise list`` shows.
        progress: where it is remembered what was tried; by default the user's file.

    Raises:
        NoSuchExerciseError: there is none with this number.
    """

    def __init__(self, number: int, progress: Progress | None = None) -> None:
        self._place = shelf.place(number)
        self._progress = progress or Progress()

    @property
    def number(self) -> int:
        """Of the exercise."""
        return self._place.number

    @property
    def title(self) -> str:
        """What it is about."""
        return self._place.title()

    def __repr__(self) -> str:
        return f"Exercise {self.number}: {self.title}"

    def start(self, folder: str | Path = ".") -> Path:
        """Copies the notebook to ``folder`` and gives its path.

        Raises:
            FileExistsError: there is a file of this name; it stays as it is.
            OSError: the folder cannot be written.
        """
        target = Path(folder) / f"{self._place.name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(self._place.notebook, "rb") as source, open(target, "xb") as copy:
            shutil.copyfileobj(source, copy)
        self._progress.put(self.number, file=os.path.abspath(target))
        return target

    def check(
        self,
        answer: Callable[..., Any] | str | Path,
        *,
        guess: str | float = "",
        seconds: float = SECONDS,
    ) -> Outcome:
        """Measures an answer in a process of its own.

        Args:
            answer: the function, or a file that defines it: a notebook or Python.
            guess: what you expect to be measured, such as "40 tasks"; it is shown beside that.
            seconds: how long each step of it may take, such as a cell or the call.

        Raises:
            TypeError: ``answer`` is neither a function nor a path, or it holds something that
                cannot be sent to another process; or ``guess`` is neither text nor a number.
            ValueError: ``guess`` is longer than 80 characters.
            UnreadableAnswerError: the file holds nothing that can be run.
        """
        said = _guess(guess)
        if isinstance(answer, (str, Path)):
            path = Path(answer).resolve()
            verdict = judge(self.number, pieces=read(path), folder=path.parent, seconds=seconds)
            return self._remembered(verdict, said)
        if not callable(answer):
            raise TypeError(
                f"check takes the function itself, or a path; got {type(answer).__name__}. "
                "Without brackets: check(answer), not check(answer())."
            )
        try:
            packed = cloudpickle.dumps(answer)
        except Exception as error:
            raise TypeError(
                f"The function cannot be sent to the process that checks it: {error}"
            ) from error
        verdict = judge(self.number, function=packed, folder=Path.cwd(), seconds=seconds)
        return self._remembered(verdict, said)

    def hint(self) -> Note:
        """The next hint for the last mistake, without another check."""
        tried = self._progress.of(self.number)
        if not tried.kind:
            text = "There is nothing to give a hint for: check an answer first."
        else:
            step = next_step(tried.step, tried.tries)
            self._progress.put(self.number, step=step)
            text = self._hint(tried.kind, step)
            if step == tried.step < STEPS:
                text += "\n\nThe next one is a solution. It comes after one more check."
        return Note(shown_text(text), _as_code(text))

    def _remembered(self, verdict: Verdict, guess: str) -> Outcome:
        remark, step = "", 0
        last = self._progress.of(self.number)
        before = last.measured if verdict.passed or verdict.kind == last.kind else ""
        try:
            if verdict.passed:
                self._progress.passed(self.number)
            elif verdict.state == NOT_YET:
                step = self._failed(verdict).step
        except OSError as error:
            remark = f"This try could not be remembered: {error}"
        return Outcome(verdict, self._hint(verdict.kind, step), remark, guess, before)

    def _failed(self, verdict: Verdict) -> Tried:
        kind, measured = verdict.kind, dict(verdict.rows).get("measured", "")
        before = self._progress.of(self.number)
        tries = before.tries if before.passed else before.tries + 1
        step = next_step(before.step, tries) if before.kind == kind else 0
        return self._progress.put(self.number, tries=tries, kind=kind, step=step, measured=measured)

    def _hint(self, kind: str, step: int) -> str:
        if not step:
            return ""
        ladders = {**COMMON, **self._place.checker().ladders}
        ladder = ladders.get(kind) or _plain(kind)
        return ladder.hint(step, self._place.solution())


def _plain(kind: str) -> Ladder:
    """For a mistake that has no ladder of its own."""
    return Ladder(
        f"What do you see in the figures about {kind}, and what did you expect?",
        "Change one thing, check again, and see which number changes.",
        "before, after = measure(program), measure(changed_program)",
    )


def _guess(guess: Any) -> str:
    if isinstance(guess, bool) or not isinstance(guess, (str, int, float)):
        raise TypeError(f"guess={guess!r:.60}: expected a text or a number, such as '40 tasks'.")
    if len(str(guess)) > LONGEST_GUESS:
        raise ValueError(f"guess=... is longer than {LONGEST_GUESS} characters.")
    return str(guess)


def _as_code(text: str) -> str:
    return f'<pre style="white-space:pre-wrap">{escape(text)}</pre>'


def exercise(number: int) -> Exercise:
    """The exercise with this number: ``exercise(9).check(answer)``.

    Raises:
        NoSuchExerciseError: there is none.
    """
    return Exercise(number)
