"""Chain and tree while they run: every call a box that fills, by what waits for what.

A column holds calls that may run at once, so a chain has n − 1 columns and a tree ⌈log2 n⌉; the
picture of the result has them in time.  Above :data:`MOST_VALUES` values a shape is one bar that
fills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from paralab.shown_text import shown_name
from paralab_profiling.aggregation.model import CHAIN, TREE, Call, chain_calls, tree_calls
from paralab_profiling.live.watched import Watched
from paralab_profiling.palette import NOTEBOOK
from paralab_profiling.picture import Picture
from paralab_profiling.recording import Task
from paralab_profiling.svg import IDLE, INK, SOFT, Drawing, duration, three_digits

LEFT, RIGHT = 92.0, 600.0
TOP = 62.0
MOST_VALUES = 32
WIDEST, BOX = 84.0, 20.0
LOCAL = "local"
WAITS, RUNS, DONE = 0, 1, 2


@dataclass
class AggregationSoFar:
    """What has ended, and the calls of the run at hand.

    Attributes:
        name: of the function.
        count: of values.
        repeats: how many runs there will be of each way.
        seconds: of the runs that have ended, by way.
        running: the way that runs, "" if none does.
        states: of its calls that are known, in the order in which they were submitted.
        done: how many of them have ended.
    """

    name: str
    count: int
    repeats: int
    seconds: dict[str, list[float]] = field(
        default_factory=lambda: {CHAIN: [], TREE: [], LOCAL: []}
    )
    running: str = ""
    states: Sequence[int] = ()
    done: int = 0

    def begin(self, way: str) -> None:
        """A run begins."""
        self.running, self.states, self.done = way, (), 0

    def hear(self, watched: Watched) -> None:
        """How far the run is, from what is known of the tasks that began with it."""
        tasks = sorted(watched.marks.values(), key=lambda task: task.stamps["submitted"])
        calls = [task for task in tasks if task.parent is None][: self.count - 1]
        self.states = [_state(task) for task in calls]
        self.done = watched.total.done + watched.total.failed

    def end(self, seconds: float) -> None:
        """It has ended."""
        self.seconds[self.running].append(seconds)
        self.running = ""

    @property
    def title(self) -> str:
        """The finding."""
        chain, tree = self.seconds[CHAIN], self.seconds[TREE]
        if not chain or not tree:
            return f"{shown_name(self.name, 30)}: no pair of runs has ended yet"
        gain = median(chain) / max(median(tree), 1e-9)
        return f"Tree {three_digits(gain)} × as fast as the chain so far"

    @property
    def note(self) -> str:
        """What remains."""
        ended = sum(map(len, self.seconds.values()))
        words = f"{ended} of {3 * self.repeats} runs"
        if all(self.seconds.values()):
            left = sum(median(of) * (self.repeats - len(of)) for of in self.seconds.values())
            words += f", about {duration(left)} to go" if left else ""
        return f"{words}; {self.count - 1:,} calls each; a column: calls that may run at once"

    def picture(self) -> Picture:
        """All of it, drawn."""
        drawing = Drawing()
        drawing.headline(self.title, self.note)
        y = TOP
        rows = []
        for way, calls in ((CHAIN, chain_calls(self.count)), (TREE, tree_calls(self.count))):
            depth = max(call.level for call in calls) + 1
            states = self._states_of(way, len(calls))
            drawing.text(16, y + 12, way, "m b")
            drawing.text(16, y + 27, f"depth {depth:,}", "s")
            if self.count <= MOST_VALUES:
                right, bottom = self._boxes(drawing, y, calls, states)
            else:
                right, bottom = self._bar(drawing, y, way, len(calls))
            self._said(drawing, right + 8, y + 15, way)
            y = max(bottom, y + 32) + 18
            ended = self._ended(way, len(calls))
            rows.append((way, f"{depth:,}", f"{ended:,}", f"{len(calls):,}", self._figures(way)))
        drawing.text(16, y, "filled: done; pale: it runs; dashed: it waits", "s")
        drawing.text(16, y + 17, f"local loop: {self._figures(LOCAL)}", "s")
        drawing.height = y + 28
        head = ("shape", "depth", "calls done", "of", "runs")
        lines = [self.title, self.note]
        lines += [f"{row[0]:<6} {row[2]} of {row[3]} calls done; {row[4]}" for row in rows]
        lines.append(f"local  {self._figures(LOCAL)}")
        svg = drawing.finish(self.title, self.note)
        return Picture(self.title, "\n".join(lines), svg, head, rows, drawing.id)

    def _states_of(self, way: str, calls: int) -> Mapping[int, int]:
        if self.running == way:
            return dict(enumerate(self.states))
        return dict.fromkeys(range(calls), DONE) if self.seconds[way] else {}

    def _ended(self, way: str, calls: int) -> int:
        if self.running == way:
            return self.done
        return calls if self.seconds[way] else 0

    def _boxes(
        self, drawing: Drawing, y: float, calls: Sequence[Call], states: Mapping[int, int]
    ) -> tuple[float, float]:
        """A box for each call; returns where they end."""
        wide = min(WIDEST, (RIGHT - LEFT) / (self.count - 1))
        is_row = len({call.level for call in calls}) == len(calls)
        pitch = max(5.0, min(13.0, 180.0 / self.count))
        height = BOX if is_row else max(4.0, min(BOX, 2 * pitch - 4))
        fill = drawing.fill(NOTEBOOK.hue(self.name))
        right = bottom = 0.0
        for at, call in enumerate(calls):
            x = LEFT + call.level * wide
            top = y if is_row else y + (call.first + call.last) / 2 * pitch
            state = states.get(at, WAITS)
            words = f"v{call.first + 1}–v{call.last + 1}"
            drawing.box(
                *(x, top, wide - 4, height, fill if state else "none"),
                stroke=SOFT if state == WAITS else INK if state == RUNS else "",
                is_dashed=state == WAITS,
                is_pale=state == RUNS,
                radius=3,
                tip=f"{words}: {('waits', 'runs', 'done')[state]}",
            )
            if height >= 13 and wide > 7.1 * len(words) + 10:
                style = "m c on" if state == DONE else "m c"
                drawing.text(x + (wide - 4) / 2, top + height / 2 + 4, words, style)
            right, bottom = max(right, x + wide - 4), max(bottom, top + height)
        return right, bottom

    def _bar(self, drawing: Drawing, y: float, way: str, calls: int) -> tuple[float, float]:
        ended = self._ended(way, calls)
        drawing.box(LEFT, y, RIGHT - LEFT, BOX, IDLE, radius=3)
        if ended:
            width = (RIGHT - LEFT) * min(1.0, ended / calls)
            fill = drawing.fill(NOTEBOOK.hue(self.name))
            drawing.box(LEFT, y, width, BOX, fill, tip=f"{ended:,} of {calls:,} calls done")
        return RIGHT, y + BOX

    def _said(self, drawing: Drawing, x: float, y: float, way: str) -> None:
        of = self.seconds[way]
        if of:
            drawing.text(x, y, duration(median(of)), "b")
        drawing.text(744, y, f"{len(of)} of {self.repeats} runs", "s e")

    def _figures(self, way: str) -> str:
        of = self.seconds[way]
        middle = f", median {duration(median(of))}" if of else ""
        return f"{len(of)} of {self.repeats} runs{middle}"


def _state(task: Task) -> int:
    return DONE if task.state in ("done", "failed") else RUNS if task.state == "running" else WAITS
