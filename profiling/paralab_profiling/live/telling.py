"""What a live view tells of a selected task: all that a picture tells.

News (``state.told.news``) say what changes, ten times a second, and leave out what is long or comes
later: what a task failed with and when it was fetched.  That, what tasks printed and the source of
functions is asked for less often, and only if there can be something new.  The page gets it all
without asking, since the kernel cannot hear it while a cell is in ``get``.

It is bounded: numbers of at most ``watched.MOST_MARKS`` tasks, about 200 bytes each, and of errors,
of printed lines and of sources the newest :data:`KEPT_BYTES` each.  Of a text that had to go the
page knows that it was there, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from paralab.engine import Engine, Told
from paralab.ids import Address
from paralab.shown_text import shown_name
from paralab.state.told import TaskRow
from paralab_profiling.live.watched import Watched
from paralab_profiling.recording import PARTS, Task
from paralab_profiling.taking import printed, recording_of

KEPT_BYTES = 100_000
"""Of one kind of texts; the newest are kept."""
AGAIN_SECONDS = 0.5
"""The least time between two times that it is asked for."""
SOURCE_SECONDS = 10.0
"""How old the source of a function gets that may have been defined anew under the same name."""
PATIENCE = 1.0


class More(NamedTuple):
    """What was asked for; None where there could be nothing new."""

    tasks: list[Told] | None
    prints: Sequence[tuple[int, str, tuple[Address, int] | None]] | None
    sources: list[Told] | None


class Kept:
    """Texts by what they are of: the newest, and which were there and went.

    Args:
        most: how many bytes are kept.
    """

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._texts: dict[str, tuple[Any, int]] = {}
        self._gone: dict[str, None] = {}
        self._changed: dict[str, None] = {}

    def add(self, of: str, text: Any, size: int) -> None:
        """Takes in what is new, or has changed, of about ``size`` bytes."""
        old = self._texts.get(of)
        if old is not None:
            if old[0] == text:
                return
            del self._texts[of]
            self._bytes -= old[1]
        self._gone.pop(of, None)
        self._texts[of] = text, size
        self._bytes += size
        self._changed[of] = None
        while self._bytes > self._most:
            oldest = next(iter(self._texts))
            self._bytes -= self._texts.pop(oldest)[1]
            self._gone[oldest] = self._changed[oldest] = None

    def take(self) -> list[list[Any]]:
        """What has changed since this was asked last: [of what, text]; None for one that went."""
        changed, self._changed = self._changed, {}
        return [[of, self._texts[of][0] if of in self._texts else None] for of in changed]

    def whole(self) -> list[list[Any]]:
        """All there is, as :meth:`take` tells it."""
        self._changed = dict.fromkeys([*self._texts, *self._gone])
        return self.take()


class Telling:
    """Knows what is told of tasks, and when there may be more to be asked for.

    Args:
        watched: the tasks.
        most: bytes of errors, of printed lines and of sources that are kept.
    """

    def __init__(self, watched: Watched, most: int = KEPT_BYTES) -> None:
        self._watched = watched
        self._kept = {what: Kept(most) for what in ("errors", "prints", "sources")}
        self._has_changed = False
        self._asked_at = self._sources_at = float("-inf")
        self._prints: Any = []
        self._names: set[str] = set()
        self._new_names: set[str] = set()
        self._learned: dict[tuple[Address, int], bool] = {}
        """Tasks whose rows were read, and whether they have nothing more to tell."""

    def note(self, changed: Iterable[Task]) -> None:
        """Some marks are new or have changed."""
        for task in changed:
            self._has_changed = True
            if task.name not in self._names:
                self._new_names.add(task.name)

    def ask(self, engine: Engine, now: float, limit: int) -> More | None:
        """What there may be to know, if it is time to ask again.

        Args:
            now: in seconds.
            limit: of how many tasks a process tells.

        Raises:
            SystemFailure: the session has ended.
        """
        if now - self._asked_at < AGAIN_SECONDS:
            return None
        self._asked_at = now
        prints = engine.info("prints") or []
        prints, self._prints = None if prints == self._prints else prints, prints
        tasks = sources = None
        if self._has_changed:
            tasks = engine.survey("tasks", limit, PATIENCE).told
            if self._new_names or now - self._sources_at >= SOURCE_SECONDS:
                self._sources_at = now
                sources = engine.survey("sources", 1_000, PATIENCE).told
                self._names |= self._new_names
                self._new_names.clear()
        self._has_changed = False
        return More(tasks, prints, sources)

    def hear(self, more: More) -> list[Task]:
        """Takes in what was told; returns the marks of which more is known now."""
        for told in more.sources or ():
            for name, file, line, text in told.answer or ():
                whole = [file, line, text]
                self._kept["sources"].add(shown_name(name), whole, len(file) + len(text))
        better = list(self._learn(more.tasks or ()))
        for task_id, lines in printed(more.prints or ()).items():
            if task_id not in self._watched.marks:
                continue
            text = "\n".join(lines)
            self._kept["prints"].add(task_id, text, len(text.encode(errors="replace")))
        return better

    def _learn(self, answers: Iterable[Told]) -> Iterable[Task]:
        """Of tasks that have ended: their errors, when they were fetched, what a call is called."""
        rows = [each._replace(answer=self._unlearned(each)) for each in answers]
        marks = self._watched.marks
        for task in recording_of(rows):
            old = marks.get(task.id)
            if old is None:
                continue
            if task.error:
                size = len(task.error.encode(errors="replace"))
                self._kept["errors"].add(task.id, task.error, size)
            marks[task.id] = replace(task, parent=task.parent or old.parent)
            yield marks[task.id]

    def _unlearned(self, told: Told) -> list[tuple[Any, ...]]:
        found = []
        for row in map(TaskRow._make, told.answer or ()):
            key = (told.address, row.caller[0])
            is_all = row.fetched is not None or bool(row.failure)
            is_known = self._learned.get(key, False) or (key in self._learned and not is_all)
            if is_known or not row.stamps or not (is_all or row.call):
                continue
            if not self._watched.has_seen(*key):  # else it would be remembered for nothing
                continue
            self._learned[key] = is_all
            found.append(tuple(row))
        return found

    def take(self) -> dict[str, list[list[Any]]]:
        """What has changed since this was asked last, for a frame."""
        return {what: kept.take() for what, kept in self._kept.items()}

    def whole(self) -> dict[str, list[list[Any]]]:
        """All there is, for a page that comes late."""
        return {what: kept.whole() for what, kept in self._kept.items()}


def numbers_of(task: Task, begin: int) -> list[Any]:
    """What is told of one task, as ``telling.js`` reads it.

    Returns:
        Its parent's id or its owner's number, ms from ``begin`` to when it was submitted, bytes of
        its arguments, number of its inputs, attempt, and what the call is called, "" if as its
        function.  If it has ended, also ns from submitted to the end, bytes of its result and ns
        of each of the :data:`PARTS`.
    """
    submitted = round((task.stamps["submitted"] - begin) / 1e6, 3)
    inputs = len(task.needs) + task.unnamed
    known = [task.parent or task.owner, submitted, task.bytes_in, inputs, task.attempt, task.call]
    if task.ran:
        known += [task.total_ns, task.bytes_out, *(task.part_ns(part) for part in PARTS)]
    return known
