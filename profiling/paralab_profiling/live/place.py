"""A place on a notebook's page: a widget while something goes on, and a picture that stays.

The two are outputs of their own, because a saved widget without its kernel shows an error where
its picture could be.  The picture beside is what is saved while the widget is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from paralab_profiling.live.widgets import new_widget, show
from paralab_profiling.picture import Picture, interact_script

BESIDE_SECONDS = 2.0
"""How old the picture beside a widget gets."""


class Place:
    """Shows a widget and a picture.

    Args:
        kind: what ``live.js`` draws.
        whole: makes a frame that tells all, for the beginning and for a page that comes late.
        beside: makes the picture beside it; None for none.

    Attributes:
        lock: held while a frame is made and sent; frames come from threads.
        sent: how many times the page was told something since it began.

    Raises:
        ImportError: anywidget, ipywidgets or IPython is missing.
    """

    def __init__(
        self,
        kind: str,
        whole: Callable[[], dict[str, Any]],
        beside: Callable[[], Picture] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._whole, self._beside = whole, beside
        self._widget = new_widget(widget_module(), whole(), kind)
        self._widget.on_msg(self._answer)
        self._is_open = True
        self.sent = 0
        self._drawn_at = time.monotonic()
        self._shown = show(self._widget)
        self._picture = None if beside is None else show(beside())

    def send(self, frame: dict[str, Any]) -> None:
        """Tells the page what has changed; draws the picture beside it anew if it is old."""
        if not self._is_open:
            return
        self.sent += 1
        self._widget.frame = frame
        if self._beside and self._picture and time.monotonic() - self._drawn_at > BESIDE_SECONDS:
            self._drawn_at = time.monotonic()
            self._picture.update(self._beside())

    def close(self, picture: Picture | None) -> None:
        """Takes the widget off the page; ``picture`` stays, or nothing.  May be called twice."""
        with self.lock:
            if not self._is_open:
                return
            self._is_open = False
            self._widget.close()
            last = self._picture or self._shown
            if self._picture is not None or picture is None:
                # A saved widget would show an error where its kernel is gone.
                self._shown.update({}, raw=True)
            if picture is not None:
                last.update(picture)

    def _answer(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A page that came late asks for the whole."""
        with self.lock:
            if content == "whole" and self._is_open:
                self.send(self._whole())


def drawn(picture: Picture) -> dict[str, Any]:
    """A frame of what Python draws: always the whole."""
    details = {task: dict(facts) for task, facts in picture.details.items()}
    return {"n": 0, "run": picture.run, "svg": picture.svg, "facts": details}


@cache
def widget_module() -> str:
    """The widget's one ES module."""
    folder = files("paralab_profiling.live")
    names = ("marks.js", "telling.js", "graph.js", "live.js")
    parts = [folder.joinpath(name).read_text("utf-8") for name in names]
    return "\n".join([interact_script(), *parts])
