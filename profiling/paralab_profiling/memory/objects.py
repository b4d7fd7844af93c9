"""The profiler "objgraph": objects of which type become more with every call, and who holds one.

``objgraph`` counts the objects that the garbage collector knows, by type.  Of the type that grows
most one of the newest is taken, and the chains of references that lead to it are told
(``chains``): what grows, and what to let go of, in one picture.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from paralab.shown_text import shown_name
from paralab_profiling.memory.between import Growth, Room, Table, rows_of
from paralab_profiling.memory.chains import chains_to
from paralab_profiling.memory.growth import WatchSession, root_of
from paralab_profiling.profilers.result import Profile
from paralab_profiling.profilers.tools import ToolError

MOST_ROWS = 100
MISSING = (
    "the package objgraph is not installed. Run 'pip install objgraph' in this environment, and "
    "restart_workers()."
)
_OURS = ("paralab.", "paralab_profiling.", "builtins.frame", "builtins.cell")


def _look() -> Table:
    """How many objects there are, by type."""
    gc.collect()  # what is dead already is no leak
    counts = importlib.import_module("objgraph").typestats(shortnames=False)
    return {name: (0, count) for name, count in counts.items()}


def _begin() -> None:
    if importlib.util.find_spec("objgraph") is None:
        raise ToolError(MISSING.removesuffix("."))


class Objects:
    """What a block knows of this process: the counts, and the chains to one object."""

    def __init__(self) -> None:
        self.watch = _room.watch()
        self._chains: list[Any] = []
        self._chained_at = 0

    def chains(self, found: Growth) -> list[Any]:
        """To one object of the type that grows most: its type, then the chains as plain data.

        They are looked for again when the calls have doubled, because each search takes long.
        """
        grown = [
            (counts[1], str(name))
            for name, counts in found.grown.items()
            if counts[1] >= max(1, found.intervals) and not str(name).startswith(_OURS)
        ]
        # Types of the program before builtins: its objects hold the lists and dicts that grow.
        own = [each for each in grown if not each[1].startswith("builtins.")]
        if not grown or found.calls < 2 * self._chained_at:
            return self._chains
        _, name = max(own or grown)
        self._chained_at = found.calls
        target = _newest(name)
        if target is not None:
            told = [
                [[[step.what, step.how] for step in chain.steps], chain.is_whole]
                for chain in chains_to(target[0], 3, ignore=[target])
            ]
            self._chains = [shown_name(name), told]
        return self._chains


def _newest(name: str) -> list[Any] | None:
    """One of the newest objects of a type, in a list that can be left out of a search."""
    found = importlib.import_module("objgraph").by_type(name)
    return [found[-1]] if found else None


_room = Room(_look, _begin)


def _forked() -> None:
    global _room
    _room = Room(_look, _begin)  # the parent's lock may be held


os.register_at_fork(after_in_child=_forked)


class Objgraph:
    """See :class:`paralab_profiling.profilers.tools.Tool`."""

    name = "objgraph"
    unit = "bytes"
    hooks = frozenset({"counts of all objects"})
    tells_time = False
    distorts_time = True
    knows_coroutines = True
    settings: Mapping[str, type | tuple[type, ...]] = {}

    def __init__(self) -> None:
        self._objects = Objects()

    def problem(self) -> str:
        """It is a package of its own."""
        return MISSING if importlib.util.find_spec("objgraph") is None else ""

    def collector(self, name: str, settings: Mapping[str, Any]) -> Types:
        """Counts the calls of one name; what grows is of the process, while this tool is used."""
        return Types(name or "this process", self._objects)


class Types:
    """See :class:`paralab_profiling.profilers.tools.Collector`."""

    def __init__(self, name: str, objects: Objects) -> None:
        self._name = name
        self._objects = objects
        self.calls = 0

    def begin(self) -> WatchSession:
        """A session for one call."""
        return WatchSession(self, self._objects.watch)

    @property
    def is_settled(self) -> bool:
        """See :attr:`Watch.is_settled`."""
        return self._objects.watch.is_settled

    def close(self) -> None:
        """See :meth:`Watch.close_if_idle`."""
        self._objects.watch.close_if_idle()

    def profile(self) -> Profile:
        """Which types have grown; each name tells it, and results count it once."""
        watch = self._objects.watch
        found = watch.growth()
        rows = [
            [shown_name(str(name)), 0, _kind(str(name)), *figures]
            for name, *figures in rows_of(found, MOST_ROWS)
            if figures[1]
        ]
        told = [watch.token, found.calls, found.intervals, rows, self._objects.chains(found)]
        return Profile(
            *("objgraph", "bytes", root_of(self._name, self.calls)),
            extra={"objects": [told] if found.calls else []},
        )


def _kind(name: str) -> str:
    if name.startswith(_OURS):
        return "runtime"
    return "library" if name.startswith("builtins.") else "yours"
