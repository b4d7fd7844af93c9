"""Where refs are made, for ``paralab memory``: file, function and line of the user's own code.

Recording costs about as much as a submission, so it is off until ``record_ref_creation_sites`` is
set.  Then the engine's methods that make refs are wrapped; as long as it is off there is nothing
in their way, not even a question.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

from paralab.remote_traceback import is_own_file
from paralab.system_config import settings

DEPTH = 3
"""Frames that are kept."""
_MAKERS = {
    "put": "(put object)",
    "submit": "(task call)",
    "create_actor": "(actor call)",
    "call_actor": "(actor call)",
}


def record_if_wanted(engine: Any, wanted: bool) -> None:
    """Has an engine note where its refs are made, if its node or our own variables want that."""
    if wanted or settings()["record_ref_creation_sites"]:
        for name, what in _MAKERS.items():
            setattr(engine, name, _recording(getattr(engine, name), what))


def _recording(make: Callable[..., Any], what: str) -> Callable[..., Any]:
    @wraps(make)
    def recorded(*args: Any) -> Any:
        made = make(*args)
        site = f"{what} | {here()}"
        for ref in made if isinstance(made, list) else (made,):
            entry = getattr(ref, "_entry", None)
            if entry is not None:
                entry.site = site
        return made

    return recorded


def here() -> str:
    """The nearest frames that are not paralab's, as ``file:function:line``."""
    frame: FrameType | None = sys._getframe(1)
    found: list[str] = []
    while frame is not None and len(found) < DEPTH:
        code = frame.f_code
        if not is_own_file(code.co_filename):
            name = _cell_of(code.co_filename)
            found.append(f"{name or code.co_filename}:{code.co_name}:{frame.f_lineno}")
            if name and code.co_name == "<module>":
                break  # below is how IPython runs cells
        frame = frame.f_back
    return " | ".join(found)


def _cell_of(file: str) -> str:
    """What IPython calls the cell that is behind a file's name; "" if none is."""
    shells = sys.modules.get("IPython.core.interactiveshell")
    if shells is None or not shells.InteractiveShell.initialized():
        return ""
    known = getattr(shells.InteractiveShell.instance().compile, "_filename_map", {})
    return f"In[{known[file]}]" if file in known else ""
