"""What tasks and actors learn of themselves from ``get_runtime_context()``."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any


def older(read: Callable[[], Any], instead: str) -> Any:
    """What an older form gives, which warns and names what to use."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        value = read()
    kinds = {type(each.message).__name__ for each in seen if f"Use {instead}" in str(each.message)}
    assert kinds == {"RayDeprecationWarning"}, [str(each.message) for each in seen]
    return value


def test_driver(rt: Any) -> None:
    context = rt.get_runtime_context()
    assert len(context.get_job_id()) == 8
    assert len(context.get_node_id()) == len(context.get_worker_id()) == 56
    job_id = older(lambda: context.job_id, "get_job_id() instead")
    node_id = older(lambda: context.node_id, "get_node_id() instead")
    assert job_id == rt.JobID.from_hex(context.get_job_id())
    assert node_id == rt.NodeID.from_hex(context.get_node_id())
    for name in (
        "get_task_id", "get_task_name", "get_task_function_name", "get_actor_id",
        "get_actor_name", "get_placement_group_id",
    ):  # fmt: skip
        assert getattr(context, name)() is None, name
    facts = older(context.get, "get_xxx_id() methods to get relevant ids instead")
    assert set(facts) >= {"job_id", "node_id", "namespace"}
    assert facts["job_id"] == job_id
    assert older(context.get_resource_ids, "get_accelerator_ids() instead")["GPU"] == []
    assert context.get_node_labels()["ray.io/node-id"] == context.get_node_id()
    assert context.get_session_name().startswith("session_")
    group = older(lambda: context.current_placement_group_id, "get_placement_group_id() instead")
    assert group.is_nil()
    assert context.should_capture_child_tasks_in_placement_group is False
    assert context.get_runtime_env_string() == "{}"


def test_task(rt: Any) -> None:
    @rt.remote(num_cpus=0.5, name="nice")
    def facts() -> Any:
        context = rt.get_runtime_context()
        return {
            "task": context.get_task_id(),
            "same": older(lambda: context.task_id, "get_task_id() instead").hex(),
            "name": context.get_task_name(),
            "function": context.get_task_function_name(),
            "actor": (
                context.get_actor_id(),
                older(lambda: context.actor_id, "get_actor_id() instead"),
                context.get_actor_name(),
            ),
            "resources": context.get_assigned_resources(),
            "gpus": context.get_accelerator_ids()["GPU"],
        }

    ref = facts.remote()
    found = rt.get(ref)
    assert found["task"] == ref.task_id().hex()
    assert len(found["task"]) == 48
    assert found["same"] == found["task"]
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
                older(lambda: context.actor_id, "get_actor_id() instead").hex(),
                context.get_task_name(),
                context.get_task_function_name(),
                context.was_current_actor_reconstructed,
                set(older(context.get, "get_xxx_id() methods")) >= {"task_id", "actor_id"},
                context.get_actor_name(),
            )

        def itself(self) -> Any:
            return [rt.get_runtime_context().current_actor, self.me]

        def one(self) -> int:
            return 1

    actor = Actor.remote()
    id_, same, name, function, again, has_ids, own_name = rt.get(actor.facts.remote())
    assert id_ == same == actor._actor_id.hex()
    assert len(id_) == 32
    assert name == "Actor.facts"
    assert function.endswith("Actor.facts")
    assert again is False
    assert has_ids
    assert own_name == ""
    for handle in rt.get(actor.itself.remote()):
        assert rt.get(handle.one.remote()) == 1
        assert handle == actor or handle._actor_id == actor._actor_id
    del handle
