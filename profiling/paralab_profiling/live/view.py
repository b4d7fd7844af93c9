"""A live view in a notebook: a widget for as long as tasks run, and a picture that stays.

What the page knows it was told by frames (``frames.py``, ``overhead.py``), which come from the
watcher's thread while the cell is blocked in ``get``; selecting asks nobody, it is all in
``live.js`` and ``interact.js``.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

import paralab
from paralab.engine import Engine, Survey, current, installed
from paralab_profiling.breakdown.drawing import overhead
from paralab_profiling.graph.drawing import task_graph
from paralab_profiling.live.frames import Frames
from paralab_profiling.live.overhead import OverheadFrames
from paralab_profiling.live.place import Place
from paralab_profiling.live.progress import progress_picture
from paralab_profiling.live.telling import More, Telling
from paralab_profiling.live.watched import Watched
from paralab_profiling.live.watcher import Watcher, ask_news
from paralab_profiling.picture import Picture
from paralab_profiling.taking import take
from paralab_profiling.timelines.drawing import timeline

LAST = {"timeline": timeline, "graph": task_graph, "overhead": overhead}
"""What stays, by kind; of the others their figures."""
KINDS = (*LAST, "progress")
MANY_ROWS, FEW_ROWS = 2_000, 500
"""Tasks that a process tells of at a time: all, if they are to be seen, else enough for means."""
WHOLE_SECONDS, AT_ONCE = 2.0, 2_000
"""How often all is sent that is known, and up to how many marks; of more less often.  A page that
was slow to begin has missed frames, and the kernel cannot hear it ask while a cell is in ``get``.
"""


def live(kind: str = "timeline") -> LiveView:
    """Shows tasks in a notebook while they run.

    Use it for a block, ``with live("graph"): ...``, or leave it open, ``view = live()``; it closes
    when the block or the session ends, or with :meth:`LiveView.close`.  Then its picture stays.

    Args:
        kind: ``"timeline"``, ``"graph"``, ``"overhead"`` or ``"progress"``.

    Raises:
        ValueError: there is no such kind.
        ImportError: anywidget, ipywidgets or IPython is missing.
        SystemFailure: paralab is not running, see ``paralab.init``.
    """
    if kind not in KINDS:
        raise ValueError(f"live() shows {', '.join(KINDS)}; got {kind!r}.")
    return LiveView(kind)


class LiveView:
    """One view that is kept up to date; see :func:`live`.

    Attributes:
        watched: what is known so far.
        picture: what stays; None until it is closed.
    """

    def __init__(self, kind: str) -> None:
        engine = current()
        self._kind = kind
        self._begin = self._whole_at = time.monotonic_ns()
        self.watched = Watched(self._begin)
        self.picture: Picture | None = None
        self._telling = Telling(self.watched) if kind in ("timeline", "graph") else None
        self._frames: Frames | OverheadFrames = Frames(self.watched, telling=self._telling)
        if kind == "overhead":
            workers = paralab.cluster_resources().get("CPU", 1)
            self._frames = OverheadFrames(self.watched, max(1, int(workers)))
        self.watched.hear(ask_news(engine).told)
        self._place = Place(kind, self._whole, self._figures)
        self._watcher = Watcher(engine, self._look, self._hear, self._end)
        self._watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<live {self._kind}: {'closed' if self.picture else 'open'}>"

    @property
    def sent(self) -> int:
        """How many times the page was told of changes."""
        return self._place.sent

    def close(self) -> Picture:
        """Ends it and returns its picture, which stays on the page.  May be called twice."""
        self._watcher.stop()
        self._end()
        assert self.picture is not None
        return self.picture

    def _look(self, engine: Engine) -> tuple[Survey, More | None]:
        """In the watcher's thread, as is what follows."""
        if self._telling is None:
            return ask_news(engine, FEW_ROWS), None
        news = ask_news(engine, MANY_ROWS)
        return news, self._telling.ask(engine, time.monotonic(), MANY_ROWS)

    def _hear(self, found: tuple[Survey, More | None]) -> None:
        survey, more = found
        with self._place.lock:
            changed, now = self.watched.hear(survey.told), time.monotonic_ns()
            if self._telling is not None:
                self._telling.note(changed)
                if more is not None:
                    changed += self._telling.hear(more)
            pause = WHOLE_SECONDS * max(1.0, len(self.watched.marks) / AT_ONCE)
            frame = self._frames.next(changed, now)
            if frame["n"] and now - self._whole_at >= pause * 1e9:
                frame = self._whole()
            self._place.send(frame)

    def _whole(self) -> dict[str, Any]:
        self._whole_at = time.monotonic_ns()
        return self._frames.whole(self._whole_at)

    def _end(self) -> None:
        with self._place.lock:
            if self.picture is None:
                self.picture = self._last()
                self._place.close(self.picture)

    def _figures(self) -> Picture:
        """How far the functions are: it says something else than the widget above it."""
        seconds = (time.monotonic_ns() - self._begin) / 1e9
        return progress_picture(self.watched.counts, seconds)

    def _last(self) -> Picture:
        """What stays: the view of this name if the session can still be asked, else figures."""
        if not is_running():
            return self._figures()
        self.watched.hear(ask_news(current()).told)
        if self._kind in LAST:
            recording = take().between(self._begin, time.monotonic_ns())
            if recording.tasks:
                return LAST[self._kind](recording)
        return self._figures()


def is_running() -> bool:
    """Whether there is a session that can be asked."""
    return installed() is not None
