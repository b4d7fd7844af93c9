"""Keeping what is free for a request that needs much: small ones do not overtake it for ever.

A request that has lacked resources for ``RESERVE_AFTER_NS`` gets a *reservation*, if what is
free and what running leases hold would be enough for it: actors hold what they hold for life,
and a blocked worker may wait for just what the reservation would hold up.  A running task may do
that too without our knowing, through a file say.  So the reservation lapses after a second, for
a second, and comes back for twice as long each time: nothing waits for ever either way.
"""

from __future__ import annotations

from collections.abc import Iterable

from paralab.state.lease_parts import Request, Worker, WorkerState
from paralab.state.pool import Pool

RESERVE_AFTER_NS = 100_000_000
FIRST_SPAN_NS = 1_000_000_000
"""How long a reservation holds before it lapses for the first time."""


def is_due(waited: int) -> bool:
    """Whether a request that has waited for so long, in ns, has a reservation at this moment."""
    waited -= RESERVE_AFTER_NS
    span = FIRST_SPAN_NS
    while waited >= 2 * span:
        waited -= 2 * span
        span *= 2
    return 0 <= waited < span


def pool_for(request: Request, pools: list[Pool], workers: Iterable[Worker]) -> Pool | None:
    """The pool that can meet the request when running leases end."""
    workers = list(workers)
    for pool in pools:
        there = dict(pool.resources.available)
        for worker in workers:
            if worker.pool is pool and worker.state is WorkerState.LEASED and not worker.blocked:
                for name, amount in worker.resources.items():
                    there[name] = there.get(name, 0) + amount
        if all(there.get(name, 0) >= amount for name, amount in request.resources.items()):
            return pool
    return None
