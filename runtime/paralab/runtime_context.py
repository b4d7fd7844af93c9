"""``get_runtime_context()``: which task, actor, worker and node the caller is."""

from __future__ import annotations

import json
import os
import warnings
from typing import TYPE_CHECKING, Any

from paralab.engine import current, installed

if TYPE_CHECKING:
    from paralab.id_types import ActorID, JobID, NodeID, PlacementGroupID, TaskID

__all__ = ["RuntimeContext", "get_runtime_context"]

_ACCELERATORS = ("FURIOSA", "GPU", "HPU", "MBLT", "NPU", "RBLN", "TPU", "TTNPU", "neuron_cores")
"""Ray's names of the kinds that it knows."""


def _warn(instead: str) -> None:
    from paralab.util.annotations import RayDeprecationWarning  # rarely needed

    text = f"This is deprecated and may be removed. Use {instead} instead"
    warnings.warn(text, RayDeprecationWarning, stacklevel=3)


class RuntimeContext:
    """Facts about the process, task and actor that ask, read anew each time."""

    def _fact(self, name: str) -> Any:
        return current().info("context").get(name)

    def get(self) -> dict[str, Any]:
        """The job, node and namespace, and where there are any the task and actor.

        An older form of what the methods tell; it warns, as do the others.
        """
        _warn("get_xxx_id() methods to get relevant ids")
        from paralab.id_types import ActorID, JobID, NodeID, TaskID

        facts: dict[str, Any] = {
            "job_id": JobID.from_hex(self.get_job_id()),
            "node_id": NodeID.from_hex(self.get_node_id()),
            "namespace": self.namespace,
        }
        if (task := self.get_task_id()) is not None:
            facts["task_id"] = TaskID.from_hex(task)
        if (actor := self.get_actor_id()) is not None:
            facts["actor_id"] = ActorID.from_hex(actor)
        return facts

    @property
    def job_id(self) -> JobID:
        """The job's id; an older form of :meth:`get_job_id`."""
        from paralab.id_types import JobID

        _warn("get_job_id()")
        return JobID.from_hex(self.get_job_id())

    @property
    def node_id(self) -> NodeID:
        """The node's id; an older form of :meth:`get_node_id`."""
        from paralab.id_types import NodeID

        _warn("get_node_id()")
        return NodeID.from_hex(self.get_node_id())

    @property
    def task_id(self) -> TaskID:
        """The running task's id; an older form of :meth:`get_task_id`.

        Raises:
            AssertionError: no task runs.
        """
        from paralab.id_types import TaskID

        _warn("get_task_id()")
        found = self.get_task_id()
        assert found is not None, "task_id is only available in a task or actor."
        return TaskID.from_hex(found)

    @property
    def actor_id(self) -> ActorID | None:
        """The running actor's id; an older form of :meth:`get_actor_id`."""
        from paralab.id_types import ActorID

        _warn("get_actor_id()")
        found = self.get_actor_id()
        return None if found is None else ActorID.from_hex(found)

    @property
    def current_actor(self) -> Any:
        """A handle of the running actor.

        Raises:
            RuntimeError: this is not an actor.
        """
        from paralab.actor import ActorHandle
        from paralab.actor_interface import of_class

        found = self._fact("actor")
        if found is None:
            raise RuntimeError("This method is only available in an actor.")
        ref, cls = found
        return ActorHandle(current().restore_ref(*ref), of_class(cls))

    def get_job_id(self) -> str:
        """The job's id, 8 hexadecimal digits."""
        return str(self._fact("job_id"))

    def get_node_id(self) -> str:
        """The node's id, 56 hexadecimal digits."""
        return str(self._fact("node_id"))

    def get_worker_id(self) -> str:
        """This process's id in hexadecimal digits."""
        return str(self._fact("worker_id"))

    def get_task_id(self) -> str | None:
        """The running task's id in hexadecimal digits; None in the driver."""
        task_id: str | None = self._fact("task_id")
        return task_id

    def get_task_name(self) -> str | None:
        """The running task's name; None in the driver."""
        name: str | None = self._fact("task_name")
        return name

    def get_task_function_name(self) -> str | None:
        """Module and qualified name of the running function or method; None in the driver."""
        name: str | None = self._fact("function_name")
        return name

    def get_actor_id(self) -> str | None:
        """The running actor's id, 32 hexadecimal digits; None outside of actors."""
        actor_id: str | None = self._fact("actor_id")
        return actor_id

    def get_actor_name(self) -> str | None:
        """The name given to the actor in its options, "" if none was; None outside of actors."""
        return None if self.get_actor_id() is None else self._fact("actor_name") or ""

    def is_canceled(self) -> bool:
        """Whether ``cancel`` has been called on the running task, or the call of an actor.

        Raises:
            RuntimeError: the driver asks.
        """
        found = self._fact("is_canceled")
        if found is None:
            raise RuntimeError("is_canceled() is only available in a task or actor.")
        return bool(found)

    def get_assigned_resources(self) -> dict[str, float]:
        """What the running task or actor holds, such as ``{"CPU": 1.0}``; empty in the driver."""
        return dict(self._fact("assigned_resources") or {})

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """For each kind of accelerator that Ray knows the ids assigned; only GPUs have any."""
        return {**{kind: [] for kind in _ACCELERATORS}, **(self._fact("accelerator_ids") or {})}

    def get_resource_ids(self) -> dict[str, list[str]]:
        """Ray's older name of :meth:`get_accelerator_ids`."""
        _warn("get_accelerator_ids()")
        return self.get_accelerator_ids()

    def get_node_labels(self) -> dict[str, str]:
        """The labels of this node, its id among them."""
        node_id = self.get_node_id()
        labels = [node["Labels"] for node in current().info("nodes") if node["NodeID"] == node_id]
        return {"ray.io/node-id": node_id, **(labels[0] if labels else {})}

    def get_placement_group_id(self) -> str | None:
        """The id, 36 hexadecimal digits, of the group in which the task or actor runs."""
        group: str | None = self._fact("placement_group_id")
        return group

    @property
    def current_placement_group_id(self) -> PlacementGroupID:
        """An older form of :meth:`get_placement_group_id`; nil where there is none."""
        from paralab.id_types import PlacementGroupID

        _warn("get_placement_group_id()")
        group = self.get_placement_group_id()
        return PlacementGroupID.nil() if group is None else PlacementGroupID.from_hex(group)

    @property
    def should_capture_child_tasks_in_placement_group(self) -> bool:
        """Whether tasks and actors started here go into this one's placement group."""
        return bool(self._fact("placement_group_capture_child_tasks"))

    def get_session_name(self) -> str:
        """The name of the session."""
        folder = current().info("address").get("session_dir")
        return f"session_{os.path.basename(folder) if folder else self.get_node_id()[:16]}"

    def get_temp_dir(self) -> str:
        """The folder in which the session has its own, if it has one."""
        import tempfile  # takes longer than the start of a worker can spare

        folder = current().info("address").get("session_dir")
        return os.path.dirname(folder) if folder else tempfile.gettempdir()

    @property
    def namespace(self) -> str:
        """The session's namespace."""
        return str(self._fact("namespace") or "")

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether the actor that asks was restarted: its constructor has run before."""
        return bool(self._fact("restarts"))

    @property
    def gcs_address(self) -> str:
        """The session's address."""
        return str(current().info("address")["address"])

    @property
    def runtime_env(self) -> dict[str, Any]:
        """The environment of the task, actor or driver, with what it has from its parents."""
        return dict(self._fact("runtime_env") or {})

    def get_runtime_env_string(self) -> str:
        """:attr:`runtime_env` as JSON."""
        return json.dumps(self.runtime_env, sort_keys=True, default=repr)


def get_runtime_context() -> RuntimeContext:
    """Facts about the caller: its task, actor, worker and node.

    Starts paralab if it is not running, as Ray does.
    """
    if installed() is None:
        from paralab.remote_function import start_engine

        start_engine()
    return RuntimeContext()
