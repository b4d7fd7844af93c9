"""The seam below the API: what an engine has to do, and which one is in use.

The API (``paralab.api``, ``remote_function``, ``actor``) speaks to this protocol only.
``process.client.CoreClient`` carries it out on several processes, ``local_mode.engine.LocalEngine``
in the calling one; both pass the same tests.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from paralab.ids import Address
from paralab.library_name import said
from paralab.object_ref import ObjectRef
from paralab.task_spec import ActorOptions, ActorSpec, FunctionSpec, TaskOptions

tells: dict[str, Callable[[int], Any]] = {
    "argv": lambda _limit: list(sys.argv),
    # By name: it stands above, and is only needed when somebody asks.
    "names": lambda limit: importlib.import_module("paralab.names_of_refs").rows(limit),
    "definitions": lambda limit: importlib.import_module("paralab.sources").definitions(limit),
    "native_threads": lambda _limit: importlib.import_module("paralab.sources").native_threads(),
    "sources": lambda limit: importlib.import_module("paralab.sources").rows(limit),
}
"""What this process tells besides its tables when a survey asks for it by name: a function of
the limit, which returns plain data.  "metrics" comes with the first metric; entries stay."""


acts: dict[str, Callable[[str], Any]] = {
    "sampling": lambda wish: importlib.import_module("paralab.sampling").act(wish),
}
"""What this process does and tells of when a survey asks for a name, a blank and a text: a
function of that text, which neither waits nor raises."""


def tell(what: str, limit: int) -> Any:
    """What this process says in a survey besides its tables; None if it has nothing to say."""
    name, _, wish = what.partition(" ")
    if name in acts:
        return acts[name](wish)
    return tells[what](limit) if what in tells else None


class Told(NamedTuple):
    """What one process says in a survey."""

    address: Address
    pid: int
    is_driver: bool
    answer: Any


class Survey(NamedTuple):
    """What the processes of a session say, and who of them said nothing in time."""

    told: list[Told]
    silent: list[Address]

    def answers(self) -> list[Any]:
        """The answers alone."""
        return [each.answer for each in self.told]


class Groups(Protocol):
    """An engine's placement groups, named by their ids in hexadecimal digits."""

    def create(self, group_id: str, wish: dict[str, Any]) -> None:
        """Asks for a group; raises SystemFailure if its name is taken.

        ``wish`` has ``bundles`` (dicts of resources in units of 1e-4), ``strategy``, ``name``,
        ``detached``, and ``selectors``, one for each bundle or none at all.
        """

    def remove(self, group_id: str) -> None:
        """Ends a group and what runs in it."""

    def ready(self, group_id: str, value: Any) -> ObjectRef:
        """A ref that has ``value`` once the group is made, an error if it is removed."""


class Engine(Protocol):
    """Runs tasks and actors and keeps objects.  All methods may be called by any thread."""

    @property
    def groups(self) -> Groups:
        """Its placement groups."""

    @property
    def own_bytes(self) -> Callable[[memoryview], memoryview] | None:
        """Makes a writable copy of bytes, or what passes for one (``serialization.own``).

        None where arguments and results are the objects themselves.
        """

    def submit(
        self,
        function: FunctionSpec,
        options: TaskOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> list[ObjectRef]:
        """Queues one call of ``function``; returns its ``options.num_returns`` refs at once.

        Arguments are serialized before this returns.  Raises TypeError, naming the path to
        the offending attribute, when one cannot be.
        """

    def create_actor(
        self,
        spec: ActorSpec,
        options: ActorOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> ObjectRef:
        """Starts an actor; the ref stands for the actor: it lives while the ref or a copy does.

        If it is detached, it lives until it is killed.  Raises ActorAlreadyExistsError when
        another living actor has its name.

        ``ref.binary()`` begins with the actor's id (see :func:`paralab.actor.actor_id_of`).
        """

    def call_actor(
        self,
        actor: ObjectRef,
        method: str,
        options: TaskOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> list[ObjectRef]:
        """Queues one method call; calls of one caller run in the order in which it made them."""

    def pending_calls(self, actor: ObjectRef) -> int:
        """How many calls of this process the actor has not answered."""

    def put(self, value: Any) -> ObjectRef:
        """Stores a copy of ``value`` and returns its ref."""

    def get(self, refs: Sequence[ObjectRef], timeout: float | None) -> list[Any]:
        """The values of ``refs``; raises the first failed one's error, or GetTimeoutError.

        ``timeout`` is in seconds, None waits for ever.
        """

    def get_one(self, ref: ObjectRef, timeout: float | None) -> Any:
        """``get`` of a single ref."""

    def wait(
        self, refs: Sequence[ObjectRef], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        """Splits ``refs``, order kept, into at most ``num_returns`` finished ones and the rest."""

    def on_settled(self, ref: ObjectRef, call: Callable[[], None]) -> bool:
        """Has ``call`` called once the value or error of ``ref`` is there, or the session ends.

        Any thread may call it, while the engine is at work: it must neither wait nor raise.

        Returns:
            False if it is there already; then ``call`` is not called.
        """

    def cancel(self, ref: ObjectRef, force: bool, recursive: bool) -> None:
        """Asks that the task behind ``ref`` does not run on."""

    def cancel_since(self, moment: int) -> int:
        """Cancels what this process has submitted since ``moment`` and is not answered.

        Args:
            moment: in ns, on the monotonic clock.

        Returns:
            How many tasks and actors' calls that were.
        """

    def kill(self, actor: ObjectRef, no_restart: bool) -> None:
        """Ends an actor's process at once; its pending calls fail with ActorDiedError.

        Unless ``no_restart``: then an actor that has restarts left is started again.
        """

    def find_actor(self, name: str, namespace: str | None) -> tuple[ObjectRef, Any] | None:
        """The living actor of that name, in the session's own namespace if that is None.

        Returns:
            A ref that does not keep it alive, and its options' ``handle_state``; None if there is
            no such actor.
        """

    def restore_ref(self, owner: Address, key: int) -> ObjectRef:
        """A further ref to an object this process knows, or a borrowed one to another's."""

    def pin_forever(self, ref: ObjectRef) -> None:
        """Keeps the object for as long as its owner lives."""

    def info(self, what: str) -> Any:
        """Facts.

        ``what`` is "nodes", "cluster_resources", "available_resources", "address", "groups",
        "named_actors" (pairs of namespace and name), "prints" (pids, the lines that they
        printed last, and of which task: owner and key, or None), or "context" (a dict about the
        process, task and actor that asks).
        """

    def survey(self, what: str, limit: int, timeout: float) -> Survey:
        """Asks every process of the session for something that it keeps to itself.

        Args:
            what: "tasks", "objects" (rows as ``state.told`` makes them), "news" (see
                ``state.told.news``), "marks" (see ``state.events.EventRing.marks``), a name in
                ``tells``, or one in ``acts`` and what is wished.
            limit: how many rows each may send, the newest ones.
            timeout: seconds to wait at most.
        """

    def key_values(self, what: str, space: bytes, key: bytes, more: Any) -> Any:
        """Asks the table of ``state.key_values``, which all drivers of a node share."""

    def restart_workers(self) -> None:
        """Lets idle workers go and busy ones after their task, so that edited modules load anew."""

    def shutdown(self, linger: float = 0.0) -> None:
        """Ends everything this engine started; may be called twice.

        What was submitted and is not answered yet may go on for ``linger`` seconds.
        """


class _Slot:
    """The engine that ``import paralab`` speaks to in this process."""

    engine: Engine | None = None
    forked_from = 0
    """The process of which this is a forked child, if that had an engine: it stays that one's."""


def current() -> Engine:
    """The engine in use.

    Raises:
        RuntimeError: there is none, because ``paralab.init()`` has not run here.
    """
    engine = _Slot.engine
    if engine is None:
        raise RuntimeError(
            said("paralab is not running in this process: call paralab.init() first.")
        )
    return engine


def installed() -> Engine | None:
    """The engine in use, or None."""
    return _Slot.engine


def install(engine: Engine | None) -> None:
    """Makes ``engine`` the one in use, or none."""
    _Slot.engine = engine
    _Slot.forked_from = 0


def forked() -> None:
    """In a child that the user forked: there is no engine here."""
    _Slot.engine = None
    _Slot.forked_from = os.getppid()


def restore_ref(owner: Address, key: int) -> ObjectRef:
    """What a pickled ref is unpickled by."""
    return current().restore_ref(owner, key)
