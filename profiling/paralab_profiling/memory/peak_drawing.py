"""Peak memory as bars: what a task had for itself, and what it added to the store.

One bar a task while they are few, one a function (its highest task) when they are many.  The pale
bar is computed: so many of the highest at once as there are workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

from paralab.shown_text import shown_name
from paralab_profiling.details import byte_count
from paralab_profiling.memory.peaks import Load, TaskPeak, highest, load_of
from paralab_profiling.palette import FAILURE, RUN, STORE
from paralab_profiling.picture import Picture
from paralab_profiling.svg import LINE, Drawing, ticks

LEFT, RIGHT = 190.0, 600.0
STEP, BAR = 28.0, 19.0
MOST_BARS = 12
LONGEST = 20
TEXT_BAR = 40
HOW = "the kernel's count of each worker, forgotten before each task"


def draw_peaks(
    peaks: Sequence[TaskPeak],
    counts: Mapping[str, int],
    workers: int,
    available: int,
    stamp: str = "",
    paid: str = "",
) -> Picture:
    """Peak memory of tasks.

    Args:
        peaks: the highest of each function.
        counts: how many tasks of each function were measured.
        workers: how many tasks can run at once.
        available: bytes of memory that the machine leaves.
        stamp: what it was measured on.
        paid: what measuring cost; "" if that is not known.
    """
    shown = _bars(peaks, counts)
    load = load_of(peaks, counts, workers, available)
    title, note = _finding(peaks, load), _note(peaks, counts, paid)
    drawing = Drawing()
    drawing.headline(title, _short(note, 130))
    values = [each.needed for _, each in shown]
    if load is not None and load.count > 1:
        values.append(load.private + load.stored)
    reach = max([*values, 1])
    is_near = load is not None and available <= 1.6 * reach
    scale = (RIGHT - LEFT) / (max(reach, available) if is_near else reach)
    is_computed = load is not None and load.count > 1
    bottom = 72 + STEP * (len(shown) + is_computed)
    for at in ticks((RIGHT - LEFT) / scale, 5) if shown else ():
        drawing.line(LEFT + at * scale, 64, bottom, LINE, "2 3")
        drawing.text(LEFT + at * scale, bottom + 14, byte_count(at), "s c")
    y = 70.0
    for label, each in shown:
        _draw_bar(drawing, y, label, each.figures.private, each.stored, scale, each)
        y += STEP
    if load is not None and load.count > 1:
        label = f"{load.count} × {_short(load.name)}"
        _draw_bar(drawing, y, label, load.private, load.stored, scale, None)
        y += STEP
    if is_near:
        x = LEFT + available * scale
        drawing.raw(f'<path d="M{x:.1f} 62V{bottom:.1f}" stroke="{FAILURE}" stroke-width="2"/>')
        drawing.text(x + (5 if x < RIGHT - 40 else -5), 66, "available", _side(x))
    y = bottom + 36
    drawing.box(LEFT, y - 9, 18, 10, RUN.colour)
    drawing.text(LEFT + 24, y, "private to the task", "s")
    drawing.box(LEFT + 160, y - 9, 18, 10, STORE.colour)
    drawing.text(LEFT + 184, y, "added to the store", "s")
    if is_computed:
        drawing.box(LEFT + 310, y - 9, 18, 10, RUN.colour, is_pale=True)
        drawing.text(LEFT + 334, y, "computed", "s")
    if stamp:
        y += 20
        drawing.text(16, y, _short(stamp, 118), "s")
    drawing.height = y + 12
    head = ("task", "function", "private", "store", "mapped", "worker had", "peak", "at once")
    rows = [_row(each) for each in peaks]
    words = [line for each in (title, note) for line in wrap(each, 80)]
    text = "\n".join([*words, "", *_text(shown, load), *wrap(shown_name(stamp), 80)])
    return Picture(title, text, drawing.finish(title, note), head, rows, drawing.id)


def _bars(peaks: Sequence[TaskPeak], counts: Mapping[str, int]) -> list[tuple[str, TaskPeak]]:
    """What is drawn: every task, or the highest of each function."""
    if sum(counts.values()) <= min(MOST_BARS, len(peaks)):
        return [(_short(each.name), each) for each in peaks]
    found = []
    for each in highest(peaks, 1)[:MOST_BARS]:
        count = counts.get(each.name, 1)
        found.append((_short(each.name) + (f" × {count:,}" if count > 1 else ""), each))
    return found


def _draw_bar(
    drawing: Drawing,
    y: float,
    label: str,
    private: int,
    stored: int,
    scale: float,
    peak: TaskPeak | None,
) -> None:
    tip = f"{byte_count(private)} private, {byte_count(stored)} added to the store"
    if peak is not None:
        had = peak.figures.before
        tip += f", above the {byte_count(had)} that the worker had; {peak.name} ({peak.task})"
    task = peak.task if peak is not None else ""
    is_pale = peak is None
    drawing.text(LEFT - 10, y + 14, label, "m e")
    drawing.box(LEFT, y, private * scale, BAR, RUN.colour, is_pale=is_pale, tip=tip, task=task)
    if stored:
        x = LEFT + private * scale
        drawing.box(x, y, stored * scale, BAR, STORE.colour, is_pale=is_pale, tip=tip, task=task)
    words = byte_count(private + stored)
    if peak is None:
        words += " (computed)"
    elif peak.figures.at_once > 1:
        words += f", {peak.figures.at_once} calls together"
    drawing.text(LEFT + (private + stored) * scale + 8, y + 14, words, "halo")


def _finding(peaks: Sequence[TaskPeak], load: Load | None) -> str:
    if not peaks or load is None:
        return "No task was measured"
    name = _short(load.name, 40)
    found = f"{name} peaks at {byte_count(peaks[0].needed)}"
    if load.count > 1:
        fit = "fit" if load.fits else "do not fit"
        return f"{found}; {load.count} at once {fit} into the {byte_count(load.available)} left"
    if not load.fits:
        return f"{found}, the machine leaves {byte_count(load.available)}"
    return found


def _note(peaks: Sequence[TaskPeak], counts: Mapping[str, int], paid: str) -> str:
    total = sum(counts.values())
    tasks = "1 task" if total == 1 else f"{total:,} tasks"
    note = f"{tasks}; {paid}; {HOW}" if paid else f"{tasks}; {HOW}"
    if any(each.figures.at_once > 1 for each in peaks):
        note += "; calls that ran together have one figure"
    return note


def _row(each: TaskPeak) -> tuple[str, ...]:
    figures = each.figures
    sizes = (figures.private, each.stored, figures.mapped, figures.before, figures.peak)
    return (each.task, shown_name(each.name), *map(byte_count, sizes), f"{figures.at_once}")


def _text(shown: Sequence[tuple[str, TaskPeak]], load: Load | None) -> list[str]:
    bars = [(label, each.figures.private, each.stored, "") for label, each in shown]
    if load is not None and load.count > 1:
        label = f"{load.count} × {_short(load.name)}"
        bars.append((label, load.private, load.stored, " computed"))
    most = max([private + stored for _, private, stored, _ in bars], default=1) or 1
    lines = []
    for label, private, stored, words in bars:
        bar = "█" * round(TEXT_BAR * private / most) + "o" * round(TEXT_BAR * stored / most)
        lines.append(f"{label[:26]:<26} {bar:<{TEXT_BAR}} {byte_count(private + stored)}{words}")
    if shown:
        lines += ["", "█ private to the task   o added to the store"]
    return lines


def _side(x: float) -> str:
    return "s" if x < RIGHT - 40 else "s e"


def _short(name: str, most: int = LONGEST) -> str:
    name = shown_name(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"
