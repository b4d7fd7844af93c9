"""A merged profile as a session of pyinstrument, for its own page and its own file.

A session is a list of stacks, each with its seconds, so every path of the tree is one record:
pyinstrument makes the same tree of them.  Its frames are "name, NUL, file, NUL, line".  What is no
code of the user's it tells by where files lie; ours are short, so those of libraries are named.

Sources: https://pyinstrument.readthedocs.io/en/latest/reference.html (Session, HTMLRenderer), and
``pyinstrument/session.py`` for what a session holds.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import time
from typing import TYPE_CHECKING, Any

from paralab.shown_text import shown_name
from paralab_profiling.profilers.tree import Frame
from paralab_profiling.profilers.words import title

if TYPE_CHECKING:
    from paralab_profiling.profilers.result import Profile


def session_of(profile: Profile) -> dict[str, Any]:
    """What ``pyinstrument.session.Session.from_json`` reads.

    Raises:
        ValueError: the profile tells no times, or nothing was measured.
    """
    if profile.unit != "s":
        raise ValueError(
            f"pyinstrument shows seconds, and this profile of {profile.tool} is in {profile.unit}."
        )
    records: list[tuple[list[str], float]] = []
    others: set[str] = set()
    top = [_frame("all tasks", "", 0)] if len(profile.roots) > 1 else []
    for root in profile.roots:
        _add(root, top, records, others)
    if not records:
        raise ValueError("Nothing was measured, so there is nothing that pyinstrument could show.")
    return {
        "start_time": time.time(),  # a merged profile has begun at many times: when it was saved
        "duration": profile.total_of_all,
        "min_interval": 0.001,
        "max_interval": 0.001,
        "sample_count": profile.samples or len(records),
        "start_call_stack": [""],  # none of ours, so nothing is cut off
        "target_description": _safe(f"{title(profile)} (merged by paralab)"),
        "program": _safe(title(profile)),  # what older versions want
        "cpu_time": profile.seconds,
        "sys_path": [],
        "sys_prefixes": sorted(others),
        "frame_records": records,
    }


def to_session(profile: Profile) -> str:
    """A ``.pyisession`` file, which ``pyinstrument --load`` reads.

    Raises:
        ValueError: as of :func:`session_of`.
    """
    return json.dumps(session_of(profile))


def to_page(profile: Profile) -> str:
    """pyinstrument's own page, which needs nothing else.

    Raises:
        ValueError: as of :func:`session_of`, or pyinstrument is not installed.
    """
    found = session_of(profile)
    if importlib.util.find_spec("pyinstrument") is None:
        raise ValueError(
            "pyinstrument's page needs the package pyinstrument (pip install pyinstrument); .html "
            "writes our own."
        )
    session = importlib.import_module("pyinstrument.session").Session.from_json(found)
    page: str = importlib.import_module("pyinstrument.renderers").HTMLRenderer().render(session)
    return page


def _add(
    frame: Frame, above: list[str], records: list[tuple[list[str], float]], others: set[str]
) -> None:
    name = shown_name(frame.name)
    if frame.kind == "task" and frame.calls:
        name = f"{name} ×{frame.calls:,}"
    stack = [*above, _frame(name, frame.file, frame.line)]
    if frame.kind in ("library", "runtime") and frame.file:
        others.add(_safe(shown_name(frame.file)))
    if frame.own > 0:
        records.append((stack, frame.own))
    for child in frame.children:
        _add(child, stack, records, others)


def _frame(name: str, file: str, line: int) -> str:
    return f"{_safe(name)}\0{_safe(shown_name(file)) or '<built-in>'}\0{line}"


def _safe(name: str) -> str:
    """A name that cannot end the script in which the page keeps it."""
    return name.replace("</", "< /").replace("<!", "< !")
