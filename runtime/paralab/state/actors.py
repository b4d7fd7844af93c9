"""The caller's side of actors: where each one is, and the calls it has not answered.

Calls of one caller reach an actor in the order in which they were made: the queue's head holds
back what follows until its inputs are there.  Where the actor runs several calls at once there
is no order to keep, and a call joins the queue when its inputs are there.

An actor ends once, with one cause; every call that it has not answered then fails with that
cause, as does every later one.

If its process ends before the actor does, it is started again (``state.restarts``).  Calls that
were on their way may have run: they fail, or are sent again if ``max_task_retries`` allows it, in
their order and before those that wait.  (Rejected: sending again, without spending a retry, what
the dead process had not begun.  Several calls may run at once in an actor, and the pulse board
knows the last one only; and the caller meant an instance that is gone.)

========== ======================== ============================= =========================
state      from                     when                          calls are
========== ======================== ============================= =========================
PENDING    created or found         it waits for a place          queued
ALIVE      PENDING, RESTARTING      the node says where it is     sent in order
RESTARTING ALIVE                    the node says that            queued
DEAD       all others               the node says that, and why   failed
========== ======================== ============================= =========================
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any

from paralab.ids import Address
from paralab.messages import ACTOR
from paralab.state.ownership import Ref
from paralab.state.tasks import Task
from paralab.task_spec import AS_ACTOR

WINDOW = 4_000
"""Calls of one caller that may be under way to one actor."""


class ActorState(Enum):
    """Where an actor is in its life, as one caller knows it."""

    PENDING = "pending"
    ALIVE = "alive"
    RESTARTING = "restarting"
    DEAD = "dead"


class Actor:
    """One actor as one caller knows it."""

    __slots__ = (
        "address",
        "cause",
        "creation",
        "detached",
        "inflight",
        "kept",
        "max_task_retries",
        "peer",
        "queue",
        "ref",
        "state",
        "waiting",
    )

    def __init__(self, ref: Ref) -> None:
        self.ref = ref
        self.state = ActorState.PENDING
        self.address: Address | None = None
        self.peer: Any = None
        self.queue: deque[Task] = deque()
        self.waiting: dict[int, Task] = {}
        """Calls that join the queue once their inputs are there; see ``TaskOptions.in_order``."""
        self.inflight: dict[int, Task] = {}
        self.cause: bytes = b""
        """A packed failure once it is dead."""
        self.kept = self.detached = False
        """What its creator knows: the node makes the instance; its handles do not count."""
        self.creation: Task | None = None
        """The constructor call of a kept actor: its refs live for as long as it may run again."""
        self.max_task_retries = 0
        """So often is a call sent again whose own options say nothing."""

    def enter(self, task: Task) -> None:
        """Takes a call."""
        if task.missing and not task.template.options.in_order:
            self.waiting[task.key] = task
        else:
            self.queue.append(task)

    def input_settled(self, task: Task) -> None:
        """The last missing input of a call is there."""
        was_waiting = self.waiting and self.waiting.pop(task.key, None) is not None
        if was_waiting and not task.cancelled:
            self.queue.append(task)

    def pending(self) -> int:
        """How many calls, its constructor's aside, it has not answered."""
        calls = *self.inflight.values(), *self.queue, *self.waiting.values()
        return sum(task.template.what != ACTOR for task in calls)

    def placed(self, address: Address, peer: Any) -> None:
        """The node has given it a process."""
        if self.state in (ActorState.PENDING, ActorState.RESTARTING):
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

    def take_back(self, calls: list[Task]) -> None:
        """The last ones of those that ``sendable`` gave cannot go yet."""
        for task in calls:
            del self.inflight[task.key]
        self.queue.extendleft(reversed(calls))

    def may_retry(self, task: Task) -> bool:
        """Whether a call may be sent once more; counts it if so."""
        if task.cancelled or 0 <= self.retries(task) <= task.attempt:
            return False
        task.attempt += 1
        return True

    def retries(self, task: Task) -> int:
        """How often a call may be sent again; -1 for any number."""
        limit = task.template.options.max_retries
        return self.max_task_retries if limit == AS_ACTOR else limit

    def lost(self, has_begun: bool = True) -> list[Task]:
        """Its process is gone and another one will come; returns the calls that fail.

        None does if that process has not begun a single call but the constructor's.
        """
        if self.state is not ActorState.ALIVE:
            return []
        self.state = ActorState.RESTARTING
        self.address = self.peer = None
        again: list[Task] = []
        failed: list[Task] = []
        for task in self.inflight.values():
            again_too = not has_begun or self.may_retry(task)
            (again if again_too else failed).append(task)
        self.inflight.clear()
        self.queue.extendleft(reversed(again))
        return failed

    def died(self, cause: bytes) -> list[Task]:
        """It has ended; returns the calls that now fail, in order."""
        if self.state is ActorState.DEAD:
            return []
        self.state = ActorState.DEAD
        self.cause = cause
        self.peer = None
        failed = [*self.inflight.values(), *self.queue, *self.waiting.values()]
        self.inflight.clear()
        self.waiting.clear()
        self.queue.clear()
        return failed
