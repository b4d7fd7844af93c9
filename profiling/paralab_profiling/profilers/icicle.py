"""The frames of a profile as boxes: roots at the top, each box as wide as what it took.

Your code is coloured, libraries are pale, paralab is hatched; the answer is outlined.  What would
be narrower than :data:`NARROWEST` is left out, and said so; below :data:`MOST_LEVELS` levels the
picture ends, and says so too.  ``flame`` is the same with the roots at the bottom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paralab_profiling.palette import RUN
from paralab_profiling.picture import Picture
from paralab_profiling.profilers import words
from paralab_profiling.profilers.tree import Frame, Where
from paralab_profiling.svg import IDLE, INK, LINE, Drawing, percent

if TYPE_CHECKING:
    from paralab_profiling.profilers.result import Profile

LEFT, RIGHT = 16.0, 744.0
TOP = 58.0
ROW = 26.0
GAP = 2.0
NARROWEST = 2.0
MOST_LEVELS = 18
MONO = 7.2
"""Width of one character of code."""
_YOURS = RUN.colour


def icicle(profile: Profile) -> Picture:
    """The picture with the roots at the top."""
    return _drawn(profile, is_upright=False)


def flame(profile: Profile) -> Picture:
    """The picture with the roots at the bottom, as flame graphs are drawn elsewhere."""
    return _drawn(profile, is_upright=True)


def _drawn(profile: Profile, is_upright: bool) -> Picture:
    drawing = Drawing()
    title, note = words.title(profile), words.note(profile)
    drawing.headline(_fitting(title, 8.2), _fitting(note, 5.6))
    painter = _Painter(drawing, profile, is_upright)
    bottom = painter.paint()
    painter.legend(bottom + 10)
    drawing.height = bottom + 34
    if stamp := words.measured_on(profile):
        drawing.text(16, drawing.height + 10, _fitting(stamp, 5.6), "s")
        drawing.height += 22
    svg = drawing.finish(title, note)
    details = painter.details
    rows = words.rows(profile)
    return Picture(title, words.text(profile), svg, words.HEAD, rows, drawing.id, details)


def _fitting(text: str, width: float) -> str:
    """``text``, cut where a line of the picture ends."""
    return words.short(text, int((RIGHT - LEFT) / width))


class _Painter:
    def __init__(self, drawing: Drawing, profile: Profile, is_upright: bool) -> None:
        self._drawing, self._profile = drawing, profile
        self._whole = profile.total_of_all
        self._scale = (RIGHT - LEFT) / self._whole if self._whole > 0 else 0.0
        found = words.answer(profile)
        self._answer: Where | None = found.where if found else None
        self._narrow = 0
        self._is_upright = is_upright
        self._levels = 1
        self.details: dict[str, dict[str, str]] = {}

    def paint(self) -> float:
        """Draws all frames; where they end."""
        boxes: list[tuple[int, float, Frame]] = []
        x = LEFT
        for root in self._profile.roots:
            self._place(root, x, 1, boxes)
            x += root.total * self._scale
        self._levels = max((level for level, _, _ in boxes), default=0) + 1
        self._all()
        for level, at, frame in boxes:
            self._frame(frame, at, self._y(level))
        return TOP + self._levels * ROW

    def _place(
        self, frame: Frame, x: float, level: int, boxes: list[tuple[int, float, Frame]]
    ) -> None:
        if frame.total * self._scale < NARROWEST or level > MOST_LEVELS:
            self._narrow += sum(1 for _ in frame.walk())
            return
        boxes.append((level, x, frame))
        for child in frame.children:
            self._place(child, x, level + 1, boxes)
            x += child.total * self._scale

    def _y(self, level: int) -> float:
        at = self._levels - 1 - level if self._is_upright else level
        return TOP + at * ROW

    def _all(self) -> None:
        y, profile = self._y(0), self._profile
        whole = words.amount_of(self._whole, profile.unit)
        self._drawing.box(LEFT, y, RIGHT - LEFT, ROW - GAP, IDLE, stroke=LINE)
        self._drawing.text(LEFT + 8, y + 16, f"all tasks  {whole}", "m")

    def _frame(self, frame: Frame, x: float, y: float) -> None:
        profile, draw = self._profile, self._drawing
        width = frame.total * self._scale - 1.5
        is_yours = frame.kind in ("task", "yours")
        fill = (
            _YOURS
            if is_yours
            else {"runtime": draw.hatch, "waiting": IDLE}.get(frame.kind, "var(--panel)")
        )
        is_answer = frame.where == self._answer
        name = words.short(frame.name, 80)
        if frame.kind == "task" and frame.calls:
            name = f"{name} ×{frame.calls:,}"
        share = percent(frame.total / self._whole)
        whole, own = (words.amount_of(each, profile.unit) for each in (frame.total, frame.own))
        key = f"frame{len(self.details)}"
        self.details[key] = {
            "function": words.short(frame.name, 200),
            "where": words.place(frame.where),
            "total": f"{whole}, {share}",
            "own": own,
        }
        if frame.calls:
            self.details[key]["tasks" if frame.kind == "task" else "calls"] = f"{frame.calls:,}"
        draw.box(
            *(x, y, width, ROW - GAP, fill),
            stroke=INK if is_answer else "" if is_yours else LINE,
            is_thick=is_answer,
            tip=f"{name}  {words.place(frame.where)}: {whole}, {share}",
            task=key,
        )
        self._label(frame, name, share, x, y, width, "on" if is_yours else "halo")

    def _label(
        self, frame: Frame, name: str, share: str, x: float, y: float, width: float, style: str
    ) -> None:
        room = int((width - 12) / MONO)
        if room < 3:
            return
        base = y + 16
        if len(name) > room:
            self._drawing.text(x + 6, base, f"{name[: room - 1]}…", f"m {style}")
            return
        place = words.place(frame.where)
        has_share = room >= len(name) + len(share) + 2
        if has_share:
            self._drawing.text(x + width - 6, base, share, f"e {style}")
            room -= len(share) + 2
        if place and room >= len(name) + len(place) + 2:
            name = f"{name}  {place}"
        self._drawing.text(x + 6, base, name, f"m {style}")

    def legend(self, y: float) -> None:
        """What the fills mean, in one line, and what is not drawn."""
        x = LEFT
        kinds = {
            frame.kind if frame.kind != "task" else "yours"
            for root in self._profile.roots
            for _, frame in root.walk()
        }
        for kind, fill, label in (
            ("yours", _YOURS, "your code"),
            ("library", "var(--panel)", "libraries"),
            ("runtime", self._drawing.hatch, "paralab itself"),
            ("waiting", IDLE, "waiting"),
        ):
            if kind in kinds:
                self._drawing.box(x, y, 18, 10, fill, stroke=LINE)
                self._drawing.text(x + 25, y + 9, label, "s")
                x += 40 + 6.2 * len(label)
        if self._answer is not None:
            self._drawing.box(x, y, 18, 10, "none", stroke=INK, is_thick=True)
            self._drawing.text(x + 25, y + 9, "the answer", "s")
            x += 102
        if self._narrow:
            count = words.counted(self._narrow, "frame")
            self._drawing.text(x, y + 9, f"+ {count} too small to be drawn", "s")
