"""The frames of a profile as rings: all tasks in the middle, around each frame what it called.

An angle is a share of everything, so what is as wide as half of the circle took half of the time,
at whatever depth.  Rings have room for names only where they are long, so the functions that took
most themselves stand beside them.  Colours, the answer and what a click does are those of the
icicle, which is easier to read where stacks are deep: rings end at :data:`MOST_RINGS`.
"""

from __future__ import annotations

from math import cos, pi, sin
from typing import TYPE_CHECKING

from paralab_profiling.picture import Picture
from paralab_profiling.profilers import words
from paralab_profiling.profilers.icicle import LINE_HEIGHT, told
from paralab_profiling.profilers.tree import Frame
from paralab_profiling.profilers.zoom import ALL, MEANINGS, MONO, Frames, fills, look_of
from paralab_profiling.svg import IDLE, INK, LINE, Drawing, escape, percent

if TYPE_CHECKING:
    from paralab_profiling.profilers.result import Profile

X, Y = 196.0, 226.0
"""The middle."""
CORE, OUTER = 46.0, 168.0
"""Radius of all tasks, and of the outermost ring."""
MOST_RINGS = 6
WIDEST = 34.0
"""Of a ring."""
LOWEST = 15.0
"""Ring that has room for letters."""
NARROWEST = 2.0
"""Length of an arc, at the outermost ring."""
LEFT, RIGHT = 398.0, 744.0
"""Of the list."""
MOST_ROWS = 8
BOTTOM = 404.0


def sunburst(profile: Profile) -> Picture:
    """The picture of a profile whose frames were measured; see the module."""
    drawing = Drawing()
    title, note = words.title(profile), words.note(profile)
    more = told(drawing, profile)
    painter = _Painter(drawing, profile)
    painter.rings()
    painter.functions()
    drawing.raw('<g class="pl-below">')
    painter.legend()
    drawing.height = BOTTOM
    for line in more:
        drawing.text(16, drawing.height + 8, line, "s")
        drawing.height += LINE_HEIGHT
    drawing.raw("</g>")
    frames = painter.frames
    places = {
        "x": X,
        "y": Y,
        "core": CORE,
        "outer": OUTER,
        "most": MOST_RINGS,
        "widest": WIDEST,
        "least": NARROWEST,
        "lowest": LOWEST,
        "id": drawing.id,
    }
    zoom = frames.data("sunburst", drawing.hatch, places)
    return Picture(
        *(title, words.text(profile), drawing.finish(title, note), words.HEAD, words.rows(profile)),
        *(drawing.id, frames.details()),
        zoom=zoom,
    )


class _Painter:
    def __init__(self, drawing: Drawing, profile: Profile) -> None:
        self._drawing, self._profile = drawing, profile
        self.frames = Frames(profile)
        self._fills = fills(drawing.hatch)
        self._hidden = 0
        self._ring = WIDEST

    def rings(self) -> None:
        """Draws all frames; the answer last, so that no neighbour covers its outline."""
        found: list[tuple[int, float, Frame]] = []
        turn = 0.0
        for root in self._profile.roots:
            self._place(root, turn, 1, found)
            turn += self._angle(root)
        depth = max((level for level, _, _ in found), default=1)
        self._ring = min(WIDEST, (OUTER - CORE) / depth)
        self._drawing.raw('<g class="pl-frames">')
        self._middle()
        for level, start, frame in sorted(found, key=lambda one: self._is_answer(one[2])):
            self._sector(frame, start, level)
        self._drawing.raw("</g>")

    def _is_answer(self, frame: Frame) -> bool:
        return frame.where == self.frames.answer

    def _angle(self, frame: Frame) -> float:
        return 2 * pi * frame.total / self.frames.whole if self.frames.whole > 0 else 0.0

    def _place(
        self, frame: Frame, start: float, level: int, found: list[tuple[int, float, Frame]]
    ) -> None:
        angle = self._angle(frame)
        if angle * OUTER < NARROWEST or level > MOST_RINGS:
            self._hidden += sum(1 for _ in frame.walk())
            return
        found.append((level, start, frame))
        for child in frame.children:
            self._place(child, start, level + 1, found)
            start += self._angle(child)

    def _middle(self) -> None:
        whole = words.amount_of(self.frames.whole, self._profile.unit)
        self._drawing.raw(
            f'<circle cx="{X:g}" cy="{Y:g}" r="{CORE - 1:g}" fill="{IDLE}" stroke="{LINE}"'
            f' data-task="{ALL}"><title>{escape(f"all tasks: {whole}")}</title></circle>'
        )
        self._drawing.text(X, Y - 2, "all tasks", "m c halo")
        self._drawing.text(X, Y + 14, whole, "c halo")

    def _sector(self, frame: Frame, start: float, level: int) -> None:
        frames, end = self.frames, start + self._angle(frame)
        fill, outline, style = self._fills[look_of(frame.kind)]
        inner = CORE + (level - 1) * self._ring
        is_answer = self._is_answer(frame)
        key = frames.keys.get(id(frame), "")
        task = f' data-task="{key}"' if key else ""
        self._drawing.raw(
            f'<path d="{sector(inner, inner + self._ring - 1, start, end)}" fill="{fill}"'
            f' fill-rule="evenodd" stroke="{INK if is_answer else outline or "var(--paper)"}"'
            f' stroke-width="{2 if is_answer else 1}"{task}>'
            f"<title>{escape(frames.tip(frame))}</title></path>"
        )
        self._label(frames.label(frame), key, inner + self._ring / 2 - 0.5, start, end, style)

    def _label(
        self, name: str, key: str, middle: float, start: float, end: float, style: str
    ) -> None:
        """A name along its ring, upright in both halves of the circle."""
        room = int(((end - start) * middle - 8) / MONO)
        if room < 3 or self._ring < LOWEST or not key:
            return
        text = name if len(name) <= room else f"{name[: room - 1]}…"
        turn, half = (start + end) / 2, min((end - start) / 2, pi - 0.01)
        is_over = cos(turn) >= 0
        radius = middle + (-4 if is_over else 4)
        one, two = (turn - half, turn + half) if is_over else (turn + half, turn - half)
        way = f"{self._drawing.id}-{key}"
        self._drawing.raw(
            f'<path id="{way}" d="M{_point(radius, one)}{_arc(radius, one, two)}" fill="none"/>'
            f'<text class="m c {style}"><textPath href="#{way}" startOffset="50%">'
            f"{escape(text)}</textPath></text>"
        )

    def functions(self) -> None:
        """The list of what took most itself."""
        whole, y = self.frames.whole, 76.0
        if whole <= 0:
            return
        self._drawing.text(LEFT, y, "took most itself", "b")
        room = int((RIGHT - LEFT - 88) / MONO)
        for frame in self._profile.top(MOST_ROWS):
            y += 31
            fill, outline, _ = self._fills[look_of(frame.kind)]
            is_answer = self._is_answer(frame)
            edge = INK if is_answer else outline
            self._drawing.box(LEFT, y - 9, 18, 10, fill, stroke=edge, is_thick=is_answer)
            self._drawing.text(LEFT + 78, y, percent(frame.own / whole), "e")
            self._drawing.text(LEFT + 88, y, words.short(frame.name, room), "m")
            self._drawing.text(LEFT + 88, y + 13, words.short(words.place(frame.where), 42), "s")

    def legend(self) -> None:
        """What the fills mean, and what is not drawn."""
        looks = {look_of(each.kind) for root in self._profile.roots for _, each in root.walk()}
        marks = [(self._fills[look][0], label) for look, label in MEANINGS.items() if look in looks]
        if self.frames.answer is not None:
            marks.append(("", "the answer"))
        x, y = LEFT, 354.0
        for fill, label in marks:
            width = 40 + 6.2 * len(label)
            if x + width > RIGHT:
                x, y = LEFT, y + 18
            edge = LINE if fill else INK
            self._drawing.box(x, y, 18, 10, fill or "none", stroke=edge, is_thick=not fill)
            self._drawing.text(x + 25, y + 9, label, "s")
            x += width
        if self._hidden:
            count = words.counted(self._hidden, "frame")
            self._drawing.text(LEFT, y + 27, f"+ {count} too small to be drawn", "s pl-rest")


def _point(radius: float, turn: float) -> str:
    return f"{X + radius * sin(turn):.1f} {Y - radius * cos(turn):.1f}"


def _arc(radius: float, start: float, end: float) -> str:
    """To the angle ``end``, clockwise from the top; the other way round if that is smaller."""
    is_long, is_clockwise = int(abs(end - start) > pi), int(end > start)
    return f"A{radius:.1f} {radius:.1f} 0 {is_long} {is_clockwise} {_point(radius, end)}"


def _circle(radius: float) -> str:
    return f"M{_point(radius, 0)}{_arc(radius, 0, pi)}{_arc(radius, pi, 2 * pi)}Z"


def sector(inner: float, outer: float, start: float, end: float) -> str:
    """The path of a piece of a ring, between two radii and two angles; of a whole one, too."""
    if end - start > 2 * pi - 1e-3:  # an arc that ends where it begins is none
        return _circle(outer) + _circle(inner)
    return (
        f"M{_point(inner, start)}L{_point(outer, start)}{_arc(outer, start, end)}"
        f"L{_point(inner, end)}{_arc(inner, end, start)}Z"
    )
