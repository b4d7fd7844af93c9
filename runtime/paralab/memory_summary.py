"""Every live ref of a session: whose it is, how large, who holds it, where it was made.

::

    survey("objects") ── what each process counts ──┐
    survey("names")   ── under which names ─────────┼──▶ MemoryRow ──▶ text, as "paralab memory"
    survey("tasks")   ── what makes them ───────────┘

An object has a row for each process that holds it, as in Ray.  Sums count each object once.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterable
from typing import Any, Literal

from paralab.ids import Address, object_id
from paralab.names_of_refs import OUT
from paralab.shown_text import shown_name, shown_path
from paralab.state.told import ObjectRow
from paralab.util.state import collect
from paralab.util.state.common import DEFAULT_RPC_TIMEOUT

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
GROUPS = ("NODE_ADDRESS", "STACK_TRACE")
SORTS = ("PID", "OBJECT_SIZE", "REFERENCE_TYPE")
PATIENCE = 10.0
"""Seconds for the answers of busy processes."""
IMPATIENT = 0.5
WIDE = 137
"""Columns from which a row takes one line."""
_KINDS = {
    "LOCAL_REFERENCE": "Local References",
    "PINNED_IN_MEMORY": "Pinned",
    "USED_BY_PENDING_TASK": "Used by task",
    "CAPTURED_IN_OBJECT": "Captured in Objects",
    "ACTOR_HANDLE": "Actor Handles",
}
Sort = Literal["PID", "OBJECT_SIZE", "REFERENCE_TYPE"]


@dataclasses.dataclass(frozen=True)
class MemoryRow:
    """One object as one process holds it."""

    object_ref: str
    """Its id, in hexadecimal digits."""
    node_ip_address: str
    pid: int
    type: str
    """Of the process: "Driver" or "Worker"."""
    call_site: str
    """Where it was made; "disabled" where that is not recorded."""
    task_status: str
    attempt_number: int
    """From 1."""
    object_size: int
    """Bytes; -1 where they are not known."""
    reference_type: str
    is_owner: bool
    """Whether this process has made it."""
    local_ref_count: int
    """Live refs in this process's variables, containers, attributes, closures."""
    held_by: tuple[str, ...]
    """Who holds it, in words."""
    is_spilled: bool = False


def memory_rows(timeout: float = DEFAULT_RPC_TIMEOUT) -> list[MemoryRow]:
    """The live refs of all processes of the session.

    Args:
        timeout: in seconds, for the answers of busy processes.

    Raises:
        ConnectionError: no session runs in this process.
    """
    return _rows_and_silent(timeout)[0]


def _rows_and_silent(timeout: float) -> tuple[list[MemoryRow], int]:
    """The rows, and how many processes did not answer in time."""
    objects = collect.ask("objects", timeout)
    # Who is silent now, in a call that keeps the GIL say, would be for the other questions too.
    timeout = min(timeout, IMPATIENT) if objects.silent else timeout
    names = {each.address: each.answer or () for each in collect.ask("names", timeout).told}
    states = list(collect.objects(objects, collect.ask("tasks", timeout)))
    pids = {each.address: each.pid for each in objects.told}
    spilled = {tuple(each) for each in collect.engine_in_use().info("spilled") or ()}
    known = ((told, row) for told in objects.told for row in told.answer or ())
    rows = []
    for (told, fields), state in zip(known, states, strict=True):
        row = ObjectRow._make(fields)
        known_here = names.get(told.address, ())
        here = [name for owner, key, name in known_here if (owner, key) == row[:2]]
        rows.append(
            MemoryRow(
                object_ref=state.object_id,
                node_ip_address=state.ip,
                pid=state.pid,
                type=state.type.title(),
                call_site=" | ".join(map(_place, state.call_site.split(" | "))),
                task_status="-" if state.task_status == "NIL" else state.task_status,
                attempt_number=state.attempt_number + 1,
                object_size=state.object_size,
                reference_type=state.reference_type,
                is_owner=row.owner == told.address,
                local_ref_count=row.refs,
                held_by=tuple(map(shown_name, _holders(row, here, pids))),
                is_spilled=(row.owner, row.key) in spilled,
            )
        )
    return rows, len(objects.silent)


def _place(site: str) -> str:
    return shown_name(shown_path(site))


def _holders(row: ObjectRow, names: list[str], pids: dict[Address, int]) -> Iterable[str]:
    """Who holds an object in a process, in words."""
    yield from dict.fromkeys(names)
    if row.refs and not names:
        yield "1 ref" if row.refs == 1 else f"{row.refs} refs"
    yield from (f"task {name}, which takes it" for name in dict.fromkeys(row.tasks))
    yield from (f"object {object_id(*each).hex()}, whose value holds it" for each in row.inside)
    if row.again:
        yield "lineage, to make lost objects again"
    if row.is_pinned:
        yield "a ref that was pickled by hand"
    yield from (f"process {pids.get(each) or 'that has ended'}" for each in row.holders)


def memory_summary(
    address: str | None = None,
    group_by: str = "NODE_ADDRESS",
    sort_by: str = "OBJECT_SIZE",
    units: str = "B",
    line_wrap: bool = True,
    stats_only: bool = False,
    num_entries: int | None = None,
) -> str:
    """The live refs of a session as text.

    Args:
        address: of the session of this process, or None.
        group_by: "NODE_ADDRESS" or "STACK_TRACE" (where objects were made).
        sort_by: "PID", "OBJECT_SIZE" or "REFERENCE_TYPE", smallest first.
        units: of sizes: "B", "KB", "MB" or "GB".
        line_wrap: whether to lay rows out in columns where the terminal is wide enough.
        stats_only: nothing but the figures of the object store.
        num_entries: rows of each group; None for all.

    Raises:
        ValueError: an argument is none of these.
        ConnectionError: no session runs in this process.
    """
    group_by, sort_by, units = group_by.upper(), sort_by.upper(), units.upper()
    for name, value, known in (
        ("group_by", group_by, GROUPS),
        ("sort_by", sort_by, SORTS),
        ("units", units, tuple(UNITS)),
    ):
        if value not in known:
            raise ValueError(f"{name}={value!r}: expected one of {', '.join(known)}.")
    engine = collect.engine_in_use()
    if address not in (None, "auto", "local", engine.info("address")["address"]):
        raise ConnectionError(f"address={address!r}: only this process's session can be asked.")
    store = _store_text(engine.info("store") or {})
    if stats_only:
        return store
    rows, silent = _rows_and_silent(PATIENCE)
    rows.sort(key=_ORDERS[sort_by])
    groups: dict[str, list[MemoryRow]] = {}
    for row in rows:
        key = row.node_ip_address if group_by == "NODE_ADDRESS" else row.call_site
        groups.setdefault(key, []).append(row)
    shown, by = ("all" if num_entries is None else num_entries), group_by.lower().replace("_", " ")
    order, gap = sort_by.lower().replace("_", " "), "...        "
    text = [f"Grouping by {by}{gap}Sorting by {order}{gap}Display {shown} entries per group...\n\n"]
    is_wide = line_wrap and shutil.get_terminal_size((80, 20)).columns > WIDE
    for key, group in groups.items():
        text += _group_text(by, key, group, units, num_entries, is_wide)
    if silent:
        text.append(f"{silent} processes did not answer in time; what they hold is not shown.\n")
    if advice := _advice(rows, units):
        text += [*advice, ""]
    if all(row.call_site == "disabled" for row in rows):
        text.append(
            "To record where each ref is made, start with PARALAB_RECORD_REF_CREATION_SITES=1 in "
            "the environment\n"
        )
    return "\n".join(text) + "\n" + store


_ORDERS: dict[str, Any] = {
    "PID": lambda row: row.pid,
    "OBJECT_SIZE": lambda row: row.object_size,
    "REFERENCE_TYPE": lambda row: row.reference_type,
}


def _size(size: int, units: str) -> str:
    if size < 0:
        return "?"
    # Not by ":g", which makes 3e+06 of three million and loses what comes behind.
    return f"{size:,} B" if units == "B" else f"{size / UNITS[units]:,.6g} {units}"


def _together(rows: Iterable[MemoryRow]) -> int:
    return sum({row.object_ref: max(0, row.object_size) for row in rows}.values())


def _group_text(
    by: str, key: str, rows: list[MemoryRow], units: str, most: int | None, is_wide: bool
) -> list[str]:
    cells = [("Mem Used by Objects", _size(_together(rows), units))]
    for kind, title in _KINDS.items():
        found = [row for row in rows if row.reference_type == kind]
        cells.append((title, f"{len(found)}, ({_size(_together(found), units)})"))
    widths = [max(map(len, cell)) for cell in cells]
    lines = [
        "  ".join(cell[at].ljust(width) for cell, width in zip(cells, widths, strict=True))
        for at in (0, 1)
    ]
    text = [f"--- Summary for {by}: {key} ---", *lines, ""]
    text.append(f"--- Object references for {by}: {key} ---")
    table = [
        ("IP Address", "PID", "Type", "Status", "Attempt", "Size", "Reference Type", "Object Ref")
    ]
    chosen = rows if most is None else rows[:most]
    table += [
        (
            row.node_ip_address, str(row.pid), row.type, row.task_status, str(row.attempt_number),
            _size(row.object_size, units) + " spilled" * row.is_spilled, row.reference_type,
            row.object_ref,
        )
        for row in chosen
    ]  # fmt: skip
    widths = [max(len(line[at]) for line in table) if is_wide else 0 for at in range(8)]
    mark = "  " if is_wide else " | "
    drawn = [
        mark.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]
    text.append(drawn[0])
    for row, line in zip(chosen, drawn[1:], strict=True):
        text += ["", line, f"    made at: {row.call_site}"]
        if row.held_by:
            text.append(f"    held by: {'; '.join(row.held_by)}")
    return [*text, ""]


def _advice(rows: Iterable[MemoryRow], units: str) -> list[str]:
    """How to be rid of what only IPython's outputs hold."""
    found: dict[str, set[tuple[str, int]]] = {}
    for row in rows:
        if row.held_by and all(name.endswith(OUT) for name in row.held_by):
            for name in row.held_by:
                if number := re.match(r"Out\[(\d+)\]", name):
                    found.setdefault(number[1], set()).add((row.object_ref, row.object_size))
    return [
        f"{_size(sum(max(0, size) for _ref, size in held), units)} are held by Out[{number}] of "
        f"IPython and by nothing else: '%xdel _{number}' lets go of them ('del' does not, as "
        "IPython keeps outputs under several names)."
        for number, held in found.items()
    ]


def _store_text(stats: dict[str, Any]) -> str:
    used, capacity = stats.get("used", 0), stats.get("capacity", 0)
    share = 100 * used / capacity if capacity else 0.0
    spilled = stats.get("spilled_objects", 0)
    more = f", {spilled} spilled" if spilled else ""
    return (
        "--- Aggregate object store stats across all nodes ---\n"
        f"Object store memory usage {used / (1 << 20):.0f} MiB, {stats.get('objects', 0)} objects"
        f"{more}, {share:.2f}% full\n"
    )
