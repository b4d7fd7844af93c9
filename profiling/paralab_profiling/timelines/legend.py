"""The legend of the timeline: one line, of what there is, in the order of the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from paralab_profiling.palette import NOTEBOOK
from paralab_profiling.svg import IDLE, INK, LINE, SOFT, Drawing
from paralab_profiling.timelines.lanes import Lanes

WIDE, HIGH = 14.0, 10.0
"""Of a swatch."""
CHARACTER = 5.4
"""Width of one character."""


def draw_legend(drawing: Drawing, lanes: Lanes, y: float, shown: Mapping[str, bool]) -> None:
    """Draws it from the left margin on.

    Args:
        drawing: gets it.
        lanes: what is in the picture.
        y: its top.
        shown: of "its overhead" and "many: share busy" whether they are in the picture.
    """
    runs = Counter[str]()
    for _, bar in lanes.bars:
        runs[bar.task.name] += bar.end - bar.start
    # One without a texture, if there is any, can be recognised best.
    hues = sorted((NOTEBOOK.hue(name) for name, _ in runs.most_common()), key=lambda h: h.texture)
    fill = drawing.fill(hues[0]) if hues else SOFT
    entries = (
        ("in .remote() or put", any(lane.calls for lane in lanes.lanes)),
        ("your function", bool(runs)),
        ("its overhead", shown["its overhead"]),
        ("many: share busy", shown["many: share busy"]),
        ("blocked", any(lane.still for lane in lanes.lanes)),
        ("idle", True),
        ("critical path", bool(lanes.path)),
    )
    x = 16.0
    for words in (words for words, is_there in entries if is_there):
        _swatch(drawing, words, x, y, fill)
        drawing.text(x + WIDE + 6, y + 9, words, "s")
        x += WIDE + 6 + CHARACTER * len(words) + 12


def _swatch(drawing: Drawing, words: str, x: float, y: float, fill: str) -> None:
    if words == "its overhead":
        drawing.box(x, y + 2, WIDE, 6, fill, is_pale=True)
    elif words == "many: share busy":
        drawing.box(x, y, WIDE, HIGH, IDLE)
        drawing.box(x, y + 2, WIDE, HIGH - 2, fill, is_pale=True, radius=0)
        drawing.raw(f'<path d="M{x:g} {y + HIGH:g}v-4h5v-2h4v3h5v3z" fill="{fill}"/>')
    elif words == "critical path":
        drawing.box(x, y, WIDE, HIGH, fill, stroke=INK, is_thick=True)
    elif words == "idle":
        drawing.box(x, y, WIDE, HIGH, IDLE, stroke=LINE)
    else:
        fills = {"blocked": drawing.hatch, "in .remote() or put": SOFT}
        drawing.box(x, y, WIDE, HIGH, fills.get(words, fill))
