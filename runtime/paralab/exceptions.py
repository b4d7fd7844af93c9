"""What can go wrong, each with its cause and what to do next.

Two families::

    ParalabError
    ├── TaskError            the user's own code raised: re-raised by get as a TaskError that
    │                        is also an instance of the user's exception class
    └── everything else      the system could not do what was asked

Names are paralab's own; where Ray's differ, Ray's name is an alias of the same class.  Every
error pickles: its fields travel, its constructor is not run again.
"""

from __future__ import annotations

from collections.abc import Callable
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any
from weakref import WeakValueDictionary

from paralab.plain_exception import as_plain, builtin_base, rebuild
from paralab.remote_traceback import Origin, Raised, describe, headline, render

_C_FIELDS = (GetSetDescriptorType, MemberDescriptorType)
_NEVER_COMBINED = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""A remote one must not act on the caller's process as if it had happened there."""


class ParalabError(Exception):
    """Base class of all errors of the runtime."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return rebuild, (type(self), self.args, self.__dict__)


_duals: WeakValueDictionary[type, type[TaskError]] = WeakValueDictionary()
"""For each class of causes the class that is both; an entry goes when no such error is left."""


class TaskError(ParalabError):
    """A task or an actor's method raised an exception.

    ``get`` raises it as an instance of this class and of the class of ``cause`` at once.

    Attributes:
        function_name: the task, as ``module.function`` or ``Class.method``.
        cause: the exception that the user's code raised, without its traceback.
        pid: process in which it was raised.
        node: the node, in hexadecimal digits.
        ip: the node's address, for programs written for Ray.
        traceback_str: the remote traceback as text.
    """

    function_name: str
    cause: BaseException
    pid: int
    node: str
    ip: str = "127.0.0.1"

    def __init__(
        self,
        function_name: str,
        cause: BaseException,
        *,
        pid: int,
        node: str = "",
        raised: Raised | None = None,
    ) -> None:
        super().__init__(function_name, cause)
        self._fill(function_name, cause, pid, node, raised or describe(cause))

    def _fill(
        self, function_name: str, cause: BaseException, pid: int, node: str, raised: Raised
    ) -> None:
        self.function_name = function_name
        self.cause = cause
        self.pid = pid
        self.node = node
        self._raised = raised
        self._origin = Origin(function_name, pid, node)

    @property
    def traceback_str(self) -> str:
        """The remote traceback as text, source lines looked up where it is read."""
        return render(self._raised, self._origin)

    def __str__(self) -> str:
        return f"{headline(self._raised, self.function_name)}\n\n{self.traceback_str}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.cause!r})"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        combined = type(self) is not TaskError
        fields = (self.function_name, as_plain(self.cause), self.pid, self.node, self._raised)
        return _rebuild_task_error, (combined, *fields)

    def as_instanceof_cause(self) -> TaskError:
        """This error as an instance of its cause's class too, with the cause's attributes.

        Returns self where that class cannot be combined with TaskError.
        """
        cause_type = type(self.cause)
        if isinstance(self, cause_type) or isinstance(self.cause, _NEVER_COMBINED):
            return self
        try:
            return _combined(self)
        except Exception:
            # A final class, a metaclass of its own, a layout that does not fit: the user's
            # exception is still there as `cause`.
            return self


def _combined(error: TaskError) -> TaskError:
    cause = error.cause
    cause_type = type(cause)
    base = builtin_base(cause_type)
    dual = _duals.get(cause_type)
    if dual is None:
        name = f"TaskError({cause_type.__name__})"
        names = {
            "__module__": TaskError.__module__,
            "__qualname__": name,
            "__init__": TaskError.__init__,
            "__reduce__": TaskError.__reduce__,
            "__str__": TaskError.__str__,
            "__repr__": TaskError.__repr__,
            "__getattr__": _attribute_of_cause,
        }
        dual = type(name, (TaskError, cause_type), names)
        _duals[cause_type] = dual
    combined: TaskError = base.__new__(dual, *cause.args)
    base.__init__(combined, *cause.args)
    for owner in base.__mro__:
        if owner not in (BaseException, Exception, object):
            for field, descriptor in vars(owner).items():
                if isinstance(descriptor, _C_FIELDS):
                    _copy_field(cause, combined, field)
    combined.__dict__.update(cause.__dict__)
    combined._fill(error.function_name, cause, error.pid, error.node, error._raised)
    return combined


def _copy_field(source: BaseException, target: BaseException, field: str) -> None:
    try:
        setattr(target, field, getattr(source, field))
    except (AttributeError, TypeError):
        pass  # read-only (the members of a group) or never set: the constructor's value holds


def _attribute_of_cause(self: TaskError, name: str) -> Any:
    if name.startswith("__") or "cause" not in self.__dict__:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    return getattr(self.cause, name)


def _rebuild_task_error(
    combined: bool, function: str, cause: BaseException, pid: int, node: str, raised: Raised
) -> TaskError:
    error = TaskError(function, cause, pid=pid, node=node, raised=raised)
    return error.as_instanceof_cause() if combined else error


class UserCodeException(ParalabError):
    """Wraps an exception of user code; ``retry_exceptions`` looks at what it wraps."""


class UnserializableException(ParalabError):
    """Stands for an exception of a task that could not be sent or read back.

    Its text names the type, the reason, and what the original said.
    """


class _SystemError(ParalabError):
    """A message that says what happened, plus the class's advice."""

    ADVICE = ""

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n{self.ADVICE}" if text and self.ADVICE else text or self.ADVICE


class SystemFailure(_SystemError):
    """The runtime itself failed."""

    ADVICE = "This is a fault of the runtime, not of your program; shutdown() and init() help."


class LocalNodeDied(_SystemError):
    """The node process of this machine died."""

    ADVICE = (
        "The node process of this machine is gone, and with it every worker. Call "
        "paralab.shutdown() and paralab.init() to start afresh."
    )


class WorkerCrashedError(_SystemError):
    """The worker process died while it ran the task."""

    ADVICE = (
        "The worker process died while it ran this task. Likely causes: the process used too "
        "much memory and was killed, a crash in compiled code, os._exit or sys.exit in the "
        "task. Raise max_retries if running it again may help."
    )


class ActorError(_SystemError):
    """An actor could not finish a call.

    Args:
        message: what happened.
        actor_id: the actor's id in hexadecimal digits, or None.
        actor_init_failed: whether the constructor raised.
    """

    actor_id: str | None
    actor_init_failed: bool
    preempted = False

    def __init__(
        self, message: str = "", *, actor_id: str | None = None, actor_init_failed: bool = False
    ) -> None:
        super().__init__(message)
        self.actor_id = actor_id
        self.actor_init_failed = actor_init_failed

    @property
    def error_msg(self) -> str:
        """The whole message."""
        return str(self)


class ActorDiedError(ActorError):
    """The actor is dead: its pending and later calls fail with this."""

    ADVICE = "Calls of a dead actor never run. Make a new actor, or give it max_restarts."


class ActorUnavailableError(ActorError):
    """The actor cannot be reached for the moment."""

    ADVICE = "The call may or may not have run. The actor may come back; try again."


class ActorUnschedulableError(_SystemError):
    """The actor can never be placed."""

    ADVICE = "No node can ever have what the actor asks for; see paralab.cluster_resources()."


class ActorAlreadyExistsError(ValueError, _SystemError):
    """The name is taken by another actor of the namespace."""


class ActorHandleNotFoundError(ValueError, _SystemError):
    """The handle belongs to an earlier session."""


class ActorClassInheritanceException(TypeError, _SystemError):
    """A class was derived from an actor class."""


class TaskUnschedulableError(_SystemError):
    """The task can never be placed."""

    ADVICE = "No node can ever have what the task asks for; see paralab.cluster_resources()."


class TaskCancelledError(_SystemError):
    """The task was cancelled before it finished.

    Args:
        message: what happened.
        task_id: the task's id in hexadecimal digits, or None.
    """

    ADVICE = "The task was cancelled by paralab.cancel or with the task that started it."
    task_id: str | None

    def __init__(self, message: str = "", *, task_id: str | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id


class ProcessLimitError(_SystemError):
    """A chain of tasks, each waiting for the next, needs more processes than are allowed."""

    ADVICE = (
        "Each task that waits in get() keeps its process. Make the recursion shallower, solve "
        "small cases without a task, or pass refs on as arguments instead of waiting for them."
    )


class GetTimeoutError(_SystemError, TimeoutError):
    """``get`` did not have the value within its timeout."""


class ObjectStoreFullError(_SystemError):
    """The object does not fit into the shared memory."""

    ADVICE = (
        "The store is full of objects that are in use. Drop refs (del) and arrays that look "
        "into the store, or pass object_store_memory=<bytes> to paralab.init()."
    )


class OutOfDiskError(_SystemError):
    """The disk is full."""

    ADVICE = "Neither shared memory nor disk has room for the object. Free disk space."


class OutOfMemoryError(_SystemError):
    """The machine ran short of memory."""

    ADVICE = "Run fewer tasks at once (num_cpus, memory=...) or let each hold less."


class NodeDiedError(_SystemError):
    """A node is dead or cannot be reached."""


class RuntimeEnvSetupError(_SystemError):
    """The environment that a task or actor asked for could not be made."""

    ADVICE = "Failed to set up runtime environment."


class PendingCallsLimitExceeded(_SystemError):
    """The actor has ``max_pending_calls`` calls waiting."""

    ADVICE = "Wait for some results, or raise max_pending_calls."


class ObjectLostError(_SystemError):
    """The value of an object is gone.

    Args:
        object_ref_hex: the object's id in hexadecimal digits.
        message: what happened.
    """

    ADVICE = "Every copy of the value is lost."
    object_ref_hex: str

    def __init__(self, object_ref_hex: str, message: str = "") -> None:
        super().__init__(message or f"The object {object_ref_hex} cannot be had.")
        self.object_ref_hex = object_ref_hex


class ObjectFetchTimedOutError(ObjectLostError):
    """Nobody answered where the value should have been."""

    ADVICE = "No process that should have a copy answered in time."


class ObjectFreedError(ObjectLostError):
    """The object was freed by hand."""

    ADVICE = "It was freed by hand while a ref to it was left."


class OwnerDiedError(ObjectLostError):
    """The process that made the ref has died."""

    ADVICE = (
        "The process that made this ref is dead, and only that process knew the value. Make "
        "refs that must live on in the driver or in a long-lived actor."
    )


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """The object was freed although a ref to it was left."""

    ADVICE = "The runtime freed it while a ref was left; this is a fault of the runtime."


class ObjectReconstructionFailedError(ObjectLostError):
    """The value is lost and cannot be computed again."""

    ADVICE = "It cannot be computed again; raise max_retries of the task that made it."


class ActorExit(BaseException):
    """Raised by ``exit_actor``; the actor's process ends when it arrives at the executor."""


RayError = ParalabError
RayTaskError = TaskError
RayActorError = ActorError
RaySystemError = SystemFailure
LocalRayletDiedError = LocalNodeDied
