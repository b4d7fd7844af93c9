"""Something said in words, as text and as HTML: a question, a verdict, a small table.

The HTML holds no script and rests on no style, so that it reads the same in an untrusted notebook.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from paralab.shown_text import shown_text
from paralab_profiling.svg import escape


@dataclass(frozen=True, slots=True)
class Note:
    """What a notebook shows of words.

    Attributes:
        text: for a terminal.
        html: the same as HTML, escaped.
    """

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self.html}


def facts(title: str, rows: Iterable[tuple[str, str]], last: str = "") -> Note:
    """A sentence, facts by name under it, and a sentence below.

    Args:
        title: the sentence above.
        rows: what each fact is called, and the fact.
        last: the sentence below, "" for none.
    """
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    lines = [title, *(f"  {name:<{width}}  {fact}" for name, fact in rows), *([last] * bool(last))]
    table = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(fact)}</td></tr>'
        for name, fact in rows
    )
    below = f"<p>{escape(last)}</p>" if last else ""
    # A screen reader is told at once what came of the cell.
    html = f'<div role="status"><p><strong>{escape(title)}</strong></p><table>{table}</table>'
    return Note(shown_text("\n".join(lines)), f"{html}{below}</div>")
