"""What ``state.leases`` decides, as instructions that the node's shell carries out."""

from __future__ import annotations

from dataclasses import dataclass, field

from paralab.ids import Address
from paralab.state.ownership import Ref
from paralab.state.placement import Group


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start one more worker, for a job, of an environment ("": without anything special)."""

    job: bytes = b""
    environment: str = ""
    node: int = 0


@dataclass(frozen=True, slots=True)
class BuildEnvironment:
    """Make what workers of an environment need."""

    environment: str


@dataclass(frozen=True, slots=True)
class RefuseEnvironment:
    """Tell ``client`` that there is no environment for its tasks of this class, or its actor."""

    client: Address
    class_number: int
    actor: Ref | None
    text: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Tell ``client`` that ``worker`` is its own for class ``class_number``."""

    client: Address
    class_number: int
    worker: Address
    devices: tuple[int, ...]
    order: int = field(default=0, compare=False)
    """Larger than that of all leases before it."""


@dataclass(frozen=True, slots=True)
class PlaceActor:
    """Tell ``client``, and all who ask, that ``worker`` is the actor's process."""

    client: Address
    actor: Ref
    worker: Address
    devices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Revoke:
    """Ask ``client`` to return its lease on ``worker`` at the next task boundary."""

    client: Address
    worker: Address
    depth: int
    """Of the request that waits; -1 if the worker is outdated and is to get no more work."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell ``client`` that its tasks of this class cannot run: too many processes wait."""

    client: Address
    class_number: int
    chain: tuple[str, ...]
    processes: int


@dataclass(frozen=True, slots=True)
class Unmet:
    """Tell ``client`` that nothing here can ever meet the request."""

    client: Address
    class_number: int
    name: str
    resources: dict[str, float]
    place: str = ""
    """What more it asks for than resources, in words."""


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """Tell ``client`` that the place which the request names does not exist (any more)."""

    client: Address
    class_number: int
    actor: Ref | None
    name: str
    in_group: bool
    """The place is a placement group; else it is a node."""


@dataclass(frozen=True, slots=True)
class GroupMade:
    """Tell all who watch that a placement group has its resources."""

    group: Group


@dataclass(frozen=True, slots=True)
class GroupEnded:
    """Tell all who watch that a placement group is removed."""

    group: Group


@dataclass(frozen=True, slots=True)
class Retire:
    """Ask an idle worker to end."""

    worker: Address


@dataclass(frozen=True, slots=True)
class EndWorker:
    """Kill a worker that nobody can use any more."""

    worker: Address


Instruction = (
    StartWorker
    | BuildEnvironment
    | RefuseEnvironment
    | Grant
    | PlaceActor
    | Revoke
    | Refuse
    | Unmet
    | Unplaceable
    | GroupMade
    | GroupEnded
    | Retire
    | EndWorker
)
