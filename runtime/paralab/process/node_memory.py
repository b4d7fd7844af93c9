"""The node's memory monitor: it ends a worker before the machine, or a limit, ends us all.

    look, every 250 ms while anything works:  is more used than the threshold allows?
      the store has warm pages that no object needs        give them back, look again
      idle workers hold much, or are enough                RETIRE, look again; SIGKILL to those
                                                           that said they end, and take long
      else  ──WHAT_RUNS──▶ callers ──RUNNING──▶ decide     SHORT_OF_MEMORY to the caller, SIGKILL

Who ends is decided by ``state.memory_monitor``.  Callers are asked because the node knows leases
and no tasks: which task runs on a worker, since when, and whether it may be tried again.  One
that does not answer in time, because a call into C holds its GIL, is reckoned to have
retriable tasks as old as their lease, and no name.

Memory is that of the machine or its control group, or, where ``memory_limit_bytes`` is set, what
the workers, the node and the store use together.  Then pages that a fork shares count in parts,
what tasks have started by themselves does not count, and drivers do not.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from paralab import limits
from paralab.ids import Address
from paralab.messages import SHORT_OF_MEMORY, WHAT_RUNS
from paralab.process.node_workers import Process
from paralab.state.lease_parts import Worker, WorkerState
from paralab.state.memory_monitor import KILLED, Reading, Role, Use, account, victim, worth_ending

if TYPE_CHECKING:
    from paralab.process.node import Node

ANSWER_SECONDS = 0.1
"""How long callers may take to say what they run."""
FAREWELL_LOOKS = 4
"""How long idle workers may take to answer, and to end, with all that their users left to be done
then; in pauses between looks, so a second unless the setting says otherwise."""
UNKNOWN = "? (its caller has not said which in time)"
"""In the place of its name.  A lease outlives the task for which it was asked, so that one's name
would as a rule be the wrong one."""
LATE = "had no work, was to make room, and took too long to end."
NEAR = 0.75
"""From this part of the threshold on, looks follow each other five times as fast."""
NEVER = float("inf")


class NodeMemory:
    """The memory part of the node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        settings = node.config["settings"]
        self._threshold = float(settings["memory_usage_threshold"])
        self._limit = int(settings["memory_limit_bytes"])
        self._refresh = settings["memory_monitor_refresh_ms"] / 1000
        self._gauge: limits.MemoryGauge | None = None
        self.due = 0.0 if self._refresh else NEVER
        """When to look next, on the clock of ``time.monotonic``."""
        self.farewells: set[Address] = set()
        """Workers that have said that they end, and so own nothing; they leave with their end."""
        self._leaving: list[Address] = []
        """Idle workers that were asked to end, or had said that they do; they are awaited."""
        self._patience = 0.0
        """Until when, on the same clock."""
        self._asked: set[Address] = set()
        """Callers that have not said what they run; it counts only while deciding."""
        self._told: dict[Address, tuple[str, int, bool]] | None = None
        """What callers said of workers; None unless deciding."""
        self._ending: dict[Address, str] = {}
        """Workers that we have killed, and why; they leave when their end is known."""

    def wait(self, now: float) -> float:
        """Seconds until the next look; for ever while there is no worker."""
        return max(0.0, self.due - now) if self._node.leases.workers else NEVER

    def look(self, now: float) -> None:
        """Looks how much is used, and does something about it."""
        self.due = now + self._refresh
        workers = self._node.leases.workers
        retiring = [w for w in self._leaving if w in workers and workers[w].is_retiring]
        for worker in self.farewells.intersection(retiring) if now >= self._patience else ():
            self._ending[worker] = LATE
            self._node.pool.kill(worker)
        if self._ending or (retiring and now < self._patience):
            self.due = now + self._refresh / 5
            return  # their memory is still to come
        reading = self._read()
        if reading.used > NEAR * self._threshold * reading.limit:
            self.due = now + self._refresh / 5
        if reading.above(self._threshold) <= 0:
            self._told = None
        elif self._told is not None:
            self._decide(reading)
        else:
            too_much = reading.above(self._threshold) - self._node.reclaim_store()
            if too_much > 0:
                self._leaving = self._retire_idle(too_much)
                self._patience = now + FAREWELL_LOOKS * self._refresh
                if not self._leaving:
                    self._ask(now)

    def _read(self) -> Reading:
        if not self._limit:
            self._gauge = self._gauge or limits.MemoryGauge()
            return Reading(*self._gauge.read())
        whose = "the setting memory_limit_bytes"
        pids = [os.getpid(), *self._node.helpers, self._node.pool.zygote_pid]
        pids += [each.pid for each in self._workers()]
        store = self._node.arena.allocated()
        rough = Reading(store + sum(map(limits.private_memory, pids)), self._limit, whose)
        if rough.above(self._threshold) <= 0:
            return rough
        return rough._replace(used=store + sum(map(limits.proportional_memory, pids)))

    def _workers(self) -> list[Process]:
        is_driver = self._node.drivers.is_driver
        return [each for each in self._node.clients.values() if each.pid and not is_driver(each)]

    # -- who holds what ----------------------------------------------------------------------

    def _retire_idle(self, too_much: float) -> list[Address]:
        """Lets idle workers go that had not been asked before; returns who is awaited.

        All of them if that is enough, else those that hold much.
        """
        leases, uses = self._node.leases, self._uses()
        idle = [use for use in uses if use.role is Role.IDLE]
        if sum(use.size for use in idle) <= too_much:
            idle = [use for use in worth_ending(uses) if use.role is Role.IDLE]
        workers = [leases.workers[use.worker] for use in idle]
        found = [w for w in workers if w.state is WorkerState.IDLE and not w.asked]
        for worker in found:
            worker.asked = True
        for instruction in leases.retire(found):
            self._node.carry_out(instruction)
        return [w.address for w in workers if w in found or w.address in self.farewells]

    def _ask(self, now: float) -> None:
        self._told = {}
        running: dict[Address, list[Address]] = {}
        for worker in self._node.leases.workers.values():
            if worker.state is WorkerState.LEASED and worker.holder is not None:
                running.setdefault(worker.holder, []).append(worker.address)
        self._asked = set(running)
        for holder, addresses in running.items():
            self._node.post(holder, (WHAT_RUNS, addresses))
        self.due = now + (ANSWER_SECONDS if running else 0.0)

    def on_running(self, process: Process, _kind: int, rows: list[Any]) -> None:
        """A caller says what runs on its workers: name, since when, whether it may run again."""
        if self._told is not None:
            self._told |= {address: (name, began, again) for address, name, began, again in rows}
            self._asked.discard(process.address)
            if not self._asked:
                self.due = 0.0

    def _uses(self) -> list[Use]:
        workers = self._node.leases.workers
        found = ((process, workers.get(process.address)) for process in self._workers())
        return [self._use(process, worker) for process, worker in found if worker is not None]

    def _use(self, process: Process, worker: Worker) -> Use:
        pids = [process.pid, *limits.descendants(process.pid)]
        size = sum(map(limits.proportional_memory, pids))
        address, began = worker.address, worker.since
        if worker.state is WorkerState.LEASED:
            told = self._told or {}
            name, began, again = told.get(address, (UNKNOWN, began, True))
            role, owner = Role.RETRIABLE_TASK if again else Role.TASK, worker.holder or b""
            return Use(address, process.pid, size, role, f"task {name}", owner, began)
        record = self._node.directory.by_worker.get(address)
        if record is None:
            return Use(address, process.pid, size, Role.IDLE, "no work")
        role = Role.RESTARTABLE_ACTOR if record.restarts.may_restart() else Role.ACTOR
        return Use(address, process.pid, size, role, f"actor {record.name}", began=began)

    # -- the end -----------------------------------------------------------------------------

    def _decide(self, reading: Reading) -> None:
        uses = self._uses()
        # An idle worker stays only if it owns what others need.
        may_end = [use for use in uses if use.role is not Role.IDLE]
        verdict = victim(may_end, reading.above(self._threshold))
        self._told = None
        if verdict is None:
            return
        shown = [*uses, Use(b"", 0, self._node.arena.allocated(), Role.IDLE, "the object store")]
        for driver in filter(self._node.drivers.is_driver, self._node.clients.values()):
            size = limits.private_memory(driver.pid)
            shown.append(Use(b"", driver.pid, size, Role.IDLE, "driver"))
        node = self._node.node_id.hex()
        text = account(reading, self._threshold, verdict, shown, node)
        use = verdict.use
        self._ending[use.worker] = f"{KILLED}\n{text}"
        if use.owner:
            self._node.post(use.owner, (SHORT_OF_MEMORY, use.worker, text, verdict.again))
        self._node.pool.kill(use.worker)

    def why(self, worker: Address) -> str:
        """Why we have killed it; "" if we have not."""
        return self._ending.get(worker, "")

    def failure(self, worker: Address) -> bytes | None:
        """What stands for a dead actor's calls, packed; None if we have not killed it."""
        text = self._ending.get(worker)
        if text is None:
            return None
        # Imported here because it is rarely needed and makes the node's start a tenth longer.
        errors = importlib.import_module("paralab.exceptions")
        from paralab.remote_errors import pack_failure

        advice = "The actor was not started again: max_restarts allows no more."
        error = errors.OutOfMemoryError(f"The actor's process {text}\n{advice}")
        node = self._node.node_id.hex()
        return pack_failure(error, function="", pid=os.getpid(), node=node)

    def ended(self, worker: Address) -> None:
        """A process is gone, and everybody knows."""
        self._ending.pop(worker, None)
        self.farewells.discard(worker)
