"""Showing a measurement while it is made: after each run, and during a run that takes long.

Nothing is drawn while time is taken, except in runs that last: these are looked at as any work is,
with a twentieth of one CPU at most (``watcher.py``).  When all is measured the widget goes, since
the result shows itself; what was measured until an error or an interrupt stays as a picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from paralab.engine import Engine, Survey, current
from paralab_profiling.live.place import Place, drawn
from paralab_profiling.live.watched import Watched
from paralab_profiling.live.watcher import LEAST_SECONDS, Watcher, ask_news
from paralab_profiling.live.widgets import has_widgets
from paralab_profiling.picture import Picture

LONG_SECONDS = 0.5
"""A run that takes longer is looked at; of a shorter one its end is soon enough."""


class Following:
    """What a measurement tells of its steps; see :func:`following`.

    Args:
        place: where it is shown, None if nowhere.
        draw: makes the picture of what is known.
        engine: the session in use.
    """

    def __init__(self, place: Place | None, draw: Callable[[], Picture], engine: Engine) -> None:
        self._place, self._draw, self._engine = place, draw, engine
        self._told = 0.0

    def tell(self) -> None:
        """Something has changed; drawn at most ten times a second."""
        now = time.monotonic()
        if self._place is not None and now - self._told >= LEAST_SECONDS:
            self._told = now
            with self._place.lock:
                self._place.send(drawn(self._draw()))

    @contextmanager
    def watching(self, take_in: Callable[[Watched], None]) -> Iterator[None]:
        """Has ``take_in`` called now and then with what is known of the tasks of the block."""
        if self._place is None:
            yield
            return
        watched = Watched(time.monotonic_ns())
        watched.hear(ask_news(self._engine).told)

        def hear(survey: Survey) -> None:
            watched.hear(survey.told)
            take_in(watched)
            self.tell()

        watcher = Watcher(self._engine, ask_news, hear, first_pause=LONG_SECONDS)
        watcher.start()
        try:
            yield
        finally:
            watcher.stop()


@contextmanager
def following(draw: Callable[[], Picture], live: bool | None) -> Iterator[Following]:
    """Shows what ``draw`` makes, in a notebook, for as long as the block takes.

    Args:
        draw: makes the picture of what is known.
        live: whether it is shown; None for wherever there are widgets.

    Raises:
        ImportError: it is to be shown, and anywidget, ipywidgets or IPython is missing.
    """
    is_live = has_widgets() if live is None else live
    place = Place("drawn", lambda: drawn(draw())) if is_live else None
    try:
        yield Following(place, draw, current())
    except BaseException:
        if place is not None:
            place.close(draw())
        raise
    if place is not None:
        place.close(None)
