"""Which function a code object stands for, as results show it: short, and with whose it is.

Files keep no folder of this machine or its user: a library's begin where it is installed, the
user's own at the folder that the program runs in.
"""

from __future__ import annotations

import json
import os
import re
import sysconfig
import tempfile
from functools import lru_cache

from paralab.shown_text import shown_name
from paralab.sources import SOME_CELL, cell_of, shown_file
from paralab_profiling.profilers.tree import Where

OURS = os.path.dirname(os.path.abspath(__file__))
"""The folder of what measures."""
_INSTALLED = re.compile(r"(?:site|dist)-packages/(.+)$")
_TOLD_CELL = re.compile(r'"(ipykernel_\d+/\d+\.py)"')
_STANDARD = tuple(
    sorted({p for n in ("stdlib", "platstdlib") if (p := sysconfig.get_path(n))}, key=len)
)
_RUNTIME_FOLDERS = (
    os.path.dirname(os.path.dirname(OURS)),
    os.path.dirname(os.path.dirname(os.path.abspath(shown_name.__code__.co_filename))),
)


@lru_cache(2_000)
def place_of(file: str) -> tuple[str, str]:
    """The file as it is shown, and the kind of its functions (``tree.KINDS``)."""
    path = file.replace(os.sep, "/")
    for folder in _RUNTIME_FOLDERS:
        if path.startswith((f"{folder}/paralab/", f"{folder}/paralab_profiling/")):
            return path[len(folder) + 1 :], "runtime"
    installed = _INSTALLED.search(path)
    if installed is not None:
        return shown_name(installed[1]), "library"
    if path in ("", "~", "<built-in>"):
        return "", "library"
    if path == "<string>" or path.startswith("<frozen"):
        return shown_name(path), "library"
    for folder in _STANDARD:
        if path.startswith(f"{folder}/"):
            return shown_name(path[len(folder) + 1 :]), "library"
    here = os.getcwd()
    if path.startswith(f"{here}/"):
        return shown_name(path[len(here) + 1 :]), "yours"
    shown = shown_file(file)
    if shown == SOME_CELL:
        return cell_of(file), "yours"  # the driver knows its number, see numbered()
    return shown_name(shown), "yours"


def numbered(text: str) -> str:
    """What a worker tells, as JSON, with the numbers of this notebook's cells: "In[5]"."""
    return _TOLD_CELL.sub(lambda found: json.dumps(numbered_file(found[1])), text)


def numbered_file(file: str) -> str:
    """A file as a worker tells it; of a cell what its kernel calls it, elsewhere "a cell"."""
    cell = cell_of(file)
    return shown_file(os.path.join(tempfile.gettempdir(), *cell.split("/"))) if cell else file


def where_of(name: str, file: str, line: int) -> Where:
    """A function by what Python says of its code."""
    shown, kind = place_of(file)
    return Where(shown_name(name), shown, line if shown else 0, kind)
