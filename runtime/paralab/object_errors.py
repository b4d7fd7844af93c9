"""The errors of objects: there is no room for one, or its value is gone.

Users know them as ``paralab.exceptions``, which says what all errors have in common.
"""

from __future__ import annotations

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

    ADVICE = "The runtime freed it while a ref was left; this is a fault of the runtime."


class ObjectReconstructionFailedError(ObjectLostError):
    """The value is lost and cannot be computed again.

    Args:
        object_ref_hex: the object's id in hexadecimal digits.
        reason: Ray's number for why, if a program gives one.
        reason_message: why, as text.
        owner_address, call_site: as in :class:`ObjectLostError`.
    """

    ADVICE = "It cannot be computed again; raise max_retries of the task that made it."

    def __init__(
        self,
        object_ref_hex: str,
        reason: int | None = None,
        reason_message: str | None = None,
        owner_address: bytes | None = None,
        call_site: str = "",
    ) -> None:
        super().__init__(object_ref_hex, owner_address, call_site, message=reason_message or "")
        self.reason = reason
        self.reason_message = reason_message
