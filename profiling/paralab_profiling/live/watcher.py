"""The thread that asks a session again and again, without slowing it.

A survey costs every process that answers, the driver most, since it keeps most records.  So what
it costs is measured each time: the pause that follows is at least 19 times as long as the CPU time
of this thread, and 3 times as long as it took, which is mostly waiting for answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from paralab.engine import Engine, Survey, installed
from paralab.exceptions import SystemFailure

LEAST_SECONDS = 0.1
MOST_SECONDS = 3.0
CPU_TIMES, WALL_TIMES = 19, 3
PATIENCE = 1.0
"""Seconds that a process may take to answer; one whose GIL is held answers the next time."""


def pause_after(cpu: float, wall: float) -> float:
    """Seconds until the next look, after one that took so many seconds of CPU, and in all."""
    return min(MOST_SECONDS, max(LEAST_SECONDS, CPU_TIMES * cpu, WALL_TIMES * wall))


class Watcher:
    """Looks at the session in use until it ends or :meth:`stop` is called.

    Args:
        look: asks the engine for what is wanted.
        hear: is called with what ``look`` returned, from the watcher's thread.
        ended: is called once from the watcher's thread if the session has ended.
        clock, cpu_clock: in seconds; the second of the watcher's own thread.
        first_pause: seconds before the first look.
    """

    def __init__(
        self,
        engine: Engine,
        look: Callable[[Engine], Any],
        hear: Callable[[Any], None],
        ended: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.thread_time,
        first_pause: float = 0.0,
    ) -> None:
        self._engine = engine
        self._look = look
        self._hear = hear
        self._ended = ended
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._first_pause = first_pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="paralab-watcher", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; returns when it has ended.  May be called twice, and by ``hear`` itself."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        pause = self._first_pause
        while not self._stopping.wait(pause):
            if installed() is not self._engine:
                self._ended()
                return
            before, cpu = self._clock(), self._cpu_clock()
            try:
                found = self._look(self._engine)
            except SystemFailure:  # it has ended meanwhile
                self._ended()
                return
            wall = self._clock() - before
            if self._stopping.is_set():
                return
            self._hear(found)
            pause = pause_after(self._cpu_clock() - cpu, wall)


def ask_news(engine: Engine, limit: int = 500) -> Survey:
    """What is new in all processes; at most so many rows of each (see ``state.told.news``)."""
    return engine.survey("news", limit, PATIENCE)
