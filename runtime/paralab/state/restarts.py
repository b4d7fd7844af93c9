"""The life of an actor: when it is started again, and when not.

An actor whose process ends without its will is started again, as often as ``max_restarts``
allows: in a new process, by the same constructor with the same arguments.  One that ends on
purpose is not: ``exit_actor``, a constructor that raises, ``kill``, the end of its last handle or
of its creator.

=========== ======== ====================================================================
from        event    to
=========== ======== ====================================================================
PENDING     PLACED   ALIVE: it has a process
all but     LOST     RESTARTING; only while it has restarts left, else ENDED follows.  One that
DEAD                 is killed before it has a process has used a restart too, as in Ray
RESTARTING  PLACED   ALIVE
all but     ENDED    DEAD, for good
DEAD
=========== ======== ====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

FOR_EVER = -1
"""As ``max_restarts``: there is no limit."""


class Life(Enum):
    """Where an actor is in its life, as its node knows it."""

    PENDING = "pending"
    ALIVE = "alive"
    RESTARTING = "restarting"
    DEAD = "dead"


class Event(Enum):
    """What happens to an actor."""

    PLACED = "it has a process"
    LOST = "its process is gone"
    ENDED = "it has ended"


_NEXT = {
    (Life.PENDING, Event.PLACED): Life.ALIVE,
    (Life.RESTARTING, Event.PLACED): Life.ALIVE,
    (Life.ALIVE, Event.LOST): Life.RESTARTING,
    (Life.PENDING, Event.LOST): Life.RESTARTING,
    (Life.RESTARTING, Event.LOST): Life.RESTARTING,
    (Life.PENDING, Event.ENDED): Life.DEAD,
    (Life.ALIVE, Event.ENDED): Life.DEAD,
    (Life.RESTARTING, Event.ENDED): Life.DEAD,
}


@dataclass(slots=True)
class Restarts:
    """How one actor's life goes on."""

    max_restarts: int = 0
    count: int = 0
    """So often it has been started again."""
    final: bool = False
    """It ends on purpose: should its process die now, that is the end."""
    life: Life = Life.PENDING

    def happened(self, event: Event) -> Life:
        """Takes in an event and returns what the actor is then.

        Raises:
            RuntimeError: that cannot happen to an actor in this state.
        """
        after = _NEXT.get((self.life, event))
        if after is None:
            raise RuntimeError(f"An actor that is {self.life.value} cannot be told: {event.value}.")
        self.count += after is Life.RESTARTING
        self.life = after
        return after

    def may_restart(self) -> bool:
        """Whether it is started again should its process die now."""
        limit = self.max_restarts
        return not self.final and (limit == FOR_EVER or self.count < limit)

    def told(self) -> str:
        """How often it was started again, as a sentence; empty if that was never promised."""
        if not self.max_restarts:
            return ""
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"It was restarted {times} (max_restarts={self.max_restarts})."
