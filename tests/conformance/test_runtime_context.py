"""What tasks and actors learn of themselves from ``get_runtime_context()``."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any


def test_driver(rt: Any) -> None:
    context = rt.get_runtime_context()
    assert len(context.get_job_id()) == 8
    assert len(context.get_node_id()) == len(context.get_worker_id()) == 56
    assert context.job_id == rt.JobID.from_hex(context.get_job_id())
    assert context.node_id == rt.NodeID.from_hex(context.get_node_id())
    for name in (
        "get_task_id", "get_task_name", "get_task_function_name", "get_actor_id",
        "get_actor_name", "get_placement_group_id",
    ):  # fmt: skip
        assert getattr(context, name)() is None, name
    assert set(context.get()) >= {"job_id", "node_id", "namespace"}
    assert context.get()["job_id"] == context.job_id
    assert context.get_node_labels()["ray.io/node-id"] == context.get_node_id()
    assert context.get_session_name().startswith("session_")
    assert context.current_placement_group_id.is_nil()
    assert context.should_capture_child_tasks_in_placement_group is False
    assert context.get_runtime_env_string() == "{}"


def test_task(rt: Any) -> None:
    @rt.remote(num_cpus=0.5, name="nice")
    def facts() -> Any:
        context = rt.get_runtime_context()
        return {
            "task": context.get_task_id(),
            "same": context.task_id == rt.TaskID.from_hex(context.get_task_id()),
            "name": context.get_task_name(),
            "function": context.get_task_function_name(),
            "actor": (context.get_actor_id(), context.actor_id, context.get_actor_name()),
            "resources": context.get_assigned_resources(),
            "gpus": context.get_accelerator_ids()["GPU"],
        }

    ref = facts.remote()
    found = rt.get(ref)
    assert found["task"] == ref.task_id().hex()
    assert len(found["task"]) == 48
    assert found["same"]
    assert found["name"] == "nice"
    assert found["function"].endswith("facts")
    assert "." in found["function"]
    assert found["actor"] == (None, None, None)
    assert found["resources"] == {"CPU": 0.5}
    assert found["gpus"] == []


def test_actor(rt: Any) -> None:
    @rt.remote(num_cpus=1)
    class Actor:
        def __init__(self) -> None:
            self.me = rt.get_runtime_context().current_actor

        def facts(self) -> Any:
            context = rt.get_runtime_context()
            return (
                context.get_actor_id(),
                context.actor_id.hex(),
                context.get_task_name(),
                context.get_task_function_name(),
                context.was_current_actor_reconstructed,
                set(context.get()) >= {"task_id", "actor_id"},
            )

        def itself(self) -> Any:
            return [rt.get_runtime_context().current_actor, self.me]

        def one(self) -> int:
            return 1

    actor = Actor.remote()
    id_, same, name, function, again, has_ids = rt.get(actor.facts.remote())
    assert id_ == same == actor._actor_id.hex()
    assert len(id_) == 32
    assert name == "Actor.facts"
    assert function.endswith("Actor.facts")
    assert again is False
    assert has_ids
    for handle in rt.get(actor.itself.remote()):
        assert rt.get(handle.one.remote()) == 1
        assert handle == actor or handle._actor_id == actor._actor_id
    del handle
