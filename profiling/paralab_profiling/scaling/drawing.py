"""Pictures of a speed-up: against the number of workers, and against the size of the inputs.

Dots with bars are measured, the line is replayed, dashes are bounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from paralab_profiling.palette import RUN, TRANSFER
from paralab_profiling.picture import Picture
from paralab_profiling.scaling.intervals import Interval
from paralab_profiling.scaling.model import Point, Size
from paralab_profiling.scaling.plots import LogPlot
from paralab_profiling.svg import SOFT, Drawing, duration, percent, three_digits

BOX = (60.0, 60.0, 590.0, 296.0)


def draw_curve(name: str, size: Size, title: str, text: str) -> Picture:
    """Speed-up against workers.

    Args:
        name: of the function.
        size: the figures.
        title: the finding.
        text: the same facts for a terminal.
    """
    drawing = Drawing()
    best, model, gains = size.best, size.model, size.gains()
    check = max((abs(point.replay_off) for point in size.points), default=0.0)
    note = (
        f"{best.gain.evidence}; line: replayed with the measured overheads, at most"
        f" {percent(check)} off where measured"
    )
    drawing.headline(title, note)
    last = max(gains)
    lows = [1.0, *gains.values(), *(point.gain.low for point in size.points)]
    highs = [last, *gains.values(), *(point.gain.high for point in size.points)]
    plot = LogPlot(drawing, (1, last), (min(lows), max(highs)), BOX)
    plot.grid([(2.0**n, f"{2**n}") for n in range(last.bit_length())], "workers")
    plot.curve([(1, 1), (last, last)], "ideal", SOFT, dash="5 4", width=1.2)
    steps = [last ** (n / 24) for n in range(25)]
    share = f"Amdahl: {percent(model.serial_share)} serial"
    plot.curve([(at, model.amdahl(at)) for at in steps], share, TRANSFER.colour, dash="5 4")
    path = model.work / model.span if model.span else 0.0
    if path and plot.is_inside(path):
        plot.bound(path, f"critical path: {three_digits(path)}")
    plot.curve(list(gains.items()), "replayed", RUN.colour, width=2.4)
    for point in size.points[:-1]:
        _dot(plot, point, point.workers)
    _label(drawing, plot, _dot(plot, best, best.workers), f"measured {best.gain}")
    plot.end_labels()
    even = model.break_even(max(2, best.workers))
    drawing.text(16, 350, _sentence(name, size, even), "s")
    drawing.height = 362
    head = ("workers", "measured", "from", "to", "efficiency", "predicted", "replayed")
    points = {point.workers: point for point in size.points}
    rows = [
        (
            f"{workers}",
            *_measured(points.get(workers)),
            three_digits(model.work / model.seconds(workers)),
            three_digits(gain),
        )
        for workers, gain in gains.items()
    ]
    return Picture(title, text, drawing.finish(title, note), head, rows, drawing.id)


def draw_by_size(name: str, sizes: Sequence[Size]) -> Picture:
    """Speed-up on the most workers against the size that the inputs were made with."""
    ordered = sorted(sizes, key=lambda size: size.size or 0)
    workers = ordered[-1].best.workers
    pays = next((size.size for size in ordered if size.best.gain.low > 1), None)
    title = (
        f"{workers} workers pay from size {pays:,} on"
        if pays is not None
        else f"{workers} workers pay at no size"
    )
    pairs = ordered[-1].best.gain.count
    note = f"{pairs} pairs of runs for each size; dots: measured; dashes: predicted; {name}"
    drawing = Drawing()
    drawing.headline(title, note)
    predicted = [size.model.work / size.model.seconds(workers) for size in ordered]
    gains = [size.best.gain for size in ordered]
    at = [float(max(size.size or 0, 1)) for size in ordered]
    lows = [1.0, *predicted, *(gain.low for gain in gains)]
    highs = [float(workers), *predicted, *(gain.high for gain in gains)]
    plot = LogPlot(drawing, (at[0], max(at[-1], at[0] * 1.01)), (min(lows), max(highs)), BOX)
    plot.grid(_few_marks(plot, ordered), "size")
    plot.bound(1.0, "as fast as local")
    plot.bound(float(workers), f"{workers} workers at most")
    line = list(zip(at, predicted, strict=True))
    plot.curve(line, "predicted", RUN.colour, dash="5 4", width=1.6)
    for size, x in zip(ordered, at, strict=True):
        _dot(plot, size.best, x)
    plot.end_labels()
    even = ordered[-1].model.break_even(max(2, workers))
    if even is not None:
        words = f"Predicted break-even: tasks of {duration(even)} on {workers} workers."
        drawing.text(16, 350, words, "s")
    drawing.height = 362
    head = ("size", "calls", "task", "measured", "from", "to", "efficiency", "predicted")
    rows = [
        (
            f"{size.size:,}",
            f"{size.model.tasks:,}",
            duration(size.model.task),
            *_measured(size.best),
            three_digits(guess),
        )
        for size, guess in zip(ordered, predicted, strict=True)
    ]
    lines = [title, note, "", f"{'size':>12}  {'task':>9}  {'measured':<22} {'predicted':>9}"]
    lines += [
        f"{row[0]:>12}  {row[2]:>9}  {gain!s:<22} {row[-1]:>9}"
        for row, gain in zip(rows, gains, strict=True)
    ]
    svg = drawing.finish(title, note)
    return Picture(title, "\n".join(lines), svg, head, rows, drawing.id)


def _few_marks(plot: LogPlot, sizes: Sequence[Size]) -> list[tuple[float, str]]:
    """The sizes, without those whose labels would run into each other."""
    marks: list[tuple[float, str]] = []
    for size in sizes:
        at, label = float(max(size.size or 0, 1)), f"{size.size:,}"
        if not marks or plot.x(at) - plot.x(marks[-1][0]) > 6.5 * (len(label) + 1):
            marks.append((at, label))
    return marks


def _dot(plot: LogPlot, point: Point, x: float) -> tuple[float, float]:
    gain = point.gain
    efficiency = percent(point.efficiency)
    tip = f"{point.workers} workers: {gain}, {gain.count} pairs, efficiency {efficiency}"
    return plot.dot(x, gain.middle, gain.low, gain.high, RUN.colour, tip)


def _label(drawing: Drawing, plot: LogPlot, at: tuple[float, float], words: str) -> None:
    """Below and to the right of the last dot, where no line goes as long as it rises."""
    x, y = at
    y = y + 20 if y + 24 < plot.bottom else y - 14
    if x + 12 + 7 * len(words) > plot.right:
        drawing.text(x - 10, y, words, "b e")
    else:
        drawing.text(x + 10, y, words, "b")


def _sentence(name: str, size: Size, even: float | None) -> str:
    model = size.model
    words = (
        f"{name}: {model.tasks:,} calls of {duration(model.task)}; each costs"
        f" {duration(model.on_worker)} on its worker, {duration(model.in_driver)} in the driver"
    )
    return words + (f"; break-even at {duration(even)}." if even is not None else ".")


def _measured(point: Point | None) -> tuple[str, str, str, str]:
    if point is None:
        return "", "", "", ""
    gain: Interval = point.gain
    low, middle, high = (three_digits(value) for value in (gain.low, gain.middle, gain.high))
    return middle, low, high, percent(point.efficiency)
