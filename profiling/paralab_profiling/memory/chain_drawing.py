"""Chains of references as boxes, one line for each, with the object that they hold at the right.

What begins a chain is what one can let go of, so it stands first, in bold; the object has the
thick outline of an answer.  What only the runtime knows has a dashed box and no steps between.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from paralab.shown_text import shown_name
from paralab_profiling.memory.chains import Chain, Step
from paralab_profiling.palette import RUN, STORE
from paralab_profiling.picture import Picture
from paralab_profiling.svg import INK, LINE, Drawing

TOP, STEP, BOX = 66.0, 46.0, 26.0
LETTER = 7.0
GAP = 18.0
LONGEST_WHAT, LONGEST_HOW = 24, 18
MOST_STEPS = 5
"""Of one chain; what is between is counted."""
MOST_LINES = 14


def draw_chains(
    chains: Sequence[Chain],
    others: Sequence[str],
    name: str,
    title: str,
    note: str,
    stamp: str = "",
) -> Picture:
    """Who holds an object.

    Args:
        chains: what was found in this process, the object last.
        others: who else holds it, in words.
        name: of the object.
        title: the finding.
        note: how it was found.
        stamp: what it was found on.
    """
    drawing = Drawing()
    drawing.headline(_cut(title, 92), _cut(note, 118))
    y = draw_into(drawing, TOP, chains, others, name)
    if stamp:
        drawing.text(16, y + 4, _cut(stamp, 118), "s")
        y += 20
    drawing.height = y + 6
    rows = [(_begin(chain), " → ".join(_words(chain.steps)), _whole(chain)) for chain in chains]
    rows += [(each, "known to the runtime, not followed", "") for each in others]
    told = [line for each in (title, note) for line in wrap(shown_name(each), 80)]
    ways = [*map(str, chains), *others]
    told += ["", *(shown_name(f"{number}. {way}") for number, way in enumerate(ways, 1))]
    told += wrap(shown_name(stamp), 80)
    head = ("held by", "how", "")
    return Picture(
        title,
        "\n".join(told),
        drawing.finish(title, note),
        head,
        rows,
        drawing.id,
        width=drawing.width,
    )


def draw_into(
    drawing: Drawing, top: float, chains: Sequence[Chain], others: Sequence[str], name: str
) -> float:
    """Draws the chains from ``top`` on, makes room to the right, and returns where they end."""
    lines = [_folded(chain) for chain in chains[:MOST_LINES]]
    more = others[: max(0, MOST_LINES - len(lines))]
    ends = [_width_of(line) for line in lines] + [16 + _box(each, 56) + 40 for each in more]
    at = max([*ends, 200.0])
    right = at + _box(name, LONGEST_WHAT) + 8
    if right > drawing.width - 12:
        drawing.width = right + 16
    y = top
    for chain, line in zip(chains, lines, strict=False):
        _draw_line(drawing, y, line, at, chain.is_whole)
        y += STEP
    for each in more:
        width = _box(each, 56)
        tip = f"{each}; the steps between are not known"
        drawing.box(16, y, width, BOX, "var(--paper)", stroke=STORE.colour, is_dashed=True, tip=tip)
        drawing.text(16 + 8, y + 17, _cut(each, 56), "m")
        drawing.route([(16 + width, y + BOX / 2), (at, y + BOX / 2)], dash="4 3")
        y += STEP
    if lines or more:
        height = y - top - STEP + BOX
        fill = "var(--panel)"
        drawing.box(at, top, right - at, height, fill, stroke=INK, is_thick=True, tip=name)
        drawing.text((at + right) / 2, top + height / 2 + 4, _cut(name, LONGEST_WHAT), "m b c")
    left = len(chains) + len(others) - len(lines) - len(more)
    if left:
        drawing.text(16, y, f"+ {left:,} more, in the table", "s")
        y += 20
    return y


def _draw_line(
    drawing: Drawing, y: float, steps: Sequence[Step], at: float, is_whole: bool
) -> None:
    x = 16.0
    if not is_whole:
        drawing.text(x, y + 17, "…", "m")
        x += 16
    for place, step in enumerate(steps[:-1]):
        width = _box(step.what, LONGEST_WHAT)
        first = place == 0
        stroke = RUN.colour if first and is_whole else LINE
        drawing.box(x, y, width, BOX, "var(--paper)", stroke=stroke, tip=f"{step.what} {step.how}")
        drawing.text(x + 8, y + 17, _cut(step.what, LONGEST_WHAT), "m b" if first else "m")
        x += width
        reach = at if place == len(steps) - 2 else x + _arrow(step.how)
        drawing.route([(x, y + BOX / 2), (reach, y + BOX / 2)])
        drawing.text(x + 6, y + BOX / 2 - 4, _cut(step.how, LONGEST_HOW), "m halo")
        x = reach


def _width_of(steps: Sequence[Step]) -> float:
    return 32 + sum(_box(step.what, LONGEST_WHAT) + _arrow(step.how) for step in steps[:-1])


def _box(words: str, most: int) -> float:
    return min(len(words), most) * LETTER + 16


def _arrow(words: str) -> float:
    return min(len(words), LONGEST_HOW) * LETTER + GAP + 8


def _folded(chain: Chain) -> list[Step]:
    """The steps that are drawn; of a long chain the first and the last ones."""
    steps = list(chain.steps)
    if len(steps) <= MOST_STEPS + 1:
        return steps
    between = len(steps) - MOST_STEPS
    return [*steps[:2], Step(f"… {between} more", ""), *steps[-3:]]


def _words(steps: Sequence[Step]) -> list[str]:
    return [f"{step.what} {step.how}".strip() for step in steps]


def _begin(chain: Chain) -> str:
    first = chain.steps[0]
    return f"{first.what} {first.how}".strip()


def _whole(chain: Chain) -> str:
    return "" if chain.is_whole else "what holds the first was not found"


def _cut(words: str, most: int) -> str:
    words = shown_name(words)
    return words if len(words) <= most else f"{words[: most - 1]}…"
