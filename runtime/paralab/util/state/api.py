"""``list_*``, ``get_*`` and ``summarize_*``: what a session is doing now.

All take ``timeout``, in seconds, for the answers of busy processes.  The lists take ``filters``
(tuples such as ``("state", "=", "RUNNING")``, with "=" or "!=", texts without regard to case),
``limit`` (how many at most, the newest), ``detail`` (whether to fill in the fields that are
marked as details), and ``raise_on_missing_output`` (whether it is an error that a process did
not answer in time).  ``address`` is for other sessions, of which there are none to ask yet.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

from paralab.engine import Survey
from paralab.object_ref import ObjectRef
from paralab.util.state import collect
from paralab.util.state.common import (
    DEFAULT_LIMIT,
    DEFAULT_RPC_TIMEOUT,
    MAX_LIMIT,
    ActorState,
    JobState,
    NodeState,
    ObjectState,
    PlacementGroupState,
    RuntimeEnvState,
    StateSchema,
    TaskState,
    WorkerState,
)
from paralab.util.state.exception import RayStateApiException, WrongFilterError

_State = TypeVar("_State", bound=StateSchema)
Filters = Sequence[tuple[str, str, Any]] | None


class _Question:
    """The arguments that the functions share, checked."""

    def __init__(
        self,
        address: str | None,
        filters: Filters,
        limit: int,
        timeout: float,
        detail: bool,
        raise_on_missing_output: bool,
    ) -> None:
        collect.engine_in_use()
        if address not in (None, "auto", "local"):
            known = collect.engine_in_use().info("address")["address"]
            if address != known:
                raise ConnectionError(
                    f"address={address!r}: only the session of this process can be asked."
                )
        if not isinstance(filters, (list, tuple, type(None))):
            raise TypeError(f"filters={filters!r}: expected a list of (field, '=' or '!=', value).")
        if not isinstance(limit, int):
            raise TypeError(f"limit={limit!r}: expected an int.")
        if not 0 <= limit <= MAX_LIMIT:
            raise ValueError(f"limit={limit}: expected 0 to {MAX_LIMIT}.")
        self._filters = list(filters or ())
        self._limit = limit
        self._timeout = timeout
        self._detail = detail
        self._is_strict = raise_on_missing_output

    def survey(self, what: str) -> Survey:
        """What the processes say.

        Raises:
            RayStateApiException: one did not answer in time, and that is to be an error.
        """
        survey = collect.ask(what, self._timeout)
        if survey.silent:
            text = (
                f"{len(survey.silent)} of {len(survey.silent) + len(survey.told)} processes did "
                f"not answer within {self._timeout} s, because they compute without letting "
                "other threads run: the answer lacks what they know."
            )
            if self._is_strict:
                raise RayStateApiException(
                    f"{text} Give a longer timeout, or raise_on_missing_output=False."
                )
            warnings.warn(text, stacklevel=4)
        return survey

    def chosen(self, kind: type[_State], states: Iterable[_State]) -> list[_State]:
        """What the filters let pass, the newest ones, details left out unless wanted."""
        wanted = [_checked(kind, each) for each in self._filters]
        found = [
            state
            for state in states
            if all((_same(state[name], value)) == equal for name, equal, value in wanted)
        ]
        found = found[len(found) - self._limit :] if len(found) > self._limit else found
        if not self._detail:
            hidden = kind.columns() - kind.base_columns()
            found = [dataclasses.replace(state, **dict.fromkeys(hidden)) for state in found]
        return found


def _checked(kind: type[StateSchema], given: Any) -> tuple[str, bool, Any]:
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise ValueError(f"Filter {given!r}: expected (field, '=' or '!=', value).")
    name, predicate, value = given
    if predicate not in ("=", "!="):
        raise ValueError(
            f"Unsupported filter predicate {predicate!r} is given. Available predicates: =, !=."
        )
    if name not in kind.filterable_columns():
        raise WrongFilterError(
            f"Invalid filter {name!r}: {kind.__name__} can be filtered by "
            f"{', '.join(sorted(kind.filterable_columns()))}."
        )
    return name, predicate == "=", value


def _same(value: Any, wanted: Any) -> bool:
    """Whether a field has a value, which may be given as text."""
    if isinstance(wanted, str) and not isinstance(value, str):
        value = str(value)
    if isinstance(value, str) and isinstance(wanted, str):
        return value.lower() == wanted.lower()
    return bool(value == wanted)


def list_tasks(
    address: str | None = None,
    filters: Filters = None,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[TaskState]:
    """The tasks and calls of actors that their owners remember, the newest last."""
    question = _Question(address, filters, limit, timeout, detail, raise_on_missing_output)
    return question.chosen(TaskState, collect.tasks(question.survey("tasks")))


def list_actors(
    address: str | None = None,
    filters: Filters = None,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[ActorState]:
    """The actors, dead ones among them as long as their creator lives."""
    question = _Question(address, filters, limit, timeout, detail, raise_on_missing_output)
    return question.chosen(ActorState, collect.actors(question.survey("tasks")))


def list_objects(
    address: str | None = None,
    filters: Filters = None,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[ObjectState]:
    """The objects, once for each process that holds them."""
    question = _Question(address, filters, limit, timeout, detail, raise_on_missing_output)
    return question.chosen(
        ObjectState, collect.objects(question.survey("objects"), question.survey("tasks"))
    )


def list_workers(
    address: str | None = None,
    filters: Filters = None,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[WorkerState]:
    """The processes, and those that ended last."""
    question = _Question(address, filters, limit, timeout, detail, raise_on_missing_output)
    return question.chosen(WorkerState, collect.workers(question.survey("argv")))


def list_nodes(
    address: str | None = None,
    filters: Filters = None,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[NodeState]:
    """The nodes."""
    question = _Question(address, filters, limit, timeout, detail, raise_on_missing_output)
    return question.chosen(NodeState, collect.nodes())


def list_jobs(
    address: str | None = None,
    filters: Filters = None,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[JobState]:
    """The jobs, one for each driver."""
    question = _Question(address, filters, limit, timeout, detail, raise_on_missing_output)
    return question.chosen(JobState, collect.jobs(question.survey("argv")))


def list_placement_groups(
    address: str | None = None,
    filters: Filters = None,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[PlacementGroupState]:
    """The placement groups."""
    question = _Question(address, filters, limit, timeout, detail, raise_on_missing_output)
    return question.chosen(PlacementGroupState, collect.placement_groups())


def list_runtime_envs(
    address: str | None = None,
    filters: Filters = None,
    limit: int = DEFAULT_LIMIT,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[RuntimeEnvState]:
    """The environments of tasks and actors."""
    question = _Question(address, filters, limit, timeout, detail, raise_on_missing_output)
    return question.chosen(RuntimeEnvState, collect.runtime_envs(question.survey("argv")))


def get_actor(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    _explain: bool = False,
) -> ActorState | None:
    """The actor with an id, details filled in; None if there is none with this id."""
    return _one(list_actors, "actor_id", id, address, timeout)


def get_task(
    id: str | ObjectRef,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    _explain: bool = False,
) -> TaskState | None:
    """The task with an id, or the one that makes an object; None if there is none with this id."""
    return _one(
        list_tasks,
        "task_id",
        id.task_id().hex() if isinstance(id, ObjectRef) else id,
        address,
        timeout,
    )


def get_worker(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    _explain: bool = False,
) -> WorkerState | None:
    """The process with an id; None if there is none with this id."""
    return _one(list_workers, "worker_id", id, address, timeout)


def get_node(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    _explain: bool = False,
) -> NodeState | None:
    """The node with an id; None if there is none with this id."""
    return _one(list_nodes, "node_id", id, address, timeout)


def get_job(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    _explain: bool = False,
) -> JobState | None:
    """The job with an id; None if there is none with this id."""
    return _one(list_jobs, "job_id", id, address, timeout)


def get_placement_group(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    _explain: bool = False,
) -> PlacementGroupState | None:
    """The placement group with an id; None if there is none with this id."""
    return _one(list_placement_groups, "placement_group_id", id, address, timeout)


def _one(
    list_them: Callable[..., list[_State]], field: str, wanted: Any, address: Any, timeout: float
) -> _State | None:
    if not isinstance(wanted, str):
        raise TypeError(f"id={wanted!r} is of type {type(wanted).__name__}; expected a str.")
    found = list_them(address, [(field, "=", wanted)], MAX_LIMIT, timeout, True)
    return found[-1] if found else None


def get_objects(
    id: str,  # noqa: A002 - Ray's name
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    _explain: bool = False,
) -> list[ObjectState]:
    """What each process that holds an object knows of it."""
    return list_objects(address, [("object_id", "=", id)], MAX_LIMIT, timeout, True)


def summarize_tasks(
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> dict[str, Any]:
    """How many tasks of each function are in which state.

    Returns:
        a dict whose "cluster" has "summary" (by name: "func_or_class_name", "type" and
        "state_counts") and the totals "total_tasks", "total_actor_tasks" and
        "total_actor_scheduled".
    """
    found = list_tasks(address, None, MAX_LIMIT, timeout, False, raise_on_missing_output)
    kinds = Counter(task.type for task in found)
    summary: dict[str, Any] = {}
    for task in found:
        about = {"func_or_class_name": task.func_or_class_name, "type": task.type}
        entry = summary.setdefault(task.func_or_class_name, {**about, "state_counts": {}})
        _count(entry["state_counts"], task.state)
    return {
        "cluster": {
            "summary": summary,
            "total_tasks": kinds["NORMAL_TASK"],
            "total_actor_tasks": kinds["ACTOR_TASK"],
            "total_actor_scheduled": kinds["ACTOR_CREATION_TASK"],
            "summary_by": "func_name",
        }
    }


def summarize_actors(
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> dict[str, Any]:
    """How many actors of each class are in which state.

    Returns:
        a dict whose "cluster" has "summary" (by class: "class_name" and "state_counts") and
        "total_actors".
    """
    found = list_actors(address, None, MAX_LIMIT, timeout, False, raise_on_missing_output)
    summary: dict[str, Any] = {}
    for actor in found:
        name = actor.class_name
        entry = summary.setdefault(name, {"class_name": name, "state_counts": {}})
        _count(entry["state_counts"], actor.state)
    return {"cluster": {"summary": summary, "total_actors": len(found), "summary_by": "class"}}


def summarize_objects(
    address: str | None = None,
    timeout: float = DEFAULT_RPC_TIMEOUT,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> dict[str, Any]:
    """How many objects there are, and how large they are together, by where they were made.

    Where that is not recorded (``record_ref_creation_sites``), all stand in one row, "disabled".

    Returns:
        a dict whose "cluster" has "summary" (by call site: counts, and "total_size_mb" in MiB).
    """
    found = list_objects(address, None, MAX_LIMIT, timeout, False, raise_on_missing_output)
    by_site: dict[str, list[ObjectState]] = {}
    for each in found:
        by_site.setdefault(each.call_site, []).append(each)
    return {
        "cluster": {
            "summary": {site: collect.summary_of(group) for site, group in by_site.items()},
            "total_objects": len(found),
            "total_size_mb": collect.megabytes(found),
            "callsite_enabled": any(site != "disabled" for site in by_site),
            "summary_by": "callsite",
        }
    }


def _count(counts: dict[str, int], state: str) -> None:
    counts[state] = counts.get(state, 0) + 1


def _no_logs(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name}(): there are no log files. What tasks print appears at the driver, and the last "
        "lines of a dead process in the error that its tasks fail with."
    )


def list_logs(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: there are no log files."""
    _no_logs("list_logs")


def get_log(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: there are no log files."""
    _no_logs("get_log")


def list_cluster_events(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: nothing records what happens to nodes."""
    raise NotImplementedError(
        "list_cluster_events(): what happens to nodes is not recorded; see list_nodes()."
    )
