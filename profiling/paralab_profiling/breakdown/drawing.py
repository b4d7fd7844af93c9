"""Where one task's time goes, by function, and where the workers' time went: stacked bars.

Neighbouring parts share a colour and a name ("pickle + submit", "transfer + unpickle").  What was
waiting in line is pale; where it would leave no room for the rest it is cut, which a gap shows,
and its label still tells how long it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

from paralab.shown_text import shown_name
from paralab_profiling.breakdown.parts import (
    UNACCOUNTED,
    Batching,
    FunctionParts,
    WorkerTime,
    batching,
    function_parts,
    worker_time,
)
from paralab_profiling.palette import FETCH, RUN, STORE, SUBMIT, TRANSFER
from paralab_profiling.picture import Picture
from paralab_profiling.recording import PARTS, Recording, expect_recording
from paralab_profiling.svg import IDLE, INK, SOFT, Drawing, duration, percent

JOINED: Mapping[str, tuple[str, ...]] = {
    "pickle + submit": ("pickle", "submit"),
    "queue": ("queue",),
    "transfer + unpickle": ("transfer", "unpickle"),
    "run": ("run",),
    "store": ("store",),
    "fetch": ("fetch",),
}
COLOURS = {
    "pickle + submit": SUBMIT.colour,
    "queue": IDLE,
    "transfer + unpickle": TRANSFER.colour,
    "run": RUN.colour,
    "store": STORE.colour,
    "fetch": FETCH.colour,
}
RIGHT = 672.0
ROW, STEP = 22.0, 30.0
MOST_DRAWN = 6
"""Functions drawn; the table has more."""
MOST_ROWS = 60
LONGEST_NAME = 22
LONGEST_IN_WORDS = 40
LONGEST_IN_TABLE = 200
TEXT_BAR = 44
_LETTERS = {"pickle + submit": "s", "queue": "·", "transfer + unpickle": "t", "run": "█",
            "store": "o", "fetch": "f", UNACCOUNTED: "?", "idle": " "}  # fmt: skip
CUT_FROM, CUT_TO = 0.6, 0.4
"""Waiting that is more than the first share of a bar is drawn as the second."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a bar.

    Attributes:
        name: of the part, or the neighbours.
        ns: how long.
        waiting: it was waiting in line.
        width: share of the bar, 0 to 1.
        cut: it is drawn shorter than it was.
    """

    name: str
    ns: float
    waiting: bool
    width: float
    cut: bool = False


def segments(row: FunctionParts) -> list[Segment]:
    """The bar of one function: what is waiting stands apart, and is cut where it is most of it."""
    found: list[tuple[str, float, bool]] = []
    for name, parts in JOINED.items():
        waited = sum(row.waiting.get(part, 0.0) for part in parts)
        found.append((name, sum(row.parts[part] for part in parts) - waited, False))
        found.append((name, waited, True))
    found.append((UNACCOUNTED, row.unaccounted_ns, False))
    found = [piece for piece in found if piece[1] >= 0.5]
    waiting = sum(ns for _, ns, is_wait in found if is_wait)
    worked = row.total_ns - waiting
    is_cut = waiting > CUT_FROM * row.total_ns and worked > 0
    pieces = []
    for name, ns, is_wait in found:
        if not is_cut:
            width = ns / row.total_ns
        elif is_wait:
            width = CUT_TO * ns / waiting
        else:
            width = (1 - CUT_TO) * ns / worked
        pieces.append(Segment(name, ns, is_wait, width, is_cut and is_wait))
    return pieces


def overhead(recording: Recording) -> Picture:
    """Where one task's time goes, by function, and what the workers' time went to.

    Args:
        recording: from :func:`paralab_profiling.take`, or a file.

    Raises:
        TypeError: it is something else.
    """
    expect_recording(recording, "overhead")
    rows, spent = function_parts(recording), worker_time(recording)
    better = batching(recording, spent)
    title, note = _finding(spent), _note(recording, rows)
    advice = advice_on(better) if rows else []
    drawing = Drawing()
    drawing.headline(title, note)
    left = left_of(rows)
    if rows:
        drawing.text(16, 68, "one task, from .remote() to get()", "s b")
    y = 78.0
    for row in rows[:MOST_DRAWN]:
        drawing.text(16, y + 15, shown_name(row.name, LONGEST_NAME), "m b")
        drawing.text(left - 8, y + 15, f"× {row.count:,}", "s e")
        _draw_bar(
            drawing,
            left,
            y,
            [(s, f"{shown_name(row.name, LONGEST_IN_WORDS)}, {_told(s)}") for s in segments(row)],
        )
        drawing.text(744, y + 15, duration(row.total_ns / 1e9), "b e")
        y += STEP
    if len(rows) > MOST_DRAWN:
        drawing.text(left, y + 6, f"+ {len(rows) - MOST_DRAWN:,} more functions, in the table", "s")
        y += 20
    run = run_segments(spent)
    if rows:
        drawing.text(16, y + 10, _times(spent), "s b")
        y += 20
        drawing.text(16, y + 15, "together", "m b")
        _draw_bar(drawing, left, y, [(each, f"all workers, {_told(each)}") for each in run])
        drawing.text(744, y + 15, duration(spent.total_ns / 1e9), "b e")
        _draw_legend(drawing, y + STEP + 6)
        y += STEP + 54
    for line in advice:
        drawing.text(16, y, line, "b" if line is advice[0] else "s")
        y += 17
    drawing.height = y
    words = [line for each in advice for line in wrap(each, 80)]
    text = "\n".join([title, *wrap(note, 80), *_text(rows, run, spent), *words])
    picture = drawing.finish(title, " ".join([f"{note}.", *advice]))
    head = ("function", "tasks", *PARTS, UNACCOUNTED, "idle", "total")
    return Picture(title, text, picture, head, _table(rows, spent), drawing.id)


def left_of(rows: Sequence[FunctionParts]) -> float:
    """Where the bars begin: right of the longest name and its count."""
    longest = max([len(row.name) for row in rows[:MOST_DRAWN]], default=0)
    return 70.0 + 7.2 * max(len("together"), min(longest, LONGEST_NAME))


def run_segments(spent: WorkerTime) -> list[Segment]:
    """The bar of the whole run."""
    found = [(name, sum(map(spent.part_ns, parts))) for name, parts in JOINED.items()]
    # Run first: here the parts of many tasks are together, and no order in time is meant.
    found.sort(key=lambda piece: piece[0] != "run")
    found += [(UNACCOUNTED, spent.part_ns(UNACCOUNTED)), ("idle", spent.idle_ns)]
    total = spent.total_ns
    return [
        Segment(name, ns, name in ("queue", "idle"), ns / total) for name, ns in found if ns >= 0.5
    ]


def advice_on(better: Batching | None) -> list[str]:
    """What batches would bring, and what that rests on, as lines."""
    if better is None:
        return ["No function loses much to overhead that larger tasks would save."]
    now = f"{shown_name(better.name, LONGEST_IN_WORDS)} is {percent(better.share)} your code."
    run, lost = duration(better.run_ns / 1e9), duration(better.overhead_ns / 1e9)
    then = f"about {better.per_batch} per batch would bring that to {percent(better.share_then)}."
    rests_on = f"if the {lost} of overhead for a task do not grow with its size"
    return [f"{now} At {run} a task, {then}", f"Predicted, {rests_on}. explain() says more."]


def _finding(spent: WorkerTime) -> str:
    if not spent.parts:
        return "No task has ended yet"
    lost = {name: sum(map(spent.part_ns, parts)) for name, parts in JOINED.items() if name != "run"}
    lost |= {"idle time": spent.idle_ns, "unaccounted time": spent.part_ns(UNACCOUNTED)}
    most = max(lost, key=lambda name: lost[name])
    title = f"Your functions had {percent(spent.run_share)} of the workers' time"
    share = lost[most] / spent.total_ns
    return f"{title}, {most} {percent(share)}" if share >= 0.01 else title


def _note(recording: Recording, rows: Sequence[FunctionParts]) -> str:
    count = sum(row.count for row in rows)
    words = [f"{count:,} tasks; each bar: mean of the middle half of the tasks, its parts add up"]
    if not rows:
        words = ["none has ended"]
    if any(segment.cut for row in rows[:MOST_DRAWN] for segment in segments(row)):
        words.append("// : a wait that is drawn shorter")
    unended = len(recording) - count
    if unended:
        words.append(f"{unended:,} unfinished, not in it")
    if recording.dropped:
        words.append(f"{recording.dropped:,} forgotten")
    if recording.silent:
        words.append(f"{recording.silent} processes silent")
    return "; ".join(words)


def _times(spent: WorkerTime) -> str:
    wall = duration(spent.wall_ns / 1e9)
    words = f"all workers: {spent.workers} × {wall}"
    beside = spent.total_ns - spent.workers * spent.wall_ns
    if beside > 0.005 * spent.total_ns:
        words += f", and {duration(beside / 1e9)} of calls that ran beside them"
    return words


def _told(segment: Segment) -> str:
    waits = " (waiting in line)" if segment.waiting and segment.name != "idle" else ""
    return f"{segment.name}{waits}: {duration(segment.ns / 1e9)}"


def _draw_bar(
    drawing: Drawing, left: float, y: float, pieces: Sequence[tuple[Segment, str]]
) -> None:
    x = left
    for segment, tip in pieces:
        width = segment.width * (RIGHT - left)
        is_own = segment.name in COLOURS and segment.name != "queue"
        fill = COLOURS.get(segment.name, drawing.hatch if segment.name != "idle" else "none")
        drawing.box(
            *(x, y, max(0.6, width - 1), ROW),
            fill=fill,
            stroke="" if is_own else SOFT,
            is_dashed=segment.name == "idle",
            is_pale=is_own and segment.waiting,
            tip=tip,
        )
        label = duration(segment.ns / 1e9)
        if width > 6.4 * len(label) + (18 if segment.cut else 6) and segment.name != UNACCOUNTED:
            style = "c on" if is_own and not segment.waiting else "c"
            drawing.text(x + (width - 10 * segment.cut) / 2, y + 15, label, style)
        if segment.cut and width > 8:
            _draw_cut(drawing, x + width - 8, y)
        x += width


def _draw_cut(drawing: Drawing, x: float, y: float) -> None:
    """Two slanted strokes: here a piece is left out."""
    drawing.raw(
        f'<path d="M{x:.1f} {y + ROW + 3:.1f}l4 -{ROW + 6:.0f}" stroke="var(--paper)"'
        ' stroke-width="5" fill="none"/>'
        f'<path d="M{x - 2.5:.1f} {y + ROW + 3:.1f}l4 -{ROW + 6:.0f}m5 0l-4 {ROW + 6:.0f}"'
        f' stroke="{INK}" stroke-width="1" fill="none"/>'
    )


def _draw_legend(drawing: Drawing, y: float) -> None:
    x = 16.0
    for name in (*JOINED, UNACCOUNTED, "idle"):
        own = name in COLOURS and name != "queue"
        fill = COLOURS.get(name, drawing.hatch if name != "idle" else "none")
        drawing.box(
            *(x, y, 10, 10), fill=fill, stroke="" if own else SOFT, is_dashed=name == "idle"
        )
        drawing.text(x + 15, y + 9, name, "s")
        x += 15 + 6.1 * len(name) + 16
    drawing.text(16, y + 25, "pale: waiting, in the worker's queue or until get() is called", "s")


def _text(rows: Sequence[FunctionParts], run: Sequence[Segment], spent: WorkerTime) -> list[str]:
    if not rows:
        return []
    lines = ["one task, from .remote() to get():"]
    for row in rows[:MOST_DRAWN]:
        lines.append(_text_bar(shown_name(row.name, LONGEST_NAME), segments(row), row.total_ns))
        lines += _wrapped([_told(segment) for segment in segments(row)])
    lines.append(f"{_times(spent)}:")
    lines.append(_text_bar("together", run, spent.total_ns))
    lines += _wrapped([_told(segment) for segment in run])
    names = ", ".join(
        f"{_LETTERS[name]} {name}" for name in _LETTERS if name not in ("idle", "run")
    )
    return [*lines, *wrap(f"bars: █ run, {names}", 80, subsequent_indent="  ")]


def _text_bar(name: str, pieces: Sequence[Segment], total_ns: float) -> str:
    cells, reached = "", 0.0
    for piece in pieces:
        reached += piece.width
        cells += _LETTERS[piece.name] * (round(reached * TEXT_BAR) - len(cells))
    return f"  {name:<{LONGEST_NAME}}|{cells:<{TEXT_BAR}}| {duration(total_ns / 1e9)}"


def _wrapped(words: Sequence[str]) -> list[str]:
    """Words joined by ``; `` in lines of at most 80 columns."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 72:
            lines.append("")
        lines[-1] += f"; {word}" if lines[-1] else word
    return [f"    {line}" for line in lines if line]


def _table(rows: Sequence[FunctionParts], spent: WorkerTime) -> list[tuple[str, ...]]:
    def told(ns: float) -> str:
        return duration(ns / 1e9)

    table = [
        (shown_name(row.name, LONGEST_IN_TABLE), f"{row.count:,}",
         *(told(row.parts[part]) for part in PARTS),
         told(row.unaccounted_ns), "", told(row.total_ns))
        for row in rows[:MOST_ROWS]
    ]  # fmt: skip
    if len(rows) > MOST_ROWS:
        table.append((f"+ {len(rows) - MOST_ROWS:,} more", *[""] * (len(PARTS) + 4)))
    tasks = sum(row.count for row in rows)
    parts = [told(spent.part_ns(part)) for part in (*PARTS, UNACCOUNTED)]
    last = ("all workers", f"{tasks:,}", *parts, told(spent.idle_ns), told(spent.total_ns))
    return [*table, last]
