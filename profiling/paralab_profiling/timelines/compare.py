"""Pictures of runs on one time axis: who ran what when, and whether going parallel paid.

Titles are the finding, read off the numbers at hand, so they can also say that nothing was
gained.  Solid is your function, pale is a worker with nothing to do, hatched is unaccounted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from textwrap import fill as wrapped

from paralab_profiling.bands import band_path
from paralab_profiling.palette import FETCH, NOTEBOOK, RUN, STORE, SUBMIT, TRANSFER
from paralab_profiling.picture import Picture
from paralab_profiling.runs import Run, Slice
from paralab_profiling.scaling.intervals import Interval, interval_of, ratios_of
from paralab_profiling.scaling.missing_time import COLLECTING, LOADING, STARTING, STORING
from paralab_profiling.svg import IDLE, INK, WIDTH, Drawing, duration, percent, three_digits
from paralab_profiling.timelines.words import shortened

LEFT, RIGHT = 128.0, 680.0
LETTERS = 12.0
"""Height of a line of text."""
MOST_HIGH, LEAST_HIGH, LANES = 26.0, 5.0, 208.0
"""Height of one row with the gap below it, at most and at least; of all rows, if they fit."""
MOST_DRAWN = 400
"""Tasks drawn one by one; of a run with more each lane becomes a band."""
MOST_CELLS = 4_000
"""Of the bands of all lanes together."""
MOST_IN_TITLE = 3
"""Runs whose figures all stand in the title."""
MOST_ROWS = 60
"""Rows of the table under a picture."""
TEXT_BARS = 48
"""Columns of the time axis in a terminal."""
NO_GAIN = 1.05
"""Ratios between this and its inverse count as no difference."""
SMALLEST = 0.001
"""Share of a run below which an item of the missing time is left out."""
_ITEM_FILLS = {
    LOADING: TRANSFER.colour,
    STARTING: SUBMIT.colour,
    STORING: STORE.colour,
    COLLECTING: FETCH.colour,
}


def compare(*runs: Run) -> Picture:
    """Timelines of one or more runs, a row for each worker, on one axis.

    Args:
        runs: from :func:`paralab_profiling.record`.

    Raises:
        ValueError: there is no run.
    """
    if not runs:
        raise ValueError("compare() needs at least one run: with record('a name') as run: ...")
    title = _finding(runs)
    note = "one run each, not repeated; " if len(runs) > 1 else "one run; "
    note += "solid: your function, pale: a worker with nothing to do"
    drawing = Drawing()
    drawing.headline(title, note)
    seconds = max(run.seconds for run in runs)
    bottom = 58.0
    for run in runs:
        bottom += len(_rows(run)) * _pitch(runs) + 22
    drawing.axis(seconds, LEFT, RIGHT, 54, bottom)
    fills = _fills(drawing, runs)
    y = 60.0
    for run in runs:
        y = _draw_run(drawing, run, y, seconds, fills, _pitch(runs))
    drawing.height = bottom + 26
    text = "\n".join([title, note, *(line for run in runs for line in _text_run(run, seconds))])
    head = ("run", "worker", "function", "start in ms", "duration in ms")
    rows = [
        (run.label, name, slice_.name, f"{slice_.start * 1e3:.1f}", _ms(slice_.end - slice_.start))
        for run in runs
        for name, lane in _rows(run)
        for slice_ in lane
    ]
    if len(rows) > MOST_ROWS:
        rows = [*rows[:MOST_ROWS], ("", "", f"+ {len(rows) - MOST_ROWS:,} more", "", "")]
    rows += [(run.label, "all", "", "0.0", _ms(run.seconds)) for run in runs]
    return Picture(title, text, drawing.finish(title, note), head, rows, drawing.id)


def verdict(local: Sequence[Run], remote: Sequence[Run]) -> Picture:
    """Whether going parallel paid: the same work in the driver and on workers, several times.

    The speed-up is the median of the ratios of the pairs, with a bootstrap interval; the picture
    shows the pair that has it (with an even number of pairs, the one nearest to it).

    Args:
        local: runs of the work without paralab.
        remote: as many runs with it, in alternation with the local ones.

    Raises:
        ValueError: not as many of one as of the other, or fewer than three.
    """
    if len(local) != len(remote) or len(local) < 3:
        raise ValueError(
            f"verdict() needs at least three pairs of runs, as many local as remote; got"
            f" {len(local)} and {len(remote)}: one pair says little about a busy machine."
        )
    ratios = ratios_of([run.seconds for run in local], [run.seconds for run in remote])
    gain = interval_of(ratios)
    typical = nearest(ratios, gain.middle)
    before, after = local[typical], remote[typical]
    title = gain_in_words(gain)
    most = three_digits(float(after.workers))
    plural = "workers give" if after.workers > 1 else "worker gives"
    note = (
        f"{gain.evidence}; {after.workers} {plural} {most} at most"
        # No opinion but arithmetic: beyond it the sum of the tasks is less than the local time.
        + (", above it tasks ran faster than locally" if gain.high > after.workers else "")
    )
    drawing = Drawing()
    drawing.headline(title, note)
    seconds = max(before.seconds, after.seconds)
    pitch = _pitch((before, after))
    bottom = 58 + (len(_rows(before)) + len(_rows(after))) * pitch + 58
    drawing.axis(seconds, LEFT, RIGHT, 54, bottom)
    fills = _fills(drawing, (after,))
    middle = _draw_run(drawing, before, 60, seconds, fills, pitch)
    _draw_run(drawing, after, middle, seconds, fills, pitch)
    ideal = before.seconds / after.workers
    x = LEFT + (RIGHT - LEFT) * ideal / seconds
    drawing.line(x, middle - 6, bottom, INK, "4 3")
    drawing.text(x + 5, bottom - 3, f"{duration(ideal)} = local ÷ {after.workers}", "s b")
    extra = after.seconds - ideal
    parts = _parts(before, after)
    y = bottom + 40
    lost = f"Where the other {duration(extra)} went" if extra > 0 else "Nothing was lost"
    drawing.text(16, y, lost, "b")
    rows_of_words = _draw_parts(drawing, parts, y + 10, (RIGHT - LEFT) / seconds)
    drawing.height = y + 32 + 16 * rows_of_words
    words = "; ".join(f"{name} {duration(value)}" for name, value, _ in parts)
    facts = [title, note, *_text_run(before, seconds), *_text_run(after, seconds)]
    if parts:
        facts += [f"{lost}:", wrapped(words, 80, initial_indent="  ", subsequent_indent="  ")]
    rows = [
        (str(number + 1), _ms(one.seconds), _ms(other.seconds), three_digits(ratio))
        for number, (one, other, ratio) in enumerate(zip(local, remote, ratios, strict=True))
    ] + [(f"{lost}: {name}", "", _ms(value), "") for name, value, _ in parts]
    head = ("pair", f"{before.label} in ms", f"{after.label} in ms", "speed-up")
    picture = drawing.finish(title, f"{note}. {lost}: {words}")
    return Picture(title, "\n".join(facts), picture, head, rows, drawing.id)


def _finding(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        run = runs[0]
        share = run.busy / (run.seconds * run.workers) if run.seconds else 0.0
        return (
            f"{len(run.slices):,} tasks in {duration(run.seconds)}, at most {run.at_once} at a"
            f" time, workers {percent(share)} busy"
        )
    if len(runs) > MOST_IN_TITLE:
        short, long = (pick(runs, key=lambda run: run.seconds) for pick in (min, max))
        names = [f"{shortened(run.label, 24)} {duration(run.seconds)}" for run in (short, long)]
        return f"The shortest of {len(runs)} runs: {names[0]}; the longest: {names[1]}"
    most = " against ".join(f"{run.at_once}" for run in runs)
    times = " against ".join(duration(run.seconds) for run in runs)
    return f"At most {most} tasks at a time: {times}"


def nearest(values: Sequence[float], to: float) -> int:
    """At which place the value stands that is nearest to ``to``."""
    return min(range(len(values)), key=lambda at: abs(values[at] - to))


def gain_in_words(gain: Interval) -> str:
    """The finding of a speed-up, which may be that there is none: "1.74 × faster"."""
    if gain.low > 1 and gain.middle > NO_GAIN:
        return f"{three_digits(gain.middle)} × faster"
    if gain.high < 1 and gain.middle < 1 / NO_GAIN:
        return f"{three_digits(1 / gain.middle)} × slower"
    return f"No clear gain: {three_digits(gain.middle)} × as fast"


def _parts(before: Run, after: Run) -> list[tuple[str, float, str]]:
    """(name, seconds, fill) of what kept ``after`` from ``before.seconds / workers``.

    They add up to what is missing.  "" is the fill of what is less than nothing, "hatch" that of
    what nothing accounts for.
    """
    workers = after.workers
    slower = (after.busy - before.seconds) / workers
    lost = after.seconds - after.busy / workers
    items = after.missing or {"workers idle": lost}
    unknown = lost - sum(items.values())
    parts = [("tasks ran longer than locally", slower, RUN.colour)]
    parts += [(name, seconds, _ITEM_FILLS.get(name, IDLE)) for name, seconds in items.items()]
    parts.append(("unaccounted", unknown, "hatch"))
    parts = [part for part in parts if part[1] > SMALLEST * after.seconds]
    # Tasks that ran faster than locally hide a part of the rest.
    if slower < -SMALLEST * after.seconds and parts:
        parts.append(("less: tasks ran shorter than locally", slower, ""))
    return parts


def _draw_parts(
    drawing: Drawing, parts: Sequence[tuple[str, float, str]], y: float, scale: float
) -> float:
    """Draws the items as one bar, labelled below in as many rows as it takes; how many."""
    x = label = 16.0
    row = 0
    for name, value, fill in parts:
        words = f"{name} {duration(value)}"
        width = 14 + 5.9 * len(words) + 14
        if label + width > WIDTH and label > 16:
            label, row = 16.0, row + 1
        if fill:
            ink = drawing.hatch if fill == "hatch" else fill
            drawing.bar(x, y, value * scale, 10, ink, words)
            x += value * scale + 1.5
            drawing.bar(label, y + 18 + 16 * row, 9, 9, ink)
        drawing.text(label + (14 if fill else 0), y + 26 + 16 * row, words, "s")
        label += width
    return row + 1


def _rows(run: Run) -> list[tuple[str, list[Slice]]]:
    """(name, tasks) of each row in which the run is drawn."""
    if not run.slices:
        return [("driver", [])]
    return [(f"worker {number}", lane) for number, lane in enumerate(run.lanes, 1)]


def _fills(drawing: Drawing, runs: Sequence[Run]) -> dict[str, str]:
    names = dict.fromkeys(slice_.name for run in runs for slice_ in run.slices)
    return {name: drawing.fill(NOTEBOOK.hue(name)) for name in names}


def _pitch(runs: Sequence[Run]) -> float:
    """Height of a row, so that all rows of all runs fit into :data:`LANES` if they can."""
    return min(MOST_HIGH, max(LEAST_HIGH, LANES / sum(len(_rows(run)) for run in runs)))


def _draw_run(
    drawing: Drawing, run: Run, y: float, seconds: float, fills: dict[str, str], pitch: float
) -> float:
    """Draws the rows of one run from ``y`` down; returns where the next run begins."""
    scale = (RIGHT - LEFT) / seconds
    end = LEFT + run.seconds * scale
    drawing.text(16, y + 11, run.label, "b")
    rows = _rows(run)
    if len(run.slices) > MOST_DRAWN:
        words = f"{len(run.slices):,} tasks, folded: as high as the share of time in a function"
        drawing.text(max(LEFT, 30 + 7.5 * len(run.label)), y + 11, words, "s")
    y += 18
    height = pitch - (4 if pitch > 12 else 1)
    middle = y + (len(rows) * pitch - 4) / 2 + 4
    for at, (name, lane) in enumerate(rows):
        is_apart = at == 0 or (at == len(rows) - 1 and at * pitch >= LETTERS)
        if pitch > LETTERS or is_apart:
            drawing.text(LEFT - 10, y + max(height, 12) / 2 + 4, name, "m e")
        drawing.bar(LEFT, y, end - LEFT, height, IDLE if run.slices else RUN.colour)
        if len(run.slices) > MOST_DRAWN:
            _draw_band(drawing, lane, y, height, end, scale, fills, len(rows))
        else:
            _draw_lane(drawing, lane, y, height, scale, fills)
        y += pitch
    drawing.text(min(end + 6, WIDTH - 70), middle, duration(run.seconds), "b")
    return y + 4


def _draw_lane(
    drawing: Drawing,
    lane: list[Slice],
    y: float,
    height: float,
    scale: float,
    fills: dict[str, str],
) -> None:
    lane = sorted(lane, key=lambda slice_: slice_.start)
    layers = _layers(lane)
    each = height / (1 + max(layers, default=0))  # calls of an async actor lie above each other
    for slice_, layer in zip(lane, layers, strict=True):
        width = (slice_.end - slice_.start) * scale
        tip = f"{slice_.name}: {duration(slice_.end - slice_.start)}"
        x, top = LEFT + slice_.start * scale, y + layer * each
        gap = 0.5 if len(lane) > 1 and each < height and each > 2 else 0.0
        drawing.bar(x, top, max(0.6, width - 0.8), each - gap, fills[slice_.name], tip)
        if width > 7.2 * len(slice_.name) + 6 and each >= 14:
            drawing.text(x + width / 2, top + each / 2 + 4, slice_.name, "m c on")


def _layers(lane: list[Slice]) -> list[int]:
    """For each task of a lane the lowest layer that is free when it starts; 0 if none overlap."""
    ends: list[float] = []
    found = []
    for slice_ in lane:
        layer = next((at for at, end in enumerate(ends) if end <= slice_.start), len(ends))
        ends[layer:] = [slice_.end, *ends[layer + 1 :]]
        found.append(layer)
    return found


def _draw_band(
    drawing: Drawing,
    lane: list[Slice],
    y: float,
    height: float,
    end: float,
    scale: float,
    fills: dict[str, str],
    lanes: int,
) -> None:
    """One lane of too many tasks, in the hue of the function that most of them call."""
    if not lane:
        return
    names = Counter(slice_.name for slice_ in lane)
    spans = [(LEFT + slice_.start * scale, LEFT + slice_.end * scale) for slice_ in lane]
    cell = max(1.0, (end - LEFT) * lanes / MOST_CELLS)
    path = band_path(spans, LEFT, end, y + height, height, cell)
    drawing.raw(f'<path class="band" d="{path}" fill="{fills[names.most_common(1)[0][0]]}"/>')


def _text_run(run: Run, seconds: float) -> list[str]:
    """The run for a terminal: one line for each row."""
    lines = [f"{run.label}: {duration(run.seconds)}"]
    columns = max(1, round(TEXT_BARS * run.seconds / seconds))
    for name, lane in _rows(run):
        cells = ["·" if run.slices else "█"] * columns
        for slice_ in lane:
            first = int(slice_.start / seconds * TEXT_BARS)
            last = max(first + 1, int(slice_.end / seconds * TEXT_BARS))
            cells[first:last] = "█" * len(cells[first:last])
        lines.append(f"  {name:<10} {''.join(cells)}")
    return lines


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"
