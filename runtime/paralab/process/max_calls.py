"""``max_calls``: a worker that has run a function so often makes room for a fresh one.

The worker gives back what it has queued, tells the node that it is spent, and takes no more calls.
From there it is as after ``restart_workers()``: the node revokes its lease for good, and asks it to
retire, which it does once it owns nothing that is needed.  So nothing is lost with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paralab.messages import RETURNED, SPENT
from paralab.process.interrupts import runs_users_code
from paralab.process.received import Call, WorkerTemplate

if TYPE_CHECKING:
    from paralab.process.executor import Executor


def counted(
    executor: Executor, template: WorkerTemplate, function: Callable[..., Any]
) -> Callable[..., Any]:
    """``function``, counted in this process if its calls are limited; else itself."""
    limit = template.max_calls
    if not limit:
        return function
    calls = executor.calls_of

    @runs_users_code
    def count(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            calls[template.function_id] = number = calls.get(template.function_id, 0) + 1
            if number >= limit and executor.actor_ref is None:
                # Waited for, or the next call in the queue would begin meanwhile.
                executor.core.do(lambda: _spend(executor))

    return count


def _spend(executor: Executor) -> None:
    executor.accept = _refuse
    executor.incoming.give_back(None)
    executor.core.node.post((SPENT,))


def _refuse(call: Call) -> None:
    call.link.post((RETURNED, [call.key]))
