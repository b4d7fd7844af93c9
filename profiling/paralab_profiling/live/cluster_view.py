"""The cluster in a notebook, kept up to date, with a button to end an actor."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from paralab.engine import Engine
from paralab_profiling.live.cluster import (
    ClusterState,
    Facts,
    ask_facts,
    kill_actor,
    state_of,
)
from paralab_profiling.live.watcher import Watcher
from paralab_profiling.live.widgets import new_widget, show

BESIDE_SECONDS = 2.0
"""How old the picture beside the widget gets."""


class ClusterView:
    """What :func:`cluster` shows in a notebook.

    Attributes:
        state: what is known now.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.RLock()  # the watcher's thread, and the cell's
        self._facts = ask_facts(engine)
        self.state: ClusterState = state_of(self._facts)
        self._closed = False
        own = files("paralab_profiling.live").joinpath("cluster.js").read_text("utf-8")
        self._widget = new_widget(own, _frame(self.state))
        self._widget.on_msg(self._answer)
        self._beside = 0.0
        self._watcher = Watcher(engine, ask_facts, self._hear, self._end)
        self._shown = show(self._widget)
        self._place = show(self.state)
        self._watcher.start()

    def __repr__(self) -> str:
        return repr(self.state)

    def _ipython_display_(self) -> None:
        """It is shown already, where it was made."""

    def close(self) -> ClusterState:
        """Ends it; the last picture stays.  May be called twice."""
        self._watcher.stop()
        self._end()
        return self.state

    def _hear(self, facts: Facts) -> None:
        """In the watcher's thread."""
        with self._lock:
            self.state = state_of(facts, self._facts)
            self._facts = facts
            self._widget.frame = _frame(self.state)
            if time.monotonic() - self._beside > BESIDE_SECONDS:
                self._beside = time.monotonic()
                self._place.update(self.state)

    def _answer(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Somebody pressed a button."""
        if isinstance(content, dict) and any(
            each.actor == content.get("kill") for each in self.state.processes if each.actor
        ):
            kill_actor(self._engine, content["kill"])

    def _end(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._widget.close()
                # A saved widget would show an error where its kernel is gone.
                self._shown.update({"text/plain": ""}, raw=True)
                self._place.update(self.state)


def _frame(state: ClusterState) -> dict[str, Any]:
    """What the page is told: it is small, so it is told whole."""
    return asdict(state) | {"title": state.title, "note": state.note}
