"""Tells Dask's callbacks, such as its progress bar, of a computation on paralab.

They look into the state that Dask's own schedulers keep, so this keeps the same one with Dask's own
functions.  A node may have run before the driver hears of a node that it needed; both are then
heard of together, and told in Dask's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask.callbacks import unpack_callbacks
from dask.local import finish_task, start_state_from_dask
from dask.order import order

import paralab


class Watched:
    """The state of one computation.

    Args:
        graph: the nodes by key.
        wanted: the keys whose values are returned.
        callbacks: tuples of five functions, some of them None.
    """

    def __init__(
        self, graph: Mapping[Any, Any], wanted: Sequence[Any], callbacks: Sequence[Any]
    ) -> None:
        self._graph = graph
        self._wanted = set(wanted)
        self._priority = order(graph)
        start, started, self._before, self._after, self._finish = unpack_callbacks(callbacks)
        for call in start:
            call(graph)
        self._state = start_state_from_dask(
            graph, keys=list(wanted), cache={}, sortkey=self._priority.get
        )
        for call in started:
            call(graph, self._state)
        self._keys: dict[Any, list[Any]] = {}
        """By ref, the nodes whose result it is: until that is there."""

    def submitted(self, key: Any, ref: Any) -> None:
        """A node has its ref; data and what is there already need none."""
        if key in self._state["cache"]:
            return
        for call in self._before:
            call(key, self._graph, self._state)
        self._keys.setdefault(ref, []).append(key)

    def until_done(self) -> None:
        """Waits for all nodes, and tells of each when it has run.

        Raises:
            TaskError: one has failed.
        """
        while self._keys:
            paralab.wait(list(self._keys), num_returns=1)
            done, _rest = paralab.wait(list(self._keys), num_returns=len(self._keys), timeout=0)
            found = [(key, ref) for ref in done for key in self._keys.pop(ref)]
            found.sort(key=lambda pair: self._priority[pair[0]])
            for key, ref in found:
                self._tell(key, paralab.get(ref))

    def _tell(self, key: Any, value: Any) -> None:
        state = self._state
        state["ready"].remove(key)
        state["running"].add(key)
        state["cache"][key] = value
        finish_task(self._graph, key, state, self._wanted, self._priority.get)
        for call in self._after:
            call(key, value, self._graph, state, None)

    def finish(self, good: bool) -> None:
        """It is over."""
        for call in self._finish:
            call(self._graph, self._state, not good)
