"""Sending again: what makes a connection reliable whose frames may be lost, doubled or late.

The rules, for each direction of a connection by itself:

* Frames are numbered from 1.  A sender keeps each until the other side has said that it is there.
* The number up to which everything has come rides back on every frame.  Where there is no traffic
  for ``ACK_AFTER`` seconds, a bare acknowledgement goes.
* What has not been acknowledged for ``RESEND_AFTER`` seconds goes again, all of it, in order.
* A number that has been seen is dropped, and acknowledged once more: the acknowledgement may be
  what was lost.  A number that is too high waits for those that are missing.

So each frame is handed on exactly once, in order, if only the connection comes back some time
(TCP has the same rules; what it lacks is that a connection outlives its socket).  No clock: the
time is an argument.

============== ===================================== =========================================
field          an entry appears                      and leaves
============== ===================================== =========================================
kept           a frame is sent                       a number from there on is acknowledged
_ahead         a frame comes whose number is high    the missing ones have come
============== ===================================== =========================================
"""

from __future__ import annotations

from collections import deque
from typing import Any

RESEND_AFTER = 1.0
ACK_AFTER = 0.1
NEVER = float("inf")


class Resending:
    """One end of a reliable connection."""

    __slots__ = ("_ack_at", "_ahead", "_resend_at", "kept", "received", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        """Everything up to this number has come."""
        self.kept: deque[Any] = deque()
        """The frames up to ``sent`` that are not acknowledged."""
        self._ahead: dict[int, Any] = {}
        self._resend_at = NEVER
        self._ack_at = NEVER

    def keep(self, frame: Any, now: float) -> None:
        """A frame goes for the first time; its number is ``sent`` from now on."""
        self.sent += 1
        self.kept.append(frame)
        self._resend_at = min(self._resend_at, now + RESEND_AFTER)

    def acknowledged(self, seen: int, now: float) -> list[Any]:
        """The other side has everything up to ``seen``; returns the frames that may go."""
        kept = self.kept
        done = [kept.popleft() for _ in range(len(kept) - (self.sent - min(seen, self.sent)))]
        if done:
            self._resend_at = now + RESEND_AFTER if kept else NEVER
        return done

    def arrived(self, number: int, item: Any, now: float) -> list[Any] | None:
        """A frame has come; returns what can be handed on now, None if it came before."""
        self._ack_at = min(self._ack_at, now + ACK_AFTER)
        if number <= self.received or number in self._ahead:
            return None
        self._ahead[number] = item
        items = []
        while self.received + 1 in self._ahead:
            self.received += 1
            items.append(self._ahead.pop(self.received))
        return items

    def due(self) -> float:
        """When :meth:`again` or :meth:`owes` will have something."""
        return min(self._resend_at, self._ack_at)

    def again(self, now: float) -> list[Any]:
        """The frames that are to be sent once more."""
        if now < self._resend_at:
            return []
        self._resend_at = now + RESEND_AFTER
        return list(self.kept)

    def owes(self, now: float) -> bool:
        """Whether an acknowledgement has to go without a frame."""
        return now >= self._ack_at

    def told(self) -> None:
        """What has been received is on its way to the other side."""
        self._ack_at = NEVER

    def waiting(self) -> list[Any]:
        """What came too early and can never be handed on, at the end; it is forgotten."""
        items = list(self._ahead.values())
        self._ahead.clear()
        return items
