"""Identifiers as objects."""

from __future__ import annotations

import copy
import pickle

import pytest

import paralab

SIZES = {
    "NodeID": 28, "WorkerID": 28, "UniqueID": 28, "FunctionID": 28, "ActorClassID": 28,
    "TaskID": 24, "ActorID": 16, "JobID": 4, "PlacementGroupID": 18,
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_what_all_ids_do(name: str) -> None:
    kind = getattr(paralab, name)
    one, other = kind.from_random(), kind.from_random()
    assert kind.size() == SIZES[name]
    assert one != other
    assert {one: 1}[kind(one.binary())] == 1
    assert kind.from_hex(one.hex()) == kind.from_binary(one.binary()) == one
    assert repr(one) == f"{name}({one.hex()})"
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    assert kind.nil().is_nil()
    assert not one.is_nil()
    assert kind.nil().hex() == "ff" * SIZES[name]
    with pytest.raises(ValueError, match=f"needs to have length {SIZES[name]}, got 2"):
        kind(b"xx")
    with pytest.raises(TypeError, match="expected bytes"):
        kind("xx")
    with pytest.raises(ValueError, match="length"):
        kind.from_hex("aa")


def test_kinds_are_told_apart() -> None:
    assert paralab.NodeID(b"a" * 28) != paralab.WorkerID(b"a" * 28)
    assert paralab.JobID.from_int(1).hex() == "01000000"
    assert paralab.JobID.from_int(7).int() == 7
    group = paralab.PlacementGroupID.of(paralab.JobID.from_int(1))
    assert group.hex().endswith("01000000")


def test_ids_of_refs(engine: str) -> None:
    assert paralab.ObjectID is paralab.ObjectRef
    ref = paralab.put(1)
    assert type(ref.task_id()) is paralab.TaskID
    assert ref.hex().startswith(ref.task_id().hex())
    assert ref.job_id() == paralab.JobID.from_hex(paralab.get_runtime_context().get_job_id())
