"""Progress bars of all processes, drawn in the driver at one place.

::

    worker: tqdm.update ──at most 10 a second──▶ a marked line among what tasks print
    driver: taken() ──▶ table of bars ──▶ thread "paralab-bars" draws, 10 times a second at most
                terminal   the last lines of the screen; what tasks print goes above them
                notebook   one output under the cell, which is written over
                file       a line now and then, and one at the end of each bar

The table is told by lines and by the clock only, and what it says is text.  A bar whose process has
gone is closed where it stood; so is one whose session has ended.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from paralab.bar_lines import BAR_MARK
from paralab.engine import installed
from paralab.process.prints import notebook_shell
from paralab.shown_text import shown_name

TICK = 0.1
"""Seconds between two looks at the bars."""
FILE_SECONDS = 5.0
"""Seconds between two lines of a bar where nothing can be written over."""
MOST_BARS = 12
"""Bars that are drawn; of the others it is said how many there are."""
_WIDTH, _SHORTEST = 30, 5
_LONGEST = 60


@dataclass
class Bar:
    """What is known of one bar."""

    who: str
    """The task and process, as they stand before what is printed."""
    pid: int
    desc: str
    unit: str
    count: float
    total: float | None
    seconds: float
    """From its start to the last word of it."""
    closed: bool = False
    lost: bool = False
    """Its process or session has ended without closing it."""

    def line(self, columns: int = 99) -> str:
        """How far it is: "work: 37%|███████    | 37/100 [3 s, 12.0 it/s]".

        Args:
            columns: characters at most.
        """
        rate = f"{self.count / self.seconds:,.1f} {self.unit}/s" if self.seconds > 0 else ""
        start = f"{self.who}{self.desc}: " if self.desc else self.who
        end = f"[{self.seconds:.0f} s, {rate}]"
        if self.lost:
            end += " stopped: its process has ended"
        if not self.total:
            return f"{start}{self.count:g} {self.unit} {end}"[:columns]
        share = min(1.0, max(0.0, self.count / self.total))
        start, end = f"{start}{share:4.0%}|", f"| {self.count:g}/{self.total:g} {end}"
        width = max(_SHORTEST, min(_WIDTH, columns - len(start) - len(end)))
        return f"{start}{'█' * round(share * width):<{width}}{end}"[:columns]


def message(key: str, **facts: Any) -> str:
    """The line that tells the driver of a bar."""
    return BAR_MARK + json.dumps({"key": key, **facts}) + "\n"


class Bars:
    """The bars there are, by process and key: until they are closed and drawn."""

    def __init__(self, is_alive: Callable[[int], bool]) -> None:
        self.open: dict[tuple[int, str], Bar] = {}
        self._is_alive = is_alive

    def hear(self, name: str, pid: int, line: str) -> Bar | None:
        """Takes a marked line; the bar that it is about, None if it is none of ours."""
        try:
            told: Mapping[str, Any] = json.loads(line[len(BAR_MARK) :])
            label = f"({shown_name(name)} pid={pid}) " if name else f"(pid={pid}) " if pid else ""
            total = told["total"]
            bar = Bar(
                label,
                pid,
                shown_name(str(told["desc"]))[:_LONGEST],
                shown_name(str(told["unit"]))[:_LONGEST],
                float(told["n"]),
                None if total is None else float(total),
                float(told["seconds"]),
                bool(told["closed"]),
            )
            key = (pid, str(told["key"]))
        except (ValueError, TypeError, KeyError):
            return None
        if bar.closed:
            self.open.pop(key, None)
        else:
            self.open[key] = bar
        return bar

    def lose(self, everything: bool) -> list[Bar]:
        """Closes the bars of processes that have gone, or all."""
        gone = [key for key, bar in self.open.items() if everything or not self._is_alive(bar.pid)]
        lost = [self.open.pop(key) for key in gone]
        for bar in lost:
            bar.closed = bar.lost = True
        return lost


class Display:
    """Draws bars where the driver's standard error goes.

    Args:
        bars: the table.
        stream: gives the file to write to.
        clock: in seconds.
        publish: in a notebook, shows a text in place of the one before; None elsewhere.
    """

    def __init__(
        self,
        bars: Bars,
        stream: Callable[[], Any] = lambda: sys.stderr,
        clock: Callable[[], float] = time.monotonic,
        publish: Callable[[str, bool], None] | None = None,
    ) -> None:
        self.bars = bars
        self._stream = stream
        self._clock = clock
        self._publish = publish
        self._drawn = 0
        """Lines of the terminal that are ours."""
        self._closed: list[Bar] = []
        """Closed and not yet drawn; in a notebook, of this output."""
        self._new = True
        """The next text in a notebook is an output of its own."""
        self._said_at = clock()
        self._lock = threading.RLock()

    def close(self, bars: Iterable[Bar]) -> None:
        """These have ended."""
        with self._lock:
            self._closed += bars

    def clear(self) -> None:
        """Takes the bars off the screen, as other lines are to be written."""
        with self._lock:
            if self._drawn:
                self._write(f"\x1b[{self._drawn}F\x1b[J")
                self._drawn = 0

    def draw(self) -> None:
        """Shows how far the bars are."""
        with self._lock:
            columns = _columns(self._stream())
            lines = [bar.line(columns) for bar in self.bars.open.values()]
            if len(lines) > MOST_BARS:
                lines[MOST_BARS:] = [f"and {len(lines) - MOST_BARS:,} more bars"]
            ended = [bar.line(columns) for bar in self._closed]
            if self._publish is not None:
                self._publish("\n".join([*ended[-MOST_BARS:], *lines]), self._new)
                self._new = not lines
                if self._new:
                    self._closed.clear()
                return
            self._closed.clear()
            if getattr(self._stream(), "isatty", bool)():
                self.clear()
                self._write("".join(f"{line}\n" for line in [*ended, *lines]))
                self._drawn = len(lines)
                return
            if self._clock() - self._said_at >= FILE_SECONDS:
                self._said_at = self._clock()
                ended += lines
            self._write("".join(f"{line}\n" for line in ended))

    def _write(self, text: str) -> None:
        stream = self._stream()
        if stream is None or not text:
            return
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            pass  # the driver has closed it


def _columns(stream: Any) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns - 1
    except (AttributeError, OSError, ValueError):
        return 99


def _is_alive(pid: int) -> bool:
    if not pid:
        return True  # the driver itself
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class _Shown:
    """The driver's display, and the thread that draws."""

    display: Display | None = None
    thread: threading.Thread | None = None
    lock = threading.RLock()


def taken(name: str, pid: int, text: str) -> str:
    """Takes the lines about bars out of what a process has printed; what is left of it."""
    lines = text.splitlines(keepends=True)
    rest = "".join(line for line in lines if not line.startswith(BAR_MARK))
    with _Shown.lock:
        display = _Shown.display
        if display is None:
            display = _Shown.display = Display(Bars(_is_alive), publish=_publisher())
        heard = [display.bars.hear(name, pid, e) for e in lines if e.startswith(BAR_MARK)]
        display.close(bar for bar in heard if bar is not None and bar.closed)
        if rest:
            display.clear()
        if heard and _Shown.thread is None:
            _Shown.thread = threading.Thread(target=_serve, name="paralab-bars", daemon=True)
            _Shown.thread.start()
    return rest


def clear() -> None:
    """Takes the bars off the screen until they are drawn again."""
    with _Shown.lock:
        if _Shown.display is not None:
            _Shown.display.clear()


def _serve() -> None:
    """Draws until no bar is left."""
    engine = installed()
    while True:
        time.sleep(TICK)
        with _Shown.lock:
            display = _Shown.display
            assert display is not None
            display.close(display.bars.lose(installed() is not engine))
            display.draw()
            if not display.bars.open:
                _Shown.thread = None
                return


def _publisher() -> Callable[[str, bool], None] | None:
    if notebook_shell() is None or not hasattr(notebook_shell(), "kernel"):
        return None
    from IPython.display import display, update_display

    handle = "paralab-bars"
    number = 0

    def publish(text: str, is_new: bool) -> None:
        nonlocal number
        number += is_new
        show = display if is_new else update_display
        show({"text/plain": text}, raw=True, display_id=f"{handle}-{os.getpid()}-{number}")

    return publish
