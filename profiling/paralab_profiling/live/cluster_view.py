"""The cluster in a notebook, kept up to date; its buttons profile a process and end an actor.

A button of the page sends a message; what it names is compared with what the view shows before
anything is done.  A profile takes its seconds in a thread of its own, so that the table goes on,
and stands below it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from paralab.engine import Engine
from paralab_profiling.attaching.attach import attach
from paralab_profiling.live.cluster import (
    ClusterState,
    Facts,
    Process,
    ask_facts,
    kill_actor,
    state_of,
)
from paralab_profiling.live.watcher import Watcher
from paralab_profiling.live.widgets import new_widget, show

PROFILE_SECONDS = 5.0
"""How long a press of the button "profile" looks at a process."""
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
        self._looking = 0
        """Pid of the process that is profiled."""
        self._widget = new_widget(own, self._frame())
        self._widget.on_msg(self._answer)
        self._beside = 0.0
        self._watcher = Watcher(engine, ask_facts, self._hear, self._end)
        self._shown = show(self._widget)
        self._place = show(self.state)
        self._profile = show(_Said())
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
            self._widget.frame = self._frame()
            if time.monotonic() - self._beside > BESIDE_SECONDS:
                self._beside = time.monotonic()
                self._place.update(self.state)

    def _answer(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Somebody pressed a button."""
        if not isinstance(content, dict):
            return
        kill, pid = content.get("kill"), content.get("profile")
        for each in self.state.processes:
            if each.actor and each.actor == kill:
                kill_actor(self._engine, each.actor)
            elif each.pid == pid and not self._looking:
                self._tell_looking(each.pid)
                threading.Thread(target=self._look, args=(each,), daemon=True).start()

    def _look(self, process: Process) -> None:
        """In a thread of its own."""
        try:
            found: Any = attach(process.pid, PROFILE_SECONDS)
        except Exception as error:  # it has ended, say: told where the profile would stand
            found = _Said(f"No profile of {process.name}, pid {process.pid}: {error}")
        self._profile.update(found)
        self._tell_looking(0)

    def _tell_looking(self, pid: int) -> None:
        with self._lock:
            self._looking = pid
            if not self._closed:
                self._widget.frame = self._frame()

    def _frame(self) -> dict[str, Any]:
        """What the page is told: it is small, so it is told whole."""
        more = {"title": self.state.title, "note": self.state.note}
        return asdict(self.state) | more | {"looking": self._looking, "seconds": PROFILE_SECONDS}

    def _end(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._widget.close()
                # A saved widget would show an error where its kernel is gone.
                self._shown.update({"text/plain": ""}, raw=True)
                self._place.update(self.state)


class _Said:
    """A sentence as an output, which is text and never markup."""

    def __init__(self, text: str = "") -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
