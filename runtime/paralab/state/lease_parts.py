"""What ``state.leases`` keeps account of: requests and workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from paralab.ids import Address, job_of
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

    @property
    def job(self) -> bytes:
        """The job for which it works, and whose workers alone it can have."""
        return job_of(self.actor[0] if self.actor else self.client)


class Forks:
    """Workers asked for that have not reported yet, by job."""

    def __init__(self) -> None:
        self.total = 0
        self._of: dict[bytes, int] = {}

    def of(self, job: bytes) -> int:
        """How many are to work for this job."""
        return self._of.get(job, 0)

    def begin(self, job: bytes) -> None:
        """One more is asked for."""
        self.total += 1
        self._of[job] = self.of(job) + 1

    def end(self, job: bytes) -> None:
        """One has reported, or has died before it could."""
        if self.of(job):
            self.total -= 1
            self._of[job] -= 1


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

    @property
    def job(self) -> bytes:
        """The job for which it works."""
        return job_of(self.address)


def take_idle(idle: dict[Address, Worker], job: bytes) -> Worker | None:
    """The worker of a job that was used last, which is warm, no longer idle; None if none is."""
    for worker in reversed(idle.values()):
        if worker.job == job:
            return idle.pop(worker.address)
    return None
