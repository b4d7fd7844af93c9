"""A recorded run on 1 to 64 workers, replayed: where it would flatten.

How fast it is, is told against all tasks one after the other without any overhead (the work), as
no local run is known.  The replay for as many workers as there were is held against the recording
itself, so one sees how far to trust the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from textwrap import wrap
from typing import Any

from paralab_profiling.palette import RUN
from paralab_profiling.paths import span_ns, work_ns
from paralab_profiling.picture import Picture, save_result
from paralab_profiling.recording import Recording, expect_recording
from paralab_profiling.scaling.model import flat_from
from paralab_profiling.scaling.plots import LogPlot
from paralab_profiling.scaling.replay import WORKERS, Replay, replays
from paralab_profiling.svg import SOFT, Drawing, duration, percent, three_digits

SAME = 0.0005
"""Share of a time that is no difference."""
BOX = (60.0, 60.0, 590.0, 296.0)


@dataclass(frozen=True, repr=False)
class WhatIf:
    """Replays of one recording; times in seconds.

    Attributes:
        replays: by number of workers, in order.
        workers: how many there were.
        measured: what the recorded run took.
        work, span: of its tasks, see ``paths.py``.
        tasks: how many ran.
    """

    replays: tuple[Replay, ...]
    workers: int
    measured: float
    work: float
    span: float
    tasks: int

    @property
    def seconds(self) -> Mapping[int, float]:
        """What each number of workers takes, replayed."""
        return {each.workers: each.seconds for each in self.replays}

    @property
    def gains(self) -> Mapping[int, float]:
        """Work ÷ time by number of workers."""
        return {at: self.work / max(seconds, 1e-9) for at, seconds in self.seconds.items()}

    @property
    def off(self) -> float:
        """How much longer the replay takes than the recorded run: 0.03 is 3 % too long."""
        return self.seconds[self.workers] / self.measured - 1 if self.measured else 0.0

    @property
    def title(self) -> str:
        """The finding."""
        if not self.tasks:
            return "No task has been recorded"
        flat = flat_from(self.gains)
        if flat is None:
            return f"It would still grow at {max(self.seconds)} workers"
        if flat <= self.workers:
            return f"More than {self.workers} workers would hardly help"
        return f"It would flatten near {flat} workers, at {duration(self.seconds[flat])}"

    @property
    def note(self) -> str:
        """How it was found."""
        if not self.tasks:
            return "run something with paralab first"
        off = f"{percent(abs(self.off))} {'longer' if self.off > 0 else 'shorter'}"
        off = off if abs(self.off) >= SAME else "the same"
        return (
            f"{self.tasks:,} tasks, {duration(self.measured)} on {self.workers} measured once;"
            f" replayed with the measured overheads, there {off}"
        )

    @cached_property
    def picture(self) -> Picture:
        """Work ÷ time against the number of workers."""
        drawing = Drawing()
        drawing.headline(self.title, self.note)
        drawing.height = 56
        if self.tasks:
            self._draw(drawing)
        head = ("workers", "replayed", "work ÷ time", "efficiency")
        rows = [
            (f"{at}", duration(seconds), three_digits(gain), percent(gain / at))
            for (at, seconds), gain in zip(self.seconds.items(), self.gains.values(), strict=True)
            if self.tasks
        ]
        svg = drawing.finish(self.title, self.note)
        return Picture(self.title, repr(self), svg, head, rows, drawing.id)

    def _draw(self, drawing: Drawing) -> None:
        gains = self.gains
        last = max(gains)
        now = self.work / max(self.measured, 1e-9)
        plot = LogPlot(drawing, (1, last), (min(1.0, now, *gains.values()), last), BOX)
        plot.grid([(2.0**n, f"{2**n}") for n in range(last.bit_length())], "workers")
        plot.curve([(1, 1), (last, last)], "ideal", SOFT, dash="5 4", width=1.2)
        path = self.work / self.span if self.span else 0.0
        if path and plot.is_inside(path):
            plot.bound(path, f"critical path: {three_digits(path)}")
        plot.curve(list(gains.items()), "replayed", RUN.colour, width=2.4)
        words = f"measured {duration(self.measured)}"
        x, y = plot.dot(self.workers, now, now, now, RUN.colour, words)
        drawing.text(x + 10, y + 20 if y + 24 < plot.bottom else y - 14, words, "b")
        plot.end_labels()
        drawing.text(16, 350, f"Work {duration(self.work)}: 1 × is all of it, one by one.", "s")
        drawing.height = 362

    def __repr__(self) -> str:
        lines = [self.title, *wrap(self.note, 80)]
        if self.tasks:
            lines += ["", f"{'workers':>7}  {'replayed':>9}  {'work ÷ time':>11}"]
            lines += [
                f"{at:>7}  {duration(seconds):>9}  {three_digits(self.gains[at]):>11}"
                for at, seconds in self.seconds.items()
            ]
            lines += ["", f"Work {duration(self.work)}, critical path {duration(self.span)}."]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.picture._repr_mimebundle_()

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data; times in seconds."""
        return {
            "title": self.title,
            "tasks": self.tasks,
            "workers": self.workers,
            "measured_seconds": self.measured,
            "work_seconds": self.work,
            "span_seconds": self.span,
            "replayed_seconds": {str(at): seconds for at, seconds in self.seconds.items()},
        }

    def save(self, path: str | Path) -> Path:
        """Writes figures (``.json``), a page (``.html``) or the picture (``.svg``).

        Raises:
            ValueError: another ending.
            OSError: the file cannot be written.
        """
        return save_result(path, self.to_dict(), [self.picture])


def what_if(recording: Recording, workers: Iterable[int] = WORKERS) -> WhatIf:
    """Replays a recording on other numbers of workers.

    Args:
        recording: from ``take``, or loaded from a file; take a piece of it with ``between``.
        workers: how many, each at least 1.

    Raises:
        ValueError: fewer than one worker.
        TypeError: it is no recording.
    """
    expect_recording(recording, "what_if")
    ran = replace(recording, tasks=tuple(task for task in recording if task.ran))
    begin, end = ran.span_ns
    return WhatIf(
        replays(ran, sorted({*workers, recording.workers})),
        recording.workers,
        (end - begin) / 1e9,
        work_ns(ran) / 1e9,
        span_ns(ran) / 1e9,
        len(ran),
    )
