"""Where objects are, and how large.

What this process knows of an object is asked of its own tables: of what it owns, that is all there
is to know.  Of what it has borrowed and not fetched, the owner is asked, in the survey that
:mod:`paralab.util.state` makes.  All virtual nodes of a ``Cluster`` share one store, so what is in
it counts as being on the node of the process that asks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from paralab.engine import Engine, installed
from paralab.exceptions import GetTimeoutError
from paralab.ids import INDEX_MASK
from paralab.library_name import said
from paralab.lifecycle import other_session
from paralab.object_ref import ObjectRef
from paralab.state.told import ObjectRow, object_rows

_LIMIT = 10_000
"""Of each process so many objects are looked at, the newest first."""
_PATIENCE = 600.0
"""Seconds that stand for waiting without an end."""
INLINE_BYTES = 100 << 10
"""What is smaller is kept by its owner, and not in the store of a node."""


def get_object_locations(
    obj_refs: Sequence[ObjectRef], timeout_ms: int = -1
) -> dict[ObjectRef, dict[str, Any]]:
    """Where the objects are; of refs from elsewhere their owners are asked.

    Args:
        obj_refs: the refs.
        timeout_ms: milliseconds until that is given up; without end if it is negative.

    Returns:
        By ref: ``node_ids``, a list of hexadecimal digits, empty for what has no value yet and
        for small results, which are with their owner; ``object_size`` in bytes, None if it is not
        known; ``did_spill``, always False, as spilled objects come back by themselves.

    Raises:
        RuntimeError: no session runs in this process.
        TypeError: one is no ref.
        ValueError: one is from another session.
        GetTimeoutError: an owner did not answer in time.
    """
    engine = _engine()
    found = get_local_object_locations(obj_refs)
    missing = {(ref._entry.owner, ref._entry.key): ref for ref in obj_refs if ref not in found}
    if missing:
        seconds = _PATIENCE if timeout_ms < 0 else timeout_ms / 1000
        survey = engine.survey("objects", _LIMIT, seconds)
        for told in survey.told:
            for row in map(ObjectRow._make, told.answer or ()):
                ref = missing.get((row.owner, row.key))
                if ref is not None and told.address == row.owner:
                    found[ref] = _location(row, engine)
        if any(ref not in found and ref._entry.owner in survey.silent for ref in missing.values()):
            raise GetTimeoutError(f"The owners did not answer within {seconds:g} s.")
    return found


def get_local_object_locations(
    obj_refs: Sequence[ObjectRef],
) -> dict[ObjectRef, dict[str, Any]]:
    """As :func:`get_object_locations`, of those objects that this process knows; nobody is asked.

    Raises:
        RuntimeError: no session runs in this process.
        TypeError: one is no ref.
        ValueError: one is from another session.
    """
    engine = _engine()
    for ref in obj_refs:
        if not isinstance(ref, ObjectRef):
            raise TypeError(f"obj_refs: expected ObjectRefs, got {ref!r} of {type(ref).__name__}.")
        if ref._entry.mailbox is not engine.mailbox:
            raise ValueError(f"{ref!r} is from {other_session()}")
    return {
        ref: _location(row, engine)
        for ref in obj_refs
        if (row := _own_row(ref._entry, engine)) is not None
    }


def _engine() -> Any:
    engine = installed()
    if engine is None:
        raise RuntimeError(said("No session runs in this process: call paralab.init() first."))
    return engine


def _own_row(entry: Any, engine: Engine) -> ObjectRow | None:
    """What this process knows; None of what it has borrowed and not fetched."""
    if hasattr(entry, "row"):  # local mode's
        return ObjectRow._make(entry.row())
    row = ObjectRow._make(object_rows([entry], (), (), sys.getrefcount, 1)[0])
    is_owned = entry.owner.hex() == engine.info("context")["worker_id"][: 2 * len(entry.owner)]
    return row if is_owned or entry.payload is not None else None


def _location(row: ObjectRow, engine: Engine) -> dict[str, Any]:
    size = row.size if row.status and row.size >= 0 else None
    is_put = not row.key & INDEX_MASK
    in_store = size is not None and row.status == "FINISHED" and (is_put or size >= INLINE_BYTES)
    nodes = [engine.info("context")["node_id"]] if in_store else []
    return {"node_ids": nodes, "object_size": size, "did_spill": False}
