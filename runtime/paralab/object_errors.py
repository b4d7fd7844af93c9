"""The errors of objects: there is no room for one, or its value is gone.

Users know them as ``paralab.exceptions``, which says what all errors have in common.
"""

from __future__ import annotations

from typing import ClassVar

from paralab.task_error import ParalabError


class PlasmaObjectNotAvailable(ParalabError):
    """An object was not in the store in time; Ray's own, kept for programs that name it."""


class ObjectStoreFullError(ParalabError):
    """The object does not fit into the shared memory."""

    ADVICE = (
        "The store is full of objects that are in use. Drop refs (del) and arrays that look "
        "into the store, or pass object_store_memory=<bytes> to paralab.init()."
    )


class OutOfDiskError(ParalabError):
    """The disk is full."""

    ADVICE = "Neither shared memory nor disk has room for the object. Free disk space."


class ObjectLostError(ParalabError):
    """The value of an object is gone.

    Args:
        object_ref_hex: the object's id in hexadecimal digits.
        owner_address: of the process that made it, if it is known.
        call_site: where in the program it was made, if that was recorded.
        message: what happened.
    """

    ADVICE = "Every copy of the value is lost."
    object_ref_hex: str

    def __init__(
        self,
        object_ref_hex: str,
        owner_address: bytes | None = None,
        call_site: str = "",
        *,
        message: str = "",
    ) -> None:
        super().__init__(object_ref_hex)
        self.object_ref_hex = object_ref_hex
        self.owner_address = owner_address
        self.call_site = call_site
        self.message = message

    def _message(self) -> str:
        parts = [f"Failed to retrieve object {self.object_ref_hex}.", self.message]
        if self.call_site:
            parts.append(f"The ObjectRef was created at: {self.call_site}")
        return " ".join(filter(None, parts))


class ObjectFetchTimedOutError(ObjectLostError):
    """Nobody answered where the value should have been."""

    ADVICE = "No process that should have a copy answered in time."


class ObjectFreedError(ObjectLostError):
    """The object was freed by hand."""

    ADVICE = "It was freed by hand while a ref to it was left."


class OwnerDiedError(ObjectLostError):
    """The process that made the ref has died."""

    ADVICE = (
        "The object's owner has exited: the process that made this ref is dead, and only that "
        "process knew the value. Make refs that must live on in the driver or in a long-lived "
        "actor."
    )


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """The object was freed although a ref to it was left."""

    ADVICE = (
        "The object has already been deleted, as no ref to it was counted any more. A ref that is "
        "made of an id, by from_binary or from_hex, does not count; with any other this is a fault "
        "of the runtime."
    )


class ObjectReconstructionFailedError(ObjectLostError):
    """The value is lost and cannot be computed again.

    Args:
        object_ref_hex: the object's id in hexadecimal digits.
        reason: why, as the number that Ray has for it.
        reason_message: why, as text; by default what ``reason`` means.
        owner_address, call_site: as in :class:`ObjectLostError`.
    """

    REASON_MESSAGES: ClassVar[dict[int, str]] = {
        12: "the maximum number of task retries has been exceeded. Consider more of them, by "
        "@paralab.remote(max_retries=N).",
        13: "its lineage has been evicted: tasks are kept until they take too much memory. "
        'Consider paralab.init(_system_config={"max_lineage_bytes": N}); the default is 1 GB.',
        27: "it was created by paralab.put(), or was a large argument: no task can make it again. "
        "Consider to return it from a task instead.",
        28: "its task was created with max_retries=0. Consider @paralab.remote(max_retries=N), or "
        "max_task_retries=N for the calls of an actor.",
    }

    def __init__(
        self,
        object_ref_hex: str,
        reason: int | None = None,
        reason_message: str | None = None,
        owner_address: bytes | None = None,
        call_site: str = "",
    ) -> None:
        if reason_message is None:
            why = self.REASON_MESSAGES.get(reason or 0, "no reason is known.")
            reason_message = f"The object cannot be reconstructed because {why}"
        super().__init__(object_ref_hex, owner_address, call_site, message=reason_message)
        self.reason = reason
        self.reason_message = reason_message
