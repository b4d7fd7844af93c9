"""What was alive at the moment of a call's peak, by the stacks that took it: for Fil and memray.

Both watch every allocation of their process, and can do so for one call at a time.  What they say
becomes frames in bytes, so that profiles of many tasks merge and are drawn like all others: the
peaks of the tasks are added up, and the root's ``calls`` say of how many.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from paralab_profiling.profilers.result import Profile
from paralab_profiling.profilers.tools import ToolError
from paralab_profiling.profilers.tree import Tree, Where, without_inside

Stacks = Iterable[tuple[Sequence[Where], int]]
"""Functions from the task's own on, and the bytes that the last of them had taken."""


class Recorder(Protocol):
    """One way of watching all allocations of a process."""

    def start(self, folder: str) -> None:
        """Begins; ``folder`` is empty and for it alone."""

    def stop(self, folder: str) -> list[tuple[Sequence[Where], int]]:
        """Ends, and tells what was alive at the peak."""


class _Turn:
    """Who records in this process: one call at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def renew(self) -> None:
        """In a forked child nobody records, whoever did in its parent."""
        self.lock = threading.Lock()


_turn = _Turn()
os.register_at_fork(after_in_child=_turn.renew)


class AtPeak:
    """See :class:`paralab_profiling.profilers.tools.Collector`.

    Args:
        tool: its name.
        name: of the task.
        recorder: what watches.
    """

    def __init__(self, tool: str, name: str, recorder: Recorder) -> None:
        self._tool = tool
        self._root = Where(name or "this process", "", 0, "task")
        self._recorder = recorder
        self._tree = Tree()

    def begin(self) -> AtPeakSession:
        """A session for one call."""
        return AtPeakSession(self, self._tool, self._recorder)

    def add(self, stacks: Stacks) -> None:
        """A call is over."""
        self._tree.add([self._root], 0.0, 1)
        for path, size in stacks:
            self._tree.add([self._root, *without_inside(path)], float(size))

    def profile(self) -> Profile:
        """Everything that has ended."""
        return Profile(self._tool, "bytes", self._tree.frames())


class AtPeakSession:
    """See :class:`paralab_profiling.profilers.tools.Session`."""

    def __init__(self, of: AtPeak, tool: str, recorder: Recorder) -> None:
        self._of = of
        self._tool = tool
        self._recorder = recorder
        self._folder = ""
        self._stacks: list[tuple[Sequence[Where], int]] | None = None

    def start(self) -> None:
        """The call begins, or goes on."""
        if not _turn.lock.acquire(blocking=False):
            raise ToolError(f"{self._tool} can measure one call at a time in a process")
        try:
            self._folder = tempfile.mkdtemp(prefix="paralab-memory-")
            self._recorder.start(self._folder)
        except BaseException:
            self._leave()
            raise

    def stop(self) -> None:
        """It ends, or waits: of a generator's steps, the highest counts."""
        if not self._folder:
            return
        try:
            found = self._recorder.stop(self._folder)
        finally:
            self._leave()
        if self._stacks is None or _sum(found) > _sum(self._stacks):
            self._stacks = found

    def end(self) -> None:
        """It counts from now on."""
        self.stop()
        if self._stacks is not None:
            self._of.add(self._stacks)

    def _leave(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = ""
        _turn.lock.release()


def _sum(stacks: Iterable[tuple[Any, int]]) -> int:
    return sum(size for _, size in stacks)
