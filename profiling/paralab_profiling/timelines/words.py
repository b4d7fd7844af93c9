"""The timeline in words, for a terminal and as a table: the same facts as in the drawing."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from paralab.shown_text import shown_name
from paralab_profiling.paths import critical_ns
from paralab_profiling.recording import Recording
from paralab_profiling.svg import duration, percent, three_digits
from paralab_profiling.timelines.lanes import Bar, Lane, Lanes
from paralab_profiling.timelines.spans import binned, length

COLUMNS = 80
NAME, CELLS = 16, 48
"""Columns of a lane's name and of the time axis in a terminal."""
MOST_ROWS = 60
"""Rows of the table under a picture."""
LONGEST = 32
"""Characters of a function's name where many stand."""
WORTH_TELLING = 0.05
"""What takes less than this part of the time is not in the note."""
_STEPS = " ▁▂▃▄▅▆▇█"


def shortened(name: str, most: int = LONGEST) -> str:
    """A name without the function that it was defined in, and with at most ``most`` characters."""
    return shown_name(name.rpartition("<locals>.")[2], most)


def lane_name(lane: Lane, most: int = 16) -> str:
    """The name of a lane, without what can be left out of it if it is too long."""
    name = shown_name(lane.name)
    if len(name) > most:
        name = name.removeprefix("actor ")
    if len(name) > most:
        start, _, end = name.rpartition(" ")
        room = most - len(end) - 2
        name = f"{start[:room]}… {end}" if room > 0 else shown_name(name, most)
    return name


def title_of(lanes: Lanes) -> str:
    """The finding."""
    if not lanes.ns:
        return "No task has been recorded"
    return f"{duration(lanes.ns / 1e9)}, {lanes.whose} {percent(lanes.share)} busy"


def note_of(lanes: Lanes) -> str:
    """What kept it, in one line."""
    found = []
    for lane in [lane for lane in lanes.lanes if lane.kind == "driver"][:1]:
        name, still, calls = lane_name(lane), length(lane.still), length(lane.calls)
        if still > WORTH_TELLING * lanes.ns:
            calls_of = {each.call for each in lane.blocked}
            where = f" in {' and '.join(sorted(calls_of))}" if "" not in calls_of else ""
            found.append(f"{name} blocked{where} {duration(still / 1e9)}")
        if calls > WORTH_TELLING * lanes.ns:
            found.append(f"{name} in .remote() and put {duration(calls / 1e9)}")
    if lanes.overhead > max(WORTH_TELLING, lanes.share / 2):
        found.append(f"{lanes.whose} {percent(lanes.overhead)} at work on overhead")
    gap = lanes.gap
    if gap is not None and gap.ns > WORTH_TELLING * lanes.ns:
        who, task = lane_name(gap.lane), shortened(gap.task.name, 24)
        found.append(f"{who} waits {duration(gap.ns / 1e9)} while one {task} runs")
    return "; ".join(found) or "time runs from the first submission"


def remarks_of(lanes: Lanes, recording: Recording) -> list[str]:
    """What the lanes do not show, in sentences; the first line is about the critical path."""
    found = []
    if len(lanes.path) > 1:
        work = critical_ns(recording)
        share = f"{duration(work / 1e9)} of {duration(lanes.ns / 1e9)}"
        found.append(f"critical path: {len(lanes.path):,} tasks run {share}")
    failed = sum(task.failed and task.ran for task in recording)
    never = sum(task.failed and not task.ran for task in recording)
    pending = sum(task.state not in ("done", "failed") for task in recording)
    counts = (
        (failed, "failed ✕"),
        (never, "failed without having run"),
        (pending, "not ended"),
        (recording.dropped, "tasks, puts and waits forgotten"),
        (recording.silent, "processes did not answer"),
    )
    return [*found, *(f"{count:,} {what}" for count, what in counts if count)]


def share_of(lane: Lane, ns: int) -> str:
    """The figure at the end of a lane."""
    if lane.kind == "driver" and not lane.bars:
        still, calls = length(lane.still), length(lane.calls)
        share, what = max(still, calls) / ns, "blocked" if still >= calls else "calling"
    else:
        share, what = length(lane.busy) / ns, "busy"
    return f"{'< 1 %' if 0 < share < 0.01 else percent(share)} {what}"


def path_words(lanes: Lanes) -> str:
    """The critical path with equal neighbours folded: "load → clean × 3 → merge"."""
    steps = [(name, len(list(of))) for name, of in groupby(lanes.path, lambda task: task.name)]
    shown = [shortened(name) + (f" × {count:,}" if count > 1 else "") for name, count in steps]
    if len(shown) > 8:
        shown = [*shown[:4], f"({len(shown) - 8:,} more)", *shown[-4:]]
    return " → ".join(shown)


def text_of(lanes: Lanes, recording: Recording) -> str:
    """The whole picture for a terminal, at most 80 columns."""
    lines = [*_wrapped(title_of(lanes)), *_wrapped(note_of(lanes), "  ")]
    if not lanes.ns:
        return "\n".join(lines)
    for lane in lanes.lanes:
        name = lane_name(lane)
        lines.append(f"{name:<{NAME}} {_cells(lane, lanes.ns)} {share_of(lane, lanes.ns)}")
    if lanes.left_out:
        lines.append(f"+ {lanes.left_out:,} more lanes, less busy")
    end = duration(lanes.ns / 1e9)
    lines.append(f"{'':<{NAME}} 0{end:>{CELLS - 1}}")
    lines.append("▁▄█ share in your functions  - overhead  ▒ .remote(), put  ░ blocked  · idle")
    lines += _wrapped("; ".join(remarks_of(lanes, recording)))
    if len(lanes.path) > 1:
        lines += _wrapped(path_words(lanes), "  ")
    return "\n".join(lines)


def table_of(lanes: Lanes) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Head and rows: each lane as a whole, then the longest tasks."""
    head = ("lane", "task", "start in ms", "run in ms", "before in ms", "store in ms", "state")
    rows: list[Sequence[str]] = [
        (lane_name(lane, LONGEST), f"all {len(lane.bars):,}", *_times(0, lanes.ns), "", "", words)
        for lane in lanes.lanes
        for words in [share_of(lane, lanes.ns)]
    ]
    bars = sorted(lanes.bars, key=lambda each: each[1].start - each[1].end)
    left = MOST_ROWS - len(rows)
    for at, bar in sorted(bars[:left], key=lambda each: each[1].start):
        times = _times(bar.start, bar.end - bar.start, bar.start - bar.begin, bar.stored - bar.end)
        name = f"{shortened(bar.task.full_name)} ({bar.task.id})"
        rows.append((lane_name(lanes.lanes[at], LONGEST), name, *times, state_of(bar)))
    if len(bars) > left:
        rows.append(("", f"+ {len(bars) - left:,} more, shorter", *[""] * 5))
    return head, rows


def state_of(bar: Bar) -> str:
    """How a task stands, and whether it waited for others."""
    waits = length(bar.waits)
    words = "failed ✕" if bar.task.failed else bar.task.state
    return f"{words}, waits {duration(waits / 1e9)}" if waits else words


def _times(*ns: int) -> Iterator[str]:
    return (three_digits(each / 1e6) for each in ns)


def _cells(lane: Lane, ns: int) -> str:
    """A lane as characters, each for an equal part of the time."""
    times = (lane.busy, lane.still, lane.calls, lane.overhead)
    parts = (binned(spans, ns, CELLS) for spans in times)
    return "".join(_cell(*shares) for shares in zip(*parts, strict=True))


def _cell(busy: float, still: float, calls: float, overhead: float) -> str:
    if overhead > max(busy, still):
        return "-"
    if busy and busy >= still:
        return _STEPS[min(8, max(1, round(busy * 8)))]
    if still or calls:
        return "░" if still >= calls else "▒"
    return "·"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(shown_name(text), COLUMNS, initial_indent=indent, subsequent_indent=indent)
