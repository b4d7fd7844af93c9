"""What ``state.leases`` keeps account of: requests and workers."""

from __future__ import annotations

from collections.abc import Hashable
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


@dataclass(slots=True, eq=False)
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
    environment: str = ""
    """Only workers of this environment will do."""
    makes: Group | None = None
    """The placement group that it asks for; then it needs no worker."""
    since: int = 0
    """When it was first found to lack resources, in ns."""
    like: Hashable = None
    """Of an actor: equal for requests that fare alike in one round of decisions."""

    @property
    def job(self) -> bytes:
        """The job for which it works, and whose workers alone it can have."""
        return job_of(self.actor[0] if self.actor else self.client)


Kind = tuple[bytes, str, int]
"""What a worker is for its whole life: its job, its environment, and its node's number."""


class Forks:
    """Workers asked for that have not reported yet, by their kind."""

    def __init__(self) -> None:
        self.total = 0
        self._of: dict[Kind, int] = {}

    def of(self, job: bytes, environment: str = "", node: int = 0) -> int:
        """How many are to work for this job in this environment on this node."""
        return self._of.get((job, environment, node), 0)

    def begin(self, job: bytes, environment: str = "", node: int = 0) -> None:
        """One more is asked for."""
        self.total += 1
        self._of[job, environment, node] = self.of(job, environment, node) + 1

    def end(self, job: bytes, environment: str = "", node: int = 0) -> None:
        """One has reported, or has died before it could."""
        if self.of(job, environment, node):
            self.total -= 1
            self._of[job, environment, node] -= 1


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
    environment: str = ""
    node: int = 0
    """The number of its node."""
    used: bool = False
    """It has run something, and may own what others need."""
    asked: bool = False
    """Since its last work it was asked to make room for a worker of another kind."""

    @property
    def job(self) -> bytes:
        """The job for which it works."""
        return job_of(self.address)

    @property
    def is_retiring(self) -> bool:
        """Whether it was asked to end and has not refused."""
        return self.state is WorkerState.RETIRING


def take_idle(
    idle: dict[Address, Worker], job: bytes, environment: str, node: int, request: Request
) -> Worker | None:
    """The worker of a kind that was used last, no longer idle; None if none is.

    Never the client itself, once its own task has ended: nobody has a socket to himself.  An actor
    gets one that has run nothing: it is going to end, and with it all that the process owns.
    """
    fresh = request.actor is not None
    for worker in reversed(idle.values()):
        fits = worker.environment == environment and worker.node == node and worker.job == job
        if fits and worker.address != request.client and not (fresh and worker.used):
            return idle.pop(worker.address)
    return None


def short_of(request: Request, pools: list[Pool]) -> set[str]:
    """What a request lacks in any of the pools that it may take from."""
    short = set()
    for pool in pools:
        available = pool.resources.available
        short |= {name for name, n in request.resources.items() if available.get(name, 0) < n}
        if request.makes or not pool.devices.fit(request.resources.get("GPU", 0)):
            short.add("GPU")  # enough of them in all, but in pieces
    return short


def cpu_of(resources: dict[str, int]) -> dict[str, int]:
    """The CPUs among resources, which a task that waits lends."""
    return {"CPU": resources["CPU"]} if "CPU" in resources else {}
