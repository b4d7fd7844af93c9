"""What of a learner's file is run: its code down to the answer, and no more.

A notebook's cells that only show something are tagged ``look`` and left out, as are those below
the last one tagged ``answer``, so that a slow demonstration costs no check its time.  Cells that
the learner added in between count.  A Python file is run as a whole.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_BYTES = 20_000_000
_MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)


class UnreadableAnswerError(ValueError):
    """The file holds no answer that can be run."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Code that is run in one go.

    Attributes:
        place: what a traceback calls it.
        source: Python, without magics.
    """

    place: str
    source: str


def read(path: Path) -> list[Piece]:
    """The code of a learner's file, in order.

    Raises:
        UnreadableAnswerError: it does not exist, or is neither a notebook nor Python.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UnreadableAnswerError(f"{path.name} has more than {MOST_BYTES:,} bytes.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UnreadableAnswerError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableAnswerError(f"{path.name} cannot be read: {error}") from None
    if path.suffix == ".py":
        return [Piece(path.name, text)]
    if path.suffix != ".ipynb":
        raise UnreadableAnswerError(f"{path.name} is neither a notebook (.ipynb) nor Python (.py).")
    return _of_notebook(path.name, text)


def _of_notebook(name: str, text: str) -> list[Piece]:
    try:
        cells = [
            (number, "".join(cell["source"]), set(cell["metadata"].get("tags", ())))
            for number, cell in enumerate(_code(json.loads(text)), start=1)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UnreadableAnswerError(f"{name} is no notebook that can be read: {reason}") from None
    marked = [at for at, (_, _, tags) in enumerate(cells) if "answer" in tags]
    last = marked[-1] if marked else len(cells) - 1
    return [
        Piece(f"{name}, code cell {number}", _MAGIC.sub(r"\1pass", source))
        for number, source, tags in cells[: last + 1]
        if "look" not in tags and not source.lstrip().startswith("%%")
    ]


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
