"""``util.state``: what a session is doing, on each engine."""

from __future__ import annotations

from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab import util
from paralab.util import state
from paralab.util.state.exception import RayStateApiException


@paralab.remote
def state_one(x: int) -> int:
    return x


@paralab.remote
def state_bad() -> None:
    raise ValueError("for state")


@paralab.remote
def state_outer() -> Any:
    return paralab.get(state_one.options(name="state_inner").remote(1))


@paralab.remote
class StateActor:
    def method(self) -> int:
        return 1


def named(name: str, **more: Any) -> Any:
    return state.list_tasks(filters=[("name", "=", name)], detail=True, **more)


def test_finished_tasks(engine: str) -> None:
    name = f"finished_{engine}"
    ref = state_one.options(name=name).remote(1)
    paralab.get(ref)
    (task,) = named(name)
    assert (task.state, task.type, task.attempt_number) == ("FINISHED", "NORMAL_TASK", 0)
    assert task.task_id == ref.task_id().hex()
    assert task.parent_task_id == "ff" * 20 + task.job_id
    assert task.creation_time_ms <= task.start_time_ms <= task.end_time_ms
    assert [each["state"] for each in task.events][-2:] == ["RUNNING", "FINISHED"]
    assert state.get_task(ref) == state.get_task(task.task_id) == task
    assert state.get_task("ab") is None
    assert task["name"] == task.get("name") == name
    assert task.get("nothing", 3) == 3


def test_tasks_whose_events_are_switched_off(engine: str) -> None:
    @paralab.remote(enable_task_events=False)
    def unseen() -> int:
        return 1

    @paralab.remote(enable_task_events=False)
    def unseen_items() -> Any:
        yield 1

    @paralab.remote
    class Unseen:
        def method(self) -> int:
            return 1

        @paralab.method(enable_task_events=True)
        def seen(self) -> int:
            return 2

    paralab.get([unseen.remote(), *unseen_items.remote()])
    paralab.get(state_one.options(name=f"also_{engine}", enable_task_events=False).remote(1))
    with pytest.raises(ValueError, match="for state"):
        paralab.get(state_bad.options(name=f"also_{engine}", enable_task_events=False).remote())
    silent, loud = Unseen.options(enable_task_events=False).remote(), Unseen.remote()
    paralab.get([silent.method.remote(), silent.seen.remote(), loud.method.remote()])
    paralab.get(loud.method.options(enable_task_events=False, name=f"also_{engine}").remote())
    for name in (f"also_{engine}", "unseen", "unseen_items"):
        assert not [task for task in state.list_tasks(limit=1_000) if task.name.endswith(name)]
        assert not [event for event in paralab.timeline() or () if event["name"].endswith(name)]
    found = [task.name for task in state.list_tasks(limit=1_000) if "Unseen." in task.name]
    assert sorted(found) == ["Unseen.__init__", "Unseen.method", "Unseen.seen"]


def test_failed_tasks(engine: str) -> None:
    name = f"failed_{engine}"
    with pytest.raises(ValueError, match="for state"):
        paralab.get(state_bad.options(name=name).remote())
    (task,) = named(name)
    assert (task.state, task.error_type) == ("FAILED", "TASK_EXECUTION_EXCEPTION")
    assert "for state" in task.error_message


def test_tasks_of_tasks(engine: str) -> None:
    ref = state_outer.remote()
    assert paralab.get(ref) == 1
    found = [task for task in named("state_inner") if task.parent_task_id == ref.task_id().hex()]
    assert len(found) == 1


def test_actors(engine: str) -> None:
    handle, other = StateActor.remote(), StateActor.remote()
    paralab.get([handle.method.remote(), other.method.remote()])
    paralab.kill(other)
    alive = state.get_actor(handle._actor_id.hex())
    assert alive is not None
    assert (alive.class_name, alive.state) == ("StateActor", "ALIVE")
    assert alive.pid is not None
    dead = state.get_actor(other._actor_id.hex())
    assert dead is not None
    assert dead.state == "DEAD"
    assert dead.death_cause is not None
    summary = state.summarize_actors()["cluster"]
    assert summary["summary"]["StateActor"]["state_counts"]["ALIVE"] >= 1
    assert summary["summary_by"] == "class"
    calls = state.list_tasks(filters=[("type", "=", "actor_task")], limit=1000)
    assert handle._actor_id.hex() in {call.actor_id for call in calls} or engine != "processes"


def test_an_actor_that_may_restart_and_ends_in_order_was_made_once(engine: str) -> None:
    @paralab.remote(num_cpus=0, max_restarts=1)
    class MayRestart:
        def method(self) -> int:
            return 1

    def is_gone() -> bool:
        found = state.get_actor(actor_id)
        return found is None or found.state == "DEAD"

    handle = MayRestart.remote()
    assert paralab.get(handle.method.remote()) == 1
    actor_id = handle._actor_id.hex()
    del handle
    eventually(is_gone, 60)
    creations = named("MayRestart.__init__")
    assert [(row.state, row.error_type) for row in creations] == [("FINISHED", None)]


def test_objects(engine: str) -> None:
    ref = paralab.put(b"x" * 200_000)
    (found,) = state.get_objects(ref.hex())
    assert (found.task_status, found.type) == ("NIL", "DRIVER")
    assert found.object_size > 200_000 or engine == "local"
    done = state_one.remote(1)
    paralab.get(done)
    (found,) = state.get_objects(done.hex())
    assert (found.task_status, found.reference_type) == ("FINISHED", "LOCAL_REFERENCE")
    assert state.summarize_objects()["cluster"]["total_objects"] >= 2


def test_nodes_jobs_and_workers(engine: str) -> None:
    context = paralab.get_runtime_context()
    (node,) = state.list_nodes()
    assert (node.node_id, node.state) == (context.get_node_id(), "ALIVE")
    assert node.resources_total["CPU"] == 2
    assert state.get_node(node.node_id) is not None
    (job,) = state.list_jobs()
    assert (job.job_id, job.status) == (context.get_job_id(), "RUNNING")
    drivers = state.list_workers(filters=[("worker_type", "=", "DRIVER")])
    assert [driver.worker_id for driver in drivers] == [context.get_worker_id()]
    assert state.list_workers(filters=[("is_alive", "=", "True")])


def test_placement_groups(engine: str) -> None:
    group = util.placement_group([{"CPU": 1}], name=f"group_{engine}")
    assert group.wait(30)
    (found,) = state.list_placement_groups(filters=[("name", "=", f"group_{engine}")], detail=True)
    assert found == state.get_placement_group(group.id.hex())
    assert (found.placement_group_id, found.state) == (group.id.hex(), "CREATED")
    assert found.bundles is not None
    assert [bundle["unit_resources"] for bundle in found.bundles] == [{"CPU": 1.0}]
    util.remove_placement_group(group)


def test_filters_limit_and_detail(engine: str) -> None:
    name = f"many_{engine}"
    paralab.get([state_one.options(name=name).remote(n) for n in range(5)])
    assert len(named(name)) == 5
    assert len(named(name, limit=3)) == 3
    assert len(named(name.upper())) == 5
    assert len(named(name, limit=0)) == 0
    both = [("name", "=", name), ("state", "!=", "finished")]
    assert state.list_tasks(filters=both) == []
    assert state.list_tasks(filters=[("name", "=", name), ("attempt_number", "=", "1")]) == []
    assert len(state.list_tasks(filters=[("name", "=", name), ("attempt_number", "=", 0)])) == 5
    assert named(name)[0].language == "PYTHON"
    assert state.list_tasks(filters=[("name", "=", name)])[0].language is None
    summary = state.summarize_tasks()["cluster"]
    assert summary["summary"][name] == {
        "func_or_class_name": name,
        "type": "NORMAL_TASK",
        "state_counts": {"FINISHED": 5},
    }


def test_wrong_questions(engine: str) -> None:
    with pytest.raises(ValueError, match="filter predicate '<'"):
        state.list_tasks(filters=[("state", "<", "x")])
    with pytest.raises(RayStateApiException, match="Invalid filter 'stat'"):
        state.list_tasks(filters=[("stat", "=", "x")])
    with pytest.raises(RayStateApiException, match="Invalid filter 'labels'"):
        state.list_nodes(filters=[("labels", "=", "x")])
    with pytest.raises(ValueError, match="expected \\(field"):
        state.list_tasks(filters=[("state", "x")])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="filters='state'"):
        state.list_tasks(filters="state")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit=100000"):
        state.list_tasks(limit=100_000)
    with pytest.raises(TypeError, match="id=1"):
        state.get_task(1)  # type: ignore[arg-type]
    with pytest.raises(ConnectionError, match="elsewhere"):
        state.list_tasks(address="elsewhere:1")
    with pytest.raises(NotImplementedError, match="no log files"):
        state.get_log(filename="x")


def test_without_a_session() -> None:
    if not paralab.is_initialized():
        with pytest.raises(ConnectionError, match="init"):
            state.list_tasks()
