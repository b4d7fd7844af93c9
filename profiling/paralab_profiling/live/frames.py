"""What is sent to a page: differences, as plain data, small enough for ten a second."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paralab_profiling.live.telling import Telling, numbers_of
from paralab_profiling.live.watched import Count, Watched
from paralab_profiling.palette import NOTEBOOK, Palette
from paralab_profiling.recording import Task

MS = 1e6


class Frames:
    """Numbers the differences and remembers what the page knows.

    Args:
        watched: what they are taken from.
        telling: what is told of tasks that are selected; None if none can be.
        palette: gives the functions their colours.
    """

    def __init__(
        self, watched: Watched, palette: Palette = NOTEBOOK, telling: Telling | None = None
    ) -> None:
        self._watched = watched
        self._telling = telling
        self._palette = palette
        self._number = -1
        self._counts: dict[str, Count] = {}
        self._lanes: dict[int, str] = {}
        self._drivers: dict[int, str] = {}

    def next(self, changed: Iterable[Task], now: int) -> dict[str, Any]:
        """What has changed since the last frame.

        Args:
            changed: the marks that are new or changed.
            now: ns on the machine's monotonic clock.

        Returns:
            ``n``, number of the frame, 0 for the whole; ``now`` in ms since the beginning;
            ``lanes`` and ``drivers``: [number, name]; ``tasks``: [id, function, lane, start, end,
            state, what it takes, the rest (see ``numbers_of``)], times in ms, None for one that is
            not yet; ``gone``: ids of tasks; ``counts``: [function, colour, done, failed, running,
            waiting]; ``more``: how many tasks are not among the marks; ``errors``, ``prints`` and
            ``sources`` by task or function, see :class:`Telling`.
        """
        watched = self._watched
        self._number += 1
        counts = {
            name: count for name, count in watched.counts.items() if self._counts.get(name) != count
        }
        lanes = {at: name for at, name in watched.lanes.items() if at not in self._lanes}
        drivers = {at: n for at, n in watched.drivers.items() if self._drivers.get(at) != n}
        self._counts, self._lanes = dict(watched.counts), dict(watched.lanes)
        self._drivers = dict(watched.drivers)
        return {
            "n": self._number,
            "run": watched.session,
            "now": round((now - watched.begin) / MS, 1),
            "lanes": [[number, name] for number, name in lanes.items()],
            "drivers": [[number, name] for number, name in drivers.items()],
            "tasks": [self._task(task) for task in changed],
            "gone": watched.take_gone(),
            "counts": [
                [
                    *(name, self._palette.hue(name).colour),
                    *(count.done, count.failed, count.running, count.waiting),
                ]
                for name, count in counts.items()
            ],
            "more": max(0, watched.total.total - len(watched.marks)),
            **(self._telling.take() if self._telling else {}),
        }

    def whole(self, now: int) -> dict[str, Any]:
        """All that is known, for a page that comes late."""
        self._number, self._counts, self._lanes, self._drivers = -1, {}, {}, {}
        frame = self.next(list(self._watched.marks.values()), now)
        return frame | (self._telling.whole() if self._telling else {})

    def _task(self, task: Task) -> list[Any]:
        stamps = task.stamps
        # When it began to run is told with its end; until then it is when it was sent.
        start = stamps.get("loaded", stamps.get("sent"))
        return [
            *(task.id, task.name, task.worker or None),
            self._ms(start) if task.worker else None,
            self._ms(stamps.get("ended")),
            task.state,
            list(task.needs[:20]),
            numbers_of(task, self._watched.begin),
        ]

    def _ms(self, stamp: int | None) -> float | None:
        return None if stamp is None else round((stamp - self._watched.begin) / MS, 3)
