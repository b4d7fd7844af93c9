"""A picture as a notebook keeps it: text first, then HTML that needs nothing else.

The HTML is an ``<img>`` with the SVG inside its address, because that is what JupyterLab shows
of an untrusted notebook, and GitHub and nbconvert show too.  Where scripts may run, one line
puts the SVG itself in the image's place, so that it takes the page's theme.  A folded table
below repeats the facts.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paralab_profiling.svg import escape

_SCRIPT = (
    "(i=>{{if(i)i.outerHTML=new TextDecoder().decode(Uint8Array.from("
    "atob(i.src.split(',')[1]),c=>c.charCodeAt(0)))}})(document.getElementById('{id}'))"
)


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
        details: what is told of each task when it is selected, by its id; see ``details.py``.
    """

    title: str
    text: str
    svg: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    id: str
    details: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

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
        return (
            f'<img id="{self.id}" alt="{escape(self.title)}" style="width:100%;max-width:760px"'
            f' src="data:image/svg+xml;base64,{data}">'
            f"<details><summary>as a table</summary><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></details>"
            f"<script>{_SCRIPT.format(id=self.id)}</script>"
        )

    def save(self, path: str | Path) -> Path:
        """Writes the SVG to the file ``path`` and returns it.

        Raises:
            OSError: the file cannot be written.
        """
        path = Path(path)
        path.write_text(self.svg, encoding="utf-8")
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
