"""The caller's side of actors: where each one is, and the calls it has not answered.

Calls of one caller reach an actor in the order in which they were made: the queue's head holds
back what follows until its inputs are there.  An actor ends once, with one cause; every call
that it has not answered then fails with that cause, as does every later one.

========= ================== ============================= =========================
state     from               when                          calls are
========= ================== ============================= =========================
PENDING   created or found   it waits for a place          queued
ALIVE     PENDING            the node says where it is     sent in order
DEAD      PENDING, ALIVE     the node says that, and why   failed
========= ================== ============================= =========================
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any

from paralab.ids import Address
from paralab.state.ownership import Ref
from paralab.state.tasks import Task

WINDOW = 4_000
"""Calls of one caller that may be under way to one actor."""


class ActorState(Enum):
    """Where an actor is in its life, as one caller knows it."""

    PENDING = "pending"
    ALIVE = "alive"
    DEAD = "dead"


class Actor:
    """One actor as one caller knows it."""

    __slots__ = ("address", "cause", "creation", "inflight", "peer", "queue", "ref", "state")

    def __init__(self, ref: Ref) -> None:
        self.ref = ref
        self.state = ActorState.PENDING
        self.address: Address | None = None
        self.peer: Any = None
        self.queue: deque[Task] = deque()
        self.inflight: dict[int, Task] = {}
        self.cause: bytes = b""
        """A packed failure once it is dead."""
        self.creation: Any = None
        """What its creator sends it first."""

    def placed(self, address: Address, peer: Any) -> None:
        """The node has given it a process."""
        if self.state is ActorState.PENDING:
            self.state = ActorState.ALIVE
            self.address = address
            self.peer = peer

    def sendable(self) -> list[Task]:
        """The calls at the head of the queue that can go now; they count as in flight."""
        if self.state is not ActorState.ALIVE:
            return []
        queue, inflight = self.queue, self.inflight
        calls: list[Task] = []
        room = WINDOW - len(inflight)
        while queue and room > 0:
            task = queue[0]
            if task.cancelled:
                queue.popleft()
                continue
            if task.missing:
                break
            queue.popleft()
            inflight[task.key] = task
            calls.append(task)
            room -= 1
        return calls

    def died(self, cause: bytes) -> list[Task]:
        """It has ended; returns the calls that now fail, in order."""
        if self.state is ActorState.DEAD:
            return []
        self.state = ActorState.DEAD
        self.cause = cause
        self.peer = None
        failed = [*self.inflight.values(), *self.queue]
        self.inflight.clear()
        self.queue.clear()
        return failed
