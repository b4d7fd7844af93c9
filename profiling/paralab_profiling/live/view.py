"""A live view in a notebook: a widget for as long as tasks run, and a picture that stays.

The two are outputs of their own, because a saved widget without its kernel shows an error where
its picture could be.  What the page knows it was told by frames (``frames.py``), which come from
the watcher's thread while the cell is blocked in ``get``; selecting asks nobody, it is all in
``live.js`` and ``interact.js``.
"""

from __future__ import annotations

import threading
import time
from functools import cache
from importlib.resources import files
from types import TracebackType
from typing import Any, Self

from paralab.engine import Survey, current, installed
from paralab_profiling.graph.drawing import task_graph
from paralab_profiling.live.frames import Frames
from paralab_profiling.live.progress import progress_picture
from paralab_profiling.live.watched import Watched
from paralab_profiling.live.watcher import Watcher, ask_news
from paralab_profiling.live.widgets import new_widget, show
from paralab_profiling.picture import Picture, interact_script
from paralab_profiling.taking import take
from paralab_profiling.timelines.drawing import timeline

BESIDE_SECONDS = 2.0
"""How old the figures beside a widget get: they are what is saved while it runs."""
KINDS = ("timeline", "graph", "progress")


def live(kind: str = "timeline") -> LiveView:
    """Shows tasks in a notebook while they run.

    Use it for a block, ``with live("graph"): ...``, or leave it open, ``view = live()``; it closes
    when the block or the session ends, or with :meth:`LiveView.close`.  Then its picture stays.

    Args:
        kind: ``"timeline"``, ``"graph"`` or ``"progress"``.

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
        self._begin = time.monotonic_ns()
        self.watched = Watched(self._begin)
        self.picture: Picture | None = None
        self._frames = Frames(self.watched)
        self.watched.hear(ask_news(engine).told)
        self._widget = new_widget(widget_module(), self._frames.whole(self._begin), kind)
        self._widget.on_msg(self._answer)
        self._lock = threading.RLock()  # the watcher's thread, and the cell's
        self._beside = 0.0
        self._watcher = Watcher(engine, ask_news, self._hear, self._end)
        self._shown = show(self._widget)
        self._place = show(self._figures())
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

    def close(self) -> Picture:
        """Ends it and returns its picture, which stays on the page.  May be called twice."""
        self._watcher.stop()
        self._end()
        assert self.picture is not None
        return self.picture

    def _hear(self, survey: Survey) -> None:
        """In the watcher's thread."""
        with self._lock:
            changed = self.watched.hear(survey.told)
            self._widget.frame = self._frames.next(changed, time.monotonic_ns())
            if time.monotonic() - self._beside > BESIDE_SECONDS:
                self._beside = time.monotonic()
                self._place.update(self._figures())

    def _answer(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A page that came late asks for the whole."""
        with self._lock:
            if content == "whole" and self.picture is None:
                self._widget.frame = self._frames.whole(time.monotonic_ns())

    def _end(self) -> None:
        with self._lock:
            if self.picture is None:
                self.picture = self._last()
                self._widget.close()
                # A saved widget would show an error where its kernel is gone.
                self._shown.update({"text/plain": ""}, raw=True)
                self._place.update(self.picture)

    def _figures(self) -> Picture:
        return progress_picture(self.watched.counts, (time.monotonic_ns() - self._begin) / 1e9)

    def _last(self) -> Picture:
        """What stays: the view of this name if the session can still be asked, else figures."""
        if not is_running():
            return self._figures()
        self.watched.hear(ask_news(current()).told)
        if self._kind != "progress":
            recording = take().between(self._begin, time.monotonic_ns())
            if recording.tasks:
                return (task_graph if self._kind == "graph" else timeline)(recording)
        return self._figures()


def is_running() -> bool:
    """Whether there is a session that can be asked."""
    return installed() is not None


@cache
def widget_module() -> str:
    """The widget's one ES module."""
    own = files("paralab_profiling.live").joinpath("live.js").read_text("utf-8")
    return f"{interact_script()}\n{own}"
