"""What must hold: at each step, and when everything is at rest."""

from __future__ import annotations

from typing import Any

from paralab.messages import FREE
from paralab.state.lease_parts import WorkerState
from paralab.state.placement import GroupState
from sim import modules
from sim.performing import Facts
from sim.world import Process


def check_node(node: Any, kind: int) -> None:
    """The node's books balance; after each of its messages."""
    leases = node.leases
    groups = [pool for group in leases.groups.groups.values() for pool in group.pools]
    for pool in (*leases.places.nodes, *groups):
        cut = [each for each in groups if pool not in groups and each.node is pool.node]
        _check_pool(pool, cut, [w for w in leases.workers.values() if w.pool is pool])
    for worker in leases.workers.values():
        where = worker.where
        group = leases.groups.groups.get(where.group) if where is not None else None
        if group is not None and group.pools:
            at = group.pools.index(worker.pool)
            assert where.bundle in (-1, at), f"for bundle {where.bundle}, but in bundle {at}"
        elif group is not None:
            process = modules.world().processes[node.clients[worker.address].pid]
            assert process.dead, f"{process} lives on, in a group that was removed"
    if kind == FREE:
        node.objects.check()


def _check_pool(pool: Any, cut: list[Any], workers: list[Any]) -> None:
    """What is free, what workers hold and what was cut out for groups is all that there is."""
    has = dict(pool.resources.available)
    for worker in workers:
        for name, amount in worker.resources.items():
            if not (worker.blocked and name == "CPU"):
                has[name] = has.get(name, 0) + amount
    for each in cut:
        for name, amount in each.resources.total.items():
            has[name] = has.get(name, 0) + amount
    for name, total in pool.resources.total.items():
        assert has[name] == total, f"a pool has {total} of {name} but {has[name]} are known of"
    assert not pool.planned, f"{pool.planned} is promised after the round"


def check_calls(facts: Facts) -> None:
    """Nothing began more often than it may, and calls of actors began in order."""
    for name, times in facts.begun.items():
        allowed = facts.allowed.get(name)
        if allowed is not None and 0 <= allowed < times:
            owner, key = name
            raise AssertionError(
                f"call {key >> 32} of {owner.hex()[-12:]} began {times} times; {allowed} allowed"
            )
    for (process, caller), keys in facts.actor_calls.items():
        if keys != sorted(set(keys)):
            shown = [key >> 32 for key in keys]
            raise AssertionError(f"{process}: calls of {caller.hex()[-12:]} began as {shown}")


def not_at_rest(session: Any) -> list[str]:
    """What is still under way or was left behind, in words; empty if nothing is."""
    left: list[str] = []
    for process in session.world.processes.values():
        if process.core is not None and not process.dead:
            left += _left_in(process)
    return left + _left_at_node(session.node)


def _left_in(process: Process) -> list[str]:
    core = process.core
    what: dict[str, Any] = {
        "tasks": list(core.calls.table.pending),
        "leases": list(core.calls.table.leases),
        "owned": {
            e.key >> 32: (e.refs, e.holders, e.pending) for e in core.ownership.owned.values()
        },
        "borrowed": {
            e.key >> 32: (e.refs, e.handed, e.pending) for e in core.ownership.borrowed.values()
        },
        "actors": [a.ref[1] >> 32 for a in core.actor_calls.known.values()],
        "requested": [c.number for c in core.calls.table.by_number.values() if c.requested],
        "queued": [c.number for c in core.calls.table.by_number.values() if c.queue],
        "questions": list(core.questions.open),
        "submissions": list(core.mailbox.submissions),
        "changes": list(core.mailbox.changes),
        "groups awaited": list(core.groups._waiting),
    }
    executor = getattr(core, "executor", None)
    if executor is not None:
        what["calls"] = [call.key >> 32 for call in executor.queue]
        what["running"] = [] if executor.current is None else [executor.current.key]
    return [f"{process}: {name} {value}" for name, value in what.items() if value]


def _left_at_node(node: Any) -> list[str]:
    leases = node.leases
    stats = node.objects.stats()
    what: dict[str, Any] = {
        "requests": leases.requests,
        "leased": [w for w in leases.workers.values() if w.state is WorkerState.LEASED],
        "actors": [w for w in leases.workers.values() if w.state is WorkerState.ACTOR],
        "living actors": [r.ref for r in node.directory.records.values() if not r.dead],
        "starting": leases.starting.total,
        "groups": [g for g in leases.groups.groups.values() if g.state is not GroupState.REMOVED],
        "pools of groups": [g for g in leases.groups.groups.values() if g.pools],
        "objects": stats.objects,
        "bytes": stats.used,
        "unsealed": stats.unsealed,
    }
    if leases.resources.available != leases.resources.total:
        what["lent"] = (leases.resources.available, leases.resources.total)
    return [f"node: {name} {value}" for name, value in what.items() if value]
