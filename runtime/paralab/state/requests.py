"""Who waits for a worker: the requests of a lease table, in the order in which they are met."""

from __future__ import annotations

from paralab.ids import Address
from paralab.state.lease_parts import Request
from paralab.state.ownership import Ref
from paralab.task_spec import Where


class Requests:
    """Deeper ones stand first, then older ones."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._order = 0

    def want(
        self,
        client: Address,
        class_number: int,
        resources: dict[str, int],
        count: int,
        depth: int,
        name: str,
        where: Where | None = None,
        environment: str = "",
    ) -> None:
        """``client`` wants ``count`` more workers for a class; 0 withdraws what it asked for."""
        for request in self.requests:
            if request.client == client and request.class_number == class_number:
                if request.actor is None:
                    if count:
                        request.count += count
                    else:
                        self.requests.remove(request)
                    return
        if count:
            self._order += 1
            request = Request(client, resources, depth, name, self._order, count, class_number)
            request.where, request.environment = where, environment
            self._insert(request)

    def want_actor(
        self,
        client: Address,
        actor: Ref,
        placing: dict[str, int],
        held: dict[str, int],
        depth: int,
        name: str,
        where: Where | None = None,
        environment: str = "",
    ) -> None:
        """``client`` wants a process for an actor."""
        self._order += 1
        request = Request(client, placing, depth, name, self._order, actor=actor, held=held)
        request.where, request.environment = where, environment
        if where is None or not where.selectors:
            needs = (tuple(placing.items()), tuple(held.items()))
            request.like = (client, actor[0], depth, where, environment, *needs)
        self._insert(request)

    def _insert(self, request: Request) -> None:
        at = len(self.requests)
        while at and self.requests[at - 1].depth < request.depth:
            at -= 1
        self.requests.insert(at, request)

    def drop_actor(self, actor: Ref) -> bool:
        """The actor is not wanted any more; True if it had no process yet."""
        for request in self.requests:
            if request.actor == actor:
                self.requests.remove(request)
                return True
        return False
