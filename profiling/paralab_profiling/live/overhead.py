"""What is sent of the parts of tasks: a drawing, made anew each time from sums that only grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paralab_profiling.breakdown.so_far import SoFar, draw
from paralab_profiling.live.place import drawn
from paralab_profiling.live.watched import FORGOTTEN, Watched
from paralab_profiling.picture import Picture
from paralab_profiling.recording import Task


class OverheadFrames:
    """Adds up what has ended.

    Args:
        watched: what is known.
        workers: how many tasks can run at once.
    """

    def __init__(self, watched: Watched, workers: int) -> None:
        self._watched = watched
        self._so_far = SoFar(workers)

    def next(self, changed: Iterable[Task], now: int) -> dict[str, Any]:
        """The frame after some marks have changed; ``now`` in ns."""
        self._so_far.add(changed)
        return self.whole(now)

    def whole(self, now: int) -> dict[str, Any]:
        """The frame of what is known."""
        return drawn(self.picture(now))

    def picture(self, now: int) -> Picture:
        """The same as a picture."""
        watched = self._watched
        ended = {
            name: count.done + count.failed
            for name, count in watched.counts.items()
            if name != FORGOTTEN
        }
        running = [task for task in watched.marks.values() if task.state == "running"]
        together = sum(max(0, now - self._began(task, now)) for task in running)
        return draw(self._so_far, ended, now - watched.begin, together)

    def _began(self, task: Task, now: int) -> int:
        """When a task began to run, at the earliest: it may have stood in its worker's queue."""
        before = self._so_far.free.get(task.worker, self._watched.begin)
        return max(before, task.stamps.get("sent", now))
