"""Which processes are meant: by an actor, a running task, a name, a pid, or all of them.

What cannot be looked at is refused before anything begins, with the reason: it has ended, it never
was, it belongs to somebody else, or it waits and runs nowhere yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paralab.actor import ActorHandle
from paralab.engine import Engine
from paralab.ids import Address, actor_id, object_id, process_number, task_id
from paralab.object_ref import ObjectRef
from paralab.object_ref_generator import ObjectRefGenerator
from paralab.shown_text import shown_name
from paralab.state.told import TaskRow

MOST_TASKS = 100_000
SECONDS = 2.0
"""How long processes may take to say who they are."""
MOST_NAMED = 8
"""Of the things that there are, so many are named to who asked for another."""
_WAITS = {
    "PENDING_ARGS_AVAIL": "it waits for its arguments",
    "PENDING_NODE_ASSIGNMENT": "it waits for a worker",
    "SUBMITTED_TO_WORKER": "it waits in the queue of its worker",
}


class AttachError(RuntimeError):
    """There is nothing to be profiled there, or it may not be; the message says why."""


class NotHereError(AttachError):
    """This session knows no such thing."""


@dataclass(frozen=True)
class Target:
    """A process to look into.

    Attributes:
        pid: of the process.
        number: the session's own number of it; 0 if it is not of the session.
        what: how it is called in messages.
        only: address of the owner and key of the one task to look at; None for all.
        is_driver: whether it is a driver, whose own program is looked at.
    """

    pid: int
    number: int = 0
    what: str = ""
    only: tuple[Address, int] | None = None
    is_driver: bool = False


@dataclass
class Session:
    """The processes of a session as they are now."""

    engine: Engine
    pids: dict[Address, int] = field(default_factory=dict)
    drivers: dict[Address, int] = field(default_factory=dict)
    workers: dict[Address, int] = field(default_factory=dict)
    rows: list[tuple[Address, TaskRow]] = field(default_factory=list)

    def __post_init__(self) -> None:
        survey = self.engine.survey("tasks", MOST_TASKS, SECONDS)
        for each in survey.told:
            self.pids[each.address] = each.pid
            if each.is_driver:
                self.drivers[each.address] = each.pid
            self.rows += [(each.address, TaskRow._make(row)) for row in each.answer or ()]
        for worker in self.engine.info("workers"):
            if worker["pid"]:
                address = bytes.fromhex(worker["worker_id"])
                self.workers[address] = self.pids[address] = worker["pid"]

    def target(self, address: Address, **more: Any) -> Target:
        """One of them."""
        is_driver = address in self.drivers
        pid = self.pids[address]
        what = f"{'the driver' if is_driver else 'process'} {pid}"
        number = process_number(address)
        return Target(pid, number, **{"what": what, "is_driver": is_driver, **more})

    def departed(self, address: Address = b"", pid: int = 0) -> str:
        """How a process has ended; "" if that is not known."""
        for gone, of, how, *_ in self.engine.info("departed"):
            if gone == address or of == pid:
                return shown_name(how)
        return ""


def found(engine: Engine, target: Any, namespace: str | None = None) -> list[Target]:
    """The processes that ``target`` means; see :func:`paralab_profiling.attach`.

    Raises:
        AttachError: it has ended, never existed, is not of this session, or runs nowhere yet.
        TypeError: it is nothing that could run.
    """
    session = Session(engine)
    if target is None:
        every = [session.target(address) for address in session.workers]
        if not every:
            raise AttachError("No worker runs in this session: no task and no actor is there.")
        return every
    each = list(target) if isinstance(target, (list, tuple, set)) else [target]
    if not each:
        raise AttachError("attach([]): the list of targets is empty; None means all workers.")
    chosen: dict[tuple[int, Any], Target] = {}
    for one in each:
        for process in _found(session, one, namespace):
            chosen[process.pid, process.only] = process
    whole = {process.pid for process in chosen.values() if process.only is None}
    kept = [t for t in chosen.values() if t.only is None or t.pid not in whole]
    twice = [t.pid for t in kept if sum(other.pid == t.pid for other in kept) > 1]
    if twice:
        raise AttachError(
            f"Two of these tasks run in the same process, {twice[0]}: give the actor or the pid "
            "instead, then all that it runs is looked at."
        )
    return kept


def _found(session: Session, target: Any, namespace: str | None) -> Iterator[Target]:
    if isinstance(target, ActorHandle):
        ref = target._ref._entry.owner, target._ref._entry.key
        yield _actor(session, ref, shown_name(repr(target)))
    elif isinstance(target, ObjectRef):
        yield _task(session, target)
    elif isinstance(target, ObjectRefGenerator):
        yield _task(session, target.completed())
    elif isinstance(target, str):
        yield from _named(session, target, namespace)
    elif isinstance(target, int) and not isinstance(target, bool):
        yield _process(session, target)
    else:
        raise TypeError(
            f"attach() got {type(target).__name__}: expected an actor, the ref of a running task, "
            'the name of an actor, a pid, "driver", a list of these, or None for all workers.'
        )


def _actor(session: Session, ref: tuple[Address, int], what: str) -> Target:
    for actor in session.engine.info("actors"):
        if tuple(actor["ref"]) != ref:
            continue
        state, address = actor["state"], actor["worker"]
        if state == "DEAD":
            why = shown_name(actor["why"] or "")
            raise AttachError(f"{what} has ended{': ' if why else ''}{why}")
        if not actor["pid"]:
            begins = "is being started again" if state == "RESTARTING" else "has not begun yet"
            raise AttachError(f"{what} {begins}: no process runs it now. Try again in a moment.")
        session.pids[address] = actor["pid"]
        return session.target(address, what=f"{what} in process {actor['pid']}")
    raise AttachError(f"{what} is not known in this session: it has ended, or is another one's.")


def _task(session: Session, ref: ObjectRef) -> Target:
    owner, key = ref._entry.owner, ref._entry.key
    wanted = task_id(owner, key)
    for address, row in reversed(session.rows):
        if address != owner or task_id(owner, row.caller[0]) != wanted:
            continue
        what = f"The task {shown_name(row.caller[1])}"
        if row.state in ("FINISHED", "FAILED"):
            raise AttachError(
                f"{what} has ended already. attach() looks at what runs now; to profile a task "
                "from its beginning, submit it inside of profile(...)."
            )
        if row.state != "RUNNING" or row.worker not in session.pids:
            raise AttachError(
                f"{what} does not run yet: {_WAITS.get(row.state, 'it is on its way')}."
            )
        pid = session.pids[row.worker]
        return session.target(
            row.worker, what=f"{what} in process {pid}", only=(owner, int(row.caller[0]))
        )
    for actor in session.engine.info("actors"):
        if tuple(actor["ref"]) == (owner, key):
            return _actor(session, (owner, key), f"The actor {shown_name(actor['class_name'])}")
    raise AttachError(
        f"{shown_name(repr(ref))} is of no task that runs: it was made by put(), or its task ended "
        "so long ago that it is forgotten, or it is of another session."
    )


def _named(session: Session, name: str, namespace: str | None) -> Iterator[Target]:
    if name == "driver":
        mine = session.engine.info("context")["worker_id"][:32]
        drivers = {a for a in session.drivers if a.hex() != mine} or set(session.drivers)
        yield from (session.target(address) for address in sorted(drivers))
        return
    space = session.engine.info("context")["namespace"] if namespace is None else namespace
    living = [each for each in session.engine.info("actors") if each["state"] != "DEAD"]
    called = [each for each in living if each["name"] == name]
    chosen = [each for each in called if each["namespace"] == space]
    chosen = chosen or [e for e in living if actor_id(object_id(*e["ref"])).hex() == name]
    if namespace is None:
        chosen = chosen or called  # as seen from the shell, all namespaces are others
    what = f"The actor {shown_name(name)!r}"
    if len(chosen) == 1:
        yield _actor(session, tuple(chosen[0]["ref"]), what)
    elif called:
        spaces = _some([repr(shown_name(each["namespace"])) for each in called])
        raise NotHereError(f"{what} is there in the namespace {spaces}: give namespace=...")
    else:
        others = [repr(shown_name(each["name"])) for each in living if each["name"]]
        there = f"there are {_some(others)}" if others else "no actor has a name"
        raise NotHereError(f"No living actor is called {shown_name(name)!r}: {there}.")


def _process(session: Session, pid: int) -> Target:
    for address, known in session.pids.items():
        if known == pid:
            return session.target(address)
    how = session.departed(pid=pid)
    if how:
        raise AttachError(f"Process {pid} has ended: {how}")
    workers = sorted(str(known) for known in session.workers.values())
    there = f"its workers are {_some(workers)}" if workers else "it has no worker now"
    if pid <= 0 or not exists(pid):
        raise NotHereError(f"There is no process {pid}. In this session {there}.")
    raise NotHereError(
        f"Process {pid} is no worker or driver of this session, so there is no sampler in it; "
        f"{there}. Any process of yours can be looked at from outside with method='py-spy'."
    )


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process; False where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] == ["T"]


def exists(pid: int) -> bool:
    """Whether there is a process of that number, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OverflowError:
        return False
    except OSError:
        pass  # another user's
    return True
