"""What can go wrong, each with its cause and what to do next.

Two families::

    ParalabError
    ├── TaskError            the user's own code raised: re-raised by get as a TaskError that
    │                        is also an instance of the user's exception class
    └── everything else      the system could not do what was asked

Names are paralab's own; where Ray's differ, Ray's name is an alias of the same class.  Every
error pickles: its fields travel, its constructor is not run again.  Constructors take what
Ray's take, because programs make some of these errors themselves.
"""

from __future__ import annotations

import traceback
from typing import Any

from paralab.actor_errors import (
    ActorAlreadyExistsError,
    ActorClassInheritanceException,
    ActorDiedError,
    ActorError,
    ActorHandleNotFoundError,
    ActorPlacementGroupRemoved,
    ActorUnavailableError,
    ActorUnschedulableError,
    AsyncioActorExit,
    PendingCallsLimitExceeded,
)
from paralab.object_errors import (
    ObjectFetchTimedOutError,
    ObjectFreedError,
    ObjectLostError,
    ObjectReconstructionFailedError,
    ObjectStoreFullError,
    OutOfDiskError,
    OwnerDiedError,
    PlasmaObjectNotAvailable,
    ReferenceCountingAssertionError,
)
from paralab.remote_traceback import is_own_file
from paralab.task_error import ParalabError, TaskError

__all__ = [
    "ActorAlreadyExistsError",
    "ActorClassInheritanceException",
    "ActorDiedError",
    "ActorError",
    "ActorExit",
    "ActorHandleNotFoundError",
    "ActorPlacementGroupRemoved",
    "ActorUnavailableError",
    "ActorUnschedulableError",
    "AsyncioActorExit",
    "AuthenticationError",
    "CgraphCapacityExceeded",
    "ChannelError",
    "ChannelTimeoutError",
    "CrossLanguageError",
    "DirectTransportError",
    "GetTimeoutError",
    "LocalNodeDied",
    "LocalRayletDiedError",
    "NodeDiedError",
    "ObjectFetchTimedOutError",
    "ObjectFreedError",
    "ObjectLostError",
    "ObjectReconstructionFailedError",
    "ObjectRefStreamEndOfStreamError",
    "ObjectStoreFullError",
    "OufOfBandObjectRefSerializationException",
    "OutOfBandObjectRefSerializationException",
    "OutOfDiskError",
    "OutOfMemoryError",
    "OwnerDiedError",
    "ParalabError",
    "PendingCallsLimitExceeded",
    "PlasmaObjectNotAvailable",
    "ProcessLimitError",
    "RayActorError",
    "RayCgraphCapacityExceeded",
    "RayChannelError",
    "RayChannelTimeoutError",
    "RayDirectTransportError",
    "RayError",
    "RaySystemError",
    "RayTaskError",
    "ReferenceCountingAssertionError",
    "RpcError",
    "RuntimeEnvSetupError",
    "StreamingGeneratorReplayInconsistentError",
    "SystemFailure",
    "TaskCancelledError",
    "TaskError",
    "TaskPlacementGroupRemoved",
    "TaskUnschedulableError",
    "UnserializableException",
    "UserCodeException",
    "WorkerCrashedError",
]


class UserCodeException(ParalabError):
    """Wraps an exception of user code; ``retry_exceptions`` looks at what it wraps."""


class UnserializableException(ParalabError):
    """Stands for an exception of a task that could not be sent or read back.

    Its text names the type, the reason, and what the original said.

    Args:
        original_stack_trace: that text.
    """

    def __init__(self, original_stack_trace: str = "") -> None:
        super().__init__(original_stack_trace)


class CrossLanguageError(ParalabError):
    """An exception of a task in another language; paralab runs Python only."""

    def __init__(self, ray_exception: Any = None) -> None:
        super().__init__(ray_exception)


class SystemFailure(ParalabError):
    """The runtime itself failed.

    Args:
        client_exc: what happened.
        traceback_str: where, as text, if that is known.
    """

    ADVICE = "This is a fault of the runtime, not of your program; shutdown() and init() help."
    is_met_by_task = False
    """A task that ends with this has not been failed by the runtime: it has met it."""
    _NOT_READABLE = (
        "The value was stored, but it cannot be made again from its bytes here: the traceback says "
        "why. Often a module is missing in this process, or a __reduce__ method gives what its "
        "class does not take."
    )

    def __init__(self, client_exc: Any = "", traceback_str: str | None = None) -> None:
        super().__init__(client_exc)
        self.client_exc = client_exc
        self.traceback_str = traceback_str

    @classmethod
    def not_readable(cls, error: Exception) -> SystemFailure:
        """What to raise from ``error`` when a value cannot be unpickled."""
        where = error.__traceback__
        while where is not None and is_own_file(where.tb_frame.f_code.co_filename):
            where = where.tb_next
        lines = traceback.format_exception(type(error), error, where)
        failure = cls(error, "".join(lines))
        failure.ADVICE, failure.is_met_by_task = cls._NOT_READABLE, True
        return failure

    def _message(self) -> str:
        where = f"\ntraceback: {self.traceback_str}" if self.traceback_str else ""
        return f"System error: {self.client_exc}{where}"


class RpcError(ParalabError):
    """A message between processes could not be sent or answered.

    Args:
        message: what happened.
        rpc_code: the transport's own number for it, if it has one.
    """

    def __init__(self, message: str = "", rpc_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.rpc_code = rpc_code


class AuthenticationError(ParalabError):
    """A process could not prove that it belongs to the session."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class LocalNodeDied(ParalabError):
    """The node process of this machine died."""

    ADVICE = (
        "The node process of this machine is gone, and with it every worker. Call "
        "paralab.shutdown() and paralab.init() to start afresh."
    )


class NodeDiedError(ParalabError):
    """A node is dead or cannot be reached."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class WorkerCrashedError(ParalabError):
    """The worker process died while it ran the task."""

    ADVICE = (
        "Likely causes: if it exited with a code, os._exit or sys.exit in the task; if a signal "
        "ended it, too much memory (SIGKILL) or a crash in compiled code (SIGSEGV, SIGABRT). "
        "Raise max_retries if running it again may help."
    )

    def _message(self) -> str:
        return f"The worker died unexpectedly while executing this task. {super()._message()}"


class TaskUnschedulableError(ParalabError):
    """The task can never be placed.

    Args:
        error_message: why not.
    """

    ADVICE = "No node can ever have what it asks for; see paralab.cluster_resources()."

    def __init__(self, error_message: str = "") -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def _message(self) -> str:
        return f"The task is not schedulable: {self.error_message}"


class TaskPlacementGroupRemoved(ParalabError):
    """The placement group in which the task was to run was removed."""

    ADVICE = "The placement group corresponding to this task has been removed."


class TaskCancelledError(ParalabError):
    """The task was cancelled before it finished.

    Args:
        task_id: the task's id, in hexadecimal digits or an object that shows it, or None.
        error_message: why, where there is more to say.
    """

    ADVICE = "It was cancelled by paralab.cancel, or with the task that started it."
    task_id: Any
    error_message: str | None

    def __init__(self, task_id: Any = None, error_message: str | None = None) -> None:
        super().__init__(task_id, error_message)
        self.task_id = task_id
        self.error_message = error_message

    def _message(self) -> str:
        which = f"Task: {self.task_id} was cancelled. " if self.task_id else ""
        return (which + (self.error_message or "")).rstrip()


class ProcessLimitError(ParalabError):
    """A chain of tasks, each waiting for the next, needs more processes than are allowed."""

    ADVICE = (
        "Each task that waits in get() keeps its process. Make the recursion shallower, solve "
        "small cases without a task, or pass refs on as arguments instead of waiting for them."
    )


class GetTimeoutError(ParalabError, TimeoutError):
    """``get`` did not have the value within its timeout."""


class OutOfMemoryError(ParalabError):
    """The machine ran short of memory."""

    ADVICE = "Run fewer tasks at once (num_cpus, memory=...) or let each hold less."

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class RuntimeEnvSetupError(ParalabError):
    """The environment that a task or actor asked for could not be made.

    Args:
        error_message: what failed, with the output of the tool that failed.
    """

    def __init__(self, error_message: str | None = None) -> None:
        super().__init__(*(() if error_message is None else (error_message,)))
        self.error_message = error_message

    def _message(self) -> str:
        start = "Failed to set up runtime environment."
        return f"{start}\n{self.error_message}" if self.error_message else start


class OutOfBandObjectRefSerializationException(ParalabError):
    """A ref was pickled by hand where that is forbidden."""


class ObjectRefStreamEndOfStreamError(ParalabError):
    """A generator's task has no more refs to give."""


class StreamingGeneratorReplayInconsistentError(SystemFailure):
    """A generator's task that was run again gave another number of objects."""

    ADVICE = "A generator that may be run again must give the same items each time."


class ChannelError(SystemFailure):
    """A channel between actors failed; paralab has no channels."""


class ChannelTimeoutError(ChannelError, TimeoutError):
    """A channel between actors did not answer in time; paralab has no channels."""


class CgraphCapacityExceeded(SystemFailure):
    """A compiled graph's channel is full; paralab has no compiled graphs."""


class DirectTransportError(SystemFailure):
    """A tensor could not be sent past the store; paralab has no such transport."""


class ActorExit(SystemExit):
    """Raised by ``exit_actor``; the actor's process ends when it arrives at the executor."""

    def __init__(self) -> None:
        super().__init__(0)


RayError = ParalabError
RayTaskError = TaskError
RayActorError = ActorError
RaySystemError = SystemFailure
LocalRayletDiedError = LocalNodeDied
OufOfBandObjectRefSerializationException = OutOfBandObjectRefSerializationException
RayChannelError = ChannelError
RayChannelTimeoutError = ChannelTimeoutError
RayCgraphCapacityExceeded = CgraphCapacityExceeded
RayDirectTransportError = DirectTransportError

for _class in list(vars().values()):
    if isinstance(_class, type) and issubclass(_class, ParalabError):
        _class.__module__ = __name__  # where users know it, and pickles look for it
del _class
