"""Who holds it: chains in this process, joined with what the runtime knows of refs elsewhere.

Of a ref the runtime counts who holds it in which process, and under which names
(``paralab memory``); how one comes there from a name only the objects themselves say.  Both stand
in one picture, so that one sees what to let go of.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from paralab import ObjectRef
from paralab.engine import installed
from paralab.memory_summary import MemoryRow, memory_rows
from paralab_profiling.details import byte_count
from paralab_profiling.memory.chain_drawing import draw_chains
from paralab_profiling.memory.chains import Chain, Step, chains_to, what
from paralab_profiling.picture import Picture
from paralab_profiling.stamps import Stamp, stamp

SECONDS = 5.0
FOUND_BY = "in this process, as its garbage collector knows it"
_SHARED = (int, float, complex, str, type(None))


@dataclass(frozen=True)
class Holders:
    """What keeps an object alive.

    Attributes:
        name: of the object, such as "Result" or "object of 200 MB".
        chains: in this process; at the end of each is the object.
        elsewhere: who else holds it, in words, for each process; of refs only.
        facts: what else is known of it: size, where it was made, who owns it.
        stamp: what it was found on.
    """

    name: str
    chains: tuple[Chain, ...]
    elsewhere: tuple[str, ...]
    facts: tuple[str, ...]
    stamp: Stamp

    @property
    def title(self) -> str:
        """The finding."""
        ways = [_first(chain) for chain in self.chains]
        ways += list(self.elsewhere)
        if not ways:
            return f"Nothing that can be seen holds {self.name}"
        if len(ways) == 1:
            return f"{self.name} is held by {ways[0]}"
        return f"{self.name} is held by {ways[0]} and {len(ways) - 1} more"

    @cached_property
    def picture(self) -> Picture:
        """The chains, and the others, with the object at their end."""
        note = "; ".join(self.facts)
        return draw_chains(
            self.chains, self.elsewhere, self.name, self.title, note, str(self.stamp)
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self) | {"title": self.title}

    def __repr__(self) -> str:
        return self.picture.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.picture._repr_mimebundle_()


def who_holds(target: Any) -> Holders:
    """What keeps an object alive: in this process, and of a ref in all others too.

    Args:
        target: any object, or a ref; the variable that it is given by is one of the holders.

    Raises:
        TypeError: the object is one that Python shares, such as a number or a text.
    """
    if isinstance(target, ObjectRef):
        return _holders_of_ref(target)
    if isinstance(target, _SHARED):
        raise TypeError(
            f"Python shares {what(target)} with whoever has an equal one, so who holds it says "
            "nothing: ask for the object that it is part of, or for a ref."
        )
    found = tuple(chains_to(target))
    return Holders(what(target), found, (), (FOUND_BY,), stamp())


def _holders_of_ref(target: ObjectRef) -> Holders:
    found: dict[tuple[Step, ...], Chain] = {}
    same = _same(target)
    for each in same:
        # What the runtime holds for those who look at the store, it tells under their names.
        ours = [holder for holder in gc.get_referrers(each) if _is_of_runtime(holder)]
        for chain in chains_to(each, ignore=[same, *ours]):
            found.setdefault(chain.steps, chain)
    rows = _rows(target)
    sizes = [row.object_size for row in rows if row.object_size >= 0]
    name = f"object of {byte_count(max(sizes))}" if sizes else "object"
    facts = [f"owned by {row.type.lower()} {row.pid}" for row in rows if row.is_owner][:1]
    facts += [_made_at(row.call_site) for row in rows if row.is_owner][:1]
    chains = sorted(found.values(), key=lambda chain: (not chain.is_whole, len(chain.steps)))
    return Holders(name, tuple(chains), tuple(_elsewhere(rows, chains)), tuple(facts), stamp())


def _same(target: ObjectRef) -> list[ObjectRef]:
    """All refs of this process with the same id: one that was handed on is another object."""
    found = []
    for each in gc.get_objects():
        if type(each) is ObjectRef and each == target:
            found.append(each)  # noqa: PERF401 - a comprehension would hold ``target`` in a cell
    return found


def _is_of_runtime(holder: Any) -> bool:
    return type(holder).__module__.startswith(("paralab.process.", "paralab.store."))


def _made_at(site: str) -> str:
    if site == "disabled":
        return "where it was made is told with PARALAB_RECORD_REF_CREATION_SITES=1"
    return f"made at {site}"


def _rows(target: ObjectRef) -> list[MemoryRow]:
    """What the processes of the session count; nothing without one."""
    if installed() is None:
        return []
    wanted = target.hex()
    return [row for row in memory_rows(SECONDS) if row.object_ref == wanted]


def _elsewhere(rows: Sequence[MemoryRow], chains: Sequence[Chain]) -> list[str]:
    """Names and counts that no chain shows: of other processes, and of arrays in this one."""
    shown = {_plain(_first(chain)) for chain in chains}
    processes = {f"process {row.pid}" for row in rows}
    found = []
    for row in rows:
        is_here = row.pid == os.getpid()
        for holder in row.held_by:
            if is_here and (_plain(holder) in shown or re.fullmatch(r"\d+ refs?", holder)):
                continue
            if holder in processes:  # it tells more itself
                continue
            place = "here" if is_here else f"in {row.type.lower()} {row.pid}"
            found.append(f"{holder}, {place}")
    return list(dict.fromkeys(found))


def _plain(holder: str) -> str:
    """A name as both sides call it: "variable x" and "x", "Out[3] of IPython" and "Out[3]"."""
    return holder.removeprefix("variable ").removesuffix(" of IPython")


def _first(chain: Chain) -> str:
    """What one would let go of: the name at the chain's beginning."""
    first = chain.steps[0]
    if first.what == "module __main__" and first.how:
        return first.how
    return f"{first.what}.{first.how}" if first.what.startswith("module ") else first.what
