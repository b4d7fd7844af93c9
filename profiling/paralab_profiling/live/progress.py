"""How far the tasks of a cell are, in a notebook and in a terminal.

One line for each function: what is done, what failed, what runs and what waits; only what has been
submitted can be counted, so a loop that still submits has a growing total, and says so by its
figures.  No colour is needed to read it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from paralab.engine import Survey, current, installed
from paralab.shown_text import shown_name
from paralab_profiling.live.watched import Count, Watched
from paralab_profiling.live.watcher import Watcher, ask_news
from paralab_profiling.live.widgets import has_widgets
from paralab_profiling.palette import FAILURE, NOTEBOOK
from paralab_profiling.picture import Picture
from paralab_profiling.svg import IDLE, SOFT, Drawing, duration

NAME_COLUMNS = 18
BAR_COLUMNS = 24
LEFT, BAR_WIDTH = 150.0, 380.0
MOST_LINES = 12
"""Functions that have a line of their own."""


@contextmanager
def progress(file: TextIO | None = None) -> Iterator[Watched]:
    """Shows how far the tasks are that run during the block under ``with``.

    In Jupyter with anywidget it is ``live("progress")``; in a terminal lines that are written
    over; elsewhere, as in a log, one table at the end.

    Args:
        file: where to write; by default standard output, or the notebook's page.

    Yields:
        What is known of the tasks, which changes while they run.

    Raises:
        SystemFailure: paralab is not running, see ``paralab.init``.
    """
    if file is None and has_widgets():
        from paralab_profiling.live.view import live

        with live("progress") as view:
            yield view.watched
        return
    begin = time.monotonic_ns()
    watched = Watched(begin)
    console = Console(file=file or sys.stdout, color_system=None, highlight=False)
    engine = current()
    watched.hear(ask_news(engine).told)
    display = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def hear(survey: Survey) -> None:
        watched.hear(survey.told)
        if display is not None:
            display.update(Text(_text(watched, begin)), refresh=True)

    watcher = Watcher(engine, ask_news, hear)
    with display or nullcontext():
        watcher.start()
        try:
            yield watched
        finally:
            watcher.stop()
            if installed() is engine:
                hear(ask_news(engine))
    if display is None:
        console.print(Text(_text(watched, begin)))


def progress_title(counts: Mapping[str, Count], seconds: float) -> str:
    """The finding: "620 of 998 tasks done after 1.20 s"."""
    done = sum(count.done for count in counts.values())
    failed = sum(count.failed for count in counts.values())
    total = sum(count.total for count in counts.values())
    failures = f", {failed:,} failed ✕" if failed else ""
    return f"{done:,} of {total:,} tasks done{failures} after {duration(seconds)}"


def progress_text(counts: Mapping[str, Count], seconds: float) -> str:
    """The same for a terminal, at most 80 columns.

    Args:
        counts: by function.
        seconds: since it began.
    """
    lines = [progress_title(counts, seconds)]
    for name, count in _folded(counts).items():
        cut = shown_name(name, NAME_COLUMNS)
        lines.append(f"{cut:<{NAME_COLUMNS}} {_bar(count)} {_figures(count)}"[:80].rstrip())
    return "\n".join(lines)


def progress_picture(counts: Mapping[str, Count], seconds: float) -> Picture:
    """The same as a picture that stays.

    Args:
        counts: by function.
        seconds: since it began.
    """
    drawing = Drawing()
    title = progress_title(counts, seconds)
    note = "solid: done, red with ✕: failed, pale: it runs, outlined: it waits"
    drawing.headline(title, note)
    folded = _folded(counts)
    y = 60.0
    for name, count in folded.items():
        drawing.text(LEFT - 8, y + 15, name if len(name) < 20 else f"{name[:18]}…", "m e")
        x = LEFT
        hue = drawing.fill(NOTEBOOK.hue(name))
        for part, fill in (
            (count.done, hue),
            (count.failed, FAILURE),
            (count.running, IDLE),
            (count.waiting, "none"),
        ):
            width = BAR_WIDTH * part / (count.total or 1)
            if part:
                outline = SOFT if fill in (IDLE, "none") else ""
                drawing.box(x, y, width, 20, fill, stroke=outline, is_dashed=fill == "none")
            if part and fill == FAILURE and width > 12:
                drawing.cross(x + width / 2, y + 10)
            x += width
        drawing.text(LEFT + BAR_WIDTH + 8, y + 15, _figures(count), "s")
        y += 26
    drawing.height = y + 8
    rows = [
        (name, *(f"{n:,}" for n in (count.done, count.failed, count.running, count.waiting)))
        for name, count in folded.items()
    ]
    head = ("function", "done", "failed", "running", "waiting")
    text = progress_text(counts, seconds)
    return Picture(title, text, drawing.finish(title, note), head, rows, drawing.id)


def _text(watched: Watched, begin: int) -> str:
    return progress_text(watched.counts, (time.monotonic_ns() - begin) / 1e9)


def _folded(counts: Mapping[str, Count]) -> dict[str, Count]:
    """The functions with most tasks, in their order, and the others as one."""
    most = sorted(counts, key=lambda name: -counts[name].total)[:MOST_LINES]
    rest = [count for name, count in counts.items() if name not in most]
    folded = {name: count for name, count in counts.items() if name in most}
    if rest:
        parts = zip(*((c.done, c.failed, c.running, c.waiting) for c in rest), strict=True)
        folded[f"+ {len(rest):,} functions"] = Count(*map(sum, parts))
    return folded


def _bar(count: Count) -> str:
    """Done is full, failed is a cross, running is half, waiting is a dot."""
    total = count.total or 1
    marks = ""
    so_far = 0
    for part, mark in (
        (count.done, "█"),
        (count.failed, "✕"),
        (count.running, "▒"),
        (count.waiting, "·"),
    ):
        so_far += part
        end = BAR_COLUMNS * so_far // total
        # One that there is shows, however few it is among many.
        least = 1 if part and len(marks) < BAR_COLUMNS and mark != "█" else 0
        marks += mark * max(least, end - len(marks))
    return marks[:BAR_COLUMNS].ljust(BAR_COLUMNS, "·")


def _figures(count: Count) -> str:
    said = f"{count.done:,} of {count.total:,}"
    if count.failed:
        said += f", {count.failed:,} failed"
    if count.running:
        said += f", {count.running:,} running"
    return said
