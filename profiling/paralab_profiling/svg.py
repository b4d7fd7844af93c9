"""The strokes that all pictures are made of: colours, text, bars, the time axis.

Colours of ink, lines and surfaces are variables with two fall-backs: JupyterLab's theme where
the SVG stands in the page, the reader's system where it is an ``<img>``, then light.  Ids are
unique for each drawing, because several stand on one page.  All text is escaped here.
"""

from __future__ import annotations

import html
import math
import re
import secrets
from collections.abc import Iterator, Sequence

from paralab.shown_text import shown_text
from paralab_profiling.palette import STORE, Hue

WIDTH = 760
IDLE = "var(--idle)"
INK = "var(--ink)"
SOFT = "var(--soft)"
LINE = "var(--line)"

STYLE = """
.pl{--pl-ink:#1f2328;--pl-soft:#59636e;--pl-line:#d1d9e0;--pl-paper:#fff;--pl-idle:#e6eaef;
--pl-panel:#f3f5f8}
@media(prefers-color-scheme:dark){.pl{--pl-ink:#e6edf3;--pl-soft:#9aa4af;--pl-line:#3a424c;
--pl-paper:#111417;--pl-idle:#272d35;--pl-panel:#1b2026}}
.pl{--ink:var(--jp-ui-font-color1,var(--pl-ink));--soft:var(--jp-ui-font-color2,var(--pl-soft));
--line:var(--jp-border-color2,var(--pl-line));--paper:var(--jp-layout-color0,var(--pl-paper));
--idle:var(--jp-layout-color2,var(--pl-idle));--panel:var(--jp-layout-color2,var(--pl-panel))}
.pl text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
fill:var(--ink);font-variant-numeric:tabular-nums}
.pl .m{font-family:ui-monospace,"SF Mono",Menlo,"DejaVu Sans Mono",monospace;font-size:11.5px}
.pl .s{fill:var(--soft);font-size:11px}.pl .h{font-size:15px;font-weight:650}
.pl .b{font-weight:600}.pl .on{fill:#fff;font-weight:700}.pl .e{text-anchor:end}
.pl .c{text-anchor:middle}.pl .sel{display:none}
.pl .halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
.pl .plate{paint-order:stroke;stroke-width:6px;stroke-linejoin:round}
.pl .on,.pl .halo{pointer-events:none}
"""

_no_xml = re.compile(r"[\x1b\ufffe\uffff]")


def escape(text: str) -> str:
    """``text`` as text in XML and HTML, whatever is in it."""
    return html.escape(_no_xml.sub("\ufffd", shown_text(text)))


def three_digits(number: float) -> str:
    """``number`` with three significant digits, without an exponent: 0.0412, 1.74, 1,240."""
    if not number:
        return "0"
    number = float(f"{number:.3g}")  # before its size is taken: 99.96 has become 100
    return f"{number:,.{max(0, 2 - math.floor(math.log10(abs(number))))}f}"


def percent(share: float) -> str:
    """``share`` of 1 as "0.0490 %", "9.10 %", "12 %" or "104 %"; what is not nothing is never 0."""
    number = share * 100
    return f"{three_digits(number)} %" if abs(number) < 9.995 else f"{number:,.0f} %"


def duration(seconds: float) -> str:
    """``seconds`` in the unit that suits: "850 µs", "41.2 ms", "2.05 s"."""
    if abs(seconds) >= 0.9995:  # what is rounded to 1,000 ms is 1 s
        return f"{three_digits(seconds)} s"
    if abs(seconds) >= 0.9995e-3:
        return f"{three_digits(seconds * 1e3)} ms"
    return f"{three_digits(seconds * 1e6)} µs"


def ticks(seconds: float, most: int = 6) -> Iterator[float]:
    """Round times from 0 up to ``seconds``, at most ``most + 1`` of them."""
    raw = seconds / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    for number in range(int(seconds / step + 1e-9) + 1):
        yield number * step


def nice_end(seconds: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... (and their parts) that is not less: bars grow towards it."""
    power = 10.0 ** math.floor(math.log10(max(seconds, 1e-3)))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= seconds * 0.9999)


def _task(task: str) -> str:
    """The attribute by which a mark is found when its task is selected."""
    return f' data-task="{escape(task)}"' if task else ""


class Drawing:
    """An SVG under construction; ``height`` is set when it is known.

    It is 760 wide.  One with a larger ``width`` is not made smaller to fit, but scrolls.
    """

    def __init__(self) -> None:
        self.id = f"pl{secrets.token_hex(4)}"
        self.height = 0.0
        self.width: float = WIDTH
        self._parts: list[str] = []
        self._patterns: dict[Hue, str] = {}
        self._heads: dict[str, str] = {}

    @property
    def hatch(self) -> str:
        """A fill for time in which nobody works for you, or that is unaccounted for."""
        return f"url(#{self.id}-hatch)"

    def fill(self, hue: Hue) -> str:
        """What ``hue`` is written as: its colour, or a pattern of this drawing."""
        if not hue.texture:
            return hue.colour
        name = self._patterns.setdefault(hue, f"{self.id}-{hue.texture}{len(self._patterns)}")
        return f"url(#{name})"

    def text(self, x: float, y: float, text: str, style: str = "", under: str = "") -> None:
        """``text`` with its base line at ``y``.

        Args:
            x, y: of its start, or of what ``style`` says.
            text: one line.
            style: a list of the classes in STYLE.
            under: a colour around the letters, for text on a texture.
        """
        paint = f' style="stroke:{under}"' if under else ""
        style += " plate" if under else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{style}"{paint}>{escape(text)}</text>'
        )

    def headline(self, title: str, note: str) -> None:
        """The finding, and under it how it was measured."""
        self.text(16, 26, title, "h")
        self.text(16, 44, note, "s")

    def bar(
        self, x: float, y: float, width: float, height: float, fill: str, tip: str = ""
    ) -> None:
        """A bar that is never so thin that it vanishes; ``tip`` shows where pointers hover."""
        self.box(x, y, width, height, fill, tip=tip)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        stroke: str = "",
        is_thick: bool = False,
        is_dashed: bool = False,
        is_pale: bool = False,
        radius: float = 2,
        tip: str = "",
        task: str = "",
    ) -> None:
        """A rectangle, with or without an outline.

        Args:
            x, y, width, height: in the units of the drawing.
            fill: a colour, a variable of STYLE, or :meth:`fill` of a hue.
            stroke: colour of the outline, "" for none.
            is_thick: of the critical path, or of the answer.
            is_dashed: of what waits.
            is_pale: of overhead, or of what was computed; the fill alone.
            radius: of the corners.
            tip: shows where pointers hover.
            task: id of the task that it stands for, so that it can be selected; of several, with
                spaces between.
        """
        inside = f"<title>{escape(tip)}</title>" if tip else ""
        outline = f' stroke="{stroke}" stroke-width="{2 if is_thick else 1}"' if stroke else ""
        outline += ' stroke-dasharray="4 3"' if is_dashed else ""
        outline += ' fill-opacity="0.35"' if is_pale else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.6):.1f}" height="{height:.1f}"'
            f' rx="{radius:g}" fill="{fill}"{outline}{_task(task)}>{inside}</rect>'
        )

    def ring(self, x: float, y: float, radius: float, *, tip: str = "", task: str = "") -> None:
        """An object that was put by hand."""
        inside = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="var(--paper)"'
            f' stroke="{STORE.colour}" stroke-width="2"{_task(task)}>{inside}</circle>'
        )

    def cross(self, x: float, y: float, size: float = 4) -> None:
        """The mark of what failed, around ``x`` and ``y``; its fill is red besides."""
        self._parts.append(
            f'<path d="M{x - size:.1f} {y - size:.1f}L{x + size:.1f} {y + size:.1f}'
            f'M{x + size:.1f} {y - size:.1f}L{x - size:.1f} {y + size:.1f}"'
            ' stroke="#fff" stroke-width="2" fill="none"/>'
        )

    def arrow(
        self,
        x: float,
        y: float,
        to_x: float,
        to_y: float,
        *,
        is_thick: bool = False,
        is_hidden: bool = False,
        between: tuple[str, str] = ("", ""),
    ) -> None:
        """A curve from left to right with a head: what the second task took from the first.

        Args:
            x, y, to_x, to_y: where it begins and ends.
            is_thick: it is part of the critical path.
            is_hidden: it has the class "sel", so that it shows only where one is selected.
            between: ids of the two tasks, so that it can be shown when one is selected.
        """
        colour, head = self._head(is_thick)
        hidden = ' class="sel"' if is_hidden else ""
        bend = max(12.0, abs(to_x - x) / 2)
        self._parts.append(
            f'<path d="M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f}'
            f' {to_x:.1f} {to_y:.1f}" fill="none" stroke="{colour}"{hidden}'
            f' stroke-width="{1.8 if is_thick else 1}" marker-end="url(#{head})"'
            f' data-from="{escape(between[0])}" data-to="{escape(between[1])}"/>'
        )

    def route(
        self,
        points: Sequence[tuple[float, float]],
        *,
        is_thick: bool = False,
        dash: str = "",
        between: tuple[str, str] = ("", ""),
    ) -> None:
        """A curve with a head through several points, level at each; straight if it is upright.

        Args:
            points: from its beginning to its end.
            is_thick: it is part of the critical path.
            dash: lengths of strokes and gaps, "" for a solid line.
            between: ids of the two tasks, as in :meth:`arrow`.
        """
        colour, head = self._head(is_thick)
        (x, y), *rest = points
        way = f"M{x:.1f} {y:.1f}"
        for to_x, to_y in rest:
            bend = (to_x - x) / 2
            if abs(to_y - y) < 0.5 or abs(bend) < 0.5:
                way += f"L{to_x:.1f} {to_y:.1f}"
            else:
                way += f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
            x, y = to_x, to_y
        broken = f' stroke-dasharray="{dash}"' if dash else ""
        of = f' data-from="{escape(between[0])}" data-to="{escape(between[1])}"'
        self._parts.append(
            f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="{2.2 if is_thick else 1}"'
            f'{broken} marker-end="url(#{head})"{of if any(between) else ""}/>'
        )

    def _head(self, is_thick: bool) -> tuple[str, str]:
        """The colour of an arrow and the name of its head."""
        colour = INK if is_thick else SOFT
        return colour, self._heads.setdefault(colour, f"{self.id}-head{len(self._heads)}")

    def raw(self, markup: str) -> None:
        """Adds SVG as it is: what is not a constant in it must have been through ``escape``."""
        self._parts.append(markup)

    def line(self, x: float, top: float, bottom: float, colour: str = LINE, dash: str = "") -> None:
        """An upright line."""
        self._parts.append(
            f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"'
            f' stroke="{colour}" stroke-width="{1.5 if colour == INK else 1}"'
            f' stroke-dasharray="{dash or "none"}"/>'
        )

    def axis(self, seconds: float, left: float, right: float, top: float, bottom: float) -> None:
        """Time from 0 to ``seconds`` between ``left`` and ``right``, labelled at ``bottom``."""
        scale, unit = (1.0, "s") if seconds >= 2 else (1e3, "ms")
        for time in ticks(seconds):
            x = left + (right - left) * time / seconds
            self.line(x, top, bottom, LINE, "2 3" if time else "")
            label = f"{time * scale:,.10g}"
            self.text(x, bottom + 14, label if time else f"0 {unit}", "s c")

    def _definitions(self) -> str:
        """The patterns and markers that were used."""
        found = [
            f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse">'
            f'<rect width="6" height="6" fill="{hue.colour}"/>'
            + (
                '<circle cx="3" cy="3" r="1.2" fill="#fff" opacity=".6"/>'
                if hue.texture == "dots"
                else '<path d="M0 3H6" stroke="#fff" stroke-width="1.2" opacity=".6"/>'
            )
            + "</pattern>"
            for hue, name in self._patterns.items()
        ]
        found += [
            f'<marker id="{head}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
            ' markerHeight="7" markerUnits="userSpaceOnUse" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
            for colour, head in self._heads.items()
        ]
        return "".join(found)

    def finish(self, title: str, description: str) -> str:
        """The whole SVG as text."""
        width, height = f"{self.width:.0f}", f"{self.height:.0f}"
        size = f'width="{width}"'
        if self.width <= WIDTH:
            size = f'width="100%" style="max-width:{WIDTH}px"'
        return (
            '<svg xmlns="http://www.w3.org/2000/svg"'
            f' viewBox="0 0 {width} {height}" {size} class="pl" role="img"'
            f' aria-label="{escape(title)}"><title>{escape(title)}</title>'
            f"<desc>{escape(description)}</desc><style>{STYLE}</style><defs>"
            f'<pattern id="{self.id}-hatch" width="5" height="5" patternUnits="userSpaceOnUse"'
            f' patternTransform="rotate(45)"><rect width="5" height="5" fill="{IDLE}"/>'
            f'<line x1="0" y1="0" x2="0" y2="5" stroke="{SOFT}" stroke-width="1.4"/></pattern>'
            f"{self._definitions()}"
            f'</defs><rect width="{width}" height="{height}" fill="var(--paper)"/>'
            + "".join(self._parts)
            + "</svg>"
        )
