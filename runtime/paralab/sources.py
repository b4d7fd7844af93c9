"""Where the functions and classes are defined whose calls ran: file, line and text.

A process tells this of what it has made remote itself; a function that was defined in a notebook
cell has its text in ``linecache``, where IPython puts it.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import threading
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paralab.actor import remote_classes
from paralab.engine import installed
from paralab.remote_function import remote_functions
from paralab.shown_text import shown_path

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


def definitions(limit: int) -> list[tuple[str, int, str]]:
    """What is remote here and was pickled for workers: name, bytes, its largest capture.

    Of several with one name, such as a notebook cell that ran again, the newest.

    The capture is the variable from around it that takes most bytes, as far as that can be told
    without pickling it again; "" if there is none.
    """
    specs: list[Any] = [*list(remote_functions.values()), *list(remote_classes.values())]
    session = getattr(installed(), "mailbox", None)
    found: dict[str, tuple[str, int, str]] = {}
    for spec in specs[-limit:]:
        # See Templates._pickled; a function may have been sent in an earlier session.
        pickled, _refs, mailbox = spec.cache if isinstance(spec.cache, tuple) else (None, (), None)
        if isinstance(pickled, bytes) and mailbox is session:
            definition = getattr(spec, "function", None)
            found[spec.name] = spec.name, len(pickled), _largest_capture(definition)
    return list(found.values())


@contextmanager
def keep_definitions() -> Iterator[None]:
    """Functions that are made remote inside stay known to the end of the ``with`` block.

    One that a function defines for itself is gone with its return, and with it what is told of its
    size.
    """
    before, remote_functions.kept = remote_functions.kept, []
    try:
        yield
    finally:
        remote_functions.kept = before


def _largest_capture(function: Any) -> str:
    try:
        captured = inspect.getclosurevars(inspect.unwrap(function))
    except (TypeError, ValueError):  # a class, built in, or with a cell that is empty
        return ""
    sizes = {n: _bytes(v) for n, v in {**captured.globals, **captured.nonlocals}.items()}
    return max(sizes, key=lambda name: sizes[name], default="")


def _bytes(value: Any) -> int:
    size = getattr(value, "nbytes", None)  # of arrays, which may be views
    return size if type(size) is int else sys.getsizeof(value)


def native_threads() -> int:
    """How many threads of this process Python knows nothing of, such as those of BLAS.

    0 where the system does not tell.
    """
    try:
        return max(0, len(os.listdir("/proc/self/task")) - threading.active_count())
    except OSError:
        return 0


UNREADABLE = (OSError, TypeError, ValueError, IndexError, SyntaxError, tokenize.TokenError)
"""What has no source: built in, typed at a prompt, or edited since and perhaps half written."""


def source_of(definition: Any) -> tuple[str, int, str] | None:
    """File, first line and text of a function or class; None if they cannot be had."""
    try:
        definition = inspect.unwrap(definition)
        lines, first = inspect.getsourcelines(definition)
        file = inspect.getsourcefile(definition) or "?"
    except UNREADABLE:
        return None
    text = "".join(lines)
    if isinstance(definition, type) and definition.__name__ not in text:
        return None  # since Python 3.13 whatever stands now at the line where the class stood
    if len(text) > LONGEST:
        text = text[:LONGEST] + f"\n# ... and {len(lines):,} lines in all"
    return shown_file(file), max(1, first), text


SOME_CELL = "a cell"
"""What a notebook's cell is called where its number is not known."""
_CELL = re.compile(r"\bipykernel_\d+[/\\]\d+\.py$")


def shown_file(file: str) -> str:
    """A file's name for what is kept and passed on: no folder of this machine or its user.

    A notebook's cell, which ipykernel names like a file that is not there, is "In[5]"; a worker
    does not know its number.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    told = getattr(getattr(shell, "compile", None), "format_code_name", None)  # since IPython 8
    cell = told(file) if told is not None else None
    if cell is not None:
        return str(cell[1])
    return SOME_CELL if cell_of(file) else shown_path(file)


def cell_of(file: str) -> str:
    """The end of the name that ipykernel gave a cell, by which its kernel knows the number.

    Returns:
        such as "ipykernel_12/345.py"; "" of any other file.
    """
    found = _CELL.search(file)
    return found[0].replace("\\", "/") if found is not None else ""
