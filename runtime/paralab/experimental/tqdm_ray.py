"""Progress of tasks and actors: ``for x in tqdm(range(n)): ...``, in any process.

A bar of a worker cannot move in the driver's terminal, where other processes print too.  So
each bar prints a line of its own when it has gone on for a while, and one at its end; the line
shows under the cell or in the terminal like everything that a task prints.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

_WIDTH = 30


def safe_print(*args: Any, **kwargs: Any) -> None:
    """``print``; lines of bars and of programs do not get into each other's way."""
    print(*args, **kwargs)  # noqa: T201


class tqdm:  # noqa: N801 - the name that everybody knows
    """A progress bar.

    Args:
        iterable: what is iterated over, if this is to count by itself.
        desc: text before the bar.
        total: how many steps there are; by default the length of ``iterable``.
        unit: what a step is called.
        position: Ray's row of the bar; here every bar has lines of its own.
        flush_interval_s: seconds between two lines, 5 by default.
    """

    DEFAULT_FLUSH_INTERVAL_SECONDS = 5.0

    def __init__(
        self,
        iterable: Iterable[Any] | None = None,
        desc: str | None = None,
        total: int | None = None,
        unit: str | None = None,
        position: int | None = None,
        flush_interval_s: float | None = None,
    ) -> None:
        if total is None and hasattr(iterable, "__len__"):
            total = len(iterable)  # type: ignore[arg-type]
        self._iterable = iterable
        self._desc = desc or ""
        self._total = total
        self._unit = unit or "it"
        self.position = position or 0
        default = self.DEFAULT_FLUSH_INTERVAL_SECONDS
        self._every = default if flush_interval_s is None else flush_interval_s
        self._count = 0
        self._started = self._shown = time.monotonic()
        self._closed = False

    @property
    def n(self) -> int:
        """Steps done."""
        return self._count

    @property
    def total(self) -> int | None:
        """Steps there are, if that is known."""
        return self._total

    @total.setter
    def total(self, total: int | None) -> None:
        self._total = total

    def set_description(self, desc: str) -> None:
        """Sets the text before the bar."""
        self._desc = desc

    def update(self, n: int = 1) -> None:
        """Goes on by ``n`` steps."""
        self._count += n
        if time.monotonic() - self._shown >= self._every:
            self.refresh()

    def refresh(self) -> None:
        """Prints how far it is."""
        self._shown = time.monotonic()
        sys.stderr.write(self._line() + "\n")

    def close(self) -> None:
        """Prints how far it has come; later calls do nothing."""
        if not self._closed:
            self._closed = True
            self.refresh()

    def _line(self) -> str:
        seconds = time.monotonic() - self._started
        rate = f"{self._count / seconds:,.1f} {self._unit}/s" if seconds > 0 else ""
        start = f"{self._desc}: " if self._desc else ""
        if not self._total:
            return f"{start}{self._count}{self._unit} [{seconds:.0f} s, {rate}]"
        share = min(1.0, self._count / self._total)
        bar = "█" * round(share * _WIDTH)
        return (
            f"{start}{share:4.0%}|{bar:<{_WIDTH}}| {self._count}/{self._total} "
            f"[{seconds:.0f} s, {rate}]"
        )

    def __iter__(self) -> Iterator[Any]:
        if self._iterable is None:
            raise ValueError("This progress bar was made without an iterable: call update().")
        for item in self._iterable:
            yield item
            self.update()
        self.close()
