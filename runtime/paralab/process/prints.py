"""What tasks print: from ``sys.stdout`` of a worker to the driver's terminal or cell.

    worker: print() ──▶ PrintStream ──PRINTED──▶ driver (or RELAY_PRINT ──▶ node ──▶ driver)
    worker: C code, child processes ──▶ pipe ──▶ node ──▶ driver
    driver: PrintedLines ──▶ "(name pid=123) text" on the driver's own stream

Lines go out as they come, before the reply of the task that wrote them.  A line that several
tasks print is shown once and then counted, so that a thousand tasks do not fill a page.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Any

MAX_PENDING = 1 << 16
"""Characters of an unfinished line that are held back at most."""
SHOWN_REPEATS = 1
CONTROL = dict.fromkeys(
    [code for code in range(32) if code not in (9, 10, 13, 27)] + [127], "\N{REPLACEMENT CHARACTER}"
)


class PrintStream(io.TextIOBase):
    """Stands for ``sys.stdout`` or ``sys.stderr`` in a worker.

    Args:
        stream: "stdout" or "stderr".
        descriptor: what ``fileno()`` tells, the pipe to the node.
        post: is given whole lines; called by any thread.
    """

    def __init__(self, stream: str, descriptor: int, post: Callable[[str, str], None]) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._post = post
        self._pending = threading.local()
        self.unfinished = False
        """Some thread may have an unfinished line."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What the characters would be written in."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """How characters that cannot be written are treated."""
        return "backslashreplace"

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor that C code and child processes write to."""
        return self._descriptor

    def write(self, text: str) -> int:
        """Takes text; each whole line is on its way when this returns."""
        if type(text) is not str:
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        pending = getattr(self._pending, "text", "") + text
        end = pending.rfind("\n") + 1
        if end:
            self._post(self._stream, pending[:end])
            pending = pending[end:]
        if len(pending) > MAX_PENDING:
            self._post(self._stream, pending + "\n")
            pending = ""
        self._pending.text = pending
        self.unfinished = True
        return len(text)

    def finish(self) -> None:
        """Sends an unfinished line of this thread, at the end of a task."""
        pending = getattr(self._pending, "text", "")
        if pending:
            self._pending.text = ""
            self._post(self._stream, pending + "\n")


class PrintedLines:
    """Shows in the driver what its tasks print.

    Args:
        show: whether to show anything (``log_to_driver``).
        streams: gives the file for "stdout" or "stderr"; by default what ``sys`` has now.
    """

    def __init__(self, show: bool, streams: Callable[[str], Any] | None = None) -> None:
        self._show = show
        self._streams = streams or (lambda stream: getattr(sys, stream))
        self._last = ("", "", "")
        self._repeats = 0
        self._pids: set[int] = set()

    def __call__(self, name: str, pid: int, stream: str, text: str) -> None:
        """Shows lines; called by one thread at a time."""
        if not self._show:
            return
        shown = []
        for raw in text.splitlines():
            line = raw.translate(CONTROL)
            if (name, stream, line) == self._last and pid:
                self._repeats += 1
                self._pids.add(pid)
                continue
            shown += self._count()
            self._last = (name, stream, line)
            label = f"({name} pid={pid}) " if name else f"(pid={pid}) " if pid else ""
            shown.append(label + line + "\n")
        if shown:
            self._write(stream, "".join(shown))

    def _count(self) -> list[str]:
        """The note about repeats of the last line, if there were any."""
        if not self._repeats:
            return []
        name = self._last[0]
        where = "1 process" if len(self._pids) == 1 else f"{len(self._pids)} processes"
        note = f"({name}) [the line above came {self._repeats} more times, from {where}]\n"
        self._repeats = 0
        self._pids.clear()
        return [note]

    def finish(self) -> None:
        """Tells of repeats that were counted last."""
        note = self._count()
        if note:
            self._write(self._last[1], note[0])
            self._last = ("", "", "")

    def _write(self, stream: str, text: str) -> None:
        target = self._streams(stream)
        if target is None:  # pythonw, a closed terminal
            return
        try:
            target.write(text)
            target.flush()
        except (OSError, ValueError):
            pass  # the driver has closed its stream: there is nowhere to show it
