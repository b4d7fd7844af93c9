"""What the local engine is made of: entries, actors, and the rules for errors and retries."""

from __future__ import annotations

import copy
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any

from paralab.exceptions import ActorDiedError, ParalabError, TaskError
from paralab.ids import Address, actor_id
from paralab.object_ref import ObjectRef
from paralab.remote_errors import unpack_failure
from paralab.remote_traceback import is_own_file
from paralab.task_spec import ActorOptions, ActorSpec, TaskOptions


class Mailbox:
    """Nothing needs to be told when a ref ends; ``dropped`` is a C call that forgets."""

    asleep = False

    def __init__(self) -> None:
        self.dropped: Callable[[Any], None] = deque[Any](maxlen=0).append

    def wake(self) -> None:
        """There is nobody to wake."""


class Entry:
    """One object: a value, or the blob of one, or an error; an actor has its ``actor``.

    ``inner`` holds the refs inside the blob, ``origin`` the exception as it was raised.
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

    def row(self) -> tuple[Any, ...]:
        """What a survey of objects says of this one, see ``state.told.object_rows``."""
        size = -1 if self.blob is None else len(self.blob)
        held = "LOCAL_REFERENCE" if self.actor is None else "ACTOR_HANDLE"
        return self.owner, self.key, size, held, "FINISHED" if self.error is None else "FAILED"


class Actor:
    """An actor's object, or why it is dead.  The lock keeps threads of the user apart."""

    def __init__(self, spec: ActorSpec, options: ActorOptions, ref: ObjectRef) -> None:
        self.key: int = ref._entry.key
        self.name = spec.name
        self.given_name = options.name
        self.id = actor_id(ref.binary()).hex()
        self.resources = options.resources
        self.runtime_env = options.runtime_env
        self.instance: Any = None
        self.dead: BaseException | None = None
        self.lock = threading.RLock()


def retries(error: BaseException, options: TaskOptions, attempt: int) -> bool:
    wanted = options.retry_exceptions
    if wanted is False or 0 <= options.max_retries <= attempt or isinstance(error, ParalabError):
        return False
    return isinstance(error, Exception) if wanted is True else isinstance(error, wanted)


def died(actor: Actor, why: str, init_failed: bool = False) -> ActorDiedError:
    message = f"The actor Actor({actor.name}, {actor.id}) is dead. {why}"
    return ActorDiedError(message, actor_id=actor.id, actor_init_failed=init_failed)


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


_UNCHANGED = nullcontext()


def changed_environment(runtime_env: Mapping[str, Any]) -> AbstractContextManager[None]:
    env_vars = runtime_env.get("env_vars")
    return _with_variables(env_vars) if env_vars else _UNCHANGED


@contextmanager
def _with_variables(env_vars: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in env_vars}
    os.environ.update(env_vars)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
