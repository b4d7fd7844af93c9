"""Progress of tasks and actors: ``for x in tqdm(range(n)): ...``, in any process.

A bar of a worker cannot move in the driver's terminal, where other processes print too.  So a bar
tells the driver how far it is, at most ten times a second, and all bars are drawn there together:
see ``bars``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from paralab.experimental import bars
from paralab.process.prints import PrintStream


def safe_print(*args: Any, **kwargs: Any) -> None:
    """``print`` above the bars, in the driver; what tasks print is there by itself."""
    bars.clear()
    print(*args, **kwargs)  # noqa: T201


class tqdm:  # noqa: N801 - the name that everybody knows
    """A progress bar.

    Args:
        iterable: what is iterated over, if this is to count by itself.
        desc: text before the bar.
        total: how many steps there are; by default the length of ``iterable``.
        unit: what a step is called.
        position: Ray's row of the bar; here each has the next free row.
        flush_interval_s: seconds between two words to the driver, 0.1 by default.
    """

    DEFAULT_FLUSH_INTERVAL_SECONDS = 0.1

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
        self._started = self._told = time.monotonic()
        self._key = os.urandom(6).hex()
        self._closed = False
        self.refresh()

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
        if time.monotonic() - self._told >= self._every:
            self.refresh()

    def refresh(self) -> None:
        """Tells the driver how far it is."""
        now = self._told = time.monotonic()
        line = bars.message(
            self._key,
            desc=self._desc,
            unit=self._unit,
            n=self._count,
            total=self._total,
            seconds=now - self._started,
            closed=self._closed,
        )
        if isinstance(sys.stdout, PrintStream):
            sys.stdout._post("stdout", line)  # past a line that is unfinished
        else:  # in the driver
            bars.taken("", 0, line)

    def close(self) -> None:
        """Says that it has ended; later calls do nothing."""
        if not self._closed:
            self._closed = True
            self.refresh()

    def __del__(self) -> None:
        if hasattr(self, "_closed") and not sys.is_finalizing():
            self.close()

    def __iter__(self) -> Iterator[Any]:
        if self._iterable is None:
            raise ValueError("This progress bar was made without an iterable: call update().")
        try:
            for item in self._iterable:
                yield item
                self.update()
        finally:
            self.close()
