"""What the functions of ``util.state`` return: one dataclass for each kind of thing.

Fields have Ray's names.  Those marked as detail are None unless ``detail=True`` asks for them;
those that mean a part of Ray that does not exist here are always None.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

DEFAULT_LIMIT = 100
DEFAULT_RPC_TIMEOUT = 30
MAX_LIMIT = 10_000
"""Rows that a question may ask for."""


FILTER = {"filterable": True, "detail": False}
FACT = {"filterable": False, "detail": False}
FILTER_DETAIL = {"filterable": True, "detail": True}
DETAIL = {"filterable": False, "detail": True}
"""What a field is: whether filters may choose by it, and whether it is a detail."""


@dataclass
class StateSchema:
    """What all of them can do: ``state.name``, ``state["name"]``, ``state.get("name")``."""

    @classmethod
    def columns(cls) -> set[str]:
        """All fields."""
        return {each.name for each in fields(cls)}

    @classmethod
    def base_columns(cls) -> set[str]:
        """The fields that are there without ``detail``."""
        return {each.name for each in fields(cls) if not each.metadata["detail"]}

    @classmethod
    def detail_columns(cls) -> set[str]:
        """All fields, as ``detail`` shows them."""
        return cls.columns()

    @classmethod
    def filterable_columns(cls) -> set[str]:
        """The fields by which a filter may choose."""
        return {each.name for each in fields(cls) if each.metadata["filterable"]}

    def asdict(self) -> dict[str, Any]:
        """The fields as a dict."""
        return {name: getattr(self, name) for name in self}

    def get(self, key: str, default: Any = None) -> Any:
        """A field, or the default where there is none."""
        return getattr(self, key, default)

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self, key)
        except AttributeError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        return (each.name for each in fields(self))

    def keys(self) -> list[str]:
        """The names of the fields."""
        return list(self)

    def __len__(self) -> int:
        return len(fields(self))

    def __contains__(self, key: object) -> bool:
        return key in self.keys()


@dataclass
class ActorState(StateSchema):
    """An actor."""

    actor_id: str = field(metadata=FILTER)
    class_name: str = field(metadata=FILTER)
    state: str = field(metadata=FILTER)
    """DEPENDENCIES_UNREADY, PENDING_CREATION, ALIVE, RESTARTING or DEAD."""
    job_id: str = field(metadata=FILTER)
    name: str | None = field(metadata=FILTER)
    node_id: str | None = field(metadata=FILTER)
    pid: int | None = field(metadata=FILTER)
    ray_namespace: str | None = field(metadata=FILTER)
    serialized_runtime_env: str | None = field(default=None, metadata=DETAIL)
    required_resources: dict[str, float] | None = field(default=None, metadata=DETAIL)
    death_cause: dict[str, Any] | None = field(default=None, metadata=DETAIL)
    is_detached: bool | None = field(default=None, metadata=DETAIL)
    placement_group_id: str | None = field(default=None, metadata=FILTER_DETAIL)
    repr_name: str | None = field(default=None, metadata=FILTER_DETAIL)
    num_restarts: int | None = field(default=None, metadata=DETAIL)
    num_restarts_due_to_lineage_reconstruction: int | None = field(default=None, metadata=DETAIL)
    num_restarts_due_to_node_preemption: int | None = field(default=None, metadata=DETAIL)
    call_site: str | None = field(default=None, metadata=DETAIL)
    label_selector: dict[str, str] | None = field(default=None, metadata=DETAIL)
    fallback_strategy: Any = field(default=None, metadata=DETAIL)


@dataclass
class TaskState(StateSchema):
    """A task, or a call of an actor.  Times are milliseconds since 1970."""

    task_id: str = field(metadata=FILTER)
    attempt_number: int = field(metadata=FILTER)
    name: str = field(metadata=FILTER)
    state: str = field(metadata=FILTER)
    """PENDING_ARGS_AVAIL, PENDING_NODE_ASSIGNMENT, SUBMITTED_TO_WORKER, RUNNING, FINISHED or
    FAILED."""
    job_id: str = field(metadata=FILTER)
    actor_id: str | None = field(metadata=FILTER)
    type: str = field(metadata=FILTER)
    """NORMAL_TASK, ACTOR_CREATION_TASK or ACTOR_TASK."""
    func_or_class_name: str = field(metadata=FILTER)
    parent_task_id: str = field(metadata=FILTER)
    node_id: str | None = field(metadata=FILTER)
    worker_id: str | None = field(metadata=FILTER)
    worker_pid: int | None = field(metadata=FILTER)
    error_type: str | None = field(metadata=FILTER)
    language: str | None = field(default=None, metadata=FILTER_DETAIL)
    required_resources: dict[str, float] | None = field(default=None, metadata=DETAIL)
    runtime_env_info: dict[str, Any] | None = field(default=None, metadata=DETAIL)
    placement_group_id: str | None = field(default=None, metadata=FILTER_DETAIL)
    events: list[dict[str, Any]] | None = field(default=None, metadata=DETAIL)
    profiling_data: dict[str, Any] | None = field(default=None, metadata=DETAIL)
    creation_time_ms: int | None = field(default=None, metadata=DETAIL)
    start_time_ms: int | None = field(default=None, metadata=DETAIL)
    end_time_ms: int | None = field(default=None, metadata=DETAIL)
    task_log_info: dict[str, Any] | None = field(default=None, metadata=DETAIL)
    error_message: str | None = field(default=None, metadata=DETAIL)
    is_debugger_paused: bool | None = field(default=None, metadata=FILTER_DETAIL)
    call_site: str | None = field(default=None, metadata=DETAIL)
    label_selector: dict[str, str] | None = field(default=None, metadata=DETAIL)
    fallback_strategy: Any = field(default=None, metadata=DETAIL)


@dataclass
class ObjectState(StateSchema):
    """An object as one process knows it; several processes may know the same."""

    object_id: str = field(metadata=FILTER)
    object_size: int = field(metadata=FILTER)
    """Bytes; -1 where they are not known."""
    task_status: str = field(metadata=FILTER)
    attempt_number: int = field(metadata=FILTER)
    reference_type: str = field(metadata=FILTER)
    """LOCAL_REFERENCE, USED_BY_PENDING_TASK, CAPTURED_IN_OBJECT, PINNED_IN_MEMORY (others hold it)
    or ACTOR_HANDLE."""
    call_site: str = field(metadata=FILTER)
    type: str = field(metadata=FILTER)
    """Of the process: DRIVER or WORKER."""
    pid: int = field(metadata=FILTER)
    ip: str = field(metadata=FILTER)


@dataclass
class WorkerState(StateSchema):
    """A process: a driver or a worker."""

    worker_id: str = field(metadata=FILTER)
    is_alive: bool = field(metadata=FILTER)
    worker_type: str = field(metadata=FILTER)
    exit_type: str | None = field(metadata=FILTER)
    node_id: str = field(metadata=FILTER)
    ip: str = field(metadata=FILTER)
    pid: int = field(metadata=FILTER)
    exit_detail: str | None = field(default=None, metadata=DETAIL)
    worker_launch_time_ms: int | None = field(default=None, metadata=DETAIL)
    worker_launched_time_ms: int | None = field(default=None, metadata=DETAIL)
    start_time_ms: int | None = field(default=None, metadata=DETAIL)
    end_time_ms: int | None = field(default=None, metadata=DETAIL)
    debugger_port: int | None = field(default=None, metadata=FILTER_DETAIL)
    num_paused_threads: int | None = field(default=None, metadata=FILTER_DETAIL)


@dataclass
class NodeState(StateSchema):
    """A node."""

    node_id: str = field(metadata=FILTER)
    node_ip: str = field(metadata=FILTER)
    is_head_node: bool = field(metadata=FILTER)
    state: str = field(metadata=FILTER)
    state_message: str | None = field(metadata=FACT)
    node_name: str = field(metadata=FILTER)
    resources_total: dict[str, float] = field(metadata=FACT)
    labels: dict[str, str] = field(metadata=FACT)
    start_time_ms: int | None = field(default=None, metadata=DETAIL)
    end_time_ms: int | None = field(default=None, metadata=DETAIL)


@dataclass
class PlacementGroupState(StateSchema):
    """A placement group."""

    placement_group_id: str = field(metadata=FILTER)
    name: str = field(metadata=FILTER)
    creator_job_id: str = field(metadata=FILTER)
    state: str = field(metadata=FILTER)
    bundles: list[dict[str, Any]] | None = field(default=None, metadata=DETAIL)
    is_detached: bool | None = field(default=None, metadata=FILTER_DETAIL)
    stats: dict[str, Any] | None = field(default=None, metadata=DETAIL)
    topology_strategy: dict[str, Any] | None = field(default=None, metadata=DETAIL)
    topology_assignments: dict[str, Any] | None = field(default=None, metadata=DETAIL)


@dataclass
class JobState(StateSchema):
    """What one driver does."""

    type: str = field(metadata=FILTER)
    job_id: str | None = field(metadata=FILTER)
    submission_id: str | None = field(metadata=FILTER)
    status: str = field(metadata=FILTER)
    entrypoint: str = field(metadata=FILTER)
    message: str | None = field(metadata=FACT)
    error_type: str | None = field(metadata=FACT)
    start_time: int | None = field(metadata=FACT)
    end_time: int | None = field(metadata=FACT)
    metadata: dict[str, str] | None = field(metadata=FACT)
    runtime_env: dict[str, Any] | None = field(metadata=FACT)
    driver_info: dict[str, Any] | None = field(metadata=FACT)


@dataclass
class RuntimeEnvState(StateSchema):
    """An environment of tasks and actors."""

    runtime_env: dict[str, Any] = field(metadata=FILTER)
    success: bool = field(metadata=FILTER)
    creation_time_ms: float | None = field(metadata=FACT)
    node_id: str = field(metadata=FILTER)
    ref_cnt: int | None = field(default=None, metadata=DETAIL)
    error: str | None = field(default=None, metadata=FILTER_DETAIL)
