"""What processes and the node tell, as states.

::

    survey("tasks") ── rows of every owner ──┐
    survey("objects")                        ├──▶ dataclasses of ``common``
    info("actors"), info("workers"), ... ────┘    from the node

Nothing is kept anywhere for this: tasks and objects are known to their owners, so a process that
has ended takes what it knew with it.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from paralab.engine import Engine, Survey, current, installed
from paralab.exceptions import (
    ActorDiedError,
    ObjectStoreFullError,
    OwnerDiedError,
    TaskCancelledError,
    TaskError,
    WorkerCrashedError,
)
from paralab.ids import (
    INDEX_BITS,
    INDEX_MASK,
    JOB_ID_SIZE,
    Address,
    actor_id,
    job_of,
    object_id,
    task_id,
)
from paralab.remote_errors import unpack_failure
from paralab.state.told import ObjectRow, TaskRow
from paralab.task_spec import RESOURCE_UNIT
from paralab.util.state.common import (
    MAX_LIMIT,
    ActorState,
    JobState,
    NodeState,
    ObjectState,
    PlacementGroupState,
    RuntimeEnvState,
    TaskState,
    WorkerState,
)
from paralab.util.state.ends import ends_of_actors, exit_of, why_actor_ended

_ERROR_TYPES = {
    TaskCancelledError: "TASK_CANCELLED",
    TaskError: "TASK_EXECUTION_EXCEPTION",
    ActorDiedError: "ACTOR_DIED",
    WorkerCrashedError: "WORKER_DIED",
    OwnerDiedError: "OWNER_DIED",
    ObjectStoreFullError: "OBJECT_STORE_FULL",
}
NO_TASK = "ff" * 20
"""The task of a driver is called so, followed by its job's id."""


def engine_in_use() -> Engine:
    """The engine.

    Raises:
        ConnectionError: no session runs in this process.
    """
    if installed() is None:
        raise ConnectionError("There is no running session to ask: call init() first.")
    return current()


def worker_hex(address: Address) -> str:
    """A process's id as the runtime context shows it, 56 digits."""
    return address.hex() + "00" * 12


class _Offset(NamedTuple):
    """From the machine's monotonic clock to the time of day."""

    ns: int

    def ms(self, stamp: int | None) -> int | None:
        """Milliseconds since 1970; None where nothing was stamped."""
        return (stamp + self.ns) // 1_000_000 if stamp else None


class _Rows:
    """The rows of all owners, and what only comparing them tells: parents and actors."""

    def __init__(self, survey: Survey, engine: Engine) -> None:
        actors = engine.info("actors")
        departed = engine.info("departed")
        self.pids = {address: pid for address, pid, *_ in departed}
        self.pids |= {each.address: each.pid for each in survey.told}
        self.nodes = {address.hex(): node for address, _pid, _how, node, *_ in departed}
        self.nodes |= {each["worker_id"]: each["node_id"] for each in engine.info("workers")}
        self.rows = [
            (each.address, TaskRow._make(row)) for each in survey.told for row in each.answer or ()
        ]
        # A row names its parent by the number that the parent's owner gave it, without the
        # owner: the parent is the task of that number which ran where this one was submitted.
        self._ran = {(row.worker, row.caller[0]): owner for owner, row in self.rows if row.worker}
        self._refs = {tuple(each["ref"]) for each in actors}
        self._in = {each["worker"]: tuple(each["ref"]) for each in actors if each["worker"]}

    def parent(self, owner: Address, row: TaskRow) -> str | None:
        """The id of the task that submitted this one; None for the driver's, or if unknown."""
        key = row.caller[2]
        of = self._ran.get((owner, key))
        return task_id(of, key).hex() if of is not None else None

    def node(self, worker: Address) -> str | None:
        """The node of a worker; None if it is not known any more."""
        return self.nodes.get(worker.hex())

    def actor(self, owner: Address, row: TaskRow) -> str | None:
        """The id of the actor that the call is for.

        Of an answered call only the actor's key is known.  Whose key that is, the process tells
        that ran it, or if that is gone, the caller, who has made most actors that it calls.
        """
        ref: Any = row.actor
        if ref is None and row.caller[10]:
            ref = self._in.get(row.worker, (owner, row.caller[10]))
            ref = ref if ref in self._refs else None
        return None if ref is None else actor_id(object_id(*ref)).hex()


def _may_be_creation(row: TaskRow) -> bool:
    return bool(row.caller[10]) and bool(row.caller[0] - 1 == row.caller[10])


def creations(rows: Iterable[tuple[Address, TaskRow]]) -> set[tuple[Address, int]]:
    """The constructors' calls, by who submitted them and their number.

    A constructor has the number after its actor's.  So may a method that is called by another
    process, which counts for itself; but in an actor's process the constructor came first.
    """
    found: set[tuple[Address, int]] = set()
    first: dict[Address, tuple[float, Address, int]] = {}
    for owner, row in rows:
        key = row.caller[0]
        if not _may_be_creation(row) or (row.actor and row.actor[0] != owner):
            continue
        if row.worker:
            began = row.stamps[0] if row.stamps else math.inf
            first[row.worker] = min(
                first.get(row.worker, (math.inf, owner, key)), (began, owner, key)
            )
        else:
            found.add((owner, key))
    return found | {(owner, key) for _began, owner, key in first.values()}


def tasks(survey: Survey) -> Iterator[TaskState]:
    """The tasks in the order in which they were submitted."""
    engine = engine_in_use()
    context = engine.info("context")
    known = _Rows(survey, engine)
    constructors = creations(known.rows)
    offset = _Offset(time.time_ns() - time.monotonic_ns())
    for owner, row in sorted(known.rows, key=lambda pair: int(pair[1].caller[5])):
        key, name, _, attempt = row.caller[:4]
        kind = "NORMAL_TASK"
        if row.caller[10]:
            is_creation = (owner, key) in constructors
            kind = "ACTOR_CREATION_TASK" if is_creation else "ACTOR_TASK"
        if kind == "ACTOR_CREATION_TASK" and not name.endswith(".__init__"):
            name += ".__init__"
        error_type, error_message = _error(row)
        yield TaskState(
            task_id=task_id(owner, key).hex(),
            attempt_number=attempt,
            name=row.call or name,
            state=row.state,
            job_id=job_of(owner).hex(),
            actor_id=known.actor(owner, row),
            type=kind,
            func_or_class_name=name,
            parent_task_id=known.parent(owner, row) or NO_TASK + job_of(owner).hex(),
            node_id=known.node(row.worker) or context["node_id"] if row.worker else None,
            worker_id=worker_hex(row.worker) if row.worker else None,
            worker_pid=known.pids.get(row.worker),
            error_type=error_type,
            language="PYTHON",
            required_resources={name: n / RESOURCE_UNIT for name, n in row.resources} or None,
            events=_events(row, offset),
            creation_time_ms=offset.ms(row.caller[5]),
            start_time_ms=offset.ms(row.stamps[2]) if row.stamps else None,
            end_time_ms=offset.ms(row.stamps[3]) if row.stamps else None,
            error_message=error_message,
        )


def _error(row: TaskRow) -> tuple[str | None, str | None]:
    if row.state != "FAILED":
        return None, None
    if not row.failure:
        return "TASK_EXECUTION_EXCEPTION" if row.worker else "WORKER_DIED", None
    try:
        error = unpack_failure(row.failure)
    except Exception as problem:  # the exception's class may be one that cannot be loaded here
        return "TASK_EXECUTION_EXCEPTION", f"It cannot be read here: {problem}"
    kinds = [kind for known, kind in _ERROR_TYPES.items() if isinstance(error, known)]
    return kinds[0] if kinds else type(error).__name__, str(error)


def _events(row: TaskRow, offset: _Offset) -> list[dict[str, Any]]:
    submitted, _, ready, _, sent = row.caller[5:10]
    moments = {
        "PENDING_ARGS_AVAIL": submitted,
        "PENDING_NODE_ASSIGNMENT": 0 if row.state == "PENDING_ARGS_AVAIL" else ready,
        "SUBMITTED_TO_WORKER": sent,
    }
    if row.stamps:
        moments |= {"RUNNING": row.stamps[2], row.state: row.stamps[3]}
    return [
        {"state": state, "created_ms": offset.ms(stamp)}
        for state, stamp in moments.items()
        if stamp
    ]


def actors(survey: Survey) -> Iterator[ActorState]:
    """The actors that the node knows; those whose constructor has not ended are pending."""
    engine = engine_in_use()
    context = engine.info("context")
    building = {}
    for owner, told in ((each.address, each.answer or ()) for each in survey.told):
        for row in map(TaskRow._make, told):
            if _may_be_creation(row) and not row.stamps:
                building[owner, row.caller[10]] = row.state
    for actor in engine.info("actors"):
        ref = tuple(actor["ref"])
        state = actor["state"]
        if state in ("ALIVE", "PENDING_CREATION") and ref in building:
            waits = building[ref] == "PENDING_ARGS_AVAIL"
            state = "DEPENDENCIES_UNREADY" if waits else "PENDING_CREATION"
        death = {"error_message": why_actor_ended(actor)} if state == "DEAD" else None
        yield ActorState(
            actor_id=actor_id(object_id(*ref)).hex(),
            class_name=actor["class_name"],
            state=state,
            job_id=job_of(ref[0]).hex(),
            name=actor["name"] or "",
            node_id=actor.get("node_id", context["node_id"]) if actor["pid"] else None,
            pid=actor["pid"] or actor.get("last_pid"),
            ray_namespace=actor["namespace"] or context["namespace"],
            required_resources={n: units / RESOURCE_UNIT for n, units in actor["resources"]},
            death_cause=death,
            is_detached=actor["is_detached"],
            num_restarts=actor["restarts"],
        )


def objects(survey: Survey, of_tasks: Survey) -> Iterator[ObjectState]:
    """The objects that the processes own or borrow, process by process."""
    made_by = {
        (each.address, row[2][0] >> INDEX_BITS): row
        for each in of_tasks.told
        for row in each.answer or ()
    }
    for told in survey.told:
        for held in map(ObjectRow._make, told.answer or ()):
            row = made_by.get((held.owner, held.key >> INDEX_BITS))
            is_put = not held.key & INDEX_MASK and held.held != "ACTOR_HANDLE"
            status = "NIL" if is_put else held.status if row is None else row[0]
            yield ObjectState(
                object_id=object_id(held.owner, held.key).hex(),
                object_size=held.size,
                task_status=status or "PENDING_ARGS_FETCH",
                attempt_number=0 if row is None else row[2][3],
                reference_type=held.held,
                call_site=held.site or "disabled",
                type="DRIVER" if told.is_driver else "WORKER",
                pid=told.pid,
                ip="127.0.0.1",
            )


def summary_of(found: list[ObjectState]) -> dict[str, Any]:
    """Objects in figures, as ``summarize_objects`` shows them."""
    return {
        "total_objects": len(found),
        "total_size_mb": megabytes(found),
        "total_num_workers": len({each.pid for each in found}),
        "total_num_nodes": len({each.ip for each in found}),
        "task_state_counts": dict(Counter(each.task_status for each in found)),
        "task_attempt_number_counts": dict(Counter(str(o.attempt_number + 1) for o in found)),
        "ref_type_counts": dict(Counter(each.reference_type for each in found)),
    }


def megabytes(found: list[ObjectState]) -> float:
    """MiB that objects take together; an object that several processes know counts once."""
    sizes = {each.object_id: max(0, each.object_size) for each in found}
    return sum(sizes.values()) / (1 << 20)


def workers(survey: Survey) -> Iterator[WorkerState]:
    """The processes that live, and those that ended last."""
    engine = engine_in_use()
    node = engine.info("context")["node_id"]
    workers = engine.info("workers")
    silent = {each["worker_id"]: each["pid"] for each in workers}
    known = {worker_hex(bytes.fromhex(each["worker_id"])): each for each in workers}
    started = {pid: began for _job, pid, began, *_ in engine.info("jobs")}
    alive = {worker_hex(each.address): (each.is_driver, each.pid) for each in survey.told}
    for address in survey.silent:
        alive.setdefault(worker_hex(address), (False, silent.get(address.hex(), 0)))
    for worker_id, (is_driver, pid) in alive.items():
        row = known.get(worker_id, {})
        began = row.get("started") or started.get(pid)
        yield WorkerState(
            worker_id=worker_id,
            is_alive=True,
            worker_type="DRIVER" if is_driver else "WORKER",
            exit_type=None,
            node_id=row.get("node_id", node),
            ip="127.0.0.1",
            pid=pid,
            start_time_ms=began // 1_000_000 if began else None,
            end_time_ms=0,
        )
    departed = engine.info("departed")
    ends = ends_of_actors(engine.info("actors"))  # asked for later: it has ended by then
    for address, pid, how, node_id, began, ended in departed:
        exit_type, detail = exit_of(how, ends.get(pid, ""))
        yield WorkerState(
            worker_id=worker_hex(address),
            is_alive=False,
            worker_type="WORKER",
            exit_type=exit_type,
            node_id=node_id,
            ip="127.0.0.1",
            pid=pid,
            exit_detail=detail,
            start_time_ms=began // 1_000_000,
            end_time_ms=ended // 1_000_000,
        )


def nodes() -> Iterator[NodeState]:
    """The nodes."""
    for at, node in enumerate(engine_in_use().info("nodes")):
        yield NodeState(
            node_id=node["NodeID"],
            node_ip=node["NodeManagerAddress"],
            is_head_node=at == 0,
            state="ALIVE" if node["Alive"] else "DEAD",
            state_message=None,
            node_name=node["NodeName"],
            resources_total=dict(node["Resources"]),
            labels=dict(node["Labels"]),
        )


def jobs(survey: Survey) -> Iterator[JobState]:
    """What the drivers of the node do, and those that have gone."""
    engine = engine_in_use()
    context = engine.info("context")
    commands = {told.pid: told.answer for told in survey.told if told.is_driver}
    this_process = (bytes.fromhex(context["job_id"]), os.getpid(), 0, 0, sys.argv)
    for job, pid, started, ended, argv in engine.info("jobs") or [this_process]:
        is_ours = job.hex() == context["job_id"]
        yield JobState(
            type="DRIVER",
            job_id=job.hex(),
            submission_id=None,
            status="SUCCEEDED" if ended else "RUNNING",
            entrypoint=" ".join(commands.get(pid) or ["python", *argv]),
            message=None,
            error_type=None,
            start_time=started // 1_000_000 or None,
            end_time=ended // 1_000_000 or None,
            metadata={},
            runtime_env=dict(context.get("runtime_env") or {}) if is_ours else {},
            driver_info={
                "id": job.hex(),
                "node_ip_address": "127.0.0.1",
                "pid": str(pid),
            },
        )


def placement_groups() -> Iterator[PlacementGroupState]:
    """The placement groups, removed ones among them."""
    engine = engine_in_use()
    for group in engine.info("groups") or ():
        bundles = group["bundles"]
        rows = bundles.items() if isinstance(bundles, dict) else enumerate(bundles)
        yield PlacementGroupState(
            placement_group_id=group["placement_group_id"],
            name=group["name"],
            creator_job_id=group["placement_group_id"][-2 * JOB_ID_SIZE :],
            state=group["state"],
            bundles=[{"bundle_id": index, "unit_resources": each} for index, each in rows],
            is_detached=group.get("lifetime") == "detached",
            stats=group.get("stats"),
        )


def runtime_envs(survey: Survey) -> Iterator[RuntimeEnvState]:
    """The environments of the drivers."""
    node = engine_in_use().info("context")["node_id"]
    for job in jobs(survey):
        if job.runtime_env:
            yield RuntimeEnvState(
                runtime_env=job.runtime_env, success=True, creation_time_ms=None, node_id=node
            )


def ask(what: str, timeout: float) -> Survey:
    """What all processes say about ``what``."""
    return engine_in_use().survey(what, MAX_LIMIT, timeout)
