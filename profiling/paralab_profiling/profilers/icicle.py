"""The frames of a profile as boxes: roots at the top, each box as wide as what it took.

Your code is coloured, libraries are pale, paralab is hatched; the answer is outlined.  What would
be narrower than :data:`NARROWEST` is left out, and said so; below :data:`MOST_LEVELS` levels the
picture ends, and says so too.  ``flame`` is the same with the roots at the bottom.  Where scripts
run, a click on a box makes it as wide as the picture (``zoom.js``, which draws as is done here).
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from paralab.shown_text import shown_name
from paralab_profiling.picture import Picture
from paralab_profiling.profilers import words
from paralab_profiling.profilers.tree import Frame
from paralab_profiling.profilers.zoom import ALL, MEANINGS, MONO, Frames, fills, look_of
from paralab_profiling.svg import IDLE, INK, LINE, Drawing

if TYPE_CHECKING:
    from paralab_profiling.profilers.result import Profile

LEFT, RIGHT = 16.0, 744.0
TOP = 58.0
ROW = 26.0
GAP = 2.0
NARROWEST = 2.0
MOST_LEVELS = 18
LETTERS = 130
"""Of small text, in a line of the picture."""
LINE_HEIGHT = 18.0
MOST_LINES = 4
"""Of how it was measured, below."""


def icicle(profile: Profile) -> Picture:
    """The picture with the roots at the top."""
    return _drawn(profile, is_upright=False)


def flame(profile: Profile) -> Picture:
    """The picture with the roots at the bottom, as flame graphs are drawn elsewhere."""
    return _drawn(profile, is_upright=True)


def _drawn(profile: Profile, is_upright: bool) -> Picture:
    drawing = Drawing()
    title, note = words.title(profile), words.note(profile)
    more = told(drawing, profile)
    painter = _Painter(drawing, profile, is_upright)
    bottom = painter.paint()
    drawing.raw('<g class="pl-below">')
    painter.legend(bottom + 10)
    drawing.height = bottom + 34
    for line in more:
        drawing.text(16, drawing.height + 10, line, "s")
        drawing.height += LINE_HEIGHT
    drawing.height += 4 if more else 0
    drawing.raw("</g>")
    frames = painter.frames
    places = {
        "left": LEFT,
        "right": RIGHT,
        "top": TOP,
        "row": ROW,
        "gap": GAP,
        "levels": painter.levels,
        "deepest": MOST_LEVELS,
        "least": NARROWEST,
    }
    zoom = frames.data("flame" if is_upright else "icicle", drawing.hatch, places)
    return Picture(
        *(title, words.text(profile), drawing.finish(title, note), words.HEAD, words.rows(profile)),
        *(drawing.id, frames.details()),
        zoom=zoom,
    )


def told(drawing: Drawing, profile: Profile) -> list[str]:
    """Writes the finding and how it was measured; what finds no room there is for below.

    Returns:
        Lines: what it was measured on, and the rest of how.
    """
    parts = words.notes(profile)
    shown = 1
    while shown < len(parts) and len(", ".join(parts[: shown + 1])) <= LETTERS:
        shown += 1
    title = words.short(words.title(profile), int((RIGHT - LEFT) / 8.2))
    drawing.headline(title, words.short(", ".join(parts[:shown]), LETTERS))
    lines: list[str] = []
    for text in (words.measured_on(profile), ", ".join(parts[shown:])):
        lines += textwrap.wrap(shown_name(text), LETTERS, max_lines=MOST_LINES, placeholder=" …")
    return lines


class _Painter:
    def __init__(self, drawing: Drawing, profile: Profile, is_upright: bool) -> None:
        self._drawing, self._profile = drawing, profile
        self.frames = Frames(profile)
        self._fills = fills(drawing.hatch)
        whole = self.frames.whole
        self._scale = (RIGHT - LEFT) / whole if whole > 0 else 0.0
        self._narrow = 0
        self._is_upright = is_upright
        self.levels = 1

    def paint(self) -> float:
        """Draws all frames; where they end."""
        boxes: list[tuple[int, float, Frame]] = []
        x = LEFT
        for root in self._profile.roots:
            self._place(root, x, 1, boxes)
            x += root.total * self._scale
        self.levels = max((level for level, _, _ in boxes), default=0) + 1
        self._drawing.raw('<g class="pl-frames">')
        self._all()
        for level, at, frame in boxes:
            self._frame(frame, at, self._y(level))
        self._drawing.raw("</g>")
        return TOP + self.levels * ROW

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
        at = self.levels - 1 - level if self._is_upright else level
        return TOP + at * ROW

    def _all(self) -> None:
        y, profile = self._y(0), self._profile
        whole = words.amount_of(self.frames.whole, profile.unit)
        self._drawing.box(LEFT, y, RIGHT - LEFT, ROW - GAP, IDLE, stroke=LINE, task=ALL)
        self._drawing.text(LEFT + 8, y + 16, f"all tasks  {whole}", "m halo")

    def _frame(self, frame: Frame, x: float, y: float) -> None:
        frames = self.frames
        width = frame.total * self._scale - 1.5
        fill, outline, style = self._fills[look_of(frame.kind)]
        is_answer = frame.where == frames.answer
        self._drawing.box(
            *(x, y, width, ROW - GAP, fill),
            stroke=INK if is_answer else outline,
            is_thick=is_answer,
            tip=frames.tip(frame),
            task=frames.keys.get(id(frame), ""),
        )
        self._label(frame, frames.label(frame), frames.share(frame), x, y, width, style)

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
        looks = {look_of(each.kind) for root in self._profile.roots for _, each in root.walk()}
        for look, label in MEANINGS.items():
            if look in looks:
                self._drawing.box(x, y, 18, 10, self._fills[look][0], stroke=LINE)
                self._drawing.text(x + 25, y + 9, label, "s")
                x += 40 + 6.2 * len(label)
        if self.frames.answer is not None:
            self._drawing.box(x, y, 18, 10, "none", stroke=INK, is_thick=True)
            self._drawing.text(x + 25, y + 9, "the answer", "s")
            x += 102
        if self._narrow:
            count = words.counted(self._narrow, "frame")
            self._drawing.text(x, y + 9, f"+ {count} too small to be drawn", "s pl-rest")
