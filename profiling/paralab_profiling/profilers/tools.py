"""What a tool has to offer so that it can measure tasks: the protocol, and which tools there are.

A tool is looked up by its name and imported only then::

    Tool ──collector()──▶ Collector   one for each name of a task in a process
                             │ begin()
                             ▼
                          Session     one for each call: start, stop, start, stop, ..., end

A session is stopped while its call waits for somebody else to go on: a generator between two
items, and a coroutine while it awaits, unless the tool knows of coroutines itself.

Two tools that hook the same thing cannot measure one call, and a tool that slows the program down
makes the times of another one lies; both are refused in a sentence (:func:`check`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from typing import Any, Protocol

from paralab.shown_text import shown_name
from paralab_profiling.picture import Picture
from paralab_profiling.profilers.result import Profile
from paralab_profiling.stamps import stamp

TOOLS: dict[str, str] = {
    "pyinstrument": "paralab_profiling.profilers.sampling:Pyinstrument",
    "cprofile": "paralab_profiling.profilers.counting:CProfile",
    "peak": "paralab_profiling.memory.peak_tool:Peak",
    "tracemalloc": "paralab_profiling.memory.growth:Tracemalloc",
    "objgraph": "paralab_profiling.memory.objects:Objgraph",
    "fil": "paralab_profiling.memory.fil:Fil",
    "memray": "paralab_profiling.memory.memray_tool:Memray",
}
"""Module and class of each tool, by its name."""
PICTURES: dict[str, str] = {
    "peak": "paralab_profiling.memory.peak_tool:draw",
    "tracemalloc": "paralab_profiling.memory.growth_drawing:draw_lines",
    "objgraph": "paralab_profiling.memory.growth_drawing:draw_types",
}
"""Module and function that draws the profiles of a tool; of the others, frames are drawn."""


class ToolError(RuntimeError):
    """A tool cannot measure this call; the text is the reason, without a full stop."""


class Session(Protocol):
    """One call that is measured."""

    def start(self) -> None:
        """The call begins or goes on, in this thread; raises ToolError if it cannot be measured."""

    def stop(self) -> None:
        """It has ended, or waits."""

    def end(self) -> None:
        """It is over: what was measured counts from now on.  May be called without a start."""


class Collector(Protocol):
    """Everything that a tool has measured of the tasks with one name, in this process.

    One whose :meth:`profile` may tell more when it is asked again, though no call has ended since,
    has an attribute ``is_settled``, which is false until it has told all.  One that goes on for a
    while after the last call has a method ``close``, which ends that unless a call runs.
    """

    def begin(self) -> Session:
        """A session for one call; raises ToolError if it cannot be measured.  Any thread."""

    def profile(self) -> Profile:
        """All sessions that have ended, the root named by the task.  Any thread."""


class Tool(Protocol):
    """A profiler.

    Attributes:
        name: by which users ask for it.
        unit: of its results, see ``result.UNITS``.
        hooks: what it takes for itself; two tools that take the same exclude each other.
        tells_time: whether its figures are times.
        distorts_time: whether the program is so slow under it that times mean nothing.
        knows_coroutines: whether a session may stay started while a coroutine awaits.
        settings: names of its settings, and what each must be, as types.  Where a text must be one
            of some, the tool has an attribute ``choices`` with these, by the setting's name.
    """

    name: str
    unit: str
    hooks: frozenset[str]
    tells_time: bool
    distorts_time: bool
    knows_coroutines: bool
    settings: Mapping[str, type | tuple[type, ...]]

    def problem(self) -> str:
        """Why it cannot run in this process, a sentence; "" if it can."""

    def collector(self, name: str, settings: Mapping[str, Any]) -> Collector:
        """Takes what is measured of the tasks called ``name``; "" for a block of the driver."""


def find(name: str) -> Tool:
    """The tool of that name.

    Raises:
        ValueError: there is none.
    """
    try:
        module, _, kind = TOOLS[name].partition(":")
    except (KeyError, TypeError):
        close = get_close_matches(str(name), TOOLS, 1)
        advice = f"Did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"There is no profiler {shown_name(repr(name))}. {advice}"
            f"Those that there are: {', '.join(sorted(TOOLS))}."
        ) from None
    tool: Tool = getattr(importlib.import_module(module), kind)()
    return tool


def picture_of(profile: Profile) -> Picture:
    """The picture of a profile, which may come from a file."""
    where = PICTURES.get(profile.tool, "paralab_profiling.profilers.icicle:icicle")
    module, _, function = where.partition(":")
    drawn: Picture = getattr(importlib.import_module(module), function)(profile)
    return drawn


def environment(names: Sequence[str]) -> dict[str, str]:
    """Variables with which the workers of calls that these tools measure have to start.

    Raises:
        ValueError: a tool that wants some is unknown or cannot run here.
    """
    found: dict[str, str] = {}
    for tool in map(find, names):
        wanted = getattr(tool, "environment", None)
        if wanted is not None:
            _check_here(tool)  # they may name files of the tool
            found |= wanted()
    return found


def _check_here(tool: Tool) -> None:
    problem = tool.problem()
    if problem:
        raise ValueError(f"The profiler {tool.name!r} cannot run here: {problem}")


def finished(profile: Profile) -> Profile:
    """In the driver: stamped, and with what only the driver knows, where the tool wants that."""
    tool = find(profile.tool)
    finish = getattr(tool, "finish", None)
    if finish is not None:
        profile = finish(profile)
    return profile.with_stamp(stamp([getattr(tool, "package", tool.name)]).facts())


def check(names: Sequence[str], settings: Mapping[str, Any] | None = None) -> None:
    """Refuses tools that are unknown, cannot run here, or exclude each other.

    Args:
        names: the tools that are to measure the same call.
        settings: of the first of them.

    Raises:
        ValueError: the message says which and why.
        TypeError: a setting has the wrong type.
    """
    tools = [find(name) for name in names]
    for tool in tools:
        _check_here(tool)
    for name, value in (settings or {}).items():
        _check_setting(tools[0], name, value)
    for one, other in combinations(tools, 2):
        _check_pair(one, other)


def _check_setting(tool: Tool, name: str, value: Any) -> None:
    wanted = tool.settings.get(name)
    if wanted is None:
        known = ", ".join(sorted(tool.settings)) or "it has none"
        raise ValueError(
            f"The profiler {tool.name!r} has no setting {shown_name(name)!r}. Its "
            f"settings: {known}."
        )
    if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
        raise TypeError(f"The setting {name}={value!r} of {tool.name!r} must be {wanted}.")
    choices = getattr(tool, "choices", {}).get(name)
    if choices is not None and value not in choices:
        raise ValueError(
            f"The setting {name}={shown_name(repr(value))} of {tool.name!r} must be one of: "
            f"{', '.join(choices)}."
        )
    if isinstance(value, int | float) and not isinstance(value, bool) and not 0 < value < 1e9:
        raise ValueError(f"The setting {name}={value!r} of {tool.name!r} must be above 0.")


def _check_pair(one: Tool, other: Tool) -> None:
    if one.name == other.name:
        raise ValueError(
            f"{one.name} cannot profile the same call twice: a profile is open already."
        )
    if one.hooks & other.hooks:
        raise ValueError(
            f"{one.name} and {other.name} cannot profile the same call: both hook "
            f"{' and '.join(sorted(one.hooks & other.hooks))}, so each would measure the other. "
            "Profile twice, once with each."
        )
    for slow, timing in ((one, other), (other, one)):
        if slow.distorts_time and timing.tells_time:
            raise ValueError(
                f"{timing.name} under {slow.name} would lie: {slow.name} makes the program so "
                "much slower that its times are not the program's own. Profile twice, once with "
                "each."
            )
