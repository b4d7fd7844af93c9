"""Tables of actors, jobs and nodes in the form that older programs and tests read.

The public form is :mod:`paralab.util.state`, on which this stands.
"""

from __future__ import annotations

from typing import Any

import paralab
from paralab.util.state import get_actor, list_actors, list_jobs

_NODE = "node:"
_ALL = 10_000


def actors(
    actor_id: str | None = None,
    job_id: paralab.JobID | None = None,
    actor_state_name: str | None = None,
) -> dict[str, Any]:
    """The actors by their ids; of ``actor_id``, in hexadecimal digits, that one's facts alone."""
    if actor_id is not None:
        found = get_actor(actor_id)
        return {} if found is None else _actor(found)
    wanted = {"job_id": job_id and job_id.hex(), "state": actor_state_name}
    filters = [(name, "=", value) for name, value in wanted.items() if value is not None]
    return {
        each["actor_id"]: _actor(each)
        for each in list_actors(detail=True, filters=filters, limit=_ALL)
    }


def _actor(state: Any) -> dict[str, Any]:
    where = {"IPAddress": paralab.util.get_node_ip_address(), "NodeID": state["node_id"] or ""}
    return {
        "ActorID": state["actor_id"],
        "ActorClassName": state["class_name"],
        "IsDetached": state["is_detached"],
        "Name": state["name"],
        "JobID": state["job_id"],
        "Address": where,
        "State": state["state"],
        "NumRestarts": state["num_restarts"],
        "DeathCause": state["death_cause"],
        "Pid": state["pid"],
    }


def jobs() -> list[dict[str, Any]]:
    """The drivers; ``IsDead`` says which have ended."""
    return [
        {
            "JobID": each["job_id"],
            "DriverIPAddress": each["driver_info"] and each["driver_info"]["node_ip_address"],
            "DriverPid": each["driver_info"] and int(each["driver_info"]["pid"]),
            "StartTime": each["start_time"],
            "EndTime": each["end_time"],
            "IsDead": each["end_time"] is not None,
            "Entrypoint": each["entrypoint"],
        }
        for each in list_jobs(detail=True, limit=_ALL)
    ]


def current_node_id() -> str:
    """A resource of which this node has 1, such as "node:127.0.0.1"."""
    return f"{_NODE}{paralab.util.get_node_ip_address()}"


def node_ids() -> list[str]:
    """That resource of each living node."""
    return [
        name
        for node in paralab.nodes()
        if node["Alive"]
        for name in node["Resources"]
        if name.startswith(_NODE) and name != f"{_NODE}__internal_head__"
    ]


def total_resources_per_node() -> dict[str, dict[str, float]]:
    """By the id of each living node, what it has."""
    return {node["NodeID"]: node["Resources"] for node in paralab.nodes() if node["Alive"]}


def __getattr__(name: str) -> Any:
    from paralab.absent import inside

    raise AttributeError(inside(__name__, name))
