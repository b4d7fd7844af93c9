"""``get_runtime_context()``: which task, actor, worker and node the caller is."""

from __future__ import annotations

import json
from typing import Any

from paralab.engine import current, installed

__all__ = ["RuntimeContext", "get_runtime_context"]


class RuntimeContext:
    """Facts about the process, task and actor that ask, read anew each time."""

    def _fact(self, name: str) -> Any:
        return current().info("context").get(name)

    def get(self) -> dict[str, Any]:
        """The job, node and namespace, and where there are any the task and actor."""
        facts = {
            "job_id": self.get_job_id(),
            "node_id": self.get_node_id(),
            "namespace": self.namespace,
            "task_id": self.get_task_id(),
            "actor_id": self.get_actor_id(),
        }
        return {name: fact for name, fact in facts.items() if fact is not None}

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

    def get_actor_id(self) -> str | None:
        """The running actor's id, 32 hexadecimal digits; None outside of actors."""
        actor_id: str | None = self._fact("actor_id")
        return actor_id

    def get_actor_name(self) -> str | None:
        """The name given to the actor in its options; None where there is none."""
        name: str | None = self._fact("actor_name")
        return name

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
        """For each kind of accelerator, "GPU" always among them, the ids assigned."""
        return {"GPU": [], **(self._fact("accelerator_ids") or {})}

    def get_resource_ids(self) -> dict[str, list[str]]:
        """Ray's older name of :meth:`get_accelerator_ids`."""
        return self.get_accelerator_ids()

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
        """The environment that the task or actor asked for."""
        return dict(self._fact("runtime_env") or {})

    def get_runtime_env_string(self) -> str:
        """The environment that the task or actor asked for, as JSON."""
        return json.dumps(self.runtime_env)


def get_runtime_context() -> RuntimeContext:
    """Facts about the caller: its task, actor, worker and node.

    Starts paralab if it is not running, as Ray does.
    """
    if installed() is None:
        from paralab.remote_function import start_engine

        start_engine()
    return RuntimeContext()
