"""What grows with every call: lines by bytes, or types by number, as bars.

The user's own lines are coloured, libraries pale, and paralab's stand apart and hatched, as in the
pictures of times.  A process that was watched twice, or told its figures several times, counts
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from paralab.shown_text import shown_name
from paralab_profiling.details import byte_count
from paralab_profiling.memory.chain_drawing import draw_into
from paralab_profiling.memory.chains import Chain, Step
from paralab_profiling.palette import RUN
from paralab_profiling.picture import Picture
from paralab_profiling.profilers.result import Profile, ProfileError
from paralab_profiling.profilers.words import cost, measured_on
from paralab_profiling.svg import IDLE, INK, LINE, Drawing, three_digits

LEFT, RIGHT = 250.0, 600.0
STEP, BAR, TOP = 26.0, 18.0, 62.0
MOST_BARS = 8
LEAST_BYTES, LEAST_OBJECTS = 128.0, 0.5
"""A call; less is what dicts and counters do."""
TEXT_BAR = 24


@dataclass(frozen=True, slots=True)
class Row:
    """One line, or one type.

    Attributes:
        name: "leak.py:12", or the type.
        kind: whose it is, as of frames: "yours", "library" or "runtime".
        size, count: bytes and number of objects that it has grown by.
        left, left_count: what was there after the first call.
    """

    name: str
    kind: str
    size: int
    count: int
    left: int
    left_count: int


@dataclass(frozen=True)
class Table:
    """What has grown in all processes.

    Attributes:
        rows: the largest growth first.
        intervals: calls from each first look to the last, added up.
        calls: that have ended.
        processes: how many were watched.
    """

    rows: tuple[Row, ...]
    intervals: int
    calls: int
    processes: int

    def per_call(self, row: Row, is_size: bool) -> float:
        """Growth of a row for each call; after a single one, what it left."""
        if not self.intervals:
            return row.left if is_size else 0
        return (row.size if is_size else row.count) / self.intervals


def table_of(told: Sequence[Any], is_size: bool) -> Table:
    """What processes have told, each counted once and newest.

    Raises:
        ProfileError: it is something else.
    """
    newest: dict[str, Any] = {}
    try:
        for each in told:
            token, calls = str(each[0]), int(each[1])
            if token not in newest or int(newest[token][1]) <= calls:
                newest[token] = each
        sums: dict[tuple[str, str], list[int]] = {}
        for _token, _calls, _intervals, rows, *_more in newest.values():
            for name, line, kind, *figures in rows:
                key = (f"{name}:{int(line)}" if line else str(name)), str(kind)
                known = sums.setdefault(key, [0, 0, 0, 0])
                for at, figure in enumerate(figures):
                    known[at] += int(figure)
    except (IndexError, TypeError, ValueError) as error:
        raise ProfileError(f"This profile is damaged: {error!r} is wrong.") from None
    intervals = sum(int(each[2]) for each in newest.values())
    found = [Row(*key, *figures) for key, figures in sums.items()]
    at = 2 if is_size else 3

    def growth(row: Row) -> tuple[int, int]:
        figures = (row.name, row.kind, row.size, row.count)
        return -int(figures[at]), -row.left

    ordered = tuple(sorted(found, key=growth))
    calls = sum(int(each[1]) for each in newest.values())
    processes = {token.partition("-")[0] for token in newest}  # one may have served several blocks
    return Table(ordered, intervals, calls, len(processes))


def draw_lines(profile: Profile) -> Picture:
    """Of tracemalloc: lines, by bytes that stay for each call."""
    table = table_of(profile.extra.get("growth", ()), is_size=True)
    return _draw(table, True, profile)


def draw_types(profile: Profile) -> Picture:
    """Of objgraph: types, by objects that stay for each call, and who holds one of them."""
    told = profile.extra.get("objects", ())
    table = table_of(told, is_size=False)
    chains = next((each[4] for each in reversed(told) if each[4]), None)
    if chains is None:
        return _draw(table, False, profile)
    name, ways = chains
    found = [
        Chain(tuple(Step(str(what), str(how)) for what, how in steps), bool(is_whole))
        for steps, is_whole in ways
    ]
    return _draw(table, False, profile, str(name), found)


def _draw(
    table: Table, is_size: bool, profile: Profile, held: str = "", chains: Sequence[Chain] = ()
) -> Picture:
    stamp = measured_on(profile)
    amount = byte_count if is_size else _objects
    least = LEAST_BYTES if is_size else LEAST_OBJECTS
    grows = [row for row in table.rows if table.per_call(row, is_size) >= least]
    users = [row for row in grows if row.kind != "runtime"]
    title = _finding(table, users, is_size, amount)
    note = _note(table, is_size, cost(profile))
    drawing = Drawing()
    drawing.headline(title, note)
    shown = [*users[:MOST_BARS], *[row for row in grows if row.kind == "runtime"][:2]]
    values = [table.per_call(row, is_size) for row in shown]
    scale = (RIGHT - LEFT) / max([*values, 1])
    y = TOP
    for row, value in zip(shown, values, strict=True):
        fill = {"yours": RUN.colour, "runtime": drawing.hatch}.get(row.kind, IDLE)
        tip = _tip(row, is_size)
        drawing.text(LEFT - 10, y + 14, _end(row.name, 32), "m e")
        stroke = INK if row is users[:1][0] else LINE if users else ""
        is_thick = bool(users) and row is users[0]
        drawing.box(LEFT, y, value * scale, BAR, fill, stroke=stroke, is_thick=is_thick, tip=tip)
        words = f"{amount(value)} a call" if table.intervals else amount(value)
        drawing.text(LEFT + value * scale + 8, y + 14, words, "halo")
        y += STEP
    if len(users) > MOST_BARS:
        drawing.text(LEFT, y + 8, f"+ {len(users) - MOST_BARS:,} more, in the table", "s")
        y += 18
    if shown:
        y = _legend(drawing, y + 14)
    if chains:
        drawing.text(16, y + 20, f"Who holds one of the newest {_end(held, 60)}", "b")
        y = draw_into(drawing, y + 34, chains, (), held.rpartition(".")[2]) - 12
    if stamp:
        drawing.text(16, y + 14, _end(stamp, 118), "s")
        y += 18
    drawing.height = y + 10
    head = (
        "",
        "whose",
        "bytes a call",
        "blocks a call",
        "bytes in all",
        "blocks in all",
        "after one",
    )
    rows = [_cells(table, row) for row in table.rows]
    lines = [line for each in (title, note) for line in wrap(shown_name(each), 80)]
    lines.append("")
    for row, value in zip(shown, values, strict=True):
        bar = "█" * max(1, round(TEXT_BAR * value * scale / (RIGHT - LEFT)))
        mark = " (paralab)" if row.kind == "runtime" else ""
        name = _end(row.name, 32)
        lines.append(f"{name:<32} {bar:<{TEXT_BAR}} {amount(value)} a call{mark}")
    if chains:
        ways = [f"Who holds one of the newest {held}:", *map(str, chains)]
        lines += ["", *map(shown_name, ways)]
        rows += [("held by", "", str(chain), "", "", "", "") for chain in chains]
    lines += wrap(shown_name(stamp), 80)
    svg = drawing.finish(title, note)
    return Picture(title, "\n".join(lines), svg, head, rows, drawing.id, width=drawing.width)


def _finding(
    table: Table, users: Sequence[Row], is_size: bool, amount: Callable[[float], str]
) -> str:
    if not table.calls:
        return "Nothing was measured: no call has ended"
    if not users:
        return "Nothing grows from call to call"
    worst = users[0]
    value = amount(table.per_call(worst, is_size))
    if not table.intervals:
        return f"{_end(worst.name, 44)} left {value} after one call; a leak shows from two calls on"
    if is_size:
        return f"{_end(worst.name, 60)} grows by {value} a call"
    return f"{value} {_end(worst.name, 52)} more with each call"


def _note(table: Table, is_size: bool, paid: str) -> str:
    calls = "1 call" if table.calls == 1 else f"{table.calls:,} calls"
    processes = "1 process" if table.processes == 1 else f"{table.processes:,} processes"
    what = "what is alive after the last, less after the first"
    tool = "tracemalloc" if is_size else "objgraph"
    paid = paid or f"no times: {tool} slows programs down"
    return f"{calls} in {processes}; {what}; {paid}"


def _tip(row: Row, is_size: bool) -> str:
    grown = f"{byte_count(row.size)} in {row.count:,} blocks" if is_size else _objects(row.count)
    return f"{row.name}: grown by {grown} in all"


def _cells(table: Table, row: Row) -> tuple[str, ...]:
    per_call = table.intervals or 1
    whose = {"yours": "yours", "runtime": "paralab"}.get(row.kind, "library")
    return (
        shown_name(row.name),
        whose,
        byte_count(row.size / per_call),
        three_digits(row.count / per_call),
        byte_count(row.size),
        f"{row.count:,}",
        byte_count(row.left) if row.left else f"{row.left_count:,}",
    )


def _legend(drawing: Drawing, y: float) -> float:
    x = LEFT
    for fill, words in (
        (RUN.colour, "your code"), (IDLE, "libraries"), (drawing.hatch, "paralab itself"),
    ):  # fmt: skip
        drawing.box(x, y - 9, 18, 10, fill)
        drawing.text(x + 24, y, words, "s")
        x += 110
    return y + 6


def _objects(number: float) -> str:
    """A number of objects, which a call may make in every second time only."""
    is_whole = abs(number - round(number)) < 0.005
    return f"{round(number):,}" if is_whole else three_digits(number)


def _end(words: str, most: int) -> str:
    """The end of a name, where a file's line stands."""
    words = shown_name(words)
    return words if len(words) <= most else f"…{words[1 - most :]}"
