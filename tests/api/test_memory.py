"""The live refs of a session, on each engine."""

from __future__ import annotations

import paralab
from paralab.memory_summary import memory_rows, memory_summary


@paralab.remote
def memory_one() -> int:
    return 1


@paralab.remote
class MemoryActor:
    def method(self) -> int:
        return 1


def test_every_live_ref_has_a_row(engine: str) -> None:
    refs = [paralab.put(1), memory_one.remote()]
    actor = MemoryActor.remote()
    paralab.get([refs[1], actor.method.remote()])
    rows = {row.object_ref: row for row in memory_rows()}
    assert [rows[ref.hex()].reference_type for ref in refs] == ["LOCAL_REFERENCE"] * 2
    assert rows[refs[0].hex()].held_by == ("1 ref",)
    assert rows[actor._ref.hex()].reference_type == "ACTOR_HANDLE"
    text = memory_summary(units="KB")
    assert refs[1].hex() in text
    assert "Object store memory usage" in text
