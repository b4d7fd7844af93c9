"""What the local engine is made of: entries, actors, and the rules for errors and retries."""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from paralab.actor_errors import name_taken
from paralab.engine import installed, tell
from paralab.exceptions import (
    ActorDiedError,
    ActorExit,
    AsyncioActorExit,
    ParalabError,
    TaskCancelledError,
    TaskError,
    WorkerCrashedError,
)
from paralab.ids import Address, actor_id, job_of, task_id
from paralab.local_mode.unseen import Untold, saw
from paralab.object_ref import ObjectRef
from paralab.object_ref_generator import ObjectRefGenerator
from paralab.remote_errors import unpack_failure
from paralab.remote_traceback import is_own_file
from paralab.state.events import EventRing
from paralab.state.told import ObjectRow, news, task_rows
from paralab.task_spec import (
    AS_ACTOR,
    RESOURCE_UNIT,
    ActorOptions,
    ActorSpec,
    TaskOptions,
    shut_down,
)

if TYPE_CHECKING:
    import asyncio


class Mailbox:
    """Nothing needs to be told when a ref ends; ``dropped`` is a C call that forgets."""

    asleep = False

    def __init__(self) -> None:
        self.dropped: Callable[[Any], None] = deque[Any](maxlen=0).append

    def wake(self) -> None:
        """There is nobody to wake."""


class Entry:
    """One object: a value, or the blob of one, or an error; an actor has its ``actor``.

    ``inner`` holds the refs inside the blob, ``origin`` the exception as it was raised.  The end
    of a generator that still runs has its ``stream``.
    """

    __slots__ = (
        "__weakref__",
        "actor",
        "blob",
        "error",
        "inner",
        "key",
        "mailbox",
        "origin",
        "owner",
        "site",
        "stream",
        "untold",
        "value",
    )

    def __init__(self, key: int, owner: Address, mailbox: Mailbox) -> None:
        self.key = key
        self.owner = owner
        self.mailbox = mailbox
        self.value: Any = None
        self.blob: bytes | None = None
        self.inner: Sequence[ObjectRef] = ()
        self.error: BaseException | bytes | None = None
        self.origin: BaseException | None = None
        self.actor: Actor | None = None
        self.stream: Any = None
        self.untold: Untold | None = None
        self.site = ""

    def row(self) -> tuple[Any, ...]:
        """What a survey of objects says of this one, see ``state.told.object_rows``."""
        size = -1 if self.blob is None else len(self.blob)
        held = "LOCAL_REFERENCE" if self.actor is None else "ACTOR_HANDLE"
        status = "FINISHED" if self.error is None else "FAILED"
        return tuple(ObjectRow(self.owner, self.key, size, held, status, self.site, 1))


class Actor:
    """An actor's object, or why it is dead.  The lock keeps threads of the user apart."""

    def __init__(self, spec: ActorSpec, options: ActorOptions, ref: ObjectRef) -> None:
        self.key: int = ref._entry.key
        self.name, self.cls, self.is_async = spec.name, spec.cls, spec.is_async
        self.given_name = options.name
        self.max_task_retries = options.max_task_retries
        self.handle_state = options.handle_state
        self.id = actor_id(ref.binary()).hex()
        self.resources = options.resources
        self.where = options.where
        self.runtime_env = options.runtime_env
        self.instance: Any = None
        self.dead: BaseException | None = None
        self.lock = threading.RLock()
        self.loop: asyncio.AbstractEventLoop | None = None
        """Of an async actor; made by its first call, and closed with the actor."""
        self.streams: list[Any] = []
        """Generators that have begun and not ended."""

    def __del__(self) -> None:  # the last handle is gone
        if self.instance is not None and installed() is not None:
            shut_down(self.instance)

    def finish_streams(self) -> None:
        """Calls run in order: what has begun ends before the next one begins."""
        for stream in list(self.streams):
            stream.drain()

    def row(self, owner: Address, namespace: str) -> dict[str, Any]:
        """What the node tells of an actor, see ``util.state.collect.actors``."""
        return {
            "ref": (owner, self.key),
            "class_name": self.name,
            "state": "ALIVE" if self.dead is None else "DEAD",
            "name": self.given_name,
            "namespace": namespace,
            "worker": None,
            "pid": os.getpid(),
            "resources": list(self.resources.items()),
            "is_detached": False,
            "restarts": 0,
            "why": str(self.dead or ""),
        }


class Running(threading.local):
    """What runs in this thread, innermost last."""

    def __init__(self) -> None:
        self.stack: list[dict[str, Any]] = []


def finished(actor: Actor | None, value: Any) -> Any:
    """What a method has returned; a coroutine runs to its end first, in a loop of the actor.

    The caller may be a coroutine itself, of this actor or of another one, or a notebook's cell.
    """
    if actor is None or not inspect.iscoroutine(value):
        return value
    import asyncio

    loop = actor.loop
    if loop is None:
        loop = actor.loop = asyncio.new_event_loop()
        weakref.finalize(actor, loop.close)
    outer = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        if loop.is_running():
            with contextlib.closing(asyncio.new_event_loop()) as inner:
                return inner.run_until_complete(value)
        return loop.run_until_complete(value)
    except asyncio.CancelledError:
        raise TaskCancelledError from None
    finally:
        asyncio._set_running_loop(outer)


def defined_as(definition: Any) -> str:
    """Where the running function, method or class is defined."""
    name = f"{definition.__module__}.{definition.__qualname__}"
    return f"{name}.__init__" if isinstance(definition, type) else name


def told(what: str, limit: int, events: EventRing, entries: list[Entry]) -> Any:
    """What this process, the only one, says in a survey."""
    if what == "tasks":
        return task_rows(events, (), lambda _worker: None, limit)
    if what == "news":
        return news(events, (), lambda _worker: None, limit)
    if what == "objects":
        return [entry.row() for entry in entries[-limit:]]
    if what == "marks":
        return events.marks(limit)
    return tell(what, limit)


def refuse_generator(value: Any) -> None:
    """Raises what pickling would, for generators, which belong to who has called them."""
    if type(value) is ObjectRefGenerator:
        value.__reduce__()


class Names:
    """The living actors that have a name; one ends with its last ref, detached ones are pinned."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._entries: WeakValueDictionary[tuple[str, str], Entry] = WeakValueDictionary()

    def take(self, name: str, namespace: str | None, entry: Entry) -> None:
        """Gives an actor its name, or raises ActorAlreadyExistsError."""
        key = (namespace or self._namespace, name)
        if self.find(name, namespace) is not None:
            raise name_taken(name, key[0])
        self._entries[key] = entry

    def find(self, name: str, namespace: str | None) -> Entry | None:
        """The living actor of that name."""
        entry = self._entries.get((namespace or self._namespace, name))
        return None if entry is None or entry.actor is None or entry.actor.dead else entry

    def all(self) -> list[tuple[str, str]]:
        """The namespace and name of each."""
        return [(space, name) for space, name in list(self._entries) if self.find(name, space)]


def retries(
    error: BaseException, options: TaskOptions, attempt: int, actor: Actor | None = None
) -> bool:
    wanted = options.retry_exceptions
    limit = options.max_retries
    if limit == AS_ACTOR:
        limit = 0 if actor is None else actor.max_task_retries
    if wanted is False or 0 <= limit <= attempt or isinstance(error, ParalabError):
        return False
    return isinstance(error, Exception) if wanted is True else isinstance(error, wanted)


def died(actor: Actor, why: str, init_failed: bool = False) -> ActorDiedError:
    message = f"The actor Actor({actor.name}, {actor.id}) is dead. {why}"
    return ActorDiedError(message, actor_id=actor.id, actor_init_failed=init_failed)


def left(ending: BaseException, context: dict[str, Any]) -> BaseException:
    """What a task or actor that has left with ``ending`` stands for."""
    actor: Actor | None = context["actor"]
    if actor is None:
        return WorkerCrashedError(f"The task {context['task_name']} left with {ending!r}.")
    how = f"{ending!r}" if type(ending) is SystemExit else "exit_actor() was called"
    actor.dead = died(actor, f"It ended itself: {how}.")
    instance, actor.instance = actor.instance, None
    shut_down(instance)
    return actor.dead


def resolved(value_of: Callable[[Any], Any], value: Any) -> Any:
    """An argument of a task: of a ref the value, as ``value_of`` finds it in the ref's entry.

    Raises:
        TaskError: the ref stands for an error.
    """
    if type(value) is not ObjectRef:
        return value
    try:
        return value_of(value._entry)
    except TaskError:
        raise
    except ParalabError as error:
        raise TaskError.of("", error, pid=os.getpid()).as_instanceof_cause() from None


def fresh(error: BaseException | bytes, origin: BaseException | None) -> BaseException:
    """An exception of its own for each ``get``, from which the user's traceback is reached."""
    if isinstance(error, bytes):
        found = unpack_failure(error)
    elif isinstance(error, TaskError):
        found = error.as_instanceof_cause()
    else:
        found = copy.copy(error)
    found.__cause__ = origin.__cause__ if isinstance(origin, ParalabError) else origin
    return found


def users_part(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and is_own_file(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def described(
    node: str, capacity: Mapping[str, float], labels: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "NodeID": node,
        "Alive": True,
        "alive": True,
        "NodeManagerAddress": "127.0.0.1",
        "NodeName": "local",
        "Resources": dict(capacity),
        "Labels": dict(labels),
    }


def task_facts(
    node: str,
    address: Address,
    namespace: str,
    runtime_env: Mapping[str, Any],
    stack: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    running = stack[-1] if stack else None
    actor: Actor | None = running["actor"] if running else None
    where = running["where"] if running else None
    resources = running["resources"] if running else {}
    gpus = -(-resources.get("GPU", 0) // RESOURCE_UNIT)
    return {
        "node_id": node,
        "job_id": job_of(address).hex(),
        "worker_id": address.hex() + "00" * 12,
        "task_id": task_id(address, running["key"]).hex() if running else None,
        "task_name": running["task_name"] if running else None,
        "function_name": defined_as(running["function"]) if running else None,
        "actor": ((address, actor.key), actor.cls) if actor else None,
        "actor_id": actor.id if actor else None,
        "actor_name": actor.given_name if actor else None,
        "placement_group_id": where.group or None if where else None,
        "placement_group_capture_child_tasks": bool(where and where.captures),
        "assigned_resources": {name: n / RESOURCE_UNIT for name, n in resources.items()},
        "accelerator_ids": {"GPU": [str(number) for number in range(gpus)]},
        "namespace": namespace,
        "runtime_env": running["runtime_env"] if running else runtime_env,
        "exit": partial(_leaving, running) if actor and actor.is_async else ActorExit,
    }


def _leaving(running: Any) -> AsyncioActorExit:
    running["leaves"] = True
    return AsyncioActorExit("exit_actor() was called.")


_UNCHANGED = nullcontext()


def changed_environment(runtime_env: Mapping[str, Any]) -> AbstractContextManager[None]:
    """This process as a task's ``runtime_env``, an object of the API, would have it."""
    applied: Any = getattr(runtime_env, "applied", None)
    return _UNCHANGED if applied is None else applied()


def environment_over(options: Any, stack: Sequence[dict[str, Any]], own: Any) -> Any:
    """The environment of a task with these options, in that of the innermost one that runs."""
    parent = stack[-1]["runtime_env"] if stack else own
    over: Any = getattr(options.runtime_env, "over", None)
    return parent if over is None else over(parent)


class NothingIsWaitedFor:
    """What of an engine's work is nothing where every task has ended when its ref is made."""

    _pickled: bool

    @property
    def own_bytes(self) -> Callable[[memoryview], memoryview] | None:
        """See :class:`paralab.engine.Engine`."""
        return (lambda view: memoryview(bytearray(view))) if self._pickled else None

    def wait(
        self, refs: Sequence[ObjectRef], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef], list[ObjectRef]]:
        """The first ``num_returns`` and the rest, as all are ready."""
        for ref in refs[:num_returns]:
            if isinstance(ref, ObjectRef):  # or else a generator, whose next item it waits for
                saw(ref._entry)
        return list(refs[:num_returns]), list(refs[num_returns:])

    def on_settled(self, ref: ObjectRef, call: Callable[[], None]) -> bool:
        """False: everything that exists is settled."""
        return False

    def cancel_since(self, moment: int) -> int:
        """None: what was submitted has run."""
        return 0

    def cancel(self, ref: ObjectRef, force: bool, recursive: bool) -> None:
        """Does nothing: the task has finished."""

    def restart_workers(self) -> None:
        """Does nothing: there are no workers."""
