"""Placement groups under faults, and what is free when nothing runs."""

# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab import exceptions
from paralab.process.node_groups import TIDY_NS
from paralab.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from paralab.util.scheduling_strategies import PlacementGroupSchedulingStrategy as Within


@pytest.fixture(autouse=True)
def _all_is_given_back(session: Any) -> Iterator[None]:
    total = paralab.cluster_resources()
    yield
    for group_id, row in placement_group_table().items():
        if row["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(paralab.PlacementGroupID.from_hex(group_id)))
    eventually(lambda: paralab.available_resources() == total)


def fifo(folder: Path, name: str) -> str:
    path = str(folder / name)
    os.mkfifo(path)
    return path


@paralab.remote
def begins_and_stays(path: str) -> None:
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    signal.pause()


def pid_of(path: str) -> int:
    with open(path) as file:
        return int(file.read())


def test_removal_ends_running_and_waiting_tasks(tmp_path: Path) -> None:
    group = placement_group([{"CPU": 1}])
    path = fifo(tmp_path, "running")
    inside = begins_and_stays.options(scheduling_strategy=Within(group))
    refs = [inside.remote(path)]
    pid_of(path)
    refs.append(inside.remote(path))
    remove_placement_group(group)
    refs.append(inside.remote(path))
    for ref in refs:
        with pytest.raises(exceptions.TaskPlacementGroupRemoved):
            paralab.get(ref, timeout=60)


def test_removal_ends_actors_for_good() -> None:
    group = placement_group([{"CPU": 2}])

    @paralab.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)
    class A:
        def f(self) -> int:
            return os.getpid()

    actor = A.options(scheduling_strategy=Within(group)).remote()
    waiting = A.options(num_cpus=2, scheduling_strategy=Within(group)).remote()
    assert paralab.get(actor.f.remote())
    remove_placement_group(group)
    with pytest.raises(exceptions.ActorDiedError, match="placement group was removed"):
        paralab.get(actor.f.remote(), timeout=60)
    with pytest.raises(exceptions.ActorPlacementGroupRemoved):
        paralab.get(waiting.f.remote(), timeout=60)


def test_a_restarted_actor_stays_in_its_group() -> None:
    group = placement_group([{"CPU": 1}])

    @paralab.remote(num_cpus=1, max_restarts=1, max_task_retries=1)
    class A:
        def f(self) -> tuple[int, str | None]:
            facts = paralab.util.get_current_placement_group()
            return os.getpid(), facts and facts.id.hex()

    actor = A.options(scheduling_strategy=Within(group)).remote()
    pid, group_id = paralab.get(actor.f.remote())
    os.kill(pid, signal.SIGKILL)
    assert paralab.get(actor.f.remote(), timeout=60)[1] == group_id == group.id.hex()
    assert "CPU_group_0_" + group.id.hex() not in paralab.available_resources()
    paralab.kill(actor)


def test_a_killed_task_runs_again_in_its_bundle(tmp_path: Path) -> None:
    group = placement_group([{"CPU": 1}, {"CPU": 1}])
    path = fifo(tmp_path, "running")
    ref = begins_and_stays.options(scheduling_strategy=Within(group, 1)).remote(path)
    for _ in range(2):
        os.kill(pid_of(path), signal.SIGKILL)
    pid_of(path)
    available = paralab.available_resources()
    assert available[f"CPU_group_0_{group.id.hex()}"] == 1
    assert f"CPU_group_1_{group.id.hex()}" not in available
    remove_placement_group(group)
    with pytest.raises(exceptions.TaskPlacementGroupRemoved):
        paralab.get(ref, timeout=60)


def test_a_group_waits_until_there_is_room() -> None:
    first = placement_group([{"CPU": 2}])
    second = placement_group([{"CPU": 1}, {"CPU": 1}])
    ready = second.ready()
    assert first.wait(60)
    assert paralab.wait([ready], timeout=0) == ([], [ready])
    remove_placement_group(first)
    assert paralab.get(ready, timeout=60) == second


def test_tasks_wait_for_their_group_and_refs_to_it_travel() -> None:
    first = placement_group([{"CPU": 2}])
    second = placement_group([{"CPU": 1}])

    @paralab.remote
    def f() -> int:
        return 7

    @paralab.remote(num_cpus=0)
    def waits(group: Any, inside: list[Any]) -> Any:
        return group == paralab.get(inside[0])

    ref = f.options(scheduling_strategy=Within(second)).remote()
    travels = waits.remote(second.ready(), [second.ready()])
    remove_placement_group(first)
    assert paralab.get(ref, timeout=60) == 7
    assert paralab.get(travels, timeout=60)


def test_a_group_made_in_a_task_outlives_the_task() -> None:
    @paralab.remote
    def makes() -> Any:
        return placement_group([{"CPU": 1}], name="from a task")

    group = paralab.get(makes.remote())
    assert group.wait(60)
    assert paralab.util.get_placement_group("from a task") == group


def test_what_is_free_is_told_right_after_get() -> None:
    total = paralab.cluster_resources()

    @paralab.remote
    def inner() -> int:
        return 1

    @paralab.remote
    def outer() -> int:
        return sum(paralab.get([inner.remote() for _ in range(5)]))

    for _ in range(20):
        assert paralab.get(outer.remote()) == 5
        asked = time.monotonic_ns()
        free = paralab.available_resources()
        # The node does not wait longer for a worker that has no time to answer.
        assert free == total or time.monotonic_ns() - asked > TIDY_NS


def test_captured_children_nest_deeper_than_the_bundle() -> None:
    group = placement_group([{"CPU": 1}])

    @paralab.remote
    def nested(depth: int) -> Any:
        below = paralab.get(nested.remote(depth - 1)) if depth else []
        return [paralab.get_runtime_context().get_assigned_resources(), *below]

    place = Within(group, placement_group_capture_child_tasks=True)
    found = paralab.get(nested.options(scheduling_strategy=place).remote(3), timeout=60)
    assert found == [{"CPU": 1.0}] * 4
    eventually(lambda: paralab.available_resources().get(f"CPU_group_0_{group.id.hex()}") == 1)


def test_wide_tasks_are_not_starved(tmp_path: Path) -> None:
    @paralab.remote
    def narrow(path: Path) -> None:
        path.touch()
        path.with_suffix(".go").read_text()

    @paralab.remote(num_cpus=2)
    def wide() -> int:
        return 2

    def meeting(number: int) -> Path:
        path = tmp_path / str(number)
        os.mkfifo(path.with_suffix(".go"))
        return path

    def begins(path: Path) -> bool:
        """Whether the narrow task begins while the wide one waits; half a second is enough."""
        last = time.monotonic() + 0.5
        while not path.exists() and time.monotonic() < last:
            paralab.wait([ref], timeout=0.01)
        return path.exists()

    def is_done() -> bool:
        return bool(paralab.wait([ref], timeout=0)[0])

    def end(path: Path) -> None:
        path.with_suffix(".go").write_text("")

    # Two at once, so that there are two workers.
    before, path = meeting(0), meeting(1)
    refs = [narrow.remote(before), narrow.remote(path)]
    eventually(lambda: before.exists() and path.exists())
    end(before)
    ref = wide.remote()
    deadline = time.monotonic() + 60
    for number in count(2):
        # The next one is there before the one before it ends: never are both CPUs free.
        before, path = path, meeting(number)
        refs.append(narrow.remote(path))
        begins(path)
        end(before)
        eventually(lambda path=path: is_done() or path.exists())
        if is_done():
            break
        assert time.monotonic() < deadline, "the wide task was overtaken every time"
    assert paralab.get(ref, timeout=60) == 2
    eventually(path.exists)
    end(path)
    paralab.get(refs, timeout=60)


def test_a_group_ends_with_the_detached_actor_that_made_it() -> None:
    @paralab.remote(num_cpus=0)
    class Maker:
        def make(self) -> Any:
            return placement_group([{"CPU": 1}])

    for lifetime, state in (("detached", "REMOVED"), (None, "CREATED")):
        maker = Maker.options(lifetime=lifetime).remote()
        group = paralab.get(maker.make.remote())
        assert group.wait(60)
        paralab.kill(maker)
        eventually(lambda group=group, state=state: placement_group_table(group)["state"] == state)


def test_interrupted_waits_leave_the_group_usable() -> None:
    group = placement_group([{"CPU": 2}])
    second = placement_group([{"CPU": 1}])
    for _ in range(3):
        assert second.wait(0.01) is False
    remove_placement_group(group)
    assert second.wait(60) is True
    assert second.wait(0) is True
