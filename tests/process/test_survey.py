"""Asking all processes: what is under way, who does not answer, and who dies meanwhile."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually
from program import program

import paralab
import paralab.util.scheduling_strategies
from paralab.engine import current
from paralab.util import state
from paralab.util.state.exception import RayStateApiException

pytestmark = pytest.mark.slow


@paralab.remote
def at_gate(gate: str, begun: str) -> None:
    with open(begun, "w") as file:
        file.write(str(os.getpid()))
    with open(gate) as file:
        file.read()


@paralab.remote
def behind(_value: Any) -> None:
    pass


def fifos(folder: Path) -> list[str]:
    names = [str(folder / name) for name in ("gate", "begun")]
    for name in names:
        os.mkfifo(name)
    return names


def states(name: str) -> list[str]:
    return sorted(task.state for task in state.list_tasks(filters=[("name", "=", name)]))


def test_tasks_under_way(runtime: Any, tmp_path: Path) -> None:
    gate, begun = fifos(tmp_path)
    holds = at_gate.options(num_cpus=2).remote(gate, begun)
    pid = int(Path(begun).read_text())
    waits, needs = (
        behind.options(name="waits").remote(1),
        behind.options(name="needs").remote(holds),
    )
    (running,) = state.list_tasks(filters=[("state", "=", "RUNNING")])
    assert (running.name, running.worker_pid) == (at_gate._spec.name, pid)
    assert states("waits") == ["PENDING_NODE_ASSIGNMENT"]
    assert states("needs") == ["PENDING_ARGS_AVAIL"]
    (used,) = state.get_objects(holds.hex())
    assert (used.task_status, used.reference_type) == ("RUNNING", "USED_BY_PENDING_TASK")
    Path(gate).write_text("go")
    paralab.get([holds, waits, needs])
    assert states("needs") == ["FINISHED"]


def test_an_actor_that_waits_for_a_place(runtime: Any, tmp_path: Path) -> None:
    @paralab.remote
    class Waiter:
        pass

    gate, begun = fifos(tmp_path)
    holds = at_gate.remote(gate, begun)
    Path(begun).read_text()
    large, dependent = Waiter.options(num_cpus=2).remote(), Waiter.options(num_cpus=0).remote()
    found = {actor.actor_id: actor.state for actor in state.list_actors()}
    assert found[large._actor_id.hex()] == "PENDING_CREATION"
    Path(gate).write_text("go")
    paralab.get(holds)
    del large, dependent


def test_a_worker_that_died(runtime: Any) -> None:
    @paralab.remote(max_retries=0, name="dies")
    def dies() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(paralab.exceptions.WorkerCrashedError):
        paralab.get(dies.remote())
    (task,) = state.list_tasks(filters=[("name", "=", "dies")], detail=True)
    assert (task.state, task.error_type) == ("FAILED", "WORKER_DIED")
    dead = state.list_workers(filters=[("is_alive", "=", False)], detail=True)
    assert "SIGKILL" in str(dead[-1].exit_detail)
    assert dead[-1].exit_type == "SYSTEM_ERROR"
    assert "dies" not in {event["name"] for event in paralab.timeline() or []}


class _Leaver:
    """An actor that ends in one way or another."""

    def __init__(self, fails: bool = False, told: str = "") -> None:
        if fails:
            Path(told).write_text(f"{os.getpid()}\n")
            raise ValueError("not today")

    def pid(self) -> int:
        return os.getpid()

    def leave(self) -> None:
        paralab.actor.exit_actor()

    def exit(self, code: int) -> None:
        sys.exit(code)


@pytest.mark.parametrize(
    ("way", "kind", "words"),
    [
        ("leave", "INTENDED_USER_EXIT", "exit_actor"),
        ("exit 0", "INTENDED_USER_EXIT", "exited with code 0"),
        ("exit 4", "SYSTEM_ERROR", "exited with code 4"),
        ("handle", "INTENDED_USER_EXIT", "last handle is gone"),
        ("kill", "INTENDED_SYSTEM_EXIT", "killed by `paralab.kill`"),
        ("group", "INTENDED_SYSTEM_EXIT", "placement group was removed"),
        ("init", "USER_ERROR", "not today"),
    ],
)
def test_how_and_why_a_worker_ended(
    runtime: Any, tmp_path: Path, way: str, kind: str, words: str
) -> None:
    leaver = paralab.remote(num_cpus=0)(_Leaver)
    group = None
    if way == "group":
        group = paralab.util.placement_group([{"CPU": 1}])
        where = paralab.util.scheduling_strategies.PlacementGroupSchedulingStrategy(group)
        leaver = leaver.options(scheduling_strategy=where)
    actor = leaver.remote(way == "init", str(tmp_path / "pid"))
    if way == "init":
        with pytest.raises(paralab.exceptions.ActorDiedError):
            paralab.get(actor.pid.remote(), timeout=60)
        pid = int((tmp_path / "pid").read_text())
    else:
        pid = paralab.get(actor.pid.remote(), timeout=60)
        (alive,) = state.list_workers(filters=[("pid", "=", pid)], detail=True)
        assert (alive.is_alive, alive.exit_type, alive.end_time_ms) == (True, None, 0)
        assert alive.start_time_ms
    if way == "leave":
        actor.leave.remote()
    elif way.startswith("exit"):
        actor.exit.remote(int(way[-1]))
    elif way == "kill":
        paralab.kill(actor)
    elif group is not None:
        paralab.util.remove_placement_group(group)
    elif way == "handle":
        del actor

    def ended() -> Any:
        rows = state.list_workers(filters=[("pid", "=", pid)], detail=True)
        return [row for row in rows if not row.is_alive]

    (worker,) = eventually(ended, 60)
    assert worker.exit_type == kind, worker.exit_detail
    assert words in worker.exit_detail
    assert 0 < worker.start_time_ms <= worker.end_time_ms


def test_a_process_that_does_not_answer(runtime: Any) -> None:
    @paralab.remote
    class Frozen:
        def pid(self) -> int:
            return os.getpid()

    frozen = Frozen.remote()
    pid = paralab.get(frozen.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(RayStateApiException, match="did not answer within"):
            state.list_tasks(timeout=0.1)  # type: ignore[arg-type]
        with pytest.warns(UserWarning, match="did not answer within"):
            assert state.list_tasks(timeout=0.1, raise_on_missing_output=False)  # type: ignore[arg-type]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert state.list_tasks()
    node = current()._node_process.pid  # type: ignore[attr-defined]
    os.kill(node, signal.SIGSTOP)
    try:
        with pytest.raises(RayStateApiException, match="1 of 2 processes did not answer"):
            state.list_tasks(timeout=0.1)  # type: ignore[arg-type]
    finally:
        os.kill(node, signal.SIGCONT)


def test_a_process_that_dies_is_not_waited_for(runtime: Any) -> None:
    @paralab.remote
    class Frozen:
        def pid(self) -> int:
            return os.getpid()

    frozen = Frozen.remote()
    pid = paralab.get(frozen.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    assert state.list_tasks(timeout=60)


def test_a_task_asks(runtime: Any) -> None:
    @paralab.remote(name="asks")
    def asks() -> list[str]:
        return [task.state for task in state.list_tasks(filters=[("name", "=", "asks")])]

    assert paralab.get(asks.remote()) == ["RUNNING"]


JOINS = """
paralab.init(address=sys.stdin.readline().strip())

@paralab.remote(name="theirs")
def theirs():
    return 1

paralab.get(theirs.remote())
print("done", flush=True)
sys.stdin.readline()
"""


def test_other_drivers_are_asked_too(runtime: Any) -> None:
    with program(JOINS) as other:
        assert other.process.stdin is not None
        other.process.stdin.write(f"{runtime.address_info['address']}\n".encode())
        assert other.line() == "done"
        (task,) = state.list_tasks(filters=[("name", "=", "theirs")])
        mine, their = state.list_jobs()
        assert mine.job_id == paralab.get_runtime_context().get_job_id()
        assert (their.job_id, their.status) == (task.job_id, "RUNNING")
        assert their.job_id != mine.job_id
        drivers = state.list_workers(filters=[("worker_type", "=", "DRIVER")])
        assert {driver.pid for driver in drivers} == {os.getpid(), other.process.pid}
        other.process.stdin.write(b"\n")
        other.end()
    eventually(lambda: state.list_jobs()[1].status == "SUCCEEDED")
