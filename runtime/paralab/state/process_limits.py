"""How many processes there may be: who runs, who waits for whom, and which worker makes room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from paralab.ids import Address
from paralab.state.lease_parts import Request, Worker, WorkerState


def something_runs(workers: Iterable[Worker]) -> bool:
    """Whether a worker, or the place of one, will be free without any more processes."""
    return any(
        (w.state is WorkerState.LEASED and not w.blocked)
        or (w.state is WorkerState.IDLE and not w.asked)
        or (w.state is WorkerState.RETIRING and not w.outdated)
        for w in workers
    )


def may_start(
    request: Request,
    workers: Mapping[Address, Worker],
    processes: int,
    some_start: bool,
    soft: int,
    hard: int,
) -> bool:
    """Whether one more process may be started for a request; see the rules in ``state.leases``."""
    if request.actor is not None or processes < soft:
        return True
    if processes >= hard:
        return False
    client = workers.get(request.client)
    if client is not None and client.blocked:
        return True
    return not (some_start or something_runs(workers.values()))


def chain_of(request: Request, workers: Mapping[Address, Worker]) -> tuple[str, ...]:
    """The tasks that wait for each other, the first one's name first, down to the request's."""
    chain = [request.name]
    seen = set()
    at = workers.get(request.client)
    while at is not None and at.address not in seen:
        seen.add(at.address)
        chain.append(at.name)
        at = workers.get(at.holder) if at.holder is not None else None
    return tuple(reversed(chain))


def to_make_room(
    requests: Iterable[Request], workers: Iterable[Worker], idle: Iterable[Worker]
) -> list[Worker]:
    """At a limit of processes: the idle worker that is to end, none or one.

    It is the one that is idle longest and that nobody who waits could use: it has another
    environment, or works for another job.  The next is asked when that one is gone, and none is
    asked twice between its works.
    """
    if any(w.state is WorkerState.RETIRING and not w.outdated for w in workers):
        return []
    waited_for = {(request.job, request.environment) for request in requests}
    for worker in idle:
        if not worker.asked and (worker.job, worker.environment) not in waited_for:
            worker.asked = True
            return [worker]
    return []
