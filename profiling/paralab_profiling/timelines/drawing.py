"""The timeline: a lane for each process, to scale, and what the end of the run had to wait for.

Solid is your function, pale and thin around it what the lane did for the task besides, hatched
where a driver or a task stands still for others.  Tasks that would be under 2 px wide become a
band, whose height is the share of the time in which they run.  Arrows show the critical path; those
between all other drawn tasks are hidden until one is selected.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from paralab.chrome_trace import as_json
from paralab_profiling.details import details_of
from paralab_profiling.palette import FAILURE, NOTEBOOK
from paralab_profiling.picture import Picture
from paralab_profiling.recording import Recording, Task, expect_recording
from paralab_profiling.svg import IDLE, INK, SOFT, Drawing, duration, escape
from paralab_profiling.timelines.lanes import Bar, Lane, Lanes, lanes_of
from paralab_profiling.timelines.layout import (
    BINS,
    LEFT,
    RIGHT,
    TOP,
    Place,
    band_path,
    clear_of,
    places_of,
    points_of,
    widest,
)
from paralab_profiling.timelines.legend import draw_legend
from paralab_profiling.timelines.perfetto import perfetto
from paralab_profiling.timelines.spans import Span, binned, clipped, length, merged, most_at_once
from paralab_profiling.timelines.words import (
    lane_name,
    note_of,
    path_words,
    remarks_of,
    share_of,
    shortened,
    table_of,
    text_of,
    title_of,
)

THIN = 2.0
"""Tasks under this width are in bands, unless they stand alone."""
CROWD, MOST_IN_CROWD = 24.0, 3
"""Alone is who has at most so many others, himself included, in a stretch of this width."""
MOST_BARS = 300
MOST_THICK, MOST_HIDDEN = 150, 100
"""Arrows; a saved picture has to stay small."""
NEAR = 8.0
"""Arrows that begin closer than this to one between the same lanes are left out."""
MOST_SPANS = 100
MOST_CROSSES = 40
WIDE_CROSS = 14.0
"""Bars from this width on have the cross of what failed in them, at the end."""
MOST_TRACED = 1_000
"""A picture with more tasks than this has no room for the trace; a file has, see ``perfetto``."""
CHARACTER = 7.0
"""Width of one character of a name in a bar."""


def timeline(recording: Recording) -> Picture:
    """Who did what when: a lane per driver, worker and actor, each task divided into its parts.

    Args:
        recording: from :func:`paralab_profiling.take`, or from a file.

    Returns:
        A picture whose title says how long it took and how busy the workers were, and the note
        what kept them.  Zero is the first submission.

    Raises:
        TypeError: it is something else.
    """
    expect_recording(recording, "timeline")
    lanes = lanes_of(recording)
    title, note = title_of(lanes), note_of(lanes)
    text = text_of(lanes, recording)
    drawing = Drawing()
    drawing.headline(title, note)
    if not lanes.ns:
        drawing.height = 60
        return Picture(title, text, drawing.finish(title, note), ("lane",), (), drawing.id)
    for task in recording:  # so that hues go by submission, whatever is drawn
        NOTEBOOK.hue(task.name)
    painter = _Painter(drawing, lanes)
    painter.paint(remarks_of(lanes, recording))
    description = f"{note}. {'; '.join(remarks_of(lanes, recording))}. {path_words(lanes)}"
    svg = drawing.finish(title, description)
    head, rows = table_of(lanes)
    details = details_of((bar.task for _, bar in painter.drawn), recording)
    trace = ""
    if len(recording) <= MOST_TRACED:
        trace = as_json(perfetto(recording))
    return Picture(title, text, svg, head, rows, drawing.id, details, trace)


class _Painter:
    """Draws lanes, back to front: axis, lanes, overhead, bands, bars, arrows, labels."""

    def __init__(self, drawing: Drawing, lanes: Lanes) -> None:
        self._drawing, self._lanes = drawing, lanes
        self._scale = (RIGHT - LEFT) / lanes.ns
        self._places = places_of(lanes.lanes)
        self._critical = {task.id for task in lanes.path}
        self.drawn, self._banded = self._chosen()
        self._labels: list[tuple[float, float, float, str, str, str]] = []
        self._curves: list[tuple[float, float]] = []

    def paint(self, remarks: Sequence[str]) -> None:
        lanes, drawing = self._lanes, self._drawing
        last = self._places[-1]
        bottom = last.y + last.height + 8
        if lanes.left_out:
            drawing.text(LEFT, bottom + 8, f"+ {lanes.left_out:,} more lanes, less busy", "s")
            bottom += 16
        drawing.axis(lanes.ns / 1e9, LEFT, RIGHT, TOP - 6, bottom)
        for lane, place in zip(lanes.lanes, self._places, strict=True):
            self._lane(lane, place)
        self._overhead()
        for at, bars in groupby(self._banded, lambda each: each[0]):
            self._bands(self._places[at], lanes.lanes[at], [bar for _, bar in bars])
        # What is outlined comes last, so that no neighbour covers the outline.
        for at, bar in sorted(self.drawn, key=lambda each: each[1].task.id in self._critical):
            self._bar(self._places[at], bar)
        self._inside()
        self._crosses()
        self._path_marks()
        self._arrows()
        for left, right, y, words, style, under in self._labels:
            x = clear_of(self._curves, left, right, y - 4, CHARACTER * len(words))
            drawing.text(x, y, words, style, under)
        shown = {
            "its overhead": bool(self.drawn or self._banded),
            "many: share busy": bool(self._banded),
        }
        draw_legend(drawing, lanes, bottom + 34, shown)
        if remarks:
            drawing.text(16, bottom + 64, "; ".join(remarks), "s")
        drawing.height = bottom + (76 if remarks else 48)

    def _x(self, ns: float) -> float:
        return LEFT + ns * self._scale

    def _chosen(self) -> tuple[list[tuple[int, Bar]], list[tuple[int, Bar]]]:
        """(index of its lane, bar) of what is drawn by itself, and of what is in bands."""
        few = len(self._critical) <= MOST_BARS // 5
        rest = [(at, bar) for at, bar in self._lanes.bars if self._places[at].rows]
        crowds = Counter(self._bin(at, bar) for at, bar in rest)
        limit = THIN
        while True:
            alone = limit == THIN
            drawn = [
                (at, bar)
                for at, bar in rest
                if (bar.end - bar.start) * self._scale >= limit
                or (few and bar.task.id in self._critical)
                or (alone and crowds[self._bin(at, bar)] <= MOST_IN_CROWD)
            ]
            if len(drawn) <= MOST_BARS:
                break
            limit *= 1.5
        ids = {bar.task.id for _, bar in drawn}
        return drawn, [each for each in self._lanes.bars if each[1].task.id not in ids]

    def _bin(self, at: int, bar: Bar) -> tuple[int, int, int]:
        return at, bar.row, int(bar.start * self._scale / CROWD)

    def _fill(self, task: Task) -> str:
        return FAILURE if task.failed else self._drawing.fill(NOTEBOOK.hue(task.name))

    def _lane(self, lane: Lane, place: Place) -> None:
        """Its name, its share, its background, and what only drivers have."""
        drawing = self._drawing
        middle = place.y + place.height / 2 + 4
        drawing.text(LEFT - 10, middle, lane_name(lane), "m e")
        drawing.text(RIGHT + 8, middle, share_of(lane, self._lanes.ns), "s")
        drawing.raw('<g opacity=".55">')
        drawing.box(LEFT, place.y, RIGHT - LEFT, place.height, IDLE, radius=3)
        drawing.raw("</g>")
        words = {(each.start, each.end): each.words for each in lane.blocked}
        thin = self._wide(list(words), place, drawing.hatch, words.__getitem__)
        calls = self._wide(lane.calls, place, SOFT, lambda _: "in .remote() or put")
        # One on the other, so that both shares can be seen.
        shares = binned(calls, self._lanes.ns, BINS)
        both = binned(merged([*thin, *calls]), self._lanes.ns, BINS) if thin else ()
        self._band(both, place, drawing.hatch)
        self._band(shares, place, SOFT)
        for span, said in sorted(words.items(), key=lambda each: each[0][0] - each[0][1])[:20]:
            self._label(span, place, said)

    def _wide(
        self, spans: Sequence[Span], place: Place, fill: str, words: Callable[[Span], str]
    ) -> set[Span]:
        """Draws times of a driver as boxes; returns those that are too thin and too many."""
        crowds = Counter(int(start * self._scale / CROWD) for start, _ in spans)
        wide = [
            span
            for span in spans
            if length([span]) * self._scale >= THIN
            or crowds[int(span[0] * self._scale / CROWD)] <= MOST_IN_CROWD
        ]
        wide = sorted(wide, key=lambda span: span[0] - span[1])[:MOST_SPANS]
        for start, end in wide:
            tip = f"{words((start, end))}: {duration((end - start) / 1e9)}"
            width = (end - start) * self._scale
            self._drawing.box(self._x(start), place.y, width, place.height, fill, tip=tip)
        return set(spans) - set(wide)

    def _band(
        self, shares: Sequence[float], place: Place, fill: str, tip: str = "", paint: str = ""
    ) -> None:
        """A shape whose height in each part is a share of the place's, as one path."""
        path = band_path(shares, place.y, place.height)
        if path:
            inside = f"<title>{escape(tip)}</title>" if tip else ""
            self._drawing.raw(f'<path d="{path}" fill="{fill}"{paint}>{inside}</path>')

    def _bands(self, place: Place, lane: Lane, bars: Sequence[Bar]) -> None:
        """The tasks of a lane that are not drawn one by one."""
        rows = sorted({bar.row for bar in bars}) if place.rows else [0]
        top = 1 if place.rows else most_at_once((bar.start, bar.end) for bar in bars)
        for row in rows:
            kinds: dict[tuple[bool, str], list[Bar]] = defaultdict(list)
            for bar in bars:
                if bar.row == row or not place.rows:
                    kinds[bar.task.failed, bar.task.name].append(bar)
            most = max(kinds, key=lambda kind: len(kinds[kind]))
            whole = {kind: self._shares(of, top) for kind, of in kinds.items()}
            own = [self._shares(of, top, is_own=True) for of in kinds.values()]
            # Each part has the colour of the function that takes the most of it.
            first = [max(whole, key=lambda kind: whole[kind][at]) for at in range(BINS)]
            total, runs = (
                [min(1.0, sum(each)) for each in zip(*of, strict=True)]
                for of in (whole.values(), own)
            )
            here = Place(*place.row(row), 1)
            for kind, of in kinds.items():
                mine, run = (
                    [share if f == kind else 0.0 for share, f in zip(of, first, strict=True)]
                    for of in (total, runs)
                )
                what = f"{len(of):,} × {shortened(kind[1])}" + (" failed ✕" if kind[0] else "")
                took = duration(length(span for bar in of for span in bar.own) / 1e9)
                tip = f"{what}, together {took}; the height is the share of the time"
                self._band(mine, here, self._fill(of[0].task), tip, ' fill-opacity=".35"')
                self._band(run, here, self._fill(of[0].task), tip)
                if not place.rows and kind == most:
                    what += f", up to {lane.rows:,} at once"
                self._label(widest(mine, self._lanes.ns), here, what)

    def _shares(self, bars: Sequence[Bar], top: int, is_own: bool = False) -> list[float]:
        """What part of each part of the time they are there for, or run; of ``top`` at once."""
        if is_own or top > 1:
            spans = [span for bar in bars for span in bar.own]
        else:
            spans = [*clipped(((bar.begin, bar.stored) for bar in bars), 0, self._lanes.ns)]
        return [share / top for share in binned(spans, self._lanes.ns, BINS)]

    def _overhead(self) -> None:
        """The pale parts around the runs, one path for each hue."""
        paths: dict[str, str] = defaultdict(str)
        for at, bar in self.drawn:
            y, height = self._places[at].row(bar.row)
            for start, end in ((bar.begin, bar.start), (bar.end, bar.stored)):
                x, wide = self._x(start), (end - start) * self._scale
                if wide >= 0.7:
                    paths[self._fill(bar.task)] += (
                        f"M{x:.1f} {y + height / 4:.1f}h{wide:.1f}v{height / 2:.1f}h-{wide:.1f}z"
                    )
        for fill, path in paths.items():
            self._drawing.raw(f'<path d="{path}" fill="{fill}" fill-opacity=".35"/>')

    def _bar(self, place: Place, bar: Bar) -> None:
        y, height = place.row(bar.row)
        task, wide = bar.task, (bar.end - bar.start) * self._scale
        is_critical = task.id in self._critical
        times = ", ".join(
            f"{what} {duration(ns / 1e9)}"
            for what, ns in (
                ("runs", bar.end - bar.start - length(bar.waits)),
                ("waits", length(bar.waits)),
                ("before", bar.start - bar.begin),
                ("store", bar.stored - bar.end),
            )
            if ns > 0
        )
        name = shortened(task.full_name)
        if not task.ran:
            tip = f"{name}: has not ended"
            self._drawing.box(
                self._x(bar.start), y + 1, wide, height - 2, "var(--paper)",
                stroke=INK, is_dashed=True, tip=tip, task=task.id,
            )  # fmt: skip
        else:
            # A slit between neighbours, so that they can be told apart.
            wide -= 0.6 if wide > 3 and not is_critical else 0
            self._drawing.box(
                self._x(bar.start), y, wide, height, self._fill(task),
                stroke=INK if is_critical else "", is_thick=is_critical,
                tip=f"{name}: {times}", task=task.id,
            )  # fmt: skip
        start, end = max(bar.own, key=lambda span: span[1] - span[0], default=(bar.start, bar.end))
        if task.failed and wide >= WIDE_CROSS:
            end -= int(WIDE_CROSS / self._scale)  # the cross is there
        under = NOTEBOOK.hue(task.name) if task.ran and not task.failed else None
        self._label(
            (start, end), Place(y, height, 1), task.name, "on" if task.ran else "",
            under.colour if under and under.texture else "",
        )  # fmt: skip

    def _inside(self) -> None:
        """When drawn tasks stood still for others."""
        spans = [
            (end - start, start, self._places[at].row(bar.row))
            for at, bar in self.drawn
            for start, end in bar.waits
            if (end - start) * self._scale >= 0.7
        ]
        path = "".join(
            f"M{self._x(start):.1f} {y + 1:.1f}h{ns * self._scale:.1f}v{height - 2:.1f}"
            f"h-{ns * self._scale:.1f}z"
            for ns, start, (y, height) in sorted(spans, reverse=True)[:MOST_BARS]
        )
        if path:
            self._drawing.raw(
                f'<path d="{path}" fill="{self._drawing.hatch}" pointer-events="none"/>'
            )

    def _crosses(self) -> None:
        failed = [(at, bar) for at, bar in self.drawn if bar.task.failed][:MOST_CROSSES]
        for at, bar in failed:
            y, height = self._places[at].row(bar.row)
            wide = (bar.end - bar.start) * self._scale
            if wide >= WIDE_CROSS:
                self._drawing.cross(self._x(bar.end) - 8, y + height / 2, min(4, height / 3))
            else:  # too thin for a mark in it
                self._drawing.raw(
                    f'<text x="{self._x(bar.start) + wide / 2:.1f}" y="{y + height / 2 + 4:.1f}"'
                    f' class="halo c b" style="fill:{FAILURE}">✕</text>'
                )

    def _label(
        self, span: Span, place: Place, text: str, style: str = "halo", under: str = ""
    ) -> None:
        """``text`` in the middle of a time, or the end of a method's name, if there is room."""
        wide = (span[1] - span[0]) * self._scale
        whole = shortened(text, 60)
        short = whole.rpartition(".")[2] if style == "on" else whole
        words = whole if CHARACTER * len(whole) + 6 <= wide else short
        if words and CHARACTER * len(words) + 6 <= wide and place.height >= 12:
            y = place.y + place.height / 2 + 4
            label = (self._x(span[0]), self._x(span[1]), y, words, f"m c {style}", under)
            self._labels.append(label)

    def _path_marks(self) -> None:
        """A thick line under the bands where tasks of the critical path are in them."""
        drawn = {bar.task.id for _, bar in self.drawn}
        lines: dict[tuple[int, int], list[Span]] = defaultdict(list)
        for at, bar in self._banded:
            if bar.task.id in self._critical and bar.task.id not in drawn:
                row = bar.row if self._places[at].rows else 0
                lines[at, row].append((bar.start, bar.end + int(THIN / self._scale)))
        path = ""
        for (at, row), spans in lines.items():
            y, height = self._places[at].row(row)
            for start, end in merged(spans):
                wide = (end - start) * self._scale - THIN / 2
                path += f"M{self._x(start):.1f} {y + height - 1:.1f}h{wide:.1f}"
        if path:
            self._drawing.raw(f'<path d="{path}" stroke="{INK}" stroke-width="2"/>')

    def _arrows(self) -> None:
        """Thick ones along the critical path, hidden ones from tasks to what they submitted.

        What a task took is told by the details of the picture, from which its links are drawn.
        """
        ends = {bar.task.id: (at, bar) for at, bar in self.drawn}
        count = 0
        before: dict[tuple[int, int], float] = {}
        for one, other in pairwise(self._lanes.path):
            if one.id not in ends or other.id not in ends or count == MOST_THICK:
                continue
            line = self._line(ends[one.id], ends[other.id])
            # Several on one spot would hide each other, and what lies under them.
            where = ends[one.id][0], ends[other.id][0]
            is_near = line[1] == line[3] and line[2] - line[0] < NEAR
            if is_near or line[0] - before.get(where, -NEAR) < NEAR:
                continue
            before[where] = line[0]
            count += 1
            self._curves += points_of(*line)
            self._drawing.arrow(*line, is_thick=True, between=(one.id, other.id))
        path = set(pairwise(task.id for task in self._lanes.path))
        children = [
            bar.task
            for _, bar in self.drawn
            if bar.task.parent in ends and (bar.task.parent, bar.task.id) not in path
        ]
        for task in children[:MOST_HIDDEN]:
            between = task.parent or "", task.id
            line = self._line(ends[between[0]], ends[task.id])
            self._drawing.arrow(*line, is_hidden=True, between=between)

    def _line(
        self, one: tuple[int, Bar], other: tuple[int, Bar]
    ) -> tuple[float, float, float, float]:
        """Both ends of an arrow: where the one let the other go, and where that starts."""
        (at, first), (to, then) = one, other
        left = first.end
        if then.task.parent == first.task.id:
            left = max(first.start, then.task.stamps["submitted"] - self._lanes.begin)
        (y, height), (to_y, to_height) = (
            self._places[at].row(first.row),
            self._places[to].row(then.row),
        )
        x, to_x = self._x(min(left, then.start)), self._x(then.start)
        return x, y + height / 2, to_x, to_y + to_height / 2
