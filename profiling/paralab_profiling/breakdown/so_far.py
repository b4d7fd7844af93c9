"""Where the time goes while tasks still run: sums that grow, on one axis of time.

What a task did is known when it has ended, and only of those that were heard of.  So the parts of
a function are the mean of these times the number of all that have ended, which is exact where all
were heard of.  Waiting in line is left out: of 1,000 tasks that were submitted at once it would
hide the rest.  A task that stands in ``get`` counts as running; the picture that stays, which
knows the waits, takes them out (``parts.py``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from paralab.shown_text import shown_name
from paralab_profiling.breakdown.drawing import COLOURS, LONGEST_NAME
from paralab_profiling.picture import Picture
from paralab_profiling.recording import Task
from paralab_profiling.svg import SOFT, Drawing, duration, nice_end, percent

SPANS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "pickle + submit": (("submitted", "packed"),),
    "transfer + unpickle": (("sent", "received"), ("taken", "loaded")),
    "run": (("loaded", "ended"),),
    "store": (("ended", "stored"),),
    "fetch": (("stored", "returned"),),
}
"""The parts and the stamps between which they lie, as in ``drawing.JOINED`` without waiting."""
ON_WORKER = {
    "run": ("loaded", "ended"),
    "unpickle": ("taken", "loaded"),
    "store": SPANS["store"][0],
}
UNDER_WAY, REST = "still running", "idle, or not yet told"
LEFT, RIGHT = 206.0, 672.0
ROW, STEP = 22.0, 30.0
MOST_DRAWN = 8


@dataclass
class SoFar:
    """Sums over the tasks that have ended; each is added once.

    Attributes:
        workers: how many tasks could run at once.
        heard: how many of each function were added.
        parts: ns by function and part.
        at_work: ns by what workers did.
        is_nested: whether a task was submitted by another one.
        free: when a worker was done with the last of them, ns, by its number.
    """

    workers: int
    heard: Counter[str] = field(default_factory=Counter)
    parts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    at_work: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    is_nested: bool = False
    free: dict[int, int] = field(default_factory=dict)

    def add(self, tasks: Iterable[Task]) -> None:
        """Takes in those that ran to their end; others will come again when they have."""
        for task in tasks:
            if not task.ran:
                continue
            self.heard[task.name] += 1
            self.free[task.worker] = max(self.free.get(task.worker, 0), task.stamps["stored"])
            self.is_nested = self.is_nested or task.parent is not None
            for part, spans in SPANS.items():
                self.parts[task.name][part] += sum(_between(task, *span) for span in spans)
            for part, span in ON_WORKER.items():
                self.at_work[task.name][part] += _between(task, *span)

    def rows(self, ended: Mapping[str, int]) -> dict[str, dict[str, float]]:
        """Ns by function and part, those with most time first.

        Args:
            ended: how many of each function have ended, heard of or not.
        """
        found = {
            name: {part: ns * self._factor(name, ended) for part, ns in parts.items()}
            for name, parts in self.parts.items()
        }
        return dict(sorted(found.items(), key=lambda row: -sum(row[1].values())))

    def workers_time(
        self, ended: Mapping[str, int], wall_ns: float, running_ns: float
    ) -> dict[str, float]:
        """What wall time × workers went to, in ns, as far as that is known.

        Args:
            ended: how many of each function have ended.
            wall_ns: since the beginning.
            running_ns: how long those that run have been running, together.
        """
        sums: Counter[str] = Counter()
        for name, parts in self.at_work.items():
            for part, ns in parts.items():
                sums[part] += round(ns * self._factor(name, ended))
        found = {"run": sums["run"], UNDER_WAY: running_ns}
        found |= {part: sums[part] for part in ("unpickle", "store")}
        # Actors that need no CPU run beside the workers.
        found[REST] = max(0.0, wall_ns * self.workers - sum(found.values()))
        return found

    def _factor(self, name: str, ended: Mapping[str, int]) -> float:
        """Of each task that was heard of so many have ended."""
        heard = self.heard[name]
        return max(ended.get(name, 0), heard) / heard


def _between(task: Task, start: str, end: str) -> int:
    return max(0, task.stamps[end] - task.stamps[start])


def draw(so_far: SoFar, ended: Mapping[str, int], wall_ns: float, running_ns: float) -> Picture:
    """The picture of it; for the arguments see :meth:`SoFar.workers_time`."""
    rows = so_far.rows(ended)
    together = so_far.workers_time(ended, wall_ns, running_ns)
    total = sum(together.values()) or 1.0
    own = (together["run"] + running_ns) / total
    title = f"Your functions had {percent(own)} of the workers' time so far"
    note = _note(so_far, ended)
    drawing = Drawing()
    drawing.headline(title, note)
    shown = list(rows.items())[:MOST_DRAWN]
    seconds = nice_end(max([total, *(sum(parts.values()) for _, parts in shown)]) / 1e9)
    bottom = 84 + STEP * (len(shown) + 1) + (16 if len(rows) > MOST_DRAWN else 0)
    drawing.axis(seconds, LEFT, RIGHT, 56, bottom)
    y = 66.0
    for name, parts in shown:
        drawing.text(16, y + 15, shown_name(name, LONGEST_NAME - 4), "m b")
        drawing.text(LEFT - 8, y + 15, f"× {ended.get(name, 0):,}", "s e")
        _bar(drawing, y, parts, seconds, name)
        y += STEP
    if len(rows) > MOST_DRAWN:
        drawing.text(LEFT, y + 6, f"+ {len(rows) - MOST_DRAWN:,} functions, in the table", "s")
        y += 16
    drawing.text(16, y + 15, "workers", "m b")
    drawing.text(LEFT - 8, y + 15, f"{so_far.workers:,} × {duration(wall_ns / 1e9)}", "s e")
    _bar(drawing, y, together, seconds, "all workers")
    _legend(drawing, bottom + 34)
    drawing.height = bottom + 50
    head = ("function", "ended", *SPANS, "together")
    table = [
        (name, f"{ended.get(name, 0):,}", *(duration(parts[part] / 1e9) for part in SPANS),
         duration(sum(parts.values()) / 1e9))
        for name, parts in list(rows.items())[:60]
    ]  # fmt: skip
    words = "; ".join(f"{part} {duration(ns / 1e9)}" for part, ns in together.items() if ns)
    told = [note, *(_line(row) for row in table[:MOST_DRAWN]), f"workers: {words}"]
    lines = [title, *(line for each in told for line in wrap(each, 80, subsequent_indent="    "))]
    svg = drawing.finish(title, note)
    return Picture(title, "\n".join(lines), svg, head, table, drawing.id)


def _note(so_far: SoFar, ended: Mapping[str, int]) -> str:
    count, heard = sum(ended.values()), so_far.heard.total()
    tasks = "task that has" if count == 1 else "tasks that have"
    words = f"sums over {count:,} {tasks} ended, waiting in line left out"
    if heard < count:
        words = f"{count:,} tasks have ended; parts: of {heard:,} of them, times their number"
    return f"{words}; standing in get counts as running" if so_far.is_nested else words


def _bar(
    drawing: Drawing, y: float, parts: Mapping[str, float], seconds: float, whose: str
) -> None:
    x = LEFT
    for part, ns in parts.items():
        width = ns / 1e9 / seconds * (RIGHT - LEFT)
        if not ns:
            continue
        fill = COLOURS["run"] if part == UNDER_WAY else _colour(part)
        is_rest = part == REST
        drawing.box(
            *(x, y, max(0.6, width - 1), ROW, fill),
            stroke=SOFT if is_rest else "",
            is_dashed=is_rest,
            is_pale=part == UNDER_WAY,
            tip=f"{whose}, {part}: {duration(ns / 1e9)}",
        )
        label = duration(ns / 1e9)
        if width > 6.4 * len(label) + 6:
            style = "c" if is_rest or part == UNDER_WAY else "c on"
            drawing.text(x + width / 2, y + 15, label, style)
        x += width
    if REST not in parts:
        drawing.text(x + 6, y + 15, duration(sum(parts.values()) / 1e9), "b")


def _colour(part: str) -> str:
    return (
        "none" if part == REST else COLOURS["transfer + unpickle" if part == "unpickle" else part]
    )


def _legend(drawing: Drawing, y: float) -> None:
    x = 16.0
    for name in (*SPANS, UNDER_WAY, REST):
        is_rest = name == REST
        fill = COLOURS["run"] if name == UNDER_WAY else _colour(name)
        drawing.box(
            *(x, y, 10, 10, fill),
            stroke=SOFT if is_rest else "",
            is_dashed=is_rest,
            is_pale=name == UNDER_WAY,
        )
        drawing.text(x + 15, y + 9, name, "s")
        x += 15 + 5.9 * len(name) + 14


def _line(row: Sequence[str]) -> str:
    name, ended, *parts = row
    told = ", ".join(f"{part} {took}" for part, took in zip(SPANS, parts, strict=False))
    return f"{shown_name(name, LONGEST_NAME)} × {ended}: {told}"
