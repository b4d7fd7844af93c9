"""``paralab memory``: every live ref, who holds it, where it was made."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually

import paralab
from paralab.memory_summary import MemoryRow, _size, memory_rows, memory_summary
from paralab.util import state

pytestmark = pytest.mark.slow


@paralab.remote
def makes(_value: Any = None) -> bytes:
    return bytes(LARGE)


@paralab.remote
def takes(_value: Any, gate: str) -> None:
    with open(gate) as file:
        file.read()


@paralab.remote
class Keeper:
    def __init__(self) -> None:
        self.kept: Any = None

    def keep(self, refs: Any) -> int:
        self.kept = refs
        return os.getpid()


def rows_of(ref: Any) -> list[MemoryRow]:
    return [row for row in memory_rows() if row.object_ref == ref.hex()]


def here(name: str) -> MemoryRow:
    """What this process says of the object with this id."""
    (row,) = [row for row in memory_rows() if row.object_ref == name and row.pid == os.getpid()]
    return row


def test_who_holds_an_object(runtime: Any, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    ref = paralab.put(bytes(LARGE))
    (row,) = rows_of(ref)
    assert (row.reference_type, row.held_by, row.local_ref_count) == (
        "LOCAL_REFERENCE", ("1 ref",), 1,
    )  # fmt: skip
    assert (row.type, row.pid, row.is_owner) == ("Driver", os.getpid(), True)
    assert row.object_size > LARGE
    outer = paralab.put([ref])
    task = takes.remote(ref, gate)
    row = here(ref.hex())
    assert row.reference_type == "USED_BY_PENDING_TASK"
    assert {"1 ref", "task takes, which takes it"} < set(row.held_by)
    name = ref.hex()
    del ref
    assert here(name).local_ref_count == 0
    Path(gate).write_text("")
    paralab.get(task)
    row = here(name)
    assert row.reference_type == "CAPTURED_IN_OBJECT"
    assert row.held_by == (f"object {outer.hex()}, whose value holds it",)
    del outer
    eventually(lambda: not [row for row in memory_rows() if row.object_ref == name])


def test_an_actor_holds_what_it_keeps(runtime: Any) -> None:
    ref = paralab.put(bytes(LARGE))
    keeper = Keeper.remote()
    pid = paralab.get(keeper.keep.remote([ref]))
    owners, borrowers = (
        [row for row in rows_of(ref) if row.is_owner is wanted] for wanted in (True, False)
    )
    assert [row.held_by for row in owners] == [("1 ref", f"process {pid}")]
    assert [(row.pid, row.type) for row in borrowers] == [(pid, "Worker")]
    assert borrowers[0].held_by == ("the actor's Keeper instance",)
    (handle,) = [row for row in memory_rows() if row.reference_type == "ACTOR_HANDLE"]
    assert handle.is_owner


def test_lineage_and_pickled_refs(runtime: Any) -> None:
    import pickle

    argument = paralab.put(1)
    result = makes.remote(argument)
    paralab.get(result)
    name = argument.hex()
    del argument
    row = here(name)
    assert row.held_by == ("lineage, to make lost objects again",)
    pickle.dumps(result)
    (row,) = rows_of(result)
    assert "a ref that was pickled by hand" in row.held_by


def test_the_text(runtime: Any) -> None:
    kept = [paralab.put(bytes(LARGE)) for _ in range(3)]
    text = memory_summary(units="KB", num_entries=2)
    assert "--- Summary for node address: 127.0.0.1 ---" in text
    assert text.count("| LOCAL_REFERENCE |") == 2
    assert "PARALAB_RECORD_REF_CREATION_SITES=1" in text
    assert "Display 2 entries per group" in text
    (line,) = [line for line in text.splitlines() if "3, (9" in line]
    assert re.match(r"9\d\d\.\d+ KB +3, \(9\d\d\.\d+ KB\) +0, \(0 KB\)", line)
    only = memory_summary(stats_only=True)
    assert re.fullmatch(r"--- Aggregate .*\nObject store memory usage 1 MiB, 3 objects, .*\n", only)
    for wrong in ({"group_by": "x"}, {"sort_by": "x"}, {"units": "TB"}):
        with pytest.raises(ValueError, match=r"='(x|X|TB)': expected one of"):
            memory_summary(**wrong)  # type: ignore[arg-type]
    del kept


def here_is_a_put() -> Any:
    return paralab.put(1)


def test_where_objects_were_made(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, _system_config={"record_ref_creation_sites": True})
    ref, task, keeper = here_is_a_put(), makes.remote(), Keeper.remote()
    call = keeper.keep.remote(None)
    paralab.get([task, call])
    line = here_is_a_put.__code__.co_firstlineno + 1
    assert ref.call_site().startswith(f"(put object) | {__file__}:here_is_a_put:{line} | ")
    assert "(task call) | " in task.call_site()
    assert "(actor call) | " in call.call_site()
    assert ":test_where_objects_were_made:" in rows_of(task)[0].call_site
    assert "--- Summary for stack trace: (put object) | " in memory_summary(group_by="stack_trace")
    assert state.summarize_objects()["cluster"]["callsite_enabled"]
    assert task.call_site() in state.summarize_objects()["cluster"]["summary"]

    @paralab.remote
    def inner() -> str:
        return paralab.put(1).call_site()

    assert ":inner:" in paralab.get(inner.remote())


def test_the_command(shutdown_after: None) -> None:
    context = paralab.init(num_cpus=1)
    kept = paralab.put(bytes(LARGE))
    command = [sys.executable, "-m", "paralab.cli", "memory", "--units", "KB"]
    address = ["--address", context.address_info["address"]]
    done = subprocess.run(
        [*command, *address], capture_output=True, text=True, timeout=60, check=True
    )
    assert kept.hex() in done.stdout
    assert "1 ref" in done.stdout
    failed = subprocess.run(
        [*command, "--address", "unix:/nowhere"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert "Error: " in failed.stderr


def test_what_is_spilled(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, object_store_memory=4 << 20)
    kept = [paralab.put(bytes(1 << 20)) for _ in range(6)]
    rows = {row.object_ref: row for row in memory_rows()}
    flags = [rows[ref.hex()].is_spilled for ref in kept]
    assert flags[0]
    assert not flags[-1]
    assert " spilled, " in memory_summary(stats_only=True)
    assert "MB spilled | LOCAL_REFERENCE" in memory_summary(units="MB")


def test_who_does_not_answer_is_counted(runtime: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper.remote()
    pid = paralab.get(keeper.keep.remote(None))
    monkeypatch.setattr("paralab.memory_summary.PATIENCE", 0.2)
    os.kill(pid, signal.SIGSTOP)
    try:
        # On a busy machine others may be late as well.
        assert re.search(r"[1-9]\d* processes did not answer in time", memory_summary())
    finally:
        os.kill(pid, signal.SIGCONT)


def test_sizes_are_written_out() -> None:
    sizes = [(3_004_069, "B"), (-1, "B"), (0, "KB"), (3_004_069, "MB")]
    assert [_size(*each) for each in sizes] == ["3,004,069 B", "?", "0 KB", "3.00407 MB"]
