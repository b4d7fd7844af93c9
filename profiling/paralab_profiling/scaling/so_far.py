"""A speed-up while it is measured: every finished run is a dot, what remains is said.

Runs of one size stand on one axis of time, local above remote.  The factor is that of the medians
so far; intervals come with the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from paralab.shown_text import shown_name
from paralab_profiling.palette import RUN
from paralab_profiling.picture import Picture
from paralab_profiling.svg import IDLE, INK, Drawing, duration, escape, nice_end, three_digits

LEFT, RIGHT = 106.0, 600.0
TOP, STEP, HEIGHT = 62.0, 32.0, 24.0
LOCAL = 0
"""Stands for the local runs among numbers of workers."""
MOST_LINES = 8


@dataclass
class SpeedupSoFar:
    """Seconds of the runs that have ended.

    Attributes:
        name: of the function.
        numbers: of workers.
        repeats: how many runs there will be of each, and of the local one.
        sizes: how many sizes there will be.
        runs: seconds by number of workers, 0 for local; of each size that has begun, and its name.
    """

    name: str
    numbers: Sequence[int]
    repeats: int
    sizes: int = 1
    runs: list[tuple[int | None, dict[int, list[float]]]] = field(default_factory=list)

    def begin(self, size: int | None) -> None:
        """The runs that follow are of this size."""
        self.runs.append((size, {number: [] for number in (LOCAL, *self.numbers)}))

    def add(self, workers: int, seconds: float) -> None:
        """A run has ended."""
        self.runs[-1][1][workers].append(seconds)

    @property
    def done(self) -> int:
        """Runs of the size at hand that have ended."""
        return sum(map(len, self.runs[-1][1].values())) if self.runs else 0

    def remaining_seconds(self) -> float | None:
        """What the other runs of this size will take if they are as those before; None: unknown."""
        if not self.runs or not all(self.runs[-1][1].values()):
            return None
        return sum(
            median(seconds) * (self.repeats - len(seconds)) for seconds in self.runs[-1][1].values()
        )

    def finding(self, at: int = -1) -> str:
        """The factor of the most workers that have been measured, in words; "" if none has."""
        runs = self.runs[at][1] if self.runs else {}
        measured = [number for number in self.numbers if runs.get(number)]
        if not measured or not runs[LOCAL]:
            return ""
        most = measured[-1]
        gain = median(runs[LOCAL]) / max(median(runs[most]), 1e-9)
        return f"{three_digits(gain)} × as fast on {most} worker{'s' if most > 1 else ''}"

    def picture(self) -> Picture:
        """All of it, drawn."""
        found = self.finding()
        title = f"{found} so far" if found else "No run of both kinds has ended yet"
        note = self._note()
        drawing = Drawing()
        drawing.headline(title, note)
        runs = self.runs[-1][1] if self.runs else {}
        every = [seconds for of in runs.values() for seconds in of]
        end = nice_end(max(every, default=1.0))
        bottom = TOP + STEP * len(runs)
        drawing.axis(end, LEFT, RIGHT, TOP - 6, bottom)
        for row, (number, seconds) in enumerate(runs.items()):
            self._row(drawing, TOP + STEP * row, number, seconds, end)
        y = bottom + 34
        for line in self._earlier():
            drawing.text(16, y, line, "s")
            y += 16
        drawing.height = y
        head = ("runs", "done", "of", "median")
        rows = [
            (_of(number), f"{len(of)}", f"{self.repeats}", duration(median(of)) if of else "")
            for number, of in runs.items()
        ]
        lines = [title, note, *(f"{row[0]:<12} {row[1]} of {row[2]}  {row[3]}" for row in rows)]
        svg = drawing.finish(title, note)
        return Picture(title, "\n".join([*lines, *self._earlier()]), svg, head, rows, drawing.id)

    def _note(self) -> str:
        whole = self.repeats * (len(self.numbers) + 1)
        size = self.runs[-1][0] if self.runs else None
        words = f"{shown_name(self.name, 30)}: {self.done} of {whole} runs"
        words += "" if size is None else f" of size {size:,}"
        left = self.remaining_seconds()
        if left:
            words += f", about {duration(left)} to go"
        more = self.sizes - max(1, len(self.runs))
        return words + (f"; then {more} more size{'s' if more > 1 else ''}" if more else "")

    def _row(
        self, drawing: Drawing, y: float, number: int, seconds: Sequence[float], end: float
    ) -> None:
        drawing.text(LEFT - 10, y + HEIGHT / 2 + 4, _of(number), "e")
        drawing.raw('<g opacity=".55">')
        drawing.box(LEFT, y, RIGHT - LEFT, HEIGHT, IDLE, radius=3)
        drawing.raw("</g>")
        for at, taken in enumerate(seconds, start=1):
            tip = escape(f"{_of(number)}, run {at}: {duration(taken)}")
            drawing.raw(
                f'<circle class="run" cx="{_x(taken, end):.1f}" cy="{y + HEIGHT / 2:.1f}" r="5"'
                f' fill="{RUN.colour}" stroke="{INK}"><title>{tip}</title></circle>'
            )
        said = f"{len(seconds)} of {self.repeats}"
        if seconds:
            drawing.line(_x(median(seconds), end), y - 1, y + HEIGHT + 1, INK)
            drawing.text(RIGHT + 8, y + HEIGHT / 2 + 4, duration(median(seconds)), "b")
        drawing.text(744, y + HEIGHT / 2 + 4, said, "s e")

    def _earlier(self) -> list[str]:
        """What the sizes before have given."""
        lines = [
            f"size {size:,}: {self.finding(at)}"
            for at, (size, _runs) in enumerate(self.runs[:-1])
            if size is not None
        ]
        cut = len(lines) - MOST_LINES
        return [f"+ {cut:,} sizes before", *lines[cut:]] if cut > 0 else lines


def _of(number: int) -> str:
    return "local" if number == LOCAL else f"{number} worker{'s' if number > 1 else ''}"


def _x(seconds: float, end: float) -> float:
    return LEFT + (RIGHT - LEFT) * seconds / end
