"""Where the functions and classes are defined whose calls ran: file, line and text.

A process tells this of what it has made remote itself; a function that was defined in a notebook
cell has its text in ``linecache``, where IPython puts it.
"""

from __future__ import annotations

import inspect
from typing import Any

from paralab.actor import remote_classes
from paralab.remote_function import remote_functions

LONGEST = 4_000
"""Characters of one text; what is longer ends with a note."""


def rows(limit: int) -> list[tuple[str, str, int, str]]:
    """Name, file, first line and text of what is remote here, at most ``limit`` of them."""
    found = []
    definitions: list[tuple[str, Any]] = [
        (f.name, f.function) for f in list(remote_functions.values())
    ]
    definitions += [(each.name, each.cls) for each in list(remote_classes.values())]
    for name, definition in definitions[-limit:]:
        where = source_of(definition)
        if where is not None:
            found.append((name, *where))
    return found


def source_of(definition: Any) -> tuple[str, int, str] | None:
    """File, first line and text of a function or class; None if they cannot be had."""
    try:
        definition = inspect.unwrap(definition)
        lines, first = inspect.getsourcelines(definition)
        file = inspect.getsourcefile(definition) or "?"
    except (OSError, TypeError, ValueError):  # built in, typed at a prompt, or edited since
        return None
    text = "".join(lines)
    if len(text) > LONGEST:
        text = text[:LONGEST] + f"\n# ... and {len(lines):,} lines in all"
    return file, max(1, first), text
