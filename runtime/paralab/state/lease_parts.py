"""What ``state.leases`` keeps account of: requests and workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from paralab.ids import Address
from paralab.state.ownership import Ref
from paralab.state.placement import Group
from paralab.state.pool import Pool
from paralab.task_spec import Where


class WorkerState(Enum):
    """Where a worker process is in its life."""

    STARTING = "starting"
    IDLE = "idle"
    LEASED = "leased"
    ACTOR = "actor"
    RETIRING = "retiring"


@dataclass(slots=True)
class Request:
    """Somebody waits for a worker."""

    client: Address
    resources: dict[str, int]
    depth: int
    name: str
    order: int
    count: int = 1
    class_number: int = 0
    actor: Ref | None = None
    held: dict[str, int] = field(default_factory=dict)
    """For an actor: what it keeps for its life."""
    where: Where | None = None
    makes: Group | None = None
    """The placement group that it asks for; then it needs no worker."""
    since: int = 0
    """When it was first found to lack resources, in ns."""


@dataclass(slots=True)
class Worker:
    """One worker process."""

    address: Address
    state: WorkerState = WorkerState.STARTING
    holder: Address | None = None
    pool: Pool | None = None
    """From which it has its resources: the node's, or a bundle's."""
    resources: dict[str, int] = field(default_factory=dict)
    devices: dict[int, int] = field(default_factory=dict)
    where: Where | None = None
    class_number: int = 0
    depth: int = 0
    name: str = ""
    actor: Ref | None = None
    blocked: bool = False
    since: int = 0
    outdated: bool = False
    """It has imported modules that have changed; it ends instead of becoming idle."""
