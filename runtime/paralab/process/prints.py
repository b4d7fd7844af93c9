"""What tasks print: from ``sys.stdout`` of a worker to the driver's terminal or cell.

    worker: print() ──▶ PrintStream ──PRINTED──▶ driver (or RELAY_PRINT ──▶ node ──▶ driver)
    worker: C code, child processes ──▶ pipe ──▶ node ──▶ driver
    driver: PrintedLines ──▶ "(name pid=123) text" on the driver's own stream

A line is on its way when ``print`` returns, so it comes before the reply of the task that wrote
it, and a process that is killed right after it loses none.  A line that several processes print is
shown once and then counted, so that a hundred actors do not fill a page; after some seconds, and
in the next notebook cell, it is shown again.  What one process alone repeats is all shown.

What is printed may hold anything; it is shown as text (``shown_text``).  Colours are kept and end
with their line; every other control character is shown as a replacement character.
"""

from __future__ import annotations

import codecs
import io
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from paralab.bar_lines import without_bars
from paralab.shown_text import shown_name, shown_text

MAX_PENDING = 1 << 16
"""Characters of an unfinished line that are held back at most."""
RECENT_LINES = 1_000
FOLD_SECONDS = 5.0
"""A repeat that comes so long after its line was shown is shown again."""


class PrintStream(io.TextIOBase):
    """Stands for ``sys.stdout`` or ``sys.stderr`` in a worker.

    Args:
        stream: "stdout" or "stderr".
        descriptor: what ``fileno()`` tells, the pipe to the node.
        post: is given whole lines; called by any thread.
        note: is given every piece as it is written.
    """

    def __init__(
        self,
        stream: str,
        descriptor: int,
        post: Callable[[str, str], None],
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._post = post
        self._note = note
        self._pending = threading.local()
        self._buffer: _Bytes | None = None
        self.shown_as = ""
        """The name before lines that are printed now, where it is another than the task's."""
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

    @property
    def buffer(self) -> io.BufferedIOBase:
        """For those who write bytes."""
        if self._buffer is None:
            self._buffer = _Bytes(self)
        return self._buffer

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor that C code and child processes write to."""
        return self._descriptor

    def write(self, text: str) -> int:
        """Takes text; each whole line is on its way when this returns."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._note is not None:
            self._note(text)
        pending = getattr(self._pending, "text", "") + text
        end = pending.rfind("\n") + 1
        if not end and len(pending) > MAX_PENDING:
            pending += "\n"
            end = len(pending)
        # Before it is posted: an error there must not make it come twice.
        self._pending.text = pending[end:]
        self.unfinished = True
        if end:
            self._post(self._stream, pending[:end])
        return len(text)

    def finish(self) -> None:
        """Sends an unfinished line of this thread, at the end of a task."""
        pending = getattr(self._pending, "text", "")
        if pending:
            self._pending.text = ""
            self._post(self._stream, pending + "\n")

    def forked(self, post: Callable[[str, str], None]) -> None:
        """In a child that the user forked: its lines go another way."""
        self._post = post
        self._note = None
        self._pending = threading.local()  # the parent will write these


class _Bytes(io.BufferedIOBase):
    """The binary side of a :class:`PrintStream`."""

    def __init__(self, text: PrintStream) -> None:
        self._text = text
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor of the text stream."""
        return self._text.fileno()

    def write(self, data: Any) -> int:
        """Takes bytes, decoded as UTF-8."""
        taken = bytes(data)
        self._text.write(self._decoder.decode(taken))
        return len(taken)


def harmless(text: str) -> str:
    """One line as it may be shown: colours kept, and ended; other control characters replaced."""
    if text.isprintable():
        return text
    text = text.removesuffix("\r")
    return shown_text(text[text.rfind("\r") + 1 :])  # a progress bar: what it said last


class PrintedLines:
    """Shows in the driver what its tasks print.

    Args:
        show: whether to show anything (``log_to_driver``).
        fold: whether to count repeats instead of showing them.
        streams: gives the file for "stdout" or "stderr"; by default what ``sys`` has now.
        clock: in seconds.
    """

    def __init__(
        self,
        show: bool,
        streams: Callable[[str], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        fold: bool = True,
    ) -> None:
        self._show = show
        self._fold = fold
        self._clock = clock
        self._lock = threading.RLock()  # whoever leads the engine, and the end of a cell
        self._shown_at = 0.0
        self._streams = streams or (lambda stream: getattr(sys, stream))
        self._last = ("", "", "")
        """Name, stream and text of the line that was shown last."""
        self._repeats = 0
        self._held = ""
        """Its last repeat as it would be shown, which it is if there is no other."""
        self.recent: deque[tuple[int, str, Any]] = deque(maxlen=RECENT_LINES)
        """The last lines: the process that printed it, its text, its task's owner and key."""
        self._pids: set[int] = set()
        """Who has printed that line, first and again."""

    def __call__(self, name: str, pid: int, stream: str, text: str, of: Any = None) -> None:
        """Shows lines; called by any thread."""
        if self._show:
            with self._lock:
                text = without_bars(name, pid, text)
                if text:
                    self._show_lines(name, pid, stream, text, of)

    def _show_lines(self, name: str, pid: int, stream: str, text: str, of: Any) -> None:
        name = shown_name(name)
        kind = name.rpartition(" [")[0] or name  # without the items that one call has
        label = f"({name} pid={pid}) " if name else f"(pid={pid}) " if pid else ""
        shown: list[str] = []
        now = self._clock()
        for raw in text.removesuffix("\n").split("\n"):
            line = harmless(raw)
            self.recent.append((pid, line[:200], of))
            is_repeat = (kind, stream, line) == self._last and now - self._shown_at < FOLD_SECONDS
            if is_repeat and pid and self._fold:
                self._pids.add(pid)
                if len(self._pids) > 1:
                    self._repeats += 1
                    self._held = f"{label}{line}\n"
                    continue
            if self._repeats:
                self._write(stream, "".join(shown))
                shown.clear()
                self.finish()
            if not is_repeat:
                self._pids = {pid}
            self._last = (kind, stream, line)
            self._shown_at = now
            shown.append(f"{label}{line}\n")
        self._write(stream, "".join(shown))

    def finish(self) -> None:
        """Tells of repeats that were counted last; what comes next is shown in any case."""
        with self._lock:
            self._finish()

    def _finish(self) -> None:
        name, stream, _line = self._last
        self._last = ("", "", "")
        repeats, self._repeats = self._repeats, 0
        if repeats < 2:
            self._write(stream, self._held if repeats else "")
            return
        many = f"{repeats:,} more times; from {len(self._pids)} processes in all"
        self._write(stream, f"{f'({name}) ' if name else ''}[the line above came {many}]\n")

    def _write(self, stream: str, text: str) -> None:
        target = self._streams(stream) if text else None
        if target is None:  # pythonw, a closed terminal
            return
        try:
            _aim_at_current_cell(target)
            target.write(text)
            target.flush()
        except UnicodeEncodeError:
            encoding = getattr(target, "encoding", None) or "ascii"
            self._write(stream, text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError):
            pass  # the driver has closed its stream: there is nowhere to show it


def _aim_at_current_cell(target: Any) -> None:
    """Has a notebook show what comes under the cell that runs now, or ran last.

    Some releases of ipykernel (6.22 to 6.30) show what a thread prints under the cell that
    started the thread, which for the engine's is the one that called ``init``.
    """
    if not hasattr(target, "_thread_to_parent"):
        return
    if threading.current_thread() is not threading.main_thread():
        shell = notebook_shell()
        if shell is not None and hasattr(shell, "get_parent"):
            target.set_parent(shell.get_parent())


def notebook_shell() -> Any:
    """IPython's shell where this process is a notebook's kernel or an IPython terminal."""
    ipython = sys.modules.get("IPython")  # never imported here
    return None if ipython is None else ipython.get_ipython()
