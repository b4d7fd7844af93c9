"""The errors of actors: one is dead, out of reach, cannot be placed, or may not be called so.

Users know them as ``paralab.exceptions``, which says what all errors have in common.
"""

from __future__ import annotations

from paralab.shown_text import shown_name
from paralab.task_error import ParalabError, TaskError


class ActorError(ParalabError):
    """An actor could not finish a call.

    Args:
        actor_id: the actor's id in hexadecimal digits, or None.
        error_msg: what happened.
        actor_init_failed: whether the constructor raised.
        preempted: whether its node was taken away.
    """

    BASE_ERROR_MSG = "The actor experienced an error before finishing this task."
    actor_id: str | None

    def __init__(
        self,
        actor_id: str | None = None,
        error_msg: str = BASE_ERROR_MSG,
        actor_init_failed: bool = False,
        preempted: bool = False,
    ) -> None:
        super().__init__(error_msg)
        self.actor_id = actor_id
        self._actor_init_failed = actor_init_failed
        self._preempted = preempted

    @property
    def actor_init_failed(self) -> bool:
        """Whether the constructor raised."""
        return self._actor_init_failed

    @property
    def preempted(self) -> bool:
        """Whether the actor's node was taken away."""
        return self._preempted

    @property
    def error_msg(self) -> str:
        """The whole message."""
        return str(self)


class ActorDiedError(ActorError):
    """The actor is dead: its pending and later calls fail with this.

    Args:
        cause: what happened; or the TaskError of its constructor; or None where nobody knows.
        actor_id: the actor's id in hexadecimal digits, or None.
        actor_init_failed: whether the constructor raised.
    """

    BASE_ERROR_MSG = "The actor died unexpectedly before finishing this task."
    ADVICE = (
        "It runs no more calls. Make a new actor; with max_restarts it is started again if its "
        "process dies."
    )

    def __init__(
        self,
        cause: TaskError | str | None = None,
        *,
        actor_id: str | None = None,
        actor_init_failed: bool = False,
    ) -> None:
        text = self.BASE_ERROR_MSG
        if isinstance(cause, TaskError):
            actor_id, actor_init_failed = actor_id or cause._actor_id, True
            text = f"The actor died because of an error raised in its creation task, {cause}"
        elif cause:
            text = cause if actor_init_failed or text in cause else f"{text}\n{cause}"
        super().__init__(actor_id, text, actor_init_failed)

    @staticmethod
    def from_task_error(task_error: TaskError) -> ActorDiedError:
        """The error of an actor whose constructor failed with ``task_error``."""
        return ActorDiedError(task_error)


class ActorUnavailableError(ActorError):
    """The actor cannot be reached for the moment.

    Args:
        error_message: what happened.
        actor_id: the actor's id, as bytes or in hexadecimal digits, or None.
    """

    ADVICE = "The actor may come back; try again if the call may run twice."

    def __init__(self, error_message: str = "", actor_id: bytes | str | None = None) -> None:
        id_ = actor_id.hex() if isinstance(actor_id, bytes) else actor_id
        super().__init__(
            id_,
            f"The actor {id_} is unavailable: {error_message}. The task may or may not have been "
            "executed on the actor.",
        )


class AsyncioActorExit(ParalabError):
    """What ``exit_actor`` raises in async actors; the actor ends even if it is caught."""


class ActorUnschedulableError(ParalabError):
    """The actor can never be placed.

    Args:
        error_message: why not.
    """

    ADVICE = "No node can ever have what it asks for; see paralab.cluster_resources()."

    def __init__(self, error_message: str = "") -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def _message(self) -> str:
        return f"The actor is not schedulable: {self.error_message}"


class ActorPlacementGroupRemoved(ParalabError):
    """The placement group in which the actor was to live was removed."""

    ADVICE = "The placement group corresponding to this Actor has been removed."


class ActorAlreadyExistsError(ValueError, ParalabError):
    """The name is taken by another actor of the namespace.

    Args:
        error_message: which name, in which namespace.
    """

    def __init__(self, error_message: str = "") -> None:
        super().__init__(error_message)
        self.error_message = error_message


def name_taken(name: str, namespace: str) -> ActorAlreadyExistsError:
    """The error for a second living actor of one name."""
    name, namespace = shown_name(name), shown_name(namespace)
    return ActorAlreadyExistsError(
        f"The name {name} (namespace={namespace}) is already taken. Please use a different "
        f"name or get the existing actor using get_actor({name!r}, namespace={namespace!r})"
    )


class ActorHandleNotFoundError(ValueError, ParalabError):
    """The handle belongs to an earlier session.

    Args:
        error_message: which handle.
    """

    def __init__(self, error_message: str = "") -> None:
        super().__init__(error_message)
        self.error_message = error_message


class ActorClassInheritanceException(TypeError, ParalabError):
    """A class was derived from an actor class."""


class PendingCallsLimitExceeded(ParalabError):
    """The actor has ``max_pending_calls`` calls waiting."""

    ADVICE = "Wait for some results, or raise max_pending_calls."
