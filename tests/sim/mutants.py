"""Rules of the runtime, each broken on purpose: the simulation has to notice.

``python tests/sim --mutant lease-kept`` runs with one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paralab.messages import FREE, RELEASE, RESULT
from paralab.process import calls
from paralab.process.calls import Calls
from paralab.process.executor import Executor
from paralab.process.leasing import Leasing
from paralab.process.links import Link
from paralab.process.node_actors import NodeActors
from paralab.process.objects import Objects
from paralab.state import leases
from paralab.state.actors import Actor
from paralab.state.lease_parts import take_idle
from paralab.state.ownership import Ownership

MUTANTS: dict[str, Callable[[], None]] = {}


OF_FEATURE: dict[str, str] = {}
"""The feature without which a mutant cannot be noticed."""


def mutant(breaks: Callable[[], None]) -> Callable[[], None]:
    """Enters a function that breaks a rule, under its name."""
    MUTANTS[breaks.__name__.replace("_", "-")] = breaks
    return breaks


FIRST: dict[str, int] = {}
"""The seed with which the search begins, where those before it are known to notice nothing."""


def mutant_of(feature: str, first: int = 0) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """As :func:`mutant`, for a rule of one feature."""

    def enter(breaks: Callable[[], None]) -> Callable[[], None]:
        name = breaks.__name__.replace("_", "-")
        OF_FEATURE[name], FIRST[name] = feature, first
        return mutant(breaks)

    return enter


def wrap(cls: Any, name: str, around: Callable[..., Any]) -> None:
    """Puts ``around(original, self, *args)`` in place of a method."""
    original = getattr(cls, name)
    setattr(cls, name, lambda self, *args: around(original, self, *args))


@mutant
def release_sent_twice() -> None:
    """A borrower gives its holds back once; who does so twice takes another's."""

    def post(original: Any, self: Any, message: Any) -> None:
        original(self, message)
        if message[0] == RELEASE:
            original(self, message)

    wrap(Link, "post", post)


@mutant
def result_of_a_second_attempt_is_dropped() -> None:
    """A task that was retried is answered like any other."""

    def on_result(original: Any, self: Any, *message: Any) -> None:
        task = self.table.pending.get(message[2])
        if task is None or not task.attempt:
            original(self, *message)

    wrap(Calls, "on_result", on_result)


@mutant
def lease_kept() -> None:
    """A lease without work goes back."""

    def give_back(_original: Any, self: Any, worker: Any) -> None:
        self._table.end_lease(worker.address)

    wrap(Leasing, "give_back", give_back)


@mutant
def tasks_begin_once_too_often() -> None:
    """A task that has begun has used an attempt."""
    vars(calls)["next_attempt"] = lambda task, _begun: not task.cancelled


@mutant
def result_before_its_holds() -> None:
    """A hold is handed on before it is dropped."""

    def hand_over(_original: Any, _self: Any, refs: Any, _to: Any) -> Any:
        return [(ref._entry.owner, ref._entry.key) for ref in refs]

    wrap(Objects, "hand_over", hand_over)


@mutant
def memory_never_freed() -> None:
    """The owner's last ref frees what lies in the store."""

    def post(original: Any, self: Any, message: Any) -> None:
        if message[0] != FREE:
            original(self, message)

    wrap(Link, "post", post)


@mutant
def calls_overtake() -> None:
    """The head of an actor's queue holds back what follows."""

    def sendable(original: Any, self: Any) -> Any:
        self.queue.reverse()
        return original(self)

    wrap(Actor, "sendable", sendable)


@mutant
def holds_of_the_dead_stay() -> None:
    """A process that dies holds nothing any more."""
    Ownership.process_died = lambda self, address: (  # type: ignore[method-assign]
        [],
        [entry for (owner, _), entry in self.borrowed.items() if owner == address],
    )


@mutant
def results_come_twice() -> None:
    """A ref settles once; what comes for it again is let go of."""

    def on_result(original: Any, self: Any, *message: Any) -> None:
        task = self.table.pending.get(message[2])
        original(self, *message)
        if task is not None and task.actor is None:
            self.table.pending[message[2]] = task

    wrap(Calls, "on_result", on_result)


@mutant
def an_answer_is_lost() -> None:
    """Every call is answered."""

    def post(original: Any, self: Any, message: Any) -> None:
        if message[0] != RESULT or message[1] >> 32 != 5:
            original(self, message)

    wrap(Link, "post", post)


@mutant
def an_actor_in_a_process_that_owns() -> None:
    """An actor gets a process that has run nothing.  (A bug that the simulation found.)"""

    def any_idle(idle: Any, job: Any, environment: Any, node: Any, request: Any) -> Any:
        used = {worker.address: worker.used for worker in idle.values()}
        for worker in idle.values():
            worker.used = False
        found = take_idle(idle, job, environment, node, request)
        for worker in idle.values():
            worker.used = used[worker.address]
        return found

    vars(leases)["take_idle"] = any_idle


@mutant
def a_restarted_actor_is_not_ended() -> None:
    """The last handle of an actor ends the process it has now.  (A bug that was found so.)"""

    def drop(original: Any, self: Any, process: Any, kind: Any, ref: Any, *how: Any) -> None:
        cause, told = how
        record = self.directory.records.get(tuple(ref))
        if record is not None and told is not None and record.worker is not None:
            told = record.worker
        original(self, process, kind, ref, cause, told)

    wrap(NodeActors, "_drop", drop)


@mutant
def waits_do_not_lend() -> None:
    """A task that waits lends its CPU."""
    wrap(Executor, "_say_blocked", lambda _original, _self: None)
