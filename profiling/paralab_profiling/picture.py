"""A picture as a notebook keeps it: text first, then HTML that needs nothing else.

The HTML is an ``<img>`` with the SVG inside its address, because that is what JupyterLab shows
of an untrusted notebook, and GitHub and nbconvert show too.  A folded table below repeats the
facts.  Where scripts may run, ``interact.js``, which every picture carries, puts the SVG itself in
the image's place, so that it takes the page's theme, and lets tasks be selected.  No kernel is
needed for that.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from paralab_profiling.details import Details
from paralab_profiling.svg import WIDTH, escape

MOST_BYTES = 290_000
"""Of a picture's HTML: details that do not fit any more are left out, the last tasks' first."""
_PAGE = '<!doctype html><meta charset="utf-8"><style>:root{color-scheme:light dark}</style>'


@cache
def interact_script() -> str:
    """The JavaScript function ``interact(place, data)``, without its comments."""
    return _script("interact.js")


@cache
def _script(name: str) -> str:
    text = files("paralab_profiling").joinpath(name).read_text("utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def as_script(data: Any) -> str:
    """``data`` as a JavaScript expression that can stand inside a ``<script>``."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@dataclass(frozen=True)
class Picture:
    """A finding with its evidence.

    Attributes:
        title: the finding, one sentence.
        text: the same facts for a terminal, at most 80 columns.
        svg: the drawing.
        head: names of the table's columns.
        rows: the table, as text.
        id: unique among all pictures.
        details: what is told of each task when it is selected, by its id; see ``details_of``.
        trace: the run as Trace Event JSON, if it can be opened in Perfetto.
        width: of the drawing; one that is wider than others scrolls.
        zoom: what ``profilers/zoom.js`` needs to draw what is below a frame, if frames are drawn.
    """

    title: str
    text: str
    svg: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    id: str
    details: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trace: str = ""
    width: float = WIDTH
    zoom: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def run(self) -> str:
        """What pictures whose tasks are selected together have in common."""
        return (isinstance(self.details, Details) and self.details.run) or self.id

    def __repr__(self) -> str:
        return self.text

    def to_html(self) -> str:
        """The picture and its table as HTML that stands by itself."""
        data = base64.b64encode(self.svg.encode()).decode()
        head = "".join(f"<th>{escape(name)}</th>" for name in self.head)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        size = f"width:{self.width:.0f}px;max-width:none"
        if self.width <= WIDTH:
            size = f"width:100%;max-width:{WIDTH}px"
        page = (
            f'<div id="{self.id}" class="pl-picture">'
            '<div style="max-height:440px;overflow:auto">'
            f'<img alt="{escape(self.title)}" style="{size}"'
            f' src="data:image/svg+xml;base64,{data}"></div>'
            f"<details><summary>as a table</summary><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></details>"
        )
        act = interact_script()
        more = "" if self.zoom is None else f",{_script('profilers/zoom.js')}"
        zoom = 0 if self.zoom is None else len(as_script(self.zoom))
        known = as_script(self._known(MOST_BYTES - len(page) - len(act) - len(more) - zoom))
        place = f"document.getElementById({as_script(self.id)})"
        # The picture may have been taken off the page before its script runs.
        script = f"((place,data)=>place&&({act})(place,data{more}))({place},{known})"
        return f"{page}<script>{script}</script></div>"

    def _known(self, room: int) -> dict[str, Any]:
        """What the script knows of the tasks, in about ``room`` bytes."""
        details = self.details
        if not isinstance(details, Details):
            details = Details(details)
        sources = {
            name: {"file": source.file, "line": source.line, "text": source.text}
            for name, source in details.sources.items()
        }
        known: dict[str, Any] = {"run": self.run, "sources": {}, "takes": {}, "facts": {}}
        known["trace"] = ""
        if self.zoom is not None:
            known["zoom"] = self.zoom
        for key, entries in (
            ("facts", {task: dict(facts) for task, facts in details.items()}),
            ("takes", {task: list(needs) for task, needs in details.takes.items()}),
            ("sources", sources),
        ):
            for name, entry in entries.items():
                room -= len(as_script(entry)) + len(as_script(name)) + 2
                if room < 0:
                    return known
                known[key][name] = entry
        packed = base64.b64encode(
            gzip.compress(self.trace.encode(errors="replace"), mtime=0)
        ).decode()
        if self.trace and len(packed) < room:
            known["trace"] = packed
        return known

    def save(self, path: str | Path) -> Path:
        """Writes the SVG to the file ``path``, or to one ``.html`` the whole page; returns it.

        Raises:
            OSError: the file cannot be written.
        """
        path = Path(path)
        text = f"{_PAGE}{self.to_html()}" if path.suffix == ".html" else self.svg
        path.write_text(text, encoding="utf-8")
        return path

    def to_dict(self) -> dict[str, Any]:
        """The finding and its table as plain data."""
        return {
            "title": self.title,
            "head": list(self.head),
            "rows": [list(row) for row in self.rows],
            "details": {task: dict(facts) for task, facts in self.details.items()},
        }

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self.to_html()}


def save_result(path: str | Path, figures: dict[str, Any], pictures: Sequence[Picture]) -> Path:
    """Writes a result by the ending of the file's name; the SVG is that of the first picture."""
    path = Path(path)
    if path.suffix == ".json":
        text = json.dumps(figures, indent=1)
    elif path.suffix == ".html":
        text = _PAGE + "".join(p.to_html() for p in pictures)
    elif path.suffix == ".svg":
        text = pictures[0].svg
    else:
        raise ValueError(f"save() writes .json, .html or .svg, not {path.suffix!r}")
    path.write_text(text, encoding="utf-8")
    return path
