"""``global_worker``: what older programs ask about the process that they are in."""

from __future__ import annotations

from typing import Any

import paralab
from paralab.engine import current, installed
from paralab.id_types import JobID, NodeID, TaskID, WorkerID
from paralab.other_languages import SCRIPT_MODE, WORKER_MODE

LOCAL_MODE = 2


class _Node:
    """The node of this process."""

    @property
    def unique_id(self) -> str:
        """Its id, in hexadecimal digits."""
        return paralab.get_runtime_context().get_node_id()

    @property
    def address_info(self) -> dict[str, Any]:
        """What ``init`` returns about it."""
        return dict(current().info("address"))

    @property
    def node_ip_address(self) -> str:
        """Its address in the network."""
        return str(self.address_info["node_ip_address"])

    def __getattr__(self, name: str) -> Any:
        from paralab.absent import inside

        raise AttributeError(inside(f"{__name__}.global_worker.node", name))


class _Worker:
    """Facts about this process, read anew; their public form is ``get_runtime_context()``."""

    node = _Node()

    @property
    def connected(self) -> bool:
        """Whether ``init`` has been called, or this is a worker."""
        return installed() is not None

    @property
    def mode(self) -> int | None:
        """SCRIPT_MODE, WORKER_MODE or LOCAL_MODE; None before ``init``."""
        engine = installed()
        if engine is None:
            return None
        if engine.info("address")["address"] == "local":
            return LOCAL_MODE
        facts = engine.info("context")
        return WORKER_MODE if facts["task_id"] or facts["actor_id"] else SCRIPT_MODE

    @property
    def worker_id(self) -> bytes:
        """This process's id."""
        return WorkerID.from_hex(paralab.get_runtime_context().get_worker_id()).binary()

    @property
    def current_job_id(self) -> JobID:
        """The job's id."""
        return JobID.from_hex(paralab.get_runtime_context().get_job_id())

    @property
    def current_node_id(self) -> NodeID:
        """The node's id."""
        return NodeID.from_hex(paralab.get_runtime_context().get_node_id())

    @property
    def current_task_id(self) -> TaskID:
        """The running task's id; the nil id in a driver."""
        found = paralab.get_runtime_context().get_task_id()
        return TaskID.nil() if found is None else TaskID.from_hex(found)

    @property
    def namespace(self) -> str:
        """The namespace of named actors."""
        return paralab.get_runtime_context().namespace

    def __getattr__(self, name: str) -> Any:
        from paralab.absent import inside

        raise AttributeError(inside(f"{__name__}.global_worker", name))


global_worker = _Worker()


def __getattr__(name: str) -> Any:
    if name in paralab.__all__:
        return getattr(paralab, name)
    from paralab.absent import inside

    raise AttributeError(inside(__name__, name))
